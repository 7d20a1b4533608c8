//! Reads an index while it comes.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use sha2::{Digest as _, Sha256};

use super::Problem;
use super::lines::Lines;
use super::sheet::{Before, Sheet};
use super::tokens::Tokens;
use crate::base::digest::Digest;
use crate::base::file::{self, failed};
use crate::base::spool::Spool;
use crate::yaml::{self, Map, Numbers, Value};

/// The text, where it can be read again.
#[derive(Debug)]
pub(in crate::repo) enum Raw {
    /// It is written down while it comes.
    Spool(Spool),
    /// It comes from this file.
    File(File, PathBuf),
}

impl Raw {
    fn write(&mut self, part: &[u8]) -> Result<(), file::Error> {
        match self {
            Self::Spool(spool) => spool.write(part),
            Self::File(..) => Ok(()),
        }
    }

    fn read(&mut self, range: Range<u64>) -> Result<Vec<u8>, file::Error> {
        match self {
            Self::Spool(spool) => spool.read(range),
            Self::File(file, path) => {
                let mut read = || {
                    let mut bytes = Vec::new();
                    file.seek(SeekFrom::Start(range.start))?;
                    (&*file).take(range.end - range.start).read_to_end(&mut bytes)?;
                    Ok(bytes)
                };
                read().map_err(failed("read", path))
            }
        }
    }
}

/// An index that was read.
#[derive(Debug)]
pub(in crate::repo) struct Made {
    /// Its packed form.
    pub(in crate::repo) packed: Spool,
    /// Its text.
    pub(in crate::repo) raw: Raw,
    /// Digest of the text.
    pub(in crate::repo) revision: Digest,
    /// Digest of what is said of charts: `generated`, for one, does not count.
    pub(in crate::repo) content: Digest,
    /// Size of the text.
    pub(in crate::repo) size: u64,
}

#[derive(Debug)]
enum Style {
    /// Nothing has come but white space.
    Unknown(Vec<u8>),
    Yaml(Box<Lines>),
    Json(Box<Tokens>),
    /// It has to be parsed whole.
    Strange,
}

/// An index that is being read.
#[derive(Debug)]
pub(in crate::repo) struct Reading {
    style: Style,
    sheet: Sheet,
    raw: Raw,
    place: Option<PathBuf>,
    before: Before,
    hash: Sha256,
    size: u64,
    failed: Option<file::Error>,
}

impl Reading {
    /// Starts; the packed form is for the file `place`, or for memory.
    pub(in crate::repo) fn new(raw: Raw, place: Option<PathBuf>, before: Before) -> Self {
        Self {
            style: Style::Unknown(Vec::new()),
            sheet: Sheet::new(spool(place.as_ref()), before.clone()),
            raw,
            place,
            before,
            hash: Sha256::new(),
            size: 0,
            failed: None,
        }
    }

    /// Reads more of the text.
    pub(in crate::repo) fn take(&mut self, part: &[u8]) {
        self.hash.update(part);
        self.size += part.len() as u64;
        if let Err(error) = self.raw.write(part) {
            self.failed.get_or_insert(error);
        }
        let taken = match &mut self.style {
            Style::Unknown(head) => {
                head.extend_from_slice(part);
                let Some(style) = style(head) else { return };
                let head = std::mem::take(head);
                self.style = style;
                self.read(&head)
            }
            _ => self.read(part),
        };
        if taken.is_none() {
            self.style = Style::Strange;
        }
    }

    fn read(&mut self, part: &[u8]) -> Option<()> {
        match &mut self.style {
            Style::Yaml(lines) => lines.take(part, &mut self.sheet),
            Style::Json(tokens) => tokens.take(part, &mut self.sheet),
            Style::Unknown(_) | Style::Strange => Some(()),
        }
    }

    /// Whether the text has to be parsed whole.
    #[cfg(test)]
    pub(super) fn is_strange(&self) -> bool {
        matches!(self.style, Style::Strange)
    }

    /// Returns the stamp of the file that the text is in; none if there is none.
    pub(in crate::repo) fn stamp(&self) -> Option<String> {
        match &self.raw {
            Raw::Spool(spool) => spool.metadata().map(|meta| stamp(&meta)),
            Raw::File(file, _) => file.metadata().ok().map(|meta| stamp(&meta)),
        }
    }

