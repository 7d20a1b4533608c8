//! From rendered files to a manifest: documents, hooks, order.
//!
//! Source: helm v4.3.1 pkg/release/v1/util (manifest_sorter.go, kind_sorter.go), pkg/action.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::Error;
use crate::template::Rendered;
use crate::yaml::{self, Map, Numbers, Value};

mod output;

pub use output::{Selection, parts, push, template_output, text, write_output};

/// One document of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document<'a> {
    /// The template that it came from.
    pub path: &'a str,
    /// Its text, as rendered.
    pub text: &'a str,
    /// Its kind; empty for a document of comments.
    pub kind: String,
}

/// A document that runs at an event instead of being applied.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Hook {
    /// Name of the object.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Kind of the object.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The template that it came from.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// Its text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub manifest: String,
    /// Events, such as `pre-install`.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_list")]
    pub events: Vec<String>,
    /// How the last run went.
    #[serde(default)]
    pub last_run: HookRun,
    /// Order among hooks of an event.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub weight: i64,
    /// When the object is deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_list")]
    pub delete_policies: Vec<String>,
    /// When its logs are printed.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_list")]
    pub output_log_policies: Vec<String>,
}

impl Hook {
    /// Whether it is a test.
    pub fn is_test(&self) -> bool {
        self.events.iter().any(|event| event == "test")
    }
}

/// How the last run of a hook went.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct HookRun {
    /// When it began.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub started_at: String,
    /// When it ended.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub completed_at: String,
    /// `Running`, `Succeeded`, `Failed`, `Unknown` or empty.
    pub phase: String,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

fn null_list<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    use serde::Deserialize as _;
    Ok(Option::deserialize(input)?.unwrap_or_default())
}

/// What rendered files are made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sorted<'a> {
    /// Documents to apply, in install order.
    pub documents: Vec<Document<'a>>,
    /// Hooks, in install order of their kinds.
    pub hooks: Vec<Hook>,
}

/// Order in which kinds are installed.
pub const INSTALL_ORDER: &[&str] = &[
    "PriorityClass",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// Order in which kinds are uninstalled.
pub const UNINSTALL_ORDER: &[&str] = &[
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
    "APIService",
    "Ingress",
    "IngressClass",
    "Service",
    "CronJob",
    "Job",
    "StatefulSet",
    "HorizontalPodAutoscaler",
    "Deployment",
    "ReplicaSet",
    "ReplicationController",
    "Pod",
    "DaemonSet",
    "RoleBindingList",
    "RoleBinding",
    "RoleList",
    "Role",
    "ClusterRoleBindingList",
    "ClusterRoleBinding",
    "ClusterRoleList",
    "ClusterRole",
    "CustomResourceDefinition",
    "PersistentVolumeClaim",
    "PersistentVolume",
    "StorageClass",
    "ConfigMap",
    "SecretList",
    "Secret",
    "ServiceAccount",
    "PodDisruptionBudget",
    "PodSecurityPolicy",
    "LimitRange",
    "ResourceQuota",
    "NetworkPolicy",
    "Namespace",
    "PriorityClass",
];

const EVENTS: &[&str] = &[
    "pre-install",
    "post-install",
    "pre-upgrade",
    "post-upgrade",
    "pre-rollback",
    "post-rollback",
    "pre-delete",
    "post-delete",
    "test",
    "test-success",
];

/// A rendered file, and what its documents say of themselves.
#[derive(Debug)]
pub struct Read {
    /// The file.
    pub file: Rendered,
    documents: Vec<Part>,
}

/// A document of a file: where it stands, and what it says of itself, or why it is no object.
#[derive(Debug)]
struct Part {
    place: Range<usize>,
    head: Result<Head, Wrong>,
}

/// Why a document is no object.
#[derive(Debug)]
struct Wrong {
    text: String,
    /// The line (from 1) of the document where it was noticed.
    line: Option<usize>,
}

impl From<String> for Wrong {
    fn from(text: String) -> Self {
        Self { text, line: None }
    }
}

/// What there is to show of a rendering with a document that is no object.
#[derive(Debug, Clone)]
pub struct Broken {
    /// The document.
    pub document: String,
    /// The line (from 1) of the document where it was noticed.
    pub line: Option<usize>,
    /// All files, as Helm shows them then; it does so in any order.
    pub manifest: String,
    /// The hooks before the document.
    pub hooks: Vec<Hook>,
}

/// Reads the documents of a rendered file; of `NOTES.txt` none.
pub fn read(file: Rendered) -> Read {
    let notes = file.name.ends_with("NOTES.txt");
    let part = |text| Part { place: place(&file.text, text), head: head(text) };
    let documents = if notes { Vec::new() } else { split(&file.text).map(part).collect() };
    Read { file, documents }
}

/// Splits rendered files into documents and hooks, and sorts both by kind. `NOTES.txt` is left out.
///
/// # Errors
/// A document is no object.
pub fn sort(files: &[Read]) -> Result<Sorted<'_>, Error> {
    let mut files: Vec<&Read> = files.iter().collect();
    files.sort_by(|a, b| a.file.name.cmp(&b.file.name));
    let mut sorted = Sorted::default();
    for Read { file, documents } in &files {
        for Part { place, head } in documents {
            let text = &file.text[place.clone()];
            match head {
                Ok(head) => add(&mut sorted, &file.name, text, head),
                Err(wrong) => return Err(broken(&files, sorted.hooks, (&file.name, text), wrong)),
            }
        }
    }
    sort_by_kind(&mut sorted.documents, INSTALL_ORDER, |document| &document.kind);
    sort_by_kind(&mut sorted.hooks, INSTALL_ORDER, |hook| &hook.kind);
    Ok(sorted)
}

