//! JSON, YAML, base64, base32, hashes.
//!
//! Source: helm v4.3.1 pkg/engine/funcs.go; sprig v3.3.0 defaults.go, crypto.go.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

use super::super::convert::{Form, NotPlain, from_plain, to_json, to_plain, to_plain_as, weight};
use super::super::eval::Machine;
use super::super::value::{ListKind, Map, Value, text};
use super::{Args, Fail, Func, Outcome, Ty, lossy};
use crate::base::digest::hex;
use crate::yaml::{self, Numbers};

/// As many bytes are hashed in the time of a step.
const HASHED_PER_STEP: usize = 8;
const A: Ty = Ty::Any;
const S: Ty = Ty::Str;

pub(super) const TABLE: &[Func] = &[
    Func::new("toYaml", &[A], |m, a| or_empty(to_yaml(m, a.any(0)))),
    Func::new("mustToYaml", &[A], |m, a| to_yaml(m, a.any(0))),
    Func::new("toYamlPretty", &[A], |m, a| {
        let text = yaml::print_pretty(&to_plain_as(m, a.any(0), Form::Yaml)?);
        Ok(Value::str(text.strip_suffix('\n').unwrap_or(&text)))
    }),
    Func::new("fromYaml", &[S], |m, a| {
        m.spend(a.str(0).len())?;
        let plain = yaml::parse_map(&lossy(a.str(0)), Numbers::Float);
        map_or_error(m, plain.map(yaml::Value::Object))
    }),
    Func::new("fromYamlArray", &[S], |m, a| {
        m.spend(a.str(0).len())?;
        let plain = yaml::parse(&lossy(a.str(0)), Numbers::Float);
        list_or_error(m, plain, "error unmarshaling JSON: while decoding JSON: ")
    }),
    Func::new("toJson", &[A], |m, a| or_empty(json(m, a.any(0), yaml::json::to_string))),
    Func::new("mustToJson", &[A], |m, a| json(m, a.any(0), yaml::json::to_string)),
    Func::new("toPrettyJson", &[A], |m, a| {
        or_empty(json(m, a.any(0), yaml::json::to_string_pretty))
    }),
    Func::new("mustToPrettyJson", &[A], |m, a| json(m, a.any(0), yaml::json::to_string_pretty)),
    Func::new("toRawJson", &[A], |m, a| json(m, a.any(0), yaml::json::to_string_raw)),
    Func::new("mustToRawJson", &[A], |m, a| json(m, a.any(0), yaml::json::to_string_raw)),
    Func::new("fromJson", &[S], |m, a| {
        m.spend(a.str(0).len())?;
        match yaml::json::parse_partly(a.str(0), Numbers::Float) {
            Ok((yaml::Value::Null, None)) => Ok(Value::nil_map()),
            // It was a number, which is no map, however large it is.
            Ok((yaml::Value::Null, Some(_))) => map_or_error(m, Ok(0.into())),
            Ok((plain @ yaml::Value::Object(_), Some(lost))) => {
                let map = made(m, &plain)?;
                if let Value::Map(_, map) = &map {
                    map.set(text("Error"), Value::str(lost.to_string()));
                }
                Ok(map)
            }
            plain => map_or_error(m, plain.map(|(plain, _)| plain)),
        }
    }),
    Func::new("mustFromJson", &[S], |m, a| {
        m.spend(a.str(0).len())?;
        let plain = yaml::json::parse_bytes(a.str(0), Numbers::Float);
        made(m, &plain.map_err(|error| error.to_string())?)
    }),
    Func::new("fromJsonArray", &[S], |m, a| {
        m.spend(a.str(0).len())?;
        match yaml::json::parse_partly(a.str(0), Numbers::Float) {
            Ok((yaml::Value::Null, None)) => Ok(Value::nil_list(ListKind::Any)),
            Ok((yaml::Value::Null, Some(_))) => list_or_error(m, Ok(0.into()), ""),
            Ok((yaml::Value::Array(_), Some(lost))) => list_or_error(m, Err(lost), ""),
            plain => list_or_error(m, plain.map(|(plain, _)| plain), ""),
        }
    }),
    Func::new("b64enc", &[S], |_, a| Ok(Value::str(STANDARD.encode(a.str(0))))),
    Func::new("b64dec", &[S], |_, a| Ok(Value::str(decode_base64(a.str(0))))),
    Func::new("b32enc", &[S], |_, a| Ok(Value::str(encode_base32(a.str(0))))),
    Func::new("b32dec", &[S], |_, a| Ok(Value::str(decode_base32(a.str(0))))),
    Func::new("sha1sum", &[S], |m, a| Ok(Value::str(hex(&Sha1::digest(hashed(m, a)?))))),
    Func::new("sha256sum", &[S], |m, a| Ok(Value::str(hex(&Sha256::digest(hashed(m, a)?))))),
    Func::new("sha512sum", &[S], |m, a| Ok(Value::str(hex(&Sha512::digest(hashed(m, a)?))))),
    Func::new("adler32sum", &[S], |m, a| Ok(Value::str(adler32(hashed(m, a)?).to_string()))),
];

