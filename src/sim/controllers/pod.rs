//! Scheduler and kubelet: what becomes of a Pod, and when.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::replicas::set_condition;
use super::{Controller, Key};
use crate::base::duration::GoDuration;
use crate::sim::core::Core;
use crate::sim::delete::DeleteOptions;
use crate::sim::store::{Change, Happened};
use crate::sim::value::{self, annotation, at, deleting, items, text};
use crate::sim::{
    AFTER_ANNOTATION, EXIT_CODE_ANNOTATION, FLAKY_ANNOTATION, OUTCOME_ANNOTATION, TEST_ANNOTATION,
};
use crate::yaml::Value;

const STORAGE: &str = "pods";
const KUBELET: &str = "kubelet";
const NODE: &str = "node-1";

/// What becomes of a Pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Ready,
    NeverReady,
    Crash,
    ImagePull,
    Pending,
    Mount,
    Fail(i64),
    Succeed,
}

/// An outcome and how long it takes; nothing for the usual delay.
type Fate = (Outcome, Option<Duration>);

/// Decides what becomes of a Pod: annotations, then image tags, then what Pods of its kind do.
fn fate(pod: &Value) -> Fate {
    let after = annotation(pod, AFTER_ANNOTATION).parse::<GoDuration>().ok().map(|after| after.0);
    let code = annotation(pod, EXIT_CODE_ANNOTATION).parse().unwrap_or(1);
    let named = match annotation(pod, OUTCOME_ANNOTATION) {
        "" => match annotation(pod, TEST_ANNOTATION) {
            "image" => Some(Outcome::ImagePull),
            "crash" => Some(Outcome::Crash),
            "unready" => Some(Outcome::NeverReady),
            "fail" => Some(Outcome::Fail(code)),
            _ => None,
        },
        "ready" => Some(Outcome::Ready),
        "never-ready" => Some(Outcome::NeverReady),
        "crash" => Some(Outcome::Crash),
        "image-pull" => Some(Outcome::ImagePull),
        "pending" => Some(Outcome::Pending),
        "mount" => Some(Outcome::Mount),
        "fail" => Some(Outcome::Fail(code)),
        "succeed" => Some(Outcome::Succeed),
        _ => None,
    };
    if let Some(outcome) = named {
        return (outcome, after);
    }
    let mut slow = after;
    for container in items(pod, "/spec/containers") {
        let image = text(container, "/image");
        let tag = image
            .rsplit('/')
            .next()
            .and_then(|last| last.split_once(':'))
            .map_or("", |(_, tag)| tag);
        match tag {
            "bad" | "missing" => return (Outcome::ImagePull, after),
            "crash" => return (Outcome::Crash, after),
            "unready" => return (Outcome::NeverReady, after),
            "fail" => return (Outcome::Fail(code), after),
            _ => {}
        }
        let delay = tag.strip_prefix("slow-").and_then(|text| text.parse::<GoDuration>().ok());
        slow = slow.or(delay.map(|delay| delay.0));
    }
    let ends = text(pod, "/spec/restartPolicy") != "Always"
        || items(pod, "/metadata/ownerReferences")
            .iter()
            .any(|owner| text(owner, "/kind") == "Job")
        || !annotation(pod, "helm.sh/hook").is_empty();
    (if ends { Outcome::Succeed } else { Outcome::Ready }, slow)
}

/// What is remembered of Pods while they live.
#[derive(Default)]
struct Memory {
    /// When the next step of a Pod is due, by uid.
    due: HashMap<String, Instant>,
    /// How many Pods of an owner have failed by `flaky`.
    failed: HashMap<String, u64>,
}

pub(super) fn controller() -> Controller {
    let mut memory = Memory::default();
    Controller::new(KUBELET, concerns, move |core, key| memory.reconcile(core, key))
}

fn concerns(change: &Change) -> Vec<Key> {
    match change.storage.as_ref() {
        STORAGE if change.happened != Happened::Deleted => {
            vec![Key::of(&change.storage, &change.object)]
        }
        // A claim that was bound may let a Pod start.
        "persistentvolumeclaims" if text(&change.object, "/status/phase") == "Bound" => {
            vec![Key::sibling(
                "claimants",
                value::namespace(&change.object),
                value::name(&change.object),
            )]
        }
        _ => Vec::new(),
    }
}

