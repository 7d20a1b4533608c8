//! `leadsman rollback`.
//!
//! Source: helm v4.3.2 pkg/cmd/rollback.go, pkg/action/rollback.go.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args as ClapArgs;

use super::args::Connection;
use super::release_args::{Applying, Depth, DryRun, Keeping, Waiting};
use super::site::Site;
use super::ui;
use crate::release::{self, Method, Options};

/// Most characters of a description.
const DESCRIPTION: usize = 256;

#[derive(Debug, ClapArgs)]
pub(super) struct Rollback {
    /// Name of the release or HelmRelease.
    pub(super) release: String,
    /// Revision; the one before the last without it, or for 0.
    pub(super) revision: Option<String>,
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
    #[command(flatten)]
    pub(super) dry: DryRun,
}

pub(super) async fn run(args: Rollback, connection: &Connection) -> anyhow::Result<ExitCode> {
    let revision = match args.revision.as_deref() {
        None => 0,
        Some(text) => revision(text)?,
    };
    let length = args.description.chars().count();
    if length > DESCRIPTION {
        bail!("description must be {DESCRIPTION} characters or less, got {length}");
    }
    let depth = args.dry.depth()?;
    let asked = args.applying.method()?;
    let wait = args.waiting.for_objects();
    let (mut site, name) = Site::find(connection, &args.release).await?;
    site.rules = args.waiting.rules();
    let Some(last) = site.last(&name).await? else { bail!("release: not found") };
    let revision = if revision == 0 { last.version.saturating_sub(1) } else { revision };
    let Some(target) = site.storage.get(&name, revision).await? else {
        bail!("release has no {revision} version");
    };
    if depth == Depth::Whole {
        let version = target.metadata().version;
        let method = asked.or(Method::of(&target.apply_method));
        let rollback = release::Rollback {
            target,
            last,
            timeout: args.waiting.timeout,
            wait: wait || site.kept.is_some(),
            wait_for_jobs: args.waiting.wait_for_jobs,
            hooks: !args.no_hooks,
            cleanup_on_fail: args.cleanup_on_fail,
            max_history: args.keeping.history_max,
            options: Options {
                description: args.description.clone(),
                ..site.options(&args.applying, method)?
            },
        };
        release::rollback(&site.env(), rollback).await.result.map_err(|error| match error {
            release::Error::Wait(_) => {
                anyhow::Error::new(error).context(format!("release {name} failed"))
            }
            error => error.into(),
        })?;
        site.warn(&format!(
            "{version} runs; the version that was left is not taken by itself, a newer one is. To stay: leadsman pin {} {version}",
            site.kept.as_deref().unwrap_or_default()
        ));
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
