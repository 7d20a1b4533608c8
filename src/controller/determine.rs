//! Observe: which state is a release in? Pure.
//!
//! Source: fluxcd/helm-controller internal/reconcile/state.go (DetermineReleaseState), with rows of
//! our own for `uninstalling` and `superseded` and for rollbacks made by hand.

use crate::api::Snapshot;
use crate::release::{self, Record};

use super::history;
use super::suite::Tests;

/// What the user wants of a release, as far as its state depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Name of the chart.
    pub chart_name: &'a str,
    /// Version of the chart.
    pub chart_version: &'a str,
    /// Digest of the composed values.
    pub config_digest: &'a str,
    /// What else changed that objects are made of.
    pub changed: Option<&'static str>,
    /// What tests count for.
    pub tests: Tests,
}

/// The newest record in storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Last {
    /// Revision.
    pub version: u32,
    /// Helm's status word.
    pub status: String,
    /// Digest of the record, to compare with the history.
    pub digest: String,
    /// Chart.
    pub chart_name: String,
    /// Version of the chart.
    pub chart_version: String,
}

impl Last {
    /// Returns what a record says; the history knows the digest that its chart came from.
    pub(super) fn of(record: &Record, history: &[Snapshot]) -> Self {
        let metadata = record.metadata();
        Self {
            version: record.version,
            status: record.info.status.clone(),
            digest: release::digest::of(record, history::oci_digest(history, record)),
            chart_name: metadata.name,
            chart_version: metadata.version,
        }
    }
}

/// What was seen of a release.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The newest record in storage.
    pub last: Option<&'a Last>,
    /// The history in the status.
    pub history: &'a [Snapshot],
}

/// State of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing is installed.
    Absent,
    /// The newest record is pending.
    Locked {
        /// Its status word.
        status: String,
    },
    /// There is a release, but not one that this object made.
    Unmanaged,
    /// The newest record failed.
    Failed,
    /// Chart or values changed.
    OutOfSync {
        /// What changed.
        reason: &'static str,
    },
    /// Chart and values are what is wanted, the tests did not run yet.
    Untested,
    /// Chart and values are what is wanted. (Whether live objects drifted is asked next.)
    InSync,
    /// An uninstall began and did not finish.
    Uninstalling,
}

/// Returns the state of a release.
pub fn determine(wanted: Wanted<'_>, seen: Seen<'_>) -> State {
    let Some(last) = seen.last else {
        return State::Absent;
    };
    match last.status.as_str() {
        status @ ("pending-install" | "pending-upgrade" | "pending-rollback") => {
            return State::Locked { status: status.to_owned() };
        }
        "uninstalling" => return State::Uninstalling,
        "uninstalled" if seen.history.is_empty() => return State::Absent,
        _ => {}
    }
    let Some(latest) = history::latest(seen.history) else {
        return State::Unmanaged;
    };
    if !observed(latest, last) {
        return State::Unmanaged;
    }
    match last.status.as_str() {
        "failed" => State::Failed,
        "uninstalled" => State::Absent,
        "deployed" => in_sync(wanted, last, latest),
        // `superseded` and `unknown`: a record that nothing follows and that nobody vouches for.
        _ => State::Unmanaged,
    }
}

/// Returns whether the entry describes the record. Other versions of the rules are taken on trust.
fn observed(entry: &Snapshot, last: &Last) -> bool {
    if entry.api_version != "v2" {
        return entry.version == last.version;
    }
    entry.digest == last.digest
}

