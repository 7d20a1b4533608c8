//! Helm's record of one revision.
//!
//! Source: helm v4.3.1 pkg/release/v1 (release.go, info.go), pkg/storage/driver/util.go.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Error;
use super::manifest::Hook;
use crate::chart::{Chart, File, Metadata};
use crate::yaml::{self, Map, Value};

/// Largest Secret that Kubernetes stores.
pub const LIMIT_BYTES: usize = 1 << 20;
/// Largest record that is read, unpacked.
const UNPACKED_BYTES: u64 = 64 << 20;
/// A time that was never set, as Go writes it.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// One revision of a release.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// Release name.
    pub name: String,
    /// What happened to it.
    pub info: Info,
    /// The chart, as Helm stores it.
    pub chart: Value,
    /// The user's values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Map>,
    /// Manifest, hooks not included.
    pub manifest: String,
    /// Hooks.
    #[serde(deserialize_with = "null_list")]
    pub hooks: Vec<Hook>,
    /// Revision.
    pub version: u32,
    /// Namespace of the objects.
    pub namespace: String,
    /// `ssa` or `csa`; empty means `csa`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub apply_method: String,
}

fn null_list<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Vec<Hook>, D::Error> {
    Ok(Option::deserialize(input)?.unwrap_or_default())
}

/// What happened to a revision.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Info {
    /// First deployment of the release.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub first_deployed: String,
    /// This deployment.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_deployed: String,
    /// Deletion.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub deleted: String,
    /// One sentence.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Helm's status word.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// The revision that was rolled back to.
    #[serde(skip_serializing_if = "is_zero")]
    pub rollback_revision: u32,
    /// Notes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub notes: String,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Record {
    /// Returns the chart's metadata.
    pub fn metadata(&self) -> Metadata {
        let metadata = self.chart.get("metadata").cloned().unwrap_or(Value::Null);
        serde_json::from_value(metadata).unwrap_or_default()
    }

    /// Whether an action on it began and did not end.
    pub fn is_pending(&self) -> bool {
        self.info.status.starts_with("pending-")
    }

    /// Returns the text that the Secret holds.
    ///
    /// # Errors
    /// It would not fit into a Secret.
    pub fn encode(&self) -> Result<String, Error> {
        let refuse = |reason: String| Error::Record { name: self.secret_name(), reason };
        let value = serde_json::to_value(self).map_err(|error| refuse(error.to_string()))?;
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let packed = packer
            .write_all(yaml::json::to_string(&value).as_bytes())
            .and_then(|()| packer.finish());
        let text = STANDARD.encode(packed.map_err(|error| refuse(error.to_string()))?);
        if text.len() > LIMIT_BYTES {
            return Err(refuse(format!(
                "it would have {} bytes, a Secret holds at most {LIMIT_BYTES}: make the chart smaller (files and values count)",
                text.len()
            )));
        }
        Ok(text)
    }

    /// Reads what a Secret holds.
    ///
    /// # Errors
    /// It is no record.
    pub fn decode(name: &str, text: &[u8]) -> Result<Self, Error> {
        let refuse = |reason: String| Error::Record { name: name.to_owned(), reason };
        let mut bytes = STANDARD.decode(text).map_err(|error| refuse(error.to_string()))?;
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut unpacked = Vec::new();
            let reader = flate2::read::GzDecoder::new(&bytes[..]).take(UNPACKED_BYTES);
            { reader }.read_to_end(&mut unpacked).map_err(|error| refuse(error.to_string()))?;
            bytes = unpacked;
        }
        serde_json::from_slice(&bytes).map_err(|error| refuse(error.to_string()))
    }

    /// Returns the name of the Secret.
    pub fn secret_name(&self) -> String {
        format!("sh.helm.release.v1.{}.v{}", self.name, self.version)
    }
}

/// Returns a chart as Helm stores it: without its dependencies.
pub(super) fn chart_value(chart: &Chart) -> Value {
    let files = |files: &[File]| -> Vec<Value> {
        files
            .iter()
            .map(|file| json!({"name": file.name, "data": STANDARD.encode(&file.data), "modtime": ZERO_TIME}))
            .collect()
    };
    json!({
        "metadata": chart.metadata,
        "lock": chart.lock,
        "templates": files(&chart.templates),
        "values": chart.values,
        "schema": chart.schema.as_ref().map(|schema| STANDARD.encode(schema)),
        "schemamodtime": ZERO_TIME,
        "files": files(&chart.files),
        "modtime": ZERO_TIME,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let record = Record {
            name: "web".into(),
            version: 3,
            config: Some(serde_json::from_str(r#"{"a":"<b>","n":1.0}"#).unwrap()),
            manifest: "---\n# Source: a\nkind: A\n".into(),
            ..Record::default()
        };
        let text = record.encode().unwrap();
        let read = Record::decode("x", text.as_bytes()).unwrap();
        assert_eq!((&read.name, read.version, &read.manifest), (&record.name, 3, &record.manifest));
        assert_eq!(record.secret_name(), "sh.helm.release.v1.web.v3");
        assert!(Record::decode("x", b"!").is_err());
        let plain = STANDARD.encode(r#"{"name":"old","hooks":null,"version":1}"#);
        assert_eq!(Record::decode("x", plain.as_bytes()).unwrap().name, "old");
    }

    #[test]
    fn a_record_that_does_not_fit_is_refused_before_it_is_sent() {
        let mut state = 1_u64;
        let noise: String = (0..3_000_000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b'!' + u8::try_from(state >> 58).unwrap())
            })
            .collect();
        let record = Record { manifest: noise, ..Record::default() };
        assert!(record.encode().unwrap_err().to_string().contains("a Secret holds at most"));
    }
}
