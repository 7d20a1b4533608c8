//! Files of Git repositories in the cache, and the charts in them.

mod chart;
mod login;
mod tree;

use std::path::{Path, PathBuf};

use super::repositories::Repositories;
use crate::base::digest::Digest;
use crate::base::file;
use crate::source::git::{Access, Error as GitError, Found, Remote, Selection, Wanted};

pub use self::chart::{ChartError, GitChart, Lender};

/// The files of a commit, in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitFiles {
    /// Digest of their archive: the same files have the same.
    pub digest: Digest,
    /// Size of it.
    pub size: u64,
    /// First line of the commit's message, if it was fetched now.
    pub subject: Option<String>,
    /// The archive.
    path: PathBuf,
}

/// Why files are not there.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// They cannot be had.
    #[error(transparent)]
    Fetch(#[from] GitError),
    /// They cannot be stored.
    #[error("store the files of a commit")]
    Store(#[source] file::Error),
}

/// Which files are asked for.
#[derive(Debug, Clone, Copy)]
pub struct GitAsked<'a> {
    /// Namespace of who asks: what was got with logins of one is not told to others.
    pub owner: &'a str,
    /// The repository.
    pub url: &'a str,
    /// The commit.
    pub found: &'a Found,
    /// Which files of it.
    pub selection: &'a Selection,
}

impl GitFiles {
    /// Returns where their archive is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl GitAsked<'_> {
    fn key(&self) -> Digest {
        let Selection { ignore, folders } = self.selection;
        let parts = [
            self.owner,
            self.url,
            &self.found.commit.to_string(),
            ignore.as_deref().unwrap_or("\0"),
            &folders.join("\0"),
        ];
        Digest::of(parts.map(|part| Digest::of(part).to_hex()).join(" "))
    }
}

impl Repositories {
    /// Returns the commit that is meant now.
    ///
    /// # Errors
    /// The server cannot be asked, or has none.
    pub async fn git_find(&self, access: &Access, wanted: &Wanted) -> Result<Found, GitError> {
        self.remote(access).find(wanted).await
    }

    fn remote<'a>(&'a self, access: &'a Access) -> Remote<'a> {
        Remote { fetcher: self.fetcher(), servers: self.git_servers(), access }
    }

    /// Returns the files of a commit that are in the cache.
    pub fn git_known(&self, asked: &GitAsked<'_>) -> Option<GitFiles> {
        let folder = self.cache().git_folder(&asked.key());
        let (digest, size, path) = self.known_archive(&folder, tree::PREFIX)?;
        Some(GitFiles { digest, size, subject: None, path })
    }

    /// Makes sure that the files of a commit are in the cache.
    ///
    /// # Errors
    /// They cannot be had, or not be stored.
    pub async fn git_files(
        &self,
        access: &Access,
        wanted: &Wanted,
        asked: &GitAsked<'_>,
    ) -> Result<GitFiles, FilesError> {
        // What several releases want is fetched once.
        let gate = self.gate(&access.url);
        let passed = gate.lock().await;
        let files = match self.git_known(asked) {
            Some(known) => Ok(known),
            None => self.git_fetch(access, wanted, asked).await,
        };
        drop(passed);
        files
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
            match tree::digest(&path) {
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

    async fn git_fetch(
        &self,
        access: &Access,
        wanted: &Wanted,
        asked: &GitAsked<'_>,
    ) -> Result<GitFiles, FilesError> {
        let folder = &self.cache().git_folder(&asked.key());
        let stored = |error| FilesError::Store(file::failed("create folder", folder)(error));
        std::fs::create_dir_all(folder).map_err(stored)?;
        let spool = || tempfile::tempfile_in(folder);
        let remote = self.remote(access);
        let checkout = remote.fetch(wanted, asked.found, asked.selection, spool).await?;
        let (target, subject) = (folder.to_owned(), checkout.commit.subject.clone());
        let packed = tokio::task::spawn_blocking(move || tree::pack(checkout, &target)).await;
        let ended = |error: tokio::task::JoinError| {
            let error = std::io::Error::other(error.to_string());
            FilesError::Store(file::failed("write", folder)(error))
        };
        let (digest, size, path) = packed.map_err(ended)??;
        self.verified(&path);
        self.cache().sweep_git(folder, self.fetcher().clock().now());
        Ok(GitFiles { digest, size, subject: Some(subject), path })
    }
}
