//! Releases: rendering, manifests, Helm's records, actions.
//!
//! Invariants: what is decided is decided by pure functions over plain data; a record is written
//! before the first object is touched and after the last, so that a killed action leaves a trace;
//! manifests and records are Helm's, byte for byte, so that both can take over from each other.
//!
//! Mirrors: helm v4.3.1 pkg/action, pkg/release, pkg/storage.

mod capabilities;
mod error;
pub mod manifest;
mod render;

pub use capabilities::offline;
pub use error::Error;
pub use render::{RenderRequest, RenderedRelease, Renderer};
