//! `--set` and its relatives: `a.b[0]=x,c={1,2}` written into a map of values.
//!
//! Mirrors helm v4.3.1 pkg/strvals: the map is edited in place, so that `a[1]=x` keeps element 0
//! of what a file gave.

use crate::yaml::{Map, Value};

use super::{gotext, set_error::SetError};

/// Largest list index.
const MAX_INDEX: i64 = 65_536;
/// Most dots in one key.
const MAX_LEVEL: usize = 30;
/// Most indexes in a row; beyond it is no data that anybody means.
const MAX_LISTS: usize = 256;

/// Writes `--set` pairs: numbers, booleans and null are recognised.
///
/// ```
/// let mut values = leadsman::yaml::Map::new();
/// leadsman::chart::set::parse_set("a.b=1,c={x,true}", &mut values)?;
/// assert_eq!(serde_json::Value::Object(values).to_string(), r#"{"a":{"b":1},"c":["x",true]}"#);
/// # Ok::<(), leadsman::chart::SetError>(())
/// ```
///
/// # Errors
/// The text is not a list of pairs, or a key goes through something that is no table.
pub fn parse_set(expr: &str, values: &mut Map) -> Result<(), SetError> {
    Parser::new(expr, Mode::Typed).parse(values)
}

/// Writes `--set-string` pairs: every value is a string.
///
/// # Errors
/// As [`parse_set`].
pub fn parse_set_string(expr: &str, values: &mut Map) -> Result<(), SetError> {
    Parser::new(expr, Mode::Text).parse(values)
}

/// Writes `--set-json` pairs, or merges a whole object `{"a": 1}`; numbers are floats.
///
/// # Errors
/// A value is not JSON, or as [`parse_set`].
pub fn parse_set_json(expr: &str, values: &mut Map) -> Result<(), SetError> {
    let trimmed = expr.trim();
    if !trimmed.starts_with('{') {
        return Parser::new(expr, Mode::Json)
            .parse(values)
            .map_err(|_| SetError::Json(expr.to_owned()));
    }
    let whole: Map =
        serde_json::from_str(trimmed).map_err(|_| SetError::JsonObject(expr.to_owned()))?;
    let Value::Object(whole) = floats(Value::Object(whole)) else { return Ok(()) };
    *values = super::merge_values(std::mem::take(values), whole);
    Ok(())
}

/// Writes `--set-file` pairs: each value is a path, and `read` gives the content.
///
/// # Errors
/// `read` fails, or as [`parse_set`].
pub fn parse_set_file(
    expr: &str,
    values: &mut Map,
    read: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<(), SetError> {
    Parser::new(expr, Mode::File(read)).parse(values)
}

/// Writes one `--set-literal` pair: everything behind the first `=` is the value.
///
/// # Errors
/// As [`parse_set`].
pub fn parse_set_literal(expr: &str, values: &mut Map) -> Result<(), SetError> {
    Parser::new(expr, Mode::Literal).parse(values)
}

/// How [`parse_value_at_path`] reads the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathValue {
    /// As `--set` does; in quotes, as `--set-string` does.
    Typed,
    /// Verbatim, a string.
    Literal,
}

/// Writes a value at a path, as the `targetPath` of a Flux `valuesFrom` entry does.
///
/// Source: fluxcd pkg/chartutil (`ReplacePathValue`).
///
/// # Errors
/// As [`parse_set`].
pub fn parse_value_at_path(
    path: &str,
    value: &str,
    how: PathValue,
    values: &mut Map,
) -> Result<(), SetError> {
    let quoted = |mark| value.starts_with(mark) && value.ends_with(mark);
    match how {
        PathValue::Literal => {
            let mut escaped = String::with_capacity(value.len());
            for c in value.chars() {
                if matches!(c, '\\' | ',' | '[' | ']' | '{' | '}') {
                    escaped.push('\\');
                }
                escaped.push(c);
            }
            parse_set_string(&format!("{path}={escaped}"), values)
        }
        PathValue::Typed if quoted('\'') || quoted('"') => {
            let inner = value.trim_matches(['\'', '"']);
            parse_set_string(&format!("{path}={inner}"), values)
        }
        PathValue::Typed => parse_set(&format!("{path}={value}"), values),
    }
}

enum Mode<'r> {
    Typed,
    Text,
    Json,
    File(&'r mut dyn FnMut(&str) -> Result<String, String>),
    Literal,
}

/// Why a key was left: the text is over (which may be fine), or it is wrong.
enum Stop {
    End,
    Wrong(SetError),
}

impl From<SetError> for Stop {
    fn from(error: SetError) -> Self {
        Self::Wrong(error)
    }
}

struct Parser<'e, 'r> {
    rest: &'e str,
    mode: Mode<'r>,
}

impl<'e, 'r> Parser<'e, 'r> {
    fn new(expr: &'e str, mode: Mode<'r>) -> Self {
        Self { rest: expr, mode }
    }

