//! Maps.
//!
//! Source: sprig v3.3.0 dict.go; mergo v1.0.1 (Merge, MergeWithOverwrite).

use std::sync::Arc;

use super::super::eval::Machine;
use super::super::value::{Map, MapKind, MapRef, Value};
use super::types::{is_empty, to_text};
use super::{Args, Func, Outcome, Ty};

/// About what an entry of a map takes.
const ENTRY_BYTES: usize = 64;
const M: Ty = Ty::Map;
const S: Ty = Ty::Str;

pub(super) const TABLE: &[Func] = &[
    Func::variadic("dict", &[], Ty::Any, dict),
    Func::new("get", &[M, S], |_, a| Ok(a.map(0).get(a.str(1)).unwrap_or_else(|| Value::str("")))),
    Func::new("set", &[M, S, Ty::Any], set),
    Func::new("unset", &[M, S], |_, a| {
        a.map(0).unset(a.str(1));
        Ok(Value::Map(MapKind::Plain, a.map(0)))
    }),
    Func::new("hasKey", &[M, S], |_, a| Ok(Value::Bool(a.map(0).contains(a.str(1))))),
    Func::variadic("keys", &[], M, |_, a| {
        Ok(Value::strings(a.0.iter().enumerate().flat_map(|(index, _)| a.map(index).keys())))
    }),
    Func::new("values", &[M], |_, a| {
        Ok(Value::list(a.map(0).entries().into_iter().map(|(_, value)| value).collect()))
    }),
    Func::variadic("pick", &[M], S, |_, a| Ok(pick(a))),
    Func::variadic("omit", &[M], S, |_, a| Ok(omit(a))),
    Func::variadic("pluck", &[S], M, |_, a| {
        let found = (1..a.0.len()).filter_map(|index| a.map(index).get(a.str(0)));
        Ok(Value::list(found.collect()))
    }),
    Func::variadic("dig", &[], Ty::Any, |_, a| dig(a)),
    Func::variadic("merge", &[M], M, |machine, a| merge_all(machine, a, false)),
    Func::variadic("mustMerge", &[M], M, |machine, a| merge_all(machine, a, false)),
    Func::variadic("mergeOverwrite", &[M], M, |machine, a| merge_all(machine, a, true)),
    Func::variadic("mustMergeOverwrite", &[M], M, |machine, a| merge_all(machine, a, true)),
];

fn holds_others(value: &Value) -> bool {
    matches!(value, Value::Map(..) | Value::List(_))
}

fn dict(machine: &mut Machine<'_>, args: Args<'_>) -> Outcome {
    let map = Map::default();
    for pair in args.0.chunks(2) {
        let value = pair.get(1).cloned().unwrap_or_else(|| Value::str(""));
        let key = to_text(&pair[0]);
        if !matches!(pair[0], Value::Str(_)) {
            machine.take(key.len())?;
        }
        map.set(key, value);
    }
    Ok(Value::map(map))
}

fn set(machine: &mut Machine<'_>, args: Args<'_>) -> Outcome {
    let map = args.map(0);
    if map.nil {
        return Err("assignment to entry in nil map".into());
    }
    if holds_others(args.any(2)) {
        machine.note_grown(&map);
    }
    // The map is not new: what it grows by is counted here.
    machine.take(ENTRY_BYTES)?;
    map.set(args.shared_str(1), args.any(2).clone());
    Ok(Value::Map(MapKind::Plain, map))
}

fn pick(args: Args<'_>) -> Value {
    let (from, picked) = (args.map(0), Map::default());
    for index in 1..args.0.len() {
        if let Some(value) = from.get(args.str(index)) {
            picked.set(args.shared_str(index), value);
        }
    }
    Value::map(picked)
}

fn omit(args: Args<'_>) -> Value {
    let rest = Map::default();
    for (key, value) in args.map(0).entries() {
        if (1..args.0.len()).all(|index| args.str(index) != &*key) {
            rest.set(key, value);
        }
    }
    Value::map(rest)
}

fn dig(args: Args<'_>) -> Outcome {
    let [keys @ .., default, dict] = args.0 else {
        return Err("dig needs at least three arguments".into());
    };
    if keys.is_empty() {
        return Err("dig needs at least three arguments".into());
    }
    let wrong = |value: &Value, wanted: &str| {
        let name = match value {
            Value::Nil | Value::Invalid => "nil",
            other => other.type_name(),
        };
        format!("interface conversion: interface {{}} is {name}, not {wanted}")
    };
    let mut here = match dict {
        Value::Map(MapKind::Plain, map) => MapRef::clone(map),
        other => return Err(wrong(other, "map[string]interface {}").into()),
    };
    // All keys are looked at before any is followed.
    let texts = keys.iter().map(|key| match key {
        Value::Str(key) => Ok(key),
        other => Err(wrong(other, "string")),
    });
    for (index, key) in texts.collect::<Result<Vec<_>, _>>()?.into_iter().enumerate() {
        let Some(found) = here.get(key) else {
            return Ok(default.clone());
        };
        if index + 1 == keys.len() {
            return Ok(found);
        }
        here = match found {
            Value::Map(MapKind::Plain, map) => map,
            other => return Err(wrong(&other, "map[string]interface {}").into()),
        };
    }
    Ok(default.clone())
}

fn merge_all(machine: &mut Machine<'_>, args: Args<'_>, overwrite: bool) -> Outcome {
    let target = match args.map(0) {
        target if target.nil => MapRef::default(),
        target => target,
    };
    machine.note_grown(&target);
    for index in 1..args.0.len() {
        merge(machine, (&target, &args.map(index)), overwrite, 0)?;
    }
    Ok(Value::Map(MapKind::Plain, target))
}

/// Merges one map into another; values are shared, as upstream's are.
fn merge(
    machine: &mut Machine<'_>,
    (target, source): (&MapRef, &MapRef),
    overwrite: bool,
    depth: usize,
) -> Result<(), super::Fail> {
    if depth > 1_000 {
        return Err("maps are nested too deeply to be merged".into());
    }
    if std::rc::Rc::ptr_eq(target, source) {
        return Ok(());
    }
    machine.spend(source.len())?;
    for (key, new) in source.entries() {
        let old = target.get(&key);
        if new.is_nil() {
            if overwrite {
                target.set(key, Value::Nil);
            }
            continue;
        }
        match (&old, &new) {
            (Some(Value::Map(_, inner)), Value::Map(_, other))
                if !overwrite || inner.len() > 0 || other.len() == 0 =>
            {
                merge(machine, (inner, other), overwrite, depth + 1)?;
            }
            (Some(old), _) if !overwrite && !is_empty(old) => {}
            _ => {
                machine.take(ENTRY_BYTES)?;
                target.set(Arc::clone(&key), new);
            }
        }
    }
    Ok(())
}
