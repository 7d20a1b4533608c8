//! A release `web` and its source of the same name under `leadsman run`, and what becomes of them.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::time::Duration;

use leadsman::sim::{self, Sim, SimOptions};
use serde_json::{Value, json};

use super::api::{Api, condition};
use super::control_plane::ControlPlane;
use super::leadsman::{Leadsman, Running};
use super::wait::{SOON, throughout, until};

/// Where releases are.
pub(crate) const RELEASES: &str = "helm.toolkit.fluxcd.io/v2/helmreleases";

/// A stage, and the server of its sources.
pub(crate) struct Served<S> {
    pub(crate) stage: Stage,
    pub(crate) server: S,
}

impl<S> Deref for Served<S> {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.stage
    }
}

impl<S> DerefMut for Served<S> {
    fn deref_mut(&mut self) -> &mut Stage {
        &mut self.stage
    }
}

/// A namespace of a cluster, and `leadsman run` that attends to it.
pub(crate) struct Stage {
    pub(crate) api: Api,
    pub(crate) namespace: String,
    pub(crate) leadsman: Leadsman,
    running: Option<Running>,
    /// Where sources of this kind are.
    sources: &'static str,
    _simulated: Option<sim::Served>,
}

impl Stage {
    /// On the simulated API server.
    pub(crate) async fn simulated(stem: &str, sources: &'static str) -> Self {
        let served = Sim::new(SimOptions::default()).serve(([127, 0, 0, 1], 0).into()).await;
        let served = served.unwrap();
        let leadsman = Leadsman::new();
        let kubeconfig = leadsman.file("kubeconfig", &served.kubeconfig);
        Self::on(leadsman, &kubeconfig, (stem, sources), Some(served)).await
    }

    /// On a real one, or says that the test is skipped.
    pub(crate) async fn real(stem: &str, sources: &'static str) -> Option<Self> {
        let kubeconfig = ControlPlane::shared()?.kubeconfig();
        Some(Self::on(Leadsman::new(), &kubeconfig, (stem, sources), None).await)
    }

