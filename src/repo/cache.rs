//! The cache on disk, shared by several processes and safe to delete.
//!
//! ```text
//! charts-cache/
//!   CACHEDIR.TAG                                   backups pass over the folder
//!   index-v3/<sha256 of the address, or of the path of Helm's copy>/
//!     lock                                         held while the two below are replaced
//!     meta.json                                    ETag, Last-Modified, revision: written last
//!     index-<revision>.packed                      the packed index: drawn in `index/store.rs`
//!     helm.packed                                  that of Helm's copy
//!   chart-v1/sha256/<digest>.tgz                   as downloaded, checked when read
//!   tree-v1/<sha256 of namespace, address, revision and selection>/
//!     tree-<digest>.tgz                            the files of a commit, or of a bucket
//!     chart-<sha256 of its path>-<digest>.tgz      a chart of them, with its dependencies
//! ```
//!
//! Every file is written whole under another name and renamed. Archives beyond a total size go,
//! those unused for longest first; so do indexes that were not refreshed for a month.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::index::{Index, Problem, Raw};
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::secret::SafeUrl;
use crate::base::spool::Spool;
use crate::base::{file, limit};

const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # This folder is a cache of chart repositories: it may be deleted at any time.\n";
/// Folder of the indexes.
const INDEXES: &str = "index-v3";
/// Folder of the files of commits and buckets.
const TREES: &str = "tree-v1";
/// Sum of the archives that are kept; as much of files.
const ARCHIVES_BYTES: u64 = 1 << 30;
/// Age at which an index that nobody refreshes goes.
const INDEX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Age at which a file that was never finished goes.
const UNFINISHED_AGE: Duration = Duration::from_secs(24 * 3600);
/// A use is noted on an archive when the last one is older.
const USE_STEP: Duration = Duration::from_secs(3600);
/// Largest file of ours beside texts and archives.
const SMALL_BYTES: u64 = 64 << 20;

/// What is known of a cached index.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Meta {
    pub(super) url: String,
    pub(super) etag: String,
    pub(super) last_modified: String,
    /// Digest of the bytes, `sha256:…`, as they were when what they say changed last.
    pub(super) revision: String,
    /// Digest of what they say.
    pub(super) content: String,
    pub(super) size: u64,
    /// When these bytes were fetched.
    pub(super) fetched: String,
}

/// How the names of texts begin that somebody is about to take.
const TEXT: &str = "text-";

/// The folder.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    folder: PathBuf,
    archives_bytes: u64,
}

