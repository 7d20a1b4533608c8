//! Pods of an owner: which there are, which count, and how they are made and removed.

use std::sync::Arc;

use serde_json::json;

use super::owner_reference;
use crate::sim::core::Core;
use crate::sim::delete::DeleteOptions;
use crate::sim::status::ApiError;
use crate::sim::value::{self, at, deleting, set, text};
use crate::yaml::Value;

/// Returns the Pods that an owner controls.
pub(super) fn owned(core: &Core, storage: &str, owner: &Value) -> Vec<Arc<Value>> {
    let uid = value::uid(owner);
    let mut objects = core.list(storage, Some(value::namespace(owner)));
    objects.retain(|object| {
        let owners = value::items(object, "/metadata/ownerReferences").iter();
        owners.filter(|one| value::flag(one, "/controller")).any(|one| text(one, "/uid") == uid)
    });
    objects
}

/// Returns whether a Pod counts: it is neither done nor going.
pub(super) fn is_active(pod: &Value) -> bool {
    !["Succeeded", "Failed"].contains(&text(pod, "/status/phase")) && !deleting(pod)
}

/// Returns whether a Pod is ready.
pub(super) fn is_ready(pod: &Value) -> bool {
    super::condition(pod, "Ready").is_some_and(|one| text(one, "/status") == "True")
}

/// Returns whether a Pod has been ready for `min_ready` seconds.
pub(super) fn is_available(core: &Core, pod: &Value, min_ready: i64) -> bool {
    if !is_ready(pod) {
        return false;
    }
    let since = super::condition(pod, "Ready").map_or("", |one| text(one, "/lastTransitionTime"));
    let since = since.parse::<crate::base::clock::Timestamp>();
    min_ready == 0
        || since.is_ok_and(|since| core.now().as_second() - since.as_second() >= min_ready)
}

/// Returns a Pod from the template of an owner. `name` ends with `-` when it is to be generated.
pub(super) fn from_template(owner: &Value, name: &str) -> Value {
    let template = owner.pointer("/spec/template").cloned().unwrap_or_default();
    let mut pod =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": template["spec"]});
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template.pointer(&format!("/metadata/{field}")) {
            pod["metadata"][field] = value.clone();
        }
    }
    pod["metadata"]["namespace"] = value::namespace(owner).into();
    let field = if name.ends_with('-') { "generateName" } else { "name" };
    pod["metadata"][field] = name.into();
    set(&mut pod, &["metadata", "ownerReferences"], json!([owner_reference(owner)]));
    pod
}

/// Creates a Pod and records the event.
pub(super) fn make(
    core: &Core,
    owner: &Value,
    component: &str,
    pod: Value,
) -> Result<(), ApiError> {
    match core.create("pods", "kube-controller-manager", pod) {
        Ok(pod) => {
            let message = format!("Created pod: {}", value::name(&pod));
            core.event(owner, component, ("Normal", "SuccessfulCreate"), &message);
            Ok(())
        }
        Err(error) => {
            let message = format!("Error creating: {}", error.message());
            core.event(owner, component, ("Warning", "FailedCreate"), &message);
            Err(error)
        }
    }
}

/// Deletes a Pod and records the event.
pub(super) fn remove(core: &Core, owner: &Value, component: &str, pod: &Value) {
    let key = ("pods", value::namespace(pod), value::name(pod));
    if core.delete(key, &DeleteOptions::default()).is_ok() {
        let message = format!("Deleted pod: {}", value::name(pod));
        core.event(owner, component, ("Normal", "SuccessfulDelete"), &message);
    }
}

/// Sets or replaces a condition. The transition time stays when the status does.
pub(super) fn set_condition(object: &mut Value, mut new: Value, now: &str) {
    let kind = text(&new, "/type").to_owned();
    let list = at(object, &["status", "conditions"]);
    let mut all = list.as_array().cloned().unwrap_or_default();
    let found = all.iter().position(|one| text(one, "/type") == kind);
    let kept = found.map(|index| all[index].clone()).filter(|old| old["status"] == new["status"]);
    let transition = kept.as_ref().map(|old| old["lastTransitionTime"].clone());
    value::default(&mut new, "lastTransitionTime", transition.unwrap_or_else(|| now.into()));
    match found {
        Some(index) => all[index] = new,
        None => all.push(new),
    }
    *list = Value::Array(all);
}

/// Sets a condition and moves it to the end of the list, as the Deployment controller does.
pub(super) fn renew_condition(object: &mut Value, new: Value, now: &str) {
    let kind = text(&new, "/type").to_owned();
    set_condition(object, new, now);
    if let Some(all) = at(object, &["status", "conditions"]).as_array_mut()
        && let Some(index) = all.iter().position(|one| text(one, "/type") == kind)
    {
        let last = all.remove(index);
        all.push(last);
    }
}

/// Sets a counter of a status; zero is left out.
pub(super) fn counter(status: &mut Value, name: &str, count: i64) {
    if count == 0 {
        value::unset(status, &[name]);
    } else {
        at(status, &[name]);
        status[name] = count.into();
    }
}

/// Returns a number of Pods as `i64`.
pub(super) fn count(pods: usize) -> i64 {
    i64::try_from(pods).unwrap_or(i64::MAX)
}
