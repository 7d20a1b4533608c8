//! The garbage collector: dependents follow their owners; foreground and orphaning deletions.

use std::sync::Arc;
use std::time::Duration;

use super::{Controller, Key};
use crate::sim::core::Core;
use crate::sim::delete::DeleteOptions;
use crate::sim::store::{Change, Happened};
use crate::sim::value::{self, at, deleting, flag, items, text};
use crate::yaml::Value;

/// The collection of keys that mean "the owner with this uid is gone".
const GONE: &str = "gone";
/// The collection of keys that mean "the owner with this uid waits for its dependents".
const WAITING: &str = "waiting";
const MANAGER: &str = "kube-controller-manager";
const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

pub(super) fn controller() -> Controller {
    Controller::new("garbage-collector", concerns, reconcile)
}

fn has_finalizer(object: &Value, finalizer: &str) -> bool {
    items(object, "/metadata/finalizers").iter().any(|one| one == finalizer)
}

fn concerns(change: &Change) -> Vec<Key> {
    let object = &change.object;
    let owners = items(object, "/metadata/ownerReferences");
    let mut keys = Vec::new();
    if change.happened == Happened::Deleted {
        keys.push(Key::sibling(GONE, "", value::uid(object)));
        keys.extend(owners.iter().map(|owner| Key::sibling(WAITING, "", text(owner, "/uid"))));
        return keys;
    }
    // New owners may be absent already.
    let before =
        change.before.as_ref().map_or(&[][..], |before| items(before, "/metadata/ownerReferences"));
    if !owners.is_empty() && before != owners {
        keys.push(Key::of(&change.storage, object));
    }
    if deleting(object) && (has_finalizer(object, FOREGROUND) || has_finalizer(object, ORPHAN)) {
        keys.push(Key::of(&change.storage, object));
    }
    keys
}

/// An object with its collection.
type Found = (Arc<str>, Arc<Value>);

fn everything(core: &Core) -> Vec<Found> {
    let store = core.store();
    let mut all = Vec::new();
    for storage in store.storages() {
        all.extend(store.list(&storage, None).map(|(_, object)| (storage.clone(), object.clone())));
    }
    all
}

fn dependents(core: &Core, uid: &str) -> Vec<Found> {
    let mut all = everything(core);
    all.retain(|(_, object)| {
        items(object, "/metadata/ownerReferences").iter().any(|owner| text(owner, "/uid") == uid)
    });
    all
}

/// Finds the owner that a reference names: same uid, same namespace or cluster-scoped.
fn find_owner(core: &Core, dependent: &Value, reference: &Value) -> Option<Found> {
    let store = core.store();
    let (api_version, kind) = (text(reference, "/apiVersion"), text(reference, "/kind"));
    let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
    let mut resources = store.registry.all().iter();
    // The reference may name another served version.
    let resource = resources.find(|one| one.kind == kind && one.group == group)?;
    let namespace = if resource.namespaced { value::namespace(dependent) } else { "" };
    let owner = store.get(&resource.storage, namespace, text(reference, "/name"))?;
    let same = value::uid(owner) == text(reference, "/uid");
    same.then(|| (resource.storage.clone(), owner.clone()))
}

fn reconcile(core: &Core, key: &Key) -> Option<Duration> {
    match key.storage.as_ref() {
        GONE => {
            for (storage, object) in dependents(core, &key.name) {
                collect(core, &storage, &object);
            }
        }
        WAITING => {
            let mut all = everything(core).into_iter();
            if let Some((storage, owner)) = all.find(|(_, object)| value::uid(object) == key.name) {
                finish(core, &storage, &owner);
            }
        }
        storage => {
            let object = core.get(storage, &key.namespace, &key.name)?;
            finish(core, &key.storage, &object);
            let object = core.get(storage, &key.namespace, &key.name)?;
            collect(core, &key.storage, &object);
        }
    }
    None
}

/// Sets the owners of an object.
fn refer(object: &mut Value, owners: Vec<Value>) {
    if owners.is_empty() {
        value::unset(object, &["metadata", "ownerReferences"]);
    } else {
        at(object, &["metadata"])["ownerReferences"] = owners.into();
    }
}

/// Deletes an object whose owners are all gone; drops references to those that are.
fn collect(core: &Core, storage: &Arc<str>, object: &Value) {
    let owners = items(object, "/metadata/ownerReferences");
    if owners.is_empty() || deleting(object) {
        return;
    }
    let (alive, dead): (Vec<_>, Vec<_>) =
        owners.iter().partition(|owner| find_owner(core, object, owner).is_some());
    let key = Key::of(storage, object);
    if dead.is_empty() {
        return;
    }
    if alive.is_empty() {
        let uid = value::uid(object).to_owned();
        let options =
            DeleteOptions { uid, propagation: "Background".to_owned(), ..DeleteOptions::default() };
        // Somebody else may have deleted it.
        let _ = core.delete(key.parts(), &options);
        return;
    }
    let alive: Vec<_> = alive.into_iter().cloned().collect();
    let _ = core.edit(key.parts(), MANAGER, "", |object| {
        refer(object, alive);
    });
}

fn drop_finalizer(core: &Core, key: &Key, finalizer: &str) {
    let _ = core.edit(key.parts(), MANAGER, "", |object| {
        if let Some(list) = at(object, &["metadata", "finalizers"]).as_array_mut() {
            list.retain(|one| one != finalizer);
        }
    });
}

/// Works on a foreground or orphaning deletion.
fn finish(core: &Core, storage: &Arc<str>, owner: &Value) {
    if !deleting(owner) {
        return;
    }
    let (uid, key) = (value::uid(owner), Key::of(storage, owner));
    let of_owner = |object: &Value| {
        let owners = items(object, "/metadata/ownerReferences").iter();
        owners.cloned().partition::<Vec<_>, _>(|one| text(one, "/uid") == uid)
    };
    if has_finalizer(owner, ORPHAN) {
        for (storage, object) in dependents(core, uid) {
            let (_, others) = of_owner(&object);
            let _ = core.edit(Key::of(&storage, &object).parts(), MANAGER, "", |object| {
                refer(object, others);
            });
        }
        drop_finalizer(core, &key, ORPHAN);
    }
    if has_finalizer(owner, FOREGROUND) {
        for (storage, object) in
            dependents(core, uid).into_iter().filter(|(_, object)| !deleting(object))
        {
            let options =
                DeleteOptions { propagation: "Foreground".to_owned(), ..DeleteOptions::default() };
            let _ = core.delete(Key::of(&storage, &object).parts(), &options);
        }
        let blocks =
            |object: &Value| of_owner(object).0.iter().any(|one| flag(one, "/blockOwnerDeletion"));
        if !dependents(core, uid).iter().any(|(_, object)| blocks(object)) {
            drop_finalizer(core, &key, FOREGROUND);
        }
    }
}
