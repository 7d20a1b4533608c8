//! Fetches, remembers and answers: all repositories of a process.

mod artifact;
mod failure;
mod registry;
mod served;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::cache::Cache;
use super::entry::{Entry, Warning};
use super::error::Error;
use super::indexes::{Indexes, Text, refused};
use super::oci::is_oci;
use super::resolve::{Choice, choose};
use crate::base::class::chain;
use crate::base::digest::Digest;
use crate::base::secret::SafeUrl;
use crate::base::similar::similar;
use crate::base::{file, limit};
use crate::chart::{self, Chart};
use crate::source::git::Servers;
use crate::source::oci::Access;
use crate::source::{Credentials, Fetch, Fetched, Fetcher, Kind, Tls};

pub use self::artifact::{ArtifactError, ArtifactPart, LayerFiles, OciArtifact};

use self::failure::{Failures, Wanted};
use self::registry::Listed;

/// Loaded charts that are kept.
const KEPT: usize = 8;
/// Charts whose versions are kept.
const KEPT_VERSIONS: usize = 32;

/// Archives that are known to be undamaged.
const KEPT_VERIFIED: usize = 4096;

/// Troubles that wait to be asked for.
const KEPT_TROUBLES: usize = 64;

/// A repository, and how it is asked.
#[derive(Debug, Clone)]
pub struct RepositorySpec {
    /// Root of the repository.
    pub url: SafeUrl,
    /// Limit of one request.
    pub timeout: Duration,
    /// User and password.
    pub credentials: Option<Credentials>,
    /// Certificates.
    pub tls: Option<Tls>,
    /// How the registry is asked, if it is one: then neither an index nor the two above count.
    pub registry: Option<Access>,
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
    /// A copy of it, where one was wanted: for whoever takes it.
    pub text: Option<PathBuf>,
}

/// Something about a repository that is not as it should be, and stops nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Entries of the index that cannot be used, of one chart.
    Entries(String),
    /// The cache cannot be written.
    Cache(String),
    /// The tags of a registry cannot be had; what was known is used.
    Tags(String),
}

/// A chart that was pulled.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// Digest of the archive.
    pub digest: Digest,
    /// The chart.
    pub chart: Arc<Chart>,
}

/// The versions of a chart in a revision of an index.
type Versions = (String, Arc<[Entry]>);
/// Only one task at a time fetches an archive.
type Gate = Arc<tokio::sync::Mutex<()>>;

/// All repositories of a process, over one cache.
#[derive(Debug)]
pub struct Repositories {
    fetcher: Fetcher,
    indexes: Indexes,
    versions: Mutex<Vec<((SafeUrl, String), Versions)>>,
    /// Versions of charts in registries, by the address of the chart.
    listed: Mutex<HashMap<String, Listed>>,
    charts: Mutex<Vec<(Digest, Pulled)>>,
    /// Digests of archives whose entry names none, by address.
    undigested: Mutex<HashMap<SafeUrl, Digest>>,
    gates: Mutex<HashMap<SafeUrl, Gate>>,
    failures: Failures,
    troubles: Mutex<Vec<(SafeUrl, Trouble)>>,
    /// What is known of Git servers.
    servers: Servers,
    /// Archives of the cache that are what their names say.
    verified: Mutex<HashSet<PathBuf>>,
    /// Charts whose broken entries were told, by revision.
    told: Mutex<HashMap<SafeUrl, (String, HashSet<String>)>>,
    /// Who signed what, by the artifact and what is trusted.
    signed: Mutex<HashMap<Vouched, String>>,
}

/// An artifact by its digest, and what tells one set of keys or identities from another.
pub(super) type Vouched = (String, Digest);

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns what is remembered, as the last used.
fn recall<K: PartialEq, V: Clone>(memory: &Mutex<Vec<(K, V)>>, key: &K) -> Option<V> {
    let mut memory = locked(memory);
    let at = memory.iter().position(|(known, _)| known == key)?;
    let found = memory.remove(at);
    let value = found.1.clone();
    memory.push(found);
    Some(value)
}

/// Remembers something; what was not used for longest is forgotten beyond `most`.
fn remember<K: PartialEq, V>(memory: &Mutex<Vec<(K, V)>>, most: usize, key: K, value: V) {
    let mut memory = locked(memory);
    memory.retain(|(known, _)| *known != key);
    if memory.len() >= most {
        memory.remove(0);
    }
    memory.push((key, value));
}

