//! Nodes and data → text.
//!
//! Source: k8s.io/client-go v0.37.2 util/jsonpath/jsonpath.go, and
//! third_party/forked/golang/template/{exec,funcs}.go for comparisons.

use std::cmp::Ordering;

use super::Error;
use super::parser::{Bound, Filter, Node};
use crate::yaml::{Value, float, json};

/// Most ranges in each other; upstream has no bound but its stack.
const RANGES: usize = 1000;

/// What is found.
#[derive(Debug, Clone, Copy)]
enum Item<'a> {
    /// Where there is nothing to look at, not even a null: in a range without items, or over one.
    Nothing,
    Data(&'a Value),
    Text(&'a [u8]),
    /// A byte of a text.
    Byte(u8),
    Whole(i64),
    Float(f64),
    Bool(bool),
}

/// An error, and what was found until then: a filter for existence takes that for an answer.
struct Failed<'a> {
    error: Error,
    found: Vec<Item<'a>>,
}

type Found<'a> = Result<Vec<Item<'a>>, Failed<'a>>;

fn failed<'a>(text: impl Into<String>, found: &[Item<'a>]) -> Found<'a> {
    Err(Failed { error: Error::Data(text.into()), found: found.to_vec() })
}

/// Returns what the parts of a template make of the data.
pub(super) fn render(parts: &[Vec<Node>], data: &Value) -> Result<Vec<u8>, Error> {
    let mut walk = Walk { parts, begun: 0, inside: 0, ended: 0, last_end: None };
    let mut out = Vec::new();
    for results in walk.find(0, Item::Data(data))? {
        for (index, item) in results.iter().enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            item.print(&mut out);
        }
    }
    Ok(out)
}

/// A walk through the parts, and the ranges that it stands in.
struct Walk<'a> {
    parts: &'a [Vec<Node>],
    begun: usize,
    inside: usize,
    ended: usize,
    /// The part of the `end` that was met last.
    last_end: Option<usize>,
}

impl<'a> Walk<'a> {
    /// Walks the parts from one on, up to the end of the range that it is the first of.
    fn find(&mut self, from: usize, data: Item<'a>) -> Result<Vec<Vec<Item<'a>>>, Error> {
        let mut all = Vec::new();
        let mut at = from;
        while at < self.parts.len() {
            let parts = self.parts;
            let found = self.list(vec![data], &parts[at]).map_err(|failed| failed.error)?;
            if self.ended > 0 && self.ended <= self.inside {
                self.ended -= 1;
                self.last_end = Some(at);
                break;
            }
            if self.begun == 0 {
                all.push(found);
            } else {
                self.begun -= 1;
                self.inside += 1;
                if self.inside > RANGES {
                    return Err(Error::Data(format!("more than {RANGES} ranges in each other")));
                }
                if found.is_empty() {
                    // For the place of the end; what would be found there does not matter.
                    self.find(at + 1, Item::Nothing)?;
                }
                for item in found {
                    all.extend(self.find(at + 1, item.in_range()?)?);
                }
                self.inside -= 1;
                at = self.last_end.filter(|end| *end > at).unwrap_or(at);
            }
            at += 1;
        }
        Ok(all)
    }

    fn list(&mut self, start: Vec<Item<'a>>, nodes: &'a [Node]) -> Found<'a> {
        nodes.iter().try_fold(start, |items, node| self.node(items, node))
    }