    fn parse(mut self, values: &mut Map) -> Result<(), SetError> {
        loop {
            match self.key(values, 0) {
                Ok(()) => {}
                Err(Stop::End) => return Ok(()),
                Err(Stop::Wrong(error)) => return Err(error),
            }
        }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    /// Reads up to one of the stop characters and eats it; none: the text is over.
    fn until(&mut self, stops: &[char]) -> (String, Option<char>) {
        let mut read = String::new();
        while let Some(c) = self.next() {
            if stops.contains(&c) {
                return (read, Some(c));
            }
            if c != '\\' || matches!(self.mode, Mode::Literal) {
                read.push(c);
            } else if let Some(escaped) = self.next() {
                read.push(escaped);
            }
        }
        (read, None)
    }

    /// Source: helm v4.3.1 pkg/strvals/parser.go (`key`).
    fn key(&mut self, data: &mut Map, level: usize) -> Result<(), Stop> {
        let stops: &[char] = if matches!(self.mode, Mode::Literal) {
            &['=', '[', '.']
        } else {
            &['=', '[', ',', '.']
        };
        let (key, last) = self.until(stops);
        match last {
            None if key.is_empty() => Err(Stop::End),
            None => Err(SetError::NoValue(gotext::quote(&key)).into()),
            Some('[') => {
                let index = self.index()?;
                let known = data.get_mut(&key).map(list_of).transpose()?;
                let mut list = known.map(std::mem::take).unwrap_or_default();
                let done = self.list_item(&mut list, index, level, 0);
                put(data, key, Value::Array(list));
                done
            }
            Some('=') => self.assign(data, key),
            Some(',') => {
                let error = SetError::NoValueComma(gotext::quote(&key));
                put(data, key, Value::String(String::new()));
                Err(error.into())
            }
            Some(_) => {
                if level >= MAX_LEVEL {
                    return Err(SetError::TooNested(MAX_LEVEL).into());
                }
                let known = data.get_mut(&key).map(table_of).transpose()?;
                let was_there = known.is_some();
                let mut inner = known.map(std::mem::take).unwrap_or_default();
                let done = self.key(&mut inner, level + 1);
                if done.is_ok() && inner.is_empty() {
                    return Err(SetError::NoMapValue(gotext::quote(&key)).into());
                }
                if was_there || !inner.is_empty() {
                    put(data, key, Value::Object(inner));
                }
                done
            }
        }
    }

    /// Reads the value behind `key=` and writes it.
    fn assign(&mut self, data: &mut Map, key: String) -> Result<(), Stop> {
        if matches!(self.mode, Mode::Json) {
            let value = self.json()?;
            put(data, key, value);
            return Ok(());
        }
        if self.rest.is_empty() && !matches!(self.mode, Mode::Literal) {
            put(data, key, Value::String(String::new()));
            return Err(Stop::End);
        }
        let value = self.value()?;
        put(data, key, value);
        Ok(())
    }

    /// Reads a scalar or a `{list}`.
    fn value(&mut self) -> Result<Value, Stop> {
        if matches!(self.mode, Mode::Literal) {
            return Ok(Value::String(std::mem::take(&mut self.rest).to_owned()));
        }
        let Some(rest) = self.rest.strip_prefix('{') else {
            let (text, _) = self.until(&[',']);
            return Ok(self.typed(text)?);
        };
        self.rest = rest;
        let mut list = Vec::new();
        loop {
            let (text, last) = self.until(&[',', '}']);
            if last.is_none() {
                return Err(SetError::OpenList.into());
            }
            if last == Some('}') {
                self.rest = self.rest.strip_prefix(',').unwrap_or(self.rest);
            }
            list.push(self.typed(text)?);
            if last == Some('}') {
                return Ok(Value::Array(list));
            }
        }
    }

    fn typed(&mut self, text: String) -> Result<Value, SetError> {
        match &mut self.mode {
            Mode::Typed => Ok(typed(text)),
            Mode::File(read) => read(&text).map(Value::String).map_err(SetError::File),
            Mode::Text | Mode::Json | Mode::Literal => Ok(Value::String(text)),
        }
    }

    /// Reads one JSON value, the blanks behind it and a comma; nothing at all is null.
    fn json(&mut self) -> Result<Value, Stop> {
        if self.blank_then_comma() {
            return Ok(Value::Null);
        }
        // To Go a scalar ends where nothing more can belong to it, whatever follows.
        let end = json_scalar(self.rest).unwrap_or(self.rest.len());
        let text = &self.rest[..end];
        let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        let Some(Ok(value)) = stream.next() else {
            return Err(SetError::Json(self.rest.to_owned()).into());
        };
        self.rest = &self.rest[stream.byte_offset()..];
        self.blank_then_comma();
        Ok(floats(value))
    }

    /// Eats blanks and one comma; returns whether the comma or the end came.
    fn blank_then_comma(&mut self) -> bool {
        self.rest = self.rest.trim_start();
        let after = self.rest.strip_prefix(',');
        let over = after.is_some() || self.rest.is_empty();
        self.rest = after.unwrap_or(self.rest);
        over
    }

    /// Reads `n]`.
    fn index(&mut self) -> Result<i64, Stop> {
        let (text, last) = self.until(&[']']);
        if last.is_none() {
            return Err(Stop::End);
        }
        let digits = text.strip_prefix(['+', '-']).unwrap_or(&text);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(SetError::Index(gotext::quote(&text), "invalid syntax").into());
        }
        text.parse().map_err(|_| SetError::Index(gotext::quote(&text), "value out of range").into())
    }

