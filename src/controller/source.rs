//! What the controllers of all sources have in common: how a reconciliation begins, and what is said
//! at its end.
//!
//! Source: fluxcd/source-controller internal/reconcile/summarize.

use std::collections::BTreeMap;
use std::future::Future;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::context::Context;
use super::notice::{Severity, Subject};
use super::queue::{Phase, Report, Requeue};
use super::settled::{Failure, Success, Told, news, settle};
use super::{status, unreadable};
use crate::api::annotation::{FINALIZER, REQUESTED_AT};
use crate::api::condition::ConditionList;
use crate::api::crd::HELM_REPOSITORY_API;
use crate::api::{
    Artifact, Bucket, BucketStatus, GitRepository, GitRepositoryStatus, HelmChart, HelmChartStatus,
    HelmRepository, HelmRepositoryStatus, Meta, OciRepository, OciRepositoryStatus,
};
use crate::base::class::chain;
use crate::base::duration::GoDuration;
use crate::base::name::NamespacedName;
use crate::cluster::{self, Cluster, ObjectId};

/// API version of all sources.
const API: &str = HELM_REPOSITORY_API;
/// Its group.
const GROUP: &str = "source.toolkit.fluxcd.io";

/// An object whose artifact others use.
pub(super) trait Source: DeserializeOwned {
    /// Its kind.
    const KIND: &'static str;
    /// Name of its newest artifact among its files.
    const LATEST: &'static str;
    /// What is said of it.
    type Status: Said;
    /// Returns its name and bookkeeping.
    fn meta(&self) -> &Meta;
    /// Returns what was said of it last.
    fn status(&self) -> &Self::Status;
    /// Whether nothing is to be done.
    fn is_suspended(&self) -> bool;

    /// Returns who it is.
    fn id(key: &NamespacedName) -> ObjectId {
        ObjectId::new(API, Self::KIND, &key.namespace, &key.name)
    }

    /// Returns whom an event is about.
    fn subject(&self) -> Subject {
        Subject::new(API, Self::KIND, self.meta())
    }
}

/// What is said of every source.
pub(super) trait Said: Clone + Serialize {
    /// Returns the fields that all have.
    fn parts(&mut self) -> Parts<'_>;
}

/// Fields that the status of every source has.
pub(super) struct Parts<'a> {
    pub(super) observed_generation: &'a mut i64,
    pub(super) conditions: &'a mut ConditionList,
    pub(super) artifact: &'a mut Option<Artifact>,
    pub(super) last_handled: &'a mut String,
}

macro_rules! sources {
    ($($module:ident: $object:ident $status:ident $latest:literal,)*) => {$(
        impl Source for $object {
            const KIND: &'static str = super::$module::KIND;
            const LATEST: &'static str = $latest;
            type Status = $status;

            fn meta(&self) -> &Meta {
                &self.metadata
            }

            fn status(&self) -> &$status {
                &self.status
            }

            fn is_suspended(&self) -> bool {
                self.spec.suspend
            }
        }

        impl Said for $status {
            fn parts(&mut self) -> Parts<'_> {
                Parts {
                    observed_generation: &mut self.observed_generation,
                    conditions: &mut self.conditions,
                    artifact: &mut self.artifact,
                    last_handled: &mut self.last_handled_reconcile_at,
                }
            }
        }
    )*};
}

sources! {
    repository: HelmRepository HelmRepositoryStatus "index.yaml",
    oci_repository: OciRepository OciRepositoryStatus "latest.tar.gz",
    git_repository: GitRepository GitRepositoryStatus "latest.tar.gz",
    bucket: Bucket BucketStatus "latest.tar.gz",
    helm_chart: HelmChart HelmChartStatus "latest.tar.gz",
}

/// A source whose artifact is looked for at its server: what is particular to its kind.
pub(super) trait Looked: Source + Sync {
    /// What was found.
    type Seen: Send;

    /// Returns how often it is looked for.
    fn interval(&self) -> Option<GoDuration>;

    /// Looks for it, and stores what is new.
    fn look(&self, context: &Context) -> impl Future<Output = Result<Self::Seen, Failure>> + Send;

    /// Returns its status with what was found, and what is said of that.
    fn said(
        &self,
        context: &Context,
        result: Result<Self::Seen, Failure>,
    ) -> (Self::Status, Result<Success, Failure>);
}

/// Asks the server of a source if it is time, and says how it went.
pub(super) async fn reconcile<T: Looked>(context: &Context, key: &NamespacedName) -> Report {
    ended(T::KIND, key, looked::<T>(context, key).await)
}

