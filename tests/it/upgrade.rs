//! The main job on a real API server: upgrade by itself, roll back, remember, respect people.

use serde_json::{Value, json};

use crate::support::api::{Api, condition};
use crate::support::chart::{web, yaml};
use crate::support::control_plane::ControlPlane;
use crate::support::helm::Helm;
use crate::support::leadsman::{Leadsman, Running};
use crate::support::repository::Repository;
use crate::support::wait::{SOON, throughout, until};

/// A release under `leadsman run`.
pub(crate) struct World {
    pub(crate) api: Api,
    pub(crate) namespace: String,
    pub(crate) repository: Repository,
    leadsman: Leadsman,
    _running: Running,
}

impl World {
    pub(crate) async fn start(cluster: &'static ControlPlane, stem: &str, spec: &str) -> Self {
        let api = cluster.api().await;
        let namespace = api.create_namespace(stem).await;
        let repository = Repository::start();
        repository.publish_package(web("1.0.0", ""));
        let leadsman = Leadsman::new().kubeconfig(&cluster.kubeconfig());
        leadsman.file("source/web.yaml", &yaml(&namespace, "web", &repository.url(), spec));
        let running = leadsman.spawn(&["run", "source", "-n", &namespace, "--interval", "1s"]);
        Self { api, namespace, repository, leadsman, _running: running }
    }

    pub(crate) async fn release(&self) -> Value {
        let path = format!(
            "/apis/helm.toolkit.fluxcd.io/v2/namespaces/{}/helmreleases/web",
            self.namespace
        );
        self.api.get(&path).await.unwrap_or_default()
    }

    /// Waits until this version runs, and the release says that it is ready.
    pub(crate) async fn runs(&self, version: &str) -> Value {
        until(&format!("{version} runs"), SOON, async || {
            let release = self.release().await;
            let newest = &release["status"]["history"][0];
            let ready = condition(&release, "Ready").is_some_and(|c| c["status"] == "True");
            let done = release["status"]["observedGeneration"] == release["metadata"]["generation"]
                && condition(&release, "Reconciling").is_none();
            let good = newest["chartVersion"] == version && newest["status"] == "deployed";
            let good = good && ready && done;
            if good { Ok(release) } else { Err(release["status"].to_string()) }
        })
        .await
    }

    /// Waits until a version is quarantined, and another one was returned to.
    pub(crate) async fn is_back_from(&self, version: &str, to: &str) {
        until(&format!("{version} is rolled back"), SOON, async || {
            let release = self.release().await;
            let held = is_quarantined(&release);
            let newest = &release["status"]["history"][0];
            let back = newest["chartVersion"] == to && newest["action"] == "rollback";
            if held && back { Ok(()) } else { Err(release["status"].to_string()) }
        })
        .await;
    }

    pub(crate) async fn command(&self, arguments: &[&str]) -> String {
        let mut all = arguments.to_vec();
        all.extend(["-n", &self.namespace]);
        self.leadsman.run(&all).await.success()
    }
}

