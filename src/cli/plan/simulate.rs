//! `leadsman plan --simulate`: the action, played before it is done.

use serde::Serialize;

use super::super::site::Site;
use super::manner::{self, Ordered};
use super::save::Planned;
use crate::plan::{Play, Rehearsal, Rehearsed};
use crate::release::Origin;

/// How it went.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Simulation {
    /// Whether it runs through.
    pub(super) passes: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) hint: &'static str,
    /// Objects that were left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) left_out: Vec<String>,
}

/// Plays a planned install or upgrade in a simulated cluster.
pub(super) async fn change(planned: &Planned<'_>, site: &Site) -> anyhow::Result<Simulation> {
    let Planned { found, wanted, action, manner, .. } = planned;
    let ordered = Ordered {
        action: *action,
        name: found.name.clone(),
        namespace: wanted.asked.namespace.clone(),
        rendered: wanted.rendered.clone(),
        config: wanted.asked.values.clone(),
        current: wanted.current.clone(),
        newest: wanted.newest.clone(),
        is_kept: found.release.is_some(),
    };
    let deploy = Play::Deploy {
        chart: &wanted.rendered.chart,
        crds: manner.crds,
        origin: found.release.as_ref().map(Origin::of),
        deploy: Box::new(manner::deploy(manner, ordered)?),
    };
    play(deploy, site).await
}

/// Plays an action in a simulated cluster.
pub(super) async fn play(play: Play<'_>, site: &Site) -> anyhow::Result<Simulation> {
    let rehearsal = Rehearsal {
        real: &site.cluster,
        storage_namespace: &site.namespace,
        driver: site.storage.driver(),
        play,
    };
    let Rehearsed { failure, left_out } = rehearsal.play().await?;
    Ok(Simulation {
        passes: failure.is_none(),
        hint: failure.as_ref().map_or("", |failure| failure.hint),
        reason: failure.map(|failure| failure.reason),
        left_out: left_out.iter().map(ToString::to_string).collect(),
    })
}
