//! Deletions: at once, or in steps that finalizers and grace periods ask for.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::resource::Resource;
use super::status::{self, ApiError, FieldError};
use super::store::Store;
use super::value::{self, deleting, int, items, set, text};
use crate::yaml::Value;

/// What a deletion asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) propagation: String,
    pub(crate) grace_seconds: Option<i64>,
    pub(crate) uid: String,
    pub(crate) resource_version: String,
    pub(crate) dry_run: bool,
}

/// Collections whose objects are shown when they are gone.
///
/// Source: kubernetes 1.34 pkg/registry/core (`ReturnDeletedObject`).
const SHOWN: [&str; 4] = ["resourcequotas", "serviceaccounts", "services", "podtemplates"];

/// What came of a deletion.
#[derive(Debug)]
pub(crate) enum Deleted {
    /// The object is gone; its last state.
    Gone(Arc<Value>),
    /// The object stays until its finalizers or grace period are done.
    Pending(Arc<Value>),
}

impl Deleted {
    /// Returns the body of the answer.
    pub(crate) fn body(&self, resource: &Resource) -> Json {
        match self {
            Self::Gone(object) if SHOWN.contains(&resource.storage.as_ref()) => {
                Value::clone(object)
            }
            Self::Gone(object) => {
                status::deleted(resource, value::name(object), value::uid(object))
            }
            Self::Pending(object) => Value::clone(object),
        }
    }
}

impl DeleteOptions {
    /// Reads `DeleteOptions`; query parameters fill what the body leaves open.
    pub(crate) fn read(
        body: &Value,
        query: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ApiError> {
        let propagation = match text(body, "/propagationPolicy") {
            "" => query("propagationPolicy").unwrap_or_default(),
            given => given.to_owned(),
        };
        if !["", "Foreground", "Background", "Orphan"].contains(&propagation.as_str()) {
            let known = ["Foreground", "Background", "Orphan", "nil"];
            let error = FieldError::unsupported("propagationPolicy", &propagation.into(), &known);
            return Err(ApiError::invalid_options("DeleteOptions", &[error]));
        }
        let orphan = value::flag(body, "/orphanDependents");
        let dry = items(body, "/dryRun").iter().any(|one| one == "All");
        Ok(Self {
            propagation: if orphan { "Orphan".to_owned() } else { propagation },
            grace_seconds: int(body, "/gracePeriodSeconds")
                .or_else(|| query("gracePeriodSeconds").and_then(|text| text.parse().ok())),
            uid: text(body, "/preconditions/uid").to_owned(),
            resource_version: text(body, "/preconditions/resourceVersion").to_owned(),
            dry_run: dry || query("dryRun").is_some(),
        })
    }
}

/// Deletes an object, or begins to.
pub(crate) fn delete(
    store: &mut Store,
    resource: &Resource,
    (namespace, name): (&str, &str),
    options: &DeleteOptions,
    now: crate::base::clock::Timestamp,
) -> Result<Deleted, ApiError> {
    let live = store.get(&resource.storage, namespace, name).cloned();
    let live = live.ok_or_else(|| ApiError::not_found(resource, name))?;
    for (what, wanted, pointer) in [
        ("UID", &options.uid, "/metadata/uid"),
        ("ResourceVersion", &options.resource_version, "/metadata/resourceVersion"),
    ] {
        let found = text(&live, pointer);
        if !wanted.is_empty() && wanted != found {
            return Err(ApiError::precondition(resource, name, what, (wanted, found)));
        }
    }
    if resource.storage.as_ref() == "namespaces"
        && ["default", "kube-system", "kube-public"].contains(&name)
    {
        return Err(ApiError::forbidden(resource, name, "this namespace may not be deleted"));
    }
    let mut object = Value::clone(&live);
    propagate(&mut object, &options.propagation);
    let grace = grace_seconds(resource, &live, options);
    let blocked = !items(&object, "/metadata/finalizers").is_empty()
        || (resource.storage.as_ref() == "namespaces"
            && !items(&object, "/spec/finalizers").is_empty());
    if !blocked && grace == 0 {
        if options.dry_run {
            return Ok(Deleted::Gone(live));
        }
        if deleting(&live) && resource.storage.as_ref() == "pods" {
            set(&mut object, &["metadata", "deletionGracePeriodSeconds"], 0);
            store.put(&resource.storage, object.clone());
        }
        let last = store.remove(&resource.storage, namespace, name);
        if resource.storage.as_ref() == "pods" && !deleting(&live) {
            // A Pod that had nothing to end gracefully is shown as it was.
            set(&mut object, &["metadata", "deletionGracePeriodSeconds"], 0);
            set(
                &mut object,
                &["metadata", "deletionTimestamp"],
                crate::base::clock::rfc3339_seconds(now),
            );
            return Ok(Deleted::Pending(Arc::new(object)));
        }
        return Ok(Deleted::Gone(last.unwrap_or(live)));
    }
    let shorter = int(&live, "/metadata/deletionGracePeriodSeconds").is_none_or(|old| grace < old);
    if deleting(&live) && !shorter && *live == object {
        return Ok(Deleted::Pending(live));
    }
    mark(resource, &live, &mut object, grace, now);
    if options.dry_run {
        return Ok(Deleted::Pending(Arc::new(object)));
    }
    Ok(Deleted::Pending(store.put(&resource.storage, object)))
}

/// Adds the finalizers that foreground deletion and orphaning ask for.
fn propagate(object: &mut Value, propagation: &str) {
    let finalizer = match propagation {
        "Foreground" => "foregroundDeletion",
        "Orphan" => "orphan",
        _ => return,
    };
    super::strategy::add_finalizer(object, finalizer);
}

fn grace_seconds(resource: &Resource, live: &Value, options: &DeleteOptions) -> i64 {
    if resource.storage.as_ref() != "pods" {
        return 0;
    }
    let done = ["Succeeded", "Failed"].contains(&text(live, "/status/phase"));
    if done || text(live, "/spec/nodeName").is_empty() {
        return 0;
    }
    let own = int(live, "/spec/terminationGracePeriodSeconds").unwrap_or(30);
    options.grace_seconds.unwrap_or(own).max(0)
}

fn mark(
    resource: &Resource,
    live: &Value,
    object: &mut Value,
    grace: i64,
    now: crate::base::clock::Timestamp,
) {
    use crate::base::clock::rfc3339_seconds;
    let end = now.saturating_add(jiff::SignedDuration::from_secs(grace)).unwrap_or(now);
    if !deleting(live) {
        set(object, &["metadata", "deletionTimestamp"], rfc3339_seconds(end));
        if resource.has_generation() {
            let generation = int(live, "/metadata/generation").unwrap_or_default() + 1;
            set(object, &["metadata", "generation"], generation);
        }
    }
    // Namespaces have neither grace nor generation.
    if resource.storage.as_ref() == "namespaces" {
        object["status"] = json!({"phase": "Terminating"});
    } else {
        set(object, &["metadata", "deletionGracePeriodSeconds"], grace);
    }
}
