//! The versions of one chart as bytes, newest first.
//!
//! ```text
//! chart    = 0 reason | 1 length source… count text… count version… count warning…
//! source   = mark (8 bytes) number         an entry of the index, in its order: see `known`
//! text     = description keywords          both as they are searched; versions share them
//! version  = flags [name] version appVersion kubeVersion count url… digest created text first-seen
//! ```
//!
//! Every text has its length before it. Flags: [`DEPRECATED`], [`NAMED`] (the name is not the
//! chart's), [`PACKED`] (the digest is 32 bytes, not a text).

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use sha2::{Digest as _, Sha256};

use super::super::entry::{Entry, Fields, Warning};
use super::known::{Mark, Source};
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::packed::{Reader, Writer};
use crate::base::version::Version;
use crate::chart::sanitize;

const DEPRECATED: u8 = 1;
const NAMED: u8 = 2;
const PACKED: u8 = 4;

/// The versions of a chart while they are collected.
#[derive(Debug, Default)]
pub(super) struct Rows {
    texts: Writer,
    known: HashMap<(String, String), u64>,
    /// The text of the version before: most have the same.
    last: Option<((String, String), u64)>,
    versions: Vec<Made>,
    warnings: Vec<String>,
    /// The marks of the entries in the order of the index; of those that are left out, too.
    marks: Vec<(Mark, Became)>,
}

#[derive(Debug)]
struct Made {
    /// Its number in the order of the index.
    number: usize,
    version: Version,
    created: String,
    packed: Vec<u8>,
}

/// What an entry became: a version or a warning, and which.
#[derive(Debug, Clone, Copy)]
enum Became {
    Version(usize),
    Warning(usize),
}

