//! A Kubernetes object as plain data, and its identity.

use std::fmt;

use super::error::Error;
use crate::yaml::{Map, Value};

/// One Kubernetes resource as plain JSON.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Object(pub Value);

/// What names an object. `Display` is Flux's: `Kind/namespace/name`, `Kind/name` for an object
/// without namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ObjectId {
    /// API group; empty for the core group.
    pub group: String,
    /// Version inside the group.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ObjectId {
    /// Returns the identity of an object of `api_version` (`v1`, `apps/v1`).
    pub fn new(api_version: &str, kind: &str, namespace: &str, name: &str) -> Self {
        let (group, version) = split_api_version(api_version);
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// Returns `group/version`, or `version` alone for the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Refuses what would mean all objects of a kind.
    pub(super) fn check_named(&self) -> Result<(), Error> {
        match self.name.is_empty() {
            true => Err(Error::Request("resource name may not be empty".to_owned())),
            false => Ok(()),
        }
    }

    /// Returns whether both name the same object; the version does not matter.
    pub fn same(&self, other: &Self) -> bool {
        self.key() == other.key()
    }

    /// Returns group, kind, namespace and name: the identity without the version.
    pub fn key(&self) -> (&str, &str, &str, &str) {
        (&self.group, &self.kind, &self.namespace, &self.name)
    }

    /// Returns the kind as Go prints it in Helm's messages: `/v1, Kind=ConfigMap`.
    pub fn go_kind(&self) -> String {
        format!("{}/{}, Kind={}", self.group, self.version, self.kind)
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{}/{}", self.kind, self.name)
        } else {
            write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// Splits `apps/v1` into group and version; `v1` has the empty group.
pub(crate) fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.rsplit_once('/').unwrap_or(("", api_version))
}

impl From<Value> for Object {
    fn from(value: Value) -> Self {
        Self(value)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        object.0
    }
}

impl Object {
    /// Returns the identity.
    pub fn id(&self) -> ObjectId {
        ObjectId::new(self.api_version(), self.kind(), self.namespace(), self.name())
    }

    /// Returns `apiVersion`, or an empty text.
    pub fn api_version(&self) -> &str {
        self.text("/apiVersion")
    }

    /// Returns the API group; empty for the core group.
    pub fn group(&self) -> &str {
        split_api_version(self.api_version()).0
    }

    /// Returns `kind`, or an empty text.
    pub fn kind(&self) -> &str {
        self.text("/kind")
    }

    /// Returns `metadata.name`, or an empty text.
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// Returns `metadata.namespace`, or an empty text.
    pub fn namespace(&self) -> &str {
        self.text("/metadata/namespace")
    }

    /// Returns `metadata.resourceVersion`, or an empty text.
    pub fn resource_version(&self) -> &str {
        self.text("/metadata/resourceVersion")
    }

    /// Returns `metadata.uid`, or an empty text.
    pub fn uid(&self) -> &str {
        self.text("/metadata/uid")
    }

    /// Lets go who manages which fields: often more than the object itself, and nothing to who only
    /// watches how it fares.
    pub fn forget_managers(&mut self) {
        if let Some(metadata) = self.0.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
    }

    /// Returns `metadata.generation`.
    pub fn generation(&self) -> Option<i64> {
        self.at("/metadata/generation").and_then(Value::as_i64)
    }

    /// Returns whether a deletion was asked for and is not finished.
    pub fn is_deleting(&self) -> bool {
        !self.text("/metadata/deletionTimestamp").is_empty()
    }

    /// Returns a label's value.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.at("/metadata/labels")?.get(key)?.as_str()
    }

    /// Returns an annotation's value.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.at("/metadata/annotations")?.get(key)?.as_str()
    }

    /// Sets a label.
    pub fn set_label(&mut self, key: &str, value: &str) {
        if let Some(labels) = self.metadata_map("labels") {
            labels.insert(key.to_owned(), value.into());
        }
    }

    /// Sets an annotation.
    pub fn set_annotation(&mut self, key: &str, value: &str) {
        if let Some(annotations) = self.metadata_map("annotations") {
            annotations.insert(key.to_owned(), value.into());
        }
    }

    /// Sets `metadata.namespace`; an empty text removes it.
    pub fn set_namespace(&mut self, namespace: &str) {
        if let Some(metadata) = child(&mut self.0, "metadata") {
            if namespace.is_empty() {
                metadata.remove("namespace");
            } else {
                metadata.insert("namespace".to_owned(), namespace.into());
            }
        }
    }

    /// Returns the value at a JSON pointer.
    pub fn at(&self, pointer: &str) -> Option<&Value> {
        self.0.pointer(pointer)
    }

    /// Returns the text at a JSON pointer; empty if there is none.
    pub fn text(&self, pointer: &str) -> &str {
        self.at(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    fn metadata_map(&mut self, name: &str) -> Option<&mut Map> {
        let metadata = child(&mut self.0, "metadata")?;
        let slot = metadata.entry(name).or_insert(Value::Null);
        if slot.is_null() {
            *slot = Value::Object(Map::new());
        }
        slot.as_object_mut()
    }
}

/// Returns a map below a map, made if it is absent or null.
fn child<'a>(value: &'a mut Value, name: &str) -> Option<&'a mut Map> {
    let slot = value.as_object_mut()?.entry(name).or_insert(Value::Null);
    if slot.is_null() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn identities_print_as_flux_prints_them() {
        let deployment = ObjectId::new("apps/v1", "Deployment", "prod", "web");
        assert_eq!(deployment.to_string(), "Deployment/prod/web");
        assert_eq!(deployment.go_kind(), "apps/v1, Kind=Deployment");
        assert_eq!(deployment.api_version(), "apps/v1");
        let role = ObjectId::new("rbac.authorization.k8s.io/v1", "ClusterRole", "", "r");
        assert_eq!(role.to_string(), "ClusterRole/r");
        assert_eq!(ObjectId::new("v1", "ConfigMap", "", "x").go_kind(), "/v1, Kind=ConfigMap");
        assert!(deployment.same(&ObjectId::new("apps/v1beta1", "Deployment", "prod", "web")));
    }

    #[test]
    fn metadata_is_made_where_it_is_missing() {
        let mut object = Object(json!({"metadata": {"labels": null, "namespace": "x"}}));
        object.set_label("a", "b");
        object.set_annotation("c", "d");
        object.set_namespace("");
        assert_eq!(
            object.0,
            json!({"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}})
        );
        assert_eq!(object.label("a"), Some("b"));
        assert_eq!(object.annotation("x"), None);
    }
}