impl Memory {
    fn reconcile(&mut self, core: &Core, key: &Key) -> Option<Duration> {
        if key.storage.as_ref() == "claimants" {
            return self.wake_claimants(core, key);
        }
        let pod = core.get(STORAGE, &key.namespace, &key.name)?;
        let phase = text(&pod, "/status/phase");
        if deleting(&pod) {
            self.due.remove(value::uid(&pod));
            let options = DeleteOptions { grace_seconds: Some(0), ..DeleteOptions::default() };
            // A finalizer may keep it; its owner removes that.
            let _ = core.delete(key.parts(), &options);
            return None;
        }
        if ["Succeeded", "Failed"].contains(&phase) {
            self.due.remove(value::uid(&pod));
            return None;
        }
        let (outcome, after) = self.fate(&pod);
        if text(&pod, "/spec/nodeName").is_empty() {
            return schedule(core, key, &pod, outcome);
        }
        let running = phase == "Running";
        let started = pod.pointer("/status/containerStatuses").is_some();
        let ends = matches!(outcome, Outcome::Succeed | Outcome::Fail(_));
        if started && !(running && ends) {
            return None;
        }
        let delay = if running { after } else { after.filter(|_| !ends) };
        self.wait(&pod, delay.unwrap_or(core.options.ready_delay), || match (outcome, running) {
            (Outcome::Succeed | Outcome::Fail(_), false) => start(core, key, Outcome::Ready),
            (Outcome::Succeed, true) => finish(core, key, 0),
            (Outcome::Fail(code), true) => finish(core, key, code),
            (outcome, _) => start(core, key, outcome),
        })
    }

    /// The fate of a Pod, with the failures that `flaky` asks for before it.
    fn fate(&mut self, pod: &Value) -> Fate {
        let (outcome, after) = fate(pod);
        let flaky: u64 = annotation(pod, FLAKY_ANNOTATION).parse().unwrap_or_default();
        if flaky == 0 {
            return (outcome, after);
        }
        let owner =
            items(pod, "/metadata/ownerReferences").first().map_or("", |owner| text(owner, "/uid"));
        let failed = *self.failed.entry(owner.to_owned()).or_default();
        let mine = format!("{owner}/{}", value::uid(pod));
        if let Some(failed) = self.failed.get(&mine) {
            return if *failed == 1 { (Outcome::Fail(1), after) } else { (outcome, after) };
        }
        let fails = failed < flaky;
        *self.failed.entry(owner.to_owned()).or_default() += u64::from(fails);
        self.failed.insert(mine, u64::from(fails));
        if fails { (Outcome::Fail(1), after) } else { (outcome, after) }
    }

    /// Runs a step when it is due; else says how long that is.
    fn wait(&mut self, pod: &Value, delay: Duration, step: impl FnOnce()) -> Option<Duration> {
        let uid = value::uid(pod);
        let now = Instant::now();
        let due = *self.due.entry(uid.to_owned()).or_insert(now + delay);
        if due > now {
            return Some(due - now);
        }
        self.due.remove(uid);
        step();
        None
    }

    fn wake_claimants(&mut self, core: &Core, claim: &Key) -> Option<Duration> {
        for pod in core.list(STORAGE, Some(&claim.namespace)) {
            let waits = text(&pod, "/spec/nodeName").is_empty()
                && claims(&pod).any(|name| name == claim.name);
            if waits {
                let key = Key::sibling(STORAGE, &claim.namespace, value::name(&pod));
                self.reconcile(core, &key);
            }
        }
        None
    }
}

fn claims(pod: &Value) -> impl Iterator<Item = &str> {
    let volumes = items(pod, "/spec/volumes").iter();
    volumes
        .map(|volume| text(volume, "/persistentVolumeClaim/claimName"))
        .filter(|name| !name.is_empty())
}

