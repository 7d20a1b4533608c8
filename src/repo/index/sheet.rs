//! What becomes of the charts that are found in an index: their packed form, one after the other.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use super::super::entry::Fields;
use super::known::{End, Known, Mark, mark};
use super::rows::{Packed, Rows, unreadable};
use super::store::StoreWriter;
use super::{Index, plain};
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::file;
use crate::base::spool::Spool;
use crate::base::version::Version;
use crate::yaml::{self, Numbers, Value};

/// What was known before: when versions were seen first, and what was packed.
#[derive(Debug, Clone, Default)]
pub(in crate::repo) struct Before {
    /// The index before this one.
    pub(in crate::repo) index: Option<Arc<Index>>,
    /// The present.
    pub(in crate::repo) now: Timestamp,
}

/// The charts of an index while it is read.
#[derive(Debug)]
pub(super) struct Sheet {
    before: Before,
    store: StoreWriter,
    names: HashSet<String>,
    /// The chart that has begun, where it begins, and its versions so far.
    open: Option<(String, u64)>,
    rows: Rows,
    /// What the chart that has begun was before.
    known: Option<Known>,
    /// Whether the chart that has begun has to be read again, whole.
    is_odd: bool,
    /// Those that have to be, and where they are.
    odd: Vec<(String, Range<u64>)>,
    failed: Option<file::Error>,
}

impl Sheet {
    pub(super) fn new(out: Spool, before: Before) -> Self {
        Self {
            before,
            store: StoreWriter::new(out),
            names: HashSet::new(),
            open: None,
            rows: Rows::default(),
            known: None,
            is_odd: false,
            odd: Vec::new(),
            failed: None,
        }
    }

    /// Begins a chart; none if it was there before.
    pub(super) fn chart(&mut self, name: &str, start: u64) -> Option<()> {
        self.open = Some((name.to_owned(), start));
        self.rows = Rows::default();
        self.known = self.before.index.as_ref().and_then(|index| index.known(name));
        self.is_odd = false;
        self.names.insert(name.to_owned()).then_some(())
    }

    /// Notes that the chart is not of the common style.
    pub(super) fn odd(&mut self) {
        self.is_odd = true;
    }

    /// Adds an entry: the text of one item of a list, whose dash is indented by `dash`.
    pub(super) fn yaml_entry(&mut self, text: &str, dash: usize) {
        if self.is_odd {
            return;
        }
        let mark = mark(text);
        if self.is_known(mark) {
            return;
        }
        if let Some(fields) = plain::read(text, dash) {
            let version = fields.check();
            return self.add(version.map(|version| (fields, version)), Some(mark));
        }
        match yaml::parse(text, Numbers::Exact) {
            Ok(Value::Array(list)) if list.len() == 1 => {
                self.add(Fields::of(&list[0]), Some(mark));
            }
            // It may refer to another entry.
            _ => self.odd(),
        }
    }

    /// Adds an entry: one value of JSON.
    pub(super) fn json_entry(&mut self, text: &str) {
        if self.is_odd {
            return;
        }
        let mark = mark(text);
        if self.is_known(mark) {
            return;
        }
        match yaml::json::parse(text, Numbers::Exact) {
            Ok(value) => self.add(Fields::of(&value), Some(mark)),
            Err(_) => self.odd(),
        }
    }

    /// Whether the entry was there before; then it need not be read.
    fn is_known(&mut self, mark: Mark) -> bool {
        let (Some(known), Some((chart, _))) = (&mut self.known, &self.open) else { return false };
        known.entry(mark, chart, &mut self.rows).unwrap_or_else(|| {
            // What was skipped is read again, with the whole chart.
            self.is_odd = true;
            true
        })
    }

    fn add(&mut self, entry: Result<(Fields<'_>, Version), String>, mark: Option<Mark>) {
        let Some((chart, _)) = &self.open else { return };
        match entry {
            Ok((fields, version)) => self.rows.add(chart, (&fields, version), mark),
            Err(reason) => self.rows.warn(reason, mark),
        }
    }

    /// Ends the chart.
    pub(super) fn close(&mut self, end: u64) {
        let Some((name, start)) = self.open.take() else { return };
        let (mut rows, known) = (std::mem::take(&mut self.rows), self.known.take());
        match known.map_or(End::Changed, |known| known.end(&name, &mut rows)) {
            _ if self.is_odd => self.odd.push((name, start..end)),
            End::Unreadable => self.odd.push((name, start..end)),
            End::Same(packed, content) => self.write(name, (&packed, content)),
            End::Changed => {
                let (packed, content) = self.before.dated(&name, rows);
                self.write(name, (&packed, content));
            }
        }
    }

    fn write(&mut self, name: String, (packed, content): (&[u8], Digest)) {
        if let Err(error) = self.store.chart(name, packed, content) {
            self.failed.get_or_insert(error);
        }
    }

    /// Takes the list of a chart that was read whole.
    pub(super) fn list(&mut self, name: &str, list: Result<Value, String>) {
        let list = match list {
            Ok(list) => list,
            Err(reason) => {
                let (packed, content) = unreadable(&reason);
                return self.write(name.to_owned(), (&packed, content));
            }
        };
        self.open = Some((name.to_owned(), 0));
        self.rows = Rows::default();
        self.known = None;
        self.is_odd = false;
        for item in list.as_array().into_iter().flatten() {
            self.add(Fields::of(item), None);
        }
        self.close(0);
    }

    /// Takes those that have to be read again, whole.
    pub(super) fn take_odd(&mut self) -> Vec<(String, Range<u64>)> {
        std::mem::take(&mut self.odd)
    }

    /// Ends the packed form; returns it with the digest of what it says.
    pub(super) fn finish(self, stamp: &str) -> Result<(Spool, Digest), file::Error> {
        match self.failed {
            Some(error) => Err(error),
            None => self.store.finish(stamp),
        }
    }
}

impl Before {
    /// What is known of an index, if anything is.
    pub(in crate::repo) fn of(index: Option<Index>, now: Timestamp) -> Self {
        Self { index: index.map(Arc::new), now }
    }

    /// Packs the versions of a chart. Those that were not there before are seen now.
    fn dated(&self, chart: &str, rows: Rows) -> (Vec<u8>, Digest) {
        let Some(index) = &self.index else { return rows.finish(&|_| None) };
        let packed = index.packed(chart).ok().flatten().unwrap_or_default();
        let mut seen = HashMap::new();
        if let Some(Packed::Versions(versions)) = Packed::read(chart, &packed) {
            for version in versions.list {
                let first = version.first_seen();
                seen.insert(version.version.to_owned(), first);
            }
        }
        rows.finish(&|version| seen.get(version).copied().unwrap_or(Some(self.now)))
    }
}
