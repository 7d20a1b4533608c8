//! Whether somebody who may signed a commit, or the tag that is of it: reads whom `spec.verify`
//! means from its Secret.
//!
//! Source: fluxcd/source-controller internal/controller/gitrepository_controller.go
//! (`verifySignature`), fluxcd/pkg git/{git,signature}.

use std::collections::BTreeMap;

use super::access;
use super::context::Context;
use super::settled::Failure;
use crate::api::condition::SOURCE_VERIFIED;
use crate::api::{GitRepository, VerificationMode};
use crate::base::class::Class;
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::chart::Keyring;
use crate::chart::detached;
use crate::repo::{Judge, Unsigned};
use crate::source::git::{Checkout, Form, Id, Signed, SshKey, SshSignature, Tag};

/// Reason where no signature could be looked at.
const UNVERIFIED: &str = "VerificationError";
/// Reason where there is no tag whose signature could be.
pub(super) const NO_TAG: &str = "InvalidVerificationMode";
/// How the name of an entry of the Secret ends that has keys of SSH; all others have OpenPGP's.
const SSH: &str = ".sshpub";
const PGP: &str = ".asc";

/// Who may sign, and what.
#[derive(Debug)]
pub(super) struct Signers {
    pub(super) mode: VerificationMode,
    keys: Keys,
    trust: Digest,
    now: Timestamp,
}

/// Keys of a Secret, entry by entry; of one that cannot be read, why.
#[derive(Debug, Default)]
struct Keys {
    pgp: Vec<Result<Keyring, String>>,
    ssh: Vec<Result<Vec<SshKey>, String>>,
}

/// Returns who may sign; none: nobody needs to.
///
/// # Errors
/// There is no such Secret.
pub(super) async fn of(
    context: &Context,
    repository: &GitRepository,
) -> Result<Option<Signers>, Failure> {
    let Some(verify) = &repository.spec.verify else { return Ok(None) };
    let unverified =
        |reason, message, class| Failure { kind: SOURCE_VERIFIED, reason, message, class };
    let Some(mode) = VerificationMode::of(&verify.mode) else {
        let text =
            format!("verification mode '{}' is none: use HEAD, Tag or TagAndHEAD", verify.mode);
        return Err(unverified(NO_TAG, text, Class::Stalled));
    };
    let (namespace, name) = (&repository.metadata.namespace, &verify.secret_ref.name);
    let data = access::secret(&context.cluster, namespace, name).await;
    let data = data.map_err(|(_, text, class)| {
        unverified(UNVERIFIED, format!("public keys secret error: {text}"), class)
    })?;
    Ok(Some(Signers::new(mode, &data, context.clock.now())))
}

impl Signers {
    fn new(mode: VerificationMode, data: &BTreeMap<String, String>, now: Timestamp) -> Self {
        let mut keys = Keys::default();
        for (name, text) in data {
            if name.ends_with(SSH) {
                let read = SshKey::read(text);
                keys.ssh
                    .push(read.map_err(|why| format!("unable to parse authorized keys: {why}")));
            } else {
                let read = Keyring::read(text.as_bytes());
                keys.pgp
                    .push(read.map_err(|why| format!("unable to read armored key ring: {why}")));
            }
        }
        let trust = Digest::of(format!("{mode:?} {data:?}"));
        Self { mode, keys, trust, now }
    }

    /// Returns which key signed an object, `what` in Flux's words.
    fn signer(&self, object: &Signed, what: &str) -> Result<String, String> {
        match object.form() {
            Form::OpenPgp if self.keys.pgp.is_empty() => Err(format!(
                "PGP signature detected but no PGP public keys found in secret (keys with {PGP} suffix)"
            )),
            Form::OpenPgp => {
                self.by_pgp(object).map_err(|why| format!("unable to verify Git {what}: {why}"))
            }
            Form::Ssh if self.keys.ssh.is_empty() => Err(format!(
                "SSH signature detected but no SSH public keys found in secret (keys with {SSH} suffix)"
            )),
            Form::Ssh => self
                .by_ssh(object)
                .map_err(|why| format!("unable to verify Git {what} SSH signature: {why}")),
            Form::None => Err("unsupported signature type: empty".to_owned()),
            Form::Other(kind) => Err(format!("unsupported signature type: {kind}")),
        }
    }

