//! Which patch turns a live object into what is wanted: client-side apply.
//!
//! What is wanted is held against what is live for what is to be set, and against what was wanted
//! before for what is to go: fields that others added stay.
//!
//! Source: k8s.io/apimachinery 0.37 pkg/util/strategicpatch/patch.go (CreateThreeWayMergePatch),
//! pkg/util/jsonmergepatch/patch.go; evanphx/json-patch merge.go (CreateMergePatch).

use std::collections::BTreeSet;

use serde_json::Map;

use super::patch::{DELETE_PREFIX, DIRECTIVE, ORDER_PREFIX, RETAIN, go_map, reorder};
use super::types::Ty;
use crate::yaml::Value;

type Fields = Map<String, Value>;

/// Returns the strategic merge patch of a live object that sets what `new` says and takes away
/// what `old` said and `new` does not. It is empty if nothing is to be changed.
///
/// # Errors
/// Go's text about objects between which there is no such patch.
pub fn three_way(old: &Value, new: &Value, live: &Value, ty: Ty<'_>) -> Result<Value, String> {
    let empty = Fields::new();
    let [old, new, live] = [old, new, live].map(|value| value.as_object().unwrap_or(&empty));
    let set = maps(live, new, ty, Taken::Set)?;
    let gone = maps(old, new, ty, Taken::Gone)?;
    joined(gone, set, ty).map(Value::Object)
}

/// Returns the JSON merge patch that turns `old` into `new`; empty if they are the same.
pub fn two_way_json(old: &Value, new: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (old, new) else { return new.clone() };
    let mut patch = Fields::new();
    for (key, value) in new {
        match (old.get(key), value) {
            (Some(before), value) if before == value => {}
            (Some(Value::Object(_)), Value::Object(_)) => {
                let below = two_way_json(&old[key], value);
                if below.as_object().is_some_and(|below| !below.is_empty()) {
                    patch.insert(key.clone(), below);
                }
            }
            (_, value) => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    let gone = old.keys().filter(|key| !new.contains_key(*key));
    patch.extend(gone.map(|key| (key.clone(), Value::Null)));
    Value::Object(patch)
}

/// As [`three_way`] for kinds of which nothing is known: a JSON merge patch.
pub fn three_way_json(old: &Value, new: &Value, live: &Value) -> Value {
    let mut patch = nulls(&two_way_json(old, new), true);
    add(&mut patch, nulls(&two_way_json(live, new), false));
    patch
}

/// Keeps only the nulls of a patch, or all but them.
fn nulls(patch: &Value, kept: bool) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let part = patch.iter().filter_map(|(key, value)| match value {
        Value::Null => kept.then_some((key.clone(), Value::Null)),
        Value::Object(map) if !map.is_empty() => {
            let below = nulls(value, kept);
            let is_some = below.as_object().is_some_and(|below| !below.is_empty());
            is_some.then_some((key.clone(), below))
        }
        value => (!kept).then(|| (key.clone(), value.clone())),
    });
    Value::Object(part.collect())
}

/// Adds one patch to another.
fn add(patch: &mut Value, more: Value) {
    match (patch, more) {
        (Value::Object(patch), Value::Object(more)) => {
            for (key, value) in more {
                add(patch.entry(key).or_insert(Value::Null), value);
            }
        }
        (patch, more) => *patch = more,
    }
}

/// Which part of a difference is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// What is new or other than before.
    Set,
    /// What is not there any more.
    Gone,
}

/// Returns the type of a field that must be known.
fn declared<'a>(ty: Ty<'a>, key: &str) -> Result<Ty<'a>, String> {
    let known = ty.field(key).or_else(|| ty.values());
    match known {
        Some(known) => Ok(known),
        None if ty.def().is_none() => Ok(Ty::Any),
        None => Err(format!(
            "unable to find api field in struct {} for the json field {key:?}",
            ty.go_name()
        )),
    }
}

