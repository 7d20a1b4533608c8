//! Archives of files: packed when they are fetched, unpacked when a chart is looked for.
//!
//! The same files give the same bytes: times, owners and the rest of the modes are left out.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

use super::FilesError;
use crate::base::digest::Digest;
use crate::base::file::{self, failed};

/// How the names of these archives begin.
pub(in crate::repo) const PREFIX: &str = "tree-";

/// A file that is to be packed.
#[derive(Debug)]
pub(in crate::repo) struct Entry<T> {
    /// Its path, with `/` between the parts.
    pub(in crate::repo) path: String,
    /// Whether it can be run.
    pub(in crate::repo) is_program: bool,
    /// What it is read by.
    pub(in crate::repo) at: T,
}

/// What is in a file.
pub(in crate::repo) struct Data {
    /// How many bytes.
    pub(in crate::repo) size: u64,
    /// The bytes.
    pub(in crate::repo) from: Box<dyn Read>,
}

/// Counts and digests what is written.
struct Counted<W> {
    into: W,
    hash: Sha256,
    size: u64,
}

impl Data {
    fn none() -> Self {
        Self { size: 0, from: Box::new(io::empty()) }
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        let written = self.into.write(part)?;
        self.hash.update(&part[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}

/// What an entry is, by its mode: the rest of the modes is left out.
#[derive(Debug, Clone, Copy)]
enum Mode {
    Folder = 0o750,
    File = 0o600,
    Program = 0o700,
}

fn append(
    archive: &mut tar::Builder<impl Write>,
    mode: Mode,
    path: &str,
    data: Data,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(match mode {
        Mode::Folder => tar::EntryType::Directory,
        Mode::File | Mode::Program => tar::EntryType::Regular,
    });
    header.set_size(data.size);
    header.set_mode(mode as u32);
    header.set_mtime(0);
    archive.append_data(&mut header, path, data.from)
}

/// Returns the folders of a file that those of the file before it are not.
fn new_folders<'a>(before: &str, path: &'a str) -> impl Iterator<Item = &'a str> {
    let folders = |path: &'a str| path.match_indices('/').map(|(at, _)| &path[..at]);
    let known = before.to_owned();
    folders(path)
        .filter(move |folder| !known.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
}

/// Packs files into a folder of the cache, in the order and with the modes of Flux.
///
/// Source: fluxcd/pkg artifact/storage/storage.go (`Archive`).
pub(super) fn pack<T, E: std::error::Error>(
    mut entries: Vec<Entry<T>>,
    folder: &Path,
    mut read: impl FnMut(&T) -> Result<Data, FilesError<E>>,
) -> Result<(Digest, u64, PathBuf), FilesError<E>> {
    let stored = |error: io::Error| FilesError::Store(failed("write", folder)(error));
    let (file, temporary) = tempfile::NamedTempFile::new_in(folder).map_err(stored)?.into_parts();
    let file = BufWriter::new(file);
    let counted = Counted { into: file, hash: Sha256::new(), size: 0 };
    let mut archive = tar::Builder::new(GzEncoder::new(counted, Compression::default()));
    entries.sort_by(|a, b| a.path.split('/').cmp(b.path.split('/')));
    let mut above = String::new();
    append(&mut archive, Mode::Folder, ".", Data::none()).map_err(stored)?;
    for file in entries {
        for folder in new_folders(&above, &file.path) {
            append(&mut archive, Mode::Folder, folder, Data::none()).map_err(stored)?;
        }
        let data = read(&file.at)?;
        let mode = if file.is_program { Mode::Program } else { Mode::File };
        append(&mut archive, mode, &file.path, data).map_err(stored)?;
        above = file.path;
    }
    let mut counted = archive.into_inner().and_then(GzEncoder::finish).map_err(stored)?;
    counted.flush().map_err(stored)?;
    let (digest, size) = (Digest::from_bytes(counted.hash.finalize().into()), counted.size);
    drop(counted.into);
    let path = folder.join(format!("{PREFIX}{}.tgz", digest.to_hex()));
    temporary.persist(&path).map_err(|error| stored(error.error))?;
    Ok((digest, size, path))
}

/// Returns digest and size of a file.
pub(super) fn digest(path: &Path) -> io::Result<(Digest, u64)> {
    let mut counted = Counted { into: io::sink(), hash: Sha256::new(), size: 0 };
    io::copy(&mut BufReader::new(File::open(path)?), &mut counted)?;
    Ok((Digest::from_bytes(counted.hash.finalize().into()), counted.size))
}

/// Returns the paths of the files in an archive of ours.
pub(super) fn names(archive: &Path) -> Result<HashSet<PathBuf>, file::Error> {
    let file = File::open(archive).map_err(failed("read", archive))?;
    let mut entries = tar::Archive::new(GzDecoder::new(BufReader::new(file)));
    let entries = entries.entries().map_err(failed("read", archive))?;
    let names = entries.filter_map(|entry| {
        let path = |entry: &tar::Entry<_>| Ok(entry.path()?.into_owned());
        match entry {
            Ok(entry) => entry.header().entry_type().is_file().then(|| path(&entry)),
            Err(error) => Some(Err(error)),
        }
    });
    names.collect::<io::Result<_>>().map_err(failed("read", archive))
}

/// Unpacks an archive of ours into an empty folder; returns the files, and whether each can be run.
pub(in crate::repo) fn unpack(
    archive: &Path,
    folder: &Path,
) -> Result<Vec<(PathBuf, bool)>, file::Error> {
    let mut files = Vec::new();
    let file = File::open(archive).map_err(failed("read", archive))?;
    let mut entries = tar::Archive::new(GzDecoder::new(BufReader::new(file)));
    let entries = entries.entries().map_err(failed("read", archive))?;
    for entry in entries {
        let mut entry = entry.map_err(failed("read", archive))?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = entry.path().map_err(failed("read", archive))?.into_owned();
        let path = folder.join(&name);
        let is_program = entry.header().mode().is_ok_and(|mode| mode == Mode::Program as u32);
        files.push((name, is_program));
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).map_err(failed("create folder", parent))?;
        let mut data = Vec::new();
        entry.read_to_end(&mut data).map_err(failed("read", archive))?;
        let mut options = File::options();
        // The names of a tree are unique: one that is there already is something else.
        let created = options.write(true).create_new(true).open(&path);
        let written = created.and_then(|mut file| file.write_all(&data));
        written.map_err(failed("write", &path))?;
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_comes_once_before_what_is_in_it() {
        let rows: [(&str, &str, &[&str]); 6] = [
            ("", "a.txt", &[]),
            ("", "a/b/c.txt", &["a", "a/b"]),
            ("a/b/c.txt", "a/b/d.txt", &[]),
            ("a/b/c.txt", "a/c/d.txt", &["a/c"]),
            ("ab/c.txt", "a/c.txt", &["a"]),
            ("a", "a/c.txt", &["a"]),
        ];
        for (before, path, want) in rows {
            assert_eq!(new_folders(before, path).collect::<Vec<_>>(), want, "{before} {path}");
        }
    }
}
