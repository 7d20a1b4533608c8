//! Charts with other values of their own, and other versions: packed anew, and kept by digest.
//!
//! Source: fluxcd/source-controller internal/helm/chart/builder_remote.go, builder_local.go,
//! metadata.go (`OverwriteChartDefaultValues`).

use std::path::{Component, Path};
use std::sync::Arc;

use bytes::Bytes;

use super::repositories::{Pulled, Repositories};
use super::tree::ChartError;
use crate::base::class::chain;
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::file;
use crate::chart::{self, Chart, Stamp, load_archive};
use crate::yaml::{self, Map, Value};

/// Which values files become a chart's own values.
#[derive(Debug, Clone, Copy)]
pub struct ValuesFiles<'a> {
    /// Their paths, in the order in which they are merged.
    pub paths: &'a [String],
    /// Whether those that are not there are passed over.
    pub ignore_missing: bool,
}

/// Values files, merged.
#[derive(Debug)]
pub(super) struct Merged {
    pub(super) values: Map,
    /// Those that were there.
    pub(super) used: Vec<String>,
}

/// Merges values files, later ones over earlier ones; none where none is there. `find` returns the
/// values of one.
pub(super) fn merged(
    files: ValuesFiles<'_>,
    find: impl Fn(&str) -> Result<Option<Map>, ChartError>,
) -> Result<Option<Merged>, ChartError> {
    let mut merged: Option<Merged> = None;
    for name in files.paths {
        let Some(over) = find(name)? else {
            if files.ignore_missing {
                continue;
            }
            return Err(ChartError::Values(format!("no values file found at path '{name}'")));
        };
        let Merged { values, mut used } =
            merged.unwrap_or(Merged { values: Map::new(), used: Vec::new() });
        used.push(name.clone());
        merged = Some(Merged { values: chart::merge_values(values, over), used });
    }
    Ok(merged)
}

/// Reads the text of a values file.
pub(super) fn parsed(name: &str, text: &[u8]) -> Result<Map, ChartError> {
    let wrong = |error| ChartError::Values(format!("values file '{name}': {}", chain(&error)));
    chart::parse_values(text).map_err(wrong)
}

/// Gives a chart other values of its own.
pub(super) fn replace_values(chart: &mut Chart, values: Map) -> Result<(), ChartError> {
    if chart.values_text.is_none() {
        let text = "failed to locate values file: values.yaml";
        return Err(ChartError::Values(text.to_owned()));
    }
    let values = Value::Object(values);
    let text = yaml::print(&values).map_err(|error| ChartError::Values(error.to_string()))?;
    chart.values_text = Some(text.into());
    if let Value::Object(values) = values {
        chart.values = values.into();
    }
    Ok(())
}

/// Packs a chart: the same chart gives the same bytes.
pub(super) fn packed(chart: &Chart) -> Result<(Bytes, Chart), ChartError> {
    let failed = |error: chart::Error| ChartError::Package(chain(&error));
    let bytes = chart::save(chart, Stamp::Now(Timestamp::UNIX_EPOCH)).map_err(failed)?;
    // What is used is what others would unpack.
    let chart = load_archive(&bytes).map_err(failed)?;
    Ok((bytes.into(), chart))
}

/// Merges values files of a chart, by their paths in it.
fn merged_inside(chart: &Chart, files: ValuesFiles<'_>) -> Result<Option<Merged>, ChartError> {
    merged(files, |name| {
        let path = cleaned(name);
        if path == "values.yaml" {
            return Ok(Some((*chart.values).clone()));
        }
        let file = chart.files.iter().find(|file| file.name == path);
        file.map(|file| parsed(name, &file.data.clone().into_bytes())).transpose()
    })
}

/// A path without `.` and empty parts.
fn cleaned(path: &str) -> String {
    let parts = Path::new(path).components().filter_map(|part| match part {
        Component::Normal(name) => name.to_str(),
        Component::ParentDir => Some(".."),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    });
    parts.collect::<Vec<_>>().join("/")
}

impl Repositories {
    /// Returns a chart whose own values are those of files in it, and which of these were there.
    /// The chart is as it was where none was, or none is wanted.
    ///
    /// # Errors
    /// A file is missing, or is none of values.
    pub fn with_values_files(
        pulled: &Pulled,
        files: ValuesFiles<'_>,
    ) -> Result<(Arc<Chart>, Vec<String>), ChartError> {
        let Some(Merged { values, used }) = merged_inside(&pulled.chart, files)? else {
            return Ok((Arc::clone(&pulled.chart), Vec::new()));
        };
        let mut chart = (*pulled.chart).clone();
        replace_values(&mut chart, values)?;
        Ok((Arc::new(chart), used))
    }

