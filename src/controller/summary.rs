//! What conditions say after a step. Pure.
//!
//! Source: fluxcd/helm-controller internal/reconcile/release.go (summarize), atomic_release.go.

use super::next::Step;
use super::{history, suite};
use crate::api::condition::{
    self, Condition, Conditions, READY, RELEASED, REMEDIATED, STALLED, TEST_SUCCESS, Truth,
};
use crate::api::{Action, Snapshot, Test};

/// Copies the condition that speaks for the release into `Ready`.
///
/// Among `Remediated`, `TestSuccess` (unless failed tests are ignored) and `Released` the one with
/// the highest generation wins, the former on ties; a remediation always means that the release is
/// not what was asked for.
pub fn summarize(conditions: &mut Conditions<'_>, test: &Test) {
    if !test.enable {
        conditions.delete(TEST_SUCCESS);
    }
    let list = conditions.list();
    let kinds: &[&str] = match test.enable && !test.ignore_failures {
        true => &[REMEDIATED, TEST_SUCCESS, RELEASED],
        false => &[REMEDIATED, RELEASED],
    };
    let candidates = kinds.iter().filter_map(|kind| condition::find(list, kind));
    // `max_by_key` takes the last of equals, so the order is turned round.
    let chosen = candidates.rev().max_by_key(|condition| condition.observed_generation).cloned();
    let Some(Condition { kind, status, reason, message, .. }) = chosen else {
        return;
    };
    let status = if kind == REMEDIATED { Truth::False } else { status };
    conditions.set(READY, status, &reason, message);
    if status == Truth::True {
        conditions.delete(STALLED);
    }
}

/// `ns/name.vN` of a revision.
pub fn release_text(snapshot: &Snapshot) -> String {
    format!("{}/{}.v{}", snapshot.namespace, snapshot.name, snapshot.version)
}

/// `chart@version` of a revision.
pub fn chart_text(snapshot: &Snapshot) -> String {
    format!("{}@{}", snapshot.chart_name, snapshot.chart_version)
}

/// Success message of an install or upgrade.
pub fn success_text(action: Action, snapshot: &Snapshot) -> String {
    let verb = if action == Action::Install { "install" } else { "upgrade" };
    format!(
        "Helm {verb} succeeded for release {} with chart {}",
        release_text(snapshot),
        chart_text(snapshot)
    )
}

/// Reasons of `Released` and `Remediated`.
pub mod reason {
    /// An install worked.
    pub const INSTALL_SUCCEEDED: &str = "InstallSucceeded";
    /// An install failed.
    pub const INSTALL_FAILED: &str = "InstallFailed";
    /// An upgrade worked.
    pub const UPGRADE_SUCCEEDED: &str = "UpgradeSucceeded";
    /// An upgrade failed.
    pub const UPGRADE_FAILED: &str = "UpgradeFailed";
    /// A rollback worked.
    pub const ROLLBACK_SUCCEEDED: &str = "RollbackSucceeded";
    /// A rollback failed.
    pub const ROLLBACK_FAILED: &str = "RollbackFailed";
    /// An uninstall worked.
    pub const UNINSTALL_SUCCEEDED: &str = "UninstallSucceeded";
    /// An uninstall failed.
    pub const UNINSTALL_FAILED: &str = "UninstallFailed";
    /// The tests passed, or there are none.
    pub const TEST_SUCCEEDED: &str = "TestSucceeded";
    /// A test failed.
    pub const TEST_FAILED: &str = "TestFailed";
    /// A stale pending record was there.
    pub const PENDING_RELEASE: &str = "PendingRelease";
}

/// How a step went, as far as it is told.
#[derive(Debug)]
pub struct Told<'a> {
    /// The step.
    pub step: Step,
    /// `namespace/name` of the release.
    pub release: &'a str,
    /// `chart@version` that was wanted.
    pub chart: &'a str,
    /// The latest entry of the history before the step.
    pub before: Option<&'a Snapshot>,
    /// The history after the step.
    pub history: &'a [Snapshot],
    /// What went wrong.
    pub error: Option<&'a str>,
}

/// What the condition and the event about a step say.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The condition's type.
    pub kind: &'static str,
    /// The reason.
    pub word: &'static str,
    /// The message.
    pub text: String,
}

