//! A folder of what earlier processes have made of archives. It may be deleted at any time, and
//! several processes may use it: files are written whole under another name and renamed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::base::digest::Digest;
use crate::base::file;

/// So many archives are kept; the oldest go.
const KEPT: usize = 64;
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

    /// Opens what was made of an archive.
    pub(super) fn open(&self, archive: &Digest) -> Option<fs::File> {
        fs::File::open(self.file(archive)).ok()
    }

    /// Writes what was made of an archive. That it cannot be written is no harm.
    pub(super) fn write(&self, archive: &Digest, bytes: &[u8]) {
        match file::write_unsynced(&self.file(archive), bytes) {
            Ok(()) => self.tidy(),
            Err(error) => tracing::debug!(%error, "a compiled chart is not kept"),
        }
    }

    /// Removes the oldest files beyond the number that is kept.
    fn tidy(&self) {
        let mut files: Vec<(SystemTime, PathBuf)> = written(&self.folder).collect();
        files.sort();
        let surplus = files.len().saturating_sub(KEPT);
        for (_, path) in &files[..surplus] {
            // Another process may have done it.
            let _ = fs::remove_file(path);
        }
    }
}

/// Returns the files of a folder and when they were written.
fn written(folder: &Path) -> impl Iterator<Item = (SystemTime, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
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
            store.write(digest, b"kept");
            let path = store.file(digest);
            let written = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(age as u64);
            let file = fs::File::options().append(true).open(path);
            // The oldest are gone as soon as they are too many.
            if let Ok(file) = file {
                file.set_modified(written).unwrap();
            }
        }
        let kept: Vec<_> = digests.iter().map(|digest| store.open(digest).is_some()).collect();
        assert_eq!(kept.iter().filter(|kept| **kept).count(), KEPT);
        assert_eq!(kept[..2], [false, false], "the oldest");
        assert_eq!(file::read_text(&store.file(&digests[2]), 9).unwrap(), "kept");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let occupied = folder.path().join("file");
        file::write_atomic(&occupied, b"").unwrap();
        let store = Store::new(occupied.join("below"));
        store.write(&Digest::of("a"), b"kept");
        assert!(store.open(&Digest::of("a")).is_none());
    }
}
