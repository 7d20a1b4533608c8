//! Reads what [`super::explain`] looks at: little, and no more than the cause at hand needs.

use std::time::Duration;

use futures::future::join_all;

use super::{Cause, CauseKind, Facts, deepest, explain, selector};
use crate::base::shorten::shorten;
use crate::cluster::client::{Cluster, Selection};
use crate::cluster::error::Error;
use crate::cluster::object::{Object, ObjectId};
use crate::cluster::status::text;
use crate::yaml::Value;

/// Lines of a log that are told.
const LINES: u32 = 5;
/// Longest line of a log that is told.
const LINE_BYTES: usize = 200;
/// How long a log may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most claims of one Pod that are looked at.
const CLAIMS: usize = 4;

/// Fetches what belongs to an object and returns its deepest cause.
///
/// # Errors
/// The cluster does not answer. What may not be read is left out.
pub async fn find(cluster: &Cluster, object: &Object) -> Result<Option<Cause>, Error> {
    let below = below(cluster, object).await?;
    let (mut claims, mut events, mut log) = (Vec::new(), Vec::new(), Vec::new());
    match deepest(object, &below) {
        Some(cause) if cause.object.kind == "Pod" => match cause.kind {
            CauseKind::Starting | CauseKind::NotReady => {
                events = events_of(cluster, &cause.object).await?;
            }
            CauseKind::CrashLoop => {
                events = events_of(cluster, &cause.object).await?;
                log = last_lines(cluster, &cause, true).await;
            }
            CauseKind::PodFailed => log = last_lines(cluster, &cause, false).await,
            CauseKind::Unschedulable => {
                let pod = below.iter().find(|pod| pod.id() == cause.object);
                claims = claims_of(cluster, pod.unwrap_or(object)).await?;
                for claim in claims.iter().filter(|claim| claim.text("/status/phase") != "Bound") {
                    events.extend(events_of(cluster, &claim.id()).await?);
                }
            }
            CauseKind::ImagePull
            | CauseKind::ContainerConfig
            | CauseKind::Volume
            | CauseKind::Sandbox
            | CauseKind::Unbound
            | CauseKind::CreateRefused
            | CauseKind::Condition => {}
        },
        Some(cause) if cause.kind != CauseKind::Condition => {}
        _ => events = events_of(cluster, &object.id()).await?,
    }
    let (below, claims, events, log) = (&below[..], &claims[..], &events[..], &log[..]);
    Ok(explain(&Facts { object, below, claims, events, log }))
}

async fn below(cluster: &Cluster, object: &Object) -> Result<Vec<Object>, Error> {
    let mut below = Vec::new();
    if let Some(labels) = selector(object) {
        let selection = Selection::namespace(object.namespace()).labels(labels);
        below = lenient(cluster.list("v1", "Pod", &selection).await)?;
        if object.kind() == "Deployment" {
            let sets = cluster.list("apps/v1", "ReplicaSet", &selection).await;
            below.extend(lenient(sets)?);
        }
    }
    if object.kind() == "Pod" {
        below.push(object.clone());
    }
    Ok(below)
}

async fn events_of(cluster: &Cluster, id: &ObjectId) -> Result<Vec<Object>, Error> {
    let fields = format!("involvedObject.kind={},involvedObject.name={}", id.kind, id.name);
    // Events about what has no namespace stand in the default one.
    let namespace = if id.namespace.is_empty() { "default" } else { &id.namespace };
    let selection = Selection::namespace(namespace).fields(fields);
    lenient(cluster.list("v1", "Event", &selection).await)
}

async fn claims_of(cluster: &Cluster, pod: &Object) -> Result<Vec<Object>, Error> {
    let volumes = pod.at("/spec/volumes").and_then(Value::as_array);
    let names = volumes.into_iter().flatten();
    let names = names.map(|volume| text(volume, "/persistentVolumeClaim/claimName"));
    let ids = names.filter(|name| !name.is_empty()).take(CLAIMS);
    let ids = ids.map(|name| ObjectId::new("v1", "PersistentVolumeClaim", pod.namespace(), name));
    let ids: Vec<ObjectId> = ids.collect();
    let mut claims = Vec::new();
    for found in join_all(ids.iter().map(|id| cluster.get(id))).await {
        claims.extend(lenient(found.map(|claim| claim.into_iter().collect()))?);
    }
    Ok(claims)
}

/// The log of the container that ended; a log that cannot be read, or not soon (a node that is
/// away), tells nothing.
async fn last_lines(cluster: &Cluster, cause: &Cause, previous: bool) -> Vec<String> {
    let read = read_log(cluster, cause, previous);
    tokio::time::timeout(PATIENCE, read).await.unwrap_or_default()
}

async fn read_log(cluster: &Cluster, cause: &Cause, previous: bool) -> Vec<String> {
    let container = cause.container.as_deref().unwrap_or_default();
    let mut log = cluster.log(&cause.object, container, previous, LINES).await;
    if previous && log.as_ref().is_ok_and(|log| log.trim().is_empty()) || log.is_err() {
        log = cluster.log(&cause.object, container, false, LINES).await;
    }
    let log = log.unwrap_or_default();
    let lines: Vec<&str> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let first = lines.len().saturating_sub(LINES as usize);
    lines[first..].iter().map(|line| shorten(line, LINE_BYTES)).collect()
}

/// A refused reading (RBAC, a kind that is not served) gives nothing; a lost connection is said.
fn lenient(answer: Result<Vec<Object>, Error>) -> Result<Vec<Object>, Error> {
    match answer {
        Err(error) if error.is_transient() => Err(error),
        other => Ok(other.unwrap_or_default()),
    }
}
