//! Arguments that Helm's commands of releases share, as they are typed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args as ClapArgs;

use super::args::{ChartFrom, Output, Values, duration};
use super::template_args::{PostRender, pair};
use crate::chart::{self, Chart};
use crate::cluster::wait;
use crate::plan::saved::How;
use crate::release::conflict::{Policy, RuleError, Rules};
use crate::release::{Method, Record};
use crate::yaml::Map;

/// Files of repositories, which Helm takes for every command: no charts are looked for here.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(super) struct NoCharts {
    #[arg(long, hide = true)]
    repository_cache: Option<std::path::PathBuf>,
    #[arg(long, hide = true)]
    repository_config: Option<std::path::PathBuf>,
}

/// How long is waited, and for what.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Waiting {
    /// Wait until objects are ready (`watcher`), ready by Helm 3's rules (`legacy`), or only for
    /// hooks (`hookOnly`, as without it).
    #[arg(
        long,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "watcher",
        value_parser = ["watcher", "hookOnly", "legacy", "true", "false"],
        value_name = "STRATEGY"
    )]
    pub(super) wait: Option<String>,
    /// Wait for Jobs to complete, too.
    #[arg(long)]
    pub(super) wait_for_jobs: bool,
    /// Longest wait for each step, such as a hook.
    #[arg(long, value_parser = duration, default_value = "5m", value_name = "DURATION")]
    pub(super) timeout: Duration,
}

impl Waiting {
    /// Whether objects are waited for.
    pub(super) fn for_objects(&self) -> bool {
        !matches!(self.wait.as_deref(), None | Some("hookOnly" | "false"))
    }

    /// Returns how readiness is awaited.
    pub(super) fn rules(&self) -> wait::Rules {
        wait::Rules { legacy: self.wait.as_deref() == Some("legacy"), ..wait::Rules::default() }
    }
}

/// How objects are changed.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Applying {
    /// Take over fields that somebody else manages; as --conflicts force.
    #[arg(long, conflicts_with = "force_replace")]
    pub(super) force_conflicts: bool,
    /// What is done about fields that somebody else manages: `force` takes them over, `fail` (as
    /// without it) ends the action, `leave` lets them be; all of them, or those below a path, of a
    /// kind, of an object: `Deployment/web:spec.replicas=leave` (repeatable, or separated by commas).
    #[arg(
        long,
        value_parser = rule,
        conflicts_with = "force_replace",
        value_name = "[[KIND[/NAME]:]PATH=]POLICY"
    )]
    pub(super) conflicts: Vec<String>,
    /// Put objects in the place of those that are there, of which nothing stays; needs
    /// --server-side=false.
    #[arg(long, alias = "force")]
    pub(super) force_replace: bool,
    /// Who computes changes: the server, or this command; `auto` (as without it) goes on with what
    /// was done before.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "true|false|auto")]
    pub(super) server_side: Option<String>,
}

/// Checks a rule of conflicts.
fn rule(text: &str) -> Result<String, RuleError> {
    Rules::parse(text, Policy::Fail).map(|_| text.to_owned())
}

impl Applying {
    /// Returns what is done about fields that others manage; nothing: the command line does not say.
    ///
    /// # Errors
    /// Flags say different things.
    pub(super) fn rules(&self) -> anyhow::Result<Option<Rules>> {
        let usual = if self.force_conflicts { Policy::Force } else { Policy::Fail };
        if self.conflicts.is_empty() {
            return Ok(self.force_conflicts.then(|| Rules::just(usual)));
        }
        let text = self.conflicts.join(",");
        let rules = Rules::parse(&text, usual)?;
        if self.force_conflicts && rules.usual() != Policy::Force {
            anyhow::bail!(
                "--force-conflicts and --conflicts {} say different things about fields that no \
                 other rule speaks of: leave one out",
                rules.usual().word()
            );
        }
        Ok(Some(rules))
    }

    /// Returns who computes what changes.
    ///
    /// # Errors
    /// Helm's text.
    pub(super) fn method(&self) -> anyhow::Result<Method> {
        match self.server_side.as_deref() {
            None | Some("auto") => Ok(Method::Auto),
            Some("true") => Ok(Method::Server),
            Some("false") => Ok(Method::Client),
            Some(other) => {
                anyhow::bail!("invalid/unknown release server-side apply method: {other}")
            }
        }
    }
}

/// Where an action is only tried.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct DryRun {
    /// Change nothing: `client` asks the cluster as little as possible, `server` asks it whether
    /// it would take the objects.
    #[arg(
        long,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "unset",
        value_name = "none|client|server"
    )]
    pub(super) dry_run: Option<String>,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// All of it.
    Whole,
    /// Nothing but a rendering.
    Client,
    /// Nothing, but the cluster is asked.
    Server,
}