impl Rows {
    /// Adds a version of the chart of this name; without a mark it is not known again.
    pub(super) fn add(
        &mut self,
        chart: &str,
        (fields, version): (&Fields<'_>, Version),
        mark: Option<Mark>,
    ) {
        let number = self.versions.len();
        self.marks.extend(mark.map(|mark| (mark, Became::Version(number))));
        let text = self.text(fields);
        let named = fields.name != chart;
        let digest = digest(&fields.digest);
        let mut flags = if fields.deprecated { DEPRECATED } else { 0 };
        flags |= if named { NAMED } else { 0 };
        flags |= if digest.is_some() { PACKED } else { 0 };
        let mut out = Writer::default();
        out.byte(flags);
        if named {
            out.bytes(fields.name.as_bytes());
        }
        out.bytes(fields.version.as_bytes());
        out.bytes(fields.app_version.as_bytes());
        out.bytes(fields.kube_version.as_bytes());
        out.size(fields.urls.len());
        fields.urls.iter().for_each(|url| out.bytes(url.as_bytes()));
        match digest {
            Some(digest) => out.plain(&digest),
            None => out.bytes(fields.digest.as_bytes()),
        }
        out.bytes(fields.created.as_bytes());
        out.number(text);
        let created = fields.created.clone().into_owned();
        self.versions.push(Made { number, version, created, packed: out.into_bytes() });
    }

    /// Returns the number of what is searched of a version.
    fn text(&mut self, fields: &Fields<'_>) -> u64 {
        let keywords = fields.keywords.join(" ");
        if let Some(((description, before), number)) = &self.last
            && *description == fields.description
            && *before == keywords
        {
            return *number;
        }
        let next = self.known.len() as u64;
        let text = (fields.description.clone().into_owned(), keywords);
        // Those that are searched alike are the same, whether they come from the index or from here.
        let mut shown = text.clone();
        sanitize(&mut shown.0);
        sanitize(&mut shown.1);
        let number = *self.known.entry(shown.clone()).or_insert(next);
        if number == next {
            self.texts.bytes(shown.0.as_bytes());
            self.texts.bytes(shown.1.as_bytes());
        }
        self.last = Some((text, number));
        number
    }

    /// Notes an entry that is left out.
    pub(super) fn warn(&mut self, reason: String, mark: Option<Mark>) {
        let number = self.warnings.len();
        self.marks.extend(mark.map(|mark| (mark, Became::Warning(number))));
        self.warnings.push(reason);
    }

    /// Returns the bytes of what became of each entry; of nothing if one has no mark.
    fn sources(&self) -> Vec<u8> {
        if self.marks.len() < self.versions.len() + self.warnings.len() {
            return Vec::new();
        }
        let mut places = vec![0; self.versions.len()];
        for (place, row) in self.versions.iter().enumerate() {
            places[row.number] = place;
        }
        let source = |(mark, became): &(Mark, Became)| Source {
            mark: *mark,
            number: match *became {
                Became::Version(number) => places[number],
                Became::Warning(number) => self.versions.len() + number,
            },
        };
        let mut out = Writer::default();
        self.marks.iter().map(source).for_each(|source| source.write(&mut out));
        out.into_bytes()
    }

    /// Returns the bytes, and the digest of what they say; `first_seen` says when a version was seen
    /// first, if that is known: it does not count for the digest, nor do marks.
    pub(super) fn finish(
        mut self,
        first_seen: &dyn Fn(&str) -> Option<Timestamp>,
    ) -> (Vec<u8>, Digest) {
        let mut hash = Sha256::new();
        // Newest first; of equal precedence (build metadata), the later published one.
        self.versions.sort_by(|a, b| {
            let created = |row: &Made| row.created.parse::<Timestamp>().ok();
            b.version.cmp(&a.version).then_with(|| created(b).cmp(&created(a)))
        });
        let mut out = Writer::default();
        out.byte(1);
        out.bytes(&self.sources());
        out.size(self.known.len());
        let texts = self.texts.into_bytes();
        hash.update(&texts);
        out.plain(&texts);
        out.size(self.versions.len());
        for row in &self.versions {
            hash.update(&row.packed);
            out.plain(&row.packed);
            let seen = first_seen(row.version.original());
            out.bytes(seen.map(|time| time.to_string()).unwrap_or_default().as_bytes());
        }
        out.size(self.warnings.len());
        for reason in &self.warnings {
            hash.update(reason);
            out.bytes(reason.as_bytes());
        }
        (out.into_bytes(), Digest::from_bytes(hash.finalize().into()))
    }
}

/// Returns the bytes of a chart that cannot be read, and the digest of what they say.
pub(super) fn unreadable(reason: &str) -> (Vec<u8>, Digest) {
    let mut out = Writer::default();
    out.byte(0);
    out.bytes(reason.as_bytes());
    (out.into_bytes(), Digest::of(reason))
}

/// Returns the bytes of a digest that is printed as we print it.
fn digest(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let text = text.as_bytes();
    if text.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

/// What is known of a chart, in its bytes.
#[derive(Debug)]
pub(in crate::repo) enum Packed<'p> {
    /// Its part of the index cannot be read, and why.
    Unreadable(&'p str),
    /// Its versions.
    Versions(Versions<'p>),
}

/// The versions of a chart; each is decoded when it is asked for.
#[derive(Debug, Default)]
pub(in crate::repo) struct Versions<'p> {
    /// Description and keywords.
    pub(in crate::repo) texts: Vec<(&'p str, &'p str)>,
    /// Newest first.
    pub(in crate::repo) list: Vec<Row<'p>>,
    /// What was wrong with the others.
    pub(in crate::repo) warnings: Vec<&'p str>,
}

/// One version.
#[derive(Debug, Clone)]
pub(in crate::repo) struct Row<'p> {
    pub(in crate::repo) name: &'p str,
    pub(in crate::repo) version: &'p str,
    pub(in crate::repo) app_version: &'p str,
    pub(in crate::repo) text: usize,
    pub(in crate::repo) urls: Vec<&'p str>,
    kube_version: &'p str,
    digest: PackedDigest<'p>,
    created: &'p str,
    deprecated: bool,
    first_seen: &'p str,
    /// Where it is in the bytes that were read.
    pub(super) place: Range<usize>,
}

#[derive(Debug, Clone, Copy)]
enum PackedDigest<'p> {
    Bytes([u8; 32]),
    Text(&'p str),
}

impl<'p> PackedDigest<'p> {
    fn text(self) -> Cow<'p, str> {
        match self {
            Self::Bytes(bytes) => Digest::from_bytes(bytes).to_hex().into(),
            Self::Text(text) => text.into(),
        }
    }
}

impl<'p> Packed<'p> {
    /// Reads the bytes of a chart; none if they are not such.
    pub(super) fn read(chart: &'p str, bytes: &'p [u8]) -> Option<Self> {
        let mut read = Reader::new(bytes);
        if read.byte()? == 0 {
            return Some(Self::Unreadable(text(&mut read)?));
        }
        // What it was made of is asked for by `known` alone.
        read.bytes()?;
        let texts = list(&mut read, |read| Some((text(read)?, text(read)?)))?;
        let versions = list(&mut read, |read| Row::read(chart, read, bytes.len()))?;
        let warnings = list(&mut read, text)?;
        let known = |version: &Row<'_>| version.text < texts.len();
        let whole = read.left() == 0 && versions.iter().all(known);
        whole.then_some(Self::Versions(Versions { texts, list: versions, warnings }))
    }
}

