//! What kustomize makes of rendered objects: patches, images, labels and annotations.
//!
//! Invariants: does no I/O; objects keep the order in which they came; what comes out is written
//! anew, without comments and with sorted keys, whether anything was changed or not. A text of an
//! error is kustomize's wherever that can be known.
//!
//! Mirrors: sigs.k8s.io/kustomize/api v0.21.1 and sigs.k8s.io/kustomize/kyaml v0.21.1 (kustomize
//! 5.8.1), as fluxcd/helm-controller internal/postrender calls them.
//!
//! ```
//! use leadsman::api::{Image, Kustomize};
//! let image = Image { name: "nginx".into(), new_tag: "2".into(), ..Image::default() };
//! let asked = Kustomize { images: vec![image], ..Kustomize::default() };
//! let text = "kind: Pod\nmetadata: {name: a}\nspec: {containers: [{image: nginx:1}]}\n";
//! assert_eq!(
//!     leadsman::kustomize::customize(text, &asked)?,
//!     "kind: Pod\nmetadata:\n  name: a\nspec:\n  containers:\n  - image: nginx:2\n"
//! );
//! # Ok::<(), leadsman::kustomize::Error>(())
//! ```

mod error;
mod image;
mod json;
mod list;
mod merge;
mod patch;
mod resource;
mod schema;
mod select;
pub mod stream;

use std::collections::BTreeMap;

pub use error::Error;

use crate::api::Kustomize;
use crate::yaml::layout::{Kind, Node};
use merge::set_field;
use resource::{Resource, check_unique, parse, write};

/// What begins the names of kustomize's own annotations.
const INTERNAL: &str = "internal.config.kubernetes.io/";
/// Those that it drops at the end.
#[rustfmt::skip]
const INTERNALS: [&str; 16] = [
    "previousKinds", "previousNames", "previousNamespaces", "prefixes", "suffixes", "refBy",
    "generatorBehavior", "needsHashSuffix", "allowNameChange", "allowKindChange", "path", "index",
    "seqindent", "id", "annotations-migration-resource-id", "helm-generated",
];
/// Further ones.
const OWN: [&str; 5] = [
    "config.kubernetes.io/path",
    "config.kubernetes.io/index",
    "config.k8s.io/id",
    "config.kubernetes.io/origin",
    "alpha.config.kubernetes.io/transformations",
];
/// An object that is not for a cluster.
const LOCAL: &str = "config.kubernetes.io/local-config";

/// Patches objects, then changes their images.
///
/// # Errors
/// The text holds no objects, or a patch does not apply.
pub fn customize(text: &str, asked: &Kustomize) -> Result<String, Error> {
    let file = "helm-output.yaml";
    let mut resources = load(text).map_err(|error| {
        let read = format!("accumulating resources from '{file}': {error}");
        if read.contains("MalformedYAMLError") {
            return Error(format!("accumulating resources: {read} in File: {file}"));
        }
        // It is tried as a folder, too.
        let none = format!("must build at directory: '/{file}': file is not directory");
        Error(format!("accumulating resources: accumulation err='{read}': {none}"))
    })?;
    let changes = asked.patches.iter().map(patch::read).collect::<Result<Vec<_>, _>>()?;
    for change in &changes {
        patch::apply(&mut resources, change)?;
    }
    for image in &asked.images {
        image::set(&mut resources, image)?;
    }
    finish(&mut resources)?;
    write(&resources)
}

/// Gives labels and annotations to objects; those that they have of the same names are replaced.
///
/// # Errors
/// The text holds no objects.
pub fn label(
    text: &str,
    labels: &BTreeMap<String, String>,
    annotations: &BTreeMap<String, String>,
) -> Result<String, Error> {
    let mut resources = load(text)?;
    for (field, texts) in [("labels", labels), ("annotations", annotations)] {
        for resource in resources.iter_mut().filter(|_| !texts.is_empty()) {
            set(resource, field, texts)?;
        }
    }
    write(&resources)
}

fn load(text: &str) -> Result<Vec<Resource>, Error> {
    let resources = parse(text)?;
    check_unique(&resources)?;
    Ok(resources)
}

fn set(
    resource: &mut Resource,
    field: &str,
    texts: &BTreeMap<String, String>,
) -> Result<(), Error> {
    let what = format!("considering field 'metadata/{field}' of object {}", resource.id());
    let mut at = &mut resource.root;
    for name in ["metadata", field] {
        if at.kind != Kind::Mapping {
            let why = Error("expected sequence or mapping node".to_owned());
            return Err(why.doing(&what));
        }
        if at.field(name).is_none_or(Node::is_null) {
            at.remove(name);
            set_field(at, name, Node::mapping(), None);
        }
        let Some(child) = at.field_mut(name) else { return Ok(()) };
        at = child;
    }
    error::require(at, Kind::Mapping).map_err(|why| why.doing(&what))?;
    for (key, text) in texts {
        let value = crate::yaml::layout::plain::text_node(text);
        at.remove(key);
        set_field(at, key, value, None);
    }
    Ok(())
}

/// Drops what is not for a cluster, and kustomize's own annotations.
fn finish(resources: &mut Vec<Resource>) -> Result<(), Error> {
    resources.iter().try_for_each(Resource::validate)?;
    resources.retain(|resource| {
        resource.texts("annotations").get(LOCAL).is_none_or(|text| text == "false")
    });
    for resource in resources {
        let mut annotations = resource.texts("annotations");
        annotations.retain(|key, _| match key.strip_prefix(INTERNAL) {
            Some(name) => !INTERNALS.contains(&name),
            None => !OWN.contains(&key.as_str()),
        });
        resource.set_texts("annotations", &annotations);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
