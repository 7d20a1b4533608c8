//! Values as Helm holds them while it lays them over each other: one table may stand in several
//! places, and a change of it shows in all of them.
//!
//! Only two things show the difference: several `import-values` that meet in one table, and nulls
//! in tables inside of `global`, which charts share. All other values are coalesced as plain data
//! (`values.rs`), which gives the same and costs less; so this file repeats its rules.
//!
//! Source: helm v4.3.2 pkg/chart/common/util/coalesce.go; pkg/chart/v2/util/dependencies.go.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashSet},
    rc::Rc,
};

use super::{
    Chart, Error, Warning, gotext,
    values::{GLOBAL, Level, Nulls, join},
};
use crate::yaml::{Map, Value};

/// Helm's process dies of tables that hold themselves; what nests deeper than any text can is left
/// to plain data, where no table holds itself.
const MAX_DEPTH: usize = 500;
/// So do tables that hold others many times over.
const MOST_PARTS: usize = 1_000_000;

/// A table that may stand in several places.
type Table = Rc<RefCell<BTreeMap<String, Node>>>;

/// A value.
#[derive(Clone)]
enum Node {
    Table(Table),
    /// Lists are never changed, so they need not be shared.
    Other(Value),
}

impl Node {
    fn is_null(&self) -> bool {
        matches!(self, Self::Other(Value::Null))
    }
}

/// Whether the result may depend on which tables are shared.
pub(super) fn matters(level: Level<'_>, values: &Map) -> bool {
    has_nulls(values, level.children)
        || has_nulls(level.defaults, level.children)
        || level.children.iter().any(|child| matters(Level::of(child), &Map::new()))
}

/// Whether the globals in some values, or in their sections for charts below, hold nulls inside of
/// tables.
fn has_nulls(values: &Map, children: &[std::sync::Arc<Chart>]) -> bool {
    fn inside(value: &Value) -> bool {
        let held = |table: &Map| table.values().any(|value| value.is_null() || inside(value));
        value.as_object().is_some_and(held)
    }
    let global = values.get(GLOBAL).and_then(Value::as_object);
    let section = |child: &std::sync::Arc<Chart>| {
        let section = values.get(&child.metadata.name).and_then(Value::as_object);
        section.is_some_and(|section| has_nulls(section, &child.dependencies))
    };
    global.is_some_and(|global| global.values().any(inside)) || children.iter().any(section)
}

/// Lays the values of a chart and of those below it below some values; none if that has no end.
///
/// # Errors
/// Under a dependency's name stands something that is not a table.
pub(super) fn coalesced(
    level: Level<'_>,
    values: &Map,
    nulls: Nulls,
    warnings: &mut Vec<Warning>,
) -> Result<Option<Map>, Error> {
    let mut work = Work::new(nulls);
    let dest = table_of(values);
    work.coalesce(level, &dest, "")?;
    Ok(work.finished(&dest, warnings))
}

/// A chart's values with those of the charts below it, from which it imports.
pub(super) struct Import {
    work: Work,
    values: Table,
    taken: Table,
}

impl Import {
    /// Starts with a chart's values.
    ///
    /// # Errors
    /// Under a dependency's name stands something that is not a table.
    pub(super) fn new(level: Level<'_>) -> Result<Self, Error> {
        let mut work = Work::new(Nulls::Keep);
        let values = table_of(level.defaults);
        work.children(level, &values, "")?;
        work.warnings.clear();
        Ok(Self { work, values, taken: Table::default() })
    }

    /// Takes the table at a path to another path.
    ///
    /// # Errors
    /// Which part of the path is no table.
    pub(super) fn take(&mut self, from: &str, to: &str) -> Result<(), String> {
        let mut found = Rc::clone(&self.values);
        for part in from.split('.') {
            let next = found.borrow().get(part).cloned();
            let Some(Node::Table(next)) = next else {
                return Err(format!("{} is not a table", gotext::quote(part)));
            };
            found = next;
        }
        // Helm hands on an empty table as a new one.
        if found.borrow().is_empty() {
            found = Table::default();
        }
        if to != "." {
            for part in to.rsplit('.') {
                let inner = BTreeMap::from([(part.to_owned(), Node::Table(found))]);
                found = Rc::new(RefCell::new(inner));
            }
        }
        self.work.tables(&self.taken, &found, "", Nulls::Keep, 0);
        Ok(())
    }

