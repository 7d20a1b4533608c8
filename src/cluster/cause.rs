//! Why an object does not work: the deepest cause that the cluster shows.
//!
//! kstatus says *that* a Deployment is not ready; people need to know which container of which
//! Pod, and why. [`deepest`] is pure; [`find`] only fetches what it looks at.

use std::fmt;

use super::client::{Cluster, Selection};
use super::error::Error;
use super::object::{Object, ObjectId};
use super::status::{Condition, conditions, text};
use crate::yaml::Value;

/// The kind of a cause: what a person does about it differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CauseKind {
    /// An image cannot be pulled.
    ImagePull,
    /// A container ends again and again.
    CrashLoop,
    /// A container cannot be made: a missing Secret or ConfigMap, a bad command.
    ContainerConfig,
    /// A Pod ended with an error.
    PodFailed,
    /// No node takes the Pod.
    Unschedulable,
    /// Pods are refused: quota, admission, missing service account.
    CreateRefused,
    /// A container runs but its readiness probe does not pass.
    NotReady,
    /// A Pod has not come up yet and says nothing more.
    Starting,
    /// The object's own condition says so.
    Condition,
}

/// The deepest cause found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// What kind of cause.
    pub kind: CauseKind,
    /// The object that shows it: usually a Pod.
    pub object: ObjectId,
    /// The condition that is not met, such as `Ready`; empty if none says it.
    pub condition: String,
    /// The container, if it is about one.
    pub container: Option<String>,
    /// Machine-readable reason, such as `ImagePullBackOff`.
    pub reason: String,
    /// Text for people; may be empty.
    pub message: String,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.object)?;
        if let Some(container) = &self.container {
            write!(f, ", container `{container}`")?;
        }
        if !self.condition.is_empty() {
            write!(f, ", condition {}", self.condition)?;
        }
        write!(f, ": {}", self.reason)?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

/// Fetches what belongs to an object and returns its deepest cause.
///
/// # Errors
/// The cluster does not answer. What may not be read is left out.
pub async fn find(cluster: &Cluster, object: &Object) -> Result<Option<Cause>, Error> {
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
    let found = deepest(object, &below);
    if found.as_ref().is_some_and(|cause| cause.kind != CauseKind::Condition) {
        return Ok(found);
    }
    // Refused Pods of a StatefulSet, DaemonSet or Job show in events only.
    let fields =
        format!("involvedObject.kind={},involvedObject.name={}", object.kind(), object.name());
    let selection = Selection::namespace(object.namespace()).fields(fields);
    let events = lenient(cluster.list("v1", "Event", &selection).await)?;
    Ok(from_events(object, &events).or(found))
}

/// A refused reading (RBAC, a kind that is not served) gives nothing; a lost connection is said.
fn lenient(answer: Result<Vec<Object>, Error>) -> Result<Vec<Object>, Error> {
    match answer {
        Err(error) if error.is_transient() => Err(error),
        other => Ok(other.unwrap_or_default()),
    }
}

/// Returns `spec.selector` of a workload as the text of a label selector.
pub(crate) fn selector(object: &Object) -> Option<String> {
    let selector = object.at("/spec/selector")?.as_object()?;
    let mut parts = Vec::new();
    if let Some(labels) = selector.get("matchLabels").and_then(Value::as_object) {
        parts.extend(labels.iter().filter_map(|(k, v)| Some(format!("{k}={}", v.as_str()?))));
    }
    for rule in selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
        let key = text(rule, "/key");
        let values = rule.get("values").and_then(Value::as_array);
        let values: Vec<&str> = values.into_iter().flatten().filter_map(Value::as_str).collect();
        parts.push(match text(rule, "/operator") {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            _ => continue,
        });
    }
    (!parts.is_empty()).then(|| parts.join(","))
}

