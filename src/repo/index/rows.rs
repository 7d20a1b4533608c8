//! The versions of one chart as bytes, newest first.
//!
//! ```text
//! chart    = 0 reason | 1 count text… count version… count warning…
//! text     = description keywords          both as they are searched; versions share them
//! version  = flags [name] version appVersion kubeVersion count url… digest created text first-seen
//! ```
//!
//! Every text has its length before it. Flags: [`DEPRECATED`], [`NAMED`] (the name is not the
//! chart's), [`PACKED`] (the digest is 32 bytes, not a text).

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::super::entry::{Entry, Fields, Warning};
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
}

#[derive(Debug)]
struct Made {
    version: Version,
    created: String,
    packed: Vec<u8>,
}

impl Rows {
    /// Adds a version of the chart of this name.
    pub(super) fn add(&mut self, chart: &str, fields: &Fields<'_>, version: Version) {
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
        self.versions.push(Made { version, created, packed: out.into_bytes() });
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
        let number = *self.known.entry(text.clone()).or_insert(next);
        if number == next {
            for mut text in [text.0.clone(), text.1.clone()] {
                sanitize(&mut text);
                self.texts.bytes(text.as_bytes());
            }
        }
        self.last = Some((text, number));
        number
    }

    /// Notes an entry that is left out.
    pub(super) fn warn(&mut self, reason: String) {
        self.warnings.push(reason);
    }

    /// Returns the bytes; `first_seen` says when a version was seen first, if that is known. All but
    /// that is hashed, too.
    pub(super) fn finish(
        mut self,
        hash: &mut Sha256,
        first_seen: &dyn Fn(&str) -> Option<Timestamp>,
    ) -> Vec<u8> {
        // Newest first; of equal precedence (build metadata), the later published one.
        self.versions.sort_by(|a, b| {
            let created = |row: &Made| row.created.parse::<Timestamp>().ok();
            b.version.cmp(&a.version).then_with(|| created(b).cmp(&created(a)))
        });
        let mut out = Writer::default();
        out.byte(1);
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
        out.into_bytes()
    }
}

/// Returns the bytes of a chart that cannot be read.
pub(super) fn unreadable(reason: &str) -> Vec<u8> {
    let mut out = Writer::default();
    out.byte(0);
    out.bytes(reason.as_bytes());
    out.into_bytes()
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
}

#[derive(Debug, Clone, Copy)]
enum PackedDigest<'p> {
    Bytes([u8; 32]),
    Text(&'p str),
}

impl<'p> Packed<'p> {
    /// Reads the bytes of a chart; none if they are not such.
    pub(super) fn read(chart: &'p str, bytes: &'p [u8]) -> Option<Self> {
        let mut read = Reader::new(bytes);
        if read.byte()? == 0 {
            return Some(Self::Unreadable(text(&mut read)?));
        }
        let texts = list(&mut read, |read| Some((text(read)?, text(read)?)))?;
        let versions = list(&mut read, |read| Row::read(chart, read))?;
        let warnings = list(&mut read, text)?;
        let known = |version: &Row<'_>| version.text < texts.len();
        let whole = read.left() == 0 && versions.iter().all(known);
        whole.then_some(Self::Versions(Versions { texts, list: versions, warnings }))
    }
}

impl<'p> Row<'p> {
    fn read(chart: &'p str, read: &mut Reader<'p>) -> Option<Self> {
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
        })
    }

    /// Returns when the version was first seen.
    pub(super) fn first_seen(&self) -> Option<Timestamp> {
        if self.first_seen.is_empty() { None } else { self.first_seen.parse().ok() }
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
            digest: match self.digest {
                PackedDigest::Bytes(bytes) => Digest::from_bytes(bytes).to_hex(),
                PackedDigest::Text(text) => text.to_owned(),
            },
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
                Ok((fields, version)) => rows.add("a", &fields, version),
                Err(reason) => rows.warn(reason),
            }
        }
        rows.finish(&mut Sha256::new(), &|version| {
            (version == "1.0.0").then(|| "2026-02-01T00:00:00.5Z".parse().unwrap())
        })
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
        let bytes = unreadable("chart `a`: no");
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
