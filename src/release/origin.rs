//! Labels that say for which `HelmRelease` an object was rendered.

use crate::api::HelmRelease;

/// The `HelmRelease` that objects are rendered for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
}

impl Origin {
    /// Returns what tells a release apart.
    pub fn of(release: &HelmRelease) -> Self {
        let meta = &release.metadata;
        Self { name: meta.name.clone(), namespace: meta.namespace.clone() }
    }
}
