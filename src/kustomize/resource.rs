//! Objects that are patched, and how they are told apart.
//!
//! Source: sigs.k8s.io/kustomize/api v0.21.1 resource/factory.go, resmap/reswrangler.go;
//! sigs.k8s.io/kustomize/kyaml v0.21.1 resid.

use std::collections::BTreeMap;
use std::fmt;

use super::error::Error;
use super::merge::{set_field, set_text};
use super::schema::is_cluster_scoped;
use super::stream::{read, without_anchors};
use crate::yaml::layout::plain::{node_of, plain, text_node};
use crate::yaml::layout::{Kind, Node};
use crate::yaml::{self, Value};

const MISSING: &str = "missing Resource metadata";

/// An object.
#[derive(Debug, Clone, Default)]
pub(super) struct Resource {
    /// What it is; null: it was deleted.
    pub(super) root: Node,
    /// Namespace, name and kind that it had before patches that may change them.
    pub(super) previous: Vec<(String, String, String)>,
}

/// What tells an object apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Id {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) namespace: String,
    /// Whether its kind is known to stand in no namespace.
    is_cluster_scoped: bool,
}

impl Id {
    fn new(api_version: &str, kind: &str, name: &str, namespace: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            is_cluster_scoped: is_cluster_scoped(api_version, kind),
        }
    }

    /// Returns the namespace that counts.
    pub(super) fn effective_namespace(&self) -> &str {
        match self.namespace.as_str() {
            _ if self.is_cluster_scoped => "_non_namespaceable_",
            "" => "default",
            namespace => namespace,
        }
    }

    /// Returns whether both mean the same object.
    pub(super) fn same(&self, other: &Self) -> bool {
        let parts = |id: &Self| [&id.group, &id.version, &id.kind, &id.name].map(Clone::clone);
        parts(self) == parts(other) && self.effective_namespace() == other.effective_namespace()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or = |text: &str, none: &str| if text.is_empty() { none } else { text }.to_owned();
        let (kind, version) = (or(&self.kind, "[noKind]"), or(&self.version, "[noVer]"));
        let (group, name) = (or(&self.group, "[noGrp]"), or(&self.name, "[noName]"));
        let namespace = or(&self.namespace, "[noNs]");
        write!(f, "{kind}.{version}.{group}/{name}.{namespace}")
    }
}

impl Resource {
    fn new(root: Node) -> Self {
        Self { root, previous: Vec::new() }
    }

    /// Whether nothing is left of it.
    pub(super) fn is_gone(&self) -> bool {
        self.root.is_null() || self.root.kind != Kind::Scalar && self.root.content.is_empty()
    }

    fn text(&self, name: &str) -> &str {
        self.root.field(name).map_or("", |node| &node.value)
    }

    /// Returns a text of its metadata.
    pub(super) fn meta(&self, name: &str) -> &str {
        let found = self.root.field("metadata").and_then(|metadata| metadata.field(name));
        found.filter(|node| !node.is_null()).map_or("", |node| &node.value)
    }

    /// Returns its kind.
    pub(super) fn kind(&self) -> &str {
        self.text("kind")
    }

    /// Returns the group and version that it is written in.
    pub(super) fn api_version(&self) -> &str {
        self.text("apiVersion")
    }

    /// Returns what tells it apart now.
    pub(super) fn id(&self) -> Id {
        Id::new(self.api_version(), self.kind(), self.meta("name"), self.meta("namespace"))
    }

    /// Returns what told it apart at first.
    pub(super) fn first_id(&self) -> Id {
        let first = self.previous.first();
        first.map_or_else(|| self.id(), |previous| self.earlier(previous))
    }

    fn earlier(&self, (namespace, name, kind): &(String, String, String)) -> Id {
        Id::new(self.api_version(), kind, name, namespace)
    }

    /// Whether it is, or was, that object.
    pub(super) fn was(&self, id: &Id) -> bool {
        let earlier = self.previous.iter().any(|previous| self.earlier(previous).same(id));
        !self.root.is_null() && (earlier || self.id().same(id))
    }

    /// Returns its labels or annotations as texts.
    pub(super) fn texts(&self, name: &str) -> BTreeMap<String, String> {
        let map = self.root.field("metadata").and_then(|metadata| metadata.field(name));
        let pairs = map.filter(|map| map.kind == Kind::Mapping).into_iter();
        let pairs = pairs.flat_map(|map| map.content.chunks_exact(2));
        pairs.map(|pair| (pair[0].value.clone(), pair[1].value.clone())).collect()
    }

