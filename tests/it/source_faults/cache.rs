//! The cache of each kind of source: damaged files, two processes at once, a process that is killed
//! while it writes, a full disk. A release of each runs on, or runs once it can.

use serde_json::{Value, json};

use crate::support::api::condition;
use crate::support::bucket::Bucket;
use crate::support::chart::web_files;
use crate::support::fault::Fault;
use crate::support::git::Git;
use crate::support::pack::Package;
use crate::support::registry::Registry;
use crate::support::repository::Repository;
use crate::support::stage::{RELEASES, Stage};
use crate::support::wait::{SOON, until};

const SOURCES: &str = "source.toolkit.fluxcd.io/v1";

/// What the releases are of.
const ALL: [&str; 4] = ["index", "registry", "git", "bucket"];

/// A server of each kind, a source of each, and a release of each.
struct World {
    stage: Stage,
    repository: Repository,
    registry: Registry,
    git: Git,
    bucket: Bucket,
    /// A file that does not pack.
    noise: String,
}

const OBJECTS: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: login, namespace: NAMESPACE}\n\
    stringData: {accesskey: reader, secretkey: s3cret-key}\n---\n\
    apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: {name: index, namespace: NAMESPACE}\n\
    spec: {interval: 1s, timeout: 50s, url: \"INDEX\"}\n---\n\
    apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {name: registry, namespace: NAMESPACE}\n\
    spec: {interval: 1s, timeout: 50s, url: \"REGISTRY/web\", insecure: true, ref: {semver: 1.x}}\n---\n\
    apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: git, namespace: NAMESPACE}\n\
    spec: {interval: 1s, timeout: 50s, url: \"GIT\", ref: {branch: main}}\n---\n\
    apiVersion: source.toolkit.fluxcd.io/v1\nkind: Bucket\nmetadata: {name: bucket, namespace: NAMESPACE}\n\
    spec: {interval: 1s, timeout: 50s, endpoint: \"BUCKET\", bucketName: shop, insecure: true, secretRef: {name: login}}\n---\n";

fn release(name: &str, chart: &str) -> String {
    format!(
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: {name}, namespace: NAMESPACE}}\n\
         spec: {{interval: 1s, timeout: 10s, {chart}}}\n---\n"
    )
}

fn described(kind: &str, name: &str, path: &str) -> String {
    format!("chart: {{spec: {{chart: {path}, sourceRef: {{kind: {kind}, name: {name}}}}}}}")
}

impl World {
    async fn start(stem: &str) -> Option<Self> {
        let (registry, git, bucket) = (Registry::start()?, Git::start()?, Bucket::start()?);
        let stage = Stage::simulated(stem, SOURCES).await;
        let repository = Repository::start();
        Some(Self { stage, repository, registry, git, bucket, noise: String::new() })
    }

    /// Publishes the chart `web` everywhere.
    async fn publish(&self, version: &str) {
        let mut files = web_files(version, "");
        files.push(("noise.txt".to_owned(), self.noise.clone()));
        let package = Package::files(files.clone());
        // Two archives that are the same would be fetched once.
        let other = files.iter().cloned().chain([("of-index.txt".to_owned(), "x".to_owned())]);
        let other = Package::files(other);
        let leadsman = &self.stage.leadsman;
        std::fs::write(leadsman.folder().join(&package.file), &package.bytes).unwrap();
        let push = ["push", &package.file, &self.registry.oci("charts"), "--plain-http"];
        leadsman.run(&push).await.success();
        self.repository.publish_package(other);
        let files: Vec<(String, String)> =
            files.into_iter().map(|(name, text)| (format!("web/{name}"), text)).collect();
        let borrowed: Vec<(&str, &str)> = files.iter().map(|(a, b)| (&**a, &**b)).collect();
        self.git.commit(version, &borrowed);
        for (key, text) in &files {
            self.bucket.put(key, text).await;
        }
    }

    /// Writes down what is to run.
    fn prepare(&self) {
        let objects = OBJECTS
            .replace("INDEX", &self.repository.url())
            .replace("REGISTRY", &self.registry.oci("charts"))
            .replace("GIT", &self.git.url())
            .replace("BUCKET", &self.bucket.endpoint());
        let all = objects
            + &release("index", &described("HelmRepository", "index", "web"))
            + &release("registry", "chartRef: {kind: OCIRepository, name: registry}")
            + &release("git", &described("GitRepository", "git", "web"))
            + &release("bucket", &described("Bucket", "bucket", "web"));
        let all = all.replace("NAMESPACE", &self.stage.namespace);
        self.stage.leadsman.file("source/all.yaml", &all);
    }

    /// Waits until each of these releases runs a version, and is at this revision (0: at any).
    async fn run(&self, names: &[&str], version: &str, revision: u64) {
        for name in names {
            until(&format!("{name} runs {version}"), SOON, async || {
                let release = self.stage.object(RELEASES, name).await;
                let newest = &release["status"]["history"][0];
                let ready = condition(&release, "Ready").is_some_and(|c| c["status"] == "True");
                let is_it = newest["chartVersion"].as_str().is_some_and(|v| v.starts_with(version));
                let good = is_it && newest["status"] == "deployed" && ready;
                if good && (revision == 0 || newest["version"] == revision) {
                    return Ok(());
                }
                let source = self.source(name).await;
                Err(format!("{}\n{}", release["status"], source["status"]))
            })
            .await;
        }
    }

