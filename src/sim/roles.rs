//! The roles that every cluster has for people: `view`, `edit` and `admin`, which gather the rules of
//! roles with certain labels, and those that they begin with.
//!
//! Source: kubernetes 1.34 plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go.

use serde_json::json;

use crate::yaml::Value;

/// Plural names by API group.
type Kinds = &'static [(&'static str, &'static str)];

const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["create", "delete", "deletecollection", "patch", "update"];
const ALL: &[&str] =
    &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// What may be looked at: no Secrets, and not who may do what.
const SEEN: Kinds = &[
    (
        "",
        "bindings configmaps endpoints events limitranges limitranges/status namespaces \
         namespaces/status persistentvolumeclaims persistentvolumeclaims/status pods pods/log \
         pods/status replicationcontrollers replicationcontrollers/scale \
         replicationcontrollers/status resourcequotas resourcequotas/status serviceaccounts \
         services services/status",
    ),
    ("discovery.k8s.io", "endpointslices"),
    (
        "apps",
        "controllerrevisions daemonsets daemonsets/status deployments deployments/scale \
         deployments/status replicasets replicasets/scale replicasets/status statefulsets \
         statefulsets/scale statefulsets/status",
    ),
    ("autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
    ("batch", "cronjobs cronjobs/status jobs jobs/status"),
    ("policy", "poddisruptionbudgets poddisruptionbudgets/status"),
    ("networking.k8s.io", "ingresses ingresses/status networkpolicies"),
];
/// What may be changed.
const CHANGED: Kinds = &[
    (
        "",
        "configmaps events persistentvolumeclaims pods pods/attach pods/eviction pods/exec \
         pods/portforward pods/proxy replicationcontrollers replicationcontrollers/scale secrets \
         serviceaccounts serviceaccounts/token services services/proxy",
    ),
    (
        "apps",
        "daemonsets deployments deployments/rollback deployments/scale replicasets \
         replicasets/scale statefulsets statefulsets/scale",
    ),
    ("autoscaling", "horizontalpodautoscalers"),
    ("batch", "cronjobs jobs"),
    ("policy", "poddisruptionbudgets"),
    ("networking.k8s.io", "ingresses networkpolicies"),
    ("coordination.k8s.io", "leases"),
];
const SECRETS: Kinds = &[
    ("", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
    ("coordination.k8s.io", "leases"),
];
const RIGHTS: Kinds = &[("rbac.authorization.k8s.io", "rolebindings roles")];

fn rules(kinds: Kinds, verbs: &[&str]) -> Vec<Value> {
    let rule = |(group, names): &(&str, &str)| {
        let names: Vec<_> = names.split_whitespace().collect();
        json!({"apiGroups": [group], "resources": names, "verbs": verbs})
    };
    kinds.iter().map(rule).collect()
}

/// Returns the roles: names, labels, rules.
pub(crate) fn all() -> Vec<Value> {
    let label = |to: &str| format!("rbac.authorization.k8s.io/aggregate-to-{to}");
    let role = |name: &str, to: &str, rules: Vec<Value>| json!({"metadata": {"name": name, "labels": {label(to): "true"}}, "rules": rules});
    let gathers = |name: &str, mut body: Value| {
        let selector = json!({"matchLabels": {label(name): "true"}});
        body["aggregationRule"] = json!({"clusterRoleSelectors": [selector]});
        body
    };
    let acts =
        json!({"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]});
    let edits = [rules(SECRETS, READ), rules(CHANGED, WRITE), vec![acts]].concat();
    vec![
        role("system:aggregate-to-view", "view", rules(SEEN, READ)),
        role("system:aggregate-to-edit", "edit", edits),
        role("system:aggregate-to-admin", "admin", rules(RIGHTS, ALL)),
        gathers("view", role("view", "edit", Vec::new())),
        gathers("edit", role("edit", "admin", Vec::new())),
        gathers("admin", json!({"metadata": {"name": "admin"}, "rules": []})),
    ]
}
