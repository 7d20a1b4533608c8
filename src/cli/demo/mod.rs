//! `leadsman demo`: the whole job as a story, in the simulated cluster.
//!
//! A person's steps are done here; everything else is the manager that `leadsman run` starts, and
//! each step waits until the cluster shows what it was to bring about.

mod shop;

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;

use self::shop::EDITIONS;
use super::args::{One, Output};
use super::connect::Connected;
use super::history::{self as revisions, History};
use super::inspect::{helm_release, show_why};
use super::release_args::NoCharts;
use super::{run, ui};
use crate::api::HelmRelease;
use crate::api::annotation::{COMMAND_MANAGER, PIN, RELEASE_MANAGER};
use crate::api::condition::{self, READY};
use crate::api::crd::HELM_RELEASE_API;
use crate::cluster::{Cluster, ObjectId};
use crate::controller::context::Options;
use crate::controller::folder::Folder;
use crate::controller::manager::Manager;
use crate::controller::{history, memory};
use crate::repo::Repositories;
use crate::sim::{Sim, SimOptions};
use crate::source::{Fetcher, Mirrors};
use crate::web::serve_charts;

/// What the person of the story declared.
const DECLARED: &str = include_str!("../../../fixtures/releases/demo/web.yaml");
/// Where the declared repository is said to be.
const ADDRESS: &str = "https://charts.example.com";
const NAMESPACE: &str = "demo";
const NAME: &str = "web";
/// How long a step may take; on a busy machine each takes a few seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a reader gets before the next scene.
const PAUSE: Duration = Duration::from_millis(1500);
/// How long Pods take: long enough to be seen waiting.
const READY_DELAY: Duration = Duration::from_millis(700);

