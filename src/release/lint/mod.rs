//! What is wrong with a chart, or only unusual: `helm lint`.
//!
//! Invariants: no I/O, a [`Subject`] comes in and messages go out, in Helm's order and words; a
//! chart that cannot be loaded still gets every message that does not need it loaded.
//!
//! Mirrors helm v4.3.1 pkg/chart/v2/lint.

mod address;
mod definition;
mod deprecation;
mod object;
mod template;

use std::fmt;

use crate::base::class::chain;
use crate::chart::{self, Chart};
use crate::release::Error;
use crate::template::Capabilities;
use crate::yaml::{self, Map, Numbers};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Against convention, but will likely work.
    Warning,
    /// Will likely not work.
    Error,
}

/// One remark. `Display` is Helm's line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// How bad it is.
    pub severity: Severity,
    /// The file or folder it is about; empty for the whole chart.
    pub path: String,
    /// What is wrong.
    pub text: String,
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Info => "INFO",
            Severity::Warning => "WARNING",
            Severity::Error => "ERROR",
        };
        write!(f, "[{severity}] {}: {}", self.path, self.text)
    }
}

/// What stands where a folder is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Nothing.
    Missing,
    /// Something else.
    File,
    /// A folder.
    Folder,
}

/// A chart as it lies in its folder, and what loading it gave.
#[derive(Debug)]
pub struct Subject {
    /// The folder, as messages name it.
    pub folder: String,
    /// `Chart.yaml`, or why it cannot be read.
    pub definition: Result<Vec<u8>, String>,
    /// `values.yaml`.
    pub values: Option<Vec<u8>>,
    /// `values.schema.json`.
    pub schema: Option<Vec<u8>>,
    /// `templates`.
    pub templates: Entry,
    /// `crds`.
    pub crds: Entry,
    /// The chart.
    pub chart: Result<Chart, chart::Error>,
}

/// What a chart is checked with.
#[derive(Debug)]
pub struct Options<'a> {
    /// The user's values.
    pub values: &'a Map,
    /// Namespace that templates are told.
    pub namespace: &'a str,
    /// What templates are told of the cluster.
    pub capabilities: &'a Capabilities,
    /// Whether values are checked against schemas.
    pub check_schema: bool,
}

/// What came of checking a chart.
#[derive(Debug, Default)]
pub struct Linted {
    /// Remarks, in Helm's order.
    pub messages: Vec<Message>,
    /// Why the templates, or what they gave, could not be looked at further; one of the messages
    /// says it in Helm's words.
    pub failure: Option<Error>,
}

impl Linted {
    fn add(&mut self, severity: Severity, path: &str, text: impl Into<String>) {
        self.messages.push(Message { severity, path: path.to_owned(), text: text.into() });
    }

    fn error(&mut self, path: &str, text: impl Into<String>) {
        self.add(Severity::Error, path, text);
    }

    fn warn(&mut self, path: &str, text: impl Into<String>) {
        self.add(Severity::Warning, path, text);
    }
}

/// Checks a chart.
///
/// Source: helm v4.3.1 pkg/chart/v2/lint/lint.go (`RunAll`).
pub fn lint(subject: &Subject, options: &Options<'_>) -> Linted {
    let mut report = Linted::default();
    definition::check(&subject.definition, &mut report);
    check_values(subject, options, &mut report);
    template::check(subject, options, &mut report);
    check_dependencies(subject, &mut report);
    check_crds(subject, &mut report);
    report
}

/// Source: helm v4.3.1 pkg/chart/v2/lint/rules/values.go.
fn check_values(subject: &Subject, options: &Options<'_>, report: &mut Linted) {
    const FILE: &str = "values.yaml";
    let Some(bytes) = &subject.values else {
        report.add(Severity::Info, FILE, "file does not exist");
        return;
    };
    let defaults = match yaml::parse_map(&String::from_utf8_lossy(bytes), Numbers::Float) {
        Ok(defaults) => defaults,
        Err(error) => {
            // Here Helm reads into a type of its own, whose name it tells.
            let text = error.to_string().replace("map[string]interface {}", "common.Values");
            report.error(FILE, format!("unable to parse YAML: {text}"));
            return;
        }
    };
    let schema = subject.schema.as_ref().filter(|schema| !schema.is_empty());
    let Some(schema) = schema.filter(|_| options.check_schema) else { return };
    // Only the chart's own values are looked at here, as if there were no dependencies.
    let (values, _) = chart::coalesce_tables(options.values.clone(), &defaults);
    let problems = chart::schema::check(schema, &values);
    if !problems.is_empty() {
        report.error(FILE, format!("{}\n", problems.join("\n")));
    }
}

/// Source: helm v4.3.1 pkg/chart/v2/lint/rules/dependencies.go. What is declared twice, which has
/// a rule there, keeps a chart from being loaded at all.
fn check_dependencies(subject: &Subject, report: &mut Linted) {
    let chart = match &subject.chart {
        Ok(chart) => chart,
        // These are known to load, only not by this Helm.
        Err(chart::Error::UnsupportedVersion | chart::Error::InvalidVersion) => return,
        Err(error) => {
            report.error("", format!("unable to load chart\n\t{}", chain(error)));
            return;
        }
    };
    let declared: Vec<&str> =
        chart.metadata.dependencies.iter().map(|known| known.name.as_str()).collect();
    let present: Vec<&str> =
        chart.dependencies.iter().map(|known| known.metadata.name.as_str()).collect();
    let without = |all: &[&str], known: &[&str]| {
        let missing: Vec<&str> = all.iter().copied().filter(|name| !known.contains(name)).collect();
        missing.join(",")
    };
    let undeclared = without(&present, &declared);
    if !undeclared.is_empty() {
        let text = format!("chart metadata is missing these dependencies: {undeclared}");
        report.error(&subject.folder, text);
    }
    let absent = without(&declared, &present);
    if !absent.is_empty() {
        let text = format!("chart directory is missing these dependencies: {absent}");
        report.warn(&subject.folder, text);
    }
}

/// Source: helm v4.3.1 pkg/chart/v2/lint/rules/crds.go.
fn check_crds(subject: &Subject, report: &mut Linted) {
    const FOLDER: &str = "crds/";
    match subject.crds {
        Entry::Missing => return,
        Entry::File => {
            report.error(FOLDER, "not a directory");
            return;
        }
        Entry::Folder => {}
    }
    let chart = match &subject.chart {
        Ok(chart) => chart,
        Err(error) => {
            report.error(FOLDER, chain(error));
            return;
        }
    };
    for (_, file) in chart::crds(chart) {
        let text = String::from_utf8_lossy(&file.data);
        for object in object::read(&text) {
            let object = match object {
                Ok(object) => object,
                Err(why) => {
                    report.error(&file.name, format!("unable to parse YAML: {}", why.text));
                    return;
                }
            };
            if !object.api_version.starts_with("apiextensions.k8s.io") {
                report.error(&file.name, "apiVersion is not in 'apiextensions.k8s.io'");
            }
            if object.kind != "CustomResourceDefinition" {
                report.error(&file.name, "object kind is not 'CustomResourceDefinition'");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_written_as_helm_writes_it() {
        let message =
            Message { severity: Severity::Info, path: "Chart.yaml".into(), text: "x".into() };
        assert_eq!(message.to_string(), "[INFO] Chart.yaml: x");
    }
}
