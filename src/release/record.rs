//! Helm's record of one revision.
//!
//! Source: helm v4.3.1 pkg/release/v1 (release.go, info.go), pkg/storage/driver/util.go.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read as _, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use serde::{Deserialize, Serialize, Serializer};

use super::Error;
use super::gojson::go_json;
use super::manifest::Hook;
use super::pack::{LEVEL, PIECE_BYTES, Packer};
use super::stored::StoredChart;
use crate::chart::{self, Chart, Metadata};
use crate::yaml::{Map, Value};

/// Largest record that Kubernetes stores in an object.
pub const LIMIT_BYTES: usize = 1 << 20;
/// Largest record that is read, unpacked.
pub(super) const UNPACKED_BYTES: u64 = 64 << 20;
/// The slowest level of compression gains less than one in so many.
const GAIN: usize = 10;
/// Text of charts shrinks to this part at most, seldom to less.
const LIKELY_RATIO: usize = 20;

/// gzip's first two bytes.
pub(super) const GZIP: [u8; 2] = [0x1f, 0x8b];
/// What stands between the info and the chart of a record that Go wrote. No text can hold it: a
/// quotation mark in one has a backslash before it.
pub(super) const SEAM: &[u8] = b",\"chart\":";

/// One revision of a release.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Record {
    /// Release name.
    pub name: String,
    /// What happened to it.
    pub info: Info,
    /// The chart, as Helm stores it.
    pub chart: StoredChart,
    /// The user's values.
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
    pub apply_method: String,
    /// Labels that people gave the release; they are its object's, not the record's.
    #[serde(skip)]
    pub labels: BTreeMap<String, String>,
}

/// What Go writes of a record before the chart.
#[derive(Serialize)]
pub(super) struct Front<'a> {
    pub(super) name: &'a str,
    pub(super) info: &'a Info,
}

/// What Go writes of a record after the chart.
#[derive(Serialize)]
struct Back<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    config: &'a Option<Map>,
    #[serde(skip_serializing_if = "str::is_empty")]
    manifest: &'a str,
    #[serde(skip_serializing_if = "<[Hook]>::is_empty")]
    hooks: &'a [Hook],
    #[serde(skip_serializing_if = "is_zero")]
    version: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    namespace: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    apply_method: &'a str,
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Whole<'a> {
            #[serde(flatten)]
            front: Front<'a>,
            #[serde(skip_serializing_if = "StoredChart::is_missing")]
            chart: &'a StoredChart,
            #[serde(flatten)]
            back: Back<'a>,
        }
        Whole { front: self.front(), chart: &self.chart, back: self.back() }.serialize(to)
    }
}

/// A record without the files of its chart.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Outline {
    name: String,
    info: Info,
    chart: ChartOutline,
    config: Option<Map>,
    manifest: String,
    #[serde(deserialize_with = "null_list")]
    hooks: Vec<Hook>,
    version: u32,
    namespace: String,
    apply_method: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ChartOutline {
    metadata: Value,
}

impl From<Outline> for Record {
    fn from(outline: Outline) -> Self {
        Self {
            name: outline.name,
            info: outline.info,
            chart: StoredChart::of_metadata(&outline.chart.metadata),
            config: outline.config,
            manifest: outline.manifest,
            hooks: outline.hooks,
            version: outline.version,
            namespace: outline.namespace,
            apply_method: outline.apply_method,
            labels: BTreeMap::new(),
        }
    }
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
    /// Live objects by version and kind; they are shown, never stored.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Value>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Record {
    /// Returns the chart's metadata.
    pub fn metadata(&self) -> Metadata {
        Metadata::deserialize(self.chart.metadata()).unwrap_or_default()
    }

    /// Returns what the record knows of the chart's values: its own, those of dependencies only as
    /// far as they were imported, because Helm stores no dependencies.
    pub fn chart(&self) -> Chart {
        let metadata = self.metadata();
        let mut values = self.chart.values().clone();
        floats(&mut values);
        let values = values.as_object().cloned().unwrap_or_default();
        Chart { metadata, values: values.into(), ..Chart::default() }
    }

    /// Returns the user's values as Go reads them from a record: every number is a float.
    pub fn values(&self) -> Map {
        let mut values = Value::Object(self.config.clone().unwrap_or_default());
        floats(&mut values);
        values.as_object().cloned().unwrap_or_default()
    }

