//! Strategic merge as kustomize does it, which is not as the API server does it: what a patch puts
//! into a list comes first, `$setElementOrder` and `$retainKeys` mean nothing.
//!
//! Source: sigs.k8s.io/kustomize/kyaml v0.21.1 yaml/merge2 (`Merger`), yaml/walk (`Walker`). There
//! nodes are changed where they stand; here a result says whether it is what stood there.

use super::error::{Error, require};
use super::list::{Keys, merge_values, take_over, valid, values};
use super::schema::Field;
use crate::yaml::layout::{Kind, Node, Style, plain};

const DIRECTIVE: &str = "$patch";

/// What became of a value.
#[derive(Debug, Clone, Default)]
pub(super) struct Merged {
    /// The value; none: it is gone.
    pub(super) node: Option<Node>,
    /// Whether it is the old value, changed in its place.
    pub(super) in_place: bool,
    /// A null that was there before is kept.
    keeps_null: bool,
}

impl Merged {
    fn gone() -> Self {
        Self::default()
    }

    fn patch(node: Option<Node>) -> Self {
        Self { node, ..Self::default() }
    }

    fn old(node: Option<Node>) -> Self {
        Self { node, in_place: true, keeps_null: false }
    }
}

/// What a patch says to do with a whole map or list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Directive {
    Merge,
    Replace,
    Delete,
}

/// Merges a patch into an object; none: the object is deleted.
pub(super) fn merge(object: Node, patch: Node) -> Result<Option<Node>, Error> {
    walk(Some(object), Some(patch), None).map(|merged| merged.node)
}

fn is_set(node: Option<&Node>) -> bool {
    node.is_some_and(|node| !node.is_null())
}

/// Merges a value.
pub(super) fn walk(
    old: Option<Node>,
    patch: Option<Node>,
    schema: Option<&'static Field>,
) -> Result<Merged, Error> {
    let set = || [old.as_ref(), patch.as_ref()].into_iter().flatten().filter(|n| !n.is_null());
    let schema = schema.or_else(|| set().find_map(of_kind));
    let Some(kind) = set().next().map(|node| node.kind) else {
        return walk_map(old, patch, schema);
    };
    set().try_for_each(|node| require(node, kind))?;
    match kind {
        Kind::Mapping => walk_map(old, patch, schema),
        Kind::Sequence => match schema.and_then(|schema| Some((schema, schema.keys.as_deref()?))) {
            Some((schema, keys)) => walk_list(old, patch, schema, keys),
            None => Ok(either(old, patch)),
        },
        Kind::Scalar => Ok(either(old, patch)),
        Kind::Alias => Ok(Merged::gone()),
    }
}

fn of_kind(node: &Node) -> Option<&'static Field> {
    let text = |name| node.field(name).map(|node| node.value.as_str());
    Field::of_kind(text("apiVersion")?, text("kind")?)
}

fn either(old: Option<Node>, patch: Option<Node>) -> Merged {
    if patch.is_some() { Merged::patch(patch) } else { Merged::old(old) }
}

fn walk_map(
    old: Option<Node>,
    mut patch: Option<Node>,
    schema: Option<&'static Field>,
) -> Result<Merged, Error> {
    let mut merged = visit_map(old, &mut patch)?;
    let Some(target) = &mut merged.node else { return Ok(merged) };
    if target.kind != Kind::Mapping {
        return Ok(merged);
    }
    // What a patch adds is walked too: nulls in it mean nothing.
    let patch = if merged.in_place { patch.unwrap_or_default() } else { target.clone() };
    let names = |node: &Node| -> Vec<String> {
        node.content.chunks_exact(2).map(|pair| pair[0].value.clone()).collect()
    };
    let mut fields = names(target);
    fields.extend(if patch.kind == Kind::Mapping { names(&patch) } else { Vec::new() });
    fields.sort_unstable();
    fields.dedup();
    for name in fields {
        let child = schema.and_then(|schema| schema.child(&name));
        let (mine, theirs) = (target.field(&name).cloned(), patch.field(&name).cloned());
        let key = patch.position(&name).map(|at| patch.content[at - 1].clone());
        let value = walk(mine, theirs, child)?;
        let is_null = value.node.as_ref().is_none_or(Node::is_null) && !value.keeps_null;
        match value.node.filter(|_| !is_null) {
            Some(value) => set_field(target, &name, value, key),
            None => target.remove(&name),
        }
    }
    Ok(merged)
}

