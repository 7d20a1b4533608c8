//! Watches all kinds and keeps one task per object.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::context::Context;
use super::queue::{Phase, Report, Requeue, Waker, attend};
use super::source::{Said as _, Source};
use super::{
    bucket, external_artifact, git_repository, helm_chart, oci_repository, reconcile, repository,
    source,
};
use crate::api::annotation::REQUESTED_AT;
use crate::api::condition::{READY, find};
use crate::api::crd::{
    BUCKET_API, EXTERNAL_ARTIFACT_API, GIT_REPOSITORY_API, HELM_CHART_API, HELM_RELEASE_API,
    HELM_REPOSITORY_API, OCI_REPOSITORY_API,
};
use crate::api::{
    Bucket, ChartSpec, ExternalArtifact, GitRepository, HelmChart, HelmRelease, HelmRepository,
    Meta, OciRepository,
};
use crate::base::class::chain;
use crate::base::name::NamespacedName;
use crate::cluster::{self, Change, Object, Selection};

/// How often a cluster that is away is asked.
const LOOK: Duration = Duration::from_secs(1);

/// A kind that is attended to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `HelmRepository`.
    Repository,
    /// `OCIRepository`.
    Artifact,
    /// `GitRepository`.
    Git,
    /// `Bucket`.
    Bucket,
    /// `HelmChart`.
    Chart,
    /// `ExternalArtifact`, which others keep: releases hear of it.
    External,
    /// `HelmRelease`.
    Release,
}

/// How many kinds there are.
const KINDS: usize = 7;

type Key = (Kind, NamespacedName);

/// Where every release stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether all objects that exist were seen.
    pub synced: bool,
    /// The releases.
    pub releases: BTreeMap<NamespacedName, Phase>,
}

impl Standing {
    /// Returns whether every release is ready or failed. One that waits for another counts as
    /// failed once nothing is at work any more.
    pub fn is_settled(&self) -> bool {
        let done = |phase: &Phase| matches!(phase, Phase::Ready | Phase::Failed);
        let at_work = |phase: &Phase| *phase == Phase::Working;
        self.synced
            && (self.releases.values().all(done)
                || !self.releases.values().any(at_work)
                    && self.releases.values().any(|phase| *phase == Phase::Failed))
    }

    /// Returns whether every release is ready.
    pub fn is_ready(&self) -> bool {
        self.synced && self.releases.values().all(|phase| *phase == Phase::Ready)
    }
}

/// Attends to all objects until it is dropped.
#[derive(Debug)]
pub struct Manager {
    context: Arc<Context>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    attended: Mutex<BTreeMap<Key, Attended>>,
    standing: watch::Sender<Standing>,
    /// Whether the cluster is away.
    away: AtomicBool,
}

/// What is known of an object that has a task.
#[derive(Debug)]
struct Attended {
    waker: Waker,
    seen: Seen,
}

/// What of an object makes its task, or the tasks of others, look again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    /// Generation, deletion and annotations.
    own: (i64, bool, BTreeMap<String, String>),
    /// What others wait for: readiness of a release, revision of a repository's index.
    outward: String,
    /// What it refers to.
    refers_to: BTreeSet<Key>,
}

impl Manager {
    /// Returns a manager; nothing happens before [`Manager::run`].
    pub fn new(context: Arc<Context>) -> Self {
        let (standing, _) = watch::channel(Standing::default());
        let (attended, away) = (Mutex::default(), AtomicBool::new(false));
        Self { context, shared: Arc::new(Shared { attended, standing, away }) }
    }

