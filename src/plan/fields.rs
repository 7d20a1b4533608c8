//! Two values → the fields that differ.

use std::collections::BTreeSet;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::Field;
use crate::yaml::{Map, Value};

/// What names the items of a list, where every item has it and no two share it. The merge keys of
/// Kubernetes' own lists come first among them.
const NAMES: [&str; 11] = [
    "name",
    "mountPath",
    "devicePath",
    "containerPort",
    "port",
    "topologyKey",
    "ip",
    "key",
    "path",
    "host",
    "type",
];

/// Returns the fields that differ, maps and lists of both sides taken apart.
pub(super) fn fields(before: &Value, after: &Value) -> Vec<Field> {
    let mut found = Vec::new();
    walk(&mut found, String::new(), Some(before), Some(after));
    found
}

fn walk(found: &mut Vec<Field>, path: String, before: Option<&Value>, after: Option<&Value>) {
    match (before, after) {
        (Some(before), Some(after)) if before == after => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            maps(found, &path, before, after);
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            match NAMES.iter().find(|name| is_named(before, name) && is_named(after, name)) {
                Some(name) => named(found, &path, name, (before, after)),
                None => numbered(found, &path, before, after),
            }
        }
        _ => found.push(Field { path, before: before.cloned(), after: after.cloned() }),
    }
}

fn maps(found: &mut Vec<Field>, path: &str, before: &Map, after: &Map) {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for key in keys {
        walk(found, join(path, key), before.get(key), after.get(key));
    }
}

/// Appends a key: `a.b`, or `a["b/c"]` where dots would mislead.
fn join(path: &str, key: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    match (key.bytes().all(plain) && !key.is_empty(), path) {
        (true, "") => key.to_owned(),
        (true, path) => format!("{path}.{key}"),
        (false, path) => format!("{path}[{key:?}]"),
    }
}

