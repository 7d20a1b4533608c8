//! `Bucket`: the objects of a bucket in an object store.

use serde::{Deserialize, Serialize};

use super::helm_repository::{Artifact, LocalRef};
use super::{Condition, Meta};
use crate::base::duration::GoDuration;
use crate::yaml::Value;

/// A `source.toolkit.fluxcd.io/v1` `Bucket`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Bucket {
    /// Name and bookkeeping.
    pub metadata: Meta,
    /// What the user wants.
    pub spec: BucketSpec,
    /// What was seen.
    pub status: BucketStatus,
}

/// What the user wants of a bucket.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BucketSpec {
    /// Whose store it is (`generic`, which is any that speaks S3, when absent).
    pub provider: String,
    /// The bucket.
    pub bucket_name: String,
    /// The server: host, and port where it is another than usual.
    pub endpoint: String,
    /// Where temporary credentials come from.
    pub sts: Option<Value>,
    /// Whether the server is asked without TLS.
    pub insecure: bool,
    /// Region of the bucket (what the server says when absent).
    pub region: String,
    /// How the keys begin of the objects that are taken.
    pub prefix: String,
    /// Secret with `accesskey` and `secretkey`.
    pub secret_ref: Option<LocalRef>,
    /// Account whose credentials are used.
    pub service_account_name: String,
    /// Secret with `ca.crt`, `tls.crt`, `tls.key`.
    pub cert_secret_ref: Option<LocalRef>,
    /// Secret with the address of a proxy.
    pub proxy_secret_ref: Option<LocalRef>,
    /// How often the server is asked.
    pub interval: Option<GoDuration>,
    /// Limit of a list, and of all downloads together (60s when absent).
    pub timeout: Option<GoDuration>,
    /// Objects that are left out, in the notation of `.gitignore`.
    pub ignore: Option<String>,
    /// Whether nothing is fetched.
    pub suspend: bool,
}

impl BucketSpec {
    /// Returns the fields that are set and not supported.
    pub fn unsupported(&self) -> Vec<&'static str> {
        let provider = match self.provider.as_str() {
            "" | "generic" => None,
            "aws" if self.secret_ref.is_some() => None,
            "aws" => Some("spec.provider aws without spec.secretRef"),
            "gcp" => Some("spec.provider gcp"),
            "azure" => Some("spec.provider azure"),
            _ => Some("spec.provider"),
        };
        let sts = self.sts.is_some().then_some("spec.sts");
        let account = (!self.service_account_name.is_empty()).then_some("spec.serviceAccountName");
        [provider, sts, account].into_iter().flatten().collect()
    }
}

/// What was seen of a bucket.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BucketStatus {
    /// Generation that was finished last; -1 at first.
    pub observed_generation: i64,
    /// Conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Address of the newest artifact.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// The artifact that is in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// The rules by which objects were left out of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_ignore: Option<String>,
    /// Last request that was answered.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_handled_reconcile_at: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_supported_is_named() {
        let rows = [
            (serde_json::json!({}), ""),
            (serde_json::json!({"provider": "generic", "secretRef": {"name": "a"}}), ""),
            (serde_json::json!({"provider": "aws", "secretRef": {"name": "a"}}), ""),
            (serde_json::json!({"provider": "aws"}), "spec.provider aws without spec.secretRef"),
            (
                serde_json::json!({"provider": "gcp", "secretRef": {"name": "a"}}),
                "spec.provider gcp",
            ),
            (
                serde_json::json!({"provider": "azure", "serviceAccountName": "a"}),
                "spec.provider azure, spec.serviceAccountName",
            ),
            (serde_json::json!({"sts": {"provider": "ldap", "endpoint": "https://a"}}), "spec.sts"),
        ];
        for (spec, want) in rows {
            let read: BucketSpec = serde_json::from_value(spec.clone()).unwrap();
            assert_eq!(read.unsupported().join(", "), want, "{spec}");
        }
    }
}
