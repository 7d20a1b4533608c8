//! What Leadsman writes about a release: status, history, inventory.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Condition;
use crate::yaml::Value;

/// `status` of a `HelmRelease`: Flux's fields, and one more.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HelmReleaseStatus {
    /// Generation that was finished last; -1 at first.
    pub observed_generation: i64,
    /// Digest of `spec.postRenderers` (empty when unset).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub observed_post_renderers_digest: String,
    /// Digest of `spec.commonMetadata` (empty when unset).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub observed_common_metadata_digest: String,
    /// Generation of the last attempt.
    #[serde(skip_serializing_if = "is_zero")]
    pub last_attempted_generation: i64,
    /// Conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// `HelmChart` of Flux's source-controller (cleared when Leadsman takes over).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub helm_chart: String,
    /// Namespace of the records; empty: nothing was ever installed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub storage_namespace: String,
    /// Newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Snapshot>,
    /// Objects of the release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Inventory>,
    /// `install` or `upgrade`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_attempted_release_action: String,
    /// Wall time of it, as Go prints it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_attempted_release_action_duration: String,
    /// Failed actions.
    #[serde(skip_serializing_if = "is_zero")]
    pub failures: i64,
    /// Failed installs that left a record.
    #[serde(skip_serializing_if = "is_zero")]
    pub install_failures: i64,
    /// Failed upgrades that left a record.
    #[serde(skip_serializing_if = "is_zero")]
    pub upgrade_failures: i64,
    /// Chart version of the last attempt.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_attempted_revision: String,
    /// Digest of the source of the last attempt, of an `OCIRepository`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_attempted_revision_digest: String,
    /// Digest of the composed values of the last attempt.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_attempted_config_digest: String,
    /// Last value of the request annotation that was handled.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_handled_reconcile_at: String,
    /// Last value of the force annotation that was seen.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_handled_force_at: String,
    /// Last value of the reset annotation that was seen.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_handled_reset_at: String,
    /// Newer versions than the one that runs; absent without any. Not a field of Flux's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_updates: Option<AvailableUpdates>,
}

/// The newest versions above the one that runs, by the size of the step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AvailableUpdates {
    /// The newest patch.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub patch: String,
    /// The newest minor version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub minor: String,
    /// The newest major version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub major: String,
    /// Whether the version that runs is deprecated.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deprecated: bool,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// One entry of the history: what a stored record was when Leadsman wrote it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Snapshot {
    /// Version of the digest's rules: `v2`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// Digest of the record.
    pub digest: String,
    /// Release name.
    pub name: String,
    /// Release namespace.
    pub namespace: String,
    /// Revision.
    pub version: u32,
    /// Helm's status word.
    pub status: String,
    /// What made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// Chart.
    pub chart_name: String,
    /// Version of the chart.
    pub chart_version: String,
    /// Version of the application.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub app_version: String,
    /// Digest of the values.
    pub config_digest: String,
    /// First deployment of the release.
    pub first_deployed: String,
    /// This deployment.
    pub last_deployed: String,
    /// Deletion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<String>,
    /// Results of chart tests; absent and empty differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_hooks: Option<BTreeMap<String, Value>>,
    /// Digest of an OCI source.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub oci_digest: String,
}

/// What made a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// First revision, or after an uninstall.
    Install,
    /// Next revision.
    Upgrade,
    /// Return to an earlier one.
    Rollback,
    /// Removal.
    Uninstall,
    /// Removal because an action failed.
    UninstallRemediation,
}

/// Objects of a release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Inventory {
    /// Entries, in manifest order.
    pub entries: Vec<InventoryEntry>,
}

/// One object of a release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InventoryEntry {
    /// `<namespace>_<name>_<group>_<kind>`.
    pub id: String,
    /// Version of its API.
    pub v: String,
}
