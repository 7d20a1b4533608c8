//! Public keys, and what they signed.

use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA384_ASN1,
    ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_FIXED, ED25519,
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey as Parsed;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::error::{Error, untrusted};

/// A public key: ECDSA with P-256 or P-384, RSA of 2048 to 8192 bits, or Ed25519.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: Kind,
    /// As `ring` reads them: a point, `RSAPublicKey`, or the key itself.
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    P256,
    P384,
    /// With the bits of its modulus.
    Rsa(usize),
    Ed25519,
}

/// Signature schemes of the Notary Project, by the names of RFC 7518.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Es256,
    Es384,
    Ps256,
    Ps384,
    Ps512,
}

impl Scheme {
    /// Returns its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
        }
    }

    /// Returns its number in RFC 9053 and RFC 8230.
    pub(super) fn number(self) -> i128 {
        match self {
            Self::Es256 => -7,
            Self::Es384 => -35,
            Self::Ps256 => -37,
            Self::Ps384 => -38,
            Self::Ps512 => -39,
        }
    }
}

impl PublicKey {
    /// Reads a key in PEM: `PUBLIC KEY` or `RSA PUBLIC KEY`.
    ///
    /// # Errors
    /// It is none, or one of another kind.
    pub fn of_pem(text: &str) -> Result<Self, Error> {
        let none = || untrusted("it is no public key in PEM");
        let block = Pem::iter_from_buffer(text.as_bytes()).next().ok_or_else(none)?;
        let block = block.map_err(|_| none())?;
        match block.label.as_str() {
            "PUBLIC KEY" => Self::of_der(&block.contents),
            "RSA PUBLIC KEY" => {
                let key = x509_parser::public_key::RSAPublicKey::from_der(&block.contents);
                let (_, key) = key.map_err(|_| none())?;
                Self::rsa(key.key_size(), block.contents.clone())
            }
            label => Err(untrusted(format!("it is a {label} in PEM, and no PUBLIC KEY"))),
        }
    }

    /// Reads a key as certificates hold it (`SubjectPublicKeyInfo`).
    pub(super) fn of_der(der: &[u8]) -> Result<Self, Error> {
        let none = || untrusted("it is no public key");
        let (rest, info) = SubjectPublicKeyInfo::from_der(der).map_err(|_| none())?;
        if rest.is_empty() { Self::of_info(&info) } else { Err(none()) }
    }

    /// Returns the key of a certificate.
    pub(super) fn of_info(info: &SubjectPublicKeyInfo<'_>) -> Result<Self, Error> {
        let bytes = info.subject_public_key.data.to_vec();
        let curve = || {
            let named = info.algorithm.parameters.as_ref();
            named.and_then(|named| named.as_oid().ok()).map(|oid| oid.to_id_string())
        };
        let kind = match info.algorithm.algorithm.to_id_string().as_str() {
            "1.2.840.10045.2.1" => match curve().as_deref() {
                Some("1.2.840.10045.3.1.7") => Kind::P256,
                Some("1.3.132.0.34") => Kind::P384,
                _ => {
                    return Err(untrusted(
                        "keys of this elliptic curve are not supported: P-256 and P-384 are",
                    ));
                }
            },
            "1.2.840.113549.1.1.1" => {
                return match info.parsed() {
                    Ok(Parsed::RSA(key)) => Self::rsa(key.key_size(), bytes),
                    _ => Err(untrusted("it is no RSA key")),
                };
            }
            "1.3.101.112" => Kind::Ed25519,
            other => {
                return Err(untrusted(format!(
                    "keys of algorithm {other} are not supported: ECDSA, RSA and Ed25519 are"
                )));
            }
        };
        Ok(Self { kind, bytes })
    }

    fn rsa(bits: usize, bytes: Vec<u8>) -> Result<Self, Error> {
        if (2048..=8192).contains(&bits) {
            return Ok(Self { kind: Kind::Rsa(bits), bytes });
        }
        Err(untrusted(format!("an RSA key of {bits} bits: 2048 to 8192 are supported")))
    }

    fn fits(
        &self,
        algorithm: &'static dyn VerificationAlgorithm,
        text: &[u8],
        mark: &[u8],
    ) -> bool {
        UnparsedPublicKey::new(algorithm, &self.bytes).verify(text, mark).is_ok()
    }

    /// Whether this key signed a text, in the way that is usual with Sigstore.
    pub fn signed(&self, text: &[u8], signature: &[u8]) -> bool {
        match self.kind {
            // The digest is as long as the curve, or always that of SHA-256.
            Kind::P256 => {
                self.fits(&ECDSA_P256_SHA256_ASN1, text, signature)
                    || self.fits(&ECDSA_P256_SHA384_ASN1, text, signature)
            }
            Kind::P384 => {
                self.fits(&ECDSA_P384_SHA256_ASN1, text, signature)
                    || self.fits(&ECDSA_P384_SHA384_ASN1, text, signature)
            }
            Kind::Rsa(_) => self.fits(&RSA_PKCS1_2048_8192_SHA256, text, signature),
            Kind::Ed25519 => self.fits(&ED25519, text, signature),
        }
    }

    /// Returns the only scheme that the Notary Project has for such a key.
    pub(super) fn scheme(&self) -> Result<Scheme, Error> {
        match self.kind {
            Kind::P256 => Ok(Scheme::Es256),
            Kind::P384 => Ok(Scheme::Es384),
            Kind::Rsa(2048) => Ok(Scheme::Ps256),
            Kind::Rsa(3072) => Ok(Scheme::Ps384),
            Kind::Rsa(4096) => Ok(Scheme::Ps512),
            Kind::Rsa(bits) => Err(untrusted(format!(
                "an RSA key of {bits} bits: it must have 2048, 3072 or 4096"
            ))),
            Kind::Ed25519 => Err(untrusted("an Ed25519 key: it must be ECDSA or RSA")),
        }
    }

    /// Whether this key signed a text by a scheme of the Notary Project.
    pub(super) fn signed_by(&self, scheme: Scheme, text: &[u8], signature: &[u8]) -> bool {
        let algorithm: &'static dyn VerificationAlgorithm = match scheme {
            Scheme::Es256 => &ECDSA_P256_SHA256_FIXED,
            Scheme::Es384 => &ECDSA_P384_SHA384_FIXED,
            Scheme::Ps256 => &RSA_PSS_2048_8192_SHA256,
            Scheme::Ps384 => &RSA_PSS_2048_8192_SHA384,
            Scheme::Ps512 => &RSA_PSS_2048_8192_SHA512,
        };
        self.scheme() == Ok(scheme) && self.fits(algorithm, text, signature)
    }
}
