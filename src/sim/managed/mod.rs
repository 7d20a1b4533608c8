//! Field ownership: who set which field, conflicts between appliers, what an apply removes.
//!
//! Pure functions over objects. Mirrors structured-merge-diff's updater and apiserver's
//! `managedfields` package.

pub(crate) mod owner;
pub(crate) mod set;
#[cfg(test)]
mod tests;
pub(crate) mod typed;

pub(crate) use owner::{ApplyRules, Writer, apply, update};
