//! A packed chart → its files, one after the other while the archive inflates.

mod plain;

use std::io::{BufReader, ErrorKind, Read};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use tar::EntryType;

use super::{File, error::ArchiveError};
use crate::base::content::{Content, Later};
use crate::{
    base::limit::{self, Limit},
    chart::gotext,
};

/// Room for tar headers and padding beside the files' own bytes.
const OVERHEAD_BYTES: u64 = 64 << 20;
/// As much is inflated at once: it stays in the processor's cache.
const INFLATED_BYTES: usize = 64 << 10;
/// A file that says it is larger gets its memory as it comes.
const BELIEVED_BYTES: u64 = 4 << 20;
/// Files from this size on are worth being postponed.
const LARGE_BYTES: usize = 16 << 10;
const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Unpacks an archive and shows each file as soon as it is there. The first folder of each name is
/// dropped, whatever it is.
///
/// Source: helm v4.3.1 pkg/chart/loader/archive/archive.go (`LoadArchiveFiles`).
pub(crate) fn unpack(
    packed: &[u8],
    seen: &mut dyn FnMut(&File),
) -> Result<Vec<File>, ArchiveError> {
    unpack_with(packed, seen, &|_, _, _| None)
}

/// Unpacks an archive as [`unpack`], but for large definitions of kinds and large files to be read:
/// those are only checked, and unpacked when somebody looks into them. Nobody does who renders
/// templates.
pub(crate) fn unpack_lazily(
    packed: &Bytes,
    seen: &mut dyn FnMut(&File),
) -> Result<Vec<File>, ArchiveError> {
    let postponed = Postponed::new(packed);
    unpack_with(packed, seen, &|name, size, index| postponed.large(name, size, index))
}

/// Says what stands for a file of this name, size and index that is passed over, if it is.
type Pass<'a> = &'a dyn Fn(&str, usize, usize) -> Option<Content>;

fn unpack_with(
    packed: &[u8],
    seen: &mut dyn FnMut(&File),
    pass: Pass<'_>,
) -> Result<Vec<File>, ArchiveError> {
    if !packed.starts_with(&GZIP_MAGIC) {
        return Err(ArchiveError::Header);
    }
    if let Some(files) = plain::read(packed, seen, pass) {
        return Ok(files);
    }
    let most = limit::current().of(Limit::Unpacked).saturating_add(OVERHEAD_BYTES);
    let mut inflated = Inflated { inner: MultiGzDecoder::new(packed).take(most), failure: None };
    let buffered = BufReader::with_capacity(INFLATED_BYTES, &mut inflated);
    let files = read_tar(buffered, seen);
    // A stream that is damaged behind the tar's end marker is as good to Go as a whole one.
    files.map_err(|error| match (error, inflated.failure) {
        (ArchiveError::Truncated, _) if inflated.inner.limit() == 0 => ArchiveError::TooLarge,
        (ArchiveError::Truncated, Some(failure)) => failure,
        (error, _) => error,
    })
}

/// The inflated stream. Damage ends it, and is told apart.
struct Inflated<R> {
    inner: std::io::Take<R>,
    failure: Option<ArchiveError>,
}

impl<R: Read> Read for Inflated<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.inner.read(buffer).or_else(|error| {
            self.failure = Some(match error.kind() {
                ErrorKind::UnexpectedEof => ArchiveError::Truncated,
                _ => ArchiveError::Corrupt(error.to_string()),
            });
            Ok(0)
        })
    }
}

/// What a file is for: who looks into one looks into others of its sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    /// Definitions of kinds, in a `crds/` folder.
    Definition,
    /// A `README.md`.
    Readme,
    /// What rendering needs.
    Other,
}

impl Sort {
    fn of(name: &str) -> Self {
        let mut folders = name.split('/').filter(|folder| matches!(*folder, "crds" | "templates"));
        match folders.next() {
            Some("crds") => Self::Definition,
            None if name == "README.md" || name.ends_with("/README.md") => Self::Readme,
            Some(_) | None => Self::Other,
        }
    }
}

/// What unpacks the files of an archive when somebody looks into one: those of its sort, and no
/// others.
#[derive(Debug)]
pub struct Postponed([Arc<OfSort>; 3]);

impl Postponed {
    /// Returns what unpacks the files of an archive that could be read.
    pub fn new(packed: &Bytes) -> Self {
        let of = |sort| OfSort { packed: packed.clone(), sort, unpacked: OnceLock::new() };
        Self([Sort::Definition, Sort::Readme, Sort::Other].map(|sort| Arc::new(of(sort))))
    }

    /// Returns a file that is unpacked when somebody looks into it.
    pub fn file(&self, name: &str, index: usize) -> Content {
        let [definitions, readmes, others] = &self.0;
        let unpacked = match Sort::of(name) {
            Sort::Definition => definitions,
            Sort::Readme => readmes,
            Sort::Other => others,
        };
        Content::later(Arc::clone(unpacked) as Arc<dyn Later>, index)
    }

