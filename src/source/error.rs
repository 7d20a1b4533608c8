//! Why something could not be fetched.

use std::time::Duration;

use crate::base::class::Class;
use crate::base::file;
use crate::base::secret::SafeUrl;

/// Why something could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server wants other credentials.
    #[error("fetch `{url}`: {status}: check user and password in the repository's secretRef")]
    Unauthorized {
        /// What was asked for.
        url: SafeUrl,
        /// Status line.
        status: String,
    },
    /// There is nothing at the address.
    #[error("fetch `{url}`: 404 Not Found: check the address")]
    NotFound {
        /// What was asked for.
        url: SafeUrl,
    },
    /// The server asks for patience.
    #[error("fetch `{url}`: {status}: trying again in {} s", after.as_secs())]
    TooMany {
        /// What was asked for.
        url: SafeUrl,
        /// Status line.
        status: String,
        /// When to come back.
        after: Duration,
    },
    /// Another status than success.
    #[error("fetch `{url}`: {status}: {}", if *server { "the server is at fault; trying again" } else { "check the address" })]
    Status {
        /// What was asked for.
        url: SafeUrl,
        /// Status line.
        status: String,
        /// Whether the server itself is at fault.
        server: bool,
    },
    /// The answer did not come in time.
    #[error("fetch `{url}`: not answered in full within {} s: check the server or raise the timeout", after.as_secs_f32())]
    Timeout {
        /// What was asked for.
        url: SafeUrl,
        /// The limit.
        after: Duration,
    },
    /// Redirects lead nowhere.
    #[error("fetch `{url}`: more than {limit} redirects: check the address")]
    Redirects {
        /// What was asked for.
        url: SafeUrl,
        /// The limit.
        limit: usize,
    },
    /// The answer is too large.
    #[error(
        "fetch `{url}`: larger than {limit_bytes} bytes: check the address; nothing larger is read"
    )]
    TooLarge {
        /// What was asked for.
        url: SafeUrl,
        /// The limit.
        limit_bytes: u64,
    },
    /// No trust could be agreed on.
    #[error(
        "fetch `{url}`: TLS: {reason}: check the server's certificate and the authorities trusted here"
    )]
    Tls {
        /// What was asked for.
        url: SafeUrl,
        /// What is wrong.
        reason: String,
    },
    /// The answer is packed, and broken.
    #[error("fetch `{url}`: the compressed answer is broken: trying again")]
    Compressed {
        /// What was asked for.
        url: SafeUrl,
        /// What is wrong.
        source: std::io::Error,
    },
    /// What came cannot be kept here.
    #[error(
        "what came from `{url}` cannot be kept: make room or choose another folder with --cache"
    )]
    Untaken {
        /// What was asked for.
        url: SafeUrl,
        /// What the machine says.
        source: std::io::Error,
    },
    /// The server cannot be reached, or the connection broke.
    #[error("fetch `{url}`: {reason}")]
    Connection {
        /// What was asked for.
        url: SafeUrl,
        /// What the network said.
        reason: String,
    },
    /// The address cannot be fetched at all.
    #[error("fetch `{url}`: {reason}")]
    Unusable {
        /// What was asked for.
        url: SafeUrl,
        /// Why not.
        reason: &'static str,
    },
    /// A mirror's folder.
    #[error(transparent)]
    File(#[from] file::Error),
}

impl Error {
    /// Returns what to do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::TooMany { after, .. } => Class::Wait(*after),
            Self::Unauthorized { .. }
            | Self::NotFound { .. }
            | Self::Status { .. }
            | Self::Timeout { .. }
            | Self::Redirects { .. }
            | Self::TooLarge { .. }
            | Self::Connection { .. }
            | Self::Tls { .. }
            | Self::Compressed { .. }
            | Self::Untaken { .. }
            | Self::File(_) => Class::Retry,
            Self::Unusable { .. } => Class::Stalled,
        }
    }
}