impl Cache {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), archives_bytes: ARCHIVES_BYTES }
    }

    #[cfg(test)]
    pub(super) fn with_archives_bytes(mut self, bytes: u64) -> Self {
        self.archives_bytes = bytes;
        self
    }

    fn index_folder(&self, url: &SafeUrl) -> PathBuf {
        self.folder.join(INDEXES).join(Digest::of(url.expose().as_str()).to_hex())
    }

    /// Returns where the packed index of a revision is.
    pub(super) fn index_file(&self, url: &SafeUrl, revision: &str) -> PathBuf {
        let revision = revision.trim_start_matches("sha256:");
        let name = format!("index-{}.packed", revision.get(..16).unwrap_or(revision));
        self.index_folder(url).join(name)
    }

    /// Returns where the packed form of a copy of Helm's is.
    pub(super) fn helm_file(&self, copy: &Path) -> PathBuf {
        let path = std::path::absolute(copy).unwrap_or_else(|_| copy.to_owned());
        let name = Digest::of(path.as_os_str().as_encoded_bytes()).to_hex();
        self.folder.join(INDEXES).join(name).join("helm.packed")
    }

    /// Returns what is known of an index; anything unreadable counts as nothing.
    pub(super) fn meta(&self, url: &SafeUrl) -> Meta {
        let path = self.index_folder(url).join("meta.json");
        let meta: Meta = read_json(&path).unwrap_or_default();
        let there = self.index_file(url, &meta.revision).is_file();
        if there { meta } else { Meta::default() }
    }

    /// Opens a packed index.
    pub(super) fn index(&self, url: &SafeUrl, revision: &str) -> Result<Index, Problem> {
        let index = Index::open(&self.index_file(url, revision))?;
        if index.stamp() == revision { Ok(index) } else { Err(Problem::Damaged) }
    }

    /// Keeps a packed index; that of the revision before goes. Where it cannot, the bytes come back
    /// with the reason.
    pub(super) fn put_index(
        &self,
        url: &SafeUrl,
        packed: Spool,
        meta: &Meta,
        now: Timestamp,
    ) -> Result<(), (Vec<u8>, Option<file::Error>)> {
        let path = self.index_file(url, &meta.revision);
        let folder = self.index_folder(url);
        // Of several processes, the last one's files must be there together.
        let held = self.tag().and_then(|()| file::lock(&folder.join("lock")));
        packed.keep_as(Some(&path))?;
        let kept = held.and_then(|held| self.put_meta(url, meta).map(|()| held));
        let held = kept.map_err(|error| {
            (file::read_bytes(&path, u64::MAX - 1).unwrap_or_default(), Some(error))
        })?;
        for other in files(&folder) {
            let name = other.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let changed = std::fs::metadata(&other).and_then(|meta| meta.modified());
            let unfinished = (name.ends_with(".tmp") || name.starts_with(TEXT))
                && changed.is_ok_and(|time| older(now, time, UNFINISHED_AGE));
            if unfinished || (name.starts_with("index-") && other != path) {
                let _ = std::fs::remove_file(other);
            }
        }
        drop(held);
        self.sweep_indexes(now);
        Ok(())
    }

    /// Keeps the text of an index until somebody has taken it; none where it cannot be kept.
    pub(super) fn put_text(&self, url: &SafeUrl, raw: Raw) -> Option<PathBuf> {
        let Raw::Spool(spool) = raw else { return None };
        let name = format!("{TEXT}{:016x}.yaml", rand::random::<u64>());
        let path = self.index_folder(url).join(name);
        spool.keep_as(Some(&path)).ok().map(|()| path)
    }

    /// Keeps what is known of an index that did not change.
    pub(super) fn put_meta(&self, url: &SafeUrl, meta: &Meta) -> Result<(), file::Error> {
        write_json(&self.index_folder(url).join("meta.json"), meta)
    }

    /// Notes that an index is still in use.
    pub(super) fn touch_index(&self, url: &SafeUrl, now: Timestamp) {
        touch(&self.index_folder(url).join("meta.json"), now);
    }

    /// Forgets what is known of an index: the next request for it is not conditional.
    pub(super) fn forget(&self, url: &SafeUrl) {
        let _ = std::fs::remove_file(self.index_folder(url).join("meta.json"));
    }

    fn archives(&self) -> PathBuf {
        self.folder.join("chart-v1/sha256")
    }

    fn archive_file(&self, digest: &Digest) -> PathBuf {
        self.archives().join(format!("{}.tgz", digest.to_hex()))
    }

    /// Returns an archive, if it is there and undamaged.
    pub(super) fn archive(&self, digest: &Digest, now: Timestamp) -> Option<Bytes> {
        let path = self.archive_file(digest);
        let bytes = file::read_bytes(&path, limit::ARCHIVE_BYTES).ok()?;
        if Digest::of(&bytes) != *digest {
            tracing::warn!(path = %path.display(), "cached chart is damaged: fetching it anew");
            let _ = std::fs::remove_file(&path);
            return None;
        }
        touch(&path, now);
        Some(bytes.into())
    }

    /// Keeps an archive, and lets others go when there are too many.
    pub(super) fn put_archive(
        &self,
        digest: &Digest,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<(), file::Error> {
        self.tag()?;
        let path = self.archive_file(digest);
        file::write_atomic(&path, bytes)?;
        touch(&path, now);
        self.sweep(&path, now);
        self.sweep_indexes(now);
        Ok(())
    }

    /// Returns where the files of a commit are.
    pub(super) fn tree_folder(&self, key: &Digest) -> PathBuf {
        self.folder.join(TREES).join(key.to_hex())
    }

    /// Lets go commits when there is too much of them, those fetched first before others.
    pub(super) fn sweep_trees(&self, keep: &Path, now: Timestamp) {
        if let Err(error) = self.tag() {
            tracing::warn!(
                error = crate::base::class::chain(&error),
                "chart cache cannot be written"
            );
        }
        let mut folders = Vec::new();
        for folder in files(&self.folder.join(TREES)) {
            let (mut size, mut newest) = (0, SystemTime::UNIX_EPOCH);
            for path in files(&folder) {
                let Ok(meta) = std::fs::metadata(&path) else { continue };
                let time = meta.modified().unwrap_or(now.into());
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if name.starts_with('.') && older(now, time, UNFINISHED_AGE) {
                    let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir_all(&path));
                }
                (size, newest) = (size + meta.len(), newest.max(time));
            }
            folders.push((newest, size, folder));
        }
        folders.sort();
        let mut total: u64 = folders.iter().map(|(_, size, _)| size).sum();
        for (_, size, folder) in folders {
            if total <= self.archives_bytes {
                break;
            }
            if folder != keep {
                total -= size;
                let _ = std::fs::remove_dir_all(folder);
            }
        }
    }

    fn tag(&self) -> Result<(), file::Error> {
        let path = self.folder.join("CACHEDIR.TAG");
        if path.exists() { Ok(()) } else { file::write_atomic(&path, TAG.as_bytes()) }
    }

    /// Lets go what is too much or too old. What cannot be removed stays: another process may
    /// have been first.
    fn sweep(&self, keep: &Path, now: Timestamp) {
        let mut archives = Vec::new();
        for path in files(&self.archives()) {
            let Ok(meta) = std::fs::metadata(&path) else { continue };
            let used = meta.modified().unwrap_or(now.into());
            if path.extension().is_some_and(|end| end == "tgz") {
                archives.push((used, meta.len(), path));
            } else if older(now, used, UNFINISHED_AGE) {
                let _ = std::fs::remove_file(path);
            }
        }
        archives.sort();
        let mut total: u64 = archives.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in archives {
            if total <= self.archives_bytes {
                break;
            }
            if path != keep {
                total -= size;
                let _ = std::fs::remove_file(path);
            }
        }
    }

    /// Lets go what was not refreshed for long.
    fn sweep_indexes(&self, now: Timestamp) {
        // The older forms are of no use any more.
        for old in ["index-v1", "index-v2"] {
            let _ = std::fs::remove_dir_all(self.folder.join(old));
        }
        for folder in files(&self.folder.join(INDEXES)) {
            let used = files(&folder)
                .into_iter()
                .filter_map(|path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok());
            if used.max().is_some_and(|used| older(now, used, INDEX_AGE)) {
                let _ = std::fs::remove_dir_all(folder);
            }
        }
    }
}

