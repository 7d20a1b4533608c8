//! Which value wins: user over chart, parent over child, globals down the tree.
//!
//! Two manners, as in Helm: *coalesce* is what templates see (a user's null deletes a default,
//! nulls of defaults vanish); *merge* is used while dependencies are processed (nulls survive).

use std::{collections::HashSet, sync::Arc};

use super::{Chart, Error, Warning, gotext, shared};
use crate::yaml::{Map, Value};

/// The key that every chart below sees.
pub(crate) const GLOBAL: &str = "global";

/// What happens to nulls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nulls {
    /// A null over a default deletes it; nulls of defaults are left out.
    Delete,
    /// As [`Nulls::Delete`], but nulls of the lower side that nobody overrides stay.
    DeleteOver,
    /// Nulls are values like others.
    Keep,
}

/// Lays one values document over another: tables are merged deeply, everything else is replaced,
/// nulls are kept.
///
/// Source: helm v4.3.1 pkg/chart/v2/loader/load.go (`MergeMaps`).
pub fn merge_values(mut base: Map, over: Map) -> Map {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Object(below)), Value::Object(above)) => {
                *below = merge_values(std::mem::take(below), above);
            }
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
    base
}

/// Completes `over` by what only `under` has; a null in `over` deletes the key if `under` has a
/// value for it. This is what `--reuse-values` does with the values of the last release.
///
/// Source: helm v4.3.1 pkg/chart/common/util/coalesce.go (`CoalesceTables`).
pub fn coalesce_tables(mut over: Map, under: &Map) -> (Map, Vec<Warning>) {
    let mut warnings = Vec::new();
    tables(&mut over, under, "", Nulls::DeleteOver, &mut warnings);
    (over, warnings)
}

/// Computes `.Values` of a chart whose dependencies were processed: the user's values over the
/// chart's defaults, each dependency's defaults below its name, globals handed down.
///
/// Source: helm v4.3.1 pkg/chart/common/util/coalesce.go (`CoalesceValues`).
///
/// # Errors
/// Under a dependency's name stands something that is not a table.
pub fn coalesce(chart: &Chart, user: &Map) -> Result<(Map, Vec<Warning>), Error> {
    let mut values = user.clone();
    let mut warnings = Vec::new();
    Level::of(chart).lay_below(&mut values, Nulls::Delete, &mut warnings)?;
    Ok((values, warnings))
}

/// What coalescing needs of one chart.
#[derive(Clone, Copy)]
pub(crate) struct Level<'c> {
    pub(crate) name: &'c str,
    pub(crate) defaults: &'c Map,
    pub(crate) children: &'c [Arc<Chart>],
}

impl<'c> Level<'c> {
    pub(crate) fn of(chart: &'c Chart) -> Self {
        Self { name: &chart.metadata.name, defaults: &chart.values, children: &chart.dependencies }
    }

    /// Lays the values of a whole tree of charts below some values.
    pub(crate) fn lay_below(
        self,
        values: &mut Map,
        nulls: Nulls,
        warnings: &mut Vec<Warning>,
    ) -> Result<(), Error> {
        if shared::matters(self, values)
            && let Some(laid) = shared::coalesced(self, values, nulls, warnings)?
        {
            *values = laid;
            return Ok(());
        }
        self.coalesce(values, "", nulls, warnings)
    }

    /// Source: helm v4.3.1 pkg/chart/common/util/coalesce.go (`coalesce`).
    fn coalesce(
        self,
        values: &mut Map,
        prefix: &str,
        nulls: Nulls,
        warnings: &mut Vec<Warning>,
    ) -> Result<(), Error> {
        self.defaults_below(values, &join(prefix, self.name), nulls, warnings);
        self.children_below(values, prefix, nulls, warnings)
    }

    /// Lays the values of the charts below this one under their names.
    ///
    /// Source: helm v4.3.1 pkg/chart/common/util/coalesce.go (`coalesceDeps`).
    pub(crate) fn children_below(
        self,
        values: &mut Map,
        prefix: &str,
        nulls: Nulls,
        warnings: &mut Vec<Warning>,
    ) -> Result<(), Error> {
        let prefix = join(prefix, self.name);
        for child in self.children {
            let name = &child.metadata.name;
            // The child's table is taken out, so that the globals can be read beside it.
            let mut part = match values.get_mut(name) {
                None => Map::new(),
                Some(Value::Object(part)) => std::mem::take(part),
                Some(other) => {
                    let shown = gotext::print_as_bool(other);
                    return Err(Error::TypeMismatch { name: name.clone(), shown });
                }
            };
            globals(&mut part, values.get(GLOBAL), &prefix, warnings);
            Level::of(child).coalesce(&mut part, &prefix, nulls, warnings)?;
            share_back(values.get_mut(GLOBAL), part.get(GLOBAL));
            values.insert(name.clone(), Value::Object(part));
        }
        Ok(())
    }

