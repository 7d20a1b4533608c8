//! Which attribute an expression wanted of a variable that is not there.

use cel::common::ast::{EntryExpr, Expr, IdedExpr};

/// Returns the first attribute that begins with a variable, such as `status.phase`.
pub(super) fn of(tree: &IdedExpr, variable: &str) -> Option<String> {
    if let Some(path) = attribute(tree)
        && path.split('.').next() == Some(variable)
    {
        return Some(path);
    }
    children(tree).into_iter().find_map(|child| of(child, variable))
}

fn attribute(tree: &IdedExpr) -> Option<String> {
    match &tree.expr {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) => Some(format!("{}.{}", attribute(&select.operand)?, select.field)),
        _ => None,
    }
}

/// Returns what an expression consists of, in the order in which it is written.
pub(super) fn children(tree: &IdedExpr) -> Vec<&IdedExpr> {
    match &tree.expr {
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::Comprehension(all) => {
            vec![&all.iter_range, &all.accu_init, &all.loop_cond, &all.loop_step, &all.result]
        }
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map.entries.iter().flat_map(|entry| parts(&entry.expr)).collect(),
        Expr::Struct(all) => all.entries.iter().flat_map(|entry| parts(&entry.expr)).collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
    }
}

fn parts(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
    }
}
