//! The nodes of a tree as records of one size, which are read one by one when somebody looks at
//! them: they take less than half of the memory, and the first use of memory is a quarter of what
//! rendering a chart once costs.

use bytes::Bytes;

use super::{Branch, Kind, Node, NodeId, Pipe, Span};
use crate::base::packed::Writer;

/// Numbers of a node: what it is, where it stands, and three others.
pub(super) const NUMBERS: usize = 5;

/// The nodes of a tree.
#[derive(Debug)]
pub(super) struct Records {
    bytes: Held,
    count: usize,
    width: Width,
}

/// Where records lie.
#[derive(Debug)]
enum Held {
    /// In memory that is used again for the next text, while this one is parsed.
    Growing(Vec<u8>),
    Complete(Bytes),
}

/// How numbers are written. Those of all but the largest texts are small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    Two,
    Four,
}

impl Width {
    pub(super) fn of(largest: u32) -> Self {
        if largest <= u16::MAX.into() { Self::Two } else { Self::Four }
    }

    /// Returns the width for the tree of a text of so many bytes. It has less nodes than bytes, and
    /// less entries of any other kind, but for the list of all; and nodes that need not be there are
    /// counted from one.
    fn of_text(length: usize) -> Self {
        Self::of(super::index(length.saturating_add(2)))
    }

    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::Two => size_of::<u16>(),
            Self::Four => size_of::<u32>(),
        }
    }

    /// Reads numbers, lowest byte first.
    #[inline]
    pub(super) fn read<const N: usize>(self, bytes: &[u8]) -> [u32; N] {
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

    pub(super) fn write(self, numbers: &[u32], out: &mut Writer) {
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
    /// Returns no nodes of a text of so many bytes; they grow in this memory.
    pub(super) fn growing(length: usize, mut memory: Vec<u8>) -> Self {
        memory.clear();
        Self { bytes: Held::Growing(memory), count: 0, width: Width::of_text(length) }
    }

    /// Returns records that were written before.
    pub(super) fn written(bytes: Bytes, width: Width) -> Self {
        let count = bytes.len() / (NUMBERS * width.bytes());
        Self { bytes: Held::Complete(bytes), count, width }
    }

    /// Takes no more nodes than it has, and returns the memory in which they grew.
    pub(super) fn complete(&mut self) -> Vec<u8> {
        let Held::Growing(grown) = &mut self.bytes else { return Vec::new() };
        let grown = std::mem::take(grown);
        self.bytes = Held::Complete(Bytes::copy_from_slice(&grown));
        grown
    }

    /// Returns all of them, as they lie.
    pub(super) fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Held::Growing(bytes) => bytes,
            Held::Complete(bytes) => bytes,
        }
    }

    pub(super) fn width(&self) -> Width {
        self.width
    }

    /// Returns how many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Adds a node, unless all nodes are there, and returns its index.
    #[inline]
    pub(super) fn add(&mut self, node: Node) -> NodeId {
        let id = super::index(self.count);
        if let Held::Growing(bytes) = &mut self.bytes {
            self.count += 1;
            match self.width {
                Width::Two => bytes.extend_from_slice(narrow(node).as_flattened()),
                Width::Four => bytes.extend_from_slice(wide(node).as_flattened()),
            }
        }
        id
    }

    /// Makes another node of one, unless all nodes are there.
    pub(super) fn replace(&mut self, id: NodeId, node: Node) {
        let Held::Growing(bytes) = &mut self.bytes else { return };
        let length = NUMBERS * self.width.bytes();
        let place = &mut bytes[id as usize * length..][..length];
        match self.width {
            Width::Two => place.copy_from_slice(narrow(node).as_flattened()),
            Width::Four => place.copy_from_slice(wide(node).as_flattened()),
        }
    }

    /// Reads the node of an index.
    #[inline]
    pub(super) fn node(&self, id: NodeId) -> Node {
        const TWO: usize = NUMBERS * Width::Two.bytes();
        const FOUR: usize = NUMBERS * Width::Four.bytes();
        // Of a length that is known here, it is read without a loop.
        let bytes = self.bytes();
        let at = id as usize;
        match self.width {
            Width::Two => node(Width::Two.read(&bytes[at * TWO..][..TWO])),
            Width::Four => node(Width::Four.read(&bytes[at * FOUR..][..FOUR])),
        }
    }
}

fn narrow(node: Node) -> [[u8; 2]; NUMBERS] {
    record(node).map(|number| {
        debug_assert!(number <= u16::MAX.into(), "a text has less nodes than bytes");
        (number as u16).to_le_bytes()
    })
}

fn wide(node: Node) -> [[u8; 4]; NUMBERS] {
    record(node).map(u32::to_le_bytes)
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

fn record(Node { pos, kind }: Node) -> [u32; NUMBERS] {
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
        Kind::Template { name, pipe } => [tag::TEMPLATE, name, pipe.map_or(0, |pipe| pipe + 1), 0],
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
        Kind::String(start, end, string) => [tag::STRING, start, end, string],
        Kind::Literal(start, end) => [tag::LITERAL, start, end, 0],
    };
    [tag, pos, a, b, c]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_what_its_node_says() {
        let span = Span { start: 7, count: 2 };
        let kinds = [
            Kind::Text(1, 2),
            Kind::List(span),
            Kind::Action(3),
            Kind::Literal(4, 5),
            Kind::Branch { kind: Branch::If, pipe: 1, list: 2, other: None },
            Kind::Branch { kind: Branch::Range, pipe: 1, list: 2, other: Some(0) },
            Kind::Branch { kind: Branch::With, pipe: 1, list: 2, other: Some(3) },
            Kind::Template { name: 1, pipe: None },
            Kind::Template { name: 1, pipe: Some(0) },
            Kind::Break,
            Kind::Continue,
            Kind::Pipe(Pipe { decl: Span { start: 9, count: 1 }, assign: false, cmds: span }),
            Kind::Pipe(Pipe { decl: Span { start: 9, count: 2 }, assign: true, cmds: span }),
            Kind::Command(span),
            Kind::Function(6),
            Kind::Field(span),
            Kind::Variable(8, span),
            Kind::Chain(9, span),
            Kind::Dot,
            Kind::Nil,
            Kind::Bool(false),
            Kind::Bool(true),
            Kind::Number(10),
            Kind::String(11, 12, 13),
        ];
        let nodes: Vec<_> = (20..).zip(kinds).map(|(pos, kind)| Node { pos, kind }).collect();
        for length in [0, u16::MAX.into()] {
            let mut records = Records::growing(length, vec![1; 7]);
            for id in 0..nodes.len() as NodeId {
                assert_eq!(records.add(Node { pos: 0, kind: Kind::Nil }), id);
            }
            (0..).zip(&nodes).for_each(|(id, node)| records.replace(id, *node));
            for (id, node) in (nodes.len() as NodeId..).zip(&nodes) {
                assert_eq!(records.add(*node), id);
            }
            for _ in ["growing", "complete"] {
                assert_eq!(records.count(), 2 * nodes.len());
                for (id, node) in (0..).zip(nodes.iter().chain(&nodes)) {
                    assert_eq!(format!("{:?}", records.node(id)), format!("{node:?}"));
                }
                records.complete();
            }
        }
    }
}
