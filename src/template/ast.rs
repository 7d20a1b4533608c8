//! Syntax trees. A tree is an arena: nodes name each other by index, know where they came from,
//! and print themselves back to source, which is how errors name them.

use std::sync::Arc;

use bytes::Bytes;

use super::funcs::Func;
use super::strconv;
use super::value::Str;

/// Templates have about this much text for a node: a guess that saves growing.
const BYTES_PER_NODE: usize = 16;

/// Index of a node in its [`Unit`].
pub(crate) type NodeId = u32;

/// One parsed text: a file, or the argument of a `tpl`. Its templates share the arena.
#[derive(Debug)]
pub(crate) struct Unit {
    /// Name that errors give as the file.
    pub(crate) name: Str,
    /// The source.
    pub(crate) text: Bytes,
    nodes: Vec<Node>,
    /// Names of variables, `$` first; nodes name them by index.
    pub(crate) variables: Vec<Str>,
    /// Templates that the text defines, in order of definition; the text itself comes last.
    pub(crate) templates: Vec<(Str, NodeId)>,
}

/// A node and the byte offset that errors give for it.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) pos: u32,
    pub(crate) kind: Kind,
}

/// What a branch does with its pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Branch {
    If,
    Range,
    With,
}

/// A literal number, under every type that can hold it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Number {
    pub(crate) text: String,
    pub(crate) int: Option<i64>,
    pub(crate) uint: Option<u64>,
    pub(crate) float: Option<f64>,
    pub(crate) complex: Option<(f64, f64)>,
}

/// A pipeline: `$x := a | b`.
#[derive(Debug)]
pub(crate) struct Pipe {
    /// Declared or assigned variables.
    pub(crate) decl: Box<[u32]>,
    /// Whether `=` and not `:=` was used.
    pub(crate) assign: bool,
    /// Commands.
    pub(crate) cmds: Box<[NodeId]>,
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Text between the two offsets of the source.
    Text(u32, u32),
    List(Box<[NodeId]>),
    Action(NodeId),
    Branch {
        kind: Branch,
        pipe: NodeId,
        list: NodeId,
        other: Option<NodeId>,
    },
    Template {
        name: Str,
        pipe: Option<NodeId>,
    },
    Break,
    Continue,
    Pipe(Pipe),
    Command(Box<[NodeId]>),
    Function(&'static Func),
    Field(Box<[Str]>),
    Variable(u32, Box<[Str]>),
    Chain(NodeId, Box<[Str]>),
    Dot,
    Nil,
    Bool(bool),
    Number(Box<Number>),
    /// A string: its literal's offsets and its text.
    String(u32, u32, Str),
}

impl Unit {
    /// Returns an empty arena for a text.
    pub(crate) fn new(name: Str, text: Bytes) -> Self {
        let dollar: Str = Arc::from(b"$".as_slice());
        let nodes = Vec::with_capacity(text.len() / BYTES_PER_NODE);
        Self { name, text, nodes, variables: vec![dollar], templates: Vec::new() }
    }

    /// Adds a node.
    pub(crate) fn add(&mut self, pos: u32, kind: Kind) -> NodeId {
        let id = NodeId::try_from(self.nodes.len()).unwrap_or(NodeId::MAX);
        self.nodes.push(Node { pos, kind });
        id
    }

    /// Adds a template; an empty body never replaces one that is not. Fails with Go's message.
    pub(super) fn define(&mut self, name: Str, root: NodeId) -> Result<(), String> {
        let existing = self.templates.iter().position(|(known, _)| *known == name);
        let Some(index) = existing else {
            self.templates.push((name, root));
            return Ok(());
        };
        if self.is_empty(self.templates[index].1) {
            self.templates[index].1 = root;
        } else if !self.is_empty(root) {
            let name = strconv::quote(&name);
            return Err(format!("template: multiple definition of template {name}"));
        }
        Ok(())
    }

    /// Returns a node.
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    /// Returns what a node is.
    pub(crate) fn kind(&self, id: NodeId) -> &Kind {
        &self.node(id).kind
    }

    /// Returns the source between two offsets.
    pub(crate) fn slice(&self, start: u32, end: u32) -> &[u8] {
        &self.text[start as usize..end as usize]
    }

    /// Returns line (from 1) and byte column (from 0) of an offset.
    pub(crate) fn line_column(&self, pos: u32) -> (u32, u32) {
        let before = &self.text[..(pos as usize).min(self.text.len())];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let small = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        (small(line), small(before.len() - start))
    }

