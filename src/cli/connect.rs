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
    let options = kube::config::KubeConfigOptions {
        context: connection.context.clone(),
        ..kube::config::KubeConfigOptions::default()
    };
    let config = match &connection.kubeconfig {
        Some(path) => {
            let read = kube::config::Kubeconfig::read_from(path)
                .with_context(|| format!("read kubeconfig `{}`", path.display()))?;
            kube::Config::from_custom_kubeconfig(read, &options)
                .await
                .context("use the kubeconfig")?
        }
        None if connection.context.is_some() => kube::Config::from_kubeconfig(&options)
            .await
            .context("find a cluster: give --kubeconfig FILE, or set KUBECONFIG")?,
        None => kube::Config::infer()
            .await
            .context("find a cluster: give --kubeconfig FILE, or set KUBECONFIG")?,
    };
    let namespace =
        connection.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let cluster = Cluster::connect(config, RELEASE_MANAGER).context("connect to the cluster")?;
    Ok(Connected { cluster, namespace })
}

/// Returns the repositories of a command.
pub(super) fn repositories(sources: &Sources) -> anyhow::Result<Repositories> {
    let fetcher = Fetcher::new(Mirrors(sources.mirror.clone())).context("start the HTTP client")?;
    Ok(Repositories::new(fetcher, &sources.cache))
}
