//! A release whose chart is in the files of a `GitRepository` or a `Bucket`.
//!
//! Source: fluxcd/source-controller internal/controller/helmchart_controller.go
//! (`buildFromTarballArtifact`), internal/helm/chart/builder_local.go.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::chart_ref::{Chosen, decided, not_ready};
use super::context::Context;
use super::files::{Files, InFiles};
use super::history;
use super::memory::Memory;
use super::prerequisite::Problem;
use crate::api::{ChartSpec, HelmRelease};
use crate::base::class::Class;
use crate::base::digest::Digest;
use crate::base::version::Version;
use crate::policy::{Candidate, Verdict};
use crate::repo::Pulled;

/// As many digits of the revision are a part of the version.
const DIGITS: usize = 12;

/// Where a version that ran, or was to run, came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Origin {
    /// Revision of the source.
    pub revision: String,
    /// Path of the chart.
    pub path: String,
    /// Values files that were merged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values_files: Vec<String>,
    /// Whether those that were not there were passed over.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ignore_missing: bool,
    /// Digest of the archive; empty: it is not known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// What was asked for then.
    pub wish: String,
}

/// A description of a chart, counted as Flux counts the generations of its `HelmChart`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Template {
    /// What was described.
    pub wish: String,
    /// How often it changed.
    pub generation: i64,
}

impl Origin {
    /// Whether it is known that another chart came from there.
    fn is_other(&self, than: &Self) -> bool {
        let is_another_digest = !self.digest.is_empty() && self.digest != than.digest;
        self.revision != than.revision || is_another_digest
    }
}

impl Template {
    /// Whether none was needed.
    pub fn is_unset(&self) -> bool {
        *self == Self::default()
    }

    /// Notes what is described now; at first it is counted on from the version that runs.
    pub(super) fn note(&mut self, wish: &str, deployed: Option<&str>) {
        if self.wish == wish {
            return;
        }
        let build = deployed.and_then(|version| version.split_once('+')).map(|(_, build)| build);
        let known = build.and_then(|build| build.rsplit('.').next()?.parse().ok());
        self.generation = if self.is_unset() { known.unwrap_or(1) } else { self.generation + 1 };
        wish.clone_into(&mut self.wish);
    }
}

/// A source, and what is known of it.
struct Place<'a, T> {
    context: &'a Context,
    source: &'a T,
}

/// Chooses the chart of the newest revision, or a version that ran before where a rule says so.
pub(super) async fn choose<T: Files>(
    context: &Context,
    (release, source): (&HelmRelease, &T),
    config_digest: &str,
    memory: &mut Memory,
) -> Result<Chosen, Problem> {
    let template = release.spec.chart.as_ref().map(|chart| chart.spec.clone()).unwrap_or_default();
    let place = Place { context, source };
    let revision = &source.revision();
    let constraint = format!("{} {}", source.wish(), described(&template));
    let origin = |revision: &str| Origin {
        revision: revision.to_owned(),
        path: template.chart.clone(),
        values_files: values_files(&template).to_vec(),
        ignore_missing: template.ignore_missing_values_files,
        digest: String::new(),
        wish: constraint.clone(),
    };
    let mut from = origin(revision);
    let mut pulled = place.pull(&from).await?;
    from.digest = pulled.digest.to_string();
    let mut is_newest = true;
    let build = noted_build((release, &template), revision, memory);
    let version = version(&pulled.chart.metadata.version, &build).map_err(|why| {
        place.not_ready(&format!("chart metadata patch error: {why}"), Class::Stalled)
    })?;
    // A chart whose version stays is the one that was packed first.
    if let Some(first) = memory.origins.get(&version).filter(|first| first.wish == from.wish)
        && first.is_other(&from)
        && let Ok(earlier) = place.earlier(first).await
    {
        (pulled, from, is_newest) = (earlier, first.clone(), false);
    }
    let parsed: Version = version.parse().map_err(|error| {
        Problem::new("ArtifactFailed", format!("{version}: {error}"), Class::Retry)
    })?;
    let candidates = [Candidate { text: version.clone(), version: parsed }];
    memory.forgive(&constraint, config_digest);
    // What stands there is somebody's wish, also where it leads back.
    let decision = decided(release, &candidates, (true, &memory.quarantine))?;
    let mut chosen = version;
    if let Verdict::Run(wanted) = &decision.verdict
        && *wanted != chosen
    {
        from = memory.origins.get(wanted).cloned().ok_or_else(|| {
            let text =
                format!("version {wanted} is not in it, and no revision is known that had it");
            place.not_ready(&text, Class::Retry)
        })?;
        pulled = place.earlier(&from).await?;
        is_newest = false;
        chosen.clone_from(wanted);
    }
    if is_newest && memory.origins.get(&chosen) != Some(&from) {
        place.keep(&from, &pulled).await;
    }
    memory.comes_from(&release.status.history, Some((chosen.clone(), from)));
    let mut chart = (*pulled.chart).clone();
    chart.metadata.version = chosen;
    let pulled = Pulled { digest: pulled.digest, chart: Arc::new(chart) };
    Ok(Chosen { pulled, decision, constraint, oci_digest: String::new() })
}

