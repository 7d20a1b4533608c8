//! Versions of the charts of real indexes, chosen as Helm chooses them.
//!
//! `tests/golden/resolve.txt` is written by `tests/parts/resolve`, with Helm's own packages.

use std::time::Duration;

use leadsman::repo::{HelmFiles, Registered, RepositoryFile, locate};

use super::report;
use crate::support::corpus::corpus;
use crate::support::root;

/// What stands in front of Helm's reason.
const AHEAD: &str = "(try 'helm repo update'): ";

#[test]
fn versions_are_chosen_as_helm_does() {
    let Some(corpus) = corpus() else { return };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let files = HelmFiles { config: at("list.yaml"), cache: at("copies"), packed: at("packed") };
    std::fs::create_dir(&files.cache).unwrap();
    let text = std::fs::read_to_string(root().join("tests/golden/resolve.txt")).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    let mut list = RepositoryFile::default();
    for row in &rows {
        let (name, url) = (row[0].to_owned(), "http://127.0.0.1".to_owned());
        if list.find(&name).is_none() {
            std::fs::write(files.index_file(&name), corpus.index(&name)).unwrap();
            list.put(Registered { name, url, ..Registered::default() });
        }
    }
    files.write(&list).unwrap();
    let mut wrong = Vec::new();
    for row in &rows {
        let [index, chart, wanted, expected] = row[..] else { panic!("{row:?}") };
        let reference = format!("{index}/{chart}");
        let login = Registered::default();
        let got = match locate(&files, &reference, wanted, &login, Duration::from_secs(1)) {
            Ok(located) => located.entry.unwrap().text,
            Err(error) => {
                let text = error.to_string();
                format!("! {}", text.split_once(AHEAD).map_or(&*text, |(_, reason)| reason))
            }
        };
        if got != expected {
            wrong.push(format!("{reference} {wanted}: {got}, not {expected}"));
        }
    }
    assert!(rows.len() >= 1000, "{} rows", rows.len());
    report(rows.len(), &wrong);
}
