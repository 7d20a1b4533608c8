//! Jobs: Pods until enough succeeded or too many failed. CronJobs are inert.
//!
//! Source: kubernetes 1.34 pkg/controller/job (job_controller.go).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::replicas::{self, count, counter, is_ready, set_condition};
use super::{Controller, Key, condition, controlled_by};
use crate::base::clock::Timestamp;
use crate::sim::core::Core;
use crate::sim::delete::DeleteOptions;
use crate::sim::store::{Change, Happened};
use crate::sim::value::{self, at, deleting, flag, int, items, text};
use crate::yaml::Value;

const STORAGE: &str = "jobs.batch";
const COMPONENT: &str = "job-controller";
const MANAGER: &str = "kube-controller-manager";
const TRACKING: &str = "batch.kubernetes.io/job-tracking";

pub(super) fn controller() -> Controller {
    // When the next Pod after a failure may be made, by the Job's uid.
    let mut waits: HashMap<String, (i64, Instant)> = HashMap::new();
    Controller::new(COMPONENT, concerns, move |core, key| reconcile(core, key, &mut waits))
}

fn concerns(change: &Change) -> Vec<Key> {
    match change.storage.as_ref() {
        STORAGE if change.happened != Happened::Deleted => {
            vec![Key::of(&change.storage, &change.object)]
        }
        "pods" => {
            let namespace = value::namespace(&change.object);
            let owner = controlled_by(&change.object, "Job");
            let mut keys: Vec<_> =
                owner.map(|(name, _)| Key::sibling(STORAGE, namespace, name)).into_iter().collect();
            // A Pod that goes may have lost its Job already, and still carries its finalizer.
            if deleting(&change.object) && change.happened != Happened::Deleted {
                keys.push(Key::of(&change.storage, &change.object));
            }
            keys
        }
        _ => Vec::new(),
    }
}

/// How a Job ended.
#[derive(Clone, Copy)]
enum End {
    Completed,
    Failed(&'static str, &'static str),
}

impl End {
    fn words(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Completed => {
                let message = "Reached expected number of succeeded pods";
                ("SuccessCriteriaMet", "Complete", "CompletionsReached", message)
            }
            Self::Failed(reason, message) => ("FailureTarget", "Failed", reason, message),
        }
    }
}

fn is_true(job: &Value, kind: &str) -> bool {
    condition(job, kind).is_some_and(|one| text(one, "/status") == "True")
}

fn has_phase(pod: &Value, phase: &str) -> bool {
    text(pod, "/status/phase") == phase
}

fn reconcile(
    core: &Core,
    key: &Key,
    waits: &mut HashMap<String, (i64, Instant)>,
) -> Option<Duration> {
    if key.storage.as_ref() == "pods" {
        let pod = core.get("pods", &key.namespace, &key.name)?;
        release(core, &pod);
        return None;
    }
    let job = core.get(STORAGE, &key.namespace, &key.name)?;
    let pods = replicas::owned(core, "pods", &job);
    if is_true(&job, "Complete") || is_true(&job, "Failed") {
        waits.remove(value::uid(&job));
        pods.iter().for_each(|pod| release(core, pod));
        return expire(core, key, &job);
    }
    if deleting(&job) {
        pods.iter().for_each(|pod| release(core, pod));
        return None;
    }
    if flag(&job, "/spec/suspend") {
        suspend(core, key, &job, &pods);
        return None;
    }
    let now = core.now();
    begin(core, key, &job);
    if let Some(end) = verdict(&job, &pods, now) {
        finish(core, key, &job, &pods, end);
        return Some(Duration::ZERO);
    }
    let again = make(core, &job, &pods, waits);
    let pods = replicas::owned(core, "pods", &job);
    counters(core, key, &pods);
    let deadline = int(&job, "/spec/activeDeadlineSeconds").map(|limit| {
        let began = text(&job, "/status/startTime").parse::<Timestamp>().unwrap_or(now);
        let rest = limit - (now.as_second() - began.as_second());
        Duration::from_secs(u64::try_from(rest).unwrap_or_default().max(1))
    });
    [again, deadline].into_iter().flatten().min()
}

