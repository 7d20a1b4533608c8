//! `leadsman repo`: repositories by name, in Helm's own files.

use std::io::Read as _;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::chart_args::{Repo, RepoAdd, RepoCommand, RepoList, RepoRemove, RepoUpdate};
use super::pull::registered;
use super::{home, ui};
use crate::repo::{self, HelmFiles, Registered, RepositoryFile, helm_text, outcome, refresh};
use crate::source::{Fetcher, Mirrors};

/// Longest password on stdin.
const PASSWORD_BYTES: u64 = 64 << 10;
/// Repositories that are gone, and what took their place.
const GONE: [(&str, &str); 2] = [
    ("//kubernetes-charts.storage.googleapis.com", "https://charts.helm.sh/stable"),
    ("//kubernetes-charts-incubator.storage.googleapis.com", "https://charts.helm.sh/incubator"),
];

pub(super) async fn run(args: Repo) -> anyhow::Result<ExitCode> {
    let files = home::helm_files(&args.places);
    match args.command {
        RepoCommand::Add(args) => add(args, &files).await?,
        RepoCommand::List(args) => list(&args, &files)?,
        RepoCommand::Update(args) => update(&args, &files).await?,
        RepoCommand::Index(args) => super::repo_index::run(&args)?,
        RepoCommand::Remove(args) => remove(&args, &files)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the fetcher of a command. Mirrors are for clusters; here the address that was typed is
/// the one that is meant.
pub(super) fn fetcher() -> anyhow::Result<Fetcher> {
    Fetcher::new(Mirrors::default()).context("start the HTTP client")
}

/// Source: helm v4.3.1 pkg/cmd/repo_add.go (`run`).
async fn add(args: RepoAdd, files: &HelmFiles) -> anyhow::Result<()> {
    for (old, new) in GONE {
        if !args.allow_deprecated_repos && args.url.contains(old) {
            bail!("repo {:?} is no longer available; try {new:?} instead", args.url);
        }
    }
    let (timeout, force) = (args.timeout, args.force_update);
    let entry = entry(args)?;
    let name = entry.name.clone();
    let _held = files.lock()?;
    let mut list = files.read()?.unwrap_or_default();
    if name.contains('/') {
        bail!("repository name ({name}) contains '/', please specify a different name without '/'");
    }
    if let Some(known) = list.find(&name).filter(|_| !force) {
        if *known != entry {
            bail!("repository name ({name}) already exists, please specify a different name");
        }
        ui::print(&format!("{name:?} already exists with the same configuration, skipping\n"));
        return Ok(());
    }
    let spec = entry.spec(timeout)?;
    files.fetch_index(&fetcher()?, &spec, &name).await.map_err(|error| match error {
        repo::Error::File(_) => error.into(),
        error => {
            let (url, text) = (&entry.url, helm_text(&error));
            anyhow::anyhow!(
                "looks like {url:?} is not a valid chart repository or cannot be reached: {text}"
            )
        }
    })?;
    list.put(entry);
    files.write(&list)?;
    ui::print(&format!("{name:?} has been added to your repositories\n"));
    Ok(())
}

fn entry(args: RepoAdd) -> anyhow::Result<Registered> {
    let mut login = args.login;
    if !login.username.is_empty() && login.password.is_empty() {
        if !args.password_stdin {
            bail!("--username needs a password: give --password or --password-stdin");
        }
        let mut password = String::new();
        std::io::stdin().take(PASSWORD_BYTES).read_to_string(&mut password)?;
        let line = password.strip_suffix('\n').unwrap_or(&password);
        login.password = line.strip_suffix('\r').unwrap_or(line).to_owned();
    }
    Ok(Registered { name: args.name, url: args.url, ..registered(&login) })
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    url: &'a str,
}

/// A list that cannot be read is shown as an empty one, as Helm does; the log says why.
fn list(args: &RepoList, files: &HelmFiles) -> anyhow::Result<()> {
    let list = files.read().unwrap_or_else(|error| {
        tracing::warn!("{error}");
        None
    });
    let list = list.unwrap_or_default().repositories;
    if list.is_empty() && args.output == super::args::Output::Table {
        ui::say("no repositories to show");
        return Ok(());
    }
    let rows: Vec<Row<'_>> =
        list.iter().map(|entry| Row { name: &entry.name, url: &entry.url }).collect();
    ui::show_as_helm(args.output, &rows, || {
        let headers = (!args.no_headers).then(|| vec!["NAME", "URL"]);
        let cells = rows.iter().map(|row| vec![row.name, row.url]);
        ui::helm_table(headers.into_iter().chain(cells).collect(), 0)
    })
}

/// Source: helm v4.3.1 pkg/cmd/repo_update.go (`run`).
async fn update(args: &RepoUpdate, files: &HelmFiles) -> anyhow::Result<()> {
    let list = files
        .read()
        .map_err(|error| {
            anyhow::anyhow!("failed loading file: {}: {error}", files.config.display())
        })?
        .unwrap_or_default();
    if list.repositories.is_empty() {
        bail!("no repositories found. You must add one before updating");
    }
    if let Some(name) = args.names.iter().find(|name| list.find(name).is_none()) {
        bail!("no repositories found matching '{name}'.  Nothing will be updated");
    }
    let asked = |entry: &&Registered| args.names.is_empty() || args.names.contains(&entry.name);
    let entries: Vec<&Registered> = list.repositories.iter().filter(asked).collect();
    ui::print("Hang tight while we grab the latest from your chart repositories...\n");
    let fetcher = fetcher()?;
    let refreshed = refresh(&fetcher, &entries, files, args.timeout).await;
    let mut failed = Vec::new();
    for (entry, result) in entries.iter().zip(refreshed) {
        ui::print(&outcome(&entry.name, &entry.url, &result));
        if result.is_err() {
            failed.push(entry.url.as_str());
        }
    }
    if !failed.is_empty() {
        bail!("failed to update the following repositories: [{}]", failed.join(" "));
    }
    ui::print("Update Complete. ⎈Happy Helming!⎈\n");
    Ok(())
}

/// Source: helm v4.3.1 pkg/cmd/repo_remove.go (`run`).
fn remove(args: &RepoRemove, files: &HelmFiles) -> anyhow::Result<()> {
    if files.read()?.is_none_or(|list| list.repositories.is_empty()) {
        bail!("no repositories configured");
    }
    let _held = files.lock()?;
    let mut list: RepositoryFile = files.read()?.unwrap_or_default();
    for name in &args.names {
        if !list.remove(name) {
            bail!("no repo named {name:?} found");
        }
        files.write(&list)?;
        files.forget_index(name)?;
        ui::print(&format!("{name:?} has been removed from your repositories\n"));
    }
    Ok(())
}
