//! Small controllers: addresses of load balancers, budgets for disruptions.

use std::time::Duration;

use serde_json::json;

use super::replicas::{is_active, is_ready, set_condition};
use super::{Controller, Key};
use crate::sim::core::Core;
use crate::sim::selector::Labels;
use crate::sim::store::{Change, Happened};
use crate::sim::value::{self, at, int, text};
use crate::yaml::Value;

const SERVICES: &str = "services";
const BUDGETS: &str = "poddisruptionbudgets.policy";
const MANAGER: &str = "kube-controller-manager";

pub(super) fn controller() -> Controller {
    Controller::new("service-controller", concerns, reconcile)
}

fn concerns(change: &Change) -> Vec<Key> {
    match change.storage.as_ref() {
        SERVICES | BUDGETS if change.happened != Happened::Deleted => {
            vec![Key::of(&change.storage, &change.object)]
        }
        // Budgets of the namespace are reckoned together.
        "pods" => vec![Key::sibling(BUDGETS, value::namespace(&change.object), "")],
        _ => Vec::new(),
    }
}

fn reconcile(core: &Core, key: &Key) -> Option<Duration> {
    match (key.storage.as_ref(), key.name.as_str()) {
        (BUDGETS, "") => {
            for budget in core.list(BUDGETS, Some(&key.namespace)) {
                reckon(core, &Key::of(&key.storage, &budget), &budget);
            }
        }
        (BUDGETS, _) => reckon(core, key, &*core.get(BUDGETS, &key.namespace, &key.name)?),
        _ => {
            let service = core.get(SERVICES, &key.namespace, &key.name)?;
            balance(core, key, &service);
        }
    }
    None
}

fn balance(core: &Core, key: &Key, service: &Value) {
    let wanted = text(service, "/spec/type") == "LoadBalancer" && core.options.load_balancers;
    let has = service.pointer("/status/loadBalancer/ingress").is_some();
    if wanted == has {
        return;
    }
    let number: u32 = value::uid(service).bytes().map(u32::from).sum::<u32>() % 250 + 2;
    let _ = core.edit(key.parts(), "cloud-controller-manager", "status", |service| {
        at(service, &["status"])["loadBalancer"] = if wanted {
            json!({"ingress": [{"ip": format!("192.0.2.{number}"), "ipMode": "VIP"}]})
        } else {
            json!({})
        };
    });
}

fn reckon(core: &Core, key: &Key, budget: &Value) {
    let labels = budget.pointer("/spec/selector").and_then(Labels::from_object);
    let mut pods = core.list("pods", Some(&key.namespace));
    pods.retain(|pod| {
        is_active(pod)
            && labels.as_ref().is_some_and(|one| one.matches(pod.pointer("/metadata/labels")))
    });
    let total = super::replicas::count(pods.len());
    let healthy = super::replicas::count(pods.iter().filter(|pod| is_ready(pod)).count());
    let part = |pointer: &str| match budget.pointer(pointer)? {
        Value::String(percent) => {
            let percent: i64 = percent.trim_end_matches('%').parse().ok()?;
            Some((percent * total + 99) / 100)
        }
        number => number.as_i64(),
    };
    let desired = part("/spec/minAvailable")
        .or_else(|| part("/spec/maxUnavailable").map(|unavailable| (total - unavailable).max(0)))
        .unwrap_or_default();
    let allowed = if total == 0 { 0 } else { (healthy - desired).max(0) };
    let now = core.now_text();
    let _ = core.edit(key.parts(), MANAGER, "status", |budget| {
        let generation = int(budget, "/metadata/generation").unwrap_or_default();
        let status = at(budget, &["status"]);
        status["currentHealthy"] = healthy.into();
        status["desiredHealthy"] = desired.into();
        status["expectedPods"] = total.into();
        status["disruptionsAllowed"] = allowed.into();
        status["observedGeneration"] = generation.into();
        let (state, reason) =
            if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
        let new = json!({"type": "DisruptionAllowed", "status": state, "reason": reason, "message": "",
            "observedGeneration": generation});
        set_condition(budget, new, &now);
    });
}
