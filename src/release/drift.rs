//! Whether live objects are still what the release says.
//!
//! Each object is applied as a dry run; what the server would change is the drift.
//!
//! Source: fluxcd/helm-controller internal/action/diff.go; fluxcd/pkg ssa jsondiff.

use futures::future::join_all;

use super::apply::{self, Owner};
use super::conflict::{self, Policy, Rules};
use super::jsondiff::{self, Operation};
use super::serverside::{self, Purpose, Refusal};
use super::{Error, Record, manifest};
use crate::cluster::{self, Cluster, Object, ObjectId};
use crate::yaml::{Map, Value};

/// Objects that are compared at the same time.
const AT_ONCE: usize = 8;
/// Objects with this label or annotation are left alone.
const OPT_OUT: &str = "helm.toolkit.fluxcd.io/driftDetection";

/// What is left out: whole objects (`""`) or JSON pointers, for objects that match.
pub trait Ignore: Sync {
    /// Returns the pointers that are left out for an object.
    fn paths(&self, object: &Object) -> Vec<String>;
}

/// An object that somebody writes all the time is looked at so often.
const LOOKS: u32 = 3;

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

/// Compares the objects of a release with the cluster. One object that cannot be compared does not
/// hide what was found of the others. What is left to others by the rules is no drift; what would
/// fail because of them is.
///
/// # Errors
/// Nothing was found, and at least one object cannot be compared.
pub async fn find(
    cluster: &Cluster,
    record: &Record,
    (ignore, rules): (&dyn Ignore, &Rules),
) -> Result<Vec<Drift>, Error> {
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    let values = manifest::objects(&record.manifest)?;
    for part in values.chunks(AT_ONCE) {
        let compared =
            part.iter().map(|value| compare(cluster, record, value.clone(), (ignore, rules)));
        for one in join_all(compared).await {
            match one {
                Ok(drift) => found.extend(drift),
                Err(error) => errors.push(error),
            }
        }
    }
    if found.is_empty()
        && let Some(first) = errors.into_iter().next()
    {
        return Err(first.during("unable to determine cluster state"));
    }
    Ok(found)
}

async fn compare(
    cluster: &Cluster,
    record: &Record,
    value: Value,
    (ignore, rules): (&dyn Ignore, &Rules),
) -> Result<Option<Drift>, Error> {
    let mut desired = apply::placed(cluster, value, &record.namespace).await?.0;
    let owner = Owner { name: &record.name, namespace: &record.namespace };
    apply::own(std::slice::from_mut(&mut desired), owner);
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
    let (live, would) = match foreseen(cluster, &desired, rules, out).await? {
        Foreseen::Gone => return Ok(Some(Drift { id, desired, changes: None })),
        Foreseen::Out => return Ok(None),
        Foreseen::Changed(live, would) => (live, would),
    };
    let counts = counts(&live.0, &would.0, &paths);
    // Correcting must not touch what is to be left alone: there the live value is applied.
    for path in &paths {
        adopt(&mut desired.0, &live.0, path);
    }
    Ok((counts != (0, 0, 0)).then_some(Drift { id, desired, changes: Some(counts) }))
}

/// What the server says of an object.
enum Foreseen {
    /// There is none.
    Gone,
    /// It is not to be compared.
    Out,
    /// As it is, and as it would be.
    Changed(Object, Object),
}

/// Reads an object and applies it as a dry run. What somebody writes between the two would be told
/// as drift: then both are done again.
async fn foreseen(
    cluster: &Cluster,
    desired: &Object,
    rules: &Rules,
    out: impl Fn(&Object) -> bool,
) -> Result<Foreseen, Error> {
    let id = desired.id();
    let forced = Rules::just(Policy::Force);
    let how = if rules.leaves() { (rules, Purpose::Tell) } else { (&forced, Purpose::Try) };
    let mut looks = 0;
    loop {
        looks += 1;
        let Some(live) = cluster.get(&id).await? else { return Ok(Foreseen::Gone) };
        if out(&live) {
            return Ok(Foreseen::Out);
        }
        let would = serverside::put(cluster, desired, how, Some(live.clone())).await;
        let would = would
            .map_err(|Refusal { source, .. }| Error::Doing { doing: doing(&id, &source), source })?
            .object;
        // A dry run leaves the version as it is.
        if looks == LOOKS || would.resource_version() == live.resource_version() {
            return Ok(Foreseen::Changed(live, would));
        }
    }
}

fn doing(id: &ObjectId, error: &cluster::Error) -> String {
    if error.is_not_found() {
        return format!("{id} not found");
    }
    let conflict = match error {
        cluster::Error::Api { causes, .. } => {
            causes.iter().find(|cause| cause.reason == "FieldManagerConflict")
        }
        _ => None,
    };
    match conflict.map_or(error.reason(), |cause| cause.reason.as_str()) {
        "" => format!("{id} dry-run failed"),
        reason => format!("{id} dry-run failed ({reason})"),
    }
}