    async fn source(&self, name: &str) -> Value {
        let plural = match name {
            "index" => "helmrepositories",
            "registry" => "ocirepositories",
            "git" => "gitrepositories",
            _ => "buckets",
        };
        self.stage.object(&format!("{SOURCES}/{plural}"), name).await
    }

    /// Returns the files of the cache.
    fn cached(&self) -> Vec<String> {
        leadsman::base::file::list_tree(&self.stage.leadsman.cache()).unwrap_or_default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_files_are_noticed_and_gotten_anew() {
    let Some(mut world) = World::start("damage").await else { return };
    world.publish("1.0.0").await;
    world.prepare();
    world.stage.restart();
    world.run(&ALL, "1.0.0", 1).await;
    world.stage.stop();
    let cache = world.stage.leadsman.cache();
    let files = world.cached();
    assert!(files.iter().filter(|name| name.ends_with(".tgz")).count() >= 5, "{files:?}");
    for name in files.iter().filter(|name| !name.ends_with("CACHEDIR.TAG")) {
        let path = cache.join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        if let Some(byte) = bytes.get_mut(middle) {
            *byte ^= 1;
        }
        std::fs::write(path, bytes).unwrap();
    }
    world.stage.restart();
    // A change of values needs the chart again, which is the same.
    for name in ALL {
        let values = json!({"spec": {"values": {"message": "again"}}});
        world.stage.change(RELEASES, name, &values).await;
    }
    world.run(&ALL, "1.0.0", 2).await;
    for name in ALL {
        let path = format!("/api/v1/namespaces/{}/configmaps/{name}", world.stage.namespace);
        let found = world.stage.api.get(&path).await.unwrap();
        assert_eq!(found["data"], json!({"version": found["data"]["version"], "message": "again"}));
    }
    world.publish("1.1.0").await;
    world.run(&ALL, "1.1.0", 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_fill_one_cache() {
    let Some(mut world) = World::start("two").await else { return };
    world.publish("1.0.0").await;
    world.prepare();
    world.stage.restart();
    let namespace = world.stage.namespace.clone();
    let arguments = ["run", "source", "-n", &namespace, "--interval", "1s"];
    let other = world.stage.leadsman.spawn(&arguments);
    world.run(&ALL, "1.0.0", 1).await;
    world.publish("1.1.0").await;
    world.run(&ALL, "1.1.0", 2).await;
    drop(other);
    world.stage.stop();
    let files = world.cached();
    // Whoever wrote: a whole file.
    let packed = files.iter().filter(|name| name.ends_with(".packed")).count();
    assert_eq!(packed, 1, "{files:?}");
    for name in files.iter().filter(|name| name.ends_with(".tgz")) {
        let bytes = std::fs::read(world.stage.leadsman.cache().join(name)).unwrap();
        let hex = leadsman::base::digest::Digest::of(&bytes).to_hex();
        assert!(name.contains(&hex), "{name} is not what its name says");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_killed_while_it_writes_leaves_nothing_bad() {
    let Some(mut world) = World::start("killed").await else { return };
    world.publish("1.0.0").await;
    world.prepare();
    // First what says what there is, then the archives.
    let archive = "/web-1.0.0.tgz";
    for round in 0..2 {
        if round == 0 {
            world.repository.misbehave("/index.yaml", Fault::Stall);
        } else {
            world.repository.misbehave(archive, Fault::Stall);
        }
        world.git.misbehave_at("fetch", Some(Fault::Stall));
        world.bucket.misbehave("web/noise.txt", Some(Fault::Stall));
        let before = world.git.asked().len();
        world.stage.restart();
        until("all of them hang", SOON, async || {
            let index = if round == 0 { "/index.yaml" } else { archive };
            let asked = [
                world.repository.asked().iter().any(|asked| asked.path == index),
                world.git.asked()[before..].iter().any(|one| one.ends_with("fetch")),
                world.bucket.asked().iter().any(|key| key == "web/noise.txt"),
            ];
            if asked == [true; 3] { Ok(()) } else { Err(format!("{asked:?}")) }
        })
        .await;
        // A part of each has come by then.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        world.stage.stop();
        let files = world.cached();
        let is_tree = |name: &&String| name.contains("/tree-") && name.ends_with(".tgz");
        assert_eq!(files.iter().filter(is_tree).count(), 0, "{files:?}");
        assert!(round == 1 || !files.iter().any(|name| name.ends_with(".packed")), "{files:?}");
        world.repository.behave();
        world.git.misbehave_at("", None);
        world.bucket.misbehave("web/noise.txt", None);
    }
    world.stage.restart();
    // One may have been killed in the middle of an installation, too.
    world.run(&ALL, "1.0.0", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_each_source_says_so_and_heals() {
    let Some(mut world) = World::start("full").await else { return };
    world.noise = (0..600_000).map(|_| rand::random_range(' '..='~')).collect();
    world.publish("1.0.0").await;
    world.prepare();
    world.stage.restart_limited(256);
    // What can be kept in memory is.
    world.run(&["index", "registry"], "1.0.0", 1).await;
    for name in ["git", "bucket"] {
        until(&format!("{name} says so"), SOON, async || {
            let status = world.source(name).await["status"].clone();
            let failed = condition(&json!({"status": status}), "StorageOperationFailed").cloned();
            let failed = failed.unwrap_or_default();
            let text = failed["message"].as_str().unwrap_or_default().to_owned();
            let is_it = failed["reason"] == "ArchiveOperationFailed"
                && text.contains("File too large")
                && status["artifact"].is_null();
            if is_it { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
    }
    world.stage.restart();
    world.run(&ALL, "1.0.0", 1).await;
}
