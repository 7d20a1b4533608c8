//! Keeps one `HelmRepository` fresh.
//!
//! Source: fluxcd/source-controller internal/controller/helmrepository_controller.go.

use std::collections::BTreeMap;

use super::access::{self, Problem};
use super::artifact;
use super::context::Context;
use super::notice::Severity;
use super::queue::{Phase, Report, Requeue};
use super::settled::{self, NEW, News, Success, begin_anew};
use super::source::{self, Source as _};
use super::status;
use crate::api::condition::{
    ARTIFACT_IN_STORAGE, Conditions, FETCH_FAILED, READY, STALLED, STORAGE_FAILED, Truth, is_true,
};
use crate::api::{Artifact, HelmRepository, HelmRepositoryStatus};
use crate::base::class::{Class, chain};
use crate::base::clock::rfc3339_seconds;
use crate::base::name::NamespacedName;
use crate::base::secret::SafeUrl;
use crate::cluster;
use crate::repo::{Content, Error, Refreshed, Text, Trouble};

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
            let refreshed = refreshed.map_err(|error| failed(&error));
            let uncached = say_troubles(context, &repository, &spec.url).await;
            refreshed.map(|refreshed| (refreshed, uncached))
        }
        Err(problem) => Err(problem),
    };
    let given = context.options.interval.or(repository.spec.interval.map(|given| given.0));
    let report = Report::of_artifact(result.as_ref().err().map(|problem| problem.2), given);
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

/// Says why there is no index.
fn failed(error: &Error) -> Problem {
    let (reason, doing) = match error {
        Error::Index { .. } => {
            ("IndexationFailed", "failed to load Helm repository from index YAML")
        }
        _ => ("Failed", "failed to fetch Helm repository index"),
    };
    (reason, format!("{doing}: {}", chain(error)), error.class())
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
    let event = match result {
        Ok((refreshed, unstored)) => {
            let message = format!("stored artifact: revision '{}'", refreshed.revision);
            conditions.delete(FETCH_FAILED);
            if let Some((reason, text)) = unstored {
                conditions.set(STORAGE_FAILED, Truth::True, reason, text);
            } else if refreshed.changed || refreshed.text.is_some() {
                conditions.delete(STORAGE_FAILED);
            }
            conditions.set(READY, Truth::True, "Succeeded", &message);
            conditions.set(ARTIFACT_IN_STORAGE, Truth::True, "Succeeded", &message);
            let still_fails = is_true(conditions.list(), STORAGE_FAILED);
            new.observed_generation = meta.generation;
            let told =
                format!("stored fetched index of size {} from '{url}'", size(refreshed.size));
            let success = Success { reason: "Succeeded", message, news: NEW, told };
            let news = match settled::news(repository.status.clone(), &mut new) {
                News::Recovery if still_fails => News::Nothing,
                news => news,
            };
            let event = settled::event(news, success);
            event.map(|(reason, told)| (Severity::Normal, reason, told))
        }
        Err((reason, message, class)) => {
            conditions.set(FETCH_FAILED, Truth::True, reason, &message);
            conditions.set(READY, Truth::False, reason, &message);
            if class == Class::Stalled {
                conditions.set(STALLED, Truth::True, reason, &message);
                new.observed_generation = meta.generation;
            }
            Some((Severity::Warning, reason, message))
        }
    };
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
///
/// Source: docker/go-units size.go (`HumanSize`).
fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let mut number = bytes as f64;
    let mut units = ["B", "kB", "MB", "GB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    while number >= 1000.0
        && let Some(larger) = units.next()
    {
        (number, unit) = (number / 1000.0, larger);
    }
    let decimals = if number < 10.0 {
        3
    } else if number < 100.0 {
        2
    } else {
        1
    };
    let text = format!("{number:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned() + unit
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some of the rows are those of go-units (size_test.go).
    #[test]
    fn sizes_have_four_significant_digits() {
        let rows = [
            (0, "0B"),
            (7, "7B"),
            (100, "100B"),
            (999, "999B"),
            (1000, "1kB"),
            (1024, "1.024kB"),
            (12_345, "12.35kB"),
            (999_960, "1000kB"),
            (1_000_000, "1MB"),
            (1_048_576, "1.049MB"),
            (5_670_000, "5.67MB"),
            (22_345_678, "22.35MB"),
            (3_420_000_000, "3.42GB"),
        ];
        for (bytes, want) in rows {
            assert_eq!(size(bytes), want);
        }
    }

    #[test]
    fn why_there_is_no_index_is_said_as_by_flux() {
        let url = || "https://a.example".parse().unwrap();
        let reason = "it is empty".to_owned();
        let rows = [
            (
                Error::Index { url: url(), reason },
                "IndexationFailed",
                "failed to load Helm repository from index YAML: index of `",
            ),
            (Error::Unfetched(url()), "Failed", "failed to fetch Helm repository index: "),
        ];
        for (error, reason, words) in rows {
            let (got, text, class) = failed(&error);
            assert_eq!((got, class), (reason, Class::Retry));
            assert!(text.starts_with(words), "{text}");
        }
    }
}
