//! `leadsman history`.
//!
//! Source: helm v4.3.2 pkg/cmd/history.go.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args as ClapArgs;
use serde::Serialize;

use super::args::{Connection, Output};
use super::connect::Connected;
use super::release_args::NoCharts;
use super::{connect, inspect, report, ui};
use crate::cluster::Selection;
use crate::release::Record;

#[derive(Debug, ClapArgs)]
pub(super) struct History {
    /// Name of the release or HelmRelease.
    pub(super) release: String,
    /// Most revisions that are shown, the newest.
    #[arg(long, default_value_t = 256, value_name = "NUMBER")]
    pub(super) max: usize,
    /// Show which revision was rolled back to.
    #[arg(long)]
    pub(super) show_rollback_revision: bool,
    /// How to write it.
    #[arg(short, long, value_enum, default_value_t)]
    pub(super) output: Output,
    #[command(flatten)]
    pub(super) no_charts: NoCharts,
}

#[derive(Serialize)]
struct Row {
    revision: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    updated: String,
    status: String,
    chart: String,
    app_version: String,
    #[serde(skip_serializing_if = "is_zero")]
    rollback_revision: u32,
    description: String,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl From<Record> for Row {
    fn from(record: Record) -> Self {
        Self {
            revision: record.version,
            chart: report::chart_name(&record),
            app_version: report::app_version(&record),
            updated: record.info.last_deployed,
            status: record.info.status,
            rollback_revision: record.info.rollback_revision,
            description: record.info.description,
        }
    }
}

impl Row {
    fn cells(&self, with_rollback: bool) -> Vec<String> {
        let updated = report::ansic(&self.updated);
        let mut cells = vec![
            self.revision.to_string(),
            updated.unwrap_or_else(|| "Mon Jan  1 00:00:00 0001".to_owned()),
            self.status.clone(),
            self.chart.clone(),
            self.app_version.clone(),
        ];
        if with_rollback {
            let from = self.rollback_revision;
            cells.push(if from > 0 { from.to_string() } else { String::new() });
        }
        cells.push(self.description.clone());
        cells
    }
}

pub(super) async fn run(args: History, connection: &Connection) -> anyhow::Result<ExitCode> {
    show(&connect::cluster(connection).await?, &args).await
}

/// Prints the revisions of a release, oldest first.
pub(super) async fn show(connected: &Connected, args: &History) -> anyhow::Result<ExitCode> {
    let found = inspect::find(connected, &args.release).await?;
    let heads = found.storage.heads(&found.name).await?;
    if heads.is_empty() {
        bail!("release: not found");
    }
    let mut rows: Vec<Row> = Vec::new();
    for head in heads.into_iter().take(args.max) {
        let record = found.storage.summary(&found.name, head.version).await?;
        rows.extend(record.map(Row::from));
    }
    rows.reverse();
    ui::show_as_helm(args.output, &rows, || table(&rows, args.show_rollback_revision))?;
    if args.output == Output::Table && found.release.is_some() {
        ui::print(&corrections(connected, &args.release).await?);
    }
    Ok(ExitCode::SUCCESS)
}

fn table(rows: &[Row], with_rollback: bool) -> String {
    let mut header = vec!["REVISION", "UPDATED", "STATUS", "CHART", "APP VERSION"];
    header.extend(with_rollback.then_some("ROLLBACK"));
    header.push("DESCRIPTION");
    let header = header.into_iter().map(str::to_owned).collect();
    let rows = rows.iter().map(|row| row.cells(with_rollback));
    let rows: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
    format!("{}\n", ui::helm_rows(&rows, 0))
}

/// Returns a line for each time that objects were put right, which makes no revision. They come
/// from events, which a cluster keeps for an hour.
async fn corrections(connected: &Connected, name: &str) -> anyhow::Result<String> {
    let of = Selection::namespace(&connected.namespace)
        .fields(format!("involvedObject.kind=HelmRelease,involvedObject.name={name}"));
    let events = connected.cluster.list("v1", "Event", &of).await?;
    let mut lines: Vec<String> = events
        .iter()
        .filter(|event| event.text("/reason") == "DriftCorrected")
        .map(|event| {
            let what: Vec<_> = event.text("/message").lines().skip(1).collect();
            format!("corrected {}: {}\n", event.text("/lastTimestamp"), what.join("; "))
        })
        .collect();
    lines.sort();
    Ok(lines.concat())
}
