//! Releases whose charts are in buckets, on the simulated API server and on a real one.

mod faults;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::Digest as _;

use crate::support::api::condition;
use crate::support::bucket::{BUCKET, Bucket};
use crate::support::chart::web_files;
use crate::support::pack::{Package, entries, hex};
use crate::support::repository::Repository;
use crate::support::stage::{RELEASES, Served, Stage};
use crate::support::wait::{SOON, until};

/// An object store, and releases under `leadsman run`.
type World = Served<Store>;

struct Store {
    bucket: Bucket,
    /// What tells the content of each object that was put.
    etags: BTreeMap<String, String>,
}

const SOURCES: &str = "source.toolkit.fluxcd.io/v1/buckets";
const CHARTS: &str = "source.toolkit.fluxcd.io/v1/helmcharts";

const LOGIN: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: login, namespace: NAMESPACE}\n\
    stringData: {accesskey: reader, secretkey: s3cret-key}\n---\n";

const SOURCE: &str = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: Bucket\nmetadata: {name: web, namespace: NAMESPACE}\n\
    spec: {interval: 1s, timeout: 20s, endpoint: \"ENDPOINT\", bucketName: shop, insecure: true, secretRef: {name: login}}\n---\n";

const RELEASE: &str = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: web, namespace: NAMESPACE}\n\
    spec:\n  interval: 1s\n  timeout: 6s\n  chart:\n    spec:\n      chart: charts/web\n      \
    sourceRef: {kind: Bucket, name: web}\n---\n";

const CHART: &str = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmChart\nmetadata: {name: web, namespace: NAMESPACE}\n\
    spec:\n  interval: 1s\n  chart: ./charts/web\n  reconcileStrategy: Revision\n  sourceRef: {kind: Bucket, name: web}\n---\n";

impl World {
    /// On the simulated API server.
    async fn start() -> Option<Self> {
        Self::over(Bucket::start()?).await
    }

    async fn over(bucket: Bucket) -> Option<Self> {
        let stage = Stage::simulated("bucket", SOURCES).await;
        Some(Self { stage, server: Store { bucket, etags: BTreeMap::new() } })
    }

    /// On a real one.
    async fn real() -> Option<Self> {
        let stage = Stage::real("bucket", SOURCES).await?;
        let bucket = Bucket::start()?;
        Some(Self { stage, server: Store { bucket, etags: BTreeMap::new() } })
    }

    /// Stores the chart `web` at `charts/web`, with further objects; returns the revision.
    async fn web(&mut self, version: &str, fate: &str, more: &[(&str, &str)]) -> String {
        let files = web_files(version, fate).into_iter();
        let mut files: BTreeMap<String, String> =
            files.map(|(name, text)| (format!("charts/web/{name}"), text)).collect();
        files.extend(more.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())));
        for (key, text) in files {
            let etag = self.server.bucket.put(&key, &text).await;
            self.server.etags.insert(key, etag);
        }
        self.revision()
    }

    /// Returns the revision of what was put, as Flux makes it.
    fn revision(&self) -> String {
        let lines: String =
            self.server.etags.iter().map(|(key, etag)| format!("{key} {etag}\n")).collect();
        format!("sha256:{}", hex(&sha2::Sha256::digest(lines)))
    }

    /// Runs `leadsman` with these objects, and the keys of the bucket.
    fn run(&mut self, yaml: &str) {
        let yaml = LOGIN.to_owned() + yaml;
        let yaml = yaml.replace("ENDPOINT", &self.server.bucket.endpoint());
        self.stage.run(&yaml);
    }
}

fn both() -> String {
    SOURCE.to_owned() + RELEASE
}

