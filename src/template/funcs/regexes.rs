//! Regular expressions: Go's RE2 syntax on the `regex` crate.
//!
//! Source: sprig v3.3.0 regex.go; go regexp/syntax (error texts).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use regex::bytes::{Captures, Regex, RegexBuilder};

use super::super::eval::Machine;
use super::super::lexer::is_alphanumeric;
use super::super::value::{ListKind, Value};
use super::super::{marked, strconv};
use super::{Args, Fail, Func, Outcome, Ty, lossy, regex_syntax};
use crate::base::limit::{self, Limit};

/// Most expressions that are kept compiled.
const MAX_KEPT: usize = 1_000;
/// Sizes of compiled expressions, and what each byte of a text costs at worst, in steps: the larger
/// the expression, the more of its states may be alive at once.
const SIZES: &[(usize, usize)] = &[(64 << 10, 1), (1 << 20, 64), (usize::MAX, 1024)];
/// What compiling a small expression costs.
const COMPILE_STEPS: usize = 10_000;
/// Texts up to this length cost nothing more than the call with a small expression.
const SHORT: usize = 1 << 10;

const S: Ty = Ty::Str;

pub(super) const TABLE: &[Func] = &[
    Func::new("regexMatch", &[S, S], |m, a| match matches_anywhere(m, a) {
        Err(fail) if !fail.is_bound() => Ok(Value::Bool(false)),
        outcome => outcome,
    }),
    Func::new("mustRegexMatch", &[S, S], matches_anywhere),
    Func::new("regexFind", &[S, S], |m, a| on_bytes(m, a, |m, a| find(m, a, true))),
    Func::new("mustRegexFind", &[S, S], |m, a| on_bytes(m, a, |m, a| find(m, a, false))),
    Func::new("regexFindAll", &[S, S, Ty::Int], |m, a| on_bytes(m, a, |m, a| find_all(m, a, true))),
    Func::new("mustRegexFindAll", &[S, S, Ty::Int], |m, a| {
        on_bytes(m, a, |m, a| find_all(m, a, false))
    }),
    Func::new("regexReplaceAll", &[S, S, S], |m, a| on_bytes(m, a, |m, a| replace(m, a, true))),
    Func::new("mustRegexReplaceAll", &[S, S, S], |m, a| {
        on_bytes(m, a, |m, a| replace(m, a, false))
    }),
    Func::new("regexReplaceAllLiteral", &[S, S, S], |m, a| {
        on_bytes(m, a, |m, a| replace_literal(m, a, true))
    }),
    Func::new("mustRegexReplaceAllLiteral", &[S, S, S], |m, a| {
        on_bytes(m, a, |m, a| replace_literal(m, a, false))
    }),
    Func::new("regexSplit", &[S, S, Ty::Int], |m, a| on_bytes(m, a, |m, a| split(m, a, true))),
    Func::new("mustRegexSplit", &[S, S, Ty::Int], |m, a| on_bytes(m, a, |m, a| split(m, a, false))),
    Func::new("regexQuoteMeta", &[S], |_, a| Ok(Value::str(quote_meta(a.str(0))))),
];

/// Runs a function on a text in which a byte that is none is a character of its own, as it is to
/// Go's expressions, and on its replacement.
fn on_bytes(
    machine: &mut Machine<'_>,
    args: Args<'_>,
    run: fn(&mut Machine<'_>, Args<'_>) -> Outcome,
) -> Outcome {
    if std::str::from_utf8(args.str(1)).is_ok() {
        return run(machine, args);
    }
    let as_text = |(index, arg): (usize, &Value)| match arg {
        Value::Str(text) if index > 0 => Value::str(marked::lossless(text).as_bytes()),
        other => other.clone(),
    };
    let texts: Vec<Value> = args.0.iter().enumerate().map(as_text).collect();
    let as_bytes = |value: &Value| match value {
        Value::Str(text) => Value::str(marked::restored(&lossy(text))),
        other => other.clone(),
    };
    Ok(match run(machine, Args(&texts))? {
        Value::List(list) if !list.nil => {
            Value::typed_list(list.kind, list.items.iter().map(as_bytes).collect())
        }
        value => as_bytes(&value),
    })
}

