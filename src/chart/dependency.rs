//! Which dependencies take part, under which names, and what they give to their parents.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use super::{
    Chart, Dependency, Error, Metadata, Warning, gotext, shared,
    values::{GLOBAL, Level, Nulls, tables},
};
use crate::{
    base::{constraint::Constraint, version::Version},
    yaml::{Map, Value},
};

/// Checks that every declared dependency lies in `charts/` (by name; versions are not compared).
///
/// Source: helm v4.3.1 pkg/action/install.go (`CheckDependencies`).
///
/// # Errors
/// [`Error::MissingDependencies`] with the names.
pub fn check_dependencies_present(chart: &Chart) -> Result<(), Error> {
    let present: HashSet<&str> =
        chart.dependencies.iter().map(|child| child.metadata.name.as_str()).collect();
    let declared = chart.metadata.dependencies.iter().map(|d| d.name.as_str());
    let missing: Vec<&str> = declared.filter(|name| !present.contains(name)).collect();
    if missing.is_empty() { Ok(()) } else { Err(Error::MissingDependencies(missing.join(", "))) }
}

/// Applies aliases, tags, conditions and `import-values` to the whole tree. The chart that comes
/// out holds only what is enabled; its values include those of its dependencies.
///
/// Source: helm v4.3.1 pkg/chart/v2/util/dependencies.go (`ProcessDependencies`).
///
/// # Errors
/// Under a dependency's name stands something that is not a table.
pub fn process_dependencies(chart: &Chart, values: &Map) -> Result<(Chart, Vec<Warning>), Error> {
    let (enabled, mut warnings) = enable_dependencies(chart, values)?;
    let (processed, more) = import_values(enabled)?;
    warnings.extend(more);
    Ok((processed, warnings))
}

/// The first half of [`process_dependencies`]: which charts take part, and under which names.
///
/// # Errors
/// Under a dependency's name stands something that is not a table.
pub fn enable_dependencies(chart: &Chart, values: &Map) -> Result<(Chart, Vec<Warning>), Error> {
    let mut warnings = Vec::new();
    let enabled = match enable(chart, values, "", &mut warnings)? {
        Some(parts) => parts.applied_to(chart),
        None => chart.clone(),
    };
    Ok((enabled, warnings))
}

/// The second half of [`process_dependencies`]: what dependencies give to their parents.
///
/// # Errors
/// Under a dependency's name stands something that is not a table.
pub fn import_values(enabled: Chart) -> Result<(Chart, Vec<Warning>), Error> {
    let mut warnings = Vec::new();
    Ok((import(enabled, &mut warnings)?, warnings))
}

/// The keys that tags and conditions of a tree of charts ask for, and the names of its charts:
/// nothing else of all their values decides what is enabled.
struct Asked<'c>(BTreeSet<&'c str>);

impl<'c> Asked<'c> {
    fn of(chart: &'c Chart) -> Self {
        let mut asked = Self(BTreeSet::from(["tags", GLOBAL]));
        asked.add(chart);
        asked
    }

    fn add(&mut self, chart: &'c Chart) {
        self.0.insert(&chart.metadata.name);
        for dependency in &chart.metadata.dependencies {
            self.0.extend([dependency.name.as_str(), &dependency.alias]);
            self.0.extend(dependency.tags.iter().map(String::as_str));
            let conditions = dependency.condition.trim().split(',');
            self.0.extend(conditions.flat_map(|condition| condition.split('.')));
        }
        chart.dependencies.iter().for_each(|child| self.add(child));
    }

    /// What of a table can be asked for: keys are coalesced each for itself, so the others do not
    /// matter.
    fn part_of(&self, table: &Map) -> Map {
        let known = table.iter().filter(|(key, _)| self.0.contains(key.as_str()));
        let part = known.map(|(key, value)| {
            let value = match value {
                Value::Object(inner) => Value::Object(self.part_of(inner)),
                other => other.clone(),
            };
            (key.clone(), value)
        });
        part.collect()
    }

