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
            vec![pod(json!({"phase": "Failed", "reason": "Evicted", "message": "low on memory"}))],
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

/// A state of a Pod, what was said about it, and what is to be told: kind, object, text behind it.
struct Row {
    name: &'static str,
    status: Value,
    events: Vec<Object>,
    claims: Vec<Object>,
    log: Vec<String>,
    kind: CauseKind,
    object: &'static str,
    text: &'static str,
}

fn event(kind: &str, name: &str, said: (&str, &str), place: &str) -> Object {
    Object(json!({"kind": "Event", "type": "Warning", "reason": said.0, "message": said.1,
        "involvedObject": {"kind": kind, "name": name, "fieldPath": place}, "lastTimestamp": "2026-01-01T00:00:01Z"}))
}

fn row(name: &'static str, status: Value, kind: CauseKind, text: &'static str) -> Row {
    let (events, claims, log) = (vec![], vec![], vec![]);
    Row { name, status, events, claims, log, kind, object: "Pod/ns/web-1", text }
}

/// A container `c` that waits.
fn waiting(reason: &str, message: &str) -> Value {
    json!({"phase": "Pending", "containerStatuses": [
        {"name": "c", "image": "x:1", "ready": false, "state": {"waiting": {"reason": reason, "message": message}}}]})
}

fn crashing(code: i64, reason: &str) -> Value {
    json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}], "containerStatuses": [
        {"name": "c", "state": {"waiting": {"reason": "CrashLoopBackOff"}},
         "lastState": {"terminated": {"exitCode": code, "reason": reason}}}]})
}

fn running() -> Value {
    json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "unready: [c]"}],
        "containerStatuses": [{"name": "c", "ready": false, "state": {"running": {}}}]})
}

