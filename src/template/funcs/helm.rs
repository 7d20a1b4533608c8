//! Functions that Helm adds.
//!
//! Source: helm v4.3.1 pkg/engine/engine.go, lookup_func.go.

use super::super::convert::{from_plain, weight};
use super::super::value::{Map, Value};
use super::{Fail, Func, Outcome, Ty, lossy};
use crate::template::eval::Machine;
use crate::template::funcs::Args;

const S: Ty = Ty::Str;

pub(super) const TABLE: &[Func] = &[
    Func::new("include", &[S, Ty::Any], |machine, a| {
        machine.include(a.str(0), a.any(1).clone().unboxed())
    }),
    Func::new("tpl", &[S, Ty::Any], |machine, a| {
        machine.tpl(&a.shared_str(0), a.any(1).clone().unboxed())
    }),
    Func::new("required", &[S, Ty::Any], |machine, a| match a.any(1) {
        Value::Nil | Value::Invalid => refused(machine, a),
        Value::Str(text) if text.is_empty() => refused(machine, a),
        value => Ok(value.clone()),
    }),
    Func::new("fail", &[S], |machine, a| refused(machine, a)),
    Func::varying("lookup", &[S, S, S, S], lookup),
    Func::varying("getHostByName", &[S], host),
];

/// Source: sprig v3.3.0 network.go (getHostByName): any of the addresses.
fn host(machine: &mut Machine<'_>, args: Args<'_>) -> Outcome {
    let Some(hosts) = machine.context.hosts else { return Ok(Value::str("")) };
    let mut found = hosts.addresses(&lossy(args.str(0)));
    if found.is_empty() {
        return Err("invalid argument to Intn".into());
    }
    Ok(Value::str(found.swap_remove(rand::random_range(0..found.len()))))
}

fn refused(machine: &Machine<'_>, args: Args<'_>) -> Outcome {
    if machine.context.lenient {
        return Ok(Value::str(""));
    }
    Err(Fail::Refused(lossy(args.str(0)).into_owned()))
}

fn lookup(machine: &mut Machine<'_>, args: Args<'_>) -> Outcome {
    let Some(cluster) = machine.context.lookup else {
        return Ok(Value::map(Map::default()));
    };
    let text = |index| lossy(args.str(index)).into_owned();
    let found = cluster.lookup(&text(0), &text(1), &text(2), &text(3))?;
    machine.take(weight(&found))?;
    Ok(from_plain(&found))
}
