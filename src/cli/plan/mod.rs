//! `leadsman plan` and `leadsman diff`: what would change, before it does; `leadsman apply`: what
//! was shown, later.

mod apply;
mod args;
mod manner;
mod rollback;
mod save;
mod simulate;
mod sources;
mod text;
mod uninstall;
mod wanted;

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::bail;
use serde::Serialize;

use super::args::Connection;
use super::connect;
use super::inspect::{self, Found};
use super::site::Site;
use super::ui;
use crate::chart::{self, Chart};
use crate::plan::saved::{Action, Manner, Wait};
use crate::plan::{self, Change, Course, Deed, Finding, Next, Objects, Secrets, Side, Step, What};
use crate::release::manifest::Hook;
use crate::release::{Head, Record};
use crate::yaml::{self, Numbers, Value};

pub(super) use apply::apply;
use args::Shown;
pub(super) use args::{Apply, Diff, Plan};
use save::Planned;
use simulate::Simulation;

/// Exit code where something would change.
const DIFFERENCE: u8 = 3;

/// What is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// What would be done; empty: nothing, two things are compared.
    #[serde(skip_serializing_if = "str::is_empty")]
    action: &'static str,
    release: String,
    namespace: String,
    /// What it is compared with; none: there is no revision yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<State>,
    /// None: the release goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<State>,
    changes: Vec<Change>,
    /// How many objects of the cluster stay as they are; none: it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    unchanged: Option<usize>,
    /// Hooks that would run, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hooks: Vec<Run>,
    /// What is done, in its order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<Step>,
    /// How it went in a simulated cluster, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    simulation: Option<Simulation>,
}

/// What a release is, or would be.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct State {
    /// Its revision; none: it is no revision yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u32>,
    chart: String,
    app_version: String,
}

/// A hook at one of its events.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    event: String,
    weight: i64,
    kind: String,
    name: String,
}

impl Report {
    /// Refuses to keep a plan that is known not to work.
    fn check_played(&self) -> anyhow::Result<()> {
        if self.simulation.as_ref().is_some_and(|simulation| !simulation.passes) {
            bail!("the plan is not kept: it fails in the simulated cluster");
        }
        Ok(())
    }
}

impl State {
    fn of_record(record: &Record) -> Self {
        let metadata = record.metadata();
        Self {
            revision: Some(record.version),
            chart: format!("{}-{}", metadata.name, metadata.version),
            app_version: metadata.app_version,
        }
    }

    fn of_chart(chart: &Chart) -> Self {
        let metadata = &chart.metadata;
        Self {
            revision: None,
            chart: format!("{}-{}", metadata.name, metadata.version),
            app_version: metadata.app_version.clone(),
        }
    }
}

impl Shown {
    fn secrets(self) -> Secrets {
        if self.show_secrets { Secrets::Shown } else { Secrets::Masked }
    }

    fn end(self, report: &Report) -> anyhow::Result<ExitCode> {
        ui::show(self.output, report, || text::write(report))?;
        if report.simulation.as_ref().is_some_and(|simulation| !simulation.passes) {
            return Ok(ExitCode::FAILURE);
        }
        let is_touched = |what: &What| !matches!(what, What::Stay | What::Foreign { .. });
        // A release that goes is gone, whatever it left.
        let differs =
            report.to.is_none() || report.changes.iter().any(|change| is_touched(&change.what));
        Ok(if differs { ExitCode::from(DIFFERENCE) } else { ExitCode::SUCCESS })
    }
}

/// Says what an action would change in the cluster, and keeps that if asked to.
pub(super) async fn plan(args: Plan, connection: &Connection) -> anyhow::Result<ExitCode> {
    match args {
        Plan::Change(args) => change(*args, connection).await,
        Plan::Rollback(args) => rollback::plan(args, connection).await,
        Plan::Uninstall(args) => uninstall::plan(args, connection).await,
    }
}

