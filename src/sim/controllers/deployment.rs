//! Deployments: a ReplicaSet per template, rolling from the old to the new.
//!
//! Source: kubernetes 1.34 pkg/controller/deployment (sync.go, rolling.go, recreate.go, progress.go).

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::replicas::{self, counter, renew_condition};
use super::{Controller, Key, condition, controlled_by, owner_reference, template_hash};
use crate::base::clock::Timestamp;
use crate::sim::core::Core;
use crate::sim::delete::DeleteOptions;
use crate::sim::store::{Change, Happened};
use crate::sim::value::{self, annotation, at, deleting, flag, int, text};
use crate::yaml::Value;

const STORAGE: &str = "deployments.apps";
const SETS: &str = "replicasets.apps";
const COMPONENT: &str = "deployment-controller";
const MANAGER: &str = "kube-controller-manager";
const REVISION: &str = "deployment.kubernetes.io/revision";
const HASH: &str = "pod-template-hash";

pub(super) fn controller() -> Controller {
    Controller::new(COMPONENT, concerns, reconcile)
}

fn concerns(change: &Change) -> Vec<Key> {
    match change.storage.as_ref() {
        STORAGE if change.happened != Happened::Deleted => {
            vec![Key::of(&change.storage, &change.object)]
        }
        SETS => {
            let namespace = value::namespace(&change.object);
            let owner = controlled_by(&change.object, "Deployment");
            owner.map(|(name, _)| Key::sibling(STORAGE, namespace, name)).into_iter().collect()
        }
        // Recreate waits for the last old Pod.
        "pods" if change.happened == Happened::Deleted => {
            let namespace = value::namespace(&change.object);
            let owner = controlled_by(&change.object, "ReplicaSet").map(|(name, _)| name);
            let deployment = owner.and_then(|name| name.rsplit_once('-')).map(|(name, _)| name);
            deployment.map(|name| Key::sibling(STORAGE, namespace, name)).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// The ReplicaSets of a Deployment: the one of the present template, and the others.
struct Sets {
    new: Option<Arc<Value>>,
    old: Vec<Arc<Value>>,
}

fn replicas_of(set: &Value) -> i64 {
    int(set, "/spec/replicas").unwrap_or_default()
}

fn available_of(set: &Value) -> i64 {
    int(set, "/status/availableReplicas").unwrap_or_default()
}

fn same_template(deployment: &Value, set: &Value) -> bool {
    let mut own = set.pointer("/spec/template").cloned().unwrap_or_default();
    value::unset(&mut own, &["metadata", "labels", HASH]);
    deployment.pointer("/spec/template") == Some(&own)
}

impl Sets {
    fn of(core: &Core, deployment: &Value) -> Self {
        let mut all = replicas::owned(core, SETS, deployment);
        all.sort_by_key(|set| int(set, "/metadata/resourceVersion"));
        all.sort_by_key(|set| text(set, "/metadata/creationTimestamp").to_owned());
        let new = all
            .iter()
            .position(|set| same_template(deployment, set))
            .map(|index| all.remove(index));
        Self { new, old: all }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Value>> {
        self.old.iter().chain(&self.new)
    }

    fn wanted(&self) -> i64 {
        self.all().map(|set| replicas_of(set)).sum()
    }
}

/// Resolves `25%` or a number against the replicas.
fn resolve(value: Option<&Value>, replicas: i64, up: bool) -> i64 {
    match value {
        Some(Value::String(text)) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or_default();
            let scaled = percent * replicas;
            if up { (scaled + 99) / 100 } else { scaled / 100 }
        }
        Some(number) => number.as_i64().unwrap_or_default(),
        None => 0,
    }
}

/// Returns `maxSurge` and `maxUnavailable` in Pods; not both are 0.
fn limits(deployment: &Value) -> (i64, i64) {
    let replicas = replicas_of(deployment);
    let rolling = "/spec/strategy/rollingUpdate";
    let surge = resolve(deployment.pointer(&format!("{rolling}/maxSurge")), replicas, true);
    let unavailable =
        resolve(deployment.pointer(&format!("{rolling}/maxUnavailable")), replicas, false);
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable.min(replicas)) }
}

fn is_recreate(deployment: &Value) -> bool {
    text(deployment, "/spec/strategy/type") == "Recreate"
}

fn reconcile(core: &Core, key: &Key) -> Option<Duration> {
    let deployment = core.get(STORAGE, &key.namespace, &key.name)?;
    let sets = Sets::of(core, &deployment);
    if deleting(&deployment) {
        return sync_status(core, key, &deployment, &sets);
    }
    if flag(&deployment, "/spec/paused") {
        note_paused(core, key, &deployment);
        scale_new(core, &deployment, &sets);
        return sync_status(core, key, &deployment, &Sets::of(core, &deployment));
    }
    if is_recreate(&deployment) {
        recreate(core, key, &deployment, sets)
    } else {
        roll(core, key, &deployment, sets)
    }
}

fn note_paused(core: &Core, key: &Key, deployment: &Value) {
    // A deadline that has passed is not talked over.
    let said = ["DeploymentPaused", "ProgressDeadlineExceeded"];
    if condition(deployment, "Progressing").is_some_and(|one| said.contains(&text(one, "/reason")))
    {
        return;
    }
    progress(core, key, "Unknown", "DeploymentPaused", "Deployment is paused");
}

/// Writes the condition `Progressing` alone.
fn progress(core: &Core, key: &Key, status: &str, reason: &str, message: &str) {
    let now = core.now_text();
    let _ = core.edit(key.parts(), MANAGER, "status", |deployment| {
        renew_condition(deployment, progressing(status, reason, message, &now), &now);
    });
}

fn progressing(status: &str, reason: &str, message: &str, now: &str) -> Value {
    json!({"type": "Progressing", "status": status, "reason": reason, "message": message,
        "lastUpdateTime": now})
}

fn roll(core: &Core, key: &Key, deployment: &Value, sets: Sets) -> Option<Duration> {
    let Some(new) = &sets.new else {
        create_set(core, key, deployment, &sets);
        return None;
    };
    keep_revision(core, key, deployment, new, &sets);
    let scaled = scale_new(core, deployment, &sets) || scale_old(core, deployment, &sets);
    let sets = if scaled { Sets::of(core, deployment) } else { sets };
    clean_up(core, deployment, &sets);
    sync_status(core, key, deployment, &sets)
}

fn recreate(core: &Core, key: &Key, deployment: &Value, sets: Sets) -> Option<Duration> {
    let mut scaled = false;
    for set in sets.old.iter().filter(|set| replicas_of(set) > 0) {
        scale(core, deployment, set, 0);
        scaled = true;
    }
    let pods = sets.old.iter().flat_map(|set| replicas::owned(core, "pods", set));
    let mut pods =
        pods.filter(|pod| !["Succeeded", "Failed"].contains(&text(pod, "/status/phase")));
    if scaled || pods.next().is_some() {
        return sync_status(core, key, deployment, &Sets::of(core, deployment));
    }
    let Some(new) = &sets.new else {
        create_set(core, key, deployment, &sets);
        return None;
    };
    keep_revision(core, key, deployment, new, &sets);
    let sets = if scale_new(core, deployment, &sets) { Sets::of(core, deployment) } else { sets };
    clean_up(core, deployment, &sets);
    sync_status(core, key, deployment, &sets)
}

fn revision_of(object: &Value) -> i64 {
    annotation(object, REVISION).parse().unwrap_or_default()
}

/// Returns how many replicas the new set should have now.
fn wanted_of_new(deployment: &Value, sets: &Sets) -> i64 {
    let wanted = replicas_of(deployment);
    let present = sets.new.as_ref().map_or(0, |set| replicas_of(set));
    if is_recreate(deployment) || present > wanted {
        return wanted;
    }
    let room = wanted + limits(deployment).0 - sets.wanted();
    present + room.min(wanted - present).max(0)
}

fn create_set(core: &Core, key: &Key, deployment: &Value, sets: &Sets) {
    let mut template = deployment.pointer("/spec/template").cloned().unwrap_or_default();
    let mut hash = template_hash(&template);
    let name = |hash: &str| format!("{}-{hash}", key.name);
    // The name of a set that belongs to somebody else is avoided, as collisionCount does.
    while core.get(SETS, &key.namespace, &name(&hash)).is_some() {
        hash = template_hash(&json!([template, hash]));
    }
    let labels = at(&mut template, &["metadata", "labels"]);
    labels[HASH] = hash.as_str().into();
    let labels = labels.clone();
    let mut selector = deployment.pointer("/spec/selector").cloned().unwrap_or_default();
    at(&mut selector, &["matchLabels"])[HASH] = hash.as_str().into();
    let revision = sets.old.iter().map(|set| revision_of(set)).max().unwrap_or_default() + 1;
    let wanted = wanted_of_new(deployment, sets);
    let mut annotations =
        deployment.pointer("/metadata/annotations").cloned().unwrap_or_else(|| json!({}));
    value::unset(&mut annotations, &["kubectl.kubernetes.io/last-applied-configuration"]);
    annotations[REVISION] = revision.to_string().into();
    let replicas = replicas_of(deployment);
    annotations["deployment.kubernetes.io/desired-replicas"] = replicas.to_string().into();
    annotations["deployment.kubernetes.io/max-replicas"] =
        (replicas + limits(deployment).0).to_string().into();
    let name = name(&hash);
    let body = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": name, "namespace": key.namespace, "labels": labels, "annotations": annotations,
            "ownerReferences": [owner_reference(deployment)]},
        "spec": {"replicas": wanted, "selector": selector, "template": template,
            "minReadySeconds": int(deployment, "/spec/minReadySeconds").unwrap_or_default()},
    });
    match core.create(SETS, MANAGER, body) {
        Ok(_) => {
            set_revision(core, key, revision);
            let message = format!("Created new replica set \"{name}\"");
            progress(core, key, "True", "NewReplicaSetCreated", &message);
            if wanted > 0 {
                let message = format!("Scaled up replica set {name} from 0 to {wanted}");
                core.event(deployment, COMPONENT, ("Normal", "ScalingReplicaSet"), &message);
            }
        }
        Err(error) => {
            progress(core, key, "False", "ReplicaSetCreateError", error.message());
        }
    }
}

