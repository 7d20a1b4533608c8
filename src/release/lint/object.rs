//! The few fields of an object that rules look at, and what its name may be.

use crate::chart;
use crate::release::Error;
use crate::release::manifest::Broken;
use crate::yaml::{self, Map, Numbers, Value};

/// Longest subdomain and longest label.
const LIMITS: (usize, usize) = (253, 63);
/// What joins a rule and the example of it.
const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";

/// What rules look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
}

/// Why a document is no object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unread {
    /// Helm's words.
    pub(super) text: String,
    /// The document, unless the text could not even be split.
    document: Option<String>,
}

impl Unread {
    /// Returns the error with what there is to show of it.
    pub(super) fn into_error(self, path: String) -> Error {
        let broken = self.document.map(|document| {
            Box::new(Broken { document, line: None, manifest: String::new(), hooks: Vec::new() })
        });
        Error::Manifest { path, text: self.text, broken }
    }
}

/// Reads the objects of a text; nothing is an object of a document that holds nothing. After a
/// document that cannot be read comes no more.
///
/// Source: helm v4.3.1 pkg/chart/v2/lint/rules/template.go (`k8sYamlStruct`).
pub(super) fn read(text: &str) -> Vec<Result<Object, Unread>> {
    let documents = match chart::documents(text) {
        Ok(documents) => documents,
        Err(error) => {
            let text = error.to_string();
            let why = text.strip_prefix("error reading yaml document: ").unwrap_or(&text);
            return vec![Err(Unread { text: why.to_owned(), document: None })];
        }
    };
    let mut found = Vec::new();
    for document in documents {
        match object(document).transpose() {
            None => {}
            Some(Ok(object)) => found.push(Ok(object)),
            Some(Err(text)) => {
                found.push(Err(Unread { text, document: Some(document.to_owned()) }));
                break;
            }
        }
    }
    found
}

fn object(document: &str) -> Result<Option<Object>, String> {
    let value = yaml::parse(document, Numbers::Exact).map_err(|error| error.to_string())?;
    let wrong = |text: String| {
        Err(format!("error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {text}"))
    };
    let mut object = Object::default();
    let map = match value {
        Value::Null => return Ok(None),
        Value::Object(map) => map,
        other => {
            let kind = kind_of(&other);
            return wrong(format!("{kind} into Go value of type rules.k8sYamlStruct"));
        }
    };
    let mut problems = Vec::new();
    let mut note = |kind: &str, field: &str| {
        problems.push(format!("{kind} into Go struct field {field}"));
    };
    for (key, into) in [("apiVersion", &mut object.api_version), ("Kind", &mut object.kind)] {
        if let Err(kind) = text_of(&map, key, into) {
            note(kind, &format!("k8sYamlStruct.{key} of type string"));
        }
    }
    match find(&map, "Metadata") {
        None | Some(Value::Null) => {}
        Some(Value::Object(metadata)) => {
            let mut unused = String::new();
            for (key, into) in [("Name", &mut object.name), ("Namespace", &mut unused)] {
                if let Err(kind) = text_of(metadata, key, into) {
                    note(kind, &format!("k8sYamlMetadata.Metadata.{key} of type string"));
                }
            }
        }
        Some(other) => {
            note(kind_of(other), "k8sYamlStruct.Metadata of type rules.k8sYamlMetadata");
        }
    }
    problems.into_iter().next().map_or(Ok(Some(object)), wrong)
}

/// Finds a field in any case.
fn find<'m>(map: &'m Map, key: &str) -> Option<&'m Value> {
    map.iter().find(|(known, _)| known.eq_ignore_ascii_case(key)).map(|(_, value)| value)
}

/// Takes a text, or what becomes one; else says what stands there.
fn text_of(map: &Map, key: &str, into: &mut String) -> Result<(), &'static str> {
    match find(map, key) {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) => into.clone_from(text),
        Some(other @ (Value::Bool(_) | Value::Number(_))) => *into = other.to_string(),
        Some(other) => return Err(kind_of(other)),
    }
    Ok(())
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Says what is wrong with the name of an object of a kind.
///
/// Source: helm v4.3.1 pkg/chart/v2/lint/rules/template.go (`validateMetadataName`); texts of
/// k8s.io/apimachinery v0.37.1.
pub(super) fn name_problem(object: &Object) -> Option<String> {
    let name = &object.name;
    let problems = match object.kind.to_lowercase().as_str() {
        "service" => label_1035(name),
        "namespace" => label(name),
        "certificatesigningrequest" => Vec::new(),
        "role" | "clusterrole" | "rolebinding" | "clusterrolebinding" => segment(name),
        _ => subdomain(name),
    };
    let each = problems.iter().map(|why| format!("metadata.name: Invalid value: {name:?}: {why}"));
    let each: Vec<String> = each.collect();
    let all = match &each[..] {
        [] => return None,
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    };
    let start = "object name does not conform to Kubernetes naming requirements";
    Some(format!("{start}: {name:?}: {all}"))
}

fn is_label(text: &str) -> bool {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(fine) && text.ends_with(fine) && text.chars().all(|c| fine(c) || c == '-')
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

fn subdomain(name: &str) -> Vec<String> {
    let mut found = Vec::new();
    if name.len() > LIMITS.0 {
        found.push(format!("must be no more than {} characters", LIMITS.0));
    }
    if !is_subdomain(name) {
        found.push(format!(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
             '-' or '.', and must start and end with an alphanumeric character (e.g. \
             'example.com', regex used for validation is '{LABEL}(\\.{LABEL})*')"
        ));
    }
    found
}

fn label(name: &str) -> Vec<String> {
    let mut found = Vec::new();
    if name.len() > LIMITS.1 {
        found.push(format!("must be no more than {} characters", LIMITS.1));
    }
    if is_label(name) {
        return found;
    }
    found.push(if is_subdomain(name) {
        "must not contain dots".to_owned()
    } else {
        format!(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or \
             '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or \
             '123-abc', regex used for validation is '{LABEL}')"
        )
    });
    found
}

fn label_1035(name: &str) -> Vec<String> {
    let mut found = Vec::new();
    if name.len() > LIMITS.1 {
        found.push(format!("must be no more than {} characters", LIMITS.1));
    }
    if !(is_label(name) && name.starts_with(|c: char| c.is_ascii_lowercase())) {
        found.push(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start \
             with an alphabetic character, and end with an alphanumeric character (e.g. \
             'my-name',  or 'abc-123', regex used for validation is \
             '[a-z]([-a-z0-9]*[a-z0-9])?')"
                .to_owned(),
        );
    }
    found
}

/// A name that becomes a part of a path.
fn segment(name: &str) -> Vec<String> {
    if matches!(name, "." | "..") {
        return vec![format!("may not be '{name}'")];
    }
    let contained = ["/", "%"].into_iter().filter(|part| name.contains(part));
    contained.map(|part| format!("may not contain '{part}'")).collect()
}
