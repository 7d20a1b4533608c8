//! What Flux's own controllers did, step by step, replayed: the corpus tells what a person did and
//! what stood in the cluster after each step, and Leadsman has to leave the same.
//!
//! Flux looks at readiness every five seconds, Leadsman watches; so what was seen in the middle of
//! an action is not compared, and a test waits until a step's state is reached instead of sleeping.

mod bucket;
mod git;
mod git_tree;
mod own;
mod record;
mod rows;
mod seen;
mod step;

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt as _;
use serde_json::{Value, json};

use self::own::Scenario;
use self::seen::{Seen, expected, observed};
use crate::support::api::Api;
use crate::support::control_plane::ControlPlane;
use crate::support::corpus::{Corpus, corpus};
use crate::support::helm::Helm;
use crate::support::leadsman::{Leadsman, simulated};
use crate::support::registry::Registry;
use crate::support::repository::Repository;
use crate::support::wait::{SOON, until};

/// Scenarios in which Leadsman does something else on purpose (`docs/compat.md`).
const OTHERWISE: &[(&str, &str)] = &[
    ("long-name", "Flux names no condition, its `HelmChart` has too long a name"),
    ("crds-create", "`Create` replaces CRDs that are there, since Flux applies on the server"),
    ("depends-on-expression-wrong", "types are not checked before an expression is evaluated"),
    ("test-filters", "tests that are not to run count, and all run again each time"),
    ("post-renderer-fails-upgrade", "Ready after an upgrade whose patches do not apply"),
    ("hook-rollback-fails", "a rollback whose first hook fails stays pending"),
];

/// Scenarios of our own about rights, which everybody has in the simulated cluster.
const REAL_ONLY: &[&str] = &["account-without-rights"];

/// How long a step's state may take: some try for 15 seconds several times.
const REACHED: Duration = Duration::from_secs(100);
/// Scenarios at a time; each has a Leadsman of its own, and timeouts that must not starve.
const AT_ONCE: usize = 8;

/// Where scenarios are replayed.
struct Site {
    kubeconfig: PathBuf,
    repository: Repository,
}

/// A scenario that was recorded.
struct Recorded {
    name: String,
    namespace: String,
    leniency: Leniency,
    steps: Vec<Step>,
}

/// What a person did, and what stood there after it.
struct Step {
    what: Value,
    after: Option<Seen>,
}