/// Counts what the server would change: additions, changes, removals. Of the metadata only labels
/// and annotations matter, and only what is added or changed there.
fn counts(live: &Value, would: &Value, paths: &[String]) -> (usize, usize, usize) {
    let (mut live, mut would) = (live.clone(), would.clone());
    for path in paths {
        remove(&mut live, path);
        remove(&mut would, path);
    }
    let metadata = |value: &Value| {
        let keys = ["annotations", "labels"].into_iter();
        let given =
            keys.filter_map(|key| Some((key.to_owned(), value["metadata"].get(key)?.clone())));
        given.collect::<Map>()
    };
    let mut operations = Vec::new();
    let (before, after) = (metadata(&live), metadata(&would));
    for (key, after) in &after {
        let path = format!("/metadata/{key}");
        match before.get(key) {
            Some(before) => operations.extend(jsondiff::diff(before, after, &path)),
            None => operations.push(Operation::Add(path, after.clone())),
        }
    }
    operations.retain(|operation| !matches!(operation, Operation::Remove(_)));
    for value in [&mut live, &mut would] {
        if let Value::Object(map) = value {
            map.remove("metadata");
            map.remove("status");
        }
    }
    operations.extend(jsondiff::diff(&live, &would, ""));
    let mut counts = (0, 0, 0);
    for operation in &operations {
        match operation {
            Operation::Add(..) => counts.0 += 1,
            Operation::Replace(..) => counts.1 += 1,
            Operation::Remove(_) => counts.2 += 1,
        }
    }
    counts
}

/// Splits a JSON pointer into the pointer of the parent and the last key.
fn cut(path: &str) -> Option<(&str, String)> {
    let (parent, key) = path.rsplit_once('/')?;
    Some((parent, key.replace("~1", "/").replace("~0", "~")))
}

/// Removes what is at a JSON pointer; nothing there is fine. Negative indices count from the end.
fn remove(value: &mut Value, path: &str) {
    let Some((parent, key)) = cut(path) else { return };
    match value.pointer_mut(parent) {
        Some(Value::Object(map)) => {
            map.remove(&key);
        }
        Some(Value::Array(list)) => {
            let index = match key.strip_prefix('-') {
                Some(back) => back.parse().ok().and_then(|back| list.len().checked_sub(back)),
                None => key.parse().ok(),
            };
            if let Some(index) = index.filter(|index: &usize| *index < list.len()) {
                list.remove(index);
            }
        }
        _ => {}
    }
}

