//! A manifest and a cluster → what applying it would change there.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::compare::gone;
use super::{Change, Secrets, Subject, What, mask};
use crate::api::annotation::HELM_MANAGER;
use crate::base::digest::Digest;
use crate::cluster::{self, Cluster, Object, Propagation};
use crate::release::conflict::Rules;
use crate::release::{self, Error, Parting, Record, Tried};
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
    /// Whether the namespace is made first, if it is not there.
    pub makes_namespace: bool,
    /// What is done about fields that others manage.
    pub rules: &'a Rules,
}

/// A change, and the object at which it was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// What would happen; Secrets are shown.
    pub change: Change,
    /// The object as it is; none: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Standing>,
}

/// What tells an object from another of its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// Its uid.
    pub uid: String,
    /// Digest of all that somebody set in it, where all of it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

impl Standing {
    fn of(live: &Object) -> Self {
        Self { uid: live.uid().to_owned(), digest: None }
    }

    /// Of an object all of which goes.
    fn whole(live: &Object) -> Self {
        let digest = Digest::of(own_part(live).to_string()).to_string();
        Self { digest: Some(digest), ..Self::of(live) }
    }
}

/// Asks a cluster, by dry runs, what applying would change: objects that appear, change or are
/// refused in the order of the manifest, then those that go. Says also how many do not change.
///
/// # Errors
/// A manifest is not YAML, or the cluster cannot be asked.
pub async fn against_cluster(
    cluster: &Cluster,
    next: Next<'_>,
) -> Result<(Vec<Finding>, usize), Error> {
    let of = (next.name, next.namespace);
    let tried = release::try_manifest(cluster, next.manifest, of, next.rules).await?;
    let namespaces =
        tried.iter().filter(|tried| tried.id.group.is_empty() && tried.id.kind == "Namespace");
    let mut made: BTreeSet<&str> = namespaces.map(|tried| tried.id.name.as_str()).collect();
    if next.makes_namespace {
        made.insert(next.namespace);
    }
    let mut found: Vec<Finding> =
        tried.iter().filter_map(|tried| finding(tried, next.defined, &made)).collect();
    let unchanged = tried.len() - found.len();
    if let Some(current) = next.current {
        let old = (current.manifest.as_str(), current.namespace.as_str());
        for object in release::surplus(cluster, old, &tried).await? {
            let live = Standing::whole(&object);
            let change = Change::new(Subject::new(object.id(), Vec::new()), gone(&object, &[]));
            found.push(Finding { change, live: Some(live) });
        }
    }
    Ok((found, unchanged))
}

/// Asks a cluster, by dry runs, what an uninstall would do, object by object in its order. What is
/// not there is not told.
///
/// # Errors
/// The manifest is not YAML, or the cluster cannot be asked.
pub async fn of_uninstall(
    cluster: &Cluster,
    record: &Record,
    propagation: Propagation,
) -> Result<Vec<Finding>, Error> {
    let partings = release::try_uninstall(cluster, record, propagation).await?;
    Ok(partings.into_iter().filter_map(parting).collect())
}

/// What happens to one object of a release that goes; none: it is not there.
fn parting(parting: Parting) -> Option<Finding> {
    let (object, what, live) = match parting {
        Parting::Deleted(live) => (live.id(), What::Delete, Standing::whole(&live)),
        Parting::Kept(live) => (live.id(), What::Keep, Standing::of(&live)),
        Parting::Foreign(live, reason) => {
            (live.id(), What::Foreign { reason }, Standing::of(&live))
        }
        Parting::Refused(live, error) => {
            (live.id(), What::Refuse { reason: error.to_string() }, Standing::of(&live))
        }
        Parting::Absent(_) => return None,
    };
    let change = Change::new(Subject::new(object, Vec::new()), what);
    Some(Finding { change, live: Some(live) })
}

