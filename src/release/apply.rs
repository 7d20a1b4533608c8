//! Manifest → objects → cluster: ownership, order, removal.
//!
//! Source: helm v4.3.1 pkg/action (install.go, upgrade.go, validate.go), pkg/kube/client.go.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::{StreamExt as _, stream};

use super::method::{How, Verb};
use super::{Env, Error, Method, clientside, manifest, serverside};
use crate::base::class::chain;
use crate::cluster::{self, ApplyOptions, Cluster, Object, ObjectId, Propagation, Resource};
use crate::yaml::Value;

/// Objects of one kind that are asked about, or applied, at the same time.
const AT_ONCE: usize = 8;
/// By these an object is a release's.
pub(super) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
pub(super) const RELEASE_NAME: &str = "meta.helm.sh/release-name";
pub(super) const RELEASE_NAMESPACE: &str = "meta.helm.sh/release-namespace";

/// The release that objects belong to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner<'a> {
    pub(super) name: &'a str,
    pub(super) namespace: &'a str,
}

/// Gives an object its namespace; returns also what the server knows of its kind.
pub(super) async fn placed(
    cluster: &Cluster,
    value: Value,
    namespace: &str,
) -> Result<(Object, Resource), Error> {
    let mut object = Object(value);
    let resource = cluster.served(&object.id()).await.map_err(|error| match error {
        error @ cluster::Error::NoKind { .. } => Error::Doing {
            doing: "unable to build kubernetes objects from release manifest".to_owned(),
            source: error,
        },
        error => error.into(),
    })?;
    if !resource.namespaced {
        object.set_namespace("");
    } else if object.namespace().is_empty() {
        object.set_namespace(namespace);
    }
    Ok((object, resource))
}

/// Returns the objects of a manifest, in its order, each with its namespace.
pub(super) async fn objects(
    cluster: &Cluster,
    text: &str,
    namespace: &str,
) -> Result<Vec<Object>, Error> {
    let mut found = Vec::new();
    for value in manifest::objects(text)? {
        found.push(placed(cluster, value, namespace).await?.0);
    }
    Ok(found)
}

