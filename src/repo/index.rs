//! `index.yaml`: read once, while it comes, into a packed form whose charts are read by offset.
//!
//! Indexes are large (37 MB for some repositories) and written by machines in one style. What comes
//! is split into charts and entries ([`lines`], [`tokens`]); an entry in the style of `helm repo
//! index` is read line by line ([`plain`]), any other one by the YAML or JSON reader; what is needed
//! of it is packed ([`rows`]) and written ([`store`]). Neither the text nor its entries are ever in
//! memory together, unless the index is of a strange style: then it is parsed whole. Of an index that
//! is another one than before only the entries that are new are read: of all others the packed form is
//! there ([`known`]).
//!
//! Source: helm v4.3.1 pkg/repo/v1/index.go.

mod known;
mod lines;
mod plain;
mod reading;
mod rows;
mod sheet;
mod store;
mod tokens;

use std::path::Path;

use super::entry::{Entry, Warning};
use crate::base::file;
use crate::base::spool::Spool;

pub(super) use self::reading::{Made, Raw, Reading, stamp};
pub(super) use self::rows::{Packed, Row, Versions};
pub(super) use self::sheet::Before;

use self::known::Known;
use self::store::{Flaw, Store};

/// A packed index.
#[derive(Debug)]
pub struct Index {
    store: Store,
}

/// Why the versions of a chart cannot be had.
#[derive(Debug)]
pub(super) enum Problem {
    /// The packed form cannot be read.
    Unreadable(file::Error),
    /// The packed form is not what was written.
    Damaged,
    /// The index itself: a text for people.
    Index(String),
}

impl From<Flaw> for Problem {
    fn from(flaw: Flaw) -> Self {
        match flaw {
            Flaw::Unreadable(error) => Self::Unreadable(error),
            Flaw::Damaged => Self::Damaged,
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(error) => f.write_str(&crate::base::class::chain(error)),
            Self::Damaged => f.write_str("the cached index is damaged"),
            Self::Index(reason) => f.write_str(reason),
        }
    }
}

impl Index {
    /// Reads an index from a text; it stays in memory.
    ///
    /// # Errors
    /// A text for people: it is no index.
    pub fn of(text: &str) -> Result<Self, String> {
        let raw = Raw::Spool(Spool::in_memory());
        let mut reading = Reading::new(raw, None, Before::default());
        reading.take(text.as_bytes());
        let made = reading.finish(None).map_err(|problem| problem.to_string())?;
        let (bytes, _) = made.packed.keep().err().unwrap_or_default();
        Self::of_packed(bytes).map_err(|problem| problem.to_string())
    }

    /// Uses a packed form that could not be written.
    pub(super) fn of_packed(bytes: Vec<u8>) -> Result<Self, Problem> {
        Ok(Self { store: Store::of(bytes)? })
    }

    /// Opens a packed form.
    pub(super) fn open(path: &Path) -> Result<Self, Problem> {
        Ok(Self { store: Store::open(path)? })
    }

    /// Returns of what this is the packed form.
    pub(super) fn stamp(&self) -> &str {
        self.store.stamp()
    }

    /// Returns the names of the charts, sorted.
    pub fn charts(&self) -> impl Iterator<Item = &str> {
        self.store.charts()
    }

    /// Returns whether there is a chart of this name, be it without versions.
    pub(super) fn has(&self, chart: &str) -> bool {
        self.store.has(chart)
    }

    /// Whether damage was met: then the file is gone, to be made again.
    pub fn is_damaged(&self) -> bool {
        self.store.is_damaged()
    }

    /// Returns what is known of a chart, as bytes; none if it is not there.
    pub(super) fn packed(&self, chart: &str) -> Result<Option<Vec<u8>>, Problem> {
        Ok(self.store.chart(chart)?)
    }

    /// Returns what is known of a chart, for an index that may say the same of it.
    fn known(&self, chart: &str) -> Option<Known> {
        let content = self.store.content(chart)?;
        Known::of(self.store.chart(chart).ok()??, content)
    }

    /// Lets somebody look at the versions of a chart; at none if it is not there.
    pub(super) fn look<T>(
        &self,
        chart: &str,
        see: impl FnOnce(&Versions<'_>) -> T,
    ) -> Result<T, Problem> {
        let Some(packed) = self.packed(chart)? else { return Ok(see(&Versions::default())) };
        match Packed::read(chart, &packed).ok_or(Problem::Damaged)? {
            Packed::Versions(versions) => Ok(see(&versions)),
            Packed::Unreadable(reason) => Err(Problem::Index(reason.to_owned())),
        }
    }

    /// Returns the versions of a chart, newest first, and what was wrong with others.
    ///
    /// # Errors
    /// A text for people: the chart's part is not YAML, or the packed form is damaged.
    pub fn entries(&self, chart: &str) -> Result<(Vec<Entry>, Vec<Warning>), String> {
        self.look(chart, |versions| versions.entries()).map_err(|problem| problem.to_string())
    }
}

#[cfg(test)]
mod tests;