    async fn on(
        leadsman: Leadsman,
        kubeconfig: &Path,
        (stem, sources): (&str, &'static str),
        _simulated: Option<sim::Served>,
    ) -> Self {
        let api = Api::connect(kubeconfig).await;
        let namespace = api.create_namespace(stem).await;
        let leadsman = leadsman.kubeconfig(kubeconfig);
        Self { api, namespace, leadsman, running: None, sources, _simulated }
    }

    /// Runs `leadsman` with these objects.
    pub(crate) fn run(&mut self, yaml: &str) {
        self.write(yaml);
        self.restart();
    }

    /// Writes down which objects there are.
    pub(crate) fn write(&self, yaml: &str) {
        self.leadsman.file("source/all.yaml", &yaml.replace("NAMESPACE", &self.namespace));
    }

    /// Runs `leadsman` anew, with the intervals of its objects.
    pub(crate) fn restart_as_written(&mut self) {
        self.stop();
        let arguments = ["run", "source", "-n", &self.namespace];
        self.running = Some(self.leadsman.spawn(&arguments));
    }

    /// Runs `leadsman` anew, with the objects that it had.
    pub(crate) fn restart(&mut self) {
        self.restart_with(&[]);
    }

    /// Ends `leadsman`.
    pub(crate) fn stop(&mut self) {
        drop(self.running.take());
    }

    /// Runs `leadsman` anew with further flags.
    pub(crate) fn restart_with(&mut self, more: &[&str]) {
        self.stop();
        let namespace = &self.namespace;
        let arguments =
            [&["run", "source", "-n", namespace, "--interval", "1s"][..], more].concat();
        self.running = Some(self.leadsman.spawn(&arguments));
    }

    /// Runs `leadsman` anew where no file may grow beyond so many blocks, as on a full disk.
    pub(crate) fn restart_limited(&mut self, blocks: u32) {
        self.stop();
        let arguments = ["run", "source", "-n", &self.namespace, "--interval", "1s"];
        self.running = Some(self.leadsman.spawn_limited(blocks, &arguments));
    }

    /// Returns the path of an object; `group` ends with the plural of its kind.
    pub(crate) fn path(&self, group: &str, name: &str) -> String {
        let (group, plural) = group.rsplit_once('/').unwrap();
        format!("/apis/{group}/namespaces/{}/{plural}/{name}", self.namespace)
    }

    /// Returns an object; `group` ends with the plural of its kind.
    pub(crate) async fn object(&self, group: &str, name: &str) -> Value {
        self.api.get(&self.path(group, name)).await.unwrap_or_default()
    }

    /// Changes an object; the folder says nothing of it any more: it would be applied again.
    pub(crate) async fn change(&self, group: &str, name: &str, patch: &Value) {
        self.write("");
        self.api.merge(&self.path(group, name), patch).await;
    }

    /// Returns the release.
    pub(crate) async fn release(&self) -> Value {
        self.object(RELEASES, "web").await
    }

    /// Returns the source.
    pub(crate) async fn source(&self) -> Value {
        self.object(self.sources, "web").await
    }

    /// Waits until a version runs that begins so.
    pub(crate) async fn runs(&self, version: &str) -> Value {
        until(&format!("{version} runs"), SOON, async || {
            let release = self.release().await;
            let newest = &release["status"]["history"][0];
            let ready = condition(&release, "Ready").is_some_and(|c| c["status"] == "True");
            let is_it = newest["chartVersion"].as_str().is_some_and(|v| v.starts_with(version));
            let good = is_it && newest["status"] == "deployed" && ready;
            if good { Ok(release) } else { Err(release["status"].to_string()) }
        })
        .await
    }

    /// Waits until the artifact is of this revision.
    pub(crate) async fn stored(&self, revision: &str) -> Value {
        until(&format!("{revision} is stored"), SOON, async || {
            let source = self.source().await;
            let ready = condition(&source, "Ready").is_some_and(|c| c["status"] == "True");
            let good = ready && source["status"]["artifact"]["revision"] == revision;
            if good { Ok(source) } else { Err(source["status"].to_string()) }
        })
        .await
    }

    /// Waits until an object says that it is not ready, for this reason and in such words.
    pub(crate) async fn refuses(&self, group: &str, reason: &str, words: &str) -> Value {
        until(&format!("{reason}: {words}"), SOON, async || {
            let object = self.object(group, "web").await;
            let ready = condition(&object, "Ready").cloned().unwrap_or_default();
            let said = ready["message"].as_str().is_some_and(|text| text.contains(words));
            let good = ready["status"] == "False" && ready["reason"] == reason && said;
            if good { Ok(object) } else { Err(object["status"].to_string()) }
        })
        .await
    }

    /// Checks that something of the release stays so for a while.
    pub(crate) async fn stays(&self, what: &str, is_so: impl Fn(&Value) -> bool) {
        throughout(what, Duration::from_secs(3), async || {
            let release = self.release().await;
            if is_so(&release) { Ok(()) } else { Err(release["status"].to_string()) }
        })
        .await;
    }

    /// Checks that the first revision outlasts a source that is away: it stays ready, and stays deployed
    /// even where a process starts anew without its cache.
    pub(crate) async fn outlasts(&mut self, words: &str) {
        let ready = |release: &Value| {
            condition(release, "Ready").is_some_and(|c| c["status"] == "True")
                && release["status"]["history"][0]["version"] == 1
        };
        self.stays("web stays ready", ready).await;
        std::fs::remove_dir_all(self.leadsman.cache()).unwrap();
        self.restart();
        self.refuses(RELEASES, "SourceNotReady", words).await;
        let deployed = |release: &Value| release["status"]["history"][0]["status"] == "deployed";
        self.stays("web stays", deployed).await;
    }

    /// Waits until this is what the release's ConfigMap says.
    pub(crate) async fn says(&self, message: &str) {
        let path = format!("/api/v1/namespaces/{}/configmaps/web", self.namespace);
        until(&format!("it says {message}"), SOON, async || {
            let said = self.api.get(&path).await.unwrap_or_default()["data"]["message"].clone();
            if said == message { Ok(()) } else { Err(said.to_string()) }
        })
        .await;
    }

    /// Creates a Secret.
    pub(crate) async fn secret(&self, name: &str, data: &Value) {
        let path = format!("/api/v1/namespaces/{}/secrets", self.namespace);
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "stringData": data});
        self.api.create(&path, &secret).await.unwrap();
    }

    /// Waits until an event says this.
    pub(crate) async fn has_event(&self, reason: &str, message: &str) {
        self.event(reason, message).await;
    }

    /// Waits until an event says this, and returns it.
    pub(crate) async fn event(&self, reason: &str, message: &str) -> Value {
        let path = format!("/api/v1/namespaces/{}/events", self.namespace);
        until(&format!("the event {reason}: {message}"), SOON, async || {
            let events = self.api.list(&path).await;
            let is_it = |event: &&Value| event["reason"] == reason && event["message"] == message;
            let found = events.iter().find(is_it).cloned();
            found.ok_or_else(|| Value::from(events).to_string())
        })
        .await
    }
}
