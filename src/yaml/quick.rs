//! The plain style in which most YAML is written, read line by line.
//!
//! Mappings and sequences by indentation, quoted scalars, plain ones that end on their line, literal
//! blocks: nothing else is known here. A text that uses more (anchors, tags, folded blocks, several
//! documents), and every text that is wrong, is left to the general reader: what comes out of this
//! one is what that one would have said, many times faster.

use super::reader::{self, Options};
use super::resolve::{Scalar, resolve};
use super::{Document, Map, Value};

/// A key this long is not a simple one for the general reader.
const LONGEST_KEY: usize = 1000;
/// So many bytes are looked at together.
const ODD_BYTES: usize = 4096;
/// Deeper texts are left to the general reader, whose bound they may pass.
const DEEPEST: usize = 100;

/// Which part of a document is wanted; the rest is only checked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Keep<'k> {
    All,
    /// These keys of the outermost mapping.
    Keys(&'k [&'k str]),
    Nothing,
}

impl Keep<'_> {
    fn below(self, key: &str) -> Self {
        match self {
            Self::Keys(keys) if keys.contains(&key) => Self::All,
            Self::Keys(_) => Self::Nothing,
            other => other,
        }
    }
}

/// Reads a text that is a single document in plain style; `None` for every other.
pub(super) fn read(text: &str, options: Options, keep: Keep<'_>) -> Option<Document> {
    if !is_plain(text) {
        return None;
    }
    let mut quick = Quick { text, bytes: text.as_bytes(), options, at: 0, column: 0, ended: false };
    quick.line_at(0)?;
    if quick.ended {
        return None;
    }
    let first = quick.at;
    let value = quick.collection(0, keep)??;
    if !quick.ended {
        return None;
    }
    Some(Document { value, line: text[..first].matches('\n').count() + 1 })
}

/// Whether a text has no characters that are forbidden or break lines in unusual ways.
fn is_plain(text: &str) -> bool {
    let odd = |byte: u8| (byte < b' ' && byte != b'\n' && byte != b'\t') || byte == 0x7f;
    // No short cut inside a piece: the loop runs many bytes at a time.
    let any = |piece: &[u8]| piece.iter().fold(0, |any, byte| any | u8::from(odd(*byte))) > 0;
    !text.as_bytes().chunks(ODD_BYTES).any(any)
        && (text.is_ascii()
            || !text.contains(|c| {
                matches!(c, '\u{80}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
                    || matches!(c, '\u{fffe}' | '\u{ffff}')
            }))
}

/// On how many lines a quoted scalar may stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lines {
    One,
    Many,
}

struct Quick<'t> {
    text: &'t str,
    bytes: &'t [u8],
    options: Options,
    /// The first character of the line, or of the part of a line, that is read next.
    at: usize,
    /// The column in which it stands.
    column: usize,
    ended: bool,
}

