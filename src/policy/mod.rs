//! Which version of a chart a release should run, and why the newer ones are held back.
//!
//! Invariants: pure; time and everything seen are arguments; candidates come newest first and
//! already satisfy the constraint. The rules, in order: a pin beats everything; a hold keeps what
//! runs; a quarantined version is passed over; a release never goes backwards by itself.
//!
//! ```text
//! candidates 61.9.0, 61.8.0 · deployed 61.8.0 · quarantine 61.9.0
//!   → run 61.8.0, held: 61.9.0 (quarantine: Deployment web: container crashes)
//! ```

mod offer;
mod quarantine;

pub use offer::{Level, Offer, Offers, Published, Standing, offers};
pub use quarantine::{Evidence, Quarantine, Quarantined};

use crate::base::version::Version;

/// A version that the repository offers and the constraint allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Version text, exactly as in the index.
    pub text: String,
    /// The same, to compare.
    pub version: Version,
}

/// What people ruled about a release's versions.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules<'a> {
    /// Exactly this version.
    pub pin: Option<&'a str>,
    /// Why no version may move.
    pub hold: Option<&'a str>,
}

/// What is known about a release when its version is chosen.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Version of the newest good revision.
    pub deployed: Option<&'a str>,
    /// Whether the user changed the constraint since that version was chosen.
    pub constraint_changed: bool,
    /// Versions that failed here.
    pub quarantine: &'a Quarantine,
}

/// The version that a release should run, and the ones that it should not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What to do.
    pub verdict: Verdict,
    /// Newer versions that were passed over, newest first.
    pub held: Vec<Held>,
}

/// What to do about the version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Run this version: the deployed one, or another.
    Run(String),
    /// Nothing may be run.
    Nothing,
}

/// A version that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The version.
    pub version: String,
    /// The rule that held it.
    pub rule: Rule,
    /// The rule's reason, for people.
    pub reason: String,
}

/// Name of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Another version is pinned.
    Pin,
    /// Somebody holds the release.
    Hold,
    /// The version failed here.
    Quarantine,
    /// It is older than what runs.
    Downgrade,
    /// The range does not allow it.
    Constraint,
    /// The release is left alone.
    Suspend,
}

impl Rule {
    /// Returns the rule's name, one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pin => "pin",
            Self::Hold => "hold",
            Self::Quarantine => "quarantine",
            Self::Downgrade => "downgrade",
            Self::Constraint => "constraint",
            Self::Suspend => "suspend",
        }
    }
}

/// Chooses the version that a release should run.
pub fn decide(candidates: &[Candidate], rules: Rules<'_>, seen: &Seen<'_>) -> Decision {
    if let Some(pin) = rules.pin {
        let held = newer_than(candidates, Some(pin))
            .map(|c| hold(c, Rule::Pin, format!("pinned to {pin}")))
            .collect();
        return Decision { verdict: Verdict::Run(pin.to_owned()), held };
    }
    if let (Some(reason), Some(deployed)) = (rules.hold, seen.deployed) {
        let held = newer_than(candidates, Some(deployed))
            .map(|c| hold(c, Rule::Hold, reason.to_owned()))
            .collect();
        return Decision { verdict: Verdict::Run(deployed.to_owned()), held };
    }
    let mut held = Vec::new();
    for candidate in candidates {
        if let Some(failed) = seen.quarantine.find(&candidate.text) {
            held.push(hold(candidate, Rule::Quarantine, failed.reason()));
        } else if is_downgrade(candidate, seen) {
            break;
        } else {
            return Decision { verdict: Verdict::Run(candidate.text.clone()), held };
        }
    }
    let verdict = match seen.deployed {
        Some(deployed) => {
            held.extend(downgrades(candidates, deployed, &held));
            Verdict::Run(deployed.to_owned())
        }
        None => Verdict::Nothing,
    };
    Decision { verdict, held }
}

/// Returns the newest candidate where it is older than what runs: said, but not done.
fn downgrades(candidates: &[Candidate], deployed: &str, held: &[Held]) -> Option<Held> {
    let next = candidates.iter().find(|c| held.iter().all(|h| h.version != c.text))?;
    let reason = format!("older than the deployed {deployed}; pin it to go back");
    (next.text != deployed).then(|| hold(next, Rule::Downgrade, reason))
}

fn hold(candidate: &Candidate, rule: Rule, reason: String) -> Held {
    Held { version: candidate.text.clone(), rule, reason }
}

/// Returns the candidates above a version, newest first (all of them for none).
fn newer_than<'a>(
    candidates: &'a [Candidate],
    version: Option<&str>,
) -> impl Iterator<Item = &'a Candidate> {
    let floor = version.and_then(|text| text.parse::<Version>().ok());
    candidates.iter().take_while(move |c| floor.as_ref().is_none_or(|floor| c.version > *floor))
}

/// A step back counts only when nobody asked for it by changing the constraint.
fn is_downgrade(candidate: &Candidate, seen: &Seen<'_>) -> bool {
    let Some(deployed) = seen.deployed.and_then(|text| text.parse::<Version>().ok()) else {
        return false;
    };
    !seen.constraint_changed && candidate.version < deployed
}

#[cfg(test)]
mod tests;
