//! What a rehearsal begins with: copies of what the action is about.

use std::collections::BTreeSet;

use futures::future::join_all;

use super::Rehearsal;
use crate::cluster::cause::selector;
use crate::cluster::{self, Cluster, Object, ObjectId, Selection};
use crate::release::{Error, manifest};
use crate::sim::Sim;
use crate::yaml::Value;

/// Objects that are read at the same time.
const AT_ONCE: usize = 8;
/// Kinds that belong to no namespace, and that others refer to.
const COMMON: [(&str, &str); 3] = [
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ("scheduling.k8s.io/v1", "PriorityClass"),
    ("storage.k8s.io/v1", "StorageClass"),
];

impl Rehearsal<'_> {
    /// Copies what the action is about.
    pub(super) async fn seed(&self, sim: &Sim) -> Result<(), Error> {
        sim.restrict(&self.real.api_versions().await?.into_iter().collect());
        for (api_version, kind) in COMMON {
            let all = readable(self.real, (api_version, kind), &Selection::default()).await?;
            all.into_iter().for_each(|object| {
                sim.seed(object.0);
            });
        }
        let (name, namespace) = self.play.place();
        // Records, and parts of such as no object can hold.
        let labels = format!("owner in (helm,leadsman),name={name}");
        let records = Selection::namespace(self.storage_namespace).labels(labels);
        let records = self.real.list("v1", self.driver.kind(), &records).await?;
        let ids = self.ids().await?;
        let mut namespaces: BTreeSet<&str> = ids.iter().map(|id| id.namespace.as_str()).collect();
        namespaces.extend([self.storage_namespace, namespace]);
        namespaces.remove("");
        let mut objects = self
            .read(namespaces.iter().map(|name| ObjectId::new("v1", "Namespace", "", name)))
            .await?;
        objects.extend(records);
        objects.extend(self.read(ids.iter().cloned()).await?);
        for namespace in namespaces {
            self.seed_quotas(sim, namespace, &objects).await?;
            let here = Selection::namespace(namespace);
            for range in readable(self.real, ("v1", "LimitRange"), &here).await? {
                sim.seed(range.0);
            }
        }
        // Quotas are there already.
        for object in objects.into_iter().filter(|object| object.kind() != "ResourceQuota") {
            sim.seed(object.0);
        }
        Ok(())
    }

    /// Reads objects, as far as they are there.
    async fn read(&self, ids: impl Iterator<Item = ObjectId>) -> Result<Vec<Object>, Error> {
        let (ids, mut found) = (ids.collect::<Vec<_>>(), Vec::new());
        for part in ids.chunks(AT_ONCE) {
            for object in join_all(part.iter().map(|id| self.real.get(id))).await {
                found.extend(object?);
            }
        }
        Ok(found)
    }

    /// Copies the quotas of a namespace. What the release itself uses of them, its Pods too, will be
    /// used anew here.
    async fn seed_quotas(
        &self,
        sim: &Sim,
        namespace: &str,
        objects: &[Object],
    ) -> Result<(), Error> {
        let here = Selection::namespace(namespace);
        let quotas = readable(self.real, ("v1", "ResourceQuota"), &here).await?;
        if quotas.is_empty() {
            return Ok(());
        }
        let within = objects.iter().filter(|object| object.namespace() == namespace);
        let mut own: Vec<Value> = within.clone().map(|object| object.0.clone()).collect();
        for labels in within.filter(|object| makes_pods(object)).filter_map(selector) {
            let pods = here.clone().labels(labels);
            let pods = readable(self.real, ("v1", "Pod"), &pods).await?;
            own.extend(pods.into_iter().map(|pod| pod.0));
        }
        for quota in quotas {
            sim.seed_quota(quota.0, &own);
        }
        Ok(())
    }

    /// Returns the objects that the action may touch, as far as the real cluster serves their kinds.
    async fn ids(&self) -> Result<Vec<ObjectId>, Error> {
        let mut found = BTreeSet::new();
        for text in self.play.texts() {
            for value in manifest::objects(text)? {
                let mut object = Object(value);
                let id = object.id();
                let served = self.real.resource(&id.api_version(), &id.kind).await?;
                let Some(resource) = served.filter(|_| !id.name.is_empty()) else { continue };
                match (resource.namespaced, id.namespace.is_empty()) {
                    (false, _) => object.set_namespace(""),
                    (true, true) => object.set_namespace(self.play.place().1),
                    (true, false) => {}
                }
                found.insert(object.id());
            }
        }
        Ok(found.into_iter().collect())
    }
}

/// Whether an object makes Pods that its selector finds.
fn makes_pods(object: &Object) -> bool {
    let kind = object.kind();
    ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"].contains(&kind)
}

/// Lists objects; who may not look at them plays without them.
async fn readable(
    real: &Cluster,
    (api_version, kind): (&str, &str),
    selection: &Selection,
) -> Result<Vec<Object>, Error> {
    match real.list(api_version, kind, selection).await {
        Err(error) if error.code() == Some(403) => Ok(Vec::new()),
        Err(cluster::Error::NoKind { .. }) => Ok(Vec::new()),
        other => Ok(other?),
    }
}
