//! What was packed of a chart before, entry by entry.
//!
//! Of a large index that changed, nearly every entry is what it was. Each is known again by its mark,
//! a hash of its text, and need not be read: as long as the entries come in the order that they had,
//! they are only counted, and a chart of which nothing else came is packed already. From the first
//! one on that is another, the chart is packed anew; what is known of its other entries is taken from
//! the bytes that were packed of them.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::ops::Range;

use super::rows::{Packed, Row, Rows};
use crate::base::digest::Digest;
use crate::base::packed::{Reader, Writer};

/// Another build may read the same text otherwise: to that one, nothing is known.
const BUILD: &str = env!("LEADSMAN_SOURCES");

/// A hash of the text of an entry.
pub(super) type Mark = u64;

/// Returns the mark of an entry.
pub(super) fn mark(text: &str) -> Mark {
    let mut hasher = DefaultHasher::new();
    hasher.write(BUILD.as_bytes());
    hasher.write(text.as_bytes());
    hasher.finish()
}

/// What became of an entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    pub(super) mark: Mark,
    /// The place of its version, newest first; those of warnings stand behind the versions.
    pub(super) number: usize,
}

impl Source {
    pub(super) fn write(self, out: &mut Writer) {
        out.plain(&self.mark.to_le_bytes());
        out.size(self.number);
    }

    fn read(read: &mut Reader<'_>) -> Option<Self> {
        let mark = u64::from_le_bytes(read.plain(8)?.try_into().ok()?);
        Some(Self { mark, number: read.size()? })
    }
}

/// A chart as it was before.
#[derive(Debug)]
pub(super) struct Known {
    packed: Vec<u8>,
    /// Digest of what the bytes say.
    content: Digest,
    /// The entries, in the order that they had.
    sources: Vec<Source>,
    /// How many of them came again, one after the other.
    same: usize,
    /// Where they are in the bytes, once another one came.
    parts: Option<Parts>,
}

/// What came of a chart.
#[derive(Debug)]
pub(super) enum End {
    /// It is what it was: its bytes, and the digest of what they say.
    Same(Vec<u8>, Digest),
    /// All of it is in the rows.
    Changed,
    /// The bytes cannot be read after all: some of it is nowhere.
    Unreadable,
}

#[derive(Debug)]
struct Parts {
    versions: Vec<Range<usize>>,
    texts: Vec<(String, String)>,
    warnings: Vec<String>,
    /// The numbers of the entries.
    numbers: HashMap<Mark, usize>,
}

impl Known {
    /// Reads the bytes of a chart; none if they do not say what they were made of.
    pub(super) fn of(packed: Vec<u8>, content: Digest) -> Option<Self> {
        let mut read = Reader::new(&packed);
        if read.byte()? == 0 {
            return None;
        }
        let mut read = Reader::new(read.bytes()?);
        let mut sources = Vec::new();
        while read.left() > 0 {
            sources.push(Source::read(&mut read)?);
        }
        (!sources.is_empty()).then_some(Self { packed, content, sources, same: 0, parts: None })
    }

    /// Whether the next entry of the chart is known; then it is in `rows`, or will be at the end.
    /// None if the bytes cannot be read after all.
    pub(super) fn entry(&mut self, mark: Mark, chart: &str, rows: &mut Rows) -> Option<bool> {
        if self.parts.is_none() {
            if self.sources.get(self.same).is_some_and(|source| source.mark == mark) {
                self.same += 1;
                return Some(true);
            }
            self.part(chart, rows)?;
        }
        let parts = self.parts.as_ref()?;
        let Some(number) = parts.numbers.get(&mark) else { return Some(false) };
        parts.put(&self.packed, Source { mark, number: *number }, chart, rows)?;
        Some(true)
    }

    /// Ends the chart.
    pub(super) fn end(mut self, chart: &str, rows: &mut Rows) -> End {
        if self.parts.is_some() {
            return End::Changed;
        }
        if self.same == self.sources.len() {
            return End::Same(self.packed, self.content);
        }
        self.part(chart, rows).map_or(End::Unreadable, |()| End::Changed)
    }

    /// Finds the entries in the bytes, and puts those into `rows` that came again.
    fn part(&mut self, chart: &str, rows: &mut Rows) -> Option<()> {
        let Packed::Versions(versions) = Packed::read(chart, &self.packed)? else { return None };
        let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
        let parts = Parts {
            versions: versions.list.iter().map(|row| row.place.clone()).collect(),
            texts: versions.texts.iter().map(owned).collect(),
            warnings: versions.warnings.iter().map(|text| (*text).to_owned()).collect(),
            numbers: self.sources.iter().map(|source| (source.mark, source.number)).collect(),
        };
        for source in &self.sources[..self.same] {
            parts.put(&self.packed, *source, chart, rows)?;
        }
        self.parts = Some(parts);
        Some(())
    }
}

impl Parts {
    /// Puts what became of an entry into `rows`.
    fn put(&self, packed: &[u8], source: Source, chart: &str, rows: &mut Rows) -> Option<()> {
        let Source { mark, number } = source;
        let Some(place) = self.versions.get(number) else {
            let warning = self.warnings.get(number - self.versions.len())?;
            rows.warn(warning.clone(), Some(mark));
            return Some(());
        };
        let bytes = packed.get(place.clone())?;
        let row = Row::read(chart, &mut Reader::new(bytes), bytes.len())?;
        let (description, keywords) = self.texts.get(row.text)?;
        let fields = row.fields((description, keywords));
        rows.add(chart, (&fields, row.version.parse().ok()?), Some(mark));
        Some(())
    }
}
