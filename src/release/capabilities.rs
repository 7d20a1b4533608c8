//! What a cluster can do, as far as templates are told.

use super::Error;
use crate::template::{Capabilities, HelmBuild};

/// What templates are told of Helm: what a program of its module says, without a tag of Git.
const HELM: HelmBuild =
    HelmBuild { version: "v4.3", go_version: "go1.26.8", kube_client_version: "v1.37" };
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
/// `kube_version` is what a person asked for, such as `1.34.2` (empty: Helm's own); `more` is
/// appended to the API versions.
///
/// # Errors
/// The version is none.
pub fn offline(kube_version: &str, more: &[String]) -> Result<Capabilities, Error> {
    let versions = API_VERSIONS.iter().flat_map(|(group, versions)| {
        versions.iter().map(move |version| match *group {
            "" => (*version).to_owned(),
            group => format!("{group}/{version}"),
        })
    });
    let api_versions = versions.chain(more.iter().cloned()).collect();
    let wanted = if kube_version.is_empty() { KUBE_VERSION } else { kube_version };
    with_version(wanted, api_versions)
        .map_err(|why| Error::Refused(format!("invalid kube version '{wanted}': {why}")))
}

/// Source: helm v4.3.1 pkg/chart/common/capabilities.go (`ParseKubeVersion`), k8s.io/apimachinery
/// pkg/util/version (`ParseGeneric`).
fn with_version(version: &str, api_versions: Vec<String>) -> Result<Capabilities, String> {
    let bare = version.trim_start();
    let bare = bare.strip_prefix('v').unwrap_or(bare);
    let mut numbers = Vec::new();
    let mut rest = Some(bare);
    while let Some(text) = rest {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        if end == 0 {
            break;
        }
        numbers.push(&text[..end]);
        rest = text[end..].strip_prefix('.');
    }
    let [major, _, ..] = numbers[..] else {
        return Err(match numbers[..] {
            [] => format!("could not parse {version:?} as version"),
            _ => format!("illegal version string {version:?}"),
        });
    };
    if major.starts_with('0') && major != "0" {
        return Err(format!("illegal zero-prefixed version component {major:?} in {version:?}"));
    }
    let mut plain = Vec::new();
    for number in &numbers {
        plain.push(number.parse::<u64>().map_err(|_| {
            format!(
                "illegal non-numeric version component {number:?} in {version:?}: \
                 strconv.ParseUint: parsing {number:?}: value out of range"
            )
        })?);
    }
    let plain: Vec<String> = plain.iter().map(u64::to_string).collect();
    let kube_version =
        if version.starts_with('v') { version.to_owned() } else { format!("v{version}") };
    Ok(Capabilities {
        kube_version,
        kube_normalized: format!("v{}", plain.join(".")),
        kube_major: plain[0].clone(),
        kube_minor: plain[1].clone(),
        api_versions,
        helm: HELM,
    })
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
        kube_normalized: String::new(),
        kube_major: version.major.clone(),
        kube_minor: version.minor.clone(),
        api_versions: cluster.api_versions().await?,
        helm: HELM,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_people_give_are_read_as_by_helm() {
        let rows: &[(&str, Result<[&str; 4], &str>)] = &[
            ("1.30", Ok(["v1.30", "v1.30", "1", "30"])),
            ("v1.30.2-gke.5", Ok(["v1.30.2-gke.5", "v1.30.2", "1", "30"])),
            ("1.030.1", Ok(["v1.030.1", "v1.30.1", "1", "30"])),
            ("1", Err("illegal version string \"1\"")),
            ("x", Err("could not parse \"x\" as version")),
            ("01.30", Err("illegal zero-prefixed version component \"01\" in \"01.30\"")),
        ];
        for (text, want) in rows {
            let seen = offline(text, &[]).map_err(|error| error.to_string());
            match (&seen, want) {
                (Ok(seen), Ok(want)) => {
                    let seen = [
                        &seen.kube_version,
                        &seen.kube_normalized,
                        &seen.kube_major,
                        &seen.kube_minor,
                    ];
                    assert_eq!(seen, *want, "{text}");
                }
                (Err(seen), Err(want)) => {
                    assert_eq!(*seen, format!("invalid kube version '{text}': {want}"));
                }
                _ => panic!("{text}: {seen:?}"),
            }
        }
    }
}