/// Returns the text to be hashed, after its cost was counted.
fn hashed<'a>(machine: &mut Machine<'_>, args: Args<'a>) -> Result<&'a [u8], Fail> {
    machine.spend(args.str(0).len() / HASHED_PER_STEP)?;
    Ok(args.str(0))
}

/// What Helm does with what cannot be written; a bound that is reached is told all the same.
fn or_empty(outcome: Outcome) -> Outcome {
    match outcome {
        Err(fail) if !fail.is_bound() => Ok(Value::str("")),
        outcome => outcome,
    }
}

/// Makes a value of plain data, and counts what it takes.
fn made(machine: &mut Machine<'_>, plain: &yaml::Value) -> Outcome {
    machine.take(weight(plain))?;
    Ok(from_plain(plain))
}

fn to_yaml(machine: &mut Machine<'_>, value: &Value) -> Outcome {
    let plain = to_plain(machine, value).map_err(|error| match error {
        NotPlain::Json(text) => NotPlain::Json(format!("error marshaling into JSON: {text}")),
        bound => bound,
    })?;
    let text = yaml::print(&plain).map_err(|error| error.to_string())?;
    Ok(Value::str(text.strip_suffix('\n').unwrap_or(&text)))
}

fn json(machine: &mut Machine<'_>, value: &Value, print: fn(&yaml::Value) -> String) -> Outcome {
    Ok(Value::str(to_json(machine, value, print)?))
}

fn error_map(error: &yaml::Error) -> Value {
    let map = Map::default();
    map.set(text("Error"), Value::str(error.to_string()));
    Value::map(map)
}

fn go_word(plain: &yaml::Value) -> &'static str {
    match plain {
        yaml::Value::Null => "null",
        yaml::Value::Bool(_) => "bool",
        yaml::Value::Number(_) => "number",
        yaml::Value::String(_) => "string",
        yaml::Value::Array(_) => "array",
        yaml::Value::Object(_) => "object",
    }
}

fn map_or_error(machine: &mut Machine<'_>, plain: Result<yaml::Value, yaml::Error>) -> Outcome {
    Ok(match plain {
        Ok(yaml::Value::Null) => Value::map(Map::default()),
        Ok(plain @ yaml::Value::Object(_)) => made(machine, &plain)?,
        Ok(other) => {
            let map = Map::default();
            let word = go_word(&other);
            map.set(
                text("Error"),
                Value::str(format!(
                    "json: cannot unmarshal {word} into Go value of type map[string]interface {{}}"
                )),
            );
            Value::map(map)
        }
        Err(error) => error_map(&error),
    })
}

/// `while_doing` comes before the words of Go's JSON decoder.
fn list_or_error(
    machine: &mut Machine<'_>,
    plain: Result<yaml::Value, yaml::Error>,
    while_doing: &str,
) -> Outcome {
    Ok(match plain {
        Ok(yaml::Value::Null) => Value::list(Vec::new()),
        Ok(plain @ yaml::Value::Array(_)) => made(machine, &plain)?,
        Ok(other) => {
            let word = go_word(&other);
            Value::list(vec![Value::str(format!(
                "{while_doing}json: cannot unmarshal {word} into Go value of type []interface {{}}"
            ))])
        }
        Err(error) => Value::list(vec![Value::str(error.to_string())]),
    })
}

/// The bytes, or the text of Go's error.
pub(super) fn decode_base64(value: &[u8]) -> Vec<u8> {
    try_base64(value).unwrap_or_else(|at| illegal("base64", at))
}

