//! An entry in the style of `helm repo index`, read line by line.
//!
//! Mappings and lists by indentation; scalars that are quoted, plain (also over several lines), or
//! literal: nothing else is known here. Every other entry, and every wrong one, is left to the
//! general reader: what comes out of this one is what that one would have said, many times faster.
//! What is not wanted is checked, but not decoded.

use std::borrow::Cow;

use super::super::entry::Fields;

/// Deeper entries are left to the general reader.
const DEEPEST: usize = 16;
/// A key this long is not a simple one for the general reader.
const LONGEST_KEY: usize = 200;

/// Reads the text of one list item whose dash is indented by `dash`; none if it is not plain.
pub(super) fn read(text: &str, dash: usize) -> Option<Fields<'_>> {
    if !is_plain(text) {
        return None;
    }
    let mut plain = Plain { text, bytes: text.as_bytes(), at: 0, indent: dash };
    let first = plain.bytes.get(dash..dash + 3)?;
    if first[..2] != *b"- " || first[2] == b' ' {
        return None;
    }
    plain.at = dash + 2;
    let mut fields = Fields::default();
    let mut seen = 0;
    loop {
        let (key, behind) = plain.key()?;
        plain.field(key, behind, dash + 2, (&mut fields, &mut seen))?;
        if plain.ended() {
            return Some(fields);
        }
        if plain.indent != dash + 2 || plain.is_dash() {
            return None;
        }
    }
}

/// Whether a text has no characters that are forbidden or break lines in unusual ways.
fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| (byte >= b' ' && byte != 0x7f) || byte == b'\n' || byte == b'\t';
    // No short cut: the whole loop runs many bytes at a time.
    text.bytes().fold(true, |all, byte| all & plain(byte))
        && (text.is_ascii()
            || !text.contains(|c| {
                matches!(c, '\u{80}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
                    || matches!(c, '\u{fffe}' | '\u{ffff}')
            }))
}

/// What is to become of a scalar.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Want {
    Text,
    Nothing,
}

/// Always stands at the first character of a line that is not a space, or behind a dash there.
struct Plain<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    /// The column of `at`.
    indent: usize,
}

impl<'t> Plain<'t> {
    fn byte(&self, at: usize) -> u8 {
        // The end counts as a line break.
        self.bytes.get(at).copied().unwrap_or(b'\n')
    }

