//! Hooks: objects that are run at an event.
//!
//! Source: helm v4.3.1 pkg/action/hooks.go.

use std::time::Duration;

use super::action::Env;
use super::manifest::Hook;
use super::record::Record;
use super::{Error, apply};
use crate::base::clock::rfc3339_nano;
use crate::cluster::wait::{WaitOptions, wait_deleted, wait_ready};
use crate::cluster::{ApplyOptions, Object, Propagation};
use crate::yaml::{self, Numbers};

/// Runs the hooks of an event, by weight and name. What became of each is noted in the record.
pub(super) async fn run(
    env: &Env<'_>,
    record: &mut Record,
    event: &str,
    timeout: Duration,
) -> Result<(), Error> {
    let mut order: Vec<usize> = (0..record.hooks.len())
        .filter(|index| record.hooks[*index].events.iter().any(|e| e == event))
        .collect();
    order.sort_by(|a, b| {
        let (a, b) = (&record.hooks[*a], &record.hooks[*b]);
        a.weight.cmp(&b.weight).then_with(|| a.name.cmp(&b.name))
    });
    let mut done: Vec<usize> = Vec::new();
    for index in order {
        let object = object(env, &record.hooks[index], &record.namespace).await?;
        if has(&record.hooks[index], "before-hook-creation") {
            delete(env, &object, timeout).await?;
        }
        record.hooks[index].last_run.started_at = rfc3339_nano(env.clock.now());
        record.hooks[index].last_run.completed_at.clear();
        record.hooks[index].last_run.phase = "Running".to_owned();
        env.cluster.apply(&object, &ApplyOptions::forced()).await.map_err(|error| {
            let hook = &record.hooks[index];
            Error::Refused(format!("warning: Hook {event} {} failed: {error}", hook.path))
        })?;
        let options = WaitOptions::hook(timeout);
        let waited =
            wait_ready(&env.cluster, &[object.clone()], &options, &*env.clock, env.progress).await;
        record.hooks[index].last_run.completed_at = rfc3339_nano(env.clock.now());
        let phase = if waited.is_ok() { "Succeeded" } else { "Failed" };
        phase.clone_into(&mut record.hooks[index].last_run.phase);
        if let Err(error) = waited {
            if has(&record.hooks[index], "hook-failed") {
                delete(env, &object, timeout).await?;
            }
            clean(env, record, &done, timeout).await?;
            return Err(Error::Refused(format!("failed {event}: {error}")));
        }
        done.push(index);
    }
    done.reverse();
    clean(env, record, &done, timeout).await
}

async fn clean(
    env: &Env<'_>,
    record: &Record,
    done: &[usize],
    timeout: Duration,
) -> Result<(), Error> {
    for index in done {
        let hook = &record.hooks[*index];
        if has(hook, "hook-succeeded") {
            let object = object(env, hook, &record.namespace).await?;
            delete(env, &object, timeout).await?;
        }
    }
    Ok(())
}

/// Without any policy the old object is deleted before a new one is made.
fn has(hook: &Hook, policy: &str) -> bool {
    if hook.delete_policies.is_empty() {
        return policy == "before-hook-creation";
    }
    hook.delete_policies.iter().any(|known| known == policy)
}

async fn object(env: &Env<'_>, hook: &Hook, namespace: &str) -> Result<Object, Error> {
    let value = yaml::parse(&hook.manifest, Numbers::Exact)
        .map_err(|error| Error::Manifest { path: hook.path.clone(), text: error.to_string() })?;
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
