//! Which name a rendered release has.

use std::path::Path;

use anyhow::{anyhow, bail};

use crate::base::limit;
use crate::base::name::ReleaseName;
use crate::template::{Capabilities, Context, Frozen, Program, ReleaseInfo, Scope, TemplateFile};
use crate::yaml::{Map, Value};

/// What a release is called that nobody named, and nobody installs.
pub(super) const NOBODYS: &str = "release-name";
/// Name of the template of a name, as errors tell it.
const TEMPLATE: &str = "name-template";
/// Helm's rule, in Helm's words.
const RULE: &str = "invalid release name, must match regex \
    ^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$ \
    and the length must not be longer than 53";

/// What was typed of a name.
pub(super) struct Naming<'a> {
    /// `[NAME] CHART`.
    pub(super) words: &'a [String],
    /// Whether a name is to be made.
    pub(super) generate: bool,
    /// A template of the name, or nothing.
    pub(super) template: &'a str,
}

/// Returns name and chart of what was typed; what `nobodys` says is the name without one.
///
/// Source: helm v4.3.1 pkg/action/install.go (`NameAndChart`).
pub(super) fn name_and_chart(
    naming: &Naming<'_>,
    capabilities: &Capabilities,
    nobodys: impl Fn(&str) -> anyhow::Result<String>,
) -> anyhow::Result<(String, String)> {
    match naming.words {
        [name, chart] => {
            if naming.generate {
                bail!("cannot set --generate-name and also specify a name");
            }
            if !naming.template.is_empty() {
                bail!("cannot set --name-template and also specify a name");
            }
            Ok((name.clone(), chart.clone()))
        }
        [chart] if naming.template.is_empty() => Ok((nobodys(chart)?, chart.clone())),
        [chart] => Ok((from_template(naming.template, capabilities)?, chart.clone())),
        [] => bail!("a chart is needed: an archive, a folder, or with --repo a name"),
        [_, _, more @ ..] => {
            bail!("expected at most two arguments, unexpected arguments: {}", more.join(", "))
        }
    }
}

/// Makes a name of a chart's and the time, in seconds.
pub(super) fn generated(chart: &str, now: i64) -> String {
    let base = Path::new(chart).file_name().map(|name| name.to_string_lossy().into_owned());
    let base = base.unwrap_or_else(|| "chart".to_owned());
    let base = base.split('.').next().unwrap_or_default();
    format!("{base}-{now}")
}

/// Refuses what cannot be a release's name.
pub(super) fn check(name: &str) -> anyhow::Result<()> {
    let why = if name.is_empty() { "no name provided" } else { RULE };
    match name.parse::<ReleaseName>() {
        Ok(_) => Ok(()),
        Err(_) => Err(anyhow!("release name check failed: release name {name:?}: {why}")),
    }
}

fn from_template(text: &str, capabilities: &Capabilities) -> anyhow::Result<String> {
    let scope = Scope {
        path: String::new(),
        name: String::new(),
        parent: None,
        chart: Value::Object(Map::new()),
        files: [].into(),
        library: false,
    };
    let scopes = [scope];
    let file = TemplateFile { name: TEMPLATE.to_owned(), text: text.to_owned().into(), scope: 0 };
    let program =
        Program::compile(vec![file], &scopes).map_err(|error| plain(&error.to_string()))?;
    let release = ReleaseInfo {
        name: String::new(),
        namespace: String::new(),
        revision: 1,
        is_upgrade: false,
    };
    let values = Frozen::of_map(&Map::new());
    let context = Context {
        scopes: &scopes,
        values: &values,
        release: &release,
        capabilities,
        lookup: None,
        lenient: false,
        limits: limit::current(),
        hosts: None,
    };
    let rendered = program.render(&context).map_err(|error| plain(&error.to_string()))?;
    Ok(rendered.into_iter().next().map(|file| file.text).unwrap_or_default())
}

/// What Go itself says, without what Helm makes of errors in charts.
pub(super) fn plain(text: &str) -> anyhow::Error {
    let parse = text.strip_prefix("parse error at (").and_then(|rest| rest.split_once("): "));
    match parse {
        Some((place, what)) => anyhow!("template: {place}: {what}"),
        None => anyhow!("{text}"),
    }
}
