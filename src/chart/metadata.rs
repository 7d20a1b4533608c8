//! `Chart.yaml` and `Chart.lock`: from YAML to checked data, and on to `.Chart`.

use std::collections::BTreeMap;

use super::{Dependency, Error, Maintainer, Metadata, gotext, load};
use crate::{
    base::version::Version,
    yaml::{Map, Value},
};

/// `Chart.yaml` as read, before it is checked: lists may hold nulls.
#[derive(Debug, Default)]
pub(crate) struct Raw {
    /// Everything but the two lists.
    pub(crate) plain: Metadata,
    maintainers: Vec<Option<Maintainer>>,
    dependencies: Vec<Option<Dependency>>,
}

impl Raw {
    /// Reads a file over what was read before. Field names match in any case, unknown ones are
    /// ignored, scalars become texts where a text is wanted.
    pub(crate) fn read(&mut self, data: &[u8], file: &'static str) -> Result<(), Error> {
        let mut decoder = Decoder { structure: "Metadata", path: Vec::new(), first_error: None };
        match load::parse_exact(data, file)? {
            Value::Null => {}
            Value::Object(map) => self.decode(map, &mut decoder),
            other => {
                let text = format!(
                    "json: cannot unmarshal {} into Go value of type v2.Metadata",
                    json_kind(&other)
                );
                decoder.first_error = Some(text);
            }
        }
        decoder.done(file)
    }

    fn decode(&mut self, map: Map, decoder: &mut Decoder) {
        let plain = &mut self.plain;
        for (key, value) in map {
            let key = key.to_ascii_lowercase();
            decoder.inside(&key, |d, key| match key {
                "name" => d.text(value, &mut plain.name),
                "home" => d.text(value, &mut plain.home),
                "sources" => d.texts(value, &mut plain.sources),
                "version" => d.text(value, &mut plain.version),
                "description" => d.text(value, &mut plain.description),
                "keywords" => d.texts(value, &mut plain.keywords),
                "maintainers" => d.list(value, &mut self.maintainers, MAINTAINER),
                "icon" => d.text(value, &mut plain.icon),
                "apiversion" => d.text(value, &mut plain.api_version),
                "condition" => d.text(value, &mut plain.condition),
                "tags" => d.text(value, &mut plain.tags),
                "appversion" => d.text(value, &mut plain.app_version),
                "deprecated" => d.flag(value, &mut plain.deprecated),
                "annotations" => d.annotations(value, &mut plain.annotations),
                "kubeversion" => d.text(value, &mut plain.kube_version),
                "dependencies" => d.list(value, &mut self.dependencies, DEPENDENCY),
                "type" => d.text(value, &mut plain.kind),
                _ => {}
            });
        }
    }

    /// Cleans the texts and checks what must hold.
    ///
    /// Source: helm v4.3.1 pkg/chart/v2/metadata.go (`Validate`).
    pub(crate) fn checked(self) -> Result<Metadata, Error> {
        let wrong = |text: String| Err(Error::Validation(text));
        let mut metadata = self.plain;
        metadata.sanitize();
        let name = metadata.name.as_str();
        if metadata.api_version.is_empty() {
            return wrong("chart.metadata.apiVersion is required".to_owned());
        }
        if name.is_empty() {
            return wrong("chart.metadata.name is required".to_owned());
        }
        if matches!(name, "." | "..") {
            return wrong(format!("chart.metadata.name {} is not allowed", gotext::quote(name)));
        }
        if name.contains('/') {
            return wrong(format!("chart.metadata.name {} is invalid", gotext::quote(name)));
        }
        if metadata.version.is_empty() {
            return wrong("chart.metadata.version is required".to_owned());
        }
        if metadata.version.parse::<Version>().is_err() {
            let version = gotext::quote(&metadata.version);
            return wrong(format!("chart.metadata.version {version} is invalid"));
        }
        if !matches!(metadata.kind.as_str(), "" | "application" | "library") {
            return wrong("chart.metadata.type must be application or library".to_owned());
        }
        for maintainer in self.maintainers {
            let Some(mut maintainer) = maintainer else {
                return wrong("maintainers must not contain empty or null nodes".to_owned());
            };
            for text in [&mut maintainer.name, &mut maintainer.email, &mut maintainer.url] {
                sanitize(text);
            }
            metadata.maintainers.push(maintainer);
        }
        let mut names = std::collections::BTreeSet::new();
        for dependency in self.dependencies {
            let dependency = checked_dependency(dependency)?;
            let alias = Some(&dependency.alias).filter(|alias| !alias.is_empty());
            let name = alias.unwrap_or(&dependency.name);
            if !names.insert(name.clone()) {
                let name = gotext::quote(name);
                return wrong(format!("more than one dependency with name or alias {name}"));
            }
            metadata.dependencies.push(dependency);
        }
        Ok(metadata)
    }
}

