//! What Flux's own controllers did, step by step, replayed: the corpus tells what a person did and
//! what stood in the cluster after each step, and Leadsman has to leave the same.
//!
//! Flux looks at readiness every five seconds, Leadsman watches; so what was seen in the middle of
//! an action is not compared, and a test waits until a step's state is reached instead of sleeping.

mod seen;
mod step;

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt as _;
use serde_json::{Value, json};

use self::seen::{Seen, expected, observed};
use crate::support::api::Api;
use crate::support::control_plane::ControlPlane;
use crate::support::corpus::{Corpus, corpus};
use crate::support::leadsman::Leadsman;
use crate::support::repository::Repository;
use crate::support::wait::{SOON, until};

/// Scenarios about fields that Leadsman refuses aloud (`docs/compat.md`), with the field.
const NOT_YET: &[(&str, &str)] =
    &[("long-name", "none: Flux names no condition, its `HelmChart` has too long a name")];

/// How long a step's state may take: some try for 15 seconds several times.
const REACHED: Duration = Duration::from_secs(100);
/// Scenarios at a time; each has a Leadsman of its own, and timeouts that must not starve.
const AT_ONCE: usize = 6;

/// Where a scenario is replayed.
struct Site {
    kubeconfig: PathBuf,
    repository: Repository,
}

#[tokio::test(flavor = "multi_thread")]
async fn scenarios_of_flux_end_alike_on_a_real_api_server() {
    let Some(corpus) = corpus() else { return };
    let Some(cluster) = ControlPlane::shared() else { return };
    replay_all(&corpus, &cluster.kubeconfig()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scenarios_of_flux_end_alike_in_the_simulated_cluster() {
    let Some(corpus) = corpus() else { return };
    let server = Leadsman::new();
    let simulated = server.spawn(&["sim", "--kubeconfig-out", "kubeconfig"]);
    simulated.line(SOON, |line| line.contains("the simulated cluster listens")).await;
    replay_all(&corpus, &server.folder().join("kubeconfig")).await;
}

async fn replay_all(corpus: &Corpus, kubeconfig: &Path) {
    let repository = Repository::start();
    let packages = corpus.packages("podinfo", "podinfo-").into_iter();
    let own = files(&corpus.folder().join("flux/charts"), "tgz").into_iter();
    packages.chain(own).for_each(|path| repository.publish(&path));
    let site = Site { kubeconfig: kubeconfig.to_owned(), repository };
    install_crds(&Api::connect(kubeconfig).await).await;
    let only = std::env::var("LEADSMAN_SCENARIO").ok();
    let scenarios: Vec<_> = files(&corpus.folder().join("flux"), "json")
        .into_iter()
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), path))
        .filter(|(name, _)| only.as_ref().is_none_or(|only| only == name))
        .filter(|(name, _)| NOT_YET.iter().all(|(known, _)| known != name))
        .collect();
    assert!(!scenarios.is_empty(), "no scenario");
    let replays = scenarios.into_iter().map(async |(name, path)| {
        let scenario = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let differences = replay(&site, &scenario).await.into_iter();
        differences.map(|difference| format!("{name}: {difference}")).collect::<Vec<_>>()
    });
    let ended = futures::stream::iter(replays).buffer_unordered(AT_ONCE);
    let mut wrong: Vec<String> = ended.collect::<Vec<_>>().await.into_iter().flatten().collect();
    wrong.sort();
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// What is not compared in a scenario.
#[derive(Debug, Clone, Copy)]
struct Leniency {
    /// Flux's limit on calls cut a message short.
    timeouts: bool,
    /// Flux corrects drift by updates, Leadsman by server-side apply (`docs/compat.md`).
    owners: bool,
}

impl Leniency {
    fn of(scenario: &Value) -> Self {
        Self {
            timeouts: [": timeout\"", ": timeout\\n", "client rate limiter"]
                .iter()
                .any(|cut| scenario.to_string().contains(cut)),
            owners: scenario["name"] == "drift-enabled",
        }
    }

    fn applied(self, mut seen: Seen) -> Seen {
        if self.timeouts {
            seen.cut_timeouts();
        }
        if self.owners {
            seen.forget_owners();
        }
        seen
    }
}

/// Replays one scenario and returns what differs.
async fn replay(site: &Site, scenario: &Value) -> Vec<String> {
    let api = Api::connect(&site.kubeconfig).await;
    let namespace = scenario["namespace"].as_str().unwrap();
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    api.create("/api/v1/namespaces", &object).await.unwrap();
    api.apply(&json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository",
        "metadata": {"name": "charts", "namespace": namespace},
        "spec": {"interval": "5s", "url": site.repository.url()},
    }))
    .await;
    let leniency = Leniency::of(scenario);
    let leadsman = Leadsman::new().kubeconfig(&site.kubeconfig);
    let running = leadsman.spawn(&["run", "-n", namespace]);
    let mut wrong = Vec::new();
    for (number, row) in scenario["steps"].as_array().unwrap().iter().enumerate() {
        if row.get("do").is_some() {
            step::perform(&api, namespace, &row["do"]).await;
        }
        if row.get("after").is_none() {
            continue;
        }
        let want = leniency.applied(expected(&row["after"]));
        if want.is_under_way() {
            continue;
        }
        let differences = reached(&api, namespace, &want, leniency).await;
        wrong.extend(differences.into_iter().map(|text| format!("step {number}: {text}")));
        if !wrong.is_empty() {
            let output = running.output();
            let tail: Vec<_> = output.lines().rev().take(12).collect();
            wrong.push(format!(
                "output:\n  {}",
                tail.into_iter().rev().collect::<Vec<_>>().join("\n  ")
            ));
            break;
        }
    }
    wrong
}

/// Waits until the state is there, and returns what differs at the end.
async fn reached(api: &Api, namespace: &str, want: &Seen, leniency: Leniency) -> Vec<String> {
    let deadline = tokio::time::Instant::now() + REACHED;
    loop {
        let seen = leniency.applied(observed(api, namespace, want).await);
        let differences = want.differences(&seen);
        if differences.is_empty() || tokio::time::Instant::now() > deadline {
            return differences;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn install_crds(api: &Api) {
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/helmreleases.helm.toolkit.fluxcd.io";
    if api.get(path).await.is_none() {
        let definitions = [
            include_str!("../../../src/api/crds/helmrelease.yaml"),
            include_str!("../../../src/api/crds/helmrepository.yaml"),
        ];
        let definitions: Vec<Value> =
            definitions.iter().map(|text| serde_yaml::from_str(text).unwrap()).collect();
        api.install_crds(&definitions).await;
    }
    until("the kinds are served", SOON, async || {
        api.get("/apis/helm.toolkit.fluxcd.io/v2/helmreleases").await.is_some()
            && api.get("/apis/source.toolkit.fluxcd.io/v1/helmrepositories").await.is_some()
    })
    .await;
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|known| known == extension)).collect();
    found.sort();
    found
}
