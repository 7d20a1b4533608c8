//! What the server fills in: defaults of built-in kinds.
//!
//! Source: kubernetes 1.34 pkg/apis/*/v1/defaults.go.

use serde_json::json;

use super::limits;
use super::value::{annotation, at, default, int, is_empty, text};
use crate::yaml::Value;

/// Fills in the defaults of a kind, by its collection.
pub(crate) fn fill(storage: &str, object: &mut Value) {
    match storage {
        "deployments.apps" => deployment(object),
        "replicasets.apps" => replica_set(object),
        "statefulsets.apps" => stateful_set(object),
        "daemonsets.apps" => daemon_set(object),
        "jobs.batch" => job(at(object, &["spec"])),
        "cronjobs.batch" => cron_job(at(object, &["spec"])),
        "pods" => pod(object),
        "services" => service(at(object, &["spec"])),
        "secrets" => secret(object),
        "events" => event(object),
        "limitranges" => limits::default(object),
        "namespaces" => namespace(object),
        "persistentvolumeclaims" => default(at(object, &["spec"]), "volumeMode", "Filesystem"),
        "persistentvolumes" => {
            default(at(object, &["spec"]), "volumeMode", "Filesystem");
            default(at(object, &["spec"]), "persistentVolumeReclaimPolicy", "Retain");
        }
        "storageclasses.storage.k8s.io" => {
            default(object, "reclaimPolicy", "Delete");
            default(object, "volumeBindingMode", "Immediate");
        }
        "horizontalpodautoscalers.autoscaling" => scaler(at(object, &["spec"])),
        "networkpolicies.networking.k8s.io" => network_policy(at(object, &["spec"])),
        "rolebindings.rbac.authorization.k8s.io"
        | "clusterrolebindings.rbac.authorization.k8s.io" => {
            binding(object);
        }
        "validatingwebhookconfigurations.admissionregistration.k8s.io" => webhooks(object, false),
        "mutatingwebhookconfigurations.admissionregistration.k8s.io" => webhooks(object, true),
        "priorityclasses.scheduling.k8s.io" => {
            default(object, "preemptionPolicy", "PreemptLowerPriority");
        }
        "customresourcedefinitions.apiextensions.k8s.io" => crd(object),
        "ingresses.networking.k8s.io" | "poddisruptionbudgets.policy" => {}
        _ => {}
    }
}

