//! One version of a chart, and its short form on disk.

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::base::version::Version;
use crate::yaml::{Map, Value};

/// A version of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Name, version and the rest of `Chart.yaml`.
    pub name: String,
    /// Version text.
    pub text: String,
    /// The same, to compare.
    pub version: Version,
    /// Version of the application.
    pub app_version: String,
    /// Constraint on the cluster's version; may be empty.
    pub kube_version: String,
    /// Where the archive is.
    pub urls: Vec<String>,
    /// SHA-256 of the archive, hex; may be empty.
    pub digest: String,
    /// When it was published, by the index's own word.
    pub created: String,
    /// Whether it is deprecated.
    pub deprecated: bool,
    /// When it was first seen here; none when it was there from the beginning. The publisher
    /// controls `created`, but not this.
    pub first_seen: Option<Timestamp>,
}

/// An entry that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning(pub String);

/// Reads the list of a chart: the good entries newest first, and what was wrong with the others.
///
/// Source: helm v4.3.1 pkg/repo/v1/index.go (`loadIndex`, `SortEntries`).
pub(super) fn entries_of(list: &Value) -> (Vec<Entry>, Vec<Warning>) {
    let (mut good, mut warnings) = (Vec::new(), Vec::new());
    for item in list.as_array().into_iter().flatten() {
        match entry(item) {
            Ok(entry) => good.push(entry),
            Err(reason) => warnings.push(Warning(reason)),
        }
    }
    // Newest first; of equal precedence (build metadata), the later published one.
    good.sort_by_cached_key(|entry| {
        std::cmp::Reverse((entry.version.clone(), entry.created.parse::<Timestamp>().ok()))
    });
    (good, warnings)
}

/// Reads one entry; the error is a text for people.
pub(super) fn entry(item: &Value) -> Result<Entry, String> {
    let Value::Object(map) = item else {
        return Err("an entry is not a map".to_owned());
    };
    let name = text(map, "name")?;
    let version = text(map, "version")?;
    if name.is_empty() || version.is_empty() {
        return Err(format!("an entry lacks name or version (`{name}`, `{version}`)"));
    }
    if matches!(name.as_str(), "." | "..") || name.contains(['/', '\\']) {
        return Err(format!("`{name}` is not the name of a chart"));
    }
    let parsed: Version =
        version.parse().map_err(|error| format!("{name}: version `{version}`: {error}"))?;
    let kind = text(map, "type")?;
    if !matches!(kind.as_str(), "" | "application" | "library") {
        return Err(format!("{name} {version}: type `{kind}` is neither application nor library"));
    }
    let urls = map.get("urls").and_then(Value::as_array).into_iter().flatten();
    Ok(Entry {
        urls: urls.filter_map(Value::as_str).map(str::to_owned).collect(),
        // These decide nothing here: a number, as careless indexes have it, hides no version.
        app_version: text(map, "appVersion").unwrap_or_else(|_| map["appVersion"].to_string()),
        kube_version: text(map, "kubeVersion").unwrap_or_else(|_| map["kubeVersion"].to_string()),
        digest: text(map, "digest").unwrap_or_default(),
        created: text(map, "created").unwrap_or_default(),
        deprecated: map.get("deprecated").and_then(Value::as_bool).unwrap_or(false),
        first_seen: None,
        version: parsed,
        text: version,
        name,
    })
}

fn text(map: &Map, key: &str) -> Result<String, String> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(format!("{key} is `{other}`, not a text: it lacks quotes")),
    }
}

/// An entry as it is kept on disk. Field names are one letter: large charts have hundreds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    n: String,
    v: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    a: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    k: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    u: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    d: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    c: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    x: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    s: Option<String>,
}

impl From<&Entry> for Row {
    fn from(entry: &Entry) -> Self {
        Self {
            n: entry.name.clone(),
            v: entry.text.clone(),
            a: entry.app_version.clone(),
            k: entry.kube_version.clone(),
            u: entry.urls.clone(),
            d: entry.digest.clone(),
            c: entry.created.clone(),
            x: entry.deprecated,
            s: entry.first_seen.map(|time| time.to_string()),
        }
    }
}

impl Row {
    pub(super) fn into_entry(self) -> Option<Entry> {
        Some(Entry {
            version: self.v.parse().ok()?,
            name: self.n,
            text: self.v,
            app_version: self.a,
            kube_version: self.k,
            urls: self.u,
            digest: self.d,
            created: self.c,
            deprecated: self.x,
            first_seen: self.s.and_then(|time| time.parse().ok()),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn broken_entries_are_named_and_good_ones_stay() {
        let list = json!([
            {"name": "a", "version": "1.0.0"},
            null,
            {"version": "1.0.0"},
            {"name": "a", "version": 1.5},
            {"name": "a", "version": "nope"},
            {"name": "../a", "version": "1.0.0"},
            {"name": "a", "version": "1.0.0", "type": "other"},
            {"name": "a", "version": "v2", "appVersion": 7, "deprecated": true, "type": "library"},
        ]);
        let (good, warnings) = entries_of(&list);
        let texts: Vec<_> = good.iter().map(|entry| entry.text.as_str()).collect();
        assert_eq!(texts, ["v2", "1.0.0"]);
        assert_eq!((good[0].app_version.as_str(), good[0].deprecated), ("7", true));
        let warnings: Vec<_> = warnings.iter().map(|warning| warning.0.as_str()).collect();
        insta::assert_snapshot!(warnings.join("\n"), @r"
        an entry is not a map
        an entry lacks name or version (``, `1.0.0`)
        version is `1.5`, not a text: it lacks quotes
        a: version `nope`: invalid semantic version
        `../a` is not the name of a chart
        a 1.0.0: type `other` is neither application nor library
        ");
    }

    #[test]
    fn of_equal_precedence_the_later_published_comes_first() {
        let entry = |version, created| json!({"name": "a", "version": version, "created": created});
        let list = json!([
            entry("1.0.0+a", "2026-01-01T12:00:00+02:00"),
            entry("1.0.0+b", "2026-01-01T11:00:00Z"),
            entry("1.0.0+c", "2026-01-01T10:30:00Z"),
        ]);
        let texts: Vec<_> = entries_of(&list).0.into_iter().map(|entry| entry.text).collect();
        assert_eq!(texts, ["1.0.0+b", "1.0.0+c", "1.0.0+a"]);
    }

    #[test]
    fn rows_keep_everything() {
        let mut entry = entries_of(&json!([{
            "name": "a", "version": "1.0.0", "appVersion": "7", "kubeVersion": ">=1.20",
            "urls": ["a.tgz"], "digest": "00", "created": "2026-01-01T00:00:00Z", "deprecated": true,
        }]))
        .0
        .remove(0);
        entry.first_seen = Some("2026-02-01T00:00:00.5Z".parse().unwrap());
        let text = serde_json::to_string(&Row::from(&entry)).unwrap();
        let row: Row = serde_json::from_str(&text).unwrap();
        assert_eq!(row.into_entry().unwrap(), entry);
    }
}