fn visit_map(old: Option<Node>, patch: &mut Option<Node>) -> Result<Merged, Error> {
    if !is_set(old.as_ref()) {
        let is_deleted = match patch {
            Some(patch) => directive(patch).is_ok_and(|found| found == Directive::Delete),
            None => false,
        };
        // Only a null that is written out is kept.
        let keeps = |node: &Node| !node.value.is_empty();
        return Ok(match old {
            _ if is_deleted => Merged::gone(),
            Some(old) if patch.is_none() && keeps(&old) => {
                let node = Node::scalar(old.value, Style::Plain);
                Merged { node: Some(node), in_place: false, keeps_null: true }
            }
            _ => Merged::patch(patch.clone()),
        });
    }
    let Some(patch) = patch else { return Ok(Merged::old(old)) };
    if patch.is_null() {
        return Ok(Merged::gone());
    }
    Ok(match directive(patch)? {
        Directive::Delete => Merged::gone(),
        Directive::Replace => Merged::patch(Some(patch.clone())),
        Directive::Merge => Merged::old(old.map(without_directive)),
    })
}

/// Merges a list by keys; without keys by its texts.
fn walk_list(
    old: Option<Node>,
    patch: Option<Node>,
    schema: &'static Field,
    keys: &[&str],
) -> Result<Merged, Error> {
    let mut patch = patch;
    let was_set = is_set(old.as_ref());
    let Some(mut target) = visit_list(old, &mut patch)? else { return Ok(Merged::gone()) };
    // What a patch adds is merged with itself.
    let is_own = !was_set || patch.as_ref().is_some_and(|patch| *patch == target);
    let keys = Keys::new(keys);
    let mut all = values(patch.as_ref(), &keys);
    for found in values(Some(&target), &keys) {
        if !all.contains(&found) {
            all.push(found);
        }
    }
    if keys.len() > 1 {
        merge_values(&mut all);
    }
    let mut added = Node { kind: Kind::Sequence, ..Node::default() };
    let mut last = None;
    for wanted in &all {
        let (names, texts) = valid(&all, wanted, &keys);
        last = Some(names.clone());
        // Items are found by what is said of them alone.
        let (own, said) = valid(std::slice::from_ref(&texts), &texts, &names);
        let place = own.find(&target, &said);
        let theirs = match is_own {
            true => place.map(|at| target.content[at].clone()),
            false => {
                patch.as_ref().and_then(|p| own.find(p, &said).map(|at| p.content[at].clone()))
            }
        };
        let mine = place.map(|at| target.content[at].clone());
        let value = walk(mine, theirs, schema.item())?;
        if let Some(at) = place.filter(|_| is_own) {
            target.content[at] = without_directive(std::mem::take(&mut target.content[at]));
        }
        let (in_place, node) = (value.in_place, value.node);
        let node = node.filter(|node| !node.is_null() && !is_empty_map(node));
        let Some(mut node) = node else {
            names.set(&mut target, &texts, None)?;
            continue;
        };
        for (name, text) in names.iter().zip(&texts) {
            if node.kind == Kind::Mapping && node.field(name).is_none() && !text.is_empty() {
                set_field(&mut node, name, scalar(text), None);
            }
        }
        if let Some(at) = place.filter(|_| in_place) {
            target.content[at] = node.clone();
        }
        names.set(&mut added, &texts, Some(node))?;
    }
    match last {
        Some(names) => {
            take_over(&mut added, &target, &names)?;
            Ok(Merged::patch(Some(added)))
        }
        None => Ok(Merged::patch(Some(target))),
    }
}