/// Returns the build metadata of what a revision has, and notes how the chart is asked for now.
fn noted_build(
    (release, template): (&HelmRelease, &ChartSpec),
    revision: &str,
    memory: &mut Memory,
) -> String {
    let newest = history::newest_good(&release.status.history);
    let files = values_files(template);
    if files.is_empty() {
        memory.template = Template::default();
    } else {
        let deployed = newest.map(|entry| entry.chart_version.as_str());
        memory.template.note(&described(template), deployed);
    }
    let generation = (!files.is_empty()).then_some(memory.template.generation);
    let by_revision = template.reconcile_strategy == "Revision";
    build(by_revision.then_some(revision), generation)
}

/// Where versions came from, by version.
pub type Origins = BTreeMap<String, Origin>;

impl<T: Files> Place<'_, T> {
    /// What cannot pass by itself waits for another revision.
    fn not_ready(&self, text: &str, class: Class) -> Problem {
        let name = self.source.meta().key().to_string();
        let problem = Problem { class, ..not_ready((T::KIND, &name), text) };
        if class == Class::Stalled { problem.stalled() } else { problem }
    }

    fn of<'b>(&'b self, from: &'b Origin) -> InFiles<'b, T> {
        InFiles { context: self.context, source: self.source, from }
    }

    async fn pull(&self, from: &Origin) -> Result<Pulled, Problem> {
        let pulled = self.of(from).pull().await;
        pulled.map_err(|failure| self.not_ready(&failure.message, failure.class))
    }

    /// Returns the chart that a version was. Of the same revision another one is made by now, where
    /// files of other repositories are in it, or dependencies by a range: then it is the archive
    /// that was kept. The revision is asked for all the same: a signature may not count any more.
    async fn earlier(&self, from: &Origin) -> Result<Pulled, Problem> {
        let pulled = self.pull(from).await?;
        let digest: Option<Digest> = from.digest.parse().ok();
        let Some(digest) = digest.filter(|digest| *digest != pulled.digest) else {
            return Ok(pulled);
        };
        self.context.repositories.by_digest(&digest).ok_or_else(|| {
            let text = format!(
                "another chart is made of its revision '{}' by now, and the archive of then is not in the cache any more",
                from.revision
            );
            self.not_ready(&text, Class::Retry)
        })
    }

    /// Keeps the archive of a version for the time when it is an earlier one.
    async fn keep(&self, from: &Origin, pulled: &Pulled) {
        let place = self.of(from);
        let kept = match place.files().await {
            Ok(files) => place.keep(&files, pulled),
            Err(failure) => Err(failure),
        };
        if let Err(failure) = kept {
            let (source, why) = (self.source.meta().key(), failure.message);
            tracing::warn!(%source, why, "an archive cannot be kept in the cache");
        }
    }
}

/// The values files that count: the chart's own is no other.
pub(super) fn values_files(template: &ChartSpec) -> &[String] {
    match &template.values_files[..] {
        [one] if one == "values.yaml" => &[],
        files => files,
    }
}