fn maps(old: &Fields, new: &Fields, ty: Ty<'_>, taken: Taken) -> Result<Fields, String> {
    let mut patch = Fields::new();
    for (key, value) in new {
        let Some(before) = old.get(key) else {
            if taken == Taken::Set {
                patch.insert(key.clone(), value.clone());
            }
            continue;
        };
        match (before, value) {
            // Even of what is unknown then.
            (Value::Object(_) | Value::Array(_), _)
                if before == value && declared(ty, key).is_err() => {}
            (Value::Object(before), Value::Object(after)) => {
                let ty = declared(ty, key)?;
                let strategy = ty.strategy();
                if strategy.is_some_and(|strategy| strategy.replace) {
                    if taken == Taken::Set {
                        patch.insert(key.clone(), value.clone());
                    }
                    continue;
                }
                let retains = strategy.is_some_and(|strategy| strategy.retain_keys);
                let below = retaining(before, after, ty, (taken, retains))?;
                if !below.is_empty() {
                    patch.insert(key.clone(), Value::Object(below));
                }
            }
            (Value::Array(before), Value::Array(after)) => {
                list(&mut patch, key, (before, after), declared(ty, key)?, taken)?;
            }
            (before, after) => {
                if taken == Taken::Set && before != after {
                    patch.insert(key.clone(), after.clone());
                }
            }
        }
    }
    if taken == Taken::Gone {
        let gone = old.keys().filter(|key| !new.contains_key(*key));
        patch.extend(gone.map(|key| (key.clone(), Value::Null)));
    }
    Ok(patch)
}

/// As [`maps`]; for structs of which one field excludes the others, names those that stay.
fn retaining(
    old: &Fields,
    new: &Fields,
    ty: Ty<'_>,
    (taken, retains): (Taken, bool),
) -> Result<Fields, String> {
    let mut patch = maps(old, new, ty, taken)?;
    let kept: BTreeSet<&String> = { new.iter().filter(|(_, value)| !value.is_null()) }
        .map(|(key, _)| key)
        .filter(|_| retains)
        .collect();
    let has_other = || old.iter().any(|(key, value)| !value.is_null() && !new.contains_key(key));
    if !kept.is_empty() && (!patch.is_empty() || has_other()) {
        let kept: Vec<Value> = kept.into_iter().map(|key| key.as_str().into()).collect();
        patch.insert(RETAIN.to_owned(), kept.into());
    }
    Ok(patch)
}

/// Notes how a list differs.
fn list(
    patch: &mut Fields,
    key: &str,
    (old, new): (&[Value], &[Value]),
    ty: Ty<'_>,
    taken: Taken,
) -> Result<(), String> {
    let strategy = ty.strategy().filter(|strategy| strategy.merge);
    let Some(strategy) = strategy else {
        if taken == Taken::Set && old != new {
            patch.insert(key.to_owned(), new.into());
        }
        return Ok(());
    };
    if old.is_empty() {
        if taken == Taken::Set && !new.is_empty() {
            patch.insert(key.to_owned(), new.into());
        }
        return Ok(());
    }
    let (changed, gone, order) = match strategy.key {
        Some(by) => {
            let retains = strategy.retain_keys;
            (keyed(old, new, (by, ty.item(), retains), taken)?, Vec::new(), by)
        }
        None => {
            let (added, gone) = scalars(old, new, taken);
            (added, gone, "")
        }
    };
    let is_reordered = match strategy.key {
        Some(by) => {
            old.len() != new.len()
                || old.iter().zip(new).any(|(old, new)| old.get(by) != new.get(by))
        }
        // The old list is looked at in the order of its texts: so it is in Go.
        None => sorted(old) != new,
    };
    let is_ordered = match taken {
        Taken::Set => !changed.is_empty() || is_reordered,
        Taken::Gone => !changed.is_empty() || !gone.is_empty(),
    };
    if !changed.is_empty() {
        patch.insert(key.to_owned(), changed.into());
    }
    if !gone.is_empty() {
        patch.insert(format!("{DELETE_PREFIX}{key}"), gone.into());
    }
    if is_ordered && !new.is_empty() {
        let named = new.iter().map(|item| match strategy.key {
            Some(_) => named(order, item),
            None => item.clone(),
        });
        patch.insert(format!("{ORDER_PREFIX}{key}"), named.collect());
    }
    Ok(())
}

/// Returns an item with nothing but its key.
fn named(by: &str, item: &Value) -> Value {
    let key = item.get(by).cloned().unwrap_or_default();
    Value::Object(Fields::from_iter([(by.to_owned(), key)]))
}

