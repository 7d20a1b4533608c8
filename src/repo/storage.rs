//! Artifacts that others read over HTTP: files below a folder, as Flux's source-controller lays them
//! out.
//!
//! ```text
//! <folder>/helmchart/<namespace>/<name>/web-1.0.0.tgz   an artifact
//!                                       latest.tar.gz   the newest one, the same file
//! ```
//!
//! Invariants: a file appears whole under its name; nothing outside of the folder is read, written or
//! removed, whatever path is asked for; what is in the folder may be deleted at any time. Several
//! processes may share it, if they are of one cluster.
//!
//! Source: fluxcd/pkg artifact/storage/storage.go.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use super::cache::{files, older};
use super::index::stamp;
use crate::api::Artifact;
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::file::{Error, failed};

/// Kinds that have artifacts, as they are written in paths.
const KINDS: [&str; 5] =
    ["helmrepository", "helmchart", "ocirepository", "gitrepository", "bucket"];
/// Files that nobody finished are of a process that died after this long.
const UNFINISHED_AGE: Duration = Duration::from_secs(3600);

/// Which artifacts are kept beside the newest one of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// For how long.
    pub ttl: Duration,
    /// How many of an object, the newest one included.
    pub records: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(60), records: 2 }
    }
}

/// What an artifact is made of.
#[derive(Debug, Clone)]
pub enum Content {
    /// These bytes.
    Bytes(bytes::Bytes),
    /// What is in this file.
    File(PathBuf),
}

/// Whether an artifact is in the folder.
#[derive(Debug, PartialEq, Eq)]
pub enum Presence {
    /// As it should be.
    Intact,
    /// It is not there, or is to be had elsewhere.
    Missing,
    /// It was another one than is said of it, and is removed.
    Damaged(String),
}

/// The folder, and where it is served.
#[derive(Debug)]
pub struct Storage {
    folder: PathBuf,
    base: String,
    retention: Retention,
    /// Digests of files, by what tells one file from another.
    known: Mutex<HashMap<PathBuf, (String, Digest)>>,
}

impl Storage {
    /// Returns the storage in a folder that is served at `base`, such as `http://leadsman:9090`.
    pub fn new(folder: &Path, base: &str, retention: Retention) -> Self {
        let base = base.trim_end_matches('/').to_owned();
        Self { folder: folder.to_owned(), base, retention, known: Mutex::default() }
    }

    /// Returns the address of an artifact, by its path.
    pub fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    /// Stores an artifact under its path, and under `link` in the same folder; returns its digest
    /// and size. What is not kept any more is removed.
    ///
    /// # Errors
    /// The path is none, or the file cannot be written.
    pub fn put(
        &self,
        path: &str,
        link: Option<&str>,
        content: &Content,
        now: Timestamp,
    ) -> Result<(Digest, u64), Error> {
        let place = located(&self.folder, path).ok_or_else(|| no_path(path))?;
        let folder = place.parent().unwrap_or(&self.folder);
        std::fs::create_dir_all(folder).map_err(failed("create folder", folder))?;
        let written = write(&place, folder, content)?;
        if let Some(link) = link {
            replace_link(&place, &folder.join(link)).map_err(failed("link", &place))?;
        }
        self.remember(&place, written.0);
        self.collect(path, link, now);
        Ok(written)
    }

    /// Says whether an artifact is there, undamaged, and served where it is said to be. A file is
    /// read whole once, and when it became another one.
    pub fn check(&self, artifact: &Artifact) -> Presence {
        let place = located(&self.folder, &artifact.path);
        let Some(place) = place.filter(|_| artifact.url == self.url(&artifact.path)) else {
            return Presence::Missing;
        };
        let have = match self.digest(&place) {
            Ok(have) => have,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Presence::Missing,
            Err(error) => return Presence::Damaged(error.to_string()),
        };
        if have.to_string() == artifact.digest {
            return Presence::Intact;
        }
        let _ = std::fs::remove_file(&place);
        let wanted = &artifact.digest;
        Presence::Damaged(format!("computed digest {have} doesn't match '{wanted}'"))
    }

