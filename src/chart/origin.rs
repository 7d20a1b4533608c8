//! Where values come from: the merge once more, with marks instead of values.
//!
//! Every leaf of every source becomes a mark that names its source and its place there, and every
//! table gets one under a key that no document has. Then the same functions that merge values
//! merge the marks: so both come out in the same shape, whatever the rules are. Nulls stay what
//! they are, because the rules look at them; they and empty lists are looked up by their path.

use std::sync::Arc;

use super::{Chart, Error, SetError, coalesce, enable_dependencies, import_values, merge_values};
use crate::yaml::{Map, Value};

mod unknown;

pub use unknown::{Unknown, unknown};

/// Begins every mark, and is the key of a table's own.
const MARK: &str = "\u{0}origin ";
const GLOBAL: &str = "global";

/// A path of keys; items of lists are numbers, from 0.
pub type Path = Vec<String>;

/// Something that sets values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// The `values.yaml` of a chart: `root` or `root/charts/child`.
    Chart(String),
    /// What a person gave: the number of the layer, from 0.
    Layer(usize),
}

/// A source, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The source.
    pub source: Source,
    /// The place in it.
    pub path: Path,
}

/// A value that a source has.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Which source, and where in it.
    pub origin: Origin,
    /// The value.
    pub value: Value,
}

/// What a person gives, layer upon layer: files, flags, references.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    /// The merged values.
    pub values: Map,
    marks: Map,
    origins: Vec<Origin>,
    /// What each layer alone says.
    own: Vec<Map>,
}

impl Layers {
    /// Lays a document on top, as [`merge_values`] does.
    pub fn merge(&mut self, document: Map) {
        let source = Source::Layer(self.own.len());
        let marked = marked(&document, &source, &mut self.origins);
        self.own.push(document.clone());
        self.values = merge_values(std::mem::take(&mut self.values), document);
        self.marks = merge_values(std::mem::take(&mut self.marks), marked);
    }

    /// Lets a flag write on top.
    ///
    /// # Errors
    /// What `write` says of the values.
    pub fn write(
        &mut self,
        write: &mut dyn FnMut(&mut Map) -> Result<(), SetError>,
    ) -> Result<(), SetError> {
        write(&mut self.values)?;
        let source = Source::Layer(self.own.len());
        let mut own = Map::new();
        // Alone it may fail, where a list or a table below it is missing.
        let _ = write(&mut own);
        self.own.push(own);
        write(&mut self.marks)?;
        mark(&mut self.marks, &source, &mut Path::new(), &mut self.origins);
        Ok(())
    }
}

/// Final values with their origins.
#[derive(Debug, Clone)]
pub struct Traced {
    /// What templates see.
    pub values: Map,
    /// The chart with its dependencies enabled and named, their values as they were written.
    pub chart: Arc<Chart>,
    marks: Map,
    origins: Vec<Origin>,
    own: Vec<Map>,
}

/// Computes what templates see, as [`super::process_dependencies`] and [`super::coalesce`] do,
/// and where each of it comes from.
///
/// # Errors
/// As those.
pub fn trace(chart: &Chart, layers: Layers) -> Result<Traced, Error> {
    let (enabled, _) = enable_dependencies(chart, &layers.values)?;
    let mut origins = layers.origins;
    let marked = marked_chart(&enabled, &enabled.metadata.name, &mut origins);
    let (marks, _) = coalesce(&import_values(marked)?.0, &layers.marks)?;
    let (values, _) = coalesce(&import_values(enabled.clone())?.0, &layers.values)?;
    Ok(Traced { values, chart: Arc::new(enabled), marks, origins, own: layers.own })
}

/// One value of the final ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaf<'v> {
    /// Where it is.
    pub path: Path,
    /// A scalar, a list, or an empty table.
    pub value: &'v Value,
    /// Where it comes from. Nothing: the merge itself made it (`global: {}`).
    pub origin: Option<Origin>,
}

/// A default that a null deleted.
#[derive(Debug, Clone, PartialEq)]
pub struct Deleted {
    /// Where it was.
    pub path: Path,
    /// Who deleted it.
    pub origin: Origin,
    /// What it was.
    pub was: Candidate,
}

impl Traced {
    /// Returns the value at a path.
    pub fn value(&self, path: &[String]) -> Option<&Value> {
        lookup(&self.values, path)
    }

