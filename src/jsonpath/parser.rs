//! Text → nodes.
//!
//! Source: k8s.io/client-go v0.37.2 util/jsonpath/parser.go.

use std::str::Chars;
use std::sync::LazyLock;

use regex::Regex;

use super::Error;

/// One step of a path, or something that stands for itself.
#[derive(Debug, PartialEq)]
pub(super) enum Node {
    Text(Vec<u8>),
    Whole(i64),
    Float(f64),
    Bool(bool),
    /// `.name`.
    Field(String),
    /// `[start:end:step]`.
    Slice([Bound; 3]),
    /// `[?(…)]`.
    Filter(Filter),
    /// `[a,b]`.
    Union(Vec<Vec<Self>>),
    /// `.*`.
    Wildcard,
    /// `..`.
    Recursive,
    /// `range`, `end`, and what is neither.
    Word(String),
}

/// A bound of a slice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) value: i64,
    pub(super) is_known: bool,
    /// Whether it was not typed, but is the one behind the start.
    pub(super) is_derived: bool,
}

/// What the items of a list must be like.
#[derive(Debug, PartialEq)]
pub(super) enum Filter {
    /// The path finds something.
    Exists(Vec<Node>),
    /// Left, operator, right.
    Compare(Vec<Node>, String, Vec<Node>),
}

/// Reads a template: a part is a text or what stands between two braces.
pub(super) fn parse(text: &str) -> Result<Vec<Vec<Node>>, Error> {
    let mut parser = Parser { rest: text };
    let mut parts = Vec::new();
    loop {
        let (text, action) = match parser.rest.split_once('{') {
            Some((text, action)) => (text, Some(action)),
            None => (parser.rest, None),
        };
        if !text.is_empty() {
            parts.push(vec![Node::Text(text.as_bytes().to_vec())]);
        }
        let Some(action) = action else { return Ok(parts) };
        parser.rest = action;
        parts.push(parser.action()?);
    }
}

fn syntax(text: impl Into<String>) -> Error {
    Error::Syntax(text.into())
}

