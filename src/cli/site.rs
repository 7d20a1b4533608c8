//! Where a command changes a release: with Helm's field managers, or those of who keeps it.

use std::fmt;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::args::Connection;
use super::connect::Connected;
use super::inspect::Found;
use super::release_args::Applying;
use super::{connect, inspect, ui};
use crate::api::HelmRelease;
use crate::api::annotation::{CONFLICTS, HELM_MANAGER, RELEASE_MANAGER};
use crate::api::crd::HELM_RELEASE_API;
use crate::base::clock::SystemClock;
use crate::cluster::wait::{self, Progress};
use crate::cluster::{Cluster, ObjectId, Selection};
use crate::controller::manner;
use crate::controller::target::Target;
use crate::release::conflict::{self, Conflict, Policy, Rules};
use crate::release::{Driver, Env, Method, Options, Record, Storage};

/// Field manager of Helm's records.
const RECORDS: &str = "Helm";

/// Where a command changes a release.
pub(super) struct Site {
    pub(super) cluster: Cluster,
    pub(super) namespace: String,
    pub(super) storage: Storage,
    /// The `HelmRelease` that keeps the release, if there is one.
    pub(super) kept: Option<Keeper>,
    /// What that says about fields that others manage.
    conflicts: Option<String>,
    /// How readiness is awaited.
    pub(super) rules: wait::Rules,
    holder: String,
}

/// The `HelmRelease` that keeps a release. It may be in another cluster than the release is.
pub(super) struct Keeper {
    pub(super) cluster: Cluster,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Keeper {
    fn new(cluster: &Cluster, release: &HelmRelease) -> Self {
        let metadata = &release.metadata;
        let (namespace, name) = (metadata.namespace.clone(), metadata.name.clone());
        Self { cluster: cluster.clone(), namespace, name }
    }
}

impl fmt::Display for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl Site {
    /// Connects, and looks who keeps the release.
    pub(super) async fn of(connection: &Connection, name: &str) -> anyhow::Result<Self> {
        Self::within(connect::cluster(connection).await?, name).await
    }

    /// As [`Self::of`], where there is a connection.
    pub(super) async fn within(connected: Connected, name: &str) -> anyhow::Result<Self> {
        let keeper = keeper(&connected, name).await?;
        let conflicts = keeper.as_ref().and_then(said_of_conflicts);
        let kept = keeper.map(|release| Keeper::new(&connected.cluster, &release));
        let manager = if kept.is_some() { RELEASE_MANAGER } else { HELM_MANAGER };
        let records = connected.cluster.with_manager(RECORDS);
        let driver = if kept.is_some() { Driver::default() } else { connected.driver };
        Ok(Self {
            storage: Storage::with_driver(&records, &connected.namespace, driver),
            cluster: connected.cluster.with_manager(manager),
            namespace: connected.namespace,
            kept,
            conflicts,
            rules: wait::Rules::default(),
            holder: format!("cli/{:016x}", rand::random::<u64>()),
        })
    }

    /// Finds a release by its own name or that of its `HelmRelease`.
    pub(super) async fn find(
        connection: &Connection,
        name: &str,
    ) -> anyhow::Result<(Self, String)> {
        let connected = connect::cluster(connection).await?;
        let found = inspect::find(&connected, name).await?;
        Ok((Self::of_found(connected, &found).await?, found.name))
    }

    /// Returns where a release is that was found, and who keeps it.
    pub(super) async fn of_found(connected: Connected, found: &Found) -> anyhow::Result<Self> {
        let namespace = match &found.release {
            Some(release) => Target::of(release).storage_namespace,
            None => connected.namespace,
        };
        let within = Connected { namespace, cluster: found.cluster.clone(), ..connected };
        let mut site = Self::within(within, &found.name).await?;
        if let Some(release) = &found.release {
            site.cluster = site.cluster.with_manager(RELEASE_MANAGER);
            site.storage = Storage::new(&site.cluster.with_manager(RECORDS), &site.namespace);
            site.kept = Some(Keeper::new(&connected.cluster, release));
            site.conflicts = said_of_conflicts(release);
        }
        Ok(site)
    }

