//! What a step waits for, and why, in the release's condition while it waits.
//!
//! Invariant: nothing is written before a cause is known, and only when what is said changes; the
//! last write has ended before the step's own outcome is written.

use serde_json::Value;
use tokio::sync::watch;

use super::context::Context;
use super::status;
use crate::api::condition::{self, Conditions, RECONCILING, Truth};
use crate::api::crd::HELM_RELEASE_API;
use crate::api::{HelmRelease, HelmReleaseStatus};
use crate::base::class::chain;
use crate::cluster::wait::{Progress, Unready};
use crate::cluster::{Error, ObjectId};

/// At most so many objects are named.
const NAMED: usize = 3;

/// What stands between what is under way and what it waits for.
const WAITS: &str = "; waiting for ";

/// Returns what a condition's message says is waited for.
pub fn waited_for(message: &str) -> Option<&str> {
    message.split_once(WAITS).map(|(_, what)| what)
}

/// Returns what is waited for, as a line of the log says it.
pub(super) fn line(progress: &Progress) -> String {
    let waiting = named(progress);
    let mut text = format!("{} of {} ready", progress.ready, progress.total);
    if !waiting.is_empty() {
        text.push_str(&format!("; {}", waiting.join(", ")));
    }
    text
}

/// Returns what the condition adds, once any cause is known.
pub(super) fn cause(progress: &Progress) -> Option<String> {
    let known = progress.unready.iter().any(|unready| unready.cause.is_some());
    known.then(|| named(progress).join(", "))
}

fn named(progress: &Progress) -> Vec<String> {
    // Those with a cause say more.
    let mut unready: Vec<&Unready> = progress.unready.iter().collect();
    unready.sort_by_key(|unready| unready.cause.is_none());
    unready.into_iter().take(NAMED).map(told).collect()
}

/// An object that is waited for, and why as far as that is known.
fn told(unready: &Unready) -> String {
    match &unready.cause {
        Some(cause) => format!("{unready} ({cause})"),
        None => unready.to_string(),
    }
}

/// Writes what is heard into the condition, until nobody is left to say anything.
pub(super) async fn write(
    context: &Context,
    release: &HelmRelease,
    mut heard: watch::Receiver<String>,
) {
    while heard.changed().await.is_ok() {
        let text = heard.borrow_and_update().clone();
        if let Err(error) = write_one(context, release, &text).await {
            let release = release.metadata.key();
            tracing::debug!(%release, error = chain(&error), "progress cannot be written");
        }
    }
}

async fn write_one(context: &Context, release: &HelmRelease, text: &str) -> Result<(), Error> {
    let key = release.metadata.key();
    let id = ObjectId::new(HELM_RELEASE_API, "HelmRelease", &key.namespace, &key.name);
    let told = |old: &Value| {
        let mut new: HelmReleaseStatus = serde_json::from_value(old.clone()).ok()?;
        let known = condition::find(&new.conditions, RECONCILING)?.clone();
        let begun = known.message.split_once(WAITS).map_or(&*known.message, |(begun, _)| begun);
        let generation = known.observed_generation;
        let mut conditions = Conditions::new(&mut new.conditions, generation, context.clock.now());
        conditions.set(RECONCILING, Truth::True, &known.reason, format!("{begun}{WAITS}{text}"));
        Some(status::to_value(&new))
    };
    status::replace(&context.cluster, &id, told).await.map(drop)
}

/// Logs what a hook said.
pub(super) fn said(log: &str) {
    for line in log.lines() {
        tracing::info!(line, "a hook says");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::cause::{Cause, CauseKind};
    use crate::cluster::status::{ObjectStatus, Status};

    fn unready(name: &str, why: Option<&str>) -> Unready {
        let id = ObjectId::new("v1", "Pod", "n", name);
        let message = String::new();
        let status = ObjectStatus { status: Status::InProgress, reason: String::new(), message };
        let cause = why.map(|why| Cause {
            kind: CauseKind::NotReady,
            object: id.clone(),
            container: None,
            condition: String::new(),
            reason: "Why".to_owned(),
            message: why.to_owned(),
            log: Vec::new(),
        });
        Unready { id, status, cause }
    }

    #[test]
    fn causes_are_told_first_and_only_once_there_are_any() {
        let progress = |unready: Vec<Unready>| Progress { ready: 1, total: 5, unready };
        let none = progress(vec![unready("a", None)]);
        assert_eq!(cause(&none), None);
        assert_eq!(line(&none), "1 of 5 ready; Pod/n/a status: 'InProgress'");
        let names = [("a", None), ("b", None), ("c", None), ("d", Some("why"))];
        let some = progress(names.map(|(name, why)| unready(name, why)).into());
        let told = cause(&some).unwrap_or_default();
        let said = format!("Running{WAITS}{told}");
        assert_eq!(waited_for(&said), Some(&*told));
        assert!(told.starts_with("Pod/n/d status: 'InProgress' ("), "{told}");
        assert!(told.contains("why") && !told.contains("Pod/n/c"), "{told}");
    }
}
