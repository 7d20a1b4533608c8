//! The history in a status: what was persisted, newest first.
//!
//! Source: fluxcd/helm-controller api/v2 snapshot_types.go, internal/action/verify.go.

use std::collections::BTreeMap;

use crate::api::{Action, Snapshot};
use crate::base::clock::rfc3339_seconds;
use crate::release::{self, Record};
use crate::yaml::Value;

/// Entries kept when no earlier good revision is among them.
const KEPT: usize = 5;

/// Sorts newest first.
pub fn sort(history: &mut [Snapshot]) {
    history.sort_by_key(|entry| std::cmp::Reverse(entry.version));
}

/// Returns the newest entry.
pub fn latest(history: &[Snapshot]) -> Option<&Snapshot> {
    history.iter().max_by_key(|entry| entry.version)
}

/// Returns the newest entry before the latest that is good to roll back to.
pub fn previous(history: &[Snapshot], ignore_tests: bool) -> Option<&Snapshot> {
    let newest = latest(history)?.version;
    history
        .iter()
        .filter(|entry| entry.version < newest)
        .filter(|entry| matches!(entry.status.as_str(), "deployed" | "superseded"))
        .filter(|entry| ignore_tests || !has_failed_test(entry))
        .max_by_key(|entry| entry.version)
}

/// Returns the newest good entry, the latest one included: what runs, or ran last.
pub fn newest_good(history: &[Snapshot]) -> Option<&Snapshot> {
    history
        .iter()
        .filter(|entry| matches!(entry.status.as_str(), "deployed" | "superseded"))
        .max_by_key(|entry| entry.version)
}

/// Whether a test of a revision failed.
pub fn has_failed_test(entry: &Snapshot) -> bool {
    let failed = |hook: &Value| hook.get("phase").and_then(Value::as_str) == Some("Failed");
    entry.test_hooks.as_ref().is_some_and(|hooks| hooks.values().any(failed))
}

/// Whether the tests of a revision ran: one failed, or all succeeded.
pub fn is_tested(entry: &Snapshot) -> bool {
    let succeeded = |hook: &Value| hook.get("phase").and_then(Value::as_str) == Some("Succeeded");
    let all = |hooks: &BTreeMap<String, Value>| hooks.values().all(succeeded);
    has_failed_test(entry) || entry.test_hooks.as_ref().is_some_and(all)
}

/// Cuts what is older than the previous good entry; without one, keeps the five newest.
pub fn truncate(history: &mut Vec<Snapshot>, ignore_tests: bool) {
    if history.len() < 2 {
        return;
    }
    sort(history);
    let keep = previous(history, ignore_tests)
        .and_then(|found| history.iter().position(|entry| entry.version == found.version))
        .map_or(KEPT, |index| index + 1);
    history.truncate(keep);
}

/// Cuts to the five newest (under a retry strategy no entry is rolled back to).
pub fn truncate_retried(history: &mut Vec<Snapshot>) {
    sort(history);
    history.truncate(KEPT);
}

/// Takes over what an action persisted.
///
/// An install or upgrade adds its own revision; older revisions that it rewrote replace their
/// entries, which lose their action, as in Flux. A rollback does the same but names itself on every
/// entry it touched. An uninstall only changes entries that are there.
pub fn record(history: &mut Vec<Snapshot>, written: &[Snapshot], action: Action) {
    let newest = written.iter().map(|snapshot| snapshot.version).max();
    for snapshot in written {
        let mut snapshot = snapshot.clone();
        let known = history.iter().position(|entry| {
            entry.version == snapshot.version
                && entry.name == snapshot.name
                && entry.namespace == snapshot.namespace
        });
        snapshot.action = match action {
            Action::Install | Action::Upgrade => {
                (Some(snapshot.version) == newest).then_some(action)
            }
            Action::Rollback | Action::Uninstall | Action::UninstallRemediation => Some(action),
        };
        match known {
            Some(index) => {
                snapshot.test_hooks = history[index].test_hooks.take();
                history[index] = snapshot;
            }
            None => match action {
                Action::Install | Action::Upgrade if Some(snapshot.version) != newest => {}
                Action::Uninstall | Action::UninstallRemediation => {}
                Action::Install | Action::Upgrade | Action::Rollback => history.push(snapshot),
            },
        }
    }
    sort(history);
}

/// Takes over what an unlock persisted: the entry keeps its action.
pub fn record_unlock(history: &mut [Snapshot], written: &[Snapshot]) {
    for snapshot in written {
        let known = history.iter_mut().find(|entry| {
            entry.version == snapshot.version
                && entry.name == snapshot.name
                && entry.namespace == snapshot.namespace
        });
        if let Some(entry) = known {
            let mut snapshot = snapshot.clone();
            snapshot.action = entry.action;
            snapshot.test_hooks = entry.test_hooks.take();
            *entry = snapshot;
        }
    }
}

/// Takes over what tests persisted, where they tested the latest entry.
pub fn record_tests(
    history: &mut [Snapshot],
    written: &[Snapshot],
    tested: Option<BTreeMap<String, Value>>,
) {
    let newest = latest(history).map(|entry| entry.version);
    let written: Vec<_> =
        written.iter().filter(|entry| Some(entry.version) == newest).cloned().collect();
    record_unlock(history, &written);
    for entry in history.iter_mut().filter(|entry| Some(entry.version) == newest) {
        if !written.is_empty() {
            entry.test_hooks.clone_from(&tested);
        }
    }
}

