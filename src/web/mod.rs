//! What Leadsman serves over HTTP.
//!
//! Invariants: served on loopback unless a person asks for more; only what is meant to be served
//! can be reached, whatever path is asked for.

mod charts;
mod error;

pub use charts::{Served, serve_charts};
pub use error::Error;
