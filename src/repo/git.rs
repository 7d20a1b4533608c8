//! Files of Git repositories in the cache.

use std::io::Cursor;

use super::repositories::Repositories;
use super::tree::archive::{Data, Entry};
use super::tree::{FilesError, TreeFiles};
use crate::base::digest::Digest;
use crate::base::file;
use crate::source::git::{Access, Error as GitError, Found, Remote, Selection, TreeFile, Wanted};

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
    pub fn git_known(&self, asked: &GitAsked<'_>) -> Option<TreeFiles> {
        self.known_files(&self.cache().tree_folder(&asked.key()))
    }

    /// Makes sure that the files of a commit are in the cache. Returns the first line of its message
    /// with them, if it was fetched now.
    ///
    /// # Errors
    /// They cannot be had, or not be stored.
    pub async fn git_files(
        &self,
        access: &Access,
        wanted: &Wanted,
        asked: &GitAsked<'_>,
    ) -> Result<(TreeFiles, Option<String>), FilesError<GitError>> {
        // What several releases want is fetched once.
        let gate = self.gate(&access.url);
        let passed = gate.lock().await;
        let files = match self.git_known(asked) {
            Some(known) => Ok((known, None)),
            None => self.git_fetch(access, wanted, asked).await,
        };
        drop(passed);
        files
    }

    async fn git_fetch(
        &self,
        access: &Access,
        wanted: &Wanted,
        asked: &GitAsked<'_>,
    ) -> Result<(TreeFiles, Option<String>), FilesError<GitError>> {
        let folder = &self.cache().tree_folder(&asked.key());
        let stored = |error| FilesError::Store(file::failed("create folder", folder)(error));
        std::fs::create_dir_all(folder).map_err(stored)?;
        let spool = || tempfile::tempfile_in(folder);
        let remote = self.remote(access);
        let mut checkout = remote.fetch(wanted, asked.found, asked.selection, spool).await?;
        let subject = checkout.commit.subject.clone();
        let entries = checkout.files.iter().map(|file| Entry {
            path: file.path.clone(),
            is_program: file.is_program,
            at: file.clone(),
        });
        let entries = entries.collect();
        let read = move |file: &TreeFile| {
            let data = checkout.read(file)?;
            Ok(Data { size: data.len() as u64, from: Box::new(Cursor::new(data)) })
        };
        Ok((self.pack_files(folder, entries, read).await?, Some(subject)))
    }
}
