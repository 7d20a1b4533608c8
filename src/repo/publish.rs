//! `index.yaml` of a folder of packages, to be served from anywhere.
//!
//! Source: helm v4.3.1 pkg/repo/v1/index.go (`IndexDirectory`, `Merge`), pkg/cmd/repo_index.go.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use url::Url;

use super::error::Error;
use crate::base::class::chain;
use crate::base::clock::{Timestamp, rfc3339_nano};
use crate::base::digest::Digest;
use crate::base::version::Version;
use crate::base::{file, limit};
use crate::chart::{self, Metadata};
use crate::yaml::{self, Numbers, Value};

/// An index as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listing {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    generated: String,
    #[serde(default)]
    entries: BTreeMap<String, Vec<Listed>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    public_keys: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

/// A version of a chart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Listed {
    #[serde(flatten)]
    metadata: Metadata,
    #[serde(default)]
    urls: Vec<String>,
    #[serde(default = "never")]
    created: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    removed: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    digest: String,
}

/// Go's zero time.
fn never() -> String {
    "0001-01-01T00:00:00Z".to_owned()
}

impl Listing {
    /// Returns an index of nothing.
    pub fn new(now: Timestamp) -> Self {
        Self {
            api_version: "v1".to_owned(),
            generated: rfc3339_nano(now),
            entries: BTreeMap::new(),
            public_keys: Vec::new(),
            annotations: BTreeMap::new(),
        }
    }

    /// Returns an index of the packages in a folder and in the folders inside it. What is no chart
    /// is left out.
    ///
    /// # Errors
    /// A package cannot be read.
    pub fn of_folder(folder: &Path, url: &str, now: Timestamp) -> Result<Self, Error> {
        let mut listing = Self::new(now);
        let mut paths = packages(folder);
        for inner in inside(folder).into_iter().filter(|path| path.is_dir()) {
            paths.extend(packages(&inner));
        }
        for path in paths {
            let bytes = file::read_bytes(&path, limit::ARCHIVE_BYTES).map_err(Error::File)?;
            let Ok(mut metadata) = chart::load_archive(&bytes).map(|chart| chart.metadata) else {
                continue;
            };
            if metadata.api_version.is_empty() {
                "v1".clone_into(&mut metadata.api_version);
            }
            let below = path.strip_prefix(folder).unwrap_or(&path);
            let listed = Listed {
                urls: vec![join(url, &below.to_string_lossy())],
                created: rfc3339_nano(now),
                removed: false,
                digest: Digest::of(&bytes).to_hex(),
                metadata,
            };
            listing.entries.entry(listed.metadata.name.clone()).or_default().push(listed);
        }
        listing.sort();
        Ok(listing)
    }

    /// Reads an index.
    ///
    /// # Errors
    /// Helm's texts.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("empty index.yaml file".to_owned());
        }
        let value = yaml::parse(text, Numbers::Exact).map_err(|error| error.to_string())?;
        let mut value = match value {
            Value::Null => serde_json::json!({}),
            value => value,
        };
        for list in value.get_mut("entries").and_then(Value::as_object_mut).into_iter().flatten() {
            if let Some(list) = list.1.as_array_mut() {
                list.retain(|entry| !entry.is_null());
            }
        }
        let mut listing: Self = serde_json::from_value(value).map_err(|error| error.to_string())?;
        for listed in listing.entries.values_mut() {
            listed.retain(|entry| entry.metadata.version.parse::<Version>().is_ok());
            for entry in listed.iter_mut().filter(|e| e.metadata.api_version.is_empty()) {
                "v1".clone_into(&mut entry.metadata.api_version);
            }
        }
        if listing.api_version.is_empty() {
            return Err("no API version specified".to_owned());
        }
        Ok(listing)
    }

    /// Adds the versions of another index that this one lacks.
    pub fn merge(&mut self, other: Self) {
        for (name, more) in other.entries {
            let known = self.entries.entry(name).or_default();
            for entry in more {
                let same = |known: &Listed| known.metadata.version == entry.metadata.version;
                if !known.iter().any(same) {
                    known.push(entry);
                }
            }
        }
        self.entries.retain(|_, list| !list.is_empty());
        self.sort();
    }

    /// Newest versions first.
    fn sort(&mut self) {
        for list in self.entries.values_mut() {
            list.sort_by(|a, b| {
                let version = |entry: &Listed| entry.metadata.version.parse::<Version>().ok();
                version(b).cmp(&version(a))
            });
        }
    }

    /// Returns the text, as YAML or as JSON.
    ///
    /// # Errors
    /// A text of it cannot be written.
    pub fn print(&self, as_json: bool) -> Result<String, Error> {
        let failed = |why: String| Error::Helm(why);
        if as_json {
            let text = serde_json::to_string_pretty(self).map_err(|e| failed(e.to_string()))?;
            return Ok(yaml::json::escape_html(&text));
        }
        let value = serde_json::to_value(self).map_err(|error| failed(error.to_string()))?;
        yaml::print(&value).map_err(|error| failed(chain(&error)))
    }
}

/// Lists a folder by name.
fn inside(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    found.sort();
    found
}

fn packages(folder: &Path) -> Vec<PathBuf> {
    let mut found = inside(folder);
    found.retain(|path| path.extension().is_some_and(|end| end == "tgz"));
    found
}

/// Returns the address of a package below the repository's.
fn join(url: &str, below: &str) -> String {
    if url.is_empty() {
        return below.to_owned();
    }
    match Url::parse(url) {
        Ok(mut address) => {
            let path = format!("{}/{below}", address.path().trim_end_matches('/'));
            address.set_path(&path);
            address.to_string()
        }
        Err(_) => format!("{}/{below}", url.trim_end_matches('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_joined() {
        let rows = [
            ("", "a.tgz", "a.tgz"),
            ("", "in/a.tgz", "in/a.tgz"),
            ("https://x", "a.tgz", "https://x/a.tgz"),
            ("https://x/y/", "in/a.tgz", "https://x/y/in/a.tgz"),
            ("https://x/y?q=1", "a.tgz", "https://x/y/a.tgz?q=1"),
            ("charts/", "a.tgz", "charts/a.tgz"),
        ];
        for (url, below, wanted) in rows {
            assert_eq!(join(url, below), wanted, "{url} {below}");
        }
    }
}
