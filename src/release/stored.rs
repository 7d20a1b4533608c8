//! The chart inside a record: JSON text, which is most of the record and is passed on as it is. One
//! that is going to be written is packed at once, and never in memory as text.
//!
//! Source: helm v4.3.2 pkg/chart/v2/chart.go.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufReader, Read as _, Write as _};
use std::sync::{Arc, OnceLock};

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::json;
use serde_json::value::RawValue;

use super::gojson::{go_json, write_go_json};
use super::members::{LOCK, METADATA, Ordered};
use super::pack::{LEVEL, PIECE_BYTES, Packer, Section};
use crate::chart::{Chart, File};
use crate::yaml::{Map, Value};

/// A time that was never set, as Go writes it.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// A chart as Helm stores it, without its dependencies; there may be none.
#[derive(Clone, Default)]
pub struct StoredChart(Option<Arc<Stored>>);

struct Stored {
    text: Text,
    /// What is known of its metadata without a look into the text.
    metadata: Option<Value>,
    told: OnceLock<Told>,
}

enum Text {
    Plain(Box<RawValue>),
    Packed(Section),
}

/// What is asked of a stored chart.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    metadata: Value,
    values: Value,
}

static NOTHING: Told = Told { metadata: Value::Null, values: Value::Null };

impl StoredChart {
    /// Returns what is stored of a chart.
    pub(super) fn of(chart: &Chart) -> Self {
        let metadata = json!(chart.metadata);
        let members = Members {
            metadata: Ordered { value: &metadata, order: METADATA },
            lock: Ordered { value: &json!(chart.lock), order: LOCK },
            templates: Files(&chart.templates),
            values: wanted_values(chart),
            schema: chart.schema.as_deref().map(Packed),
            schemamodtime: ZERO_TIME,
            files: Files(&chart.files),
        };
        // Plain data in memory always has a JSON form.
        let section = Section::of(|out| write_go_json(&members, out)).ok();
        Self(section.map(|section| Stored::new(Text::Packed(section), Some(metadata))))
    }

    /// Returns one of which nothing but its metadata is known.
    pub(super) fn of_metadata(metadata: &Value) -> Self {
        Self::of_members(&json!({"metadata": metadata}))
    }

    /// Returns the same, packed: for who writes it more than once.
    pub(super) fn packed(&self) -> Self {
        let plain = self.0.as_ref().and_then(|stored| match &stored.text {
            Text::Plain(text) => Some(text.get()),
            Text::Packed(_) => None,
        });
        let packed = plain.and_then(|text| Section::of(|out| out.write_all(text.as_bytes())).ok());
        packed.map_or_else(
            || self.clone(),
            |section| {
                let metadata = Some(self.metadata().clone());
                Self(Some(Stored::new(Text::Packed(section), metadata)))
            },
        )
    }

    /// Writes it into a record's text.
    pub(super) fn write(&self, to: &mut Packer) -> io::Result<()> {
        match self.0.as_ref().map(|stored| &stored.text) {
            None => to.write_all(b"null"),
            Some(Text::Plain(text)) => to.write_all(text.get().as_bytes()),
            Some(Text::Packed(section)) if to.level() == LEVEL => to.section(section),
            Some(Text::Packed(section)) => io::copy(&mut section.text(), to).map(drop),
        }
    }

    /// Returns the chart without its templates, files and schema.
    pub(super) fn lean(&self) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Kept {
            metadata: Value,
            lock: Value,
            values: Option<Map>,
        }
        if self.is_missing() {
            return self.clone();
        }
        let kept: Kept = self.read();
        Self::of_members(&Members {
            metadata: Ordered { value: &kept.metadata, order: METADATA },
            lock: Ordered { value: &kept.lock, order: LOCK },
            templates: Files(&[]),
            values: kept.values.as_ref(),
            schema: None,
            schemamodtime: ZERO_TIME,
            files: Files(&[]),
        })
    }

    fn of_members(members: &impl Serialize) -> Self {
        // What was just written is JSON.
        let text = RawValue::from_string(go_json(members)).ok();
        Self(text.map(|text| Stored::new(Text::Plain(text), None)))
    }

    /// Whether there is none.
    pub(super) fn is_missing(&self) -> bool {
        self.0.is_none()
    }

    /// Reads some of it.
    fn read<T: DeserializeOwned + Default>(&self) -> T {
        // What was read or written is JSON.
        let read = match self.0.as_ref().map(|stored| &stored.text) {
            None => Ok(T::default()),
            Some(Text::Plain(text)) => serde_json::from_str(text.get()),
            Some(Text::Packed(section)) => {
                serde_json::from_reader(BufReader::with_capacity(PIECE_BYTES, section.text()))
            }
        };
        read.unwrap_or_default()
    }

    fn told(&self) -> &Told {
        let Some(stored) = &self.0 else { return &NOTHING };
        stored.told.get_or_init(|| self.read())
    }

    /// Returns its metadata, null if there is none.
    pub(super) fn metadata(&self) -> &Value {
        let known = self.0.as_ref().and_then(|stored| stored.metadata.as_ref());
        known.unwrap_or_else(|| &self.told().metadata)
    }

    /// Returns its values, null if there are none.
    pub(super) fn values(&self) -> &Value {
        &self.told().values
    }

    fn text(&self) -> Cow<'_, str> {
        match self.0.as_ref().map(|stored| &stored.text) {
            None => "null".into(),
            Some(Text::Plain(text)) => text.get().into(),
            Some(Text::Packed(section)) => {
                let mut text = String::new();
                // It was packed here, and is whole.
                match section.text().read_to_string(&mut text) {
                    Ok(_) => text.into(),
                    Err(_) => "null".into(),
                }
            }
        }
    }
}

