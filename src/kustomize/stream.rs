//! Documents of a stream.
//!
//! Source: sigs.k8s.io/kustomize/kyaml v0.21.1 kio/byteio_reader.go (`ByteReader`), yaml/rnode.go
//! (`DeAnchor`).

use std::collections::HashMap;

use super::error::Error;
use crate::yaml::layout::{self, Document, Kind, Node};

/// What separates documents, up to the end of its line.
const MARK: &str = "\n---";
/// So many nodes may the aliases of a stream become.
const MOST_NODES: usize = 4 << 20;

/// Reads the documents of a text; of a list that stands alone its items.
///
/// # Errors
/// It is no YAML; kyaml's words.
pub fn read(text: &str) -> Result<Vec<Document>, String> {
    let text = text.replace("\r\n", "\n");
    let parts = split(&text)?;
    let mut found = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        // The line end before a mark belongs to the document.
        let whole = if number + 1 < parts.len() { format!("{part}\n") } else { (*part).to_owned() };
        let read = layout::read(&whole).map_err(|why| format!("MalformedYAMLError: {why}"))?;
        let Some(mut document) = read else { continue };
        let kind = document.root.field("kind").map(|node| node.value.as_str());
        let is_list = parts.len() == 1 && matches!(kind, Some("List" | "ResourceList"));
        if is_list && document.root.field("items").is_some() {
            let items = document.root.field_mut("items").map(std::mem::take);
            let items = items.map(|items| items.content).unwrap_or_default();
            found.extend(items.into_iter().map(|root| Document { root, ..Document::default() }));
            continue;
        }
        found.push(document);
    }
    Ok(found)
}

/// Splits a text at lines that begin with `---`.
fn split(text: &str) -> Result<Vec<&str>, String> {
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

/// Puts what is referred to in the place of references, and merges maps.
pub(super) fn without_anchors(root: Node) -> Result<Node, Error> {
    let mut anchors = Anchors { known: HashMap::new(), nodes: 0 };
    anchors.follow(root)
}

struct Anchors {
    known: HashMap<String, Node>,
    /// So many nodes were made of references.
    nodes: usize,
}

impl Anchors {
    fn follow(&mut self, mut node: Node) -> Result<Node, Error> {
        if node.kind == Kind::Alias {
            let found = self.known.get(&node.value).cloned().unwrap_or_default();
            self.nodes += count(&found);
            if self.nodes > MOST_NODES {
                return Err(Error("yaml: document contains excessive aliasing".to_owned()));
            }
            return Ok(found);
        }
        let content = std::mem::take(&mut node.content);
        node.content = content.into_iter().map(|n| self.follow(n)).collect::<Result<_, _>>()?;
        if node.kind == Kind::Mapping {
            merge_maps(&mut node)?;
        }
        let anchor = std::mem::take(&mut node.anchor);
        if !anchor.is_empty() {
            self.known.insert(anchor, node.clone());
        }
        Ok(node)
    }
}

fn count(node: &Node) -> usize {
    1 + node.content.iter().map(count).sum::<usize>()
}

/// Merges what `<<` names below the map's own fields.
fn merge_maps(node: &mut Node) -> Result<(), Error> {
    let is_merge = |key: &Node| key.value == "<<" && matches!(key.tag.as_str(), "" | "!!merge");
    let found = node.content.chunks_exact(2).position(|pair| is_merge(&pair[0]));
    let Some(at) = found else { return Ok(()) };
    let value = node.content[2 * at + 1].clone();
    node.content.drain(2 * at..2 * at + 2);
    let maps = match value.kind {
        Kind::Mapping => vec![value],
        Kind::Sequence => value.content,
        Kind::Scalar | Kind::Alias => {
            let why = "map merge requires map or sequence of maps as the value";
            return Err(Error(why.to_owned()));
        }
    };
    // Of several maps the first counts.
    for map in maps {
        for pair in map.content.chunks_exact(2) {
            if node.field(&pair[0].value).is_none() {
                node.content.extend_from_slice(pair);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::layout::plain::plain;

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
            assert_eq!(split(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn references_are_replaced_by_what_they_refer_to() {
        let text = "a: &x {b: 1, c: 2}\nd: *x\ne:\n  <<: *x\n  b: 3\n";
        let root = read(text).unwrap().remove(0).root;
        assert_eq!(
            plain(&without_anchors(root).unwrap()).unwrap(),
            serde_json::json!({"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 2}, "e": {"b": 3, "c": 2}})
        );
    }

    #[test]
    fn references_do_not_grow_without_bounds() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let last = format!("*a{}", level - 1);
            let items = [last.as_str(); 8].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
        }
        let root = read(&text).unwrap().remove(0).root;
        assert!(without_anchors(root).is_err());
    }
}
