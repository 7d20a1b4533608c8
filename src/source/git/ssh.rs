//! Git servers over SSH, by the system's `ssh`.
//!
//! It reads no configuration, asks no agent and no person, and knows no host but those that the
//! repository's Secret names; a key lies in a folder of its own for as long as one conversation.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::packet::{self, FLUSH, Packet};
use super::receive::Receiver;
use super::refs::{self, Manner, Ref};
use crate::base::file;
use crate::base::secret::{SafeUrl, Secret};

/// As much of what `ssh` says is kept.
const SAID_BYTES: u64 = 8 << 10;
/// User where the address names none.
const USER: &str = "git";

/// How a server knows us, and we it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Key {
    /// Our private key.
    pub identity: Secret<String>,
    /// Its password; may be empty.
    pub password: Secret<String>,
    /// Keys of servers, as in the file `known_hosts`.
    pub known_hosts: String,
}

/// A conversation with a server.
pub(super) struct Conversation {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: ChildStderr,
    _folder: TempDir,
    /// What came and was not used yet.
    rest: Vec<u8>,
    limit_bytes: u64,
}

type Result<T> = std::result::Result<T, String>;

impl Conversation {
    /// Connects; the server's greeting is returned as well.
    pub(super) async fn open(
        url: &SafeUrl,
        key: &Key,
        limit_bytes: u64,
    ) -> Result<(Self, Manner, Vec<Ref>)> {
        let folder = tempfile::Builder::new().prefix("leadsman-ssh-").tempdir();
        let folder =
            folder.map_err(|error| format!("no folder can be made for the key: {error}"))?;
        let mut command = command(url, folder.path())?;
        prepare(key, folder.path()).map_err(|error| crate::base::class::chain(&error))?;
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut child = child.map_err(|error| {
            format!("the program `ssh` cannot be started ({error}): install OpenSSH's client")
        })?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
            return Err("the program `ssh` has no streams".to_owned());
        };
        let rest = Vec::new();
        let mut conversation =
            Self { child, stdin, stdout, stderr, _folder: folder, rest, limit_bytes };
        let greeting = conversation.message().await?;
        let (manner, refs) = refs::greeting(&greeting)?;
        Ok((conversation, manner, refs))
    }

    /// Says something.
    pub(super) async fn say(&mut self, bytes: &[u8]) -> Result<()> {
        let said = async {
            self.stdin.write_all(bytes).await?;
            self.stdin.flush().await
        };
        match said.await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.ended(&error.to_string()).await),
        }
    }

    /// Hears packets until one ends a message.
    pub(super) async fn message(&mut self) -> Result<Vec<u8>> {
        let mut whole = 0;
        loop {
            let mut rest = &self.rest[whole..];
            while let Some(packet) = packet::take(&mut rest)? {
                whole = self.rest.len() - rest.len();
                if packet == Packet::Flush {
                    let after = self.rest.split_off(whole);
                    return Ok(std::mem::replace(&mut self.rest, after));
                }
            }
            if self.rest.len() as u64 > self.limit_bytes {
                return Err(format!("it says more than {} bytes", self.limit_bytes));
            }
            let mut part = Vec::with_capacity(16 << 10);
            match self.stdout.read_buf(&mut part).await {
                Ok(0) => return Err(self.ended("the server said nothing more").await),
                Ok(_) => self.rest.extend_from_slice(&part),
                Err(error) => return Err(self.ended(&error.to_string()).await),
            }
        }
    }

    /// Hears a pack. What is wrong with it, the receiver knows.
    pub(super) async fn hear(&mut self, into: &mut Receiver) -> Result<()> {
        let mut part = std::mem::take(&mut self.rest);
        loop {
            if into.write_all(&part).is_err() || into.is_done() {
                return Ok(());
            }
            part.clear();
            match self.stdout.read_buf(&mut part).await {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(self.ended(&error.to_string()).await),
            }
        }
    }

    /// Ends in the server's manner.
    pub(super) async fn end(mut self) {
        let _ = self.say(FLUSH).await;
        drop(self.stdin);
        let _ = self.child.wait().await;
    }

    /// What `ssh` says of a connection that ended.
    async fn ended(&mut self, otherwise: &str) -> String {
        let mut said = Vec::new();
        let _ = (&mut self.stderr).take(SAID_BYTES).read_to_end(&mut said).await;
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> =
            said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let reason = if lines.is_empty() { otherwise.to_owned() } else { lines.join("; ") };
        let hint = if reason.contains("Host key verification failed") {
            ": put its key into `known_hosts` of the Secret"
        } else if reason.contains("Permission denied") {
            ": check `identity` of the Secret"
        } else {
            ""
        };
        format!("{reason}{hint}")
    }
}

