//! `leadsman upgrade`.
//!
//! Source: helm v4.3.2 pkg/cmd/upgrade.go, pkg/action/upgrade.go.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args as ClapArgs;

use super::args::{Connection, Output};
use super::deploy::{self, Ordered, Plan};
use super::install::{self, Install};
use super::release_args::{Deploying, Depth, Keeping, ReusedValues};
use super::site::{Site, stop_on_signal};
use super::ui::Details;
use super::undo::Undo;
use super::{report, ui};
use crate::base::name::ReleaseName;
use crate::release::{
    self, ClusterLookup, Conflicts, Deploy, Kind, Method, Options, Record, Trial, merge_labels,
};
use crate::template::ReleaseInfo;

#[derive(Debug, ClapArgs)]
pub(super) struct Upgrade {
    /// Name of the release.
    pub(super) release: String,
    /// Archive, folder or name of the chart.
    pub(super) chart: String,
    /// Install the release if there is none.
    #[arg(short, long)]
    pub(super) install: bool,
    #[command(flatten)]
    pub(super) reused: ReusedValues,
    /// After a failure, delete objects that this upgrade created.
    #[arg(long)]
    pub(super) cleanup_on_fail: bool,
    #[command(flatten)]
    pub(super) keeping: Keeping,
    #[command(flatten)]
    pub(super) deploy: Deploying,
}

pub(super) async fn run(
    args: Upgrade,
    connection: &Connection,
    details: Details,
) -> anyhow::Result<ExitCode> {
    let common = &args.deploy;
    common.dry.depth()?;
    let mut site = Site::of(connection, &args.release).await?;
    site.rules = common.waiting.rules();
    let is_table = common.output == Output::Table;
    if args.install && is_absent(&site, &args.release).await? {
        if is_table {
            ui::print(&format!("Release {:?} does not exist. Installing it now.\n", args.release));
        }
        let install = Install {
            words: vec![args.release, args.chart],
            generate_name: false,
            name_template: String::new(),
            replace: true,
            deploy: args.deploy,
        };
        let record = install::install(&install, connection).await?;
        let parts = install::parts(&install.deploy, details);
        report::show(install.deploy.output, &record, parts)?;
        return Ok(ExitCode::SUCCESS);
    }
    let ordered = Ordered::load(&args.chart, common).await?;
    let record = upgrade(&args, ordered, &site).await.context("UPGRADE FAILED")?;
    if is_table {
        let name = &args.release;
        ui::print(&format!("Release {name:?} has been upgraded. Happy Helming!\n"));
    }
    report::show(common.output, &record, install::parts(common, details))?;
    Ok(ExitCode::SUCCESS)
}

async fn is_absent(site: &Site, name: &str) -> anyhow::Result<bool> {
    let heads = site.storage.heads(name).await?;
    Ok(heads.first().is_none_or(|head| head.status == "uninstalled"))
}

