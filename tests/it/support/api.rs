//! A Kubernetes API as tests see it: plain paths and plain data, so that what a test checks does
//! not come from the code under test. Works for the real API server and for the simulated one.

use std::path::Path;
use std::time::Duration;

use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::{Value, json};

use super::wait::{SOON, until};

/// A connection.
#[derive(Clone)]
pub(crate) struct Api {
    client: kube::Client,
}

/// An answer that is not a success.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    /// The HTTP status.
    pub(crate) code: u16,
    /// The `Status` object, or the text of the body.
    pub(crate) status: Value,
}

impl Api {
    /// Connects as a kubeconfig says.
    pub(crate) async fn connect(kubeconfig: &Path) -> Self {
        Self { client: client(kubeconfig).await }
    }

    /// Returns the client beneath.
    pub(crate) fn client(&self) -> kube::Client {
        self.client.clone()
    }

    /// Returns the object or list at a path, such as `/apis/apps/v1/namespaces/x/deployments/web`;
    /// `None` when it is not there.
    pub(crate) async fn get(&self, path: &str) -> Option<Value> {
        match self.send("GET", path, "", Vec::new()).await {
            Ok(found) => Some(found),
            Err(Refused { code: 404, .. }) => None,
            Err(refused) => panic!("GET {path}: {refused:?}"),
        }
    }

    /// Returns the items at a path; none when the path is unknown.
    pub(crate) async fn list(&self, path: &str) -> Vec<Value> {
        let found = self.get(path).await.unwrap_or_default();
        found["items"].as_array().cloned().unwrap_or_default()
    }

    /// Returns number and status of the records in a namespace, in their order.
    pub(crate) async fn revisions(&self, namespace: &str) -> Vec<(u64, String)> {
        let secrets = self.list(&format!("/api/v1/namespaces/{namespace}/secrets")).await;
        let label = |secret: &Value, key: &str| {
            secret["metadata"]["labels"][key].as_str().unwrap_or_default().to_owned()
        };
        let mut found: Vec<_> = secrets
            .iter()
            .filter(|secret| label(secret, "owner") == "helm")
            .map(|secret| (label(secret, "version").parse().unwrap(), label(secret, "status")))
            .collect();
        found.sort();
        found
    }

    /// Applies an object (server-side, with force, as field manager `test`).
    pub(crate) async fn apply(&self, object: &Value) -> Value {
        self.try_apply(object).await.unwrap_or_else(|refused| panic!("apply {object}: {refused:?}"))
    }

    /// Applies an object and returns the refusal, if it is one.
    pub(crate) async fn try_apply(&self, object: &Value) -> Result<Value, Refused> {
        let path = format!("{}?fieldManager=test&force=true", self.path_of(object).await);
        let body = serde_json::to_vec(object).unwrap();
        self.send("PATCH", &path, "application/apply-patch+yaml", body).await
    }

    /// Applies each document of a YAML text.
    pub(crate) async fn apply_yaml(&self, text: &str) {
        use serde::Deserialize as _;
        for document in serde_yaml::Deserializer::from_str(text) {
            let object = Value::deserialize(document).unwrap();
            if !object.is_null() {
                self.apply(&object).await;
            }
        }
    }

    /// Applies custom resource definitions and waits until they are served.
    pub(crate) async fn install_crds(&self, definitions: &[Value]) {
        for definition in definitions {
            self.apply(definition).await;
        }
        for definition in definitions {
            let path = self.path_of(definition).await;
            until("the definition is established", SOON, async || {
                let seen = self.get(&path).await.unwrap_or_default();
                condition(&seen, "Established").is_some_and(|c| c["status"] == "True")
            })
            .await;
        }
    }

