//! JSON merge patch and strategic merge patch.

use std::collections::HashMap;

use serde_json::Map;

use super::types::Ty;
use crate::yaml::Value;

/// Applies a JSON merge patch (RFC 7386).
pub fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(map) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            map.remove(&key);
        } else {
            merge(map.entry(key).or_insert(Value::Null), value);
        }
    }
}

pub(super) const DIRECTIVE: &str = "$patch";
pub(super) const RETAIN: &str = "$retainKeys";
pub(super) const DELETE_PREFIX: &str = "$deleteFromPrimitiveList/";
pub(super) const ORDER_PREFIX: &str = "$setElementOrder/";

/// Applies a strategic merge patch.
///
/// # Errors
/// The server's text about a patch that cannot be applied.
///
/// Source: k8s.io/apimachinery 0.34 pkg/util/strategicpatch/patch.go (StrategicMergePatch).
pub fn strategic(target: &Value, patch: &Value, ty: Ty<'_>) -> Result<Value, String> {
    match (target, patch) {
        (_, Value::Object(patch)) => {
            let empty = Map::new();
            let target = target.as_object().unwrap_or(&empty);
            merge_map(target, patch, ty).map(|map| map.map_or(Value::Null, Value::Object))
        }
        (_, other) => Ok(other.clone()),
    }
}

