//! Decide: what is to be done about a state? Pure.
//!
//! Source: fluxcd/helm-controller internal/reconcile/atomic_release.go (actionForState), with one
//! rule of ours: a step that Leadsman took by itself is remediated also where the `HelmRelease`
//! says nothing about remediation.

use crate::api::{
    HelmReleaseSpec, HelmReleaseStatus, Remediation, RemediationStrategy, Strategy, StrategyName,
};
use crate::base::duration::GoDuration;

use super::determine::State;
use super::history;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing: all is well.
    Nothing,
    /// This.
    Do(Step),
    /// The retries are used up.
    Exhausted,
    /// A rollback is due, but nothing is there to roll back to.
    NoRollbackTarget,
}

/// One action of the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Install.
    Install,
    /// Upgrade.
    Upgrade,
    /// Roll back to this revision.
    Rollback {
        /// The revision.
        to: u32,
    },
    /// Uninstall because the last action failed.
    UninstallRemediation,
    /// Run the tests.
    Test,
    /// Mark a stale pending record as failed.
    Unlock,
    /// Finish an uninstall that began.
    FinishUninstall,
}

/// Steps of one kind run at most once in a reconciliation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// Installs and upgrades.
    Release,
    /// Rollbacks and uninstalls.
    Remediate,
    /// Tests.
    Test,
    /// Unlocking.
    Unlock,
}

impl Step {
    /// Returns the kind.
    pub fn kind(self) -> StepKind {
        match self {
            Self::Install | Self::Upgrade => StepKind::Release,
            Self::Rollback { .. } | Self::UninstallRemediation | Self::FinishUninstall => {
                StepKind::Remediate
            }
            Self::Test => StepKind::Test,
            Self::Unlock => StepKind::Unlock,
        }
    }

    /// Returns the name that messages use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Upgrade => "upgrade",
            Self::Rollback { .. } => "rollback",
            Self::UninstallRemediation | Self::FinishUninstall => "uninstall",
            Self::Test => "test",
            Self::Unlock => "unlock",
        }
    }

    /// Returns the limit of the action.
    pub fn timeout(self, spec: &HelmReleaseSpec) -> GoDuration {
        spec.action_timeout(match self {
            Self::Install => spec.install.timeout,
            Self::Upgrade => spec.upgrade.timeout,
            Self::Rollback { .. } => spec.rollback.timeout,
            Self::UninstallRemediation | Self::FinishUninstall => spec.uninstall.timeout,
            Self::Test => spec.test.timeout,
            Self::Unlock => None,
        })
    }
}

/// What is asked about a state.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The spec.
    pub spec: &'a HelmReleaseSpec,
    /// The status.
    pub status: &'a HelmReleaseStatus,
    /// Whether the user asked to upgrade regardless.
    pub force: bool,
    /// Whether Leadsman itself took the step that is under way (see the module's page).
    pub automatic: bool,
}

/// The remediation that applies to the last attempted action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Further tries; negative: without end.
    pub retries: i64,
    /// Failures so far.
    pub failures: i64,
    /// Whether the last failure is remediated too.
    pub remediate_last: bool,
    /// How.
    pub strategy: RemediationStrategy,
}

impl Budget {
    /// Returns whether no try is left.
    pub fn is_exhausted(&self) -> bool {
        self.retries >= 0 && self.failures > self.retries
    }
}

/// Returns the remediation of the last attempted action; none before the first.
pub fn budget(question: &Question<'_>) -> Option<Budget> {
    let Question { spec, status, automatic, .. } = *question;
    let of = |remediation: &Option<Remediation>| remediation.clone().unwrap_or_default();
    match status.last_attempted_release_action.as_str() {
        "install" => {
            let remediation = of(&spec.install.remediation);
            Some(Budget {
                retries: remediation.retries,
                failures: status.install_failures,
                remediate_last: remediation.remediate_last_failure.unwrap_or(false),
                strategy: RemediationStrategy::Uninstall,
            })
        }
        "upgrade" => {
            let remediation = of(&spec.upgrade.remediation);
            let by_default = remediation.retries > 0 || automatic;
            Some(Budget {
                retries: remediation.retries,
                failures: status.upgrade_failures,
                remediate_last: remediation.remediate_last_failure.unwrap_or(by_default),
                strategy: remediation.strategy.unwrap_or(RemediationStrategy::Rollback),
            })
        }
        _ => None,
    }
}

/// Returns the pause between tries, if the last attempted action is retried instead of remediated.
pub fn retry_interval(spec: &HelmReleaseSpec, status: &HelmReleaseStatus) -> Option<GoDuration> {
    let strategy: Option<&Strategy> = match status.last_attempted_release_action.as_str() {
        "install" => spec.install.strategy.as_ref(),
        "upgrade" => spec.upgrade.strategy.as_ref(),
        _ => None,
    };
    let strategy = strategy.filter(|strategy| strategy.name == StrategyName::RetryOnFailure)?;
    Some(strategy.retry_interval.unwrap_or(GoDuration(std::time::Duration::from_secs(300))))
}

/// Returns what is to be done about a state.
pub fn next(state: &State, question: &Question<'_>) -> Next {
    let spec = question.spec;
    let retries = |remediation: &Option<Remediation>| remediation.as_ref().map_or(0, |r| r.retries);
    let exhausted = |retries: i64, failures: i64| retries >= 0 && failures > retries;
    match state {
        State::InSync if question.force => Next::Do(Step::Upgrade),
        State::InSync => Next::Nothing,
        State::Untested => Next::Do(Step::Test),
        State::Locked { .. } => Next::Do(Step::Unlock),
        State::Uninstalling => Next::Do(Step::FinishUninstall),
        State::Absent => {
            let failures = question.status.install_failures;
            if exhausted(retries(&spec.install.remediation), failures) && !question.force {
                Next::Exhausted
            } else {
                Next::Do(Step::Install)
            }
        }
        State::Unmanaged => Next::Do(Step::Upgrade),
        State::OutOfSync { .. } => {
            let failures = question.status.upgrade_failures;
            if exhausted(retries(&spec.upgrade.remediation), failures) && !question.force {
                Next::Exhausted
            } else {
                Next::Do(Step::Upgrade)
            }
        }
        State::Failed => after_failure(question),
    }
}

fn after_failure(question: &Question<'_>) -> Next {
    if retry_interval(question.spec, question.status).is_some() {
        return Next::Do(Step::Upgrade);
    }
    let Some(budget) = budget(question) else {
        return Next::Do(Step::Upgrade);
    };
    if budget.failures <= 0 && !question.automatic || question.force {
        return Next::Do(Step::Upgrade);
    }
    if budget.is_exhausted() && !budget.remediate_last {
        return Next::Exhausted;
    }
    match budget.strategy {
        RemediationStrategy::Uninstall => Next::Do(Step::UninstallRemediation),
        RemediationStrategy::Rollback => {
            let action = &question.status.last_attempted_release_action;
            let ignore = question.spec.ignores_failed_tests(action);
            match history::previous(&question.status.history, ignore) {
                Some(entry) => Next::Do(Step::Rollback { to: entry.version }),
                None => Next::NoRollbackTarget,
            }
        }
    }
}

#[cfg(test)]
mod tests;
