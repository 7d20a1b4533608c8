//! Why a release could not be rendered or acted on.

use super::manifest::Broken;
use super::serverside::InTheWay;
use crate::base::class::{Class, chain};
use crate::cluster::wait::Unready;
use crate::{chart, cluster, template};

/// Why a release could not be rendered or acted on. Texts of Helm are kept: the chain of causes,
/// joined by `: `, is what Helm prints.
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
        /// What there is to show of the rendering.
        broken: Option<Box<Broken>>,
    },
    /// The cluster refused.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// The cluster refused while something was being done that Helm has words for.
    #[error("{doing}")]
    Doing {
        /// What was being done, to which object.
        doing: String,
        /// What the cluster said.
        source: cluster::Error,
    },
    /// Others manage fields that were to be changed.
    #[error(transparent)]
    Conflict(Box<InTheWay>),
    /// Objects did not become ready.
    #[error(transparent)]
    Wait(#[from] cluster::wait::WaitError),
    /// Something failed inside a larger step, such as the hooks of an event.
    #[error("{step}")]
    Step {
        /// The step, in Helm's words.
        step: String,
        /// Why.
        source: Box<Self>,
    },
    /// Several things failed; none of them kept the others from being tried.
    #[error("{}", each(.0, "; "))]
    Several(Vec<Self>),
    /// Several objects could not be made; a line each, as Go joins errors.
    #[error("{}", each(.0, "\n"))]
    Unmade(Vec<Self>),
    /// A record cannot be read or written.
    #[error("release record {name}: {reason}")]
    Record {
        /// Name of the Secret.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Anything else that Helm has a text for.
    #[error("{0}")]
    Refused(String),
}

fn each(errors: &[Error], between: &str) -> String {
    let texts: Vec<_> = errors.iter().map(|error| chain(error)).collect();
    texts.join(between)
}

impl Error {
    /// A document of a template is not YAML.
    pub(super) fn manifest(path: &str, error: &crate::yaml::Error) -> Self {
        Self::Manifest { path: path.to_owned(), text: error.to_string(), broken: None }
    }

    /// Names the step inside which it happened.
    pub(super) fn during(self, step: impl Into<String>) -> Self {
        Self::Step { step: step.into(), source: Box::new(self) }
    }

    /// Returns the objects that did not become ready, with their causes.
    pub fn unready(&self) -> &[Unready] {
        match self {
            Self::Wait(error) => error.unready(),
            Self::Step { source, .. } => source.unready(),
            Self::Several(errors) | Self::Unmade(errors) => {
                errors.first().map(Self::unready).unwrap_or_default()
            }
            Self::Chart(_)
            | Self::Template(_)
            | Self::KubeVersion { .. }
            | Self::Library
            | Self::Manifest { .. }
            | Self::Cluster(_)
            | Self::Doing { .. }
            | Self::Conflict(_)
            | Self::Record { .. }
            | Self::Refused(_) => &[],
        }
    }

    /// Returns what was in the way of an object, where others manage fields of it.
    pub fn in_the_way(&self) -> Option<&InTheWay> {
        match self {
            Self::Conflict(conflict) => Some(conflict),
            Self::Step { source, .. } => source.in_the_way(),
            Self::Several(errors) | Self::Unmade(errors) => {
                errors.iter().find_map(Self::in_the_way)
            }
            Self::Chart(_)
            | Self::Template(_)
            | Self::KubeVersion { .. }
            | Self::Library
            | Self::Manifest { .. }
            | Self::Cluster(_)
            | Self::Doing { .. }
            | Self::Wait(_)
            | Self::Record { .. }
            | Self::Refused(_) => None,
        }
    }

    /// Returns whether it is about a kind that the API server does not serve.
    pub(super) fn is_unserved(&self) -> bool {
        if let Self::Step { source, .. } = self {
            return source.is_unserved();
        }
        let (Self::Cluster(error) | Self::Doing { source: error, .. }) = self else { return false };
        matches!(error, cluster::Error::NoKind { .. })
    }

    /// Returns whether it is about an object that is not there.
    pub(super) fn is_not_found(&self) -> bool {
        let (Self::Cluster(error) | Self::Doing { source: error, .. }) = self else { return false };
        error.is_not_found()
    }

    /// Returns whether the API server went away in the middle: nothing is known of the release
    /// then, and the action is to be taken up again.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Cluster(error) | Self::Doing { source: error, .. } => error.is_outage(),
            Self::Conflict(conflict) => conflict.source.is_outage(),
            Self::Wait(cluster::wait::WaitError::Cluster { source, .. }) => source.is_outage(),
            Self::Step { source, .. } => source.is_outage(),
            Self::Several(errors) | Self::Unmade(errors) => errors.iter().any(Self::is_outage),
            Self::Wait(_)
            | Self::Chart(_)
            | Self::Template(_)
            | Self::KubeVersion { .. }
            | Self::Library
            | Self::Manifest { .. }
            | Self::Record { .. }
            | Self::Refused(_) => false,
        }
    }

    /// Returns what to do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::Chart(error) => error.class(),
            Self::Template(error) => error.class(),
            Self::Cluster(error) | Self::Doing { source: error, .. } => error.class(),
            Self::Conflict(conflict) => conflict.source.class(),
            Self::Wait(error) => error.class(),
            Self::Step { source, .. } => source.class(),
            Self::Several(errors) | Self::Unmade(errors) => {
                errors.first().map_or(Class::Bug, Self::class)
            }
            Self::KubeVersion { .. }
            | Self::Library
            | Self::Manifest { .. }
            | Self::Record { .. }
            | Self::Refused(_) => Class::Stalled,
        }
    }
}
