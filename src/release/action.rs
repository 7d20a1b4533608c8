//! Install and upgrade, step by step; each step can be repeated.
//!
//! Source: helm v4.3.1 pkg/action (install.go, upgrade.go).

use std::sync::Arc;
use std::time::Duration;

use super::StoredChart;
use super::apply::{self, Created, Owner};
use super::conflict::Conflict;
use super::method::{Asked, Baseline, How, Verb};
use super::record::{Info, Record};
use super::{Error, Method, Options, RenderedRelease, Storage, hook, preflight, split};
use crate::base::class::chain;
use crate::base::clock::{Clock, rfc3339_nano};
use crate::cluster::status::Reader;
use crate::cluster::wait::{Progress, Rules, WaitOptions, wait_ready};
use crate::cluster::{Cluster, Object, ObjectId};
use crate::yaml::Map;

/// What every action needs.
pub struct Env<'a> {
    /// The cluster.
    pub cluster: Cluster,
    /// Where the records are.
    pub storage: Storage,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Names this process in pending records.
    pub holder: &'a str,
    /// What the release says about when its objects work.
    pub rules: Rules,
    /// Hears how waits go.
    pub progress: &'a (dyn Fn(&Progress) + Sync),
    /// Hears what hooks said, where they ask for that.
    pub output: &'a (dyn Fn(&str) + Sync),
    /// Hears which fields of an object are left to who manages them.
    pub left: &'a (dyn Fn(&ObjectId, &[Conflict]) + Sync),
}

/// Which of the two it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A first revision, or one after an uninstalled one.
    Install {
        /// Newest revision that there ever was; 0: none.
        after: u32,
    },
    /// The next revision.
    Upgrade {
        /// The record that objects are compared with: the newest deployed one, or the last.
        current: Box<Record>,
        /// Newest revision.
        after: u32,
    },
}

/// An install or upgrade.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "Helm's options, as they are")]
pub struct Deploy {
    /// Which.
    pub kind: Kind,
    /// Release name.
    pub name: String,
    /// Namespace of the objects.
    pub namespace: String,
    /// What was rendered.
    pub rendered: RenderedRelease,
    /// The user's values.
    pub config: Map,
    /// Limit of each wait.
    pub timeout: Duration,
    /// Whether readiness is awaited.
    pub wait: bool,
    /// Whether Jobs must complete.
    pub wait_for_jobs: bool,
    /// Whether hooks run.
    pub hooks: bool,
    /// Whether existing objects may be taken over.
    pub take_ownership: bool,
    /// Whether the namespace is created.
    pub create_namespace: bool,
    /// Whether new objects are deleted after a failure.
    pub cleanup_on_fail: bool,
    /// Records that are kept; 0: all.
    pub max_history: usize,
    /// What only a command asks for.
    pub options: Options,
}

/// How an action ended. What was stored is listed also when it failed.
#[derive(Debug)]
pub struct Outcome {
    /// Every record that was written, in order.
    pub written: Vec<Record>,
    /// How it ended.
    pub result: Result<(), Error>,
}

impl Outcome {
    pub(super) fn failed(error: Error) -> Self {
        Self { written: Vec::new(), result: Err(error) }
    }
}

impl Deploy {
    /// Returns the record that would be stored first. What was rendered moves into it, and the chart
    /// is let go: its files are not needed any more.
    pub fn draft(&mut self, clock: &dyn Clock) -> Record {
        let chart = std::mem::take(&mut self.rendered.chart);
        let stored = StoredChart::of(&chart);
        drop(chart);
        let now = rfc3339_nano(clock.now());
        let (status, description, first, after) = match &self.kind {
            Kind::Install { after } => {
                ("pending-install", "Initial install underway", now.clone(), after)
            }
            Kind::Upgrade { current, after } => {
                let first = current.info.first_deployed.clone();
                ("pending-upgrade", "Preparing upgrade", first, after)
            }
        };
        Record {
            name: self.name.clone(),
            info: Info {
                first_deployed: first,
                last_deployed: now,
                description: description.to_owned(),
                status: status.to_owned(),
                notes: std::mem::take(&mut self.rendered.notes),
                ..Info::default()
            },
            chart: stored,
            config: Some(std::mem::take(&mut self.config)).filter(|config| !config.is_empty()),
            manifest: std::mem::take(&mut self.rendered.manifest),
            hooks: std::mem::take(&mut self.rendered.hooks),
            version: after + 1,
            namespace: self.namespace.clone(),
            apply_method: self.method().word().to_owned(),
            labels: match &self.kind {
                Kind::Install { .. } => self.options.labels.clone().unwrap_or_default(),
                Kind::Upgrade { current, .. } => {
                    self.options.labels.clone().unwrap_or_else(|| current.labels.clone())
                }
            },
        }
    }

