//! Makes the archive of a chart of a `HelmRepository`, a `GitRepository` or a `Bucket`: finds its version, gets it,
//! merges values files, packs it anew where that changes it.
//!
//! Source: fluxcd/source-controller internal/helm/chart/builder_remote.go, builder_local.go, errors.go;
//! internal/controller/helmchart_controller.go (`buildFromHelmRepository`, `buildFromTarballArtifact`).

use std::time::Duration;

use super::context::Context;
use super::files::{Files, InFiles};
use super::settled::{Failure, NO_ARTIFACT, UNVERIFIED_CHART};
use super::source::Source;
use super::tree_chart::{self, Origin};
use super::verification::SignedChart;
use super::{access, bucket, git_repository, repository};
use crate::api::condition::{BUILD_FAILED, FETCH_FAILED, STORAGE_FAILED};
use crate::api::{Bucket, ChartSpec, GitRepository, HelmRepository};
use crate::base::class::{Class, chain};
use crate::base::name::NamespacedName;
use crate::base::secret::SafeUrl;
use crate::repo::{
    ChartError, Entry, Error as RepoError, Pulled, Repositories, RepositorySpec, ValuesFiles,
};
use crate::signature::Outcome;

/// Where a chart comes from.
#[derive(Debug)]
pub(super) enum Place {
    Helm(Box<HelmRepository>),
    Git(Box<GitRepository>),
    Bucket(Box<Bucket>),
}

/// Which chart is to be made.
pub(super) struct Wanted<'a> {
    pub(super) chart: &'a ChartSpec,
    /// How often it was described anew: a part of the version where values files are merged.
    pub(super) generation: i64,
    /// How old a list of a registry's versions may be.
    pub(super) age: Duration,
    /// Whether the chart of this name and version that there is already is the one that is wanted.
    pub(super) is_there: &'a (dyn Fn(&str, &str) -> bool + Sync),
    /// Values files that were merged into that one, where some may be missing.
    pub(super) merged: &'a [String],
}

impl Wanted<'_> {
    /// Returns the values files, and a part of the version that tells them from others.
    fn values_files(&self) -> (ValuesFiles<'_>, Option<i64>) {
        let paths = tree_chart::values_files(self.chart);
        let ignore_missing = self.chart.ignore_missing_values_files;
        let generation = (!paths.is_empty()).then_some(self.generation);
        (ValuesFiles { paths, ignore_missing }, generation)
    }

    /// Returns those of them that are in the chart that there is already.
    fn known_files(&self) -> Vec<String> {
        let (files, _) = self.values_files();
        if files.ignore_missing { self.merged.to_vec() } else { files.paths.to_vec() }
    }
}

/// A chart that was made.
#[derive(Debug)]
pub(super) struct Made {
    /// Its archive; none: the one that there is already is right.
    pub(super) pulled: Option<Pulled>,
    pub(super) name: String,
    pub(super) version: String,
    /// Values files that were merged.
    pub(super) values_files: Vec<String>,
    /// Whether it was packed here.
    pub(super) is_packaged: bool,
    /// What came of the look at its signature; none: that was not asked for.
    pub(super) outcome: Option<Outcome>,
}

impl Made {
    /// Says in Flux's words what it is.
    ///
    /// Source: fluxcd/source-controller internal/helm/chart/builder.go (`Build.Summary`).
    pub(super) fn summary(&self) -> String {
        let Self { name, version, .. } = self;
        let action = if self.is_packaged { "packaged" } else { "pulled" };
        let merged = match &self.values_files[..] {
            [] => String::new(),
            files => format!(" and merged values files [{}]", files.join(" ")),
        };
        format!("{action} '{name}' chart with version '{version}'{merged}")
    }
}

fn fetch(reason: &'static str, message: String, class: Class) -> Failure {
    Failure { kind: FETCH_FAILED, reason, message, class }
}

/// Returns Flux's words for a chart or version that is not in a repository, and what comes near; none:
/// it is another error.
fn not_there(error: &RepoError) -> Option<String> {
    let near = |near: &[String], what: &str| match near {
        [] => String::new(),
        near => format!("; {what} {}", near.join(", ")),
    };
    match error {
        RepoError::NoChart { near: names, .. } => {
            Some(format!("no chart name found{}", near(names, "it has")))
        }
        RepoError::NoVersions { .. } => Some("no chart version found".to_owned()),
        RepoError::NoVersion { chart, wanted, near: versions, .. } => Some(format!(
            "no '{chart}' chart with version matching '{wanted}' found{}",
            near(versions, "the nearest are")
        )),
        RepoError::Constraint(error) => Some(error.to_string()),
        _ => None,
    }
}

