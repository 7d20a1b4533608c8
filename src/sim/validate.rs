//! Refusals of built-in kinds: names, sizes, immutable fields, selectors.
//!
//! Source: kubernetes 1.34 pkg/apis/*/validation.

use serde_json::json;

use super::name::{LABEL, LABEL_VALUE, is_label, is_label_value, qualified, wrong_name};
use super::resource::Resource;
use super::rules;
use super::selector::Labels;
use super::status::FieldError;
use super::value::{self, items, text};
use super::{limits, quota};
use crate::yaml::Value;

const STANDARD_FINALIZERS: [&str; 3] = ["foregroundDeletion", "orphan", "kubernetes"];
const ANNOTATIONS_BYTES: usize = 262_144;
const DATA_BYTES: usize = 1_048_576;
const IMMUTABLE: &str = "field is immutable";

fn labels(map: Option<&Value>, path: &str, errors: &mut Vec<FieldError>) {
    for (key, value) in map.and_then(Value::as_object).into_iter().flatten() {
        qualified(key, path, errors);
        let text = value.as_str().unwrap_or_default();
        if text.len() > 63 {
            errors.push(FieldError::invalid(path, value, "must be no more than 63 characters"));
        } else if !is_label_value(text) {
            errors.push(FieldError::invalid(path, value, LABEL_VALUE));
        }
    }
}

const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' \
    (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

/// Refuses keys of data that cannot be names of files.
fn data_keys(object: &Value, field: &str, errors: &mut Vec<FieldError>) {
    for (key, _) in object.get(field).and_then(Value::as_object).into_iter().flatten() {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if key.is_empty() || !key.chars().all(fits) {
            let path = format!("{field}[{key}]");
            errors.push(FieldError::invalid(path, &key.as_str().into(), CONFIG_KEY));
        }
    }
}

fn metadata(resource: &Resource, object: &Value, errors: &mut Vec<FieldError>) {
    let name = value::name(object);
    if let Some(why) = wrong_name(&resource.storage, name) {
        errors.push(FieldError::invalid("metadata.name", &name.into(), &why));
    }
    labels(object.pointer("/metadata/labels"), "metadata.labels", errors);
    let annotations = object.pointer("/metadata/annotations").and_then(Value::as_object);
    for (key, _) in annotations.into_iter().flatten() {
        qualified(&key.to_lowercase(), "metadata.annotations", errors);
    }
    let size: usize = annotations
        .into_iter()
        .flatten()
        .map(|(key, value)| key.len() + value.as_str().map_or(0, str::len))
        .sum();
    if size > ANNOTATIONS_BYTES {
        errors.push(FieldError::too_long("metadata.annotations", ANNOTATIONS_BYTES));
    }
    for (index, finalizer) in items(object, "/metadata/finalizers").iter().enumerate() {
        let name = finalizer.as_str().unwrap_or_default();
        qualified(name, "metadata.finalizers", errors);
        let known = name.contains('/') || STANDARD_FINALIZERS.contains(&name);
        // Definitions are checked by another server's rules.
        if !known && resource.custom.is_none() && resource.group != "apiextensions.k8s.io" {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            let path = format!("metadata.finalizers[{index}]");
            errors.push(FieldError::invalid(path, finalizer, why));
        }
    }
    for owner in items(object, "/metadata/ownerReferences") {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if text(owner, &format!("/{field}")).is_empty() {
                let path = format!("metadata.ownerReferences.{field}");
                errors.push(FieldError::invalid(path, &"".into(), "must not be empty"));
            }
        }
    }
}

/// Returns what is wrong with a new object.
pub(crate) fn create(resource: &Resource, object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    metadata(resource, object, &mut errors);
    content(resource, None, object, &mut errors);
    errors
}

