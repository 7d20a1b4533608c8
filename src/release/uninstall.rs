//! Uninstall.
//!
//! Source: helm v4.3.1 pkg/action/uninstall.go.

use std::time::Duration;

use super::action::{Env, Outcome, supersede};
use super::apply::Owner;
use super::manifest::{UNINSTALL_ORDER, sort_by_kind};
use super::record::Record;
use super::{Error, apply, hook};
use crate::base::clock::rfc3339_nano;
use crate::cluster::wait::wait_deleted;
use crate::cluster::{self, Object, ObjectId, Propagation};

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
    let deleted = delete_objects(env, &record, uninstall.propagation).await?;
    if uninstall.wait {
        wait_deleted(&env.cluster, &deleted, uninstall.timeout).await?;
    }
    if uninstall.hooks {
        hook::run(env, &mut record, "post-delete", uninstall.timeout).await?;
    }
    "uninstalled".clone_into(&mut record.info.status);
    "Uninstallation complete".clone_into(&mut record.info.description);
    if uninstall.keep_history {
        supersede(env, &record, written).await?;
        env.storage.update(&record, env.holder, &*env.clock).await?;
        written.push(record);
    } else {
        for head in env.storage.heads(&record.name).await? {
            env.storage.delete(&record.name, head.version).await?;
        }
    }
    Ok(())
}

/// Deletes the objects of a record one after another, those that ask to be kept or belong to
/// somebody else aside. One that cannot be deleted does not keep the others.
async fn delete_objects(
    env: &Env<'_>,
    record: &Record,
    propagation: Propagation,
) -> Result<Vec<ObjectId>, Error> {
    let mut objects = apply::old_objects(&env.cluster, &record.manifest, &record.namespace).await?;
    sort_by_kind(&mut objects, UNINSTALL_ORDER, Object::kind);
    let owner = Owner { name: &record.name, namespace: &record.namespace };
    let (mut deleted, mut failed) = (Vec::new(), Vec::new());
    for object in &objects {
        let id = object.id();
        // Any value of the policy keeps the object, as in Helm.
        if object.annotation("helm.sh/resource-policy").is_some() {
            continue;
        }
        match delete_object(env, &id, owner, propagation).await {
            Ok(true) => deleted.push(id),
            Ok(false) => {}
            Err(source) => {
                let doing = format!("failed to delete {id}");
                // Each request has waited long for the API server already.
                if source.is_outage() {
                    return Err(Error::Doing { doing, source });
                }
                failed.push(Error::Doing { doing, source });
            }
        }
    }
    if failed.is_empty() {
        return Ok(deleted);
    }
    Err(Error::Several(failed).during(format!("failed to delete release: {}", record.name)))
}

async fn delete_object(
    env: &Env<'_>,
    id: &ObjectId,
    owner: Owner<'_>,
    propagation: Propagation,
) -> Result<bool, cluster::Error> {
    let live = match env.cluster.get(id).await {
        // Its definition may go while the release goes.
        Ok(None) | Err(cluster::Error::NoKind { .. }) => return Ok(false),
        Ok(Some(live)) => live,
        Err(error) => return Err(error),
    };
    if !apply::foreign(&live, owner).is_empty() {
        tracing::info!(%id, "somebody else's object of the same name stays");
        return Ok(false);
    }
    match env.cluster.delete(id, propagation).await {
        Err(cluster::Error::NoKind { .. }) => Ok(false),
        other => other,
    }
}
