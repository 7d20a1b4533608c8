//! Rules about `templates/` and what comes out of them.
//!
//! Source: helm v4.3.1 pkg/chart/v2/lint/rules/template.go.

use super::object::{self, Object};
use super::{Entry, Linted, Options, Subject, deprecation};
use crate::base::class::chain;
use crate::chart::{self, Chart};
use crate::release::render::render_leniently;
use crate::template::ReleaseInfo;
use crate::yaml::{self, Numbers, Value};

const FOLDER: &str = "templates/";
/// Annotation that Helm does not see inside a list.
const KEEP: &str = "helm.sh/resource-policy";

pub(super) fn check(subject: &Subject, options: &Options<'_>, report: &mut Linted) {
    match subject.templates {
        Entry::Missing => return report.warn(FOLDER, "directory does not exist"),
        Entry::File => return report.error(FOLDER, "not a directory"),
        Entry::Folder => {}
    }
    let chart = match &subject.chart {
        Ok(chart) => chart,
        Err(error) => return report.error(FOLDER, chain(error)),
    };
    // What is wrong with the values themselves is said elsewhere.
    let processed =
        chart::process_dependencies(&std::sync::Arc::new(chart.clone()), options.values);
    let Ok((chart, _)) = processed else { return };
    let Ok((values, _)) = chart::coalesce(&chart, options.values) else { return };
    if options.check_schema
        && let Err(error) = chart::schema::validate(&chart, &values)
    {
        report.error(FOLDER, chain(&error));
        report.failure = Some(error.into());
        return;
    }
    let release = ReleaseInfo {
        name: "test-release".to_owned(),
        namespace: options.namespace.to_owned(),
        revision: 0,
        is_upgrade: false,
    };
    match render_leniently(&chart, values, &release, options.capabilities) {
        Ok(rendered) => check_rendered(&chart, &rendered, options, report),
        Err(error) => {
            report.error(FOLDER, chain(&error));
            report.failure = Some(error);
        }
    }
}

fn check_rendered(
    chart: &Chart,
    rendered: &std::collections::HashMap<String, String>,
    options: &Options<'_>,
    report: &mut Linted,
) {
    for file in &chart.templates {
        let base = file.name.rsplit('/').next().unwrap_or(&file.name);
        let ending = base.rfind('.').map_or("", |dot| &base[dot..]);
        if ![".yaml", ".yml", ".tpl", ".txt"].contains(&ending) {
            let rule = "Valid extensions are .yaml, .yml, .tpl, or .txt";
            report.error(&file.name, format!("file extension '{ending}' not valid. {rule}"));
        }
        if !matches!(ending.to_lowercase().as_str(), ".yaml" | ".yml") {
            continue;
        }
        let whole = format!("{}/{}", chart.metadata.name, file.name);
        let Some(text) = rendered.get(&whole) else { continue };
        if text.trim().is_empty() {
            continue;
        }
        if let Some(line) = indented(text) {
            let text = format!(
                "document starts with an illegal indent: {line:?}, which may cause parsing problems"
            );
            report.warn(&file.name, text);
        }
        for object in object::read(text) {
            match object {
                Ok(object) => check_object(&file.name, &object, text, options, report),
                // Nothing behind it is looked at, in no other file either.
                Err(why) => {
                    report.error(&file.name, format!("unable to parse YAML: {}", why.text));
                    report.failure = Some(why.into_error(whole));
                    return;
                }
            }
        }
    }
}

/// Returns the first line that is not blank, if it is indented.
fn indented(text: &str) -> Option<&str> {
    let first = text.lines().find(|line| !line.trim().is_empty())?;
    first.starts_with([' ', '\t']).then_some(first)
}

fn check_object(
    path: &str,
    object: &Object,
    whole: &str,
    options: &Options<'_>,
    report: &mut Linted,
) {
    if let Some(text) = object::name_problem(object) {
        report.warn(path, text);
    }
    let number = |text: &str| text.parse().unwrap_or_default();
    let (major, minor) =
        (number(&options.capabilities.kube_major), number(&options.capabilities.kube_minor));
    let warning = deprecation::warning(&object.api_version, &object.kind, major, minor);
    if let Some(text) = warning {
        report.warn(path, text);
    }
    let (kind, name) = (&object.kind, &object.name);
    let selects = ["Deployment", "ReplicaSet", "DaemonSet", "StatefulSet"];
    if selects.contains(&kind.as_str())
        && !whole.contains("matchLabels")
        && !whole.contains("matchExpressions")
    {
        let rule = "must contain matchLabels or matchExpressions";
        report.error(path, format!("a {kind} {rule}, and {name:?} does not"));
    }
    if kind == "List" && keeps(whole) {
        let text = format!("annotation '{KEEP}' within List objects are ignored");
        report.error(path, text);
    }
}

/// Whether an item of a list is annotated to be kept. As in Helm, the first document of the file
/// is looked at, whichever holds the list.
fn keeps(whole: &str) -> bool {
    let list = yaml::parse(whole, Numbers::Exact).unwrap_or_default();
    let items = list.get("items").and_then(Value::as_array);
    items.into_iter().flatten().any(|item| {
        item.pointer("/metadata/annotations").is_some_and(|all| all.get(KEEP).is_some())
    })
}