    /// Returns where the value at a path comes from; of a table, who made it a table.
    pub fn origin(&self, path: &[String]) -> Option<Origin> {
        let value = self.value(path)?;
        let found = match lookup(&self.marks, path) {
            Some(Value::Object(table)) => table.get(MARK).and_then(|mark| self.of_mark(mark)),
            Some(mark) => self.of_mark(mark),
            None => None,
        };
        // Nulls and empty lists bear no mark.
        found.or_else(|| {
            let same = |candidate: &Candidate| candidate.value == *value;
            self.candidates(path).into_iter().find(same).map(|candidate| candidate.origin)
        })
    }

    /// Returns every leaf, in the order of the paths.
    pub fn leaves(&self) -> Vec<Leaf<'_>> {
        fn walk<'v>(traced: &Traced, map: &'v Map, path: &mut Path, found: &mut Vec<Leaf<'v>>) {
            for (key, value) in map {
                path.push(key.clone());
                match value {
                    Value::Object(inner) if !inner.is_empty() => walk(traced, inner, path, found),
                    value => {
                        let origin = traced.origin(path);
                        found.push(Leaf { path: path.clone(), value, origin });
                    }
                }
                path.pop();
            }
        }
        let mut found = Vec::new();
        walk(self, &self.values, &mut Path::new(), &mut found);
        found
    }

    /// Returns what the sources say at a path, the strongest first: the layers from the top, then
    /// the charts from the root. A global may be said for a parent, too.
    pub fn candidates(&self, path: &[String]) -> Vec<Candidate> {
        let paths = stronger_globals(path, &self.chart);
        let mut found = Vec::new();
        for (index, own) in self.own.iter().enumerate().rev() {
            let said = paths.iter().find_map(|path| Some((path, lookup(own, path)?)));
            if let Some((path, value)) = said {
                let origin = Origin { source: Source::Layer(index), path: path.clone() };
                found.push(Candidate { origin, value: value.clone() });
            }
        }
        for path in &paths {
            for (name, chart, inner) in scopes(&self.chart, path) {
                let Some(value) = lookup(&chart.values, inner) else { continue };
                let origin = Origin { source: Source::Chart(name), path: inner.to_vec() };
                if !found.iter().any(|known: &Candidate| known.origin == origin) {
                    found.push(Candidate { origin, value: value.clone() });
                }
            }
        }
        found
    }

    /// Returns what the source itself says where a value comes from.
    pub fn said(&self, origin: &Origin) -> Option<&Value> {
        match &origin.source {
            Source::Layer(index) => lookup(self.own.get(*index)?, &origin.path),
            Source::Chart(name) => lookup(&self.chart_named(name)?.values, &origin.path),
        }
    }

    /// Returns the chart of a name such as `root/charts/child`.
    pub fn chart_named(&self, name: &str) -> Option<&Chart> {
        let rest = name.strip_prefix(&self.chart.metadata.name)?;
        let mut here: &Chart = &self.chart;
        for child in rest.split("/charts/").skip(1) {
            here = here.dependencies.iter().find(|c| c.metadata.name == child)?;
        }
        Some(here)
    }

    /// Returns what the winner at a path won over, the strongest first.
    pub fn overridden(&self, leaf: &Leaf<'_>) -> Vec<Candidate> {
        let candidates = self.candidates(&leaf.path);
        let winner = leaf.origin.as_ref();
        let at = candidates.iter().position(|candidate| Some(&candidate.origin) == winner);
        candidates.into_iter().skip(at.map_or(0, |at| at + 1)).collect()
    }

    /// Returns the defaults that a null of a layer deleted.
    pub fn deleted(&self) -> Vec<Deleted> {
        let mut found: Vec<Deleted> = Vec::new();
        for (index, own) in self.own.iter().enumerate() {
            for path in nulls(own) {
                if self.value(&path).is_some() {
                    continue;
                }
                let origin = Origin { source: Source::Layer(index), path: path.clone() };
                let below = self.candidates(&path).into_iter().find(|candidate| {
                    matches!(candidate.origin.source, Source::Chart(_))
                        && !candidate.value.is_null()
                });
                if let Some(was) = below {
                    found.retain(|known| known.path != path);
                    found.push(Deleted { path, origin, was });
                }
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        found
    }

    /// Returns the origin of a mark; of a list, who touched it last.
    fn of_mark(&self, mark: &Value) -> Option<Origin> {
        let strength = |origin: &Origin| match &origin.source {
            Source::Layer(index) => index + 1,
            Source::Chart(_) => 0,
        };
        match mark {
            Value::String(text) => {
                self.origins.get(text.strip_prefix(MARK)?.parse::<usize>().ok()?).cloned()
            }
            Value::Array(items) => {
                let found = items.iter().filter_map(|item| self.of_mark(item));
                let mut last = found.max_by_key(strength)?;
                last.path.pop();
                Some(last)
            }
            Value::Object(table) => self.of_mark(table.get(MARK)?),
            Value::Null | Value::Bool(_) | Value::Number(_) => None,
        }
    }
}

/// Returns the value at a path.
pub fn lookup<'v>(map: &'v Map, path: &[String]) -> Option<&'v Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(map.get(first)?, |value, key| match value {
        Value::Object(map) => map.get(key),
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Returns the charts that a path leads into, the root first: name, chart, and the rest of the
/// path inside it.
pub(super) fn scopes<'c, 'p>(
    root: &'c Chart,
    path: &'p [String],
) -> Vec<(String, &'c Chart, &'p [String])> {
    let mut name = root.metadata.name.clone();
    let mut found = vec![(name.clone(), root, path)];
    let (mut here, mut rest) = (root, path);
    while let Some((first, inner)) = rest.split_first() {
        let child = here.dependencies.iter().find(|child| child.metadata.name == *first);
        let Some(child) = child else { break };
        name = format!("{name}/charts/{first}");
        found.push((name.clone(), child, inner));
        (here, rest) = (child, inner);
    }
    found
}

