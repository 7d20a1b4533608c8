//! Execution: walks a tree, writes to one buffer.
//!
//! Source: go text/template/exec.go. Nil is handled exactly as there: what a map lookup gives is a
//! nil inside an interface, what a pipeline or variable held is the invalid value. The node that
//! errors name is the one that was visited last, which `at` remembers.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use memchr::memmem::Finder;

use super::ast::{Branch, Kind, Name, NodeId, Number};
use super::compile::{Overlay, Program, TPL_NAME, Template};
use super::error::Fail;
use super::fmt;
use super::funcs::{self, Args, Func, Ty};
use super::memo::{Mark, Memo};
use super::strconv;
use super::value::{ListKind, MapKind, MapRef, Str, UintKind, Value, Watch};
use super::{Context, convert};
use crate::base::limit::{Limit, Limits};

/// Deepest nesting of `{{template}}`, as in Go.
const MAX_TEMPLATE_DEPTH: u32 = 100_000;
/// Deepest nesting of one name's `include`, as in Helm.
const MAX_INCLUDE_DEPTH: u32 = 1_000;
/// Stack of a parsing thread.
pub(super) const STACK_BYTES: usize = 512 << 20;
/// Stack of a rendering thread beside what templates may use: for functions.
const FUNCTIONS_STACK_BYTES: usize = 160 << 20;
/// A longer argument costs a step for so many of its bytes or items.
const LONG: usize = 1 << 10;
const LENGTH_PER_STEP: usize = 64;
/// As many entries are copied in the time of a step.
const COPIED_PER_STEP: usize = 4;
/// A parsed text takes about so many bytes for each of its own.
const TREE_BYTES: usize = 16;

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

/// How a list of nodes ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// The arguments of a command: nodes after the first, and what the pipeline brings.
struct Operands<'a> {
    nodes: &'a [NodeId],
    last: Option<Value>,
}

impl Operands<'_> {
    const NONE: Self = Self { nodes: &[], last: None };

    fn any(&self) -> bool {
        !self.nodes.is_empty() || self.last.is_some()
    }
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

