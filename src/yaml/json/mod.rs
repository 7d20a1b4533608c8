//! JSON as Go's encoding/json reads and prints it.

mod check;
mod loose;

use super::{Error, MAX_DEPTH, Numbers, Value, float};

/// How JSON is written.
#[derive(Clone, Copy)]
struct Style {
    /// Whether `<`, `>` and `&` are escaped.
    html: bool,
    /// Whether lines are broken and indented by two spaces.
    pretty: bool,
}

/// Prints compact JSON: keys in bytewise order, `<`, `>`, `&`, U+2028 and U+2029 escaped.
pub fn to_string(value: &Value) -> String {
    written(value, Style { html: true, pretty: false })
}

/// Prints JSON as [`to_string`] does, indented by two spaces, without final newline.
pub fn to_string_pretty(value: &Value) -> String {
    written(value, Style { html: true, pretty: true })
}

/// Prints compact JSON without escaping `<`, `>` and `&`.
pub fn to_string_raw(value: &Value) -> String {
    written(value, Style { html: false, pretty: false })
}

fn written(value: &Value, style: Style) -> String {
    let mut out = String::new();
    write(&mut out, value, style, 0);
    out
}

fn write(out: &mut String, value: &Value, style: Style, depth: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(value) => out.push_str(&float::format_json(value)),
            None => out.push_str(&number.to_string()),
        },
        Value::String(text) => write_string(out, text, style.html),
        Value::Array(list) => {
            out.push('[');
            for (index, item) in list.iter().enumerate() {
                separate(out, style, index, depth + 1);
                write(out, item, style, depth + 1);
            }
            close(out, style, list.is_empty(), depth);
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                separate(out, style, index, depth + 1);
                write_string(out, key, style.html);
                out.push_str(if style.pretty { ": " } else { ":" });
                write(out, item, style, depth + 1);
            }
            close(out, style, map.is_empty(), depth);
            out.push('}');
        }
    }
}

fn separate(out: &mut String, style: Style, index: usize, depth: usize) {
    if index > 0 {
        out.push(',');
    }
    if style.pretty {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', 2 * depth));
    }
}

fn close(out: &mut String, style: Style, empty: bool, depth: usize) {
    if style.pretty && !empty {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', 2 * depth));
    }
}

/// Escapes a finished JSON text as Go does: `<`, `>`, `&`, U+2028 and U+2029, which stand in
/// strings only.
pub fn escape_html(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            letter => out.push(letter),
        }
    }
    out
}

