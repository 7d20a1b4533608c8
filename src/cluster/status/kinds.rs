//! kstatus' rules for the kinds that have one.

use super::{Condition, ObjectStatus, SCHEDULE_WINDOW, kind_of, text};
use crate::base::clock::Timestamp;
use crate::yaml::Value;

/// `progressDeadlineSeconds` that means "no deadline".
const NO_DEADLINE: i64 = i32::MAX as i64;

/// Applies the rule of the object's kind, if there is one; it is final.
pub(super) fn rule(
    object: &Value,
    conditions: &[Condition<'_>],
    now: Timestamp,
) -> Option<Result<ObjectStatus, String>> {
    let verdict = match kind_of(object) {
        ("apps" | "extensions", "Deployment") => deployment(object, conditions),
        ("apps" | "extensions", "ReplicaSet") => replica_set(object, conditions),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps" | "extensions", "DaemonSet") => daemon_set(object),
        ("", "Pod") => return Some(pod(object, conditions, now)),
        ("batch", "Job") => job(object, conditions),
        ("", "PersistentVolumeClaim") => claim(object),
        ("", "Service") => service(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(conditions),
        ("policy", "PodDisruptionBudget") => {
            ObjectStatus::current("AllowedDisruptions has been computed.")
        }
        ("", "Secret" | "ConfigMap") | ("batch", "CronJob") => {
            ObjectStatus::current("Resource is always ready")
        }
        _ => return None,
    };
    Some(Ok(verdict))
}

fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Value::as_i64)
}

fn status_number(object: &Value, name: &str) -> i64 {
    number(object, &format!("/status/{name}")).unwrap_or(0)
}

fn spec_replicas(object: &Value) -> i64 {
    number(object, "/spec/replicas").unwrap_or(1)
}

