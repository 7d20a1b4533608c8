//! Which objects a release is made of, for the status.
//!
//! Source: fluxcd/helm-controller internal/inventory.

use super::{Error, apply, crd, manifest};
use crate::api::{Inventory, InventoryEntry};
use crate::chart::Chart;
use crate::cluster::{Cluster, Object};

/// Returns the inventory of a manifest and of the `crds/` of a chart (dependencies processed).
/// Objects whose kind the server does not serve are listed as they are written.
///
/// # Errors
/// The manifest or a file of `crds/` is not YAML, or the cluster cannot be asked.
pub async fn of(
    cluster: &Cluster,
    text: &str,
    namespace: &str,
    chart: &Chart,
) -> Result<Inventory, Error> {
    let mut entries = Vec::new();
    for value in manifest::objects(text)? {
        let written = Object(value.clone());
        entries.push(entry(&match apply::placed(cluster, value, namespace).await {
            Ok((object, _)) => object,
            Err(Error::Doing { .. }) => written,
            Err(error) => return Err(error),
        }));
    }
    for object in crd::objects(chart) {
        entries.push(entry(&object?));
    }
    Ok(Inventory { entries })
}

fn entry(object: &Object) -> InventoryEntry {
    let id = object.id();
    // Names of RBAC may hold a colon, which the status may not.
    let name = id.name.replace(':', "__");
    InventoryEntry {
        id: format!("{}_{name}_{}_{}", id.namespace, id.group, id.kind),
        v: id.version,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_are_named_as_flux_names_them() {
        let rows = [
            (
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "n"}}),
                "n_a__ConfigMap",
                "v1",
            ),
            (
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "n"}}),
                "n_d_apps_Deployment",
                "v1",
            ),
            (
                json!({"apiVersion": "rbac.authorization.k8s.io/v1beta1", "kind": "ClusterRole", "metadata": {"name": "system:x"}}),
                "_system__x_rbac.authorization.k8s.io_ClusterRole",
                "v1beta1",
            ),
        ];
        for (object, id, version) in rows {
            let got = entry(&Object(object));
            assert_eq!((got.id.as_str(), got.v.as_str()), (id, version));
        }
    }
}
