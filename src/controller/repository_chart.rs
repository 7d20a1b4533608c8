//! A release whose chart is one of a `HelmRepository`: the newest version that the range and the
//! rules allow, with values files merged where some are named.
//!
//! Source: fluxcd/source-controller internal/controller/helmchart_controller.go
//! (`buildFromHelmRepository`), internal/helm/chart/builder_remote.go.

use std::time::Duration;

use super::chart_ref::{Chosen, decided, not_ready};
use super::context::Context;
use super::memory::Memory;
use super::prerequisite::Problem;
use super::queue::USUAL;
use super::repository::{self, KIND};
use super::tree_chart::{Origin, Template, build, described, values_files, version};
use super::verification::SignedChart;
use super::{access, history};
use crate::api::annotation::{PIN, REQUESTED_AT};
use crate::api::condition::{READY, find};
use crate::api::crd::HELM_REPOSITORY_API;
use crate::api::{ChartSpec, HelmRelease, HelmRepository};
use crate::base::class::{Class, chain};
use crate::base::secret::{SafeUrl, UrlError};
use crate::cluster::ObjectId;
use crate::policy::{Candidate, Verdict};
use crate::repo::{Entry, Error as RepoError, Pulled, Repositories, RepositorySpec, ValuesFiles};

/// Returns the repository that a release names, if it has an index.
pub(super) async fn source(
    context: &Context,
    release: &HelmRelease,
) -> Result<HelmRepository, Problem> {
    let Some(chart) = &release.spec.chart else {
        let text = "spec.chart is missing";
        return Err(Problem::new("ArtifactFailed", text, Class::Stalled).stalled());
    };
    let source = &chart.spec.source_ref;
    if source.kind != KIND {
        let text =
            format!("sourceRef.kind {} is not supported by this version of Leadsman", source.kind);
        return Err(Problem::new("Unsupported", text, Class::Stalled).stalled());
    }
    let own = &release.metadata.namespace;
    let namespace = if source.namespace.is_empty() { own } else { &source.namespace };
    let id = ObjectId::new(HELM_REPOSITORY_API, KIND, namespace, &source.name);
    let found = context.cluster.get(&id).await.map_err(|error| {
        let text = format!("could not get Source object: {error}");
        Problem::new("ArtifactFailed", text, error.class())
    })?;
    let name = format!("{namespace}/{}", source.name);
    let Some(found) = found else {
        let text = "it does not exist; create it or correct sourceRef";
        return Err(Problem { class: Class::Stalled, ..not_ready((KIND, &name), text) });
    };
    let repository: HelmRepository = serde_json::from_value(found.0).unwrap_or_default();
    if repository.status.artifact.is_none() && !repository.spec.is_oci() {
        let ready = find(&repository.status.conditions, READY);
        let why = ready.map_or("does not have an artifact", |condition| &condition.message);
        return Err(not_ready((KIND, &name), why));
    }
    Ok(repository)
}

fn away(repository: &HelmRepository, text: &str, class: Class) -> Problem {
    let name = repository.metadata.key().to_string();
    Problem { class, ..not_ready((KIND, &name), text) }
}

/// Makes sure that the versions of a chart in a registry are known: not older than its interval, or
/// new ones, if somebody asks for them.
pub(super) async fn list(
    context: &Context,
    release: &HelmRelease,
    repository: &HelmRepository,
) -> Result<(), Problem> {
    let Some(chart) = release.spec.chart.as_ref().filter(|_| repository.spec.is_oci()) else {
        return Ok(());
    };
    let spec = access::spec(&context.cluster, repository).await;
    let spec = spec.map_err(|(_, text, class)| away(repository, &text, class))?;
    let asked = release.metadata.annotation(REQUESTED_AT);
    let asked = asked.is_some_and(|at| at != release.status.last_handled_reconcile_at);
    let interval =
        chart.spec.interval.or(release.spec.interval).map_or(USUAL, |interval| interval.0);
    let age = match context.options.interval.unwrap_or(interval) {
        _ if asked => Duration::ZERO,
        // Releases look at the end of their interval, give or take.
        interval => interval.mul_f64(0.9),
    };
    let wanted = (chart.spec.version.as_deref().unwrap_or("*"), age);
    let listed = context.repositories.list(&spec, &chart.spec.chart, wanted).await;
    listed.map_err(|error| {
        away(repository, &format!("chart pull error: {}", chain(&error)), error.class())
    })
}