pub(super) fn go_map(map: &Map<String, Value>) -> String {
    let inner: Vec<_> = map
        .iter()
        .map(|(key, value)| match value {
            Value::String(text) => format!("{key}:{text}"),
            other => format!("{key}:{other}"),
        })
        .collect();
    format!("map[{}]", inner.join(" "))
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Merges a patch into a map; nothing means that the map is deleted.
fn merge_map(
    target: &Map<String, Value>,
    patch: &Map<String, Value>,
    ty: Ty<'_>,
) -> Result<Option<Map<String, Value>>, String> {
    match patch.get(DIRECTIVE).and_then(Value::as_str) {
        Some("replace") => {
            let mut new = patch.clone();
            new.remove(DIRECTIVE);
            return Ok(Some(new));
        }
        Some("delete") => return Ok(Some(Map::new())),
        Some(other) => {
            return Err(format!("unknown patch type: {other} in map: {}", go_map(patch)));
        }
        None => {}
    }
    let mut merged = target.clone();
    if let Some(kept) = patch.get(RETAIN) {
        let kept = texts(kept);
        merged.retain(|key, _| kept.contains(&key.as_str()));
    }
    for (key, gone) in patch.iter().filter_map(|(k, v)| Some((k.strip_prefix(DELETE_PREFIX)?, v))) {
        let gone = gone.as_array().map_or(&[][..], Vec::as_slice);
        if let Some(Value::Array(list)) = merged.get_mut(key) {
            list.retain(|item| !gone.contains(item));
        }
    }
    for (key, value) in patch.iter().filter(|(key, _)| !key.starts_with('$')) {
        let child = ty.child(key);
        let live = merged.get(key);
        let new = match (live, value) {
            (_, Value::Null) => {
                merged.remove(key);
                continue;
            }
            (_, Value::Object(_)) if child.strategy().is_some_and(|strategy| strategy.replace) => {
                Some(value.clone())
            }
            (live, Value::Object(patch)) => {
                let empty = Map::new();
                let live = live.and_then(Value::as_object).unwrap_or(&empty);
                merge_map(live, patch, child)?.map(Value::Object)
            }
            (live, Value::Array(list)) => Some(merge_list(live, list, child)?),
            (_, other) => Some(other.clone()),
        };
        match new {
            Some(new) => merged.insert(key.clone(), new),
            None => merged.remove(key),
        };
    }
    for (key, order) in patch.iter().filter_map(|(k, v)| Some((k.strip_prefix(ORDER_PREFIX)?, v))) {
        let merge_key = ty.child(key).strategy().and_then(|strategy| strategy.key);
        if let (Some(Value::Array(list)), Value::Array(order)) = (merged.get_mut(key), order) {
            let live = target.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            reorder(list, order, live, merge_key);
        }
    }
    Ok(Some(merged))
}

fn merge_list(live: Option<&Value>, patch: &[Value], ty: Ty<'_>) -> Result<Value, String> {
    let plain = || Value::Array(patch.to_vec());
    let live = live.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let Some(strategy) = ty.strategy().filter(|strategy| strategy.merge) else {
        return Ok(plain());
    };
    let Some(key) = strategy.key else {
        let mut merged = live.to_vec();
        for item in patch {
            if !merged.contains(item) {
                merged.push(item.clone());
            }
        }
        return Ok(Value::Array(merged));
    };
    merge_keyed(live, patch, key, ty.item())
}

fn merge_keyed(live: &[Value], patch: &[Value], key: &str, ty: Ty<'_>) -> Result<Value, String> {
    let replace = patch.iter().any(|item| {
        item.as_object()
            .is_some_and(|map| map.len() == 1 && map.get(DIRECTIVE) == Some(&"replace".into()))
    });
    let is_mark =
        |item: &Value| item.get(DIRECTIVE) == Some(&"replace".into()) && item.get(key).is_none();
    if replace {
        return Ok(Value::Array(patch.iter().filter(|item| !is_mark(item)).cloned().collect()));
    }
    let mut merged = live.to_vec();
    let mut new = Vec::new();
    for item in patch {
        let Some(map) = item.as_object() else { continue };
        let Some(wanted) = map.get(key) else {
            return Err(format!("map: {} does not contain declared merge key: {key}", go_map(map)));
        };
        let found = merged.iter().position(|one| one.get(key) == Some(wanted));
        match map.get(DIRECTIVE).and_then(Value::as_str) {
            Some("delete") => merged.retain(|one| one.get(key) != Some(wanted)),
            Some("replace") => {
                let mut map = map.clone();
                map.remove(DIRECTIVE);
                match found {
                    Some(index) => merged[index] = Value::Object(map),
                    None => new.push(Value::Object(map)),
                }
            }
            Some(other) => {
                return Err(format!("unknown patch type: {other} in map: {}", go_map(map)));
            }
            None => match found {
                Some(index) => merged[index] = strategic(&merged[index], item, ty)?,
                None => new.push(strategic(&Value::Null, item, ty)?),
            },
        }
    }
    merged.extend(new);
    reorder(&mut merged, patch, live, Some(key));
    Ok(Value::Array(merged))
}

/// Orders a merged list: items named in `order` take its relative order, the others keep their
/// place after the item that they followed.
pub(super) fn reorder(list: &mut Vec<Value>, order: &[Value], live: &[Value], key: Option<&str>) {
    let identity = |item: &Value| match key {
        Some(key) => item.get(key).cloned().unwrap_or_default(),
        None => item.clone(),
    };
    // Of equal items the first one's place counts.
    let places = |list: &[Value]| -> HashMap<String, usize> {
        let places = list.iter().enumerate().rev();
        places.map(|(place, item)| (identity(item).to_string(), place)).collect()
    };
    let (wanted, old) = (places(order), places(live));
    let (mut named, rest): (Vec<Value>, Vec<Value>) =
        list.drain(..).partition(|item| wanted.contains_key(&identity(item).to_string()));
    // In a patch of a patch, items that are to be deleted go last.
    let is_deleted = |item: &Value| key.is_some() && item.get(DIRECTIVE).is_some();
    named.sort_by_key(|item| (is_deleted(item), wanted.get(&identity(item).to_string()).copied()));
    let place = |item: &Value| old.get(&identity(item).to_string()).copied();
    let mut named = named.into_iter().peekable();
    for item in rest {
        // A server-only item goes before the first named item that stood after it.
        while named.peek().is_some_and(|next| place(next).is_none_or(|at| Some(at) < place(&item)))
        {
            list.extend(named.next());
        }
        list.push(item);
    }
    list.extend(named);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    #[expect(clippy::too_many_lines, reason = "one table")]
    fn strategic_merge() {
        let pod = Ty::named("api.core.v1.Pod").unwrap();
        let live = json!({"spec": {"containers": [{"name": "a", "image": "x"}], "tolerations": [{"key": "k"}],
            "volumes": [{"name": "v", "emptyDir": {}}]}, "metadata": {"finalizers": ["a/b"]}});
        #[expect(clippy::type_complexity, reason = "a row of a table")]
        let rows: [(&str, Value, Result<(&str, Value), &str>); 10] = [
            (
                "new items come first",
                json!({"spec": {"containers": [{"name": "b", "image": "y"}]}}),
                Ok((
                    "/spec/containers",
                    json!([{"name": "b", "image": "y"}, {"name": "a", "image": "x"}]),
                )),
            ),
            (
                "order",
                json!({"spec": {"$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
                "containers": [{"name": "b"}]}}),
                Ok(("/spec/containers", json!([{"name": "a", "image": "x"}, {"name": "b"}]))),
            ),
            (
                "merge by key",
                json!({"spec": {"containers": [{"name": "a", "tty": true}]}}),
                Ok(("/spec/containers/0", json!({"name": "a", "image": "x", "tty": true}))),
            ),
            (
                "delete",
                json!({"spec": {"containers": [{"name": "a", "$patch": "delete"}]}}),
                Ok(("/spec/containers", json!([]))),
            ),
            (
                "replace list",
                json!({"spec": {"containers": [{"$patch": "replace"}, {"name": "z"}]}}),
                Ok(("/spec/containers", json!([{"name": "z"}]))),
            ),
            (
                "other lists are replaced",
                json!({"spec": {"tolerations": [{"key": "n"}]}}),
                Ok(("/spec/tolerations", json!([{"key": "n"}]))),
            ),
            (
                "retain keys",
                json!({"spec": {"volumes": [{"name": "v", "$retainKeys": ["name", "configMap"],
                "configMap": {"name": "c"}}]}}),
                Ok(("/spec/volumes", json!([{"name": "v", "configMap": {"name": "c"}}]))),
            ),
            (
                "primitive lists",
                json!({"metadata": {"finalizers": ["c/d"], "$deleteFromPrimitiveList/finalizers": ["a/b"]}}),
                Ok(("/metadata/finalizers", json!(["c/d"]))),
            ),
            (
                "missing key",
                json!({"spec": {"containers": [{"image": "zz"}]}}),
                Err("map: map[image:zz] does not contain declared merge key: name"),
            ),
            (
                "unknown directive",
                json!({"spec": {"$patch": "foo"}}),
                Err("unknown patch type: foo in map: map[$patch:foo]"),
            ),
        ];
        let mut failed = Vec::new();
        for (name, patch, wanted) in rows {
            let got = strategic(&live, &patch, pod);
            let fits = match (&wanted, &got) {
                (Ok((pointer, value)), Ok(got)) => got.pointer(pointer) == Some(value),
                (Err(text), Err(got)) => text == got,
                _ => false,
            };
            if !fits {
                failed.push(format!("{name}: {got:?}"));
            }
        }
        assert!(failed.is_empty(), "{failed:#?}");
    }
}
