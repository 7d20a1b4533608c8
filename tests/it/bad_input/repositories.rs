//! Repositories that misbehave, each with a release that wants a chart of it.

use bytes::Bytes;
use serde_json::json;

use super::site::{Ground, Site, repository};
use crate::support::api::condition;
use crate::support::chart::web;
use crate::support::fault::Fault;
use crate::support::relay::Relay;
use crate::support::repository::Repository;
use crate::support::wait::{SOON, until};

const INDEX: &str = "/index.yaml";

/// Name, fault, more of the spec, the row's reason, parts and what is to be done.
type Case =
    (&'static str, Fault, &'static str, &'static str, &'static [&'static str], &'static str);

#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<Case> {
    let bytes = |text: &'static str| Fault::Body(Bytes::from_static(text.as_bytes()));
    vec![
        (
            "html",
            Fault::Html,
            "",
            "IndexationFailed",
            &["it is a web page, not an index"],
            "check the address",
        ),
        ("empty", Fault::Empty, "", "IndexationFailed", &["it is empty"], ""),
        ("cut-off", Fault::CutOff, "", "Failed", &["the connection broke"], "trying again"),
        ("half", Fault::Half, "", "IndexationFailed", &["index of `http"], ""),
        ("no-yaml", bytes("a: [1\n"), "", "IndexationFailed", &["yaml: "], ""),
        (
            "no-index",
            bytes("entries: {}\n"),
            "",
            "IndexationFailed",
            &["no API version specified"],
            "",
        ),
        (
            "too-large",
            Fault::Oversized(51 << 20),
            "",
            "Failed",
            &["larger than 52428800 bytes"],
            "check the address",
        ),
        (
            "unauthorized",
            Fault::Unauthorized,
            "",
            "Failed",
            &["401 Unauthorized"],
            "check user and password in the repository's secretRef",
        ),
        ("not-found", Fault::Status(404), "", "Failed", &["404 Not Found"], "check the address"),
        (
            "patience",
            Fault::TooManyRequests("3600"),
            "",
            "Failed",
            &["429 Too Many Requests"],
            "trying again in 3600 s",
        ),
        (
            "server-error",
            Fault::Status(500),
            "",
            "Failed",
            &["500 Internal Server Error"],
            "trying again",
        ),
        (
            "hang",
            Fault::Hang,
            ", timeout: 1s",
            "Failed",
            &["not answered in full within 1 s"],
            "raise the timeout",
        ),
        (
            "loop",
            Fault::RedirectLoop,
            "",
            "Failed",
            &["more than 10 redirects"],
            "check the address",
        ),
    ]
}

impl Site {
    /// Adds a repository and a release `of-…` of its chart `web` to SOURCE.
    fn repository(&self, name: &str, url: &str, more: &str) {
        let text = format!(
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\n\
             metadata: {{name: {name}, namespace: {}}}\nspec: {{interval: 1s, url: \"{url}\"{more}}}\n",
            self.namespace
        );
        self.leadsman.file(&format!("source/repository-{name}.yaml"), &text);
        self.release_of(&format!("of-{name}"), name, "web", "1.x", "");
    }

    /// Asks for a repository to be looked at now.
    async fn request(&self, name: &str) {
        let path = format!(
            "/apis/source.toolkit.fluxcd.io/v1/namespaces/{}/helmrepositories/{name}",
            self.namespace
        );
        let patch =
            json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}});
        self.api.merge(&path, &patch).await;
    }
}

async fn table(ground: &Ground) {
    let site = Site::new(ground, "badrepo").await;
    let mut servers = Vec::new();
    let mut rows = Vec::new();
    for (name, fault, more, reason, parts, todo) in cases() {
        let server = Repository::start();
        server.publish_package(web("1.0.0", ""));
        server.misbehave(INDEX, fault);
        site.repository(name, &server.url(), more);
        rows.push(repository(name, reason, parts, todo));
        servers.push((name, server));
    }
    // Nobody listens at this one.
    let server = Repository::start();
    server.publish_package(web("1.0.0", ""));
    let relay = Relay::start(server.url().trim_start_matches("http://"));
    relay.cut();
    site.repository("refused", &format!("http://{}", relay.address()), "");
    rows.push(repository(
        "refused",
        "Failed",
        &["Connection refused"],
        "check that the server runs",
    ));
    servers.push(("refused", server));
    let running = site.run();
    site.check(&running, &rows).await;
    for (name, server) in &servers {
        let of = format!("of-{name}");
        let waiting = site.object("HelmRelease", &of).await;
        let ready = condition(&waiting, "Ready").cloned().unwrap_or_default();
        let text = ready["message"].as_str().unwrap_or_default();
        let about = format!("HelmRepository '{}/{name}' is not ready", site.namespace);
        assert!(ready["reason"] == "SourceNotReady" && text.contains(&about), "{of}: {ready}");
        assert!(site.traces(&of).await.is_empty(), "{of} left traces");
        // Who asks for patience is not asked again meanwhile.
        assert!(*name != "patience" || server.asked().len() == 1, "{:?}", server.asked());
        server.behave();
    }
    relay.heal();
    for (name, _) in &servers {
        site.request(name).await;
    }
    for (name, _) in &servers {
        site.runs(&format!("of-{name}"), "1.0.0").await;
        let healed = site.object("HelmRepository", name).await;
        assert!(condition(&healed, "FetchFailed").is_none(), "{healed}");
    }
}

/// Broken entries hide no good ones, and are said.
async fn broken_entries(ground: &Ground) {
    let site = Site::new(ground, "entries").await;
    let package = web("1.0.0", "");
    let mut good = package.metadata.clone();
    good["urls"] = json!([package.file]);
    good["digest"] = json!(package.digest());
    let entries = json!({
        "web": [{"name": "web", "version": "not one"}, 7, good, {"version": "1.9.0"}],
        "other": [{"name": "other"}],
    });
    let index = json!({"apiVersion": "v1", "entries": entries});
    site.repository.put_index(index.to_string().into_bytes());
    let running = site.run();
    let condition = ("Ready", "True", "Succeeded");
    site.runs("good", "1.0.0").await;
    let parts = [
        "3 of 4 entries of chart `web`",
        "version `not one`",
        "an entry is not a map",
        "lacks name",
    ];
    until("the event", SOON, async || {
        let events = site.events("HelmRepository", "charts").await;
        let said = |event: &serde_json::Value| {
            let text = event["message"].as_str().unwrap_or_default();
            event["reason"] == "EntriesLeftOut"
                && event["type"] == "Warning"
                && parts.iter().all(|part| text.contains(part))
        };
        if events.iter().any(said) { Ok(()) } else { Err(format!("{events:?}")) }
    })
    .await;
    let about = format!("HelmRepository/{}/charts EntriesLeftOut: 3 of 4", site.namespace);
    running.line(SOON, |line| line.contains(&about) && line.contains("correct the index")).await;
    let repository = site.object("HelmRepository", "charts").await;
    let ready = crate::support::api::condition(&repository, condition.0).unwrap();
    assert!(ready["status"] == condition.1 && ready["reason"] == condition.2, "{ready}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_is_said_and_heals_in_the_simulated_cluster() {
    table(&Ground::simulated().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_is_said_and_heals_on_a_real_api_server() {
    let Some(ground) = Ground::real() else { return };
    table(&ground).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_entries_hide_no_good_ones_in_the_simulated_cluster() {
    broken_entries(&Ground::simulated().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_entries_hide_no_good_ones_on_a_real_api_server() {
    let Some(ground) = Ground::real() else { return };
    broken_entries(&ground).await;
}
