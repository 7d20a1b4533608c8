//! Commands that show: list, history, status, why, get.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::bail;
use serde::Serialize;

use super::args::{Connection, Get, History, List, One, Output, Part};
use super::connect::Connected;
use super::{connect, ui};
use crate::api::HelmRelease;
use crate::api::condition::{self, HELD, READY};
use crate::api::crd::HELM_RELEASE_API;
use crate::cluster::{ObjectId, Selection};
use crate::controller::history as entries;
use crate::controller::memory;
use crate::controller::target::Target;
use crate::release::{Record, Storage};
use crate::yaml::{self, Value};

/// Where the records of a release are, and its name in them.
pub(super) struct Found {
    pub(super) release: Option<HelmRelease>,
    pub(super) storage: Storage,
    pub(super) name: String,
}

/// Finds a release by the name of its `HelmRelease`, or by its own.
pub(super) async fn find(connected: &Connected, name: &str) -> anyhow::Result<Found> {
    let id = ObjectId::new(HELM_RELEASE_API, "HelmRelease", &connected.namespace, name);
    let served = connected.cluster.resource(HELM_RELEASE_API, "HelmRelease").await?.is_some();
    let found = if served { connected.cluster.get(&id).await? } else { None };
    let Some(found) = found else {
        let storage = Storage::new(&connected.cluster, &connected.namespace);
        return Ok(Found { release: None, storage, name: name.to_owned() });
    };
    let release: HelmRelease = serde_json::from_value(found.0)?;
    let target = Target::of(&release);
    let storage = Storage::new(&connected.cluster, &target.storage_namespace);
    Ok(Found { release: Some(release), storage, name: target.name })
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

#[derive(Serialize)]
struct Row {
    name: String,
    namespace: String,
    revision: u32,
    updated: String,
    status: String,
    chart: String,
    app_version: String,
    held: String,
}

pub(super) async fn list(args: List, connection: &Connection) -> anyhow::Result<ExitCode> {
    let connected = connect::cluster(connection).await?;
    let namespaces = if args.all_namespaces {
        let found =
            connected.cluster.list_metadata("v1", "Namespace", &Selection::default()).await?;
        found.iter().map(|namespace| namespace.name().to_owned()).collect()
    } else {
        vec![connected.namespace.clone()]
    };
    let mut rows = Vec::new();
    for namespace in namespaces {
        let storage = Storage::new(&connected.cluster, &namespace);
        let mut heads = storage.heads("").await?;
        heads.dedup_by(|later, first| later.name == first.name);
        for head in heads {
            if let Some(record) = storage.outline(&head.name, head.version).await? {
                rows.push(row(&record, &held(&connected, &namespace, &head.name).await));
            }
        }
    }
    ui::show(args.output, &rows, || {
        let header = [
            "NAME",
            "NAMESPACE",
            "REVISION",
            "UPDATED",
            "STATUS",
            "CHART",
            "APP VERSION",
            "HELD BACK",
        ];
        let cells = |row: &Row| {
            vec![
                row.name.clone(),
                row.namespace.clone(),
                row.revision.to_string(),
                row.updated.clone(),
                row.status.clone(),
                row.chart.clone(),
                row.app_version.clone(),
                row.held.clone(),
            ]
        };
        ui::table(&header, &rows.iter().map(cells).collect::<Vec<_>>())
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn held(connected: &Connected, namespace: &str, name: &str) -> String {
    let id = ObjectId::new(HELM_RELEASE_API, "HelmRelease", namespace, name);
    let Ok(Some(found)) = connected.cluster.get(&id).await else { return String::new() };
    let release: HelmRelease = serde_json::from_value(found.0).unwrap_or_default();
    let held = condition::find(&release.status.conditions, HELD);
    let first = held.and_then(|held| held.message.split(':').next()).unwrap_or_default();
    first.to_owned()
}

fn row(record: &Record, held: &str) -> Row {
    let metadata = record.metadata();
    Row {
        name: record.name.clone(),
        namespace: record.namespace.clone(),
        revision: record.version,
        updated: record.info.last_deployed.clone(),
        status: record.info.status.clone(),
        chart: format!("{}-{}", metadata.name, metadata.version),
        app_version: metadata.app_version,
        held: held.to_owned(),
    }
}

#[derive(Serialize)]
struct Revision {
    revision: u32,
    updated: String,
    status: String,
    chart: String,
    app_version: String,
    description: String,
}

pub(super) async fn history(args: History, connection: &Connection) -> anyhow::Result<ExitCode> {
    show_history(&connect::cluster(connection).await?, &args).await
}

/// Prints the revisions of a release, oldest first.
pub(super) async fn show_history(
    connected: &Connected,
    args: &History,
) -> anyhow::Result<ExitCode> {
    let found = find(connected, &args.release).await?;
    let mut revisions = Vec::new();
    for head in found.storage.heads(&found.name).await?.into_iter().rev() {
        if let Some(record) = found.storage.outline(&found.name, head.version).await? {
            let row = row(&record, "");
            revisions.push(Revision {
                revision: row.revision,
                updated: row.updated,
                status: row.status,
                chart: row.chart,
                app_version: row.app_version,
                description: record.info.description,
            });
        }
    }
    if revisions.is_empty() {
        bail!("release: not found");
    }
    ui::show(args.output, &revisions, || {
        let header = ["REVISION", "UPDATED", "STATUS", "CHART", "APP VERSION", "DESCRIPTION"];
        let cells = |row: &Revision| {
            vec![
                row.revision.to_string(),
                row.updated.clone(),
                row.status.clone(),
                row.chart.clone(),
                row.app_version.clone(),
                row.description.replace('\n', " "),
            ]
        };
        ui::table(&header, &revisions.iter().map(cells).collect::<Vec<_>>())
    })?;
    if args.output == Output::Table {
        ui::print(&corrections(connected, &args.release).await?);
    }
    Ok(ExitCode::SUCCESS)
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

pub(super) async fn status(args: One, connection: &Connection) -> anyhow::Result<ExitCode> {
    let connected = connect::cluster(connection).await?;
    let release = helm_release(&connected, &args.release).await?;
    let rows: Vec<_> = release
        .status
        .conditions
        .iter()
        .map(|c| {
            vec![
                c.kind.clone(),
                c.status.as_str().to_owned(),
                c.reason.clone(),
                c.message.replace('\n', "; "),
            ]
        })
        .collect();
    ui::print(&ui::table(&["CONDITION", "STATUS", "REASON", "MESSAGE"], &rows));
    let ready = condition::is_true(&release.status.conditions, READY);
    Ok(if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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

pub(super) async fn get(args: Get, connection: &Connection) -> anyhow::Result<ExitCode> {
    let connected = connect::cluster(connection).await?;
    let found = find(&connected, &args.release).await?;
    let record = match args.revision {
        Some(revision) => found.storage.get(&found.name, revision).await?,
        None => found.storage.last(&found.name).await?.map(|(_, record)| record),
    };
    let Some(record) = record else { bail!("release: not found") };
    let text = match args.part {
        Part::Manifest => format!("{}\n", record.manifest),
        Part::Notes => format!("NOTES:\n{}\n", record.info.notes),
        Part::Hooks => {
            let one = |hook: &crate::release::manifest::Hook| {
                format!("---\n# Source: {}\n{}\n", hook.path, hook.manifest)
            };
            record.hooks.iter().map(one).collect()
        }
        Part::Values => match &record.config {
            Some(config) => {
                format!("USER-SUPPLIED VALUES:\n{}", yaml::print(&Value::Object(config.clone()))?)
            }
            None => "USER-SUPPLIED VALUES:\nnull\n".to_owned(),
        },
    };
    ui::print(&text);
    Ok(ExitCode::SUCCESS)
}
