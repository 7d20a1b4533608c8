//! Versions that failed on a release, with the evidence.

use serde::{Deserialize, Serialize};

/// The versions that failed on one release and are not tried again.
///
/// Entries speak of one constraint and one set of values: when the user changes either, they are
/// dropped, because the reason for the failure may be gone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Quarantine {
    /// Constraint under which the versions failed.
    pub constraint: String,
    /// Digest of the values with which they failed.
    pub config_digest: String,
    /// The versions, newest failure last.
    pub versions: Vec<Quarantined>,
}

/// One version that failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Quarantined {
    /// Version, as in the index.
    pub version: String,
    /// What failed, in one sentence.
    pub message: String,
    /// When, RFC 3339.
    pub since: String,
    /// Objects that were not ready.
    pub evidence: Vec<Evidence>,
    /// The revision that failed.
    pub revision: u32,
    /// Whether a person rolled it back by hand.
    pub by_hand: bool,
}

/// Why one object was not ready.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Evidence {
    /// `Kind/namespace/name`.
    pub object: String,
    /// Its status: `InProgress`, `Failed`, …
    pub status: String,
    /// Condition or rule, and what it said.
    pub condition: String,
    /// The deepest cause that was found (pod, container, reason).
    pub cause: String,
}

impl Quarantined {
    /// Returns the reason in one sentence.
    pub fn reason(&self) -> String {
        match self.evidence.first() {
            Some(first) if first.cause.is_empty() => {
                format!("{} {}: {}", first.object, first.status, first.condition)
            }
            Some(first) => format!("{} {}: {}", first.object, first.status, first.cause),
            None => self.message.clone(),
        }
    }
}

impl Quarantine {
    /// Returns the entry of a version.
    pub fn find(&self, version: &str) -> Option<&Quarantined> {
        self.versions.iter().find(|entry| entry.version == version)
    }

    /// Returns the entries that still hold: none when constraint or values changed.
    #[must_use]
    pub fn still_valid(self, constraint: &str, config_digest: &str) -> Self {
        if self.constraint == constraint && self.config_digest == config_digest {
            return self;
        }
        Self {
            constraint: constraint.to_owned(),
            config_digest: config_digest.to_owned(),
            versions: Vec::new(),
        }
    }

    /// Adds a version, in place of an older entry of the same version.
    pub fn add(&mut self, entry: Quarantined) {
        self.versions.retain(|old| old.version != entry.version);
        self.versions.push(entry);
    }
}
