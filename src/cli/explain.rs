//! `leadsman explain`: where things come from.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::args::{Connection, Explain, ExplainCommand, ExplainValues, Sources};
use super::connect::Connected;
use super::provenance::{Provenance, plain};
use super::values::{Collected, Given};
use super::{chart as named, connect, inspect, ui, values};
use crate::api::HelmRelease;
use crate::base::clock::{Clock, SystemClock};
use crate::base::shorten::shorten;
use crate::chart::origin::{self, Candidate, Leaf, Origin, Source};
use crate::chart::{self, Chart};
use crate::controller::context::{Context, Options};
use crate::controller::notice::Recorder;
use crate::controller::site::{SiteOptions, Sites};
use crate::controller::values::Receiver;
use crate::release::Renderer;
use crate::yaml::{Map, Value};

/// Longest value in a table.
const SHOWN_BYTES: usize = 60;
/// What stands for what a Secret holds.
const MASK: &str = "***";

pub(super) async fn run(
    args: Explain,
    connection: &Connection,
    verbose: bool,
) -> anyhow::Result<ExitCode> {
    match args.command {
        ExplainCommand::Values(args) => explain_values(args, connection, verbose).await,
    }
}

async fn explain_values(
    args: ExplainValues,
    connection: &Connection,
    verbose: bool,
) -> anyhow::Result<ExitCode> {
    let (provenance, loaded) = if is_chart(&args) {
        let chart =
            named::load(&args.what, &args.from, |bytes| chart::load_archive(&bytes)).await?;
        let given = values::merge(&args.values)?.given;
        let layers = values::layers(&given)?;
        (Provenance::of(&chart, given, layers)?, chart)
    } else {
        of_release(&args, connection).await?
    };
    let report = report(&provenance, &loaded, args.show_secrets);
    ui::show(args.output, &report, || table(&report, verbose))?;
    Ok(ExitCode::SUCCESS)
}

/// Whether a word names a chart; else it names a release.
fn is_chart(args: &ExplainValues) -> bool {
    args.from.repo.is_some()
        || Path::new(&args.what).exists()
        || args.what.starts_with('.')
        || args.what.contains('/')
}

async fn of_release(
    args: &ExplainValues,
    connection: &Connection,
) -> anyhow::Result<(Provenance, Arc<Chart>)> {
    let given = &args.values;
    let all = [&given.values, &given.set, &given.set_string, &given.set_json, &given.set_file];
    if all.iter().any(|one| !one.is_empty()) || !given.set_literal.is_empty() {
        bail!(
            "`{}` is a release, whose values are in the cluster: -f and --set go with a chart \
             (a path, NAME/CHART, or --repo)",
            args.what
        );
    }
    let connected = connect::cluster(connection).await?;
    let found = inspect::find(&connected, &args.what).await?;
    let mut collected = Collected::default();
    let last = found.storage.last(&found.name).await?.map(|(_, record)| record);
    let counts = found.release.as_ref().is_none_or(|release| release.spec.upgrade.preserve_values);
    let last = last.filter(|_| counts);
    if let Some(record) = &last {
        collected.layers.merge(record.config.clone().unwrap_or_default());
        collected.given.push(Given::Record);
    }
    let chart = match (&found.release, &last) {
        (Some(release), last) => {
            let sources = &args.from.sources;
            let chart = preview(&connected, sources, release, &mut collected).await?;
            match last {
                Some(last) => Arc::new(last.reuse_values(&chart, Map::new())?.0),
                None => chart,
            }
        }
        (None, Some(record)) => Arc::new(record.chart()),
        (None, None) => bail!("release: not found"),
    };
    let Collected { layers, given } = collected;
    Ok((Provenance::of(&chart, given, layers)?, chart))
}

/// Finds the chart that a `HelmRelease` asks for now, and its values.
pub(super) async fn preview(
    connected: &Connected,
    sources: &Sources,
    release: &HelmRelease,
    into: &mut (dyn Receiver + Send),
) -> anyhow::Result<Arc<Chart>> {
    let context = context(connected, sources)?;
    let chart = crate::controller::preview(&context, release, into).await;
    chart
        .map_err(anyhow::Error::msg)
        .with_context(|| format!("HelmRelease '{}'", release.metadata.key()))
}

/// What `run` has; nothing of it writes until it is told to.
pub(super) fn context(connected: &Connected, sources: &Sources) -> anyhow::Result<Context> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Ok(Context {
        cluster: connected.cluster.clone(),
        repositories: Arc::new(connect::repositories(sources)?),
        renderer: Renderer::default(),
        recorder: Recorder::new(connected.cluster.clone(), Arc::clone(&clock)),
        sites: Sites::new(&connected.cluster, &clock, SiteOptions::default()),
        clock,
        options: Options::default(),
    })
}

#[derive(Serialize)]
struct Report {
    values: Vec<Row>,
    deleted: Vec<DeletedRow>,
    unknown: Vec<UnknownRow>,
}

#[derive(Serialize)]
struct Row {
    path: String,
    value: Value,
    source: Option<SourceRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    overrode: Vec<Overridden>,
}

