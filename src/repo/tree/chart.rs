//! A chart in the files of a Git repository or a bucket.
//!
//! Source: fluxcd/source-controller internal/helm/chart/builder_local.go, dependency_manager.go.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{TreeFiles, archive, login};
use crate::base::class::{Class, chain};
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::file;
use crate::base::limit::{self, Limit};
use crate::chart::{self, Chart, Dependency, Stamp, load_archive, load_folder};
use crate::repo::chart_files::{ValuesFiles, merged, packed, parsed, replace_values};
use crate::repo::helm_file::HelmFiles;
use crate::repo::repositories::{Pulled, Repositories, RepositorySpec};
use crate::repo::subchart::{Registries, Subcharts, Verify};
use crate::source::oci::Session;
use crate::yaml::Map;

/// Longest time of one download of a dependency.
pub(super) const TIMEOUT: Duration = Duration::from_secs(60);

/// Which chart is wanted.
#[derive(Clone, Copy)]
pub struct TreeChart<'a> {
    /// Its path: a folder, or an archive.
    pub path: &'a str,
    /// Values files, by their paths among the files: merged, they become the chart's own.
    pub values_files: ValuesFiles<'a>,
    /// How repositories of its dependencies are asked.
    pub lender: &'a dyn Lender,
}

/// Lends logins to dependencies.
#[async_trait::async_trait]
pub trait Lender: Send + Sync {
    /// Returns how these repositories are asked, those that are known.
    async fn lend(&self, addresses: &[&str]) -> Result<Vec<RepositorySpec>, String>;
}

/// Why there is no chart.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// There is none at the path.
    #[error("invalid chart reference: {0}")]
    Reference(String),
    /// Values files cannot be merged.
    #[error("values files merge error: {0}")]
    Values(String),
    /// A dependency cannot be had.
    #[error("dependency build error: {0}")]
    Dependency(String),
    /// It cannot be packed.
    #[error("chart package error: {0}")]
    Package(String),
    /// The cache.
    #[error("chart cache: {}", chain(.0))]
    Store(file::Error),
}

impl ChartError {
    /// Returns what to do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::Reference(_) | Self::Values(_) => Class::Stalled,
            Self::Dependency(_) | Self::Package(_) | Self::Store(_) => Class::Retry,
        }
    }
}

impl Repositories {
    /// Returns the chart at a path in files, with its dependencies.
    ///
    /// # Errors
    /// There is none, or a dependency cannot be had.
    pub async fn tree_chart(
        &self,
        files: &TreeFiles,
        wanted: TreeChart<'_>,
    ) -> Result<Pulled, ChartError> {
        let folder = files.path.parent().unwrap_or(Path::new(".")).to_owned();
        let prefix = wanted.prefix();
        if let Some(pulled) = self.known_chart(&folder, &prefix) {
            return Ok(pulled);
        }
        let place = tempfile::tempdir_in(&folder);
        let place = place.map_err(file::failed("create folder", &folder));
        let place = place.map_err(ChartError::Store)?;
        let root = place.path().join("files");
        let (from, target) = (files.path.clone(), root.clone());
        blocking(move || archive::unpack(&from, &target).map_err(ChartError::Store)).await?;
        let mut chart = self.assembled(&root, wanted).await?;
        let ValuesFiles { paths, ignore_missing } = wanted.values_files;
        let (paths, path) = (paths.to_vec(), confined(&root, wanted.path)?);
        let saved = move || {
            let files = ValuesFiles { paths: &paths, ignore_missing };
            match merged(files, |name| values_at(&root, name))? {
                Some(merged) => replace_values(&mut chart, merged.values)?,
                // An archive is taken as it is.
                None if path.is_file() => {
                    let bytes = file::read_bytes(&path, limit::ARCHIVE_BYTES);
                    return Ok((bytes.map_err(ChartError::Store)?.into(), chart));
                }
                None => {}
            }
            packed(&chart)
        };
        let (bytes, chart) = blocking(saved).await?;
        let digest = Digest::of(&bytes);
        let path = folder.join(format!("{prefix}{}.tgz", digest.to_hex()));
        if let Err(error) = file::write_atomic(&path, &bytes) {
            tracing::warn!(error = chain(&error), "chart cache cannot be written");
        }
        let pulled = Pulled { digest, chart: Arc::new(chart) };
        self.keep_chart(&pulled);
        Ok(pulled)
    }