/// `Chart.yaml` as it is written: neither checked nor cleaned.
#[derive(Debug, Default)]
pub struct Written {
    /// Everything but the two lists.
    pub metadata: Metadata,
    /// People; a list may hold nulls.
    pub maintainers: Vec<Option<Maintainer>>,
    /// How many dependencies are declared.
    pub dependencies: usize,
}

/// Reads `Chart.yaml` for somebody who wants to say more of it than what is wrong first.
///
/// # Errors
/// The text is not YAML, or a field has a kind that it must not have; in Helm's words.
pub fn read_written(data: &[u8]) -> Result<Written, String> {
    let mut raw = Raw::default();
    raw.read(data, "Chart.yaml").map_err(|error| match error {
        Error::Parse { text, .. } => text,
        other => other.to_string(),
    })?;
    let dependencies = raw.dependencies.len();
    Ok(Written { metadata: raw.plain, maintainers: raw.maintainers, dependencies })
}

/// Source: helm v4.3.1 pkg/chart/v2/dependency.go (`Validate`).
fn checked_dependency(dependency: Option<Dependency>) -> Result<Dependency, Error> {
    let Some(mut dependency) = dependency else {
        let text = "dependencies must not contain empty or null nodes";
        return Err(Error::Validation(text.to_owned()));
    };
    sanitize(&mut dependency.name);
    sanitize(&mut dependency.version);
    sanitize(&mut dependency.repository);
    sanitize(&mut dependency.condition);
    dependency.tags.iter_mut().for_each(sanitize);
    let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !dependency.alias.bytes().all(fine) {
        let name = gotext::quote(&dependency.name);
        let text = format!("dependency {name} has disallowed characters in the alias");
        return Err(Error::Validation(text));
    }
    Ok(dependency)
}

impl Metadata {
    fn sanitize(&mut self) {
        for text in [
            &mut self.name,
            &mut self.description,
            &mut self.home,
            &mut self.icon,
            &mut self.condition,
            &mut self.tags,
            &mut self.app_version,
            &mut self.kube_version,
        ] {
            sanitize(text);
        }
        self.sources.iter_mut().for_each(sanitize);
        self.keywords.iter_mut().for_each(sanitize);
    }

    /// Returns whether the chart only gives templates to others.
    pub fn is_library(&self) -> bool {
        self.kind.eq_ignore_ascii_case("library")
    }