fn set_revision(core: &Core, key: &Key, revision: i64) {
    let _ = core.edit(key.parts(), MANAGER, "status", |deployment| {
        at(deployment, &["metadata", "annotations"])[REVISION] = revision.to_string().into();
    });
}

/// A set that is used again becomes the newest revision.
fn keep_revision(core: &Core, key: &Key, deployment: &Value, new: &Value, sets: &Sets) {
    let newest = sets.old.iter().map(|set| revision_of(set)).max().unwrap_or_default();
    let mut revision = revision_of(new);
    if revision <= newest {
        revision = newest + 1;
        let set = (SETS, key.namespace.as_str(), value::name(new));
        let _ = core.edit(set, MANAGER, "", |set| {
            at(set, &["metadata", "annotations"])[REVISION] = revision.to_string().into();
        });
        let message = format!("Found new replica set \"{}\"", value::name(new));
        progress(core, key, "True", "FoundNewReplicaSet", &message);
    }
    if revision_of(deployment) != revision {
        set_revision(core, key, revision);
    }
}

fn scale(core: &Core, deployment: &Value, set: &Value, wanted: i64) {
    let key = (SETS, value::namespace(set), value::name(set));
    let before = replicas_of(set);
    let replicas = replicas_of(deployment);
    let most = replicas + limits(deployment).0;
    let scaled = core.edit(key, MANAGER, "", |set| {
        at(set, &["spec"])["replicas"] = wanted.into();
        let annotations = at(set, &["metadata", "annotations"]);
        annotations["deployment.kubernetes.io/desired-replicas"] = replicas.to_string().into();
        annotations["deployment.kubernetes.io/max-replicas"] = most.to_string().into();
    });
    if scaled.is_ok() {
        let way = if wanted > before { "up" } else { "down" };
        let message =
            format!("Scaled {way} replica set {} from {before} to {wanted}", value::name(set));
        core.event(deployment, COMPONENT, ("Normal", "ScalingReplicaSet"), &message);
    }
}