/// Says what a repository's error means.
fn refused(error: &RepoError) -> Failure {
    let text = chain(error);
    match not_there(error) {
        Some(why) => {
            let text = format!(
                "invalid chart reference: failed to get chart version for remote reference: {why}"
            );
            fetch("InvalidChartReference", text, Class::Stalled)
        }
        None => {
            let class = match error.class() {
                // It may be published anew.
                Class::Stalled => Class::Retry,
                class => class,
            };
            fetch("ChartPullError", format!("chart pull error: {text}"), class)
        }
    }
}

impl From<ChartError> for Failure {
    fn from(error: ChartError) -> Self {
        let (kind, reason) = match &error {
            ChartError::Reference(_) => (FETCH_FAILED, "InvalidChartReference"),
            ChartError::Values(_) => (BUILD_FAILED, "ValuesFilesError"),
            ChartError::Dependency(_) => (BUILD_FAILED, "DependencyBuildError"),
            ChartError::Package(_) => (BUILD_FAILED, "ChartPackageError"),
            ChartError::Store(_) => (STORAGE_FAILED, "ArchiveOperationFailed"),
        };
        Self { kind, reason, message: error.to_string(), class: error.class() }
    }
}

impl Place {
    /// Reads the source of a chart, which is in the same namespace.
    ///
    /// # Errors
    /// It is not there, or has no artifact yet.
    pub(super) async fn of(
        context: &Context,
        namespace: &str,
        chart: &ChartSpec,
    ) -> Result<Self, Failure> {
        let reference = &chart.source_ref;
        let key = NamespacedName::new(namespace, &reference.name);
        let (place, has_artifact) = match reference.kind.as_str() {
            repository::KIND => {
                let found: HelmRepository = read(context, &key).await?;
                let has_artifact = found.spec.is_oci() || found.status.artifact.is_some();
                (Self::Helm(Box::new(found)), has_artifact)
            }
            git_repository::KIND => {
                let found: GitRepository = read(context, &key).await?;
                let has_artifact = found.status.artifact.is_some();
                (Self::Git(Box::new(found)), has_artifact)
            }
            bucket::KIND => {
                let found: Bucket = read(context, &key).await?;
                let has_artifact = found.status.artifact.is_some();
                (Self::Bucket(Box::new(found)), has_artifact)
            }
            kind => {
                let text = format!("unsupported source kind '{kind}'");
                return Err(fetch("UnsupportedSourceKind", text, Class::Stalled));
            }
        };
        if !has_artifact {
            let text =
                format!("no artifact available for {} source '{}'", reference.kind, reference.name);
            return Err(fetch(NO_ARTIFACT, text, Class::Retry));
        }
        Ok(place)
    }

    /// Returns the revision of its artifact; a registry has none.
    pub(super) fn revision(&self) -> String {
        match self {
            Self::Helm(source) => {
                source.status.artifact.clone().map(|it| it.revision).unwrap_or_default()
            }
            Self::Git(source) => source.revision(),
            Self::Bucket(source) => source.revision(),
        }
    }

    /// Returns where it is; without a login that may stand in the address.
    pub(super) fn address(&self) -> String {
        let url = match self {
            Self::Helm(source) => source.spec.url.clone(),
            Self::Git(source) => source.place(),
            Self::Bucket(source) => source.place(),
        };
        let url: Result<SafeUrl, _> = url.parse();
        url.map(|url| url.to_string()).unwrap_or_default()
    }

    /// Makes the chart, unless it is there.
    ///
    /// # Errors
    /// What a condition is to say.
    pub(super) async fn make(
        &self,
        context: &Context,
        wanted: &Wanted<'_>,
    ) -> Result<Made, Failure> {
        match self {
            Self::Helm(source) => of_repository(context, source, wanted).await,
            Self::Git(source) => of_files(context, source.as_ref(), wanted).await,
            Self::Bucket(source) => of_files(context, source.as_ref(), wanted).await,
        }
    }
}

