//! What a release would become: the chart and values that are asked for, rendered for the cluster.

use std::sync::Arc;

use anyhow::bail;

use super::super::connect::Connected;
use super::super::deploy::Ordered;
use super::super::inspect::Found;
use super::super::{chart as named, explain, refresh, values};
use super::args::{Acting, Asking};
use super::manner;
use super::sources::Sourced;
use crate::chart::{self, Chart, merge_values};
use crate::cluster::Cluster;
use crate::controller::target::Target;
use crate::plan::saved::{Action, How, ValuesSource};
use crate::release::{
    self, ClusterLookup, Head, PostRendering, Record, RenderRequest, RenderedRelease, Renderer,
    Storage,
};
use crate::template::{Capabilities, ReleaseInfo};
use crate::yaml::Map;

/// A revision that might be.
pub(super) struct Wanted<'a> {
    /// What it is made of.
    pub(super) asked: Asked<'a>,
    pub(super) info: ReleaseInfo,
    /// What it is told of the cluster.
    pub(super) capabilities: Capabilities,
    pub(super) rendered: RenderedRelease,
    /// What it would replace; none: it would be the first.
    pub(super) current: Option<Record>,
    /// The newest revision, if it is another than the current one.
    pub(super) newest: Option<Record>,
}

/// A chart, and what it is rendered with.
pub(super) struct Asked<'a> {
    pub(super) chart: Arc<Chart>,
    pub(super) values: Map,
    pub(super) namespace: String,
    /// Where values come from that the `HelmRelease` refers to.
    pub(super) sources: Vec<ValuesSource>,
    /// What the `HelmRelease` has done to the objects, if there is one.
    pub(super) post: Option<PostRendering<'a>>,
    /// How it is rendered.
    pub(super) how: How,
}

impl Wanted<'_> {
    /// Returns the newest revision, whatever became of it.
    pub(super) fn last(&self) -> Option<&Record> {
        self.newest.as_ref().or(self.current.as_ref())
    }
}

/// Finds and renders it.
pub(super) async fn find<'a>(
    connected: &Connected,
    found: &'a Found,
    (chart, asking): (Option<&str>, &Asking),
    acting: Option<(&Acting, bool)>,
) -> anyhow::Result<Wanted<'a>> {
    let Standing { current, newest } = standing(&found.storage, &found.name).await?;
    let after = newest.as_ref().or(current.as_ref()).map_or(0, |record| record.version);
    let asked = asked(connected, found, (chart, asking, acting), current.as_ref()).await?;
    let info = ReleaseInfo {
        name: found.name.clone(),
        namespace: asked.namespace.clone(),
        revision: after + 1,
        is_upgrade: current.is_some(),
    };
    let capabilities = release::of_cluster(&found.cluster).await?;
    let rendered = render(&found.cluster, &asked, (info.clone(), &capabilities)).await?;
    Ok(Wanted { asked, info, capabilities, rendered, current, newest })
}

/// Where a release is.
pub(super) struct Standing {
    /// The revision that a next one is compared with.
    pub(super) current: Option<Record>,
    /// The newest revision, if it is another one.
    pub(super) newest: Option<Record>,
}

impl Standing {
    /// Returns the newest revision, whatever became of it.
    pub(super) fn last(self) -> Option<Record> {
        self.newest.or(self.current)
    }
}

/// Finds out where a release is.
pub(super) async fn standing(storage: &Storage, name: &str) -> anyhow::Result<Standing> {
    let heads = storage.heads(name).await?;
    let current = match Head::current(&heads) {
        Some(head) if head.status != "uninstalled" => storage.get(name, head.version).await?,
        Some(_) | None => None,
    };
    let known = current.as_ref().map(|record| record.version);
    let newest = match heads.first() {
        Some(head) if Some(head.version) != known => storage.get(name, head.version).await?,
        Some(_) | None => None,
    };
    Ok(Standing { current, newest })
}

/// Finds the chart and the values: those of the `HelmRelease`, if there is one, below those of the
/// command line.
async fn asked<'a>(
    connected: &Connected,
    found: &'a Found,
    (chart, asking, acting): (Option<&str>, &Asking, Option<(&Acting, bool)>),
    current: Option<&Record>,
) -> anyhow::Result<Asked<'a>> {
    let given = values::merge(&asking.values)?.values;
    let named = match chart {
        Some(name) => {
            let load = |bytes: Vec<u8>| chart::load_archive(&bytes);
            let loaded = named::load(name, &asking.from, load).await?;
            let is_completed = acting.is_some_and(|(_, is_completed)| is_completed);
            Some(refresh::complete(loaded, name, (&asking.from, is_completed)).await?)
        }
        None => None,
    };
    if let Some(helm_release) = &found.release {
        let mut composed = Sourced::of(&helm_release.metadata.namespace);
        let sources = &asking.from.sources;
        let action = if current.is_some() { Action::Upgrade } else { Action::Install };
        let own = explain::preview(connected, sources, helm_release, &mut composed).await?;
        let (mut chart, mut values) = (named.unwrap_or(own), merge_values(composed.values, given));
        if let Some(last) = current.filter(|_| helm_release.spec.upgrade.preserve_values) {
            let (reused, all) = last.reuse_values(&chart, values)?;
            (chart, values) = (Arc::new(reused), all);
        }
        return Ok(Asked {
            chart,
            values,
            namespace: Target::of(helm_release).namespace,
            sources: composed.sources,
            post: Some(PostRendering::of(helm_release)),
            how: manner::rendering_of(helm_release, action),
        });
    }
    let (name, namespace) = (&found.name, &connected.namespace);
    let Some(chart) = named else {
        bail!(
            "no HelmRelease '{name}' in namespace {namespace} says which chart it should run: \
             name one, as in `leadsman plan {name} CHART`"
        );
    };
    let acting = acting.map(|(acting, _)| acting);
    let (chart, values) = match (current, acting) {
        (Some(current), Some(acting)) => acting.reused.apply(chart, given, current)?,
        // Without any of its own an upgrade goes on with the values of the release.
        (Some(current), None) if given.is_empty() => (chart, current.values()),
        (Some(_) | None, _) => (chart, given),
    };
    Ok(Asked {
        chart,
        values,
        namespace: namespace.clone(),
        sources: Vec::new(),
        post: None,
        how: acting.map_or_else(manner::rendering, Acting::rendering),
    })
}

/// Renders for the cluster, whose answers to `lookup` count.
pub(super) async fn render(
    cluster: &Cluster,
    asked: &Asked<'_>,
    (release, capabilities): (ReleaseInfo, &Capabilities),
) -> anyhow::Result<RenderedRelease> {
    let lookup = ClusterLookup::new(cluster.clone());
    let rendered =
        match &asked.post {
            Some(post) => {
                let request = RenderRequest {
                    chart: &asked.chart,
                    values: &asked.values,
                    release,
                    capabilities,
                    lookup: Some(&lookup),
                    hosts: None,
                    check_schema: asked.how.check_schema,
                };
                tokio::task::block_in_place(|| Renderer::default().render_for(&request, post))
            }
            None => Ordered::of(Arc::clone(&asked.chart), asked.values.clone(), &asked.how)?
                .render(&asked.how, release, (capabilities, Some(&lookup))),
        };
    // What the template says then is not the template's fault.
    match lookup.into_outage() {
        Some(error) => Err(error.into()),
        None => Ok(rendered?),
    }
}
