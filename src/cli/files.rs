//! `--output-dir`: a file for each template.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::base::file;
use crate::base::limit::{self, Limit};

/// Files to be written, and in which order documents came to them.
#[derive(Debug, Default)]
pub(super) struct Files {
    files: Vec<(PathBuf, Vec<u8>)>,
    log: String,
}

impl Files {
    /// Adds a document to the file of its template.
    ///
    /// Source: helm v4.3.1 pkg/action/action.go (`writeToFile`).
    pub(super) fn add(&mut self, folder: &str, path: &str, text: &[u8]) {
        let full = format!("{folder}/{path}");
        let known = self.files.iter().position(|(known, _)| known == Path::new(&full));
        let at = known.unwrap_or(self.files.len());
        if known.is_none() {
            self.files.push((PathBuf::from(&full), Vec::new()));
        }
        let content = &mut self.files[at].1;
        content.extend_from_slice(format!("---\n# Source: {path}\n").as_bytes());
        content.extend_from_slice(text);
        content.push(b'\n');
        self.log.push_str(&format!("wrote {full}\n"));
    }

    /// Keeps what is already in a file: Helm appends hooks to whatever an earlier run left.
    pub(super) fn keep(&mut self, folder: &str, path: &str) -> anyhow::Result<()> {
        let full = Path::new(folder).join(path);
        if full.exists() && !self.files.iter().any(|(known, _)| *known == full) {
            let content = file::read_bytes(&full, limit::current().of(Limit::Unpacked))?;
            self.files.push((full, content));
        }
        Ok(())
    }

    /// Writes the files and returns what is said of them.
    pub(super) fn write(self) -> anyhow::Result<String> {
        for (path, content) in &self.files {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)
                    .with_context(|| format!("create the folder `{}`", folder.display()))?;
            }
            file::write_atomic(path, content)?;
        }
        Ok(self.log)
    }
}

/// Joins a folder and a name as Go does: cleaned.
pub(super) fn join(folder: &str, name: &str) -> String {
    let rooted = folder.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(name.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    if rooted { format!("/{joined}") } else { joined }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_as_go_joins_them() {
        let rows = [
            ("o", "r", "o/r"),
            ("o/./p", "r", "o/p/r"),
            ("t/../u/", "r", "u/r"),
            ("/a//b", "c", "/a/b/c"),
            ("/..", "c", "/c"),
            ("../..", "c", "../../c"),
            ("./c", "Chart.yaml", "c/Chart.yaml"),
            (".", "x", "x"),
        ];
        for (folder, name, joined) in rows {
            assert_eq!(join(folder, name), joined, "{folder} and {name}");
        }
    }
}
