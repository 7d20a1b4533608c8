//! JSON patches as Flux computes them, for the figures of a drift report.
//!
//! Source: wI2L/jsondiff (Rationalize), as fluxcd/pkg ssa/jsondiff uses it.

use serde_json::json;

use crate::yaml::Value;

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operation {
    /// A value that is new.
    Add(String, Value),
    /// A value that is another.
    Replace(String, Value),
    /// A value that is gone.
    Remove(String),
}

impl Operation {
    /// Returns the length of its JSON: what decides whether many small ones are one large one.
    fn len(&self) -> usize {
        let value = match self {
            Self::Add(path, value) => json!({"op": "add", "path": path, "value": value}),
            Self::Replace(path, value) => json!({"op": "replace", "path": path, "value": value}),
            Self::Remove(path) => json!({"op": "remove", "path": path}),
        };
        value.to_string().len()
    }
}

/// Returns what turns one value into the other. Below the top, the operations on a list or map
/// become one `replace` of it where that is shorter.
pub(super) fn diff(from: &Value, to: &Value, path: &str) -> Vec<Operation> {
    let mut operations = Vec::new();
    match (from, to) {
        (Value::Object(from), Value::Object(to)) => {
            let mut keys: Vec<&String> = from.keys().chain(to.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                let below = format!("{path}/{}", escape(key));
                match (from.get(key), to.get(key)) {
                    (Some(from), Some(to)) => operations.extend(shortest(from, to, &below)),
                    (Some(_), None) => operations.push(Operation::Remove(below)),
                    (None, Some(to)) => operations.push(Operation::Add(below, to.clone())),
                    (None, None) => {}
                }
            }
        }
        (Value::Array(from), Value::Array(to)) => {
            let common = from.len().min(to.len());
            for _ in common..from.len() {
                operations.push(Operation::Remove(format!("{path}/{common}")));
            }
            for (index, (from, to)) in from.iter().zip(to).enumerate() {
                operations.extend(shortest(from, to, &format!("{path}/{index}")));
            }
            for value in &to[common..] {
                operations.push(Operation::Add(format!("{path}/-"), value.clone()));
            }
        }
        (from, to) if from != to => {
            operations.push(Operation::Replace(path.to_owned(), to.clone()));
        }
        _ => {}
    }
    operations
}

fn shortest(from: &Value, to: &Value, path: &str) -> Vec<Operation> {
    let operations = diff(from, to, path);
    if operations.is_empty() {
        return operations;
    }
    let commas = operations.len() - 1;
    let many = operations.iter().map(Operation::len).sum::<usize>() + commas;
    let one = Operation::Replace(path.to_owned(), to.clone());
    if many > one.len() { vec![one] } else { operations }
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::Operation::{Add, Remove, Replace};
    use super::*;

    #[test]
    fn operations_are_flux_s() {
        let rows = [
            ("same", json!({"a": 1}), json!({"a": 1}), vec![]),
            ("scalar", json!({"a": 1}), json!({"a": 2}), vec![Replace("/a".into(), json!(2))]),
            (
                "keys in order",
                json!({"b": 1, "c~/": 2}),
                json!({"a": 3}),
                vec![Add("/a".into(), json!(3)), Remove("/b".into()), Remove("/c~0~1".into())],
            ),
            (
                "surplus elements go first",
                json!({"l": [1, 2, {"long": "a long text that stays as it is"}]}),
                json!({"l": [1]}),
                vec![Replace("/l".into(), json!([1]))],
            ),
            (
                "one element more",
                json!({"l": [{"name": "a", "value": "some long text"}]}),
                json!({"l": [{"name": "a", "value": "some long text"}, 2]}),
                vec![Add("/l/-".into(), json!(2))],
            ),
            (
                "many small ones are one",
                json!({"s": {"a": 1, "b": 2, "c": 3}}),
                json!({"s": {"a": 2, "b": 3, "c": 4}}),
                vec![Replace("/s".into(), json!({"a": 2, "b": 3, "c": 4}))],
            ),
            ("type", json!({"a": []}), json!({"a": {}}), vec![Replace("/a".into(), json!({}))]),
        ];
        for (name, from, to, want) in rows {
            assert_eq!(diff(&from, &to, ""), want, "{name}");
        }
    }
}
