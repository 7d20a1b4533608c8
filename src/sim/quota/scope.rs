//! Scopes of a quota: which objects it is about, and which scopes there may be. Pure.
//!
//! Source: kubernetes 1.34 pkg/quota/v1/evaluator/core (pods.go, persistent_volume_claims.go),
//! pkg/apis/core/validation/validation.go (`validateResourceQuotaScopes`).

use serde_json::json;

use crate::sim::status::FieldError;
use crate::sim::strategy::quality;
use crate::sim::value::{int, items, text};
use crate::yaml::Value;

/// A scope, an operator, values.
type Wanted<'a> = (&'a str, &'a str, &'a [Value]);

/// Whether a quota is about an object, by its scopes.
pub(super) fn holds(quota: &Value, storage: &str, object: &Value) -> bool {
    let named = items(quota, "/spec/scopes").iter().filter_map(Value::as_str);
    let mut named = named.map(|scope| (scope, "Exists", &[][..]));
    let selected = items(quota, "/spec/scopeSelector/matchExpressions");
    let mut selected = selected
        .iter()
        .map(|one| (text(one, "/scopeName"), text(one, "/operator"), items(one, "/values")));
    let mut fits = |scope: Wanted<'_>| match storage {
        "pods" => is_pod_in(object, scope),
        "persistentvolumeclaims" => is_claim_in(object, scope),
        _ => false,
    };
    named.all(&mut fits) && selected.all(fits)
}

fn is_pod_in(pod: &Value, (scope, operator, values): Wanted<'_>) -> bool {
    let ends = int(pod, "/spec/activeDeadlineSeconds").is_some();
    match scope {
        "Terminating" => ends,
        "NotTerminating" => !ends,
        "BestEffort" => quality(pod) == "BestEffort",
        "NotBestEffort" => quality(pod) != "BestEffort",
        "PriorityClass" => {
            let class = text(pod, "/spec/priorityClassName");
            fits(&[class], operator, values)
        }
        "CrossNamespacePodAffinity" => looks_across(pod),
        _ => false,
    }
}

fn is_claim_in(claim: &Value, (scope, operator, values): Wanted<'_>) -> bool {
    let classes = [
        "/spec/volumeAttributesClassName",
        "/status/currentVolumeAttributesClassName",
        "/status/modifyVolumeStatus/targetVolumeAttributesClassName",
    ];
    let classes = classes.map(|pointer| text(claim, pointer));
    scope == "VolumeAttributesClass" && fits(&classes, operator, values)
}

/// Whether any of these names is as wanted; empty ones are none.
fn fits(names: &[&str], operator: &str, values: &[Value]) -> bool {
    let mut names = names.iter().filter(|name| !name.is_empty()).peekable();
    let is_listed = |name: &str| values.iter().any(|value| value.as_str() == Some(name));
    match operator {
        "In" => names.any(|name| is_listed(name)),
        "NotIn" => names.peek().is_none() || names.any(|name| !is_listed(name)),
        "DoesNotExist" => names.peek().is_none(),
        _ => names.peek().is_some(),
    }
}

/// Whether a Pod wants to be near to, or far from, those of other namespaces.
fn looks_across(pod: &Value) -> bool {
    ["podAffinity", "podAntiAffinity"].iter().any(|kind| {
        let at = |rest: &str| {
            format!("/spec/affinity/{kind}/{rest}DuringSchedulingIgnoredDuringExecution")
        };
        let required = items(pod, &at("required")).iter();
        let preferred = items(pod, &at("preferred"))
            .iter()
            .filter_map(|weighted| weighted.get("podAffinityTerm"));
        let mut terms = required.chain(preferred);
        terms.any(|term| {
            !items(term, "/namespaces").is_empty() || term.get("namespaceSelector").is_some()
        })
    })
}

