//! The cells of tables.
//!
//! Source: kubernetes 1.34 pkg/printers/internalversion/printers.go.

use super::super::resource::Resource;
use super::super::selector::Labels;
use super::super::value::{deleting, flag, int, items, name, text};
use crate::base::clock::Timestamp;
use crate::yaml::Value;

const NONE: &str = "<none>";

/// Prints a span of time as kubectl does: `5s`, `3m12s`, `7d2h`.
///
/// Source: k8s.io/apimachinery 0.34 pkg/util/duration/duration.go (HumanDuration).
pub(super) fn human(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let with = |whole: i64, unit: &str, rest: i64, small: &str| {
        if rest == 0 { format!("{whole}{unit}") } else { format!("{whole}{unit}{rest}{small}") }
    };
    match () {
        () if seconds < -1 => "<invalid>".to_owned(),
        () if seconds < 0 => "0s".to_owned(),
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => with(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => with(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if hours < 192 => with(hours / 24, "d", hours % 24, "h"),
        () if hours < 24 * 365 * 2 => format!("{}d", hours / 24),
        () if hours < 24 * 365 * 8 => with(hours / 24 / 365, "y", hours / 24 % 365, "d"),
        () => format!("{}y", hours / 24 / 365),
    }
}

fn since(text: &str, now: Timestamp) -> String {
    match text.parse::<Timestamp>() {
        Ok(then) => human(now.as_second() - then.as_second()),
        Err(_) => "<unknown>".to_owned(),
    }
}

/// Returns the age of an object.
pub(super) fn age(object: &Value, now: Timestamp) -> String {
    since(text(object, "/metadata/creationTimestamp"), now)
}

/// Returns the cell of a custom resource's column.
pub(super) fn custom(object: &Value, path: &str, kind: &str, now: Timestamp) -> Value {
    let Some(found) = json_path(object, path) else { return Value::Null };
    match kind {
        "date" => since(found.as_str().unwrap_or_default(), now).into(),
        "string" if !found.is_string() => found.to_string().into(),
        _ => found.clone(),
    }
}

/// Finds the first value of the simple JSON paths that columns use: `.a.b[0].c`,
/// `.a[?(@.type=="Ready")].status`, `.metadata.labels['x\.y']`.
fn json_path<'v>(object: &'v Value, path: &str) -> Option<&'v Value> {
    let mut here = object;
    let mut rest = path.trim_start_matches('$');
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix("[?(@.") {
            let (condition, tail) = inner.split_once(")]")?;
            let (key, wanted) = condition.split_once("==")?;
            let wanted = wanted.trim().trim_matches(['"', '\'']);
            let pointer = format!("/{}", key.trim().replace('.', "/"));
            here = here.as_array()?.iter().find(|item| text(item, &pointer) == wanted)?;
            rest = tail;
        } else if let Some(inner) = rest.strip_prefix('[') {
            let (index, tail) = inner.split_once(']')?;
            let quoted = index.trim_matches(['"', '\'']);
            here = match index.parse::<usize>() {
                Ok(index) => here.get(index)?,
                Err(_) => here.get(quoted.replace("\\.", "."))?,
            };
            rest = tail;
        } else {
            let inner = rest.strip_prefix('.').unwrap_or(rest);
            let mut end = inner.len();
            let bytes = inner.as_bytes();
            for (index, byte) in bytes.iter().enumerate() {
                let escaped = index > 0 && bytes[index - 1] == b'\\';
                if (*byte == b'.' && !escaped) || *byte == b'[' {
                    end = index;
                    break;
                }
            }
            here = here.get(inner[..end].replace("\\.", "."))?;
            rest = &inner[end..];
        }
    }
    Some(here)
}

fn or_none(text: &str) -> Value {
    if text.is_empty() { NONE.into() } else { text.into() }
}

fn count(object: &Value, pointer: &str) -> i64 {
    int(object, pointer).unwrap_or_default()
}

fn joined(object: &Value, pointer: &str, field: &str) -> String {
    let all: Vec<_> = items(object, pointer).iter().map(|item| text(item, field)).collect();
    all.join(",")
}

