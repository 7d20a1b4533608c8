//! `leadsman rollback`.
//!
//! Source: helm v4.3.2 pkg/cmd/rollback.go, pkg/action/rollback.go.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args as ClapArgs;

use super::args::Connection;
use super::release_args::{Applying, Depth, DryRun, Keeping, NoCharts, Waiting};
use super::site::Site;
use super::ui;
use crate::release::{self, Method, Options, Record};

/// Most characters of a description.
const DESCRIPTION: usize = 256;

#[derive(Debug, ClapArgs)]
pub(super) struct Rollback {
    /// Name of the release or HelmRelease.
    pub(super) release: String,
    /// Revision; the one before the last without it, or for 0.
    pub(super) revision: Option<String>,
    #[command(flatten)]
    pub(super) how: Reverting,
    #[command(flatten)]
    pub(super) dry: DryRun,
    #[command(flatten)]
    pub(super) no_charts: NoCharts,
}

/// How a release is rolled back.
#[derive(Debug, ClapArgs)]
pub(super) struct Reverting {
    /// Description of the revision, of at most 256 characters.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    pub(super) description: String,
    /// Run no hooks.
    #[arg(long)]
    pub(super) no_hooks: bool,
    /// After a failure, delete objects that this rollback created.
    #[arg(long)]
    pub(super) cleanup_on_fail: bool,
    #[command(flatten)]
    pub(super) keeping: Keeping,
    #[command(flatten)]
    pub(super) waiting: Waiting,
    #[command(flatten)]
    pub(super) applying: Applying,
}

impl Reverting {
    /// Checks what was typed.
    ///
    /// # Errors
    /// Helm's text.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let length = self.description.chars().count();
        if length > DESCRIPTION {
            bail!("description must be {DESCRIPTION} characters or less, got {length}");
        }
        Ok(())
    }
}

/// Returns the newest revision of a release and the one that is returned to.
///
/// # Errors
/// Helm's texts.
pub(super) async fn records(
    site: &Site,
    name: &str,
    revision: Option<&str>,
) -> anyhow::Result<(Record, Record)> {
    let revision = revision.map_or(Ok(0), self::revision)?;
    let Some(last) = site.last(name).await? else { bail!("release: not found") };
    let revision = if revision == 0 { last.version.saturating_sub(1) } else { revision };
    match site.storage.get(name, revision).await? {
        Some(target) => Ok((last, target)),
        None => bail!("release has no {revision} version"),
    }
}

pub(super) async fn run(args: Rollback, connection: &Connection) -> anyhow::Result<ExitCode> {
    // What cannot be read is told before the cluster is asked.
    args.revision.as_deref().map(revision).transpose()?;
    let how = &args.how;
    how.check()?;
    let depth = args.dry.depth()?;
    let asked = how.applying.method()?;
    let wait = how.waiting.for_objects();
    let (mut site, name) = Site::find(connection, &args.release).await?;
    site.rules = how.waiting.rules();
    let (last, target) = records(&site, &name, args.revision.as_deref()).await?;
    if depth == Depth::Whole {
        let version = target.metadata().version;
        let method = asked.or(Method::of(&target.apply_method));
        let rollback = release::Rollback {
            target,
            last,
            timeout: how.waiting.timeout,
            wait: wait || site.kept.is_some(),
            wait_for_jobs: how.waiting.wait_for_jobs,
            hooks: !how.no_hooks,
            cleanup_on_fail: how.cleanup_on_fail,
            max_history: how.keeping.history_max,
            options: Options {
                description: how.description.clone(),
                ..site.options(&how.applying, method)?
            },
        };
        release::rollback(&site.env(), rollback).await.result.map_err(|error| match error {
            release::Error::Wait(_) => {
                anyhow::Error::new(error).context(format!("release {name} failed"))
            }
            error => error.into(),
        })?;
        site.warn_of_pin(&version);
    }
    ui::print("Rollback was a success! Happy Helming!\n");
    Ok(ExitCode::SUCCESS)
}

/// Reads a revision as Go reads numbers.
fn revision(text: &str) -> anyhow::Result<u32> {
    let failed = |why: &str| {
        format!("could not convert revision to a number: strconv.Atoi: parsing {text:?}: {why}")
    };
    match text.parse::<i64>() {
        Ok(number) if number < 0 => bail!("invalid release revision"),
        Ok(number) => Ok(u32::try_from(number).unwrap_or(u32::MAX)),
        Err(error) => match error.kind() {
            std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
                bail!(failed("value out of range"))
            }
            _ => bail!(failed("invalid syntax")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_are_read_as_by_go() {
        let failed = "could not convert revision to a number: strconv.Atoi: parsing";
        let rows = [
            ("3", Ok(3)),
            ("0", Ok(0)),
            ("+2", Ok(2)),
            ("-1", Err("invalid release revision".to_owned())),
            ("x", Err(format!("{failed} \"x\": invalid syntax"))),
            ("", Err(format!("{failed} \"\": invalid syntax"))),
            (
                "99999999999999999999",
                Err(format!("{failed} \"99999999999999999999\": value out of range")),
            ),
        ];
        for (text, want) in rows {
            assert_eq!(revision(text).map_err(|error| error.to_string()), want, "{text}");
        }
    }
}
