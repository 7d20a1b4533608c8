//! Functions of `text/template` itself.
//!
//! Source: go text/template/funcs.go.

use std::cmp::Ordering;

use super::super::fmt;
use super::super::strconv;
use super::super::value::{ListKind, MapKind, UintKind, Value, VersionKind};
use super::{Args, Fail, Func, Outcome, Ty, lossy, types};

/// The builtin that calls functions, of which templates get none.
pub(in super::super) const CALL: &str = "call";

pub(super) const TABLE: &[Func] = &[
    Func {
        name: "and",
        params: &[Ty::Reflect],
        rest: Some(Ty::Reflect),
        call: |_, args| Ok(args.any(0).clone()),
        short_circuit: Some(false),
        varies: false,
    },
    Func {
        name: "or",
        params: &[Ty::Reflect],
        rest: Some(Ty::Reflect),
        call: |_, args| Ok(args.any(0).clone()),
        short_circuit: Some(true),
        varies: false,
    },
    Func::new("not", &[Ty::Reflect], |_, args| Ok(Value::Bool(!args.any(0).truth()))),
    Func::variadic("eq", &[Ty::Reflect], Ty::Reflect, |_, args| {
        equal(args.any(0), args.rest(1)).map(Value::Bool)
    }),
    Func::new("ne", &[Ty::Reflect, Ty::Reflect], |_, args| {
        equal(args.any(0), args.rest(1)).map(|equal| Value::Bool(!equal))
    }),
    Func::new("lt", &[Ty::Reflect, Ty::Reflect], |_, args| less(args).map(Value::Bool)),
    Func::new("le", &[Ty::Reflect, Ty::Reflect], |_, args| less_or_equal(args).map(Value::Bool)),
    Func::new("gt", &[Ty::Reflect, Ty::Reflect], |_, args| {
        less_or_equal(args).map(|less| Value::Bool(!less))
    }),
    Func::new("ge", &[Ty::Reflect, Ty::Reflect], |_, args| {
        less(args).map(|less| Value::Bool(!less))
    }),
    Func::variadic("index", &[Ty::Reflect], Ty::Reflect, |_, args| index(args)),
    Func::new("len", &[Ty::Reflect], |_, args| length(args.any(0))),
    Func::variadic("print", &[], Ty::Any, |_, args| Ok(Value::str(fmt::sprint(args.0)))),
    Func::variadic("println", &[], Ty::Any, |_, args| Ok(Value::str(fmt::sprintln(args.0)))),
    Func::variadic("printf", &[Ty::Str], Ty::Any, |_, args| {
        Ok(Value::str(fmt::sprintf(args.str(0), args.rest(1))))
    }),
    Func::variadic("html", &[], Ty::Any, |_, args| Ok(Value::str(html(&joined(args))))),
    Func::variadic("js", &[], Ty::Any, |_, args| Ok(Value::str(js(&joined(args))))),
    Func::variadic("urlquery", &[], Ty::Any, |_, args| {
        Ok(Value::str(super::urls::query_escape(&joined(args))))
    }),
    Func::variadic(CALL, &[Ty::Reflect], Ty::Reflect, |_, args| call(args)),
];

/// Behind its arguments, [`CALL`] is given what the function is called there.
fn call(args: Args<'_>) -> Outcome {
    let function = args.any(0);
    if function.is_nil() {
        return Err("call of nil".into());
    }
    let name = lossy(args.str(args.0.len() - 1));
    Err(format!("non-function {name} of type {}", function.type_name()).into())
}

/// The basic kinds that comparisons know.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Basic {
    Bool,
    Complex,
    Int,
    Float,
    String,
    Uint,
    Other,
}

fn basic(value: &Value) -> Basic {
    match value {
        Value::Bool(_) => Basic::Bool,
        Value::Complex(..) => Basic::Complex,
        Value::Int(..) | Value::Duration(_) => Basic::Int,
        Value::Float(_) => Basic::Float,
        Value::Str(_) => Basic::String,
        Value::Uint(..) => Basic::Uint,
        _ => Basic::Other,
    }
}

fn number(value: &Value) -> i128 {
    match value {
        Value::Int(number, _) | Value::Duration(number) => i128::from(*number),
        Value::Uint(number, _) => i128::from(*number),
        _ => 0,
    }
}