/// Returns why a Pod cannot be scheduled.
fn unschedulable(core: &Core, pod: &Value, outcome: Outcome) -> Option<String> {
    if outcome == Outcome::Pending {
        return Some("0/1 nodes are available: 1 Insufficient cpu.".to_owned());
    }
    let node = core.get("nodes", "", NODE);
    let labels = node.as_ref().and_then(|node| node.pointer("/metadata/labels"));
    let wanted = pod.pointer("/spec/nodeSelector").and_then(Value::as_object);
    if wanted
        .into_iter()
        .flatten()
        .any(|(key, value)| labels.and_then(|l| l.get(key)) != Some(value))
    {
        let why = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.";
        return Some(why.to_owned());
    }
    let namespace = value::namespace(pod);
    for name in claims(pod) {
        match core.get("persistentvolumeclaims", namespace, name) {
            None => return Some(format!("persistentvolumeclaim \"{name}\" not found")),
            Some(claim) if text(&claim, "/status/phase") != "Bound" => {
                let why =
                    "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.";
                return Some(why.to_owned());
            }
            Some(_) => {}
        }
    }
    None
}

fn schedule(core: &Core, key: &Key, pod: &Value, outcome: Outcome) -> Option<Duration> {
    let now = core.now_text();
    if let Some(why) = unschedulable(core, pod, outcome) {
        let told =
            super::condition(pod, "PodScheduled").is_some_and(|one| text(one, "/message") == why);
        if !told {
            core.event(pod, "default-scheduler", ("Warning", "FailedScheduling"), &why);
            let _ = core.edit(key.parts(), "kube-scheduler", "status", |pod| {
                let new = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                    "message": why});
                set_condition(pod, new, &now);
            });
        }
        return None;
    }
    let _ = core.edit(key.parts(), "kube-scheduler", "binding", |pod| {
        at(pod, &["spec"])["nodeName"] = NODE.into();
        set_condition(pod, json!({"type": "PodScheduled", "status": "True"}), &now);
    });
    let message = format!("Successfully assigned {}/{} to {NODE}", key.namespace, key.name);
    core.event(pod, "default-scheduler", ("Normal", "Scheduled"), &message);
    None
}

/// Gives all containers a status.
fn containers(pod: &Value, make: impl Fn(&Value) -> Value) -> Value {
    let statuses = items(pod, "/spec/containers").iter().map(|container| {
        let mut status = json!({"name": container["name"], "image": container["image"], "imageID": "",
            "ready": false, "started": false, "restartCount": 0});
        crate::shape::patch::merge(&mut status, make(container));
        status
    });
    statuses.collect()
}

/// Starts a Pod: running and ready, or in one of the ways of not being so.
fn start(core: &Core, key: &Key, outcome: Outcome) {
    let now = core.now_text();
    let number = rand::random_range(2..250_u8);
    let edited = core.edit(key.parts(), KUBELET, "status", |pod| {
        let ready = outcome == Outcome::Ready;
        let statuses = containers(pod, |container| match outcome {
            Outcome::ImagePull => {
                let message = format!("Back-off pulling image \"{}\"", text(container, "/image"));
                json!({"state": {"waiting": {"reason": "ImagePullBackOff", "message": message}}})
            }
            Outcome::Crash => {
                let message = format!(
                    "back-off 10s restarting failed container={} pod={}_{}",
                    text(container, "/name"), key.name, key.namespace
                );
                json!({"restartCount": 1,
                    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": message}},
                    "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": now,
                        "finishedAt": now}}})
            }
            Outcome::Mount => json!({"state": {"waiting": {"reason": "ContainerCreating"}}}),
            Outcome::Ready
            | Outcome::NeverReady
            | Outcome::Pending
            | Outcome::Fail(_)
            | Outcome::Succeed => json!({"ready": ready, "started": true, "state": {"running": {"startedAt": now}}}),
        });
        let initial: Vec<Value> = items(pod, "/spec/initContainers")
            .iter()
            .map(|container| {
                json!({"name": container["name"], "image": container["image"], "imageID": "", "ready": true,
                    "restartCount": 0, "state": {"terminated": {"exitCode": 0, "reason": "Completed",
                    "startedAt": now, "finishedAt": now}}})
            })
            .collect();
        let status = at(pod, &["status"]);
        let pending = matches!(outcome, Outcome::ImagePull | Outcome::Mount);
        status["phase"] = if pending { "Pending" } else { "Running" }.into();
        status["startTime"] = now.as_str().into();
        status["hostIP"] = "10.1.0.1".into();
        status["containerStatuses"] = statuses;
        if !initial.is_empty() {
            status["initContainerStatuses"] = initial.into();
        }
        let address = format!("10.2.{}.{number}", rand::random_range(0..250_u8));
        status["podIP"] = address.as_str().into();
        status["podIPs"] = json!([{"ip": address}]);
        set_condition(pod, json!({"type": "Initialized", "status": "True"}), &now);
        readiness(pod, ready, &now);
    });
    if let Ok(pod) = edited {
        say(core, &pod, outcome);
    }
}