impl Stored {
    fn new(text: Text, metadata: Option<Value>) -> Arc<Self> {
        Arc::new(Self { text, metadata, told: OnceLock::new() })
    }

    /// Length of the text.
    fn bytes(&self) -> u64 {
        match &self.text {
            Text::Plain(text) => text.get().len() as u64,
            Text::Packed(section) => section.len(),
        }
    }
}

impl fmt::Debug for StoredChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.as_ref().map_or(0, |stored| stored.bytes());
        write!(f, "StoredChart({bytes} bytes, {})", self.metadata()["name"])
    }
}

impl PartialEq for StoredChart {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Serialize for StoredChart {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let text = RawValue::from_string(self.text().into_owned());
        text.map_err(serde::ser::Error::custom)?.serialize(to)
    }
}

impl<'de> Deserialize<'de> for StoredChart {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Option::<Box<RawValue>>::deserialize(from)?;
        Ok(Self(text.map(|text| Stored::new(Text::Plain(text), None))))
    }
}

/// Returns a chart's values as Go has them: one without `values.yaml` has none, unless others gave it
/// some.
fn wanted_values(chart: &Chart) -> Option<&Map> {
    let is_given = chart.values_text.is_some() || !chart.values.is_empty();
    is_given.then_some(&chart.values)
}

/// Its members, in the order in which Go writes them.
#[derive(Serialize)]
struct Members<'a> {
    metadata: Ordered<'a>,
    lock: Ordered<'a>,
    templates: Files<'a>,
    values: Option<&'a Map>,
    schema: Option<Packed<'a>>,
    schemamodtime: &'static str,
    files: Files<'a>,
}

/// Files; none is null.
struct Files<'a>(&'a [File]);

impl Serialize for Files<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Entry<'a> {
            name: &'a str,
            data: Packed<'a>,
        }
        if self.0.is_empty() {
            return to.serialize_none();
        }
        to.collect_seq(
            self.0.iter().map(|file| Entry { name: &file.name, data: Packed(&file.data) }),
        )
    }
}

/// Bytes, in base64.
struct Packed<'a>(&'a [u8]);

impl Serialize for Packed<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::chart::Metadata;

    #[test]
    fn members_come_as_from_go() {
        let metadata: Metadata = serde_json::from_value(json!({
            "version": "1", "name": "c", "apiVersion": "v2",
            "annotations": {"version": "<z>", "a": "y"},
            "maintainers": [{"email": "e", "name": "n"}],
        }))
        .unwrap();
        let file = |name: &str, text: &'static str| File {
            name: name.to_owned(),
            data: Bytes::from(text).into(),
        };
        let chart = Chart {
            metadata,
            lock: Some(json!({"digest": "d", "dependencies": [{"version": "1", "name": "x"}]})),
            values: json!({"version": 1.0, "name": 2.5}).as_object().unwrap().clone().into(),
            schema: Some(Bytes::from("{}")),
            files: vec![file("a", "a")],
            ..Chart::default()
        };
        let stored = StoredChart::of(&chart);
        let wanted = r#"{"metadata":{"name":"c","version":"1","maintainers":[{"name":"n","email":"e"}],"apiVersion":"v2","annotations":{"a":"y","version":"\u003cz\u003e"}},"lock":{"digest":"d","dependencies":[{"name":"x","version":"1"}]},"templates":null,"values":{"name":2.5,"version":1},"schema":"e30=","schemamodtime":"0001-01-01T00:00:00Z","files":[{"name":"a","data":"YQ=="}]}"#;
        assert_eq!(stored.text(), wanted);
        assert_eq!(stored.metadata()["annotations"]["version"], "<z>");
        assert_eq!(*stored.values(), json!({"version": 1, "name": 2.5}));
    }

    /// As Helm 4.3.2 stores them.
    #[test]
    fn a_chart_without_values_has_null() {
        let chart = |values, text: Option<&'static str>| Chart {
            values: serde_json::from_value(values).unwrap(),
            values_text: text.map(Bytes::from),
            ..Chart::default()
        };
        for (values, text, wanted) in [
            (json!({}), None, "null"),
            (json!({}), Some(""), "{}"),
            (json!({}), Some("# nothing"), "{}"),
            (json!({"sub": {"global": {}}}), None, r#"{"sub":{"global":{}}}"#),
            (json!({"a": 1.0}), Some("a: 1"), r#"{"a":1}"#),
        ] {
            let stored = StoredChart::of(&chart(values, text));
            assert_eq!(go_json(stored.values()), wanted, "{text:?}");
            // What is left out of a large record are files.
            assert_eq!(stored.lean().values(), stored.values());
        }
    }

    #[test]
    fn what_is_read_is_written_as_it_was() {
        let text = r#"{"b":[1.50,"\u003c"],  "metadata":{"name":"c"},"values":null}"#;
        let read: StoredChart = serde_json::from_str(text).unwrap();
        assert_eq!(go_json(&read), text);
        assert_eq!(read.metadata()["name"], "c");
        assert!(read.values().is_null() && !read.is_missing());
        let none: StoredChart = serde_json::from_str("null").unwrap();
        assert!(none.is_missing() && none.metadata().is_null());
        assert_eq!(none, StoredChart::default());
        assert_ne!(none, read);
    }
}
