//! Strings.
//!
//! Source: sprig v3.3.0 strings.go, functions.go; goutils v1.1.1.

use super::super::eval::Machine;
use super::super::value::{Map, MapKind, MapRef, Value, text};
use super::super::{fmt, marked, strconv};
use super::types::{to_strings, to_text};
use super::{Args, Fail, Func, Outcome, Ty, lossy};

const S: Ty = Ty::Str;
const I: Ty = Ty::Int;

pub(super) const TABLE: &[Func] = &[
    Func::new("trim", &[S], |_, a| Ok(Value::str(trim(a.str(0))))),
    Func::new("trimAll", &[S, S], |_, a| Ok(Value::str(trim_set(a.str(1), a.str(0))))),
    Func::new("trimall", &[S, S], |_, a| Ok(Value::str(trim_set(a.str(1), a.str(0))))),
    Func::new("trimPrefix", &[S, S], |_, a| {
        Ok(Value::str(a.str(1).strip_prefix(a.str(0)).unwrap_or(a.str(1))))
    }),
    Func::new("trimSuffix", &[S, S], |_, a| {
        Ok(Value::str(a.str(1).strip_suffix(a.str(0)).unwrap_or(a.str(1))))
    }),
    Func::new("repeat", &[I, S], |m, a| repeat(m, a.str(1), a.int(0))),
    Func::new("substr", &[I, I, S], |_, a| substr(a.int(0), a.int(1), a.str(2))),
    Func::new("trunc", &[I, S], |_, a| Ok(Value::str(trunc(a.int(0), a.str(1))))),
    Func::new("contains", &[S, S], |_, a| Ok(Value::Bool(find(a.str(1), a.str(0)).is_some()))),
    Func::new("hasPrefix", &[S, S], |_, a| Ok(Value::Bool(a.str(1).starts_with(a.str(0))))),
    Func::new("hasSuffix", &[S, S], |_, a| Ok(Value::Bool(a.str(1).ends_with(a.str(0))))),
    Func::variadic("quote", &[], Ty::Any, |m, a| {
        joined(m, a, |value| strconv::quote(&to_text(value)).into_bytes())
    }),
    Func::variadic("squote", &[], Ty::Any, |m, a| {
        joined(m, a, |value| [b"'", &fmt::to_text(value)[..], b"'"].concat())
    }),
    Func::variadic("cat", &[], Ty::Any, |m, a| joined(m, a, fmt::to_text)),
    Func::new("indent", &[I, S], |m, a| indent(m, a.int(0), a.str(1), false)),
    Func::new("nindent", &[I, S], |m, a| indent(m, a.int(0), a.str(1), true)),
    Func::new("replace", &[S, S, S], |m, a| replace(m, a.str(2), a.str(0), a.str(1))),
    Func::new("plural", &[S, S, I], |_, a| Ok(a.any(usize::from(a.int(2) != 1)).clone())),
    Func::new("join", &[S, Ty::Any], join),
    Func::new("split", &[S, S], |m, a| split_map(m, a.str(0), a.str(1), None)),
    Func::new("splitn", &[S, I, S], |m, a| split_map(m, a.str(0), a.str(2), Some(a.int(1)))),
    Func::new("splitList", &[S, S], |m, a| Ok(Value::strings(split(m, a.str(1), a.str(0), None)?))),
    Func::new("abbrev", &[I, S], |_, a| abbrev(0, a.int(0), a.str(1))),
    Func::new("abbrevboth", &[I, I, S], |_, a| abbrev(a.int(0), a.int(1), a.str(2))),
    Func::new("wrap", &[I, S], |m, a| wrap(m, a.str(1), a.int(0), (b"\n", false))),
    Func::new("wrapWith", &[I, S, S], |m, a| wrap(m, a.str(2), a.int(0), (a.str(1), true))),
    Func::new("hello", &[], |_, _| Ok(Value::str("Hello!"))),
];

fn trim(value: &[u8]) -> Vec<u8> {
    lossless(value, |text| text.trim_matches(char::is_whitespace).to_owned())
}

/// Applies a function on text, for which bytes that are no text are marked, and restores them.
pub(super) fn lossless(value: &[u8], change: impl Fn(&str) -> String) -> Vec<u8> {
    let changed = change(&marked::lossless(value));
    if std::str::from_utf8(value).is_ok() {
        changed.into_bytes()
    } else {
        marked::restored(&changed)
    }
}

