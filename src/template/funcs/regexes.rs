//! Regular expressions: Go's RE2 syntax on the `regex` crate.
//!
//! Source: sprig v3.3.0 regex.go; go regexp/syntax (error texts).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use regex::bytes::{Regex, RegexBuilder};

use super::super::eval::Machine;
use super::super::value::{ListKind, Value};
use super::{Args, Fail, Func, Outcome, Ty, lossy};

/// Most expressions that are kept compiled.
const MAX_KEPT: usize = 1_000;
/// Largest compiled expression.
const MAX_BYTES: usize = 16 << 20;

const S: Ty = Ty::Str;

pub(super) const TABLE: &[Func] = &[
    Func::new("regexMatch", &[S, S], |m, a| {
        Ok(Value::Bool(compiled(m, a.str(0)).is_ok_and(|regex| regex.is_match(a.str(1)))))
    }),
    Func::new("mustRegexMatch", &[S, S], |m, a| {
        Ok(Value::Bool(compiled(m, a.str(0))?.is_match(a.str(1))))
    }),
    Func::new("regexFind", &[S, S], |m, a| find(m, a, true)),
    Func::new("mustRegexFind", &[S, S], |m, a| find(m, a, false)),
    Func::new("regexFindAll", &[S, S, Ty::Int], |m, a| find_all(m, a, true)),
    Func::new("mustRegexFindAll", &[S, S, Ty::Int], |m, a| find_all(m, a, false)),
    Func::new("regexReplaceAll", &[S, S, S], |m, a| replace(m, a, true)),
    Func::new("mustRegexReplaceAll", &[S, S, S], |m, a| replace(m, a, false)),
    Func::new("regexReplaceAllLiteral", &[S, S, S], |m, a| replace_literal(m, a, true)),
    Func::new("mustRegexReplaceAllLiteral", &[S, S, S], |m, a| replace_literal(m, a, false)),
    Func::new("regexSplit", &[S, S, Ty::Int], |m, a| split(m, a, true)),
    Func::new("mustRegexSplit", &[S, S, Ty::Int], |m, a| split(m, a, false)),
    Func::new("regexQuoteMeta", &[S], |_, a| Ok(Value::str(quote_meta(a.str(0))))),
];

/// Compiled expressions by their text.
#[derive(Debug, Default)]
pub(in super::super) struct RegexCache(Mutex<HashMap<Vec<u8>, Arc<Regex>>>);

fn compiled(machine: &Machine<'_>, text: &[u8]) -> Result<Arc<Regex>, Fail> {
    let lock = || machine.program.regexes.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(regex) = lock().get(text) {
        return Ok(Arc::clone(regex));
    }
    if std::str::from_utf8(text).is_err() {
        let text = lossy(text);
        return Err(format!("error parsing regexp: invalid UTF-8: `{text}`").into());
    }
    let regex = Arc::new(go_regex(&lossy(text)).map_err(Fail::Text)?);
    let mut known = lock();
    if known.len() >= MAX_KEPT {
        known.clear();
    }
    known.insert(text.to_vec(), Arc::clone(&regex));
    Ok(regex)
}

/// Compiles an expression of Go's syntax.
///
/// # Errors
/// Go's text: `error parsing regexp: …`.
pub fn go_regex(pattern: &str) -> Result<Regex, String> {
    if let Some(escape) = unknown_escape(pattern) {
        return Err(format!("error parsing regexp: invalid escape sequence: `\\{escape}`"));
    }
    let builder = |pattern: &str| RegexBuilder::new(pattern).size_limit(MAX_BYTES).build();
    builder(&translate(pattern))
        .map_err(|_| format!("error parsing regexp: {}", complaint(pattern)))
}

/// The first escape that Go does not have, such as `\u`.
fn unknown_escape(pattern: &str) -> Option<char> {
    let mut rest = pattern;
    while let Some(at) = rest.find('\\') {
        let mut behind = rest[at + 1..].chars();
        let escape = behind.next()?;
        rest = behind.as_str();
        let octal = || rest.starts_with(|c| matches!(c, '0'..='7'));
        match escape {
            'Q' => rest = rest.split_once("\\E").map_or("", |(_, rest)| rest),
            '1'..='7' if octal() => {}
            c if "AbBCdDsSwWpPzafnrtvx0".contains(c) => {}
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => {}
            c => return Some(c),
        }
    }
    None
}

