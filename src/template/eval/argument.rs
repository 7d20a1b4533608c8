//! Nodes → arguments of the types that functions take.

use std::rc::Rc;
use std::sync::Arc;

use super::super::ast::{Kind, NodeId, Number};
use super::super::funcs::Ty;
use super::super::value::{UintKind, Value};
use super::super::{compile::Template, strconv};
use super::pipeline::Operands;
use super::{Machine, Result, Slot};

/// A number as a type, if it has it.
fn typed(number: &Number, ty: Ty) -> Option<Value> {
    match ty {
        Ty::Int => number.int.map(Value::int),
        Ty::Duration => number.int.map(Value::Duration),
        Ty::Uint32 => number.uint.map(|uint| Value::Uint(uint & 0xffff_ffff, UintKind::Uint32)),
        Ty::Float => number.float.map(Value::Float),
        _ => None,
    }
}

impl Machine<'_> {
    pub(super) fn eval_arg(
        &mut self,
        code: &Template,
        dot: &Slot,
        ty: Ty,
        id: NodeId,
    ) -> Result<Value> {
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
            (
                Ty::Map
                | Ty::List
                | Ty::Bytes
                | Ty::Time
                | Ty::Location
                | Ty::Certificate
                | Ty::Version
                | Ty::Writer,
                _,
            ) => "",
        };
        let node = code.unit.print(id);
        let node = strconv::lossy(&node);
        if expected.is_empty() {
            return self.fail(code, format!("can't handle {node} for arg of type {}", ty.name()));
        }
        self.fail(code, format!("expected {expected}; found {node}"))
    }

    /// Checks that a value can be passed for a parameter.
    pub(super) fn validate(&self, code: &Template, value: Value, ty: Ty) -> Result<Value> {
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
            Value::Struct(fields) if fields.is_addressable && ty == Ty::Any => {
                Ok(Value::Struct(Rc::new(fields.copy())))
            }
            value_ref if ty.accepts(value_ref) => Ok(value),
            other => {
                let (name, got) = (ty.name(), other.type_name());
                self.fail(code, format!("wrong type for value; expected {name}; got {got}"))
            }
        }
    }
}
