//! Go's text ⇄ number and quoting rules (`strconv`), on byte strings.

use std::borrow::Cow;

/// Whether Go would print the rune as it is inside quotes (`strconv.IsPrint`).
pub(super) fn is_print(c: char) -> bool {
    match c {
        ' '..='~' => true,
        c if c.is_ascii() || c == '\u{ad}' => false,
        // The standard library escapes what is not a letter, mark, number, punctuation or symbol;
        // a leading letter keeps combining marks from being escaped for being first.
        c => {
            let text = ['a', c].iter().collect::<String>();
            text.escape_debug().count() == 2
        }
    }
}

/// Decodes the first rune; a byte that is not UTF-8 is `U+FFFD` of width 1, `None` is the end.
#[inline]
pub(super) fn decode_rune(text: &[u8]) -> Option<(char, usize)> {
    let first = *text.first()?;
    if first < 0x80 { Some((char::from(first), 1)) } else { decode_long(text) }
}

fn decode_long(text: &[u8]) -> Option<(char, usize)> {
    let end = text.len().min(4);
    for len in 2..=end {
        if let Ok(valid) = std::str::from_utf8(&text[..len]) {
            return valid.chars().next().map(|c| (c, len));
        }
    }
    Some(('\u{fffd}', 1))
}

/// Whether the rune that was decoded stands for a byte that is not UTF-8.
fn is_invalid((c, width): (char, usize)) -> bool {
    c == '\u{fffd}' && width == 1
}

/// Iterates over runes as Go's `range` over a string does.
pub(super) fn runes(text: &[u8]) -> impl Iterator<Item = char> + '_ {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (c, width) = decode_rune(rest)?;
        rest = &rest[width..];
        Some(c)
    })
}

/// Returns a text with U+FFFD for each byte that is not UTF-8, as Go reads it.
pub(super) fn lossy(text: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(text) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(runes(text).collect()),
    }
}

