//! The files of a commit: which of them are taken, and what is in them.

use std::sync::Arc;

use super::error::Error;
use super::object::{self, Commit, Form, Id, Kind};
use super::pack::Pack;
use super::signed::{self, Signed, Tag};
use super::wanted::Found;
use crate::base::limit::{self, Limit, Limits};
use crate::base::secret::SafeUrl;
use crate::source::ignore::{self, Ignore};

/// Most folders in folders.
const DEEPEST: usize = 64;
/// Largest file with rules.
const RULES_BYTES: usize = 1 << 20;

/// Which files of a repository are taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Rules of the object.
    pub ignore: Option<String>,
    /// Folders; all where there are none.
    pub folders: Vec<String>,
}

/// A file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeFile {
    /// Its path, with `/` between the parts.
    pub path: String,
    /// Whether it can be run.
    pub is_program: bool,
    id: Id,
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
    pack: Pack,
    url: SafeUrl,
    left_bytes: u64,
}

/// Everything that is met on the way.
struct Walk<'a> {
    pack: &'a mut Pack,
    folders: &'a [String],
    found: Vec<(String, Form, Id)>,
    most: usize,
}

impl Checkout {
    pub(super) fn new(
        mut pack: Pack,
        (url, found_at): (&SafeUrl, &Found),
        selection: &Selection,
    ) -> Result<Self, Error> {
        let content = |reason| Error::Content { url: url.clone(), reason };
        let limits = limit::current();
        let id = found_at.commit;
        let data = pack.object(id, Kind::Commit).map_err(content)?;
        let commit = object::commit(&data);
        let commit = commit.ok_or_else(|| content(format!("commit {id} is broken")))?;
        let folders: Vec<String> = selection.folders.iter().map(|folder| plain(folder)).collect();
        let most = limits.size(Limit::Entries);
        let mut walk = Walk { pack: &mut pack, folders: &folders, found: Vec::new(), most };
        walk.folder("", commit.tree, 0).map_err(|trouble| match trouble {
            Trouble::Broken(reason) => content(reason),
            Trouble::TooMany => too_many(&limits, url),
        })?;
        let found = walk.found;
        let is_there = |folder: &&String| {
            found.iter().any(|(path, form, _)| *form == Form::Folder && path == *folder)
        };
        let asked = folders.iter().filter(|folder| !folder.is_empty());
        if let Some(missing) = asked.into_iter().find(|folder| !is_there(folder)) {
            return Err(Error::NoFolder(missing.clone()));
        }
        let files = selected(&mut pack, found, selection).map_err(content)?;
        let left_bytes = limits.of(Limit::Unpacked);
        let (url, size) = (url.clone(), files.len());
        let found = found_at.clone();
        let checkout = Self { commit, data, found, files, pack, url, left_bytes };
        if size > most { Err(too_many(&limits, &checkout.url)) } else { Ok(checkout) }
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
        let data = self.pack.object(id, Kind::Tag)?;
        let object = signed::tag(&data, &name, self.found.commit)?;
        Ok(Some(Tag::Annotated { name, id, object }))
    }

    /// Returns what is in a file.
    ///
    /// # Errors
    /// It did not come, or all that was read is larger than the limit.
    pub fn read(&mut self, file: &TreeFile) -> Result<Arc<[u8]>, Error> {
        let url = &self.url;
        let too_large = || {
            let limits = limit::current();
            let reason = limits.refusal(Limit::Unpacked, format!("too large at `{}`", file.path));
            Error::TooLarge { url: url.clone(), reason }
        };
        if self.pack.size(file.id).is_some_and(|size| size > self.left_bytes) {
            return Err(too_large());
        }
        let data = self.pack.object(file.id, Kind::Blob).map_err(|reason| Error::Content {
            url: url.clone(),
            reason: format!("file `{}`: {reason}", file.path),
        })?;
        self.left_bytes = self.left_bytes.checked_sub(data.len() as u64).ok_or_else(too_large)?;
        Ok(data)
    }
}

fn too_many(limits: &Limits, url: &SafeUrl) -> Error {
    Error::TooLarge { url: url.clone(), reason: limits.refusal(Limit::Entries, "too many") }
}

/// A folder as it stands in a tree.
fn plain(folder: &str) -> String {
    let parts = folder.split('/').filter(|part| !matches!(*part, "" | "."));
    parts.collect::<Vec<_>>().join("/")
}

enum Trouble {
    Broken(String),
    TooMany,
}

impl Walk<'_> {
    fn folder(&mut self, path: &str, tree: Id, depth: usize) -> Result<(), Trouble> {
        if depth > DEEPEST {
            return Err(Trouble::Broken(format!("folders are nested more than {DEEPEST} deep")));
        }
        let data = self.pack.object(tree, Kind::Tree).map_err(Trouble::Broken)?;
        for entry in object::tree(&data).map_err(Trouble::Broken)? {
            let below = match path {
                "" => entry.name.to_owned(),
                path => format!("{path}/{}", entry.name),
            };
            let is_folder = entry.form == Form::Folder;
            if !self.leads_to_wanted(&below, is_folder) {
                continue;
            }
            self.found.push((below.clone(), entry.form, entry.id));
            // What is left out later counts as well, but less.
            if self.found.len() / 10 > self.most {
                return Err(Trouble::TooMany);
            }
            if is_folder {
                self.folder(&below, entry.id, depth + 1)?;
            }
        }
        Ok(())
    }

    fn leads_to_wanted(&self, path: &str, is_folder: bool) -> bool {
        self.folders.is_empty()
            || self
                .folders
                .iter()
                .any(|folder| is_in(path, folder) || (is_folder && is_in(folder, path)))
    }
}

/// Whether a path is a folder or below it.
fn is_in(path: &str, folder: &str) -> bool {
    folder.is_empty()
        || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Leaves out what the rules say, and what is no file.
fn selected(
    pack: &mut Pack,
    found: Vec<(String, Form, Id)>,
    selection: &Selection,
) -> Result<Vec<TreeFile>, String> {
    let mut rules = Vec::new();
    for (path, form, id) in &found {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if name == ignore::FILE && matches!(form, Form::File | Form::Program) {
            let data = pack.object(*id, Kind::Blob)?;
            let text = data.get(..data.len().min(RULES_BYTES)).unwrap_or_default();
            rules.push((folder.to_owned(), String::from_utf8_lossy(text).into_owned()));
        }
    }
    let texts: Vec<(&str, &str)> = rules.iter().map(|(f, t)| (f.as_str(), t.as_str())).collect();
    let rules = Ignore::new(&texts, selection.ignore.as_deref());
    let mut left_out: Option<String> = None;
    let mut files = Vec::new();
    for (path, form, id) in found {
        // All that is in a folder comes right behind it.
        if left_out.as_ref().is_some_and(|folder| is_in(&path, folder)) {
            continue;
        }
        if rules.drops_one(&path, form == Form::Folder) {
            left_out = Some(path);
            continue;
        }
        let is_program = form == Form::Program;
        if is_program || form == Form::File {
            files.push(TreeFile { path, is_program, id });
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
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
        assert_eq!(plain("./charts//web/"), "charts/web");
    }
}
