//! Whether what was applied could come up, as far as a cluster without programs can tell.
//!
//! Only what keeps Pods from being made is a verdict. That they are late here says nothing: programs
//! do not run, and nobody brings custom resources up.

use std::time::Duration;

use super::Failure;
use crate::base::clock::SystemClock;
use crate::cluster::cause::{Cause, CauseKind};
use crate::cluster::status::Reader;
use crate::cluster::wait::{WaitOptions, wait_ready};
use crate::cluster::{Cluster, Object};
use crate::release::{Error, manifest};

/// Workloads whose Pods are awaited.
const WORKLOADS: [&str; 4] = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"];
/// How long the simulated Pods may take: they take moments.
const MOMENTS: Duration = Duration::from_secs(5);

/// Returns which workload of a manifest would not come up, if its Pods are refused.
pub(super) async fn refused(
    simulated: &Cluster,
    text: &str,
    namespace: &str,
) -> Result<Option<Failure>, Error> {
    let mut live = Vec::new();
    for value in manifest::objects(text)? {
        let mut object = Object(value);
        if !WORKLOADS.contains(&object.kind()) {
            continue;
        }
        if object.namespace().is_empty() {
            object.set_namespace(namespace);
        }
        live.extend(simulated.get(&object.id()).await?);
    }
    let options = WaitOptions::resources(MOMENTS, Reader::Plain);
    let Err(error) = wait_ready(simulated, live, &options, &SystemClock, &|_| {}).await else {
        return Ok(None);
    };
    let found = error.unready().iter().find_map(|unready| {
        let cause =
            unready.cause.as_ref().filter(|cause| cause.kind == CauseKind::CreateRefused)?;
        Some(Failure { reason: told(&unready.id.to_string(), cause), hint: hint(cause) })
    });
    Ok(found)
}

fn told(workload: &str, cause: &Cause) -> String {
    format!("{workload} would not become ready: {cause}")
}

fn hint(cause: &Cause) -> &'static str {
    let rows = [
        ("exceeded quota", "ask for less, or raise the quota"),
        (" usage per ", "ask for what the limit range allows (resources)"),
        ("failed quota", "say what each container asks for and may take (resources)"),
        ("PriorityClass", "make the class first, or name another"),
    ];
    rows.iter().find(|(part, _)| cause.message.contains(part)).map_or("", |(_, hint)| hint)
}
