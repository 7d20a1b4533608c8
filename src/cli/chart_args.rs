//! Arguments of the commands for charts and repositories, as they are typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand};

use super::args::{Output, duration};
use super::sign::Sign;
use super::verify::Trusted;

/// Where Helm's own files are; without these, where the environment says.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(super) struct Places {
    /// File of the registered repositories.
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) repository_config: Option<PathBuf>,
    /// Folder of the copied indexes.
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) repository_cache: Option<PathBuf>,
}

/// How a repository is asked.
#[derive(Debug, Clone, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub(super) struct Login {
    /// User of the repository.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) username: String,
    /// Password of the repository.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) password: String,
    /// Do not verify the server's certificate (kept for Helm; refused where it matters).
    #[arg(long)]
    pub(super) insecure_skip_tls_verify: bool,
    /// File of the authorities to trust.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "FILE")]
    pub(super) ca_file: String,
    /// File of our certificate.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "FILE")]
    pub(super) cert_file: String,
    /// File of its key.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "FILE")]
    pub(super) key_file: String,
    /// Ask OCI registries without TLS.
    #[arg(long)]
    pub(super) plain_http: bool,
    /// Send user and password to every host.
    #[arg(long = "pass-credentials", visible_alias = "pass-credentials-all")]
    pub(super) pass_credentials: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Repo {
    #[command(subcommand)]
    pub(super) command: RepoCommand,
    #[command(flatten)]
    pub(super) places: Places,
}

#[derive(Debug, Subcommand)]
pub(super) enum RepoCommand {
    /// Register a repository.
    Add(RepoAdd),
    /// List the registered repositories.
    #[command(visible_alias = "ls")]
    List(RepoList),
    /// Fetch the indexes of registered repositories anew.
    #[command(visible_alias = "up")]
    Update(RepoUpdate),
    /// Write the index of a folder of packages.
    Index(super::repo_index::RepoIndex),
    /// Forget repositories.
    #[command(visible_alias = "rm")]
    Remove(RepoRemove),
}

#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub(super) struct RepoAdd {
    /// Name of the repository.
    pub(super) name: String,
    /// Its address.
    pub(super) url: String,
    #[command(flatten)]
    pub(super) login: Login,
    /// Read the password from stdin.
    #[arg(long)]
    pub(super) password_stdin: bool,
    /// Replace a repository of the same name.
    #[arg(long)]
    pub(super) force_update: bool,
    /// Take also repositories that were shut down.
    #[arg(long)]
    pub(super) allow_deprecated_repos: bool,
    /// Longest time of the download.
    #[arg(long, value_parser = duration, default_value = "2m", value_name = "DURATION")]
    pub(super) timeout: Duration,
}