fn each<'v>(value: &'v mut Value, key: &str) -> impl Iterator<Item = &'v mut Value> + use<'v> {
    value.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Labels of the template become the object's when it has none.
fn labels_from_template(object: &mut Value) {
    let labels = object.pointer("/spec/template/metadata/labels").cloned();
    if let Some(labels) = labels.filter(|labels| !is_empty(labels))
        && object.pointer("/metadata/labels").is_none_or(is_empty)
    {
        at(object, &["metadata"])["labels"] = labels;
    }
}

fn deployment(object: &mut Value) {
    let spec = at(object, &["spec"]);
    default(spec, "replicas", 1);
    default(spec, "revisionHistoryLimit", 10);
    default(spec, "progressDeadlineSeconds", 600);
    let strategy = at(spec, &["strategy"]);
    default(strategy, "type", "RollingUpdate");
    if text(strategy, "/type") == "RollingUpdate" {
        let rolling = at(strategy, &["rollingUpdate"]);
        default(rolling, "maxSurge", "25%");
        default(rolling, "maxUnavailable", "25%");
    }
    pod_spec(at(spec, &["template", "spec"]));
}

fn replica_set(object: &mut Value) {
    labels_from_template(object);
    let spec = at(object, &["spec"]);
    default(spec, "replicas", 1);
    if spec.get("template").is_some() {
        pod_spec(at(spec, &["template", "spec"]));
    }
}

fn stateful_set(object: &mut Value) {
    let spec = at(object, &["spec"]);
    default(spec, "replicas", 1);
    default(spec, "revisionHistoryLimit", 10);
    default(spec, "podManagementPolicy", "OrderedReady");
    let update = at(spec, &["updateStrategy"]);
    default(update, "type", "RollingUpdate");
    if text(update, "/type") == "RollingUpdate" {
        let rolling = at(update, &["rollingUpdate"]);
        default(rolling, "partition", 0);
    }
    let retention = at(spec, &["persistentVolumeClaimRetentionPolicy"]);
    default(retention, "whenDeleted", "Retain");
    default(retention, "whenScaled", "Retain");
    for claim in each(spec, "volumeClaimTemplates") {
        default(claim, "apiVersion", "v1");
        default(claim, "kind", "PersistentVolumeClaim");
        default(at(claim, &["spec"]), "volumeMode", "Filesystem");
        default(claim, "status", json!({"phase": "Pending"}));
    }
    pod_spec(at(spec, &["template", "spec"]));
}

fn daemon_set(object: &mut Value) {
    if annotation(object, "deprecated.daemonset.template.generation").is_empty() {
        at(object, &["metadata", "annotations"])["deprecated.daemonset.template.generation"] =
            "1".into();
    }
    let spec = at(object, &["spec"]);
    default(spec, "revisionHistoryLimit", 10);
    let update = at(spec, &["updateStrategy"]);
    default(update, "type", "RollingUpdate");
    if text(update, "/type") == "RollingUpdate" {
        let rolling = at(update, &["rollingUpdate"]);
        default(rolling, "maxSurge", 0);
        default(rolling, "maxUnavailable", 1);
    }
    pod_spec(at(spec, &["template", "spec"]));
}

fn job(spec: &mut Value) {
    default(spec, "backoffLimit", 6);
    default(spec, "completionMode", "NonIndexed");
    if spec.get("completions").is_none() && spec.get("parallelism").is_none() {
        default(spec, "completions", 1);
    }
    default(spec, "parallelism", 1);
    default(spec, "manualSelector", false);
    default(spec, "podReplacementPolicy", "TerminatingOrFailed");
    default(spec, "suspend", false);
    pod_spec(at(spec, &["template", "spec"]));
}

/// What Go writes though it is empty.
fn event(object: &mut Value) {
    for field in ["eventTime", "firstTimestamp", "lastTimestamp"] {
        default(object, field, Value::Null);
    }
    default(object, "source", Value::Object(serde_json::Map::new()));
}

fn cron_job(spec: &mut Value) {
    default(spec, "concurrencyPolicy", "Allow");
    default(spec, "suspend", false);
    default(spec, "successfulJobsHistoryLimit", 3);
    default(spec, "failedJobsHistoryLimit", 1);
    let empty = || Value::Object(serde_json::Map::new());
    default(at(spec, &["jobTemplate"]), "metadata", empty());
    if spec.pointer("/jobTemplate/spec/template").is_some() {
        default(at(spec, &["jobTemplate", "spec", "template"]), "metadata", empty());
        pod_spec(at(spec, &["jobTemplate", "spec", "template", "spec"]));
    }
}

fn pod(object: &mut Value) {
    let spec = at(object, &["spec"]);
    pod_spec(spec);
    default(spec, "enableServiceLinks", true);
    // Limits without requests are requests too, but only of Pods, not of templates.
    for list in ["containers", "initContainers"] {
        for container in each(spec, list) {
            let limits = container.pointer("/resources/limits").cloned();
            for (name, limit) in limits.as_ref().and_then(Value::as_object).into_iter().flatten() {
                default(at(container, &["resources", "requests"]), name, limit.clone());
            }
        }
    }
}

fn pod_spec(spec: &mut Value) {
    default(spec, "dnsPolicy", "ClusterFirst");
    default(spec, "restartPolicy", "Always");
    default(spec, "schedulerName", "default-scheduler");
    default(spec, "securityContext", json!({}));
    default(spec, "terminationGracePeriodSeconds", 30);
    let account = text(spec, "/serviceAccountName").to_owned();
    if account.is_empty() {
        let old = text(spec, "/serviceAccount").to_owned();
        if !old.is_empty() {
            default(spec, "serviceAccountName", old);
        }
    } else {
        spec["serviceAccount"] = account.into();
    }
    let host = spec.get("hostNetwork") == Some(&Value::Bool(true));
    for list in ["containers", "initContainers"] {
        for one in each(spec, list) {
            container(one, host);
        }
    }
    for one in each(spec, "volumes") {
        volume(one);
    }
}

fn container(container: &mut Value, host_network: bool) {
    let image = text(container, "/image");
    let last = image.rsplit('/').next().unwrap_or_default();
    let latest =
        !image.contains('@') && last.split_once(':').is_none_or(|(_, tag)| tag == "latest");
    default(container, "imagePullPolicy", if latest { "Always" } else { "IfNotPresent" });
    default(container, "resources", json!({}));
    default(container, "terminationMessagePath", "/dev/termination-log");
    default(container, "terminationMessagePolicy", "File");
    for port in each(container, "ports") {
        default(port, "protocol", "TCP");
        if host_network && let Some(number) = int(port, "/containerPort") {
            default(port, "hostPort", number);
        }
    }
    for variable in each(container, "env") {
        if variable.pointer("/valueFrom/fieldRef").is_some() {
            default(at(variable, &["valueFrom", "fieldRef"]), "apiVersion", "v1");
        }
        if variable.pointer("/valueFrom/resourceFieldRef").is_some() {
            default(at(variable, &["valueFrom", "resourceFieldRef"]), "divisor", "0");
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if container.get(probe).is_some_and(Value::is_object) {
            let probe = at(container, &[probe]);
            for (key, value) in [
                ("timeoutSeconds", 1),
                ("periodSeconds", 10),
                ("successThreshold", 1),
                ("failureThreshold", 3),
            ] {
                default(probe, key, value);
            }
            http_get(probe);
            if let Some(grpc) = probe.get_mut("grpc") {
                default(grpc, "service", "");
            }
        }
    }
    for hook in ["postStart", "preStop"] {
        if let Some(hook) =
            container.get_mut("lifecycle").and_then(|lifecycle| lifecycle.get_mut(hook))
        {
            http_get(hook);
        }
    }
}

fn http_get(action: &mut Value) {
    if let Some(get) = action.get_mut("httpGet") {
        default(get, "path", "/");
        default(get, "scheme", "HTTP");
    }
}

fn volume(volume: &mut Value) {
    let named = volume.as_object().is_some_and(|map| map.len() > 1);
    if !named {
        default(volume, "emptyDir", json!({}));
    }
    for source in ["configMap", "secret", "downwardAPI", "projected"] {
        if let Some(source) = volume.get_mut(source) {
            default(source, "defaultMode", 420);
        }
    }
    if let Some(host) = volume.get_mut("hostPath") {
        default(host, "type", "");
    }
    let projected = volume.get_mut("projected");
    for source in projected.into_iter().flat_map(|projected| each(projected, "sources")) {
        if let Some(token) = source.get_mut("serviceAccountToken") {
            default(token, "expirationSeconds", 3600);
        }
        field_refs(source);
    }
    field_refs(volume);
}

fn field_refs(source: &mut Value) {
    let downward = source.get_mut("downwardAPI");
    for item in downward.into_iter().flat_map(|downward| each(downward, "items")) {
        if let Some(reference) = item.get_mut("fieldRef") {
            default(reference, "apiVersion", "v1");
        }
    }
}

fn service(spec: &mut Value) {
    default(spec, "type", "ClusterIP");
    default(spec, "sessionAffinity", "None");
    if text(spec, "/sessionAffinity") == "ClientIP" {
        default(at(spec, &["sessionAffinityConfig", "clientIP"]), "timeoutSeconds", 10800);
    }
    let kind = text(spec, "/type").to_owned();
    if kind != "ExternalName" {
        default(spec, "internalTrafficPolicy", "Cluster");
    }
    if kind == "NodePort" || kind == "LoadBalancer" {
        default(spec, "externalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        default(spec, "allocateLoadBalancerNodePorts", true);
    }
    for port in each(spec, "ports") {
        default(port, "protocol", "TCP");
        let number = port.get("port").cloned().unwrap_or_default();
        let target = port.get("targetPort");
        if target.is_none_or(|t| t.is_null() || t.as_i64() == Some(0) || t.as_str() == Some("")) {
            port["targetPort"] = number;
        }
    }
}

fn secret(object: &mut Value) {
    use base64::Engine as _;
    default(object, "type", "Opaque");
    let plain = object.as_object_mut().and_then(|map| map.remove("stringData"));
    for (key, value) in plain.as_ref().and_then(Value::as_object).into_iter().flatten() {
        let encoded =
            base64::engine::general_purpose::STANDARD.encode(value.as_str().unwrap_or_default());
        at(object, &["data"])[key] = encoded.into();
    }
}

fn namespace(object: &mut Value) {
    let name = text(object, "/metadata/name").to_owned();
    if !name.is_empty() {
        at(object, &["metadata", "labels"])["kubernetes.io/metadata.name"] = name.into();
    }
}

fn scaler(spec: &mut Value) {
    default(spec, "minReplicas", 1);
    if spec.get("metrics").is_none_or(is_empty) {
        let target = json!({"type": "Utilization", "averageUtilization": 80});
        spec["metrics"] =
            json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}]);
    }
}

