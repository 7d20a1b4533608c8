//! A folder of what earlier processes have made of archives. It may be deleted at any time, and
//! several processes may use it: files are written whole under another name and renamed.
//!
//! Writing takes a third of the time of what it spares, and most archives are rendered once: the
//! first time only an empty file is left, which says that the archive was seen. Its name is what the
//! archive says of itself (its length, and the check that ends it), so that who sees an archive for
//! the first time need not compute a digest. Two that say the same are both taken for seen, no more:
//! what was made of an archive is named by its digest.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::base::digest::Digest;
use crate::base::file;

/// So many archives are kept; the oldest go.
const KEPT: usize = 64;
/// So many are remembered as seen.
const SEEN: usize = 256;
/// A gzip stream ends with the checksum and the length of what it holds.
const CHECK_BYTES: usize = 8;
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

    /// The file that says that an archive was seen.
    fn mark(&self, packed: &[u8]) -> PathBuf {
        let end = &packed[packed.len().saturating_sub(CHECK_BYTES)..];
        let check = end.iter().fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte));
        self.folder.join(format!("seen-{}-{check:016x}", packed.len()))
    }

    /// Whether an archive may have been seen; if not, nothing was made of it.
    pub(super) fn was_seen(&self, packed: &[u8]) -> bool {
        self.mark(packed).exists()
    }

    /// Leaves word that an archive was seen: there is nothing in the file that could be cut.
    pub(super) fn note(&self, packed: &[u8]) {
        self.done(file::touch(&self.mark(packed)));
    }

    /// Opens what was made of an archive.
    pub(super) fn find(&self, archive: &Digest) -> Option<fs::File> {
        fs::File::open(self.file(archive)).ok()
    }

    /// Writes what was made of an archive.
    pub(super) fn write(&self, archive: &Digest, bytes: &[u8]) {
        self.done(file::write_unsynced(&self.file(archive), bytes));
    }

    /// That something cannot be written is no harm.
    fn done(&self, written: Result<(), file::Error>) {
        match written {
            Ok(()) => self.tidy(),
            Err(error) => tracing::debug!(%error, "a compiled chart is not kept"),
        }
    }

    /// Removes the oldest files beyond the numbers that are kept.
    fn tidy(&self) {
        // To ask how old they are takes longer than to count them.
        if fs::read_dir(&self.folder).into_iter().flatten().count() <= SEEN.min(KEPT) {
            return;
        }
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

    #[test]
    fn the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("below"));
        let digests: Vec<_> = (0..KEPT + 2).map(|index| Digest::of(index.to_string())).collect();
        for (age, digest) in digests.iter().enumerate() {
            store.note(format!("seen {age}").as_bytes());
            store.write(digest, b"kept");
            let path = store.file(digest);
            let written = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(age as u64);
            let file = fs::File::options().append(true).open(path);
            // The oldest are gone as soon as they are too many.
            if let Ok(file) = file {
                file.set_modified(written).unwrap();
            }
        }
        let kept: Vec<_> = digests.iter().map(|digest| store.find(digest).is_some()).collect();
        assert_eq!(kept.iter().filter(|kept| **kept).count(), KEPT);
        assert_eq!(kept[..2], [false, false], "the oldest");
        assert_eq!(file::read_text(&store.file(&digests[2]), 9).unwrap(), "kept");
        assert!((0..KEPT + 2).all(|age| store.was_seen(format!("seen {age}").as_bytes())));
    }

    #[test]
    fn what_is_only_seen_is_bounded_too() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("below"));
        (0..SEEN + 3).for_each(|index| store.note(format!("archive {index}").as_bytes()));
        assert_eq!(files(&store.folder).count(), SEEN);
    }

    #[test]
    fn archives_are_told_apart_by_their_length_and_their_end() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("below"));
        let archive = b"some archive 12345678";
        assert!(!store.was_seen(archive));
        store.note(archive);
        assert!(store.was_seen(archive));
        for other in [&b"some archive 12345679"[..], b"an archive 12345678", b"5678", b""] {
            assert!(!store.was_seen(other), "{other:?}");
        }
        assert!(store.find(&Digest::of(archive)).is_none(), "nothing was made of it");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let occupied = folder.path().join("file");
        file::write_atomic(&occupied, b"").unwrap();
        let store = Store::new(occupied.join("below"));
        store.note(b"a");
        store.write(&Digest::of("a"), b"kept");
        assert!(!store.was_seen(b"a") && store.find(&Digest::of("a")).is_none());
    }
}
