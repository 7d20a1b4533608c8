//! Execution: walks a tree, writes to one buffer.
//!
//! Source: go text/template/exec.go. Nil is handled exactly as there: what a map lookup gives is a
//! nil inside an interface, what a pipeline or variable held is the invalid value. The node that
//! errors name is the one that was visited last, which `at` remembers.

mod argument;
mod bounds;
mod include;
mod pipeline;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use memchr::memmem::Finder;

use super::ast::{Branch, Kind, NodeId};
use super::compile::{Overlay, Program, TPL_NAME, Template};
use super::error::Fail;
use super::fmt;
use super::funcs;
use super::memo::Memo;
use super::strconv;
use super::value::{ListKind, MapKind, MapRef, Str, Value, Watch};
use super::{Context, convert};
use crate::base::limit::{Limit, Limits};
use bounds::LONG;

/// Deepest nesting of `{{template}}`, as in Go.
const MAX_TEMPLATE_DEPTH: u32 = 100_000;
/// Stack of a parsing thread.
pub(super) const STACK_BYTES: usize = 512 << 20;
/// Stack of a rendering thread beside what templates may use: for functions.
const FUNCTIONS_STACK_BYTES: usize = 160 << 20;
/// As many entries are copied in the time of a step.
const COPIED_PER_STEP: usize = 4;

/// Returns the stack of a rendering thread.
pub(super) fn stack_bytes(limits: &Limits) -> usize {
    limits.size(Limit::Stack) + FUNCTIONS_STACK_BYTES
}

type Result<T> = std::result::Result<T, Fail>;

/// A value, and whether it was found inside an interface (which type errors show).
#[derive(Debug, Clone, Default)]
pub(super) struct Slot {
    pub(super) value: Value,
    pub(super) boxed: bool,
}

impl Slot {
    /// Returns the name of the type that Go knows it by.
    fn type_name(&self) -> &'static str {
        match &self.value {
            _ if self.boxed => "interface {}",
            // A function gives it as the interface.
            Value::Struct(fields) if fields.error_text().is_some() => "error",
            value => value.type_name(),
        }
    }
}

/// How a list of nodes ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// State of one rendering.
pub(crate) struct Machine<'p> {
    pub(super) program: &'p Program,
    pub(super) context: &'p Context<'p>,
    out: Vec<u8>,
    variables: Vec<(u32, Slot)>,
    /// First variable of the template being executed.
    base: usize,
    at: NodeId,
    depth: u32,
    /// Bounds of this machine: those of the rendering, or its share of them.
    limits: Limits,
    steps: u64,
    most_steps: u64,
    /// Bytes that were taken for values and output, whether they are still held or not.
    taken: u64,
    stack_start: usize,
    most_stack: usize,
    overlays: Vec<Overlay>,
    nesting: Vec<u32>,
    other_nesting: HashMap<Str, u32>,
    pool: Vec<Vec<Value>>,
    /// Maps that were given other maps or lists: they may hold themselves.
    grown: Vec<MapRef>,
    memo: Memo,
}

fn stack_position() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(&here).addr()
}

/// Removes every `<no value>` from the tail of a buffer that begins at `start`.
///
/// Source: helm v4.3.1 pkg/engine/engine.go (missingkey=zero prints it, Helm cuts it out).
fn strip_no_value(out: &mut Vec<u8>, start: usize) {
    const MARK: &[u8] = b"<no value>";
    static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(MARK));
    let find = |text: &[u8]| FINDER.find(text);
    let Some(first) = find(&out[start..]) else { return };
    let tail = out.split_off(start + first);
    let mut rest = tail.as_slice();
    while let Some(at) = find(rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + MARK.len()..];
    }
    out.extend_from_slice(rest);
}

