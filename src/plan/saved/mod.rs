//! A plan that is kept, to be carried out later exactly as it was shown, or not at all.
//!
//! It is one JSON document that needs nothing beside it: the chart's archive, the values, what they
//! rendered to, the options, and what the cluster was like. It holds what Secrets hold: whoever
//! writes it to a file makes that private.
//!
//! Invariants: what is read was written by [`Saved::write`] and is whole, by its digest; whether a
//! plan still holds is decided by pure functions ([`check`]), each of which names the object, what
//! was seen then, and what is there now.

pub mod check;
mod file;

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::compare::{Side, compare};
use super::live::Finding;
use super::{Secrets, Subject, What};
use crate::api::CrdPolicy;
use crate::base::digest::Digest;
use crate::base::duration::GoDuration;
use crate::chart::{self, Chart};
use crate::cluster::Propagation;
use crate::release::conflict::Rules;
use crate::release::manifest::Hook;
use crate::release::{self, Method, Record, RenderedRelease};
use crate::yaml::{Map, Value};

pub use file::{Error, LIMIT_BYTES};

/// A plan that is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Saved {
    /// Which Leadsman made it, such as `0.1.0`.
    pub made_by: String,
    /// When, in RFC 3339.
    pub made_at: String,
    /// What is to be done.
    pub task: Task,
    /// Name of the release.
    pub release: String,
    /// Namespace of its objects.
    pub namespace: String,
    /// Namespace of its records.
    pub storage_namespace: String,
    /// The `HelmRelease` that keeps it, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeper: Option<Value>,
    /// How it is done.
    pub manner: Manner,
    /// What the cluster was like.
    pub seen: Seen,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Task {
    /// A new revision is made of a chart.
    Deploy(Box<Deployment>),
    /// An earlier revision runs again: this one.
    Rollback(Revision),
    /// The release goes.
    Uninstall(Removal),
}

/// A revision that is to be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deployment {
    /// Of which kind.
    pub action: Action,
    /// The chart.
    pub chart: Packed,
    /// The user's values.
    pub values: Map,
    /// Where those come from that the `HelmRelease` refers to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<ValuesSource>,
    /// What chart and values rendered to.
    pub rendered: Rendered,
    /// Version of Kubernetes that templates were told.
    pub kubernetes: String,
    /// Groups, versions and kinds that they were told of.
    pub api_versions: BTreeSet<String>,
}

/// How a release goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Removal {
    /// Whether the records stay.
    pub keep_history: bool,
    /// What happens to what the objects own.
    pub cascade: Propagation,
}

/// An entry of `spec.valuesFrom`, and what it held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValuesSource {
    /// Which object, such as `Secret apps/values`.
    pub object: String,
    /// Which key.
    pub key: String,
    /// Digest of what it held.
    pub digest: String,
}

/// Which revision is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// A first revision, or one after an uninstalled one.
    Install,
    /// The next revision.
    Upgrade,
}

impl Action {
    /// Returns the word of it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Upgrade => "upgrade",
        }
    }
}

/// How an action is done: what a person or a `HelmRelease` asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "Helm's options, as they are")]
pub struct Manner {
    /// For what is waited.
    pub wait: Wait,
    /// Whether Jobs must complete.
    pub wait_for_jobs: bool,
    /// Limit of each wait.
    pub timeout: GoDuration,
    /// Whether hooks run.
    pub hooks: bool,
    /// What is done about the definitions of the chart's `crds/`.
    pub crds: CrdPolicy,
    /// How the chart is rendered.
    pub rendering: How,
    /// Whether existing objects may be taken over.
    pub take_ownership: bool,
    /// Whether the namespace is created.
    pub create_namespace: bool,
    /// Whether new objects are deleted after a failure.
    pub cleanup_on_fail: bool,
    /// Who computes what changes when a failed action is undone; none: it is not undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone_by: Option<Method>,
    /// Records that are kept; 0: all.
    pub max_history: usize,
    /// Who computes what changes.
    pub method: Method,
    /// What becomes of fields that others manage.
    pub conflicts: Rules,
    /// Whether objects are put in the place of those that are there.
    pub replace: bool,
    /// How a success is described; empty: in Helm's words.
    pub description: String,
    /// Labels that are given to the record, or taken from it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Whether the notes are printed.
    pub shows_notes: bool,
}