/// Source: helm v4.3.1 pkg/action/action.go (`renderResources`): all files are shown then.
fn broken(
    files: &[&Read],
    hooks: Vec<Hook>,
    (path, document): (&str, &str),
    wrong: &Wrong,
) -> Error {
    let mut manifest = String::new();
    for Read { file, .. } in files {
        if !file.name.ends_with("NOTES.txt") && !file.text.trim().is_empty() {
            push(&mut manifest, &file.name, &file.text);
        }
    }
    let (document, line) = (document.to_owned(), wrong.line);
    Error::Manifest {
        path: path.to_owned(),
        text: wrong.text.clone(),
        broken: Some(Box::new(Broken { document, line, manifest, hooks })),
    }
}

/// Splits a text at lines that begin with `---`; leading space of a document is dropped.
pub fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let whole = rest?;
        let (document, after) = cut(whole);
        rest = after;
        Some(document)
    })
    .map(str::trim_start)
    .filter(|document| !document.trim().is_empty())
}

/// Where a part of a text stands in it.
fn place(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - text.as_ptr().addr();
    start..start + part.len()
}

/// `(?m)^---[ \t]*`
fn cut(text: &str) -> (&str, Option<&str>) {
    let mut from = 0;
    static MARK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("---"));
    while let Some(at) = MARK.find(&text.as_bytes()[from..]).map(|at| at + from) {
        if at == 0 || text.as_bytes()[at - 1] == b'\n' {
            return (&text[..at], Some(text[at + 3..].trim_start_matches([' ', '\t'])));
        }
        from = at + 3;
    }
    (text, None)
}

fn add<'a>(sorted: &mut Sorted<'a>, path: &'a str, text: &'a str, head: &Head) {
    let Some(events) = head.annotations.get("helm.sh/hook") else {
        sorted.documents.push(Document { path, text, kind: head.kind.clone() });
        return;
    };
    let events = list(events);
    if events.is_empty() || events.iter().any(|event| !EVENTS.contains(&event.as_str())) {
        tracing::info!(path, "skipping unknown hook");
        return;
    }
    let events = events.into_iter().map(|event| match event.as_str() {
        "test-success" => "test".to_owned(),
        _ => event,
    });
    let policies = |key: &str| head.annotations.get(key).map(|text| raw_list(text));
    sorted.hooks.push(Hook {
        name: head.name.clone(),
        kind: head.kind.clone(),
        path: path.to_owned(),
        manifest: text.to_owned(),
        events: events.collect(),
        last_run: HookRun::default(),
        weight: head
            .annotations
            .get("helm.sh/hook-weight")
            .and_then(|w| w.parse().ok())
            .unwrap_or(0),
        delete_policies: policies("helm.sh/hook-delete-policy").unwrap_or_default(),
        output_log_policies: policies("helm.sh/hook-output-log-policy").unwrap_or_default(),
    });
}

fn raw_list(text: &str) -> Vec<String> {
    text.split(',').map(|part| part.trim().to_lowercase()).collect()
}

fn list(text: &str) -> Vec<String> {
    raw_list(text).into_iter().filter(|part| !part.is_empty()).collect()
}

#[derive(Debug, Default)]
struct Head {
    kind: String,
    name: String,
    annotations: BTreeMap<String, String>,
}

