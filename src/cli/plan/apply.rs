//! `leadsman apply`: carries out a plan that was kept, if all is as it was.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};

use super::super::args::{Connection, Output};
use super::super::connect::{self, Connected};
use super::super::report::{self, Parts};
use super::super::site::{Site, stop_on_signal};
use super::super::ui::{self, Details};
use super::super::undo::Undo;
use super::super::{deploy, inspect};
use super::args::Apply;
use super::manner::{self, Ordered};
use super::wanted::{self, Asked, Standing};
use super::{defined, rollback, save, sources, uninstall};
use crate::api::HelmRelease;
use crate::base::file;
use crate::chart::{self, Chart};
use crate::plan::saved::check::{self, Difference};
use crate::plan::saved::{Action, Deployment, LIMIT_BYTES, Revision, Saved, Task};
use crate::plan::{self, Next};
use crate::release::{self, Crds, Method, Options, Origin, PostRendering, Record, RenderedRelease};
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
        let release = saved.keeper.clone().map(serde_json::from_value::<HelmRelease>);
        anyhow::Ok((saved, release.transpose()?))
    };
    let (saved, release) = read().with_context(|| format!("plan {path}"))?;
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
    let ground = Ground { saved: &saved, release: release.as_ref(), site: &site };
    let stopped = |differences: &[Difference]| {
        anyhow::Error::msg(refusal(&path.to_string(), &saved, differences))
    };
    let (differences, standing) = ground.check().await?;
    if !differences.is_empty() {
        return Err(stopped(&differences));
    }
    match &saved.task {
        Task::Deploy(deployment) => {
            let plan = Plan::read(&ground, deployment).with_context(|| format!("plan {path}"))?;
            let differences = plan.check(standing.current.as_ref()).await?;
            if !differences.is_empty() {
                return Err(stopped(&differences));
            }
            plan.done(standing, (args.output, details)).await
        }
        Task::Rollback(then) => {
            let last = standing.last().context("release: not found")?;
            match rollback::check(&site, &saved, (then, last)).await? {
                Err(differences) => Err(stopped(&differences)),
                Ok(records) => {
                    rollback::carry_out(&site, &saved.manner, records, args.output).await
                }
            }
        }
        Task::Uninstall(removal) => {
            let last = standing.last().context("release: not found")?;
            let differences = uninstall::check(&site, &saved, (*removal, &last)).await?;
            if !differences.is_empty() {
                return Err(stopped(&differences));
            }
            site.warn("at its next reconciliation it installs it again; delete it to keep it away");
            uninstall::carry_out(&site, &saved.manner, (*removal, last), args.output).await
        }
    }
}

/// Connects to where the release is.
async fn site(
    saved: &Saved,
    release: Option<&HelmRelease>,
    connection: &Connection,
) -> anyhow::Result<Site> {
    let connected = connect::cluster(connection).await?;
    let mut site = match release {
        Some(release) => {
            let found = inspect::of_release(&connected, release.clone()).await?;
            Site::of_found(connected, &found).await?
        }
        None => {
            let connected = Connected { namespace: saved.storage_namespace.clone(), ..connected };
            Site::within(connected, &saved.release).await?
        }
    };
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

/// What any plan stands on.
#[derive(Clone, Copy)]
struct Ground<'a> {
    saved: &'a Saved,
    release: Option<&'a HelmRelease>,
    site: &'a Site,
}

impl Ground<'_> {
    /// Compares what was seen with what is there: the cheapest first, and nothing further once
    /// something differs.
    async fn check(&self) -> anyhow::Result<(Vec<Difference>, Standing)> {
        let Self { saved, site, .. } = *self;
        let standing = match saved.task {
            Task::Deploy(_) => wanted::standing(&site.storage, &saved.release).await?,
            // What runs now is what the newest revision says, whatever became of it.
            Task::Rollback(_) | Task::Uninstall(_) => {
                Standing { current: site.last(&saved.release).await?, newest: None }
            }
        };
        let names = saved.seen.places.keys().map(String::as_str);
        let mut differences = check::place(&saved.seen, &save::places(&site.cluster, names).await?);
        if differences.is_empty() {
            let current = standing.current.as_ref().map(Revision::of);
            let newest = standing.newest.as_ref().map(Revision::of);
            let newest = newest.as_ref().or(current.as_ref());
            differences = check::revisions(saved, (newest, current.as_ref()));
        }
        if differences.is_empty() {
            let live = save::keeper_of(site).await?;
            differences = check::keeper(saved.keeper.as_ref(), live.as_ref());
        }
        Ok((differences, standing))
    }
}

/// A plan of a revision.
struct Plan<'a> {
    ground: &'a Ground<'a>,
    deployment: &'a Deployment,
    chart: Arc<Chart>,
    /// With its dependencies processed.
    processed: Arc<Chart>,
}

impl<'a> Plan<'a> {
    fn read(ground: &'a Ground<'a>, deployment: &'a Deployment) -> anyhow::Result<Self> {
        let chart = deployment.chart.chart()?;
        let processed = Arc::new(chart::process_dependencies(&chart, &deployment.values)?.0);
        Ok(Self { ground, deployment, chart: Arc::new(chart), processed })
    }

    /// Compares what was seen with what is there, where the release is where it was.
    async fn check(&self, current: Option<&Record>) -> anyhow::Result<Vec<Difference>> {
        let mut differences = self.check_sources().await?;
        if differences.is_empty() {
            differences = self.check_rendering().await?;
        }
        if differences.is_empty() {
            differences = self.check_changes(current).await?;
        }
        Ok(differences)
    }

