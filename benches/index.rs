//! Large indexes: `show chart --repo`, `repo update` and `search repo` of Leadsman against those of
//! Helm; whole processes, in turns, on the same machine.
//!
//! `cargo bench --bench index` prints tables of medians for `docs/benchmarks.md`.

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

use contest::{Make, contest, forget, heads, measured, output, tried};
use support::corpus::corpus;
use support::helm::Helm;
use support::leadsman::Leadsman;
use support::repository::Repository;

/// What the chart is, and the range that its version is in.
const CHART: &str = "nginx-22.1.1";
const RANGE: &str = "22.1.x";
/// How often the charts of the real index are in the made one, under other names.
const COPIES: usize = 4;

fn main() {
    if measured() {
        return;
    }
    let (Some(corpus), Some(helm)) = (corpus(), Helm::find()) else { return };
    heads();
    let real = corpus.index("bitnami");
    let made = copied(&real, COPIES);
    let serve = |index: Vec<u8>| {
        let repository = Repository::start();
        repository.publish(&corpus.package("bitnami", CHART));
        let size = index.len() / 1_000_000;
        repository.put_index(index);
        (repository, size)
    };
    let (repository, size) = serve(real.clone());
    resolve(Some(&helm), &repository, size);
    copy(&helm, &repository, size);
    change(&repository, (&real, size));
    if tried() {
        return;
    }
    // Helm takes half a minute and gigabytes: how Leadsman grows is asked here.
    let (repository, size) = serve(made);
    resolve(None, &repository, size);
}

/// Returns an index with the charts of this one, and the same again under other names.
fn copied(index: &[u8], times: usize) -> Vec<u8> {
    let text = std::str::from_utf8(index).unwrap();
    let start = text.find("\nentries:\n").unwrap() + "\nentries:\n".len();
    let end = text.rfind("\ngenerated:").unwrap() + 1;
    let mut made = text[..start].to_owned();
    for copy in 0..times {
        for line in text[start..end].split_inclusive('\n') {
            let is_name =
                line.starts_with("  ") && !line.starts_with("   ") && !line.starts_with("  -");
            match line.strip_suffix(":\n").filter(|_| is_name && copy > 0) {
                Some(name) => made.push_str(&format!("{name}-{copy}:\n")),
                None => made.push_str(line),
            }
        }
    }
    made.push_str(&text[end..]);
    made.into_bytes()
}

/// `show chart --repo` by a range: nothing is rendered, so that the index is what is measured.
fn resolve(helm: Option<&Helm>, repository: &Repository, size: usize) {
    let url = repository.url();
    let arguments = ["show", "chart", "nginx", "--repo", &url, "--version", RANGE];
    let limit = ["--limit", "index=200Mi"];
    let ours: Vec<&str> = arguments.into_iter().chain(limit).collect();
    let (warm, cold) = (Leadsman::new(), Leadsman::new());
    // Both have the archive.
    output(warm.command(&ours));
    output(cold.command(&ours));
    let mut first = || {
        forget(&cold.cache().join("index-v3"));
        cold.command(&ours)
    };
    let mut again = || warm.command(&ours);
    let mut peer = helm.map(|helm| || helm.command(&arguments));
    let mut programs: Vec<Make<'_>> = Vec::new();
    if let Some(peer) = &mut peer {
        programs.push(("Helm", peer));
    }
    programs.push(("Leadsman, the first time", &mut first));
    programs.push(("Leadsman, index unchanged", &mut again));
    let what = format!("resolve `{RANGE}` in an index of {size} MB (`show chart --repo`)");
    contest(&what, &mut programs);
}

/// `show chart --repo` while the index has another version of the chart each time.
fn change(repository: &Repository, (index, size): (&[u8], usize)) {
    let url = repository.url();
    let ours = ["show", "chart", "nginx", "--repo", &url, "--version", RANGE];
    let (again, whole) = (Leadsman::new(), Leadsman::new());
    let text = std::str::from_utf8(index).unwrap();
    let place = text.find("\n  nginx:\n").unwrap() + "\n  nginx:\n".len();
    let mut number = 0;
    let mut next = || {
        number += 1;
        let entry = format!("  - name: nginx\n    version: 0.0.{number}\n    urls: [none.tgz]\n");
        repository.put_index(format!("{}{entry}{}", &text[..place], &text[place..]).into_bytes());
    };
    next();
    output(again.command(&ours));
    output(whole.command(&ours));
    let what = format!("resolve `{RANGE}` where one chart of an index of {size} MB has changed");
    contest(
        &what,
        &mut [
            ("Leadsman, all of it read", &mut || {
                next();
                forget(&whole.cache().join("index-v3"));
                whole.command(&ours)
            }),
            ("Leadsman, the rest known", &mut || again.command(&ours)),
        ],
    );
}

/// `repo update`, and `search repo` in the copy.
fn copy(helm: &Helm, repository: &Repository, size: usize) {
    let ours = Leadsman::new();
    let url = repository.url();
    let limit = ["--limit", "index=200Mi"];
    let with = |arguments: &[&'static str]| -> Vec<&'static str> {
        arguments.iter().copied().chain(limit).collect()
    };
    output(helm.command(&["repo", "add", "large", &url, "--force-update"]));
    output(ours.command(&["repo", "add", "large", &url, limit[0], limit[1]]));
    contest(
        &format!("`repo update` of an index of {size} MB"),
        &mut [
            ("Helm", &mut || helm.command(&["repo", "update", "large"])),
            ("Leadsman", &mut || ours.command(&with(&["repo", "update", "large"]))),
        ],
    );
    let search = ["search", "repo", "large/nginx", "--version", RANGE];
    contest(
        &format!("`search repo` in an index of {size} MB"),
        &mut [
            ("Helm", &mut || helm.command(&search)),
            ("Leadsman, the first time after Helm's `repo update`", &mut || {
                forget(&ours.cache().join("index-v3"));
                ours.command(&with(&search))
            }),
            ("Leadsman", &mut || ours.command(&with(&search))),
        ],
    );
}
