//! Syntax trees. A tree is an arena: nodes name each other by index, know where they came from,
//! and print themselves back to source, which is how errors name them. Lists of nodes and of names
//! lie in arenas, too: a file of thousands of nodes costs a handful of allocations.

mod records;
mod saved;

use std::sync::Arc;

use bytes::Bytes;

use super::funcs::Func;
use super::strconv;
use super::value::Str;
use records::Records;

/// Index of a node in its [`Unit`].
pub(crate) type NodeId = u32;

/// Consecutive entries of one of the arenas.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    start: u32,
    count: u32,
}

impl Span {
    fn range(self) -> std::ops::Range<usize> {
        self.start as usize..(self.start + self.count) as usize
    }

    pub(crate) fn is_empty(self) -> bool {
        self.count == 0
    }
}

/// A name: its offsets in the source.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Name {
    pub(super) start: u32,
    pub(super) end: u32,
}

/// Arenas that grow while a text is parsed, and are used again for the next one: a unit keeps what
/// it needs and not more, and nothing is moved while it grows.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    records: Vec<u8>,
    ids: Vec<u32>,
    names: Vec<Name>,
}

/// One parsed text: a file, or the argument of a `tpl`. Its templates share the arena.
#[derive(Debug)]
pub(crate) struct Unit {
    /// Name that errors give as the file.
    pub(crate) name: Str,
    /// The source.
    pub(crate) text: Bytes,
    nodes: Records,
    /// Children of nodes, and variables of pipelines.
    ids: Vec<u32>,
    /// Names of fields, as parts of the source.
    names: Vec<Name>,
    /// Texts of strings.
    strings: Vec<Str>,
    numbers: Vec<Number>,
    functions: Vec<&'static Func>,
    /// Names of variables, `$` first; nodes name them by index.
    pub(crate) variables: Vec<Str>,
    /// Templates that the text defines, in order of definition; the text itself comes last.
    pub(crate) templates: Vec<(Str, NodeId)>,
}

/// A node and the byte offset that errors give for it.
#[derive(Debug, Clone, Copy)]
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
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Number {
    /// Where its literal stands.
    pub(crate) text: Name,
    pub(crate) int: Option<i64>,
    pub(crate) uint: Option<u64>,
    pub(crate) float: Option<f64>,
    pub(crate) complex: Option<(f64, f64)>,
}

/// A pipeline: `$x := a | b`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pipe {
    /// Declared or assigned variables.
    pub(crate) decl: Span,
    /// Whether `=` and not `:=` was used.
    pub(crate) assign: bool,
    /// Commands.
    pub(crate) cmds: Span,
}

/// What a node is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Text between the two offsets of the source.
    Text(u32, u32),
    /// Nodes, one after the other.
    List(Span),
    Action(NodeId),
    /// An action that prints a raw string and nothing else: what stands between the two offsets.
    /// Charts hold whole dashboards in one.
    Literal(u32, u32),
    Branch {
        kind: Branch,
        pipe: NodeId,
        list: NodeId,
        other: Option<NodeId>,
    },
    Template {
        /// Index of a string.
        name: u32,
        pipe: Option<NodeId>,
    },
    Break,
    Continue,
    Pipe(Pipe),
    Command(Span),
    /// Index of a function.
    Function(u32),
    /// Names.
    Field(Span),
    /// Index of a variable, and names.
    Variable(u32, Span),
    Chain(NodeId, Span),
    Dot,
    Nil,
    Bool(bool),
    /// Index of a number.
    Number(u32),
    /// A string: its literal's offsets, and the index of its text.
    String(u32, u32, u32),
}

impl Unit {
    /// Returns an empty arena for a text.
    pub(crate) fn new(name: Str, text: Bytes, scratch: Scratch) -> Self {
        let dollar: Str = Arc::from(b"$".as_slice());
        let Scratch { records, ids, names } = scratch;
        Self {
            name,
            nodes: Records::growing(text.len(), records),
            text,
            ids,
            names,
            strings: Vec::new(),
            numbers: Vec::new(),
            functions: Vec::new(),
            variables: vec![dollar],
            templates: Vec::new(),
        }
    }

    /// Takes no more nodes, and gives back the memory in which they grew.
    pub(super) fn complete(&mut self) -> Scratch {
        fn settle<T: Copy>(grown: &mut Vec<T>) -> Vec<T> {
            let exact = grown.as_slice().to_vec();
            let mut scratch = std::mem::replace(grown, exact);
            scratch.clear();
            scratch
        }
        let records = self.nodes.complete();
        Scratch { records, ids: settle(&mut self.ids), names: settle(&mut self.names) }
    }

    /// Adds a node.
    pub(crate) fn add(&mut self, pos: u32, kind: Kind) -> NodeId {
        self.nodes.add(Node { pos, kind })
    }

    /// Makes another node of one.
    pub(super) fn replace(&mut self, id: NodeId, pos: u32, kind: Kind) {
        self.nodes.replace(id, Node { pos, kind });
    }

    /// Adds a list of nodes or variables.
    pub(super) fn add_ids(&mut self, ids: &[u32]) -> Span {
        let span = Span { start: index(self.ids.len()), count: index(ids.len()) };
        self.ids.extend_from_slice(ids);
        span
    }

