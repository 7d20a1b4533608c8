//! Artifacts of sources, as other controllers read them from `leadsman run --storage-addr`.

use std::path::PathBuf;

use leadsman::sim::{Served, Sim, SimOptions};
use serde_json::{Value, json};
use sha2::Digest as _;

use crate::support::api::{Api, condition};
use crate::support::chart::{web, web_with};
use crate::support::git::Git;
use crate::support::leadsman::{Leadsman, Running};
use crate::support::pack::{entries, hex};
use crate::support::registry::Registry;
use crate::support::repository::Repository;
use crate::support::wait::{SOON, until};

/// Sources of a simulated cluster, and somebody who reads their artifacts.
struct World {
    api: Api,
    namespace: String,
    leadsman: Leadsman,
    running: Option<Running>,
    client: reqwest::Client,
    _simulated: Served,
}

/// An answer of the server.
struct Answer {
    status: u16,
    body: Vec<u8>,
}

fn source(kind: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: NAMESPACE}}\n\
         spec: {{interval: 1s, {spec}}}\n---\n"
    )
}

impl World {
    async fn start() -> Self {
        let served = Sim::new(SimOptions::default()).serve(([127, 0, 0, 1], 0).into()).await;
        let served = served.unwrap();
        let leadsman = Leadsman::new();
        let kubeconfig = leadsman.file("kubeconfig", &served.kubeconfig);
        let api = Api::connect(&kubeconfig).await;
        let namespace = api.create_namespace("artifacts").await;
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let leadsman = leadsman.kubeconfig(&kubeconfig);
        Self { api, namespace, leadsman, running: None, client, _simulated: served }
    }

    fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [&["run", "source", "-n", &self.namespace, "--interval", "1s"][..], more].concat()
    }

    /// Runs `leadsman` with these objects.
    fn run(&mut self, yaml: &str, more: &[&str]) {
        drop(self.running.take());
        self.leadsman.file("source/all.yaml", &yaml.replace("NAMESPACE", &self.namespace));
        self.running = Some(self.leadsman.spawn(&self.arguments(more)));
    }

    fn path(&self, kind: &str, name: &str) -> String {
        let namespace = &self.namespace;
        format!("/apis/source.toolkit.fluxcd.io/v1/namespaces/{namespace}/{kind}/{name}")
    }

    /// Waits until an artifact is served and of a revision that ends so.
    async fn stored(&self, kind: &str, name: &str, revision: &str) -> Value {
        until(&format!("{kind} {name} of {revision}"), SOON, async || {
            let found = self.api.get(&self.path(kind, name)).await.unwrap_or_default();
            let artifact = &found["status"]["artifact"];
            let is_it = artifact["revision"].as_str().is_some_and(|r| r.ends_with(revision));
            let is_served = artifact["path"].as_str().is_some_and(|path| {
                artifact["url"].as_str().is_some_and(|url| url.ends_with(path))
            });
            let ready = condition(&found, "Ready").is_some_and(|c| c["status"] == "True");
            if is_it && is_served && ready { Ok(found) } else { Err(found["status"].to_string()) }
        })
        .await
    }

    async fn read(&self, url: &Value) -> Answer {
        let answer = self.client.get(url.as_str().unwrap()).send().await.unwrap();
        let status = answer.status().as_u16();
        Answer { status, body: answer.bytes().await.unwrap().to_vec() }
    }

    /// Reads an artifact as other controllers do: what comes is what the status says.
    async fn fetched(&self, object: &Value) -> Vec<u8> {
        let artifact = &object["status"]["artifact"];
        let answer = self.read(&artifact["url"]).await;
        assert_eq!(answer.status, 200, "{artifact}");
        let digest = format!("sha256:{}", hex(&sha2::Sha256::digest(&answer.body)));
        assert_eq!(artifact["digest"], json!(digest));
        assert_eq!(artifact["size"], json!(answer.body.len()));
        answer.body
    }

    /// Returns where an artifact is.
    fn file(&self, object: &Value) -> PathBuf {
        let path = object["status"]["artifact"]["path"].as_str().unwrap();
        self.leadsman.cache().join("artifacts-v1").join(path)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_status_names_can_be_read() {
    let Some(git) = Git::start() else { return };
    let mut world = World::start().await;
    let repository = Repository::start();
    let package = web_with("1.0.0", "", &[("prod.yaml", "message: prod\n")]);
    let bytes = package.bytes.clone();
    repository.publish_package(package);
    let commit = git.commit("first", &[("charts/web/a.txt", "hello"), ("charts.txt", "x")]);
    let yaml = source("HelmRepository", "all", &format!("url: \"{}\"", repository.url()))
        + &source(
            "GitRepository",
            "all",
            &format!("url: \"{}\", ref: {{branch: main}}", git.url()),
        )
        + &source("HelmChart", "web", "chart: web, sourceRef: {kind: HelmRepository, name: all}")
        + &source(
            "HelmChart",
            "prod",
            "chart: web, sourceRef: {kind: HelmRepository, name: all}, valuesFiles: [values.yaml, prod.yaml]",
        );
    world.run(&yaml, &["--storage-addr", "127.0.0.1:0", "--artifact-retention-ttl", "1s"]);
    let index = world.stored("helmrepositories", "all", "").await;
    assert_eq!(
        world.fetched(&index).await,
        world.read(&json!(format!("{}/index.yaml", repository.url()))).await.body
    );
    let charts = [("web", "1.0.0"), ("prod", "1.0.0+1")];
    for (name, version) in charts {
        let chart = world.stored("helmcharts", name, version).await;
        let packed = world.fetched(&chart).await;
        let path = format!("helmchart/{}/{name}/web-{version}.tgz", world.namespace);
        assert_eq!(chart["status"]["artifact"]["path"], json!(path));
        // The newest has a name that stays.
        assert!(chart["status"]["url"].as_str().unwrap().ends_with("/latest.tar.gz"), "{chart}");
        assert_eq!(world.read(&chart["status"]["url"]).await.body, packed);
        let said = &entries(&packed)["web/Chart.yaml"].1;
        assert!(said.contains(&format!("version: {version}\n")), "{said}");
        assert_eq!(packed == bytes, name == "web", "{name}");
    }
    let files = world.stored("gitrepositories", "all", &commit).await;
    assert!(files["status"].get("url").is_none(), "{files}");
    let packed = world.fetched(&files).await;
    let names: Vec<(String, u32)> =
        entries(&packed).into_iter().map(|(name, (mode, _))| (name, mode)).collect();
    let want = [
        (".", 0o750),
        ("charts", 0o750),
        ("charts.txt", 0o600),
        ("charts/web", 0o750),
        ("charts/web/a.txt", 0o600),
    ];
    assert_eq!(names, want.map(|(name, mode)| (name.to_owned(), mode)));
    // Parts of it, and nothing beside it.
    let url = files["status"]["artifact"]["url"].as_str().unwrap();
    let part = world.client.get(url).header("Range", "bytes=0-1").send().await.unwrap();
    assert_eq!((part.status().as_u16(), &part.bytes().await.unwrap()[..]), (206, &packed[..2]));
    let folder = url.rsplit_once('/').unwrap().0;
    for path in [format!("{folder}/"), folder.to_owned(), format!("{folder}/../../../x")] {
        assert_eq!(world.read(&json!(path)).await.status, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_or_damaged_is_stored_again_and_what_is_old_goes() {
    let mut world = World::start().await;
    let repository = Repository::start();
    repository.publish_package(web("1.0.0", ""));
    let yaml = source("HelmRepository", "all", &format!("url: \"{}\"", repository.url()))
        + &source("HelmChart", "web", "chart: web, sourceRef: {kind: HelmRepository, name: all}");
    let flags = ["--storage-addr", "127.0.0.1:0", "--artifact-retention-ttl", "1s"];
    world.run(&yaml, &flags);
    let index = world.stored("helmrepositories", "all", "").await;
    let chart = world.stored("helmcharts", "web", "1.0.0").await;
    for (object, bytes) in
        [(&index, world.fetched(&index).await), (&chart, world.fetched(&chart).await)]
    {
        let file = world.file(object);
        std::fs::write(&file, "damaged").unwrap();
        until("it is whole again", SOON, async || {
            std::fs::read(&file).is_ok_and(|found| found == bytes)
        })
        .await;
        std::fs::remove_file(&file).unwrap();
        until("it is there again", SOON, async || file.is_file()).await;
    }
    let events = format!("/api/v1/namespaces/{}/events", world.namespace);
    until("the events of the damage", SOON, async || {
        let events = world.api.list(&events).await;
        let of = |kind: &str| {
            events.iter().any(|event| {
                let said = event["message"].as_str().unwrap_or_default();
                event["reason"] == "ArtifactVerificationFailed"
                    && event["involvedObject"]["kind"] == kind
                    && said.starts_with("failed to verify integrity of artifact: computed digest ")
            })
        };
        if of("HelmRepository") && of("HelmChart") {
            Ok(())
        } else {
            Err(json!(events).to_string())
        }
    })
    .await;
    // What was stored again is no news.
    let told = world.api.list(&events).await;
    let told = told.iter().filter(|event| {
        event["involvedObject"]["kind"] == "HelmChart" && event["reason"] == "ChartPullSucceeded"
    });
    assert_eq!(told.map(|event| event["count"].as_i64().unwrap()).sum::<i64>(), 1);
    repository.publish_package(web("1.1.0", ""));
    let next = world.stored("helmcharts", "web", "1.1.0").await;
    let latest = world.read(&next["status"]["url"]).await.body;
    assert_eq!(latest, world.fetched(&next).await);
    let (old, folder) = (world.file(&chart), world.file(&chart));
    until("the old one is gone", SOON, async || !old.exists()).await;
    // An object that goes takes its artifacts along, also while nobody looks.
    world.leadsman.file("source/all.yaml", "");
    let folder = folder.parent().unwrap();
    world.api.delete(&world.path("helmcharts", "web")).await;
    until("its folder is gone", SOON, async || !folder.exists()).await;
    drop(world.running.take());
    world.api.delete(&world.path("helmrepositories", "all")).await;
    let index = world.file(&index);
    assert!(index.parent().unwrap().exists());
    world.run("", &flags);
    until("that folder is gone, too", SOON, async || !index.parent().unwrap().exists()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_share_a_folder_and_without_one_nothing_is_served() {
    let mut world = World::start().await;
    let repository = Repository::start();
    repository.publish_package(web("1.0.0", ""));
    let yaml = source("HelmRepository", "all", &format!("url: \"{}\"", repository.url()))
        + &source("HelmChart", "web", "chart: web, sourceRef: {kind: HelmRepository, name: all}");
    let flags = ["--storage-addr", "127.0.0.1:0", "--storage-adv-addr", "artifacts.example"];
    world.run(&yaml, &flags);
    let chart = world.stored("helmcharts", "web", "1.0.0").await;
    let url = format!("http://artifacts.example/helmchart/{}/web/web-1.0.0.tgz", world.namespace);
    assert_eq!(chart["status"]["artifact"]["url"], json!(url));
    // Another process finds all as it should be.
    let other = world.leadsman.spawn(&world.arguments(&flags));
    let asked = || repository.asked().len();
    let before = asked();
    until("both have asked several times", SOON, async || asked() > before + 8).await;
    let now = world.stored("helmcharts", "web", "1.0.0").await;
    assert_eq!(now["metadata"]["resourceVersion"], chart["metadata"]["resourceVersion"]);
    drop(other);
    // Under another name all of it has new addresses, and there is no news.
    let host = "elsewhere.example";
    world.run(&yaml, &["--storage-addr", "127.0.0.1:0", "--storage-adv-addr", host]);
    for (kind, name, link) in
        [("helmcharts", "web", "latest.tar.gz"), ("helmrepositories", "all", "index.yaml")]
    {
        until("the new addresses", SOON, async || {
            let found = world.api.get(&world.path(kind, name)).await.unwrap_or_default();
            let status = &found["status"];
            let folder = format!(
                "http://{host}/{}/{}/{name}/",
                &kind.trim_end_matches('s').replace("repositorie", "repository"),
                world.namespace
            );
            let is_there = |url: &Value| url.as_str().is_some_and(|url| url.starts_with(&folder));
            let good = is_there(&status["artifact"]["url"])
                && status["url"] == json!(folder.clone() + link);
            if good { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
    }
    // Without storage the status says where it came from.
    world.run(&yaml, &[]);
    let own = format!("{}/#web-1.0.0.tgz", repository.url());
    until("the address of the source", SOON, async || {
        let found = world.api.get(&world.path("helmcharts", "web")).await.unwrap_or_default();
        let status = &found["status"];
        let good = status["artifact"]["url"] == json!(own) && status.get("url").is_none();
        if good { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_repository_stays_as_it_is_and_another_address_counts_after_it() {
    let mut world = World::start().await;
    let [first, second] = [Repository::start(), Repository::start()];
    first.publish_package(web("1.0.0", ""));
    second.publish_package(web("2.0.0", ""));
    let of =
        |url: &str, more: &str| source("HelmRepository", "all", &format!("url: \"{url}\"{more}"));
    let flags = ["--storage-addr", "127.0.0.1:0"];
    world.run(&of(&first.url(), ""), &flags);
    let before = world.stored("helmrepositories", "all", "").await;
    // Another one beside it shows that time passes.
    let beside = source("HelmRepository", "beside", &format!("url: \"{}\"", first.url()));
    world.run(&(of(&second.url(), ", suspend: true") + &beside), &flags);
    let path = world.path("helmrepositories", "all");
    until("it is suspended", SOON, async || {
        world.api.get(&path).await.unwrap_or_default()["spec"]["suspend"] == json!(true)
    })
    .await;
    let asked = first.asked().len();
    until("the other is asked several times", SOON, async || first.asked().len() > asked + 3).await;
    let now = world.api.get(&path).await.unwrap();
    assert_eq!(now["status"], before["status"]);
    assert!(second.asked().is_empty());
    world.run(&of(&second.url(), ", suspend: false"), &flags);
    until("the other address counts", SOON, async || {
        let found = world.api.get(&path).await.unwrap_or_default();
        let revision = &found["status"]["artifact"]["revision"];
        let observed = &found["status"]["observedGeneration"];
        let good = *revision != before["status"]["artifact"]["revision"]
            && *observed == found["metadata"]["generation"];
        if good { Ok(()) } else { Err(found["status"].to_string()) }
    })
    .await;
    let after = world.stored("helmrepositories", "all", "").await;
    let index = String::from_utf8(world.fetched(&after).await).unwrap();
    assert!(index.contains("2.0.0") && !index.contains("1.0.0\""), "{index}");
    assert_eq!(world.read(&after["status"]["url"]).await.body, index.as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_of_a_registry_is_served_as_it_is() {
    let Some(registry) = Registry::start() else { return };
    let mut world = World::start().await;
    let package = web("1.0.0", "");
    world.leadsman.file("keep", "");
    std::fs::write(world.leadsman.folder().join(&package.file), &package.bytes).unwrap();
    let push = ["push", &package.file, &registry.oci("charts"), "--plain-http"];
    world.leadsman.run(&push).await.success();
    let url =
        format!("url: \"{}/web\", insecure: true, ref: {{tag: 1.0.0}}", registry.oci("charts"));
    let charts = format!("type: oci, insecure: true, url: \"{}\"", registry.oci("charts"));
    let yaml = source("OCIRepository", "web", &url)
        + &source("HelmRepository", "all", &charts)
        + &source(
            "HelmChart",
            "web",
            "chart: web, version: 1.x, sourceRef: {kind: HelmRepository, name: all}",
        );
    world.run(&yaml, &["--storage-addr", "127.0.0.1:0"]);
    let layer = world.stored("ocirepositories", "web", "").await;
    assert_eq!(world.fetched(&layer).await, package.bytes);
    let revision = layer["status"]["artifact"]["revision"].as_str().unwrap();
    assert!(revision.starts_with("1.0.0@sha256:"), "{revision}");
    assert_eq!(world.read(&layer["status"]["url"]).await.body, package.bytes);
    // A chart of a registry, which has no index.
    let chart = world.stored("helmcharts", "web", "1.0.0").await;
    assert_eq!(world.fetched(&chart).await, package.bytes);
    let observed = chart["status"].get("observedSourceArtifactRevision");
    assert!(observed.is_none(), "{chart}");
}