pub(super) async fn demo() -> anyhow::Result<ExitCode> {
    let folder = tempfile::tempdir().context("make a folder for the demo")?;
    let charts = folder.path().join("charts");
    let source = folder.path().join("source");
    std::fs::create_dir(&charts).context("make a folder for the charts")?;
    std::fs::create_dir(&source).context("make a folder for the YAML")?;
    let [first, better, broken, repaired] = &EDITIONS;
    first.publish(&charts)?;
    crate::base::file::write_atomic(&source.join("web.yaml"), DECLARED.as_bytes())?;
    let served = serve_charts(&charts, SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let mirror = format!("{ADDRESS}={}", served.url()).parse();
    let mirrors = Mirrors(vec![mirror.map_err(|error| anyhow::anyhow!("{error}"))?]);
    let fetcher = Fetcher::new(mirrors).context("start the HTTP client")?;
    let repositories = Repositories::new(fetcher, &folder.path().join("cache"));
    let stage = Stage::set(repositories, &source).await?;

    stage.installed(first.version).await?;
    scene("a newer chart is published: web 1.1.0").await;
    better.publish(&charts)?;
    stage.runs(better.version).await?;
    scene("another one: web 1.2.0, whose Pods never become ready").await;
    broken.publish(&charts)?;
    stage.rolled_back(broken.version, better.version).await?;
    ui::print(&format!("\n$ leadsman why {NAME}\n"));
    show_why(&stage.connected, &One { release: NAME.to_owned() }).await?;
    scene("somebody runs: kubectl scale deployment web --replicas=0").await;
    stage.scaled_and_repaired().await?;
    scene("web 1.3.0 is published, and it is good again").await;
    repaired.publish(&charts)?;
    stage.runs(repaired.version).await?;
    scene("a person wants 1.1.0 back: leadsman pin web 1.1.0").await;
    stage.pinned(better.version).await?;
    ui::print(&format!("\n$ leadsman history {NAME}\n"));
    let history = History {
        release: NAME.to_owned(),
        max: 256,
        show_rollback_revision: false,
        output: Output::Table,
        no_charts: NoCharts::default(),
    };
    revisions::show(&stage.connected, &history).await?;
    served.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

fn say(text: &str) {
    ui::print(&format!("\n── {text}\n"));
}

async fn scene(text: &str) {
    tokio::time::sleep(PAUSE).await;
    say(text);
}

/// The simulated cluster with the manager at work.
struct Stage {
    connected: Connected,
}

impl Stage {
    async fn set(repositories: Repositories, source: &Path) -> anyhow::Result<Self> {
        let simulated = Sim::new(SimOptions { ready_delay: READY_DELAY, ..SimOptions::default() });
        let cluster = Cluster::new(simulated.client(NAMESPACE), RELEASE_MANAGER);
        say("a simulated cluster; nothing outside of this process is touched");
        let options =
            Options { requeue_dependency: Duration::from_millis(500), ..Options::default() };
        let context = run::prepare(&cluster, repositories, options).await?;
        say("a HelmRelease asks for chart web, version 1.x");
        if !run::sync_once(&Folder::new(source, false), &cluster, &mut Vec::new()).await? {
            bail!("the YAML of the demo could not be applied; what is wrong is said above");
        }
        tokio::spawn(async move { Manager::new(context).run(None).await });
        Ok(Self { connected: Connected::new(cluster, NAMESPACE.to_owned())? })
    }

    async fn installed(&self, version: &str) -> anyhow::Result<()> {
        self.until(&format!("{version} to be installed"), |release| runs(release, version)).await
    }

    async fn runs(&self, version: &str) -> anyhow::Result<()> {
        self.until(&format!("{version} to run"), |release| runs(release, version)).await
    }

    /// Waits until a version was left for an older one, and is remembered.
    async fn rolled_back(&self, from: &str, to: &str) -> anyhow::Result<()> {
        let back = |release: &HelmRelease| {
            let entries = &release.status.history;
            entries.iter().any(|entry| entry.chart_version == from && entry.status == "failed")
                && history::latest(entries)
                    .is_some_and(|entry| entry.chart_version == to && entry.status == "deployed")
        };
        self.until(&format!("{from} to be rolled back"), back).await?;
        let remembered = memory::read(&self.connected.cluster, NAMESPACE, NAME).await?;
        if remembered.quarantine.find(from).is_none() {
            bail!("{from} was rolled back, but it is not quarantined");
        }
        Ok(())
    }

    async fn scaled_and_repaired(&self) -> anyhow::Result<()> {
        let id = ObjectId::new("apps/v1", "Deployment", NAMESPACE, NAME);
        let cluster = self.connected.cluster.with_manager("kubectl");
        let scaled = cluster.patch_merge(&id, &json!({"spec": {"replicas": 0}}), "").await?;
        let before = scaled.0["metadata"]["generation"].as_i64();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let live = self.connected.cluster.get(&id).await?.context("the Deployment is gone")?;
            let replicas = live.0["spec"]["replicas"].as_i64();
            if replicas == Some(1) && live.0["metadata"]["generation"].as_i64() > before {
                return Ok(());
            }
            if tokio::time::Instant::now() > deadline {
                bail!("{id} has {replicas:?} replicas after {PATIENCE:?}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn pinned(&self, version: &str) -> anyhow::Result<()> {
        let id = ObjectId::new(HELM_RELEASE_API, "HelmRelease", NAMESPACE, NAME);
        let patch = json!({"metadata": {"annotations": {PIN: version}}});
        self.connected.cluster.with_manager(COMMAND_MANAGER).patch_merge(&id, &patch, "").await?;
        self.runs(version).await
    }

    /// Waits for something that the release's status shows.
    async fn until(&self, what: &str, holds: impl Fn(&HelmRelease) -> bool) -> anyhow::Result<()> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let release = helm_release(&self.connected, NAME).await?;
            if holds(&release) {
                return Ok(());
            }
            if tokio::time::Instant::now() > deadline {
                let ready = condition::find(&release.status.conditions, READY);
                let said = ready.map_or("nothing", |ready| &ready.message);
                bail!("waited {PATIENCE:?} for {what}; the release says: {said}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Whether a version is deployed and ready.
fn runs(release: &HelmRelease, version: &str) -> bool {
    condition::is_true(&release.status.conditions, READY)
        && history::latest(&release.status.history)
            .is_some_and(|entry| entry.chart_version == version && entry.status == "deployed")
}
