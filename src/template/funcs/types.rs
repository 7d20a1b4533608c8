//! What values are: defaults, emptiness, types, equality, conversions.
//!
//! Source: sprig v3.3.0 defaults.go, reflect.go; spf13/cast v1.7.0.

use std::rc::Rc;

use super::super::eval::Machine;
use super::super::fmt;
use super::super::strconv;
use super::super::value::{Map, MapRef, Struct, Value};
use super::moments::Zone;
use super::{Fail, Func, NIL_POINTER, Outcome, Ty};
use crate::base::limit::Limit;
use crate::base::version::{self, Version};

/// About what a part of a value takes.
const PART_BYTES: usize = 64;
/// Deepest value that is copied or compared.
const MAX_DEPTH: usize = 10_000;

pub(super) const TABLE: &[Func] = &[
    Func::variadic("default", &[Ty::Any], Ty::Any, |_, args| {
        let given = args.0.get(1).filter(|given| !is_empty(given));
        Ok(given.unwrap_or(args.any(0)).clone())
    }),
    Func::new("empty", &[Ty::Any], |_, args| Ok(Value::Bool(is_empty(args.any(0))))),
    Func::variadic("coalesce", &[], Ty::Any, |_, args| {
        Ok(args.0.iter().find(|value| !is_empty(value)).cloned().unwrap_or(Value::Nil))
    }),
    Func::variadic("all", &[], Ty::Any, |_, args| Ok(Value::Bool(!args.0.iter().any(is_empty)))),
    Func::variadic("any", &[], Ty::Any, |_, args| {
        Ok(Value::Bool(args.0.iter().any(|value| !is_empty(value))))
    }),
    Func::new("ternary", &[Ty::Any, Ty::Any, Ty::Bool], |_, args| {
        Ok(args.any(usize::from(!args.bool(2))).clone())
    }),
    Func::new("typeOf", &[Ty::Any], |_, args| Ok(Value::str(args.any(0).type_name()))),
    Func::new("typeIs", &[Ty::Str, Ty::Any], |_, args| {
        Ok(Value::Bool(args.str(0) == args.any(1).type_name().as_bytes()))
    }),
    Func::new("typeIsLike", &[Ty::Str, Ty::Any], |_, args| {
        let name = args.any(1).type_name();
        let pointed = name.strip_prefix('*').unwrap_or(name);
        Ok(Value::Bool(args.str(0) == name.as_bytes() || args.str(0) == pointed.as_bytes()))
    }),
    Func::new("kindOf", &[Ty::Any], |_, args| Ok(Value::str(args.any(0).kind_name()))),
    Func::new("kindIs", &[Ty::Str, Ty::Any], |_, args| {
        Ok(Value::Bool(args.str(0) == args.any(1).kind_name().as_bytes()))
    }),
    Func::new("deepEqual", &[Ty::Any, Ty::Any], |m, args| {
        deep_equal(m, args.any(0), args.any(1)).map(Value::Bool)
    }),
    Func::new("deepCopy", &[Ty::Any], |m, args| copy(m, args.any(0))),
    Func::new("mustDeepCopy", &[Ty::Any], |m, args| copy(m, args.any(0))),
    Func::new("toString", &[Ty::Any], |_, args| Ok(to_str(args.any(0)))),
    Func::new("toStrings", &[Ty::Any], |m, args| Ok(Value::strings(to_strings(m, args.any(0))?))),
    Func::new("int", &[Ty::Any], |_, args| Ok(Value::int(to_int64(args.any(0))))),
    Func::new("int64", &[Ty::Any], |_, args| Ok(Value::int64(to_int64(args.any(0))))),
    Func::new("float64", &[Ty::Any], |_, args| Ok(Value::Float(to_float64(args.any(0))))),
];

/// Whether a value is sprig's empty.
pub(super) fn is_empty(value: &Value) -> bool {
    !value.truth()
}

/// Returns a value's text: strings and bytes as they are, all else as `%v`.
pub(super) fn to_text(value: &Value) -> super::Str {
    match value {
        Value::Str(text) | Value::Bytes(text) => super::Str::clone(text),
        _ => fmt::to_text(value).into(),
    }
}

