//! Parts of records in a cluster: objects beside the record's own, which their labels tie to it.
//!
//! Invariants: a set of parts is whole before a record names it, and goes after the last record that
//! named it; its name is nobody else's, so that who loses a race takes away only its own. What a
//! killed process left is swept with the next record in parts, and when the release goes.

use futures::future::join_all;
use serde_json::json;

use super::split::{Reference, Split};
use super::storage::{Head, Storage};
use super::{Error, Record};
use crate::cluster::{Object, Propagation, Selection};

/// Label of a record that has parts. It is none of Helm's own: Helm keeps it when it writes the
/// record.
pub(super) const IN_PARTS: &str = "leadsman.dev/parts";
/// Label that names the set of a part.
const SET: &str = "leadsman.dev/set";
/// Type of Secrets that are parts.
const TYPE: &str = "leadsman.dev/release-part.v1";

/// Which parts of a release.
#[derive(Debug, Clone, Copy)]
pub(super) enum Parts<'a> {
    /// All.
    All,
    /// Those of a revision.
    Of(u32),
    /// One set of a revision.
    Set(u32, &'a str),
    /// Those of a revision that are of other sets.
    Others(u32, &'a str),
}

impl Storage {
    /// Writes the parts of a record, which nothing names yet.
    pub(super) async fn write_parts(&self, record: &Record, split: &Split) -> Result<(), Error> {
        let count = split.reference.count;
        for (index, text) in split.parts.iter().enumerate() {
            let metadata = json!({
                "name": part_name(record, &split.reference.set, index),
                "namespace": self.namespace(),
                "labels": {
                    "owner": "leadsman",
                    "name": record.name,
                    "version": record.version.to_string(),
                    SET: split.reference.set,
                },
            });
            let mut object = self.driver().object(metadata, text.clone());
            if object.kind() == "Secret" {
                object.0["type"] = TYPE.into();
            }
            match self.cluster().create_repeatedly(&object).await {
                Ok(_) => {}
                // The answer to an earlier attempt was lost.
                Err(error) if error.is_already_exists() => {}
                Err(source) => {
                    let doing = format!("create: failed to create part {} of {count}", index + 1);
                    return Err(Error::Doing { doing, source });
                }
            }
        }
        Ok(())
    }

    /// Returns a record that may be in parts, of what its object holds. The inner error names a part
    /// that is missing: perhaps others write, and the record names other parts by now.
    pub(super) async fn join(
        &self,
        head: Record,
        decode: fn(&str, &[u8]) -> Result<Record, Error>,
    ) -> Result<Result<Record, Error>, Error> {
        let Some(reference) = Reference::of(&head) else { return Ok(Ok(head)) };
        let count = reference.count;
        let ids: Vec<_> =
            (0..count).map(|index| self.id(&part_name(&head, &reference.set, index))).collect();
        let mut text = String::new();
        for (id, found) in
            ids.iter().zip(join_all(ids.iter().map(|id| self.cluster().get(id))).await)
        {
            let refuse = |name: String, reason: String| Error::Record { name, reason };
            let Some(object) = found? else {
                let kind = self.driver().kind();
                let reason = format!(
                    "{kind} {}, one of its {count} parts, is missing: restore it, or delete the \
                     objects and the records of the release by hand",
                    id.name
                );
                return Ok(Err(refuse(head.object_name(), reason)));
            };
            let part = self.driver().text(&object);
            let part = part.map_err(|error| refuse(id.name.clone(), error.to_string()))?;
            text.push_str(&String::from_utf8_lossy(&part));
        }
        reference.join(head, &text, decode).map(Ok)
    }

    /// Deletes parts.
    pub(super) async fn sweep(&self, release: &str, parts: Parts<'_>) -> Result<(), Error> {
        for object in self.list_parts(release, &parts.selector()).await? {
            self.drop_part(&object).await?;
        }
        Ok(())
    }

    /// Deletes parts of revisions before this one that have no record any more.
    pub(super) async fn sweep_orphans(&self, release: &str, before: u32) -> Result<(), Error> {
        let found = self.list_parts(release, "").await?;
        let heads = self.heads(release).await?;
        for object in &found {
            let version = object.label("version").and_then(|text| text.parse().ok());
            if version.is_some_and(|version| is_orphan(&heads, version, before)) {
                self.drop_part(object).await?;
            }
        }
        Ok(())
    }

    async fn list_parts(&self, release: &str, more: &str) -> Result<Vec<Object>, Error> {
        let labels = format!("owner=leadsman,name={release},{SET}{more}");
        let selection = Selection::namespace(self.namespace()).labels(labels);
        Ok(self.cluster().list_metadata("v1", self.driver().kind(), &selection).await?)
    }

    async fn drop_part(&self, object: &Object) -> Result<(), Error> {
        self.cluster().delete(&self.id(object.name()), Propagation::Background).await?;
        Ok(())
    }
}

impl Parts<'_> {
    fn selector(self) -> String {
        match self {
            Self::All => String::new(),
            Self::Of(version) => format!(",version={version}"),
            Self::Set(version, set) => format!(",version={version},{SET}={set}"),
            Self::Others(version, set) => format!(",version={version},{SET}!={set}"),
        }
    }
}

/// Whether nobody can need parts any more: a later revision may be just being written.
fn is_orphan(heads: &[Head], version: u32, before: u32) -> bool {
    version < before && !heads.iter().any(|head| head.version == version)
}

fn part_name(record: &Record, set: &str, index: usize) -> String {
    format!("{}.{set}.{index}", record.object_name().replace("sh.helm.", "dev.leadsman."))
}
