//! Charts of OCI registries among the others: their tags, and their archives by digest.

use std::sync::Arc;
use std::time::Duration;

use super::failure::Wanted;
use super::{Pulled, Repositories, RepositorySpec, Trouble, locked};
use crate::base::class::chain;
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::secret::SafeUrl;
use crate::base::version::Version;
use crate::repo::entry::Entry;
use crate::repo::error::Error;
use crate::repo::oci::{self, Config, Described, Part, Place};
use crate::source::oci::{Access, Reference, Session};

/// Versions of a chart by the tags of its repository.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    at: Timestamp,
    entries: Vec<Entry>,
}

/// Whether a text is a whole version, which needs no list.
fn is_exact(wanted: &str) -> bool {
    wanted.matches('.').count() >= 2 && wanted.parse::<Version>().is_ok()
}

fn entry(chart: &str, version: Version) -> Entry {
    Entry {
        name: chart.to_owned(),
        text: version.original().to_owned(),
        version,
        app_version: String::new(),
        kube_version: String::new(),
        urls: Vec::new(),
        digest: String::new(),
        created: String::new(),
        deprecated: false,
        first_seen: None,
    }
}

fn repository(url: &SafeUrl, chart: &str) -> String {
    format!("{}/{chart}", url.expose().as_str().trim_end_matches('/'))
}

impl Repositories {
    /// Makes sure that the versions of a chart in a registry are known, not older than `age`; an
    /// exact version needs none. What is known stays in use while the registry cannot be asked.
    ///
    /// # Errors
    /// The tags cannot be had, and never were.
    pub async fn list(
        &self,
        spec: &RepositorySpec,
        chart: &str,
        (wanted, age): (&str, Duration),
    ) -> Result<(), Error> {
        let Some(access) = &spec.registry else { return Ok(()) };
        if is_exact(wanted) {
            return Ok(());
        }
        let key = repository(&spec.url, chart);
        let address: SafeUrl = key.parse().map_err(|_| Error::BadUrl {
            repository: spec.url.clone(),
            reference: chart.to_owned(),
        })?;
        let gate = Arc::clone(locked(&self.gates).entry(address.clone()).or_default());
        let passed = gate.lock().await;
        // Another release may have asked meanwhile.
        let listed = if self.is_listed(&key, age) {
            Ok(())
        } else {
            self.list_anew(spec, access, (&key, chart)).await
        };
        drop(passed);
        locked(&self.gates).remove(&address);
        listed
    }

    fn is_listed(&self, key: &str, age: Duration) -> bool {
        let now = self.fetcher.clock().now();
        // Nothing is fresh of a time to come: the clock was put back.
        let is_fresh =
            |at: Timestamp| Duration::try_from(now.duration_since(at)).is_ok_and(|past| past < age);
        locked(&self.listed).get(key).is_some_and(|listed| is_fresh(listed.at))
    }