    /// Keeps the archive of such a chart by its digest, too.
    ///
    /// # Errors
    /// It cannot be kept, or is not there any more.
    pub fn keep_tree_chart(
        &self,
        files: &TreeFiles,
        wanted: TreeChart<'_>,
        pulled: &Pulled,
    ) -> Result<(), ChartError> {
        let folder = files.path.parent().unwrap_or(Path::new("."));
        let known = self.known_archive(folder, &wanted.prefix());
        let (_, size, path) = known.ok_or_else(|| {
            let gone = std::io::Error::from(std::io::ErrorKind::NotFound);
            ChartError::Store(file::failed("read", folder)(gone))
        })?;
        let bytes = file::read_bytes(&path, size).map_err(ChartError::Store)?;
        self.keep_archive(pulled, &bytes).map_err(ChartError::Store)
    }

    /// Returns those of some paths that are among files.
    ///
    /// # Errors
    /// The archive of the files cannot be read.
    pub fn tree_present(
        &self,
        files: &TreeFiles,
        paths: &[String],
    ) -> Result<Vec<String>, ChartError> {
        let names = archive::names(&files.path).map_err(ChartError::Store)?;
        let is_there = |path: &&String| {
            inside(Path::new(""), path).is_some_and(|inside| names.contains(&inside))
        };
        Ok(paths.iter().filter(is_there).cloned().collect())
    }

    fn known_chart(&self, folder: &Path, prefix: &str) -> Option<Pulled> {
        let (digest, size, path) = self.known_archive(folder, prefix)?;
        if let Some(pulled) = self.kept_chart(&digest) {
            return Some(pulled);
        }
        let chart = load_archive(&file::read_bytes(&path, size).ok()?).ok()?;
        let pulled = Pulled { digest, chart: Arc::new(chart) };
        self.keep_chart(&pulled);
        Some(pulled)
    }

    /// Loads the chart, and gets the dependencies that a folder lacks.
    async fn assembled(&self, root: &Path, wanted: TreeChart<'_>) -> Result<Chart, ChartError> {
        let path = confined(root, wanted.path)?;
        let (at, shown) = (path.clone(), wanted.path.to_owned());
        let chart = blocking(move || loaded(&at, &shown)).await?;
        if !path.is_dir() || has_all(&chart) {
            return Ok(chart);
        }
        let declared = &chart.metadata.dependencies;
        check_local(root, &path, declared)?;
        self.complete(root, &path, declared, wanted.lender).await?;
        let shown = wanted.path.to_owned();
        let chart = blocking(move || loaded(&path, &shown)).await?;
        let missing = chart::check_dependencies_present(&chart);
        missing.map_err(|error| ChartError::Dependency(chain(&error)))?;
        Ok(chart)
    }

    /// Gets the dependencies of a chart's folder into it.
    async fn complete(
        &self,
        root: &Path,
        chart: &Path,
        declared: &[Dependency],
        lender: &dyn Lender,
    ) -> Result<(), ChartError> {
        let failed = |error: crate::repo::Error| ChartError::Dependency(chain(&error));
        let configuration = root.with_file_name("helm");
        let files = HelmFiles {
            config: configuration.join("repositories.yaml"),
            cache: configuration.join("cache"),
            packed: configuration.join("packed"),
        };
        let mut addresses: Vec<&str> = declared.iter().map(|one| one.repository.as_str()).collect();
        addresses.retain(|address| address.contains("://") && !address.starts_with("file://"));
        let specs = match addresses.is_empty() {
            true => Vec::new(),
            false => lender.lend(&addresses).await.map_err(ChartError::Dependency)?,
        };
        let list = login::registered(&addresses, &specs, &configuration);
        let list = list.map_err(ChartError::Store)?;
        files.write(&list).map_err(failed)?;
        let session = Session::new(self.fetcher(), login::registries(&specs));
        let subcharts = Subcharts {
            folder: chart,
            files: &files,
            fetcher: self.fetcher(),
            registries: Registries { session: &session, say: &quiet },
            skip_refresh: false,
            timeout: TIMEOUT,
            stamp: Stamp::Now(Timestamp::UNIX_EPOCH),
            verify: Verify::Never,
            say: &quiet,
        };
        subcharts.build().await.map_err(failed)
    }
}

impl TreeChart<'_> {
    /// How its archive is called in the cache.
    fn prefix(&self) -> String {
        let mut parts = vec![self.path];
        parts.extend(self.values_files.paths.iter().map(String::as_str));
        parts.extend(self.values_files.ignore_missing.then_some("\0"));
        let parts = parts.into_iter().map(|part| Digest::of(part).to_hex());
        format!("chart-{}-", &Digest::of(parts.collect::<Vec<_>>().join(" ")).to_hex()[..16])
    }
}

/// Reads a values file of the files; none if it is not there.
fn values_at(root: &Path, name: &str) -> Result<Option<Map>, ChartError> {
    let inside = inside(Path::new(""), name).filter(|_| !Path::new(name).is_absolute());
    let path = inside.map(|inside| root.join(inside)).filter(|path| path.is_file());
    let Some(path) = path else { return Ok(None) };
    let text = file::read_bytes(&path, limit::current().of(Limit::Values));
    let text = text
        .map_err(|error| ChartError::Values(format!("values file '{name}': {}", chain(&error))))?;
    parsed(name, &text).map(Some)
}

