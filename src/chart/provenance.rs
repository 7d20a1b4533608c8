//! Provenance: who packed an archive, and that it is still the same.
//!
//! A `.prov` file is an OpenPGP clear-signed text: the definition of the chart, a line `...`, and
//! the digest of the archive by its file's name.
//!
//! Source: helm v4.3.1 pkg/provenance/sign.go.

use pgp::composed::{ArmorOptions, CleartextSignedMessage};
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{Signature, SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::types::{KeyDetails as _, KeyId, Password};

use super::keyring::{Keyring, Signer, refused, signers};
use super::{Error, Metadata};
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::yaml::{self, Numbers, Value};

const BEGIN: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const END: &str = "-----END PGP SIGNATURE-----";

/// An archive that is what somebody signed. `Display` is what Helm prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Users of the key.
    pub signed_by: Vec<String>,
    /// Fingerprint of the key, in upper-case hexadecimal.
    pub fingerprint: String,
    /// Digest of the archive, such as `sha256:…`.
    pub hash: String,
}

impl std::fmt::Display for Verification {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for name in &self.signed_by {
            writeln!(f, "Signed by: {name}")?;
        }
        writeln!(f, "Using Key With Fingerprint: {}", self.fingerprint)?;
        writeln!(f, "Chart Hash Verified: {}", self.hash)
    }
}

/// Checks that a provenance file is signed by a key of the keyring, and that it is about this
/// archive, which is called `file`.
///
/// # Errors
/// Helm's texts: it is not signed, by nobody known, or about something else.
pub fn verify(
    archive: &[u8],
    provenance: &[u8],
    file: &str,
    keyring: &Keyring,
    now: Timestamp,
) -> Result<Verification, Error> {
    let text = String::from_utf8_lossy(provenance);
    let missing = || refused("signature block not found".to_owned());
    let block = block(&text).ok_or_else(missing)?;
    let (message, _) = CleartextSignedMessage::from_string(block).map_err(|_| missing())?;
    let keys = keyring.public();
    let text = message.signed_text();
    let signer = signer(message.signatures(), text.as_bytes(), &keys, now)?;
    let signed = text.replace("\r\n", "\n");
    let hash = format!("sha256:{}", Digest::of(archive).to_hex());
    let sums = sums(&signed)?;
    match sums.get("files").and_then(|files| files.get(file)).and_then(Value::as_str) {
        None => {
            Err(refused(format!("provenance does not contain a SHA for a file named {file:?}")))
        }
        Some(known) if known != hash => {
            Err(refused(format!("sha256 sum does not match for {file}: {known:?} != {hash:?}")))
        }
        Some(_) => Ok(Verification {
            signed_by: signer.names(),
            fingerprint: hex(signer.key.primary_key.fingerprint().as_bytes()),
            hash,
        }),
    }
}

/// Returns the signed part of a text, from the line that begins it to the one that ends it.
fn block(text: &str) -> Option<&str> {
    let start =
        text.match_indices(BEGIN).find(|(at, _)| *at == 0 || text.as_bytes()[at - 1] == b'\n');
    let block = &text[start?.0..];
    let end = block.find(END)? + END.len();
    Some(&block[..end])
}

