//! A manifest and a cluster → what applying it would change there.

use std::collections::BTreeSet;

use super::compare::gone;
use super::{Change, Conflict, Secrets, Subject, What, mask};
use crate::api::annotation::HELM_MANAGER;
use crate::cluster::{self, Cluster, Object};
use crate::release::{self, Error, Record, Tried};
use crate::yaml::Value;

/// Metadata that servers keep, and that no release sets.
const SERVERS: [&str; 6] =
    ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"];

/// What would be applied.
#[derive(Debug, Clone, Copy)]
pub struct Next<'a> {
    /// Name of the release.
    pub name: &'a str,
    /// Namespace of the release.
    pub namespace: &'a str,
    /// The manifest.
    pub manifest: &'a str,
    /// Groups and kinds of the definitions that are installed before it.
    pub defined: &'a BTreeSet<(String, String)>,
    /// What it would replace.
    pub current: Option<&'a Record>,
}

/// Asks a cluster, by dry runs, what applying would change: objects that appear, change or are
/// refused in the order of the manifest, then those that go. Says also how many do not change.
///
/// # Errors
/// A manifest is not YAML, or the cluster cannot be asked.
pub async fn against_cluster(
    cluster: &Cluster,
    next: Next<'_>,
    secrets: Secrets,
) -> Result<(Vec<Change>, usize), Error> {
    let tried = release::try_manifest(cluster, next.manifest, (next.name, next.namespace)).await?;
    let mut changes: Vec<Change> =
        tried.iter().filter_map(|tried| change(tried, next.defined, secrets)).collect();
    let unchanged = tried.len() - changes.len();
    if let Some(current) = next.current {
        let old = (current.manifest.as_str(), current.namespace.as_str());
        for object in release::surplus(cluster, old, &tried).await? {
            let what = gone(&object, &[]);
            changes.push(Change::new(Subject::new(object.id(), Vec::new()), what));
        }
    }
    Ok((changes, unchanged))
}

/// What happens to one object; none: nothing.
fn change(tried: &Tried, defined: &BTreeSet<(String, String)>, secrets: Secrets) -> Option<Change> {
    let object = Subject::new(tried.id.clone(), Vec::new());
    let what = match (&tried.live, &tried.would) {
        (_, Err(cluster::Error::NoKind { .. }))
            if defined.contains(&(tried.id.group.clone(), tried.id.kind.clone())) =>
        {
            What::Create
        }
        (_, Err(error)) => What::Refuse { reason: error.to_string() },
        (None, Ok(_)) => What::Create,
        (Some(live), Ok(would)) => {
            let fields = mask::fields(&object, (&own_part(live), &own_part(would)), secrets);
            if fields.is_empty() {
                return None;
            }
            What::Update { fields }
        }
    };
    // What Helm applied for the release is taken over with the release.
    let others = tried.conflicts.iter().filter(|cause| manager(&cause.message) != HELM_MANAGER);
    let conflicts = others.map(|cause| Conflict {
        field: cause.field.trim_start_matches('.').to_owned(),
        manager: manager(&cause.message).to_owned(),
    });
    Some(Change { conflicts: conflicts.collect(), ..Change::new(object, what) })
}

/// The manager of `conflict with "kubectl-edit" using apps/v1`.
fn manager(message: &str) -> &str {
    message.split('"').nth(1).unwrap_or(message)
}

/// An object without what servers keep in it.
fn own_part(object: &Object) -> Value {
    let mut value = object.0.clone();
    if let Value::Object(map) = &mut value {
        map.remove("status");
        if let Some(Value::Object(metadata)) = map.get_mut("metadata") {
            metadata.retain(|key, _| !SERVERS.contains(&key.as_str()));
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::StatusCause;

    fn object(replicas: u32) -> Object {
        Object(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "n", "generation": replicas, "uid": "u"},
            "spec": {"replicas": replicas}, "status": {"replicas": replicas},
        }))
    }

    fn tried(live: Option<Object>, would: Result<Object, cluster::Error>) -> Tried {
        Tried { id: object(1).id(), live, would, conflicts: Vec::new() }
    }

    fn refused() -> cluster::Error {
        cluster::Error::Request("spec: Forbidden".to_owned())
    }

    fn unserved() -> cluster::Error {
        let [api_version, kind, namespace, name] =
            ["apps/v1", "Deployment", "n", "web"].map(str::to_owned);
        cluster::Error::NoKind { api_version, kind, namespace, name }
    }

    #[test]
    fn what_the_cluster_said_tells_what_happens() {
        let none = BTreeSet::new();
        let what = |tried: Tried, defined: &BTreeSet<_>| {
            change(&tried, defined, Secrets::Masked).map(|change| change.what)
        };
        assert_eq!(what(tried(Some(object(1)), Ok(object(1))), &none), None);
        assert_eq!(what(tried(None, Ok(object(1))), &none), Some(What::Create));
        let updated = what(tried(Some(object(1)), Ok(object(2))), &none);
        let Some(What::Update { fields }) = updated else { panic!("{updated:?}") };
        // Not the generation, which the server counts, and not the status.
        assert_eq!(fields.len(), 1);
        assert_eq!(fields[0].path, "spec.replicas");
        let reason = refused().to_string();
        assert_eq!(
            what(tried(Some(object(1)), Err(refused())), &none),
            Some(What::Refuse { reason })
        );
        assert!(matches!(what(tried(None, Err(unserved())), &none), Some(What::Refuse { .. })));
        let defined = BTreeSet::from([("apps".to_owned(), "Deployment".to_owned())]);
        assert_eq!(what(tried(None, Err(unserved())), &defined), Some(What::Create));
    }

    #[test]
    fn whose_field_is_taken_is_told() {
        let cause = StatusCause {
            reason: "FieldManagerConflict".to_owned(),
            message: "conflict with \"kubectl-edit\" using apps/v1".to_owned(),
            field: ".spec.replicas".to_owned(),
        };
        let tried = Tried { conflicts: vec![cause], ..tried(Some(object(1)), Ok(object(2))) };
        let change = change(&tried, &BTreeSet::new(), Secrets::Masked).unwrap();
        let conflict =
            Conflict { field: "spec.replicas".to_owned(), manager: "kubectl-edit".to_owned() };
        assert_eq!(change.conflicts, [conflict]);
    }
}
