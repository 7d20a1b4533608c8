//! What stood in the cluster after a step, without what differs from run to run.

use std::collections::BTreeMap;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::support::api::Api;

/// Conditions about versions, which Flux does not have.
const OURS: &[&str] = &["VersionHeld"];
/// Sources that a person makes: a word for each, its kind, and its name in paths.
const SOURCES: [(&str, &str, &str); 2] =
    [("chart", "HelmChart", "helmcharts"), ("artifact", "OCIRepository", "ocirepositories")];
/// Events that Flux tells nobody of who listens; Leadsman does not write them.
const TRACES: &[&str] = &["ArtifactUpToDate", "NoSourceArtifact", "CacheOperationFailed"];
/// How it begins what Flux says that a source is at.
const AT_WORK: [&str; 2] = ["building artifact", "processing object: new generation"];
/// How it begins what Flux says of an artifact that it does not find in a registry.
const NO_DIGEST: &str = "failed to determine artifact digest: ";
/// How what Flux says of signatures begins that do not count; why not is told in other words.
const UNSIGNED: &str = "no matching ";
/// Parts of a status that no second run repeats, or that Leadsman chose not to have.
const VOLATILE: &[&str] = &[
    "conditions",
    "history",
    "lastAttemptedReleaseActionDuration",
    "helmChart",
    "availableUpdates",
];

/// What is compared, each with a name to report.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Whether it was seen in the middle of an action.
    under_way: bool,
    rows: BTreeMap<String, Value>,
}

/// Returns what Flux left.
pub(super) fn expected(after: &Value) -> Seen {
    let list = |key: &str| after[key].as_array().cloned().unwrap_or_default();
    let records = list("releases").into_iter().map(|release| release["record"].clone());
    let objects = list("objects").into_iter().map(|object| (path(&object), Some(object)));
    Seen::new(&list("helmreleases"), records.collect(), objects.collect(), &list("events"))
}

/// Returns what stands there now, of objects those at the paths.
pub(super) async fn observed(
    api: &Api,
    namespace: &str,
    paths: impl Iterator<Item = &str>,
) -> Seen {
    let core = format!("/api/v1/namespaces/{namespace}");
    let secrets = api.list(&format!("{core}/secrets")).await;
    let records = secrets.iter().filter(|secret| secret["type"] == "helm.sh/release.v1");
    let records = records.map(|secret| record(&secret["data"]["release"])).collect();
    let mut objects = Vec::new();
    for path in paths {
        objects.push((path.to_owned(), api.get(path).await));
    }
    let events = api.list(&format!("{core}/events")).await;
    let mut seen = Seen::new(&releases(api, namespace).await, records, objects, &events);
    for (word, kind, plural) in SOURCES {
        let path = format!("/apis/source.toolkit.fluxcd.io/v1/namespaces/{namespace}/{plural}");
        let mut sources = api.list(&path).await;
        // Flux makes a `HelmChart` for each release; those of a person are compared.
        sources.retain(|one| one["metadata"]["labels"]["helm.toolkit.fluxcd.io/name"].is_null());
        seen.add_sources((word, kind), &sources, &events);
    }
    seen
}

/// Returns the paths of all objects in the inventories of the releases.
pub(super) async fn inventory(api: &Api, namespace: &str) -> Vec<String> {
    let releases = releases(api, namespace).await;
    let entries =
        releases.iter().filter_map(|one| one["status"]["inventory"]["entries"].as_array());
    entries.flatten().map(inventoried).collect()
}

async fn releases(api: &Api, namespace: &str) -> Vec<Value> {
    api.list(&format!("/apis/helm.toolkit.fluxcd.io/v2/namespaces/{namespace}/helmreleases")).await
}

/// Returns the path of an entry, whose `id` is `NAMESPACE_NAME_GROUP_KIND`, and `v` the version.
fn inventoried(entry: &Value) -> String {
    let id: Vec<_> = entry["id"].as_str().unwrap().split('_').collect();
    let [namespace, name, group, kind] = id[..] else { panic!("{entry}") };
    let version = entry["v"].as_str().unwrap();
    let version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let mut object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}});
    if !namespace.is_empty() {
        object["metadata"]["namespace"] = json!(namespace);
    }
    path(&object)
}

