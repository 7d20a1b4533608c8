//! Uninstalls what is no longer wanted: of a deleted object, or of one that means another release now.

use serde_json::json;

use super::context::Context;
use super::execute::{PATIENCE, Work};
use super::history;
use super::notice::{Severity, Subject};
use super::progress::said;
use super::queue::{Phase, Report, Requeue};
use super::site::Site;
use super::summary::{chart_text, release_text};
use super::target::Target;
use crate::api::HelmRelease;
use crate::api::annotation::FINALIZER;
use crate::api::condition::{READY, Truth};
use crate::api::crd::HELM_RELEASE_API;
use crate::base::class::chain;
use crate::cluster::ObjectId;
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
        let removed = match site(context, release).await {
            Ok(Some(site)) => remove((context, &site), release, &target, &subject).await,
            Ok(None) => Ok(()),
            Err(text) => Err(text),
        };
        if let Err(text) = removed {
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

/// Returns where a release is to be uninstalled. None, if the kubeconfig or the account that would do
/// it is gone: with them went who could, and the object must not stay for ever.
///
/// Source: fluxcd/helm-controller internal/controller/helmrelease_controller.go
/// (`reconcileReleaseDeletion`).
async fn site(context: &Context, release: &HelmRelease) -> Result<Option<Site>, String> {
    let key = release.metadata.key();
    let site = match context.sites.of(release).await {
        Ok(site) => site,
        Err(error) if error.is_gone() => {
            tracing::warn!(release = %key, error = chain(&error), "not uninstalled");
            return Ok(None);
        }
        Err(error) => {
            return Err(format!(
                "failed to build REST client getter to uninstall release: {}",
                chain(&error)
            ));
        }
    };
    let Some(account) =
        context.sites.account(release).filter(|_| release.spec.kube_config.is_none())
    else {
        return Ok(Some(site));
    };
    let id = ObjectId::new("v1", "ServiceAccount", &key.namespace, account);
    match context.cluster.get(&id).await {
        Ok(Some(_)) => Ok(Some(site)),
        Ok(None) => {
            tracing::warn!(release = %key, account, "not uninstalled: its ServiceAccount is gone");
            Ok(None)
        }
        Err(error) => Err(format!(
            "failed to confirm ServiceAccount '{account}' can be used to uninstall release: {}",
            chain(&error)
        )),
    }
}

/// The release was moved to another name or namespace, or is of another chart, which is no newer
/// version of the old one: the old one is uninstalled first.
pub(super) async fn moved(work: &mut Work<'_>, chart: &str) -> Result<Option<Report>, Failure> {
    let Some(latest) = history::latest(&work.status.history).cloned() else {
        work.status.storage_namespace.clone_from(&work.target.storage_namespace);
        return Ok(None);
    };
    let old = &work.status.storage_namespace;
    let target = work.target;
    let same = (old.is_empty() || *old == target.storage_namespace)
        && latest.namespace == target.namespace
        && latest.name == target.name
        && (latest.chart_name == chart || work.release.spec.upgrade.takes_another_chart());
    if same {
        work.status.storage_namespace.clone_from(&target.storage_namespace);
        return Ok(None);
    }
    let gone = Target {
        name: latest.name.clone(),
        full_name: latest.name.clone(),
        namespace: latest.namespace.clone(),
        storage_namespace: old.clone(),
    };
    let removed = remove((work.context, work.site), work.release, &gone, work.subject).await;
    if let Err(text) = removed {
        work.conditions(|conditions| conditions.set(READY, Truth::False, "UninstallFailed", text));
        return Ok(Some(Report::new(Requeue::Backoff, Phase::Failed)));
    }
    work.status.history.clear();
    work.status.storage_namespace.clear();
    (work.status.failures, work.status.install_failures, work.status.upgrade_failures) = (0, 0, 0);
    Ok(Some(Report::new(Requeue::Now, Phase::Working)))
}

/// Uninstalls a release for good.
pub(super) async fn remove(
    (context, site): (&Context, &Site),
    release: &HelmRelease,
    target: &Target,
    subject: &Subject,
) -> Result<(), String> {
    let mut work = Work {
        context,
        site,
        release,
        target,
        subject,
        storage: Storage::new(&site.cluster, &target.storage_namespace),
        status: release.status.clone(),
        seen: 0,
        told: super::history::newest(&release.status.history),
    };
    let quiet = |_: &crate::cluster::wait::Progress| {};
    let patience = release.spec.action_timeout(release.spec.uninstall.timeout).0;
    let cluster = site.cluster.patient(patience.min(PATIENCE));
    let env = release::Env {
        storage: Storage::new(&cluster, &target.storage_namespace),
        cluster,
        clock: std::sync::Arc::clone(&context.clock),
        // An uninstall leaves nothing pending.
        holder: "",
        // Hooks are awaited as ever.
        rules: super::manner::rules(release).0,
        progress: &quiet,
        output: &said,
        // Nothing is applied but hooks.
        left: &|_, _| {},
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
