//! What a release needs before anything is decided: dependencies, version, values, chart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::chart_ref::{self, Chosen};
use super::context::Context;
use super::memory::Memory;
use super::offer::{self, Offered};
use super::values::{self, Fetched, Receiver};
use super::{access, dependency, git_chart, history, manner, repository};
use crate::api::annotation::{CONFLICTS, HOLD, PIN, REQUESTED_AT};
use crate::api::crd::HELM_REPOSITORY_API;
use crate::api::{GitRepository, HelmRelease, HelmRepository, OciRepository, ValuesReference};
use crate::base::class::{Class, chain};
use crate::chart::Chart;
use crate::cluster::{Cluster, Object, ObjectId};
use crate::policy::{Candidate, Decision, Rules, Seen, Verdict, decide};
use crate::release::Method;
use crate::repo::Pulled;
use crate::yaml::{Map, Value};

/// How long tags are good for where nobody says it.
const PAUSE: Duration = Duration::from_secs(60);

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
    if let Some(artifact) = Artifact::of(context, release).await? {
        let values = compose(&context.cluster, release).await?;
        let config_digest = values::digest(&values);
        let chosen = artifact.choose(context, release, &config_digest, memory).await?;
        let Chosen { pulled, decision, constraint, oci_digest } = chosen;
        return Ok(Prerequisites {
            pulled,
            values,
            config_digest,
            decision,
            constraint,
            oci_digest,
            offered: artifact.offered(context),
        });
    }
    let repository = source(context, release).await?;
    list(context, release, &repository).await?;
    let values = compose(&context.cluster, release).await?;
    let config_digest = values::digest(&values);
    let chosen = choose(context, release, &repository, &config_digest, memory);
    say_troubles(context, &repository).await;
    let (decision, constraint) = chosen?;
    let pulled = pull(context, release, &repository, &decision).await;
    say_troubles(context, &repository).await;
    let pulled = pulled?;
    let oci_digest = String::new();
    let offered = offer::by_repository(context, release, &repository);
    Ok(Prerequisites { pulled, values, config_digest, decision, constraint, oci_digest, offered })
}

/// A source whose artifact is a chart, or has one in it.
enum Artifact {
    Oci(OciRepository),
    Git(GitRepository),
}

impl Artifact {
    /// Returns the one that a release names; none where it names an index.
    async fn of(context: &Context, release: &HelmRelease) -> Result<Option<Self>, Problem> {
        if let Some(reference) = &release.spec.chart_ref {
            let source = chart_ref::source(context, release, reference).await?;
            return Ok(Some(Self::Oci(source)));
        }
        let reference = release.spec.chart.as_ref().map(|chart| &chart.spec.source_ref);
        let Some(reference) = reference.filter(|one| one.is_git()) else {
            return Ok(None);
        };
        git_chart::source(context, release, reference).await.map(|source| Some(Self::Git(source)))
    }

