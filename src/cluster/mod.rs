//! All that is said to a Kubernetes API, through [`kube::Client`] and nothing else.
//!
//! Invariants: objects are plain JSON ([`Object`]), no typed shapes; every request is bounded in
//! time; transient answers (429, 5xx, cut connections) are repeated in one place ([`retry`]), a
//! bounded number of times; whether an object works ([`status`]) and why not ([`cause`]) are pure
//! functions; a wait ([`wait`]) holds watches only, no slot, and ends when its future is dropped.
//!
//! Mirrors: client-go's discovery and REST mapper, kstatus as Flux links it (fluxcd/cli-utils
//! 1.2.2), Helm 4's server-side apply.
//!
//! ```no_run
//! # async fn example(client: kube::Client) -> Result<(), leadsman::cluster::Error> {
//! use leadsman::cluster::{ApplyOptions, Cluster, Object};
//! let cluster = Cluster::new(client, "helm-controller");
//! let map = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap",
//!     "metadata": {"name": "a", "namespace": "default"}, "data": {"k": "v"}});
//! let live = cluster.apply(&Object::from(map), &ApplyOptions::forced()).await?;
//! assert_eq!(live.id().to_string(), "ConfigMap/default/a");
//! # Ok(())
//! # }
//! ```

mod access;
pub mod cause;
mod client;
mod clientside;
mod discovery;
mod error;
mod health;
mod identity;
mod log;
mod object;
mod remote;
mod removal;
pub mod retry;
pub mod status;
mod table;
mod transport;
pub mod wait;
mod watch;

pub use access::Access;
pub use client::{ApplyOptions, Cluster, Selection, Validation};
pub use clientside::{PatchKind, Trying};
pub use discovery::{Resource, ServerVersion};
pub use error::{Error, StatusCause};
pub use health::{Health, HealthCheck};
pub use identity::{Account, Place};
pub use object::{Object, ObjectId};
pub use remote::Trust;
pub use removal::Propagation;
pub use watch::Change;
