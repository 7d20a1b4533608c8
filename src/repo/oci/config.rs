//! What a chart in a registry says of itself: its `Chart.yaml`, which is the artifact's config. It is
//! had without the archive.

use bytes::Bytes;
use serde::Deserialize;

use super::{CONFIG, helm, parts};
use crate::base::digest::Digest;
use crate::base::limit;
use crate::repo::error::Error;
use crate::source::oci::{Descriptor, Reference, Session};

/// What a chart says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Described {
    /// One sentence about it.
    pub description: String,
    /// Version of the application.
    pub app_version: String,
    /// Whether it is deprecated: of its newest version, all of them are.
    pub deprecated: bool,
}

/// A config that a manifest names.
pub(in crate::repo) struct Config {
    blob: Descriptor,
}

impl Config {
    /// Finds the config of a chart in its manifest.
    pub(in crate::repo) async fn find(session: &Session, at: &Reference) -> Result<Self, Error> {
        let (_, parts) = parts(session, at).await?;
        let missing = || helm(format!("could not load config with mediatype {CONFIG}"));
        let blob = parts.into_iter().find(|blob| blob.media_type == CONFIG).ok_or_else(missing)?;
        Ok(Self { blob })
    }

    /// Returns its digest; none if it has no such of ours.
    pub(in crate::repo) fn digest(&self) -> Option<Digest> {
        self.blob.digest.parse().ok()
    }

    /// Fetches it.
    pub(in crate::repo) async fn fetch(
        &self,
        session: &Session,
        at: &Reference,
    ) -> Result<Bytes, Error> {
        let bytes = session.blob(at, &self.blob, limit::SOURCE_FILE_BYTES).await;
        Ok(bytes.map_err(|error| error.at("Fetch", "source"))?)
    }
}

impl Described {
    /// Reads a config.
    pub(in crate::repo) fn read(at: &Reference, config: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(config)
            .map_err(|error| helm(format!("config of {at} cannot be read: {error}")))
    }
}

/// Returns what a chart says of itself.
///
/// # Errors
/// It is not there, or is no chart.
pub async fn describe(session: &Session, at: &Reference) -> Result<Described, Error> {
    let config = Config::find(session, at).await?;
    Described::read(at, &config.fetch(session, at).await?)
}
