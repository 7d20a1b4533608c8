//! What becomes of the charts that are found in an index: their packed form, one after the other.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::super::entry::Fields;
use super::rows::{Packed, Rows, unreadable};
use super::store::StoreWriter;
use super::{Index, plain};
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::file;
use crate::base::spool::Spool;
use crate::yaml::{self, Numbers, Value};

/// What was known before: when versions were seen first.
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
    /// Whether the chart that has begun has to be read again, whole.
    is_odd: bool,
    /// Those that have to be, and where they are.
    odd: Vec<(String, Range<u64>)>,
    content: Sha256,
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
            is_odd: false,
            odd: Vec::new(),
            content: Sha256::new(),
            failed: None,
        }
    }

    /// Begins a chart; none if it was there before.
    pub(super) fn chart(&mut self, name: &str, start: u64) -> Option<()> {
        self.open = Some((name.to_owned(), start));
        self.rows = Rows::default();
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
        if let Some(fields) = plain::read(text, dash) {
            let Some((chart, _)) = &self.open else { return };
            match fields.check() {
                Ok(version) => self.rows.add(chart, &fields, version),
                Err(reason) => self.rows.warn(reason),
            }
            return;
        }
        match yaml::parse(text, Numbers::Exact) {
            Ok(Value::Array(list)) if list.len() == 1 => self.entry(&list[0]),
            // It may refer to another entry.
            _ => self.odd(),
        }
    }

    /// Adds an entry: one value of JSON.
    pub(super) fn json_entry(&mut self, text: &str) {
        if self.is_odd {
            return;
        }
        match yaml::json::parse(text, Numbers::Exact) {
            Ok(value) => self.entry(&value),
            Err(_) => self.odd(),
        }
    }

    fn entry(&mut self, item: &Value) {
        let Some((chart, _)) = &self.open else { return };
        match Fields::of(item) {
            Ok((fields, version)) => self.rows.add(chart, &fields, version),
            Err(reason) => self.rows.warn(reason),
        }
    }

    /// Ends the chart.
    pub(super) fn close(&mut self, end: u64) {
        let Some((name, start)) = self.open.take() else { return };
        if self.is_odd {
            self.odd.push((name, start..end));
            return;
        }
        let rows = std::mem::take(&mut self.rows);
        self.put(name, rows);
    }

    fn put(&mut self, name: String, rows: Rows) {
        self.content.update(&name);
        let packed = self.before.dated(&name, rows, &mut self.content);
        self.write(name, &packed);
    }

    fn write(&mut self, name: String, packed: &[u8]) {
        if let Err(error) = self.store.chart(name, packed) {
            self.failed.get_or_insert(error);
        }
    }

    /// Takes the list of a chart that was read whole.
    pub(super) fn list(&mut self, name: &str, list: Result<Value, String>) {
        let list = match list {
            Ok(list) => list,
            Err(reason) => {
                self.content.update(&reason);
                return self.write(name.to_owned(), &unreadable(&reason));
            }
        };
        self.open = Some((name.to_owned(), 0));
        self.rows = Rows::default();
        self.is_odd = false;
        for item in list.as_array().into_iter().flatten() {
            self.entry(item);
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
            None => {
                Ok((self.store.finish(stamp)?, Digest::from_bytes(self.content.finalize().into())))
            }
        }
    }
}

impl Before {
    /// Packs the versions of a chart. Those that were not there before are seen now.
    fn dated(&self, chart: &str, rows: Rows, hash: &mut Sha256) -> Vec<u8> {
        let Some(index) = &self.index else { return rows.finish(hash, &|_| None) };
        let packed = index.packed(chart).ok().flatten().unwrap_or_default();
        let mut seen = HashMap::new();
        if let Some(Packed::Versions(versions)) = Packed::read(chart, &packed) {
            for version in versions.list {
                let first = version.first_seen();
                seen.insert(version.version.to_owned(), first);
            }
        }
        rows.finish(hash, &|version| seen.get(version).copied().unwrap_or(Some(self.now)))
    }
}