    /// Returns a chart and values that go on where this revision stands: what was not given is as it
    /// was, the chart's defaults of then included.
    ///
    /// # Errors
    /// The revision's values do not fit its chart.
    ///
    /// Source: helm v4.3.2 pkg/action/upgrade.go (`reuseValues`).
    pub fn reuse_values(&self, chart: &Chart, given: Map) -> Result<(Chart, Map), chart::Error> {
        let known = self.values();
        let (values, _) = chart::coalesce(&self.chart(), &known)?;
        let (given, _) = chart::coalesce_tables(given, &known);
        // They are its values from now on, also if there are none.
        let values_text = Some(chart.values_text.clone().unwrap_or_default());
        Ok((Chart { values: values.into(), values_text, ..chart.clone() }, given))
    }

    /// Whether an action on it began and did not end.
    pub fn is_pending(&self) -> bool {
        self.info.status.starts_with("pending-")
    }

    /// Returns the text that an object holds.
    ///
    /// # Errors
    /// It would not fit into an object.
    pub fn encode(&self) -> Result<String, Error> {
        self.fitting()?.ok_or_else(|| Error::Record {
            name: self.object_name(),
            reason: format!("it would have more than {LIMIT_BYTES} bytes"),
        })
    }

    /// Returns the text that an object holds; nothing if it would not fit into one.
    pub(super) fn fitting(&self) -> Result<Option<String>, Error> {
        // The slowest level gains two in a hundred: it is tried where that may decide.
        let mut text = self.packed()?;
        if text.len() > LIMIT_BYTES && text.len() - text.len() / GAIN <= LIMIT_BYTES {
            text = STANDARD.encode(self.pack(Compression::best())?);
        }
        Ok((text.len() <= LIMIT_BYTES).then_some(text))
    }

    /// Returns the record's text, however large it is.
    pub(super) fn packed(&self) -> Result<String, Error> {
        Ok(STANDARD.encode(self.pack(LEVEL)?))
    }

    fn pack(&self, level: Compression) -> Result<Vec<u8>, Error> {
        let mut packer = Packer::new(level);
        let written = self.write(&mut packer).and_then(|()| packer.finish());
        written
            .map_err(|error| Error::Record { name: self.object_name(), reason: error.to_string() })
    }

    /// Writes what [`Self::to_json`] returns; the chart as it is packed.
    fn write(&self, to: &mut Packer) -> io::Result<()> {
        write_front(&self.front(), to)?;
        if !self.chart.is_missing() {
            to.write_all(SEAM)?;
            self.chart.write(to)?;
        }
        let back = go_json(&self.back());
        match back.strip_prefix('{') {
            Some("}") | None => to.write_all(b"}"),
            Some(members) => {
                to.write_all(b",")?;
                to.write_all(members.as_bytes())
            }
        }
    }

    fn front(&self) -> Front<'_> {
        Front { name: &self.name, info: &self.info }
    }

    fn back(&self) -> Back<'_> {
        Back {
            config: &self.config,
            manifest: &self.manifest,
            hooks: &self.hooks,
            version: self.version,
            namespace: &self.namespace,
            apply_method: &self.apply_method,
        }
    }

    /// Reads what an object holds.
    ///
    /// # Errors
    /// It is no record.
    pub fn decode(name: &str, text: &[u8]) -> Result<Self, Error> {
        let refuse = |reason: String| Error::Record { name: name.to_owned(), reason };
        let mut bytes = STANDARD.decode(text).map_err(|error| refuse(error.to_string()))?;
        if bytes.starts_with(&GZIP) {
            let mut unpacked = Vec::with_capacity(unpacked_bytes(&bytes));
            let reader = GzDecoder::new(&bytes[..]).take(UNPACKED_BYTES);
            { reader }.read_to_end(&mut unpacked).map_err(|error| refuse(error.to_string()))?;
            bytes = unpacked;
        }
        serde_json::from_slice(&bytes).map_err(|error| refuse(error.to_string()))
    }

    /// Reads what an object holds, without the files of the chart, which are most of it: they are
    /// passed over while the text is inflated.
    ///
    /// # Errors
    /// It is no record.
    pub fn decode_outline(name: &str, text: &[u8]) -> Result<Self, Error> {
        let refuse = |reason: String| Error::Record { name: name.to_owned(), reason };
        let bytes = STANDARD.decode(text).map_err(|error| refuse(error.to_string()))?;
        let outline: serde_json::Result<Outline> = if bytes.starts_with(&GZIP) {
            let reader = GzDecoder::new(&bytes[..]).take(UNPACKED_BYTES);
            serde_json::from_reader(BufReader::with_capacity(PIECE_BYTES, reader))
        } else {
            serde_json::from_slice(&bytes)
        };
        outline.map(Self::from).map_err(|error| refuse(error.to_string()))
    }

    /// Returns the record as Helm prints it.
    pub fn to_json(&self) -> String {
        go_json(self)
    }

    /// Returns the name of its object.
    pub fn object_name(&self) -> String {
        format!("sh.helm.release.v1.{}.v{}", self.name, self.version)
    }
}