fn matches_anywhere(machine: &mut Machine<'_>, args: Args<'_>) -> Outcome {
    on_bytes(machine, args, |m, a| {
        Ok(Value::Bool(compiled(m, a.str(0), a.str(1))?.regex.is_match(a.str(1))))
    })
}

/// Compiled expressions by their text, with what a byte costs; those for ASCII apart.
#[derive(Debug, Default)]
pub(in super::super) struct RegexCache([Mutex<HashMap<Vec<u8>, Weighed>>; 2]);

/// What an expression takes a text for. To tell characters apart it needs tables that are large to
/// make; where all is ASCII, each byte is one, and nothing else differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Ascii,
    Unicode,
}

/// An expression of Go's, compiled.
#[derive(Debug)]
struct GoRegex {
    regex: Regex,
    /// The names of its groups, empty for one that has none: Go takes names that begin with a
    /// digit, and one name for several groups.
    names: Vec<String>,
}

/// An expression, and what each byte of a text costs.
type Weighed = (Arc<GoRegex>, usize);

/// Returns the expression, after what it may cost on a text was counted.
fn compiled(machine: &mut Machine<'_>, text: &[u8], on: &[u8]) -> Result<Arc<GoRegex>, Fail> {
    let program = machine.program;
    let is_ascii = text.is_ascii() && on.is_ascii();
    let reading = if is_ascii { Reading::Ascii } else { Reading::Unicode };
    let cache = &program.regexes.0[reading as usize];
    let lock = || cache.lock().unwrap_or_else(PoisonError::into_inner);
    let known = lock().get(text).cloned();
    let (regex, cost) = match known {
        Some(known) => known,
        None => {
            let made = compile(machine, text, reading)?;
            let mut known = lock();
            if known.len() >= MAX_KEPT {
                known.clear();
            }
            known.insert(text.to_vec(), made.clone());
            made
        }
    };
    if on.len() > SHORT || cost > 1 {
        machine.spend(on.len().saturating_mul(cost))?;
    }
    Ok(regex)
}

fn compile(machine: &mut Machine<'_>, text: &[u8], reading: Reading) -> Result<Weighed, Fail> {
    if std::str::from_utf8(text).is_err() {
        let complaint = regex_syntax::complaint_about_bytes(text);
        return Err(format!("error parsing regexp: {complaint}").into());
    }
    machine.spend(COMPILE_STEPS)?;
    let most = machine.limits().size(Limit::Regex);
    let pattern = lossy(text);
    for &(size, cost) in SIZES {
        let size = size.min(most);
        // Only those that are large need be counted: the others are many thousands.
        if cost > 1 {
            machine.take(size)?;
            machine.spend(size)?;
        }
        match build(&pattern, size, reading).map_err(Fail::Text)? {
            Some(regex) => return Ok((Arc::new(regex), cost)),
            None if size == most => break,
            None => {}
        }
    }
    Err(machine.refusal(Limit::Regex, "a regular expression is too large"))
}

/// Compiles an expression of Go's syntax.
///
/// # Errors
/// Go's text: `error parsing regexp: …`.
pub fn go_regex(pattern: &str) -> Result<Regex, String> {
    let most = limit::current().size(Limit::Regex);
    let too_large = || format!("error parsing regexp: expression nests too deeply: `{pattern}`");
    build(pattern, most, Reading::Unicode)?.map(|built| built.regex).ok_or_else(too_large)
}

/// Compiles an expression; none if it takes more than so many bytes.
fn build(pattern: &str, most: usize, reading: Reading) -> Result<Option<GoRegex>, String> {
    let wrong = |complaint: String| format!("error parsing regexp: {complaint}");
    regex_syntax::check(pattern).map_err(wrong)?;
    let (translated, names) = translate(pattern);
    let mut builder = RegexBuilder::new(&translated);
    let built = builder.size_limit(most).unicode(reading == Reading::Unicode).build();
    match built {
        Ok(regex) => Ok(Some(GoRegex { regex, names })),
        Err(regex::Error::CompiledTooBig(_)) => Ok(None),
        // Classes of characters need characters.
        Err(_) if reading == Reading::Ascii => build(pattern, most, Reading::Unicode),
        Err(_) => Err(wrong(format!("invalid or unsupported Perl syntax: `{pattern}`"))),
    }
}

