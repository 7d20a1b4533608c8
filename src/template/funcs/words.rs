//! Letter case and words.
//!
//! Source: sprig v3.3.0 functions.go; goutils v1.1.1 wordutils.go.

use super::super::lexer::is_alphanumeric;
use super::super::value::Value;
use super::cases::{connected, pascal};
use super::letters::{self, lower, upper};
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

fn map_chars(value: &[u8], change: fn(char) -> char) -> Vec<u8> {
    if value.is_ascii() {
        return value.iter().map(|&b| change(char::from(b)) as u32 as u8).collect();
    }
    lossy(value).chars().map(change).collect::<String>().into_bytes()
}

/// Whether a character separates words for `strings.Title`.
fn separates(c: char) -> bool {
    !is_alphanumeric(c) && (c.is_ascii() || c.is_whitespace())
}

fn title(text: &str) -> String {
    let mut before = ' ';
    text.chars()
        .map(|c| {
            let changed = if separates(before) { letters::title(c) } else { c };
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
    let mut begins = true;
    let swapped = text.chars().map(|c| {
        if letters::is_capital(c) || letters::is_title(c) {
            begins = false;
            lower(c)
        } else if letters::is_small(c) {
            if std::mem::take(&mut begins) { letters::title(c) } else { upper(c) }
        } else {
            begins = c.is_whitespace();
            c
        }
    });
    swapped.collect()
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
