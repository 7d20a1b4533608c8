//! Small charts, one file each: `fixtures/charts-small/*.txt`, whose README says what the lines are.

use std::path::{Path, PathBuf};
use std::process::Command;

use futures::StreamExt as _;

use super::{is_blessing, lines, report, stem, texts};
use crate::support::helm::{Helm, error_of};
use crate::support::leadsman::Leadsman;
use crate::support::{fixtures, root};

/// What the names of charts begin with that differ, each for a reason of `docs/compat.md`.
const KNOWN: &str = "known-";

/// What is read from one file.
#[derive(Debug, Default)]
struct Case {
    runs: Vec<String>,
    /// A folder and the archive that it becomes.
    packs: Vec<(String, String)>,
    /// A path and what the symbolic link there names.
    links: Vec<(String, String)>,
    files: Vec<(String, String)>,
}

fn read(text: &str) -> Case {
    let mut case = Case::default();
    let mut is_json = false;
    for line in text.split_inclusive('\n') {
        let whole = line.strip_suffix('\n').unwrap_or(line);
        if let Some(name) = whole.strip_prefix("-- ").and_then(|rest| rest.strip_suffix(" --")) {
            is_json = name.ends_with(" json");
            case.files.push((name.trim_end_matches(" json").to_owned(), String::new()));
        } else if let Some((_, content)) = case.files.last_mut() {
            if is_json {
                *content += &serde_json::from_str::<String>(line).unwrap();
            } else {
                *content += line;
            }
        } else if let Some(run) = whole.strip_prefix("$ ") {
            case.runs.push(run.to_owned());
        } else if let Some((from, to)) = two(whole, "pack ") {
            case.packs.push((from, to));
        } else if let Some((path, target)) = two(whole, "link ") {
            case.links.push((path, target));
        }
    }
    case
}

fn two(line: &str, word: &str) -> Option<(String, String)> {
    let (one, other) = line.strip_prefix(word)?.split_once(' ')?;
    (!other.contains(' ')).then(|| (one.to_owned(), other.to_owned()))
}

/// Arguments: separated by blanks that do not stand between single quotes; two of those are one.
fn arguments(run: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut is_quoted = false;
    let mut rest = run.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\'' if is_quoted && rest.next_if_eq(&'\'').is_some() => {
                found.last_mut().unwrap().push(c);
            }
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => found.push(String::new()),
            other => found.last_mut().unwrap().push(other),
        }
    }
    found
}

fn lay(case: &Case, folder: &Path) {
    let make = |name: &str| {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    };
    for (name, content) in &case.files {
        std::fs::write(make(name), content).unwrap();
    }
    for (path, target) in &case.links {
        std::os::unix::fs::symlink(target, make(path)).unwrap();
    }
    for (from, to) in &case.packs {
        std::fs::write(make(to), packed(&folder.join(from))).unwrap();
    }
}

/// An archive of a folder, whose name is the first part of all names in it.
fn packed(folder: &Path) -> Vec<u8> {
    let prefix = folder.file_name().unwrap().to_string_lossy().into_owned();
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let mut tar = tar::Builder::new(gzip);
    for name in leadsman::base::file::list_tree(folder).unwrap() {
        let content = std::fs::read(folder.join(&name)).unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_entry_type(tar::EntryType::Regular);
        tar.append_data(&mut header, format!("{prefix}/{name}"), &content[..]).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// Runs all of a case in a folder and writes down what came of it.
fn outcome(case: &Case, folder: &Path, command: impl Fn(&[String]) -> Command) -> String {
    lay(case, folder);
    let mut text = String::new();
    for run in &case.runs {
        let output = command(&arguments(run)).current_dir(folder).output().unwrap();
        let shown = |bytes: &[u8]| {
            String::from_utf8_lossy(bytes).replace(&*folder.to_string_lossy(), "<folder>")
        };
        text += &format!("$ {run}\nexit {}\n", output.status.code().unwrap());
        text += &lines('=', &shown(&output.stdout));
        let error = error_of(&shown(&output.stderr));
        if !error.is_empty() {
            text += &lines('!', &error);
        }
    }
    text
}

fn cases() -> Vec<(PathBuf, Case)> {
    let files = texts(&fixtures().join("charts-small"));
    files
        .into_iter()
        .map(|path| {
            let case = read(&std::fs::read_to_string(&path).unwrap());
            (root().join("tests/golden/charts").join(path.file_name().unwrap()), case)
        })
        .collect()
}

/// The first run that differs, of both.
fn difference(want: &str, got: &str) -> String {
    let runs = |text: &str| text.split("\n$ ").map(str::to_owned).collect::<Vec<_>>();
    let (want, got) = (runs(want), runs(got));
    let at = want.iter().zip(&got).position(|(want, got)| want != got).unwrap_or_default();
    format!("want {}\ngot  {}", want[at], got[at])
}

#[tokio::test(flavor = "multi_thread")]
async fn charts_give_what_the_golden_files_say() {
    let cases = cases();
    let total = cases.len();
    let check = |(path, case): (PathBuf, Case)| async move {
        let Ok(want) = std::fs::read_to_string(&path) else {
            return (!is_blessing()).then(|| format!("{}: no golden file", stem(&path)));
        };
        let run = move || {
            let leadsman = Leadsman::new();
            outcome(&case, leadsman.folder(), |arguments| leadsman.command(arguments))
        };
        let got = tokio::task::spawn_blocking(run).await.unwrap();
        let name = stem(&path);
        let is_wrong = (got == want) == name.starts_with(KNOWN);
        is_wrong.then(|| format!("{name}: {}", difference(&want, &got)))
    };
    let found = futures::stream::iter(cases.into_iter().map(check)).buffered(4);
    let wrong: Vec<_> = found.filter_map(std::future::ready).collect().await;
    assert!(total > 100, "only {total} charts");
    report(total, &wrong);
}

#[test]
fn helm_still_says_what_the_golden_charts_say() {
    let Some(helm) = Helm::find() else { return };
    let cases = cases();
    let mut wrong = Vec::new();
    for (path, case) in &cases {
        let folder = tempfile::tempdir().unwrap();
        let said = outcome(case, folder.path(), |arguments| helm.command(arguments));
        let known = std::fs::read_to_string(path).unwrap_or_default();
        if said != known && is_blessing() {
            std::fs::write(path, said).unwrap();
        } else if said != known {
            wrong.push(format!("{}: {}", stem(path), difference(&known, &said)));
        }
    }
    report(cases.len(), &wrong);
}
