//! How a planned action is done: as the command line says, or as the `HelmRelease` does.

use std::time::Duration;

use anyhow::bail;

use super::super::site::Site;
use super::args::Acting;
use crate::api::{CrdPolicy, HelmRelease};
use crate::base::duration::GoDuration;
use crate::cluster::wait::Rules;
use crate::controller::manner;
use crate::controller::next::Step;
use crate::plan::saved::{Action, Manner, Wait};
use crate::release::conflict::{self, Policy};
use crate::release::{Deploy, Kind, Method, Options, Record, RenderedRelease};
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
    Ok(Manner {
        wait: match args.wait.as_deref() {
            None | Some("hookOnly") => Wait::Hooks,
            Some("legacy") => Wait::Legacy,
            Some(_) => Wait::Ready,
        },
        wait_for_jobs: args.wait_for_jobs,
        timeout: GoDuration(args.timeout.unwrap_or(TIMEOUT)),
        hooks: !args.no_hooks,
        // As Helm: an upgrade leaves definitions alone.
        crds: if install && !args.skip_crds { CrdPolicy::Create } else { CrdPolicy::Skip },
        check_schema: true,
        take_ownership: args.take_ownership,
        create_namespace: install && args.create_namespace,
        cleanup_on_fail: !install && args.cleanup_on_fail,
        max_history: args.history_max.unwrap_or(HISTORY),
        method,
        conflicts,
        replace,
        description: args.description.clone().unwrap_or_default(),
    })
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
        check_schema: checks_schema(release, action),
        take_ownership: !pick(i.disable_take_ownership, u.disable_take_ownership),
        create_namespace: install && i.create_namespace && !spec.target_namespace.is_empty(),
        cleanup_on_fail: !install && u.cleanup_on_fail,
        max_history: spec.kept_revisions(),
        method: options.method,
        conflicts: options.conflicts,
        replace: options.replace,
        description: String::new(),
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

/// Whether a `HelmRelease` has values checked against schemas.
pub(super) fn checks_schema(release: &HelmRelease, action: Action) -> bool {
    let spec = &release.spec;
    !match action {
        Action::Install => spec.install.disable_schema_validation,
        Action::Upgrade => spec.upgrade.disable_schema_validation,
    }
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
    let after = newest.as_ref().or(current.as_ref()).map_or(0, |record| record.version);
    let mut options = Options {
        method: manner.method,
        replace: manner.replace,
        conflicts: manner.conflicts.clone(),
        description: manner.description.clone(),
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