impl DryRun {
    /// Returns what is done.
    ///
    /// # Errors
    /// Helm's text.
    ///
    /// Source: helm v4.3.2 pkg/cmd/helpers.go (`cmdGetDryRunFlagStrategy`).
    pub(super) fn depth(&self) -> anyhow::Result<Depth> {
        match self.dry_run.as_deref() {
            None | Some("none" | "0" | "f" | "F" | "FALSE" | "false" | "False") => Ok(Depth::Whole),
            Some("client" | "unset" | "1" | "t" | "T" | "TRUE" | "true" | "True") => {
                Ok(Depth::Client)
            }
            Some("server") => Ok(Depth::Server),
            Some(text) => anyhow::bail!(
                "invalid dry-run value ({text:?}). Must be \"none\", \"server\", or \"client\""
            ),
        }
    }
}

/// What `install` and `upgrade` share.
#[derive(Debug, Clone, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub(super) struct Deploying {
    #[command(flatten)]
    pub(super) values: Values,
    #[command(flatten)]
    pub(super) waiting: Waiting,
    #[command(flatten)]
    pub(super) applying: Applying,
    #[command(flatten)]
    pub(super) dry: DryRun,
    /// With --dry-run: leave Secrets out of what is printed.
    #[arg(long)]
    pub(super) hide_secret: bool,
    /// Do not print the notes.
    #[arg(long)]
    pub(super) hide_notes: bool,
    /// Put the notes of dependencies into the notes.
    #[arg(long)]
    pub(super) render_subchart_notes: bool,
    /// Run no hooks.
    #[arg(long)]
    pub(super) no_hooks: bool,
    /// Install no definitions of the chart's `crds/`.
    #[arg(long)]
    pub(super) skip_crds: bool,
    /// Do not check values against schemas.
    #[arg(long)]
    pub(super) skip_schema_validation: bool,
    /// With --dry-run=server: do not ask whether every document says what it is.
    #[arg(long)]
    pub(super) disable_openapi_validation: bool,
    /// Description of the revision.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    pub(super) description: String,
    /// Labels of the release's record, separated by commas; `null` removes one (repeatable).
    #[arg(short, long, value_delimiter = ',', value_parser = pair, value_name = "KEY=VALUE")]
    pub(super) labels: Vec<(String, String)>,
    /// Create the namespace, if it is not there.
    #[arg(long)]
    pub(super) create_namespace: bool,
    /// Take over objects that exist and are nobody's or another release's.
    #[arg(long)]
    pub(super) take_ownership: bool,
    /// Let templates look up addresses of hosts (`getHostByName`).
    #[arg(long)]
    pub(super) enable_dns: bool,
    /// Get dependencies that the chart's folder lacks, as `dependency update` does.
    #[arg(long)]
    pub(super) dependency_update: bool,
    /// After a failure, uninstall (`install`) or roll back (`upgrade`); waits as --wait does.
    #[arg(long, alias = "atomic")]
    pub(super) rollback_on_failure: bool,
    #[command(flatten)]
    pub(super) post: PostRender,
    #[command(flatten)]
    pub(super) from: ChartFrom,
    /// How to write the result.
    #[arg(short, long, value_enum, default_value_t)]
    pub(super) output: Output,
}

impl Deploying {
    /// Returns the labels; Helm's own are refused.
    ///
    /// # Errors
    /// Helm's text.
    ///
    /// Source: helm v4.3.2 pkg/storage/driver/labels.go.
    pub(super) fn labels(&self) -> anyhow::Result<BTreeMap<String, String>> {
        super::template_args::check_labels(&self.labels).map_err(anyhow::Error::msg)?;
        Ok(self.labels.iter().cloned().collect())
    }

    /// Returns how the chart is rendered.
    pub(super) fn rendering(&self) -> How {
        How {
            check_schema: !self.skip_schema_validation,
            dns: self.enable_dns,
            all_notes: self.render_subchart_notes,
            post_renderer: self.post.words(),
        }
    }

    /// Whether objects are waited for.
    pub(super) fn waits(&self) -> bool {
        self.waiting.for_objects() || self.rollback_on_failure
    }
}

/// What becomes of the values of the revision that is upgraded.
#[derive(Debug, Clone, Copy, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub(super) struct ReusedValues {
    /// Use only the values that are given.
    #[arg(long)]
    pub(super) reset_values: bool,
    /// Keep all values of the last revision, those of its chart included, and merge those that
    /// are given.
    #[arg(long)]
    pub(super) reuse_values: bool,
    /// Keep the values that were given before, and merge those that are given.
    #[arg(long)]
    pub(super) reset_then_reuse_values: bool,
}

