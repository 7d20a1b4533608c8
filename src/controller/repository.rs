//! Keeps one `HelmRepository` fresh.
//!
//! Source: fluxcd/source-controller internal/controller/helmrepository_controller.go.

use std::collections::BTreeMap;
use std::time::Duration;

use super::access::{self, Problem};
use super::artifact;
use super::context::Context;
use super::notice::Severity;
use super::queue::{Phase, Report, Requeue, jittered};
use super::settled::begin_anew;
use super::source::{self, Source as _};
use super::status;
use crate::api::condition::{
    ARTIFACT_IN_STORAGE, Conditions, FETCH_FAILED, READY, STORAGE_FAILED, Truth,
};
use crate::api::{Artifact, HelmRepository, HelmRepositoryStatus};
use crate::base::class::{Class, chain};
use crate::base::clock::rfc3339_seconds;
use crate::base::name::NamespacedName;
use crate::base::secret::SafeUrl;
use crate::cluster;
use crate::repo::{Content, Refreshed, Text, Trouble};

/// Kind of the objects.
pub(super) const KIND: &str = "HelmRepository";

/// Reason and text of what could not be stored.
type Unstored = (&'static str, String);

/// Fetches the index if it is time, and says how it went.
pub(super) async fn reconcile(context: &Context, key: &NamespacedName) -> Report {
    source::ended(KIND, key, reconcile_inner(context, key).await)
}

async fn reconcile_inner(
    context: &Context,
    key: &NamespacedName,
) -> Result<Report, cluster::Error> {
    let repository: HelmRepository = match source::begin(context, key).await? {
        Ok(repository) => repository,
        Err(report) => return Ok(report),
    };
    if repository.spec.is_oci() {
        return forget(context, &repository).await;
    }
    let is_served = artifact::is_served(context, &repository, &address(&repository)).await;
    let text = match context.options.storage {
        None => Text::No,
        Some(_) if is_served => Text::OfNew,
        Some(_) => Text::Always,
    };
    let result = match access::spec(&context.cluster, &repository).await {
        Ok(spec) => {
            let refreshed = context.repositories.refresh_with(&spec, text).await;
            let refreshed = refreshed.map_err(|error| {
                let reason = match &error {
                    crate::repo::Error::Index { .. } => "IndexationFailed",
                    _ => "Failed",
                };
                (reason, chain(&error), error.class())
            });
            let uncached = say_troubles(context, &repository, &spec.url).await;
            refreshed.map(|refreshed| (refreshed, uncached))
        }
        Err(problem) => Err(problem),
    };
    let report = report(context, &repository, result.as_ref().map(|(refreshed, _)| refreshed));
    let mut new = repository.status.clone();
    let result = match result {
        Ok((refreshed, uncached)) => {
            let is_known = is_served && is_of(&repository, &refreshed);
            let unstored = match is_known {
                true => None,
                false => store(context, &repository, &refreshed, &mut new).await,
            };
            Ok((refreshed, uncached.map(|text| ("CacheFailed", text)).or(unstored)))
        }
        Err(problem) => Err(problem),
    };
    note(context, &repository, new, result).await?;
    Ok(report)
}

/// Whether the artifact in the status is of an index.
fn is_of(repository: &HelmRepository, refreshed: &Refreshed) -> bool {
    let artifact = repository.status.artifact.as_ref();
    artifact.is_some_and(|artifact| artifact.revision == refreshed.revision)
}

/// Stores an index and notes it; returns reason and text where that failed. Releases use it all the
/// same.
async fn store(
    context: &Context,
    repository: &HelmRepository,
    refreshed: &Refreshed,
    new: &mut HelmRepositoryStatus,
) -> Option<Unstored> {
    let made = made(repository, refreshed, rfc3339_seconds(context.clock.now()));
    let (stored, unstored) = match &refreshed.text {
        Some(text) => {
            let content = Content::File(text.clone());
            let stored = artifact::store::<HelmRepository>(context, made.clone(), content).await;
            let _ = std::fs::remove_file(text);
            match stored {
                Ok(stored) => (stored, None),
                Err(failure) => ((made, String::new()), Some((failure.reason, failure.message))),
            }
        }
        None => ((made, String::new()), None),
    };
    (new.artifact, new.url) = (Some(stored.0), stored.1);
    unstored
}

/// A registry has no index: nothing is fetched of it, and nothing said of it. What an index left is
/// taken away.
async fn forget(context: &Context, repository: &HelmRepository) -> Result<Report, cluster::Error> {
    let old = &repository.status;
    source::forget::<HelmRepository>(context, &repository.metadata.key());
    if old.artifact.is_some() || !old.conditions.is_empty() {
        let id = HelmRepository::id(&repository.metadata.key());
        status::write(&context.cluster, &id, old, &serde_json::json!({})).await?;
    }
    Ok(Report::new(Requeue::OnChange, Phase::Ready))
}

/// Says what is amiss with a repository that works all the same; returns why its index could not
/// be cached, if so.
pub(super) async fn say_troubles(
    context: &Context,
    repository: &HelmRepository,
    url: &SafeUrl,
) -> Option<String> {
    let subject = repository.subject();
    let mut uncached = None;
    for trouble in context.repositories.take_troubles(url) {
        let (reason, text) = match trouble {
            Trouble::Entries(text) => ("EntriesLeftOut", text),
            Trouble::Cache(text) => {
                uncached = Some(text.clone());
                ("CacheFailed", text)
            }
            Trouble::Tags(text) => ("ChartPullError", text),
        };
        let recorder = &context.recorder;
        recorder.record(&subject, Severity::Warning, reason, text, &BTreeMap::new()).await;
    }
    uncached
}

fn report(
    context: &Context,
    repository: &HelmRepository,
    result: Result<&Refreshed, &Problem>,
) -> Report {
    let interval = repository.spec.interval.map_or(Duration::from_secs(60), |interval| interval.0);
    let interval = context.options.interval.unwrap_or(interval);
    match result {
        Ok(_) => Report::new(Requeue::After(jittered(interval)), Phase::Ready),
        Err((_, _, Class::Wait(pause))) => Report::new(Requeue::After(*pause), Phase::Failed),
        Err((_, _, Class::Stalled)) => {
            Report::new(Requeue::After(jittered(interval)), Phase::Failed)
        }
        Err(_) => Report::new(Requeue::Backoff, Phase::Failed),
    }
}

async fn note(
    context: &Context,
    repository: &HelmRepository,
    mut new: HelmRepositoryStatus,
    result: Result<(Refreshed, Option<Unstored>), Problem>,
) -> Result<(), cluster::Error> {
    let meta = &repository.metadata;
    let mut list = std::mem::take(&mut new.conditions);
    let mut conditions = Conditions::new(&mut list, meta.generation, context.clock.now());
    let url = &repository.spec.url;
    begin_anew(&mut conditions);
    let mut event = None;
    match result {
        Ok((refreshed, unstored)) => {
            let message = format!("stored artifact: revision '{}'", refreshed.revision);
            conditions.delete(FETCH_FAILED);
            let is_new = !is_of(repository, &refreshed);
            if let Some((reason, text)) = unstored {
                conditions.set(STORAGE_FAILED, Truth::True, reason, text);
            } else if refreshed.changed || refreshed.text.is_some() {
                conditions.delete(STORAGE_FAILED);
            }
            conditions.set(READY, Truth::True, "Succeeded", &message);
            conditions.set(ARTIFACT_IN_STORAGE, Truth::True, "Succeeded", &message);
            if is_new {
                let text =
                    format!("stored fetched index of size {} from '{url}'", size(refreshed.size));
                event = Some((Severity::Normal, "NewArtifact", text));
            }
            new.observed_generation = meta.generation;
        }
        Err((reason, text, class)) => {
            let message = format!("failed to fetch Helm repository index: {text}");
            conditions.set(FETCH_FAILED, Truth::True, reason, &message);
            conditions.set(READY, Truth::False, reason, &message);
            if class == Class::Stalled {
                new.observed_generation = meta.generation;
            }
            event = Some((Severity::Warning, reason, message));
        }
    }
    new.conditions = list;
    source::finish(context, repository, new, event).await
}

/// Where an index comes from that is not served.
fn address(repository: &HelmRepository) -> String {
    format!("{}/index.yaml", repository.spec.url.trim_end_matches('/'))
}

fn made(repository: &HelmRepository, refreshed: &Refreshed, time: String) -> Artifact {
    let hex = refreshed.revision.trim_start_matches("sha256:");
    Artifact {
        path: artifact::path::<HelmRepository>(&repository.metadata, &format!("index-{hex}.yaml")),
        url: address(repository),
        revision: refreshed.revision.clone(),
        digest: refreshed.revision.clone(),
        last_update_time: time,
        size: refreshed.size,
        metadata: BTreeMap::new(),
    }
}

/// Decimal units, four significant digits.
fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let mut number = bytes as f64;
    for unit in ["B", "kB", "MB"] {
        if number < 1000.0 {
            return format!("{number:.4}").trim_end_matches('0').trim_end_matches('.').to_owned()
                + unit;
        }
        number /= 1000.0;
    }
    format!("{number:.3}GB")
}
