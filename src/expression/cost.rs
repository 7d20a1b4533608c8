//! What an expression may cost at most, reckoned from its tree and the size of its variables. Pure.
//!
//! The evaluator cannot be interrupted, and loops inside loops, or texts doubled again and again,
//! take any time and memory: such an expression is refused. What is reckoned is never too little,
//! and mostly far too much.

use std::collections::BTreeMap;

use cel::common::ast::{Expr, IdedExpr};

use super::path::children;
use super::{BYTES, Given, STEPS};
use crate::yaml::Value;

/// At most so big is a value, and so many steps lead to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Cost {
    /// Bytes of the value, containers and what they hold.
    bytes: u64,
    /// Elements of the longest list or map in it.
    length: u64,
    /// Steps.
    steps: u64,
}

/// Checks that an expression is within its bounds.
///
/// # Errors
/// It is not.
pub(super) fn check(tree: &IdedExpr, variables: &[(&str, Given<'_>)]) -> Result<(), String> {
    let sizes = variables.iter().map(|(name, given)| {
        let size = match given {
            Given::Value(value) | Given::Optional(Some(value)) => size(value),
            Given::Optional(None) => Cost::default(),
        };
        ((*name).to_owned(), size)
    });
    let cost = Reckoner { known: sizes.collect() }.reckon(tree);
    if cost.steps > STEPS || cost.bytes > BYTES {
        return Err("it could take too many steps: use fewer loops inside each other".to_owned());
    }
    Ok(())
}

fn size(value: &Value) -> Cost {
    let of_all = |values: &mut dyn Iterator<Item = &Value>, length: usize, own: usize| {
        let zero = Cost { bytes: wide(own) + 1, length: wide(length), steps: 0 };
        values.map(size).fold(zero, |all, one| Cost {
            bytes: all.bytes.saturating_add(one.bytes),
            length: all.length.max(one.length),
            steps: 0,
        })
    };
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => Cost { bytes: 8, length: 0, steps: 0 },
        Value::String(text) => Cost { bytes: wide(text.len()) + 8, length: 0, steps: 0 },
        Value::Array(items) => of_all(&mut items.iter(), items.len(), 8),
        Value::Object(map) => {
            let keys = map.keys().map(|key| key.len() + 8).sum();
            of_all(&mut map.values(), map.len(), keys)
        }
    }
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Whether a loop gathers nothing but its elements, or parts of them, as filters do.
fn gathers_parts(step: &IdedExpr, element: &str) -> bool {
    let mut open = vec![step];
    let mut found = false;
    while let Some(tree) = open.pop() {
        if let Expr::List(list) = &tree.expr {
            found = true;
            if list.elements.len() != 1 || !list.elements.iter().all(|one| is_part(one, element)) {
                return false;
            }
        } else {
            open.extend(children(tree));
        }
    }
    found
}

fn is_part(tree: &IdedExpr, of: &str) -> bool {
    match &tree.expr {
        Expr::Ident(name) => name == of,
        Expr::Select(select) => !select.test && is_part(&select.operand, of),
        _ => false,
    }
}

/// Knows how big variables are.
struct Reckoner {
    known: BTreeMap<String, Cost>,
}

/// Functions whose value is no longer than a number's text.
const SMALL: &[&str] = &[
    "_==_",
    "_!=_",
    "_<_",
    "_<=_",
    "_>_",
    "_>=_",
    "_&&_",
    "_||_",
    "!_",
    "-_",
    "_-_",
    "_*_",
    "_/_",
    "_%_",
    "@in",
    "_in_",
    "@not_strictly_false",
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "int",
    "uint",
    "double",
    "bool",
    "timestamp",
    "duration",
    "type",
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
    "indexOf",
    "lastIndexOf",
    "hasValue",
    "quantity",
    "isQuantity",
    "isInteger",
    "asInteger",
    "asApproximateFloat",
    "sign",
    "add",
    "sub",
    "isLessThan",
    "isGreaterThan",
    "compareTo",
    "ip",
    "isIP",
    "ip.isCanonical",
    "family",
    "isUnspecified",
    "isLoopback",
    "isLinkLocalMulticast",
    "isLinkLocalUnicast",
    "isGlobalUnicast",
    "cidr",
    "isCIDR",
    "containsIP",
    "containsCIDR",
    "masked",
    "prefixLength",
    "isURL",
    "isSemver",
    "major",
    "minor",
    "patch",
    "isSorted",
];
/// Functions whose value is a part of what they are given.
const PART: &[&str] = &[
    "_[_]",
    "_[?_]",
    "_?._",
    "value",
    "orValue",
    "or",
    "optional.of",
    "optional.ofNonZeroValue",
    "lowerAscii",
    "upperAscii",
    "trim",
    "substring",
    "charAt",
    "reverse",
    "base64.decode",
    "dyn",
    "min",
    "max",
    "find",
    "findAll",
    "url",
    "getScheme",
    "getHost",
    "getHostname",
    "getPort",
    "getQuery",
    "semver",
    "_?_:_",
];

/// Functions that look at each element of the one for each of the other.
const CROSSED: &[&str] = &["sets.contains", "sets.equivalent", "sets.intersects"];
/// Functions that search a text by a pattern.
const SEARCHED: &[&str] = &["matches", "find", "findAll"];

impl Reckoner {
    fn reckon(&mut self, tree: &IdedExpr) -> Cost {
        match &tree.expr {
            Expr::Ident(name) => {
                let known = self.known.get(name).copied().unwrap_or_default();
                Cost { steps: 1, ..known }
            }
            Expr::Unspecified | Expr::Literal(_) => {
                // No literal is longer than its expression.
                let bytes = wide(super::LONGEST_BYTES).min(literal(tree));
                Cost { bytes, length: 0, steps: 1 }
            }
            Expr::Select(select) => {
                let cost = self.reckon(&select.operand);
                Cost { steps: cost.steps.saturating_add(1), ..cost }
            }
            Expr::List(_) | Expr::Map(_) | Expr::Struct(_) => {
                let parts = children(tree);
                let own = wide(parts.len());
                let cost = self.sum(&parts);
                Cost {
                    bytes: cost.bytes.saturating_add(own * 8 + 1),
                    length: cost.length.max(own),
                    steps: cost.steps.saturating_add(own),
                }
            }
            Expr::Call(call) => {
                let cost = self.sum(&children(tree));
                self.called(&call.func_name, cost, children(tree).len())
            }
            Expr::Comprehension(all) => {
                let range = self.reckon(&all.iter_range);
                let init = self.reckon(&all.accu_init);
                let rounds = range.length;
                for name in [Some(&all.iter_var), all.iter_var2.as_ref()].into_iter().flatten() {
                    self.known.insert(name.clone(), range);
                }
                // What one round adds to what was gathered before.
                self.known.insert(all.accu_var.clone(), Cost::default());
                let one = self.sum(&[&all.loop_cond, &all.loop_step]);
                let gathered = if gathers_parts(&all.loop_step, &all.iter_var) {
                    // However many rounds: parts of the elements are no more than the whole.
                    let bytes = range.bytes.saturating_add(rounds.saturating_mul(16));
                    Cost { bytes, length: range.length, steps: 0 }
                } else {
                    let bytes = init.bytes.saturating_add(one.bytes.saturating_mul(rounds));
                    Cost { bytes, length: init.length.max(one.length).max(rounds), steps: 0 }
                };
                let Cost { bytes, length, .. } = gathered;
                self.known.insert(all.accu_var.clone(), gathered);
                let result = self.reckon(&all.result);
                let each = one.steps.saturating_add(1).saturating_mul(rounds);
                let steps = [range.steps, init.steps, each, result.steps];
                let steps = steps.into_iter().fold(0, u64::saturating_add);
                Cost { bytes: result.bytes.max(bytes), length: result.length.max(length), steps }
            }
        }
    }

    fn sum(&mut self, parts: &[&IdedExpr]) -> Cost {
        let zero = Cost::default();
        parts.iter().map(|part| self.reckon(part)).fold(zero, |all, one| Cost {
            bytes: all.bytes.saturating_add(one.bytes),
            length: all.length.saturating_add(one.length),
            steps: all.steps.saturating_add(one.steps),
        })
    }

    /// What a call costs beside its arguments: it looks at each byte of them.
    fn called(&self, name: &str, given: Cost, count: usize) -> Cost {
        let steps = given.steps.saturating_add(given.bytes / 8).saturating_add(1);
        let steps =
            if SEARCHED.contains(&name) { steps.saturating_add(given.bytes) } else { steps };
        if CROSSED.contains(&name) {
            let crossed = given.bytes.saturating_mul(given.bytes / 8);
            Cost { bytes: 64, length: 0, steps: steps.saturating_add(crossed) }
        } else if SMALL.contains(&name) {
            Cost { bytes: 64, length: 0, steps }
        } else if PART.contains(&name) || name == "_+_" {
            Cost { steps, ..given }
        } else {
            // Anything else may repeat each of its arguments for each byte of the others.
            let factor = if count > 1 { given.bytes } else { 8 };
            Cost {
                bytes: given.bytes.saturating_mul(factor),
                length: given.bytes,
                steps: steps.saturating_add(given.bytes.saturating_mul(factor) / 8),
            }
        }
    }
}

fn literal(tree: &IdedExpr) -> u64 {
    use cel::common::ast::LiteralValue;
    match &tree.expr {
        Expr::Literal(LiteralValue::String(text)) => wide(text.inner().len()) + 8,
        Expr::Literal(LiteralValue::Bytes(bytes)) => wide(bytes.inner().len()) + 8,
        _ => 8,
    }
}