    fn node(&mut self, items: Vec<Item<'a>>, node: &'a Node) -> Found<'a> {
        let each = |item: Item<'a>| Ok(items.iter().map(|_| item).collect());
        match node {
            Node::Text(text) => Ok(vec![Item::Text(text)]),
            Node::Whole(value) => each(Item::Whole(*value)),
            Node::Float(value) => each(Item::Float(*value)),
            Node::Bool(value) => each(Item::Bool(*value)),
            Node::Field(name) => field(&items, name),
            Node::Slice(bounds) => slice(&items, bounds),
            Node::Filter(filter) => self.filter(&items, filter),
            Node::Union(lists) => self.union(&items, lists),
            Node::Wildcard => Ok(items.into_iter().flat_map(Item::children).collect()),
            Node::Recursive => {
                let mut found = Vec::new();
                descend(items, &mut found);
                Ok(found)
            }
            Node::Word(word) => self.word(items, word),
        }
    }

    fn word(&mut self, items: Vec<Item<'a>>, word: &str) -> Found<'a> {
        match word {
            "range" => {
                self.begun += 1;
                Ok(items)
            }
            "end" if self.inside > 0 => {
                self.ended += 1;
                Ok(Vec::new())
            }
            "end" => failed("not in range, nothing to end", &[]),
            _ => failed(format!("unrecognized identifier {word}"), &items),
        }
    }

    fn union(&mut self, items: &[Item<'a>], lists: &'a [Vec<Node>]) -> Found<'a> {
        let mut all = Vec::new();
        for list in lists {
            match self.list(items.to_vec(), list) {
                Ok(found) => all.extend(found),
                Err(Failed { error, .. }) => return Err(Failed { error, found: items.to_vec() }),
            }
        }
        Ok(all)
    }

    fn filter(&mut self, items: &[Item<'a>], filter: &'a Filter) -> Found<'a> {
        let mut kept = Vec::new();
        for item in items {
            let Item::Data(Value::Array(list)) = item else {
                let text = format!("{} is no list and cannot be filtered", item.kind());
                return failed(text, items);
            };
            for one in list.iter().map(Item::Data) {
                match self.passes(one, filter) {
                    Ok(true) => kept.push(one),
                    Ok(false) => {}
                    Err(error) => return Err(Failed { error, found: items.to_vec() }),
                }
            }
        }
        Ok(kept)
    }

    fn passes(&mut self, item: Item<'a>, filter: &'a Filter) -> Result<bool, Error> {
        let (left, operator, right) = match filter {
            Filter::Exists(path) => {
                let found = self.list(vec![item], path).unwrap_or_else(|failed| failed.found);
                return Ok(!found.is_empty());
            }
            Filter::Compare(left, operator, right) => (left, operator, right),
        };
        let Some(left) = self.one(item, left)? else { return Ok(false) };
        let Some(right) = self.one(item, right)? else { return Ok(false) };
        compare(left, operator, right)
    }

    /// Finds one thing, or nothing.
    fn one(&mut self, item: Item<'a>, path: &'a [Node]) -> Result<Option<Item<'a>>, Error> {
        match self.list(vec![item], path).map_err(|failed| failed.error)?[..] {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            _ => Err(Error::Data("can only compare one element at a time".to_owned())),
        }
    }
}

fn field<'a>(items: &[Item<'a>], name: &str) -> Found<'a> {
    let of = |item: &Item<'a>| match item {
        Item::Data(Value::Object(map)) => map.get(name).map(Item::Data),
        _ => None,
    };
    let found: Vec<_> = items.iter().filter_map(of).collect();
    if found.is_empty() && !items.is_empty() {
        return failed(format!("{name} is not found"), &[]);
    }
    Ok(found)
}

fn slice<'a>(items: &[Item<'a>], bounds: &[Bound; 3]) -> Found<'a> {
    let mut all = Vec::new();
    for item in items {
        let list = match item {
            Item::Data(Value::Null) => continue,
            Item::Data(Value::Array(list)) => list,
            other => return failed(format!("{} is no list", other.kind()), items),
        };
        match range(bounds, list.len()) {
            Ok(None) => return Ok(all),
            Ok(Some((start, end, step))) => {
                all.extend(list[start..end].iter().step_by(step).map(Item::Data));
            }
            Err(text) => return failed(text, items),
        }
    }
    Ok(all)
}

/// Returns start, end and step of a slice; `None` where the two are the same.
fn range(bounds: &[Bound; 3], length: usize) -> Result<Option<(usize, usize, usize)>, String> {
    let [mut start, mut end, step] = bounds.map(|bound| bound.value);
    let size = i64::try_from(length).unwrap_or(i64::MAX);
    if start < 0 {
        start = start.wrapping_add(size);
    }
    if !bounds[1].is_known {
        end = size;
    }
    if end < 0 || end == 0 && bounds[1].is_derived {
        end = end.wrapping_add(size);
    }
    if start == end {
        return Ok(None);
    }
    let outside = |index| Err(format!("array index out of bounds: index {index}, length {size}"));
    let inside = |index: i64| usize::try_from(index).ok().filter(|index| *index <= length);
    let Some(first) = inside(start).filter(|first| *first < length) else { return outside(start) };
    let Some(last) = inside(end) else { return outside(end.wrapping_sub(1)) };
    if first > last {
        return Err(format!("starting index {start} is greater than ending index {end}"));
    }
    match usize::try_from(step) {
        _ if !bounds[2].is_known => Ok(Some((first, last, 1))),
        Ok(step) if step > 0 => Ok(Some((first, last, step))),
        _ => Err("step must be > 0".to_owned()),
    }
}

/// Finds everything that holds something, outermost first.
fn descend<'a>(items: Vec<Item<'a>>, found: &mut Vec<Item<'a>>) {
    for item in items {
        let children = item.children();
        if !children.is_empty() {
            found.push(item);
            descend(children, found);
        }
    }
}

