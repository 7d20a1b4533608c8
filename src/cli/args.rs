//! Arguments, as they are typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use super::{
    chart_args, get, history, inspect, install, list, outdated, plan, registry, rollback, storage,
    template_args, test, uninstall, upgrade, verify,
};
use crate::base::duration::GoDuration;
use crate::base::limit::Limits;
use crate::sim::Rule;
use crate::source::Mirror;

/// A Helm release manager with automatic chart upgrades.
#[derive(Debug, Parser)]
#[command(version)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What counts for every command.
#[derive(Debug, ClapArgs)]
pub(super) struct Common {
    #[command(flatten)]
    pub(super) connection: Connection,
    #[command(flatten)]
    pub(super) helm: template_args::Everywhere,
    /// Say more on stderr (repeatable).
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(super) verbose: u8,
    /// Say where and why below an error, as on a terminal; `template` prints what was rendered.
    #[arg(long, global = true)]
    pub(super) debug: bool,
    /// Change a bound on what charts may take (repeatable): NAME is steps, memory, text, output,
    /// items, parts, regex, stack, unpacked, entries or values. Also LEADSMAN_LIMITS, separated by
    /// commas.
    #[arg(long = "limit", global = true, value_parser = limit, value_name = "NAME=VALUE")]
    pub(super) limits: Vec<String>,
}

impl Args {
    /// Reads the command line; ends the process if it is not right, or asks for help.
    pub(super) fn read() -> Self {
        let mut words = std::env::args_os().skip(1).peekable();
        let is_template = words.peek().is_some_and(|word| word == "template");
        if is_template && let Ok(Rendering { common, template }) = Rendering::try_parse_from(words)
        {
            return Self { common, command: Command::Template(Box::new(template)) };
        }
        Self::parse()
    }
}

/// The command whose start is felt, by itself: the options that count everywhere are copied to each
/// command there is, and fifty commands take as long as rendering a small chart.
#[derive(Debug, Parser)]
struct Rendering {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    template: Template,
}

/// Which cluster, and which namespace.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Connection {
    /// Path of the kubeconfig file.
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig file.
    #[arg(long, alias = "kube-context", global = true, value_name = "NAME")]
    pub(super) context: Option<String>,
    /// Namespace.
    #[arg(short, long, global = true, value_name = "NAME")]
    pub(super) namespace: Option<String>,
    #[command(flatten)]
    pub(super) reach: Reach,
}

/// What counts instead of the kubeconfig, with Helm's names.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Reach {
    /// Address of the API server. Also HELM_KUBEAPISERVER.
    #[arg(long, global = true, hide_short_help = true, value_name = "URL")]
    pub(super) kube_apiserver: Option<String>,
    /// Group to act as (repeatable; needs --kube-as-user). Also HELM_KUBEASGROUPS, separated by
    /// commas.
    #[arg(long, global = true, hide_short_help = true, value_name = "NAME")]
    pub(super) kube_as_group: Vec<String>,
    /// User to act as. Also HELM_KUBEASUSER.
    #[arg(long, global = true, hide_short_help = true, value_name = "NAME")]
    pub(super) kube_as_user: Option<String>,
    /// File of the authorities to trust. Also HELM_KUBECAFILE.
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE")]
    pub(super) kube_ca_file: Option<String>,
    /// Take any certificate of the API server. Also HELM_KUBEINSECURE_SKIP_TLS_VERIFY.
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_name = "true|false"
    )]
    pub(super) kube_insecure_skip_tls_verify: Option<bool>,
    /// Name that the certificate of the API server must have. Also HELM_KUBETLS_SERVER_NAME.
    #[arg(long, global = true, hide_short_help = true, value_name = "NAME")]
    pub(super) kube_tls_server_name: Option<String>,
    /// Bearer token. Also HELM_KUBETOKEN, which other users of the machine do not see.
    #[arg(long, global = true, hide_short_help = true, value_name = "TOKEN")]
    pub(super) kube_token: Option<String>,
}

/// How results are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// Columns for people.
    #[default]
    Table,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

