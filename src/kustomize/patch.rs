//! Patches: which kind one is, and whom it changes.
//!
//! Source: sigs.k8s.io/kustomize/api v0.21.1 internal/builtins/PatchTransformer.go,
//! resource/resource.go (`ApplySmPatch`), resmap/reswrangler.go (`ApplySmPatch`, `GetById`).

use super::error::Error;
use super::merge::{merge, set_field, set_text};
use super::resource::{Id, Resource, check_unique, parse};
use super::select::select;
use super::{INTERNAL, json};
use crate::api::{Patch, Selector};
use crate::template::quote;
use crate::yaml::layout::Node;
use crate::yaml::layout::plain::{node_of, plain};
use crate::yaml::{self, Map, Numbers, Value};

/// What a patch is made of.
#[derive(Debug)]
pub(super) enum Change<'a> {
    /// Parts of objects, merged into those that they name, or into the target.
    Strategic { parts: Vec<Resource>, target: Option<&'a Selector>, source: String },
    /// Operations on the target.
    Json { operations: Vec<Map>, target: Option<&'a Selector>, source: String },
}

/// Reads a patch.
///
/// # Errors
/// It is neither kind, or both.
pub(super) fn read(patch: &Patch) -> Result<Change<'_>, Error> {
    let wrong = |why: String| {
        let config = config(patch);
        let doing = "trouble configuring builtin PatchTransformer with config: `";
        Error(format!("{doing}\n{config}`: {why}"))
    };
    let text = patch.patch.trim();
    if text.is_empty() {
        return Err(wrong(format!("must specify one of patch and path in\n{}", config(patch))));
    }
    let source = format!("[patch: {}]", quote(text.as_bytes()));
    let target = patch.target.as_ref();
    let operations = operations(text);
    match (parse(text), operations) {
        (Ok(parts), Ok(operations)) if !parts.is_empty() && !operations.is_empty() => {
            let why = "illegally qualifies as both an SM and JSON patch";
            Err(wrong(format!("{why}: {source}")))
        }
        (Ok(parts), _) => Ok(Change::Strategic { parts, target, source }),
        (Err(_), Ok(operations)) => Ok(Change::Json { operations, target, source }),
        (Err(_), Err(_)) => Err(wrong(format!("unable to parse SM or JSON patch from {source}"))),
    }
}

/// Returns the patch as kustomize shows it.
fn config(patch: &Patch) -> String {
    let mut shown = serde_json::to_value(patch).unwrap_or_default();
    if let Some(map) = shown.as_object_mut()
        && patch.patch.is_empty()
    {
        map.remove("patch");
    }
    if shown.as_object().is_some_and(Map::is_empty) {
        return "{}\n".to_owned();
    }
    yaml::print_sorted(&shown)
}

fn operations(text: &str) -> Result<Vec<Map>, String> {
    let value = if text.starts_with('[') {
        serde_json::from_str(text).map_err(|error| error.to_string())?
    } else {
        yaml::parse(text, Numbers::Exact).map_err(|error| error.to_string())?
    };
    json::operations(&value)
}

/// Applies a patch; what it deletes is dropped.
///
/// # Errors
/// It does not apply; kustomize's words.
pub(super) fn apply(resources: &mut Vec<Resource>, change: &Change<'_>) -> Result<(), Error> {
    match change {
        Change::Strategic { parts, target: Some(target), source } => {
            if parts.len() > 1 {
                let why = "Multiple Strategic-Merge Patches in one `patches` entry is not allowed to set `patches.target` field";
                return Err(Error(format!("{why}: {source}")));
            }
            if let Some(part) = parts.first() {
                merge_into_selected(resources, part, target)?;
            }
        }
        Change::Strategic { parts, target: None, .. } => {
            for part in parts {
                merge_into_named(resources, part)?;
            }
        }
        Change::Json { operations, target: Some(target), .. } => {
            for at in select(resources, target)? {
                operate(&mut resources[at], operations)?;
            }
        }
        Change::Json { target: None, source, .. } => {
            return Err(Error(format!("must specify a target for JSON patch {source}")));
        }
    }
    resources.retain(|resource| !resource.is_gone());
    Ok(())
}

