//! Artifacts of OCI registries: a layer of theirs, and the chart in it.

use std::collections::BTreeMap;

use super::failure::Wanted;
use super::{Pulled, Repositories, locked};
use crate::base::class::{Class, chain};
use crate::base::digest::Digest;
use crate::base::limit;
use crate::base::secret::SafeUrl;
use crate::repo::error::Error;
use crate::repo::tree::archive;
use crate::source::oci::{Access, Descriptor, Index, Manifest, Reference, Session, is_index};

/// What of an artifact is wanted.
#[derive(Debug, Clone, Copy)]
pub struct ArtifactPart<'a> {
    /// The first layer of this media type, or the first of all where it is empty.
    pub media_type: &'a str,
    /// Which files of it.
    pub files: LayerFiles<'a>,
}

/// Which files of a layer are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerFiles<'a> {
    /// All: the layer is taken as it is.
    All,
    /// Those that neither its `.sourceignore` files leave out, nor these rules. Where there are
    /// neither, it is taken as it is.
    Kept(Option<&'a str>),
}

impl LayerFiles<'_> {
    /// Returns the packed files of a layer; none: they are the layer.
    fn of(self, layer: &[u8]) -> Result<Option<Vec<u8>>, String> {
        match self {
            Self::Kept(rules) if rules.is_some() || archive::has_rules(layer) => {
                archive::without(layer, rules).map(Some)
            }
            Self::All | Self::Kept(_) => Ok(None),
        }
    }

    /// Tells it from others in the name of an artifact.
    fn mark(self) -> String {
        match self {
            Self::All => String::new(),
            Self::Kept(None) => "+".to_owned(),
            Self::Kept(Some(rules)) => format!("+{}", Digest::of(rules).to_hex()),
        }
    }
}

/// A layer of an artifact that is in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OciArtifact {
    /// Digest of the manifest, or of the index that it is in.
    pub manifest: Digest,
    /// Digest of the layer.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What the manifest says of it.
    pub annotations: BTreeMap<String, String>,
}

/// What can be wrong with an artifact.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// It has not the layer that is wanted.
    #[error("{0}")]
    Layer(String),
    /// It cannot be pulled.
    #[error(transparent)]
    Pull(#[from] Error),
}

impl ArtifactError {
    /// Returns what to do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::Layer(_) => Class::Retry,
            Self::Pull(error) => error.class(),
        }
    }
}

impl From<crate::source::oci::Error> for ArtifactError {
    fn from(error: crate::source::oci::Error) -> Self {
        Self::Pull(error.into())
    }
}

impl Repositories {
    /// Gets a part of an artifact, from the cache where its layer is there.
    ///
    /// # Errors
    /// There is no such layer, or it cannot be had.
    pub async fn oci_artifact(
        &self,
        access: &Access,
        at: &Reference,
        part: ArtifactPart<'_>,
    ) -> Result<(OciArtifact, bytes::Bytes), ArtifactError> {
        let session = Session::new(&self.fetcher, access.clone());
        let fetched = session.manifest(at).await?;
        let broken = |error: serde_json::Error| {
            ArtifactError::Layer(format!("manifest of {at} cannot be read: {error}"))
        };
        let manifest: Manifest = if is_index(&fetched.media_type) {
            let index: Index = serde_json::from_slice(&fetched.bytes).map_err(broken)?;
            let child = child(&index).ok_or_else(|| {
                ArtifactError::Layer(format!("no child with platform linux/amd64 in index {at}"))
            })?;
            let inner = session.manifest(&at.with(child.digest.as_str())).await?;
            serde_json::from_slice(&inner.bytes).map_err(broken)?
        } else {
            serde_json::from_slice(&fetched.bytes).map_err(broken)?
        };
        let layer = selected(&manifest, part.media_type).map_err(ArtifactError::Layer)?;
        let now = self.fetcher.clock().now();
        let known =
            layer.digest.parse().ok().and_then(|digest| self.indexes.cache().archive(&digest, now));
        let bytes = match known {
            Some(bytes) => bytes,
            None => {
                let bytes = session.blob(at, layer, limit::ARCHIVE_BYTES).await?;
                if let Err(error) =
                    self.indexes.cache().put_archive(&Digest::of(&bytes), &bytes, now)
                {
                    tracing::warn!(artifact = %at, error = chain(&error), "chart cache cannot be written");
                }
                bytes
            }
        };
        let kept = part.files.of(&bytes).map_err(|why| {
            let doing = "failed to extract layer contents from artifact";
            ArtifactError::Layer(format!("{doing}: {why}"))
        })?;
        let bytes = kept.map_or(bytes, bytes::Bytes::from);
        let artifact = OciArtifact {
            manifest: fetched.digest,
            digest: Digest::of(&bytes),
            size: bytes.len() as u64,
            annotations: manifest.annotations,
        };
        Ok((artifact, bytes))
    }

