//! Bytes from HTTP(S) repositories, from mirrors of them, from folders, from OCI registries, from Git, and
//! from buckets.
//!
//! Invariants: every answer has a limit that holds while it is read; a credential goes only to the
//! host it is for; every error names the address and what to do. Knows nothing of charts.

mod body;
mod error;
pub mod git;
mod http;
mod ignore;
mod mirror;
pub mod oci;
mod roots;
pub mod s3;

pub use error::Error;
pub use http::{Credentials, Fetch, Fetched, Fetcher, Kind, Poured, Proxy, Tls};
pub use ignore::Ignore;
pub use mirror::{Mirror, Mirrors};
