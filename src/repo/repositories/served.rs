//! Artifacts that other controllers serve over HTTP, and the charts that they are.

use std::time::Duration;

use super::failure::Wanted;
use super::{Pulled, Repositories, locked};
use crate::base::class::chain;
use crate::base::digest::{self, Digest};
use crate::base::limit;
use crate::base::secret::SafeUrl;
use crate::repo::error::Error;
use crate::source::{Fetch, Fetched, Kind};

/// Longest time of a download.
const TIMEOUT: Duration = Duration::from_secs(60);

impl Repositories {
    /// Returns the chart that an artifact is, which is served to everybody at an address and has this
    /// digest (SHA-256, SHA-384 or SHA-512). It is asked for once, however many want it.
    ///
    /// # Errors
    /// It cannot be had, is another one than is meant, or is no chart.
    pub async fn pull_served(&self, url: &SafeUrl, promised: &str) -> Result<Pulled, Error> {
        // One address may have another artifact later.
        let mut named = url.expose().clone();
        named.set_fragment(Some(promised));
        let named = SafeUrl::from(named);
        let known = promised.parse().ok();
        if let Some(known) = self.known(&named, known)? {
            return Ok(known);
        }
        let gate = self.gate(&named);
        let passed = gate.lock().await;
        let pulled = match self.known(&named, known) {
            Ok(Some(pulled)) => Ok(pulled),
            Ok(None) => self.pull_served_alone(url, promised).await,
            Err(error) => Err(error),
        };
        drop(passed);
        let pulled = pulled?;
        locked(&self.undigested).insert(named, pulled.digest);
        Ok(pulled)
    }

    async fn pull_served_alone(&self, url: &SafeUrl, promised: &str) -> Result<Pulled, Error> {
        let wanted = Wanted::of_artifact(url, promised);
        let now = || self.fetcher.clock().now();
        if let Some(error) = self.failures.recent(&wanted, now()) {
            return Err(error);
        }
        let pulled = self.download_served(url, promised).await;
        let failed = pulled.as_ref().err().map(|error| (chain(error), error.class()));
        self.failures.note(&wanted, now(), failed);
        pulled
    }

    async fn download_served(&self, url: &SafeUrl, promised: &str) -> Result<Pulled, Error> {
        let fetch = Fetch {
            url: url.clone(),
            etag: String::new(),
            last_modified: String::new(),
            limit_bytes: limit::ARCHIVE_BYTES,
            timeout: TIMEOUT,
            credentials: None,
            tls: None,
            kind: Kind::Archive,
        };
        let refused = || (url.clone(), promised.to_owned());
        let Fetched::Body { bytes, .. } = self.fetcher.fetch(&fetch).await? else {
            let reason = "the server has nothing new of it".to_owned();
            return Err(Error::Index { url: url.clone(), reason });
        };
        match digest::is_of(&bytes, promised) {
            Some(true) => {}
            Some(false) => {
                let (url, wanted) = refused();
                return Err(Error::Integrity { url, wanted });
            }
            None => {
                let (url, wanted) = refused();
                return Err(Error::Algorithm { url, wanted });
            }
        }
        let digest = Digest::of(&bytes);
        let pulled = self.load(url, digest, &bytes)?;
        let now = self.fetcher.clock().now();
        if let Err(error) = self.indexes.cache().put_archive(&digest, &bytes, now) {
            tracing::warn!(artifact = %url, error = chain(&error), "chart cache cannot be written");
        }
        Ok(pulled)
    }
}
