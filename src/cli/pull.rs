//! `leadsman pull`, and charts that are named by their repository.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;

use super::args::ChartFrom;
use super::chart_args::{Login, Pull};
use super::repo::fetcher;
use super::{connect, home, registry, ui};
use crate::base::file;
use crate::chart::{self, Chart};
use crate::repo::oci::is_oci;
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
    let download = if args.repo.is_none() && is_oci(reference) {
        registry::download(reference, version, args).await?
    } else {
        from_repository(reference, version, args, (files, fetcher)).await?
    };
    let Download { file_name, bytes, provenance } = download;
    if !args.untar {
        if !args.destination.is_dir() {
            bail!("destination `{}` is no folder: make it first", args.destination.display());
        }
        let path = args.destination.join(&file_name);
        file::write_atomic(&path, &bytes)?;
        if let Ok((Some(signed), _)) = &provenance {
            let path = args.destination.join(format!("{file_name}.prov"));
            file::write_atomic(&path, signed)?;
        }
    }
    let (_, said) = provenance?;
    if args.untar {
        let folder = joined(&args.destination, &args.untardir);
        let name = reference.rsplit('/').next().unwrap_or(reference);
        refuse_taken(&joined(&folder, Path::new(name)))?;
        expand(&bytes, &folder)?;
    }
    ui::print(&said);
    Ok(())
}

/// An archive that was fetched.
pub(super) struct Download {
    pub(super) file_name: String,
    pub(super) bytes: Bytes,
    /// Its provenance, as far as it is wanted, and what is said of it.
    pub(super) provenance: anyhow::Result<(Option<Bytes>, String)>,
}

async fn from_repository(
    reference: &str,
    version: &str,
    args: &Pull,
    (files, fetcher): (&HelmFiles, &Fetcher),
) -> anyhow::Result<Download> {
    let mut login = registered(&args.login);
    let located = if let Some(url) = &args.repo {
        login.url.clone_from(url);
        locate_in((fetcher, files), &login, reference, version, TIMEOUT).await?
    } else {
        locate(files, reference, version, &login, TIMEOUT)?
    };
    let bytes = download_archive(fetcher, &located.spec, &located.url, located.digest())
        .await
        .map_err(|error| anyhow::anyhow!(helm_text(&error)))?;
    let provenance = provenance(&located, &bytes, reference, args, fetcher).await;
    Ok(Download { file_name: located.file_name(), bytes, provenance })
}

/// Fetches the provenance of an archive, as far as that is asked for; returns what is said of it.
async fn provenance(
    located: &Located,
    archive: &[u8],
    reference: &str,
    args: &Pull,
    fetcher: &Fetcher,
) -> anyhow::Result<(Option<Bytes>, String)> {
    if let Some(trust) = args.trusted.trust() {
        let (verification, signed) = located.verified(fetcher, archive, &trust).await?;
        return Ok((Some(signed), verification.to_string()));
    }
    if !args.prov {
        return Ok((None, String::new()));
    }
    match located.provenance(fetcher).await {
        Ok(signed) => Ok((Some(signed), String::new())),
        Err(why) => {
            // With --repo, Helm knows the archive by its address.
            let url = located.url.to_string();
            let named = if args.repo.is_some() { &url } else { reference };
            Ok((None, format!("WARNING: Verification not found for {named}: {why}\n")))
        }
    }
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

/// Loads a chart that is named by `NAME/CHART`, by the address of its archive, or by its
/// repository.
pub(super) async fn load_named(reference: &str, from: &ChartFrom) -> anyhow::Result<Arc<Chart>> {
    let version = from.wanted();
    let fetcher = fetcher()?;
    let (login, files) = (registered(&from.login), home::helm_files(&from.places));
    let located = match &from.repo {
        Some(url) => {
            let repository = Registered { url: url.clone(), ..login };
            locate_in((&fetcher, &files), &repository, reference, version, TIMEOUT).await?
        }
        None => locate(&files, reference, version, &login, TIMEOUT)?,
    };
    let Located { spec, url, entry } = &located;
    let trust = from.trusted.trust();
    if let (Some(entry), None) = (entry, &trust) {
        return Ok(connect::repositories(&from.sources)?.pull(spec, entry).await?.chart);
    }
    let bytes = download_archive(&fetcher, spec, url, located.digest()).await;
    let bytes = bytes.map_err(|error| anyhow::anyhow!(helm_text(&error)))?;
    if let Some(trust) = &trust {
        located.verified(&fetcher, &bytes, trust).await?;
    }
    Ok(Arc::new(chart::load_archive(&bytes)?))
}
