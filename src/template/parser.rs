//! Tokens to trees.
//!
//! Source: go text/template/parse/parse.go. Errors give the line of the token that was read last,
//! as there; nesting is bounded, because trees are walked by recursion.

use std::cell::Cell;
use std::sync::Arc;

use bytes::Bytes;

use super::ast::{Branch, Kind, Name, NodeId, Number, Pipe, Scratch, Span, Unit};
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

    fn pipeline(&mut self, context: &str, end: TokenKind) -> Result<NodeId> {
        let start = self.peek().start;
        let (decl, assign) = self.declarations(context)?;
        let mark = self.open.len();
        loop {
            let token = self.next();
            match token.kind {
                kind if kind == end => break,
                TokenKind::Bool
                | TokenKind::CharConstant
                | TokenKind::Complex
                | TokenKind::Dot
                | TokenKind::Field
                | TokenKind::Identifier
                | TokenKind::Number
                | TokenKind::Nil
                | TokenKind::RawString
                | TokenKind::String
                | TokenKind::Variable
                | TokenKind::LeftParen => {
                    self.backup();
                    let command = self.command()?;
                    self.open.push(command);
                }
                _ => return self.unexpected(token, context),
            }
        }
        self.check_pipeline(&self.open[mark..], context)?;
        let cmds = self.close(mark);
        let pipe = Pipe { decl: self.unit.add_ids(&decl), assign, cmds };
        Ok(self.unit.add(start, Kind::Pipe(pipe)))
    }

    fn check_pipeline(&self, cmds: &[NodeId], context: &str) -> Result<()> {
        if cmds.is_empty() {
            return self.fail(format!("missing value for {context}"));
        }
        for (index, &cmd) in cmds.iter().enumerate().skip(1) {
            let Kind::Command(args) = self.unit.kind(cmd) else { continue };
            let literal = matches!(
                self.unit.kind(self.unit.ids(args)[0]),
                Kind::Bool(_) | Kind::Dot | Kind::Nil | Kind::Number(_) | Kind::String(..)
            );
            if literal {
                let stage = index + 1;
                return self.fail(format!("non executable command in pipeline stage {stage}"));
            }
        }
        Ok(())
    }

    fn declarations(&mut self, context: &str) -> Result<(Vec<u32>, bool)> {
        let mut decl = Vec::new();
        loop {
            let variable = self.peek();
            if variable.kind != TokenKind::Variable {
                return Ok((decl, false));
            }
            self.next();
            let next = self.peek();
            match next.kind {
                TokenKind::Assign | TokenKind::Declare => {
                    self.next();
                    self.declare(variable, &mut decl);
                    return Ok((decl, next.kind == TokenKind::Assign));
                }
                TokenKind::Char if self.text_of(next) == b"," => {
                    self.next();
                    self.declare(variable, &mut decl);
                    if context != "range" || decl.len() >= 2 {
                        return self.fail(format!("too many declarations in {context}"));
                    }
                    match self.peek().kind {
                        TokenKind::Variable | TokenKind::RightDelim | TokenKind::RightParen => {}
                        _ => return self.fail("range can only initialize variables"),
                    }
                }
                _ => {
                    self.tokens[1] = variable;
                    self.peeked = 2;
                    return Ok((decl, false));
                }
            }
        }
    }

    fn declare(&mut self, variable: Token, decl: &mut Vec<u32>) {
        let index = self.variable_index(variable);
        decl.push(index);
        self.scope.variables.push(index);
    }

    fn variable_index(&mut self, token: Token) -> u32 {
        let name = &self.text[token.range()];
        let known = self.unit.variables.iter().position(|variable| **variable == *name);
        let index = known.unwrap_or_else(|| {
            self.unit.variables.push(Arc::from(name));
            self.unit.variables.len() - 1
        });
        position(index)
    }

    fn command(&mut self) -> Result<NodeId> {
        let start = self.peek().start;
        let mark = self.open.len();
        loop {
            let operand = self.operand()?;
            self.open.extend(operand);
            let token = self.next();
            match token.kind {
                TokenKind::RightDelim | TokenKind::RightParen => {
                    self.backup();
                    break;
                }
                TokenKind::Pipe => break,
                _ if operand.is_some() && token.spaced => self.backup(),
                _ => return self.unexpected(token, "operand"),
            }
        }
        if self.open.len() == mark {
            return self.fail("empty command");
        }
        let args = self.close(mark);
        Ok(self.unit.add(start, Kind::Command(args)))
    }

    fn operand(&mut self) -> Result<Option<NodeId>> {
        let Some(node) = self.term()? else { return Ok(None) };
        let first = self.peek();
        if first.kind != TokenKind::Field || first.spaced {
            return Ok(Some(node));
        }
        let kind = self.unit.kind(node);
        let mut names = match kind {
            // Its names are the last that were added.
            Kind::Field(names) => names,
            _ => self.unit.no_names(),
        };
        let mut last = first;
        loop {
            let token = self.peek();
            if token.kind != TokenKind::Field || token.spaced {
                break;
            }
            self.next();
            last = token;
            names = self.unit.add_name(names, name_of(token));
        }
        let pos = first.start;
        match kind {
            Kind::Field(_) => self.unit.replace(node, pos, Kind::Field(names)),
            Kind::Variable(variable, _) => {
                self.unit.replace(node, pos, Kind::Variable(variable, names));
            }
            Kind::Bool(_) | Kind::String(..) | Kind::Number(_) | Kind::Nil | Kind::Dot => {
                let term = strconv::quote(&self.unit.print(node));
                let text = format!("unexpected . after term {term}");
                return Err(ParseError { line: self.line_behind(last), message: text });
            }
            _ => return Ok(Some(self.unit.add(pos, Kind::Chain(node, names)))),
        }
        Ok(Some(node))
    }

    fn term(&mut self) -> Result<Option<NodeId>> {
        let token = self.next();
        let text = &self.text[token.range()];
        let kind = match token.kind {
            TokenKind::Identifier => match self.function(text) {
                Some(function) => Kind::Function(function),
                None => {
                    let name = strconv::quote(text);
                    return self.fail(format!("function {name} not defined"));
                }
            },
            TokenKind::Dot => Kind::Dot,
            TokenKind::Nil => Kind::Nil,
            TokenKind::Variable => {
                let index = self.variable_index(token);
                if !self.scope.variables.contains(&index) {
                    let name = strconv::quote(text);
                    return self.fail(format!("undefined variable {name}"));
                }
                Kind::Variable(index, self.unit.no_names())
            }
            TokenKind::Field => {
                Kind::Field(self.unit.add_name(self.unit.no_names(), name_of(token)))
            }
            TokenKind::Bool => Kind::Bool(text == b"true"),
            TokenKind::CharConstant | TokenKind::Complex | TokenKind::Number => {
                match parse_number(text, token.kind) {
                    Ok(number) => {
                        let text = Name { start: token.start, end: token.end };
                        Kind::Number(self.unit.add_number(Number { text, ..number }))
                    }
                    Err(message) => return self.fail(message),
                }
            }
            TokenKind::LeftParen => {
                let pipe = |parser: &mut Self| {
                    parser.pipeline("parenthesized pipeline", TokenKind::RightParen)
                };
                return self.deeper(pipe).map(Some);
            }
            TokenKind::String | TokenKind::RawString => {
                let value = self.unquote(token)?;
                Kind::String(token.start, token.end, value)
            }
            _ => {
                self.backup();
                return Ok(None);
            }
        };
        Ok(Some(self.unit.add(token.start, kind)))
    }
}