/// A number as a type, if it has it.
fn typed(number: &Number, ty: Ty) -> Option<Value> {
    match ty {
        Ty::Int => number.int.map(Value::int),
        Ty::Uint32 => number.uint.map(|uint| Value::Uint(uint & 0xffff_ffff, UintKind::Uint32)),
        Ty::Float => number.float.map(Value::Float),
        _ => None,
    }
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

    /// Executes a named template and returns its output.
    pub(super) fn include(&mut self, name: &[u8], data: Value) -> Result<Value> {
        let index = self.program.index(name);
        if let Some(text) = self.remembered(index, &data) {
            return Ok(Value::Str(text));
        }
        let mark = self.memo.enter(index, &data, self.out.len());
        self.include_here(name, index, data)?;
        let start = mark.start();
        let text: Str = Arc::from(&self.out[start..]);
        self.out.truncate(start);
        if let Some(place) = self.memo.leave(mark, text.len()) {
            place.keep(Arc::clone(&text));
        }
        Ok(Value::Str(text))
    }

    /// Returns what a template gave for the same root before, unless a `tpl` text might have a say.
    fn remembered(&self, index: Option<usize>, data: &Value) -> Option<Str> {
        let text = self.memo.text(index, data)?;
        self.overlays.iter().all(Overlay::is_plain).then(|| Arc::clone(text))
    }

    // Templates nest a hundred thousand deep: what `walk_template` can do elsewhere takes none of
    // its stack.

    /// Writes what a template gave for the same root before, if it may.
    #[inline(never)]
    fn writes_remembered(&mut self, index: Option<usize>, data: &Value) -> bool {
        let text = self.remembered(index, data);
        self.out.extend_from_slice(text.as_deref().unwrap_or_default());
        text.is_some()
    }

    /// Begins a template. What a `tpl` text defines is not the program's, and not remembered.
    #[inline(never)]
    fn enter(&mut self, index: Option<usize>, target: &Arc<Template>, data: &Value) -> Mark {
        let own = index.filter(|index| self.program.is_template(*index, target));
        self.memo.enter(own, data, self.out.len())
    }

    /// Ends a template.
    #[inline(never)]
    fn leave(&mut self, mark: Mark) {
        let start = mark.start();
        if let Some(place) = self.memo.leave(mark, self.out.len() - start) {
            place.keep(Arc::from(&self.out[start..]));
        }
    }

    /// Executes a named template, appending to the output.
    fn include_here(&mut self, name: &[u8], index: Option<usize>, data: Value) -> Result<()> {
        let nesting = match index {
            Some(index) => &mut self.nesting[index],
            None => self.other_nesting.entry(Arc::from(name)).or_default(),
        };
        if *nesting > MAX_INCLUDE_DEPTH {
            let name = strconv::lossy(name);
            return Err(Fail::Text(format!(
                "rendering template has a nested reference name: {name}: unable to execute template"
            )));
        }
        *nesting += 1;
        let Some(code) = self.lookup_template(name, index) else {
            let name = strconv::quote(name);
            return Err(Fail::NoTemplate(format!(
                "template: no template {name} associated with template \"gotpl\""
            )));
        };
        self.execute(&code, data)?;
        match index {
            Some(index) => self.nesting[index] -= 1,
            None => {
                self.other_nesting.entry(Arc::from(name)).and_modify(|nesting| *nesting -= 1);
            }
        }
        Ok(())
    }

    fn lookup_template(&mut self, name: &[u8], index: Option<usize>) -> Option<Arc<Template>> {
        let mut empty = None;
        for overlay in self.overlays.iter().rev() {
            let found = overlay.find(name);
            if found.is_some() {
                self.memo.vary();
            }
            match found {
                Some((template, false)) => return Some(Arc::clone(template)),
                Some((template, true)) => empty = empty.or_else(|| Some(Arc::clone(template))),
                None => {}
            }
        }
        index.map(|index| self.program.template(index)).or(empty)
    }

    /// Renders a text that a value holds.
    ///
    /// Source: helm v4.3.1 pkg/engine/engine.go (tplFun).
    pub(super) fn tpl(&mut self, text: &Str, data: Value) -> Result<Value> {
        let start = self.out.len();
        if !text.windows(2).any(|pair| pair == b"{{") {
            let mut plain = text.to_vec();
            strip_no_value(&mut plain, 0);
            return Ok(Value::Str(plain.into()));
        }
        let (overlay, is_new) = self.program.parse_tpl(text).map_err(|error| {
            let quoted = strconv::quote(text);
            let message = format!("template: gotpl:{}: {}", error.line, error.message);
            Fail::Wrapped(format!("cannot parse template {quoted}"), Box::new(Fail::Text(message)))
        })?;
        if is_new {
            self.take(text.len().saturating_mul(TREE_BYTES))?;
        }
        let Some(code) = overlay.main() else { return Ok(Value::str("")) };
        self.overlays.push(overlay);
        self.execute(&code, data).map_err(|fail| {
            // A refusal may come through thousands of them.
            if fail.is_bound() {
                return fail;
            }
            let quoted = strconv::quote(text);
            let prefix = format!("error during tpl function execution for {quoted}");
            Fail::Wrapped(prefix, Box::new(fail))
        })?;
        self.overlays.pop();
        strip_no_value(&mut self.out, start);
        let output = Arc::from(&self.out[start..]);
        self.out.truncate(start);
        Ok(Value::Str(output))
    }

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

    /// Counts work, and checks what would otherwise exhaust the machine.
    fn step(&mut self, code: &Template) -> Result<()> {
        self.steps += 1;
        if self.steps & 0x3f == 0 || self.steps > self.most_steps {
            if self.steps > self.most_steps {
                return self.refuse(code, Limit::Steps, "rendering takes too many steps:");
            }
            self.check_output(code)?;
        }
        if self.stack_start.abs_diff(stack_position()) > self.most_stack {
            return self.refuse(code, Limit::Stack, "templates are nested too deeply:");
        }
        Ok(())
    }

    fn check_output(&self, code: &Template) -> Result<()> {
        if self.out.len() > self.limits.size(Limit::Output) {
            return self.refuse(code, Limit::Output, "the output is too large:");
        }
        Ok(())
    }

    #[cold]
    fn refuse<T>(&self, code: &Template, limit: Limit, what: &str) -> Result<T> {
        let cause = Fail::Bound(self.context.limits.hint(limit));
        Err(Fail::locate(&code.unit, self.at, &code.name, what.to_owned(), Some(cause)))
    }

    /// Returns a function's refusal; the bound that it tells is the rendering's, not a share of it.
    #[cold]
    pub(super) fn refusal(&self, limit: Limit, what: &str) -> Fail {
        Fail::Bound(self.context.limits.refusal(limit, what))
    }

    /// Returns the bounds.
    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Counts work that is more than the nodes that ask for it.
    pub(super) fn spend(&mut self, steps: usize) -> Result<()> {
        self.steps = self.steps.saturating_add(steps as u64);
        if self.steps > self.most_steps {
            return Err(self.refusal(Limit::Steps, "rendering takes too many steps"));
        }
        Ok(())
    }

    /// Counts memory that is more than the top of a value that a function gives.
    pub(super) fn take(&mut self, bytes: usize) -> Result<()> {
        self.taken = self.taken.saturating_add(bytes as u64);
        self.room_for(0)
    }

    /// Refuses what would be too much memory, before it is taken.
    pub(super) fn room_for(&self, bytes: usize) -> Result<()> {
        if self.taken.saturating_add(bytes as u64) > self.limits.of(Limit::Memory) {
            return Err(self.refusal(Limit::Memory, "templates take too much memory"));
        }
        Ok(())
    }

    /// Refuses a text that would be too long, before it is made.
    pub(super) fn room_for_text(&self, bytes: usize) -> Result<()> {
        if bytes > self.limits.size(Limit::Text) {
            return Err(self.refusal(Limit::Text, "a text is too long"));
        }
        self.room_for(bytes)
    }

    /// Refuses a list that would be too long, before it is made.
    pub(super) fn room_for_items(&self, items: usize) -> Result<()> {
        if items > self.limits.size(Limit::Items) {
            return Err(self.refusal(Limit::Items, "a list is too long"));
        }
        self.room_for(items.saturating_mul(size_of::<Value>()))
    }

    /// Counts the memory of what a function made, if it is new.
    #[inline]
    fn charged(&mut self, value: Value) -> Result<Value> {
        let bytes = value.fresh_bytes();
        self.taken += bytes as u64;
        // A text over its own bound is more than a function foresaw.
        if bytes > LONG {
            match &value {
                Value::Str(text) | Value::Bytes(text) => self.room_for_text(text.len())?,
                _ => self.room_for(0)?,
            }
        }
        Ok(value)
    }

    /// Counts the work that long arguments are.
    #[inline]
    fn weigh(&mut self, args: &[Value]) -> Result<()> {
        for arg in args {
            let length = arg.length();
            if length > LONG {
                self.spend(length / LENGTH_PER_STEP)?;
            }
        }
        Ok(())
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
                // Addressable, so its pointer's String method is found.
                Value::Struct(fields) if fields.type_name == "common.KubeVersion" => {
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
                let text = fmt::to_text(value);
                let text = strconv::lossy(&text);
                return self.fail(code, format!("range can't iterate over {text}"));
            }
        }
        match other {
            Some(other) if !any => self.walk(code, other, dot),
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

    fn eval_pipe(&mut self, code: &Template, id: NodeId, dot: &Slot) -> Result<Value> {
        self.at = id;
        self.step(code)?;
        let Kind::Pipe(pipe) = code.unit.kind(id) else { return Ok(Value::Invalid) };
        let mut value = None;
        for &cmd in code.unit.ids(pipe.cmds) {
            value = Some(self.eval_command(code, cmd, dot, value)?.unboxed());
        }
        let value = value.unwrap_or_default();
        for &variable in code.unit.ids(pipe.decl) {
            let slot = Slot { value: value.clone(), boxed: false };
            if pipe.assign {
                self.assign(code, variable, slot)?;
            } else {
                self.variables.push((variable, slot));
            }
        }
        Ok(value)
    }

    fn eval_command(
        &mut self,
        code: &Template,
        id: NodeId,
        dot: &Slot,
        last: Option<Value>,
    ) -> Result<Value> {
        let Kind::Command(nodes) = code.unit.kind(id) else { return Ok(Value::Invalid) };
        let nodes = code.unit.ids(nodes);
        let first = nodes[0];
        let operands = Operands { nodes: &nodes[1..], last };
        match code.unit.kind(first) {
            Kind::Field(names) => {
                self.at = first;
                let names = code.unit.names(names);
                self.eval_fields(code, dot, dot.clone(), (first, names), operands)
            }
            Kind::Chain(..) => self.eval_chain(code, first, dot, operands),
            Kind::Function(function) => {
                self.at = first;
                let func = code.unit.function(function);
                self.eval_call(code, dot, func, (None, func.name, id), operands)
            }
            Kind::Variable(variable, names) => {
                let names = code.unit.names(names);
                self.eval_variable(code, dot, (first, variable, names), operands)
            }
            Kind::Pipe(_) => {
                self.not_a_function(code, first, &operands)?;
                self.eval_pipe(code, first, dot)
            }
            kind => {
                self.at = first;
                self.not_a_function(code, first, &operands)?;
                match kind {
                    Kind::Dot => Ok(dot.value.clone()),
                    Kind::Nil => self.fail(code, "nil is not a command"),
                    _ => self.literal(code, first),
                }
            }
        }
    }

    fn not_a_function(&self, code: &Template, id: NodeId, operands: &Operands<'_>) -> Result<()> {
        if !operands.any() {
            return Ok(());
        }
        let node = code.unit.print(id);
        let node = strconv::lossy(&node);
        self.fail(code, format!("can't give argument to non-function {node}"))
    }

    /// The value of a literal whose type nothing asks for.
    fn literal(&mut self, code: &Template, id: NodeId) -> Result<Value> {
        self.at = id;
        match code.unit.kind(id) {
            Kind::Bool(value) => Ok(Value::Bool(value)),
            Kind::String(_, _, text) => Ok(Value::Str(Arc::clone(code.unit.string(text)))),
            Kind::Number(number) => self.ideal(code, code.unit.number(number)),
            _ => {
                let node = strconv::quote(&code.unit.print(id));
                self.fail(code, format!("can't evaluate command {node}"))
            }
        }
    }

    fn ideal(&self, code: &Template, number: &Number) -> Result<Value> {
        if let Some((real, imaginary)) = number.complex {
            return Ok(Value::Complex(real, imaginary));
        }
        let text = strconv::lossy(code.unit.name(number.text));
        let hex = text.len() > 2 && (text.starts_with("0x") || text.starts_with("0X"));
        let hex_int = hex && !text.contains(['p', 'P']);
        let looks_float = text.contains(['.', 'e', 'E', 'p', 'P']);
        match number.float {
            Some(float) if !hex_int && !text.starts_with('\'') && looks_float => {
                Ok(Value::Float(float))
            }
            _ => match number.int {
                Some(int) => Ok(Value::int(int)),
                None => self.fail(code, format!("{text} overflows int")),
            },
        }
    }

    fn eval_variable(
        &mut self,
        code: &Template,
        dot: &Slot,
        (id, variable, names): (NodeId, u32, &[Name]),
        operands: Operands<'_>,
    ) -> Result<Value> {
        self.at = id;
        let frame = &self.variables[self.base..];
        let Some((_, slot)) = frame.iter().rev().find(|(known, _)| *known == variable) else {
            return self.undefined(code, variable);
        };
        let slot = slot.clone();
        if names.is_empty() {
            self.not_a_function(code, id, &operands)?;
            return Ok(slot.value);
        }
        self.eval_fields(code, dot, slot, (id, names), operands)
    }

    fn eval_chain(
        &mut self,
        code: &Template,
        id: NodeId,
        dot: &Slot,
        operands: Operands<'_>,
    ) -> Result<Value> {
        self.at = id;
        let Kind::Chain(node, names) = code.unit.kind(id) else { return Ok(Value::Invalid) };
        self.at = node;
        let value = match code.unit.kind(node) {
            Kind::Pipe(_) => self.eval_pipe(code, node, dot)?,
            Kind::Function(function) => {
                let func = code.unit.function(function);
                self.eval_call(code, dot, func, (None, func.name, node), Operands::NONE)?
            }
            _ => return self.fail(code, "can't evaluate chain"),
        };
        let names = code.unit.names(names);
        self.eval_fields(code, dot, Slot { value, boxed: false }, (id, names), operands)
    }

    fn eval_fields(
        &mut self,
        code: &Template,
        dot: &Slot,
        mut receiver: Slot,
        (id, names): (NodeId, &[Name]),
        operands: Operands<'_>,
    ) -> Result<Value> {
        let Some((last, names)) = names.split_last() else { return Ok(receiver.value) };
        for &name in names {
            let name = code.unit.name(name);
            receiver = self.eval_field(code, dot, receiver, (id, name), Operands::NONE)?;
        }
        let last = code.unit.name(*last);
        Ok(self.eval_field(code, dot, receiver, (id, last), operands)?.value)
    }

    fn eval_field(
        &mut self,
        code: &Template,
        dot: &Slot,
        receiver: Slot,
        (id, name): (NodeId, &[u8]),
        operands: Operands<'_>,
    ) -> Result<Slot> {
        // Nearly all there is: a key of a plain map.
        if let (Value::Map(MapKind::Plain, map), false) = (&receiver.value, operands.any()) {
            return Ok(Slot { value: map.get(name).unwrap_or(Value::Nil), boxed: true });
        }
        let shown = || strconv::lossy(name);
        let type_name = if receiver.boxed { "interface {}" } else { receiver.value.type_name() };
        match &receiver.value {
            Value::Invalid => return Ok(Slot::default()),
            Value::Nil => {
                let text = format!("nil pointer evaluating interface {{}}.{}", shown());
                return self.fail(code, text);
            }
            _ => {}
        }
        if let Some(method) = funcs::method(&receiver.value, name) {
            let call = (Some(receiver.value), method.name, id);
            let value = self.eval_call(code, dot, method, call, operands)?;
            return Ok(Slot { value, boxed: false });
        }
        let (value, boxed) = match &receiver.value {
            Value::Map(kind, map) => {
                let boxed = *kind != MapKind::Strings;
                let zero = || if boxed { Value::Nil } else { Value::str("") };
                (Some(map.get(name).unwrap_or_else(zero)), boxed)
            }
            Value::Files(files) => {
                let content = files.get(name).map(|content| &content[..]).unwrap_or_default();
                self.take(content.len())?;
                (Some(Value::Bytes(Arc::from(content))), false)
            }
            Value::Struct(fields) => {
                let exported = name.first().is_some_and(u8::is_ascii_uppercase);
                let field = fields.field(name).cloned();
                if field.is_some() && !exported {
                    let text =
                        format!("{} is an unexported field of struct type {type_name}", shown());
                    return self.fail(code, text);
                }
                if field.is_some() && operands.any() {
                    let text =
                        format!("{} has arguments but cannot be invoked as function", shown());
                    return self.fail(code, text);
                }
                (field, false)
            }
            _ => (None, false),
        };
        match value {
            Some(_) if operands.any() => {
                self.fail(code, format!("{} is not a method but has arguments", shown()))
            }
            Some(value) => Ok(Slot { value, boxed }),
            None => {
                self.fail(code, format!("can't evaluate field {} in type {type_name}", shown()))
            }
        }
    }

    /// Calls a function or a method: checks arity, converts arguments, locates errors.
    fn eval_call(
        &mut self,
        code: &Template,
        dot: &Slot,
        func: &'static Func,
        (receiver, name, id): (Option<Value>, &str, NodeId),
        operands: Operands<'_>,
    ) -> Result<Value> {
        let fixed = func.params.len();
        let count = operands.nodes.len() + usize::from(operands.last.is_some());
        if func.rest.is_some() {
            if count < fixed {
                let got = operands.nodes.len();
                let text =
                    format!("wrong number of args for {name}: want at least {fixed} got {got}");
                return self.fail(code, text);
            }
        } else if count != fixed {
            let text = format!("wrong number of args for {name}: want {fixed} got {count}");
            return self.fail(code, text);
        }
        if let Some(decisive) = func.short_circuit {
            return self.eval_logic(code, dot, decisive, operands);
        }
        let mut args = self.pool.pop().unwrap_or_default();
        args.extend(receiver);
        for (index, &node) in operands.nodes.iter().enumerate() {
            let ty = func.params.get(index).copied().or(func.rest).unwrap_or(Ty::Any);
            args.push(self.eval_arg(code, dot, ty, node)?);
        }
        if let Some(last) = operands.last {
            let ty = func.params.get(count - 1).copied().or(func.rest).unwrap_or(Ty::Any);
            args.push(self.validate(code, last, ty)?);
        }
        if func.varies {
            self.memo.vary();
        }
        let result = self.weigh(&args).and_then(|()| (func.call)(self, Args(&args)));
        args.clear();
        self.pool.push(args);
        result.and_then(|value| self.charged(value)).map_err(|cause| {
            self.at = id;
            let message = format!("error calling {name}:");
            Fail::locate(&code.unit, id, &code.name, message, Some(cause))
        })
    }

    /// `and` and `or`: arguments after the decisive one are not evaluated.
    fn eval_logic(
        &mut self,
        code: &Template,
        dot: &Slot,
        decisive: bool,
        operands: Operands<'_>,
    ) -> Result<Value> {
        let mut value = Value::Invalid;
        for &node in operands.nodes {
            value = self.eval_arg(code, dot, Ty::Reflect, node)?;
            if value.truth() == decisive {
                return Ok(value);
            }
        }
        Ok(operands.last.unwrap_or(value))
    }

    fn eval_arg(&mut self, code: &Template, dot: &Slot, ty: Ty, id: NodeId) -> Result<Value> {
        self.at = id;
        let value = match code.unit.kind(id) {
            Kind::Dot => dot.value.clone(),
            Kind::Nil => {
                return match ty.nil() {
                    Some(nil) => Ok(nil),
                    None => self.fail(code, format!("cannot assign nil to {}", ty.name())),
                };
            }
            Kind::Field(names) => {
                let names = code.unit.names(names);
                self.eval_fields(code, dot, dot.clone(), (id, names), Operands::NONE)?
            }
            Kind::Variable(variable, names) => {
                let names = code.unit.names(names);
                self.eval_variable(code, dot, (id, variable, names), Operands::NONE)?
            }
            Kind::Pipe(_) => self.eval_pipe(code, id, dot)?,
            Kind::Function(function) => {
                let func = code.unit.function(function);
                self.eval_call(code, dot, func, (None, func.name, id), Operands::NONE)?
            }
            Kind::Chain(..) => self.eval_chain(code, id, dot, Operands::NONE)?,
            kind => return self.literal_arg(code, ty, id, kind),
        };
        self.validate(code, value, ty)
    }

    /// A literal takes the type of the parameter, if it can.
    fn literal_arg(&mut self, code: &Template, ty: Ty, id: NodeId, kind: Kind) -> Result<Value> {
        if let Kind::Number(number) = kind
            && let Some(value) = typed(code.unit.number(number), ty)
        {
            return Ok(value);
        }
        let expected = match (ty, kind) {
            (Ty::Any | Ty::Reflect, _) => return self.literal(code, id),
            (Ty::Bool, Kind::Bool(value)) => return Ok(Value::Bool(value)),
            (Ty::Str, Kind::String(_, _, text)) => {
                return Ok(Value::Str(Arc::clone(code.unit.string(text))));
            }
            (Ty::Bool, _) => "bool",
            (Ty::Str, _) => "string",
            (Ty::Int | Ty::Duration, _) => "integer",
            (Ty::Uint32, _) => "unsigned integer",
            (Ty::Float, _) => "float",
            (Ty::Map | Ty::List | Ty::Time | Ty::Certificate | Ty::Version, _) => "",
        };
        let node = code.unit.print(id);
        let node = strconv::lossy(&node);
        if expected.is_empty() {
            return self.fail(code, format!("can't handle {node} for arg of type {}", ty.name()));
        }
        self.fail(code, format!("expected {expected}; found {node}"))
    }

    /// Checks that a value can be passed for a parameter.
    fn validate(&self, code: &Template, value: Value, ty: Ty) -> Result<Value> {
        match &value {
            Value::Invalid => match ty.nil() {
                Some(nil) => Ok(nil),
                None => self.fail(code, format!("invalid value; expected {}", ty.name())),
            },
            Value::Nil if !matches!(ty, Ty::Any | Ty::Reflect) => {
                let name = ty.name();
                self.fail(
                    code,
                    format!("wrong type for value; expected {name}; got interface {{}}"),
                )
            }
            value_ref if ty.accepts(value_ref) => Ok(value),
            other => {
                let (name, got) = (ty.name(), other.type_name());
                self.fail(code, format!("wrong type for value; expected {name}; got {got}"))
            }
        }
    }
}
