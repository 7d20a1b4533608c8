//! `leadsman list`.
//!
//! Source: helm v4.3.2 pkg/cmd/list.go, pkg/action/list.go.

use std::process::ExitCode;

use clap::Args as ClapArgs;
use serde::Serialize;

use super::args::{Connection, Output};
use super::release_args::NoCharts;
use super::{connect, report, ui};
use crate::release::{Head, Record, Storage};
use crate::template::go_regex;

#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub(super) struct List {
    /// Releases of all namespaces.
    #[arg(short = 'A', long)]
    pub(super) all_namespaces: bool,
    /// Only the names.
    #[arg(short = 'q', long)]
    pub(super) short: bool,
    /// No header above the table.
    #[arg(long)]
    pub(super) no_headers: bool,
    /// How times are written, by an example of Go's, such as `2006-01-02`.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "LAYOUT")]
    pub(super) time_format: String,
    /// The oldest first.
    #[arg(short, long)]
    pub(super) date: bool,
    /// The other way round.
    #[arg(short, long)]
    pub(super) reverse: bool,
    #[command(flatten)]
    pub(super) states: States,
    /// Most releases that are shown; 0 is no bound.
    #[arg(short, long, default_value_t = 256, allow_hyphen_values = true, value_name = "NUMBER")]
    pub(super) max: i64,
    /// Releases that are passed over.
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    pub(super) offset: usize,
    /// Only names that match.
    #[arg(short, long, default_value = "", hide_default_value = true, value_name = "REGEX")]
    pub(super) filter: String,
    /// Only releases whose records have such labels.
    #[arg(short = 'l', long, default_value = "", hide_default_value = true, value_name = "LABELS")]
    pub(super) selector: String,
    /// How to write it.
    #[arg(short, long, value_enum, default_value_t)]
    pub(super) output: Output,
    #[command(flatten)]
    pub(super) no_charts: NoCharts,
}

/// Which states are shown; all without any.
#[derive(Debug, Default, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub(super) struct States {
    /// Those that are deployed.
    #[arg(long)]
    deployed: bool,
    /// Those that failed.
    #[arg(long)]
    failed: bool,
    /// Those that are under way.
    #[arg(long)]
    pending: bool,
    /// Those that were superseded; alone: all such revisions.
    #[arg(long)]
    superseded: bool,
    /// Those that are uninstalled, and whose records were kept.
    #[arg(long)]
    uninstalled: bool,
    /// Those that are being uninstalled.
    #[arg(long)]
    uninstalling: bool,
}

