//! `leadsman package`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use super::chart_args::Package;
use super::pull::{TIMEOUT, joined};
use super::repo::fetcher;
use super::{home, registry, ui};
use crate::base::class::chain;
use crate::base::clock::{Clock as _, SystemClock, Timestamp};
use crate::base::file::{self, env_var};
use crate::base::version::Version;
use crate::chart::{self, Stamp};
use crate::repo::{Registries, Subcharts, Verify};

pub(super) async fn run(args: Package) -> anyhow::Result<ExitCode> {
    args.sign.check()?;
    let stamp = stamp()?;
    let mut passphrase = None;
    for path in &args.paths {
        if let Err(error) = std::fs::metadata(path) {
            match error.kind() {
                std::io::ErrorKind::NotFound => {
                    bail!("stat {}: no such file or directory", path.display())
                }
                _ => return Err(error).with_context(|| format!("look at `{}`", path.display())),
            }
        }
        if args.dependency_update {
            update(path, &args, stamp).await?;
        }
        let saved = one(path, &args, stamp)?;
        args.sign.apply(&saved, &mut passphrase)?;
        ui::print(&format!("Successfully packaged chart and saved it to: {}\n", saved.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Gets the dependencies of a chart, without a word.
async fn update(path: &Path, args: &Package, stamp: Stamp) -> anyhow::Result<()> {
    let session = registry::session(&args.login)?;
    let subcharts = Subcharts {
        folder: &std::path::absolute(path)?,
        files: &home::helm_files(&args.places),
        fetcher: &fetcher()?,
        registries: Registries { session: &session, say: &ui::print },
        skip_refresh: false,
        timeout: TIMEOUT,
        stamp,
        verify: Verify::Never,
        say: &|_| {},
    };
    Ok(subcharts.update().await?)
}

/// Returns the time of the files in an archive: what `SOURCE_DATE_EPOCH` says, else now.
pub(super) fn stamp() -> anyhow::Result<Stamp> {
    let Some(text) = env_var("SOURCE_DATE_EPOCH").filter(|text| !text.is_empty()) else {
        return Ok(Stamp::Now(SystemClock.now()));
    };
    let seconds = text.parse::<i64>().ok().filter(|seconds| *seconds >= 0);
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map(Stamp::Fixed)
        .with_context(|| format!("invalid SOURCE_DATE_EPOCH `{text}`: not seconds since 1970"))
}

/// Source: helm v4.3.1 pkg/action/package.go (`Run`).
fn one(path: &Path, args: &Package, stamp: Stamp) -> anyhow::Result<PathBuf> {
    let mut chart = chart::load_folder(path)?;
    if !args.version.is_empty() {
        chart.metadata.version.clone_from(&args.version);
    }
    let version = &chart.metadata.version;
    version.parse::<Version>().map_err(|error| anyhow::anyhow!("{error}"))?;
    if !args.app_version.is_empty() {
        chart.metadata.app_version.clone_from(&args.app_version);
    }
    chart::check_dependencies_present(&chart)?;
    let name = format!("{}-{}.tgz", chart.metadata.name, chart.metadata.version);
    let folder = if args.destination == Path::new(".") {
        std::env::current_dir().context("find the working directory")?
    } else {
        args.destination.clone()
    };
    let bytes = chart::save(&chart, stamp)
        .map_err(|error| anyhow::anyhow!("failed to save: {}", chain(&error)))?;
    let saved = joined(&folder, Path::new(&name));
    file::write_atomic(&saved, &bytes)?;
    Ok(saved)
}
