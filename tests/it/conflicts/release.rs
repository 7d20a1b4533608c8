//! The rules of a `HelmRelease`.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::{IMAGE, REPLICAS, managers, simulated};
use crate::support::api::{Api, condition};
use crate::support::chart::{web, yaml};
use crate::support::control_plane::ControlPlane;
use crate::support::leadsman::{Leadsman, Running};
use crate::support::repository::Repository;
use crate::support::wait::{SOON, throughout, until};

/// A `HelmRelease`, and Leadsman at work on it.
struct Kept {
    api: Api,
    namespace: String,
    repository: Repository,
    leadsman: Leadsman,
    _running: Running,
}

impl Kept {
    async fn start(kubeconfig: &Path, stem: &str) -> Self {
        let api = Api::connect(kubeconfig).await;
        let namespace = api.create_namespace(stem).await;
        let repository = Repository::start();
        repository.publish_package(web("1.0.0", ""));
        let leadsman = Leadsman::new().kubeconfig(kubeconfig);
        let running = leadsman.spawn(&["run", "-n", &namespace, "--interval", "1s"]);
        for path in ["/apis/helm.toolkit.fluxcd.io/v2", "/apis/source.toolkit.fluxcd.io/v1"] {
            until("the kinds are served", SOON, async || api.get(path).await).await;
        }
        Self { api, namespace, repository, leadsman, _running: running }
    }

    /// Asks for the release, with rules.
    async fn asks(&self, rules: &str) {
        let spec = "  values: {replicas: 2}\n  driftDetection: {mode: enabled}\n";
        let text = yaml(&self.namespace, "web", &self.repository.url(), spec);
        let plain = format!("metadata: {{name: web, namespace: {}}}", self.namespace);
        let annotations = format!("annotations: {{leadsman.dev/conflicts: \"{rules}\"}}");
        let ruled = plain.replace('}', &format!(", {annotations}}}"));
        assert!(text.contains(&plain), "{text}");
        self.api.apply_yaml(&text.replace(&plain, &ruled)).await;
    }

    fn path(&self, kind: &str) -> String {
        format!("/apis/{kind}/web").replace("NS", &format!("namespaces/{}", self.namespace))
    }

    /// Says other rules, and waits until they are seen.
    async fn says(&self, rules: &str) {
        let token = format!("{:x}", rand::random::<u64>());
        let patch = json!({"metadata": {"annotations": {
            "leadsman.dev/conflicts": rules, "reconcile.fluxcd.io/requestedAt": token,
        }}});
        self.api.merge(&self.path("helm.toolkit.fluxcd.io/v2/NS/helmreleases"), &patch).await;
        until("the rules are seen", SOON, async || {
            self.release().await["status"]["lastHandledReconcileAt"] == token
        })
        .await;
    }

    async fn release(&self) -> Value {
        let path = self.path("helm.toolkit.fluxcd.io/v2/NS/helmreleases");
        self.api.get(&path).await.unwrap_or_default()
    }

    async fn runs(&self, version: &str) {
        until(&format!("{version} runs"), SOON, async || {
            let release = self.release().await;
            let newest = &release["status"]["history"][0];
            let ready = condition(&release, "Ready").is_some_and(|c| c["status"] == "True");
            let good = newest["chartVersion"] == version && newest["status"] == "deployed";
            if good && ready { Ok(()) } else { Err(release["status"].to_string()) }
        })
        .await;
    }

