//! The shapes of Flux's objects: `HelmRepository`, `OCIRepository`, `GitRepository`, `Bucket`,
//! `ExternalArtifact`, `HelmChart` and `HelmRelease`, and their CRDs.
//!
//! Invariants: plain data, no I/O; what a user may write is read leniently (unknown fields are
//! ignored, as an API server does), what Leadsman writes is exactly what Flux writes. Fields that
//! this version does not act on are listed by [`HelmReleaseSpec::unsupported`], so that they are
//! refused aloud and never ignored in silence.
//!
//! Mirrors: `helm.toolkit.fluxcd.io/v2` and `source.toolkit.fluxcd.io/v1`.

pub mod annotation;
mod bucket;
pub mod condition;
pub mod crd;
mod external_artifact;
#[cfg(test)]
mod fields;
mod git_repository;
mod helm_chart;
mod helm_release;
mod helm_repository;
mod oci_repository;
mod post_renderer;
mod status;
mod verification;

pub use bucket::{Bucket, BucketSpec, BucketStatus};
pub use condition::Condition;
pub use external_artifact::{ExternalArtifact, ExternalArtifactStatus};
pub use git_repository::{
    GitInclude, GitReference, GitRepository, GitRepositorySpec, GitRepositoryStatus,
    GitVerification, VerificationMode,
};
pub use helm_chart::{HelmChart, HelmChartSpec, HelmChartStatus};
pub use helm_release::{
    ChartSpec, ChartTemplate, CrdPolicy, Dependency, DriftDetection, DriftIgnore, DriftMode,
    HealthCheckExpr, HelmRelease, HelmReleaseSpec, Install, KubeConfigMap, KubeConfigReference,
    KubeConfigSecret, Remediation, RemediationStrategy, Rollback, Selector, ServerSideApply,
    SourceRef, Strategy, StrategyName, Test, TestFilter, Uninstall, Upgrade, ValuesReference,
};
pub use helm_repository::{
    Artifact, HelmRepository, HelmRepositorySpec, HelmRepositoryStatus, LocalRef,
};
pub use oci_repository::{
    LayerSelector, OciReference, OciRepository, OciRepositorySpec, OciRepositoryStatus,
};
pub use post_renderer::{
    CommonMetadata, Image, Kustomize, Patch, PostRenderStrategy, PostRenderer,
};
pub use status::{
    Action, AvailableUpdates, HelmReleaseStatus, Inventory, InventoryEntry, Snapshot,
};
pub use verification::{OidcIdentity, Verification};

use serde::{Deserialize, Serialize};

/// The part of `metadata` that Leadsman reads.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Unique identity.
    pub uid: String,
    /// Version of the stored object.
    pub resource_version: String,
    /// Counts changes of the spec.
    pub generation: i64,
    /// Set once the object is to be deleted.
    pub deletion_timestamp: Option<String>,
    /// Creation time.
    pub creation_timestamp: Option<String>,
    /// What must be done before deletion.
    pub finalizers: Vec<String>,
    /// Annotations.
    pub annotations: std::collections::BTreeMap<String, String>,
    /// Labels.
    pub labels: std::collections::BTreeMap<String, String>,
}

impl Meta {
    /// Returns the value of an annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).map(String::as_str)
    }

    /// Returns the object's name within its namespace.
    pub fn key(&self) -> crate::base::name::NamespacedName {
        crate::base::name::NamespacedName::new(&self.namespace, &self.name)
    }
}
