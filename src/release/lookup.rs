//! Answers the template function `lookup` from a cluster.
//!
//! Source: helm v4.3.1 pkg/engine/lookup_func.go, k8s.io/apimachinery
//! pkg/apis/meta/v1/unstructured.

use std::sync::{Mutex, PoisonError};

use tokio::runtime::{Handle, RuntimeFlavor};

use crate::cluster::{self, Cluster, ObjectId, Resource};
use crate::template::Lookup;
use crate::yaml::{Map, Value};

/// A cluster that templates may ask. They must be rendered outside of the runtime's workers (see
/// [`tokio::task::block_in_place`]), because they wait for the answers.
#[derive(Debug)]
pub struct ClusterLookup {
    cluster: Cluster,
    runtime: Handle,
    outage: Mutex<Option<cluster::Error>>,
}

impl ClusterLookup {
    /// Asks a cluster, on the runtime that is running.
    pub fn new(cluster: Cluster) -> Self {
        Self { cluster, runtime: Handle::current(), outage: Mutex::default() }
    }

    /// Returns why the API server was away, if it was: what a template said then is not its fault.
    pub fn into_outage(self) -> Option<cluster::Error> {
        self.outage.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns an object or a list as the server has it; none where there is no such object, or
    /// no such kind in a version that is served.
    async fn ask(&self, id: &ObjectId) -> Result<Option<Value>, String> {
        let failed = |error: cluster::Error| self.failed(error);
        let api_version = id.api_version();
        let Some(resource) = self.cluster.resource(&api_version, &id.kind).await.map_err(failed)?
        else {
            return if self.cluster.api_versions().await.map_err(failed)?.contains(&api_version) {
                Ok(None)
            } else {
                Err(format!(
                    "unable to get apiresource from unstructured: {}: the server could not find \
                     the requested resource",
                    id.go_kind()
                ))
            };
        };
        match self.cluster.read(&resource, &id.namespace, &id.name).await {
            Ok(found) if id.name.is_empty() => Ok(Some(listed(found, &resource))),
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn failed(&self, error: cluster::Error) -> String {
        let text = error.to_string();
        if error.is_outage() {
            *self.outage.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
        text
    }
}

impl Lookup for ClusterLookup {
    fn lookup(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Value, String> {
        let id = ObjectId::new(api_version, kind, namespace, name);
        let found = self.runtime.block_on(self.ask(&id))?;
        Ok(found.unwrap_or_else(|| Value::Object(Map::new())))
    }
}

/// Renders where it holds up no other task. A runtime of one thread has no such place: no template
/// may look anything up there.
pub fn in_place<T>(render: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => render(),
        _ => tokio::task::block_in_place(render),
    }
}

/// Gives the items of a list their `apiVersion` and `kind`, where the server leaves both out.
fn listed(mut list: Value, resource: &Resource) -> Value {
    let items = list.get_mut("items").and_then(Value::as_array_mut);
    for item in items.into_iter().flatten().filter_map(Value::as_object_mut) {
        let is_set = |name: &str| item.get(name).is_some_and(|value| value != "");
        if !is_set("apiVersion") && !is_set("kind") {
            item.insert("apiVersion".to_owned(), resource.api_version.clone().into());
            item.insert("kind".to_owned(), resource.kind.clone().into());
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn items_are_told_what_they_are() {
        let resource = Resource {
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            plural: "deployments".into(),
            namespaced: true,
        };
        let own = json!({"apiVersion": "x/v1", "kind": "X"});
        let list = json!({"kind": "DeploymentList", "metadata": {"resourceVersion": "7"},
            "items": [{"a": 1}, own]});
        let wanted = json!({"kind": "DeploymentList", "metadata": {"resourceVersion": "7"},
            "items": [{"a": 1, "apiVersion": "apps/v1", "kind": "Deployment"}, own]});
        assert_eq!(listed(list, &resource), wanted);
        assert_eq!(listed(json!({"items": null}), &resource), json!({"items": null}));
    }
}