    /// Returns `.Chart`: every field under its Go name, nothing left out. Of a processed chart, the
    /// name is the alias and the dependencies are those that are enabled.
    ///
    /// Absent annotations are an empty map here (Helm prints `null` for them, and still lets
    /// templates look into them).
    ///
    /// Source: helm v4.3.1 pkg/chart/common.go (`MetadataAsMap`).
    pub fn to_template_map(&self, is_root: bool) -> Value {
        let maintainers = self.maintainers.iter().map(|person| {
            serde_json::json!({"Name": person.name, "Email": person.email, "URL": person.url})
        });
        let dependencies = self.dependencies.iter().map(|dependency| {
            serde_json::json!({
                "Name": dependency.name,
                "Version": dependency.version,
                "Repository": dependency.repository,
                "Condition": dependency.condition,
                "Tags": dependency.tags,
                "Enabled": dependency.enabled,
                "ImportValues": dependency.import_values,
                "Alias": dependency.alias,
            })
        });
        serde_json::json!({
            "Name": self.name,
            "Home": self.home,
            "Sources": self.sources,
            "Version": self.version,
            "Description": self.description,
            "Keywords": self.keywords,
            "Maintainers": maintainers.collect::<Vec<Value>>(),
            "Icon": self.icon,
            "APIVersion": self.api_version,
            "Condition": self.condition,
            "Tags": self.tags,
            "AppVersion": self.app_version,
            "Deprecated": self.deprecated,
            "Annotations": self.annotations,
            "KubeVersion": self.kube_version,
            "Dependencies": dependencies.collect::<Vec<Value>>(),
            "Type": self.kind,
            "IsRoot": is_root,
        })
    }
}

/// Every blank becomes a space, what cannot be printed is dropped.
///
/// Source: helm v4.3.1 pkg/chart/v2/metadata.go (`sanitizeString`).
pub fn sanitize(text: &mut String) {
    if text.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return;
    }
    let clean = text.chars().filter_map(|c| match c {
        c if c.is_whitespace() => Some(' '),
        c if gotext::is_print(c) => Some(c),
        _ => None,
    });
    *text = clean.collect();
}

/// Reads a lock file into the shape that records of releases hold; `null` is no lock.
pub(crate) fn read_lock(data: &[u8], file: &'static str) -> Result<Option<Value>, Error> {
    let map = match load::parse_exact(data, file)? {
        Value::Null => return Ok(None),
        Value::Object(map) => map,
        other => {
            let kind = json_kind(&other);
            let text = format!("json: cannot unmarshal {kind} into Go value of type v2.Lock");
            return Err(Error::Parse { file, text: format!("{JSON}{text}") });
        }
    };
    let mut decoder = Decoder { structure: "Lock", path: Vec::new(), first_error: None };
    let mut generated = String::new();
    let mut digest = String::new();
    let mut dependencies: Vec<Option<Dependency>> = Vec::new();
    for (key, value) in map {
        let key = key.to_ascii_lowercase();
        decoder.inside(&key, |d, key| match key {
            "generated" => d.text(value, &mut generated),
            "digest" => d.text(value, &mut digest),
            "dependencies" => d.list(value, &mut dependencies, DEPENDENCY),
            _ => {}
        });
    }
    decoder.done(file)?;
    if generated.is_empty() {
        "0001-01-01T00:00:00Z".clone_into(&mut generated);
    }
    Ok(Some(serde_json::json!({
        "generated": generated,
        "digest": digest,
        "dependencies": dependencies,
    })))
}

/// What Helm puts before errors of its second decoding step.
const JSON: &str = "error unmarshaling JSON: while decoding JSON: ";

/// Decodes as Go's encoding/json does: the first wrong field is told, the others are still read.
struct Decoder {
    structure: &'static str,
    path: Vec<String>,
    first_error: Option<String>,
}

/// How one element of a list is read.
struct Element<T> {
    /// Name of the Go type.
    kind: &'static str,
    decode: fn(&mut Decoder, Map, &mut T),
}

const MAINTAINER: Element<Maintainer> = Element {
    kind: "Maintainer",
    decode: |decoder, map, into| {
        for (key, value) in map {
            let key = key.to_ascii_lowercase();
            decoder.inside(&key, |d, key| match key {
                "name" => d.text(value, &mut into.name),
                "email" => d.text(value, &mut into.email),
                "url" => d.text(value, &mut into.url),
                _ => {}
            });
        }
    },
};

