//! What can be wrong with a chart or its values, in Helm's words.

use std::path::PathBuf;

use crate::base::{
    class::Class,
    file,
    limit::{self, Limit},
};

/// A chart that cannot be loaded, or values that do not fit it. The chain of causes, joined by
/// `: `, is the text that Helm prints.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are not a gzip stream.
    #[error("stream does not appear to be a valid chart file (details: gzip: invalid header)")]
    NotGzip,
    /// The archive is damaged, too large or holds names that it must not hold.
    #[error("unable to load chart archive")]
    Archive(#[source] ArchiveError),
    /// The same for an archive inside `charts/`.
    #[error(transparent)]
    Packed(ArchiveError),
    /// An archive without `Chart.yaml`.
    #[error("unable to detect chart version, no Chart.yaml found")]
    NoVersion,
    /// A folder without `Chart.yaml`.
    #[error("unable to detect chart at {path}: {text}")]
    NotAChart {
        /// Where `Chart.yaml` should be.
        path: PathBuf,
        /// What the operating system said, in Go's words.
        text: String,
    },
    /// A symbolic link to nothing.
    #[error("error evaluating symlink {path}: lstat {target}: no such file or directory")]
    Dangling {
        /// The link.
        path: PathBuf,
        /// What it names.
        target: PathBuf,
    },
    /// A list of files without `Chart.yaml`.
    #[error("Chart.yaml file is missing")]
    NoMetadata,
    /// `apiVersion` is none of `v1`, `v2`, `v3`.
    #[error("unsupported chart version")]
    UnsupportedVersion,
    /// `apiVersion: v3`, which Helm reads but does not install.
    #[error("invalid chart apiVersion")]
    InvalidVersion,
    /// One of the chart's YAML files cannot be read.
    #[error("cannot load {file}: {text}")]
    Parse {
        /// `Chart.yaml`, `values.yaml`, …
        file: &'static str,
        /// The reader's words.
        text: String,
    },
    /// A values document (not of a chart) cannot be read.
    #[error("{0}")]
    Values(String),
    /// `Chart.yaml` says something that it must not say.
    #[error("validation: {0}")]
    Validation(String),
    /// A chart in `charts/` cannot be loaded.
    #[error("error unpacking subchart {entry} in {parent}")]
    Subchart {
        /// Name of the file or folder in `charts/`.
        entry: String,
        /// Name of the chart that holds it.
        parent: String,
        /// What is wrong with it.
        source: Box<Self>,
    },
    /// `charts/x.tgz` is a folder.
    #[error("error unpacking subchart tar in {parent}: expected {entry}, got {found}")]
    SubchartFolder {
        /// Name of the chart that holds it.
        parent: String,
        /// Name that ends in `.tgz`.
        entry: String,
        /// The first file inside.
        found: String,
    },
    /// Charts inside charts, deeper than anybody means to.
    #[error("charts nested more than {0} deep")]
    TooDeep(usize),
    /// `.helmignore` cannot be read.
    #[error("{0}")]
    Ignore(String),
    /// A file of a chart folder cannot be read.
    #[error("error reading {name}")]
    Read {
        /// Path relative to the chart.
        name: String,
        /// Why.
        source: file::Error,
    },
    /// A chart folder cannot be walked.
    #[error(transparent)]
    Walk(file::Error),
    /// A fifo, socket or device in a chart folder.
    #[error("cannot load irregular file {0} as it has file mode type bits set")]
    Irregular(PathBuf),
    /// The files of a folder together are too large.
    #[error(
        "error reading {0}: chart exceeds maximum decompressed size of {max} bytes",
        max = limit::current().of(Limit::Unpacked)
    )]
    FolderTooLarge(String),
    /// Under a dependency's name stands something that is not a table.
    #[error("type mismatch on {name}: {shown}")]
    TypeMismatch {
        /// Name of the dependency.
        name: String,
        /// The value as Go's `%t` prints it.
        shown: String,
    },
    /// Declared dependencies are not in `charts/`.
    #[error("found in Chart.yaml, but missing in charts/ directory: {0}")]
    MissingDependencies(String),
    /// The chart cannot be packed.
    #[error("{0}")]
    Save(String),
    /// Keys, or the signature of a chart.
    #[error("{0}")]
    Provenance(String),
    /// Values that a schema forbids.
    #[error(
        "values don't meet the specifications of the schema(s) in the following chart(s):\n{0}"
    )]
    Schema(String),
}

/// An archive that must not be unpacked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// Not gzip (inside `charts/`).
    #[error("gzip: invalid header")]
    Header,
    /// The stream ends too early.
    #[error("unexpected EOF")]
    Truncated,
    /// The compressed data is damaged.
    #[error("flate: corrupt input: {0}")]
    Corrupt(String),
    /// The tar headers are damaged.
    #[error("archive/tar: invalid tar header")]
    Tar,
    /// `chart//etc/passwd`.
    #[error("chart illegally contains absolute paths")]
    Absolute,
    /// `file` without a folder.
    #[error("chart illegally contains content outside the base directory: {0}")]
    Outside(String),
    /// `chart/../x`.
    #[error("chart illegally references parent directory")]
    Parent,
    /// `chart/c:/x`.
    #[error("chart contains illegally named files")]
    Drive,
    /// `Chart.yaml/x`.
    #[error("chart yaml not in base directory")]
    ChartYaml,
    /// More than the limit comes out.
    #[error(
        "decompressed chart is larger than the maximum size {max}",
        max = limit::current().of(Limit::Unpacked)
    )]
    TooLarge,
    /// More files than the limit.
    #[error(
        "chart archive holds too many files: {hint}",
        hint = limit::current().hint(Limit::Entries)
    )]
    TooMany,
    /// Nothing in it.
    #[error("no files in chart archive")]
    Empty,
}

impl Error {
    /// Returns what the controller does about it: only reading a disk may heal by itself.
    pub fn class(&self) -> Class {
        match self {
            Self::NotAChart { .. } | Self::Dangling { .. } | Self::Read { .. } | Self::Walk(_) => {
                Class::Retry
            }
            Self::NotGzip
            | Self::Archive(_)
            | Self::Packed(_)
            | Self::NoVersion
            | Self::NoMetadata
            | Self::UnsupportedVersion
            | Self::InvalidVersion
            | Self::Parse { .. }
            | Self::Values(_)
            | Self::Validation(_)
            | Self::Subchart { .. }
            | Self::SubchartFolder { .. }
            | Self::TooDeep(_)
            | Self::Ignore(_)
            | Self::Irregular(_)
            | Self::FolderTooLarge(_)
            | Self::TypeMismatch { .. }
            | Self::MissingDependencies(_)
            | Self::Save(_)
            | Self::Provenance(_)
            | Self::Schema(_) => Class::Stalled,
        }
    }
}