    /// Returns who computes what changes: who did for the revision that is upgraded.
    fn method(&self) -> Method {
        let usual = match &self.kind {
            Kind::Install { .. } => Method::Server,
            Kind::Upgrade { current, .. } => Method::of(&current.apply_method),
        };
        self.options.method.or(usual)
    }

    /// Returns how objects are to be changed.
    fn asked(&self) -> Asked<'_> {
        let taking = self.take_ownership && matches!(self.kind, Kind::Install { .. });
        let baseline = if taking { Baseline::NewOfAnyKind } else { Baseline::New };
        self.options.asked(self.method(), baseline)
    }

    fn owner(&self) -> Owner<'_> {
        Owner { name: &self.name, namespace: &self.namespace }
    }
}

/// Installs or upgrades a release.
pub async fn deploy(env: &Env<'_>, mut deploy: Deploy) -> Outcome {
    let mut written = Vec::new();
    let record = deploy.draft(&*env.clock);
    let result = match prepare(env, &deploy, record).await {
        Ok((record, scope)) => run(env, &deploy, record, scope, &mut written).await,
        Err(error) => Err(error),
    };
    Outcome { written, result }
}

/// What an action is about.
struct Scope {
    /// What is wanted.
    objects: Vec<Object>,
    /// What was wanted before.
    old: Vec<Object>,
    verb: Verb,
}

/// Everything that may fail before anything is stored.
async fn prepare(env: &Env<'_>, deploy: &Deploy, record: Record) -> Result<(Record, Scope), Error> {
    let old = match &deploy.kind {
        Kind::Install { .. } => Vec::new(),
        Kind::Upgrade { current, .. } => {
            apply::old_objects(&env.cluster, &current.manifest, &current.namespace).await?
        }
    };
    split::split(&record, None, "")?;
    let mut objects = apply::objects(&env.cluster, &record.manifest, &deploy.namespace).await?;
    let owner = deploy.owner();
    let mut verb = match &deploy.kind {
        Kind::Install { .. } => Verb::Create,
        Kind::Upgrade { .. } => Verb::Update,
    };
    if deploy.take_ownership {
        let is_asked = deploy.options.replace || deploy.method() == Method::Client;
        if verb == Verb::Create && is_asked && apply::exist(&env.cluster, &objects).await? {
            verb = Verb::Update;
        }
    } else {
        let is_old = |object: &Object| old.iter().any(|other| other.id().same(&object.id()));
        let new: Vec<Object> = objects.iter().filter(|object| !is_old(object)).cloned().collect();
        let doing = if old.is_empty() { "install" } else { "update" };
        if apply::check_ownership(&env.cluster, &new, owner, doing).await? {
            verb = Verb::Update;
        }
    }
    apply::own(&mut objects, owner);
    if deploy.create_namespace {
        apply::create_namespace(&env.cluster, &deploy.namespace, deploy.method()).await?;
    }
    Ok((record, Scope { objects, old, verb }))
}

/// Everything after the record says that the action is under way.
async fn run(
    env: &Env<'_>,
    deploy: &Deploy,
    mut record: Record,
    scope: Scope,
    written: &mut Vec<Record>,
) -> Result<(), Error> {
    if deploy.max_history > 0 {
        env.storage.prune(&record.name, deploy.max_history.saturating_sub(1)).await?;
    }
    if let Some(replaced) = &deploy.options.replaced {
        env.storage.update(&superseded(replaced), env.holder, &*env.clock).await?;
    }
    env.storage.create(&record, env.holder, &*env.clock).await?;
    written.push(record.clone());
    let created = match deploy.cleanup_on_fail {
        true => Created::before(&env.cluster, &scope.objects).await?,
        false => Created::default(),
    };
    let work = change(env, deploy, &mut record, scope, written);
    let result = deploy.options.until_stopped(work).await;
    if result.is_err() && deploy.options.is_stopped() {
        // What was being written then may be there.
        env.storage.outline(&record.name, record.version).await?;
    }
    match &result {
        // Nobody knows how far it came: the record stays pending, and who finds it takes it up.
        Err(error) if error.is_outage() => return result,
        Ok(()) => {
            let upgraded = match &deploy.kind {
                Kind::Upgrade { current, .. } => Some(current.version),
                Kind::Install { .. } => None,
            };
            supersede(env, &record, upgraded, written).await?;
            let done = if matches!(deploy.kind, Kind::Install { .. }) {
                "Install complete"
            } else {
                "Upgrade complete"
            };
            record.info.description = deploy.options.described(done);
            "deployed".clone_into(&mut record.info.status);
        }
        Err(error) => {
            "failed".clone_into(&mut record.info.status);
            record.info.description = match deploy.kind {
                Kind::Install { .. } => {
                    format!("Release \"{}\" failed: {}", record.name, chain(error))
                }
                Kind::Upgrade { .. } => {
                    format!("Upgrade \"{}\" failed: {}", record.name, chain(error))
                }
            };
        }
    }
    env.storage.update(&record, env.holder, &*env.clock).await?;
    written.push(record);
    match result {
        Err(error) => Err(created.clean(env, deploy.owner(), "upgrade", error).await),
        Ok(()) => Ok(()),
    }
}