/// Writes a string as Go does.
pub fn write_string(out: &mut String, text: &str, html: bool) {
    use std::fmt::Write as _;
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' if !html => out.push(c),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Parses one JSON value.
///
/// # Errors
/// The text is not one JSON value; `Display` is Go's text where that has one.
pub fn parse(text: &str, numbers: Numbers) -> Result<Value, Error> {
    whole(read(text, numbers)?)
}

/// Fails if something was left out.
fn whole((value, lost): (Value, Option<Error>)) -> Result<Value, Error> {
    lost.map_or(Ok(value), Err)
}

/// Reads a text; numbers beyond a float are null, and told of.
fn read(text: &str, numbers: Numbers) -> Result<(Value, Option<Error>), Error> {
    let (mut value, lost) = match serde_json::from_str::<Value>(text) {
        Ok(value) => (value, None),
        Err(error) => read_loosely(text, &error)?,
    };
    if numbers == Numbers::Float {
        to_floats(&mut value);
    }
    Ok((value, lost))
}

/// Reads a text that is no JSON to a strict reader.
fn read_loosely(text: &str, error: &serde_json::Error) -> Result<(Value, Option<Error>), Error> {
    let line = Some(error.line());
    let refused = |text| Error::Json { text, line };
    if error.to_string().contains("recursion limit") {
        return Err(refused(format!("exceeded max depth of {MAX_DEPTH}")));
    }
    if let Some(complaint) = check::complaint(text.as_bytes()) {
        return Err(refused(complaint));
    }
    let (replaced, lost) = loose::replaced(text);
    let value = serde_json::from_str(&replaced).map_err(|error| refused(error.to_string()))?;
    let lost = lost.map(|number| {
        refused(format!("json: cannot unmarshal number {number} into Go value of type float64"))
    });
    Ok((value, lost))
}

/// Parses one JSON value of any bytes: what is not UTF-8 is replaced inside strings.
///
/// # Errors
/// As [`parse`].
pub fn parse_bytes(bytes: &[u8], numbers: Numbers) -> Result<Value, Error> {
    whole(parse_partly(bytes, numbers)?)
}

/// Parses as [`parse_bytes`], but goes on behind a number beyond a float, as Go does; returns also
/// what is wrong with the first of them.
///
/// # Errors
/// The text is not one JSON value.
pub fn parse_partly(bytes: &[u8], numbers: Numbers) -> Result<(Value, Option<Error>), Error> {
    let text = String::from_utf8_lossy(bytes);
    if matches!(text, std::borrow::Cow::Owned(_))
        && let Some(text) = check::complaint(bytes)
    {
        return Err(Error::Json { text, line: None });
    }
    read(&text, numbers)
}

/// Turns every number into a float.
pub fn to_floats(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(float) = number.as_f64().and_then(serde_json::Number::from_f64) {
                *number = float;
            }
        }
        Value::Array(list) => list.iter_mut().for_each(to_floats),
        Value::Object(map) => map.values_mut().for_each(to_floats),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_go_s() {
        let value = serde_json::json!({
            "b": [1, 2.0, 1e21, 1e-7], "a": "<&>\u{2028}\u{1}\t\u{7f}", "e": {}, "l": [],
        });
        let a = "\"a\":\"\\u003c\\u0026\\u003e\\u2028\\u0001\\t\u{7f}\"";
        let want = format!("{{{a},\"b\":[1,2,1e+21,1e-7],\"e\":{{}},\"l\":[]}}");
        assert_eq!(to_string(&value), want);
        assert!(to_string_raw(&value).contains("<&>\\u2028"));
        assert_eq!(
            to_string_pretty(&serde_json::json!({"a": [1], "e": {}})),
            "{\n  \"a\": [\n    1\n  ],\n  \"e\": {}\n}"
        );
    }

    #[test]
    fn errors_are_in_go_s_words() {
        for (text, want) in [
            ("x", "invalid character 'x' looking for beginning of value"),
            ("", "unexpected end of JSON input"),
            ("{", "unexpected end of JSON input"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            ("[1 2]", "invalid character '2' after array element"),
            ("1 2", "invalid character '2' after top-level value"),
            ("é", "invalid character 'Ã' looking for beginning of value"),
            ("text", "invalid character 'e' in literal true (expecting 'r')"),
            ("nul", "invalid character ' ' in literal null (expecting 'l')"),
            ("[1", "unexpected end of JSON input"),
            ("\"a", "unexpected end of JSON input"),
            ("-", "invalid character ' ' in numeric literal"),
            ("{\"a\":1,}", "invalid character '}' looking for beginning of object key string"),
            ("{\"a\":1;}", "invalid character ';' after object key:value pair"),
            ("\"\\x\"", "invalid character 'x' in string escape code"),
            ("\"\\u12g4\"", "invalid character 'g' in \\u hexadecimal character escape"),
            ("\"\n\"", "invalid character '\\n' in string literal"),
            ("-a", "invalid character 'a' in numeric literal"),
            ("1.x", "invalid character 'x' after decimal point in numeric literal"),
            ("1e+", "invalid character ' ' in exponent of numeric literal"),
            ("01", "invalid character '1' after top-level value"),
        ] {
            assert_eq!(parse(text, Numbers::Float).unwrap_err().to_string(), want, "{text}");
        }
    }
}
