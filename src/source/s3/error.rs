//! Why a bucket cannot be read.

use std::time::Duration;

use crate::base::class::Class;
use crate::base::file;
use crate::source;

/// Why a bucket cannot be read: what was being done, in Flux's words.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such bucket.
    #[error("bucket '{0}' not found")]
    NoBucket(String),
    /// It could not be asked at all.
    #[error("failed to confirm existence of '{bucket}' bucket")]
    Confirm {
        /// The bucket.
        bucket: String,
        /// What is wrong.
        source: Cause,
    },
    /// The rules by which objects are left out could not be had.
    #[error("failed to get Etag for '.sourceignore' object")]
    Rules(#[source] Cause),
    /// Its list has no end that can be read.
    #[error(
        "indexation of objects from bucket '{bucket}' failed: listing objects from bucket '{bucket}' failed"
    )]
    List {
        /// The bucket.
        bucket: String,
        /// What is wrong.
        source: Cause,
    },
    /// An object could not be had.
    #[error("fetch from bucket '{bucket}' failed: failed to get '{key}' object")]
    Object {
        /// The bucket.
        bucket: String,
        /// The object.
        key: String,
        /// What is wrong.
        source: Cause,
    },
    /// The objects cannot be files of one folder.
    #[error("fetch from bucket '{bucket}' failed")]
    Files {
        /// The bucket.
        bucket: String,
        /// What is wrong.
        source: Cause,
    },
    /// It is another one than the one that is asked for.
    #[error("bucket '{bucket}' has no revision '{wanted}' any more, but '{have}'")]
    Moved {
        /// The bucket.
        bucket: String,
        /// The revision that is asked for.
        wanted: String,
        /// The one that there is.
        have: String,
    },
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The server refuses.
    #[error("`{address}`: {said}: {}", hint(code, said, *status))]
    Refused {
        /// What was asked for.
        address: String,
        /// What it says.
        said: String,
        /// Its name for that, such as `AccessDenied`; may be empty.
        code: String,
        /// Status code.
        status: u16,
        /// When to come back, if it says so.
        after: Option<Duration>,
    },
    /// It is not what a list looks like.
    #[error(
        "`{address}`: the answer is no list of objects ({reason}): check that spec.endpoint speaks S3"
    )]
    Answer {
        /// What was asked for.
        address: String,
        /// What is wrong.
        reason: String,
    },
    /// A list leads nowhere.
    #[error("its list does not end: the server tells the same again")]
    Endless,
    /// Not all of an object came, or more.
    #[error(
        "{have} bytes came, not {wanted} as the list says: the server is inconsistent; trying again"
    )]
    Size {
        /// What came.
        have: u64,
        /// What is listed.
        wanted: u64,
    },
    /// More than is taken.
    #[error("{0}")]
    TooLarge(String),
    /// The address of the bucket is none.
    #[error(
        "`{address}` is no address of a bucket: {reason}: correct spec.endpoint or spec.bucketName"
    )]
    Address {
        /// Server and bucket.
        address: String,
        /// What is wrong.
        reason: String,
    },
    /// A key is no path.
    #[error(
        "its key is no path of a file in a folder: rename it, or leave it out with spec.ignore or .sourceignore"
    )]
    Key,
    /// Two keys have the same place.
    #[error(
        "objects '{one}' and '{other}' cannot both be files of one folder: rename one, or leave it out with spec.ignore or .sourceignore"
    )]
    Same {
        /// A key.
        one: String,
        /// Another one.
        other: String,
    },
    /// What came cannot be written down.
    #[error(transparent)]
    File(#[from] file::Error),
    /// It cannot be asked.
    #[error(transparent)]
    Fetch(#[from] source::Error),
}

/// What to do where a server has another time.
const CLOCKS: &str = "check the clocks of this machine and of the server";

/// What to do about a refusal.
fn hint(code: &str, said: &str, status: u16) -> &'static str {
    match (code, status) {
        ("RequestTimeTooSkewed" | "RequestNotYetValid", _) => CLOCKS,
        // A signature is good for a quarter of an hour from when it is made.
        (_, 403) if said.starts_with("Request has expired") => CLOCKS,
        (_, 401 | 403) => {
            "check `accesskey` and `secretkey` in the Secret of secretRef, and what they may do"
        }
        (_, 429 | 500..) => "the server is at fault; trying again",
        _ => "check spec.endpoint, spec.region and spec.bucketName",
    }
}

impl Error {
    /// Whether it is this machine that cannot keep what came.
    pub fn is_of_storage(&self) -> bool {
        match self {
            Self::NoBucket(_) | Self::Moved { .. } => false,
            Self::Rules(source)
            | Self::Confirm { source, .. }
            | Self::List { source, .. }
            | Self::Object { source, .. }
            | Self::Files { source, .. } => {
                matches!(source, Cause::File(_) | Cause::Fetch(source::Error::Untaken { .. }))
            }
        }
    }

    /// Returns what to do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::NoBucket(_) | Self::Moved { .. } => Class::Retry,
            Self::Rules(source)
            | Self::Confirm { source, .. }
            | Self::List { source, .. }
            | Self::Object { source, .. }
            | Self::Files { source, .. } => source.class(),
        }
    }
}

impl Cause {
    fn class(&self) -> Class {
        match self {
            Self::Refused { after: Some(after), .. } => Class::Wait(*after),
            Self::Address { .. } => Class::Stalled,
            Self::Fetch(error) => error.class(),
            Self::Refused { .. }
            | Self::Answer { .. }
            | Self::Endless
            | Self::Size { .. }
            | Self::TooLarge(_)
            | Self::Key
            | Self::Same { .. }
            | Self::File(_) => Class::Retry,
        }
    }

    /// Whether the server says this. A 404 alone says nothing of a bucket: it may be another's.
    pub(super) fn is(&self, name: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == name)
    }
}
