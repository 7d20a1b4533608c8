//! One certificate: what it says, and of whom.

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer as _;

use super::der;
use super::error::{Error, refused, untrusted};
use super::key::PublicKey;
use crate::base::clock::Timestamp;

/// Names of Fulcio's that are no addresses, the issuer of an identity, and the same of old.
const OTHER_NAME: &str = "1.3.6.1.4.1.57264.1.7";
const ISSUER: &str = "1.3.6.1.4.1.57264.1.8";
const OLD_ISSUER: &str = "1.3.6.1.4.1.57264.1.1";
/// Tag of the version in a certificate.
const VERSION: u8 = 0xa0;
/// Critical parts that are understood: basic constraints, usages of the key, other names.
const UNDERSTOOD: [&str; 4] = ["2.5.29.19", "2.5.29.15", "2.5.29.37", "2.5.29.17"];

/// A certificate that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate {
    der: Vec<u8>,
}

impl Certificate {
    /// Reads one.
    pub(super) fn of_der(der: Vec<u8>) -> Result<Self, Error> {
        let read = X509Certificate::from_der(&der);
        match read {
            Ok(([], _)) => Ok(Self { der }),
            _ => Err(untrusted("it is no certificate")),
        }
    }

    /// Reads all that are in a text in PEM.
    pub(super) fn all_of_pem(text: &str) -> Result<Vec<Self>, Error> {
        let mut all = Vec::new();
        for block in Pem::iter_from_buffer(text.as_bytes()) {
            let block =
                block.map_err(|error| untrusted(format!("no certificate in PEM: {error}")))?;
            if block.label != "CERTIFICATE" {
                return Err(untrusted(format!(
                    "it is a {} in PEM, and no CERTIFICATE",
                    block.label
                )));
            }
            all.push(Self::of_der(block.contents)?);
        }
        if all.is_empty() { Err(untrusted("it is no certificate in PEM")) } else { Ok(all) }
    }

    /// Returns what it says.
    pub(super) fn read(&self) -> Result<X509Certificate<'_>, Error> {
        let (_, read) = X509Certificate::from_der(&self.der)
            .map_err(|error| refused(format!("certificate cannot be read: {error}")))?;
        Ok(read)
    }

    /// Returns its key.
    pub(super) fn key(&self) -> Result<PublicKey, Error> {
        PublicKey::of_info(self.read()?.public_key())
    }

    /// Returns whose it is, for people.
    pub(super) fn subject(&self) -> String {
        self.read().map(|read| read.subject().to_string()).unwrap_or_default()
    }

    /// Checks that it is valid at a time, and that all that is critical in it is understood.
    pub(super) fn check_time(&self, at: Timestamp) -> Result<(), Error> {
        let read = self.read()?;
        let (from, until) = (read.validity().not_before, read.validity().not_after);
        if (from.timestamp()..=until.timestamp()).contains(&at.as_second()) {
            return Ok(());
        }
        let subject = self.subject();
        Err(refused(format!(
            "the certificate of \"{subject}\" is valid from {from} to {until}, which {at} is not in"
        )))
    }

    pub(super) fn check_understood(&self) -> Result<(), Error> {
        for extension in self.read()?.extensions() {
            let oid = extension.oid.to_id_string();
            if extension.critical && !UNDERSTOOD.contains(&oid.as_str()) {
                let subject = self.subject();
                return Err(refused(format!(
                    "the certificate of \"{subject}\" has a critical extension {oid}, which is not supported"
                )));
            }
        }
        Ok(())
    }

    /// Whether another certificate is the one that issued this one.
    pub(super) fn check_issued_by(&self, issuer: &Self) -> Result<(), Error> {
        let (own, other) = (self.read()?, issuer.read()?);
        let fail = |why: &str| {
            let (own, other) = (self.subject(), issuer.subject());
            Err(refused(format!(
                "the certificate of \"{own}\" is not issued by \"{other}\": {why}"
            )))
        };
        if own.issuer().as_raw() != other.subject().as_raw() {
            return fail("it names another issuer");
        }
        let algorithm = &own.signature_algorithm;
        if names_one_algorithm(&self.der) != Some(true) {
            return fail("it names two algorithms");
        }
        // SHA-1 proves nothing.
        if matches!(
            algorithm.algorithm.to_id_string().as_str(),
            "1.2.840.113549.1.1.5" | "1.3.14.3.2.29"
        ) {
            return fail("it is signed with SHA-1");
        }
        if own.signature_value.unused_bits != 0 {
            return fail("its signature is not one of whole bytes");
        }
        match own.verify_signature(Some(other.public_key())) {
            Ok(()) => Ok(()),
            Err(error) => fail(&error.to_string()),
        }
    }

    /// Returns who proved to be whom when it was issued by Fulcio: addresses, and the issuer of the
    /// identity.
    pub(super) fn identity(&self) -> Result<(Vec<String>, String), Error> {
        let read = self.read()?;
        let names = read.subject_alternative_name();
        let names = names.map_err(|_| refused("the certificate has its names twice"))?;
        let names = names.map(|names| names.value.general_names.iter().filter_map(shown).collect());
        let of = |oid: &str| {
            read.extensions().iter().find(|extension| extension.oid.to_id_string() == oid)
        };
        let issuer = match of(ISSUER) {
            Some(issuer) => der::text(issuer.value),
            None => of(OLD_ISSUER).and_then(|issuer| String::from_utf8(issuer.value.to_vec()).ok()),
        };
        let issuer =
            issuer.ok_or_else(|| refused("the certificate names no issuer of an identity"))?;
        Ok((names.unwrap_or_default(), issuer))
    }

    /// Whether it says where its revocation can be asked for.
    pub(super) fn is_revocable(&self) -> Result<bool, Error> {
        Ok(self.read()?.extensions().iter().any(|extension| match extension.parsed_extension() {
            ParsedExtension::CRLDistributionPoints(_) => true,
            // What cannot be read may name a place.
            ParsedExtension::AuthorityInfoAccess(access) => access
                .accessdescs
                .iter()
                .any(|one| one.access_method.to_id_string() == "1.3.6.1.5.5.7.48.1"),
            ParsedExtension::ParseError { .. } => true,
            _ => false,
        }))
    }
}

/// Whether a certificate names the algorithm of its signature in the same bytes in both places, of
/// which one is signed.
fn names_one_algorithm(der: &[u8]) -> Option<bool> {
    let (certificate, _) = der::element(der)?;
    let parts = der::elements(certificate.content)?;
    let signed = der::elements(parts.first()?.content)?;
    // After the serial number, and the version if there is one.
    let inner = signed.iter().filter(|part| part.tag != VERSION).nth(1)?;
    Some(inner.whole == parts.get(1)?.whole)
}

fn shown(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::RFC822Name(text) | GeneralName::URI(text) | GeneralName::DNSName(text) => {
            Some((*text).to_owned())
        }
        GeneralName::OtherName(oid, value) if oid.to_id_string() == OTHER_NAME => {
            let (inner, _) = der::element(value)?;
            der::text(inner.content)
        }
        _ => None,
    }
}