impl Repositories {
    /// Returns repositories that are fetched by `fetcher` and cached in `folder`.
    pub fn new(fetcher: Fetcher, folder: &Path) -> Self {
        Self {
            fetcher,
            indexes: Indexes::new(folder),
            versions: Mutex::default(),
            listed: Mutex::default(),
            charts: Mutex::default(),
            undigested: Mutex::default(),
            gates: Mutex::default(),
            failures: Failures::default(),
            troubles: Mutex::default(),
            servers: Servers::default(),
            verified: Mutex::default(),
            told: Mutex::default(),
            signed: Mutex::default(),
        }
    }

    pub(super) fn fetcher(&self) -> &Fetcher {
        &self.fetcher
    }

    pub(super) fn git_servers(&self) -> &Servers {
        &self.servers
    }

    pub(super) fn cache(&self) -> &Cache {
        self.indexes.cache()
    }

    /// Returns what only one task at a time passes, of those that want something of an address.
    pub(super) fn gate(&self, url: &SafeUrl) -> Gate {
        let mut gates = locked(&self.gates);
        // Nobody waits at those that nobody else holds.
        gates.retain(|_, gate| Arc::strong_count(gate) > 1);
        Arc::clone(gates.entry(url.clone()).or_default())
    }

    pub(super) fn is_verified(&self, path: &Path) -> bool {
        locked(&self.verified).contains(path)
    }

    pub(super) fn verified(&self, path: &Path) {
        let mut verified = locked(&self.verified);
        if verified.len() >= KEPT_VERIFIED {
            verified.clear();
        }
        verified.insert(path.to_owned());
    }

    /// Returns who vouched for an artifact before.
    pub(super) fn vouched(&self, key: &Vouched) -> Option<String> {
        locked(&self.signed).get(key).cloned()
    }

    pub(super) fn vouch(&self, key: Vouched, who: String) {
        let mut signed = locked(&self.signed);
        if signed.len() >= KEPT_VERIFIED {
            signed.clear();
        }
        signed.insert(key, who);
    }

    pub(super) fn kept_chart(&self, digest: &Digest) -> Option<Pulled> {
        recall(&self.charts, digest)
    }

    pub(super) fn keep_chart(&self, pulled: &Pulled) {
        remember(&self.charts, KEPT, pulled.digest, pulled.clone());
    }

    /// Returns what was found amiss with a repository since the last time this was asked.
    pub fn take_troubles(&self, url: &SafeUrl) -> Vec<Trouble> {
        let mut troubles = locked(&self.troubles);
        let (taken, kept) = troubles.drain(..).partition(|(of, _)| of == url);
        *troubles = kept;
        let taken: Vec<(SafeUrl, Trouble)> = taken;
        taken.into_iter().map(|(_, trouble)| trouble).collect()
    }

    fn trouble(&self, url: &SafeUrl, trouble: Trouble) {
        let mut troubles = locked(&self.troubles);
        // Nobody may ever ask.
        if troubles.len() >= KEPT_TROUBLES {
            troubles.remove(0);
        }
        troubles.push((url.clone(), trouble));
    }

    fn uncached(&self, url: &SafeUrl, what: &str, error: &file::Error) {
        let text = format!(
            "{what} is kept in memory only, because the chart cache cannot be written: {}; make room or choose another folder with --cache",
            chain(error)
        );
        self.trouble(url, Trouble::Cache(text));
    }

    /// Fetches the index of a repository, if it changed. A cache that cannot be written is said
    /// in the log, and the index is kept in memory.
    ///
    /// # Errors
    /// It cannot be fetched, or is no index; what was known before stays.
    pub async fn refresh(&self, spec: &RepositorySpec) -> Result<Refreshed, Error> {
        self.refresh_with(spec, Text::No).await
    }

    /// The same, with a copy of the text; one that is wanted in any case is fetched in any case.
    ///
    /// # Errors
    /// As [`Repositories::refresh`].
    pub async fn refresh_with(
        &self,
        spec: &RepositorySpec,
        text: Text,
    ) -> Result<Refreshed, Error> {
        let (refreshed, uncached) = self.indexes.refresh(&self.fetcher, spec, text).await?;
        if let Some(error) = uncached {
            self.uncached(&spec.url, "the index", &error);
        }
        Ok(refreshed)
    }

    /// Returns every version of a chart, newest first.
    ///
    /// # Errors
    /// The index was not fetched, or does not have the chart.
    pub fn versions(&self, url: &SafeUrl, chart: &str) -> Result<Arc<[Entry]>, Error> {
        if is_oci(url.expose().as_str()) {
            return self.listed(url, chart).map(Into::into);
        }
        let revision = self.indexes.revision(url);
        let newer = || Some(self.indexes.revision(url)).filter(|r| !r.is_empty() && *r != revision);
        match self.versions_of(url, chart, &revision) {
            Err(Error::Damaged(_) | Error::Cache(_)) if newer().is_some() => {
                // Another process put a newer index in its place meanwhile.
                let revision = self.indexes.revision(url);
                self.versions_of(url, chart, &revision)
            }
            Err(Error::Damaged(_)) => {
                // Without its `ETag` the next refresh fetches it whole.
                self.indexes.forget(url);
                Err(Error::Damaged(url.clone()))
            }
            other => other,
        }
    }

