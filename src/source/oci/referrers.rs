//! What a registry holds about something else: signatures, attestations, lists of parts.
//!
//! Source: OCI distribution-spec v1.1.1 "Listing Referrers", "Referrers Tag Schema".

use reqwest::StatusCode;

use super::ask::{Ask, next_page};
use super::client::{METADATA_BYTES, Session, pull_scope};
use super::content::{ACCEPTED, Descriptor, Index, is_index};
use super::error::Error;
use super::reference::Reference;
use crate::base::digest::Digest;

/// Most pages, and most manifests, that are looked at.
const PAGES: usize = 16;
const MANIFESTS: usize = 1000;

impl Session {
    /// Returns the manifests that are about another one; where the registry does not know, those that
    /// a tag names that is called after the digest.
    ///
    /// # Errors
    /// They cannot be had, or have no end.
    pub async fn referrers(
        &self,
        of: &Reference,
        digest: &Digest,
    ) -> Result<Vec<Descriptor>, Error> {
        let scope = pull_scope(&of.repository);
        let mut url = self.url(of.host(), &format!("{}/referrers/{digest}", of.repository))?;
        let mut found = Vec::new();
        for _ in 0..PAGES {
            let ask = Ask { accept: ACCEPTED, ..Ask::get(of.host(), url.clone(), &scope) };
            let answer = self.send(&ask).await?;
            if answer.status() == StatusCode::NOT_FOUND && found.is_empty() {
                return self.tagged(of, digest).await;
            }
            if answer.status() != StatusCode::OK {
                return Err(self.refused(&ask, answer).await);
            }
            let next = next_page(&ask, &answer)?;
            let bytes = self.body(&ask, answer, METADATA_BYTES).await?;
            let page: Index = serde_json::from_slice(&bytes)
                .map_err(|error| ask.answer(format!("failed to decode response: {error}")))?;
            found.extend(page.manifests);
            match next {
                None => return Ok(found),
                Some(next) if next == url || found.len() > MANIFESTS => break,
                Some(next) => url = next,
            }
        }
        let repository = of.with(digest.to_string()).to_string();
        Err(Error::Endless { repository, reason: "the list of referrers has no end".to_owned() })
    }

    async fn tagged(&self, of: &Reference, digest: &Digest) -> Result<Vec<Descriptor>, Error> {
        let at = of.with(format!("sha256-{}", digest.to_hex()));
        let fetched = match self.manifest(&at).await {
            Ok(fetched) => fetched,
            Err(error) if error.is_missing() => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        if !is_index(&fetched.media_type) {
            return Ok(Vec::new());
        }
        let index: Index = serde_json::from_slice(&fetched.bytes)
            .map_err(|error| Error::Reference(format!("index of {at} cannot be read: {error}")))?;
        Ok(index.manifests)
    }
}
