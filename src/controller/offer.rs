//! Newer versions than the one that runs: what the source of a release has, told in its status and,
//! once for each version, by an event.
//!
//! Invariants: nothing is asked of a repository for this alone while the controller runs; a status
//! whose CRD does not keep the field is not written again and again.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use super::execute::Work;
use super::memory::{self, Memory, Told};
use super::notice::Severity;
use super::prerequisite::Prerequisites;
use super::source::Source;
use super::{access, helm_chart, history, oci_repository, repository};
use crate::api::annotation::{HOLD, PIN};
use crate::api::{
    AvailableUpdates, ChartSpec, HelmChart, HelmRelease, HelmRepository, OciRepository, SourceRef,
};
use crate::base::class::chain;
use crate::base::name::NamespacedName;
use crate::base::secret::SafeUrl;
use crate::policy::{Level, Offer, Offers, Published, Quarantine, Rule, Rules, Standing, offers};
use crate::repo::{Entry, Repositories, RepositorySpec, allowed};

/// Versions that were told which are remembered.
const REMEMBERED: usize = 32;
/// How long tags are good for.
const LISTED: Duration = Duration::from_secs(60);

/// All versions that a source has, and the range that is wanted of them.
#[derive(Debug)]
pub(super) struct Offered {
    entries: Arc<[Entry]>,
    range: String,
}

/// Returns what a repository has of a release's chart, as far as it was asked already.
pub(super) fn by_repository(
    context: &Context,
    release: &HelmRelease,
    repository: &HelmRepository,
) -> Option<Offered> {
    let chart = &release.spec.chart.as_ref()?.spec;
    let url: SafeUrl = repository.spec.url.parse().ok()?;
    let entries = context.repositories.versions(&url, &chart.chart).ok()?;
    Some(Offered { entries, range: range(chart.version.as_deref()) })
}

/// Returns what a registry has of the artifact of a source, as far as it was asked already.
pub(super) fn by_artifact(context: &Context, source: &OciRepository) -> Option<Offered> {
    let at = source.spec.url.strip_prefix("oci://")?.parse().ok()?;
    let entries = context.repositories.oci_versions(&at)?.into();
    Some(Offered { entries, range: artifact_range(source) })
}

/// Returns what the repository of a `HelmChart` has of it, as far as it was asked already.
pub(super) async fn by_chart(context: &Context, source: &HelmChart) -> Option<Offered> {
    let chart = &source.spec.chart;
    let key = NamespacedName::new(&source.metadata.namespace, &chart.source_ref.name);
    if chart.source_ref.kind != repository::KIND {
        return None;
    }
    let found = context.cluster.get(&HelmRepository::id(&key)).await.ok()??;
    let found: HelmRepository = serde_json::from_value(found.0).ok()?;
    let entries = context.repositories.versions(&found.spec.url.parse().ok()?, &chart.chart);
    Some(Offered { entries: entries.ok()?, range: range(chart.version.as_deref()) })
}

fn range(version: Option<&str>) -> String {
    version.filter(|version| !version.is_empty()).unwrap_or("*").to_owned()
}

fn artifact_range(source: &OciRepository) -> String {
    let wanted = source.spec.reference.clone().unwrap_or_default();
    let all = [wanted.digest, wanted.semver, wanted.tag];
    all.into_iter().find(|text| !text.is_empty()).unwrap_or_else(|| "latest".to_owned())
}

/// A version that runs, and who decides about the next one.
#[derive(Debug, Clone, Copy)]
pub struct Running<'a> {
    /// The version.
    pub version: &'a str,
    /// The `HelmRelease` with its range and the versions that failed on it; none: nobody takes a
    /// version by itself.
    pub keeper: Option<(&'a HelmRelease, &'a str, &'a Quarantine)>,
}

/// Returns the newer versions among those that a source has.
///
/// # Errors
/// A text for people: the version or the range is none.
pub fn newer(entries: &[Entry], running: Running<'_>) -> Result<Offers, String> {
    let version = running.version;
    let parsed = version.parse().map_err(|error| format!("version {version}: {error}"))?;
    let range = running.keeper.map(|(_, range, _)| range);
    // What is no constraint may be the name of a tag: it allows no version.
    let allows = range.and_then(|range| allowed(entries, range).ok());
    let published = |entry: &Entry| Published {
        text: entry.text.clone(),
        version: entry.version.clone(),
        allowed: allows.as_ref().is_some_and(|allows| allows(entry)),
        deprecated: entry.deprecated,
    };
    let published: Vec<Published> = entries.iter().map(published).collect();
    let none = Quarantine::default();
    let release = running.keeper.map(|(release, _, _)| release);
    let annotation = |name| release.and_then(|release| release.metadata.annotation(name));
    Ok(offers(
        &published,
        &Standing {
            running: &parsed,
            range,
            rules: Rules {
                pin: annotation(PIN).filter(|pin| !pin.is_empty()),
                hold: annotation(HOLD),
            },
            suspended: release.is_some_and(|release| release.spec.suspend),
            quarantine: running.keeper.map_or(&none, |(_, _, quarantine)| quarantine),
            numbered: release.is_some_and(|release| release.spec.numbers_versions()),
        },
    ))
}