    fn versions_of(
        &self,
        url: &SafeUrl,
        chart: &str,
        revision: &str,
    ) -> Result<Arc<[Entry]>, Error> {
        if revision.is_empty() {
            return Err(Error::Unfetched(url.clone()));
        }
        let key = (url.clone(), chart.to_owned());
        if let Some((known, entries)) = recall(&self.versions, &key)
            && known == revision
        {
            return Ok(entries);
        }
        let index = self.indexes.index(url, revision).map_err(|problem| refused(url, problem))?;
        let found = index.look(chart, |versions| versions.entries());
        let (entries, warnings) = found.map_err(|problem| refused(url, problem))?;
        if !warnings.is_empty() && self.tells(url, revision, chart) {
            self.trouble(url, Trouble::Entries(left_out(chart, &warnings, entries.len())));
        }
        if entries.is_empty() {
            let (url, name) = (url.clone(), chart.to_owned());
            if index.has(chart) {
                return Err(Error::NoVersions { url, chart: name });
            }
            let near = similar(index.charts(), chart);
            return Err(Error::NoChart { url, chart: name, near });
        }
        let entries: Arc<[Entry]> = entries.into();
        let kept = (revision.to_owned(), Arc::clone(&entries));
        remember(&self.versions, KEPT_VERSIONS, key, kept);
        Ok(entries)
    }

    /// Whether the broken entries of a chart are still to be told.
    fn tells(&self, url: &SafeUrl, revision: &str, chart: &str) -> bool {
        let mut told = locked(&self.told);
        let (known, charts) = told.entry(url.clone()).or_default();
        if known != revision {
            revision.clone_into(known);
            charts.clear();
        }
        charts.insert(chart.to_owned())
    }

    /// Returns the versions of a chart that satisfy a constraint, newest first.
    ///
    /// A version that is exactly the constraint's text is taken alone.
    ///
    /// # Errors
    /// None satisfies, or as [`Repositories::versions`].
    pub fn resolve(&self, url: &SafeUrl, chart: &str, wanted: &str) -> Result<Vec<Entry>, Error> {
        if let Some(exact) = Self::exact(url, chart, wanted) {
            return Ok(vec![exact]);
        }
        let entries = self.versions(url, chart)?;
        match choose(&entries, wanted)? {
            Choice::Found(found) => Ok(found),
            Choice::Nothing(near) => {
                let (chart, wanted) = (chart.to_owned(), wanted.to_owned());
                Err(Error::NoVersion { url: url.clone(), chart, wanted, near })
            }
        }
    }

    /// Returns a version of a chart by its text; none if the repository does not have it.
    ///
    /// # Errors
    /// As [`Repositories::versions`].
    pub fn entry(&self, url: &SafeUrl, chart: &str, text: &str) -> Result<Option<Entry>, Error> {
        // A registry need not list what it has.
        if let Some(exact) = Self::exact(url, chart, text) {
            return Ok(Some(exact));
        }
        let entries = self.versions(url, chart)?;
        Ok(entries.iter().find(|entry| entry.text == text).cloned())
    }

    /// Returns a chart: from memory, from the cache, or from the repository. Soon after it could not
    /// be had, the repository is not asked again, however many ask for it here.
    ///
    /// # Errors
    /// It cannot be fetched, is not what the index says, or is no chart.
    pub async fn pull(&self, spec: &RepositorySpec, entry: &Entry) -> Result<Pulled, Error> {
        let url = match &spec.registry {
            Some(_) => Self::oci_url(&spec.url, entry)?,
            None => {
                let url = entry.urls.first().ok_or_else(|| Error::NoUrl(entry.name.clone()))?;
                chart_url(&spec.url, url)?
            }
        };
        let promised: Option<Digest> = entry.digest.parse().ok();
        if let Some(known) = self.known(&url, promised)? {
            return Ok(known);
        }
        let gate = Arc::clone(locked(&self.gates).entry(url.clone()).or_default());
        let passed = gate.lock().await;
        let pulled = self.pull_alone(spec, entry, (&url, promised)).await;
        drop(passed);
        locked(&self.gates).remove(&url);
        pulled
    }