    /// Returns the file that a path means; none if there is none to be served.
    pub fn find(&self, path: &str) -> Option<PathBuf> {
        let place = located(&self.folder, path)?;
        // No link leads out of the folder.
        std::fs::symlink_metadata(&place).is_ok_and(|meta| meta.is_file()).then_some(place)
    }

    /// Removes files of an object that are not kept any more; `path` is that of its artifact.
    pub fn collect(&self, path: &str, link: Option<&str>, now: Timestamp) {
        let Some(place) = located(&self.folder, path) else { return };
        let mut others = Vec::new();
        for file in files(place.parent().unwrap_or(&self.folder)) {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Ok(time) = std::fs::symlink_metadata(&file).and_then(|meta| meta.modified()) else {
                continue;
            };
            if name.starts_with('.') {
                if older(now, time, UNFINISHED_AGE) {
                    let _ = std::fs::remove_file(file);
                }
            } else if file != place && Some(name.as_str()) != link {
                others.push((time, file));
            }
        }
        for file in garbage(others, self.retention, now) {
            let _ = std::fs::remove_file(file);
        }
    }

    /// Removes all artifacts of an object.
    pub fn remove(&self, kind: &str, namespace: &str, name: &str) {
        let path = format!("{}/{namespace}/{name}/x", kind.to_lowercase());
        let place = located(&self.folder, &path);
        if let Some(folder) = place.as_deref().and_then(Path::parent) {
            let _ = std::fs::remove_dir_all(folder);
        }
    }

    /// Removes the artifacts of objects that are gone, in one namespace or in all; `alive` names the
    /// others: `<kind>/<namespace>/<name>`.
    pub fn sweep(&self, namespace: Option<&str>, alive: &HashSet<String>) {
        for kind in KINDS {
            for place in files(&self.folder.join(kind)) {
                let of = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if namespace.is_some_and(|namespace| namespace != of) {
                    continue;
                }
                for object in files(&place) {
                    let name = object.file_name().unwrap_or_default().to_string_lossy();
                    if !alive.contains(&format!("{kind}/{of}/{name}")) {
                        let _ = std::fs::remove_dir_all(&object);
                    }
                }
            }
        }
    }

    fn remember(&self, place: &Path, digest: Digest) {
        if let Ok(meta) = std::fs::symlink_metadata(place) {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.retain(|path, _| path.parent() != place.parent());
            known.insert(place.to_owned(), (stamp(&meta), digest));
        }
    }

    fn digest(&self, place: &Path) -> io::Result<Digest> {
        let meta = std::fs::symlink_metadata(place)?;
        if !meta.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(place).cloned();
        if let Some((of, digest)) = known
            && of == stamp(&meta)
        {
            return Ok(digest);
        }
        let mut into = io::sink();
        let (digest, _) = copy(BufReader::new(File::open(place)?), &mut into)?;
        self.remember(place, digest);
        Ok(digest)
    }
}

/// Returns the file of a path: `<kind>/<namespace>/<name>/<file>`, and nothing else.
fn located(folder: &Path, path: &str) -> Option<PathBuf> {
    let parts: Vec<&str> = path.split('/').collect();
    let [kind, ..] = parts[..] else { return None };
    let is_plain =
        |part: &&str| !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', '\0']);
    let is_one = parts.len() == 4 && KINDS.contains(&kind) && parts.iter().all(is_plain);
    is_one.then(|| parts.iter().fold(folder.to_owned(), |path, part| path.join(part)))
}

fn no_path(path: &str) -> Error {
    failed("write", Path::new(path))(io::Error::other("it is no path of an artifact"))
}

