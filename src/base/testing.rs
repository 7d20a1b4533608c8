//! What unit tests share: where the corpus of real charts lies, and how a test is skipped aloud.

use std::path::{Path, PathBuf};

/// Returns the folder of the corpus, or `None` after saying that the test is skipped.
///
/// `LEADSMAN_CORPUS` names the folder; without it, `shared/corpus` beside the checkout is used.
/// `LEADSMAN_REQUIRE=corpus` turns its absence into a failure.
pub(crate) fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let folder = super::file::env_var("LEADSMAN_CORPUS").map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    let required = super::file::env_var("LEADSMAN_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|part| part == "corpus"), "no corpus at {}", folder.display());
    eprintln!("skipped: no corpus at {}", folder.display());
    None
}
