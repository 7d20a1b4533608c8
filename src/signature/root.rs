//! A trusted root of Sigstore: whose certificates and logs count, and when.
//!
//! Source: sigstore/protobuf-specs sigstore_trustroot.proto, as JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::certificate::Certificate;
use super::error::{Error, untrusted};
use super::key::PublicKey;
use crate::base::clock::Timestamp;

/// The one form of such files.
const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.trustedroot+json;version=0.1";

/// Whose certificates and logs count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedRoot {
    /// Chains of those that issue certificates: the one that issues, …, the last.
    pub(super) authorities: Vec<Authority>,
    /// Logs of signatures.
    pub(super) logs: Vec<Log>,
    /// Logs of certificates.
    pub(super) certificate_logs: Vec<Log>,
}

/// Who issues certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authority {
    pub(super) chain: Vec<Certificate>,
    pub(super) valid: Valid,
}

/// A log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Log {
    pub(super) id: Vec<u8>,
    pub(super) key: PublicKey,
    pub(super) valid: Valid,
}

/// When something counts; without an end: still.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Valid {
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

impl Valid {
    pub(super) fn is_at(self, at: Timestamp) -> bool {
        self.start.is_none_or(|start| start <= at) && self.end.is_none_or(|end| at <= end)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Raw {
    media_type: String,
    tlogs: Vec<RawLog>,
    certificate_authorities: Vec<RawAuthority>,
    ctlogs: Vec<RawLog>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawLog {
    public_key: RawKey,
    log_id: RawId,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawKey {
    raw_bytes: String,
    valid_for: Valid,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawId {
    key_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawAuthority {
    cert_chain: RawChain,
    valid_for: Valid,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawChain {
    certificates: Vec<RawKey>,
}

impl TrustedRoot {
    /// Reads a `trusted_root.json`.
    ///
    /// # Errors
    /// It is none, or has nothing that could be trusted.
    pub fn read(text: &str) -> Result<Self, Error> {
        let fail = |why: String| untrusted(format!("unable to parse trusted root: {why}"));
        let raw: Raw = serde_json::from_str(text).map_err(|error| fail(error.to_string()))?;
        if raw.media_type != MEDIA_TYPE {
            return Err(fail(format!("unsupported TrustedRoot media type: {}", raw.media_type)));
        }
        let authorities: Result<Vec<_>, Error> =
            raw.certificate_authorities.into_iter().map(authority).collect();
        let authorities = authorities.map_err(|error| fail(error.to_string()))?;
        let (logs, certificate_logs) = (logs(raw.tlogs), logs(raw.ctlogs));
        let parts = [authorities.len(), logs.len(), certificate_logs.len()];
        for (count, what) in
            parts.into_iter().zip(["authority", "transparency log", "certificate log"])
        {
            if count == 0 {
                return Err(fail(format!("it has no {what} whose key is supported")));
            }
        }
        Ok(Self { authorities, logs, certificate_logs })
    }
}

fn bytes(text: &str) -> Result<Vec<u8>, Error> {
    STANDARD.decode(text).map_err(|_| untrusted("it is no base64"))
}

fn authority(raw: RawAuthority) -> Result<Authority, Error> {
    let read = |one: RawKey| Certificate::of_der(bytes(&one.raw_bytes)?);
    let chain: Result<Vec<_>, Error> = raw.cert_chain.certificates.into_iter().map(read).collect();
    let chain = chain?;
    if chain.is_empty() {
        return Err(untrusted("an authority without a certificate"));
    }
    Ok(Authority { chain, valid: raw.valid_for })
}

/// Logs whose keys are of another kind are left out: what only they promise is refused.
fn logs(raw: Vec<RawLog>) -> Vec<Log> {
    let read = |log: RawLog| {
        let key = PublicKey::of_der(&bytes(&log.public_key.raw_bytes).ok()?).ok()?;
        let id = bytes(&log.log_id.key_id).ok().filter(|id| !id.is_empty())?;
        Some(Log { id, key, valid: log.public_key.valid_for })
    };
    raw.into_iter().filter_map(read).collect()
}
