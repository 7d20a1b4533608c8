//! Which newer versions a source has, and why each of them is not taken. Pure.

use super::{Quarantine, Rule, Rules};
use crate::base::version::Version;

/// How far a step between two versions goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Only the third number moves.
    Patch,
    /// The second one does.
    Minor,
    /// The first one does; of `0.x`, the second.
    Major,
}

impl Level {
    /// Returns the level of a step from one version to a newer one.
    pub fn of(from: &Version, to: &Version) -> Self {
        if from.major() != to.major() {
            Self::Major
        } else if from.minor() == to.minor() {
            Self::Patch
        } else if from.major() == 0 {
            // Below 1.0.0 a minor step may break what a major one may.
            Self::Major
        } else {
            Self::Minor
        }
    }

    /// Returns its name, one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Patch => "patch",
            Self::Minor => "minor",
            Self::Major => "major",
        }
    }
}

/// A version that a source has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Version text, exactly as the source has it.
    pub text: String,
    /// The same, to compare.
    pub version: Version,
    /// Whether the range allows it.
    pub allowed: bool,
    /// Whether its publisher deprecated it.
    pub deprecated: bool,
}

/// What decides about the versions of a release.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// The version that runs.
    pub running: &'a Version,
    /// The range; none: nobody takes any version by itself.
    pub range: Option<&'a str>,
    /// What people ruled.
    pub rules: Rules<'a>,
    /// Whether the release is left alone.
    pub suspended: bool,
    /// Versions that failed here.
    pub quarantine: &'a Quarantine,
    /// Whether versions that ran carry a digest (`1.2.0+0cc9a8446c95`) that the source's lack.
    pub numbered: bool,
}

impl Standing<'_> {
    /// Whether a version that ran, or is to run, is one of the source's.
    fn is_it(&self, known: &str, text: &str) -> bool {
        let plain = known.split_once('+').map_or(known, |(plain, _)| plain);
        known == text || self.numbered && plain == text.split('+').next().unwrap_or_default()
    }
}

/// The newest versions above the one that runs, by the size of the step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offers {
    /// The newest patch.
    pub patch: Option<Offer>,
    /// The newest minor version.
    pub minor: Option<Offer>,
    /// The newest major version.
    pub major: Option<Offer>,
    /// Whether the version that runs is deprecated.
    pub deprecated: bool,
}

/// A newer version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The version.
    pub version: String,
    /// Whether the range allows it.
    pub allowed: bool,
    /// Whether it is deprecated.
    pub deprecated: bool,
    /// The rule that holds it, and its reason; none: it is free to be taken.
    pub held: Option<(Rule, String)>,
}

impl Offers {
    /// Returns the offers with their levels, the smallest step first.
    pub fn each(&self) -> impl Iterator<Item = (Level, &Offer)> {
        let all =
            [(Level::Patch, &self.patch), (Level::Minor, &self.minor), (Level::Major, &self.major)];
        all.into_iter().filter_map(|(level, offer)| Some((level, offer.as_ref()?)))
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.each().next().is_none() && !self.deprecated
    }
}

/// Finds the newest patch, minor and major version above the one that runs.
///
/// A prerelease counts where one runs, or where the range allows it.
pub fn offers(published: &[Published], standing: &Standing<'_>) -> Offers {
    let running = standing.running;
    let newest = |level: Level| {
        let counts = |one: &&Published| {
            one.version > *running
                && Level::of(running, &one.version) == level
                && (one.version.pre().is_empty() || !running.pre().is_empty() || one.allowed)
        };
        // Of equal versions the first: a source tells the newest first.
        let best = published
            .iter()
            .filter(counts)
            .reduce(|best, one| if one.version > best.version { one } else { best })?;
        Some(Offer {
            version: best.text.clone(),
            allowed: best.allowed,
            deprecated: best.deprecated,
            held: held(best, standing),
        })
    };
    let exactly = published.iter().find(|one| one.text == running.original());
    let same = exactly.or_else(|| published.iter().find(|one| one.version == *running));
    Offers {
        patch: newest(Level::Patch),
        minor: newest(Level::Minor),
        major: newest(Level::Major),
        deprecated: same.is_some_and(|one| one.deprecated),
    }
}

/// The rules in the order of [`super::decide`].
fn held(offer: &Published, standing: &Standing<'_>) -> Option<(Rule, String)> {
    let range = standing.range?;
    let rules = standing.rules;
    if standing.suspended {
        return Some((Rule::Suspend, "the HelmRelease is suspended".to_owned()));
    }
    match (rules.pin, rules.hold) {
        (Some(pin), _) if standing.is_it(pin, &offer.text) => return None,
        (Some(pin), _) => return Some((Rule::Pin, format!("pinned to {pin}"))),
        (None, Some(reason)) => return Some((Rule::Hold, reason.to_owned())),
        (None, None) => {}
    }
    if !offer.allowed {
        return Some((Rule::Constraint, format!("{range} does not allow it")));
    }
    let mut failed = standing.quarantine.versions.iter();
    let failed = failed.find(|failed| standing.is_it(&failed.version, &offer.text));
    failed.map(|failed| (Rule::Quarantine, failed.reason()))
}

#[cfg(test)]
mod tests;
