//! `leadsman dependency`: what `charts/` holds, and getting what it should hold.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::chart_args::{Dependencies, DependencyCommand, DependencyGet, DependencyList, Places};
use super::pull::{TIMEOUT, joined};
use super::repo::fetcher;
use super::{home, package, registry, ui};
use crate::base::constraint::Constraint;
use crate::base::version::Version;
use crate::base::{file, limit};
use crate::chart::{self, Chart, Dependency};
use crate::repo::{Registries, Subcharts, Verify};

pub(super) async fn run(args: Dependencies) -> anyhow::Result<ExitCode> {
    let places = args.places;
    match args.command {
        DependencyCommand::List(args) => list(&args)?,
        DependencyCommand::Update(args) => get(&args, &places, false).await?,
        DependencyCommand::Build(args) => get(&args, &places, true).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn get(args: &DependencyGet, places: &Places, locked: bool) -> anyhow::Result<()> {
    let files = &home::helm_files(places);
    let fetcher = fetcher()?;
    let folder = joined(Path::new(""), &args.chart);
    let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
    let session = registry::session(&args.login)?;
    let subcharts = Subcharts {
        folder: &folder,
        files,
        fetcher: &fetcher,
        registries: Registries { session: &session, say: &ui::print },
        skip_refresh: args.skip_refresh,
        timeout: TIMEOUT,
        stamp: package::stamp()?,
        verify: match args.trusted.trust() {
            None => Verify::Never,
            Some(trust) if locked => Verify::IfPossible(trust),
            Some(trust) => Verify::Always(trust),
        },
        say: &ui::print,
    };
    if locked {
        subcharts.build().await?;
    } else {
        subcharts.update().await?;
    }
    Ok(())
}

fn load(path: &Path) -> anyhow::Result<Chart> {
    if path.is_dir() {
        return Ok(chart::load_folder(path)?);
    }
    if !path.exists() {
        anyhow::bail!("stat {}: no such file or directory", path.display());
    }
    Ok(chart::load_archive(&file::read_bytes(path, limit::ARCHIVE_BYTES)?)?)
}

/// Source: helm v4.3.1 pkg/action/dependency.go (`List`).
fn list(args: &DependencyList) -> anyhow::Result<()> {
    let chart = load(&args.chart)?;
    let charts = joined(&args.chart, Path::new("charts"));
    let declared = &chart.metadata.dependencies;
    if declared.is_empty() {
        ui::print(&format!("WARNING: no dependencies at {}\n", charts.display()));
        return Ok(());
    }
    let mut rows = vec![vec!["NAME", "VERSION", "REPOSITORY", "STATUS"]];
    for dep in declared {
        rows.push(vec![&dep.name, &dep.version, &dep.repository, status(&charts, dep, &chart)]);
    }
    ui::print(&format!("{}\n", ui::helm_table(rows, args.max_col_width)));
    for path in entries(&charts) {
        let packed = path.extension().is_some_and(|end| end == "tgz");
        if !packed && !path.is_dir() {
            continue;
        }
        let shown = path.display().to_string();
        match load(&path) {
            Err(_) => ui::print(&format!("WARNING: {shown:?} is not a chart.\n")),
            Ok(found) if declared.iter().any(|dep| dep.name == found.metadata.name) => {}
            Ok(_) => ui::print(&format!("WARNING: {shown:?} is not in Chart.yaml.\n")),
        }
    }
    Ok(())
}

/// Lists a folder by name; one that is not there is empty.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let found = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = found.map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// Source: helm v4.3.1 pkg/action/dependency.go (`dependencyStatus`).
fn status(charts: &Path, dep: &Dependency, parent: &Chart) -> &'static str {
    let start = format!("{}-", dep.name);
    let version = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?;
        Some(name.strip_prefix(&start)?.strip_suffix(".tgz")?.to_owned())
    };
    let mut archives = entries(charts);
    archives.retain(|path| version(path).is_some());
    if archives.len() > 1 {
        let strict = |path: &PathBuf| {
            version(path).is_some_and(|version| Version::parse_strict(&version).is_ok())
        };
        archives.retain(strict);
        if archives.len() > 1 {
            return "too many matches";
        }
    }
    if let Some(path) = archives.first() {
        return match load(path) {
            Err(_) => "corrupt",
            Ok(found) if found.metadata.name != dep.name => "misnamed",
            Ok(found) => fitness(dep, &found.metadata.version, "ok"),
        };
    }
    let inner = parent.dependencies.iter().find(|chart| chart.metadata.name == dep.name);
    inner.map_or("missing", |chart| fitness(dep, &chart.metadata.version, "unpacked"))
}

/// Says whether a version is the one that is declared; `good` if so.
fn fitness(dep: &Dependency, version: &str, good: &'static str) -> &'static str {
    if version == dep.version {
        return good;
    }
    let Ok(constraint) = dep.version.parse::<Constraint>() else { return "invalid version" };
    match version.parse::<Version>() {
        Err(_) => "invalid version",
        Ok(version) if constraint.matches(&version) => good,
        Ok(_) => "wrong version",
    }
}