    /// Returns the chart's values over what it has taken; none if that has no end.
    pub(super) fn finish(mut self) -> Option<Map> {
        // Helm copies the values before they meet what was taken.
        let values = table_of(&plain(&self.values)?);
        self.work.tables(&values, &self.taken, "", Nulls::Keep, 0);
        self.work.finished(&values, &mut Vec::new())
    }
}

/// What is going on.
struct Work {
    nulls: Nulls,
    warnings: Vec<Warning>,
    /// Whether tables nest without an end.
    is_endless: bool,
}

impl Work {
    fn new(nulls: Nulls) -> Self {
        Self { nulls, warnings: Vec::new(), is_endless: false }
    }

    fn finished(mut self, table: &Table, warnings: &mut Vec<Warning>) -> Option<Map> {
        let found = plain(table).filter(|_| !self.is_endless)?;
        warnings.append(&mut self.warnings);
        Some(found)
    }

    fn warn(&mut self, text: String) {
        self.warnings.push(Warning::new(text));
    }

    fn coalesce(&mut self, level: Level<'_>, dest: &Table, prefix: &str) -> Result<(), Error> {
        self.defaults(level, dest, &join(prefix, level.name));
        self.children(level, dest, prefix)
    }

    /// Source: `coalesceDeps`.
    fn children(&mut self, level: Level<'_>, dest: &Table, prefix: &str) -> Result<(), Error> {
        let prefix = join(prefix, level.name);
        for child in level.children {
            let name = &child.metadata.name;
            let held = dest.borrow().get(name).cloned();
            let part = match held {
                None => Table::default(),
                Some(Node::Table(part)) => part,
                Some(Node::Other(other)) => {
                    let shown = gotext::print_as_bool(&other);
                    return Err(Error::TypeMismatch { name: name.clone(), shown });
                }
            };
            dest.borrow_mut().insert(name.clone(), Node::Table(Rc::clone(&part)));
            self.globals(&part, dest, &prefix);
            self.coalesce(Level::of(child), &part, &prefix)?;
            dest.borrow_mut().insert(name.clone(), Node::Table(part));
        }
        Ok(())
    }

    /// Source: `coalesceGlobals`.
    fn globals(&mut self, child: &Table, parent: &Table, prefix: &str) {
        let mut of = |table: &Table, side: &str| match table.borrow().get(GLOBAL) {
            None => Some(Table::default()),
            Some(Node::Table(global)) => Some(Rc::clone(global)),
            Some(Node::Other(_)) => {
                let text = "global is not a table.";
                self.warn(format!("warning: skipping globals because {side} {text}"));
                None
            }
        };
        let Some(below) = of(child, "destination") else { return };
        let Some(above) = of(parent, "source") else { return };
        let above = above.borrow().clone();
        for (key, value) in above {
            let held = below.borrow().get(&key).cloned();
            let node = match (value, held) {
                (Node::Table(table), held) => {
                    // A copy of the table, but not of the tables in it.
                    let copy: Table = Rc::new(RefCell::new(table.borrow().clone()));
                    match held {
                        None => {}
                        Some(Node::Table(held)) => {
                            self.tables(&copy, &held, &join(prefix, &key), Nulls::Keep, 0);
                        }
                        Some(Node::Other(_)) => {
                            let key = gotext::quote(&key);
                            self.warn(format!(
                                "Conflict: cannot merge map onto non-map for {key}. Skipping."
                            ));
                            continue;
                        }
                    }
                    Node::Table(copy)
                }
                (Node::Other(_), Some(Node::Table(_))) => {
                    self.warn(format!("key {key} is table. Skipping"));
                    continue;
                }
                (other, _) => other,
            };
            below.borrow_mut().insert(key, node);
        }
        child.borrow_mut().insert(GLOBAL.to_owned(), Node::Table(below));
    }

