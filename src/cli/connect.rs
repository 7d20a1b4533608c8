//! Ways to a cluster and to repositories.

use anyhow::Context as _;

use super::args::{Connection, Sources};
use crate::api::annotation::RELEASE_MANAGER;
use crate::cluster::Cluster;
use crate::repo::Repositories;
use crate::source::{Fetcher, Mirrors};

/// A cluster, and the namespace that is meant without `-n`.
pub(super) struct Connected {
    pub(super) cluster: Cluster,
    pub(super) namespace: String,
}

/// Connects to the cluster that the arguments or the environment name.
pub(super) async fn cluster(connection: &Connection) -> anyhow::Result<Connected> {
    let file = connection.kubeconfig.as_deref();
    let context = connection.context.as_deref();
    let (cluster, default) = Cluster::from_kubeconfig(file, context, RELEASE_MANAGER).await?;
    Ok(Connected { cluster, namespace: connection.namespace.clone().unwrap_or(default) })
}

/// Returns the repositories of a command.
pub(super) fn repositories(sources: &Sources) -> anyhow::Result<Repositories> {
    let fetcher = Fetcher::new(Mirrors(sources.mirror.clone())).context("start the HTTP client")?;
    Ok(Repositories::new(fetcher, &sources.cache))
}
