//! Rollback: an earlier revision again, as a new one.
//!
//! Source: helm v4.3.1 pkg/action/rollback.go.

use std::time::Duration;

use super::action::{Env, Outcome, supersede};
use super::apply::{self, Created, Owner};
use super::method::{Baseline, Verb};
use super::record::Record;
use super::{Error, Method, Options, hook, split};
use crate::base::class::chain;
use crate::base::clock::rfc3339_nano;
use crate::cluster::status::Reader;
use crate::cluster::wait::{WaitOptions, wait_ready};

/// A rollback.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "Helm's options, as they are")]
pub struct Rollback {
    /// The revision to return to.
    pub target: Record,
    /// The newest revision, whatever became of it.
    pub last: Record,
    /// Limit of each wait.
    pub timeout: Duration,
    /// Whether readiness is awaited.
    pub wait: bool,
    /// Whether Jobs must complete.
    pub wait_for_jobs: bool,
    /// Whether hooks run.
    pub hooks: bool,
    /// Whether new objects are deleted after a failure.
    pub cleanup_on_fail: bool,
    /// Records that are kept; 0: all.
    pub max_history: usize,
    /// What only a command asks for.
    pub options: Options,
}

/// Rolls a release back.
pub async fn rollback(env: &Env<'_>, rollback: Rollback) -> Outcome {
    let mut written = Vec::new();
    let result = run(env, &rollback, &mut written).await;
    Outcome { written, result }
}

impl Rollback {
    /// Returns who computes what changes: who did for the revision that is returned to.
    fn method(&self) -> Method {
        self.options.method.or(Method::of(&self.target.apply_method))
    }
}

/// Returns the record that is stored first.
///
/// # Errors
/// It is too large.
fn draft(rollback: &Rollback, now: String) -> Result<Record, Error> {
    let (target, last) = (&rollback.target, &rollback.last);
    let mut record = target.clone();
    record.chart = record.chart.packed();
    record.version = last.version + 1;
    record.info.first_deployed.clone_from(&last.info.first_deployed);
    record.info.last_deployed = now;
    record.info.deleted.clear();
    let usual = format!("Rollback to {}", target.version);
    record.info.description = rollback.options.described(&usual);
    rollback.method().word().clone_into(&mut record.apply_method);
    "pending-rollback".clone_into(&mut record.info.status);
    record.info.rollback_revision = target.version;
    split::split(&record, None, "")?;
    Ok(record)
}

/// Returns the revision that was rolled back, as a rollback leaves it that changed objects and then
/// failed: superseded where not all were changed. Where they did not become ready Helm stores it
/// again as it is, and Flux sees that.
async fn left(env: &Env<'_>, last: &Record, error: &Error) -> Result<Record, Error> {
    let mut last = last.clone();
    if !matches!(error, Error::Wait(_)) {
        "superseded".clone_into(&mut last.info.status);
        env.storage.update(&last, env.holder, &*env.clock).await?;
    }
    Ok(last)
}

/// Notes that a rollback failed. Helm tells one that was applied, but is not ready, from one that was
/// not.
fn fail(record: &mut Record, error: &Error) {
    let what = if matches!(error, Error::Wait(_)) { "Release" } else { "Rollback" };
    "failed".clone_into(&mut record.info.status);
    record.info.description = format!("{what} \"{}\" failed: {}", record.name, chain(error));
}

async fn run(env: &Env<'_>, rollback: &Rollback, written: &mut Vec<Record>) -> Result<(), Error> {
    let (target, last) = (&rollback.target, &rollback.last);
    let mut record = draft(rollback, rfc3339_nano(env.clock.now()))?;
    let old = apply::old_objects(&env.cluster, &last.manifest, &last.namespace).await?;
    let mut objects = apply::objects(&env.cluster, &record.manifest, &record.namespace).await?;
    let owner = Owner { name: &target.name, namespace: &target.namespace };
    apply::own(&mut objects, owner);
    if rollback.max_history > 0 {
        env.storage.prune(&record.name, rollback.max_history.saturating_sub(1)).await?;
    }
    env.storage.create(&record, env.holder, &*env.clock).await?;
    written.push(record.clone());
    let created = match rollback.cleanup_on_fail {
        true => Created::before(&env.cluster, &objects).await?,
        false => Created::default(),
    };
    let mut in_hooks = true;
    let changed = async {
        let asked = rollback.options.asked(rollback.method(), Baseline::Live);
        let hooks = (rollback.timeout, asked.rules);
        if rollback.hooks {
            hook::run(env, &mut record, "pre-rollback", hooks).await?;
        }
        in_hooks = false;
        let how = asked.how(Verb::Update)?;
        let live = apply::apply(env, (&objects, &old), how, Verb::Update).await?;
        apply::remove_surplus(&env.cluster, &old, &objects).await?;
        if rollback.wait {
            let reader = if rollback.wait_for_jobs { Reader::Jobs } else { Reader::Plain };
            let options = WaitOptions::resources(rollback.timeout, reader).by(&env.rules);
            wait_ready(&env.cluster, live, &options, &*env.clock, env.progress).await?;
        }
        in_hooks = true;
        if rollback.hooks {
            hook::run(env, &mut record, "post-rollback", hooks).await?;
        }
        Ok::<(), Error>(())
    }
    .await;
    // Nobody knows how far it came: the record stays pending, and who finds it takes it up.
    if changed.as_ref().is_err_and(Error::is_outage) {
        return changed;
    }
    match &changed {
        Ok(()) => {
            supersede(env, &record, None, written).await?;
            "deployed".clone_into(&mut record.info.status);
        }
        Err(error) => {
            if !in_hooks {
                written.push(left(env, last, error).await?);
            }
            fail(&mut record, error);
        }
    }
    env.storage.update(&record, env.holder, &*env.clock).await?;
    written.push(record);
    let Err(error) = changed else { return Ok(()) };
    Err(created.clean(env, owner, "rollback", error).await)
}
