//! Each write of an action fails once, in each way a write can fail: the action ends where it
//! would have ended, or is back where it began, or says what happened. Nobody helps.
//!
//! Every write is struck in each run of the tests, in one of the ways; in all of them where
//! `LEADSMAN_FAULTS` is `all`.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures::future::join_all;
use futures::{FutureExt as _, StreamExt as _, stream};
use serde_json::{Value, json};

use crate::faults::FAULTS;
use crate::support::api::{Api, condition};
use crate::support::chart::{web_with, yaml};
use crate::support::leadsman::{Leadsman, Running};
use crate::support::pack::Package;
use crate::support::repository::Repository;
use crate::support::wait::{SOON, until};
use crate::upgrade::is_quarantined;

/// No action has so many writes.
const MOST_WRITES: u64 = 60;
/// Releases of one cluster that are struck at the same time.
const AT_ONCE: usize = 8;
/// In how many ways a write fails.
const WAYS: usize = 7;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scenario {
    Install,
    Upgrade,
    /// An upgrade that does not become ready.
    Rollback,
    Uninstall,
}

const SCENARIOS: [Scenario; 4] =
    [Scenario::Install, Scenario::Upgrade, Scenario::Rollback, Scenario::Uninstall];

/// How a write fails, and whether the server is merely away: that is no verdict on anything.
fn faults() -> [(&'static str, Value, bool); WAYS] {
    let status = |code: u16| json!({"kind": "status", "code": code});
    [
        ("refused", json!({"kind": "refuse"}), true),
        ("answer lost", json!({"kind": "lose-answer"}), true),
        ("429", json!({"kind": "status", "code": 429, "retryAfter": 1}), true),
        ("503", status(503), true),
        ("504", status(504), true),
        ("409", status(409), false),
        ("500", status(500), false),
    ]
}

/// The chart `web` with hooks around everything: one that is waited for, and one that is not.
fn hooked(version: &str, fate: &str) -> Package {
    let before = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: before\n  annotations:\n    \
                  helm.sh/hook: pre-install,pre-upgrade,pre-rollback,pre-delete\nspec:\n  template:\n    \
                  spec: {restartPolicy: Never, containers: [{name: a, image: a}]}\n";
    let after = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: after\n  annotations:\n    \
                 helm.sh/hook: post-install,post-upgrade,post-rollback,post-delete\n    \
                 helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded\n";
    web_with(version, fate, &[("templates/before.yaml", before), ("templates/after.yaml", after)])
}

/// A simulated cluster, and a Leadsman that manages all that is in it.
struct World {
    api: Api,
    running: Running,
    _leadsman: Leadsman,
    _server: (Leadsman, Running),
}

/// One release, and what is to happen to it.
struct Case<'w> {
    world: &'w World,
    scenario: Scenario,
    fault: (&'static str, Value, bool),
    /// Writes that pass first.
    skip: u64,
    namespace: String,
    repository: Repository,
}

impl World {
    async fn start() -> Self {
        let server = Leadsman::new();
        let serving = server.spawn(&["sim", "--kubeconfig-out", "kubeconfig"]);
        serving.line(SOON, |line| line.contains("the simulated cluster listens")).await;
        let kubeconfig = server.folder().join("kubeconfig");
        let api = Api::connect(&kubeconfig).await;
        let leadsman = Leadsman::new().kubeconfig(&kubeconfig);
        let running = leadsman.spawn(&["run", "--interval", "1s"]);
        for kinds in ["/apis/helm.toolkit.fluxcd.io/v2", "/apis/source.toolkit.fluxcd.io/v1"] {
            until("the kinds are served", SOON, async || api.get(kinds).await).await;
        }
        Self { api, running, _leadsman: leadsman, _server: (server, serving) }
    }

    /// Plays a case; returns whether there was a write to strike.
    async fn plays(
        &self,
        scenario: Scenario,
        fault: &(&'static str, Value, bool),
        skip: u64,
    ) -> bool {
        let namespace = self.api.create_namespace("call").await;
        let fault = fault.clone();
        let repository = Repository::start();
        let case = Case { world: self, scenario, fault, skip, namespace, repository };
        case.plays().await
    }
}

impl Case<'_> {
    fn name(&self) -> String {
        format!("{:?}, write {} {}", self.scenario, self.skip + 1, self.fault.0)
    }

    fn path(&self, resource: &str) -> String {
        let path = format!("/apis/{resource}");
        let (group, plural) = path.rsplit_once('/').unwrap();
        format!("{group}/namespaces/{}/{plural}", self.namespace).replace("/apis/v1/", "/api/v1/")
    }

    async fn release(&self) -> Option<Value> {
        self.world.api.get(&(self.path("helm.toolkit.fluxcd.io/v2/helmreleases") + "/web")).await
    }

    async fn plays(&self) -> bool {
        let api = &self.world.api;
        // What does not become ready is waited for as long as the release says; on a busy machine
        // everything else may take longer.
        let limits = match self.scenario {
            Scenario::Rollback => "  install: {timeout: 60s}\n  rollback: {timeout: 60s}\n",
            Scenario::Install | Scenario::Upgrade | Scenario::Uninstall => {
                "  upgrade: {timeout: 60s}\n  install: {timeout: 60s}\n"
            }
        };
        let text = yaml(&self.namespace, "web", &self.repository.url(), limits);
        api.apply_yaml(&text).await;
        if self.scenario == Scenario::Install {
            self.ends("it waits for the chart", async || self.is_begun().await).await;
        } else {
            self.repository.publish_package(hooked("1.0.0", ""));
            self.ends("1.0.0 runs", async || self.runs("1.0.0").await).await;
        }
        let rule = json!({
            "mutating": true, "namespace": self.namespace,
            "skip": self.skip, "times": 1, "fault": self.fault.1,
        });
        match self.scenario {
            Scenario::Install => {
                api.create(FAULTS, &rule).await.unwrap();
                self.repository.publish_package(hooked("1.0.0", ""));
            }
            Scenario::Upgrade => {
                api.create(FAULTS, &rule).await.unwrap();
                self.repository.publish_package(hooked("1.1.0", ""));
            }
            Scenario::Rollback => {
                api.create(FAULTS, &rule).await.unwrap();
                self.repository.publish_package(hooked("1.1.0", "unready"));
            }
            Scenario::Uninstall => {
                let mut rule = rule;
                // The first one is the deletion itself.
                rule["skip"] = json!(self.skip + 1);
                api.create(FAULTS, &rule).await.unwrap();
                api.delete(&(self.path("helm.toolkit.fluxcd.io/v2/helmreleases") + "/web")).await;
            }
        }
        self.ends("an end that may be", async || self.end().await).await;
        let struck = self.world.struck(&self.namespace).await;
        // What has struck need not be looked after any longer; what has not would strike here.
        if struck && self.scenario != Scenario::Uninstall {
            api.delete(&(self.path("helm.toolkit.fluxcd.io/v2/helmreleases") + "/web")).await;
        }
        struck
    }

    async fn is_begun(&self) -> Result<(), String> {
        let release = self.release().await.unwrap_or_default();
        let said = condition(&release, "Ready").is_some();
        if said { Ok(()) } else { Err(release["status"].to_string()) }
    }

    async fn ends(&self, what: &str, probe: impl AsyncFn() -> Result<(), String>) {
        until(&format!("{}: {what}", self.name()), SOON * 2, async || {
            let found = probe().await;
            found.map_err(|why| {
                let log = self.world.running.output();
                let own: Vec<_> =
                    log.lines().filter(|line| line.contains(&self.namespace)).collect();
                format!("{why}\n{}", own.join("\n"))
            })
        })
        .await;
    }

    /// Whether the release stands where it may stand in the end.
    async fn end(&self) -> Result<(), String> {
        let away = self.fault.2;
        match self.scenario {
            Scenario::Install => match self.runs("1.0.0").await {
                Err(_) if !away => self.is_explained().await,
                result => result,
            },
            Scenario::Upgrade => match self.runs("1.1.0").await {
                Err(_) if !away => self.is_back().await,
                result => result,
            },
            Scenario::Rollback => match self.is_back().await {
                Err(_) if !away => self.is_explained().await,
                result => result,
            },
            Scenario::Uninstall => self.is_gone().await,
        }
    }

    /// One deployed revision, none pending, none lost, and the objects are that revision's.
    async fn runs(&self, version: &str) -> Result<(), String> {
        let api = &self.world.api;
        let release = self.release().await.unwrap_or_default();
        let newest = &release["status"]["history"][0];
        let ready = condition(&release, "Ready").is_some_and(|ready| ready["status"] == "True");
        let idle = condition(&release, "Reconciling").is_none();
        let said = newest["chartVersion"] == version && newest["status"] == "deployed";
        let revisions = api.revisions(&self.namespace).await;
        let numbers: Vec<u64> = revisions.iter().map(|(number, _)| *number).collect();
        let whole = numbers.iter().copied().eq(1..=numbers.len() as u64);
        let deployed = revisions.iter().filter(|(_, status)| status == "deployed").count();
        let pending = revisions.iter().any(|(_, status)| status.starts_with("pending"));
        let config = api.get(&(self.path("v1/configmaps") + "/web")).await.unwrap_or_default();
        let count = api.list(&self.path("apps/v1/deployments")).await.len();
        let right = config["data"]["version"] == version && count == 1;
        // What comes after is deleted when it succeeded.
        let hooks = api.get(&(self.path("v1/configmaps") + "/after")).await.is_none()
            && api.list(&self.path("batch/v1/jobs")).await.len() == 1;
        let good = ready && idle && said && whole && deployed == 1 && !pending && right && hooks;
        if good {
            return Ok(());
        }
        Err(format!(
            "{version} does not run: {revisions:?}, {hooks} {config} {}",
            release["status"]
        ))
    }

    /// It runs what it ran before, and the new version is not tried again.
    async fn is_back(&self) -> Result<(), String> {
        self.runs("1.0.0").await?;
        let release = self.release().await.unwrap_or_default();
        if is_quarantined(&release) { Ok(()) } else { Err(release["status"].to_string()) }
    }

    /// It goes no further, and says so: a failed rollback names the version that it returns to.
    async fn is_explained(&self) -> Result<(), String> {
        let release = self.release().await.unwrap_or_default();
        let stalled = condition(&release, "Stalled").is_some_and(|one| one["status"] == "True");
        let ready = condition(&release, "Ready").cloned().unwrap_or_default();
        let why = ready["message"].as_str().unwrap_or_default();
        let revisions = self.world.api.revisions(&self.namespace).await;
        let pending = revisions.iter().any(|(_, status)| status.starts_with("pending"));
        let says = ready["status"] == "False" && why.contains("web@1.");
        if stalled && says && !pending { Ok(()) } else { Err(release["status"].to_string()) }
    }

    /// Nothing of it is left but what belongs to no release.
    async fn is_gone(&self) -> Result<(), String> {
        let api = &self.world.api;
        let release = self.release().await;
        let mut left: Vec<Value> = release.into_iter().collect();
        for resource in ["v1/secrets", "apps/v1/deployments"] {
            left.extend(api.list(&self.path(resource)).await);
        }
        left.extend(api.get(&(self.path("v1/configmaps") + "/web")).await);
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    }
}

impl World {
    /// Whether the rule of a namespace has struck.
    async fn struck(&self, namespace: &str) -> bool {
        let faults = self.api.get(FAULTS).await.unwrap();
        let rules = faults["rules"].as_array().unwrap();
        let at = rules.iter().position(|rule| rule["namespace"] == namespace).unwrap();
        faults["struck"][at] == 1
    }
}

/// Plays a scenario until there is no write left to strike; returns how many there were, and what
/// went wrong.
async fn strike(scenario: Scenario, all: bool) -> (u64, Vec<String>) {
    let (world, faults) = (World::start().await, faults());
    let mut wrong = Vec::new();
    for first in (0..MOST_WRITES).step_by(AT_ONCE) {
        let skips = first..first + AT_ONCE as u64;
        let cases = skips.clone().flat_map(|skip| {
            let ways = faults
                .iter()
                .enumerate()
                .filter(move |(way, _)| all || (skip as usize + scenario as usize) % WAYS == *way);
            ways.map(move |(_, fault)| (skip, fault))
        });
        let played = cases.map(|(skip, fault)| {
            let played = AssertUnwindSafe(world.plays(scenario, fault, skip)).catch_unwind();
            async move { (skip, played.await.map_err(|error| said(&*error))) }
        });
        let played: Vec<_> = stream::iter(played).buffer_unordered(AT_ONCE).collect().await;
        let is_struck =
            |skip: u64| played.iter().any(|(at, played)| *at == skip && *played != Ok(false));
        let end = skips.clone().find(|skip| !is_struck(*skip));
        wrong.extend(played.iter().filter_map(|(_, played)| played.clone().err()));
        if let Some(end) = end {
            return (end, wrong);
        }
    }
    panic!("{scenario:?} has no end");
}

/// What a test said that failed.
fn said(error: &(dyn Any + Send)) -> String {
    error.downcast_ref::<String>().cloned().unwrap_or_else(|| "it failed".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_write_may_fail_once() {
    let all = std::env::var("LEADSMAN_FAULTS").is_ok_and(|which| which == "all");
    let mut wrong = Vec::new();
    for (scenario, (count, failed)) in
        join_all(SCENARIOS.map(async |scenario| (scenario, strike(scenario, all).await))).await
    {
        println!("{scenario:?}: each of {count} writes failed once");
        assert!(count >= 8 || !failed.is_empty(), "{scenario:?} has only {count} writes");
        wrong.extend(failed);
    }
    assert!(wrong.is_empty(), "{} failed:\n{}", wrong.len(), wrong.join("\n"));
}
