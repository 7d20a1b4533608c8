//! Quotas: what is used of them is counted anew when something goes, ends or becomes less.

use std::time::Duration;

use super::{Controller, Key};
use crate::sim::core::Core;
use crate::sim::quota::{self, STORAGE};
use crate::sim::store::{Change, Happened};
use crate::sim::value;

pub(super) fn controller() -> Controller {
    Controller::new("resourcequota-controller", concerns, reconcile)
}

const VERSION: &str = "/metadata/resourceVersion";

/// The key without a name stands for all quotas of a namespace.
fn concerns(change: &Change) -> Vec<Key> {
    let namespace = value::namespace(&change.object);
    let may_shrink = ["pods", "services", "persistentvolumeclaims"];
    match (change.storage.as_ref(), change.happened) {
        _ if namespace.is_empty() => Vec::new(),
        (STORAGE, Happened::Added | Happened::Modified) | (_, Happened::Deleted) => {
            vec![Key::sibling(STORAGE, namespace, "")]
        }
        (storage, Happened::Modified) if may_shrink.contains(&storage) => {
            vec![Key::sibling(STORAGE, namespace, "")]
        }
        (_, Happened::Added | Happened::Modified) => Vec::new(),
    }
}

fn reconcile(core: &Core, key: &Key) -> Option<Duration> {
    for found in core.list(STORAGE, Some(&key.namespace)) {
        let status = quota::status(&core.store(), &found);
        let place = (STORAGE, key.namespace.as_str(), value::name(&found));
        let version = value::text(&found, VERSION);
        // One that is gone meanwhile needs no status; one at which was counted meanwhile comes again.
        let _ = core.edit(place, "kube-controller-manager", "status", |quota| {
            if value::text(quota, VERSION) == version {
                quota["status"] = status;
            }
        });
    }
    None
}