/// What can be compared, by the kinds of Go that may be.
#[derive(PartialEq)]
enum Scalar<'a> {
    Bool(bool),
    Whole(i64),
    Float(f64),
    Text(&'a [u8]),
}

fn compare(left: Item<'_>, operator: &str, right: Item<'_>) -> Result<bool, Error> {
    let wrong = |text: &str| Error::Data(format!("{text} types for comparison"));
    let (Some(one), Some(other)) = (left.scalar(), right.scalar()) else {
        return Err(wrong("invalid"));
    };
    let order = match (one, other) {
        (Scalar::Bool(one), Scalar::Bool(other)) if matches!(operator, "==" | "!=") => {
            Some(one.cmp(&other))
        }
        (Scalar::Bool(_), Scalar::Bool(_)) => return Err(wrong("invalid")),
        (Scalar::Whole(one), Scalar::Whole(other)) => Some(one.cmp(&other)),
        (Scalar::Float(one), Scalar::Float(other)) => one.partial_cmp(&other),
        (Scalar::Text(one), Scalar::Text(other)) => Some(one.cmp(other)),
        _ => {
            let kinds = format!("{} and {} are incompatible", left.kind(), right.kind());
            return Err(wrong(&kinds));
        }
    };
    Ok(match operator {
        "==" => order == Some(Ordering::Equal),
        "!=" => order != Some(Ordering::Equal),
        "<" => order == Some(Ordering::Less),
        ">" => order == Some(Ordering::Greater),
        "<=" => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        ">=" => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        _ => return Err(Error::Data(format!("unrecognized filter operator {operator}"))),
    })
}

impl<'a> Item<'a> {
    fn text(self) -> Option<&'a [u8]> {
        match self {
            Self::Text(text) => Some(text),
            Self::Data(Value::String(text)) => Some(text.as_bytes()),
            _ => None,
        }
    }

    /// The items of a list, the values of a map, the bytes of a text.
    fn children(self) -> Vec<Self> {
        match self {
            Self::Data(Value::Array(list)) => list.iter().map(Item::Data).collect(),
            Self::Data(Value::Object(map)) => map.values().map(Item::Data).collect(),
            other => other.text().unwrap_or_default().iter().copied().map(Item::Byte).collect(),
        }
    }

    /// What the parts of a range see.
    fn in_range(self) -> Result<Self, Error> {
        match self {
            Self::Nothing => Err(Error::Data("there is nothing to range over".to_owned())),
            Self::Data(Value::Null) => Ok(Self::Nothing),
            other => Ok(other),
        }
    }

    fn scalar(self) -> Option<Scalar<'a>> {
        Some(match self {
            Self::Bool(value) => Scalar::Bool(value),
            Self::Whole(value) => Scalar::Whole(value),
            Self::Byte(value) => Scalar::Whole(value.into()),
            Self::Float(value) => Scalar::Float(value),
            Self::Data(Value::Bool(value)) => Scalar::Bool(*value),
            Self::Data(Value::Number(number)) => match number.as_i64() {
                Some(value) => Scalar::Whole(value),
                None => Scalar::Float(number.as_f64()?),
            },
            other => Scalar::Text(other.text()?),
        })
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Nothing | Self::Data(Value::Null) => "null",
            Self::Data(Value::Object(_)) => "a map",
            Self::Data(Value::Array(_)) => "a list",
            Self::Data(Value::String(_)) | Self::Text(_) => "a text",
            Self::Data(Value::Bool(_)) | Self::Bool(_) => "a boolean",
            Self::Whole(_) | Self::Byte(_) => "a whole number",
            Self::Data(Value::Number(number)) if !number.is_f64() => "a whole number",
            Self::Data(Value::Number(_)) | Self::Float(_) => "a number",
        }
    }

    fn print(self, out: &mut Vec<u8>) {
        let text = match self {
            Self::Nothing => "<no value>".to_owned(),
            Self::Text(text) => return out.extend_from_slice(text),
            Self::Data(Value::String(text)) => return out.extend_from_slice(text.as_bytes()),
            Self::Data(Value::Number(number)) => match number.as_f64() {
                Some(value) if number.is_f64() => float::format_g(value),
                _ => number.to_string(),
            },
            Self::Data(value) => json::to_string(value),
            Self::Byte(value) => value.to_string(),
            Self::Whole(value) => value.to_string(),
            Self::Float(value) => float::format_g(value),
            Self::Bool(value) => value.to_string(),
        };
        out.extend_from_slice(text.as_bytes());
    }
}