impl<'t> Quick<'t> {
    fn byte(&self, at: usize) -> u8 {
        // The end counts as a line break.
        self.bytes.get(at).copied().unwrap_or(b'\n')
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

    /// Goes to the first line, from the one that starts here, that says something.
    fn line_at(&mut self, mut start: usize) -> Option<()> {
        loop {
            if start >= self.bytes.len() {
                self.ended = true;
                return Some(());
            }
            let at = self.behind_spaces(start);
            match self.byte(at) {
                b'\n' => start = at + 1,
                b'#' => start = self.line_end(at) + 1,
                b'\t' => return None,
                first => {
                    if at == start && (first == b'%' || self.is_marker(at)) {
                        return None;
                    }
                    (self.at, self.column) = (at, at - start);
                    return Some(());
                }
            }
        }
    }

    /// Goes on behind a node that ended here, if nothing but a comment follows on its line.
    fn end_line(&mut self, end: usize) -> Option<()> {
        let at = self.behind_spaces(end);
        match self.byte(at) {
            b'\n' => self.line_at(at + 1),
            b'#' if at > end => self.line_at(self.line_end(at) + 1),
            _ => None,
        }
    }

    fn is_marker(&self, at: usize) -> bool {
        matches!(self.bytes.get(at..at + 3), Some(b"---" | b"..."))
    }

    fn is_dash(&self, at: usize) -> bool {
        self.byte(at) == b'-' && matches!(self.byte(at + 1), b' ' | b'\n')
    }

    /// Reads the mapping or sequence that starts here, if it is one.
    #[expect(clippy::option_option, reason = "not one, and one that is left to others")]
    fn collection(&mut self, depth: usize, keep: Keep<'_>) -> Option<Option<Value>> {
        if depth > DEEPEST {
            return Some(None);
        }
        if self.is_dash(self.at) {
            return Some(self.sequence(depth, keep));
        }
        let (key, behind) = self.key(self.at)?;
        Some(self.mapping(key, behind, depth, keep))
    }

    /// Reads the node that starts here, on a line of its own, inside one of this indentation.
    fn block(&mut self, indent: usize, depth: usize, keep: Keep<'_>) -> Option<Value> {
        match self.collection(depth, keep) {
            Some(collection) => collection,
            None => self.on_line(self.at, indent, keep),
        }
    }

    fn mapping(
        &mut self,
        first: Key<'t>,
        behind: usize,
        depth: usize,
        keep: Keep<'_>,
    ) -> Option<Value> {
        let indent = self.column;
        let mut map = Map::new();
        let (mut key, mut behind) = (first, behind);
        loop {
            let below = keep.below(key.as_ref());
            let value = self.value(behind, indent, depth, below)?;
            if !matches!(below, Keep::Nothing) {
                let before = map.insert(key.into_owned(), value);
                if before.is_some() && self.options.strict {
                    return None;
                }
            }
            if self.ended || self.column < indent {
                return Some(Value::Object(map));
            }
            if self.column > indent || self.is_dash(self.at) {
                return None;
            }
            (key, behind) = self.key(self.at)?;
        }
    }

    fn sequence(&mut self, depth: usize, keep: Keep<'_>) -> Option<Value> {
        let indent = self.column;
        let keep = match keep {
            Keep::Keys(_) => Keep::All,
            other => other,
        };
        let mut list = Vec::new();
        loop {
            let item = self.item(indent, depth, keep)?;
            if !matches!(keep, Keep::Nothing) {
                list.push(item);
            }
            if self.ended || self.column < indent {
                return Some(Value::Array(list));
            }
            if self.column > indent {
                return None;
            }
            if !self.is_dash(self.at) {
                return Some(Value::Array(list));
            }
        }
    }

    /// Reads what stands behind the dash here.
    fn item(&mut self, indent: usize, depth: usize, keep: Keep<'_>) -> Option<Value> {
        let at = self.behind_spaces(self.at + 1);
        match self.byte(at) {
            b'\n' | b'#' => {
                self.end_line(self.at + 1)?;
                if self.ended || self.column <= indent {
                    return Some(Value::Null);
                }
                return self.block(indent, depth + 1, keep);
            }
            _ => {}
        }
        let (dash, column) = (self.at, self.column);
        let here = (at, column + (at - dash));
        if self.is_dash(at) {
            (self.at, self.column) = here;
            return self.collection(depth + 1, keep)?;
        }
        if let Some((key, behind)) = self.key(at) {
            (self.at, self.column) = here;
            return (depth < DEEPEST).then(|| self.mapping(key, behind, depth + 1, keep))?;
        }
        self.on_line(at, indent, keep)
    }

    /// Reads the value behind a key's colon.
    fn value(
        &mut self,
        behind: usize,
        indent: usize,
        depth: usize,
        keep: Keep<'_>,
    ) -> Option<Value> {
        let at = self.behind_spaces(behind);
        if !matches!(self.byte(at), b'\n' | b'#') {
            return self.on_line(at, indent, keep);
        }
        self.end_line(behind)?;
        let inside = self.column > indent || (self.column == indent && self.is_dash(self.at));
        if self.ended || !inside {
            return Some(Value::Null);
        }
        self.block(indent, depth + 1, keep)
    }

    /// Reads a scalar, or a collection between brackets, that ends on its line; or a literal block.
    fn on_line(&mut self, at: usize, indent: usize, keep: Keep<'_>) -> Option<Value> {
        if self.byte(at) == b'|' {
            let value = self.literal(at, indent, keep)?;
            return (self.ended || self.column <= indent).then_some(value);
        }
        let (value, end) = match self.byte(at) {
            b'[' | b'{' => self.flow(at, 0)?,
            b'"' | b'\'' => {
                let (text, end) = self.quoted(at, Lines::Many)?;
                (self.text(text, keep), end)
            }
            _ => {
                let (text, end) = self.plain(at)?;
                (self.scalar(text, keep)?, end)
            }
        };
        self.end_line(end)?;
        // A deeper line would continue the scalar.
        (self.ended || self.column <= indent).then_some(value)
    }

    fn text(&self, text: Key<'_>, keep: Keep<'_>) -> Value {
        match keep {
            Keep::Nothing => Value::Null,
            _ => Value::String(text.into_owned()),
        }
    }

    /// What a plain scalar means.
    fn scalar(&self, text: &str, keep: Keep<'_>) -> Option<Value> {
        let nothing = matches!(keep, Keep::Nothing);
        if nothing && !text.starts_with(['.', '+', '-']) {
            return Some(Value::Null);
        }
        match resolve(text) {
            Scalar::Text if nothing => Some(Value::Null),
            Scalar::Text => Some(Value::String(text.to_owned())),
            Scalar::Null => Some(Value::Null),
            Scalar::Bool(value) => Some(Value::Bool(value)),
            Scalar::Merge => None,
            Scalar::Int(value) => reader::number(self.options.numbers, value.into()),
            Scalar::Uint(value) => reader::number(self.options.numbers, value.into()),
            Scalar::Float(value) => reader::float(self.options.numbers, value),
        }
    }

    /// Reads a key; returns where its colon ends.
    fn key(&self, at: usize) -> Option<(Key<'t>, usize)> {
        let (key, end) = match self.byte(at) {
            b'"' | b'\'' => self.quoted(at, Lines::One)?,
            _ => {
                let (text, end) = self.plain_until_colon(at)?;
                if resolve(text) != Scalar::Text {
                    return None;
                }
                (Key::Borrowed(text), end)
            }
        };
        let colon = self.behind_spaces(end);
        let fits = self.byte(colon) == b':'
            && matches!(self.byte(colon + 1), b' ' | b'\n')
            && colon - at <= LONGEST_KEY;
        fits.then_some((key, colon + 1))
    }

    /// The part of a line that is one plain scalar, and where it ends; nothing if it cannot be one.
    fn plain_part(&self, at: usize) -> Option<(&'t str, usize)> {
        match self.byte(at) {
            b'-' | b'?' | b':' if !matches!(self.byte(at + 1), b' ' | b'\n') => {}
            b'-' | b'?' | b':' | b',' | b'[' | b']' | b'{' | b'}' | b'#' | b'&' | b'*' | b'!'
            | b'|' | b'>' | b'\'' | b'"' | b'%' | b'@' | b'`' | b'\n' => return None,
            _ => {}
        }
        let mut end = at;
        loop {
            match self.byte(end) {
                b'\n' => break,
                b'\t' => return None,
                b'#' if self.bytes[end - 1] == b' ' => break,
                b':' if matches!(self.byte(end + 1), b' ' | b'\n') => break,
                _ => end += 1,
            }
        }
        let text = self.text[at..end].trim_end_matches(' ');
        Some((text, at + text.len()))
    }

    fn plain(&self, at: usize) -> Option<(&'t str, usize)> {
        let (text, end) = self.plain_part(at)?;
        (self.byte(self.behind_spaces(end)) != b':').then_some((text, end))
    }

    fn plain_until_colon(&self, at: usize) -> Option<(&'t str, usize)> {
        self.plain_part(at)
    }

    /// Reads a quoted scalar.
    fn quoted(&self, at: usize, lines: Lines) -> Option<(Key<'t>, usize)> {
        let quote = self.byte(at);
        let start = at + 1;
        let mut owned = String::new();
        let (mut from, mut end) = (start, start);
        loop {
            match self.byte(end) {
                b'\t' => return None,
                b'\n' => {
                    if lines == Lines::One {
                        return None;
                    }
                    owned.push_str(self.text[from..end].trim_end_matches(' '));
                    from = self.fold(end, &mut owned)?;
                    end = from;
                }
                b'\\' if quote == b'"' => {
                    owned.push_str(&self.text[from..end]);
                    owned.push(match self.byte(end + 1) {
                        b'n' => '\n',
                        b't' => '\t',
                        b'r' => '\r',
                        b'"' => '"',
                        b'\\' => '\\',
                        b'/' => '/',
                        _ => return None,
                    });
                    end += 2;
                    from = end;
                }
                byte if byte == quote => {
                    if quote == b'\'' && self.byte(end + 1) == b'\'' {
                        owned.push_str(&self.text[from..=end]);
                        end += 2;
                        from = end;
                        continue;
                    }
                    if from == start {
                        return Some((Key::Borrowed(&self.text[from..end]), end + 1));
                    }
                    owned.push_str(&self.text[from..end]);
                    return Some((Key::Owned(owned), end + 1));
                }
                _ => end += 1,
            }
        }
    }

    /// Folds the line breaks that begin here: one is a space, of more the first is left out.
    fn fold(&self, mut end: usize, folded: &mut String) -> Option<usize> {
        let mut breaks = 0;
        loop {
            let start = end + 1;
            let at = self.behind_spaces(start);
            if at >= self.bytes.len() || (at == start && self.is_marker(at)) {
                return None;
            }
            if self.byte(at) != b'\n' {
                folded.push_str(if breaks == 0 { " " } else { "" });
                return Some(at);
            }
            folded.push('\n');
            breaks += 1;
            end = at;
        }
    }

    /// Reads a collection between brackets on one line, of quoted and simple plain scalars.
    fn flow(&self, at: usize, depth: usize) -> Option<(Value, usize)> {
        if depth > DEEPEST {
            return None;
        }
        let open = self.byte(at);
        let close = match open {
            b'[' => b']',
            b'{' => b'}',
            b'"' | b'\'' => {
                let (text, end) = self.quoted(at, Lines::One)?;
                return Some((Value::String(text.into_owned()), end));
            }
            _ => {
                let end = self.flow_plain(at)?;
                return Some((self.scalar(&self.text[at..end], Keep::All)?, end));
            }
        };
        let (mut list, mut map) = (Vec::new(), Map::new());
        let mut at = self.behind_spaces(at + 1);
        while self.byte(at) != close {
            if open == b'{' {
                let (key, behind) = self.flow_key(at)?;
                let (value, end) = self.flow(self.behind_spaces(behind), depth + 1)?;
                if map.insert(key, value).is_some() && self.options.strict {
                    return None;
                }
                at = end;
            } else {
                let (item, end) = self.flow(at, depth + 1)?;
                list.push(item);
                at = end;
            }
            at = self.behind_spaces(at);
            match self.byte(at) {
                b',' => {
                    at = self.behind_spaces(at + 1);
                    // A comma before the bracket is for the general reader.
                    if self.byte(at) == close {
                        return None;
                    }
                }
                byte if byte == close => {}
                _ => return None,
            }
        }
        let value = if open == b'[' { Value::Array(list) } else { Value::Object(map) };
        Some((value, at + 1))
    }

    fn flow_key(&self, at: usize) -> Option<(String, usize)> {
        let (key, end) = match self.byte(at) {
            b'"' | b'\'' => {
                let (key, end) = self.quoted(at, Lines::One)?;
                (key.into_owned(), end)
            }
            _ => {
                let end = self.flow_plain(at)?;
                let text = &self.text[at..end];
                (text.to_owned(), (resolve(text) == Scalar::Text).then_some(end)?)
            }
        };
        let fits = self.byte(end) == b':' && self.byte(end + 1) == b' ' && end - at < LONGEST_KEY;
        fits.then_some((key, end + 2))
    }

    fn flow_plain(&self, at: usize) -> Option<usize> {
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'/');
        let mut end = at;
        while inside(self.byte(end)) || (end > at && self.byte(end) == b'-') {
            end += 1;
        }
        (end > at).then_some(end)
    }

