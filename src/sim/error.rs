//! Errors of serving the simulated API.

use std::net::SocketAddr;

use crate::base::class::Class;

/// What can go wrong with the simulation itself. Refused requests are answers, not errors.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("listen on `{address}`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The simulated connection was refused or its answer lost, by a fault rule.
    #[error("simulated fault: {0}")]
    Connection(&'static str),
}

impl Error {
    /// Returns what to do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::Listen { .. } => Class::Stalled,
            Self::Connection(_) => Class::Retry,
        }
    }
}
