//! Buckets of object stores that speak S3: which objects there are, and what is in them.
//!
//! What is asked is signed by `rusty-s3` (signature version 4, in the query) and sent by the same
//! client as all else. A list is one request for each thousand objects, an object is one request.
//!
//! Invariants: lists, objects and refusals have limits that hold while they are read; no error
//! tells a signature; a key that has no place in a folder is refused. Knows nothing of charts.
//!
//! Source: fluxcd/source-controller internal/controller/bucket_controller.go (`fetchEtagIndex`,
//! `fetchIndexFiles`), internal/bucket/minio/minio.go, internal/index/digest.go.

mod client;
mod error;
mod index;
mod listing;
mod refusal;

pub use client::{Access, Keys, Remote};
pub use error::{Cause, Error};
pub use index::{Index, Object};
pub use listing::{Fetched, Listing};