fn map_size(object: &Value, key: &str) -> usize {
    object.get(key).and_then(Value::as_object).map_or(0, serde_json::Map::len)
}

fn selector(object: &Value, pointer: &str) -> Value {
    let labels = object.pointer(pointer).and_then(Labels::from_object);
    or_none(&labels.map(|labels| labels.print()).unwrap_or_default())
}

fn plain_map(object: &Value, pointer: &str) -> Value {
    let map = object.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
    let all: Vec<_> =
        map.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    or_none(&all.join(","))
}

/// Returns the cell of a built-in kind's column.
pub(super) fn cell(resource: &Resource, object: &Value, column: &str, now: Timestamp) -> Value {
    match column {
        "Name" => return name(object).into(),
        "Age" => return age(object, now).into(),
        "Created At" => return text(object, "/metadata/creationTimestamp").into(),
        "Containers" => return joined(object, &template(resource, "containers"), "/name").into(),
        "Images" => return joined(object, &template(resource, "containers"), "/image").into(),
        _ => {}
    }
    match resource.plural.as_str() {
        "pods" => pod(object, column, now),
        "services" => service(object, column),
        "events" => event(object, column, now),
        "persistentvolumeclaims" | "persistentvolumes" => volume(object, column),
        "jobs" | "cronjobs" => job(resource, object, column, now),
        "nodes" => node(object, column),
        "deployments" | "replicasets" | "statefulsets" | "daemonsets" => {
            workload(resource, object, column)
        }
        _ => other(object, column),
    }
}

fn template(resource: &Resource, list: &str) -> String {
    match resource.plural.as_str() {
        "pods" => format!("/spec/{list}"),
        "podtemplates" => format!("/template/spec/{list}"),
        "cronjobs" => format!("/spec/jobTemplate/spec/template/spec/{list}"),
        _ => format!("/spec/template/spec/{list}"),
    }
}

fn workload(resource: &Resource, object: &Value, column: &str) -> Value {
    let daemons = resource.plural == "daemonsets";
    let ready = count(object, "/status/readyReplicas");
    match column {
        "Ready" if daemons => count(object, "/status/numberReady").into(),
        "Ready" if resource.plural == "replicasets" => ready.into(),
        "Ready" => format!("{ready}/{}", count(object, "/spec/replicas")).into(),
        "Desired" if daemons => count(object, "/status/desiredNumberScheduled").into(),
        "Desired" => count(object, "/spec/replicas").into(),
        "Current" if daemons => count(object, "/status/currentNumberScheduled").into(),
        "Current" => count(object, "/status/replicas").into(),
        "Up-to-date" if daemons => count(object, "/status/updatedNumberScheduled").into(),
        "Up-to-date" => count(object, "/status/updatedReplicas").to_string().into(),
        "Available" if daemons => count(object, "/status/numberAvailable").into(),
        "Available" => count(object, "/status/availableReplicas").to_string().into(),
        "Node Selector" => plain_map(object, "/spec/template/spec/nodeSelector"),
        "Selector" => selector(object, "/spec/selector"),
        _ => Value::Null,
    }
}

/// Returns the word that kubectl shows for a Pod's state.
fn pod_status(pod: &Value) -> String {
    let phase = text(pod, "/status/phase");
    let reason = text(pod, "/status/reason");
    let mut word = if reason.is_empty() { phase } else { reason };
    for status in items(pod, "/status/containerStatuses").iter().rev() {
        let waiting = text(status, "/state/waiting/reason");
        let ended = text(status, "/state/terminated/reason");
        if !waiting.is_empty() {
            word = waiting;
        } else if !ended.is_empty() {
            word = ended;
        }
    }
    if deleting(pod) { "Terminating".to_owned() } else { word.to_owned() }
}

