//! What a cluster says of a manifest before anything is installed.
//!
//! Source: helm v4.3.1 pkg/action/{install,validate}.go, pkg/kube/client.go (`Build`),
//! k8s.io/cli-runtime pkg/resource (visitor.go, mapper.go).

use super::apply::{Owner, foreign};
use super::{Error, manifest};
use crate::base::class::chain;
use crate::cluster::{self, Cluster, Object, ObjectId, Resource};
use crate::yaml::{self, Numbers, Value};

/// Which questions are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflicts {
    /// Objects that exist must be the release's already.
    Refused,
    /// Objects that exist are taken over.
    TakenOver,
    /// Nobody asks: the release is upgraded.
    Ignored,
}

/// A release that would be installed.
#[derive(Debug, Clone, Copy)]
pub struct Trial<'a> {
    /// Name of the release.
    pub name: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Whether each document must say what it is before the cluster is asked about it.
    pub validate: bool,
    /// What is done about objects that exist.
    pub conflicts: Conflicts,
}

impl Trial<'_> {
    /// Asks whether the cluster serves every kind of a manifest, and whether its objects may be
    /// made. Nothing is changed.
    ///
    /// # Errors
    /// Helm's texts. All that is wrong with the kinds is told at once.
    pub async fn run(&self, cluster: &Cluster, manifest: &str) -> Result<(), Error> {
        let objects = self.build(cluster, manifest).await.map_err(|text| {
            let doing = "unable to build kubernetes objects from release manifest";
            Error::Refused(format!("{doing}: {text}"))
        })?;
        if self.conflicts == Conflicts::Ignored {
            return Ok(());
        }
        for (object, resource) in &objects {
            self.conflict(cluster, object, resource).await.map_err(|text| {
                Error::Refused(format!("unable to continue with install: {text}"))
            })?;
        }
        Ok(())
    }

    /// Returns the objects, each with its namespace and how it is served.
    async fn build(
        &self,
        cluster: &Cluster,
        manifest: &str,
    ) -> Result<Vec<(Object, Resource)>, String> {
        let (mut found, mut wrong) = (Vec::new(), Vec::new());
        for document in manifest::split(manifest) {
            let value = match yaml::parse(document, Numbers::Exact) {
                Ok(Value::Null) => continue,
                Ok(value) => value,
                Err(error) => {
                    wrong.push(format!("error parsing : {error}"));
                    break;
                }
            };
            if self.validate
                && let Err(why) = identified(&value)
            {
                wrong.push(format!("error validating \"\": error validating data: {why}"));
                break;
            }
            let (items, is_list) = flat(value);
            for item in items {
                match placed(cluster, item, self.namespace, is_list).await {
                    Ok(object) => found.push(object),
                    Err(error) => wrong.push(error),
                }
            }
        }
        if wrong.is_empty() { Ok(found) } else { Err(together(wrong)) }
    }

    /// Refuses an object that exists and is not the release's.
    async fn conflict(
        &self,
        cluster: &Cluster,
        object: &Object,
        resource: &Resource,
    ) -> Result<(), String> {
        let id = object.id();
        match (id.name.is_empty(), object.text("/metadata/generateName").is_empty()) {
            (true, false) => return Ok(()),
            (false, false) => {
                return Err("metadata.name and metadata.generateName cannot both be set".to_owned());
            }
            (_, true) => {}
        }
        let named = shown(&id);
        let unknown =
            |why: &str| format!("could not get information about the resource {named}: {why}");
        if id.name.is_empty() {
            return Err(unknown("resource name may not be empty"));
        }
        let live = match cluster.read(resource, &id.namespace, &id.name).await {
            Ok(live) => Object(live),
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(unknown(&chain(&error))),
        };
        let wrong = match self.conflicts {
            Conflicts::Refused => {
                foreign(&live, Owner { name: self.name, namespace: self.namespace })
            }
            Conflicts::TakenOver | Conflicts::Ignored => Vec::new(),
        };
        if wrong.is_empty() {
            return Ok(());
        }
        Err(format!(
            "{named} exists and cannot be imported into the current release: invalid ownership \
             metadata; {}",
            wrong.join("; ")
        ))
    }
}

