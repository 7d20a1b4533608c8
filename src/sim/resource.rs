//! The resources that are served: the built-in ones from a table, the custom ones from their CRDs.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::custom::Custom;
use crate::shape::types::Ty;
use crate::yaml::Value;

const TABLE: &str = include_str!("tables/resources.txt");

/// A subresource such as `status` or `scale`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subresource {
    pub(crate) name: String,
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) verbs: Vec<String>,
}

/// A resource in one served version.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) namespaced: bool,
    pub(crate) verbs: Vec<String>,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) subresources: Vec<Subresource>,
    /// The name of the collection in the store: the same for every version.
    pub(crate) storage: Arc<str>,
    /// The version in which objects are stored.
    pub(crate) storage_api_version: String,
    known: Option<Ty<'static>>,
    pub(crate) custom: Option<Arc<Custom>>,
}

impl Resource {
    /// Returns `apps/v1`, or `v1` for the core group.
    pub(crate) fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// Returns `deployments.apps`, or `configmaps` for the core group.
    pub(crate) fn qualified(&self) -> String {
        join(&self.plural, &self.group)
    }

    /// Returns `Deployment.apps`, or `ConfigMap` for the core group.
    pub(crate) fn qualified_kind(&self) -> String {
        join(&self.kind, &self.group)
    }

    /// Returns the type of the objects.
    pub(crate) fn ty(&self) -> Ty<'_> {
        match (&self.known, &self.custom) {
            (Some(known), _) => *known,
            (None, Some(custom)) => Ty::Custom(&custom.schema),
            (None, None) => Ty::Any,
        }
    }

    /// Returns whether `status` is written through its own endpoint only.
    pub(crate) fn has_status(&self) -> bool {
        self.subresource("status").is_some()
    }

    /// Returns a subresource.
    pub(crate) fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|sub| sub.name == name)
    }

    /// Returns whether objects carry `metadata.generation`.
    pub(crate) fn has_generation(&self) -> bool {
        self.custom.is_some() || GENERATION.contains(&self.storage.as_ref())
    }

    /// Returns whether a verb is offered.
    pub(crate) fn allows(&self, verb: &str) -> bool {
        self.verbs.iter().any(|one| one == verb)
    }

    /// Returns an object in this version: only `apiVersion` and a few fields differ.
    pub(crate) fn present(&self, object: &Arc<Value>) -> Arc<Value> {
        let api_version = self.api_version();
        if self.storage_api_version == api_version {
            return object.clone();
        }
        Arc::new(super::version::convert(object, &api_version))
    }
}

/// Kinds with `metadata.generation`, by their collection.
const GENERATION: [&str; 17] = [
    "deployments.apps",
    "replicasets.apps",
    "statefulsets.apps",
    "daemonsets.apps",
    "jobs.batch",
    "cronjobs.batch",
    "ingresses.networking.k8s.io",
    "ingressclasses.networking.k8s.io",
    "networkpolicies.networking.k8s.io",
    "poddisruptionbudgets.policy",
    "pods",
    "replicationcontrollers",
    "priorityclasses.scheduling.k8s.io",
    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "validatingwebhookconfigurations.admissionregistration.k8s.io",
    "validatingadmissionpolicies.admissionregistration.k8s.io",
    "customresourcedefinitions.apiextensions.k8s.io",
];

/// Returns `group/version`, or the version alone for the core group.
pub(crate) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

fn join(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

fn list(word: &str) -> Vec<String> {
    if word == "-" { Vec::new() } else { word.split(',').map(str::to_owned).collect() }
}

fn parse_subresource(text: &str) -> Option<Subresource> {
    let mut parts = text.split('/').map(str::to_owned);
    let (name, group, version, kind) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let verbs = list(&parts.next()?);
    Some(Subresource { name, group, version, kind, verbs })
}

fn parse_line(line: &str) -> Option<Resource> {
    let words: Vec<&str> = line.split(' ').collect();
    let [group, version, plural, kind, singular, scope, verbs, short, categories, ty, subs] =
        words.as_slice().try_into().ok()?;
    let group = if group == "-" { "" } else { group };
    // Events have two views of one store; the older one is how they are kept.
    let (storage, storage_api_version) = match (group, plural) {
        ("events.k8s.io", "events") => ("events".to_owned(), "v1".to_owned()),
        ("autoscaling", _) => (join(plural, group), "autoscaling/v2".to_owned()),
        _ => (join(plural, group), api_version(group, version)),
    };
    Some(Resource {
        group: group.to_owned(),
        version: version.to_owned(),
        plural: plural.to_owned(),
        singular: singular.to_owned(),
        kind: kind.to_owned(),
        list_kind: format!("{kind}List"),
        namespaced: scope == "ns",
        verbs: list(verbs),
        short_names: list(short),
        categories: list(categories),
        subresources: subs.split(';').filter_map(parse_subresource).collect(),
        storage: storage.into(),
        storage_api_version,
        known: Ty::named(ty),
        custom: None,
    })
}

/// The resources that are served now.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    resources: Vec<Arc<Resource>>,
    storages: BTreeMap<Arc<str>, Arc<Resource>>,
}

