//! Resource quotas: how much of each resource a namespace may have, and what is refused beyond.
//!
//! What is used stands in the quota's status. A write that is let through counts there at once; the
//! [controller](super::controllers) counts anew when something goes.
//!
//! Source: kubernetes 1.34 staging apiserver pkg/admission/plugin/resourcequota (controller.go).

mod pod;
pub(crate) mod scope;
mod usage;

use std::sync::Arc;

use super::resource::Resource;
use super::status::ApiError;
use super::store::Store;
use super::value::{self, at};
use crate::base::quantity::Quantity;
use crate::yaml::Value;

use usage::Usage;

/// Collection of the quotas.
pub(crate) const STORAGE: &str = "resourcequotas";
/// What others use of a quota that was copied from another cluster, as JSON; empty in any other.
const ELSEWHERE: &str = "sim.leadsman.dev/used-elsewhere";

/// Refuses a write that a quota does not allow, else counts it.
pub(crate) fn admit(
    store: &mut Store,
    resource: &Resource,
    before: Option<&Value>,
    object: &Value,
    is_dry: bool,
) -> Result<(), ApiError> {
    if !resource.namespaced || (before.is_some() && !usage::may_grow(&resource.storage)) {
        return Ok(());
    }
    let quotas: Vec<Arc<Value>> = store
        .list(STORAGE, Some(value::namespace(object)))
        .map(|(_, quota)| quota.clone())
        .collect();
    if quotas.is_empty() {
        return Ok(());
    }
    let mut asked = usage::of(&resource.storage, object);
    if let Some(before) = before {
        asked.subtract(&usage::of(&resource.storage, before));
    }
    let mut counted = Vec::new();
    for quota in quotas.iter().filter(|quota| scope::holds(quota, &resource.storage, object)) {
        let hard = Usage::read(quota, "/status/hard");
        if before.is_none()
            && resource.storage.as_ref() == "pods"
            && let Some(missing) = pod::unsaid(object, &hard)
        {
            let why = format!("failed quota: {}: must specify {missing}", value::name(quota));
            return Err(ApiError::forbidden(resource, value::name(object), &why));
        }
        let asked = asked.only(&hard);
        if asked.is_nothing() {
            continue;
        }
        let used = Usage::read(quota, "/status/used");
        let sum = used.plus(&asked);
        let beyond =
            asked.keys_where(|key| asked.get(key).is_positive() && sum.get(key) > hard.get(key));
        if !beyond.is_empty() {
            let why = format!(
                "exceeded quota: {}, requested: {}, used: {}, limited: {}",
                value::name(quota),
                asked.told(&beyond),
                used.told(&beyond),
                hard.told(&beyond)
            );
            return Err(ApiError::forbidden(resource, value::name(object), &why));
        }
        counted.push((quota, sum));
    }
    if is_dry {
        return Ok(());
    }
    for (quota, sum) in counted {
        let mut quota = Value::clone(quota);
        *at(&mut quota, &["status", "used"]) = sum.to_value();
        store.put(&STORAGE.into(), quota);
    }
    Ok(())
}

/// Returns what a Pod asks for (`requests`) or may use at most (`limits`), all containers together.
pub(crate) fn of_pod(pod: &Value, part: &str) -> Vec<(String, Quantity)> {
    pod::asked(pod, part).each().map(|(name, amount)| (name.to_owned(), amount)).collect()
}

/// Returns the status of a quota: what it allows and what its namespace uses of that.
pub(crate) fn status(store: &Store, quota: &Value) -> Value {
    let hard = Usage::read(quota, "/spec/hard");
    let used = hard.same_keys(&elsewhere(quota).plus(&used_here(store, quota)));
    serde_json::json!({"hard": hard.to_value(), "used": used.to_value()})
}

fn elsewhere(quota: &Value) -> Usage {
    let noted = serde_json::from_str(value::annotation(quota, ELSEWHERE)).unwrap_or_default();
    Usage::from_value(&noted)
}

fn used_here(store: &Store, quota: &Value) -> Usage {
    let mut used = Usage::default();
    for storage in store.storages() {
        for (_, object) in store.list(&storage, Some(value::namespace(quota))) {
            if scope::holds(quota, &storage, object) {
                used = used.plus(&usage::of(&storage, object));
            }
        }
    }
    used
}

/// Makes a quota of another cluster one of this: what is used of it there by others than some objects
/// is noted. ReplicaSets are not counted: old ones are not copied.
pub(crate) fn adopt(store: &Store, quota: &mut Value, own: &[Value]) {
    let mut hard = Usage::read(quota, "/spec/hard");
    hard.retain(|name| name != "count/replicasets.apps");
    let mut elsewhere = Usage::read(quota, "/status/used").only(&hard);
    for object in own {
        let (api_version, kind) =
            (value::text(object, "/apiVersion"), value::text(object, "/kind"));
        let mut all = store.registry.all().iter();
        let resource = all.find(|one| one.kind == kind && one.api_version() == api_version);
        let Some(resource) = resource else { continue };
        if scope::holds(quota, &resource.storage, object) {
            elsewhere.subtract(&usage::of(&resource.storage, object));
        }
    }
    elsewhere = hard.same_keys(&elsewhere);
    elsewhere.retain_positive();
    *at(quota, &["spec", "hard"]) = hard.to_value();
    let noted = elsewhere.to_value().to_string();
    value::set(quota, &["metadata", "annotations", ELSEWHERE], noted);
    quota["status"] = status(store, quota);
}
