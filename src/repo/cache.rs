//! The cache on disk, shared by several processes.
//!
//! ```text
//! charts-cache/
//!   index-v1/<sha256 of the address>/index.yaml    as downloaded
//!   index-v1/<sha256 of the address>/meta.json     ETag, Last-Modified, digest
//!   chart-v1/sha256/<digest>.tgz                   as downloaded, checked when read
//! ```

use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::base::digest::Digest;
use crate::base::secret::SafeUrl;
use crate::base::{file, limit};

/// What is known of a cached index.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Meta {
    pub(super) url: String,
    pub(super) etag: String,
    pub(super) last_modified: String,
    /// Digest of the bytes, `sha256:…`.
    pub(super) revision: String,
    pub(super) size: u64,
}

/// The folder.
#[derive(Debug, Clone)]
pub(super) struct Cache(PathBuf);

impl Cache {
    pub(super) fn new(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    fn index_folder(&self, url: &SafeUrl) -> PathBuf {
        self.0.join("index-v1").join(Digest::of(url.expose().as_str()).to_hex())
    }

    /// Returns what is known of an index; anything unreadable counts as nothing.
    pub(super) fn meta(&self, url: &SafeUrl) -> Meta {
        let path = self.index_folder(url).join("meta.json");
        let text = file::read_text(&path, limit::SOURCE_FILE_BYTES).unwrap_or_default();
        let meta: Meta = serde_json::from_str(&text).unwrap_or_default();
        let there = self.index_folder(url).join("index.yaml").is_file();
        if there { meta } else { Meta::default() }
    }

    pub(super) fn index(&self, url: &SafeUrl) -> Result<String, file::Error> {
        file::read_text(&self.index_folder(url).join("index.yaml"), limit::INDEX_BYTES)
    }

    /// Reads a part of an index.
    pub(super) fn index_part(
        &self,
        url: &SafeUrl,
        range: Range<usize>,
    ) -> Result<String, file::Error> {
        let path = self.index_folder(url).join("index.yaml");
        let read = || {
            let mut file = std::fs::File::open(&path)?;
            file.seek(SeekFrom::Start(range.start as u64))?;
            let mut text = String::with_capacity(range.len());
            file.take(range.len() as u64).read_to_string(&mut text)?;
            Ok(text)
        };
        read().map_err(file::failed("read", &path))
    }

    pub(super) fn put_index(
        &self,
        url: &SafeUrl,
        text: &[u8],
        meta: &Meta,
    ) -> Result<(), file::Error> {
        let folder = self.index_folder(url);
        file::write_atomic(&folder.join("index.yaml"), text)?;
        let meta = serde_json::to_vec(meta).unwrap_or_default();
        file::write_atomic(&folder.join("meta.json"), &meta)
    }

    fn chart_path(&self, digest: &Digest) -> PathBuf {
        self.0.join("chart-v1/sha256").join(format!("{}.tgz", digest.to_hex()))
    }

    /// Returns an archive, if it is there and undamaged.
    pub(super) fn chart(&self, digest: &Digest) -> Option<Bytes> {
        let bytes = file::read_bytes(&self.chart_path(digest), limit::ARCHIVE_BYTES).ok()?;
        (Digest::of(&bytes) == *digest).then(|| bytes.into())
    }

    pub(super) fn put_chart(&self, digest: &Digest, bytes: &[u8]) -> Result<(), file::Error> {
        file::write_atomic(&self.chart_path(digest), bytes)
    }
}
