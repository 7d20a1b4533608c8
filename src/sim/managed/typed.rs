//! Objects as typed trees: which fields they hold, how two of them differ, merge and shrink.
//!
//! Source: sigs.k8s.io/structured-merge-diff v6 typed/{tofieldset,compare,merge,remove}.go.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::Map;

use super::set::{Set, print_element};
use crate::shape::types::{Form, Shape, Ty};
use crate::sim::value::is_empty;
use crate::yaml::Value;

/// What differs between two objects.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// Fields that are new or have another value.
    pub(crate) changed: Set,
    /// Fields that are gone.
    pub(crate) removed: Set,
}

fn field_element(name: &str) -> String {
    format!("f:{name}")
}

/// Resolves what the type leaves open by looking at a value.
fn resolve<'a>(ty: Ty<'a>, value: &Value) -> Shape<'a> {
    match ty.shape() {
        Shape::Deduced if value.is_object() => Shape::Map,
        Shape::Deduced => Shape::Leaf,
        known => known,
    }
}

/// Returns the path element of a list item.
fn item_element(shape: &Shape<'_>, item: &Value, ty: Ty<'_>) -> Result<String, String> {
    match shape {
        Shape::Keyed(keys) => {
            let Some(map) = item.as_object() else {
                return Err("associative list with keys may not have non-map elements".to_owned());
            };
            let mut found = BTreeMap::new();
            for key in keys {
                let value = map.get(*key).filter(|value| !value.is_null());
                if let Some(value) = value.or_else(|| ty.default_of(key)) {
                    found.insert(*key, value);
                }
            }
            if found.is_empty() {
                let keys: Vec<_> = keys.iter().map(|key| format!("\"{key}\"")).collect();
                return Err(format!(
                    "associative list with keys has an element that omits all key fields [{}] (and \
                     doesn't have default values for any key fields)",
                    keys.join(" ")
                ));
            }
            let text = serde_json::to_string(&found).map_err(|error| error.to_string())?;
            Ok(format!("k:{text}"))
        }
        _ => Ok(format!("v:{item}")),
    }
}

fn list_of(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Returns the fields that a configuration holds, checking its types on the way.
pub(crate) fn fields_of(value: &Value, ty: Ty<'_>) -> Result<Set, String> {
    let mut set = Set::default();
    collect(value, ty, "", &mut set)?;
    Ok(set)
}

fn collect(value: &Value, ty: Ty<'_>, path: &str, set: &mut Set) -> Result<(), String> {
    check_scalar(value, ty, path)?;
    match resolve(ty, value) {
        Shape::Map => {
            for (name, inner) in value.as_object().into_iter().flatten() {
                let declared = ty.field(name);
                let child_path = format!("{path}.{name}");
                if declared.is_none() && (ty.def().is_some() || ty.is_closed()) {
                    return Err(format!("{child_path}: field not declared in schema"));
                }
                let below = set.below(field_element(name));
                collect(inner, ty.child(name), &child_path, below)?;
                let blank = inner.is_null() || inner.as_object().is_some_and(Map::is_empty);
                below.member |= blank || declared.is_none();
            }
        }
        shape @ (Shape::Set | Shape::Keyed(_)) => {
            let mut seen = HashSet::new();
            for item in list_of(Some(value)) {
                let element = item_element(&shape, item, ty.item())
                    .map_err(|error| format!("{path}: element: {error}"))?;
                let printed = print_element(&element);
                if !seen.insert(element.clone()) {
                    return Err(format!("{path}: duplicate entries for key {printed}"));
                }
                let below = set.below(element);
                collect(item, ty.item(), &format!("{path}{printed}"), below)?;
                below.member = true;
            }
        }
        Shape::Leaf | Shape::Deduced => set.member = true,
    }
    Ok(())
}

/// Refuses scalars of a wrong type in the words of the typed parser.
fn check_scalar(value: &Value, ty: Ty<'_>, path: &str) -> Result<(), String> {
    let Ty::Known(field) = ty else { return Ok(()) };
    let (wanted, fits) = match &field.form {
        _ if value.is_null() => return Ok(()),
        Form::Text | Form::Time | Form::MicroTime | Form::Bytes => ("string", value.is_string()),
        Form::Int => ("numeric (int or float)", value.is_number()),
        Form::Number => ("numeric (int or float)", value.is_number()),
        Form::Bool => ("boolean", value.is_boolean()),
        Form::Struct(_) | Form::Map(_) => ("map", value.is_object()),
        Form::List(_) => ("list", value.is_array()),
        Form::Quantity | Form::IntOrText | Form::Any => return Ok(()),
    };
    if fits {
        return Ok(());
    }
    let printed = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Err(format!("{path}: expected {wanted}, got &{{{printed}}}"))
}

/// Compares two objects of one type.
pub(crate) fn compare(old: &Value, new: &Value, ty: Ty<'_>) -> Comparison {
    let mut found = Comparison::default();
    let root = Walk { changed: &mut found.changed, removed: &mut found.removed };
    root.walk(Some(old), Some(new), ty);
    found
}

/// Where the differences below one path are noted.
struct Walk<'s> {
    changed: &'s mut Set,
    removed: &'s mut Set,
}

