//! Client-side apply: one object at a time is read, held against what is wanted, and changed.
//!
//! Source: helm v4.3.2 pkg/kube/client.go (`createPatch`, `patchResourceClientSide`,
//! `replaceResource`, `createResource`).

use std::time::Duration;

use super::Error;
use super::method::{Baseline, Verb};
use crate::cluster::{self, Cluster, Object, PatchKind, Trying};
use crate::shape::diff;
use crate::shape::types::Ty;
use crate::yaml::Value;

/// Tries against what others change at the same time, such as a quota.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(10);

/// Returns the patch of a live object; nothing if none is needed.
///
/// Kinds that client-go knows are merged with what is live; of others only what differs from the
/// old manifest is sent.
///
/// # Errors
/// There is no such patch.
fn patch(
    new: &Object,
    old: Option<&Object>,
    live: &Object,
    baseline: Baseline,
) -> Result<Option<(PatchKind, Value)>, Error> {
    let own;
    let before = match (old, baseline) {
        (Some(old), _) => old,
        (None, Baseline::New | Baseline::NewOfAnyKind) => new,
        (None, Baseline::Live) => {
            own = without_bookkeeping(live);
            &own
        }
    };
    let id = new.id();
    let (kind, patch) = match Ty::of_kind(&id.group, &id.version, &id.kind) {
        Some(ty) => {
            let patch = diff::three_way(&before.0, &new.0, &live.0, ty);
            let failed = |text| Error::Refused(format!("failed to create patch: {text}"));
            (PatchKind::Strategic, patch.map_err(failed)?)
        }
        None if baseline == Baseline::NewOfAnyKind => {
            (PatchKind::Merge, diff::three_way_json(&before.0, &new.0, &live.0))
        }
        None => (PatchKind::Merge, diff::two_way_json(&before.0, &new.0)),
    };
    let is_empty = patch.as_object().is_none_or(serde_json::Map::is_empty);
    Ok((!is_empty).then_some((kind, patch)))
}

/// Returns an object without what only servers write. To take that away changes nothing, and is
/// refused for custom kinds.
fn without_bookkeeping(live: &Object) -> Object {
    const SERVERS: [&str; 6] =
        ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink"];
    let mut object = live.0.clone();
    if let Value::Object(map) = &mut object {
        map.remove("status");
        if let Some(Value::Object(metadata)) = map.get_mut("metadata") {
            metadata.retain(|key, _| !SERVERS.contains(&key.as_str()));
        }
    }
    Object(object)
}

/// Creates or patches an object; returns it as the server has it now.
pub(super) async fn change(
    cluster: &Cluster,
    (new, old): (&Object, Option<&Object>),
    (baseline, verb): (Baseline, Verb),
) -> Result<Object, Error> {
    match live(cluster, new).await? {
        None => create(cluster, new, verb).await,
        Some(live) => update(cluster, (new, old, live), baseline, Trying::No).await,
    }
}

/// As [`change`], by putting the new object in the place of the live one.
pub(super) async fn replace(cluster: &Cluster, new: &Object) -> Result<Object, Error> {
    match live(cluster, new).await? {
        None => create(cluster, new, Verb::Update).await,
        Some(live) => put(cluster, new, &live, Trying::No).await,
    }
}

/// Asks whether an object could be changed; one that is not there could.
pub(super) async fn attempt(
    cluster: &Cluster,
    (new, old): (&Object, Option<&Object>),
    baseline: Option<Baseline>,
) -> Result<(), Error> {
    let Some(live) = live(cluster, new).await? else { return Ok(()) };
    match baseline {
        Some(baseline) => update(cluster, (new, old, live), baseline, Trying::Yes).await,
        None => put(cluster, new, &live, Trying::Yes).await,
    }
    .map(drop)
}

async fn live(cluster: &Cluster, object: &Object) -> Result<Option<Object>, Error> {
    // It gets its name from the server, a new one each time.
    if object.name().is_empty() {
        return Ok(None);
    }
    cluster.get(&object.id()).await.map_err(|source| Error::Doing {
        doing: "could not get information about the resource".to_owned(),
        source,
    })
}

