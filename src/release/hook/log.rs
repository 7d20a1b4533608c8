//! What hooks said: logs of their containers.
//!
//! Source: helm v4.3.2 pkg/action/hooks.go (`outputLogsByPolicy`).

use crate::base::class::chain;
use crate::cluster::{self, Cluster, Object, ObjectId, Selection};
use crate::release::action::Env;
use crate::release::manifest::Hook;
use crate::yaml::{self, Numbers, Value};

/// Tells what a hook's containers said, if one of its policies asks for that. What cannot be read
/// is no failure of the hook.
pub(super) async fn tell(env: &Env<'_>, hook: &Hook, namespace: &str, policy: &str) {
    if !hook.output_log_policies.iter().any(|known| known == policy) {
        return;
    }
    let Some(selection) = pods(hook, namespace) else { return };
    let told = async {
        for pod in env.cluster.list("v1", "Pod", &selection).await? {
            for container in containers(&pod, &["/spec/containers"]) {
                (env.output)(&env.cluster.whole_log(&pod.id(), container).await?);
            }
        }
        Ok::<_, cluster::Error>(())
    };
    if let Err(error) = told.await {
        (env.output)(&format!("error outputting logs for hook failure: {}", chain(&error)));
    }
}

/// Returns which Pods belong to a hook: a Pod is its own, a Job's bear its name.
fn pods(hook: &Hook, namespace: &str) -> Option<Selection> {
    let value = yaml::parse(&hook.manifest, Numbers::Exact).unwrap_or_default();
    let own = value.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default();
    let within = Selection::namespace(if own.is_empty() { namespace } else { own });
    match hook.kind.as_str() {
        "Job" => Some(within.labels(format!("job-name={}", hook.name))),
        "Pod" => Some(within.fields(format!("metadata.name={}", hook.name))),
        _ => None,
    }
}

/// Returns the names of a Pod's containers.
fn containers<'a>(pod: &'a Object, places: &[&str]) -> impl Iterator<Item = &'a str> {
    let lists: Vec<_> = places.iter().filter_map(|place| pod.at(place)?.as_array()).collect();
    lists.into_iter().flatten().filter_map(|container| container.get("name")?.as_str())
}

/// Returns what the containers of a Pod said, each under a heading, those first that prepare it;
/// and what could not be read of it.
///
/// Source: helm v4.3.2 pkg/action/release_testing.go (`getContainerLogs`).
pub(in crate::release) async fn of_pod(cluster: &Cluster, id: &ObjectId) -> (String, Vec<String>) {
    let name = &id.name;
    let read = async {
        let resource = cluster.served(id).await?;
        cluster.read(&resource, &id.namespace, name).await
    };
    let pod = match read.await {
        Ok(pod) => Object(pod),
        Err(error) => {
            return (String::new(), vec![format!("unable to get pod {name}: {}", chain(&error))]);
        }
    };
    let (mut out, mut wrong) = (String::new(), Vec::new());
    for container in containers(&pod, &["/spec/initContainers", "/spec/containers"]) {
        match cluster.whole_log(id, container).await {
            Ok(log) => out.push_str(&format!("POD LOGS: {name} ({container})\n{log}\n")),
            Err(error) => wrong.push(format!(
                "unable to get logs for pod {name}, container {container}: {}",
                chain(&error)
            )),
        }
    }
    (out, wrong)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pods_of_a_hook_are_those_of_its_name() {
        let hook = |kind: &str, manifest: &str| -> Hook {
            serde_json::from_value(json!({"name": "h", "kind": kind, "manifest": manifest}))
                .unwrap()
        };
        let job = pods(&hook("Job", "kind: Job"), "ns").unwrap();
        assert_eq!((job.namespace.as_deref(), &*job.labels), (Some("ns"), "job-name=h"));
        let pod = pods(&hook("Pod", "metadata: {namespace: other}"), "ns").unwrap();
        assert_eq!((pod.namespace.as_deref(), &*pod.fields), (Some("other"), "metadata.name=h"));
        assert!(pods(&hook("ConfigMap", ""), "ns").is_none());
    }

    #[test]
    fn containers_that_prepare_come_first() {
        let pod = Object(json!({"spec": {
            "containers": [{"name": "a"}, {"name": "b"}],
            "initContainers": [{"name": "i"}],
        }}));
        let names = |places: &[&str]| containers(&pod, places).collect::<Vec<_>>().join(" ");
        assert_eq!(names(&["/spec/initContainers", "/spec/containers"]), "i a b");
        assert_eq!(names(&["/spec/containers"]), "a b");
    }
}
