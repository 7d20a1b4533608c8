//! OpenPGP keys, as GnuPG keeps and exports them.
//!
//! Source: helm v4.3.1 pkg/provenance/{sign,keybox}.go,
//! github.com/ProtonMail/go-crypto v1 openpgp/{keys,read}.go.

use std::collections::BTreeSet;
use std::io::Cursor;

use pgp::composed::{PublicOrSecret, SignedPublicKey, SignedPublicSubKey, SignedSecretKey};
use pgp::packet::{Signature, SignatureType};
use pgp::types::{KeyDetails as _, KeyId, Tag};

use super::Error;
use crate::base::clock::Timestamp;

/// Keys of a file.
#[derive(Debug, Default)]
pub struct Keyring {
    keys: Vec<PublicOrSecret>,
}

/// A key that made a signature: the key itself, or one of its subkeys.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signer<'a> {
    pub(super) key: &'a SignedPublicKey,
    pub(super) subkey: Option<&'a SignedPublicSubKey>,
}

impl Keyring {
    /// Reads a keyring: binary, armored (any number of blocks), or GnuPG's keybox.
    ///
    /// # Errors
    /// It is none.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let wrong = |error: pgp::errors::Error| refused(format!("openpgp: invalid data: {error}"));
        if is_keybox(bytes) {
            let keys = without_trust(&keybox(bytes));
            return Self::collect(
                PublicOrSecret::from_bytes_many(Cursor::new(keys)).map_err(wrong)?,
            );
        }
        let text = String::from_utf8_lossy(bytes);
        let mut blocks: Vec<&str> = text.split("-----BEGIN ").skip(1).collect();
        if !text.trim_start().starts_with("-----BEGIN ") {
            blocks.clear();
        }
        if blocks.is_empty() {
            if bytes.first().is_some_and(|first| first & 0x80 == 0) {
                let text = "openpgp: invalid data: tag byte does not have MSB set";
                return Err(refused(text.to_owned()));
            }
            return Self::collect(
                PublicOrSecret::from_bytes_many(Cursor::new(without_trust(bytes)))
                    .map_err(wrong)?,
            );
        }
        let mut all = Self::default();
        for block in blocks {
            let kind = block.split("-----").next().unwrap_or_default();
            if !matches!(kind, "PGP PUBLIC KEY BLOCK" | "PGP PRIVATE KEY BLOCK") {
                return Err(refused(format!(
                    "expected a public or private key block, got {kind:?}"
                )));
            }
            let block = format!("-----BEGIN {block}");
            let (keys, _) = PublicOrSecret::from_armor_many(block.as_bytes()).map_err(wrong)?;
            all.keys.extend(Self::collect(keys)?.keys);
        }
        Ok(all)
    }

    /// Keys that cannot be used (of unknown kinds, without a valid user) are left out.
    fn collect(
        keys: impl Iterator<Item = Result<PublicOrSecret, pgp::errors::Error>>,
    ) -> Result<Self, Error> {
        let mut all = Self::default();
        let mut first = None;
        for key in keys {
            match key {
                Ok(key) => all.keys.push(key),
                Err(error) => first = first.or(Some(error)),
            }
        }
        match first {
            Some(error) if all.keys.is_empty() => {
                Err(refused(format!("openpgp: invalid data: {error}")))
            }
            _ => Ok(all),
        }
    }

    /// Returns the public keys.
    pub(super) fn public(&self) -> Vec<SignedPublicKey> {
        let of = |key: &PublicOrSecret| match key {
            PublicOrSecret::Public(key) => key.clone(),
            PublicOrSecret::Secret(key) => key.to_public_key(),
        };
        self.keys.iter().map(of).collect()
    }

    /// Finds the key to sign with: of a user who is called so, or whose name holds that text.
    ///
    /// # Errors
    /// Helm's texts: there is none, it is ambiguous, or it is no private key.
    pub(super) fn signing(&self, id: &str) -> Result<&SignedSecretKey, Error> {
        let users = |key: &PublicOrSecret| match key {
            PublicOrSecret::Public(key) => names(&key.details.users),
            PublicOrSecret::Secret(key) => names(&key.details.users),
        };
        let exact = self.keys.iter().find(|key| users(key).iter().any(|name| name == id));
        let holds = |key: &&PublicOrSecret| users(key).iter().any(|name| name.contains(id));
        let mut close = self.keys.iter().filter(holds);
        let found = match (exact, close.next(), close.next()) {
            (Some(exact), _, _) => exact,
            (None, Some(_), Some(_)) => {
                return Err(refused(format!("more than one key contain the id {id:?}")));
            }
            (None, Some(only), None) => only,
            (None, None, _) => return Err(refused("private key not found".to_owned())),
        };
        match found {
            PublicOrSecret::Secret(key) => Ok(key),
            PublicOrSecret::Public(_) => Err(refused(
                "provided key is not a private key. Try providing a keyring with secret keys"
                    .to_owned(),
            )),
        }
    }
}

