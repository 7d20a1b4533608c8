//! JSON patches (RFC 6902) as the library that kustomize uses applies them: an absent field may be
//! replaced, a negative index counts from the end.
//!
//! Source: gopkg.in/evanphx/json-patch.v4 v4.13.0 patch.go.

use crate::yaml::{MAX_DEPTH, Map, Value};

/// So many values may an object grow to: each copy may double it.
const MOST_VALUES: usize = 1 << 20;

const MISSING: &str = "missing value";
const FAILED: &str = "test failed";

/// Reads a patch: a list of maps.
///
/// # Errors
/// It is something else.
pub(super) fn operations(patch: &Value) -> Result<Vec<Map>, String> {
    let wrong = || "json: cannot unmarshal into Go value of type jsonpatch.Patch".to_owned();
    match patch {
        Value::Null => Ok(Vec::new()),
        Value::Array(list) => {
            list.iter().map(|item| item.as_object().cloned().ok_or_else(wrong)).collect()
        }
        _ => Err(wrong()),
    }
}

/// Applies a patch.
///
/// # Errors
/// An operation does not apply; the library's words.
pub(super) fn apply(document: &mut Value, operations: &[Map]) -> Result<(), String> {
    operations.iter().try_for_each(|operation| {
        step(document, operation)?;
        match size(document, MAX_DEPTH) {
            Some(..=MOST_VALUES) => Ok(()),
            _ => Err("the patched object is too large, or nested too deeply".to_owned()),
        }
    })
}

/// Returns the number of values, unless they are nested more deeply.
fn size(value: &Value, depth: usize) -> Option<usize> {
    let depth = depth.checked_sub(1)?;
    let mut inner: Box<dyn Iterator<Item = &Value>> = match value {
        Value::Array(list) => Box::new(list.iter()),
        Value::Object(map) => Box::new(map.values()),
        _ => return Some(1),
    };
    inner.try_fold(1, |sum, value| Some(sum + size(value, depth)?))
}

fn step(document: &mut Value, operation: &Map) -> Result<(), String> {
    let text = |name: &str| operation.get(name).and_then(Value::as_str);
    let missing = |doing: &str| format!("{doing}: {MISSING}");
    let value = || operation.get("value").cloned().unwrap_or_default();
    let path = text("path");
    let undecoded = |kind: &str| {
        format!("{kind} operation failed to decode path: operation missing path field: {MISSING}")
    };
    match text("op").unwrap_or("unknown") {
        "add" => {
            let path = path.ok_or_else(|| missing("add operation failed to decode path"))?;
            let doing = format!("add operation does not apply: doc is missing path: {path:?}");
            let (parent, key) = find(document, path).ok_or_else(|| missing(&doing))?;
            add(parent, &key, value())
                .map_err(|why| format!("error in add for path: '{path}': {why}"))
        }
        "remove" => {
            let path = path.ok_or_else(|| missing("remove operation failed to decode path"))?;
            let doing = format!("remove operation does not apply: doc is missing path: {path:?}");
            let (parent, key) = find(document, path).ok_or_else(|| missing(&doing))?;
            let wrong = |why| format!("error in remove for path: '{path}': {why}");
            remove(parent, &key).map_err(wrong)
        }
        "replace" => replace(document, path.ok_or_else(|| undecoded("replace"))?, value()),
        "test" => test(document, path.ok_or_else(|| undecoded("test"))?, &value()),
        kind @ ("move" | "copy") => {
            let from = text("from").ok_or_else(|| {
                let why = format!("operation, missing from field: {MISSING}");
                format!("{kind} operation failed to decode from: {why}")
            })?;
            transfer(document, kind, from, path)
        }
        other => Err(format!("Unexpected kind: {other}")),
    }
}

