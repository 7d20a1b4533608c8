//! A release as Helm's commands print it.
//!
//! Source: helm v4.3.2 pkg/cmd/status.go (`statusPrinter`).

use std::fmt::Write as _;

use super::args::Output;
use super::ui;
use crate::chart;
use crate::release::Record;
use crate::template::format_time;
use crate::yaml::{self, Value};

/// Go's `time.ANSIC`.
const ANSIC: &str = "Mon Jan _2 15:04:05 2006";
/// Go's `time.Time.String`.
const STRING: &str = "2006-01-02 15:04:05.999999999 -0700 MST";
/// Go's `time.RFC3339`.
const RFC3339: &str = "2006-01-02T15:04:05Z07:00";

/// What is printed of a release beside its head.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "Helm's options, as they are")]
pub(super) struct Parts<'a> {
    /// Tables of its objects.
    pub(super) resources: &'a str,
    /// Values, hooks and manifest.
    pub(super) debug: bool,
    /// Name and version of the chart.
    pub(super) metadata: bool,
    /// Not the notes.
    pub(super) hide_notes: bool,
}

/// Prints a record as asked.
pub(super) fn show(output: Output, record: &Record, parts: Parts<'_>) -> anyhow::Result<()> {
    let text = match output {
        Output::Table => block(record, parts)?,
        Output::Json => format!("{}\n", record.to_json()),
        Output::Yaml => yaml::print(&serde_json::to_value(record)?)?,
    };
    ui::print(&text);
    Ok(())
}

/// Returns a record for people.
pub(super) fn block(record: &Record, parts: Parts<'_>) -> anyhow::Result<String> {
    let mut out = head(record, parts.metadata);
    if !parts.resources.is_empty() {
        let _ = write!(out, "RESOURCES:\n{}\n", parts.resources);
    }
    tests(&mut out, record);
    if parts.debug {
        values(&mut out, record)?;
    }
    if parts.debug || record.info.description.eq_ignore_ascii_case("Dry run complete") {
        out.push_str("HOOKS:\n");
        out.push_str(&hooks(record));
        let _ = write!(out, "MANIFEST:\n{}\n", record.manifest);
    }
    if !parts.hide_notes && !record.info.notes.is_empty() {
        let _ = write!(out, "NOTES:\n{}\n", record.info.notes.trim());
    }
    Ok(out)
}

fn head(record: &Record, metadata: bool) -> String {
    let mut out = format!("NAME: {}\n", record.name);
    if let Some(time) = ansic(&record.info.last_deployed) {
        let _ = writeln!(out, "LAST DEPLOYED: {time}");
    }
    let _ = writeln!(out, "NAMESPACE: {}", record.namespace);
    let _ = writeln!(out, "STATUS: {}", record.info.status);
    let _ = writeln!(out, "REVISION: {}", record.version);
    if metadata {
        let chart = record.metadata();
        let _ = writeln!(out, "CHART: {}", chart.name);
        let _ = writeln!(out, "VERSION: {}", chart.version);
        let _ = writeln!(out, "APP_VERSION: {}", chart.app_version);
    }
    let _ = writeln!(out, "DESCRIPTION: {}", record.info.description);
    out
}

fn tests(out: &mut String, record: &Record) {
    let mut tests = record.hooks.iter().filter(|hook| hook.is_test()).peekable();
    if tests.peek().is_none() {
        out.push_str("TEST SUITE: None\n");
    }
    for hook in tests.filter(|hook| !hook.last_run.started_at.is_empty()) {
        let zero = "Mon Jan  1 00:00:00 0001".to_owned();
        let time = |text: &str| ansic(text).unwrap_or_else(|| zero.clone());
        let _ = write!(
            out,
            "TEST SUITE:     {}\nLast Started:   {}\nLast Completed: {}\nPhase:          {}\n",
            hook.name,
            time(&hook.last_run.started_at),
            time(&hook.last_run.completed_at),
            hook.last_run.phase,
        );
    }
}

fn values(out: &mut String, record: &Record) -> anyhow::Result<()> {
    let _ = write!(out, "USER-SUPPLIED VALUES:\n{}\n", supplied(record)?);
    let _ = write!(out, "COMPUTED VALUES:\n{}\n", yaml::print(&computed(record)?)?);
    Ok(())
}

/// Returns the user's values as YAML; `null` without any.
pub(super) fn supplied(record: &Record) -> anyhow::Result<String> {
    Ok(yaml::print(&supplied_value(record))?)
}

/// Returns the user's values; null without any.
pub(super) fn supplied_value(record: &Record) -> Value {
    if record.config.is_some() { Value::Object(record.values()) } else { Value::Null }
}

/// Returns the user's values over those of the chart.
pub(super) fn computed(record: &Record) -> anyhow::Result<Value> {
    Ok(Value::Object(chart::coalesce(&record.chart(), &record.values())?.0))
}

/// Returns a value as Go's JSON.
pub(super) fn json(value: &Value) -> String {
    crate::release::go_json(value)
}

/// Returns name and version of the chart.
pub(super) fn chart_name(record: &Record) -> String {
    let chart = record.metadata();
    match chart.name.as_str() {
        "" => "MISSING".to_owned(),
        name => format!("{name}-{}", chart.version),
    }
}

/// Returns the version of what the chart installs.
pub(super) fn app_version(record: &Record) -> String {
    let chart = record.metadata();
    if chart.name.is_empty() { "MISSING".to_owned() } else { chart.app_version }
}

/// Returns the hooks as `helm get hooks` prints them.
pub(super) fn hooks(record: &Record) -> String {
    let one = |hook: &crate::release::manifest::Hook| {
        format!("---\n# Source: {}\n{}\n", hook.path, hook.manifest)
    };
    record.hooks.iter().map(one).collect()
}

/// Returns a time of a record as `Fri Sep  2 22:04:05 1977`; none if there is none.
pub(super) fn ansic(time: &str) -> Option<String> {
    format_time(time, ANSIC)
}

/// Returns a time of a record as `2016-01-16 00:00:03 +0000 UTC`, or by a layout; `-` without one.
pub(super) fn listed(time: &str, layout: &str) -> String {
    let layout = if layout.is_empty() { STRING } else { layout };
    format_time(time, layout).unwrap_or_else(|| "-".to_owned())
}

/// Returns a time of a record to the second, as RFC 3339 says.
pub(super) fn seconds(time: &str) -> String {
    format_time(time, RFC3339).unwrap_or_else(|| "0001-01-01T00:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_by_go() {
        let time = "2026-01-06T00:00:03.120000000Z";
        assert_eq!(ansic(time).as_deref(), Some("Tue Jan  6 00:00:03 2026"));
        assert_eq!(listed(time, ""), "2026-01-06 00:00:03.12 +0000 UTC");
        assert_eq!(listed(time, "2006"), "2026");
        assert_eq!(listed("", ""), "-");
        assert_eq!(seconds("2026-01-06T00:00:03.5+02:00"), "2026-01-06T00:00:03+02:00");
        assert_eq!(listed("2026-01-06T00:00:03+02:00", ""), "2026-01-06 00:00:03 +0200 +0200");
    }
}
