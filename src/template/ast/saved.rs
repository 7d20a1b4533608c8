//! Trees as bytes, for one's own use in a later process: nodes follow one another closely in the
//! arenas and in the text, so that nearly every number is written as its small distance from the
//! one that was to be expected.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::super::funcs;
use super::super::value::Str;
use super::{Branch, Kind, Name, Node, NodeId, Number, Pipe, Span, Unit};
use crate::base::packed::{Reader, Writer};

/// Which kind of node follows.
mod tag {
    pub(super) const TEXT: u8 = 0;
    pub(super) const LIST: u8 = 1;
    pub(super) const ACTION: u8 = 2;
    pub(super) const IF: u8 = 3;
    pub(super) const RANGE: u8 = 4;
    pub(super) const WITH: u8 = 5;
    pub(super) const TEMPLATE: u8 = 6;
    pub(super) const BREAK: u8 = 7;
    pub(super) const CONTINUE: u8 = 8;
    pub(super) const PIPE: u8 = 9;
    pub(super) const ASSIGNMENT: u8 = 10;
    pub(super) const COMMAND: u8 = 11;
    pub(super) const FUNCTION: u8 = 12;
    pub(super) const FIELD: u8 = 13;
    pub(super) const VARIABLE: u8 = 14;
    pub(super) const CHAIN: u8 = 15;
    pub(super) const DOT: u8 = 16;
    pub(super) const NIL: u8 = 17;
    pub(super) const FALSE: u8 = 18;
    pub(super) const TRUE: u8 = 19;
    pub(super) const NUMBER: u8 = 20;
    pub(super) const STRING: u8 = 21;
}

/// What the next numbers are expected to be.
#[derive(Default)]
struct Expected {
    pos: u32,
    /// Index of the node itself: others are named by how far they are behind.
    node: u32,
    ids: u32,
    names: u32,
}

fn distance(from: u32, to: u32) -> i64 {
    i64::from(to) - i64::from(from)
}

impl Unit {
    /// Writes it, but for its name and its text.
    pub(in super::super) fn save(&self, out: &mut Writer) {
        let mut strings = Strings::default();
        out.size(self.nodes.len());
        let mut expected = Expected::default();
        for node in &self.nodes {
            self.save_node(*node, &mut expected, &mut strings, out);
        }
        save_numbers(&self.ids, out);
        out.size(self.names.len());
        let mut at = 0;
        for Name { start, end } in &self.names {
            out.signed(distance(at, *start));
            out.signed(distance(*start, *end));
            at = *end;
        }
        save_texts(strings.distinct.iter().map(|string| &***string), out);
        out.size(self.numbers.len());
        self.numbers.iter().for_each(|number| save_number(number, out));
        save_texts(self.functions.iter().map(|function| function.name.as_bytes()), out);
        save_texts(self.variables.iter().map(|name| &**name), out);
        save_texts(self.templates.iter().map(|(name, _)| &**name), out);
        let roots: Vec<u32> = self.templates.iter().map(|(_, root)| *root).collect();
        save_numbers(&roots, out);
    }

    /// Reads what was written of a text; `None` if it was not written by [`Self::save`].
    pub(in super::super) fn restore(text: Bytes, read: &mut Reader<'_>) -> Option<Self> {
        let nodes = restore_nodes(read)?;
        let ids = restore_numbers(read)?;
        let mut at = 0;
        let names = many(read, |read| {
            let start = near(at, read)?;
            let end = near(start, read)?;
            at = end;
            Some(Name { start, end })
        })?;
        let strings = many(read, text_of)?;
        let numbers = many(read, restore_number)?;
        let functions = many(read, |read| funcs::find(read.bytes()?))?;
        let variables = many(read, text_of)?;
        let defined = many(read, text_of)?;
        let roots = restore_numbers(read)?;
        let templates = defined.into_iter().zip(roots).collect();
        let name = Arc::from([]);
        Some(Self {
            name,
            text,
            nodes,
            ids,
            names,
            strings,
            numbers,
            functions,
            variables,
            templates,
        })
    }

    fn save_node<'a>(
        &'a self,
        Node { pos, kind }: Node,
        expected: &mut Expected,
        strings: &mut Strings<'a>,
        out: &mut Writer,
    ) {
        let mut to = Saving { out, expected };
        to.out.byte(tag_of(kind));
        to.out.signed(distance(to.expected.pos, pos));
        to.expected.pos = pos;
        match kind {
            Kind::Text(start, end) => to.part(pos, start, end),
            Kind::List(nodes) | Kind::Command(nodes) => to.ids(nodes),
            Kind::Action(pipe) => to.node(pipe),
            Kind::Branch { pipe, list, other, kind: _ } => {
                to.node(pipe);
                to.node(list);
                to.optional(other);
            }
            Kind::Template { name, pipe } => {
                to.out.number(strings.index(self.string(name)));
                to.optional(pipe);
            }
            Kind::Pipe(Pipe { decl, cmds, assign: _ }) => {
                to.ids(cmds);
                to.ids(decl);
            }
            Kind::Function(index) | Kind::Number(index) => to.out.number(index),
            Kind::Field(names) => to.names(names),
            Kind::Variable(variable, names) => {
                to.out.number(variable);
                to.names(names);
            }
            Kind::Chain(node, names) => {
                to.node(node);
                to.names(names);
            }
            Kind::String(start, end, string) => {
                to.part(pos, start, end);
                to.out.number(strings.index(self.string(string)));
            }
            Kind::Break | Kind::Continue | Kind::Dot | Kind::Nil | Kind::Bool(_) => {}
        }
        to.expected.node += 1;
    }
}

