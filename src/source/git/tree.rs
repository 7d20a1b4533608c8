//! The files of a commit: which of them are taken, and what is in them.

use std::path::PathBuf;
use std::sync::Arc;

use super::error::Error;
use super::forest::{At, Forest, Node, Root};
use super::object::{Commit, Form, Id, Kind};
use super::signed::{self, Signed, Tag};
use super::wanted::Found;
use crate::base::limit::{self, Limit};
use crate::source::ignore::{self, Ignore};

/// Largest file with rules.
const RULES_BYTES: usize = 1 << 20;

/// Which files of a repository are taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Rules of the object.
    pub ignore: Option<String>,
    /// Folders; all where there are none.
    pub folders: Vec<String>,
    /// Whether repositories in the repository are fetched, too.
    pub submodules: bool,
    /// What of others is put among them, before rules count.
    pub added: Vec<Added>,
}

/// A file or a folder of others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Added {
    /// Where it stands; nothing else may stand there but a file that a file replaces.
    pub path: String,
    /// Its files, with whole paths.
    pub files: Vec<AddedFile>,
}

/// A file of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedFile {
    /// Its path among the others.
    pub path: String,
    /// Whether it can be run.
    pub is_program: bool,
    /// Where it is.
    pub file: PathBuf,
}

/// A file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeFile {
    /// Its path, with `/` between the parts.
    pub path: String,
    /// Whether it can be run.
    pub is_program: bool,
    at: At,
}

/// A commit with its files.
#[derive(Debug)]
pub struct Checkout {
    /// The commit.
    pub commit: Commit,
    data: Arc<[u8]>,
    found: Found,
    /// Its files that were selected, in the order of their paths.
    pub files: Vec<TreeFile>,
    forest: Forest,
    left_bytes: u64,
}

impl Checkout {
    pub(super) fn new(
        mut forest: Forest,
        Root { commit, data, .. }: Root,
        found: Found,
        selection: &Selection,
    ) -> Result<Self, Error> {
        if let Some(missing) = forest.missing_folder() {
            return Err(Error::NoFolder(missing));
        }
        forest.join(&selection.added)?;
        let files = selected(&mut forest, selection)?;
        if files.len() > forest.most() {
            return Err(forest.too_many());
        }
        let left_bytes = limit::current().of(Limit::Unpacked);
        Ok(Self { commit, data, found, files, forest, left_bytes })
    }

    /// Returns the hash of the commit.
    pub fn id(&self) -> Id {
        self.found.commit
    }

    /// Returns the commit as it may be signed.
    ///
    /// # Errors
    /// It is broken.
    pub fn signed_commit(&self) -> Result<Signed, String> {
        signed::commit(&self.data)
    }

    /// Returns the tag by which the commit was found; none: it was not found by one.
    ///
    /// # Errors
    /// It is broken, or another tag.
    pub fn tag(&mut self) -> Result<Option<Tag>, String> {
        let Some((name, id)) = self.found.tag.clone() else { return Ok(None) };
        if id == self.found.commit {
            return Ok(Some(Tag::Light(name)));
        }
        let data = self.forest.of_root(id, Kind::Tag)?;
        let object = signed::tag(&data, &name, self.found.commit)?;
        Ok(Some(Tag::Annotated { name, id, object }))
    }

    /// Returns what is in a file.
    ///
    /// # Errors
    /// It did not come, or all that was read is larger than the limit.
    pub fn read(&mut self, file: &TreeFile) -> Result<Arc<[u8]>, Error> {
        let url = self.forest.url().clone();
        let too_large = || {
            let limits = limit::current();
            let reason = limits.refusal(Limit::Unpacked, format!("too large at `{}`", file.path));
            Error::TooLarge { url: url.clone(), reason }
        };
        if self.forest.size(&file.at).is_some_and(|size| size > self.left_bytes) {
            return Err(too_large());
        }
        let data = self.forest.read(&file.at).map_err(|reason| Error::Content {
            url: url.clone(),
            reason: format!("file `{}`: {reason}", file.path),
        })?;
        self.left_bytes = self.left_bytes.checked_sub(data.len() as u64).ok_or_else(too_large)?;
        Ok(data)
    }
}

/// Leaves out what the rules say, and what is no file.
fn selected(forest: &mut Forest, selection: &Selection) -> Result<Vec<TreeFile>, Error> {
    let nodes = forest.take_nodes();
    let mut rules = Vec::new();
    for node in &nodes {
        let (folder, name) = node.path.rsplit_once('/').unwrap_or(("", &node.path));
        if let Some(at) = node.content().filter(|_| name == ignore::FILE) {
            let data = forest.read(at).map_err(|reason| forest.content(reason))?;
            let text = data.get(..data.len().min(RULES_BYTES)).unwrap_or_default();
            rules.push((folder.to_owned(), String::from_utf8_lossy(text).into_owned()));
        }
    }
    let texts: Vec<(&str, &str)> = rules.iter().map(|(f, t)| (f.as_str(), t.as_str())).collect();
    let rules = Ignore::new(&texts, selection.ignore.as_deref());
    let mut left_out: Option<String> = None;
    let mut files = Vec::new();
    for node in nodes {
        // All that is in a folder comes right behind it.
        if left_out.as_ref().is_some_and(|folder| is_in(&node.path, folder)) {
            continue;
        }
        if rules.drops_one(&node.path, node.form == Form::Folder) {
            left_out = Some(node.path);
            continue;
        }
        let is_program = node.form == Form::Program;
        let Some(at) = node.content().cloned() else { continue };
        let Node { path, .. } = node;
        files.push(TreeFile { path, is_program, at });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Whether a path is a folder or below it.
pub(super) fn is_in(path: &str, folder: &str) -> bool {
    folder.is_empty()
        || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_hold_what_is_below_them() {
        let rows = [
            ("a/b", "a", true),
            ("a", "a", true),
            ("ab", "a", false),
            ("a", "a/b", false),
            ("x", "", true),
        ];
        for (path, folder, want) in rows {
            assert_eq!(is_in(path, folder), want, "{path} {folder}");
        }
    }
}
