//! Whether live objects are still what the release says.
//!
//! Each object is applied as a dry run; what the server would change is the drift.
//!
//! Source: fluxcd/helm-controller internal/action/diff.go; fluxcd/pkg ssa jsondiff.

use futures::future::try_join_all;

use super::apply::{self, Owner};
use super::{Error, Record};
use crate::cluster::{ApplyOptions, Cluster, Object, ObjectId};
use crate::yaml::Value;

/// Objects that are compared at the same time.
const AT_ONCE: usize = 8;
/// Objects with this label or annotation are left alone.
const OPT_OUT: &str = "helm.toolkit.fluxcd.io/driftDetection";

/// What is left out: whole objects (`""`) or JSON pointers, for objects that match.
pub trait Ignore: Sync {
    /// Returns the pointers that are left out for an object.
    fn paths(&self, object: &Object) -> Vec<String>;
}

/// One object that drifted.
#[derive(Debug, Clone, PartialEq)]
pub struct Drift {
    /// Which.
    pub id: ObjectId,
    /// What the release says.
    desired: Object,
    /// None: it is gone. Else: how many fields were added, changed, removed by the server.
    pub changes: Option<(usize, usize, usize)>,
}

impl Drift {
    /// Returns the line of the summary.
    pub fn summary(&self) -> String {
        match self.changes {
            None => format!("{} removed", self.id),
            Some((added, changed, removed)) => format!(
                "{} changed ({added} additions, {changed} changes, {removed} removals)",
                self.id
            ),
        }
    }
}

/// Compares the objects of a release with the cluster.
///
/// # Errors
/// An object cannot be compared.
pub async fn find(
    cluster: &Cluster,
    record: &Record,
    ignore: &dyn Ignore,
) -> Result<Vec<Drift>, Error> {
    let mut objects = apply::objects(cluster, &record.manifest, &record.namespace).await?;
    apply::own(&mut objects, Owner { name: &record.name, namespace: &record.namespace });
    let mut found = Vec::new();
    for part in objects.chunks(AT_ONCE) {
        let compared = part.iter().map(|object| compare(cluster, object.clone(), ignore));
        found.extend(try_join_all(compared).await?.into_iter().flatten());
    }
    Ok(found)
}

async fn compare(
    cluster: &Cluster,
    mut desired: Object,
    ignore: &dyn Ignore,
) -> Result<Option<Drift>, Error> {
    normalize(&mut desired);
    let id = desired.id();
    let out = |object: &Object| {
        let off = |value: Option<&str>| value.is_some_and(|v| v.eq_ignore_ascii_case("disabled"));
        off(object.label(OPT_OUT)) || off(object.annotation(OPT_OUT))
    };
    let paths = ignore.paths(&desired);
    if out(&desired) || paths.iter().any(String::is_empty) {
        return Ok(None);
    }
    let Some(live) = cluster.get(&id).await? else {
        return Ok(Some(Drift { id, desired, changes: None }));
    };
    if out(&live) {
        return Ok(None);
    }
    let would = cluster.apply(&desired, &ApplyOptions::dry_run()).await.map_err(|error| {
        Error::Refused(format!("{id} dry-run failed ({}): {error}", error.reason()))
    })?;
    let mut counts = (0, 0, 0);
    for key in ["labels", "annotations"] {
        let at = format!("/metadata/{key}");
        let (live, would) = (live.at(&at), would.at(&at));
        let (live, would) = (without(live, &paths, &at), without(would, &paths, &at));
        let mut one = (0, 0, 0);
        count(&live, &would, &mut one);
        counts.0 += one.0;
        counts.1 += one.1;
    }
    let body = |object: &Object| {
        let mut value = without(Some(&object.0), &paths, "");
        if let Value::Object(map) = &mut value {
            map.remove("metadata");
            map.remove("status");
        }
        value
    };
    count(&body(&live), &body(&would), &mut counts);
    Ok((counts != (0, 0, 0)).then_some(Drift { id, desired, changes: Some(counts) }))
}

fn without(value: Option<&Value>, paths: &[String], at: &str) -> Value {
    let mut value = value.cloned().unwrap_or(Value::Null);
    for path in paths {
        let Some(rest) = path.strip_prefix(at) else { continue };
        let Some((parent, key)) = rest.rsplit_once('/') else { continue };
        let key = key.replace("~1", "/").replace("~0", "~");
        match value.pointer_mut(parent) {
            Some(Value::Object(map)) => {
                map.remove(&key);
            }
            Some(Value::Array(list)) => {
                if let Some(index) = key.parse().ok().filter(|index: &usize| *index < list.len()) {
                    list.remove(index);
                }
            }
            _ => {}
        }
    }
    value
}

/// Counts what turns one value into the other: additions, changes, removals.
fn count(live: &Value, would: &Value, counts: &mut (usize, usize, usize)) {
    match (live, would) {
        (Value::Object(live), Value::Object(would)) => {
            for (key, value) in live {
                match would.get(key) {
                    Some(other) => count(value, other, counts),
                    None => counts.2 += 1,
                }
            }
            counts.0 += would.keys().filter(|key| !live.contains_key(*key)).count();
        }
        (Value::Array(live), Value::Array(would)) => {
            counts.2 += live.len().saturating_sub(would.len());
            counts.0 += would.len().saturating_sub(live.len());
            for (live, would) in live.iter().zip(would) {
                count(live, would, counts);
            }
        }
        (Value::Null, Value::Object(map)) if !map.is_empty() => counts.0 += 1,
        (live, would) if live != would => counts.1 += 1,
        _ => {}
    }
}

/// What the server would write differently is no drift.
fn normalize(object: &mut Object) {
    if object.kind() != "CustomResourceDefinition"
        && let Value::Object(map) = &mut object.0
    {
        map.remove("status");
    }
    if object.kind() == "Secret" && object.group().is_empty() {
        use base64::Engine as _;
        let given = object.0.as_object_mut().and_then(|map| map.remove("stringData"));
        for (key, value) in given.as_ref().and_then(Value::as_object).into_iter().flatten() {
            let text = value.as_str().unwrap_or_default();
            object.0["data"][key] = base64::engine::general_purpose::STANDARD.encode(text).into();
        }
    }
}

/// Puts drifted objects right; returns what was done and what failed, a line each.
pub async fn correct(cluster: &Cluster, drifts: &[Drift]) -> (Vec<String>, Vec<String>) {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for drift in drifts {
        match cluster.apply(&drift.desired, &ApplyOptions::forced()).await {
            Ok(_) if drift.changes.is_none() => done.push(format!("{} created", drift.id)),
            Ok(_) => done.push(format!("{} configured", drift.id)),
            Err(error) => failed.push(format!("{}: {error}", drift.id)),
        }
    }
    (done, failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_turns_one_value_into_the_other_is_counted() {
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        for (live, would, want) in [
            (r#"{"a":1}"#, r#"{"a":1}"#, (0, 0, 0)),
            (r#"{"a":1,"b":2}"#, r#"{"a":2,"c":3}"#, (1, 1, 1)),
            (r#"{"l":[1,2,3]}"#, r#"{"l":[1,4]}"#, (0, 1, 1)),
            ("null", r#"{"x":"y"}"#, (1, 0, 0)),
        ] {
            let mut counts = (0, 0, 0);
            count(&json(live), &json(would), &mut counts);
            assert_eq!(counts, want, "{live} {would}");
        }
        let paths = ["/spec/replicas".to_owned()];
        let value = json(r#"{"spec":{"replicas":1,"x":2}}"#);
        assert_eq!(without(Some(&value), &paths, ""), json(r#"{"spec":{"x":2}}"#));
    }
}
