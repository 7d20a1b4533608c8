//! `leadsman run`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::args::{self, Connection, Run};
use super::{connect, ui};
use crate::api::annotation::RELEASE_MANAGER;
use crate::api::crd;
use crate::base::class::chain;
use crate::base::clock::SystemClock;
use crate::base::file::read_text;
use crate::base::limit;
use crate::base::shorten::shorten;
use crate::cluster::status::Reader;
use crate::cluster::wait::{WaitOptions, wait_ready};
use crate::cluster::{ApplyOptions, Cluster, Object, ObjectId, Trust};
use crate::controller::context::{Context, Options};
use crate::controller::folder::Folder;
use crate::controller::manager::Manager;
use crate::controller::notice::{Notice, Recorder, Severity};
use crate::controller::site::{SiteOptions, Sites};
use crate::release::Renderer;
use crate::repo::Repositories;
use crate::signature::TrustedRoot;
use crate::sim::{Sim, SimOptions};
use crate::web::serve_charts;
use crate::yaml::{self, Numbers};

/// Longest message of a line.
const LINE_BYTES: usize = 2048;
/// How long the start waits for a cluster that is away or overloaded.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is tried when somebody else writes at the same time.
const TRIES: u32 = 20;
/// How often a SOURCE folder is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How often a SOURCE folder is applied again though it did not change.
const REPEAT: u32 = 15;