impl Seen {
    fn new(
        releases: &[Value],
        records: Vec<Value>,
        objects: Vec<(String, Option<Value>)>,
        events: &[Value],
    ) -> Self {
        let mut rows = BTreeMap::new();
        for release in releases {
            let name = release["metadata"]["name"].as_str().unwrap_or_default();
            rows.insert(
                format!("release {name}: finalizers"),
                release["metadata"]["finalizers"].clone(),
            );
            rows.insert(format!("release {name}: conditions"), conditions(release));
            rows.insert(format!("release {name}: history"), history(release));
            rows.insert(format!("release {name}: status"), status(release));
        }
        for record in records {
            let (name, row) = plain_record(&record);
            rows.insert(name, row);
        }
        for (path, object) in objects {
            rows.insert(format!("object {path}"), object.map_or(Value::Null, plain_object));
        }
        rows.insert("events".to_owned(), plain_events(events));
        Self { under_way: releases.iter().any(is_under_way), rows }
    }

    /// Takes digests out of all that is said: what is pushed to a registry has another one each time.
    pub(super) fn forget_digests(&mut self) {
        let digests = regex::Regex::new(r"sha256:[0-9a-f]{64}|\+[0-9a-f]{12}\b").unwrap();
        let text = serde_json::to_string(&self.rows).unwrap();
        self.rows = serde_json::from_str(&digests.replace_all(&text, "any")).unwrap();
    }

    /// Adds what is said of sources, where there are any.
    fn add_sources(&mut self, (word, kind): (&str, &str), sources: &[Value], events: &[Value]) {
        for source in sources {
            let name = source["metadata"]["name"].as_str().unwrap_or_default();
            let mut status = source["status"].as_object().cloned().unwrap_or_default();
            status.remove("conditions");
            // Leadsman serves artifacts only where it is told to.
            status.remove("url");
            if let Some(artifact) = status.get_mut("artifact").and_then(Value::as_object_mut) {
                // What is packed anew is packed by another program.
                let packed = artifact["revision"].as_str().is_some_and(|text| text.contains('+'));
                let others = packed.then_some(["digest", "size"]).into_iter().flatten();
                for name in ["url", "lastUpdateTime"].into_iter().chain(others) {
                    artifact.remove(name);
                }
                // A layer that is extracted is packed anew, too; and when it was pushed, is by chance.
                if kind == "OCIRepository" {
                    artifact.remove("size");
                    if let Some(metadata) = artifact.get_mut("metadata") {
                        metadata["org.opencontainers.image.created"].take();
                    }
                }
            }
            self.rows.insert(format!("{word} {name}: conditions"), conditions(source));
            self.rows.insert(format!("{word} {name}: status"), Value::Object(status));
            let rows = events_of(events, |of_kind, of, reason| {
                of_kind == kind && of == name && !TRACES.contains(&reason)
            });
            self.rows.insert(format!("{word} {name}: events"), rows);
        }
    }

    /// Returns what was recorded by [`Self::rows`].
    pub(super) fn recorded(rows: &Value) -> Self {
        let rows: BTreeMap<String, Value> = serde_json::from_value(rows.clone()).unwrap();
        let conditions = rows.iter().filter(|(name, _)| name.ends_with(": conditions"));
        let under_way = conditions.into_iter().any(|(_, row)| row["Ready"]["status"] == "Unknown");
        Self { under_way, rows }
    }

    /// Returns it as plain data.
    pub(super) fn rows(&self) -> Value {
        json!(self.rows)
    }

    /// What is told of drift, object by object.
    pub(super) fn split_drift(&mut self) {
        if let Some(events) = self.rows.get_mut("events").and_then(Value::as_array_mut) {
            *events = by_object(events);
        }
    }

    /// Cuts what was waited for off each timeout: Flux's limit on calls sometimes hid it.
    pub(super) fn cut_timeouts(&mut self) {
        fn cut(value: &mut Value) {
            match value {
                Value::String(text) => {
                    if let Some((start, _)) = text.split_once(": timeout waiting for: [") {
                        *text = format!("{start}: timeout");
                    }
                }
                Value::Array(items) => items.iter_mut().for_each(cut),
                Value::Object(fields) => fields.values_mut().for_each(cut),
                _ => {}
            }
        }
        self.rows.values_mut().for_each(cut);
        if let Some(events) = self.rows.get_mut("events").and_then(Value::as_array_mut) {
            events.sort_by_key(Value::to_string);
            events.dedup();
        }
    }