    /// Returns where the releases stand, as it changes.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.shared.standing.subscribe()
    }

    /// Attends to objects, of one namespace or of all, until the future is dropped.
    pub async fn run(&self, namespace: Option<String>) {
        let mut tasks = JoinSet::new();
        let select = || Selection { namespace: namespace.clone(), ..Selection::default() };
        let cluster = &self.context.cluster;
        let repositories = cluster.watch(HELM_REPOSITORY_API, "HelmRepository", select());
        let releases = cluster.watch(HELM_RELEASE_API, "HelmRelease", select());
        let artifacts = cluster.watch(OCI_REPOSITORY_API, oci_repository::KIND, select());
        let commits = cluster.watch(GIT_REPOSITORY_API, git_repository::KIND, select());
        let buckets = cluster.watch(BUCKET_API, bucket::KIND, select());
        let external = cluster.watch(EXTERNAL_ARTIFACT_API, external_artifact::KIND, select());
        let charts = cluster.watch(HELM_CHART_API, helm_chart::KIND, select());
        let mut changes = futures::stream::select_all([
            repositories.map(|change| (Kind::Repository, change)).boxed(),
            artifacts.map(|change| (Kind::Artifact, change)).boxed(),
            commits.map(|change| (Kind::Git, change)).boxed(),
            buckets.map(|change| (Kind::Bucket, change)).boxed(),
            external.map(|change| (Kind::External, change)).boxed(),
            charts.map(|change| (Kind::Chart, change)).boxed(),
            releases.map(|change| (Kind::Release, change)).boxed(),
        ]);
        let mut synced = BTreeSet::new();
        while let Some((kind, change)) = changes.next().await {
            match change {
                Ok(Change::Applied(object)) => self.applied(kind, &object, &mut tasks),
                Ok(Change::Deleted(object)) => self.deleted(kind, &object),
                Ok(Change::Synced) => {
                    if synced.insert(kind) && synced.len() == KINDS {
                        self.sweep(namespace.as_deref());
                    }
                    self.shared
                        .standing
                        .send_modify(|standing| standing.synced = synced.len() == KINDS);
                }
                Err(error) if error.is_outage() => self.wait_for_cluster(&error, &mut tasks),
                Err(error) => {
                    let error = chain(&error);
                    tracing::warn!(?kind, error, "the watch was interrupted; trying again");
                }
            }
        }
    }

    /// Removes the artifacts of objects that went while nobody looked.
    fn sweep(&self, namespace: Option<&str>) {
        let Some(storage) = self.context.options.storage.clone() else { return };
        let attended = self.attended();
        let keys = attended.keys().filter_map(|(kind, key)| {
            let kind = match kind {
                Kind::Repository => repository::KIND,
                Kind::Artifact => oci_repository::KIND,
                Kind::Git => git_repository::KIND,
                Kind::Bucket => bucket::KIND,
                Kind::Chart => helm_chart::KIND,
                Kind::External | Kind::Release => return None,
            };
            Some(format!("{}/{}/{}", kind.to_lowercase(), key.namespace, key.name))
        });
        storage.sweep(namespace, &keys.collect());
    }

    fn attended(&self) -> MutexGuard<'_, BTreeMap<Key, Attended>> {
        self.shared.attended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn applied(&self, kind: Kind, object: &Object, tasks: &mut JoinSet<()>) {
        let key = (kind, NamespacedName::new(object.namespace(), object.name()));
        let seen = Seen::of(kind, &object.0);
        let mut attended = self.attended();
        let outward_changed = match attended.get_mut(&key) {
            Some(known) => {
                if known.seen.own != seen.own {
                    known.waker.wake();
                }
                let changed = known.seen.outward != seen.outward;
                known.seen = seen;
                changed
            }
            None => {
                let waker = Waker::default();
                attended.insert(key.clone(), Attended { waker: waker.clone(), seen });
                self.attend(key.clone(), waker, tasks);
                true
            }
        };
        if outward_changed {
            wake_dependents(&attended, &key);
        }
    }

    /// Says once that the cluster is away, and when it is back; then everything is looked at anew,
    /// however long its pause.
    fn wait_for_cluster(&self, error: &cluster::Error, tasks: &mut JoinSet<()>) {
        if self.shared.away.swap(true, Ordering::SeqCst) {
            return;
        }
        let (cluster, shared) = (self.context.cluster.clone(), Arc::clone(&self.shared));
        let address = cluster.address();
        tracing::warn!(
            address,
            error = chain(error),
            "the cluster cannot be reached: check that it runs; what is under way is taken up when it answers"
        );
        tasks.spawn(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                if cluster.read_path("/readyz").await.is_ok() {
                    break;
                }
            }
            tracing::warn!("the cluster answers again: every object is looked at anew");
            shared.away.store(false, Ordering::SeqCst);
            let attended = shared.attended.lock().unwrap_or_else(PoisonError::into_inner);
            attended.values().for_each(|known| known.waker.wake());
        });
    }

    fn deleted(&self, kind: Kind, object: &Object) {
        let key = (kind, NamespacedName::new(object.namespace(), object.name()));
        let attended = self.attended();
        if let Some(known) = attended.get(&key) {
            known.waker.wake();
        }
        wake_dependents(&attended, &key);
    }

    fn attend(&self, key: Key, waker: Waker, tasks: &mut JoinSet<()>) {
        let (context, shared) = (Arc::clone(&self.context), Arc::clone(&self.shared));
        if key.0 == Kind::Release {
            shared.stand(&key.1, Some(Phase::Working));
        }
        tasks.spawn(async move {
            let backoff = context.options.backoff;
            // Each turn owns what it uses: a future that borrows from its maker is not `Send`.
            let turn = move || {
                let (context, shared) = (Arc::clone(&context), Arc::clone(&shared));
                let key = key.clone();
                async move { reconcile_guarded(&context, &shared, &key).await }.boxed()
            };
            attend(waker, backoff, turn).await;
        });
    }
}