/// Puts the live value at a pointer, or removes it where there is none.
fn adopt(desired: &mut Value, live: &Value, path: &str) {
    let Some(value) = live.pointer(path) else {
        remove(desired, path);
        return;
    };
    if let Some(slot) = desired.pointer_mut(path) {
        *slot = value.clone();
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

/// Puts drifted objects right, missing ones first; returns what was done and what failed, a line
/// each.
pub async fn correct(
    cluster: &Cluster,
    drifts: &[Drift],
    rules: &Rules,
) -> (Vec<String>, Vec<String>) {
    let mut order: Vec<&Drift> = drifts.iter().collect();
    order.sort_by_key(|drift| {
        let id = &drift.id;
        (drift.changes.is_some(), rank(&id.kind), (&id.group, &id.kind, &id.namespace, &id.name))
    });
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for drift in order {
        match serverside::put(cluster, &drift.desired, (rules, Purpose::Change), None).await {
            Ok(_) if drift.changes.is_none() => done.push(format!("{} created", drift.id)),
            Ok(_) => done.push(format!("{} configured", drift.id)),
            Err(error) => failed.push(format!("{}: {}", drift.id, harmless(drift, &error))),
        }
    }
    (done, failed)
}

/// A Secret that is invalid is quoted by the server: what is said ends before the value. Whose fields
/// were in the way is said below.
fn harmless(drift: &Drift, error: &Refusal) -> String {
    let text = error.source.to_string();
    if drift.id.kind == "Secret" && error.source.reason() == "Invalid" {
        return text.rsplit(':').next().unwrap_or_default().trim().to_owned();
    }
    match conflict::details(&drift.id, &error.conflicts) {
        details if details.is_empty() => text,
        details => format!("{text}\n{details}"),
    }
}

/// Source: fluxcd/pkg ssa sort.go.
fn rank(kind: &str) -> usize {
    const FIRST: [&str; 23] = [
        "CustomResourceDefinition",
        "Namespace",
        "ClusterRole",
        "ClusterClass",
        "RuntimeClass",
        "PriorityClass",
        "StorageClass",
        "VolumeSnapshotClass",
        "IngressClass",
        "GatewayClass",
        "ClusterRoleBinding",
        "ResourceQuota",
        "ServiceAccount",
        "Role",
        "RoleBinding",
        "ConfigMap",
        "Secret",
        "Service",
        "LimitRange",
        "Deployment",
        "StatefulSet",
        "CronJob",
        "PodDisruptionBudget",
    ];
    let last = FIRST.len() + 1;
    match kind {
        "MutatingWebhookConfiguration" => last,
        "ValidatingWebhookConfiguration" => last + 1,
        kind => FIRST.iter().position(|known| *known == kind).unwrap_or(FIRST.len()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sim::{Fault, Rule, Sim, SimOptions};

    struct Nothing;

    impl Ignore for Nothing {
        fn paths(&self, _: &Object) -> Vec<String> {
            Vec::new()
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_others_write_between_two_looks_is_no_drift() {
        let sim = Sim::new(SimOptions::default());
        let cluster = || Cluster::new(sim.client("default"), "helm-controller");
        let record = Record {
            name: "web".to_owned(),
            namespace: "default".to_owned(),
            manifest: "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {a: b}\n"
                .to_owned(),
            ..Record::default()
        };
        let rules = Rules::default();
        let found = async || find(&cluster(), &record, (&Nothing, &rules)).await.unwrap();
        let drift = found().await;
        let (_, failed) = correct(&cluster(), &drift, &rules).await;
        assert!(failed.is_empty(), "{failed:?}");
        assert_eq!(found().await, []);
        let hold = Fault::Hold;
        let verbs = vec!["patch".to_owned()];
        sim.faults().add(Rule { verbs, fault: Some(hold), ..Rule::default() });
        let write = async {
            while sim.faults().held() == 0 {
                tokio::task::yield_now().await;
            }
            let id = ObjectId::new("v1", "ConfigMap", "default", "web");
            let mut live = cluster().get(&id).await.unwrap().unwrap();
            live.0["data"]["theirs"] = "c".into();
            cluster().replace(&live).await.unwrap();
            sim.faults().clear();
        };
        let (found, ()) = tokio::join!(found(), write);
        assert_eq!(found, [], "what they added is theirs");
    }

    #[test]
    fn what_the_server_would_change_is_counted_as_flux_counts() {
        let object = |labels: Value, spec: Value| json!({"metadata": {"labels": labels, "uid": "x"}, "spec": spec, "status": {"a": 1}});
        let long = "a text so long that replacing the whole is never shorter than the parts of it";
        let spec = |replicas: u8| json!({"replicas": replicas, "text": long});
        let ignore: &[&str] = &["/spec/replicas", "/metadata/labels/a~1b", "/spec/none/at/all"];
        #[expect(clippy::type_complexity, reason = "a row of a table")]
        let rows: [(&str, Value, Value, &[&str], (usize, usize, usize)); 7] = [
            (
                "same",
                object(json!({"a": "1"}), spec(1)),
                object(json!({"a": "1"}), spec(1)),
                &[],
                (0, 0, 0),
            ),
            ("scaled", object(json!({}), spec(0)), object(json!({}), spec(2)), &[], (0, 1, 0)),
            (
                "ignored",
                object(json!({"a/b": "1"}), spec(0)),
                object(json!({"a/b": "2"}), spec(2)),
                ignore,
                (0, 0, 0),
            ),
            (
                "a label more is nobody's business",
                object(json!({"a": "1", "b": "2"}), spec(1)),
                object(json!({"a": "1"}), spec(1)),
                &[],
                (0, 0, 0),
            ),
            (
                "a label less is",
                object(json!({}), spec(1)),
                object(json!({"a": "1", "b": "2"}), spec(1)),
                &[],
                (2, 0, 0),
            ),
            (
                "no labels at all",
                json!({"metadata": {}}),
                object(json!({"a": "1"}), Value::Null),
                &[],
                (2, 0, 0),
            ),
            (
                "a field more",
                object(json!({}), json!({"text": long, "more": 1})),
                object(json!({}), json!({"text": long})),
                &[],
                (0, 0, 1),
            ),
        ];
        for (name, live, would, paths, want) in rows {
            let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
            assert_eq!(counts(&live, &would, &paths), want, "{name}");
        }
    }

    #[test]
    fn a_correction_keeps_what_is_ignored_as_it_lives() {
        let live = json!({"spec": {"replicas": 7, "l": [1, 2]}});
        let mut desired = json!({"spec": {"replicas": 1, "paused": true, "l": [5, 6]}});
        for path in ["/spec/replicas", "/spec/paused", "/spec/l/0", "/spec/none"] {
            adopt(&mut desired, &live, path);
        }
        assert_eq!(desired, json!({"spec": {"replicas": 7, "l": [1, 6]}}));
        let mut list = json!({"l": [1, 2, 3]});
        remove(&mut list, "/l/-1");
        remove(&mut list, "/l/9");
        assert_eq!(list, json!({"l": [1, 2]}));
    }
}