    /// Reads again what others keep of the values.
    async fn check_sources(&self) -> anyhow::Result<Vec<Difference>> {
        let Some(release) = self.ground.release else { return Ok(Vec::new()) };
        let Some(kept) = &self.ground.site.kept else { return Ok(Vec::new()) };
        if release.spec.values_from.is_empty() {
            return Ok(Vec::new());
        }
        let now = sources::read(&kept.cluster, release).await;
        Ok(check::sources(&self.deployment.sources, &now?))
    }

    async fn check_rendering(&self) -> anyhow::Result<Vec<Difference>> {
        let Ground { saved, release, site } = *self.ground;
        let asked = Asked {
            chart: Arc::clone(&self.chart),
            values: self.deployment.values.clone(),
            namespace: saved.namespace.clone(),
            sources: Vec::new(),
            post: release.map(PostRendering::of),
            how: saved.manner.rendering.clone(),
        };
        let info = ReleaseInfo {
            name: saved.release.clone(),
            namespace: saved.namespace.clone(),
            revision: saved.seen.newest.as_ref().map_or(0, |newest| newest.number) + 1,
            is_upgrade: self.deployment.action == Action::Upgrade,
        };
        let capabilities = release::of_cluster(&site.cluster).await?;
        let now = wanted::render(&site.cluster, &asked, (info, &capabilities)).await?;
        Ok(check::rendering((self.deployment, &saved.namespace), &now, &capabilities)?)
    }

    async fn check_changes(&self, current: Option<&Record>) -> anyhow::Result<Vec<Difference>> {
        let Ground { saved, site, .. } = *self.ground;
        let next = Next {
            name: &saved.release,
            namespace: &saved.namespace,
            manifest: &self.deployment.rendered.manifest,
            defined: &defined(&self.processed),
            current,
            makes_namespace: saved.manner.create_namespace,
            rules: &manner::told(&saved.manner),
        };
        let (findings, _) = plan::against_cluster(&site.cluster, next).await?;
        Ok(check::changes(&saved.seen.findings, &findings))
    }

    /// Does what was planned, and shows what came of it.
    async fn done(
        &self,
        standing: Standing,
        (output, details): (Output, Details),
    ) -> anyhow::Result<ExitCode> {
        let Ground { saved, site, .. } = *self.ground;
        site.warn("at its next reconciliation it brings back what it says");
        let record = self.carry_out(standing).await?;
        if output == Output::Table && self.deployment.action == Action::Upgrade {
            let name = &saved.release;
            ui::print(&format!("Release {name:?} has been upgraded. Happy Helming!\n"));
        }
        let (debug, hide_notes) = (details.debug, !saved.manner.shows_notes);
        report::show(output, &record, Parts { debug, hide_notes, ..Parts::default() })?;
        Ok(ExitCode::SUCCESS)
    }

    async fn carry_out(&self, standing: Standing) -> anyhow::Result<Record> {
        let Ground { saved, release, site } = *self.ground;
        let (manner, rendered) = (&saved.manner, &self.deployment.rendered);
        let origin = release.map(Origin::of);
        let crds = Crds {
            policy: manner.crds,
            method: manner.method,
            rules: &manner.conflicts,
            namespace: &saved.namespace,
            origin: origin.as_ref(),
        };
        release::install_crds(&site.env(), &self.processed, crds).await?;
        let action = self.deployment.action;
        let ordered = Ordered {
            action,
            name: saved.release.clone(),
            namespace: saved.namespace.clone(),
            // What was shown, to the last random character.
            rendered: RenderedRelease {
                chart: Arc::clone(&self.processed),
                manifest: rendered.manifest.clone(),
                hooks: rendered.hooks.clone(),
                notes: rendered.notes.clone(),
            },
            config: self.deployment.values.clone(),
            current: standing.current,
            newest: standing.newest,
            is_kept: release.is_some(),
        };
        let mut deploy = manner::deploy(manner, ordered)?;
        deploy.options.stop = Some(stop_on_signal(&saved.release)?);
        let carried = deploy::carry_out(site, deploy).await;
        let failed = match (carried, manner.undone_by) {
            (Ok(record), _) => return Ok(record),
            (Err((error, true)), Some(asked)) if !error.is_outage() => {
                undone(site, saved, (action, asked), error).await
            }
            (Err((error, _)), _) => error.into(),
        };
        Err(failed.context(format!("{} FAILED", action.word().to_uppercase())))
    }
}

/// Takes back what a failed action did; returns what there is to say.
async fn undone(
    site: &Site,
    saved: &Saved,
    (action, asked): (Action, Method),
    error: release::Error,
) -> anyhow::Error {
    let manner = &saved.manner;
    let undo = Undo {
        timeout: manner.timeout.0,
        wait_for_jobs: manner.wait_for_jobs,
        hooks: manner.hooks,
    };
    let options = |target: Method| {
        let (conflicts, replace) = (manner.conflicts.clone(), manner.replace);
        Ok(Options { method: asked.or(target), replace, conflicts, ..Options::default() })
    };
    match action {
        Action::Install => undo.install(site, &saved.release, error).await,
        Action::Upgrade => undo.upgrade(site, &saved.release, error, &options).await,
    }
}
