//! Arguments of `plan` and `diff`.

use clap::Args as ClapArgs;

use super::super::args::{ChartFrom, Output, Values};

#[derive(Debug, ClapArgs)]
pub(crate) struct Plan {
    /// A release, by its own name or that of its HelmRelease.
    #[arg(value_name = "RELEASE")]
    pub(super) release: String,
    /// Archive, folder, or name of the chart that it would run; of a HelmRelease without it, the
    /// one that it asks for.
    pub(super) chart: Option<String>,
    #[command(flatten)]
    pub(super) asking: Asking,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Diff {
    /// A release, by its own name or that of its HelmRelease.
    #[arg(value_name = "RELEASE")]
    pub(super) release: String,
    /// Archive, folder, or name of the chart whose rendering is compared with the release.
    #[arg(conflicts_with_all = ["revision", "to"])]
    pub(super) chart: Option<String>,
    /// Compare from this revision on; without a number and a chart, from the one before --to.
    #[arg(long, value_name = "NUMBER")]
    pub(super) revision: Option<u32>,
    /// Compare up to this revision instead of the newest.
    #[arg(long, value_name = "NUMBER")]
    pub(super) to: Option<u32>,
    /// Leave hooks out.
    #[arg(long)]
    pub(super) no_hooks: bool,
    #[command(flatten)]
    pub(super) asking: Asking,
}

/// Which values and charts are meant, and how differences are shown.
#[derive(Debug, ClapArgs)]
pub(crate) struct Asking {
    #[command(flatten)]
    pub(super) values: Values,
    #[command(flatten)]
    pub(super) shown: Shown,
    #[command(flatten)]
    pub(super) from: ChartFrom,
}

/// How differences are shown.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub(crate) struct Shown {
    /// Show what Secrets hold.
    #[arg(long)]
    pub(super) show_secrets: bool,
    /// How to write it.
    #[arg(short, long, value_enum, default_value_t)]
    pub(super) output: Output,
}
