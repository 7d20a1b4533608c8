//! `leadsman pull`, and charts that are named by their repository.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::args::Sources;
use super::chart_args::{Login, Places, Pull};
use super::repo::fetcher;
use super::{connect, home};
use crate::base::file;
use crate::chart::{self, Chart};
use crate::repo::{HelmFiles, Located, Registered, download_archive, helm_text, locate, locate_in};
use crate::source::Fetcher;

/// Longest time of one download, as in Helm.
pub(super) const TIMEOUT: Duration = Duration::from_secs(120);

pub(super) async fn run(args: Pull) -> anyhow::Result<ExitCode> {
    let files = home::helm_files(&args.places);
    let fetcher = fetcher()?;
    for reference in &args.charts {
        one(reference, &args, &files, &fetcher).await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Source: helm v4.3.1 pkg/action/pull.go (`Run`).
async fn one(
    reference: &str,
    args: &Pull,
    files: &HelmFiles,
    fetcher: &Fetcher,
) -> anyhow::Result<()> {
    let version = match args.version.as_str() {
        "" if args.devel => ">0.0.0-0",
        version => version,
    };
    let mut login = registered(&args.login);
    let located = if let Some(url) = &args.repo {
        login.url.clone_from(url);
        locate_in(fetcher, &login, reference, version, TIMEOUT).await?
    } else {
        locate(files, reference, version, &login, TIMEOUT)?
    };
    let bytes = download_archive(fetcher, &located.spec, &located.url, located.digest())
        .await
        .map_err(|error| anyhow::anyhow!(helm_text(&error)))?;
    if args.untar {
        let folder = joined(&args.destination, &args.untardir);
        let name = reference.rsplit('/').next().unwrap_or(reference);
        refuse_taken(&joined(&folder, Path::new(name)))?;
        return expand(&bytes, &folder);
    }
    if !args.destination.is_dir() {
        bail!("destination `{}` is no folder: make it first", args.destination.display());
    }
    let path = args.destination.join(located.file_name());
    file::write_atomic(&path, &bytes)?;
    Ok(())
}

/// Joins paths as Go does: `.` is left out.
pub(super) fn joined(folder: &Path, below: &Path) -> PathBuf {
    folder.join(below).components().filter(|part| *part != std::path::Component::CurDir).collect()
}

fn refuse_taken(path: &Path) -> anyhow::Result<()> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    let shown = path.display();
    bail!("failed to untar: a file or directory with the name {shown} already exists")
}

/// Unpacks a chart into a folder of its name.
///
/// Source: helm v4.3.1 pkg/chart/v2/util/expand.go (`Expand`).
fn expand(bytes: &[u8], folder: &Path) -> anyhow::Result<()> {
    let files = chart::unpack_archive(bytes).context("failed to untar")?;
    let name = chart::load_archive(bytes).context("failed to untar")?.metadata.name;
    let top = folder.join(&name);
    // The chart may have another name than the reference; what is there is never written into.
    refuse_taken(&top)?;
    for unpacked in files {
        file::write_atomic(&top.join(&unpacked.name), &unpacked.data)?;
    }
    Ok(())
}

/// Returns a repository without name and address, for what was typed of it.
pub(super) fn registered(login: &Login) -> Registered {
    Registered {
        username: login.username.clone(),
        password: crate::base::secret::Secret::new(login.password.clone()),
        cert_file: login.cert_file.clone(),
        key_file: login.key_file.clone(),
        ca_file: login.ca_file.clone(),
        insecure: login.insecure_skip_tls_verify,
        pass_credentials: login.pass_credentials,
        ..Registered::default()
    }
}

/// Loads a chart that is named by `NAME/CHART` or by the address of its archive.
pub(super) async fn load_named(
    reference: &str,
    version: &str,
    sources: &Sources,
) -> anyhow::Result<Arc<Chart>> {
    if Path::new(reference).is_absolute() || reference.starts_with('.') {
        bail!("path {reference:?} not found");
    }
    let files = home::helm_files(&Places::default());
    let located = locate(&files, reference, version, &Registered::default(), TIMEOUT)?;
    let Located { spec, url, entry } = &located;
    if let Some(entry) = entry {
        return Ok(connect::repositories(sources)?.pull(spec, entry).await?.chart);
    }
    let bytes = download_archive(&fetcher()?, spec, url, "").await?;
    Ok(Arc::new(chart::load_archive(&bytes)?))
}
