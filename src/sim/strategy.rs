//! What each kind's strategy does before an object is stored: first status, allocated addresses,
//! labels of Jobs, which branch a write may change, and when a deleted object may vanish.

use serde_json::{Value as Json, json};

use super::custom::{self, Custom};
use super::resource::Resource;
use super::status::ApiError;
use super::store::Store;
use super::value::{self, at, default, items, set, text, unset};
use crate::yaml::Value;

/// Returns the status with which objects of a collection begin.
fn first_status(storage: &str) -> Option<Json> {
    Some(match storage {
        "deployments.apps" | "jobs.batch" | "cronjobs.batch" | "resourcequotas" => json!({}),
        "replicasets.apps" | "replicationcontrollers" => json!({"replicas": 0}),
        "statefulsets.apps" => json!({"replicas": 0, "availableReplicas": 0}),
        "daemonsets.apps" => json!({"currentNumberScheduled": 0, "numberMisscheduled": 0,
            "desiredNumberScheduled": 0, "numberReady": 0}),
        "services" | "ingresses.networking.k8s.io" => json!({"loadBalancer": {}}),
        "persistentvolumeclaims" | "persistentvolumes" => json!({"phase": "Pending"}),
        "namespaces" => json!({"phase": "Active"}),
        "horizontalpodautoscalers.autoscaling" => {
            json!({"currentMetrics": null, "desiredReplicas": 0})
        }
        "poddisruptionbudgets.policy" => json!({"currentHealthy": 0, "desiredHealthy": 0,
            "disruptionsAllowed": 0, "expectedPods": 0}),
        "customresourcedefinitions.apiextensions.k8s.io" => json!({"conditions": null,
            "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": []}),
        _ => return None,
    })
}

/// Sets what a strategy sets on creation.
pub(crate) fn prepare_create(store: &mut Store, resource: &Resource, object: &mut Value) {
    if resource.storage.as_ref() == "events" {
        // Written though empty, and nobody's.
        default(object, "reportingComponent", "");
        default(object, "reportingInstance", "");
    }
    if resource.has_status() && resource.storage.as_ref() != "nodes" {
        unset(object, &["status"]);
    }
    if let Some(status) = first_status(&resource.storage) {
        object["status"] = status;
    }
    if let Some(custom) = &resource.custom {
        custom::default(object, &custom.schema);
    }
    match resource.storage.as_ref() {
        "services" => allocate(store, None, object),
        "jobs.batch" => label_job(object),
        "pods" => prepare_pod(object),
        "namespaces" => set(object, &["spec", "finalizers"], json!(["kubernetes"])),
        "persistentvolumeclaims" => add_finalizer(object, "kubernetes.io/pvc-protection"),
        "customresourcedefinitions.apiextensions.k8s.io" => {
            let stored =
                items(object, "/spec/versions").iter().filter(|v| value::flag(v, "/storage"));
            let stored: Vec<_> = stored.map(|version| text(version, "/name")).collect();
            object["status"]["storedVersions"] = json!(stored);
        }
        _ => {}
    }
}

/// Adds a finalizer unless it is there.
pub(crate) fn add_finalizer(object: &mut Value, finalizer: &str) {
    let list = at(object, &["metadata", "finalizers"]);
    let mut all = list.as_array().cloned().unwrap_or_default();
    if !all.iter().any(|one| one == finalizer) {
        all.push(finalizer.into());
    }
    *list = Value::Array(all);
}

/// Restricts an update to the branches that its endpoint writes, and keeps what was allocated.
pub(crate) fn prepare_update(
    store: &mut Store,
    resource: &Resource,
    live: &Value,
    object: &mut Value,
    subresource: &str,
) {
    match subresource {
        "" if resource.has_status() => match live.get("status") {
            Some(status) => object["status"] = status.clone(),
            None => {
                unset(object, &["status"]);
            }
        },
        "status" => {
            let status = object.get("status").cloned();
            let fields = object.pointer("/metadata/managedFields").cloned();
            let finalizers = object.pointer("/metadata/finalizers").cloned();
            let annotations = object.pointer("/metadata/annotations").cloned();
            *object = live.clone();
            match status {
                Some(status) => object["status"] = status,
                None => {
                    unset(object, &["status"]);
                }
            }
            if let Some(fields) = fields {
                set(object, &["metadata", "managedFields"], fields);
            }
            // Deployments tell their revision through this door.
            if resource.storage.as_ref() == "deployments.apps" {
                match annotations {
                    Some(annotations) => set(object, &["metadata", "annotations"], annotations),
                    None => {
                        unset(object, &["metadata", "annotations"]);
                    }
                }
            }
            // Namespaces and Nodes take metadata through this door, the others do not.
            if ["namespaces", "nodes"].contains(&resource.storage.as_ref())
                && let Some(finalizers) = finalizers
            {
                set(object, &["metadata", "finalizers"], finalizers);
            }
        }
        _ => {}
    }
    if subresource.is_empty() {
        match resource.storage.as_ref() {
            "services" => allocate(store, Some(live), object),
            "jobs.batch" => keep_job_labels(live, object),
            "daemonsets.apps" => count_template(live, object),
            "namespaces" => {
                let kept = live.pointer("/spec/finalizers").cloned().unwrap_or_default();
                set(object, &["spec", "finalizers"], kept);
            }
            "persistentvolumeclaims" => keep_if_absent(live, object, &["spec", "volumeName"]),
            _ => {}
        }
    }
}

