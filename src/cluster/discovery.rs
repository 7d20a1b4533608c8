//! Which kinds an API server serves, and under which paths.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use serde_json::Value;

use super::error::Error;
use super::object::split_api_version;
use super::transport::{Call, send_json};

const AGGREGATED: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

/// A kind as one API server serves it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Resource {
    /// `group/version`, or `version` for the core group.
    pub api_version: String,
    /// Kind, such as `Deployment`.
    pub kind: String,
    /// Name in paths, such as `deployments`.
    pub plural: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

impl Resource {
    /// Returns the path of the collection, of one object, or of its subresource. An empty
    /// `namespace` means all namespaces (or none, for cluster-scoped kinds).
    pub(crate) fn path(&self, namespace: &str, name: &str, subresource: &str) -> String {
        let mut path = group_version_path(&self.api_version);
        if self.namespaced && !namespace.is_empty() {
            path.push_str("/namespaces/");
            path.push_str(namespace);
        }
        for part in [self.plural.as_str(), name, subresource] {
            if !part.is_empty() {
                path.push('/');
                path.push_str(part);
            }
        }
        path
    }
}

fn group_version_path(api_version: &str) -> String {
    let root = if api_version.contains('/') { "/apis/" } else { "/api/" };
    format!("{root}{api_version}")
}

/// The version of an API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerVersion {
    /// Such as `v1.34.2`.
    pub git_version: String,
    /// Such as `1`.
    pub major: String,
    /// Such as `34`.
    pub minor: String,
}

/// Everything an API server serves, read at one moment.
#[derive(Debug, Default)]
pub(crate) struct Discovery {
    resources: HashMap<(String, String), Resource>,
    preferred: HashMap<(String, String), String>,
    api_versions: BTreeSet<String>,
}

