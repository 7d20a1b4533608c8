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
use crate::repo::Registered;

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
    if !path.exists() {
        return super::pull::load_named(name, from).await;
    }
    from.trusted.check(path)?;
    if path.is_dir() {
        return Ok(Arc::new(chart::load_folder(path)?));
    }
    Ok(Arc::new(unpack(file::read_bytes(path, limit::current().of(Limit::Unpacked))?)?))
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
