//! A folder of what earlier processes have made of archives. It may be deleted at any time, and
//! several processes may use it: files are written whole under another name and renamed.
//!
//! Writing takes a third of the time of what it spares, and most archives are rendered once: the
//! first time only an empty file is left, which says that the archive was seen.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::base::digest::Digest;
use crate::base::file;

/// So many archives are kept; the oldest go.
const KEPT: usize = 64;
/// So many are remembered as seen.
const SEEN: usize = 256;
/// What one build has written is nothing to another.
const BUILD: &str = env!("LEADSMAN_SOURCES");

/// The folder.
#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
}

impl Store {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn file(&self, archive: &Digest) -> PathBuf {
        self.folder.join(format!("{}-{BUILD}", archive.to_hex()))
    }

    /// Looks for what was made of an archive.
    pub(super) fn find(&self, archive: &Digest) -> Found {
        let Ok(file) = fs::File::open(self.file(archive)) else { return Found::Nothing };
        if file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
            return Found::Seen;
        }
        Found::Made(file)
    }

    /// Leaves word that an archive was seen.
    pub(super) fn note(&self, archive: &Digest) {
        self.write(archive, &[]);
    }

    /// Writes what was made of an archive. That it cannot be written is no harm.
    pub(super) fn write(&self, archive: &Digest, bytes: &[u8]) {
        match file::write_unsynced(&self.file(archive), bytes) {
            Ok(()) => self.tidy(),
            Err(error) => tracing::debug!(%error, "a compiled chart is not kept"),
        }
    }

    /// Removes the oldest files beyond the numbers that are kept.
    fn tidy(&self) {
        let (seen, made): (Vec<_>, Vec<_>) =
            files(&self.folder).partition(|(length, _, _)| *length == 0);
        for (mut files, kept) in [(seen, SEEN), (made, KEPT)] {
            files.sort_by_key(|(_, written, _)| *written);
            let surplus = files.len().saturating_sub(kept);
            for (_, _, path) in &files[..surplus] {
                // Another process may have done it.
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// What is known of an archive.
#[derive(Debug)]
pub(super) enum Found {
    /// It was never seen.
    Nothing,
    /// It was seen.
    Seen,
    /// This was made of it.
    Made(fs::File),
}

/// Returns the files of a folder: length, when written, path.
fn files(folder: &Path) -> impl Iterator<Item = (u64, SystemTime, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let metadata = entry.metadata().ok()?;
        Some((metadata.len(), metadata.modified().ok()?, entry.path()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_made(store: &Store, archive: &Digest) -> bool {
        matches!(store.find(archive), Found::Made(_))
    }

    #[test]
    fn the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("below"));
        let digests: Vec<_> = (0..KEPT + 2).map(|index| Digest::of(index.to_string())).collect();
        for (age, digest) in digests.iter().enumerate() {
            store.note(&Digest::of(format!("seen {age}")));
            store.write(digest, b"kept");
            let path = store.file(digest);
            let written = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(age as u64);
            let file = fs::File::options().append(true).open(path);
            // The oldest are gone as soon as they are too many.
            if let Ok(file) = file {
                file.set_modified(written).unwrap();
            }
        }
        let kept: Vec<_> = digests.iter().map(|digest| is_made(&store, digest)).collect();
        assert_eq!(kept.iter().filter(|kept| **kept).count(), KEPT);
        assert_eq!(kept[..2], [false, false], "the oldest");
        assert_eq!(file::read_text(&store.file(&digests[2]), 9).unwrap(), "kept");
        let seen = (0..KEPT + 2).map(|age| store.find(&Digest::of(format!("seen {age}"))));
        assert!(seen.into_iter().all(|found| matches!(found, Found::Seen)));
    }

    #[test]
    fn what_is_only_seen_is_bounded_too() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("below"));
        (0..SEEN + 3).for_each(|index| store.note(&Digest::of(index.to_string())));
        assert_eq!(files(&store.folder).count(), SEEN);
    }

    #[test]
    fn what_was_seen_may_be_made() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("below"));
        let archive = Digest::of("a");
        assert!(matches!(store.find(&archive), Found::Nothing));
        store.note(&archive);
        assert!(matches!(store.find(&archive), Found::Seen));
        store.write(&archive, b"kept");
        assert!(is_made(&store, &archive));
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let occupied = folder.path().join("file");
        file::write_atomic(&occupied, b"").unwrap();
        let store = Store::new(occupied.join("below"));
        store.note(&Digest::of("a"));
        store.write(&Digest::of("a"), b"kept");
        assert!(matches!(store.find(&Digest::of("a")), Found::Nothing));
    }
}
