//! What every reconciliation needs.

use std::sync::Arc;
use std::time::Duration;

use super::notice::Recorder;
use super::queue::Backoff;
use super::site::{SiteOptions, Sites};
use crate::base::clock::Clock;
use crate::cluster::Cluster;
use crate::repo::{Repositories, Storage};
use crate::signature::TrustedRoot;

/// How the controller behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Overrules `spec.interval` of all kinds.
    pub interval: Option<Duration>,
    /// Pauses after failures.
    pub backoff: Backoff,
    /// Pause of a release that waits for another or for its repository.
    pub requeue_dependency: Duration,
    /// Where, and as whom, releases are installed.
    pub sites: SiteOptions,
    /// Whose certificates and logs count where an object names no root of its own.
    pub trusted_root: Option<Arc<TrustedRoot>>,
    /// Where artifacts are kept for others to read; none: they are not served.
    pub storage: Option<Arc<Storage>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            interval: None,
            backoff: Backoff {
                first: Duration::from_millis(750),
                longest: Duration::from_secs(15 * 60),
            },
            requeue_dependency: Duration::from_secs(30),
            sites: SiteOptions::default(),
            trusted_root: None,
            storage: None,
        }
    }
}

/// What every reconciliation needs.
#[derive(Debug)]
pub struct Context {
    /// The cluster.
    pub cluster: Cluster,
    /// Indexes and charts.
    pub repositories: Arc<Repositories>,
    /// Compiled charts.
    pub renderer: crate::release::Renderer,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Events.
    pub recorder: Recorder,
    /// Behavior.
    pub options: Options,
    /// Where releases are installed.
    pub sites: Sites,
}