fn to_str(value: &Value) -> Value {
    Value::Str(to_text(value))
}

/// Returns the texts of a slice's elements, nil ones left out; of anything else, its own.
pub(super) fn to_strings(machine: &Machine<'_>, value: &Value) -> Result<Vec<super::Str>, Fail> {
    let mut made = 0_usize;
    let mut text_of = |item: &Value| {
        let text = to_text(item);
        if !matches!(item, Value::Str(_)) {
            made = made.saturating_add(text.len());
            machine.room_for(made)?;
        }
        Ok(text)
    };
    match value {
        Value::Nil | Value::Invalid => Ok(Vec::new()),
        Value::List(list) => list.items.iter().filter(|item| !item.is_nil()).map(text_of).collect(),
        Value::Bytes(_) => value.elements().unwrap_or_default().iter().map(text_of).collect(),
        other => Ok(vec![text_of(other)?]),
    }
}

/// `12.000` → `12`.
fn trim_zero_decimal(text: &str) -> &str {
    let trimmed = text.trim_end_matches('0');
    match trimmed.strip_suffix('.') {
        Some(whole) if trimmed.len() < text.len() => whole,
        _ => text,
    }
}

/// Go's conversion of a float on amd64: what does not fit is the least number.
fn truncate(number: f64) -> i64 {
    if number.is_nan()
        || !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number)
    {
        return i64::MIN;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    let whole = number as i64;
    whole
}

/// `cast.ToInt64`: what cannot be converted is 0.
pub(super) fn to_int64(value: &Value) -> i64 {
    match value {
        Value::Int(number, _) => *number,
        Value::Uint(number, _) => number.cast_signed(),
        Value::Float(number) => truncate(*number),
        Value::Str(text) => {
            let text = std::str::from_utf8(text).unwrap_or_default();
            strconv::parse_int(trim_zero_decimal(text)).unwrap_or(0)
        }
        Value::Bool(true) => 1,
        _ => 0,
    }
}

/// `cast.ToFloat64`: what cannot be converted is 0.
pub(super) fn to_float64(value: &Value) -> f64 {
    match value {
        Value::Int(number, _) => *number as f64,
        Value::Uint(number, _) => *number as f64,
        Value::Float(number) => *number,
        Value::Str(text) => {
            std::str::from_utf8(text).ok().and_then(strconv::parse_float).unwrap_or(0.0)
        }
        Value::Bool(true) => 1.0,
        _ => 0.0,
    }
}

/// `reflect.DeepEqual`: types must match too.
///
/// # Errors
/// There is too much to compare: what is shared counts each time.
pub(super) fn deep_equal(machine: &mut Machine<'_>, a: &Value, b: &Value) -> Result<bool, Fail> {
    let most = machine.limits().size(Limit::Parts);
    let mut left = most;
    let equal = equal_at(a, b, 0, &mut left);
    if left == 0 {
        return Err(machine.refusal(Limit::Parts, "values with too many parts are compared"));
    }
    machine.spend(most - left)?;
    Ok(equal)
}

/// Whether two values that hold no others are the same.
pub(super) fn equal_scalars(a: &Value, b: &Value) -> bool {
    equal_at(a, b, 0, &mut usize::from(u16::MAX))
}

