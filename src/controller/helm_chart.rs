//! Keeps one `HelmChart` fresh: the archive of the version that its range means now.
//!
//! Source: fluxcd/source-controller internal/controller/helmchart_controller.go.

use std::collections::BTreeMap;
use std::time::Duration;

use super::artifact::{self, UNSTORED};
use super::build::{Made, Place, Wanted};
use super::context::Context;
use super::queue::{Report, USUAL};
use super::settled::{Failure, Success};
use super::source;
use super::verification;
use crate::api::annotation::REQUESTED_AT;
use crate::api::condition::{
    self, ARTIFACT_IN_STORAGE, Conditions, FETCH_FAILED, STORAGE_FAILED, Truth,
};
use crate::api::{Artifact, HelmChart, HelmChartStatus};
use crate::base::class::Class;
use crate::base::clock::rfc3339_seconds;
use crate::base::digest::Digest;
use crate::base::name::NamespacedName;
use crate::cluster;
use crate::repo::{Content, Pulled};

/// Kind of the objects.
pub(super) const KIND: &str = "HelmChart";

/// Looks for the chart if it is time, and says how it went.
pub(super) async fn reconcile(context: &Context, key: &NamespacedName) -> Report {
    source::ended(KIND, key, reconcile_inner(context, key).await)
}

async fn reconcile_inner(
    context: &Context,
    key: &NamespacedName,
) -> Result<Report, cluster::Error> {
    let chart: HelmChart = match source::begin(context, key).await? {
        Ok(chart) => chart,
        Err(report) => return Ok(report),
    };
    let mut new = chart.status.clone();
    let result = look(context, &chart, &mut new).await;
    if chart.spec.chart.verify.is_none() {
        verification::say(&mut conditions(context, &chart, &mut new), None, "");
    }
    let given = context.options.interval.or(chart.spec.chart.interval.map(|given| given.0));
    let failed = result.as_ref().err().map(|failure| failure.class);
    let report = Report::of_artifact(failed, given);
    source::note(context, &chart, new, result).await?;
    Ok(report)
}

async fn look(
    context: &Context,
    chart: &HelmChart,
    new: &mut HelmChartStatus,
) -> Result<Success, Failure> {
    let place = place(context, chart).await?;
    new.observed_source_artifact_revision = place.revision();
    let own = chart.status.artifact.as_ref().map(|artifact| address(&place, &artifact.path));
    let is_served = artifact::is_served(context, chart, &own.unwrap_or_default()).await;
    let is_there = |name: &str, version: &str| is_served && is_there(context, chart, name, version);
    let made = place.make(context, &wanted(context, chart, &is_there)).await?;
    let reason = if made.is_packaged { "ChartPackageSucceeded" } else { "ChartPullSucceeded" };
    let message = made.summary();
    let what = format!("version {}", made.version);
    verification::say(&mut conditions(context, chart, new), made.outcome.as_ref(), &what);
    if let Some(pulled) = &made.pulled {
        let (artifact, url) = stored(context, (chart, &place), &made, pulled).await?;
        (new.artifact, new.url) = (Some(artifact), url);
        made.name.clone_into(&mut new.observed_chart_name);
    }
    new.observed_values_files = match chart.spec.chart.ignore_missing_values_files {
        true => made.values_files,
        false => Vec::new(),
    };
    Ok(Success { reason, news: reason, told: message.clone(), message })
}

/// Returns an editor for what is said of a chart.
fn conditions<'a>(
    context: &Context,
    chart: &HelmChart,
    new: &'a mut HelmChartStatus,
) -> Conditions<'a> {
    Conditions::new(&mut new.conditions, chart.metadata.generation, context.clock.now())
}

/// Finds where the chart comes from.
async fn place(context: &Context, chart: &HelmChart) -> Result<Place, Failure> {
    let unsupported = chart.spec.unsupported();
    if !unsupported.is_empty() {
        let message = format!(
            "not supported by this version of Leadsman: {}; remove it or leave this chart to Flux",
            unsupported.join(", ")
        );
        let class = Class::Stalled;
        return Err(Failure { kind: FETCH_FAILED, reason: "Unsupported", message, class });
    }
    Place::of(context, &chart.metadata.namespace, &chart.spec.chart).await
}

