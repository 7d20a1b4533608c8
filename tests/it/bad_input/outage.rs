//! The cluster goes away: at the start, later, and in the middle of an upgrade. Leadsman says so,
//! waits, and takes up what it was doing; nothing fails, is rolled back or quarantined by it.

use std::time::Duration;

use futures::StreamExt as _;
use serde_json::Value;

use super::site::{Ground, Site, records};
use crate::support::api::condition;
use crate::support::chart::web;
use crate::support::control_plane::ControlPlane;
use crate::support::leadsman::Running;
use crate::support::pack::Package;
use crate::support::proxy::{Moment, Proxy};
use crate::support::relay::Relay;
use crate::support::wait::{SOON, until};

/// Changes that an upgrade makes: at each of them the cluster goes away once.
const CHANGES: std::ops::RangeInclusive<usize> = 1..=14;
/// Worlds at a time.
const AT_ONCE: usize = 4;

/// How long the cluster stays away.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Outage {
    /// Shorter than the patience of a step.
    Short,
    /// Until Leadsman has given the step up.
    Long,
}

impl Site {
    /// Runs Leadsman through a relay.
    fn run_through(&mut self, relay: &Relay) -> Running {
        let leadsman =
            std::mem::replace(&mut self.leadsman, crate::support::leadsman::Leadsman::new());
        self.leadsman = leadsman.kubeconfig(&relay.kubeconfig());
        self.run()
    }

    /// Checks that 1.1.0 runs, and that nothing says that it ever failed.
    async fn is_upgraded(&self, at: &str, running: &Running) {
        until(&format!("{at}: 1.1.0 runs and is clean"), SOON, async || {
            let release = self.object("HelmRelease", "good").await;
            let newest = &release["status"]["history"][0];
            let ready = condition(&release, "Ready").is_some_and(|c| c["status"] == "True");
            let records = records(&self.api, &self.namespace, "good").await;
            let pending = records.iter().any(|(_, status)| status.starts_with("pending"));
            let deployed = records.iter().filter(|(_, status)| status == "deployed").count();
            let good = newest["chartVersion"] == "1.1.0" && newest["status"] == "deployed";
            if good && ready && !pending && deployed == 1 {
                return Ok(());
            }
            Err(format!("{records:?} {}\n{}", release["status"], running.output()))
        })
        .await;
        let release = self.object("HelmRelease", "good").await;
        let status = &release["status"];
        for counter in ["failures", "upgradeFailures", "installFailures"] {
            assert!(status[counter].is_null() || status[counter] == 0, "{at}: {status}");
        }
        assert!(condition(&release, "VersionHeld").is_none(), "{at}: {status}");
        assert!(condition(&release, "Stalled").is_none(), "{at}: {status}");
        let memory = self.data("leadsman-good").await;
        let text = memory["memory.json"].as_str().unwrap_or("{}").to_owned();
        let memory: Value = serde_json::from_str(&text).unwrap();
        let held = memory.pointer("/quarantine/versions").and_then(Value::as_array).map(Vec::len);
        assert_eq!(held.unwrap_or(0), 0, "{at}: {text}");
        let wrong = ["UpgradeFailed", "InstallFailed", "VersionQuarantined", "RollbackSucceeded"];
        for event in self.events("HelmRelease", "good").await {
            assert!(!wrong.iter().any(|reason| event["reason"] == *reason), "{at}: {event}");
        }
        assert_eq!(self.data("good").await["version"], "1.1.0", "{at}");
    }
}

/// Cuts the connection at one change of an upgrade; returns whether that cut a step off.
async fn cut_at(ground: &Ground, number: usize, outage: Outage) -> bool {
    let proxy = Proxy::start(&ground.kubeconfig);
    let relay = Relay::of_cluster(&proxy.kubeconfig());
    let mut site = Site::new(ground, "outage").await;
    // Gives a step up after six seconds; on a busy machine a Deployment may need some of them.
    let spec = crate::support::chart::yaml(&site.namespace, "good", &site.repository.url(), "");
    site.leadsman.file("source/good.yaml", &spec);
    let running = site.run_through(&relay);
    site.runs("good", "1.0.0").await;
    let moment = if number.is_multiple_of(2) { Moment::Before } else { Moment::After };
    let cutting = relay.clone();
    proxy.at(number, moment, move || cutting.cut());
    site.repository.publish_package(web("1.1.0", ""));
    let at = format!("call {number}, {outage:?}");
    until(&format!("{at}: the cluster goes away"), SOON, async || !proxy.is_armed()).await;
    match outage {
        Outage::Short => tokio::time::sleep(Duration::from_millis(700)).await,
        Outage::Long => {
            // The release's own task says so: either a step was cut off, or what is between.
            let step = format!("HelmRelease/{}/good Interrupted: ", site.namespace);
            let between = format!("trying again release={}/good ", site.namespace);
            let given_up = |line: &str| line.contains(&step) || line.contains(&between);
            running.line(SOON, given_up).await;
        }
    }
    relay.heal();
    site.is_upgraded(&at, &running).await;
    running.output().contains("good Interrupted: ")
}

