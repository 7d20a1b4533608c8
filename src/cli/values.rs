//! The user's values: files, and the family of `--set`, in Helm's order.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;

use super::args::Values;
use super::pull::TIMEOUT;
use crate::base::{file, limit};
use crate::chart::{self, merge_values, set};
use crate::repo::{download_file, helm_text};
use crate::yaml::Map;

/// Merges all that was given. The order between kinds of flags is fixed, whatever the order on the
/// command line.
///
/// Source: helm v4.3.1 pkg/cli/values/options.go (`MergeValues`).
pub(super) fn merge(given: &Values) -> anyhow::Result<Map> {
    let mut values = Map::new();
    for name in &given.values {
        let bytes = read(name).map_err(anyhow::Error::msg)?;
        let more =
            chart::parse_values(&bytes).with_context(|| format!("failed to parse {name}"))?;
        values = merge_values(values, more);
    }
    for pairs in &given.set_json {
        set::parse_set_json(pairs, &mut values)?;
    }
    for pairs in &given.set {
        set::parse_set(pairs, &mut values).context("failed parsing --set data")?;
    }
    for pairs in &given.set_string {
        set::parse_set_string(pairs, &mut values).context("failed parsing --set-string data")?;
    }
    for pairs in &given.set_file {
        // Text that is not UTF-8 could not be written as YAML or JSON, either.
        let mut text = |name: &str| Ok(String::from_utf8_lossy(&read(name)?).into_owned());
        set::parse_set_file(pairs, &mut values, &mut text)
            .context("failed parsing --set-file data")?;
    }
    for pair in &given.set_literal {
        set::parse_set_literal(pair, &mut values).context("failed parsing --set-literal data")?;
    }
    Ok(values)
}

/// Fetches an address. Values are read where nothing can wait, so it has a thread of its own.
///
/// Source: helm v4.3.1 pkg/cli/values/options.go (`readFile`).
fn fetch(url: &str) -> Result<Vec<u8>, String> {
    let url = url.to_owned();
    let fetching = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        runtime.block_on(async {
            let fetcher = super::repo::fetcher().map_err(|error| format!("{error:#}"))?;
            let fetched = download_file(&fetcher, &url, TIMEOUT).await;
            fetched.map(|bytes| bytes.to_vec()).map_err(|error| helm_text(&error))
        })
    });
    fetching.join().unwrap_or_else(|_| Err("the download was cut short".to_owned()))
}

/// Reads a file, an address, or stdin if it is called `-`; what fails is said in Helm's words.
fn read(name: &str) -> Result<Vec<u8>, String> {
    if name.starts_with("http://") || name.starts_with("https://") {
        return fetch(name);
    }
    if name.trim() == "-" {
        let mut bytes = Vec::new();
        let read = std::io::stdin().take(limit::SOURCE_FILE_BYTES).read_to_end(&mut bytes);
        return read.map(|_| bytes).map_err(|error| format!("read stdin: {error}"));
    }
    let path = Path::new(name);
    if path.is_dir() {
        return Err(format!("read {name}: is a directory"));
    }
    file::read_bytes(path, limit::SOURCE_FILE_BYTES).map_err(|error| match error.kind() {
        Some(std::io::ErrorKind::NotFound) => format!("open {name}: no such file or directory"),
        Some(std::io::ErrorKind::PermissionDenied) => format!("open {name}: permission denied"),
        _ => crate::base::class::chain(&error),
    })
}
