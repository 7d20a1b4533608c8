//! Signatures that keys of SSH made, and the keys that may make them.
//!
//! Source: openssh PROTOCOL.sshsig, PROTOCOL.u2f; RFC 4253, 5656, 8332, 8709; fluxcd/pkg
//! git/signature/ssh_signature.go.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ring::digest;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};

const MAGIC: &[u8] = b"SSHSIG";
/// What signatures are for that Git makes.
const NAMESPACE: &[u8] = b"git";

/// A key of SSH that may sign. `Display` is its fingerprint, `SHA256:…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshKey(Vec<u8>);

impl std::fmt::Display for SshKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let print = digest::digest(&digest::SHA256, &self.0);
        write!(f, "SHA256:{}", STANDARD_NO_PAD.encode(print))
    }
}

impl SshKey {
    /// Reads keys in the form of `authorized_keys`, one on each line.
    ///
    /// # Errors
    /// A line is none.
    pub fn read(text: &str) -> Result<Vec<Self>, String> {
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let none = || "unable to parse authorized key: ssh: no key found".to_owned();
        lines.map(|line| Self::of_line(line).ok_or_else(none)).collect()
    }

    /// Options may stand before the key, and a comment behind it.
    fn of_line(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.windows(2).find_map(|pair| {
            let blob = STANDARD.decode(pair[1]).ok()?;
            let kind = Reader(&blob).text()?;
            (kind == pair[0].as_bytes()).then_some(Self(blob))
        })
    }

    /// Verifies a signature that Git made.
    ///
    /// # Errors
    /// It is none, or not of this key, or not over that.
    pub fn verify(&self, signature: &SshSignature, payload: &[u8]) -> Result<(), String> {
        if signature.key != self.0 {
            return Err("public key does not match".to_owned());
        }
        if signature.namespace != NAMESPACE {
            return Err("namespace does not match".to_owned());
        }
        let hash = match signature.hash.as_slice() {
            b"sha256" => digest::digest(&digest::SHA256, payload),
            b"sha512" => digest::digest(&digest::SHA512, payload),
            _ => return Err("unsupported hash algorithm".to_owned()),
        };
        let mut message = MAGIC.to_vec();
        for part in [&signature.namespace, &signature.reserved, &signature.hash] {
            put(&mut message, part);
        }
        put(&mut message, hash.as_ref());
        self.check(&signature.made, &message)
    }

    fn check(&self, made: &[u8], message: &[u8]) -> Result<(), String> {
        let broken = || "the signature is broken".to_owned();
        let (mut key, mut made) = (Reader(&self.0), Reader(made));
        let kind = key.text().ok_or_else(broken)?;
        let (form, blob) = (made.text().ok_or_else(broken)?, made.text().ok_or_else(broken)?);
        let is_valid = match (kind, form) {
            (b"ssh-ed25519", b"ssh-ed25519") => {
                verified(&ED25519, key.text().ok_or_else(broken)?, message, blob)
            }
            (b"sk-ssh-ed25519@openssh.com", b"sk-ssh-ed25519@openssh.com") => {
                let point = key.text().ok_or_else(broken)?;
                let message = of_device(key.text().ok_or_else(broken)?, made.0, message);
                verified(&ED25519, point, &message.ok_or_else(broken)?, blob)
            }
            (b"ecdsa-sha2-nistp256", b"ecdsa-sha2-nistp256") => {
                let point = key.text().and_then(|_| key.text()).ok_or_else(broken)?;
                let blob = numbers(blob, 32).ok_or_else(broken)?;
                verified(&ECDSA_P256_SHA256_FIXED, point, message, &blob)
            }
            (b"ecdsa-sha2-nistp384", b"ecdsa-sha2-nistp384") => {
                let point = key.text().and_then(|_| key.text()).ok_or_else(broken)?;
                let blob = numbers(blob, 48).ok_or_else(broken)?;
                verified(&ECDSA_P384_SHA384_FIXED, point, message, &blob)
            }
            (b"ssh-rsa", b"rsa-sha2-256" | b"rsa-sha2-512") => {
                let (e, n) = (key.text().ok_or_else(broken)?, key.text().ok_or_else(broken)?);
                let parts = RsaPublicKeyComponents { n: number(n), e: number(e) };
                let parameters = match form {
                    b"rsa-sha2-256" => &RSA_PKCS1_2048_8192_SHA256,
                    _ => &RSA_PKCS1_2048_8192_SHA512,
                };
                parts.verify(parameters, message, blob).is_ok()
            }
            _ => {
                return Err(format!(
                    "signatures `{}` of keys `{}` are not supported",
                    String::from_utf8_lossy(form),
                    String::from_utf8_lossy(kind)
                ));
            }
        };
        if is_valid { Ok(()) } else { Err("signature did not verify".to_owned()) }
    }
}

fn verified(by: &'static dyn VerificationAlgorithm, key: &[u8], message: &[u8], of: &[u8]) -> bool {
    UnparsedPublicKey::new(by, key).verify(message, of).is_ok()
}

/// What a device signs in place of a message: behind a signature are its flags and its counter. It
/// must say that somebody touched it.
fn of_device(application: &[u8], behind: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    let (flags, _) = behind.split_first().filter(|(_, counter)| counter.len() == 4)?;
    let hash = |data| digest::digest(&digest::SHA256, data);
    let parts = [hash(application).as_ref(), behind, hash(message).as_ref()].concat();
    (flags & 1 == 1).then_some(parts)
}