    /// Returns such a file if it is large and rendering does not need it.
    fn large(&self, name: &str, size: usize, index: usize) -> Option<Content> {
        let is_postponed = size >= LARGE_BYTES && Sort::of(name) != Sort::Other;
        is_postponed.then(|| self.file(name, index))
    }
}

/// The files of one sort, the others empty, as soon as somebody has asked for one.
#[derive(Debug)]
struct OfSort {
    packed: Bytes,
    sort: Sort,
    unpacked: OnceLock<Vec<File>>,
}

impl OfSort {
    fn unpack(&self) -> Vec<File> {
        let others = |name: &str, _, _| (Sort::of(name) != self.sort).then(|| NONE.clone().into());
        // It could be read before, to its end.
        unpack_with(&self.packed, &mut |_| {}, &others).unwrap_or_default()
    }
}

impl Later for OfSort {
    fn bytes(&self, index: usize) -> &Bytes {
        let files = self.unpacked.get_or_init(|| self.unpack());
        files.get(index).map_or(&NONE, |file| &file.data)
    }
}

static NONE: Bytes = Bytes::new();

fn read_tar(tar: impl Read, seen: &mut dyn FnMut(&File)) -> Result<Vec<File>, ArchiveError> {
    let mut files = Vec::new();
    let limits = limit::current();
    let mut left = limits.of(Limit::Unpacked);
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().map_err(|_| ArchiveError::Tar)?;
    for (count, entry) in entries.enumerate() {
        if count >= limits.size(Limit::Entries) {
            return Err(ArchiveError::TooMany);
        }
        let mut entry = entry.map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => ArchiveError::Truncated,
            _ if error.to_string().contains("failed to read entire block") => {
                ArchiveError::Truncated
            }
            _ => ArchiveError::Tar,
        })?;
        let kind = entry.header().entry_type();
        let written = entry.path_bytes();
        // Go takes the content of what has none for the next header, which it is not.
        if has_no_content(kind) && entry.header().entry_size().is_ok_and(|size| size > 0) {
            return Err(ArchiveError::Tar);
        }
        let old_folder = kind == EntryType::Regular && written.ends_with(b"/");
        if old_folder || matches!(kind, EntryType::Directory | EntryType::XGlobalHeader) {
            continue;
        }
        let name = inner_name(&String::from_utf8_lossy(&written))?;
        // Links and devices come out as empty files, as in Helm.
        let size = if has_no_content(kind) { 0 } else { entry.size() };
        if size >= left {
            return Err(ArchiveError::TooLarge);
        }
        left -= size;
        let file = File { name, data: without_bom(read_data(&mut entry, size)?).into() };
        seen(&file);
        files.push(file);
    }
    if files.is_empty() {
        return Err(ArchiveError::Empty);
    }
    Ok(files)
}

/// Whether entries of a kind are headers alone.
///
/// Source: go archive/tar (`isHeaderOnly`).
fn has_no_content(kind: EntryType) -> bool {
    matches!(
        kind,
        EntryType::Directory
            | EntryType::Link
            | EntryType::Symlink
            | EntryType::Char
            | EntryType::Block
            | EntryType::Fifo
    )
}

/// Reads the content of an entry.
fn read_data(entry: &mut impl Read, size: u64) -> Result<Bytes, ArchiveError> {
    let believed = usize::try_from(size.min(BELIEVED_BYTES)).unwrap_or_default();
    // Zeros that the system gives are free; a buffer that is filled with them is not.
    let mut data = vec![0; believed];
    entry.read_exact(&mut data).map_err(|_| ArchiveError::Truncated)?;
    let rest = size - believed as u64;
    let read = entry.take(rest).read_to_end(&mut data).map_err(|_| ArchiveError::Truncated)?;
    if read as u64 == rest { Ok(Bytes::from(data)) } else { Err(ArchiveError::Truncated) }
}

/// Drops a leading UTF-8 byte order mark.
pub(crate) fn without_bom(data: Bytes) -> Bytes {
    if data.starts_with(BOM) { data.slice(BOM.len()..) } else { data }
}

/// The name below the archive's first folder, cleaned and confined.
fn inner_name(written: &str) -> Result<String, ArchiveError> {
    let separator = if written.contains('\\') { '\\' } else { '/' };
    let (first, rest) = written.split_once(separator).unwrap_or((written, ""));
    let rest = rest.replace(separator, "/");
    if rest.starts_with('/') {
        return Err(ArchiveError::Absolute);
    }
    let name = clean(&rest);
    if name == "." {
        return Err(ArchiveError::Outside(gotext::quote(written)));
    }
    if name.starts_with("..") {
        return Err(ArchiveError::Parent);
    }
    if let [drive, b':', b'/', ..] = name.as_bytes()
        && drive.is_ascii_alphabetic()
    {
        return Err(ArchiveError::Drive);
    }
    if first == "Chart.yaml" {
        return Err(ArchiveError::ChartYaml);
    }
    Ok(name)
}

/// Go's `path.Clean` for a relative path.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}