/// Upgrades a release and returns its new record.
async fn upgrade(args: &Upgrade, mut ordered: Ordered, site: &Site) -> anyhow::Result<Record> {
    let common = &args.deploy;
    let depth = common.dry.depth()?;
    if args.release.parse::<ReleaseName>().is_err() {
        bail!("release name is invalid: {}", args.release);
    }
    deploy::check_hiding(common, depth)?;
    let (current, last) = records(site, args).await?;
    let given = std::mem::take(&mut ordered.values);
    (ordered.chart, ordered.values) = args.reused.apply(ordered.chart, given, &current)?;
    if depth == Depth::Whole {
        site.warn("at its next reconciliation it brings back what it says");
    }
    let capabilities = release::of_cluster(&site.cluster).await?;
    let lookup = ClusterLookup::new(site.cluster.clone());
    let info = ReleaseInfo {
        name: args.release.clone(),
        namespace: current.namespace.clone(),
        revision: last.version + 1,
        is_upgrade: true,
    };
    let told = (&capabilities, (depth != Depth::Client).then_some(&lookup));
    let rendered = ordered.render(&common.rendering(), info, told)?;
    let method = common.applying.method()?.or(last.method);
    let options = Options {
        description: common.description.clone(),
        labels: Some(merge_labels(&last.labels, &common.labels()?)),
        replaced: None,
        stop: (depth == Depth::Whole).then(|| stop_on_signal(&args.release)).transpose()?,
        ..site.options(&common.applying, method)?
    };
    let plan = Plan {
        name: args.release.clone(),
        namespace: current.namespace.clone(),
        kind: Kind::Upgrade { current: Box::new(current), after: last.version },
        config: ordered.into_values(),
        cleanup_on_fail: args.cleanup_on_fail,
        max_history: args.keeping.history_max,
    };
    let mut deploy = deploy::action(common, plan, rendered, options)?;
    // That is for --install.
    deploy.create_namespace = false;
    match depth {
        Depth::Whole => carry_out(args, site, deploy).await,
        Depth::Client | Depth::Server => tried(args, site, deploy).await,
    }
}

async fn tried(args: &Upgrade, site: &Site, deploy: Deploy) -> anyhow::Result<Record> {
    let trial = Trial {
        name: &deploy.name,
        namespace: &deploy.namespace,
        validate: !args.deploy.disable_openapi_validation,
        conflicts: Conflicts::Ignored,
    };
    trial.run(&site.cluster, &deploy.rendered.manifest).await?;
    Ok(deploy::tried(deploy, &args.deploy.description)?)
}

/// What is asked of the newest record.
struct Last {
    version: u32,
    method: Method,
    labels: BTreeMap<String, String>,
}

/// Returns the record that objects are compared with, and what there is to know of the newest. The
/// chart of a record is only read where its values are to be kept.
///
/// Source: helm v4.3.2 pkg/action/upgrade.go (`prepareUpgrade`).
async fn records(site: &Site, args: &Upgrade) -> anyhow::Result<(Record, Last)> {
    let (name, storage) = (&args.release, &site.storage);
    let read = async |version| match args.reused.needs_chart() {
        true => storage.get(name, version).await,
        false => storage.outline(name, version).await,
    };
    let nothing = || format!("{name:?} has no deployed releases");
    let heads = storage.heads(name).await?;
    let Some(newest) = heads.first() else { bail!(nothing()) };
    let record = read(newest.version).await?.with_context(nothing)?;
    if record.is_pending() {
        ui::say(&format!(
            "revision {} is {}; if nobody works on it any more: leadsman rollback {name}",
            record.version, record.info.status
        ));
        bail!("another operation (install/upgrade/rollback) is in progress");
    }
    let deployed = heads.iter().find(|head| head.status == "deployed");
    let last = Last {
        version: record.version,
        method: Method::of(&record.apply_method),
        labels: record.labels.clone(),
    };
    let current = match deployed {
        Some(head) if head.version == last.version => record,
        Some(head) => read(head.version).await?.with_context(nothing)?,
        None if matches!(record.info.status.as_str(), "failed" | "superseded") => record,
        None => bail!(nothing()),
    };
    Ok((current, last))
}

async fn carry_out(args: &Upgrade, site: &Site, deploy: Deploy) -> anyhow::Result<Record> {
    let common = &args.deploy;
    match deploy::carry_out(site, deploy).await {
        Ok(record) => Ok(record),
        Err((error, true)) if common.rollback_on_failure && !error.is_outage() => {
            let asked = common.applying.method().unwrap_or_default();
            let undo = Undo {
                timeout: common.waiting.timeout,
                wait_for_jobs: common.waiting.wait_for_jobs,
                hooks: !common.no_hooks,
            };
            let options = |target: Method| site.options(&common.applying, asked.or(target));
            Err(undo.upgrade(site, &args.release, error, &options).await)
        }
        Err((error, _)) => Err(error.into()),
    }
}
