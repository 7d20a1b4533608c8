//! A chart's files → [`Chart`].

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use bytes::Bytes;

use super::values_ahead::{ParsedValues, ValuesAhead};
use super::{ArchiveError, Chart, Error, File, archive, metadata, values::merge_values};
use crate::base::parallel;
use crate::yaml::{self, Map, Numbers, Value};

/// Stack of a thread that loads a subchart: levels of charts and of YAML are bounded.
pub(super) const STACK_BYTES: usize = 16 << 20;
/// Values of this many bytes are worth a thread of their own.
const LONG_VALUES: usize = 8 << 10;
/// Deepest nesting of charts in charts: each level may be an archive of its own.
const MAX_DEPTH: usize = 32;

/// Where a chart lies, which decides what is checked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The chart that somebody asked for.
    Top,
    /// Below that many other charts.
    Below(usize),
}

/// Loads a chart from a `.tgz`. The caller bounds the packed size; the unpacked size and the
/// number of entries are bounded here.
///
/// Source: helm v4.3.1 pkg/chart/loader/load.go (`LoadArchive`).
///
/// # Errors
/// The archive is damaged, too large or not confined, or the chart is not valid.
pub fn load_archive(bytes: &[u8]) -> Result<Chart, Error> {
    load_archive_showing(bytes, &mut |_| {})
}

/// Loads a chart as [`load_archive`], and shows each file as soon as it is unpacked: what is done
/// with it then is done while the rest inflates.
///
/// # Errors
/// As [`load_archive`].
pub fn load_archive_showing(bytes: &[u8], seen: &mut dyn FnMut(&File)) -> Result<Chart, Error> {
    ahead(seen, |seen| archive::unpack(bytes, seen))?.load()
}

/// The files of an archive, and what was made of some of them meanwhile.
#[derive(Debug)]
pub struct Unpacked {
    files: Vec<File>,
    values: ParsedValues,
}

impl Unpacked {
    /// Unpacks an archive, and shows each file as soon as it is there. Its large files that nobody
    /// needs who renders templates are unpacked, and shown to nobody, when somebody looks into
    /// them.
    ///
    /// # Errors
    /// As [`load_archive`].
    pub fn of(bytes: &Bytes, seen: &mut dyn FnMut(&File)) -> Result<Self, Error> {
        ahead(seen, |seen| archive::unpack_lazily(bytes, seen))
    }

    /// Puts together what an earlier unpacking gave: all files, and the values of some.
    #[must_use]
    pub fn again(files: Vec<File>, values: Vec<(Bytes, Map)>) -> Self {
        Self { files, values: values.into_iter().collect() }
    }

    /// Returns all files.
    #[must_use]
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// Looks at the values of this very text, if they are known.
    pub fn values<R>(&self, text: &Bytes, look: impl FnOnce(&Map) -> R) -> Option<R> {
        self.values.look(text, look)
    }

    /// Makes a chart of the files.
    ///
    /// # Errors
    /// The chart is not valid.
    pub fn load(self) -> Result<Chart, Error> {
        if !self.files.iter().any(|file| file.name == "Chart.yaml") {
            return Err(Error::NoVersion);
        }
        assemble(self.files, Place::Top, &self.values)
    }
}

/// Unpacks while values are parsed.
fn ahead(
    seen: &mut dyn FnMut(&File),
    unpack: impl FnOnce(&mut dyn FnMut(&File)) -> Result<Vec<File>, ArchiveError>,
) -> Result<Unpacked, Error> {
    let mut ahead = ValuesAhead::default();
    let mut show = |file: &File| {
        if is_values(&file.name) {
            ahead.give(&file.data);
        }
        seen(file);
    };
    let files = unpack(&mut show).map_err(|error| match error {
        ArchiveError::Header => Error::NotGzip,
        error => Error::Archive(error),
    })?;
    Ok(Unpacked { files, values: ahead.finish() })
}

/// Whether it is the values file of the chart or of one of the folders in `charts/`.
fn is_values(name: &str) -> bool {
    name.strip_suffix("values.yaml")
        .is_some_and(|folder| folder.is_empty() || folder.ends_with('/'))
}

/// Unpacks an archive: its files as they are, named relative to the chart's folder.
///
/// # Errors
/// The archive is damaged, too large or not confined.
pub fn unpack_archive(bytes: &[u8]) -> Result<Vec<File>, Error> {
    archive::unpack(bytes, &mut |_| {}).map_err(Error::Archive)
}

/// Loads a chart from its files, named relative to the chart's folder.
///
/// # Errors
/// The chart is not valid.
pub fn load_files(files: Vec<File>) -> Result<Chart, Error> {
    let files = files
        .into_iter()
        .map(|file| File { data: archive::without_bom(file.data.into_bytes()).into(), ..file })
        .collect();
    assemble(files, Place::Top, &ParsedValues::default())
}

