//! Where in a text a matcher is found first, and where it may end.
//!
//! Source: gobwas/glob v0.2.3 match/*.go (`Index`). Several find less than they match: an end or a
//! later place is overlooked, or is counted in characters.

use memchr::{memchr, memmem, memrchr};

use super::matcher::{Matcher, Row, cost, runes};
use super::{SEPARATOR, Stop, Work};

/// A place in a text, and the lengths that are found there. Their order decides what panics first.
type Found = Option<(usize, Vec<usize>)>;

impl Matcher {
    /// Returns the first place in a text.
    pub(super) fn index(&self, text: &[u8], work: &mut Work) -> Result<Found, Stop> {
        work.spend(1 + text.len())?;
        let folder = || &text[..memchr(SEPARATOR, text).unwrap_or(text.len())];
        Ok(match self {
            Self::Nothing => Some((0, vec![0])),
            Self::Any => Some((0, starts(folder(), 0))),
            Self::Super => Some((0, starts(text, 0))),
            Self::Single => character(text, |c| c != char::from(SEPARATOR)),
            Self::List { chars, not } => {
                work.spend(text.len().saturating_mul(cost(chars)))?;
                character(text, |c| chars.contains(&c) != *not)
            }
            Self::Range { low, high, not } => {
                character(text, |c| (*low..=*high).contains(&c) != *not)
            }
            Self::Text(wanted) => {
                memmem::find(text, wanted.as_bytes()).map(|at| (at, vec![wanted.len()]))
            }
            Self::Contains { text: wanted, not } => containing(text, wanted, *not),
            Self::Prefix(prefix) => prefixed(text, prefix, <[u8]>::len),
            Self::PrefixAny(prefix) => {
                prefixed(text, prefix, |rest| memchr(SEPARATOR, rest).unwrap_or(rest.len()))
            }
            Self::Suffix(suffix) => {
                memmem::find(text, suffix.as_bytes()).map(|at| (0, vec![at + suffix.len()]))
            }
            Self::SuffixAny(suffix) => memmem::find(text, suffix.as_bytes()).map(|at| {
                let start = memrchr(SEPARATOR, &text[..at]).map_or(0, |slash| slash + 1);
                (start, vec![at + suffix.len() - start])
            }),
            Self::PrefixSuffix { prefix, suffix } => between(text, prefix, suffix),
            Self::Min(least) => at_least(text, *least),
            Self::Max(most) => {
                let ends = ends(text, 0).take(*most);
                Some((0, std::iter::once(0).chain(ends).collect()))
            }
            Self::AnyOf(all) => return first_of(all, text, work),
            Self::EveryOf(all) => return in_every(all, text, work),
            Self::Row(row) => return row.index(text, work),
            // Is looked for in vain.
            Self::Split(_) => None,
        })
    }
}

impl Row {
    fn index(&self, text: &[u8], work: &mut Work) -> Result<Found, Stop> {
        for (at, _) in runes(text).take_while(|(at, _)| text.len() - at >= self.length) {
            if self.starts(&text[at..], work)? {
                return Ok(Some((at, vec![self.length])));
            }
        }
        Ok(None)
    }
}

/// Returns where characters begin, and the end.
fn starts(text: &[u8], offset: usize) -> Vec<usize> {
    let all = runes(text).map(|(at, _)| at).chain([text.len()]);
    all.map(|at| offset + at).collect()
}

/// Iterates over where characters end. A byte that is no text counts as the three of U+FFFD.
fn ends(text: &[u8], offset: usize) -> impl Iterator<Item = usize> + '_ {
    runes(text).map(move |(at, c)| offset + at + c.len_utf8())
}

fn character(text: &[u8], is_wanted: impl Fn(char) -> bool) -> Found {
    runes(text).find(|(_, c)| is_wanted(*c)).map(|(at, c)| (at, vec![c.len_utf8()]))
}

fn containing(text: &[u8], wanted: &str, not: bool) -> Found {
    let found = memmem::find(text, wanted.as_bytes());
    if not {
        return Some((0, starts(&text[..found.unwrap_or(text.len())], 0)));
    }
    let end = found? + wanted.len();
    Some((0, starts(&text[end..], end)))
}

/// Finds a text, and the ends of the characters in as many bytes behind it.
fn prefixed(text: &[u8], prefix: &str, reach: impl Fn(&[u8]) -> usize) -> Found {
    let at = memmem::find(text, prefix.as_bytes())?;
    let rest = &text[at + prefix.len()..];
    let behind = ends(&rest[..reach(rest)], prefix.len());
    Some((at, std::iter::once(prefix.len()).chain(behind).collect()))
}

/// Finds a text, and the ends of another one from there on; none lies over the next.
fn between(text: &[u8], prefix: &str, suffix: &str) -> Found {
    let at = memmem::find(text, prefix.as_bytes())?;
    let mut rest = &text[at..];
    let mut ends = Vec::new();
    while let Some(start) = memmem::rfind(rest, suffix.as_bytes()) {
        ends.push(start + suffix.len());
        rest = &rest[..start];
    }
    ends.reverse();
    (!ends.is_empty()).then_some((at, ends))
}

fn at_least(text: &[u8], least: usize) -> Found {
    if text.len() < least {
        return None;
    }
    let ends: Vec<_> = ends(text, 0).skip(least - 1).collect();
    (!ends.is_empty()).then_some((0, ends))
}

/// Finds the alternatives that are found first.
fn first_of(all: &[Matcher], text: &[u8], work: &mut Work) -> Result<Found, Stop> {
    let mut first: Found = None;
    for one in all {
        let Some((at, ends)) = one.index(text, work)? else { continue };
        first = match first {
            Some((best, known)) if best < at => Some((best, known)),
            Some((best, known)) if best == at => Some((best, merged(&known, &ends))),
            Some(_) | None => Some((at, ends)),
        };
    }
    Ok(first)
}

/// Merges what upstream takes to be sorted.
fn merged(a: &[usize], b: &[usize]) -> Vec<usize> {
    let (mut a, mut b) = (a.iter().copied().peekable(), b.iter().copied().peekable());
    let mut out = Vec::new();
    loop {
        let (in_a, in_b) = (a.peek().copied(), b.peek().copied());
        let Some(next) = [in_a, in_b].into_iter().flatten().min() else { return out };
        a.next_if_eq(&next);
        b.next_if_eq(&next);
        out.push(next);
    }
}

/// Finds what all find. Only those are ever put together that are found at the start, or nowhere.
fn in_every(all: &[Matcher], text: &[u8], work: &mut Work) -> Result<Found, Stop> {
    let mut common: Option<Vec<usize>> = None;
    for one in all {
        let Some((_, ends)) = one.index(text, work)? else { return Ok(None) };
        let known = match common {
            None => ends,
            Some(known) => {
                work.spend(known.len().saturating_mul(ends.len()))?;
                known.into_iter().filter(|end| ends.contains(end)).collect()
            }
        };
        if known.is_empty() {
            return Ok(None);
        }
        common = Some(known);
    }
    Ok(common.map(|ends| (0, ends)))
}