fn replace(document: &mut Value, path: &str, value: Value) -> Result<(), String> {
    if path.is_empty() {
        if !value.is_object() && !value.is_array() {
            let why = "replace operation value must be object or array: %!w(<nil>)";
            return Err(why.to_owned());
        }
        *document = value;
        return Ok(());
    }
    let wrong = |what: &str| {
        format!("replace operation does not apply: doc is missing {what}: {path}: {MISSING}")
    };
    let (parent, key) = find(document, path).ok_or_else(|| wrong("path"))?;
    match parent {
        Value::Array(list) => {
            let at = index(&key, list.len()).map_err(|_| wrong("key"))?;
            list[at] = value;
        }
        Value::Object(map) => {
            map.insert(key, value);
        }
        _ => {}
    }
    Ok(())
}

fn test(document: &mut Value, path: &str, wanted: &Value) -> Result<(), String> {
    let failed = || format!("testing value {path} failed: {FAILED}");
    if path.is_empty() {
        return if document == wanted { Ok(()) } else { Err(failed()) };
    }
    let doing = format!("test operation does not apply: is missing path: {path}: {MISSING}");
    let (parent, key) = find(document, path).ok_or(doing)?;
    let found = read(parent, &key);
    let found = found.map_err(|why| format!("error in test for path: '{path}': {why}"))?;
    if found == *wanted { Ok(()) } else { Err(failed()) }
}

fn transfer(
    document: &mut Value,
    kind: &str,
    from: &str,
    path: Option<&str>,
) -> Result<(), String> {
    let lacks = |what: &str, path: &str| {
        format!("{kind} operation does not apply: doc is missing {what} path: {path}: {MISSING}")
    };
    let (parent, key) = find(document, from).ok_or_else(|| lacks("from", from))?;
    let wrong = |why: String| match kind {
        "move" => format!("error in move for path: '{key}': {why}"),
        _ => format!("error in copy for from: '{from}': {why}"),
    };
    let value = read(parent, &key).map_err(wrong)?;
    if kind == "move" {
        remove(parent, &key).map_err(wrong)?;
    }
    let path = path.ok_or_else(|| match kind {
        "move" => {
            format!("move operation failed to decode path: operation missing path field: {MISSING}")
        }
        _ => format!("copy operation failed to decode path: {MISSING}"),
    })?;
    let (parent, key) = find(document, path).ok_or_else(|| lacks("destination", path))?;
    add(parent, &key, value).map_err(|why| match kind {
        "move" => format!("error in move for path: '{path}': {why}"),
        _ => format!("error while adding value during copy: {why}"),
    })
}

/// Returns the map or list that a path ends in, and the last part of the path. What stands before
/// the first slash does not count.
fn find<'a>(document: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let decoded = |part: &str| part.replace("~1", "/").replace("~0", "~");
    let mut parts: Vec<&str> = path.split('/').collect();
    if parts.len() < 2 {
        return None;
    }
    let key = decoded(parts.pop()?);
    let mut at = document;
    for part in &parts[1..] {
        let part = decoded(part);
        at = match at {
            Value::Object(map) => map.get_mut(&part)?,
            Value::Array(list) => {
                let index = index(&part, list.len()).ok()?;
                &mut list[index]
            }
            _ => return None,
        };
    }
    (at.is_object() || at.is_array()).then_some((at, key))
}

fn number(key: &str) -> Result<i64, String> {
    // A sign in front is part of what Go reads, too.
    key.parse().map_err(|_| format!("strconv.Atoi: parsing {key:?}: invalid syntax"))
}

/// Returns where an item of a list is.
fn index(key: &str, length: usize) -> Result<usize, String> {
    let asked = number(key)?;
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let at = if asked < 0 { asked + length } else { asked };
    let place = usize::try_from(at).ok().filter(|_| at < length);
    place
        .ok_or_else(|| format!("Unable to access invalid index: {asked}: invalid index referenced"))
}

fn read(parent: &Value, key: &str) -> Result<Value, String> {
    match parent {
        Value::Array(list) => Ok(list[index(key, list.len())?].clone()),
        parent => Ok(parent.get(key).cloned().unwrap_or_default()),
    }
}

