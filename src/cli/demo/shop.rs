//! The charts of the demo, published one by one.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::base::file;
use crate::chart;

/// One version: its number and its files.
pub(super) struct Edition {
    pub(super) version: &'static str,
    files: &'static [(&'static str, &'static str)],
}

macro_rules! edition {
    ($version:literal) => {
        Edition {
            version: $version,
            files: &[
                edition!($version, "Chart.yaml"),
                edition!($version, "values.yaml"),
                edition!($version, "templates/NOTES.txt"),
                edition!($version, "templates/_helpers.tpl"),
                edition!($version, "templates/configmap.yaml"),
                edition!($version, "templates/deployment.yaml"),
                edition!($version, "templates/service.yaml"),
            ],
        }
    };
    ($version:literal, $file:literal) => {
        ($file, include_str!(concat!("../../../fixtures/charts/web/", $version, "/", $file)))
    };
}

/// The first, a good one, one that never becomes ready, and a good one again.
pub(super) const EDITIONS: [Edition; 4] =
    [edition!("1.0.0"), edition!("1.1.0"), edition!("1.2.0"), edition!("1.3.0")];

impl Edition {
    /// Packs it into a folder, where it is served from then on.
    pub(super) fn publish(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let files = self.files.iter().map(|(path, text)| (*path, text.as_bytes()));
        let bytes = chart::pack("web", files)?;
        let path = folder.join(format!("web-{}.tgz", self.version));
        file::write_atomic(&path, &bytes).context("publish a chart")?;
        Ok(path)
    }
}