fn network_policy(spec: &mut Value) {
    default(spec, "podSelector", json!({}));
    if spec.get("policyTypes").is_none_or(is_empty) {
        let egress = spec.get("egress").is_some();
        spec["policyTypes"] =
            if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
    }
    for rules in ["ingress", "egress"] {
        for rule in each(spec, rules) {
            for port in each(rule, "ports") {
                default(port, "protocol", "TCP");
            }
        }
    }
}

fn binding(object: &mut Value) {
    if object.get("roleRef").is_some() {
        default(at(object, &["roleRef"]), "apiGroup", "rbac.authorization.k8s.io");
    }
    for subject in each(object, "subjects") {
        if ["User", "Group"].contains(&text(subject, "/kind")) {
            default(subject, "apiGroup", "rbac.authorization.k8s.io");
        }
    }
}

fn webhooks(object: &mut Value, mutating: bool) {
    for hook in each(object, "webhooks") {
        default(hook, "failurePolicy", "Fail");
        default(hook, "matchPolicy", "Equivalent");
        default(hook, "namespaceSelector", json!({}));
        default(hook, "objectSelector", json!({}));
        default(hook, "timeoutSeconds", 10);
        if mutating {
            default(hook, "reinvocationPolicy", "Never");
        }
        if let Some(service) =
            hook.get_mut("clientConfig").and_then(|config| config.get_mut("service"))
        {
            default(service, "port", 443);
        }
        for rule in each(hook, "rules") {
            default(rule, "scope", "*");
        }
    }
}

fn crd(object: &mut Value) {
    let kind = text(object, "/spec/names/kind").to_owned();
    let names = at(object, &["spec", "names"]);
    default(names, "singular", kind.to_lowercase());
    default(names, "listKind", format!("{kind}List"));
    default(at(object, &["spec"]), "conversion", json!({"strategy": "None"}));
}