fn pod(pod: &Value, column: &str, _now: Timestamp) -> Value {
    let statuses = items(pod, "/status/containerStatuses");
    match column {
        "Ready" => {
            let ready = statuses.iter().filter(|status| flag(status, "/ready")).count();
            format!("{ready}/{}", items(pod, "/spec/containers").len()).into()
        }
        "Status" => pod_status(pod).into(),
        "Restarts" => {
            let restarts: i64 = statuses.iter().map(|status| count(status, "/restartCount")).sum();
            restarts.to_string().into()
        }
        "IP" => or_none(text(pod, "/status/podIP")),
        "Node" => or_none(text(pod, "/spec/nodeName")),
        "Nominated Node" | "Readiness Gates" => NONE.into(),
        _ => Value::Null,
    }
}

fn service(service: &Value, column: &str) -> Value {
    match column {
        "Type" => text(service, "/spec/type").into(),
        "Cluster-IP" => or_none(text(service, "/spec/clusterIP")),
        "External-IP" => match text(service, "/spec/type") {
            "LoadBalancer" => match joined(service, "/status/loadBalancer/ingress", "/ip").as_str()
            {
                "" => "<pending>".into(),
                addresses => addresses.into(),
            },
            "ExternalName" => text(service, "/spec/externalName").into(),
            _ => NONE.into(),
        },
        "Port(s)" => {
            let ports = items(service, "/spec/ports").iter().map(|port| {
                let (number, protocol) = (count(port, "/port"), text(port, "/protocol"));
                match int(port, "/nodePort").filter(|port| *port > 0) {
                    Some(node) => format!("{number}:{node}/{protocol}"),
                    None => format!("{number}/{protocol}"),
                }
            });
            or_none(&ports.collect::<Vec<_>>().join(","))
        }
        "Selector" => plain_map(service, "/spec/selector"),
        _ => Value::Null,
    }
}

fn event(event: &Value, column: &str, now: Timestamp) -> Value {
    let (of, message) = if event.get("regarding").is_some() {
        ("regarding", "/note")
    } else {
        ("involvedObject", "/message")
    };
    let or = |first: &str, second: &str| {
        let first = text(event, first);
        if first.is_empty() { text(event, second).to_owned() } else { first.to_owned() }
    };
    match column {
        "Last Seen" => since(&or("/lastTimestamp", "/deprecatedLastTimestamp"), now).into(),
        "First Seen" => since(&or("/firstTimestamp", "/deprecatedFirstTimestamp"), now).into(),
        "Type" => text(event, "/type").into(),
        "Reason" => text(event, "/reason").into(),
        "Object" => {
            let (kind, name) =
                (text(event, &format!("/{of}/kind")), text(event, &format!("/{of}/name")));
            format!("{}/{name}", kind.to_lowercase()).into()
        }
        "Subobject" => text(event, &format!("/{of}/fieldPath")).into(),
        "Source" => or("/source/component", "/deprecatedSource/component").into(),
        "Message" => text(event, message).trim().into(),
        "Count" => count(event, "/count").max(1).to_string().into(),
        _ => Value::Null,
    }
}

fn access_modes(object: &Value, pointer: &str) -> String {
    let short = items(object, pointer).iter().map(|mode| match mode.as_str() {
        Some("ReadWriteOnce") => "RWO",
        Some("ReadOnlyMany") => "ROX",
        Some("ReadWriteMany") => "RWX",
        Some("ReadWriteOncePod") => "RWOP",
        _ => "",
    });
    short.collect::<Vec<_>>().join(",")
}

fn volume(object: &Value, column: &str) -> Value {
    match column {
        "Status" if deleting(object) => "Terminating".into(),
        "Status" => text(object, "/status/phase").into(),
        "Volume" => text(object, "/spec/volumeName").into(),
        "Capacity" if object.pointer("/spec/capacity").is_some() => {
            text(object, "/spec/capacity/storage").into()
        }
        "Capacity" => text(object, "/status/capacity/storage").into(),
        "Access Modes" if object.pointer("/status/accessModes").is_some() => {
            access_modes(object, "/status/accessModes").into()
        }
        "Access Modes" if object.pointer("/spec/capacity").is_some() => {
            access_modes(object, "/spec/accessModes").into()
        }
        "Reclaim Policy" => text(object, "/spec/persistentVolumeReclaimPolicy").into(),
        "Claim" => {
            let (namespace, name) =
                (text(object, "/spec/claimRef/namespace"), text(object, "/spec/claimRef/name"));
            if name.is_empty() { "".into() } else { format!("{namespace}/{name}").into() }
        }
        "StorageClass" => text(object, "/spec/storageClassName").into(),
        "VolumeAttributesClass" => "<unset>".into(),
        "Reason" => text(object, "/status/reason").into(),
        "VolumeMode" => or_none(text(object, "/spec/volumeMode")),
        _ => "".into(),
    }
}