/// Finds who signed: the first signature by a key that is known decides.
///
/// # Errors
/// Go's texts.
pub(super) fn signer<'a, 's>(
    signatures: impl IntoIterator<Item = &'s Signature>,
    text: &[u8],
    keys: &'a [pgp::composed::SignedPublicKey],
    now: Timestamp,
) -> Result<Signer<'a>, Error> {
    for signature in signatures {
        let Some(id) = signature.issuer_key_id().first().map(|id| **id).or_else(|| {
            let print = signature.issuer_fingerprint().first().map(|print| print.as_bytes())?;
            print.last_chunk::<8>().map(|id| KeyId::from(*id))
        }) else {
            return Err(refused(
                "openpgp: invalid data: signature doesn't have an issuer".to_owned(),
            ));
        };
        let known = signers(keys, &id);
        if known.is_empty() {
            continue;
        }
        if let Some(weak) = signature.hash_alg().filter(|hash| {
            matches!(hash, HashAlgorithm::Md5 | HashAlgorithm::Sha1 | HashAlgorithm::Ripemd160)
        }) {
            return Err(refused(format!("openpgp: weak algorithms are rejected: {weak}")));
        }
        let made = known.into_iter().find(|signer| {
            let verified = match signer.subkey {
                Some(subkey) => signature.verify(&subkey.key, text),
                None => signature.verify(&signer.key.primary_key, text),
            };
            verified.is_ok()
        });
        let kind = match signature.config().map(|config| config.pub_alg) {
            Some(PublicKeyAlgorithm::EdDSALegacy) => "EdDSA",
            Some(PublicKeyAlgorithm::Ed25519) => "Ed25519",
            Some(PublicKeyAlgorithm::ECDSA) => "ECDSA",
            Some(PublicKeyAlgorithm::DSA) => "DSA",
            _ => "RSA",
        };
        let signer = made.ok_or_else(|| {
            refused(format!("openpgp: invalid signature: {kind} verification failure"))
        })?;
        signer.check(signature, now)?;
        return Ok(signer);
    }
    Err(refused("openpgp: signature made by unknown entity".to_owned()))
}

/// Returns the digests of a signed text.
fn sums(text: &str) -> Result<Value, Error> {
    let (_, sums) = text
        .split_once("\n...\n")
        .ok_or_else(|| refused("message block must have at least two parts".to_owned()))?;
    let sums = sums.split("\n...\n").next().unwrap_or_default();
    yaml::parse(sums, Numbers::Exact).map_err(|error| refused(error.to_string()))
}

/// Signs an archive; returns the text of its provenance file.
///
/// `passphrase` is asked for where the key is locked; it is given the name of the key's user.
///
/// # Errors
/// Helm's texts: there is no such key, or the passphrase is wrong.
pub fn sign(
    archive: &[u8],
    file: &str,
    metadata: &Metadata,
    (keyring, id): (&Keyring, &str),
    passphrase: &mut dyn FnMut(&str) -> Result<Vec<u8>, String>,
    now: Timestamp,
) -> Result<String, Error> {
    let secret = keyring.signing(id)?;
    let key = &secret.primary_key;
    let mut password = Password::empty();
    if key.secret_params().is_encrypted() {
        let user = secret.details.users.first();
        let name = user.map(|user| String::from_utf8_lossy(user.id.id()).into_owned());
        let typed = passphrase(&name.unwrap_or_else(|| "Unknown".to_owned())).map_err(refused)?;
        password = Password::from(typed.as_slice());
        let unlocked = key.unlock(&password, |_, _| Ok(()));
        unlocked
            .map_err(|_| refused("openpgp: invalid data: private key checksum failure".to_owned()))?
            .map_err(|error| refused(error.to_string()))?;
    }
    let text = message(archive, file, metadata)?;
    let failed = |error: pgp::errors::Error| {
        refused(format!("failed to either sign or armor message block: {error}"))
    };
    let seconds = u32::try_from(now.as_second()).unwrap_or(0);
    let created = pgp::types::Timestamp::from_secs(seconds);
    let regular = |data| Subpacket::regular(data).map_err(failed);
    let mut config =
        SignatureConfig::v4(SignatureType::Text, key.algorithm(), HashAlgorithm::Sha512);
    config.hashed_subpackets = vec![
        regular(SubpacketData::SignatureCreationTime(created))?,
        regular(SubpacketData::IssuerFingerprint(key.fingerprint()))?,
    ];
    config.unhashed_subpackets = vec![regular(SubpacketData::IssuerKeyId(key.legacy_key_id()))?];
    let signed = CleartextSignedMessage::new(&text, config, key, &password).map_err(failed)?;
    signed.to_armored_string(ArmorOptions::default()).map_err(failed)
}

