//! Literals of numbers and characters.

use super::super::ast::{Name, Number};
use super::super::lexer::TokenKind;
use super::super::strconv;

/// Reads a literal under every type that can hold it; where it stands is not known here.
///
/// Source: go text/template/parse/node.go (newNumber).
pub(super) fn parse_number(text: &[u8], kind: TokenKind) -> Result<Number, String> {
    if let Some(number) = short_number(text).filter(|_| kind == TokenKind::Number) {
        return Ok(number);
    }
    let literal = strconv::lossy(text).into_owned();
    let mut number = Number::default();
    if kind == TokenKind::CharConstant {
        let code = u32::from(strconv::unquote_char(text)?);
        number.int = Some(i64::from(code));
        number.uint = Some(u64::from(code));
        number.float = Some(f64::from(code));
        return Ok(number);
    }
    let illegal = || format!("illegal number syntax: {}", strconv::quote(text));
    if kind == TokenKind::Complex {
        number.complex = Some(parse_complex(&literal)?);
        return Ok(simplify(number));
    }
    if let Some(imaginary) = literal.strip_suffix('i').and_then(strconv::parse_float) {
        number.complex = Some((0.0, imaginary));
        return Ok(simplify(number));
    }
    number.uint = strconv::parse_uint(&literal).ok();
    number.int = strconv::parse_int(&literal).ok();
    if number.int == Some(0) {
        number.uint = Some(0);
    }
    match (number.int, number.uint) {
        (Some(int), _) => number.float = Some(int as f64),
        (None, Some(uint)) => number.float = Some(uint as f64),
        (None, None) => {
            let float = strconv::parse_float(&literal).ok_or_else(illegal)?;
            if !literal.contains(['.', 'e', 'E', 'p', 'P']) {
                return Err(format!("integer overflow: {}", strconv::quote(text)));
            }
            set_float(&mut number, float);
        }
    }
    Ok(number)
}

/// Reads a few decimal digits, which most numbers are.
fn short_number(text: &[u8]) -> Option<Number> {
    let plain = matches!(text, [b'0'] | [b'1'..=b'9', ..]) && text.len() <= 9;
    if !(plain && text.iter().all(u8::is_ascii_digit)) {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let value: u32 = text.parse().ok()?;
    Some(Number {
        text: Name::default(),
        int: Some(value.into()),
        uint: Some(value.into()),
        float: Some(value.into()),
        complex: None,
    })
}

fn set_float(number: &mut Number, float: f64) {
    number.float = Some(float);
    if float.fract() == 0.0 {
        number.int = (float.abs() < 9.3e18).then_some(float as i64);
        number.uint = (0.0..1.8e19).contains(&float).then_some(float as u64);
    }
}

fn simplify(mut number: Number) -> Number {
    if let Some((real, 0.0)) = number.complex {
        set_float(&mut number, real);
    }
    number
}

/// Reads `1+2i` as Go scans it, which is not how a template is scanned: an exponent may have a sign,
/// so what stands before the second one is looked for from the left.
///
/// Source: go fmt/scan.go (scanComplex).
fn parse_complex(text: &str) -> Result<(f64, f64), String> {
    let sign = float_length(text);
    let end = text.get(sign + 1..).map(|rest| sign + 1 + float_length(rest));
    let parts = end.filter(|&end| {
        matches!(text.as_bytes()[sign], b'+' | b'-') && text.as_bytes().get(end) == Some(&b'i')
    });
    let end = parts.ok_or("syntax error scanning complex number")?;
    let part = |text: &str| {
        strconv::parse_float(text).ok_or_else(|| {
            let why = strconv::float_complaint(text);
            format!("strconv.ParseFloat: parsing {}: {why}", strconv::quote(text.as_bytes()))
        })
    };
    Ok((part(&text[..sign])?, part(&text[sign..end])?))
}

/// The length of what may be a float, to one who looks for the beginnings of `NaN` and `Inf`, too.
///
/// Source: go fmt/scan.go (floatToken).
fn float_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let one =
        |at: usize, of: &[u8]| at + usize::from(bytes.get(at).is_some_and(|b| of.contains(b)));
    let run = |from: usize, fits: &dyn Fn(u8) -> bool| {
        from + bytes[from..].iter().take_while(|byte| fits(**byte)).count()
    };
    // As far as it goes; whether all of it is there.
    let word = |from: usize, letters: [&[u8]; 3]| {
        let end = letters.iter().fold((from, from), |(at, due), letter| {
            (if at == due { one(at, letter) } else { at }, due + 1)
        });
        (end.0, end.0 == end.1)
    };
    let (at, is_whole) = word(0, [b"nN", b"aA", b"nN"]);
    if is_whole {
        return at;
    }
    let (start, is_whole) = word(one(at, b"+-"), [b"iI", b"nN", b"fF"]);
    if is_whole {
        return start;
    }
    let is_hex = bytes[start..].starts_with(b"0x") || bytes[start..].starts_with(b"0X");
    let digit = |byte: u8| {
        byte == b'_' || if is_hex { byte.is_ascii_hexdigit() } else { byte.is_ascii_digit() }
    };
    let whole = run(start + if is_hex { 2 } else { 0 }, &digit);
    let point = one(whole, b".");
    let fraction = if point > whole { run(point, &digit) } else { whole };
    let exponent = one(fraction, if is_hex { b"pP" } else { b"eE" });
    if exponent == fraction {
        return fraction;
    }
    run(one(exponent, b"+-"), &|byte| byte == b'_' || byte.is_ascii_digit())
}
