//! What decides whether a release works beside Flux's own rules: expressions of the user, tests of
//! the chart, and that nothing happens any more.

use serde_json::json;

use crate::support::api::condition;
use crate::support::chart::{web, web_with};
use crate::support::control_plane::ControlPlane;
use crate::support::wait::{SOON, until};
use crate::upgrade::{World, is_quarantined};

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_says_when_an_object_works() {
    let Some(cluster) = ControlPlane::shared() else { return };
    let spec = "  install: {timeout: 60s}\n  healthCheckExprs:\n  - {apiVersion: v1, kind: ConfigMap, current: \"has(data.approved)\"}\n";
    let world = World::start(cluster, "health", spec).await;
    let map = format!("/api/v1/namespaces/{}/configmaps/web", world.namespace);
    until("the map is applied", SOON, async || world.api.get(&map).await.is_some()).await;
    let ready = condition(&world.release().await, "Ready").cloned().unwrap_or_default();
    assert_ne!(ready["status"], "True", "nobody approved it yet: {ready}");
    world.api.merge(&map, &json!({"data": {"approved": "yes"}})).await;
    world.runs("1.0.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_whose_tests_fail_is_rolled_back() {
    let Some(cluster) = ControlPlane::shared() else { return };
    let patient = "  install: {timeout: 60s}\n  upgrade: {timeout: 60s}\n  rollback: {timeout: 60s}\n  test: {enable: true, timeout: 60s}\n";
    let world = World::start(cluster, "tested", patient).await;
    let tested = |fate: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: probe\n  annotations: {{helm.sh/hook: test{fate}}}\nspec:\n  restartPolicy: Never\n  containers: [{{name: a, image: a}}]\n"
        )
    };
    let publish = |version: &str, fate: &str| {
        let pod = tested(fate);
        world.repository.publish_package(web_with(version, "", &[("templates/test.yaml", &pod)]));
    };
    world.runs("1.0.0").await;
    publish("1.1.0", "");
    let release = world.runs("1.1.0").await;
    let run = &release["status"]["history"][0]["testHooks"]["probe"];
    assert_eq!(run["phase"], "Succeeded", "{}", release["status"]);
    publish("1.2.0", ", test/fail: fail");
    world.is_back_from("1.2.0", "1.1.0").await;
    // What is back is tested, too.
    let release = world.runs("1.1.0").await;
    let said = condition(&release, "TestSuccess").cloned().unwrap_or_default();
    assert_eq!(said["status"], "True", "{}", release["status"]);
    let why = world.command(&["why", "web"]).await;
    for part in ["1.2.0", "Helm test failed", "probe"] {
        assert!(why.contains(part), "{why}\nlacks {part}");
    }
    world.repository.publish_package(web("1.3.0", ""));
    let release = world.runs("1.3.0").await;
    assert_eq!(release["status"]["history"][0]["testHooks"], json!({}), "it has no tests");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_waited_for_is_told_with_its_cause_while_it_is_waited_for() {
    let Some(cluster) = ControlPlane::shared() else { return };
    let world = World::start(cluster, "waiting", "  upgrade: {timeout: 10m}\n").await;
    world.runs("1.0.0").await;
    world.repository.publish_package(web("1.1.0", "image"));
    let begins = format!(
        "Running 'upgrade' action with timeout of 10m0s; waiting for Deployment/{}/web status: 'InProgress' (Pod/",
        world.namespace
    );
    until("the cause stands in the condition", SOON, async || {
        let release = world.release().await;
        let under_way = condition(&release, "Reconciling").cloned().unwrap_or_default();
        let text = under_way["message"].as_str().unwrap_or_default();
        let good = text.starts_with(&begins) && text.contains("ImagePullBackOff");
        if good { Ok(()) } else { Err(release["status"].to_string()) }
    })
    .await;
    let why = world.command(&["why", "web"]).await;
    assert!(why.contains("waiting for Deployment/") && why.contains("ImagePullBackOff"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_in_which_nothing_happens_ends_early() {
    let Some(cluster) = ControlPlane::shared() else { return };
    let world = World::start(cluster, "stalled", "  upgrade: {timeout: 10m}\n").await;
    world.runs("1.0.0").await;
    let path =
        format!("/apis/helm.toolkit.fluxcd.io/v2/namespaces/{}/helmreleases/web", world.namespace);
    let annotations = json!({"metadata": {"annotations": {"leadsman.dev/stall-after": "3s"}}});
    world.api.merge(&path, &annotations).await;
    world.repository.publish_package(web("1.1.0", "unready"));
    until("1.1.0 is held back", SOON, async || {
        let release = world.release().await;
        if is_quarantined(&release) { Ok(()) } else { Err(release["status"].to_string()) }
    })
    .await;
    world.runs("1.0.0").await;
    let why = world.command(&["why", "web"]).await;
    let stalled = "stalled: nothing has changed and no event came for 3s";
    assert!(why.contains(stalled), "{why}");
}
