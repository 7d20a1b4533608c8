//! Artifacts in storage: looked at when a reconciliation begins, stored where there is a new one.
//!
//! Source: fluxcd/source-controller internal/controller (`reconcileStorage`, `reconcileArtifact`),
//! fluxcd/pkg artifact/storage.

use std::sync::Arc;

use super::context::Context;
use super::notice::Severity;
use super::settled::Failure;
use super::source::{Said as _, Source};
use crate::api::condition::STORAGE_FAILED;
use crate::api::{Artifact, Meta};
use crate::base::class::{Class, chain};
use crate::repo::{Content, Presence, Storage};

/// Reason where an artifact cannot be stored.
pub(super) const UNSTORED: &str = "ArchiveOperationFailed";

/// Whether the artifact in a status can be had where the status says: in storage, undamaged; without
/// storage, at `own`. What is not kept any more is removed.
pub(super) async fn is_served<T: Source>(context: &Context, source: &T, own: &str) -> bool {
    let mut status = source.status().clone();
    let Some(artifact) = status.parts().artifact.take() else { return false };
    let Some(storage) = context.options.storage.clone() else { return artifact.url == own };
    let now = context.clock.now();
    let looked = tokio::task::spawn_blocking(move || {
        let presence = storage.check(&artifact);
        if presence == Presence::Intact {
            storage.collect(&artifact.path, Some(T::LATEST), now);
        }
        presence
    });
    match looked.await {
        Ok(Presence::Intact) => true,
        Ok(Presence::Damaged(why)) => {
            let text = format!("failed to verify integrity of artifact: {why}");
            let (subject, reason) = (source.subject(), "ArtifactVerificationFailed");
            let recorder = &context.recorder;
            recorder.record(&subject, Severity::Warning, reason, text, &Default::default()).await;
            false
        }
        Ok(Presence::Missing) | Err(_) => false,
    }
}

/// Returns the path of an artifact.
pub(super) fn path<T: Source>(meta: &Meta, file: &str) -> String {
    format!("{}/{}/{}/{file}", T::KIND.to_lowercase(), meta.namespace, meta.name)
}

/// Stores an artifact, where there is storage: then its address, digest and size are those of what is
/// served. Returns it with the address of the newest one.
///
/// # Errors
/// It cannot be stored.
pub(super) async fn store<T: Source>(
    context: &Context,
    mut artifact: Artifact,
    content: Content,
) -> Result<(Artifact, String), Failure> {
    let Some(storage) = context.options.storage.clone() else {
        return Ok((artifact, String::new()));
    };
    let latest = latest::<T>(&storage, &artifact.path);
    let now = context.clock.now();
    let stored = tokio::task::spawn_blocking(move || {
        let (digest, size) = storage.put(&artifact.path, Some(T::LATEST), &content, now)?;
        artifact.url = storage.url(&artifact.path);
        artifact.digest = digest.to_string();
        artifact.size = size;
        Ok::<_, crate::base::file::Error>(artifact)
    });
    let failed = |text: String| Failure {
        kind: STORAGE_FAILED,
        reason: UNSTORED,
        message: format!(
            "unable to save artifact to storage: {text}; make room or choose another folder with --storage-path"
        ),
        class: Class::Retry,
    };
    let stored = stored.await.map_err(|error| failed(error.to_string()))?;
    Ok((stored.map_err(|error| failed(chain(&error)))?, latest))
}

fn latest<T: Source>(storage: &Arc<Storage>, path: &str) -> String {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    storage.url(&format!("{folder}/{}", T::LATEST))
}
