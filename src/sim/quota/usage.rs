//! What an object uses of a quota: itself, and what it asks for. Pure.
//!
//! Source: kubernetes 1.34 pkg/quota/v1/evaluator/core (services.go, persistent_volume_claims.go,
//! registry.go), pkg/quota/v1/resources.go.

use std::collections::BTreeMap;

use super::pod;
use crate::base::quantity::Quantity;
use crate::sim::value::{items, text};
use crate::yaml::Value;

/// Amounts of resources, by their names in a quota.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Usage(BTreeMap<String, Quantity>);

/// Kinds that a quota counts by their plural alone.
const COUNTED: [&str; 7] = [
    "pods",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
];

impl Usage {
    /// Reads the amounts at a pointer.
    pub(super) fn read(object: &Value, pointer: &str) -> Self {
        object.pointer(pointer).map(Self::from_value).unwrap_or_default()
    }

    /// Reads amounts.
    pub(super) fn from_value(value: &Value) -> Self {
        let map = value.as_object().into_iter().flatten();
        Self(map.map(|(name, amount)| (name.clone(), Quantity::of(amount))).collect())
    }

    /// Returns the amounts as a status shows them.
    pub(super) fn to_value(&self) -> Value {
        let shown = self.0.iter().map(|(name, amount)| (name.clone(), amount.to_string().into()));
        Value::Object(shown.collect())
    }

    /// Returns an amount; nothing where it is not named.
    pub(super) fn get(&self, name: &str) -> Quantity {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// Adds to an amount.
    pub(super) fn add(&mut self, name: impl Into<String>, amount: Quantity) {
        let here = self.0.entry(name.into()).or_default();
        *here = here.plus(amount);
    }

    /// Raises an amount to another, where that is more.
    pub(super) fn raise(&mut self, name: &str, amount: Quantity) {
        let here = self.0.entry(name.to_owned()).or_default();
        *here = (*here).max(amount);
    }

    /// Sets an amount.
    pub(super) fn replace(&mut self, name: &str, amount: Quantity) {
        self.0.insert(name.to_owned(), amount);
    }

    /// Whether a resource is named.
    pub(super) fn names(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Returns names and amounts, in order of names.
    pub(super) fn each(&self) -> impl Iterator<Item = (&str, Quantity)> {
        self.0.iter().map(|(name, amount)| (name.as_str(), *amount))
    }

    /// Returns the sum.
    pub(super) fn plus(&self, other: &Self) -> Self {
        let mut sum = self.clone();
        other.0.iter().for_each(|(name, amount)| sum.add(name.as_str(), *amount));
        sum
    }

    /// Takes what another uses away.
    pub(super) fn subtract(&mut self, other: &Self) {
        other.0.iter().for_each(|(name, amount)| self.add(name.as_str(), amount.negative()));
    }

    /// Returns the amounts that another names as well.
    pub(super) fn only(&self, other: &Self) -> Self {
        let mut own = self.clone();
        own.retain(|name| other.0.contains_key(name));
        own
    }

    /// Returns what another says of the resources named here; nothing where it says nothing.
    pub(super) fn same_keys(&self, other: &Self) -> Self {
        Self(self.0.keys().map(|name| (name.clone(), other.get(name))).collect())
    }

    /// Keeps some resources.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.0.retain(|name, _| keep(name));
    }

    /// Keeps what is more than nothing.
    pub(super) fn retain_positive(&mut self) {
        self.0.retain(|_, amount| amount.is_positive());
    }

    /// Whether nothing grows or shrinks by it.
    pub(super) fn is_nothing(&self) -> bool {
        self.0.values().all(|amount| *amount == Quantity::default())
    }

    /// Returns the names that hold a condition, in order.
    pub(super) fn keys_where(&self, mut holds: impl FnMut(&str) -> bool) -> Vec<&str> {
        self.0.keys().map(String::as_str).filter(|name| holds(name)).collect()
    }

    /// Returns amounts as refusals tell them: `pods=1,requests.cpu=100m`.
    pub(super) fn told(&self, names: &[&str]) -> String {
        let told: Vec<_> = names.iter().map(|name| format!("{name}={}", self.get(name))).collect();
        told.join(",")
    }
}

/// Returns the name by which a quota counts objects of a collection.
fn count(storage: &str) -> String {
    format!("count/{storage}")
}

const STORED: &str = "requests.storage";

/// Whether a change of an object may use more than before.
pub(super) fn may_grow(storage: &str) -> bool {
    ["services", "persistentvolumeclaims"].contains(&storage)
}

/// Returns what an object uses.
pub(super) fn of(storage: &str, object: &Value) -> Usage {
    let mut usage = Usage::default();
    usage.add(count(storage), Quantity::whole(1));
    match storage {
        "pods" => pod::add(object, &mut usage),
        "services" => service(object, &mut usage),
        "persistentvolumeclaims" => claim(object, &mut usage),
        _ if COUNTED.contains(&storage) => usage.add(storage, Quantity::whole(1)),
        _ => {}
    }
    usage
}

fn service(object: &Value, usage: &mut Usage) {
    usage.add("services", Quantity::whole(1));
    let ports = items(object, "/spec/ports");
    let mut balanced = false;
    let opened = match text(object, "/spec/type") {
        "NodePort" => ports.len(),
        "LoadBalancer" => {
            balanced = true;
            if object.pointer("/spec/allocateLoadBalancerNodePorts") == Some(&Value::Bool(false)) {
                ports.iter().filter(|port| port.get("nodePort").is_some()).count()
            } else {
                ports.len()
            }
        }
        _ => 0,
    };
    usage.add("services.nodeports", Quantity::whole(opened));
    usage.add("services.loadbalancers", Quantity::whole(usize::from(balanced)));
}

fn claim(object: &Value, usage: &mut Usage) {
    let size = object.pointer("/spec/resources/requests/storage").map(Quantity::of);
    let size = size.unwrap_or_default();
    usage.add("persistentvolumeclaims", Quantity::whole(1));
    usage.add(STORED, size);
    let class = text(object, "/spec/storageClassName");
    if !class.is_empty() {
        let of_class = |name: &str| format!("{class}.storageclass.storage.k8s.io/{name}");
        usage.add(of_class("persistentvolumeclaims"), Quantity::whole(1));
        usage.add(of_class(STORED), size);
    }
}