/// Appends a rune as UTF-8.
pub(super) fn push_rune(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Which runes stay as they are inside quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Charset {
    /// Everything printable (`%q`).
    Printable,
    /// Printable ASCII (`%+q`).
    Ascii,
}

fn push_escaped(out: &mut Vec<u8>, c: char, quote: u8, charset: Charset) {
    if c == char::from(quote) || c == '\\' {
        out.push(b'\\');
        return push_rune(out, c);
    }
    if is_print(c) && (charset == Charset::Printable || c.is_ascii()) {
        return push_rune(out, c);
    }
    let escape = match c {
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\u{c}' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\u{b}' => "\\v",
        _ => "",
    };
    let code = u32::from(c);
    let text = match code {
        _ if !escape.is_empty() => escape.to_owned(),
        0..0x20 | 0x7f => format!("\\x{code:02x}"),
        0x20..0x1_0000 => format!("\\u{code:04x}"),
        _ => format!("\\U{code:08x}"),
    };
    out.extend_from_slice(text.as_bytes());
}

/// Appends the text in double quotes.
///
/// Source: go strconv/quote.go (appendQuotedWith).
pub(super) fn push_quoted(out: &mut Vec<u8>, text: &[u8], charset: Charset) {
    out.push(b'"');
    let mut rest = text;
    while let Some(rune) = decode_rune(rest) {
        if is_invalid(rune) {
            out.extend_from_slice(format!("\\x{:02x}", rest[0]).as_bytes());
        } else {
            push_escaped(out, rune.0, b'"', charset);
        }
        rest = &rest[rune.1..];
    }
    out.push(b'"');
}

/// Appends the rune in single quotes.
pub(super) fn push_quoted_rune(out: &mut Vec<u8>, c: char, charset: Charset) {
    out.push(b'\'');
    push_escaped(out, c, b'\'', charset);
    out.push(b'\'');
}

/// Returns the text in double quotes.
pub fn quote(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    push_quoted(&mut out, text, Charset::Printable);
    String::from_utf8_lossy(&out).into_owned()
}

/// Whether the text can stand between backquotes.
pub(super) fn can_backquote(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some((c, width)) = decode_rune(rest) {
        let plain = match c {
            '\u{feff}' => false,
            '\u{fffd}' => width > 1,
            '\t' => true,
            '`' | '\u{7f}' => false,
            c => c >= ' ',
        };
        if !plain {
            return false;
        }
        rest = &rest[width..];
    }
    true
}

/// Removes the quotes of a Go string literal; `None` is Go's `invalid syntax`.
///
/// Source: go strconv/quote.go (Unquote).
pub(super) fn unquote(literal: &[u8]) -> Option<Vec<u8>> {
    let (&quote, rest) = literal.split_first()?;
    let (&last, inner) = rest.split_last()?;
    if quote != last {
        return None;
    }
    match quote {
        b'`' => (!inner.contains(&b'`'))
            .then(|| inner.iter().copied().filter(|&byte| byte != b'\r').collect()),
        b'"' => {
            let mut out = Vec::with_capacity(inner.len());
            let mut rest = inner;
            while !rest.is_empty() {
                match rest[0] {
                    b'"' | b'\n' => return None,
                    b'\\' => rest = unescape(rest, b'"', &mut out)?,
                    _ => {
                        let end = rest
                            .iter()
                            .position(|byte| matches!(byte, b'"' | b'\n' | b'\\'))
                            .unwrap_or(rest.len());
                        out.extend_from_slice(&rest[..end]);
                        rest = &rest[end..];
                    }
                }
            }
            Some(out)
        }
        _ => None,
    }
}

/// Reads one escape sequence (at the backslash) and returns what follows it.
fn unescape<'a>(text: &'a [u8], quote: u8, out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (&kind, rest) = text.get(1..)?.split_first()?;
    let simple = match kind {
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'\\' => b'\\',
        b'\'' | b'"' if kind == quote => kind,
        b'x' | b'u' | b'U' => {
            let digits = match kind {
                b'x' => 2,
                b'u' => 4,
                _ => 8,
            };
            let hex = std::str::from_utf8(rest.get(..digits)?).ok()?;
            if !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return None;
            }
            let code = u32::from_str_radix(hex, 16).ok()?;
            if kind == b'x' {
                out.push(u8::try_from(code).ok()?);
            } else {
                push_rune(out, char::from_u32(code)?);
            }
            return Some(&rest[digits..]);
        }
        b'0'..=b'7' => {
            let digits = text.get(1..4)?;
            if !digits.iter().all(|byte| (b'0'..=b'7').contains(byte)) {
                return None;
            }
            let code =
                digits.iter().fold(0_u32, |value, &digit| value * 8 + u32::from(digit - b'0'));
            out.push(u8::try_from(code).ok()?);
            return Some(&text[4..]);
        }
        _ => return None,
    };
    out.push(simple);
    Some(rest)
}

/// Reads a character constant such as `'a'` or `'\n'`.
///
/// # Errors
/// Go's text: the constant is malformed.
pub(super) fn unquote_char(literal: &[u8]) -> Result<char, String> {
    let malformed =
        || format!("malformed character constant: {}", String::from_utf8_lossy(literal));
    let inner = literal.get(1..).unwrap_or_default();
    let (c, rest) = match inner.first() {
        None | Some(b'\'') => return Err("invalid syntax".to_owned()),
        Some(b'\\') => {
            let mut out = Vec::new();
            let rest = unescape(inner, b'\'', &mut out).ok_or("invalid syntax")?;
            // `\xHH` and octal escapes are code points here, not bytes.
            let c = match (inner[1], out.as_slice()) {
                (b'x' | b'0'..=b'7', [byte]) => char::from(*byte),
                _ => decode_rune(&out).map_or('\u{fffd}', |rune| rune.0),
            };
            (c, rest)
        }
        Some(_) => {
            let (c, width) = decode_rune(inner).unwrap_or(('\u{fffd}', 1));
            (c, &inner[width..])
        }
    };
    if rest == b"'" { Ok(c) } else { Err(malformed()) }
}