/// Writes a record as far as the chart.
pub(super) fn write_front(front: &Front<'_>, to: &mut Packer) -> io::Result<()> {
    let text = go_json(front);
    to.write_all(text.strip_suffix('}').unwrap_or(&text).as_bytes())
}

/// How many bytes a gzip stream holds, as it says itself at its end: a hint, and bounded.
fn unpacked_bytes(packed: &[u8]) -> usize {
    let said = packed.last_chunk().map_or(0, |end| u32::from_le_bytes(*end) as usize);
    said.min(packed.len() * LIKELY_RATIO)
}

/// Makes every number a float, as Go's JSON reader does.
fn floats(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(float) = number.as_f64().and_then(serde_json::Number::from_f64) {
                *number = float;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(floats),
        Value::Object(map) => map.values_mut().for_each(floats),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outline_lacks_the_files_of_the_chart_and_nothing_else() {
        let chart = serde_json::json!({
            "metadata": {"name": "c", "version": "1.0.0"},
            "templates": [{"name": "templates/a.yaml", "data": "YTogMQ=="}],
            "values": {"a": 1},
        });
        let whole = Record {
            name: "r".to_owned(),
            chart: serde_json::from_value(chart).unwrap(),
            config: serde_json::json!({"b": [1, "x"]}).as_object().cloned(),
            manifest: "---\na: 1\n".to_owned(),
            version: 7,
            namespace: "n".to_owned(),
            apply_method: "ssa".to_owned(),
            ..Record::default()
        };
        let text = whole.encode().unwrap();
        let outline = Record::decode_outline("r", text.as_bytes()).unwrap();
        assert_eq!(go_json(&outline.chart), r#"{"metadata":{"name":"c","version":"1.0.0"}}"#);
        assert_eq!(outline.metadata(), whole.metadata());
        let same = Record { chart: whole.chart.clone(), ..outline };
        assert_eq!(
            serde_json::to_value(&same).unwrap(),
            serde_json::to_value(Record::decode("r", text.as_bytes()).unwrap()).unwrap()
        );
        assert!(Record::decode_outline("r", b"!").is_err());
    }

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
        assert_eq!(record.object_name(), "sh.helm.release.v1.web.v3");
        assert!(Record::decode("x", b"!").is_err());
        let plain = STANDARD.encode(r#"{"name":"old","hooks":null,"version":1}"#);
        assert_eq!(Record::decode("x", plain.as_bytes()).unwrap().name, "old");
    }

    #[test]
    fn what_is_packed_is_what_is_printed() {
        let plain: StoredChart = serde_json::from_str(r#"{"a":"chart","b":[1.50,"<"]}"#).unwrap();
        let record = |chart: &StoredChart, version, manifest: &str| Record {
            name: "web".into(),
            chart: chart.clone(),
            version,
            manifest: manifest.into(),
            ..Record::default()
        };
        for chart in [StoredChart::default(), plain.clone(), plain.packed()] {
            for (version, manifest) in [(0, ""), (2, ""), (2, "a: chart\n")] {
                let record = record(&chart, version, manifest);
                for level in [LEVEL, Compression::best()] {
                    let mut text = String::new();
                    let packed = record.pack(level).unwrap();
                    GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
                    assert_eq!(text, record.to_json());
                }
            }
        }
        assert_eq!(
            record(&plain.packed(), 2, "x").to_json(),
            r#"{"name":"web","info":{},"chart":{"a":"chart","b":[1.50,"<"]},"manifest":"x","version":2}"#
        );
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
        assert!(record.encode().unwrap_err().to_string().contains("more than 1048576 bytes"));
    }

    #[test]
    fn members_come_in_helm_s_order_and_go_s_form() {
        let record = Record {
            name: "web".into(),
            version: 1,
            info: Info {
                status: "deployed".into(),
                notes: "a<b>&c\u{2028}".into(),
                ..Info::default()
            },
            config: Some(serde_json::from_str(r#"{"n":1.0,"big":1e21,"small":1e-7}"#).unwrap()),
            apply_method: "ssa".into(),
            labels: [("team".to_owned(), "x".to_owned())].into(),
            ..Record::default()
        };
        assert_eq!(
            go_json(&record),
            r#"{"name":"web","info":{"status":"deployed","notes":"a\u003cb\u003e\u0026c\u2028"},"config":{"big":1e+21,"n":1,"small":1e-7},"version":1,"apply_method":"ssa"}"#
        );
    }
}