/// A DaemonSet counts its templates in an annotation.
fn count_template(live: &Value, object: &mut Value) {
    const COUNT: &str = "deprecated.daemonset.template.generation";
    let count = value::annotation(live, COUNT).parse::<u64>().unwrap_or_default();
    let changed = live.pointer("/spec/template") != object.pointer("/spec/template");
    let count = count + u64::from(changed);
    at(object, &["metadata", "annotations"])[COUNT] = count.to_string().into();
}

fn keep_if_absent(live: &Value, object: &mut Value, path: &[&str]) {
    let pointer = format!("/{}", path.join("/"));
    if let Some(kept) = live.pointer(&pointer)
        && object.pointer(&pointer).is_none()
    {
        set(object, path, kept.clone());
    }
}

/// Gives a Service its cluster address and node ports, or keeps those that it has.
fn allocate(store: &mut Store, live: Option<&Value>, object: &mut Value) {
    let kind = text(object, "/spec/type").to_owned();
    let spec = at(object, &["spec"]);
    if kind == "ExternalName" {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            unset(spec, &[field]);
        }
        return;
    }
    let kept = live.map_or("", |live| text(live, "/spec/clusterIP"));
    let given = text(spec, "/clusterIP");
    let address = match (given, kept) {
        ("", "") => store.allocate_address(),
        ("", kept) => kept.to_owned(),
        (given, _) => given.to_owned(),
    };
    if spec.get("clusterIPs").is_none_or(|list| items(list, "").is_empty()) {
        spec["clusterIPs"] = json!([address]);
    }
    spec["clusterIP"] = address.into();
    // Without a selector nobody knows what the addresses will be.
    let open = text(spec, "/clusterIP") == "None" && spec.get("selector").is_none();
    let families = if open { json!(["IPv4", "IPv6"]) } else { json!(["IPv4"]) };
    default(spec, "ipFamilies", families);
    default(spec, "ipFamilyPolicy", if open { "RequireDualStack" } else { "SingleStack" });
    if kind == "NodePort" || kind == "LoadBalancer" {
        let kept: Vec<_> = live.map_or(&[][..], |live| items(live, "/spec/ports")).to_vec();
        for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
            let same = |one: &&Value| {
                one.get("port") == port.get("port") && one.get("protocol") == port.get("protocol")
            };
            let old = kept.iter().find(same).and_then(|one| value::int(one, "/nodePort"));
            default(port, "nodePort", old.unwrap_or_else(|| rand::random_range(30000..32768)));
        }
    }
}

const JOB_LABELS: [&str; 4] = [
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
    "controller-uid",
    "job-name",
];

/// Gives a Job its generated selector and labels.
fn label_job(object: &mut Value) {
    let (uid, name) = (value::uid(object).to_owned(), value::name(object).to_owned());
    if !value::flag(object, "/spec/manualSelector") {
        let labels = at(object, &["spec", "template", "metadata", "labels"]);
        for label in JOB_LABELS {
            let text = if label.ends_with("uid") { &uid } else { &name };
            labels[label] = text.as_str().into();
        }
        let selector = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}});
        set(object, &["spec", "selector"], selector);
    }
    let labels = object.pointer("/spec/template/metadata/labels").cloned().unwrap_or_default();
    if object.pointer("/metadata/labels").is_none_or(value::is_empty) {
        set(object, &["metadata", "labels"], labels);
    }
}

/// What was generated stays when a client sends its own manifest again.
fn keep_job_labels(live: &Value, object: &mut Value) {
    keep_if_absent(live, object, &["spec", "selector"]);
    if value::flag(live, "/spec/manualSelector") {
        return;
    }
    for label in JOB_LABELS {
        let kept =
            live.pointer("/spec/template/metadata/labels").and_then(|map| map.get(label)).cloned();
        if let Some(kept) = kept {
            default(at(object, &["spec", "template", "metadata", "labels"]), label, kept);
        }
    }
}