async fn read<T: Source>(context: &Context, key: &NamespacedName) -> Result<T, Failure> {
    let unavailable = |why: String| {
        let text = format!("failed to get source: {why}");
        fetch("SourceUnavailable", text, Class::Retry)
    };
    let found = context.cluster.get(&T::id(key)).await;
    let found = found.map_err(|error| unavailable(chain(&error)))?;
    let missing = || {
        let (kind, name) = (T::KIND, &key.name);
        unavailable(format!("{kind}.source.toolkit.fluxcd.io \"{name}\" not found"))
    };
    serde_json::from_value(found.ok_or_else(missing)?.0)
        .map_err(|error| unavailable(format!("{} '{key}' cannot be read: {error}", T::KIND)))
}

async fn of_repository(
    context: &Context,
    source: &HelmRepository,
    wanted: &Wanted<'_>,
) -> Result<Made, Failure> {
    let spec = access::spec(&context.cluster, source).await.map_err(Failure::fetch)?;
    let entry = entry(context, &spec, wanted).await;
    repository::say_troubles(context, source, &spec.url).await;
    let entry = entry.map_err(|error| refused(&error))?;
    let (files, generation) = wanted.values_files();
    let build = tree_chart::build(None, generation);
    let version = tree_chart::version(&entry.text, &build).map_err(|why| not_numbered(&why))?;
    let mut made = Made {
        pulled: None,
        name: entry.name.rsplit('/').next().unwrap_or_default().to_owned(),
        version,
        values_files: wanted.known_files(),
        is_packaged: generation.is_some(),
        outcome: None,
    };
    let signed = SignedChart::find(context, (source, &spec), (wanted.chart, &entry)).await;
    let signed = signed.map_err(|error| Failure {
        kind: BUILD_FAILED,
        reason: UNVERIFIED_CHART,
        message: error.text,
        class: error.class,
    })?;
    made.outcome = signed.as_ref().map(|signed| signed.outcome.clone());
    if (wanted.is_there)(&made.name, &made.version) {
        return Ok(made);
    }
    let pulled = match signed {
        Some(signed) => signed.pull(context).await.map_err(|error| {
            fetch("ChartPullError", format!("chart pull error: {}", chain(&error)), Class::Retry)
        })?,
        None => {
            let pulled = context.repositories.pull(&spec, &entry).await;
            pulled.map_err(|error| refused(&error))?
        }
    };
    made.name.clone_from(&pulled.chart.metadata.name);
    if generation.is_none() {
        made.pulled = Some(pulled);
        return Ok(made);
    }
    let merged = Repositories::with_values_files(&pulled, files);
    let (chart, used) = merged.map_err(|error| match error {
        ChartError::Values(why) => {
            ChartError::Values(format!("failed to merge chart values: {why}"))
        }
        other => other,
    })?;
    made.pulled = Some(context.repositories.pack(&chart, &made.version).await?);
    made.values_files = used;
    Ok(made)
}

/// Chooses the version.
async fn entry(
    context: &Context,
    spec: &RepositorySpec,
    wanted: &Wanted<'_>,
) -> Result<Entry, RepoError> {
    let repositories = &context.repositories;
    let (chart, range) = (&wanted.chart.chart, wanted.chart.version.as_deref().unwrap_or("*"));
    repositories.list(spec, chart, (range, wanted.age)).await?;
    let found = match repositories.resolve(&spec.url, chart, range) {
        // Another process may have fetched it, or the cache was lost.
        Err(RepoError::Unfetched(_) | RepoError::Damaged(_)) if spec.registry.is_none() => {
            repositories.refresh(spec).await?;
            repositories.resolve(&spec.url, chart, range)?
        }
        found => found?,
    };
    let none = || RepoError::Unfetched(spec.url.clone());
    found.into_iter().next().ok_or_else(none)
}

fn not_numbered(why: &str) -> Failure {
    Failure {
        kind: BUILD_FAILED,
        reason: "MetadataPatchError",
        message: format!("chart metadata patch error: {why}"),
        class: Class::Stalled,
    }
}