/// How a chart is rendered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "Helm's options, as they are")]
pub struct How {
    /// Whether values are checked against schemas.
    pub check_schema: bool,
    /// Whether templates may look up addresses of hosts.
    pub dns: bool,
    /// Whether the notes of dependencies are part of the notes.
    pub all_notes: bool,
    /// Name of the plugin that all documents go through, and its arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub post_renderer: Vec<String>,
}

/// For what is waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Wait {
    /// Only hooks.
    Hooks,
    /// Objects, until they are ready.
    Ready,
    /// Objects, until they are ready by Helm 3's rules.
    Legacy,
}

/// A chart in an archive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Packed {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Digest of the archive.
    pub digest: String,
    /// The archive, in base64.
    archive: String,
    /// Its own values, where they are others than the archive's: those of a revision go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    values: Option<Map>,
}

/// What a chart rendered to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rendered {
    /// Manifest text, hooks not included.
    pub manifest: String,
    /// Hooks.
    pub hooks: Vec<Hook>,
    /// Notes.
    pub notes: String,
    /// Fields that come out otherwise each time, such as generated passwords.
    pub unsteady: Vec<Unsteady>,
}

/// A field that comes out otherwise each time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unsteady {
    /// Whose.
    pub object: Subject,
    /// Where.
    pub path: String,
}

/// What the cluster was like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Seen {
    /// The uids of namespaces, which tell clusters apart.
    pub places: BTreeMap<String, String>,
    /// The newest revision; none: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Revision>,
    /// The revision that objects are compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Revision>,
    /// What would change.
    pub findings: Vec<Finding>,
    /// How many objects would not.
    pub unchanged: usize,
}

/// A revision, as its record tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revision {
    /// Its number.
    pub number: u32,
    /// Helm's status word.
    pub status: String,
    /// Digest of the record.
    pub digest: String,
}

impl Revision {
    /// Returns what tells a record from another.
    pub fn of(record: &Record) -> Self {
        Self {
            number: record.version,
            status: record.info.status.clone(),
            digest: release::digest::of(record, ""),
        }
    }
}

impl Packed {
    /// Packs a chart, as it was loaded.
    ///
    /// # Errors
    /// It cannot be packed: its schema is no JSON.
    pub fn of(chart: &Chart) -> Result<Self, chart::Error> {
        let epoch = chart::Stamp::Now(crate::base::clock::Timestamp::UNIX_EPOCH);
        let archive = chart::save(chart, epoch)?;
        let own = chart::load_archive(&archive)?.values;
        Ok(Self {
            name: chart.metadata.name.clone(),
            version: chart.metadata.version.clone(),
            digest: Digest::of(&archive).to_string(),
            archive: STANDARD.encode(&archive),
            values: (own != chart.values).then(|| (*chart.values).clone()),
        })
    }

    /// Unpacks the chart.
    ///
    /// # Errors
    /// The archive is not that of the digest, or no chart.
    pub fn chart(&self) -> Result<Chart, Error> {
        let damaged = |why: String| Error::Damaged(format!("chart {}: {why}", self.name));
        let archive = STANDARD.decode(&self.archive).map_err(|error| damaged(error.to_string()))?;
        let digest = Digest::of(&archive).to_string();
        if digest != self.digest {
            return Err(damaged(format!("the archive is {digest}, and not {}", self.digest)));
        }
        let mut chart =
            chart::load_archive(&archive).map_err(|error| damaged(error.to_string()))?;
        if let Some(values) = &self.values {
            chart.values = values.clone().into();
        }
        Ok(chart)
    }
}

impl Rendered {
    /// Returns what was rendered, and which of its fields came out otherwise in a second rendering.
    ///
    /// # Errors
    /// It is not YAML. The inner error names an object that is not in both renderings: nobody could
    /// tell later whether it is the one that was planned.
    pub fn of(
        first: &RenderedRelease,
        second: &RenderedRelease,
        namespace: &str,
    ) -> Result<Result<Self, Subject>, release::Error> {
        let [one, other] =
            [first, second].map(|each| Side::read(&each.manifest, &each.hooks, namespace));
        let mut unsteady = Vec::new();
        for change in compare(&one?, &other?, Secrets::Shown) {
            let What::Update { fields } = change.what else { return Ok(Err(change.object)) };
            let object = change.object;
            unsteady.extend(
                fields
                    .into_iter()
                    .map(|field| Unsteady { object: object.clone(), path: field.path }),
            );
        }
        Ok(Ok(Self {
            manifest: first.manifest.clone(),
            hooks: first.hooks.clone(),
            notes: first.notes.clone(),
            unsteady,
        }))
    }
}

#[cfg(test)]
mod tests;
