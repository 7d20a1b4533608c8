//! A record → what objects hold of it. One that no object can hold is kept without those files of
//! its chart that nobody reads; if that is not enough, in parts.
//!
//! Of a record in parts, the object that Helm reads (the head) says all that changes: status,
//! description, times, what became of hooks; and names its parts, which never change. Helm shows
//! such a release; where it would change it, it meets an object whose kind no cluster serves, and
//! stops. Without that it would take the release for one without objects.

use serde::{Deserialize, Serialize};

use super::Error;
use super::manifest::HookRun;
use super::record::{Info, LIMIT_BYTES, Record};
use crate::base::digest::Digest;

/// Text of a part.
const PART_BYTES: usize = 1_000_000;
/// Most parts of a record.
const PARTS: usize = 16;
/// Longest notes of which Helm is shown more than nothing.
const NOTES_BYTES: usize = 64 << 10;
/// How the manifest of a head begins.
const MARK: &str = "---\n# Source: leadsman\n# This release is kept in parts, because no object can hold its record. Helm shows it, and cannot\n# change it: use leadsman.\napiVersion: leadsman.dev/v1\nkind: ReleaseInParts\n";
/// Length of the name of a set of parts.
const SET_LETTERS: usize = 10;

/// What objects hold of a record.
#[derive(Debug)]
pub(super) enum Stored {
    /// One holds all of it; perhaps without files of the chart.
    Whole(String, Lean),
    /// Several hold it.
    Split(Split),
}

impl Stored {
    /// Returns what names the parts.
    pub(super) fn reference(&self) -> Option<&Reference> {
        match self {
            Self::Whole(..) => None,
            Self::Split(split) => Some(&split.reference),
        }
    }
}

/// Whether the chart's files are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lean {
    No,
    Yes,
}

/// A record in parts.
#[derive(Debug)]
pub(super) struct Split {
    /// What Helm reads.
    pub(super) head: String,
    /// Texts of the parts.
    pub(super) parts: Vec<String>,
    /// What names them.
    pub(super) reference: Reference,
}

/// Names the parts of a record, and says what became of its hooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reference {
    /// Which set of parts: nobody else writes one of that name.
    pub(super) set: String,
    /// How many parts.
    pub(super) count: usize,
    /// Digest of their texts together.
    pub(super) digest: String,
    /// How the last runs of the hooks went, in their order.
    runs: Vec<HookRun>,
}

/// Returns what objects hold of a record. `known` names the parts that hold it now, `salt` makes
/// the name of others.
///
/// # Errors
/// It is larger than parts may be.
pub(super) fn split(
    record: &Record,
    known: Option<&Reference>,
    salt: &str,
) -> Result<Stored, Error> {
    if let Some(text) = record.fitting()? {
        return Ok(Stored::Whole(text, Lean::No));
    }
    let lean = Record { chart: record.chart.lean(), ..record.clone() };
    if let Some(text) = lean.fitting()? {
        return Ok(Stored::Whole(text, Lean::Yes));
    }
    let text = bulk(&lean).packed()?;
    let digest = Digest::of(&text).to_string();
    let count = text.len().div_ceil(PART_BYTES);
    if count > PARTS {
        let reason = format!(
            "it would have {} bytes, and {PARTS} objects of {PART_BYTES} bytes are the most that is \
             written: make the manifest, the values or the notes smaller, or several releases of \
             the chart",
            text.len()
        );
        return Err(Error::Record { name: record.object_name(), reason });
    }
    let set = match known.filter(|known| known.digest == digest) {
        Some(known) => known.set.clone(),
        None => name_of_set(&digest, salt),
    };
    let runs = record.hooks.iter().map(|hook| hook.last_run.clone()).collect();
    let reference = Reference { set, count, digest, runs };
    let head = head(&lean, &reference)?;
    // It is base64: each byte is a letter.
    let parts = text.as_bytes().chunks(PART_BYTES);
    let parts = parts.map(|part| String::from_utf8_lossy(part).into_owned()).collect();
    Ok(Stored::Split(Split { head, parts, reference }))
}