/// Which number says what a node is.
fn tag_of(kind: Kind) -> u8 {
    match kind {
        Kind::Text(..) => tag::TEXT,
        Kind::List(_) => tag::LIST,
        Kind::Action(_) => tag::ACTION,
        Kind::Branch { kind: Branch::If, .. } => tag::IF,
        Kind::Branch { kind: Branch::Range, .. } => tag::RANGE,
        Kind::Branch { kind: Branch::With, .. } => tag::WITH,
        Kind::Template { .. } => tag::TEMPLATE,
        Kind::Break => tag::BREAK,
        Kind::Continue => tag::CONTINUE,
        Kind::Pipe(Pipe { assign: false, .. }) => tag::PIPE,
        Kind::Pipe(Pipe { assign: true, .. }) => tag::ASSIGNMENT,
        Kind::Command(_) => tag::COMMAND,
        Kind::Function(_) => tag::FUNCTION,
        Kind::Field(_) => tag::FIELD,
        Kind::Variable(..) => tag::VARIABLE,
        Kind::Chain(..) => tag::CHAIN,
        Kind::Dot => tag::DOT,
        Kind::Nil => tag::NIL,
        Kind::Bool(false) => tag::FALSE,
        Kind::Bool(true) => tag::TRUE,
        Kind::Number(_) => tag::NUMBER,
        Kind::String(..) => tag::STRING,
    }
}

/// Writes parts of a node.
struct Saving<'a> {
    out: &'a mut Writer,
    expected: &'a mut Expected,
}

impl Saving<'_> {
    fn node(&mut self, id: NodeId) {
        self.out.signed(distance(id, self.expected.node));
    }

    fn optional(&mut self, id: Option<NodeId>) {
        match id {
            Some(id) => {
                self.out.byte(1);
                self.node(id);
            }
            None => self.out.byte(0),
        }
    }

    fn part(&mut self, pos: u32, start: u32, end: u32) {
        self.out.signed(distance(pos, start));
        self.out.signed(distance(start, end));
    }

    fn ids(&mut self, span: Span) {
        self.out.signed(distance(self.expected.ids, span.start));
        self.out.number(span.count);
        self.expected.ids = span.start + span.count;
    }

    fn names(&mut self, span: Span) {
        self.out.signed(distance(self.expected.names, span.start));
        self.out.number(span.count);
        self.expected.names = span.start + span.count;
    }
}

fn restore_nodes(read: &mut Reader<'_>) -> Option<Vec<Node>> {
    let mut expected = Expected::default();
    many(read, |read| {
        let node = restore_node(read, &mut expected);
        expected.node += 1;
        node
    })
}

fn restore_node(read: &mut Reader<'_>, expected: &mut Expected) -> Option<Node> {
    let tag = read.byte()?;
    let pos = near(expected.pos, read)?;
    expected.pos = pos;
    let mut from = Restoring { read, expected };
    let kind = match tag {
        tag::TEXT => {
            let (start, end) = from.part(pos)?;
            Kind::Text(start, end)
        }
        tag::LIST => Kind::List(from.ids()?),
        tag::COMMAND => Kind::Command(from.ids()?),
        tag::ACTION => Kind::Action(from.node()?),
        tag::IF => from.branch(Branch::If)?,
        tag::RANGE => from.branch(Branch::Range)?,
        tag::WITH => from.branch(Branch::With)?,
        tag::TEMPLATE => Kind::Template { name: from.read.small()?, pipe: from.optional()? },
        tag::BREAK => Kind::Break,
        tag::CONTINUE => Kind::Continue,
        tag::PIPE => from.pipe(false)?,
        tag::ASSIGNMENT => from.pipe(true)?,
        tag::FUNCTION => Kind::Function(from.read.small()?),
        tag::NUMBER => Kind::Number(from.read.small()?),
        tag::FIELD => Kind::Field(from.names()?),
        tag::VARIABLE => Kind::Variable(from.read.small()?, from.names()?),
        tag::CHAIN => Kind::Chain(from.node()?, from.names()?),
        tag::DOT => Kind::Dot,
        tag::NIL => Kind::Nil,
        tag::FALSE => Kind::Bool(false),
        tag::TRUE => Kind::Bool(true),
        tag::STRING => {
            let (start, end) = from.part(pos)?;
            Kind::String(start, end, from.read.small()?)
        }
        _ => return None,
    };
    Some(Node { pos, kind })
}

