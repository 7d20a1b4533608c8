//! Packing a chart into an archive.

use std::io;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Returns the gzipped tar of a chart: its files, given by their path inside the chart, below a
/// folder of the chart's name. The same files give the same bytes.
///
/// # Errors
/// A path that tar cannot hold.
pub fn pack<'a>(
    name: &str,
    files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, format!("{name}/{path}"), bytes)?;
    }
    archive.into_inner()?.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::load_archive;

    #[test]
    fn what_is_packed_is_read_back() {
        let metadata = b"apiVersion: v2\nname: web\nversion: 1.0.0\n";
        let files = [("Chart.yaml", &metadata[..]), ("templates/a.yaml", b"a: 1\n")];
        let bytes = pack("web", files).unwrap();
        assert_eq!(bytes, pack("web", files).unwrap());
        let chart = load_archive(&bytes).unwrap();
        assert_eq!(chart.metadata.name, "web");
        assert_eq!(chart.templates.len(), 1);
    }
}