impl<'p> Machine<'p> {
    /// Prepares a rendering; call it on the thread that renders.
    pub(super) fn new(
        program: &'p Program,
        context: &'p Context<'p>,
        limits: Limits,
        changed: &Watch,
    ) -> Self {
        fmt::set_most_bytes(limits.size(Limit::Text));
        Self {
            program,
            context,
            out: Vec::with_capacity(1 << 16),
            variables: Vec::new(),
            base: 0,
            at: 0,
            depth: 0,
            limits,
            steps: 0,
            most_steps: limits.of(Limit::Steps),
            taken: 0,
            stack_start: stack_position(),
            most_stack: limits.size(Limit::Stack),
            overlays: Vec::new(),
            nesting: vec![0; program.len()],
            other_nesting: HashMap::new(),
            pool: Vec::new(),
            grown: Vec::new(),
            memo: Memo::new(program.len(), program.index(TPL_NAME), Watch::clone(changed)),
        }
    }

    /// Renders one file with a root context and returns its output.
    pub(super) fn render_file(&mut self, code: &Template, root: &MapRef) -> Result<String> {
        self.memo.begin(root, convert::set_template(root, &code.name));
        self.out.clear();
        // The root context is Helm's `common.Values`, like `.Values` and `.Template`.
        let dot = Value::Map(MapKind::Values, MapRef::clone(root));
        self.execute(code, dot)?;
        self.check_output(code)?;
        strip_no_value(&mut self.out, 0);
        // All outputs are held until the last file is rendered.
        self.take(self.out.len())?;
        Ok(strconv::lossy(&self.out).into_owned())
    }

    /// Remembers a map that may now hold itself, to free it at the end.
    pub(super) fn note_grown(&mut self, map: &MapRef) {
        self.grown.push(MapRef::clone(map));
    }

    /// Frees values that hold themselves.
    pub(super) fn release(&mut self) {
        self.variables.clear();
        self.pool.clear();
        self.memo.clear();
        for map in self.grown.drain(..) {
            map.clear();
        }
    }

    // Templates nest a hundred thousand deep: what `walk_template` can do elsewhere takes none of
    // its stack.

    /// Executes a template with its own variables.
    fn execute(&mut self, code: &Template, data: Value) -> Result<()> {
        let (base, at) = (self.base, self.at);
        self.base = self.variables.len();
        let dot = Slot { value: data, boxed: false };
        self.variables.push((0, dot.clone()));
        self.walk(code, code.root, &dot)?;
        self.variables.truncate(self.base);
        (self.base, self.at) = (base, at);
        Ok(())
    }

    fn fail<T>(&self, code: &Template, message: impl Into<String>) -> Result<T> {
        Err(Fail::locate(&code.unit, self.at, &code.name, message.into(), None))
    }

    fn walk(&mut self, code: &Template, id: NodeId, dot: &Slot) -> Result<Flow> {
        self.at = id;
        match code.unit.kind(id) {
            Kind::Text(start, end) => {
                self.out.extend_from_slice(code.unit.slice(start, end));
                Ok(Flow::Next)
            }
            Kind::List(nodes) => {
                for &node in code.unit.ids(nodes) {
                    let flow = self.walk(code, node, dot)?;
                    if flow != Flow::Next {
                        return Ok(flow);
                    }
                }
                Ok(Flow::Next)
            }
            Kind::Action(pipe) => self.walk_action(code, pipe, dot),
            Kind::Literal(start, end) => self.walk_literal(code, (start, end)),
            Kind::Branch { kind: Branch::Range, pipe, list, other } => {
                let mark = self.variables.len();
                let flow = self.walk_range(code, [id, pipe, list], other, dot)?;
                self.variables.truncate(mark);
                Ok(flow)
            }
            Kind::Branch { kind, pipe, list, other } => {
                let mark = self.variables.len();
                let value = self.eval_pipe(code, pipe, dot)?;
                let flow = match (value.truth(), other) {
                    (true, _) if kind == Branch::With => {
                        let dot = Slot { value, boxed: false };
                        self.walk(code, list, &dot)?
                    }
                    (true, _) => self.walk(code, list, dot)?,
                    (false, Some(other)) => self.walk(code, other, dot)?,
                    (false, None) => Flow::Next,
                };
                self.variables.truncate(mark);
                Ok(flow)
            }
            Kind::Template { name, pipe } => {
                self.walk_template(code, code.unit.string(name), pipe, dot)
            }
            Kind::Break => Ok(Flow::Break),
            Kind::Continue => Ok(Flow::Continue),
            _ => self.fail(code, "unknown node"),
        }
    }

