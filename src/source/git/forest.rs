//! The packs of a commit and of the repositories in it, and all that is met in their trees.

use std::collections::HashSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use super::error::Error;
use super::modules;
use super::object::{self, Commit, Form, Id, Kind};
use super::pack::{self, Pack};
use super::tree::{Added, Selection, is_in};
use crate::base::class::chain;
use crate::base::file;
use crate::base::limit::{self, Limit};
use crate::base::secret::SafeUrl;

/// Most folders in folders.
const DEEPEST: usize = 64;
/// Largest file that names repositories.
const MODULES_BYTES: usize = 1 << 20;

/// Where something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum At {
    /// In a pack, by its number.
    Pack(usize, Id),
    /// In a file of others.
    File(PathBuf),
}

/// Something that was met on the way.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) path: String,
    pub(super) form: Form,
    at: Option<At>,
}

impl Node {
    /// Returns where its content is, if it is a file.
    pub(super) fn content(&self) -> Option<&At> {
        self.at.as_ref().filter(|_| matches!(self.form, Form::File | Form::Program))
    }
}

/// A repository, and where its files stand.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    pub(super) url: SafeUrl,
    pub(super) commit: Id,
    /// The folder; empty for the outermost one.
    pub(super) path: String,
    /// How many repositories it is in.
    pub(super) depth: usize,
}

/// The commit of a repository.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) commit: Commit,
    pub(super) data: Arc<[u8]>,
    /// Number of its pack.
    pack: usize,
    /// Repositories in it: path and commit.
    links: Vec<(String, Id)>,
}

/// Packs, and what was met in them.
#[derive(Debug)]
pub(super) struct Forest {
    url: SafeUrl,
    packs: Vec<Pack>,
    /// The pack that was read last.
    current: usize,
    nodes: Vec<Node>,
    folders: Vec<String>,
    most: usize,
}

/// The way through one tree.
struct Walk<'a> {
    pack: &'a mut Pack,
    number: usize,
    folders: &'a [String],
    found: &'a mut Vec<Node>,
    links: Vec<(String, Id)>,
    most: usize,
}

enum Trouble {
    Broken(String),
    TooMany,
}

impl Forest {
    /// Returns an empty one, for the files of a repository that are wanted.
    pub(super) fn new(url: &SafeUrl, selection: &Selection) -> Self {
        let folders = selection.folders.iter().map(|folder| plain(folder)).collect();
        let most = limit::current().size(Limit::Entries);
        let (packs, nodes) = (Vec::new(), Vec::new());
        Self { url: url.clone(), packs, current: 0, nodes, folders, most }
    }

    /// Reads the pack of a repository, and walks through its commit.
    ///
    /// # Errors
    /// The pack cannot be used, or there is too much in it.
    pub(super) fn add(&mut self, file: File, spot: &Spot) -> Result<Root, Error> {
        let content = |reason| Error::Content { url: spot.url.clone(), reason };
        let have: usize = self.packs.iter().map(Pack::count).sum();
        let mut pack = Pack::open(file, pack::MOST.saturating_sub(have)).map_err(content)?;
        let data = pack.object(spot.commit, Kind::Commit).map_err(content)?;
        let broken = || content(format!("commit {} is broken", spot.commit));
        let commit = object::commit(&data).ok_or_else(broken)?;
        if let Some(link) = self.nodes.iter_mut().find(|node| node.path == spot.path) {
            link.form = Form::Folder;
        }
        let number = self.packs.len();
        let (folders, found, most) = (&self.folders, &mut self.nodes, self.most);
        let links = Vec::new();
        let mut walk = Walk { pack: &mut pack, number, folders, found, links, most };
        let walked = walk.folder(&spot.path, commit.tree, depth(&spot.path));
        let links = walk.links;
        self.packs.push(pack);
        self.turn_to(number);
        match walked {
            Ok(()) => Ok(Root { commit, data, pack: number, links }),
            Err(Trouble::Broken(reason)) => Err(content(reason)),
            Err(Trouble::TooMany) => Err(self.too_many()),
        }
    }