/// Brings the new set to its size; the answer is whether anything was done.
fn scale_new(core: &Core, deployment: &Value, sets: &Sets) -> bool {
    let Some(new) = &sets.new else { return false };
    let wanted = wanted_of_new(deployment, sets);
    if wanted == replicas_of(new) {
        return false;
    }
    scale(core, deployment, new, wanted);
    true
}

/// Shrinks the old sets as far as availability allows.
fn scale_old(core: &Core, deployment: &Value, sets: &Sets) -> bool {
    let old: i64 = sets.old.iter().map(|set| replicas_of(set)).sum();
    let Some(new) = sets.new.as_ref().filter(|_| old > 0) else { return false };
    let least = replicas_of(deployment) - limits(deployment).1;
    let new_missing = replicas_of(new) - available_of(new);
    let mut room = sets.wanted() - least - new_missing;
    if room <= 0 {
        return false;
    }
    let mut sizes: Vec<(&Arc<Value>, i64)> =
        sets.old.iter().map(|set| (set, replicas_of(set))).collect();
    let mut available: i64 = sets.all().map(|set| available_of(set)).sum();
    // Pods that do not work go first, then as many as can be missed.
    for (set, size) in &mut sizes {
        let broken = (*size - available_of(set)).clamp(0, room);
        *size -= broken;
        room -= broken;
    }
    for (_, size) in &mut sizes {
        let spare = (available - least).clamp(0, room.max(0)).min(*size);
        *size -= spare;
        available -= spare;
        room -= spare;
    }
    let mut scaled = false;
    for (set, size) in sizes.into_iter().filter(|(set, size)| replicas_of(set) != *size) {
        scale(core, deployment, set, size);
        scaled = true;
    }
    scaled
}

