//! What a post-renderer is given, and what becomes of its answer.
//!
//! Source: helm v4.3.1 pkg/action/action.go (`annotateAndMerge`, `splitAndDeannotate`),
//! sigs.k8s.io/kustomize/kyaml v0.21.2 kio/byteio_{reader,writer}.go, yaml/kfns.go.

use std::collections::BTreeMap;

use super::Error;
use super::manifest::split;
use crate::template::Rendered;
use crate::yaml::layout::{self, Document, Kind, Node, Style};

/// The annotation that tells which file a document came from.
const FILE: &str = "postrenderer.helm.sh/postrender-filename";
/// What separates documents, up to the end of its line.
const MARK: &str = "\n---";

/// Returns the documents of rendered files as one stream; each says which file it came from.
///
/// # Errors
/// A document is no YAML, or no map; Helm's texts.
pub fn merge(files: &[(&str, &str)]) -> Result<String, Error> {
    let mut files: Vec<_> = files.to_vec();
    files.sort_unstable();
    let mut merged = Vec::new();
    for (name, text) in files {
        let base = name.rsplit('/').next().unwrap_or(name);
        if base.starts_with('_') || text.trim().is_empty() {
            continue;
        }
        for document in split(text) {
            let wrong = |doing: &str, why: String| {
                Error::Refused(format!("error merging manifests: {doing} {name}: {why}"))
            };
            for mut document in parse(document).map_err(|why| wrong("parsing", why))? {
                annotate(&mut document.root, name).map_err(|why| wrong("annotating", why))?;
                merged.push(document);
            }
        }
    }
    Ok(layout::write(&merged))
}

/// Takes the answer of a post-renderer apart into the files that its documents came from.
///
/// # Errors
/// It is no YAML, or no map; Helm's texts.
pub fn take_apart(answer: &str) -> Result<Vec<Rendered>, Error> {
    let wrong = |why: String| {
        Error::Refused(format!(
            "error while parsing post rendered output: error parsing YAML: {why}"
        ))
    };
    let mut files: BTreeMap<String, Vec<Document>> = BTreeMap::new();
    for (number, mut document) in parse(answer).map_err(wrong)?.into_iter().enumerate() {
        let name = annotations(&document.root).and_then(|all| all.field(FILE));
        let name = match name.map(|node| node.value.as_str()) {
            None | Some("") => format!("generated-by-postrender-{number}.yaml"),
            Some(name) => name.to_owned(),
        };
        let root = &mut document.root;
        if let Some(all) = root.field_mut("metadata").and_then(|m| m.field_mut("annotations")) {
            all.remove(FILE);
        }
        clear_empty(root);
        files.entry(name).or_default().push(document);
    }
    let file = |(name, documents): (String, Vec<Document>)| Rendered {
        name,
        text: layout::write(&documents),
    };
    Ok(files.into_iter().map(file).collect())
}

/// Reads the documents of a text; of a list that stands alone its items.
fn parse(text: &str) -> Result<Vec<Document>, String> {
    let text = text.replace("\r\n", "\n");
    let parts = documents(&text)?;
    let mut found = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        // The line end before a mark belongs to the document.
        let whole = if number + 1 < parts.len() { format!("{part}\n") } else { (*part).to_owned() };
        let read = layout::read(&whole).map_err(|why| format!("MalformedYAMLError: {why}"))?;
        let Some(mut document) = read else { continue };
        require_map(&document.root)?;
        let kind = document.root.field("kind").map(|node| node.value.as_str());
        let is_list = parts.len() == 1 && matches!(kind, Some("List" | "ResourceList"));
        if is_list && document.root.field("items").is_some() {
            let items = document.root.field_mut("items").map(std::mem::take);
            let items = items.map(|items| items.content).unwrap_or_default();
            found.extend(items.into_iter().map(|root| Document { root, ..Document::default() }));
            continue;
        }
        clear_empty(&mut document.root);
        found.push(document);
    }
    Ok(found)
}

