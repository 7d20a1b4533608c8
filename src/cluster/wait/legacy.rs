//! Helm 3's rules of readiness, for who asks for them: a look at all objects every two seconds.
//!
//! Source: helm v4.3.2 pkg/kube/ready.go, pkg/kube/wait.go (`waitForResources`); kubectl
//! pkg/util/deployment (`GetNewReplicaSet`, `MaxUnavailable`).

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::WaitError;
use crate::cluster::cause;
use crate::cluster::client::{Cluster, Selection};
use crate::cluster::error::Error;
use crate::cluster::object::{Object, ObjectId};
use crate::yaml::Value;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(2);
/// Looks in a row at one object that may fail.
const FAILURES: u32 = 30;

/// Whether Jobs are awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Jobs {
    No,
    Yes,
}

/// An object that there is nothing to wait for any more.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lost(String);

/// Waits until every object is ready.
pub(super) async fn wait(
    cluster: &Cluster,
    objects: &[Object],
    timeout: Duration,
    jobs: Jobs,
) -> Result<(), WaitError> {
    let end = Instant::now() + timeout;
    let ids: Vec<ObjectId> = objects.iter().map(Object::id).collect();
    let mut failures = vec![0; ids.len()];
    loop {
        let mut all_ready = true;
        for (id, failures) in ids.iter().zip(&mut failures) {
            match is_ready(cluster, id, jobs).await {
                Ok(Ok(true)) => *failures = 0,
                Ok(Ok(false)) => {
                    *failures = 0;
                    all_ready = false;
                }
                Ok(Err(Lost(text))) => return Err(WaitError::Legacy(text)),
                Err(error) if error.is_transient() && *failures < FAILURES => {
                    *failures += 1;
                    all_ready = false;
                }
                Err(source) => {
                    return Err(WaitError::Cluster { id: Box::new(id.clone()), source });
                }
            }
            if !all_ready {
                break;
            }
        }
        if all_ready {
            return Ok(());
        }
        if Instant::now() + PAUSE > end {
            tokio::time::sleep_until(end).await;
            return Err(WaitError::Legacy("context deadline exceeded".to_owned()));
        }
        sleep(PAUSE).await;
    }
}

/// Looks at an object, and at what it needs beside it.
async fn is_ready(
    cluster: &Cluster,
    id: &ObjectId,
    jobs: Jobs,
) -> Result<Result<bool, Lost>, Error> {
    let (kind, group) = (id.kind.as_str(), id.group.as_str());
    let beside = match (group, kind) {
        ("apps", "Deployment") => Some(("apps/v1", "ReplicaSet")),
        ("apps", "ReplicaSet") | ("", "ReplicationController") => Some(("v1", "Pod")),
        ("apps", "DaemonSet" | "StatefulSet")
        | ("batch", "Job")
        | ("", "Pod" | "PersistentVolumeClaim" | "Service")
        | ("apiextensions.k8s.io", "CustomResourceDefinition") => None,
        _ => return Ok(Ok(true)),
    };
    let Some(live) = cluster.get(id).await? else {
        let message = format!("{} {:?} not found", kind.to_lowercase(), id.name);
        return Ok(Err(Lost(message)));
    };
    let mut others = Vec::new();
    if let Some((api_version, kind)) = beside
        && let Some(labels) = selector(&live)
    {
        let selection = Selection::namespace(&id.namespace).labels(labels);
        others = cluster.list(api_version, kind, &selection).await?;
    }
    Ok(verdict(&live, &others, jobs))
}

/// Returns the selector of the objects beside it.
fn selector(object: &Object) -> Option<String> {
    if object.kind() != "ReplicationController" {
        return cause::selector(object);
    }
    let labels = object.at("/spec/selector")?.as_object()?;
    let labels =
        labels.iter().filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)));
    Some(labels.collect::<Vec<_>>().join(","))
}

/// Whether an object is ready; `others` are the objects that its selector finds: replica sets of a
/// Deployment, else Pods.
fn verdict(object: &Object, others: &[Object], jobs: Jobs) -> Result<bool, Lost> {
    Ok(match object.kind() {
        "Pod" => is_pod_ready(object),
        "Job" if jobs == Jobs::Yes => {
            if number(object, "/status/failed", 0) > number(object, "/spec/backoffLimit", 6) {
                let (namespace, name) = (object.namespace(), object.name());
                return Err(Lost(format!("job is failed: {namespace}/{name}")));
            }
            number(object, "/status/succeeded", 0) >= number(object, "/spec/completions", 0)
        }
        "Deployment" => is_deployment_ready(object, others),
        "PersistentVolumeClaim" => object.text("/status/phase") == "Bound",
        "Service" => is_service_ready(object),
        "DaemonSet" => is_daemon_set_ready(object),
        "StatefulSet" => is_stateful_set_ready(object),
        "CustomResourceDefinition" => is_definition_ready(object),
        "ReplicaSet" | "ReplicationController" => {
            is_observed(object) && others.iter().all(is_pod_ready)
        }
        _ => true,
    })
}