fn names(users: &[pgp::types::SignedUser]) -> Vec<String> {
    let name = |user: &pgp::types::SignedUser| String::from_utf8_lossy(user.id.id()).into_owned();
    users.iter().map(name).collect()
}

pub(super) fn refused(text: String) -> Error {
    Error::Provenance(text)
}

/// Returns who may have made a signature: the keys of that id which are made for signing, and
/// vouch for themselves.
pub(super) fn signers<'a>(keys: &'a [SignedPublicKey], id: &KeyId) -> Vec<Signer<'a>> {
    let mut found = Vec::new();
    for key in keys {
        let Some(own) = newest(own_signatures(key)) else { continue };
        let for_signing = own.key_flags().sign() || !own.key_flags().certify();
        if key.primary_key.legacy_key_id() == *id && for_signing {
            found.push(Signer { key, subkey: None });
        }
        for subkey in &key.public_subkeys {
            let bound = newest(
                subkey
                    .signatures
                    .iter()
                    .filter(|signature| signature.typ() == Some(SignatureType::SubkeyBinding)),
            );
            let may_sign = bound.is_some_and(|signature| signature.key_flags().sign());
            if subkey.key.legacy_key_id() == *id
                && may_sign
                && subkey.verify_bindings(&key.primary_key).is_ok()
            {
                found.push(Signer { key, subkey: Some(subkey) });
            }
        }
    }
    found
}

/// Returns the valid signatures of a key on those of its users that it has not taken back.
fn own_signatures(key: &SignedPublicKey) -> impl Iterator<Item = &Signature> {
    key.details.users.iter().flat_map(move |user| {
        let holds = move |signature: &&Signature| {
            signature.verify_certification(&key.primary_key, Tag::UserId, &user.id).is_ok()
        };
        let is_revocation =
            |signature: &Signature| signature.typ() == Some(SignatureType::CertRevocation);
        let revoked = user.signatures.iter().any(|one| is_revocation(one) && holds(&one));
        let own = user.signatures.iter().filter(move |one| !is_revocation(one)).filter(holds);
        own.filter(move |_| !revoked)
    })
}

fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>) -> Option<&'a Signature> {
    signatures.max_by_key(|signature| signature.created().map(pgp::types::Timestamp::as_secs))
}

impl Signer<'_> {
    /// Refuses a signature of a key that is not to be used any more.
    ///
    /// # Errors
    /// Go's texts.
    pub(super) fn check(self, signature: &Signature, now: Timestamp) -> Result<(), Error> {
        let now = u64::try_from(now.as_second()).unwrap_or(0);
        let primary = &self.key.primary_key;
        let revoked = self
            .key
            .details
            .revocation_signatures
            .iter()
            .any(|signature| signature.verify_key(primary).is_ok());
        let subkey_revoked = self.subkey.is_some_and(|subkey| {
            subkey
                .signatures
                .iter()
                .any(|signature| signature.typ() == Some(SignatureType::SubkeyRevocation))
        });
        if revoked || subkey_revoked {
            return Err(refused("openpgp: signature made by revoked key".to_owned()));
        }
        // What was made in the future is no better than what is over.
        let is_over = |from: u32, lifetime: Option<pgp::types::Duration>| {
            let seconds = u64::from(lifetime.map_or(0, pgp::types::Duration::as_secs));
            let from = u64::from(from);
            from > now || seconds > 0 && now >= from + seconds
        };
        let made =
            |signature: &Signature| signature.created().map_or(0, pgp::types::Timestamp::as_secs);
        let own = newest(own_signatures(self.key));
        let bound = self.subkey.and_then(|subkey| newest(subkey.signatures.iter()));
        let lifetime = |by: Option<&Signature>| by.and_then(Signature::key_expiration_time);
        let subkey_over = self
            .subkey
            .is_some_and(|subkey| is_over(subkey.key.created_at().as_secs(), lifetime(bound)));
        if is_over(primary.created_at().as_secs(), lifetime(own)) || subkey_over {
            return Err(refused("openpgp: key expired".to_owned()));
        }
        let mut relevant = [Some(signature), own, bound].into_iter().flatten();
        if relevant.any(|one| is_over(made(one), one.signature_expiration_time())) {
            return Err(refused("openpgp: signature expired".to_owned()));
        }
        Ok(())
    }

    /// Returns the users of the key, by name.
    pub(super) fn names(self) -> Vec<String> {
        let names: BTreeSet<String> = names(&self.key.details.users).into_iter().collect();
        names.into_iter().collect()
    }
}

