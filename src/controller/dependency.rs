//! `dependsOn`: releases that must be ready first, and circles among them.

use std::collections::BTreeSet;

use crate::api::condition::{self, READY};
use crate::api::crd::HELM_RELEASE_API;
use crate::api::{Dependency, HelmRelease};
use crate::base::name::NamespacedName;
use crate::cluster::{Cluster, ObjectId};
use crate::expression::Expression;
use crate::yaml::Value;

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
    /// The user's expression is not true of the other one.
    #[error("dependency '{0}' is not ready according to readyExpr eval")]
    NotMet(NamespacedName),
    /// The user's expression cannot be evaluated.
    #[error("{0}")]
    Evaluated(String),
    /// The user's expression is none.
    #[error("failed to evaluate dependency {name}: {why}")]
    Expression {
        /// Name of the other release.
        name: String,
        /// What is wrong with the expression.
        why: String,
    },
    /// The releases wait for each other.
    #[error("releases wait for each other: {}; remove one of these dependsOn entries", join(.0))]
    Circle(Vec<NamespacedName>),
}

fn join(circle: &[NamespacedName]) -> String {
    circle.iter().map(ToString::to_string).collect::<Vec<_>>().join(" → ")
}

/// Returns the name of a release that another one waits for.
fn name(release: &HelmRelease, entry: &Dependency) -> NamespacedName {
    let own = &release.metadata.namespace;
    let namespace = if entry.namespace.is_empty() { own } else { &entry.namespace };
    NamespacedName::new(namespace, &entry.name)
}

/// Returns the names of the releases that must be ready before one.
fn names(release: &HelmRelease) -> Vec<NamespacedName> {
    // An expression can be true of a release that waits in turn.
    let entries = release.spec.depends_on.iter().filter(|entry| entry.ready_expr.is_empty());
    entries.map(|entry| name(release, entry)).collect()
}

/// Checks that all dependencies are ready.
///
/// # Errors
/// One is not; a circle is told apart, because waiting does not help there.
pub(super) async fn check(cluster: &Cluster, release: &HelmRelease) -> Result<(), Error> {
    let entries = &release.spec.depends_on;
    let own = match entries.iter().any(|entry| !entry.ready_expr.is_empty()) {
        true => fetch(cluster, &release.metadata.key()).await?,
        false => Value::Null,
    };
    let mut first = None;
    for entry in entries {
        let dependency = name(release, entry);
        let checked = match fetch(cluster, &dependency).await {
            Ok(found) => is_met(entry, &dependency, &own, &found),
            Err(error) => Err(error),
        };
        match checked {
            Ok(()) => {}
            Err(error @ Error::Expression { .. }) => return Err(error),
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

/// Whether a dependency is as its entry wants it: ready, or what the expression says.
fn is_met(
    entry: &Dependency,
    dependency: &NamespacedName,
    own: &Value,
    found: &Value,
) -> Result<(), Error> {
    if entry.ready_expr.is_empty() {
        let release = typed(dependency, found.clone())?;
        return is_ready(&release).then_some(()).ok_or(Error::NotReady(dependency.clone()));
    }
    let expression = Expression::parse(&entry.ready_expr)
        .map_err(|why| Error::Expression { name: dependency.name.clone(), why })?;
    match expression.is_true(&[("self", own), ("dep", found)]) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::NotMet(dependency.clone())),
        Err(why) => Err(Error::Evaluated(why)),
    }
}

async fn fetch(cluster: &Cluster, key: &NamespacedName) -> Result<Value, Error> {
    let id = ObjectId::new(HELM_RELEASE_API, "HelmRelease", &key.namespace, &key.name);
    let found = cluster.get(&id).await.map_err(|error| {
        let reason = error.to_string();
        Error::Unavailable { dependency: key.clone(), reason }
    })?;
    found.map(|found| found.0).ok_or_else(|| Error::Missing(key.clone()))
}

fn typed(key: &NamespacedName, found: Value) -> Result<HelmRelease, Error> {
    serde_json::from_value(found).map_err(|error| {
        let reason = error.to_string();
        Error::Unavailable { dependency: key.clone(), reason }
    })
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
        let next = fetch(cluster, &last).await.and_then(|found| typed(&last, found));
        if let Ok(next) = next {
            open.extend(names(&next).into_iter().map(|name| [path.clone(), vec![name]].concat()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_expression_takes_the_place_of_readiness() {
        let own = json!({"metadata": {"labels": {"v": "2"}}});
        let found = json!({"metadata": {"generation": 1, "labels": {"v": "2"}}, "status": {}});
        let rows = [
            ("", "dependency 'n/d' is not ready"),
            ("self.metadata.labels.v == dep.metadata.labels.v", ""),
            (
                "dep.metadata.generation > 1",
                "dependency 'n/d' is not ready according to readyExpr eval",
            ),
            (
                "dep.status.x",
                "failed to evaluate the CEL expression 'dep.status.x': no such key: x",
            ),
            ("dep.metadata", "failed to evaluate CEL expression as boolean: 'dep.metadata'"),
            ("(", "failed to evaluate dependency d: failed to parse the CEL expression '(': ERROR"),
        ];
        for (text, want) in rows {
            let entry = Dependency { ready_expr: text.to_owned(), ..Dependency::default() };
            let told = is_met(&entry, &NamespacedName::new("n", "d"), &own, &found);
            let told = told.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(told.starts_with(want) && told.is_empty() == want.is_empty(), "{text}: {told}");
        }
    }
}
