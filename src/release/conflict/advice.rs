//! What is said of conflicts to people.

use super::{Conflict, Policy};
use crate::api::annotation::CONFLICTS;
use crate::base::shorten::shorten;
use crate::cluster::ObjectId;
use crate::yaml::Value;

/// Longest value in a text.
const SHOWN_BYTES: usize = 80;

/// Returns who manages a field of an object, its value, and ours: a line.
pub fn line(object: &ObjectId, conflict: &Conflict) -> String {
    let Conflict { field, manager, policy, live, ours } = conflict;
    let verb = match policy {
        Policy::Force => "is taken from",
        Policy::Leave => "is left to",
        Policy::Fail => "belongs to",
    };
    let [live, ours] = [live, ours].map(|value| shown(value.as_ref()));
    format!("{object}: {field} {verb} {manager}: it is {live} there, and {ours} in the release")
}

/// Returns what stands below an error: a line for each field that is in the way, and what to do.
/// Nothing is in the way: an empty text.
pub fn details(object: &ObjectId, conflicts: &[Conflict]) -> String {
    let failing: Vec<_> = conflicts.iter().filter(|one| one.policy == Policy::Fail).collect();
    let Some(first) = failing.first() else { return String::new() };
    let mut lines: Vec<String> = failing.iter().map(|one| line(object, one)).collect();
    let field = &first.field;
    lines.push(format!(
        "hint: --conflicts '{field}=leave' leaves it to {}, '{field}=force' takes it over (of a \
         HelmRelease: annotation {CONFLICTS})",
        first.manager
    ));
    lines.join("\n")
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "unknown".to_owned(), |value| shorten(&value.to_string(), SHOWN_BYTES))
}