    /// Lays the chart's defaults below the values.
    ///
    /// Source: helm v4.3.1 pkg/chart/common/util/coalesce.go (`coalesceValues`).
    fn defaults_below(
        self,
        values: &mut Map,
        prefix: &str,
        nulls: Nulls,
        warnings: &mut Vec<Warning>,
    ) {
        let children: HashSet<&str> =
            self.children.iter().map(|child| child.metadata.name.as_str()).collect();
        for (key, default) in self.defaults {
            match values.get_mut(key) {
                None => {
                    if let Some(default) = copied(default, nulls) {
                        values.insert(key.clone(), default);
                    }
                }
                Some(Value::Null) if nulls != Nulls::Keep => {
                    values.remove(key);
                }
                Some(Value::Object(table)) => match default {
                    Value::Object(default) => {
                        // A section for a child is merged: its nulls are still needed below.
                        let nulls =
                            if children.contains(key.as_str()) { Nulls::Keep } else { nulls };
                        tables(table, default, &join(prefix, key), nulls, warnings);
                    }
                    Value::Null => {}
                    _ => warnings.push(Warning::new(format!(
                        "warning: skipped value for {prefix}.{key}: Not a table."
                    ))),
                },
                Some(_) => {}
            }
        }
    }
}

/// Completes `over` by what only `under` has.
///
/// Source: helm v4.3.1 pkg/chart/common/util/coalesce.go (`coalesceTablesFullKey`).
pub(crate) fn tables(
    over: &mut Map,
    under: &Map,
    prefix: &str,
    nulls: Nulls,
    warnings: &mut Vec<Warning>,
) {
    for (key, below) in under {
        match (over.get_mut(key), below) {
            (None, below) => {
                if let Some(below) = copied(below, nulls) {
                    over.insert(key.clone(), below);
                }
            }
            (Some(Value::Null), Value::Null) => {}
            (Some(Value::Null), _) => {
                if nulls != Nulls::Keep {
                    over.remove(key);
                }
            }
            (Some(Value::Object(above)), Value::Object(below)) => {
                tables(above, below, &join(prefix, key), nulls, warnings);
            }
            (Some(Value::Object(_)), Value::Null) => {}
            (Some(Value::Object(_)), below) => warnings.push(Warning::new(format!(
                "warning: destination for {} is a table. Ignoring non-table value ({})",
                join(prefix, key),
                gotext::print(below),
            ))),
            (Some(_), Value::Object(_)) => warnings.push(Warning::new(format!(
                "warning: cannot overwrite table with non table for {} ({})",
                join(prefix, key),
                gotext::print(below),
            ))),
            (Some(_), _) => {}
        }
    }
}

/// A copy of a default; nothing for a null that must not show.
fn copied(value: &Value, nulls: Nulls) -> Option<Value> {
    match (value, nulls) {
        (Value::Null, Nulls::Delete) => None,
        (Value::Object(map), Nulls::Delete) if has_null(map) => {
            let kept = map.iter().filter_map(|(k, v)| Some((k.clone(), copied(v, nulls)?)));
            Some(Value::Object(kept.collect()))
        }
        // A table is copied as it is in half the time.
        (value, _) => Some(value.clone()),
    }
}

/// Whether a null stands in a table, or in one below it.
fn has_null(map: &Map) -> bool {
    map.values().any(|value| match value {
        Value::Object(map) => has_null(map),
        value => value.is_null(),
    })
}

/// Hands the parent's globals to a child: the parent wins.
///
/// Source: helm v4.3.1 pkg/chart/common/util/coalesce.go (`coalesceGlobals`).
fn globals(child: &mut Map, parent: Option<&Value>, prefix: &str, warnings: &mut Vec<Warning>) {
    let skipped = |side: &str| {
        Warning::new(format!("warning: skipping globals because {side} global is not a table."))
    };
    if !matches!(child.get(GLOBAL), None | Some(Value::Object(_))) {
        warnings.push(skipped("destination"));
        return;
    }
    let empty = Map::new();
    let parent = match parent {
        None => &empty,
        Some(Value::Object(parent)) => parent,
        Some(_) => {
            warnings.push(skipped("source"));
            return;
        }
    };
    let child = child.entry(GLOBAL).or_insert_with(|| Value::Object(Map::new()));
    let Value::Object(child) = child else { return };
    for (key, value) in parent {
        match (value, child.get_mut(key)) {
            (Value::Object(above), Some(Value::Object(below))) => {
                let below = std::mem::replace(below, above.clone());
                if let Some(Value::Object(merged)) = child.get_mut(key) {
                    tables(merged, &below, &join(prefix, key), Nulls::Keep, warnings);
                }
            }
            (Value::Object(_), Some(_)) => warnings.push(Warning::new(format!(
                "Conflict: cannot merge map onto non-map for {}. Skipping.",
                gotext::quote(key)
            ))),
            (_, Some(Value::Object(_))) => {
                warnings.push(Warning::new(format!("key {key} is table. Skipping")));
            }
            (value, _) => {
                child.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Helm copies a table of the globals for a child, but shares the tables inside it: what the child
/// adds there is seen by the parent and by the children after it.
fn share_back(parent: Option<&mut Value>, child: Option<&Value>) {
    let (Some(Value::Object(parent)), Some(Value::Object(child))) = (parent, child) else { return };
    for (key, above) in parent {
        let (Value::Object(above), Some(Value::Object(below))) = (above, child.get(key)) else {
            continue;
        };
        for (key, above) in above {
            if above.is_object()
                && let Some(below) = below.get(key)
            {
                above.clone_from(below);
            }
        }
    }
}

/// A path that goes on with a key.
pub(crate) fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}

#[cfg(test)]
mod tests;