    /// Sets its labels or annotations; none: the field goes.
    pub(super) fn set_texts(&mut self, name: &str, texts: &BTreeMap<String, String>) {
        if self.root.field("metadata").is_none_or(Node::is_null) {
            set_field(&mut self.root, "metadata", Node::mapping(), None);
        }
        let Some(metadata) = self.root.field_mut("metadata") else { return };
        metadata.remove(name);
        if !texts.is_empty() {
            let pair = |(key, text): (&String, &String)| [text_node(key), text_node(text)];
            let content = texts.iter().flat_map(pair).collect();
            set_field(metadata, name, Node { content, ..Node::mapping() }, None);
        }
    }

    /// Sets a text of its metadata; an empty one: the field goes.
    pub(super) fn set_meta(&mut self, name: &str, text: &str) {
        if let Some(metadata) = self.root.field_mut("metadata") {
            match text {
                "" => metadata.remove(name),
                text => set_text(metadata, name, text),
            }
        }
    }

    /// Checks that it says what it is.
    pub(super) fn validate(&self) -> Result<(), Error> {
        let (labels, annotations) = (self.texts("labels"), self.texts("annotations"));
        let is_nothing =
            [self.api_version(), self.kind(), self.meta("name"), self.meta("namespace")]
                .iter()
                .all(|text| text.is_empty());
        if is_nothing && labels.is_empty() && annotations.is_empty() {
            return Err(Error(MISSING.to_owned()));
        }
        let missing = match (self.kind(), self.meta("name")) {
            ("", _) => "kind",
            (kind, "") if !kind.ends_with("List") => "metadata.name",
            _ => return Ok(()),
        };
        let map = |texts: BTreeMap<String, String>| {
            let pairs: Vec<_> = texts.iter().map(|(key, text)| format!("{key}:{text}")).collect();
            format!("map[{}]", pairs.join(" "))
        };
        Err(Error(format!(
            "missing {missing} in object {{{{{} {}}} {{{{{} {}}} {} {}}}}}",
            self.api_version(),
            self.kind(),
            self.meta("name"),
            self.meta("namespace"),
            map(labels),
            map(annotations)
        )))
    }
}

/// Reads the objects of a text. What lists hold comes last.
///
/// # Errors
/// It is no YAML, or a document is no object.
pub(super) fn parse(text: &str) -> Result<Vec<Resource>, Error> {
    let documents = read(text)?;
    let mut waiting = std::collections::VecDeque::new();
    for document in documents {
        waiting.extend(kept(without_anchors(document.root)?)?);
    }
    let mut found = Vec::new();
    while let Some(resource) = waiting.pop_front() {
        let kind = resource.kind().to_owned();
        let items = resource.root.field("items").filter(|_| kind.ends_with("List"));
        let Some(items) = items else {
            found.push(resource);
            continue;
        };
        match plain(items)? {
            Value::Array(items) => {
                for item in &items {
                    waiting.extend(kept(node_of(item))?);
                }
            }
            Value::Null => {}
            other => {
                let word = match other {
                    Value::Object(_) => "map[string]interface {}",
                    Value::String(_) => "string",
                    Value::Bool(_) => "bool",
                    _ => "int",
                };
                let text = format!("expected array in {kind}/items, but found {word}");
                return Err(Error(text));
            }
        }
    }
    Ok(found)
}

fn kept(root: Node) -> Result<Option<Resource>, Error> {
    let resource = Resource::new(root);
    if resource.is_gone() {
        return Ok(None);
    }
    resource.validate()?;
    Ok(Some(resource))
}

/// Checks that no object is there twice.
pub(super) fn check_unique(resources: &[Resource]) -> Result<(), Error> {
    let mut seen = std::collections::HashSet::new();
    for resource in resources {
        let id = resource.id();
        let namespace = id.effective_namespace().to_owned();
        let key = (id.group.clone(), id.version.clone(), id.kind.clone(), id.name.clone());
        if !seen.insert((key, namespace)) {
            let text = format!("may not add resource with an already registered id: {id}");
            return Err(Error(text));
        }
    }
    Ok(())
}

/// Writes objects, keys sorted, without comments.
pub(super) fn write(resources: &[Resource]) -> Result<String, Error> {
    let mut out = String::new();
    for (number, resource) in resources.iter().enumerate() {
        if number > 0 {
            out.push_str("---\n");
        }
        let value = plain(&resource.root)?;
        out.push_str(&yaml::print(&value).map_err(|error| Error(error.to_string()))?);
    }
    Ok(out)
}
