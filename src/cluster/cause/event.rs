//! What events tell.

use super::{Cause, CauseKind};
use crate::cluster::object::{Object, ObjectId};

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    /// Its reason.
    pub(super) reason: String,
    /// Its message.
    pub(super) message: String,
    /// The container that it is about.
    pub(super) container: Option<String>,
}

/// Returns the kind of cause that a reason means.
pub(super) fn kind(reason: &str) -> CauseKind {
    match reason {
        "FailedMount"
        | "FailedAttachVolume"
        | "FailedMapVolume"
        | "VolumeResizeFailed"
        | "FailedMountOnFilesystemMismatch" => CauseKind::Volume,
        "FailedCreatePodSandBox" | "FailedPodSandBoxStatus" | "NetworkNotReady" => {
            CauseKind::Sandbox
        }
        "FailedScheduling" | "NotTriggerScaleUp" => CauseKind::Unschedulable,
        "FailedCreate" => CauseKind::CreateRefused,
        "FailedPostStartHook" | "FailedPreStopHook" => CauseKind::ContainerConfig,
        "FailedBinding"
        | "ProvisioningFailed"
        | "WaitForFirstConsumer"
        | "WaitForPodScheduled"
        | "ExternalProvisioning" => CauseKind::Unbound,
        "InspectFailed" | "ErrImageNeverPull" | "FailedToRetrieveImagePullSecret" => {
            CauseKind::ImagePull
        }
        "Unhealthy" | "ProbeWarning" => CauseKind::NotReady,
        _ => CauseKind::Condition,
    }
}

/// Returns the newest warning about an object; of these reasons only, where some are given.
pub(super) fn newest(object: &ObjectId, events: &[Object], reasons: &[&str]) -> Option<Said> {
    let is_about = |event: &&Object| {
        event.text("/involvedObject/kind") == object.kind
            && event.text("/involvedObject/name") == object.name
    };
    // A claim that waits says so as something normal.
    let counts = |event: &&Object| {
        event.text("/type") == "Warning" || kind(event.text("/reason")) == CauseKind::Unbound
    };
    let wanted = |event: &&Object| reasons.is_empty() || reasons.contains(&event.text("/reason"));
    let found = events.iter().filter(is_about).filter(counts).filter(wanted);
    let newest = found.max_by_key(|event| time(event))?;
    let place = newest.text("/involvedObject/fieldPath");
    let container = place.split_once('{').and_then(|(_, rest)| rest.strip_suffix('}'));
    Some(Said {
        reason: newest.text("/reason").to_owned(),
        message: newest.text("/message").to_owned(),
        container: container.map(str::to_owned),
    })
}

/// Events of different makers keep their time in different places.
fn time(event: &Object) -> &str {
    let places = ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/firstTimestamp"];
    let mut times = places.iter().map(|place| event.text(place));
    times.find(|time| !time.is_empty()).unwrap_or_default()
}

/// Returns what the newest warning about an object means.
pub(super) fn of_object(object: &Object, events: &[Object]) -> Option<Cause> {
    let id = object.id();
    let said = newest(&id, events, &[])?;
    Some(Cause {
        kind: kind(&said.reason),
        object: id,
        condition: String::new(),
        container: said.container,
        reason: said.reason,
        message: said.message,
        log: Vec::new(),
    })
}
