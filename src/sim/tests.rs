//! The simulated API through `kube::Client`.

use std::time::Duration;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_deployment_becomes_ready() {
    let sim = Sim::new(SimOptions::default());
    let client = sim.client("default");
    let body = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "nginx:1"}]}}},
    });
    let request = http::Request::post("/apis/apps/v1/namespaces/default/deployments")
        .header("content-type", "application/json")
        .body(serde_json::to_vec(&body).unwrap())
        .unwrap();
    let made: Value = client.request(request).await.unwrap();
    assert_eq!(made["status"], json!({}));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let live = sim.object("deployments.apps", "default", "web").unwrap();
    assert_eq!(live["status"]["availableReplicas"], 2, "{:#}", live["status"]);
}
