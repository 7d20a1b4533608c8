//! Leadsman: a Helm release manager with automatic chart upgrades.
//!
//! The rooms, lowest floor first; a room imports only rooms on lower floors (`tests/it/tidy.rs`
//! checks it). Read them in this order:
//!
//! | floor | room | job |
//! |---|---|---|
//! | 0 | [`base`] | names, versions, constraints, digests, limits, time, bounded and atomic files |
//! | 1 | [`yaml`] | text ⇄ the one `Value`: YAML and JSON as Go reads and prints them |
//! | 2 | [`chart`] | archives, metadata, dependencies, values, schema |
//! | 2 | [`template`] | Go templates with sprig's and Helm's functions |
//! | 2 | [`policy`] | which new version may be taken, and why not |
//! | 2 | [`api`] | the shapes of `HelmRepository`, `HelmRelease` and their CRDs |
//! | 2 | [`jsonpath`] | kubectl's JSONPath |
//! | 2 | [`shape`] | the shape of Kubernetes' objects, and patches between them |
//! | 2 | [`expression`] | expressions in CEL, bounded |
//! | 2 | [`signature`] | who signed what a registry holds |
//! | 3 | [`source`] | bytes from HTTP(S) repositories and mirrors |
//! | 3 | [`cluster`] | all that is said to a Kubernetes API |
//! | 3 | [`sim`] | a Kubernetes API in process |
//! | 3 | [`kustomize`] | patches, images, labels of rendered objects |
//! | 4 | [`repo`] | index, cache, resolve, pull |
//! | 4 | [`release`] | records, rendering, actions, readiness of releases |
//! | 5 | [`plan`] | what an action would change, field by field |
//! | 6 | [`controller`] | reconcilers, queue, events, status |
//! | 7 | [`web`] | what Leadsman serves over HTTP |
//! | 8 | [`cli`] | commands; the only reader of the environment and writer to stdout |

pub mod api;
pub mod base;
pub mod chart;
pub mod cli;
pub mod cluster;
pub mod controller;
pub mod expression;
pub mod jsonpath;
pub mod kustomize;
pub mod plan;
pub mod policy;
pub mod release;
pub mod repo;
pub mod shape;
pub mod signature;
pub mod sim;
pub mod source;
pub mod template;
pub mod web;
pub mod yaml;
