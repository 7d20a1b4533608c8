//! Plain data ready for templates: shared by all threads that render, copied by none.

use std::rc::Rc;
use std::sync::Arc;

use super::entries::head;
use super::value::{List, ListKind, Map, Str, UintKind, Value, Watch, text};
use crate::yaml;

/// A value that nobody changes: a thread makes values of its own from it, each level of maps when
/// a template first looks into it.
#[derive(Debug, Clone)]
pub struct Frozen(Node);

#[derive(Debug, Clone)]
enum Node {
    Nil,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Str(Str),
    List(Arc<[Self]>),
    Map(Arc<FrozenMap>),
}

/// The entries of a map, in bytewise key order.
#[derive(Debug)]
pub(crate) struct FrozenMap {
    heads: Vec<u64>,
    entries: Vec<(Str, Node)>,
}

impl Frozen {
    /// Freezes plain data.
    #[must_use]
    pub fn new(plain: &yaml::Value) -> Self {
        Self(node(plain))
    }

    /// Freezes a map.
    #[must_use]
    pub fn of_map(plain: &yaml::Map) -> Self {
        Self(map(plain))
    }

    /// Freezes texts, in bytewise order of their keys.
    pub(super) fn of_texts<const N: usize>(texts: [(&str, Str); N]) -> Arc<FrozenMap> {
        let heads = texts.iter().map(|(key, _)| head(key.as_bytes())).collect();
        let entries = texts.into_iter().map(|(key, value)| (text(key), Node::Str(value)));
        Arc::new(FrozenMap { heads, entries: entries.collect() })
    }

    /// Returns it as a value; its maps tell `watch` what changes.
    pub(super) fn value(&self, watch: Option<&Watch>) -> Value {
        self.0.value(watch)
    }
}

fn node(plain: &yaml::Value) -> Node {
    match plain {
        yaml::Value::Null => Node::Nil,
        yaml::Value::Bool(value) => Node::Bool(*value),
        yaml::Value::Number(number) => {
            if let Some(int) = number.as_i64() {
                Node::Int(int)
            } else if let Some(uint) = number.as_u64() {
                Node::Uint(uint)
            } else {
                Node::Float(number.as_f64().unwrap_or_default())
            }
        }
        yaml::Value::String(value) => Node::Str(text(value)),
        yaml::Value::Array(items) => Node::List(items.iter().map(node).collect()),
        yaml::Value::Object(plain) => map(plain),
    }
}

fn map(plain: &yaml::Map) -> Node {
    Node::Map(Arc::new(FrozenMap {
        heads: plain.keys().map(|key| head(key.as_bytes())).collect(),
        entries: plain.iter().map(|(key, value)| (text(key), node(value))).collect(),
    }))
}

impl Node {
    fn value(&self, watch: Option<&Watch>) -> Value {
        match self {
            Self::Nil => Value::Nil,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(int) => Value::int64(*int),
            Self::Uint(uint) => Value::Uint(*uint, UintKind::Uint64),
            Self::Float(float) => Value::Float(*float),
            Self::Str(text) => Value::Str(Arc::clone(text)),
            Self::List(items) => {
                let items = items.iter().map(|item| item.value(watch)).collect();
                Value::List(Rc::new(List { kind: ListKind::Any, nil: false, items }))
            }
            Self::Map(map) => Value::map(Map::of_frozen(map, watch)),
        }
    }
}

impl FrozenMap {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the first bytes of the keys, and the entries.
    pub(super) fn unfrozen(&self, watch: Option<&Watch>) -> (Vec<u64>, Vec<(Str, Value)>) {
        let entries = self.entries.iter().map(|(key, node)| (Arc::clone(key), node.value(watch)));
        (self.heads.clone(), entries.collect())
    }
}
