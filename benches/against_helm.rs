//! Leadsman where a cluster is concerned: what it needs while there is nothing to do.
//!
//! `cargo bench` prints tables of medians for `docs/benchmarks.md`. It needs the corpus and the
//! parts that `tests/parts/build` builds, and says which of them is absent.

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

use std::time::Duration;

use contest::{heads, measured, mebibytes, tried};
use support::chart::{web, yaml};
use support::control_plane::ControlPlane;
use support::corpus::{Corpus, corpus};
use support::leadsman::Leadsman;
use support::repository::Repository;
use support::wait::LATER;

fn main() {
    if measured() {
        return;
    }
    let Some(corpus) = corpus() else { return };
    heads();
    idle(&corpus);
}

/// `run` on a real API server when there is nothing to do.
fn idle(corpus: &Corpus) {
    let Some(cluster) = ControlPlane::start() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let repository = Repository::start();
        repository.publish_package(web("1.0.0", ""));
        repository.publish(&corpus.package("prometheus-community", "kube-prometheus-stack-61.9.0"));
        let leadsman = Leadsman::new().kubeconfig(&cluster.kubeconfig());
        for (name, chart) in [("web", "web"), ("stack", "kube-prometheus-stack")] {
            let text = yaml("default", name, &repository.url(), "");
            let text = text.replace("chart: web", &format!("chart: {chart}")).replace("1.x", "*");
            leadsman.file(&format!("source/{name}.yaml"), &text);
            let running = leadsman.spawn(&["run", "source", "-n", "default"]);
            let ready = format!("default/{name}.v1 ");
            running
                .line(LATER, |line| line.contains("InstallSucceeded") && line.contains(&ready))
                .await;
            report_idle(&running, &format!("`run`, {chart} just installed")).await;
            drop(running);
            let running = leadsman.spawn(&["run", "source", "-n", "default"]);
            report_idle(&running, &format!("`run`, started again with {chart} in sync")).await;
            let _ = std::fs::remove_file(leadsman.folder().join("output.log"));
        }
    });
}

async fn report_idle(running: &support::leadsman::Running, what: &str) {
    let seconds = if tried() { 1 } else { 15 };
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let mebibytes = mebibytes(running.memory_bytes());
    println!("| {what}: resident memory after {seconds} s | Leadsman | – | – | {mebibytes} |");
}