/// Checks that a first revision may follow a record that is still there, by the status of that.
///
/// Source: helm v4.3.2 pkg/action/install.go (`availableName`).
///
/// # Errors
/// The name is in use.
pub fn check_name(last: &str, replace: bool) -> Result<(), Error> {
    if replace && matches!(last, "uninstalled" | "failed") {
        return Ok(());
    }
    let text = "release name check failed: cannot reuse a name that is still in use";
    Err(Error::Refused(text.to_owned()))
}

/// Source: helm v4.3.2 pkg/action/install.go (`replaceRelease`): a failed one stays failed.
fn superseded(last: &Record) -> Record {
    let mut last = last.clone();
    if last.info.status != "failed" {
        "superseded".clone_into(&mut last.info.status);
        "superseded by new release".clone_into(&mut last.info.description);
    }
    last
}

/// Tells of the old record, where objects could not be changed: Helm stores it again then, and Flux
/// sees that; nothing of it has changed.
fn unchanged(deploy: &Deploy, result: &Result<(), Error>, written: &mut Vec<Record>) {
    if let (Err(_), Kind::Upgrade { current, .. }) = (result, &deploy.kind) {
        written.push(Record::clone(current));
    }
}

async fn change(
    env: &Env<'_>,
    deploy: &Deploy,
    record: &mut Record,
    scope: Scope,
    written: &mut Vec<Record>,
) -> Result<(), Error> {
    let word = if matches!(deploy.kind, Kind::Install { .. }) { "install" } else { "upgrade" };
    let asked = deploy.asked();
    let (how, hooks) = (asked.how(scope.verb), (deploy.timeout, asked.rules));
    if let Ok(how) = how {
        let checked = preflight::check(&env.cluster, &scope.old, &scope.objects, how).await;
        unchanged(deploy, &checked, written);
        checked?;
    }
    if deploy.hooks {
        hook::run(env, record, &format!("pre-{word}"), hooks).await?;
    }
    let ready = match how {
        Ok(how) => make_ready(env, deploy, scope, how).await,
        Err(error) => Err(error),
    };
    unchanged(deploy, &ready, written);
    ready?;
    if deploy.hooks {
        hook::run(env, record, &format!("post-{word}"), hooks).await?;
    }
    Ok(())
}

/// Applies, removes what is no longer wanted, waits.
async fn make_ready(
    env: &Env<'_>,
    deploy: &Deploy,
    scope: Scope,
    how: How<'_>,
) -> Result<(), Error> {
    let live = {
        // They may be large, and are not needed while it is waited.
        let Scope { objects, old, verb } = scope;
        let live = apply::apply(env, (&objects, &old), how, verb).await?;
        apply::remove_surplus(&env.cluster, &old, &objects).await?;
        live
    };
    if deploy.wait {
        let reader = if deploy.wait_for_jobs { Reader::Jobs } else { Reader::Plain };
        let options = WaitOptions::resources(deploy.timeout, reader).by(&env.rules);
        wait_ready(&env.cluster, live, &options, &*env.clock, env.progress).await?;
    }
    Ok(())
}

/// Marks every other deployed record as superseded, and the one that was upgraded, which may have
/// failed.
pub(super) async fn supersede(
    env: &Env<'_>,
    record: &Record,
    upgraded: Option<u32>,
    written: &mut Vec<Record>,
) -> Result<(), Error> {
    for head in env.storage.heads(&record.name).await? {
        let is_over = head.status == "deployed" || Some(head.version) == upgraded;
        if !is_over || head.version == record.version {
            continue;
        }
        let restated = env.storage.restate(&head, "superseded", env.holder, &*env.clock).await?;
        written.extend(restated);
    }
    Ok(())
}

/// Marks a pending record as failed, so that the release can be acted on again.
pub async fn unlock(env: &Env<'_>, mut record: Record) -> Outcome {
    record.info.description = format!("Release unlocked from stale '{}' state", record.info.status);
    "failed".clone_into(&mut record.info.status);
    match env.storage.update(&record, env.holder, &*env.clock).await {
        Ok(()) => Outcome { written: vec![record], result: Ok(()) },
        Err(error) => Outcome::failed(error),
    }
}
