//! Claims: bound to a new volume at once, released when deleted.

use std::time::Duration;

use serde_json::json;

use super::{Controller, Key};
use crate::sim::core::Core;
use crate::sim::delete::DeleteOptions;
use crate::sim::store::{Change, Happened};
use crate::sim::value::{self, at, deleting, items, text};

const STORAGE: &str = "persistentvolumeclaims";
const VOLUMES: &str = "persistentvolumes";
const MANAGER: &str = "kube-controller-manager";
const PROTECTION: &str = "kubernetes.io/pvc-protection";
/// The class whose claims stay pending.
const MANUAL: &str = "manual-pending";

pub(super) fn controller() -> Controller {
    Controller::new("persistentvolume-binder", concerns, reconcile)
}

fn concerns(change: &Change) -> Vec<Key> {
    let namespace = value::namespace(&change.object);
    match (change.storage.as_ref(), change.happened) {
        (STORAGE, Happened::Deleted) => {
            vec![Key::sibling(VOLUMES, "", text(&change.object, "/spec/volumeName"))]
        }
        (STORAGE, _) => vec![Key::of(&change.storage, &change.object)],
        // A claim waits for the Pods that use it.
        ("pods", Happened::Deleted) => {
            let volumes = items(&change.object, "/spec/volumes").iter();
            let claims = volumes.map(|volume| text(volume, "/persistentVolumeClaim/claimName"));
            claims
                .filter(|name| !name.is_empty())
                .map(|name| Key::sibling(STORAGE, namespace, name))
                .collect()
        }
        _ => Vec::new(),
    }
}

fn reconcile(core: &Core, key: &Key) -> Option<Duration> {
    if key.storage.as_ref() == VOLUMES {
        let volume = core.get(VOLUMES, "", &key.name)?;
        if text(&volume, "/spec/persistentVolumeReclaimPolicy") == "Delete" {
            let _ = core.delete(key.parts(), &DeleteOptions::default());
        }
        return None;
    }
    let claim = core.get(STORAGE, &key.namespace, &key.name)?;
    if deleting(&claim) {
        let used = core.list("pods", Some(&key.namespace)).iter().any(|pod| {
            let volumes = items(pod, "/spec/volumes").iter();
            let mut names = volumes.map(|volume| text(volume, "/persistentVolumeClaim/claimName"));
            names.any(|name| name == key.name)
        });
        if !used {
            let _ = core.edit(key.parts(), MANAGER, "", |claim| {
                if let Some(list) = at(claim, &["metadata", "finalizers"]).as_array_mut() {
                    list.retain(|one| one != PROTECTION);
                }
            });
        }
        return None;
    }
    let waits = text(&claim, "/spec/storageClassName") == MANUAL || !core.options.bind_volumes;
    if waits || text(&claim, "/status/phase") == "Bound" {
        return None;
    }
    bind(core, key, &claim);
    None
}

fn bind(core: &Core, key: &Key, claim: &crate::yaml::Value) {
    let volume = format!("pvc-{}", value::uid(claim));
    let size =
        claim.pointer("/spec/resources/requests/storage").cloned().unwrap_or_else(|| "1Gi".into());
    let modes = claim.pointer("/spec/accessModes").cloned().unwrap_or_default();
    let body = json!({
        "metadata": {"name": volume},
        "spec": {
            "capacity": {"storage": size}, "accessModes": modes, "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": text(claim, "/spec/storageClassName"), "hostPath": {"path": "/sim"},
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": key.name,
                "namespace": key.namespace, "uid": value::uid(claim)},
        },
    });
    let _ = core.create(VOLUMES, MANAGER, body);
    let _ = core.edit((VOLUMES, "", &volume), MANAGER, "status", |volume| {
        at(volume, &["status"])["phase"] = "Bound".into();
    });
    let _ = core.edit(key.parts(), MANAGER, "", |claim| {
        at(claim, &["spec"])["volumeName"] = volume.as_str().into();
        let annotations = at(claim, &["metadata", "annotations"]);
        annotations["pv.kubernetes.io/bind-completed"] = "yes".into();
        annotations["pv.kubernetes.io/bound-by-controller"] = "yes".into();
    });
    let _ = core.edit(key.parts(), MANAGER, "status", |claim| {
        let status = at(claim, &["status"]);
        status["phase"] = "Bound".into();
        status["accessModes"] = modes;
        status["capacity"] = json!({"storage": size});
    });
}
