//! `leadsman get`.
//!
//! Source: helm v4.3.2 pkg/cmd (get_all.go, get_hooks.go, get_manifest.go, get_metadata.go,
//! get_notes.go, get_values.go).

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args as ClapArgs, ValueEnum};
use serde::Serialize;

use super::args::{Connection, Output};
use super::inspect::Found;
use super::release_args::NoCharts;
use super::report::{self, Parts};
use super::{connect, inspect, shaped, ui};
use crate::release::Record;
use crate::yaml::{self, Value};

/// Parts of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Part {
    /// All of it.
    All,
    /// The hooks.
    Hooks,
    /// The manifest.
    Manifest,
    /// Names, versions, labels.
    Metadata,
    /// The notes.
    Notes,
    /// The user's values.
    Values,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Get {
    /// What to show.
    pub(super) part: Part,
    /// Name of the release or HelmRelease.
    pub(super) release: String,
    /// Revision; the newest without it, or for 0.
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub(super) revision: u32,
    /// With `values`: those of the chart, too.
    #[arg(short, long)]
    pub(super) all: bool,
    /// With `all`: Go template of what is written, such as `{{.Release.Name}}`.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEMPLATE")]
    pub(super) template: String,
    /// With `values` and `metadata`: how to write it.
    #[arg(short, long, value_enum, default_value_t)]
    pub(super) output: Output,
    #[command(flatten)]
    pub(super) no_charts: NoCharts,
}

pub(super) async fn run(args: Get, connection: &Connection) -> anyhow::Result<ExitCode> {
    let has_forms = matches!(args.part, Part::Values | Part::Metadata);
    if args.output != Output::Table && !has_forms {
        bail!("unknown shorthand flag: 'o' in -o");
    }
    if args.all && args.part != Part::Values {
        bail!("unknown shorthand flag: 'a' in -a");
    }
    if !args.template.is_empty() && args.part != Part::All {
        bail!("unknown flag: --template");
    }
    let connected = connect::cluster(connection).await?;
    let found = inspect::find(&connected, &args.release).await?;
    let record = record(&found, args.revision).await?;
    let text = match args.part {
        Part::All if !args.template.is_empty() => {
            let labels = found.storage.labels(&record).await?;
            shaped::render(&record, &labels, &args.template)?
        }
        Part::All => {
            report::block(&record, Parts { debug: true, metadata: true, ..Parts::default() })?
        }
        Part::Manifest => format!("{}\n", record.manifest),
        Part::Notes if record.info.notes.is_empty() => String::new(),
        Part::Notes => format!("NOTES:\n{}\n", record.info.notes),
        Part::Hooks => report::hooks(&record),
        Part::Values => values(&record, &args)?,
        Part::Metadata => {
            let labels = found.storage.labels(&record).await?;
            return show_metadata(args.output, record, labels);
        }
    };
    ui::print(&text);
    Ok(ExitCode::SUCCESS)
}

/// Returns a revision of a release; 0 is the newest.
pub(super) async fn record(found: &Found, revision: u32) -> anyhow::Result<Record> {
    let record = match revision {
        0 => found.storage.last(&found.name).await?.map(|(_, record)| record),
        revision => found.storage.get(&found.name, revision).await?,
    };
    let Some(record) = record else { bail!("release: not found") };
    Ok(record)
}

fn values(record: &Record, args: &Get) -> anyhow::Result<String> {
    let values = if args.all { report::computed(record)? } else { report::supplied_value(record) };
    Ok(match args.output {
        Output::Table => {
            let title = if args.all { "COMPUTED VALUES:" } else { "USER-SUPPLIED VALUES:" };
            format!("{title}\n{}", yaml::print(&values)?)
        }
        Output::Json => format!("{}\n", report::json(&values)),
        Output::Yaml => yaml::print(&values)?,
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    chart: String,
    version: String,
    app_version: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dependencies: Vec<Value>,
    namespace: String,
    revision: u32,
    status: String,
    deployed_at: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    apply_method: String,
}

impl Metadata {
    fn table(&self) -> String {
        let joined = |pairs: &BTreeMap<String, String>| {
            let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
            pairs.join(",")
        };
        let mut names: Vec<&str> =
            self.dependencies.iter().filter_map(|one| one.get("name")?.as_str()).collect();
        names.sort_unstable();
        let method = match self.apply_method.as_str() {
            "" => "client-side apply (defaulted)".to_owned(),
            "csa" => "client-side apply".to_owned(),
            "ssa" => "server-side apply".to_owned(),
            other => format!("unknown ({other:?})"),
        };
        let rows = [
            ("NAME", self.name.clone()),
            ("CHART", self.chart.clone()),
            ("VERSION", self.version.clone()),
            ("APP_VERSION", self.app_version.clone()),
            ("ANNOTATIONS", joined(&self.annotations)),
            ("LABELS", joined(&self.labels)),
            ("DEPENDENCIES", names.join(",")),
            ("NAMESPACE", self.namespace.clone()),
            ("REVISION", self.revision.to_string()),
            ("STATUS", self.status.clone()),
            ("DEPLOYED_AT", self.deployed_at.clone()),
            ("APPLY_METHOD", method),
        ];
        rows.iter().map(|(key, value)| format!("{key}: {value}\n")).collect()
    }
}

fn show_metadata(
    output: Output,
    record: Record,
    labels: BTreeMap<String, String>,
) -> anyhow::Result<ExitCode> {
    let chart = serde_json::to_value(record.metadata())?;
    let list = |name: &str| chart.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let map = |name: &str| chart.get(name).cloned().unwrap_or_default();
    let text = |name: &str| map(name).as_str().unwrap_or_default().to_owned();
    let metadata = Metadata {
        chart: text("name"),
        version: text("version"),
        app_version: text("appVersion"),
        annotations: serde_json::from_value(map("annotations")).unwrap_or_default(),
        labels,
        dependencies: list("dependencies"),
        revision: record.version,
        deployed_at: report::seconds(&record.info.last_deployed),
        name: record.name,
        namespace: record.namespace,
        status: record.info.status,
        apply_method: record.apply_method,
    };
    ui::show_as_helm(output, &metadata, || metadata.table())?;
    Ok(ExitCode::SUCCESS)
}