/// Returns the deepest cause that an object and what lies below it (Pods, `ReplicaSet`s) show.
pub fn deepest(object: &Object, below: &[Object]) -> Option<Cause> {
    // Young Pods first: they belong to the revision that is being rolled out.
    let mut pods: Vec<&Object> =
        below.iter().filter(|o| o.kind() == "Pod" && !o.is_deleting()).collect();
    pods.sort_by_key(|pod| std::cmp::Reverse(pod.text("/metadata/creationTimestamp")));
    let from_pods =
        pods.iter().filter_map(|pod| of_pod(pod)).min_by_key(|cause| severity(cause.kind));
    let refused = || {
        let sets = below.iter().filter(|o| o.kind() == "ReplicaSet");
        sets.chain([object]).find_map(refused)
    };
    match from_pods {
        Some(cause) if severity(cause.kind) < severity(CauseKind::NotReady) => Some(cause),
        other => refused().or(other).or_else(|| of_conditions(object)),
    }
}

/// Lower is worse, and said first.
fn severity(kind: CauseKind) -> u8 {
    match kind {
        CauseKind::ImagePull => 0,
        CauseKind::CrashLoop => 1,
        CauseKind::ContainerConfig => 2,
        CauseKind::PodFailed => 3,
        CauseKind::Unschedulable => 4,
        CauseKind::CreateRefused => 5,
        CauseKind::NotReady => 6,
        CauseKind::Starting => 7,
        CauseKind::Condition => 8,
    }
}

#[expect(clippy::too_many_lines, reason = "one rule after the other, from the deepest cause up")]
fn of_pod(pod: &Object) -> Option<Cause> {
    let conditions = conditions(&pod.0).unwrap_or_default();
    let unmet =
        |kind: &str| conditions.iter().find(|c| c.kind == kind && c.status != "True").copied();
    let cause =
        |kind, condition: &str, container: Option<&str>, reason: &str, message: String| Cause {
            kind,
            object: pod.id(),
            condition: condition.to_owned(),
            container: container.map(str::to_owned),
            reason: reason.to_owned(),
            message,
        };
    let phase = pod.text("/status/phase");
    if phase == "Succeeded"
        || (phase == "Running" && unmet("Ready").is_none() && !conditions.is_empty())
    {
        return None;
    }
    let condition = if unmet("Ready").is_some() { "Ready" } else { "" };
    for container in containers(pod) {
        let name = Some(text(container, "/name"));
        let waiting = text(container, "/state/waiting/reason");
        let message = text(container, "/state/waiting/message").to_owned();
        match waiting {
            "ImagePullBackOff"
            | "ErrImagePull"
            | "InvalidImageName"
            | "ErrImageNeverPull"
            | "RegistryUnavailable"
            | "ImageInspectError"
            | "SignatureValidationFailed" => {
                let message =
                    if message.is_empty() { text(container, "/image").to_owned() } else { message };
                return Some(cause(CauseKind::ImagePull, condition, name, waiting, message));
            }
            "CrashLoopBackOff" => {
                let ended = ending(container, "/lastState/terminated");
                let message = ended.unwrap_or(message);
                return Some(cause(CauseKind::CrashLoop, condition, name, waiting, message));
            }
            "CreateContainerConfigError"
            | "CreateContainerError"
            | "RunContainerError"
            | "PreStartHookError"
            | "PostStartHookError" => {
                return Some(cause(CauseKind::ContainerConfig, condition, name, waiting, message));
            }
            _ => {}
        }
        if phase == "Failed"
            && let Some(ended) = ending(container, "/state/terminated")
        {
            let reason = text(container, "/state/terminated/reason");
            return Some(cause(CauseKind::PodFailed, condition, name, reason, ended));
        }
    }
    if phase == "Failed" {
        let reason = pod.text("/status/reason");
        let reason = if reason.is_empty() { "PodFailed" } else { reason };
        return Some(cause(
            CauseKind::PodFailed,
            condition,
            None,
            reason,
            pod.text("/status/message").to_owned(),
        ));
    }
    if let Some(Condition { reason, message, .. }) = unmet("PodScheduled") {
        return Some(cause(
            CauseKind::Unschedulable,
            "PodScheduled",
            None,
            reason,
            message.to_owned(),
        ));
    }
    let unready = containers(pod).find(|c| {
        c.get("ready") != Some(&Value::Bool(true))
            && text(c, "/state/terminated/reason") != "Completed"
    });
    let name = unready.map(|container| text(container, "/name"));
    let message = unmet("Ready").map_or("", |c| c.message).to_owned();
    if phase == "Running" {
        let reason = unmet("Ready").map_or("", |c| c.reason);
        let reason = if reason.is_empty() { "NotReady" } else { reason };
        return Some(cause(CauseKind::NotReady, "Ready", name, reason, message));
    }
    let waiting = unready.map_or("", |container| text(container, "/state/waiting/reason"));
    let reason = if waiting.is_empty() { "Pending" } else { waiting };
    Some(cause(CauseKind::Starting, condition, name, reason, message))
}