/// Returns a scalar as Go prints it.
fn printed(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Returns scalars in the order of their texts.
fn sorted(list: &[Value]) -> Vec<Value> {
    let mut list = list.to_vec();
    list.sort_by_cached_key(printed);
    list
}

/// Returns which scalars are new, in the order of the new list, and which are gone.
fn scalars(old: &[Value], new: &[Value], taken: Taken) -> (Vec<Value>, Vec<Value>) {
    match taken {
        Taken::Set => {
            let added = new.iter().filter(|item| !old.contains(item));
            (added.cloned().collect(), Vec::new())
        }
        Taken::Gone => {
            let mut gone = sorted(old);
            gone.retain(|item| !new.contains(item));
            gone.dedup();
            (Vec::new(), gone)
        }
    }
}

/// Returns the items with their keys, in the order of those.
///
/// Of equal keys the last comes first: Go's sort turns them around, and which of two ports of one
/// number is compared with which hangs on it.
fn by_key<'a>(list: &'a [Value], by: &str) -> Result<Vec<(String, &'a Fields)>, String> {
    let mut items = Vec::with_capacity(list.len());
    for item in list.iter().rev() {
        let Some(map) = item.as_object() else {
            return Err(format!("list element types are not identical: {item}"));
        };
        let Some(key) = map.get(by) else {
            return Err(format!("map: {} does not contain declared merge key: {by}", go_map(map)));
        };
        items.push((printed(key), map));
    }
    items.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(items)
}

/// Returns what is to be done with the items of a list that are known by a key.
fn keyed(
    old: &[Value],
    new: &[Value],
    (by, ty, retains): (&str, Ty<'_>, bool),
    taken: Taken,
) -> Result<Vec<Value>, String> {
    let (before, after) = (by_key(old, by)?, by_key(new, by)?);
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    let (mut changed, mut gone) = (Vec::new(), Vec::new());
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => break,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some((a, _)), Some((b, _))) => a.cmp(b),
        };
        // An item that is only in the old list, in both, or only in the new one.
        let was = if order.is_le() { before.next() } else { None };
        let is = if order.is_ge() { after.next() } else { None };
        match (was, is) {
            (Some((_, was)), Some((_, is))) => {
                let mut patch = retaining(was, is, ty, (taken, retains))?;
                if !patch.is_empty() {
                    patch.insert(by.to_owned(), is[by].clone());
                    changed.push(Value::Object(patch));
                }
            }
            (None, Some((_, is))) => {
                if taken == Taken::Set {
                    changed.push(Value::Object((*is).clone()));
                }
            }
            (Some((_, was)), None) => {
                if taken == Taken::Gone {
                    let key = (by.to_owned(), was[by].clone());
                    let delete = (DIRECTIVE.to_owned(), "delete".into());
                    gone.push(Value::Object(Fields::from_iter([key, delete])));
                }
            }
            (None, None) => {}
        }
    }
    let place = |item: &Value| new.iter().position(|other| other.get(by) == item.get(by));
    changed.sort_by_key(place);
    changed.extend(gone);
    Ok(changed)
}

/// Adds what is to be set to what is to go.
fn joined(mut gone: Fields, mut set: Fields, ty: Ty<'_>) -> Result<Fields, String> {
    if let Some(kept) = set.remove(RETAIN) {
        gone.insert(RETAIN.to_owned(), kept);
    }
    let orders: Vec<String> =
        set.keys().filter(|key| key.starts_with(ORDER_PREFIX)).cloned().collect();
    for name in orders {
        let Some(order) = set.remove(&name) else { continue };
        let key = name[ORDER_PREFIX.len()..].to_owned();
        let by = declared(ty, &key)?.strategy().and_then(|strategy| strategy.key);
        let (before, after) = (gone.remove(&key), set.remove(&key));
        let (before, after) = (before.map(items), after.map(items));
        let known = before.clone().unwrap_or_default();
        let order_items = order.as_array().map_or(&[][..], Vec::as_slice);
        check_order(after.as_deref().unwrap_or_default(), order_items, by)?;
        let mut both = match (before, after) {
            (None, None) => Vec::new(),
            (Some(list), None) | (None, Some(list)) => list,
            (Some(before), Some(after)) => joined_lists(before, after, declared(ty, &key)?)?,
        };
        if !both.is_empty() {
            reorder(&mut both, order_items, &known, by);
            gone.insert(key, both.into());
        }
        gone.insert(name, order);
    }
    for (key, value) in set {
        let value = match (gone.remove(&key), value) {
            (Some(Value::Object(before)), Value::Object(map)) => match declared(ty, &key)? {
                ty if ty.strategy().is_some_and(|strategy| strategy.replace) => map.into(),
                ty => Value::Object(joined(before, map, ty)?),
            },
            (Some(Value::Array(before)), Value::Array(list)) => {
                let ty = declared(ty, &key)?;
                match ty.strategy().is_some_and(|strategy| strategy.merge) {
                    true => joined_lists(before, list, ty)?.into(),
                    false => list.into(),
                }
            }
            (_, value) => value,
        };
        gone.insert(key, value);
    }
    Ok(gone)
}

