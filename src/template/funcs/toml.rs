//! TOML.
//!
//! Source: helm v4.3.1 pkg/engine/funcs.go; BurntSushi/toml v1.6.0 encode.go.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::convert::{Form, NotPlain, to_plain_as};
use super::super::eval::Machine;
use super::super::strconv;
use super::super::value::{ListKind, Map, Value, text};
use super::{Func, Ty, dates, lossy};
use crate::yaml;

pub(super) const TABLE: &[Func] = &[
    Func::new("toToml", &[Ty::Any], |m, a| match a.any(0) {
        Value::Nil | Value::Invalid => Err(NIL.into()),
        value => match encode(m, value) {
            Err(NotPlain::Json(text)) => Ok(Value::str(text)),
            outcome => outcome.map_err(Into::into),
        },
    }),
    Func::new("fromToml", &[Ty::Str], |m, a| {
        // Each item of a list takes two characters at least.
        m.take(a.str(0).len().saturating_mul(VALUE_BYTES))?;
        m.spend(a.str(0).len())?;
        Ok(decode(&lossy(a.str(0))))
    }),
    Func::new("mustToToml", &[Ty::Any], |m, a| match a.any(0) {
        Value::Nil | Value::Invalid => Err(NIL.into()),
        value => encode(m, value).map_err(Into::into),
    }),
];

/// About what a character of TOML becomes.
const VALUE_BYTES: usize = 16;
/// What Go's encoder panics with.
const NIL: &str = "reflect: call of reflect.Value.Type on zero Value";

fn encode(machine: &mut Machine<'_>, value: &Value) -> Result<Value, NotPlain> {
    let mut out = String::new();
    let written = match to_plain_as(machine, value, Form::Toml)? {
        yaml::Value::Object(map) => table(&mut out, &map, &mut Vec::new()),
        // A nil slice is an empty one here, unlike inside of others; a nil map has no keys.
        yaml::Value::Null => {
            out.push_str(if matches!(value, Value::Map(..)) { "" } else { "[]" });
            Ok(())
        }
        // A list of tables is written under its key, which it has none of here.
        other if is_table_array(&other) => {
            Err("toml: top-level values must be Go maps or structs".to_owned())
        }
        other => inline(&mut out, &other),
    };
    written.map_err(NotPlain::Json)?;
    Ok(Value::str(out))
}

/// What is no TOML becomes a map with the key `Error`, whose text is not upstream's.
fn decode(source: &str) -> Value {
    let table = DeTable::parse(source).map_err(|error| error.message().to_owned());
    match table.and_then(|table| from_table(table.into_inner())) {
        Ok(map) => Value::map(map),
        Err(why) => {
            let map = Map::default();
            map.set(text("Error"), Value::str(format!("toml: {why}")));
            Value::map(map)
        }
    }
}

fn from_table(table: DeTable<'_>) -> Result<Map, String> {
    let map = Map::default();
    for (key, value) in table {
        map.set(text(key.get_ref()), from_toml(value)?);
    }
    Ok(map)
}

fn from_toml(value: Spanned<DeValue<'_>>) -> Result<Value, String> {
    let span = value.span();
    Ok(match value.into_inner() {
        DeValue::String(value) => Value::str(&*value),
        DeValue::Integer(value) => {
            let number = i64::from_str_radix(value.as_str(), value.radix());
            Value::int64(number.map_err(|_| "integer number overflowed")?)
        }
        DeValue::Float(value) => {
            let number = value.as_str().parse().map_err(|_| "no number")?;
            if f64::is_infinite(number) && !value.as_str().contains("inf") {
                return Err("floating-point number overflowed".to_owned());
            }
            Value::Float(number)
        }
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Datetime(value) => dates::from_toml(&value.to_string()),
        DeValue::Array(items) => {
            // Where headers make an array, it stands in the text where its first table does.
            let has_headers = items.iter().next().is_some_and(|first| first.span() == span);
            let kind = if has_headers { ListKind::Tables } else { ListKind::Any };
            let items = items.into_iter().map(from_toml).collect::<Result<_, _>>()?;
            Value::typed_list(kind, items)
        }
        DeValue::Table(table) => Value::map(from_table(table)?),
    })
}

fn is_table(value: &yaml::Value) -> bool {
    value.is_object()
}

fn is_table_array(value: &yaml::Value) -> bool {
    matches!(value, yaml::Value::Array(list) if !list.is_empty() && list.iter().all(is_table))
}

fn table(out: &mut String, map: &yaml::Map, path: &mut Vec<String>) -> Result<(), String> {
    let indent = "  ".repeat(path.len());
    for (key, value) in map {
        if value.is_null() || is_table(value) || is_table_array(value) {
            continue;
        }
        out.push_str(&indent);
        out.push_str(&bare(key));
        out.push_str(" = ");
        inline(out, value)?;
        out.push('\n');
    }
    for (key, value) in map {
        if is_table_array(value) {
            path.push(bare(key));
            for item in value.as_array().into_iter().flatten() {
                header(out, path, true);
                if let yaml::Value::Object(inner) = item {
                    table(out, inner, path)?;
                }
            }
            path.pop();
        } else if let yaml::Value::Object(inner) = value {
            path.push(bare(key));
            header(out, path, false);
            table(out, inner, path)?;
            path.pop();
        }
    }
    Ok(())
}

fn header(out: &mut String, path: &[String], array: bool) {
    // Tables inside of tables follow without a blank line.
    if !out.is_empty() && (array || path.len() == 1) {
        out.push('\n');
    }
    let (open, close) = if array { ("[[", "]]") } else { ("[", "]") };
    out.push_str(&"  ".repeat(path.len() - 1));
    out.push_str(open);
    out.push_str(&path.join("."));
    out.push_str(close);
    out.push('\n');
}

fn bare(key: &str) -> String {
    let key = yaml::key_text(key);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !key.is_empty() && key.bytes().all(plain) { key.to_owned() } else { quoted(key) }
}

fn quoted(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' | '\u{7f}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn inline(out: &mut String, value: &yaml::Value) -> Result<(), String> {
    match value {
        yaml::Value::Null => return Err("toml: cannot encode array with nil element".to_owned()),
        yaml::Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        yaml::Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(value) => {
                let text = strconv::format_float(value, b'g', -1);
                out.push_str(&text);
                if !text.contains(['.', 'e', 'n', 'i', 'N', 'I']) {
                    out.push_str(".0");
                }
            }
            None => out.push_str(&number.to_string()),
        },
        yaml::Value::String(text) => match text.strip_prefix(yaml::WORD) {
            Some(word) if !word.starts_with(yaml::WORD) => out.push_str(word),
            again => out.push_str(&quoted(again.unwrap_or(text))),
        },
        yaml::Value::Array(list) => {
            out.push('[');
            for (index, item) in list.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                inline(out, item)?;
            }
            out.push(']');
        }
        yaml::Value::Object(map) => {
            // As where tables have headers, plain values go first. Go writes no nil, but the comma.
            let is_sub = |value: &yaml::Value| is_table(value) || is_table_array(value);
            let (sub, direct): (Vec<_>, Vec<_>) = map.iter().partition(|(_, item)| is_sub(item));
            out.push('{');
            let count = map.len();
            for (index, (key, item)) in direct.into_iter().chain(sub).enumerate() {
                if item.is_null() {
                    continue;
                }
                out.push_str(&bare(key));
                out.push_str(" = ");
                inline(out, item)?;
                if index + 1 < count {
                    out.push_str(", ");
                }
            }
            out.push('}');
        }
    }
    Ok(())
}
