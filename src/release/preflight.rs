//! Asks before anything is changed: a field that cannot change is refused by the API server only
//! once it gets there, when the objects before it are changed already.

use futures::future::join_all;

use super::conflict::{Policy, Rules};
use super::method::How;
use super::serverside::{self, Purpose, refused};
use super::{Error, clientside};
use crate::cluster::{Cluster, Object};
use crate::yaml::Value;

/// Kinds with fields that cannot change, and the parts of each that can.
const KINDS: &[(&str, &[&str])] = &[
    ("Deployment", &["/spec/template", "/spec/replicas", "/spec/strategy"]),
    ("StatefulSet", &["/spec/template", "/spec/replicas", "/spec/updateStrategy"]),
    ("DaemonSet", &["/spec/template", "/spec/updateStrategy"]),
    ("ReplicaSet", &["/spec/template", "/spec/replicas"]),
    ("Job", &["/spec/suspend", "/spec/parallelism", "/spec/ttlSecondsAfterFinished"]),
    ("Service", &["/spec/ports", "/spec/selector"]),
    ("PersistentVolumeClaim", &[]),
    ("PersistentVolume", &[]),
    ("StorageClass", &[]),
    ("PriorityClass", &[]),
    ("RoleBinding", &["/subjects"]),
    ("ClusterRoleBinding", &["/subjects"]),
];

/// Has the API server try every change of an upgrade that it may refuse for what is there.
///
/// # Errors
/// It refuses one; nothing was changed then.
pub(super) async fn check(
    cluster: &Cluster,
    old: &[Object],
    new: &[Object],
    how: How<'_>,
) -> Result<(), Error> {
    let tries = suspects(old, new).into_iter().map(|object| async move {
        let before = || old.iter().find(|old| old.id().same(&object.id()));
        let tried = match how {
            How::Server(rules) => {
                // Where none is left to others, whose fields they are is found out in the end.
                let forced = Rules::just(Policy::Force);
                let rules = if rules.leaves() { rules } else { &forced };
                let tried = serverside::put(cluster, object, (rules, Purpose::Try), None).await;
                tried.map(drop).map_err(|error| refused(object, error))
            }
            How::Client(baseline, _) => {
                clientside::attempt(cluster, (object, before()), Some(baseline)).await
            }
            How::Replace => clientside::attempt(cluster, (object, None), None).await,
        };
        match tried {
            // It was deleted meanwhile, and is made anew.
            Err(error) if !error.is_not_found() => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    });
    join_all(tries).await.into_iter().collect()
}

/// Returns the objects that an upgrade changes where they perhaps cannot change.
fn suspects<'a>(old: &[Object], new: &'a [Object]) -> Vec<&'a Object> {
    let ids: Vec<_> = old.iter().map(Object::id).collect();
    let before = |object: &Object| {
        let id = object.id();
        ids.iter().position(|old| old.same(&id)).map(|index| &old[index])
    };
    new.iter()
        .filter(|object| {
            before(object).is_some_and(|before| match changeable(object).or(changeable(before)) {
                Some(parts) => rest(before, parts) != rest(object, parts),
                None => false,
            })
        })
        .collect()
}

/// Returns the parts of an object that can change; none if all can.
fn changeable(object: &Object) -> Option<&'static [&'static str]> {
    let known = KINDS.iter().find(|(kind, _)| *kind == object.kind());
    let sealed = matches!(object.kind(), "ConfigMap" | "Secret")
        && object.at("/immutable") == Some(&Value::Bool(true));
    known.map(|(_, parts)| *parts).or(sealed.then_some(&[]))
}

/// Returns what of an object may be fixed.
fn rest(object: &Object, changeable: &[&str]) -> Value {
    let mut rest = object.0.clone();
    for pointer in changeable.iter().chain(&["/metadata", "/status"]) {
        if let Some((parent, key)) = pointer.rsplit_once('/')
            && let Some(parent) = rest.pointer_mut(parent).and_then(Value::as_object_mut)
        {
            parent.remove(key);
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_may_be_fixed_is_asked_for() {
        let object = |kind: &str, rest: Value| {
            let mut object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "x"}});
            object.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            Object(object)
        };
        let spec = |selector: &str, image: &str, replicas: i64| json!({"spec": {"selector": selector, "template": {"image": image}, "replicas": replicas}});
        let rows = [
            ("image", "Deployment", spec("a", "1", 1), spec("a", "2", 3), false),
            ("selector", "Deployment", spec("a", "1", 1), spec("b", "1", 1), true),
            ("image of a job", "Job", spec("a", "1", 1), spec("a", "2", 1), true),
            ("data", "ConfigMap", json!({"data": 1}), json!({"data": 2}), false),
            (
                "sealed data",
                "ConfigMap",
                json!({"data": 1, "immutable": true}),
                json!({"data": 2}),
                true,
            ),
            (
                "label",
                "Job",
                json!({"metadata": {"name": "x"}}),
                json!({"metadata": {"name": "x", "labels": {}}}),
                false,
            ),
            ("another kind", "Ingress", json!({"spec": 1}), json!({"spec": 2}), false),
        ];
        for (name, kind, before, after, asked) in rows {
            let (before, after) = ([object(kind, before)], [object(kind, after)]);
            assert_eq!(!suspects(&before, &after).is_empty(), asked, "{name}");
        }
        assert!(suspects(&[], &[object("Job", json!({}))]).is_empty());
    }
}
