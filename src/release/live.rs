//! The live objects of a release, and the Pods that belong to them.
//!
//! Source: helm v4.3.2 pkg/kube/client.go (`Get`).

use super::{Error, Record, apply};
use crate::cluster::{self, Cluster, Object, ObjectId, Selection};
use crate::yaml::Value;

/// How objects are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As they are.
    Whole,
    /// As tables.
    Table,
}

/// Live objects by version and kind, as in `v1/Service`, in the order of the manifest.
pub type Live = Vec<(String, Vec<Value>)>;

/// Name of what belongs to other objects.
const RELATED: &str = "v1/Pod(related)";

/// Reads the live objects of a record. What is not there, or cannot be read, is left out.
///
/// # Errors
/// The manifest names a kind that the server does not serve.
pub async fn live(cluster: &Cluster, record: &Record, form: Form) -> Result<Live, Error> {
    let mut found = Live::new();
    let mut seen: Vec<Value> = Vec::new();
    for object in apply::objects(cluster, &record.manifest, &record.namespace).await? {
        let Ok(Some(live)) = read(cluster, &object.id(), form).await else { continue };
        let version = object.id().api_version();
        let version = version.rsplit('/').next().unwrap_or_default();
        push(&mut found, &format!("{version}/{}", object.kind()), live);
        let Some(labels) = selector(&object).filter(|labels| !seen.contains(labels)) else {
            continue;
        };
        seen.push(labels.clone());
        if let Ok(Some(pods)) = related(cluster, object.namespace(), &labels, form).await {
            push(&mut found, RELATED, pods);
        }
    }
    Ok(found)
}

fn push(found: &mut Live, kind: &str, live: Value) {
    match found.iter_mut().find(|(known, _)| known == kind) {
        Some((_, list)) => list.push(live),
        None => found.push((kind.to_owned(), vec![live])),
    }
}

async fn read(
    cluster: &Cluster,
    id: &ObjectId,
    form: Form,
) -> Result<Option<Value>, cluster::Error> {
    match form {
        Form::Whole => Ok(cluster.get(id).await?.map(|object| object.0)),
        Form::Table => cluster.table(id, "").await,
    }
}

/// Returns the labels by which an object selects its Pods.
fn selector(object: &Object) -> Option<Value> {
    let place = match object.kind() {
        "ReplicaSet" | "Deployment" | "StatefulSet" | "DaemonSet" | "Job" => {
            "/spec/selector/matchLabels"
        }
        "ReplicationController" => "/spec/selector",
        _ => return None,
    };
    object.at(place).filter(|labels| labels.is_object()).cloned()
}

async fn related(
    cluster: &Cluster,
    namespace: &str,
    labels: &Value,
    form: Form,
) -> Result<Option<Value>, cluster::Error> {
    let pairs = labels.as_object().into_iter().flatten();
    let pairs = pairs.filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)));
    let labels = pairs.collect::<Vec<_>>().join(",");
    let id = ObjectId::new("v1", "Pod", namespace, "");
    match form {
        Form::Table => cluster.table(&id, &labels).await,
        Form::Whole => {
            let selection = Selection::namespace(namespace).labels(labels);
            let pods = cluster.list("v1", "Pod", &selection).await?;
            let items: Vec<Value> = pods.into_iter().map(|pod| pod.0).collect();
            let metadata = serde_json::json!({"resourceVersion": ""});
            Ok(Some(serde_json::json!({
                "apiVersion": "v1", "kind": "PodList", "metadata": metadata, "items": items,
            })))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_select_their_pods_by_labels() {
        let object = |kind: &str, spec: Value| Object(json!({"kind": kind, "spec": spec}));
        let labels = json!({"a": "b"});
        let set = json!({"selector": {"matchLabels": labels}});
        assert_eq!(selector(&object("Deployment", set.clone())), Some(labels.clone()));
        let plain = json!({"selector": labels});
        assert_eq!(selector(&object("ReplicationController", plain.clone())), Some(labels));
        assert_eq!(selector(&object("Service", plain)), None);
        assert_eq!(selector(&object("Job", json!({}))), None);
    }
}