impl Walk<'_> {
    fn leaf(self, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            (Some(_), None) => self.removed.member = true,
            (None, Some(_)) => self.changed.member = true,
            (Some(old), Some(new)) if old != new => self.changed.member = true,
            _ => {}
        }
    }

    fn walk(mut self, old: Option<&Value>, new: Option<&Value>, ty: Ty<'_>) {
        if old == new {
            return;
        }
        let Some(present) = new.filter(|value| !value.is_null()).or(old) else { return };
        let shape = resolve(ty, present);
        let blank = |value: Option<&Value>| value.is_none_or(is_empty);
        let mixed = matches!((old, new), (Some(old), Some(new))
            if !old.is_null() && !new.is_null() && old.is_object() != new.is_object());
        if matches!(shape, Shape::Leaf | Shape::Deduced) || (blank(old) && blank(new)) || mixed {
            return self.leaf(old, new);
        }
        if shape == Shape::Map {
            let maps = [old, new].into_iter().flatten().filter_map(Value::as_object);
            let names: BTreeSet<&str> = maps.flat_map(Map::keys).map(String::as_str).collect();
            for name in names {
                let old = old.and_then(|map| map.get(name));
                let new = new.and_then(|map| map.get(name));
                if old != new {
                    self.step(field_element(name)).walk(old, new, ty.child(name));
                }
            }
        } else {
            let index = |list| by_element(list, &shape, ty.item());
            let (olds, news) = (index(list_of(old)), index(list_of(new)));
            for element in olds.keys().chain(news.keys().filter(|key| !olds.contains_key(*key))) {
                let (old, new) = (olds.get(element).copied(), news.get(element).copied());
                self.step(element.clone()).walk(old, new, ty.item());
            }
        }
        if old.is_none() {
            self.changed.member = true;
        } else if new.is_none() {
            self.removed.member = true;
        }
        self.changed.children.retain(|_, child| !child.is_empty());
        self.removed.children.retain(|_, child| !child.is_empty());
    }

    fn step(&mut self, element: String) -> Walk<'_> {
        Walk { changed: self.changed.below(element.clone()), removed: self.removed.below(element) }
    }
}

fn by_element<'v>(list: &'v [Value], shape: &Shape<'_>, ty: Ty<'_>) -> HashMap<String, &'v Value> {
    let mut found = HashMap::new();
    for item in list {
        if let Ok(element) = item_element(shape, item, ty) {
            found.entry(element).or_insert(item);
        }
    }
    found
}

/// Merges a configuration into a live object: what it names wins, the rest stays.
pub(crate) fn merge(live: Option<&Value>, config: &Value, ty: Ty<'_>) -> Value {
    let Some(live) = live.filter(|live| !live.is_null()) else { return config.clone() };
    let shape = resolve(ty, config);
    match (&shape, live, config) {
        (Shape::Map, Value::Object(live), Value::Object(config)) => {
            let mut merged = live.clone();
            for (key, value) in config {
                let new = merge(live.get(key), value, ty.child(key));
                merged.insert(key.clone(), new);
            }
            Value::Object(merged)
        }
        (Shape::Set | Shape::Keyed(_), Value::Array(live), Value::Array(config)) => {
            merge_lists(live, config, &shape, ty.item())
        }
        _ => config.clone(),
    }
}

