//! `leadsman install`.
//!
//! Source: helm v4.3.2 pkg/cmd/install.go, pkg/action/install.go.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args as ClapArgs;

use super::args::Connection;
use super::connect::Connected;
use super::deploy::{self, Ordered, Plan};
use super::name::{self, Naming};
use super::namespace;
use super::release_args::{Deploying, Depth};
use super::report::{self, Parts};
use super::site::{Site, stop_on_signal};
use super::target::Target;
use super::ui::Details;
use super::undo::Undo;
use crate::api::CrdPolicy;
use crate::base::clock::{Clock as _, SystemClock};
use crate::chart;
use crate::release::conflict::Rules;
use crate::release::{
    self, ClusterLookup, Conflicts, Crds, Error, Kind, Method, Options, Record, Trial, offline,
};
use crate::template::ReleaseInfo;

#[derive(Debug, ClapArgs)]
pub(super) struct Install {
    /// Name of the release, and archive, folder or name of the chart.
    #[arg(required = true, value_names = ["[NAME] CHART"])]
    pub(super) words: Vec<String>,
    /// Make a name of the chart's and the time.
    #[arg(short, long)]
    pub(super) generate_name: bool,
    /// Template of the release's name, such as `web-{{ randAlpha 4 | lower }}`.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEMPLATE")]
    pub(super) name_template: String,
    /// Take the name of a release that is uninstalled or failed.
    #[arg(long)]
    pub(super) replace: bool,
    #[command(flatten)]
    pub(super) deploy: Deploying,
}

pub(super) async fn run(
    args: Install,
    connection: &Connection,
    details: Details,
) -> anyhow::Result<ExitCode> {
    args.deploy.dry.depth()?;
    let record = install(&args, connection).await.context("INSTALLATION FAILED")?;
    report::show(args.deploy.output, &record, parts(&args.deploy, details))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn parts(args: &Deploying, details: Details) -> Parts<'static> {
    Parts { debug: details.debug, hide_notes: args.hide_notes, ..Parts::default() }
}

/// Installs a release and returns its record.
pub(super) async fn install(args: &Install, connection: &Connection) -> anyhow::Result<Record> {
    let common = &args.deploy;
    let depth = common.dry.depth()?;
    let method = common.applying.method()?.or(Method::Server);
    let plain = offline("", &[])?;
    let naming =
        Naming { words: &args.words, generate: args.generate_name, template: &args.name_template };
    let unnamed = |chart: &str| match args.generate_name {
        true => Ok(name::generated(chart, SystemClock.now().as_second())),
        false => bail!("must either provide a name or specify --generate-name"),
    };
    let (name, chart) = name::name_and_chart(&naming, &plain, unnamed)?;
    let ordered = Ordered::load(&chart, common).await?;
    if ordered.chart.metadata.is_library() {
        return Err(Error::Library.into());
    }
    if depth == Depth::Client {
        return tried(args, (&name, ordered), connection, None).await;
    }
    let target = Target::reach(connection).await?;
    deploy::check_hiding(common, depth)?;
    if depth == Depth::Server {
        return tried(args, (&name, ordered), connection, Some(target)).await;
    }
    let namespace = namespace::of(connection);
    let mut site = Site::within(Connected::new(target.cluster, namespace)?, &name).await?;
    site.rules = common.waiting.rules();
    whole(args, (&name, ordered), &site, method).await
}

/// Renders, asks the cluster if there is one, and changes nothing.
async fn tried(
    args: &Install,
    (name, ordered): (&str, Ordered),
    connection: &Connection,
    target: Option<Target>,
) -> anyhow::Result<Record> {
    name::check(name)?;
    let namespace = namespace::of(connection);
    let plain = offline("", &[])?;
    let told = match &target {
        Some(target) => (&target.capabilities, Some(&target.lookup)),
        None => (&plain, None),
    };
    let rendered = ordered.render(&args.deploy.rendering(), of(name, &namespace), told);
    let rendered = rendered.map_err(refused)?;
    if let Some(target) = &target {
        let trial = Trial {
            name,
            namespace: &namespace,
            validate: !args.deploy.disable_openapi_validation,
            conflicts: match args.deploy.take_ownership {
                true => Conflicts::TakenOver,
                false => Conflicts::Refused,
            },
        };
        trial.run(&target.cluster, &rendered.manifest).await?;
    }
    let options = Options { labels: Some(args.deploy.labels()?), ..Options::default() };
    let plan = planned(ordered, (name, &namespace), 0);
    Ok(deploy::tried(deploy::action(&args.deploy, plan, rendered, options)?, "")?)
}

