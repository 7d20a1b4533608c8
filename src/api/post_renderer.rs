//! What is done to rendered objects before they are applied.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::helm_release::Selector;

/// One of `spec.postRenderers`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PostRenderer {
    /// What kustomize does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kustomize: Option<Kustomize>,
}

/// Whether hooks are post-rendered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PostRenderStrategy {
    /// Not at all.
    NoHooks,
    /// By themselves.
    Separate,
    /// Together with everything else.
    #[default]
    #[serde(other)]
    Combined,
}

/// What kustomize does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kustomize {
    /// Patches, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<Patch>,
    /// Other images, in order, after the patches.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
}

/// A patch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Patch {
    /// YAML: objects, of which what is written counts (strategic merge), or a list of operations
    /// (RFC 6902).
    pub patch: String,
    /// Which objects; of a strategic merge those that it names, when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Selector>,
}

/// Another image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Image {
    /// The image without tag.
    pub name: String,
    /// What it is replaced by.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub new_name: String,
    /// The tag.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub new_tag: String,
    /// The digest.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub digest: String,
}

/// `spec.commonMetadata`: what every object gets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CommonMetadata {
    /// Annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}