    /// What of the values decides for a chart at this path: what its tree asks for, and what lies
    /// under its path. Without the values of all charts beside it, many charts that declare
    /// dependencies of their own cost no more than each for itself.
    fn seen_from(&self, values: &Map, path: &str) -> Map {
        let known = self.0.iter().filter_map(|key| values.get_key_value(*key));
        let mut seen: Map = known.map(|(key, value)| (key.clone(), value.clone())).collect();
        let mut parts = path.strip_suffix('.').unwrap_or(path).split('.');
        if let Some(first) = parts.next()
            && !seen.contains_key(first)
            && let Some(value) = values.get(first)
        {
            seen.insert(first.to_owned(), along(value, parts));
        }
        seen
    }

    /// A chart with nothing but its name, what of its values can be asked for, and charts below it.
    fn skeleton(&self, chart: &Chart) -> Arc<Chart> {
        Arc::new(Chart {
            metadata: Metadata { name: chart.metadata.name.clone(), ..Metadata::default() },
            values: Arc::new(self.part_of(&chart.values)),
            dependencies: chart.dependencies.iter().map(|child| self.skeleton(child)).collect(),
            ..Chart::default()
        })
    }
}

/// A value without what is beside a path in it.
fn along<'p>(value: &Value, mut path: impl Iterator<Item = &'p str>) -> Value {
    match (value, path.next()) {
        (Value::Object(table), Some(part)) => {
            let inner = table.get(part).map(|inner| (part.to_owned(), along(inner, path)));
            Value::Object(inner.into_iter().collect())
        }
        (value, _) => value.clone(),
    }
}

/// What enabling changes of a chart.
struct Enabled {
    declared: Vec<Dependency>,
    children: Vec<Arc<Chart>>,
}

impl Enabled {
    fn applied_to(self, chart: &Chart) -> Chart {
        Chart {
            metadata: Metadata { dependencies: self.declared, ..chart.metadata.clone() },
            lock: chart.lock.clone(),
            values: Arc::clone(&chart.values),
            schema: chart.schema.clone(),
            templates: chart.templates.clone(),
            files: chart.files.clone(),
            values_text: chart.values_text.clone(),
            dependencies: self.children,
        }
    }
}

/// Returns what changes, or `None` for a chart that declares nothing.
///
/// Source: helm v4.3.1 pkg/chart/v2/util/dependencies.go (`processDependencyEnabled`).
fn enable(
    chart: &Chart,
    values: &Map,
    path: &str,
    warnings: &mut Vec<Warning>,
) -> Result<Option<Enabled>, Error> {
    if chart.metadata.dependencies.is_empty() {
        return Ok(None);
    }
    let mut asked = Asked::of(chart);
    let mut seen = asked.seen_from(values, path);
    // The defaults of a chart are laid at the root, where they may meet its own path.
    asked.0.extend(path.split('.'));
    let mut declared = chart.metadata.dependencies.clone();
    let mut children = instances(chart, &declared);
    for dependency in &mut declared {
        dependency.enabled = true;
        if !dependency.alias.is_empty() {
            dependency.name.clone_from(&dependency.alias);
        }
    }
    let below: Vec<_> = children.iter().map(|child| asked.skeleton(child)).collect();
    let defaults = asked.part_of(&chart.values);
    let level = Level { name: &chart.metadata.name, defaults: &defaults, children: &below };
    // The same warnings come again, once, when the values are coalesced for rendering.
    level.lay_below(&mut seen, Nulls::Delete, &mut Vec::new())?;
    apply_tags(&mut declared, &seen, warnings);
    apply_conditions(&mut declared, &seen, path, warnings);
    let off: HashSet<String> =
        declared.iter().filter(|d| !d.enabled).map(|d| d.name.clone()).collect();
    children.retain(|child| !off.contains(&child.metadata.name));
    declared.retain(|dependency| !off.contains(&dependency.name));
    for child in &mut children {
        let below = format!("{path}{}.", child.metadata.name);
        if let Some(parts) = enable(child, &seen, &below, warnings)? {
            *child = Arc::new(parts.applied_to(child));
        }
    }
    Ok(Some(Enabled { declared, children }))
}