fn of(name: &str, namespace: &str) -> ReleaseInfo {
    let (name, namespace) = (name.to_owned(), namespace.to_owned());
    ReleaseInfo { name, namespace, revision: 1, is_upgrade: false }
}

/// Nothing of what was ordered is needed from here on but its values.
fn planned(ordered: Ordered, (name, namespace): (&str, &str), after: u32) -> Plan {
    Plan {
        kind: Kind::Install { after },
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        config: ordered.into_values(),
        cleanup_on_fail: false,
        max_history: 0,
    }
}

async fn whole(
    args: &Install,
    (name, ordered): (&str, Ordered),
    site: &Site,
    method: Method,
) -> anyhow::Result<Record> {
    let common = &args.deploy;
    name::check(name)?;
    let options = site.options(&common.applying, method)?;
    let replaced = available(site, name, args.replace).await?;
    site.warn("at its next reconciliation it brings back what it says");
    define(&ordered, site, (method, common.skip_crds)).await?;
    let capabilities = release::of_cluster(&site.cluster).await?;
    let lookup = ClusterLookup::new(site.cluster.clone());
    let told = (&capabilities, Some(&lookup));
    let rendered =
        ordered.render(&common.rendering(), of(name, &site.namespace), told).map_err(refused)?;
    let options = Options {
        description: common.description.clone(),
        labels: Some(common.labels()?),
        stop: Some(stop_on_signal(args.words.first().map_or(name, String::as_str))?),
        replaced: replaced.map(Box::new),
        ..options
    };
    let after = options.replaced.as_ref().map_or(0, |last| last.version);
    let plan = planned(ordered, (name, &site.namespace), after);
    let deploy = deploy::action(common, plan, rendered, options)?;
    match deploy::carry_out(site, deploy).await {
        Ok(record) => Ok(record),
        Err((error, true)) if common.rollback_on_failure && !error.is_outage() => {
            let undo = Undo {
                timeout: common.waiting.timeout,
                wait_for_jobs: common.waiting.wait_for_jobs,
                hooks: !common.no_hooks,
            };
            Err(undo.install(site, name, error).await)
        }
        Err((error, _)) => Err(error.into()),
    }
}

/// Creates the kinds that the chart defines, unless that is to be skipped.
async fn define(
    ordered: &Ordered,
    site: &Site,
    (method, is_skipped): (Method, bool),
) -> anyhow::Result<()> {
    let (processed, _) = chart::process_dependencies(&ordered.chart, &ordered.values)
        .context("chart dependencies processing failed")?;
    if !is_skipped {
        let forced = Rules::default();
        let crds = Crds {
            policy: CrdPolicy::Create,
            method,
            rules: &forced,
            namespace: &site.namespace,
            origin: None,
        };
        release::install_crds(&site.env(), &processed, crds).await?;
    }
    Ok(())
}

/// Returns the last record, if the name may be taken.
async fn available(site: &Site, name: &str, replace: bool) -> anyhow::Result<Option<Record>> {
    let last = site.last(name).await?;
    if let Some(last) = &last {
        release::check_name(&last.info.status, replace)?;
    }
    Ok(last)
}

/// What Helm says of a chart that cannot be rendered.
fn refused(error: Error) -> anyhow::Error {
    match error {
        Error::Chart(error @ (chart::Error::Schema(_) | chart::Error::TypeMismatch { .. })) => {
            error.into()
        }
        Error::Chart(error) => {
            anyhow::Error::new(error).context("chart dependencies processing failed")
        }
        error => error.into(),
    }
}