#[derive(Serialize)]
struct SourceRow {
    /// `values file`, `flag`, `reference`, `inline`, `record`, `parent chart`, `chart default`.
    kind: &'static str,
    /// File or object, with the line where there is one.
    place: String,
    /// Where in it, if that is not where the value is.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

#[derive(Serialize)]
struct Overridden {
    value: Value,
    source: SourceRow,
}

#[derive(Serialize)]
struct DeletedRow {
    path: String,
    by: SourceRow,
    was: Overridden,
}

#[derive(Serialize)]
struct UnknownRow {
    path: String,
    source: SourceRow,
    similar: Vec<String>,
}

fn report(provenance: &Provenance, loaded: &Chart, secrets: bool) -> Report {
    let traced = &provenance.traced;
    let masked = |value: &Value, origin: Option<&Origin>| match origin {
        Some(origin) if !secrets && provenance.is_of_secret(origin) => MASK.into(),
        _ => value.clone(),
    };
    let source = |path: &[String], origin: &Origin| SourceRow {
        kind: provenance.kind(path, origin),
        place: provenance.place(origin),
        path: (origin.path != path).then(|| dotted(&origin.path)),
    };
    let overridden = |path: &[String], candidate: &Candidate| Overridden {
        value: masked(&candidate.value, Some(&candidate.origin)),
        source: source(path, &candidate.origin),
    };
    let row = |leaf: &Leaf<'_>| Row {
        path: dotted(&leaf.path),
        value: masked(leaf.value, leaf.origin.as_ref()),
        source: leaf.origin.as_ref().map(|origin| source(&leaf.path, origin)),
        overrode: traced.overridden(leaf).iter().map(|one| overridden(&leaf.path, one)).collect(),
    };
    let deleted = traced.deleted().into_iter().map(|deleted| DeletedRow {
        path: dotted(&deleted.path),
        by: source(&deleted.path, &deleted.origin),
        was: overridden(&deleted.path, &deleted.was),
    });
    let unknown = origin::unknown(traced, loaded).into_iter().map(|unknown| {
        let origin = Origin { source: Source::Layer(unknown.layer), path: unknown.path.clone() };
        UnknownRow {
            path: dotted(&unknown.path),
            source: source(&unknown.path, &origin),
            similar: unknown.similar,
        }
    });
    let (deleted, unknown) = (deleted.collect(), unknown.collect());
    Report { values: traced.leaves().iter().map(row).collect(), deleted, unknown }
}

/// Writes a path as `--set` reads it.
fn dotted(path: &[String]) -> String {
    let keys: Vec<_> =
        path.iter().map(|key| key.replace('\\', "\\\\").replace('.', "\\.")).collect();
    keys.join(".")
}

fn table(report: &Report, verbose: bool) -> String {
    let cell = |value: &Value| match value {
        Value::String(text) if text == MASK => MASK.to_owned(),
        Value::Array(_) | Value::Object(_) => shorten(&compact(value), SHOWN_BYTES),
        value => shorten(&plain(value), SHOWN_BYTES),
    };
    let place = |source: &SourceRow| match &source.path {
        Some(path) if source.kind != "chart default" => format!("{} ({path})", source.place),
        _ => source.place.clone(),
    };
    let row = |row: &Row| {
        let source = row.source.as_ref().map(place).unwrap_or_default();
        let mut cells = vec![row.path.clone(), cell(&row.value), source];
        if verbose {
            let over = row.overrode.iter();
            let over = over.map(|one| format!("{} in {}", cell(&one.value), place(&one.source)));
            cells.push(over.collect::<Vec<_>>().join(", "));
        }
        cells
    };
    let header = ["KEY", "VALUE", "SET BY", "OVERRODE"];
    let header = if verbose { &header[..] } else { &header[..3] };
    let mut out = ui::table(header, &report.values.iter().map(row).collect::<Vec<_>>());
    for deleted in &report.deleted {
        let (by, was) = (place(&deleted.by), &deleted.was);
        let was = format!("{} in {}", cell(&was.value), place(&was.source));
        out.push_str(&format!("deleted by null: {} in {by}; it was {was}\n", deleted.path));
    }
    for unknown in &report.unknown {
        let near = match &unknown.similar[..] {
            [] => String::new(),
            near => format!("; similar: {}", near.join(", ")),
        };
        let place = place(&unknown.source);
        out.push_str(&format!("not known to the chart: {} in {place}{near}\n", unknown.path));
    }
    out
}

/// JSON on one line, whole numbers as such.
fn compact(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(compact).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(map) => {
            let items: Vec<_> =
                map.iter().map(|(key, value)| format!("{key:?}:{}", compact(value))).collect();
            format!("{{{}}}", items.join(","))
        }
        scalar => plain(scalar),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_as_set_reads_them() {
        let path = ["a.b", "c\\", "d"].map(str::to_owned);
        assert_eq!(dotted(&path), "a\\.b.c\\\\.d");
        let mut map = crate::yaml::Map::new();
        chart::set::parse_set(&format!("{}=1", dotted(&path)), &mut map).unwrap();
        assert!(origin::lookup(&map, &path).is_some(), "{map:?}");
    }
}
