//! Text ⇄ the one [`Value`]: YAML and JSON as Go reads and prints them.
//!
//! Invariants: does no I/O; maps iterate in bytewise key order (`serde_json` without
//! `preserve_order`); whole numbers stay integers unless [`Numbers::Float`] is asked for, which is
//! what Helm does to every number of a values file.

/// Plain data: what a values file, a manifest, an index or an object of the API holds.
pub type Value = serde_json::Value;
/// A map of plain data; iterates in bytewise key order.
pub type Map = serde_json::Map<String, Value>;