/// Whether something is older than an age.
pub(super) fn older(now: Timestamp, time: SystemTime, age: Duration) -> bool {
    SystemTime::from(now).duration_since(time).is_ok_and(|past| past > age)
}

/// Lists a folder; one that is not there is empty.
pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.flatten().map(|entry| entry.path()).collect()
}

/// Notes a use, unless one was noted lately. A cache that cannot be written is used all the same.
pub(super) fn touch(path: &Path, now: Timestamp) {
    let now = SystemTime::from(now);
    let noted = std::fs::metadata(path).and_then(|meta| meta.modified());
    let near = |noted: SystemTime| {
        let apart = now.duration_since(noted).or_else(|_| noted.duration_since(now));
        apart.is_ok_and(|apart| apart < USE_STEP)
    };
    if noted.is_ok_and(near) {
        return;
    }
    let file = std::fs::OpenOptions::new().append(true).open(path);
    let _ = file.and_then(|file| file.set_modified(now));
}

/// Reads a file that [`write_json`] wrote; a damaged one is none.
fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Option<T> {
    let text = file::read_text(path, SMALL_BYTES).ok()?;
    let (check, body) = text.split_once('\n')?;
    if check != Digest::of(body).to_string() {
        tracing::warn!(path = %path.display(), "cache file is damaged: ignored");
        return None;
    }
    serde_json::from_str(body).ok()
}

