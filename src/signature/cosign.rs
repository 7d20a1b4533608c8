//! cosign's two forms: a signed text with annotations (cosign 2), and a bundle of Sigstore (cosign 3).
//!
//! Source: sigstore/cosign specs/SIGNATURE_SPEC.md, specs/BUNDLE_SPEC.md, v3 pkg/cosign/verify.go;
//! sigstore/protobuf-specs sigstore_bundle.proto; secure-systems-lab/dsse protocol.md; in-toto
//! attestation spec/v1/statement.md.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::certificate::Certificate;
use super::error::{Error, refused};
use super::key::PublicKey;
use super::keyless::{Entry, Keyless, Signed};
use crate::base::digest::Digest;

/// Annotation of a layer that is its signature.
pub const ANNOTATION: &str = "dev.cosignproject.cosign/signature";
/// How the media types of bundles begin.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.";
/// Annotations with a certificate, and with what a log says.
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const LOGGED: &str = "dev.sigstore.cosign/bundle";
/// Media type of statements.
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// Who may sign.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Who has one of these keys, by the names that they have in a Secret.
    Keys(Vec<(String, PublicKey)>),
    /// Who proved to be somebody.
    Keyless(Box<Keyless>),
}

impl Trust {
    /// Says whose signature is needed.
    pub fn expected(&self) -> String {
        match self {
            Self::Keys(keys) => {
                let names: Vec<&str> = keys.iter().map(|(name, _)| name.as_str()).collect();
                format!("by the key {}", names.join(" or "))
            }
            Self::Keyless(keyless) => {
                let who: Vec<String> = keyless.identities.iter().map(ToString::to_string).collect();
                format!("by {}", who.join(" or "))
            }
        }
    }

    /// Checks a layer of cosign 2 that is to be a signature of the manifest with this digest; returns
    /// who made it.
    ///
    /// # Errors
    /// It is none, or nobody's who may sign.
    pub fn check_layer(
        &self,
        manifest: &Digest,
        payload: &[u8],
        annotations: &BTreeMap<String, String>,
    ) -> Result<String, Error> {
        let signature = annotations.get(ANNOTATION).and_then(|text| STANDARD.decode(text).ok());
        let signature = signature.ok_or_else(|| refused("it has no signature in base64"))?;
        let who = match self {
            Self::Keys(keys) => by_key(keys, payload, &signature)?,
            Self::Keyless(keyless) => keyless.check(&Signed {
                certificate: annotated_certificate(annotations)?,
                entry: annotated_entry(annotations)?,
                payload,
                text: payload,
                signature: &signature,
            })?,
        };
        let claims: Value = serde_json::from_slice(payload)
            .map_err(|error| refused(format!("what is signed is no JSON: {error}")))?;
        let claimed = claims.pointer("/critical/image/docker-manifest-digest");
        let claimed = claimed.and_then(Value::as_str).unwrap_or_default();
        check_claim(claimed == manifest.to_string(), claimed)?;
        Ok(who)
    }

    /// Checks a bundle that is to be a signature of the manifest with this digest; returns who made it.
    ///
    /// # Errors
    /// It is none, or nobody's who may sign.
    pub fn check_bundle(&self, manifest: &Digest, bundle: &[u8]) -> Result<String, Error> {
        let bundle: Value = serde_json::from_slice(bundle)
            .map_err(|error| refused(format!("the bundle is no JSON: {error}")))?;
        let envelope =
            bundle.get("dsseEnvelope").ok_or_else(|| refused("the bundle has no DSSE envelope"))?;
        let payload = decoded(envelope, "/payload")?;
        let kind = envelope.get("payloadType").and_then(Value::as_str).unwrap_or_default();
        if kind != IN_TOTO {
            return Err(refused(format!("the bundle has a payload {kind:?}, not {IN_TOTO}")));
        }
        let marks = envelope.get("signatures").and_then(Value::as_array);
        if marks.is_none_or(|marks| marks.len() != 1) {
            return Err(refused("the bundle must have one signature"));
        }
        let signature = decoded(envelope, "/signatures/0/sig")?;
        let mut text = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
        text.extend(&payload);
        let who = match self {
            Self::Keys(keys) => by_key(keys, &text, &signature)?,
            Self::Keyless(keyless) => keyless.check(&Signed {
                certificate: bundled_certificate(&bundle)?,
                entry: bundled_entry(&bundle)?,
                payload: &payload,
                text: &text,
                signature: &signature,
            })?,
        };
        let statement: Value = serde_json::from_slice(&payload)
            .map_err(|error| refused(format!("what is signed is no JSON: {error}")))?;
        let subjects = statement.get("subject").and_then(Value::as_array);
        let digests: Vec<&str> = subjects
            .into_iter()
            .flatten()
            .filter_map(|subject| subject.pointer("/digest/sha256").and_then(Value::as_str))
            .collect();
        check_claim(digests.contains(&manifest.to_hex().as_str()), &digests.join(", "))?;
        Ok(who)
    }
}