/// The bytes, or where the text is wrong. Line breaks are passed over, and bits that are left over.
///
/// Source: go encoding/base64/base64.go (decodeQuantum).
pub(super) fn try_base64(value: &[u8]) -> Result<Vec<u8>, usize> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let is_end = |byte: u8| matches!(byte, b'\r' | b'\n');
    let skip =
        |from: usize| (from..value.len()).find(|at| !is_end(value[*at])).unwrap_or(value.len());
    let (mut out, mut number, mut digits, mut at) = (Vec::new(), 0_u32, 0, 0);
    while at < value.len() {
        let byte = value[at];
        if let Some(digit) = digit(byte) {
            (number, digits) = (number << 6 | u32::from(digit), digits + 1);
            if digits == 4 {
                out.extend_from_slice(&number.to_be_bytes()[1..]);
                (number, digits) = (0, 0);
            }
            at += 1;
        } else if is_end(byte) {
            at += 1;
        } else if byte != b'=' || digits < 2 {
            return Err(at);
        } else {
            at += 1;
            if digits == 2 {
                at = skip(at);
                match value.get(at) {
                    None => return Err(value.len()),
                    Some(b'=') => at += 1,
                    Some(_) => return Err(at - 1),
                }
            }
            at = skip(at);
            if at < value.len() {
                return Err(at);
            }
            number <<= 6 * (4 - digits);
            out.extend_from_slice(&number.to_be_bytes()[1..digits]);
            return Ok(out);
        }
    }
    if digits > 0 { Err(value.len() - digits) } else { Ok(out) }
}

fn illegal(name: &str, at: usize) -> Vec<u8> {
    format!("illegal {name} data at input byte {at}").into_bytes()
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn encode_base32(value: &[u8]) -> String {
    let mut out = String::with_capacity(value.len().div_ceil(5) * 8);
    for chunk in value.chunks(5) {
        let mut bits = [0_u8; 5];
        bits[..chunk.len()].copy_from_slice(chunk);
        let number = bits.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let digits = (chunk.len() * 8).div_ceil(5);
        for index in 0..8 {
            let digit = usize::try_from(number >> (35 - 5 * index) & 31).unwrap_or(0);
            out.push(if index < digits { char::from(BASE32[digit]) } else { '=' });
        }
    }
    out
}

/// The bytes, or the text of Go's error.
fn decode_base32(value: &[u8]) -> Vec<u8> {
    let packed: Vec<u8> = value.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
    try_base32(&packed).unwrap_or_else(|at| illegal("base32", at))
}

/// Source: go encoding/base32/base32.go (decode).
fn try_base32(packed: &[u8]) -> Result<Vec<u8>, usize> {
    let mut out = Vec::new();
    for (index, chunk) in packed.chunks(8).enumerate() {
        let start = index * 8;
        let (mut number, mut digits) = (0_u64, 0);
        for (at, byte) in chunk.iter().enumerate() {
            let known = BASE32.iter().position(|known| known == byte);
            match known.and_then(|digit| u64::try_from(digit).ok()) {
                Some(digit) => (number, digits) = (number << 5 | digit, digits + 1),
                None if *byte == b'=' && at >= 2 => {
                    // The rest of the eight must be padding, and only some lengths exist.
                    let padding = chunk.get(at..8).unwrap_or(&chunk[at..]);
                    if let Some(wrong) = padding.iter().position(|byte| *byte != b'=') {
                        return Err(start + at + wrong - 1);
                    }
                    if chunk.len() < 8 {
                        return Err(start + chunk.len());
                    }
                    if matches!(at, 3 | 6) {
                        return Err(start + at);
                    }
                    break;
                }
                None => return Err(start + at),
            }
        }
        if chunk.len() < 8 && digits == chunk.len() {
            return Err(start);
        }
        let bytes = (number << (5 * (8 - digits))).to_be_bytes();
        out.extend_from_slice(&bytes[3..3 + digits * 5 / 8]);
        if digits < 8 {
            return Ok(out);
        }
    }
    Ok(out)
}

fn adler32(value: &[u8]) -> u32 {
    let (a, b) = value.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (a + b) % 65_521)
    });
    b << 16 | a
}
