//! What a release needs before anything is decided: dependencies, version, values, chart.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::chart_ref::Chosen;
use super::context::Context;
use super::memory::Memory;
use super::offer::{self, Offered};
use super::values::{self, Fetched, Receiver};
use super::{
    access, bucket, chart_ref, dependency, external_artifact, helm_chart, manner, named_chart,
    repository_chart, tree_chart,
};
use crate::api::annotation::CONFLICTS;
use crate::api::{
    Bucket, ExternalArtifact, GitRepository, HelmChart, HelmRelease, HelmRepository, OciRepository,
    ValuesReference,
};
use crate::base::class::{Class, chain};
use crate::chart::Chart;
use crate::cluster::{Cluster, Object, ObjectId};
use crate::policy::Decision;
use crate::release::Method;
use crate::repo::Pulled;
use crate::yaml::{Map, Value};

/// Everything that a decision about a release needs.
#[derive(Debug)]
pub(super) struct Prerequisites {
    /// The chart of the chosen version.
    pub pulled: Pulled,
    /// The composed values.
    pub values: Map,
    /// Their digest.
    pub config_digest: String,
    /// The chosen version, and the ones held back.
    pub decision: Decision,
    /// The constraint.
    pub constraint: String,
    /// Digest of the source, of an `OCIRepository`.
    pub oci_digest: String,
    /// All that the source has, as far as it is known.
    pub offered: Option<Offered>,
}

/// How conditions, but no events, begin about what only a change of the object can put right.
pub(super) const TERMINAL: &str = "Reconciliation failed terminally due to configuration error: ";

/// Why a release cannot go on: what its condition says.
#[derive(Debug)]
pub(super) struct Problem {
    /// Reason of the condition.
    pub reason: &'static str,
    /// Its message.
    pub message: String,
    /// What to do about it.
    pub class: Class,
    /// Whether a person has to change something (`Stalled`).
    pub stalled: bool,
    /// Whether it waits for another object.
    pub waits: bool,
}

impl Problem {
    pub(super) fn new(reason: &'static str, message: impl Into<String>, class: Class) -> Self {
        Self { reason, message: message.into(), class, stalled: false, waits: false }
    }

    fn terminal(why: &str) -> Self {
        Self::misconfigured("InvalidCELExpression", why)
    }

    fn misconfigured(reason: &'static str, why: &str) -> Self {
        Self::new(reason, format!("{TERMINAL}{why}"), Class::Stalled).stalled()
    }

    pub(super) fn waiting(mut self) -> Self {
        self.waits = true;
        self
    }

    pub(super) fn stalled(mut self) -> Self {
        self.stalled = true;
        self
    }
}

/// Checks and fetches, in Flux's order.
///
/// # Errors
/// The first thing that is missing.
pub(super) async fn gather(
    context: &Context,
    release: &HelmRelease,
    memory: &mut Memory,
) -> Result<Prerequisites, Problem> {
    let unsupported = release.spec.unsupported();
    if !unsupported.is_empty() {
        let text = format!(
            "not supported by this version of Leadsman: {}; remove it or leave this release to Flux",
            unsupported.join(", ")
        );
        return Err(Problem::new("Unsupported", text, Class::Stalled).stalled());
    }
    manner::health(&release.spec.health_check_exprs).map_err(|why| Problem::terminal(&why))?;
    // A rule that is left out would overwrite what somebody asked to be left alone.
    manner::conflicts(Method::Server, release.metadata.annotation(CONFLICTS))
        .map_err(|why| Problem::misconfigured("InvalidAnnotation", &why))?;
    dependency::check(&context.cluster, release).await.map_err(|error| match error {
        dependency::Error::Expression { .. } => Problem::terminal(&chain(&error)),
        dependency::Error::Circle(_) => {
            Problem::new("DependencyCycle", error.to_string(), Class::Stalled).stalled()
        }
        dependency::Error::Missing(_) => {
            Problem::new("DependencyNotReady", error.to_string(), Class::Stalled).waiting()
        }
        dependency::Error::Unavailable { .. }
        | dependency::Error::NotReady(_)
        | dependency::Error::NotMet(_)
        | dependency::Error::Evaluated(_) => {
            Problem::new("DependencyNotReady", error.to_string(), Class::Retry).waiting()
        }
    })?;
    let from = Source::of(context, release).await?;
    let values = compose(&context.cluster, release).await?;
    let config_digest = values::digest(&values);
    let chosen = from.choose(context, release, &config_digest, memory).await?;
    let Chosen { pulled, decision, constraint, oci_digest } = chosen;
    let offered = from.offered(context, release).await;
    Ok(Prerequisites { pulled, values, config_digest, decision, constraint, oci_digest, offered })
}

/// Where the chart of a release comes from.
enum Source {
    Helm(HelmRepository),
    Oci(OciRepository),
    Git(GitRepository),
    Bucket(Bucket),
    Chart(HelmChart),
    External(ExternalArtifact),
}

impl Source {
    /// Returns the one that a release names, if it is ready.
    async fn of(context: &Context, release: &HelmRelease) -> Result<Self, Problem> {
        if let Some(reference) = &release.spec.chart_ref {
            let named = (chart_ref::FIELD, reference);
            return Ok(match reference.kind.as_str() {
                helm_chart::KIND => Self::Chart(chart_ref::source(context, release, named).await?),
                external_artifact::KIND => {
                    Self::External(external_artifact::source(context, release, named).await?)
                }
                _ => Self::Oci(chart_ref::source(context, release, named).await?),
            });
        }
        let reference = release.spec.chart.as_ref().map(|chart| &chart.spec.source_ref);
        if let Some(reference) = reference.filter(|one| one.is_files()) {
            let named = ("sourceRef", reference);
            return Ok(match reference.kind.as_str() {
                bucket::KIND => Self::Bucket(chart_ref::source(context, release, named).await?),
                _ => Self::Git(chart_ref::source(context, release, named).await?),
            });
        }
        let repository = repository_chart::source(context, release).await?;
        repository_chart::list(context, release, &repository).await?;
        Ok(Self::Helm(repository))
    }

