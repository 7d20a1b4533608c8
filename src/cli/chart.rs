//! Charts that a command names: an archive, a folder, or a name in a repository.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use super::args::ChartFrom;
use super::connect;
use crate::base::file;
use crate::base::limit::{self, Limit};
use crate::chart::{self, Chart};
use crate::repo::RepositorySpec;

/// Loads a chart; `unpack` reads an archive, so that a command which renders may begin meanwhile.
pub(super) async fn load(
    name: &str,
    from: &ChartFrom,
    unpack: impl FnOnce(Vec<u8>) -> Result<Chart, chart::Error>,
) -> anyhow::Result<Arc<Chart>> {
    if let Some(url) = &from.repo {
        return pull(name, url, from).await;
    }
    let path = Path::new(name);
    if !path.exists() && (path.is_absolute() || name.starts_with('.')) {
        anyhow::bail!("path {name:?} not found");
    }
    if !path.exists() {
        return super::pull::load_named(name, &from.version, &from.sources).await;
    }
    if path.is_dir() {
        return Ok(Arc::new(chart::load_folder(path)?));
    }
    Ok(Arc::new(unpack(file::read_bytes(path, limit::current().of(Limit::Unpacked))?)?))
}

async fn pull(name: &str, url: &str, from: &ChartFrom) -> anyhow::Result<Arc<Chart>> {
    let repositories = connect::repositories(&from.sources)?;
    let spec = RepositorySpec {
        url: url.parse()?,
        timeout: Duration::from_secs(60),
        credentials: None,
        tls: None,
    };
    repositories.refresh(&spec).await?;
    let found = repositories.resolve(&spec.url, name, &from.version)?;
    let newest = found.first().context("no version")?;
    Ok(repositories.pull(&spec, newest).await?.chart)
}