/// Reads a values document: all its YAML documents, later ones over earlier ones, every number a
/// float.
///
/// Source: helm v4.3.1 pkg/chart/v2/loader/load.go (`LoadValues`).
///
/// # Errors
/// The text is not YAML, or a document is not a map.
pub fn parse_values(text: &[u8]) -> Result<Map, Error> {
    let wrong = |error: String| Error::Values(format!("cannot unmarshal yaml document: {error}"));
    let text = decoded(text).map_err(wrong)?;
    let mut values = Map::new();
    for document in documents(&text)? {
        let map = yaml::parse_map(document, Numbers::Float).map_err(|e| wrong(e.to_string()))?;
        values = if values.is_empty() { map } else { merge_values(values, map) };
    }
    Ok(values)
}

/// Splits a stream at lines that begin with `---`, as Kubernetes does before YAML is parsed.
///
/// Source: k8s.io/apimachinery pkg/util/yaml/decoder.go (`YAMLReader.Read`).
///
/// # Errors
/// Something stands behind `---`.
pub fn documents(text: &str) -> Result<Vec<&str>, Error> {
    let mut found = Vec::new();
    let mut start = 0;
    let first = text.starts_with("---").then_some(0);
    let later = memchr::memmem::find_iter(text.as_bytes(), "\n---").map(|at| at + 1);
    for at in first.into_iter().chain(later) {
        let behind = at + "---".len();
        let end = memchr::memchr(b'\n', &text.as_bytes()[behind..]);
        let end = end.map_or(text.len(), |length| behind + length + 1);
        let said = text[behind..end].trim();
        if !said.is_empty() && !said.starts_with('#') {
            let text = format!("invalid Yaml document separator: {said}");
            return Err(Error::Values(format!("error reading yaml document: {text}")));
        }
        if at > start {
            found.push(&text[start..at]);
            start = end;
        }
    }
    if text.len() > start {
        found.push(&text[start..]);
    }
    Ok(found)
}

/// Text in UTF-8, or in UTF-16 with a byte order mark.
pub(crate) fn decoded(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    let wide = |rest: &[u8], read: fn([u8; 2]) -> u16| {
        let units = rest.chunks(2).map(|pair| match pair {
            [a, b] => read([*a, *b]),
            _ => 0xfffd,
        });
        char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect::<String>()
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => Ok(Cow::Owned(wide(rest, u16::from_le_bytes))),
        [0xfe, 0xff, rest @ ..] => Ok(Cow::Owned(wide(rest, u16::from_be_bytes))),
        _ => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| {
            "error converting YAML to JSON: yaml: invalid leading UTF-8 octet".to_owned()
        }),
    }
}

/// Reads `Chart.yaml`; returns also whether there is one.
fn read_metadata(files: &[File], place: Place) -> Result<(metadata::Raw, bool), Error> {
    let mut raw = metadata::Raw::default();
    let mut known = false;
    for file in files.iter().filter(|file| file.name == "Chart.yaml") {
        known = true;
        raw.read(&file.data, "Chart.yaml")?;
    }
    if place == Place::Top && known {
        match raw.plain.api_version.as_str() {
            "" | "v1" | "v2" => {}
            "v3" => return Err(Error::InvalidVersion),
            _ => return Err(Error::UnsupportedVersion),
        }
    }
    if known && raw.plain.api_version.is_empty() {
        "v1".clone_into(&mut raw.plain.api_version);
    }
    Ok((raw, known))
}

