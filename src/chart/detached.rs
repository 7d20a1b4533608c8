//! OpenPGP signatures that stand beside what they sign, as Git has them of commits and tags.
//!
//! Source: github.com/ProtonMail/go-crypto v1 openpgp/read.go (`CheckArmoredDetachedSignature`).

use pgp::composed::{Deserializable as _, DetachedSignature};
use pgp::packet::SignatureType;
use pgp::types::KeyDetails as _;

use super::Error;
use super::keyring::{Keyring, refused};
use super::provenance::{hex, signer};
use crate::base::clock::Timestamp;

/// What of an error says that no known key made a signature.
pub const UNKNOWN: &str = "openpgp: signature made by unknown entity";

/// Checks that a key of the keyring signed this; returns the id of the key, or of the one whose
/// subkey did, in upper-case hexadecimal.
///
/// # Errors
/// Go's texts: it is no signature, of nobody known, of a key that is not to be used any more, or of
/// something else.
pub fn verify(
    payload: &[u8],
    armored: &str,
    keyring: &Keyring,
    now: Timestamp,
) -> Result<String, Error> {
    let wrong = |error: pgp::errors::Error| refused(format!("openpgp: invalid data: {error}"));
    let (found, _) = DetachedSignature::from_string_many(armored.trim()).map_err(wrong)?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    let over_data = [SignatureType::Binary, SignatureType::Text];
    let signatures = found.iter().map(|one| &one.signature);
    let signatures =
        signatures.filter(|one| one.typ().is_some_and(|kind| over_data.contains(&kind)));
    let keys = keyring.public();
    let signer = signer(signatures, payload, &keys, now)?;
    Ok(hex(signer.key.primary_key.legacy_key_id().as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgp::composed::ArmorOptions;
    use pgp::crypto::hash::HashAlgorithm;
    use pgp::packet::{SignatureConfig, Subpacket, SubpacketData};
    use pgp::types::Password;

    const NOW: i64 = 1_800_000_000;

    fn keyring(name: &str) -> Keyring {
        let path = format!("{}/fixtures/keys/{name}", env!("CARGO_MANIFEST_DIR"));
        Keyring::read(&crate::base::file::read_bytes(path.as_ref(), 1 << 20).unwrap()).unwrap()
    }

    fn signed(who: &str, hash: HashAlgorithm) -> String {
        let keyring = keyring(&format!("{who}.gpg"));
        let key = &keyring.signing(who).unwrap().primary_key;
        let mut config = SignatureConfig::v4(SignatureType::Binary, key.algorithm(), hash);
        let created = pgp::types::Timestamp::from_secs(u32::try_from(NOW).unwrap());
        config.hashed_subpackets = [
            SubpacketData::SignatureCreationTime(created),
            SubpacketData::IssuerFingerprint(key.fingerprint()),
        ]
        .map(|data| Subpacket::regular(data).unwrap())
        .into();
        let made = config.sign(key, &Password::empty(), &b"text"[..]).unwrap();
        DetachedSignature::new(made).to_armored_string(ArmorOptions::default()).unwrap()
    }

    #[test]
    fn who_signed_is_told_by_a_key() {
        let now = Timestamp::from_second(NOW + 1).unwrap();
        for who in ["ann", "bob"] {
            let signature = signed(who, HashAlgorithm::Sha512);
            let key = verify(b"text", &signature, &keyring("all.gpg"), now).unwrap();
            assert!(key.len() == 16 && key.bytes().all(|b| b.is_ascii_hexdigit()), "{key}");
            let own = verify(b"text", &signature, &keyring(&format!("{who}.pub.asc")), now);
            assert_eq!(own.unwrap(), key);
            let changed = verify(b"texT", &signature, &keyring("all.gpg"), now).unwrap_err();
            assert!(changed.to_string().ends_with("verification failure"), "{changed}");
        }
        let by_ann = signed("ann", HashAlgorithm::Sha512);
        let unknown = verify(b"text", &by_ann, &keyring("bob.pub.asc"), now).unwrap_err();
        assert_eq!(unknown.to_string(), UNKNOWN);
        let broken =
            verify(b"text", "-----BEGIN PGP SIGNATURE-----\n\nx", &keyring("all.gpg"), now);
        assert!(broken.unwrap_err().to_string().starts_with("openpgp: invalid data: "));
    }

    #[test]
    fn weak_digests_do_not_count() {
        let now = Timestamp::from_second(NOW + 1).unwrap();
        let weak = verify(b"text", &signed("ann", HashAlgorithm::Sha1), &keyring("all.gpg"), now);
        let weak = weak.unwrap_err().to_string();
        assert!(weak.starts_with("openpgp: weak algorithms are rejected"), "{weak}");
    }
}
