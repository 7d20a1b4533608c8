//! Why a signature does not count.

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// What signatures are verified with cannot be used.
    #[error("{0}")]
    Trust(String),
    /// The signature is not what it must be.
    #[error("{0}")]
    Signature(String),
}

/// What is trusted cannot be used.
pub(super) fn untrusted(text: impl Into<String>) -> Error {
    Error::Trust(text.into())
}

/// The signature is not what it must be.
pub(super) fn refused(text: impl Into<String>) -> Error {
    Error::Signature(text.into())
}