// The arguments of fifty commands that nobody typed take as long as rendering a small chart.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(super) enum Command {
    /// Render a chart, as `helm template` does.
    Template(Box<Template>),
    /// Show parts of a chart, as `helm show` does.
    Show(Show),
    /// Say what is wrong or unusual with charts, as `helm lint` does.
    Lint(Box<Lint>),
    /// Say where things come from.
    Explain(Box<Explain>),
    /// Keep releases as their HelmReleases say.
    Run(Run),
    /// Watch a release being installed, upgraded, rolled back, repaired and pinned, without a cluster.
    Demo,
    /// Serve the simulated cluster on loopback.
    Sim(Sim),
    /// List releases, as `helm list` does.
    #[command(visible_alias = "ls")]
    List(Box<list::List>),
    /// Show the revisions of a release, as `helm history` does.
    #[command(visible_alias = "hist")]
    History(history::History),
    /// Show a release, as `helm status` does, and the conditions of its HelmRelease.
    Status(inspect::Status),
    /// Explain which version runs, which are held back, and what failed.
    Why(One),
    /// List the newer versions of what runs, and why they are not taken.
    Outdated(Box<outdated::Outdated>),
    /// Show parts of a release's record.
    Get(get::Get),
    /// Run exactly one version of the chart, until `unpin`.
    Pin(Pin),
    /// Let the version move again.
    Unpin(One),
    /// Let no version move, until `unhold`.
    Hold(Hold),
    /// Let the version move again.
    Unhold(One),
    /// Stop reconciling a HelmRelease.
    Suspend(One),
    /// Reconcile a HelmRelease again.
    Resume(One),
    /// Reconcile a HelmRelease now, and wait for the result.
    Reconcile(Reconcile),
    /// Say what an upgrade would change in the cluster, which is asked by dry runs; exit code 3 where
    /// something would.
    Plan(Box<plan::Plan>),
    /// Carry out a plan that `plan --save` kept: exactly what it showed, or nothing.
    Apply(plan::Apply),
    /// Compare a release with a chart, or two of its revisions; exit code 3 where they differ.
    Diff(Box<plan::Diff>),
    /// Install a chart, as `helm install` does.
    Install(Box<install::Install>),
    /// Upgrade a release, as `helm upgrade` does.
    Upgrade(Box<upgrade::Upgrade>),
    /// Roll a release back to an earlier revision, as `helm rollback` does.
    Rollback(Box<rollback::Rollback>),
    /// Run the tests of a release, as `helm test` does.
    Test(test::Test),
    /// Uninstall releases, as `helm uninstall` does.
    #[command(visible_aliases = ["un", "del", "delete"])]
    Uninstall(Box<uninstall::Uninstall>),
    /// Register, list, update and forget chart repositories, in Helm's own files.
    Repo(chart_args::Repo),
    /// Search for charts.
    Search(chart_args::Search),
    /// Check that an archive is what somebody signed.
    Verify(verify::Verify),
    /// Download charts.
    #[command(visible_alias = "fetch")]
    Pull(chart_args::Pull),
    /// Upload an archive to an OCI registry.
    Push(registry::Push),
    /// Log in to OCI registries, and out of them.
    Registry(registry::Registry),
    /// Pack folders of charts into archives.
    Package(chart_args::Package),
    /// List and get the dependencies of a chart.
    #[command(visible_aliases = ["dep", "dependencies"])]
    Dependency(chart_args::Dependencies),
}

#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub(super) struct Template {
    /// Name of the release (`release-name` without it), and archive, folder or (with --repo) name
    /// of the chart.
    #[arg(required = true, value_names = ["[NAME] CHART"])]
    pub(super) words: Vec<String>,
    /// Template of the release's name, such as `web-{{ randAlpha 4 | lower }}`.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEMPLATE")]
    pub(super) name_template: String,
    /// Take no NAME; as in Helm, it is `release-name` then.
    #[arg(short, long)]
    pub(super) generate_name: bool,
    #[command(flatten)]
    pub(super) values: Values,
    /// Tell templates that this is an upgrade.
    #[arg(long)]
    pub(super) is_upgrade: bool,
    /// Kubernetes version that templates are told.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) kube_version: String,
    /// Further API versions that templates are told (repeatable).
    #[arg(short = 'a', long, value_delimiter = ',')]
    pub(super) api_versions: Vec<String>,
    /// Print the chart's CRDs, too.
    #[arg(long)]
    pub(super) include_crds: bool,
    /// Accepted as Helm accepts it: nothing is installed anyway.
    #[arg(long)]
    pub(super) skip_crds: bool,
    /// Leave hooks out.
    #[arg(long)]
    pub(super) no_hooks: bool,
    /// Leave tests out.
    #[arg(long)]
    pub(super) skip_tests: bool,
    /// Do not check values against schemas.
    #[arg(long)]
    pub(super) skip_schema_validation: bool,
    /// Let templates look up addresses of hosts (`getHostByName`).
    #[arg(long)]
    pub(super) enable_dns: bool,
    /// Print only these templates (repeatable).
    #[arg(short = 's', long)]
    pub(super) show_only: Vec<String>,
    /// Write a file for each template below DIR instead of printing.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "DIR")]
    pub(super) output_dir: String,
    /// Add the release's name to the path of --output-dir.
    #[arg(long)]
    pub(super) release_name: bool,
    /// Get dependencies that the chart's folder lacks, as `dependency update` does.
    #[arg(long)]
    pub(super) dependency_update: bool,
    #[command(flatten)]
    pub(super) against: template_args::Against,
    #[command(flatten)]
    pub(super) post: template_args::PostRender,
    #[command(flatten)]
    pub(super) from: ChartFrom,
    #[command(flatten)]
    pub(super) idle: template_args::Idle,
}