/// Go's perl classes and word boundaries are ASCII; `\z` is the same; `\Q…\E` is a literal.
#[expect(clippy::too_many_lines, reason = "one arm for each escape")]
fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut chars = pattern.chars();
    let mut in_class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('Q') => {
                    let rest = chars.as_str();
                    let end = rest.find("\\E").unwrap_or(rest.len());
                    out.push_str(&regex::escape(&rest[..end]));
                    chars = rest[end..].strip_prefix("\\E").unwrap_or("").chars();
                }
                Some('d') => out.push_str(if in_class { "0-9" } else { "[0-9]" }),
                Some('D') => out.push_str("[^0-9]"),
                Some('w') => out.push_str(if in_class { "0-9A-Za-z_" } else { "[0-9A-Za-z_]" }),
                Some('W') => out.push_str("[^0-9A-Za-z_]"),
                Some('s') => {
                    out.push_str(if in_class { "\\t\\n\\f\\r " } else { "[\\t\\n\\f\\r ]" });
                }
                Some('S') => out.push_str("[^\\t\\n\\f\\r ]"),
                Some('b') => out.push_str("(?-u:\\b)"),
                Some('B') => out.push_str("(?-u:\\B)"),
                Some('C') => out.push_str("(?s-u:.)"),
                Some(other) => {
                    out.push('\\');
                    out.push(other);
                }
                None => out.push('\\'),
            },
            '[' if in_class && !chars.as_str().starts_with(':') => out.push_str("\\["),
            '[' => {
                if in_class {
                    // `[:alpha:]` inside a class is the same for both.
                    let rest = chars.as_str();
                    let end = rest.find(":]").map_or(rest.len(), |at| at + 2);
                    out.push('[');
                    out.push_str(&rest[..end]);
                    chars = rest[end..].chars();
                    continue;
                }
                in_class = true;
                out.push('[');
                let mut rest = chars.as_str();
                if let Some(after) = rest.strip_prefix('^') {
                    out.push('^');
                    rest = after;
                }
                if let Some(after) = rest.strip_prefix(']') {
                    out.push_str("\\]");
                    rest = after;
                }
                chars = rest.chars();
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
            }
            '{' if !in_class && !is_count(chars.as_str()) => out.push_str("\\{"),
            c => out.push(c),
        }
    }
    out
}

/// Whether what follows a brace makes it a repetition, such as `2,3}`; to Go it is a text otherwise.
fn is_count(rest: &str) -> bool {
    let Some((inside, _)) = rest.split_once('}') else { return false };
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match inside.split_once(',') {
        Some((least, most)) => number(least) && (most.is_empty() || number(most)),
        None => number(inside),
    }
}

/// Go's words for the commonest mistakes.
fn complaint(pattern: &str) -> String {
    let mut depth = 0_i32;
    let mut chars = pattern.char_indices();
    let mut class: Option<usize> = None;
    while let Some((at, c)) = chars.next() {
        match (c, class) {
            ('\\', _) if chars.next().is_none() => {
                return "trailing backslash at end of expression: ``".to_owned();
            }
            ('[', None) => class = Some(at),
            (']', Some(start)) if at > start + 1 => class = None,
            ('(', None) => depth += 1,
            (')', None) if depth == 0 => return format!("unexpected ): `{pattern}`"),
            (')', None) => depth -= 1,
            ('*' | '+' | '?', None) => {
                let before = pattern[..at].chars().next_back();
                if before.is_none_or(|before| matches!(before, '(' | '|')) {
                    return format!("missing argument to repetition operator: `{c}`");
                }
            }
            _ => {}
        }
    }
    if let Some(start) = class {
        return format!("missing closing ]: `{}`", &pattern[start..]);
    }
    if depth > 0 {
        return format!("missing closing ): `{pattern}`");
    }
    format!("invalid or unsupported Perl syntax: `{pattern}`")
}

