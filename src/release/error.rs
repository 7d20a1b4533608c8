//! Why a release could not be rendered or acted on.

use crate::base::class::Class;
use crate::{chart, cluster, template};

/// Why a release could not be rendered or acted on. Texts of Helm are kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The chart or its values.
    #[error(transparent)]
    Chart(#[from] chart::Error),
    /// A template.
    #[error("{0}")]
    Template(template::Error),
    /// The chart wants another Kubernetes.
    #[error("chart requires kubeVersion: {wanted} which is incompatible with Kubernetes {have}")]
    KubeVersion {
        /// The chart's constraint.
        wanted: String,
        /// The cluster's version.
        have: String,
    },
    /// A library chart stands alone.
    #[error("library charts are not installable")]
    Library,
    /// What a template gave is no manifest.
    #[error("YAML parse error on {path}: {text}")]
    Manifest {
        /// The template.
        path: String,
        /// The reader's words.
        text: String,
    },
    /// The cluster refused.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// Objects did not become ready.
    #[error(transparent)]
    Wait(#[from] cluster::wait::WaitError),
    /// A record cannot be read.
    #[error("release record {name}: {reason}")]
    Record {
        /// Name of the Secret.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Anything that Helm has a text for.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    /// Returns what to do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::Chart(error) => error.class(),
            Self::Template(error) => error.class(),
            Self::Cluster(error) => error.class(),
            Self::Wait(error) => error.class(),
            Self::KubeVersion { .. }
            | Self::Library
            | Self::Manifest { .. }
            | Self::Record { .. }
            | Self::Refused(_) => Class::Stalled,
        }
    }
}
