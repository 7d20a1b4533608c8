//! Arguments of `plan`, `apply` and `diff`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;

use super::super::args::{ChartFrom, Output, Values, duration};
use super::super::release_args::Applying;

#[derive(Debug, ClapArgs)]
pub(crate) struct Plan {
    /// A release, by its own name or that of its HelmRelease.
    #[arg(value_name = "RELEASE")]
    pub(super) release: String,
    /// Archive, folder, or name of the chart that it would run; of a HelmRelease without it, the
    /// one that it asks for.
    pub(super) chart: Option<String>,
    /// Keep the plan in this file, for `leadsman apply`. The file holds the values and what Secrets
    /// hold: only its owner may read it.
    #[arg(long, value_name = "FILE")]
    pub(super) save: Option<PathBuf>,
    /// Play the action in a simulated cluster, too, that begins with the objects and records which
    /// the real one has; exit code 1 where it fails there.
    #[arg(long)]
    pub(super) simulate: bool,
    #[command(flatten)]
    pub(super) acting: Acting,
    #[command(flatten)]
    pub(super) asking: Asking,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Apply {
    /// What `leadsman plan --save` wrote.
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// How to write the result.
    #[arg(short, long, value_enum, default_value_t)]
    pub(super) output: Output,
}

/// How the action is done, with the flags of `upgrade`; a HelmRelease says that itself.
#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub(crate) struct Acting {
    /// Wait until objects are ready (`watcher`), ready by Helm 3's rules (`legacy`), or only for
    /// hooks (`hookOnly`, as without it).
    #[arg(
        long,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "watcher",
        value_parser = ["watcher", "hookOnly", "legacy"],
        value_name = "STRATEGY"
    )]
    pub(super) wait: Option<String>,
    /// Wait for Jobs to complete, too.
    #[arg(long)]
    pub(super) wait_for_jobs: bool,
    /// Longest wait for each step, such as a hook; 5m without it.
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    pub(super) timeout: Option<Duration>,
    /// Run no hooks.
    #[arg(long)]
    pub(super) no_hooks: bool,
    /// Install no definitions of the chart's `crds/`.
    #[arg(long)]
    pub(super) skip_crds: bool,
    /// Description of the revision.
    #[arg(long, value_name = "TEXT")]
    pub(super) description: Option<String>,
    /// Create the namespace, if it is not there and the release is new.
    #[arg(long)]
    pub(super) create_namespace: bool,
    /// Take over objects that exist and are nobody's or another release's.
    #[arg(long)]
    pub(super) take_ownership: bool,
    /// After a failure, delete objects that this upgrade created.
    #[arg(long)]
    pub(super) cleanup_on_fail: bool,
    /// Most revisions that are kept; 0 is no bound; 10 without it.
    #[arg(long, value_name = "NUMBER")]
    pub(super) history_max: Option<usize>,
    #[command(flatten)]
    pub(super) applying: Applying,
}

impl Acting {
    /// Returns the first flag that was given.
    pub(super) fn given(&self) -> Option<&'static str> {
        let given = [
            ("--wait", self.wait.is_some()),
            ("--wait-for-jobs", self.wait_for_jobs),
            ("--timeout", self.timeout.is_some()),
            ("--no-hooks", self.no_hooks),
            ("--skip-crds", self.skip_crds),
            ("--description", self.description.is_some()),
            ("--create-namespace", self.create_namespace),
            ("--take-ownership", self.take_ownership),
            ("--cleanup-on-fail", self.cleanup_on_fail),
            ("--history-max", self.history_max.is_some()),
            ("--force-conflicts", self.applying.force_conflicts),
            ("--conflicts", !self.applying.conflicts.is_empty()),
            ("--force-replace", self.applying.force_replace),
            ("--server-side", self.applying.server_side.is_some()),
        ];
        given.into_iter().find(|(_, is_given)| *is_given).map(|(flag, _)| flag)
    }
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