#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub(super) struct Lint {
    /// Folders or archives of charts.
    #[arg(required = true, value_name = "PATH")]
    pub(super) paths: Vec<String>,
    /// Fail on warnings, too.
    #[arg(long)]
    pub(super) strict: bool,
    /// Print warnings and errors only.
    #[arg(long)]
    pub(super) quiet: bool,
    /// Check the charts in `charts/`, too.
    #[arg(long)]
    pub(super) with_subcharts: bool,
    /// Do not check values against schemas.
    #[arg(long)]
    pub(super) skip_schema_validation: bool,
    /// Kubernetes version that templates are told, and that deprecations are told of.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) kube_version: String,
    #[command(flatten)]
    pub(super) values: Values,
    #[command(flatten)]
    pub(super) places: chart_args::Places,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Explain {
    #[command(subcommand)]
    pub(super) command: ExplainCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum ExplainCommand {
    /// Show each value that templates see and which source set it; with -v also what it overrode.
    Values(ExplainValues),
}

#[derive(Debug, ClapArgs)]
pub(super) struct ExplainValues {
    /// A chart, if --repo is given, or if it is an existing path, begins with `.` or `/`, or is
    /// NAME/CHART; else a release, by its own name or that of its HelmRelease.
    #[arg(value_name = "RELEASE|CHART")]
    pub(super) what: String,
    #[command(flatten)]
    pub(super) values: Values,
    /// How to write it.
    #[arg(short, long, value_enum, default_value_t)]
    pub(super) output: Output,
    /// Show what Secrets hold.
    #[arg(long)]
    pub(super) show_secrets: bool,
    #[command(flatten)]
    pub(super) from: ChartFrom,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Show {
    /// What to show.
    pub(super) part: ShowPart,
    /// Archive, folder, or (with --repo) name of the chart.
    pub(super) chart: String,
    /// With `values`: print only this, a text with paths between braces as kubectl takes it, such
    /// as `{.image.tag}`.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEMPLATE")]
    pub(super) jsonpath: String,
    #[command(flatten)]
    pub(super) from: ChartFrom,
}

/// Parts of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ShowPart {
    /// The definition, `Chart.yaml`.
    Chart,
    /// The default values.
    Values,
    /// The README.
    Readme,
    /// The definitions of `crds/`, those of its dependencies too.
    Crds,
    /// All of it.
    All,
}

/// The user's values. Files come first, then `--set-json`, `--set`, `--set-string`, `--set-file`
/// and `--set-literal`, in whatever order they stand.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Values {
    /// Values file, or an address of one (repeatable; `-` is stdin).
    #[arg(short = 'f', long = "values", value_delimiter = ',', value_name = "FILE")]
    pub(super) values: Vec<String>,
    /// Value, such as `a.b=1` (repeatable).
    #[arg(long, value_name = "PAIRS")]
    pub(super) set: Vec<String>,
    /// Value that stays text (repeatable).
    #[arg(long, value_name = "PAIRS")]
    pub(super) set_string: Vec<String>,
    /// Value in JSON, such as `a=[1,2]`, or a whole object `{"a": [1, 2]}` (repeatable).
    #[arg(long, value_name = "PAIRS")]
    pub(super) set_json: Vec<String>,
    /// Value that is the content of a file, such as `a.b=path` (repeatable).
    #[arg(long, value_name = "PAIRS")]
    pub(super) set_file: Vec<String>,
    /// Value that is text as it stands, commas and all (repeatable).
    #[arg(long, value_name = "PAIR")]
    pub(super) set_literal: Vec<String>,
}

/// Where a chart comes from that is named by no path.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct ChartFrom {
    /// Repository of the chart.
    #[arg(long, value_name = "URL")]
    pub(super) repo: Option<String>,
    /// Version or constraint (with --repo).
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) version: String,
    /// Take prereleases, too.
    #[arg(long)]
    pub(super) devel: bool,
    #[command(flatten)]
    pub(super) login: chart_args::Login,
    #[command(flatten)]
    pub(super) trusted: verify::Trusted,
    #[command(flatten)]
    pub(super) places: chart_args::Places,
    #[command(flatten)]
    pub(super) sources: Sources,
}

impl ChartFrom {
    /// Returns the version or constraint that is meant.
    pub(super) fn wanted(&self) -> &str {
        match self.version.trim() {
            "" if self.devel => ">0.0.0-0",
            version => version,
        }
    }
}

