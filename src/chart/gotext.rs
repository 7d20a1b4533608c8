//! Go's `%q`, `%v` and `%t`, as far as Helm's messages need them.

use std::fmt::Write as _;

use crate::yaml::Value;

/// Returns whether Go's `unicode.IsPrint` holds.
pub(crate) fn is_print(c: char) -> bool {
    if c.is_ascii() {
        return matches!(c, ' '..='~');
    }
    // Behind another character, a combining mark is printed as it is: what is left escaped is
    // what is not printable (controls, formats, surrogates, private use, unassigned, separators).
    let mut text = String::with_capacity(5);
    text.push('a');
    text.push(c);
    text.escape_debug().count() == 2
}

/// Go's `%q`.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        escape(&mut out, c, '"');
    }
    out.push('"');
    out
}

/// Go's `%q` of a list of runes: `['x' 'y']`.
pub(crate) fn quote_runes(runes: &[char]) -> String {
    let mut out = String::from("[");
    for (i, c) in runes.iter().enumerate() {
        out.push_str(if i == 0 { "'" } else { " '" });
        escape(&mut out, *c, '\'');
        out.push('\'');
    }
    out.push(']');
    out
}

fn escape(out: &mut String, c: char, mark: char) {
    match c {
        '\\' => out.push_str("\\\\"),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        _ if c == mark => out.extend(['\\', c]),
        _ if is_print(c) => out.push(c),
        _ => {
            let code = u32::from(c);
            // Writing to a String cannot fail.
            let _ = match code {
                0..=0x1f | 0x7f => write!(out, "\\x{code:02x}"),
                0x80..=0xffff => write!(out, "\\u{code:04x}"),
                _ => write!(out, "\\U{code:08x}"),
            };
        }
    }
}

/// Go's `%v` of plain data: `map[a:1 b:[x <nil>]]`.
pub(crate) fn print(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => match n.as_f64() {
            Some(f) if n.is_f64() => print_float(f),
            _ => n.to_string(),
        },
        Value::String(s) => s.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(print).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let pairs: Vec<String> = map.iter().map(|(k, v)| format!("{k}:{}", print(v))).collect();
            format!("map[{}]", pairs.join(" "))
        }
    }
}

/// Go's `%t` of something that need not be a bool.
pub(crate) fn print_as_bool(value: &Value) -> String {
    match value {
        Value::Null => "%!t(<nil>)".to_owned(),
        _ => element_as_bool(value),
    }
}

fn element_as_bool(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(b) => b.to_string(),
        Value::Number(_) | Value::String(_) => {
            format!("%!t({}={})", go_type(value), print(value))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(element_as_bool).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let pair = |(k, v)| format!("%!t(string={k}):{}", element_as_bool(v));
            let pairs: Vec<String> = map.iter().map(pair).collect();
            format!("map[{}]", pairs.join(" "))
        }
    }
}

/// The name of the Go type that holds the value.
pub(crate) fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// Go's `%v` of a 64-bit float: the shortest digits, an exponent below 1e-4 and from 1e6 on.
pub(crate) fn print_float(float: f64) -> String {
    shortest(float.is_sign_negative(), &format!("{:e}", float.abs()))
}

/// Go's `strconv.FormatFloat(f, 'g', -1, 32)`.
pub(crate) fn print_float32(float: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "Helm prints through 32 bits")]
    let float = float as f32;
    shortest(float.is_sign_negative(), &format!("{:e}", float.abs()))
}

/// Lays out `d.ddde±x` as Go's `%g` does.
fn shortest(negative: bool, scientific: &str) -> String {
    let sign = if negative { "-" } else { "" };
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return match scientific {
            "inf" => format!("{}Inf", if negative { "-" } else { "+" }),
            other => other.to_owned(),
        };
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..6).contains(&exponent) {
        let mark = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{digits}e{mark}{:02}", exponent.unsigned_abs());
    }
    let digits = digits.replace('.', "");
    let places = usize::try_from(exponent.unsigned_abs()).unwrap_or(0);
    if exponent < 0 {
        return format!("{sign}0.{}{digits}", "0".repeat(places - 1));
    }
    if digits.len() <= places + 1 {
        return format!("{sign}{digits}{}", "0".repeat(places + 1 - digits.len()));
    }
    format!("{sign}{}.{}", &digits[..=places], &digits[places + 1..])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn floats_print_as_go_prints_them() {
        let rows = [
            (1e6, "1e+06"),
            (1e3, "1000"),
            (1e5, "100000"),
            (123_456_789.0, "1.23456789e+08"),
            (1e21, "1e+21"),
            (1.5, "1.5"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1_234_567.5, "1.2345675e+06"),
            (-12.25, "-12.25"),
            (0.0, "0"),
        ];
        for (float, want) in rows {
            assert_eq!(print_float(float), want);
        }
        assert_eq!(print_float32(1.23456789), "1.2345679");
        assert_eq!(print_float32(1.10), "1.1");
    }

    #[test]
    fn values_and_texts_print_as_go_prints_them() {
        assert_eq!(
            print(&json!({"a": 1e6, "b": [null, "x", true]})),
            "map[a:1e+06 b:[<nil> x true]]"
        );
        assert_eq!(print_as_bool(&json!(5)), "%!t(int64=5)");
        assert_eq!(print_as_bool(&json!(5.0)), "%!t(float64=5)");
        assert_eq!(print_as_bool(&json!(null)), "%!t(<nil>)");
        assert_eq!(print_as_bool(&json!([1.0, null])), "[%!t(float64=1) <nil>]");
        assert_eq!(quote("a\"\\\n\u{7f}\u{200b}é"), r#""a\"\\\n\x7f\u200bé""#);
        assert_eq!(quote_runes(&['x', '\'']), r"['x' '\'']");
    }
}
