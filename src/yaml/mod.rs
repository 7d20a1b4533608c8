//! Text ⇄ the one [`Value`]: YAML and JSON as Go reads and prints them.
//!
//! Invariants: does no I/O; maps iterate in bytewise key order (`serde_json` without
//! `preserve_order`); whole numbers stay integers unless [`Numbers::Float`] is asked for, which is
//! what Helm does to every number of a values file. No text makes a function here panic or
//! exhaust the stack: nesting is bounded by [`MAX_DEPTH`], copies of aliases by Go's own ratio.
//!
//! Mirrors sigs.k8s.io/yaml v1.6.0 over go.yaml.in/yaml/v2 v2.4.4 (and yaml/v3 v3.0.4 for
//! [`print_pretty`]), and Go's encoding/json.
//!
//! ```
//! use leadsman::yaml::{Numbers, parse, print};
//! let value = parse("a: yes\nb: [1, 0x10]\n", Numbers::Exact)?;
//! assert_eq!(print(&value)?, "a: true\nb:\n- 1\n- 16\n");
//! # Ok::<(), leadsman::yaml::Error>(())
//! ```

mod error;
mod flaw;
pub mod float;
mod guard;
pub mod json;
pub mod layout;
mod lines;
mod order;
mod printer;
mod quick;
mod reader;
mod resolve;
mod scalar;

pub use error::Error;
pub use lines::Lines;

/// Plain data: what a values file, a manifest, an index or an object of the API holds.
pub type Value = serde_json::Value;
/// A map of plain data; iterates in bytewise key order.
pub type Map = serde_json::Map<String, Value>;

/// Deepest nesting that is read. Go allows 10,000; the bound is lower so that every recursion
/// over a [`Value`] fits a thread's stack.
pub const MAX_DEPTH: usize = 300;

/// What becomes of the numbers of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// Every number is an `f64`: Helm's values, `fromYaml`, `fromJson`.
    Float,
    /// Whole numbers that fit `i64` or `u64` stay integers: manifests.
    Exact,
}

/// One document of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// What it holds; `Null` when it is empty.
    pub value: Value,
    /// The line (from 1) where it starts.
    pub line: usize,
}

/// Parses the first document of a text; an empty text is `Null`. Duplicate keys: the last wins.
///
/// # Errors
/// The text is not YAML, or has no JSON form. `Display` is Go's text,
/// `error converting YAML to JSON: yaml: …`.
pub fn parse(text: &str, numbers: Numbers) -> Result<Value, Error> {
    first(text, reader::Options { numbers, strict: false, first: true })
}

/// Parses the first document of a text, where a duplicate key is an error: repository indexes.
///
/// # Errors
/// As [`parse`], and duplicate keys.
pub fn parse_strict(text: &str, numbers: Numbers) -> Result<Value, Error> {
    first(text, reader::Options { numbers, strict: true, first: true })
}

fn first(text: &str, options: reader::Options) -> Result<Value, Error> {
    let document = reader::read(text, options)?.into_iter().next();
    Ok(document.map_or(Value::Null, |document| document.value))
}

/// Parses the first document of a text, which must be a map; an empty text is an empty map.
///
/// # Errors
/// As [`parse`], and anything else than a map or `null`.
pub fn parse_map(text: &str, numbers: Numbers) -> Result<Map, Error> {
    match parse(text, numbers)? {
        Value::Object(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        other => Err(Error::shape(&other, "map[string]interface {}")),
    }
}

/// Parses the first document of a text as [`parse`]; of a map, only these keys come out. Much
/// faster than all of it when most of the text is elsewhere.
///
/// # Errors
/// As [`parse`], wherever in the document.
pub fn parse_keys(text: &str, keys: &[&str], numbers: Numbers) -> Result<Value, Error> {
    reader::read_keys(text, reader::Options { numbers, strict: false, first: true }, keys)
}

/// Parses every document of a text.
///
/// # Errors
/// As [`parse`]; [`Error::line`] counts from the start of the text.
pub fn parse_documents(text: &str, numbers: Numbers) -> Result<Vec<Document>, Error> {
    reader::read(text, reader::Options { numbers, strict: false, first: false })
}

/// Prints a value as Helm's `toYaml` does, with its final newline; keys in natural order.
///
/// # Errors
/// A string holds a character that Go's YAML refuses (DEL and the C1 controls).
pub fn print(value: &Value) -> Result<String, Error> {
    if !has_quirk(value) {
        return Ok(printer::Printer::print(value, printer::Form::Plain));
    }
    let value = through_json(value)?;
    Ok(printer::Printer::print(&value, printer::Form::Plain))
}

/// Prints a value as [`print`] does, keys in bytewise order at every level.
pub fn print_sorted(value: &Value) -> String {
    printer::Printer::print(value, printer::Form::Sorted)
}

/// Begins a text that [`print_pretty`] takes for a word of YAML: what follows is written as it is.
/// A second one makes it a text again. It is a number that Unicode never gives to a character.
pub const WORD: char = '\u{fdd0}';

/// Returns what [`print_pretty`] writes for a key. Behind a [`WORD`] come a digit that only says
/// where the key stands, and the key; behind two, the second one is a part of the key.
pub fn key_text(key: &str) -> &str {
    match key.strip_prefix(WORD) {
        Some(again) if again.starts_with(WORD) => again,
        Some(placed) => placed.get(1..).unwrap_or_default(),
        None => key,
    }
}

/// Prints a value as Helm's `toYamlPretty` does, with its final newline.
pub fn print_pretty(value: &Value) -> String {
    printer::Printer::print(value, printer::Form::Pretty)
}

/// Returns whether a text of the value changes, or is refused, on upstream's way through JSON.
fn has_quirk(value: &Value) -> bool {
    let odd = |text: &str| {
        text.chars().any(|c| matches!(c, '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}'))
    };
    match value {
        Value::String(text) => odd(text),
        Value::Array(list) => list.iter().any(has_quirk),
        Value::Object(map) => map.iter().any(|(key, value)| odd(key) || has_quirk(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Does what upstream does before it prints: JSON text, read back as YAML. That refuses control
/// characters, and takes U+0085 for a line break, which it folds.
fn through_json(value: &Value) -> Result<Value, Error> {
    parse(&json::to_string(value), Numbers::Exact)
}

#[cfg(test)]
mod tests;