    /// Returns all versions that it has, as far as they are known; files have one.
    async fn offered(&self, context: &Context, release: &HelmRelease) -> Option<Offered> {
        match self {
            Self::Helm(source) => offer::by_repository(context, release, source),
            Self::Oci(source) => offer::by_artifact(context, source),
            Self::Git(_) | Self::Bucket(_) | Self::External(_) => None,
            Self::Chart(source) => offer::by_chart(context, source).await,
        }
    }

    async fn choose(
        &self,
        context: &Context,
        release: &HelmRelease,
        config_digest: &str,
        memory: &mut Memory,
    ) -> Result<Chosen, Problem> {
        match self {
            Self::Helm(source) => {
                repository_chart::choose(context, (release, source), config_digest, memory).await
            }
            Self::Oci(source) => {
                chart_ref::choose(context, (release, source), config_digest, memory).await
            }
            Self::Git(source) => {
                tree_chart::choose(context, (release, source), config_digest, memory).await
            }
            Self::Bucket(source) => {
                tree_chart::choose(context, (release, source), config_digest, memory).await
            }
            Self::Chart(source) => {
                named_chart::choose(context, (release, source), config_digest, memory).await
            }
            Self::External(source) => {
                external_artifact::choose(context, (release, source), config_digest, memory).await
            }
        }
    }
}

/// Finds the chart that a release would run now and gives its values to whoever merges them, as
/// [`gather`] does, without its dependencies; the repository is asked for news first, and nothing
/// is written or remembered.
///
/// # Errors
/// What the release's condition would say.
pub async fn preview(
    context: &Context,
    release: &HelmRelease,
    into: &mut (dyn Receiver + Send),
) -> Result<Arc<Chart>, String> {
    let unsupported = release.spec.unsupported();
    if !unsupported.is_empty() {
        return Err(format!("not supported: {}", unsupported.join(", ")));
    }
    let said = |problem: Problem| problem.message;
    let from = Source::of(context, release).await.map_err(said)?;
    if let Source::Helm(repository) = &from
        && !repository.spec.is_oci()
    {
        let spec = access::spec(&context.cluster, repository).await.map_err(|(_, text, _)| text)?;
        context.repositories.refresh(&spec).await.map_err(|error| chain(&error))?;
    }
    let values = compose(&context.cluster, release).await.map_err(said)?;
    let digest = values::digest(&values);
    let meta = &release.metadata;
    let memory = super::memory::read(&context.cluster, &meta.namespace, &meta.name).await;
    let mut memory = memory.map_err(|error| chain(&error))?;
    let chosen = from.choose(context, release, &digest, &mut memory).await.map_err(said)?;
    compose_into(into, &context.cluster, release).await.map_err(said)?;
    Ok(chosen.pulled.chart)
}

/// Gives the values of a release, those of its references and its own, to whoever merges them.
///
/// # Errors
/// What the release's condition would say.
pub async fn compose_values(
    into: &mut (dyn Receiver + Send),
    cluster: &Cluster,
    release: &HelmRelease,
) -> Result<(), String> {
    compose_into(into, cluster, release).await.map_err(|problem| problem.message)
}

async fn compose(cluster: &Cluster, release: &HelmRelease) -> Result<Map, Problem> {
    let mut values = Map::new();
    compose_into(&mut values, cluster, release).await?;
    Ok(values)
}

/// Fetches what references hold, and gives all values to whoever merges them.
async fn compose_into(
    into: &mut (dyn Receiver + Send),
    cluster: &Cluster,
    release: &HelmRelease,
) -> Result<(), Problem> {
    let namespace = &release.metadata.namespace;
    let mut fetched: BTreeMap<(String, String), Fetched> = BTreeMap::new();
    for reference in &release.spec.values_from {
        let key = (reference.kind.clone(), reference.name.clone());
        if let std::collections::btree_map::Entry::Vacant(e) = fetched.entry(key) {
            e.insert(fetch(cluster, namespace, reference).await);
        }
    }
    let find = |reference: &ValuesReference| {
        let key = (reference.kind.clone(), reference.name.clone());
        fetched.get(&key).cloned().unwrap_or(Ok(None))
    };
    let given = (&release.spec.values_from[..], release.spec.values.as_ref());
    values::compose_into(into, namespace, given, find)
        .map_err(|error| Problem::new("ValuesError", error.to_string(), Class::Retry))
}

async fn fetch(cluster: &Cluster, namespace: &str, reference: &ValuesReference) -> Fetched {
    if !matches!(reference.kind.as_str(), "ConfigMap" | "Secret") {
        return Err("unsupported values reference kind".to_owned());
    }
    let id = ObjectId::new("v1", &reference.kind, namespace, &reference.name);
    match cluster.get(&id).await {
        Ok(Some(found)) => Ok(Some(decoded(&found))),
        Ok(None) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// Returns the texts of a ConfigMap or Secret.
pub(super) fn decoded(object: &Object) -> BTreeMap<String, String> {
    use base64::Engine as _;
    let secret = object.kind() == "Secret";
    let data = object.at("/data").and_then(Value::as_object);
    data.into_iter()
        .flatten()
        .map(|(key, value)| {
            let text = value.as_str().unwrap_or_default();
            let text = if secret {
                let bytes = base64::engine::general_purpose::STANDARD.decode(text);
                String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
            } else {
                text.to_owned()
            };
            (key.clone(), text)
        })
        .collect()
}
