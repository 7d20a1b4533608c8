//! One release, and what happens to it while a call of it fails.

use serde_json::{Value, json};

use super::{Means, Strike};
use crate::faults::FAULTS;
use crate::support::api::{Api, condition};
use crate::support::chart::{web_with, yaml};
use crate::support::leadsman::{Leadsman, Running, simulated};
use crate::support::pack::Package;
use crate::support::repository::Repository;
use crate::support::wait::{SOON, until};
use crate::upgrade::is_quarantined;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scenario {
    Install,
    Upgrade,
    /// An upgrade that does not become ready.
    Rollback,
    Uninstall,
}

impl Scenario {
    pub(super) const ALL: [Self; 4] =
        [Self::Install, Self::Upgrade, Self::Rollback, Self::Uninstall];
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

/// A simulated cluster, and a Leadsman that manages all that is in it, unless each release has
/// one of its own.
pub(super) struct World {
    api: Api,
    kubeconfig: std::path::PathBuf,
    shared: Option<(Leadsman, Running)>,
    _server: (Leadsman, Running),
}

/// Arguments of a Leadsman; it manages all namespaces, or one.
fn arguments(namespace: Option<&str>) -> Vec<&str> {
    let mut arguments = vec!["run", "--interval", "1s"];
    arguments.extend(namespace.into_iter().flat_map(|namespace| ["-n", namespace]));
    arguments
}

impl World {
    pub(super) async fn start(shared: bool) -> Self {
        let server = simulated().await;
        let kubeconfig = server.0.folder().join("kubeconfig");
        let api = Api::connect(&kubeconfig).await;
        let leadsman = Leadsman::new().kubeconfig(&kubeconfig);
        // One that is alone manages nothing: it only makes the kinds known.
        let running = leadsman.spawn(&arguments((!shared).then_some("default")));
        for kinds in ["/apis/helm.toolkit.fluxcd.io/v2", "/apis/source.toolkit.fluxcd.io/v1"] {
            until("the kinds are served", SOON, async || api.get(kinds).await).await;
        }
        let shared = shared.then_some((leadsman, running));
        Self { api, kubeconfig, shared, _server: server }
    }
}

/// A release of its own namespace.
pub(super) struct Case<'w> {
    world: &'w World,
    scenario: Scenario,
    /// None: nothing goes wrong, and all calls are noted.
    strike: Option<Strike>,
    namespace: String,
    repository: Repository,
    /// Its own Leadsman, where there is no shared one.
    own: Option<(Leadsman, Running)>,
}

impl<'w> Case<'w> {
    pub(super) async fn new(world: &'w World, scenario: Scenario, strike: Option<Strike>) -> Self {
        let namespace = world.api.create_namespace("call").await;
        let own = world.shared.is_none().then(|| {
            let leadsman = Leadsman::new().kubeconfig(&world.kubeconfig);
            let running = leadsman.spawn(&arguments(Some(&namespace)));
            (leadsman, running)
        });
        Self { world, scenario, strike, namespace, repository: Repository::start(), own }
    }

    fn path(&self, resource: &str) -> String {
        let path = format!("/apis/{resource}");
        let (group, plural) = path.rsplit_once('/').unwrap();
        format!("{group}/namespaces/{}/{plural}", self.namespace).replace("/apis/v1/", "/api/v1/")
    }

    fn release_path(&self) -> String {
        self.path("helm.toolkit.fluxcd.io/v2/helmreleases") + "/web"
    }

    async fn release(&self) -> Option<Value> {
        self.world.api.get(&self.release_path()).await
    }