fn in_sync(wanted: Wanted<'_>, last: &Last, latest: &Snapshot) -> State {
    if last.chart_name != wanted.chart_name || last.chart_version != wanted.chart_version {
        return State::OutOfSync { reason: "release chart changed" };
    }
    if latest.config_digest != wanted.config_digest {
        return State::OutOfSync { reason: "release config values changed" };
    }
    if let Some(reason) = wanted.changed {
        return State::OutOfSync { reason };
    }
    if wanted.tests != Tests::Off && !history::is_tested(latest) {
        return State::Untested;
    }
    if wanted.tests.has_failed(latest) { State::Failed } else { State::InSync }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(version: u32, status: &str, digest: &str) -> Snapshot {
        Snapshot {
            api_version: "v2".into(),
            version,
            status: status.into(),
            digest: digest.into(),
            config_digest: "values".into(),
            ..Snapshot::default()
        }
    }

    #[test]
    fn states_are_told_apart() {
        let s = snapshot;
        let out_of_sync_chart = State::OutOfSync { reason: "release chart changed" };
        let out_of_sync_values = State::OutOfSync { reason: "release config values changed" };
        let locked = |status: &str| State::Locked { status: status.to_owned() };
        #[expect(clippy::type_complexity, reason = "a row of a table")]
        #[rustfmt::skip]
        let rows: Vec<(&str, Option<(u32, &str, &str)>, Vec<Snapshot>, (&str, &str), State)> = vec![
            ("S1 in sync", Some((1, "deployed", "d1")), vec![s(1, "deployed", "d1")], ("1.0.0", "values"), State::InSync),
            ("S2 nothing", None, vec![], ("1.0.0", "values"), State::Absent),
            ("S3 storage lost", None, vec![s(1, "deployed", "d1")], ("1.0.0", "values"), State::Absent),
            ("S4 no history", Some((1, "deployed", "d1")), vec![], ("1.0.0", "values"), State::Unmanaged),
            ("S5 bad digest", Some((1, "deployed", "d1")), vec![s(1, "deployed", "sha256:invalid")], ("1.0.0", "values"), State::Unmanaged),
            ("S7 pending", Some((1, "pending-install", "d1")), vec![], ("1.0.0", "values"), locked("pending-install")),
            ("S14 failed", Some((2, "failed", "d2")), vec![s(2, "failed", "d2"), s(1, "superseded", "d1")], ("1.0.0", "values"), State::Failed),
            ("S15 uninstalled, known", Some((1, "uninstalled", "d1")), vec![s(1, "uninstalled", "d1")], ("1.0.0", "values"), State::Absent),
            ("S16 uninstalled, unknown", Some((1, "uninstalled", "d1")), vec![], ("1.0.0", "values"), State::Absent),
            ("S17 other chart version", Some((1, "deployed", "d1")), vec![s(1, "deployed", "d1")], ("1.1.0", "values"), out_of_sync_chart),
            ("S18 other values", Some((1, "deployed", "d1")), vec![s(1, "deployed", "d1")], ("1.0.0", "other"), out_of_sync_values),
            ("unfinished uninstall", Some((1, "uninstalling", "d1")), vec![s(1, "deployed", "d0")], ("1.0.0", "values"), State::Uninstalling),
            ("superseded alone", Some((1, "superseded", "d1")), vec![s(1, "superseded", "d1")], ("1.0.0", "values"), State::Unmanaged),
        ];
        let mut wrong = Vec::new();
        for (name, last, history, (version, values), want) in rows {
            let last = last.map(|(version, status, digest)| Last {
                version,
                status: status.into(),
                digest: digest.into(),
                chart_name: "web".into(),
                chart_version: "1.0.0".into(),
            });
            let wanted = Wanted {
                chart_name: "web",
                chart_version: version,
                config_digest: values,
                changed: None,
                tests: Tests::Off,
            };
            let got = determine(wanted, Seen { last: last.as_ref(), history: &history });
            if got != want {
                wrong.push(format!("{name}: got {got:?}, want {want:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    fn deployed() -> Last {
        Last {
            version: 1,
            status: "deployed".into(),
            digest: "d1".into(),
            chart_name: "web".into(),
            chart_version: "1.0.0".into(),
        }
    }

    #[test]
    fn other_digest_rules_are_taken_on_trust() {
        let mut entry = snapshot(1, "deployed", "other rules");
        entry.api_version = "v1".into();
        let last = deployed();
        let wanted = Wanted {
            chart_name: "web",
            chart_version: "1.0.0",
            config_digest: "values",
            changed: None,
            tests: Tests::Off,
        };
        let history = [entry];
        assert_eq!(determine(wanted, Seen { last: Some(&last), history: &history }), State::InSync);
    }

    #[test]
    fn tests_count_once_chart_and_values_are_as_wanted() {
        use Tests::{Counted, Ignored, Off};
        let rows = [
            ("S8 not tested", Counted, None, "1.0.0", State::Untested),
            ("S9 half tested", Ignored, Some("Running"), "1.0.0", State::Untested),
            ("S10 failed", Counted, Some("Failed"), "1.0.0", State::Failed),
            ("S11 failed, ignored", Ignored, Some("Failed"), "1.0.0", State::InSync),
            ("S12 failed, off", Off, Some("Failed"), "1.0.0", State::InSync),
            ("S13 passed", Counted, Some("Succeeded"), "1.0.0", State::InSync),
            ("off", Off, None, "1.0.0", State::InSync),
            (
                "another chart",
                Counted,
                Some("Failed"),
                "2.0.0",
                State::OutOfSync { reason: "release chart changed" },
            ),
        ];
        for (name, tests, phase, chart_version, want) in rows {
            let mut entry = snapshot(1, "deployed", "d1");
            entry.test_hooks =
                phase.map(|phase| [("t".to_owned(), serde_json::json!({"phase": phase}))].into());
            let last = deployed();
            let wanted = Wanted {
                chart_name: "web",
                chart_version,
                config_digest: "values",
                changed: None,
                tests,
            };
            let history = [entry];
            let got = determine(wanted, Seen { last: Some(&last), history: &history });
            assert_eq!(got, want, "{name}");
        }
    }

    #[test]
    fn what_else_changed_comes_after_chart_and_values() {
        let changed = Some("postrenderers digest has changed");
        for (config_digest, last, reason) in [
            ("values", "d1", "postrenderers digest has changed"),
            ("other", "d1", "release config values changed"),
        ] {
            let wanted = Wanted {
                chart_name: "web",
                chart_version: "1.0.0",
                config_digest,
                changed,
                tests: Tests::Counted,
            };
            let history = [snapshot(1, "deployed", last)];
            let got = determine(wanted, Seen { last: Some(&deployed()), history: &history });
            assert_eq!(got, State::OutOfSync { reason });
        }
    }
}
