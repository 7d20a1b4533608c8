//! What Go refuses in a regular expression, and in which words.
//!
//! Source: go regexp/syntax/parse.go. One pass from left to right, as Go's parser goes, so that the
//! first mistake is the one that Go names; nothing is built.

use regex::Regex;

use super::super::marked;

/// Most repetitions, also of one inside of another.
const MAX_REPEAT: u64 = 1_000;

/// What a repetition would repeat.
#[derive(Clone, Copy, PartialEq)]
enum Last {
    Nothing,
    /// Something that repeats its parts up to so many times.
    Atom(u64),
    /// A repetition that begins there.
    Repeat(usize, u64),
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    last: Last,
    /// For each open group: the most repetitions of what stands in it so far.
    groups: Vec<u64>,
    most: u64,
}

/// Checks an expression.
///
/// # Errors
/// Go's text, without the words before it.
pub(super) fn check(text: &str) -> Result<(), String> {
    if text.contains(is_lost) {
        // Any character of private use does for another one here; these would be taken for bytes.
        return scan(&text.replace(is_lost, "\u{10ff00}"));
    }
    scan(text)
}

fn scan(text: &str) -> Result<(), String> {
    let mut scanner = Scanner { text, at: 0, last: Last::Nothing, groups: Vec::new(), most: 1 };
    while scanner.step()? {}
    if scanner.groups.is_empty() { Ok(()) } else { Err(format!("missing closing ): `{text}`")) }
}

/// Returns what is wrong with an expression that is not UTF-8: the bytes, or what stands before.
pub(super) fn complaint_about_bytes(text: &[u8]) -> String {
    let marked = marked::lossless(text);
    let complaint = scan(&marked).and_then(|()| sound(&marked)).err().unwrap_or_default();
    complaint.replace(is_lost, "\u{fffd}")
}

/// Whether a character stands for a byte that is not UTF-8.
fn is_lost(c: char) -> bool {
    marked::lost(c).is_some()
}

/// Reads a character; none at the end.
fn next(rest: &str) -> Result<Option<char>, String> {
    match rest.chars().next() {
        Some(c) if is_lost(c) => Err(format!("invalid UTF-8: `{rest}`")),
        first => Ok(first),
    }
}

