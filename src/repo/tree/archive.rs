//! Archives of files: packed when they are fetched, unpacked when a chart is looked for.
//!
//! The same files give the same bytes: times, owners and the rest of the modes are left out.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::{GzDecoder, MultiGzDecoder};
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

use super::FilesError;
use crate::base::class::chain;
use crate::base::digest::Digest;
use crate::base::file::{self, failed};
use crate::base::limit::{self, Limit};
use crate::source::Ignore;
use crate::source::git::rooted;

/// Name of the files with rules.
const RULES: &str = ".sourceignore";
/// Room for headers and padding beside the bytes of files.
const OVERHEAD_BYTES: u64 = 64 << 20;

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

/// Packs files, in the order and with the modes of Flux.
///
/// Source: fluxcd/pkg artifact/storage/storage.go (`Archive`).
fn write<T, W: Write, E: std::error::Error>(
    mut entries: Vec<Entry<T>>,
    into: W,
    stored: impl Fn(io::Error) -> FilesError<E>,
    mut read: impl FnMut(&T) -> Result<Data, FilesError<E>>,
) -> Result<Counted<W>, FilesError<E>> {
    let counted = Counted { into, hash: Sha256::new(), size: 0 };
    let mut archive = tar::Builder::new(GzEncoder::new(counted, Compression::default()));
    entries.sort_by(|a, b| a.path.split('/').cmp(b.path.split('/')));
    let mut above = String::new();
    append(&mut archive, Mode::Folder, ".", Data::none()).map_err(&stored)?;
    for file in entries {
        for folder in new_folders(&above, &file.path) {
            append(&mut archive, Mode::Folder, folder, Data::none()).map_err(&stored)?;
        }
        let data = read(&file.at)?;
        let mode = if file.is_program { Mode::Program } else { Mode::File };
        append(&mut archive, mode, &file.path, data).map_err(&stored)?;
        above = file.path;
    }
    let mut counted = archive.into_inner().and_then(GzEncoder::finish).map_err(&stored)?;
    counted.flush().map_err(stored)?;
    Ok(counted)
}

/// Packs files into a folder of the cache.
pub(super) fn pack<T, E: std::error::Error>(
    entries: Vec<Entry<T>>,
    folder: &Path,
    read: impl FnMut(&T) -> Result<Data, FilesError<E>>,
) -> Result<(Digest, u64, PathBuf), FilesError<E>> {
    let stored = |error: io::Error| FilesError::Store(failed("write", folder)(error));
    let (file, temporary) = tempfile::NamedTempFile::new_in(folder).map_err(stored)?.into_parts();
    let counted = write(entries, BufWriter::new(file), stored, read)?;
    let (digest, size) = (Digest::from_bytes(counted.hash.finalize().into()), counted.size);
    drop(counted.into);
    let path = folder.join(format!("{PREFIX}{}.tgz", digest.to_hex()));
    temporary.persist(&path).map_err(|error| stored(error.error))?;
    Ok((digest, size, path))
}

/// A file of somebody else's archive: whether it can be run, and what is in it.
type Foreign = (bool, Vec<u8>);

/// Packs somebody else's archive anew without the files that rules leave out: those of its own
/// `.sourceignore` files, and these, which count more. Links are left out, as by Flux.
///
/// Source: fluxcd/source-controller internal/controller/ocirepository_controller.go
/// (`reconcileArtifact`); fluxcd/pkg tar/tar.go.
///
/// # Errors
/// It is none, leads out of its folder, or is too large.
pub(in crate::repo) fn without(packed: &[u8], rules: Option<&str>) -> Result<Vec<u8>, String> {
    let files = foreign(packed)?;
    let own = files.iter().filter_map(|(path, (_, data))| {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let text = || String::from_utf8_lossy(data).into_owned();
        (name == RULES).then(|| (folder.to_owned(), text()))
    });
    let own: Vec<(String, String)> = own.collect();
    let own: Vec<(&str, &str)> = own.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let rules = Ignore::new(&own, rules);
    let kept = files.iter().filter(|(path, _)| !rules.drops(path, false));
    let entries = kept.map(|(path, (is_program, data))| Entry {
        path: path.clone(),
        is_program: *is_program,
        at: data.as_slice(),
    });
    let read = |data: &&[u8]| {
        let data = data.to_vec();
        Ok(Data { size: data.len() as u64, from: Box::new(io::Cursor::new(data)) })
    };
    let stored = |error| FilesError::<io::Error>::Fetch(error);
    let written = write(entries.collect(), Vec::new(), stored, read);
    written.map(|counted| counted.into).map_err(|error| chain(&error))
}

/// Whether somebody else's archive has rules about its files. One that cannot be read has none: who
/// takes it as it is says what is wrong with it.
pub(in crate::repo) fn has_rules(packed: &[u8]) -> bool {
    let most_bytes = limit::current().of(Limit::Unpacked).saturating_add(OVERHEAD_BYTES);
    let mut archive = tar::Archive::new(MultiGzDecoder::new(packed).take(most_bytes));
    let Ok(entries) = archive.entries() else { return false };
    entries.map_while(Result::ok).any(|entry| {
        let is_rules =
            entry.path_bytes().rsplit(|byte| *byte == b'/').next() == Some(RULES.as_bytes());
        is_rules && entry.header().entry_type().is_file()
    })
}