pub(super) async fn run(args: Run, connection: &Connection) -> anyhow::Result<ExitCode> {
    let cluster = if args.simulate {
        let simulated = Sim::new(SimOptions::default());
        Cluster::new(simulated.client("default"), RELEASE_MANAGER)
    } else {
        connect::cluster(connection).await?.cluster
    };
    // Both until the manager ends.
    let _served = match &args.serve_charts {
        Some(charts) => {
            let served = serve_charts(&charts.folder, charts.address).await?;
            ui::say(&format!(
                "charts of {} are served at {}",
                charts.folder.display(),
                served.url()
            ));
            Some(served)
        }
        None => None,
    };
    let repositories = connect::repositories(&args.sources)?;
    let (_artifacts, storage) = args
        .storage
        .serve(&args.sources.cache)
        .await?
        .map_or((None, None), |(served, storage)| (Some(served), Some(storage)));
    let trusted_root = trusted_root(&args)?;
    let options = Options { storage, trusted_root, ..options(&args) };
    let context = prepare(&cluster, repositories, options).await?;
    let applied = match &args.source {
        Some(path) => {
            let folder = Folder::new(path, args.prune);
            let mut said = Vec::new();
            let good = sync_once(&folder, &cluster, &mut said).await?;
            tokio::spawn(keep_applied(folder, cluster.clone(), said));
            good
        }
        None => true,
    };
    let manager = Manager::new(context);
    let mut standing = manager.standing();
    tokio::select! {
        () = manager.run(connection.namespace.clone()) => bail!("the watches ended"),
        _ = tokio::signal::ctrl_c() => Ok(ExitCode::from(130)),
        settled = standing.wait_for(crate::controller::manager::Standing::is_settled), if args.once => {
            let ready = settled.map(|standing| standing.is_ready()).unwrap_or(false);
            Ok(if ready && applied { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

/// Makes the cluster ready to be managed: it answers, its kinds are there, notices become lines.
pub(super) async fn prepare(
    cluster: &Cluster,
    repositories: Repositories,
    options: Options,
) -> anyhow::Result<Arc<Context>> {
    reach(cluster).await?;
    ensure_crds(cluster).await?;
    let clock: Arc<dyn crate::base::clock::Clock> = Arc::new(SystemClock);
    let context = Arc::new(Context {
        cluster: cluster.clone(),
        repositories: Arc::new(repositories),
        renderer: Renderer::default(),
        recorder: Recorder::new(cluster.clone(), Arc::clone(&clock)),
        sites: Sites::new(cluster, &clock, options.sites.clone()),
        clock,
        options,
    });
    let mut notices = context.recorder.listen();
    tokio::spawn(async move {
        loop {
            match notices.recv().await {
                Ok(notice) => ui::say(&line(&notice)),
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
            }
        }
    });
    Ok(context)
}

/// Serves the simulated cluster until it is interrupted.
pub(super) async fn sim(args: args::Sim) -> anyhow::Result<ExitCode> {
    let simulated = Sim::new(SimOptions { rbac: args.rbac, ..SimOptions::default() });
    args.faults.into_iter().for_each(|rule| simulated.faults().add(rule));
    let served = simulated.serve(args.listen).await.context("serve the simulated cluster")?;
    crate::base::file::write_atomic(&args.kubeconfig_out, served.kubeconfig.as_bytes())?;
    ui::say(&format!("the simulated cluster listens on {}", served.addr));
    tokio::signal::ctrl_c().await?;
    Ok(ExitCode::from(130))
}

/// Reads the trusted root that is named, if one is.
fn trusted_root(args: &Run) -> anyhow::Result<Option<Arc<TrustedRoot>>> {
    let Some(path) = &args.sigstore_trusted_root else { return Ok(None) };
    let text = read_text(path, limit::SOURCE_FILE_BYTES)?;
    let read = TrustedRoot::read(&text);
    Ok(Some(Arc::new(read.with_context(|| format!("--sigstore-trusted-root {}", path.display()))?)))
}

fn options(args: &Run) -> Options {
    let sites = SiteOptions {
        default_service_account: args.default_service_account.clone(),
        trust: Trust {
            exec: args.insecure_kubeconfig_exec,
            insecure_tls: args.insecure_kubeconfig_tls,
        },
    };
    let mut options = Options { interval: args.interval, sites, ..Options::default() };
    if let Some(interval) = args.interval {
        options.requeue_dependency = options.requeue_dependency.min(interval);
    }
    options
}

/// Waits until the cluster answers: it may start later than Leadsman.
async fn reach(cluster: &Cluster) -> anyhow::Result<()> {
    let mut said = false;
    for attempt in 0..60_u32 {
        match cluster.version().await {
            Ok(_) if said => {
                ui::say("the cluster answers");
                return Ok(());
            }
            Ok(_) => return Ok(()),
            Err(error) if attempt < 59 && error.is_transient() => {
                if !said {
                    ui::say(&format!(
                        "the cluster {} cannot be reached yet: {}; trying again (check that it runs, and --kubeconfig and --context)",
                        cluster.address(),
                        chain(&error)
                    ));
                    said = true;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(error) => {
                return Err(error).with_context(|| {
                    let address = cluster.address();
                    format!("reach the cluster {address} (check that it runs, and --kubeconfig and --context)")
                });
            }
        }
    }
    Ok(())
}

/// Installs the CRDs where they are absent. Those of Flux are left as they are. What heals by
/// itself is waited for, as in [`reach`].
async fn ensure_crds(cluster: &Cluster) -> anyhow::Result<()> {
    let cluster = cluster.patient(PATIENCE);
    let mut tries = 0;
    loop {
        tries += 1;
        match install_crds(&cluster, &ui::say).await {
            Err(error) if tries < TRIES && is_conflict(&error) => {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            ended => return ended,
        }
    }
}

/// Whether somebody else wrote at the same time.
fn is_conflict(error: &anyhow::Error) -> bool {
    error.downcast_ref::<crate::cluster::Error>().is_some_and(crate::cluster::Error::is_conflict)
}

/// Installs the CRDs that are absent, and waits until they are served.
pub(super) async fn install_crds(
    cluster: &Cluster,
    say: &(dyn Fn(&str) + Sync),
) -> anyhow::Result<()> {
    let mut applied = Vec::new();
    for text in crd::ALL {
        let object = Object(yaml::parse(text, Numbers::Exact)?);
        let id: ObjectId = object.id();
        if cluster.get(&id).await.context("look for the CRDs")?.is_none() {
            say(&format!("installing {id}"));
            let manager = cluster.with_manager("leadsman");
            manager
                .apply(&object, &ApplyOptions::forced())
                .await
                .with_context(|| format!("install {id}"))?;
            applied.push(object);
        }
    }
    if !applied.is_empty() {
        let options = WaitOptions::resources(Duration::from_secs(30), Reader::Plain);
        wait_ready(cluster, applied, &options, &SystemClock, &|_| {}).await?;
        cluster.forget_discovery();
    }
    Ok(())
}

/// Applies a folder once; `said` are the lines of the time before, which are not said again.
pub(super) async fn sync_once(
    folder: &Folder,
    cluster: &Cluster,
    said: &mut Vec<String>,
) -> anyhow::Result<bool> {
    let content = folder.load().context("read SOURCE")?;
    let problems = content.problems.iter();
    let mut lines: Vec<String> =
        problems.map(|problem| format!("SOURCE {}: {}", problem.place, problem.reason)).collect();
    let failed = folder.apply(cluster, &content).await;
    lines.extend(failed.iter().map(|line| format!("SOURCE {}", line.replace('\n', "; "))));
    for line in lines.iter().filter(|line| !said.contains(line)) {
        ui::say(line);
    }
    if lines.is_empty() && !said.is_empty() {
        ui::say("SOURCE: all is applied now");
    }
    *said = lines;
    Ok(said.is_empty())
}

/// Applies the folder when a file changed, when applying failed, and now and then.
async fn keep_applied(folder: Folder, cluster: Cluster, mut said: Vec<String>) {
    let mut known = folder.fingerprint().unwrap_or_default();
    let (mut good, mut quiet) = (said.is_empty(), 0);
    let mut unreadable = String::new();
    loop {
        tokio::time::sleep(LOOK).await;
        quiet += 1;
        let now = match folder.fingerprint() {
            Ok(now) => now,
            Err(error) => {
                let text = chain(&error);
                if text != unreadable {
                    ui::say(&format!(
                        "SOURCE: {text}; what was applied stays: put the folder back"
                    ));
                    unreadable = text;
                }
                continue;
            }
        };
        if now != known || !good || quiet >= REPEAT {
            good = match sync_once(&folder, &cluster, &mut said).await {
                Ok(good) => good,
                Err(error) => {
                    ui::error(&error);
                    false
                }
            };
            known = now;
            quiet = 0;
        }
    }
}

/// One line for people.
fn line(notice: &Notice) -> String {
    let time = notice.at.strftime("%H:%M:%S");
    let mark = match notice.severity {
        Severity::Normal => "✔",
        Severity::Warning => "✗",
        Severity::Progress => "►",
    };
    let message = shorten(&notice.message, LINE_BYTES);
    let message = message.trim_end().replace(":\n", ": ").replace('\n', "; ");
    let advice = if notice.advice.is_empty() { "" } else { "; " };
    format!(
        "{time} {mark} {} {}: {message}{advice}{}",
        notice.subject, notice.reason, notice.advice
    )
}