struct Parser<'t> {
    rest: &'t str,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn eat(&mut self, text: &str) -> bool {
        let behind = self.rest.strip_prefix(text);
        self.rest = behind.unwrap_or(self.rest);
        behind.is_some()
    }

    fn take(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }

    /// Reads what stands between braces, and the closing one.
    fn action(&mut self) -> Result<Vec<Node>, Error> {
        let mut nodes = Vec::new();
        loop {
            if self.eat("}") {
                return Ok(nodes);
            }
            if self.eat("[?(") {
                nodes.push(Node::Filter(self.filter()?));
                continue;
            }
            if self.eat("..") {
                self.recursive(&mut nodes)?;
                continue;
            }
            match self.peek() {
                None | Some('\r' | '\n') => return Err(syntax("unclosed action")),
                // `@` and `$` are the current object, which everything begins with.
                Some(' ' | '@' | '$') => {
                    self.take(1);
                }
                Some('[') => self.array(&mut nodes)?,
                Some(quote @ ('"' | '\'')) => nodes.push(self.quoted(quote)?),
                Some('.') => {
                    self.take(1);
                    nodes.push(self.field());
                }
                Some(c) if c == '+' || c == '-' || is_digit(c) => nodes.push(self.number()?),
                Some(c) if is_alphanumeric(c) => nodes.push(self.word()),
                Some(c) => {
                    let shown = if is_print(c) { format!(" '{c}'") } else { String::new() };
                    let code = u32::from(c);
                    return Err(syntax(format!(
                        "unrecognized character in action: U+{code:04X}{shown}"
                    )));
                }
            }
        }
    }

    fn recursive(&mut self, nodes: &mut Vec<Node>) -> Result<(), Error> {
        if nodes.last() == Some(&Node::Recursive) {
            return Err(syntax("invalid multiple recursive descent"));
        }
        nodes.push(Node::Recursive);
        if self.peek().is_some_and(is_alphanumeric) {
            nodes.push(self.field());
        }
        Ok(())
    }

    fn field(&mut self) -> Node {
        let mut end = 0;
        let mut is_escaped = false;
        for c in self.rest.chars() {
            if !is_escaped && is_terminator(c) {
                break;
            }
            is_escaped = !is_escaped && c == '\\';
            end += c.len_utf8();
        }
        match self.take(end) {
            "*" => Node::Wildcard,
            name => Node::Field(name.replace('\\', "")),
        }
    }

    fn word(&mut self) -> Node {
        let end = self.rest.find(is_terminator).unwrap_or(self.rest.len());
        match self.take(end) {
            "true" => Node::Bool(true),
            "false" => Node::Bool(false),
            word => Node::Word(word.to_owned()),
        }
    }

    fn number(&mut self) -> Result<Node, Error> {
        let sign = usize::from(self.rest.starts_with(['+', '-']));
        let is_part = |c: char| c == '.' || is_digit(c);
        let digits = &self.rest[sign..];
        let end = digits.find(|c| !is_part(c)).unwrap_or(digits.len());
        let text = self.take(sign + end);
        if let Ok(whole) = text.parse() {
            return Ok(Node::Whole(whole));
        }
        match text.parse::<f64>() {
            Ok(float) if float.is_finite() => Ok(Node::Float(float)),
            _ => Err(syntax(format!("cannot parse number {text}"))),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<Node, Error> {
        let mut before = quote;
        for (at, c) in self.rest.char_indices().skip(1) {
            if c == '\n' {
                break;
            }
            if c == quote && before != '\\' {
                let whole = self.take(at + 1);
                let text = unquote(&whole[1..at], quote);
                let wrong = || syntax(format!("unquote string {whole} error invalid syntax"));
                return Ok(Node::Text(text.ok_or_else(wrong)?));
            }
            before = c;
        }
        Err(syntax("unterminated quoted string"))
    }

    fn array(&mut self, nodes: &mut Vec<Node>) -> Result<(), Error> {
        let end = self.rest.find(['\n', ']']).filter(|at| self.rest[*at..].starts_with(']'));
        let whole = self.take(end.ok_or_else(|| syntax("unterminated array"))? + 1);
        let text = &whole[1..whole.len() - 1];
        if text.contains(',') {
            let parts = text.split(',').map(|part| format!("[{}]", part.trim_matches(' ')));
            let parts: Result<_, _> = parts.map(|part| inner(&part)).collect();
            nodes.push(Node::Union(parts?));
            return Ok(());
        }
        let unquoted = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
        match unquoted.filter(|key| !key.contains('\'')) {
            Some(key) => nodes.extend(inner(&format!(".{key}"))?),
            None => nodes.push(Node::Slice(bounds(if text == "*" { ":" } else { text })?)),
        }
        Ok(())
    }

    fn filter(&mut self) -> Result<Filter, Error> {
        let text = self.filter_text()?;
        if !self.eat("]") {
            return Err(syntax("unclosed array expect ]"));
        }
        Ok(match comparison(text) {
            None => Filter::Exists(inner(text)?),
            Some((left, operator, right)) => {
                Filter::Compare(inner(left)?, operator.to_owned(), inner(right)?)
            }
        })
    }

    /// Takes the text up to the `)` that ends the filter, and that. Only the first quoted text is
    /// looked at.
    fn filter_text(&mut self) -> Result<&'t str, Error> {
        let (mut quote, mut is_over, mut before) = (None, false, '(');
        for (at, c) in self.rest.char_indices() {
            match (c, quote) {
                ('\n', _) => break,
                ('"' | '\'', None) => quote = Some(c),
                ('"' | '\'', Some(first)) => is_over |= before != '\\' && c == first,
                (')', _) if quote.is_some() == is_over => {
                    let whole = self.take(at + 1);
                    return Ok(&whole[..at]);
                }
                _ => {}
            }
            before = c;
        }
        Err(syntax("unterminated filter"))
    }
}

/// Reads a text as if it stood between braces. What stands in brackets ends with the first closing
/// one, so brackets are never deep in each other.
fn inner(text: &str) -> Result<Vec<Node>, Error> {
    Ok(parse(&format!("{{{text}}}"))?.into_iter().next().unwrap_or_default())
}

