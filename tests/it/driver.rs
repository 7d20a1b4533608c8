//! Records that are ConfigMaps (`HELM_DRIVER=configmap`): Helm and Leadsman in turn.

use std::path::Path;

use crate::support::api::Api;
use crate::support::control_plane::ControlPlane;
use crate::support::fixtures;
use crate::support::helm::Helm;
use crate::support::leadsman::Leadsman;
use crate::support::process::run;
use crate::support::wait::{LATER, SOON};

fn chart(version: &str) -> String {
    fixtures().join("charts/web").join(version).to_string_lossy().into_owned()
}

/// What identifies a record to a reader that lists them.
async fn records(api: &Api, namespace: &str, plural: &str) -> Vec<(String, Vec<String>)> {
    let found = api.list(&format!("/api/v1/namespaces/{namespace}/{plural}")).await;
    let records = found.iter().filter(|object| object["metadata"]["labels"]["owner"] == "helm");
    let told = |object: &serde_json::Value| {
        let labels = object["metadata"]["labels"].as_object().unwrap();
        let stamp = |key: &str| key == "createdAt" || key == "modifiedAt";
        let said = labels.iter().map(|(key, value)| match stamp(key) {
            true => key.clone(),
            false => format!("{key}={value}"),
        });
        let data = object["data"].as_object().unwrap().keys().cloned();
        (object["metadata"]["name"].as_str().unwrap().to_owned(), said.chain(data).collect())
    };
    let mut records: Vec<_> = records.map(told).collect();
    records.sort();
    records
}

async fn in_turn(kubeconfig: &Path) {
    let Some(helm) = Helm::find() else { return };
    let helm = helm.kubeconfig(kubeconfig);
    let api = Api::connect(kubeconfig).await;
    let namespace = &api.create_namespace("driver").await;
    let in_place = |words: &[&str]| {
        let words = words.iter().copied().chain(["-n", namespace]);
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    let helm = async |words: &[&str]| {
        let mut command = helm.command(&in_place(words));
        command.env("HELM_DRIVER", "configmap");
        run(command, LATER).await.success()
    };
    let plain = Leadsman::new().kubeconfig(kubeconfig);
    let leadsman = Leadsman::new().kubeconfig(kubeconfig).env("HELM_DRIVER", "configmap");
    let ours = async |words: &[&str]| leadsman.run(&in_place(words)).await.success();
    let (old, new) = (&chart("1.0.0"), &chart("1.1.0"));

    helm(&["install", "web", old, "--wait"]).await;
    for words in [
        &["list"][..],
        &["history", "web"],
        &["get", "manifest", "web"],
        &["get", "values", "web", "--all"],
    ] {
        assert_eq!(ours(words).await, helm(words).await, "{words:?}");
    }
    let others = plain.run(&in_place(&["list", "-o", "json"])).await.success();
    assert_eq!(others.trim(), "[]", "these are no Secrets");
    let plan = leadsman.run(&in_place(&["plan", "web", new, "--simulate", "-o", "json"])).await;
    assert_eq!(plan.code, Some(3), "{}", plan.stderr);
    let plan: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!(plan["simulation"]["passes"], true, "{plan}");

    ours(&["upgrade", "web", new, "--wait"]).await;
    let history = helm(&["history", "web", "-o", "json"]).await;
    let history: serde_json::Value = serde_json::from_str(&history).unwrap();
    let statuses: Vec<_> = history.as_array().unwrap().iter().map(|row| &row["status"]).collect();
    assert_eq!(statuses, ["superseded", "deployed"]);
    let kept = records(&api, namespace, "configmaps").await;
    let [(_, by_helm), (name, by_us)] = &kept[..] else { panic!("{kept:?}") };
    assert_eq!(name, "sh.helm.release.v1.web.v2");
    // Helm's was written twice, and says when last.
    let wanted: Vec<_> = by_helm
        .iter()
        .map(|said| {
            said.replace("version=\"1\"", "version=\"2\"").replace("superseded", "deployed")
        })
        .collect();
    assert_eq!(*by_us, wanted);
    assert_eq!(records(&api, namespace, "secrets").await, [], "no Secret");

    helm(&["rollback", "web", "1", "--wait"]).await;
    assert_eq!(ours(&["history", "web"]).await, helm(&["history", "web"]).await);
    ours(&["rollback", "web", "2", "--wait"]).await;
    assert_eq!(ours(&["list"]).await, helm(&["list"]).await);
    ours(&["uninstall", "web", "--wait"]).await;
    assert_eq!(records(&api, namespace, "configmaps").await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_in_configmaps_are_shared_with_helm_on_a_real_api_server() {
    let Some(cluster) = ControlPlane::shared() else { return };
    in_turn(&cluster.kubeconfig()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_in_configmaps_are_shared_with_helm_in_the_simulated_cluster() {
    let server = Leadsman::new();
    let simulated = server.spawn(&["sim", "--kubeconfig-out", "kubeconfig"]);
    simulated.line(SOON, |line| line.contains("the simulated cluster listens")).await;
    let kubeconfig = server.folder().join("kubeconfig");
    in_turn(&kubeconfig).await;
    for (driver, wanted) in [
        ("x", "Error: unknown driver \"x\""),
        ("sql", "Error: driver \"sql\" is not supported: set HELM_DRIVER to"),
    ] {
        let refused = Leadsman::new().kubeconfig(&kubeconfig).env("HELM_DRIVER", driver);
        let refused = refused.run(&["list"]).await;
        assert_eq!(refused.code, Some(1));
        assert!(refused.stderr.starts_with(wanted), "{}", refused.stderr);
    }
}