/// Go's perl classes and word boundaries are ASCII; `\z` is the same; `\Q…\E` is a literal. The
/// names of groups are told beside, the whole's first.
fn translate(pattern: &str) -> (String, Vec<String>) {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut names = vec![String::new()];
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let size = match c {
            '\\' => escape(rest, &mut out),
            '[' => class(rest, &mut out),
            // It changes nothing.
            '(' if rest.starts_with("(?)") => 3,
            '(' => {
                let (name, size) = group(rest);
                names.extend(name);
                out.push('(');
                size
            }
            '{' if regex_syntax::count(rest).is_none() => {
                out.push_str("\\{");
                1
            }
            c => {
                out.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[size..];
    }
    (out, names)
}

/// The name of the group that begins here, if it is one that is counted, and the size of what is
/// not repeated.
fn group(rest: &str) -> (Option<String>, usize) {
    let named = rest.strip_prefix("(?P<").or_else(|| rest.strip_prefix("(?<"));
    match named.and_then(|named| named.split_once('>')) {
        Some((name, behind)) => (Some(name.to_owned()), rest.len() - behind.len()),
        None if rest.starts_with("(?") => (None, 1),
        None => (Some(String::new()), 1),
    }
}

/// Writes what begins with a backslash, and returns its size.
fn escape(rest: &str, out: &mut String) -> usize {
    let Some(kind) = rest[1..].chars().next() else {
        out.push('\\');
        return 1;
    };
    let behind = &rest[1 + kind.len_utf8()..];
    match kind {
        'Q' => {
            let end = behind.find("\\E").unwrap_or(behind.len());
            out.push_str(&regex::escape(&behind[..end]));
            return (2 + end + 2).min(rest.len());
        }
        'b' => out.push_str("(?-u:\\b)"),
        'B' => out.push_str("(?-u:\\B)"),
        'd' | 'D' | 'w' | 'W' | 's' | 'S' => out.push_str(perl(kind)),
        'p' | 'P' => return property(rest, out),
        'x' | '0'..='7' => {
            let size = regex_syntax::escape(rest).unwrap_or(rest.len());
            out.push_str(&format!("\\x{{{:x}}}", regex_syntax::value(&rest[..size])));
            return size;
        }
        // Signs mean nothing behind a backslash here, but some do there.
        sign if !sign.is_ascii_alphanumeric() => {
            out.push_str(&regex::escape(sign.encode_utf8(&mut [0; 4])));
        }
        other => out.extend(['\\', other]),
    }
    1 + kind.len_utf8()
}

/// The characters of a class of Perl's.
fn perl(kind: char) -> &'static str {
    match kind {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        's' => "[\\t\\n\\f\\r ]",
        _ => "[^\\t\\n\\f\\r ]",
    }
}

/// Writes `\pL` or `\p{^Greek}`, and returns its size.
fn property(rest: &str, out: &mut String) -> usize {
    let (kind, behind) = (&rest[1..2], &rest[2..]);
    let braced = behind.strip_prefix('{').and_then(|body| body.split_once('}'));
    let (name, size) = match braced {
        Some((name, _)) => (name, 4 + name.len()),
        None => {
            let width = behind.chars().next().map_or(0, char::len_utf8);
            (&behind[..width], 2 + width)
        }
    };
    let plain = name.strip_prefix('^');
    let kind = match (kind, plain) {
        ("p", Some(_)) => "P",
        ("P", Some(_)) => "p",
        (kind, _) => kind,
    };
    out.push_str(&format!("\\{kind}{{{}}}", plain.unwrap_or(name)));
    size
}

