//! Versions of the charts of real indexes, chosen as Helm chooses them.
//!
//! `tests/golden/resolve.txt` is written by `tests/parts/resolve`, with Helm's own packages.

use std::collections::BTreeSet;
use std::time::Duration;

use leadsman::repo::{HelmFiles, Registered, Repositories, RepositoryFile, RepositorySpec, locate};
use leadsman::source::{Fetcher, Mirrors};

use super::report;
use crate::support::corpus::corpus;
use crate::support::root;

/// What stands in front of Helm's reason.
const AHEAD: &str = "(try 'helm repo update'): ";

/// Index, chart, constraint, and what Helm takes.
type Row = [String; 4];

fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(root().join("tests/golden/resolve.txt")).unwrap();
    let row = |line: &str| -> Row {
        let row: Vec<String> = line.split('\t').map(str::to_owned).collect();
        row.try_into().unwrap()
    };
    let rows: Vec<Row> = text.lines().map(row).collect();
    assert!(rows.len() >= 1000, "{} rows", rows.len());
    rows
}

/// The controllers choose as Flux does: as Helm, but of versions with fewer than three parts, which
/// they take by their very text alone.
#[tokio::test]
async fn versions_are_chosen_by_releases_as_by_helm() {
    let Some(corpus) = corpus() else { return };
    let folder = tempfile::tempdir().unwrap();
    let rows = rows();
    let names: BTreeSet<&str> = rows.iter().map(|row| &*row[0]).collect();
    assert_eq!(names.len(), 5, "{names:?}");
    let mut mirrors = Vec::new();
    for name in &names {
        let served = folder.path().join(name);
        std::fs::create_dir(&served).unwrap();
        std::fs::write(served.join("index.yaml"), corpus.index(name)).unwrap();
        let mirror = format!("https://charts.example/{name}={}", served.display());
        mirrors.push(mirror.parse().unwrap());
    }
    let fetcher = Fetcher::new(Mirrors(mirrors)).unwrap();
    let repositories = Repositories::new(fetcher, &folder.path().join("cache"));
    let spec = |name: &str| RepositorySpec {
        url: format!("https://charts.example/{name}").parse().unwrap(),
        timeout: Duration::from_secs(60),
        credentials: None,
        tls: None,
        registry: None,
    };
    for name in names {
        repositories.refresh(&spec(name)).await.unwrap();
    }
    let mut wrong = Vec::new();
    for [index, chart, wanted, expected] in &rows {
        let got = repositories.resolve(&spec(index).url, chart, wanted);
        let got = got.map(|found| found[0].text.clone());
        let is_right = match &got {
            Ok(got) => got == expected,
            Err(_) => expected.starts_with('!') || expected.matches('.').count() < 2,
        };
        if !is_right {
            wrong.push(format!("{index}/{chart} {wanted}: {got:?}, not {expected}"));
        }
    }
    report(rows.len(), &wrong);
}

#[test]
fn versions_are_chosen_as_helm_does() {
    let Some(corpus) = corpus() else { return };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let files = HelmFiles { config: at("list.yaml"), cache: at("copies"), packed: at("packed") };
    std::fs::create_dir(&files.cache).unwrap();
    let rows = rows();
    let mut list = RepositoryFile::default();
    for row in &rows {
        let (name, url) = (row[0].clone(), "http://127.0.0.1".to_owned());
        if list.find(&name).is_none() {
            std::fs::write(files.index_file(&name), corpus.index(&name)).unwrap();
            list.put(Registered { name, url, ..Registered::default() });
        }
    }
    files.write(&list).unwrap();
    let mut wrong = Vec::new();
    for [index, chart, wanted, expected] in &rows {
        let reference = format!("{index}/{chart}");
        let login = Registered::default();
        let got = match locate(&files, &reference, wanted, &login, Duration::from_secs(1)) {
            Ok(located) => located.entry.unwrap().text,
            Err(error) => {
                let text = error.to_string();
                format!("! {}", text.split_once(AHEAD).map_or(&*text, |(_, reason)| reason))
            }
        };
        if got != *expected {
            wrong.push(format!("{reference} {wanted}: {got}, not {expected}"));
        }
    }
    report(rows.len(), &wrong);
}
