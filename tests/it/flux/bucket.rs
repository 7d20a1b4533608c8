//! What Flux's source-controller makes of a bucket, and Leadsman has to make, too: revision, files,
//! conditions. The bucket is one of Versity's gateway; `tests/golden/flux-bucket.json` is what
//! Flux said, row by row.
//!
//! `tests/parts/build flux s3`, then `LEADSMAN_RECORD=all cargo test --test it flux::bucket -- --ignored`.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::record::controllers;
use super::rows;
use crate::support::api::{Api, condition};
use crate::support::bucket::{Bucket, KEYS};
use crate::support::control_plane::ControlPlane;
use crate::support::pack::entries;
use crate::support::wait::{SOON, until};
use crate::support::{parts, root};

const SOURCES: &str = "source.toolkit.fluxcd.io/v1/buckets";

/// Objects of the bucket.
const OBJECTS: [(&str, &str); 9] = [
    (".sourceignore", "*.md\n/tmp/\n# nothing else\n"),
    ("README.md", "x"),
    ("tmp/a.txt", "x"),
    ("charts/web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n"),
    ("charts/web/templates/a b+c.yaml", "x"),
    ("charts/ü.png", "x"),
    ("charts/.gitignore", "x"),
    ("charts.txt", "x"),
    ("empty/", ""),
];

/// What is wanted of it: a name, and what is set beside the usual.
fn rows() -> Vec<(&'static str, Value)> {
    vec![
        ("all", json!({})),
        ("prefix", json!({"prefix": "charts/"})),
        ("prefix-of-nothing", json!({"prefix": "none/"})),
        ("ignore", json!({"ignore": "/*\n!/charts\n"})),
        ("ignore-taken-back", json!({"ignore": "!README.md\ncharts/web/\n"})),
        ("ignore-of-a-folder", json!({"ignore": "charts/web/\n!charts/web/Chart.yaml\n"})),
        ("aws", json!({"provider": "aws"})),
        ("region", json!({"region": "us-east-1"})),
        ("no-bucket", json!({"bucketName": "none"})),
        ("wrong-key", json!({"secretRef": {"name": "wrong"}})),
        ("half-a-login", json!({"secretRef": {"name": "half"}})),
        ("no-secret", json!({"secretRef": {"name": "none"}})),
        ("no-certificates", json!({"certSecretRef": {"name": "half"}})),
    ]
}

fn recording() -> PathBuf {
    root().join("tests/golden/flux-bucket.json")
}

/// Puts the objects, creates a source for each row, and returns what becomes of each.
async fn play(api: &Api, namespace: &str, bucket: &Bucket) -> Map<String, Value> {
    for (key, text) in OBJECTS {
        bucket.put(key, text).await;
    }
    let secrets = format!("/api/v1/namespaces/{namespace}/secrets");
    for (name, data) in [
        ("login", json!({"accesskey": KEYS.0, "secretkey": KEYS.1})),
        ("wrong", json!({"accesskey": KEYS.0, "secretkey": "wrong"})),
        ("half", json!({"accesskey": KEYS.0})),
    ] {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "stringData": data});
        api.create(&secrets, &secret).await.unwrap();
    }
    let path = format!("/apis/source.toolkit.fluxcd.io/v1/namespaces/{namespace}/buckets");
    for (name, more) in rows() {
        let mut spec = json!({"interval": "1h", "bucketName": "shop", "insecure": true,
            "endpoint": bucket.store(), "secretRef": {"name": "login"}});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let object = json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "Bucket",
            "metadata": {"name": name}, "spec": spec});
        api.create(&path, &object).await.unwrap();
    }
    let mut seen = Map::new();
    for (name, _) in rows() {
        let object = until(&format!("{name} is looked at"), SOON, async || {
            let object = api.get(&format!("{path}/{name}")).await.unwrap_or_default();
            let ready = condition(&object, "Ready").cloned().unwrap_or_default();
            let is_stored = object["status"]["artifact"].is_object();
            let ended = ready["status"] == "False" || ready["status"] == "True" && is_stored;
            if ended { Ok(object) } else { Err(object["status"].to_string()) }
        })
        .await;
        let text = outcome(&object).await.to_string();
        let text = text.replace(namespace, "NAMESPACE").replace(&bucket.store(), "STORE");
        seen.insert(name.to_owned(), serde_json::from_str(&text).unwrap());
    }
    seen
}

/// What counts of a source: of what failed, Flux's own words, not those of its client.
async fn outcome(object: &Value) -> Value {
    let status = &object["status"];
    let lasting = ["Ready", "ArtifactInStorage", "FetchFailed", "Stalled"];
    let conditions = rows::conditions(status, &lasting, |message| {
        rows::without_causes(message, "failed to confirm existence")
    });
    let artifact = &status["artifact"];
    let mut files = json!(null);
    if let Some(url) = artifact["url"].as_str() {
        let packed = reqwest::get(url).await.unwrap().bytes().await.unwrap();
        let rows = entries(&packed).into_iter();
        files = rows.map(|(name, (mode, _))| json!(format!("{mode:o} {name}"))).collect();
    }
    let latest = status["url"].as_str().map(|url| url.rsplit('/').next().unwrap());
    json!({
        "conditions": conditions, "revision": artifact["revision"], "path": artifact["path"],
        "files": files, "latest": latest, "observedIgnore": status["observedIgnore"],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_end_as_with_flux() {
    let Some(bucket) = Bucket::start() else { return };
    let stage = rows::stage("bucket", SOURCES).await;
    let seen = play(&stage.api, &stage.namespace, &bucket).await;
    rows::compare(&recording(), &seen);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes the recording that is compared with"]
async fn record() {
    let programs = parts::flux().expect("Flux's controllers");
    let cluster = ControlPlane::shared().expect("a control plane");
    let bucket = Bucket::start().expect("an object store");
    let api = cluster.api().await;
    super::record::install_definitions(&api, &programs).await;
    let folder = tempfile::tempdir().unwrap();
    let _controllers = controllers(&programs, &cluster.kubeconfig(), folder.path());
    let namespace = api.create_namespace("bucket").await;
    let seen = play(&api, &namespace, &bucket).await;
    rows::write(&recording(), &seen);
}