/// What happens to one object, where kinds are defined and namespaces made before it; none: nothing.
fn finding(
    tried: &Tried,
    defined: &BTreeSet<(String, String)>,
    made: &BTreeSet<&str>,
) -> Option<Finding> {
    let object = Subject::new(tried.id.clone(), Vec::new());
    // What Helm applied for the release is taken over with the release.
    let others = tried.conflicts.iter().filter(|one| one.manager != HELM_MANAGER);
    let conflicts: Vec<_> = others.cloned().collect();
    let kind = || (tried.id.group.clone(), tried.id.kind.clone());
    let what = match (&tried.live, &tried.would) {
        (_, Err(cluster::Error::NoKind { .. })) if defined.contains(&kind()) => What::Create,
        // What is not there is the namespace.
        (None, Err(error))
            if error.is_not_found() && made.contains(tried.id.namespace.as_str()) =>
        {
            What::Create
        }
        (_, Err(error)) => What::Refuse { reason: error.to_string() },
        (None, Ok(_)) => What::Create,
        (Some(live), Ok(would)) => {
            let sides = (&own_part(live), &own_part(would));
            let fields = mask::fields(&object, sides, Secrets::Shown);
            match (fields.is_empty(), conflicts.is_empty()) {
                (true, true) => return None,
                (true, false) => What::Stay,
                (false, _) => What::Update { fields },
            }
        }
    };
    let change = Change { conflicts, ..Change::new(object, what) };
    Some(Finding { change, live: tried.live.as_ref().map(Standing::of) })
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
    use crate::release::conflict::{Conflict, Policy};

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
            finding(&tried, defined, &BTreeSet::new()).map(|found| found.change.what)
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
        let absent = || cluster::Error::Api {
            code: 404,
            reason: "NotFound".to_owned(),
            message: "namespaces \"n\" not found".to_owned(),
            causes: Vec::new(),
            retry_after: None,
        };
        let made = BTreeSet::from(["n"]);
        let made = finding(&tried(None, Err(absent())), &none, &made).unwrap().change.what;
        assert_eq!(made, What::Create);
        assert!(matches!(what(tried(None, Err(absent())), &none), Some(What::Refuse { .. })));
        let defined = BTreeSet::from([("apps".to_owned(), "Deployment".to_owned())]);
        assert_eq!(what(tried(None, Err(unserved())), &defined), Some(What::Create));
    }

    #[test]
    fn what_goes_with_a_release_is_told() {
        let foreign = "missing key \"x\"".to_owned();
        let rows = [
            (Parting::Deleted(object(1)), Some((What::Delete, true))),
            (Parting::Kept(object(1)), Some((What::Keep, false))),
            (
                Parting::Foreign(object(1), foreign.clone()),
                Some((What::Foreign { reason: foreign }, false)),
            ),
            (
                Parting::Refused(object(1), refused()),
                Some((What::Refuse { reason: refused().to_string() }, false)),
            ),
            (Parting::Absent(object(1).id()), None),
        ];
        for (one, wanted) in rows {
            let name = format!("{one:?}");
            let found = parting(one).map(|found| {
                let live = found.live.unwrap();
                assert_eq!(live.uid, "u", "{name}");
                // Only of what goes it counts what it holds.
                (found.change.what, live.digest.is_some())
            });
            assert_eq!(found, wanted, "{name}");
        }
        let digest = |object| parting(Parting::Deleted(object)).unwrap().live.unwrap().digest;
        assert_eq!(digest(object(1)), digest(object(1)));
        assert_ne!(digest(object(1)), digest(object(2)));
    }

    #[test]
    fn whose_field_is_taken_is_told() {
        let conflict = |manager: &str, policy| Conflict {
            field: "spec.replicas".to_owned(),
            manager: manager.to_owned(),
            policy,
            live: Some(json!(1)),
            ours: Some(json!(2)),
        };
        let found = |conflict: Conflict, would: u32| {
            let conflicts = vec![conflict];
            let tried = Tried { conflicts, ..tried(Some(object(1)), Ok(object(would))) };
            finding(&tried, &BTreeSet::new(), &BTreeSet::new()).map(|found| found.change)
        };
        let taken = conflict("kubectl-edit", Policy::Force);
        assert_eq!(found(taken.clone(), 2).unwrap().conflicts, [taken]);
        assert!(found(conflict("helm", Policy::Force), 2).unwrap().conflicts.is_empty());
        // Nothing changes, and that is why.
        let left = conflict("kubectl-edit", Policy::Leave);
        let change = found(left.clone(), 1).unwrap();
        assert_eq!((change.what, change.conflicts), (What::Stay, vec![left]));
        assert_eq!(found(conflict("helm", Policy::Force), 1), None);
    }
}
