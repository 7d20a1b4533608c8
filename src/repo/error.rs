//! What can be wrong with a repository or a chart in it.

use crate::base::class::{Class, chain};
use crate::base::constraint;
use crate::base::digest::Digest;
use crate::base::file;
use crate::base::secret::SafeUrl;
use crate::{chart, source};

/// What can be wrong with a repository or a chart in it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be fetched.
    #[error(transparent)]
    Fetch(#[from] source::Error),
    /// A registry.
    #[error(transparent)]
    Registry(#[from] source::oci::Error),
    /// It is no index.
    #[error("index of `{url}`: {reason}")]
    Index {
        /// The repository.
        url: SafeUrl,
        /// What is wrong.
        reason: String,
    },
    /// It was not fetched yet.
    #[error("index of `{0}` was not fetched yet")]
    Unfetched(SafeUrl),
    /// The chart is not in it.
    #[error("no chart `{chart}` in `{url}`{}", hint(near, "it has "))]
    NoChart {
        /// The repository.
        url: SafeUrl,
        /// The chart.
        chart: String,
        /// Charts with similar names.
        near: Vec<String>,
    },
    /// The chart is in it, without a version that can be used.
    #[error("chart `{chart}` has no version in `{url}` that can be used: correct the index")]
    NoVersions {
        /// The repository.
        url: SafeUrl,
        /// The chart.
        chart: String,
    },
    /// The constraint cannot be read.
    #[error(transparent)]
    Constraint(#[from] constraint::Error),
    /// The cache's copy of the index is damaged.
    #[error("cached index of `{0}` is damaged: it is fetched anew at the next refresh")]
    Damaged(SafeUrl),
    /// The entry's address is none.
    #[error("`{reference}` of `{repository}` is not the address of an archive")]
    BadUrl {
        /// The repository.
        repository: SafeUrl,
        /// What the index says.
        reference: String,
    },
    /// No version satisfies.
    #[error(
        "no `{chart}` chart with version matching `{wanted}` in `{url}`{}",
        hint(near, "the nearest are ")
    )]
    NoVersion {
        /// The repository.
        url: SafeUrl,
        /// The chart.
        chart: String,
        /// The constraint.
        wanted: String,
        /// The nearest versions.
        near: Vec<String>,
    },
    /// It could not be had a moment ago.
    #[error("{text}")]
    Again {
        /// Why.
        text: String,
        /// What to do about it.
        class: Class,
    },
    /// The entry says nowhere to get it.
    #[error("chart `{0}` has no downloadable URLs")]
    NoUrl(String),
    /// The archive is not the one that the index means.
    #[error(
        "chart archive `{url}` has digest {have}, the index says {wanted}: the repository is inconsistent"
    )]
    Digest {
        /// The archive.
        url: SafeUrl,
        /// What came.
        have: Digest,
        /// What was promised.
        wanted: String,
    },
    /// What came is not the artifact that is meant.
    #[error("integrity failure of `{url}`: computed digest doesn't match '{wanted}'")]
    Integrity {
        /// The artifact.
        url: SafeUrl,
        /// Its digest.
        wanted: String,
    },
    /// Nobody here can tell whether what came is what is meant.
    #[error("digest '{wanted}' of `{url}` is none of sha256, sha384 or sha512")]
    Algorithm {
        /// The artifact.
        url: SafeUrl,
        /// Its digest.
        wanted: String,
    },
    /// The archive cannot be loaded.
    #[error("chart archive `{url}`: {}", chain(source))]
    Chart {
        /// The archive.
        url: SafeUrl,
        /// What is wrong.
        source: Box<chart::Error>,
    },
    /// A folder of packages.
    #[error("index of the packages in `{}`", folder.display())]
    Packages {
        /// The folder.
        folder: std::path::PathBuf,
        /// What is wrong.
        source: file::Error,
    },
    /// What Helm says in such a case, in its words.
    #[error("{0}")]
    Helm(String),
    /// A file of Helm's, or one that it names.
    #[error("{}", chain(.0))]
    File(file::Error),
    /// The certificate of the server is not to be verified.
    #[error(
        "repository `{0}` is registered with insecure_skip_tls_verify, and leadsman always verifies certificates: register it anew with --ca-file"
    )]
    Insecure(SafeUrl),
    /// The cache.
    #[error("chart cache: {}", chain(.0))]
    Cache(file::Error),
}

fn hint(near: &[String], words: &str) -> String {
    if near.is_empty() { String::new() } else { format!(": {words}{}", near.join(", ")) }
}

impl Error {
    /// Returns what to do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::Fetch(error) => error.class(),
            Self::Registry(error) => error.class(),
            Self::Again { class, .. } => *class,
            Self::Index { .. }
            | Self::Unfetched(_)
            | Self::Damaged(_)
            | Self::Digest { .. }
            | Self::Integrity { .. }
            | Self::Packages { .. }
            | Self::Cache(_) => Class::Retry,
            Self::NoChart { .. }
            | Self::NoVersions { .. }
            | Self::Algorithm { .. }
            | Self::Constraint(_)
            | Self::BadUrl { .. }
            | Self::NoVersion { .. }
            | Self::NoUrl(_)
            | Self::Helm(_)
            | Self::File(_)
            | Self::Insecure(_)
            | Self::Chart { .. } => Class::Stalled,
        }
    }
}