/// Init containers come first: the others wait for them.
fn containers(pod: &Object) -> impl Iterator<Item = &Value> {
    ["/status/initContainerStatuses", "/status/containerStatuses"]
        .into_iter()
        .filter_map(|pointer| pod.at(pointer)?.as_array())
        .flatten()
}

fn ending(container: &Value, pointer: &str) -> Option<String> {
    let ended = container.pointer(pointer)?;
    let code = ended.get("exitCode").and_then(Value::as_i64)?;
    let reason = text(ended, "/reason");
    let message = text(ended, "/message").trim();
    let mut said = format!("last ended with exit code {code}");
    if !reason.is_empty() {
        said.push_str(&format!(" ({reason})"));
    }
    if !message.is_empty() {
        said.push_str(": ");
        said.push_str(message);
    }
    Some(said)
}

/// Returns the condition by which a workload says that its Pods are refused.
fn refused(object: &Object) -> Option<Cause> {
    let conditions = conditions(&object.0).ok()?;
    let condition = conditions.iter().find(|c| c.kind == "ReplicaFailure" && c.status == "True")?;
    Some(from_condition(object, condition, CauseKind::CreateRefused))
}

fn of_conditions(object: &Object) -> Option<Cause> {
    let conditions = conditions(&object.0).ok()?;
    let stands =
        |kind: &str, status: &str| conditions.iter().find(|c| c.kind == kind && c.status == status);
    let found = stands("Stalled", "True")
        .or_else(|| stands("Failed", "True"))
        .or_else(|| stands("Progressing", "False"))
        .or_else(|| stands("Ready", "False"))
        .or_else(|| stands("Available", "False"))
        .or_else(|| stands("NamesAccepted", "False"))?;
    Some(from_condition(object, found, CauseKind::Condition))
}

fn from_condition(object: &Object, condition: &Condition<'_>, kind: CauseKind) -> Cause {
    Cause {
        kind,
        object: object.id(),
        condition: condition.kind.to_owned(),
        container: None,
        reason: condition.reason.to_owned(),
        message: condition.message.to_owned(),
    }
}