/// Says which chart is to be made.
fn wanted<'a>(
    context: &Context,
    chart: &'a HelmChart,
    is_there: &'a (dyn Fn(&str, &str) -> bool + Sync),
) -> Wanted<'a> {
    let (meta, spec) = (&chart.metadata, &chart.spec.chart);
    let asked = meta.annotation(REQUESTED_AT);
    let asked = asked.is_some_and(|at| at != chart.status.last_handled_reconcile_at);
    let interval = context.options.interval.or(spec.interval.map(|given| given.0));
    let age = match interval.unwrap_or(USUAL) {
        _ if asked => Duration::ZERO,
        // It is looked at at the end of its interval, give or take.
        interval => interval.mul_f64(0.9),
    };
    let (generation, merged) = (meta.generation, &chart.status.observed_values_files[..]);
    Wanted { chart: spec, generation, age, is_there, merged }
}

/// Whether the artifact in the status is this chart, as it is described now, and can be had.
fn is_there(context: &Context, chart: &HelmChart, name: &str, version: &str) -> bool {
    let status = &chart.status;
    let stored = condition::find(&status.conditions, ARTIFACT_IN_STORAGE);
    // A generation that failed is observed as well; that of the last success counts.
    let is_described = stored.is_some_and(|stored| {
        stored.status == Truth::True && stored.observed_generation == chart.metadata.generation
    });
    let artifact = status.artifact.as_ref().filter(|artifact| artifact.revision == version);
    let digest = artifact.and_then(|artifact| artifact.digest.parse().ok());
    let is_this = is_described && status.observed_chart_name == name;
    is_this && digest.is_some_and(|digest| context.repositories.archive(&digest).is_some())
}

/// Where an artifact comes from that is not served.
fn address(place: &Place, path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or_default();
    format!("{}#{file}", place.address())
}

/// Stores what was made; returns it with the address of the newest one.
async fn stored(
    context: &Context,
    (chart, place): (&HelmChart, &Place),
    made: &Made,
    pulled: &Pulled,
) -> Result<(Artifact, String), Failure> {
    let unkept = || Failure {
        kind: STORAGE_FAILED,
        reason: UNSTORED,
        message: format!(
            "the archive of chart '{}' cannot be kept in the chart cache; make room or choose another folder with --cache",
            made.name
        ),
        class: Class::Retry,
    };
    let bytes = context.repositories.archive(&pulled.digest).ok_or_else(unkept)?;
    let file = format!("{}-{}.tgz", made.name, made.version);
    let path = artifact::path::<HelmChart>(&chart.metadata, &file);
    let made = Artifact {
        url: address(place, &path),
        path,
        revision: made.version.clone(),
        digest: pulled.digest.to_string(),
        last_update_time: rfc3339_seconds(context.clock.now()),
        size: bytes.len() as u64,
        metadata: BTreeMap::new(),
    };
    artifact::store::<HelmChart>(context, made, Content::Bytes(bytes)).await
}

/// Returns the chart that the artifact in a status is. An archive that the cache lost is made again.
///
/// # Errors
/// What a condition would say; or it became another one meanwhile.
pub(super) async fn pull(context: &Context, chart: &HelmChart) -> Result<Pulled, Failure> {
    let digest = chart.status.artifact.as_ref().map_or("", |artifact| &artifact.digest);
    let digest: Option<Digest> = digest.parse().ok();
    if let Some(known) = digest.and_then(|digest| context.repositories.by_digest(&digest)) {
        return Ok(known);
    }
    let place = place(context, chart).await?;
    let made = place.make(context, &wanted(context, chart, &|_, _| false)).await?;
    let same = made.pulled.filter(|pulled| Some(pulled.digest) == digest);
    same.ok_or_else(|| Failure {
        kind: FETCH_FAILED,
        reason: "ArtifactFailed",
        message: "its archive is lost, and what is made of its source now is another one"
            .to_owned(),
        class: Class::Retry,
    })
}
