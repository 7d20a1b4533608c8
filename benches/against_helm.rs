//! Leadsman against real Helm: the same command lines, on the same machine, in turns.
//!
//! `cargo bench` prints a table of medians for `docs/benchmarks.md`. It needs the corpus and the
//! parts that `tests/parts/build` builds, and says which of them is absent.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "as in tests; the table is the result"
)]

#[path = "../tests/it/support/mod.rs"]
mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

use support::chart::{web, yaml};
use support::control_plane::ControlPlane;
use support::corpus::{Corpus, corpus};
use support::helm::Helm;
use support::leadsman::Leadsman;
use support::repository::Repository;
use support::wait::LATER;

/// The first argument of a process that only measures another one.
const MEASURE: &str = "--measure";
/// Runs of each program, unless `LEADSMAN_BENCH_ROUNDS` says how many.
const ROUNDS: usize = 20;

/// What one run of a program took.
#[derive(Debug, Clone, Copy)]
struct Cost {
    wall: Duration,
    cpu: Duration,
    peak_bytes: u64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == MEASURE) {
        return measure(&arguments[1..]);
    }
    let (Some(corpus), Some(helm)) = (corpus(), Helm::find()) else { return };
    println!("| what | program | wall, median | CPU, median | peak memory |");
    println!("|---|---|---|---|---|");
    template(&corpus, &helm);
    resolve(&corpus, &helm);
    idle(&corpus);
}

/// `template` of kube-prometheus-stack 61.9.0, from its archive.
fn template(corpus: &Corpus, helm: &Helm) {
    let chart = corpus.package("prometheus-community", "kube-prometheus-stack-61.9.0");
    let chart = chart.to_string_lossy();
    let arguments = ["template", "rel", chart.as_ref()];
    let leadsman = Leadsman::new();
    contest(
        "`template` of kube-prometheus-stack 61.9.0",
        &mut [
            ("Helm", &mut || helm.command(&arguments)),
            ("Leadsman", &mut || leadsman.command(&arguments)),
        ],
    );
}

/// `template --repo` of a small chart by a range, from an index of 37 MB.
fn resolve(corpus: &Corpus, helm: &Helm) {
    let repository = Repository::start();
    repository.publish(&corpus.package("bitnami", "nginx-22.1.1"));
    repository.put_index(corpus.index("bitnami"));
    let url = repository.url();
    let arguments = ["template", "rel", "nginx", "--repo", &url, "--version", "22.1.x"];
    let (warm, cold) = (Leadsman::new(), Leadsman::new());
    contest(
        "resolve `22.1.x` in an index of 37 MB (`template --repo`)",
        &mut [
            ("Helm", &mut || helm.command(&arguments)),
            ("Leadsman, first time", &mut || {
                let _ = std::fs::remove_dir_all(cold.cache());
                cold.command(&arguments)
            }),
            ("Leadsman, index unchanged", &mut || warm.command(&arguments)),
        ],
    );
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
    tokio::time::sleep(Duration::from_secs(15)).await;
    let mebibytes = mebibytes(running.memory_bytes());
    println!("| {what}: resident memory after 15 s | Leadsman | – | – | {mebibytes} |");
}

type Make<'a> = (&'a str, &'a mut dyn FnMut() -> Command);

/// Runs the programs in turns and prints what each took.
fn contest(what: &str, programs: &mut [Make<'_>]) {
    let mut costs = vec![Vec::new(); programs.len()];
    let rounds = std::env::var("LEADSMAN_BENCH_ROUNDS");
    let rounds = rounds.map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    // The first round fills caches of the system and does not count.
    for round in 0..=rounds {
        for ((_, make), costs) in programs.iter_mut().zip(&mut costs) {
            let cost = cost_of(&make());
            if round > 0 {
                costs.push(cost);
            }
        }
    }
    let first = median(&costs[0], |cost| cost.wall);
    for ((name, _), costs) in programs.iter().zip(&costs) {
        let wall = median(costs, |cost| cost.wall);
        let times = first.as_secs_f64() / wall.as_secs_f64();
        println!(
            "| {what} | {name} | {:.1} ms ({times:.1}×) | {:.1} ms | {} |",
            wall.as_secs_f64() * 1e3,
            median(costs, |cost| cost.cpu).as_secs_f64() * 1e3,
            mebibytes(median(costs, |cost| cost.peak_bytes)),
        );
    }
}

fn median<T: Ord + Copy>(costs: &[Cost], of: impl Fn(&Cost) -> T) -> T {
    let mut found: Vec<T> = costs.iter().map(of).collect();
    found.sort();
    found[found.len() / 2]
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Runs a command once. A process between measures it, so that its peak memory is its own.
fn cost_of(command: &Command) -> Cost {
    let mut between = Command::new(std::env::current_exe().unwrap());
    between.arg(MEASURE).arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        between.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => between.env(name, value),
            None => between.env_remove(name),
        };
    }
    let output = between.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<u64> = text.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    let [wall, cpu, peak_bytes] = numbers[..] else {
        panic!("{command:?}: {text}{}", String::from_utf8_lossy(&output.stderr))
    };
    Cost { wall: Duration::from_nanos(wall), cpu: Duration::from_micros(cpu), peak_bytes }
}

fn measure(arguments: &[String]) {
    let mut command = Command::new(&arguments[0]);
    command.args(&arguments[1..]).stdout(std::process::Stdio::null());
    let start = Instant::now();
    let status = command.status().unwrap();
    let wall = start.elapsed().as_nanos();
    assert!(status.success(), "{command:?}: {status}");
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let cpu = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    println!("{wall} {cpu} {}", usage.max_rss() * 1024);
}
