//! `leadsman uninstall`.
//!
//! Source: helm v4.3.2 pkg/cmd/uninstall.go, pkg/action/uninstall.go.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args as ClapArgs;

use super::args::Connection;
use super::release_args::{NoCharts, Waiting};
use super::site::Site;
use super::ui;
use crate::base::class::chain;
use crate::base::name::ReleaseName;
use crate::cluster::Propagation;
use crate::release::{self, Options};

#[derive(Debug, ClapArgs)]
pub(super) struct Uninstall {
    /// Names of releases.
    #[arg(required = true, value_name = "RELEASE")]
    pub(super) releases: Vec<String>,
    /// Change nothing.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) dry_run: Option<bool>,
    /// Do not fail for a release that there is not.
    #[arg(long)]
    pub(super) ignore_not_found: bool,
    #[command(flatten)]
    pub(super) how: Removing,
    #[command(flatten)]
    pub(super) no_charts: NoCharts,
}

/// How a release goes.
#[derive(Debug, ClapArgs)]
pub(super) struct Removing {
    /// Run no hooks.
    #[arg(long)]
    pub(super) no_hooks: bool,
    /// Keep the records.
    #[arg(long)]
    pub(super) keep_history: bool,
    /// What happens to what the objects own: background, foreground or orphan.
    #[arg(long, default_value = "background", value_name = "WAY")]
    pub(super) cascade: String,
    /// Description of the last revision.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    pub(super) description: String,
    #[command(flatten)]
    pub(super) waiting: Waiting,
}

impl Removing {
    /// Returns what happens to what the objects own.
    ///
    /// # Errors
    /// Helm's text.
    pub(super) fn propagation(&self) -> anyhow::Result<Propagation> {
        Ok(match self.cascade.as_str() {
            "background" => Propagation::Background,
            "foreground" => Propagation::Foreground,
            "orphan" => Propagation::Orphan,
            other => bail!(
                "invalid cascade value ({other}). Must be \"background\", \"foreground\", or \"orphan\""
            ),
        })
    }
}

pub(super) async fn run(args: Uninstall, connection: &Connection) -> anyhow::Result<ExitCode> {
    let propagation = args.how.propagation()?;
    for name in &args.releases {
        let stays = one(&args, name, connection, propagation).await?;
        if !stays.is_empty() {
            ui::print(&format!("{stays}\n"));
        }
        ui::print(&format!("release \"{name}\" uninstalled\n"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Uninstalls a release and returns what Helm says of objects that stay.
async fn one(
    args: &Uninstall,
    name: &str,
    connection: &Connection,
    propagation: Propagation,
) -> anyhow::Result<String> {
    let site = Site::of(connection, name).await?;
    let is_trial = args.dry_run == Some(true);
    if !is_trial && name.parse::<ReleaseName>().is_err() {
        bail!("uninstall: Release name is invalid: {name}");
    }
    let Some(last) = site.last(name).await? else {
        match (args.ignore_not_found, is_trial) {
            (true, _) => return Ok(String::new()),
            (false, true) => bail!("release: not found"),
            (false, false) => bail!("uninstall: Release not loaded: {name}: release: not found"),
        }
    };
    if is_trial {
        return Ok(release::plan_uninstall(&last)?.text());
    }
    site.warn("at its next reconciliation it installs it again; delete it to keep it away");
    let uninstall = release::Uninstall {
        last,
        timeout: args.how.waiting.timeout,
        wait: args.how.waiting.for_objects(),
        hooks: !args.how.no_hooks,
        keep_history: args.how.keep_history,
        propagation,
        options: Options { description: args.how.description.clone(), ..Options::default() },
    };
    let (outcome, spared) = release::uninstall_telling(&site.env(), uninstall).await;
    outcome.result.map_err(|error| anyhow::anyhow!(chain(&error)))?;
    Ok(spared.text())
}