fn quiet(text: &str) {
    tracing::debug!(text = text.trim_end(), "getting dependencies");
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ChartError> + Send + 'static,
) -> Result<T, ChartError> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(|error| ChartError::Package(error.to_string()))?
}

fn has_all(chart: &Chart) -> bool {
    chart::check_dependencies_present(chart).is_ok()
}

/// Returns a path inside of the files.
fn confined(root: &Path, path: &str) -> Result<PathBuf, ChartError> {
    let inside = inside(Path::new(""), path);
    let inside = inside.filter(|_| !Path::new(path).is_absolute());
    let outside = || ChartError::Reference(format!("path '{path}' leads out of the source"));
    Ok(root.join(inside.ok_or_else(outside)?))
}

/// Joins a path to a folder, both relative to the root; none if it leads out of it.
fn inside(folder: &Path, path: &str) -> Option<PathBuf> {
    let mut found = folder.to_owned();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => found.push(name),
            Component::ParentDir => {
                found.file_name()?;
                found.pop();
            }
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(found)
}

/// Dependencies in folders are inside of the files.
fn check_local(root: &Path, chart: &Path, declared: &[Dependency]) -> Result<(), ChartError> {
    let folder = chart.strip_prefix(root).unwrap_or(Path::new(""));
    for dependency in declared {
        let Some(path) = dependency.repository.strip_prefix("file://") else { continue };
        if inside(folder, path).is_none() {
            let text = format!(
                "repository '{}' of dependency {} leads out of the source",
                dependency.repository, dependency.name
            );
            return Err(ChartError::Dependency(text));
        }
    }
    Ok(())
}

/// `shown` is the path as people know it.
fn loaded(path: &Path, shown: &str) -> Result<Chart, ChartError> {
    let wrong = |why: String| ChartError::Reference(format!("chart at '{shown}': {why}"));
    if path.is_dir() {
        if !path.join("Chart.yaml").is_file() {
            return Err(wrong("there is no Chart.yaml".to_owned()));
        }
        return load_folder(path).map_err(|error| wrong(chain(&error)));
    }
    if !path.is_file() {
        return Err(ChartError::Reference(format!("there is nothing at '{shown}'")));
    }
    let bytes = file::read_bytes(path, limit::ARCHIVE_BYTES).map_err(|error| match error {
        file::Error::TooLarge { limit_bytes, .. } => {
            wrong(format!("it is larger than {limit_bytes} bytes"))
        }
        error => ChartError::Store(error),
    })?;
    load_archive(&bytes).map_err(|error| wrong(chain(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_files_are_merged_in_their_order() {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in
            [("a.yaml", "x: {a: 1, b: [1]}\nz: 1\n"), ("d/b.yaml", "x: {b: [], c: null}")]
        {
            file::write_atomic(&root.path().join(name), text.as_bytes()).unwrap();
        }
        file::write_atomic(&root.path().join("bad.yaml"), b"a: [").unwrap();
        let got = |names: &[&str], ignore_missing| {
            let paths: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let files = ValuesFiles { paths: &paths, ignore_missing };
            let got = merged(files, |name| values_at(root.path(), name));
            let got = got.map_err(|error| error.to_string())?;
            Ok(got.map(|merged| crate::yaml::Value::Object(merged.values).to_string()))
        };
        let missing =
            Err("values files merge error: no values file found at path 'none'".to_owned());
        assert_eq!(got(&["none", "a.yaml"], false), missing);
        assert_eq!(got(&["none"], true), Ok(None));
        let want = r#"{"x":{"a":1.0,"b":[],"c":null},"z":1.0}"#;
        assert_eq!(got(&["a.yaml", "none", "d/b.yaml"], true), Ok(Some(want.to_owned())));
        assert!(got(&["bad.yaml"], true).unwrap_err().contains("values file 'bad.yaml': "));
        assert!(got(&["../a.yaml"], false).unwrap_err().contains("no values file found"));
    }

    #[test]
    fn paths_stay_in_the_files() {
        let rows = [
            ("charts/web", "", Some("charts/web")),
            ("./charts/../web", "", Some("web")),
            ("", "", Some("")),
            ("..", "", None),
            ("a/../../b", "", None),
            ("../common", "charts/web", Some("charts/common")),
            ("../../..", "charts/web", None),
            ("/etc", "charts/web", None),
        ];
        for (path, folder, want) in rows {
            assert_eq!(inside(Path::new(folder), path), want.map(PathBuf::from), "{path}");
        }
    }
}