/// Whether a version is held back because it failed.
pub(crate) fn is_quarantined(release: &Value) -> bool {
    condition(release, "VersionHeld").is_some_and(|held| held["reason"] == "Quarantine")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_fails_is_rolled_back_and_not_tried_again() {
    let Some(cluster) = ControlPlane::shared() else { return };
    let Some(helm) = Helm::find() else { return };
    let world = World::start(cluster, "quarantine", "").await;
    world.runs("1.0.0").await;
    world.repository.publish_package(web("1.1.0", ""));
    world.runs("1.1.0").await;
    // The next one never becomes ready.
    world.repository.publish_package(web("1.2.0", "unready"));
    world.is_back_from("1.2.0", "1.1.0").await;
    let release = world.runs("1.1.0").await;
    let revision = release["status"]["history"][0]["version"].clone();
    let why = world.command(&["why", "web"]).await;
    for part in
        ["1.2.0", &format!("Deployment/{}/web", world.namespace), "container `main`", "Ready"]
    {
        assert!(why.contains(part), "{why}\nlacks {part}");
    }
    // Three more intervals and more: nothing new is tried.
    throughout("no further revision", std::time::Duration::from_secs(4), async || {
        let seen = world.release().await["status"]["history"][0]["version"].clone();
        if seen == revision { Ok(()) } else { Err(seen.to_string()) }
    })
    .await;
    let helm = helm.kubeconfig(&cluster.kubeconfig());
    let history = helm.json(&["history", "web", "-n", &world.namespace, "-o", "json"]).await;
    let statuses: Vec<_> =
        history.as_array().unwrap().iter().map(|row| row["status"].clone()).collect();
    assert_eq!(statuses, ["superseded", "superseded", "failed", "deployed"]);
    // A newer version is taken.
    world.repository.publish_package(web("1.3.0", ""));
    world.runs("1.3.0").await;
    let same = helm.ok(&["get", "manifest", "web", "-n", &world.namespace]).await;
    assert_eq!(world.command(&["get", "manifest", "web"]).await, same);
    // People are respected: a pin, and a rollback by helm.
    world.command(&["pin", "web", "1.1.0"]).await;
    world.runs("1.1.0").await;
    world.command(&["unpin", "web"]).await;
    world.runs("1.3.0").await;
    let back = world.release().await["status"]["history"][1]["version"].to_string();
    helm.ok(&["rollback", "web", &back, "-n", &world.namespace, "--force-conflicts"]).await;
    world.runs("1.1.0").await;
    until("the version that was left is held back", SOON, async || {
        let release = world.release().await;
        let held = condition(&release, "VersionHeld").cloned().unwrap_or_default();
        let text = held["message"].as_str().unwrap_or_default();
        let good = text.contains("1.3.0") && text.contains("rolled back by hand");
        if good { Ok(()) } else { Err(release["status"].to_string()) }
    })
    .await;
    world.runs("1.1.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_change_by_hand_is_put_right() {
    let Some(cluster) = ControlPlane::shared() else { return };
    let world = World::start(cluster, "drift", "  driftDetection: {mode: enabled}\n").await;
    world.runs("1.0.0").await;
    let path = format!("/apis/apps/v1/namespaces/{}/deployments/web", world.namespace);
    world.api.merge(&path, &json!({"spec": {"replicas": 0}})).await;
    let restored = async || {
        let deployment = world.api.get(&path).await.unwrap_or_default();
        let ready =
            deployment["status"]["readyReplicas"] == 1 && deployment["spec"]["replicas"] == 1;
        if ready { Ok(()) } else { Err(deployment.to_string()) }
    };
    until("the Deployment is scaled back", SOON, restored).await;
    let events = world.api.list(&format!("/api/v1/namespaces/{}/events", world.namespace)).await;
    assert!(events.iter().any(|event| event["reason"] == "DriftCorrected"), "{events:?}");
    let history = world.command(&["history", "web"]).await;
    assert!(history.contains("corrected 2") && history.contains("Deployment/"), "{history}");
    // The whole namespace is deleted: it is rebuilt from SOURCE.
    world.api.delete(&format!("/api/v1/namespaces/{}", world.namespace)).await;
    until("the namespace is going", SOON, async || {
        let found = world.api.get(&format!("/api/v1/namespaces/{}", world.namespace)).await;
        found.is_none_or(|found| found["status"]["phase"] == "Terminating")
    })
    .await;
    until("the Deployment is rebuilt", SOON * 2, restored).await;
    world.runs("1.0.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_or_downloaded_while_all_is_in_sync() {
    let Some(cluster) = ControlPlane::shared() else { return };
    let world = World::start(cluster, "quiet", "").await;
    let release = world.runs("1.0.0").await;
    let downloads = world.repository.count("/web-1.0.0.tgz", 200);
    assert_eq!(downloads, 1);
    let fresh = world.repository.count("/index.yaml", 200);
    until("some intervals pass", SOON, async || world.repository.count("/index.yaml", 304) > 3)
        .await;
    assert_eq!(world.repository.count("/index.yaml", 200), fresh);
    assert_eq!(world.repository.count("/web-1.0.0.tgz", 200), downloads);
    let later = world.release().await;
    assert_eq!(later["metadata"]["resourceVersion"], release["metadata"]["resourceVersion"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_user_follows_flux_and_a_deleted_release_is_uninstalled() {
    let Some(cluster) = ControlPlane::shared() else { return };
    let world = World::start(cluster, "user", "").await;
    world.runs("1.0.0").await;
    // The user asks for another version that fails: it stays failed, as in Flux.
    world.repository.publish_package(web("2.0.0", "crash"));
    let path =
        format!("/apis/helm.toolkit.fluxcd.io/v2/namespaces/{}/helmreleases/web", world.namespace);
    let text = yaml(&world.namespace, "web", &world.repository.url(), "").replace("1.x", "2.x");
    world.leadsman.file("source/web.yaml", &text);
    until("it is stalled", SOON, async || {
        let release = world.release().await;
        let stalled =
            condition(&release, "Stalled").is_some_and(|c| c["reason"] == "RetriesExceeded");
        if stalled { Ok(()) } else { Err(release["status"].to_string()) }
    })
    .await;
    let release = world.release().await;
    assert_eq!(condition(&release, "Ready").unwrap()["reason"], "UpgradeFailed");
    assert_eq!(release["status"]["history"][0]["status"], "failed");
    assert_eq!(release["status"]["upgradeFailures"], 1);
    // What vanishes from SOURCE stays; what is deleted in the cluster is uninstalled, then made anew.
    world.leadsman.file("source/web.yaml", "");
    world.api.delete(&path).await;
    until("it is uninstalled", SOON, async || {
        let deployment = format!("/apis/apps/v1/namespaces/{}/deployments/web", world.namespace);
        let secrets =
            world.api.list(&format!("/api/v1/namespaces/{}/secrets", world.namespace)).await;
        let left = world.api.get(&deployment).await.is_some() || !secrets.is_empty();
        if left { Err(format!("{} secrets", secrets.len())) } else { Ok(()) }
    })
    .await;
    // Its finalizer goes after them.
    until("the HelmRelease is gone", SOON, async || world.api.get(&path).await.is_none()).await;
}
