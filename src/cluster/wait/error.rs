//! Why a wait ended without success.

use std::time::Duration;

use super::Unready;
use crate::base::class::Class;
use crate::base::duration::GoDuration;
use crate::cluster::error::Error;
use crate::cluster::object::ObjectId;
use crate::cluster::status::Status;

/// Why a wait ended without success. The texts are Flux's.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WaitError {
    /// An object failed.
    #[error("failed early due to stalled resources: [{}]", list(unready.iter().filter(|u| u.status.status == Status::Failed)))]
    Failed {
        /// Every object that does not work.
        unready: Vec<Unready>,
    },
    /// Time is up.
    #[error("timeout waiting for: [{}]", list(unready.iter()))]
    Timeout {
        /// Every object that does not work.
        unready: Vec<Unready>,
    },
    /// For long nothing has changed.
    #[error("stalled: nothing has changed and no event came for {}: [{}]", GoDuration(*quiet), list(unready.iter()))]
    Stalled {
        /// Every object that does not work.
        unready: Vec<Unready>,
        /// For how long.
        quiet: Duration,
    },
    /// Objects are still there.
    #[error("{} termination timeout: context deadline exceeded", unready.first().map(|u| u.id.to_string()).unwrap_or_default())]
    StillThere {
        /// What is still there.
        unready: Vec<Unready>,
    },
    /// By Helm 3's rules, which name no objects.
    #[error("{0}")]
    Legacy(String),
    /// The cluster does not let us watch.
    #[error("can't determine status for {id}")]
    Cluster {
        /// What was to be watched.
        id: Box<ObjectId>,
        /// Why not.
        source: Error,
    },
}

fn list<'a>(unready: impl Iterator<Item = &'a Unready>) -> String {
    unready.map(Unready::to_string).collect::<Vec<_>>().join(", ")
}

impl WaitError {
    /// Returns the objects that do not work.
    pub fn unready(&self) -> &[Unready] {
        match self {
            Self::Failed { unready }
            | Self::Timeout { unready }
            | Self::Stalled { unready, .. }
            | Self::StillThere { unready } => unready,
            Self::Legacy(_) | Self::Cluster { .. } => &[],
        }
    }

    /// Returns what to do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::Failed { .. }
            | Self::Timeout { .. }
            | Self::Stalled { .. }
            | Self::StillThere { .. }
            | Self::Legacy(_) => Class::Retry,
            Self::Cluster { source, .. } => source.class(),
        }
    }
}
