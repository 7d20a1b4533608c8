//! What a Pod shows: its conditions, its containers, its events, its log.

use super::event::{self, Said};
use super::{Cause, CauseKind, Facts, claim_of};
use crate::cluster::object::Object;
use crate::cluster::status::{Condition, conditions, text};
use crate::yaml::Value;

/// Says more of a Pod's cause by its events, its claims and its log.
pub(super) fn sharpen(mut cause: Cause, facts: &Facts<'_>) -> Cause {
    let said = |reasons: &[&str]| event::newest(&cause.object, facts.events, reasons);
    match cause.kind {
        CauseKind::Starting => match event::newest(&cause.object, facts.events, &[]) {
            Some(said) => tell(cause, event::kind(&said.reason), said),
            None => cause,
        },
        CauseKind::NotReady => match said(&["Unhealthy", "ProbeWarning"]) {
            Some(said) => tell(cause, CauseKind::NotReady, said),
            None => cause,
        },
        CauseKind::Unschedulable => {
            let claim = facts.claims.iter().find(|claim| claim.text("/status/phase") != "Bound");
            let told = claim.and_then(|claim| {
                event::of_object(claim, facts.events).or_else(|| claim_of(claim))
            });
            told.unwrap_or(cause)
        }
        CauseKind::CrashLoop => {
            let liveness =
                said(&["Unhealthy"]).filter(|said| said.message.contains("iveness probe"));
            if let Some(said) = liveness {
                cause.message.push_str("; ");
                cause.message.push_str(&said.message);
            }
            cause.log = facts.log.to_vec();
            cause
        }
        CauseKind::PodFailed => Cause { log: facts.log.to_vec(), ..cause },
        CauseKind::ImagePull
        | CauseKind::ContainerConfig
        | CauseKind::Volume
        | CauseKind::Sandbox
        | CauseKind::Unbound
        | CauseKind::CreateRefused
        | CauseKind::Condition => cause,
    }
}

fn tell(cause: Cause, kind: CauseKind, said: Said) -> Cause {
    let container = said.container.or(cause.container);
    Cause { kind, container, reason: said.reason, message: said.message, ..cause }
}

/// Returns what keeps a Pod, as its status alone tells.
#[expect(clippy::too_many_lines, reason = "one rule after the other, from the deepest cause up")]
pub(super) fn cause(pod: &Object) -> Option<Cause> {
    let conditions = conditions(&pod.0).unwrap_or_default();
    let unmet =
        |kind: &str| conditions.iter().find(|c| c.kind == kind && c.status != "True").copied();
    let cause =
        |kind, condition: &str, container: Option<&str>, reason: &str, message: String| Cause {
            kind,
            object: pod.id(),
            condition: condition.to_owned(),
            container: container.map(str::to_owned),
            reason: reason.to_owned(),
            message,
            log: Vec::new(),
        };
    let phase = pod.text("/status/phase");
    if phase == "Succeeded"
        || (phase == "Running" && unmet("Ready").is_none() && !conditions.is_empty())
    {
        return None;
    }
    let condition = if unmet("Ready").is_some() { "Ready" } else { "" };
    for container in containers(pod) {
        let name = Some(text(container, "/name"));
        let waiting = text(container, "/state/waiting/reason");
        let message = text(container, "/state/waiting/message").to_owned();
        match waiting {
            "ImagePullBackOff"
            | "ErrImagePull"
            | "InvalidImageName"
            | "ErrImageNeverPull"
            | "RegistryUnavailable"
            | "ImageInspectError"
            | "SignatureValidationFailed" => {
                let message =
                    if message.is_empty() { text(container, "/image").to_owned() } else { message };
                return Some(cause(CauseKind::ImagePull, condition, name, waiting, message));
            }
            "CrashLoopBackOff" => {
                let ended = ending(container, "/lastState/terminated");
                let message = ended.unwrap_or(message);
                return Some(cause(CauseKind::CrashLoop, condition, name, waiting, message));
            }
            "CreateContainerConfigError"
            | "CreateContainerError"
            | "RunContainerError"
            | "PreStartHookError"
            | "PostStartHookError" => {
                return Some(cause(CauseKind::ContainerConfig, condition, name, waiting, message));
            }
            _ => {}
        }
        if phase == "Failed"
            && let Some(ended) = ending(container, "/state/terminated")
        {
            let reason = text(container, "/state/terminated/reason");
            return Some(cause(CauseKind::PodFailed, condition, name, reason, ended));
        }
    }
    if phase == "Failed" {
        let reason = pod.text("/status/reason");
        let reason = if reason.is_empty() { "PodFailed" } else { reason };
        return Some(cause(
            CauseKind::PodFailed,
            condition,
            None,
            reason,
            pod.text("/status/message").to_owned(),
        ));
    }
    if let Some(Condition { reason, message, .. }) = unmet("PodScheduled") {
        return Some(cause(
            CauseKind::Unschedulable,
            "PodScheduled",
            None,
            reason,
            message.to_owned(),
        ));
    }
    let unready = containers(pod).find(|c| {
        c.get("ready") != Some(&Value::Bool(true))
            && text(c, "/state/terminated/reason") != "Completed"
    });
    let name = unready.map(|container| text(container, "/name"));
    let message = unmet("Ready").map_or("", |c| c.message).to_owned();
    if phase == "Running" {
        let reason = unmet("Ready").map_or("", |c| c.reason);
        let reason = if reason.is_empty() { "NotReady" } else { reason };
        return Some(cause(CauseKind::NotReady, "Ready", name, reason, message));
    }
    let waiting = unready.map_or("", |container| text(container, "/state/waiting/reason"));
    let reason = if waiting.is_empty() { "Pending" } else { waiting };
    Some(cause(CauseKind::Starting, condition, name, reason, message))
}

/// Init containers come first: the others wait for them.
fn containers(pod: &Object) -> impl Iterator<Item = &Value> {
    ["/status/initContainerStatuses", "/status/containerStatuses"]
        .into_iter()
        .filter_map(|pointer| pod.at(pointer)?.as_array())
        .flatten()
}

fn ending(container: &Value, pointer: &str) -> Option<String> {
    let ended = container.pointer(pointer)?;
    let code = ended.get("exitCode").and_then(Value::as_i64)?;
    let reason = text(ended, "/reason");
    let message = text(ended, "/message").trim();
    let mut said = format!("last ended with exit code {code}");
    if !reason.is_empty() {
        said.push_str(&format!(" ({reason})"));
    }
    if !message.is_empty() {
        said.push_str(": ");
        said.push_str(message);
    }
    Some(said)
}
