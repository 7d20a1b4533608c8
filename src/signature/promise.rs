//! What a certificate log promises of a certificate: that all can see it.
//!
//! Source: RFC 6962 section 3.2.

use sha2::{Digest as _, Sha256};
use x509_parser::extensions::{ParsedExtension, SignedCertificateTimestamp};

use super::certificate::Certificate;
use super::der::{OID, SEQUENCE, element, elements, written};
use super::error::{Error, refused};
use super::root::Log;
use crate::base::clock::Timestamp;

/// The promises in a certificate: 1.3.6.1.4.1.11129.2.4.2.
const PROMISES: [u8; 10] = [0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 2];
/// The part of a certificate that has its extensions.
const EXTENSIONS: u8 = 0xa3;

/// Checks that a log promised to show a certificate, before it was issued by this authority.
pub(super) fn check(
    certificate: &Certificate,
    issuer: &Certificate,
    logs: &[Log],
) -> Result<(), Error> {
    let none = || refused("no trusted certificate log promised to show the certificate");
    let read = certificate.read()?;
    let promises =
        read.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SCT(promises) => Some(promises),
            _ => None,
        });
    let promises = promises.ok_or_else(none)?;
    let bare = without_promises(read.tbs_certificate.as_ref()).ok_or_else(none)?;
    let issuer = issuer.read()?;
    let issuer: [u8; 32] = Sha256::digest(issuer.public_key().raw).into();
    let good = promises.iter().any(|promise| is_good(promise, &issuer, &bare, logs));
    if good { Ok(()) } else { Err(none()) }
}

fn is_good(
    promise: &SignedCertificateTimestamp<'_>,
    issuer: &[u8; 32],
    bare: &[u8],
    logs: &[Log],
) -> bool {
    let at = i64::try_from(promise.timestamp).ok();
    let at = at.and_then(|at| Timestamp::from_millisecond(at).ok());
    let Some(text) = signed(promise, issuer, bare) else { return false };
    logs.iter().any(|log| {
        log.id == promise.id.key_id
            && at.is_some_and(|at| log.valid.is_at(at))
            && log.key.signed(&text, promise.signature.data)
    })
}

/// Returns what a log signed: version 1, a promise, when, of a certificate that is to be issued.
fn signed(
    promise: &SignedCertificateTimestamp<'_>,
    issuer: &[u8; 32],
    bare: &[u8],
) -> Option<Vec<u8>> {
    if promise.version.0 != 0 {
        return None;
    }
    let mut text = vec![0, 0];
    text.extend(promise.timestamp.to_be_bytes());
    text.extend([0, 1]);
    text.extend(issuer);
    let length = u32::try_from(bare.len()).ok().filter(|length| *length < 1 << 24)?;
    text.extend(&length.to_be_bytes()[1..]);
    text.extend(bare);
    text.extend(u16::try_from(promise.extensions.0.len()).ok()?.to_be_bytes());
    text.extend(promise.extensions.0);
    Some(text)
}

/// Returns what is signed of a certificate as it was before promises were put in.
fn without_promises(tbs: &[u8]) -> Option<Vec<u8>> {
    let (whole, rest) = element(tbs)?;
    if whole.tag != SEQUENCE || !rest.is_empty() {
        return None;
    }
    let mut parts = Vec::new();
    for part in elements(whole.content)? {
        if part.tag != EXTENSIONS {
            parts.extend(part.whole);
            continue;
        }
        let (list, _) = element(part.content)?;
        let mut kept = Vec::new();
        for extension in elements(list.content)? {
            let (oid, _) = element(extension.content)?;
            if !(oid.tag == OID && oid.content == PROMISES) {
                kept.extend(extension.whole);
            }
        }
        parts.extend(written(EXTENSIONS, &written(SEQUENCE, &kept)));
    }
    Some(written(SEQUENCE, &parts))
}