/// Returns what is wrong with an object in itself.
#[expect(clippy::too_many_lines, reason = "one arm for each kind")]
fn content(
    resource: &Resource,
    live: Option<&Value>,
    object: &Value,
    errors: &mut Vec<FieldError>,
) {
    if let Some(custom) = &resource.custom {
        errors.extend(custom.validate(object, live));
        return;
    }
    let lends_claims = resource.storage.as_ref() == "statefulsets.apps";
    match resource.storage.as_ref() {
        "secrets" => {
            if decoded_size(object.get("data")) > DATA_BYTES {
                errors.push(FieldError::too_long("data", DATA_BYTES));
            }
            data_keys(object, "data", errors);
            tls(object, errors);
        }
        "configmaps" => {
            data_keys(object, "data", errors);
            data_keys(object, "binaryData", errors);
            let texts = object.get("data").and_then(Value::as_object).into_iter().flatten();
            let size: usize = texts.map(|(_, value)| value.as_str().map_or(0, str::len)).sum();
            if size + decoded_size(object.get("binaryData")) > DATA_BYTES {
                errors.push(FieldError::too_long("[]", DATA_BYTES));
            }
        }
        "deployments.apps" | "replicasets.apps" | "daemonsets.apps" | "statefulsets.apps" => {
            let replicas = value::int(object, "/spec/replicas").unwrap_or_default();
            if replicas < 0 {
                let why = "must be greater than or equal to 0";
                errors.push(FieldError::invalid("spec.replicas", &replicas.into(), why));
            }
            selector_fits(object, errors);
            pod_spec(
                &object["spec"]["template"]["spec"],
                "spec.template.spec",
                lends_claims,
                errors,
            );
            let policy = text(object, "/spec/template/spec/restartPolicy");
            if policy != "Always" {
                let path = "spec.template.spec.restartPolicy";
                errors.push(FieldError::unsupported(path, &policy.into(), &["Always"]));
            }
        }
        "jobs.batch" => {
            pod_spec(
                &object["spec"]["template"]["spec"],
                "spec.template.spec",
                lends_claims,
                errors,
            );
            let policy = text(object, "/spec/template/spec/restartPolicy");
            if policy == "Always" {
                let path = "spec.template.spec.restartPolicy";
                let why = "valid values: \"OnFailure\", \"Never\"";
                errors.push(FieldError::required(path, why));
            }
        }
        "pods" => pod_spec(&object["spec"], "spec", false, errors),
        "services" => service(object, errors),
        "ingresses.networking.k8s.io"
            if object.pointer("/spec/rules").is_none()
                && object.pointer("/spec/defaultBackend").is_none() =>
        {
            let why = "either `defaultBackend` or `rules` must be specified";
            errors.push(FieldError::invalid("spec", &Value::Null, why));
        }
        "poddisruptionbudgets.policy" => {
            let spec = &object["spec"];
            if spec.get("minAvailable").is_some() && spec.get("maxUnavailable").is_some() {
                let why = "minAvailable and maxUnavailable cannot be both set";
                let part = |key: &str| spec.get(key).cloned().unwrap_or_default();
                let go = format!(
                    "{{\"MinAvailable\":{},\"Selector\":{},\"MaxUnavailable\":{},\
                     \"UnhealthyPodEvictionPolicy\":{}}}",
                    part("minAvailable"),
                    part("selector"),
                    part("maxUnavailable"),
                    part("unhealthyPodEvictionPolicy")
                );
                errors.push(FieldError::invalid_text("spec", &go, why));
            }
        }
        "persistentvolumeclaims" => {
            if items(object, "/spec/accessModes").is_empty() {
                errors.push(FieldError::required(
                    "spec.accessModes",
                    "at least 1 access mode is required",
                ));
            }
            if object.pointer("/spec/resources/requests/storage").is_none() {
                errors.push(FieldError::required("spec.resources[storage]", ""));
            }
        }
        "limitranges" => limits::validate(object, errors),
        "resourcequotas" => quota::scope::validate(object, errors),
        "events" => {
            let (of, own) = (text(object, "/involvedObject/namespace"), value::namespace(object));
            if of != own && !(of.is_empty() && own == "default") {
                let why = "does not match event.namespace";
                errors.push(FieldError::invalid("involvedObject.namespace", &of.into(), why));
            }
        }
        "customresourcedefinitions.apiextensions.k8s.io" => {
            crd(object, errors);
            rules::definition(object, errors);
        }
        _ => {}
    }
}

fn crd(object: &Value, errors: &mut Vec<FieldError>) {
    let wanted = format!("{}.{}", text(object, "/spec/names/plural"), text(object, "/spec/group"));
    let name = value::name(object);
    if name != wanted {
        let why = "must be spec.names.plural+\".\"+spec.group".to_string();
        errors.push(FieldError::invalid("metadata.name", &name.into(), &why));
    }
    let stored =
        items(object, "/spec/versions").iter().filter(|one| value::flag(one, "/storage")).count();
    if stored != 1 {
        let why = "must have exactly one version marked as storage version";
        errors.push(FieldError::invalid(
            "spec.versions",
            &items(object, "/spec/versions").into(),
            why,
        ));
    }
    for (index, version) in items(object, "/spec/versions").iter().enumerate() {
        if version.pointer("/schema/openAPIV3Schema").is_none() {
            let path = format!("spec.versions[{index}].schema.openAPIV3Schema");
            errors.push(FieldError::required(path, "schemas are required"));
        }
    }
}

