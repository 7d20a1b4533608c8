//! What a pattern is made of, and which texts match.
//!
//! Source: gobwas/glob v0.2.3 match/*.go (`Match`, `Len`). Texts are bytes: matchers that count
//! characters for bytes cut them anywhere.

use memchr::memmem;

use super::super::strconv::decode_rune;
use super::{SEPARATOR, Stop, Work};

/// A matcher. `/` is what the ones named after `*` and `?` do not stand for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Matcher {
    Nothing,
    Any,
    Super,
    Single,
    List { chars: Vec<char>, not: bool },
    Range { low: char, high: char, not: bool },
    Text(String),
    Contains { text: String, not: bool },
    Prefix(String),
    Suffix(String),
    PrefixAny(String),
    SuffixAny(String),
    PrefixSuffix { prefix: String, suffix: String },
    Min(usize),
    Max(usize),
    AnyOf(Vec<Self>),
    EveryOf(Vec<Self>),
    Row(Row),
    Split(Box<Split>),
}

/// Matchers of a fixed length, one behind the other.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// With the length of each.
    parts: Vec<(Matcher, usize)>,
    /// In characters.
    pub(super) length: usize,
}

/// A matcher that is looked for, and those of what is on its sides; upstream calls it `BTree`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Split {
    pub(super) value: Matcher,
    pub(super) left: Option<Matcher>,
    pub(super) right: Option<Matcher>,
    /// Characters of the sides where their number is fixed: as many bytes are passed over.
    pub(super) before: usize,
    pub(super) behind: usize,
    /// Characters of all, where their number is fixed.
    pub(super) length: Option<usize>,
}

/// Iterates over where characters begin, and over them.
pub(super) fn runes(text: &[u8]) -> impl Iterator<Item = (usize, char)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (c, width) = decode_rune(&text[at..])?;
        at += width;
        Some((at - width, c))
    })
}

/// Returns the only character of a text. None at all is taken for one that is no text, and what is
/// not in a list is found in an empty text therefore.
fn only(text: &[u8]) -> Option<char> {
    let (c, width) = decode_rune(text).unwrap_or(('\u{fffd}', 0));
    (text.len() <= width).then_some(c)
}

/// What looking for one of some characters costs.
pub(super) fn cost(chars: &[char]) -> usize {
    1 + chars.len() / 16
}

impl Matcher {
    pub(super) fn split(value: Self, left: Option<Self>, right: Option<Self>) -> Self {
        let length_of = |side: &Option<Self>| side.as_ref().map_or(Some(0), Self::length);
        let (before, behind) = (length_of(&left), length_of(&right));
        let length = before.zip(behind).zip(value.length());
        let length = length.map(|((before, behind), value)| before + value + behind);
        let (before, behind) = (before.unwrap_or(0), behind.unwrap_or(0));
        Self::Split(Box::new(Split { value, left, right, before, behind, length }))
    }

    /// Returns the number of characters, where it is fixed.
    pub(super) fn length(&self) -> Option<usize> {
        match self {
            Self::Nothing => Some(0),
            Self::Single | Self::List { .. } | Self::Range { .. } => Some(1),
            Self::Text(text) => Some(text.chars().count()),
            Self::Row(row) => Some(row.length),
            Self::Split(split) => split.length,
            Self::AnyOf(alternatives) => length_of_any(alternatives),
            Self::Any
            | Self::Super
            | Self::Contains { .. }
            | Self::Prefix(_)
            | Self::Suffix(_)
            | Self::PrefixAny(_)
            | Self::SuffixAny(_)
            | Self::PrefixSuffix { .. }
            | Self::Min(_)
            | Self::Max(_)
            | Self::EveryOf(_) => None,
        }
    }