/// Writes a file under another name first.
fn write(place: &Path, folder: &Path, content: &Content) -> Result<(Digest, u64), Error> {
    let temporary = tempfile::Builder::new().prefix(".").suffix(".tmp").tempfile_in(folder);
    let mut temporary = temporary.map_err(failed("write", place))?;
    let copied = match content {
        Content::Bytes(bytes) => copy(&bytes[..], &mut temporary).map_err(failed("write", place)),
        Content::File(from) => {
            let file = File::open(from).map_err(failed("read", from))?;
            copy(BufReader::new(file), &mut temporary).map_err(failed("write", place))
        }
    };
    let written = copied?;
    let synced = temporary.as_file().sync_data();
    synced.map_err(failed("write", place))?;
    temporary.persist(place).map_err(|error| failed("write", place)(error.error))?;
    Ok(written)
}

/// Copies bytes, and returns their digest and how many they are.
fn copy(mut from: impl Read, into: &mut impl Write) -> io::Result<(Digest, u64)> {
    let (mut hash, mut size, mut part) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        let read = from.read(&mut part)?;
        if read == 0 {
            return Ok((Digest::from_bytes(hash.finalize().into()), size));
        }
        hash.update(&part[..read]);
        into.write_all(&part[..read])?;
        size += read as u64;
    }
}

/// Gives a file a second name, in place of the file that has it.
fn replace_link(place: &Path, link: &Path) -> io::Result<()> {
    let name = format!(".link.{:016x}.tmp", rand::random::<u64>());
    let temporary = place.with_file_name(name);
    // Not every file system has links.
    std::fs::hard_link(place, &temporary)
        .or_else(|_| std::fs::copy(place, &temporary).map(drop))?;
    let renamed = std::fs::rename(&temporary, link);
    // A renaming leaves both names where they are of one file already.
    let _ = std::fs::remove_file(&temporary);
    renamed
}

