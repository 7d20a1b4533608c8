//! Charts that a command names: an archive, a folder, or a name in a repository.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};

use super::args::ChartFrom;
use super::{connect, registry};
use crate::base::file;
use crate::base::limit::{self, Limit};
use crate::chart::{self, Chart};
use crate::repo::Registered;
use crate::repo::oci::is_oci;

/// As much of a file tells what it is.
pub(super) const SNIFFED: usize = 512;

/// Loads a chart; `unpack` reads an archive, so that a command which renders may begin meanwhile.
pub(super) async fn load(
    name: &str,
    from: &ChartFrom,
    unpack: impl FnOnce(Vec<u8>) -> Result<Chart, chart::Error>,
) -> anyhow::Result<Arc<Chart>> {
    match &from.repo {
        Some(url) if !from.trusted.verify => return pull(name, url, from).await,
        Some(_) => return super::pull::load_named(name, from).await,
        None => {}
    }
    let path = Path::new(name);
    if !path.exists() && (path.is_absolute() || name.starts_with('.')) {
        anyhow::bail!("path {name:?} not found");
    }
    if !path.exists() && is_oci(name) {
        let archive = registry::archive(name, from).await?;
        return Ok(Arc::new(unpack(archive.into())?));
    }
    if !path.exists() {
        return super::pull::load_named(name, from).await;
    }
    from.trusted.check(path)?;
    if path.is_dir() {
        return Ok(Arc::new(chart::load_folder(path)?));
    }
    let packed = file::read_bytes(path, limit::current().of(Limit::Unpacked))?;
    // What is no archive is named by its first bytes.
    let start = packed[..packed.len().min(SNIFFED)].to_vec();
    let chart = unpack(packed).map_err(|error| match error {
        chart::Error::NotGzip => anyhow!(no_archive(&absolute(path), &start)),
        error => error.into(),
    })?;
    Ok(Arc::new(chart))
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

async fn pull(name: &str, url: &str, from: &ChartFrom) -> anyhow::Result<Arc<Chart>> {
    let repositories = connect::repositories(&from.sources)?;
    let repository = Registered { url: url.to_owned(), ..super::pull::registered(&from.login) };
    let spec = repository.spec(Duration::from_secs(60))?;
    repositories.refresh(&spec).await?;
    let found = repositories.resolve(&spec.url, name, from.wanted())?;
    let newest = found.first().context("no version")?;
    Ok(repositories.pull(&spec, newest).await?.chart)
}

/// What Helm says of a file that is no archive: it looks at the name, and at the first 512 bytes,
/// of which a short file leaves some zero.
///
/// Source: helm v4.3.1 pkg/chart/loader/archive (`EnsureArchive`); go net/http/sniff.go.
pub(super) fn no_archive(shown: &str, start: &[u8]) -> String {
    if shown.ends_with(".yml") || shown.ends_with(".yaml") {
        return format!("file '{shown}' seems to be a YAML file, but expected a gzipped archive");
    }
    let is_binary = |byte: &u8| matches!(byte, 0..=8 | 11 | 14..=26 | 28..=31);
    let is_text = start.len() == SNIFFED && !start.iter().any(is_binary);
    let kind = if is_text { "text/plain; charset=utf-8" } else { "application/octet-stream" };
    format!("file '{shown}' does not appear to be a gzipped archive; got '{kind}'")
}
