//! What Secrets hold, hidden.

use super::{Field, Secrets, Subject};
use crate::release::mask;
use crate::yaml::Value;

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
    let of = (subject.api_version.as_str(), subject.kind.as_str());
    for field in fields {
        for value in [&mut field.before, &mut field.after] {
            *value = value.take().map(|value| mask::hide(of, &field.path, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::ObjectId;

    #[test]
    fn both_sides_of_what_a_secret_holds_are_hidden() {
        let subject = Subject::new(ObjectId::new("v1", "Secret", "n", "s"), Vec::new());
        let field = |path: &str, before: Value, after: Value| Field {
            path: path.to_owned(),
            before: Some(before),
            after: Some(after),
        };
        let mut fields = [
            field("data.k", json!("YQ=="), Value::Null),
            field("type", json!("Opaque"), json!("x")),
        ];
        hide(&subject, &mut fields);
        let wanted = [
            field("data.k", json!("*** (1 bytes)"), Value::Null),
            field("type", json!("Opaque"), json!("x")),
        ];
        assert_eq!(fields, wanted);
    }
}