/// Reads all characters.
fn sound(text: &str) -> Result<(), String> {
    text.char_indices().try_for_each(|(at, _)| next(&text[at..]).map(|_| ()))
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn atom(&mut self, bytes: usize) {
        self.at += bytes;
        self.last = Last::Atom(1);
    }

    fn step(&mut self) -> Result<bool, String> {
        let rest = self.rest();
        let Some(first) = next(rest)? else { return Ok(false) };
        match first {
            '\\' if rest.starts_with("\\Q") => {
                let body = &rest[2..];
                sound(body.split("\\E").next().unwrap_or_default())?;
                let end = body.find("\\E").map_or(body.len(), |at| at + 2);
                self.atom(2 + end);
            }
            '\\' => {
                let size = escape(rest)?;
                self.atom(size);
            }
            '[' => {
                let size = class(rest)?;
                self.atom(size);
            }
            '(' => self.open()?,
            ')' => {
                let Some(outer) = self.groups.pop() else {
                    return Err(format!("unexpected ): `{}`", self.text));
                };
                let inner = self.most;
                self.most = outer.max(inner);
                self.at += 1;
                self.last = Last::Atom(inner);
            }
            '|' => {
                self.at += 1;
                self.last = Last::Nothing;
            }
            '*' | '+' | '?' => self.repeat(1, 1)?,
            '{' => match count(rest) {
                Some((size, least, most)) => {
                    let top = most.unwrap_or(least);
                    if top > MAX_REPEAT || least > top {
                        return Err(format!("invalid repeat count: `{}`", &rest[..size]));
                    }
                    self.repeat(size, top.max(1))?;
                }
                None => self.atom(1),
            },
            other => self.atom(other.len_utf8()),
        }
        Ok(true)
    }

    fn repeat(&mut self, size: usize, times: u64) -> Result<(), String> {
        let start = self.at;
        self.at += size;
        self.at += usize::from(self.rest().starts_with('?'));
        let inner = match self.last {
            Last::Nothing => {
                let operator = &self.text[start..self.at];
                return Err(format!("missing argument to repetition operator: `{operator}`"));
            }
            Last::Repeat(from, _) => {
                let operators = &self.text[from..self.at];
                return Err(format!("invalid nested repetition operator: `{operators}`"));
            }
            Last::Atom(inner) => inner,
        };
        if times > 1 && inner * times > MAX_REPEAT {
            let operator = &self.text[start..start + size];
            return Err(format!("invalid repeat count: `{operator}`"));
        }
        self.most = self.most.max(inner * times);
        self.last = Last::Repeat(start, inner * times);
        Ok(())
    }

    fn open(&mut self) -> Result<(), String> {
        let rest = self.rest();
        let is_named = |start: &&&str| rest.len() > start.len() && rest.starts_with(**start);
        if let Some(start) = ["(?P<", "(?<"].iter().find(is_named) {
            let Some(end) = rest.find('>') else {
                sound(rest)?;
                return Err(format!("invalid named capture: `{rest}`"));
            };
            let name = &rest[start.len()..end];
            sound(name)?;
            if name.is_empty() || !name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric()) {
                return Err(format!("invalid named capture: `{}`", &rest[..=end]));
            }
            self.at += end + 1;
        } else if let Some(flags) = rest.strip_prefix("(?") {
            let (mut is_negated, mut has_flag) = (false, false);
            for (at, c) in flags.char_indices() {
                next(&flags[at..])?;
                match c {
                    'i' | 'm' | 's' | 'U' => has_flag = true,
                    '-' if !is_negated => (is_negated, has_flag) = (true, false),
                    ':' | ')' if !is_negated || has_flag => {
                        self.at += 2 + at + 1;
                        if c == ')' {
                            return Ok(());
                        }
                        return self.opened();
                    }
                    _ => {
                        let wrong = &rest[..2 + at + c.len_utf8()];
                        return Err(format!("invalid or unsupported Perl syntax: `{wrong}`"));
                    }
                }
            }
            return Err(format!("invalid or unsupported Perl syntax: `{rest}`"));
        } else {
            self.at += 1;
        }
        self.opened()
    }

    #[expect(clippy::unnecessary_wraps, reason = "ends a function that may fail")]
    fn opened(&mut self) -> Result<(), String> {
        self.groups.push(self.most);
        (self.most, self.last) = (1, Last::Nothing);
        Ok(())
    }
}

/// Reads `{n}`, `{n,}` or `{n,m}`: its size and its numbers. Anything else is a text to Go.
pub(super) fn count(rest: &str) -> Option<(usize, u64, Option<u64>)> {
    let end = rest.find('}')?;
    // What no number can hold is too large.
    let number = |digits: &str| {
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let is_plain = digits.len() == 1 || !digits.starts_with('0');
        (is_number && is_plain).then(|| digits.parse().unwrap_or(u64::MAX))
    };
    let inside = &rest[1..end];
    Some(match inside.split_once(',') {
        None => {
            let times = number(inside)?;
            (end + 1, times, Some(times))
        }
        Some((least, "")) => (end + 1, number(least)?, None),
        Some((least, most)) => (end + 1, number(least)?, Some(number(most)?)),
    })
}

/// Classes that have a name, between `[:` and `:]`.
const NAMED_CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// Reads a class of characters and returns its size.
fn class(rest: &str) -> Result<usize, String> {
    let mut at = 1 + usize::from(rest[1..].starts_with('^'));
    let mut is_first = true;
    loop {
        let here = &rest[at..];
        if here.is_empty() {
            return Err(format!("missing closing ]: `{rest}`"));
        }
        if here.starts_with(']') && !is_first {
            return Ok(at + 1);
        }
        is_first = false;
        if let Some(body) = here.strip_prefix("[:")
            && let Some(end) = body.find(":]")
        {
            let named = &here[..end + 4];
            let name = body[..end].strip_prefix('^').unwrap_or(&body[..end]);
            if !NAMED_CLASSES.contains(&name) {
                return Err(format!("invalid character class range: `{named}`"));
            }
            at += named.len();
            continue;
        }
        let is_set =
            here.starts_with('\\') && here[1..].starts_with(|c: char| "dDsSwWpP".contains(c));
        if is_set {
            at += escape(here)?;
            continue;
        }
        let low = single(here, rest)?;
        let after = &here[low..];
        let is_range = after.starts_with('-') && !after[1..].starts_with(']') && after.len() > 1;
        if !is_range {
            at += low;
            continue;
        }
        let high = single(&after[1..], rest)?;
        let range = &here[..low + 1 + high];
        if value(&here[..low]) > value(&after[1..=high]) {
            return Err(format!("invalid character class range: `{range}`"));
        }
        at += range.len();
    }
}

