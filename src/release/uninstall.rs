//! Uninstall.
//!
//! Source: helm v4.3.1 pkg/action/uninstall.go.

use std::time::Duration;

use super::action::{Env, Outcome};
use super::manifest::{UNINSTALL_ORDER, sort_by_kind};
use super::record::Record;
use super::{Error, apply, hook};
use crate::base::clock::rfc3339_nano;
use crate::cluster::wait::wait_deleted;
use crate::cluster::{Object, Propagation};

/// An uninstall.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "Helm's options, as they are")]
pub struct Uninstall {
    /// The newest revision.
    pub last: Record,
    /// Limit of each wait.
    pub timeout: Duration,
    /// Whether it waits until the objects are gone.
    pub wait: bool,
    /// Whether hooks run.
    pub hooks: bool,
    /// Whether the records stay.
    pub keep_history: bool,
    /// What happens to what the objects own.
    pub propagation: Propagation,
}

/// Uninstalls a release.
pub async fn uninstall(env: &Env<'_>, uninstall: Uninstall) -> Outcome {
    let mut written = Vec::new();
    let result = run(env, &uninstall, &mut written).await;
    Outcome { written, result }
}

async fn run(env: &Env<'_>, uninstall: &Uninstall, written: &mut Vec<Record>) -> Result<(), Error> {
    let mut record = uninstall.last.clone();
    "uninstalling".clone_into(&mut record.info.status);
    record.info.deleted = rfc3339_nano(env.clock.now());
    "Deletion in progress (or silently failed)".clone_into(&mut record.info.description);
    if uninstall.hooks {
        hook::run(env, &mut record, "pre-delete", uninstall.timeout).await?;
    }
    env.storage.update(&record, env.holder, &*env.clock).await?;
    written.push(record.clone());
    let mut objects = apply::objects(&env.cluster, &record.manifest, &record.namespace).await?;
    sort_by_kind(&mut objects, UNINSTALL_ORDER, Object::kind);
    let mut deleted = Vec::new();
    for object in &objects {
        let id = object.id();
        if object.annotation("helm.sh/resource-policy").is_some() {
            continue;
        }
        let Some(live) = env.cluster.get(&id).await? else { continue };
        // Somebody else's object of the same name stays.
        if live.annotation("meta.helm.sh/release-name") != Some(&record.name) {
            continue;
        }
        env.cluster.delete(&id, uninstall.propagation).await?;
        deleted.push(id);
    }
    if uninstall.wait {
        wait_deleted(&env.cluster, &deleted, uninstall.timeout).await?;
    }
    if uninstall.hooks {
        hook::run(env, &mut record, "post-delete", uninstall.timeout).await?;
    }
    "uninstalled".clone_into(&mut record.info.status);
    "Uninstallation complete".clone_into(&mut record.info.description);
    if uninstall.keep_history {
        env.storage.update(&record, env.holder, &*env.clock).await?;
    } else {
        for head in env.storage.heads(&record.name).await? {
            env.storage.delete(&record.name, head.version).await?;
        }
    }
    written.push(record);
    Ok(())
}