/// Tells what came in between, as the kubelet does.
fn say(core: &Core, pod: &Value, outcome: Outcome) {
    let said = match outcome {
        Outcome::ImagePull => ("Failed", "Error: ImagePullBackOff"),
        Outcome::Crash => ("BackOff", "Back-off restarting failed container"),
        Outcome::NeverReady => {
            ("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
        }
        Outcome::Mount => (
            "FailedMount",
            "MountVolume.SetUp failed for volume \"files\" : secret \"files\" not found",
        ),
        Outcome::Ready | Outcome::Pending | Outcome::Fail(_) | Outcome::Succeed => return,
    };
    core.event(pod, KUBELET, ("Warning", said.0), said.1);
}

fn readiness(pod: &mut Value, ready: bool, now: &str) {
    let names: Vec<_> =
        items(pod, "/spec/containers").iter().map(|one| text(one, "/name").to_owned()).collect();
    for kind in ["Ready", "ContainersReady"] {
        let mut new = json!({"type": kind, "status": if ready { "True" } else { "False" }});
        if !ready {
            new["reason"] = "ContainersNotReady".into();
            new["message"] =
                format!("containers with unready status: [{}]", names.join(" ")).into();
        }
        set_condition(pod, new, now);
    }
}

/// Ends a running Pod.
fn finish(core: &Core, key: &Key, code: i64) {
    let now = core.now_text();
    let _ = core.edit(key.parts(), KUBELET, "status", |pod| {
        let began = text(pod, "/status/startTime").to_owned();
        let reason = if code == 0 { "Completed" } else { "Error" };
        let statuses = containers(pod, |_| {
            json!({"state": {"terminated": {"exitCode": code, "reason": reason, "startedAt": began,
                "finishedAt": now}}})
        });
        at(pod, &["status"])["containerStatuses"] = statuses;
        at(pod, &["status"])["phase"] = if code == 0 { "Succeeded" } else { "Failed" }.into();
        for kind in ["Ready", "ContainersReady"] {
            let reason = if code == 0 { "PodCompleted" } else { "PodFailed" };
            set_condition(pod, json!({"type": kind, "status": "False", "reason": reason}), &now);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fates() {
        let pod = |annotations: Value, image: &str, policy: &str| {
            json!({"metadata": {"annotations": annotations},
                "spec": {"restartPolicy": policy, "containers": [{"name": "c", "image": image}]}})
        };
        let rows = [
            ("plain", pod(json!({}), "nginx", "Always"), (Outcome::Ready, None)),
            ("never", pod(json!({}), "nginx", "Never"), (Outcome::Succeed, None)),
            (
                "hook",
                pod(json!({"helm.sh/hook": "test"}), "nginx", "Always"),
                (Outcome::Succeed, None),
            ),
            ("tag", pod(json!({}), "r.io:80/a/b:bad", "Always"), (Outcome::ImagePull, None)),
            ("port is no tag", pod(json!({}), "r.io:80/a/bad", "Always"), (Outcome::Ready, None)),
            (
                "slow",
                pod(json!({}), "a:slow-2s", "Always"),
                (Outcome::Ready, Some(Duration::from_secs(2))),
            ),
            (
                "real cluster's",
                pod(json!({"test/fail": "unready"}), "a", "Always"),
                (Outcome::NeverReady, None),
            ),
            (
                "ours first",
                pod(
                    json!({"test/fail": "crash", OUTCOME_ANNOTATION: "fail", EXIT_CODE_ANNOTATION: "3"}),
                    "a",
                    "Always",
                ),
                (Outcome::Fail(3), None),
            ),
        ];
        for (name, pod, wanted) in rows {
            assert_eq!(fate(&pod), wanted, "{name}");
        }
    }
}