impl Registry {
    /// Returns the built-in resources.
    pub(crate) fn built_in() -> Self {
        let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
        let resources = lines.filter_map(parse_line).map(Arc::new).collect();
        let mut registry = Self { resources, storages: BTreeMap::new() };
        registry.index();
        registry
    }

    fn index(&mut self) {
        let stored =
            self.resources.iter().filter(|one| one.api_version() == one.storage_api_version);
        self.storages = stored.map(|one| (one.storage.clone(), one.clone())).collect();
    }

    /// Returns all resources, in the order of discovery.
    pub(crate) fn all(&self) -> &[Arc<Resource>] {
        &self.resources
    }

    /// Finds a resource by the parts of its URL.
    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        let mut all = self.resources.iter();
        all.find(|one| one.plural == plural && one.version == version && one.group == group)
            .cloned()
    }

    /// Finds the storage version of a collection.
    pub(crate) fn storage(&self, storage: &str) -> Option<Arc<Resource>> {
        self.storages.get(storage).cloned()
    }

    /// Returns whether a group is served in a version.
    pub(crate) fn serves(&self, group: &str, version: &str) -> bool {
        self.resources.iter().any(|one| one.group == group && one.version == version)
    }

    /// Keeps of the built-in kinds only these, each as `apps/v1/Deployment`.
    pub(crate) fn restrict(&mut self, served: &std::collections::BTreeSet<String>) {
        self.resources.retain(|one| {
            one.custom.is_some() || served.contains(&format!("{}/{}", one.api_version(), one.kind))
        });
        self.index();
    }

    /// Replaces the resources of one CRD.
    pub(crate) fn replace_custom(&mut self, crd: &str, resources: Vec<Resource>) {
        self.resources.retain(|one| one.custom.as_ref().is_none_or(|custom| custom.crd != crd));
        self.resources.extend(resources.into_iter().map(Arc::new));
        self.index();
    }
}

/// Returns the resources that a CRD declares.
pub(crate) fn from_crd(crd: &Value) -> Vec<Resource> {
    use super::value::{items, text};
    let names = |key: &str| text(crd, &format!("/spec/names/{key}")).to_owned();
    let texts = |pointer: &str| {
        items(crd, pointer).iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let (group, kind) = (text(crd, "/spec/group"), names("kind"));
    let or = |text: String, other: String| if text.is_empty() { other } else { text };
    let versions = items(crd, "/spec/versions");
    let stored = versions.iter().find(|one| one.get("storage") == Some(&Value::Bool(true)));
    let stored = stored.map_or("", |one| text(one, "/name"));
    let served = versions.iter().filter(|one| one.get("served") == Some(&Value::Bool(true)));
    let verbs = "delete,deletecollection,get,list,patch,create,update,watch";
    served
        .map(|version| {
            let name = text(version, "/name");
            let mut subresources = Vec::new();
            let verbs_of_sub = list("get,patch,update");
            if version.pointer("/subresources/status").is_some() {
                subresources.push(Subresource {
                    name: "status".to_owned(),
                    group: String::new(),
                    version: String::new(),
                    kind: kind.clone(),
                    verbs: verbs_of_sub.clone(),
                });
            }
            if version.pointer("/subresources/scale").is_some() {
                subresources.push(Subresource {
                    name: "scale".to_owned(),
                    group: "autoscaling".to_owned(),
                    version: "v1".to_owned(),
                    kind: "Scale".to_owned(),
                    verbs: verbs_of_sub,
                });
            }
            Resource {
                group: group.to_owned(),
                version: name.to_owned(),
                plural: names("plural"),
                singular: or(names("singular"), kind.to_lowercase()),
                list_kind: or(names("listKind"), format!("{kind}List")),
                kind: kind.clone(),
                namespaced: text(crd, "/spec/scope") == "Namespaced",
                verbs: list(verbs),
                short_names: texts("/spec/names/shortNames"),
                categories: texts("/spec/names/categories"),
                subresources,
                storage: join(&names("plural"), group).into(),
                storage_api_version: api_version(group, stored),
                known: None,
                custom: Some(Arc::new(Custom::new(crd, version))),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_a_resource() {
        let registry = Registry::built_in();
        let lines = TABLE.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(registry.all().len(), lines);
        let deployments = registry.find("apps", "v1", "deployments").unwrap();
        assert_eq!(deployments.qualified_kind(), "Deployment.apps");
        assert!(deployments.has_status() && deployments.has_generation());
        assert!(deployments.subresource("scale").is_some_and(|scale| scale.kind == "Scale"));
        let untyped: Vec<_> =
            registry.all().iter().filter(|one| one.known.is_none()).map(|one| &one.kind).collect();
        assert!(untyped.is_empty(), "{untyped:?}");
    }
}
