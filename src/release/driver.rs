//! Where records are kept.
//!
//! Source: helm v4.3.2 pkg/storage/driver (secrets.go, cfgmaps.go), pkg/action/action.go (`Init`).

use std::borrow::Cow;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::cluster::Object;
use crate::yaml::Value;

/// The kind of object that holds a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Driver {
    /// Secrets: what Helm uses when nothing is said, and Flux always.
    #[default]
    Secrets,
    /// ConfigMaps.
    ConfigMaps,
}

impl FromStr for Driver {
    type Err = String;

    /// Reads a value of `HELM_DRIVER`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" | "secret" | "secrets" => Ok(Self::Secrets),
            "configmap" | "configmaps" => Ok(Self::ConfigMaps),
            "memory" | "sql" => Err(format!(
                "driver {text:?} is not supported: set HELM_DRIVER to \"secret\" or \"configmap\", or \
                 leave these releases to Helm"
            )),
            _ => Err(format!("unknown driver {text:?}")),
        }
    }
}

impl Driver {
    /// Returns the kind of the objects, of `v1`.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Secrets => "Secret",
            Self::ConfigMaps => "ConfigMap",
        }
    }

    /// Returns the object that holds a record's text.
    pub(super) fn object(self, metadata: Value, text: &str) -> Object {
        Object(match self {
            Self::Secrets => json!({
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": metadata,
                "type": "helm.sh/release.v1",
                "data": {"release": STANDARD.encode(text)},
            }),
            Self::ConfigMaps => json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": metadata,
                "data": {"release": text},
            }),
        })
    }

    /// Returns the record's text that an object holds.
    pub(super) fn text(self, object: &Object) -> Result<Cow<'_, [u8]>, base64::DecodeError> {
        let data = object.text("/data/release");
        match self {
            Self::Secrets => STANDARD.decode(data).map(Cow::Owned),
            Self::ConfigMaps => Ok(Cow::Borrowed(data.as_bytes())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_helms() {
        for (word, wanted) in [
            ("", Ok(Driver::Secrets)),
            ("secret", Ok(Driver::Secrets)),
            ("secrets", Ok(Driver::Secrets)),
            ("configmap", Ok(Driver::ConfigMaps)),
            ("configmaps", Ok(Driver::ConfigMaps)),
            ("ConfigMap", Err("unknown driver \"ConfigMap\"")),
            ("x", Err("unknown driver \"x\"")),
            ("sql", Err("driver \"sql\" is not supported: set HELM_DRIVER to")),
            ("memory", Err("driver \"memory\" is not supported: set HELM_DRIVER to")),
        ] {
            match (word.parse::<Driver>(), wanted) {
                (Err(got), Err(wanted)) => assert!(got.starts_with(wanted), "{word}: {got}"),
                (got, wanted) => assert_eq!(got, wanted.map_err(str::to_owned), "{word}"),
            }
        }
    }

    #[test]
    fn what_is_put_into_an_object_is_read_from_it() {
        for driver in [Driver::Secrets, Driver::ConfigMaps] {
            let object = driver.object(json!({"name": "a"}), "dGV4dA==");
            assert_eq!(object.kind(), driver.kind());
            assert_eq!(*driver.text(&object).unwrap(), *b"dGV4dA==", "{driver:?}");
        }
    }
}
