//! Tokens to trees.
//!
//! Source: go text/template/parse/parse.go. Errors give the line of the token that was read last,
//! as there; nesting is bounded, because trees are walked by recursion.

mod number;
mod pipeline;

use std::cell::Cell;
use std::sync::Arc;

use bytes::Bytes;

use super::ast::{Branch, Kind, NodeId, Scratch, Span, Unit};
use super::entries::{head, is_same};
use super::funcs;
use super::lexer::{Lexer, Token, TokenKind};
use super::strconv;
use super::value::Str;
use crate::base::packed::{Reader, Writer};

thread_local! {
    /// Where this thread's next unit grows.
    static SCRATCH: Cell<Scratch> = Cell::default();
}

/// Deepest nesting of parentheses and of control structures.
const MAX_DEPTH: u32 = 10_000;

/// Strings up to this length are shared by all that are equal.
const LONGEST_SHARED: usize = 64;
/// So many of them are remembered.
const KNOWN: usize = 64;

/// Short parts of a text that were seen lately, and the indexes of their strings. One that comes
/// back after another took its place is made again.
struct Known<'a>([(&'a [u8], Option<u32>); KNOWN]);

impl<'a> Known<'a> {
    /// Where a part is remembered, or will be.
    fn of(&mut self, part: &'a [u8]) -> &mut (&'a [u8], Option<u32>) {
        &mut self.0[Self::place(part)]
    }

    /// Names differ in their length, their first and their last bytes.
    fn place(part: &[u8]) -> usize {
        let last = head(&part[part.len().saturating_sub(size_of::<u64>())..]);
        let mixed = (head(part).rotate_left(23) ^ last ^ part.len() as u64)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) as usize % KNOWN
    }
}

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ParseError {
    /// Line, from 1.
    pub(super) line: u32,
    /// Go's message.
    pub(super) message: String,
}

type Result<T> = std::result::Result<T, ParseError>;

/// What an action turned out to be.
enum Item {
    Node(NodeId),
    End,
    Else,
}

impl Item {
    fn text(&self) -> &'static str {
        match self {
            Self::Node(_) => "node",
            Self::End => "{{end}}",
            Self::Else => "{{else}}",
        }
    }
}

/// Parser state that belongs to one `define`.
#[derive(Default)]
struct Scope {
    variables: Vec<u32>,
    range_depth: u32,
    /// Where the action begins that is being read.
    action: Option<u32>,
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    text: &'a [u8],
    /// The token that was read last, and the one before it when both wait to be read again.
    tokens: [Token; 2],
    peeked: usize,
    unit: Unit,
    /// Nodes whose list is not complete yet.
    open: Vec<NodeId>,
    known: Known<'a>,
    /// The functions of the unit, with the heads of their names.
    functions: Vec<(u64, &'a [u8])>,
    scope: Scope,
    depth: u32,
}

/// A text that was parsed, before it has its name.
#[derive(Debug)]
pub(super) struct Parsed {
    /// Boxed, because it is handed on a few times.
    unit: Box<Unit>,
    root: NodeId,
    /// Where the last token begins.
    last: u32,
}

impl Parsed {
    /// Writes it, but for its text.
    pub(super) fn save(&self, out: &mut Writer) {
        out.number(self.root);
        out.number(self.last);
        self.unit.save(out);
    }

    /// Takes up what [`Self::save`] has written of a text.
    pub(super) fn restore(text: Bytes, saved: &Bytes) -> Option<Self> {
        let mut read = Reader::new(saved);
        let (root, last) = (read.small()?, read.small()?);
        let unit = Unit::restore(text, saved, saved.len() - read.left())?;
        Some(Self { root, last, unit: Box::new(unit) })
    }