/// A chart of a repository, and how its versions are called.
struct Place<'a> {
    context: &'a Context,
    repository: &'a HelmRepository,
    url: SafeUrl,
    template: &'a ChartSpec,
    range: &'a str,
    /// What a version gets where values files are merged.
    build: String,
}

/// Chooses the newest version that the rules allow, and gets it.
pub(super) async fn choose(
    context: &Context,
    (release, repository): (&HelmRelease, &HelmRepository),
    config_digest: &str,
    memory: &mut Memory,
) -> Result<Chosen, Problem> {
    let template = release.spec.chart.as_ref().map(|chart| chart.spec.clone()).unwrap_or_default();
    let url: Result<SafeUrl, UrlError> = repository.spec.url.parse();
    let url = url.map_err(|error| away(repository, &error.to_string(), Class::Stalled))?;
    let deployed = history::newest_good(&release.status.history);
    let place = Place {
        context,
        repository,
        url,
        template: &template,
        range: template.version.as_deref().unwrap_or("*"),
        build: counted(&template, deployed.map(|entry| entry.chart_version.as_str()), memory),
    };
    let constraint = place.range.to_owned();
    memory.forgive(&constraint, config_digest);
    let is_pinned = release.metadata.annotation(PIN).is_some();
    let candidates = place.candidates(is_pinned);
    repository::say_troubles(context, repository, &place.url).await;
    let changed = memory.constraint != constraint;
    let decision = decided(release, &candidates?, (changed, &memory.quarantine))?;
    let Verdict::Run(wanted) = &decision.verdict else {
        return Err(away(repository, "no version may be installed", Class::Stalled));
    };
    let pulled = place.pull(wanted, memory).await;
    repository::say_troubles(context, repository, &place.url).await;
    let (pulled, origin) = pulled?;
    let origin = origin.map(|origin| (pulled.chart.metadata.version.clone(), origin));
    memory.comes_from(&release.status.history, origin);
    Ok(Chosen { pulled, decision, constraint, oci_digest: String::new() })
}

/// Counts how often the values files were described anew; returns what that adds to a version.
fn counted(template: &ChartSpec, deployed: Option<&str>, memory: &mut Memory) -> String {
    if values_files(template).is_empty() {
        memory.template = Template::default();
        return String::new();
    }
    memory.template.note(&described(template), deployed);
    build(None, Some(memory.template.generation))
}

