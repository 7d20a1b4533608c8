//! Files: bounded reads, atomic writes, errors that name the path.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// A failed file operation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("{doing} `{path}`")]
    Io {
        /// What was being done, such as `read`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The file is larger than its limit.
    #[error("read `{path}`: larger than {limit_bytes} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit_bytes: u64,
    },
    /// The file is not UTF-8.
    #[error("read `{path}`: not UTF-8 text")]
    NotText {
        /// The file.
        path: PathBuf,
    },
}

impl Error {
    /// Returns the path that it is about.
    pub fn path(&self) -> &Path {
        match self {
            Self::Io { path, .. } | Self::TooLarge { path, .. } | Self::NotText { path } => path,
        }
    }

    /// Returns the kind of the operating system's answer, if it was asked.
    pub fn kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Io { source, .. } => Some(source.kind()),
            Self::TooLarge { .. } | Self::NotText { .. } => None,
        }
    }
}

/// Returns a function that wraps an I/O error with what was being done to which path.
pub fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { doing, path: path.to_owned(), source }
}

/// Reads a whole file of at most `limit_bytes`.
///
/// # Errors
/// The file cannot be read, or is larger.
pub fn read_bytes(path: &Path, limit_bytes: u64) -> Result<Vec<u8>, Error> {
    let file = std::fs::File::open(path).map_err(failed("read", path))?;
    // Nothing is moved while it is read.
    let length = file.metadata().map_or(0, |metadata| metadata.len().min(limit_bytes) + 1);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(limit_bytes + 1).read_to_end(&mut bytes).map_err(failed("read", path))?;
    if bytes.len() as u64 > limit_bytes {
        return Err(Error::TooLarge { path: path.to_owned(), limit_bytes });
    }
    Ok(bytes)
}

/// Reads a whole UTF-8 file of at most `limit_bytes`.
///
/// # Errors
/// The file cannot be read, is larger, or is not UTF-8.
pub fn read_text(path: &Path, limit_bytes: u64) -> Result<String, Error> {
    String::from_utf8(read_bytes(path, limit_bytes)?)
        .map_err(|_| Error::NotText { path: path.to_owned() })
}

/// Writes a file so that readers see the old content or the new, never a part: a temporary
/// file in the same folder is written, synced and renamed. Missing folders are made.
///
/// # Errors
/// Any step fails; the old content is still there then.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_whole(path, bytes, None, true)
}

/// Writes a file as [`write_atomic`] does; nobody but its owner may read it.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_whole(path, bytes, Some(0o600), true)
}

/// Writes a file as [`write_private`] does, but does not wait until the disk has it: for what has a
/// checksum and can be made again.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_unsynced(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_whole(path, bytes, Some(0o600), false)
}

/// Makes an empty file, unless there is one.
///
/// # Errors
/// The folder or the file cannot be made.
pub fn touch(path: &Path) -> Result<(), Error> {
    let touch = || std::fs::File::options().append(true).create(true).open(path);
    let made = touch().or_else(|error| match (error.kind(), path.parent()) {
        (io::ErrorKind::NotFound, Some(folder)) => {
            std::fs::create_dir_all(folder)?;
            touch()
        }
        _ => Err(error),
    });
    made.map(drop).map_err(failed("create", path))
}

/// Opens a file for writing, with these permissions where the system knows such.
fn create(path: &Path, mode: Option<u32>) -> io::Result<std::fs::File> {
    let mut options = std::fs::File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    if let Some(mode) = mode {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    }
    #[cfg(not(unix))]
    let _ = mode;
    options.open(path)
}

/// Holds a lock file until the result is dropped; other processes (Helm among them) wait.
///
/// # Errors
/// The file cannot be made, or is still held after 30 seconds.
pub fn lock(path: &Path) -> Result<std::fs::File, Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(failed("create folder", folder))?;
    let file = create(path, Some(0o600)).map_err(failed("open", path))?;
    for _ in 0..300 {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::Error(error)) => return Err(failed("lock", path)(error)),
            Err(std::fs::TryLockError::WouldBlock) => {
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
        }
    }
    Err(failed("lock", path)(io::Error::other("another process holds it for more than 30 s")))
}

fn write_whole(path: &Path, bytes: &[u8], mode: Option<u32>, sync: bool) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(failed("create folder", folder))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.{:08x}.tmp", rand::random::<u32>()));
    let write = || {
        let mut file = create(&temporary, mode)?;
        file.write_all(bytes)?;
        if sync {
            file.sync_data()?;
        }
        std::fs::rename(&temporary, path)
    };
    write().map_err(|source| {
        let _ = std::fs::remove_file(&temporary);
        failed("write", path)(source)
    })
}

/// Lists the regular files below a folder, symbolic links followed, in lexical order of their
/// paths relative to it (separator `/`).
///
/// # Errors
/// The folder cannot be walked, or a path is not UTF-8.
pub fn list_tree(folder: &Path) -> Result<Vec<String>, Error> {
    fn walk(
        root: &Path,
        relative: &str,
        depth: usize,
        found: &mut Vec<String>,
    ) -> Result<(), Error> {
        let folder = root.join(relative);
        if depth > 64 {
            let source = io::Error::other("folders nested more than 64 deep (a link to itself?)");
            return Err(failed("list", &folder)(source));
        }
        let entries = std::fs::read_dir(&folder).map_err(failed("list", &folder))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed("list", &folder))?;
            let name = entry.file_name().into_string();
            names.push(name.map_err(|_| Error::NotText { path: entry.path() })?);
        }
        names.sort_unstable();
        for name in names {
            let path = if relative.is_empty() { name } else { format!("{relative}/{name}") };
            let full = root.join(&path);
            let meta = std::fs::metadata(&full).map_err(failed("read", &full))?;
            if meta.is_dir() {
                walk(root, &path, depth + 1, found)?;
            } else {
                found.push(path);
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    walk(folder, "", 0, &mut found)?;
    Ok(found)
}

/// Returns an environment variable, if it is set and is text. Only `cli/` calls this.
#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
pub fn env_var(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_whole_and_reads_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/c.txt");
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(read_text(&path, 3).unwrap(), "two");
        assert!(matches!(read_bytes(&path, 2), Err(Error::TooLarge { .. })));
        assert_eq!(list_tree(dir.path()).unwrap(), ["a/b/c.txt"]);
        let missing = read_bytes(&dir.path().join("none"), 1).unwrap_err();
        assert!(missing.to_string().contains("none"), "{missing}");
    }
}
