//! What is said of a source at the end of a reconciliation: its conditions, and an event.
//!
//! Source: fluxcd/source-controller internal/reconcile/summarize.

use super::access::Problem;
use super::notice::Severity;
use super::source::{Parts, Said};
use super::verification::UNVERIFIED;
use crate::api::Artifact;
use crate::api::condition::{
    ARTIFACT_IN_STORAGE, ARTIFACT_OUTDATED, BUILD_FAILED, Conditions, FETCH_FAILED,
    INCLUDE_UNAVAILABLE, READY, RECONCILING, SOURCE_VERIFIED, STALLED, STORAGE_FAILED, Truth, find,
    is_false, is_true,
};
use crate::base::class::Class;
use crate::base::clock::Timestamp;

/// Reason where the source of a source has nothing yet.
pub(super) const NO_ARTIFACT: &str = "NoSourceArtifact";
/// Reason of the event of another artifact than before.
pub(super) const NEW: &str = "NewArtifact";
/// Conditions that tell of a failure.
const FAILURES: [&str; 4] = [FETCH_FAILED, BUILD_FAILED, STORAGE_FAILED, INCLUDE_UNAVAILABLE];
/// Reason where nobody who may signed a chart.
pub(super) const UNVERIFIED_CHART: &str = "ChartVerificationError";

/// Why there is no new artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// The condition that becomes true.
    pub(super) kind: &'static str,
    /// Its reason.
    pub(super) reason: &'static str,
    /// Its message.
    pub(super) message: String,
    /// What to do about it.
    pub(super) class: Class,
}

impl Failure {
    /// Something could not be fetched.
    pub(super) fn fetch((reason, message, class): Problem) -> Self {
        Self { kind: FETCH_FAILED, reason, message, class }
    }

