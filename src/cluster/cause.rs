//! Why an object does not work: the deepest cause that the cluster shows.
//!
//! kstatus says *that* a Deployment is not ready; people need to know which container of which
//! Pod, and why. [`explain`] is pure: objects, events and logs in, a cause out; [`find`] only
//! fetches what it looks at.

use std::fmt;

use super::object::{Object, ObjectId};
use super::status::{Condition, conditions, text};
use crate::yaml::Value;

mod event;
mod fetch;
mod pod;
#[cfg(test)]
mod tests;

pub use fetch::find;

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
    /// A volume cannot be attached or mounted.
    Volume,
    /// The Pod's own surroundings (network, sandbox) cannot be made.
    Sandbox,
    /// A claim gets no volume.
    Unbound,
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
    /// The last lines of the container's log, where that may tell more; shortened.
    pub log: Vec<String>,
}

/// What is known of an object that does not work.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The object.
    pub object: &'a Object,
    /// Pods and `ReplicaSet`s below it.
    pub below: &'a [Object],
    /// Claims that its Pods use.
    pub claims: &'a [Object],
    /// Events about any of them.
    pub events: &'a [Object],
    /// The last lines of the log of the container that the cause is about.
    pub log: &'a [String],
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
        if !self.log.is_empty() {
            write!(f, " (its log ends: {})", self.log.join(" | "))?;
        }
        Ok(())
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

/// Returns why an object does not work, as deep as the facts go.
pub fn explain(facts: &Facts<'_>) -> Option<Cause> {
    match deepest(facts.object, facts.below) {
        Some(cause) if cause.object.kind == "Pod" => Some(pod::sharpen(cause, facts)),
        Some(cause) if cause.kind != CauseKind::Condition => Some(cause),
        // Refused Pods of a StatefulSet, DaemonSet or Job show in events only.
        shallow => event::of_object(facts.object, facts.events)
            .or(shallow)
            .or_else(|| claim_of(facts.object)),
    }
}

/// A claim that is not bound, if the object is one.
fn claim_of(object: &Object) -> Option<Cause> {
    let phase = object.text("/status/phase");
    let is_unbound = object.kind() == "PersistentVolumeClaim" && phase != "Bound";
    is_unbound.then(|| Cause {
        kind: CauseKind::Unbound,
        object: object.id(),
        condition: String::new(),
        container: None,
        reason: if phase.is_empty() { "Pending" } else { phase }.to_owned(),
        message: "the claim is not bound to a volume".to_owned(),
        log: Vec::new(),
    })
}

/// Returns the deepest cause that an object and what lies below it (Pods, `ReplicaSet`s) show.
pub fn deepest(object: &Object, below: &[Object]) -> Option<Cause> {
    // Young Pods first: they belong to the revision that is being rolled out.
    let mut pods: Vec<&Object> =
        below.iter().filter(|o| o.kind() == "Pod" && !o.is_deleting()).collect();
    pods.sort_by_key(|pod| std::cmp::Reverse(pod.text("/metadata/creationTimestamp")));
    let from_pods =
        pods.iter().filter_map(|pod| pod::cause(pod)).min_by_key(|cause| severity(cause.kind));
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
        CauseKind::Volume => 4,
        CauseKind::Sandbox => 5,
        CauseKind::Unbound => 6,
        CauseKind::Unschedulable => 7,
        CauseKind::CreateRefused => 8,
        CauseKind::NotReady => 9,
        CauseKind::Starting => 10,
        CauseKind::Condition => 11,
    }
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
        .or_else(|| stands("NamesAccepted", "False"))
        .or_else(|| stands("Established", "False"))
        .or_else(|| stands("AbleToScale", "False"))
        .or_else(|| stands("ScalingActive", "False"))
        .or_else(|| stands("DisruptionAllowed", "False"))?;
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
        log: Vec::new(),
    }
}