    /// Fetches a chart, unless another task has done so meanwhile, or has just failed to.
    async fn pull_alone(
        &self,
        spec: &RepositorySpec,
        entry: &Entry,
        (url, promised): (&SafeUrl, Option<Digest>),
    ) -> Result<Pulled, Error> {
        if let Some(known) = self.known(url, promised)? {
            return Ok(known);
        }
        let wanted = Wanted::of(spec, entry, url);
        let now = || self.fetcher.clock().now();
        if let Some(error) = self.failures.recent(&wanted, now()) {
            return Err(error);
        }
        let pulled = match &spec.registry {
            Some(access) => self.download_oci((spec, access), entry, url).await,
            None => self.download(spec, entry, url, promised).await,
        };
        let failed = pulled.as_ref().err().map(|error| (chain(error), error.class()));
        self.failures.note(&wanted, now(), failed);
        pulled
    }

    async fn download(
        &self,
        spec: &RepositorySpec,
        entry: &Entry,
        url: &SafeUrl,
        promised: Option<Digest>,
    ) -> Result<Pulled, Error> {
        let fetch = fetch(spec, url.clone(), limit::ARCHIVE_BYTES, Kind::Archive);
        let Fetched::Body { bytes, .. } = self.fetcher.fetch(&fetch).await? else {
            let reason = "the server has nothing new of it".to_owned();
            return Err(Error::Index { url: url.clone(), reason });
        };
        let digest = Digest::of(&bytes);
        if promised.is_some_and(|promised| promised != digest) {
            let (url, wanted) = (url.clone(), entry.digest.clone());
            return Err(Error::Digest { url, have: digest, wanted });
        }
        let pulled = self.load(url, digest, &bytes)?;
        if promised.is_none() {
            locked(&self.undigested).insert(url.clone(), digest);
        }
        let now = self.fetcher.clock().now();
        if let Err(error) = self.indexes.cache().put_archive(&digest, &bytes, now) {
            self.uncached(&spec.url, &format!("{} {}", entry.name, entry.text), &error);
        }
        Ok(pulled)
    }

    /// Returns a chart that needs no request.
    fn known(&self, url: &SafeUrl, promised: Option<Digest>) -> Result<Option<Pulled>, Error> {
        let digest = promised.or_else(|| locked(&self.undigested).get(url).copied());
        let Some(digest) = digest else { return Ok(None) };
        if let Some(kept) = recall(&self.charts, &digest) {
            return Ok(Some(kept));
        }
        let bytes = self.indexes.cache().archive(&digest, self.fetcher.clock().now());
        bytes.map(|bytes| self.load(url, digest, &bytes)).transpose()
    }

    fn load(&self, url: &SafeUrl, digest: Digest, bytes: &[u8]) -> Result<Pulled, Error> {
        let chart = chart::load_archive(bytes)
            .map_err(|error| Error::Chart { url: url.clone(), source: Box::new(error) })?;
        let pulled = Pulled { digest, chart: Arc::new(chart) };
        remember(&self.charts, KEPT, digest, pulled.clone());
        Ok(pulled)
    }
}

/// Says which entries are left out; the first few are enough.
fn left_out(chart: &str, warnings: &[Warning], good: usize) -> String {
    let shown: Vec<&str> = warnings.iter().take(3).map(|warning| warning.0.as_str()).collect();
    let more = match warnings.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "{} of {} entries of chart `{chart}` are left out: {}{more}; the others are used; correct the index",
        warnings.len(),
        warnings.len() + good,
        shown.join("; "),
    )
}

pub(super) fn fetch(spec: &RepositorySpec, url: SafeUrl, limit_bytes: u64, kind: Kind) -> Fetch {
    Fetch {
        url,
        etag: String::new(),
        last_modified: String::new(),
        limit_bytes,
        timeout: spec.timeout,
        credentials: spec.credentials.clone(),
        tls: spec.tls.clone(),
        kind,
    }
}

/// Returns an address below a repository; the query stays.
pub(super) fn below(root: &SafeUrl, name: &str) -> SafeUrl {
    let mut url = root.expose().clone();
    let path = format!("{}/{name}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url.into()
}

/// Source: helm v4.3.1 pkg/repo/v1/chartrepo.go (ResolveReferenceURL).
pub(super) fn chart_url(root: &SafeUrl, reference: &str) -> Result<SafeUrl, Error> {
    let refuse = || Error::BadUrl { repository: root.clone(), reference: reference.to_owned() };
    if reference.contains("://") {
        return reference.parse().map_err(|_| refuse());
    }
    let mut base = root.expose().clone();
    let path = format!("{}/", base.path().trim_end_matches('/'));
    base.set_path(&path);
    let mut url = base.join(reference).map_err(|_| refuse())?;
    url.set_query(base.query());
    Ok(url.into())
}

#[cfg(test)]
mod tests;
