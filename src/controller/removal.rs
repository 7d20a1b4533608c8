//! Uninstalls what is no longer wanted.

use serde_json::json;

use super::context::Context;
use super::execute::{PATIENCE, Work, said};
use super::history;
use super::notice::{Severity, Subject};
use super::queue::{Phase, Report, Requeue};
use super::summary::{chart_text, release_text};
use super::target::Target;
use crate::api::HelmRelease;
use crate::api::annotation::FINALIZER;
use crate::api::crd::HELM_RELEASE_API;
use crate::base::class::chain;
use crate::cluster::ObjectId;
use crate::cluster::wait::Rules;
use crate::release::{self, Storage};

type Failure = crate::cluster::Error;

/// Uninstalls a release whose `HelmRelease` is being deleted, then lets the object go.
pub(super) async fn delete(
    context: &Context,
    release: &HelmRelease,
    id: &ObjectId,
) -> Result<Report, Failure> {
    let ours = release.metadata.finalizers.iter().any(|one| one == FINALIZER);
    if !ours {
        return Ok(Report::new(Requeue::OnChange, Phase::Ready));
    }
    let subject = Subject::new(HELM_RELEASE_API, super::reconcile::KIND, &release.metadata);
    if !release.spec.suspend && !release.status.storage_namespace.is_empty() {
        let mut target = Target::of(release);
        if let Some(latest) = history::latest(&release.status.history) {
            target.name.clone_from(&latest.name);
            target.namespace.clone_from(&latest.namespace);
        }
        target.storage_namespace.clone_from(&release.status.storage_namespace);
        if let Err(text) = remove(context, release, &target, &subject).await {
            let recorder = &context.recorder;
            recorder
                .record(&subject, Severity::Warning, "UninstallFailed", text, &Default::default())
                .await;
            return Ok(Report::new(Requeue::Backoff, Phase::Failed));
        }
    }
    let rest: Vec<_> = release.metadata.finalizers.iter().filter(|one| *one != FINALIZER).collect();
    let patch = json!({"metadata": {"finalizers": rest}});
    match context.cluster.patch_merge(id, &patch, "").await {
        Ok(_) => {}
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error),
    }
    Ok(Report::new(Requeue::Gone, Phase::Ready))
}

/// Uninstalls a release for good.
pub(super) async fn remove(
    context: &Context,
    release: &HelmRelease,
    target: &Target,
    subject: &Subject,
) -> Result<(), String> {
    let mut work = Work {
        context,
        release,
        target,
        subject,
        storage: Storage::new(&context.cluster, &target.storage_namespace),
        status: release.status.clone(),
        seen: 0,
        told: super::history::newest(&release.status.history),
    };
    let quiet = |_: &crate::cluster::wait::Progress| {};
    let patience = release.spec.action_timeout(release.spec.uninstall.timeout).0;
    let cluster = context.cluster.patient(patience.min(PATIENCE));
    let env = release::Env {
        storage: Storage::new(&cluster, &target.storage_namespace),
        cluster,
        clock: std::sync::Arc::clone(&context.clock),
        // An uninstall leaves nothing pending.
        holder: "",
        rules: Rules::default(),
        progress: &quiet,
        output: &said,
    };
    let last = history::latest(&release.status.history).cloned();
    let outcome = work.uninstall(&env).await;
    match outcome.result {
        Ok(()) => {
            let what = last.map_or_else(
                || format!("{}/{}", target.namespace, target.name),
                |last| format!("{} with chart {}", release_text(&last), chart_text(&last)),
            );
            let text = format!("Helm uninstall succeeded for release {what}");
            let recorder = &context.recorder;
            recorder
                .record(subject, Severity::Normal, "UninstallSucceeded", text, &Default::default())
                .await;
            Ok(())
        }
        Err(error) => Err(format!(
            "Helm uninstall failed for release {}/{}: {}",
            target.namespace,
            target.name,
            chain(&error)
        )),
    }
}
