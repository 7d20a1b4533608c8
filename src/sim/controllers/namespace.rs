//! Namespaces: what a new one gets, and how one goes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::{Controller, Key};
use crate::sim::core::Core;
use crate::sim::delete::DeleteOptions;
use crate::sim::store::{Change, Happened};
use crate::sim::value::{self, at, deleting, items};
use crate::yaml::Value;

const STORAGE: &str = "namespaces";
const MANAGER: &str = "kube-controller-manager";

pub(super) fn controller() -> Controller {
    Controller::new("namespace-controller", concerns, reconcile)
}

fn concerns(change: &Change) -> Vec<Key> {
    match (change.storage.as_ref(), change.happened) {
        (STORAGE, Happened::Deleted) => Vec::new(),
        (STORAGE, _) => vec![Key::of(&change.storage, &change.object)],
        (_, Happened::Deleted) if !value::namespace(&change.object).is_empty() => {
            vec![Key::sibling(STORAGE, "", value::namespace(&change.object))]
        }
        _ => Vec::new(),
    }
}

fn reconcile(core: &Core, key: &Key) -> Option<Duration> {
    let namespace = core.get(STORAGE, "", &key.name)?;
    if !deleting(&namespace) {
        furnish(core, &key.name);
        return None;
    }
    empty(core, &key.name);
    let rest = contents(core, &key.name);
    let now = core.now_text();
    let _ = core.edit(key.parts(), MANAGER, "status", |namespace| {
        at(namespace, &["status"])["conditions"] = conditions(&rest, &now);
    });
    if rest.is_empty() && items(&namespace, "/metadata/finalizers").is_empty() {
        // The last finalizer goes, and with it the namespace.
        let _ = core.edit(key.parts(), MANAGER, "finalize", |namespace| {
            at(namespace, &["spec"])["finalizers"] = json!([]);
        });
        return None;
    }
    Some(Duration::from_millis(200))
}

fn furnish(core: &Core, name: &str) {
    if core.get("serviceaccounts", name, "default").is_none() {
        let body = json!({"metadata": {"name": "default", "namespace": name}});
        let _ = core.create("serviceaccounts", MANAGER, body);
    }
    if core.get("configmaps", name, "kube-root-ca.crt").is_none() {
        let body = json!({"metadata": {"name": "kube-root-ca.crt", "namespace": name}, "data": {"ca.crt": ""}});
        let _ = core.create("configmaps", MANAGER, body);
    }
}

fn contents(core: &Core, namespace: &str) -> Vec<(Arc<str>, Arc<Value>)> {
    let store = core.store();
    let mut all = Vec::new();
    for storage in store.storages().into_iter().filter(|storage| storage.as_ref() != STORAGE) {
        let cluster = store.registry.storage(&storage).is_none_or(|resource| !resource.namespaced);
        if !cluster {
            all.extend(
                store
                    .list(&storage, Some(namespace))
                    .map(|(_, one)| (storage.clone(), one.clone())),
            );
        }
    }
    all
}

fn empty(core: &Core, namespace: &str) {
    for (storage, object) in contents(core, namespace) {
        let key = Key::of(&storage, &object);
        let propagation = "Background".to_owned();
        let _ =
            core.delete(key.parts(), &DeleteOptions { propagation, ..DeleteOptions::default() });
    }
}

/// Prints `configmaps. has 2 resource instances, …`.
fn instances(counts: &BTreeMap<String, usize>) -> String {
    let parts = counts.iter().map(|(what, count)| format!("{what} {count} resource instances"));
    parts.collect::<Vec<_>>().join(", ")
}

#[expect(clippy::too_many_lines, reason = "five conditions, one after another")]
fn conditions(rest: &[(Arc<str>, Arc<Value>)], now: &str) -> Value {
    let held =
        rest.iter().filter(|(_, object)| !items(object, "/metadata/finalizers").is_empty()).count();
    let new = |kind: &str, bad: bool, (reason, other): (&str, &str), message: &str| {
        json!({"type": kind, "status": if bad { "True" } else { "False" }, "lastTransitionTime": now,
            "reason": if bad { other } else { reason }, "message": message})
    };
    let remaining = if rest.is_empty() {
        "All content successfully removed".to_owned()
    } else {
        let mut counts = BTreeMap::<String, usize>::new();
        for (storage, _) in rest {
            let dot = if storage.contains('.') { "" } else { "." };
            *counts.entry(format!("{storage}{dot} has")).or_default() += 1;
        }
        format!("Some resources are remaining: {}", instances(&counts))
    };
    let finalizers = if held == 0 {
        "All content-preserving finalizers finished".to_owned()
    } else {
        let mut counts = BTreeMap::<String, usize>::new();
        for (_, object) in rest {
            for finalizer in items(object, "/metadata/finalizers") {
                let name = finalizer.as_str().unwrap_or_default();
                *counts.entry(format!("{name} in")).or_default() += 1;
            }
        }
        let counts = instances(&counts);
        format!("Some content in the namespace has finalizers remaining: {counts}")
    };
    json!([
        new(
            "NamespaceDeletionDiscoveryFailure",
            false,
            ("ResourcesDiscovered", ""),
            "All resources successfully discovered"
        ),
        new(
            "NamespaceDeletionGroupVersionParsingFailure",
            false,
            ("ParsedGroupVersions", ""),
            "All legacy kube types successfully parsed"
        ),
        new(
            "NamespaceDeletionContentFailure",
            false,
            ("ContentDeleted", ""),
            "All content successfully deleted, may be waiting on finalization"
        ),
        new(
            "NamespaceContentRemaining",
            !rest.is_empty(),
            ("ContentRemoved", "SomeResourcesRemain"),
            &remaining
        ),
        new(
            "NamespaceFinalizersRemaining",
            held > 0,
            ("ContentHasNoFinalizers", "SomeFinalizersRemain"),
            &finalizers
        ),
    ])
}