    /// Reads a literal block whose header is here.
    fn literal(&mut self, at: usize, indent: usize, keep: Keep<'_>) -> Option<Value> {
        let chomping = match self.byte(at + 1) {
            chomping @ (b'+' | b'-') => chomping,
            _ => b' ',
        };
        let behind = at + 1 + usize::from(chomping != b' ');
        let header = self.behind_spaces(behind);
        match self.byte(header) {
            b'\n' => {}
            b'#' if header > behind => {}
            _ => return None,
        }
        let start = self.line_end(header) + 1;
        let inner = self.literal_indent(start)?;
        if inner <= indent {
            return None;
        }
        let nothing = matches!(keep, Keep::Nothing);
        let mut text = String::new();
        // Behind the last line that is not empty.
        let (mut length, mut line) = (0, start);
        let mut broken = true;
        while line < self.bytes.len() {
            let end = self.line_end(line);
            let content = self.behind_spaces(line).min(line + inner);
            if end == self.bytes.len() && self.text[line..].trim().is_empty() {
                // How a text ends that ends in spaces is for the general reader.
                return None;
            }
            if content == end {
                // Empty, however many of the indentation's spaces it has.
            } else if content < line + inner {
                if self.byte(content) == b'\t' {
                    return None;
                }
                break;
            } else if !nothing {
                text.push_str(&self.text[content..end]);
                length = text.len();
                broken = end < self.bytes.len();
            }
            if !nothing {
                text.push('\n');
            }
            line = end + 1;
        }
        match chomping {
            b'-' => text.truncate(length),
            b' ' => text.truncate(length + 1),
            _ => {}
        }
        // The last line of a text may have no break.
        if !broken && text.len() > length {
            text.truncate(length);
        }
        self.line_at(line)?;
        Some(if nothing { Value::Null } else { Value::String(text) })
    }

    /// The indentation of a literal block: that of its first line that is not empty.
    fn literal_indent(&self, start: usize) -> Option<usize> {
        let (mut line, mut widest) = (start, 0);
        while line < self.bytes.len() {
            let at = self.behind_spaces(line);
            match self.byte(at) {
                b'\n' => {
                    widest = widest.max(at - line);
                    line = at + 1;
                }
                b'\t' => return None,
                // An empty line before that is wider sets the indentation in the general reader.
                _ => return (at - line >= widest).then_some(at - line),
            }
        }
        None
    }
}

/// A text that is mostly a part of what is read.
type Key<'t> = std::borrow::Cow<'t, str>;

#[cfg(test)]
mod tests;