/// The functions without `must` panic, which Go words differently.
fn regex_of(machine: &Machine<'_>, text: &[u8], panics: bool) -> Result<Arc<Regex>, Fail> {
    compiled(machine, text).map_err(|fail| match fail {
        Fail::Text(message) if panics => {
            Fail::Text(format!("regexp: Compile(`{}`): {message}", lossy(text)))
        }
        other => other,
    })
}

fn find(machine: &mut Machine<'_>, args: Args<'_>, panics: bool) -> Outcome {
    let regex = regex_of(machine, args.str(0), panics)?;
    Ok(Value::str(regex.find(args.str(1)).map_or(&[][..], |found| found.as_bytes())))
}

/// Go drops an empty match right behind the previous one.
fn matches(regex: &Regex, value: &[u8], limit: i64) -> Vec<(usize, usize)> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut found: Vec<(usize, usize)> = Vec::new();
    for one in regex.find_iter(value) {
        if found.len() >= limit {
            break;
        }
        let behind = found.last().is_some_and(|last| one.is_empty() && last.1 == one.start());
        if !behind {
            found.push((one.start(), one.end()));
        }
    }
    found
}

fn find_all(machine: &mut Machine<'_>, args: Args<'_>, panics: bool) -> Outcome {
    let regex = regex_of(machine, args.str(0), panics)?;
    let value = args.str(1);
    let found = matches(&regex, value, args.int(2));
    if found.is_empty() {
        return Ok(Value::nil_list(ListKind::Strings));
    }
    Ok(Value::strings(found.into_iter().map(|(start, end)| &value[start..end])))
}

fn replace(machine: &mut Machine<'_>, args: Args<'_>, panics: bool) -> Outcome {
    let regex = regex_of(machine, args.str(0), panics)?;
    let (value, template) = (args.str(1), args.str(2));
    let mut out = Vec::with_capacity(value.len());
    let mut at = 0;
    let mut last_end = None;
    for captures in regex.captures_iter(value) {
        let Some(whole) = captures.get(0) else { continue };
        if whole.is_empty() && last_end == Some(whole.start()) {
            continue;
        }
        out.extend_from_slice(&value[at..whole.start()]);
        captures.expand(template, &mut out);
        at = whole.end();
        last_end = Some(at);
    }
    out.extend_from_slice(&value[at..]);
    Ok(Value::str(out))
}

fn replace_literal(machine: &mut Machine<'_>, args: Args<'_>, panics: bool) -> Outcome {
    let regex = regex_of(machine, args.str(0), panics)?;
    let (value, new) = (args.str(1), args.str(2));
    let mut out = Vec::with_capacity(value.len());
    let mut at = 0;
    for (start, end) in matches(&regex, value, -1) {
        out.extend_from_slice(&value[at..start]);
        out.extend_from_slice(new);
        at = end;
    }
    out.extend_from_slice(&value[at..]);
    Ok(Value::str(out))
}

/// Source: go regexp/regexp.go (Regexp.Split).
fn split(machine: &mut Machine<'_>, args: Args<'_>, panics: bool) -> Outcome {
    let regex = regex_of(machine, args.str(0), panics)?;
    let (value, limit) = (args.str(1), args.int(2));
    if limit == 0 {
        return Ok(Value::nil_list(ListKind::Strings));
    }
    if !args.str(0).is_empty() && value.is_empty() {
        return Ok(Value::strings([""]));
    }
    let mut parts: Vec<&[u8]> = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for (start, stop) in matches(&regex, value, limit) {
        if limit > 0 && parts.len() + 1 == usize::try_from(limit).unwrap_or(usize::MAX) {
            break;
        }
        end = start;
        if stop != 0 {
            parts.push(&value[begin..end]);
        }
        begin = stop;
    }
    if end != value.len() {
        parts.push(&value[begin..]);
    }
    Ok(Value::strings(parts))
}

fn quote_meta(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for &byte in value {
        if br"\.+*?()|[]{}^$".contains(&byte) {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out
}
