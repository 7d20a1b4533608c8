//! Tables of live objects, as `helm status` prints them.
//!
//! Source: kubernetes cli-runtime pkg/printers/tableprinter.go, liggitt/tabwriter.

use std::fmt::Write as _;

use crate::release::Live;
use crate::yaml::Value;

/// Least width of a column, and what is left between two.
const LEAST: usize = 6;
const GAP: usize = 3;

/// Returns the tables of a release's objects.
pub(super) fn tables(live: &Live) -> String {
    let mut out = String::new();
    for (kind, tables) in live {
        let _ = writeln!(out, "==> {kind}");
        let mut columns = &Value::Null;
        for table in tables {
            let known = std::mem::replace(&mut columns, &table["columnDefinitions"]);
            out.push_str(&one(table, known != columns));
        }
        out.push('\n');
    }
    out
}

fn one(table: &Value, with_header: bool) -> String {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let columns = list(&table["columnDefinitions"]);
    let shown: Vec<usize> = (0..columns.len()).filter(|at| columns[*at]["priority"] == 0).collect();
    let rows = list(&table["rows"]);
    if rows.is_empty() {
        return String::new();
    }
    let mut lines: Vec<Vec<String>> = Vec::new();
    if with_header {
        let name = |at: &usize| columns[*at]["name"].as_str().unwrap_or_default().to_uppercase();
        lines.push(shown.iter().map(name).collect());
    }
    for row in &rows {
        lines.push(shown.iter().map(|at| cell(&row["cells"][*at])).collect());
    }
    aligned(&lines)
}

fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.find(['\n', '\r', '\x0c']) {
        Some(end) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// Pads every cell but the last of a line.
fn aligned(lines: &[Vec<String>]) -> String {
    let count = lines.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count() + GAP).max().unwrap_or_default().max(LEAST)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut out = String::new();
    for line in lines {
        let Some((last, cells)) = line.split_last() else { continue };
        for (cell, width) in cells.iter().zip(&widths) {
            let _ = write!(out, "{cell:width$}");
        }
        let _ = writeln!(out, "{last}");
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_of_a_kind_share_a_header() {
        let table = |name: &str, data: i64| {
            json!({
                "columnDefinitions": [
                    {"name": "Name", "priority": 0}, {"name": "Data", "priority": 0},
                    {"name": "Wide", "priority": 1}, {"name": "Age", "priority": 0},
                ],
                "rows": [{"cells": [name, data, "no", "2s"]}],
            })
        };
        let live = vec![
            ("v1/ConfigMap".to_owned(), vec![table("a", 1), table("longer-name", 22)]),
            ("v1/Pod(related)".to_owned(), vec![json!({"columnDefinitions": [], "rows": []})]),
        ];
        let want = "==> v1/ConfigMap\nNAME   DATA   AGE\na      1      2s\nlonger-name   22    2s\n\n==> v1/Pod(related)\n\n";
        assert_eq!(tables(&live), want);
    }

    #[test]
    fn cells_are_one_line() {
        assert_eq!(cell(&json!("a\nb")), "a...");
        assert_eq!(cell(&json!(null)), "");
        assert_eq!(cell(&json!(true)), "true");
    }
}
