//! Charts in OCI registries, as Helm keeps them there.
//!
//! Source: helm v4.3.2 pkg/registry/{client,chart,reference,tag}.go, pkg/pusher/ocipusher.go,
//! pkg/downloader/chart_downloader.go.

mod config;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use bytes::Bytes;

use super::error::Error;
use crate::base::constraint::Constraint;
use crate::base::digest::Digest;
use crate::base::limit;
use crate::base::secret::SafeUrl;
use crate::base::version::Version;
use crate::chart::{self, Metadata};
use crate::signature::ANNOTATION;
use crate::source::oci::{self, Descriptor, Index, Manifest, Reference, Session, is_index};
use crate::yaml::json::escape_html;

pub use self::config::{Described, describe};

pub(super) use self::config::Config;

/// How addresses of charts in registries begin.
const SCHEME: &str = "oci://";
/// Media type of a chart's metadata.
const CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
/// Media type of a chart's archive.
pub const CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// The same of old.
const OLD_CHART: &str = "application/tar+gzip";
/// Media type of a chart's provenance.
const PROVENANCE: &str = "application/vnd.cncf.helm.chart.provenance.v1.prov";
/// Most manifests of an index that are looked at.
const MANIFESTS: usize = 16;
const UNDERSCORE: &str = "
OCI artifact references (e.g. tags) do not support the plus sign (+). To support
storing semantic versions, Helm adopts the convention of changing plus (+) to
an underscore (_) in chart version tags when pushing to a registry and back to
a plus (+) when pulling from a registry.
";

fn helm(text: impl Into<String>) -> Error {
    Error::Helm(text.into())
}

/// Whether a text is the address of a chart in a registry, or of such a repository.
pub fn is_oci(text: &str) -> bool {
    text.starts_with(SCHEME)
}

/// Which chart of a registry is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The chart, by a tag or a digest.
    pub reference: Reference,
    /// Name of the archive's file.
    pub file_name: String,
    /// The chart as an address.
    pub address: String,
}

impl Place {
    /// Returns the place of a chart that is named by a digest.
    pub(super) fn of(reference: Reference) -> Self {
        let digest = reference.target.clone();
        place(reference, &digest, '@')
    }
}

/// What is wanted of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The archive.
    Archive,
    /// Its provenance.
    Provenance,
}

/// A part of a chart that was pulled.
#[derive(Debug, Clone)]
pub struct Got {
    /// The part.
    pub bytes: Bytes,
    /// Digest of the manifest.
    pub digest: Digest,
    reference: String,
    is_old: bool,
}

/// A part of a chart that a manifest names.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// Digest of the manifest.
    pub(super) digest: Digest,
    /// The part.
    pub(super) blob: Descriptor,
}

/// A reference as Helm reads it: `+` of a tag becomes `_`, and a digest stands aside.
struct Named {
    reference: Reference,
    digest: String,
}

/// Source: helm v4.3.2 pkg/registry/reference.go (`newReference`).
fn named(text: &str) -> Result<Named, oci::Error> {
    let text = text.strip_prefix(SCHEME).unwrap_or(text);
    let (text, digest) = text.rsplit_once('@').unwrap_or((text, ""));
    let tag = text.rsplit_once(':').map(|(_, tag)| tag).filter(|tag| !tag.contains('/'));
    let reference = match tag {
        Some(tag) if !tag.is_empty() => text.replace(tag, &tag.replace('+', "_")).parse()?,
        _ => text.parse()?,
    };
    Ok(Named { reference, digest: digest.to_owned() })
}

fn check_address(address: &str) -> Result<(), Error> {
    let invalid = |_| helm(format!("invalid chart URL format: {address}"));
    address.parse::<SafeUrl>().map(|_| ()).map_err(invalid)
}

fn place(reference: Reference, wanted: &str, joint: char) -> Place {
    let Reference { registry, repository, .. } = &reference;
    let address = format!("{SCHEME}{registry}/{repository}{joint}{wanted}");
    let last = repository.rsplit('/').next().unwrap_or_default();
    let whole = format!("{last}{joint}{wanted}");
    let (name, version) = whole.rsplit_once(':').unwrap_or((&whole, ""));
    let file_name = format!("{name}-{version}.tgz");
    Place { reference, file_name, address }
}

