//! An action, played in a simulated cluster that begins where the real one is.
//!
//! Invariant: the real cluster is only read.
//!
//! Narrow on purpose: what the simulated cluster does not do ([`crate::sim`]: webhooks, other
//! admission) and who may do what is not found out; programs are not run: Jobs of hooks succeed, and
//! Pods that may be made become ready.

mod ready;
mod seed;

use std::sync::Arc;
use std::time::Duration;

use crate::api::CrdPolicy;
use crate::base::class::chain;
use crate::base::clock::SystemClock;
use crate::chart::Chart;
use crate::cluster::wait::Rules;
use crate::cluster::{self, Cluster, Object, ObjectId};
use crate::release::{
    self, Crds, Deploy, Driver, Env, Error, Kind, Origin, Rollback, Storage, Uninstall, manifest,
};
use crate::sim::{Sim, SimOptions};

/// Longest wait for a hook, or for what is deleted: in the simulated cluster that takes moments.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is played, and where.
pub struct Rehearsal<'a> {
    /// Where it would be done, and as whom.
    pub real: &'a Cluster,
    /// Namespace of the records.
    pub storage_namespace: &'a str,
    /// In what its records are kept.
    pub driver: Driver,
    /// The action.
    pub play: Play<'a>,
}

/// An action.
pub enum Play<'a> {
    /// An install or upgrade.
    Deploy {
        /// The chart, dependencies processed, whose definitions come first.
        chart: &'a Chart,
        /// What is done about them.
        crds: CrdPolicy,
        /// The `HelmRelease`, if there is one.
        origin: Option<Origin>,
        /// The action.
        deploy: Box<Deploy>,
    },
    /// A rollback.
    Rollback(Box<Rollback>),
    /// An uninstall.
    Uninstall(Box<Uninstall>),
}

/// How it went.
#[derive(Debug)]
pub struct Rehearsed {
    /// Why it would fail, if it would.
    pub failure: Option<Failure>,
    /// Objects that were left out: the real cluster serves their kinds, the simulated one cannot.
    pub left_out: Vec<ObjectId>,
}

/// Why an action would fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The step, the object, and the cluster's words.
    pub reason: String,
    /// What to do about it; may be empty.
    pub hint: &'static str,
}

impl Play<'_> {
    /// Returns the release's name and the namespace of its objects.
    fn place(&self) -> (&str, &str) {
        match self {
            Self::Deploy { deploy, .. } => (&deploy.name, &deploy.namespace),
            Self::Rollback(rollback) => (&rollback.target.name, &rollback.target.namespace),
            Self::Uninstall(uninstall) => (&uninstall.last.name, &uninstall.last.namespace),
        }
    }

    /// Returns what it would apply or delete: objects, and those that are there now.
    fn manifests(&self) -> (&str, Option<&str>) {
        match self {
            Self::Deploy { deploy, .. } => {
                let current = match &deploy.kind {
                    Kind::Upgrade { current, .. } => Some(current.manifest.as_str()),
                    Kind::Install { .. } => None,
                };
                (&deploy.rendered.manifest, current)
            }
            Self::Rollback(rollback) => {
                (&rollback.target.manifest, Some(rollback.last.manifest.as_str()))
            }
            Self::Uninstall(uninstall) => (&uninstall.last.manifest, None),
        }
    }

    /// Returns the texts of all objects that it may touch.
    fn texts(&self) -> Vec<&str> {
        let (own, current) = self.manifests();
        let hooks = match self {
            Self::Deploy { deploy, .. } => &deploy.rendered.hooks,
            Self::Rollback(rollback) => &rollback.target.hooks,
            Self::Uninstall(uninstall) => &uninstall.last.hooks,
        };
        let hooks = hooks.iter().map(|hook| hook.manifest.as_str());
        [own].into_iter().chain(current).chain(hooks).collect()
    }

    fn replace_manifest(&mut self, text: String) {
        match self {
            Self::Deploy { deploy, .. } => deploy.rendered.manifest = text,
            Self::Rollback(rollback) => rollback.target.manifest = text,
            Self::Uninstall(uninstall) => uninstall.last.manifest = text,
        }
    }

    /// Whether the action itself waits until objects work.
    fn awaits(&self) -> bool {
        match self {
            Self::Deploy { deploy, .. } => deploy.wait,
            Self::Rollback(rollback) => rollback.wait,
            Self::Uninstall(_) => false,
        }
    }
}