/// Returns what is told about a step.
pub fn verdict(told: &Told<'_>) -> Verdict {
    let Told { step, release, chart, error, .. } = *told;
    let word = |good, bad| if error.is_none() { good } else { bad };
    let ended = |head: String| match error {
        None => format!("{head} succeeded"),
        Some(error) => format!("{head} failed: {error}"),
    };
    match step {
        Step::Install | Step::Upgrade => {
            let install = step == Step::Install;
            let action = if install { Action::Install } else { Action::Upgrade };
            let latest = history::latest(told.history).cloned().unwrap_or_default();
            let text = match error {
                None => success_text(action, &latest),
                Some(error) => {
                    let name = step.name();
                    format!("Helm {name} failed for release {release} with chart {chart}: {error}")
                }
            };
            let word = if install {
                word(reason::INSTALL_SUCCEEDED, reason::INSTALL_FAILED)
            } else {
                word(reason::UPGRADE_SUCCEEDED, reason::UPGRADE_FAILED)
            };
            Verdict { kind: RELEASED, word, text }
        }
        Step::Rollback { to } => {
            let target = told.history.iter().find(|entry| entry.version == to).cloned();
            let target = target.unwrap_or_default();
            let (of, chart) = (release_text(&target), chart_text(&target));
            let text = ended(format!("Helm rollback to previous release {of} with chart {chart}"));
            let word = word(reason::ROLLBACK_SUCCEEDED, reason::ROLLBACK_FAILED);
            Verdict { kind: REMEDIATED, word, text }
        }
        Step::UninstallRemediation | Step::FinishUninstall => {
            let before = told.before.cloned().unwrap_or_default();
            let (of, chart) = (release_text(&before), chart_text(&before));
            let text =
                ended(format!("Helm uninstall remediation for release {of} with chart {chart}"));
            let word = word(reason::UNINSTALL_SUCCEEDED, reason::UNINSTALL_FAILED);
            Verdict { kind: REMEDIATED, word, text }
        }
        Step::Test => tested(told),
        Step::Unlock => {
            let text = match error {
                None => format!("Unlocked Helm release {release} with chart {chart}"),
                Some(error) => format!("Unlock of Helm release {release} failed: {error}"),
            };
            Verdict { kind: RELEASED, word: reason::PENDING_RELEASE, text }
        }
    }
}

fn tested(told: &Told<'_>) -> Verdict {
    let latest = history::latest(told.history).cloned().unwrap_or_default();
    let (of, chart) = (release_text(&latest), chart_text(&latest));
    let (word, text) = match told.error {
        None => {
            let count = suite::counted(&latest);
            let text = format!("Helm test succeeded for release {of} with chart {chart}: {count}");
            (reason::TEST_SUCCEEDED, text)
        }
        Some(error) => {
            let text = format!("Helm test failed for release {of} with chart {chart}: {error}");
            (reason::TEST_FAILED, text)
        }
    };
    Verdict { kind: TEST_SUCCESS, word, text }
}