/// Reads `start:end:step`.
fn bounds(text: &str) -> Result<[Bound; 3], Error> {
    let parts: Vec<&str> = text.split(':').collect();
    let is_number = |part: &&str| {
        part.strip_prefix('-').unwrap_or(part).bytes().all(|byte| byte.is_ascii_digit())
    };
    if parts.len() > 3 || !parts.iter().all(is_number) {
        return Err(syntax(format!("invalid array index {text}")));
    }
    let mut bounds = [Bound::default(); 3];
    for (bound, part) in bounds.iter_mut().zip(&parts).filter(|(_, part)| !part.is_empty()) {
        let value = part.parse();
        let wrong = |_| syntax(format!("array index {part} is not a number"));
        *bound = Bound { value: value.map_err(wrong)?, is_known: true, is_derived: false };
    }
    if parts.len() == 1 {
        let value = bounds[0].value.wrapping_add(1);
        bounds[1] = Bound { value, is_known: true, is_derived: true };
    }
    Ok(bounds)
}

/// Splits `left operator right` at the first run of operator signs, of which the right side gets
/// the last one if nothing follows.
fn comparison(text: &str) -> Option<(&str, &str, &str)> {
    let is_sign = |c: char| matches!(c, '!' | '<' | '>' | '=');
    let start = text.find(is_sign).filter(|start| *start > 0)?;
    let run = text[start..].find(|c| !is_sign(c)).map_or(text.len(), |end| start + end);
    let end = if run == text.len() { run - 1 } else { run };
    (end > start).then(|| (&text[..start], &text[start..end], &text[end..]))
}

/// Reads the inside of a quoted text.
///
/// Source: go strconv/quote.go (`UnquoteChar`).
fn unquote(text: &str, quote: char) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c == quote {
            return None;
        }
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        match rest.next()? {
            'a' => out.push(7),
            'b' => out.push(8),
            'f' => out.push(12),
            'n' => out.push(b'\n'),
            'r' => out.push(b'\r'),
            't' => out.push(b'\t'),
            'v' => out.push(11),
            '\\' => out.push(b'\\'),
            c @ ('\'' | '"') if c == quote => out.push(c as u8),
            'x' => out.push(u8::try_from(digits(&mut rest, 0, 2, 16)?).ok()?),
            c @ '0'..='7' => {
                out.push(u8::try_from(digits(&mut rest, c.to_digit(8)?, 2, 8)?).ok()?);
            }
            c @ ('u' | 'U') => {
                let code = digits(&mut rest, 0, if c == 'u' { 4 } else { 8 }, 16)?;
                out.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => return None,
        }
    }
    Some(out)
}

/// Takes digits off a text and returns their value, behind those that stand before them.
fn digits(text: &mut Chars<'_>, before: u32, count: usize, radix: u32) -> Option<u32> {
    (0..count).try_fold(before, |sum, _| {
        let digit = text.next()?.to_digit(radix)?;
        sum.checked_mul(radix)?.checked_add(digit)
    })
}

fn is_terminator(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}')
}

fn is_digit(c: char) -> bool {
    static DIGIT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\p{Nd}$").ok());
    if c.is_ascii() { c.is_ascii_digit() } else { is_of(&DIGIT, c) }
}

fn is_alphanumeric(c: char) -> bool {
    static LETTER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^[\p{L}\p{Nd}]$").ok());
    if c.is_ascii() { c == '_' || c.is_ascii_alphanumeric() } else { is_of(&LETTER, c) }
}

fn is_of(class: &LazyLock<Option<Regex>>, c: char) -> bool {
    class.as_ref().is_some_and(|class| class.is_match(c.encode_utf8(&mut [0; 4])))
}

/// Whether Go shows a character beside its code.
fn is_print(c: char) -> bool {
    // A leading letter keeps combining marks from being escaped for being first.
    let is_plain = || ['a', c].iter().collect::<String>().escape_debug().count() == 2;
    if c.is_ascii() { matches!(c, ' '..='~') } else { c != '\u{ad}' && is_plain() }
}