/// What a person wants of the chart.
pub(super) fn described(template: &ChartSpec) -> String {
    let ChartSpec { chart, reconcile_strategy, source_ref, .. } = template;
    let files = template.values_files.join(" ");
    let missing = if template.ignore_missing_values_files { " missing ignored" } else { "" };
    format!("{} {chart} {reconcile_strategy} {files}{missing}", source_ref.name)
}

/// Returns what is added to the version of a chart: the beginning of the revision, where each
/// counts, and the generation, where values files are merged.
pub(super) fn build(revision: Option<&str>, generation: Option<i64>) -> String {
    let hash = revision.and_then(|revision| revision.rsplit(':').next());
    let hash = hash.map(|hash| hash.get(..DIGITS).unwrap_or(hash).to_owned());
    let generation = generation.map(|generation| generation.to_string());
    hash.into_iter().chain(generation).collect::<Vec<_>>().join(".")
}

/// Returns the version that a chart gets.
pub(super) fn version(of_chart: &str, build: &str) -> Result<String, String> {
    if build.is_empty() {
        return Ok(of_chart.to_owned());
    }
    let version: Version =
        of_chart.parse().map_err(|_| format!("invalid chart version {of_chart}"))?;
    let version = version.with_build(build).map_err(|error| error.to_string())?;
    Ok(version.original().trim_start_matches('v').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_carry_the_commit_and_the_generation_where_they_are_to() {
        let revision = Some("main@sha1:4e5cbb7b97d0aaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        let rows = [
            ("6.0.3", None, None, Ok("6.0.3")),
            ("v6.0.3+x", None, None, Ok("v6.0.3+x")),
            ("6.0.3", revision, None, Ok("6.0.3+4e5cbb7b97d0")),
            ("v6.0.3-rc.1+x", revision, None, Ok("6.0.3-rc.1+4e5cbb7b97d0")),
            ("6.0.3", None, Some(2), Ok("6.0.3+2")),
            ("6.0.3", revision, Some(2), Ok("6.0.3+4e5cbb7b97d0.2")),
            ("one", revision, None, Err("invalid chart version one")),
        ];
        for (of_chart, revision, generation, want) in rows {
            let got = version(of_chart, &build(revision, generation));
            assert_eq!(got, want.map(str::to_owned).map_err(str::to_owned), "{of_chart}");
        }
    }

    #[test]
    fn an_origin_is_another_one_by_what_is_known_of_it() {
        let origin = |revision: &str, digest: &str| Origin {
            revision: revision.to_owned(),
            digest: digest.to_owned(),
            ..Origin::default()
        };
        let rows = [
            (origin("a", "1"), false),
            (origin("a", ""), false),
            (origin("a", "2"), true),
            (origin("b", "1"), true),
            (origin("b", ""), true),
        ];
        for (known, want) in rows {
            assert_eq!(known.is_other(&origin("a", "1")), want, "{known:?}");
        }
    }

    #[test]
    fn descriptions_are_counted() {
        let rows = [
            ("first", (None, "a"), 1),
            ("the same", (None, "a"), 1),
            ("another", (Some("1.0.0+9"), "b"), 2),
        ];
        let mut template = Template::default();
        for (name, (deployed, wish), want) in rows {
            template.note(wish, deployed);
            assert_eq!(template.generation, want, "{name}");
        }
        for (deployed, want) in
            [("1.0.0+7", 7), ("1.0.0+4e5cbb7b97d0.3", 3), ("1.0.0", 1), ("1.0.0+a", 1)]
        {
            let mut taken_over = Template::default();
            taken_over.note("a", Some(deployed));
            assert_eq!(taken_over.generation, want, "{deployed}");
        }
    }

    #[test]
    fn values_yaml_alone_is_no_values_file() {
        let files = |names: &[&str]| ChartSpec {
            values_files: names.iter().map(|name| (*name).to_owned()).collect(),
            ..ChartSpec::default()
        };
        assert!(values_files(&files(&["values.yaml"])).is_empty());
        assert_eq!(values_files(&files(&["values.yaml", "a"])).len(), 2);
    }
}