    /// Returns what an action needs.
    pub(super) fn env(&self) -> Env<'_> {
        Env {
            cluster: self.cluster.clone(),
            storage: self.storage.clone(),
            clock: Arc::new(SystemClock),
            holder: &self.holder,
            rules: self.rules.clone(),
            progress: &quiet,
            output: &ui::say_log,
            left: &say_left,
        }
    }

    /// Returns how objects are changed, by a method that is decided. Who keeps a release takes
    /// over what others own, unless it says otherwise.
    ///
    /// # Errors
    /// What is said about fields that others manage cannot be read, contradicts itself, or cannot be
    /// kept by this method.
    pub(super) fn options(&self, args: &Applying, method: Method) -> anyhow::Result<Options> {
        let conflicts = match (args.rules()?, &self.kept) {
            (Some(rules), _) => {
                // Of the plain flag Helm says so itself, later.
                if method == Method::Client && !rules.is_just(Policy::Force) {
                    anyhow::bail!(rules.without_owners());
                }
                rules
            }
            (None, Some(_)) => {
                manner::conflicts(method, self.conflicts.as_deref()).map_err(anyhow::Error::msg)?
            }
            (None, None) => Rules::just(Policy::Fail),
        };
        Ok(Options { method, replace: args.force_replace, conflicts, ..Options::default() })
    }

    /// Says who keeps the release, and what comes of what was done.
    pub(super) fn warn(&self, next: &str) {
        if let Some(kept) = &self.kept {
            ui::say(&format!("HelmRelease {kept} keeps this release: {next}"));
        }
    }

    /// Says what becomes of a version that was returned to.
    pub(super) fn warn_of_pin(&self, version: &str) {
        let kept = self.kept.as_ref().map(|kept| kept.name.as_str()).unwrap_or_default();
        self.warn(&format!(
            "{version} runs; the version that was left is not taken by itself, a newer one is. To stay: leadsman pin {kept} {version}"
        ));
    }

    /// Returns the newest record.
    pub(super) async fn last(&self, name: &str) -> anyhow::Result<Option<Record>> {
        Ok(self.storage.last(name).await?.map(|(_, record)| record))
    }
}

fn quiet(_: &Progress) {}

fn say_left(object: &ObjectId, left: &[Conflict]) {
    left.iter().for_each(|one| ui::say(&conflict::line(object, one)));
}

fn said_of_conflicts(release: &HelmRelease) -> Option<String> {
    release.metadata.annotation(CONFLICTS).map(str::to_owned)
}

/// Returns the `HelmRelease` that keeps a release.
async fn keeper(connected: &Connected, name: &str) -> anyhow::Result<Option<HelmRelease>> {
    let cluster = &connected.cluster;
    if cluster.resource(HELM_RELEASE_API, "HelmRelease").await?.is_none() {
        return Ok(None);
    }
    let within = Selection::namespace(&connected.namespace);
    // Who may not look works as with Helm.
    let Ok(found) = cluster.list(HELM_RELEASE_API, "HelmRelease", &within).await else {
        return Ok(None);
    };
    let keeps = |release: &HelmRelease| {
        let target = Target::of(release);
        target.name == name && target.storage_namespace == connected.namespace
    };
    let releases = found.into_iter().filter_map(|object| serde_json::from_value(object.0).ok());
    Ok({ releases }.find(|release| keeps(release)))
}

/// Becomes true when a person or the system asks the process to end; what was typed first is
/// named then.
///
/// Source: helm v4.3.2 pkg/cmd/install.go (`runInstall`).
pub(super) fn stop_on_signal(typed: &str) -> anyhow::Result<watch::Receiver<bool>> {
    let (say, stop) = watch::channel(false);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let text = format!("Release {typed} has been cancelled.\n");
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        ui::print(&text);
        let _ = say.send(true);
        // Later signals are not to end the process before it has written down what became of it.
        say.closed().await;
    });
    Ok(stop)
}
