//! The indexes that a process knows: fetched, packed, cached.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::cache::{Cache, Meta};
use super::error::Error;
use super::index::{Before, Index, Made, Problem, Raw, Reading};
use super::repositories::{Refreshed, RepositorySpec, below, fetch};
use crate::base::class::chain;
use crate::base::clock::Timestamp;
use crate::base::file;
use crate::base::limit::{self, Limit};
use crate::base::secret::SafeUrl;
use crate::base::spool::Spool;
use crate::source::{Fetcher, Kind, Poured};

/// Only one task at a time fetches an index.
type Gate = Arc<tokio::sync::Mutex<()>>;

/// When the text of an index is wanted beside its packed form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// Never.
    No,
    /// Where it says something new.
    OfNew,
    /// Now.
    Always,
}

/// The indexes of a process, over one cache.
#[derive(Debug)]
pub(super) struct Indexes {
    cache: Cache,
    opened: Mutex<HashMap<SafeUrl, Opened>>,
    gates: Mutex<HashMap<SafeUrl, Gate>>,
}

#[derive(Debug, Clone)]
struct Opened {
    revision: String,
    index: Arc<Index>,
    /// What is known of it, if the cache could not take it.
    held: Option<Meta>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Indexes {
    /// Returns the indexes that are cached in a folder.
    pub(super) fn new(folder: &Path) -> Self {
        Self { cache: Cache::new(folder), opened: Mutex::default(), gates: Mutex::default() }
    }

    /// Returns the cache.
    pub(super) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Returns what is known of an index.
    fn meta(&self, url: &SafeUrl) -> Meta {
        let held = locked(&self.opened).get(url).and_then(|opened| opened.held.clone());
        held.unwrap_or_else(|| self.cache.meta(url))
    }

    /// Returns the revision of an index; empty if it was not fetched.
    pub(super) fn revision(&self, url: &SafeUrl) -> String {
        self.meta(url).revision
    }

    /// Returns a revision of an index.
    pub(super) fn index(&self, url: &SafeUrl, revision: &str) -> Result<Arc<Index>, Problem> {
        if let Some(opened) = locked(&self.opened).get(url)
            && opened.revision == revision
        {
            return Ok(Arc::clone(&opened.index));
        }
        let index = Arc::new(self.cache.index(url, revision)?);
        self.open(url, revision, &index, None);
        Ok(index)
    }

    fn open(&self, url: &SafeUrl, revision: &str, index: &Arc<Index>, held: Option<Meta>) {
        let opened = Opened { revision: revision.to_owned(), index: Arc::clone(index), held };
        locked(&self.opened).insert(url.clone(), opened);
    }

    /// Forgets an index: the next request for it is not conditional.
    pub(super) fn forget(&self, url: &SafeUrl) {
        self.cache.forget(url);
        locked(&self.opened).remove(url);
    }

    /// Fetches an index, if it changed, or if its text is wanted in any case. One that the cache cannot take is kept in memory; the second
    /// part of the result says why.
    pub(super) async fn refresh(
        &self,
        fetcher: &Fetcher,
        spec: &RepositorySpec,
        text: Text,
    ) -> Result<(Refreshed, Option<file::Error>), Error> {
        let gate = Arc::clone(locked(&self.gates).entry(spec.url.clone()).or_default());
        let _passed = gate.lock().await;
        let url = &spec.url;
        let mut known = self.meta(url);
        let before = self.index(url, &known.revision).ok();
        if before.is_none() {
            // What is damaged is fetched whole.
            known = Meta::default();
        }
        if text == Text::Always {
            (known.etag, known.last_modified) = Default::default();
        }
        let limit_bytes = limit::current().of(Limit::Index);
        let mut fetch = fetch(spec, below(url, "index.yaml"), limit_bytes, Kind::Text);
        fetch.etag.clone_from(&known.etag);
        fetch.last_modified.clone_from(&known.last_modified);
        let now = fetcher.clock().now();
        let place = self.cache.index_file(url, "new");
        let raw = Raw::Spool(Spool::in_file(&place.with_extension("yaml")));
        let mut reading = Reading::new(raw, Some(place), Before { index: before, now });
        let (etag, last_modified) = match fetcher.fetch_into(&fetch, &mut reading).await? {
            Poured::NotModified => {
                self.cache.touch_index(url, now);
                let Meta { revision, size, .. } = known;
                return Ok((Refreshed { changed: false, revision, size, text: None }, None));
            }
            Poured::Body { etag, last_modified } => (etag, last_modified),
        };
        let Made { packed, raw, revision, content, size } =
            reading.finish(None).map_err(|problem| refused(url, problem))?;
        let content = content.to_string();
        let changed = content != known.content;
        let (revision, size, fetched) = if changed {
            (revision.to_string(), size, now.to_string())
        } else {
            (known.revision, known.size, known.fetched)
        };
        let is_wanted = text == Text::Always || text == Text::OfNew && changed;
        let text = is_wanted.then(|| self.cache.put_text(url, raw)).flatten();
        let shown = url.to_string();
        let meta = Meta { url: shown, etag, last_modified, revision, content, size, fetched };
        let refreshed = Refreshed { changed, revision: meta.revision.clone(), size, text };
        if changed {
            return Ok((refreshed, self.keep(url, packed, meta, now)?));
        }
        self.note(url, meta);
        Ok((refreshed, None))
    }

    /// Keeps what is known of an index that says what it said before.
    fn note(&self, url: &SafeUrl, meta: Meta) {
        if let Some(opened) = locked(&self.opened).get_mut(url).filter(|o| o.held.is_some()) {
            opened.held = Some(meta);
        } else if let Err(error) = self.cache.put_meta(url, &meta) {
            tracing::debug!(%url, error = chain(&error), "chart cache cannot be written");
        }
    }

    /// Keeps what was fetched.
    fn keep(
        &self,
        url: &SafeUrl,
        packed: Spool,
        meta: Meta,
        now: Timestamp,
    ) -> Result<Option<file::Error>, Error> {
        let failed = |problem| refused(url, problem);
        let Err((bytes, error)) = self.cache.put_index(url, packed, &meta, now) else {
            let index = Arc::new(self.cache.index(url, &meta.revision).map_err(failed)?);
            self.open(url, &meta.revision, &index, None);
            return Ok(None);
        };
        let index = Arc::new(Index::of_packed(bytes).map_err(failed)?);
        let revision = meta.revision.clone();
        self.open(url, &revision, &index, Some(meta));
        Ok(error)
    }
}

/// Says what is wrong with the index of a repository.
pub(super) fn refused(url: &SafeUrl, problem: Problem) -> Error {
    match problem {
        Problem::Unreadable(error) => Error::Cache(error),
        Problem::Damaged => Error::Damaged(url.clone()),
        Problem::Index(reason) => Error::Index { url: url.clone(), reason },
    }
}
