//! A chart and the user's values, made ready for its templates.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// The same as templates take them.
    pub(super) frozen: Frozen,
    warnings: Vec<Warning>,
    /// Whether the values are known to fit the schemas.
    is_valid: AtomicBool,
}

impl Prepared {
    /// Puts the values together for a chart whose dependencies are enabled, which gave warnings.
    pub(super) fn new(
        enabled: Chart,
        mut warnings: Vec<Warning>,
        values: &Map,
    ) -> Result<Self, Error> {
        let (chart, more) = chart::import_values(enabled)?;
        warnings.extend(more);
        let (values, more) = chart::coalesce(&chart, values)?;
        warnings.extend(more);
        Ok(Self {
            scopes: scopes(&chart),
            chart: Arc::new(chart),
            frozen: Frozen::of_map(&values),
            values,
            warnings,
            is_valid: AtomicBool::new(false),
        })
    }

    /// Writes what is odd about the values to the log.
    pub(super) fn warn(&self) {
        for warning in &self.warnings {
            tracing::info!(%warning);
        }
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

/// Adds every chart of a tree with its path, parents first.
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

/// Returns the paths of all charts of a tree.
pub(super) fn paths(chart: &Chart) -> Vec<String> {
    charts(chart).into_iter().map(|(_, path, _)| path).collect()
}

/// What compiling needs of a chart whose dependencies are enabled: its values do not matter.
pub(super) struct Templates {
    /// The templates of all charts.
    pub(super) files: Vec<TemplateFile>,
    /// Which of the charts are libraries.
    pub(super) libraries: Vec<bool>,
}

impl Templates {
    pub(super) fn of(chart: &Chart) -> Self {
        let (mut files, mut libraries) = (Vec::new(), Vec::new());
        for (scope, (chart, path, _)) in charts(chart).into_iter().enumerate() {
            files.extend(chart.templates.iter().map(|file| TemplateFile {
                name: format!("{path}/{}", file.name),
                text: file.data.clone().into_bytes(),
                scope,
            }));
            libraries.push(chart.metadata.is_library());
        }
        Self { files, libraries }
    }
}