/// Why a text is not a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IntError {
    /// Not the form of a number.
    Syntax,
    /// A number that does not fit.
    Range,
}

/// Splits off the base of a Go literal (`0x`, `0b`, `0o`, `0`), checking underscores.
fn base_prefix(text: &str) -> Option<(u32, String)> {
    let lower = text.to_ascii_lowercase();
    let (base, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.contains('_') {
        let prefixed = base != 10;
        let bytes = digits.as_bytes();
        let digit = |index: usize| bytes.get(index).is_some_and(u8::is_ascii_alphanumeric);
        for (index, _) in digits.match_indices('_') {
            let before = if index == 0 { prefixed } else { digit(index - 1) };
            if !before || !digit(index + 1) {
                return None;
            }
        }
    }
    Some((base, digits.replace('_', "")))
}

/// Parses an unsigned number in Go's literal syntax (`ParseUint(text, 0, 64)`).
pub(super) fn parse_uint(text: &str) -> Result<u64, IntError> {
    let (base, digits) = base_prefix(text).ok_or(IntError::Syntax)?;
    parse_digits(&digits, base)
}

fn parse_digits(digits: &str, base: u32) -> Result<u64, IntError> {
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(base)) {
        return Err(IntError::Syntax);
    }
    u64::from_str_radix(digits, base).map_err(|_| IntError::Range)
}

fn signed(text: &str, parse: impl Fn(&str) -> Result<u64, IntError>) -> Result<i64, IntError> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let value = i128::from(parse(digits)?);
    i64::try_from(if negative { -value } else { value }).map_err(|_| IntError::Range)
}

/// Parses a whole number in Go's literal syntax (`ParseInt(text, 0, 64)`).
pub(super) fn parse_int(text: &str) -> Result<i64, IntError> {
    signed(text, parse_uint)
}

/// Parses a whole number of the given base (`ParseInt(text, base, 64)`).
pub(super) fn parse_int_radix(text: &str, base: u32) -> Result<i64, IntError> {
    signed(text, |digits| parse_digits(digits, base))
}

/// Parses a decimal number as `Atoi` does for those who do not look at its error: what is too
/// large becomes the largest, what is no number 0.
pub(super) fn parse_int_saturating(text: &str) -> i64 {
    match parse_int_radix(text, 10) {
        Ok(number) => number,
        Err(IntError::Range) if text.starts_with('-') => i64::MIN,
        Err(IntError::Range) => i64::MAX,
        Err(IntError::Syntax) => 0,
    }
}

/// Parses a floating-point number as Go does: infinities, hexadecimal and underscores included.
pub(super) fn parse_float(text: &str) -> Option<f64> {
    let lower = text.to_ascii_lowercase();
    let unsigned = lower.strip_prefix(['+', '-']).unwrap_or(&lower);
    let sign = if lower.starts_with('-') { -1.0 } else { 1.0 };
    match unsigned {
        "inf" | "infinity" => return Some(sign * f64::INFINITY),
        "nan" => return Some(f64::NAN),
        _ => {}
    }
    if let Some(hex) = unsigned.strip_prefix("0x") {
        // Each separates digits, or the first of them from the prefix.
        let bytes = hex.as_bytes();
        let digit = |index: usize| bytes.get(index).is_some_and(u8::is_ascii_hexdigit);
        let separates = |index: usize| (index == 0 || digit(index - 1)) && digit(index + 1);
        if !hex.match_indices('_').all(|(index, _)| separates(index)) {
            return None;
        }
        return parse_hex_float(&hex.replace('_', "")).map(|value| sign * value);
    }
    let bytes = unsigned.as_bytes();
    let digit = |index: usize| bytes.get(index).is_some_and(u8::is_ascii_digit);
    for (index, _) in unsigned.match_indices('_') {
        if index == 0 || !digit(index - 1) || !digit(index + 1) {
            return None;
        }
    }
    let plain = unsigned.replace('_', "");
    let shaped = plain.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'+' | b'-'));
    let value = plain.parse::<f64>().ok().filter(|_| shaped)?;
    value.is_finite().then_some(sign * value)
}