/// Writes a class of characters, in which more signs have a meaning there, and returns its size.
fn class(rest: &str, out: &mut String) -> usize {
    let open = if rest.starts_with("[^") { "[^" } else { "[" };
    out.push_str(open);
    let mut at = open.len();
    while !rest[at..].is_empty() && (at == open.len() || !rest[at..].starts_with(']')) {
        let here = &rest[at..];
        let named = here.strip_prefix("[:").and_then(|body| body.split_once(":]"));
        let kind = here.strip_prefix('\\').and_then(|escaped| escaped.chars().next());
        if let Some((name, _)) = named {
            out.push_str(&here[..name.len() + 4]);
            at += name.len() + 4;
        } else if let Some(kind @ ('d' | 'D' | 'w' | 'W' | 's' | 'S')) = kind {
            out.push_str(perl(kind));
            at += 2;
        } else if let Some('p' | 'P') = kind {
            at += property(here, out);
        } else {
            at += range(here, out);
        }
    }
    out.push(']');
    (at + 1).min(rest.len())
}

/// Writes a character of a class, or two with all between them, and returns the size.
fn range(here: &str, out: &mut String) -> usize {
    let size = |here: &str| {
        let plain = here.chars().next().map_or(0, char::len_utf8);
        if here.starts_with('\\') { regex_syntax::escape(here).unwrap_or(plain) } else { plain }
    };
    let low = size(here);
    out.push_str(&format!("\\x{{{:x}}}", regex_syntax::value(&here[..low])));
    let after = &here[low..];
    let Some(high) =
        after.strip_prefix('-').filter(|high| !high.is_empty() && !high.starts_with(']'))
    else {
        return low;
    };
    let end = size(high);
    out.push_str(&format!("-\\x{{{:x}}}", regex_syntax::value(&high[..end])));
    low + 1 + end
}

/// The functions without `must` panic, which Go words differently.
fn regex_of(machine: &mut Machine<'_>, args: Args<'_>, panics: bool) -> Result<Arc<GoRegex>, Fail> {
    let text = args.str(0);
    compiled(machine, text, args.str(1)).map_err(|fail| match fail {
        Fail::Text(message) if panics => {
            let is_plain = std::str::from_utf8(text).is_ok_and(|text| {
                !text.contains(|c: char| {
                    c == '`' || c == '\u{feff}' || c == '\u{7f}' || (c < ' ' && c != '\t')
                })
            });
            let shown = if is_plain { format!("`{}`", lossy(text)) } else { strconv::quote(text) };
            Fail::Text(format!("regexp: Compile({shown}): {message}"))
        }
        other => other,
    })
}

fn find(machine: &mut Machine<'_>, args: Args<'_>, panics: bool) -> Outcome {
    let regex = regex_of(machine, args, panics)?;
    Ok(Value::str(regex.regex.find(args.str(1)).map_or(&[][..], |found| found.as_bytes())))
}

/// Go drops an empty match right behind the previous one.
fn matches(
    machine: &Machine<'_>,
    regex: &Regex,
    value: &[u8],
    limit: i64,
) -> Result<Vec<(usize, usize)>, Fail> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut found: Vec<(usize, usize)> = Vec::new();
    for one in regex.find_iter(value) {
        if found.len() >= limit {
            break;
        }
        let behind = found.last().is_some_and(|last| one.is_empty() && last.1 == one.start());
        let is_inside = one.is_empty() && is_inside_a_character(value, one.start());
        if !behind && !is_inside {
            found.push((one.start(), one.end()));
            machine.room_for_items(found.len())?;
        }
    }
    Ok(found)
}

/// Whether a place is in the middle of a character: Go goes from one to the next.
fn is_inside_a_character(value: &[u8], at: usize) -> bool {
    let is_continued = value.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    is_continued
        && (at.saturating_sub(3)..at).any(|start| {
            let decoded = strconv::decode_rune(&value[start..]);
            decoded.is_some_and(|(_, width)| start + width > at)
        })
}

fn find_all(machine: &mut Machine<'_>, args: Args<'_>, panics: bool) -> Outcome {
    let regex = regex_of(machine, args, panics)?;
    let value = args.str(1);
    let found = matches(machine, &regex.regex, value, args.int(2))?;
    if found.is_empty() {
        return Ok(Value::nil_list(ListKind::Strings));
    }
    Ok(Value::strings(found.into_iter().map(|(start, end)| &value[start..end])))
}