/// Writes a value below a line with the digest of its text.
fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), file::Error> {
    let body = serde_json::to_string(value).unwrap_or_default();
    file::write_atomic(path, format!("{}\n{body}", Digest::of(&body)).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::index::{Before, Reading};
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn archives_beyond_the_size_go_unused_ones_first() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path()).with_archives_bytes(25);
        let archives =
            ["one-one-on", "two-two-tw", "six-six-si"].map(|text| (Digest::of(text), text));
        cache
            .put_archive(&archives[0].0, archives[0].1.as_bytes(), time("2026-01-01T00:00:00Z"))
            .unwrap();
        cache
            .put_archive(&archives[1].0, archives[1].1.as_bytes(), time("2026-01-02T00:00:00Z"))
            .unwrap();
        // The older one is used again, so the other one is the least needed.
        assert!(cache.archive(&archives[0].0, time("2026-01-03T00:00:00Z")).is_some());
        cache
            .put_archive(&archives[2].0, archives[2].1.as_bytes(), time("2026-01-04T00:00:00Z"))
            .unwrap();
        let there = archives
            .map(|(digest, _)| cache.archive(&digest, time("2026-01-04T00:00:00Z")).is_some());
        assert_eq!(there, [true, false, true]);
        assert!(folder.path().join("CACHEDIR.TAG").is_file());
    }

    #[test]
    fn damage_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        let now = time("2026-01-01T00:00:00Z");
        let (url, digest) = ("https://a.example".parse().unwrap(), Digest::of("archive"));
        cache.put_archive(&digest, b"archive", now).unwrap();
        std::fs::File::options()
            .write(true)
            .open(cache.archive_file(&digest))
            .unwrap()
            .set_len(3)
            .unwrap();
        assert!(cache.archive(&digest, now).is_none());
        let (meta, packed) = packed(&cache, &url, "1.0.0");
        cache.put_index(&url, packed, &meta, time("2026-01-01T00:00:00Z")).unwrap();
        assert_eq!(cache.meta(&url), meta);
        let index = cache.index(&url, &meta.revision).unwrap();
        assert_eq!(index.entries("a").unwrap().0.len(), 1);
        let path = cache.index_file(&url, &meta.revision);
        let bytes = file::read_bytes(&path, 1 << 20).unwrap();
        // Whichever byte is damaged, it is noticed before it is used.
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            file::write_atomic(&path, &bytes).unwrap();
            let found = cache.index(&url, &meta.revision).map(|index| index.look("a", |_| ()));
            assert!(!matches!(found, Ok(Ok(()))), "byte {at}");
        }
        assert!(cache.index(&url, "sha256:other").is_err());
        let meta_file = cache.index_folder(&url).join("meta.json");
        let damaged = file::read_text(&meta_file, 1 << 20).unwrap().replace("sha256:", "sha256;");
        file::write_atomic(&meta_file, damaged.as_bytes()).unwrap();
        assert_eq!(cache.meta(&url), Meta::default());
    }

    /// Packs an index of one version.
    fn packed(cache: &Cache, url: &SafeUrl, version: &str) -> (Meta, Spool) {
        let text = format!("apiVersion: v1\nentries:\n  a:\n  - name: a\n    version: {version}\n");
        let place = cache.index_file(url, "new");
        let raw = Raw::Spool(Spool::in_memory());
        let mut reading = Reading::new(raw, Some(place), Before::default());
        reading.take(text.as_bytes());
        let made = reading.finish(None).unwrap();
        let revision = made.revision.to_string();
        (Meta { revision, ..Meta::default() }, made.packed)
    }

    #[test]
    fn a_new_revision_takes_the_place_of_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        let url = "https://a.example".parse().unwrap();
        for version in ["1.0.0", "2.0.0", "3.0.0"] {
            let (meta, packed) = packed(&cache, &url, version);
            cache.put_index(&url, packed, &meta, time("2026-01-01T00:00:00Z")).unwrap();
        }
        assert_eq!(files(&cache.index_folder(&url)).len(), 3);
    }
}