async fn looked<T: Looked>(
    context: &Context,
    key: &NamespacedName,
) -> Result<Report, cluster::Error> {
    let source: T = match begin(context, key).await? {
        Ok(source) => source,
        Err(report) => return Ok(report),
    };
    let result = source.look(context).await;
    let given = context.options.interval.or(source.interval().map(|given| given.0));
    let failed = result.as_ref().err().map(|failure| failure.class);
    let report = Report::of_artifact(failed, given);
    let (status, result) = source.said(context, result);
    note(context, &source, status, result).await?;
    Ok(report)
}

/// Returns how a reconciliation ended; of one that the API stopped, that it is tried again.
pub(super) fn ended(
    kind: &'static str,
    key: &NamespacedName,
    result: Result<Report, cluster::Error>,
) -> Report {
    result.unwrap_or_else(|error| {
        tracing::warn!(kind, source = %key, error = chain(&error), "trying again");
        Report::new(Requeue::Backoff, Phase::Failed)
    })
}

/// Reads an object that is to be reconciled; of one that is not there, that cannot be read, or that
/// is to be left alone, says how its reconciliation ends.
pub(super) async fn begin<T: Source>(
    context: &Context,
    key: &NamespacedName,
) -> Result<Result<T, Report>, cluster::Error> {
    let id = T::id(key);
    let source: T = match unreadable::read(context, &id, (API, T::KIND)).await? {
        Ok(source) => source,
        Err(report) => {
            if report.requeue == Requeue::Gone {
                forget::<T>(context, key);
            }
            return Ok(Err(report));
        }
    };
    let meta = source.meta();
    let leaves = meta.deletion_timestamp.is_some();
    if leaves {
        forget::<T>(context, key);
        release(&context.cluster, &id, meta).await?;
    }
    let alone = Report::new(Requeue::OnChange, Phase::Ready);
    Ok(if leaves || source.is_suspended() { Err(alone) } else { Ok(source) })
}

/// Removes the artifacts of an object.
pub(super) fn forget<T: Source>(context: &Context, key: &NamespacedName) {
    if let Some(storage) = &context.options.storage {
        storage.remove(T::KIND, &key.namespace, &key.name);
    }
}

/// Takes away what Flux left, so that a deletion ends.
async fn release(cluster: &Cluster, id: &ObjectId, meta: &Meta) -> Result<(), cluster::Error> {
    let others = meta.finalizers.iter().filter(|one| *one != FINALIZER);
    let others: Vec<&String> = others.collect();
    if others.len() == meta.finalizers.len() {
        return Ok(());
    }
    let version = &meta.resource_version;
    let patch = json!({"metadata": {"finalizers": others, "resourceVersion": version}});
    match cluster.patch_merge(id, &patch, "").await {
        Err(error) if !error.is_not_found() => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Says how a reconciliation went: conditions, an event, and the rest of the status, which comes with
/// what is particular to its kind.
pub(super) async fn note<T: Source>(
    context: &Context,
    source: &T,
    mut new: T::Status,
    result: Result<Success, Failure>,
) -> Result<(), cluster::Error> {
    let meta = source.meta();
    let news = news(source.status().clone(), &mut new);
    let at = (meta.generation, context.clock.now());
    let event = match settle(new.parts(), at, news, result) {
        Told::Nothing => None,
        Told::Progress(reason, text) => {
            context.recorder.progress(&source.subject(), reason, text);
            None
        }
        Told::Event(severity, reason, text) => Some((severity, reason, text)),
    };
    finish(context, source, new, event).await
}

/// Says which artifact an event is about.
fn annotations(artifact: Option<&Artifact>) -> BTreeMap<String, String> {
    let of = |artifact: &Artifact| {
        let pairs = [("revision", &artifact.revision), ("digest", &artifact.digest)];
        pairs.map(|(name, value)| (format!("{GROUP}/{name}"), value.clone())).into()
    };
    artifact.map(of).unwrap_or_default()
}

/// Writes a status, and the event that belongs to it.
pub(super) async fn finish<T: Source>(
    context: &Context,
    source: &T,
    mut new: T::Status,
    event: Option<(Severity, &'static str, String)>,
) -> Result<(), cluster::Error> {
    let meta = source.meta();
    if let Some(requested) = meta.annotation(REQUESTED_AT) {
        requested.clone_into(new.parts().last_handled);
    }
    if let Some((severity, reason, message)) = event {
        let annotations = match severity {
            Severity::Normal => annotations(new.parts().artifact.as_ref()),
            Severity::Warning | Severity::Progress => BTreeMap::new(),
        };
        let recorder = &context.recorder;
        recorder.record(&source.subject(), severity, reason, message, &annotations).await;
    }
    status::write(&context.cluster, &T::id(&meta.key()), source.status(), &new).await
}