    /// Whether a template has no effect: only space and comments.
    pub(crate) fn is_empty(&self, id: NodeId) -> bool {
        match self.kind(id) {
            Kind::List(nodes) => nodes.iter().all(|&node| self.is_empty(node)),
            Kind::Text(start, end) => is_space(self.slice(*start, *end)),
            _ => false,
        }
    }

    /// Prints a node back to source.
    pub(crate) fn print(&self, id: NodeId) -> Vec<u8> {
        let mut out = Vec::new();
        self.print_to(id, &mut out);
        out
    }

    fn print_to(&self, id: NodeId, out: &mut Vec<u8>) {
        match self.kind(id) {
            Kind::Text(start, end) | Kind::String(start, end, _) => {
                out.extend_from_slice(self.slice(*start, *end));
            }
            Kind::List(nodes) => nodes.iter().for_each(|&node| self.print_to(node, out)),
            Kind::Action(pipe) => {
                out.extend_from_slice(b"{{");
                self.print_to(*pipe, out);
                out.extend_from_slice(b"}}");
            }
            Kind::Branch { kind, pipe, list, other } => {
                self.print_branch(*kind, [*pipe, *list], *other, out);
            }
            Kind::Template { name, pipe } => {
                out.extend_from_slice(b"{{template ");
                strconv::push_quoted(out, name, strconv::Charset::Printable);
                if let Some(pipe) = pipe {
                    out.push(b' ');
                    self.print_to(*pipe, out);
                }
                out.extend_from_slice(b"}}");
            }
            Kind::Break => out.extend_from_slice(b"{{break}}"),
            Kind::Continue => out.extend_from_slice(b"{{continue}}"),
            Kind::Pipe(pipe) => self.print_pipe(pipe, out),
            Kind::Command(args) => {
                for (index, &arg) in args.iter().enumerate() {
                    if index > 0 {
                        out.push(b' ');
                    }
                    self.print_operand(arg, out);
                }
            }
            Kind::Function(func) => out.extend_from_slice(func.name.as_bytes()),
            Kind::Field(names) => print_fields(names, out),
            Kind::Variable(variable, names) => {
                out.extend_from_slice(&self.variables[*variable as usize]);
                print_fields(names, out);
            }
            Kind::Chain(node, names) => {
                self.print_operand(*node, out);
                print_fields(names, out);
            }
            Kind::Dot => out.push(b'.'),
            Kind::Nil => out.extend_from_slice(b"nil"),
            Kind::Bool(value) => out.extend_from_slice(value.to_string().as_bytes()),
            Kind::Number(number) => out.extend_from_slice(number.text.as_bytes()),
        }
    }

    fn print_operand(&self, id: NodeId, out: &mut Vec<u8>) {
        if matches!(self.kind(id), Kind::Pipe(_)) {
            out.push(b'(');
            self.print_to(id, out);
            out.push(b')');
        } else {
            self.print_to(id, out);
        }
    }

    fn print_branch(
        &self,
        kind: Branch,
        [pipe, list]: [NodeId; 2],
        other: Option<NodeId>,
        out: &mut Vec<u8>,
    ) {
        out.extend_from_slice(match kind {
            Branch::If => b"{{if ",
            Branch::Range => b"{{range ",
            Branch::With => b"{{with ",
        });
        self.print_to(pipe, out);
        out.extend_from_slice(b"}}");
        self.print_to(list, out);
        if let Some(other) = other {
            out.extend_from_slice(b"{{else}}");
            self.print_to(other, out);
        }
        out.extend_from_slice(b"{{end}}");
    }

    fn print_pipe(&self, pipe: &Pipe, out: &mut Vec<u8>) {
        for (index, &variable) in pipe.decl.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b", ");
            }
            out.extend_from_slice(&self.variables[variable as usize]);
        }
        if !pipe.decl.is_empty() {
            out.extend_from_slice(if pipe.assign { b" = " } else { b" := " });
        }
        for (index, &cmd) in pipe.cmds.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b" | ");
            }
            self.print_to(cmd, out);
        }
    }
}

fn print_fields(names: &[Str], out: &mut Vec<u8>) {
    for name in names {
        out.push(b'.');
        out.extend_from_slice(name);
    }
}

fn is_space(text: &[u8]) -> bool {
    strconv::runes(text).all(char::is_whitespace)
}
