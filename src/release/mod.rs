//! Releases: rendering, manifests, Helm's records, actions.
//!
//! Invariants: what is decided is decided by pure functions over plain data; a record is written
//! before the first object is touched and after the last, so that a killed action leaves a trace;
//! manifests and records are Helm's, byte for byte, so that both can take over from each other.
//!
//! Mirrors: helm v4.3.1 pkg/action, pkg/release, pkg/storage.

mod action;
mod apply;
mod capabilities;
mod clientside;
pub mod conflict;
mod crd;
pub mod digest;
mod drift;
mod driver;
mod error;
mod gojson;
mod hook;
pub mod inventory;
mod jsondiff;
pub mod lint;
mod live;
mod lookup;
mod manager;
pub mod manifest;
pub mod mask;
mod members;
mod method;
mod options;
mod origin;
mod pack;
mod parts;
pub mod postrender;
mod preflight;
pub mod record;
mod render;
mod restate;
mod rollback;
mod serverside;
mod split;
mod storage;
mod stored;
mod suite;
mod trial;
mod tried;
mod uninstall;

pub use action::{Deploy, Env, Kind, Outcome, check_name, deploy, unlock};
pub use apply::outlives_upgrade;
pub use capabilities::{of_cluster, offline};
pub use crd::{Crds, install_crds};
pub use drift::{Drift, Ignore, correct, find as find_drift};
pub use driver::Driver;
pub use error::Error;
pub use gojson::go_json;
pub use live::{Form, Live, live};
pub use lookup::{ClusterLookup, in_place};
pub use method::Method;
pub use options::{Options, merge_labels};
pub use origin::Origin;
pub use postrender::PostRendering;
pub use record::Record;
pub use render::{RenderRequest, RenderedRelease, Renderer, Rendering};
pub use rollback::{Rollback, rollback};
pub use serverside::InTheWay;
pub use storage::{Head, Storage};
pub use stored::StoredChart;
pub use suite::{Filters, Suite, Tested, test};
pub use trial::{Conflicts, Trial};
pub use tried::{Tried, surplus, try_manifest};
pub use uninstall::{
    Parting, Spared, Uninstall, plan_uninstall, try_uninstall, uninstall, uninstall_telling,
};