/// The size of one character of a class, escaped or not.
fn single(here: &str, whole: &str) -> Result<usize, String> {
    if let Some(escaped) = here.strip_prefix('\\') {
        if let Some(set) = escaped.chars().next().filter(|c| "dDsSwWpPbBAzC".contains(*c)) {
            return Err(format!("invalid escape sequence: `\\{set}`"));
        }
        return escape(here);
    }
    next(here)?.map(char::len_utf8).ok_or_else(|| format!("missing closing ]: `{whole}`"))
}

/// The character that a text of a class stands for; enough to compare both ends of a range.
pub(super) fn value(text: &str) -> u32 {
    let Some(escaped) = text.strip_prefix('\\') else {
        return text.chars().next().map_or(0, u32::from);
    };
    let hexadecimal = |digits: &str| u32::from_str_radix(digits, 16).unwrap_or(0);
    match escaped.chars().next() {
        Some('x') => hexadecimal(escaped[1..].trim_matches(['{', '}'])),
        Some('0'..='7') => u32::from_str_radix(escaped, 8).unwrap_or(0),
        Some('a') => 7,
        Some('f') => 12,
        Some('n') => 10,
        Some('r') => 13,
        Some('t') => 9,
        Some('v') => 11,
        other => other.map_or(0, u32::from),
    }
}

/// Reads an escape and returns its size.
pub(super) fn escape(rest: &str) -> Result<usize, String> {
    let Some(first) = next(&rest[1..])? else {
        return Err("trailing backslash at end of expression: ``".to_owned());
    };
    let behind = &rest[1 + first.len_utf8()..];
    let octal = behind.bytes().take(2).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
    match first {
        'p' | 'P' => unicode(rest, behind),
        'x' => hexadecimal(rest),
        '0' => Ok(2 + octal),
        '1'..='7' if octal > 0 => Ok(2 + octal),
        c if "AbBdDsSwWzafnrtv".contains(c) => Ok(2),
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok(2),
        c => wrong(rest, 1 + c.len_utf8()),
    }
}

fn wrong(rest: &str, size: usize) -> Result<usize, String> {
    Err(format!("invalid escape sequence: `{}`", &rest[..size]))
}

/// Reads `\x7F` or `\x{10FFFF}`.
fn hexadecimal(rest: &str) -> Result<usize, String> {
    const START: usize = r"\x{".len();
    let Some(first) = next(&rest[2..])? else { return wrong(rest, 2) };
    let mut at = 2 + first.len_utf8();
    if first != '{' {
        let second = next(&rest[at..])?;
        at += second.map_or(0, char::len_utf8);
        let are_digits = first.is_ascii_hexdigit() && second.is_some_and(|c| c.is_ascii_hexdigit());
        return if are_digits { Ok(at) } else { wrong(rest, at) };
    }
    let mut value = 0;
    loop {
        let Some(c) = next(&rest[at..])? else { return wrong(rest, at) };
        if c == '}' && at > START {
            return Ok(at + 1);
        }
        at += c.len_utf8();
        let Some(digit) = c.to_digit(16) else { return wrong(rest, at) };
        value = value * 16 + digit;
        if value > u32::from(char::MAX) {
            return wrong(rest, at);
        }
    }
}

/// Reads a class of Unicode, such as `\pL` or `\p{Greek}`.
fn unicode(rest: &str, behind: &str) -> Result<usize, String> {
    let wrong = |text: &str| Err(format!("invalid character class range: `{text}`"));
    let (size, name) = match behind.strip_prefix('{') {
        Some(body) => match body.find('}') {
            Some(end) => (3 + end + 1, &body[..end]),
            None => return sound(rest).and_then(|()| wrong(rest)),
        },
        None => {
            let width = next(behind)?.map_or(0, char::len_utf8);
            (2 + width, &behind[..width])
        }
    };
    sound(name)?;
    let name = name.trim_start_matches('^');
    let is_known = name == "Any" || Regex::new(&format!("\\p{{{name}}}")).is_ok();
    if name.is_empty() || !is_known { wrong(&rest[..size]) } else { Ok(size) }
}