const PODS: [&str; 7] =
    ["pods", "cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];
/// What else a quota bounds by a name of its own.
const OTHERS: [&str; 12] = [
    "ephemeral-storage",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.ephemeral-storage",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
];

/// Whether objects of a scope use a resource.
fn counts(scope: &str, resource: &str) -> bool {
    match scope {
        "BestEffort" => resource == "pods",
        "VolumeAttributesClass" => {
            ["persistentvolumeclaims", "requests.storage"].contains(&resource)
        }
        _ if is_known(scope) => PODS.contains(&resource),
        _ => true,
    }
}

/// Scopes that only exist or do not.
const PLAIN: [&str; 5] =
    ["BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity"];

fn is_known(scope: &str) -> bool {
    PLAIN.contains(&scope) || ["PriorityClass", "VolumeAttributesClass"].contains(&scope)
}

const EXCLUSIVE: [[&str; 2]; 2] =
    [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]];

fn is_contradiction(scopes: &[&str]) -> bool {
    EXCLUSIVE.iter().any(|pair| pair.iter().all(|one| scopes.contains(one)))
}

/// Refuses scopes that mean nothing.
pub(crate) fn validate(quota: &Value, errors: &mut Vec<FieldError>) {
    let hard = quota.pointer("/spec/hard").and_then(Value::as_object).into_iter().flatten();
    let hard: Vec<&str> = hard
        .map(|(name, _)| name.as_str())
        .filter(|name| PODS.contains(name) || OTHERS.contains(name))
        .collect();
    let uncounted = |scope: &str| hard.iter().filter(|name| !counts(scope, name)).count();
    let listed = quota.pointer("/spec/scopes").cloned().unwrap_or(Value::Null);
    let scopes: Vec<&str> = items(quota, "/spec/scopes").iter().filter_map(Value::as_str).collect();
    let wrong = |why: &str| FieldError::invalid("spec.scopes", &listed, why);
    for scope in &scopes {
        if !is_known(scope) {
            errors.push(wrong("unsupported scope"));
        }
        errors
            .extend((0..uncounted(scope)).map(|_| wrong("unsupported scope applied to resource")));
    }
    if is_contradiction(&scopes) {
        errors.push(wrong("conflicting scopes"));
    }
    let at = "spec.scopeSelector.matchExpressions";
    let expressions = items(quota, "/spec/scopeSelector/matchExpressions");
    let mut selected = Vec::new();
    for one in expressions {
        let (scope, operator) = (text(one, "/scopeName"), text(one, "/operator"));
        selected.push(scope);
        if !is_known(scope) {
            let path = format!("{at}.scopeName");
            errors.push(FieldError::invalid(path, &scope.into(), "unsupported scope"));
        }
        let why = "unsupported scope applied to resource";
        let shown = as_in_go(expressions);
        errors.extend((0..uncounted(scope)).map(|_| FieldError::invalid(at, &shown, why)));
        operated((scope, operator, items(one, "/values")), at, errors);
    }
    if is_contradiction(&selected) {
        errors.push(FieldError::invalid(at, &listed, "conflicting scopes"));
    }
}

fn operated((scope, operator, values): Wanted<'_>, at: &str, errors: &mut Vec<FieldError>) {
    if PLAIN.contains(&scope) && operator != "Exists" {
        let why = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, \
                   ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, \
                   ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
        errors.push(FieldError::invalid(format!("{at}.operator"), &operator.into(), why));
    }
    match operator {
        "In" | "NotIn" if values.is_empty() => {
            let why =
                "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
            errors.push(FieldError::required(format!("{at}.values"), why));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let why =
                "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
            errors.push(FieldError::invalid(format!("{at}.values"), &values.into(), why));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        _ => {
            let why = "not a valid selector operator";
            errors.push(FieldError::invalid(format!("{at}.operator"), &operator.into(), why));
        }
    }
}

/// Returns a selector as the server prints its own structure.
fn as_in_go(expressions: &[Value]) -> Value {
    let expressions = expressions.iter().map(|one| {
        json!({
            "ScopeName": one["scopeName"], "Operator": one["operator"],
            "Values": one.get("values").cloned().unwrap_or_default(),
        })
    });
    json!({"MatchExpressions": expressions.collect::<Vec<_>>()})
}
