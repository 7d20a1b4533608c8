//! `dependsOn`: releases that must be ready first, and circles among them.

use std::collections::BTreeSet;

use crate::api::HelmRelease;
use crate::api::condition::{self, READY};
use crate::api::crd::HELM_RELEASE_API;
use crate::base::name::NamespacedName;
use crate::cluster::{Cluster, ObjectId};

/// Why a release has to wait for another.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The other one could not be read.
    #[error("unable to get '{dependency}' dependency: {reason}")]
    Unavailable {
        /// The other release.
        dependency: NamespacedName,
        /// What the API answered.
        reason: String,
    },
    /// The other one is not there.
    #[error(
        "unable to get '{0}' dependency: helmreleases.helm.toolkit.fluxcd.io \"{name}\" not found",
        name = .0.name
    )]
    Missing(NamespacedName),
    /// The other one is not ready.
    #[error("dependency '{0}' is not ready")]
    NotReady(NamespacedName),
    /// The releases wait for each other.
    #[error("releases wait for each other: {}; remove one of these dependsOn entries", join(.0))]
    Circle(Vec<NamespacedName>),
}

fn join(circle: &[NamespacedName]) -> String {
    circle.iter().map(ToString::to_string).collect::<Vec<_>>().join(" → ")
}

/// Returns the names of the releases that one waits for.
fn names(release: &HelmRelease) -> Vec<NamespacedName> {
    let own = &release.metadata.namespace;
    let entries = release.spec.depends_on.iter();
    entries
        .map(|entry| {
            let namespace = if entry.namespace.is_empty() { own } else { &entry.namespace };
            NamespacedName::new(namespace, &entry.name)
        })
        .collect()
}

/// Checks that all dependencies are ready.
///
/// # Errors
/// One is not; a circle is told apart, because waiting does not help there.
pub(super) async fn check(cluster: &Cluster, release: &HelmRelease) -> Result<(), Error> {
    let mut first = None;
    for dependency in names(release) {
        match read(cluster, &dependency).await {
            Ok(found) if is_ready(&found) => {}
            Ok(_) => first = first.or(Some(Error::NotReady(dependency))),
            Err(error) => first = first.or(Some(error)),
        }
    }
    let Some(first) = first else {
        return Ok(());
    };
    match circle(cluster, release).await {
        Some(circle) => Err(Error::Circle(circle)),
        None => Err(first),
    }
}

async fn read(cluster: &Cluster, key: &NamespacedName) -> Result<HelmRelease, Error> {
    let fail = |reason: String| Error::Unavailable { dependency: key.clone(), reason };
    let id = ObjectId::new(HELM_RELEASE_API, "HelmRelease", &key.namespace, &key.name);
    let found = cluster.get(&id).await.map_err(|error| fail(error.to_string()))?;
    let found = found.ok_or_else(|| Error::Missing(key.clone()))?;
    serde_json::from_value(found.0).map_err(|error| fail(error.to_string()))
}

fn is_ready(release: &HelmRelease) -> bool {
    release.metadata.generation == release.status.observed_generation
        && condition::is_true(&release.status.conditions, READY)
}

/// Follows dependencies until one leads back to the release.
async fn circle(cluster: &Cluster, release: &HelmRelease) -> Option<Vec<NamespacedName>> {
    let start = release.metadata.key();
    let mut seen = BTreeSet::new();
    let mut open: Vec<Vec<NamespacedName>> =
        names(release).into_iter().map(|name| vec![start.clone(), name]).collect();
    while let Some(path) = open.pop() {
        let last = path.last()?.clone();
        if last == start {
            return Some(path);
        }
        if !seen.insert(last.clone()) {
            continue;
        }
        if let Ok(next) = read(cluster, &last).await {
            open.extend(names(&next).into_iter().map(|name| [path.clone(), vec![name]].concat()));
        }
    }
    None
}
