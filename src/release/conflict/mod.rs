//! Fields that somebody else manages: who, which, and what is done about each.
//!
//! Rules are written `[[KIND[/NAME]:]PATH=]POLICY[,…]`, such as
//! `fail,spec.replicas=leave,Deployment/web:spec.template.spec.containers[name=app].image=force`. One
//! without a path is what is done where no other rule speaks. Of several that speak of a field the
//! most specific one counts: the one whose path has more steps, then more steps that are no `*`, then
//! the one that names the object, then the one that names the kind, then the stricter one (`fail`
//! before `leave` before `force`).
//!
//! Invariants: does no I/O; a field that cannot be found in what is applied is never taken or left
//! by guess, it fails.
//!
//! Mirrors: k8s.io/apimachinery pkg/util/managedfields (conflicts), sigs.k8s.io/structured-merge-diff
//! v6 fieldpath (the text of paths).

mod advice;
mod pattern;
mod place;
mod rules;

use serde::{Deserialize, Deserializer, Serialize};

use super::mask;
use crate::api::annotation::{HELM_MANAGER, RELEASE_MANAGER};
use crate::cluster::{self, Object, StatusCause};
use crate::yaml::Value;

pub use advice::{details, line};
pub use rules::{RuleError, Rules};

/// What is done about a field that somebody else manages; the later is the stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Policy {
    /// It is taken over.
    Force,
    /// It stays the other's, with the other's value.
    Leave,
    /// The action fails.
    Fail,
}

impl Policy {
    /// Returns the word for it in rules.
    pub fn word(self) -> &'static str {
        match self {
            Self::Force => "force",
            Self::Leave => "leave",
            Self::Fail => "fail",
        }
    }
}

/// A field that somebody else manages, with another value than it would get.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conflict {
    /// Where: `spec.template.spec.containers[name="app"].image`.
    pub field: String,
    /// Its field manager.
    pub manager: String,
    /// What is done about it.
    pub policy: Policy,
    /// Its value now; none: it could not be found.
    #[serde(default, deserialize_with = "there", skip_serializing_if = "Option::is_none")]
    pub live: Option<Value>,
    /// The value that it would get; none: it could not be found.
    #[serde(default, deserialize_with = "there", skip_serializing_if = "Option::is_none")]
    pub ours: Option<Value>,
}

/// A value that is there is there, also if it is null.
fn there<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(input).map(Some)
}

impl Conflict {
    /// Returns it as it may be shown: without what a Secret holds.
    #[must_use]
    pub fn masked(mut self, api_version: &str, kind: &str) -> Self {
        for value in [&mut self.live, &mut self.ours] {
            *value = value.take().map(|value| mask::hide((api_version, kind), &self.field, value));
        }
        self
    }
}

/// Returns the causes of a refusal that are about fields of others; none: it is about something else.
pub(super) fn causes(error: &cluster::Error) -> Vec<&StatusCause> {
    match error {
        cluster::Error::Api { code: 409, causes, .. } => {
            causes.iter().filter(|cause| cause.reason == "FieldManagerConflict").collect()
        }
        _ => Vec::new(),
    }
}

/// What is applied, by whom, and where it meets others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meeting<'a> {
    pub(super) rules: &'a Rules,
    /// The field manager that applies.
    pub(super) applier: &'a str,
    /// What is applied.
    pub(super) object: &'a Object,
    /// What is there, as far as it is known.
    pub(super) live: Option<&'a Object>,
}

impl Meeting<'_> {
    /// Returns what is in the way, and what is done about each.
    pub(super) fn conflicts(self, causes: &[&StatusCause]) -> Vec<Conflict> {
        let mut found: Vec<Conflict> = causes.iter().map(|cause| self.conflict(cause)).collect();
        // What the release owns itself is in nobody's way where somebody else owns it, too.
        let others: Vec<String> = found
            .iter()
            .filter(|one| !self.is_own(&one.manager))
            .map(|one| one.field.clone())
            .collect();
        found.retain(|one| !self.is_own(&one.manager) || !others.contains(&one.field));
        found
    }

    fn conflict(self, cause: &StatusCause) -> Conflict {
        let manager = manager(&cause.message).to_owned();
        let value = |object: &Object| {
            let place = place::find(&object.0, &cause.field)?;
            place::value(&object.0, &place).cloned()
        };
        Conflict {
            field: cause.field.trim_start_matches('.').to_owned(),
            policy: self.policy(&cause.field, &manager),
            manager,
            live: self.live.and_then(value),
            ours: value(self.object),
        }
    }

    fn policy(self, field: &str, manager: &str) -> Policy {
        let id = self.object.id();
        let ruled = match place::find(&self.object.0, field) {
            Some(place) if is_mark(&place) => match self.rules.policy(&id, &place) {
                // Without its marks an object would be nobody's.
                Policy::Leave => Policy::Force,
                ruled => ruled,
            },
            Some(place) => self.rules.policy(&id, &place),
            None => match self.rules.strictest(&id) {
                Policy::Force => Policy::Force,
                Policy::Leave | Policy::Fail => Policy::Fail,
            },
        };
        match ruled {
            Policy::Force => Policy::Force,
            // Who acted on the release before is no other.
            Policy::Leave if self.is_own(manager) || manager == RELEASE_MANAGER => Policy::Force,
            Policy::Fail if self.is_own(manager) && self.applier != HELM_MANAGER => Policy::Force,
            Policy::Leave | Policy::Fail => ruled,
        }
    }

    /// Whether a manager acts for the release: what Helm applied is taken over with it.
    fn is_own(self, manager: &str) -> bool {
        manager == HELM_MANAGER || manager == self.applier
    }
}

/// Whether a place is one of those by which an object is a release's.
fn is_mark(place: &[place::Step]) -> bool {
    let names: Option<Vec<&str>> = place
        .iter()
        .map(|step| match step {
            place::Step::Field(name) => Some(name.as_str()),
            place::Step::Item { .. } => None,
        })
        .collect();
    matches!(
        names.as_deref(),
        Some(
            ["metadata", "labels", super::apply::MANAGED_BY]
                | ["metadata", "annotations", super::apply::RELEASE_NAME]
                | ["metadata", "annotations", super::apply::RELEASE_NAMESPACE]
        )
    )
}

/// Takes what is left to others out of what is applied. An item of a list stays with what names it;
/// a map of which nothing is left goes.
pub(super) fn leave(object: &mut Object, conflicts: &[Conflict]) {
    let left = conflicts.iter().filter(|one| one.policy == Policy::Leave);
    let places = left.filter_map(|one| place::find(&object.0, &format!(".{}", one.field)));
    let places: Vec<_> = places.collect();
    place::remove_all(&mut object.0, places);
}

/// Returns the manager of `conflict with "kubectl-edit" using apps/v1`.
fn manager(message: &str) -> &str {
    message.split('"').nth(1).unwrap_or(message)
}

#[cfg(test)]
mod tests;
