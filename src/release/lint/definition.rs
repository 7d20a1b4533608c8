//! Rules about `Chart.yaml`.
//!
//! Source: helm v4.3.1 pkg/chart/v2/lint/rules/chartfile.go.

use super::super::members::{DEPENDENCY, MAINTAINER, METADATA};
use super::{Linted, Severity, address};
use crate::base::version::Version;
use crate::chart::{Written, read_written};
use crate::yaml::{self, Map, Numbers, Value};

const FILE: &str = "Chart.yaml";

pub(super) fn check(definition: &Result<Vec<u8>, String>, report: &mut Linted) {
    let read = definition.as_ref().map_err(Clone::clone).and_then(|bytes| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        read_written(bytes).map(|written| (written, text))
    });
    let (written, text) = match read {
        Ok(read) => read,
        Err(why) => {
            report.error(FILE, format!("unable to parse YAML\n\t{why}"));
            return;
        }
    };
    if let Some(why) = strictly(&text) {
        report.warn(FILE, format!("failed to strictly parse chart metadata file\n\t{why}"));
    }
    let loose = yaml::parse_map(&text, Numbers::Float).unwrap_or_default();
    let metadata = &written.metadata;
    let errors = [
        name(&metadata.name),
        api_version(&metadata.api_version),
        is_text(&loose, "version"),
        version(&metadata.version),
        is_text(&loose, "appVersion"),
        maintainers(&written),
        sources(&metadata.sources),
    ];
    errors.into_iter().flatten().for_each(|text| report.error(FILE, text));
    if metadata.icon.is_empty() {
        report.add(Severity::Info, FILE, "icon is recommended");
    } else if !address::is_request_url(&metadata.icon) {
        report.error(FILE, format!("invalid icon URL '{}'", metadata.icon));
    }
    only_in_v2(&written).into_iter().for_each(|text| report.error(FILE, text));
    if Version::parse_strict(&metadata.version).is_err() {
        report.warn(FILE, format!("version '{}' is not a valid SemVerV2", metadata.version));
    }
}

/// Says what a strict reader would not accept: keys given twice, and fields that Helm has not.
fn strictly(text: &str) -> Option<String> {
    let value = match yaml::parse_strict(text, Numbers::Exact) {
        Ok(Value::Object(map)) => map,
        Ok(_) => return None,
        Err(error) => return Some(error.to_string()),
    };
    let field = unknown(value)?;
    let prefix = "error unmarshaling JSON: while decoding JSON: json: unknown field";
    Some(format!("{prefix} {field:?}"))
}

/// Returns the first unknown field, in the order of the keys.
fn unknown(map: Map) -> Option<String> {
    let mut keys: Vec<(String, Value)> = map.into_iter().collect();
    keys.sort_by(|a, b| a.0.cmp(&b.0));
    let known = |fields: &[&str], key: &str| fields.iter().any(|f| f.eq_ignore_ascii_case(key));
    keys.into_iter().find_map(|(key, value)| {
        if !known(METADATA, &key) {
            return Some(key);
        }
        let fields = match key.to_ascii_lowercase().as_str() {
            "maintainers" => MAINTAINER,
            "dependencies" => DEPENDENCY,
            _ => return None,
        };
        let items = value.as_array()?;
        items.iter().filter_map(Value::as_object).find_map(|item| {
            let mut keys: Vec<&String> = item.keys().collect();
            keys.sort();
            keys.into_iter().find(|key| !known(fields, key)).cloned()
        })
    })
}

fn name(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("name is required".to_owned());
    }
    let trimmed = name.trim_end_matches('/');
    let base = trimmed.rsplit('/').next().unwrap_or_default();
    (base != name || base.is_empty()).then(|| format!("chart name {name:?} is invalid"))
}

fn api_version(version: &str) -> Option<String> {
    let rule = "The value must be either \"v1\" or \"v2\"";
    match version {
        "v1" | "v2" => None,
        "" => Some(format!("apiVersion is required. {rule}")),
        other => Some(format!("apiVersion '{other}' is not valid. {rule}")),
    }
}

fn is_text(map: &Map, key: &str) -> Option<String> {
    let kind = match map.get(key)? {
        Value::String(_) => return None,
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(_) => "float64",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    };
    Some(format!("{key} should be of type string but it's of type {kind}"))
}

fn version(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some("version is required".to_owned());
    }
    let Ok(version) = text.parse::<Version>() else {
        return Some(format!("version '{text}' is not a valid SemVer"));
    };
    // The constraint is `>0.0.0-0`, and nothing is less than that version.
    let lowest = (version.major(), version.minor(), version.patch(), version.pre());
    (lowest == (0, 0, 0, "0"))
        .then(|| format!("version {text:?} is less than or equal to \"0.0.0-0\""))
}

fn maintainers(written: &Written) -> Option<String> {
    written.maintainers.iter().find_map(|person| {
        let Some(person) = person else { return Some("a maintainer entry is empty".to_owned()) };
        let (name, email, url) = (&person.name, &person.email, &person.url);
        if name.is_empty() {
            return Some("each maintainer requires a name".to_owned());
        }
        if !email.is_empty() && !address::is_email(email) {
            return Some(format!("invalid email '{email}' for maintainer '{name}'"));
        }
        (!url.is_empty() && !address::is_url(url))
            .then(|| format!("invalid url '{url}' for maintainer '{name}'"))
    })
}

fn sources(sources: &[String]) -> Option<String> {
    let wrong = sources.iter().find(|source| !address::is_request_url(source))?;
    Some(format!("invalid source URL '{wrong}'"))
}

/// Types and dependencies came with `v2`.
fn only_in_v2(written: &Written) -> Vec<String> {
    let version = &written.metadata.api_version;
    let mut found = Vec::new();
    if version == "v2" {
        return found;
    }
    if !written.metadata.kind.is_empty() {
        found.push(format!(
            "chart type is not valid in apiVersion '{version}'. It is valid in apiVersion 'v2'"
        ));
    }
    if written.dependencies > 0 {
        found.push(format!(
            "dependencies are not valid in the Chart file with apiVersion '{version}'. \
             They are valid in apiVersion 'v2'"
        ));
    }
    found
}