/// Returns what is signed, without blanks at the ends of lines, which signatures ignore.
fn message(archive: &[u8], file: &str, metadata: &Metadata) -> Result<String, Error> {
    let failed = |error: &dyn std::error::Error| {
        refused(format!("failed to marshal chart metadata: {error}"))
    };
    let value = serde_json::to_value(metadata).map_err(|error| failed(&error))?;
    let definition = yaml::print(&value).map_err(|error| failed(&error))?;
    let hash = format!("sha256:{}", Digest::of(archive).to_hex());
    let sums = serde_json::json!({"files": {file: hash}});
    let sums = yaml::print(&sums).map_err(|error| failed(&error))?;
    let text = format!("{definition}\n...\n{sums}");
    let lines: Vec<&str> = text.lines().map(|line| line.trim_end_matches([' ', '\t'])).collect();
    Ok(lines.join("\n") + "\n")
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn fixture(name: &str) -> Vec<u8> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/keys/");
        crate::base::file::read_bytes(format!("{folder}{name}").as_ref(), 1 << 20).unwrap()
    }

    fn check(archive: &[u8], signed: &[u8], keys: &str, seconds: i64) -> Result<String, String> {
        let keyring = Keyring::read(&fixture(keys)).unwrap();
        let now = Timestamp::from_second(seconds).unwrap();
        let verified = verify(archive, signed, "a.tgz", &keyring, now);
        verified.map(|v| v.signed_by.join(", ")).map_err(|error| error.to_string())
    }

    #[test]
    fn signatures_hold_as_long_as_their_keys_do() {
        let rows = [
            ("by a subkey", "sub.prov", NOW, Ok("Sub Key <sub@example.com>")),
            ("in time", "old.prov", NOW, Ok("Old <old@example.com>")),
            ("too late", "old.prov", NOW + 40_000_000, Err("openpgp: key expired")),
            ("before it was made", "old.prov", NOW - 100_000_000, Err("openpgp: key expired")),
            ("revoked", "gone.prov", NOW, Err("openpgp: signature made by revoked key")),
        ];
        for (name, file, now, wanted) in rows {
            let seen = check(b"archive", &fixture(file), "other.gpg", now);
            assert_eq!(seen, wanted.map(str::to_owned).map_err(str::to_owned), "{name}");
        }
        let unknown = check(b"archive", &fixture("sub.prov"), "ann.pub.asc", NOW);
        assert_eq!(unknown.unwrap_err(), "openpgp: signature made by unknown entity");
        let other = check(b"another", &fixture("sub.prov"), "other.gpg", NOW).unwrap_err();
        assert!(other.starts_with("sha256 sum does not match for a.tgz: "), "{other}");
    }

    #[test]
    fn what_is_signed_verifies_and_what_is_changed_does_not() {
        let metadata =
            Metadata { name: "a".into(), description: "- dash \n".into(), ..Metadata::default() };
        let now = Timestamp::from_second(NOW).unwrap();
        for (key, word) in [("ann", ""), ("bob", ""), ("eve", "secret")] {
            let keyring = Keyring::read(&fixture(&format!("{key}.gpg"))).unwrap();
            let mut ask = |_: &str| Ok(word.as_bytes().to_vec());
            let signed =
                sign(b"archive", "a.tgz", &metadata, (&keyring, key), &mut ask, now).unwrap();
            let user = check(b"archive", signed.as_bytes(), "all.gpg", NOW).unwrap();
            assert!(user.to_lowercase().contains(key), "{user}");
            let changed = signed.replace("name: a", "name: b");
            let refused = check(b"archive", changed.as_bytes(), "all.gpg", NOW).unwrap_err();
            assert!(refused.ends_with("verification failure"), "{refused}");
        }
    }
}
