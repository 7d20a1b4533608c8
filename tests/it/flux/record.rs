//! Records what Flux's own controllers do in the scenarios of `super::own`.
//!
//! `tests/parts/build flux`, then
//! `LEADSMAN_RECORD=new cargo test --test it flux::record -- --ignored` for those that were not
//! recorded, `LEADSMAN_RECORD=all` for all, and `LEADSMAN_SCENARIO=NAME` beside it for one of them.
//! Takes some minutes: Flux polls.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use futures::StreamExt as _;
use serde_json::{Value, json};

use super::own::{self, Scenario};
use super::seen::{Seen, inventory, observed};
use super::{begin, files, step};
use crate::support::api::{Api, condition};
use crate::support::control_plane::ControlPlane;
use crate::support::helm::Helm;
use crate::support::process::Kept;
use crate::support::repository::Repository;
use crate::support::wait::{LATER, until};
use crate::support::{parts, port};

/// Scenarios at a time.
const AT_ONCE: usize = 8;
/// How long nothing must change for a release to have come to its end: Flux looks at objects every
/// five seconds.
const CALM: Duration = Duration::from_secs(7);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes the recordings that the replays are compared with"]
async fn record() {
    let wanted = std::env::var("LEADSMAN_RECORD").expect("LEADSMAN_RECORD is not set");
    let programs = parts::flux().expect("Flux's controllers");
    let cluster = ControlPlane::shared().expect("a control plane");
    let api = cluster.api().await;
    install_definitions(&api, &programs).await;
    let folder = tempfile::tempdir().unwrap();
    let _controllers = controllers(&programs, &cluster.kubeconfig(), folder.path());
    let repository = Repository::start();
    own::publish(&repository);
    let registry = own::registry().await;
    let place = own::Place::new(&repository, registry.as_ref());
    let only = std::env::var("LEADSMAN_SCENARIO").ok();
    let scenarios = files(&own::folder(), "yaml").into_iter();
    let scenarios = scenarios.filter_map(|path| own::read(&path, &place));
    let scenarios = scenarios.filter(|one| match &only {
        Some(only) => *only == one.name,
        None => wanted == "all" || !own::recording(&one.name).exists(),
    });
    let recordings = scenarios.map(async |scenario| {
        let rows = play(&cluster.kubeconfig(), &repository, &scenario).await;
        let text = serde_json::to_string_pretty(&rows).unwrap();
        let text = place.anonymous(&text);
        std::fs::write(own::recording(&scenario.name), text + "\n").unwrap();
    });
    futures::stream::iter(recordings).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
}

/// Installs the definitions of Flux's kinds.
pub(super) async fn install_definitions(api: &Api, programs: &Path) {
    let definitions = files(&programs.join("crds"), "yaml").into_iter().flat_map(|path| {
        let text = std::fs::read_to_string(path).unwrap();
        super::documents(&text)
    });
    api.install_crds(&definitions.collect::<Vec<_>>()).await;
}

/// Starts source-controller and helm-controller.
pub(super) fn controllers(programs: &Path, kubeconfig: &Path, folder: &Path) -> [Kept; 2] {
    let held = [(); 5].map(|()| port::hold());
    let [served, metrics, health, other_metrics, other_health] = held
        .each_ref()
        .map(|listener| format!("127.0.0.1:{}", listener.local_addr().unwrap().port()));
    drop(held);
    let start = |name: &str, arguments: &[String]| {
        let mut command = Command::new(programs.join(name));
        command.args(arguments).env("KUBECONFIG", kubeconfig).env("RUNTIME_NAMESPACE", "default");
        Kept::spawn(command, &folder.join(format!("{name}.log")))
    };
    let storage = folder.join("storage");
    std::fs::create_dir(&storage).unwrap();
    let flag = |name: &str, value: &str| format!("--{name}={value}");
    let source = start(
        "source-controller",
        &[
            flag("storage-path", &storage.to_string_lossy()),
            flag("storage-addr", &served),
            flag("storage-adv-addr", &served),
            flag("metrics-addr", &metrics),
            flag("health-addr", &health),
            flag("concurrent", "8"),
            flag("helm-cache-max-size", "10"),
        ],
    );
    let helm = start(
        "helm-controller",
        &[
            flag("metrics-addr", &other_metrics),
            flag("health-addr", &other_health),
            flag("concurrent", "12"),
            flag("requeue-dependency", "5s"),
            flag("kube-api-qps", "500"),
            flag("kube-api-burst", "1000"),
        ],
    );
    [source, helm]
}

/// Plays one scenario; returns, for each step, what stood there after it (null where it did not
/// wait).
async fn play(kubeconfig: &Path, repository: &Repository, scenario: &Scenario) -> Value {
    let api = Api::connect(kubeconfig).await;
    let namespace = &scenario.namespace;
    let helm = Helm::find().map(|helm| helm.kubeconfig(kubeconfig));
    begin(&api, namespace, repository).await;
    let mut looked: Vec<String> = Vec::new();
    let mut recorded = Vec::new();
    for what in &scenario.steps {
        looked.extend(super::looks(what));
        step::perform(&api, helm.as_ref(), namespace, what).await;
        if what["settled"] == true {
            calm(&api, namespace).await;
        } else if let Some(seconds) = what["sleep"].as_u64() {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        } else {
            recorded.push(Value::Null);
            continue;
        }
        for path in inventory(&api, namespace).await {
            if !looked.contains(&path) {
                looked.push(path);
            }
        }
        let seen: Seen = observed(&api, namespace, looked.iter().map(String::as_str)).await;
        recorded.push(seen.rows());
    }
    json!(recorded)
}

/// Waits until each release has come to its end and stays there.
async fn calm(api: &Api, namespace: &str) {
    let path = format!("/apis/helm.toolkit.fluxcd.io/v2/namespaces/{namespace}/helmreleases");
    let state = async || {
        let mut releases = api.list(&path).await;
        let ended = releases.iter().all(|release| {
            let generation = &release["metadata"]["generation"];
            let ready = condition(release, "Ready").filter(|ready| ready["status"] != "Unknown");
            ready.is_some_and(|ready| ready["observedGeneration"] == *generation)
        });
        for release in &mut releases {
            release["metadata"]["resourceVersion"].take();
        }
        ended.then_some(releases)
    };
    tokio::time::sleep(Duration::from_secs(3)).await;
    until("each release has come to its end", LATER, async || {
        let before = state().await?;
        tokio::time::sleep(CALM).await;
        state().await.filter(|now| *now == before)
    })
    .await;
}
