//! Flux's digest of a record: whether a revision is still the one that was made.
//!
//! Source: fluxcd/helm-controller internal/release/digest.go, observation.go.

use std::borrow::Cow;

use serde::Serialize;

use super::Record;
use super::gojson::go_json;
use crate::base::digest::Digest;
use crate::yaml::{self, Value};

/// Returns the digest of a record; `oci` is the digest of its chart's source, of an
/// `OCIRepository`.
pub fn of(record: &Record, oci: &str) -> String {
    Digest::of(encoded(record, oci)).to_string()
}

/// Returns the text that is hashed.
fn encoded(record: &Record, oci: &str) -> String {
    #[derive(Serialize)]
    struct Info<'a> {
        #[serde(skip_serializing_if = "is_empty")]
        first_deployed: Cow<'a, str>,
        #[serde(skip_serializing_if = "is_empty")]
        last_deployed: Cow<'a, str>,
        #[serde(skip_serializing_if = "is_empty")]
        deleted: Cow<'a, str>,
        #[serde(skip_serializing_if = "str::is_empty")]
        description: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        status: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        notes: &'a str,
    }
    let info = Info {
        first_deployed: go_time(&record.info.first_deployed),
        last_deployed: go_time(&record.info.last_deployed),
        deleted: go_time(&record.info.deleted),
        description: &record.info.description,
        status: &record.info.status,
        notes: &record.info.notes,
    };
    let hooks: Vec<_> = record
        .hooks
        .iter()
        .filter(|hook| hook.events.iter().all(|event| event != "test"))
        .map(|hook| {
            let mut hook = hook.clone();
            hook.last_run.started_at = go_time(&hook.last_run.started_at).into_owned();
            hook.last_run.completed_at = go_time(&hook.last_run.completed_at).into_owned();
            hook
        })
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
    let oci = match oci {
        "" => String::new(),
        oci => format!(",\"ociDigest\":{}", go_json(&oci)),
    };
    format!(
        "{{\"name\":{},\"version\":{},\"info\":{},\"chartMetadata\":{},\"config\":{config},\"manifest\":{},\"hooks\":{hooks},\"namespace\":{}{oci}}}\n",
        go_json(&record.name),
        record.version,
        go_json(&info),
        go_json(&record.metadata()),
        go_json(&record.manifest),
        go_json(&record.namespace),
    )
}

#[expect(clippy::ptr_arg, reason = "serde asks with a reference to the field")]
fn is_empty(text: &Cow<'_, str>) -> bool {
    text.is_empty()
}

/// Returns a time as Go prints it after reading it: no zeros at the end of the fraction, `Z` for
/// UTC. Older releases of Helm wrote others.
fn go_time(text: &str) -> Cow<'_, str> {
    let Some((seconds, rest)) = text.split_once('.') else {
        return match text.strip_suffix("+00:00") {
            Some(utc) => format!("{utc}Z").into(),
            None => text.into(),
        };
    };
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (fraction, zone) = rest.split_at(end);
    let zone = if zone == "+00:00" { "Z" } else { zone };
    match fraction.trim_end_matches('0') {
        "" => format!("{seconds}{zone}").into(),
        fraction => format!("{seconds}.{fraction}{zone}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::file;
    use crate::base::testing::corpus;

    #[test]
    fn the_digest_is_flux_s() {
        let record = Record { name: "foo".into(), ..Record::default() };
        assert_eq!(
            of(&record, ""),
            "sha256:f1498f27a16a09cd7e1ee610d924df065c03d30035638babc95dd9a8d412ce4d"
        );
    }

    #[test]
    fn what_is_hashed_is_what_flux_hashes() {
        let golden: Value =
            serde_json::from_str(include_str!("../../tests/golden/flux-digests.json")).unwrap();
        let rows = golden["observationDigest"].as_array().unwrap();
        assert!(!rows.is_empty());
        for row in rows {
            let oci = row["ociDigest"].as_str().unwrap_or_default();
            let record: Record = serde_json::from_value(row["release"].clone()).unwrap();
            assert_eq!(encoded(&record, oci), row["encoded"].as_str().unwrap());
            assert_eq!(of(&record, oci), row["digest"].as_str().unwrap());
        }
    }

    /// Records of Flux's own controllers, and what their statuses said of them.
    #[test]
    fn the_histories_of_real_flux_are_confirmed() {
        let Some(corpus) = corpus() else { return };
        let (mut seen, mut wrong) = (0, Vec::new());
        for entry in std::fs::read_dir(corpus.join("flux")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let scenario: Value =
                serde_json::from_slice(&file::read_bytes(&path, 64 << 20).unwrap()).unwrap();
            for (number, step) in scenario["steps"].as_array().unwrap().iter().enumerate() {
                for (name, version, got, want) in entries(&step["after"]) {
                    seen += 1;
                    if got != want {
                        wrong.push(format!("{} step {number} {name}.v{version}", path.display()));
                    }
                }
            }
        }
        assert!(seen > 50, "{seen} entries");
        assert!(wrong.is_empty(), "{} of {seen}:\n{}", wrong.len(), wrong.join("\n"));
    }

    /// Returns name, revision, our digest and Flux's of each entry whose record is still there.
    fn entries(after: &Value) -> Vec<(String, u32, String, String)> {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let records: Vec<Record> = list(&after["releases"])
            .iter()
            .map(|release| serde_json::from_value(release["record"].clone()).unwrap())
            .collect();
        let histories = list(&after["helmreleases"]).into_iter();
        let entries = histories.flat_map(|release| list(&release["status"]["history"]));
        entries
            .filter_map(|entry| {
                let record = records.iter().find(|record| {
                    entry["name"] == *record.name && entry["version"] == record.version
                })?;
                let digest = entry["digest"].as_str()?.to_owned();
                let oci = entry["ociDigest"].as_str().unwrap_or_default();
                Some((record.name.clone(), record.version, of(record, oci), digest))
            })
            .collect()
    }
}