    /// Gives the text a name, under which it is a template, too.
    ///
    /// # Errors
    /// The text defines a template of this name.
    pub(super) fn named(self, name: &Str) -> Result<Box<Unit>> {
        let Self { mut unit, root, last } = self;
        unit.name = Arc::clone(name);
        match unit.define(Arc::clone(name), root) {
            Ok(()) => Ok(unit),
            Err(message) => Err(ParseError { line: unit.line_column(last).0, message }),
        }
    }
}

/// Parses a text under a name.
///
/// # Errors
/// The text is not a template.
pub(super) fn parse(name: &Str, text: &Bytes) -> Result<Box<Unit>> {
    parse_as(name, text)?.named(name)
}

/// Parses a text whose name is not known yet.
///
/// # Errors
/// The text is not a template; the error may lack the name.
pub(super) fn parse_unnamed(text: &Bytes) -> Result<Parsed> {
    parse_as(&Arc::from([]), text)
}

fn parse_as(name: &Str, text: &Bytes) -> Result<Parsed> {
    let none = Token { kind: TokenKind::Eof, start: 0, end: 0, spaced: false };
    let mut parser = Parser {
        lexer: Lexer::new(text),
        text,
        tokens: [none; 2],
        peeked: 0,
        unit: Unit::new(Arc::clone(name), text.clone(), SCRATCH.take()),
        open: Vec::with_capacity(64),
        known: Known([(&[], None); KNOWN]),
        functions: Vec::new(),
        scope: Scope { variables: vec![0], ..Scope::default() },
        depth: 0,
    };
    if u32::try_from(text.len()).is_err() {
        return Err(ParseError { line: 1, message: "text is larger than 4 GiB".to_owned() });
    }
    let root = parser.parse_file()?;
    SCRATCH.set(parser.unit.complete());
    Ok(Parsed { root, last: parser.tokens[0].start, unit: Box::new(parser.unit) })
}

fn position(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

impl<'a> Parser<'a> {
    /// Returns the index of a part of the text as a string: one for all its occurrences if it is
    /// short.
    fn string(&mut self, part: &'a [u8]) -> u32 {
        if part.len() > LONGEST_SHARED {
            return self.unit.add_string(Arc::from(part));
        }
        match self.known.of(part) {
            (known, Some(index)) if *known == part => *index,
            place => {
                let index = self.unit.add_string(Arc::from(part));
                *place = (part, Some(index));
                index
            }
        }
    }

    /// Returns the index of a function; most are used again and again.
    fn function(&mut self, name: &'a [u8]) -> Option<u32> {
        let wanted = head(name);
        let is_it = |(head, known): &(u64, &[u8])| *head == wanted && is_same(known, name);
        if let Some(known) = self.functions.iter().position(is_it) {
            return u32::try_from(known).ok();
        }
        let added = self.unit.add_function(funcs::find(name)?);
        self.functions.push((wanted, name));
        Some(added)
    }

    /// Completes the list of nodes that were opened since.
    fn close(&mut self, mark: usize) -> Span {
        let span = self.unit.add_ids(&self.open[mark..]);
        self.open.truncate(mark);
        span
    }

    fn next(&mut self) -> Token {
        if self.peeked > 0 {
            self.peeked -= 1;
        } else {
            self.tokens[0] = self.lexer.next_token();
        }
        self.tokens[self.peeked]
    }

    fn backup(&mut self) {
        self.peeked += 1;
    }

    fn peek(&mut self) -> Token {
        if self.peeked == 0 {
            self.peeked = 1;
            self.tokens[0] = self.lexer.next_token();
        }
        self.tokens[self.peeked - 1]
    }

    fn text_of(&self, token: Token) -> &'a [u8] {
        &self.text[token.range()]
    }

    fn line_of(&self, at: u32) -> u32 {
        self.unit.line_column(at).0
    }

    /// The line of what stands behind a token: to Go space is a token of its own, but for the one
    /// that belongs to a trimming delimiter.
    fn line_behind(&self, token: Token) -> u32 {
        let next = self.tokens[0];
        let between = &self.text[token.end as usize..next.start as usize];
        let is_space = next.spaced && !matches!(between, [_, b'-']);
        self.line_of(if is_space { token.end } else { next.start })
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(ParseError { line: self.line_of(self.tokens[0].start), message: message.into() })
    }

    fn print_token(&self, token: Token) -> String {
        let text = self.text_of(token);
        match token.kind {
            TokenKind::Eof => "EOF".to_owned(),
            TokenKind::Error => self.lexer.error.clone(),
            kind if kind as u8 >= TokenKind::Block as u8 => {
                format!("<{}>", strconv::lossy(text))
            }
            _ if text.len() > 10 => {
                let end: usize = strconv::runes(text).take(10).map(char::len_utf8).sum();
                format!("{}...", strconv::quote(&text[..end.min(text.len())]))
            }
            _ => strconv::quote(text),
        }
    }

    fn unexpected<T>(&self, token: Token, context: &str) -> Result<T> {
        let text = self.print_token(token);
        if token.kind != TokenKind::Error {
            return self.fail(format!("unexpected {text} in {context}"));
        }
        let line = self.scope.action.map(|at| self.line_of(at));
        let Some(line) = line.filter(|line| *line != self.line_of(token.start)) else {
            return self.fail(text);
        };
        let place = if text.ends_with(" action") { "" } else { " in action" };
        let name = strconv::lossy(&self.unit.name);
        self.fail(format!("{text}{place} started at {name}:{line}"))
    }

    fn expect(&mut self, kind: TokenKind, context: &str) -> Result<Token> {
        let token = self.next();
        if token.kind == kind { Ok(token) } else { self.unexpected(token, context) }
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= MAX_DEPTH {
            return self.fail("max expression depth exceeded");
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    fn parse_file(&mut self) -> Result<NodeId> {
        let start = self.peek().start;
        let mark = self.open.len();
        while self.peek().kind != TokenKind::Eof {
            if self.peek().kind == TokenKind::LeftDelim {
                let delim = self.next();
                if self.next().kind == TokenKind::Define {
                    self.parse_definition()?;
                    continue;
                }
                self.tokens[1] = delim;
                self.peeked = 2;
            }
            match self.text_or_action()? {
                Item::Node(node) => self.open.push(node),
                item => return self.fail(format!("unexpected {}", item.text())),
            }
        }
        let nodes = self.close(mark);
        Ok(self.unit.add(start, Kind::List(nodes)))
    }

    fn parse_definition(&mut self) -> Result<()> {
        let context = "define clause";
        let outer = std::mem::take(&mut self.scope);
        self.scope.variables.push(0);
        let token = self.next();
        if !matches!(token.kind, TokenKind::String | TokenKind::RawString) {
            return self.unexpected(token, context);
        }
        let name = self.unquote(token)?;
        self.expect(TokenKind::RightDelim, context)?;
        let (list, end) = self.item_list()?;
        if !matches!(end, Item::End) {
            return self.fail(format!("unexpected {} in {context}", end.text()));
        }
        self.define(name, list)?;
        self.scope = outer;
        Ok(())
    }

    /// Adds a template whose name is the string of an index.
    fn define(&mut self, name: u32, root: NodeId) -> Result<()> {
        let name = Arc::clone(self.unit.string(name));
        let defined = self.unit.define(name, root);
        defined.or_else(|message| self.fail(message))
    }

    /// Returns the index of the string of a literal.
    fn unquote(&mut self, token: Token) -> Result<u32> {
        let literal = self.text_of(token);
        let plain = match literal {
            [b'`', inner @ .., b'`'] => memchr::memchr(b'\r', inner).is_none(),
            [b'"', inner @ .., b'"'] => memchr::memchr2(b'\\', b'\n', inner).is_none(),
            _ => false,
        };
        if plain {
            return Ok(self.string(&literal[1..literal.len() - 1]));
        }
        match strconv::unquote(self.text_of(token)) {
            Some(text) => Ok(self.unit.add_string(Arc::from(text))),
            None => self.fail("invalid syntax"),
        }
    }

    fn item_list(&mut self) -> Result<(NodeId, Item)> {
        let start = self.peek().start;
        let mark = self.open.len();
        while self.peek().kind != TokenKind::Eof {
            match self.text_or_action()? {
                Item::Node(node) => self.open.push(node),
                end => {
                    let nodes = self.close(mark);
                    let list = self.unit.add(start, Kind::List(nodes));
                    return Ok((list, end));
                }
            }
        }
        self.fail("unexpected EOF")
    }

    fn text_or_action(&mut self) -> Result<Item> {
        let token = self.next();
        match token.kind {
            TokenKind::Text => {
                let kind = Kind::Text(token.start, token.end);
                Ok(Item::Node(self.unit.add(token.start, kind)))
            }
            TokenKind::LeftDelim => {
                self.scope.action = Some(token.start);
                let item = self.action()?;
                self.scope.action = None;
                Ok(item)
            }
            _ => self.unexpected(token, "input"),
        }
    }

    fn action(&mut self) -> Result<Item> {
        let token = self.next();
        let node = match token.kind {
            TokenKind::Block => self.block_control()?,
            TokenKind::Break => self.jump(token, Kind::Break, "{{break}}")?,
            TokenKind::Continue => self.jump(token, Kind::Continue, "{{continue}}")?,
            TokenKind::Else => return self.else_control(),
            TokenKind::End => {
                self.expect(TokenKind::RightDelim, "end")?;
                return Ok(Item::End);
            }
            TokenKind::If => self.control(Branch::If)?,
            TokenKind::Range => self.control(Branch::Range)?,
            TokenKind::With => self.control(Branch::With)?,
            TokenKind::Template => self.template_control()?,
            TokenKind::RawString if self.is_literal(token) => {
                self.next();
                self.unit.add(token.start, Kind::Literal(token.start + 1, token.end - 1))
            }
            _ => {
                self.backup();
                let start = self.peek().start;
                let pipe = self.pipeline("command", TokenKind::RightDelim)?;
                self.unit.add(start, Kind::Action(pipe))
            }
        };
        Ok(Item::Node(node))
    }

    /// Whether a raw string, which was just read, is all that its action holds.
    fn is_literal(&mut self, token: Token) -> bool {
        let ends = self.peek().kind == TokenKind::RightDelim;
        // Both may be read again.
        self.tokens[1] = token;
        // Go leaves carriage returns out.
        ends && memchr::memchr(b'\r', self.text_of(token)).is_none()
    }

    fn jump(&mut self, token: Token, kind: Kind, name: &str) -> Result<NodeId> {
        let next = self.next();
        if next.kind != TokenKind::RightDelim {
            return self.unexpected(next, name);
        }
        if self.scope.range_depth == 0 {
            return self.fail(format!("{name} outside {{{{range}}}}"));
        }
        Ok(self.unit.add(token.start, kind))
    }

    fn else_control(&mut self) -> Result<Item> {
        // `{{else if …}}` leaves its keyword to whoever reads the branch.
        let token = self.peek();
        if !matches!(token.kind, TokenKind::If | TokenKind::With) {
            self.expect(TokenKind::RightDelim, "else")?;
        }
        Ok(Item::Else)
    }

    fn control(&mut self, kind: Branch) -> Result<NodeId> {
        self.deeper(|parser| parser.branch(kind))
    }

    fn branch(&mut self, kind: Branch) -> Result<NodeId> {
        let (context, chained) = match kind {
            Branch::If => ("if", Some(TokenKind::If)),
            Branch::Range => ("range", None),
            Branch::With => ("with", Some(TokenKind::With)),
        };
        let variables = self.scope.variables.len();
        let pipe = self.pipeline(context, TokenKind::RightDelim)?;
        let range = u32::from(kind == Branch::Range);
        self.scope.range_depth += range;
        let (list, end) = self.item_list()?;
        self.scope.range_depth -= range;
        let mut other = None;
        if matches!(end, Item::Else) {
            if chained == Some(self.peek().kind) {
                let start = self.next().start;
                let node = self.control(kind)?;
                let nodes = self.unit.add_ids(&[node]);
                other = Some(self.unit.add(start, Kind::List(nodes)));
            } else {
                let (list, end) = self.item_list()?;
                if !matches!(end, Item::End) {
                    return self.fail(format!("expected end; found {}", end.text()));
                }
                other = Some(list);
            }
        }
        self.scope.variables.truncate(variables);
        let pos = self.unit.node(pipe).pos;
        Ok(self.unit.add(pos, Kind::Branch { kind, pipe, list, other }))
    }

    fn block_control(&mut self) -> Result<NodeId> {
        let context = "block clause";
        let token = self.next();
        let name = self.template_name(token, context)?;
        let pipe = self.pipeline(context, TokenKind::RightDelim)?;
        // A block is parsed for itself: how it ends wrongly is told where it begins.
        let line = self.line_of(self.tokens[0].start);
        let outer = std::mem::take(&mut self.scope);
        self.scope.variables.push(0);
        let (list, end) = self.deeper(Self::item_list)?;
        if !matches!(end, Item::End) {
            let message = format!("unexpected {} in {context}", end.text());
            return Err(ParseError { line, message });
        }
        self.define(name, list)?;
        self.scope = outer;
        Ok(self.unit.add(token.start, Kind::Template { name, pipe: Some(pipe) }))
    }

    fn template_control(&mut self) -> Result<NodeId> {
        let context = "template clause";
        let token = self.next();
        let name = self.template_name(token, context)?;
        let mut pipe = None;
        if self.next().kind != TokenKind::RightDelim {
            self.backup();
            pipe = Some(self.pipeline(context, TokenKind::RightDelim)?);
        }
        Ok(self.unit.add(token.start, Kind::Template { name, pipe }))
    }

    fn template_name(&mut self, token: Token, context: &str) -> Result<u32> {
        match token.kind {
            TokenKind::String | TokenKind::RawString => self.unquote(token),
            _ => self.unexpected(token, context),
        }
    }
}