/// Where repositories and the cache are.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Sources {
    /// Send what begins with FROM to TO, an address or a folder (repeatable).
    #[arg(long, env = "LEADSMAN_MIRROR", value_delimiter = ',', value_name = "FROM=TO")]
    pub(super) mirror: Vec<Mirror>,
    /// Folder of the cache.
    #[arg(long, env = "LEADSMAN_CACHE", default_value = "charts-cache", value_name = "DIR")]
    pub(super) cache: PathBuf,
}

#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub(super) struct Run {
    /// Folder of YAML that is kept applied; without it, objects are read from the cluster.
    pub(super) source: Option<PathBuf>,
    /// Exit when every release is ready (0) or failed (1).
    #[arg(long)]
    pub(super) once: bool,
    /// Delete what vanishes from SOURCE.
    #[arg(long)]
    pub(super) prune: bool,
    /// Use the built-in simulated cluster: nothing outside this process is touched.
    #[arg(long)]
    pub(super) simulate: bool,
    /// Serve the packages of DIR as a chart repository on loopback.
    #[arg(long, value_name = "DIR[=ADDR]")]
    pub(super) serve_charts: Option<ServeCharts>,
    /// Overrule every spec.interval.
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    pub(super) interval: Option<Duration>,
    /// Service account that releases are installed as whose HelmRelease names none.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub(super) default_service_account: String,
    /// Let kubeconfigs in Secrets run programs.
    #[arg(long)]
    pub(super) insecure_kubeconfig_exec: bool,
    /// Let kubeconfigs in Secrets name servers whose certificate is not checked.
    #[arg(long)]
    pub(super) insecure_kubeconfig_tls: bool,
    /// Trusted root of Sigstore (`trusted_root.json`): who vouches for signatures without keys.
    #[arg(long, env = "LEADSMAN_SIGSTORE_TRUSTED_ROOT", value_name = "FILE")]
    pub(super) sigstore_trusted_root: Option<PathBuf>,
    #[command(flatten)]
    pub(super) storage: storage::Args,
    #[command(flatten)]
    pub(super) sources: Sources,
}

/// A folder of packages, and where it is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServeCharts {
    pub(super) folder: PathBuf,
    pub(super) address: std::net::SocketAddr,
}

impl std::str::FromStr for ServeCharts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (folder, address) = text.rsplit_once('=').unwrap_or((text, "127.0.0.1:0"));
        let address = address.parse().map_err(|_| {
            format!("`{address}` is not an address with a port, such as 127.0.0.1:8879")
        })?;
        Ok(Self { folder: folder.into(), address })
    }
}

fn fault(text: &str) -> Result<Rule, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// Checks a bound; it is only kept, because later ones overrule earlier ones.
fn limit(text: &str) -> Result<String, String> {
    Limits::default().set(text).map(|()| text.to_owned())
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<GoDuration>().map(|duration| duration.0).map_err(|error| error.to_string())
}

#[derive(Debug, ClapArgs)]
pub(super) struct Sim {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR")]
    pub(super) listen: std::net::SocketAddr,
    /// Write a kubeconfig for it.
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig_out: PathBuf,
    /// What goes wrong, as JSON (repeatable), such as
    /// `{"verbs": ["create"], "times": 3, "fault": {"kind": "status", "code": 429, "retryAfter": 1}}`.
    /// Kinds: refuse, lose-answer, cut-answer, status (carriedOut), latency (millis), hold,
    /// hold-answer, expire, cut-watches. While it runs: GET, POST and DELETE /sim/faults, GET and
    /// DELETE /sim/calls.
    #[arg(long = "fault", value_parser = fault, value_name = "JSON")]
    pub(super) faults: Vec<Rule>,
    /// Let roles and bindings decide who may do what. Who asks is the user of `--as`, the service
    /// account of a token, else one who may do everything.
    #[arg(long)]
    pub(super) rbac: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct One {
    /// Name of the HelmRelease.
    pub(super) release: String,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Pin {
    /// Name of the HelmRelease.
    pub(super) release: String,
    /// Version of the chart.
    pub(super) version: String,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Hold {
    /// Name of the HelmRelease.
    pub(super) release: String,
    /// Why.
    #[arg(long, default_value = "held by hand")]
    pub(super) reason: String,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Reconcile {
    /// Name of the HelmRelease.
    pub(super) release: String,
    /// Upgrade even when in sync.
    #[arg(long)]
    pub(super) force: bool,
    /// Start failure counters anew.
    #[arg(long)]
    pub(super) reset: bool,
    /// Longest wait.
    #[arg(long, value_parser = duration, default_value = "5m", value_name = "DURATION")]
    pub(super) timeout: Duration,
}