/// Makes the conditions of a release that is in sync say so.
///
/// A remediation that brought the release back to what is wanted becomes a success; failures that
/// were put right from outside are taken back.
pub fn settle_in_sync(conditions: &mut Conditions<'_>, latest: &Snapshot, test: &Test) {
    if suite::forget_remediation(conditions, latest) {
        return summarize(conditions, test);
    }
    let list = conditions.list();
    if condition::is_true(list, READY) && condition::is_true(list, RELEASED) {
        return summarize(conditions, test);
    }
    let released = condition::find(list, RELEASED).map(|c| c.reason.clone());
    match released.as_deref() {
        Some(reason::INSTALL_FAILED) => {
            let message = success_text(Action::Install, latest);
            conditions.set(RELEASED, Truth::True, reason::INSTALL_SUCCEEDED, message);
            summarize(conditions, test);
        }
        Some(reason::UPGRADE_FAILED) => {
            let message = success_text(Action::Upgrade, latest);
            conditions.set(RELEASED, Truth::True, reason::UPGRADE_SUCCEEDED, message);
            summarize(conditions, test);
        }
        // A release taken over from elsewhere, or whose conditions were lost.
        None => {
            let (action, word) = match latest.action {
                Some(Action::Install) => (Action::Install, reason::INSTALL_SUCCEEDED),
                _ => (Action::Upgrade, reason::UPGRADE_SUCCEEDED),
            };
            conditions.set(RELEASED, Truth::True, word, success_text(action, latest));
            summarize(conditions, test);
        }
        Some(_) => summarize(conditions, test),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rows: &[(&str, Truth, i64)], change: impl Fn(&mut Conditions<'_>)) -> Vec<String> {
        let mut list = Vec::new();
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        for (kind, status, generation) in rows {
            let reason = match *kind {
                REMEDIATED => "RollbackSucceeded",
                _ if *status == Truth::True => "UpgradeSucceeded",
                _ => "UpgradeFailed",
            };
            Conditions::new(&mut list, *generation, now).set(kind, *status, reason, "m");
        }
        change(&mut Conditions::new(&mut list, 5, now));
        list.iter().map(|c| format!("{}={} {}", c.kind, c.status.as_str(), c.reason)).collect()
    }

    #[test]
    fn ready_copies_the_condition_that_speaks() {
        use Truth::{False, True};
        let off = Test::default();
        let summarize = |conditions: &mut Conditions<'_>| summarize(conditions, &off);
        let got = run(&[(RELEASED, True, 4), (REMEDIATED, True, 3)], summarize);
        assert_eq!(got[0], "Ready=True UpgradeSucceeded");
        let got = run(&[(RELEASED, False, 4), (REMEDIATED, True, 4)], summarize);
        assert_eq!(got[0], "Ready=False RollbackSucceeded");
        let got = run(&[(STALLED, True, 1), (RELEASED, True, 4)], summarize);
        assert_eq!(got, ["Ready=True UpgradeSucceeded", "Released=True UpgradeSucceeded"]);
        assert!(run(&[], summarize).is_empty());
    }

    #[test]
    fn tests_speak_where_they_are_on_and_count() {
        use Truth::{False, True};
        let both = [(RELEASED, True, 4), (TEST_SUCCESS, False, 4)];
        let test = |enable, ignore_failures| Test { enable, ignore_failures, ..Test::default() };
        let rows = [
            (test(true, false), &both[..], "Ready=False UpgradeFailed", 3),
            (test(true, true), &both[..], "Ready=True UpgradeSucceeded", 3),
            (test(false, false), &both[..], "Ready=True UpgradeSucceeded", 2),
            (
                test(true, false),
                &[(RELEASED, True, 5), (TEST_SUCCESS, False, 4)],
                "Ready=True UpgradeSucceeded",
                3,
            ),
            (
                test(true, false),
                &[(REMEDIATED, True, 4), (TEST_SUCCESS, True, 4)],
                "Ready=False RollbackSucceeded",
                3,
            ),
        ];
        for (test, given, ready, count) in rows {
            let got = run(given, |conditions| summarize(conditions, &test));
            assert_eq!((got[0].as_str(), got.len()), (ready, count), "{given:?}");
        }
    }

    #[test]
    fn in_sync_takes_failures_back() {
        use Truth::{False, True};
        let latest = Snapshot { version: 3, ..Snapshot::default() };
        let settle =
            |conditions: &mut Conditions<'_>| settle_in_sync(conditions, &latest, &Test::default());
        let want = ["Ready=True UpgradeSucceeded", "Released=True UpgradeSucceeded"];
        let d3 = [(RELEASED, False, 1), (REMEDIATED, True, 1), (READY, False, 1)];
        assert_eq!(run(&d3, settle), want);
        let d4 = [(RELEASED, False, 1), (READY, False, 1)];
        assert_eq!(run(&d4, settle), want);
        assert_eq!(run(&[], settle), want);
    }

    #[test]
    fn a_step_is_told_in_the_words_of_flux() {
        let entry = |version| Snapshot {
            version,
            name: "r".into(),
            namespace: "n".into(),
            chart_name: "c".into(),
            chart_version: format!("1.0.{version}"),
            ..Snapshot::default()
        };
        let history = [entry(1), entry(2)];
        let remediated = Step::UninstallRemediation;
        let rows = [
            (
                Step::Install,
                None,
                "Released InstallSucceeded: Helm install succeeded for release n/r.v2 with chart c@1.0.2",
            ),
            (
                Step::Install,
                Some("e"),
                "Released InstallFailed: Helm install failed for release n/r with chart c@9: e",
            ),
            (
                Step::Upgrade,
                Some("e"),
                "Released UpgradeFailed: Helm upgrade failed for release n/r with chart c@9: e",
            ),
            (
                Step::Rollback { to: 1 },
                None,
                "Remediated RollbackSucceeded: Helm rollback to previous release n/r.v1 with chart c@1.0.1 succeeded",
            ),
            (
                Step::Rollback { to: 1 },
                Some("e"),
                "Remediated RollbackFailed: Helm rollback to previous release n/r.v1 with chart c@1.0.1 failed: e",
            ),
            (
                remediated,
                None,
                "Remediated UninstallSucceeded: Helm uninstall remediation for release n/r.v2 with chart c@1.0.2 succeeded",
            ),
            (
                Step::Test,
                Some("e"),
                "TestSuccess TestFailed: Helm test failed for release n/r.v2 with chart c@1.0.2: e",
            ),
            (
                Step::Unlock,
                None,
                "Released PendingRelease: Unlocked Helm release n/r with chart c@9",
            ),
        ];
        for (step, error, want) in rows {
            let before = Some(&history[1]);
            let told =
                Told { step, release: "n/r", chart: "c@9", before, history: &history, error };
            let Verdict { kind, word, text } = verdict(&told);
            assert_eq!(format!("{kind} {word}: {text}"), want);
        }
    }
}