fn incompatible(a: &Value, b: &Value) -> Fail {
    let (a, b) = (a.type_name(), b.type_name());
    format!("incompatible types for comparison: {a} and {b}").into()
}

/// Whether the first equals any of the others.
fn equal(first: &Value, others: &[Value]) -> Result<bool, Fail> {
    if others.is_empty() {
        return Err("missing argument for comparison".into());
    }
    for other in others {
        if equal_pair(first, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equal_pair(a: &Value, b: &Value) -> Result<bool, Fail> {
    let (kind_a, kind_b) = (basic(a), basic(b));
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => return Ok(a == b),
        (Value::Float(a), Value::Float(b)) => return Ok(a == b),
        (Value::Complex(a, b), Value::Complex(c, d)) => return Ok(a == c && b == d),
        (Value::Str(a), Value::Str(b)) => return Ok(a == b),
        _ if matches!(kind_a, Basic::Int | Basic::Uint)
            && matches!(kind_b, Basic::Int | Basic::Uint) =>
        {
            return Ok(number(a) == number(b));
        }
        _ => {}
    }
    if kind_a != Basic::Other || kind_b != Basic::Other {
        if a.is_nil() || b.is_nil() {
            return Ok(false);
        }
        return Err(incompatible(a, b));
    }
    if !a.is_nil() && !b.is_nil() && a.kind_name() != b.kind_name() {
        let (text_a, text_b) = (fmt::sprintf(b"%s", std::slice::from_ref(a)), fmt::to_text(b));
        return Err(format!(
            "non-comparable types {}: {}, {}: {}",
            lossy(&text_a),
            a.type_name(),
            b.type_name(),
            lossy(&text_b)
        )
        .into());
    }
    let nil = |value: &Value| match value {
        Value::Invalid | Value::Nil => true,
        Value::List(list) => list.nil,
        Value::Map(_, map) => map.nil,
        Value::Bytes(_) => value.is_nil_bytes(),
        _ => false,
    };
    if nil(a) || nil(b) {
        return Ok(nil(a) == nil(b));
    }
    if matches!(b, Value::List(_) | Value::Map(..) | Value::Bytes(_) | Value::Files(_)) {
        let text = fmt::sprintf(b"%s", std::slice::from_ref(b));
        let text = lossy(&text);
        return Err(format!("non-comparable type {text}: {}", b.type_name()).into());
    }
    if let (Value::Version(VersionKind::Pointer, a), Value::Version(_, b)) = (a, b) {
        return Ok(std::rc::Rc::ptr_eq(a, b));
    }
    if let (Value::Location(a), Value::Location(b)) = (a, b) {
        return Ok(a.is(b));
    }
    if let (Value::Time(a), Value::Time(b)) = (a, b) {
        return Ok(a.is(b));
    }
    Ok(types::equal_scalars(a, b))
}

fn less(args: Args<'_>) -> Result<bool, Fail> {
    let (a, b) = (args.any(0), args.any(1));
    let (kind_a, kind_b) = (basic(a), basic(b));
    let bad = || Fail::from("invalid type for comparison");
    if kind_a == Basic::Other || kind_b == Basic::Other {
        return Err(bad());
    }
    let whole = |kind: Basic| matches!(kind, Basic::Int | Basic::Uint);
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => Ok(a < b),
        (Value::Str(a), Value::Str(b)) => Ok(a < b),
        _ if whole(kind_a) && whole(kind_b) => Ok(number(a).cmp(&number(b)) == Ordering::Less),
        _ if kind_a == kind_b => Err(bad()),
        _ => Err(incompatible(a, b)),
    }
}

fn less_or_equal(args: Args<'_>) -> Result<bool, Fail> {
    Ok(less(args)? || equal(args.any(0), args.rest(1))?)
}

fn length(value: &Value) -> Outcome {
    let size = match value {
        Value::Str(text) | Value::Bytes(text) => text.len(),
        Value::List(list) => list.items.len(),
        Value::Map(_, map) => map.len(),
        Value::Files(files) => files.len(),
        Value::Invalid => return Err("reflect: call of reflect.Value.Type on zero Value".into()),
        Value::Nil => return Err("len of nil pointer".into()),
        other => {
            // Go looks at what a pointer points to.
            let name = other.type_name();
            let name = name.strip_prefix('*').unwrap_or(name);
            return Err(format!("len of type {name}").into());
        }
    };
    Ok(Value::size(size))
}

fn index(args: Args<'_>) -> Outcome {
    let mut item = args.any(0).clone();
    if item.is_nil() {
        return Err("index of untyped nil".into());
    }
    for key in args.rest(1) {
        item = match &item {
            Value::Nil | Value::Invalid => return Err("index of nil pointer".into()),
            Value::Str(text) | Value::Bytes(text) => {
                let index = position(key, text.len()).map_err(|error| match (&item, error) {
                    (Value::Str(_), Position::End) => "reflect: string index out of range".into(),
                    (_, error) => Fail::from(error),
                })?;
                Value::Uint(u64::from(text[index]), UintKind::Uint8)
            }
            Value::List(list) => {
                let index = position(key, list.items.len())?;
                let item = list.items[index].clone();
                if list.kind == ListKind::Any { item.boxed() } else { item }
            }
            Value::Map(kind, map) => {
                let zero = if *kind == MapKind::Strings { Value::str("") } else { Value::Nil };
                map.get(&key_of(key)?).unwrap_or(zero)
            }
            Value::Files(files) => {
                let content = files.get(&key_of(key)?);
                content.map_or_else(Value::nil_bytes, |content| Value::Bytes(content[..].into()))
            }
            other => {
                let name = other.type_name();
                let name = name.trim_start_matches('*');
                return Err(format!("can't index item of type {name}").into());
            }
        };
    }
    Ok(item)
}

fn key_of(key: &Value) -> Result<super::Str, Fail> {
    match key {
        Value::Str(text) => Ok(super::Str::clone(text)),
        Value::Nil | Value::Invalid => Err("value is nil; should be of type string".into()),
        other => Err(format!("value has type {}; should be string", other.type_name()).into()),
    }
}

/// Why a key is no index.
enum Position {
    /// It is just behind the last: Go lets that pass, and reflection refuses it.
    End,
    Wrong(String),
}

impl From<Position> for Fail {
    fn from(position: Position) -> Self {
        match position {
            Position::End => "reflect: slice index out of range".into(),
            Position::Wrong(text) => text.into(),
        }
    }
}

fn position(key: &Value, length: usize) -> Result<usize, Position> {
    let index = match key {
        Value::Int(number, _) | Value::Duration(number) => *number,
        Value::Uint(number, _) => i64::try_from(*number).unwrap_or(i64::MIN),
        Value::Nil | Value::Invalid => {
            return Err(Position::Wrong("cannot index slice/array with nil".to_owned()));
        }
        other => {
            let name = other.type_name();
            return Err(Position::Wrong(format!("cannot index slice/array with type {name}")));
        }
    };
    match usize::try_from(index) {
        Ok(index) if index < length => Ok(index),
        Ok(index) if index == length => Err(Position::End),
        _ => Err(Position::Wrong(format!("index out of range: {index}"))),
    }
}

fn joined(args: Args<'_>) -> Vec<u8> {
    match args.0 {
        [Value::Str(text)] => text.to_vec(),
        args => {
            // Nil prints as a missing value here, not as `<nil>`.
            let shown: Vec<Value> = args
                .iter()
                .map(|arg| if arg.is_nil() { Value::str("<no value>") } else { arg.clone() })
                .collect();
            fmt::sprint(&shown)
        }
    }
}

fn html(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        match byte {
            0 => out.extend_from_slice("\u{fffd}".as_bytes()),
            b'"' => out.extend_from_slice(b"&#34;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            byte => out.push(byte),
        }
    }
    out
}

fn js(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((c, width)) = strconv::decode_rune(rest) {
        let (character, behind) = rest.split_at(width);
        rest = behind;
        match c {
            '\\' => out.extend_from_slice(b"\\\\"),
            '\'' => out.extend_from_slice(b"\\'"),
            '"' => out.extend_from_slice(b"\\\""),
            '<' | '>' | '&' | '=' | '\0'..='\x1f' => {
                out.extend_from_slice(format!("\\u{:04X}", u32::from(c)).as_bytes());
            }
            c if c.is_ascii() || strconv::is_print(c) => out.extend_from_slice(character),
            c => out.extend_from_slice(format!("\\u{:04X}", u32::from(c)).as_bytes()),
        }
    }
    out
}
