//! What registries hold: manifests, and the blobs that they name.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::base::digest::Digest;

/// Media type of a manifest.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of a list of manifests.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The same, as Docker calls it.
const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Media types that are taken as an answer to a reference.
pub(super) const ACCEPTED: &str = "application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.artifact.manifest.v1+json";

/// What a manifest says of a blob, or an index of a manifest. The order of the fields is the one
/// in which Go writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Descriptor {
    /// What the bytes are.
    pub media_type: String,
    /// Their digest.
    pub digest: String,
    /// How many there are.
    pub size: u64,
    /// What else is said of them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_empty")]
    pub annotations: BTreeMap<String, String>,
    /// For which machine, of a manifest in an index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// What a manifest is about, in a list of those that are about another.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub artifact_type: String,
}

/// For which machine something is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Platform {
    /// Processor.
    pub architecture: String,
    /// System.
    pub os: String,
}

impl Descriptor {
    /// Returns what describes some bytes.
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(bytes).to_string(),
            size: bytes.len() as u64,
            ..Self::default()
        }
    }
}

/// What belongs together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// What the others are about.
    pub config: Descriptor,
    /// The others.
    #[serde(deserialize_with = "or_empty")]
    pub layers: Vec<Descriptor>,
    /// What else is said.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A list of manifests, such as one for each kind of machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Index {
    /// The manifests.
    #[serde(deserialize_with = "or_empty")]
    pub manifests: Vec<Descriptor>,
}

/// A manifest or an index, as it was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its digest.
    pub digest: Digest,
    /// What it is.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Bytes,
}

/// Whether a media type is that of an index.
pub fn is_index(media_type: &str) -> bool {
    matches!(media_type, INDEX | DOCKER_INDEX)
}

/// Registries also write `null` where nothing is.
fn or_empty<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_written_as_go_writes_them() {
        let manifest = Manifest {
            schema_version: 2,
            config: Descriptor::of("c", b""),
            layers: vec![Descriptor::of("l", b"x")],
            annotations: [("b".to_owned(), "1".to_owned()), ("a".to_owned(), "2".to_owned())]
                .into(),
        };
        let text = serde_json::to_string(&manifest).unwrap();
        let (c, l) = (Digest::of(b""), Digest::of(b"x"));
        let want = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"c","digest":"{c}","size":0}},"layers":[{{"mediaType":"l","digest":"{l}","size":1}}],"annotations":{{"a":"2","b":"1"}}}}"#
        );
        assert_eq!(text, want);
        assert_eq!(serde_json::from_str::<Manifest>(&text).unwrap(), manifest);
        let bare: Manifest = serde_json::from_str(r#"{"layers":null,"annotations":null}"#).unwrap();
        assert_eq!(bare, Manifest::default());
    }
}