    /// Packs a chart in this version, and keeps the archive by its digest.
    ///
    /// # Errors
    /// It cannot be packed, or not be kept.
    pub async fn pack(&self, chart: &Arc<Chart>, version: &str) -> Result<Pulled, ChartError> {
        let mut chart = (**chart).clone();
        version.clone_into(&mut chart.metadata.version);
        let ended = tokio::task::spawn_blocking(move || packed(&chart)).await;
        let (bytes, chart) = ended.map_err(|error| ChartError::Package(error.to_string()))??;
        let pulled = Pulled { digest: Digest::of(&bytes), chart: Arc::new(chart) };
        self.keep_archive(&pulled, &bytes).map_err(ChartError::Store)?;
        Ok(pulled)
    }

    /// Keeps the archive of a chart by its digest.
    pub(super) fn keep_archive(&self, pulled: &Pulled, bytes: &[u8]) -> Result<(), file::Error> {
        self.keep_chart(pulled);
        self.cache().put_archive(&pulled.digest, bytes, self.fetcher().clock().now())
    }

    /// Returns an archive by its digest, if it is in the cache and undamaged.
    pub fn archive(&self, digest: &Digest) -> Option<Bytes> {
        self.cache().archive(digest, self.fetcher().clock().now())
    }

    /// Returns a chart by the digest of its archive, if it is known here.
    pub fn by_digest(&self, digest: &Digest) -> Option<Pulled> {
        if let Some(kept) = self.kept_chart(digest) {
            return Some(kept);
        }
        let chart = load_archive(&self.archive(digest)?).ok()?;
        let pulled = Pulled { digest: *digest, chart: Arc::new(chart) };
        self.keep_chart(&pulled);
        Some(pulled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::{File, load_files};

    fn chart(files: &[(&str, &str)]) -> Pulled {
        let files = files.iter().map(|(name, text)| File {
            name: (*name).to_owned(),
            data: Bytes::from((*text).to_owned()).into(),
        });
        let head = File {
            name: "Chart.yaml".to_owned(),
            data: Bytes::from_static(b"apiVersion: v2\nname: web\nversion: 1.0.0\n").into(),
        };
        let chart = load_files(std::iter::once(head).chain(files).collect()).unwrap();
        Pulled { digest: Digest::of(""), chart: Arc::new(chart) }
    }

    #[test]
    fn files_of_a_chart_become_its_values() {
        let files = [
            ("values.yaml", "a: {b: 1, c: [1]}\n"),
            ("prod.yaml", "a: {c: [2], d: null}\n"),
            ("env/more.yaml", "e: f\n"),
            ("bad.yaml", "a: ["),
        ];
        let missing = "values files merge error: no values file found at path";
        type Want = Result<(&'static str, usize), &'static str>;
        let rows: &[(&[&str], bool, Want)] = &[
            (&["values.yaml", "prod.yaml"], false, Ok(("a:\n  b: 1\n  c:\n  - 2\n  d: null\n", 2))),
            (
                &["prod.yaml", "./env//more.yaml"],
                false,
                Ok(("a:\n  c:\n  - 2\n  d: null\ne: f\n", 2)),
            ),
            (&["prod.yaml", "none.yaml"], false, Err(missing)),
            (&["none.yaml", "env/more.yaml"], true, Ok(("e: f\n", 1))),
            (&["none.yaml"], true, Ok(("a: {b: 1, c: [1]}\n", 0))),
            (&["../values.yaml"], false, Err(missing)),
            (&["bad.yaml"], true, Err("values files merge error: values file 'bad.yaml': ")),
        ];
        for (names, ignore_missing, want) in rows {
            let paths: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let files_wanted = ValuesFiles { paths: &paths, ignore_missing: *ignore_missing };
            let got = Repositories::with_values_files(&chart(&files), files_wanted);
            match (got, want) {
                (Ok((chart, used)), Ok((text, count))) => {
                    let values = chart.values_text.clone().unwrap();
                    assert_eq!(String::from_utf8_lossy(&values), *text, "{names:?}");
                    assert_eq!(used.len(), *count, "{names:?}");
                }
                (Err(error), Err(text)) => {
                    assert!(error.to_string().starts_with(text), "{names:?}: {error}");
                }
                (got, _) => panic!("{names:?}: {got:?}"),
            }
        }
        let bare = chart(&[("prod.yaml", "a: 1\n")]);
        let paths = ["prod.yaml".to_owned()];
        let files = ValuesFiles { paths: &paths, ignore_missing: false };
        let error = Repositories::with_values_files(&bare, files).unwrap_err().to_string();
        assert!(error.ends_with("failed to locate values file: values.yaml"), "{error}");
    }

    #[test]
    fn the_same_chart_is_packed_to_the_same_bytes() {
        let chart = chart(&[("values.yaml", "a: 1\n"), ("templates/a.yaml", "a: b\n")]).chart;
        assert_eq!(packed(&chart).unwrap().0, packed(&chart).unwrap().0);
    }
}
