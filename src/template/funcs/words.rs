//! Letter case and words.
//!
//! Source: sprig v3.3.0 functions.go; xstrings v1.5.0 convert.go; goutils v1.1.1 wordutils.go.

use super::super::value::Value;
use super::{Func, Ty, lossy};

pub(super) const TABLE: &[Func] = &[
    Func::new("upper", &[Ty::Str], |_, a| Ok(Value::str(map_chars(a.str(0), upper)))),
    Func::new("lower", &[Ty::Str], |_, a| Ok(Value::str(map_chars(a.str(0), lower)))),
    Func::new("title", &[Ty::Str], |_, a| Ok(Value::str(title(&lossy(a.str(0)))))),
    Func::new("untitle", &[Ty::Str], |_, a| Ok(Value::str(untitle(&lossy(a.str(0)))))),
    Func::new("swapcase", &[Ty::Str], |_, a| Ok(Value::str(swap_case(&lossy(a.str(0)))))),
    Func::new("nospace", &[Ty::Str], |_, a| {
        let kept = a.str(0).iter().map(|&b| char::from(b)).filter(|c| !c.is_whitespace());
        Ok(Value::str(kept.collect::<String>()))
    }),
    Func::new("initials", &[Ty::Str], |_, a| Ok(Value::str(initials(a.str(0))))),
    Func::new("camelcase", &[Ty::Str], |_, a| Ok(Value::str(pascal(&lossy(a.str(0)))))),
    Func::new("snakecase", &[Ty::Str], |_, a| Ok(Value::str(connected(&lossy(a.str(0)), '_')))),
    Func::new("kebabcase", &[Ty::Str], |_, a| Ok(Value::str(connected(&lossy(a.str(0)), '-')))),
    Func::new("shuffle", &[Ty::Str], |_, a| {
        use rand::seq::SliceRandom as _;
        let mut chars: Vec<char> = lossy(a.str(0)).chars().collect();
        chars.shuffle(&mut rand::rng());
        Ok(Value::str(chars.into_iter().collect::<String>()))
    }),
];

/// Go maps one rune to one rune: letters that need more stay.
fn upper(c: char) -> char {
    match c {
        'ı' => 'I',
        'ſ' => 'S',
        _ => single(c.to_uppercase(), c),
    }
}

fn lower(c: char) -> char {
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

fn is_connector(c: char) -> bool {
    c == '-' || c == '_' || c.is_whitespace()
}

/// Source: xstrings v1.5.0 ToPascalCase (leading and doubled connectors are kept).
fn pascal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < chars.len() && is_connector(chars[at]) {
        out.push(chars[at]);
        at += 1;
    }
    let mut fresh = true;
    let mut previous: Option<char> = None;
    while at < chars.len() {
        let c = chars[at];
        if is_connector(c) {
            let start = at;
            while at < chars.len() && is_connector(chars[at]) {
                at += 1;
            }
            let run = &chars[start..at];
            // One connector joins two words; the others of a run, and those at the end, stay.
            if at == chars.len() {
                out.extend(run);
            } else {
                out.extend(&run[..run.len() - 1]);
            }
            fresh = true;
            previous = None;
            continue;
        }
        if fresh {
            out.push(upper(c));
        } else if c.is_uppercase() {
            // Inside a word of capitals only the first stays one.
            let next_lower = chars.get(at + 1).is_some_and(|next| next.is_lowercase());
            let after_lower = previous.is_some_and(|p| p.is_lowercase() || p.is_ascii_digit());
            if after_lower || next_lower && previous.is_some_and(char::is_uppercase) {
                out.push(c);
            } else {
                out.push(lower(c));
            }
        } else {
            out.push(c);
        }
        fresh = false;
        previous = Some(c);
        at += 1;
    }
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Upper,
    Lower,
    Digit,
    Connector,
    Other,
}

fn sort(c: char) -> Sort {
    if c.is_uppercase() {
        Sort::Upper
    } else if is_connector(c) {
        Sort::Connector
    } else if c.is_numeric() {
        Sort::Digit
    } else if c.is_alphabetic() {
        Sort::Lower
    } else if c.is_ascii_punctuation() {
        Sort::Connector
    } else {
        Sort::Other
    }
}

/// Source: xstrings v1.5.0 ToSnakeCase, ToKebabCase: words joined by a connector, lower case.
fn connected(text: &str, connector: char) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let flush = |word: &mut String, words: &mut Vec<String>| {
        if !word.is_empty() {
            words.push(std::mem::take(word));
        }
    };
    for (at, &c) in chars.iter().enumerate() {
        let kind = sort(c);
        if kind == Sort::Connector {
            flush(&mut word, &mut words);
            continue;
        }
        let before = at.checked_sub(1).map(|index| sort(chars[index]));
        let next = chars.get(at + 1).map(|c| sort(*c));
        let breaks = match (before, kind) {
            (Some(Sort::Lower), Sort::Upper) => true,
            (Some(Sort::Digit), Sort::Upper) => true,
            (Some(Sort::Upper), Sort::Upper) => next == Some(Sort::Lower),
            (Some(Sort::Lower | Sort::Upper), Sort::Digit) => starts_number_word(&chars, at),
            _ => false,
        };
        if breaks {
            flush(&mut word, &mut words);
        }
        word.push(lower(c));
    }
    flush(&mut word, &mut words);
    words.join(&connector.to_string())
}

/// Digits begin a word of their own when more than the end of a word or a capital follows them.
fn starts_number_word(chars: &[char], at: usize) -> bool {
    let rest = &chars[at..];
    let digits = rest.iter().take_while(|c| sort(**c) == Sort::Digit).count();
    rest.get(digits).map(|c| sort(*c)) == Some(Sort::Lower)
}