fn job(resource: &Resource, job: &Value, column: &str, now: Timestamp) -> Value {
    if resource.plural == "cronjobs" {
        return match column {
            "Schedule" => text(job, "/spec/schedule").into(),
            "Timezone" => or_none(text(job, "/spec/timeZone")),
            "Suspend" => flag(job, "/spec/suspend").into(),
            "Active" => items(job, "/status/active").len().into(),
            "Last Schedule" => match text(job, "/status/lastScheduleTime") {
                "" => NONE.into(),
                time => since(time, now).into(),
            },
            "Selector" => NONE.into(),
            _ => Value::Null,
        };
    }
    let has = |kind: &str| {
        items(job, "/status/conditions").iter().any(|condition| {
            text(condition, "/type") == kind && text(condition, "/status") == "True"
        })
    };
    match column {
        "Status" => match () {
            () if has("Complete") => "Complete",
            () if has("Failed") => "Failed",
            () if deleting(job) => "Terminating",
            () if has("Suspended") => "Suspended",
            () if has("FailureTarget") => "FailureTarget",
            () if has("SuccessCriteriaMet") => "SuccessCriteriaMet",
            () => "Running",
        }
        .into(),
        "Completions" => {
            let done = count(job, "/status/succeeded");
            let wanted = int(job, "/spec/completions").unwrap_or(1);
            format!("{done}/{wanted}").into()
        }
        "Duration" => {
            let (start, end) =
                (text(job, "/status/startTime"), text(job, "/status/completionTime"));
            match (start.parse::<Timestamp>(), end.parse::<Timestamp>()) {
                (Err(_), _) => "".into(),
                (Ok(start), Ok(end)) => human(end.as_second() - start.as_second()).into(),
                (Ok(start), Err(_)) => human(now.as_second() - start.as_second()).into(),
            }
        }
        "Selector" => selector(job, "/spec/selector"),
        _ => Value::Null,
    }
}

fn node(node: &Value, column: &str) -> Value {
    let info = |key: &str| or_none(text(node, &format!("/status/nodeInfo/{key}")));
    match column {
        "Status" => {
            let ready =
                items(node, "/status/conditions").iter().find(|one| text(one, "/type") == "Ready");
            match ready.map(|one| text(one, "/status")) {
                Some("True") => "Ready".into(),
                Some(_) => "NotReady".into(),
                None => "Unknown".into(),
            }
        }
        "Roles" | "External-IP" => NONE.into(),
        "Version" => text(node, "/status/nodeInfo/kubeletVersion").into(),
        "Internal-IP" => or_none(text(node, "/status/addresses/0/address")),
        "OS-Image" => info("osImage"),
        "Kernel-Version" => info("kernelVersion"),
        "Container-Runtime" => info("containerRuntimeVersion"),
        _ => Value::Null,
    }
}

fn number_or_text(object: &Value, pointer: &str) -> Value {
    match object.pointer(pointer) {
        Some(Value::String(text)) => text.as_str().into(),
        Some(Value::Null) | None => "N/A".into(),
        Some(other) => other.to_string().into(),
    }
}

