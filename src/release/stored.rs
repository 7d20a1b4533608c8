//! The chart inside a record: JSON text, which is most of the record and is passed on as it is.
//!
//! Source: helm v4.3.2 pkg/chart/v2/chart.go.

use std::fmt;
use std::sync::{Arc, OnceLock};

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::json;
use serde_json::value::RawValue;

use super::members::{LOCK, METADATA, Ordered};
use super::record::go_json;
use crate::chart::{Chart, File};
use crate::yaml::{Map, Value};

/// A time that was never set, as Go writes it.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// A chart as Helm stores it, without its dependencies; there may be none.
#[derive(Clone, Default)]
pub struct StoredChart(Option<Arc<Stored>>);

struct Stored {
    text: Box<RawValue>,
    told: OnceLock<Told>,
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
        Self::of_members(&Members {
            metadata: Ordered { value: &json!(chart.metadata), order: METADATA },
            lock: Ordered { value: &json!(chart.lock), order: LOCK },
            templates: Files(&chart.templates),
            values: &chart.values,
            schema: chart.schema.as_deref().map(Packed),
            schemamodtime: ZERO_TIME,
            files: Files(&chart.files),
        })
    }

    /// Returns one of which nothing but its metadata is known.
    pub(super) fn of_metadata(metadata: &Value) -> Self {
        Self::of_members(&json!({"metadata": metadata}))
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
        // What was read or written is JSON.
        let kept: Kept = serde_json::from_str(self.text()).unwrap_or_default();
        Self::of_members(&Members {
            metadata: Ordered { value: &kept.metadata, order: METADATA },
            lock: Ordered { value: &kept.lock, order: LOCK },
            templates: Files(&[]),
            values: &kept.values.unwrap_or_default(),
            schema: None,
            schemamodtime: ZERO_TIME,
            files: Files(&[]),
        })
    }

    fn of_members(members: &impl Serialize) -> Self {
        // What was just written is JSON.
        Self(RawValue::from_string(go_json(members)).ok().map(Stored::new))
    }

    /// Whether there is none.
    pub(super) fn is_missing(&self) -> bool {
        self.0.is_none()
    }

    fn told(&self) -> &Told {
        let Some(stored) = &self.0 else { return &NOTHING };
        stored.told.get_or_init(|| serde_json::from_str(stored.text.get()).unwrap_or_default())
    }

    /// Returns its metadata, null if there is none.
    pub(super) fn metadata(&self) -> &Value {
        &self.told().metadata
    }

    /// Returns its values, null if there are none.
    pub(super) fn values(&self) -> &Value {
        &self.told().values
    }

    fn text(&self) -> &str {
        self.0.as_ref().map_or("null", |stored| stored.text.get())
    }
}

impl Stored {
    fn new(text: Box<RawValue>) -> Arc<Self> {
        Arc::new(Self { text, told: OnceLock::new() })
    }
}

impl fmt::Debug for StoredChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredChart({} bytes, {})", self.text().len(), self.metadata()["name"])
    }
}

impl PartialEq for StoredChart {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Serialize for StoredChart {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().map(|stored| &stored.text).serialize(to)
    }
}

impl<'de> Deserialize<'de> for StoredChart {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self(Option::<Box<RawValue>>::deserialize(from)?.map(Stored::new)))
    }
}

/// Its members, in the order in which Go writes them.
#[derive(Serialize)]
struct Members<'a> {
    metadata: Ordered<'a>,
    lock: Ordered<'a>,
    templates: Files<'a>,
    values: &'a Map,
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
            values: json!({"version": 1.0, "name": 2.5}).as_object().unwrap().clone(),
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