const DEPENDENCY: Element<Dependency> = Element {
    kind: "Dependency",
    decode: |decoder, map, into| {
        for (key, value) in map {
            let key = key.to_ascii_lowercase();
            decoder.inside(&key, |d, key| match key {
                "name" => d.text(value, &mut into.name),
                "version" => d.text(value, &mut into.version),
                "repository" => d.text(value, &mut into.repository),
                "condition" => d.text(value, &mut into.condition),
                "tags" => d.texts(value, &mut into.tags),
                "enabled" => d.flag(value, &mut into.enabled),
                "import-values" => d.values(value, &mut into.import_values),
                "alias" => d.text(value, &mut into.alias),
                _ => {}
            });
        }
    },
};

impl Decoder {
    fn inside(&mut self, key: &str, read: impl FnOnce(&mut Self, &str)) {
        let shown = match key {
            "apiversion" => "apiVersion",
            "appversion" => "appVersion",
            "kubeversion" => "kubeVersion",
            key => key,
        };
        self.path.push(shown.to_owned());
        read(self, key);
        self.path.pop();
    }

    fn wrong(&mut self, value: &Value, wanted: &str) {
        if self.first_error.is_none() {
            self.first_error = Some(format!(
                "json: cannot unmarshal {} into Go struct field {}.{} of type {wanted}",
                json_kind(value),
                self.structure,
                self.path.join("."),
            ));
        }
    }

    fn done(self, file: &'static str) -> Result<(), Error> {
        match self.first_error {
            None => Ok(()),
            Some(text) => Err(Error::Parse { file, text: format!("{JSON}{text}") }),
        }
    }

    fn text(&mut self, value: Value, into: &mut String) {
        match value {
            Value::Null => {}
            Value::String(text) => *into = text,
            Value::Bool(flag) => *into = flag.to_string(),
            Value::Number(number) => {
                *into = match number.as_f64() {
                    Some(float) if number.is_f64() => gotext::print_float32(float),
                    _ => number.to_string(),
                };
            }
            Value::Array(_) | Value::Object(_) => self.wrong(&value, "string"),
        }
    }

    fn flag(&mut self, value: Value, into: &mut bool) {
        match value {
            Value::Null => {}
            Value::Bool(flag) => *into = flag,
            other => self.wrong(&other, "bool"),
        }
    }

    fn texts(&mut self, value: Value, into: &mut Vec<String>) {
        match value {
            Value::Null => into.clear(),
            Value::Array(items) => {
                into.clear();
                for item in items {
                    let mut text = String::new();
                    self.text(item, &mut text);
                    into.push(text);
                }
            }
            other => self.wrong(&other, "[]string"),
        }
    }

    fn values(&mut self, value: Value, into: &mut Vec<Value>) {
        match value {
            Value::Null => into.clear(),
            Value::Array(items) => *into = items,
            other => self.wrong(&other, "[]interface {}"),
        }
    }

    fn annotations(&mut self, value: Value, into: &mut BTreeMap<String, String>) {
        match value {
            Value::Null => into.clear(),
            Value::Object(map) => {
                for (key, value) in map {
                    let mut text = String::new();
                    self.text(value, &mut text);
                    into.insert(key, text);
                }
            }
            other => self.wrong(&other, "map[string]string"),
        }
    }

    /// Reads a list of structures; elements that were there before are read over.
    fn list<T: Default>(&mut self, value: Value, into: &mut Vec<Option<T>>, of: Element<T>) {
        let items = match value {
            Value::Null => {
                into.clear();
                return;
            }
            Value::Array(items) => items,
            other => {
                self.wrong(&other, &format!("[]*v2.{}", of.kind));
                return;
            }
        };
        into.resize_with(items.len(), || None);
        for (item, into) in items.into_iter().zip(into) {
            match item {
                Value::Null => *into = None,
                Value::Object(map) => {
                    let outer = std::mem::replace(&mut self.structure, of.kind);
                    (of.decode)(self, map, into.get_or_insert_default());
                    self.structure = outer;
                }
                other => self.wrong(&other, &format!("v2.{}", of.kind)),
            }
        }
    }
}

fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