/// Where the name of a field stands, behind its dot.
fn name_of(field: Token) -> [u32; 2] {
    [field.start + 1, field.end]
}

/// Reads a literal under every type that can hold it; where it stands is not known here.
///
/// Source: go text/template/parse/node.go (newNumber).
fn parse_number(text: &[u8], kind: TokenKind) -> std::result::Result<Number, String> {
    if let Some(number) = short_number(text).filter(|_| kind == TokenKind::Number) {
        return Ok(number);
    }
    let literal = strconv::lossy(text).into_owned();
    let mut number = Number::default();
    if kind == TokenKind::CharConstant {
        let code = u32::from(strconv::unquote_char(text)?);
        number.int = Some(i64::from(code));
        number.uint = Some(u64::from(code));
        number.float = Some(f64::from(code));
        return Ok(number);
    }
    let illegal = || format!("illegal number syntax: {}", strconv::quote(text));
    if kind == TokenKind::Complex {
        number.complex = Some(parse_complex(&literal)?);
        return Ok(simplify(number));
    }
    if let Some(imaginary) = literal.strip_suffix('i').and_then(strconv::parse_float) {
        number.complex = Some((0.0, imaginary));
        return Ok(simplify(number));
    }
    number.uint = strconv::parse_uint(&literal).ok();
    number.int = strconv::parse_int(&literal).ok();
    if number.int == Some(0) {
        number.uint = Some(0);
    }
    match (number.int, number.uint) {
        (Some(int), _) => number.float = Some(int as f64),
        (None, Some(uint)) => number.float = Some(uint as f64),
        (None, None) => {
            let float = strconv::parse_float(&literal).ok_or_else(illegal)?;
            if !literal.contains(['.', 'e', 'E', 'p', 'P']) {
                return Err(format!("integer overflow: {}", strconv::quote(text)));
            }
            set_float(&mut number, float);
        }
    }
    Ok(number)
}