fn decoded_size(map: Option<&Value>) -> usize {
    let values = map.and_then(Value::as_object).into_iter().flatten();
    values
        .map(|(_, value)| {
            let text = value.as_str().unwrap_or_default();
            let padding = text.bytes().rev().take_while(|byte| *byte == b'=').count();
            (text.len() / 4 * 3).saturating_sub(padding)
        })
        .sum()
}

fn selector_fits(object: &Value, errors: &mut Vec<FieldError>) {
    let Some(selector) = object.pointer("/spec/selector") else {
        errors.push(FieldError::required("spec.selector", ""));
        let labels = object.pointer("/spec/template/metadata/labels").cloned();
        let why = "`selector` does not match template `labels`";
        let path = "spec.template.metadata.labels";
        errors.push(FieldError::invalid(path, &labels.unwrap_or_default(), why));
        return;
    };
    let found = object.pointer("/spec/template/metadata/labels");
    let parsed = Labels::from_object(selector);
    if parsed.as_ref().is_some_and(Labels::is_empty) {
        let why = "empty selector is invalid for deployment";
        errors.push(FieldError::invalid("spec.selector", selector, why));
    }
    if !parsed.is_some_and(|selector| selector.matches(found)) {
        let value = found.cloned().unwrap_or_default();
        let why = "`selector` does not match template `labels`";
        errors.push(FieldError::invalid("spec.template.metadata.labels", &value, why));
    }
}

fn pod_spec(spec: &Value, path: &str, lends_claims: bool, errors: &mut Vec<FieldError>) {
    limits::requests(spec, path, errors);
    let containers = items(spec, "/containers");
    if containers.is_empty() {
        errors.push(FieldError::required(format!("{path}.containers"), ""));
    }
    let mut seen = std::collections::HashSet::new();
    for list in ["initContainers", "containers"] {
        for (index, container) in items(spec, &format!("/{list}")).iter().enumerate() {
            let here = format!("{path}.{list}[{index}]");
            let name = text(container, "/name");
            if name.is_empty() {
                errors.push(FieldError::required(format!("{here}.name"), ""));
            } else if !is_label(name) || name.len() > 63 {
                errors.push(FieldError::invalid(format!("{here}.name"), &name.into(), LABEL));
            } else if !seen.insert(name) {
                errors.push(FieldError::duplicate(format!("{here}.name"), &name.into()));
            }
            if text(container, "/image").is_empty() {
                errors.push(FieldError::required(format!("{here}.image"), ""));
            }
            // Claims of a StatefulSet become volumes of its Pods.
            if !lends_claims {
                mounts(spec, container, &here, errors);
            }
        }
    }
    for (index, volume) in items(spec, "/volumes").iter().enumerate() {
        let mut sources = SOURCES.iter().filter(|source| volume.get(**source).is_some());
        if sources.next().is_some()
            && let Some(second) = sources.next()
        {
            let here = format!("{path}.volumes[{index}].{second}");
            errors.push(FieldError::forbidden(here, "may not specify more than 1 volume type"));
        }
    }
}

/// Sources of volumes in the order in which they are looked at.
const SOURCES: [&str; 14] = [
    "emptyDir",
    "hostPath",
    "gitRepo",
    "secret",
    "nfs",
    "iscsi",
    "persistentVolumeClaim",
    "downwardAPI",
    "fc",
    "configMap",
    "projected",
    "csi",
    "ephemeral",
    "image",
];

/// Refuses a Secret for TLS without its parts.
fn tls(object: &Value, errors: &mut Vec<FieldError>) {
    if text(object, "/type") == "kubernetes.io/tls" {
        for key in ["tls.crt", "tls.key"] {
            if object.get("data").and_then(|data| data.get(key)).is_none() {
                errors.push(FieldError::required(format!("data[{key}]"), ""));
            }
        }
    }
}

fn mounts(spec: &Value, container: &Value, here: &str, errors: &mut Vec<FieldError>) {
    for (index, mount) in items(container, "/volumeMounts").iter().enumerate() {
        let name = text(mount, "/name");
        let known = items(spec, "/volumes").iter().any(|volume| text(volume, "/name") == name);
        if !known {
            let path = format!("{here}.volumeMounts[{index}].name");
            errors.push(FieldError::not_found(path, &name.into()));
        }
    }
}