impl ReusedValues {
    /// Whether the values of the revision's own chart are kept.
    pub(super) fn needs_chart(self) -> bool {
        self.reuse_values && !self.reset_values
    }

    /// Returns the chart and the values with which a revision is followed by a next one.
    ///
    /// # Errors
    /// Its values do not fit its chart.
    ///
    /// Source: helm v4.3.2 pkg/action/upgrade.go (`reuseValues`).
    pub(super) fn apply(
        self,
        chart: Arc<Chart>,
        given: Map,
        current: &Record,
    ) -> anyhow::Result<(Arc<Chart>, Map)> {
        let known = current.values();
        if self.needs_chart() {
            let reused = current.reuse_values(&chart, given);
            let (chart, values) = reused.context("failed to rebuild old values")?;
            return Ok((Arc::new(chart), values));
        }
        let values = if self.reset_values {
            given
        } else if self.reset_then_reuse_values {
            chart::coalesce_tables(given, &known).0
        } else if given.is_empty() {
            known
        } else {
            given
        };
        Ok((chart, values))
    }
}

/// How many revisions are kept.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Keeping {
    /// Most revisions that are kept; 0 is no bound.
    #[arg(long, env = "HELM_MAX_HISTORY", default_value_t = 10, value_name = "NUMBER")]
    pub(super) history_max: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_deep_a_trial_goes() {
        let rows = [
            (None, Ok(Depth::Whole)),
            (Some("none"), Ok(Depth::Whole)),
            (Some("false"), Ok(Depth::Whole)),
            (Some("unset"), Ok(Depth::Client)),
            (Some("True"), Ok(Depth::Client)),
            (Some("server"), Ok(Depth::Server)),
            (
                Some("x"),
                Err("invalid dry-run value (\"x\"). Must be \"none\", \"server\", or \"client\""),
            ),
        ];
        for (given, want) in rows {
            let seen = DryRun { dry_run: given.map(str::to_owned) }.depth();
            let seen = seen.map_err(|error| error.to_string());
            assert_eq!(seen, want.map_err(str::to_owned), "{given:?}");
        }
    }

    #[test]
    fn strategies_and_methods_are_read() {
        let waiting = |wait: Option<&str>| Waiting {
            wait: wait.map(str::to_owned),
            wait_for_jobs: false,
            timeout: Duration::ZERO,
        };
        let rows = [
            (None, (false, false)),
            (Some("hookOnly"), (false, false)),
            (Some("watcher"), (true, false)),
            (Some("legacy"), (true, true)),
        ];
        for (given, want) in rows {
            let waiting = waiting(given);
            assert_eq!((waiting.for_objects(), waiting.rules().legacy), want, "{given:?}");
        }
        let applying = |side: Option<&str>| Applying {
            force_conflicts: false,
            conflicts: Vec::new(),
            force_replace: false,
            server_side: side.map(str::to_owned),
        };
        let rows = [
            (None, Some(Method::Auto)),
            (Some("auto"), Some(Method::Auto)),
            (Some("true"), Some(Method::Server)),
            (Some("false"), Some(Method::Client)),
            (Some("x"), None),
        ];
        for (side, want) in rows {
            assert_eq!(applying(side).method().ok(), want, "{side:?}");
        }
    }

    #[test]
    fn flags_about_conflicts_are_one_set_of_rules() {
        let both = "--force-conflicts and --conflicts leave say different things about fields that \
                    no other rule speaks of: leave one out";
        type Row<'a> = (bool, &'a [&'a str], Result<Option<&'a str>, &'a str>);
        let rows: [Row<'_>; 6] = [
            (false, &[], Ok(None)),
            (true, &[], Ok(Some("force"))),
            (false, &["spec=leave", "leave"], Ok(Some("leave,spec=leave"))),
            (true, &["spec=leave"], Ok(Some("force,spec=leave"))),
            (true, &["force,spec=leave"], Ok(Some("force,spec=leave"))),
            (true, &["leave"], Err(both)),
        ];
        for (force_conflicts, conflicts, want) in rows {
            let conflicts = conflicts.iter().map(|one| (*one).to_owned()).collect();
            let (force_replace, server_side) = (false, None);
            let given = Applying { force_conflicts, conflicts, force_replace, server_side };
            let seen = given.rules().map(|rules| rules.map(|rules| rules.to_string()));
            let want = want.map(|text| text.map(str::to_owned)).map_err(str::to_owned);
            assert_eq!(seen.map_err(|error| error.to_string()), want, "{given:?}");
        }
    }
}