fn number(object: &Object, pointer: &str, default: i64) -> i64 {
    object.at(pointer).and_then(Value::as_i64).unwrap_or(default)
}

/// Whether the controller has seen the object as it is.
fn is_observed(object: &Object) -> bool {
    number(object, "/status/observedGeneration", 0) == object.generation().unwrap_or_default()
}

fn conditions(object: &Object) -> impl Iterator<Item = (&str, &str)> {
    let list = object.at("/status/conditions").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|entry| Some((entry.get("type")?.as_str()?, entry.get("status")?.as_str()?)))
}

fn is_pod_ready(pod: &Object) -> bool {
    conditions(pod).any(|condition| condition == ("Ready", "True"))
}

fn is_deployment_ready(deployment: &Object, sets: &[Object]) -> bool {
    if deployment.at("/spec/paused") == Some(&Value::Bool(true)) {
        return true;
    }
    let Some(set) = newest_set(deployment, sets) else { return false };
    let replicas = number(deployment, "/spec/replicas", 1);
    let wanted = replicas - max_unavailable(deployment, replicas);
    is_observed(set) && is_observed(deployment) && number(set, "/status/readyReplicas", 0) >= wanted
}

/// Returns the replica set of a Deployment's present template; of several the oldest.
fn newest_set<'a>(deployment: &Object, sets: &'a [Object]) -> Option<&'a Object> {
    let template = |object: &Object| {
        let mut template = object.at("/spec/template").cloned().unwrap_or_default();
        if let Some(labels) =
            template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut)
        {
            labels.remove("pod-template-hash");
        }
        template
    };
    let is_owned = |set: &&Object| {
        let owners = set.at("/metadata/ownerReferences").and_then(Value::as_array);
        owners.into_iter().flatten().any(|owner| {
            owner["controller"] == true && owner["uid"].as_str() == Some(deployment.uid())
        })
    };
    let wanted = template(deployment);
    let fitting = sets.iter().filter(is_owned).filter(|set| template(set) == wanted);
    fitting.min_by_key(|set| set.text("/metadata/creationTimestamp"))
}

/// Which way a share of objects is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    Up,
    Down,
}

/// Returns a number or a share of a whole; none if it is neither.
fn scaled(value: Option<&Value>, whole: i64, round: Round) -> Option<i64> {
    match value? {
        Value::String(text) => {
            let share = text.strip_suffix('%')?.parse::<i64>().ok()? * whole;
            Some(match round {
                Round::Up => (share + 99).div_euclid(100),
                Round::Down => share.div_euclid(100),
            })
        }
        value => value.as_i64(),
    }
}

/// Returns how many Pods of a Deployment may be missing.
fn max_unavailable(deployment: &Object, replicas: i64) -> i64 {
    if deployment.text("/spec/strategy/type") != "RollingUpdate" || replicas == 0 {
        return 0;
    }
    let part = |name: &str, round: Round| {
        let value = deployment.at(&format!("/spec/strategy/rollingUpdate/{name}"));
        scaled(value, replicas, round).unwrap_or_default()
    };
    match (part("maxSurge", Round::Up), part("maxUnavailable", Round::Down)) {
        (0, 0) => 1,
        (_, missing) => missing.min(replicas),
    }
}

fn is_service_ready(service: &Object) -> bool {
    let kind = service.text("/spec/type");
    let is_some = |pointer: &str| {
        service.at(pointer).and_then(Value::as_array).is_some_and(|list| !list.is_empty())
    };
    kind == "ExternalName"
        || !service.text("/spec/clusterIP").is_empty()
            && (kind != "LoadBalancer"
                || is_some("/spec/externalIPs")
                || is_some("/status/loadBalancer/ingress"))
}

fn is_daemon_set_ready(set: &Object) -> bool {
    if !is_observed(set) {
        return false;
    }
    if set.text("/spec/updateStrategy/type") != "RollingUpdate" {
        return true;
    }
    let wanted = number(set, "/status/desiredNumberScheduled", 0);
    let missing = set.at("/spec/updateStrategy/rollingUpdate/maxUnavailable");
    let missing = scaled(missing, wanted, Round::Up).unwrap_or(wanted);
    number(set, "/status/updatedNumberScheduled", 0) == wanted
        && number(set, "/status/numberReady", 0) >= wanted - missing
}