    fn by_pgp(&self, object: &Signed) -> Result<String, String> {
        let mut why = String::new();
        for keyring in self.keys.pgp.iter().flatten() {
            match detached::verify(&object.payload, &object.signature, keyring, self.now) {
                Ok(key) => return Ok(key),
                Err(error) if error.to_string() == detached::UNKNOWN => {}
                Err(error) => why = format!(": {error}"),
            }
        }
        let none = "unable to verify payload with any of the given key rings: no matching key";
        Err(unread(&self.keys.pgp).unwrap_or_else(|| format!("{none}{why}")))
    }

    fn by_ssh(&self, object: &Signed) -> Result<String, String> {
        let signature = SshSignature::read(&object.signature)
            .map_err(|why| format!("unable to unarmor SSH signature: {why}"))?;
        let mut whys: Vec<String> = Vec::new();
        for key in self.keys.ssh.iter().flatten().flatten() {
            match key.verify(&signature, &object.payload) {
                Ok(()) => return Ok(key.to_string()),
                Err(why) if whys.contains(&why) => {}
                Err(why) => whys.push(why),
            }
        }
        let none =
            "unable to verify payload with any of the given authorized keys: no matching key";
        let all: Vec<&str> = std::iter::once(none).chain(whys.iter().map(String::as_str)).collect();
        Err(unread(&self.keys.ssh).unwrap_or_else(|| all.join("\n")))
    }

    /// Verifies what the mode asks for, and says it as Flux does.
    fn verify(&self, tag: Option<&Tag>, (id, commit): (Id, &Signed)) -> Result<String, Unsigned> {
        let fail = |reason, message| Unsigned { reason, message };
        let mut rows = Vec::new();
        if self.mode.is_of_tag() {
            let (name, object) = match tag {
                None => {
                    let text =
                        "cannot verify tag object's signature if a tag reference is not specified";
                    return Err(fail(NO_TAG, text.to_owned()));
                }
                Some(Tag::Light(name)) => (name.clone(), None),
                Some(Tag::Annotated { name, id, object }) => (format!("{name}@{id}"), Some(object)),
            };
            let signed = object.filter(|object| object.form() != Form::None).ok_or_else(|| {
                let text =
                    format!("cannot verify signature of tag '{name}' since it is not signed");
                fail("InvalidGitObject", text)
            })?;
            let key = self.signer(signed, "tag").map_err(|why| {
                let text = format!("signature verification of tag '{name}' failed: {why}");
                fail("InvalidTagSignature", text)
            })?;
            rows.push(format!("tag '{name}' with key '{key}'"));
        }
        if self.mode.is_of_commit() {
            let key = self.signer(commit, "commit").map_err(|why| {
                let text = format!("signature verification of commit '{id}' failed: {why}");
                fail("InvalidCommitSignature", text)
            })?;
            rows.push(format!("commit '{id}' with key '{key}'"));
        }
        Ok(format!("verified signature of\n\t- {}", rows.join("\n\t- ")))
    }
}

/// Why no entry could be read; none: one could.
fn unread<T>(entries: &[Result<T, String>]) -> Option<String> {
    let first = entries.iter().find_map(|entry| entry.as_ref().err());
    first.filter(|_| entries.iter().all(Result::is_err)).cloned()
}

impl Judge for Signers {
    fn trust(&self) -> Digest {
        self.trust
    }

