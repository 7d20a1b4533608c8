//! OCI registries: tags, manifests and blobs, with every way to log in.
//!
//! Invariants: a name and password go only to the registry that they are for, or to the token
//! service that it names (over TLS if the registry is asked over TLS, and never at an address of
//! the local network); nothing that a registry sends is kept before its digest is right; every
//! answer, and every list of pages, has an end. Texts of errors are those of Helm's library, as far
//! as it has such. Knows nothing of charts.
//!
//! Source: oras-go v2.6.2 registry/, registry/remote/; OCI distribution-spec v1.1.1.

mod ask;
mod challenge;
mod client;
mod content;
mod credential;
mod error;
mod reference;
mod referrers;

pub use client::{Access, Session};
pub use content::{Descriptor, Fetched, Index, Manifest, is_index};
pub use credential::{Credential, Keys, Store};
pub use error::Error;
pub use reference::Reference;
