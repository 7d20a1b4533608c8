//! Whether one object works: kstatus, as pure functions over plain data.
//!
//! Source: fluxcd/cli-utils v1.2.2 pkg/kstatus/status (Compute).

use std::fmt;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::yaml::Value;

mod kinds;
#[cfg(test)]
mod tests;

/// Pods that cannot be scheduled are given this long before they count as failed.
const SCHEDULE_WINDOW: Duration = Duration::from_secs(15);

/// kstatus' six words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Not there yet.
    InProgress,
    /// Will not get there by itself.
    Failed,
    /// As wanted.
    Current,
    /// Being deleted.
    Terminating,
    /// Not in the cluster.
    NotFound,
    /// Cannot be told.
    Unknown,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InProgress => "InProgress",
            Self::Failed => "Failed",
            Self::Current => "Current",
            Self::Terminating => "Terminating",
            Self::NotFound => "NotFound",
            Self::Unknown => "Unknown",
        })
    }
}

/// The verdict about one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectStatus {
    /// The word.
    pub status: Status,
    /// Machine-readable reason; empty for `Current`.
    pub reason: String,
    /// Text for people.
    pub message: String,
}

impl ObjectStatus {
    pub(crate) fn new(status: Status, reason: &str, message: impl Into<String>) -> Self {
        Self { status, reason: reason.to_owned(), message: message.into() }
    }

    pub(crate) fn current(message: impl Into<String>) -> Self {
        Self::new(Status::Current, "", message)
    }

    pub(crate) fn in_progress(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Status::InProgress, reason, message)
    }

    pub(crate) fn failed(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Status::Failed, reason, message)
    }

    /// Returns the verdict about an object that is not in the cluster.
    pub fn not_found() -> Self {
        Self::new(Status::NotFound, "", "Resource not found")
    }

    /// Returns the verdict when it cannot be told.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::new(Status::Unknown, "", message)
    }
}

/// Which reading Jobs and Pods get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// kstatus: a started Job is current.
    Plain,
    /// Jobs must complete.
    Jobs,
    /// Hooks: Jobs must complete, Pods must succeed, everything else is ready as it is.
    Hook,
}

/// Returns the verdict about an object as `reader` sees it.
pub fn read(object: &Value, reader: Reader, now: Timestamp) -> ObjectStatus {
    let object_kind = kind_of(object);
    match (reader, object_kind) {
        (Reader::Jobs | Reader::Hook, ("batch", "Job")) => kinds::whole_job(object),
        (Reader::Hook, ("", "Pod")) => kinds::hook_pod(object),
        (Reader::Hook, _) => ObjectStatus::current("Resource is current"),
        (Reader::Plain | Reader::Jobs, _) => status(object, now),
    }
}

/// Returns kstatus' verdict about an object.
pub fn status(object: &Value, now: Timestamp) -> ObjectStatus {
    decide(object, now).unwrap_or_else(ObjectStatus::unknown)
}

fn decide(object: &Value, now: Timestamp) -> Result<ObjectStatus, String> {
    if !text(object, "/metadata/deletionTimestamp").is_empty() {
        return Ok(ObjectStatus::new(Status::Terminating, "", "Resource scheduled for deletion"));
    }
    let generation = object.pointer("/metadata/generation").and_then(Value::as_i64);
    let observed = object.pointer("/status/observedGeneration").and_then(Value::as_i64);
    if let (Some(generation), Some(observed)) = (generation, observed)
        && generation != observed
    {
        let kind = kind_of(object).1;
        return Ok(ObjectStatus::in_progress(
            "LatestGenerationNotObserved",
            format!(
                "{kind} generation is {generation}, but latest observed generation is {observed}"
            ),
        ));
    }
    let conditions = conditions(object)?;
    for condition in conditions.iter().filter(|condition| condition.status == "True") {
        match condition.kind {
            "Reconciling" => {
                return Ok(ObjectStatus::in_progress(condition.reason, condition.message));
            }
            "Stalled" => return Ok(ObjectStatus::failed(condition.reason, condition.message)),
            _ => {}
        }
    }
    if let Some(verdict) = kinds::rule(object, &conditions, now) {
        return verdict;
    }
    for condition in conditions.iter().filter(|condition| condition.kind == "Ready") {
        match condition.status {
            "True" => return Ok(ObjectStatus::current("Resource is Ready")),
            "False" | "Unknown" => {
                return Ok(ObjectStatus::in_progress(condition.reason, condition.message));
            }
            _ => {}
        }
    }
    Ok(ObjectStatus::current("Resource is current"))
}

/// One entry of `status.conditions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Condition<'a> {
    pub(crate) kind: &'a str,
    pub(crate) status: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) message: &'a str,
}

/// Reads the conditions; a malformed one makes the whole object unreadable, as in kstatus.
pub(crate) fn conditions(object: &Value) -> Result<Vec<Condition<'_>>, String> {
    let Some(list) = object.pointer("/status/conditions").filter(|list| !list.is_null()) else {
        return Ok(Vec::new());
    };
    let list = list.as_array().ok_or("status.conditions is not a list")?;
    list.iter()
        .map(|entry| {
            let entry = entry.as_object().ok_or("an entry of status.conditions is not a map")?;
            let field = |name: &str| match entry.get(name) {
                None | Some(Value::Null) => Ok(""),
                Some(Value::String(text)) => Ok(text.as_str()),
                Some(_) => Err(format!("`{name}` of a condition is not a text")),
            };
            Ok(Condition {
                kind: field("type")?,
                status: field("status")?,
                reason: field("reason")?,
                message: field("message")?,
            })
        })
        .collect()
}

/// Returns group and kind.
pub(crate) fn kind_of(object: &Value) -> (&str, &str) {
    let api_version = text(object, "/apiVersion");
    let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
    (group, text(object, "/kind"))
}

pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
