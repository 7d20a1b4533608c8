//! How a planned action is done: as the command line says, or as the `HelmRelease` does.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::super::rollback::Reverting;
use super::super::site::Site;
use super::super::template_args::check_labels;
use super::super::uninstall::Removing;
use super::args::Acting;
use crate::api::{CrdPolicy, HelmRelease};
use crate::base::duration::GoDuration;
use crate::base::file::env_var;
use crate::cluster::wait::Rules;
use crate::controller::manner;
use crate::controller::next::Step;
use crate::plan::saved::{Action, How, Manner, Wait};
use crate::release::conflict::{self, Policy};
use crate::release::{Deploy, Kind, Method, Options, Record, RenderedRelease, merge_labels};
use crate::yaml::Map;

/// Longest wait of a step, and revisions that are kept, where nobody says so.
const TIMEOUT: Duration = Duration::from_secs(300);
const HISTORY: usize = 10;

/// Returns what the command line says; `last` is the newest revision.
///
/// # Errors
/// Options exclude each other, in Helm's words.
pub(super) fn of_arguments(
    args: &Acting,
    (action, last): (Action, Option<&Record>),
    site: &Site,
) -> anyhow::Result<Manner> {
    let before = match (action, last) {
        (Action::Upgrade, Some(last)) => Method::of(&last.apply_method),
        (Action::Upgrade, None) | (Action::Install, _) => Method::Server,
    };
    let method = args.applying.method()?.or(before);
    let Options { replace, conflicts, .. } = site.options(&args.applying, method)?;
    let install = action == Action::Install;
    check_labels(&args.labels).map_err(anyhow::Error::msg)?;
    Ok(Manner {
        wait: match args.wait.as_deref() {
            None | Some("hookOnly") if args.rollback_on_failure => Wait::Ready,
            text => wait(text),
        },
        wait_for_jobs: args.wait_for_jobs,
        timeout: GoDuration(args.timeout.unwrap_or(TIMEOUT)),
        hooks: !args.no_hooks,
        // As Helm: an upgrade leaves definitions alone.
        crds: if install && !args.skip_crds { CrdPolicy::Create } else { CrdPolicy::Skip },
        rendering: args.rendering(),
        take_ownership: args.take_ownership,
        create_namespace: install && args.create_namespace,
        cleanup_on_fail: !install && args.cleanup_on_fail,
        undone_by: args.rollback_on_failure.then(|| args.applying.method()).transpose()?,
        max_history: args.history_max.map_or_else(kept, Ok)?,
        method,
        conflicts,
        replace,
        description: args.description.clone().unwrap_or_default(),
        labels: args.labels.iter().cloned().collect(),
        shows_notes: !args.hide_notes,
    })
}

/// How many revisions are kept where the command line does not say.
fn kept() -> anyhow::Result<usize> {
    match env_var("HELM_MAX_HISTORY").filter(|text| !text.is_empty()) {
        None => Ok(HISTORY),
        Some(text) => text.parse().with_context(|| format!("HELM_MAX_HISTORY: {text:?}")),
    }
}

/// Reads a strategy.
fn wait(strategy: Option<&str>) -> Wait {
    match strategy {
        None | Some("hookOnly" | "false") => Wait::Hooks,
        Some("legacy") => Wait::Legacy,
        Some(_) => Wait::Ready,
    }
}

/// Returns how a release is rolled back to a revision.
///
/// # Errors
/// Options exclude each other, in Helm's words.
pub(super) fn of_rollback(
    args: &Reverting,
    target: &Record,
    site: &Site,
) -> anyhow::Result<Manner> {
    let method = args.applying.method()?.or(Method::of(&target.apply_method));
    let Options { replace, conflicts, .. } = site.options(&args.applying, method)?;
    Ok(Manner {
        wait: match wait(args.waiting.wait.as_deref()) {
            // Who keeps a release looks whether it works.
            Wait::Hooks if site.kept.is_some() => Wait::Ready,
            wait => wait,
        },
        wait_for_jobs: args.waiting.wait_for_jobs,
        timeout: GoDuration(args.waiting.timeout),
        hooks: !args.no_hooks,
        cleanup_on_fail: args.cleanup_on_fail,
        max_history: args.keeping.history_max,
        method,
        conflicts,
        replace,
        description: args.description.clone(),
        ..bare()
    })
}

/// Returns how a release goes.
pub(super) fn of_uninstall(args: &Removing) -> Manner {
    Manner {
        wait: wait(args.waiting.wait.as_deref()),
        timeout: GoDuration(args.waiting.timeout),
        hooks: !args.no_hooks,
        description: args.description.clone(),
        ..bare()
    }
}

/// Returns a manner in which nothing is rendered.
fn bare() -> Manner {
    Manner {
        wait: Wait::Hooks,
        wait_for_jobs: false,
        timeout: GoDuration(TIMEOUT),
        hooks: true,
        crds: CrdPolicy::Skip,
        rendering: How::default(),
        take_ownership: false,
        create_namespace: false,
        cleanup_on_fail: false,
        undone_by: None,
        max_history: 0,
        method: Method::Auto,
        conflicts: conflict::Rules::default(),
        replace: false,
        description: String::new(),
        labels: BTreeMap::new(),
        shows_notes: false,
    }
}

/// Returns how a chart is rendered where nobody says it.
pub(super) fn rendering() -> How {
    How { check_schema: true, ..How::default() }
}