/// Takes the tracking finalizer off a Pod.
fn release(core: &Core, pod: &Value) {
    if items(pod, "/metadata/finalizers").iter().any(|one| one == TRACKING) {
        let key = ("pods", value::namespace(pod), value::name(pod));
        let _ = core.edit(key, MANAGER, "", |pod| {
            if let Some(list) = at(pod, &["metadata", "finalizers"]).as_array_mut() {
                list.retain(|one| one != TRACKING);
            }
            if items(pod, "/metadata/finalizers").is_empty() {
                value::unset(pod, &["metadata", "finalizers"]);
            }
        });
    }
}

/// Deletes a finished Job when its time is over.
fn expire(core: &Core, key: &Key, job: &Value) -> Option<Duration> {
    let limit = int(job, "/spec/ttlSecondsAfterFinished").filter(|_| !deleting(job))?;
    let ended = ["Complete", "Failed"].iter().find_map(|kind| condition(job, kind));
    let ended = text(ended?, "/lastTransitionTime").parse::<Timestamp>().ok()?;
    let rest = limit - (core.now().as_second() - ended.as_second());
    if rest > 0 {
        return Some(Duration::from_secs(u64::try_from(rest).unwrap_or(1)));
    }
    let propagation = "Foreground".to_owned();
    let _ = core.delete(key.parts(), &DeleteOptions { propagation, ..DeleteOptions::default() });
    None
}

fn suspend(core: &Core, key: &Key, job: &Value, pods: &[Arc<Value>]) {
    for pod in pods.iter().filter(|pod| replicas::is_active(pod)) {
        release(core, pod);
        replicas::remove(core, job, COMPONENT, pod);
    }
    if is_true(job, "Suspended") {
        return;
    }
    let now = core.now_text();
    let _ = core.edit(key.parts(), MANAGER, "status", |job| {
        value::unset(job, &["status", "startTime"]);
        value::unset(job, &["status", "active"]);
        let status = at(job, &["status"]);
        status["ready"] = 0.into();
        status["terminating"] = 0.into();
        status["uncountedTerminatedPods"] = json!({});
        let new = json!({"type": "Suspended", "status": "True", "reason": "JobSuspended",
            "message": "Job suspended", "lastProbeTime": now});
        set_condition(job, new, &now);
    });
    core.event(job, COMPONENT, ("Normal", "Suspended"), "Job suspended");
}

/// Notes the start, and that a suspended Job runs again.
fn begin(core: &Core, key: &Key, job: &Value) {
    if !text(job, "/status/startTime").is_empty() {
        return;
    }
    let now = core.now_text();
    let _ = core.edit(key.parts(), MANAGER, "status", |job| {
        at(job, &["status"])["startTime"] = now.as_str().into();
        if condition(job, "Suspended").is_some() {
            let new = json!({"type": "Suspended", "status": "False", "reason": "JobResumed",
                "message": "Job resumed", "lastProbeTime": now});
            set_condition(job, new, &now);
        }
    });
}

fn verdict(job: &Value, pods: &[Arc<Value>], now: Timestamp) -> Option<End> {
    let failed = count(pods.iter().filter(|pod| has_phase(pod, "Failed")).count());
    let succeeded = count(pods.iter().filter(|pod| has_phase(pod, "Succeeded")).count());
    let active = pods.iter().any(|pod| replicas::is_active(pod));
    if failed > int(job, "/spec/backoffLimit").unwrap_or(6) {
        return Some(End::Failed(
            "BackoffLimitExceeded",
            "Job has reached the specified backoff limit",
        ));
    }
    let limit = int(job, "/spec/activeDeadlineSeconds");
    let began = text(job, "/status/startTime").parse::<Timestamp>().ok();
    if let (Some(limit), Some(began)) = (limit, began)
        && now.as_second() - began.as_second() >= limit
    {
        return Some(End::Failed(
            "DeadlineExceeded",
            "Job was active longer than specified deadline",
        ));
    }
    let enough = match int(job, "/spec/completions") {
        Some(wanted) => succeeded >= wanted,
        // Without a number any success is enough, once all Pods are done.
        None => succeeded > 0 && !active,
    };
    enough.then_some(End::Completed)
}