    /// Plays it to its end, and panics where that is a wrong one; returns the calls that were
    /// struck.
    pub(super) async fn plays(mut self) -> Vec<String> {
        let api = &self.world.api;
        // What does not become ready is waited for as long as the release says; on a busy machine
        // everything else may take longer.
        let limits = match self.scenario {
            Scenario::Rollback => "  install: {timeout: 60s}\n  rollback: {timeout: 60s}\n",
            Scenario::Install | Scenario::Upgrade | Scenario::Uninstall => {
                "  upgrade: {timeout: 60s}\n  install: {timeout: 60s}\n"
            }
        };
        api.apply_yaml(&yaml(&self.namespace, "web", &self.repository.url(), limits)).await;
        if self.scenario == Scenario::Install {
            self.ends("it waits for the chart", async || self.is_begun().await).await;
        } else {
            self.repository.publish_package(hooked("1.0.0", ""));
            self.ends("1.0.0 runs", async || self.runs("1.0.0").await).await;
        }
        let rule = self.strike.as_ref().map_or_else(
            || json!({"agent": "leadsman", "namespace": self.namespace}),
            |strike| strike.rule(&self.namespace),
        );
        api.create(FAULTS, &rule).await.unwrap();
        match self.scenario {
            Scenario::Install => self.repository.publish_package(hooked("1.0.0", "")),
            Scenario::Upgrade => self.repository.publish_package(hooked("1.1.0", "")),
            Scenario::Rollback => self.repository.publish_package(hooked("1.1.0", "unready")),
            Scenario::Uninstall => api.delete(&self.release_path()).await,
        }
        if self.strike.as_ref().is_some_and(|strike| strike.way.kills()) {
            self.is_killed().await;
        }
        self.ends("an end that may be", async || self.end().await).await;
        let struck = self.struck().await;
        // What has struck need not be looked after any longer; what has not would strike here.
        if !struck.is_empty() && self.scenario != Scenario::Uninstall && self.own.is_none() {
            api.delete(&self.release_path()).await;
        }
        struck
    }

    /// Ends the process at the call that is to be struck, and starts it again; one that comes to
    /// its end without that call lives on.
    async fn is_killed(&mut self) {
        self.ends("the call or the end", async || {
            let struck = !self.struck().await.is_empty();
            if struck { Ok(()) } else { self.end().await }
        })
        .await;
        if self.struck().await.is_empty() {
            return;
        }
        let (leadsman, running) = self.own.take().unwrap();
        running.killer().kill();
        drop(running);
        let running = leadsman.spawn(&arguments(Some(&self.namespace)));
        self.own = Some((leadsman, running));
    }

    async fn is_begun(&self) -> Result<(), String> {
        let release = self.release().await.unwrap_or_default();
        let said = condition(&release, "Ready").is_some();
        if said { Ok(()) } else { Err(release["status"].to_string()) }
    }

    async fn ends(&self, what: &str, probe: impl AsyncFn() -> Result<(), String>) {
        until(what, SOON * 2, async || {
            let found = probe().await;
            found.map_err(|why| {
                let running = self.own.as_ref().or(self.world.shared.as_ref());
                let log = running.map(|(_, running)| running.output()).unwrap_or_default();
                let own: Vec<_> =
                    log.lines().filter(|line| line.contains(&self.namespace)).collect();
                format!("{why}\n{}", own.join("\n"))
            })
        })
        .await;
    }

    /// Whether the release stands where it may stand in the end.
    async fn end(&self) -> Result<(), String> {
        let means = self.strike.as_ref().map(|strike| strike.way.means);
        let verdict = means == Some(Means::Verdict);
        match self.scenario {
            Scenario::Install => match self.runs("1.0.0").await {
                Err(_) if verdict => self.is_explained().await,
                result => result,
            },
            Scenario::Upgrade => match self.runs("1.1.0").await {
                Err(_) if verdict => self.is_back().await,
                result => result,
            },
            // A process that ended has not told of the revision that it wrote: as with Flux, the one
            // after it does not rely on what it finds, and has nothing to return to.
            Scenario::Rollback => match self.is_back().await {
                Err(_) if verdict || means == Some(Means::Death) => self.is_explained().await,
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

    /// Nothing of it is left but what belongs to no release: a hook that no policy deletes.
    async fn is_gone(&self) -> Result<(), String> {
        let api = &self.world.api;
        let release = self.release().await;
        let mut left: Vec<Value> = release.into_iter().collect();
        for resource in ["v1/secrets", "apps/v1/deployments"] {
            left.extend(api.list(&self.path(resource)).await);
        }
        for name in ["web", "after"] {
            left.extend(api.get(&format!("{}/{name}", self.path("v1/configmaps"))).await);
        }
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    }

    /// Returns the calls that the rule of this namespace has struck.
    async fn struck(&self) -> Vec<String> {
        let faults = self.world.api.get(FAULTS).await.unwrap();
        let rules = faults["rules"].as_array().unwrap();
        let at = rules.iter().position(|rule| rule["namespace"] == self.namespace.as_str());
        let calls = faults["calls"][at.unwrap()].as_array().unwrap();
        calls.iter().map(|call| call.as_str().unwrap().to_owned()).collect()
    }
}