    /// Returns the chart that a part of an artifact is. Many releases may name one artifact: one of
    /// them fetches it, and soon after it could not be had the registry is not asked again.
    ///
    /// # Errors
    /// There is no such part, it cannot be had, or is no chart.
    pub async fn pull_artifact(
        &self,
        access: &Access,
        at: &Reference,
        part: ArtifactPart<'_>,
    ) -> Result<Pulled, ArtifactError> {
        let bad = |_| ArtifactError::Layer(format!("{at} is no address"));
        let url = format!("oci://{at}#{}{}", part.media_type, part.files.mark());
        let url: SafeUrl = url.parse().map_err(bad)?;
        if let Some(known) = self.known(&url, None)? {
            return Ok(known);
        }
        let gate = self.gate(&url);
        let passed = gate.lock().await;
        let pulled = self.pull_artifact_alone(access, at, (part, &url)).await;
        drop(passed);
        pulled
    }

    async fn pull_artifact_alone(
        &self,
        access: &Access,
        at: &Reference,
        (part, url): (ArtifactPart<'_>, &SafeUrl),
    ) -> Result<Pulled, ArtifactError> {
        if let Some(known) = self.known(url, None)? {
            return Ok(known);
        }
        let wanted = Wanted::of_registry(access, url, "");
        let now = || self.fetcher.clock().now();
        if let Some(error) = self.failures.recent(&wanted, now()) {
            return Err(error.into());
        }
        let pulled = self.download_artifact(access, at, (part, url)).await;
        let failed = pulled.as_ref().err().map(|error| (chain(error), error.class()));
        self.failures.note(&wanted, now(), failed);
        pulled
    }

    async fn download_artifact(
        &self,
        access: &Access,
        at: &Reference,
        (part, url): (ArtifactPart<'_>, &SafeUrl),
    ) -> Result<Pulled, ArtifactError> {
        let (artifact, bytes) = self.oci_artifact(access, at, part).await?;
        let pulled = self.load(url, artifact.digest, &bytes)?;
        if part.files != LayerFiles::All {
            // A layer is kept as it came; of this one something is missing.
            let now = self.fetcher.clock().now();
            let kept = self.indexes.cache().put_archive(&artifact.digest, &bytes, now);
            if let Err(error) = kept {
                tracing::warn!(artifact = %at, error = chain(&error), "chart cache cannot be written");
            }
        }
        locked(&self.undigested).insert(url.clone(), artifact.digest);
        Ok(pulled)
    }
}

/// The manifest that Flux takes of several.
fn child(index: &Index) -> Option<&Descriptor> {
    let fits = |child: &&Descriptor| {
        child.platform.as_ref().is_none_or(|p| p.os == "linux" && p.architecture == "amd64")
    };
    index.manifests.iter().find(fits)
}

fn selected<'a>(manifest: &'a Manifest, media_type: &str) -> Result<&'a Descriptor, String> {
    if manifest.layers.is_empty() {
        return Err("no layers found in artifact".to_owned());
    }
    let fits = |layer: &&Descriptor| media_type.is_empty() || layer.media_type == media_type;
    let missing = || format!("failed to find layer with media type '{media_type}' in artifact");
    manifest.layers.iter().find(fits).ok_or_else(missing)
}
