//! The few kinds with several served versions, rewritten from one to another.

use serde_json::{Map, json};

use super::value::{int, text};
use crate::yaml::Value;

/// Old and new names of an Event's fields (`v1`, `events.k8s.io/v1`).
const EVENT: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// Returns an object in another version of its kind. Custom resources change only `apiVersion`.
pub(crate) fn convert(object: &Value, api_version: &str) -> Value {
    let mut new = object.clone();
    let from = text(object, "/apiVersion").to_owned();
    match (from.as_str(), api_version, text(object, "/kind")) {
        ("v1", "events.k8s.io/v1", "Event") => {
            rename(&mut new, |(old, young)| (old, young));
            if let Some(map) = new.as_object_mut() {
                for field in ["reportingController", "reportingInstance"] {
                    if map.get(field).and_then(Value::as_str) == Some("") {
                        map.remove(field);
                    }
                }
            }
        }
        ("events.k8s.io/v1", "v1", "Event") => rename(&mut new, |(old, young)| (young, old)),
        ("autoscaling/v2", "autoscaling/v1", _) => scaler_to_v1(&mut new),
        ("autoscaling/v1", "autoscaling/v2", _) => scaler_to_v2(&mut new),
        _ => {}
    }
    new["apiVersion"] = api_version.into();
    new
}

fn rename(
    object: &mut Value,
    direction: fn((&'static str, &'static str)) -> (&'static str, &'static str),
) {
    let Some(map) = object.as_object_mut() else { return };
    for pair in EVENT {
        let (from, to) = direction(pair);
        if let Some(value) = map.remove(from) {
            map.insert(to.to_owned(), value);
        }
    }
}

fn is_cpu(metric: &Value) -> bool {
    text(metric, "/resource/name") == "cpu"
        && metric.pointer("/resource/target/averageUtilization").is_some()
}

fn scaler_to_v1(object: &mut Value) {
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    let metrics = spec.remove("metrics");
    let metrics = metrics.as_ref().and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let cpu = metrics.iter().find(|metric| is_cpu(metric));
    if let Some(target) = cpu.and_then(|m| int(m, "/resource/target/averageUtilization")) {
        spec.insert("targetCPUUtilizationPercentage".to_owned(), target.into());
    }
    spec.remove("behavior");
    if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) {
        status.remove("currentMetrics");
        status.entry("currentReplicas").or_insert_with(|| 0.into());
    }
}

fn scaler_to_v2(object: &mut Value) {
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    if let Some(target) = spec.remove("targetCPUUtilizationPercentage") {
        let metric = json!({"type": "Resource", "resource": {"name": "cpu",
            "target": {"type": "Utilization", "averageUtilization": target}}});
        spec.insert("metrics".to_owned(), json!([metric]));
    }
    let status = object.get_mut("status").and_then(Value::as_object_mut);
    status.map(|status: &mut Map<String, Value>| status.remove("currentCPUUtilizationPercentage"));
}
