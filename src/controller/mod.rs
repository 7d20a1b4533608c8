//! Reconcilers: they keep each `HelmRepository`, `OCIRepository`, `GitRepository`, `Bucket`,
//! `HelmChart` and `HelmRelease` as its spec says.
//!
//! Each object has a task of its own that sleeps until its interval or until something that it
//! depends on changes; a release that waits for readiness therefore holds up no other. What a
//! reconciliation decides is decided by pure functions ([`determine`], [`next`],
//! [`crate::policy`]); [`reconcile`] observes and acts.
//!
//! Invariants: status is written from what storage confirmed, and only when it changed; a failure
//! of one object never reaches another; every failure ends as a condition, an event and one line.
//!
//! Mirrors: fluxcd/helm-controller and fluxcd/source-controller.

mod access;
mod advice;
mod artifact;
mod bucket;
mod bucket_access;
mod build;
mod chart_ref;
mod conflict;
pub mod context;
mod dependency;
pub mod determine;
mod drift;
mod execute;
mod external_artifact;
mod files;
pub mod folder;
mod git_access;
mod git_include;
mod git_repository;
mod git_signature;
mod helm_chart;
pub mod history;
mod ignore;
mod kube_config;
pub mod lease;
pub mod manager;
pub mod manner;
pub mod memory;
mod named_chart;
pub mod next;
pub mod notice;
mod oci_repository;
pub mod offer;
mod postrender;
mod prerequisite;
pub mod progress;
pub mod queue;
mod reconcile;
mod removal;
mod repository;
mod repository_chart;
pub mod request;
mod retry;
mod settled;
pub mod site;
mod source;
mod status;
pub mod suite;
pub mod summary;
pub mod target;
pub mod tree_chart;
mod unreadable;
pub mod values;
mod verification;
mod version;

pub use prerequisite::{compose_values, preview};
