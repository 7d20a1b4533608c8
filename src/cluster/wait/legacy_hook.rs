//! Helm 3's rules for hooks: a Job is done when it says so, a Pod when it succeeded, and anything
//! else as soon as it is made.
//!
//! Source: helm v4.3.2 pkg/kube/wait.go (`watchUntilReady`, `waitForJob`, `waitForPodSuccess`).

use std::time::Duration;

use futures::StreamExt as _;
use tokio::time::Instant;

use super::WaitError;
use crate::cluster::client::{Cluster, Selection};
use crate::cluster::object::{Object, ObjectId};
use crate::cluster::watch::Change;
use crate::yaml::Value;

/// Waits until each hook is done; one that is deleted meanwhile is.
pub(super) async fn wait(
    cluster: &Cluster,
    hooks: &[Object],
    timeout: Duration,
) -> Result<(), WaitError> {
    for hook in hooks.iter().map(Object::id) {
        if matches!(hook.kind.as_str(), "Job" | "Pod") {
            // Each has the whole time.
            wait_one(cluster, &hook, Instant::now() + timeout).await?;
        }
    }
    Ok(())
}

async fn wait_one(cluster: &Cluster, hook: &ObjectId, deadline: Instant) -> Result<(), WaitError> {
    let mut selection = Selection::default().fields(format!("metadata.name={}", hook.name));
    if !hook.namespace.is_empty() {
        selection.namespace = Some(hook.namespace.clone());
    }
    let mut changes = cluster.watch(&hook.api_version(), &hook.kind, selection);
    let mut was_there = false;
    loop {
        let Ok(change) = tokio::time::timeout_at(deadline, changes.next()).await else {
            return Err(WaitError::Legacy("timed out waiting for the condition".to_owned()));
        };
        match change {
            Some(Ok(Change::Applied(object))) if object.name() == hook.name => {
                was_there = true;
                match verdict(&object) {
                    Some(Ok(())) => return Ok(()),
                    Some(Err(why)) => return Err(WaitError::Legacy(why)),
                    None => {}
                }
            }
            Some(Ok(Change::Deleted(object))) if object.name() == hook.name => return Ok(()),
            // It was made before, so it is gone.
            Some(Ok(Change::Synced)) if !was_there => return Ok(()),
            Some(Err(source)) if !source.is_transient() => {
                return Err(WaitError::Cluster { id: Box::new(hook.clone()), source });
            }
            Some(_) => {}
            None => return Ok(()),
        }
    }
}

/// Whether a hook is done, and how; none while it runs.
fn verdict(hook: &Object) -> Option<Result<(), String>> {
    let name = hook.name();
    if hook.kind() == "Pod" {
        return match hook.text("/status/phase") {
            "Succeeded" => Some(Ok(())),
            "Failed" => Some(Err(format!("pod {name} failed"))),
            _ => None,
        };
    }
    let conditions = hook.at("/status/conditions").and_then(Value::as_array);
    let mut held =
        conditions.into_iter().flatten().filter(|condition| condition["status"] == "True");
    held.find_map(|condition| match condition["type"].as_str()? {
        "Complete" => Some(Ok(())),
        "Failed" => {
            let reason = condition["reason"].as_str().unwrap_or_default();
            Some(Err(format!("job {name} failed: {reason}")))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn jobs_and_pods_say_when_they_are_done() {
        let condition = |kind: &str, status: &str| json!({"conditions": [{"type": kind, "status": status, "reason": "Because"}]});
        let failed = |why: &str| Some(Err(why.to_owned()));
        let rows = [
            ("Job", json!({}), None),
            ("Job", json!({"active": 1, "failed": 3}), None),
            ("Job", condition("Complete", "True"), Some(Ok(()))),
            ("Job", condition("Complete", "False"), None),
            ("Job", condition("FailureTarget", "True"), None),
            ("Job", condition("Failed", "True"), failed("job x failed: Because")),
            ("Pod", json!({"phase": "Running"}), None),
            ("Pod", condition("Ready", "True"), None),
            ("Pod", json!({"phase": "Succeeded"}), Some(Ok(()))),
            ("Pod", json!({"phase": "Failed"}), failed("pod x failed")),
        ];
        for (kind, status, want) in rows {
            let hook = json!({"kind": kind, "metadata": {"name": "x"}, "status": status});
            assert_eq!(verdict(&Object(hook.clone())), want, "{hook}");
        }
    }
}