    /// Returns whether a text matches.
    pub(super) fn matches(&self, text: &[u8], work: &mut Work) -> Result<bool, Stop> {
        work.spend(1 + text.len() / 16)?;
        let has_separator = |text: &[u8]| memchr::memchr(SEPARATOR, text).is_some();
        Ok(match self {
            Self::Nothing => text.is_empty(),
            Self::Any => !has_separator(text),
            Self::Super => true,
            Self::Single => only(text).is_some_and(|c| c != char::from(SEPARATOR)),
            Self::List { chars, not } => {
                work.spend(cost(chars))?;
                only(text).is_some_and(|c| chars.contains(&c) != *not)
            }
            Self::Range { low, high, not } => {
                only(text).is_some_and(|c| (*low..=*high).contains(&c) != *not)
            }
            Self::Text(wanted) => text == wanted.as_bytes(),
            Self::Contains { text: wanted, not } => {
                memmem::find(text, wanted.as_bytes()).is_some() != *not
            }
            Self::Prefix(prefix) => text.starts_with(prefix.as_bytes()),
            Self::Suffix(suffix) => text.ends_with(suffix.as_bytes()),
            Self::PrefixAny(prefix) => {
                text.strip_prefix(prefix.as_bytes()).is_some_and(|rest| !has_separator(rest))
            }
            Self::SuffixAny(suffix) => {
                text.strip_suffix(suffix.as_bytes()).is_some_and(|rest| !has_separator(rest))
            }
            // One may lie over the other.
            Self::PrefixSuffix { prefix, suffix } => {
                text.starts_with(prefix.as_bytes()) && text.ends_with(suffix.as_bytes())
            }
            Self::Min(least) => runes(text).take(*least).count() == *least,
            Self::Max(most) => runes(text).nth(*most).is_none(),
            Self::AnyOf(all) => return any(all, |one| one.matches(text, work)),
            Self::EveryOf(all) => {
                return any(all, |one| one.matches(text, work).map(|is_match| !is_match))
                    .map(|fails| !fails);
            }
            Self::Row(row) => return row.matches(text, work),
            Self::Split(split) => return split.matches(text, work),
        })
    }
}

/// Whether something is so for any matcher; those behind the first are not asked.
fn any(
    matchers: &[Matcher],
    mut is_so: impl FnMut(&Matcher) -> Result<bool, Stop>,
) -> Result<bool, Stop> {
    for one in matchers {
        if is_so(one)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Those in front of the first that has a fixed length are not looked at: `{*,}` has the length 0.
fn length_of_any(alternatives: &[Matcher]) -> Option<usize> {
    let mut length = None;
    for one in alternatives {
        let own = one.length();
        if length.is_none() {
            length = own;
        } else if length != own {
            return None;
        }
    }
    length
}

impl Row {
    pub(super) fn new(matchers: Vec<Matcher>) -> Self {
        let length_of = |one: Matcher| {
            let length = one.length().unwrap_or(0);
            (one, length)
        };
        let parts: Vec<_> = matchers.into_iter().map(length_of).collect();
        let length = parts.iter().map(|(_, length)| length).sum();
        Self { parts, length }
    }

    fn matches(&self, text: &[u8], work: &mut Work) -> Result<bool, Stop> {
        let length = runes(text).take(self.length + 1).count();
        Ok(length == self.length && self.starts(text, work)?)
    }

    /// Returns whether all match at the start of a text. The last character that is given to one
    /// has a single byte for it, and none at all is cut from where the text has ended.
    pub(super) fn starts(&self, text: &[u8], work: &mut Work) -> Result<bool, Stop> {
        let mut at = 0;
        for (one, length) in &self.parts {
            work.spend(1 + text.len())?;
            let most = if *length == 0 { usize::MAX } else { *length };
            let (count, last) = runes(&text[at..])
                .take(most)
                .fold((0, 0), |(count, _), (start, _)| (count + 1, start));
            if count < *length {
                return Ok(false);
            }
            let end = at + last + 1;
            if end > text.len() {
                return Err(Stop::Cut { to: end, length: text.len() });
            }
            if !one.matches(&text[at..end], work)? {
                return Ok(false);
            }
            at = end;
        }
        Ok(true)
    }
}

impl Split {
    /// Looks for the value from place to place. An empty text has no place.
    fn matches(&self, text: &[u8], work: &mut Work) -> Result<bool, Stop> {
        if self.length.is_some_and(|length| length > text.len()) {
            return Ok(false);
        }
        let mut from = self.before;
        let to = text.len().saturating_sub(self.behind);
        while from < to {
            let Some((at, ends)) = self.value.index(&text[from..to], work)? else {
                return Ok(false);
            };
            let start = from + at;
            if side(self.left.as_ref(), &text[..start], work)? {
                for end in ends.into_iter().rev() {
                    let rest = text.get(start + end..).unwrap_or_default();
                    if side(self.right.as_ref(), rest, work)? {
                        return Ok(true);
                    }
                }
            }
            from = start + decode_rune(&text[start..]).map_or(0, |(_, width)| width);
        }
        Ok(false)
    }
}

fn side(matcher: Option<&Matcher>, text: &[u8], work: &mut Work) -> Result<bool, Stop> {
    match matcher {
        Some(matcher) => matcher.matches(text, work),
        None => Ok(text.is_empty()),
    }
}