    /// Forgets who owns which fields.
    pub(super) fn forget_owners(&mut self) {
        for (name, row) in &mut self.rows {
            if name.starts_with("object ")
                && let Some(fields) = row.as_object_mut()
            {
                fields.remove("owned");
            }
        }
    }

    /// Whether it was seen in the middle of an action.
    pub(super) fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// Returns what differs in what was seen.
    pub(super) fn differences(&self, seen: &Self) -> Vec<String> {
        let mut found = Vec::new();
        for name in
            self.rows.keys().chain(seen.rows.keys().filter(|name| !self.rows.contains_key(*name)))
        {
            differ(name, self.rows.get(name), seen.rows.get(name), &mut found);
        }
        found
    }

    /// Returns the paths of the objects that are compared.
    pub(super) fn object_paths(&self) -> impl Iterator<Item = &str> {
        self.rows.keys().filter_map(|name| name.strip_prefix("object "))
    }
}

fn is_under_way(release: &Value) -> bool {
    let conditions = release["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "Unknown")
}

/// Adds a line for each leaf that differs.
fn differ(at: &str, want: Option<&Value>, seen: Option<&Value>, found: &mut Vec<String>) {
    match (want, seen) {
        (Some(Value::Object(want)), Some(Value::Object(seen))) => {
            for key in want.keys().chain(seen.keys().filter(|key| !want.contains_key(*key))) {
                differ(&format!("{at}/{key}"), want.get(key), seen.get(key), found);
            }
        }
        (Some(Value::Array(want)), Some(Value::Array(seen))) if want.len() == seen.len() => {
            for (number, (want, seen)) in want.iter().zip(seen).enumerate() {
                differ(&format!("{at}/{number}"), Some(want), Some(seen), found);
            }
        }
        (want, seen) if want == seen => {}
        (Some(Value::String(want)), Some(Value::String(seen))) if want.contains('\n') => {
            let missing = want.lines().filter(|line| !seen.lines().any(|other| other == *line));
            let more = seen.lines().filter(|line| !want.lines().any(|other| other == *line));
            let (missing, more) = (missing.collect::<Vec<_>>(), more.collect::<Vec<_>>());
            found.push(format!("{at}: lacks {missing:?}, has {more:?} (or another order)"));
        }
        (want, seen) => {
            let show = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
            found.push(format!("{at}: want {}, got {}", show(want), show(seen)));
        }
    }
}

fn conditions(release: &Value) -> Value {
    let all = release["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let ready = all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True");
    let rows = all.iter().filter(|c| !OURS.contains(&c["type"].as_str().unwrap_or_default()));
    // Flux sometimes forgets to take this away from what has come to its end.
    let rows = rows.filter(|c| !(ready && c["message"] == "Fulfilling prerequisites"));
    // What a source is at is not told.
    let rows = rows.filter(|c| {
        let text = c["message"].as_str().unwrap_or_default();
        let at_work = c["type"] == "Reconciling" && AT_WORK.iter().any(|at| text.starts_with(at));
        !at_work && text != "building artifact"
    });
    let rows = rows.map(|c| {
        let mut row = c.clone();
        row.as_object_mut().unwrap().remove("lastTransitionTime");
        row["message"] = json!(message(&c["reason"], c["message"].as_str().unwrap_or_default()));
        (c["type"].as_str().unwrap_or_default().to_owned(), row)
    });
    Value::Object(rows.collect())
}

/// Returns a message as far as it has to be the same.
fn message(reason: &Value, text: &str) -> String {
    match reason.as_str() {
        // Flux names the `HelmChart`, which Leadsman does not make.
        Some("SourceNotReady") => String::new(),
        // The log of Helm's library.
        _ if text.contains("\n\nLast Helm logs:") => {
            let (start, _) = text.split_once("\n\nLast Helm logs:").unwrap();
            message(reason, start)
        }
        // Its limit on calls cut Flux's own wait short.
        Some("InstallFailed" | "UpgradeFailed" | "RetriesExceeded")
            if text.contains("client rate limiter Wait") =>
        {
            let (start, _) = text.split_once("client rate limiter").unwrap();
            format!("{start}timeout")
        }
        // What the libraries say that verify, and what Leadsman says beside it.
        _ if text.contains("failed to verify") && text.contains(UNSIGNED) => {
            let (start, _) = text.split_once(UNSIGNED).unwrap();
            start.to_owned()
        }
        // What the library says that asks the registry.
        _ if text.starts_with(NO_DIGEST) => NO_DIGEST.to_owned(),
        // Leadsman says, too, what comes near.
        Some("InvalidChartReference") => {
            let ends = ["; the nearest are ", "; it has "].into_iter();
            let end = ends.filter_map(|end| text.find(end)).min().unwrap_or(text.len());
            text[..end].to_owned()
        }
        _ => text.to_owned(),
    }
}

fn history(release: &Value) -> Value {
    let entries = release["status"]["history"].as_array().cloned().unwrap_or_default();
    let rows = entries.into_iter().map(|mut entry| {
        let fields = entry.as_object_mut().unwrap();
        // The digest covers times; that it is computed alike is a test of its own.
        for volatile in ["firstDeployed", "lastDeployed", "deleted", "digest"] {
            if let Some(value) = fields.get_mut(volatile) {
                *value = json!("set");
            }
        }
        if let Some(tests) = fields.get_mut("testHooks").and_then(Value::as_object_mut) {
            *tests = std::mem::take(tests).into_iter().map(plain_test).collect();
        }
        entry
    });
    Value::Array(rows.collect())
}

fn status(release: &Value) -> Value {
    let mut status = release["status"].as_object().cloned().unwrap_or_default();
    let retried = conditions(release)["Reconciling"]["status"] == "True";
    for volatile in VOLATILE {
        status.remove(*volatile);
    }
    if retried && status.contains_key("failures") {
        // It was tried again and again until somebody looked.
        status.insert("failures".to_owned(), json!("some"));
    }
    if let Some(entries) = status.get_mut("inventory").and_then(|i| i["entries"].as_array_mut()) {
        entries.sort_by_key(|entry| entry["id"].to_string());
    }
    Value::Object(status)
}

fn record(data: &Value) -> Value {
    let text = STANDARD.decode(data.as_str().unwrap_or_default()).unwrap();
    let packed = STANDARD.decode(text).unwrap();
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn plain_record(record: &Value) -> (String, Value) {
    let mut row = record.clone();
    row["chart"] = json!({
        "metadata": record["chart"]["metadata"], "values": record["chart"]["values"],
    });
    for time in ["first_deployed", "last_deployed", "deleted"] {
        if let Some(value) = row["info"].get_mut(time) {
            *value = json!("set");
        }
    }
    for hook in row["hooks"].as_array_mut().into_iter().flatten() {
        for time in ["started_at", "completed_at"] {
            if let Some(value) = hook["last_run"].get_mut(time) {
                *value = json!("set");
            }
        }
        scramble(hook);
        hook["manifest"] = json!(one_blank(hook["manifest"].as_str().unwrap_or_default()));
    }
    row["manifest"] = json!(one_blank(row["manifest"].as_str().unwrap_or_default()));
    // Helm 4.3 says it; the Helm inside Flux does not.
    row["info"].as_object_mut().unwrap().remove("rollback_revision");
    let text = row["info"]["description"].as_str().unwrap_or_default();
    row["info"]["description"] = json!(message(&json!("InstallFailed"), text));
    (format!("record {}.v{}", record["name"].as_str().unwrap_or_default(), record["version"]), row)
}

/// The Helm inside Flux ended all but the last document of a file without a line's end; Helm 4.3,
/// and so Leadsman, ends them all.
fn one_blank(manifest: &str) -> String {
    manifest.replace("\n\n---\n", "\n---\n").trim_end().to_owned()
}

/// Takes the random end off the name of a test, and its times.
fn plain_test((name, mut run): (String, Value)) -> (String, Value) {
    for time in ["lastStarted", "lastCompleted"] {
        if let Some(value) = run.get_mut(time) {
            *value = json!("set");
        }
    }
    let plain = random_end(&name).map(|(start, _)| format!("{start}-random"));
    (plain.unwrap_or(name), run)
}

/// Names of podinfo's test Pods end at random.
fn random_end(name: &str) -> Option<(&str, &str)> {
    name.rsplit_once('-').filter(|(start, _)| start.ends_with("-test"))
}

/// Takes the random end off the names of podinfo's test Pods.
fn scramble(hook: &mut Value) {
    let name = hook["name"].as_str().unwrap_or_default().to_owned();
    if let Some((start, end)) = random_end(&name) {
        let manifest = hook["manifest"].as_str().unwrap_or_default().replace(end, "random");
        hook["manifest"] = json!(manifest);
        hook["name"] = json!(format!("{start}-random"));
    }
}

/// Returns the path of a live object.
fn path(object: &Value) -> String {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let root = if version.contains('/') { "apis" } else { "api" };
    let plural = match object["kind"].as_str().unwrap_or_default() {
        "Ingress" => "ingresses".to_owned(),
        kind => format!("{}s", kind.to_lowercase()),
    };
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("/{root}/{version}/namespaces/{namespace}/{plural}/{name}"),
        None => format!("/{root}/{version}/{plural}/{name}"),
    }
}

/// Takes what the server chose out of a Job.
fn anonymous(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, _| !key.ends_with("controller-uid"));
            fields.values_mut().for_each(anonymous);
        }
        Value::Array(items) => items.iter_mut().for_each(anonymous),
        _ => {}
    }
}

