//! What Leadsman adds below Helm's error: the place, the way there, and the values that matter.
//!
//! Everything here is found out after the failure; a rendering that succeeds pays nothing.

use std::fmt::Write as _;

use super::provenance::Provenance;
use crate::base::secret::is_secret_key;
use crate::base::similar::similar;
use crate::chart::{self, schema};
use crate::release::Error;
use crate::release::manifest::Broken;
use crate::template::{self, Frame};
use crate::yaml::Value;

/// Most values that are explained.
const VALUES: usize = 8;
/// Lines around a marked one.
const AROUND: usize = 3;

/// An error with more to say than its line.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct Detailed {
    /// Helm's text.
    pub(super) text: String,
    /// What stands below it.
    pub(super) details: String,
}

/// Returns what there is to say; empty if nothing. `provenance` is asked for where values matter.
pub(super) fn details(error: &Error, provenance: impl FnOnce() -> Option<Provenance>) -> String {
    match error {
        Error::Template(error) => of_template(error, provenance),
        Error::Manifest { path, text, broken: Some(broken) } => of_document(path, text, broken),
        Error::Chart(chart::Error::Schema(_)) => {
            provenance().map(|provenance| of_schema(&provenance)).unwrap_or_default()
        }
        _ => String::new(),
    }
}

fn of_template(error: &template::Error, provenance: impl FnOnce() -> Option<Provenance>) -> String {
    let frames = error.frames();
    let mut out = error.way();
    let Some(outermost) = frames.first() else { return out };
    let references = mentioned(frames);
    if references.is_empty() {
        return out;
    }
    let Some(provenance) = provenance() else { return out };
    let scope = scope(&outermost.file);
    out.push('\n');
    for reference in references.iter().take(VALUES) {
        let _ = writeln!(out, "{}", of_value(&provenance, &scope, reference));
    }
    out
}

/// The keys of the charts below the root that a template belongs to.
fn scope(file: &str) -> Vec<String> {
    let mut parts = file.split('/').skip(1);
    let mut scope = Vec::new();
    while let (Some("charts"), Some(name)) = (parts.next(), parts.next()) {
        scope.push(name.to_owned());
    }
    scope
}

/// The values that the failing expression reads, or else the nearest caller's, or else its line.
fn mentioned(frames: &[Frame]) -> Vec<Vec<String>> {
    let expressions = frames.iter().rev().map(|frame| references(&frame.expression));
    let found = expressions.into_iter().find(|found| !found.is_empty());
    let line = || frames.last().map(|frame| references(&frame.source_line)).unwrap_or_default();
    found.unwrap_or_else(line)
}

/// The paths below `.Values` in an expression; texts in quotes are looked at only as further keys
/// of `index .Values "a"`.
fn references(expression: &str) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = Vec::new();
    let mut rest = expression;
    let mut before = String::new();
    while let Some(c) = rest.chars().next() {
        if matches!(c, '"' | '`') {
            let (_, behind) = quoted(rest);
            (rest, before) = (behind, String::new());
            continue;
        }
        let behind = rest.strip_prefix(".Values");
        let Some(behind) = behind.filter(|behind| !behind.starts_with(is_name)) else {
            before.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        let mut path = Vec::new();
        rest = behind;
        while let Some(dotted) = rest.strip_prefix('.') {
            let end = dotted.find(|c| !is_name(c)).unwrap_or(dotted.len());
            if end == 0 {
                break;
            }
            path.push(dotted[..end].to_owned());
            rest = &dotted[end..];
        }
        let own = before.trim_end_matches(|c| is_name(c) || matches!(c, '$' | '.'));
        if own.trim_end().ends_with("index") {
            while rest.trim_start().starts_with('"') {
                let (text, behind) = quoted(rest.trim_start());
                path.push(text.to_owned());
                rest = behind;
            }
        }
        if !path.is_empty() && !found.contains(&path) {
            found.push(path);
        }
        before = String::new();
    }
    found
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Splits a text in quotes off: what is inside (escapes left as they are), and what follows.
fn quoted(text: &str) -> (&str, &str) {
    let raw = text.starts_with('`');
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '`' if raw => return (&text[1..at], &text[at + 1..]),
            '"' if !raw && !escaped => return (&text[1..at], &text[at + 1..]),
            _ => escaped = !escaped && c == '\\',
        }
    }
    (&text[1..], "")
}

/// Says which value a path has, who set it, or why there is none.
fn of_value(provenance: &Provenance, scope: &[String], reference: &[String]) -> String {
    let name = |keys: &[String]| format!(".Values.{}", keys.join("."));
    let full = |keys: &[String]| [scope, keys].concat();
    let mut told = 0;
    while told < reference.len()
        && provenance.traced.value(&full(&reference[..=told])).is_some_and(|v| !v.is_null())
    {
        told += 1;
    }
    if told > 0 && told < reference.len() {
        let above = full(&reference[..told]);
        if let Some(value) = provenance.traced.value(&above)
            && !value.is_object()
        {
            let said = said(provenance, &above, value);
            return format!(
                "{} is {said}: it has no {:?}",
                name(&reference[..told]),
                reference[told]
            );
        }
    }
    let here = full(&reference[..(told + 1).min(reference.len())]);
    match provenance.traced.value(&full(reference)) {
        Some(value) => {
            format!("{} is {}", name(reference), said(provenance, &full(reference), value))
        }
        None if provenance.traced.value(&here).is_some() => {
            format!("{} is {}", name(&reference[..=told]), said(provenance, &here, &Value::Null))
        }
        None => {
            let deleted = provenance.traced.deleted();
            let why = match deleted.iter().find(|deleted| deleted.path == here) {
                Some(deleted) => format!(
                    "was deleted by null in {} ({})",
                    provenance.place(&deleted.origin),
                    provenance.place(&deleted.was.origin)
                ),
                None => "is set nowhere".to_owned(),
            };
            let near = siblings(provenance, &full(&reference[..told]), &reference[told]);
            format!("{} {why}{near}", name(&reference[..=told]))
        }
    }
}

