//! The corpus of real charts and of what real Helm made of them, kept beside the checkout.

use std::path::{Path, PathBuf};

use super::{parts, root};

/// Returns the folder of the corpus, or `None` after saying that the test is skipped.
///
/// `LEADSMAN_CORPUS` names the folder; without it, `shared/corpus` beside the checkout is used.
pub(crate) fn corpus() -> Option<Corpus> {
    let beside = root().join("../shared/corpus");
    let folder = std::env::var_os("LEADSMAN_CORPUS").map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(Corpus { folder });
    }
    parts::skip("corpus", &format!("no corpus at {}", folder.display()))
}

/// The corpus; its own README says what is where.
#[derive(Debug, Clone)]
pub(crate) struct Corpus {
    folder: PathBuf,
}

impl Corpus {
    /// Returns the folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the packages of a repository, such as `podinfo`, with their `index.yaml`.
    pub(crate) fn repository(&self, name: &str) -> PathBuf {
        self.folder.join("charts").join(name)
    }

    /// Returns one package, such as `podinfo`, `podinfo-6.9.0`.
    pub(crate) fn package(&self, repository: &str, name_version: &str) -> PathBuf {
        let path = self.repository(repository).join(format!("{name_version}.tgz"));
        assert!(path.is_file(), "no {} in the corpus", path.display());
        path
    }

    /// Returns the packages of a repository whose file name starts with the given text, by name.
    pub(crate) fn packages(&self, repository: &str, start: &str) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = std::fs::read_dir(self.repository(repository))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name.starts_with(start) && name.ends_with(".tgz")
            })
            .collect();
        found.sort();
        found
    }

    /// Returns an index such as `bitnami`, unpacked.
    pub(crate) fn index(&self, name: &str) -> Vec<u8> {
        gunzip(&self.folder.join(format!("indexes/{name}.yaml.gz")))
    }

    /// Returns what Helm printed for a case, such as `podinfo`, `podinfo-6.9.0@default`.
    pub(crate) fn golden(&self, repository: &str, chart_case: &str) -> String {
        let path = self.folder.join(format!("golden/{repository}/{chart_case}.yaml.gz"));
        String::from_utf8(gunzip(&path)).unwrap()
    }
}

fn gunzip(path: &Path) -> Vec<u8> {
    let file = std::fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(file), &mut bytes).unwrap();
    bytes
}