/// Sorts the files of a chart into what they are, and loads the charts inside it.
///
/// Source: helm v4.3.1 pkg/chart/v2/loader/load.go (`LoadFiles`).
pub(crate) fn assemble(
    files: Vec<File>,
    place: Place,
    parsed: &ParsedValues,
) -> Result<Chart, Error> {
    let (mut raw, mut known) = read_metadata(&files, place)?;
    let old = raw.plain.api_version == "v1";
    let mut chart = Chart::default();
    let mut inner: BTreeMap<String, Vec<File>> = BTreeMap::new();
    let mut sort = |file: File| -> Result<(), Error> {
        match file.name.as_str() {
            "Chart.yaml" => {}
            "Chart.lock" => chart.lock = metadata::read_lock(&file.data, "Chart.lock")?,
            "values.yaml" => chart.values_text = Some(file.data.into_bytes()),
            "values.schema.json" => {
                chart.schema = Some(file.data.into_bytes()).filter(|data| !data.is_empty());
            }
            "requirements.yaml" => {
                known = true;
                raw.read(&file.data, "requirements.yaml")?;
                chart.files.extend(Some(file).filter(|_| old));
            }
            "requirements.lock" => {
                known = true;
                chart.lock = metadata::read_lock(&file.data, "requirements.lock")?;
                chart.files.extend(Some(file).filter(|_| old));
            }
            name if name.starts_with("templates/") => chart.templates.push(file),
            name => match name.strip_prefix("charts/") {
                Some(below) if !has_ending(name, ".prov") => {
                    let entry = below.split('/').next().unwrap_or(below).to_owned();
                    let file = File { name: below.to_owned(), data: file.data };
                    inner.entry(entry).or_default().push(file);
                }
                _ => chart.files.push(file),
            },
        }
        Ok(())
    };
    let sorted = files.into_iter().try_for_each(&mut sort);
    let text = chart.values_text.clone().unwrap_or_default();
    // The values come first also among errors: they are read last only to save time.
    sorted.or_else(|error| parsed.values(&text).and(Err(error)))?;
    let metadata = if known { raw.checked() } else { Err(Error::NoMetadata) };
    let parent = metadata.as_ref().map(|metadata| metadata.name.clone()).unwrap_or_default();
    let load = || load_inner(inner, &parent, place, parsed);
    let (values, dependencies) = if parsed.knows(&text) || text.len() < LONG_VALUES {
        (parsed.values(&text), load())
    } else {
        parallel::both(STACK_BYTES, || parsed.values(&text), load)
    };
    (chart.values, chart.metadata) = (Arc::new(values?), metadata?);
    chart.dependencies = dependencies?;
    Ok(chart)
}

/// Loads the archives and folders of `charts/`, in the order of their charts' names.
fn load_inner(
    inner: BTreeMap<String, Vec<File>>,
    parent: &str,
    place: Place,
    parsed: &ParsedValues,
) -> Result<Vec<Arc<Chart>>, Error> {
    let depth = match place {
        Place::Top => 1,
        Place::Below(depth) => depth + 1,
    };
    let charted = |(entry, _): &(String, Vec<File>)| !entry.starts_with(['_', '.']);
    let entries: Vec<_> = inner.into_iter().filter(charted).collect();
    if depth > MAX_DEPTH && !entries.is_empty() {
        return Err(Error::TooDeep(MAX_DEPTH));
    }
    let load = |(entry, files): &(String, Vec<File>)| {
        load_one(entry, files, (parent, Place::Below(depth)), parsed).map(Arc::new)
    };
    // Only archives inside the archive are work for threads.
    let loaded = if entries.iter().any(|(entry, _)| has_ending(entry, ".tgz")) {
        parallel::map(&entries, STACK_BYTES, load)
    } else {
        entries.iter().map(load).collect()
    };
    let mut charts = loaded.into_iter().collect::<Result<Vec<_>, _>>()?;
    charts.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    Ok(charts)
}

/// Loads one archive or folder of `charts/`.
fn load_one(
    entry: &str,
    files: &[File],
    (parent, place): (&str, Place),
    parsed: &ParsedValues,
) -> Result<Chart, Error> {
    let loaded = if has_ending(entry, ".tgz") {
        match files.first() {
            Some(file) if file.name == entry => archive::unpack(&file.data, &mut |_| {})
                .map_err(Error::Packed)
                .and_then(|files| assemble(files, place, &ParsedValues::default())),
            first => {
                let found = first.map(|file| file.name.clone()).unwrap_or_default();
                let (parent, entry) = (parent.to_owned(), entry.to_owned());
                return Err(Error::SubchartFolder { parent, entry, found });
            }
        }
    } else {
        let below = files.iter().filter_map(|file| {
            let name = file.name.split_once('/')?.1.to_owned();
            Some(File { name, data: file.data.clone() })
        });
        assemble(below.collect(), place, parsed)
    };
    loaded.map_err(|error| Error::Subchart {
        entry: entry.to_owned(),
        parent: parent.to_owned(),
        source: Box::new(error),
    })
}

/// Whether Go's `filepath.Ext` of a path is this one.
fn has_ending(path: &str, ending: &str) -> bool {
    let base = path.rsplit('/').next().unwrap_or(path);
    base.rfind('.').is_some_and(|dot| &base[dot..] == ending)
}

/// Reads YAML whose numbers keep their kind, for fields that become texts.
pub(crate) fn parse_exact(data: &[u8], file: &'static str) -> Result<Value, Error> {
    let wrong = |text| Error::Parse { file, text };
    let text = decoded(data).map_err(wrong)?;
    yaml::parse(&text, Numbers::Exact).map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
mod tests;