    fn judge(&self, checkout: &mut Checkout) -> Result<String, Unsigned> {
        let id = checkout.id();
        let tag = if self.mode.is_of_tag() { checkout.tag() } else { Ok(None) };
        let tag = tag.map_err(|message| Unsigned { reason: "InvalidTagSignature", message })?;
        let commit = checkout.signed_commit();
        let commit = commit.map_err(|why| Unsigned {
            reason: "InvalidCommitSignature",
            message: format!("signature verification of commit '{id}' failed: {why}"),
        })?;
        self.verify(tag.as_ref(), (id, &commit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signers(mode: &str, data: &[(&str, &str)]) -> Signers {
        let data = data.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        Signers::new(VerificationMode::of(mode).unwrap(), &data.collect(), now)
    }

    fn signed(signature: &str) -> Signed {
        Signed { payload: b"text".to_vec(), signature: signature.to_owned() }
    }

    const PGP_SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----\n\nx";
    const SSH_SIGNATURE: &str = "-----BEGIN SSH SIGNATURE-----\nx\n-----END SSH SIGNATURE-----";

    fn id() -> Id {
        "1".repeat(40).parse().unwrap()
    }

    #[test]
    fn commits_are_refused_in_the_words_of_flux() {
        let empty = "unsupported signature type: empty";
        let x509 = "-----BEGIN SIGNED MESSAGE-----";
        let no_pgp =
            "PGP signature detected but no PGP public keys found in secret (keys with .asc suffix)";
        let no_ssh = "SSH signature detected but no SSH public keys found in secret (keys with .sshpub suffix)";
        let unread = "unable to verify Git commit: unable to read armored key ring: openpgp: ";
        let unarmored = "unable to verify Git commit SSH signature: unable to unarmor SSH signature: invalid PEM block";
        let rows: [(&str, &str, (&str, &str), &str); 6] = [
            ("HEAD", "", ("a.asc", ""), empty),
            ("HEAD", x509, ("a.asc", ""), "unsupported signature type: x509"),
            ("", PGP_SIGNATURE, ("a.sshpub", ""), no_pgp),
            ("head", SSH_SIGNATURE, ("a.asc", ""), no_ssh),
            ("HEAD", PGP_SIGNATURE, ("a", "no key"), unread),
            ("HEAD", SSH_SIGNATURE, ("a.sshpub", "no key"), unarmored),
        ];
        for (mode, signature, entry, why) in rows {
            let refused = signers(mode, &[entry]).verify(None, (id(), &signed(signature)));
            let refused = refused.unwrap_err();
            let want = format!("signature verification of commit '{}' failed: {why}", id());
            assert_eq!(refused.reason, "InvalidCommitSignature");
            assert!(refused.message.starts_with(&want), "{mode} {signature}: {refused}");
        }
    }

    #[test]
    fn tags_are_refused_in_the_words_of_flux() {
        let light = Tag::Light("v1".to_owned());
        let bare = Tag::Annotated { name: "v1".to_owned(), id: id(), object: signed("") };
        let not_signed =
            |name: &str| format!("cannot verify signature of tag '{name}' since it is not signed");
        let none = "cannot verify tag object's signature if a tag reference is not specified";
        let rows = [
            ("Tag", None, NO_TAG, none.to_owned()),
            ("Tag", Some(&light), "InvalidGitObject", not_signed("v1")),
            ("TagAndHEAD", Some(&bare), "InvalidGitObject", not_signed(&format!("v1@{}", id()))),
        ];
        for (mode, tag, reason, want) in rows {
            let refused = signers(mode, &[]).verify(tag, (id(), &signed(PGP_SIGNATURE)));
            let refused = refused.unwrap_err();
            assert_eq!((refused.reason, refused.message), (reason, want), "{mode}");
        }
    }

    #[test]
    fn one_entry_that_can_be_read_is_enough() {
        let key =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJXjmYcA1Zb0qS2nBzXZQ5xq8T3j4J7g5o4Zt7k7x1cD ann";
        let two = signers("HEAD", &[("a.sshpub", "no key"), ("b.sshpub", key)]);
        assert_eq!(unread(&two.keys.ssh), None);
        let one = signers("HEAD", &[("a.sshpub", "no key")]);
        assert!(unread(&one.keys.ssh).unwrap().contains("ssh: no key found"));
        assert_ne!(one.trust, two.trust);
    }
}
