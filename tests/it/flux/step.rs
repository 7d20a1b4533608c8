//! What the person of a scenario did.

use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::helm::Helm;
use crate::support::wait::{SOON, until};

/// Does it. Waiting steps wait for nothing here: their state is waited for.
pub(super) async fn perform(api: &Api, helm: Option<&Helm>, namespace: &str, what: &Value) {
    for object in what["apply"].as_array().into_iter().flatten() {
        let mut object = object.clone();
        object["metadata"]["namespace"] = json!(namespace);
        if object.get("apiVersion").is_none() {
            object["apiVersion"] = json!("v1");
        }
        if let Some(values) = object.pointer_mut("/spec/values") {
            as_kubectl_reads(values);
        }
        api.apply(&object).await;
    }
    if let Some(arguments) = what["kubectl"].as_array() {
        let arguments: Vec<_> = arguments.iter().map(|word| word.as_str().unwrap()).collect();
        kubectl(api, namespace, &arguments).await;
    }
    if let Some(path) = what["merge"]["path"].as_str() {
        api.merge(path, &what["merge"]["patch"]).await;
    }
    if let Some(path) = what["delete"].as_str() {
        api.delete(path).await;
        until("what was deleted is gone", SOON, async || api.get(path).await.is_none()).await;
    }
    if let Some(arguments) = what["helm"].as_array() {
        let arguments: Vec<_> = arguments.iter().map(|word| word.as_str().unwrap()).collect();
        let helm = helm.expect("a scenario in which a person uses Helm has one");
        helm.ok(&arguments).await;
    }
}
/// The scenarios were YAML to `kubectl apply`, for which the key `n` is the boolean of YAML 1.1, and
/// which sends no null inside of objects.
fn as_kubectl_reads(values: &mut Value) {
    if let Some(fields) = values.as_object_mut()
        && let Some(value) = fields.remove("n")
    {
        fields.insert("false".to_owned(), value);
    }
    drop_nulls(values);
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Does what `kubectl` with these arguments does.
async fn kubectl(api: &Api, namespace: &str, arguments: &[&str]) {
    let core = format!("/api/v1/namespaces/{namespace}");
    let releases = format!("/apis/helm.toolkit.fluxcd.io/v2/namespaces/{namespace}/helmreleases");
    match arguments {
        ["create", "cm", name] => {
            let object =
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
            api.create(&format!("{core}/configmaps"), &object).await.unwrap();
        }
        ["delete", "svc", name] => api.delete(&format!("{core}/services/{name}")).await,
        ["delete", "hr", name, ..] => {
            let path = format!("{releases}/{name}");
            api.delete(&path).await;
            until("the release is gone", SOON, async || api.get(&path).await.is_none()).await;
        }
        ["scale", target, replicas] => {
            let name = target.strip_prefix("deploy/").unwrap();
            let replicas: u32 = replicas.strip_prefix("--replicas=").unwrap().parse().unwrap();
            let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale");
            api.merge(&path, &json!({"spec": {"replicas": replicas}})).await;
        }
        ["annotate", "hr", name, annotations @ ..] => {
            let pairs = annotations.iter().filter_map(|word| word.split_once('='));
            let pairs: serde_json::Map<String, Value> =
                pairs.map(|(key, value)| (key.to_owned(), json!(value))).collect();
            let patch = json!({"metadata": {"annotations": pairs}});
            api.merge(&format!("{releases}/{name}"), &patch).await;
        }
        // Flux looked at the object just before this and again when time was up, so it never saw
        // the change. Leadsman, which watches, would: what it does then is a test of its own.
        ["patch", "widget", "web", "--type=merge", "--subresource=status", ..] => {}
        unknown => panic!("the replay does not know kubectl {unknown:?}"),
    }
}
