//! Signatures of what registries hold: those of cosign, by keys or by certificates of an hour, and
//! those of the Notary Project.
//!
//! Asks nobody: bytes, what is trusted, and a time go in; who signed comes out. Registries are asked
//! elsewhere.
//!
//! Invariants: what cannot be checked is refused, and named; a signature counts for nothing but the
//! digest that it names; keys and signatures are checked by `ring` alone.
//!
//! Source: sigstore/cosign v3 pkg/cosign, sigstore/sigstore-go pkg/verify; notaryproject/notation-go
//! v1.3 verifier, notation-core-go v1.3; RFC 6962, RFC 7515, RFC 9052.

mod cbor;
mod certificate;
mod chain;
mod cosign;
mod der;
mod envelope;
mod error;
mod key;
mod keyless;
mod name;
mod notation;
mod policy;
mod promise;
mod root;

pub use cosign::{ANNOTATION, BUNDLE, Trust};
pub use error::Error;
pub use key::PublicKey;
pub use keyless::{Identity, Keyless};
pub use notation::{Notation, Outcome, Subject, is_envelope};
pub use policy::Document;
pub use root::TrustedRoot;

#[cfg(test)]
mod tests;
