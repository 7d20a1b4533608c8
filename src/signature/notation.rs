//! Signatures of the Notary Project, by a trust policy.
//!
//! Source: notaryproject/notation-go v1.3 verifier/{verifier,helpers}.go, notation-core-go v1.3
//! signature/, x509/; fluxcd/source-controller internal/oci/notation/notation.go.

use serde_json::Value;

use super::certificate::Certificate;
use super::chain::{Signer, check_links, check_signer, check_times};
use super::envelope::{Algorithm, COSE, Envelope, JWS};
use super::error::{Error, refused, untrusted};
use super::name;
use super::policy::{Action, Document, Statement};
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;

/// Who may sign what.
#[derive(Debug, Clone)]
pub struct Notation {
    /// The policy.
    pub policy: Document,
    /// What every trust store has.
    roots: Vec<Certificate>,
}

/// The manifest that is to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its repository, such as `registry.example/charts/web`.
    pub repository: String,
    /// What it is.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
}

/// What came of a verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Somebody who may sign signed.
    Verified(String),
    /// The policy does not want to know; this is what it would have said.
    Ignored(String),
}

/// Whether a media type is that of an envelope.
pub fn is_envelope(media_type: &str) -> bool {
    matches!(media_type, JWS | COSE)
}

impl Notation {
    /// Takes a policy, and certificates in PEM or DER.
    ///
    /// # Errors
    /// A certificate is none.
    pub fn new(policy: Document, certificates: &[String]) -> Result<Self, Error> {
        let mut roots = Vec::new();
        for text in certificates {
            roots.extend(Certificate::all_of_pem(text)?);
        }
        Ok(Self { policy, roots })
    }

    /// Returns what is said without looking at a signature, where the policy says so.
    ///
    /// # Errors
    /// No statement is about the repository.
    pub fn skipped(&self, repository: &str) -> Result<Option<Outcome>, Error> {
        let statement = self.policy.of(repository)?;
        let skips = statement.actions.is_none();
        let text = || format!("trust policy statement {:?} skips verification", statement.name);
        Ok(skips.then(|| Outcome::Ignored(text())))
    }

    /// Checks an envelope that is to be a signature of a manifest.
    ///
    /// # Errors
    /// It is none, or nobody's who may sign.
    pub fn check(
        &self,
        subject: &Subject,
        (media_type, bytes): (&str, &[u8]),
        now: Timestamp,
    ) -> Result<Outcome, Error> {
        let statement = self.policy.of(&subject.repository)?;
        let Some(actions) = statement.actions else {
            return Err(refused("the trust policy skips verification"));
        };
        let envelope = Envelope::read(media_type, bytes)?;
        check_integrity(&envelope)?;
        let authentic = self.check_authentic(&envelope, statement);
        let rows = [
            (actions.authenticity, authentic.as_ref().err().cloned()),
            (actions.expiry, check_expiry(&envelope, now).err()),
            (actions.timestamp, check_timestamp(&envelope, statement, now).err()),
            (actions.revocation, check_revocation(&envelope).err()),
        ];
        for (action, error) in rows {
            match (action, error) {
                (Action::Enforce, Some(error)) => return Err(error),
                (Action::Log, Some(error)) => {
                    tracing::warn!(repository = subject.repository, digest = %subject.digest,
                        error = %error, "the trust policy lets this pass");
                }
                (_, None) | (Action::Skip, Some(_)) => {}
            }
        }
        check_target(&envelope.payload, subject)?;
        // As Flux: whom nobody knows has verified nothing.
        Ok(match authentic {
            Ok(()) => Outcome::Verified(envelope.chain[0].subject()),
            Err(error) => Outcome::Ignored(error.to_string()),
        })
    }

