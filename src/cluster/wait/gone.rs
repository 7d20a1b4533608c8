//! Waiting until objects are gone.

use std::time::Duration;

use futures::StreamExt as _;
use tokio::time::Instant;

use super::{Unready, WaitError};
use crate::cluster::client::{Cluster, Selection};
use crate::cluster::error::Error;
use crate::cluster::object::ObjectId;
use crate::cluster::status::{ObjectStatus, Status};
use crate::cluster::watch::Change;

/// Waits until none of the objects exists, one after another.
///
/// # Errors
/// Time is up, or the cluster refuses to be asked.
pub async fn wait_deleted(
    cluster: &Cluster,
    ids: &[ObjectId],
    timeout: Duration,
) -> Result<(), WaitError> {
    let deadline = Instant::now() + timeout;
    for id in ids {
        let fail = |source| WaitError::Cluster { id: Box::new(id.clone()), source };
        match cluster.get(id).await {
            Ok(None) => continue,
            Err(Error::NoKind { .. }) => continue,
            Err(error) if !error.is_transient() => return Err(fail(error)),
            Ok(Some(_)) | Err(_) => {}
        }
        let mut selection = Selection::default().fields(format!("metadata.name={}", id.name));
        if !id.namespace.is_empty() {
            selection.namespace = Some(id.namespace.clone());
        }
        let mut changes = cluster.watch(&id.api_version(), &id.kind, selection);
        let mut is_there = false;
        loop {
            let change = tokio::time::timeout_at(deadline, changes.next()).await;
            match change {
                Err(_) => {
                    let status = ObjectStatus::new(
                        Status::Terminating,
                        "",
                        "Resource scheduled for deletion",
                    );
                    let unready = vec![Unready { id: id.clone(), status, cause: None }];
                    return Err(WaitError::StillThere { unready });
                }
                Ok(Some(Ok(Change::Applied(object)))) => is_there |= object.name() == id.name,
                Ok(Some(Ok(Change::Deleted(object)))) if object.name() == id.name => break,
                Ok(Some(Ok(Change::Synced))) if !is_there => break,
                Ok(Some(Err(error))) if !error.is_transient() => return Err(fail(error)),
                Ok(_) => {}
            }
        }
    }
    Ok(())
}