/// Returns the digest that the chart of a record came from, if the history knows it.
pub(super) fn oci_digest<'a>(history: &'a [Snapshot], record: &crate::release::Record) -> &'a str {
    let same = |entry: &&Snapshot| {
        entry.version == record.version
            && entry.name == record.name
            && entry.namespace == record.namespace
    };
    history.iter().find(same).map_or("", |entry| &entry.oci_digest)
}

/// Returns the newest revision of a history.
pub(super) fn newest(history: &[Snapshot]) -> Option<u32> {
    history.iter().map(|entry| entry.version).max()
}

/// Returns the newest revision that a status tells of.
pub(super) fn told(status: &Value) -> Option<u32> {
    let history: Vec<Snapshot> = serde_json::from_value(status.get("history")?.clone()).ok()?;
    newest(&history)
}

/// Returns the history entry of a record; `oci` is the digest of its chart's source, if it is known.
pub(super) fn snapshot(record: &Record, oci: &str) -> Snapshot {
    let metadata = record.metadata();
    let config = record.config.clone().unwrap_or_default();
    // Times in a status have whole seconds.
    let seconds =
        |time: &str| time.parse().map(rfc3339_seconds).unwrap_or_else(|_| time.to_owned());
    Snapshot {
        api_version: "v2".to_owned(),
        digest: release::digest::of(record, oci),
        name: record.name.clone(),
        namespace: record.namespace.clone(),
        version: record.version,
        status: record.info.status.clone(),
        action: None,
        chart_name: metadata.name,
        chart_version: metadata.version,
        app_version: metadata.app_version,
        config_digest: super::values::digest(&config),
        first_deployed: seconds(&record.info.first_deployed),
        last_deployed: seconds(&record.info.last_deployed),
        deleted: (!record.info.deleted.is_empty()).then(|| seconds(&record.info.deleted)),
        test_hooks: None,
        oci_digest: oci.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(version: u32, status: &str) -> Snapshot {
        Snapshot { version, status: status.into(), name: "r".into(), ..Snapshot::default() }
    }

    fn failed_test(mut entry: Snapshot) -> Snapshot {
        let hook = serde_json::json!({"phase": "Failed"});
        entry.test_hooks = Some([("t".to_owned(), hook)].into());
        entry
    }

    fn versions(history: &[Snapshot]) -> Vec<u32> {
        history.iter().map(|entry| entry.version).collect()
    }

    #[test]
    fn previous_is_the_newest_good_one_before_the_latest() {
        let three = [entry(2, "deployed"), entry(3, "failed"), entry(1, "superseded")];
        assert_eq!(previous(&three, false).map(|e| e.version), Some(2));
        let tested =
            [entry(4, "deployed"), failed_test(entry(3, "superseded")), entry(2, "superseded")];
        assert_eq!(previous(&tested, false).map(|e| e.version), Some(2));
        assert_eq!(previous(&tested, true).map(|e| e.version), Some(3));
        assert_eq!(previous(&[entry(1, "deployed")], false), None);
        assert_eq!(previous(&[entry(2, "failed"), entry(1, "failed")], false), None);
    }

    #[test]
    fn tested_means_that_all_succeeded_or_one_failed() {
        let (good, bad, none) = ("Succeeded", "Failed", "");
        let rows: [(Option<&[&str]>, bool); 10] = [
            (None, false),
            (Some(&[]), true),
            (Some(&[none]), false),
            (Some(&[good, good]), true),
            (Some(&[bad, bad]), true),
            (Some(&[good, bad]), true),
            (Some(&[bad, none]), true),
            (Some(&[good, none]), false),
            (Some(&["Running"]), false),
            (Some(&["Unknown"]), false),
        ];
        for (phases, want) in rows {
            let hooks = phases.map(|phases| {
                let hook = |(number, phase): (usize, &&str)| {
                    (number.to_string(), serde_json::json!({"phase": phase}))
                };
                phases.iter().enumerate().map(hook).collect()
            });
            let tested = Snapshot { test_hooks: hooks, ..entry(1, "deployed") };
            assert_eq!(is_tested(&tested), want, "{phases:?}");
        }
    }

    #[test]
    fn truncation_keeps_what_a_rollback_needs() {
        let mut history = vec![
            entry(1, "superseded"),
            entry(3, "failed"),
            entry(2, "superseded"),
            entry(4, "deployed"),
        ];
        truncate(&mut history, false);
        assert_eq!(versions(&history), [4, 3, 2]);
        let mut history: Vec<_> = (1..=5).map(|v| entry(v, "failed")).collect();
        history.push(entry(6, "deployed"));
        truncate(&mut history, false);
        assert_eq!(versions(&history), [6, 5, 4, 3, 2]);
        let mut history = vec![entry(1, "failed")];
        truncate(&mut history, false);
        assert_eq!(versions(&history), [1]);
    }

    #[test]
    fn an_upgrade_adds_its_revision_and_supersedes_the_old_entry() {
        let mut history = Vec::new();
        record(&mut history, &[entry(1, "deployed")], Action::Install);
        assert_eq!(history[0].action, Some(Action::Install));
        record(&mut history, &[entry(2, "deployed"), entry(1, "superseded")], Action::Upgrade);
        assert_eq!(versions(&history), [2, 1]);
        assert_eq!((history[1].status.as_str(), history[1].action), ("superseded", None));
        record(&mut history, &[entry(9, "uninstalled")], Action::Uninstall);
        assert_eq!(versions(&history), [2, 1]);
    }
}
