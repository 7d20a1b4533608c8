//! `index.yaml`: found by lines, parsed a chart at a time.
//!
//! Indexes are large (37 MB for some repositories) and written by machines in one style: the names
//! of the charts stand alone on lines indented by two spaces. One pass over the lines finds where
//! each chart begins; only the chart that is asked for is parsed. Any other style is parsed whole.
//!
//! Source: helm v4.3.1 pkg/repo/v1/index.go.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::base::version::Version;
use crate::chart::Metadata;
use crate::yaml::{self, Map, Numbers, Value};

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
    /// Where the archive is.
    pub urls: Vec<String>,
    /// SHA-256 of the archive, hex; may be empty.
    pub digest: String,
    /// When it was published.
    pub created: String,
    /// Whether it is deprecated.
    pub deprecated: bool,
}

/// An entry that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning(pub String);

/// Where the charts of an index are.
#[derive(Debug, Clone, PartialEq)]
pub enum Index {
    /// Byte ranges of the charts' blocks.
    Scanned(BTreeMap<String, Range<usize>>),
    /// The entries, parsed.
    Parsed(Map),
}

impl Index {
    /// Finds the charts of an index.
    ///
    /// # Errors
    /// A text for people: it is no index.
    pub fn find(text: &str) -> Result<Self, String> {
        let trimmed = text.trim_start();
        if trimmed.is_empty() {
            return Err("it is empty".to_owned());
        }
        if trimmed.starts_with('<') {
            return Err("it is a web page, not an index: check the address".to_owned());
        }
        if let Some(ranges) = scan(text) {
            return Ok(Self::Scanned(ranges));
        }
        let value = if trimmed.starts_with('{') {
            yaml::json::parse(text, Numbers::Exact)
        } else {
            yaml::parse_strict(text, Numbers::Exact)
        };
        let Value::Object(mut index) = value.map_err(|error| error.to_string())? else {
            return Err("it is not a map".to_owned());
        };
        if index.get("apiVersion").and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err("no API version specified".to_owned());
        }
        match index.remove("entries") {
            Some(Value::Object(entries)) => Ok(Self::Parsed(entries)),
            None | Some(Value::Null) => Ok(Self::Parsed(Map::new())),
            Some(_) => Err("its entries are not a map".to_owned()),
        }
    }

    /// Returns the names of the charts.
    pub fn charts(&self) -> Vec<&str> {
        match self {
            Self::Scanned(ranges) => ranges.keys().map(String::as_str).collect(),
            Self::Parsed(entries) => entries.keys().map(String::as_str).collect(),
        }
    }

    /// Returns where the text of a chart is, if it has to be read.
    pub(super) fn range(&self, chart: &str) -> Option<Range<usize>> {
        match self {
            Self::Scanned(ranges) => ranges.get(chart).cloned(),
            Self::Parsed(_) => None,
        }
    }

    /// Returns the versions of a chart, newest first; `block` is the text of its range.
    ///
    /// # Errors
    /// The block is not YAML.
    pub(super) fn entries(
        &self,
        chart: &str,
        block: &str,
    ) -> Result<(Vec<Entry>, Vec<Warning>), String> {
        match self {
            Self::Parsed(entries) => Ok(entries_of(entries.get(chart).unwrap_or(&Value::Null))),
            Self::Scanned(_) => {
                let value =
                    yaml::parse(block, Numbers::Exact).map_err(|error| error.to_string())?;
                Ok(entries_of(value.get(chart).unwrap_or(&Value::Null)))
            }
        }
    }
}

/// Finds the charts by lines; none when the text is of another style.
fn scan(text: &str) -> Option<BTreeMap<String, Range<usize>>> {
    let mut ranges = BTreeMap::new();
    let mut open: Option<(String, usize)> = None;
    let (mut in_entries, mut has_version, mut seen_entries) = (false, false, false);
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let content = line.trim_end();
        match line.as_bytes() {
            [b'\n' | b'\r' | b'#', ..] | [] => continue,
            [b' ', b' ', b' ' | b'-', ..] if in_entries => continue,
            [b' ', b' ', ..] if in_entries => {
                if let Some((name, from)) = open.take() {
                    ranges.insert(name, from..start);
                }
                let name = content[2..].strip_suffix(':')?;
                let name = name.trim_matches(['"', '\'']);
                if name.is_empty() || name.contains([' ', ':', '&', '*', '#', '\\']) {
                    return None;
                }
                open = Some((name.to_owned(), start));
            }
            [b' ' | b'-', ..] if !in_entries => continue,
            [b' ', ..] => return None,
            _ => {
                if let Some((name, from)) = open.take() {
                    ranges.insert(name, from..start);
                }
                let (key, value) = content.split_once(':')?;
                in_entries = key == "entries" && value.trim().is_empty();
                seen_entries |= in_entries;
                if key == "entries" && !in_entries {
                    return None;
                }
                has_version |= key == "apiVersion" && !value.trim().is_empty();
            }
        }
    }
    if let Some((name, from)) = open {
        ranges.insert(name, from..at);
    }
    (seen_entries && has_version).then_some(ranges)
}