/// Returns the objects of an old manifest, but for those whose kind the server does not serve any
/// more: they cannot exist. (Helm refuses to go on there, and the release can never be upgraded or
/// uninstalled again.)
pub(super) async fn old_objects(
    cluster: &Cluster,
    text: &str,
    namespace: &str,
) -> Result<Vec<Object>, Error> {
    let mut found = Vec::new();
    for value in manifest::objects(text)? {
        match placed(cluster, value, namespace).await {
            Ok((object, _)) => found.push(object),
            Err(error) if error.is_unserved() => {
                tracing::info!(
                    error = chain(&error),
                    "an old object's kind is gone, and the object with it"
                );
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Marks objects as the release's.
pub(super) fn own(objects: &mut [Object], owner: Owner<'_>) {
    for object in objects {
        object.set_label(MANAGED_BY, "Helm");
        object.set_annotation(RELEASE_NAME, owner.name);
        object.set_annotation(RELEASE_NAMESPACE, owner.namespace);
    }
}

/// Refuses objects that exist and are not the release's; tells whether any exist.
pub(super) async fn check_ownership(
    cluster: &Cluster,
    objects: &[Object],
    owner: Owner<'_>,
    doing: &str,
) -> Result<bool, Error> {
    let mut any = false;
    // What gets its name from the server is a new object.
    let named: Vec<&Object> = objects.iter().filter(|object| !object.name().is_empty()).collect();
    let found: Vec<_> = named.into_iter().map(|object| looked_up(cluster, object)).collect();
    let mut found = stream::iter(found).buffered(AT_ONCE);
    while let Some((id, live)) = found.next().await {
        let live = live.map_err(|source| Error::Doing {
            doing: format!(
                "could not get information about the resource {} \"{}\" in namespace \"{}\"",
                id.kind, id.name, id.namespace
            ),
            source,
        })?;
        let Some(live) = live else { continue };
        any = true;
        let wrong = foreign(&live, owner);
        if !wrong.is_empty() {
            return Err(Error::Refused(format!(
                "unable to continue with {doing}: {} \"{}\" in namespace \"{}\" exists and cannot be imported into the current release: invalid ownership metadata; {}",
                id.kind,
                id.name,
                id.namespace,
                wrong.join("; "),
            )));
        }
    }
    Ok(any)
}

async fn looked_up(
    cluster: &Cluster,
    object: &Object,
) -> (ObjectId, Result<Option<Object>, cluster::Error>) {
    let id = object.id();
    let live = cluster.get(&id).await;
    (id, live)
}

/// Whether any of these objects exists.
pub(super) async fn exist(cluster: &Cluster, objects: &[Object]) -> Result<bool, Error> {
    let missing = Created::before(cluster, objects).await?.0;
    Ok(objects.iter().any(|object| !missing.contains(&object.id()) && !object.name().is_empty()))
}

/// Returns why a live object is not the release's; nothing if it is.
pub(super) fn foreign(live: &Object, owner: Owner<'_>) -> Vec<String> {
    let marks = [
        ("label", MANAGED_BY, "Helm", live.label(MANAGED_BY)),
        ("annotation", RELEASE_NAME, owner.name, live.annotation(RELEASE_NAME)),
        ("annotation", RELEASE_NAMESPACE, owner.namespace, live.annotation(RELEASE_NAMESPACE)),
    ];
    let problem = |(what, key, want, have): (&str, &str, &str, Option<&str>)| match have {
        Some(have) if have == want => None,
        Some(have) => Some(format!(
            "{what} validation error: key \"{key}\" must equal \"{want}\": current value is \"{have}\""
        )),
        None => Some(format!(
            "{what} validation error: missing key \"{key}\": must be set to \"{want}\""
        )),
    };
    marks.into_iter().filter_map(problem).collect()
}

/// Changes objects in their order; objects of one kind in a row go at the same time, and all of
/// them are tried. Where all are made anew, one that cannot be keeps none of the others from being
/// tried; where some are changed, it ends there. Returns them as the server has them now, but for who
/// manages which fields.
///
/// Source: helm v4.3.2 pkg/kube/client.go (`Create`, `perform`, `update`).
pub(super) async fn apply(
    env: &Env<'_>,
    (objects, old): (&[Object], &[Object]),
    how: How<'_>,
    verb: Verb,
) -> Result<Vec<Object>, Error> {
    let before: HashMap<ObjectId, &Object> =
        old.iter().map(|object| (unversioned(object.id()), object)).collect();
    let mut live = Vec::with_capacity(objects.len());
    let mut failed = Vec::new();
    for group in objects.chunk_by(|a, b| a.kind() == b.kind()) {
        let changes = apply_group(env, group, &before, how).await;
        for (object, applied) in group.iter().zip(changes) {
            match applied {
                Some(Ok(mut object)) => {
                    object.forget_managers();
                    live.push(object);
                }
                Some(Err(error)) if error.is_outage() => return Err(error),
                Some(Err(error)) => failed.push((object, error)),
                // One before it met the outage.
                None => {}
            }
        }
        if verb == Verb::Update && !failed.is_empty() {
            let (object, error) = failed.swap_remove(0);
            return Err(unchanged(&env.cluster, object, how, error).await);
        }
    }
    let mut failed: Vec<Error> = failed.into_iter().map(|(_, error)| error).collect();
    match failed.len() {
        0 => Ok(live),
        1 => Err(failed.swap_remove(0)),
        _ => Err(Error::Unmade(failed)),
    }
}

/// Changes objects, some at a time; a new one begins whenever one is done. Returns nothing for those
/// that came after the API server was found to be away: each request has waited long for it.
async fn apply_group(
    env: &Env<'_>,
    group: &[Object],
    before: &HashMap<ObjectId, &Object>,
    how: How<'_>,
) -> Vec<Option<Result<Object, Error>>> {
    let is_away = AtomicBool::new(false);
    let changes = group.iter().map(|object| {
        let is_away = &is_away;
        async move {
            if is_away.load(Ordering::Relaxed) {
                return None;
            }
            let old = before.get(&unversioned(object.id())).copied();
            let applied = apply_one(env, (object, old), how).await;
            if applied.as_ref().is_err_and(Error::is_outage) {
                is_away.store(true, Ordering::Relaxed);
            }
            Some(applied)
        }
    });
    // Kept in a list: a future that keeps the closure itself is not `Send`.
    let changes: Vec<_> = changes.collect();
    stream::iter(changes).buffered(AT_ONCE).collect().await
}

/// Returns the error about an object of an update. Helm looks whether it is there before it applies
/// it, and says that it could not be made where it is not.
async fn unchanged(cluster: &Cluster, object: &Object, how: How<'_>, error: Error) -> Error {
    let is_new =
        async || object.name().is_empty() || matches!(cluster.get(&object.id()).await, Ok(None));
    // The other ways have their own words.
    if matches!(how, How::Server(_)) && is_new().await {
        return error.during("failed to create resource".to_owned());
    }
    error
}

/// An object is the same one in another version of its kind.
fn unversioned(mut id: ObjectId) -> ObjectId {
    id.version.clear();
    id
}

/// Changes one object; `old` is what the release said of it before.
pub(super) async fn apply_one(
    env: &Env<'_>,
    (object, old): (&Object, Option<&Object>),
    how: How<'_>,
) -> Result<Object, Error> {
    match how {
        How::Server(rules) => serverside::apply(env, object, rules).await,
        How::Client(baseline, verb) => {
            clientside::change(&env.cluster, (object, old), (baseline, verb)).await
        }
        How::Replace => clientside::replace(&env.cluster, object).await,
    }
}

/// Returns which objects of an old manifest a new one lacks.
pub(super) fn lacking(old: &[Object], new: &[ObjectId]) -> Vec<ObjectId> {
    let ids = old.iter().map(Object::id);
    // What got its name from the server cannot be found again.
    ids.filter(|id| !id.name.is_empty() && !new.iter().any(|other| other.same(id))).collect()
}

/// Whether an object stays when an upgrade leaves it out.
pub fn outlives_upgrade(object: &Object) -> bool {
    object.annotation("helm.sh/resource-policy") == Some("keep")
}

/// Deletes the objects of an old manifest that a new one lacks, but not those that ask to be kept.
pub(super) async fn remove_surplus(
    cluster: &Cluster,
    old: &[Object],
    new: &[Object],
) -> Result<(), Error> {
    let new: Vec<ObjectId> = new.iter().map(Object::id).collect();
    for id in lacking(old, &new) {
        let Some(live) = cluster.get(&id).await? else { continue };
        if !outlives_upgrade(&live) {
            let deleted = cluster.delete(&id, Propagation::Background).await;
            deleted.map_err(|source| Error::Doing {
                doing: format!(
                    "failed to delete resource namespace={}, name={}, kind={}",
                    id.namespace, id.name, id.kind
                ),
                source,
            })?;
        }
    }
    Ok(())
}

/// Objects that were not there before an action.
#[derive(Debug, Default)]
pub(super) struct Created(Vec<ObjectId>);

impl Created {
    /// Looks which objects an action is going to create.
    pub(super) async fn before(cluster: &Cluster, objects: &[Object]) -> Result<Self, Error> {
        let mut missing = Vec::new();
        for object in objects.iter().filter(|object| !object.name().is_empty()) {
            if cluster.get(&object.id()).await?.is_none() {
                missing.push(object.id());
            }
        }
        Ok(Self(missing))
    }

    /// Deletes what a failed action created; what somebody else made meanwhile stays. Returns the
    /// error of the action, with what went wrong on top.
    pub(super) async fn clean(
        self,
        env: &Env<'_>,
        owner: Owner<'_>,
        doing: &str,
        error: Error,
    ) -> Error {
        let mut wrong = Vec::new();
        for id in self.0 {
            let deleted = async {
                match env.cluster.get(&id).await? {
                    Some(live) if foreign(&live, owner).is_empty() => {
                        env.cluster.delete(&id, Propagation::Background).await.map(drop)
                    }
                    Some(_) | None => Ok(()),
                }
            };
            if let Err(error) = deleted.await {
                wrong.push(chain(&error));
            }
        }
        if wrong.is_empty() {
            return error;
        }
        let step = format!(
            "an error occurred while cleaning up resources. original {doing} error: {}: unable to cleanup resources",
            chain(&error)
        );
        Error::Refused(wrong.join(", ")).during(step)
    }
}

/// Creates a namespace, if it is not there.
pub(super) async fn create_namespace(
    cluster: &Cluster,
    name: &str,
    method: Method,
) -> Result<(), Error> {
    let id = ObjectId::new("v1", "Namespace", "", name);
    if cluster.get(&id).await?.is_some() {
        return Ok(());
    }
    let object = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"name": name}},
    });
    let object = Object(object);
    match method {
        Method::Auto | Method::Server => {
            cluster.apply(&object, &ApplyOptions::forced()).await?;
            Ok(())
        }
        Method::Client => match clientside::create(cluster, &object, Verb::Create).await {
            Err(Error::Cluster(error)) if error.is_already_exists() => Ok(()),
            made => made.map(drop),
        },
    }
}