/// Finds the chart that an address and a version or constraint mean.
///
/// Source: helm v4.3.2 pkg/registry/client.go (`ValidateReference`).
///
/// # Errors
/// Helm's texts: no such version, another tag or digest than the address says.
pub async fn find(session: &Session, address: &str, wanted: &str) -> Result<Place, Error> {
    check_address(address)?;
    let Named { reference, digest } = named(address)?;
    let tag = reference.target.as_str();
    let version = if wanted.is_empty() { tag } else { wanted };
    if !tag.is_empty() && tag != version {
        return Err(helm(format!("chart reference and version mismatch: {version} is not {tag}")));
    }
    if !digest.is_empty() {
        let at: Reference = format!("{}@{digest}", reference.with("")).parse()?;
        // The chart need not have a tag when its digest is told.
        let tagged = format!("{}:{version}", reference.with("")).parse::<Reference>();
        if let Ok(tagged) = tagged
            && !version.is_empty()
            && let Ok(found) = session.resolve(&tagged).await
            && found.to_string() != digest
        {
            let text = format!("chart reference digest mismatch: {found} is not {digest}");
            return Err(helm(text));
        }
        return Ok(place(at, &digest, '@'));
    }
    let chosen = if version.parse::<Version>().is_ok() {
        version.to_owned()
    } else {
        let versions = versions(session, &reference.with("")).await?;
        if versions.is_empty() {
            let text = format!("unable to locate any tags in provided repository: {address}");
            return Err(helm(text));
        }
        choose(&versions, version).map_err(helm)?
    };
    let at = named(&format!("{}:{chosen}", reference.with("")))?;
    Ok(place(at.reference, &chosen, ':'))
}

/// Returns the versions of a chart, newest first: its tags that are strict versions, `_` read as
/// `+`.
///
/// # Errors
/// The tags cannot be had.
pub async fn versions(session: &Session, of: &Reference) -> Result<Vec<Version>, oci::Error> {
    let tags = session.tags(of).await?;
    Ok(versions_of(&tags))
}

pub(super) fn versions_of(tags: &[String]) -> Vec<Version> {
    let strict = |tag: &String| Version::parse_strict(&tag.replace('_', "+")).ok();
    let mut versions: Vec<Version> = tags.iter().filter_map(strict).collect();
    versions.sort_by_key(|version| Reverse(version.clone()));
    versions
}

/// Source: helm v4.3.2 pkg/registry/tag.go.
fn choose(versions: &[Version], wanted: &str) -> Result<String, String> {
    if let Some(exact) = versions.iter().find(|version| version.original() == wanted) {
        return Ok(exact.original().to_owned());
    }
    let range = if wanted.is_empty() { "*" } else { wanted };
    let constraint: Constraint = range.parse().map_err(|error| format!("{error}"))?;
    let found = versions.iter().find(|version| constraint.matches(version));
    found.map(|version| version.original().to_owned()).ok_or_else(|| {
        format!("could not locate a version matching provided version string {wanted}")
    })
}

/// Chooses the version that is locked for a dependency: one that satisfies, or else what was
/// wanted.
///
/// Source: helm v4.3.2 internal/resolver/resolver.go (`Resolve`).
pub(super) async fn locked(
    session: &Session,
    repository: &str,
    name: &str,
    (wanted, constraint): (&str, &Constraint),
) -> Result<String, Error> {
    if wanted.parse::<Version>().is_ok() {
        return Ok(wanted.to_owned());
    }
    let text = format!("{}/{name}", repository.strip_prefix(SCHEME).unwrap_or(repository));
    let listed = async { versions(session, &text.parse()?).await };
    let versions = listed.await.map_err(|error| {
        let why = crate::base::class::chain(&error);
        helm(format!("could not retrieve list of tags for repository {repository}: {why}"))
    })?;
    let found = versions.iter().find(|version| constraint.matches(version));
    Ok(found.map_or(wanted, Version::original).to_owned())
}

/// Pulls a part of a chart.
///
/// # Errors
/// It is not there, is no chart, or is not what its manifest says.
pub async fn get(session: &Session, at: &Place, part: Part) -> Result<Got, Error> {
    let found = layer(session, &at.reference, part).await?;
    fetch(session, at, found, part).await
}

/// Fetches what a manifest names.
pub(super) async fn fetch(
    session: &Session,
    at: &Place,
    Layer { digest, blob }: Layer,
    part: Part,
) -> Result<Got, Error> {
    let limit_bytes = match part {
        Part::Archive => limit::ARCHIVE_BYTES,
        Part::Provenance => limit::SOURCE_FILE_BYTES,
    };
    let bytes = session.blob(&at.reference, &blob, limit_bytes).await;
    let bytes = bytes.map_err(|error| error.at("Fetch", "source"))?;
    let is_old = blob.media_type == OLD_CHART;
    Ok(Got { bytes, digest, reference: at.reference.to_string(), is_old })
}