/// The rules of Flux's definition hold, as the API server plays them.
async fn is_defined_as_by_flux(world: &World) {
    let rows = [
        (
            json!({"serviceAccountName": "x"}),
            "ServiceAccountName is not supported for the 'generic' Bucket provider",
        ),
        (
            json!({"provider": "gcp", "sts": {"provider": "ldap", "endpoint": "https://x"}}),
            "STS configuration is only supported for the 'aws' and 'generic' Bucket providers",
        ),
        (
            json!({"provider": "aws", "serviceAccountName": "x", "secretRef": {"name": "x"}}),
            "cannot set both .spec.secretRef and .spec.serviceAccountName",
        ),
        (json!({"provider": "other"}), "Unsupported value: \"other\""),
        (json!({"interval": "1d"}), "spec.interval"),
    ];
    for (spec, words) in rows {
        let mut whole = json!({"bucketName": "a", "endpoint": "b", "interval": "1m"});
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let object = json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "Bucket",
            "metadata": {"name": "wrong"}, "spec": whole});
        let path =
            format!("/apis/source.toolkit.fluxcd.io/v1/namespaces/{}/buckets", world.namespace);
        let refused = world.api.create(&path, &object).await.unwrap_err();
        let said = refused.status["message"].as_str().unwrap();
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_followed_on_a_real_server() {
    let Some(mut world) = World::real().await else { return };
    let first = world.web("1.0.0", "", &[]).await;
    let count = world.server.etags.len();
    world.run(&both());
    let release = world.runs("1.0.0").await;
    assert_eq!(release["status"]["lastAttemptedRevision"], "1.0.0");
    let source = world.stored(&first).await;
    let (status, name) = (&source["status"], &world.namespace);
    let hex = first.strip_prefix("sha256:").unwrap();
    assert_eq!(status["artifact"]["path"], json!(format!("bucket/{name}/web/{hex}.tar.gz")));
    let url = format!("{}/{BUCKET}@{first}", world.server.bucket.url());
    assert_eq!(status["artifact"]["url"], json!(url));
    assert_eq!(status["observedGeneration"], 1);
    let message = format!("stored artifact: revision '{first}'");
    for kind in ["Ready", "ArtifactInStorage"] {
        let found = condition(&source, kind).unwrap();
        assert_eq!((&found["reason"], &found["message"]), (&json!("Succeeded"), &json!(message)));
    }
    let event = format!("stored artifact with {count} fetched files from '{BUCKET}' bucket");
    world.has_event("NewArtifact", &event).await;
    is_defined_as_by_flux(&world).await;
    world.web("1.1.0", "", &[]).await;
    world.runs("1.1.0").await;
    // One that never becomes ready is rolled back, and not tried again.
    world.web("1.2.0", "unready", &[]).await;
    until("1.2.0 is rolled back", SOON, async || {
        let release = world.release().await;
        let held = condition(&release, "VersionHeld").is_some_and(|c| c["reason"] == "Quarantine");
        let back = held && release["status"]["history"][0]["action"] == "rollback";
        if back { Ok(()) } else { Err(release["status"].to_string()) }
    })
    .await;
    let back = world.runs("1.1.0").await;
    let revision = back["status"]["history"][0]["version"].clone();
    world
        .stays("1.1.0 stays", |release| release["status"]["history"][0]["version"] == revision)
        .await;
    // What is stored anew is taken, also where it leads back.
    world.web("1.0.0", "", &[]).await;
    world.runs("1.0.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_but_the_list() {
    let Some(mut world) = World::start().await else { return };
    let revision = world.web("1.0.0", "", &[]).await;
    world.run(&both());
    world.runs("1.0.0").await;
    world.stored(&revision).await;
    let count = world.server.etags.len();
    let fetched = |asked: &[String]| asked.iter().filter(|key| !key.is_empty()).count();
    // Each object once, by whoever wanted it first.
    assert_eq!(fetched(&world.server.bucket.asked()), count);
    let more = async |world: &World, count: usize| {
        let before = world.server.bucket.asked().len();
        until("more questions", SOON, async || {
            let asked = world.server.bucket.asked().len();
            if asked >= before + count { Ok(()) } else { Err(asked.to_string()) }
        })
        .await;
    };
    let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
    until("nothing is written any more", SOON, async || {
        let release = world.release().await;
        more(&world, 1).await;
        version(&release) == version(&world.release().await)
    })
    .await;
    let (source, release) = (world.source().await, world.release().await);
    more(&world, 3).await;
    assert_eq!(fetched(&world.server.bucket.asked()), count);
    assert_eq!(version(&world.source().await), version(&source));
    assert_eq!(version(&world.release().await), version(&release));
    // A process that starts anew finds all in the cache.
    world.restart();
    more(&world, 3).await;
    assert_eq!(fetched(&world.server.bucket.asked()), count);
    assert_eq!(world.release().await["status"]["history"][0]["version"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_behind_the_list_is_what_was_fetched() {
    let Some(mut world) = World::start().await else { return };
    world
        .web(
            "1.0.0",
            "",
            &[("charts/web/old.txt", "x"), ("charts/web/values.yaml", "message: a\n")],
        )
        .await;
    // One is another one when it is fetched, and one is gone.
    world.server.bucket.behind_the_list(&[
        ("charts/web/values.yaml", Some("message: b\n")),
        ("charts/web/old.txt", None),
    ]);
    world.run(&both());
    world.runs("1.0.0").await;
    world.says("b").await;
    let etag = world.server.bucket.put("charts/web/values.yaml", "message: b\n").await;
    world.server.etags.insert("charts/web/values.yaml".to_owned(), etag);
    world.server.etags.remove("charts/web/old.txt");
    let source = world.stored(&world.revision()).await;
    let ready = condition(&source, "Ready").unwrap();
    assert_eq!(
        ready["message"],
        json!(format!("stored artifact: revision '{}'", world.revision()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn prefixes_and_rules_say_what_is_taken() {
    let Some(mut world) = World::start().await else { return };
    let more = [
        (".sourceignore", "*.md\n/other\n"),
        ("README.md", "x"),
        ("other/a.txt", "x"),
        ("charts/a.png", "x"),
        ("charts/web/notes.md", "x"),
        ("charts/web/keep.md", "x"),
        ("prod/values.yaml", "message: prod\n"),
    ];
    world.web("1.0.0", "", &more).await;
    // More than one page, of which a rule leaves out the first.
    world.server.bucket.fill("many", 1100);
    let source =
        SOURCE.replace("insecure: true", "insecure: true, ignore: \"!keep.md\\n/many/0*\"");
    world.run(&(source + RELEASE));
    world.runs("1.0.0").await;
    world.restart_with(&["--storage-addr", "127.0.0.1:0"]);
    let taken = async |world: &World, count: usize| {
        let event = format!("stored artifact with {count} fetched files from '{BUCKET}' bucket");
        world.has_event("NewArtifact", &event).await;
        let (source, packed) = until("it is served", SOON, async || {
            let source = world.source().await;
            let url = source["status"]["url"].as_str().unwrap_or_default().to_owned();
            let answer = reqwest::get(&url).await.map_err(|error| error.to_string())?;
            let is_there = url.ends_with("/latest.tar.gz") && answer.status().is_success();
            let bytes = answer.bytes().await.map_err(|error| error.to_string())?;
            let digest = format!("sha256:{}", hex(&sha2::Sha256::digest(&bytes)));
            let is_it = is_there && source["status"]["artifact"]["digest"] == json!(digest);
            if is_it { Ok((source, bytes)) } else { Err(source["status"].to_string()) }
        })
        .await;
        let names: Vec<String> = entries(&packed).into_keys().collect();
        (source, names)
    };
    let charts = web_files("1.0.0", "").len();
    let (source, names) = taken(&world, charts + 103).await;
    assert_eq!(source["status"]["observedIgnore"], "!keep.md\n/many/0*");
    let has = |name: &str| names.iter().any(|one| one == name);
    for name in [
        ".sourceignore",
        "charts/a.png",
        "charts/web/keep.md",
        "many/1099.yaml",
        "prod/values.yaml",
    ] {
        assert!(has(name), "{name}: {names:?}");
    }
    for name in ["README.md", "other/a.txt", "charts/web/notes.md", "many/0999.yaml"] {
        assert!(!has(name), "{name}: {names:?}");
    }
    // Keys keep what they begin with.
    world.change(SOURCES, "web", &json!({"spec": {"prefix": "charts/web/", "ignore": null}})).await;
    let (source, names) = taken(&world, charts).await;
    assert!(source["status"].get("observedIgnore").is_none(), "{source}");
    assert!(names.contains(&"charts/web/Chart.yaml".to_owned()), "{names:?}");
    assert!(names.contains(&".sourceignore".to_owned()), "{names:?}");
    assert!(
        !names.iter().any(|name| name.starts_with("many") || name.ends_with(".md")),
        "{names:?}"
    );
    world.runs("1.0.0").await;
}

/// Stores the chart with dependencies, one of them in this repository; returns the revision.
async fn dependent(world: &mut World, repository: &Repository) -> String {
    let map = |name: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: {{{{ .Values.a }}}}}}\n"
        )
    };
    let far = [
        ("Chart.yaml", "apiVersion: v2\nname: far\nversion: 3.0.0\n".to_owned()),
        ("values.yaml", "a: far\n".to_owned()),
        ("templates/a.yaml", map("far")),
    ];
    repository.publish_package(Package::files(far));
    let chart = format!(
        "apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies:\n\
         - {{name: common, version: 1.x, repository: \"file://../common\"}}\n\
         - {{name: far, version: 3.x, repository: \"{}\"}}\n",
        repository.url()
    );
    let common = map("common");
    let more = [
        ("charts/web/Chart.yaml", chart.as_str()),
        ("charts/common/Chart.yaml", "apiVersion: v2\nname: common\nversion: 1.2.0\n"),
        ("charts/common/values.yaml", "a: b\n"),
        ("charts/common/templates/a.yaml", common.as_str()),
        ("prod/values.yaml", "message: prod\n"),
    ];
    world.web("1.0.0", "", &more).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_in_a_bucket_is_packed() {
    let Some(mut world) = World::start().await else { return };
    let repository = Repository::start();
    let first = dependent(&mut world, &repository).await;
    // With a `HelmChart`, where each revision counts.
    let named = RELEASE.replace(
        "chart:\n    spec:\n      chart: charts/web\n      sourceRef: {kind: Bucket, name: web}",
        "chartRef: {kind: HelmChart, name: web}",
    );
    world.run(&(SOURCE.to_owned() + CHART + &named));
    let by = |revision: &str| format!("1.0.0+{}", &revision["sha256:".len()..][..12]);
    world.runs(&by(&first)).await;
    world.says("hello").await;
    for name in ["common", "far"] {
        let path = format!("/api/v1/namespaces/{}/configmaps/{name}", world.namespace);
        assert!(world.api.get(&path).await.is_some(), "{name}");
    }
    let object = world.object(CHARTS, "web").await;
    assert_eq!(object["status"]["observedSourceArtifactRevision"], json!(first));
    let message = format!("packaged 'web' chart with version '{}'", by(&first));
    assert_eq!(condition(&object, "Ready").unwrap()["message"], message);
    // Values files are found from the root of the bucket.
    let files = json!(["charts/web/values.yaml", "none.yaml", "prod/values.yaml"]);
    let files = json!({"spec": {"valuesFiles": files, "ignoreMissingValuesFiles": true}});
    world.change(CHARTS, "web", &files).await;
    world.runs(&format!("{}.2", by(&first))).await;
    world.says("prod").await;
    // The same without a `HelmChart`, where the version counts.
    let source = json!({"kind": "Bucket", "name": "web"});
    let files = json!(["charts/web/values.yaml", "prod/values.yaml"]);
    let direct = json!({"chart": "charts/web", "sourceRef": source, "valuesFiles": files});
    let direct = json!({"spec": {"chartRef": null, "chart": {"spec": direct}}});
    world.change(RELEASES, "web", &direct).await;
    // A digest may begin as the number does.
    until("the version counts", SOON, async || {
        let release = world.runs("1.0.0+2").await;
        let version = &release["status"]["history"][0]["chartVersion"];
        if version == "1.0.0+2" { Ok(()) } else { Err(version.to_string()) }
    })
    .await;
    world.says("prod").await;
    // A path that is no chart waits for another revision.
    let away = json!({"spec": {"chart": {"spec": {"chart": "charts/none"}}}});
    world.change(RELEASES, "web", &away).await;
    let words = "invalid chart reference: there is nothing at 'charts/none'";
    world.refuses(RELEASES, "SourceNotReady", words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_is_found_out_and_a_proxy_is_asked() {
    let Some(bucket) = Bucket::start_in("eu-west-9") else { return };
    let Some(mut world) = World::over(bucket).await else { return };
    let revision = world.web("1.0.0", "", &[]).await;
    let (address, own) = (world.server.bucket.url(), world.server.bucket.endpoint());
    world.run(&both().replace("ENDPOINT", &own));
    world.stored(&revision).await;
    world.runs("1.0.0").await;
    world.secret("proxy", &json!({"address": address, "username": "me", "password": "pw"})).await;
    // A name that only the proxy knows.
    let through = json!({"endpoint": "store.example:9000", "region": "eu-west-9",
        "proxySecretRef": {"name": "proxy"}});
    world.change(SOURCES, "web", &json!({"spec": through})).await;
    until("the proxy is asked", SOON, async || {
        let login = world.server.bucket.proxy_login();
        if login.as_deref() == Some("Basic bWU6cHc=") { Ok(()) } else { Err(format!("{login:?}")) }
    })
    .await;
    let url = json!(format!("http://store.example:9000/{BUCKET}@{revision}"));
    until("it is stored", SOON, async || {
        let artifact = world.stored(&revision).await["status"]["artifact"].clone();
        if artifact["url"] == url { Ok(()) } else { Err(artifact.to_string()) }
    })
    .await;
}