fn trim_set(value: &[u8], set: &[u8]) -> Vec<u8> {
    // Go takes a byte that is no text for the sign of such, in the text and in the set alike.
    let set: Vec<char> = lossy(set).chars().collect();
    let is_in = |c: char| {
        let shown = if marked::lost(c).is_some() { char::REPLACEMENT_CHARACTER } else { c };
        set.contains(&shown)
    };
    lossless(value, |text| text.trim_matches(is_in).to_owned())
}

fn repeat(machine: &Machine<'_>, value: &[u8], count: i64) -> Outcome {
    let Ok(count) = usize::try_from(count) else {
        return Err("strings: negative Repeat count".into());
    };
    machine.room_for_text(value.len().saturating_mul(count))?;
    Ok(Value::str(value.repeat(count)))
}

fn substr(start: i64, end: i64, value: &[u8]) -> Outcome {
    let length = i64::try_from(value.len()).unwrap_or(i64::MAX);
    let (from, to) = if start < 0 {
        (0, end)
    } else if end < 0 || end > length {
        (start, length)
    } else {
        (start, end)
    };
    let range = usize::try_from(from).ok().zip(usize::try_from(to).ok());
    match range.and_then(|(from, to)| value.get(from..to)) {
        Some(part) => Ok(Value::str(part)),
        None if to > length => {
            Err(format!("runtime error: slice bounds out of range [:{to}] with length {length}")
                .into())
        }
        None if to < 0 => Err(format!("runtime error: slice bounds out of range [:{to}]").into()),
        None => Err(format!("runtime error: slice bounds out of range [{from}:{to}]").into()),
    }
}

fn trunc(count: i64, value: &[u8]) -> &[u8] {
    let size = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if size >= value.len() {
        value
    } else if count < 0 {
        &value[value.len() - size..]
    } else {
        &value[..size]
    }
}

/// Returns where a text holds another.
pub(super) fn find(value: &[u8], part: &[u8]) -> Option<usize> {
    memchr::memmem::find(value, part)
}

/// Joins the texts of all arguments that are not nil by a space.
fn joined(machine: &Machine<'_>, args: Args<'_>, change: impl Fn(&Value) -> Vec<u8>) -> Outcome {
    let mut out = Vec::new();
    for (index, value) in args.0.iter().filter(|value| !value.is_nil()).enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.extend(change(value));
        machine.room_for_text(out.len())?;
    }
    Ok(Value::str(out))
}

fn join(machine: &mut Machine<'_>, args: Args<'_>) -> Outcome {
    let texts = to_strings(machine, args.any(1))?;
    let separators = args.str(0).len().saturating_mul(texts.len().saturating_sub(1));
    let size = texts.iter().map(|text| text.len()).sum::<usize>();
    machine.room_for_text(size.saturating_add(separators))?;
    Ok(Value::str(texts.join(args.str(0))))
}

fn indent(machine: &Machine<'_>, count: i64, value: &[u8], fresh: bool) -> Outcome {
    let Ok(count) = usize::try_from(count) else {
        return Err("strings: negative Repeat count".into());
    };
    let lines = value.iter().filter(|&&byte| byte == b'\n').count() + 1;
    machine.room_for_text(count.saturating_mul(lines).saturating_add(value.len()))?;
    let mut out = Vec::with_capacity(value.len() + count * lines + 1);
    if fresh {
        out.push(b'\n');
    }
    for (index, line) in value.split(|&byte| byte == b'\n').enumerate() {
        if index > 0 {
            out.push(b'\n');
        }
        out.resize(out.len() + count, b' ');
        out.extend_from_slice(line);
    }
    Ok(Value::str(out))
}

fn replace(machine: &Machine<'_>, value: &[u8], old: &[u8], new: &[u8]) -> Outcome {
    if old.is_empty() {
        // Go puts the new text around every rune.
        let text = lossy(value);
        let size = (text.chars().count() + 1).saturating_mul(new.len());
        machine.room_for_text(size.saturating_add(value.len()))?;
        return Ok(Value::str(text.replace("", &lossy(new))));
    }
    let found =
        if new.len() > old.len() { memchr::memmem::find_iter(value, old).count() } else { 0 };
    machine.room_for_text(value.len().saturating_add(found.saturating_mul(new.len())))?;
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = find(rest, old) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(new);
        rest = &rest[at + old.len()..];
    }
    out.extend_from_slice(rest);
    Ok(Value::str(out))
}