/// Returns what was declared of an object, and what of it its manager owns.
fn plain_object(mut object: Value) -> Value {
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let entries = entries.into_iter().filter(|entry| entry["manager"] == "helm-controller");
    let owned: Vec<_> = entries
        .map(|entry| json!({"operation": entry["operation"], "fields": entry["fieldsV1"]}))
        .collect();
    let fields = object.as_object_mut().unwrap();
    fields.remove("status");
    let metadata = fields.remove("metadata").unwrap_or_default();
    let mut kept: Map<String, Value> = fields.clone();
    if let Some(spec) = kept.get_mut("spec").and_then(Value::as_object_mut) {
        for given in ["clusterIP", "clusterIPs"] {
            spec.remove(given);
        }
    }
    let mut annotations = metadata["annotations"].clone();
    if annotations == json!({}) {
        annotations = Value::Null;
    }
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.remove("deployment.kubernetes.io/revision");
    }
    kept.insert("labels".to_owned(), metadata["labels"].clone());
    kept.insert("annotations".to_owned(), annotations);
    kept.insert("owned".to_owned(), json!(owned));
    let mut kept = Value::Object(kept);
    anonymous(&mut kept);
    kept
}

/// Tells of each object by itself: whoever looks between two changes of a person sees them one after
/// the other.
fn by_object(events: &[Value]) -> Vec<Value> {
    let split = |row: &Value| {
        let text = row[3].as_str().unwrap_or_default();
        let is_drift = row[2].as_str().is_some_and(|reason| reason.starts_with("Drift"));
        let Some((head, objects)) = text.split_once('\n').filter(|_| is_drift) else {
            return vec![row.clone()];
        };
        let rows =
            objects.lines().map(|line| json!([row[0], row[1], row[2], format!("{head}\n{line}")]));
        rows.collect()
    };
    let mut rows: Vec<Value> = events.iter().flat_map(split).collect();
    rows.sort_by_key(Value::to_string);
    rows.dedup();
    rows
}