/// What Go says of a text that [`parse_float`] refuses.
pub(super) fn float_complaint(text: &str) -> &'static str {
    let is_hex = text.trim_start_matches(['+', '-']).to_ascii_lowercase().starts_with("0x");
    let separates = |at: usize| {
        let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
        let bytes = text.as_bytes();
        at > 0 && digit(bytes.get(at - 1)) && digit(bytes.get(at + 1))
    };
    let is_number = !is_hex
        && text.match_indices('_').all(|(at, _)| separates(at))
        && text.replace('_', "").parse::<f64>().is_ok();
    if is_number { "value out of range" } else { "invalid syntax" }
}

fn parse_hex_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('p')?;
    let exponent = exponent.parse::<i32>().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0.0_f64;
    for c in whole.chars().chain(fraction.chars()) {
        value = value.mul_add(16.0, f64::from(c.to_digit(16)?));
    }
    let shift = exponent.saturating_sub(i32::try_from(fraction.len()).ok()?.saturating_mul(4));
    let scaled = value * 2_f64.powi(shift);
    scaled.is_finite().then_some(scaled)
}

/// The shortest digits that read back as the same number, and the exponent of the first digit.
fn shortest(value: f64) -> (String, i32) {
    let text = format!("{:e}", value.abs());
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (digits.replace('.', ""), exponent.parse().unwrap_or(0))
}

/// Prints a number in one of Go's formats; `precision` −1 is the shortest exact form.
///
/// Source: go strconv/ftoa.go (FormatFloat).
pub(super) fn format_float(value: f64, format: u8, precision: i32) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let magnitude = value.abs();
    let wanted = usize::try_from(precision).ok();
    let body = match format {
        b'f' => match wanted {
            Some(places) => format!("{magnitude:.places$}"),
            None => format!("{magnitude}"),
        },
        b'e' | b'E' => {
            let (digits, exponent) = match wanted {
                Some(places) => exact_digits(magnitude, places),
                None => shortest(magnitude),
            };
            exponent_form(&digits, exponent, format)
        }
        b'g' | b'G' => general_form(magnitude, wanted, format),
        b'x' | b'X' => hex_form(magnitude, wanted, format == b'X'),
        _ => binary_form(magnitude),
    };
    format!("{sign}{body}")
}

