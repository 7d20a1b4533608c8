//! `[1, 2].isSorted()`, `sets.contains([1, 2], [1])`.

use std::cmp::Ordering;

use cel::common::functions::Function;
use cel::common::types::{CelBool, CelInt, DYN_TYPE, LIST_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError};

pub(super) fn extension(env: &mut Env) -> Result<(), DeclarationError> {
    let member = |env: &mut Env, name: &str, op: Function| {
        env.add_member_overload(name, &format!("list.{name}()"), LIST_TYPE, vec![], op)
    };
    member(env, "isSorted", is_sorted)?;
    member(env, "sum", sum)?;
    member(env, "min", min)?;
    member(env, "max", max)?;
    let place = |env: &mut Env, name: &str, op: Function| {
        env.add_member_overload(name, &format!("list.{name}(dyn)"), LIST_TYPE, vec![DYN_TYPE], op)
    };
    place(env, "indexOf", index_of)?;
    place(env, "lastIndexOf", last_index_of)?;
    let pair = |env: &mut Env, name: &str, op: Function| {
        env.add_overload(name, &format!("{name}(list,list)"), vec![LIST_TYPE, LIST_TYPE], op)
    };
    pair(env, "sets.contains", contains)?;
    pair(env, "sets.equivalent", equivalent)?;
    pair(env, "sets.intersects", intersects)
}

fn unexpected(want: &str) -> ExecutionError {
    ExecutionError::UnexpectedType { got: "another type".to_owned(), want: want.to_owned() }
}

/// Returns the elements of an argument.
fn elements<'b, 'v>(
    arguments: &'b [CowVal<'_, 'v>],
    at: usize,
) -> Result<Vec<&'b (dyn Val + 'v)>, ExecutionError> {
    let wrong = || unexpected("list");
    let list = arguments.get(at).ok_or_else(wrong)?;
    let mut elements = Vec::new();
    let mut iterator = list.as_iterable().ok_or_else(wrong)?.iter();
    while let Some(element) = iterator.next() {
        elements.push(element);
    }
    Ok(elements)
}

fn compare(one: &dyn Val, other: &dyn Val) -> Result<Ordering, ExecutionError> {
    let incomparable = || unexpected("comparable");
    one.as_comparer().ok_or_else(incomparable)?.compare(other)
}

fn is_sorted<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let elements = elements(&arguments, 0)?;
    for pair in elements.windows(2) {
        if compare(pair[0], pair[1])? == Ordering::Greater {
            return Ok(CowVal::owned(CelBool::from(false)));
        }
    }
    Ok(CowVal::owned(CelBool::from(true)))
}

fn sum<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let elements = elements(&arguments, 0)?;
    let Some((first, rest)) = elements.split_first() else {
        return Ok(CowVal::owned(CelInt::from(0)));
    };
    let mut sum: Box<dyn Val + 'v> = first.clone_as_boxed();
    for element in rest {
        let unknown = || unexpected("number");
        let next = sum.as_adder().ok_or_else(unknown)?.add(*element)?.into_owned();
        sum = next;
    }
    Ok(CowVal::Owned(sum))
}

/// Returns the element that no other is before, in this order.
fn extreme<'b, 'v>(
    arguments: &[CowVal<'b, 'v>],
    name: &str,
    before: Ordering,
) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let elements = elements(arguments, 0)?;
    let Some((first, rest)) = elements.split_first() else {
        let why = format!("{name} called on empty list");
        return Err(ExecutionError::function_error(name, why));
    };
    let mut found = *first;
    for element in rest {
        if compare(*element, found)? == before {
            found = *element;
        }
    }
    Ok(CowVal::Owned(found.clone_as_boxed()))
}

fn min<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    extreme(&arguments, "min", Ordering::Less)
}

fn max<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    extreme(&arguments, "max", Ordering::Greater)
}

fn places(arguments: &[CowVal<'_, '_>]) -> Result<Vec<i64>, ExecutionError> {
    let elements = elements(arguments, 0)?;
    let wrong = || unexpected("dyn");
    let wanted = arguments.get(1).ok_or_else(wrong)?;
    let numbered = (0_i64..).zip(elements);
    Ok(numbered.filter(|(_, one)| one.equals(wanted.as_ref())).map(|(at, _)| at).collect())
}

fn index_of<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let at = places(&arguments)?.first().copied().unwrap_or(-1);
    Ok(CowVal::owned(CelInt::from(at)))
}

fn last_index_of<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let at = places(&arguments)?.last().copied().unwrap_or(-1);
    Ok(CowVal::owned(CelInt::from(at)))
}

fn has(elements: &[&(dyn Val + '_)], wanted: &dyn Val) -> bool {
    elements.iter().any(|element| element.equals(wanted))
}

fn contains<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let (all, wanted) = (elements(&arguments, 0)?, elements(&arguments, 1)?);
    Ok(CowVal::owned(CelBool::from(wanted.iter().all(|one| has(&all, *one)))))
}

fn equivalent<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let (one, other) = (elements(&arguments, 0)?, elements(&arguments, 1)?);
    let same =
        one.iter().all(|value| has(&other, *value)) && other.iter().all(|value| has(&one, *value));
    Ok(CowVal::owned(CelBool::from(same)))
}

fn intersects<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let (one, other) = (elements(&arguments, 0)?, elements(&arguments, 1)?);
    Ok(CowVal::owned(CelBool::from(one.iter().any(|value| has(&other, *value)))))
}
