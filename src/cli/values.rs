//! The user's values: files, and the family of `--set`, in Helm's order.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;

use super::args::Values;
use super::pull::TIMEOUT;
use crate::base::file;
use crate::base::limit::{self, Limit};
use crate::chart::origin::Layers;
use crate::chart::{self, SetError, merge_values, set};
use crate::controller::values::{Giver, Receiver, key};
use crate::repo::{download_file, helm_text};
use crate::yaml::Map;

/// Something that was given, in the order in which it is merged.
#[derive(Debug, Clone)]
pub(super) enum Given {
    /// `-f`.
    File {
        /// Its name, as typed.
        name: String,
        /// Its content.
        bytes: Vec<u8>,
    },
    /// One of the family of `--set`.
    Flag {
        /// The flag.
        flag: &'static str,
        /// Its value.
        pairs: String,
        /// What `--set-file` read, in order: stdin is there only once.
        texts: Vec<String>,
    },
    /// `valuesFrom` of a `HelmRelease`.
    Reference {
        /// `ConfigMap` or `Secret`.
        kind: String,
        /// Name of the object.
        name: String,
        /// Key in it.
        key: String,
        /// Where the value goes; none: it is a document.
        target_path: Option<String>,
        /// The text of the key.
        text: String,
    },
    /// `spec.values` of a `HelmRelease`.
    Inline,
    /// The values in the record of a release.
    Record,
}

/// The user's values, and what they are made of.
#[derive(Debug, Default)]
pub(super) struct Merged {
    pub(super) values: Map,
    pub(super) given: Vec<Given>,
}

/// Merges all that was given. The order between kinds of flags is fixed, whatever the order on the
/// command line.
///
/// Source: helm v4.3.1 pkg/cli/values/options.go (`MergeValues`).
pub(super) fn merge(args: &Values) -> anyhow::Result<Merged> {
    let mut merged = Merged::default();
    for name in &args.values {
        let bytes = read(name).map_err(anyhow::Error::msg)?;
        let more =
            chart::parse_values(&bytes).with_context(|| format!("failed to parse {name}"))?;
        merged.values = merge_values(merged.values, more);
        merged.given.push(Given::File { name: name.clone(), bytes });
    }
    let kinds = [
        ("--set-json", &args.set_json),
        ("--set", &args.set),
        ("--set-string", &args.set_string),
        ("--set-file", &args.set_file),
        ("--set-literal", &args.set_literal),
    ];
    for (flag, all) in kinds {
        for pairs in all {
            let mut texts = Vec::new();
            let mut text = |name: &str| {
                // Text that is not UTF-8 could not be written as YAML or JSON, either.
                let text = String::from_utf8_lossy(&read(name)?).into_owned();
                texts.push(text.clone());
                Ok(text)
            };
            let written = write(flag, pairs, &mut merged.values, &mut text);
            match flag {
                "--set-json" => written?,
                _ => written.with_context(|| format!("failed parsing {flag} data"))?,
            }
            merged.given.push(Given::Flag { flag, pairs: pairs.clone(), texts });
        }
    }
    Ok(merged)
}

fn write(
    flag: &str,
    pairs: &str,
    values: &mut Map,
    text: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<(), SetError> {
    match flag {
        "--set-json" => set::parse_set_json(pairs, values),
        "--set-string" => set::parse_set_string(pairs, values),
        "--set-literal" => set::parse_set_literal(pairs, values),
        "--set-file" => set::parse_set_file(pairs, values, text),
        _ => set::parse_set(pairs, values),
    }
}

/// Merges once more, slowly, so that each value is known to come from somewhere.
pub(super) fn layers(given: &[Given]) -> anyhow::Result<Layers> {
    let mut layers = Layers::default();
    for one in given {
        match one {
            Given::File { bytes, .. } => layers.merge(chart::parse_values(bytes)?),
            Given::Flag { flag, pairs, texts } => {
                layers.write(&mut |values| {
                    let mut known = texts.iter().cloned();
                    let mut text = |_: &str| Ok(known.next().unwrap_or_default());
                    write(flag, pairs, values, &mut text)
                })?;
            }
            // Those of a cluster are merged by what reads them.
            Given::Reference { .. } | Given::Inline | Given::Record => {}
        }
    }
    Ok(layers)
}

/// Values of a cluster as they are merged, layer upon layer.
#[derive(Debug, Default)]
pub(super) struct Collected {
    pub(super) layers: Layers,
    pub(super) given: Vec<Given>,
}

impl Receiver for Collected {
    fn merge(&mut self, giver: Giver<'_>, document: Map) {
        self.layers.merge(document);
        self.given.push(giver.into());
    }

    fn write(
        &mut self,
        giver: Giver<'_>,
        write: &mut dyn FnMut(&mut Map) -> Result<(), SetError>,
    ) -> Result<(), SetError> {
        self.layers.write(write)?;
        self.given.push(giver.into());
        Ok(())
    }
}

impl From<Giver<'_>> for Given {
    fn from(giver: Giver<'_>) -> Self {
        match giver {
            Giver::Inline => Self::Inline,
            Giver::Reference(reference, text) => Self::Reference {
                kind: reference.kind.clone(),
                name: reference.name.clone(),
                key: key(reference).to_owned(),
                target_path: reference.target_path.clone(),
                text: text.to_owned(),
            },
        }
    }
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
        let read =
            std::io::stdin().take(limit::current().of(Limit::Values)).read_to_end(&mut bytes);
        return read.map(|_| bytes).map_err(|error| format!("read stdin: {error}"));
    }
    let path = Path::new(name);
    if path.is_dir() {
        return Err(format!("read {name}: is a directory"));
    }
    let limits = limit::current();
    file::read_bytes(path, limits.of(Limit::Values)).map_err(|error| match error.kind() {
        Some(std::io::ErrorKind::NotFound) => format!("open {name}: no such file or directory"),
        Some(std::io::ErrorKind::PermissionDenied) => format!("open {name}: permission denied"),
        _ if matches!(error, file::Error::TooLarge { .. }) => {
            limits.refusal(Limit::Values, format_args!("{name} is too large"))
        }
        _ => crate::base::class::chain(&error),
    })
}
