//! Go `text/template` with sprig's and Helm's functions, byte for byte.
//!
//! Invariants: no I/O (`lookup` comes in as a trait); templates are parsed and compiled once and
//! may be rendered many times; values are shared, never copied per `include`; strings are bytes.

mod ahead;
mod ast;
mod compile;
mod convert;
mod entries;
mod error;
mod eval;
mod fmt;
mod frozen;
mod funcs;
mod lexer;
mod marked;
mod memo;
mod parser;
mod strconv;
mod value;

use std::sync::Arc;

use bytes::Bytes;

use crate::base::content::Content;
use crate::base::limit::Limits;
use crate::yaml::Value;

pub use ahead::{ParseAhead, Parsed};
pub use compile::Program;
pub use error::{Error, ErrorKind, Frame};
pub use frozen::Frozen;
pub use funcs::dates::format_time;
pub use funcs::regexes::go_regex;
pub use strconv::quote;

/// One template of a chart or of one of its dependencies.
#[derive(Debug, Clone)]
pub struct TemplateFile {
    /// Whole name: `root/charts/child/templates/x.yaml`.
    pub name: String,
    /// Text.
    pub text: Bytes,
    /// The [`Scope`] (by index) whose root context it sees.
    pub scope: usize,
}

/// The chart-specific part of the root context (`.Chart`, `.Files`, `.Values`, `.Subcharts`).
#[derive(Debug, Clone)]
pub struct Scope {
    /// Path of the chart: `root` or `root/charts/child`.
    pub path: String,
    /// Name (or alias) of the chart: its key in the parent's values and in `.Subcharts`.
    pub name: String,
    /// The scope that contains this one; parents come before their children.
    pub parent: Option<usize>,
    /// `.Chart`: Helm 4's map with capitalized keys, `IsRoot` included.
    pub chart: Value,
    /// `.Files`: name and content, in name order.
    pub files: Arc<[(String, Content)]>,
    /// Whether only files whose base name begins with `_` are templates here.
    pub library: bool,
}

/// `.Capabilities`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// `KubeVersion.Version`, such as `v1.34.2`.
    pub kube_version: String,
    /// What `KubeVersion` prints as and what charts' constraints are asked about: the version
    /// without its suffixes if a person gave it; empty (the version itself) from a cluster.
    pub kube_normalized: String,
    /// `KubeVersion.Major`.
    pub kube_major: String,
    /// `KubeVersion.Minor`.
    pub kube_minor: String,
    /// `APIVersions`: `apps/v1` and, from a cluster, `apps/v1/Deployment`.
    pub api_versions: Vec<String>,
    /// `HelmVersion`.
    pub helm: HelmBuild,
}

/// What a program of Helm says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HelmBuild {
    /// Its version, such as `v4.3`.
    pub version: &'static str,
    /// What it was compiled by, such as `go1.26.8`.
    pub go_version: &'static str,
    /// The version of Kubernetes whose client is in it, such as `v1.37`.
    pub kube_client_version: &'static str,
}

/// `.Release`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseInfo {
    /// `.Release.Name`.
    pub name: String,
    /// `.Release.Namespace`.
    pub namespace: String,
    /// `.Release.Revision`.
    pub revision: u32,
    /// `.Release.IsUpgrade`; `.Release.IsInstall` is the opposite.
    pub is_upgrade: bool,
}

/// Answers the template function `lookup`.
pub trait Lookup: Send + Sync {
    /// Returns an object (empty `name`: the list of them), or an empty map if there is none.
    ///
    /// # Errors
    /// A text for people: the API refused or cannot be reached.
    fn lookup(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Value, String>;
}

/// Everything one rendering needs beside the compiled templates.
pub struct Context<'a> {
    /// Charts, parents first; index 0 is the root.
    pub scopes: &'a [Scope],
    /// `.Values` of the root; each child sees its own part of the same tree.
    pub values: &'a Frozen,
    /// `.Release`.
    pub release: &'a ReleaseInfo,
    /// `.Capabilities`.
    pub capabilities: &'a Capabilities,
    /// The cluster that `lookup` asks; none: it answers empty maps.
    pub lookup: Option<&'a dyn Lookup>,
    /// Whether the chart's own refusals (`fail`, `required`) give an empty text instead.
    pub lenient: bool,
    /// What templates may do at most.
    pub limits: Limits,
    /// Answers `getHostByName`; none: it answers an empty text.
    pub hosts: Option<&'a dyn Hosts>,
}

/// Answers the template function `getHostByName`.
pub trait Hosts: Send + Sync {
    /// Returns the addresses of a host; none if there are none.
    fn addresses(&self, name: &str) -> Vec<String>;
}

/// A rendered template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Name of the template.
    pub name: String,
    /// Output.
    pub text: String,
}

#[cfg(test)]
mod tests;