/// Reads parts of a node.
struct Restoring<'a, 'r> {
    read: &'a mut Reader<'r>,
    expected: &'a mut Expected,
}

impl Restoring<'_, '_> {
    fn node(&mut self) -> Option<NodeId> {
        let behind = self.read.signed()?;
        u32::try_from(i64::from(self.expected.node) - behind).ok()
    }

    /// As nested: `Some(None)` is a node that is not there.
    #[expect(clippy::option_option, reason = "bytes that end are not a node that is not there")]
    fn optional(&mut self) -> Option<Option<NodeId>> {
        match self.read.byte()? {
            0 => Some(None),
            _ => self.node().map(Some),
        }
    }

    fn part(&mut self, pos: u32) -> Option<(u32, u32)> {
        let start = near(pos, self.read)?;
        Some((start, near(start, self.read)?))
    }

    fn branch(&mut self, kind: Branch) -> Option<Kind> {
        let (pipe, list, other) = (self.node()?, self.node()?, self.optional()?);
        Some(Kind::Branch { kind, pipe, list, other })
    }

    fn pipe(&mut self, assign: bool) -> Option<Kind> {
        let (cmds, decl) = (self.ids()?, self.ids()?);
        Some(Kind::Pipe(Pipe { decl, assign, cmds }))
    }

    fn ids(&mut self) -> Option<Span> {
        span(self.read, &mut self.expected.ids)
    }

    fn names(&mut self) -> Option<Span> {
        span(self.read, &mut self.expected.names)
    }
}

fn span(read: &mut Reader<'_>, expected: &mut u32) -> Option<Span> {
    let span = Span { start: near(*expected, read)?, count: read.small()? };
    *expected = span.start.checked_add(span.count)?;
    Some(span)
}

fn near(expected: u32, read: &mut Reader<'_>) -> Option<u32> {
    u32::try_from(i64::from(expected) + read.signed()?).ok()
}

/// Reads parts one after the other, behind their number.
fn many<'a, T>(
    read: &mut Reader<'a>,
    mut one: impl FnMut(&mut Reader<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    let count = read.size()?;
    // Each takes a byte at least.
    let mut parts = Vec::with_capacity(count.min(read.left()));
    for _ in 0..count {
        parts.push(one(read)?);
    }
    Some(parts)
}

fn text_of(read: &mut Reader<'_>) -> Option<Str> {
    read.bytes().map(Arc::from)
}

fn save_texts<'a>(texts: impl ExactSizeIterator<Item = &'a [u8]>, out: &mut Writer) {
    out.size(texts.len());
    texts.for_each(|text| out.bytes(text));
}

fn save_numbers(numbers: &[u32], out: &mut Writer) {
    out.size(numbers.len());
    let mut last = 0;
    for number in numbers {
        out.signed(distance(last, *number));
        last = *number;
    }
}

fn restore_numbers(read: &mut Reader<'_>) -> Option<Vec<u32>> {
    let mut last = 0;
    many(read, |read| {
        last = near(last, read)?;
        Some(last)
    })
}

/// Which types hold a number, as bits.
const INT: u8 = 1;
const UINT: u8 = 2;
const FLOAT: u8 = 4;
const COMPLEX: u8 = 8;

fn save_number(number: &Number, out: &mut Writer) {
    let Number { text, int, uint, float, complex } = number;
    let bit = |is_there: bool, bit: u8| if is_there { bit } else { 0 };
    out.bytes(text.as_bytes());
    out.byte(
        bit(int.is_some(), INT)
            | bit(uint.is_some(), UINT)
            | bit(float.is_some(), FLOAT)
            | bit(complex.is_some(), COMPLEX),
    );
    int.iter().for_each(|int| out.signed(*int));
    uint.iter().for_each(|uint| out.number(*uint));
    float.iter().for_each(|float| out.number(float.to_bits()));
    if let Some((real, imaginary)) = complex {
        out.number(real.to_bits());
        out.number(imaginary.to_bits());
    }
}

fn restore_number(read: &mut Reader<'_>) -> Option<Number> {
    let text = String::from_utf8(read.bytes()?.to_vec()).ok()?;
    let types = read.byte()?;
    let mut number = Number { text, ..Number::default() };
    if types & INT != 0 {
        number.int = Some(read.signed()?);
    }
    if types & UINT != 0 {
        number.uint = Some(read.number()?);
    }
    if types & FLOAT != 0 {
        number.float = Some(f64::from_bits(read.number()?));
    }
    if types & COMPLEX != 0 {
        let real = f64::from_bits(read.number()?);
        number.complex = Some((real, f64::from_bits(read.number()?)));
    }
    Some(number)
}

/// The strings of a text, equal ones once.
#[derive(Default)]
struct Strings<'a> {
    distinct: Vec<&'a Str>,
    known: HashMap<&'a [u8], u32>,
}

impl<'a> Strings<'a> {
    fn index(&mut self, string: &'a Str) -> u32 {
        *self.known.entry(string).or_insert_with(|| {
            self.distinct.push(string);
            super::index(self.distinct.len() - 1)
        })
    }
}

#[cfg(test)]
mod tests;
