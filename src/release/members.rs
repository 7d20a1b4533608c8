//! Members of a stored chart, in the order in which Go writes them.
//!
//! Source: helm v4.3.2 pkg/chart/v2 (chart.go, metadata.go, dependency.go), pkg/chart/common/file.go.

use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};

use crate::yaml::Value;

const CHART: &[&str] =
    &["metadata", "lock", "templates", "values", "schema", "schemamodtime", "files", "modtime"];
/// Members of `Chart.yaml`; those that anybody writes there are told from others by these.
pub(super) const METADATA: &[&str] = &[
    "name",
    "home",
    "sources",
    "version",
    "description",
    "keywords",
    "maintainers",
    "icon",
    "apiVersion",
    "condition",
    "tags",
    "appVersion",
    "deprecated",
    "annotations",
    "kubeVersion",
    "dependencies",
    "type",
];
const FILE: &[&str] = &["name", "data", "modtime"];
const LOCK: &[&str] = &["generated", "digest", "dependencies"];
/// Members of a dependency.
pub(super) const DEPENDENCY: &[&str] =
    &["name", "version", "repository", "condition", "tags", "enabled", "import-values", "alias"];
/// Members of a maintainer.
pub(super) const MAINTAINER: &[&str] = &["name", "email", "url"];

/// A value, and which members come first.
struct Ordered<'a> {
    value: &'a Value,
    order: &'static [&'static str],
}

/// Returns the order inside a member; none: by name, as in Go's maps.
fn inside(order: &'static [&'static str], key: &str) -> &'static [&'static str] {
    let is = |wanted: &[&str]| order == wanted;
    match key {
        "metadata" if is(CHART) => METADATA,
        "lock" if is(CHART) => LOCK,
        "templates" | "files" if is(CHART) => FILE,
        "dependencies" if is(METADATA) || is(LOCK) => DEPENDENCY,
        "maintainers" if is(METADATA) => MAINTAINER,
        _ => &[],
    }
}

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let order = self.order;
        match self.value {
            Value::Object(map) if !order.is_empty() => {
                let rank = |key: &&String| order.iter().position(|known| known == key);
                let mut keys: Vec<&String> = map.keys().collect();
                keys.sort_by_key(|key| rank(key).unwrap_or(order.len()));
                let mut out = to.serialize_map(Some(keys.len()))?;
                for key in keys {
                    let value = &map[key];
                    out.serialize_entry(key, &Self { value, order: inside(order, key) })?;
                }
                out.end()
            }
            Value::Array(items) if !order.is_empty() => {
                let mut out = to.serialize_seq(Some(items.len()))?;
                for value in items {
                    out.serialize_element(&Self { value, order })?;
                }
                out.end()
            }
            value => value.serialize(to),
        }
    }
}

/// Writes a chart.
pub(super) fn chart<S: Serializer>(chart: &Arc<Value>, to: S) -> Result<S::Ok, S::Error> {
    Ordered { value: chart, order: CHART }.serialize(to)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_come_as_from_go() {
        let chart = json!({
            "files": [{"data": "YQ==", "name": "a"}],
            "lock": {"digest": "d", "dependencies": [{"version": "1", "name": "x"}]},
            "metadata": {
                "version": "1", "name": "c", "apiVersion": "v2", "annotations": {"version": "z", "a": "y"},
                "maintainers": [{"email": "e", "name": "n"}],
            },
            "values": {"version": 1, "name": 2},
        });
        let text = serde_json::to_string(&Ordered { value: &chart, order: CHART }).unwrap();
        assert_eq!(
            text,
            r#"{"metadata":{"name":"c","version":"1","maintainers":[{"name":"n","email":"e"}],"apiVersion":"v2","annotations":{"a":"y","version":"z"}},"lock":{"digest":"d","dependencies":[{"name":"x","version":"1"}]},"values":{"name":2,"version":1},"files":[{"name":"a","data":"YQ=="}]}"#
        );
    }
}
