//! The CRDs of all kinds, as Flux defines them.

/// `helmreleases.helm.toolkit.fluxcd.io`.
pub const HELM_RELEASE: &str = include_str!("crds/helmrelease.yaml");
/// `helmrepositories.source.toolkit.fluxcd.io`.
pub const HELM_REPOSITORY: &str = include_str!("crds/helmrepository.yaml");
/// `gitrepositories.source.toolkit.fluxcd.io`.
pub const GIT_REPOSITORY: &str = include_str!("crds/gitrepository.yaml");
/// `ocirepositories.source.toolkit.fluxcd.io`.
pub const OCI_REPOSITORY: &str = include_str!("crds/ocirepository.yaml");

/// API version of `HelmRelease`.
pub const HELM_RELEASE_API: &str = "helm.toolkit.fluxcd.io/v2";
/// API version of `HelmRepository`.
pub const HELM_REPOSITORY_API: &str = "source.toolkit.fluxcd.io/v1";
/// API version of `OCIRepository`.
pub const OCI_REPOSITORY_API: &str = HELM_REPOSITORY_API;
/// API version of `GitRepository`.
pub const GIT_REPOSITORY_API: &str = HELM_REPOSITORY_API;