/// Refuses a list whose items do not come in the order that is wanted, which several items of one
/// key may bring about.
fn check_order(list: &[Value], order: &[Value], by: Option<&str>) -> Result<(), String> {
    let key = |item: &Value| match by {
        Some(by) => item.get(by).cloned(),
        None => Some(item.clone()),
    };
    let mut places = order.iter();
    let is_ordered = list.iter().all(|item| places.any(|place| key(place) == key(item)));
    if is_ordered || order.is_empty() {
        return Ok(());
    }
    let shown = |list: &[Value]| {
        let each = list.iter().map(|item| match item {
            Value::Object(map) => go_map(map),
            other => printed(other),
        });
        each.collect::<Vec<_>>().join(" ")
    };
    Err(format!(
        "The order in patch list:\n[{}]\n doesn't match $setElementOrder list:\n[{}]\n",
        shown(list),
        shown(order)
    ))
}

fn items(list: Value) -> Vec<Value> {
    match list {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

fn joined_lists(gone: Vec<Value>, set: Vec<Value>, ty: Ty<'_>) -> Result<Vec<Value>, String> {
    let Some(by) = ty.strategy().and_then(|strategy| strategy.key) else {
        let mut all = gone;
        all.extend(set);
        return Ok(all);
    };
    let (before, order) = (gone.clone(), set.clone());
    let mut all = gone;
    for item in set {
        let found = all.iter_mut().find(|known| known.get(by) == item.get(by));
        match (found, item) {
            (Some(Value::Object(known)), Value::Object(item)) => {
                *known = joined(std::mem::take(known), item, ty.item())?;
            }
            (_, item) => all.push(item),
        }
    }
    reorder(&mut all, &order, &before, Some(by));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::shape::patch;

    #[derive(Deserialize)]
    struct Row {
        name: String,
        how: String,
        old: Value,
        new: Value,
        #[serde(default)]
        live: Value,
        #[serde(default)]
        patch: Value,
        #[serde(default)]
        error: String,
    }

    fn rows() -> impl Iterator<Item = Row> {
        let text = include_str!("../../tests/golden/patches/rows.jsonl");
        text.lines().map(|line| serde_json::from_str(line).unwrap())
    }

    fn ty(object: &Value) -> Ty<'static> {
        let api_version = object["apiVersion"].as_str().unwrap();
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Ty::of_kind(group, version, object["kind"].as_str().unwrap()).unwrap()
    }

    /// What client-go's functions answered, as `tests/parts/patches` asks them.
    #[test]
    fn patches_are_those_of_client_go() {
        let mut failed = Vec::new();
        for row in rows() {
            let Row { name, how, old, new, live, patch, error } = row;
            let made = match how.as_str() {
                "json" => Ok(two_way_json(&old, &new)),
                "json three-way" => Ok(three_way_json(&old, &new, &live)),
                _ => three_way(&old, &new, &live, ty(&new)),
            };
            let want = if error.is_empty() { Ok(patch) } else { Err(error) };
            if made != want {
                failed.push(format!("{how}, {name}:\n made {made:?}\n want {want:?}"));
            }
        }
        assert!(failed.is_empty(), "{} differ:\n{}", failed.len(), failed.join("\n"));
    }

    /// Applied by the server's rules, a patch leaves what Helm's users expect: everything wanted is
    /// there, and nothing that was wanted only before.
    #[test]
    fn what_is_patched_is_as_it_was_wanted() {
        for row in rows().filter(|row| row.how == "strategic" && row.error.is_empty()) {
            let patched = patch::strategic(&row.live, &row.patch, ty(&row.new)).unwrap();
            let part = |object: &Value| {
                let named = |pointer: &str, by: &str| -> BTreeSet<String> {
                    let list = object.pointer(pointer).and_then(Value::as_array);
                    list.into_iter().flatten().map(|item| item[by].to_string()).collect()
                };
                let pod = "/spec/template/spec";
                let images = named(&format!("{pod}/containers"), "image");
                (images, named(&format!("{pod}/volumes"), "name"))
            };
            let [old, new, live, patched] = [&row.old, &row.new, &row.live, &patched].map(part);
            assert!(new.0.is_subset(&patched.0) && new.1.is_subset(&patched.1), "{}", row.name);
            let gone = |old: &BTreeSet<String>, new: &BTreeSet<String>, now: &BTreeSet<String>| {
                old.difference(new).all(|name| !now.contains(name))
            };
            assert!(gone(&old.1, &new.1, &patched.1), "{}: {live:?}", row.name);
        }
    }
}