/// Creates an object.
pub(super) async fn create(
    cluster: &Cluster,
    object: &Object,
    verb: Verb,
) -> Result<Object, Error> {
    let mut attempt = 1;
    loop {
        match cluster.create(object).await {
            Err(error) if error.is_conflict() && attempt < ATTEMPTS => {
                attempt += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Err(source) if verb == Verb::Update => {
                return Err(Error::Doing { doing: "failed to create resource".to_owned(), source });
            }
            made => return Ok(made?),
        }
    }
}

async fn update(
    cluster: &Cluster,
    (new, old, live): (&Object, Option<&Object>, Object),
    baseline: Baseline,
    trying: Trying,
) -> Result<Object, Error> {
    let Some((kind, patch)) = patch(new, old, &live, baseline)? else { return Ok(live) };
    let id = new.id();
    let failed = |source: cluster::Error| Error::Doing {
        doing: format!("cannot patch {:?} with kind {}", id.name, id.kind),
        source,
    };
    cluster.patch_object(&id, (kind, &patch), trying).await.map_err(failed)
}

async fn put(
    cluster: &Cluster,
    new: &Object,
    live: &Object,
    trying: Trying,
) -> Result<Object, Error> {
    let doing = "failed to replace object".to_owned();
    let put = cluster.replace_live(new, live, trying).await;
    put.map_err(|source| Error::Doing { doing, source })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What patches consist of is tested where they are made.
    #[test]
    #[expect(clippy::too_many_lines, reason = "one table")]
    fn what_is_sent_depends_on_what_is_known_of_the_kind() {
        let object = |api_version: &str, kind: &str, data: Value| {
            Object(
                json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, "data": data}),
            )
        };
        let versioned = |mut object: Object| {
            object.0["metadata"]["resourceVersion"] = "5".into();
            object
        };
        let map = |data: Value| object("v1", "ConfigMap", data);
        let thing = |data: Value| object("x.io/v1", "Thing", data);
        let strategic = |patch: Value| Some((PatchKind::Strategic, json!({"data": patch})));
        let merge = |patch: Value| Some((PatchKind::Merge, json!({"data": patch})));
        let (a, b) = (json!({"a": 1}), json!({"b": 1}));
        let both = json!({"a": 1, "c": 2});
        let rows = [
            (
                "dropped",
                map(b.clone()),
                Some(map(a.clone())),
                map(a.clone()),
                Baseline::New,
                strategic(json!({"a": null, "b": 1})),
            ),
            (
                "drift of a known kind",
                map(a.clone()),
                Some(map(a.clone())),
                map(b.clone()),
                Baseline::New,
                strategic(a.clone()),
            ),
            (
                "drift of another",
                thing(a.clone()),
                Some(thing(a.clone())),
                thing(b.clone()),
                Baseline::New,
                None,
            ),
            (
                "changed",
                thing(b.clone()),
                Some(thing(a.clone())),
                thing(json!({})),
                Baseline::New,
                merge(json!({"a": null, "b": 1})),
            ),
            ("adopted", map(a.clone()), None, map(both.clone()), Baseline::New, None),
            ("adopted thing", thing(a.clone()), None, thing(b.clone()), Baseline::New, None),
            (
                "taken thing",
                thing(a.clone()),
                None,
                thing(b.clone()),
                Baseline::NewOfAnyKind,
                merge(a.clone()),
            ),
            (
                "back again",
                map(a.clone()),
                None,
                map(both.clone()),
                Baseline::Live,
                strategic(json!({"c": null})),
            ),
            (
                "a thing back again",
                thing(a.clone()),
                None,
                versioned(thing(both.clone())),
                Baseline::Live,
                merge(json!({"c": null})),
            ),
        ];
        for (name, new, old, live, baseline, want) in rows {
            let seen = patch(&new, old.as_ref(), &live, baseline).unwrap();
            assert_eq!(seen, want, "{name}");
        }
    }
}