impl Discovery {
    /// Reads aggregated discovery (two requests), or what older servers offer.
    pub(crate) async fn read(client: &kube::Client, patience: Duration) -> Result<Self, Error> {
        let ask = |path: &str| Call { accept: AGGREGATED, ..Call::read(path.to_owned()) };
        let core = ask("/api");
        let groups = ask("/apis");
        let (core, groups) = futures::future::try_join(
            send_json(client, &core, patience),
            send_json(client, &groups, patience),
        )
        .await?;
        let mut found = Self::default();
        for list in [&core, &groups] {
            if list["kind"] == "APIGroupDiscoveryList" {
                found.add_aggregated(list);
            } else {
                for api_version in legacy_versions(list) {
                    let call = Call::read(group_version_path(&api_version));
                    match send_json(client, &call, patience).await {
                        Ok(resources) => found.add_legacy(&api_version, &resources),
                        // One broken aggregated API server must not hide all the others.
                        Err(error) if error.code().is_some() => {
                            tracing::warn!(api_version, %error, "API group cannot be read");
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        Ok(found)
    }

    pub(crate) fn resource(&self, api_version: &str, kind: &str) -> Option<&Resource> {
        self.resources.get(&(api_version.to_owned(), kind.to_owned()))
    }

    /// Returns the kind in the group's preferred version that has it.
    pub(crate) fn preferred(&self, group: &str, kind: &str) -> Option<&Resource> {
        let api_version = self.preferred.get(&(group.to_owned(), kind.to_owned()))?;
        self.resource(api_version, kind)
    }

    pub(crate) fn api_versions(&self) -> Vec<String> {
        self.api_versions.iter().cloned().collect()
    }

    fn add_aggregated(&mut self, list: &Value) {
        for group in items(list, "items") {
            let name = text(&group["metadata"], "name");
            for version in items(group, "versions") {
                let version_name = text(version, "version");
                let api_version = if name.is_empty() {
                    version_name.to_owned()
                } else {
                    format!("{name}/{version_name}")
                };
                self.api_versions.insert(api_version.clone());
                for resource in items(version, "resources") {
                    self.add(
                        &api_version,
                        text(&resource["responseKind"], "kind"),
                        text(resource, "resource"),
                        text(resource, "scope") == "Namespaced",
                    );
                    for sub in items(resource, "subresources") {
                        let kind = text(&sub["responseKind"], "kind");
                        self.api_versions.insert(format!("{api_version}/{kind}"));
                    }
                }
            }
        }
    }

    fn add_legacy(&mut self, api_version: &str, list: &Value) {
        self.api_versions.insert(api_version.to_owned());
        for resource in items(list, "resources") {
            let (kind, plural) = (text(resource, "kind"), text(resource, "name"));
            if plural.contains('/') {
                self.api_versions.insert(format!("{api_version}/{kind}"));
            } else {
                let namespaced = resource["namespaced"] == Value::Bool(true);
                self.add(api_version, kind, plural, namespaced);
            }
        }
    }

    fn add(&mut self, api_version: &str, kind: &str, plural: &str, namespaced: bool) {
        if kind.is_empty() || plural.is_empty() {
            return;
        }
        self.api_versions.insert(format!("{api_version}/{kind}"));
        let group = split_api_version(api_version).0.to_owned();
        // Versions come in the order of preference.
        let preferred = self.preferred.entry((group, kind.to_owned()));
        preferred.or_insert_with(|| api_version.to_owned());
        let resource = Resource {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
            namespaced,
        };
        self.resources.entry((api_version.to_owned(), kind.to_owned())).or_insert(resource);
    }
}

/// Returns the group-versions of `APIVersions` (core) or `APIGroupList`.
fn legacy_versions(list: &Value) -> Vec<String> {
    if list["kind"] == "APIVersions" {
        return items(list, "versions").filter_map(|v| Some(v.as_str()?.to_owned())).collect();
    }
    items(list, "groups")
        .flat_map(|group| items(group, "versions"))
        .map(|version| text(version, "groupVersion").to_owned())
        .collect()
}

fn items<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_forms_of_discovery_give_the_same() {
        let mut aggregated = Discovery::default();
        aggregated.add_aggregated(&json!({"items": [{"metadata": {"name": "apps"}, "versions": [
            {"version": "v1", "resources": [{"resource": "deployments", "scope": "Namespaced",
             "responseKind": {"kind": "Deployment"},
             "subresources": [{"subresource": "scale", "responseKind": {"kind": "Scale"}}]}]},
            {"version": "v1beta1", "resources": [{"resource": "deployments", "scope": "Namespaced",
             "responseKind": {"kind": "Deployment"}}]}]}]}));
        let mut legacy = Discovery::default();
        legacy.add_legacy(
            "apps/v1",
            &json!({"resources": [
            {"name": "deployments", "kind": "Deployment", "namespaced": true},
            {"name": "deployments/scale", "kind": "Scale", "namespaced": true}]}),
        );
        legacy.add_legacy(
            "apps/v1beta1",
            &json!({"resources": [
            {"name": "deployments", "kind": "Deployment", "namespaced": true}]}),
        );
        for found in [&aggregated, &legacy] {
            let resource = found.resource("apps/v1", "Deployment").unwrap();
            assert_eq!(
                resource.path("ns", "web", "scale"),
                "/apis/apps/v1/namespaces/ns/deployments/web/scale"
            );
            assert_eq!(resource.path("", "", ""), "/apis/apps/v1/deployments");
            assert_eq!(found.preferred("apps", "Deployment").unwrap().api_version, "apps/v1");
            let wanted = [
                "apps/v1",
                "apps/v1/Deployment",
                "apps/v1/Scale",
                "apps/v1beta1",
                "apps/v1beta1/Deployment",
            ];
            assert_eq!(found.api_versions(), wanted);
            assert!(found.resource("apps/v1", "Scale").is_none());
        }
        let groups =
            json!({"kind": "APIGroupList", "groups": [{"versions": [{"groupVersion": "a/v1"}]}]});
        assert_eq!(legacy_versions(&groups), ["a/v1"]);
        assert_eq!(legacy_versions(&json!({"kind": "APIVersions", "versions": ["v1"]})), ["v1"]);
    }
}
