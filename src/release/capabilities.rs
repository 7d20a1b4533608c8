//! What a cluster can do, as far as templates are told.

use crate::template::Capabilities;

/// Version of Helm that templates are told.
const HELM_VERSION: &str = "v4.3";
/// Version of Kubernetes that is assumed without a cluster: that of Helm's own client library.
const KUBE_VERSION: &str = "v1.37.0";

/// Groups and versions that Helm 4.3.1 knows without a cluster.
const API_VERSIONS: &[(&str, &[&str])] = &[
    ("", &["v1"]),
    ("admissionregistration.k8s.io", &["v1", "v1alpha1", "v1beta1"]),
    ("internal.apiserver.k8s.io", &["v1alpha1"]),
    ("apps", &["v1", "v1beta1", "v1beta2"]),
    ("authentication.k8s.io", &["v1", "v1alpha1", "v1beta1"]),
    ("authorization.k8s.io", &["v1", "v1beta1"]),
    ("autoscaling", &["v1", "v2"]),
    ("batch", &["v1", "v1beta1"]),
    ("certificates.k8s.io", &["v1", "v1beta1", "v1alpha1"]),
    ("coordination.k8s.io", &["v1alpha2", "v1beta1", "v1"]),
    ("discovery.k8s.io", &["v1", "v1beta1"]),
    ("events.k8s.io", &["v1", "v1beta1"]),
    ("extensions", &["v1beta1"]),
    ("flowcontrol.apiserver.k8s.io", &["v1", "v1beta1", "v1beta2", "v1beta3"]),
    ("lifecycle.k8s.io", &["v1alpha1"]),
    ("networking.k8s.io", &["v1", "v1beta1"]),
    ("node.k8s.io", &["v1", "v1alpha1", "v1beta1"]),
    ("policy", &["v1", "v1beta1"]),
    ("rbac.authorization.k8s.io", &["v1", "v1beta1", "v1alpha1"]),
    ("resource.k8s.io", &["v1", "v1beta2", "v1beta1", "v1alpha3"]),
    ("scheduling.k8s.io", &["v1alpha3", "v1beta1", "v1"]),
    ("storage.k8s.io", &["v1beta1", "v1", "v1alpha1"]),
    ("storagemigration.k8s.io", &["v1", "v1beta1"]),
    ("apiextensions.k8s.io", &["v1beta1", "v1"]),
];

/// Returns the capabilities without a cluster.
///
/// `kube_version` is what a person asked for, such as `1.34.2`; `more` is appended to the API
/// versions.
pub fn offline(kube_version: Option<&str>, more: &[String]) -> Capabilities {
    let versions = API_VERSIONS.iter().flat_map(|(group, versions)| {
        versions.iter().map(move |version| match *group {
            "" => (*version).to_owned(),
            group => format!("{group}/{version}"),
        })
    });
    let api_versions = versions.chain(more.iter().cloned()).collect();
    with_version(kube_version.unwrap_or(KUBE_VERSION), api_versions)
}

/// Returns capabilities for a version text, with or without `v`.
pub(crate) fn with_version(version: &str, api_versions: Vec<String>) -> Capabilities {
    let bare = version.strip_prefix('v').unwrap_or(version);
    let mut numbers = bare.split(['.', '-', '+']);
    let mut number = || numbers.next().unwrap_or_default().to_owned();
    Capabilities {
        kube_version: format!("v{bare}"),
        kube_major: number(),
        kube_minor: number(),
        api_versions,
        helm_version: HELM_VERSION.to_owned(),
    }
}

/// Returns the capabilities of a cluster.
///
/// # Errors
/// The cluster cannot be asked.
pub async fn of_cluster(
    cluster: &crate::cluster::Cluster,
) -> Result<Capabilities, crate::cluster::Error> {
    let version = cluster.version().await?;
    Ok(Capabilities {
        kube_version: version.git_version.clone(),
        kube_major: version.major.clone(),
        kube_minor: version.minor.clone(),
        api_versions: cluster.api_versions().await?,
        helm_version: HELM_VERSION.to_owned(),
    })
}
