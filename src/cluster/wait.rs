//! Waiting until objects work, or are gone: watches, no polling.
//!
//! Flux polls every five seconds and therefore fails short timeouts that watching meets; verdicts,
//! fail-fast and error texts are its own. Dropping the future ends the watches.
//!
//! Source: fluxcd/pkg ssa manager_wait.go (WaitForSetWithContext), helm-controller poller.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, OptionFuture, join_all};
use futures::stream::{BoxStream, SelectAll};
use futures::{FutureExt as _, StreamExt as _};
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep_until};

use super::cause::{self, Cause};
use super::client::{Cluster, Selection};
use super::error::Error;
use super::health::Health;
use super::object::{Object, ObjectId};
use super::status::{self, ObjectStatus, Reader, Status};
use super::watch::Change;
use crate::base::class::Class;
use crate::base::clock::Clock;

mod error;
mod gone;
mod legacy;
mod legacy_hook;
mod quiet;

pub use error::WaitError;
pub use gone::wait_deleted;

/// Annotation of an object that is not awaited: `false`. Hooks always are.
pub const AWAITED: &str = "leadsman.dev/wait";
/// How often causes are looked for while waiting.
const LOOK: Duration = Duration::from_secs(10);
/// How long one cause may be looked for.
const LOOKING: Duration = Duration::from_secs(5);
/// At most so many unready objects are looked into for their cause.
const CAUSES: usize = 8;

/// What a release says about when its objects work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// A wait ends when for so long nothing changed and no event came; none: only its timeout counts.
    pub stall: Option<Duration>,
    /// Health of kinds, in the user's words.
    pub health: Arc<Health>,
    /// Whether Helm 3's rules count instead of kstatus'.
    pub legacy: bool,
}

/// How to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitOptions {
    /// How long at most.
    pub timeout: Duration,
    /// Which reading Jobs and Pods get.
    pub reader: Reader,
    /// Whether the first failed object ends the wait.
    pub fail_fast: bool,
    /// What the release says.
    pub rules: Rules,
}

impl WaitOptions {
    /// Waits for resources as Flux does: the first failed one ends it.
    pub fn resources(timeout: Duration, reader: Reader) -> Self {
        Self { timeout, reader, fail_fast: true, rules: Rules::default() }
    }

    /// Waits by the rules of a release.
    #[must_use]
    pub fn by(mut self, rules: &Rules) -> Self {
        self.rules = rules.clone();
        self
    }

    /// Waits for a hook.
    pub fn hook(timeout: Duration) -> Self {
        Self { timeout, reader: Reader::Hook, fail_fast: true, rules: Rules::default() }
    }
}

/// An object that does not work (yet).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unready {
    /// Which.
    pub id: ObjectId,
    /// kstatus' verdict, message included.
    pub status: ObjectStatus,
    /// The deepest cause, once it was looked for.
    pub cause: Option<Cause>,
}

impl fmt::Display for Unready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} status: '{}'", self.id, self.status.status)?;
        if self.status.status == Status::Unknown {
            write!(f, ": {}", self.status.message)?;
        }
        Ok(())
    }
}

/// How far a wait has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// How many objects work.
    pub ready: usize,
    /// How many are awaited.
    pub total: usize,
    /// Those that do not work yet.
    pub unready: Vec<Unready>,
}

/// One awaited object.
struct Target {
    id: ObjectId,
    group: usize,
    /// The last state seen; none: not in the cluster.
    live: Option<Object>,
    /// Pods of a `StatefulSet` or `ReplicaSet`, by name.
    pods: BTreeMap<String, Object>,
    /// A Job that deletes itself when it is done.
    vanishes: bool,
}

/// Objects of one kind in one namespace share a watch.
struct Group {
    api_version: String,
    kind: String,
    namespace: String,
    is_watched: bool,
}

/// Where a change comes from.
#[derive(Debug, Clone, Copy)]
enum Source {
    Group(usize),
    PodsOf(usize),
}