/// Reads a few decimal digits, which most numbers are.
fn short_number(text: &[u8]) -> Option<Number> {
    let plain = matches!(text, [b'0'] | [b'1'..=b'9', ..]) && text.len() <= 9;
    if !(plain && text.iter().all(u8::is_ascii_digit)) {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let value: u32 = text.parse().ok()?;
    Some(Number {
        text: Name::default(),
        int: Some(value.into()),
        uint: Some(value.into()),
        float: Some(value.into()),
        complex: None,
    })
}

fn set_float(number: &mut Number, float: f64) {
    number.float = Some(float);
    if float.fract() == 0.0 {
        number.int = (float.abs() < 9.3e18).then_some(float as i64);
        number.uint = (0.0..1.8e19).contains(&float).then_some(float as u64);
    }
}

fn simplify(mut number: Number) -> Number {
    if let Some((real, 0.0)) = number.complex {
        set_float(&mut number, real);
    }
    number
}

/// Reads `1+2i` as Go scans it, which is not how a template is scanned: an exponent may have a sign,
/// so what stands before the second one is looked for from the left.
///
/// Source: go fmt/scan.go (scanComplex).
fn parse_complex(text: &str) -> std::result::Result<(f64, f64), String> {
    let sign = float_length(text);
    let end = text.get(sign + 1..).map(|rest| sign + 1 + float_length(rest));
    let parts = end.filter(|&end| {
        matches!(text.as_bytes()[sign], b'+' | b'-') && text.as_bytes().get(end) == Some(&b'i')
    });
    let end = parts.ok_or("syntax error scanning complex number")?;
    let part = |text: &str| {
        strconv::parse_float(text).ok_or_else(|| {
            let why = strconv::float_complaint(text);
            format!("strconv.ParseFloat: parsing {}: {why}", strconv::quote(text.as_bytes()))
        })
    };
    Ok((part(&text[..sign])?, part(&text[sign..end])?))
}

/// The length of what may be a float, to one who looks for the beginnings of `NaN` and `Inf`, too.
///
/// Source: go fmt/scan.go (floatToken).
fn float_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let one =
        |at: usize, of: &[u8]| at + usize::from(bytes.get(at).is_some_and(|b| of.contains(b)));
    let run = |from: usize, fits: &dyn Fn(u8) -> bool| {
        from + bytes[from..].iter().take_while(|byte| fits(**byte)).count()
    };
    // As far as it goes; whether all of it is there.
    let word = |from: usize, letters: [&[u8]; 3]| {
        let end = letters.iter().fold((from, from), |(at, due), letter| {
            (if at == due { one(at, letter) } else { at }, due + 1)
        });
        (end.0, end.0 == end.1)
    };
    let (at, is_whole) = word(0, [b"nN", b"aA", b"nN"]);
    if is_whole {
        return at;
    }
    let (start, is_whole) = word(one(at, b"+-"), [b"iI", b"nN", b"fF"]);
    if is_whole {
        return start;
    }
    let is_hex = bytes[start..].starts_with(b"0x") || bytes[start..].starts_with(b"0X");
    let digit = |byte: u8| {
        byte == b'_' || if is_hex { byte.is_ascii_hexdigit() } else { byte.is_ascii_digit() }
    };
    let whole = run(start + if is_hex { 2 } else { 0 }, &digit);
    let point = one(whole, b".");
    let fraction = if point > whole { run(point, &digit) } else { whole };
    let exponent = one(fraction, if is_hex { b"pP" } else { b"eE" });
    if exponent == fraction {
        return fraction;
    }
    run(one(exponent, b"+-"), &|byte| byte == b'_' || byte.is_ascii_digit())
}
