//! Label and field selectors.

use super::resource::Resource;
use super::value::text;
use crate::yaml::Value;

/// A requirement on one label.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
}

/// A label selector: all requirements hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Labels(Vec<Requirement>);

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0_usize, 0, Vec::new());
    for (index, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn key(text: &str) -> Result<String, String> {
    let text = text.trim();
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if text.is_empty() || !text.chars().all(fits) {
        let found = text.chars().find(|c| !fits(*c)).map_or(String::new(), String::from);
        return Err(format!("unable to parse requirement: found '{found}', expected: identifier"));
    }
    Ok(text.to_owned())
}

impl Labels {
    /// Parses `a=b,c!=d,e in (f,g),h,!i`.
    ///
    /// Source: k8s.io/apimachinery 0.34 pkg/labels/selector.go (Parse).
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        if let Some(token) = ["==", "="].iter().find(|token| text.trim_start().starts_with(**token))
        {
            return Err(format!("found '{token}', expected: !, identifier, or 'end of string'"));
        }
        if text.matches('(').count() > text.matches(')').count() {
            return Err("unable to parse requirement: found '', expected: ',' or ')'".to_owned());
        }
        let parts = split_outside_parentheses(text).into_iter().map(str::trim);
        parts.map(requirement).collect::<Result<_, _>>().map(Self)
    }

    /// Reads a `LabelSelector` object; nothing when it selects nothing at all.
    pub(crate) fn from_object(selector: &Value) -> Option<Self> {
        let mut all = Vec::new();
        for (key, value) in
            selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten()
        {
            let value = value.as_str().unwrap_or_default().to_owned();
            all.push(Requirement::In(key.clone(), vec![value]));
        }
        for one in super::value::items(selector, "/matchExpressions") {
            let key = text(one, "/key").to_owned();
            let values = super::value::items(one, "/values").iter();
            let values = values.filter_map(Value::as_str).map(str::to_owned).collect();
            all.push(match text(one, "/operator") {
                "In" => Requirement::In(key, values),
                "NotIn" => Requirement::NotIn(key, values),
                "Exists" => Requirement::Exists(key),
                "DoesNotExist" => Requirement::Missing(key),
                _ => return None,
            });
        }
        selector.is_object().then_some(Self(all))
    }

    /// Returns whether nothing is required.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether a map of labels satisfies the selector.
    pub(crate) fn matches(&self, labels: Option<&Value>) -> bool {
        let get = |key: &String| labels.and_then(|map| map.get(key)).and_then(Value::as_str);
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => {
                get(key).is_some_and(|v| values.iter().any(|one| one == v))
            }
            Requirement::NotIn(key, values) => {
                get(key).is_none_or(|v| values.iter().all(|one| one != v))
            }
            Requirement::Exists(key) => get(key).is_some(),
            Requirement::Missing(key) => get(key).is_none(),
        })
    }

    /// Prints the selector as `Scale.status.selector` has it.
    pub(crate) fn print(&self) -> String {
        let parts = self.0.iter().map(|requirement| match requirement {
            Requirement::In(key, values) if values.len() == 1 => format!("{key}={}", values[0]),
            Requirement::In(key, values) => format!("{key} in ({})", values.join(",")),
            Requirement::NotIn(key, values) if values.len() == 1 => format!("{key}!={}", values[0]),
            Requirement::NotIn(key, values) => format!("{key} notin ({})", values.join(",")),
            Requirement::Exists(key) => key.clone(),
            Requirement::Missing(key) => format!("!{key}"),
        });
        let mut parts: Vec<String> = parts.collect();
        parts.sort();
        parts.join(",")
    }
}

