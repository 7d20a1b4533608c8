//! The objects of `crds/`: they come before rendering, so that charts can ask for their kinds.
//!
//! Source: fluxcd/helm-controller internal/action/crds.go.

use std::time::Duration;

use serde_json::json;

use super::apply::{apply_one, placed};
use super::conflict::Rules;
use super::method::{Asked, Baseline, Verb};
use super::{Env, Error, Method, Origin, clientside};
use crate::api::CrdPolicy;
use crate::api::annotation::{ORIGIN_NAME, ORIGIN_NAMESPACE};
use crate::chart::{self, Chart};
use crate::cluster::status::Reader;
use crate::cluster::wait::{WaitOptions, wait_ready};
use crate::cluster::{Cluster, Object};
use crate::yaml::{self, Numbers, Value};

/// Longest wait for definitions to be established, and then to be listed by discovery.
const LIMIT: Duration = Duration::from_secs(60);

/// How the objects of `crds/` are made, and where those that have a namespace go.
#[derive(Clone, Copy)]
pub struct Crds<'a> {
    /// What happens to those that are there, and whether any are made.
    pub policy: CrdPolicy,
    /// How they are changed.
    pub method: Method,
    /// What happens where others own fields.
    pub rules: &'a Rules,
    /// The namespace of the release.
    pub namespace: &'a str,
    /// The `HelmRelease` that they come from.
    pub origin: Option<&'a Origin>,
}

/// Applies what lies in `crds/` of a chart and of its enabled dependencies (dependencies processed),
/// waits until definitions are served, and forgets what was known of the server. What is no
/// definition is made as well, as Helm does.
///
/// # Errors
/// A file is not YAML, the cluster refuses, or a definition is not established in time.
pub async fn install_crds(env: &Env<'_>, chart: &Chart, crds: Crds<'_>) -> Result<(), Error> {
    if crds.policy == CrdPolicy::Skip {
        return Ok(());
    }
    // Nothing is applied when a later file is wrong. A large chart's definitions are not all held
    // at once, neither as they come nor as the server has them.
    objects(chart).try_for_each(|object| object.map(drop))?;
    let mut applied = Vec::new();
    for object in objects(chart) {
        applied.extend(install(env, object?, crds).await?);
    }
    if applied.is_empty() {
        return Ok(());
    }
    let options = WaitOptions::resources(LIMIT, Reader::Plain);
    let waited =
        wait_ready(&env.cluster, applied.clone(), &options, &*env.clock, env.progress).await;
    waited.map_err(|error| Error::from(error).during(FAILED))?;
    until_listed(&env.cluster, &applied).await.map_err(|error| error.during(FAILED))
}

/// Makes one object; returns what of it is to be waited for.
async fn install(
    env: &Env<'_>,
    mut object: Object,
    crds: Crds<'_>,
) -> Result<Option<Object>, Error> {
    // Where they are not applied, those that are there are replaced.
    let own = crds.method.taking();
    let (rules, replace) = match crds.method {
        Method::Auto | Method::Server => (crds.rules, false),
        Method::Client => (&own, true),
    };
    let how = Asked { method: crds.method, rules, replace, baseline: Baseline::New };
    let how = how.how(Verb::Update)?;
    let is_definition = object.kind() == "CustomResourceDefinition";
    if !is_definition {
        let placed = placed(&env.cluster, object.0, crds.namespace).await;
        object = placed.map_err(|error| error.during(FAILED))?.0;
    }
    if let Some(origin) = crds.origin {
        object.set_label(ORIGIN_NAME, &origin.name);
        object.set_label(ORIGIN_NAMESPACE, &origin.namespace);
    }
    if crds.policy == CrdPolicy::Create
        && let Some(live) = env.cluster.get(&object.id()).await?
    {
        // Somebody else may have made it just now.
        return Ok((is_definition && !is_established(&live)).then(|| outline(&live)));
    }
    let live = if crds.policy == CrdPolicy::Create && crds.method == Method::Client {
        match clientside::create(&env.cluster, &object, Verb::Create).await {
            // Somebody else was quicker.
            Err(Error::Cluster(error)) if error.is_already_exists() => Ok(object),
            made => made,
        }
    } else {
        apply_one(env, (&object, None), how).await
    };
    let live = live.map_err(|error| error.during(FAILED))?;
    Ok(Some(if is_definition { outline(&live) } else { live }))
}

const FAILED: &str = "failed to apply CustomResourceDefinitions";

/// An established definition appears in discovery a moment later.
async fn until_listed(cluster: &Cluster, definitions: &[Object]) -> Result<(), Error> {
    let deadline = tokio::time::Instant::now() + LIMIT;
    for definition in definitions {
        for (api_version, kind) in served(definition) {
            loop {
                cluster.forget_discovery();
                if cluster.resource(&api_version, &kind).await?.is_some() {
                    break;
                }
                if tokio::time::Instant::now() > deadline {
                    return Err(Error::Refused(format!(
                        "{kind} of {api_version} is established but not served"
                    )));
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    Ok(())
}

/// Returns the versions and kind that a definition makes the server serve.
fn served(definition: &Object) -> Vec<(String, String)> {
    let group = definition.text("/spec/group");
    let kind = definition.text("/spec/names/kind");
    let versions = definition.at("/spec/versions").and_then(Value::as_array);
    let served = versions.into_iter().flatten().filter(|version| version["served"] == true);
    served
        .filter_map(|version| Some(format!("{group}/{}", version["name"].as_str()?)))
        .map(|api_version| (api_version, kind.to_owned()))
        .collect()
}

fn is_established(definition: &Object) -> bool {
    let conditions = definition.at("/status/conditions").and_then(Value::as_array);
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Established" && condition["status"] == "True")
}

/// What is needed of a definition to wait for it: not its schemas.
fn outline(live: &Object) -> Object {
    let part = |pointer| live.at(pointer).cloned().unwrap_or_default();
    let versions = live.at("/spec/versions").and_then(Value::as_array);
    let versions = versions.into_iter().flatten();
    let versions: Vec<_> = versions
        .map(|version| json!({"name": version["name"], "served": version["served"]}))
        .collect();
    Object(json!({
        "apiVersion": part("/apiVersion"),
        "kind": part("/kind"),
        "metadata": {"name": part("/metadata/name"), "uid": part("/metadata/uid")},
        "spec": {
            "group": part("/spec/group"),
            "names": {"kind": part("/spec/names/kind")},
            "versions": versions,
        },
    }))
}

/// Reads the objects of `crds/` of a chart and its dependencies, file by file.
pub(super) fn objects(chart: &Chart) -> impl Iterator<Item = Result<Object, Error>> {
    chart::crds(chart).into_iter().flat_map(|(path, file)| {
        let text = String::from_utf8_lossy(&file.data);
        match yaml::parse_documents(&text, Numbers::Exact) {
            Ok(documents) => documents
                .into_iter()
                .map(|document| Ok(Object(document.value)))
                .filter(|object| object.as_ref().is_ok_and(|object| !object.kind().is_empty()))
                .collect(),
            Err(error) => vec![Err(Error::manifest(&path, &error))],
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_served_versions_are_waited_for() {
        let definition =
            Object(json!({"spec": {"group": "a.io", "names": {"kind": "Foo"}, "versions": [
            {"name": "v1", "served": true}, {"name": "v0", "served": false}]}}));
        let want = [("a.io/v1".to_owned(), "Foo".to_owned())];
        assert_eq!(served(&definition), want);
        assert_eq!(served(&outline(&definition)), want);
    }
}