/// Returns what a `HelmRelease` says, as the controller would do it.
///
/// # Errors
/// The command line says something, too.
pub(super) fn of_release(
    args: &Acting,
    (action, last): (Action, Option<&Record>),
    release: &HelmRelease,
) -> anyhow::Result<Manner> {
    if let Some(flag) = args.given() {
        let key = release.metadata.key();
        bail!("HelmRelease {key} says itself how the release is changed: leave {flag} out");
    }
    let spec = &release.spec;
    let (i, u) = (&spec.install, &spec.upgrade);
    let install = action == Action::Install;
    let before = last.map_or(Method::Server, |last| Method::of(&last.apply_method));
    let options = match install {
        true => manner::options(release, manner::of_install(i.server_side_apply), false),
        false => manner::options(release, manner::of_mode(u.server_side_apply).or(before), u.force),
    }?;
    let pick = |a: bool, b: bool| if install { a } else { b };
    let wait = match (pick(i.disable_wait, u.disable_wait), spec.waits_as_helm_3()) {
        (true, _) => Wait::Hooks,
        (false, true) => Wait::Legacy,
        (false, false) => Wait::Ready,
    };
    let step = if install { Step::Install } else { Step::Upgrade };
    Ok(Manner {
        wait,
        wait_for_jobs: !pick(i.disable_wait_for_jobs, u.disable_wait_for_jobs),
        timeout: step.timeout(spec),
        hooks: !pick(i.disable_hooks, u.disable_hooks),
        crds: if install { i.crds } else { u.crds }.unwrap_or(CrdPolicy::Create),
        rendering: rendering_of(release, action),
        undone_by: None,
        take_ownership: !pick(i.disable_take_ownership, u.disable_take_ownership),
        create_namespace: install && i.create_namespace && !spec.target_namespace.is_empty(),
        cleanup_on_fail: !install && u.cleanup_on_fail,
        max_history: spec.kept_revisions(),
        method: options.method,
        conflicts: options.conflicts,
        replace: options.replace,
        description: String::new(),
        labels: BTreeMap::new(),
        shows_notes: true,
    })
}

/// Returns the rules by which conflicts are told: who computes changes itself meets none, and
/// overwrites what is there.
pub(super) fn told(manner: &Manner) -> conflict::Rules {
    match manner.method {
        Method::Client => conflict::Rules::just(Policy::Force),
        Method::Auto | Method::Server => manner.conflicts.clone(),
    }
}

/// Returns how a `HelmRelease` has its chart rendered.
pub(super) fn rendering_of(release: &HelmRelease, action: Action) -> How {
    let spec = &release.spec;
    let is_unchecked = match action {
        Action::Install => spec.install.disable_schema_validation,
        Action::Upgrade => spec.upgrade.disable_schema_validation,
    };
    How { check_schema: !is_unchecked, ..How::default() }
}

/// What is done in a manner.
pub(super) struct Ordered {
    pub(super) action: Action,
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) rendered: RenderedRelease,
    pub(super) config: Map,
    /// The revision that objects are compared with.
    pub(super) current: Option<Record>,
    /// The newest revision, if it is another one.
    pub(super) newest: Option<Record>,
    /// Whether a `HelmRelease` keeps the release.
    pub(super) is_kept: bool,
}

/// Returns the action.
///
/// # Errors
/// There is nothing to upgrade.
pub(super) fn deploy(manner: &Manner, ordered: Ordered) -> anyhow::Result<Deploy> {
    let Ordered { current, newest, .. } = ordered;
    let last = newest.as_ref().or(current.as_ref());
    let after = last.map_or(0, |record| record.version);
    let known = last.filter(|_| ordered.action == Action::Upgrade).map(|last| last.labels.clone());
    let mut options = Options {
        method: manner.method,
        replace: manner.replace,
        conflicts: manner.conflicts.clone(),
        description: manner.description.clone(),
        labels: (!ordered.is_kept)
            .then(|| merge_labels(&known.unwrap_or_default(), &manner.labels)),
        ..Options::default()
    };
    let kind = match (ordered.action, current) {
        (Action::Upgrade, Some(current)) => Kind::Upgrade { current: Box::new(current), after },
        (Action::Upgrade, None) => bail!("{:?} has no deployed releases", ordered.name),
        (Action::Install, _) => {
            // A `HelmRelease` leaves the record of what was there before as it is.
            options.replaced = newest.filter(|_| !ordered.is_kept).map(Box::new);
            Kind::Install { after }
        }
    };
    Ok(Deploy {
        kind,
        name: ordered.name,
        namespace: ordered.namespace,
        rendered: ordered.rendered,
        config: ordered.config,
        timeout: manner.timeout.0,
        wait: manner.wait != Wait::Hooks,
        wait_for_jobs: manner.wait_for_jobs,
        hooks: manner.hooks,
        take_ownership: manner.take_ownership,
        create_namespace: manner.create_namespace,
        cleanup_on_fail: manner.cleanup_on_fail,
        max_history: manner.max_history,
        options,
    })
}

/// Returns when objects are taken for ready.
pub(super) fn rules(manner: &Manner, release: Option<&HelmRelease>) -> Rules {
    match release {
        Some(release) => manner::rules(release).0,
        None => Rules { legacy: manner.wait == Wait::Legacy, ..Rules::default() },
    }
}
