//! What is put in as it is in another cluster.

use std::collections::BTreeSet;

use super::resource::from_crd;
use super::{Sim, quota, value, version};
use crate::yaml::Value;

const DEFINITION: &str = "CustomResourceDefinition";

impl Sim {
    /// Serves of the built-in kinds only these, such as `apps/v1/Deployment`.
    pub fn restrict(&self, served: &BTreeSet<String>) {
        self.core.store().registry.restrict(served);
    }

    /// Puts a quota of another cluster in, with what is used of it there by others than `own`: those
    /// are put in as well, or come about here.
    pub fn seed_quota(&self, mut quota: Value, own: &[Value]) {
        quota::adopt(&self.core.store(), &mut quota, own);
        self.seed(quota);
    }

    /// Puts an object of another cluster in: its identity, its status, and who owns which of its
    /// fields stay. What waits for somebody who is not here (finalizers, owners) goes. Returns
    /// whether its kind is served here.
    pub fn seed(&self, mut object: Value) -> bool {
        let is_definition = value::text(&object, "/kind") == DEFINITION;
        let mut store = self.core.store();
        if is_definition {
            let resources = from_crd(&object);
            store.registry.replace_custom(value::name(&object), resources);
        } else {
            value::unset(&mut object, &["metadata", "finalizers"]);
        }
        value::unset(&mut object, &["metadata", "ownerReferences"]);
        let api_version = value::text(&object, "/apiVersion").to_owned();
        let kind = value::text(&object, "/kind").to_owned();
        let mut all = store.registry.all().iter();
        let found = all.find(|one| one.kind == kind && one.api_version() == api_version);
        let Some(resource) = found.cloned() else { return false };
        if resource.storage_api_version != api_version {
            object = version::convert(&object, &resource.storage_api_version);
        }
        store.put(&resource.storage, object);
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sim::SimOptions;

    #[tokio::test(start_paused = true)]
    async fn what_is_put_in_is_as_it_was() {
        let sim = Sim::new(SimOptions::default());
        let config = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"},
            "metadata": {"name": "web", "namespace": "default", "uid": "u", "generation": 7,
                "finalizers": ["example.com/wait"], "ownerReferences": [{"kind": "X"}],
                "managedFields": [{"manager": "helm", "operation": "Apply"}]},
        });
        assert!(sim.seed(config));
        let found = sim.object("configmaps", "default", "web").unwrap();
        assert_eq!(found["metadata"]["uid"], "u");
        assert_eq!(found["metadata"]["managedFields"][0]["manager"], "helm");
        assert!(found["metadata"].get("finalizers").is_none());
        assert!(found["metadata"].get("ownerReferences").is_none());
        let cart = json!({"apiVersion": "example.com/v1", "kind": "Cart",
            "metadata": {"name": "c", "namespace": "default"}});
        assert!(!sim.seed(cart.clone()), "nobody defined it");
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": DEFINITION,
            "metadata": {"name": "carts.example.com"},
            "spec": {"group": "example.com", "scope": "Namespaced",
                "names": {"kind": "Cart", "plural": "carts"},
                "versions": [{"name": "v1", "served": true, "storage": true}]},
        });
        assert!(sim.seed(definition));
        assert!(sim.seed(cart));
        assert!(sim.object("carts.example.com", "default", "c").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_the_other_cluster_serves_is_served() {
        let sim = Sim::new(SimOptions::default());
        sim.restrict(&BTreeSet::from(["v1/ConfigMap".to_owned()]));
        let object = |api_version: &str, kind: &str| {
            let metadata = json!({"name": "x", "namespace": "default"});
            json!({"apiVersion": api_version, "kind": kind, "metadata": metadata})
        };
        assert!(sim.seed(object("v1", "ConfigMap")));
        assert!(!sim.seed(object("batch/v1", "CronJob")));
    }
}