fn by_key(keys: &[(String, PublicKey)], text: &[u8], signature: &[u8]) -> Result<String, Error> {
    let signer = keys.iter().find(|(_, key)| key.signed(text, signature));
    signer.map(|(name, _)| format!("key {name}")).ok_or_else(|| {
        let names: Vec<&str> = keys.iter().map(|(name, _)| name.as_str()).collect();
        refused(format!("the signature is not by {}", names.join(" or ")))
    })
}

fn check_claim(good: bool, claimed: &str) -> Result<(), Error> {
    let other = || refused(format!("the signature is of another artifact: {claimed:?}"));
    if good { Ok(()) } else { Err(other()) }
}

fn decoded(value: &Value, path: &str) -> Result<Vec<u8>, Error> {
    let text = value.pointer(path).and_then(Value::as_str);
    let bytes = text.and_then(|text| STANDARD.decode(text).ok());
    bytes.ok_or_else(|| refused(format!("the bundle has no base64 at {path}")))
}

/// Numbers of 64 bits are texts in JSON of protobuf.
fn number(value: &Value, path: &str) -> Option<i64> {
    let found = value.pointer(path)?;
    found.as_i64().or_else(|| found.as_str()?.parse().ok())
}

fn annotated_certificate(annotations: &BTreeMap<String, String>) -> Result<Certificate, Error> {
    let none = || refused("no certificate found on signature");
    let pem = annotations.get(CERTIFICATE).ok_or_else(none)?;
    Certificate::all_of_pem(pem)?.into_iter().next().ok_or_else(none)
}

fn annotated_entry(annotations: &BTreeMap<String, String>) -> Result<Entry, Error> {
    let text = annotations.get(LOGGED).ok_or_else(|| {
        refused(format!("the signature carries no promise of a transparency log (annotation {LOGGED}), and the log is not asked"))
    })?;
    let read: Value = serde_json::from_str(text)
        .map_err(|error| refused(format!("annotation {LOGGED} is no JSON: {error}")))?;
    let lacks = || refused(format!("annotation {LOGGED} lacks a part"));
    let id = read.pointer("/Payload/logID").and_then(Value::as_str).and_then(unhex);
    Ok(Entry {
        body: decoded(&read, "/Payload/body")?,
        time: number(&read, "/Payload/integratedTime").ok_or_else(lacks)?,
        log: id.ok_or_else(lacks)?,
        index: number(&read, "/Payload/logIndex").ok_or_else(lacks)?,
        promise: decoded(&read, "/SignedEntryTimestamp")?,
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

pub(super) fn bundled_certificate(bundle: &Value) -> Result<Certificate, Error> {
    let at = |path: &str| bundle.pointer(path).is_some().then(|| decoded(bundle, path));
    let der = at("/verificationMaterial/certificate/rawBytes")
        .or_else(|| at("/verificationMaterial/x509CertificateChain/certificates/0/rawBytes"));
    let der = der.ok_or_else(|| refused("the bundle has no certificate: it is signed by a key"))?;
    Certificate::of_der(der?)
}

pub(super) fn bundled_entry(bundle: &Value) -> Result<Entry, Error> {
    let entry = bundle
        .pointer("/verificationMaterial/tlogEntries/0")
        .ok_or_else(|| refused("the bundle names no entry of a transparency log"))?;
    let promise = "/inclusionPromise/signedEntryTimestamp";
    if entry.pointer(promise).is_none() {
        return Err(refused(
            "the bundle carries no signed time of a transparency log (Rekor v1); timestamps of RFC 3161 are not supported",
        ));
    }
    let lacks = || refused("the bundle's entry of a transparency log lacks a part");
    Ok(Entry {
        body: decoded(entry, "/canonicalizedBody")?,
        time: number(entry, "/integratedTime").ok_or_else(lacks)?,
        log: decoded(entry, "/logId/keyId")?,
        index: number(entry, "/logIndex").ok_or_else(lacks)?,
        promise: decoded(entry, promise)?,
    })
}