fn deployment(object: &Value, conditions: &[Condition<'_>]) -> ObjectStatus {
    let deadline = number(object, "/spec/progressDeadlineSeconds");
    let mut progressed = deadline.is_none_or(|seconds| seconds == NO_DEADLINE);
    let mut is_available = false;
    for condition in conditions {
        match (condition.kind, condition.status, condition.reason) {
            ("Progressing", _, "ProgressDeadlineExceeded") => {
                return ObjectStatus::failed(condition.reason, "Progress deadline exceeded");
            }
            ("Progressing", "True", "NewReplicaSetAvailable") => progressed = true,
            ("Available", "True", _) => is_available = true,
            _ => {}
        }
    }
    let wanted = spec_replicas(object);
    let replicas = status_number(object, "replicas");
    let updated = status_number(object, "updatedReplicas");
    let ready = status_number(object, "readyReplicas");
    let available = status_number(object, "availableReplicas");
    let (reason, message) = if wanted > replicas {
        ("LessReplicas", format!("Replicas: {replicas}/{wanted}"))
    } else if wanted > updated {
        ("LessUpdated", format!("Updated: {updated}/{wanted}"))
    } else if replicas > wanted {
        ("ExtraPods", format!("Pending termination: {}", replicas - wanted))
    } else if updated > available {
        ("LessAvailable", format!("Available: {available}/{updated}"))
    } else if wanted > ready {
        ("LessReady", format!("Ready: {ready}/{wanted}"))
    } else if !progressed {
        ("ReplicaSetNotAvailable", "ReplicaSet not Available".to_owned())
    } else if !is_available {
        ("DeploymentNotAvailable", "Deployment not Available".to_owned())
    } else {
        return ObjectStatus::current(format!("Deployment is available. Replicas: {replicas}"));
    };
    ObjectStatus::in_progress(reason, message)
}

fn replica_set(object: &Value, conditions: &[Condition<'_>]) -> ObjectStatus {
    if conditions.iter().any(|c| c.kind == "ReplicaFailure" && c.status == "True") {
        return ObjectStatus::in_progress(
            "ReplicaFailure",
            "Replica Failure condition. Check Pods",
        );
    }
    let wanted = spec_replicas(object);
    let replicas = status_number(object, "replicas");
    let labelled = status_number(object, "fullyLabeledReplicas");
    let available = status_number(object, "availableReplicas");
    let ready = status_number(object, "readyReplicas");
    let (reason, message) = if wanted > labelled {
        ("LessLabelled", format!("Labelled: {labelled}/{wanted}"))
    } else if wanted > available {
        ("LessAvailable", format!("Available: {available}/{wanted}"))
    } else if wanted > ready {
        ("LessReady", format!("Ready: {ready}/{wanted}"))
    } else if replicas > wanted {
        ("ExtraPods", format!("Pending termination: {}", replicas - wanted))
    } else {
        return ObjectStatus::current(format!("ReplicaSet is available. Replicas: {replicas}"));
    };
    ObjectStatus::in_progress(reason, message)
}

fn stateful_set(object: &Value) -> ObjectStatus {
    if text(object, "/spec/updateStrategy/type") == "OnDelete" {
        return ObjectStatus::current("StatefulSet is using the ondelete update strategy");
    }
    let wanted = spec_replicas(object);
    let replicas = status_number(object, "replicas");
    let ready = status_number(object, "readyReplicas");
    let current = status_number(object, "currentReplicas");
    let updated = status_number(object, "updatedReplicas");
    if wanted > replicas {
        return ObjectStatus::in_progress("LessReplicas", format!("Replicas: {replicas}/{wanted}"));
    }
    if wanted > ready {
        return ObjectStatus::in_progress("LessReady", format!("Ready: {ready}/{wanted}"));
    }
    if replicas > wanted {
        let message = format!("Pending termination: {}", replicas - wanted);
        return ObjectStatus::in_progress("ExtraPods", message);
    }
    if let Some(partition) = number(object, "/spec/updateStrategy/rollingUpdate/partition") {
        let rolled = wanted - partition;
        if updated < rolled {
            let message = format!("updated: {updated}/{rolled}");
            return ObjectStatus::in_progress("PartitionRollout", message);
        }
        return ObjectStatus::current(format!("Partition rollout complete. updated: {updated}"));
    }
    if wanted > current {
        return ObjectStatus::in_progress("LessCurrent", format!("current: {current}/{wanted}"));
    }
    if text(object, "/status/currentRevision") != text(object, "/status/updateRevision") {
        let message = "Waiting for updated revision to match current";
        return ObjectStatus::in_progress("RevisionMismatch", message);
    }
    ObjectStatus::current(format!("All replicas scheduled as expected. Replicas: {replicas}"))
}

fn daemon_set(object: &Value) -> ObjectStatus {
    let missing = [
        ("/metadata/generation", "NoGeneration", "DaemonSet metadata.generation not found"),
        (
            "/status/observedGeneration",
            "NoObservedGeneration",
            "DaemonSet status.observedGeneration not found",
        ),
        (
            "/status/desiredNumberScheduled",
            "NoDesiredNumber",
            "Missing .status.desiredNumberScheduled",
        ),
    ];
    for (pointer, reason, message) in missing {
        if number(object, pointer).is_none() {
            return ObjectStatus::in_progress(reason, message);
        }
    }
    let desired = status_number(object, "desiredNumberScheduled");
    let counts = [
        ("LessCurrent", "Current", "currentNumberScheduled"),
        ("LessUpdated", "Updated", "updatedNumberScheduled"),
        ("LessAvailable", "Available", "numberAvailable"),
        ("LessReady", "Ready", "numberReady"),
    ];
    for (reason, word, field) in counts {
        let count = status_number(object, field);
        if desired > count {
            return ObjectStatus::in_progress(reason, format!("{word}: {count}/{desired}"));
        }
    }
    ObjectStatus::current(format!("All replicas scheduled as expected. Replicas: {desired}"))
}

fn pod(
    object: &Value,
    conditions: &[Condition<'_>],
    now: Timestamp,
) -> Result<ObjectStatus, String> {
    Ok(match text(object, "/status/phase") {
        "Succeeded" => ObjectStatus::current("Pod has completed successfully"),
        "Failed" => ObjectStatus::current("Pod has completed, but not successfully"),
        "Running" => {
            if conditions.iter().any(|c| c.kind == "Ready" && c.status == "True") {
                return Ok(ObjectStatus::current("Pod is Ready"));
            }
            let crashing = crash_looping(object);
            if crashing.is_empty() {
                ObjectStatus::in_progress("PodRunningNotReady", "Pod is running but is not Ready")
            } else {
                let message = format!("Containers in CrashLoop state: {}", crashing.join(","));
                ObjectStatus::failed("ContainerCrashLooping", message)
            }
        }
        "Pending" => {
            if !is_unschedulable(conditions) {
                return Ok(ObjectStatus::in_progress("PodPending", "Pod is in the Pending phase"));
            }
            let created = text(object, "/metadata/creationTimestamp").parse::<Timestamp>();
            let age = created.map(|created| now.duration_since(created));
            let window = jiff::SignedDuration::try_from(SCHEDULE_WINDOW).unwrap_or_default();
            if age.is_ok_and(|age| age >= window) {
                ObjectStatus::failed("PodUnschedulable", "Pod could not be scheduled")
            } else {
                ObjectStatus::in_progress("PodNotScheduled", "Pod has not been scheduled")
            }
        }
        "" => ObjectStatus::in_progress("PodNotObserved", "Pod phase not available"),
        other => return Err(format!("unknown phase {other}")),
    })
}

fn crash_looping(pod: &Value) -> Vec<&str> {
    let statuses = pod.pointer("/status/containerStatuses").and_then(Value::as_array);
    let crashing = statuses
        .into_iter()
        .flatten()
        .filter(|container| text(container, "/state/waiting/reason") == "CrashLoopBackOff");
    crashing.map(|container| text(container, "/name")).collect()
}

pub(crate) fn is_unschedulable(conditions: &[Condition<'_>]) -> bool {
    conditions
        .iter()
        .any(|c| c.kind == "PodScheduled" && c.status == "False" && c.reason == "Unschedulable")
}

struct JobNumbers {
    parallelism: i64,
    completions: i64,
    succeeded: i64,
    active: i64,
    failed: i64,
}

impl JobNumbers {
    fn of(object: &Value) -> Self {
        let parallelism = number(object, "/spec/parallelism").unwrap_or(1);
        Self {
            parallelism,
            completions: number(object, "/spec/completions").unwrap_or(parallelism),
            succeeded: status_number(object, "succeeded"),
            active: status_number(object, "active"),
            failed: status_number(object, "failed"),
        }
    }

    /// Returns the verdict of a finished Job.
    fn finished(&self, conditions: &[Condition<'_>]) -> Option<ObjectStatus> {
        conditions.iter().filter(|c| c.status == "True").find_map(|c| match c.kind {
            "Complete" => Some(ObjectStatus::current(format!(
                "Job Completed. succeeded: {}/{}",
                self.succeeded, self.completions
            ))),
            "Failed" => Some(ObjectStatus::failed(
                "JobFailed",
                format!("Job Failed. failed: {}/{}", self.failed, self.completions),
            )),
            _ => None,
        })
    }

    fn progress(&self) -> String {
        format!(
            "Job in progress. success:{}, active: {}, failed: {}",
            self.succeeded, self.active, self.failed
        )
    }
}

fn job(object: &Value, conditions: &[Condition<'_>]) -> ObjectStatus {
    let numbers = JobNumbers::of(object);
    if let Some(verdict) = numbers.finished(conditions) {
        return verdict;
    }
    if text(object, "/status/startTime").is_empty() {
        return ObjectStatus::in_progress("JobNotStarted", "Job not started");
    }
    ObjectStatus::current(numbers.progress())
}

/// The reading of Jobs that must complete.
///
/// Source: fluxcd/helm-controller internal/kube/statusreaders (job).
pub(super) fn whole_job(object: &Value) -> ObjectStatus {
    let numbers = JobNumbers::of(object);
    if object.pointer("/spec/suspend") == Some(&Value::Bool(true)) {
        return ObjectStatus::current("Job is suspended");
    }
    let conditions = match super::conditions(object) {
        Ok(conditions) => conditions,
        Err(error) => return ObjectStatus::unknown(error),
    };
    if let Some(verdict) = numbers.finished(&conditions) {
        return verdict;
    }
    if text(object, "/status/startTime").is_empty() {
        let message = format!("Job not started. active: 0/{}", numbers.parallelism);
        return ObjectStatus::in_progress("JobNotStarted", message);
    }
    ObjectStatus::in_progress("JobInProgress", numbers.progress())
}

/// The reading of Pods that are hooks.
pub(super) fn hook_pod(object: &Value) -> ObjectStatus {
    let name = text(object, "/metadata/name");
    match text(object, "/status/phase") {
        "Succeeded" => ObjectStatus::current(format!("pod {name} succeeded")),
        "Failed" => ObjectStatus::failed("PodFailed", format!("pod {name} failed")),
        _ => ObjectStatus::in_progress("PodInProgress", "Pod in progress"),
    }
}

fn claim(object: &Value) -> ObjectStatus {
    let phase = text(object, "/status/phase");
    if phase == "Bound" {
        return ObjectStatus::current("PVC is Bound");
    }
    let phase = if phase.is_empty() { "unknown" } else { phase };
    ObjectStatus::in_progress("NotBound", format!("PVC is not Bound. phase: {phase}"))
}

fn service(object: &Value) -> ObjectStatus {
    let kind = text(object, "/spec/type");
    if kind == "LoadBalancer" && text(object, "/spec/clusterIP").is_empty() {
        let message = format!("ClusterIP not set. Service type: {kind}");
        return ObjectStatus::in_progress("NoIPAssigned", message);
    }
    ObjectStatus::current("Service is ready")
}

fn definition(conditions: &[Condition<'_>]) -> ObjectStatus {
    for condition in conditions {
        match (condition.kind, condition.status) {
            ("NamesAccepted", "False") => {
                return ObjectStatus::failed(condition.reason, condition.message);
            }
            ("Established", "False") if condition.reason != "Installing" => {
                return ObjectStatus::failed(condition.reason, condition.message);
            }
            ("Established", "True") => return ObjectStatus::current("CRD is established"),
            _ => {}
        }
    }
    ObjectStatus::in_progress("Installing", "Install in progress")
}
