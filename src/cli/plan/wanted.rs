//! What a release would become: the chart and values that are asked for, rendered for the cluster.

use std::sync::Arc;

use anyhow::bail;

use super::super::connect::Connected;
use super::super::explain;
use super::super::inspect::Found;
use super::super::{chart as named, values};
use super::args::Asking;
use crate::chart::{self, Chart, merge_values};
use crate::controller::target::Target;
use crate::release::manifest::Hook;
use crate::release::{
    self, ClusterLookup, Head, PostRendering, Record, RenderRequest, RenderedRelease, Renderer,
};
use crate::template::ReleaseInfo;
use crate::yaml::Map;

/// A revision that might be.
pub(super) struct Wanted {
    pub(super) chart: Arc<Chart>,
    pub(super) manifest: String,
    pub(super) hooks: Vec<Hook>,
    pub(super) namespace: String,
    /// What it would replace; none: it would be the first.
    pub(super) current: Option<Record>,
}

/// Finds and renders it.
pub(super) async fn find(
    connected: &Connected,
    found: &Found,
    chart: Option<&str>,
    asking: &Asking,
) -> anyhow::Result<Wanted> {
    let heads = found.storage.heads(&found.name).await?;
    let after = heads.first().map_or(0, |head| head.version);
    let current = match Head::current(&heads) {
        Some(head) if head.status != "uninstalled" => {
            found.storage.get(&found.name, head.version).await?
        }
        _ => None,
    };
    let asked = asked(connected, found, (chart, asking), current.as_ref()).await?;
    let release = ReleaseInfo {
        name: found.name.clone(),
        namespace: asked.namespace.clone(),
        revision: after + 1,
        is_upgrade: current.is_some(),
    };
    let RenderedRelease { chart, manifest, hooks, .. } = render(connected, &asked, release).await?;
    Ok(Wanted { chart, manifest, hooks, namespace: asked.namespace, current })
}

/// A chart, and what it is rendered with.
struct Asked<'a> {
    chart: Arc<Chart>,
    values: Map,
    namespace: String,
    /// What the `HelmRelease` has done to the objects, if there is one.
    post: Option<PostRendering<'a>>,
}

/// Finds the chart and the values: those of the `HelmRelease`, if there is one, below those of the
/// command line.
async fn asked<'a>(
    connected: &Connected,
    found: &'a Found,
    (chart, asking): (Option<&str>, &Asking),
    current: Option<&Record>,
) -> anyhow::Result<Asked<'a>> {
    let given = values::merge(&asking.values)?.values;
    let named = match chart {
        Some(name) => {
            let load = |bytes: Vec<u8>| chart::load_archive(&bytes);
            Some(named::load(name, &asking.from, load).await?)
        }
        None => None,
    };
    if let Some(helm_release) = &found.release {
        let mut composed = Map::new();
        let sources = &asking.from.sources;
        let own = explain::preview(connected, sources, helm_release, &mut composed).await?;
        let (mut chart, mut values) = (named.unwrap_or(own), merge_values(composed, given));
        if let Some(last) = current.filter(|_| helm_release.spec.upgrade.preserve_values) {
            let (reused, all) = last.reuse_values(&chart, values)?;
            (chart, values) = (Arc::new(reused), all);
        }
        return Ok(Asked {
            chart,
            values,
            namespace: Target::of(helm_release).namespace,
            post: Some(PostRendering::of(helm_release)),
        });
    }
    let (name, namespace) = (&found.name, &connected.namespace);
    let Some(chart) = named else {
        bail!(
            "no HelmRelease '{name}' in namespace {namespace} says which chart it should run: \
             name one, as in `leadsman plan {name} CHART`"
        );
    };
    // Without any of its own an upgrade goes on with the values of the release.
    let last = current.map(Record::values);
    let values = if given.is_empty() { last.unwrap_or_default() } else { given };
    Ok(Asked { chart, values, namespace: namespace.clone(), post: None })
}

/// Renders for the cluster, whose answers to `lookup` count.
async fn render(
    connected: &Connected,
    asked: &Asked<'_>,
    release: ReleaseInfo,
) -> anyhow::Result<RenderedRelease> {
    let capabilities = release::of_cluster(&connected.cluster).await?;
    let lookup = ClusterLookup::new(connected.cluster.clone());
    let request = RenderRequest {
        chart: &asked.chart,
        values: &asked.values,
        release,
        capabilities: &capabilities,
        lookup: Some(&lookup),
        hosts: None,
        check_schema: true,
    };
    let renderer = Renderer::default();
    let rendered = tokio::task::block_in_place(|| match &asked.post {
        Some(post) => renderer.render_for(&request, post),
        None => renderer.render(&request),
    });
    // What the template says then is not the template's fault.
    match lookup.into_outage() {
        Some(error) => Err(error.into()),
        None => Ok(rendered?),
    }
}
