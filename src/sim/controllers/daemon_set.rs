//! DaemonSets: one Pod on each node.

use std::sync::Arc;
use std::time::Duration;

use super::replicas::{self, count, counter, is_active, is_available, is_ready};
use super::{Controller, Key, controlled_by, template_hash};
use crate::sim::core::Core;
use crate::sim::store::{Change, Happened};
use crate::sim::value::{self, at, deleting, flag, int, text};
use crate::yaml::Value;

const STORAGE: &str = "daemonsets.apps";
const COMPONENT: &str = "daemonset-controller";
const HASH: &str = "controller-revision-hash";

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
            let owner = controlled_by(&change.object, "DaemonSet");
            owner.map(|(name, _)| Key::sibling(STORAGE, namespace, name)).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// Returns whether a node takes Pods of a template: schedulable, and with the labels asked for.
fn takes(node: &Value, set: &Value) -> bool {
    let selector = set.pointer("/spec/template/spec/nodeSelector").and_then(Value::as_object);
    let labels = node.pointer("/metadata/labels");
    let mut wanted = selector.into_iter().flatten();
    !flag(node, "/spec/unschedulable")
        && wanted.all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
}

fn is_new(pod: &Value, hash: &str) -> bool {
    let labels = pod.pointer("/metadata/labels");
    labels.and_then(|map| map.get(HASH)).and_then(Value::as_str) == Some(hash)
}

fn reconcile(core: &Core, key: &Key) -> Option<Duration> {
    let set = core.get(STORAGE, &key.namespace, &key.name)?;
    let hash = template_hash(set.pointer("/spec/template").unwrap_or(&Value::Null));
    let nodes: Vec<_> =
        core.list("nodes", None).into_iter().filter(|node| takes(node, &set)).collect();
    let pods = replicas::owned(core, "pods", &set);
    let mut refused = false;
    if !deleting(&set) {
        refused = place(core, key, &set, (&nodes, &pods), &hash);
        replace(core, &set, &pods, &hash);
    }
    let pods: Vec<_> =
        replicas::owned(core, "pods", &set).into_iter().filter(|pod| is_active(pod)).collect();
    status(core, key, &set, &pods, (nodes.len(), &hash));
    let min_ready = int(&set, "/spec/minReadySeconds").unwrap_or_default();
    let slow = pods.iter().any(|pod| is_ready(pod) && !is_available(core, pod, min_ready));
    if refused { Some(Duration::from_millis(500)) } else { slow.then_some(Duration::from_secs(1)) }
}

/// Creates the missing Pods, one for each node, and removes failed ones; returns whether one was
/// refused.
fn place(
    core: &Core,
    key: &Key,
    set: &Value,
    (nodes, pods): (&[Arc<Value>], &[Arc<Value>]),
    hash: &str,
) -> bool {
    for pod in pods.iter().filter(|pod| text(pod, "/status/phase") == "Failed" && !deleting(pod)) {
        replicas::remove(core, set, COMPONENT, pod);
    }
    let present = pods.iter().filter(|pod| text(pod, "/status/phase") != "Failed").count();
    // One node is what there is; with more, Pods spread by number.
    for _ in present..nodes.len() {
        let mut pod = replicas::from_template(set, &format!("{}-", key.name));
        let labels = at(&mut pod, &["metadata", "labels"]);
        labels[HASH] = hash.into();
        labels["pod-template-generation"] = "1".into();
        if replicas::make(core, set, COMPONENT, pod).is_err() {
            return true;
        }
    }
    false
}

/// Deletes outdated Pods, as many as may be missed.
fn replace(core: &Core, set: &Value, pods: &[Arc<Value>], hash: &str) {
    if text(set, "/spec/updateStrategy/type") == "OnDelete" {
        return;
    }
    let unavailable =
        pods.iter().filter(|pod| deleting(pod) || (is_new(pod, hash) && !is_ready(pod))).count();
    let most = int(set, "/spec/updateStrategy/rollingUpdate/maxUnavailable").unwrap_or(1).max(1);
    let room = usize::try_from(most).unwrap_or(1).saturating_sub(unavailable);
    let old = pods.iter().filter(|pod| is_active(pod) && !is_new(pod, hash));
    for pod in old.take(room) {
        replicas::remove(core, set, COMPONENT, pod);
    }
}

fn status(core: &Core, key: &Key, set: &Value, pods: &[Arc<Value>], (nodes, hash): (usize, &str)) {
    let min_ready = int(set, "/spec/minReadySeconds").unwrap_or_default();
    let ready = count(pods.iter().filter(|pod| is_ready(pod)).count());
    let available = count(pods.iter().filter(|pod| is_available(core, pod, min_ready)).count());
    let updated = count(pods.iter().filter(|pod| is_new(pod, hash)).count());
    let wanted = count(nodes);
    let generation = int(set, "/metadata/generation").unwrap_or_default();
    let _ = core.edit(key.parts(), "kube-controller-manager", "status", |set| {
        let status = at(set, &["status"]);
        status["desiredNumberScheduled"] = wanted.into();
        status["currentNumberScheduled"] = count(pods.len()).into();
        status["numberMisscheduled"] = 0.into();
        status["numberReady"] = ready.into();
        status["observedGeneration"] = generation.into();
        counter(status, "updatedNumberScheduled", updated);
        counter(status, "numberAvailable", available);
        counter(status, "numberUnavailable", (wanted - available).max(0));
    });
}