/// Cells of the kinds with few columns.
fn other(object: &Value, column: &str) -> Value {
    match column {
        "Data" => (map_size(object, "data") + map_size(object, "binaryData")).into(),
        "Type" => text(object, "/type").into(),
        "Status" => text(object, "/status/phase").into(),
        "Secrets" => items(object, "/secrets").len().to_string().into(),
        "Holder" => text(object, "/spec/holderIdentity").into(),
        "Role" => {
            format!("{}/{}", text(object, "/roleRef/kind"), text(object, "/roleRef/name")).into()
        }
        "Users" => subjects(object, "User"),
        "Groups" => subjects(object, "Group"),
        "ServiceAccounts" => subjects(object, "ServiceAccount"),
        "Class" => or_none(text(object, "/spec/ingressClassName")),
        "Hosts" => match joined(object, "/spec/rules", "/host").trim_matches(',') {
            "" => "*".into(),
            hosts => hosts.into(),
        },
        "Address" => joined(object, "/status/loadBalancer/ingress", "/ip").into(),
        "Ports" => if items(object, "/spec/tls").is_empty() { "80" } else { "80, 443" }.into(),
        "Min Available" => number_or_text(object, "/spec/minAvailable"),
        "Max Unavailable" => number_or_text(object, "/spec/maxUnavailable"),
        "Allowed Disruptions" => count(object, "/status/disruptionsAllowed").into(),
        "Reference" => {
            let target =
                |key: &str| text(object, &format!("/spec/scaleTargetRef/{key}")).to_owned();
            format!("{}/{}", target("kind"), target("name")).into()
        }
        "Targets" => "<unknown>".into(),
        "MinPods" => {
            int(object, "/spec/minReplicas").map_or("<unset>".into(), |n| n.to_string().into())
        }
        "MaxPods" => count(object, "/spec/maxReplicas").to_string().into(),
        "Replicas" => count(object, "/status/currentReplicas").to_string().into(),
        "Provisioner" => text(object, "/provisioner").into(),
        "ReclaimPolicy" => text(object, "/reclaimPolicy").into(),
        "VolumeBindingMode" => text(object, "/volumeBindingMode").into(),
        "AllowVolumeExpansion" => flag(object, "/allowVolumeExpansion").to_string().into(),
        "Value" => count(object, "/value").into(),
        "Global-Default" => flag(object, "/globalDefault").into(),
        "PreemptionPolicy" => text(object, "/preemptionPolicy").into(),
        "Webhooks" => items(object, "/webhooks").len().into(),
        "Pod-Selector" => selector(object, "/spec/podSelector"),
        "Controller" => text(object, "/spec/controller").into(),
        "Handler" => text(object, "/handler").into(),
        "Revision" => count(object, "/revision").to_string().into(),
        "AddressType" => text(object, "/addressType").into(),
        _ => NONE.into(),
    }
}

fn subjects(object: &Value, kind: &str) -> Value {
    let of_kind =
        items(object, "/subjects").iter().filter(|subject| text(subject, "/kind") == kind);
    let names: Vec<_> = of_kind
        .map(|subject| match text(subject, "/namespace") {
            "" => text(subject, "/name").to_owned(),
            namespace => format!("{namespace}/{}", text(subject, "/name")),
        })
        .collect();
    names.join(", ").into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ages_read_as_kubectl_prints_them() {
        for (seconds, text) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (192, "3m12s"),
            (660, "11m"),
            (3 * 3600, "3h"),
            (4 * 3600 + 120, "4h2m"),
            (47 * 3600, "47h"),
            (50 * 3600, "2d2h"),
            (9 * 86400, "9d"),
        ] {
            assert_eq!(human(seconds), text);
        }
    }

    #[test]
    fn columns_find_their_values() {
        let object = json!({"a": [{"type": "Ready", "status": "True"}], "metadata": {"labels": {"x.y": "z"}}});
        for (path, wanted) in [
            (".a[?(@.type==\"Ready\")].status", Some("True")),
            (".a[0].type", Some("Ready")),
            (".metadata.labels.x\\.y", Some("z")),
            (".metadata.labels['x\\.y']", Some("z")),
            (".nope.b", None),
        ] {
            assert_eq!(json_path(&object, path).and_then(Value::as_str), wanted, "{path}");
        }
    }
}
