//! `leadsman template` against `helm template`: whole processes, in turns, on the same machine.
//!
//! `cargo bench --bench render` prints tables of medians for `docs/benchmarks.md`.

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

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use contest::{
    Make, contest, costs, forget, heads, measured, median, output, rounds, tried, umbrella,
};
use leadsman::release::{RenderRequest, Renderer, offline};
use leadsman::template::ReleaseInfo;
use leadsman::yaml::Map;
use support::corpus::corpus;
use support::helm::Helm;
use support::leadsman::Leadsman;

const CHARTS: &[(&str, &str)] = &[
    ("prometheus-community", "kube-prometheus-stack-61.9.0"),
    ("prometheus-community", "kube-prometheus-stack-88.5.3"),
    ("bitnami", "wordpress-27.0.0"),
    ("podinfo", "podinfo-6.9.0"),
];
/// Numbers of charts below an umbrella.
const GROWTH: &[usize] = &[10, 30, 100, 300, 1000];
/// The largest of them that is only tried.
const TRIED: usize = 100;
/// Rounds of each size: the large ones take Helm seconds.
const GROWTH_ROUNDS: usize = 5;

fn main() {
    if measured() {
        return;
    }
    let (Some(corpus), Some(helm)) = (corpus(), Helm::find()) else { return };
    heads();
    for (repository, chart) in CHARTS {
        compete(&helm, chart, &corpus.package(repository, chart));
    }
    let folder = tempfile::tempdir().unwrap();
    umbrella::write(&folder.path().join("100"), 100);
    compete(&helm, "an umbrella of 100 charts", &folder.path().join("100"));
    again(&corpus.package("prometheus-community", "kube-prometheus-stack-61.9.0"));
    grow(&helm, folder.path());
}

/// Times both on one chart that they render alike.
fn compete(helm: &Helm, what: &str, chart: &Path) {
    let leadsman = Leadsman::new();
    let is_archive = chart.is_file();
    let chart = chart.to_string_lossy();
    let arguments = ["template", "rel", chart.as_ref()];
    let theirs = [output(helm.command(&arguments)), output(helm.command(&arguments))];
    assert!(alike(&theirs, &output(leadsman.command(&arguments))), "{what} is not rendered alike");
    let compiled = leadsman.cache().join("compiled-v1");
    let mut theirs = || helm.command(&arguments);
    let mut first = || {
        forget(&compiled);
        leadsman.command(&arguments)
    };
    let mut second = || {
        forget(&compiled);
        output(leadsman.command(&arguments));
        leadsman.command(&arguments)
    };
    let mut later = || leadsman.command(&arguments);
    let mut programs: Vec<Make<'_>> = vec![("Helm", &mut theirs)];
    // A folder is read anew each time.
    if is_archive {
        programs.push(("Leadsman, the first time", &mut first));
        programs.push(("Leadsman, the second time", &mut second));
    }
    programs.push(("Leadsman", &mut later));
    contest(&format!("`template` of {what}"), &mut programs);
}

/// Whether our rendering is Helm's, outside the lines that Helm prints otherwise a second time:
/// those are random.
fn alike(theirs: &[String; 2], ours: &str) -> bool {
    let [first, second] = theirs.each_ref().map(|text| text.split('\n'));
    ours.split('\n').count() == first.clone().count()
        && first.zip(second).zip(ours.split('\n')).all(|((a, b), ours)| a != b || a == ours)
}

/// Times what a process does that has rendered the chart before.
fn again(package: &Path) {
    let renderer = Renderer::default();
    let packed = std::fs::read(package).unwrap().into();
    let chart = Arc::new(renderer.load_archive(&packed).unwrap());
    let (capabilities, values) = (offline("", &[]).unwrap(), Map::new());
    let mut taken = Vec::new();
    for _ in 0..=rounds() {
        let release = ReleaseInfo {
            name: "rel".into(),
            namespace: "default".into(),
            revision: 1,
            is_upgrade: false,
        };
        let request = RenderRequest {
            chart: &chart,
            values: &values,
            release,
            capabilities: &capabilities,
            lookup: None,
            hosts: None,
            check_schema: true,
        };
        let start = Instant::now();
        let rendered = renderer.render(&request).unwrap();
        taken.push(start.elapsed());
        assert!(rendered.manifest.len() > 100_000, "the chart renders to much text");
    }
    // The first rendering compiles.
    let first = taken.remove(0);
    taken.sort();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "| the same chart of 61.9.0 again in one process (the first time {:.1} ms) | Leadsman | {:.1} ms | – | – |",
        milliseconds(first),
        milliseconds(taken[taken.len() / 2]),
    );
}

/// Times both on umbrellas of more and more charts.
fn grow(helm: &Helm, folder: &Path) {
    println!("\n| charts below the umbrella | Helm | Leadsman | Leadsman, each chart |");
    println!("|---|---|---|---|");
    let leadsman = Leadsman::new();
    for &count in GROWTH.iter().filter(|count| !tried() || **count <= TRIED) {
        let chart = folder.join(count.to_string());
        umbrella::write(&chart, count);
        let chart = chart.to_string_lossy();
        let arguments = ["template", "rel", chart.as_ref()];
        let costs = costs(
            &mut [
                ("Helm", &mut || helm.command(&arguments)),
                ("Leadsman", &mut || leadsman.command(&arguments)),
            ],
            rounds().min(GROWTH_ROUNDS),
        );
        let wall = |costs| median(costs, |cost| cost.wall).as_secs_f64() * 1e3;
        let (theirs, ours) = (wall(&costs[0]), wall(&costs[1]));
        let each = ours / count as f64;
        println!(
            "| {count} | {theirs:.0} ms | {ours:.1} ms ({:.1}×) | {each:.3} ms |",
            theirs / ours
        );
    }
}
