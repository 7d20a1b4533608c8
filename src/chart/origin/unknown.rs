//! Which keys a person sets that the chart does not know.

use std::sync::Arc;

use super::{Chart, Map, Path, Source, Traced, Value};
use crate::base::similar::similar;
use crate::chart::dependency::{import_values, instances};

/// A key that the chart does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// Up to the first key that is not known.
    pub path: Path,
    /// The layer that sets it.
    pub layer: usize,
    /// Known keys of the same table that are spelled alike.
    pub similar: Vec<String>,
}

/// Finds the keys of the layers for which `loaded`, the chart as it was loaded, has no default.
///
/// Known is what a default stands for (also a null one), what stands below an empty table or
/// anything that is no table, what the schema names, conditions and tags of dependencies, and
/// everything below `global`, which may be meant for any chart.
pub fn unknown(traced: &Traced, loaded: &Chart) -> Vec<Unknown> {
    let all = with_all(loaded);
    let imported =
        import_values(all.clone()).map_or_else(|_| all.clone(), |(imported, _)| imported);
    let mut found: Vec<Unknown> = Vec::new();
    for leaf in traced.leaves() {
        let Some(Source::Layer(layer)) = leaf.origin.map(|origin| origin.source) else { continue };
        let Some(end) = first_unknown(&[&all, &imported], &leaf.path) else { continue };
        let path = leaf.path[..end].to_vec();
        if found.iter().any(|known| known.path == path) {
            continue;
        }
        let names = siblings(&all, &path);
        let similar = similar(names.iter().map(String::as_str), &path[end - 1]);
        found.push(Unknown { path, layer, similar });
    }
    found
}

/// The chart with every dependency that it declares, enabled or not, under its alias.
fn with_all(chart: &Chart) -> Chart {
    let mut children = instances(chart, &chart.metadata.dependencies);
    for child in &mut children {
        *child = Arc::new(with_all(child));
    }
    Chart { dependencies: children, ..chart.clone() }
}

/// Returns the length of the shortest part of a path that no chart knows.
fn first_unknown(charts: &[&Chart], path: &[String]) -> Option<usize> {
    (1..=path.len()).find(|&end| !charts.iter().any(|chart| knows(chart, &path[..end])))
}

fn knows(root: &Chart, path: &[String]) -> bool {
    super::scopes(root, path).iter().any(|(_, chart, inner)| match inner.first() {
        // The table of a dependency itself.
        None => true,
        Some(first) if first == super::GLOBAL => true,
        Some(_) => {
            has_default(&chart.values, inner)
                || chart.schema.as_ref().is_some_and(|schema| in_schema(schema, inner))
                || rules(chart, inner)
        }
    })
}

fn has_default(map: &Map, path: &[String]) -> bool {
    let Some((first, rest)) = path.split_first() else { return true };
    match map.get(first) {
        None => false,
        Some(Value::Object(inner)) if !inner.is_empty() => has_default(inner, rest),
        Some(_) => true,
    }
}

/// Whether the schema names the path, all of it.
fn in_schema(schema: &[u8], path: &[String]) -> bool {
    let Ok(schema) = serde_json::from_slice::<Value>(schema) else { return false };
    path.iter().try_fold(&schema, |here, key| here.get("properties")?.get(key)).is_some()
}

/// Whether a path is, or leads to, a condition or tag of a dependency.
fn rules(chart: &Chart, path: &[String]) -> bool {
    let dotted = path.join(".");
    let leads = |rule: &str| {
        rule.strip_prefix(&dotted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    chart.metadata.dependencies.iter().any(|dependency| {
        let conditions = dependency.condition.trim().split(',').filter(|rule| !rule.is_empty());
        conditions.into_iter().any(leads)
            || dependency.tags.iter().any(|tag| leads(&format!("tags.{tag}")))
    })
}

/// The keys of the tables that hold the last key of a path.
fn siblings(root: &Chart, path: &[String]) -> Vec<String> {
    let Some((_, table)) = path.split_last() else { return Vec::new() };
    let mut names = Vec::new();
    for (_, chart, inner) in super::scopes(root, table) {
        let table = if inner.is_empty() {
            names.extend(chart.dependencies.iter().map(|child| child.metadata.name.clone()));
            Some(&*chart.values)
        } else {
            super::lookup(&chart.values, inner).and_then(Value::as_object)
        };
        names.extend(table.into_iter().flat_map(|table| table.keys().cloned()));
    }
    names.sort();
    names.dedup();
    names
}
