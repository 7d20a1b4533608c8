//! What Leadsman serves over HTTP: chart folders as repositories, and the artifacts of sources.
//!
//! Invariants: served on loopback unless a person asks for more; only what is meant to be served
//! can be reached, whatever path is asked for.

mod artifacts;
mod charts;
mod error;
mod serve;

pub use artifacts::serve_artifacts;
pub use charts::serve_charts;
pub use error::Error;
pub use serve::{Bound, Served, bind};