#[tokio::test(flavor = "multi_thread")]
async fn scenarios_of_flux_end_alike_on_a_real_api_server() {
    let Some(corpus) = corpus() else { return };
    let Some(cluster) = ControlPlane::shared() else { return };
    replay_all(&cluster.kubeconfig(), |repository| of_corpus(&corpus, repository)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scenarios_of_flux_end_alike_in_the_simulated_cluster() {
    let Some(corpus) = corpus() else { return };
    let (server, _simulated) = simulated().await;
    let kubeconfig = server.folder().join("kubeconfig");
    replay_all(&kubeconfig, |repository| of_corpus(&corpus, repository)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn own_scenarios_end_as_with_flux_on_a_real_api_server() {
    let Some(cluster) = ControlPlane::shared() else { return };
    let registry = own::registry().await;
    let own = |repository: &Repository| of_our_own(repository, registry.as_ref());
    replay_all(&cluster.kubeconfig(), own).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn own_scenarios_end_as_with_flux_in_the_simulated_cluster() {
    let (server, _simulated) = simulated().await;
    let registry = own::registry().await;
    let own = |repository: &Repository| {
        let mut scenarios = of_our_own(repository, registry.as_ref());
        scenarios.retain(|one| !REAL_ONLY.contains(&one.name.as_str()));
        scenarios
    };
    replay_all(&server.folder().join("kubeconfig"), own).await;
}

/// Publishes the corpus' charts and reads its scenarios.
fn of_corpus(corpus: &Corpus, repository: &Repository) -> Vec<Recorded> {
    let packages = corpus.packages("podinfo", "podinfo-").into_iter();
    let own = files(&corpus.folder().join("flux/charts"), "tgz").into_iter();
    packages.chain(own).for_each(|path| repository.publish(&path));
    let scenarios = files(&corpus.folder().join("flux"), "json").into_iter().map(|path| {
        let scenario: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let leniency = Leniency::of(&scenario);
        let steps = scenario["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| Step { what: row["do"].clone(), after: row.get("after").map(expected) });
        Recorded {
            name: scenario["name"].as_str().unwrap().to_owned(),
            namespace: scenario["namespace"].as_str().unwrap().to_owned(),
            leniency,
            steps: steps.collect(),
        }
    });
    scenarios.collect()
}

/// Publishes our own charts and reads our own scenarios; without a registry, not those that need one.
fn of_our_own(repository: &Repository, registry: Option<&Registry>) -> Vec<Recorded> {
    own::publish(repository);
    let place = own::Place::new(repository, registry);
    let scenarios = files(&own::folder(), "yaml").into_iter().filter_map(|path| {
        let Scenario { name, namespace, steps } = own::read(&path, &place)?;
        let recording = std::fs::read_to_string(own::recording(&name))
            .unwrap_or_else(|error| panic!("no recording of {name}: {error}"));
        let recording = place.named(&recording);
        let rows: Vec<Value> = serde_json::from_str(&recording).unwrap();
        assert_eq!(rows.len(), steps.len(), "{name} was recorded with other steps");
        let leniency = Leniency::of(&json!([steps, rows]));
        let after = rows.iter().map(|rows| (!rows.is_null()).then(|| Seen::recorded(rows)));
        let steps = steps.into_iter().zip(after).map(|(what, after)| Step { what, after });
        Some(Recorded { name, namespace, leniency, steps: steps.collect() })
    });
    scenarios.collect()
}

async fn replay_all(kubeconfig: &Path, read: impl Fn(&Repository) -> Vec<Recorded>) {
    let repository = Repository::start();
    let scenarios = read(&repository);
    let site = Site { kubeconfig: kubeconfig.to_owned(), repository };
    install_crds(&Api::connect(kubeconfig).await).await;
    let only = std::env::var("LEADSMAN_SCENARIO").ok();
    let scenarios: Vec<_> = scenarios
        .into_iter()
        .filter(|scenario| only.as_ref().is_none_or(|only| *only == scenario.name))
        .filter(|scenario| OTHERWISE.iter().all(|(known, _)| *known != scenario.name))
        .collect();
    assert!(!scenarios.is_empty() || only.is_some(), "no scenario");
    let replays = scenarios.into_iter().map(async |scenario| {
        let differences = replay(&site, &scenario).await.into_iter();
        differences.map(|text| format!("{}: {text}", scenario.name)).collect::<Vec<_>>()
    });
    let ended = futures::stream::iter(replays).buffer_unordered(AT_ONCE);
    let mut wrong: Vec<String> = ended.collect::<Vec<_>>().await.into_iter().flatten().collect();
    wrong.sort();
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// What is not compared in a scenario.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a part that is left out")]
struct Leniency {
    /// Flux's limit on calls cut a message short.
    timeouts: bool,
    /// Flux corrects drift by updates, Leadsman by server-side apply (`docs/compat.md`).
    owners: bool,
    /// Charts were pushed to a registry.
    digests: bool,
}

impl Leniency {
    fn of(scenario: &Value) -> Self {
        let text = scenario.to_string();
        let cut = [": timeout\"", ": timeout\\n", "client rate limiter"];
        Self {
            timeouts: cut.iter().any(|cut| text.contains(cut)),
            owners: text.contains(r#""mode":"enabled""#),
            digests: text.contains("oci://"),
        }
    }

    fn applied(self, mut seen: Seen) -> Seen {
        seen.split_drift();
        if self.timeouts {
            seen.cut_timeouts();
        }
        if self.owners {
            seen.forget_owners();
        }
        if self.digests {
            seen.forget_digests();
        }
        seen
    }
}

/// Replays one scenario and returns what differs.
async fn replay(site: &Site, scenario: &Recorded) -> Vec<String> {
    let api = Api::connect(&site.kubeconfig).await;
    let (namespace, leniency) = (&scenario.namespace, scenario.leniency);
    let uses_helm = scenario.steps.iter().any(|step| step.what.get("helm").is_some());
    let helm = match uses_helm.then(Helm::find) {
        Some(None) => return Vec::new(),
        Some(Some(helm)) => Some(helm.kubeconfig(&site.kubeconfig)),
        None => None,
    };
    begin(&api, namespace, &site.repository).await;
    let leadsman = Leadsman::new().kubeconfig(&site.kubeconfig);
    let running = leadsman.spawn(&["run", "-n", namespace]);
    for (number, Step { what, after }) in scenario.steps.iter().enumerate() {
        step::perform(&api, helm.as_ref(), namespace, what).await;
        let Some(after) = after.as_ref().filter(|after| !after.is_under_way()) else { continue };
        let differences = reached(&api, namespace, after, leniency).await;
        if !differences.is_empty() {
            let mut wrong: Vec<_> =
                differences.into_iter().map(|text| format!("step {number}: {text}")).collect();
            let output = running.output();
            let tail: Vec<_> = output.lines().rev().take(12).collect();
            let tail: Vec<_> = tail.into_iter().rev().collect();
            wrong.push(format!("output:\n  {}", tail.join("\n  ")));
            return wrong;
        }
    }
    Vec::new()
}

/// Makes the scenario's namespace and names the repository in it.
async fn begin(api: &Api, namespace: &str, repository: &Repository) {
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    api.create("/api/v1/namespaces", &object).await.unwrap();
    api.apply(&json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository",
        "metadata": {"name": "charts", "namespace": namespace},
        "spec": {"interval": "5s", "url": repository.url()},
    }))
    .await;
}

/// Waits until the state is there, and returns what differs at the end.
async fn reached(api: &Api, namespace: &str, after: &Seen, leniency: Leniency) -> Vec<String> {
    let deadline = tokio::time::Instant::now() + REACHED;
    let want = leniency.applied(after.clone());
    let paths: Vec<_> = want.object_paths().map(str::to_owned).collect();
    loop {
        let paths = paths.iter().map(String::as_str);
        let seen = leniency.applied(observed(api, namespace, paths).await);
        let differences = want.differences(&seen);
        if differences.is_empty() || tokio::time::Instant::now() > deadline {
            return differences;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn install_crds(api: &Api) {
    for text in [
        include_str!("../../../src/api/crds/helmrelease.yaml"),
        include_str!("../../../src/api/crds/helmrepository.yaml"),
        include_str!("../../../src/api/crds/helmchart.yaml"),
        include_str!("../../../src/api/crds/ocirepository.yaml"),
    ] {
        let definition: Value = serde_yaml::from_str(text).unwrap();
        // Another test may have brought it already.
        if api.get(&api.path_of(&definition).await).await.is_none() {
            api.install_crds(&[definition]).await;
        }
    }
    until("the kinds are served", SOON, async || {
        api.get("/apis/helm.toolkit.fluxcd.io/v2/helmreleases").await.is_some()
            && api.get("/apis/source.toolkit.fluxcd.io/v1/helmrepositories").await.is_some()
            && api.get("/apis/source.toolkit.fluxcd.io/v1/ocirepositories").await.is_some()
    })
    .await;
}

/// Returns the objects that a step wants to be looked at from there on.
fn looks(what: &Value) -> Vec<String> {
    let paths = what["look"].as_array().into_iter().flatten();
    paths.map(|path| path.as_str().unwrap().to_owned()).collect()
}

/// Returns the documents of a YAML text.
fn documents(text: &str) -> Vec<Value> {
    use serde::Deserialize as _;
    let documents = serde_yaml::Deserializer::from_str(text);
    documents.map(|one| Value::deserialize(one).unwrap()).filter(|one| !one.is_null()).collect()
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|known| known == extension)).collect();
    found.sort();
    found
}
