//! What is tried again, and when.

use super::execute::Work;
use super::history;
use super::next::retry_interval;
use super::queue::{Phase, Report, Requeue, jittered};
use crate::api::condition::{self, READY, RECONCILING, Truth};
use crate::base::class::chain;
use crate::base::clock::Timestamp;
use crate::release;

/// The step of this kind ran already: it is tried again, later or at once.
pub(super) fn again(work: &mut Work<'_>) -> Report {
    if let Some(pause) = retry_interval(&work.release.spec, &work.status) {
        let text = format!("retrying after {pause}");
        work.conditions(|c| c.set(RECONCILING, Truth::True, "ProgressingWithRetry", text));
        return Report::new(Requeue::After(jittered(pause.0)), Phase::Failed);
    }
    let ready = condition::find(&work.status.conditions, READY).map(|ready| ready.message.clone());
    work.conditions(|conditions| {
        conditions.set(RECONCILING, Truth::True, "ProgressingWithRetry", ready.unwrap_or_default());
    });
    Report::new(Requeue::Backoff, Phase::Working)
}

/// Under a retry strategy a failed release is left alone until its interval is over, whoever else
/// has it looked at: a source that moved says nothing new of it.
pub(super) fn rest(work: &Work<'_>) -> Option<Report> {
    let interval = retry_interval(&work.release.spec, &work.status)?;
    let latest = history::latest(&work.status.history)?;
    let began: Timestamp = latest.last_deployed.parse().ok()?;
    let passed = work.context.clock.now().duration_since(began).try_into().ok()?;
    let left = interval.0.checked_sub(passed)?;
    Some(Report::new(Requeue::After(left), Phase::Failed))
}

/// Says that the state of a release cannot be determined.
pub(super) fn undetermined(work: &mut Work<'_>, error: &release::Error) -> Report {
    let why = match error {
        release::Error::Cluster(_) => "query: failed to query with labels: ",
        _ => "",
    };
    let text = format!(
        "Could not determine release state: failed to retrieve last release from storage: {why}{}",
        chain(error)
    );
    let ready = condition::find(&work.status.conditions, READY);
    if ready.is_none_or(|ready| ready.message != text) {
        work.context.recorder.progress(work.subject, "StateError", &text);
    }
    work.conditions(|conditions| {
        conditions.set(RECONCILING, Truth::True, "Progressing", "Fulfilling prerequisites");
        conditions.set(READY, Truth::False, "StateError", text);
    });
    Report::new(Requeue::Backoff, Phase::Failed)
}