fn from_events(object: &Object, events: &[Object]) -> Option<Cause> {
    let warnings = events.iter().filter(|event| event.text("/type") == "Warning");
    let newest = warnings.max_by_key(|event| event.text("/lastTimestamp"))?;
    let reason = newest.text("/reason");
    Some(Cause {
        kind: if reason == "FailedCreate" {
            CauseKind::CreateRefused
        } else {
            CauseKind::Condition
        },
        object: object.id(),
        condition: String::new(),
        container: None,
        reason: reason.to_owned(),
        message: newest.text("/message").to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(status: Value) -> Object {
        Object(
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-1", "namespace": "ns"}, "status": status}),
        )
    }

    fn deployment(conditions: Value) -> Object {
        Object(
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "ns"},
            "spec": {"selector": {"matchLabels": {"app": "web"}}}, "status": {"conditions": conditions}}),
        )
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "one table")]
    fn the_deepest_cause_is_named_with_container_and_condition() {
        let unready = json!([{"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "containers with unready status: [c]"}]);
        let waiting = |reason: &str, message: &str| json!({"name": "c", "image": "x:1", "ready": false, "state": {"waiting": {"reason": reason, "message": message}}});
        let rows = [
            (
                "image",
                vec![pod(
                    json!({"phase": "Pending", "conditions": unready, "containerStatuses": [waiting("ImagePullBackOff", "Back-off pulling image \"x:1\"")]}),
                )],
                "Pod/ns/web-1, container `c`, condition Ready: ImagePullBackOff: Back-off pulling image \"x:1\"",
            ),
            (
                "crash",
                vec![pod(
                    json!({"phase": "Running", "conditions": unready, "containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}, "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]}),
                )],
                "Pod/ns/web-1, container `c`, condition Ready: CrashLoopBackOff: last ended with exit code 137 (OOMKilled)",
            ),
            (
                "init container first",
                vec![pod(
                    json!({"phase": "Pending", "conditions": unready, "initContainerStatuses": [{"name": "i", "state": {"waiting": {"reason": "ErrImagePull"}}, "image": "y"}], "containerStatuses": [waiting("PodInitializing", "")]}),
                )],
                "Pod/ns/web-1, container `i`, condition Ready: ErrImagePull: y",
            ),
            (
                "config",
                vec![pod(
                    json!({"phase": "Pending", "conditions": unready, "containerStatuses": [waiting("CreateContainerConfigError", "secret \"s\" not found")]}),
                )],
                "Pod/ns/web-1, container `c`, condition Ready: CreateContainerConfigError: secret \"s\" not found",
            ),
            (
                "probe",
                vec![pod(
                    json!({"phase": "Running", "conditions": unready, "containerStatuses": [{"name": "c", "ready": false, "state": {"running": {}}}]}),
                )],
                "Pod/ns/web-1, container `c`, condition Ready: ContainersNotReady: containers with unready status: [c]",
            ),
            (
                "unschedulable",
                vec![pod(
                    json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"}]}),
                )],
                "Pod/ns/web-1, condition PodScheduled: Unschedulable: 0/1 nodes are available",
            ),
            (
                "failed",
                vec![pod(
                    json!({"phase": "Failed", "containerStatuses": [{"name": "c", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}]}),
                )],
                "Pod/ns/web-1, container `c`: Error: last ended with exit code 1 (Error)",
            ),
            (
                "evicted",
                vec![pod(
                    json!({"phase": "Failed", "reason": "Evicted", "message": "low on memory"}),
                )],
                "Pod/ns/web-1: Evicted: low on memory",
            ),
            (
                "quota",
                vec![Object(
                    json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web-a", "namespace": "ns"}, "status": {"conditions": [{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"}]}}),
                )],
                "ReplicaSet/ns/web-a, condition ReplicaFailure: FailedCreate: exceeded quota",
            ),
            (
                "ready pods say nothing",
                vec![pod(
                    json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}),
                )],
                "Deployment/ns/web, condition Progressing: ProgressDeadlineExceeded: too late",
            ),
            (
                "no pods",
                vec![],
                "Deployment/ns/web, condition Progressing: ProgressDeadlineExceeded: too late",
            ),
        ];
        let top = deployment(
            json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "too late"}]),
        );
        for (name, below, wanted) in rows {
            assert_eq!(deepest(&top, &below).unwrap().to_string(), wanted, "{name}");
        }
        assert_eq!(deepest(&deployment(json!([])), &[]), None);
    }

    #[test]
    fn selectors_become_text() {
        let object = Object(
            json!({"spec": {"selector": {"matchLabels": {"a": "b"}, "matchExpressions": [
            {"key": "k", "operator": "In", "values": ["x", "y"]}, {"key": "n", "operator": "DoesNotExist"}]}}}),
        );
        assert_eq!(selector(&object).unwrap(), "a=b,k in (x,y),!n");
        assert_eq!(selector(&Object(json!({"spec": {"selector": {}}}))), None);
    }
}