async fn of_files<T: Files>(
    context: &Context,
    source: &T,
    wanted: &Wanted<'_>,
) -> Result<Made, Failure> {
    let chart = wanted.chart;
    let (values, generation) = wanted.values_files();
    let revision = source.revision();
    let from = Origin {
        revision: revision.clone(),
        path: chart.chart.clone(),
        values_files: values.paths.to_vec(),
        ignore_missing: values.ignore_missing,
        ..Origin::default()
    };
    let place = InFiles { context, source, from: &from };
    let files = place.files().await?;
    let pulled = place.chart(&files).await?;
    let metadata = &pulled.chart.metadata;
    let by_revision = chart.reconcile_strategy == "Revision";
    let build = tree_chart::build(by_revision.then_some(&revision), generation);
    let version =
        tree_chart::version(&metadata.version, &build).map_err(|why| not_numbered(&why))?;
    let is_literal = build.is_empty();
    let mut made = Made {
        pulled: None,
        name: metadata.name.clone(),
        version,
        values_files: wanted.known_files(),
        is_packaged: !is_literal || !chart.chart.ends_with(".tgz"),
        outcome: None,
    };
    if (wanted.is_there)(&made.name, &made.version) {
        return Ok(made);
    }
    if values.ignore_missing && generation.is_some() {
        made.values_files = context.repositories.tree_present(&files, values.paths)?;
    }
    made.pulled = Some(if is_literal {
        place.keep(&files, &pulled)?;
        pulled
    } else {
        context.repositories.pack(&pulled.chart, &made.version).await?
    });
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::constraint::Constraint;

    #[test]
    fn a_chart_is_summed_up_in_the_words_of_flux() {
        let rows: [(bool, &[&str], &str); 3] = [
            (false, &[], "pulled 'web' chart with version '1.0.0'"),
            (true, &[], "packaged 'web' chart with version '1.0.0'"),
            (
                true,
                &["a.yaml", "b.yaml"],
                "packaged 'web' chart with version '1.0.0' and merged values files [a.yaml b.yaml]",
            ),
        ];
        for (is_packaged, files, want) in rows {
            let made = Made {
                pulled: None,
                name: "web".to_owned(),
                version: "1.0.0".to_owned(),
                values_files: files.iter().map(|file| (*file).to_owned()).collect(),
                is_packaged,
                outcome: None,
            };
            assert_eq!(made.summary(), want);
        }
    }

    #[test]
    fn each_mistake_has_its_condition() {
        let text = || "x".to_owned();
        let rows = [
            (ChartError::Reference(text()), FETCH_FAILED, "InvalidChartReference", true),
            (ChartError::Values(text()), BUILD_FAILED, "ValuesFilesError", true),
            (ChartError::Dependency(text()), BUILD_FAILED, "DependencyBuildError", false),
            (ChartError::Package(text()), BUILD_FAILED, "ChartPackageError", false),
        ];
        for (error, kind, reason, stalled) in rows {
            let failure = Failure::from(error);
            assert_eq!((failure.kind, failure.reason), (kind, reason));
            assert_eq!(failure.class == Class::Stalled, stalled, "{reason}");
        }
        let (url, web) = (|| "https://a.example".parse().unwrap(), || "web".to_owned());
        let near = vec!["web-app".to_owned()];
        let (wanted, none) = ("9.x".to_owned(), Vec::new());
        let range = "latest".parse::<Constraint>().unwrap_err();
        let rows = [
            (
                RepoError::NoVersion { url: url(), chart: web(), wanted, near: none },
                "no 'web' chart with version matching '9.x' found",
            ),
            (
                RepoError::NoChart { url: url(), chart: web(), near },
                "no chart name found; it has web-app",
            ),
            (RepoError::NoVersions { url: url(), chart: web() }, "no chart version found"),
            (RepoError::Constraint(range), "improper constraint: \"latest\""),
        ];
        for (error, words) in rows {
            let failure = refused(&error);
            assert_eq!((failure.reason, failure.class), ("InvalidChartReference", Class::Stalled));
            let ahead =
                "invalid chart reference: failed to get chart version for remote reference: ";
            assert_eq!(failure.message, format!("{ahead}{words}"));
        }
        let gone = RepoError::NoUrl("web".to_owned());
        assert_eq!((refused(&gone).reason, refused(&gone).class), ("ChartPullError", Class::Retry));
    }
}