/// The charts of `charts/` that nobody declares, then one for each declaration, under its alias.
pub(super) fn instances(chart: &Chart, declared: &[Dependency]) -> Vec<Arc<Chart>> {
    let mut named: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, child) in chart.dependencies.iter().enumerate() {
        named.entry(&child.metadata.name).or_default().push(index);
    }
    let mut undeclared = vec![true; chart.dependencies.len()];
    let mut children = Vec::new();
    for dependency in declared {
        let Some(named) = named.get(dependency.name.as_str()) else { continue };
        let range = dependency.version.parse::<Constraint>().ok();
        let fitting = named.iter().filter(|&&index| {
            is_compatible(range.as_ref(), &chart.dependencies[index].metadata.version)
        });
        let mut first = None;
        for &index in fitting {
            undeclared[index] = false;
            first = first.or(Some(&chart.dependencies[index]));
        }
        children.extend(first.map(|found| aliased(found, &dependency.alias)));
    }
    let undeclared = chart.dependencies.iter().zip(undeclared).filter(|(_, is)| *is);
    undeclared.map(|(child, _)| child.clone()).chain(children).collect()
}

/// A chart under the name that its declaration gives it.
fn aliased(chart: &Arc<Chart>, alias: &str) -> Arc<Chart> {
    if alias.is_empty() {
        return chart.clone();
    }
    let metadata = Metadata { name: alias.to_owned(), ..chart.metadata.clone() };
    Arc::new(Chart { metadata, ..Chart::clone(chart) })
}

/// Source: helm v4.3.1 pkg/chart/v2/util/compatible.go (`IsCompatibleRange`).
fn is_compatible(range: Option<&Constraint>, version: &str) -> bool {
    // Charts of `file://` dependencies often declare no version; Helm reads that as any.
    range.is_some_and(|range| version.parse::<Version>().is_ok_and(|v| range.matches(&v)))
}

/// Source: helm v4.3.1 pkg/chart/v2/util/dependencies.go (`processDependencyTags`).
fn apply_tags(declared: &mut [Dependency], values: &Map, warnings: &mut Vec<Warning>) {
    let Some(Value::Object(tags)) = values.get("tags") else { return };
    for dependency in declared {
        let (mut any_on, mut any_off) = (false, false);
        for tag in &dependency.tags {
            match tags.get(tag) {
                None => {}
                Some(Value::Bool(true)) => any_on = true,
                Some(Value::Bool(false)) => any_off = true,
                Some(_) => warnings.push(
                    Warning::new("returned non-bool value")
                        .with("tag", tag)
                        .with("chart", &dependency.name),
                ),
            }
        }
        dependency.enabled = any_on || !any_off;
    }
}

/// Source: helm v4.3.1 pkg/chart/v2/util/dependencies.go (`processDependencyConditions`).
fn apply_conditions(
    declared: &mut [Dependency],
    values: &Map,
    path: &str,
    warnings: &mut Vec<Warning>,
) {
    for dependency in declared {
        // Only the list as a whole is trimmed: ` b` in `a, b` never matches, in Helm neither.
        for condition in dependency.condition.trim().split(',').filter(|c| !c.is_empty()) {
            match scalar_at(values, &format!("{path}{condition}")) {
                None => {}
                Some(Value::Bool(on)) => {
                    dependency.enabled = *on;
                    break;
                }
                Some(_) => warnings.push(
                    Warning::new("returned non-bool value")
                        .with("path", condition)
                        .with("chart", &dependency.name),
                ),
            }
        }
    }
}

/// The value at a dotted path, if it is there and no table.
fn scalar_at<'v>(values: &'v Map, path: &str) -> Option<&'v Value> {
    let (folder, key) = path.rsplit_once('.').unwrap_or(("", path));
    let table = if folder.is_empty() && !path.contains('.') {
        values
    } else {
        table_at(values, folder).ok()?
    };
    table.get(key).filter(|value| !value.is_object())
}

/// The table at a dotted path, or the name of the part that is none.
fn table_at<'v>(values: &'v Map, path: &str) -> Result<&'v Map, String> {
    path.split('.').try_fold(values, |table, part| match table.get(part) {
        Some(Value::Object(inner)) => Ok(inner),
        _ => Err(format!("{} is not a table", gotext::quote(part))),
    })
}

/// Hands values of dependencies to their parents, children first.
///
/// Source: helm v4.3.1 pkg/chart/v2/util/dependencies.go (`processDependencyImportValues`).
fn import(mut chart: Chart, warnings: &mut Vec<Warning>) -> Result<Chart, Error> {
    for child in &mut chart.dependencies {
        if declares(child) {
            *child = Arc::new(import(Arc::unwrap_or_clone(std::mem::take(child)), warnings)?);
        }
    }
    if chart.metadata.dependencies.is_empty() {
        return Ok(chart);
    }
    let mut declared = std::mem::take(&mut chart.metadata.dependencies);
    let values = match import_shared(&chart, &mut declared)? {
        Some((values, mut told)) => {
            warnings.append(&mut told);
            values
        }
        None => import_plain(&mut chart, &mut declared, warnings)?,
    };
    chart.metadata.dependencies = declared;
    chart.values = Arc::new(values);
    Ok(chart)
}