/// Interleaves two associative lists: the configuration's relative order wins.
fn merge_lists(live: &[Value], config: &[Value], shape: &Shape<'_>, ty: Ty<'_>) -> Value {
    let elements = |list: &[Value]| -> Vec<String> {
        list.iter().map(|item| item_element(shape, item, ty).unwrap_or_default()).collect()
    };
    let (lefts, rights) = (elements(live), elements(config));
    let (left_index, right_index) = (by_element(live, shape, ty), by_element(config, shape, ty));
    let mut shared = rights.iter().filter(|element| left_index.contains_key(*element)).peekable();
    let mut merged = Vec::new();
    let mut done: HashSet<&String> = HashSet::new();
    let (mut l, mut r) = (0, 0);
    while l < lefts.len() || r < rights.len() {
        if let (Some(left), Some(right)) = (lefts.get(l), rights.get(r)) {
            if left == right {
                done.insert(left);
                merged.push(merge(Some(&live[l]), &config[r], ty));
                l += 1;
                r += 1;
                shared.next();
                continue;
            }
            if right_index.contains_key(left) && shared.peek().is_some_and(|next| *next != left) {
                l += 1;
                continue;
            }
        }
        if let Some(left) = lefts.get(l) {
            if !right_index.contains_key(left) {
                merged.push(live[l].clone());
                l += 1;
                continue;
            }
            if done.contains(left) {
                l += 1;
            }
        }
        if let Some(right) = rights.get(r) {
            done.insert(right);
            merged.push(merge(left_index.get(right).copied(), &config[r], ty));
            r += 1;
            if shared.peek().is_some_and(|next| *next == right) {
                shared.next();
            }
        }
    }
    Value::Array(merged)
}

/// Returns a value without some of its fields; what becomes empty by that is null.
pub(crate) fn remove(value: &Value, gone: &Set, ty: Ty<'_>) -> Value {
    match (resolve(ty, value), value) {
        (Shape::Map, Value::Object(map)) => {
            let mut kept = Map::new();
            for (key, inner) in map {
                match gone.children.get(&field_element(key)) {
                    Some(set) if set.member => {}
                    Some(set) if !set.is_empty() => {
                        kept.insert(key.clone(), remove(inner, set, ty.child(key)));
                    }
                    _ => {
                        kept.insert(key.clone(), inner.clone());
                    }
                }
            }
            if kept.is_empty() { Value::Null } else { Value::Object(kept) }
        }
        (shape @ (Shape::Set | Shape::Keyed(_)), Value::Array(list)) => {
            let mut kept = Vec::new();
            for item in list {
                let element = item_element(&shape, item, ty.item()).unwrap_or_default();
                match gone.children.get(&element) {
                    Some(set) if set.member => {}
                    Some(set) if !set.is_empty() => kept.push(remove(item, set, ty.item())),
                    _ => kept.push(item.clone()),
                }
            }
            if kept.is_empty() { Value::Null } else { Value::Array(kept) }
        }
        (Shape::Map | Shape::Set | Shape::Keyed(_) | Shape::Leaf | Shape::Deduced, other) => {
            other.clone()
        }
    }
}

/// Returns the set with every declared struct field on the way made a member.
pub(crate) fn with_named_fields(set: &Set, ty: Ty<'_>) -> Set {
    let mut named = Set { member: set.member, children: BTreeMap::new() };
    for (element, child) in &set.children {
        let inner = match element.strip_prefix("f:") {
            Some(name) => ty.child(name),
            None => ty.item(),
        };
        let mut below = with_named_fields(child, inner);
        if let Some(name) = element.strip_prefix("f:") {
            below.member |= ty.field(name).is_some() && !child.is_empty();
        }
        named.children.insert(element.clone(), below);
    }
    named
}
