//! What Secrets hold, hidden.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Field, Secrets, Subject};
use crate::yaml::Value;

/// Where a Secret holds what is secret.
const HOLDERS: [&str; 2] = ["data", "stringData"];

/// Returns the fields of an object that differ, what a Secret holds hidden unless asked for.
pub(super) fn fields(
    object: &Subject,
    (before, after): (&Value, &Value),
    secrets: Secrets,
) -> Vec<Field> {
    let mut found = super::fields::fields(before, after);
    if secrets == Secrets::Masked {
        hide(object, &mut found);
    }
    found
}

/// Hides the values of a Secret's fields; other objects hold none.
pub(super) fn hide(subject: &Subject, fields: &mut [Field]) {
    if subject.kind != "Secret" || subject.api_version != "v1" {
        return;
    }
    for field in fields {
        let holder = HOLDERS.iter().find(|holder| is_below(&field.path, holder));
        let Some(is_encoded) = holder.map(|holder| *holder == "data") else { continue };
        for value in [&mut field.before, &mut field.after] {
            *value = value.take().map(|value| masked(value, is_encoded));
        }
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
    use crate::cluster::ObjectId;

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
            let subject = Subject::new(ObjectId::new(api_version, kind, "n", "s"), Vec::new());
            let mut fields =
                [Field { path: path.to_owned(), before: None, after: Some(value.clone()) }];
            hide(&subject, &mut fields);
            assert_eq!(fields[0].after, Some(wanted), "{kind} {path} {value}");
        }
    }
}
