//! A manifest as text: how Helm stores it, and how `leadsman template` prints it.
//!
//! Source: helm v4.3.1 pkg/action/action.go (`renderResources`), pkg/cmd/template.go.

use std::io::Write;

use super::{Document, Hook, Sorted, split};
use crate::release::Error;

/// What stands before the path of each document.
const BEFORE_PATH: &str = "---\n# Source: ";

/// Writes documents as Helm stores them, with room for hooks behind them.
pub fn text(documents: &[Document<'_>], hooks: &[Hook]) -> String {
    let size = documents.iter().map(|document| room(document.path, document.text));
    // A template's output has the hooks behind it: the large text need not move for them.
    let more = hooks.iter().map(|hook| room(&hook.path, &hook.manifest));
    let mut out = String::with_capacity(size.chain(more).sum());
    for document in documents {
        push(&mut out, document.path, document.text);
    }
    out
}

fn room(path: &str, text: &str) -> usize {
    pieces(path, text).map(str::len).iter().sum()
}

/// What a document is written as.
fn pieces<'a>(path: &'a str, text: &'a str) -> [&'a str; 5] {
    [BEFORE_PATH, path, "\n", text, "\n"]
}

/// Appends a document, or a file of definitions, as Helm shows it.
pub fn push(out: &mut String, path: &str, text: &str) {
    out.extend(pieces(path, text));
}

/// Takes what [`text`] wrote apart again: the path and the text of each document.
pub fn parts(manifest: &str) -> impl Iterator<Item = (&str, &str)> {
    // No document holds a line that begins with `---`: it would have been split there.
    let manifest = manifest.strip_suffix('\n').unwrap_or(manifest);
    let first = manifest.strip_prefix(BEFORE_PATH);
    let documents = first.into_iter().flat_map(|all| all.split("\n---\n# Source: "));
    documents.filter_map(|document| document.split_once('\n'))
}

/// Which part of a rendering `leadsman template` prints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only documents of these templates.
    pub show_only: Vec<String>,
    /// Leave test hooks out.
    pub skip_tests: bool,
    /// Leave all hooks out.
    pub no_hooks: bool,
}

/// Returns what `helm template` prints.
///
/// # Errors
/// A template of `show_only` does not exist.
pub fn template_output(
    manifest: String,
    hooks: &[Hook],
    selection: &Selection,
) -> Result<String, Error> {
    // The manifest is large: it is trimmed where it is.
    let mut out = manifest;
    out.truncate(out.trim_end().len());
    let blank = out.len() - out.trim_start().len();
    out.drain(..blank);
    out.push('\n');
    for hook in hooks.iter().filter(|hook| !(selection.skip_tests && hook.is_test())) {
        if !selection.no_hooks {
            push(&mut out, &hook.path, &hook.manifest);
        }
    }
    if selection.show_only.is_empty() {
        return Ok(out);
    }
    let mut shown = String::new();
    for wanted in &selection.show_only {
        let mut found = false;
        for document in split(&out) {
            let source = document.lines().find_map(|line| line.strip_prefix("# Source: "));
            let path = source.and_then(|source| source.split_once('/')).map(|(_, path)| path);
            if path.is_some_and(|path| glob(wanted, path)) {
                found = true;
                shown.push_str("---\n");
                shown.push_str(document);
                shown.push('\n');
            }
        }
        if !found {
            return Err(Error::Refused(format!("could not find template {wanted} in chart")));
        }
    }
    Ok(shown)
}

/// Writes what [`template_output`] returns where everything is selected, document by document: put
/// together it is large, and nobody else needs it.
///
/// # Errors
/// Those of `out`.
pub fn write_output(out: &mut impl Write, sorted: &Sorted<'_>) -> std::io::Result<()> {
    let mut last = String::new();
    if let Some((document, before)) = sorted.documents.split_last() {
        before.iter().try_for_each(|one| write_one(out, one.path, one.text))?;
        push(&mut last, document.path, document.text);
    }
    out.write_all(last.trim_end().as_bytes())?;
    out.write_all(b"\n")?;
    for hook in &sorted.hooks {
        write_one(out, &hook.path, &hook.manifest)?;
    }
    out.flush()
}

fn write_one(out: &mut impl Write, path: &str, text: &str) -> std::io::Result<()> {
    pieces(path, text).iter().try_for_each(|piece| out.write_all(piece.as_bytes()))
}

/// `*` and `?` do not cross a slash.
fn glob(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), path.chars().collect());
    fn go(pattern: &[char], path: &[char]) -> bool {
        match (pattern.first(), path.first()) {
            (None, None) => true,
            (Some('*'), _) => {
                go(&pattern[1..], path)
                    || path.first().is_some_and(|c| *c != '/') && go(pattern, &path[1..])
            }
            (Some('?'), Some(c)) if *c != '/' => go(&pattern[1..], &path[1..]),
            (Some(a), Some(b)) if a == b => go(&pattern[1..], &path[1..]),
            _ => false,
        }
    }
    go(&pattern, &path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_manifest_is_taken_apart_again() {
        let document = |path, text| Document { path, text, kind: String::new() };
        let documents =
            [document("c/a", "x: ---\n# Source: no\n"), document("c/b", "y"), document("c/c", "")];
        let whole = text(&documents, &[]);
        let seen: Vec<_> = parts(&whole).collect();
        assert_eq!(seen, [("c/a", "x: ---\n# Source: no\n"), ("c/b", "y"), ("c/c", "")]);
    }

    #[test]
    fn what_is_written_by_pieces_is_what_is_put_together() {
        let document = |path, text| Document { path, text, kind: String::new() };
        let hook = Hook { path: "c/h".into(), manifest: "kind: Job\n".into(), ..Hook::default() };
        let all = [document("c/a", "a: 1\n\n"), document("c/b", "b: 2\n\n \n")];
        for (documents, hooks) in [(0, 0), (1, 0), (2, 0), (0, 1), (2, 2)]
            .map(|(documents, hooks)| (all[..documents].to_vec(), vec![hook.clone(); hooks]))
        {
            let whole =
                template_output(text(&documents, &hooks), &hooks, &Selection::default()).unwrap();
            let mut pieces = Vec::new();
            write_output(&mut pieces, &Sorted { documents, hooks }).unwrap();
            assert_eq!(String::from_utf8(pieces).unwrap(), whole);
        }
    }
}