fn entries_of(list: &Value) -> (Vec<Entry>, Vec<Warning>) {
    let (mut good, mut warnings) = (Vec::new(), Vec::new());
    for item in list.as_array().into_iter().flatten() {
        match entry(item) {
            Ok(entry) => good.push(entry),
            Err(reason) => warnings.push(Warning(reason)),
        }
    }
    // Newest first; of equal precedence, the later published one.
    good.sort_by(|a, b| b.version.cmp(&a.version).then_with(|| b.created.cmp(&a.created)));
    (good, warnings)
}

fn entry(item: &Value) -> Result<Entry, String> {
    let Value::Object(map) = item else {
        return Err("an entry is not a map".to_owned());
    };
    let text = |key: &str| map.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (name, version) = (text("name"), text("version"));
    if name.is_empty() || version.is_empty() {
        return Err(format!("an entry lacks name or version: {}", shown(map)));
    }
    let parsed: Version =
        version.parse().map_err(|_| format!("{name}: version `{version}` is not a version"))?;
    let urls = map.get("urls").and_then(Value::as_array).into_iter().flatten();
    Ok(Entry {
        urls: urls.filter_map(Value::as_str).map(str::to_owned).collect(),
        app_version: text("appVersion"),
        digest: text("digest"),
        created: text("created"),
        deprecated: map.get("deprecated").and_then(Value::as_bool).unwrap_or(false),
        version: parsed,
        text: version,
        name,
    })
}

fn shown(map: &Map) -> String {
    let known: Metadata = serde_json::from_value(Value::Object(map.clone())).unwrap_or_default();
    format!("name `{}`, version `{}`", known.name, known.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(text: &str, chart: &str) -> Vec<String> {
        let index = Index::find(text).unwrap();
        let block = index.range(chart).map_or("", |range| &text[range]);
        let (entries, _) = index.entries(chart, block).unwrap();
        entries.into_iter().map(|entry| entry.text).collect()
    }

    const INDEX: &str = "apiVersion: v1\nentries:\n  b:\n  - name: b\n    version: 1.0.0\n  a:\n  - name: a\n    version: 0.9.0\n    description: |\n      x:\n        y\n  - name: a\n    version: 0.10.0\n  - version: 1.0.0\n  - name: a\n    version: nope\n  - null\ngenerated: x\n";

    #[test]
    fn charts_are_found_and_broken_entries_left_out() {
        assert!(matches!(Index::find(INDEX).unwrap(), Index::Scanned(_)));
        assert_eq!(Index::find(INDEX).unwrap().charts(), ["a", "b"]);
        assert_eq!(versions(INDEX, "a"), ["0.10.0", "0.9.0"]);
        assert!(versions(INDEX, "c").is_empty());
        let json = r#"{"apiVersion":"v1","entries":{"a":[{"name":"a","version":"1.0.0"}]}}"#;
        assert_eq!(versions(json, "a"), ["1.0.0"]);
        let flow = "apiVersion: v1\nentries: {a: [{name: a, version: 1.0.0}]}\n";
        assert_eq!(versions(flow, "a"), ["1.0.0"]);
    }

    #[test]
    fn what_is_no_index_is_refused() {
        for (text, want) in [
            ("", "empty"),
            ("<!DOCTYPE html><html>", "web page"),
            ("entries: {}", "no API version"),
            ("just text", "not a map"),
            ("a: [1", "yaml:"),
        ] {
            let error = Index::find(text).unwrap_err();
            assert!(error.contains(want), "{text}: {error}");
        }
    }

    #[test]
    fn both_ways_agree_on_real_indexes() {
        let Some(corpus) = crate::base::testing::corpus() else { return };
        for repository in ["podinfo", "prometheus-community"] {
            let path = corpus.join("charts").join(repository).join("index.yaml");
            let text = crate::base::file::read_text(&path, 1 << 26).unwrap();
            let scanned = Index::find(&text).unwrap();
            let whole = yaml::parse_strict(&text, Numbers::Exact).unwrap();
            let parsed = Index::Parsed(whole["entries"].as_object().unwrap().clone());
            assert_eq!(scanned.charts(), parsed.charts());
            for chart in scanned.charts() {
                let block = &text[scanned.range(chart).unwrap()];
                assert_eq!(scanned.entries(chart, block), parsed.entries(chart, ""), "{chart}");
            }
        }
    }
}
