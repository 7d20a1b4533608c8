//! Lists whose items are told apart by keys.
//!
//! Source: sigs.k8s.io/kustomize/kyaml v0.21.1 yaml/walk/associative_sequence.go, yaml/fns.go
//! (`ElementSetter`, `ElementMatcher`).

use super::error::{Error, require};
use super::merge::is_empty_map;
use crate::yaml::layout::{Kind, Node};

/// The fields that tell items apart. Without any, the items' own texts do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keys(Vec<String>);

impl Keys {
    pub(super) fn new(names: &[&str]) -> Self {
        match names {
            [] => Self(vec![String::new()]),
            names => Self(names.iter().map(|name| (*name).to_owned()).collect()),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &String> {
        self.0.iter()
    }

    /// Whether the items' own texts tell them apart.
    fn is_plain(&self) -> bool {
        self.0[0].is_empty()
    }

    /// Returns where the item with exactly these values is.
    pub(super) fn find(&self, list: &Node, texts: &[String]) -> Option<usize> {
        if list.kind != Kind::Sequence {
            return None;
        }
        list.content.iter().position(|item| match self.is_plain() {
            true => texts.first() == Some(&item.value),
            false => {
                let has = |(name, text): (&String, &String)| {
                    item.field(name).is_some_and(|value| value.value == *text)
                };
                !item.is_null() && self.0.iter().zip(texts).all(has)
            }
        })
    }

    /// Puts an item in the place of those with certain values, or at the end; without an item
    /// those are removed. An empty value stands for any. Empty items are removed, too.
    pub(super) fn set(
        &self,
        list: &mut Node,
        texts: &[String],
        item: Option<Node>,
    ) -> Result<(), Error> {
        let is_mapped = !self.is_plain() && texts.first().is_some_and(|text| !text.is_empty());
        let (mut kept, mut is_found) = (Vec::with_capacity(list.content.len() + 1), false);
        for old in std::mem::take(&mut list.content) {
            if old.is_null() || is_empty_map(&old) {
                continue;
            }
            if is_mapped && old.kind != Kind::Mapping {
                kept.push(old);
                continue;
            }
            require(&old, if self.is_plain() { Kind::Scalar } else { Kind::Mapping })?;
            // A key without a value is met by who met the one before.
            let met = self.0.iter().zip(texts).all(|(name, text)| match self.is_plain() {
                true => old.value == *text,
                false => fits(&old, name, text),
            });
            if !met || texts.is_empty() {
                if !texts.is_empty() {
                    kept.push(old);
                }
                continue;
            }
            is_found = true;
            kept.extend(item.clone());
        }
        if let Some(item) = item.filter(|item| !is_found && !item.is_null()) {
            kept.push(item);
        }
        list.content = kept;
        Ok(())
    }
}

fn fits(item: &Node, name: &str, text: &str) -> bool {
    item.field(name).is_some_and(|value| text.is_empty() || value.value == text)
}

/// Returns the values of the keys of each item, each once; an absent one is empty.
pub(super) fn values(list: Option<&Node>, keys: &Keys) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = Vec::new();
    let items = list.filter(|list| list.kind == Kind::Sequence);
    for item in items.into_iter().flat_map(|list| &list.content) {
        let of = |name: &String| match item.field(name) {
            Some(value) if !value.is_null() => value.value.clone(),
            _ => String::new(),
        };
        let texts: Vec<String> = match keys.is_plain() {
            true => vec![item.value.clone()],
            false => keys.iter().map(of).collect(),
        };
        if !found.contains(&texts) {
            found.push(texts);
        }
    }
    found
}

/// Values that differ only where one of them lacks something become the same.
pub(super) fn merge_values(all: &mut [Vec<String>]) {
    for one in 0..all.len() {
        // What it becomes meanwhile does not count for those that follow.
        let first = all[one].clone();
        for other in 0..all.len() {
            if let Some(both) = matched(&first, &all[other]) {
                all[one].clone_from(&both);
                all[other] = both;
            }
        }
    }
}

fn matched(one: &[String], other: &[String]) -> Option<Vec<String>> {
    let mut is_common = false;
    let mut both = Vec::with_capacity(one.len());
    for (a, b) in one.iter().zip(other) {
        is_common |= a == b;
        if a != b && !a.is_empty() && !b.is_empty() {
            return None;
        }
        both.push(if a.is_empty() { b.clone() } else { a.clone() });
    }
    (one.len() == other.len() && is_common).then_some(both)
}

/// Returns the keys that any item has a value for, and these values of one item.
pub(super) fn valid(all: &[Vec<String>], one: &[String], keys: &Keys) -> (Keys, Vec<String>) {
    let has_any = |at: usize| all.iter().any(|texts| texts.get(at).is_some_and(|t| !t.is_empty()));
    if !(0..keys.len()).any(has_any) {
        return (keys.clone(), one.to_vec());
    }
    let names = keys.iter().enumerate().filter(|(at, _)| has_any(*at));
    let texts = one.iter().enumerate().filter(|(at, text)| !text.is_empty() || has_any(*at));
    let names = Keys(names.map(|(_, name)| name.clone()).collect());
    (names, texts.map(|(_, text)| text.clone()).collect())
}

/// Puts the items of a list into another one: in the place of their like, or at the end.
pub(super) fn take_over(into: &mut Node, from: &Node, keys: &Keys) -> Result<(), Error> {
    for item in &from.content {
        if keys.is_plain() {
            keys.set(into, std::slice::from_ref(&item.value), Some(item.clone()))?;
            continue;
        }
        let mut texts = Vec::new();
        for name in keys.iter() {
            require(item, Kind::Mapping)?;
            match item.field(name) {
                Some(value) if !item.is_null() => texts.push(value.value.clone()),
                _ => into.content.push(item.clone()),
            }
        }
        if keys.len() > 1 {
            keys.set(into, &texts, None)?;
        }
        keys.set(into, &texts, Some(item.clone()))?;
    }
    Ok(())
}
