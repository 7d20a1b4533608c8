//! Lists.
//!
//! Source: sprig v3.3.0 list.go.

use std::rc::Rc;

use super::super::eval::Machine;
use super::super::value::{List, ListKind, Value};
use super::types::{deep_equal, is_empty, to_int64, to_strings};
use super::{Args, Fail, Func, Outcome, Ty, slice_of};

const A: Ty = Ty::Any;

pub(super) const TABLE: &[Func] = &[
    Func::variadic("list", &[], A, |_, a| Ok(list(a))),
    Func::variadic("tuple", &[], A, |_, a| Ok(list(a))),
    Func::new("first", &[A], |_, a| first(a)),
    Func::new("mustFirst", &[A], |_, a| first(a)),
    Func::new("last", &[A], |_, a| last(a)),
    Func::new("mustLast", &[A], |_, a| last(a)),
    Func::new("rest", &[A], |_, a| rest(a)),
    Func::new("mustRest", &[A], |_, a| rest(a)),
    Func::new("initial", &[A], |_, a| initial(a)),
    Func::new("mustInitial", &[A], |_, a| initial(a)),
    Func::new("append", &[A, A], |_, a| append(a)),
    Func::new("mustAppend", &[A, A], |_, a| append(a)),
    Func::new("push", &[A, A], |_, a| append(a)),
    Func::new("mustPush", &[A, A], |_, a| append(a)),
    Func::new("prepend", &[A, A], |_, a| prepend(a)),
    Func::new("mustPrepend", &[A, A], |_, a| prepend(a)),
    Func::variadic("concat", &[], A, |m, a| concat(m, a)),
    Func::new("reverse", &[A], |_, a| reverse(a)),
    Func::new("mustReverse", &[A], |_, a| reverse(a)),
    Func::new("uniq", &[A], uniq),
    Func::new("mustUniq", &[A], uniq),
    Func::new("compact", &[A], |_, a| compact(a)),
    Func::new("mustCompact", &[A], |_, a| compact(a)),
    Func::variadic("without", &[A], A, without),
    Func::variadic("mustWithout", &[A], A, without),
    Func::new("has", &[A, A], has),
    Func::new("mustHas", &[A, A], has),
    Func::variadic("slice", &[A], A, |_, a| slice(a)),
    Func::variadic("mustSlice", &[A], A, |_, a| slice(a)),
    Func::new("chunk", &[Ty::Int, A], |_, a| chunk(a)),
    Func::new("mustChunk", &[Ty::Int, A], |_, a| chunk(a)),
    Func::new("sortAlpha", &[A], |m, a| sort_alpha(m, a)),
];

fn list(args: Args<'_>) -> Value {
    Value::list(args.0.iter().map(|value| value.clone().boxed()).collect())
}

fn made(items: impl IntoIterator<Item = Value>) -> Outcome {
    Ok(Value::list(items.into_iter().collect()))
}

/// The list, refused in the words that the function uses.
fn of(value: &Value, verb: &str) -> Result<Rc<List>, Fail> {
    slice_of(value, &format!("{verb} on")).map_err(|fail| match fail {
        Fail::Text(text) => Fail::Text(text),
        other => other,
    })
}

fn first(args: Args<'_>) -> Outcome {
    Ok(of(args.any(0), "find first")?.items.first().cloned().unwrap_or(Value::Nil))
}

fn last(args: Args<'_>) -> Outcome {
    Ok(of(args.any(0), "find last")?.items.last().cloned().unwrap_or(Value::Nil))
}

fn rest(args: Args<'_>) -> Outcome {
    let list = of(args.any(0), "find rest")?;
    match list.items.split_first() {
        Some((_, rest)) => made(rest.to_vec()),
        None => Ok(Value::nil_list(ListKind::Any)),
    }
}

fn initial(args: Args<'_>) -> Outcome {
    let list = of(args.any(0), "find initial")?;
    match list.items.split_last() {
        Some((_, initial)) => made(initial.to_vec()),
        None => Ok(Value::nil_list(ListKind::Any)),
    }
}

fn append(args: Args<'_>) -> Outcome {
    let list = slice_of(args.any(0), "push on")?;
    made(list.items.iter().cloned().chain([args.any(1).clone().boxed()]))
}

fn prepend(args: Args<'_>) -> Outcome {
    let list = slice_of(args.any(0), "prepend on")?;
    made([args.any(1).clone().boxed()].into_iter().chain(list.items.iter().cloned()))
}

