//! `leadsman plan --save`: a plan with all that it was made from.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};

use super::super::inspect::Found;
use super::super::site::{Keeper, Site};
use super::super::ui;
use super::wanted::{self, Asked, Wanted};
use crate::api::crd::HELM_RELEASE_API;
use crate::base::clock::{Clock as _, SystemClock, rfc3339_seconds};
use crate::base::file;
use crate::cluster::{Cluster, ObjectId};
use crate::plan::saved::{
    Action, Deployment, How, Manner, Packed, Rendered, Revision, Saved, Seen, Task,
};
use crate::plan::{Finding, What};
use crate::release::Record;
use crate::release::conflict::Policy;
use crate::yaml::Value;

/// Namespace that every cluster has, and that is never made anew.
const OF_THE_CLUSTER: &str = "kube-system";

/// What is kept.
pub(super) struct Planned<'a> {
    pub(super) found: &'a Found,
    pub(super) wanted: Wanted<'a>,
    pub(super) action: Action,
    pub(super) manner: Manner,
    pub(super) findings: Vec<Finding>,
    pub(super) unchanged: usize,
}

/// Writes a plan of a new revision, if it can be carried out.
pub(super) async fn save(path: &Path, planned: Planned<'_>, site: &Site) -> anyhow::Result<()> {
    refusal(planned.wanted.last(), &planned.findings).context("the plan is not kept")?;
    let Planned { found, wanted, action, manner, findings, unchanged } = planned;
    let chart = Packed::of(&wanted.asked.chart)?;
    let rendered = rendered(&chart, &wanted, site).await?;
    let deployment = Deployment {
        action,
        chart,
        values: wanted.asked.values.clone(),
        sources: wanted.asked.sources.clone(),
        rendered,
        kubernetes: wanted.capabilities.kube_version.clone(),
        api_versions: wanted.capabilities.api_versions.iter().cloned().collect(),
    };
    let kept = Keeping {
        task: Task::Deploy(Box::new(deployment)),
        release: &found.name,
        namespace: &wanted.asked.namespace,
        keeper: keeper(found, site).await?,
        manner,
        newest: wanted.last(),
        current: wanted.current.as_ref(),
        findings,
        unchanged,
    };
    keep(path, kept, site).await
}

/// What is written.
pub(super) struct Keeping<'a> {
    pub(super) task: Task,
    pub(super) release: &'a str,
    pub(super) namespace: &'a str,
    pub(super) keeper: Option<Value>,
    pub(super) manner: Manner,
    pub(super) newest: Option<&'a Record>,
    pub(super) current: Option<&'a Record>,
    pub(super) findings: Vec<Finding>,
    pub(super) unchanged: usize,
}

/// Writes a plan of a release that is there, if it can be carried out.
pub(super) async fn save_of_release(
    path: &Path,
    kept: Keeping<'_>,
    site: &Site,
) -> anyhow::Result<()> {
    refusal(None, &kept.findings).context("the plan is not kept")?;
    keep(path, kept, site).await
}

/// Reads the `HelmRelease` that keeps the release of a site.
pub(super) async fn keeper_of(site: &Site) -> anyhow::Result<Option<Value>> {
    match &site.kept {
        Some(kept) => read_keeper(kept).await,
        None => Ok(None),
    }
}

async fn keep(path: &Path, kept: Keeping<'_>, site: &Site) -> anyhow::Result<()> {
    let places = places(&site.cluster, [OF_THE_CLUSTER, kept.namespace]).await?;
    if places.is_empty() {
        bail!(
            "the plan is not kept: neither namespace {OF_THE_CLUSTER} nor {} can be read, and \
             nothing else tells this cluster from another",
            kept.namespace
        );
    }
    let saved = Saved {
        made_by: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: rfc3339_seconds(SystemClock.now()),
        task: kept.task,
        release: kept.release.to_owned(),
        namespace: kept.namespace.to_owned(),
        storage_namespace: site.namespace.clone(),
        keeper: kept.keeper,
        manner: kept.manner,
        seen: Seen {
            places,
            newest: kept.newest.map(Revision::of),
            current: kept.current.map(Revision::of),
            findings: kept.findings,
            unchanged: kept.unchanged,
        },
    };
    file::write_private(path, &saved.write()?)?;
    let path = path.display();
    ui::say(&format!(
        "The plan is kept in {path}, with all values and what Secrets hold: only its owner may \
         read it. To carry it out: leadsman apply {path}"
    ));
    Ok(())
}