fn merge_into_selected(
    resources: &mut Vec<Resource>,
    part: &Resource,
    target: &Selector,
) -> Result<(), Error> {
    let selected = select(resources, target).map_err(|error| {
        let target = shown(target);
        error.doing(&format!("unable to find patch target {target:?} in `resources`"))
    })?;
    let ids: Vec<Id> = selected.iter().map(|at| resources[*at].id()).collect();
    for resource in resources.iter_mut().filter(|resource| ids.contains(&resource.id())) {
        let mut part = part.clone();
        for name in ["labels", "annotations"] {
            // Whatever they were, they are texts now.
            let texts = part.texts(name);
            part.set_texts(name, &texts);
        }
        for name in ["name", "namespace"] {
            let text = part.meta(name).to_owned();
            part.set_meta(name, &text);
        }
        let version = resource.api_version().to_owned();
        set_text(&mut part.root, "apiVersion", &version);
        merge_into(resource, part.root)?;
    }
    resources.retain(|resource| !resource.is_gone());
    check_unique(resources)
}

fn shown(target: &Selector) -> String {
    let id = format!(
        "{}.{}.{}/{}.{}",
        or(&target.kind, "[noKind]"),
        or(&target.version, "[noVer]"),
        or(&target.group, "[noGrp]"),
        or(&target.name, "[noName]"),
        or(&target.namespace, "[noNs]")
    );
    format!("{id}:a={}:l={}", target.annotation_selector, target.label_selector)
}

fn or<'a>(text: &'a str, none: &'a str) -> &'a str {
    if text.is_empty() { none } else { text }
}

fn merge_into_named(resources: &mut [Resource], part: &Resource) -> Result<(), Error> {
    let id = part.id();
    let mut found = resources.iter_mut().filter(|resource| resource.was(&id));
    let (first, second) = (found.next(), found.next());
    let wrong = |matches: &str| {
        Error(format!(
            "no resource matches strategic merge patch \"{id}\": {matches} for Id {id}; \
             failed to find unique target for patch {id}"
        ))
    };
    match (first, second) {
        (Some(resource), None) => merge_into(resource, part.root.clone()),
        (Some(_), Some(_)) => Err(wrong("multiple matches")),
        (None, _) => Err(wrong("no matches")),
    }
}

/// Merges a part into an object, which stays what it is called.
fn merge_into(resource: &mut Resource, part: Node) -> Result<(), Error> {
    let (kind, name) = (resource.kind().to_owned(), resource.meta("name").to_owned());
    let namespace = resource.meta("namespace").to_owned();
    let merged = merge(std::mem::take(&mut resource.root), part)?;
    resource.root = merged.unwrap_or_default();
    if !resource.is_gone() {
        set_text(&mut resource.root, "kind", &kind);
        if resource.root.field("metadata").is_none() {
            set_field(&mut resource.root, "metadata", Node::mapping(), None);
        }
        resource.set_meta("name", &name);
        resource.set_meta("namespace", &namespace);
    }
    Ok(())
}

/// Applies operations to an object. Meanwhile it has annotations that say what it was called.
fn operate(resource: &mut Resource, operations: &[Map]) -> Result<(), Error> {
    let id = resource.id();
    let namespace = id.effective_namespace().to_owned();
    resource.previous.push((namespace, id.name.clone(), id.kind.clone()));
    let mut annotations = resource.texts("annotations");
    annotations.extend(names(resource));
    resource.set_texts("annotations", &annotations);
    let mut document = plain(&resource.root)?;
    json::apply(&mut document, operations)?;
    if !document.is_object() {
        let why = "json: cannot unmarshal array into Go value of type map[string]interface {}";
        return Err(Error(why.to_owned()));
    }
    resource.root = node_of(&as_floats(document));
    let mut annotations = resource.texts("annotations");
    annotations.extend(names(resource));
    resource.set_texts("annotations", &annotations);
    if !resource.meta("name").is_empty() && resource.meta("name") != id.name {
        return Err(Error(format!(
            "a JSON patch renames {id}: that is not supported by this version of Leadsman, \
             because what refers to it would have to be renamed, too"
        )));
    }
    Ok(())
}

fn names(resource: &Resource) -> impl Iterator<Item = (String, String)> {
    let all = |part: fn(&(String, String, String)) -> &str| {
        resource.previous.iter().map(part).collect::<Vec<_>>().join(",")
    };
    let found = [
        ("previousKinds", all(|previous| &previous.2)),
        ("previousNames", all(|previous| &previous.1)),
        ("previousNamespaces", all(|previous| &previous.0)),
    ];
    found.into_iter().map(|(name, text)| (format!("{INTERNAL}{name}"), text))
}

/// Go reads every number of JSON as a float.
fn as_floats(value: Value) -> Value {
    match value {
        Value::Number(number) => {
            let float = number.as_f64().unwrap_or_default();
            crate::yaml::layout::plain::whole(float).unwrap_or_else(|| float.into())
        }
        Value::Array(list) => list.into_iter().map(as_floats).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, as_floats(value))).collect(),
        other => other,
    }
}