/// Returns the digest of a manifest, and all that it names; that of an index, and all that its
/// manifests name.
async fn parts(session: &Session, at: &Reference) -> Result<(Digest, Vec<Descriptor>), Error> {
    let fetched = session.manifest(at).await;
    let fetched = fetched.map_err(|error| error.at("FetchReference", "source"))?;
    let read = |bytes: &Bytes| -> Result<Manifest, Error> {
        serde_json::from_slice(bytes)
            .map_err(|error| helm(format!("manifest of {at} cannot be read: {error}")))
    };
    let mut parts = Vec::new();
    if is_index(&fetched.media_type) {
        let index: Index = serde_json::from_slice(&fetched.bytes)
            .map_err(|error| helm(format!("index of {at} cannot be read: {error}")))?;
        for inner in index.manifests.iter().take(MANIFESTS) {
            let inner = session.manifest(&at.with(inner.digest.as_str())).await;
            let inner = inner.map_err(|error| error.at("FindSuccessors", "source"))?;
            parts.extend(parts_of(read(&inner.bytes)?));
        }
    } else {
        parts = parts_of(read(&fetched.bytes)?);
    }
    Ok((fetched.digest, parts))
}

/// Finds a part of a chart in its manifest.
///
/// Source: helm v4.3.2 pkg/registry/client.go (`processChartPull`).
pub(super) async fn layer(session: &Session, at: &Reference, part: Part) -> Result<Layer, Error> {
    let (digest, parts) = parts(session, at).await?;
    let wanted: &[&str] = match part {
        Part::Archive => &[CHART, OLD_CHART],
        Part::Provenance => &[PROVENANCE],
    };
    let fits = |blob: &&Descriptor| wanted.contains(&blob.media_type.as_str());
    let is_config = |blob: &&Descriptor| blob.media_type == CONFIG;
    let found = 1 + parts.iter().filter(|blob| fits(blob) || is_config(blob)).count();
    if found < 2 {
        return Err(helm(format!(
            "manifest does not contain minimum number of descriptors (2), descriptors found: {found}"
        )));
    }
    if !parts.iter().any(|blob| is_config(&blob)) {
        return Err(helm(format!("could not load config with mediatype {CONFIG}")));
    }
    let missing =
        || helm(format!("manifest does not contain a layer with mediatype {}", wanted[0]));
    let blob = parts.iter().rfind(fits).cloned().ok_or_else(missing)?;
    Ok(Layer { digest, blob })
}

/// Whether a layer is one of cosign's signatures.
pub(super) fn is_signature(layer: &Descriptor) -> bool {
    layer.annotations.contains_key(ANNOTATION)
}

fn parts_of(manifest: Manifest) -> Vec<Descriptor> {
    let mut parts = vec![manifest.config];
    parts.extend(manifest.layers);
    parts
}

impl Got {
    /// Returns what Helm says of it.
    pub fn said(&self) -> String {
        let old = format!("Warning: chart media type {OLD_CHART} is deprecated\n");
        let old = if self.is_old { old.as_str() } else { "" };
        format!(
            "{old}{}",
            said("Pulled", &self.reference, self.digest, self.reference.contains('_'))
        )
    }
}

fn said(done: &str, reference: &str, digest: Digest, has_underscore: bool) -> String {
    let text = format!("{done}: {reference}\nDigest: {digest}\n");
    match has_underscore {
        true => format!("{text}{reference} contains an underscore.\n{UNDERSCORE}"),
        false => text,
    }
}

/// Says that a chart has no provenance.
pub fn no_provenance(place: &Place) -> Error {
    helm(format!("failed to fetch provenance {:?}", format!("{}.prov", place.address)))
}

/// A chart that is to be pushed.
#[derive(Debug)]
pub struct Upload {
    /// The archive.
    pub archive: Bytes,
    /// Its provenance, if it has one.
    pub provenance: Option<Bytes>,
    /// When it was made, in RFC 3339.
    pub created: String,
}

