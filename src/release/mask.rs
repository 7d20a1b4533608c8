//! What Secrets hold, hidden.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::yaml::Value;

/// Where a Secret holds what is secret.
const HOLDERS: [&str; 2] = ["data", "stringData"];

/// Returns a field's value as it may be shown: of what a Secret holds only the size.
pub fn hide((api_version, kind): (&str, &str), path: &str, value: Value) -> Value {
    if kind != "Secret" || api_version != "v1" {
        return value;
    }
    match HOLDERS.iter().find(|holder| is_below(path, holder)) {
        Some(holder) => masked(value, *holder == "data"),
        None => value,
    }
}

/// Whether a path is a field, or leads into it.
fn is_below(path: &str, field: &str) -> bool {
    let rest = path.strip_prefix(field);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn masked(value: Value, is_encoded: bool) -> Value {
    match value {
        Value::Object(map) => {
            map.into_iter().map(|(key, value)| (key, masked(value, is_encoded))).collect()
        }
        Value::String(text) => {
            let decoded = STANDARD.decode(&text).ok().filter(|_| is_encoded);
            let size = decoded.map_or(text.len(), |bytes| bytes.len());
            Value::String(format!("*** ({size} bytes)"))
        }
        Value::Null => Value::Null,
        _ => Value::String("***".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_a_secret_holds_is_hidden() {
        let rows = [
            ("v1", "Secret", "data.password", json!("c2VjcmV0"), json!("*** (6 bytes)")),
            ("v1", "Secret", "data[\"a.b\"]", json!("no base64!"), json!("*** (10 bytes)")),
            ("v1", "Secret", "stringData.token", json!("c2VjcmV0"), json!("*** (8 bytes)")),
            ("v1", "Secret", "data", json!({"k": "YQ=="}), json!({"k": "*** (1 bytes)"})),
            ("v1", "Secret", "stringData.number", json!(7), json!("***")),
            ("v1", "Secret", "type", json!("Opaque"), json!("Opaque")),
            ("v1", "Secret", "database", json!("x"), json!("x")),
            ("v1", "ConfigMap", "data.k", json!("v"), json!("v")),
            ("example.com/v1", "Secret", "data.k", json!("v"), json!("v")),
        ];
        for (api_version, kind, path, value, wanted) in rows {
            let seen = hide((api_version, kind), path, value.clone());
            assert_eq!(seen, wanted, "{kind} {path} {value}");
        }
    }
}