    fn check_authentic(&self, envelope: &Envelope, statement: &Statement) -> Result<(), Error> {
        let store = if envelope.by_authority { "signingAuthority" } else { "ca" };
        if !statement.stores.contains(store) {
            return Err(refused(format!(
                "trust policy statement {:?} has no trust store of type {store}",
                statement.name
            )));
        }
        if !envelope.chain.iter().any(|certificate| self.roots.contains(certificate)) {
            return Err(refused(
                "the signature's certificate chain does not contain any trusted certificate",
            ));
        }
        let Some(identities) = &statement.identities else { return Ok(()) };
        let read = envelope.chain[0].read()?;
        let own = name::of(read.subject())?;
        if identities.iter().any(|wanted| name::has(&own, wanted)) {
            return Ok(());
        }
        Err(refused(format!(
            "signing certificate from the digital signature (\"{}\") does not match the X.509 trusted identities defined in the trust policy {:?}",
            read.subject(),
            statement.name
        )))
    }
}

/// Checks that the key of the first certificate signed, and that the chain is one.
fn check_integrity(envelope: &Envelope) -> Result<(), Error> {
    let chain = &envelope.chain;
    let signer = &chain[0];
    let key = signer.key()?;
    let scheme = key.scheme()?;
    let named = match &envelope.algorithm {
        Algorithm::Name(name) => *name == scheme.name(),
        Algorithm::Number(number) => *number == scheme.number(),
    };
    if !named {
        let named = &envelope.algorithm;
        return Err(refused(format!(
            "mismatch between signature algorithm derived from signing certificate ({}) and signing algorithm specified ({named:?})",
            scheme.name()
        )));
    }
    if !key.signed_by(scheme, &envelope.text, &envelope.signature) {
        return Err(refused("signature is invalid"));
    }
    check_signer(signer, Signer::Notary)?;
    check_links(chain)?;
    let last = &chain[chain.len() - 1];
    last.check_issued_by(last).map_err(|_| {
        refused(format!("root certificate with subject \"{}\" is not self-signed", last.subject()))
    })
}

fn check_expiry(envelope: &Envelope, now: Timestamp) -> Result<(), Error> {
    match envelope.expiry {
        Some(expiry) if now >= expiry => {
            Err(refused(format!("digital signature has expired on {expiry}")))
        }
        _ => Ok(()),
    }
}

/// Checks that the certificates were valid when something was signed. Without a signing authority,
/// nobody but a timestamp proves when that was.
fn check_timestamp(
    envelope: &Envelope,
    statement: &Statement,
    now: Timestamp,
) -> Result<(), Error> {
    if envelope.by_authority {
        return check_times(&envelope.chain, envelope.time);
    }
    let valid = check_times(&envelope.chain, now);
    if statement.stores.contains("tsa") && !(statement.stamps_after_expiry && valid.is_ok()) {
        return Err(untrusted(
            "timestamps of RFC 3161 (trust stores of type tsa) are not supported",
        ));
    }
    valid
}

/// Nobody is asked whether a certificate was revoked: where it says that one could, nobody knows.
fn check_revocation(envelope: &Envelope) -> Result<(), Error> {
    // The last one vouches for itself.
    let issued = envelope.chain.iter().rev().skip(1);
    for certificate in issued {
        if certificate.is_revocable()? {
            return Err(refused(format!(
                "signing certificate with subject \"{}\" revocation status is unknown: OCSP and CRL are not supported; a trust policy that says `\"override\": {{\"revocation\": \"skip\"}}` does without",
                certificate.subject()
            )));
        }
    }
    Ok(())
}

fn check_target(payload: &[u8], subject: &Subject) -> Result<(), Error> {
    let payload: Value = serde_json::from_slice(payload)
        .map_err(|error| refused(format!("its payload is no JSON: {error}")))?;
    let text = |path: &str| payload.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let same = text("/targetArtifact/mediaType") == subject.media_type
        && text("/targetArtifact/digest") == subject.digest.to_string()
        && payload.pointer("/targetArtifact/size").and_then(Value::as_u64) == Some(subject.size);
    if same {
        return Ok(());
    }
    let other = text("/targetArtifact/digest");
    Err(refused(format!(
        "content descriptor mismatch: the signature is of another artifact: {other:?}"
    )))
}
