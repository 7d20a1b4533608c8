//! `leadsman plan rollback`, and what `apply` does with such a plan.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::Context as _;

use super::super::args::{Connection, Output};
use super::super::report::{self, Parts};
use super::super::rollback::records;
use super::super::site::Site;
use super::super::ui;
use super::args::Return;
use super::save::{self, Keeping};
use super::{Report, State, course, manner, runs, shown, simulate};
use crate::plan::saved::check::{self, Difference};
use crate::plan::saved::{Manner, Revision, Saved, Task, Wait};
use crate::plan::{self, Deed, Finding, Next, Play};
use crate::release::{self, Options, Record};

/// Says what a rollback would change in the cluster, and keeps that if asked to.
pub(super) async fn plan(args: Return, connection: &Connection) -> anyhow::Result<ExitCode> {
    args.how.check()?;
    let (site, name) = Site::find(connection, &args.release).await?;
    let (last, target) = records(&site, &name, args.revision.as_deref()).await?;
    let manner = manner::of_rollback(&args.how, &target, &site)?;
    let (findings, unchanged) = against(&site, &last, &target, &manner).await?;
    let heads = site.storage.heads(&name).await?;
    let simulation = match args.played.simulate {
        true => {
            let rollback = Box::new(ordered(&manner, last.clone(), target.clone()));
            Some(simulate::play(Play::Rollback(rollback), &site).await?)
        }
        false => None,
    };
    let hooks = if manner.hooks { &target.hooks[..] } else { &[] };
    let runs = runs(hooks, Deed::Rollback.event());
    let report = Report {
        action: Deed::Rollback.word(),
        release: name.clone(),
        namespace: target.namespace.clone(),
        from: Some(State::of_record(&last)),
        to: Some(State::of_record(&target)),
        changes: shown(&findings, args.shown.secrets()),
        unchanged: Some(unchanged),
        steps: course(Deed::Rollback, &heads, &manner, &runs, (&findings, unchanged)),
        hooks: runs,
        simulation,
    };
    let code = args.shown.end(&report)?;
    if let Some(path) = &args.kept.save {
        report.check_played()?;
        let kept = Keeping {
            task: Task::Rollback(Revision::of(&target)),
            release: &name,
            namespace: &target.namespace,
            keeper: save::keeper_of(&site).await?,
            manner,
            newest: Some(&last),
            current: Some(&last),
            findings,
            unchanged,
        };
        save::save_of_release(path, kept, &site).await?;
    }
    Ok(code)
}

/// Asks what would change: objects of the newest revision that the other lacks go.
async fn against(
    site: &Site,
    last: &Record,
    target: &Record,
    manner: &Manner,
) -> Result<(Vec<Finding>, usize), release::Error> {
    let next = Next {
        name: &target.name,
        namespace: &target.namespace,
        manifest: &target.manifest,
        defined: &BTreeSet::new(),
        current: Some(last),
        makes_namespace: false,
        rules: &manner::told(manner),
    };
    plan::against_cluster(&site.cluster, next).await
}

/// The two records of a plan that holds.
pub(super) struct Records {
    last: Record,
    target: Record,
}

/// Compares what was seen with what is there; `last` is as it was.
pub(super) async fn check(
    site: &Site,
    saved: &Saved,
    (then, last): (&Revision, Record),
) -> anyhow::Result<Result<Records, Vec<Difference>>> {
    let target = site.storage.get(&saved.release, then.number).await?;
    let differences = check::target(saved, then, target.as_ref().map(Revision::of).as_ref());
    let Some(target) = target.filter(|_| differences.is_empty()) else {
        return Ok(Err(differences));
    };
    let (findings, _) = against(site, &last, &target, &saved.manner).await?;
    let differences = check::changes(&saved.seen.findings, &findings);
    Ok(if differences.is_empty() { Ok(Records { last, target }) } else { Err(differences) })
}

/// Does what was planned.
pub(super) async fn carry_out(
    site: &Site,
    manner: &Manner,
    Records { last, target }: Records,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let (name, version) = (last.name.clone(), target.metadata().version);
    let outcome = release::rollback(&site.env(), ordered(manner, last, target)).await;
    outcome.result.with_context(|| format!("release {name} failed"))?;
    site.warn_of_pin(&version);
    match outcome.written.last().filter(|_| output != Output::Table) {
        Some(record) => report::show(output, record, Parts::default())?,
        None => ui::print("Rollback was a success! Happy Helming!\n"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the action as it was ordered.
fn ordered(manner: &Manner, last: Record, target: Record) -> release::Rollback {
    release::Rollback {
        target,
        last,
        timeout: manner.timeout.0,
        wait: manner.wait != Wait::Hooks,
        wait_for_jobs: manner.wait_for_jobs,
        hooks: manner.hooks,
        cleanup_on_fail: manner.cleanup_on_fail,
        max_history: manner.max_history,
        options: Options {
            method: manner.method,
            replace: manner.replace,
            conflicts: manner.conflicts.clone(),
            description: manner.description.clone(),
            ..Options::default()
        },
    }
}
