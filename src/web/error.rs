//! Why something cannot be served.

use std::net::SocketAddr;

use crate::base::class::Class;
use crate::repo;

/// Why something cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is not one of this machine alone.
    #[error("serve charts on `{0}`: only loopback addresses such as 127.0.0.1:8879 are served")]
    NotLoopback(SocketAddr),
    /// The address cannot be listened on.
    #[error("listen on `{address}`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The folder of packages.
    #[error(transparent)]
    Charts(#[from] repo::Error),
}

impl Error {
    /// Returns what to do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::NotLoopback(_) | Self::Listen { .. } => Class::Stalled,
            Self::Charts(error) => error.class(),
        }
    }
}