/// Refuses what is known not to work.
fn refusal(last: Option<&Record>, findings: &[Finding]) -> anyhow::Result<()> {
    if let Some(last) = last.filter(|last| last.is_pending()) {
        bail!(
            "revision {} is {}: another operation (install/upgrade/rollback) is in progress",
            last.version,
            last.info.status
        );
    }
    for Finding { change, .. } in findings {
        if let What::Refuse { reason } = &change.what {
            bail!("the cluster refuses {}: {}", change.object, reason.trim_end());
        }
        if let Some(one) = change.conflicts.iter().find(|one| one.policy == Policy::Fail) {
            let field = &one.field;
            bail!(
                "{field} of {} belongs to {}: --conflicts '{field}=force' takes it over, \
                 '{field}=leave' leaves it",
                change.object,
                one.manager
            );
        }
    }
    Ok(())
}

/// Renders what was packed, and finds out which fields come out otherwise each time.
async fn rendered(chart: &Packed, wanted: &Wanted<'_>, site: &Site) -> anyhow::Result<Rendered> {
    let asked = Asked {
        chart: Arc::new(chart.chart()?),
        values: wanted.asked.values.clone(),
        namespace: wanted.asked.namespace.clone(),
        sources: Vec::new(),
        post: wanted.asked.post.clone(),
        how: How { check_schema: false, ..wanted.asked.how.clone() },
    };
    let told = (wanted.info.clone(), &wanted.capabilities);
    let again = wanted::render(&site.cluster, &asked, told).await?;
    match Rendered::of(&wanted.rendered, &again, &asked.namespace)? {
        Ok(rendered) => Ok(rendered),
        Err(object) => bail!(
            "the plan is not kept: the chart renders {object} only sometimes (its name or kind is \
             made up each time), so that nobody could tell later whether it is the planned one"
        ),
    }
}

/// Returns the uids of namespaces that are there and may be read.
pub(super) async fn places(
    cluster: &Cluster,
    names: impl IntoIterator<Item = &str>,
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for name in names {
        match cluster.get(&ObjectId::new("v1", "Namespace", "", name)).await {
            Ok(Some(namespace)) => {
                found.insert(name.to_owned(), namespace.uid().to_owned());
            }
            Ok(None) => {}
            Err(error) if error.code() == Some(403) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

/// Reads the `HelmRelease` whose plan it is.
async fn keeper(found: &Found, site: &Site) -> anyhow::Result<Option<Value>> {
    let Some(release) = &found.release else {
        // What it asks for would be undone by what it did not see.
        if let Some(kept) = &site.kept {
            bail!(
                "the plan is not kept: HelmRelease {kept} keeps release {}: plan that, as in \
                 `leadsman plan {kept} --save FILE`",
                found.name
            );
        }
        return Ok(None);
    };
    let metadata = &release.metadata;
    let live = keeper_of(site).await?;
    let same = |live: &Value| {
        live.pointer("/metadata/generation").and_then(Value::as_i64) == Some(metadata.generation)
    };
    match live {
        Some(live) if same(&live) => Ok(Some(live)),
        Some(_) | None => bail!("HelmRelease {} was changed meanwhile: plan again", metadata.key()),
    }
}

/// Reads a `HelmRelease`, without what servers and controllers write into it.
async fn read_keeper(kept: &Keeper) -> anyhow::Result<Option<Value>> {
    let Keeper { cluster, namespace, name } = kept;
    if cluster.resource(HELM_RELEASE_API, "HelmRelease").await?.is_none() {
        return Ok(None);
    }
    let id = ObjectId::new(HELM_RELEASE_API, "HelmRelease", namespace, name);
    let Some(mut live) = cluster.get(&id).await? else { return Ok(None) };
    if let Value::Object(map) = &mut live.0 {
        map.remove("status");
        if let Some(Value::Object(metadata)) = map.get_mut("metadata") {
            metadata.remove("managedFields");
        }
    }
    Ok(Some(live.0))
}