/// Deletes the oldest sets beyond `revisionHistoryLimit`, once the rollout is complete.
fn clean_up(core: &Core, deployment: &Value, sets: &Sets) {
    let done = condition(deployment, "Progressing")
        .is_some_and(|one| text(one, "/reason") == "NewReplicaSetAvailable");
    let limit = int(deployment, "/spec/revisionHistoryLimit").unwrap_or(10);
    let surplus = replicas::count(sets.old.len()) - limit;
    if !done || surplus <= 0 {
        return;
    }
    let empty = sets.old.iter().filter(|set| {
        replicas_of(set) == 0 && int(set, "/status/replicas").unwrap_or_default() == 0
    });
    for set in empty.take(usize::try_from(surplus).unwrap_or_default()) {
        let key = (SETS, value::namespace(set), value::name(set));
        let _ = core.delete(key, &DeleteOptions::default());
    }
}

/// Writes the counters and conditions; asks to be called when the deadline is due.
fn sync_status(core: &Core, key: &Key, deployment: &Value, sets: &Sets) -> Option<Duration> {
    let now = core.now();
    let mut again = None;
    let _ = core.edit(key.parts(), MANAGER, "status", |live| {
        // A spec that changed meanwhile is seen next time.
        let generation = int(deployment, "/metadata/generation").unwrap_or_default();
        again = new_status(live, generation, sets, now);
    });
    again
}

fn sum(sets: &Sets, pointer: &str) -> i64 {
    sets.all().map(|set| int(set, pointer).unwrap_or_default()).sum()
}

fn new_status(live: &mut Value, generation: i64, sets: &Sets, now: Timestamp) -> Option<Duration> {
    let old = live["status"].clone();
    let wanted = replicas_of(live);
    let total = sum(sets, "/status/replicas");
    let available = sum(sets, "/status/availableReplicas");
    let updated =
        sets.new.as_ref().and_then(|set| int(set, "/status/replicas")).unwrap_or_default();
    let status = at(live, &["status"]);
    status["observedGeneration"] = generation.into();
    counter(status, "replicas", total);
    counter(status, "updatedReplicas", updated);
    counter(status, "readyReplicas", sum(sets, "/status/readyReplicas"));
    counter(status, "availableReplicas", available);
    counter(status, "unavailableReplicas", (sets.wanted() - available).max(0));
    let text_now = crate::base::clock::rfc3339_seconds(now);
    availability(live, available >= wanted - limits(live).1, &text_now);
    let again = advance(live, &old, sets, now);
    failure(live, sets, &text_now);
    again
}