fn prepare_pod(object: &mut Value) {
    let class = quality(object);
    object["status"] = json!({"phase": "Pending", "qosClass": class});
    let spec = at(object, &["spec"]);
    default(spec, "priority", 0);
    default(spec, "preemptionPolicy", "PreemptLowerPriority");
    let mut tolerations = items(spec, "/tolerations").to_vec();
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        if !tolerations.iter().any(|one| text(one, "/key") == key || one.get("key").is_none()) {
            tolerations.push(json!({"key": key, "operator": "Exists", "effect": "NoExecute",
                "tolerationSeconds": 300}));
        }
    }
    spec["tolerations"] = tolerations.into();
}

/// Source: kubernetes 1.34 pkg/apis/core/v1/helper/qos/qos.go.
pub(crate) fn quality(pod: &Value) -> &'static str {
    let containers =
        items(pod, "/spec/containers").iter().chain(items(pod, "/spec/initContainers"));
    let (mut any, mut guaranteed) = (false, true);
    for container in containers {
        let part = |kind: &str, name: &str| {
            container.pointer(&format!("/resources/{kind}/{name}")).cloned()
        };
        for name in ["cpu", "memory"] {
            let (request, limit) = (part("requests", name), part("limits", name));
            any |= request.is_some() || limit.is_some();
            guaranteed &= limit.is_some() && request.is_none_or(|request| Some(request) == limit);
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// Returns whether something outside metadata and status differs.
pub(crate) fn spec_differs(resource: &Resource, live: &Value, object: &Value) -> bool {
    // A Deployment's annotations go on to its ReplicaSets.
    let annotations = "/metadata/annotations";
    if resource.storage.as_ref() == "deployments.apps"
        && live.pointer(annotations) != object.pointer(annotations)
    {
        return true;
    }
    let (Some(live), Some(object)) = (live.as_object(), object.as_object()) else { return false };
    let outside =
        |key: &&String| !["metadata", "status", "apiVersion", "kind"].contains(&key.as_str());
    let differs = |key: &String| live.get(key) != object.get(key);
    live.keys().chain(object.keys()).filter(outside).any(differs)
}

/// Returns whether a deleted object without finalizers may go at once.
pub(crate) fn may_vanish(resource: &Resource, object: &Value) -> bool {
    match resource.storage.as_ref() {
        "namespaces" => items(object, "/spec/finalizers").is_empty(),
        "pods" => {
            value::int(object, "/metadata/deletionGracePeriodSeconds").unwrap_or_default() == 0
        }
        _ => true,
    }
}

/// Gives a Pod the priority of its class, or of the one that is for all that name none.
///
/// Source: kubernetes 1.34 plugin/pkg/admission/priority/admission.go.
pub(crate) fn set_priority(
    store: &Store,
    resource: &Resource,
    object: &mut Value,
) -> Result<(), ApiError> {
    if resource.storage.as_ref() != "pods" {
        return Ok(());
    }
    const CLASSES: &str = "priorityclasses.scheduling.k8s.io";
    let class = match text(object, "/spec/priorityClassName") {
        "" => {
            let mut classes = store.list(CLASSES, None).map(|(_, class)| class);
            classes.find(|class| value::flag(class, "/globalDefault"))
        }
        wanted => Some(store.get(CLASSES, "", wanted).ok_or_else(|| {
            let why = format!("no PriorityClass with name {wanted} was found");
            ApiError::forbidden(resource, value::name(object), &why)
        })?),
    };
    let Some(class) = class.cloned() else { return Ok(()) };
    set(object, &["spec", "priorityClassName"], value::name(&class));
    set(object, &["spec", "priority"], class["value"].clone());
    let policy = text(&class, "/preemptionPolicy");
    let policy = if policy.is_empty() { "PreemptLowerPriority" } else { policy };
    set(object, &["spec", "preemptionPolicy"], policy);
    Ok(())
}

/// Refuses new custom resources while their CRD is on its way out.
pub(crate) fn check_crd_accepts(
    store: &Store,
    resource: &Resource,
    custom: &Custom,
    name: &str,
) -> Result<(), ApiError> {
    let crd = store.get("customresourcedefinitions.apiextensions.k8s.io", "", &custom.crd);
    if crd.is_some_and(|crd| value::deleting(crd)) {
        let why = "create not allowed while custom resource definition is terminating";
        return Err(ApiError::forbidden(resource, name, why));
    }
    Ok(())
}
