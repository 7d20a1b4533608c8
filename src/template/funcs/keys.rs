//! Private keys in PEM: made, read, and turned into each other's encodings.
//!
//! Source: sprig v3.3.0 crypto.go (generatePrivateKey, pemBlockForKey, parsePrivateKeyPEM).

use std::convert::Infallible;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::RngCore as _;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
use rsa::pkcs1::EncodeRsaPrivateKey as _;
use rsa::rand_core::{TryCryptoRng, TryRng};

/// `SEQUENCE` of ASN.1.
const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 0x04;
/// `INTEGER 0`, the version of PKCS #8.
const ZERO: &[u8] = &[2, 1, 0];
/// Algorithm identifiers.
const RSA: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
const EC_P256: &[u8] =
    b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const EC_P384: &[u8] = b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22";
const ED25519: &[u8] = b"\x30\x05\x06\x03\x2b\x65\x70";

/// A private key that can sign, and its text as Go writes it.
pub(super) struct Key {
    pub(super) pair: KeyPair,
    pub(super) pem: String,
}

/// The machine's randomness for key generation.
struct Random;

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(rand::rng().next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(rand::rng().next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        rand::rng().fill_bytes(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Random {}

/// Returns one element of ASN.1: tag, length, content.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant = length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1);
    let length = &length[significant..];
    let mut out = vec![tag];
    if content.len() > 127 {
        out.push(0x80 | u8::try_from(length.len()).unwrap_or(0));
    }
    out.extend_from_slice(length);
    out.extend_from_slice(content);
    out
}

/// Splits one element off: tag, content, what follows.
fn split_element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&short, rest) = rest.split_first()?;
    let (length, rest) = if short < 0x80 {
        (usize::from(short), rest)
    } else {
        let count = usize::from(short & 0x7f);
        let digits = rest.get(..count).filter(|_| (1..=4).contains(&count))?;
        (digits.iter().fold(0, |sum, &digit| sum << 8 | usize::from(digit)), &rest[count..])
    };
    Some((tag, rest.get(..length)?, &rest[length..]))
}

/// Splits the content of a sequence into its elements, tag and length included.
fn parts(mut content: &[u8]) -> Option<Vec<&[u8]>> {
    let mut parts = Vec::new();
    while !content.is_empty() {
        let (_, _, rest) = split_element(content)?;
        parts.push(&content[..content.len() - rest.len()]);
        content = rest;
    }
    Some(parts)
}

/// Wraps a key in PKCS #8.
fn pkcs8(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[ZERO, algorithm, &element(OCTET_STRING, key)].concat())
}

/// Returns the PEM text of a block, 64 characters a line.
pub(super) fn encode_pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        out.extend(line.iter().copied().map(char::from));
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

/// Returns label and content of the first PEM block.
pub(super) fn decode_pem(text: &str) -> Option<(String, Vec<u8>)> {
    let from = text.find("-----BEGIN ")?;
    let (label, rest) = text[from + 11..].split_once("-----")?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    // Header lines (`Name: value`) end at an empty line.
    let body = match body.trim_start().split_once("\n\n") {
        Some((headers, body)) if headers.contains(':') => body,
        _ => body,
    };
    let packed: String = body.split_ascii_whitespace().collect();
    Some((label.to_owned(), STANDARD.decode(packed).ok()?))
}

/// Makes an RSA key.
pub(super) fn generate_rsa(bits: usize) -> Result<Key, String> {
    let key = rsa::PrivateKey::new(&mut Random, bits).map_err(|error| error.to_string())?;
    let der = key.to_pkcs1_der().map_err(|error| error.to_string())?;
    from_rsa(der.as_bytes())
}

fn pair(der: &[u8]) -> Result<KeyPair, String> {
    KeyPair::try_from(der).map_err(|error| error.to_string())
}

fn from_rsa(der: &[u8]) -> Result<Key, String> {
    let pem = encode_pem("RSA PRIVATE KEY", der);
    Ok(Key { pair: pair(&pkcs8(RSA, der))?, pem })
}

/// Reads the `ECPrivateKey` of RFC 5915.
fn from_ec(der: &[u8]) -> Result<Key, String> {
    let malformed = || "x509: failed to parse EC private key".to_owned();
    let (_, content, _) = split_element(der).ok_or_else(malformed)?;
    let curve = parts(content)
        .and_then(|parts| parts.into_iter().find(|part| part.first() == Some(&0xa0)))
        .and_then(|part| split_element(part))
        .map(|(_, oid, _)| oid);
    let algorithm = [EC_P256, EC_P384]
        .into_iter()
        .find(|algorithm| curve.is_some_and(|oid| !oid.is_empty() && algorithm.ends_with(oid)));
    let algorithm = algorithm.ok_or("x509: unknown elliptic curve")?;
    let pem = encode_pem("EC PRIVATE KEY", der);
    Ok(Key { pair: pair(&pkcs8(algorithm, der))?, pem })
}