    /// Source: `coalesceValues`.
    fn defaults(&mut self, level: Level<'_>, dest: &Table, prefix: &str) {
        let children: HashSet<&str> =
            level.children.iter().map(|child| child.metadata.name.as_str()).collect();
        for (key, default) in level.defaults {
            let held = dest.borrow().get(key).cloned();
            match held {
                None if default.is_null() && self.nulls != Nulls::Keep => {}
                None => {
                    let node = node_of(default, self.nulls);
                    dest.borrow_mut().insert(key.clone(), node);
                }
                Some(Node::Other(Value::Null)) if self.nulls != Nulls::Keep => {
                    dest.borrow_mut().remove(key);
                }
                Some(Node::Table(held)) => {
                    // A section for a child is merged: its nulls are still needed below.
                    let is_section = children.contains(key.as_str());
                    let nulls = if is_section { Nulls::Keep } else { self.nulls };
                    match node_of(default, nulls) {
                        Node::Table(default) => {
                            self.tables(&held, &default, &join(prefix, key), nulls, 0);
                        }
                        Node::Other(Value::Null) => {}
                        Node::Other(_) => self.warn(format!(
                            "warning: skipped value for {prefix}.{key}: Not a table."
                        )),
                    }
                }
                Some(Node::Other(_)) => {}
            }
        }
    }

    /// Completes a table by what only another one has. That one changes, too: it gets the nulls of
    /// the first.
    ///
    /// Source: `coalesceTablesFullKey`.
    fn tables(&mut self, over: &Table, under: &Table, prefix: &str, nulls: Nulls, depth: usize) {
        if depth > MAX_DEPTH {
            self.is_endless = true;
        }
        if self.is_endless {
            return;
        }
        let had: HashSet<String> = not_null(under);
        let above = over.borrow().clone();
        for (key, _) in above.iter().filter(|(_, value)| value.is_null()) {
            under.borrow_mut().insert(key.clone(), Node::Other(Value::Null));
        }
        let below = under.borrow().clone();
        for (key, value) in below {
            let held = over.borrow().get(&key).cloned();
            match (held, value) {
                (Some(held), _) if held.is_null() && nulls != Nulls::Keep && had.contains(&key) => {
                    over.borrow_mut().remove(&key);
                }
                (None, value) => {
                    over.borrow_mut().insert(key, value);
                }
                (Some(Node::Table(held)), Node::Table(value)) => {
                    self.tables(&held, &value, &join(prefix, &key), nulls, depth + 1);
                }
                (Some(Node::Other(_)), Node::Table(value)) => {
                    let shown = plain(&value).map(|map| gotext::print(&Value::Object(map)));
                    self.warn(format!(
                        "warning: cannot overwrite table with non table for {} ({})",
                        join(prefix, &key),
                        shown.unwrap_or_default(),
                    ));
                }
                (Some(Node::Table(_)), Node::Other(value)) if !value.is_null() => {
                    self.warn(format!(
                        "warning: destination for {} is a table. Ignoring non-table value ({})",
                        join(prefix, &key),
                        gotext::print(&value),
                    ));
                }
                (Some(_), Node::Other(_)) => {}
            }
        }
    }
}

/// The keys of what is no null.
fn not_null(table: &Table) -> HashSet<String> {
    let table = table.borrow();
    table.iter().filter(|(_, value)| !value.is_null()).map(|(key, _)| key.clone()).collect()
}

fn table_of(map: &Map) -> Table {
    let nodes = map.iter().map(|(key, value)| (key.clone(), node_of(value, Nulls::Keep)));
    Rc::new(RefCell::new(nodes.collect()))
}

/// A value, whose tables nobody else has; without nulls if they are to be deleted.
fn node_of(value: &Value, nulls: Nulls) -> Node {
    let Value::Object(map) = value else { return Node::Other(value.clone()) };
    let kept = map.iter().filter(|(_, value)| nulls == Nulls::Keep || !value.is_null());
    let nodes = kept.map(|(key, value)| (key.clone(), node_of(value, nulls)));
    Node::Table(Rc::new(RefCell::new(nodes.collect())))
}

/// A table as plain data; none if it has no end.
fn plain(table: &Table) -> Option<Map> {
    plain_at(table, 0, &mut 0)
}

fn plain_at(table: &Table, depth: usize, parts: &mut usize) -> Option<Map> {
    *parts += table.borrow().len();
    if depth > MAX_DEPTH || *parts > MOST_PARTS {
        return None;
    }
    let table = table.borrow();
    let entries = table.iter().map(|(key, node)| {
        let value = match node {
            Node::Table(inner) => Value::Object(plain_at(inner, depth + 1, parts)?),
            Node::Other(value) => value.clone(),
        };
        Some((key.clone(), value))
    });
    entries.collect()
}

#[cfg(test)]
mod tests;
