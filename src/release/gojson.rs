//! JSON as Go writes it.
//!
//! Source: Go 1.25 encoding/json (encode.go: `appendString`, `floatEncoder`).

use std::io::{self, Write};

use serde::Serialize;

use crate::yaml::float;

/// JSON as Go writes it: `<`, `>`, `&` and the two line separators escaped, floats in Go's form.
struct GoJson;

impl serde_json::ser::Formatter for GoJson {
    fn write_f64<W: ?Sized + Write>(&mut self, out: &mut W, v: f64) -> io::Result<()> {
        out.write_all(float::format_json(v).as_bytes())
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        text: &str,
    ) -> io::Result<()> {
        let text = text.as_bytes();
        let (mut from, mut at) = (0, 0);
        while let Some(next) = next_special(&text[at..]) {
            at += next;
            let (length, code) = match text[at..] {
                [0xe2, 0x80, 0xa8, ..] => (3, 0x2028),
                [0xe2, 0x80, 0xa9, ..] => (3, 0x2029),
                [0xe2, ..] => (1, 0),
                _ => (1, u32::from(text[at])),
            };
            if code != 0 {
                out.write_all(&text[from..at])?;
                write!(out, "\\u{code:04x}")?;
                from = at + length;
            }
            at += length;
        }
        out.write_all(&text[from..])
    }
}

/// Finds the next byte that Go escapes, or that begins a character that Go may escape.
fn next_special(text: &[u8]) -> Option<usize> {
    let plain = memchr::memchr3(b'<', b'>', b'&', text);
    memchr::memchr(0xe2, &text[..plain.unwrap_or(text.len())]).or(plain)
}

/// Returns a value's Go JSON, in the order of its fields.
pub fn go_json(value: &impl Serialize) -> String {
    let mut text = Vec::new();
    // Plain data in memory always has a JSON form.
    if write_go_json(value, &mut text).is_err() {
        return String::new();
    }
    String::from_utf8(text).unwrap_or_default()
}

/// Writes a value's Go JSON.
pub(super) fn write_go_json(value: &impl Serialize, to: impl Write) -> io::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(to, GoJson)).map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_escapes_is_escaped_and_nothing_else() {
        for (text, wanted) in [
            ("", r#""""#),
            ("plain", r#""plain""#),
            ("<a>&b", r#""\u003ca\u003e\u0026b""#),
            ("\u{2028}\u{2029}x", r#""\u2028\u2029x""#),
            // They begin like the separators.
            ("\u{2027}\u{202a}\u{20ac}<", "\"\u{2027}\u{202a}\u{20ac}\\u003c\""),
            ("a\n\"é€<", r#""a\n\"é€\u003c""#),
            ("<€\u{2028}", r#""\u003c€\u2028""#),
        ] {
            assert_eq!(go_json(&text), wanted);
        }
    }
}
