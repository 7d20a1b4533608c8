//! The CRDs of all kinds, as Flux defines them.

/// `buckets.source.toolkit.fluxcd.io`.
pub const BUCKET: &str = include_str!("crds/bucket.yaml");
/// `externalartifacts.source.toolkit.fluxcd.io`.
pub const EXTERNAL_ARTIFACT: &str = include_str!("crds/externalartifact.yaml");
/// `helmcharts.source.toolkit.fluxcd.io`.
pub const HELM_CHART: &str = include_str!("crds/helmchart.yaml");
/// `helmreleases.helm.toolkit.fluxcd.io`.
pub const HELM_RELEASE: &str = include_str!("crds/helmrelease.yaml");
/// `helmrepositories.source.toolkit.fluxcd.io`.
pub const HELM_REPOSITORY: &str = include_str!("crds/helmrepository.yaml");
/// `gitrepositories.source.toolkit.fluxcd.io`.
pub const GIT_REPOSITORY: &str = include_str!("crds/gitrepository.yaml");
/// `ocirepositories.source.toolkit.fluxcd.io`.
pub const OCI_REPOSITORY: &str = include_str!("crds/ocirepository.yaml");

/// All of them, in the order in which they are installed.
pub const ALL: [&str; 7] = [
    HELM_RELEASE,
    HELM_REPOSITORY,
    OCI_REPOSITORY,
    GIT_REPOSITORY,
    BUCKET,
    HELM_CHART,
    EXTERNAL_ARTIFACT,
];

/// API version of `HelmRelease`.
pub const HELM_RELEASE_API: &str = "helm.toolkit.fluxcd.io/v2";
/// API version of `HelmRepository`.
pub const HELM_REPOSITORY_API: &str = "source.toolkit.fluxcd.io/v1";
/// API version of `OCIRepository`.
pub const OCI_REPOSITORY_API: &str = HELM_REPOSITORY_API;
/// API version of `GitRepository`.
pub const GIT_REPOSITORY_API: &str = HELM_REPOSITORY_API;
/// API version of `Bucket`.
pub const BUCKET_API: &str = HELM_REPOSITORY_API;
/// API version of `HelmChart`.
pub const HELM_CHART_API: &str = HELM_REPOSITORY_API;
/// API version of `ExternalArtifact`.
pub const EXTERNAL_ARTIFACT_API: &str = HELM_REPOSITORY_API;

#[cfg(test)]
mod tests;