/// Returns the call of `ssh`.
fn command(url: &SafeUrl, folder: &Path) -> Result<Command> {
    let url = url.expose();
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    if host.is_empty() || host.starts_with('-') {
        return Err("the address has no host".to_owned());
    }
    let path = decoded(url.path());
    // As in `ssh://host/~user/repository`.
    let path = path.strip_prefix('/').filter(|path| path.starts_with('~')).unwrap_or(&path);
    let user = if url.username().is_empty() { USER.to_owned() } else { decoded(url.username()) };
    let mut command = Command::new("ssh");
    command.args(["-F", "none", "-T", "-l", &user, "-p", &url.port().unwrap_or(22).to_string()]);
    let file = |name: &str| folder.join(name).display().to_string();
    let options = [
        "StrictHostKeyChecking=yes".to_owned(),
        format!("UserKnownHostsFile={}", file("known_hosts")),
        "GlobalKnownHostsFile=/dev/null".to_owned(),
        format!("IdentityFile={}", file("identity")),
        "IdentitiesOnly=yes".to_owned(),
        "IdentityAgent=none".to_owned(),
        "PreferredAuthentications=publickey".to_owned(),
        "UpdateHostKeys=no".to_owned(),
        "ForwardAgent=no".to_owned(),
        "ClearAllForwardings=yes".to_owned(),
        "SendEnv=GIT_PROTOCOL".to_owned(),
        "LogLevel=ERROR".to_owned(),
    ];
    options.iter().for_each(|option| {
        command.args(["-o", option]);
    });
    command.args(["--", host, &format!("git-upload-pack {}", quoted(path))]);
    command.env("GIT_PROTOCOL", "version=2").env_remove("SSH_AUTH_SOCK").env_remove("DISPLAY");
    // The only question that is left is that for the password of the key.
    command.env("SSH_ASKPASS", folder.join("askpass")).env("SSH_ASKPASS_REQUIRE", "force");
    Ok(command)
}

/// Writes what `ssh` needs, for its owner alone.
fn prepare(key: &Key, folder: &Path) -> std::result::Result<(), file::Error> {
    let ended = |text: &str| format!("{}\n", text.trim_end());
    file::write_private(&folder.join("identity"), ended(key.identity.expose()).as_bytes())?;
    file::write_private(&folder.join("known_hosts"), ended(&key.known_hosts).as_bytes())?;
    file::write_private(&folder.join("password"), ended(key.password.expose()).as_bytes())?;
    let askpass = folder.join("askpass");
    file::write_private(&askpass, b"#!/bin/sh\nexec cat \"${0%/*}/password\"\n")?;
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&askpass, mode).map_err(file::failed("write", &askpass))?;
    }
    Ok(())
}

/// Returns a text for the shell on the other side.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn decoded(text: &str) -> String {
    let pair = format!("={}", text.replace('+', "%2B").replace('&', "%26"));
    let mut pairs = url::form_urlencoded::parse(pair.as_bytes());
    pairs.next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_becomes_a_call() {
        let rows = [
            ("ssh://g.example/a/b.git", ["git", "22", "g.example", "git-upload-pack '/a/b.git'"]),
            ("ssh://me@g.example:2222/a", ["me", "2222", "g.example", "git-upload-pack '/a'"]),
            ("ssh://g.example/~me/a", ["git", "22", "g.example", "git-upload-pack '~me/a'"]),
            ("ssh://g.example/it's;x", ["git", "22", "g.example", "git-upload-pack '/it'\\''s;x'"]),
            ("ssh://g.example/a%20b+c", ["git", "22", "g.example", "git-upload-pack '/a b+c'"]),
        ];
        for (url, [user, port, host, call]) in rows {
            let command = command(&url.parse().unwrap(), Path::new("/tmp/x")).unwrap();
            let arguments: Vec<_> =
                command.as_std().get_args().map(|one| one.to_string_lossy().into_owned()).collect();
            assert_eq!(arguments[3..7], ["-l", user, "-p", port], "{url}");
            assert_eq!(arguments[arguments.len() - 3..], ["--", host, call], "{url}");
        }
        assert!(command(&"ssh://-oProxyCommand=x/a".parse().unwrap(), Path::new("/tmp")).is_err());
    }
}
