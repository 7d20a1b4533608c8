//! A chart and the user's values, made ready for its templates.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::super::Error;
use crate::chart::{self, Chart, Warning};
use crate::template::{Frozen, Scope, TemplateFile};
use crate::yaml::Map;

/// What every rendering of a chart with the same values begins with.
#[derive(Debug)]
pub(super) struct Prepared {
    /// The chart with its dependencies processed.
    pub(super) chart: Arc<Chart>,
    /// The values that templates see.
    pub(super) values: Map,
    /// Every chart of the tree, parents first.
    pub(super) scopes: Vec<Scope>,
    warnings: Vec<Warning>,
    frozen: OnceLock<Frozen>,
    /// Whether the values are known to fit the schemas.
    is_valid: AtomicBool,
}

impl Prepared {
    /// Processes the dependencies of a chart and puts the values together.
    pub(super) fn new(chart: &Chart, values: &Map) -> Result<Self, Error> {
        let (chart, mut warnings) = chart::process_dependencies(chart, values)?;
        let (values, more) = chart::coalesce(&chart, values)?;
        warnings.extend(more);
        Ok(Self {
            scopes: scopes(&chart),
            chart: Arc::new(chart),
            values,
            warnings,
            frozen: OnceLock::new(),
            is_valid: AtomicBool::new(false),
        })
    }

    /// Writes what is odd about the values to the log.
    pub(super) fn warn(&self) {
        for warning in &self.warnings {
            tracing::info!(%warning);
        }
    }

    /// Returns the values as templates take them.
    pub(super) fn frozen(&self) -> &Frozen {
        self.frozen.get_or_init(|| Frozen::of_map(&self.values))
    }

    /// Whether the values are still to be checked against schemas.
    pub(super) fn is_unchecked(&self) -> bool {
        !self.is_valid.load(Ordering::Relaxed) && chart::schema::is_wanted(&self.chart)
    }

    /// Checks the values against the schemas.
    pub(super) fn validate(&self) -> Result<(), Error> {
        chart::schema::validate(&self.chart, &self.values)?;
        self.is_valid.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// Returns every chart of a tree with its path, parents first.
fn walk<'a>(
    chart: &'a Chart,
    path: String,
    parent: Option<usize>,
    found: &mut Vec<(&'a Chart, String, Option<usize>)>,
) {
    let index = found.len();
    found.push((chart, path.clone(), parent));
    for child in &chart.dependencies {
        walk(child, format!("{path}/charts/{}", child.metadata.name), Some(index), found);
    }
}

fn charts(chart: &Chart) -> Vec<(&Chart, String, Option<usize>)> {
    let mut found = Vec::new();
    walk(chart, chart.metadata.name.clone(), None, &mut found);
    found
}

pub(super) fn scopes(chart: &Chart) -> Vec<Scope> {
    let found = charts(chart).into_iter().map(|(chart, path, parent)| {
        let mut files: Vec<_> =
            chart.files.iter().map(|file| (file.name.clone(), file.data.clone())).collect();
        files.sort_by(|a, b| a.0.cmp(&b.0));
        Scope {
            path,
            name: chart.metadata.name.clone(),
            parent,
            chart: chart.metadata.to_template_map(parent.is_none()),
            files: files.into(),
            library: chart.metadata.is_library(),
        }
    });
    found.collect()
}

pub(super) fn files(chart: &Chart) -> Vec<TemplateFile> {
    let mut files = Vec::new();
    for (scope, (chart, path, _)) in charts(chart).into_iter().enumerate() {
        files.extend(chart.templates.iter().map(|file| TemplateFile {
            name: format!("{path}/{}", file.name),
            text: file.data.clone().into_bytes(),
            scope,
        }));
    }
    files
}