/// Stops, whatever the answer, when nothing is left.
fn equal_at(a: &Value, b: &Value, depth: usize, left: &mut usize) -> bool {
    *left = left.saturating_sub(1);
    if depth > MAX_DEPTH || *left == 0 {
        return false;
    }
    match (a, b) {
        (Value::Nil | Value::Invalid, Value::Nil | Value::Invalid) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a, kind_a), Value::Int(b, kind_b)) => a == b && kind_a == kind_b,
        (Value::Uint(a, kind_a), Value::Uint(b, kind_b)) => a == b && kind_a == kind_b,
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::Complex(a, b), Value::Complex(c, d)) => a == c && b == d,
        (Value::Str(a), Value::Str(b)) => a == b,
        (Value::Bytes(inner_a), Value::Bytes(inner_b)) => {
            inner_a == inner_b && a.is_nil_bytes() == b.is_nil_bytes()
        }
        (Value::Duration(a), Value::Duration(b)) => a == b,
        (Value::List(a), Value::List(b)) => {
            Rc::ptr_eq(a, b)
                || (a.kind == b.kind
                    && a.nil == b.nil
                    && a.items.len() == b.items.len()
                    && a.items.iter().zip(&b.items).all(|(a, b)| equal_at(a, b, depth + 1, left)))
        }
        (Value::Map(kind_a, a), Value::Map(kind_b, b)) => {
            kind_a == kind_b && (Rc::ptr_eq(a, b) || equal_maps(a, b, depth, left))
        }
        (Value::Time(a), Value::Time(b)) => a.is_like(b),
        (Value::Location(a), Value::Location(b)) => a.is_like(b),
        (Value::Version(kind_a, a), Value::Version(kind_b, b)) => {
            kind_a == kind_b && a.original() == b.original()
        }
        (Value::Struct(a), Value::Struct(b)) => {
            a.type_name == b.type_name
                && a.fields
                    .iter()
                    .zip(&b.fields)
                    .all(|(a, b)| equal_at(&a.1, &b.1, depth + 1, left))
        }
        (Value::Files(a), Value::Files(b)) => a.iter().eq(b.iter()),
        _ => false,
    }
}

fn equal_maps(a: &MapRef, b: &MapRef, depth: usize, left: &mut usize) -> bool {
    if a.nil != b.nil || a.len() != b.len() {
        return false;
    }
    let (a, b) = (a.entries(), b.entries());
    a.iter()
        .zip(&b)
        .all(|((key_a, a), (key_b, b))| key_a == key_b && equal_at(a, b, depth + 1, left))
}

/// Source: mitchellh/copystructure: maps and lists are copied, whatever they hold.
fn copy(machine: &mut Machine<'_>, value: &Value) -> Outcome {
    if value.is_nil() {
        return Err("reflect: call of reflect.Value.Type on zero Value".into());
    }
    let most = machine.limits().size(Limit::Parts);
    let mut left = most;
    let copied = copy_at(value, 0, &mut left);
    if left == 0 {
        return Err(machine.refusal(Limit::Parts, "a value with too many parts is copied"));
    }
    machine.take((most - left).saturating_mul(PART_BYTES))?;
    copied
}

fn copy_at(value: &Value, depth: usize, left: &mut usize) -> Result<Value, Fail> {
    if depth > MAX_DEPTH {
        return Err(NIL_POINTER.into());
    }
    *left = left.saturating_sub(1);
    if *left == 0 {
        return Ok(Value::Nil);
    }
    Ok(match value {
        Value::List(list) => {
            let items = list.items.iter().map(|item| copy_at(item, depth + 1, left));
            Value::typed_list(list.kind, items.collect::<Result<_, _>>()?)
        }
        Value::Map(kind, map) => {
            let copied: Result<Vec<_>, Fail> = map
                .entries()
                .into_iter()
                .map(|(key, item)| Ok((key, copy_at(&item, depth + 1, left)?)))
                .collect();
            Value::Map(*kind, MapRef::new(Map::from_sorted(copied?)))
        }
        // All fields of a place are private, too; without them it is named UTC.
        Value::Location(_) => Value::Location(Zone::fixed(String::new(), 0)),
        // All fields of a version are private, and the copier leaves such out: those that a
        // structure has are texts.
        Value::Version(kind, _) => {
            let zero =
                "0.0.0".parse::<Version>().map_err(|error: version::Error| error.to_string())?;
            Value::Version(*kind, Rc::new(zero))
        }
        Value::Struct(outer) => {
            let fields = outer.fields.iter().map(|(name, field)| {
                let is_private = name.starts_with(|c: char| c.is_ascii_lowercase());
                let copied =
                    if is_private { Value::str("") } else { copy_at(field, depth + 1, left)? };
                Ok((*name, copied))
            });
            let fields = fields.collect::<Result<_, Fail>>()?;
            Value::Struct(Rc::new(Struct { fields, ..**outer }))
        }
        other => other.clone(),
    })
}