    /// Source: helm v4.3.1 pkg/strvals/parser.go (`listItem`).
    fn list_item(
        &mut self,
        list: &mut Vec<Value>,
        index: i64,
        level: usize,
        depth: usize,
    ) -> Result<(), Stop> {
        let Ok(at) = usize::try_from(index) else {
            return Err(SetError::Negative(index).into());
        };
        let (key, last) = self.until(&['[', '.', '=']);
        if !key.is_empty() {
            let runes: Vec<char> = key.chars().collect();
            return Err(SetError::AfterIndex(gotext::quote_runes(&runes)).into());
        }
        match last {
            None => Err(Stop::End),
            Some('=') => {
                let value = match self.mode {
                    Mode::Json => self.json()?,
                    _ => self.value()?,
                };
                set_index(list, index, value)
            }
            Some('[') => {
                if depth >= MAX_LISTS {
                    return Err(SetError::TooManyLists(MAX_LISTS).into());
                }
                let next = self.index()?;
                let known = list.get_mut(at).filter(|known| !known.is_null());
                let known = known.map(list_of).transpose()?;
                let was_there = known.is_some();
                let mut inner = known.map(std::mem::take).unwrap_or_default();
                let done = self.list_item(&mut inner, next, level, depth + 1);
                // A list that was there stays when the text is over.
                if done.is_ok() || was_there {
                    set_index(list, index, Value::Array(inner))?;
                }
                done
            }
            Some(_) => {
                let mut inner = match list.get_mut(at) {
                    Some(Value::Object(map)) => std::mem::take(map),
                    Some(other) => {
                        *other = Value::Object(Map::new());
                        Map::new()
                    }
                    None => Map::new(),
                };
                let known = at < list.len();
                let done = self.key(&mut inner, level);
                // What an element that was there got before the end of the text stays in it.
                if done.is_ok() || known {
                    set_index(list, index, Value::Object(inner))?;
                }
                done
            }
        }
    }
}

fn set_index(list: &mut Vec<Value>, index: i64, value: Value) -> Result<(), Stop> {
    if index > MAX_INDEX {
        return Err(SetError::LargeIndex(index, MAX_INDEX).into());
    }
    let Ok(at) = usize::try_from(index) else {
        return Err(SetError::Negative(index).into());
    };
    if list.len() <= at {
        list.resize(at + 1, Value::Null);
    }
    list[at] = value;
    Ok(())
}

fn put(data: &mut Map, key: String, value: Value) {
    // An empty key is ignored, unless a file already gave one and it is edited.
    if !key.is_empty() || data.contains_key(&key) {
        data.insert(key, value);
    }
}

fn list_of(value: &mut Value) -> Result<&mut Vec<Value>, SetError> {
    let found = gotext::go_type(value);
    value.as_array_mut().ok_or(SetError::Clash { found, wanted: "[]interface {}" })
}

fn table_of(value: &mut Value) -> Result<&mut Map, SetError> {
    let found = gotext::go_type(value);
    value.as_object_mut().ok_or(SetError::Clash { found, wanted: "map[string]interface {}" })
}

/// Source: helm v4.3.1 pkg/strvals/parser.go (`typedVal`).
fn typed(text: String) -> Value {
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    if is("true") {
        Value::Bool(true)
    } else if is("false") {
        Value::Bool(false)
    } else if is("null") {
        Value::Null
    } else if text == "0" {
        Value::from(0_i64)
    } else if text.starts_with('0') {
        Value::String(text)
    } else {
        text.parse::<i64>().map_or(Value::String(text), Value::from)
    }
}

/// Turns every number into a float, as Go's JSON decoder does.
fn floats(value: Value) -> Value {
    match value {
        Value::Number(n) => n.as_f64().map_or(Value::Number(n), Value::from),
        Value::Array(items) => Value::Array(items.into_iter().map(floats).collect()),
        Value::Object(map) => {
            Value::Object(map.into_iter().map(|(key, value)| (key, floats(value))).collect())
        }
        other => other,
    }
}

/// The size of the number, bool or null at the start of a text.
fn json_scalar(text: &str) -> Option<usize> {
    if let Some(word) = ["true", "false", "null"].iter().find(|word| text.starts_with(**word)) {
        return Some(word.len());
    }
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        let count = bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        (count > 0).then_some(from + count)
    };
    let start = usize::from(text.starts_with('-'));
    let mut end = if bytes.get(start) == Some(&b'0') { start + 1 } else { digits(start)? };
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1)?;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        end = digits((end + 1 + sign).min(bytes.len()))?;
    }
    Some(end)
}

#[cfg(test)]
mod tests;