    /// Returns all versions that it has, as far as they are known; a Git repository has one.
    fn offered(&self, context: &Context) -> Option<Offered> {
        match self {
            Self::Oci(source) => offer::by_artifact(context, source),
            Self::Git(_) => None,
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
            Self::Oci(source) => {
                chart_ref::choose(context, (release, source), config_digest, memory).await
            }
            Self::Git(source) => {
                git_chart::choose(context, (release, source), config_digest, memory).await
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
    if let Some(artifact) = Artifact::of(context, release).await.map_err(said)? {
        let values = compose(&context.cluster, release).await.map_err(said)?;
        let digest = values::digest(&values);
        let meta = &release.metadata;
        let memory = super::memory::read(&context.cluster, &meta.namespace, &meta.name).await;
        let mut memory = memory.map_err(|error| chain(&error))?;
        let chosen = artifact.choose(context, release, &digest, &mut memory).await;
        let pulled = chosen.map_err(said)?.pulled;
        compose_into(into, &context.cluster, release).await.map_err(said)?;
        return Ok(pulled.chart);
    }
    let repository = source(context, release).await.map_err(said)?;
    let spec = access::spec(&context.cluster, &repository).await.map_err(|(_, text, _)| text)?;
    if spec.registry.is_some() {
        list(context, release, &repository).await.map_err(said)?;
    } else {
        context.repositories.refresh(&spec).await.map_err(|error| chain(&error))?;
    }
    let mut values = Map::new();
    compose_into(&mut values, &context.cluster, release).await.map_err(said)?;
    let meta = &release.metadata;
    let memory = super::memory::read(&context.cluster, &meta.namespace, &meta.name).await;
    let mut memory = memory.map_err(|error| chain(&error))?;
    let digest = values::digest(&values);
    let (decision, _) =
        choose(context, release, &repository, &digest, &mut memory).map_err(said)?;
    let pulled = pull(context, release, &repository, &decision).await.map_err(said)?;
    compose_into(into, &context.cluster, release).await.map_err(said)?;
    Ok(pulled.chart)
}

async fn say_troubles(context: &Context, repository: &HelmRepository) {
    if let Ok(url) = repository.spec.url.parse() {
        repository::say_troubles(context, repository, &url).await;
    }
}

async fn source(context: &Context, release: &HelmRelease) -> Result<HelmRepository, Problem> {
    let Some(chart) = &release.spec.chart else {
        let text = "spec.chart is missing";
        return Err(Problem::new("ArtifactFailed", text, Class::Stalled).stalled());
    };
    let source = &chart.spec.source_ref;
    if source.kind != repository::KIND {
        let text =
            format!("sourceRef.kind {} is not supported by this version of Leadsman", source.kind);
        return Err(Problem::new("Unsupported", text, Class::Stalled).stalled());
    }
    let own = &release.metadata.namespace;
    let namespace = if source.namespace.is_empty() { own } else { &source.namespace };
    let id = ObjectId::new(HELM_REPOSITORY_API, repository::KIND, namespace, &source.name);
    let found = context.cluster.get(&id).await.map_err(|error| {
        Problem::new(
            "ArtifactFailed",
            format!("could not get Source object: {error}"),
            error.class(),
        )
    })?;
    let Some(found) = found else {
        let text = format!(
            "HelmRepository '{namespace}/{}' is not ready: it does not exist; create it or correct sourceRef",
            source.name
        );
        return Err(Problem::new("SourceNotReady", text, Class::Stalled).waiting());
    };
    let repository: HelmRepository = serde_json::from_value(found.0).unwrap_or_default();
    if repository.status.artifact.is_none() && !repository.spec.is_oci() {
        let ready = crate::api::condition::find(&repository.status.conditions, "Ready");
        let why = ready.map_or("does not have an artifact", |condition| &condition.message);
        let text = format!("HelmRepository '{namespace}/{}' is not ready: {why}", source.name);
        return Err(Problem::new("SourceNotReady", text, Class::Retry).waiting());
    }
    Ok(repository)
}

/// Makes sure that the versions of a chart in a registry are known: not older than its interval, or
/// new ones, if somebody asks for them.
async fn list(
    context: &Context,
    release: &HelmRelease,
    repository: &HelmRepository,
) -> Result<(), Problem> {
    let Some(chart) = release.spec.chart.as_ref().filter(|_| repository.spec.is_oci()) else {
        return Ok(());
    };
    let fail = |text: String, class| {
        Problem::new("SourceNotReady", not_ready(repository, &text), class).waiting()
    };
    let spec = access::spec(&context.cluster, repository).await;
    let spec = spec.map_err(|(_, text, class)| fail(text, class))?;
    let asked = release.metadata.annotation(REQUESTED_AT);
    let asked = asked.is_some_and(|at| at != release.status.last_handled_reconcile_at);
    let interval =
        chart.spec.interval.or(release.spec.interval).map_or(PAUSE, |interval| interval.0);
    let age = match context.options.interval.unwrap_or(interval) {
        _ if asked => Duration::ZERO,
        // Releases look at the end of their interval, give or take.
        interval => interval.mul_f64(0.9),
    };
    let wanted = (chart.spec.version.as_deref().unwrap_or("*"), age);
    let listed = context.repositories.list(&spec, &chart.spec.chart, wanted).await;
    listed.map_err(|error| fail(format!("chart pull error: {}", chain(&error)), error.class()))
}

fn not_ready(repository: &HelmRepository, text: &str) -> String {
    format!("HelmRepository '{}' is not ready: {text}", repository.metadata.key())
}

fn choose(
    context: &Context,
    release: &HelmRelease,
    repository: &HelmRepository,
    config_digest: &str,
    memory: &mut Memory,
) -> Result<(Decision, String), Problem> {
    let chart = &release.spec.chart.as_ref().map(|chart| chart.spec.clone()).unwrap_or_default();
    let constraint = chart.version.clone().unwrap_or_else(|| "*".to_owned());
    let quarantine = std::mem::take(&mut memory.quarantine);
    memory.quarantine = quarantine.still_valid(&constraint, config_digest);
    let url = repository.spec.url.parse().map_err(|error: crate::base::secret::UrlError| {
        Problem::new("SourceNotReady", not_ready(repository, &error.to_string()), Class::Stalled)
    })?;
    let candidates = match context.repositories.resolve(&url, &chart.chart, &constraint) {
        Ok(entries) => entries
            .into_iter()
            .map(|entry| Candidate { text: entry.text, version: entry.version })
            .collect(),
        // What runs may go on running when the range is empty.
        Err(crate::repo::Error::NoVersion { .. }) if release.metadata.annotation(PIN).is_some() => {
            Vec::new()
        }
        Err(error) => {
            let problem = Problem::new(
                "SourceNotReady",
                not_ready(repository, &chain(&error)),
                error.class(),
            );
            return Err(problem.waiting());
        }
    };
    let rules = Rules {
        pin: release.metadata.annotation(PIN).filter(|pin| !pin.is_empty()),
        hold: release.metadata.annotation(HOLD),
    };
    let seen = Seen {
        deployed: history::newest_good(&release.status.history).map(|h| h.chart_version.as_str()),
        constraint_changed: memory.constraint != constraint,
        quarantine: &memory.quarantine,
    };
    Ok((decide(&candidates, rules, &seen), constraint))
}

async fn pull(
    context: &Context,
    release: &HelmRelease,
    repository: &HelmRepository,
    decision: &Decision,
) -> Result<Pulled, Problem> {
    let chart =
        release.spec.chart.as_ref().map(|chart| chart.spec.chart.clone()).unwrap_or_default();
    let Verdict::Run(wanted) = &decision.verdict else {
        let held: Vec<_> =
            decision.held.iter().map(|h| format!("{} ({})", h.version, h.reason)).collect();
        let text = format!("no version may be installed: {}", held.join("; "));
        return Err(Problem::new("VersionHeld", text, Class::Stalled).stalled());
    };
    let spec = access::spec(&context.cluster, repository).await.map_err(|(_, text, class)| {
        Problem::new("SourceNotReady", not_ready(repository, &text), class).waiting()
    })?;
    let entry = context.repositories.entry(&spec.url, &chart, wanted);
    let entry = entry.map_err(|error| {
        Problem::new("SourceNotReady", not_ready(repository, &chain(&error)), error.class())
            .waiting()
    })?;
    let Some(entry) = entry else {
        let text = format!("version {wanted} of chart {chart} is not in the repository any more");
        return Err(
            Problem::new("SourceNotReady", not_ready(repository, &text), Class::Retry).waiting()
        );
    };
    context.repositories.pull(&spec, &entry).await.map_err(|error| {
        Problem::new(
            "ArtifactFailed",
            format!("Could not load chart: {}", chain(&error)),
            error.class(),
        )
    })
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
