//! Writes statuses: only what changed, and only when something did.

use serde::Serialize;
use serde_json::{Value, json};

use crate::cluster::{Cluster, Error, ObjectId};

/// Patches the status of an object from `old` to `new`; does nothing when they are equal.
///
/// # Errors
/// The API refuses. An object that is gone is no error.
pub(super) async fn write(
    cluster: &Cluster,
    id: &ObjectId,
    old: &impl Serialize,
    new: &impl Serialize,
) -> Result<(), Error> {
    let (old, new) = (to_value(old), to_value(new));
    let Some(patch) = difference(&old, &new) else {
        return Ok(());
    };
    match cluster.patch_merge(id, &json!({"status": patch}), "status").await {
        Ok(_) => Ok(()),
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}

fn to_value(status: &impl Serialize) -> Value {
    serde_json::to_value(status).unwrap_or(Value::Null)
}

/// Returns the merge patch (RFC 7386) that turns `old` into `new`; none when they are equal.
fn difference(old: &Value, new: &Value) -> Option<Value> {
    if old == new {
        return None;
    }
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        return Some(new.clone());
    };
    let gone =
        old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let changed = new.iter().filter_map(|(key, value)| match old.get(key) {
        Some(old) => difference(old, value).map(|patch| (key.clone(), patch)),
        None => Some((key.clone(), value.clone())),
    });
    Some(Value::Object(gone.chain(changed).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_holds_what_changed_and_nothing_else() {
        let old = json!({"a": 1, "b": {"c": 1, "d": 2}, "l": [1], "same": {"x": []}});
        let new = json!({"b": {"c": 1, "d": 3}, "l": [1, 2], "same": {"x": []}, "n": true});
        let patch = difference(&old, &new).unwrap();
        assert_eq!(patch, json!({"a": null, "b": {"d": 3}, "l": [1, 2], "n": true}));
        assert_eq!(difference(&new, &new), None);
    }
}