/// Returns the files beside the newest artifact that are not kept: those beyond the number, and
/// those that are too old.
fn garbage(
    mut others: Vec<(SystemTime, PathBuf)>,
    retention: Retention,
    now: Timestamp,
) -> impl Iterator<Item = PathBuf> {
    others.sort_by(|a, b| b.cmp(a));
    let kept = retention.records.saturating_sub(1);
    others.into_iter().enumerate().filter_map(move |(at, (time, file))| {
        (at >= kept || older(now, time, retention.ttl)).then_some(file)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn bytes(text: &'static str) -> Content {
        Content::Bytes(bytes::Bytes::from_static(text.as_bytes()))
    }

    fn names(folder: &Path) -> Vec<String> {
        crate::base::file::list_tree(folder).unwrap()
    }

    #[test]
    fn paths_stay_in_the_folder() {
        let folder = Path::new("/data");
        let rows = [
            ("helmchart/shop/web/web-1.0.0+1.tgz", true),
            ("ocirepository/shop/web/sha256:00.tar.gz", true),
            ("helmchart/shop/web/.x.tmp", false),
            ("helmchart/shop/web", false),
            ("helmchart/shop/web/a/b", false),
            ("helmchart/shop/../x", false),
            ("helmchart/shop//x", false),
            ("../shop/web/x", false),
            ("/helmchart/shop/web/x", false),
            ("secret/shop/web/x", false),
            ("helmchart/shop/web/a\\b", false),
            ("", false),
        ];
        for (path, want) in rows {
            let got = located(folder, path);
            assert_eq!(got, want.then(|| folder.join(path)), "{path}");
        }
    }

    #[test]
    fn what_is_not_kept_is_removed() {
        let at = |second: i64| SystemTime::from(now() - jiff::SignedDuration::from_secs(second));
        let file = |(name, age): &(&str, i64)| (at(*age), PathBuf::from(name));
        type Files = &'static [(&'static str, i64)];
        let rows: [(Files, usize, &[&str]); 5] = [
            (&[("a", 5), ("b", 10)], 3, &[]),
            (&[("b", 10), ("a", 5), ("c", 20)], 3, &["c"]),
            (&[("a", 5), ("b", 10)], 2, &["b"]),
            (&[("a", 61), ("b", 5)], 9, &["a"]),
            (&[("a", 1)], 0, &["a"]),
        ];
        for (files, records, want) in rows {
            let retention = Retention { ttl: Duration::from_secs(60), records };
            let got = garbage(files.iter().map(file).collect(), retention, now());
            let got: Vec<String> = got.map(|path| path.display().to_string()).collect();
            assert_eq!(got, want, "{files:?} {records}");
        }
    }

    #[test]
    fn what_is_stored_is_found_and_damage_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::new(folder.path(), "http://a.example:9090/", Retention::default());
        let path = "helmchart/shop/web/web-1.0.0.tgz";
        let (digest, size) =
            storage.put(path, Some("latest.tar.gz"), &bytes("one"), now()).unwrap();
        assert_eq!((digest, size), (Digest::of("one"), 3));
        let artifact = Artifact {
            path: path.to_owned(),
            url: format!("http://a.example:9090/{path}"),
            digest: digest.to_string(),
            ..Artifact::default()
        };
        assert_eq!(storage.check(&artifact), Presence::Intact);
        let elsewhere = Artifact { url: format!("http://b/{path}"), ..artifact.clone() };
        assert_eq!(storage.check(&elsewhere), Presence::Missing);
        // Once more, and another one: the link is that of the newest.
        storage.put(path, Some("latest.tar.gz"), &bytes("one"), now()).unwrap();
        let next = "helmchart/shop/web/web-1.1.0.tgz";
        storage.put(next, Some("latest.tar.gz"), &bytes("two"), now()).unwrap();
        let latest = storage.find("helmchart/shop/web/latest.tar.gz").unwrap();
        assert_eq!(crate::base::file::read_text(&latest, 9).unwrap(), "two");
        crate::base::file::write_atomic(&folder.path().join(path), b"oneX").unwrap();
        let want = Presence::Damaged(format!(
            "computed digest {} doesn't match '{digest}'",
            Digest::of("oneX")
        ));
        assert_eq!(storage.check(&artifact), want);
        assert_eq!(storage.check(&artifact), Presence::Missing);
        let left = ["helmchart/shop/web/latest.tar.gz", next];
        assert_eq!(names(folder.path()), left);
    }

    #[test]
    fn many_files_are_removed_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::new(folder.path(), "http://a", Retention::default());
        let first = "helmchart/shop/web/0.tgz";
        storage.put(first, None, &bytes("one"), now()).unwrap();
        for number in 1..1500 {
            let other = format!("helmchart/shop/web/{number}.tgz");
            std::fs::copy(folder.path().join(first), folder.path().join(other)).unwrap();
        }
        let newest = "helmchart/shop/web/new.tgz";
        storage.put(newest, None, &bytes("two"), now()).unwrap();
        let left = names(folder.path());
        assert_eq!(left.len(), Retention::default().records, "{left:?}");
        assert!(left.iter().any(|name| name == newest), "{left:?}");
    }

    #[test]
    fn a_link_of_the_file_system_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::new(folder.path(), "http://a", Retention::default());
        let secret = folder.path().join("secret");
        crate::base::file::write_atomic(&secret, b"x").unwrap();
        let path = "helmchart/shop/web/web.tgz";
        storage.put(path, None, &bytes("one"), now()).unwrap();
        std::fs::remove_file(folder.path().join(path)).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(&secret, folder.path().join(path)).unwrap();
        assert_eq!(storage.find(path), None);
    }

    #[test]
    fn objects_that_are_gone_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::new(folder.path(), "http://a", Retention::default());
        for path in ["helmchart/a/x/1.tgz", "helmchart/a/y/1.tgz", "gitrepository/b/x/1.tar.gz"] {
            storage.put(path, None, &bytes("one"), now()).unwrap();
        }
        storage.sweep(Some("a"), &["helmchart/a/x".to_owned()].into());
        assert_eq!(names(folder.path()), ["gitrepository/b/x/1.tar.gz", "helmchart/a/x/1.tgz"]);
        storage.remove("HelmChart", "a", "x");
        storage.remove("HelmChart", "..", "b");
        assert_eq!(names(folder.path()), ["gitrepository/b/x/1.tar.gz"]);
        storage.sweep(None, &HashSet::new());
        assert!(names(folder.path()).is_empty());
    }
}
