//! StatefulSets: Pods in order, each with its claims, replaced from the highest down.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::replicas::{self, count, counter, is_available, is_ready};
use super::{Controller, Key, controlled_by, template_hash};
use crate::sim::core::Core;
use crate::sim::store::{Change, Happened};
use crate::sim::value::{self, at, deleting, int, items, text};
use crate::yaml::Value;

const STORAGE: &str = "statefulsets.apps";
const COMPONENT: &str = "statefulset-controller";
const MANAGER: &str = "kube-controller-manager";
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
            let owner = controlled_by(&change.object, "StatefulSet");
            owner.map(|(name, _)| Key::sibling(STORAGE, namespace, name)).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn ordinal(pod: &Value) -> i64 {
    value::name(pod).rsplit('-').next().and_then(|text| text.parse().ok()).unwrap_or(-1)
}

fn revision_of(pod: &Value) -> &str {
    pod.pointer("/metadata/labels")
        .and_then(|map| map.get(HASH))
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn reconcile(core: &Core, key: &Key) -> Option<Duration> {
    let set = core.get(STORAGE, &key.namespace, &key.name)?;
    let template = set.pointer("/spec/template").cloned().unwrap_or_default();
    let update = format!("{}-{}", key.name, template_hash(&template));
    keep_revision(core, &set, &update, &template);
    let before = text(&set, "/status/currentRevision");
    let current = if before.is_empty() { update.clone() } else { before.to_owned() };
    let refused = !deleting(&set) && step(core, key, &set, (&current, &update));
    let pods = replicas::owned(core, "pods", &set);
    status(core, key, &set, &pods, (current, update));
    let slow = pods.iter().any(|pod| is_ready(pod) && !is_available(core, pod, min_ready(&set)));
    if refused { Some(Duration::from_millis(500)) } else { slow.then_some(Duration::from_secs(1)) }
}

fn min_ready(set: &Value) -> i64 {
    int(set, "/spec/minReadySeconds").unwrap_or_default()
}

/// Keeps the template of each revision: an old one is needed while the update is on its way.
fn keep_revision(core: &Core, set: &Value, name: &str, template: &Value) {
    let namespace = value::namespace(set);
    let storage = "controllerrevisions.apps";
    if core.get(storage, namespace, name).is_some() {
        return;
    }
    let others = replicas::owned(core, storage, set);
    let newest = others.iter().filter_map(|one| int(one, "/revision")).max().unwrap_or_default();
    let body = json!({
        "metadata": {"name": name, "namespace": namespace,
            "labels": set.pointer("/spec/selector/matchLabels").cloned().unwrap_or_default(),
            "ownerReferences": [super::owner_reference(set)]},
        "data": {"spec": {"template": template}}, "revision": newest + 1,
    });
    let _ = core.create(storage, MANAGER, body);
}

/// Does at most what the order of Pods allows now; returns whether a Pod was refused.
fn step(core: &Core, key: &Key, set: &Value, (current, update): (&str, &str)) -> bool {
    let wanted = int(set, "/spec/replicas").unwrap_or(1);
    let first = int(set, "/spec/ordinals/start").unwrap_or_default();
    let parallel = text(set, "/spec/podManagementPolicy") == "Parallel";
    let pods = replicas::owned(core, "pods", set);
    let find = |wanted: i64| pods.iter().find(|pod| ordinal(pod) == wanted);
    let partition = int(set, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or_default();
    for index in first..first + wanted {
        match find(index) {
            None => {
                // A Pod below the partition comes back as it was.
                let revision =
                    if index >= partition || current == update { update } else { current };
                let refused = !make(core, key, set, index, revision);
                if refused || !parallel {
                    return refused;
                }
            }
            Some(pod) if text(pod, "/status/phase") == "Failed" && !deleting(pod) => {
                replicas::remove(core, set, COMPONENT, pod);
                return false;
            }
            Some(pod)
                if !parallel && (deleting(pod) || !is_available(core, pod, min_ready(set))) =>
            {
                // Later ordinals wait, but a Pod that never works may still be replaced below.
                if revision_of(pod) == update || deleting(pod) {
                    return false;
                }
                break;
            }
            Some(_) => {}
        }
    }
    let mut surplus: Vec<_> =
        pods.iter().filter(|pod| !(first..first + wanted).contains(&ordinal(pod))).collect();
    surplus.sort_by_key(|pod| -ordinal(pod));
    for pod in surplus.iter().filter(|pod| !deleting(pod)) {
        replicas::remove(core, set, COMPONENT, pod);
        if !parallel {
            return false;
        }
    }
    if !surplus.is_empty() || text(set, "/spec/updateStrategy/type") == "OnDelete" {
        return false;
    }
    for index in (first.max(partition)..first + wanted).rev() {
        let Some(pod) = find(index) else { return false };
        if revision_of(pod) != update {
            if !deleting(pod) {
                replicas::remove(core, set, COMPONENT, pod);
            }
            return false;
        }
        if !is_available(core, pod, min_ready(set)) {
            return false;
        }
    }
    false
}

/// Makes a Pod and its claims; returns whether the Pod was let in.
fn make(core: &Core, key: &Key, set: &Value, index: i64, revision: &str) -> bool {
    let name = format!("{}-{index}", key.name);
    let mut base = set.clone();
    if let Some(kept) = core.get("controllerrevisions.apps", &key.namespace, revision)
        && let Some(template) = kept.pointer("/data/spec/template")
    {
        base["spec"]["template"] = template.clone();
    }
    let mut pod = replicas::from_template(&base, &name);
    let labels = at(&mut pod, &["metadata", "labels"]);
    labels["apps.kubernetes.io/pod-index"] = index.to_string().into();
    labels["statefulset.kubernetes.io/pod-name"] = name.as_str().into();
    labels[HASH] = revision.into();
    let spec = at(&mut pod, &["spec"]);
    spec["hostname"] = name.as_str().into();
    spec["subdomain"] = text(set, "/spec/serviceName").into();
    let mut volumes = items(spec, "/volumes").to_vec();
    for template in items(set, "/spec/volumeClaimTemplates") {
        let volume = value::name(template);
        let claim = format!("{volume}-{name}");
        volumes.retain(|one| text(one, "/name") != volume);
        volumes.push(json!({"name": volume, "persistentVolumeClaim": {"claimName": claim}}));
        if core.get("persistentvolumeclaims", &key.namespace, &claim).is_none() {
            let labels = set.pointer("/spec/selector/matchLabels").cloned();
            let mut metadata = template["metadata"].clone();
            metadata["name"] = claim.into();
            metadata["namespace"] = key.namespace.as_str().into();
            value::default(&mut metadata, "labels", labels.unwrap_or_default());
            let body = json!({"metadata": metadata, "spec": template["spec"]});
            if let Err(error) = core.create("persistentvolumeclaims", MANAGER, body) {
                let what = format!("Claim {volume}-{name} Pod {name}");
                tell_refusal(core, set, &what, error.message());
                return false;
            }
        }
    }
    if !volumes.is_empty() {
        spec["volumes"] = volumes.into();
    }
    match core.create("pods", MANAGER, pod) {
        Ok(_) => {
            let message = format!("create Pod {name} in StatefulSet {} successful", key.name);
            core.event(set, COMPONENT, ("Normal", "SuccessfulCreate"), &message);
            true
        }
        Err(error) => {
            tell_refusal(core, set, &format!("Pod {name}"), error.message());
            false
        }
    }
}

fn tell_refusal(core: &Core, set: &Value, what: &str, why: &str) {
    let message = format!("create {what} in StatefulSet {} failed error: {why}", value::name(set));
    core.event(set, COMPONENT, ("Warning", "FailedCreate"), &message);
}

fn status(
    core: &Core,
    key: &Key,
    set: &Value,
    pods: &[Arc<Value>],
    (mut current, update): (String, String),
) {
    let wanted = int(set, "/spec/replicas").unwrap_or(1);
    let alive: Vec<_> = pods.iter().filter(|pod| replicas::is_active(pod)).collect();
    let with =
        |revision: &str| count(alive.iter().filter(|pod| revision_of(pod) == revision).count());
    let ready = count(alive.iter().filter(|pod| is_ready(pod)).count());
    let available =
        count(alive.iter().filter(|pod| is_available(core, pod, min_ready(set))).count());
    let updated = with(&update);
    if updated == wanted && ready == wanted && count(alive.len()) == wanted {
        current.clone_from(&update);
    }
    let (same, present) = (current == update, with(&current));
    let total = count(alive.len());
    let generation = int(set, "/metadata/generation").unwrap_or_default();
    let _ = core.edit(key.parts(), MANAGER, "status", |set| {
        let status = at(set, &["status"]);
        status["observedGeneration"] = generation.into();
        status["replicas"] = total.into();
        status["availableReplicas"] = available.into();
        counter(status, "readyReplicas", ready);
        counter(status, "currentReplicas", present);
        counter(status, "updatedReplicas", if same { present } else { updated });
        status["currentRevision"] = current.into();
        status["updateRevision"] = update.into();
        status["collisionCount"] = 0.into();
    });
}
