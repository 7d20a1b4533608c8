//! A release that is in sync: conditions say so, and live objects are compared.
//!
//! Source: fluxcd/helm-controller internal/reconcile/correct_cluster_drift.go.

use super::execute::Work;
use super::ignore::Rules;
use super::notice::Severity;
use super::summary::{release_text, settle_in_sync};
use super::{history, manner, postrender};
use crate::api::DriftMode;
use crate::api::annotation::CONFLICTS;
use crate::api::condition::{DRIFTED, Truth};
use crate::base::class::chain;
use crate::release::{self, Drift, Method, conflict};

/// Settles the conditions; looks for drift where that is asked for, and puts it right.
pub(super) async fn settle(work: &mut Work<'_>) {
    let latest = history::latest(&work.status.history).cloned().unwrap_or_default();
    let test = &work.release.spec.test;
    work.conditions(|conditions| settle_in_sync(conditions, &latest, test));
    postrender::note(&work.release.spec, &mut work.status);
    let mode = work.release.spec.drift_detection.mode;
    if mode == DriftMode::Disabled {
        work.conditions(|conditions| conditions.delete(DRIFTED));
        return;
    }
    let Some(drifts) = find(work).await else { return };
    if drifts.is_empty() {
        return none_left(work);
    }
    let of = release_text(&latest);
    let lines: Vec<_> = drifts.iter().map(Drift::summary).collect();
    let text = format!(
        "Cluster state of release {of} has drifted from the desired state:\n{}",
        lines.join("\n")
    );
    work.conditions(|conditions| conditions.set(DRIFTED, Truth::True, "DriftDetected", &text));
    tell(work, Severity::Warning, "DriftDetected", text).await;
    if mode == DriftMode::Enabled {
        correct(work, &of, &drifts).await;
    }
}

/// What the release says about fields of others; what cannot be read ended the reconciliation before.
fn rules(work: &Work<'_>) -> Result<conflict::Rules, String> {
    manner::conflicts(Method::Server, work.release.metadata.annotation(CONFLICTS))
}

/// Compares; `None` where nothing can be said.
async fn find(work: &Work<'_>) -> Option<Vec<Drift>> {
    let (_, record) = work.storage.last_outline(&work.target.name).await.ok()??;
    let ignore = Rules::new(&work.release.spec.drift_detection.ignore);
    let rules = rules(work).ok()?;
    let found = release::find_drift(&work.site.cluster, &record, (&ignore, &rules)).await;
    found
        .inspect_err(|error| {
            let release = work.release.metadata.key();
            tracing::warn!(%release, error = chain(error), "drift cannot be determined");
        })
        .ok()
}

async fn correct(work: &mut Work<'_>, of: &str, drifts: &[Drift]) {
    let Ok(rules) = rules(work) else { return };
    let (done, failed) = release::correct(&work.site.cluster, drifts, &rules).await;
    if failed.is_empty() {
        let text =
            format!("Cluster state of release {of} has been corrected:\n{}", done.join("\n"));
        tell(work, Severity::Normal, "DriftCorrected", text).await;
        none_left(work);
    } else {
        let text =
            format!("Failed to correct cluster state of release {of}:\n{}", failed.join("\n"));
        tell(work, Severity::Warning, "DriftCorrectionFailed", text).await;
    }
}

fn none_left(work: &mut Work<'_>) {
    let text = "No drift detected against the cluster state";
    work.conditions(|conditions| conditions.set(DRIFTED, Truth::False, "NoDriftDetected", text));
}

async fn tell(work: &Work<'_>, severity: Severity, reason: &'static str, text: String) {
    work.context.recorder.record(work.subject, severity, reason, text, &Default::default()).await;
}
