//! What a plain scalar means: YAML 1.1 as go-yaml v2 reads it.
//!
//! Source: go.yaml.in/yaml/v2 v2.4.4 resolve.go.

/// A scalar with its type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text,
    Merge,
}

/// Returns the type of an untagged plain scalar.
pub(crate) fn resolve(text: &str) -> Scalar {
    let Some(first) = text.bytes().next() else {
        return Scalar::Null;
    };
    match first {
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' | b'<' => {
            word(text)
        }
        b'.' => match word(text) {
            Scalar::Text => float(text).map_or(Scalar::Text, Scalar::Float),
            found => found,
        },
        b'+' | b'-' => match word(text) {
            Scalar::Text => number(text),
            found => found,
        },
        b'0'..=b'9' => number(text),
        _ => Scalar::Text,
    }
}

fn word(text: &str) -> Scalar {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Scalar::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Scalar::Bool(false)
        }
        "~" | "null" | "Null" | "NULL" => Scalar::Null,
        ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
        "<<" => Scalar::Merge,
        _ => Scalar::Text,
    }
}

fn number(text: &str) -> Scalar {
    let without;
    let plain = if text.contains('_') {
        without = text.replace('_', "");
        &without
    } else {
        text
    };
    if let Some((negative, digits, radix)) = split_radix(plain)
        && let Ok(size) = u64::from_str_radix(digits, radix)
    {
        return match (negative, i64::try_from(size)) {
            (false, Ok(value)) => Scalar::Int(value),
            (true, Ok(value)) => Scalar::Int(-value),
            (true, Err(_)) if size == 1 << 63 => Scalar::Int(i64::MIN),
            (false, Err(_)) if !plain.starts_with('+') => Scalar::Uint(size),
            _ => float(plain).map_or(Scalar::Text, Scalar::Float),
        };
    }
    if is_float_style(plain) {
        return float(plain).map_or(Scalar::Text, Scalar::Float);
    }
    Scalar::Text
}

