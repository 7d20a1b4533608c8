//! What a Pod uses of a quota, and which of its containers do not say what they use. Pure.
//!
//! Source: kubernetes 1.34 pkg/quota/v1/evaluator/core/pods.go, component-helpers resource/helpers.go.

use std::collections::BTreeMap;

use super::usage::Usage;
use crate::base::quantity::Quantity;
use crate::sim::value::{items, text};
use crate::yaml::Value;

/// Resources that each container has to say something about, once a quota bounds them.
const SAID: [&str; 6] =
    ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];
/// Resources that a quota names without `requests.`, too.
const PLAIN: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// Adds what a Pod uses; one that ended uses nothing but its place in the count of objects.
pub(super) fn add(pod: &Value, usage: &mut Usage) {
    if ["Succeeded", "Failed"].contains(&text(pod, "/status/phase")) {
        return;
    }
    usage.add("pods", Quantity::whole(1));
    for (part, prefix) in [("requests", "requests."), ("limits", "limits.")] {
        for (name, amount) in asked(pod, part).each() {
            usage.add(format!("{prefix}{name}"), amount);
            if part == "requests" && (PLAIN.contains(&name) || name.starts_with("hugepages-")) {
                usage.add(name, amount);
            }
        }
    }
}

/// Sums what containers ask for. Init containers run one after the other before the others, and
/// those that stay (sidecars) beside them.
pub(super) fn asked(pod: &Value, part: &str) -> Usage {
    let pointer = format!("/resources/{part}");
    let add =
        |sum: &mut Usage, container: &Value| *sum = sum.plus(&Usage::read(container, &pointer));
    let mut running = Usage::default();
    items(pod, "/spec/containers").iter().for_each(|container| add(&mut running, container));
    let (mut most, mut staying) = (Usage::default(), Usage::default());
    for container in items(pod, "/spec/initContainers") {
        let mut step = staying.clone();
        add(&mut step, container);
        if text(container, "/restartPolicy") == "Always" {
            add(&mut running, container);
            staying = step.clone();
        }
        step.each().for_each(|(name, amount)| most.raise(name, amount));
    }
    running.each().for_each(|(name, amount)| most.raise(name, amount));
    let mut all = most.plus(&Usage::read(pod, "/spec/overhead"));
    let whole = Usage::read(pod, &format!("/spec{pointer}"));
    whole.each().for_each(|(name, amount)| all.replace(name, amount));
    all
}

/// Returns what containers have to say and do not: `requests.cpu for: a,b`.
pub(super) fn unsaid(pod: &Value, hard: &Usage) -> Option<String> {
    let mut missing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let containers =
        items(pod, "/spec/containers").iter().chain(items(pod, "/spec/initContainers"));
    for container in containers {
        for name in SAID.into_iter().filter(|name| hard.names(name)) {
            let (part, resource) = name.split_once('.').unwrap_or(("requests", name));
            if container.pointer(&format!("/resources/{part}/{resource}")).is_none() {
                missing.entry(name).or_default().push(text(container, "/name"));
            }
        }
    }
    let told = missing.into_iter().map(|(name, mut containers)| {
        containers.sort_unstable();
        containers.dedup();
        format!("{name} for: {}", containers.join(","))
    });
    let told: Vec<_> = told.collect();
    (!told.is_empty()).then(|| told.join("; "))
}
