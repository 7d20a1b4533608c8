//! What real Helm said of our own cases, kept as files: a case is added by adding lines.
//!
//! `LEADSMAN_BLESS=helm` writes the answers of the Helm that `tests/parts/build` built into the
//! golden files; without it they are read, and, where Helm is there, it is asked whether it would
//! still say so. Leadsman's own output never gets into them.

mod charts;
mod expressions;
mod resolve;

use std::path::{Path, PathBuf};

use serde_json::json;

/// Whether Helm's answers are to be written instead of compared.
fn is_blessing() -> bool {
    std::env::var("LEADSMAN_BLESS").is_ok_and(|who| who == "helm")
}

/// Returns the `.txt` files of a folder, by name.
fn texts(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    found.sort();
    found
}

/// The name of a file without its folder and extension.
fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

/// Writes a sign and a text: its first line, each other one after a `|`; or, where nobody would
/// see all of it, as a JSON string.
fn lines(sign: char, text: &str) -> String {
    let is_plain = |c: char| c == '\n' || !(c.is_control() || c == '\u{feff}');
    let ends_blank = text.split('\n').any(|line| line.ends_with(char::is_whitespace));
    if ends_blank || !text.chars().all(is_plain) {
        return format!("{sign}{}\n", json!(text));
    }
    let mut written = String::new();
    for (index, line) in text.split('\n').enumerate() {
        written.push(if index == 0 { sign } else { '|' });
        if !line.is_empty() {
            written.push(' ');
            written.push_str(line);
        }
        written.push('\n');
    }
    written
}

/// Fails with all that differs.
#[track_caller]
fn report(total: usize, wrong: &[String]) {
    assert!(wrong.is_empty(), "{} of {total} differ\n{}", wrong.len(), wrong.join("\n"));
}