    async fn events(&self, reason: &str) -> Vec<String> {
        let events = self.api.list(&format!("/api/v1/namespaces/{}/events", self.namespace)).await;
        let texts = events.iter().filter(|event| event["reason"] == reason);
        texts.map(|event| event["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    async fn tells(&self, reason: &str, text: &str) {
        until(&format!("the event {reason}: {text}"), SOON, async || {
            let told = self.events(reason).await;
            if told.iter().any(|one| one.contains(text)) { Ok(()) } else { Err(told.join("\n")) }
        })
        .await;
    }

    async fn scales(&self, replicas: u32) {
        let path = self.path("apps/v1/NS/deployments") + "/scale?fieldManager=scaler";
        self.api.merge(&path, &json!({"spec": {"replicas": replicas}})).await;
    }

    async fn replicas(&self) -> Value {
        let object = self.api.get(&self.path("apps/v1/NS/deployments")).await.unwrap();
        object["spec"]["replicas"].clone()
    }
}

async fn a_release_says_so(kubeconfig: &Path) {
    let kept = Kept::start(kubeconfig, "kept").await;
    kept.asks("spec.replicas=leave").await;
    kept.runs("1.0.0").await;
    let path = kept.path("apps/v1/NS/deployments");
    kept.scales(4).await;
    // That is no drift; what somebody else did beside is.
    let config = format!("/api/v1/namespaces/{}/configmaps/web", kept.namespace);
    kept.api.merge(&config, &json!({"data": {"message": "edited"}})).await;
    kept.tells("DriftCorrected", "ConfigMap/").await;
    kept.repository.publish_package(web("1.1.0", ""));
    kept.runs("1.1.0").await;
    assert_eq!(kept.replicas().await, 4);
    let left = format!(
        "Fields of release {0}/web are left to others:\nDeployment/{0}/web: spec.replicas is left to \
         scaler: it is 4 there, and 2 in the release",
        kept.namespace
    );
    kept.tells("FieldsLeft", &left).await;
    throughout("it is said once", Duration::from_secs(3), async || {
        let told = kept.events("FieldsLeft").await;
        if told.len() == 1 { Ok(()) } else { Err(told.join("\n")) }
    })
    .await;
    let drifts = kept.events("DriftDetected").await;
    assert!(!drifts.iter().any(|one| one.contains("Deployment/")), "{drifts:?}");
    let object = kept.api.get(&path).await.unwrap();
    assert_eq!(managers(&object, REPLICAS), ["scaler"]);
    // A command follows the rules of who keeps the release.
    let back = kept.leadsman.run(&["rollback", "web", "-n", &kept.namespace]).await;
    assert_eq!(back.code, Some(0), "{}", back.stderr);
    assert!(back.stderr.contains("spec.replicas is left to scaler: it is 4"), "{}", back.stderr);
    kept.runs("1.0.0").await;
    fails_aloud(&kept).await;
}

/// What a command did to a release before somebody asked to keep it is no other's.
async fn what_helm_applied_is_taken_over(kubeconfig: &Path) {
    let kept = Kept::start(kubeconfig, "taken").await;
    std::fs::write(kept.leadsman.folder().join("web.tgz"), web("1.0.0", "").bytes).unwrap();
    let install = ["install", "web", "web.tgz", "-n", &kept.namespace];
    kept.leadsman.run(&install).await.success();
    kept.scales(4).await;
    kept.repository.publish_package(web("1.1.0", ""));
    kept.asks("fail,spec.replicas=leave").await;
    kept.runs("1.1.0").await;
    assert_eq!(kept.replicas().await, 4);
    kept.tells("FieldsLeft", "spec.replicas is left to scaler: it is 4 there").await;
    let object = kept.api.get(&kept.path("apps/v1/NS/deployments")).await.unwrap();
    assert_eq!(managers(&object, REPLICAS), ["scaler"]);
    assert_eq!(managers(&object, IMAGE), ["helm-controller"]);
    assert_eq!(managers(&object, "/f:spec/f:selector"), ["helm-controller"]);
}

/// Rules that cannot be read stop the release, and `fail` fails.
async fn fails_aloud(kept: &Kept) {
    kept.says("spec.replicas=live").await;
    kept.repository.publish_package(web("1.2.0", ""));
    let why = "Reconciliation failed terminally due to configuration error: annotation \
               leadsman.dev/conflicts: rule of conflicts `spec.replicas=live`: `live` is not force, \
               fail or leave";
    until("it says what is wrong", SOON, async || {
        let release = kept.release().await;
        let ready = condition(&release, "Ready").cloned().unwrap_or_default();
        let good = ready["reason"] == "InvalidAnnotation" && ready["message"] == why;
        let stalled = condition(&release, "Stalled").is_some_and(|c| c["status"] == "True");
        if good && stalled { Ok(()) } else { Err(release["status"].to_string()) }
    })
    .await;
    assert_eq!(kept.replicas().await, 4);
    kept.says("fail").await;
    let told = "spec.replicas belongs to scaler: it is 4 there, and 2 in the release";
    kept.tells("UpgradeFailed", told).await;
    assert_eq!(kept.replicas().await, 4);
    kept.says("force").await;
    kept.repository.publish_package(web("1.3.0", ""));
    kept.runs("1.3.0").await;
    assert_eq!(kept.replicas().await, 2);
    // Drift that may not be corrected is told.
    kept.says("fail").await;
    kept.scales(5).await;
    kept.tells("DriftDetected", "Deployment/").await;
    let told = "spec.replicas belongs to scaler: it is 5 there, and 2 in the release";
    kept.tells("DriftCorrectionFailed", told).await;
    assert_eq!(kept.replicas().await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helmrelease_says_what_is_left_on_a_real_api_server() {
    let Some(cluster) = ControlPlane::shared() else { return };
    a_release_says_so(&cluster.kubeconfig()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helmrelease_says_what_is_left_in_the_simulated_cluster() {
    let (_server, _running, kubeconfig) = simulated().await;
    a_release_says_so(&kubeconfig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_helm_applied_is_no_other_s_on_a_real_api_server() {
    let Some(cluster) = ControlPlane::shared() else { return };
    what_helm_applied_is_taken_over(&cluster.kubeconfig()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_helm_applied_is_no_other_s_in_the_simulated_cluster() {
    let (_server, _running, kubeconfig) = simulated().await;
    what_helm_applied_is_taken_over(&kubeconfig).await;
}