fn name_of_set(digest: &str, salt: &str) -> String {
    let whole = Digest::of(format!("{digest} {salt}")).to_string();
    whole.chars().rev().take(SET_LETTERS).collect()
}

/// What never changes of a record.
fn bulk(record: &Record) -> Record {
    let mut bulk = record.clone();
    bulk.info = Info { notes: record.info.notes.clone(), ..Info::default() };
    bulk.hooks.iter_mut().for_each(|hook| hook.last_run = HookRun::default());
    bulk
}

/// Returns what Helm reads: as much as fits.
fn head(record: &Record, reference: &Reference) -> Result<String, Error> {
    let mut head = Record { hooks: Vec::new(), ..record.clone() };
    // What is in memory has a JSON form.
    let spec = serde_json::to_string(reference).unwrap_or_default();
    let name = format!("{}.v{}", record.name, record.version);
    head.manifest = format!("{MARK}metadata: {{name: {name}}}\nspec: {spec}\n");
    if head.info.notes.len() > NOTES_BYTES {
        head.info.notes.clear();
    }
    if let Some(text) = head.fitting()? {
        return Ok(text);
    }
    head.config = None;
    head.chart = super::StoredChart::of_metadata(record.chart.metadata());
    match head.fitting()? {
        Some(text) => Ok(text),
        None => Err(Error::Record {
            name: record.object_name(),
            reason: format!("its description alone has more than {LIMIT_BYTES} bytes"),
        }),
    }
}

impl Reference {
    /// Returns what a record says of its parts; nothing: it is whole.
    pub(super) fn of(record: &Record) -> Option<Self> {
        let rest = record.manifest.strip_prefix(MARK)?;
        let spec = rest.lines().find_map(|line| line.strip_prefix("spec: "))?;
        serde_json::from_str(spec).ok().filter(|found: &Self| (1..=PARTS).contains(&found.count))
    }