    /// Whether it is that nobody who may signed something.
    fn is_unverified(&self) -> bool {
        self.kind == SOURCE_VERIFIED || self.reason == UNVERIFIED_CHART
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Success {
    /// Reason of its conditions.
    pub(super) reason: &'static str,
    /// Their message.
    pub(super) message: String,
    /// Reason of the event of another artifact than before; when what was wrong is right again, the
    /// event has the reason of the conditions.
    pub(super) news: &'static str,
    /// What both say.
    pub(super) told: String,
}

/// What a success is news of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    Nothing,
    /// Another artifact than before.
    Artifact,
    /// What was wrong is right again.
    Recovery,
}

/// What is told beside the status.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    Nothing,
    /// Something is about to pass; reason and text.
    Progress(&'static str, String),
    /// An event; reason and text.
    Event(Severity, &'static str, String),
}

/// Returns what a status is news of, if nothing failed: another artifact than that of the one before,
/// or that one said that something failed.
///
/// Source: fluxcd/source-controller internal/reconcile/reconcile.go (`FailureRecovery`).
pub(super) fn news<S: Said>(mut old: S, new: &mut S) -> News {
    let old = old.parts();
    let digest = |artifact: &Option<Artifact>| artifact.as_ref().map(|it| it.digest.clone());
    if digest(old.artifact) != digest(new.parts().artifact) {
        return News::Artifact;
    }
    let failed = FAILURES.iter().any(|kind| is_true(old.conditions, kind))
        || is_false(old.conditions, SOURCE_VERIFIED);
    if failed { News::Recovery } else { News::Nothing }
}

/// Returns reason and text of the event of a success, if it is one.
pub(super) fn event(news: News, success: Success) -> Option<(&'static str, String)> {
    let reason = match news {
        News::Nothing => return None,
        News::Artifact => success.news,
        News::Recovery => success.reason,
    };
    Some((reason, success.told))
}

/// Takes away what is found out anew each time: what could not be read before can be now, and whoever
/// was at work on the object before, is not any more.
pub(super) fn begin_anew(conditions: &mut Conditions<'_>) {
    for kind in [STALLED, RECONCILING, ARTIFACT_OUTDATED] {
        conditions.delete(kind);
    }
}

/// Puts into a status how a reconciliation went, and returns what else is told; `news` is what a
/// success is news of.
pub(super) fn settle(
    parts: Parts<'_>,
    (generation, now): (i64, Timestamp),
    news: News,
    result: Result<Success, Failure>,
) -> Told {
    let mut conditions = Conditions::new(parts.conditions, generation, now);
    begin_anew(&mut conditions);
    // Nor is what was not verified before: that is found out anew.
    let is_unverified = result.as_ref().is_err_and(Failure::is_unverified);
    if !is_unverified && is_false(conditions.list(), SOURCE_VERIFIED) {
        conditions.delete(SOURCE_VERIFIED);
    }
    let Failure { kind, reason, message, class } = match result {
        Ok(success) => {
            FAILURES.iter().for_each(|kind| conditions.delete(kind));
            let Success { reason, message, .. } = &success;
            conditions.set(READY, Truth::True, reason, message);
            conditions.set(ARTIFACT_IN_STORAGE, Truth::True, reason, message);
            *parts.observed_generation = generation;
            let told = |(reason, text)| Told::Event(Severity::Normal, reason, text);
            return event(news, success).map_or(Told::Nothing, told);
        }
        Err(failure) => failure,
    };
    for other in FAILURES.into_iter().filter(|other| *other != kind) {
        conditions.delete(other);
    }
    let is_known = find(conditions.list(), kind).is_some_and(|old| old.message == message);
    // A chart that is not signed fails to be built; of all else the reason says what is not.
    let said = if is_unverified && kind != SOURCE_VERIFIED { UNVERIFIED } else { reason };
    conditions.set(READY, Truth::False, said, &message);
    if is_unverified {
        conditions.set(SOURCE_VERIFIED, Truth::False, said, &message);
    }
    if kind != SOURCE_VERIFIED {
        conditions.set(kind, Truth::True, reason, &message);
    }
    if class == Class::Stalled {
        conditions.set(STALLED, Truth::True, reason, &message);
        *parts.observed_generation = generation;
    }
    match reason == NO_ARTIFACT || kind == INCLUDE_UNAVAILABLE {
        // It is being fetched: no event for what is about to pass.
        true if is_known => Told::Nothing,
        true => Told::Progress(reason, message),
        false => Told::Event(Severity::Warning, reason, message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::HelmChartStatus;
    use crate::api::condition::ConditionList;

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    /// Settles a status with these conditions; returns them, in order, with the observed generation.
    fn settled(before: &[(&str, Truth)], result: Result<Success, Failure>) -> (Vec<String>, i64) {
        let (mut list, mut observed) = (ConditionList::new(), 1);
        for (kind, truth) in before {
            Conditions::new(&mut list, 1, now()).set(kind, *truth, "Before", "before");
        }
        let parts = Parts {
            observed_generation: &mut observed,
            conditions: &mut list,
            artifact: &mut None,
            last_handled: &mut String::new(),
        };
        settle(parts, (2, now()), News::Artifact, result);
        (
            list.iter().map(|c| format!("{}={} {}", c.kind, c.status.as_str(), c.reason)).collect(),
            observed,
        )
    }

    fn failed(kind: &'static str, reason: &'static str, class: Class) -> Result<Success, Failure> {
        Err(Failure { kind, reason, message: "why".to_owned(), class })
    }

    fn good() -> Success {
        let told = "stored artifact".to_owned();
        Success { reason: "Succeeded", message: "stored".to_owned(), news: NEW, told }
    }

    type Outcome = (Result<Success, Failure>, &'static [&'static str], i64);

    /// What came of a reconciliation, the conditions that tell it, the observed generation.
    fn outcomes() -> Vec<Outcome> {
        vec![
            (Ok(good()), &["Ready=True Succeeded", "ArtifactInStorage=True Succeeded"], 2),
            (
                failed(FETCH_FAILED, "Failed", Class::Retry),
                &["Ready=False Failed", "FetchFailed=True Failed"],
                1,
            ),
            (
                failed(FETCH_FAILED, "URLInvalid", Class::Stalled),
                &[
                    "Stalled=True URLInvalid",
                    "Ready=False URLInvalid",
                    "FetchFailed=True URLInvalid",
                ],
                2,
            ),
            (
                failed(BUILD_FAILED, "ChartPullError", Class::Retry),
                &["Ready=False ChartPullError", "BuildFailed=True ChartPullError"],
                1,
            ),
            (
                failed(STORAGE_FAILED, "ArchiveOperationFailed", Class::Retry),
                &[
                    "Ready=False ArchiveOperationFailed",
                    "StorageOperationFailed=True ArchiveOperationFailed",
                ],
                1,
            ),
            (
                failed(INCLUDE_UNAVAILABLE, "NotFound", Class::Retry),
                &["Ready=False NotFound", "IncludeUnavailable=True NotFound"],
                1,
            ),
            (
                failed(BUILD_FAILED, UNVERIFIED_CHART, Class::Retry),
                &[
                    "Ready=False VerificationError",
                    "BuildFailed=True ChartVerificationError",
                    "SourceVerified=False VerificationError",
                ],
                1,
            ),
            (
                failed(SOURCE_VERIFIED, UNVERIFIED, Class::Retry),
                &["Ready=False VerificationError", "SourceVerified=False VerificationError"],
                1,
            ),
        ]
    }

    #[test]
    fn each_pair_of_conditions_gives_way_to_what_is_so_now() {
        let mut before: Vec<(&str, Truth)> = FAILURES.map(|kind| (kind, Truth::True)).to_vec();
        for kind in [STALLED, RECONCILING, ARTIFACT_OUTDATED, ARTIFACT_IN_STORAGE, SOURCE_VERIFIED]
        {
            before.push((kind, Truth::True));
        }
        before.extend([
            (SOURCE_VERIFIED, Truth::False),
            (READY, Truth::False),
            (READY, Truth::True),
        ]);
        for one in &before {
            for other in &before {
                for (result, want, observed) in outcomes() {
                    let (got, generation) = settled(&[*one, *other], result.clone());
                    // What is stored stays so, and so does who signed it.
                    let stays = |kind| {
                        let of = if other.0 == kind { other } else { one };
                        *of == (kind, Truth::True) && !want.iter().any(|it| it.starts_with(kind))
                    };
                    let mut all: Vec<String> = want.iter().map(|it| (*it).to_owned()).collect();
                    for kind in [ARTIFACT_IN_STORAGE, SOURCE_VERIFIED] {
                        all.extend(stays(kind).then(|| format!("{kind}=True Before")));
                    }
                    let sorted = |mut list: Vec<String>| {
                        list.sort();
                        list
                    };
                    let case = format!("{one:?} {other:?} {result:?}");
                    assert_eq!((sorted(got), generation), (sorted(all), observed), "{case}");
                }
            }
        }
    }

    #[test]
    fn what_is_about_to_pass_is_told_once() {
        let told = |before: &str, result| {
            let mut list = ConditionList::new();
            let mut conditions = Conditions::new(&mut list, 1, now());
            conditions.set(INCLUDE_UNAVAILABLE, Truth::True, "NotFound", before);
            let parts = Parts {
                observed_generation: &mut 1,
                conditions: &mut list,
                artifact: &mut None,
                last_handled: &mut String::new(),
            };
            settle(parts, (2, now()), News::Nothing, result)
        };
        let absent = || failed(INCLUDE_UNAVAILABLE, "NotFound", Class::Retry);
        assert_eq!(told("why", absent()), Told::Nothing);
        let why = || "why".to_owned();
        assert_eq!(told("else", absent()), Told::Progress("NotFound", why()));
        let event = Told::Event(Severity::Warning, "Failed", why());
        assert_eq!(told("why", failed(FETCH_FAILED, "Failed", Class::Retry)), event);
        assert_eq!(told("why", Ok(good())), Told::Nothing, "no other artifact than before");
    }

    /// A status with an artifact of this digest and a condition, if there is one.
    fn status(digest: &str, condition: Option<(&str, Truth)>) -> HelmChartStatus {
        let artifact = Artifact { digest: digest.to_owned(), ..Artifact::default() };
        let mut status = HelmChartStatus { artifact: Some(artifact), ..HelmChartStatus::default() };
        if let Some((kind, truth)) = condition {
            Conditions::new(&mut status.conditions, 1, now()).set(kind, truth, "Before", "before");
        }
        status
    }

    #[test]
    fn another_artifact_and_a_recovery_are_news() {
        let mut rows = vec![
            (status("b", None), News::Artifact),
            (HelmChartStatus::default(), News::Artifact),
            (status("b", Some((FETCH_FAILED, Truth::True))), News::Artifact),
            (status("a", None), News::Nothing),
            (status("a", Some((READY, Truth::False))), News::Nothing),
            (status("a", Some((FETCH_FAILED, Truth::False))), News::Nothing),
            (status("a", Some((SOURCE_VERIFIED, Truth::True))), News::Nothing),
            (status("a", Some((SOURCE_VERIFIED, Truth::False))), News::Recovery),
        ];
        let failures =
            FAILURES.map(|kind| (status("a", Some((kind, Truth::True))), News::Recovery));
        rows.extend(failures);
        for (old, want) in rows {
            let got = news(old.clone(), &mut status("a", None));
            assert_eq!(got, want, "{old:?}");
            let told = event(got, good());
            let reason = match want {
                News::Nothing => None,
                News::Artifact => Some(NEW),
                News::Recovery => Some("Succeeded"),
            };
            assert_eq!(told.map(|(reason, _)| reason), reason, "{old:?}");
        }
    }
}