async fn change(args: args::Change, connection: &Connection) -> anyhow::Result<ExitCode> {
    let connected = connect::cluster(connection).await?;
    let found = inspect::find(&connected, &args.release).await?;
    let asking = &args.asking;
    let acting = Some((&args.acting, args.dependency_update));
    let named = (args.chart.as_deref(), asking);
    let wanted = wanted::find(&connected, &found, named, acting).await?;
    let action = if wanted.current.is_some() { Action::Upgrade } else { Action::Install };
    let site = Site::of_found(connected, &found).await?;
    let manner = match &found.release {
        Some(release) => manner::of_release(&args.acting, (action, wanted.last()), release)?,
        None => manner::of_arguments(&args.acting, (action, wanted.last()), &site)?,
    };
    let next = Next {
        name: &found.name,
        namespace: &wanted.asked.namespace,
        manifest: &wanted.rendered.manifest,
        defined: &defined(&wanted.rendered.chart),
        current: wanted.current.as_ref(),
        makes_namespace: manner.create_namespace,
        rules: &manner::told(&manner),
    };
    // Who applies decides which fields are whose.
    let (findings, unchanged) = plan::against_cluster(&site.cluster, next).await?;
    let heads = site.storage.heads(&found.name).await?;
    let planned = Planned { found: &found, wanted, action, manner, findings, unchanged };
    let simulation = match args.played.simulate {
        true => Some(simulate::change(&planned, &site).await?),
        false => None,
    };
    let report = report(&planned, &heads, simulation, asking.shown.secrets());
    let code = asking.shown.end(&report)?;
    if let Some(path) = &args.kept.save {
        report.check_played()?;
        save::save(path, planned, &site).await?;
    }
    Ok(code)
}

fn report(
    planned: &Planned<'_>,
    heads: &[Head],
    simulation: Option<Simulation>,
    secrets: Secrets,
) -> Report {
    let Planned { found, wanted, action, manner, findings, unchanged } = planned;
    let deed = match (action, &wanted.current) {
        (Action::Upgrade, Some(current)) => Deed::Upgrade(current.version),
        (Action::Upgrade, None) | (Action::Install, _) => Deed::Install,
    };
    let hooks = if manner.hooks { &wanted.rendered.hooks[..] } else { &[] };
    let runs = runs(hooks, deed.event());
    Report {
        action: deed.word(),
        release: found.name.clone(),
        from: wanted.current.as_ref().map(State::of_record),
        to: Some(State::of_chart(&wanted.rendered.chart)),
        changes: shown(findings, secrets),
        unchanged: Some(*unchanged),
        steps: course(deed, heads, manner, &runs, (findings, *unchanged)),
        hooks: runs,
        namespace: wanted.asked.namespace.clone(),
        simulation,
    }
}

/// Returns changes as they may be shown.
fn shown(findings: &[Finding], secrets: Secrets) -> Vec<Change> {
    findings.iter().map(|found| found.change.clone().shown(secrets)).collect()
}

/// Returns the steps of an action.
fn course(
    deed: Deed,
    heads: &[Head],
    manner: &Manner,
    runs: &[Run],
    (findings, unchanged): (&[Finding], usize),
) -> Vec<Step> {
    let count = |wanted: fn(&What) -> bool| {
        findings.iter().filter(|found| wanted(&found.change.what)).count()
    };
    let lost = |what: &What| matches!(what, What::Delete | What::Keep | What::Foreign { .. });
    let applied = findings.len() - count(lost) + unchanged;
    let hooks: Vec<_> =
        runs.iter().map(|run| (run.event.clone(), format!("{}/{}", run.kind, run.name))).collect();
    plan::steps(&Course {
        deed,
        heads,
        max_history: manner.max_history,
        hooks: &hooks,
        objects: Objects { applied, deleted: count(|what| *what == What::Delete) },
        wait: (manner.wait != Wait::Hooks).then_some(manner.timeout),
    })
}

/// Compares what was rendered: of a release and a chart, or of two revisions.
pub(super) async fn diff(args: Diff, connection: &Connection) -> anyhow::Result<ExitCode> {
    let connected = connect::cluster(connection).await?;
    let found = inspect::find(&connected, &args.release).await?;
    let side = |side: Side| if args.no_hooks { side.without_hooks() } else { side };
    let report = if args.chart.is_some() {
        let wanted =
            wanted::find(&connected, &found, (args.chart.as_deref(), &args.asking), None).await?;
        let before = wanted.current.as_ref().map(Side::of_record).transpose()?.unwrap_or_default();
        let (rendered, namespace) = (&wanted.rendered, wanted.asked.namespace.clone());
        let after = Side::read(&rendered.manifest, &rendered.hooks, &namespace)?;
        Report {
            from: wanted.current.as_ref().map(State::of_record),
            to: Some(State::of_chart(&rendered.chart)),
            changes: plan::compare(&side(before), &side(after), args.asking.shown.secrets()),
            unchanged: None,
            hooks: Vec::new(),
            steps: Vec::new(),
            action: "",
            release: found.name,
            namespace,
            simulation: None,
        }
    } else {
        let (before, after) = revisions(&found, args.revision, args.to).await?;
        let (from, to) = (Side::of_record(&before)?, Side::of_record(&after)?);
        Report {
            from: Some(State::of_record(&before)),
            to: Some(State::of_record(&after)),
            changes: plan::compare(&side(from), &side(to), args.asking.shown.secrets()),
            unchanged: None,
            hooks: Vec::new(),
            steps: Vec::new(),
            action: "",
            release: found.name,
            namespace: after.namespace,
            simulation: None,
        }
    };
    args.asking.shown.end(&report)
}