/// A mistake of ours in dealing with one object must not end its task, or anybody else's.
async fn reconcile_guarded(context: &Context, shared: &Shared, key: &Key) -> Report {
    let reconciled = AssertUnwindSafe(reconcile_one(context, shared, key)).catch_unwind().await;
    reconciled.unwrap_or_else(|_| {
        let (kind, name) = (key.0, &key.1);
        tracing::error!(?kind, %name, "Leadsman failed while dealing with this object: please report it; it is tried again");
        if kind == Kind::Release {
            shared.stand(name, Some(Phase::Failed));
        }
        Report::new(Requeue::Backoff, Phase::Failed)
    })
}

async fn reconcile_one(context: &Context, shared: &Shared, key: &Key) -> Report {
    match key.0 {
        Kind::Repository => repository::reconcile(context, &key.1).await,
        Kind::Artifact => source::reconcile::<OciRepository>(context, &key.1).await,
        Kind::Git => source::reconcile::<GitRepository>(context, &key.1).await,
        Kind::Bucket => source::reconcile::<Bucket>(context, &key.1).await,
        Kind::Chart => helm_chart::reconcile(context, &key.1).await,
        Kind::External => Report::new(Requeue::OnChange, Phase::Ready),
        Kind::Release => {
            let report = reconcile::reconcile(context, &key.1).await;
            let gone = report.requeue == Requeue::Gone;
            shared.stand(&key.1, (!gone).then_some(report.phase));
            report
        }
    }
}

impl Shared {
    fn stand(&self, key: &NamespacedName, phase: Option<Phase>) {
        self.standing.send_if_modified(|standing| match phase {
            Some(phase) => standing.releases.insert(key.clone(), phase) != Some(phase),
            None => standing.releases.remove(key).is_some(),
        });
    }
}

fn wake_dependents(attended: &BTreeMap<Key, Attended>, key: &Key) {
    for other in attended.values().filter(|other| other.seen.refers_to.contains(key)) {
        other.waker.wake();
    }
}

impl Seen {
    /// Of a source whose artifact others take.
    fn of_artifact<T: Source + Default>(
        object: &Value,
        refers_to: impl FnOnce(&T) -> BTreeSet<Key>,
    ) -> Self {
        let source: T = serde_json::from_value(object.clone()).unwrap_or_default();
        let (meta, mut status) = (source.meta(), source.status().clone());
        let said = status.parts();
        let revision =
            said.artifact.as_ref().map(|artifact| (&artifact.revision, &artifact.digest));
        let ready = find(said.conditions, READY).map(|c| (&c.status, &c.message));
        let observed = *said.observed_generation == meta.generation;
        Self {
            own: own(meta),
            outward: format!("{revision:?} {ready:?} {observed}"),
            refers_to: refers_to(&source),
        }
    }

    fn of(kind: Kind, object: &Value) -> Self {
        match kind {
            Kind::Repository => {
                let repository: HelmRepository =
                    serde_json::from_value(object.clone()).unwrap_or_default();
                let revision = repository.status.artifact.map(|artifact| artifact.revision);
                let ready = find(&repository.status.conditions, READY);
                // A registry's status says nothing; releases then hear of what is wanted of it.
                let wanted = repository.spec.is_oci().then_some(repository.metadata.generation);
                let ready = ready.map(|c| (&c.status, &c.message));
                Self {
                    own: own(&repository.metadata),
                    outward: format!("{revision:?} {ready:?} {wanted:?}"),
                    refers_to: BTreeSet::new(),
                }
            }
            Kind::Artifact => Self::of_artifact::<OciRepository>(object, |_| BTreeSet::new()),
            Kind::Git => Self::of_artifact::<GitRepository>(object, |repository| {
                let own = &repository.metadata.namespace;
                let others = repository.spec.include.iter();
                others.map(|one| (Kind::Git, within(own, "", &one.repository.name))).collect()
            }),
            Kind::Bucket => Self::of_artifact::<Bucket>(object, |_| BTreeSet::new()),
            Kind::Chart => Self::of_artifact::<HelmChart>(object, |chart| {
                [source_of(&chart.metadata.namespace, &chart.spec.chart)].into()
            }),
            Kind::External => {
                let source: ExternalArtifact =
                    serde_json::from_value(object.clone()).unwrap_or_default();
                let artifact = source.status.artifact.as_ref();
                let told = artifact.map(|it| (&it.revision, &it.digest, &it.url));
                Self {
                    own: own(&source.metadata),
                    outward: format!("{told:?}"),
                    refers_to: BTreeSet::new(),
                }
            }
            Kind::Release => {
                let release: HelmRelease =
                    serde_json::from_value(object.clone()).unwrap_or_default();
                let status = &release.status;
                let ready = find(&status.conditions, READY);
                let observed = status.observed_generation == release.metadata.generation;
                Self {
                    own: own(&release.metadata),
                    outward: format!("{observed} {:?}", ready.map(|condition| condition.status)),
                    refers_to: references(&release),
                }
            }
        }
    }
}