    /// Ends the text. `stamp` says of what the packed form is; without it, that is the text's digest.
    pub(in crate::repo) fn finish(mut self, stamp: Option<&str>) -> Result<Made, Problem> {
        if let Some(error) = self.failed.take() {
            return Err(Problem::Unreadable(error));
        }
        let is_json = matches!(self.style, Style::Json(_));
        let finished = match std::mem::replace(&mut self.style, Style::Strange) {
            Style::Yaml(lines) => lines.finish(&mut self.sheet),
            Style::Json(tokens) => tokens.finish(),
            Style::Unknown(_) | Style::Strange => None,
        };
        match finished {
            Some(()) => self.read_odd(is_json)?,
            None => self.read_whole()?,
        }
        let revision = Digest::from_bytes(self.hash.finalize().into());
        let own = revision.to_string();
        let finished = self.sheet.finish(stamp.unwrap_or(&own));
        let (packed, content) = finished.map_err(Problem::Unreadable)?;
        Ok(Made { packed, raw: self.raw, revision, content, size: self.size })
    }

    /// Reads the charts again that are not of the common style.
    fn read_odd(&mut self, is_json: bool) -> Result<(), Problem> {
        for (chart, range) in self.sheet.take_odd() {
            let bytes = self.raw.read(range).map_err(Problem::Unreadable)?;
            let text = String::from_utf8(bytes).unwrap_or_default();
            self.sheet.list(&chart, parse_list(&chart, &text, is_json));
        }
        Ok(())
    }

    fn read_whole(&mut self) -> Result<(), Problem> {
        let bytes = self.raw.read(0..self.size).map_err(Problem::Unreadable)?;
        let refuse = |reason: &str| Problem::Index(reason.to_owned());
        let text = String::from_utf8(bytes).map_err(|_| refuse("it is not text"))?;
        let entries = parse_whole(&text).map_err(Problem::Index)?;
        self.sheet = Sheet::new(spool(self.place.as_ref()), self.before.clone());
        for (chart, list) in entries {
            self.sheet.list(&chart, Ok(list));
        }
        Ok(())
    }
}

/// Returns a text that is another one when a file is another one.
pub(in crate::repo) fn stamp(meta: &std::fs::Metadata) -> String {
    #[cfg(unix)]
    let node = std::os::unix::fs::MetadataExt::ino(meta);
    #[cfg(not(unix))]
    let node = 0_u64;
    let changed = meta.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    format!("{}-{}-{node}", meta.len(), changed.unwrap_or_default().as_nanos())
}

impl Write for Reading {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.take(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn spool(place: Option<&PathBuf>) -> Spool {
    place.map_or_else(Spool::in_memory, |path| Spool::in_file(path))
}

/// Returns the style of a text by its first characters; none while there is only white space.
fn style(head: &[u8]) -> Option<Style> {
    match head.trim_ascii_start().first() {
        None => None,
        Some(b'{') => Some(Style::Json(Box::default())),
        Some(b'<') => Some(Style::Strange),
        Some(_) => Some(Style::Yaml(Box::default())),
    }
}

/// Parses the part of an index that is about one chart, as it is.
fn parse_list(chart: &str, text: &str, is_json: bool) -> Result<Value, String> {
    let value = if is_json {
        yaml::json::parse(text, Numbers::Exact)
    } else {
        yaml::parse(text, Numbers::Exact)
            .map(|mut value| value.get_mut(chart).map(Value::take).unwrap_or_default())
    };
    value.map_err(|error| format!("chart `{chart}`: {error}"))
}

/// Parses a text whole.
pub(super) fn parse_whole(text: &str) -> Result<Map, String> {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    if text.starts_with('<') {
        return Err("it is a web page, not an index: check the address".to_owned());
    }
    let value = if text.starts_with('{') {
        yaml::json::parse(text, Numbers::Exact)
    } else {
        yaml::parse_strict(text, Numbers::Exact)
    };
    let Value::Object(mut index) = value.map_err(|error| error.to_string())? else {
        return Err("it is not a map".to_owned());
    };
    if index.get("apiVersion").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err("no API version specified".to_owned());
    }
    match index.remove("entries") {
        Some(Value::Object(entries)) => Ok(entries),
        None | Some(Value::Null) => Ok(Map::new()),
        Some(_) => Err("its entries are not a map".to_owned()),
    }
}