fn service(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    let kind = text(spec, "/type");
    let headless = text(spec, "/clusterIP") == "None";
    if kind == "ExternalName" {
        if text(spec, "/externalName").is_empty() {
            errors.push(FieldError::required("spec.externalName", ""));
        }
        return;
    }
    if items(spec, "/ports").is_empty() && !headless {
        errors.push(FieldError::required("spec.ports", ""));
    }
    let several = items(spec, "/ports").len() > 1;
    for (index, port) in items(spec, "/ports").iter().enumerate() {
        if several && text(port, "/name").is_empty() {
            errors.push(FieldError::required(format!("spec.ports[{index}].name"), ""));
        }
        if kind == "ClusterIP" && port.get("nodePort").is_some() {
            let why = "may not be used when `type` is 'ClusterIP'";
            errors.push(FieldError::forbidden(format!("spec.ports[{index}].nodePort"), why));
        }
        let number = value::int(port, "/port").unwrap_or_default();
        if !(1..=65535).contains(&number) {
            let why = "must be between 1 and 65535, inclusive";
            errors.push(FieldError::invalid(
                format!("spec.ports[{index}].port"),
                &number.into(),
                why,
            ));
        }
        let target = value::int(port, "/targetPort").filter(|port| !(1..=65535).contains(port));
        if let Some(target) = target {
            let why = "must be between 1 and 65535, inclusive";
            let path = format!("spec.ports[{index}].targetPort");
            errors.push(FieldError::invalid(path, &target.into(), why));
        }
    }
}

/// Returns what is wrong with a change.
pub(crate) fn update(
    resource: &Resource,
    live: &Value,
    object: &Value,
    subresource: &str,
) -> Vec<FieldError> {
    let mut errors = Vec::new();
    metadata(resource, object, &mut errors);
    finalizers(live, object, &mut errors);
    if resource.custom.is_none() {
        // Go checks metadata twice: for all kinds, then for this one.
        finalizers(live, object, &mut errors);
    }
    if subresource.is_empty() {
        immutable(resource, live, object, &mut errors);
        content(resource, Some(live), object, &mut errors);
    } else if resource.custom.is_some() {
        content(resource, Some(live), object, &mut errors);
    } else if resource.storage.as_ref() == "services"
        && object.pointer("/status/loadBalancer/ingress").is_some()
        && text(object, "/spec/type") != "LoadBalancer"
    {
        let why = "may only be used when `spec.type` is 'LoadBalancer'";
        errors.push(FieldError::forbidden("status.loadBalancer.ingress", why));
    }
    errors
}

fn finalizers(live: &Value, object: &Value, errors: &mut Vec<FieldError>) {
    if !value::deleting(live) {
        return;
    }
    let old = items(live, "/metadata/finalizers");
    let new: Vec<_> = items(object, "/metadata/finalizers")
        .iter()
        .filter(|one| !old.contains(one))
        .map(Value::to_string)
        .collect();
    if !new.is_empty() {
        let why = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers \
             []string{{{}}}",
            new.join(", ")
        );
        errors.push(FieldError::forbidden("metadata.finalizers", &why));
    }
}

fn changed<'v>(live: &Value, object: &'v Value, pointer: &str) -> Option<&'v Value> {
    static NOTHING: Value = Value::Null;
    let new = object.pointer(pointer).unwrap_or(&NOTHING);
    (live.pointer(pointer).unwrap_or(&NOTHING) != new).then_some(new)
}

fn immutable(resource: &Resource, live: &Value, object: &Value, errors: &mut Vec<FieldError>) {
    let mut keep = |pointer: &str| {
        if let Some(new) = changed(live, object, pointer) {
            let path = pointer.trim_start_matches('/').replace('/', ".");
            errors.push(FieldError::invalid(path, new, IMMUTABLE));
        }
    };
    match resource.storage.as_ref() {
        "deployments.apps" | "daemonsets.apps" | "replicasets.apps" => keep("/spec/selector"),
        "jobs.batch" => {
            keep("/spec/completions");
            keep("/spec/selector");
            if !value::flag(live, "/spec/suspend")
                || changed(live, object, "/spec/template/spec/containers").is_some()
            {
                keep("/spec/template");
            }
            keep("/spec/completionMode");
        }
        "resourcequotas" => keep("/spec/scopes"),
        "secrets" => keep("/type"),
        "statefulsets.apps" => stateful_set(live, object, errors),
        "services" => cluster_address(live, object, errors),
        "persistentvolumeclaims" => claim(live, object, errors),
        "pods" => pod(live, object, errors),
        "priorityclasses.scheduling.k8s.io" if changed(live, object, "/value").is_some() => {
            errors.push(FieldError::forbidden("value", "may not be changed in an update."));
        }
        "storageclasses.storage.k8s.io" => {
            for field in ["provisioner", "reclaimPolicy", "parameters", "volumeBindingMode"] {
                if changed(live, object, &format!("/{field}")).is_some() {
                    let why = format!("updates to {field} are forbidden.");
                    errors.push(FieldError::forbidden(field, &why));
                }
            }
        }
        "rolebindings.rbac.authorization.k8s.io"
        | "clusterrolebindings.rbac.authorization.k8s.io" => {
            if let Some(new) = changed(live, object, "/roleRef") {
                let part = |key: &str| text(new, key).to_owned();
                let go = json!({"APIGroup": part("/apiGroup"), "Kind": part("/kind"), "Name": part("/name")});
                errors.push(FieldError::invalid("roleRef", &go, "cannot change roleRef"));
            }
        }
        _ => {}
    }
    if ["secrets", "configmaps"].contains(&resource.storage.as_ref())
        && value::flag(live, "/immutable")
    {
        let why = "field is immutable when `immutable` is set";
        for field in ["immutable", "data", "binaryData"] {
            if changed(live, object, &format!("/{field}")).is_some() {
                errors.push(FieldError::forbidden(field, why));
            }
        }
    }
}