fn visit_list(old: Option<Node>, patch: &mut Option<Node>) -> Result<Option<Node>, Error> {
    if !is_set(old.as_ref()) {
        return Ok(patch.clone());
    }
    let Some(patch) = patch else { return Ok(old) };
    if patch.is_null() {
        return Ok(None);
    }
    Ok(match directive(patch)? {
        Directive::Delete => None,
        Directive::Replace => Some(patch.clone()),
        Directive::Merge => old.map(without_directive),
    })
}

/// What a patch adds is merged with itself, and says to both sides what to do.
fn without_directive(mut node: Node) -> Node {
    // What is unknown was refused on the other side.
    let _ = directive(&mut node);
    node
}

/// Takes what a patch says to do with the whole out of it.
fn directive(patch: &mut Node) -> Result<Directive, Error> {
    let unknown = |text: &str| Error(format!("unknown patch strategy '{text}'"));
    let word = |text: &str| match text {
        "delete" => Ok(Directive::Delete),
        "replace" => Ok(Directive::Replace),
        "merge" => Ok(Directive::Merge),
        other => Err(unknown(other)),
    };
    match patch.kind {
        Kind::Mapping => {
            let Some(text) = patch.field(DIRECTIVE).map(|node| node.value.clone()) else {
                return Ok(Directive::Merge);
            };
            let found = word(&text)?;
            patch.remove(DIRECTIVE);
            Ok(found)
        }
        Kind::Sequence => {
            // An item that says anything else, too, speaks of itself.
            let item = patch.content.iter().find(|item| item.field(DIRECTIVE).is_some());
            let item = item.filter(|item| item.content.len() == 2);
            let Some(text) = item.and_then(|item| item.field(DIRECTIVE)).map(|n| n.value.clone())
            else {
                return Ok(Directive::Merge);
            };
            let found = word(&text)?;
            Keys::new(&[DIRECTIVE]).set(patch, &[text], None)?;
            Ok(found)
        }
        Kind::Scalar | Kind::Alias => {
            let text = &patch.value;
            Err(Error(format!("no implemented strategic merge patch strategy for '' ('{text}')")))
        }
    }
}

pub(super) fn is_empty_map(node: &Node) -> bool {
    node.kind == Kind::Mapping && node.content.is_empty()
}

/// Returns a text as a value that has no type yet.
pub(super) fn scalar(text: &str) -> Node {
    let style = if plain::needs_quotes(text) { Style::Double } else { Style::Plain };
    Node::scalar(text, style)
}

/// Sets a field of a map. A value takes the quotes of the one before.
///
/// Source: sigs.k8s.io/kustomize/kyaml v0.21.1 yaml/fns.go (`FieldSetter`).
pub(super) fn set_field(map: &mut Node, name: &str, value: Node, key: Option<Node>) {
    match map.field_mut(name) {
        Some(old) => *old = restyled(value, old),
        None => {
            let key = key.map_or_else(
                || Node::scalar(name, Style::Plain),
                |key| Node { style: key.style, ..Node::scalar(name, Style::Plain) },
            );
            map.content.extend([key, value]);
        }
    }
}

/// Sets a field of a map to a text, or to what the text looks like where the field has no quotes.
pub(super) fn set_text(map: &mut Node, name: &str, text: &str) {
    match map.field_mut(name) {
        Some(old) if old.kind == Kind::Scalar && !old.is_null() => {
            text.clone_into(&mut old.value);
            old.tag.clear();
        }
        _ => set_field(map, name, scalar(text), None),
    }
}

/// Writes a value as another one was written; a text stays one.
fn restyled(mut value: Node, old: &Node) -> Node {
    if value.kind != Kind::Scalar || old.kind != Kind::Scalar || value.is_null() {
        return value;
    }
    let was_text = plain::is_text(&value);
    value.style = old.style;
    if was_text && !plain::is_text(&value) {
        // The style of what comes next is that of the first one still.
        "!!str".clone_into(&mut value.tag);
    }
    value
}