/// Takes the key out of PKCS #8 and writes it in the form that Go prefers for its kind.
fn from_pkcs8(der: &[u8]) -> Result<Key, String> {
    let malformed = || "asn1: structure error".to_owned();
    let (_, content, _) = split_element(der).ok_or_else(malformed)?;
    let parts = parts(content).ok_or_else(malformed)?;
    let [_, algorithm, key, ..] = parts.as_slice() else { return Err(malformed()) };
    let (_, key, _) = split_element(key).ok_or_else(malformed)?;
    if *algorithm == RSA {
        return from_rsa(key);
    }
    if *algorithm == EC_P256 || *algorithm == EC_P384 {
        return from_ec(&with_curve(key, algorithm).ok_or_else(malformed)?);
    }
    if *algorithm == ED25519 {
        // Without the public key, as Go writes it.
        let seed = pkcs8(ED25519, key);
        return Ok(Key { pair: pair(&seed)?, pem: encode_pem("PRIVATE KEY", &seed) });
    }
    Err("x509: PKCS#8 wrapping contained private key with unknown algorithm".to_owned())
}

/// Adds the name of the curve to an `ECPrivateKey` that leaves it to the wrapping.
fn with_curve(key: &[u8], algorithm: &[u8]) -> Option<Vec<u8>> {
    let (_, content, _) = split_element(key)?;
    let fields = parts(content)?;
    let (_, identifier, _) = split_element(algorithm)?;
    let oids = parts(identifier)?;
    let mut out = Vec::new();
    for field in &fields {
        match field.first() {
            Some(0xa0) => {}
            Some(0xa1) => {
                out.extend(element(0xa0, oids.get(1)?));
                out.extend_from_slice(field);
            }
            _ => out.extend_from_slice(field),
        }
    }
    Some(element(SEQUENCE, &out))
}

/// Makes a key of a type and returns its text.
pub(super) fn generate(kind: &str) -> Result<String, String> {
    let made = match kind {
        "" | "rsa" => generate_rsa(4096).map(|key| key.pem),
        "ecdsa" => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
            .map_err(|error| error.to_string())
            .and_then(|pair| from_pkcs8(pair.serialized_der()))
            .map(|key| key.pem),
        "ed25519" => KeyPair::generate_for(&PKCS_ED25519)
            .map_err(|error| error.to_string())
            .and_then(|pair| from_pkcs8(pair.serialized_der()))
            .map(|key| key.pem),
        // Go still makes them; nothing that charts feed them to still takes them.
        "dsa" => return Err("keys of type dsa are not made".to_owned()),
        other => return Ok(format!("Unknown type {other}")),
    };
    Ok(made.unwrap_or_else(|error| format!("failed to generate private key: {error}")))
}

/// Reads a private key.
pub(super) fn parse(pem: &str) -> Result<Key, String> {
    let (label, der) = decode_pem(pem).ok_or("no PEM data in input")?;
    match label.as_str() {
        "PRIVATE KEY" => {
            from_pkcs8(&der).map_err(|error| format!("decoding PEM as PKCS#8: {error}"))
        }
        "RSA PRIVATE KEY" => {
            from_rsa(&der).map_err(|error| format!("parsing RSA private key from PEM: {error}"))
        }
        "EC PRIVATE KEY" => {
            from_ec(&der).map_err(|error| format!("parsing EC private key from PEM: {error}"))
        }
        label => match label.strip_suffix(" PRIVATE KEY") {
            Some(kind) => Err(format!("invalid private key type {kind}")),
            None => Err(format!("no private key data in PEM block of type {label}")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_as_go_writes_them_and_read_back() {
        let rows = [("ecdsa", "EC PRIVATE KEY"), ("ed25519", "PRIVATE KEY")];
        for (kind, label) in rows {
            let text = generate(kind).unwrap();
            assert_eq!(decode_pem(&text).unwrap().0, label, "{kind}");
            assert_eq!(parse(&text).unwrap().pem, text, "{kind}");
        }
        let made = generate_rsa(2048).unwrap();
        assert!(made.pem.starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
        assert_eq!(parse(&made.pem).unwrap().pem, made.pem);
        // PKCS #8 comes back in the form of its kind.
        let wrapped = encode_pem("PRIVATE KEY", made.pair.serialized_der());
        assert_eq!(parse(&wrapped).unwrap().pem, made.pem);
    }

    #[test]
    fn what_is_no_key_is_refused_in_gos_words() {
        let error = |text: &str| parse(text).err().unwrap();
        assert_eq!(error("x"), "no PEM data in input");
        let other = encode_pem("CERTIFICATE", b"x");
        assert_eq!(error(&other), "no private key data in PEM block of type CERTIFICATE");
        assert_eq!(error(&encode_pem("FOO PRIVATE KEY", b"x")), "invalid private key type FOO");
        assert_eq!(generate("foo").unwrap(), "Unknown type foo");
    }
}
