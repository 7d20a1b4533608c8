//! Addresses of IP, for the words of what is wrong with one.
//!
//! Source: go1.26 net/netip/netip.go (`ParseAddr`).

use super::super::strconv;

/// Which kind an address is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Address {
    V4,
    V6,
}

/// What is wrong, and the rest of the text where it was met; it may be empty.
struct Wrong<'a>(&'static str, &'a [u8]);

/// Bytes of an address of version 6.
const BYTES: usize = 16;

/// Reads an address.
///
/// # Errors
/// Go's words.
pub(super) fn parse(text: &[u8]) -> Result<Address, String> {
    let read = match text.iter().find(|byte| b".:%".contains(byte)) {
        Some(b'.') => four(text).map(|()| Address::V4),
        Some(b':') => six(text).map(|()| Address::V6),
        Some(_) => Err(Wrong("missing IPv6 address", b"")),
        None => Err(Wrong("unable to parse IP", b"")),
    };
    read.map_err(|Wrong(why, rest)| {
        let quoted = strconv::quote(text);
        match rest {
            [] => format!("ParseAddr({quoted}): {why}"),
            rest => format!("ParseAddr({quoted}): {why} (at {})", strconv::quote(rest)),
        }
    })
}

fn four(text: &[u8]) -> Result<(), Wrong<'_>> {
    let (mut value, mut digits, mut dots) = (0_u32, 0, 0);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                if digits == 1 && value == 0 {
                    return Err(Wrong("IPv4 field has octet with leading zero", b""));
                }
                value = value * 10 + u32::from(byte - b'0');
                digits += 1;
                if value > 255 {
                    return Err(Wrong("IPv4 field has value >255", b""));
                }
            }
            b'.' => {
                if digits == 0 || at + 1 == text.len() {
                    return Err(Wrong("IPv4 field must have at least one digit", &text[at..]));
                }
                if dots == 3 {
                    return Err(Wrong("IPv4 address too long", b""));
                }
                (value, digits, dots) = (0, 0, dots + 1);
            }
            _ => return Err(Wrong("unexpected character", &text[at..])),
        }
    }
    if dots < 3 { Err(Wrong("IPv4 address too short", b"")) } else { Ok(()) }
}

fn six(text: &[u8]) -> Result<(), Wrong<'_>> {
    let mut rest = text;
    if let Some(at) = memchr::memchr(b'%', text) {
        rest = &text[..at];
        if at + 1 == text.len() {
            return Err(Wrong("zone must be a non-empty string", b""));
        }
    }
    // Bytes that are read, and whether `::` was met.
    let (mut read, mut is_short) = (0, false);
    if let Some(behind) = rest.strip_prefix(b"::") {
        (rest, is_short) = (behind, true);
        if rest.is_empty() {
            return Ok(());
        }
    }
    while read < BYTES {
        let digits = group(rest)?;
        if rest.get(digits) == Some(&b'.') {
            embedded(rest, read, is_short)?;
            (rest, read) = (b"", read + 4);
            break;
        }
        (rest, read) = (&rest[digits..], read + 2);
        match rest {
            [] => break,
            b":" => return Err(Wrong("colon must be followed by more characters", rest)),
            [b':', behind @ ..] => rest = behind,
            _ => return Err(Wrong("unexpected character, want colon", rest)),
        }
        if let Some(behind) = rest.strip_prefix(b":") {
            if is_short {
                return Err(Wrong("multiple :: in address", rest));
            }
            (rest, is_short) = (behind, true);
            if rest.is_empty() {
                break;
            }
        }
    }
    match (rest, read < BYTES, is_short) {
        ([_, ..], ..) => Err(Wrong("trailing garbage after address", rest)),
        ([], true, false) => Err(Wrong("address string too short", b"")),
        ([], false, true) => Err(Wrong("the :: must expand to at least one field of zeros", b"")),
        ([], true, true) | ([], false, false) => Ok(()),
    }
}

/// Returns how many digits the text begins with.
fn group(text: &[u8]) -> Result<usize, Wrong<'_>> {
    match text.iter().take_while(|byte| byte.is_ascii_hexdigit()).count() {
        0 => Err(Wrong("each colon-separated field must have at least one digit", text)),
        digits @ 1..=4 => Ok(digits),
        _ => Err(Wrong("each group must have 4 or less digits", text)),
    }
}

/// Checks an address of version 4 at the end of one of version 6.
fn embedded(text: &[u8], read: usize, is_short: bool) -> Result<(), Wrong<'_>> {
    if !is_short && read != 12 {
        let why = "embedded IPv4 address must replace the final 2 fields of the address";
        return Err(Wrong(why, text));
    }
    if read + 4 > BYTES {
        let why = "too many hex fields to fit an embedded IPv4 at the end of the address";
        return Err(Wrong(why, text));
    }
    four(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_words_are_those_of_go() {
        let rows: &[(&[u8], Result<Address, &str>)] = &[
            (b"1.2.3.4", Ok(Address::V4)),
            (b"::", Ok(Address::V6)),
            (b"::1%a", Ok(Address::V6)),
            (b"1:2:3:4:5:6:1.2.3.4", Ok(Address::V6)),
            (b"zz\xff", Err(r#"ParseAddr("zz\xff"): unable to parse IP"#)),
            (b"%a", Err(r#"ParseAddr("%a"): missing IPv6 address"#)),
            (
                b"1.2..4",
                Err(r#"ParseAddr("1.2..4"): IPv4 field must have at least one digit (at ".4")"#),
            ),
            (b"::1::", Err(r#"ParseAddr("::1::"): multiple :: in address (at ":")"#)),
        ];
        for (text, want) in rows {
            let got = parse(text);
            assert_eq!(got.as_ref().map_err(String::as_str), want.as_ref().map_err(|it| *it));
        }
    }
}
