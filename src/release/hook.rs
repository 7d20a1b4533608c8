//! Hooks: objects that are run at an event.
//!
//! Source: helm v4.3.1 pkg/action/hooks.go.

use std::sync::Arc;
use std::time::Duration;

use super::action::Env;
use super::conflict::{self, Conflict, Policy};
use super::manifest::Hook;
use super::record::Record;
use super::serverside::{self, Applied, Purpose};
use super::{Error, Method, apply};
use crate::base::class::chain;
use crate::base::clock::rfc3339_nano;
use crate::cluster::wait::{Rules, WaitOptions, wait_deleted, wait_ready};
use crate::cluster::{Object, Propagation};
use crate::yaml::{self, Numbers};

mod log;

pub(super) use log::of_pod;

/// Which hooks run, and how long each may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event<'a> {
    /// The event.
    pub(super) name: &'a str,
    /// Limit of each wait.
    pub(super) timeout: Duration,
    /// Of its hooks, only so many at the end of the record are meant.
    pub(super) last: usize,
    /// What becomes of fields of others, where an object of a hook is there already.
    pub(super) conflicts: &'a conflict::Rules,
}

/// Hooks that ran, before those are deleted that are to be.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) result: Result<(), Error>,
    /// Those that succeeded, in order.
    done: Vec<usize>,
    /// The one that failed.
    failed: Option<Failed>,
}

/// A hook that failed.
#[derive(Debug, Clone, Copy)]
struct Failed {
    index: usize,
    /// Whether its object was made; else what is there is somebody else's.
    made: bool,
}

/// Runs the hooks of an event, by weight and name. What became of each is noted in the record,
/// which is stored before the hook's object is made.
pub(super) async fn run(
    env: &Env<'_>,
    record: &mut Record,
    event: &str,
    (timeout, conflicts): (Duration, &conflict::Rules),
) -> Result<(), Error> {
    let event = Event { name: event, timeout, last: record.hooks.len(), conflicts };
    let ran = begin(env, record, event).await;
    finish(env, record, event, ran).await
}

/// Runs the hooks of an event; what they made stays until [`finish`].
pub(super) async fn begin(env: &Env<'_>, record: &mut Record, event: Event<'_>) -> Ran {
    let mut ran = Ran { result: Ok(()), done: Vec::new(), failed: None };
    ran.result = run_all(env, record, event, (&mut ran.done, &mut ran.failed)).await;
    ran
}

async fn run_all(
    env: &Env<'_>,
    record: &mut Record,
    event: Event<'_>,
    (done, failed): (&mut Vec<usize>, &mut Option<Failed>),
) -> Result<(), Error> {
    let skipped = record.hooks.len().saturating_sub(event.last);
    let method = method(record, event.name);
    for index in order(&record.hooks, event.name).into_iter().filter(|index| *index >= skipped) {
        let hook = &mut record.hooks[index];
        if hook.delete_policies.is_empty() {
            // Without any policy the old object is deleted before a new one is made.
            hook.delete_policies.push("before-hook-creation".to_owned());
        }
        let object = match object(env, &record.hooks[index], &record.namespace).await {
            Ok(object) => object,
            // What cannot be run any more must not keep the release from being removed.
            Err(error) if may_be_left_out(&error, event.name) => {
                let hook = &record.hooks[index].path;
                tracing::warn!(hook, error = chain(&error), "hook left out");
                continue;
            }
            Err(error) => return Err(error),
        };
        if has(&record.hooks[index], "before-hook-creation") {
            delete(env, &object, event.timeout).await?;
        }
        let run = &mut record.hooks[index].last_run;
        run.started_at = rfc3339_nano(env.clock.now());
        run.completed_at.clear();
        run.phase = "Running".to_owned();
        if takes_time(&object) {
            env.storage.update(record, env.holder, &*env.clock).await?;
        }
        let made = create(env, (&record.hooks[index], event), (&object, method)).await;
        let is_made = made.is_ok();
        let ran = match made {
            Ok(live) => wait(env, live, event.timeout).await,
            Err(error) => Err(error),
        };
        if ran.as_ref().is_err_and(Error::is_outage) {
            return ran;
        }
        if let Err(error) = &ran
            && may_be_left_out(error, event.name)
        {
            let hook = &record.hooks[index].path;
            tracing::warn!(hook, error = chain(error), "hook left out");
            continue;
        }
        if ran.is_err() && !takes_time(&object) {
            // As Helm does before it makes one: the record tells how far the action came.
            env.storage.update(record, env.holder, &*env.clock).await?;
        }
        let run = &mut record.hooks[index].last_run;
        run.completed_at = rfc3339_nano(env.clock.now());
        run.phase = if ran.is_ok() { "Succeeded" } else { "Failed" }.to_owned();
        if ran.is_err() {
            *failed = Some(Failed { index, made: is_made });
            if is_made {
                log::tell(env, &record.hooks[index], &record.namespace, "hook-failed").await;
            }
            return ran;
        }
        done.push(index);
    }
    Ok(())
}

