//! What is known of the shape of Kubernetes' objects, and what follows from it: how patches are
//! applied, and which patch turns one object into another.
//!
//! Invariants: does no I/O; what is known of built-in kinds is data (`tables/`, made from a real
//! server's OpenAPI documents); both sides of a connection read the same table, so that what is
//! sent is what the simulated API server would make of it.
//!
//! Mirrors: k8s.io/apimachinery 0.34 pkg/util/strategicpatch, the merge rules of server-side apply.
//!
//! ```
//! use leadsman::shape::patch;
//!
//! let mut live = serde_json::json!({"data": {"a": "1", "b": "2"}});
//! patch::merge(&mut live, serde_json::json!({"data": {"b": null}}));
//! assert_eq!(live, serde_json::json!({"data": {"a": "1"}}));
//! ```

pub mod diff;
pub mod patch;
pub mod types;
