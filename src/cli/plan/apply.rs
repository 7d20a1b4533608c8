//! `leadsman apply`: carries out a plan that was kept, if all is as it was.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};

use super::super::args::{Connection, Output};
use super::super::connect::{self, Connected};
use super::super::deploy;
use super::super::report::{self, Parts};
use super::super::site::{Site, stop_on_signal};
use super::super::ui::{self, Details};
use super::args::Apply;
use super::manner::{self, Ordered};
use super::wanted::{self, Asked, Standing};
use super::{defined, save};
use crate::api::HelmRelease;
use crate::base::file;
use crate::chart::{self, Chart};
use crate::plan::saved::check::{self, Difference};
use crate::plan::saved::{Action, LIMIT_BYTES, Revision, Saved};
use crate::plan::{self, Next};
use crate::release::{self, Origin, PostRendering, Record, RenderedRelease};
use crate::template::ReleaseInfo;

/// At most so many differences are told.
const TOLD: usize = 20;

/// Carries a plan out.
pub(crate) async fn apply(
    args: Apply,
    connection: &Connection,
    details: Details,
) -> anyhow::Result<ExitCode> {
    let path = args.file.display();
    let read = || {
        let saved = Saved::read(&file::read_bytes(&args.file, LIMIT_BYTES)?)?;
        let chart = saved.chart.chart()?;
        let release = saved.keeper.clone().map(serde_json::from_value::<HelmRelease>);
        anyhow::Ok((saved, chart, release.transpose()?))
    };
    let (saved, chart, release) = read().with_context(|| format!("plan {path}"))?;
    if let Some(namespace) =
        connection.namespace.as_ref().filter(|n| **n != saved.storage_namespace)
    {
        bail!(
            "plan {path} is of release {} in namespace {}, and not in {namespace}: leave -n out",
            saved.release,
            saved.storage_namespace
        );
    }
    let site = site(&saved, release.as_ref(), connection).await?;
    let processed = Arc::new(chart::process_dependencies(&chart, &saved.values)?.0);
    let plan = Plan { saved: &saved, chart: Arc::new(chart), processed, release: release.as_ref() };
    let (differences, standing) = plan.check(&site).await?;
    if !differences.is_empty() {
        bail!(refusal(&path.to_string(), &saved, &differences));
    }
    site.warn("at its next reconciliation it brings back what it says");
    let record = plan.carry_out(&site, standing).await?;
    if args.output == Output::Table && saved.action == Action::Upgrade {
        let name = &saved.release;
        ui::print(&format!("Release {name:?} has been upgraded. Happy Helming!\n"));
    }
    report::show(args.output, &record, Parts { debug: details.debug, ..Parts::default() })?;
    Ok(ExitCode::SUCCESS)
}

/// Connects to where the release is.
async fn site(
    saved: &Saved,
    release: Option<&HelmRelease>,
    connection: &Connection,
) -> anyhow::Result<Site> {
    let connected = connect::cluster(connection).await?;
    let connected = Connected { namespace: saved.storage_namespace.clone(), ..connected };
    let mut site = Site::within(connected, &saved.release).await?;
    if let Some(release) = release {
        site.keep(release);
    }
    site.rules = manner::rules(&saved.manner, release);
    Ok(site)
}

/// Says why a plan is not carried out.
fn refusal(path: &str, saved: &Saved, differences: &[Difference]) -> String {
    let mut text = format!(
        "nothing was changed: plan {path}, made at {}, does not hold any more",
        saved.made_at
    );
    for difference in differences.iter().take(TOLD) {
        text.push_str(&format!("\n  {difference}"));
    }
    if differences.len() > TOLD {
        text.push_str(&format!("\n  and {} more", differences.len() - TOLD));
    }
    text.push_str("\nhint: plan again, and look at what it shows; a plan is carried out only once");
    text
}

/// A plan that was read.
struct Plan<'a> {
    saved: &'a Saved,
    chart: Arc<Chart>,
    /// With its dependencies processed.
    processed: Arc<Chart>,
    release: Option<&'a HelmRelease>,
}

