//! Files of sources that are more than charts (Git repositories, buckets) in the cache, and the
//! charts in them.

pub(super) mod archive;
mod chart;
mod login;

use std::path::{Path, PathBuf};

use super::repositories::Repositories;
use crate::base::digest::Digest;
use crate::base::file;

pub use self::chart::{ChartError, Lender, TreeChart};

/// The files of one revision of a source, in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeFiles {
    /// Digest of their archive: the same files have the same.
    pub digest: Digest,
    /// Size of it.
    pub size: u64,
    /// The archive.
    path: PathBuf,
}

/// Why files are not there.
#[derive(Debug, thiserror::Error)]
pub enum FilesError<E: std::error::Error + 'static> {
    /// They cannot be had.
    #[error(transparent)]
    Fetch(#[from] E),
    /// They cannot be stored.
    #[error("store the files")]
    Store(#[source] file::Error),
}

impl TreeFiles {
    /// Returns where their archive is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Repositories {
    /// Returns the files that are in a folder of the cache.
    pub(super) fn known_files(&self, folder: &Path) -> Option<TreeFiles> {
        let (digest, size, path) = self.known_archive(folder, archive::PREFIX)?;
        Some(TreeFiles { digest, size, path })
    }

    /// Packs files into a folder of the cache.
    pub(super) async fn pack_files<T, E>(
        &self,
        folder: &Path,
        entries: Vec<archive::Entry<T>>,
        read: impl FnMut(&T) -> Result<archive::Data, FilesError<E>> + Send + 'static,
    ) -> Result<TreeFiles, FilesError<E>>
    where
        T: Send + 'static,
        E: std::error::Error + Send + 'static,
    {
        let target = folder.to_owned();
        let packed =
            tokio::task::spawn_blocking(move || archive::pack(entries, &target, read)).await;
        let ended = |error: tokio::task::JoinError| {
            let error = std::io::Error::other(error.to_string());
            FilesError::Store(file::failed("write", folder)(error))
        };
        let (digest, size, path) = packed.map_err(ended)??;
        self.verified(&path);
        self.cache().sweep_trees(folder, self.fetcher().clock().now());
        Ok(TreeFiles { digest, size, path })
    }

    /// Returns an archive of a folder, by how its name begins: its digest, which is in its name,
    /// size and path. One that is damaged is removed; it is looked for once in a process.
    fn known_archive(&self, folder: &Path, prefix: &str) -> Option<(Digest, u64, PathBuf)> {
        for entry in std::fs::read_dir(folder).ok()?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let hex = name.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(".tgz"));
            let Some(wanted) = hex.and_then(|hex| hex.parse::<Digest>().ok()) else { continue };
            let path = entry.path();
            if self.is_verified(&path) {
                return Some((wanted, entry.metadata().ok()?.len(), path));
            }
            match archive::digest(&path) {
                Ok((digest, size)) if digest == wanted => {
                    self.verified(&path);
                    return Some((digest, size, path));
                }
                Ok(_) | Err(_) => {
                    let shown = path.display();
                    tracing::warn!(path = %shown, "cached files are damaged: getting them anew");
                    let _ = std::fs::remove_file(path);
                }
            }
        }
        None
    }
}
