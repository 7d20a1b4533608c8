//! Why a Git repository could not be read.

use crate::base::class::Class;
use crate::base::file;
use crate::base::secret::SafeUrl;
use crate::source;

/// Why a Git repository could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server cannot be asked.
    #[error(transparent)]
    Transport(#[from] source::Error),
    /// What it says is not understood, or is a refusal.
    #[error("fetch `{url}`: {reason}")]
    Protocol {
        /// The repository.
        url: SafeUrl,
        /// What is wrong.
        reason: String,
    },
    /// There is no commit in it.
    #[error("git repository is empty")]
    Empty,
    /// There is no such branch, tag or other name.
    #[error("couldn't find remote ref \"{0}\"")]
    NoRef(String),
    /// No tag is in the range.
    #[error("no match found for semver: {0}")]
    NoTag(String),
    /// What came is not what was asked for.
    #[error("what came of `{url}` cannot be used: {reason}")]
    Content {
        /// The repository.
        url: SafeUrl,
        /// What is wrong.
        reason: String,
    },
    /// What came cannot be kept here.
    #[error(
        "what came of `{url}` cannot be kept: make room or choose another folder with --cache: {reason}"
    )]
    Unkept {
        /// The repository.
        url: SafeUrl,
        /// What the machine says.
        reason: String,
    },
    /// Its files are too many or too large.
    #[error("files of `{url}`: {reason}")]
    TooLarge {
        /// The repository.
        url: SafeUrl,
        /// Which limit, and how it is raised.
        reason: String,
    },
    /// Folders that were asked for are not there.
    #[error("failed to sparse checkout directories : \"{0}\" is not in the repository")]
    NoFolder(String),
    /// Something stands where files of others are to be put.
    #[error("`{other}` stands there already")]
    Occupied {
        /// Where they are to be put.
        path: String,
        /// What stands there, or above.
        other: String,
    },
    /// A file of ours.
    #[error(transparent)]
    File(#[from] file::Error),
}

impl Error {
    /// Whether it is this machine that cannot keep what came.
    pub fn is_of_storage(&self) -> bool {
        matches!(self, Self::Unkept { .. } | Self::File(_))
    }

    /// Returns what to do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::Transport(error) => error.class(),
            Self::Protocol { .. }
            | Self::Empty
            | Self::NoRef(_)
            | Self::NoTag(_)
            | Self::Content { .. }
            | Self::Unkept { .. }
            | Self::TooLarge { .. }
            | Self::NoFolder(_)
            | Self::Occupied { .. }
            | Self::File(_) => Class::Retry,
        }
    }
}