fn unscheduled(message: &str) -> Value {
    json!({"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]})
}

impl Row {
    /// Something was said about the Pod.
    fn event(mut self, reason: &str, message: &str) -> Self {
        self.events.push(event("Pod", "web-1", (reason, message), "spec.containers{c}"));
        self
    }

    fn log(mut self, lines: &[&str]) -> Self {
        self.log = lines.iter().map(|line| (*line).to_owned()).collect();
        self
    }

    /// The Pod uses a claim that is not bound, about which something may have been said.
    fn claim(mut self, said: Option<(&str, &str)>) -> Self {
        self.claims.push(Object(json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", "namespace": "ns"}, "status": {"phase": "Pending"}})));
        self.events.extend(said.map(|said| event("PersistentVolumeClaim", "data", said, "")));
        self.object = "PersistentVolumeClaim/ns/data";
        self
    }
}

fn images() -> Vec<Row> {
    let rows = [
        ("ImagePullBackOff", ", container `c`: ImagePullBackOff: m"),
        ("ErrImagePull", ", container `c`: ErrImagePull: m"),
        ("InvalidImageName", ", container `c`: InvalidImageName: m"),
        ("ErrImageNeverPull", ", container `c`: ErrImageNeverPull: m"),
        ("RegistryUnavailable", ", container `c`: RegistryUnavailable: m"),
        ("ImageInspectError", ", container `c`: ImageInspectError: m"),
        ("SignatureValidationFailed", ", container `c`: SignatureValidationFailed: m"),
    ];
    let row = |(reason, text)| row(reason, waiting(reason, "m"), CauseKind::ImagePull, text);
    rows.map(row).into()
}

fn configs() -> Vec<Row> {
    let rows = [
        ("CreateContainerConfigError", ", container `c`: CreateContainerConfigError: m"),
        ("CreateContainerError", ", container `c`: CreateContainerError: m"),
        ("RunContainerError", ", container `c`: RunContainerError: m"),
        ("PostStartHookError", ", container `c`: PostStartHookError: m"),
    ];
    let row = |(reason, text)| row(reason, waiting(reason, "m"), CauseKind::ContainerConfig, text);
    rows.map(row).into()
}

/// What a Pod says that has not come up, by its events.
fn starting() -> Vec<Row> {
    use CauseKind::{Condition, ContainerConfig, Sandbox, Starting, Unschedulable, Volume};
    let rows = [
        ("FailedMount", Volume, ", container `c`: FailedMount: secret \"s\" not found"),
        ("FailedAttachVolume", Volume, ", container `c`: FailedAttachVolume: in use"),
        ("FailedMapVolume", Volume, ", container `c`: FailedMapVolume: no device"),
        ("FailedCreatePodSandBox", Sandbox, ", container `c`: FailedCreatePodSandBox: no address"),
        (
            "NetworkNotReady",
            Sandbox,
            ", container `c`: NetworkNotReady: cni plugin not initialized",
        ),
        ("FailedScheduling", Unschedulable, ", container `c`: FailedScheduling: 0/3 nodes"),
        ("FailedPostStartHook", ContainerConfig, ", container `c`: FailedPostStartHook: exit 1"),
        ("SomethingElse", Condition, ", container `c`: SomethingElse: m"),
    ];
    let made = rows.map(|(reason, kind, text)| {
        let message = text.rsplit_once(&format!("{reason}: ")).unwrap().1;
        row(reason, waiting("ContainerCreating", ""), kind, text).event(reason, message)
    });
    let silent = row(
        "nothing is said",
        waiting("ContainerCreating", ""),
        Starting,
        ", container `c`: ContainerCreating",
    );
    made.into_iter().chain([silent]).collect()
}

fn ended() -> Vec<Row> {
    use CauseKind::{CrashLoop, PodFailed};
    let failed = |reason: &str, message: &str| json!({"phase": "Failed", "reason": reason, "message": message});
    let exit = json!({"phase": "Failed", "containerStatuses": [{"name": "c", "state": {"terminated": {"exitCode": 3, "reason": "Error"}}}]});
    let crash = |name, code, reason, text| row(name, crashing(code, reason), CrashLoop, text);
    vec![
        crash(
            "crash with its log",
            1,
            "Error",
            ", container `c`, condition Ready: CrashLoopBackOff: last ended with exit code 1 (Error) (its log ends: a | no such host)",
        )
        .log(&["a", "no such host"]),
        crash(
            "out of memory",
            137,
            "OOMKilled",
            ", container `c`, condition Ready: CrashLoopBackOff: last ended with exit code 137 (OOMKilled)",
        ),
        crash(
            "killed by its probe",
            143,
            "Error",
            ", container `c`, condition Ready: CrashLoopBackOff: last ended with exit code 143 (Error); Liveness probe failed: 500",
        )
        .event("Unhealthy", "Liveness probe failed: 500"),
        crash(
            "a readiness probe is not why it ends",
            1,
            "Error",
            ", container `c`, condition Ready: CrashLoopBackOff: last ended with exit code 1 (Error)",
        )
        .event("Unhealthy", "Readiness probe failed: 500"),
        row("exit", exit, PodFailed, ", container `c`: Error: last ended with exit code 3 (Error) (its log ends: bad flag)")
            .log(&["bad flag"]),
        row("evicted", failed("Evicted", "low on memory"), PodFailed, ": Evicted: low on memory"),
        row("deadline", failed("DeadlineExceeded", "too long"), PodFailed, ": DeadlineExceeded: too long"),
    ]
}

fn waiting_for_others() -> Vec<Row> {
    use CauseKind::{NotReady, Unbound, Unschedulable};
    let unbound = "pod has unbound immediate PersistentVolumeClaims";
    vec![
        row(
            "no room",
            unscheduled("0/1 nodes"),
            Unschedulable,
            ", condition PodScheduled: Unschedulable: 0/1 nodes",
        ),
        row(
            "claim",
            unscheduled(unbound),
            Unbound,
            ": Pending: the claim is not bound to a volume",
        )
        .claim(None),
        row("claim, told", unscheduled(unbound), Unbound, ": ProvisioningFailed: no class \"x\"")
            .claim(Some(("ProvisioningFailed", "no class \"x\""))),
        row("claim, none fits", unscheduled(unbound), Unbound, ": FailedBinding: no volumes")
            .claim(Some(("FailedBinding", "no volumes"))),
        row(
            "readiness probe",
            running(),
            NotReady,
            ", container `c`, condition Ready: Unhealthy: Readiness probe failed: 503",
        )
        .event("Unhealthy", "Readiness probe failed: 503"),
        row(
            "startup probe",
            running(),
            NotReady,
            ", container `c`, condition Ready: Unhealthy: Startup probe failed: refused",
        )
        .event("Unhealthy", "Startup probe failed: refused"),
        row(
            "a warning of another sort",
            running(),
            NotReady,
            ", container `c`, condition Ready: ContainersNotReady: unready: [c]",
        )
        .event("DNSConfigForming", "too many"),
        row(
            "not ready",
            running(),
            NotReady,
            ", container `c`, condition Ready: ContainersNotReady: unready: [c]",
        ),
    ]
}

/// Every kind that owns Pods, and what it says itself of not being ready.
fn owners() -> Vec<Object> {
    let owner = |api: &str, kind: &str, status: Value| {
        Object(
            json!({"apiVersion": api, "kind": kind, "metadata": {"name": "web", "namespace": "ns"},
            "spec": {"selector": {"matchLabels": {"app": "web"}}}, "status": status}),
        )
    };
    let late = json!({"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]});
    vec![
        owner("apps/v1", "Deployment", late),
        owner("apps/v1", "StatefulSet", json!({"readyReplicas": 0})),
        owner("apps/v1", "DaemonSet", json!({"numberReady": 0})),
        owner("apps/v1", "ReplicaSet", json!({"readyReplicas": 0})),
        owner(
            "batch/v1",
            "Job",
            json!({"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]}),
        ),
        // Anything with Pods behind a selector, such as an operator's kind.
        owner(
            "example.com/v1",
            "Database",
            json!({"conditions": [{"type": "Ready", "status": "False", "reason": "Waiting"}]}),
        ),
    ]
}

#[test]
fn every_cause_is_told_of_every_kind_that_owns_pods() {
    let rows = [images(), configs(), starting(), ended(), waiting_for_others()];
    let rows: Vec<Row> = rows.into_iter().flatten().collect();
    let owners = owners();
    assert!(rows.len() * owners.len() >= 200, "{} rows", rows.len() * owners.len());
    let mut wrong = Vec::new();
    for (owner, row) in owners.iter().flat_map(|owner| rows.iter().map(move |row| (owner, row))) {
        let below = [pod(row.status.clone())];
        let facts = Facts {
            object: owner,
            below: &below,
            claims: &row.claims,
            events: &row.events,
            log: &row.log,
        };
        let found = explain(&facts);
        let told = found.as_ref().map(|cause| (cause.kind, cause.to_string()));
        if told != Some((row.kind, format!("{}{}", row.object, row.text))) {
            wrong.push(format!("{} of a {}: {told:?}", row.name, owner.kind()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What was said about an object: reason and message.
type Heard = Option<(&'static str, &'static str)>;
/// What is told: the kind of the cause, and a part of its text.
type Told = Option<(CauseKind, &'static str)>;

/// Objects without Pods, with what they say and what was said about them.
#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn objects_without_pods_tell_by_conditions_and_events() {
    let object = |api: &str, kind: &str, status: Value| {
        Object(
            json!({"apiVersion": api, "kind": kind, "metadata": {"name": "web", "namespace": "ns"}, "status": status}),
        )
    };
    let not = |kind: &str, reason: &str| json!({"conditions": [{"type": kind, "status": "False", "reason": reason, "message": "m"}]});
    let stands = |kind: &str, reason: &str| json!({"conditions": [{"type": kind, "status": "True", "reason": reason, "message": "m"}]});
    use CauseKind::{Condition, CreateRefused, Unbound};
    let claim = |phase: &str| object("v1", "PersistentVolumeClaim", json!({"phase": phase}));
    let refused = stands("ReplicaFailure", "FailedCreate");
    let rows: Vec<(Object, Heard, Told)> = vec![
        (
            object("apps/v1", "StatefulSet", json!({})),
            Some(("FailedCreate", "exceeded quota")),
            Some((CreateRefused, "FailedCreate: exceeded quota")),
        ),
        (
            object("apps/v1", "DaemonSet", json!({})),
            Some(("FailedCreate", "forbidden")),
            Some((CreateRefused, "FailedCreate: forbidden")),
        ),
        (
            object("batch/v1", "Job", json!({})),
            Some(("FailedCreate", "no account")),
            Some((CreateRefused, "FailedCreate: no account")),
        ),
        (
            object("apps/v1", "Deployment", refused.clone()),
            None,
            Some((CreateRefused, "condition ReplicaFailure: FailedCreate: m")),
        ),
        (
            object("apps/v1", "ReplicaSet", refused),
            None,
            Some((CreateRefused, "condition ReplicaFailure: FailedCreate: m")),
        ),
        (claim("Pending"), None, Some((Unbound, "Pending: the claim is not bound"))),
        (claim("Lost"), None, Some((Unbound, "Lost: the claim is not bound"))),
        (claim("Bound"), None, None),
        (
            claim("Pending"),
            Some(("ProvisioningFailed", "m")),
            Some((Unbound, "ProvisioningFailed: m")),
        ),
        (
            claim("Pending"),
            Some(("WaitForFirstConsumer", "m")),
            Some((Unbound, "WaitForFirstConsumer: m")),
        ),
        (
            object("v1", "Service", json!({})),
            Some(("SyncLoadBalancerFailed", "m")),
            Some((Condition, "SyncLoadBalancerFailed: m")),
        ),
        (
            object("networking.k8s.io/v1", "Ingress", json!({})),
            Some(("Sync", "m")),
            Some((Condition, "Sync: m")),
        ),
        (
            object("example.com/v1", "Database", not("Ready", "Waiting")),
            None,
            Some((Condition, "condition Ready: Waiting: m")),
        ),
        (
            object("example.com/v1", "Database", stands("Stalled", "Bad")),
            None,
            Some((Condition, "condition Stalled: Bad: m")),
        ),
        (
            object("apiregistration.k8s.io/v1", "APIService", not("Available", "MissingEndpoints")),
            None,
            Some((Condition, "condition Available: MissingEndpoints: m")),
        ),
        (
            object(
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                not("NamesAccepted", "Conflict"),
            ),
            None,
            Some((Condition, "condition NamesAccepted: Conflict: m")),
        ),
        (
            object("batch/v1", "Job", stands("Failed", "BackoffLimitExceeded")),
            None,
            Some((Condition, "condition Failed: BackoffLimitExceeded: m")),
        ),
        (object("v1", "ConfigMap", json!({})), None, None),
    ];
    let mut wrong = Vec::new();
    for (object, said, wanted) in rows {
        let events: Vec<Object> =
            said.map(|said| event(object.kind(), "web", said, "")).into_iter().collect();
        let (below, claims, log) = (&[], &[], &[]);
        let found = explain(&Facts { object: &object, below, claims, events: &events, log });
        let told = found.map(|cause| (cause.kind, cause.to_string()));
        let good = match (&told, wanted) {
            (Some((kind, text)), Some((want, part))) => *kind == want && text.contains(part),
            (None, None) => true,
            _ => false,
        };
        if !good {
            wrong.push(format!("{} {said:?}: {told:?}, wanted {wanted:?}", object.kind()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn of_several_events_the_newest_counts() {
    let mut old = event("Pod", "web-1", ("FailedMount", "old"), "");
    old.0["lastTimestamp"] = "2025-01-01T00:00:00Z".into();
    let mut series = event("Pod", "web-1", ("FailedMount", "series"), "");
    series.0["lastTimestamp"] = Value::Null;
    series.0["series"] = json!({"lastObservedTime": "2026-02-01T00:00:00.000000Z"});
    let new = event("Pod", "web-1", ("FailedMount", "new"), "");
    let other = event("Pod", "web-2", ("FailedMount", "other"), "");
    let id = pod(json!({})).id();
    let newest = |events: &[Object]| super::event::newest(&id, events, &[]).unwrap().message;
    assert_eq!(newest(&[old.clone(), new.clone(), other.clone()]), "new");
    assert_eq!(newest(&[old, series, new, other]), "series");
}