/// Returns the events of releases.
fn plain_events(events: &[Value]) -> Value {
    // What Flux says of its `HelmChart`, Leadsman says of the release; and Flux does not tell of what
    // it does not take.
    let elsewhere = |reason: &str| {
        reason.starts_with("HelmChart")
            || matches!(reason, "SourceNotReady" | "NewVersionAvailable")
    };
    events_of(events, |kind, _, reason| kind == "HelmRelease" && !elsewhere(reason))
}

/// Returns events that are wanted, by kind and name of their object and by reason, sorted: many fall
/// into one second. One that repeats counts once.
fn events_of(events: &[Value], wanted: impl Fn(&str, &str, &str) -> bool) -> Value {
    let mut rows: Vec<Value> = Vec::new();
    for event in events {
        let object = event.get("involvedObject").unwrap_or(event);
        let kind = object["kind"].as_str().unwrap_or_default();
        let name = object.get("name").or(event.get("object")).and_then(Value::as_str);
        let (name, reason) =
            (name.unwrap_or_default(), event["reason"].as_str().unwrap_or_default());
        if !wanted(kind, name, reason) {
            continue;
        }
        let text = message(&event["reason"], event["message"].as_str().unwrap_or_default());
        let row = json!([event["type"], name, event["reason"], text]);
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    rows.sort_by_key(Value::to_string);
    Value::Array(rows)
}