/// A chart's values with what it imports.
fn import_plain(
    chart: &mut Chart,
    declared: &mut [Dependency],
    warnings: &mut Vec<Warning>,
) -> Result<Map, Error> {
    // With nothing above them, a chart's defaults are its values as they are.
    let mut values = Arc::unwrap_or_clone(std::mem::take(&mut chart.values));
    Level::of(chart).children_below(&mut values, "", Nulls::Keep, &mut Vec::new())?;
    let mut imported = Map::new();
    let mut take = |from: &str, to: &str| {
        let table = table_at(&values, from)?;
        let nested = nested_at(to, table);
        tables(&mut imported, nested.as_ref().unwrap_or(table), "", Nulls::Keep, &mut Vec::new());
        Ok(())
    };
    for dependency in declared {
        import_one(dependency, &mut take, warnings);
    }
    // The parent's own values win over what it imports.
    tables(&mut values, &imported, "", Nulls::Keep, &mut Vec::new());
    Ok(values)
}

/// As [`import_plain`], where imports may change each other: what they share is shared.
fn import_shared(
    chart: &Chart,
    declared: &mut [Dependency],
) -> Result<Option<(Map, Vec<Warning>)>, Error> {
    let level = Level::of(chart);
    let imports: usize = declared.iter().map(|dependency| dependency.import_values.len()).sum();
    if imports < 2 && !shared::matters(level, &Map::new()) {
        return Ok(None);
    }
    let (mut import, mut warnings) = (shared::Import::new(level)?, Vec::new());
    let mut rewritten = declared.to_vec();
    for dependency in &mut rewritten {
        import_one(dependency, &mut |from, to| import.take(from, to), &mut warnings);
    }
    Ok(import.finish().map(|values| {
        declared.clone_from_slice(&rewritten);
        (values, warnings)
    }))
}

/// Whether a chart, or one below it, declares dependencies.
fn declares(chart: &Chart) -> bool {
    !chart.metadata.dependencies.is_empty()
        || chart.dependencies.iter().any(|child| declares(child))
}

/// Takes what is asked of one dependency, from a path to another one, and rewrites the declaration
/// to `{child, parent}`.
///
/// Source: helm v4.3.1 pkg/chart/v2/util/dependencies.go (`processImportValues`).
fn import_one(
    dependency: &mut Dependency,
    take: &mut dyn FnMut(&str, &str) -> Result<(), String>,
    warnings: &mut Vec<Warning>,
) {
    let mut rewritten = Vec::new();
    for wanted in &dependency.import_values {
        let (child, parent) = match wanted {
            Value::String(export) => (format!("exports.{export}"), ".".to_owned()),
            Value::Object(pair) => {
                let part = |key| pair.get(key).map_or("<nil>".to_owned(), gotext::print);
                (part("child"), part("parent"))
            }
            _ => continue,
        };
        let mut pair = Map::new();
        pair.insert("child".to_owned(), Value::String(child.clone()));
        pair.insert("parent".to_owned(), Value::String(parent.clone()));
        rewritten.push(Value::Object(pair));
        match take(&format!("{}.{child}", dependency.name), &parent) {
            Ok(()) => {}
            Err(error) if wanted.is_string() => {
                warnings.push(Warning::new("ImportValues missing table").with("error", &error));
            }
            Err(error) => warnings.push(
                Warning::new("ImportValues missing table from chart")
                    .with("chart", &dependency.name)
                    .with("error", &error),
            ),
        }
    }
    dependency.import_values = rewritten;
}

/// Puts a table at a dotted path; `None` for `.`, which is the table itself.
fn nested_at(path: &str, table: &Map) -> Option<Map> {
    if path == "." {
        return None;
    }
    let inner = Value::Object(table.clone());
    let nested = path
        .rsplit('.')
        .fold(inner, |inner, part| Value::Object(Map::from_iter([(part.to_owned(), inner)])));
    match nested {
        Value::Object(map) => Some(map),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
