//! Where values come from, for people to read.

use std::cell::RefCell;
use std::collections::HashMap;

use super::values::{self, Given, Merged};
use crate::base::secret::{is_secret_key, is_secret_text};
use crate::base::shorten::shorten;
use crate::chart::Chart;
use crate::chart::origin::{self, Layers, Origin, Source, Traced};
use crate::yaml::{Lines, Value};

/// Longest value that is shown.
const SHOWN_BYTES: usize = 60;

/// Final values, and what everything they are made of is called.
#[derive(Debug)]
pub(super) struct Provenance {
    pub(super) traced: Traced,
    given: Vec<Given>,
    lines: RefCell<HashMap<Source, Lines>>,
}

impl Provenance {
    /// Traces the values of a chart; `given` names the layers.
    pub(super) fn of(chart: &Chart, given: Vec<Given>, layers: Layers) -> anyhow::Result<Self> {
        let traced = origin::trace(chart, layers)?;
        Ok(Self { traced, given, lines: RefCell::default() })
    }

    /// Traces the values of a chart once more, after something failed; `None` where that fails, too.
    pub(super) fn of_merged(chart: &Chart, merged: &Merged) -> Option<Self> {
        let layers = values::layers(&merged.given).ok()?;
        Self::of(chart, merged.given.clone(), layers).ok()
    }

    /// Names a source and the line in it, such as `web/values.yaml:3` or `--set`.
    pub(super) fn place(&self, origin: &Origin) -> String {
        let line = self.line(origin).map(|line| format!(":{line}")).unwrap_or_default();
        match &origin.source {
            Source::Chart(name) => format!("{name}/values.yaml{line}"),
            Source::Layer(index) => match self.given.get(*index) {
                None | Some(Given::Record) => "the release's record".to_owned(),
                Some(Given::File { name, .. }) => format!("{name}{line}"),
                Some(Given::Flag { flag, .. }) => (*flag).to_owned(),
                Some(Given::Inline) => "spec.values".to_owned(),
                Some(Given::Reference { kind, name, key, target_path, .. }) => match target_path {
                    None => format!("{kind}/{name} key {key}{line}"),
                    Some(path) => format!("{kind}/{name} key {key} at {path}"),
                },
            },
        }
    }

    /// Says in one word what a source is.
    pub(super) fn kind(&self, path: &[String], origin: &Origin) -> &'static str {
        match &origin.source {
            // What a chart above says of a value of this one.
            Source::Chart(_) if origin.path.len() > self.inner(path) => "parent chart",
            Source::Chart(_) => "chart default",
            Source::Layer(index) => match self.given.get(*index) {
                None | Some(Given::Record) => "record",
                Some(Given::File { .. }) => "values file",
                Some(Given::Flag { .. }) => "flag",
                Some(Given::Inline) => "inline",
                Some(Given::Reference { .. }) => "reference",
            },
        }
    }

    /// The length of a path inside the deepest chart that it leads into.
    fn inner(&self, path: &[String]) -> usize {
        let mut chart: &Chart = &self.traced.chart;
        let mut length = path.len();
        for key in path {
            let Some(child) = chart.dependencies.iter().find(|c| c.metadata.name == *key) else {
                break;
            };
            (chart, length) = (child, length - 1);
        }
        length
    }

    /// Whether a value comes out of a Secret.
    pub(super) fn is_of_secret(&self, origin: &Origin) -> bool {
        let Source::Layer(index) = origin.source else { return false };
        matches!(self.given.get(index), Some(Given::Reference { kind, .. }) if kind == "Secret")
    }

    /// Says what a value is: its text, shortened, and its type. Of what sounds secret, by any key
    /// on the way, by its text or because it comes out of a Secret, only the type; but that a text
    /// is empty, and what a boolean or null is, gives nothing away.
    pub(super) fn shown(&self, path: &[String], value: &Value, origin: Option<&Origin>) -> String {
        let secret = path.iter().any(|key| is_secret_key(key))
            || origin.is_some_and(|origin| self.is_of_secret(origin));
        describe(value, secret)
    }

    fn line(&self, origin: &Origin) -> Option<usize> {
        let mut known = self.lines.borrow_mut();
        let lines = known.entry(origin.source.clone()).or_insert_with(|| {
            let text = match &origin.source {
                Source::Chart(name) => {
                    let text = self.traced.chart_named(name).and_then(|c| c.values_text.as_ref());
                    text.map(|text| String::from_utf8_lossy(text).into_owned())
                }
                Source::Layer(index) => match self.given.get(*index) {
                    Some(Given::File { bytes, .. }) => {
                        Some(String::from_utf8_lossy(bytes).into_owned())
                    }
                    Some(Given::Reference { text, target_path: None, .. }) => Some(text.clone()),
                    _ => None,
                },
            };
            Lines::of(&text.unwrap_or_default())
        });
        lines.find(&origin.path)
    }
}

/// Says what a value is; of a secret one only its type.
pub(super) fn describe(value: &Value, secret: bool) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => format!("{value} (boolean)"),
        Value::Number(_) if secret => "a number (not shown)".to_owned(),
        Value::Number(_) => format!("{} (number)", plain(value)),
        Value::String(text) if text.is_empty() => "\"\" (empty text)".to_owned(),
        Value::String(text) if secret || is_secret_text(text) => "a text (not shown)".to_owned(),
        Value::String(text) => format!("{:?} (text)", shorten(text, SHOWN_BYTES)),
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(map) if map.is_empty() => "an empty map".to_owned(),
        Value::Object(map) => {
            let keys: Vec<_> = map.keys().map(String::as_str).collect();
            format!("a map with {}", shorten(&keys.join(", "), SHOWN_BYTES))
        }
    }
}

/// Writes a value on one line; whole numbers as such.
pub(super) fn plain(value: &Value) -> String {
    match value.as_f64() {
        #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
        Some(number) if number.fract() == 0.0 && number.abs() < 9e15 => (number as i64).to_string(),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_said_but_secret_ones_not() {
        let rows = [
            (json!("x"), false, "\"x\" (text)"),
            (json!("x"), true, "a text (not shown)"),
            (json!(""), true, "\"\" (empty text)"),
            (json!("postgres://u:p@h/d"), false, "a text (not shown)"),
            (json!(3.0), false, "3 (number)"),
            (json!(1.5), false, "1.5 (number)"),
            (json!(7), true, "a number (not shown)"),
            (json!(false), true, "false (boolean)"),
            (json!(null), true, "null"),
            (json!(["a"]), true, "a list of 1"),
            (json!({"a": "s", "b": 1}), true, "a map with a, b"),
        ];
        for (value, secret, want) in rows {
            assert_eq!(describe(&value, secret), want, "{value}");
        }
    }
}
