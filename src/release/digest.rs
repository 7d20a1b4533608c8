//! Flux's digest of a record: whether a revision is still the one that was made.
//!
//! Source: fluxcd/helm-controller internal/release/digest.go, observation.go.

use serde::Serialize;

use super::Record;
use crate::base::digest::Digest;
use crate::yaml::{self, Value};

/// Returns the digest of a record.
pub fn of(record: &Record) -> String {
    #[derive(Serialize)]
    struct Info<'a> {
        #[serde(skip_serializing_if = "str::is_empty")]
        first_deployed: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        last_deployed: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        deleted: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        description: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        status: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        notes: &'a str,
    }
    let info = Info {
        first_deployed: &record.info.first_deployed,
        last_deployed: &record.info.last_deployed,
        deleted: &record.info.deleted,
        description: &record.info.description,
        status: &record.info.status,
        notes: &record.info.notes,
    };
    let hooks: Vec<_> = record
        .hooks
        .iter()
        .filter(|hook| hook.events.iter().all(|event| event != "test"))
        .collect();
    let config = match &record.config {
        Some(config) if !config.is_empty() => yaml::json::to_string(&Value::Object(config.clone())),
        _ => "null".to_owned(),
    };
    let hooks = if hooks.is_empty() { "null".to_owned() } else { go(&hooks) };
    let text = format!(
        "{{\"name\":{},\"version\":{},\"info\":{},\"chartMetadata\":{},\"config\":{config},\"manifest\":{},\"hooks\":{hooks},\"namespace\":{}}}\n",
        go(&record.name),
        record.version,
        go(&info),
        go(&record.metadata()),
        go(&record.manifest),
        go(&record.namespace),
    );
    Digest::of(text).to_string()
}

/// JSON in the order of the fields, escaped as Go does: the characters occur only inside strings.
fn go(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).unwrap_or_default();
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_flux_s() {
        let record = Record { name: "foo".into(), ..Record::default() };
        assert_eq!(
            of(&record),
            "sha256:f1498f27a16a09cd7e1ee610d924df065c03d30035638babc95dd9a8d412ce4d"
        );
    }
}
