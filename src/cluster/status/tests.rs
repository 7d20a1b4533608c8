use serde_json::json;

use super::{Reader, Status, read, status};
use crate::base::clock::Timestamp;
use crate::yaml::Value;

fn now() -> Timestamp {
    "2026-01-01T00:01:00Z".parse().unwrap()
}

type Row = (&'static str, Value, Status, &'static str, &'static str);

#[track_caller]
fn check(rows: Vec<Row>, verdict: impl Fn(&Value) -> super::ObjectStatus) {
    let mut wrong = Vec::new();
    for (name, object, word, reason, message) in rows {
        let got = verdict(&object);
        if (got.status, got.reason.as_str(), got.message.as_str()) != (word, reason, message) {
            wrong.push(format!("{name}: {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn of(api_version: &str, kind: &str, spec: Value, status: Value) -> Value {
    json!({"apiVersion": api_version, "kind": kind,
           "metadata": {"name": "x", "generation": 1}, "spec": spec, "status": status})
}

use Status::{Current, Failed, InProgress, Terminating, Unknown};

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn every_kind_first_passes_the_general_rules() {
    let cr = |status: Value| json!({"apiVersion": "a/v1", "kind": "Foo", "metadata": {"generation": 2}, "status": status});
    let when = |list: Value| cr(json!({"conditions": list}));
    check(
        vec![
            (
                "deleting",
                json!({"kind": "Foo", "metadata": {"deletionTimestamp": "x"}}),
                Terminating,
                "",
                "Resource scheduled for deletion",
            ),
            (
                "old generation",
                cr(json!({"observedGeneration": 1})),
                InProgress,
                "LatestGenerationNotObserved",
                "Foo generation is 2, but latest observed generation is 1",
            ),
            (
                "no status",
                json!({"apiVersion": "a/v1", "kind": "Foo"}),
                Current,
                "",
                "Resource is current",
            ),
            ("generation not observed at all", cr(json!({})), Current, "", "Resource is current"),
            (
                "reconciling before stalled",
                when(
                    json!([{"type": "Reconciling", "status": "True", "reason": "r", "message": "m"}, {"type": "Stalled", "status": "True"}]),
                ),
                InProgress,
                "r",
                "m",
            ),
            (
                "stalled before reconciling",
                when(
                    json!([{"type": "Stalled", "status": "True", "reason": "s", "message": "m"}, {"type": "Reconciling", "status": "True"}]),
                ),
                Failed,
                "s",
                "m",
            ),
            (
                "ready",
                when(json!([{"type": "Ready", "status": "True"}])),
                Current,
                "",
                "Resource is Ready",
            ),
            (
                "not ready is never failed",
                when(json!([{"type": "Ready", "status": "False", "reason": "r", "message": "m"}])),
                InProgress,
                "r",
                "m",
            ),
            (
                "ready unknown",
                when(
                    json!([{"type": "Ready", "status": "Unknown", "reason": "r", "message": "m"}]),
                ),
                InProgress,
                "r",
                "m",
            ),
            (
                "odd ready, then ready",
                when(
                    json!([{"type": "Ready", "status": "?"}, {"type": "Ready", "status": "True"}]),
                ),
                Current,
                "",
                "Resource is Ready",
            ),
            (
                "malformed condition",
                when(json!(["x"])),
                Unknown,
                "",
                "an entry of status.conditions is not a map",
            ),
            (
                "namespace",
                json!({"apiVersion": "v1", "kind": "Namespace"}),
                Current,
                "",
                "Resource is current",
            ),
        ],
        |object| status(object, now()),
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn deployments() {
    let full = json!({"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2,
        "conditions": [{"type": "Available", "status": "True"}, {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]});
    let with = |changes: Value| {
        let mut status = full.clone();
        for (key, value) in changes.as_object().unwrap() {
            status[key] = value.clone();
        }
        of("apps/v1", "Deployment", json!({"replicas": 2, "progressDeadlineSeconds": 600}), status)
    };
    let no_deadline = |deadline: Value| {
        let mut object = with(json!({"conditions": [{"type": "Available", "status": "True"}]}));
        object["spec"]["progressDeadlineSeconds"] = deadline;
        object
    };
    check(
        vec![
            ("all there", with(json!({})), Current, "", "Deployment is available. Replicas: 2"),
            (
                "nothing yet",
                of("apps/v1", "Deployment", json!({}), json!({})),
                InProgress,
                "LessReplicas",
                "Replicas: 0/1",
            ),
            ("replicas", with(json!({"replicas": 1})), InProgress, "LessReplicas", "Replicas: 1/2"),
            (
                "updated",
                with(json!({"updatedReplicas": 1})),
                InProgress,
                "LessUpdated",
                "Updated: 1/2",
            ),
            (
                "surplus",
                with(json!({"replicas": 3})),
                InProgress,
                "ExtraPods",
                "Pending termination: 1",
            ),
            (
                "available",
                with(json!({"availableReplicas": 1})),
                InProgress,
                "LessAvailable",
                "Available: 1/2",
            ),
            ("ready", with(json!({"readyReplicas": 1})), InProgress, "LessReady", "Ready: 1/2"),
            (
                "not progressed",
                no_deadline(json!(600)),
                InProgress,
                "ReplicaSetNotAvailable",
                "ReplicaSet not Available",
            ),
            (
                "no deadline",
                no_deadline(json!(null)),
                Current,
                "",
                "Deployment is available. Replicas: 2",
            ),
            (
                "endless deadline",
                no_deadline(json!(2_147_483_647)),
                Current,
                "",
                "Deployment is available. Replicas: 2",
            ),
            (
                "not available",
                with(
                    json!({"conditions": [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]}),
                ),
                InProgress,
                "DeploymentNotAvailable",
                "Deployment not Available",
            ),
            (
                "deadline exceeded",
                with(
                    json!({"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]}),
                ),
                Failed,
                "ProgressDeadlineExceeded",
                "Progress deadline exceeded",
            ),
            (
                "quota is not looked at",
                of(
                    "extensions/v1beta1",
                    "Deployment",
                    json!({}),
                    json!({"conditions": [{"type": "ReplicaFailure", "status": "True"}]}),
                ),
                InProgress,
                "LessReplicas",
                "Replicas: 0/1",
            ),
            (
                "other group",
                of("x/v1", "Deployment", json!({}), json!({})),
                Current,
                "",
                "Resource is current",
            ),
        ],
        |object| status(object, now()),
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn replica_sets_and_stateful_sets() {
    let rs = |status: Value| of("apps/v1", "ReplicaSet", json!({"replicas": 2}), status);
    let sts = |spec: Value, status: Value| of("apps/v1", "StatefulSet", spec, status);
    let two = json!({"replicas": 2});
    check(
        vec![
            (
                "rs failure",
                rs(json!({"conditions": [{"type": "ReplicaFailure", "status": "True"}]})),
                InProgress,
                "ReplicaFailure",
                "Replica Failure condition. Check Pods",
            ),
            (
                "rs labelled",
                rs(json!({"fullyLabeledReplicas": 1})),
                InProgress,
                "LessLabelled",
                "Labelled: 1/2",
            ),
            (
                "rs available",
                rs(json!({"fullyLabeledReplicas": 2})),
                InProgress,
                "LessAvailable",
                "Available: 0/2",
            ),
            (
                "rs ready",
                rs(json!({"fullyLabeledReplicas": 2, "availableReplicas": 2, "readyReplicas": 1})),
                InProgress,
                "LessReady",
                "Ready: 1/2",
            ),
            (
                "rs surplus",
                rs(
                    json!({"fullyLabeledReplicas": 2, "availableReplicas": 2, "readyReplicas": 2, "replicas": 3}),
                ),
                InProgress,
                "ExtraPods",
                "Pending termination: 1",
            ),
            (
                "rs",
                rs(
                    json!({"fullyLabeledReplicas": 2, "availableReplicas": 2, "readyReplicas": 2, "replicas": 2}),
                ),
                Current,
                "",
                "ReplicaSet is available. Replicas: 2",
            ),
            (
                "sts on delete",
                sts(json!({"updateStrategy": {"type": "OnDelete"}}), json!({})),
                Current,
                "",
                "StatefulSet is using the ondelete update strategy",
            ),
            (
                "sts replicas",
                sts(two.clone(), json!({"replicas": 1})),
                InProgress,
                "LessReplicas",
                "Replicas: 1/2",
            ),
            (
                "sts ready",
                sts(two.clone(), json!({"replicas": 2, "readyReplicas": 1})),
                InProgress,
                "LessReady",
                "Ready: 1/2",
            ),
            (
                "sts surplus",
                sts(two.clone(), json!({"replicas": 3, "readyReplicas": 2})),
                InProgress,
                "ExtraPods",
                "Pending termination: 1",
            ),
            (
                "sts partition runs",
                sts(
                    json!({"replicas": 2, "updateStrategy": {"rollingUpdate": {"partition": 0}}}),
                    json!({"replicas": 2, "readyReplicas": 2, "updatedReplicas": 1}),
                ),
                InProgress,
                "PartitionRollout",
                "updated: 1/2",
            ),
            (
                "sts partition done",
                sts(
                    json!({"replicas": 2, "updateStrategy": {"rollingUpdate": {"partition": 1}}}),
                    json!({"replicas": 2, "readyReplicas": 2, "updatedReplicas": 1}),
                ),
                Current,
                "",
                "Partition rollout complete. updated: 1",
            ),
            (
                "sts current",
                sts(two.clone(), json!({"replicas": 2, "readyReplicas": 2, "currentReplicas": 1})),
                InProgress,
                "LessCurrent",
                "current: 1/2",
            ),
            (
                "sts revision",
                sts(
                    two.clone(),
                    json!({"replicas": 2, "readyReplicas": 2, "currentReplicas": 2, "currentRevision": "a", "updateRevision": "b"}),
                ),
                InProgress,
                "RevisionMismatch",
                "Waiting for updated revision to match current",
            ),
            (
                "sts",
                sts(two, json!({"replicas": 2, "readyReplicas": 2, "currentReplicas": 2})),
                Current,
                "",
                "All replicas scheduled as expected. Replicas: 2",
            ),
        ],
        |object| status(object, now()),
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn daemon_sets() {
    let ds = |status: Value| of("apps/v1", "DaemonSet", json!({}), status);
    let no_generation = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {}});
    check(
        vec![
            (
                "no generation",
                no_generation,
                InProgress,
                "NoGeneration",
                "DaemonSet metadata.generation not found",
            ),
            (
                "not observed",
                ds(json!({})),
                InProgress,
                "NoObservedGeneration",
                "DaemonSet status.observedGeneration not found",
            ),
            (
                "no number",
                ds(json!({"observedGeneration": 1})),
                InProgress,
                "NoDesiredNumber",
                "Missing .status.desiredNumberScheduled",
            ),
            (
                "current",
                ds(
                    json!({"observedGeneration": 1, "desiredNumberScheduled": 2, "currentNumberScheduled": 1}),
                ),
                InProgress,
                "LessCurrent",
                "Current: 1/2",
            ),
            (
                "updated",
                ds(
                    json!({"observedGeneration": 1, "desiredNumberScheduled": 1, "currentNumberScheduled": 1}),
                ),
                InProgress,
                "LessUpdated",
                "Updated: 0/1",
            ),
            (
                "available",
                ds(
                    json!({"observedGeneration": 1, "desiredNumberScheduled": 1, "currentNumberScheduled": 1, "updatedNumberScheduled": 1}),
                ),
                InProgress,
                "LessAvailable",
                "Available: 0/1",
            ),
            (
                "ready",
                ds(
                    json!({"observedGeneration": 1, "desiredNumberScheduled": 1, "currentNumberScheduled": 1, "updatedNumberScheduled": 1, "numberAvailable": 1}),
                ),
                InProgress,
                "LessReady",
                "Ready: 0/1",
            ),
            (
                "all",
                ds(
                    json!({"observedGeneration": 1, "desiredNumberScheduled": 1, "currentNumberScheduled": 1, "updatedNumberScheduled": 1, "numberAvailable": 1, "numberReady": 1}),
                ),
                Current,
                "",
                "All replicas scheduled as expected. Replicas: 1",
            ),
            (
                "none wanted",
                ds(json!({"observedGeneration": 1, "desiredNumberScheduled": 0})),
                Current,
                "",
                "All replicas scheduled as expected. Replicas: 0",
            ),
        ],
        |object| status(object, now()),
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn pods_jobs_and_the_rest() {
    let pod = |created: &str, status: Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "creationTimestamp": created}, "status": status});
    let old = "2026-01-01T00:00:00Z";
    let unschedulable = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]});
    let crash = json!({"phase": "Running", "containerStatuses": [{"name": "a", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}, {"name": "b", "state": {"running": {}}}, {"name": "c", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]});
    let job = |status: Value| of("batch/v1", "Job", json!({"parallelism": 2}), status);
    let crd = |list: Value| {
        of(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            json!({}),
            json!({"conditions": list}),
        )
    };
    check(
        vec![
            (
                "succeeded",
                pod(old, json!({"phase": "Succeeded"})),
                Current,
                "",
                "Pod has completed successfully",
            ),
            (
                "failed is current",
                pod(old, json!({"phase": "Failed"})),
                Current,
                "",
                "Pod has completed, but not successfully",
            ),
            (
                "running ready",
                pod(
                    old,
                    json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}),
                ),
                Current,
                "",
                "Pod is Ready",
            ),
            (
                "running",
                pod(old, json!({"phase": "Running"})),
                InProgress,
                "PodRunningNotReady",
                "Pod is running but is not Ready",
            ),
            (
                "crash loop",
                pod(old, crash),
                Failed,
                "ContainerCrashLooping",
                "Containers in CrashLoop state: a,c",
            ),
            (
                "pending",
                pod(old, json!({"phase": "Pending"})),
                InProgress,
                "PodPending",
                "Pod is in the Pending phase",
            ),
            (
                "unschedulable old",
                pod(old, unschedulable.clone()),
                Failed,
                "PodUnschedulable",
                "Pod could not be scheduled",
            ),
            (
                "unschedulable young",
                pod("2026-01-01T00:00:46Z", unschedulable),
                InProgress,
                "PodNotScheduled",
                "Pod has not been scheduled",
            ),
            (
                "no phase",
                pod(old, json!({})),
                InProgress,
                "PodNotObserved",
                "Pod phase not available",
            ),
            ("odd phase", pod(old, json!({"phase": "Odd"})), Unknown, "", "unknown phase Odd"),
            (
                "job complete",
                job(
                    json!({"succeeded": 2, "conditions": [{"type": "Complete", "status": "True"}]}),
                ),
                Current,
                "",
                "Job Completed. succeeded: 2/2",
            ),
            (
                "job failed",
                job(json!({"failed": 1, "conditions": [{"type": "Failed", "status": "True"}]})),
                Failed,
                "JobFailed",
                "Job Failed. failed: 1/2",
            ),
            ("job not started", job(json!({})), InProgress, "JobNotStarted", "Job not started"),
            (
                "job started",
                job(json!({"startTime": "x", "active": 1})),
                Current,
                "",
                "Job in progress. success:0, active: 1, failed: 0",
            ),
            (
                "claim",
                of("v1", "PersistentVolumeClaim", json!({}), json!({"phase": "Bound"})),
                Current,
                "",
                "PVC is Bound",
            ),
            (
                "claim waits",
                of("v1", "PersistentVolumeClaim", json!({}), json!({})),
                InProgress,
                "NotBound",
                "PVC is not Bound. phase: unknown",
            ),
            (
                "service",
                of("v1", "Service", json!({"type": "ClusterIP"}), json!({})),
                Current,
                "",
                "Service is ready",
            ),
            (
                "load balancer",
                of("v1", "Service", json!({"type": "LoadBalancer"}), json!({})),
                InProgress,
                "NoIPAssigned",
                "ClusterIP not set. Service type: LoadBalancer",
            ),
            (
                "load balancer with address",
                of("v1", "Service", json!({"type": "LoadBalancer", "clusterIP": "1"}), json!({})),
                Current,
                "",
                "Service is ready",
            ),
            (
                "crd established",
                crd(json!([{"type": "Established", "status": "True"}])),
                Current,
                "",
                "CRD is established",
            ),
            (
                "crd names",
                crd(
                    json!([{"type": "NamesAccepted", "status": "False", "reason": "r", "message": "m"}]),
                ),
                Failed,
                "r",
                "m",
            ),
            (
                "crd refused",
                crd(
                    json!([{"type": "Established", "status": "False", "reason": "r", "message": "m"}]),
                ),
                Failed,
                "r",
                "m",
            ),
            (
                "crd installing",
                crd(json!([{"type": "Established", "status": "False", "reason": "Installing"}])),
                InProgress,
                "Installing",
                "Install in progress",
            ),
            (
                "budget",
                of("policy/v1", "PodDisruptionBudget", json!({}), json!({})),
                Current,
                "",
                "AllowedDisruptions has been computed.",
            ),
            (
                "secret",
                of("v1", "Secret", json!({}), json!({})),
                Current,
                "",
                "Resource is always ready",
            ),
            (
                "cron job",
                of("batch/v1", "CronJob", json!({}), json!({})),
                Current,
                "",
                "Resource is always ready",
            ),
        ],
        |object| status(object, now()),
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn hooks_and_awaited_jobs_must_finish() {
    let job = |spec: Value, status: Value| of("batch/v1", "Job", spec, status);
    let pod = |phase: &str| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "status": {"phase": phase}});
    check(
        vec![
            (
                "suspended",
                job(json!({"suspend": true}), json!({})),
                Current,
                "",
                "Job is suspended",
            ),
            (
                "complete",
                job(
                    json!({}),
                    json!({"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]}),
                ),
                Current,
                "",
                "Job Completed. succeeded: 1/1",
            ),
            (
                "failed",
                job(
                    json!({}),
                    json!({"failed": 1, "conditions": [{"type": "Failed", "status": "True"}]}),
                ),
                Failed,
                "JobFailed",
                "Job Failed. failed: 1/1",
            ),
            (
                "not started",
                job(json!({"parallelism": 3}), json!({})),
                InProgress,
                "JobNotStarted",
                "Job not started. active: 0/3",
            ),
            (
                "runs",
                job(json!({}), json!({"startTime": "x", "active": 1})),
                InProgress,
                "JobInProgress",
                "Job in progress. success:0, active: 1, failed: 0",
            ),
            ("pod succeeded", pod("Succeeded"), Current, "", "pod p succeeded"),
            ("pod failed", pod("Failed"), Failed, "PodFailed", "pod p failed"),
            ("pod runs", pod("Running"), InProgress, "PodInProgress", "Pod in progress"),
            (
                "others",
                of("apps/v1", "Deployment", json!({}), json!({})),
                Current,
                "",
                "Resource is current",
            ),
        ],
        |object| read(object, Reader::Hook, now()),
    );
    let running = job(json!({}), json!({"startTime": "x"}));
    assert_eq!(read(&running, Reader::Jobs, now()).status, InProgress);
    assert_eq!(read(&running, Reader::Plain, now()).status, Current);
    assert_eq!(read(&pod("Failed"), Reader::Jobs, now()).status, Current);
}
