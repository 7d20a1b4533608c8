//! Further arguments of `leadsman template`, as they are typed.

use clap::Args as ClapArgs;

/// What part a cluster has in a rendering.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Against {
    /// Where the rendering is tried: `client` asks no cluster, `server` takes versions and the
    /// answers to `lookup` from the cluster, and asks it whether the result could be installed.
    #[arg(
        long,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "unset",
        value_name = "client|server"
    )]
    pub(super) dry_run: Option<String>,
    /// Older word for --dry-run=server.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) validate: Option<bool>,
    /// With --dry-run=server: do not ask whether every document says what it is.
    #[arg(long)]
    pub(super) disable_openapi_validation: bool,
    /// With --dry-run=server: do not refuse objects that exist.
    #[arg(long)]
    pub(super) take_ownership: bool,
}

/// What changes a rendering before it is printed.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct PostRender {
    /// Name of a plugin of type postrenderer/v1 that all documents go through.
    #[arg(long, value_name = "NAME")]
    pub(super) post_renderer: Vec<String>,
    /// Argument of it (repeatable).
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub(super) post_renderer_args: Vec<String>,
}

impl PostRender {
    /// Returns the name of the plugin and its arguments; nothing if none is asked for.
    pub(super) fn words(&self) -> Vec<String> {
        let names = self.post_renderer.iter().filter(|name| !name.is_empty()).take(1);
        let mut words: Vec<String> = names.cloned().collect();
        if !words.is_empty() {
            words.extend(self.post_renderer_args.iter().cloned());
        }
        words
    }
}

/// Where a rendering is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere: no cluster is asked.
    Client,
    /// In the cluster.
    Server,
}

impl Against {
    /// What is said of flags that have newer words.
    pub(super) fn note(&self) -> Option<&'static str> {
        let note = "Flag --validate has been deprecated, use '--dry-run=server' instead";
        self.validate.map(|_| note)
    }

    /// Returns where the rendering is tried.
    ///
    /// # Errors
    /// Helm's texts.
    ///
    /// Source: helm v4.3.1 pkg/cmd/{helpers,template}.go.
    pub(super) fn place(&self) -> Result<Place, String> {
        if self.validate.is_some() && self.dry_run.is_some() {
            return Err("if any flags in the group [validate dry-run] are set none of the others \
                        can be; [dry-run validate] were all set"
                .to_owned());
        }
        match self.validate {
            Some(true) => return Ok(Place::Server),
            Some(false) => return Ok(Place::Client),
            None => {}
        }
        let Some(text) = self.dry_run.as_deref() else { return Ok(Place::Client) };
        let wrong =
            |wanted: &str| Err(format!("invalid dry-run value ({text:?}). Must be {wanted}"));
        match text {
            "client" | "unset" | "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(Place::Client),
            "server" => Ok(Place::Server),
            "none" | "0" | "f" | "F" | "FALSE" | "false" | "False" => {
                wrong("\"server\" or \"client\"")
            }
            _ => wrong("\"none\", \"server\", or \"client\""),
        }
    }
}

/// Flags that Helm takes everywhere, and that mean nothing here: requests to a cluster are not
/// throttled, nothing is colored, and there are no registries.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Everywhere {
    #[arg(long, global = true, hide = true)]
    burst_limit: Option<i64>,
    #[arg(long, global = true, hide = true)]
    qps: Option<f32>,
    #[arg(long, global = true, hide = true, alias = "colour", value_parser = ["never", "auto", "always"])]
    color: Option<String>,
    #[arg(long, global = true, hide = true)]
    content_cache: Option<std::path::PathBuf>,
    /// File of the logins to OCI registries. Also HELM_REGISTRY_CONFIG.
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE")]
    pub(super) registry_config: Option<std::path::PathBuf>,
}

/// Flags of `helm template` that change nothing of what is printed: nothing is installed.
#[derive(Debug, Clone, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
#[command(next_help_heading = "Accepted as Helm accepts them: nothing is installed anyway")]
pub(super) struct Idle {
    #[arg(long)]
    create_namespace: bool,
    #[arg(long, default_value = "", hide_default_value = true)]
    description: String,
    #[arg(long)]
    force_conflicts: bool,
    #[arg(long, alias = "force", conflicts_with = "force_conflicts")]
    force_replace: bool,
    #[arg(long, hide = true)]
    hide_notes: bool,
    #[arg(short, long, value_delimiter = ',', value_parser = pair, value_name = "KEY=VALUE")]
    labels: Vec<(String, String)>,
    #[arg(long, hide = true)]
    render_subchart_notes: bool,
    #[arg(long)]
    replace: bool,
    #[arg(long, alias = "atomic")]
    rollback_on_failure: bool,
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    server_side: Option<bool>,
    #[arg(long, value_parser = super::args::duration, value_name = "DURATION")]
    timeout: Option<std::time::Duration>,
    #[arg(
        long,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "watcher",
        value_parser = ["watcher", "hookOnly", "legacy", "true", "false"]
    )]
    wait: Option<String>,
    #[arg(long)]
    wait_for_jobs: bool,
}

impl Idle {
    /// Refuses labels that Helm keeps for itself.
    ///
    /// # Errors
    /// Helm's text.
    ///
    /// Source: helm v4.3.1 pkg/storage/driver/labels.go.
    pub(super) fn check(&self) -> Result<(), String> {
        check_labels(&self.labels)
    }
}

/// Refuses labels that Helm keeps for itself.
pub(super) fn check_labels(labels: &[(String, String)]) -> Result<(), String> {
    const OWN: [&str; 6] = ["name", "owner", "status", "version", "createdAt", "modifiedAt"];
    if labels.iter().any(|(key, _)| OWN.contains(&key.as_str())) {
        return Err(format!(
            "user supplied labels contains system reserved label name. System labels: [{}]",
            OWN.join(" ")
        ));
    }
    Ok(())
}

/// Reads `KEY=VALUE`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) =
        text.split_once('=').ok_or_else(|| format!("{text} must be formatted as key=value"))?;
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `--dry-run`, `--validate`, and what they mean.
    type Row = (Option<&'static str>, Option<bool>, Result<Place, &'static str>);

    #[test]
    fn the_place_is_read_as_by_helm() {
        let rows: &[Row] = &[
            (None, None, Ok(Place::Client)),
            (Some("unset"), None, Ok(Place::Client)),
            (Some("client"), None, Ok(Place::Client)),
            (Some("T"), None, Ok(Place::Client)),
            (Some("server"), None, Ok(Place::Server)),
            (None, Some(true), Ok(Place::Server)),
            (None, Some(false), Ok(Place::Client)),
            (
                Some("none"),
                None,
                Err("invalid dry-run value (\"none\"). Must be \"server\" or \"client\""),
            ),
            (
                Some("x"),
                None,
                Err("invalid dry-run value (\"x\"). Must be \"none\", \"server\", or \"client\""),
            ),
        ];
        for (dry_run, validate, wanted) in rows {
            let against = Against {
                dry_run: dry_run.map(str::to_owned),
                validate: *validate,
                disable_openapi_validation: false,
                take_ownership: false,
            };
            let seen = against.place();
            assert_eq!(seen, wanted.map_err(str::to_owned), "{dry_run:?} {validate:?}");
        }
    }
}