#[derive(Debug, ClapArgs)]
pub(super) struct RepoList {
    /// How to write it.
    #[arg(short, long, value_enum, default_value_t)]
    pub(super) output: Output,
    /// Leave the headers out.
    #[arg(long)]
    pub(super) no_headers: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct RepoUpdate {
    /// Names; all without them.
    pub(super) names: Vec<String>,
    /// Longest time of one download.
    #[arg(long, value_parser = duration, default_value = "2m", value_name = "DURATION")]
    pub(super) timeout: Duration,
}

#[derive(Debug, ClapArgs)]
pub(super) struct RepoRemove {
    /// Names.
    #[arg(required = true)]
    pub(super) names: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Search {
    #[command(subcommand)]
    pub(super) command: SearchCommand,
    #[command(flatten)]
    pub(super) places: Places,
}

#[derive(Debug, Subcommand)]
pub(super) enum SearchCommand {
    /// Search the registered repositories, by their copied indexes; or (with --repo) another one.
    Repo(Box<SearchRepo>),
}

#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub(super) struct SearchRepo {
    /// What names, descriptions or keywords hold; everything without it. Or a chart of a registry:
    /// oci://…
    pub(super) keyword: Vec<String>,
    /// Show every version.
    #[arg(short = 'l', long)]
    pub(super) versions: bool,
    /// Show prereleases, too.
    #[arg(long)]
    pub(super) devel: bool,
    /// Constraint on the version.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) version: String,
    /// The keyword is a regular expression.
    #[arg(short, long)]
    pub(super) regexp: bool,
    /// How to write it.
    #[arg(short, long, value_enum, default_value_t)]
    pub(super) output: Output,
    /// Widest column of a table.
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub(super) max_col_width: usize,
    /// Fail when nothing is found.
    #[arg(long)]
    pub(super) fail_on_no_result: bool,
    /// Address of the repository to search; it need not be registered. A registry (oci://…) lists no
    /// charts: the keyword names one.
    #[arg(long, value_name = "URL")]
    pub(super) repo: Option<String>,
    #[command(flatten)]
    pub(super) login: Login,
}

#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub(super) struct Pull {
    /// NAME/CHART, the address of an archive or of a chart in an OCI registry (oci://…), or (with
    /// --repo) the name of a chart.
    #[arg(required = true)]
    pub(super) charts: Vec<String>,
    /// Address of a repository.
    #[arg(long, value_name = "URL")]
    pub(super) repo: Option<String>,
    /// Version or constraint.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) version: String,
    /// Take prereleases, too.
    #[arg(long)]
    pub(super) devel: bool,
    /// Folder to write to.
    #[arg(short, long, default_value = ".", value_name = "DIR")]
    pub(super) destination: PathBuf,
    /// Unpack the chart.
    #[arg(long)]
    pub(super) untar: bool,
    /// Folder to unpack to, below the destination.
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub(super) untardir: PathBuf,
    /// Fetch the provenance, too, without verifying it.
    #[arg(long)]
    pub(super) prov: bool,
    #[command(flatten)]
    pub(super) trusted: Trusted,
    #[command(flatten)]
    pub(super) login: Login,
    #[command(flatten)]
    pub(super) places: Places,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Package {
    /// Folders of charts.
    #[arg(required = true)]
    pub(super) paths: Vec<PathBuf>,
    /// Folder to write to.
    #[arg(short, long, default_value = ".", value_name = "DIR")]
    pub(super) destination: PathBuf,
    /// Version to give the chart.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) version: String,
    /// Version of the application to give the chart.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) app_version: String,
    /// Get the dependencies first, as `dependency update` does.
    #[arg(short = 'u', long)]
    pub(super) dependency_update: bool,
    #[command(flatten)]
    pub(super) sign: Sign,
    #[command(flatten)]
    pub(super) login: Login,
    #[command(flatten)]
    pub(super) places: Places,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Dependencies {
    #[command(subcommand)]
    pub(super) command: DependencyCommand,
    #[command(flatten)]
    pub(super) places: Places,
}

#[derive(Debug, Subcommand)]
pub(super) enum DependencyCommand {
    /// List the declared dependencies and whether they are there.
    #[command(visible_alias = "ls")]
    List(DependencyList),
    /// Choose versions anew, get them, and lock them.
    #[command(visible_alias = "up")]
    Update(DependencyGet),
    /// Get the versions that are locked.
    Build(DependencyGet),
}

#[derive(Debug, ClapArgs)]
pub(super) struct DependencyList {
    /// Folder or archive of the chart.
    #[arg(default_value = ".")]
    pub(super) chart: PathBuf,
    /// Widest column.
    #[arg(long, default_value_t = 80, value_name = "N")]
    pub(super) max_col_width: usize,
}

#[derive(Debug, ClapArgs)]
pub(super) struct DependencyGet {
    /// Folder of the chart.
    #[arg(default_value = ".")]
    pub(super) chart: PathBuf,
    /// Use the copied indexes as they are.
    #[arg(long)]
    pub(super) skip_refresh: bool,
    #[command(flatten)]
    pub(super) trusted: Trusted,
    #[command(flatten)]
    pub(super) login: Login,
}