fn is_stateful_set_ready(set: &Object) -> bool {
    if !is_observed(set) {
        return false;
    }
    if set.text("/spec/updateStrategy/type") != "RollingUpdate" {
        return true;
    }
    let replicas = number(set, "/spec/replicas", 1);
    let partition = number(set, "/spec/updateStrategy/rollingUpdate/partition", 0);
    let is_one_revision = set.text("/status/currentRevision") == set.text("/status/updateRevision");
    number(set, "/status/updatedReplicas", 0) >= replicas - partition
        && number(set, "/status/readyReplicas", 0) == replicas
        && (partition != 0 || is_one_revision)
}

/// A definition whose names are taken is done, too: it never will be established.
fn is_definition_ready(definition: &Object) -> bool {
    conditions(definition)
        .any(|condition| matches!(condition, ("Established", "True") | ("NamesAccepted", "False")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Checks parts of objects of a kind.
    #[track_caller]
    fn check(kind: &str, rows: &[(&str, Value, bool)]) {
        for (name, parts, want) in rows {
            let mut object = json!({"kind": kind, "metadata": {"generation": 1, "uid": "u"}});
            object.as_object_mut().unwrap().extend(parts.as_object().unwrap().clone());
            let seen = verdict(&Object(object), &[], Jobs::Yes);
            assert_eq!(seen, Ok(*want), "{kind}: {name}");
        }
    }

    #[test]
    fn pods_claims_services_and_definitions() {
        let condition = |kind: &str, status: &str| json!({"status": {"conditions": [{"type": kind, "status": status}]}});
        check(
            "Pod",
            &[
                ("ready", condition("Ready", "True"), true),
                ("not ready", condition("Ready", "False"), false),
                ("done is not ready", json!({"status": {"phase": "Succeeded"}}), false),
            ],
        );
        check(
            "PersistentVolumeClaim",
            &[
                ("bound", json!({"status": {"phase": "Bound"}}), true),
                ("pending", json!({"status": {"phase": "Pending"}}), false),
            ],
        );
        let balanced = |more: Value| {
            let mut spec = json!({"type": "LoadBalancer", "clusterIP": "10.0.0.1"});
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"spec": spec})
        };
        let given = json!({"spec": {"type": "LoadBalancer", "clusterIP": "1"}, "status": {"loadBalancer": {"ingress": [{"ip": "1"}]}}});
        check(
            "Service",
            &[
                ("external", json!({"spec": {"type": "ExternalName"}}), true),
                ("no address", json!({"spec": {"type": "ClusterIP"}}), false),
                ("headless", json!({"spec": {"clusterIP": "None"}}), true),
                ("balanced by nobody", balanced(json!({})), false),
                ("balanced by somebody", given, true),
                ("external addresses", balanced(json!({"externalIPs": ["1.1.1.1"]})), true),
            ],
        );
        check(
            "CustomResourceDefinition",
            &[
                ("established", condition("Established", "True"), true),
                ("not yet", condition("Established", "False"), false),
                ("never", condition("NamesAccepted", "False"), true),
            ],
        );
        check("ConfigMap", &[("always", json!({}), true)]);
    }

    #[test]
    fn sets_of_pods() {
        let set = |strategy: Value, status: Value| json!({"spec": {"updateStrategy": strategy, "replicas": 3}, "status": status});
        let rolling = |part: &str, value: Value| json!({"type": "RollingUpdate", "rollingUpdate": {part: value}});
        let daemons = |updated: u32, ready: u32| json!({"observedGeneration": 1, "desiredNumberScheduled": 10, "updatedNumberScheduled": updated, "numberReady": ready});
        let missing = |value: Value| rolling("maxUnavailable", value);
        check(
            "DaemonSet",
            &[
                ("not seen", set(missing(json!(1)), json!({"observedGeneration": 0})), false),
                ("by hand", set(json!({"type": "OnDelete"}), daemons(0, 0).clone()), true),
                ("old ones", set(missing(json!(1)), daemons(9, 10)), false),
                ("one missing", set(missing(json!(1)), daemons(10, 9)), true),
                ("two missing", set(missing(json!(1)), daemons(10, 8)), false),
                ("a share is rounded up", set(missing(json!("11%")), daemons(10, 8)), true),
                ("nonsense is all", set(missing(json!("x")), daemons(10, 0)), true),
            ],
        );
        let of = |updated: u32, ready: u32, now: &str| json!({"observedGeneration": 1, "updatedReplicas": updated, "readyReplicas": ready, "currentRevision": now, "updateRevision": "b"});
        let kept = |number: u32| rolling("partition", json!(number));
        check(
            "StatefulSet",
            &[
                ("not seen", set(kept(0), json!({})), false),
                ("by hand", set(json!({"type": "OnDelete"}), of(0, 0, "a")), true),
                ("all", set(kept(0), of(3, 3, "b")), true),
                ("on the way", set(kept(0), of(3, 3, "a")), false),
                ("two ready", set(kept(0), of(3, 2, "b")), false),
                ("partitioned", set(kept(2), of(1, 3, "a")), true),
                ("too few updated", set(kept(1), of(1, 3, "a")), false),
            ],
        );
        let job = |spec: Value, status: Value| json!({"spec": spec, "status": status});
        check(
            "Job",
            &[
                ("done", job(json!({"completions": 1}), json!({"succeeded": 1})), true),
                ("at work", job(json!({"completions": 1}), json!({"active": 1})), false),
                ("any number", job(json!({}), json!({})), true),
                (
                    "a try left",
                    job(json!({"completions": 1, "backoffLimit": 1}), json!({"failed": 1})),
                    false,
                ),
            ],
        );
        let lost = Object(json!({"kind": "Job", "metadata": {"name": "j", "namespace": "n"},
            "spec": {"backoffLimit": 1}, "status": {"failed": 2}}));
        assert_eq!(verdict(&lost, &[], Jobs::Yes), Err(Lost("job is failed: n/j".to_owned())));
        assert_eq!(verdict(&lost, &[], Jobs::No), Ok(true));
    }

    #[test]
    fn deployments_ask_the_set_of_their_template() {
        let set = |image: &str, ready: u32, owner: &str, made: &str| {
            Object(
                json!({"kind": "ReplicaSet", "metadata": {"generation": 1, "creationTimestamp": made,
                "ownerReferences": [{"uid": owner, "controller": true}]},
                "spec": {"template": {"metadata": {"labels": {"a": "b", "pod-template-hash": "x"}}, "image": image}},
                "status": {"observedGeneration": 1, "readyReplicas": ready}}),
            )
        };
        let deployment = |replicas: u32, strategy: Value| {
            Object(json!({"kind": "Deployment", "metadata": {"generation": 2, "uid": "u"},
                "spec": {"replicas": replicas, "strategy": strategy, "template": {"metadata": {"labels": {"a": "b"}}, "image": "2"}},
                "status": {"observedGeneration": 2}}))
        };
        let shares = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}});
        let none =
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}});
        let recreate = json!({"type": "Recreate"});
        let (old, new) = (set("1", 9, "u", "1"), |ready| set("2", ready, "u", "2"));
        let rows = [
            ("no set yet", deployment(1, shares.clone()), vec![old.clone()], false),
            ("one of one", deployment(1, shares.clone()), vec![old.clone(), new(1)], true),
            ("none of one", deployment(1, shares.clone()), vec![new(0)], false),
            ("three of four", deployment(4, shares.clone()), vec![new(3)], true),
            ("two of four", deployment(4, shares), vec![new(2)], false),
            ("neither more nor less", deployment(2, none), vec![new(1)], true),
            ("all anew", deployment(2, recreate.clone()), vec![new(1)], false),
            (
                "somebody else's set",
                deployment(1, recreate.clone()),
                vec![set("2", 1, "x", "1")],
                false,
            ),
            (
                "the older of two",
                deployment(1, recreate),
                vec![new(0), set("2", 1, "u", "1")],
                true,
            ),
        ];
        for (name, deployment, sets, want) in rows {
            assert_eq!(verdict(&deployment, &sets, Jobs::No), Ok(want), "{name}");
        }
        let mut paused = deployment(1, json!({}));
        paused.0["spec"]["paused"] = true.into();
        assert_eq!(verdict(&paused, &[], Jobs::No), Ok(true));
    }

    #[test]
    fn replica_sets_ask_their_pods() {
        let set = Object(
            json!({"kind": "ReplicaSet", "metadata": {"generation": 1}, "status": {"observedGeneration": 1}}),
        );
        let pod = |status: &str| {
            Object(
                json!({"kind": "Pod", "status": {"conditions": [{"type": "Ready", "status": status}]}}),
            )
        };
        assert_eq!(verdict(&set, &[pod("True")], Jobs::No), Ok(true));
        assert_eq!(verdict(&set, &[pod("True"), pod("False")], Jobs::No), Ok(false));
    }
}
