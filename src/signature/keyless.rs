//! Signatures without a key that lasts: a certificate of minutes says who signed, and a log says when.
//!
//! Source: sigstore/docs "Verifying"; sigstore/cosign v3 pkg/cosign/verify.go (`VerifyBundle`,
//! `CheckCertificatePolicy`, `CheckExpiry`), pkg/cosign/verify_sct.go.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;
use serde_json::Value;

use super::certificate::Certificate;
use super::chain::{Signer, check_links, check_signer, check_times};
use super::error::{Error, refused, untrusted};
use super::promise;
use super::root::{Authority, TrustedRoot};
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::digest::hex;

/// Who may sign, and whose word is taken for who somebody is.
#[derive(Debug, Clone)]
pub struct Keyless {
    /// Whose certificates and logs count.
    pub root: TrustedRoot,
    /// Who may sign: one of them.
    pub identities: Vec<Identity>,
}

/// Somebody who may sign.
#[derive(Debug, Clone)]
pub struct Identity {
    issuer: Regex,
    subject: Regex,
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { issuer, subject } = self;
        write!(f, "a subject like '{subject}' of an issuer like '{issuer}'")
    }
}

impl Identity {
    /// Reads two regular expressions; each may match any part.
    ///
    /// # Errors
    /// One of them is none.
    pub fn new(issuer: &str, subject: &str) -> Result<Self, Error> {
        let read = |what: &str, text: &str| {
            Regex::new(text).map_err(|error| {
                untrusted(format!("malformed {what} in identity: {text} : {error}"))
            })
        };
        Ok(Self { issuer: read("issuer", issuer)?, subject: read("subject", subject)? })
    }
}

/// What a log says of a signature.
#[derive(Debug)]
pub(super) struct Entry {
    /// What is kept of it, as JSON.
    pub(super) body: Vec<u8>,
    /// When, in seconds.
    pub(super) time: i64,
    /// Digest of the log's key.
    pub(super) log: Vec<u8>,
    /// Its place in the log.
    pub(super) index: i64,
    /// The log's signature.
    pub(super) promise: Vec<u8>,
}

/// What was signed, how, and by whose key.
#[derive(Debug)]
pub(super) struct Signed<'a> {
    pub(super) certificate: Certificate,
    pub(super) entry: Entry,
    /// The text that is logged.
    pub(super) payload: &'a [u8],
    /// The text that is signed.
    pub(super) text: &'a [u8],
    pub(super) signature: &'a [u8],
}

impl Keyless {
    /// Checks a signature; returns who made it.
    pub(super) fn check(&self, signed: &Signed<'_>) -> Result<String, Error> {
        let at = self.logged(&signed.entry)?;
        is_of(&signed.entry.body, signed)?;
        check_signer(&signed.certificate, Signer::Fulcio)?;
        let authority = self.authority(&signed.certificate, at)?;
        promise::check(&signed.certificate, &authority.chain[0], &self.root.certificate_logs)?;
        let who = self.identified(&signed.certificate)?;
        if !signed.certificate.key()?.signed(signed.text, signed.signature) {
            return Err(refused("the signature is not by the key of its certificate"));
        }
        Ok(who)
    }

    /// Checks what a log promised; returns when.
    pub(super) fn logged(&self, entry: &Entry) -> Result<Timestamp, Error> {
        let log = self.root.logs.iter().find(|log| log.id == entry.log);
        let log = log.ok_or_else(|| {
            refused("the transparency log of the signature is not one of the trusted root")
        })?;
        let at = Timestamp::from_second(entry.time)
            .map_err(|_| refused("the transparency log names no time"))?;
        // Canonical JSON, whose texts here need no escapes.
        let text = format!(
            r#"{{"body":"{}","integratedTime":{},"logID":"{}","logIndex":{}}}"#,
            STANDARD.encode(&entry.body),
            entry.time,
            hex(&entry.log),
            entry.index,
        );
        if !log.key.signed(text.as_bytes(), &entry.promise) {
            return Err(refused("the transparency log did not promise this entry"));
        }
        if !log.valid.is_at(at) {
            return Err(refused(format!("the transparency log did not count any more at {at}")));
        }
        Ok(at)
    }

    /// Finds who issued a certificate, and checks it at the time when it was used.
    pub(super) fn authority(
        &self,
        certificate: &Certificate,
        at: Timestamp,
    ) -> Result<&Authority, Error> {
        let mut why = refused("no authority of the trusted root counted when it was made");
        for authority in self.root.authorities.iter().filter(|one| one.valid.is_at(at)) {
            let chain: Vec<_> =
                std::iter::once(certificate).chain(&authority.chain).cloned().collect();
            match check_links(&chain).and_then(|()| check_times(&chain, at)) {
                Ok(()) => return Ok(authority),
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    pub(super) fn identified(&self, certificate: &Certificate) -> Result<String, Error> {
        let (subjects, issuer) = certificate.identity()?;
        let fits = |identity: &&Identity| {
            identity.issuer.is_match(&issuer)
                && subjects.iter().any(|subject| identity.subject.is_match(subject))
        };
        if self.identities.iter().any(|identity| fits(&identity)) {
            return Ok(format!("{} (issuer {issuer})", subjects.join(", ")));
        }
        Err(refused(format!(
            "none of the expected identities matched what was in the certificate, got subjects [{}] with issuer {issuer}",
            subjects.join(", ")
        )))
    }
}

/// Checks that an entry of a log is about a signature, and not about another.
///
/// Source: sigstore/rekor pkg/types/hashedrekord/v0.0.1, pkg/types/dsse/v0.0.1.
fn is_of(body: &[u8], signed: &Signed<'_>) -> Result<(), Error> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| refused(format!("the log's entry is no JSON: {error}")))?;
    let text = |path: &str| body.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let (hash, mark, key) = match (text("/kind"), text("/apiVersion")) {
        ("hashedrekord", "0.0.1") => {
            ("/spec/data/hash", "/spec/signature/content", "/spec/signature/publicKey/content")
        }
        ("dsse", "0.0.1") => {
            ("/spec/payloadHash", "/spec/signatures/0/signature", "/spec/signatures/0/verifier")
        }
        (kind, version) => {
            return Err(refused(format!(
                "entries {kind:?} {version:?} of a transparency log are not supported: hashedrekord 0.0.1 and dsse 0.0.1 are"
            )));
        }
    };
    let digest = Digest::of(signed.payload).to_hex();
    let same_text =
        text(&format!("{hash}/algorithm")) == "sha256" && text(&format!("{hash}/value")) == digest;
    let decoded = |path: &str| STANDARD.decode(text(path)).ok();
    let same_mark = decoded(mark).as_deref() == Some(signed.signature);
    let logged = decoded(key).and_then(|pem| String::from_utf8(pem).ok());
    let logged = logged.and_then(|pem| Certificate::all_of_pem(&pem).ok());
    let same_key = logged.is_some_and(|all| all.first() == Some(&signed.certificate));
    if same_text && same_mark && same_key {
        return Ok(());
    }
    Err(refused("the transparency log's entry is about another signature"))
}
