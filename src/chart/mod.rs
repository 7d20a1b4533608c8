//! Charts: archive or folder → [`Chart`], dependencies, values, schema.
//!
//! Invariants: bytes or a list of files come in, plain data goes out; the only I/O is
//! [`load_folder`]; a path from an archive never leaves the chart; a [`Chart`] is immutable and
//! shared, and so are the bytes of its files.
//!
//! Mirrors helm v4.3.1 `pkg/chart`. From an archive to what templates see:
//!
//! ```no_run
//! use leadsman::{chart, yaml::Map};
//! # fn main() -> Result<(), chart::Error> {
//! # let (bytes, mut user) = (Vec::new(), Map::new());
//! let loaded = chart::load_archive(&bytes)?;
//! chart::check_dependencies_present(&loaded)?;
//! let (processed, _warnings) = chart::process_dependencies(&loaded, &user)?;
//! let (values, _warnings) = chart::coalesce(&processed, &user)?;
//! chart::schema::validate(&processed, &values)?;
//! # Ok(())
//! # }
//! ```

mod archive;
mod crd;
mod dependency;
pub mod detached;
mod error;
mod folder;
mod gotext;
pub mod ignore;
mod keyring;
mod load;
mod lock;
mod metadata;
pub mod origin;
mod pack;
pub mod provenance;
mod save;
pub mod schema;
pub mod set;
mod set_error;
mod shared;
mod values;
mod values_ahead;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::base::content::Content;
use crate::yaml::{Map, Value};

pub use self::{
    archive::Postponed,
    crd::crds,
    dependency::{
        check_dependencies_present, enable_dependencies, import_values, process_dependencies,
    },
    error::{ArchiveError, Error},
    folder::load_folder,
    keyring::Keyring,
    load::{
        Unpacked, documents, load_archive, load_archive_showing, load_files, parse_values,
        unpack_archive,
    },
    lock::{Lock, lock_digest, old_lock_digest},
    metadata::{Written, read_written, sanitize},
    pack::pack,
    save::{Stamp, save},
    set_error::SetError,
    values::{coalesce, coalesce_tables, merge_values},
};

/// One file of a chart. The name is relative to the chart's folder, with `/` as separator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Path inside the chart, such as `templates/_helpers.tpl`.
    pub name: String,
    /// Content, as packed (without a leading byte order mark).
    pub data: Content,
}

/// A loaded chart with its dependencies.
#[derive(Debug, Clone, Default)]
pub struct Chart {
    /// `Chart.yaml`, checked.
    pub metadata: Metadata,
    /// `Chart.lock` as data, if there is one.
    pub lock: Option<Value>,
    /// The defaults of `values.yaml`; every number is a float, as in Helm.
    pub values: Arc<Map>,
    /// `values.schema.json`, raw.
    pub schema: Option<Bytes>,
    /// Everything under `templates/`.
    pub templates: Vec<File>,
    /// Everything else that templates may read (`crds/` included).
    pub files: Vec<File>,
    /// The text of `values.yaml`, as packed (`helm show values` prints it).
    pub values_text: Option<Bytes>,
    /// Charts of `charts/`, in name order.
    pub dependencies: Vec<Arc<Self>>,
}

/// Something odd that stops nobody, in the words of Helm's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What is odd.
    pub message: String,
    /// Names and values that belong to the message, such as `path` and `chart`.
    pub fields: Vec<(&'static str, String)>,
}

impl Warning {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), fields: Vec::new() }
    }

    fn with(mut self, field: &'static str, value: &str) -> Self {
        self.fields.push((field, value.to_owned()));
        self
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.fields.iter().try_for_each(|(field, value)| write!(f, " {field}={value}"))
    }
}

/// `Chart.yaml`, checked. Field names in JSON are Helm's; empty fields are left out.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// Name of the chart.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Project page.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub home: String,
    /// Source code pages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// Version of the chart, as written.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// One sentence.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Search words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
    /// People.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub maintainers: Vec<Maintainer>,
    /// URL of a picture.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub icon: String,
    /// `v1` or `v2`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// Condition (of a dependency, kept by old charts).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub condition: String,
    /// Tags (kept by old charts).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tags: String,
    /// Version of the packaged application.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub app_version: String,
    /// Whether the chart is deprecated.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deprecated: bool,
    /// Free annotations.
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub annotations: std::collections::BTreeMap<String, String>,
    /// Constraint on the cluster's version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kube_version: String,
    /// Declared dependencies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Dependency>,
    /// `application` (or empty) or `library`.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
}

/// A person of `Chart.yaml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Maintainer {
    /// Name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub email: String,
    /// Page.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
}

/// A declared dependency.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Dependency {
    /// Name of the chart, or its alias once dependencies were processed.
    pub name: String,
    /// Constraint.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Repository (always written, also when empty).
    pub repository: String,
    /// Comma-separated value paths.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub condition: String,
    /// Tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Whether conditions and tags left it on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub enabled: bool,
    /// Values taken over from the dependency.
    #[serde(rename = "import-values", skip_serializing_if = "Vec::is_empty")]
    pub import_values: Vec<Value>,
    /// Name to use instead.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub alias: String,
}