/// Splits a text at lines that begin with `---`.
fn documents(text: &str) -> Result<Vec<&str>, String> {
    let (mut found, mut start, mut from) = (Vec::new(), 0, 0);
    while let Some(at) = text[from..].find(MARK).map(|at| at + from) {
        let behind = at + MARK.len();
        let Some(end) = text[behind..].find('\n').map(|end| end + behind) else { break };
        let rest = text[behind..end].trim();
        if !rest.is_empty() && !rest.starts_with('#') {
            return Err(format!("invalid document separator: {}", text[at..end].trim()));
        }
        found.push(&text[start..at]);
        (start, from) = (end + 1, end + 1);
    }
    if !text.is_empty() {
        found.push(&text[start..]);
    }
    Ok(found)
}

fn require_map(node: &Node) -> Result<(), String> {
    let found = match node.kind {
        Kind::Mapping => return Ok(()),
        Kind::Scalar => "ScalarNode",
        Kind::Sequence => "SequenceNode",
        Kind::Alias => "AliasNode",
    };
    Err(format!("wrong node kind: expected MappingNode but was {found}"))
}

fn annotations(root: &Node) -> Option<&Node> {
    root.field("metadata")?.field("annotations")
}

/// Removes annotations and metadata that hold nothing.
fn clear_empty(root: &mut Node) {
    let is_empty = |node: Option<&Node>| node.is_some_and(|node| node.content.is_empty());
    if let Some(metadata) = root.field_mut("metadata")
        && is_empty(metadata.field("annotations"))
    {
        metadata.remove("annotations");
    }
    if is_empty(root.field("metadata")) {
        root.remove("metadata");
    }
}

fn annotate(root: &mut Node, name: &str) -> Result<(), String> {
    require_map(root)?;
    let annotations = child(child(root, "metadata"), "annotations");
    let value = Node::scalar(name, Style::Single);
    if let Some(known) = annotations.field_mut(FILE) {
        *known = Node { style: known.style, ..value };
    } else {
        annotations.content.extend([Node::scalar(FILE, Style::Plain), value]);
    }
    Ok(())
}

/// Returns a field that is a map, made where it is missing.
fn child<'a>(parent: &'a mut Node, name: &str) -> &'a mut Node {
    let at = parent.position(name).unwrap_or_else(|| {
        parent.content.extend([Node::scalar(name, Style::Plain), Node::mapping()]);
        parent.content.len() - 1
    });
    &mut parent.content[at]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_say_where_they_came_from_and_come_back() {
        let files = [
            ("c/templates/b.yaml", "kind: B # x\n---\n\n---\nkind: C\nmetadata: {name: c}\n"),
            ("c/templates/_p.tpl", "no: 1"),
            ("c/templates/a.yaml", "kind: A\nmetadata:\n  annotations:\n    k: v\n  name: a\n"),
        ];
        let merged = merge(&files).unwrap();
        assert_eq!(
            merged,
            "kind: A\nmetadata:\n  annotations:\n    k: v\n    \
             postrenderer.helm.sh/postrender-filename: 'c/templates/a.yaml'\n  name: a\n---\n\
             kind: B # x\nmetadata:\n  annotations:\n    \
             postrenderer.helm.sh/postrender-filename: 'c/templates/b.yaml'\n---\n\
             kind: C\nmetadata: {name: c, annotations: {postrenderer.helm.sh/postrender-filename: \
             'c/templates/b.yaml'}}\n"
        );
        let files = take_apart(&format!("{merged}---\nkind: New\n")).unwrap();
        let files: Vec<_> = files.iter().map(|f| (f.name.as_str(), f.text.as_str())).collect();
        assert_eq!(
            files,
            [
                ("c/templates/a.yaml", "kind: A\nmetadata:\n  annotations:\n    k: v\n  name: a\n"),
                ("c/templates/b.yaml", "kind: B # x\n---\nkind: C\nmetadata: {name: c}\n"),
                ("generated-by-postrender-3.yaml", "kind: New\n"),
            ]
        );
    }

    #[test]
    fn a_mark_has_nothing_but_a_comment_behind_it() {
        let rows: [(&str, Result<&[&str], &str>); 4] = [
            ("a\n--- # x\nb\n---", Ok(&["a", "b\n---"])),
            ("a\n---\n---\nb", Ok(&["a", "---\nb"])),
            ("", Ok(&[])),
            ("a\n--- b\nc\n", Err("invalid document separator: --- b")),
        ];
        for (text, wanted) in rows {
            let wanted = wanted.map(<[_]>::to_vec).map_err(str::to_owned);
            assert_eq!(documents(text), wanted, "{text:?}");
        }
    }
}
