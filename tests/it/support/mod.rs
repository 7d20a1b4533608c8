//! What integration tests share: real parts, loopback servers, our own binary, waiting.
//!
//! Everything runs on loopback and keeps its files in temporary folders. A part that is not there
//! makes a test skip, aloud, unless `LEADSMAN_REQUIRE` names it ([`parts`]). Nothing waits for a
//! fixed time: [`wait::until`] asks again until a deadline.
//!
//! ```ignore
//! let Some(cluster) = ControlPlane::shared() else { return };
//! let api = cluster.api().await;
//! let namespace = api.create_namespace("upgrade").await;
//! let repository = Repository::start();
//! repository.publish_folder(&fixtures().join("charts/web/1.0.0"));
//! let ours = Leadsman::new().kubeconfig(cluster.kubeconfig()).spawn(&["run", folder]);
//! until("web is ready", SOON, async || api.get(&path).await.filter(is_ready)).await;
//! ```
#![allow(dead_code, reason = "not every test file uses every helper")]

pub(crate) mod api;
pub(crate) mod bucket;
pub(crate) mod chart;
pub(crate) mod control_plane;
pub(crate) mod corpus;
pub(crate) mod fault;
pub(crate) mod git;
pub(crate) mod helm;
pub(crate) mod leadsman;
pub(crate) mod pack;
pub(crate) mod pair;
pub(crate) mod parts;
pub(crate) mod port;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod registry;
pub(crate) mod relay;
pub(crate) mod repository;
pub(crate) mod serve;
pub(crate) mod sign;
pub(crate) mod signed;
pub(crate) mod single;
pub(crate) mod socks;
pub(crate) mod sshd;
pub(crate) mod stage;
pub(crate) mod terminal;
pub(crate) mod token;
pub(crate) mod wait;

use std::path::{Path, PathBuf};

/// Returns the folder of the inputs that are kept with the code.
pub(crate) fn fixtures() -> PathBuf {
    root().join("fixtures")
}

/// Returns the folder of the package.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
