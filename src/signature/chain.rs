//! Chains of certificates: the one that signed, those that issued one another, and the last.

use super::certificate::Certificate;
use super::error::{Error, refused};
use crate::base::clock::Timestamp;

/// Usage of a key for signing code.
const CODE_SIGNING: &str = "code signing";

/// Checks that each certificate of a chain was issued by the next, and may have been: the first one
/// signs, the others are authorities. Constraints of names, and all else that is critical and not
/// understood, are refused.
///
/// Source: RFC 5280 section 6.1.
pub(super) fn check_links(chain: &[Certificate]) -> Result<(), Error> {
    for (place, certificate) in chain.iter().enumerate() {
        certificate.check_understood()?;
        if place > 0 {
            check_authority(certificate, place - 1)?;
        }
        if let Some(issuer) = chain.get(place + 1) {
            certificate.check_issued_by(issuer)?;
        }
    }
    Ok(())
}

/// Checks that all are valid at a time.
pub(super) fn check_times(chain: &[Certificate], at: Timestamp) -> Result<(), Error> {
    chain.iter().try_for_each(|certificate| certificate.check_time(at))
}

/// Checks that a certificate may issue others, with so many authorities between it and the signer.
fn check_authority(certificate: &Certificate, below: usize) -> Result<(), Error> {
    let read = certificate.read()?;
    let fail =
        |why: &str| Err(refused(format!("the certificate of \"{}\" {why}", certificate.subject())));
    let twice = |_| refused("a certificate has an extension twice");
    let Some(basic) = read.basic_constraints().map_err(twice)? else {
        return fail("is no authority's");
    };
    if !basic.value.ca {
        return fail("is no authority's");
    }
    if basic.value.path_len_constraint.is_some_and(|most| (most as usize) < below) {
        return fail("allows fewer authorities below it");
    }
    match read.key_usage().map_err(twice)? {
        Some(usage) if usage.value.key_cert_sign() => Ok(()),
        _ => fail("may not issue others"),
    }
}

/// How a key that signed must be described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signer {
    /// By Fulcio.
    Fulcio,
    /// By the rules of the Notary Project.
    Notary,
}

/// Checks that a certificate is of somebody who signs code, and no authority's.
///
/// Source: notaryproject/specifications specs/signature-specification.md (certificate requirements).
pub(super) fn check_signer(certificate: &Certificate, by: Signer) -> Result<(), Error> {
    let read = certificate.read()?;
    let fail =
        |why: &str| Err(refused(format!("the certificate of \"{}\" {why}", certificate.subject())));
    let twice = |_| refused("a certificate has an extension twice");
    if read.basic_constraints().map_err(twice)?.is_some_and(|basic| basic.value.ca) {
        return fail("is an authority's");
    }
    let usage = read.key_usage().map_err(twice)?;
    let Some(usage) = usage.filter(|usage| usage.value.digital_signature()) else {
        return fail("is not for digital signatures");
    };
    let extended = read.extended_key_usage().map_err(twice)?;
    match (by, extended) {
        (Signer::Fulcio, Some(extended)) if extended.value.code_signing => Ok(()),
        (Signer::Fulcio, _) => fail(&format!("is not for {CODE_SIGNING}")),
        // Nothing else but signatures: the first two bits, of nine.
        (Signer::Notary, _) if usage.value.flags & !0b11 != 0 || !usage.critical => {
            fail("must be for digital signatures alone, and say so critically")
        }
        (Signer::Notary, Some(extended)) => {
            let other = extended.value.server_auth
                || extended.value.client_auth
                || extended.value.email_protection
                || extended.value.time_stamping
                || extended.value.ocsp_signing;
            if other { fail("is for other things than code, too") } else { Ok(()) }
        }
        (Signer::Notary, None) => Ok(()),
    }
}
