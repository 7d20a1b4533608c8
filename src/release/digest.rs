//! Flux's digest of a record: whether a revision is still the one that was made.
//!
//! Source: fluxcd/helm-controller internal/release/digest.go, observation.go.

use serde::Serialize;

use super::Record;
use super::record::go_json;
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
        Some(config) if !config.is_empty() => {
            let mut config = Value::Object(config.clone());
            yaml::json::to_floats(&mut config);
            yaml::json::to_string(&config)
        }
        _ => "null".to_owned(),
    };
    let hooks = if hooks.is_empty() { "null".to_owned() } else { go_json(&hooks) };
    let text = format!(
        "{{\"name\":{},\"version\":{},\"info\":{},\"chartMetadata\":{},\"config\":{config},\"manifest\":{},\"hooks\":{hooks},\"namespace\":{}}}\n",
        go_json(&record.name),
        record.version,
        go_json(&info),
        go_json(&record.metadata()),
        go_json(&record.manifest),
        go_json(&record.namespace),
    );
    Digest::of(text).to_string()
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