fn shown(id: &ObjectId) -> String {
    format!("{} \"{}\" in namespace \"{}\"", id.kind, id.name, id.namespace)
}

/// Whether a document says what it is.
fn identified(value: &Value) -> Result<(), String> {
    let missing = |name: &str| match value.get(name) {
        None | Some(Value::Null) => Some(format!("{name} not set")),
        Some(Value::String(text)) if text.is_empty() => Some(format!("{name} not set")),
        Some(Value::String(_)) => None,
        Some(_) => Some(format!("{name} is not string type")),
    };
    if !value.is_object() {
        return Err("invalid object to validate".to_owned());
    }
    let wrong: Vec<String> = ["apiVersion", "kind"].into_iter().filter_map(missing).collect();
    if wrong.is_empty() { Ok(()) } else { Err(together(wrong)) }
}

/// Takes a list apart; says also whether it is one.
fn flat(value: Value) -> (Vec<Value>, bool) {
    let is_list = value.get("kind").and_then(Value::as_str).is_some_and(|k| k.ends_with("List"));
    match value.get("items") {
        Some(Value::Array(items)) if is_list => (items.clone(), true),
        _ => (vec![value], false),
    }
}

/// Gives an object its namespace, and finds out how it is served.
async fn placed(
    cluster: &Cluster,
    value: Value,
    namespace: &str,
    in_list: bool,
) -> Result<(Object, Resource), String> {
    let mut object = Object(value);
    if object.kind().is_empty() {
        return Err(format!("unable to decode \"\": Object 'Kind' is missing in '{}'", object.0));
    }
    let id = object.id();
    let served = cluster.resource(&id.api_version(), &id.kind).await;
    let served = served.map_err(|error| chain(&error))?;
    let Some(resource) = served else {
        let (api_version, kind) = (id.api_version(), id.kind);
        if in_list {
            let why = format!("no matches for kind {kind:?} in version {api_version:?}");
            return Err(format!("unable to recognize {why}"));
        }
        let error =
            cluster::Error::NoKind { api_version, kind, namespace: id.namespace, name: id.name };
        return Err(error.to_string());
    };
    if !resource.namespaced {
        object.set_namespace("");
    } else if object.namespace().is_empty() {
        object.set_namespace(namespace);
    }
    Ok((object, resource))
}

/// Joins errors as Go does: each text once, in brackets where there are several.
///
/// Source: k8s.io/apimachinery pkg/util/errors (`aggregate.Error`).
fn together(errors: Vec<String>) -> String {
    let mut seen: Vec<String> = Vec::new();
    for error in errors {
        if !seen.contains(&error) {
            seen.push(error);
        }
    }
    if let [one] = &seen[..] { one.clone() } else { format!("[{}]", seen.join(", ")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_must_say_what_it_is() {
        let rows = [
            (json!({"apiVersion": "v1", "kind": "X"}), Ok(())),
            (json!({"apiVersion": "v1"}), Err("kind not set")),
            (json!({"a": 1}), Err("[apiVersion not set, kind not set]")),
            (
                json!({"apiVersion": 1, "kind": ""}),
                Err("[apiVersion is not string type, kind not set]"),
            ),
            (json!([]), Err("invalid object to validate")),
        ];
        for (value, wanted) in rows {
            assert_eq!(identified(&value), wanted.map_err(str::to_owned), "{value}");
        }
    }

    #[test]
    fn errors_are_joined_once_each() {
        let join = |texts: &[&str]| together(texts.iter().map(|t| (*t).to_owned()).collect());
        assert_eq!(join(&["a"]), "a");
        assert_eq!(join(&["a", "a"]), "a");
        assert_eq!(join(&["a", "b", "a"]), "[a, b]");
    }
}
