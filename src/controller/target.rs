//! Where a release lives: its name and namespaces.
//!
//! Source: fluxcd/helm-controller internal/release/name.go, api/v2 (GetReleaseName and friends).

use crate::api::HelmRelease;
use crate::base::digest::Digest;

/// Name and namespaces of the Helm release that a `HelmRelease` stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Helm release name, at most 53 bytes.
    pub name: String,
    /// Name before it was shortened (failure messages use it).
    pub full_name: String,
    /// Namespace of the objects.
    pub namespace: String,
    /// Namespace of the records.
    pub storage_namespace: String,
}

impl Target {
    /// Returns the target that the spec asks for.
    pub fn of(release: &HelmRelease) -> Self {
        let own = &release.metadata.namespace;
        let or_own = |name: &str| if name.is_empty() { own.clone() } else { name.to_owned() };
        let spec = &release.spec;
        let full_name = if !spec.release_name.is_empty() {
            spec.release_name.clone()
        } else if !spec.target_namespace.is_empty() {
            format!("{}-{}", spec.target_namespace, release.metadata.name)
        } else {
            release.metadata.name.clone()
        };
        Self {
            name: shorten(&full_name),
            full_name,
            namespace: or_own(&spec.target_namespace),
            storage_namespace: or_own(&spec.storage_namespace),
        }
    }
}

/// Returns a name of at most 53 bytes: a longer one is cut to 40 and 12 digits of its hash.
pub fn shorten(name: &str) -> String {
    if name.len() <= 53 {
        return name.to_owned();
    }
    let mut end = 40;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}-{}", &name[..end], &Digest::of(name).to_hex()[..12])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_shortened_as_flux_does() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/golden/flux-digests.json")).unwrap();
        let rows = golden["shortenName"].as_array().unwrap();
        assert!(!rows.is_empty());
        for row in rows {
            assert_eq!(shorten(row["input"].as_str().unwrap()), row["output"]);
        }
    }

    #[test]
    fn names_follow_the_spec() {
        let mut release = HelmRelease::default();
        release.metadata.name = "web".into();
        release.metadata.namespace = "apps".into();
        let target = Target::of(&release);
        assert_eq!((target.name.as_str(), target.namespace.as_str()), ("web", "apps"));
        release.spec.target_namespace = "prod".into();
        let target = Target::of(&release);
        assert_eq!((target.name.as_str(), target.namespace.as_str()), ("prod-web", "prod"));
        assert_eq!(target.storage_namespace, "apps");
        release.spec.release_name = "site".into();
        assert_eq!(Target::of(&release).name, "site");
    }
}
