//! A pattern as a tree.
//!
//! Source: gobwas/glob v0.2.3 syntax/ast/parser.go.

use std::mem::take;

use super::lexer::{Atom, Token};

/// A node of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Atom(Atom),
    /// One behind the other.
    Pattern(Vec<Self>),
    /// Alternatives: patterns, or nothing where what they have in common was all there was.
    AnyOf(Vec<Self>),
    Nothing,
}

/// A brace that is open: what is in front of it, and its alternatives.
struct Open {
    outer: Vec<Node>,
    alternatives: Vec<Node>,
}

/// Makes a tree. Braces that are open at the end are closed there.
pub(super) fn parse(tokens: Vec<Token>) -> Node {
    let mut nodes = Vec::new();
    let mut opens: Vec<Open> = Vec::new();
    for token in tokens {
        match token {
            Token::Atom(atom) => nodes.push(Node::Atom(atom)),
            Token::Open => {
                opens.push(Open { outer: take(&mut nodes), alternatives: Vec::new() });
            }
            Token::Separator => {
                if let Some(open) = opens.last_mut() {
                    open.alternatives.push(Node::Pattern(take(&mut nodes)));
                }
            }
            Token::Close => nodes = closed(opens.pop(), nodes),
        }
    }
    while !opens.is_empty() {
        nodes = closed(opens.pop(), nodes);
    }
    Node::Pattern(nodes)
}

/// Returns the nodes around a brace, itself with its last alternative among them.
fn closed(open: Option<Open>, last: Vec<Node>) -> Vec<Node> {
    let Some(Open { mut outer, mut alternatives }) = open else { return last };
    alternatives.push(Node::Pattern(last));
    outer.push(Node::AnyOf(alternatives));
    outer
}