impl Plan<'_> {
    /// Compares what was seen with what is there: the cheapest first, and nothing further once
    /// something differs.
    async fn check(&self, site: &Site) -> anyhow::Result<(Vec<Difference>, Standing)> {
        let saved = self.saved;
        let standing = wanted::standing(&site.storage, &saved.release).await?;
        let names = saved.seen.places.keys().map(String::as_str);
        let mut differences = check::place(&saved.seen, &save::places(&site.cluster, names).await?);
        if differences.is_empty() {
            let current = standing.current.as_ref().map(Revision::of);
            let newest = standing.newest.as_ref().map(Revision::of);
            let newest = newest.as_ref().or(current.as_ref());
            differences = check::revisions(saved, (newest, current.as_ref()));
        }
        if differences.is_empty() {
            let live = self.live_keeper(site).await?;
            differences = check::keeper(saved.keeper.as_ref(), live.as_ref());
        }
        if differences.is_empty() {
            differences = self.check_rendering(site).await?;
        }
        if differences.is_empty() {
            differences = self.check_changes(site, standing.current.as_ref()).await?;
        }
        Ok((differences, standing))
    }

    /// Reads the `HelmRelease` of the plan, or the one that keeps the release now.
    async fn live_keeper(&self, site: &Site) -> anyhow::Result<Option<crate::yaml::Value>> {
        match (self.release, &site.kept) {
            (Some(release), _) => {
                let metadata = &release.metadata;
                save::read_keeper(&site.cluster, &metadata.namespace, &metadata.name).await
            }
            (None, Some(kept)) => save::read_keeper(&site.cluster, &site.namespace, kept).await,
            (None, None) => Ok(None),
        }
    }

    async fn check_rendering(&self, site: &Site) -> anyhow::Result<Vec<Difference>> {
        let saved = self.saved;
        let asked = Asked {
            chart: Arc::clone(&self.chart),
            values: saved.values.clone(),
            namespace: saved.namespace.clone(),
            post: self.release.map(PostRendering::of),
            check_schema: saved.manner.check_schema,
        };
        let info = ReleaseInfo {
            name: saved.release.clone(),
            namespace: saved.namespace.clone(),
            revision: saved.seen.newest.as_ref().map_or(0, |newest| newest.number) + 1,
            is_upgrade: saved.action == Action::Upgrade,
        };
        let capabilities = release::of_cluster(&site.cluster).await?;
        let now = wanted::render(&site.cluster, &asked, (info, &capabilities)).await?;
        Ok(check::rendering(saved, &now, &capabilities)?)
    }

    async fn check_changes(
        &self,
        site: &Site,
        current: Option<&Record>,
    ) -> anyhow::Result<Vec<Difference>> {
        let saved = self.saved;
        let next = Next {
            name: &saved.release,
            namespace: &saved.namespace,
            manifest: &saved.rendered.manifest,
            defined: &defined(&self.processed),
            current,
            makes_namespace: saved.manner.create_namespace,
            rules: &manner::told(&saved.manner),
        };
        let (findings, _) = plan::against_cluster(&site.cluster, next).await?;
        Ok(check::changes(&saved.seen.findings, &findings))
    }

    /// Does what was planned.
    async fn carry_out(&self, site: &Site, standing: Standing) -> anyhow::Result<Record> {
        let (saved, manner) = (self.saved, &self.saved.manner);
        let origin = self.release.map(Origin::of);
        let how = (manner.crds, manner.method, &manner.conflicts);
        release::install_crds(&site.env(), &self.processed, how, origin.as_ref()).await?;
        let ordered = Ordered {
            action: saved.action,
            name: saved.release.clone(),
            namespace: saved.namespace.clone(),
            // What was shown, to the last random character.
            rendered: RenderedRelease {
                chart: Arc::clone(&self.processed),
                manifest: saved.rendered.manifest.clone(),
                hooks: saved.rendered.hooks.clone(),
                notes: saved.rendered.notes.clone(),
            },
            config: saved.values.clone(),
            current: standing.current,
            newest: standing.newest,
            is_kept: self.release.is_some(),
        };
        let mut deploy = manner::deploy(manner, ordered)?;
        deploy.options.stop = Some(stop_on_signal(&saved.release)?);
        let word = saved.action.word();
        let failed = |(error, _): (release::Error, bool)| {
            anyhow::Error::new(error).context(format!("{} FAILED", word.to_uppercase()))
        };
        deploy::carry_out(site, deploy).await.map_err(failed)
    }
}
