//! Arguments of `plan`, `apply` and `diff`.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args as ClapArgs, Command, FromArgMatches};

use super::super::args::{ChartFrom, Output, Values, duration};
use super::super::release_args::{Applying, ReusedValues};
use super::super::rollback::Reverting;
use super::super::template_args::{PostRender, pair};
use super::super::uninstall::Removing;
use crate::plan::saved::How;

/// What is planned.
#[derive(Debug)]
pub(crate) enum Plan {
    /// An install or upgrade.
    Change(Box<Change>),
    /// A rollback.
    Rollback(Return),
    /// An uninstall.
    Uninstall(Removal),
}

/// Words after `plan` that are no release.
const ROLLBACK: &str = "rollback";
const UNINSTALL: &str = "uninstall";

impl ClapArgs for Plan {
    fn augment_args(command: Command) -> Command {
        Change::augment_args(command)
            .subcommand_negates_reqs(true)
            .disable_help_subcommand(true)
            .subcommand(Return::augment_args(Command::new(ROLLBACK)))
            .subcommand(Removal::augment_args(Command::new(UNINSTALL)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Plan {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let Some((word, own)) = matches.subcommand() else {
            return Change::from_arg_matches(matches).map(|change| Self::Change(Box::new(change)));
        };
        let is_typed = |matches: &ArgMatches, id: &str| {
            matches.try_contains_id(id).is_ok()
                && matches.value_source(id) == Some(ValueSource::CommandLine)
        };
        // What counts everywhere is in both.
        if matches.ids().any(|id| is_typed(matches, id.as_str()) && !is_typed(own, id.as_str())) {
            let text = format!(
                "flags of `plan {word}` stand behind the word: leadsman plan {word} RELEASE …; a \
                 release that is called so: leadsman plan … -- {word} CHART\n"
            );
            return Err(clap::Error::raw(ErrorKind::ArgumentConflict, text));
        }
        match word {
            ROLLBACK => Return::from_arg_matches(own).map(Self::Rollback),
            _ => Removal::from_arg_matches(own).map(Self::Uninstall),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Say what a rollback would change in the cluster; exit code 3 where something would.
#[derive(Debug, ClapArgs)]
pub(crate) struct Return {
    /// A release, by its own name or that of its HelmRelease.
    #[arg(value_name = "RELEASE")]
    pub(super) release: String,
    /// Revision; the one before the last without it, or for 0.
    pub(super) revision: Option<String>,
    #[command(flatten)]
    pub(super) how: Reverting,
    #[command(flatten)]
    pub(super) played: Played,
    #[command(flatten)]
    pub(super) kept: Kept,
    #[command(flatten)]
    pub(super) shown: Shown,
}

/// Say what an uninstall would delete in the cluster, and what would stay; exit code 3 where there
/// is such a release.
#[derive(Debug, ClapArgs)]
pub(crate) struct Removal {
    /// Name of the release.
    #[arg(value_name = "RELEASE")]
    pub(super) release: String,
    #[command(flatten)]
    pub(super) how: Removing,
    #[command(flatten)]
    pub(super) played: Played,
    #[command(flatten)]
    pub(super) kept: Kept,
    #[command(flatten)]
    pub(super) shown: Shown,
}

/// Whether the action is played.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub(crate) struct Played {
    /// Play the action in a simulated cluster, too, that begins with the objects and records which
    /// the real one has; exit code 1 where it fails there.
    #[arg(long)]
    pub(super) simulate: bool,
}

/// Whether the plan is kept.
#[derive(Debug, ClapArgs)]
pub(crate) struct Kept {
    /// Keep the plan in this file, for `leadsman apply`. The file holds the values and what Secrets
    /// hold: only its owner may read it.
    #[arg(long, value_name = "FILE")]
    pub(super) save: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Change {
    /// A release, by its own name or that of its HelmRelease.
    #[arg(value_name = "RELEASE")]
    pub(super) release: String,
    /// Archive, folder, or name of the chart that it would run; of a HelmRelease without it, the
    /// one that it asks for.
    pub(super) chart: Option<String>,
    #[command(flatten)]
    pub(super) kept: Kept,
    #[command(flatten)]
    pub(super) played: Played,
    /// Get dependencies that the chart's folder lacks, as `dependency update` does.
    #[arg(long)]
    pub(super) dependency_update: bool,
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
    /// Most revisions that are kept; 0 is no bound; 10 without it and without HELM_MAX_HISTORY.
    #[arg(long, value_name = "NUMBER")]
    pub(super) history_max: Option<usize>,
    /// After a failure, uninstall what was new, or roll back; waits as --wait does.
    #[arg(long, alias = "atomic")]
    pub(super) rollback_on_failure: bool,
    /// Labels of the release's record, separated by commas; `null` removes one (repeatable).
    #[arg(short, long, value_delimiter = ',', value_parser = pair, value_name = "KEY=VALUE")]
    pub(super) labels: Vec<(String, String)>,
    /// Do not check values against schemas.
    #[arg(long)]
    pub(super) skip_schema_validation: bool,
    /// Let templates look up addresses of hosts (`getHostByName`), now and when the plan is applied.
    #[arg(long)]
    pub(super) enable_dns: bool,
    /// Put the notes of dependencies into the notes.
    #[arg(long)]
    pub(super) render_subchart_notes: bool,
    /// Do not print the notes when the plan is applied.
    #[arg(long)]
    pub(super) hide_notes: bool,
    #[command(flatten)]
    pub(super) reused: ReusedValues,
    #[command(flatten)]
    pub(super) post: PostRender,
    #[command(flatten)]
    pub(super) applying: Applying,
}

impl Acting {
    /// Returns how the chart is rendered.
    pub(super) fn rendering(&self) -> How {
        How {
            check_schema: !self.skip_schema_validation,
            dns: self.enable_dns,
            all_notes: self.render_subchart_notes,
            post_renderer: self.post.words(),
        }
    }

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
            ("--rollback-on-failure", self.rollback_on_failure),
            ("--labels", !self.labels.is_empty()),
            ("--skip-schema-validation", self.skip_schema_validation),
            ("--enable-dns", self.enable_dns),
            ("--render-subchart-notes", self.render_subchart_notes),
            ("--hide-notes", self.hide_notes),
            ("--reset-values", self.reused.reset_values),
            ("--reuse-values", self.reused.reuse_values),
            ("--reset-then-reuse-values", self.reused.reset_then_reuse_values),
            ("--post-renderer", !self.post.post_renderer.is_empty()),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Plan, String> {
        let command = Plan::augment_args(Command::new("plan").no_binary_name(true));
        let matches = command.try_get_matches_from(line.split_whitespace());
        let read = matches.and_then(|matches| Plan::from_arg_matches(&matches));
        read.map_err(|error| error.to_string())
    }

    #[test]
    fn the_word_says_what_is_planned_and_its_flags_stand_behind_it() {
        let name = |line: &str| match read(line) {
            Ok(Plan::Change(plan)) => format!("change {} {:?}", plan.release, plan.chart),
            Ok(Plan::Rollback(plan)) => format!("rollback {} {:?}", plan.release, plan.revision),
            Ok(Plan::Uninstall(plan)) => format!("uninstall {}", plan.release),
            Err(error) => error.lines().next().unwrap_or_default().to_owned(),
        };
        let behind = "error: flags of `plan rollback` stand behind the word: leadsman plan rollback \
                      RELEASE …; a release that is called so: leadsman plan … -- rollback CHART";
        let rows = [
            ("web", "change web None"),
            ("web ./chart", "change web Some(\"./chart\")"),
            ("rollback web", "rollback web None"),
            ("rollback web 2 --save f", "rollback web Some(\"2\")"),
            ("uninstall web --keep-history", "uninstall web"),
            ("-- rollback ./chart", "change rollback Some(\"./chart\")"),
            ("--save f rollback web", behind),
            ("", "error: the following required arguments were not provided:"),
            ("rollback", "error: the following required arguments were not provided:"),
        ];
        for (line, wanted) in rows {
            assert_eq!(name(line), wanted, "{line}");
        }
    }
}