fn requirement(text: &str) -> Result<Requirement, String> {
    if let Some(rest) = text.strip_prefix('!') {
        return key(rest).map(Requirement::Missing);
    }
    if let Some((name, value)) = text.split_once("!=") {
        return Ok(Requirement::NotIn(key(name)?, vec![value.trim().to_owned()]));
    }
    if let Some((name, rest)) = text.split_once('=') {
        let value = rest.strip_prefix('=').unwrap_or(rest).trim();
        return Ok(Requirement::In(key(name)?, vec![value.to_owned()]));
    }
    if let Some((head, list)) = text.split_once('(') {
        let mut words = head.split_whitespace();
        let name = key(words.next().unwrap_or_default())?;
        let values = list.trim_end().trim_end_matches(')').split(',');
        let values = values.map(|value| value.trim().to_owned()).collect();
        return match words.next() {
            Some("in") => Ok(Requirement::In(name, values)),
            Some("notin") => Ok(Requirement::NotIn(name, values)),
            other => {
                let found = other.unwrap_or_default();
                Err(format!(
                    "unable to parse requirement: found '{found}', expected: in, notin, =, ==, !="
                ))
            }
        };
    }
    key(text).map(Requirement::Exists)
}

/// A field selector: pairs of path, wanted value, and whether it must be equal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<(String, String, bool)>);

/// Fields that may be selected, beside name and namespace.
fn known_fields(resource: &Resource) -> Vec<String> {
    let known: &[&str] = match resource.storage.as_ref() {
        "pods" => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
        "secrets" => &["type"],
        "events" => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        "namespaces" => &["status.phase"],
        "nodes" => &["spec.unschedulable"],
        "jobs.batch" => &["status.successful"],
        "replicasets.apps" | "replicationcontrollers" => &["status.replicas"],
        "certificatesigningrequests.certificates.k8s.io" => &["spec.signerName"],
        _ => &[],
    };
    let mut fields: Vec<String> = known.iter().map(|one| (*one).to_owned()).collect();
    if let Some(custom) = &resource.custom {
        fields.extend(custom.selectable.iter().cloned());
    }
    fields
}

impl Fields {
    /// Parses `metadata.name=a,status.phase!=Running`, refusing fields that cannot be selected.
    pub(crate) fn parse(text: &str, resource: &Resource) -> Result<Self, String> {
        let mut parsed = Vec::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (path, value, equal) = if let Some((path, value)) = part.split_once("!=") {
                (path, value, false)
            } else if let Some((path, value)) = part.split_once("==") {
                (path, value, true)
            } else if let Some((path, value)) = part.split_once('=') {
                (path, value, true)
            } else {
                return Err(format!("invalid selector: '{text}'; can't understand '{part}'"));
            };
            let general = path == "metadata.name" || path == "metadata.namespace";
            if !general && !known_fields(resource).iter().any(|one| one == path) {
                return Err(unknown_field(path, resource));
            }
            parsed.push((path.to_owned(), value.to_owned(), equal));
        }
        Ok(Self(parsed))
    }

    /// Returns whether nothing is required.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether an object satisfies the selector.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|(path, wanted, equal)| (field_text(object, path) == *wanted) == *equal)
    }
}

fn unknown_field(path: &str, resource: &Resource) -> String {
    if resource.custom.is_none() && known_fields(resource).is_empty() {
        format!(
            "\"{path}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        )
    } else {
        format!("field label not supported: {path}")
    }
}

fn field_text(object: &Value, path: &str) -> String {
    let pointer = match path {
        "status.successful" => "/status/succeeded".to_owned(),
        "source" => "/source/component".to_owned(),
        _ => format!("/{}", path.trim_start_matches('.').replace('.', "/")),
    };
    match object.pointer(&pointer) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => match path {
            "spec.hostNetwork" | "spec.unschedulable" => "false".to_owned(),
            "status.successful" | "status.replicas" => "0".to_owned(),
            _ => String::new(),
        },
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn label_selectors() {
        let labels = json!({"app": "web", "tier": "front"});
        for (text, fits) in [
            ("", true),
            ("app=web", true),
            ("app==web", true),
            ("app!=web", false),
            ("x!=y", true),
            ("app in (web, api)", true),
            ("app notin (web)", false),
            ("tier", true),
            ("!tier", false),
            ("app in (web),tier=front", true),
            ("app=web,tier=back", false),
            ("app=", false),
        ] {
            assert_eq!(Labels::parse(text).unwrap().matches(Some(&labels)), fits, "{text}");
        }
        let error = Labels::parse("=x").unwrap_err();
        assert_eq!(error, "found '=', expected: !, identifier, or 'end of string'");
    }
}
