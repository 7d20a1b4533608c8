//! The path of a rule, and which places it speaks of.

use super::place::{self, Named, Step};
use crate::yaml::Value;

/// A path as a person writes it: `spec.containers[name=app].image`,
/// `metadata.annotations["a.b/c"]`, `spec.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// A field; several in a row may be one whose name has dots.
    Plain(String),
    /// A field, in quotes.
    Quoted(String),
    /// Any field.
    AnyField,
    /// The item with these fields: `[name=app]`.
    Keys(Vec<(String, String)>),
    /// The item that is this: `[="x"]`.
    Member(String),
    /// The item of this number, or that is named by this: `[0]`, `[app]`.
    Word(String),
    /// Any item.
    AnyItem,
}

/// How much a path says of a place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Weight {
    /// Steps.
    steps: usize,
    /// Steps that are named.
    named: usize,
}

impl Weight {
    fn named(self) -> Self {
        Self { steps: self.steps + 1, named: self.named + 1 }
    }

    fn any(self) -> Self {
        Self { steps: self.steps + 1, ..self }
    }
}

/// What a path is to a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    /// It leads there, or to what it is in.
    Covers(Weight),
    /// It leads further, into what is owned as a whole.
    Within(Weight),
}

impl Pattern {
    /// Reads a path.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return Err(format!(
                "a path is written with dots, as in `spec.replicas`, and not `{text}`"
            ));
        }
        let mut parts = Vec::new();
        let mut rest = text.strip_prefix('.').unwrap_or(text);
        let mut field = true;
        while field || !rest.is_empty() {
            if let Some(inside) = rest.strip_prefix('[') {
                let bracket = place::split_bracket(inside);
                let (inside, after) = bracket.ok_or_else(|| format!("`{rest}` has no end `]`"))?;
                parts.push(in_bracket(inside)?);
                rest = after;
            } else {
                if !field {
                    return Err(format!("`{rest}` follows a bracket: a `.` or `[` is missing"));
                }
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                parts.push(match &rest[..end] {
                    "" => return Err(format!("a name is missing in the path `{text}`")),
                    "*" => Part::AnyField,
                    name => Part::Plain(name.to_owned()),
                });
                rest = &rest[end..];
            }
            field = rest.starts_with('.');
            rest = rest.strip_prefix('.').unwrap_or(rest);
        }
        Ok(Self(parts))
    }

    /// Returns what this is to a place; nothing: it speaks of others.
    pub(super) fn of(&self, place: &[Step]) -> Option<Match> {
        matched(&self.0, place, Weight::default())
    }
}

fn in_bracket(inside: &str) -> Result<Part, String> {
    let given = inside.trim();
    if given.is_empty() {
        return Err("`[]` names no item: `[name=app]`, `[0]` or `[*]` do".to_owned());
    }
    if given == "*" {
        return Ok(Part::AnyItem);
    }
    if given.starts_with('"') {
        let name = serde_json::from_str(given);
        return name.map(Part::Quoted).map_err(|_| format!("`[{given}]` is no name in quotes"));
    }
    if let Some(member) = given.strip_prefix('=') {
        return Ok(Part::Member(shown(&place::scalar(member))));
    }
    if !given.contains('=') {
        return Ok(Part::Word(given.to_owned()));
    }
    let pairs = place::split_commas(given).into_iter().map(|pair| match pair.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), shown(&place::scalar(value.trim()))))
        }
        Some(_) | None => Err(format!("`{pair}` in `[{given}]` is not KEY=VALUE")),
    });
    pairs.collect::<Result<_, _>>().map(Part::Keys)
}

/// A value without quotes: both ways of writing it mean the same.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn matched(parts: &[Part], place: &[Step], weight: Weight) -> Option<Match> {
    let Some((part, more)) = parts.split_first() else { return Some(Match::Covers(weight)) };
    let Some((step, below)) = place.split_first() else { return Some(Match::Within(weight)) };
    match (part, step) {
        (Part::Plain(_), Step::Field(name)) => {
            let used = dotted(parts, name)?;
            matched(&parts[used..], below, weight.named())
        }
        (Part::Quoted(text), Step::Field(name)) if text == name => {
            matched(more, below, weight.named())
        }
        (Part::AnyField, Step::Field(_)) | (Part::AnyItem, Step::Item { .. }) => {
            matched(more, below, weight.any())
        }
        (part, Step::Item { named, .. }) if part.names(named) => {
            matched(more, below, weight.named())
        }
        _ => None,
    }
}

/// Returns how many parts make up a name: `a.b/c` is written as two where it is not in quotes.
fn dotted(parts: &[Part], name: &str) -> Option<usize> {
    let mut rest = name;
    for (used, part) in parts.iter().enumerate() {
        let Part::Plain(text) = part else { return None };
        rest = rest.strip_prefix(text.as_str())?;
        if rest.is_empty() {
            return Some(used + 1);
        }
        rest = rest.strip_prefix('.')?;
    }
    None
}

impl Part {
    fn names(&self, item: &Named) -> bool {
        match (self, item) {
            (Self::Keys(wanted), Named::Keys(have)) => wanted
                .iter()
                .all(|(key, text)| have.iter().any(|(k, value)| k == key && shown(value) == *text)),
            (Self::Member(text), Named::Value(value)) => shown(value) == *text,
            (Self::Word(word), Named::Keys(have)) => {
                have.iter().any(|(_, value)| shown(value) == *word)
            }
            (Self::Word(word), Named::Value(value)) => shown(value) == *word,
            (Self::Word(word), Named::Number(at)) => at.to_string() == *word,
            _ => false,
        }
    }
}
