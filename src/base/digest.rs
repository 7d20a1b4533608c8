//! SHA-256 digests, printed `sha256:<hex>`.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// A SHA-256 digest. `Display` is `sha256:<64 lower-case hex digits>`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

/// A text that is not a SHA-256 digest.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a SHA-256 digest (64 hex digits, with or without `sha256:`)")]
pub struct ParseError(String);

impl Digest {
    /// Returns the digest of some bytes.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Returns a digest from the finished hash of a stream.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the 64 hex digits, without prefix.
    pub fn to_hex(&self) -> String {
        hex(&self.0)
    }
}

/// Whether bytes have a digest, written `<algorithm>:<hex>`; none: it is of an algorithm that is not
/// known here. SHA-256, SHA-384 and SHA-512 are.
pub fn is_of(bytes: impl AsRef<[u8]>, digest: &str) -> Option<bool> {
    let (algorithm, wanted) = digest.split_once(':')?;
    let have = match algorithm {
        "sha256" => hex(&Sha256::digest(bytes)),
        "sha384" => hex(&Sha384::digest(bytes)),
        "sha512" => hex(&Sha512::digest(bytes)),
        _ => return None,
    };
    Some(have == wanted)
}

/// Returns bytes as lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Digest {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let fail = || ParseError(text.to_owned());
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        if hex.len() != 64 || !hex.is_ascii() {
            return Err(fail());
        }
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).map_err(|_| fail())?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of no bytes at all: FIPS 180-4.
    #[test]
    fn bytes_are_compared_by_three_algorithms() {
        let sha256 = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let sha384 = "sha384:38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b";
        let sha512 = "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";
        for digest in [sha256, sha384, sha512] {
            assert_eq!(is_of("", digest), Some(true), "{digest}");
            assert_eq!(is_of("x", digest), Some(false), "{digest}");
            assert_eq!(is_of("", &digest[..digest.len() - 1]), Some(false), "{digest}");
        }
        for digest in ["", "blake3:af13", "e3b0c442", &sha256.to_uppercase()] {
            assert_eq!(is_of("", digest), None, "{digest}");
        }
    }

    #[test]
    fn reads_what_it_prints_and_refuses_the_rest() {
        let digest = Digest::of(b"");
        let text = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.parse::<Digest>().unwrap(), digest);
        assert_eq!(digest.to_hex().parse::<Digest>().unwrap(), digest);
        for bad in ["", "sha256:", "sha256:zz", "sha512:e3b0", "é"] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }
}
