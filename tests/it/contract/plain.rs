//! Answers with names in place of what differs by nature: uids, times, versions, addresses, hashes.

use std::sync::OnceLock;

use regex::{Captures, Regex};
use serde_json::Value;

/// Patterns and what stands for them, in this order.
const PATTERNS: &[(&str, &str)] = &[
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uid>"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", "<microtime>"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>"),
    (r"\b10\.\d+\.\d+\.\d+\b", "<ip>"),
    (r"current: \d+", "current: <rv>"),
    (r"(too old resource version: \d+) \(\d+\)", "$1 (<rv>)"),
    // What generateName and pod-template-hash draw from.
    (r"-[bcdfghjklmnpqrstvwxz2456789]{7,10}\b", "-<hash>"),
    (r"-[bcdfghjklmnpqrstvwxz2456789]{5}\b", "-<suffix>"),
    (r"^[bcdfghjklmnpqrstvwxz2456789]{7,10}$", "<hash>"),
];

fn patterns() -> &'static [(Regex, &'static str)] {
    static COMPILED: OnceLock<Vec<(Regex, &'static str)>> = OnceLock::new();
    COMPILED.get_or_init(|| {
        PATTERNS.iter().map(|(pattern, name)| (Regex::new(pattern).unwrap(), *name)).collect()
    })
}

fn text(text: &str, namespace: &str) -> String {
    let mut text = text.replace(namespace, "{ns}");
    for (pattern, name) in patterns() {
        let named = |captures: &Captures<'_>| {
            let mut expanded = String::new();
            captures.expand(name, &mut expanded);
            expanded
        };
        text = pattern.replace_all(&text, named).into_owned();
    }
    text
}

/// Returns an answer without what differs by nature. Managed fields are sorted: the server orders
/// them by the second in which they came about. Those of controllers are left out.
pub(super) fn plain(value: &Value, namespace: &str) -> Value {
    match value {
        Value::String(string) => text(string, namespace).into(),
        Value::Array(items) => items.iter().map(|item| plain(item, namespace)).collect(),
        Value::Object(map) => {
            let named = map.iter().map(|(key, value)| {
                let shown = match (key.as_str(), value) {
                    ("resourceVersion", Value::String(version)) if !version.is_empty() => {
                        "<rv>".into()
                    }
                    ("continue", Value::String(token)) if !token.is_empty() => "<continue>".into(),
                    ("nodePort" | "healthCheckNodePort", Value::Number(_)) => "<port>".into(),
                    ("managedFields", Value::Array(_)) => sorted(&plain(value, namespace)),
                    ("causes", Value::Array(_)) => by_text(&plain(value, namespace)),
                    _ => plain(value, namespace),
                };
                (text(key, namespace), shown)
            });
            Value::Object(named.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// The managers of a conflict come in the order of a Go map: none.
fn by_text(causes: &Value) -> Value {
    let mut causes = causes.as_array().cloned().unwrap_or_default();
    if causes.iter().all(|cause| cause["reason"] == "FieldManagerConflict") {
        causes.sort_by_key(Value::to_string);
    }
    Value::Array(causes)
}

fn sorted(entries: &Value) -> Value {
    let mut entries = entries.as_array().cloned().unwrap_or_default();
    // The controllers come by when they like.
    entries.retain(|entry| entry["manager"] != "kube-controller-manager");
    let key = |entry: &Value| {
        ["operation", "manager", "apiVersion", "subresource"].map(|key| entry[key].to_string())
    };
    entries.sort_by_key(key);
    entries.into()
}

/// Lists where two values differ.
pub(super) fn differences(at: &str, want: &Value, got: &Value, found: &mut Vec<String>) {
    match (want, got) {
        (Value::Object(one), Value::Object(other)) => {
            for (key, value) in one {
                match other.get(key) {
                    Some(same) => differences(&format!("{at}/{key}"), value, same, found),
                    None => found.push(format!("{at}/{key} is missing: {value}")),
                }
            }
            let more = other.iter().filter(|(key, _)| !one.contains_key(*key));
            found.extend(more.map(|(key, value)| format!("{at}/{key} is too much: {value}")));
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (value, same)) in one.iter().zip(other).enumerate() {
                differences(&format!("{at}/{index}"), value, same, found);
            }
        }
        _ if want == got => {}
        _ => found.push(format!("{at}: want {want}\n        got {got}")),
    }
}