    async fn list_anew(
        &self,
        spec: &RepositorySpec,
        access: &Access,
        (key, chart): (&str, &str),
    ) -> Result<(), Error> {
        let is_known = || locked(&self.listed).contains_key(key);
        let now = || self.fetcher.clock().now();
        let wanted = Wanted::of_registry(access, &spec.url, chart);
        if let Some(error) = self.failures.recent(&wanted, now()) {
            // Who comes soon after a failure is told the same, and the registry is not asked.
            return if is_known() { Ok(()) } else { Err(error) };
        }
        let session = Session::new(&self.fetcher, access.clone());
        let asked = async {
            let reference: Reference = key.trim_start_matches("oci://").parse()?;
            oci::versions(&session, &reference).await
        };
        let versions = asked.await.map_err(Error::from);
        let failed = versions.as_ref().err().map(|error| (chain(error), error.class()));
        self.failures.note(&wanted, now(), failed);
        match versions {
            Ok(versions) => {
                let entries = versions.into_iter().map(|version| entry(chart, version)).collect();
                let listed = Listed { at: self.fetcher.clock().now(), entries };
                locked(&self.listed).insert(key.to_owned(), listed);
                Ok(())
            }
            Err(error) if is_known() => {
                let text =
                    format!("the versions of {key} are those that were known: {}", chain(&error));
                self.trouble(&spec.url, Trouble::Tags(text));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the versions that were listed.
    pub(super) fn listed(&self, url: &SafeUrl, chart: &str) -> Result<Vec<Entry>, Error> {
        let found = locked(&self.listed).get(&repository(url, chart)).cloned();
        found.map(|listed| listed.entries).ok_or_else(|| Error::Unfetched(url.clone()))
    }

    /// Returns a version that needs no list.
    pub(super) fn exact(url: &SafeUrl, chart: &str, wanted: &str) -> Option<Entry> {
        let exact = oci::is_oci(url.expose().as_str()) && is_exact(wanted);
        exact.then(|| wanted.parse().ok()).flatten().map(|version| entry(chart, version))
    }

    /// Returns the address of a version.
    pub(super) fn oci_url(url: &SafeUrl, entry: &Entry) -> Result<SafeUrl, Error> {
        let tag = entry.text.replace('+', "_");
        let reference = format!("{}:{tag}", repository(url, &entry.name));
        let bad = || Error::BadUrl { repository: url.clone(), reference: entry.name.clone() };
        reference.parse().map_err(|_| bad())
    }

    /// Returns where a version of a chart is in its registry.
    ///
    /// # Errors
    /// It cannot be there.
    pub fn reference(spec: &RepositorySpec, entry: &Entry) -> Result<Reference, Error> {
        let url = Self::oci_url(&spec.url, entry)?;
        Ok(url.expose().as_str().trim_start_matches("oci://").parse()?)
    }

    /// Fetches a version by the digest that its tag has now.
    pub(super) async fn download_oci(
        &self,
        (spec, access): (&RepositorySpec, &Access),
        entry: &Entry,
        url: &SafeUrl,
    ) -> Result<Pulled, Error> {
        let session = Session::new(&self.fetcher, access.clone());
        let reference = Self::reference(spec, entry)?;
        let layer = oci::layer(&session, &reference, Part::Archive).await?;
        let promised: Option<Digest> = layer.blob.digest.parse().ok();
        let known = promised.and_then(|digest| self.known(url, Some(digest)).transpose());
        let pulled = match known {
            Some(known) => known?,
            None => {
                let place = Place::of(reference.with(layer.digest.to_string()));
                let got = oci::fetch(&session, &place, layer, Part::Archive).await?;
                let digest = Digest::of(&got.bytes);
                let pulled = self.load(url, digest, &got.bytes)?;
                let now = self.fetcher.clock().now();
                if let Err(error) = self.indexes.cache().put_archive(&digest, &got.bytes, now) {
                    self.uncached(&spec.url, &format!("{} {}", entry.name, entry.text), &error);
                }
                pulled
            }
        };
        locked(&self.undigested).insert(url.clone(), pulled.digest);
        Ok(pulled)
    }

    /// Returns the tags of a repository.
    ///
    /// # Errors
    /// They cannot be had.
    pub async fn oci_tags(&self, access: &Access, of: &Reference) -> Result<Vec<String>, Error> {
        let tags = Session::new(&self.fetcher, access.clone()).tags(of).await?;
        let key = of.to_string();
        let name = of.repository.rsplit('/').next().unwrap_or_default();
        let entries = oci::versions_of(&tags).into_iter().map(|version| entry(name, version));
        let listed = Listed { at: self.fetcher.clock().now(), entries: entries.collect() };
        // No key of `list`, whose addresses have a scheme: who may ask there may not ask here.
        locked(&self.listed).insert(key, listed);
        Ok(tags)
    }

    /// Returns the versions among the tags that [`Repositories::oci_tags`] saw last, newest first;
    /// none if it was never asked.
    pub fn oci_versions(&self, of: &Reference) -> Option<Vec<Entry>> {
        locked(&self.listed).get(&of.to_string()).map(|listed| listed.entries.clone())
    }

    /// Returns versions of a chart in a registry, the newest one marked if it says that it is
    /// deprecated: tags do not tell. Nothing is marked where it cannot be asked.
    pub async fn marked(
        &self,
        access: &Access,
        of: &Reference,
        entries: Arc<[Entry]>,
    ) -> Arc<[Entry]> {
        let newest = entries.iter().position(|entry| entry.version.pre().is_empty());
        let newest = newest.unwrap_or_default();
        let Some(entry) = entries.get(newest) else { return entries };
        let at = of.with(entry.text.replace('+', "_"));
        match self.described(access, &at).await {
            Ok(described) if described.deprecated => {
                let mut marked = entries.to_vec();
                marked[newest].deprecated = true;
                marked.into()
            }
            Ok(_) => entries,
            Err(error) => {
                tracing::debug!(chart = %at, error = chain(&error), "it is not known whether it is deprecated");
                entries
            }
        }
    }

    /// Returns what a chart says of itself; what its manifest names is cached.
    async fn described(&self, access: &Access, at: &Reference) -> Result<Described, Error> {
        let session = Session::new(&self.fetcher, access.clone());
        let config = Config::find(&session, at).await?;
        let (cache, now) = (self.indexes.cache(), self.fetcher.clock().now());
        let known = config.digest().and_then(|digest| cache.archive(&digest, now));
        if let Some(bytes) = known {
            return Described::read(at, &bytes);
        }
        let bytes = config.fetch(&session, at).await?;
        if let Err(error) = cache.put_archive(&Digest::of(&bytes), &bytes, now) {
            tracing::debug!(chart = %at, error = chain(&error), "chart cache cannot be written");
        }
        Described::read(at, &bytes)
    }

    /// Returns where the versions of a chart are in its registry.
    ///
    /// # Errors
    /// They cannot be there.
    pub fn place(spec: &RepositorySpec, chart: &str) -> Result<Reference, Error> {
        Ok(repository(&spec.url, chart).trim_start_matches("oci://").parse()?)
    }

    /// Returns the digest that a tag has now.
    ///
    /// # Errors
    /// It cannot be had.
    pub async fn oci_digest(&self, access: &Access, at: &Reference) -> Result<Digest, Error> {
        Ok(Session::new(&self.fetcher, access.clone()).resolve(at).await?)
    }
}
