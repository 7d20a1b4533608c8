//! The API server's text of a path → where that is in an object.
//!
//! Names in that text are not quoted: `.metadata.annotations.a.b/c` is the annotation `a.b/c`, or
//! something below `a`. Only the object tells which.
//!
//! Source: structured-merge-diff v6 fieldpath/element.go (`PathElement.String`).

use std::cmp::{Ordering, Reverse};

use crate::yaml::Value;

/// A step from a value to one below it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// To a field of a map.
    Field(String),
    /// To an item of a list.
    Item {
        /// Where it stands.
        at: usize,
        /// What names it there.
        named: Named,
    },
}

/// What names an item of a list.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Named {
    /// Some of its fields: `[containerPort=80,protocol="TCP"]`.
    Keys(Vec<(String, Value)>),
    /// Itself: `[="x"]`.
    Value(Value),
    /// Its number: `[0]`.
    Number(usize),
}

/// Finds a path such as `.spec.containers[name="app"].image` in an object.
pub(super) fn find(object: &Value, path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    walk(object, path, &mut steps).then_some(steps)
}

fn walk(value: &Value, path: &str, steps: &mut Vec<Step>) -> bool {
    if path.is_empty() {
        return true;
    }
    if let Some(rest) = path.strip_prefix('.') {
        return walk_field(value, rest, steps);
    }
    let Some((inside, rest)) = path.strip_prefix('[').and_then(split_bracket) else { return false };
    let Some((at, named)) = item(value, inside) else { return false };
    steps.push(Step::Item { at, named });
    walk(&value[at], rest, steps)
}

fn walk_field(value: &Value, path: &str, steps: &mut Vec<Step>) -> bool {
    let Value::Object(map) = value else { return false };
    let ends = |rest: &str| rest.is_empty() || rest.starts_with(['.', '[']);
    let mut fitting: Vec<&String> =
        map.keys().filter(|key| path.strip_prefix(key.as_str()).is_some_and(ends)).collect();
    fitting.sort_by_key(|key| Reverse(key.len()));
    for key in fitting {
        steps.push(Step::Field(key.clone()));
        if walk(&map[key], &path[key.len()..], steps) {
            return true;
        }
        steps.pop();
    }
    false
}

/// Splits what is inside of a bracket from what follows it; brackets in quotes do not count.
pub(super) fn split_bracket(text: &str) -> Option<(&str, &str)> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ']' if !quoted => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    None
}

/// Finds the item of a list that is named.
fn item(list: &Value, inside: &str) -> Option<(usize, Named)> {
    let items = list.as_array()?;
    if let Some(text) = inside.strip_prefix('=') {
        let wanted = scalar(text);
        let at = items.iter().position(|item| *item == wanted)?;
        return Some((at, Named::Value(wanted)));
    }
    if let Ok(at) = inside.parse::<usize>() {
        return items.get(at).map(|_| (at, Named::Number(at)));
    }
    let keys: Vec<(String, Value)> = pairs(inside)?;
    let fits = |item: &Value, missing_fits: bool| {
        keys.iter().all(|(key, value)| match item.get(key) {
            Some(have) => have == value,
            None => missing_fits,
        })
    };
    // A key that is not written has its default: the protocol of a port, say.
    let exact = items.iter().position(|item| fits(item, false));
    let at = exact.or_else(|| items.iter().position(|item| fits(item, true)))?;
    Some((at, Named::Keys(keys)))
}

fn pairs(inside: &str) -> Option<Vec<(String, Value)>> {
    let pairs = split_commas(inside).into_iter().map(|pair| {
        let (key, value) = pair.split_once('=')?;
        Some((key.to_owned(), scalar(value)))
    });
    pairs.collect()
}

/// Splits at commas outside of quotes.
pub(super) fn split_commas(text: &str) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(|letter| {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        letter == ',' && !quoted
    })
    .collect()
}

/// A value as the API server writes it; what is no JSON is a text.
pub(super) fn scalar(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// Returns what is at a place.
pub(super) fn value<'v>(object: &'v Value, place: &[Step]) -> Option<&'v Value> {
    place.iter().try_fold(object, |value, step| match step {
        Step::Field(name) => value.get(name),
        Step::Item { at, .. } => value.get(at),
    })
}

/// Removes what is at places of an object, and maps and lists that have become empty by that.
pub(super) fn remove_all(object: &mut Value, mut places: Vec<Vec<Step>>) {
    // The last item of a list first: the others keep their numbers.
    places.sort_by(|one, other| order(other, one));
    places.dedup();
    for place in places {
        remove(object, &place);
    }
}

fn order(one: &[Step], other: &[Step]) -> Ordering {
    let pairs = one.iter().zip(other).map(|pair| match pair {
        (Step::Field(one), Step::Field(other)) => one.cmp(other),
        (Step::Item { at: one, .. }, Step::Item { at: other, .. }) => one.cmp(other),
        (Step::Field(_), Step::Item { .. }) => Ordering::Less,
        (Step::Item { .. }, Step::Field(_)) => Ordering::Greater,
    });
    { pairs }.find(|order| order.is_ne()).unwrap_or_else(|| one.len().cmp(&other.len()))
}

fn remove(value: &mut Value, place: &[Step]) {
    let Some((first, rest)) = place.split_first() else { return };
    if !rest.is_empty() {
        let below = match first {
            Step::Field(name) => value.get_mut(name),
            Step::Item { at, .. } => value.get_mut(at),
        };
        let Some(below) = below else { return };
        remove(below, rest);
        // An item is still named by its keys: without it the others' fields would hang in the air.
        if matches!(first, Step::Item { .. }) || !is_hollow(below) {
            return;
        }
    }
    match (value, first) {
        (Value::Object(map), Step::Field(name)) => {
            map.remove(name);
        }
        (Value::Array(items), Step::Item { at, .. }) if *at < items.len() => {
            items.remove(*at);
        }
        _ => {}
    }
}

fn is_hollow(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}
