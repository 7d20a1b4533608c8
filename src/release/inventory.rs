//! Which objects a release is made of, for the status.
//!
//! Source: fluxcd/helm-controller internal/inventory.

use super::{Error, apply, manifest};
use crate::api::{Inventory, InventoryEntry};
use crate::cluster::Cluster;

/// Returns the inventory of a manifest.
///
/// # Errors
/// The manifest is not YAML, or the cluster cannot be asked about a kind.
pub async fn of(cluster: &Cluster, text: &str, namespace: &str) -> Result<Inventory, Error> {
    let mut entries = Vec::new();
    for object in manifest::objects(text)? {
        let (object, _) = apply::placed(cluster, object, namespace).await?;
        let id = object.id();
        let name = id.name.replace(':', "__");
        entries.push(InventoryEntry {
            id: format!("{}_{name}_{}_{}", id.namespace, id.group, id.kind),
            v: id.version,
        });
    }
    Ok(Inventory { entries })
}