/// Returns the records of two revisions.
async fn revisions(
    found: &Found,
    from: Option<u32>,
    to: Option<u32>,
) -> anyhow::Result<(Record, Record)> {
    let heads = found.storage.heads(&found.name).await?;
    let Some(newest) = heads.first() else { bail!("release: not found") };
    let to = to.unwrap_or(newest.version);
    let before = heads.iter().map(|head| head.version).find(|version| *version < to);
    let Some(from) = from.or(before) else {
        bail!(
            "{} has no revision before {to}: there is nothing to compare with (a chart can be \
             named: `leadsman diff {} CHART`)",
            found.name,
            found.name
        );
    };
    let read = async |version| match found.storage.get(&found.name, version).await? {
        Some(record) => Ok(record),
        None => {
            let kept: Vec<_> = heads.iter().map(|head| head.version.to_string()).collect();
            bail!("{} has no revision {version}; there are {}", found.name, kept.join(", "))
        }
    };
    Ok((read(from).await?, read(to).await?))
}

/// Groups and kinds that a chart defines before its objects are applied.
fn defined(chart: &Chart) -> BTreeSet<(String, String)> {
    let files = chart::crds(chart);
    let texts = files.iter().map(|(_, file)| String::from_utf8_lossy(&file.data));
    let mut found = BTreeSet::new();
    for text in texts {
        // What is no YAML is refused when it is installed; here it defines nothing.
        let documents = crate::release::manifest::split(&text);
        for value in documents.filter_map(|text| yaml::parse(text, Numbers::Exact).ok()) {
            let field = |pointer| value.pointer(pointer).and_then(Value::as_str);
            if let (Some(group), Some(kind)) = (field("/spec/group"), field("/spec/names/kind")) {
                found.insert((group.to_owned(), kind.to_owned()));
            }
        }
    }
    found
}

/// Returns which hooks run before and after an action, in their order.
fn runs(hooks: &[Hook], action: &str) -> Vec<Run> {
    let mut found = Vec::new();
    for event in [format!("pre-{action}"), format!("post-{action}")] {
        let mut own: Vec<&Hook> =
            hooks.iter().filter(|hook| hook.events.contains(&event)).collect();
        own.sort_by(|a, b| a.weight.cmp(&b.weight).then_with(|| a.name.cmp(&b.name)));
        found.extend(own.into_iter().map(|hook| Run {
            event: event.clone(),
            weight: hook.weight,
            kind: hook.kind.clone(),
            name: hook.name.clone(),
        }));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_run_by_event_weight_and_name() {
        let hook = |name: &str, weight, events: &[&str]| Hook {
            name: name.to_owned(),
            kind: "Job".to_owned(),
            weight,
            events: events.iter().map(|event| (*event).to_owned()).collect(),
            ..Hook::default()
        };
        let hooks = [
            hook("late", 5, &["pre-upgrade", "post-upgrade"]),
            hook("b", 0, &["pre-upgrade"]),
            hook("a", 0, &["pre-upgrade"]),
            hook("never", 0, &["pre-delete", "test"]),
        ];
        let order: Vec<_> =
            runs(&hooks, "upgrade").into_iter().map(|run| (run.event, run.name)).collect();
        let wanted = [
            ("pre-upgrade", "a"),
            ("pre-upgrade", "b"),
            ("pre-upgrade", "late"),
            ("post-upgrade", "late"),
        ];
        assert_eq!(order, wanted.map(|(event, name)| (event.to_owned(), name.to_owned())));
        assert!(runs(&hooks, "install").is_empty());
    }
}
