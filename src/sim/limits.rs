//! Limit ranges: what containers get that say nothing of what they use, and what is too little or
//! too much.
//!
//! Source: kubernetes 1.34 plugin/pkg/admission/limitranger/admission.go.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::quota::of_pod;
use super::resource::Resource;
use super::status::{ApiError, FieldError};
use super::store::Store;
use super::value::{self, at, items, set, text};
use crate::base::quantity::Quantity;
use crate::yaml::Value;

const STORAGE: &str = "limitranges";
/// Says what a Pod was given.
const ANNOTATION: &str = "kubernetes.io/limit-ranger";

fn ranges(store: &Store, object: &Value) -> Vec<Arc<Value>> {
    store.list(STORAGE, Some(value::namespace(object))).map(|(_, range)| range.clone()).collect()
}

/// Gives the containers of a new Pod what the ranges of its namespace say.
pub(crate) fn fill(store: &Store, resource: &Resource, object: &mut Value) {
    if resource.storage.as_ref() != "pods" {
        return;
    }
    for range in ranges(store, object) {
        let mut given = Vec::new();
        let groups = [("containers", "container"), ("initContainers", "init container")];
        for (group, word) in groups {
            let containers = at(object, &["spec"]).get_mut(group).and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten() {
                given.extend(fill_container(&range, container, word));
            }
        }
        if !given.is_empty() {
            let said = format!("LimitRanger plugin set: {}", given.join("; "));
            set(object, &["metadata", "annotations", ANNOTATION], said);
        }
    }
}

/// Gives a container what it does not say; tells what that was.
fn fill_container(range: &Value, container: &mut Value, word: &str) -> Vec<String> {
    let mut given = Vec::new();
    let parts = [("defaultRequest", "requests", "request"), ("default", "limits", "limit")];
    for (from, part, said) in parts {
        let limits = items(range, "/spec/limits").iter();
        let defaults = limits.filter(|one| text(one, "/type") == "Container");
        // Of several that speak of a resource the last one counts.
        let defaults: BTreeMap<&String, &Value> =
            defaults.filter_map(|one| one.get(from)?.as_object()).flatten().collect();
        let mut names = Vec::new();
        for (name, amount) in defaults {
            if container.pointer(&format!("/resources/{part}/{name}")).is_none() {
                set(container, &["resources", part, name.as_str()], amount.clone());
                names.push(name.as_str());
            }
        }
        if !names.is_empty() {
            let name = text(container, "/name");
            given.push(format!("{} {said} for {word} {name}", names.join(", ")));
        }
    }
    given
}