/// A signature, taken out of its armor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshSignature {
    key: Vec<u8>,
    namespace: Vec<u8>,
    reserved: Vec<u8>,
    hash: Vec<u8>,
    made: Vec<u8>,
}

impl SshSignature {
    /// Reads a signature in its armor.
    ///
    /// # Errors
    /// It is none.
    pub fn read(armored: &str) -> Result<Self, String> {
        let inner = armored.trim().strip_prefix("-----BEGIN SSH SIGNATURE-----");
        let inner = inner.and_then(|rest| rest.strip_suffix("-----END SSH SIGNATURE-----"));
        let inner = inner.ok_or("invalid PEM block")?;
        let packed: String = inner.split_whitespace().collect();
        let bytes = STANDARD.decode(packed).map_err(|_| "invalid PEM block")?;
        let rest = bytes.strip_prefix(MAGIC).ok_or("invalid magic preamble")?;
        let rest = rest.strip_prefix(&[0, 0, 0, 1]).ok_or("unsupported signature version")?;
        let mut reader = Reader(rest);
        let mut next = || reader.text().map(<[u8]>::to_vec).ok_or("the signature is broken");
        let (key, namespace, reserved) = (next()?, next()?, next()?);
        Ok(Self { key, namespace, reserved, hash: next()?, made: next()? })
    }
}

/// Reads what SSH writes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Takes a text: its length in four bytes, and then the text.
    fn text(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (text, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(text)
    }
}

fn put(into: &mut Vec<u8>, text: &[u8]) {
    into.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    into.extend_from_slice(text);
}

/// A number without the zeros before it.
fn number(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

/// Two numbers of the same length, one behind the other.
fn numbers(blob: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut reader = Reader(blob);
    let mut both = Vec::new();
    for _ in 0..2 {
        let one = number(reader.text()?);
        both.resize(both.len() + length.checked_sub(one.len())?, 0);
        both.extend_from_slice(one);
    }
    Some(both)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::base::file;

    /// Signs by OpenSSH's own program; none: it is not there.
    fn made(kind: &[&str], namespace: &str, text: &str) -> Option<(String, String)> {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let run = |arguments: &[&str]| {
            let mut command = Command::new("ssh-keygen");
            command.current_dir(folder.path()).args(["-q"]).args(arguments).output()
        };
        let output = run(&[&["-f", "key", "-N", "", "-C", "ann"], kind].concat()).ok()?;
        assert!(output.status.success(), "{output:?}");
        file::write_unsynced(&path("text"), text.as_bytes()).unwrap();
        let output = run(&["-Y", "sign", "-f", "key", "-n", namespace, "text"]).unwrap();
        assert!(output.status.success(), "{output:?}");
        let read = |name: &str| file::read_text(&path(name), 1 << 20).unwrap();
        Some((read("key.pub"), read("text.sig")))
    }

    #[test]
    fn what_openssh_signs_verifies_and_nothing_else() {
        let kinds: [&[&str]; 4] = [
            &["-t", "ed25519"],
            &["-t", "ecdsa", "-b", "256"],
            &["-t", "ecdsa", "-b", "384"],
            &["-t", "rsa", "-b", "2048"],
        ];
        for kind in kinds {
            let Some((key, signature)) = made(kind, "git", "text") else { return };
            let (_, other) = made(kind, "file", "text").unwrap();
            let keys = SshKey::read(&format!("# of ann\n\nno-pty,x=\"a b\" {key}")).unwrap();
            let [key] = &keys[..] else { panic!("{keys:?}") };
            let signature = SshSignature::read(&signature).unwrap();
            assert_eq!(key.verify(&signature, b"text"), Ok(()), "{kind:?}");
            assert!(key.to_string().starts_with("SHA256:"));
            let changed = key.verify(&signature, b"texT").unwrap_err();
            assert_eq!(changed, "signature did not verify", "{kind:?}");
            let other = SshSignature::read(&other).unwrap();
            let not_its = key.verify(&other, b"text").unwrap_err();
            assert_eq!(not_its, "public key does not match");
            let named = SshSignature { key: key.0.clone(), ..other };
            assert_eq!(key.verify(&named, b"text").unwrap_err(), "namespace does not match");
            let weak = SshSignature { hash: b"sha1".to_vec(), ..signature };
            assert_eq!(key.verify(&weak, b"text").unwrap_err(), "unsupported hash algorithm");
        }
    }

    #[test]
    fn other_keys_are_refused_by_name() {
        let Some((key, signature)) = made(&["-t", "ecdsa", "-b", "521"], "git", "x") else {
            return;
        };
        let key = &SshKey::read(&key).unwrap()[0];
        let refused = key.verify(&SshSignature::read(&signature).unwrap(), b"x").unwrap_err();
        assert!(refused.contains("of keys `ecdsa-sha2-nistp521` are not supported"), "{refused}");
        assert!(SshKey::read("ssh-ed25519 AAAA").unwrap_err().contains("no key found"));
        assert_eq!(SshSignature::read("x").unwrap_err(), "invalid PEM block");
    }

    #[test]
    fn a_device_says_that_it_was_touched() {
        assert!(of_device(b"ssh:", &[1, 0, 0, 0, 9], b"x").is_some());
        assert!(of_device(b"ssh:", &[0, 0, 0, 0, 9], b"x").is_none());
        assert!(of_device(b"ssh:", &[1], b"x").is_none());
    }
}
