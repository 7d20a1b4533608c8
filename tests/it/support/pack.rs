//! Packages charts: the same folder gives the same bytes.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use serde_json::Value;
use sha2::Digest as _;

/// A packaged chart and what an index says of it.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    /// `name-version.tgz`.
    pub(crate) file: String,
    /// The archive.
    pub(crate) bytes: Vec<u8>,
    /// `Chart.yaml` as data.
    pub(crate) metadata: Value,
}

impl Package {
    /// Returns the SHA-256 of the archive in hexadecimal.
    pub(crate) fn digest(&self) -> String {
        hex(&sha2::Sha256::digest(&self.bytes))
    }

    /// Reads a finished archive.
    pub(crate) fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&bytes[..]));
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let inside = entry.path().unwrap().into_owned();
            if inside.components().count() == 2 && inside.ends_with("Chart.yaml") {
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                return Self { file, metadata: serde_yaml::from_str(&text).unwrap(), bytes };
            }
        }
        panic!("no Chart.yaml in {}", path.display())
    }

    /// Packs a chart's folder: files in order of their names, fixed times and modes.
    pub(crate) fn folder(folder: &Path) -> Self {
        let files = leadsman::base::file::list_tree(folder).unwrap();
        let contents =
            files.iter().map(|name| (name.clone(), std::fs::read(folder.join(name)).unwrap()));
        Self::files(contents.collect::<Vec<_>>())
    }

    /// Packs files given by name and content; one of them is `Chart.yaml`.
    pub(crate) fn files<N: AsRef<str>, C: AsRef<[u8]>>(
        files: impl IntoIterator<Item = (N, C)>,
    ) -> Self {
        let files: Vec<_> = files.into_iter().collect();
        let chart = files.iter().find(|(name, _)| name.as_ref() == "Chart.yaml");
        let metadata: Value =
            serde_yaml::from_slice(chart.expect("a chart has a Chart.yaml").1.as_ref()).unwrap();
        let (name, version) = (text(&metadata, "name"), text(&metadata, "version"));
        let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        let mut tar = tar::Builder::new(gzip);
        for (file, content) in &files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.as_ref().len() as u64);
            header.set_mode(0o644);
            header.set_mtime(1_700_000_000);
            header.set_entry_type(tar::EntryType::Regular);
            let path = format!("{name}/{}", file.as_ref());
            tar.append_data(&mut header, path, content.as_ref()).unwrap();
        }
        let bytes = tar.into_inner().unwrap().finish().unwrap();
        Self { file: format!("{name}-{version}.tgz"), bytes, metadata }
    }
}

/// Returns bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text<'a>(metadata: &'a Value, key: &str) -> &'a str {
    metadata[key].as_str().unwrap_or_else(|| panic!("Chart.yaml has no text in `{key}`"))
}

/// Returns the entries of a `.tar.gz` with their modes, and the text of each.
pub(crate) fn entries(packed: &[u8]) -> BTreeMap<String, (u32, String)> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed));
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mode = entry.header().mode().unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        (name, (mode, text))
    });
    entries.collect()
}
