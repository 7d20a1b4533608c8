//! Custom resource definitions: served before they are established, emptied before they go.

use std::time::Duration;

use serde_json::json;

use super::replicas::set_condition;
use super::{Controller, Key, condition};
use crate::sim::core::Core;
use crate::sim::delete::DeleteOptions;
use crate::sim::resource;
use crate::sim::store::Change;
use crate::sim::strategy::add_finalizer;
use crate::sim::value::{self, at, deleting, items, text};
use crate::yaml::Value;

const STORAGE: &str = "customresourcedefinitions.apiextensions.k8s.io";
const MANAGER: &str = "kube-apiserver";
const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

pub(super) fn controller() -> Controller {
    Controller::new("crd-controller", concerns, reconcile)
}

fn concerns(change: &Change) -> Vec<Key> {
    if change.storage.as_ref() == STORAGE {
        return vec![Key::of(&change.storage, &change.object)];
    }
    // Custom resources that go may be the last that a definition waits for.
    let gone = change.happened == crate::sim::store::Happened::Deleted;
    let custom = gone && change.storage.contains('.') && !change.storage.ends_with(".k8s.io");
    if custom { vec![Key::sibling(STORAGE, "", &change.storage)] } else { Vec::new() }
}

fn reconcile(core: &Core, key: &Key) -> Option<Duration> {
    let Some(crd) = core.get(STORAGE, "", &key.name) else {
        core.store().registry.replace_custom(&key.name, Vec::new());
        return None;
    };
    if deleting(&crd) {
        return remove(core, key, &crd);
    }
    if let Some((reason, name)) = taken(core, &crd) {
        refuse(core, key, reason, &name);
        return None;
    }
    let resources = resource::from_crd(&crd);
    core.store().registry.replace_custom(&key.name, resources);
    establish(core, key, &crd);
    None
}

/// Returns which name of a definition another of its group has already.
///
/// Source: kubernetes 1.34 apiextensions-apiserver pkg/controller/status/naming_controller.go.
fn taken(core: &Core, crd: &Value) -> Option<(&'static str, String)> {
    let own = |key: &str| text(crd, &format!("/spec/names/{key}"));
    // Of several conflicts the last that is looked for is told.
    let kinds = [("listKind", "ListKindConflict"), ("kind", "KindConflict")];
    core.list(STORAGE, None).iter().find_map(|other| {
        let is_other = value::name(other) != value::name(crd)
            && text(other, "/spec/group") == text(crd, "/spec/group");
        let theirs = |key: &str| text(other, &format!("/status/acceptedNames/{key}"));
        let found = kinds.iter().filter(|_| is_other).find(|(key, _)| {
            let name = own(key);
            !name.is_empty() && (name == theirs("kind") || name == theirs("listKind"))
        });
        found.map(|(key, reason)| (*reason, own(key).to_owned()))
    })
}

/// Says that a name is taken; the definition stays without effect.
fn refuse(core: &Core, key: &Key, reason: &str, name: &str) {
    let message = format!("\"{name}\" is already in use");
    say(core, key, ("NamesAccepted", "False"), reason, &message);
    let not_all = "not all names are accepted";
    say(core, key, ("Established", "False"), "NotAccepted", not_all);
}

fn say(core: &Core, key: &Key, (kind, status): (&str, &str), reason: &str, message: &str) {
    let now = core.now_text();
    let _ = core.edit(key.parts(), MANAGER, "status", |crd| {
        let new = json!({"type": kind, "status": status, "reason": reason, "message": message});
        set_condition(crd, new, &now);
    });
}

fn establish(core: &Core, key: &Key, crd: &Value) {
    let names = crd.pointer("/spec/names").cloned().unwrap_or_default();
    let now = core.now_text();
    let accepted = crd.pointer("/status/acceptedNames") == Some(&names);
    if condition(crd, "Established").is_some_and(|one| text(one, "/status") == "True") && accepted {
        return;
    }
    let initial = "the initial names have been accepted";
    let _ = core.edit(key.parts(), MANAGER, "status", |crd| {
        at(crd, &["status"])["acceptedNames"] = names;
        let new = json!({"type": "NamesAccepted", "status": "True", "reason": "NoConflicts",
            "message": "no conflicts found"});
        set_condition(crd, new, &now);
        if condition(crd, "Established").is_none() {
            let new = json!({"type": "Established", "status": "False", "reason": "Installing",
                "message": initial});
            set_condition(crd, new, &now);
        }
    });
    say(core, key, ("Established", "True"), "InitialNamesAccepted", initial);
    let _ = core.edit(key.parts(), MANAGER, "", |crd| add_finalizer(crd, FINALIZER));
}

/// Deletes the custom resources, then lets the definition go.
fn remove(core: &Core, key: &Key, crd: &Value) -> Option<Duration> {
    if !items(crd, "/metadata/finalizers").iter().any(|one| one == FINALIZER) {
        return None;
    }
    let message = "CustomResource deletion is in progress";
    if condition(crd, "Terminating").is_none() {
        say(core, key, ("Terminating", "True"), "InstanceDeletionInProgress", message);
    }
    let storage = core.store().registry.storage(&key.name).map(|resource| resource.storage.clone());
    let rest = storage.as_ref().map(|storage| core.list(storage, None)).unwrap_or_default();
    for object in rest.iter().filter(|object| !deleting(object)) {
        let key = (key.name.as_str(), value::namespace(object), value::name(object));
        let _ = core.delete(key, &DeleteOptions::default());
    }
    let rest = storage.as_ref().map(|storage| core.list(storage, None)).unwrap_or_default();
    if !rest.is_empty() {
        return Some(Duration::from_millis(200));
    }
    let _ = core.edit(key.parts(), MANAGER, "", |crd| {
        if let Some(list) = at(crd, &["metadata", "finalizers"]).as_array_mut() {
            list.retain(|one| one != FINALIZER);
        }
    });
    None
}