async fn cut_at_each(ground: &Ground) {
    let mut steps = 0;
    // Others of the changes are those of status, memory and events, in no certain order: it may
    // take a second round until two have struck a step.
    for _ in 0..3 {
        let cuts = CHANGES.map(|number| {
            let outage = if number % 3 == 0 { Outage::Short } else { Outage::Long };
            cut_at(ground, number, outage)
        });
        let cut_off: Vec<bool> =
            futures::stream::iter(cuts).buffer_unordered(AT_ONCE).collect().await;
        steps += cut_off.into_iter().filter(|cut_off| *cut_off).count();
        if steps >= 2 {
            return;
        }
    }
    panic!("only {steps} outages struck in the middle of a step");
}

/// The cluster is not there when Leadsman starts, and goes away later.
async fn comes_and_goes(ground: &Ground) {
    let relay = Relay::of_cluster(&ground.kubeconfig);
    relay.cut();
    let mut site = Site::new(ground, "away").await;
    let running = site.run_through(&relay);
    let line = running.line(SOON, |line| line.contains("cannot be reached yet")).await;
    for part in
        [relay.address().as_str(), "refused", "trying again", "check that it runs", "--kubeconfig"]
    {
        assert!(line.contains(part), "{line}\nlacks {part}");
    }
    relay.heal();
    running.line(SOON, |line| line == "the cluster answers").await;
    site.runs("good", "1.0.0").await;
    relay.cut();
    site.repository.publish_package(web("1.1.0", ""));
    let line = running.line(SOON, |line| line.contains("the cluster cannot be reached:")).await;
    for part in [relay.address().as_str(), "check that it runs", "taken up when it answers"] {
        assert!(line.contains(part), "{line}\nlacks {part}");
    }
    // A change in SOURCE is not lost either.
    site.release("more", "web", "1.0.0", "");
    let later = "it and all behind it are applied when the cluster answers";
    let is_it = |line: &str| line.starts_with("SOURCE ") && line.ends_with(later);
    let line = running.line(SOON, is_it).await;
    assert!(line.contains(&site.namespace) && line.contains("cannot reach"), "{line}");
    relay.heal();
    running.line(SOON, |line| line.contains("the cluster answers again")).await;
    site.is_upgraded("after the outage", &running).await;
    site.runs("more", "1.0.0").await;
    let away = running.output().matches("the cluster cannot be reached:").count();
    assert_eq!(away, 1, "{}", running.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulated_cluster_comes_and_goes() {
    comes_and_goes(&Ground::simulated().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_cluster_comes_and_goes() {
    let Some(ground) = Ground::real() else { return };
    comes_and_goes(&ground).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_off_at_any_call_an_upgrade_goes_on_in_the_simulated_cluster() {
    cut_at_each(&Ground::simulated().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_off_at_any_call_an_upgrade_goes_on_on_a_real_api_server() {
    let Some(ground) = Ground::real() else { return };
    cut_at_each(&ground).await;
}

/// Returns the chart `web` with a Pod that takes three seconds to start.
fn slow(version: &str) -> Package {
    let metadata = format!("apiVersion: v2\nname: web\nversion: {version}\n");
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n\
                  data: {version: {{ .Chart.Version | quote }}}\n";
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: {{ .Release.Name }}}\n\
        spec:\n  selector: {matchLabels: {app: {{ .Release.Name }}}}\n  template:\n    metadata:\n      \
        labels: {app: {{ .Release.Name }}}\n      annotations: {test/delay: 3s}\n    \
        spec: {containers: [{name: main, image: example/slow}]}\n";
    Package::files([
        ("Chart.yaml", metadata.as_str()),
        ("templates/config.yaml", config),
        ("templates/deployment.yaml", deployment),
    ])
}

/// The API server itself is killed in the middle of an upgrade and started again.
#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_restarts_in_an_upgrade_fails_nothing() {
    let Some(cluster) = ControlPlane::start() else { return };
    let ground = Ground::of(&cluster.kubeconfig());
    let mut site = Site::new(&ground, "restart").await;
    let running = site.run();
    site.runs("good", "1.0.0").await;
    site.repository.publish_package(slow("1.1.0"));
    until("the upgrade is under way", SOON, async || {
        let records = records(&site.api, &site.namespace, "good").await;
        records.iter().any(|(version, _)| *version == 2)
    })
    .await;
    cluster.stop_part("kube-apiserver");
    running.line(SOON, |line| line.contains("the cluster cannot be reached:")).await;
    cluster.start_part("kube-apiserver");
    // Connections from before are dead: a new client has none of them.
    site.api = cluster.api().await;
    until("the API server is back", SOON, async || {
        let request = http::Request::get("/readyz").body(Vec::new()).unwrap();
        site.api.client().request_text(request).await.map_err(|error| error.to_string())
    })
    .await;
    site.is_upgraded("after the restart", &running).await;
}