/// Reads the files of somebody else's archive.
fn foreign(packed: &[u8]) -> Result<BTreeMap<String, Foreign>, String> {
    let limits = limit::current();
    let (most, mut left_bytes) = (limits.size(Limit::Entries), limits.of(Limit::Unpacked));
    let inflated = MultiGzDecoder::new(packed).take(left_bytes.saturating_add(OVERHEAD_BYTES));
    let mut archive = tar::Archive::new(inflated);
    let broken = |error: io::Error| format!("the archive cannot be read: {error}");
    let mut files = BTreeMap::new();
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind.is_symlink() || kind.is_pax_global_extensions() {
            continue;
        }
        if !kind.is_file() {
            return Err(format!("`{name}` is neither a file nor a folder"));
        }
        let is_out = name.starts_with('/') || name.contains('\\');
        if is_out || name.split('/').any(|part| part == "..") {
            return Err(format!("`{name}` leads out of the archive"));
        }
        let too_large = || limits.refusal(Limit::Unpacked, format!("too large at `{name}`"));
        left_bytes = left_bytes.checked_sub(entry.size()).ok_or_else(too_large)?;
        let is_program = entry.header().mode().map_err(broken)? & 0o111 != 0;
        let mut data = Vec::new();
        entry.read_to_end(&mut data).map_err(broken)?;
        files.insert(rooted("", &name), (is_program, data));
        if files.len() > most {
            return Err(limits.refusal(Limit::Entries, "too many"));
        }
    }
    Ok(files)
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

    /// An archive of somebody else: kind, name, mode and text of each entry.
    fn archive(rows: &[(tar::EntryType, &str, u32, &str)]) -> Vec<u8> {
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (kind, name, mode, text) in rows {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(*mode);
            header.set_size(text.len() as u64);
            // As it is: the crate would refuse what is to be refused here.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            archive.append(&header, text.as_bytes()).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn somebody_elses_archive_is_packed_anew_without_what_is_left_out() {
        use tar::EntryType as Kind;
        let file = |name, text| (Kind::Regular, name, 0o644, text);
        let rows = [
            (Kind::Directory, "web", 0o755, ""),
            file("web/Chart.yaml", "chart"),
            (Kind::Regular, "web/run.sh", 0o755, "run"),
            file("./web/docs/a.md", "doc"),
            file("web/docs/b.txt", "text"),
            file("web/logo.png", "png"),
            (Kind::Symlink, "web/link", 0o777, ""),
            file("web/ci/.sourceignore", "*.tmp\n"),
            file("web/ci/a.tmp", "tmp"),
        ];
        let out = without(&archive(&rows), Some("*.md\n")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.tgz");
        file::write_atomic(&path, &out).unwrap();
        let into = folder.path().join("into");
        let got = unpack(&path, &into).unwrap();
        let got: Vec<String> = got
            .iter()
            .map(|(path, is_program)| format!("{} {is_program}", path.display()))
            .collect();
        let want = [
            "web/Chart.yaml false",
            "web/ci/.sourceignore false",
            "web/docs/b.txt false",
            "web/logo.png false",
            "web/run.sh true",
        ];
        assert_eq!(got, want);
        assert_eq!(
            out,
            without(&archive(&rows), Some("*.md\n")).unwrap(),
            "the same bytes each time"
        );
    }

    #[test]
    fn somebody_elses_archive_may_have_rules() {
        use tar::EntryType as Kind;
        let chart = (Kind::Regular, "web/Chart.yaml", 0o644, "chart");
        let rows = [
            ((Kind::Regular, ".sourceignore", 0o644, "*.tmp\n"), true),
            ((Kind::Regular, "web/ci/.sourceignore", 0o644, "*.tmp\n"), true),
            ((Kind::Regular, "web/ci/.sourceignore", 0o644, ""), true),
            ((Kind::Regular, "web/x.sourceignore", 0o644, ""), false),
            ((Kind::Regular, "web/.sourceignore/x", 0o644, ""), false),
            ((Kind::Symlink, "web/.sourceignore", 0o777, ""), false),
        ];
        for (row, want) in rows {
            assert_eq!(has_rules(&archive(&[chart, row])), want, "{row:?}");
        }
        assert!(!has_rules(b"no archive"));
    }

    #[test]
    fn somebody_elses_archive_stays_in_its_folder() {
        use tar::EntryType as Kind;
        let rows = [
            (Kind::Regular, "../x", "leads out of the archive"),
            (Kind::Regular, "/x", "leads out of the archive"),
            (Kind::Regular, "a/../../x", "leads out of the archive"),
            (Kind::Regular, "a\\b", "leads out of the archive"),
            (Kind::Link, "x", "is neither a file nor a folder"),
            (Kind::Fifo, "x", "is neither a file nor a folder"),
        ];
        for (kind, name, want) in rows {
            let got = without(&archive(&[(kind, name, 0o644, "")]), None).unwrap_err();
            assert_eq!(got, format!("`{name}` {want}"));
        }
        assert!(
            without(b"no archive", None).unwrap_err().starts_with("the archive cannot be read")
        );
    }

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
