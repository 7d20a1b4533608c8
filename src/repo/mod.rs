//! Repositories: index, cache, resolve, pull; charts in OCI registries, in Git and in
//! buckets.
//!
//! Invariants: an unchanged index costs one conditional request and no parsing, and no index is ever
//! in memory as a whole, unless it is of a strange style; an unchanged chart costs nothing; a broken entry never hides the others; what is in the cache may be deleted at any
//! time.

mod bucket;
mod cache;
mod chart_files;
mod entry;
mod error;
mod git;
mod helm_fetch;
mod helm_file;
mod index;
mod indexes;
pub mod oci;
mod packages;
mod provenance;
mod publish;
mod reference;
mod repositories;
mod resolve;
mod search;
mod signatures;
mod storage;
mod subchart;
mod tree;

pub use bucket::BucketAsked;
pub use chart_files::ValuesFiles;
pub use entry::{Entry, Warning};
pub use error::Error;
pub use git::{Commit, GitAsked, GitFilesError, Included, Judge, Unsigned};
pub use helm_fetch::{download_archive, download_file, helm_text, outcome, refresh};
pub use helm_file::{HelmFiles, Registered, RepositoryFile};
pub use index::Index;
pub use indexes::Text;
pub use packages::{Packages, package_index};
pub use provenance::{Trust, read_keyring};
pub use publish::Listing;
pub use reference::{Located, fetch_index, locate, locate_in};
pub use repositories::{
    ArtifactError, ArtifactPart, LayerFiles, OciArtifact, Pulled, Refreshed, Repositories,
    RepositorySpec, Trouble,
};
pub use resolve::allowed;
pub use search::{Found, Hit, Query, Searchable};
pub use signatures::{SignatureError, Verifier};
pub use storage::{Content, Presence, Retention, Storage};
pub use subchart::{Registries, Subcharts, Verify};
pub use tree::{ChartError, FilesError, Lender, TreeChart, TreeFiles};
