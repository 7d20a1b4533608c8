//! `HelmRepository`: where charts come from, and how often the index is fetched.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Condition, Meta};
use crate::base::duration::GoDuration;

/// A `source.toolkit.fluxcd.io/v1` `HelmRepository`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct HelmRepository {
    /// Name and bookkeeping.
    pub metadata: Meta,
    /// What the user wants.
    pub spec: HelmRepositorySpec,
    /// What was seen.
    pub status: HelmRepositoryStatus,
}

/// What the user wants of a repository.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "Flux's fields")]
pub struct HelmRepositorySpec {
    /// Root of the repository, `http://` or `https://`; of a registry, `oci://` with a path.
    pub url: String,
    /// `default` (or empty), or `oci`.
    #[serde(rename = "type")]
    pub kind: String,
    /// How often the index is fetched (1m when absent).
    pub interval: Option<GoDuration>,
    /// Limit of one request (60s when absent).
    pub timeout: Option<GoDuration>,
    /// Secret with `username` and `password`.
    pub secret_ref: Option<LocalRef>,
    /// Secret with `ca.crt`, `tls.crt`, `tls.key`.
    pub cert_secret_ref: Option<LocalRef>,
    /// Whether a registry is asked without TLS.
    pub insecure: bool,
    /// Whose credentials a registry is asked with where no Secret is named.
    pub provider: String,
    /// Whether user and password also go to other hosts.
    pub pass_credentials: bool,
    /// Whether nothing is fetched.
    pub suspend: bool,
}

impl HelmRepositorySpec {
    /// Returns whether it stands for a registry, which has no index.
    pub fn is_oci(&self) -> bool {
        self.kind == "oci"
    }
}

/// The name of an object in the same namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LocalRef {
    /// Name.
    pub name: String,
}

/// What was seen of a repository.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HelmRepositoryStatus {
    /// Generation that was finished last; -1 at first.
    pub observed_generation: i64,
    /// Conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Where the newest index is served.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// The index that is in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// Last request that was answered.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_handled_reconcile_at: String,
}

/// What a source has for others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Artifact {
    /// `<kind>/<namespace>/<name>/<file>`: where it is in storage.
    pub path: String,
    /// Where it is served; without storage, where it comes from.
    pub url: String,
    /// What it is, in a form that each kind has of its own.
    pub revision: String,
    /// Its digest.
    pub digest: String,
    /// When it was stored.
    pub last_update_time: String,
    /// Size in bytes.
    pub size: u64,
    /// What its manifest says of it, of an `OCIRepository`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}
