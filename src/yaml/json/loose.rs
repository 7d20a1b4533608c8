//! What Go takes of JSON that a strict reader refuses: halves of surrogate pairs, which it replaces,
//! and numbers beyond a float, which it leaves out, tells of, and reads on.
//!
//! Source: go encoding/json decode.go (unquote, convertNumber).

/// Replaces in a text, which is JSON otherwise; returns also the first number that was left out.
pub(super) fn replaced(text: &str) -> (String, Option<&str>) {
    let mut out = String::with_capacity(text.len());
    let mut lost = None;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let size = match first {
            '"' => string(rest, &mut out),
            '-' | '0'..='9' => {
                let is_part = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
                let size = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
                let number = &rest[..size];
                if number.parse::<f64>().is_ok_and(f64::is_finite) {
                    out.push_str(number);
                } else {
                    lost = lost.or(Some(number));
                    out.push_str("null");
                }
                size
            }
            other => {
                out.push(other);
                other.len_utf8()
            }
        };
        rest = &rest[size..];
    }
    (out, lost)
}

/// Writes the string that begins here, and returns its size.
fn string(text: &str, out: &mut String) -> usize {
    let mut at = 1;
    out.push('"');
    while let Some(c) = text[at..].chars().next() {
        let mut size = c.len_utf8();
        if c == '\\' {
            size += text[at + 1..].chars().next().map_or(0, char::len_utf8);
            if let Some(code) = code(&text[at..]) {
                let pair = code_pair(code, &text[at + ESCAPE..]);
                size = if pair { 2 * ESCAPE } else { ESCAPE };
                if !pair && is_surrogate(code) {
                    out.push_str("\\ufffd");
                    at += size;
                    continue;
                }
            }
        }
        out.push_str(&text[at..at + size]);
        at += size;
        if c == '"' {
            break;
        }
    }
    at
}

/// The length of `\ud800`.
const ESCAPE: usize = 6;

/// The code of an escape `\ud800` that stands here.
fn code(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u32::from_str_radix(digits, 16).ok()
}

fn is_surrogate(code: u32) -> bool {
    (0xd800..0xe000).contains(&code)
}

/// Whether a code and the one that stands here are the two halves of a character.
fn code_pair(first: u32, text: &str) -> bool {
    (0xd800..0xdc00).contains(&first)
        && code(text).is_some_and(|second| (0xdc00..0xe000).contains(&second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_go_reads_otherwise_is_replaced() {
        for (text, want, lost) in [
            (r#"{"a":[1e400,-1E999,1e-400]}"#, r#"{"a":[null,null,1e-400]}"#, Some("1e400")),
            (r#"["1e400","\"1e400",""]"#, r#"["1e400","\"1e400",""]"#, None),
            (
                r#""\ud83d\ude00 \ud800é\\ud800\ude00""#,
                r#""\ud83d\ude00 \ufffdé\\ud800\ufffd""#,
                None,
            ),
            (r#""\ud800\ud83d\ude00\ud800""#, r#""\ufffd\ud83d\ude00\ufffd""#, None),
        ] {
            assert_eq!(replaced(text), (want.to_owned(), lost), "{text}");
        }
    }
}