    /// Adds a string.
    pub(super) fn add_string(&mut self, string: Str) -> u32 {
        self.strings.push(string);
        index(self.strings.len() - 1)
    }

    /// The names that begin here, of which there is none yet.
    pub(super) fn no_names(&self) -> Span {
        Span { start: index(self.names.len()), count: 0 }
    }

    /// Adds a name to those that were added last.
    pub(super) fn add_name(&mut self, names: Span, [start, end]: [u32; 2]) -> Span {
        debug_assert_eq!(names.range().end, self.names.len(), "others were added in between");
        self.names.push(Name { start, end });
        Span { count: names.count + 1, ..names }
    }

    /// Adds a number.
    pub(super) fn add_number(&mut self, number: Number) -> u32 {
        self.numbers.push(number);
        index(self.numbers.len() - 1)
    }

    /// Adds a function.
    pub(super) fn add_function(&mut self, function: &'static Func) -> u32 {
        self.functions.push(function);
        index(self.functions.len() - 1)
    }

    /// Returns the nodes or variables of a list.
    pub(crate) fn ids(&self, span: Span) -> &[u32] {
        &self.ids[span.range()]
    }

    /// Returns names.
    pub(crate) fn names(&self, span: Span) -> &[Name] {
        &self.names[span.range()]
    }

    /// Returns the text of a name, or of a number.
    pub(crate) fn name(&self, name: Name) -> &[u8] {
        self.slice(name.start, name.end)
    }

    /// Returns a string.
    pub(crate) fn string(&self, index: u32) -> &Str {
        &self.strings[index as usize]
    }

    /// Returns a number.
    pub(crate) fn number(&self, index: u32) -> &Number {
        &self.numbers[index as usize]
    }

    /// Returns a function.
    pub(crate) fn function(&self, index: u32) -> &'static Func {
        self.functions[index as usize]
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
    #[inline]
    pub(crate) fn node(&self, id: NodeId) -> Node {
        self.nodes.node(id)
    }

    /// Returns what a node is.
    pub(crate) fn kind(&self, id: NodeId) -> Kind {
        self.node(id).kind
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
            Kind::List(nodes) => self.ids(nodes).iter().all(|&node| self.is_empty(node)),
            Kind::Text(start, end) => is_space(self.slice(start, end)),
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
                out.extend_from_slice(self.slice(start, end));
            }
            Kind::List(nodes) => self.ids(nodes).iter().for_each(|&node| self.print_to(node, out)),
            Kind::Literal(start, end) => {
                for part in [b"{{`", self.slice(start, end), b"`}}"] {
                    out.extend_from_slice(part);
                }
            }
            Kind::Action(pipe) => {
                out.extend_from_slice(b"{{");
                self.print_to(pipe, out);
                out.extend_from_slice(b"}}");
            }
            Kind::Branch { kind, pipe, list, other } => {
                self.print_branch(kind, [pipe, list], other, out);
            }
            Kind::Template { name, pipe } => {
                out.extend_from_slice(b"{{template ");
                strconv::push_quoted(out, self.string(name), strconv::Charset::Printable);
                if let Some(pipe) = pipe {
                    out.push(b' ');
                    self.print_to(pipe, out);
                }
                out.extend_from_slice(b"}}");
            }
            Kind::Break => out.extend_from_slice(b"{{break}}"),
            Kind::Continue => out.extend_from_slice(b"{{continue}}"),
            Kind::Pipe(pipe) => self.print_pipe(pipe, out),
            Kind::Command(args) => {
                for (index, &arg) in self.ids(args).iter().enumerate() {
                    if index > 0 {
                        out.push(b' ');
                    }
                    self.print_operand(arg, out);
                }
            }
            Kind::Function(function) => {
                out.extend_from_slice(self.function(function).name.as_bytes());
            }
            Kind::Field(names) => self.print_fields(names, out),
            Kind::Variable(variable, names) => {
                out.extend_from_slice(&self.variables[variable as usize]);
                self.print_fields(names, out);
            }
            Kind::Chain(node, names) => {
                self.print_operand(node, out);
                self.print_fields(names, out);
            }
            Kind::Dot => out.push(b'.'),
            Kind::Nil => out.extend_from_slice(b"nil"),
            Kind::Bool(value) => out.extend_from_slice(value.to_string().as_bytes()),
            Kind::Number(number) => out.extend_from_slice(self.name(self.number(number).text)),
        }
    }

    fn print_fields(&self, names: Span, out: &mut Vec<u8>) {
        for name in self.names(names) {
            out.push(b'.');
            out.extend_from_slice(self.name(*name));
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

    fn print_pipe(&self, pipe: Pipe, out: &mut Vec<u8>) {
        for (index, &variable) in self.ids(pipe.decl).iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b", ");
            }
            out.extend_from_slice(&self.variables[variable as usize]);
        }
        if !pipe.decl.is_empty() {
            out.extend_from_slice(if pipe.assign { b" = " } else { b" := " });
        }
        for (index, &cmd) in self.ids(pipe.cmds).iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b" | ");
            }
            self.print_to(cmd, out);
        }
    }
}

fn index(index: usize) -> u32 {
    // A text is at most 4 GiB long, and no part of it makes two entries of one arena.
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn is_space(text: &[u8]) -> bool {
    strconv::runes(text).all(char::is_whitespace)
}
