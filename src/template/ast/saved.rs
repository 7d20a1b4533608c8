//! Trees as bytes, for one's own use in a later process. Nodes lie there as records of one size,
//! which are read one by one when somebody looks at them: taking a tree up again costs next to
//! nothing, however large it is.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::super::funcs;
use super::super::value::Str;
use super::{Branch, Kind, Name, Node, NodeId, Number, Pipe, Span, Unit};
use crate::base::packed::{Reader, Writer};

/// Numbers of a node: what it is, where it stands, and three others.
const NUMBERS: usize = 5;

/// The nodes of a tree, as they were saved.
#[derive(Debug)]
pub(super) struct Records {
    bytes: Bytes,
    width: Width,
}

/// How numbers are written. Those of all but the largest texts are small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    Two,
    Four,
}

impl Width {
    fn of(largest: u32) -> Self {
        if largest <= u16::MAX.into() { Self::Two } else { Self::Four }
    }

    const fn bytes(self) -> usize {
        match self {
            Self::Two => size_of::<u16>(),
            Self::Four => size_of::<u32>(),
        }
    }

    /// Reads numbers, lowest byte first.
    #[inline]
    fn read<const N: usize>(self, bytes: &[u8]) -> [u32; N] {
        let mut numbers = [0; N];
        match self {
            Self::Two => {
                for (number, bytes) in numbers.iter_mut().zip(bytes.chunks_exact(2)) {
                    *number = u16::from_le_bytes([bytes[0], bytes[1]]).into();
                }
            }
            Self::Four => {
                for (number, bytes) in numbers.iter_mut().zip(bytes.chunks_exact(4)) {
                    *number = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                }
            }
        }
        numbers
    }

    fn write(self, numbers: &[u32], out: &mut Writer) {
        numbers.iter().for_each(|number| out.plain(&number.to_le_bytes()[..self.bytes()]));
    }
}

/// Which kind of node it is.
mod tag {
    pub(super) const TEXT: u32 = 0;
    pub(super) const LIST: u32 = 1;
    pub(super) const ACTION: u32 = 2;
    pub(super) const IF: u32 = 3;
    pub(super) const RANGE: u32 = 4;
    pub(super) const WITH: u32 = 5;
    pub(super) const TEMPLATE: u32 = 6;
    pub(super) const BREAK: u32 = 7;
    pub(super) const CONTINUE: u32 = 8;
    pub(super) const PIPE: u32 = 9;
    pub(super) const ASSIGNMENT: u32 = 10;
    pub(super) const COMMAND: u32 = 11;
    pub(super) const FUNCTION: u32 = 12;
    pub(super) const FIELD: u32 = 13;
    pub(super) const VARIABLE: u32 = 14;
    pub(super) const CHAIN: u32 = 15;
    pub(super) const DOT: u32 = 16;
    pub(super) const NIL: u32 = 17;
    pub(super) const BOOL: u32 = 18;
    pub(super) const NUMBER: u32 = 19;
    pub(super) const STRING: u32 = 20;
    pub(super) const LITERAL: u32 = 21;
}

impl Records {
    /// Reads the node of an index.
    #[inline]
    pub(super) fn node(&self, id: NodeId) -> Node {
        let length = NUMBERS * self.width.bytes();
        let at = id as usize * length;
        node(self.width.read(&self.bytes[at..at + length]))
    }
}

#[inline]
fn node([tag, pos, a, b, c]: [u32; NUMBERS]) -> Node {
    let branch = |kind| Kind::Branch { kind, pipe: a, list: b, other: c.checked_sub(1) };
    let pipe = |assign| {
        let decl = Span { start: a.wrapping_add(b), count: c };
        Kind::Pipe(Pipe { decl, assign, cmds: Span { start: a, count: b } })
    };
    let kind = match tag {
        tag::TEXT => Kind::Text(a, b),
        tag::LIST => Kind::List(Span { start: a, count: b }),
        tag::ACTION => Kind::Action(a),
        tag::IF => branch(Branch::If),
        tag::RANGE => branch(Branch::Range),
        tag::WITH => branch(Branch::With),
        tag::TEMPLATE => Kind::Template { name: a, pipe: b.checked_sub(1) },
        tag::BREAK => Kind::Break,
        tag::CONTINUE => Kind::Continue,
        tag::PIPE => pipe(false),
        tag::ASSIGNMENT => pipe(true),
        tag::COMMAND => Kind::Command(Span { start: a, count: b }),
        tag::FUNCTION => Kind::Function(a),
        tag::FIELD => Kind::Field(Span { start: a, count: b }),
        tag::VARIABLE => Kind::Variable(a, Span { start: b, count: c }),
        tag::CHAIN => Kind::Chain(a, Span { start: b, count: c }),
        tag::DOT => Kind::Dot,
        tag::BOOL => Kind::Bool(a != 0),
        tag::NUMBER => Kind::Number(a),
        tag::STRING => Kind::String(a, b, c),
        tag::LITERAL => Kind::Literal(a, b),
        // Nothing else is written but `NIL`.
        _ => Kind::Nil,
    };
    Node { pos, kind }
}