/// Whether a file is GnuPG's keybox.
fn is_keybox(bytes: &[u8]) -> bool {
    bytes.get(8..12) == Some(b"KBXf")
}

/// Returns the OpenPGP keys of a keybox.
///
/// A blob begins with its length (4 bytes), its type (2 is OpenPGP), a version, 2 bytes of flags,
/// and where inside the blob the key is and how long it is (4 bytes each).
fn keybox(bytes: &[u8]) -> Vec<u8> {
    let number = |at: usize, from: &[u8]| {
        let four = from.get(at..at + 4)?;
        Some(u32::from_be_bytes([four[0], four[1], four[2], four[3]]) as usize)
    };
    let (mut keys, mut rest) = (Vec::new(), bytes);
    while let Some(length) = number(0, rest).filter(|length| *length >= 16) {
        let Some(blob) = rest.get(..length) else { break };
        if blob[4] == 2
            && let (Some(from), Some(size)) = (number(8, blob), number(12, blob))
            && let Some(key) = blob.get(from..from.saturating_add(size))
        {
            keys.extend_from_slice(key);
        }
        rest = &rest[length..];
    }
    keys
}

/// Leaves out the packets in which GnuPG notes whom it trusts (tag 12): they are nobody else's.
fn without_trust(bytes: &[u8]) -> Vec<u8> {
    let (mut kept, mut rest) = (Vec::with_capacity(bytes.len()), bytes);
    while let Some((tag, length)) = packet(rest) {
        let Some(whole) = rest.get(..length) else { break };
        if tag != 12 {
            kept.extend_from_slice(whole);
        }
        rest = &rest[length..];
    }
    // What is no packet is for the reader to refuse.
    kept.extend_from_slice(rest);
    kept
}

/// Returns the tag of the packet that bytes begin with, and its length with its header.
///
/// Source: RFC 4880, section 4.2.
fn packet(bytes: &[u8]) -> Option<(u8, usize)> {
    let first = *bytes.first().filter(|first| **first & 0x80 != 0)?;
    let big = |from: usize, size: usize| {
        let number = bytes.get(from..from + size)?;
        Some(number.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte)))
    };
    let (tag, header, length) = if first & 0x40 == 0 {
        let size = match first & 3 {
            0 => 1,
            1 => 2,
            2 => 4,
            _ => return None,
        };
        (first >> 2 & 0xf, 1 + size, big(1, size)?)
    } else {
        match *bytes.get(1)? {
            short @ 0..192 => (first & 0x3f, 2, usize::from(short)),
            middle @ 192..224 => {
                (first & 0x3f, 3, ((usize::from(middle) - 192) << 8) + big(2, 1)? + 192)
            }
            255 => (first & 0x3f, 6, big(2, 4)?),
            _ => return None,
        }
    };
    Some((tag, header.checked_add(length)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_trust_are_left_out() {
        let rows: [(&[u8], &[u8]); 5] = [
            (&[0x99, 0, 1, 7, 0xb0, 2, 6, 0, 0xcc, 1, 9], &[0x99, 0, 1, 7]),
            (&[0xb1, 0, 1, 7, 0xc6, 1, 5], &[0xc6, 1, 5]),
            (&[0xb0, 9, 1], &[0xb0, 9, 1]),
            (b"text", b"text"),
            (&[], &[]),
        ];
        for (bytes, kept) in rows {
            assert_eq!(without_trust(bytes), kept, "{bytes:?}");
        }
    }
}
