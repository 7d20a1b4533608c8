//! Killed at any call, the next start brings the release to a clean state.

use std::path::Path;
use std::time::Duration;

use crate::support::api::Api;
use crate::support::chart::{web, yaml};
use crate::support::control_plane::ControlPlane;
use crate::support::leadsman::Leadsman;
use crate::support::proxy::{Moment, Proxy};
use crate::support::repository::Repository;
use crate::support::wait::{SOON, until};

/// Kills Leadsman at one call, starts it again, and checks that all is as it should be.
async fn killed_at(api: &Api, proxy: &Proxy, kubeconfig: &Path, number: usize, upgrade: bool) {
    let namespace = api.create_namespace("crash").await;
    let repository = Repository::start();
    repository.publish_package(web("1.0.0", ""));
    let leadsman = Leadsman::new().kubeconfig(&proxy.kubeconfig());
    leadsman.file("source/web.yaml", &yaml(&namespace, "web", &repository.url(), ""));
    let arguments = ["run", "source", "-n", &namespace, "--interval", "1s"];
    let mut wanted = "1.0.0";
    if upgrade {
        let direct = Leadsman::new().kubeconfig(kubeconfig);
        direct.file("source/web.yaml", &yaml(&namespace, "web", &repository.url(), ""));
        direct
            .run(&["run", "source", "-n", &namespace, "--interval", "1s", "--once"])
            .await
            .success();
        repository.publish_package(web("1.1.0", ""));
        wanted = "1.1.0";
    }
    let moment = if number.is_multiple_of(2) { Moment::Before } else { Moment::After };
    let running = leadsman.spawn(&arguments);
    let killer = running.killer();
    proxy.at(number, moment, move || killer.kill());
    // A run with fewer calls ends in peace: there is nothing left to strike then.
    let struck = tokio::time::timeout(Duration::from_secs(8), running.end(SOON)).await.is_ok();
    drop(running);
    let again = leadsman.spawn(&arguments);
    let at =
        format!("{} call {number} (struck: {struck})", if upgrade { "upgrade" } else { "install" });
    until(&format!("{at}: {wanted} runs"), SOON, async || {
        let path =
            format!("/apis/helm.toolkit.fluxcd.io/v2/namespaces/{namespace}/helmreleases/web");
        let release = api.get(&path).await.unwrap_or_default();
        let newest = &release["status"]["history"][0];
        let good = newest["chartVersion"] == wanted && newest["status"] == "deployed";
        let records = api.revisions(&namespace).await;
        let clean = records.iter().all(|(_, status)| !status.starts_with("pending"));
        let one = records.iter().filter(|(_, status)| status == "deployed").count() == 1;
        if good && clean && one {
            Ok(())
        } else {
            Err(format!("{records:?} {}\n{}", release["status"], again.output()))
        }
    })
    .await;
    let config = api.get(&format!("/api/v1/namespaces/{namespace}/configmaps/web")).await.unwrap();
    assert_eq!(config["data"]["version"], wanted, "{at}");
    let deployments = api.list(&format!("/apis/apps/v1/namespaces/{namespace}/deployments")).await;
    assert_eq!(deployments.len(), 1, "{at}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_call_the_next_start_ends_clean() {
    let Some(cluster) = ControlPlane::shared() else { return };
    killed_at_many_calls(&cluster.kubeconfig()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_call_the_next_start_ends_clean_in_the_simulated_cluster() {
    let server = Leadsman::new();
    let running = server.spawn(&["sim", "--kubeconfig-out", "kubeconfig"]);
    running.line(SOON, |line| line.contains("the simulated cluster listens")).await;
    killed_at_many_calls(&server.folder().join("kubeconfig")).await;
}

/// Kills at ten calls of an install and at ten of an upgrade.
async fn killed_at_many_calls(kubeconfig: &Path) {
    let api = Api::connect(kubeconfig).await;
    let proxy = Proxy::start(kubeconfig);
    // The first calls apply SOURCE; later ones are status, records, objects and events.
    for number in [2, 4, 6, 7, 8, 9, 10, 11, 12, 14] {
        killed_at(&api, &proxy, kubeconfig, number, false).await;
    }
    for number in [3, 4, 5, 6, 7, 8, 9, 10, 11, 12] {
        killed_at(&api, &proxy, kubeconfig, number, true).await;
    }
}
