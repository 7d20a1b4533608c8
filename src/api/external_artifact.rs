//! `ExternalArtifact`: an artifact that somebody else makes, keeps and serves.

use serde::{Deserialize, Serialize};

use super::helm_repository::Artifact;
use super::{Condition, Meta};

/// A `source.toolkit.fluxcd.io/v1` `ExternalArtifact`. What it is made of is of no interest here.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ExternalArtifact {
    /// Name and bookkeeping.
    pub metadata: Meta,
    /// What its keeper says of it.
    pub status: ExternalArtifactStatus,
}

/// What its keeper says of an artifact.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExternalArtifactStatus {
    /// Conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
}
