//! Rows of what Flux made of sources, and what Leadsman makes of the same.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::support::stage::Stage;
use crate::support::wait::{SOON, until};

/// Returns a Leadsman that serves artifacts, and waits until a kind of source is served: of
/// `sources`, as `group/version/plural`.
pub(super) async fn stage(name: &str, sources: &'static str) -> Stage {
    let mut stage = Stage::simulated(name, sources).await;
    stage.leadsman.file("source/none.yaml", "");
    stage.restart_with(&["--storage-addr", "127.0.0.1:0"]);
    until("the kind is served", SOON, async || {
        stage.api.get(&format!("/apis/{sources}")).await.is_some()
    })
    .await;
    stage
}

/// Compares all rows.
pub(super) fn compare(recording: &Path, seen: &Map<String, Value>) {
    let want: Map<String, Value> =
        serde_json::from_slice(&std::fs::read(recording).unwrap()).unwrap();
    assert_eq!(want.keys().collect::<Vec<_>>(), seen.keys().collect::<Vec<_>>());
    let differ = want.iter().filter(|(name, want)| seen.get(*name) != Some(*want));
    let differ =
        differ.map(|(name, want)| format!("{name}\n  Flux: {want}\n  we:   {}\n", seen[name]));
    let differ: String = differ.collect();
    assert!(differ.is_empty(), "{differ}");
}

/// Writes what was seen.
pub(super) fn write(recording: &Path, seen: &Map<String, Value>) {
    let text = serde_json::to_string_pretty(seen).unwrap();
    std::fs::write(recording, text + "\n").unwrap();
}

/// Returns the conditions of these types, in order, with as much of each message as counts.
pub(super) fn conditions(
    status: &Value,
    lasting: &[&str],
    own: impl Fn(&str) -> &str,
) -> Vec<Value> {
    let all = status["conditions"].as_array().unwrap().iter();
    let mut conditions: Vec<Value> = all
        .filter(|one| lasting.contains(&one["type"].as_str().unwrap()))
        .map(|one| {
            let message = own(one["message"].as_str().unwrap());
            json!([one["type"], one["status"], one["reason"], message])
        })
        .collect();
    conditions.sort_by_key(Value::to_string);
    conditions
}

/// Returns a message that begins like this without its causes, which a library tells.
pub(super) fn without_causes<'a>(message: &'a str, start: &str) -> &'a str {
    match message.starts_with(start) {
        true => message.split(": ").next().unwrap(),
        false => message,
    }
}