    fn ended(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn line_end(&self, from: usize) -> usize {
        memchr::memchr(b'\n', &self.bytes[from..]).map_or(self.bytes.len(), |at| from + at)
    }

    fn behind_spaces(&self, mut at: usize) -> usize {
        while self.bytes.get(at) == Some(&b' ') {
            at += 1;
        }
        at
    }

    fn is_dash(&self) -> bool {
        self.byte(self.at) == b'-' && matches!(self.byte(self.at + 1), b' ' | b'\n')
    }

    /// Goes to the line behind the break at `end`; an empty one or a comment is not plain.
    fn next_line(&mut self, end: usize) -> Option<()> {
        let start = end + 1;
        if start >= self.bytes.len() {
            self.at = self.bytes.len();
            self.indent = 0;
            return Some(());
        }
        let at = self.behind_spaces(start);
        if matches!(self.byte(at), b'\n' | b'#' | b'\t') {
            return None;
        }
        (self.at, self.indent) = (at, at - start);
        Some(())
    }

    /// Reads the key here; returns where its colon ends.
    fn key(&self) -> Option<(&'t str, usize)> {
        let rest = &self.bytes[self.at..];
        let ends = |byte: &u8| !(byte.is_ascii_alphanumeric() || b"-_./".contains(byte));
        let length = rest.iter().position(ends)?;
        let key = &self.text[self.at..self.at + length];
        let behind = self.at + length + 1;
        let fits = rest[length] == b':'
            && matches!(self.byte(behind), b' ' | b'\n')
            && key.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
            && length < LONGEST_KEY
            && surely_text(key);
        fits.then_some((key, behind))
    }

    /// Reads what stands behind a key of the entry.
    fn field(
        &mut self,
        key: &str,
        behind: usize,
        indent: usize,
        (fields, seen): (&mut Fields<'t>, &mut u16),
    ) -> Option<()> {
        let (bit, text) = match key {
            "name" => (0, &mut fields.name),
            "version" => (1, &mut fields.version),
            "type" => (2, &mut fields.kind),
            "appVersion" => (3, &mut fields.app_version),
            "kubeVersion" => (4, &mut fields.kube_version),
            "digest" => (5, &mut fields.digest),
            "created" => (6, &mut fields.created),
            "description" => (7, &mut fields.description),
            "urls" | "keywords" => {
                let (bit, list) =
                    if key == "urls" { (8, &mut fields.urls) } else { (9, &mut fields.keywords) };
                once(seen, bit)?;
                return self.texts(behind, indent, list);
            }
            "deprecated" => {
                once(seen, 10)?;
                fields.deprecated = self.flag(behind)?;
                return Some(());
            }
            _ => return self.skip(behind, indent, 0),
        };
        once(seen, bit)?;
        let at = self.behind_spaces(behind);
        *text = self.scalar(at, indent, Want::Text)?;
        Some(())
    }

    fn flag(&mut self, behind: usize) -> Option<bool> {
        let end = self.line_end(behind);
        let flag = match &self.text[behind..end] {
            " true" => true,
            " false" => false,
            _ => return None,
        };
        self.next_line(end)?;
        Some(flag)
    }

    /// Reads a list of texts.
    fn texts(&mut self, behind: usize, indent: usize, list: &mut Vec<Cow<'t, str>>) -> Option<()> {
        if self.byte(behind) != b'\n' {
            let end = self.line_end(behind);
            return (&self.text[behind..end] == " []").then(|| self.next_line(end))?;
        }
        self.next_line(behind)?;
        let column = self.indent;
        if column < indent {
            return None;
        }
        while !self.ended() && self.indent == column && self.is_dash() {
            let at = self.behind_spaces(self.at + 1);
            list.push(self.scalar(at, column, Want::Text)?);
        }
        let closed = self.ended() || self.indent <= indent;
        (closed && !list.is_empty()).then_some(())
    }

    /// Checks what stands behind a key.
    fn skip(&mut self, behind: usize, indent: usize, depth: usize) -> Option<()> {
        let at = self.behind_spaces(behind);
        if self.byte(at) != b'\n' {
            self.scalar(at, indent, Want::Nothing)?;
            return Some(());
        }
        self.next_line(at)?;
        if self.ended() || self.indent < indent || (self.indent == indent && !self.is_dash()) {
            return Some(());
        }
        self.collection(depth + 1)
    }

    /// Checks the mapping or list that starts here.
    fn collection(&mut self, depth: usize) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        let (indent, list) = (self.indent, self.is_dash());
        loop {
            if list {
                self.item(indent, depth)?;
            } else {
                let (_, behind) = self.key()?;
                self.skip(behind, indent, depth)?;
            }
            if self.ended() || self.indent < indent {
                return Some(());
            }
            let same = self.is_dash() == list;
            if self.indent > indent || (!list && !same) {
                return None;
            }
            if !same {
                return Some(());
            }
        }
    }

    /// Checks what stands behind the dash here.
    fn item(&mut self, indent: usize, depth: usize) -> Option<()> {
        let at = self.at + 2;
        if self.byte(at - 1) != b' ' || matches!(self.byte(at), b' ' | b'\n') {
            return None;
        }
        let dash = self.at;
        (self.at, self.indent) = (at, indent + 2);
        if self.is_dash() || self.key().is_some() {
            return self.collection(depth + 1);
        }
        (self.at, self.indent) = (dash, indent);
        self.scalar(at, indent, Want::Nothing)?;
        Some(())
    }

    /// Reads the scalar at `at`, inside of a collection of this indentation.
    fn scalar(&mut self, at: usize, indent: usize, want: Want) -> Option<Cow<'t, str>> {
        let value = match self.byte(at) {
            quote @ (b'"' | b'\'') => {
                let (value, end) = self.quoted(at + 1, quote, want)?;
                let end = self.behind_spaces(end);
                if self.byte(end) != b'\n' {
                    return None;
                }
                self.next_line(end)?;
                value
            }
            b'|' if want == Want::Nothing => {
                self.literal(at, indent)?;
                Cow::Borrowed("")
            }
            b'[' | b'{' if want == Want::Nothing => {
                let end = self.line_end(at);
                if !matches!(&self.text[at..end], "[]" | "{}") {
                    return None;
                }
                self.next_line(end)?;
                Cow::Borrowed("")
            }
            _ => return self.plain(at, indent, want),
        };
        // A deeper line would continue it.
        (self.ended() || self.indent <= indent).then_some(value)
    }

