//! Releases whose charts come from a registry, on a real API server.

use serde_json::{Value, json};

use crate::support::api::{Api, condition};
use crate::support::chart::{web, web_files, web_with};
use crate::support::control_plane::ControlPlane;
use crate::support::leadsman::{Leadsman, Running};
use crate::support::pack::Package;
use crate::support::registry::{Auth, Registry};
use crate::support::wait::{SOON, throughout, until};

/// A registry with a password, and releases under `leadsman run`.
struct World {
    api: Api,
    namespace: String,
    registry: Registry,
    leadsman: Leadsman,
    running: Option<Running>,
}

impl World {
    async fn start(stem: &str) -> Option<Self> {
        let cluster = ControlPlane::shared()?;
        let registry = Registry::guarded(Auth::Password("me", "s3cret"))?;
        let api = cluster.api().await;
        let namespace = api.create_namespace(stem).await;
        let leadsman = Leadsman::new().kubeconfig(&cluster.kubeconfig());
        Some(Self { api, namespace, registry, leadsman, running: None })
    }

    async fn push(&self, package: &Package) {
        std::fs::write(self.leadsman.folder().join(&package.file), &package.bytes).unwrap();
        let to = self.registry.oci("charts");
        let login = ["--plain-http", "--username", "me", "--password", "s3cret"];
        self.leadsman.run(&[&["push", &package.file, &to][..], &login].concat()).await.success();
    }

    /// Runs `leadsman` with these objects.
    fn run(&mut self, yaml: &str) {
        let yaml =
            yaml.replace("NAMESPACE", &self.namespace).replace("ADDRESS", self.registry.address());
        self.leadsman.file("source/all.yaml", &yaml);
        let arguments = ["run", "source", "-n", &self.namespace, "--interval", "1s"];
        self.running = Some(self.leadsman.spawn(&arguments));
    }

    async fn object(&self, group: &str, name: &str) -> Value {
        let (group, plural) = group.rsplit_once('/').unwrap();
        let namespace = &self.namespace;
        let path = format!("/apis/{group}/namespaces/{namespace}/{plural}/{name}");
        self.api.get(&path).await.unwrap_or_default()
    }

    /// Changes the `OCIRepository`; the folder is not looked at any more.
    async fn change_source(&self, spec: &Value) {
        let namespace = &self.namespace;
        let path =
            format!("/apis/{SOURCES}/web").replace("v1/", &format!("v1/namespaces/{namespace}/"));
        self.api.merge(&path, &json!({"spec": spec})).await;
    }

    async fn release(&self, name: &str) -> Value {
        self.object("helm.toolkit.fluxcd.io/v2/helmreleases", name).await
    }

    /// Waits until a version runs that begins so.
    async fn runs(&self, name: &str, version: &str) -> Value {
        until(&format!("{version} runs"), SOON, async || {
            let release = self.release(name).await;
            let newest = &release["status"]["history"][0];
            let ready = condition(&release, "Ready").is_some_and(|c| c["status"] == "True");
            let is_it = newest["chartVersion"].as_str().is_some_and(|v| v.starts_with(version));
            let good = is_it && newest["status"] == "deployed" && ready;
            if good { Ok(release) } else { Err(release["status"].to_string()) }
        })
        .await
    }

    /// Waits until an object says that it is not ready, for this reason and in such words.
    async fn refuses(&self, group: &str, name: &str, reason: &str, words: &str) {
        until(&format!("{name} says {reason}: {words}"), SOON, async || {
            let object = self.object(group, name).await;
            let ready = condition(&object, "Ready").cloned().unwrap_or_default();
            let said = ready["message"].as_str().is_some_and(|text| text.contains(words));
            let good = ready["status"] == "False" && ready["reason"] == reason && said;
            if good { Ok(()) } else { Err(object["status"].to_string()) }
        })
        .await;
    }
}

const RELEASES: &str = "helm.toolkit.fluxcd.io/v2/helmreleases";

