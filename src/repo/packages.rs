//! An index made from a folder of packages, as `helm repo index` makes it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use serde_json::json;

use super::entry::Warning;
use super::error::Error;
use crate::base::clock::{Timestamp, rfc3339_nano};
use crate::base::digest::Digest;
use crate::base::version::Version;
use crate::base::{class, file, limit};
use crate::yaml::{self, Value};
use crate::{chart, yaml::Map};

/// A folder of packages and what is known of them. Only files whose size or time changed are read
/// again.
#[derive(Debug)]
pub struct Packages {
    folder: PathBuf,
    known: BTreeMap<String, Known>,
    index: Bytes,
    fresh: bool,
}

#[derive(Debug, PartialEq)]
struct Known {
    size: u64,
    changed: Option<SystemTime>,
    /// What the index says of it, or why it is left out.
    entry: Result<Package, String>,
}

#[derive(Debug, PartialEq)]
struct Package {
    name: String,
    version: Version,
    digest: Digest,
    entry: Value,
}

impl Packages {
    /// Returns the packages of a folder; nothing is read yet.
    pub fn new(folder: &Path) -> Self {
        let folder = folder.to_owned();
        Self { folder, known: BTreeMap::new(), index: Bytes::new(), fresh: false }
    }

    /// Returns the index of what is in the folder now, and what had to be left out of it. The
    /// bytes are the same as long as no package changes.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn index(&mut self) -> Result<(Bytes, Vec<Warning>), Error> {
        let mut seen = BTreeMap::new();
        let fail = |source| Error::Packages { folder: self.folder.clone(), source };
        for path in file::list_tree(&self.folder).map_err(fail)? {
            if !path.ends_with(".tgz") {
                continue;
            }
            // A file may go while the folder is read.
            let Ok(meta) = std::fs::metadata(self.folder.join(&path)) else { continue };
            seen.insert(path, (meta.len(), meta.modified().ok()));
        }
        let before = self.known.len();
        self.known.retain(|path, _| seen.contains_key(path));
        self.fresh &= self.known.len() == before;
        for (path, (size, changed)) in seen {
            let same = |known: &Known| known.size == size && known.changed == changed;
            if !self.known.get(&path).is_some_and(same) {
                let entry = read_package(&self.folder, &path, changed);
                self.known.insert(path, Known { size, changed, entry });
                self.fresh = false;
            }
        }
        if !self.fresh {
            self.index = Bytes::from(self.print());
            self.fresh = true;
        }
        let broken = self.known.iter().filter_map(|(path, known)| {
            let reason = known.entry.as_ref().err()?;
            Some(Warning(format!("package `{path}` is left out: {reason}")))
        });
        Ok((self.index.clone(), broken.collect()))
    }

    /// Returns the file and the digest of a package that is in the index.
    pub fn package(&self, path: &str) -> Option<(PathBuf, Digest)> {
        let package = self.known.get(path)?.entry.as_ref().ok()?;
        Some((self.folder.join(path), package.digest))
    }

    /// Source: helm v4.3.1 pkg/repo/v1/index.go (`IndexDirectory`, `SortEntries`).
    fn print(&self) -> String {
        let mut charts: BTreeMap<&str, Vec<&Package>> = BTreeMap::new();
        for package in self.known.values().filter_map(|known| known.entry.as_ref().ok()) {
            charts.entry(&package.name).or_default().push(package);
        }
        let mut entries = Map::new();
        for (name, mut packages) in charts {
            packages.sort_by(|a, b| b.version.cmp(&a.version));
            let list: Vec<&Value> = packages.iter().map(|package| &package.entry).collect();
            entries.insert(name.to_owned(), json!(list));
        }
        let latest = self.known.values().filter_map(|known| known.changed).max();
        let generated = time(latest.unwrap_or(SystemTime::UNIX_EPOCH));
        yaml::print_sorted(&json!({
            "apiVersion": "v1", "entries": entries, "generated": generated,
        }))
    }
}

/// Returns the index of a folder of packages, and what had to be left out of it.
///
/// # Errors
/// The folder cannot be read.
pub fn package_index(folder: &Path) -> Result<(Bytes, Vec<Warning>), Error> {
    Packages::new(folder).index()
}

fn read_package(folder: &Path, path: &str, changed: Option<SystemTime>) -> Result<Package, String> {
    let bytes = file::read_bytes(&folder.join(path), limit::ARCHIVE_BYTES)
        .map_err(|error| class::chain(&error))?;
    let metadata = chart::load_archive(&bytes).map_err(|error| class::chain(&error))?.metadata;
    let version = metadata.version.parse().map_err(|error| format!("its version: {error}"))?;
    let mut entry = serde_json::to_value(&metadata).map_err(|error| error.to_string())?;
    let digest = Digest::of(&bytes);
    // The file's time, not the present: the index of an unchanged folder is the same everywhere.
    entry["created"] = json!(time(changed.unwrap_or(SystemTime::UNIX_EPOCH)));
    entry["digest"] = json!(digest.to_hex());
    entry["urls"] = json!([path]);
    Ok(Package { name: metadata.name, version, digest, entry })
}

fn time(time: SystemTime) -> String {
    rfc3339_nano(Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::Index;

    #[test]
    fn a_folder_of_packages_becomes_an_index() {
        let Some(corpus) = crate::base::testing::corpus() else { return };
        let folder = tempfile::tempdir().unwrap();
        let source = corpus.join("charts/podinfo");
        let names: Vec<_> =
            file::list_tree(&source).unwrap().into_iter().filter(|n| n.ends_with(".tgz")).collect();
        let add = |name: &str| {
            std::fs::copy(source.join(name), folder.path().join(name)).unwrap();
        };
        names[1..].iter().for_each(|name| add(name));
        file::write_atomic(&folder.path().join("broken-1.0.0.tgz"), b"no archive").unwrap();
        let mut packages = Packages::new(folder.path());
        let (first, warnings) = packages.index().unwrap();
        assert_eq!(warnings.len(), 1);
        assert!(
            warnings[0].0.starts_with("package `broken-1.0.0.tgz` is left out"),
            "{warnings:?}"
        );
        assert_eq!(packages.index().unwrap().0, first);
        add(&names[0]);
        let (second, _) = packages.index().unwrap();
        assert_ne!(second, first);
        // Every entry says what the index that Helm made of the same packages says.
        let text = std::str::from_utf8(&second).unwrap();
        let helm = file::read_text(&source.join("index.yaml"), 50 << 20).unwrap();
        let (ours, _) = Index::of(text).unwrap().entries("podinfo").unwrap();
        let (theirs, _) = Index::of(&helm).unwrap().entries("podinfo").unwrap();
        let facts = |entries: &[crate::repo::Entry]| -> Vec<_> {
            let fact = |e: &crate::repo::Entry| {
                (e.text.clone(), e.app_version.clone(), e.digest.clone(), e.urls.clone())
            };
            entries.iter().map(fact).collect()
        };
        assert_eq!(facts(&ours), facts(&theirs));
        assert!(packages.package(&names[0]).is_some());
        assert!(packages.package("broken-1.0.0.tgz").is_none());
        assert!(packages.package("../podinfo.tgz").is_none());
    }

    #[test]
    fn an_empty_folder_is_an_index_without_charts() {
        let folder = tempfile::tempdir().unwrap();
        let (index, warnings) = package_index(folder.path()).unwrap();
        let text = std::str::from_utf8(&index).unwrap();
        assert_eq!(Index::of(text).unwrap().charts().count(), 0);
        assert!(warnings.is_empty());
        assert!(package_index(&folder.path().join("none")).is_err());
    }
}
