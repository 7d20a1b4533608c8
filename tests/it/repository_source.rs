//! A `HelmRepository` under `leadsman run`: what its status and its events say, step by step.

use serde_json::{Value, json};

use crate::support::api::condition;
use crate::support::chart::web;
use crate::support::fault::Fault;
use crate::support::repository::Repository;
use crate::support::stage::Stage;
use crate::support::wait::{SOON, throughout, until};

const SOURCES: &str = "source.toolkit.fluxcd.io/v1/helmrepositories";
const INDEX: &str = "/index.yaml";

const SOURCE: &str = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\n\
    metadata: {name: web, namespace: NAMESPACE}\nspec: {interval: 1s, url: \"URL\"}\n";

/// Returns the digest of an index as it is served, and its size.
async fn served(server: &Repository) -> (String, usize) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(format!("{}{INDEX}", server.url())).send().await.unwrap();
    let bytes = answer.bytes().await.unwrap();
    (leadsman::base::digest::Digest::of(&bytes).to_string(), bytes.len())
}

/// Waits until the server was asked a few times more.
async fn looks(server: &Repository) {
    let before = server.asked().len();
    until("it is asked again", SOON, async || server.asked().len() > before + 2).await;
}

fn version(object: &Value) -> &Value {
    &object["metadata"]["resourceVersion"]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_says_what_becomes_of_it_on_a_real_server() {
    let Some(mut stage) = Stage::real("repository", SOURCES).await else { return };
    let server = Repository::start();
    server.publish_package(web("1.0.0", ""));
    let (revision, size) = served(&server).await;
    stage.run(&SOURCE.replace("URL", &server.url()));
    let source = stage.stored(&revision).await;
    let (artifact, name) = (&source["status"]["artifact"], stage.namespace.clone());
    let hex = revision.trim_start_matches("sha256:");
    assert_eq!(artifact["path"], json!(format!("helmrepository/{name}/web/index-{hex}.yaml")));
    assert_eq!(artifact["size"], json!(size));
    assert_eq!(artifact["digest"], json!(revision));
    assert_eq!(source["status"]["observedGeneration"], 1);
    let message = format!("stored artifact: revision '{revision}'");
    for kind in ["Ready", "ArtifactInStorage"] {
        let found = condition(&source, kind).unwrap();
        assert_eq!((&found["reason"], &found["message"]), (&json!("Succeeded"), &json!(message)));
        assert_eq!(found["observedGeneration"], 1);
    }
    assert!(size < 1000, "the size is told in bytes");
    let told = format!("stored fetched index of size {size}B from '{}'", server.url());
    let event = stage.event("NewArtifact", &told).await;
    let annotations = &event["metadata"]["annotations"];
    assert_eq!(annotations["source.toolkit.fluxcd.io/revision"], json!(revision));
    assert_eq!(annotations["source.toolkit.fluxcd.io/digest"], json!(revision));
    // While nothing changes, nothing is written.
    looks(&server).await;
    assert_eq!(version(&stage.source().await), version(&source));
    fails_and_recovers(&stage, &server, (&revision, &told)).await;
    // Somebody asks for a look.
    let ask = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}});
    stage.change(SOURCES, "web", &ask).await;
    until("the request is answered", SOON, async || {
        let status = stage.source().await["status"].clone();
        if status["lastHandledReconcileAt"] == "now" { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    becomes_another(&stage, &server, &revision).await;
}

/// What was stored stays while the server fails, and there is an event when it is right again.
async fn fails_and_recovers(stage: &Stage, server: &Repository, (revision, told): (&str, &str)) {
    let load = "failed to load Helm repository from index YAML: ";
    let fetch = "failed to fetch Helm repository index: ";
    let rows = [
        (Fault::Status(500), "Failed", fetch),
        (Fault::Html, "IndexationFailed", load),
        (Fault::Body("entries: {}\n".into()), "IndexationFailed", load),
        (Fault::Unauthorized, "Failed", fetch),
    ];
    for (fault, reason, words) in rows {
        server.misbehave(INDEX, fault.clone());
        let source = stage.refuses(SOURCES, reason, words).await;
        let failed = condition(&source, "FetchFailed").unwrap();
        assert_eq!((&failed["status"], &failed["reason"]), (&json!("True"), &json!(reason)));
        assert_eq!(failed["message"], condition(&source, "Ready").unwrap()["message"]);
        assert!(condition(&source, "Stalled").is_none(), "{source}");
        let stored = condition(&source, "ArtifactInStorage").unwrap();
        assert_eq!(stored["status"], "True", "{source}");
        assert_eq!(source["status"]["artifact"]["revision"], json!(revision), "{fault:?}");
        let text = failed["message"].as_str().unwrap();
        let event = stage.event(reason, text).await;
        assert_eq!(event["type"], "Warning");
        server.behave();
        let source = stage.stored(revision).await;
        assert!(condition(&source, "FetchFailed").is_none(), "{source}");
    }
    let event = stage.event("Succeeded", told).await;
    assert_eq!(event["type"], "Normal");
    let annotations = &event["metadata"]["annotations"];
    assert_eq!(annotations["source.toolkit.fluxcd.io/revision"], json!(revision));
}

/// An address that cannot be one waits for a change; a registry has no status.
async fn becomes_another(stage: &Stage, server: &Repository, revision: &str) {
    stage.change(SOURCES, "web", &json!({"spec": {"url": "oci://127.0.0.1:1/charts"}})).await;
    let words = "invalid Helm repository URL: 'oci' URL scheme cannot be used with 'default' HelmRepository type";
    let source = stage.refuses(SOURCES, "URLInvalid", words).await;
    for kind in ["Stalled", "FetchFailed"] {
        let found = condition(&source, kind).unwrap();
        let said = (&found["status"], &found["reason"], &found["message"]);
        assert_eq!(said, (&json!("True"), &json!("URLInvalid"), &json!(words)), "{kind}");
    }
    assert_eq!(source["status"]["observedGeneration"], source["metadata"]["generation"]);
    assert_eq!(source["status"]["artifact"]["revision"], json!(revision));
    throughout("it is left alone", std::time::Duration::from_secs(3), async || {
        let now = stage.source().await;
        if version(&now) == version(&source) { Ok(()) } else { Err(now["status"].to_string()) }
    })
    .await;
    stage.change(SOURCES, "web", &json!({"spec": {"type": "oci"}})).await;
    until("the status is empty", SOON, async || {
        let status = stage.source().await["status"].clone();
        let gone = status["conditions"].is_null() && status["artifact"].is_null();
        if gone { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    let back = json!({"spec": {"type": "default", "url": server.url()}});
    stage.change(SOURCES, "web", &back).await;
    let source = stage.stored(revision).await;
    assert!(condition(&source, "Stalled").is_none(), "{source}");
}

/// What Flux left at a source: a finalizer, and conditions of somebody at work.
#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_repository_is_left_alone_and_one_that_is_deleted_goes() {
    let mut stage = Stage::simulated("repository", SOURCES).await;
    let server = Repository::start();
    server.publish_package(web("1.0.0", ""));
    stage.run(&SOURCE.replace("URL", &server.url()));
    let (revision, _) = served(&server).await;
    stage.stored(&revision).await;
    stage.change(SOURCES, "web", &json!({"spec": {"suspend": true}})).await;
    // What is under way ends.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let (source, asked) = (stage.source().await, server.asked().len());
    server.publish_package(web("1.1.0", ""));
    throughout("it is left alone", std::time::Duration::from_secs(3), async || {
        let now = stage.source().await;
        let same = version(&now) == version(&source) && server.asked().len() == asked;
        if same { Ok(()) } else { Err(now["status"].to_string()) }
    })
    .await;
    let held = json!({"metadata": {"finalizers": ["finalizers.fluxcd.io", "example.com/mine"]}});
    stage.change(SOURCES, "web", &held).await;
    let path = format!(
        "/apis/source.toolkit.fluxcd.io/v1/namespaces/{}/helmrepositories/web",
        stage.namespace
    );
    stage.api.delete(&path).await;
    until("the finalizer of Flux is gone", SOON, async || {
        let source = stage.source().await;
        let finalizers = &source["metadata"]["finalizers"];
        if *finalizers == json!(["example.com/mine"]) { Ok(()) } else { Err(source.to_string()) }
    })
    .await;
    stage.change(SOURCES, "web", &json!({"metadata": {"finalizers": null}})).await;
    until("it is gone", SOON, async || stage.api.get(&path).await.is_none()).await;
}