/// The text of what names an item.
fn name_of(item: &Value, name: &str) -> Option<String> {
    match item.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn is_named(items: &[Value], name: &str) -> bool {
    let names: Option<BTreeSet<String>> = items.iter().map(|item| name_of(item, name)).collect();
    names.is_some_and(|names| names.len() == items.len())
}

/// Compares items that have the same name; says also when those of both sides stand in another
/// order.
fn named(found: &mut Vec<Field>, path: &str, name: &str, (before, after): (&[Value], &[Value])) {
    let names = |items: &[Value]| -> Vec<String> {
        items.iter().filter_map(|item| name_of(item, name)).collect()
    };
    let (old, new) = (names(before), names(after));
    for (name, item) in old.iter().zip(before) {
        let other = new.iter().position(|other| other == name).and_then(|at| after.get(at));
        walk(found, format!("{path}[{name}]"), Some(item), other);
    }
    for (name, item) in new.iter().zip(after) {
        if !old.contains(name) {
            walk(found, format!("{path}[{name}]"), None, Some(item));
        }
    }
    let common = |names: &[String], others: &[String]| -> Vec<Value> {
        let common = names.iter().filter(|name| others.contains(name));
        common.map(|name| Value::String(name.clone())).collect()
    };
    let (old, new) = (common(&old, &new), common(&new, &old));
    if old != new {
        let path = format!("{path}[order]");
        found.push(Field { path, before: Some(old.into()), after: Some(new.into()) });
    }
}

/// Compares items by their place, what was put in or taken out apart.
fn numbered(found: &mut Vec<Field>, path: &str, before: &[Value], after: &[Value]) {
    let texts = |items: &[Value]| items.iter().map(Value::to_string).collect::<Vec<_>>();
    for step in capture_diff_slices(Algorithm::Myers, &texts(before), &texts(after)) {
        let (old, new) = match step {
            DiffOp::Equal { .. } => continue,
            DiffOp::Delete { old_index, old_len, .. } => (old_index..old_index + old_len, 0..0),
            DiffOp::Insert { new_index, new_len, .. } => (0..0, new_index..new_index + new_len),
            DiffOp::Replace { old_index, old_len, new_index, new_len } => {
                (old_index..old_index + old_len, new_index..new_index + new_len)
            }
        };
        let pairs = old.len().max(new.len());
        for pair in 0..pairs {
            let (from, to) = (old.clone().nth(pair), new.clone().nth(pair));
            let at = from.or(to).unwrap_or_default();
            let from = from.and_then(|at| before.get(at));
            let to = to.and_then(|at| after.get(at));
            walk(found, format!("{path}[{at}]"), from, to);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Each as `path: before → after`; `∅` is nothing.
    fn shown(before: &Value, after: &Value) -> Vec<String> {
        let text = |value: Option<Value>| value.map_or("∅".to_owned(), |value| value.to_string());
        let line = |field: Field| {
            format!("{}: {} → {}", field.path, text(field.before), text(field.after))
        };
        fields(before, after).into_iter().map(line).collect()
    }

    #[test]
    fn every_difference_has_a_path() {
        let rows: &[(Value, Value, &[&str])] = &[
            (json!({"a": 1}), json!({"a": 1}), &[]),
            (json!({"a": 1}), json!({"a": 2}), &["a: 1 → 2"]),
            (json!({"a": 1}), json!({"a": "1"}), &["a: 1 → \"1\""]),
            (json!({"a": {"b": null}}), json!({"a": {}}), &["a.b: null → ∅"]),
            (json!({}), json!({"a": {"b": 1}}), &["a: ∅ → {\"b\":1}"]),
            (
                json!({"x": {"a/b": 1, "": 2}}),
                json!({"x": {"a/b": 2}}),
                &["x[\"\"]: 2 → ∅", "x[\"a/b\"]: 1 → 2"],
            ),
            // Items that have names.
            (
                json!({"c": [{"name": "a", "v": 1}, {"name": "b", "v": 1}]}),
                json!({"c": [{"name": "b", "v": 2}, {"name": "n"}]}),
                &[
                    "c[a]: {\"name\":\"a\",\"v\":1} → ∅",
                    "c[b].v: 1 → 2",
                    "c[n]: ∅ → {\"name\":\"n\"}",
                ],
            ),
            (
                json!([{"name": "a"}, {"name": "b"}]),
                json!([{"name": "b"}, {"name": "a"}]),
                &["[order]: [\"a\",\"b\"] → [\"b\",\"a\"]"],
            ),
            (
                json!([{"containerPort": 80, "protocol": "TCP"}]),
                json!([{"containerPort": 80, "protocol": "UDP"}]),
                &["[80].protocol: \"TCP\" → \"UDP\""],
            ),
            // Two of one name: by their place.
            (
                json!([{"name": "a", "v": 1}, {"name": "a", "v": 2}]),
                json!([{"name": "a", "v": 1}, {"name": "a", "v": 3}]),
                &["[1].v: 2 → 3"],
            ),
            // One that is put in moves nothing else.
            (json!(["a", "b", "c"]), json!(["x", "a", "b", "c"]), &["[0]: ∅ → \"x\""]),
            (json!(["a", "b", "c"]), json!(["a", "c"]), &["[1]: \"b\" → ∅"]),
            (json!(["--a=1", "--b"]), json!(["--a=2", "--b"]), &["[0]: \"--a=1\" → \"--a=2\""]),
            (json!([[1, 2]]), json!([[1, 3]]), &["[0][1]: 2 → 3"]),
        ];
        for (before, after, wanted) in rows {
            assert_eq!(shown(before, after), *wanted, "{before} {after}");
        }
    }

    #[test]
    fn nothing_differs_from_itself_and_everything_from_nothing() {
        let value = json!({"a": [{"name": "x", "list": [1, [2], {"k": null}]}], "b": "t"});
        assert!(fields(&value, &value).is_empty());
        assert_eq!(fields(&value, &json!({})).len(), 2);
    }
}
