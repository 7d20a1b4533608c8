//! A chart folder → its files.

use std::path::Path;

use bytes::Bytes;

use super::values_ahead::ParsedValues;
use super::{Chart, Error, File, archive::without_bom, ignore::Rules, load};
use crate::base::file;
use crate::base::limit::{self, Limit};

/// Loads a chart from a folder: symbolic links are followed, `.helmignore` is obeyed.
///
/// Source: helm v4.3.1 pkg/chart/v2/loader/directory.go (`LoadDir`).
///
/// # Errors
/// There is no `Chart.yaml`, a file cannot be read, or the chart is not valid.
pub fn load_folder(path: &Path) -> Result<Chart, Error> {
    let top = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let chart_yaml = top.join("Chart.yaml");
    if let Err(source) = file::read_bytes(&chart_yaml, limit::current().of(Limit::Unpacked)) {
        let missing = source.kind() == Some(std::io::ErrorKind::NotFound);
        let text = if missing {
            format!("open {}: no such file or directory", chart_yaml.display())
        } else {
            source.to_string()
        };
        return Err(Error::NotAChart { path: chart_yaml, text });
    }
    let rules = match file::read_bytes(&top.join(".helmignore"), limit::SOURCE_FILE_BYTES) {
        Ok(text) => Rules::parse(&String::from_utf8_lossy(&text))?,
        Err(error) if error.kind() == Some(std::io::ErrorKind::NotFound) => Rules::parse("")?,
        Err(source) => return Err(Error::Read { name: ".helmignore".to_owned(), source }),
    };
    let mut files = Vec::new();
    let mut left = limit::current().of(Limit::Unpacked);
    for name in file::list_tree(&top).map_err(walked)? {
        if rules.drops(&name) {
            continue;
        }
        let full = top.join(&name);
        let regular = std::fs::metadata(&full).map_err(file::failed("read", &full));
        if !regular.map_err(Error::Walk)?.is_file() {
            return Err(Error::Irregular(full));
        }
        let data = file::read_bytes(&full, left).map_err(|source| match source {
            file::Error::TooLarge { .. } => Error::FolderTooLarge(name.clone()),
            source => Error::Read { name: name.clone(), source },
        })?;
        left -= data.len() as u64;
        files.push(File { name, data: without_bom(Bytes::from(data)).into() });
    }
    load::assemble(files, load::Place::Top, &ParsedValues::default())
}

/// A link to nothing is told in Go's words.
fn walked(error: file::Error) -> Error {
    let path = error.path();
    let missing = error.kind() == Some(std::io::ErrorKind::NotFound);
    let Some(link) = std::fs::read_link(path).ok().filter(|_| missing) else {
        return Error::Walk(error);
    };
    let mut target = path.parent().unwrap_or(path).to_owned();
    for part in link.components() {
        match part {
            std::path::Component::ParentDir => drop(target.pop()),
            std::path::Component::CurDir => {}
            part => target.push(part),
        }
    }
    Error::Dangling { path: path.to_owned(), target }
}