fn concat(machine: &Machine<'_>, args: Args<'_>) -> Outcome {
    let mut items = Vec::new();
    for value in args.0 {
        machine.room_for_items(items.len() + value.length())?;
        let kind = value.kind_name();
        match value.elements() {
            Some(more) => items.extend(more),
            None if value.is_nil() => return Err(super::NIL_POINTER.into()),
            None => return Err(format!("Cannot concat type {kind} as list").into()),
        }
    }
    if items.is_empty() {
        return Ok(Value::nil_list(ListKind::Any));
    }
    made(items)
}

fn reverse(args: Args<'_>) -> Outcome {
    made(slice_of(args.any(0), "find reverse on")?.items.iter().rev().cloned())
}

fn uniq(machine: &mut Machine<'_>, args: Args<'_>) -> Outcome {
    let list = slice_of(args.any(0), "find uniq on")?;
    let mut kept: Vec<Value> = Vec::new();
    for item in &list.items {
        if !holds(machine, &kept, item)? {
            kept.push(item.clone());
        }
    }
    made(kept)
}

fn compact(args: Args<'_>) -> Outcome {
    let list = slice_of(args.any(0), "compact on")?;
    made(list.items.iter().filter(|item| !is_empty(item)).cloned())
}

fn without(machine: &mut Machine<'_>, args: Args<'_>) -> Outcome {
    let list = slice_of(args.any(0), "find without on")?;
    let mut kept = Vec::new();
    for item in &list.items {
        if !holds(machine, args.rest(1), item)? {
            kept.push(item.clone());
        }
    }
    made(kept)
}

fn holds(machine: &mut Machine<'_>, items: &[Value], wanted: &Value) -> Result<bool, Fail> {
    for item in items {
        if deep_equal(machine, item, wanted)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn has(machine: &mut Machine<'_>, args: Args<'_>) -> Outcome {
    if args.any(1).is_nil() {
        return Ok(Value::Bool(false));
    }
    let list = slice_of(args.any(1), "find has on")?;
    holds(machine, &list.items, args.any(0)).map(Value::Bool)
}

const OUT_OF_BOUNDS: &str = "reflect.Value.Slice: slice index out of bounds";

fn slice(args: Args<'_>) -> Outcome {
    let value = args.any(0);
    if !matches!(value, Value::Bytes(_) | Value::List(_)) {
        if value.is_nil() {
            return Err(super::NIL_POINTER.into());
        }
        return Err(
            format!("list should be type of slice or array but {}", value.kind_name()).into()
        );
    }
    let length = value.length();
    if length == 0 {
        return Ok(Value::Nil);
    }
    let at = |index: usize, default: usize| {
        args.0.get(index).map_or(Ok(default), |value| usize::try_from(to_int64(value)))
    };
    let (Ok(start), Ok(end)) = (at(1, 0), at(2, length)) else { return Err(OUT_OF_BOUNDS.into()) };
    if start > end || end > length {
        return Err(OUT_OF_BOUNDS.into());
    }
    Ok(match value {
        Value::Bytes(bytes) => Value::Bytes(bytes[start..end].into()),
        Value::List(list) => Value::typed_list(list.kind, list.items[start..end].to_vec()),
        _ => Value::Nil,
    })
}

fn chunk(args: Args<'_>) -> Outcome {
    let list = slice_of(args.any(1), "chunk")?;
    let wrong = || Err("runtime error: makeslice: len out of range".into());
    let lists = |chunks: Vec<Value>| Ok(Value::typed_list(ListKind::Lists, chunks));
    match usize::try_from(args.int(0)) {
        Ok(0) => wrong(),
        Ok(size) => lists(list.items.chunks(size).map(|part| Value::list(part.to_vec())).collect()),
        // Upstream counts chunks of a negative size, too: so many fit.
        Err(_) => match (list.items.len(), args.int(0)) {
            (0, _) | (1, -1) => wrong(),
            (1, _) => lists(vec![Value::list(list.items.clone())]),
            (length, size) if length as u64 - 1 <= size.unsigned_abs() => lists(Vec::new()),
            _ => wrong(),
        },
    }
}

fn sort_alpha(machine: &Machine<'_>, args: Args<'_>) -> Outcome {
    match args.any(0) {
        Value::Nil | Value::Invalid => Ok(Value::strings(["<nil>"])),
        value => {
            let mut texts = to_strings(machine, value)?;
            texts.sort();
            Ok(Value::strings(texts))
        }
    }
}
