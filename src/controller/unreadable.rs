//! An object that the API server took and Leadsman cannot read, such as one with an interval of a
//! million years: it says so itself.

use serde::de::DeserializeOwned;
use serde_json::json;

use super::context::Context;
use super::notice::{Severity, Subject};
use super::queue::{Phase, Report, Requeue};
use super::status;
use crate::api::Meta;
use crate::api::condition::{ConditionList, Conditions, READY, STALLED, Truth};
use crate::cluster::{self, Object, ObjectId};
use crate::yaml::Value;

const REASON: &str = "InvalidObject";

/// Gets and reads an object; of one that is not there, or that cannot be read, says how its
/// reconciliation ends.
pub(super) async fn read<T: DeserializeOwned>(
    context: &Context,
    id: &ObjectId,
    of: (&'static str, &'static str),
) -> Result<Result<T, Report>, cluster::Error> {
    let Some(found) = context.cluster.get(id).await? else {
        return Ok(Err(Report::new(Requeue::Gone, Phase::Ready)));
    };
    match serde_json::from_value(found.0.clone()) {
        Ok(read) => Ok(Ok(read)),
        Err(error) => refuse(context, id, of, &found, &error).await.map(Err),
    }
}

/// Says on the object, in an event and in a line what cannot be read.
async fn refuse(
    context: &Context,
    id: &ObjectId,
    of: (&'static str, &'static str),
    found: &Object,
    error: &serde_json::Error,
) -> Result<Report, cluster::Error> {
    let part = |name: &str| found.0.get(name).cloned().unwrap_or(Value::Null);
    let meta: Meta = serde_json::from_value(part("metadata")).unwrap_or_default();
    let old = part("status");
    let mut list: ConditionList =
        serde_json::from_value(old.get("conditions").cloned().unwrap_or(json!([])))
            .unwrap_or_default();
    let text = format!("the object cannot be read: {error}; correct its spec");
    let now = context.clock.now();
    let mut conditions = Conditions::new(&mut list, meta.generation, now);
    conditions.set(READY, Truth::False, REASON, &text);
    conditions.set(STALLED, Truth::True, REASON, &text);
    let mut new = if old.is_object() { old.clone() } else { json!({}) };
    new["conditions"] = json!(list);
    if new != old {
        let subject = Subject::new(of.0, of.1, &meta);
        let recorder = &context.recorder;
        recorder.record(&subject, Severity::Warning, REASON, text, &Default::default()).await;
        status::write(&context.cluster, id, &old, &new).await?;
    }
    Ok(Report::new(Requeue::OnChange, Phase::Failed))
}
