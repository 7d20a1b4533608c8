//! ReplicaSets: as many Pods as wanted, and the counters.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::replicas::{self, count, counter, is_active, is_available, is_ready};
use super::{Controller, Key, controlled_by};
use crate::sim::core::Core;
use crate::sim::selector::Labels;
use crate::sim::store::{Change, Happened};
use crate::sim::value::{self, at, deleting, int, text};
use crate::yaml::Value;

const STORAGE: &str = "replicasets.apps";
const COMPONENT: &str = "replicaset-controller";

pub(super) fn controller() -> Controller {
    Controller::new(COMPONENT, concerns, reconcile)
}

fn concerns(change: &Change) -> Vec<Key> {
    match change.storage.as_ref() {
        STORAGE if change.happened != Happened::Deleted => {
            vec![Key::of(&change.storage, &change.object)]
        }
        "pods" => {
            let namespace = value::namespace(&change.object);
            let owner = controlled_by(&change.object, "ReplicaSet");
            owner.map(|(name, _)| Key::sibling(STORAGE, namespace, name)).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn reconcile(core: &Core, key: &Key) -> Option<Duration> {
    let set = core.get(STORAGE, &key.namespace, &key.name)?;
    let wanted = int(&set, "/spec/replicas").unwrap_or(1);
    let pods = replicas::owned(core, "pods", &set);
    let active: Vec<_> = pods.into_iter().filter(|pod| is_active(pod)).collect();
    let failure = if deleting(&set) { None } else { scale(core, &set, &active, wanted) };
    let pods: Vec<_> =
        replicas::owned(core, "pods", &set).into_iter().filter(|pod| is_active(pod)).collect();
    let again = status(core, key, &set, &pods, failure.as_deref());
    if failure.is_some() { Some(Duration::from_millis(500)) } else { again }
}

/// Creates or deletes Pods; returns the error of a refused creation.
fn scale(core: &Core, set: &Value, active: &[Arc<Value>], wanted: i64) -> Option<String> {
    let missing = wanted - count(active.len());
    for _ in 0..missing.max(0) {
        let pod = replicas::from_template(set, &format!("{}-", value::name(set)));
        if let Err(error) = replicas::make(core, set, COMPONENT, pod) {
            return Some(error.message().to_owned());
        }
    }
    if missing < 0 {
        let mut order: Vec<_> = active.iter().collect();
        // The ones that work least go first, then the youngest.
        order.sort_by_key(|pod| {
            let scheduled = !text(pod, "/spec/nodeName").is_empty();
            let running = text(pod, "/status/phase") == "Running";
            let age = std::cmp::Reverse(text(pod, "/metadata/creationTimestamp").to_owned());
            (scheduled, running, is_ready(pod), age)
        });
        let surplus = usize::try_from(-missing).unwrap_or_default();
        for pod in order.into_iter().take(surplus) {
            replicas::remove(core, set, COMPONENT, pod);
        }
    }
    None
}

fn status(
    core: &Core,
    key: &Key,
    set: &Value,
    pods: &[Arc<Value>],
    failure: Option<&str>,
) -> Option<Duration> {
    let min_ready = int(set, "/spec/minReadySeconds").unwrap_or_default();
    let template = set.pointer("/spec/template/metadata/labels");
    let selector = json!({"matchLabels": template.cloned().unwrap_or_default()});
    let labels = Labels::from_object(&selector).unwrap_or_default();
    let full = pods.iter().filter(|pod| labels.matches(pod.pointer("/metadata/labels"))).count();
    let ready = pods.iter().filter(|pod| is_ready(pod)).count();
    let available = pods.iter().filter(|pod| is_available(core, pod, min_ready)).count();
    let now = core.now_text();
    // A set that is gone meanwhile needs no status.
    let _ = core.edit(key.parts(), "kube-controller-manager", "status", |set| {
        let generation = int(set, "/metadata/generation").unwrap_or_default();
        let status = at(set, &["status"]);
        status["replicas"] = count(pods.len()).into();
        counter(status, "fullyLabeledReplicas", count(full));
        counter(status, "readyReplicas", count(ready));
        counter(status, "availableReplicas", count(available));
        status["observedGeneration"] = generation.into();
        match failure {
            Some(message) => {
                let condition = json!({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
                    "message": message});
                replicas::set_condition(set, condition, &now);
            }
            None => {
                value::unset(set, &["status", "conditions"]);
            }
        }
    });
    (available < ready).then_some(Duration::from_secs(1))
}
