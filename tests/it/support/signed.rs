//! Signed charts that were recorded (tests/parts/signer), pushed into a registry.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use leadsman::base::digest::Digest;
use serde::Deserialize;
use serde_json::{Value, json};

use super::registry::Registry;
use super::root;

/// Media types of manifests, and of lists of them.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// What was recorded: charts, keys and roots, and what is signed how.
#[derive(Debug, Deserialize)]
pub(crate) struct Record {
    charts: BTreeMap<String, Chart>,
    /// Keys, certificates and trusted roots, by name.
    pub(crate) texts: BTreeMap<String, String>,
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Chart {
    manifest: String,
    config: String,
    layer: String,
}

#[derive(Debug, Deserialize)]
struct Case {
    name: String,
    pushed: Option<Vec<Pushed>>,
}

#[derive(Debug, Deserialize)]
struct Pushed {
    tag: Option<String>,
    manifest: String,
    blobs: Vec<String>,
}

impl Record {
    /// Reads it.
    pub(crate) fn read() -> Self {
        let text = std::fs::read_to_string(root().join("tests/golden/signatures.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Returns the digest of version 1.0.0.
    pub(crate) fn digest(&self) -> String {
        Digest::of(&self.charts["1.0.0"].manifest).to_string()
    }

    /// Pushes chart `web` with its versions 1.0.0 and 2.0.0, of which the first is signed as in a
    /// case, to the repository `PATH/web`.
    pub(crate) async fn push(&self, registry: &Registry, path: &str, case: &str) {
        let to = Push::new(registry, path);
        for (version, chart) in &self.charts {
            to.blob(chart.config.clone().into_bytes()).await;
            to.blob(STANDARD.decode(&chart.layer).unwrap()).await;
            to.manifest(version, MANIFEST, &chart.manifest).await;
        }
        self.sign(registry, path, case).await;
    }

    /// Pushes the signatures of a case alone.
    pub(crate) async fn sign(&self, registry: &Registry, path: &str, case: &str) {
        let to = Push::new(registry, path);
        let mut about: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let case = self.cases.iter().find(|one| one.name == case).unwrap();
        for pushed in case.pushed.iter().flatten() {
            for blob in &pushed.blobs {
                to.blob(STANDARD.decode(blob).unwrap()).await;
            }
            let digest = Digest::of(&pushed.manifest).to_string();
            to.manifest(pushed.tag.as_ref().unwrap_or(&digest), MANIFEST, &pushed.manifest).await;
            let manifest: Value = serde_json::from_str(&pushed.manifest).unwrap();
            if let Some(subject) = manifest["subject"]["digest"].as_str() {
                let kind = match manifest["artifactType"].as_str() {
                    Some(kind) => kind,
                    None => manifest["config"]["mediaType"].as_str().unwrap(),
                };
                about.entry(subject.to_owned()).or_default().push(json!({
                    "mediaType": MANIFEST, "digest": digest, "size": pushed.manifest.len(),
                    "artifactType": kind,
                }));
            }
        }
        // The registry knows no lists of what is about what: a tag has each.
        for (subject, manifests) in about {
            let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
            to.manifest(&subject.replace(':', "-"), INDEX, &index.to_string()).await;
        }
    }

    /// Pushes version 1.0.0 with other bytes of its manifest.
    pub(crate) async fn tamper(&self, registry: &Registry, path: &str) {
        let manifest = &self.charts["1.0.0"].manifest;
        Push::new(registry, path).manifest("1.0.0", MANIFEST, &format!("{manifest}\n")).await;
    }
}

/// A repository that is pushed to.
struct Push {
    client: reqwest::Client,
    url: String,
}

impl Push {
    fn new(registry: &Registry, path: &str) -> Self {
        // The first one counts.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { client, url: format!("http://{}/v2/{path}/web", registry.address()) }
    }

    async fn blob(&self, bytes: Vec<u8>) {
        let begun = self.client.post(format!("{}/blobs/uploads/", self.url)).send().await.unwrap();
        let place = begun.headers()["location"].to_str().unwrap();
        let place = begun.url().join(place).unwrap();
        let digest = Digest::of(&bytes);
        let joint = if place.query().is_some() { '&' } else { '?' };
        let put = self.client.put(format!("{place}{joint}digest={digest}")).body(bytes);
        let ended = put.send().await.unwrap();
        assert_eq!(ended.status(), 201, "{:?}", ended.text().await);
    }

    async fn manifest(&self, name: &str, kind: &str, text: &str) {
        let put = self.client.put(format!("{}/manifests/{name}", self.url));
        let put = put.header("content-type", kind).body(text.to_owned());
        let ended = put.send().await.unwrap();
        assert_eq!(ended.status(), 201, "{:?}", ended.text().await);
    }
}