/// Deletes what is to be deleted, and returns how the hooks went.
pub(super) async fn finish(
    env: &Env<'_>,
    record: &Record,
    event: Event<'_>,
    ran: Ran,
) -> Result<(), Error> {
    let Ran { result, mut done, failed } = ran;
    let Err(error) = result else {
        done.reverse();
        return clean(env, record, &done, event.timeout).await;
    };
    if let Some(Failed { index, made: true }) = failed {
        // Tidying up must not hide why the hook failed.
        if let Err(error) = remove(env, record, (index, "hook-failed"), event.timeout).await {
            tracing::warn!(%error, "a failed hook cannot be deleted");
        }
        for index in done {
            let removed = remove(env, record, (index, "hook-succeeded"), event.timeout).await;
            if let Err(error) = removed {
                tracing::warn!(%error, "finished hooks cannot be deleted");
                break;
            }
        }
    }
    Err(match step(event.name) {
        Some(step) => error.during(step),
        None => error,
    })
}

/// Whether somebody may look meanwhile for what runs. The record of a large chart is more than all
/// of its hooks: what is there as soon as it is made is told with what comes next.
fn takes_time(hook: &Object) -> bool {
    matches!(hook.kind(), "Job" | "Pod")
}

/// Returns how objects of hooks are made: as those of the release, but at its removal.
fn method(record: &Record, event: &str) -> Method {
    if event.ends_with("-delete") { Method::Server } else { Method::of(&record.apply_method) }
}

/// Whether a hook is one of a removal, and of a kind that is gone.
fn may_be_left_out(error: &Error, event: &str) -> bool {
    event.ends_with("-delete") && error.is_unserved()
}

/// Returns the hooks of an event by weight, then by name.
fn order(hooks: &[Hook], event: &str) -> Vec<usize> {
    let is_meant = |index: &usize| hooks[*index].events.iter().any(|known| known == event);
    let mut order: Vec<usize> = (0..hooks.len()).filter(is_meant).collect();
    order.sort_by_key(|index| (hooks[*index].weight, &hooks[*index].name));
    order
}

