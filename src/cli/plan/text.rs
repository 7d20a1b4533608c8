//! A report for people.

use std::fmt::Write as _;

use similar::{ChangeTag, TextDiff};

use super::simulate::Simulation;
use super::{Report, State};
use crate::base::shorten::shorten;
use crate::plan::{Change, Field, Subject, What};
use crate::release::conflict::{Conflict, Policy};
use crate::yaml::Value;

/// Longest value in a line.
const SHOWN_BYTES: usize = 160;
/// Lines of a text that are shown around one that differs.
const AROUND: usize = 1;

/// Writes a report.
pub(super) fn write(report: &Report) -> String {
    let mut out = format!("{} in {}: ", report.release, report.namespace);
    match &report.from {
        Some(from) => out.push_str(&state(from)),
        None => out.push_str("not installed"),
    }
    let _ = writeln!(out, " → {}", report.to.as_ref().map_or("gone".to_owned(), state));
    for change in &report.changes {
        out.push('\n');
        write_change(&mut out, change);
    }
    if !report.hooks.is_empty() {
        out.push_str("\nHooks that run:\n");
        for run in &report.hooks {
            let _ = writeln!(out, "  {} {}/{}", run.event, run.kind, run.name);
        }
    }
    if !report.steps.is_empty() {
        out.push_str("\nIn this order:\n");
        for (index, step) in report.steps.iter().enumerate() {
            let _ = writeln!(out, "  {}. {step}", index + 1);
        }
    }
    let _ = writeln!(out, "\n{}", summary(report));
    if let Some(simulation) = &report.simulation {
        write_simulation(&mut out, simulation);
    }
    out
}

fn write_simulation(out: &mut String, simulation: &Simulation) {
    let _ = match &simulation.reason {
        None => writeln!(out, "\nIn the simulated cluster it runs through."),
        Some(reason) => writeln!(out, "\nIn the simulated cluster it fails: {}", reason.trim_end()),
    };
    if !simulation.hint.is_empty() {
        let _ = writeln!(out, "  hint: {}", simulation.hint);
    }
    for object in &simulation.left_out {
        let _ = writeln!(out, "  {object} was left out: its kind cannot be simulated");
    }
}

fn state(state: &State) -> String {
    match state.revision {
        Some(revision) => format!("revision {revision} ({})", state.chart),
        None => state.chart.clone(),
    }
}

fn summary(report: &Report) -> String {
    let count = |wanted: fn(&What) -> bool| {
        report.changes.iter().filter(|change| wanted(&change.what)).count()
    };
    let counts = [
        (count(|what| matches!(what, What::Create)), "new"),
        (count(|what| matches!(what, What::Update { .. })), "changed"),
        (count(|what| matches!(what, What::Delete)), "deleted"),
        (count(|what| matches!(what, What::Keep)), "left alone"),
        (count(|what| matches!(what, What::Stay | What::Foreign { .. })), "left to others"),
        (count(|what| matches!(what, What::Refuse { .. })), "refused"),
    ];
    let mut parts: Vec<String> = counts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if parts.is_empty() {
        parts.push("nothing changes".to_owned());
    }
    if let Some(unchanged) = report.unchanged.filter(|count| *count > 0) {
        parts.push(format!("{unchanged} as they are"));
    }
    parts.join(", ")
}

fn write_change(out: &mut String, change: &Change) {
    let sign = match &change.what {
        What::Create => '+',
        What::Update { .. } => '~',
        What::Delete => '-',
        What::Keep => '=',
        What::Stay | What::Foreign { .. } => '.',
        What::Refuse { .. } => '!',
    };
    let _ = write!(out, "{sign} {}", subject(&change.object));
    match &change.what {
        What::Keep => out.push_str(" stays, and is the release's no longer"),
        What::Refuse { reason } => {
            let _ = write!(out, " is refused: {}", reason.trim_end());
        }
        What::Stay => out.push_str(" stays as it is"),
        What::Foreign { reason } => {
            let _ = write!(out, " stays, because it is not the release's: {reason}");
        }
        What::Create | What::Update { .. } | What::Delete => {}
    }
    out.push('\n');
    if let What::Update { fields } = &change.what {
        for field in fields {
            write_field(out, field);
        }
    }
    for conflict in &change.conflicts {
        write_conflict(out, conflict);
    }
}