/// The paths that say the same global, the strongest first: a parent's wins over a child's.
fn stronger_globals(path: &[String], chart: &Chart) -> Vec<Path> {
    let into = scopes(chart, path).len() - 1;
    let Some(at) = path.iter().take(into + 1).position(|key| key == GLOBAL) else {
        return vec![path.to_vec()];
    };
    (0..=at).map(|keep| [&path[..keep], &path[at..]].concat()).collect()
}

fn nulls(map: &Map) -> Vec<Path> {
    fn walk(map: &Map, path: &mut Path, found: &mut Vec<Path>) {
        for (key, value) in map {
            path.push(key.clone());
            match value {
                Value::Null => found.push(path.clone()),
                Value::Object(inner) => walk(inner, path, found),
                _ => {}
            }
            path.pop();
        }
    }
    let mut found = Vec::new();
    walk(map, &mut Path::new(), &mut found);
    found
}

/// Returns the chart with marks instead of values, and so its dependencies.
fn marked_chart(chart: &Chart, name: &str, origins: &mut Vec<Origin>) -> Chart {
    let values = marked(&chart.values, &Source::Chart(name.to_owned()), origins);
    let children = chart.dependencies.iter().map(|child| {
        let name = format!("{name}/charts/{}", child.metadata.name);
        Arc::new(marked_chart(child, &name, origins))
    });
    Chart { values: values.into(), dependencies: children.collect(), ..chart.clone() }
}

fn marked(document: &Map, source: &Source, origins: &mut Vec<Origin>) -> Map {
    let mut marks = document.clone();
    mark(&mut marks, source, &mut Path::new(), origins);
    marks
}

/// Marks what bears no mark yet.
fn mark(map: &mut Map, source: &Source, path: &mut Path, origins: &mut Vec<Origin>) {
    for (key, value) in map.iter_mut().filter(|(key, _)| *key != MARK) {
        path.push(key.clone());
        mark_value(value, source, path, origins);
        path.pop();
    }
    if !path.is_empty() && !map.contains_key(MARK) {
        map.insert(MARK.to_owned(), new_mark(source, path, origins));
    }
}

fn mark_value(value: &mut Value, source: &Source, path: &mut Path, origins: &mut Vec<Origin>) {
    match value {
        Value::Null => {}
        Value::String(text) if text.starts_with(MARK) => {}
        Value::Object(map) => mark(map, source, path, origins),
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                path.push(index.to_string());
                mark_value(item, source, path, origins);
                path.pop();
            }
        }
        Value::String(_) | Value::Number(_) | Value::Bool(_) => {
            *value = new_mark(source, path, origins);
        }
    }
}

fn new_mark(source: &Source, path: &Path, origins: &mut Vec<Origin>) -> Value {
    origins.push(Origin { source: source.clone(), path: path.clone() });
    Value::String(format!("{MARK}{}", origins.len() - 1))
}

#[cfg(test)]
mod tests;