const REPOSITORY: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: login, namespace: NAMESPACE}\n\
    stringData: {username: me, password: s3cret}\n---\n\
    apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: {name: charts, namespace: NAMESPACE}\n\
    spec: {type: oci, url: \"oci://ADDRESS/charts\", insecure: true, secretRef: {name: login}}\n---\n";

fn release(name: &str, chart: &str, version: &str) -> String {
    format!(
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: {name}, namespace: NAMESPACE}}\n\
         spec:\n  interval: 1s\n  timeout: 10s\n  chart:\n    spec:\n      chart: {chart}\n      version: \"{version}\"\n      \
         sourceRef: {{kind: HelmRepository, name: charts}}\n---\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_are_followed_by_the_tags_of_a_registry() {
    let Some(mut world) = World::start("oci-range").await else { return };
    for version in ["1.0.0", "2.0.0"] {
        world.push(&web(version, "")).await;
    }
    let releases = release("web", "web", "1.x")
        + &release("exact", "web", "2.0.0")
        + &release("none", "none", "1.x")
        + &release("missing", "web", "9.9.9");
    world.run(&(REPOSITORY.to_owned() + &releases));
    world.runs("web", "1.0.0").await;
    world.runs("exact", "2.0.0").await;
    let words = "chart pull error: GET \"http";
    world.refuses(RELEASES, "none", "SourceNotReady", words).await;
    world.refuses(RELEASES, "missing", "ArtifactFailed", "charts/web:9.9.9: not found").await;
    // A repository of this kind is a static object: nothing is said of it.
    let repository = world.object("source.toolkit.fluxcd.io/v1/helmrepositories", "charts").await;
    assert_eq!(repository["status"]["conditions"], Value::Null, "{repository}");
    assert_eq!(repository["status"]["artifact"], Value::Null, "{repository}");
    // A build of a version, whose `+` a tag cannot have.
    world.push(&web("1.1.0+b.1", "")).await;
    world.runs("web", "1.1.0+b.1").await;
    // A login that is not right any more takes nothing away.
    let secret = format!("/api/v1/namespaces/{}/secrets/login", world.namespace);
    drop(world.running.take());
    world.api.merge(&secret, &json!({"stringData": {"password": "other"}})).await;
    world.push(&web("1.2.0", "")).await;
    let yaml = REPOSITORY.replace("s3cret", "other") + &release("web", "web", "1.x");
    world.run(&yaml);
    world.refuses(RELEASES, "web", "SourceNotReady", "401: unauthorized").await;
    let release = world.release("web").await;
    assert_eq!(release["status"]["history"][0]["chartVersion"], "1.1.0+b.1");
    assert_eq!(release["status"]["history"][0]["status"], "deployed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_away_stops_nothing_that_runs() {
    let Some(mut world) = World::start("oci-away").await else { return };
    world.push(&web("1.0.0", "")).await;
    world.run(&(REPOSITORY.to_owned() + &release("web", "web", "1.x")));
    world.runs("web", "1.0.0").await;
    let other = Registry::start();
    let gone = std::mem::replace(&mut world.registry, other.unwrap());
    drop(gone);
    let output = |world: &World| world.running.as_ref().map(Running::output).unwrap_or_default();
    until("a line about the registry", SOON, async || {
        let output = output(&world);
        if output.contains("are those that were known") { Ok(()) } else { Err(output) }
    })
    .await;
    throughout("web stays ready", std::time::Duration::from_secs(3), async || {
        let release = world.release("web").await;
        let ready = condition(&release, "Ready").is_some_and(|c| c["status"] == "True");
        if ready { Ok(()) } else { Err(release["status"].to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_index_left_is_taken_away() {
    let Some(mut world) = World::start("oci-static").await else { return };
    world.push(&web("1.0.0", "")).await;
    let yaml = REPOSITORY.to_owned() + &release("web", "web", "1.x");
    let index = yaml.replace("type: oci, ", "");
    world.run(&index);
    let (group, name) = ("source.toolkit.fluxcd.io/v1/helmrepositories", "charts");
    let words = "'oci' URL scheme cannot be used with 'default' HelmRepository type";
    world.refuses(group, name, "URLInvalid", words).await;
    drop(world.running.take());
    let file = serde_json::json!({"auths": {world.registry.address(): {"username": "me", "password": "s3cret"}}});
    let file = serde_json::to_string(&file.to_string()).unwrap();
    let docker = format!("stringData: {{.dockerconfigjson: {file}}}");
    let yaml = yaml.replace("stringData: {username: me, password: s3cret}", &docker);
    // The kind of a Secret cannot be changed, its data can.
    let secret = format!("/api/v1/namespaces/{}/secrets/login", world.namespace);
    world.api.delete(&secret).await;
    world.run(&yaml);
    world.runs("web", "1.0.0").await;
    until("the status is empty", SOON, async || {
        let repository = world.object(group, name).await;
        let gone = repository["status"]["conditions"].is_null();
        if gone { Ok(()) } else { Err(repository["status"].to_string()) }
    })
    .await;
}

const SOURCE: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: login, namespace: NAMESPACE}\n\
    stringData: {username: me, password: s3cret}\n---\n\
    apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {name: web, namespace: NAMESPACE}\n\
    spec:\n  interval: 1s\n  url: \"oci://ADDRESS/charts/web\"\n  insecure: true\n  secretRef: {name: login}\n  \
    ref: {semver: \"1.x\"}\n  layerSelector: {mediaType: application/vnd.cncf.helm.chart.content.v1.tar+gzip, operation: copy}\n---\n";

const NAMING: &str = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: web, namespace: NAMESPACE}\n\
    spec:\n  interval: 1s\n  timeout: 12s\n  chartRef: {kind: OCIRepository, name: web}\n";

const SOURCES: &str = "source.toolkit.fluxcd.io/v1/ocirepositories";

#[tokio::test(flavor = "multi_thread")]
async fn a_release_names_an_artifact() {
    let Some(mut world) = World::start("oci-ref").await else { return };
    world.push(&web("1.0.0", "")).await;
    world.run(&(SOURCE.to_owned() + NAMING));
    let release = world.runs("web", "1.0.0+").await;
    let source = world.object(SOURCES, "web").await;
    let artifact = &source["status"]["artifact"];
    let revision = artifact["revision"].as_str().unwrap();
    let (tag, digest) = revision.split_once('@').unwrap();
    assert_eq!(tag, "1.0.0");
    assert_eq!(artifact["metadata"]["org.opencontainers.image.version"], "1.0.0", "{artifact}");
    let version = format!("1.0.0+{}", &digest["sha256:".len()..][..12]);
    let status = &release["status"];
    assert_eq!(status["lastAttemptedRevision"], json!(version));
    assert_eq!(status["lastAttemptedRevisionDigest"], digest);
    assert_eq!(status["history"][0]["chartVersion"], json!(version));
    assert_eq!(status["history"][0]["ociDigest"], digest);
    // By itself to the next, and back from the one after it, which never becomes ready.
    world.push(&web("1.1.0", "")).await;
    world.runs("web", "1.1.0+").await;
    world.push(&web("1.2.0", "unready")).await;
    until("1.2.0 is rolled back", SOON / 2, async || {
        let release = world.release("web").await;
        let held = condition(&release, "VersionHeld").is_some_and(|c| c["reason"] == "Quarantine");
        let newest = &release["status"]["history"][0];
        if held && newest["action"] == "rollback" {
            Ok(())
        } else {
            Err(release["status"].to_string())
        }
    })
    .await;
    let back = world.runs("web", "1.1.0+").await;
    let stays = back["status"]["history"][0]["version"].clone();
    throughout("nothing new is tried", std::time::Duration::from_secs(3), async || {
        let release = world.release("web").await;
        let newest = release["status"]["history"][0]["version"].clone();
        if newest == stays { Ok(()) } else { Err(release["status"].to_string()) }
    })
    .await;
    // A person may go back, and a tag may move.
    world.change_source(&json!({"ref": {"semver": null, "tag": "1.0.0"}})).await;
    world.runs("web", &version).await;
    world.push(&web_with("1.0.0", "", &[("more.txt", "more")])).await;
    until("the moved tag is followed", SOON, async || {
        let release = world.release("web").await;
        let newest = &release["status"]["history"][0];
        let other = newest["chartVersion"]
            .as_str()
            .is_some_and(|v| v.starts_with("1.0.0+") && v != version);
        if other && newest["status"] == "deployed" {
            Ok(())
        } else {
            Err(release["status"].to_string())
        }
    })
    .await;
}

/// Runs `outdated` and returns its rows.
async fn outdated(world: &World, more: &[&str]) -> Vec<Value> {
    let arguments = [&["outdated", "-n", &world.namespace, "-o", "json"][..], more].concat();
    serde_json::from_str(&world.leadsman.run(&arguments).await.success()).unwrap()
}

/// Waits until the status of a release tells of this.
async fn tells(world: &World, name: &str, want: &Value) {
    until(&format!("{name} tells {want}"), SOON, async || {
        let status = world.release(name).await["status"].clone();
        if status["availableUpdates"] == *want { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_newer_is_told_by_the_tags() {
    let Some(mut world) = World::start("oci-newer").await else { return };
    for version in ["1.0.0", "1.0.1+b.1", "2.0.0"] {
        world.push(&web(version, "")).await;
    }
    let yaml = REPOSITORY.to_owned()
        + &release("range", "web", "1.x")
        + &SOURCE.replace("semver: \"1.x\"", "tag: \"1.0.0\"")
        + NAMING;
    world.run(&yaml);
    world.runs("range", "1.0.1+b.1").await;
    world.runs("web", "1.0.0+").await;
    tells(&world, "range", &json!({"major": "2.0.0"})).await;
    // The tags of an artifact that is named by its tag are asked for by nobody but the command.
    let held =
        |range: &str| json!({"rule": "constraint", "reason": format!("{range} does not allow it")});
    let newer = |version: &str, range: &str| json!({"version": version, "inRange": false, "deprecated": false, "held": held(range)});
    let rows = outdated(&world, &[]).await;
    assert_eq!((&rows[0]["name"], &rows[1]["name"]), (&json!("range"), &json!("web")));
    assert_eq!(rows[0]["major"], newer("2.0.0", "1.x"));
    assert_eq!(rows[1]["patch"], newer("1.0.1+b.1", "1.0.0"));
    assert_eq!(rows[1]["major"], newer("2.0.0", "1.0.0"));
    // Without the cluster, the same is found for what a folder asks for.
    let folder = ["outdated", "-f", "source", "-o", "json"];
    let found = world.leadsman.run(&folder).await;
    // The Secret stands there twice, which is said.
    assert!(found.stderr.contains("the first is used: remove one of them"), "{}", found.stderr);
    let found: Vec<Value> = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!(found.len(), rows.len());
    for (found, row) in found.iter().zip(&rows) {
        for key in ["name", "chart", "range", "patch", "minor", "major"] {
            assert_eq!(found[key], row[key], "{key} of {}", row["name"]);
        }
    }
    // A version that failed is told with the reason, though its own text carries a digest.
    world.push(&web("1.2.0", "unready")).await;
    drop(world.running.take());
    world.run(&yaml.replace("tag: \"1.0.0\"", "semver: \"1.x\""));
    until("1.2.0 is rolled back", SOON, async || {
        let release = world.release("web").await;
        let held = condition(&release, "VersionHeld").is_some_and(|c| c["reason"] == "Quarantine");
        if held { Ok(()) } else { Err(release["status"].to_string()) }
    })
    .await;
    tells(&world, "web", &json!({"patch": "1.0.1+b.1", "minor": "1.2.0", "major": "2.0.0"})).await;
    let rows = outdated(&world, &["web"]).await;
    assert_eq!(rows[0]["minor"]["held"]["rule"], "quarantine", "{rows:?}");
    // A release that nobody keeps, by the registry that is named.
    let plain = world.api.create_namespace("oci-plain").await;
    let install = ["install", "site", "./web-1.0.0.tgz", "-n", &plain];
    world.leadsman.run(&install).await.success();
    let url = world.registry.oci("charts");
    let login = ["--plain-http", "--username", "me", "--password", "s3cret", "--repo", &url];
    let arguments = [&["outdated", "-n", &plain, "-o", "json"][..], &login].concat();
    let rows: Vec<Value> =
        serde_json::from_str(&world.leadsman.run(&arguments).await.success()).unwrap();
    assert_eq!(rows[0]["patch"]["version"], "1.0.1+b.1", "{rows:?}");
    assert_eq!(rows[0]["major"]["version"], "2.0.0", "{rows:?}");
    tells_what_is_deprecated(&world, &arguments).await;
}

/// Of a registry, the newest version itself says that the chart is deprecated.
async fn tells_what_is_deprecated(world: &World, plain: &[&str]) {
    let mut files = web_files("3.0.0", "");
    files[0].1 += "deprecated: true\n";
    world.push(&Package::files(files)).await;
    let plain = world.leadsman.run(plain).await.success();
    let plain: Vec<Value> = serde_json::from_str(&plain).unwrap();
    for row in outdated(world, &[]).await.iter().chain(&plain) {
        let major = &row["major"];
        assert_eq!((&major["version"], &major["deprecated"]), (&json!("3.0.0"), &json!(true)));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn artifacts_that_cannot_be_had_say_why() {
    let Some(mut world) = World::start("oci-refused").await else { return };
    world.push(&web("1.0.0", "")).await;
    world.run(&(SOURCE.to_owned() + NAMING));
    world.runs("web", "1.0.0+").await;
    let url = format!("oci://{}/charts/web", world.registry.address());
    let selected = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
    let rows = [
        (
            json!({"ref": {"semver": "9.x"}}),
            "ReadOperationFailed",
            "no match found for semver: 9.x",
        ),
        (
            json!({"ref": {"semver": null, "tag": "none"}}),
            "OCIArtifactPullFailed",
            "failed to determine artifact digest:",
        ),
        (
            json!({"ref": null, "url": format!("{url}:1.0.0")}),
            "URLInvalid",
            "URL must not contain a tag; remove ':1.0.0'",
        ),
        (
            json!({"ref": {"tag": "1.0.0"}, "url": url, "layerSelector": {"mediaType": "other"}}),
            "OCIArtifactLayerOperationFailed",
            "failed to find layer with media type 'other' in artifact",
        ),
        (
            json!({"verify": {"provider": "cosign"}}),
            "VerificationError",
            "matchOIDCIdentity must say who may sign",
        ),
        (
            json!({"verify": null, "secretRef": {"name": "nobody"}}),
            "AuthenticationFailed",
            "nobody",
        ),
    ];
    for (change, reason, words) in rows {
        world.change_source(&change).await;
        world.refuses(SOURCES, "web", reason, words).await;
        // What was fetched stays.
        let artifact = &world.object(SOURCES, "web").await["status"]["artifact"];
        assert!(
            artifact["revision"].as_str().is_some_and(|r| r.starts_with("1.0.0@")),
            "{artifact}"
        );
    }
    let good = json!({"secretRef": {"name": "login"}, "layerSelector": {"mediaType": selected}});
    world.change_source(&good).await;
    until("the source is ready again", SOON, async || {
        let source = world.object(SOURCES, "web").await;
        let ready = condition(&source, "Ready").is_some_and(|c| c["status"] == "True");
        if ready && condition(&source, "FetchFailed").is_none() {
            Ok(())
        } else {
            Err(source["status"].to_string())
        }
    })
    .await;
    is_found_by_digest_first(&world).await;
    // That it is right again is an event, though the artifact is the same.
    let source = world.object(SOURCES, "web").await;
    let revision = &source["status"]["artifact"]["revision"];
    let told = format!("stored artifact with revision {revision} from '{url}'").replace('"', "'");
    let events = format!("/api/v1/namespaces/{}/events", world.namespace);
    until("the event", SOON, async || {
        let events = world.api.list(&events).await;
        let is_it = |event: &Value| event["reason"] == "Succeeded" && event["message"] == told;
        if events.iter().any(is_it) { Ok(()) } else { Err(Value::from(events).to_string()) }
    })
    .await;
}

/// A digest counts before a range, that before a tag.
async fn is_found_by_digest_first(world: &World) {
    let known = world.object(SOURCES, "web").await["status"]["artifact"].clone();
    let digest = known["revision"].as_str().unwrap().rsplit('@').next().unwrap().to_owned();
    for (wanted, revision) in [
        (json!({"digest": digest, "semver": "9.x", "tag": "none"}), digest.clone()),
        (json!({"digest": null, "semver": "1.x", "tag": "none"}), format!("1.0.0@{digest}")),
    ] {
        world.change_source(&json!({"ref": wanted})).await;
        until(&revision, SOON, async || {
            let status = world.object(SOURCES, "web").await["status"].clone();
            let good = status["artifact"]["revision"] == json!(revision);
            if good { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
    }
}