fn record(Node { pos, kind }: Node, strings: &mut impl FnMut(u32) -> u32) -> [u32; NUMBERS] {
    let [tag, a, b, c] = match kind {
        Kind::Text(start, end) => [tag::TEXT, start, end, 0],
        Kind::List(Span { start, count }) => [tag::LIST, start, count, 0],
        Kind::Action(pipe) => [tag::ACTION, pipe, 0, 0],
        Kind::Branch { kind, pipe, list, other } => {
            let tag = match kind {
                Branch::If => tag::IF,
                Branch::Range => tag::RANGE,
                Branch::With => tag::WITH,
            };
            [tag, pipe, list, other.map_or(0, |other| other + 1)]
        }
        Kind::Template { name, pipe } => {
            [tag::TEMPLATE, strings(name), pipe.map_or(0, |pipe| pipe + 1), 0]
        }
        Kind::Break => [tag::BREAK, 0, 0, 0],
        Kind::Continue => [tag::CONTINUE, 0, 0, 0],
        Kind::Pipe(Pipe { decl, assign, cmds }) => {
            let behind = cmds.start + cmds.count;
            debug_assert_eq!(decl.start, behind, "variables are added behind the commands");
            [if assign { tag::ASSIGNMENT } else { tag::PIPE }, cmds.start, cmds.count, decl.count]
        }
        Kind::Command(Span { start, count }) => [tag::COMMAND, start, count, 0],
        Kind::Function(function) => [tag::FUNCTION, function, 0, 0],
        Kind::Field(Span { start, count }) => [tag::FIELD, start, count, 0],
        Kind::Variable(variable, Span { start, count }) => [tag::VARIABLE, variable, start, count],
        Kind::Chain(node, Span { start, count }) => [tag::CHAIN, node, start, count],
        Kind::Dot => [tag::DOT, 0, 0, 0],
        Kind::Nil => [tag::NIL, 0, 0, 0],
        Kind::Bool(value) => [tag::BOOL, value.into(), 0, 0],
        Kind::Number(number) => [tag::NUMBER, number, 0, 0],
        Kind::String(start, end, string) => [tag::STRING, start, end, strings(string)],
        Kind::Literal(start, end) => [tag::LITERAL, start, end, 0],
    };
    [tag, pos, a, b, c]
}

impl Unit {
    /// Writes it, but for its name and its text. What was restored is not saved again.
    pub(in super::super) fn save(&self, out: &mut Writer) {
        let mut strings = Strings::default();
        let mut string = |index| strings.index(self.string(index));
        let records = self.nodes.iter().flat_map(|node| record(*node, &mut string));
        save_numbers::<NUMBERS>(&records.collect::<Vec<_>>(), out);
        save_numbers::<1>(&self.ids, out);
        let names = self.names.iter().flat_map(|name| [name.start, name.end]);
        save_numbers::<2>(&names.collect::<Vec<_>>(), out);
        save_texts(strings.distinct.iter().map(|string| &***string), out);
        out.size(self.numbers.len());
        self.numbers.iter().for_each(|number| save_number(number, out));
        save_texts(self.functions.iter().map(|function| function.name.as_bytes()), out);
        save_texts(self.variables.iter().map(|name| &**name), out);
        out.size(self.templates.len());
        for (name, root) in &self.templates {
            out.bytes(name);
            out.number(*root);
        }
    }

    /// Takes up what was written of a text; `None` if [`Self::save`] has not written it.
    pub(in super::super) fn restore(text: Bytes, saved: &Bytes, at: usize) -> Option<Self> {
        let mut read = Reader::new(&saved[at..]);
        let (width, records) = saved_numbers::<NUMBERS>(&mut read)?;
        let ids = saved_numbers::<1>(&mut read)?;
        let names = saved_numbers::<2>(&mut read)?;
        Some(Self {
            name: Arc::from([]),
            text,
            nodes: Vec::new(),
            saved: Some(Records { bytes: saved.slice_ref(records), width }),
            ids: groups(ids).map(|[id]| id).collect(),
            names: groups(names).map(|[start, end]| Name { start, end }).collect(),
            strings: many(&mut read, text_of)?,
            numbers: many(&mut read, restore_number)?,
            functions: many(&mut read, |read| funcs::find(read.bytes()?))?,
            variables: many(&mut read, text_of)?,
            templates: many(&mut read, |read| Some((text_of(read)?, read.small()?)))?,
        })
    }
}

/// Writes groups of N numbers.
fn save_numbers<const N: usize>(numbers: &[u32], out: &mut Writer) {
    let width = Width::of(numbers.iter().copied().max().unwrap_or_default());
    out.byte(width.bytes() as u8);
    out.size(numbers.len() / N);
    width.write(numbers, out);
}

/// Reads groups of N numbers, as they lie.
fn saved_numbers<'a, const N: usize>(read: &mut Reader<'a>) -> Option<(Width, &'a [u8])> {
    let width = match read.byte()? {
        2 => Width::Two,
        4 => Width::Four,
        _ => return None,
    };
    let length = read.size()?.checked_mul(N * width.bytes())?;
    Some((width, read.plain(length)?))
}

fn groups<const N: usize>((width, bytes): (Width, &[u8])) -> impl Iterator<Item = [u32; N]> {
    bytes.chunks_exact(N * width.bytes()).map(move |bytes| width.read(bytes))
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