fn add(parent: &mut Value, key: &str, value: Value) -> Result<(), String> {
    match parent {
        Value::Array(list) if key == "-" => list.push(value),
        Value::Array(list) => {
            let wrong = |why| format!("value was not a proper array index: '{key}': {why}");
            number(key).map_err(wrong)?;
            // One behind the last is a place, too.
            list.insert(index(key, list.len() + 1)?, value);
        }
        Value::Object(map) => {
            map.insert(key.to_owned(), value);
        }
        _ => {}
    }
    Ok(())
}

fn remove(parent: &mut Value, key: &str) -> Result<(), String> {
    match parent {
        Value::Array(list) => {
            list.remove(index(key, list.len())?);
        }
        Value::Object(map) => {
            let missing = || format!("Unable to remove nonexistent key: {key}: {MISSING}");
            map.remove(key).ok_or_else(missing)?;
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn operations_do_what_the_library_s_do() {
        let document = json!({"a": {"b": 1, "c": null}, "l": [1, 2, 3], "x/y": 1});
        #[rustfmt::skip]
        let rows = [
            (json!([{"op": "add", "path": "/a/d", "value": {"e": 1}}]), Ok(("/a/d", json!({"e": 1})))),
            (json!([{"op": "add", "path": "/l/-", "value": 4}]), Ok(("/l", json!([1, 2, 3, 4])))),
            (json!([{"op": "add", "path": "/l/-1", "value": 4}]), Ok(("/l", json!([1, 2, 3, 4])))),
            (json!([{"op": "add", "path": "/l/0", "value": 0}]), Ok(("/l", json!([0, 1, 2, 3])))),
            (json!([{"op": "replace", "path": "/a/new", "value": 2}]), Ok(("/a/new", json!(2)))),
            (json!([{"op": "replace", "path": "/x~1y", "value": 2}]), Ok(("/x~1y", json!(2)))),
            (json!([{"op": "remove", "path": "/l/-1"}]), Ok(("/l", json!([1, 2])))),
            (json!([{"op": "move", "from": "/l/0", "path": "/a/b"}]), Ok(("/a/b", json!(1)))),
            (json!([{"op": "copy", "from": "/a/b", "path": "/l/-"}]), Ok(("/l/3", json!(1)))),
            (json!([{"op": "test", "path": "/a/c"}]), Ok(("/a/b", json!(1)))),
            (json!([{"op": "test", "path": "/a/b", "value": 2}]), Err("testing value /a/b failed: test failed")),
            (json!([{"op": "remove", "path": "/a/z"}]), Err("error in remove for path: '/a/z': Unable to remove nonexistent key: z: missing value")),
            (json!([{"op": "add", "path": "/z/y", "value": 1}]), Err("add operation does not apply: doc is missing path: \"/z/y\": missing value")),
            (json!([{"op": "add", "path": "/l/9", "value": 1}]), Err("error in add for path: '/l/9': Unable to access invalid index: 9: invalid index referenced")),
            (json!([{"op": "frob", "path": "/a"}]), Err("Unexpected kind: frob")),
        ];
        for (patch, wanted) in rows {
            let mut document = document.clone();
            let got = apply(&mut document, &operations(&patch).unwrap());
            match wanted {
                Ok((pointer, value)) => {
                    assert_eq!(got, Ok(()), "{patch}");
                    assert_eq!(document.pointer(pointer), Some(&value), "{patch}");
                }
                Err(text) => assert_eq!(got, Err(text.to_owned()), "{patch}"),
            }
        }
    }

    #[test]
    fn an_object_does_not_grow_without_bounds() {
        let copies = |from: &str, path: &str| {
            let one = json!({"op": "copy", "from": from, "path": path});
            operations(&Value::Array(vec![one; 40])).unwrap()
        };
        let mut wide = json!({"l": [[1]]});
        assert!(apply(&mut wide, &copies("/l", "/l/-")).is_err());
        let mut many = json!({"l": {"a": [1, 2]}});
        let text = (0..40)
            .map(|n| json!({"op": "copy", "from": "/l", "path": format!("/l/m{n}")}))
            .collect::<Vec<_>>();
        assert!(apply(&mut many, &operations(&Value::Array(text)).unwrap()).is_err());
    }
}
