//! `--dependency-update`: what a chart's folder lacks is fetched before it is rendered.

use std::path::Path;
use std::sync::Arc;

use super::args::ChartFrom;
use super::pull::TIMEOUT;
use super::repo::fetcher;
use super::{home, package, registry, ui};
use crate::chart::{self, Chart};
use crate::repo::{Registries, Subcharts, Verify};

/// Returns the chart with its dependencies; without the flag, as it is.
///
/// Source: helm v4.3.1 pkg/cmd/install.go (`runInstall`).
pub(super) async fn complete(
    chart: Arc<Chart>,
    name: &str,
    (from, update): (&ChartFrom, bool),
) -> anyhow::Result<Arc<Chart>> {
    let path = Path::new(name);
    let lacks = chart::check_dependencies_present(&chart).is_err();
    if !update || !lacks || from.repo.is_some() || !path.is_dir() {
        return Ok(chart);
    }
    let session = registry::session(&from.login)?;
    let subcharts = Subcharts {
        folder: &std::path::absolute(path)?,
        files: &home::helm_files(&from.places),
        fetcher: &fetcher()?,
        registries: Registries { session: &session, say: &ui::print },
        skip_refresh: false,
        timeout: TIMEOUT,
        stamp: package::stamp()?,
        verify: Verify::Never,
        say: &ui::print,
    };
    subcharts.update().await?;
    Ok(Arc::new(chart::load_folder(path)?))
}
