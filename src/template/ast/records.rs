//! The nodes of a tree as records of one size, which are read one by one when somebody looks at
//! them: they take less than half of the memory, and the first use of memory is a quarter of what
//! rendering a chart once costs.

use bytes::Bytes;

use super::{Branch, Kind, Node, NodeId, Pipe, Span, Unit};
use crate::base::packed::Writer;

/// Numbers of a node: what it is, where it stands, and three others.
pub(super) const NUMBERS: usize = 5;

/// The nodes of a tree.
#[derive(Debug)]
pub(super) struct Records {
    pub(super) bytes: Bytes,
    pub(super) width: Width,
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
    fn of(nodes: &[Node], width: Width) -> Self {
        let mut bytes = Vec::with_capacity(nodes.len() * NUMBERS * width.bytes());
        match width {
            Width::Two => nodes.iter().for_each(|node| {
                let numbers = record(*node).map(|number| (number as u16).to_le_bytes());
                bytes.extend_from_slice(numbers.as_flattened());
            }),
            Width::Four => nodes.iter().for_each(|node| {
                let numbers = record(*node).map(u32::to_le_bytes);
                bytes.extend_from_slice(numbers.as_flattened());
            }),
        }
        Self { bytes: bytes.into(), width }
    }

    /// Returns how many there are.
    pub(super) fn count(&self) -> usize {
        self.bytes.len() / (NUMBERS * self.width.bytes())
    }

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

impl Unit {
    /// Returns its nodes as records.
    pub(super) fn packed(&self) -> Records {
        let parts = [
            self.text.len(),
            // One more: nodes that need not be there are counted from one.
            self.nodes.len() + 1,
            self.ids.len(),
            self.names.len(),
            self.strings.len(),
            self.numbers.len(),
            self.variables.len(),
        ];
        let largest = parts.into_iter().max().unwrap_or_default();
        Records::of(&self.nodes, Width::of(super::index(largest)))
    }
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
        for width in [Width::Two, Width::Four] {
            let records = Records::of(&nodes, width);
            assert_eq!(records.count(), nodes.len());
            for (id, node) in (0..).zip(&nodes) {
                assert_eq!(format!("{:?}", records.node(id)), format!("{node:?}"));
            }
        }
    }
}
