//! Files of Git repositories in the cache.

use std::io::Cursor;

use super::repositories::Repositories;
use super::tree::archive::{Data, Entry};
use super::tree::{FilesError, TreeFiles};
use crate::base::digest::Digest;
use crate::base::file;
use crate::source::git::{
    Access, Checkout, Error as GitError, Found, Remote, Selection, TreeFile, Wanted,
};

/// What was verified, beside the files.
const VERIFIED: &str = "verified";
/// Largest text of that.
const VERIFIED_BYTES: u64 = 64 << 10;

/// Says whether a commit may be used, by who signed it.
pub trait Judge: Sync {
    /// Returns what tells its judgement from others: whom it trusts, and in what.
    fn trust(&self) -> Digest;

    /// Returns what was verified, for people.
    ///
    /// # Errors
    /// Nobody who may signed it: reason and message.
    fn judge(&self, checkout: &mut Checkout) -> Result<String, Unsigned>;
}

/// Why a commit may not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unsigned {
    /// Reason of a condition.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

/// Why the files of a commit are not there.
#[derive(Debug, thiserror::Error)]
pub enum GitFilesError {
    /// They cannot be had.
    #[error(transparent)]
    Fetch(#[from] GitError),
    /// They may not be used.
    #[error(transparent)]
    Unsigned(#[from] Unsigned),
}

/// The files of a commit.
#[derive(Debug)]
pub struct Commit {
    /// The files.
    pub files: TreeFiles,
    /// The first line of its message, if it was fetched now.
    pub subject: Option<String>,
    /// What was verified, if that was asked for.
    pub verified: Option<String>,
}

/// Which files are asked for.
#[derive(Clone)]
pub struct GitAsked<'a> {
    /// Namespace of who asks: what was got with logins of one is not told to others.
    pub owner: &'a str,
    /// The repository.
    pub url: &'a str,
    /// The commit.
    pub found: &'a Found,
    /// Which files of it.
    pub selection: &'a Selection,
    /// Who says whether it may be used; all may without one.
    pub judge: Option<&'a dyn Judge>,
    /// How the commit is meant: a tag that vouches for it does not vouch for a branch of its name.
    pub meant: String,
}

impl GitAsked<'_> {
    fn key(&self) -> Digest {
        let Selection { ignore, folders } = self.selection;
        let (folders, commit) = (folders.join("\0"), self.found.commit.to_string());
        let trust = self.judge.map_or(String::new(), |judge| judge.trust().to_hex());
        let mut parts =
            vec![self.owner, self.url, &commit, ignore.as_deref().unwrap_or("\0"), &folders];
        // What one trusts in is kept apart from what others do, and so is each name of a commit.
        if self.judge.is_some() {
            parts.extend([trust.as_str(), &self.found.revision, &self.meant]);
        }
        let parts: Vec<String> = parts.iter().map(|part| Digest::of(part).to_hex()).collect();
        Digest::of(parts.join(" "))
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
    pub fn git_known(&self, asked: &GitAsked<'_>) -> Option<Commit> {
        let folder = self.cache().tree_folder(&asked.key());
        let files = self.known_files(&folder)?;
        let text = || file::read_text(&folder.join(VERIFIED), VERIFIED_BYTES).ok();
        let verified = if asked.judge.is_some() { Some(text()?) } else { None };
        Some(Commit { files, subject: None, verified })
    }

    /// Makes sure that the files of a commit are in the cache. Nothing is stored that may not be used.
    ///
    /// # Errors
    /// They cannot be had, may not be used, or not be stored.
    pub async fn git_files(
        &self,
        access: &Access,
        wanted: &Wanted,
        asked: &GitAsked<'_>,
    ) -> Result<Commit, FilesError<GitFilesError>> {
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

    async fn git_fetch(
        &self,
        access: &Access,
        wanted: &Wanted,
        asked: &GitAsked<'_>,
    ) -> Result<Commit, FilesError<GitFilesError>> {
        let folder = &self.cache().tree_folder(&asked.key());
        let stored = |error| FilesError::Store(file::failed("create folder", folder)(error));
        std::fs::create_dir_all(folder).map_err(stored)?;
        let spool = || tempfile::tempfile_in(folder);
        let remote = self.remote(access);
        let fetched = remote.fetch(wanted, asked.found, asked.selection, spool).await;
        let mut checkout = fetched.map_err(GitFilesError::Fetch)?;
        let verified = asked.judge.map(|judge| judge.judge(&mut checkout)).transpose();
        let verified = verified.map_err(|error| {
            let _ = std::fs::remove_dir(folder);
            GitFilesError::Unsigned(error)
        })?;
        if let Some(text) = &verified {
            let written = file::write_atomic(&folder.join(VERIFIED), text.as_bytes());
            written.map_err(FilesError::Store)?;
        }
        let subject = checkout.commit.subject.clone();
        let entries = checkout.files.iter().map(|file| Entry {
            path: file.path.clone(),
            is_program: file.is_program,
            at: file.clone(),
        });
        let entries = entries.collect();
        let read = move |file: &TreeFile| {
            let data = checkout.read(file).map_err(GitFilesError::Fetch)?;
            Ok(Data { size: data.len() as u64, from: Box::new(Cursor::new(data)) })
        };
        let files = self.pack_files(folder, entries, read).await?;
        Ok(Commit { files, subject: Some(subject), verified })
    }
}
