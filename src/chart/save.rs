//! Packing a loaded chart as `helm package` does.

use std::io;

use flate2::{Compression, GzBuilder};

use super::{Chart, Error, File};
use crate::base::clock::{Timestamp, rfc3339_seconds};
use crate::yaml;

/// What Helm puts into the header of its archives.
const EXTRA: &[u8] = b"rr\x28\x00aHR0cHM6Ly95b3V0dS5iZS96OVV6MWljandyTQo=";

/// The time of the files in an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// The present.
    Now(Timestamp),
    /// `SOURCE_DATE_EPOCH`: also `Chart.lock` is said to be made then.
    Fixed(Timestamp),
}

impl Stamp {
    /// Returns the time.
    pub fn time(self) -> Timestamp {
        match self {
            Self::Now(time) | Self::Fixed(time) => time,
        }
    }
}

/// Returns the archive of a chart: `Chart.yaml` and `Chart.lock` written anew, everything else as
/// it was loaded, the charts of `charts/` as folders. The same chart and time give the same bytes.
///
/// Source: helm v4.3.1 pkg/chart/v2/util/save.go (`Save`, `writeTarContents`).
///
/// # Errors
/// The schema is not JSON, or a text cannot be written as YAML.
pub fn save(chart: &Chart, stamp: Stamp) -> Result<Vec<u8>, Error> {
    let mut files = Vec::new();
    list(chart, "", stamp, &mut files)?;
    let modified = u64::try_from(stamp.time().as_second()).unwrap_or_default();
    archive(&files, modified).map_err(|error| Error::Save(error.to_string()))
}

/// Lists the files of an archive in their order.
fn list(chart: &Chart, above: &str, stamp: Stamp, files: &mut Vec<File>) -> Result<(), Error> {
    let top = format!("{above}{}", chart.metadata.name);
    let mut add = |name: &str, data: bytes::Bytes| {
        files.push(File { name: format!("{top}/{name}"), data: data.into() });
    };
    let mut metadata = chart.metadata.clone();
    let old = metadata.api_version == "v1";
    if old {
        // They stand in requirements.yaml.
        metadata.dependencies.clear();
    }
    add("Chart.yaml", written(&metadata)?);
    if let Some(lock) = chart.lock.as_ref().filter(|_| metadata.api_version == "v2") {
        let mut lock = lock.clone();
        if let Stamp::Fixed(time) = stamp {
            lock["generated"] = rfc3339_seconds(time).into();
        }
        add("Chart.lock", written(&lock)?);
    }
    if let Some(text) = &chart.values_text {
        add("values.yaml", text.clone());
    }
    if let Some(schema) = &chart.schema {
        if serde_json::from_slice::<serde::de::IgnoredAny>(schema).is_err() {
            return Err(Error::Save("invalid JSON in values.schema.json".to_owned()));
        }
        add("values.schema.json", schema.clone());
    }
    for file in chart.templates.iter().chain(&chart.files) {
        add(&file.name, file.data.clone().into_bytes());
    }
    let below = format!("{top}/charts/");
    chart.dependencies.iter().try_for_each(|inner| list(inner, &below, stamp, files))
}

fn written(value: &impl serde::Serialize) -> Result<bytes::Bytes, Error> {
    let value = serde_json::to_value(value).map_err(|error| Error::Save(error.to_string()))?;
    let text = yaml::print(&value).map_err(|error| Error::Save(error.to_string()))?;
    Ok(text.into())
}

fn archive(files: &[File], modified: u64) -> io::Result<Vec<u8>> {
    let packed =
        GzBuilder::new().extra(EXTRA).comment("Helm").write(Vec::new(), Compression::default());
    let mut archive = tar::Builder::new(packed);
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(file.data.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(modified);
        archive.append_data(&mut header, &file.name, &file.data[..])?;
    }
    archive.into_inner()?.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::load_files;

    #[test]
    fn what_is_saved_is_loaded_again() {
        let file = |name: &str, text: &str| File {
            name: name.to_owned(),
            data: bytes::Bytes::from(text.to_owned()).into(),
        };
        let chart = load_files(vec![
            file("Chart.yaml", "version: 1.0.0\nname: web\napiVersion: v2\n"),
            file("charts/db/Chart.yaml", "{name: db, version: 2.0.0, apiVersion: v1}"),
            file("templates/a.yaml", "a: 1\n"),
            file("README.md", "hello"),
        ])
        .unwrap();
        let bytes = save(&chart, Stamp::Now(Timestamp::UNIX_EPOCH)).unwrap();
        assert_eq!(bytes, save(&chart, Stamp::Now(Timestamp::UNIX_EPOCH)).unwrap());
        let names: Vec<_> = crate::chart::unpack_archive(&bytes)
            .unwrap()
            .into_iter()
            .map(|file| file.name)
            .collect();
        assert_eq!(names, ["Chart.yaml", "templates/a.yaml", "README.md", "charts/db/Chart.yaml"]);
        let again = crate::chart::load_archive(&bytes).unwrap();
        assert_eq!(again.dependencies[0].metadata, chart.dependencies[0].metadata);
    }

    #[test]
    fn a_schema_that_is_no_json_is_refused() {
        let chart = Chart { schema: Some("{".into()), ..Chart::default() };
        assert_eq!(
            save(&chart, Stamp::Now(Timestamp::UNIX_EPOCH)).unwrap_err().to_string(),
            "invalid JSON in values.schema.json"
        );
    }
}