impl Rehearsal<'_> {
    /// Plays it.
    ///
    /// # Errors
    /// The real cluster cannot be read.
    pub async fn play(mut self) -> Result<Rehearsed, Error> {
        let sim = Sim::new(SimOptions::default());
        self.seed(&sim).await?;
        let cluster = Cluster::new(sim.client(self.play.place().1), self.real.manager());
        let left_out = self.leave_out(&cluster).await?;
        let awaited = self.play.awaits().then(|| self.play.manifests().0.to_owned());
        let namespace = self.play.place().1.to_owned();
        let env = Env {
            storage: Storage::with_driver(&cluster, self.storage_namespace, self.driver),
            cluster: cluster.clone(),
            clock: Arc::new(SystemClock),
            holder: "simulation",
            rules: Rules::default(),
            progress: &|_| {},
            output: &|_| {},
            left: &|_, _| {},
        };
        let failure = match perform(&env, self.play).await {
            Err(error) => Some(Failure { reason: chain(&error), hint: hint(&error) }),
            Ok(()) => match awaited {
                Some(manifest) => ready::refused(&cluster, &manifest, &namespace).await?,
                None => None,
            },
        };
        Ok(Rehearsed { failure, left_out })
    }

    /// Takes out what the simulated cluster cannot serve, and the real one does.
    async fn leave_out(&mut self, simulated: &Cluster) -> Result<Vec<ObjectId>, Error> {
        let mut left_out = Vec::new();
        let whole = self.play.manifests().0.to_owned();
        for value in manifest::objects(&whole)? {
            let id = Object(value).id();
            let (api_version, kind) = (id.api_version(), &id.kind);
            if simulated.resource(&api_version, kind).await?.is_none()
                && self.real.resource(&api_version, kind).await?.is_some()
            {
                left_out.push(id);
            }
        }
        if left_out.is_empty() {
            return Ok(left_out);
        }
        let mut kept = String::new();
        for document in manifest::split(&whole) {
            let ids = manifest::objects(document)?.into_iter().map(|value| Object(value).id());
            if !{ ids }.any(|id| left_out.contains(&id)) {
                kept.push_str("---\n");
                kept.push_str(document);
                kept.push('\n');
            }
        }
        self.play.replace_manifest(kept);
        Ok(left_out)
    }
}

/// Does it. Whether objects work is looked at afterwards: nobody there brings custom resources up.
async fn perform(env: &Env<'_>, play: Play<'_>) -> Result<(), Error> {
    match play {
        Play::Deploy { chart, crds, origin, deploy } => {
            let options = &deploy.options;
            let crds = Crds {
                policy: crds,
                method: options.method,
                rules: &options.conflicts,
                namespace: &deploy.namespace,
                origin: origin.as_ref(),
            };
            release::install_crds(env, chart, crds).await?;
            let (wait, timeout) = (false, deploy.timeout.min(PATIENCE));
            release::deploy(env, Deploy { wait, timeout, ..*deploy }).await.result
        }
        Play::Rollback(rollback) => {
            let (wait, timeout) = (false, rollback.timeout.min(PATIENCE));
            release::rollback(env, Rollback { wait, timeout, ..*rollback }).await.result
        }
        Play::Uninstall(uninstall) => {
            let timeout = uninstall.timeout.min(PATIENCE);
            release::uninstall(env, Uninstall { timeout, ..*uninstall }).await.result
        }
    }
}

/// Returns what to do about a failure.
fn hint(error: &Error) -> &'static str {
    if is_unserved(error) {
        return "its kind is not served when it is needed: put its definition into the chart's \
                crds/, or install it before";
    }
    let text = chain(error);
    let rows = [
        (
            "immutable",
            "keep the field as it is, or delete the object first (a hook: by the policy \
             before-hook-creation)",
        ),
        ("Forbidden: updates to", "keep the fields as they are, or delete the object first"),
        (
            "conflict occurred",
            "--force-conflicts takes the fields over, --conflicts rules each of them",
        ),
        ("invalid ownership metadata", "--take-ownership takes the object over"),
        ("exceeded quota", "ask for less, or raise the quota"),
        (" usage per ", "ask for what the limit range allows (resources)"),
        ("already exists", "delete the object first"),
        ("namespaces \"", "--create-namespace makes the namespace of a new release"),
    ];
    rows.iter().find(|(part, _)| text.contains(part)).map_or("", |(_, hint)| hint)
}

fn is_unserved(error: &Error) -> bool {
    match error {
        Error::Cluster(error) | Error::Doing { source: error, .. } => {
            matches!(error, cluster::Error::NoKind { .. })
        }
        Error::Step { source, .. } => is_unserved(source),
        _ => false,
    }
}
