//! `leadsman plan uninstall`, and what `apply` does with such a plan.

use std::process::ExitCode;

use anyhow::bail;
use serde::Serialize;

use super::super::args::{Connection, Output};
use super::super::site::Site;
use super::super::ui;
use super::args;
use super::save::{self, Keeping};
use super::{Report, State, course, manner, runs, shown, simulate};
use crate::base::class::chain;
use crate::plan::saved::check::{self, Difference};
use crate::plan::saved::{Manner, Removal, Saved, Task, Wait};
use crate::plan::{self, Deed, Finding, Play};
use crate::release::{self, Options, Record};

/// Says what an uninstall would delete, and keeps that if asked to.
pub(super) async fn plan(args: args::Removal, connection: &Connection) -> anyhow::Result<ExitCode> {
    let removal = Removal { keep_history: args.how.keep_history, cascade: args.how.propagation()? };
    let (site, name) = Site::find(connection, &args.release).await?;
    let Some(last) = site.last(&name).await? else { bail!("release: not found") };
    if removal.keep_history && last.info.status == "uninstalled" {
        bail!("the release named {name:?} is already deleted");
    }
    let manner = manner::of_uninstall(&args.how);
    let findings = against(&site, &last, removal).await?;
    let heads = site.storage.heads(&name).await?;
    let deed = Deed::Uninstall(removal.keep_history);
    let simulation = match args.played.simulate {
        true => {
            let uninstall = Box::new(ordered(&manner, (removal, last.clone())));
            Some(simulate::play(Play::Uninstall(uninstall), &site).await?)
        }
        false => None,
    };
    let is_run = manner.hooks && last.info.status != "uninstalled";
    let hooks = if is_run { &last.hooks[..] } else { &[] };
    let runs = runs(hooks, deed.event());
    let report = Report {
        action: deed.word(),
        release: name.clone(),
        namespace: last.namespace.clone(),
        from: Some(State::of_record(&last)),
        to: None,
        changes: shown(&findings, args.shown.secrets()),
        unchanged: None,
        steps: course(deed, &heads, &manner, &runs, (&findings, 0)),
        hooks: runs,
        simulation,
    };
    let code = args.shown.end(&report)?;
    if let Some(path) = &args.kept.save {
        report.check_played()?;
        let kept = Keeping {
            task: Task::Uninstall(removal),
            release: &name,
            namespace: &last.namespace,
            keeper: save::keeper_of(&site).await?,
            manner,
            newest: Some(&last),
            current: Some(&last),
            findings,
            unchanged: 0,
        };
        save::save_of_release(path, kept, &site).await?;
    }
    Ok(code)
}

/// Asks what would go. Of a release that is uninstalled only records are left.
async fn against(
    site: &Site,
    last: &Record,
    removal: Removal,
) -> Result<Vec<Finding>, release::Error> {
    if last.info.status == "uninstalled" {
        return Ok(Vec::new());
    }
    plan::of_uninstall(&site.cluster, last, removal.cascade).await
}

/// Compares what was seen with what is there; `last` is as it was.
pub(super) async fn check(
    site: &Site,
    saved: &Saved,
    (removal, last): (Removal, &Record),
) -> anyhow::Result<Vec<Difference>> {
    let findings = against(site, last, removal).await?;
    Ok(check::changes(&saved.seen.findings, &findings))
}

/// What became of a release.
#[derive(Serialize)]
struct Done {
    release: String,
    /// Objects that stay because they ask for it.
    kept: Vec<String>,
    /// Objects that stay because they are somebody else's.
    foreign: Vec<String>,
}

/// Does what was planned.
pub(super) async fn carry_out(
    site: &Site,
    manner: &Manner,
    (removal, last): (Removal, Record),
    output: Output,
) -> anyhow::Result<ExitCode> {
    let name = last.name.clone();
    let uninstall = ordered(manner, (removal, last));
    let (outcome, spared) = release::uninstall_telling(&site.env(), uninstall).await;
    outcome.result.map_err(|error| anyhow::anyhow!(chain(&error)))?;
    let stays = spared.text();
    let done = Done { release: name, kept: spared.kept, foreign: spared.foreign };
    let text = || {
        let stays = if stays.is_empty() { stays } else { stays + "\n" };
        format!("{stays}release \"{}\" uninstalled\n", done.release)
    };
    ui::show(output, &done, text)?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the action as it was ordered.
fn ordered(manner: &Manner, (removal, last): (Removal, Record)) -> release::Uninstall {
    release::Uninstall {
        last,
        timeout: manner.timeout.0,
        wait: manner.wait != Wait::Hooks,
        hooks: manner.hooks,
        keep_history: removal.keep_history,
        propagation: removal.cascade,
        options: Options { description: manner.description.clone(), ..Options::default() },
    }
}