/// What an event says, and of which version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct News(String);

/// Notes what is newer than what runs now, in the status and in what is remembered; returns what is
/// still to be told.
pub(super) fn note(
    work: &mut Work<'_>,
    needs: &Prerequisites,
    remembered: &mut Memory,
) -> Vec<News> {
    let Some(offered) = &needs.offered else { return Vec::new() };
    let Some(good) = history::newest_good(&work.status.history) else { return Vec::new() };
    let keeper = Some((work.release, offered.range.as_str(), &remembered.quarantine));
    let running = Running { version: &good.chart_version, keeper };
    let Ok(offers) = newer(&offered.entries, running) else { return Vec::new() };
    let news = untold(&good.chart_name, &offers, &mut remembered.told);
    let live = work.release.status.available_updates.as_ref();
    work.status.available_updates = shown(live, updates(&offers), &mut remembered.told);
    news
}

/// Tells what is new.
pub(super) async fn tell(work: &Work<'_>, news: Vec<News>) {
    for News(text) in news {
        let recorder = &work.context.recorder;
        recorder
            .record(
                work.subject,
                Severity::Normal,
                "NewVersionAvailable",
                text,
                &Default::default(),
            )
            .await;
    }
}

/// Returns what nobody was told yet, and remembers it as told.
fn untold(chart: &str, offers: &Offers, told: &mut Told) -> Vec<News> {
    let mut news = Vec::new();
    for (level, offer) in offers.each() {
        if told.versions.contains(&offer.version) {
            continue;
        }
        told.versions.push(offer.version.clone());
        // It was tried here, which was told.
        if !matches!(offer.held, Some((Rule::Quarantine, _))) {
            news.push(News(said(chart, level, offer)));
        }
    }
    let surplus = told.versions.len().saturating_sub(REMEMBERED);
    told.versions.drain(..surplus);
    news
}

fn said(chart: &str, level: Level, offer: &Offer) -> String {
    let held = match &offer.held {
        Some((rule, reason)) => format!("; {}: {reason}", rule.as_str()),
        None => String::new(),
    };
    let deprecated = if offer.deprecated { ", deprecated" } else { "" };
    format!("{chart} {} is available ({}{deprecated}){held}", offer.version, level.as_str())
}

fn updates(offers: &Offers) -> Option<AvailableUpdates> {
    let version = |offer: &Option<Offer>| {
        offer.as_ref().map(|offer| offer.version.clone()).unwrap_or_default()
    };
    (!offers.is_empty()).then(|| AvailableUpdates {
        patch: version(&offers.patch),
        minor: version(&offers.minor),
        major: version(&offers.major),
        deprecated: offers.deprecated,
    })
}

/// Returns what the status is to say. What was written and is not there is written once more, in
/// case that somebody wiped the status; then its CRD does not keep it, and it is left out.
fn shown(
    live: Option<&AvailableUpdates>,
    new: Option<AvailableUpdates>,
    told: &mut Told,
) -> Option<AvailableUpdates> {
    let tried = told.updates == new;
    told.updates.clone_from(&new);
    told.dropped = match (live, &new) {
        (Some(_), _) | (None, None) => false,
        (None, Some(_)) if tried && told.dropped => return None,
        (None, Some(_)) => tried || told.dropped,
    };
    new
}

/// What is found out about a release.
#[derive(Debug)]
pub struct Found {
    /// The chart.
    pub chart: String,
    /// The version that runs.
    pub current: String,
    /// The range.
    pub range: String,
    /// What is newer.
    pub offers: Offers,
}

/// Why nothing is known about a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// There is nothing to be known.
    Nothing(String),
    /// It could not be found out.
    Failed(String),
}

/// Returns all versions of a chart, newest first; a repository that is not in `asked` is asked for
/// news first.
///
/// # Errors
/// It cannot be asked, or does not have the chart.
pub async fn versions(
    repositories: &Repositories,
    (spec, chart): (&RepositorySpec, &str),
    asked: &mut HashSet<SafeUrl>,
) -> Result<Arc<[Entry]>, crate::repo::Error> {
    if let Some(access) = &spec.registry {
        repositories.list(spec, chart, ("*", LISTED)).await?;
        let entries = repositories.versions(&spec.url, chart)?;
        let place = Repositories::place(spec, chart)?;
        return Ok(repositories.marked(access, &place, entries).await);
    }
    if asked.insert(spec.url.clone()) {
        repositories.refresh(spec).await?;
    }
    repositories.versions(&spec.url, chart)
}

/// Returns how a repository is asked; none where its Secrets cannot be read.
pub async fn repository_spec(
    context: &Context,
    repository: &HelmRepository,
) -> Option<RepositorySpec> {
    access::spec(&context.cluster, repository).await.ok()
}

