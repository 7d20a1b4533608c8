//! The cluster that a rendering is tried in.

use anyhow::Context as _;

use super::args::Connection;
use super::connect;
use crate::base::class::chain;
use crate::cluster::Cluster;
use crate::release::{self, ClusterLookup};
use crate::template::Capabilities;

/// A cluster that answers.
pub(super) struct Target {
    pub(super) cluster: Cluster,
    pub(super) capabilities: Capabilities,
    pub(super) lookup: ClusterLookup,
}

impl Target {
    /// Connects to the cluster that the arguments or the environment name.
    pub(super) async fn reach(connection: &Connection) -> anyhow::Result<Self> {
        const AWAY: &str = "cluster reachability check failed: kubernetes cluster unreachable";
        let cluster = connect::cluster(connection).await.context(AWAY)?.cluster;
        cluster.version().await.map_err(|error| anyhow::anyhow!("{AWAY}: {}", chain(&error)))?;
        let capabilities = release::of_cluster(&cluster)
            .await
            .context("could not get apiVersions from Kubernetes")?;
        let lookup = ClusterLookup::new(cluster.clone());
        Ok(Self { cluster, capabilities, lookup })
    }
}
