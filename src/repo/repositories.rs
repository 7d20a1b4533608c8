//! Fetches, remembers and answers: all repositories of a process.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::cache::{Cache, Meta};
use super::error::Error;
use super::index::{Entry, Index};
use crate::base::constraint::Constraint;
use crate::base::digest::Digest;
use crate::base::limit;
use crate::base::secret::SafeUrl;
use crate::chart::{self, Chart};
use crate::source::{Credentials, Fetch, Fetched, Fetcher};

/// Loaded charts that are kept.
const KEPT: usize = 8;

/// A repository, and how it is asked.
#[derive(Debug, Clone)]
pub struct RepositorySpec {
    /// Root of the repository.
    pub url: SafeUrl,
    /// Limit of one request.
    pub timeout: Duration,
    /// User and password.
    pub credentials: Option<Credentials>,
}

/// What a refresh gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refreshed {
    /// Whether the index is another one than before.
    pub changed: bool,
    /// Digest of the index as downloaded, `sha256:…`.
    pub revision: String,
    /// Its size in bytes.
    pub size: u64,
}

/// A chart that was pulled.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// Digest of the archive.
    pub digest: Digest,
    /// The chart.
    pub chart: Arc<Chart>,
}

/// All repositories of a process, over one cache.
#[derive(Debug)]
pub struct Repositories {
    fetcher: Fetcher,
    cache: Cache,
    indexes: Mutex<HashMap<SafeUrl, (String, Arc<Index>)>>,
    charts: Mutex<Vec<Pulled>>,
    /// Digests of archives whose entry names none, by address.
    undigested: Mutex<HashMap<SafeUrl, Digest>>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Repositories {
    /// Returns repositories that are fetched by `fetcher` and cached in `folder`.
    pub fn new(fetcher: Fetcher, folder: &Path) -> Self {
        Self {
            fetcher,
            cache: Cache::new(folder),
            indexes: Mutex::default(),
            charts: Mutex::default(),
            undigested: Mutex::default(),
        }
    }

    /// Fetches the index of a repository, if it changed.
    ///
    /// # Errors
    /// It cannot be fetched, or is no index; what was known before stays.
    pub async fn refresh(&self, spec: &RepositorySpec) -> Result<Refreshed, Error> {
        let known = self.cache.meta(&spec.url);
        let fetch = Fetch {
            url: below(&spec.url, "index.yaml")?,
            etag: known.etag.clone(),
            last_modified: known.last_modified.clone(),
            limit_bytes: limit::INDEX_BYTES,
            timeout: spec.timeout,
            credentials: spec.credentials.clone(),
        };
        let old =
            |changed| Refreshed { changed, revision: known.revision.clone(), size: known.size };
        let (bytes, etag, last_modified) = match self.fetcher.fetch(&fetch).await? {
            Fetched::NotModified => return Ok(old(false)),
            Fetched::Body { bytes, etag, last_modified } => (bytes, etag, last_modified),
        };
        let revision = Digest::of(&bytes).to_string();
        let size = bytes.len() as u64;
        let refuse = |reason: String| Error::Index { url: spec.url.clone(), reason };
        if revision != known.revision {
            let text =
                std::str::from_utf8(&bytes).map_err(|_| refuse("it is not text".to_owned()))?;
            let index = Arc::new(Index::find(text).map_err(refuse)?);
            locked(&self.indexes).insert(spec.url.clone(), (revision.clone(), index));
        }
        let url = spec.url.to_string();
        let meta = Meta { url, etag, last_modified, revision: revision.clone(), size };
        self.cache.put_index(&spec.url, &bytes, &meta).map_err(Error::Cache)?;
        Ok(Refreshed { changed: revision != known.revision, revision, size })
    }

    /// Returns every version of a chart, newest first.
    ///
    /// # Errors
    /// The index was not fetched, or does not have the chart.
    pub fn versions(&self, url: &SafeUrl, chart: &str) -> Result<Vec<Entry>, Error> {
        let index = self.index(url)?;
        let refuse = |reason: String| Error::Index { url: url.clone(), reason };
        let block = match index.range(chart) {
            Some(range) => self.cache.index_part(url, range).map_err(Error::Cache)?,
            None => String::new(),
        };
        let (entries, warnings) = index.entries(chart, &block).map_err(refuse)?;
        for warning in warnings {
            tracing::debug!(%url, chart, warning = warning.0, "entry left out");
        }
        if entries.is_empty() {
            let charts = index.charts();
            let near = |name: &&&str| name.contains(chart) || chart.contains(**name);
            let near = charts.iter().filter(near).take(5).map(|name| (*name).to_owned()).collect();
            return Err(Error::NoChart { url: url.clone(), chart: chart.to_owned(), near });
        }
        Ok(entries)
    }

    /// Returns the versions of a chart that satisfy a constraint, newest first.
    ///
    /// A version that is exactly the constraint's text is taken alone.
    ///
    /// # Errors
    /// None satisfies, or as [`Repositories::versions`].
    pub fn resolve(&self, url: &SafeUrl, chart: &str, wanted: &str) -> Result<Vec<Entry>, Error> {
        let entries = self.versions(url, chart)?;
        if let Some(exact) = entries.iter().find(|entry| entry.text == wanted) {
            return Ok(vec![exact.clone()]);
        }
        let text = if wanted.is_empty() { "*" } else { wanted };
        let constraint: Constraint =
            text.parse().map_err(|_| Error::Constraint(wanted.to_owned()))?;
        let near = || entries.iter().take(3).map(|entry| entry.text.clone()).collect();
        let found: Vec<Entry> =
            entries.iter().filter(|entry| constraint.matches(&entry.version)).cloned().collect();
        if found.is_empty() {
            let (chart, wanted) = (chart.to_owned(), wanted.to_owned());
            return Err(Error::NoVersion { url: url.clone(), chart, wanted, near: near() });
        }
        Ok(found)
    }

    /// Returns a chart: from memory, from the cache, or from the repository.
    ///
    /// # Errors
    /// It cannot be fetched, is not what the index says, or is no chart.
    pub async fn pull(&self, spec: &RepositorySpec, entry: &Entry) -> Result<Pulled, Error> {
        let url = entry.urls.first().ok_or_else(|| Error::NoUrl(entry.name.clone()))?;
        let url = chart_url(&spec.url, url)?;
        let promised: Option<Digest> = entry.digest.parse().ok();
        let known = promised.or_else(|| locked(&self.undigested).get(&url).copied());
        if let Some(digest) = known {
            let kept = locked(&self.charts).iter().find(|kept| kept.digest == digest).cloned();
            if let Some(kept) = kept {
                return Ok(kept);
            }
            if let Some(bytes) = self.cache.chart(&digest) {
                return self.keep(&url, digest, &bytes);
            }
        }
        let fetch = Fetch {
            url: url.clone(),
            etag: String::new(),
            last_modified: String::new(),
            limit_bytes: limit::ARCHIVE_BYTES,
            timeout: spec.timeout,
            credentials: spec.credentials.clone(),
        };
        let Fetched::Body { bytes, .. } = self.fetcher.fetch(&fetch).await? else {
            return Err(Error::Index {
                url,
                reason: "the server has nothing new of it".to_owned(),
            });
        };
        let digest = Digest::of(&bytes);
        if promised.is_some_and(|promised| promised != digest) {
            return Err(Error::Digest { url, have: digest, wanted: entry.digest.clone() });
        }
        let pulled = self.keep(&url, digest, &bytes)?;
        if promised.is_none() {
            locked(&self.undigested).insert(url, digest);
        }
        if let Err(error) = self.cache.put_chart(&digest, &bytes) {
            tracing::warn!(error = crate::base::class::chain(&error), "chart could not be cached");
        }
        Ok(pulled)
    }

    fn keep(&self, url: &SafeUrl, digest: Digest, bytes: &[u8]) -> Result<Pulled, Error> {
        let chart = chart::load_archive(bytes)
            .map_err(|error| Error::Chart { url: url.clone(), source: Box::new(error) })?;
        let pulled = Pulled { digest, chart: Arc::new(chart) };
        let mut charts = locked(&self.charts);
        if charts.len() >= KEPT {
            charts.remove(0);
        }
        charts.push(pulled.clone());
        Ok(pulled)
    }

    fn index(&self, url: &SafeUrl) -> Result<Arc<Index>, Error> {
        let revision = self.cache.meta(url).revision;
        if revision.is_empty() {
            return Err(Error::Unfetched(url.clone()));
        }
        if let Some((known, index)) = locked(&self.indexes).get(url)
            && *known == revision
        {
            return Ok(Arc::clone(index));
        }
        let text = self.cache.index(url).map_err(Error::Cache)?;
        let refuse = |reason: String| Error::Index { url: url.clone(), reason };
        let index = Arc::new(Index::find(&text).map_err(refuse)?);
        locked(&self.indexes).insert(url.clone(), (revision, Arc::clone(&index)));
        Ok(index)
    }
}

/// Returns an address below a repository; the query stays.
fn below(root: &SafeUrl, name: &str) -> Result<SafeUrl, Error> {
    let mut url = root.expose().clone();
    let path = format!("{}/{name}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url.into())
}

/// Source: helm v4.3.1 pkg/repo/v1/chartrepo.go (ResolveReferenceURL).
fn chart_url(root: &SafeUrl, reference: &str) -> Result<SafeUrl, Error> {
    if reference.contains("://") {
        return reference.parse().map_err(|_| Error::NoUrl(reference.to_owned()));
    }
    let mut base = root.expose().clone();
    let path = format!("{}/", base.path().trim_end_matches('/'));
    base.set_path(&path);
    let mut url = base.join(reference).map_err(|_| Error::NoUrl(reference.to_owned()))?;
    url.set_query(base.query());
    Ok(url.into())
}

#[cfg(test)]
mod tests;