/// Finds out what is newer than what a release that nobody installed would run: the newest version
/// of its range, or the one that it is pinned to. Its source is asked for news.
///
/// # Errors
/// Nothing is known.
pub async fn foresee(
    context: &Context,
    release: &HelmRelease,
    asked: &mut HashSet<SafeUrl>,
) -> Result<Found, Unknown> {
    let Offered { entries, range } = offered(context, release, asked).await?;
    let pin = release.metadata.annotation(PIN).filter(|pin| !pin.is_empty());
    let first = first_of(&entries, pin.unwrap_or(&range)).map_err(Unknown::Nothing)?;
    let (chart, current) = (first.name.clone(), first.text.clone());
    let nothing_failed = Quarantine::default();
    let keeper = Some((release, range.as_str(), &nothing_failed));
    let offers = newer(&entries, Running { version: &current, keeper }).map_err(Unknown::Failed)?;
    Ok(Found { chart, current, offers, range })
}

/// Returns the newest version that a range allows.
fn first_of<'e>(entries: &'e [Entry], range: &str) -> Result<&'e Entry, String> {
    let Ok(allows) = allowed(entries, range) else {
        return Err(format!("{range} is no range of versions"));
    };
    let first = entries.iter().find(|entry| allows(entry));
    first.ok_or_else(|| format!("its source has no version that {range} allows"))
}

/// Finds out what is newer than what a release runs; its source is asked for news, and nothing is
/// written or remembered.
///
/// # Errors
/// Nothing is known.
pub async fn look(
    context: &Context,
    release: &HelmRelease,
    asked: &mut HashSet<SafeUrl>,
) -> Result<Found, Unknown> {
    let good = history::newest_good(&release.status.history);
    let good = good.ok_or_else(|| Unknown::Nothing("nothing runs yet".to_owned()))?;
    let Offered { entries, range } = offered(context, release, asked).await?;
    let meta = &release.metadata;
    let remembered = memory::read(&context.cluster, &meta.namespace, &meta.name).await;
    let quarantine = remembered.map_err(|error| Unknown::Failed(chain(&error)))?.quarantine;
    let (chart, current) = (good.chart_name.clone(), good.chart_version.clone());
    let keeper = Some((release, range.as_str(), &quarantine));
    let offers = newer(&entries, Running { version: &current, keeper }).map_err(Unknown::Failed)?;
    Ok(Found { chart, current, offers, range })
}

async fn offered(
    context: &Context,
    release: &HelmRelease,
    asked: &mut HashSet<SafeUrl>,
) -> Result<Offered, Unknown> {
    let own = &release.metadata.namespace;
    let Some(reference) = &release.spec.chart_ref else {
        let chart = release.spec.chart.as_ref();
        let chart = &chart.ok_or_else(|| Unknown::Failed("spec.chart is missing".to_owned()))?.spec;
        return of_repository(context, (own, chart), asked).await;
    };
    if reference.kind == helm_chart::KIND {
        let source: HelmChart = source(context, own, reference).await?;
        return of_repository(context, (&source.metadata.namespace, &source.spec.chart), asked)
            .await;
    }
    let source: OciRepository = source(context, own, reference).await?;
    let (at, access) = oci_repository::place(context, &source).await.map_err(failed)?;
    let tags = context.repositories.oci_tags(&access, &at).await;
    tags.map_err(|error| Unknown::Failed(chain(&error)))?;
    let entries = context.repositories.oci_versions(&at).unwrap_or_default().into();
    let entries = context.repositories.marked(&access, &at, entries).await;
    Ok(Offered { entries, range: artifact_range(&source) })
}

fn failed((_, text, _): access::Problem) -> Unknown {
    Unknown::Failed(text)
}

/// Asks the repository of a chart that an object of this namespace describes.
async fn of_repository(
    context: &Context,
    (namespace, chart): (&str, &ChartSpec),
    asked: &mut HashSet<SafeUrl>,
) -> Result<Offered, Unknown> {
    let repository: HelmRepository = source(context, namespace, &chart.source_ref).await?;
    let spec = access::spec(&context.cluster, &repository).await.map_err(failed)?;
    let entries = versions(&context.repositories, (&spec, &chart.chart), asked).await;
    let entries = entries.map_err(|error| Unknown::Failed(chain(&error)))?;
    Ok(Offered { entries, range: range(chart.version.as_deref()) })
}

/// Reads the source that an object of this namespace names, if it is of the only kind that has
/// versions.
async fn source<T: Source>(
    context: &Context,
    own: &str,
    reference: &SourceRef,
) -> Result<T, Unknown> {
    if reference.kind != T::KIND {
        let text = format!("its source is a {}, which lists no versions", reference.kind);
        return Err(Unknown::Nothing(text));
    }
    let namespace = if reference.namespace.is_empty() { own } else { &reference.namespace };
    let key = NamespacedName::new(namespace, &reference.name);
    let found = context.cluster.get(&T::id(&key)).await;
    let found = found.map_err(|error| Unknown::Failed(chain(&error)))?;
    let missing = || Unknown::Failed(format!("{} {key} is not there", T::KIND));
    serde_json::from_value(found.ok_or_else(missing)?.0)
        .map_err(|error| Unknown::Failed(format!("{} {key}: {error}", T::KIND)))
}

#[cfg(test)]
mod tests;