    /// Waits until releases and repositories are served, and names a repository of charts.
    pub(crate) async fn name_charts(&self, namespace: &str, url: &str) {
        until("the kinds are served", SOON, async || {
            let served = async |path: &str| self.get(path).await.is_some();
            served("/apis/helm.toolkit.fluxcd.io/v2/helmreleases").await
                && served("/apis/source.toolkit.fluxcd.io/v1/helmrepositories").await
        })
        .await;
        self.apply(&json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository",
            "metadata": {"name": "charts", "namespace": namespace},
            "spec": {"interval": "1s", "url": url},
        }))
        .await;
    }

    /// Changes an object with a merge patch.
    pub(crate) async fn merge(&self, path: &str, patch: &Value) -> Value {
        let body = serde_json::to_vec(patch).unwrap();
        let answer = self.send("PATCH", path, "application/merge-patch+json", body).await;
        answer.unwrap_or_else(|refused| panic!("PATCH {path}: {refused:?}"))
    }

    /// Creates an object in the collection at a path.
    pub(crate) async fn create(&self, path: &str, object: &Value) -> Result<Value, Refused> {
        let body = serde_json::to_vec(object).unwrap();
        self.send("POST", path, "application/json", body).await
    }

    /// Deletes an object in the background; one that is not there is as good.
    pub(crate) async fn delete(&self, path: &str) {
        let options = br#"{"propagationPolicy":"Background"}"#.to_vec();
        match self.send("DELETE", path, "application/json", options).await {
            Ok(_) | Err(Refused { code: 404, .. }) => {}
            Err(refused) => panic!("DELETE {path}: {refused:?}"),
        }
    }

    /// Makes a namespace that no other test has and returns its name.
    pub(crate) async fn create_namespace(&self, stem: &str) -> String {
        let name = format!("{stem}-{:06x}", rand::random::<u32>() & 0xff_ffff);
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        self.create("/api/v1/namespaces", &object).await.unwrap();
        name
    }

    /// Returns the path of an object, asking the API for the resource's name and scope.
    pub(crate) async fn path_of(&self, object: &Value) -> String {
        let version = object["apiVersion"].as_str().expect("an object has an apiVersion");
        let kind = object["kind"].as_str().expect("an object has a kind");
        let root = if version.contains('/') {
            format!("/apis/{version}")
        } else {
            format!("/api/{version}")
        };
        let served = self.get(&root).await.unwrap_or_else(|| panic!("{version} is not served"));
        let resource = served["resources"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|r| r["kind"] == kind && !r["name"].as_str().unwrap_or("/").contains('/'))
            .unwrap_or_else(|| panic!("{version} has no {kind}"));
        let plural = resource["name"].as_str().unwrap();
        let name = object["metadata"]["name"].as_str().expect("an object has a name");
        if resource["namespaced"] == true {
            let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
            format!("{root}/namespaces/{namespace}/{plural}/{name}")
        } else {
            format!("{root}/{plural}/{name}")
        }
    }

    /// Sends any request.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Value, Refused> {
        let mut tries = 0;
        let (code, bytes) = loop {
            let mut request = http::Request::builder().method(method).uri(path);
            if !content_type.is_empty() {
                request = request.header("content-type", content_type);
            }
            let request = request.body(Body::from(body.clone())).unwrap();
            let answer = self.client.send(request).await;
            let answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error:?}"));
            let code = answer.status();
            let bytes = answer.into_body().collect().await.unwrap().to_bytes();
            tries += 1;
            // A server says so while it makes room for new kinds.
            if code.as_u16() != 429 || tries == 20 {
                break (code, bytes);
            }
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        };
        let value = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes)));
        if code.is_success() {
            Ok(value)
        } else {
            Err(Refused { code: code.as_u16(), status: value })
        }
    }
}

/// Returns a condition of an object's status.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|c| c["type"] == kind)
}

/// Connects as a kubeconfig says; without a limit on how long a watch may be silent.
pub(crate) async fn client(kubeconfig: &Path) -> kube::Client {
    let read = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
    let options = kube::config::KubeConfigOptions::default();
    let mut config = kube::Config::from_custom_kubeconfig(read, &options).await.unwrap();
    config.read_timeout = None;
    // A test wants to see the first answer.
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    kube::Client::try_from(config).unwrap()
}