    /// Returns the repositories in a repository that are wanted. Those that `.gitmodules` does not
    /// name are empty folders, as for Git.
    ///
    /// # Errors
    /// One comes from where nothing is fetched.
    pub(super) fn inner(&mut self, spot: &Spot, root: &Root) -> Result<Vec<Spot>, Error> {
        if root.links.is_empty() {
            return Ok(Vec::new());
        }
        let content = |reason| Error::Content { url: spot.url.clone(), reason };
        let text = self.modules(root).map_err(content)?;
        let addresses = modules::read(&text);
        let mut inner = Vec::new();
        for (path, commit) in &root.links {
            let below = path.get(spot.path.len()..).unwrap_or_default().trim_start_matches('/');
            let Some(address) = addresses.get(below) else { continue };
            let url = modules::address(&spot.url, address)
                .map_err(|why| content(format!("submodule `{path}`: {why}")))?;
            let (commit, depth) = (*commit, spot.depth + 1);
            inner.push(Spot { url, commit, path: path.clone(), depth });
        }
        Ok(inner)
    }

    /// Reads `.gitmodules`, which may be outside of the folders that are wanted.
    fn modules(&mut self, root: &Root) -> Result<String, String> {
        let pack = &mut self.packs[root.pack];
        let tree = pack.object(root.commit.tree, Kind::Tree)?;
        let entries = object::tree(&tree)?;
        let Some(entry) = entries.iter().find(|entry| entry.name == modules::FILE) else {
            return Ok(String::new());
        };
        if !matches!(entry.form, Form::File | Form::Program) {
            return Err(format!("`{}` is no file", modules::FILE));
        }
        let data = pack.object(entry.id, Kind::Blob)?;
        let text = data.get(..data.len().min(MODULES_BYTES)).unwrap_or_default();
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    /// Returns a folder that is wanted and not there.
    pub(super) fn missing_folder(&self) -> Option<String> {
        let is_there = |folder: &&String| {
            self.nodes.iter().any(|node| node.form == Form::Folder && node.path == **folder)
        };
        self.folders.iter().filter(|one| !one.is_empty()).find(|one| !is_there(one)).cloned()
    }

    /// Puts files of others among them.
    ///
    /// # Errors
    /// Something stands in their place already, or there are too many.
    pub(super) fn join(&mut self, added: &[Added]) -> Result<(), Error> {
        for one in added {
            self.join_one(one)?;
        }
        // All that is in a folder comes right behind it.
        if self.packs.len() > 1 || !added.is_empty() {
            self.nodes.sort_by(|a, b| a.path.split('/').cmp(b.path.split('/')));
        }
        Ok(())
    }

    fn join_one(&mut self, added: &Added) -> Result<(), Error> {
        let place = added.path.as_str();
        let is_file = matches!(&added.files[..], [one] if one.path == place);
        let in_the_way = |node: &&Node| {
            let is_above = node.path != place && is_in(place, &node.path);
            let is_there = node.path == place && !(is_file && node.content().is_some());
            is_above && node.form != Form::Folder || is_there
        };
        let other = self.nodes.iter().find(in_the_way).map(|node| node.path.clone());
        if let Some(other) = other.or_else(|| place.is_empty().then(|| "/".to_owned())) {
            return Err(Error::Occupied { path: place.to_owned(), other });
        }
        self.nodes.retain(|node| node.path != place);
        let folders = self.nodes.iter().filter(|node| node.form == Form::Folder);
        let mut known: HashSet<String> = folders.map(|node| node.path.clone()).collect();
        for file in &added.files {
            for (at, _) in file.path.match_indices('/') {
                let path = file.path[..at].to_owned();
                if known.insert(path.clone()) {
                    self.nodes.push(Node { path, form: Form::Folder, at: None });
                }
            }
            let form = if file.is_program { Form::Program } else { Form::File };
            let (path, at) = (file.path.clone(), Some(At::File(file.file.clone())));
            self.nodes.push(Node { path, form, at });
            if self.nodes.len() / 10 > self.most {
                return Err(self.too_many());
            }
        }
        Ok(())
    }

    /// Takes all that was met out of it.
    pub(super) fn take_nodes(&mut self) -> Vec<Node> {
        std::mem::take(&mut self.nodes)
    }

    /// Returns an object of the outermost repository.
    pub(super) fn of_root(&mut self, id: Id, kind: Kind) -> Result<Arc<[u8]>, String> {
        self.turn_to(0).object(id, kind)
    }

    /// Returns what is in a file.
    pub(super) fn read(&mut self, at: &At) -> Result<Arc<[u8]>, String> {
        match at {
            At::Pack(number, id) => self.turn_to(*number).object(*id, Kind::Blob),
            At::File(path) => {
                let limit = limit::current().of(Limit::Unpacked);
                let bytes = file::read_bytes(path, limit).map_err(|error| chain(&error))?;
                Ok(bytes.into())
            }
        }
    }

    /// Returns the size of a file, if it is known before it is read.
    pub(super) fn size(&self, at: &At) -> Option<u64> {
        match at {
            At::Pack(number, id) => self.packs[*number].size(*id),
            At::File(path) => std::fs::metadata(path).ok().map(|meta| meta.len()),
        }
    }

    /// Only one pack keeps objects in memory.
    fn turn_to(&mut self, number: usize) -> &mut Pack {
        if self.current != number {
            self.packs[self.current].rest();
            self.current = number;
        }
        &mut self.packs[number]
    }

    /// Returns the address of the outermost repository.
    pub(super) fn url(&self) -> &SafeUrl {
        &self.url
    }

    /// Returns how many files there may be.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    pub(super) fn content(&self, reason: String) -> Error {
        Error::Content { url: self.url.clone(), reason }
    }

