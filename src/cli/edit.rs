//! Commands that change a release or what is wanted of it.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;

use super::args::{Connection, Hold, One, Pin, Reconcile};
use super::connect::Connected;
use super::inspect::helm_release;
use super::{connect, ui};
use crate::api::annotation::{COMMAND_MANAGER, FORCE_AT, HOLD, PIN, REQUESTED_AT, RESET_AT};
use crate::api::condition::{self, READY, Truth};
use crate::api::crd::HELM_RELEASE_API;
use crate::base::clock::{Clock as _, SystemClock, rfc3339_nano};
use crate::base::version::Version;
use crate::cluster::ObjectId;

async fn patch(connected: &Connected, name: &str, patch: serde_json::Value) -> anyhow::Result<()> {
    helm_release(connected, name).await?;
    let id = ObjectId::new(HELM_RELEASE_API, "HelmRelease", &connected.namespace, name);
    connected.cluster.with_manager(COMMAND_MANAGER).patch_merge(&id, &patch, "").await?;
    Ok(())
}

fn annotated(key: &str, value: serde_json::Value) -> serde_json::Value {
    json!({"metadata": {"annotations": {key: value}}})
}

pub(super) async fn pin(args: Pin, connection: &Connection) -> anyhow::Result<ExitCode> {
    args.version.parse::<Version>().with_context(|| {
        format!("`{}` is not a version; pin exactly one, such as 61.3.2", args.version)
    })?;
    let connected = connect::cluster(connection).await?;
    patch(&connected, &args.release, annotated(PIN, json!(args.version))).await?;
    ui::say(&format!(
        "✔ {} is pinned to {}; `leadsman unpin {}` lets it move again",
        args.release, args.version, args.release
    ));
    ui::say(&format!("  in Git: metadata.annotations: {{{PIN}: \"{}\"}}", args.version));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn unpin(args: One, connection: &Connection) -> anyhow::Result<ExitCode> {
    let connected = connect::cluster(connection).await?;
    patch(&connected, &args.release, annotated(PIN, json!(null))).await?;
    ui::say(&format!("✔ {} may move again", args.release));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn hold(args: Hold, connection: &Connection) -> anyhow::Result<ExitCode> {
    let connected = connect::cluster(connection).await?;
    patch(&connected, &args.release, annotated(HOLD, json!(args.reason))).await?;
    ui::say(&format!(
        "✔ {} is held: {}; `leadsman unhold {}` lets it move again",
        args.release, args.reason, args.release
    ));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn unhold(args: One, connection: &Connection) -> anyhow::Result<ExitCode> {
    let connected = connect::cluster(connection).await?;
    patch(&connected, &args.release, annotated(HOLD, json!(null))).await?;
    ui::say(&format!("✔ {} may move again", args.release));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn suspend(
    args: One,
    on: bool,
    connection: &Connection,
) -> anyhow::Result<ExitCode> {
    let connected = connect::cluster(connection).await?;
    patch(&connected, &args.release, json!({"spec": {"suspend": on}})).await?;
    ui::say(&format!("✔ HelmRelease {}", if on { "suspended" } else { "resumed" }));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn reconcile(
    args: Reconcile,
    connection: &Connection,
) -> anyhow::Result<ExitCode> {
    let connected = connect::cluster(connection).await?;
    let release = helm_release(&connected, &args.release).await?;
    if release.spec.suspend {
        bail!("resource is suspended");
    }
    let now = rfc3339_nano(SystemClock.now());
    let mut annotations = json!({REQUESTED_AT: now});
    if args.force {
        annotations[FORCE_AT] = json!(now);
    }
    if args.reset {
        annotations[RESET_AT] = json!(now);
    }
    ui::say(&format!(
        "► annotating HelmRelease {} in {} namespace",
        args.release, connected.namespace
    ));
    patch(&connected, &args.release, json!({"metadata": {"annotations": annotations}})).await?;
    ui::say("✔ HelmRelease annotated");
    ui::say("◎ waiting for HelmRelease reconciliation");
    let handled = async {
        loop {
            let release = helm_release(&connected, &args.release).await?;
            if release.status.last_handled_reconcile_at == now {
                return anyhow::Ok(release);
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    let release = tokio::time::timeout(args.timeout, handled)
        .await
        .context("no answer in time: is `leadsman run` at work on this cluster?")??;
    match condition::find(&release.status.conditions, READY) {
        Some(ready) if ready.status == Truth::True => {
            ui::say(&format!("✔ applied revision {}", release.status.last_attempted_revision));
            Ok(ExitCode::SUCCESS)
        }
        ready => {
            let message = ready.map(|ready| ready.message.clone()).unwrap_or_default();
            bail!("HelmRelease reconciliation failed: '{message}'")
        }
    }
}
