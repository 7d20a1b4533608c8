//! Signatures of what a registry holds: where cosign and notation put them, and whether one counts.
//!
//! Source: fluxcd/source-controller internal/oci/{cosign/cosign.go,notation/notation.go};
//! sigstore/cosign specs/SIGNATURE_SPEC.md; notaryproject/specifications
//! specs/signature-specification.md (storage).

use bytes::Bytes;

use super::oci::is_signature;
use super::repositories::{Repositories, Vouched};
use crate::base::class::Class;
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::signature::{BUNDLE, Notation, Outcome, Subject, Trust, is_envelope};
use crate::source::oci::{self, Access, Descriptor, Fetched, Manifest, Reference, Session};

/// Type of what notation puts into a registry.
const NOTATION: &str = "application/vnd.cncf.notary.signature";
/// Most signatures of one artifact that are looked at; of notation's as many as Flux looks at.
const SIGNATURES: usize = 64;
const ENVELOPES: usize = 3;
/// Largest signature.
const SIGNATURE_BYTES: u64 = 4 << 20;

/// Who may sign.
#[derive(Debug, Clone)]
pub enum Verifier {
    /// By cosign.
    Cosign(Trust),
    /// By notation.
    Notation(Notation),
}

/// Why an artifact does not count as signed.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// The registry cannot be asked.
    #[error(transparent)]
    Registry(#[from] oci::Error),
    /// No signature of somebody who may sign.
    #[error("no matching signatures were found for '{at}': one {expected} is needed, and {found}")]
    Unsigned {
        /// The artifact.
        at: String,
        /// By whom.
        expected: String,
        /// What there is, and why it does not count.
        found: String,
    },
    /// What the signatures are verified by does not say anything about it.
    #[error(transparent)]
    Trust(#[from] crate::signature::Error),
}

impl SignatureError {
    /// Returns what to do about it: somebody may sign it yet.
    pub fn class(&self) -> Class {
        match self {
            Self::Registry(error) => error.class(),
            Self::Unsigned { .. } | Self::Trust(_) => Class::Retry,
        }
    }
}

/// What was looked at, and why it does not count.
#[derive(Default)]
struct Refusals(Vec<String>);

impl Refusals {
    fn note(&mut self, what: &str, why: &dyn std::fmt::Display) {
        self.0.push(format!("{what}: {why}"));
    }

    fn of(self, at: &Reference, expected: String) -> SignatureError {
        let found = match &self.0[..] {
            [] => "it has none".to_owned(),
            refusals => format!("what it has does not count: {}", refusals.join("; ")),
        };
        SignatureError::Unsigned { at: at.to_string(), expected, found }
    }
}

impl Repositories {
    /// Verifies that somebody who may signed a manifest, which is named by its digest. What keys or
    /// identities vouched for once is not asked for again as long as they are the same: neither
    /// expires. `trust` tells one set of them from another.
    ///
    /// # Errors
    /// Nobody did, or the registry cannot be asked.
    pub async fn verify_signature(
        &self,
        access: &Access,
        at: &Reference,
        (verifier, trust): (&Verifier, Digest),
    ) -> Result<Outcome, SignatureError> {
        let session = Session::new(self.fetcher(), access.clone());
        let now = self.fetcher().clock().now();
        match verifier {
            Verifier::Notation(notation) => by_notation(&session, at, notation, now).await,
            Verifier::Cosign(by) => {
                let key: Vouched = (at.to_string(), trust);
                if let Some(who) = self.vouched(&key) {
                    return Ok(Outcome::Verified(who));
                }
                let who = by_cosign(&session, at, by).await?;
                self.vouch(key, who.clone());
                Ok(Outcome::Verified(who))
            }
        }
    }
}

/// Reads a manifest with few layers.
fn manifest(fetched: &Fetched) -> Result<Manifest, String> {
    serde_json::from_slice(&fetched.bytes).map_err(|error| error.to_string())
}

async fn by_cosign(
    session: &Session,
    at: &Reference,
    trust: &Trust,
) -> Result<String, SignatureError> {
    let subject = session.manifest(at).await?;
    let mut refusals = Refusals::default();
    let bundles = session.referrers(at, &subject.digest).await?;
    let bundles = bundles
        .iter()
        .filter(|one| one.artifact_type.is_empty() || one.artifact_type.starts_with(BUNDLE));
    for bundle in bundles.take(SIGNATURES) {
        let checked =
            bundled(session, at, bundle, |bytes| trust.check_bundle(&subject.digest, bytes));
        match checked.await? {
            Some(Ok(who)) => return Ok(who),
            Some(Err(error)) => refusals.note(&bundle.digest, &error),
            None => {}
        }
    }
    let tag = at.with(format!("sha256-{}.sig", subject.digest.to_hex()));
    let layers = match session.manifest(&tag).await {
        Ok(fetched) => match manifest(&fetched) {
            Ok(manifest) => manifest.layers,
            Err(why) => {
                refusals.note(&tag.to_string(), &why);
                Vec::new()
            }
        },
        Err(error) if error.is_missing() => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    for layer in layers.iter().filter(|layer| is_signature(layer)).take(SIGNATURES) {
        let payload = session.blob(at, layer, SIGNATURE_BYTES).await?;
        match trust.check_layer(&subject.digest, &payload, &layer.annotations) {
            Ok(who) => return Ok(who),
            Err(error) => refusals.note(&layer.digest, &error),
        }
    }
    Err(refusals.of(at, trust.expected()))
}

/// Fetches the first layer of a manifest that is a bundle, and checks it; none: it is no bundle.
async fn bundled<T>(
    session: &Session,
    at: &Reference,
    found: &Descriptor,
    check: impl FnOnce(&[u8]) -> T,
) -> Result<Option<T>, SignatureError> {
    let Some((_, bytes)) = first_layer(session, at, found, |kind| kind.starts_with(BUNDLE)).await?
    else {
        return Ok(None);
    };
    Ok(Some(check(&bytes)))
}

/// Returns the one layer of a manifest that is about another, if it is of the kind that is looked for.
async fn first_layer(
    session: &Session,
    at: &Reference,
    found: &Descriptor,
    is_it: impl FnOnce(&str) -> bool,
) -> Result<Option<(String, Bytes)>, SignatureError> {
    let fetched = session.manifest(&at.with(found.digest.as_str())).await?;
    let Ok(manifest) = manifest(&fetched) else { return Ok(None) };
    let [layer] = &manifest.layers[..] else { return Ok(None) };
    if !is_it(&layer.media_type) {
        return Ok(None);
    }
    let bytes = session.blob(at, layer, SIGNATURE_BYTES).await?;
    Ok(Some((layer.media_type.clone(), bytes)))
}

async fn by_notation(
    session: &Session,
    at: &Reference,
    notation: &Notation,
    now: Timestamp,
) -> Result<Outcome, SignatureError> {
    let repository = at.with("").to_string();
    if let Some(outcome) = notation.skipped(&repository)? {
        return Ok(outcome);
    }
    let fetched = session.manifest(at).await?;
    let subject = Subject {
        repository,
        media_type: fetched.media_type.clone(),
        digest: fetched.digest,
        size: fetched.bytes.len() as u64,
    };
    let mut refusals = Refusals::default();
    let found = session.referrers(at, &subject.digest).await?;
    let found = found.iter().filter(|one| one.artifact_type == NOTATION);
    for signature in found.take(ENVELOPES) {
        match first_layer(session, at, signature, is_envelope).await? {
            Some((kind, bytes)) => match notation.check(&subject, (&kind, &bytes), now) {
                Ok(outcome) => return Ok(outcome),
                Err(error) => refusals.note(&signature.digest, &error),
            },
            None => refusals.note(&signature.digest, &"it has no envelope in JWS or COSE"),
        }
    }
    Err(refusals.of(at, "that the trust policy takes".to_owned()))
}
