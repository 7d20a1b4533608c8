//! Field managers: what one owns is handed to another.
//!
//! A release may be acted on by Helm's command line (manager `helm`) and by Leadsman in turn. A
//! field that both own is not removed when only one of them drops it; so the other's share is
//! folded into ours before it matters.
//!
//! Source: client-go util/csaupgrade (upgrade.go); fluxcd/pkg ssa manager (managed fields).

use serde_json::json;

use crate::api::annotation::HELM_MANAGER;
use crate::cluster::Object;
use crate::yaml::Value;

/// Returns `metadata.managedFields` with everything handed over to a manager that it is to own by
/// server-side apply: what Helm's command line owns, and what it owns itself by client-side apply.
/// There may be nothing to hand over.
pub(super) fn handed_over(live: &Object, to: &str) -> Option<Value> {
    let of_helm = folded(live, HELM_MANAGER, to);
    if to == HELM_MANAGER {
        return of_helm;
    }
    let Some(fields) = of_helm else { return folded(live, to, to) };
    let object = Object(json!({"metadata": {"managedFields": fields}}));
    let own = folded(&object, to, to);
    own.or_else(|| object.at("/metadata/managedFields").cloned())
}

/// Returns `metadata.managedFields` with everything that `from` owns folded into `into`'s apply
/// entry, or `None` if there is nothing to fold or no such entry. Where both are one, that is what
/// it owns by client-side apply; it becomes an apply entry if there is none.
fn folded(live: &Object, from: &str, into: &str) -> Option<Value> {
    let entries = live.at("/metadata/managedFields")?.as_array()?;
    let field = |entry: &Value, name: &str| -> String {
        entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let is_other = |entry: &&Value| {
        field(entry, "manager") == from
            && field(entry, "subresource").is_empty()
            && !(from == into && field(entry, "operation") == "Apply")
    };
    let (others, mut kept): (Vec<&Value>, Vec<&Value>) = entries.iter().partition(is_other);
    let ours = kept
        .iter()
        .position(|entry| field(entry, "manager") == into && field(entry, "operation") == "Apply");
    let mut own = match ours {
        Some(ours) => kept.remove(ours).clone(),
        // What Helm 3 made: from now on it is applied by the server.
        None if from == into => {
            let mut own = (*others.first()?).clone();
            own["operation"] = "Apply".into();
            own
        }
        None => return None,
    };
    // Field sets of another version of the kind mean other fields: they stay where they are.
    let fits = |entry: &&&Value| field(entry, "apiVersion") == field(&own, "apiVersion");
    let fitting: Vec<&Value> = others.iter().filter(fits).copied().collect();
    if fitting.is_empty() || fitting.len() != others.len() {
        return None;
    }
    for entry in fitting {
        unite(own.get_mut("fieldsV1")?, entry.get("fieldsV1")?);
    }
    let mut all: Vec<Value> = kept.into_iter().cloned().collect();
    all.push(own);
    Some(Value::Array(all))
}

/// Adds one tree of fields to another.
fn unite(tree: &mut Value, more: &Value) {
    let (Some(tree), Some(more)) = (tree.as_object_mut(), more.as_object()) else { return };
    for (key, below) in more {
        match tree.get_mut(key) {
            Some(known) => unite(known, below),
            None => {
                tree.insert(key.clone(), below.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_owned_by_client_side_apply_is_handed_over_too() {
        let entry = |manager: &str, operation: &str, field: &str| json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": {field: {}}});
        let object = |entries: &[Value]| Object(json!({"metadata": {"managedFields": entries}}));
        let mut all = entry("hc", "Apply", "f:a");
        all["fieldsV1"] = json!({"f:a": {}, "f:b": {}});
        let rows = [
            (vec![entry("hc", "Update", "f:a")], Some(vec![entry("hc", "Apply", "f:a")])),
            (
                vec![entry("hc", "Update", "f:b"), entry("hc", "Apply", "f:a")],
                Some(vec![all.clone()]),
            ),
            (vec![entry("helm", "Update", "f:b"), entry("hc", "Apply", "f:a")], Some(vec![all])),
            (vec![entry("hc", "Apply", "f:a"), entry("x", "Update", "f:a")], None),
        ];
        for (entries, want) in rows {
            assert_eq!(handed_over(&object(&entries), "hc"), want.map(Value::from), "{entries:?}");
        }
    }

    #[test]
    fn shares_of_the_other_manager_become_ours() {
        let entry = |manager: &str, operation: &str, version: &str, fields: Value| json!({"manager": manager, "operation": operation, "apiVersion": version, "fieldsV1": fields});
        let ours = entry("hc", "Apply", "v1", json!({"f:data": {"f:a": {}}}));
        let theirs = entry("helm", "Apply", "v1", json!({"f:data": {"f:b": {}}, "f:x": {}}));
        let old = entry("helm", "Update", "v1", json!({"f:y": {}}));
        let user = entry("kubectl", "Update", "v1", json!({"f:z": {}}));
        let mut status = entry("helm", "Update", "v1", json!({"f:status": {}}));
        status["subresource"] = "status".into();
        let both = entry(
            "hc",
            "Apply",
            "v1",
            json!({"f:data": {"f:a": {}, "f:b": {}}, "f:x": {}, "f:y": {}}),
        );
        let other_version = entry("helm", "Apply", "v2", json!({"f:q": {}}));
        let rows = [
            ("folded", vec![&ours, &theirs, &user, &old], Some(vec![&user, &both])),
            ("nothing of theirs", vec![&ours, &user], None),
            ("nothing of ours", vec![&theirs, &user], None),
            ("only a subresource", vec![&ours, &status], None),
            ("another version", vec![&ours, &other_version], None),
        ];
        for (name, entries, want) in rows {
            let live = Object(json!({"metadata": {"managedFields": entries}}));
            assert_eq!(folded(&live, "helm", "hc"), want.map(|want| json!(want)), "{name}");
        }
        let live = Object(json!({"metadata": {"managedFields": [theirs]}}));
        assert_eq!(folded(&live, "helm", "helm"), None);
        // By the older method, and by both.
        let applied = entry("helm", "Apply", "v1", json!({"f:y": {}}));
        let all =
            entry("helm", "Apply", "v1", json!({"f:data": {"f:b": {}}, "f:x": {}, "f:y": {}}));
        for (entries, want) in
            [(vec![&user, &old], vec![&user, &applied]), (vec![&old, &theirs], vec![&all])]
        {
            let live = Object(json!({"metadata": {"managedFields": entries}}));
            assert_eq!(folded(&live, "helm", "helm"), Some(json!(want)));
        }
    }
}
