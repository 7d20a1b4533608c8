//! `leadsman search`: charts of the registered repositories, or of another one, be it a registry.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::chart_args::{Search, SearchCommand, SearchRepo};
use super::pull::{TIMEOUT, registered};
use super::repo::fetcher;
use super::{args::Output, home, registry, ui};
use crate::base::constraint::Constraint;
use crate::base::version::Version;
use crate::repo::oci::{Described, describe, is_oci, versions};
use crate::repo::{HelmFiles, Hit, Query, Registered, Searchable, fetch_index};
use crate::source::oci::Reference;

pub(super) async fn run(args: &Search) -> anyhow::Result<ExitCode> {
    let SearchCommand::Repo(wanted) = &args.command;
    if let Some(address) = of_registry(wanted)? {
        let (found, described) = in_registry(wanted, &address).await?;
        let name = address.rsplit('/').next().unwrap_or_default();
        show(wanted, &rows_of_registry(name, &found, &described))?;
        return Ok(ExitCode::SUCCESS);
    }
    let files = home::helm_files(&args.places);
    let (mut hits, is_damaged) = search(wanted, &files).await?;
    if is_damaged {
        // What is damaged was taken away, and is made again.
        (hits, _) = search(wanted, &files).await?;
    }
    show(wanted, &hits.iter().map(Row::from).collect::<Vec<_>>())?;
    Ok(ExitCode::SUCCESS)
}

/// Searches once; returns whether damage was met, too.
async fn search(wanted: &SearchRepo, files: &HelmFiles) -> anyhow::Result<(Vec<Hit>, bool)> {
    let charts = match &wanted.repo {
        Some(url) => of_repository(url, wanted, files).await?,
        None => searchable(files)?,
    };
    let text = wanted.keyword.join(" ");
    let query = match (wanted.keyword.is_empty(), wanted.regexp) {
        (true, _) => Query::All,
        (false, true) => Query::Regex(text),
        (false, false) => Query::Text(text),
    };
    // A wrong expression is told before a wrong constraint.
    let search = charts.search(&query).map_err(anyhow::Error::msg)?;
    let hits = search.keep(&constraint(wanted)?, wanted.versions);
    Ok((hits, charts.is_damaged()))
}

fn constraint(args: &SearchRepo) -> anyhow::Result<Constraint> {
    let text = match (args.version.as_str(), args.devel) {
        ("", true) => ">0.0.0-0",
        ("", false) => ">0.0.0",
        (version, _) => version,
    };
    text.parse().context("an invalid version/constraint format")
}

/// Returns the address of the chart that is meant, if it is in a registry: a registry lists no
/// charts, so that it has to be named.
fn of_registry(wanted: &SearchRepo) -> anyhow::Result<Option<String>> {
    let address = match (&wanted.repo, &wanted.keyword[..]) {
        (Some(url), [name]) if is_oci(url) => format!("{}/{name}", url.trim_end_matches('/')),
        (Some(url), _) if is_oci(url) => {
            bail!(
                "a registry does not list its charts: name one, such as `search repo nginx --repo {url}`"
            )
        }
        (None, [address]) if is_oci(address) => address.clone(),
        _ => return Ok(None),
    };
    if wanted.regexp {
        bail!("--regexp is not possible here: a registry does not list its charts");
    }
    Ok(Some(address))
}

/// Returns the versions that a registry has of a chart, newest first, and what the first of them says
/// of the chart: to ask each takes two requests.
async fn in_registry(
    wanted: &SearchRepo,
    address: &str,
) -> anyhow::Result<(Vec<Version>, Described)> {
    let constraint = constraint(wanted)?;
    let session = registry::session(&wanted.login)?;
    let at: Reference = address.trim_start_matches("oci://").parse()?;
    if !at.target.is_empty() {
        bail!(
            "{address} names one version: leave `{}` out, and say which with --version",
            at.target
        );
    }
    let mut found = versions(&session, &at).await?;
    found.retain(|version| constraint.matches(version));
    found.truncate(if wanted.versions { found.len() } else { 1 });
    let described = match found.first() {
        Some(first) => {
            let tag = first.original().replace('+', "_");
            describe(&session, &at.with(tag)).await?
        }
        None => Described::default(),
    };
    Ok((found, described))
}

fn rows_of_registry<'a>(
    name: &'a str,
    found: &'a [Version],
    described: &'a Described,
) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'_>> = found
        .iter()
        .map(|version| Row { name, version: version.original(), app_version: "", description: "" })
        .collect();
    if let Some(first) = rows.first_mut() {
        (first.app_version, first.description) = (&described.app_version, &described.description);
    }
    rows
}

/// Fetches the index of a repository, if it changed; its charts have no name before them.
async fn of_repository(
    url: &str,
    args: &SearchRepo,
    files: &HelmFiles,
) -> anyhow::Result<Searchable> {
    let repository = Registered { url: url.to_owned(), ..registered(&args.login) };
    let mut charts = Searchable::default();
    charts.add("", fetch_index(&fetcher()?, files, &repository, TIMEOUT).await?);
    Ok(charts)
}

/// Reads the copied indexes; one that cannot be read is said in the log.
fn searchable(files: &HelmFiles) -> anyhow::Result<Searchable> {
    let list = files.read()?.unwrap_or_default();
    if list.repositories.is_empty() {
        bail!("no repositories configured");
    }
    let mut charts = Searchable::default();
    for entry in &list.repositories {
        match files.index(&entry.name) {
            Ok(index) => charts.add(&entry.name, Arc::new(index)),
            Err(error) => {
                tracing::warn!(repo = entry.name, error, "repo is corrupt or missing");
            }
        }
    }
    Ok(charts)
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    version: &'a str,
    app_version: &'a str,
    description: &'a str,
}

impl<'a> From<&'a Hit> for Row<'a> {
    fn from(hit: &'a Hit) -> Self {
        Self {
            name: &hit.name,
            version: &hit.entry.text,
            app_version: &hit.entry.app_version,
            description: &hit.description,
        }
    }
}

fn show(args: &SearchRepo, rows: &[Row<'_>]) -> anyhow::Result<()> {
    if rows.is_empty() && args.fail_on_no_result {
        bail!("no results found");
    }
    if rows.is_empty() && args.output == Output::Table {
        ui::print("No results found\n");
        return Ok(());
    }
    ui::show_as_helm(args.output, &rows, || {
        let mut cells = vec![vec!["NAME", "CHART VERSION", "APP VERSION", "DESCRIPTION"]];
        cells.extend(
            rows.iter().map(|row| vec![row.name, row.version, row.app_version, row.description]),
        );
        ui::helm_table(cells, args.max_col_width)
    })
}
