//! Chart versions.
