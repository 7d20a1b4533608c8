//! Bytes that are written down while they come: into a file, or into memory where none can be
//! written. Nothing is in the file's place before [`Spool::keep`].

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::file::{Error, failed};

/// Bytes that are written down while they come.
#[derive(Debug)]
pub struct Spool {
    place: Place,
    length: u64,
    /// Why the bytes are in memory.
    trouble: Option<Error>,
}

#[derive(Debug)]
enum Place {
    File(Unfinished),
    Memory(Vec<u8>),
}

/// A file under another name than its own; it goes unless it gets that.
#[derive(Debug)]
struct Unfinished {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // It is not there any more if it got its name.
        let _ = std::fs::remove_file(&self.temporary);
    }
}

impl Unfinished {
    fn create(target: &Path) -> Result<Self, Error> {
        let folder = target.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(failed("create folder", folder))?;
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let temporary = folder.join(format!(".{name}.{:08x}.tmp", rand::random::<u32>()));
        let mut options = File::options();
        let file = options.read(true).write(true).create_new(true).open(&temporary);
        let file = file.map_err(failed("write", target))?;
        Ok(Self { file, temporary, target: target.to_owned() })
    }

    fn read(&mut self, range: &Range<u64>) -> std::io::Result<Vec<u8>> {
        let size = range.end - range.start;
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        self.file.seek(SeekFrom::Start(range.start))?;
        (&self.file).take(size).read_to_end(&mut bytes)?;
        self.file.seek(SeekFrom::End(0))?;
        Ok(bytes)
    }
}

impl Spool {
    /// Starts what is to be in a file.
    #[must_use]
    pub fn in_file(target: &Path) -> Self {
        match Unfinished::create(target) {
            Ok(file) => Self { place: Place::File(file), length: 0, trouble: None },
            Err(error) => Self { trouble: Some(error), ..Self::in_memory() },
        }
    }

    /// Starts what stays in memory.
    #[must_use]
    pub fn in_memory() -> Self {
        Self { place: Place::Memory(Vec::new()), length: 0, trouble: None }
    }

    /// Adds bytes. Where the file cannot take them, all of them go to memory.
    ///
    /// # Errors
    /// What was written cannot be read again.
    pub fn write(&mut self, part: &[u8]) -> Result<(), Error> {
        if let Place::File(unfinished) = &mut self.place
            && let Err(source) = unfinished.file.write_all(part)
        {
            let target = unfinished.target.clone();
            let before = unfinished.read(&(0..self.length)).map_err(failed("read", &target))?;
            self.trouble = Some(failed("write", &target)(source));
            self.place = Place::Memory(before);
        }
        if let Place::Memory(bytes) = &mut self.place {
            bytes.extend_from_slice(part);
        }
        self.length += part.len() as u64;
        Ok(())
    }

    /// How many bytes there are.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Reads some of the bytes again; fewer where there are not so many.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&mut self, range: Range<u64>) -> Result<Vec<u8>, Error> {
        match &mut self.place {
            Place::File(unfinished) => {
                let target = unfinished.target.clone();
                unfinished.read(&range).map_err(failed("read", &target))
            }
            Place::Memory(bytes) => {
                let at = |end: u64| usize::try_from(end).unwrap_or(usize::MAX).min(bytes.len());
                Ok(bytes[at(range.start)..at(range.end)].to_vec())
            }
        }
    }

    /// Returns what the system says of the file; none if there is none.
    #[must_use]
    pub fn metadata(&self) -> Option<std::fs::Metadata> {
        match &self.place {
            Place::File(unfinished) => unfinished.file.metadata().ok(),
            Place::Memory(_) => None,
        }
    }

    /// Waits until the disk has the bytes.
    ///
    /// # Errors
    /// It cannot take them.
    pub fn sync(&self) -> Result<(), Error> {
        match &self.place {
            Place::File(unfinished) => {
                unfinished.file.sync_data().map_err(failed("write", &unfinished.target))
            }
            Place::Memory(_) => Ok(()),
        }
    }

    /// Gives the file its name: readers see the file that was there before, or all of this one. What
    /// was not synced may be lost with the machine; it should have a checksum.
    ///
    /// # Errors
    /// It cannot; the bytes, and why (unless they were never meant for a file).
    pub fn keep(self) -> Result<(), (Vec<u8>, Option<Error>)> {
        self.keep_as(None)
    }

    /// Gives the file another name than was meant at first, as [`Spool::keep`].
    ///
    /// # Errors
    /// As [`Spool::keep`].
    pub fn keep_as(self, target: Option<&Path>) -> Result<(), (Vec<u8>, Option<Error>)> {
        let (bytes, error) = match self.place {
            Place::File(mut unfinished) => {
                let target = target.unwrap_or(&unfinished.target).to_owned();
                match std::fs::rename(&unfinished.temporary, &target) {
                    Ok(()) => return Ok(()),
                    Err(source) => {
                        let error = failed("write", &target)(source);
                        (unfinished.read(&(0..self.length)).unwrap_or_default(), Some(error))
                    }
                }
            }
            Place::Memory(bytes) => (bytes, self.trouble),
        };
        Err((bytes, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::file::{list_tree, read_text};

    #[test]
    fn a_file_is_there_when_it_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in/a.txt");
        let mut spool = Spool::in_file(&path);
        spool.write(b"one ").unwrap();
        assert_eq!(spool.read(0..3).unwrap(), b"one");
        spool.write(b"two").unwrap();
        assert!(!path.exists());
        assert_eq!((spool.length(), spool.read(4..99).unwrap()), (7, b"two".to_vec()));
        spool.keep().unwrap();
        assert_eq!(read_text(&path, 99).unwrap(), "one two");
        drop(Spool::in_file(&path));
        assert_eq!(list_tree(folder.path()).unwrap(), ["in/a.txt"]);
    }

    #[test]
    fn what_no_file_takes_stays_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let occupied = folder.path().join("occupied");
        crate::base::file::write_atomic(&occupied, b"").unwrap();
        let mut spool = Spool::in_file(&occupied.join("a.txt"));
        spool.write(b"one").unwrap();
        assert_eq!(spool.read(1..2).unwrap(), b"n");
        let (bytes, error) = spool.keep().unwrap_err();
        assert_eq!(bytes, b"one");
        assert!(error.unwrap().to_string().contains("occupied"));
    }
}