/// Splits as `strings.SplitN`; none: all parts.
fn split(
    machine: &Machine<'_>,
    value: &[u8],
    separator: &[u8],
    limit: Option<i64>,
) -> Result<Vec<Vec<u8>>, Fail> {
    let limit = match limit {
        Some(0) => return Ok(Vec::new()),
        Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
        None => usize::MAX,
    };
    let count = match separator {
        [] => value.len(),
        separator => memchr::memmem::find_iter(value, separator).count(),
    };
    machine.room_for_items(count.min(limit))?;
    let mut parts = Vec::new();
    let mut rest = value;
    if separator.is_empty() {
        while !rest.is_empty() && parts.len() + 1 < limit {
            let size = strconv::decode_rune(rest).map_or(1, |(_, size)| size);
            parts.push(rest[..size].to_vec());
            rest = &rest[size..];
        }
        if !rest.is_empty() {
            parts.push(rest.to_vec());
        }
        return Ok(parts);
    }
    while parts.len() + 1 < limit {
        let Some(at) = find(rest, separator) else { break };
        parts.push(rest[..at].to_vec());
        rest = &rest[at + separator.len()..];
    }
    parts.push(rest.to_vec());
    Ok(parts)
}

fn split_map(
    machine: &mut Machine<'_>,
    separator: &[u8],
    value: &[u8],
    limit: Option<i64>,
) -> Outcome {
    let map = Map::default();
    for (index, part) in split(machine, value, separator, limit)?.into_iter().enumerate() {
        machine.take(part.len())?;
        map.set(text(&format!("_{index}")), Value::str(part));
    }
    Ok(Value::Map(MapKind::Strings, MapRef::new(map)))
}

/// Source: goutils v1.1.1 stringutils.go (AbbreviateFull).
fn abbrev(offset: i64, width: i64, value: &[u8]) -> Outcome {
    if width < 4 || offset > 0 && width < 7 {
        return Ok(Value::str(value));
    }
    let (width, mut offset) = (size(width), size(offset));
    if value.len() <= width {
        return Ok(Value::str(value));
    }
    offset = offset.min(value.len());
    if value.len() - offset < width - 3 {
        offset = value.len() - (width - 3);
    }
    if offset <= 4 {
        return Ok(Value::str([&value[..width - 3], b"..."].concat()));
    }
    if offset + width - 3 < value.len() {
        let rest = &value[offset..];
        let inner = width - 3;
        let tail =
            if rest.len() > inner { [&rest[..inner - 3], b"..."].concat() } else { rest.to_vec() };
        return Ok(Value::str([b"...".as_slice(), &tail].concat()));
    }
    Ok(Value::str([b"...", &value[value.len() - (width - 3)..]].concat()))
}

fn size(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

/// Source: goutils v1.1.1 wordutils.go (WrapCustom).
fn wrap(
    machine: &Machine<'_>,
    value: &[u8],
    width: i64,
    (newline, break_long): (&[u8], bool),
) -> Outcome {
    let newline: &[u8] = if newline.is_empty() { b"\n" } else { newline };
    let width = size(width).max(1);
    // A line break stands instead of a blank, or behind a line that is full.
    let blanks = value.iter().filter(|&&byte| byte == b' ').count();
    let breaks = if break_long { value.len() / width + blanks } else { blanks };
    machine.room_for_text(value.len().saturating_add(breaks.saturating_mul(newline.len())))?;
    let mut out = Vec::with_capacity(value.len() + 32);
    let mut offset = 0;
    while value.len() - offset > width {
        if value[offset] == b' ' {
            offset += 1;
            continue;
        }
        let end = offset + width + 1;
        let line = &value[offset..end.min(value.len())];
        let space = line.iter().rposition(|&byte| byte == b' ').map(|at| at + offset);
        match space {
            Some(space) if space > offset || space == offset && value[offset] != b' ' => {
                out.extend_from_slice(&value[offset..space]);
                out.extend_from_slice(newline);
                offset = space + 1;
            }
            _ if break_long => {
                out.extend_from_slice(&value[offset..offset + width]);
                out.extend_from_slice(newline);
                offset += width;
            }
            _ => {
                let next = value[offset + width..].iter().position(|&byte| byte == b' ');
                match next.map(|at| at + offset + width) {
                    Some(space) => {
                        out.extend_from_slice(&value[offset..space]);
                        out.extend_from_slice(newline);
                        offset = space + 1;
                    }
                    None => {
                        out.extend_from_slice(&value[offset..]);
                        offset = value.len();
                    }
                }
            }
        }
    }
    out.extend_from_slice(&value[offset..]);
    Ok(Value::str(out))
}
