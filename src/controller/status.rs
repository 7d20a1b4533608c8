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

/// How often a status is read again that somebody wrote meanwhile.
const TRIES: usize = 10;

/// Patches the status of an object to what `decide` makes of the one that is there, provided that
/// nobody writes the object in between: then it is asked again. Returns whether it wanted a change
/// or nothing had to be changed; an object that is gone counts as having an empty status.
///
/// # Errors
/// The API refuses, or others write all the time.
pub(super) async fn replace(
    cluster: &Cluster,
    id: &ObjectId,
    decide: impl Fn(&Value) -> Option<Value>,
) -> Result<bool, Error> {
    let mut tries = TRIES;
    loop {
        let live = cluster.get(id).await?;
        let none = json!({});
        let old = live.as_ref().and_then(|live| live.0.get("status")).unwrap_or(&none);
        let Some(new) = decide(old) else { return Ok(false) };
        let (Some(live), Some(patch)) = (&live, difference(old, &new)) else { return Ok(true) };
        let version = live.at("/metadata/resourceVersion");
        let patch = json!({"metadata": {"resourceVersion": version}, "status": patch});
        match cluster.patch_merge(id, &patch, "status").await {
            Ok(_) => return Ok(true),
            Err(error) if error.is_not_found() => return Ok(true),
            Err(error) if error.is_conflict() && tries > 1 => tries -= 1,
            Err(error) => return Err(error),
        }
    }
}

/// Returns a status as the API has it.
pub(super) fn to_value(status: &impl Serialize) -> Value {
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
