//! People who sign commits and tags, with GnuPG's and OpenSSH's own programs.

use std::path::PathBuf;
use std::process::{Command, Output};

use super::git::Git;
use super::parts;

/// Keys: of `ann` and `bob` by OpenPGP, of `eve` and `joe` by SSH.
#[derive(Debug)]
pub(crate) struct Signers {
    folder: tempfile::TempDir,
}

impl Signers {
    /// Makes the keys, or says that the test is skipped.
    pub(crate) fn new() -> Option<Self> {
        for (name, argument) in [("gpg", "--version"), ("ssh-keygen", "-?")] {
            if Command::new(name).arg(argument).output().is_err() {
                return parts::skip("git", &format!("no {name}"));
            }
        }
        let signers = Self { folder: tempfile::tempdir().unwrap() };
        let program = format!("#!/bin/sh\nexec gpg --homedir '{}' \"$@\"\n", signers.path("."));
        std::fs::write(signers.path("gpg"), program).unwrap();
        good(Command::new("chmod").args(["0700", &signers.path("."), &signers.path("gpg")]));
        for who in ["ann", "bob"] {
            let user = format!("{who}@example.com");
            let batch = ["--batch", "-q", "--passphrase", "", "--quick-gen-key", &user, "ed25519"];
            good(signers.gpg().args(batch).args(["sign", "never"]));
        }
        for who in ["eve", "joe"] {
            let mut command = Command::new("ssh-keygen");
            good(command.args([
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-C",
                who,
                "-f",
                &signers.path(who),
            ]));
        }
        Some(signers)
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn gpg(&self) -> Command {
        Command::new(PathBuf::from(self.path("gpg")))
    }

    /// Returns the public key of somebody, as a Secret has it.
    pub(crate) fn key(&self, who: &str) -> String {
        match who {
            "eve" | "joe" => std::fs::read_to_string(self.path(&format!("{who}.pub"))).unwrap(),
            _ => good(self.gpg().args(["--armor", "--export", who])),
        }
    }

    /// Returns by what a key is called where something is verified.
    pub(crate) fn print(&self, who: &str) -> String {
        match who {
            "eve" | "joe" => {
                let path = self.path(&format!("{who}.pub"));
                let line = good(Command::new("ssh-keygen").args(["-l", "-f", &path]));
                line.split(' ').nth(1).unwrap().to_owned()
            }
            _ => {
                let rows = good(self.gpg().args(["--with-colons", "--list-keys", who]));
                let key = rows.lines().find(|row| row.starts_with("pub:")).unwrap();
                key.split(':').nth(4).unwrap().to_owned()
            }
        }
    }

    /// Signs what is committed and tagged from now on, or lets it be.
    pub(crate) fn sign(&self, git: &Git, who: Option<&str>) {
        let set = |key: &str, value: &str| drop(git.git(&["config", key, value]));
        set("commit.gpgsign", if who.is_some() { "true" } else { "false" });
        match who {
            Some(who @ ("eve" | "joe")) => {
                set("gpg.format", "ssh");
                set("user.signingkey", &self.path(who));
            }
            Some(who) => {
                set("gpg.format", "openpgp");
                set("gpg.program", &self.path("gpg"));
                set("user.signingkey", &format!("{who}@example.com"));
            }
            None => {}
        }
    }
}

impl Drop for Signers {
    fn drop(&mut self) {
        // GnuPG leaves a process behind that holds its keys.
        let home = self.path(".");
        let _ = Command::new("gpgconf").args(["--homedir", &home, "--kill", "all"]).output();
    }
}

#[track_caller]
fn good(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}
