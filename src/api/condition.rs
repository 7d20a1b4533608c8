//! Conditions: how an object says what is the matter with it.

use serde::{Deserialize, Serialize};

use crate::base::clock::{Timestamp, rfc3339_seconds};
use crate::base::shorten::shorten;

/// One condition of a status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Type, such as `Ready`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: Truth,
    /// Generation that it speaks of.
    #[serde(default)]
    pub observed_generation: i64,
    /// When status, reason or message changed last.
    pub last_transition_time: String,
    /// One word.
    pub reason: String,
    /// For people.
    #[serde(default)]
    pub message: String,
}

/// Status of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Not known (yet).
    Unknown,
}

impl Truth {
    /// Returns the word as Kubernetes writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// Whether the object works.
pub const READY: &str = "Ready";
/// Work is under way.
pub const RECONCILING: &str = "Reconciling";
/// Nothing more is tried until a person changes something.
pub const STALLED: &str = "Stalled";
/// The last release succeeded or failed.
pub const RELEASED: &str = "Released";
/// Tests of the release passed.
pub const TEST_SUCCESS: &str = "TestSuccess";
/// A failure was remediated.
pub const REMEDIATED: &str = "Remediated";
/// Live objects differ from the release.
pub const DRIFTED: &str = "Drifted";
/// A newer version is held back (ours; absent when nothing is held back).
pub const HELD: &str = "VersionHeld";
/// A repository's index is stored.
pub const ARTIFACT_IN_STORAGE: &str = "ArtifactInStorage";
/// What is stored is not the newest; another controller says so while it is at work.
pub const ARTIFACT_OUTDATED: &str = "ArtifactOutdated";
/// What was fetched could not be stored; it is used all the same.
pub const STORAGE_FAILED: &str = "StorageOperationFailed";
/// A chart could not be made of what was fetched.
pub const BUILD_FAILED: &str = "BuildFailed";
/// Somebody who may signed what is in use (`True`), or nobody did (`False`).
pub const SOURCE_VERIFIED: &str = "SourceVerified";
/// A repository could not be fetched.
pub const FETCH_FAILED: &str = "FetchFailed";
/// Another source whose files are wanted has none yet.
pub const INCLUDE_UNAVAILABLE: &str = "IncludeUnavailable";

/// Longest message; longer ones are cut in the middle.
const MESSAGE_BYTES: usize = 32768;

/// The conditions of one object, with what is needed to change them.
///
/// Setting a condition stamps the generation; its time moves when status, reason or message change.
/// The order is Flux's: Stalled, Reconciling, Ready, then by generation (newest first) and type.
#[derive(Debug)]
pub struct Conditions<'a> {
    list: &'a mut ConditionList,
    generation: i64,
    now: Timestamp,
}

/// Conditions as a status holds them.
pub type ConditionList = Vec<Condition>;

/// Returns a condition by type.
pub fn find<'a>(list: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    list.iter().find(|condition| condition.kind == kind)
}

/// Returns whether a condition is there and `True`.
pub fn is_true(list: &[Condition], kind: &str) -> bool {
    find(list, kind).is_some_and(|condition| condition.status == Truth::True)
}

/// Returns whether a condition is there and `False`.
pub fn is_false(list: &[Condition], kind: &str) -> bool {
    find(list, kind).is_some_and(|condition| condition.status == Truth::False)
}

impl<'a> Conditions<'a> {
    /// Returns an editor for the conditions of an object of this generation.
    pub fn new(list: &'a mut ConditionList, generation: i64, now: Timestamp) -> Self {
        Self { list, generation, now }
    }

    /// Sets a condition.
    pub fn set(&mut self, kind: &str, status: Truth, reason: &str, message: impl Into<String>) {
        let message = shorten(&message.into(), MESSAGE_BYTES);
        let same = find(self.list, kind)
            .filter(|old| old.status == status && old.reason == reason && old.message == message);
        let last_transition_time = match same {
            Some(old) => old.last_transition_time.clone(),
            None => rfc3339_seconds(self.now),
        };
        self.put(Condition {
            kind: kind.to_owned(),
            status,
            observed_generation: self.generation,
            last_transition_time,
            reason: reason.to_owned(),
            message,
        });
    }

    /// Replaces condition `old` by a `True` condition that keeps the time of `old`.
    pub fn replace(&mut self, old: &str, kind: &str, reason: &str, message: &str) {
        let Some(time) = find(self.list, old).map(|found| found.last_transition_time.clone())
        else {
            return;
        };
        self.delete(old);
        self.put(Condition {
            kind: kind.to_owned(),
            status: Truth::True,
            observed_generation: self.generation,
            last_transition_time: time,
            reason: reason.to_owned(),
            message: shorten(message, MESSAGE_BYTES),
        });
    }

    /// Removes a condition.
    pub fn delete(&mut self, kind: &str) {
        self.list.retain(|condition| condition.kind != kind);
    }

    /// Returns the conditions as they are now.
    pub fn list(&self) -> &[Condition] {
        self.list
    }

    fn put(&mut self, condition: Condition) {
        self.list.retain(|old| old.kind != condition.kind);
        self.list.push(condition);
        self.list.sort_by(|a, b| {
            rank(&a.kind)
                .cmp(&rank(&b.kind))
                .then(b.observed_generation.cmp(&a.observed_generation))
                .then(a.kind.cmp(&b.kind))
        });
    }
}

fn rank(kind: &str) -> u8 {
    match kind {
        STALLED => 0,
        RECONCILING => 1,
        READY => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn time_moves_with_status_reason_or_message_only() {
        let mut list = Vec::new();
        Conditions::new(&mut list, 1, at("2026-01-01T00:00:00Z")).set(READY, Truth::True, "A", "m");
        Conditions::new(&mut list, 2, at("2026-01-02T00:00:00Z")).set(READY, Truth::True, "A", "m");
        assert_eq!(list[0].last_transition_time, "2026-01-01T00:00:00Z");
        assert_eq!(list[0].observed_generation, 2);
        Conditions::new(&mut list, 2, at("2026-01-03T00:00:00Z")).set(READY, Truth::True, "A", "n");
        assert_eq!(list[0].last_transition_time, "2026-01-03T00:00:00Z");
    }

    #[test]
    fn order_is_stalled_reconciling_ready_then_newest() {
        let mut list = Vec::new();
        let now = at("2026-01-01T00:00:00Z");
        let mut conditions = Conditions::new(&mut list, 1, now);
        for kind in [RELEASED, READY, DRIFTED, STALLED, RECONCILING] {
            conditions.set(kind, Truth::True, "R", "");
        }
        Conditions::new(&mut list, 2, now).set(REMEDIATED, Truth::True, "R", "");
        let kinds: Vec<_> = list.iter().map(|condition| condition.kind.as_str()).collect();
        assert_eq!(kinds, [STALLED, RECONCILING, READY, REMEDIATED, DRIFTED, RELEASED]);
    }

    #[test]
    fn long_messages_are_cut() {
        let mut list = Vec::new();
        let now = at("2026-01-01T00:00:00Z");
        Conditions::new(&mut list, 1, now).set(READY, Truth::True, "R", "é".repeat(40_000));
        assert!(list[0].message.len() <= 32768 && list[0].message.contains("..."));
    }
}