/// Creates the missing Pods, waiting after failures.
fn make(
    core: &Core,
    job: &Value,
    pods: &[Arc<Value>],
    waits: &mut HashMap<String, (i64, Instant)>,
) -> Option<Duration> {
    let phase = |phase: &str| count(pods.iter().filter(|pod| has_phase(pod, phase)).count());
    let active = count(pods.iter().filter(|pod| replicas::is_active(pod)).count());
    let parallelism = int(job, "/spec/parallelism").unwrap_or(1);
    let rest =
        int(job, "/spec/completions").map_or(parallelism, |wanted| wanted - phase("Succeeded"));
    let missing = parallelism.min(rest) - active;
    if missing <= 0 {
        return None;
    }
    let failed = phase("Failed");
    if failed > 0 {
        let exponent = u32::try_from(failed - 1).unwrap_or_default().min(6);
        let wait = core.options.job_backoff.saturating_mul(1 << exponent);
        let entry = waits.entry(value::uid(job).to_owned()).or_insert((0, Instant::now()));
        if entry.0 != failed {
            *entry = (failed, Instant::now() + wait);
        }
        let now = Instant::now();
        if entry.1 > now {
            return Some(entry.1 - now);
        }
    }
    for _ in 0..missing {
        let mut pod = replicas::from_template(job, &format!("{}-", value::name(job)));
        at(&mut pod, &["metadata"])["finalizers"] = json!([TRACKING]);
        if replicas::make(core, job, COMPONENT, pod).is_err() {
            return Some(Duration::from_secs(1));
        }
    }
    None
}

fn counters(core: &Core, key: &Key, pods: &[Arc<Value>]) {
    let active: Vec<_> = pods.iter().filter(|pod| replicas::is_active(pod)).collect();
    let ready = count(active.iter().filter(|pod| is_ready(pod)).count());
    let ended = |phase: &str| count(pods.iter().filter(|pod| has_phase(pod, phase)).count());
    let _ = core.edit(key.parts(), MANAGER, "status", |job| {
        let status = at(job, &["status"]);
        counter(status, "active", count(active.len()));
        counter(status, "succeeded", ended("Succeeded"));
        counter(status, "failed", ended("Failed"));
        status["ready"] = ready.into();
        status["terminating"] = 0.into();
        status["uncountedTerminatedPods"] = json!({});
    });
    for pod in pods.iter().filter(|pod| has_phase(pod, "Succeeded") || has_phase(pod, "Failed")) {
        release(core, pod);
    }
}

/// Ends a Job in the two steps that the real controller takes.
fn finish(core: &Core, key: &Key, job: &Value, pods: &[Arc<Value>], end: End) {
    let now = core.now_text();
    let (first, last, reason, message) = end.words();
    for pod in pods.iter().filter(|pod| replicas::is_active(pod)) {
        release(core, pod);
        replicas::remove(core, job, COMPONENT, pod);
    }
    let phase = if matches!(end, End::Completed) { "Succeeded" } else { "Failed" };
    let of_phase: Vec<_> = pods.iter().filter(|pod| has_phase(pod, phase)).collect();
    let uncounted: Vec<_> = of_phase.iter().map(|pod| value::uid(pod)).collect();
    let new = |kind: &str| json!({"type": kind, "status": "True", "reason": reason, "message": message, "lastProbeTime": now});
    let _ = core.edit(key.parts(), MANAGER, "status", |job| {
        let group = phase.to_lowercase();
        at(job, &["status"])["uncountedTerminatedPods"] = json!({ group: uncounted });
        set_condition(job, new(first), &now);
    });
    pods.iter().for_each(|pod| release(core, pod));
    let ended = |phase: &str| count(pods.iter().filter(|pod| has_phase(pod, phase)).count());
    let _ = core.edit(key.parts(), MANAGER, "status", |job| {
        let status = at(job, &["status"]);
        status["uncountedTerminatedPods"] = json!({});
        counter(status, "active", 0);
        counter(status, "succeeded", ended("Succeeded"));
        counter(status, "failed", ended("Failed"));
        status["ready"] = 0.into();
        status["terminating"] = 0.into();
        if matches!(end, End::Completed) {
            status["completionTime"] = now.as_str().into();
        }
        set_condition(job, new(last), &now);
    });
    match end {
        End::Completed => core.event(job, COMPONENT, ("Normal", "Completed"), "Job completed"),
        End::Failed(reason, message) => core.event(job, COMPONENT, ("Warning", reason), message),
    }
}
