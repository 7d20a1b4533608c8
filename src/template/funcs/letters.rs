//! Letters as Go's `unicode` package tells them apart, and their other cases.
//!
//! Rust counts more for a capital or a small letter: `Ⅷ` and `ª` are none to Go, which goes by the
//! category alone. Go also maps one character to one.

use std::sync::LazyLock;

use regex::Regex;

type Class = LazyLock<Option<Regex>>;

fn holds(class: &Class, c: char) -> bool {
    class.as_ref().is_some_and(|class| class.is_match(c.encode_utf8(&mut [0; 4])))
}

/// Whether it is a letter, which marks and numerals are not.
pub(super) fn is_letter(c: char) -> bool {
    static CLASS: Class = LazyLock::new(|| Regex::new(r"^\p{L}$").ok());
    if c.is_ascii() { c.is_ascii_alphabetic() } else { holds(&CLASS, c) }
}

pub(super) fn is_capital(c: char) -> bool {
    static CLASS: Class = LazyLock::new(|| Regex::new(r"^\p{Lu}$").ok());
    if c.is_ascii() { c.is_ascii_uppercase() } else { holds(&CLASS, c) }
}

pub(super) fn is_small(c: char) -> bool {
    static CLASS: Class = LazyLock::new(|| Regex::new(r"^\p{Ll}$").ok());
    if c.is_ascii() { c.is_ascii_lowercase() } else { holds(&CLASS, c) }
}

/// Whether it is two letters in one, the first a capital.
pub(super) fn is_title(c: char) -> bool {
    static CLASS: Class = LazyLock::new(|| Regex::new(r"^\p{Lt}$").ok());
    !c.is_ascii() && holds(&CLASS, c)
}

/// Letters that need more than one character for a capital stay, but where Greek has a character
/// for the capital with its iota beside it.
pub(super) fn upper(c: char) -> char {
    match c {
        'ı' => 'I',
        'ſ' => 'S',
        // Their capitals are younger than Go's tables.
        'ƛ' | 'ɤ' => c,
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => behind(c, 8),
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => behind(c, 9),
        _ => single(c.to_uppercase(), c),
    }
}

pub(super) fn lower(c: char) -> char {
    match c {
        'İ' => 'i',
        _ => single(c.to_lowercase(), c),
    }
}

/// The letter that a word in a title begins with.
pub(super) fn title(c: char) -> char {
    match c {
        'Ǆ'..='ǆ' => 'ǅ',
        'Ǉ'..='ǉ' => 'ǈ',
        'Ǌ'..='ǌ' => 'ǋ',
        'Ǳ'..='ǳ' => 'ǲ',
        // Titles have none of the capitals of Georgian.
        '\u{10d0}'..='\u{10ff}' => c,
        _ => upper(c),
    }
}

fn behind(c: char, distance: u32) -> char {
    char::from_u32(u32::from(c) + distance).unwrap_or(c)
}

fn single(mut mapped: impl Iterator<Item = char>, c: char) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}
