//! Commands that show what a `HelmRelease` says: status, why.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use clap::Args as ClapArgs;

use super::args::{Connection, One, Output};
use super::connect::Connected;
use super::release_args::NoCharts;
use super::report::{self, Parts};
use super::{connect, get, resources, ui};
use crate::api::HelmRelease;
use crate::api::condition::{self, Condition, HELD, READY, RECONCILING};
use crate::api::crd::HELM_RELEASE_API;
use crate::base::clock::{Clock, SystemClock};
use crate::cluster::{Cluster, ObjectId};
use crate::controller::history as entries;
use crate::controller::site::{SiteOptions, Sites};
use crate::controller::target::Target;
use crate::controller::{memory, progress};
use crate::release::{Form, Record, Storage, live};
use crate::yaml::Value;

/// Where the records of a release are, and its name in them.
pub(super) struct Found {
    pub(super) release: Option<HelmRelease>,
    pub(super) storage: Storage,
    pub(super) name: String,
    /// The cluster that it is installed in.
    pub(super) cluster: Cluster,
}

/// Finds a release by the name of its `HelmRelease`, or by its own.
pub(super) async fn find(connected: &Connected, name: &str) -> anyhow::Result<Found> {
    let id = ObjectId::new(HELM_RELEASE_API, "HelmRelease", &connected.namespace, name);
    let served = connected.cluster.resource(HELM_RELEASE_API, "HelmRelease").await?.is_some();
    let found = if served { connected.cluster.get(&id).await? } else { None };
    let Some(found) = found else {
        let (storage, cluster) = (connected.storage(), connected.cluster.clone());
        return Ok(Found { release: None, storage, name: name.to_owned(), cluster });
    };
    of_release(connected, serde_json::from_value(found.0)?).await
}

/// Finds the release of a `HelmRelease`.
pub(super) async fn of_release(
    connected: &Connected,
    release: HelmRelease,
) -> anyhow::Result<Found> {
    let target = Target::of(&release);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let sites = Sites::new(&connected.cluster, &clock, SiteOptions::default());
    let cluster = sites.cluster_of(&release).await?;
    let storage = Storage::new(&cluster, &target.storage_namespace);
    Ok(Found { release: Some(release), storage, name: target.name, cluster })
}

/// Finds a `HelmRelease`.
pub(super) async fn helm_release(connected: &Connected, name: &str) -> anyhow::Result<HelmRelease> {
    match find(connected, name).await?.release {
        Some(release) => Ok(release),
        None => {
            bail!("HelmRelease object '{name}' not found in \"{}\" namespace", connected.namespace)
        }
    }
}

#[derive(Debug, ClapArgs)]
pub(super) struct Status {
    /// Name of the release or HelmRelease.
    pub(super) release: String,
    /// Revision of the release; the newest without it, or for 0.
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub(super) revision: u32,
    /// How to write the release.
    #[arg(short, long, value_enum, default_value_t)]
    pub(super) output: Output,
    #[command(flatten)]
    pub(super) no_charts: NoCharts,
}

/// Shows the release as Helm does, and below it, for people, what its `HelmRelease` says: whether
/// that is ready decides the exit code, too.
pub(super) async fn status(args: Status, connection: &Connection) -> anyhow::Result<ExitCode> {
    let connected = connect::cluster(connection).await?;
    let found = find(&connected, &args.release).await?;
    let record = get::record(&found, args.revision).await;
    let Some(release) = &found.release else {
        show(&found.cluster, args.output, record?).await?;
        return Ok(ExitCode::SUCCESS);
    };
    match record {
        Ok(record) => show(&found.cluster, args.output, record).await?,
        Err(error) if args.output != Output::Table || args.revision > 0 => return Err(error),
        Err(_) => {}
    }
    if args.output == Output::Table {
        ui::print(&conditions(release));
    }
    let ready = condition::is_true(&release.status.conditions, READY);
    Ok(if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Shows a record without its chart, as Helm does here, and its live objects.
async fn show(cluster: &Cluster, output: Output, mut record: Record) -> anyhow::Result<()> {
    record.chart = Default::default();
    let form = if output == Output::Table { Form::Table } else { Form::Whole };
    let live = live(cluster, &record, form).await?;
    if form == Form::Table {
        let parts = Parts { resources: &resources::tables(&live), ..Parts::default() };
        return report::show(output, &record, parts);
    }
    if !live.is_empty() {
        let kinds = live.into_iter().map(|(kind, all)| (kind, Value::Array(all)));
        record.info.resources = Some(kinds.collect());
    }
    report::show(output, &record, Parts::default())
}

fn conditions(release: &HelmRelease) -> String {
    let cells = |c: &Condition| {
        vec![
            c.kind.clone(),
            c.status.as_str().to_owned(),
            c.reason.clone(),
            c.message.replace('\n', "; "),
        ]
    };
    let rows: Vec<_> = release.status.conditions.iter().map(cells).collect();
    ui::table(&["CONDITION", "STATUS", "REASON", "MESSAGE"], &rows)
}

pub(super) async fn why(args: One, connection: &Connection) -> anyhow::Result<ExitCode> {
    show_why(&connect::cluster(connection).await?, &args).await
}

/// Prints what runs and what does not.
pub(super) async fn show_why(connected: &Connected, args: &One) -> anyhow::Result<ExitCode> {
    let release = helm_release(connected, &args.release).await?;
    let remembered =
        memory::read(&connected.cluster, &release.metadata.namespace, &release.metadata.name)
            .await?;
    ui::print(&explain(&release, &remembered));
    Ok(ExitCode::SUCCESS)
}

/// Says what runs, what is held back and why, and what happens next.
fn explain(release: &HelmRelease, remembered: &memory::Memory) -> String {
    let mut out = String::new();
    let status = &release.status;
    let chart = release.spec.chart.as_ref().map(|chart| &chart.spec);
    let wanted = chart.and_then(|chart| chart.version.as_deref()).unwrap_or("*");
    // Writing to a String cannot fail.
    let _ = match entries::newest_good(&status.history) {
        Some(good) => writeln!(
            out,
            "{}@{} runs (revision {}); the range is {wanted}",
            good.chart_name, good.chart_version, good.version
        ),
        None => writeln!(out, "nothing runs yet; the range is {wanted}"),
    };
    if let Some(ready) = condition::find(&status.conditions, READY) {
        let _ = writeln!(
            out,
            "Ready is {}: {}: {}",
            ready.status.as_str(),
            ready.reason,
            ready.message
        );
    }
    if let Some(waiting) = condition::find(&status.conditions, RECONCILING)
        .and_then(|reconciling| progress::waited_for(&reconciling.message))
    {
        let _ = writeln!(out, "waiting for {waiting}");
    }
    if let Some(held) = condition::find(&status.conditions, HELD) {
        for line in held.message.lines() {
            let _ = writeln!(out, "held back: {line}");
        }
    }
    for failed in &remembered.quarantine.versions {
        let _ = writeln!(
            out,
            "{} failed as revision {} at {}: {}",
            failed.version, failed.revision, failed.since, failed.message
        );
        for evidence in &failed.evidence {
            let _ = writeln!(
                out,
                "  {} is {}: {}",
                evidence.object, evidence.status, evidence.condition
            );
            if !evidence.cause.is_empty() {
                let _ = writeln!(out, "    because {}", evidence.cause);
            }
        }
        let _ = writeln!(
            out,
            "  not tried again until the values or the range change; the next newer version is"
        );
    }
    out
}