/// Reads kind, name and annotations; scalars become strings as in Go.
fn head(text: &str) -> Result<Head, Wrong> {
    let wrong = |error: yaml::Error| Wrong { text: error.to_string(), line: error.line() };
    let map = match yaml::parse_keys(text, &["kind", "metadata"], Numbers::Exact).map_err(wrong)? {
        Value::Object(map) => map,
        Value::Null => return Ok(Head::default()),
        other => {
            let word = match other {
                Value::Array(_) => "array",
                Value::String(_) => "string",
                Value::Bool(_) => "bool",
                _ => "number",
            };
            return Err(format!(
                "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {word} into Go value of type util.SimpleHead"
            )
            .into());
        }
    };
    let text_of = |map: &Map, key: &str| match map.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let mut head = Head { kind: text_of(&map, "kind"), ..Head::default() };
    if let Some(Value::Object(metadata)) = map.get("metadata") {
        head.name = text_of(metadata, "name");
        match metadata.get("annotations") {
            Some(Value::Object(annotations)) => {
                for (key, value) in annotations {
                    if value.is_array() || value.is_object() {
                        let word = if value.is_array() { "array" } else { "object" };
                        return Err(format!(
                            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {word} into Go struct field .metadata.annotations of type string"
                        )
                        .into());
                    }
                    head.annotations.insert(key.clone(), text_of(annotations, key));
                }
            }
            Some(Value::Array(_)) => {
                return Err("error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go struct field .metadata.annotations of type map[string]string".to_owned().into());
            }
            _ => {}
        }
    }
    Ok(head)
}

/// Sorts by kind, stable; unknown kinds last, by name.
pub fn sort_by_kind<T>(items: &mut [T], order: &[&str], kind: impl Fn(&T) -> &str) {
    items.sort_by_cached_key(|item| {
        let kind = kind(item);
        let rank = order.iter().position(|known| *known == kind);
        let name = rank.is_none().then(|| kind.to_owned());
        (rank.unwrap_or(order.len()), name)
    });
}

/// Returns the objects of a stored manifest, lists taken apart, documents without kind left out.
///
/// # Errors
/// The text is not YAML.
pub fn objects(manifest: &str) -> Result<Vec<Value>, Error> {
    let mut found = Vec::new();
    for document in split(manifest) {
        let value = yaml::parse(document, Numbers::Exact).map_err(|error| {
            let path = document.lines().find_map(|line| line.strip_prefix("# Source: "));
            Error::manifest(path.unwrap_or_default(), &error)
        })?;
        let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default();
        match value.get("items") {
            Some(Value::Array(items)) if kind.ends_with("List") => {
                found.extend(items.iter().cloned());
            }
            _ if kind.is_empty() => {}
            _ => found.push(value),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> Read {
        read(Rendered { name: name.into(), text: text.into() })
    }

    #[test]
    fn documents_are_split_and_sorted_as_helm_does() {
        let files = [
            file(
                "c/templates/b.yaml",
                "kind: Service\n---\n\nkind: Deployment\n--- # c\nkind: ConfigMap",
            ),
            file("c/templates/a.yaml", "kind: Zed\n---\nkind: Abc\n---\n# only a comment\n"),
            file("c/templates/NOTES.txt", "hello"),
            file(
                "c/templates/h.yaml",
                "kind: Job\nmetadata:\n  name: j\n  annotations:\n    helm.sh/hook: pre-install,post-install\n    helm.sh/hook-weight: \"-5\"\n",
            ),
            file(
                "c/templates/x.yaml",
                "kind: Job\nmetadata:\n  annotations:\n    helm.sh/hook: pre-install,foo\n",
            ),
        ];
        let sorted = sort(&files).unwrap();
        let kinds: Vec<_> = sorted.documents.iter().map(|d| d.kind.as_str()).collect();
        assert_eq!(kinds, ["ConfigMap", "Service", "Deployment", "", "Abc", "Zed"]);
        assert_eq!(sorted.documents[0].text, "# c\nkind: ConfigMap");
        assert_eq!(sorted.hooks.len(), 1);
        assert_eq!((sorted.hooks[0].weight, sorted.hooks[0].events.len()), (-5, 2));
    }

    #[test]
    fn what_is_no_object_is_refused_in_helm_s_words() {
        let error = sort(&[file("c/t.yaml", "- a\n")]).unwrap_err().to_string();
        assert!(error.starts_with("YAML parse error on c/t.yaml: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value of type util.SimpleHead"), "{error}");
    }

    #[test]
    fn lists_are_taken_apart() {
        let text =
            "---\n# Source: a\nkind: List\nitems:\n- kind: A\n- kind: B\n---\n# x\n---\nkind: C\n";
        let kinds: Vec<_> = objects(text).unwrap().iter().map(|o| o["kind"].to_string()).collect();
        assert_eq!(kinds, ["\"A\"", "\"B\"", "\"C\""]);
    }
}
