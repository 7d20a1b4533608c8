//! Roles of the cluster that gather the rules of others.

use std::time::Duration;

use super::{Controller, Key};
use crate::sim::core::Core;
use crate::sim::selector::Labels;
use crate::sim::store::Change;
use crate::sim::value::{self, items};
use crate::yaml::Value;

const STORAGE: &str = "clusterroles.rbac.authorization.k8s.io";
const MANAGER: &str = "clusterrole-aggregation-controller";

pub(super) fn controller() -> Controller {
    Controller::new(MANAGER, concerns, reconcile)
}

/// Any role may be gathered by any other: all are looked at.
fn concerns(change: &Change) -> Vec<Key> {
    if change.storage.as_ref() == STORAGE {
        vec![Key::sibling(STORAGE, "", "")]
    } else {
        Vec::new()
    }
}

fn reconcile(core: &Core, _: &Key) -> Option<Duration> {
    let roles = core.list(STORAGE, None);
    for role in &roles {
        let selectors = items(role, "/aggregationRule/clusterRoleSelectors");
        if selectors.is_empty() {
            continue;
        }
        let mut rules: Vec<Value> = Vec::new();
        for labels in selectors.iter().filter_map(Labels::from_object) {
            let others = roles.iter().filter(|other| value::name(other) != value::name(role));
            let others = others.filter(|other| labels.matches(other.pointer("/metadata/labels")));
            for rule in others.flat_map(|other| items(other, "/rules")) {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
        // One that is gone meanwhile gathers nothing.
        let _ = core.edit((STORAGE, "", value::name(role)), MANAGER, "", |role| {
            role["rules"] = rules.into();
        });
    }
    None
}