    fn plain(&mut self, at: usize, indent: usize, want: Want) -> Option<Cow<'t, str>> {
        let first = self.byte(at);
        if b"-?:,[]{}#&*!|>'\"%@`\n.+".contains(&first) {
            return None;
        }
        let end = self.plain_line(at)?;
        let text = self.text[at..end].trim_end_matches(' ');
        self.next_line(end)?;
        if self.ended() || self.indent <= indent {
            let fits = want == Want::Nothing || surely_text(text);
            return fits.then_some(Cow::Borrowed(text));
        }
        let mut whole = String::new();
        if want == Want::Text {
            whole.push_str(text);
        }
        while !self.ended() && self.indent > indent {
            let start = self.at;
            if matches!(self.byte(start), b'-' | b'?' | b':') {
                return None;
            }
            let end = self.plain_line(start)?;
            if want == Want::Text {
                whole.push(' ');
                whole.push_str(self.text[start..end].trim_end_matches(' '));
            }
            self.next_line(end)?;
        }
        Some(Cow::Owned(whole))
    }

    /// Returns the end of a line of a plain scalar; none if it is more than that.
    fn plain_line(&self, at: usize) -> Option<usize> {
        let end = self.line_end(at);
        let line = &self.bytes[at..end];
        let breaks = |at: usize| match line[at] {
            b':' => matches!(line.get(at + 1), None | Some(b' ')),
            b'#' => at > 0 && line[at - 1] == b' ',
            _ => true,
        };
        let odd = memchr::memchr3_iter(b':', b'#', b'\t', line).any(breaks);
        (!odd).then_some(end)
    }

    /// Reads a quoted scalar from behind its first quote; returns where it ends.
    fn quoted(&self, start: usize, quote: u8, want: Want) -> Option<(Cow<'t, str>, usize)> {
        let mut owned = String::new();
        let (mut from, mut at) = (start, start);
        loop {
            at += memchr::memchr3(quote, b'\\', b'\n', &self.bytes[at..])?;
            match self.bytes[at] {
                b'\n' if want == Want::Text => {
                    owned.push_str(self.text[from..at].trim_end_matches(' '));
                    at = self.fold(at, &mut owned);
                    from = at;
                }
                b'\n' => at = self.behind_spaces(at + 1),
                b'\\' if quote == b'\'' => at += 1,
                b'\\' => {
                    owned.push_str(&self.text[from..at]);
                    let (character, length) = self.escaped(at + 1)?;
                    owned.push(character);
                    at += 1 + length;
                    from = at;
                }
                _ if quote == b'\'' && self.byte(at + 1) == b'\'' => {
                    owned.push_str(&self.text[from..=at]);
                    at += 2;
                    from = at;
                }
                _ => break,
            }
        }
        if memchr::memchr(b'\t', &self.bytes[start..at]).is_some() {
            return None;
        }
        let text = if from == start {
            Cow::Borrowed(&self.text[start..at])
        } else {
            owned.push_str(&self.text[from..at]);
            Cow::Owned(owned)
        };
        Some((text, at + 1))
    }

    /// Reads what stands behind a backslash, and how long it is.
    fn escaped(&self, at: usize) -> Option<(char, usize)> {
        let digits = match self.byte(at) {
            b'n' => return Some(('\n', 1)),
            b't' => return Some(('\t', 1)),
            b'r' => return Some(('\r', 1)),
            same @ (b'"' | b'\\' | b'/' | b' ') => return Some((same.into(), 1)),
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            _ => return None,
        };
        let digits = self.text.get(at + 1..at + 1 + digits)?;
        let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let code = u32::from_str_radix(digits, 16).ok().filter(|_| hex)?;
        Some((char::from_u32(code)?, 1 + digits.len()))
    }

    /// Folds the line breaks that begin here: one is a space, of more the first is left out. Returns
    /// where the text goes on.
    fn fold(&self, mut at: usize, folded: &mut String) -> usize {
        let mut breaks = 0;
        while self.bytes.get(at) == Some(&b'\n') {
            breaks += 1;
            at = self.behind_spaces(at + 1);
        }
        if breaks == 1 {
            folded.push(' ');
        }
        folded.extend(std::iter::repeat_n('\n', breaks - 1));
        at
    }

    /// Passes over a literal block.
    fn literal(&mut self, at: usize, indent: usize) -> Option<()> {
        let end = self.line_end(at);
        if !matches!(&self.bytes[at + 1..end], b"" | b"-" | b"+") {
            return None;
        }
        self.next_line(end)?;
        let inner = self.indent;
        if self.ended() || inner <= indent {
            return None;
        }
        let mut line = self.at - inner;
        while line < self.bytes.len() {
            let at = self.behind_spaces(line);
            match self.byte(at) {
                b'\n' => line = at + 1,
                _ if at - line >= inner => line = self.line_end(at) + 1,
                b'\t' | b'#' => return None,
                _ => break,
            }
        }
        self.next_line(line - 1)
    }
}

/// Notes that a key was there; none if it was there before.
fn once(seen: &mut u16, bit: u16) -> Option<()> {
    let before = *seen;
    *seen |= 1 << bit;
    (*seen != before).then_some(())
}

/// Whether a plain scalar that begins with no sign is a text in YAML, and certainly nothing else.
fn surely_text(text: &str) -> bool {
    let bytes = text.as_bytes();
    match bytes.first() {
        None => false,
        Some(b'0'..=b'9') => {
            // Behind `0x` and the like, one character must be no digit.
            let radix = match bytes {
                [b'0', b'x' | b'X', ..] => Some(16),
                [b'0', b'b' | b'B', ..] => Some(2),
                [b'0', b'o' | b'O', ..] => Some(8),
                _ => None,
            };
            if let Some(radix) = radix {
                let digit = |byte: &u8| *byte == b'_' || char::from(*byte).is_digit(radix);
                return !bytes[2..].iter().all(digit);
            }
            let letter = |byte: &u8| {
                (byte.is_ascii_alphabetic() && !matches!(byte, b'e' | b'E')) || *byte == b':'
            };
            let dots = bytes.iter().filter(|byte| **byte == b'.').count();
            dots >= 2 || bytes.iter().any(letter)
        }
        Some(_) if bytes.len() <= 5 => {
            let words = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", "<<"];
            !words.iter().any(|word| word.eq_ignore_ascii_case(text))
        }
        Some(_) => true,
    }
}