/// Refuses what is beyond a range of its namespace.
pub(crate) fn admit(store: &Store, resource: &Resource, object: &Value) -> Result<(), ApiError> {
    let storage = resource.storage.as_ref();
    if !["pods", "persistentvolumeclaims"].contains(&storage) {
        return Ok(());
    }
    for range in ranges(store, object) {
        let mut wrong = Vec::new();
        for limit in items(&range, "/spec/limits") {
            match (text(limit, "/type"), storage) {
                ("Container", "pods") => {
                    let containers = items(object, "/spec/containers").iter();
                    let all = containers.chain(items(object, "/spec/initContainers"));
                    for container in all {
                        let requests = amounts(container, "/resources/requests");
                        let limits = amounts(container, "/resources/limits");
                        check(limit, &requests, &limits, &mut wrong);
                    }
                }
                ("Pod", "pods") => {
                    let (requests, limits) = (of_pod(object, "requests"), of_pod(object, "limits"));
                    check(limit, &requests, &limits, &mut wrong);
                }
                ("PersistentVolumeClaim", "persistentvolumeclaims") => {
                    let requests = amounts(object, "/spec/resources/requests");
                    check_claim(limit, &requests, &mut wrong);
                }
                _ => {}
            }
        }
        let mut once: Vec<String> = Vec::new();
        for why in wrong {
            if !once.contains(&why) {
                once.push(why);
            }
        }
        let why = match once.as_slice() {
            [] => continue,
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        return Err(ApiError::forbidden(resource, value::name(object), &why));
    }
    Ok(())
}

type Amounts = Vec<(String, Quantity)>;

fn amounts(object: &Value, pointer: &str) -> Amounts {
    let map = object.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
    map.map(|(name, amount)| (name.clone(), Quantity::of(amount))).collect()
}

fn of(amounts: &Amounts, name: &str) -> Option<Quantity> {
    amounts.iter().find(|(known, _)| known == name).map(|(_, amount)| *amount)
}

/// Checks requests and limits of a container or Pod.
fn check(limit: &Value, requests: &Amounts, limits: &Amounts, wrong: &mut Vec<String>) {
    let kind = text(limit, "/type");
    for (name, least) in amounts(limit, "/min") {
        let says = format!("minimum {name} usage per {kind} is {least}");
        match (of(requests, &name), of(limits, &name)) {
            (None, _) => wrong.push(format!("{says}.  No request is specified")),
            (Some(request), _) if request < least => {
                wrong.push(format!("{says}, but request is {request}"));
            }
            (_, Some(limit)) if limit < least => {
                wrong.push(format!("{says}, but limit is {limit}"));
            }
            _ => {}
        }
    }
    for (name, most) in amounts(limit, "/max") {
        let says = format!("maximum {name} usage per {kind} is {most}");
        match (of(requests, &name), of(limits, &name)) {
            (_, None) => wrong.push(format!("{says}.  No limit is specified")),
            (_, Some(limit)) if limit > most => wrong.push(format!("{says}, but limit is {limit}")),
            (Some(request), _) if request > most => {
                wrong.push(format!("{says}, but request is {request}"));
            }
            _ => {}
        }
    }
    for (name, most) in amounts(limit, "/maxLimitRequestRatio") {
        let says = format!("{name} max limit to request ratio per {kind} is {most}, but");
        let some = |amounts| of(amounts, &name).filter(|amount| amount.is_positive());
        match (some(requests), some(limits)) {
            (None, _) => wrong.push(format!("{says} no request is specified or request is 0")),
            (_, None) => wrong.push(format!("{says} no limit is specified or limit is 0")),
            (Some(request), Some(limit)) => {
                let ratio = limit.as_float() / request.as_float();
                if ratio > most.as_float() {
                    wrong.push(format!("{says} provided ratio is {ratio:.6}"));
                }
            }
        }
    }
}

fn check_claim(limit: &Value, requests: &Amounts, wrong: &mut Vec<String>) {
    let kind = text(limit, "/type");
    for (key, word) in [("min", "minimum"), ("max", "maximum")] {
        for (name, bound) in amounts(limit, &format!("/{key}")) {
            let says = format!("{word} {name} usage per {kind} is {bound}");
            match of(requests, &name) {
                None => wrong.push(format!("{says}.  No request is specified")),
                Some(request)
                    if (key == "min" && request < bound) || (key == "max" && request > bound) =>
                {
                    wrong.push(format!("{says}, but request is {request}"));
                }
                Some(_) => {}
            }
        }
    }
}

/// Refuses two limits of one type.
pub(crate) fn validate(range: &Value, errors: &mut Vec<FieldError>) {
    let types: Vec<&str> =
        items(range, "/spec/limits").iter().map(|limit| text(limit, "/type")).collect();
    for (index, kind) in types.iter().enumerate().filter(|(at, kind)| types[..*at].contains(kind)) {
        let path = format!("spec.limits[{index}].type");
        errors.push(FieldError::duplicate(path, &(*kind).into()));
    }
}

/// Refuses containers that ask for more than they may use.
///
/// Source: kubernetes 1.34 pkg/apis/core/validation/validation.go
/// (`ValidateContainerResourceRequirements`).
pub(crate) fn requests(spec: &Value, path: &str, errors: &mut Vec<FieldError>) {
    for group in ["initContainers", "containers"] {
        for (index, container) in items(spec, &format!("/{group}")).iter().enumerate() {
            let limits = amounts(container, "/resources/limits");
            for (name, request) in amounts(container, "/resources/requests") {
                let Some(most) = of(&limits, &name).filter(|most| request > *most) else {
                    continue;
                };
                let path = format!("{path}.{group}[{index}].resources.requests");
                let why = format!("must be less than or equal to {name} limit of {most}");
                errors.push(FieldError::invalid(path, &request.to_string().into(), &why));
            }
        }
    }
}

/// Fills in the defaults of a range: what is not said of containers follows from what is.
///
/// Source: kubernetes 1.34 pkg/apis/core/v1/defaults.go (SetDefaults_LimitRangeItem).
pub(crate) fn default(object: &mut Value) {
    let limits = at(object, &["spec"]).get_mut("limits").and_then(Value::as_array_mut);
    for limit in limits.into_iter().flatten().filter(|limit| text(limit, "/type") == "Container") {
        for (from, to) in
            [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")]
        {
            let source = limit.get(from).and_then(Value::as_object).cloned().unwrap_or_default();
            for (name, amount) in source {
                if limit.pointer(&format!("/{to}/{name}")).is_none() {
                    set(limit, &[to, name.as_str()], amount);
                }
            }
        }
    }
}