fn replace(machine: &mut Machine<'_>, args: Args<'_>, panics: bool) -> Outcome {
    let regex = regex_of(machine, args, panics)?;
    let (value, template) = (args.str(1), args.str(2));
    let mut out = Vec::with_capacity(value.len());
    let mut at = 0;
    let mut last_end = None;
    for captures in regex.regex.captures_iter(value) {
        let Some(whole) = captures.get(0) else { continue };
        let is_behind = last_end == Some(whole.start());
        if whole.is_empty() && (is_behind || is_inside_a_character(value, whole.start())) {
            continue;
        }
        out.extend_from_slice(&value[at..whole.start()]);
        expand(template, &regex.names, &captures, &mut out);
        machine.room_for_text(out.len())?;
        at = whole.end();
        last_end = Some(at);
    }
    out.extend_from_slice(&value[at..]);
    Ok(Value::str(out))
}

/// Writes a replacement: `$1`, `${1}`, `$name` and `${name}` stand for groups, `$$` for a dollar.
///
/// Source: go regexp/regexp.go (Regexp.expand).
fn expand(mut template: &[u8], names: &[String], captures: &Captures<'_>, out: &mut Vec<u8>) {
    while let Some(dollar) = memchr::memchr(b'$', template) {
        out.extend_from_slice(&template[..dollar]);
        template = &template[dollar + 1..];
        if let Some(behind) = template.strip_prefix(b"$") {
            out.push(b'$');
            template = behind;
            continue;
        }
        let Some((name, behind)) = reference(template) else {
            // It is no reference, so it is a text.
            out.push(b'$');
            continue;
        };
        template = behind;
        let found = match group_number(name) {
            Some(number) => captures.get(number),
            None => {
                let named = names.iter().enumerate().filter(|(_, known)| known.as_bytes() == name);
                named.filter_map(|(number, _)| captures.get(number)).next()
            }
        };
        out.extend_from_slice(found.map_or(&[][..], |found| found.as_bytes()));
    }
    out.extend_from_slice(template);
}

/// The name that a replacement goes on with, and what stands behind.
///
/// Source: go regexp/regexp.go (extract).
fn reference(template: &[u8]) -> Option<(&[u8], &[u8])> {
    let body = template.strip_prefix(b"{").unwrap_or(template);
    let mut end = 0;
    while let Some((c, width)) = strconv::decode_rune(&body[end..])
        && is_alphanumeric(c)
    {
        end += width;
    }
    let (name, behind) = body.split_at(end);
    let behind = if body.len() < template.len() { behind.strip_prefix(b"}")? } else { behind };
    (end > 0).then_some((name, behind))
}

/// The number that a name of a group is, if it is one.
fn group_number(name: &[u8]) -> Option<usize> {
    /// Go takes what is longer for a name.
    const MOST_DIGITS: usize = 9;
    let is_plain = name == b"0" || !name.starts_with(b"0");
    let is_number = is_plain && name.len() <= MOST_DIGITS && name.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(name).ok().filter(|_| is_number)?.parse().ok()
}

fn replace_literal(machine: &mut Machine<'_>, args: Args<'_>, panics: bool) -> Outcome {
    let regex = regex_of(machine, args, panics)?;
    let (value, new) = (args.str(1), args.str(2));
    let mut out = Vec::with_capacity(value.len());
    let mut at = 0;
    for (start, end) in matches(machine, &regex.regex, value, -1)? {
        out.extend_from_slice(&value[at..start]);
        out.extend_from_slice(new);
        at = end;
        machine.room_for_text(out.len())?;
    }
    out.extend_from_slice(&value[at..]);
    Ok(Value::str(out))
}

/// Source: go regexp/regexp.go (Regexp.Split).
fn split(machine: &mut Machine<'_>, args: Args<'_>, panics: bool) -> Outcome {
    let regex = regex_of(machine, args, panics)?;
    let (value, limit) = (args.str(1), args.int(2));
    if limit == 0 {
        return Ok(Value::nil_list(ListKind::Strings));
    }
    if !args.str(0).is_empty() && value.is_empty() {
        return Ok(Value::strings([""]));
    }
    let mut parts: Vec<&[u8]> = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for (start, stop) in matches(machine, &regex.regex, value, limit)? {
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
