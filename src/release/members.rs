//! Members of the parts of a stored chart, in the order in which Go writes them.
//!
//! Source: helm v4.3.2 pkg/chart/v2 (chart.go, metadata.go, dependency.go), pkg/chart/common/file.go.

use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};

use crate::yaml::Value;

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
/// Members of `Chart.lock`.
pub(super) const LOCK: &[&str] = &["generated", "digest", "dependencies"];
/// Members of a dependency.
pub(super) const DEPENDENCY: &[&str] =
    &["name", "version", "repository", "condition", "tags", "enabled", "import-values", "alias"];
/// Members of a maintainer.
pub(super) const MAINTAINER: &[&str] = &["name", "email", "url"];

/// A value, and which members come first.
pub(super) struct Ordered<'a> {
    pub(super) value: &'a Value,
    pub(super) order: &'static [&'static str],
}

/// Returns the order inside a member; none: by name, as in Go's maps.
fn inside(order: &'static [&'static str], key: &str) -> &'static [&'static str] {
    let is = |wanted: &[&str]| order == wanted;
    match key {
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
