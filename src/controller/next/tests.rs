use super::*;
use crate::api::{HelmRelease, Snapshot};

fn release(spec: &str, status: &str) -> HelmRelease {
    serde_json::from_str(&format!(r#"{{"spec": {spec}, "status": {status}}}"#)).unwrap()
}

fn failed_after_good() -> Vec<Snapshot> {
    let entry =
        |version, status: &str| Snapshot { version, status: status.into(), ..Snapshot::default() };
    vec![entry(2, "failed"), entry(1, "superseded")]
}

#[test]
fn each_state_has_its_step() {
    const UPGRADED: &str = r#"{"lastAttemptedReleaseAction": "upgrade", "upgradeFailures": 1}"#;
    const INSTALLED_2: &str = r#"{"lastAttemptedReleaseAction": "install", "installFailures": 2}"#;
    let retry = |of: &str| format!(r#"{{"{of}": {{"strategy": {{"name": "RetryOnFailure"}}}}}}"#);
    let retries =
        |of: &str, n: i64| format!(r#"{{"{of}": {{"remediation": {{"retries": {n}}}}}}}"#);
    let locked = State::Locked { status: "pending-upgrade".into() };
    let out = State::OutOfSync { reason: "release chart changed" };
    let none = "{}".to_owned();
    let explicit = r#"{"upgrade": {"remediation": {"remediateLastFailure": false}}}"#.to_owned();
    let uninstall = r#"{"upgrade": {"remediation": {"strategy": "uninstall"}}}"#.to_owned();
    let up = Next::Do(Step::Upgrade);
    let back = Next::Do(Step::Rollback { to: 1 });
    let away = Next::Do(Step::UninstallRemediation);
    #[rustfmt::skip]
    let rows: Vec<(&str, State, String, &str, &str, Next)> = vec![
        ("D1", State::InSync, none.clone(), "{}", "", Next::Nothing),
        ("D2", State::InSync, none.clone(), "{}", "force", up),
        ("D6", locked, none.clone(), "{}", "", Next::Do(Step::Unlock)),
        ("D7", State::Absent, none.clone(), "{}", "", Next::Do(Step::Install)),
        ("D8", State::Absent, none.clone(), r#"{"installFailures": 1}"#, "force", Next::Do(Step::Install)),
        ("D9", State::Absent, none.clone(), r#"{"installFailures": 1}"#, "", Next::Exhausted),
        ("D10", State::Unmanaged, none.clone(), "{}", "", up),
        ("D13", out.clone(), none.clone(), "{}", "", up),
        ("D14", out.clone(), none.clone(), r#"{"upgradeFailures": 1}"#, "force", up),
        ("D15", out, none.clone(), r#"{"upgradeFailures": 1}"#, "", Next::Exhausted),
        ("D16", State::Untested, none.clone(), "{}", "force", Next::Do(Step::Test)),
        ("D18", State::Failed, none.clone(), r#"{"installFailures": 1}"#, "", up),
        ("D19", State::Failed, none.clone(), r#"{"lastAttemptedReleaseAction": "upgrade"}"#, "", up),
        ("D20", State::Failed, none.clone(), UPGRADED, "force", up),
        ("D21", State::Failed, none.clone(), UPGRADED, "", Next::Exhausted),
        ("D22", State::Failed, retries("install", 3), INSTALLED_2, "", away),
        ("D23", State::Failed, retry("install"), INSTALLED_2, "", up),
        ("D24", State::Failed, retries("upgrade", 2), UPGRADED, "good", back),
        ("D25", State::Failed, retry("upgrade"), UPGRADED, "good", up),
        ("D26", State::Failed, retries("upgrade", 2), UPGRADED, "", Next::NoRollbackTarget),
        ("own step, nothing said", State::Failed, none.clone(), UPGRADED, "good automatic", back),
        ("own step, user says no", State::Failed, explicit, UPGRADED, "good automatic", Next::Exhausted),
        ("own step, user says uninstall", State::Failed, uninstall, UPGRADED, "good automatic", away),
        ("own step, killed before it was counted", State::Failed, none,
            r#"{"lastAttemptedReleaseAction": "upgrade"}"#, "good automatic", back),
        ("unfinished uninstall", State::Uninstalling, "{}".into(), "{}", "", Next::Do(Step::FinishUninstall)),
    ];
    let mut wrong = Vec::new();
    for (name, state, spec, status, flags, want) in rows {
        let mut release = release(&spec, status);
        if flags.contains("good") {
            release.status.history = failed_after_good();
        }
        let question = Question {
            spec: &release.spec,
            status: &release.status,
            force: flags.contains("force"),
            automatic: flags.contains("automatic"),
        };
        let got = next(&state, &question);
        if got != want {
            wrong.push(format!("{name}: got {got:?}, want {want:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