/// Causes that are being looked for.
type Causes = BoxFuture<'static, Vec<(ObjectId, Option<Cause>)>>;
type Changes = BoxStream<'static, (Source, Result<Change, Error>)>;

struct Waiter<'a> {
    cluster: &'a Cluster,
    clock: &'a dyn Clock,
    options: &'a WaitOptions,
    targets: Vec<Target>,
    groups: Vec<Group>,
    changes: SelectAll<Changes>,
    /// When the API server could not be asked for the first and the last time.
    outage: Option<(Instant, Instant)>,
    /// When an object changed last.
    changed: Instant,
    /// The causes last found.
    causes: Vec<(ObjectId, Option<Cause>)>,
}

/// Waits until every object is `Current`. Objects are best given as the API server returned them:
/// those that need nothing more than to exist are then not asked for again.
///
/// `progress` is called whenever the number of working objects changes, and when causes were found:
/// they are looked for every ten seconds, beside the wait.
///
/// # Errors
/// An object failed, time is up, or the cluster refuses to be watched.
pub async fn wait_ready(
    cluster: &Cluster,
    objects: Vec<Object>,
    options: &WaitOptions,
    clock: &dyn Clock,
    progress: &(dyn Fn(&Progress) + Sync),
) -> Result<(), WaitError> {
    if options.rules.legacy && options.reader == Reader::Hook {
        return legacy_hook::wait(cluster, &objects, options.timeout).await;
    }
    if options.rules.legacy {
        let is_asked = options.reader == Reader::Jobs;
        let jobs = if is_asked { legacy::Jobs::Yes } else { legacy::Jobs::No };
        return legacy::wait(cluster, &objects, options.timeout, jobs).await;
    }
    let mut waiter = Waiter::new(cluster, clock, options, objects);
    if waiter.targets.is_empty() {
        return Ok(());
    }
    let ended = waiter.run(progress).await;
    match ended {
        Ok(()) => Ok(()),
        Err(WaitError::Failed { unready }) => {
            Err(WaitError::Failed { unready: waiter.explained(unready).await })
        }
        Err(WaitError::Timeout { unready }) => {
            Err(WaitError::Timeout { unready: waiter.explained(unready).await })
        }
        Err(WaitError::Stalled { unready, quiet }) => {
            Err(WaitError::Stalled { unready: waiter.explained(unready).await, quiet })
        }
        Err(other) => Err(other),
    }
}

