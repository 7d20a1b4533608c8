//! `camelcase`, `snakecase` and `kebabcase`: what a word is, and how words are joined.
//!
//! Source: xstrings v1.5.0 convert.go, count.go.

use std::sync::LazyLock;

use regex::Regex;

use super::super::marked;
use super::letters::{self, is_capital, lower, upper};

/// What a run of characters is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    None,
    Number,
    Capitals,
    Letters,
    Connector,
    Punctuation,
    Other,
}

fn is_connector(c: char) -> bool {
    c == '-' || c == '_' || c.is_whitespace()
}

/// Unicode's category P, which ASCII has fewer of than it seems: `+` and `$` are symbols.
fn is_punctuation(c: char) -> bool {
    static CLASS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\p{P}$").ok());
    if c.is_ascii() {
        return c.is_ascii_punctuation() && !"$+<=>^`|~".contains(c);
    }
    CLASS.as_ref().is_some_and(|class| class.is_match(c.encode_utf8(&mut [0; 4])))
}

/// A letter of a script that has words; Chinese characters are none.
fn is_letter(c: char) -> bool {
    let chinese = matches!(c, '\u{3400}'..='\u{4d85}' | '\u{4e00}'..='\u{9fcc}')
        || matches!(c, '\u{20000}'..='\u{2b81d}');
    letters::is_letter(c) && !chinese
}

/// Whether it is what Go reads of bytes that are no text, or the character that it shows for them.
fn is_error(c: char) -> bool {
    c == char::REPLACEMENT_CHARACTER || marked::lost(c).is_some()
}

/// Returns the first character that is no error, and where it ends: the errors before it are its
/// own. Behind errors alone that is the character before them.
fn next_valid(text: &str, before: Option<char>) -> (Option<char>, usize) {
    let valid = text.char_indices().find(|(_, c)| !is_error(*c));
    valid.map_or((before, text.len()), |(at, c)| (Some(c), at + c.len_utf8()))
}

/// Returns where a run ends that has come this far, with this character as its last.
fn run(text: &str, (mut end, mut last): (usize, char), fits: impl Fn(char) -> bool) -> usize {
    while end < text.len() {
        let (Some(next), size) = next_valid(&text[end..], Some(last)) else { break };
        if !fits(next) {
            break;
        }
        end += size;
        last = next;
    }
    end
}

/// Takes the first run of a text off it.
fn next_word(text: &str) -> (Word, &str, &str) {
    let (Some(first), size) = next_valid(text, None) else { return (Word::None, text, "") };
    let start = (size, first);
    let (word, end) = if is_connector(first) {
        (Word::Connector, run(text, start, is_connector))
    } else if is_punctuation(first) {
        (Word::Punctuation, run(text, start, is_punctuation))
    } else if is_capital(first) {
        (Word::Capitals, capitals(text, start))
    } else if is_letter(first) {
        (Word::Letters, run(text, start, is_small))
    } else if first.is_numeric() {
        (Word::Number, run(text, start, char::is_numeric))
    } else {
        let other =
            |c: char| !is_connector(c) && !is_letter(c) && !c.is_numeric() && !is_punctuation(c);
        (Word::Other, run(text, start, other))
    };
    (word, &text[..end], &text[end..])
}

fn is_small(c: char) -> bool {
    is_letter(c) && !is_capital(c)
}

/// Where a word ends that begins with a capital: `HTTP` of `HTTPStatus`, `Status` of `Status2`.
fn capitals(text: &str, (mut end, mut last): (usize, char)) -> usize {
    // The size of the last capital, once there are several.
    let mut several = None;
    while end < text.len() {
        let (Some(next), size) = next_valid(&text[end..], Some(last)) else { break };
        if !is_capital(next) {
            return match several {
                Some(size) if is_letter(next) => end - size,
                None if is_letter(next) => run(text, (end, last), is_small),
                _ => end,
            };
        }
        several = Some(size);
        end += size;
        last = next;
    }
    end
}

fn push(out: &mut String, kind: Word, word: &str, connector: char) {
    if !matches!(kind, Word::Capitals | Word::Connector) {
        out.push_str(word);
        return;
    }
    out.extend(word.chars().map(|c| match c {
        c if is_error(c) => char::REPLACEMENT_CHARACTER,
        c if is_connector(c) => connector,
        c if is_capital(c) => lower(c),
        c => c,
    }));
}

/// Joins the words of a text, in small letters. Punctuation stays as it is, and so do bytes that are
/// no text (as [`marked::lossless`] marks them) but beside capitals and connectors.
pub(super) fn connected(text: &str, connector: char) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let (mut kind, mut word, mut rest) = next_word(text);
    while !rest.is_empty() {
        if kind != Word::Connector {
            push(&mut out, kind, word, connector);
        }
        let (before, last) = (kind, word);
        (kind, word, rest) = next_word(rest);
        let joins = match before {
            Word::Connector => {
                push(&mut out, before, last, connector);
                false
            }
            Word::Punctuation => false,
            Word::Number => {
                while matches!(kind, Word::Letters | Word::Number) {
                    push(&mut out, kind, word, connector);
                    (kind, word, rest) = next_word(rest);
                }
                kind != Word::None
            }
            _ if kind != Word::Number => true,
            // A number at the end belongs to the word before it.
            _ if rest.is_empty() => false,
            _ => {
                let number = word;
                (kind, word, rest) = next_word(rest);
                if kind == Word::Letters {
                    out.push(connector);
                    push(&mut out, Word::Number, number, connector);
                    while matches!(kind, Word::Letters | Word::Number) {
                        push(&mut out, kind, word, connector);
                        (kind, word, rest) = next_word(rest);
                    }
                    kind != Word::None
                } else {
                    push(&mut out, Word::Number, number, connector);
                    true
                }
            }
        };
        if joins && !matches!(kind, Word::Connector | Word::Punctuation) {
            out.push(connector);
        }
    }
    push(&mut out, kind, word, connector);
    out
}

/// Joins words that each begin with a capital. Leading connectors stay, and all but one of several.
pub(super) fn pascal(text: &str) -> String {
    let start = text.find(|c| !is_connector(c)).unwrap_or(text.len());
    let mut out = text[..start].to_owned();
    let mut chars = text[start..].chars();
    let Some(first) = chars.next() else {
        // Of connectors alone the last comes twice.
        out.extend(text.chars().next_back());
        return out;
    };
    let mut held = upper(first);
    // Of a word in capitals only the first stays one.
    let mut in_capitals = is_capital(first);
    for c in chars {
        let before = held;
        held = c;
        if is_connector(c) && is_connector(before) {
            out.push(before);
        } else if is_connector(before) {
            in_capitals = is_capital(c);
            held = upper(c);
        } else {
            if in_capitals && is_capital(c) {
                held = lower(c);
            } else {
                in_capitals = false;
            }
            out.push(before);
        }
    }
    out.push(held);
    out
}