    /// Apart from `walk`, whose stack must stay small: it recurses.
    fn walk_literal(&mut self, code: &Template, (start, end): (u32, u32)) -> Result<Flow> {
        self.out.extend_from_slice(code.unit.slice(start, end));
        self.check_output(code)?;
        Ok(Flow::Next)
    }

    fn walk_action(&mut self, code: &Template, id: NodeId, dot: &Slot) -> Result<Flow> {
        let Kind::Pipe(pipe) = code.unit.kind(id) else { return self.fail(code, "unknown node") };
        let value = self.eval_pipe(code, id, dot)?;
        if pipe.decl.is_empty() {
            match &value {
                Value::Invalid | Value::Nil => self.out.extend_from_slice(b"<no value>"),
                Value::Struct(fields) if fields.has_version_methods() => {
                    fmt::print_value(&mut self.out, &funcs::objects::kube_version_text(fields));
                }
                // Go follows a pointer before it prints.
                Value::Struct(fields) if fields.type_name.starts_with('*') => {
                    fmt::print_pointee(&mut self.out, &value);
                }
                value => fmt::print_value(&mut self.out, value),
            }
            self.check_output(code)?;
        }
        Ok(Flow::Next)
    }

    fn walk_template(
        &mut self,
        code: &Template,
        name: &Str,
        pipe: Option<NodeId>,
        dot: &Slot,
    ) -> Result<Flow> {
        let index = self.program.index(name);
        let Some(target) = self.lookup_template(name, index) else {
            let name = strconv::quote(name);
            return self.fail(code, format!("template {name} not defined"));
        };
        if self.depth == MAX_TEMPLATE_DEPTH {
            let limit = MAX_TEMPLATE_DEPTH;
            return self.fail(code, format!("exceeded maximum template depth ({limit})"));
        }
        let data = match pipe {
            Some(pipe) => self.eval_pipe(code, pipe, dot)?,
            None => Value::Invalid,
        };
        if self.writes_remembered(index, &data) {
            return Ok(Flow::Next);
        }
        let mark = self.enter(index, &target, &data);
        self.depth += 1;
        self.execute(&target, data)?;
        self.depth -= 1;
        self.leave(mark);
        Ok(Flow::Next)
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each kind that a range walks, as in Go")]
    fn walk_range(
        &mut self,
        code: &Template,
        [id, pipe_id, list]: [NodeId; 3],
        other: Option<NodeId>,
        dot: &Slot,
    ) -> Result<Flow> {
        self.at = id;
        let Kind::Pipe(pipe) = code.unit.kind(pipe_id) else { return Ok(Flow::Next) };
        let value = self.eval_pipe(code, pipe_id, dot)?;
        // A map is copied first, because it may change meanwhile.
        if matches!(value, Value::Map(..) | Value::Bytes(_)) && value.length() > LONG {
            self.spend(value.length() / COPIED_PER_STEP).map_err(|cause| {
                Fail::locate(&code.unit, id, &code.name, "error in range:".to_owned(), Some(cause))
            })?;
        }
        let decl = (code.unit.ids(pipe.decl), pipe.assign);
        let mut any = false;
        let mut turn = |machine: &mut Self, index: Value, item: Value, boxed: bool| {
            any = true;
            machine.iterate(code, list, decl, index, Slot { value: item, boxed })
        };
        match &value {
            Value::Int(count, kind) => {
                if decl.0.len() > 1 {
                    let shown = strconv::lossy(&fmt::to_text(&value)).into_owned();
                    let text = format!("can't use {shown} to iterate over more than one variable");
                    return self.fail(code, text);
                }
                for index in 0..*count {
                    if !turn(self, Value::Invalid, Value::Int(index, *kind), false)? {
                        break;
                    }
                }
            }
            Value::Uint(count, kind) => {
                if decl.0.len() > 1 {
                    let text = format!("can't use {count} to iterate over more than one variable");
                    return self.fail(code, text);
                }
                for index in 0..*count {
                    if !turn(self, Value::Invalid, Value::Uint(index, *kind), false)? {
                        break;
                    }
                }
            }
            Value::Duration(count) => {
                if decl.0.len() > 1 {
                    let shown = strconv::lossy(&fmt::to_text(&value)).into_owned();
                    let text = format!("can't use {shown} to iterate over more than one variable");
                    return self.fail(code, text);
                }
                for index in 0..*count {
                    if !turn(self, Value::Invalid, Value::Duration(index), false)? {
                        break;
                    }
                }
            }
            Value::List(items) => {
                let boxed = items.kind == ListKind::Any;
                for (index, item) in items.items.iter().enumerate() {
                    if !turn(self, Value::size(index), item.clone(), boxed)? {
                        break;
                    }
                }
            }
            Value::Bytes(_) => {
                for (index, item) in value.elements().into_iter().flatten().enumerate() {
                    if !turn(self, Value::size(index), item, false)? {
                        break;
                    }
                }
            }
            Value::Map(kind, map) => {
                let boxed = *kind != MapKind::Strings;
                for (key, item) in map.entries() {
                    if !turn(self, Value::Str(key), item, boxed)? {
                        break;
                    }
                }
            }
            Value::Files(files) => {
                for (name, content) in files.iter() {
                    self.take(content.len())?;
                    let item = Value::Bytes(Arc::from(&content[..]));
                    if !turn(self, Value::str(name), item, false)? {
                        break;
                    }
                }
            }
            Value::Invalid | Value::Nil => {}
            value => {
                let mut text = Vec::new();
                match value {
                    Value::Struct(fields) => fmt::print_fields(&mut text, fields),
                    Value::Location(_) => fmt::print_place(&mut text),
                    value => fmt::print_value(&mut text, value),
                }
                let text = strconv::lossy(&text);
                return self.fail(code, format!("range can't iterate over {text}"));
            }
        }
        match other {
            // What breaks there leaves this range, though not one turn of it was made.
            Some(other) if !any => match self.walk(code, other, dot)? {
                Flow::Break => Ok(Flow::Next),
                flow => Ok(flow),
            },
            _ => Ok(Flow::Next),
        }
    }

    /// Executes a loop's body once; false ends the loop.
    fn iterate(
        &mut self,
        code: &Template,
        list: NodeId,
        (decl, assign): (&[u32], bool),
        index: Value,
        item: Slot,
    ) -> Result<bool> {
        self.step(code)?;
        let mark = self.variables.len();
        if let Some((&last, first)) = decl.split_last() {
            if assign {
                if let [first] = first {
                    self.assign(code, *first, Slot { value: index, boxed: false })?;
                }
                self.assign(code, last, item.clone())?;
            } else {
                if !first.is_empty() {
                    self.variables[mark - 2].1 = Slot { value: index, boxed: false };
                }
                self.variables[mark - 1].1 = item.clone();
            }
        }
        let flow = self.walk(code, list, &item)?;
        self.variables.truncate(mark);
        Ok(flow != Flow::Break)
    }

    fn assign(&mut self, code: &Template, variable: u32, slot: Slot) -> Result<()> {
        let frame = &mut self.variables[self.base..];
        match frame.iter_mut().rev().find(|(known, _)| *known == variable) {
            Some((_, known)) => {
                *known = slot;
                Ok(())
            }
            None => self.undefined(code, variable),
        }
    }

    fn undefined<T>(&self, code: &Template, variable: u32) -> Result<T> {
        let name = strconv::lossy(&code.unit.variables[variable as usize]).into_owned();
        self.fail(code, format!("undefined variable: {name}"))
    }
}