fn said(provenance: &Provenance, path: &[String], value: &Value) -> String {
    let origin = provenance.traced.origin(path);
    let shown = provenance.shown(path, value, origin.as_ref());
    match origin {
        Some(origin) => format!("{shown}, set by {}", provenance.place(&origin)),
        None => shown,
    }
}

/// Proposes keys of the same table.
fn siblings(provenance: &Provenance, table: &[String], wanted: &str) -> String {
    let table = match provenance.traced.value(table) {
        Some(Value::Object(table)) => table,
        None if table.is_empty() => &provenance.traced.values,
        _ => return String::new(),
    };
    let near = similar(table.keys().map(String::as_str), wanted);
    if near.is_empty() { String::new() } else { format!("; similar: {}", near.join(", ")) }
}

fn of_schema(provenance: &Provenance) -> String {
    let mut paths = schema::places(&provenance.traced.chart, &provenance.traced.values);
    paths.dedup();
    let mut out = String::new();
    for path in paths.iter().filter(|path| !path.is_empty()) {
        let dotted = path.join(".");
        let _ = match provenance.traced.value(path) {
            Some(value) => writeln!(out, "{dotted} is {}", said(provenance, path, value)),
            None => {
                let (wanted, table) = path.split_last().expect("it is not empty");
                writeln!(out, "{dotted} is set nowhere{}", siblings(provenance, table, wanted))
            }
        };
    }
    out
}

/// The lines of a document around the wrong one.
fn of_document(path: &str, text: &str, broken: &Broken) -> String {
    let lines: Vec<&str> = broken.document.lines().collect();
    let mut out = format!("rendered by {path}:\n");
    let told = || text.split_once("line ")?.1.split(':').next()?.parse::<usize>().ok();
    let marked = broken.line.or_else(told).unwrap_or(1).clamp(1, lines.len().max(1));
    let secret = lines.iter().any(|line| line.trim_end() == "kind: Secret");
    let (first, last) = (marked.saturating_sub(AROUND).max(1), (marked + AROUND).min(lines.len()));
    let width = last.to_string().len();
    for number in first..=last {
        let mark = if number == marked { '>' } else { ' ' };
        let line = masked(lines[number - 1], secret);
        let _ = writeln!(out, "{}", format!("{mark} {number:width$} | {line}").trim_end());
    }
    out
}

/// Leaves out what a line gives to a key that sounds secret; in a Secret, to any key of its data.
fn masked(line: &str, in_secret: bool) -> String {
    const OPEN: &[&str] = &["apiVersion", "kind", "name", "namespace", "type", "metadata", "data"];
    let Some((key, value)) = line.split_once(':') else {
        // What continues a text of a Secret is as secret as its beginning.
        let hidden = in_secret && !line.trim().is_empty() && !line.trim_start().starts_with('#');
        return if hidden { "  …".to_owned() } else { line.to_owned() };
    };
    let name = key.trim_start_matches([' ', '-', '"', '\'']).trim_end_matches(['"', '\'']);
    let secret = is_secret_key(name) || in_secret && !OPEN.contains(&name);
    let secret = secret && !matches!(value.trim(), "" | "|" | "|-" | ">" | ">-" | "true" | "false");
    if secret { format!("{key}: …") } else { line.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_an_expression_reads_are_found() {
        let rows: &[(&str, &str)] = &[
            (".Values.a.b", "a.b"),
            ("$.Values.a | quote", "a"),
            ("required \"set .Values.no\" .Values.x.y", "x.y"),
            ("index .Values \"a-b\" \"c\"", "a-b.c"),
            ("index $.Values.m \"k\"", "m.k"),
            ("include \"x\" (dict \"v\" .Values.a \"w\" $root.Values.b.c)", "a,b.c"),
            (".Valuesx.a", ""),
            (".Values", ""),
            ("print `.Values.a` \"\\\".Values.b\"", ""),
            ("eq .Values.a .Values.a", "a"),
        ];
        for (expression, want) in rows {
            let got: Vec<_> = references(expression).iter().map(|path| path.join(".")).collect();
            assert_eq!(got.join(","), *want, "{expression}");
        }
    }

    #[test]
    fn templates_belong_to_charts() {
        assert_eq!(scope("web/templates/x.yaml"), Vec::<String>::new());
        assert_eq!(scope("web/charts/a/charts/b/templates/x.yaml"), ["a", "b"]);
    }

    #[test]
    fn lines_of_secrets_are_masked() {
        assert_eq!(masked("  password: x", false), "  password: …");
        assert_eq!(masked("  - name: x", false), "  - name: x");
        assert_eq!(masked("  host: x", true), "  host: …");
        assert_eq!(masked("  abc", true), "  …");
        assert_eq!(masked("kind: Secret", true), "kind: Secret");
    }
}
