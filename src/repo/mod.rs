//! Repositories: index, cache, resolve, pull.
//!
//! Invariants: an unchanged index costs one conditional request and no parsing; an unchanged chart
//! costs nothing; a broken entry never hides the others; what is in the cache may be deleted at any
//! time.

mod cache;
mod error;
mod index;
mod repositories;

pub use error::Error;
pub use index::{Entry, Index, Warning};
pub use repositories::{Pulled, Refreshed, Repositories, RepositorySpec};