/// Pushes a chart to a repository; returns what Helm says of it.
///
/// Source: helm v4.3.2 pkg/registry/client.go (`Push`).
///
/// # Errors
/// It is no chart, or the registry refuses it.
pub async fn push(session: &Session, to: &str, upload: &Upload) -> Result<String, Error> {
    check_address(to)?;
    let chart = chart::load_archive(&upload.archive);
    let metadata = chart.map_err(|error| helm(crate::base::class::chain(&error)))?.metadata;
    let base = to.strip_prefix(SCHEME).unwrap_or(to);
    let base: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    let text = format!("{}/{}:{}", base.join("/"), metadata.name, metadata.version);
    let at = named(&text)?.reference;
    let json = |written: Result<String, serde_json::Error>| {
        written.map(|text| Bytes::from(escape_html(&text))).map_err(|error| helm(error.to_string()))
    };
    let config = json(serde_json::to_string(&metadata))?;
    let mut layers = vec![(CHART, upload.archive.clone())];
    layers.extend(upload.provenance.clone().map(|provenance| (PROVENANCE, provenance)));
    layers.sort_by_key(|(_, bytes)| Digest::of(bytes));
    let describe = |(kind, bytes): &(&str, Bytes)| Descriptor::of(kind, bytes);
    let manifest = json(serde_json::to_string(&Manifest {
        schema_version: 2,
        config: Descriptor::of(CONFIG, &config),
        layers: layers.iter().map(describe).collect(),
        annotations: annotations(&metadata, &upload.created),
    }))?;
    let digest = Digest::of(&manifest);
    let there = session.has_manifest(&at, &digest.to_string()).await;
    if !there.map_err(|error| error.at("Exists", "destination"))? {
        session.push_blob(&at, &config).await?;
        for (_, bytes) in &layers {
            session.push_blob(&at, bytes).await?;
        }
    }
    let pushed = session.push_manifest(&at, &manifest).await;
    pushed.map_err(|error| error.at("Push", "destination"))?;
    Ok(said("Pushed", &at.to_string(), digest, at.target.contains('_')))
}

/// Source: helm v4.3.2 pkg/registry/chart.go (`generateOCIAnnotations`).
fn annotations(metadata: &Metadata, created: &str) -> BTreeMap<String, String> {
    let key = |name: &str| format!("org.opencontainers.image.{name}");
    let people = metadata.maintainers.iter().map(|person| match person.email.as_str() {
        "" => person.name.clone(),
        email => format!("{} ({email})", person.name),
    });
    let people = people.collect::<Vec<_>>().join(", ");
    let source = metadata.sources.first().map_or("", String::as_str);
    let facts = [
        ("description", metadata.description.as_str()),
        ("title", &metadata.name),
        ("version", &metadata.version),
        ("url", &metadata.home),
        ("created", created),
        ("source", source),
        ("authors", &people),
    ];
    let filled = facts.into_iter().filter(|(_, text)| !text.trim().is_empty());
    let mut all: BTreeMap<_, _> = filled.map(|(name, text)| (key(name), text.to_owned())).collect();
    for (name, text) in &metadata.annotations {
        if *name != key("version") && *name != key("title") {
            all.insert(name.clone(), text.clone());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_as_helm_reads_them() {
        let rows = [
            ("oci://r.example/charts/web", Ok(("r.example/charts/web", ""))),
            ("oci://r.example:5000/web:1.0.0+b.1", Ok(("r.example:5000/web:1.0.0_b.1", ""))),
            ("r.example/web:1@sha256:00", Ok(("r.example/web:1", "sha256:00"))),
            ("oci://r.example", Err("invalid reference: missing registry or repository")),
            ("oci://r.example/web+x", Err("invalid reference: invalid repository \"web+x\"")),
        ];
        for (text, want) in rows {
            let got = named(text).map(|named| (named.reference.to_string(), named.digest));
            let want = want.map(|(name, digest)| (name.to_owned(), digest.to_owned()));
            assert_eq!(got.map_err(|e| e.to_string()), want.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn tags_become_versions() {
        let tags =
            ["1.0.0", "latest", "v2.0.0", "1.10.0", "1.0.0_b", "01.0.0", "2.0.0-rc.1", "3.0"];
        let versions = versions_of(&tags.map(str::to_owned));
        let texts: Vec<_> = versions.iter().map(Version::original).collect();
        assert_eq!(texts.len(), 4, "{texts:?}");
        assert_eq!(texts[..2], ["2.0.0-rc.1", "1.10.0"]);
        let rows = [
            ("", Ok("1.10.0")),
            ("1.0.0", Ok("1.0.0")),
            ("1.0.0+b", Ok("1.0.0+b")),
            (">1.0.0-0", Ok("2.0.0-rc.1")),
            ("<1.10", Ok("1.0.0")),
            ("9", Err("could not locate a version matching provided version string 9")),
            ("latest", Err("improper constraint: \"latest\"")),
        ];
        for (wanted, want) in rows {
            let got = choose(&versions, wanted).map(|text| text.replace("+b", ""));
            let want = want.map(|text: &str| text.replace("+b", "")).map_err(str::to_owned);
            assert_eq!(got, want, "{wanted}");
        }
    }

    #[test]
    fn files_are_named_as_helm_names_them() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let of =
            |text: &str, wanted: &str, joint| place(text.parse().unwrap(), wanted, joint).file_name;
        assert_eq!(of("r.example/a/web:1.0.0_b", "1.0.0+b", ':'), "web-1.0.0+b.tgz");
        let by_digest = format!("r.example/web@{digest}");
        let want = format!("web@sha256-{}.tgz", "0".repeat(64));
        assert_eq!(of(&by_digest, &digest, '@'), want);
    }
}
