//! `OCIRepository`: one artifact of a registry, by tag, range or digest.

use serde::{Deserialize, Serialize};

use super::helm_repository::{Artifact, LocalRef};
use super::verification::Verification;
use super::{Condition, Meta};
use crate::base::duration::GoDuration;

/// A `source.toolkit.fluxcd.io/v1` `OCIRepository`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct OciRepository {
    /// Name and bookkeeping.
    pub metadata: Meta,
    /// What the user wants.
    pub spec: OciRepositorySpec,
    /// What was seen.
    pub status: OciRepositoryStatus,
}

/// What the user wants of an artifact.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OciRepositorySpec {
    /// The repository, `oci://…`, without a tag.
    pub url: String,
    /// Which artifact of it (the tag `latest` when absent).
    #[serde(rename = "ref")]
    pub reference: Option<OciReference>,
    /// Which part of it.
    pub layer_selector: Option<LayerSelector>,
    /// Whose credentials are used without a Secret.
    pub provider: String,
    /// Secret with `.dockerconfigjson`.
    pub secret_ref: Option<LocalRef>,
    /// Account whose pull secrets are used.
    pub service_account_name: String,
    /// Secret with `ca.crt`, `tls.crt`, `tls.key`.
    pub cert_secret_ref: Option<LocalRef>,
    /// Secret with the address of a proxy.
    pub proxy_secret_ref: Option<LocalRef>,
    /// Signature check.
    pub verify: Option<Verification>,
    /// How often the registry is asked.
    pub interval: Option<GoDuration>,
    /// Limit of one request (60s when absent).
    pub timeout: Option<GoDuration>,
    /// Files that are left out.
    pub ignore: Option<String>,
    /// Whether the registry is asked without TLS.
    pub insecure: bool,
    /// Whether nothing is fetched.
    pub suspend: bool,
}

impl OciRepositorySpec {
    /// Returns the fields that are set and not supported.
    pub fn unsupported(&self) -> Vec<&'static str> {
        let others = !matches!(self.provider.as_str(), "" | "generic");
        let provider = others && self.secret_ref.is_none();
        provider.then_some("spec.provider").into_iter().collect()
    }

    /// Returns whether the layer is taken as it is: rules by which files are left out do not count
    /// then, as for Flux.
    pub fn is_copied(&self) -> bool {
        self.layer_selector.as_ref().is_some_and(|selector| selector.operation == "copy")
    }
}

/// Which artifact; a digest counts before a range, and that before a tag.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OciReference {
    /// Digest.
    pub digest: String,
    /// Range of versions.
    pub semver: String,
    /// Regular expression for the tags that are looked at.
    pub semver_filter: String,
    /// Tag.
    pub tag: String,
}

/// Which part of an artifact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LayerSelector {
    /// Media type of the layer (the first layer when empty).
    pub media_type: String,
    /// `extract` or `copy`.
    pub operation: String,
}

/// What was seen of an artifact.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OciRepositoryStatus {
    /// Generation that was finished last; -1 at first.
    pub observed_generation: i64,
    /// Conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Where the newest artifact is served.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// The artifact that is in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// The rules by which files of it were left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_ignore: Option<String>,
    /// The part that is in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_layer_selector: Option<LayerSelector>,
    /// Last request that was answered.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_handled_reconcile_at: String,
}
