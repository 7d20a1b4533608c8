//! Letter case and words.
//!
//! Source: sprig v3.3.0 functions.go; goutils v1.1.1 wordutils.go.

use super::super::value::Value;
use super::cases::{connected, pascal};
use super::strings::lossless;
use super::{Func, Ty, lossy};

pub(super) const TABLE: &[Func] = &[
    Func::new("upper", &[Ty::Str], |_, a| Ok(Value::str(map_chars(a.str(0), upper)))),
    Func::new("lower", &[Ty::Str], |_, a| Ok(Value::str(map_chars(a.str(0), lower)))),
    Func::new("title", &[Ty::Str], |_, a| Ok(Value::str(title(&lossy(a.str(0)))))),
    Func::new("untitle", &[Ty::Str], |_, a| Ok(Value::str(untitle(&lossy(a.str(0)))))),
    Func::new("swapcase", &[Ty::Str], |_, a| Ok(Value::str(swap_case(&lossy(a.str(0)))))),
    Func::new("nospace", &[Ty::Str], |_, a| {
        let text = a.str(0);
        // Upstream takes bytes for characters, but gives a text back that has no space.
        let kept = text.iter().map(|&b| char::from(b)).filter(|c| !c.is_whitespace());
        if kept.clone().count() == text.len() {
            return Ok(a.any(0).clone());
        }
        Ok(Value::str(kept.collect::<String>()))
    }),
    Func::new("initials", &[Ty::Str], |_, a| Ok(Value::str(initials(a.str(0))))),
    Func::new("camelcase", &[Ty::Str], |_, a| Ok(Value::str(pascal(&lossy(a.str(0)))))),
    Func::new("snakecase", &[Ty::Str], |_, a| {
        Ok(Value::str(lossless(a.str(0), |text| connected(text, '_'))))
    }),
    Func::new("kebabcase", &[Ty::Str], |_, a| {
        Ok(Value::str(lossless(a.str(0), |text| connected(text, '-'))))
    }),
    Func::varying("shuffle", &[Ty::Str], |m, a| {
        use rand::seq::SliceRandom as _;
        m.spend(a.str(0).len())?;
        let mut chars: Vec<char> = lossy(a.str(0)).chars().collect();
        chars.shuffle(&mut rand::rng());
        Ok(Value::str(chars.into_iter().collect::<String>()))
    }),
];

/// Go maps one rune to one rune: letters that need more stay.
pub(super) fn upper(c: char) -> char {
    match c {
        'ı' => 'I',
        'ſ' => 'S',
        _ => single(c.to_uppercase(), c),
    }
}

pub(super) fn lower(c: char) -> char {
    match c {
        'İ' => 'i',
        _ => single(c.to_lowercase(), c),
    }
}

fn single(mut mapped: impl Iterator<Item = char>, c: char) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

fn map_chars(value: &[u8], change: fn(char) -> char) -> Vec<u8> {
    if value.is_ascii() {
        return value.iter().map(|&b| change(char::from(b)) as u32 as u8).collect();
    }
    lossy(value).chars().map(change).collect::<String>().into_bytes()
}

/// Whether a character separates words for `strings.Title`.
fn separates(c: char) -> bool {
    if c.is_ascii() {
        !(c.is_ascii_alphanumeric() || c == '_')
    } else {
        !(c.is_alphanumeric()) && c.is_whitespace()
    }
}

fn title(text: &str) -> String {
    let mut before = ' ';
    text.chars()
        .map(|c| {
            let changed = if separates(before) { upper(c) } else { c };
            before = c;
            changed
        })
        .collect()
}

fn untitle(text: &str) -> String {
    let mut before = ' ';
    text.chars()
        .map(|c| {
            let changed = if before.is_whitespace() { lower(c) } else { c };
            before = c;
            changed
        })
        .collect()
}

fn swap_case(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_uppercase() {
                lower(c)
            } else if c.is_lowercase() {
                upper(c)
            } else {
                c
            }
        })
        .collect()
}

fn initials(value: &[u8]) -> String {
    let mut before = ' ';
    let mut out = String::new();
    for c in value.iter().map(|&b| char::from(b)) {
        if before.is_whitespace() && !c.is_whitespace() {
            out.push(c);
        }
        before = c;
    }
    out
}