fn own(meta: &Meta) -> (i64, bool, BTreeMap<String, String>) {
    let ours = |key: &str| key == REQUESTED_AT || key.starts_with("leadsman.dev/");
    let annotations = meta.annotations.iter().filter(|(key, _)| ours(key));
    let annotations = annotations.map(|(key, value)| (key.clone(), value.clone())).collect();
    (meta.generation, meta.deletion_timestamp.is_some(), annotations)
}

/// Returns what a release waits for: its repository and its dependencies.
fn references(release: &HelmRelease) -> BTreeSet<Key> {
    let own = &release.metadata.namespace;
    let source = release.spec.chart.as_ref().map(|chart| source_of(own, &chart.spec));
    let named = release.spec.chart_ref.as_ref();
    let named = named.map(|source| {
        let kind = match source.kind.as_str() {
            helm_chart::KIND => Kind::Chart,
            external_artifact::KIND => Kind::External,
            _ => Kind::Artifact,
        };
        (kind, within(own, &source.namespace, &source.name))
    });
    let others = release.spec.depends_on.iter();
    let others = others.map(|other| (Kind::Release, within(own, &other.namespace, &other.name)));
    source.into_iter().chain(named).chain(others).collect()
}

/// Returns where a chart comes from that an object of this namespace describes.
fn source_of(own: &str, chart: &ChartSpec) -> Key {
    let source = &chart.source_ref;
    let kind = match source.kind.as_str() {
        git_repository::KIND => Kind::Git,
        bucket::KIND => Kind::Bucket,
        _ => Kind::Repository,
    };
    (kind, within(own, &source.namespace, &source.name))
}

/// Returns what a name means in an object of this namespace.
fn within(own: &str, namespace: &str, name: &str) -> NamespacedName {
    NamespacedName::new(if namespace.is_empty() { own } else { namespace }, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settled_means_that_nothing_is_at_work() {
        use Phase::{Failed, Ready, Waiting, Working};
        for (phases, settled) in [
            (&[Ready, Ready][..], true),
            (&[Ready, Failed], true),
            (&[Ready, Working], false),
            (&[Failed, Waiting], true),
            (&[Ready, Waiting], false),
            (&[Failed, Working, Waiting], false),
            (&[], true),
        ] {
            let keys = phases.iter().enumerate();
            let releases =
                keys.map(|(i, p)| (NamespacedName::new("n", i.to_string()), *p)).collect();
            let standing = Standing { synced: true, releases };
            assert_eq!(standing.is_settled(), settled, "{phases:?}");
        }
    }

    #[test]
    fn a_status_write_of_its_own_wakes_nobody() {
        let object = |status: &str, annotation: &str| {
            serde_json::json!({
                "metadata": {"name": "a", "generation": 2, "annotations": {"x": "y", "leadsman.dev/pin": annotation}},
                "spec": {"dependsOn": [{"name": "b"}]},
                "status": {"observedGeneration": 2, "failures": 3, "conditions": [{
                    "type": "Ready", "status": status, "reason": "R", "lastTransitionTime": "t"}]},
            })
        };
        let first = Seen::of(Kind::Release, &object("True", "1"));
        assert_eq!(first, Seen::of(Kind::Release, &object("True", "1")));
        assert_ne!(first.outward, Seen::of(Kind::Release, &object("False", "1")).outward);
        assert_ne!(first.own, Seen::of(Kind::Release, &object("True", "2")).own);
        assert!(first.refers_to.contains(&(Kind::Release, NamespacedName::new("", "b"))));
    }
}