/// Splits sign and base prefix off, as Go's `ParseInt` with base 0.
fn split_radix(text: &str) -> Option<(bool, &str, u32)> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (digits, radix) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&digits[2..], 16),
        [b'0', b'b' | b'B', ..] => (&digits[2..], 2),
        [b'0', b'o' | b'O', ..] => (&digits[2..], 8),
        [b'0', _, ..] => (&digits[1..], 8),
        _ => (digits, 10),
    };
    let digit = |byte: u8| char::from(byte).is_digit(radix);
    (!digits.is_empty() && digits.bytes().all(digit)).then_some((negative, digits, radix))
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`
pub(crate) fn is_float_style(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let digits = |at: &mut usize| {
        let start = *at;
        while bytes.get(*at).is_some_and(u8::is_ascii_digit) {
            *at += 1;
        }
        *at - start
    };
    let whole = digits(&mut at);
    let mut fraction = 0;
    if bytes.get(at) == Some(&b'.') {
        at += 1;
        fraction = digits(&mut at);
    }
    if whole == 0 && fraction == 0 {
        return false;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        at += usize::from(matches!(bytes.get(at), Some(b'-' | b'+')));
        if digits(&mut at) == 0 {
            return false;
        }
    }
    at == bytes.len()
}

/// Reads a decimal float; one that is out of range is no float, as in Go.
fn float(text: &str) -> Option<f64> {
    if !is_float_style(text) {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// Returns whether a text is one of the four timestamp layouts of go-yaml and really a date.
///
/// Layouts: `2006-1-2T15:4:5.999999999Z07:00` (`T` or `t`), `2006-1-2 15:4:5.999999999`, `2006-1-2`.
pub(crate) fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || !bytes[..4].iter().all(u8::is_ascii_digit) || bytes[4] != b'-' {
        return false;
    }
    let mut scan = Scan { bytes, at: 5 };
    let Some(date) = scan.date(&text[..4]) else {
        return false;
    };
    if !date {
        return false;
    }
    match scan.take() {
        None => true,
        Some(b'T' | b't') => scan.time() && scan.zone(),
        Some(b' ') => scan.time() && scan.at == bytes.len(),
        Some(_) => false,
    }
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn take(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += 1;
        byte
    }

    /// One or two digits.
    fn number(&mut self) -> Option<u32> {
        let start = self.at;
        while self.at < start + 2 && self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        std::str::from_utf8(&self.bytes[start..self.at.min(self.bytes.len())]).ok()?.parse().ok()
    }

    fn date(&mut self, year: &str) -> Option<bool> {
        let year: u32 = year.parse().ok()?;
        let month = self.number()?;
        if self.take()? != b'-' {
            return None;
        }
        let day = self.number()?;
        let leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return Some(false),
        };
        Some((1..=days).contains(&day))
    }

    fn time(&mut self) -> bool {
        let mut part = |limit: u32| self.number().is_some_and(|number| number < limit);
        // Go reads minutes and seconds of one digit too; the separators are checked in between.
        if !part(24) {
            return false;
        }
        if self.take() != Some(b':') || self.number().is_none_or(|minute| minute > 59) {
            return false;
        }
        if self.take() != Some(b':') || self.number().is_none_or(|second| second > 59) {
            return false;
        }
        if matches!(self.bytes.get(self.at), Some(b'.' | b',')) {
            self.at += 1;
            let start = self.at;
            while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
                self.at += 1;
            }
            return self.at > start;
        }
        true
    }

    fn zone(&mut self) -> bool {
        match self.take() {
            Some(b'Z') => self.at == self.bytes.len(),
            Some(b'+' | b'-') => {
                let rest = &self.bytes[self.at..];
                let two = |bytes: &[u8], limit: u32| {
                    let text = std::str::from_utf8(bytes).unwrap_or_default();
                    text.parse().is_ok_and(|number: u32| number <= limit)
                };
                rest.len() == 5 && rest[2] == b':' && two(&rest[..2], 24) && two(&rest[3..], 60)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_have_go_yaml_s_types() {
        use Scalar::{Bool, Float, Int, Null, Text, Uint};
        for (text, want) in [
            ("", Null),
            ("yes", Bool(true)),
            ("n", Bool(false)),
            ("tRue", Text),
            ("017", Int(15)),
            ("0o17", Int(15)),
            ("0x10", Int(16)),
            ("0b11", Int(3)),
            ("-0b11", Int(-3)),
            ("1_000", Int(1000)),
            ("08", Float(8.0)),
            ("0o8", Text),
            ("+1", Int(1)),
            ("18446744073709551615", Uint(u64::MAX)),
            ("-9223372036854775808", Int(i64::MIN)),
            ("18446744073709551616", Float(18_446_744_073_709_551_616.0)),
            ("1e3", Float(1000.0)),
            ("5.", Float(5.0)),
            (".5", Float(0.5)),
            ("685_230.15", Float(685_230.15)),
            ("1e", Text),
            ("1e400", Text),
            ("190:20:30", Text),
            ("2001-01-01", Text),
            ("0x", Text),
            ("NaN", Text),
            ("-.inf", Float(f64::NEG_INFINITY)),
            ("<<", Scalar::Merge),
        ] {
            assert_eq!(resolve(text), want, "{text}");
        }
    }

    #[test]
    fn timestamps_must_be_real_dates() {
        for good in [
            "2001-01-01",
            "2001-1-1",
            "2001-01-01T10:00:00Z",
            "2001-1-1 1:2:3.5",
            "2001-01-01t10:00:00.5+01:00",
        ] {
            assert!(is_timestamp(good), "{good}");
        }
        for bad in [
            "2019-13-45",
            "2001-02-29",
            "20010101",
            "2001-01-01T",
            "2001-01-01 10:00",
            "abcd-01-01",
            "2001-01-01x",
        ] {
            assert!(!is_timestamp(bad), "{bad}");
        }
    }
}