impl<'a> Waiter<'a> {
    fn new(
        cluster: &'a Cluster,
        clock: &'a dyn Clock,
        options: &'a WaitOptions,
        objects: Vec<Object>,
    ) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        let mut targets: Vec<Target> = Vec::new();
        for object in objects {
            let id = object.id();
            let is_paused =
                object.kind() == "Deployment" && object.at("/spec/paused") == Some(&true.into());
            let is_left_out =
                options.reader != Reader::Hook && object.annotation(AWAITED) == Some("false");
            if is_paused || is_left_out || targets.iter().any(|target| target.id == id) {
                continue;
            }
            let api_version = id.api_version();
            let same = |group: &Group| {
                group.api_version == api_version
                    && group.kind == id.kind
                    && group.namespace == id.namespace
            };
            let group = groups.iter().position(same).unwrap_or_else(|| {
                groups.push(Group {
                    api_version: api_version.clone(),
                    kind: id.kind.clone(),
                    namespace: id.namespace.clone(),
                    is_watched: false,
                });
                groups.len() - 1
            });
            let vanishes = id.kind == "Job" && object.at("/spec/ttlSecondsAfterFinished").is_some();
            let live = Some(object).filter(|object| !object.resource_version().is_empty());
            targets.push(Target { id, group, live, pods: BTreeMap::new(), vanishes });
        }
        Self {
            cluster,
            clock,
            options,
            targets,
            groups,
            changes: SelectAll::new(),
            outage: None,
            changed: Instant::now(),
            causes: Vec::new(),
        }
    }

    async fn run(&mut self, progress: &(dyn Fn(&Progress) + Sync)) -> Result<(), WaitError> {
        let end = Instant::now() + self.options.timeout;
        let mut tick = interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look = interval_at(Instant::now() + LOOK, LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looking: OptionFuture<Causes> = None.into();
        let (mut said, mut is_news) = (usize::MAX, false);
        loop {
            let unready = self.unready();
            if unready.len() != said || is_news {
                (said, is_news) = (unready.len(), false);
                let total = self.targets.len();
                progress(&Progress { ready: total - said, total, unready: unready.clone() });
            }
            let failed = unready.iter().any(|u| u.status.status == Status::Failed);
            let all_decided = unready.iter().all(|u| u.status.status == Status::Failed);
            if failed && (self.options.fail_fast || all_decided) {
                return Err(WaitError::Failed { unready });
            }
            if unready.is_empty() {
                if self.confirm().await? {
                    return Ok(());
                }
                continue;
            }
            self.watch_unready();
            let quiet = self.options.rules.stall.map(|stall| self.changed + stall);
            // While nobody could look, time did not run; it at most doubles.
            let blind = self.outage.map_or(Duration::ZERO, |(first, last)| last - first);
            let deadline = end + blind.min(self.options.timeout);
            tokio::select! {
                Some((source, change)) = self.changes.next() => self.take(source, change)?,
                // Some verdicts change with time alone (a Pod that nobody schedules).
                _ = tick.tick() => {}
                _ = look.tick() => looking = Some(self.explain(&unready)).into(),
                Some(found) = &mut looking => {
                    looking = None.into();
                    is_news = found != self.causes;
                    self.causes = found;
                }
                () = sleep_until(quiet.unwrap_or(deadline)), if quiet.is_some() => {
                    self.check_quiet(unready).await?;
                }
                () = sleep_until(deadline) => {
                    self.look_again().await?;
                    let unready = self.unready();
                    if !unready.is_empty() {
                        return Err(WaitError::Timeout { unready });
                    }
                }
            }
        }
    }

    fn unready(&self) -> Vec<Unready> {
        let verdicts = self.targets.iter().map(|target| (target, self.verdict(target)));
        verdicts
            .filter(|(_, status)| status.status != Status::Current)
            .map(|(target, status)| Unready {
                id: target.id.clone(),
                status,
                cause: self.cause(&target.id),
            })
            .collect()
    }

    fn verdict(&self, target: &Target) -> ObjectStatus {
        let Some(live) = &target.live else {
            return if target.vanishes {
                ObjectStatus::current("Job has completed and is gone")
            } else {
                ObjectStatus::not_found()
            };
        };
        if let Some(verdict) = self.options.rules.health.verdict(&live.0) {
            return verdict;
        }
        let now = self.clock.now();
        let verdict = status::read(&live.0, self.options.reader, now);
        if verdict.status != Status::InProgress || target.pods.is_empty() {
            return verdict;
        }
        let failed = target.pods.values().filter(|pod| {
            let is_transient = pod.is_deleting()
                || status::conditions(&pod.0).is_ok_and(|list| {
                    list.iter().any(|c| {
                        c.kind == "PodScheduled"
                            && c.status == "False"
                            && c.reason == "Unschedulable"
                    })
                });
            !is_transient && status::status(&pod.0, now).status == Status::Failed
        });
        match failed.count() {
            0 => verdict,
            count => ObjectStatus::failed("", format!("{count} pods have failed")),
        }
    }

    /// Opens the watches that are needed and not open yet.
    fn watch_unready(&mut self) {
        for index in 0..self.targets.len() {
            let (group, ready) = {
                let target = &self.targets[index];
                (target.group, self.verdict(target).status == Status::Current)
            };
            if !ready && !self.groups[group].is_watched {
                self.watch_group(group);
            }
        }
    }

    fn watch_group(&mut self, index: usize) {
        let members: Vec<usize> =
            (0..self.targets.len()).filter(|target| self.targets[*target].group == index).collect();
        let selection = self.selection(index, &members);
        let group = &mut self.groups[index];
        group.is_watched = true;
        let stream = self.cluster.watch(&group.api_version, &group.kind, selection);
        self.changes.push(stream.map(move |change| (Source::Group(index), change)).boxed());
        if !matches!(group.kind.as_str(), "StatefulSet" | "ReplicaSet") {
            return;
        }
        for member in members {
            let target = &self.targets[member];
            let Some(labels) = target.live.as_ref().and_then(cause::selector) else { continue };
            let selection = Selection::namespace(&target.id.namespace).labels(labels);
            let stream = self.cluster.watch("v1", "Pod", selection);
            self.changes.push(stream.map(move |change| (Source::PodsOf(member), change)).boxed());
        }
    }

    fn selection(&self, group: usize, members: &[usize]) -> Selection {
        let group = &self.groups[group];
        let mut selection = Selection::default();
        if !group.namespace.is_empty() {
            selection.namespace = Some(group.namespace.clone());
        }
        match members {
            [only] => selection.fields(format!("metadata.name={}", self.targets[*only].id.name)),
            _ => selection,
        }
    }

    fn take(&mut self, source: Source, change: Result<Change, Error>) -> Result<(), WaitError> {
        let change = match change {
            Ok(change) => change,
            // Pods only sharpen the verdict: without the right to list them it stays blunt.
            Err(_) if matches!(source, Source::PodsOf(_)) => return Ok(()),
            Err(error) if error.class() == Class::Stalled || error.is_not_found() => {
                let id = match source {
                    Source::Group(group) => self.targets.iter().find(|t| t.group == group),
                    Source::PodsOf(target) => self.targets.get(target),
                };
                let id = Box::new(id.map(|target| target.id.clone()).unwrap_or_default());
                return Err(WaitError::Cluster { id, source: error });
            }
            Err(_) => {
                let now = Instant::now();
                self.outage = Some((self.outage.map_or(now, |(first, _)| first), now));
                return Ok(());
            }
        };
        match (source, change) {
            (Source::Group(group), Change::Applied(object)) => {
                self.put(group, object.id(), Some(object));
            }
            (Source::Group(group), Change::Deleted(object)) => self.put(group, object.id(), None),
            (Source::PodsOf(target), Change::Applied(pod)) => {
                let known = self.targets[target].pods.get(pod.name());
                self.changed = moved(known, Some(&pod)).unwrap_or(self.changed);
                self.targets[target].pods.insert(pod.name().to_owned(), pod);
            }
            (Source::PodsOf(target), Change::Deleted(pod)) => {
                self.targets[target].pods.remove(pod.name());
            }
            (_, Change::Synced) => {}
        }
        Ok(())
    }

    fn put(&mut self, group: usize, id: ObjectId, live: Option<Object>) {
        let mine = |target: &&mut Target| target.group == group && target.id.same(&id);
        if let Some(target) = self.targets.iter_mut().find(mine) {
            self.changed = moved(target.live.as_ref(), live.as_ref()).unwrap_or(self.changed);
            target.live = live;
        }
    }

    /// After an outage, reads once more what does not work as far as is known: a watch that was
    /// cut may not have said so yet. Without one there is nothing to read.
    async fn look_again(&mut self) -> Result<(), WaitError> {
        if self.outage.is_none() {
            return Ok(());
        }
        let ids: Vec<ObjectId> = self.unready().into_iter().map(|unready| unready.id).collect();
        for id in ids {
            let live = self.cluster.get(&id).await;
            let fail = |source| WaitError::Cluster { id: Box::new(id.clone()), source };
            let live = live.map_err(fail)?;
            if let Some(target) = self.targets.iter_mut().find(|target| target.id == id) {
                target.live = live;
            }
        }
        Ok(())
    }

    /// Reads the kinds once more that were ready from the start and never watched: a custom
    /// resource's controller may have found fault with it meanwhile.
    async fn confirm(&mut self) -> Result<bool, WaitError> {
        let mut all_ready = true;
        for index in 0..self.groups.len() {
            let group = &self.groups[index];
            if group.is_watched || is_static(group) || self.options.reader == Reader::Hook {
                continue;
            }
            let members: Vec<usize> =
                (0..self.targets.len()).filter(|t| self.targets[*t].group == index).collect();
            let selection = self.selection(index, &members);
            let listed = self.cluster.list(&group.api_version, &group.kind, &selection).await;
            let mut listed = match listed {
                Ok(listed) => listed,
                Err(error) if error.is_transient() => {
                    all_ready = false;
                    self.watch_group(index);
                    continue;
                }
                Err(source) => {
                    let id = Box::new(self.targets[members[0]].id.clone());
                    return Err(WaitError::Cluster { id, source });
                }
            };
            for member in &members {
                let target = &mut self.targets[*member];
                let found = listed.iter().position(|object| object.id().same(&target.id));
                target.live = found.map(|index| listed.swap_remove(index));
            }
            if members.iter().any(|m| self.verdict(&self.targets[*m]).status != Status::Current) {
                all_ready = false;
            } else {
                self.groups[index].is_watched = true;
            }
        }
        Ok(all_ready)
    }

    fn cause(&self, id: &ObjectId) -> Option<Cause> {
        self.causes.iter().find(|(known, _)| known == id).and_then(|(_, cause)| cause.clone())
    }

    /// Looks for causes, side by side and not for long.
    fn explain(&self, unready: &[Unready]) -> Causes {
        let live = |entry: &Unready| {
            let target = self.targets.iter().find(|target| target.id == entry.id);
            target.and_then(|target| target.live.clone())
        };
        let objects: Vec<Object> = unready.iter().filter_map(live).take(CAUSES).collect();
        let cluster = self.cluster.clone();
        let find = async move {
            let each = objects.iter().map(async |object| {
                let found = tokio::time::timeout(LOOKING, cause::find(&cluster, object)).await;
                (object.id(), found.ok().and_then(Result::ok).flatten())
            });
            join_all(each).await
        };
        find.boxed()
    }

    async fn explained(&mut self, mut unready: Vec<Unready>) -> Vec<Unready> {
        let found = self.explain(&unready).await;
        for entry in &mut unready {
            let fresh = found.iter().find(|(id, _)| *id == entry.id);
            // What was known before is better than nothing.
            entry.cause = fresh.and_then(|(_, cause)| cause.clone()).or(entry.cause.take());
        }
        unready
    }
}

/// Returns the present moment if an object is another one than it was.
fn moved(before: Option<&Object>, after: Option<&Object>) -> Option<Instant> {
    let version = |object: Option<&Object>| object.map(|o| o.resource_version().to_owned());
    (version(before) != version(after)).then(Instant::now)
}

/// Returns whether objects of a kind need nothing more than to exist.
fn is_static(group: &Group) -> bool {
    let api_group = group.api_version.rsplit_once('/').map_or("", |(group, _)| group);
    match api_group {
        "" => matches!(
            group.kind.as_str(),
            "Secret"
                | "ConfigMap"
                | "ServiceAccount"
                | "Service"
                | "Namespace"
                | "LimitRange"
                | "ResourceQuota"
        ),
        "rbac.authorization.k8s.io"
        | "admissionregistration.k8s.io"
        | "networking.k8s.io"
        | "scheduling.k8s.io"
        | "storage.k8s.io" => true,
        "policy" | "autoscaling" => true,
        _ => group.kind == "CronJob",
    }
}
