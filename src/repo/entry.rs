//! One version of a chart.

use std::borrow::Cow;

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

/// What an index says of a version, before it is packed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Fields<'t> {
    pub(super) name: Cow<'t, str>,
    pub(super) version: Cow<'t, str>,
    pub(super) kind: Cow<'t, str>,
    pub(super) app_version: Cow<'t, str>,
    pub(super) kube_version: Cow<'t, str>,
    pub(super) urls: Vec<Cow<'t, str>>,
    pub(super) digest: Cow<'t, str>,
    pub(super) created: Cow<'t, str>,
    pub(super) deprecated: bool,
    pub(super) description: Cow<'t, str>,
    pub(super) keywords: Vec<Cow<'t, str>>,
}

impl<'t> Fields<'t> {
    /// Reads one entry; the error is a text for people.
    ///
    /// Source: helm v4.3.1 pkg/repo/v1/index.go (`loadIndex`).
    pub(super) fn of(item: &'t Value) -> Result<(Self, Version), String> {
        let Value::Object(map) = item else {
            return Err("an entry is not a map".to_owned());
        };
        let (name, version) = (text(map, "name")?, text(map, "version")?);
        let parsed = identity(&name, &version)?;
        let kind = text(map, "type")?;
        kind_of(&name, &version, &kind)?;
        // These decide nothing here: a number, as careless indexes have it, hides no version.
        let loose = |key: &str| text(map, key).unwrap_or_else(|_| map[key].to_string().into());
        let list = |key: &str| map.get(key).and_then(Value::as_array).into_iter().flatten();
        let texts = |key: &str| list(key).filter_map(Value::as_str).map(Cow::Borrowed).collect();
        let plain = |value: &'t Value| Cow::Borrowed(value.as_str().unwrap_or_default());
        let fields = Self {
            urls: texts("urls"),
            app_version: loose("appVersion"),
            kube_version: loose("kubeVersion"),
            digest: text(map, "digest").unwrap_or_default(),
            created: text(map, "created").unwrap_or_default(),
            deprecated: map.get("deprecated").and_then(Value::as_bool).unwrap_or(false),
            description: map.get("description").map(plain).unwrap_or_default(),
            keywords: list("keywords").map(plain).collect(),
            name,
            version,
            kind,
        };
        Ok((fields, parsed))
    }

    /// Says what is wrong with the entry, as [`Fields::of`] would.
    pub(super) fn check(&self) -> Result<Version, String> {
        let parsed = identity(&self.name, &self.version)?;
        kind_of(&self.name, &self.version, &self.kind)?;
        Ok(parsed)
    }
}

fn identity(name: &str, version: &str) -> Result<Version, String> {
    if name.is_empty() || version.is_empty() {
        return Err(format!("an entry lacks name or version (`{name}`, `{version}`)"));
    }
    if matches!(name, "." | "..") || name.contains(['/', '\\']) {
        return Err(format!("`{name}` is not the name of a chart"));
    }
    version.parse().map_err(|error| format!("{name}: version `{version}`: {error}"))
}

fn kind_of(name: &str, version: &str, kind: &str) -> Result<(), String> {
    match kind {
        "" | "application" | "library" => Ok(()),
        _ => Err(format!("{name} {version}: type `{kind}` is neither application nor library")),
    }
}

fn text<'t>(map: &'t Map, key: &str) -> Result<Cow<'t, str>, String> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(Cow::Borrowed("")),
        Some(Value::String(text)) => Ok(text.as_str().into()),
        Some(other) => Err(format!("{key} is `{other}`, not a text: it lacks quotes")),
    }
}

/// Reads the list of a chart in the plainest way: the good entries newest first, and what was wrong
/// with the others.
///
/// Source: helm v4.3.1 pkg/repo/v1/index.go (`loadIndex`, `SortEntries`).
#[cfg(test)]
pub(super) fn entries_of(list: &Value) -> (Vec<Entry>, Vec<Warning>) {
    let (mut good, mut warnings) = (Vec::new(), Vec::new());
    for item in list.as_array().into_iter().flatten() {
        match Fields::of(item) {
            Ok((fields, version)) => good.push(Entry {
                name: fields.name.into(),
                text: fields.version.into(),
                version,
                app_version: fields.app_version.into(),
                kube_version: fields.kube_version.into(),
                urls: fields.urls.into_iter().map(Into::into).collect(),
                digest: fields.digest.into(),
                created: fields.created.into(),
                deprecated: fields.deprecated,
                first_seen: None,
            }),
            Err(reason) => warnings.push(Warning(reason)),
        }
    }
    // Newest first; of equal precedence (build metadata), the later published one.
    good.sort_by_cached_key(|entry| {
        std::cmp::Reverse((entry.version.clone(), entry.created.parse::<Timestamp>().ok()))
    });
    (good, warnings)
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
    fn dependencies_of_one_name_are_no_reason_to_leave_an_entry_out() {
        let twice = json!([
            {"name": "db", "version": "1.x", "repository": "https://c.example"},
            {"name": "db", "version": "2.x", "repository": "https://c.example"},
        ]);
        let list = json!([{"name": "a", "version": "1.0.0", "dependencies": twice}]);
        let (good, warnings) = entries_of(&list);
        assert_eq!((good.len(), warnings.len()), (1, 0));
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
}
