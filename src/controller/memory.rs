//! What is remembered of a release beside its status: versions that failed, the constraint under
//! which the running version was chosen, the commits that versions came from, what was told.
//!
//! It lives in a ConfigMap beside the `HelmRelease`, so that it survives restarts, a re-apply from
//! Git, the truncation of the history, and CRDs that prune unknown status fields.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::tree_chart::{Origin, Origins, Template};
use crate::api::crd::HELM_RELEASE_API;
use crate::api::{AvailableUpdates, HelmRelease, Snapshot};
use crate::cluster::{ApplyOptions, Cluster, Error, Object, ObjectId};
use crate::policy::Quarantine;

/// Key of the ConfigMap's data.
const KEY: &str = "memory.json";
/// Field manager of the ConfigMap.
const MANAGER: &str = "leadsman";

/// What is remembered of one release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// Constraint under which the running version was chosen; empty: none was yet.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub constraint: String,
    /// Version that Leadsman takes, or took last, by itself; empty after a change of the user.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub automatic: String,
    /// Where versions came from, of charts in Git.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub origins: Origins,
    /// How often the chart was described anew, of one in Git with values files.
    #[serde(skip_serializing_if = "Template::is_unset")]
    pub template: Template,
    /// Versions that failed.
    pub quarantine: Quarantine,
    /// What was told of newer versions.
    #[serde(skip_serializing_if = "Told::is_nothing")]
    pub told: Told,
}

impl Memory {
    /// Forgets versions that failed under another wish or with other values.
    pub(super) fn forgive(&mut self, constraint: &str, config_digest: &str) {
        let quarantine = std::mem::take(&mut self.quarantine);
        self.quarantine = quarantine.still_valid(constraint, config_digest);
    }

    /// Remembers where a version comes from, and of the others only where those came from that a
    /// history knows.
    pub(super) fn comes_from(&mut self, history: &[Snapshot], origin: Option<(String, Origin)>) {
        let ran: Vec<_> = history.iter().map(|entry| &entry.chart_version).collect();
        self.origins.retain(|version, _| ran.contains(&version));
        self.origins.extend(origin);
    }
}

/// What was told of newer versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Told {
    /// Versions that an event told of, the latest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
    /// What the status was given last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updates: Option<AvailableUpdates>,
    /// Whether the status did not keep it: its CRD has no such field.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dropped: bool,
}

impl Told {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// Name of the ConfigMap of a release.
pub fn id(namespace: &str, release: &str) -> ObjectId {
    ObjectId::new("v1", "ConfigMap", namespace, &format!("leadsman-{release}"))
}

/// Reads the memory of a release; an unreadable one counts as empty, and is said.
///
/// # Errors
/// The API cannot be asked.
pub async fn read(cluster: &Cluster, namespace: &str, release: &str) -> Result<Memory, Error> {
    let Some(found) = cluster.get(&id(namespace, release)).await? else {
        return Ok(Memory::default());
    };
    let text = found.0.pointer(&format!("/data/{KEY}")).and_then(|v| v.as_str()).unwrap_or("{}");
    Ok(serde_json::from_str(text).unwrap_or_else(|error| {
        tracing::warn!(namespace, release, %error, "what was remembered of the release is unreadable");
        Memory::default()
    }))
}

/// Writes the memory of a release. It goes when the `HelmRelease` goes.
///
/// # Errors
/// The API refuses.
pub async fn write(cluster: &Cluster, release: &HelmRelease, memory: &Memory) -> Result<(), Error> {
    let meta = &release.metadata;
    let text = serde_json::to_string(memory).unwrap_or_default();
    let object = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": id(&meta.namespace, &meta.name).name,
            "namespace": meta.namespace,
            "labels": {"app.kubernetes.io/managed-by": "leadsman"},
            "ownerReferences": [{
                "apiVersion": HELM_RELEASE_API,
                "kind": "HelmRelease",
                "name": meta.name,
                "uid": meta.uid,
            }],
        },
        "data": {KEY: text},
    });
    let cluster = cluster.with_manager(MANAGER);
    cluster.apply(&Object(object), &ApplyOptions::forced()).await.map(drop)
}
