//! A packed chart → its files: one inflated buffer, of which every file is a slice.

use std::io::Read as _;

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use tar::EntryType;

use super::{File, error::ArchiveError};
use crate::{base::limit, chart::gotext};

/// Room for tar headers and padding beside the files' own bytes.
const OVERHEAD_BYTES: u64 = 64 << 20;
/// No stream shrinks by more than this; a first guess beyond it is a lie.
const DEFLATE_RATIO: usize = 1032;
const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Unpacks an archive. The first folder of each name is dropped, whatever it is.
///
/// Source: helm v4.3.1 pkg/chart/loader/archive/archive.go (`LoadArchiveFiles`).
pub(crate) fn unpack(packed: &[u8]) -> Result<Vec<File>, ArchiveError> {
    if !packed.starts_with(&GZIP_MAGIC) {
        return Err(ArchiveError::Header);
    }
    let (tar, failure) = inflate(packed)?;
    // A stream that is damaged behind the tar's end marker is as good to Go as a whole one.
    read_tar(&tar).map_err(|error| match (error, failure) {
        (ArchiveError::Truncated, Some(failure)) => failure,
        (error, _) => error,
    })
}

/// Inflates as much as there is; a damaged tail is told beside the data before it.
fn inflate(packed: &[u8]) -> Result<(Bytes, Option<ArchiveError>), ArchiveError> {
    let most = limit::UNPACKED_BYTES + OVERHEAD_BYTES;
    // Zeros that the system gives are free; a buffer that is filled with them is not.
    let mut tar = vec![0; size_hint(packed)];
    let mut filled = 0;
    let mut reader = MultiGzDecoder::new(packed).take(most + 1);
    let failure = loop {
        if filled == tar.len() {
            tar.resize(tar.len() * 2, 0);
        }
        match reader.read(&mut tar[filled..]) {
            Ok(0) => break None,
            Ok(count) => filled += count,
            Err(error) => break Some(error),
        }
    };
    tar.truncate(filled);
    let failure = failure.map(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => ArchiveError::Truncated,
        _ => ArchiveError::Corrupt(error.to_string()),
    });
    if tar.len() as u64 > most {
        return Err(ArchiveError::TooLarge);
    }
    Ok((Bytes::from(tar), failure))
}

/// The unpacked size as the last four bytes of a gzip file tell it, bounded by what is possible.
fn size_hint(packed: &[u8]) -> usize {
    let told = packed.last_chunk::<4>().map_or(0, |tail| u32::from_le_bytes(*tail));
    let most = packed.len().saturating_mul(DEFLATE_RATIO);
    // One byte more than the whole: the reader sees the end without growing the buffer.
    usize::try_from(told).unwrap_or(most).min(most).min(32 << 20) + 1
}

fn read_tar(tar: &Bytes) -> Result<Vec<File>, ArchiveError> {
    let mut files = Vec::new();
    let mut left = limit::UNPACKED_BYTES;
    let mut archive = tar::Archive::new(std::io::Cursor::new(&tar[..]));
    let entries = archive.entries_with_seek().map_err(|_| ArchiveError::Tar)?;
    for (count, entry) in entries.enumerate() {
        if count >= limit::ARCHIVE_ENTRIES {
            return Err(ArchiveError::TooMany);
        }
        let entry = entry.map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => ArchiveError::Truncated,
            _ if error.to_string().contains("failed to read entire block") => {
                ArchiveError::Truncated
            }
            _ => ArchiveError::Tar,
        })?;
        let kind = entry.header().entry_type();
        let written = entry.path_bytes();
        let old_folder = kind == EntryType::Regular && written.ends_with(b"/");
        if old_folder || matches!(kind, EntryType::Directory | EntryType::XGlobalHeader) {
            continue;
        }
        let name = inner_name(&String::from_utf8_lossy(&written))?;
        // Links and devices come out as empty files, as in Helm.
        let size = match kind {
            EntryType::Link
            | EntryType::Symlink
            | EntryType::Char
            | EntryType::Block
            | EntryType::Fifo => 0,
            _ => entry.size(),
        };
        if size >= left {
            return Err(ArchiveError::TooLarge);
        }
        left -= size;
        files.push(File { name, data: slice(tar, entry.raw_file_position(), size)? });
    }
    if files.is_empty() {
        return Err(ArchiveError::Empty);
    }
    Ok(files)
}

/// The part of the buffer that an entry speaks of, without a leading byte order mark.
fn slice(tar: &Bytes, start: u64, size: u64) -> Result<Bytes, ArchiveError> {
    let start = usize::try_from(start).map_err(|_| ArchiveError::Tar)?;
    let size = usize::try_from(size).map_err(|_| ArchiveError::Tar)?;
    let end = start.checked_add(size).ok_or(ArchiveError::Tar)?;
    if end > tar.len() {
        return Err(ArchiveError::Truncated);
    }
    Ok(without_bom(tar.slice(start..end)))
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
