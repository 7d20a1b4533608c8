//! `leadsman search`: charts of the registered repositories, or of another one.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::chart_args::{Search, SearchCommand, SearchRepo};
use super::pull::{TIMEOUT, registered};
use super::repo::fetcher;
use super::{args::Output, home, ui};
use crate::base::constraint::Constraint;
use crate::repo::{HelmFiles, Hit, Query, Registered, Searchable, fetch_whole};

pub(super) async fn run(args: &Search) -> anyhow::Result<ExitCode> {
    let SearchCommand::Repo(wanted) = &args.command;
    let files = home::helm_files(&args.places);
    let charts = match &wanted.repo {
        Some(url) => of_repository(url, wanted, &files).await?,
        None => searchable(&files)?,
    };
    let text = wanted.keyword.join(" ");
    let query = match (wanted.keyword.is_empty(), wanted.regexp) {
        (true, _) => Query::All,
        (false, true) => Query::Regex(text),
        (false, false) => Query::Text(text),
    };
    // A wrong expression is told before a wrong constraint.
    let search = charts.search(&query).map_err(anyhow::Error::msg)?;
    let constraint: Constraint =
        constraint(wanted).parse().context("an invalid version/constraint format")?;
    show(wanted, &search.keep(&constraint, wanted.versions))?;
    Ok(ExitCode::SUCCESS)
}

fn constraint(args: &SearchRepo) -> &str {
    match (args.version.as_str(), args.devel) {
        ("", true) => ">0.0.0-0",
        ("", false) => ">0.0.0",
        (version, _) => version,
    }
}

/// Fetches the index of a repository, if it changed; its charts have no name before them.
async fn of_repository(
    url: &str,
    args: &SearchRepo,
    files: &HelmFiles,
) -> anyhow::Result<Searchable> {
    let repository = Registered { url: url.to_owned(), ..registered(&args.login) };
    let mut charts = Searchable::default();
    charts.add("", fetch_whole(&fetcher()?, files, &repository, TIMEOUT).await?);
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
        let index = files.index(&entry.name);
        // All of it is searched: what is damaged is made again before.
        let index = match index {
            Ok(index) if !index.is_whole() => files.index(&entry.name),
            other => other,
        };
        match index {
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

fn show(args: &SearchRepo, hits: &[Hit]) -> anyhow::Result<()> {
    if hits.is_empty() && args.fail_on_no_result {
        bail!("no results found");
    }
    if hits.is_empty() && args.output == Output::Table {
        ui::print("No results found\n");
        return Ok(());
    }
    let rows: Vec<Row<'_>> = hits.iter().map(Row::from).collect();
    ui::show_as_helm(args.output, &rows, || {
        let mut cells = vec![vec!["NAME", "CHART VERSION", "APP VERSION", "DESCRIPTION"]];
        cells.extend(
            rows.iter().map(|row| vec![row.name, row.version, row.app_version, row.description]),
        );
        ui::helm_table(cells, args.max_col_width)
    })
}