fn stateful_set(live: &Value, object: &Value, errors: &mut Vec<FieldError>) {
    const MUTABLE: [&str; 7] = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    let fixed = |object: &Value| {
        let mut spec = object["spec"].as_object().cloned().unwrap_or_default();
        spec.retain(|key, _| !MUTABLE.contains(&key.as_str()));
        spec
    };
    if fixed(live) != fixed(object) {
        let why = "updates to statefulset spec for fields other than 'replicas', 'ordinals', \
                   'template', 'updateStrategy', 'revisionHistoryLimit', \
                   'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
        errors.push(FieldError::forbidden("spec", why));
    }
}

fn cluster_address(live: &Value, object: &Value, errors: &mut Vec<FieldError>) {
    let (old, new) = (text(live, "/spec/clusterIP"), text(object, "/spec/clusterIP"));
    let external = [live, object].iter().any(|one| text(one, "/spec/type") == "ExternalName");
    if old != new && !old.is_empty() && !external {
        let value = json!([new]);
        errors.push(FieldError::invalid("spec.clusterIPs[0]", &value, "may not change once set"));
    }
}

fn claim(live: &Value, object: &Value, errors: &mut Vec<FieldError>) {
    let bound = text(live, "/status/phase") == "Bound";
    let fixed = |object: &Value| {
        let mut spec = object["spec"].clone();
        if bound {
            value::unset(&mut spec, &["resources", "requests"]);
            value::unset(&mut spec, &["volumeAttributesClassName"]);
        }
        if live.pointer("/spec/storageClassName").is_none() {
            value::unset(&mut spec, &["storageClassName"]);
        }
        if live.pointer("/spec/volumeName").is_none() {
            value::unset(&mut spec, &["volumeName"]);
        }
        spec
    };
    let (old, new) = (fixed(live), fixed(object));
    if old != new {
        let why = format!(
            "spec is immutable after creation except resources.requests and \
             volumeAttributesClassName for bound claims\n{}",
            difference(&old, &new)
        );
        errors.push(FieldError::forbidden("spec", &why));
    }
}

fn pod(live: &Value, object: &Value, errors: &mut Vec<FieldError>) {
    let fixed = |object: &Value| {
        let mut spec = object["spec"].clone();
        for list in ["containers", "initContainers"] {
            for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten()
            {
                value::unset(container, &["image"]);
            }
        }
        for field in ["activeDeadlineSeconds", "tolerations", "nodeName", "schedulingGates"] {
            value::unset(&mut spec, &[field]);
        }
        spec
    };
    let (old, new) = (fixed(live), fixed(object));
    if old != new {
        let why = format!(
            "pod updates may not change fields other than `spec.containers[*].image`,\
             `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only \
             additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be \
             set to 1 if it was previously negative)\n{}",
            difference(&old, &new)
        );
        errors.push(FieldError::forbidden("spec", &why));
    }
}

/// Prints the top-level fields that differ, as a short diff.
fn difference(old: &Value, new: &Value) -> String {
    let (Some(olds), Some(news)) = (old.as_object(), new.as_object()) else { return String::new() };
    let mut lines = Vec::new();
    let keys: std::collections::BTreeSet<_> = olds.keys().chain(news.keys()).collect();
    for key in keys.into_iter().filter(|key| olds.get(*key) != news.get(*key)) {
        for (sign, side) in [('-', olds.get(key)), ('+', news.get(key))] {
            if let Some(value) = side {
                lines.push(format!("{sign} \t{key}: {value}"));
            }
        }
    }
    lines.join("\n")
}
