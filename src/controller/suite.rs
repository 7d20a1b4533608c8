//! Tests of a release: what they count for, and what of them stands in the history. Pure.
//!
//! Source: fluxcd/helm-controller internal/reconcile/test.go, internal/release/observation.go.

use std::collections::BTreeMap;

use serde_json::json;

use super::history;
use crate::api::condition::{self, Conditions, REMEDIATED, TEST_SUCCESS, Truth};
use crate::api::{HelmReleaseSpec, HelmReleaseStatus, Snapshot, Test};
use crate::base::clock::rfc3339_seconds;
use crate::release::{Filters, Record};
use crate::yaml::Value;

/// What a failed test means for its release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tests {
    /// There are none.
    Off,
    /// Nothing: only the condition says so.
    Ignored,
    /// The release failed.
    Counted,
}

impl Tests {
    /// Returns what failed tests mean. They count only for an action that can be remediated.
    pub fn of(spec: &HelmReleaseSpec, status: &HelmReleaseStatus) -> Self {
        let action = status.last_attempted_release_action.as_str();
        match (spec.test.enable, action) {
            (false, _) => Self::Off,
            (true, "install" | "upgrade") if !spec.ignores_failed_tests(action) => Self::Counted,
            (true, _) => Self::Ignored,
        }
    }

    /// Whether a revision failed, or one of its tests where that counts.
    pub(super) fn has_failed(self, entry: &Snapshot) -> bool {
        entry.status == "failed" || self == Self::Counted && history::has_failed_test(entry)
    }
}

/// Returns which tests run.
pub(super) fn filters(test: &Test) -> Filters {
    let names = |excluded: bool| {
        let meant = test.filters.iter().filter(|filter| filter.exclude == excluded);
        meant.map(|filter| filter.name.clone()).collect()
    };
    Filters { only: names(false), not: names(true) }
}

/// Returns what became of the tests that a record knows.
pub(super) fn hooks(record: &Record, filters: &Filters) -> BTreeMap<String, Value> {
    let seconds = |time: &str| time.parse().map(rfc3339_seconds).unwrap_or_default();
    let tests = record.hooks.iter().filter(|hook| hook.is_test() && filters.take(&hook.name));
    tests
        .map(|hook| {
            let run = &hook.last_run;
            let fields = [
                ("lastStarted", seconds(&run.started_at)),
                ("lastCompleted", seconds(&run.completed_at)),
                ("phase", run.phase.clone()),
            ];
            let fields = fields.into_iter().filter(|(_, text)| !text.is_empty());
            let fields = fields.map(|(name, text)| (name.to_owned(), json!(text)));
            (hook.name.clone(), Value::Object(fields.collect()))
        })
        .collect()
}

/// Says that tests are still to come, after an install or upgrade.
pub(super) fn await_tests(conditions: &mut Conditions<'_>, test: &Test, latest: &Snapshot) {
    if test.enable && !history::is_tested(latest) {
        let text = format!(
            "Helm release {} with chart {} is awaiting tests",
            super::summary::release_text(latest),
            super::summary::chart_text(latest)
        );
        conditions.set(TEST_SUCCESS, Truth::Unknown, "AwaitingTests", text);
    }
}

/// Returns what a success says of how many tests there were.
pub(super) fn counted(latest: &Snapshot) -> String {
    match latest.test_hooks.as_ref().map_or(0, BTreeMap::len) {
        0 => "no test hooks".to_owned(),
        1 => "1 test hook completed successfully".to_owned(),
        count => format!("{count} test hooks completed successfully"),
    }
}

/// A release that was remediated, and is what is wanted again: what runs is as good as upgraded.
pub(super) fn forget_remediation(conditions: &mut Conditions<'_>, latest: &Snapshot) -> bool {
    if !condition::is_true(conditions.list(), REMEDIATED) {
        return false;
    }
    let message = super::summary::success_text(crate::api::Action::Upgrade, latest);
    conditions.delete(condition::RELEASED);
    let word = super::summary::reason::UPGRADE_SUCCEEDED;
    conditions.replace(REMEDIATED, condition::RELEASED, word, &message);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_tests_count_where_that_is_not_ignored() {
        let ignoring = r#"{"test": {"enable": true, "ignoreFailures": true}}"#;
        let remediated = r#"{"test": {"enable": true, "ignoreFailures": true},
            "upgrade": {"remediation": {"ignoreTestFailures": false}}}"#;
        let rows = [
            ("{}", "upgrade", Tests::Off),
            (r#"{"test": {"ignoreFailures": true}}"#, "upgrade", Tests::Off),
            (r#"{"test": {"enable": true}}"#, "", Tests::Ignored),
            (r#"{"test": {"enable": true}}"#, "upgrade", Tests::Counted),
            (r#"{"test": {"enable": true}}"#, "install", Tests::Counted),
            (ignoring, "install", Tests::Ignored),
            (remediated, "install", Tests::Ignored),
            (remediated, "upgrade", Tests::Counted),
        ];
        for (spec, action, want) in rows {
            let status = HelmReleaseStatus {
                last_attempted_release_action: action.to_owned(),
                ..HelmReleaseStatus::default()
            };
            let spec: HelmReleaseSpec = serde_json::from_str(spec).unwrap();
            assert_eq!(Tests::of(&spec, &status), want, "{action}");
        }
    }

    #[test]
    fn the_history_tells_what_became_of_tests() {
        let record: Record = serde_json::from_value(json!({"hooks": [
            {"name": "a", "events": ["test"], "last_run": {
                "started_at": "2026-01-01T00:00:00.5Z", "completed_at": "2026-01-01T01:00:00.9+01:00",
                "phase": "Failed"}},
            {"name": "b", "events": ["test"]},
            {"name": "c", "events": ["pre-install"]},
        ]}))
        .unwrap();
        let a = r#""a":{"lastCompleted":"2026-01-01T00:00:00Z","lastStarted":"2026-01-01T00:00:00Z","phase":"Failed"}"#;
        let rows = [
            ("[]", format!(r#"{{{a},"b":{{}}}}"#)),
            (r#"[{"name": "a"}]"#, format!("{{{a}}}")),
            (r#"[{"name": "a", "exclude": true}]"#, r#"{"b":{}}"#.to_owned()),
            (r#"[{"name": "b", "exclude": true}, {"name": "b"}]"#, "{}".to_owned()),
            (r#"[{"name": "x"}]"#, "{}".to_owned()),
        ];
        for (list, want) in rows {
            let test = Test { filters: serde_json::from_str(list).unwrap(), ..Test::default() };
            let told = serde_json::to_string(&hooks(&record, &filters(&test))).unwrap();
            assert_eq!(told, want, "{list}");
        }
    }

    #[test]
    fn a_success_says_how_many_tests_there_were() {
        let entry = |names: &[&str]| Snapshot {
            test_hooks: Some(names.iter().map(|name| (name.to_string(), json!({}))).collect()),
            ..Snapshot::default()
        };
        let rows: [(&[&str], &str); 3] = [
            (&[], "no test hooks"),
            (&["a"], "1 test hook completed successfully"),
            (&["a", "b"], "2 test hooks completed successfully"),
        ];
        for (names, want) in rows {
            assert_eq!(counted(&entry(names)), want);
        }
    }
}
