//! What a folder of YAML asks for, as if a cluster had it: its releases, and where their charts come
//! from. The cluster is simulated, so that objects are checked as a server checks them.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context as _;
use serde_json::json;

use super::super::args::Connection;
use super::super::connect::Connected;
use super::super::{namespace, run, ui};
use crate::api::annotation::{RELEASE_MANAGER, SOURCE_MANAGER};
use crate::api::crd::{HELM_CHART_API, HELM_RELEASE_API, HELM_REPOSITORY_API, OCI_REPOSITORY_API};
use crate::base::class::chain;
use crate::cluster::{ApplyOptions, Cluster, Object};
use crate::controller::folder::{Content, Folder};
use crate::sim::{Sim, SimOptions};

/// Where objects are that name no namespace.
const DEFAULT: &str = "default";

/// Reads a folder, or a file; what cannot be used of it is said. Returns whether all of it could.
pub(super) async fn read(
    path: &Path,
    connection: &Connection,
) -> anyhow::Result<(Connected, bool)> {
    let content = if path.is_dir() {
        Folder::new(path, false).load().with_context(|| format!("read {}", path.display()))?
    } else {
        Content::of_file(path)
    };
    let lines = content.problems.iter();
    let mut lines: Vec<String> =
        lines.map(|problem| format!("{}: {}", problem.place, problem.reason)).collect();
    let simulated = Sim::new(SimOptions::default());
    let cluster = Cluster::new(simulated.client(DEFAULT), RELEASE_MANAGER);
    run::install_crds(&cluster, &|_| ()).await?;
    lines.extend(put(&cluster, &content).await?);
    lines.iter().for_each(|line| ui::say(line));
    let connected = Connected::new(cluster, namespace::of(connection))?;
    Ok((connected, lines.is_empty()))
}

/// Puts objects into the cluster that a release refers to; returns which could not be, a line each.
async fn put(cluster: &Cluster, content: &Content) -> anyhow::Result<Vec<String>> {
    let cluster = cluster.with_manager(SOURCE_MANAGER);
    let options = ApplyOptions::forced();
    let placed = content.objects.iter().filter_map(|object| Some((object.id(), known(object)?)));
    let placed: Vec<_> = placed.collect();
    let names: BTreeSet<&str> = placed.iter().map(|(_, object)| object.namespace()).collect();
    for name in names.into_iter().filter(|name| !["", DEFAULT].contains(name)) {
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        cluster.apply(&Object(namespace), &options).await?;
    }
    let mut failed = Vec::new();
    for (id, object) in &placed {
        if let Err(error) = cluster.apply(object, &options).await {
            let place = content.places.get(id).map(String::as_str).unwrap_or_default();
            let why = chain(&error).replace('\n', "; ");
            failed.push(format!("{place}: {id}: {why}; correct the object"));
        }
    }
    Ok(failed)
}

/// Returns an object that counts here, in the present version of its API.
fn known(object: &Object) -> Option<Object> {
    let api = object.api_version();
    let group = api.split_once('/').map_or("", |(group, _)| group);
    let present = match (group, object.kind()) {
        ("", "Secret") => "v1",
        ("helm.toolkit.fluxcd.io", "HelmRelease") => HELM_RELEASE_API,
        ("source.toolkit.fluxcd.io", "HelmRepository") => HELM_REPOSITORY_API,
        ("source.toolkit.fluxcd.io", "HelmChart") => HELM_CHART_API,
        ("source.toolkit.fluxcd.io", "OCIRepository") => OCI_REPOSITORY_API,
        _ => return None,
    };
    let mut object = object.clone();
    object.0["apiVersion"] = json!(present);
    Some(object)
}