impl<'p> Row<'p> {
    /// Reads the bytes of a version, out of so many.
    pub(super) fn read(chart: &'p str, read: &mut Reader<'p>, all: usize) -> Option<Self> {
        let start = all - read.left();
        let flags = read.byte()?;
        let name = if flags & NAMED == 0 { chart } else { text(read)? };
        Some(Self {
            name,
            version: text(read)?,
            app_version: text(read)?,
            kube_version: text(read)?,
            urls: list(read, text)?,
            digest: if flags & PACKED == 0 {
                PackedDigest::Text(text(read)?)
            } else {
                PackedDigest::Bytes(read.plain(32)?.try_into().ok()?)
            },
            created: text(read)?,
            text: read.size()?,
            first_seen: text(read)?,
            deprecated: flags & DEPRECATED != 0,
            place: start..all - read.left(),
        })
    }

    /// Returns when the version was first seen.
    pub(super) fn first_seen(&self) -> Option<Timestamp> {
        if self.first_seen.is_empty() { None } else { self.first_seen.parse().ok() }
    }

    /// Returns what an index says of it.
    pub(super) fn fields(&self, (description, keywords): (&'p str, &'p str)) -> Fields<'p> {
        Fields {
            name: self.name.into(),
            version: self.version.into(),
            app_version: self.app_version.into(),
            kube_version: self.kube_version.into(),
            urls: self.urls.iter().map(|url| (*url).into()).collect(),
            digest: self.digest.text(),
            created: self.created.into(),
            deprecated: self.deprecated,
            description: description.into(),
            keywords: vec![keywords.into()],
            // It was checked.
            kind: "".into(),
        }
    }

    /// Decodes it.
    pub(in crate::repo) fn entry(&self) -> Option<Entry> {
        Some(Entry {
            name: self.name.to_owned(),
            text: self.version.to_owned(),
            version: self.version.parse().ok()?,
            app_version: self.app_version.to_owned(),
            kube_version: self.kube_version.to_owned(),
            urls: self.urls.iter().map(|url| (*url).to_owned()).collect(),
            digest: self.digest.text().into_owned(),
            created: self.created.to_owned(),
            deprecated: self.deprecated,
            first_seen: self.first_seen(),
        })
    }
}

impl Versions<'_> {
    /// Decodes all of them.
    pub(in crate::repo) fn entries(&self) -> (Vec<Entry>, Vec<Warning>) {
        let warnings = self.warnings.iter().map(|reason| Warning((*reason).to_owned()));
        (self.list.iter().filter_map(Row::entry).collect(), warnings.collect())
    }
}

fn text<'p>(read: &mut Reader<'p>) -> Option<&'p str> {
    std::str::from_utf8(read.bytes()?).ok()
}

fn list<'p, T>(
    read: &mut Reader<'p>,
    mut item: impl FnMut(&mut Reader<'p>) -> Option<T>,
) -> Option<Vec<T>> {
    let count = read.size()?;
    // Each takes a byte at least.
    if count > read.left() {
        return None;
    }
    (0..count).map(|_| item(read)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn packed(list: &serde_json::Value) -> Vec<u8> {
        let mut rows = Rows::default();
        for item in list.as_array().unwrap() {
            match Fields::of(item) {
                Ok((fields, version)) => rows.add("a", (&fields, version), None),
                Err(reason) => rows.warn(reason, None),
            }
        }
        let seen = "2026-02-01T00:00:00.5Z".parse().unwrap();
        rows.finish(&|version| (version == "1.0.0").then_some(seen)).0
    }

    #[test]
    fn rows_keep_everything() {
        let list = json!([
            {"name": "a", "version": "1.0.0", "appVersion": "7", "kubeVersion": ">=1.20",
             "urls": ["a.tgz", "b.tgz"], "digest": "00", "created": "2026-01-01T00:00:00Z",
             "deprecated": true, "description": "one", "keywords": ["x", "y"]},
            {"name": "b", "version": "2.0.0", "digest": "ab".repeat(32), "description": "one",
             "keywords": ["x y"]},
            {"name": "a", "version": "3.0.0"},
            {"name": "a"},
        ]);
        let bytes = packed(&list);
        let Some(Packed::Versions(versions)) = Packed::read("a", &bytes) else {
            panic!("{bytes:?}")
        };
        assert_eq!(versions.texts, [("one", "x y"), ("", "")]);
        let (mut entries, warnings) = versions.entries();
        assert_eq!(entries[2].first_seen.take(), Some("2026-02-01T00:00:00.5Z".parse().unwrap()));
        assert_eq!((entries, warnings), crate::repo::entry::entries_of(&list));
    }

    #[test]
    fn a_chart_that_cannot_be_read_says_why() {
        let (bytes, _) = unreadable("chart `a`: no");
        let Some(Packed::Unreadable(reason)) = Packed::read("a", &bytes) else {
            panic!("{bytes:?}")
        };
        assert_eq!(reason, "chart `a`: no");
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(bytes: Vec<u8>) {
            let _ = Packed::read("a", &bytes);
        }
    }
}
