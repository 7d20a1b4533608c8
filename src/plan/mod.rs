//! What an action would change, as data: objects that appear, change, go or stay, and every field
//! that differs.
//!
//! Invariants: nothing is written to a cluster, which is asked by dry runs only; what a Secret
//! holds is shown as its size, unless somebody asks for it ([`Secrets::Shown`]); whether a kept plan
//! ([`saved`]) still holds is decided by pure functions over what was seen then and now.

mod compare;
mod fields;
mod live;
mod mask;
mod rehearsal;
pub mod saved;
mod steps;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::cluster::ObjectId;
use crate::release::conflict::Conflict;
use crate::yaml::Value;

pub use compare::{Side, compare};
pub use live::{Finding, Next, Standing, against_cluster, of_uninstall};
pub use rehearsal::{Failure, Play, Rehearsal, Rehearsed};
pub use steps::{Course, Deed, Objects, Step, steps};

/// What happens to one object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Which.
    pub object: Subject,
    /// What.
    #[serde(flatten)]
    pub what: What,
    /// Fields that somebody else manages, and what is done about each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
}

impl Change {
    fn new(object: Subject, what: What) -> Self {
        Self { object, what, conflicts: Vec::new() }
    }

    /// Returns the change as it may be shown.
    #[must_use]
    pub fn shown(mut self, secrets: Secrets) -> Self {
        if secrets == Secrets::Shown {
            return self;
        }
        if let What::Update { fields } = &mut self.what {
            mask::hide(&self.object, fields);
        }
        let (version, kind) = (&self.object.api_version, &self.object.kind);
        let conflicts = self.conflicts.into_iter();
        self.conflicts = conflicts.map(|one| one.masked(version, kind)).collect();
        self
    }
}

/// A value that is there is there, also if it is null.
fn there<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(input).map(Some)
}

/// An object by its identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// Group and version.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Namespace; empty: none, or not known without a cluster.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name.
    pub name: String,
    /// The events at which it runs, if it is a hook.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hook: Vec<String>,
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "camelCase")]
pub enum What {
    /// It appears.
    Create,
    /// Some of its fields change.
    Update {
        /// Those, in order of their paths.
        fields: Vec<Field>,
    },
    /// It goes.
    Delete,
    /// It stays, but is the release's no longer: `helm.sh/resource-policy: keep`.
    Keep,
    /// Nothing of it changes: what would is left to others.
    Stay,
    /// It stays, because it is not the release's.
    Foreign {
        /// By what that is known.
        reason: String,
    },
    /// The cluster refuses it.
    Refuse {
        /// The cluster's words.
        reason: String,
    },
}

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Where: `spec.template.spec.containers[web].image`. Items of lists are named by what names
    /// them, or by their number.
    pub path: String,
    /// What was there; none: nothing.
    #[serde(default, deserialize_with = "there", skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What will be there; none: nothing.
    #[serde(default, deserialize_with = "there", skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// Whether what Secrets hold is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// Only how large it is.
    Masked,
    /// As it is.
    Shown,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "" => write!(f, "{} {}", self.kind, self.name),
            namespace => write!(f, "{} {namespace}/{}", self.kind, self.name),
        }
    }
}

impl Subject {
    fn new(id: ObjectId, hook: Vec<String>) -> Self {
        let api_version = id.api_version();
        Self { api_version, kind: id.kind, namespace: id.namespace, name: id.name, hook }
    }
}