fn exact_digits(magnitude: f64, places: usize) -> (String, i32) {
    let text = format!("{magnitude:.places$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (digits.replace('.', ""), exponent.parse().unwrap_or(0))
}

fn exponent_form(digits: &str, exponent: i32, format: u8) -> String {
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let marker = if format.is_ascii_uppercase() { 'E' } else { 'e' };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{first}{point}{rest}{marker}{sign}{:02}", exponent.abs())
}

fn general_form(magnitude: f64, wanted: Option<usize>, format: u8) -> String {
    let (mut digits, exponent) = match wanted {
        Some(places) => exact_digits(magnitude, places.max(1) - 1),
        None => shortest(magnitude),
    };
    let trimmed = digits.trim_end_matches('0').len().max(1);
    digits.truncate(trimmed);
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let limit = match wanted {
        // The shortest form decides as if the precision were six.
        None => 6,
        Some(places) => {
            let places = i32::try_from(places.max(1)).unwrap_or(i32::MAX);
            if places > count && count > exponent { count } else { places }
        }
    };
    if exponent < -4 || exponent >= limit {
        return exponent_form(&digits, exponent, format);
    }
    plain_form(&digits, exponent)
}

fn plain_form(digits: &str, exponent: i32) -> String {
    let Ok(before) = usize::try_from(exponent + 1) else {
        let zeros = usize::try_from(-exponent - 1).unwrap_or(0);
        return format!("0.{}{digits}", "0".repeat(zeros));
    };
    if before == 0 {
        return format!("0.{digits}");
    }
    if digits.len() <= before {
        return format!("{digits}{}", "0".repeat(before - digits.len()));
    }
    format!("{}.{}", &digits[..before], &digits[before..])
}

/// `%x` of a number: one hexadecimal digit before the point, a power of two after the `p`.
fn hex_form(magnitude: f64, wanted: Option<usize>, upper: bool) -> String {
    let bits = magnitude.to_bits();
    let (mut mantissa, mut exponent) = (bits & ((1 << 52) - 1), ((bits >> 52) & 0x7ff) as i32);
    if exponent == 0 {
        exponent = 1;
    } else {
        mantissa |= 1 << 52;
    }
    exponent -= 1023;
    if mantissa == 0 {
        exponent = 0;
    }
    while mantissa != 0 && mantissa & (1 << 52) == 0 {
        mantissa <<= 1;
        exponent -= 1;
    }
    if let Some(places) = wanted.filter(|places| *places < 13) {
        let shift = u32::try_from(52 - places * 4).unwrap_or(0);
        let half = 1_u64 << (shift - 1);
        let rest = mantissa & ((1 << shift) - 1);
        mantissa >>= shift;
        if rest > half || (rest == half && mantissa & 1 == 1) {
            mantissa += 1;
        }
        mantissa <<= shift;
        if mantissa & (1 << 53) != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let whole = mantissa >> 52;
    let mut fraction = format!("{:013x}", mantissa & ((1 << 52) - 1));
    match wanted {
        None => fraction.truncate(fraction.trim_end_matches('0').len()),
        Some(places) if places <= 13 => fraction.truncate(places),
        Some(places) => fraction.push_str(&"0".repeat(places - 13)),
    }
    let point = if fraction.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    let text = format!("0x{whole}{point}{fraction}p{sign}{:02}", exponent.abs());
    if upper { text.to_uppercase() } else { text }
}

fn binary_form(magnitude: f64) -> String {
    let bits = magnitude.to_bits();
    let (mut mantissa, mut exponent) = (bits & ((1 << 52) - 1), ((bits >> 52) & 0x7ff) as i32);
    if exponent == 0 {
        exponent = 1;
    } else {
        mantissa |= 1 << 52;
    }
    exponent -= 1023 + 52;
    let sign = if exponent < 0 { "" } else { "+" };
    format!("{mantissa}p{sign}{exponent}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortest_floats_are_printed_as_go_prints_them() {
        let rows = [
            (100_000.0, "100000"),
            (123_456.0, "123456"),
            (1e6, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (12_345_678.0, "1.2345678e+07"),
            (100_000.5, "100000.5"),
            (1_234_567.5, "1.2345675e+06"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (3.0, "3"),
            (0.0, "0"),
            (-0.0, "-0"),
            (1e20, "1e+20"),
            (1e21, "1e+21"),
            (9_007_199_254_740_993.0, "9.007199254740992e+15"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
        ];
        let wrong: Vec<_> = rows
            .iter()
            .map(|(value, text)| (format_float(*value, b'g', -1), *text))
            .filter(|(got, wanted)| got != wanted)
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn quoting_round_trips_and_escapes_what_go_escapes() {
        let rows: [(&[u8], &str); 6] = [
            (b"a\"b\\", r#""a\"b\\""#),
            (b"\x00\n\t\x7f", r#""\x00\n\t\x7f""#),
            ("é日\u{1f600}".as_bytes(), "\"é日\u{1f600}\""),
            ("\u{200b}\u{ad}".as_bytes(), r#""\u200b\u00ad""#),
            (b"\xff", r#""\xff""#),
            ("e\u{301}".as_bytes(), "\"e\u{301}\""),
        ];
        for (text, quoted) in rows {
            assert_eq!(quote(text), quoted);
            assert_eq!(unquote(quoted.as_bytes()).as_deref(), Some(text));
        }
        assert_eq!(unquote(b"\"\\'\""), None);
        assert_eq!(unquote(b"`a\r\nb`").as_deref(), Some(b"a\nb".as_slice()));
    }
}
