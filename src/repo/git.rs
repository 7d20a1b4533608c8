//! Files of Git repositories in the cache.

use std::io::Cursor;
use std::path::Path;

use super::repositories::Repositories;
use super::tree::archive::{self, Data, Entry};
use super::tree::{FilesError, TreeFiles};
use crate::base::class::chain;
use crate::base::digest::Digest;
use crate::base::file;
use crate::source::git::{
    Access, Added, AddedFile, Checkout, Error as GitError, Found, Remote, Selection, TreeFile,
    Wanted, rooted,
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
    /// Files of another repository cannot be put among them.
    #[error("failed to copy '{name}' include from {from} to {to}: {reason}")]
    Include {
        /// The other repository.
        name: String,
        /// Where they are in it.
        from: String,
        /// Where they are to be put.
        to: String,
        /// What is wrong.
        reason: String,
    },
}

/// Files of another repository that are put among those of a commit.
#[derive(Debug, Clone)]
pub struct Included {
    /// The other repository.
    pub name: String,
    /// Where they are in it; all where it is empty.
    pub from: String,
    /// Where they are put.
    pub to: String,
    /// Its files.
    pub files: TreeFiles,
}

impl Included {
    /// Unpacks them into a folder, and returns those that are wanted.
    fn added(&self, folder: &Path) -> Result<Added, GitFilesError> {
        let files = archive::unpack(self.files.path(), folder);
        let files = files.map_err(|error| self.failed(chain(&error)))?;
        let (from, path) = (rooted("", &self.from), rooted("", &self.to));
        let files = files.into_iter().filter_map(|(name, is_program)| {
            let file = folder.join(&name);
            let name = name.to_string_lossy();
            let rest: &str = if from.is_empty() { &name } else { name.strip_prefix(&from)? };
            let is_below = from.is_empty() || rest.is_empty() || rest.starts_with('/');
            is_below.then(|| AddedFile { path: rooted(&path, rest), is_program, file })
        });
        let files: Vec<AddedFile> = files.collect();
        if files.is_empty() && !from.is_empty() {
            return Err(self.failed(format!("there is nothing at `{from}`")));
        }
        Ok(Added { path, files })
    }

    fn failed(&self, reason: String) -> GitFilesError {
        let Self { name, from, to, .. } = self.clone();
        GitFilesError::Include { name, from, to, reason }
    }
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
    /// What of other repositories is put among them.
    pub included: &'a [Included],
    /// Who says whether it may be used; all may without one.
    pub judge: Option<&'a dyn Judge>,
    /// How the commit is meant: a tag that vouches for it does not vouch for a branch of its name.
    pub meant: String,
}

impl GitAsked<'_> {
    fn key(&self) -> Digest {
        let Selection { ignore, folders, submodules, .. } = self.selection;
        let (folders, commit) = (folders.join("\0"), self.found.commit.to_string());
        let trust = self.judge.map_or(String::new(), |judge| judge.trust().to_hex());
        let mut parts =
            vec![self.owner, self.url, &commit, ignore.as_deref().unwrap_or("\0"), &folders];
        // What one trusts in is kept apart from what others do, and so is each name of a commit.
        if self.judge.is_some() {
            parts.extend([trust.as_str(), &self.found.revision, &self.meant]);
        }
        if *submodules {
            parts.push("submodules");
        }
        let included = self.included.iter().map(|one| {
            let Included { from, to, files, .. } = one;
            format!("included {from}\0{to}\0{}", files.digest)
        });
        let included: Vec<String> = included.collect();
        parts.extend(included.iter().map(String::as_str));
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
        // The files of others are there until all is packed.
        let others = tempfile::tempdir_in(folder).map_err(stored)?;
        let selection =
            Selection { added: added(asked, others.path())?, ..asked.selection.clone() };
        let fetched = remote.fetch(wanted, asked.found, &selection, spool).await;
        let mut checkout = fetched.map_err(|error| in_the_way(asked, error))?;
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
            let _others = &others;
            let data = checkout.read(file).map_err(GitFilesError::Fetch)?;
            Ok(Data { size: data.len() as u64, from: Box::new(Cursor::new(data)) })
        };
        let files = self.pack_files(folder, entries, read).await?;
        Ok(Commit { files, subject: Some(subject), verified })
    }
}

/// Unpacks the files of other repositories into folders of their own.
fn added(asked: &GitAsked<'_>, folder: &Path) -> Result<Vec<Added>, FilesError<GitFilesError>> {
    let one = |(number, included): (usize, &Included)| {
        let folder = folder.join(number.to_string());
        let created = std::fs::create_dir(&folder);
        created
            .map_err(|error| FilesError::Store(file::failed("create folder", &folder)(error)))?;
        Ok(included.added(&folder)?)
    };
    asked.included.iter().enumerate().map(one).collect()
}

/// Says of which repository files cannot be put where they are to be.
fn in_the_way(asked: &GitAsked<'_>, error: GitError) -> GitFilesError {
    let of = |place: &str| asked.included.iter().find(|one| rooted("", &one.to) == place);
    match &error {
        GitError::Occupied { path, .. } => match of(path) {
            Some(included) => included.failed(error.to_string()),
            None => error.into(),
        },
        _ => error.into(),
    }
}
