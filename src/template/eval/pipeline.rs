//! Pipelines, commands, fields and calls → values.

use std::sync::Arc;

use super::super::ast::{Kind, Name, NodeId, Number};
use super::super::funcs::builtins::CALL;
use super::super::funcs::{self, Args, Func, Ty};
use super::super::value::{MapKind, Value};
use super::super::{compile::Template, error::Fail, strconv};
use super::{Machine, Result, Slot};

/// The arguments of a command: nodes after the first, and what the pipeline brings.
pub(super) struct Operands<'a> {
    nodes: &'a [NodeId],
    last: Option<Value>,
}

impl Operands<'_> {
    pub(super) const NONE: Self = Self { nodes: &[], last: None };

    fn any(&self) -> bool {
        !self.nodes.is_empty() || self.last.is_some()
    }
}

impl Machine<'_> {
    pub(super) fn eval_pipe(&mut self, code: &Template, id: NodeId, dot: &Slot) -> Result<Value> {
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
    pub(super) fn literal(&mut self, code: &Template, id: NodeId) -> Result<Value> {
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

    pub(super) fn eval_variable(
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

    pub(super) fn eval_chain(
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

    pub(super) fn eval_fields(
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
        let type_name = receiver.type_name();
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
                let content = match files.get(name) {
                    Some(content) => {
                        self.take(content.len())?;
                        Value::Bytes(Arc::from(&content[..]))
                    }
                    None => Value::nil_bytes(),
                };
                (Some(content), false)
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
            _ => return self.no_field(code, &receiver, name, &operands),
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

    /// What has no fields to be seen.
    #[cold]
    fn no_field(
        &self,
        code: &Template,
        receiver: &Slot,
        name: &[u8],
        operands: &Operands<'_>,
    ) -> Result<Slot> {
        let (value, shown) = (&receiver.value, strconv::lossy(name));
        let count = operands.nodes.len() + usize::from(operands.last.is_some());
        let type_name = receiver.type_name();
        let text = match funcs::uncallable(value, name) {
            Some(_) if count > 0 => {
                format!("wrong number of args for {shown}: want 0 got {count}")
            }
            Some(why) => why,
            None if funcs::has_private_field(value, name) => {
                let type_name = value.type_name();
                format!("{shown} is an unexported field of struct type {type_name}")
            }
            None => format!("can't evaluate field {shown} in type {type_name}"),
        };
        self.fail(code, text)
    }

    /// Calls a function or a method: checks arity, converts arguments, locates errors.
    pub(super) fn eval_call(
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
        let callee = (func.name == CALL).then(|| callee(code, &operands));
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
        args.extend(callee);
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
}

/// What the function of a `call` is called there: as it is written, or what the pipeline brings as
/// reflection prints it.
fn callee(code: &Template, operands: &Operands<'_>) -> Value {
    match (operands.nodes.first(), &operands.last) {
        (Some(&node), _) => Value::str(code.unit.print(node)),
        (None, Some(Value::Str(text))) => Value::Str(Arc::clone(text)),
        (None, last) => {
            let name = last.as_ref().map_or("invalid", Value::type_name);
            Value::str(format!("<{name} Value>"))
        }
    }
}