impl Place<'_> {
    fn repositories(&self) -> &Repositories {
        &self.context.repositories
    }

    fn away(&self, error: &RepoError) -> Problem {
        away(self.repository, &chain(error), error.class())
    }

    /// Returns the versions that the range allows, newest first, as they are called here.
    fn candidates(&self, is_pinned: bool) -> Result<Vec<Candidate>, Problem> {
        let found = self.repositories().resolve(&self.url, &self.template.chart, self.range);
        let entries = match found {
            Ok(entries) => entries,
            // What runs may go on running when the range is empty.
            Err(RepoError::NoVersion { .. }) if is_pinned => Vec::new(),
            Err(error) => return Err(self.away(&error)),
        };
        let mut candidates: Vec<Candidate> = Vec::new();
        for entry in entries {
            let candidate = self.called(entry);
            // Builds of one version are called alike; the first one is the newest.
            if candidates.last().is_none_or(|last| last.text != candidate.text) {
                candidates.push(candidate);
            }
        }
        Ok(candidates)
    }

    fn called(&self, entry: Entry) -> Candidate {
        let named = version(&entry.text, &self.build).ok();
        let named = named.and_then(|text| Some((text.parse().ok()?, text)));
        let (version, text) = named.unwrap_or((entry.version, entry.text));
        Candidate { text, version }
    }

    /// Gets a version, by how it is called here; also where it came from, where that is not all that
    /// its name says.
    async fn pull(
        &self,
        wanted: &str,
        memory: &Memory,
    ) -> Result<(Pulled, Option<Origin>), Problem> {
        if self.build.is_empty() {
            return Ok((self.published(wanted).await?, None));
        }
        let mut origin = match memory.origins.get(wanted) {
            Some(known) => known.clone(),
            None => self.origin(wanted)?,
        };
        let known = origin.digest.parse().ok();
        // What is signed is asked for again.
        let known = known.filter(|_| self.template.verify.is_none());
        if let Some(known) = known.and_then(|digest| self.repositories().by_digest(&digest)) {
            return Ok((known, Some(origin)));
        }
        let published = self.published(&origin.revision).await?;
        let files =
            ValuesFiles { paths: &origin.values_files, ignore_missing: origin.ignore_missing };
        let merged = Repositories::with_values_files(&published, files)
            .map_err(|error| away(self.repository, &error.to_string(), error.class()));
        let (chart, _) = merged?;
        // Of one that is pinned by the text of the index, too.
        let named = if wanted == origin.revision {
            version(wanted, &self.build).unwrap_or_else(|_| wanted.to_owned())
        } else {
            wanted.to_owned()
        };
        let packed = self.repositories().pack(&chart, &named).await;
        let packed =
            packed.map_err(|error| away(self.repository, &error.to_string(), error.class()))?;
        origin.digest = packed.digest.to_string();
        Ok((packed, Some(origin)))
    }

    /// Returns which version of the index is called so.
    fn origin(&self, wanted: &str) -> Result<Origin, Problem> {
        let found = self.repositories().versions(&self.url, &self.template.chart);
        let found = match found {
            Ok(entries) => {
                entries.iter().find(|entry| self.called((*entry).clone()).text == wanted).cloned()
            }
            // An exact version of a registry needs no list.
            Err(RepoError::Unfetched(_)) if self.repository.spec.is_oci() => None,
            Err(error) => return Err(self.away(&error)),
        };
        let plain = || {
            let suffix = format!("+{}", self.build);
            wanted.strip_suffix(&suffix).unwrap_or(wanted).to_owned()
        };
        Ok(Origin {
            revision: found.map_or_else(plain, |entry| entry.text),
            path: self.template.chart.clone(),
            values_files: values_files(self.template).to_vec(),
            ignore_missing: self.template.ignore_missing_values_files,
            wish: described(self.template),
            digest: String::new(),
        })
    }

    /// Gets a version by its text in the index.
    async fn published(&self, text: &str) -> Result<Pulled, Problem> {
        let spec = access::spec(&self.context.cluster, self.repository).await;
        let spec: RepositorySpec =
            spec.map_err(|(_, text, class)| away(self.repository, &text, class))?;
        let chart = &self.template.chart;
        let entry = self.repositories().entry(&spec.url, chart, text);
        let Some(entry) = entry.map_err(|error| self.away(&error))? else {
            let text = format!("version {text} of chart {chart} is not in the repository any more");
            return Err(away(self.repository, &text, Class::Retry));
        };
        let failed = |text: String, class| {
            Problem::new("ArtifactFailed", format!("Could not load chart: {text}"), class)
        };
        let of = (self.repository, &spec);
        let signed = SignedChart::find(self.context, of, (self.template, &entry)).await;
        if let Some(signed) =
            signed.map_err(|error| away(self.repository, &error.text, error.class))?
        {
            let pulled = signed.pull(self.context).await;
            return pulled.map_err(|error| failed(chain(&error), Class::Retry));
        }
        let pulled = self.repositories().pull(&spec, &entry).await;
        pulled.map_err(|error| failed(chain(&error), error.class()))
    }
}