fn availability(live: &mut Value, available: bool, now: &str) {
    let (status, reason, message) = if available {
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    if condition(live, "Available").is_some_and(|one| text(one, "/status") == status) {
        return;
    }
    let new = json!({"type": "Available", "status": status, "reason": reason, "message": message,
        "lastUpdateTime": now});
    renew_condition(live, new, now);
}

/// Sets `Progressing` by what the counters did.
fn advance(live: &mut Value, old: &Value, sets: &Sets, now: Timestamp) -> Option<Duration> {
    let present = condition(live, "Progressing").cloned();
    let reason = present.as_ref().map_or("", |one| text(one, "/reason"));
    let count = |status: &Value, name: &str| int(status, &format!("/{name}")).unwrap_or_default();
    let status = &live["status"];
    let (total, updated) = (count(status, "replicas"), count(status, "updatedReplicas"));
    if flag(live, "/spec/paused") || (total == updated && reason == "NewReplicaSetAvailable") {
        return None;
    }
    let wanted = replicas_of(live);
    let observed = int(live, "/status/observedGeneration") >= int(live, "/metadata/generation");
    let complete = updated == wanted
        && total == wanted
        && count(status, "availableReplicas") == wanted
        && observed;
    let shrunk = total - updated < count(old, "replicas") - count(old, "updatedReplicas");
    let moved = shrunk
        || ["updatedReplicas", "readyReplicas", "availableReplicas"]
            .iter()
            .any(|name| count(status, name) > count(old, name));
    let text_now = crate::base::clock::rfc3339_seconds(now);
    let name = sets.new.as_ref().map_or_else(String::new, |set| value::name(set).to_owned());
    let deadline = int(live, "/spec/progressDeadlineSeconds").unwrap_or(600);
    if complete {
        let message = format!("ReplicaSet \"{name}\" has successfully progressed.");
        renew_condition(
            live,
            progressing("True", "NewReplicaSetAvailable", &message, &text_now),
            &text_now,
        );
        return None;
    }
    if moved {
        let message = format!("ReplicaSet \"{name}\" is progressing.");
        renew_condition(
            live,
            progressing("True", "ReplicaSetUpdated", &message, &text_now),
            &text_now,
        );
        return Some(seconds(deadline));
    }
    let since = present.as_ref().map(|one| text(one, "/lastUpdateTime").parse::<Timestamp>());
    let Some(Ok(since)) = since else { return None };
    if reason == "ProgressDeadlineExceeded" {
        return None;
    }
    let passed = now.as_second() - since.as_second();
    if passed < deadline {
        return Some(seconds(deadline - passed));
    }
    let message = format!("ReplicaSet \"{name}\" has timed out progressing.");
    renew_condition(
        live,
        progressing("False", "ProgressDeadlineExceeded", &message, &text_now),
        &text_now,
    );
    None
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default().max(1))
}

/// Shows the failure of a set, or takes it away.
fn failure(live: &mut Value, sets: &Sets, now: &str) {
    let failed = sets.all().find_map(|set| condition(set, "ReplicaFailure"));
    match failed {
        Some(failed) => {
            let new = json!({"type": "ReplicaFailure", "status": "True", "reason": failed["reason"],
                "message": failed["message"], "lastUpdateTime": now});
            if condition(live, "ReplicaFailure").map(|one| &one["message"])
                != Some(&failed["message"])
            {
                renew_condition(live, new, now);
            }
        }
        None => {
            if let Some(list) = live["status"].get_mut("conditions").and_then(Value::as_array_mut) {
                list.retain(|one| text(one, "/type") != "ReplicaFailure");
            }
        }
    }
}