impl States {
    fn list(&self) -> Vec<&'static str> {
        let pending = ["pending-install", "pending-upgrade", "pending-rollback"];
        let all: [(bool, &[&'static str]); 6] = [
            (self.deployed, &["deployed"]),
            (self.failed, &["failed"]),
            (self.pending, &pending),
            (self.superseded, &["superseded"]),
            (self.uninstalled, &["uninstalled"]),
            (self.uninstalling, &["uninstalling"]),
        ];
        all.iter()
            .filter(|(asked, _)| *asked)
            .flat_map(|(_, words)| words.iter().copied())
            .collect()
    }
}

#[derive(Serialize)]
struct Row {
    name: String,
    namespace: String,
    revision: String,
    updated: String,
    status: String,
    chart: String,
    app_version: String,
}

pub(super) async fn run(args: List, connection: &Connection) -> anyhow::Result<ExitCode> {
    let filter = go_regex(&args.filter).map_err(anyhow::Error::msg)?;
    let connected = connect::cluster(connection).await?;
    let storage = connected.storage();
    let heads = storage.heads_with("", args.all_namespaces).await?;
    let mut heads = chosen(heads, &args.states.list());
    heads.retain(|head| args.filter.is_empty() || filter.is_match(head.name.as_bytes()));
    if !args.selector.is_empty() {
        let labeled = storage.heads_with(&args.selector, args.all_namespaces).await?;
        heads.retain(|head| labeled.contains(head));
    }
    let mut records = Vec::new();
    for head in heads {
        let storage = Storage::with_driver(&connected.cluster, &head.namespace, connected.driver);
        records.extend(storage.summary(&head.name, head.version).await?);
    }
    let records = page(sorted(records, &args), &args);
    show(&args, &records)?;
    Ok(ExitCode::SUCCESS)
}

/// Keeps the newest of each release, and of them those in the states. Superseded revisions are
/// never the newest: asked for alone, all are kept.
fn chosen(mut heads: Vec<Head>, states: &[&str]) -> Vec<Head> {
    if states != ["superseded"] {
        heads.dedup_by(|later, first| {
            (&later.name, &later.namespace) == (&first.name, &first.namespace)
        });
    }
    heads.retain(|head| states.is_empty() || states.contains(&head.status.as_str()));
    heads
}

fn sorted(mut records: Vec<Record>, args: &List) -> Vec<Record> {
    if args.date {
        records.sort_by_cached_key(|record| {
            (report::seconds(&record.info.last_deployed), record.name.clone())
        });
    } else {
        records.sort_by(|a, b| a.name.cmp(&b.name));
    }
    if args.reverse {
        records.reverse();
    }
    records
}

fn page(records: Vec<Record>, args: &List) -> Vec<Record> {
    let most = usize::try_from(args.max).ok().filter(|most| *most > 0);
    records.into_iter().skip(args.offset).take(most.unwrap_or(usize::MAX)).collect()
}

fn show(args: &List, records: &[Record]) -> anyhow::Result<()> {
    if args.short {
        let names: Vec<&str> = records.iter().map(|record| record.name.as_str()).collect();
        let lines = || names.iter().map(|name| format!("{name}\n")).collect();
        return ui::show_as_helm(args.output, &names, lines);
    }
    let rows: Vec<Row> = records.iter().map(|record| row(record, &args.time_format)).collect();
    ui::show_as_helm(args.output, &rows, || table(&rows, args.no_headers))
}

fn row(record: &Record, layout: &str) -> Row {
    Row {
        name: record.name.clone(),
        namespace: record.namespace.clone(),
        revision: record.version.to_string(),
        updated: report::listed(&record.info.last_deployed, layout),
        status: record.info.status.clone(),
        chart: report::chart_name(record),
        app_version: report::app_version(record),
    }
}

fn table(rows: &[Row], bare: bool) -> String {
    let header = vec!["NAME", "NAMESPACE", "REVISION", "UPDATED", "STATUS", "CHART", "APP VERSION"];
    let cells = rows.iter().map(|row| {
        vec![
            row.name.as_str(),
            &row.namespace,
            &row.revision,
            &row.updated,
            &row.status,
            &row.chart,
            &row.app_version,
        ]
    });
    let header = if bare { None } else { Some(header) };
    ui::helm_table(header.into_iter().chain(cells).collect(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_each_release_in_the_states_is_chosen() {
        let head = |name: &str, version: u32, status: &str| Head {
            name: name.to_owned(),
            namespace: "n".to_owned(),
            version,
            status: status.to_owned(),
            holder: String::new(),
            is_split: false,
        };
        let heads = || {
            vec![
                head("a", 3, "failed"),
                head("a", 2, "deployed"),
                head("a", 1, "superseded"),
                head("b", 1, "deployed"),
            ]
        };
        let rows: [(&[&str], &str); 5] = [
            (&[], "a3 b1"),
            (&["deployed"], "b1"),
            (&["failed", "deployed"], "a3 b1"),
            (&["superseded"], "a1"),
            (&["superseded", "failed"], "a3"),
        ];
        for (states, want) in rows {
            let seen = chosen(heads(), states);
            let seen = seen.iter().map(|head| format!("{}{}", head.name, head.version));
            assert_eq!(seen.collect::<Vec<_>>().join(" "), want, "{states:?}");
        }
    }
}