async fn create(
    env: &Env<'_>,
    (hook, event): (&Hook, Event<'_>),
    (object, method): (&Object, Method),
) -> Result<Object, Error> {
    let made = match method {
        Method::Auto | Method::Server => make(env, object, event.conflicts).await,
        Method::Client => env.cluster.create(object).await.map_err(Error::from),
    };
    let step = format!("warning: Hook {} {} failed", event.name, hook.path);
    made.map_err(|error| error.during(step))
}

async fn wait(env: &Env<'_>, live: Object, timeout: Duration) -> Result<(), Error> {
    let health = Arc::clone(&env.rules.health);
    let rules = Rules { health, legacy: env.rules.legacy, ..Rules::default() };
    let options = WaitOptions::hook(timeout).by(&rules);
    wait_ready(&env.cluster, vec![live], &options, &*env.clock, env.progress).await?;
    Ok(())
}

/// Applies the object of a hook. One that no policy deleted is there already.
async fn make(env: &Env<'_>, object: &Object, rules: &conflict::Rules) -> Result<Object, Error> {
    let put = serverside::put(&env.cluster, object, (rules, Purpose::Change), None).await;
    let Applied { object: live, conflicts } =
        put.map_err(|refusal| serverside::refused(object, refusal))?;
    let left: Vec<Conflict> =
        conflicts.into_iter().filter(|one| one.policy == Policy::Leave).collect();
    if !left.is_empty() {
        (env.left)(&object.id(), &left);
    }
    Ok(live)
}

/// Returns how Helm begins its text about an event's hooks.
fn step(event: &str) -> Option<String> {
    match event {
        "pre-install" | "post-install" => Some(format!("failed {event}")),
        "pre-upgrade" | "post-upgrade" => Some(format!("{event} hooks failed")),
        _ => None,
    }
}

/// Tells what hooks said that succeeded, and deletes them, as far as that is asked for.
async fn clean(
    env: &Env<'_>,
    record: &Record,
    done: &[usize],
    timeout: Duration,
) -> Result<(), Error> {
    for index in done {
        log::tell(env, &record.hooks[*index], &record.namespace, "hook-succeeded").await;
        remove(env, record, (*index, "hook-succeeded"), timeout).await?;
    }
    Ok(())
}

/// Deletes a hook if a policy says so.
async fn remove(
    env: &Env<'_>,
    record: &Record,
    (index, policy): (usize, &str),
    timeout: Duration,
) -> Result<(), Error> {
    let hook = &record.hooks[index];
    if has(hook, policy) {
        let object = object(env, hook, &record.namespace).await?;
        delete(env, &object, timeout).await?;
    }
    Ok(())
}

fn has(hook: &Hook, policy: &str) -> bool {
    hook.delete_policies.iter().any(|known| known == policy)
}

async fn object(env: &Env<'_>, hook: &Hook, namespace: &str) -> Result<Object, Error> {
    let value = yaml::parse(&hook.manifest, Numbers::Exact)
        .map_err(|error| Error::manifest(&hook.path, &error))?;
    Ok(apply::placed(&env.cluster, value, namespace).await?.0)
}

async fn delete(env: &Env<'_>, object: &Object, timeout: Duration) -> Result<(), Error> {
    // CRDs are never deleted as hooks: their objects would go with them.
    if object.kind() == "CustomResourceDefinition" {
        return Ok(());
    }
    let id = object.id();
    if env.cluster.delete(&id, Propagation::Background).await? {
        wait_deleted(&env.cluster, &[id], timeout).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn hooks_of_an_event_run_by_weight_and_name() {
        let hook = |name: &str, weight: i64, events: &[&str]| -> Hook {
            serde_json::from_value(json!({"name": name, "weight": weight, "events": events}))
                .unwrap()
        };
        let hooks = [
            hook("d", 0, &["pre-install"]),
            hook("c", 0, &["pre-install", "pre-upgrade"]),
            hook("b", -1, &["pre-install"]),
            hook("a", 5, &["pre-install"]),
            hook("x", -9, &["post-install"]),
        ];
        assert_eq!(order(&hooks, "pre-install"), [2, 1, 0, 3]);
        assert_eq!(order(&hooks, "pre-upgrade"), [1]);
        assert!(order(&hooks, "test").is_empty());
    }

    #[test]
    fn failures_are_told_in_helm_s_words() {
        let failed = |event: &str| step(event).unwrap_or_default();
        assert_eq!(failed("pre-install"), "failed pre-install");
        assert_eq!(failed("post-upgrade"), "post-upgrade hooks failed");
        assert_eq!(failed("pre-rollback"), "");
    }
}
