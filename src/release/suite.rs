//! The tests of a release: hooks of the event `test`.
//!
//! Source: helm v4.3.2 pkg/action/release_testing.go.

use std::time::Duration;

use super::action::Env;
use super::hook::{self, Event, Ran};
use super::manifest::Hook;
use super::record::Record;
use super::{Error, Method, Outcome};
use crate::cluster::{Cluster, ObjectId};

/// Which tests run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    /// Names of those that run; empty: all.
    pub only: Vec<String>,
    /// Names of those that do not.
    pub not: Vec<String>,
}

impl Filters {
    /// Whether a test is meant.
    pub fn take(&self, name: &str) -> bool {
        let names = |list: &[String]| list.iter().any(|known| known == name);
        !names(&self.not) && (self.only.is_empty() || names(&self.only))
    }
}

/// Tests of a release.
#[derive(Debug, Clone)]
pub struct Suite {
    /// The newest record.
    pub last: Record,
    /// Limit of each wait.
    pub timeout: Duration,
    /// Which tests run.
    pub filters: Filters,
}

/// Tests that ran; what they made is there until [`Tested::finish`].
#[derive(Debug)]
pub struct Tested {
    /// The record, with what became of each test.
    pub record: Record,
    ran: Ran,
    /// Whether the record was stored.
    stored: bool,
    timeout: Duration,
    count: usize,
}

const TEST: &str = "test";

/// Runs the tests of a release, by weight and name, until one fails.
pub async fn test(env: &Env<'_>, suite: Suite) -> Tested {
    let Suite { last: mut record, timeout, filters } = suite;
    let count = arrange(&mut record.hooks, &filters);
    let taken = Method::Server.taking();
    let event = Event { name: TEST, timeout, last: count, conflicts: &taken };
    let mut ran = hook::begin(env, &mut record, event).await;
    let mut stored = false;
    if !ran.result.as_ref().is_err_and(Error::is_outage) {
        let written = env.storage.update(&record, env.holder, &*env.clock).await;
        stored = written.is_ok();
        // Why a test failed says more than why that could not be written down.
        ran.result = ran.result.and(written);
    }
    Tested { record, ran, stored, timeout, count }
}

/// Puts the hooks that are left out first, as Helm does, and returns how many are not.
fn arrange(hooks: &mut Vec<Hook>, filters: &Filters) -> usize {
    let is_out = |hook: &Hook| filters.not.contains(&hook.name);
    let (mut skipped, rest): (Vec<_>, Vec<_>) = hooks.drain(..).partition(is_out);
    let (meant, other): (Vec<_>, Vec<_>) =
        rest.into_iter().partition(|hook| filters.take(&hook.name));
    skipped.extend(other);
    let count = meant.len();
    skipped.extend(meant);
    *hooks = skipped;
    count
}

impl Tested {
    /// Deletes what the tests made, where that is asked for, and returns how they went.
    ///
    /// # Errors
    /// A test failed, or could not be run or deleted.
    pub async fn finish(self, env: &Env<'_>) -> Outcome {
        let taken = Method::Server.taking();
        let (timeout, last) = (self.timeout, self.count);
        let event = Event { name: TEST, timeout, last, conflicts: &taken };
        let result = hook::finish(env, &self.record, event, self.ran).await;
        let written = if self.stored { vec![self.record] } else { Vec::new() };
        Outcome { written, result }
    }

    /// Returns what the Pods among the tests said, in the order in which they ran, and what could
    /// not be read.
    pub async fn logs(&self, cluster: &Cluster, filters: &Filters) -> (String, Vec<String>) {
        let mut tests: Vec<&Hook> =
            self.record.hooks.iter().filter(|hook| hook.is_test()).collect();
        tests.sort_by_key(|hook| (hook.weight, &hook.name));
        let (mut out, mut wrong) = (String::new(), Vec::new());
        for test in tests.iter().filter(|hook| hook.kind == "Pod" && filters.take(&hook.name)) {
            let id = ObjectId::new("v1", "Pod", &self.record.namespace, &test.name);
            let (log, errors) = hook::of_pod(cluster, &id).await;
            out.push_str(&log);
            wrong.extend(errors);
            // One Pod that is gone ends it, as with Helm.
            if !wrong.is_empty() {
                break;
            }
        }
        (out, wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(only: &str, not: &str) -> Filters {
        let names = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        Filters { only: names(only), not: names(not) }
    }

    #[test]
    fn filters_name_what_runs_and_what_does_not() {
        let rows = [
            ("", "", "a b c", 3),
            ("b", "", "a c b", 1),
            ("", "a", "a b c", 2),
            ("", "b", "b a c", 2),
            ("a b", "a", "a c b", 1),
            ("x", "", "a b c", 0),
        ];
        for (only, not, order, count) in rows {
            let hook = |name: &str| Hook { name: name.to_owned(), ..Hook::default() };
            let mut hooks: Vec<Hook> = ["a", "b", "c"].map(hook).into();
            assert_eq!(arrange(&mut hooks, &filters(only, not)), count, "{only} !{not}");
            let names: Vec<_> = hooks.iter().map(|hook| hook.name.as_str()).collect();
            assert_eq!(names.join(" "), order, "{only} !{not}");
        }
    }
}