    /// Returns the record whose parts hold this text.
    ///
    /// # Errors
    /// It is another text, or no record.
    pub(super) fn join(
        &self,
        head: Record,
        text: &str,
        decode: fn(&str, &[u8]) -> Result<Record, Error>,
    ) -> Result<Record, Error> {
        let name = head.object_name();
        let digest = Digest::of(text).to_string();
        if digest != self.digest {
            let reason = format!(
                "its parts together are {digest}, and not {}: one was changed or exchanged",
                self.digest
            );
            return Err(Error::Record { name, reason });
        }
        let mut record = decode(&name, text.as_bytes())?;
        let notes = std::mem::take(&mut record.info.notes);
        record.info = Info { notes, ..head.info };
        record.labels = head.labels;
        for (hook, run) in record.hooks.iter_mut().zip(&self.runs) {
            hook.last_run = run.clone();
        }
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::release::manifest::Hook;

    /// Text that hardly shrinks.
    fn noise(bytes: usize) -> String {
        let mut state = 1_u64;
        let mut letter = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'!' + u8::try_from(state >> 58).unwrap())
        };
        (0..bytes).map(|_| letter()).collect()
    }

    fn record(manifest: usize, files: usize) -> Record {
        let chart = json!({
            "metadata": {"name": "c", "version": "1.0.0"},
            "templates": [{"name": "templates/a", "data": noise(files)}],
            "values": {"a": 1.5},
            "files": null,
        });
        Record {
            name: "web".to_owned(),
            version: 3,
            info: Info {
                status: "deployed".to_owned(),
                description: "Upgrade complete".to_owned(),
                notes: "hello".to_owned(),
                ..Info::default()
            },
            chart: serde_json::from_value(chart).unwrap(),
            config: json!({"b": 1}).as_object().cloned(),
            manifest: noise(manifest),
            hooks: vec![Hook {
                name: "h".to_owned(),
                last_run: HookRun { phase: "Succeeded".to_owned(), ..HookRun::default() },
                ..Hook::default()
            }],
            namespace: "n".to_owned(),
            ..Record::default()
        }
    }

    fn parts(record: &Record, known: Option<&Reference>, salt: &str) -> Split {
        match split(record, known, salt).unwrap() {
            Stored::Split(split) => split,
            other @ Stored::Whole(..) => panic!("{other:?}"),
        }
    }

    #[test]
    fn as_little_as_need_be_is_left_out() {
        let rows = [
            (1_000, 1_000, "whole"),
            (1_000, 2_000_000, "without files"),
            (2_000_000, 1_000, "3 parts"),
            (2_000_000, 3_000_000, "3 parts"),
            (17_000_000, 0, "it would have "),
        ];
        for (manifest, files, wanted) in rows {
            let seen = match split(&record(manifest, files), None, "") {
                Ok(Stored::Whole(_, Lean::No)) => "whole".to_owned(),
                Ok(Stored::Whole(_, Lean::Yes)) => "without files".to_owned(),
                Ok(Stored::Split(split)) => {
                    assert!(split.parts.iter().all(|part| part.len() <= PART_BYTES));
                    assert!(split.head.len() < LIMIT_BYTES);
                    format!("{} parts", split.parts.len())
                }
                Err(Error::Record { reason, .. }) => reason,
                Err(error) => panic!("{error}"),
            };
            assert!(seen.starts_with(wanted), "{manifest} {files}: {seen}");
        }
    }

    #[test]
    fn what_is_left_out_are_files_and_nothing_else() {
        let record = record(1_000, 2_000_000);
        let Ok(Stored::Whole(text, Lean::Yes)) = split(&record, None, "") else { panic!() };
        let read = Record::decode("x", text.as_bytes()).unwrap();
        assert_eq!(read.chart().values, record.chart().values);
        let chart = serde_json::to_value(&read.chart).unwrap();
        assert_eq!(chart["templates"], json!(null));
        let same = Record { chart: record.chart.clone(), ..read };
        assert_eq!(same, record);
    }

    #[test]
    fn parts_are_joined_to_what_they_were() {
        let record = record(2_000_000, 0);
        let split = parts(&record, None, "a");
        let head = Record::decode("x", split.head.as_bytes()).unwrap();
        // What Helm shows, and what it must not run.
        assert_eq!((&head.info, &head.config), (&record.info, &record.config));
        assert_eq!(head.metadata(), record.metadata());
        assert!(head.hooks.is_empty() && head.manifest.len() < 1_000);
        let reference = Reference::of(&head).unwrap();
        assert_eq!(reference, split.reference);
        assert_eq!(Reference::of(&record), None);
        let joined = reference.join(head.clone(), &split.parts.concat(), Record::decode).unwrap();
        let lean = Record { chart: record.chart.lean(), ..record.clone() };
        assert_eq!(joined, lean);
        let other = split.parts[1..].concat();
        let error = reference.join(head, &other, Record::decode).unwrap_err().to_string();
        assert!(error.contains("one was changed or exchanged"), "{error}");
    }

    /// Only the head is written where only a status changes.
    #[test]
    fn parts_are_written_anew_only_if_they_are_others() {
        let mut record = record(2_000_000, 0);
        let first = parts(&record, None, "a").reference;
        "superseded".clone_into(&mut record.info.status);
        record.hooks[0].last_run.phase = "Failed".to_owned();
        let second = parts(&record, Some(&first), "b").reference;
        assert_eq!((&second.set, &second.digest), (&first.set, &first.digest));
        assert_ne!(second.runs, first.runs);
        // Who does not know them writes parts of another name.
        assert_ne!(parts(&record, None, "b").reference.set, first.set);
        record.manifest.push('x');
        let third = parts(&record, Some(&first), "b").reference;
        assert!(third.set != first.set && third.digest != first.digest);
    }
}
