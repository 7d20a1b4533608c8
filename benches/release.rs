//! `leadsman upgrade --wait` against `helm upgrade --wait`: kube-prometheus-stack from 61.8.0 to
//! 61.9.0 until it is ready, on one real API server, in turns.
//!
//! `cargo bench --bench release` prints tables for `docs/benchmarks.md`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "as in tests; the table is the result"
)]
#![allow(dead_code, reason = "not every benchmark uses all that they share")]

mod contest;
#[path = "../tests/it/support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use contest::{contest, heads, measured, mebibytes, output};
use support::control_plane::ControlPlane;
use support::corpus::corpus;
use support::helm::Helm;
use support::leadsman::Leadsman;
use support::proxy::Proxy;

const WHAT: &str = "upgrade of kube-prometheus-stack 61.8.0 → 61.9.0 until ready";

/// No answer takes so long as a rule.
const PAUSE: Duration = Duration::from_millis(200);

/// The charts between which both go back and forth.
struct Charts {
    old: PathBuf,
    new: PathBuf,
}

fn main() {
    if measured() {
        return;
    }
    let (Some(corpus), Some(cluster)) = (corpus(), ControlPlane::start()) else { return };
    let (Some(helm), Some(helm_watched)) = (Helm::find(), Helm::find()) else { return };
    let package = |version: &str| {
        corpus.package("prometheus-community", &format!("kube-prometheus-stack-{version}"))
    };
    let charts = Charts { old: package("61.8.0"), new: package("61.9.0") };
    let helm = helm.kubeconfig(&cluster.kubeconfig());
    let leadsman = Leadsman::new().kubeconfig(&cluster.kubeconfig());
    heads();
    contest(
        WHAT,
        &mut [
            ("Helm", &mut || upgraded(&charts, |arguments| helm.command(arguments))),
            ("Leadsman", &mut || upgraded(&charts, |arguments| leadsman.command(arguments))),
        ],
    );
    println!();
    println!(
        "| what | program | calls | of them changes | bytes of bodies | wall | of it pauses |"
    );
    println!("|---|---|---|---|---|---|---|");
    let proxy = Proxy::start(&cluster.kubeconfig());
    let helm_watched = helm_watched.kubeconfig(&proxy.kubeconfig());
    let watched = Leadsman::new().kubeconfig(&proxy.kubeconfig());
    watch("Helm", &proxy, &mut || upgraded(&charts, |arguments| helm_watched.command(arguments)));
    watch("Leadsman", &proxy, &mut || upgraded(&charts, |arguments| watched.command(arguments)));
}

/// Brings the release to the old version, and returns what upgrades it. Both take turns on one
/// release: two of this chart would want the same port of the node.
fn upgraded(charts: &Charts, command: impl Fn(&[&str]) -> Command) -> Command {
    let upgrade = |chart: &Path| {
        let chart = chart.to_string_lossy();
        let release = ["upgrade", "--install", "stack", &chart, "--namespace", "bench"];
        command(&[&release[..], &["--create-namespace", "--wait", "--timeout", "5m"]].concat())
    };
    output(upgrade(&charts.old));
    upgrade(&charts.new)
}

/// Prints what one upgrade says to the API server, and how long it waited for the cluster: in a
/// pause nothing is asked, except that what was asked before may still be answered (watches).
fn watch(program: &str, proxy: &Proxy, make: &mut dyn FnMut() -> Command) {
    let command = make();
    proxy.forget();
    let begun = Instant::now();
    output(command);
    let ended = Instant::now();
    let calls = proxy.calls();
    let changes = calls.iter().filter(|call| call.is_change()).count();
    let bytes = mebibytes(proxy.body_bytes());
    let times: Vec<_> = calls.iter().map(|call| call.at).chain([ended]).collect();
    let pauses = times.windows(2).map(|pair| pair[1].saturating_duration_since(pair[0]));
    let pauses: Duration = pauses.filter(|pause| *pause > PAUSE).sum();
    let (wall, pauses) = ((ended - begun).as_millis(), pauses.as_millis());
    let calls = calls.len();
    println!("| {WHAT} | {program} | {calls} | {changes} | {bytes} | {wall} ms | {pauses} ms |");
}
