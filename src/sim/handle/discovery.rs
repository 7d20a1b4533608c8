//! Discovery: versions, groups, resources; one by one or aggregated.

use serde_json::json;

use super::Reply;
use crate::sim::request::{Form, Request, Target, accepted};
use crate::sim::resource::{Registry, Resource, api_version};
use crate::yaml::Value;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const PLAIN: &str = "application/json";

/// Answers `/version`.
pub(super) fn version() -> Reply {
    Reply::json(
        200,
        &json!({
            "major": "1", "minor": "34", "emulationMajor": "1", "emulationMinor": "34",
            "minCompatibilityMajor": "1", "minCompatibilityMinor": "33", "gitVersion": "v1.34.2",
            "gitCommit": "0000000000000000000000000000000000000000", "gitTreeState": "clean",
            "buildDate": "1970-01-01T00:00:00Z", "goVersion": "go1.26.8", "compiler": "gc",
            "platform": "linux/amd64",
        }),
    )
}

/// Answers `/api`, `/apis` and what is below, up to the lists of resources.
pub(super) fn answer(registry: &Registry, request: &Request) -> Option<Reply> {
    let aggregated = accepted(&request.accept) == Some(Form::Discovery);
    let body = match &request.target {
        Target::CoreVersions if aggregated => aggregate(registry, true),
        Target::Groups if aggregated => aggregate(registry, false),
        Target::CoreVersions => json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}],
        }),
        Target::Groups => {
            let names = group_names(registry).into_iter().filter(|name| !name.is_empty());
            let groups: Vec<_> = names.map(|name| group(registry, &name)).collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        }
        Target::Group(name) => {
            if !group_names(registry).contains(name) {
                return None;
            }
            let mut group = group(registry, name);
            group["kind"] = "APIGroup".into();
            group["apiVersion"] = "v1".into();
            group
        }
        Target::Resources(name, version) => {
            let rows: Vec<_> = of_version(registry, name, version).flat_map(rows).collect();
            if rows.is_empty() {
                return None;
            }
            let kind = "APIResourceList";
            json!({"kind": kind, "apiVersion": "v1", "groupVersion": api_version(name, version), "resources": rows})
        }
        _ => return None,
    };
    let aggregated = aggregated && matches!(request.target, Target::CoreVersions | Target::Groups);
    let media = if aggregated { AGGREGATED } else { PLAIN };
    Some(Reply::Document { media, body: serde_json::to_vec(&body).unwrap_or_default().into() })
}

/// Returns the groups in their order, each once.
fn group_names(registry: &Registry) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for resource in registry.all() {
        if !names.contains(&resource.group) {
            names.push(resource.group.clone());
        }
    }
    names
}

/// Returns the versions of a group, the preferred one first.
fn versions(registry: &Registry, group: &str) -> Vec<String> {
    let mut versions: Vec<String> = Vec::new();
    for resource in registry.all().iter().filter(|one| one.group == group) {
        if !versions.contains(&resource.version) {
            versions.push(resource.version.clone());
        }
    }
    versions.sort_by_key(|version| std::cmp::Reverse(rank(version)));
    versions
}

/// Orders versions as Kubernetes prefers them: `v2` over `v1` over `v1beta1` over `v1alpha1`.
fn rank(version: &str) -> (u8, u64, u64) {
    let rest = version.trim_start_matches('v');
    for (stability, word) in [(1, "beta"), (0, "alpha")] {
        if let Some((major, minor)) = rest.split_once(word) {
            return (
                stability,
                major.parse().unwrap_or_default(),
                minor.parse().unwrap_or_default(),
            );
        }
    }
    (2, rest.parse().unwrap_or_default(), 0)
}

fn of_version<'r>(
    registry: &'r Registry,
    group: &'r str,
    version: &'r str,
) -> impl Iterator<Item = &'r Resource> {
    let all = registry.all().iter().map(std::convert::AsRef::as_ref);
    all.filter(move |one: &&Resource| one.group == group && one.version == version)
}

fn group(registry: &Registry, name: &str) -> Value {
    let versions = versions(registry, name).into_iter();
    let versions: Vec<_> = versions
        .map(|version| json!({"groupVersion": api_version(name, &version), "version": version}))
        .collect();
    json!({"name": name, "preferredVersion": versions.first(), "versions": versions})
}

fn rows(resource: &Resource) -> Vec<Value> {
    let mut first = json!({
        "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
        "kind": resource.kind, "verbs": resource.verbs,
    });
    if !resource.short_names.is_empty() {
        first["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        first["categories"] = json!(resource.categories);
    }
    let mut rows = vec![first];
    for door in &resource.subresources {
        let mut row = json!({
            "name": format!("{}/{}", resource.plural, door.name), "singularName": "",
            "namespaced": resource.namespaced, "kind": door.kind, "verbs": door.verbs,
        });
        if !door.group.is_empty() || !door.version.is_empty() {
            row["group"] = door.group.as_str().into();
            row["version"] = door.version.as_str().into();
        }
        rows.push(row);
    }
    rows
}

fn kind_of(group: &str, version: &str, kind: &str) -> Value {
    json!({"group": group, "version": version, "kind": kind})
}

fn aggregated_row(resource: &Resource) -> Value {
    let mut row = json!({
        "resource": resource.plural,
        "responseKind": kind_of("", "", &resource.kind),
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": resource.verbs,
    });
    if !resource.short_names.is_empty() {
        row["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        row["categories"] = json!(resource.categories);
    }
    let doors: Vec<_> = resource
        .subresources
        .iter()
        .map(|door| {
            json!({"subresource": door.name, "responseKind": kind_of(&door.group, &door.version, &door.kind),
                "verbs": door.verbs})
        })
        .collect();
    if !doors.is_empty() {
        row["subresources"] = doors.into();
    }
    row
}

fn aggregate(registry: &Registry, core: bool) -> Value {
    let names = group_names(registry).into_iter().filter(|name| name.is_empty() == core);
    let items: Vec<_> = names
        .map(|name| {
            let versions: Vec<_> = versions(registry, &name)
                .into_iter()
                .map(|version| {
                    let rows: Vec<_> =
                        of_version(registry, &name, &version).map(aggregated_row).collect();
                    json!({"version": version, "freshness": "Current", "resources": rows})
                })
                .collect();
            let metadata = if core { json!({}) } else { json!({"name": name}) };
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}