    pub(super) fn too_many(&self) -> Error {
        let reason = limit::current().refusal(Limit::Entries, "too many");
        Error::TooLarge { url: self.url.clone(), reason }
    }
}

/// A folder as it stands in a tree.
fn plain(folder: &str) -> String {
    let parts = folder.split('/').filter(|part| !matches!(*part, "" | "."));
    parts.collect::<Vec<_>>().join("/")
}

/// How many folders lead to a path.
fn depth(path: &str) -> usize {
    if path.is_empty() { 0 } else { path.split('/').count() }
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
            let form = entry.form;
            let is_folder = form == Form::Folder;
            if !self.leads_to_wanted(&below, is_folder || form == Form::Submodule) {
                continue;
            }
            let at = Some(At::Pack(self.number, entry.id));
            self.found.push(Node { path: below.clone(), form, at });
            // What is left out later counts as well, but less.
            if self.found.len() / 10 > self.most {
                return Err(Trouble::TooMany);
            }
            if is_folder {
                self.folder(&below, entry.id, depth + 1)?;
            } else if form == Form::Submodule {
                self.links.push((below, entry.id));
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

#[cfg(test)]
mod tests {
    use super::super::tree::AddedFile;
    use super::*;

    #[test]
    fn a_folder_is_plain() {
        assert_eq!(plain("./charts//web/"), "charts/web");
        assert_eq!((depth(""), depth("a"), depth("a/b")), (0, 1, 2));
    }

    #[test]
    fn what_is_added_takes_no_place_but_that_of_a_file() {
        let added = |path: &str, files: &[&str]| {
            let file = |path: &&str| AddedFile {
                path: (*path).to_owned(),
                is_program: false,
                file: "/x".into(),
            };
            Added { path: path.to_owned(), files: files.iter().map(file).collect() }
        };
        let rows = [
            (vec![added("c", &["c/x"])], Ok("a a/b b c c/x")),
            (vec![added("a/c", &["a/c/y/x"])], Ok("a a/b a/c a/c/y a/c/y/x b")),
            (vec![added("b", &["b"])], Ok("a a/b b")),
            (vec![added("c", &["c/x"]), added("c/y", &["c/y/x"])], Ok("a a/b b c c/x c/y c/y/x")),
            (vec![added("a", &["a/x"])], Err("a")),
            (vec![added("a", &["a"])], Err("a")),
            (vec![added("b", &["b/x"])], Err("b")),
            (vec![added("b/c", &["b/c/x"])], Err("b")),
            (vec![added("", &["x"])], Err("/")),
            (vec![added("c", &["c/x"]), added("c", &["c/x"])], Err("c")),
        ];
        for (added, want) in rows {
            let url = "https://g.example".parse().unwrap();
            let mut forest = Forest::new(&url, &Selection::default());
            let at = |form| (form, Some(At::File("/y".into())));
            for (path, (form, at)) in
                [("a", (Form::Folder, None)), ("a/b", at(Form::File)), ("b", at(Form::File))]
            {
                forest.nodes.push(Node { path: path.to_owned(), form, at });
            }
            let got = forest.join(&added).map(|()| {
                let paths = forest.nodes.iter().map(|node| node.path.as_str());
                paths.collect::<Vec<_>>().join(" ")
            });
            match (got, want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want),
                (Err(Error::Occupied { other, .. }), Err(want)) => assert_eq!(other, want),
                (got, want) => panic!("{got:?} {want:?}"),
            }
        }
    }
}