fn write_conflict(out: &mut String, conflict: &Conflict) {
    let Conflict { field, manager, policy, live, ours } = conflict;
    let _ = match policy {
        Policy::Force => write!(out, "    {field} is taken from {manager}"),
        Policy::Leave => write!(out, "    {field} is left to {manager}"),
        Policy::Fail => write!(out, "    {field} belongs to {manager}"),
    };
    if let (Some(live), Some(ours)) = (live, ours) {
        let _ = match policy {
            Policy::Force | Policy::Fail => write!(out, " ({} → {})", value(live), value(ours)),
            Policy::Leave => write!(out, " ({}, and not {})", value(live), value(ours)),
        };
    }
    if *policy == Policy::Fail {
        let _ = write!(out, ": needs --conflicts '{field}=leave' or '{field}=force'");
    }
    out.push('\n');
}

fn subject(subject: &Subject) -> String {
    match &subject.hook[..] {
        [] => subject.to_string(),
        hook => format!("{subject} (hook: {})", hook.join(", ")),
    }
}

fn write_field(out: &mut String, field: &Field) {
    let Field { path, before, after } = field;
    let _ = match (before, after) {
        (Some(Value::String(before)), Some(Value::String(after)))
            if before.contains('\n') || after.contains('\n') =>
        {
            let _ = writeln!(out, "    {path}:");
            write_lines(out, before, after);
            Ok(())
        }
        (Some(before), Some(after)) => {
            writeln!(out, "    {path}: {} → {}", value(before), value(after))
        }
        (None, Some(after)) => writeln!(out, "  + {path}: {}", value(after)),
        (Some(before), None) => writeln!(out, "  - {path}: {}", value(before)),
        (None, None) => Ok(()),
    };
}

/// Writes the lines of a text that differ, and one around them.
fn write_lines(out: &mut String, before: &str, after: &str) {
    let diff = TextDiff::from_lines(before, after);
    for (index, group) in diff.grouped_ops(AROUND).iter().enumerate() {
        if index > 0 {
            out.push_str("      …\n");
        }
        for change in group.iter().flat_map(|step| diff.iter_changes(step)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            let _ = writeln!(out, "    {sign} {}", change.value().trim_end_matches('\n'));
        }
    }
}

/// A value in a line: text as it is where that cannot be mistaken, everything else as JSON.
fn value(value: &Value) -> String {
    let text = match value {
        Value::String(text) if is_plain(text) => text.clone(),
        value => value.to_string(),
    };
    shorten(&text, SHOWN_BYTES)
}

fn is_plain(text: &str) -> bool {
    let other = ["null", "true", "false"].contains(&text) || text.parse::<f64>().is_ok();
    let blank = text.is_empty() || text.starts_with(' ') || text.ends_with(' ');
    !(other || blank || text.starts_with(['{', '[', '"']) || text.contains(char::is_control))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field(path: &str, before: Option<Value>, after: Option<Value>) -> String {
        let mut out = String::new();
        write_field(&mut out, &Field { path: path.to_owned(), before, after });
        out
    }

    #[test]
    fn fields_are_told_in_a_line() {
        let rows = [
            (Some(json!(1)), Some(json!(2)), "    a: 1 → 2\n"),
            (Some(json!("1")), Some(json!("x y")), "    a: \"1\" → x y\n"),
            (Some(json!("")), Some(json!("null")), "    a: \"\" → \"null\"\n"),
            (None, Some(json!({"k": [1]})), "  + a: {\"k\":[1]}\n"),
            (Some(json!(null)), None, "  - a: null\n"),
        ];
        for (before, after, wanted) in rows {
            assert_eq!(field("a", before, after), wanted);
        }
    }

    #[test]
    fn of_texts_the_lines_that_differ_are_told() {
        let before = "a\nb\nc\nd\ne\nf\ng\n";
        let after = "a\nB\nc\nd\ne\nf\ng\nh\n";
        let wanted = "    t:\n      a\n    - b\n    + B\n      c\n      …\n      g\n    + h\n";
        assert_eq!(field("t", Some(before.into()), Some(after.into())), wanted);
    }
}
