//! What every room may use: names, versions, digests, limits, time, files.
//!
//! Invariants: nothing here knows Kubernetes or Helm objects; the only I/O is files ([`file`]), and
//! each read has a limit; the only source of time is [`clock::Clock`]; text that may hold a
//! credential is a [`secret::Secret`] or a [`secret::SafeUrl`], whose printed forms are harmless.

pub mod by_text;
pub mod class;
pub mod clock;
pub mod constraint;
pub mod content;
pub mod digest;
pub mod duration;
pub mod file;
pub mod heap;
pub mod life;
pub mod limit;
pub mod name;
pub mod packed;
pub mod parallel;
pub mod quantity;
pub mod secret;
pub mod shorten;
pub mod similar;
pub mod spool;
#[cfg(test)]
pub(crate) mod testing;
pub mod version;
