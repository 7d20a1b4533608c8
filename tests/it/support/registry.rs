//! A registry of other people's making on loopback: that of the Distribution project.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::process::Kept;
use super::serve::Identity;
use super::{parts, port};

const START: Duration = Duration::from_secs(60);

/// A running registry; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Registry {
    _process: Kept,
    address: String,
    authority: Option<String>,
    _folder: tempfile::TempDir,
}

/// Who may use it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Auth<'a> {
    /// Everybody.
    Open,
    /// Who has this name and password.
    Password(&'a str, &'a str),
    /// Who has a token of this service, whose certificate is in this file.
    Token(&'a str, &'a Path),
}

impl Registry {
    /// Starts one without TLS for everybody, or says that the test is skipped.
    pub(crate) fn start() -> Option<Self> {
        Self::with(Auth::Open, None)
    }

    /// Starts one without TLS.
    pub(crate) fn guarded(auth: Auth<'_>) -> Option<Self> {
        Self::with(auth, None)
    }

    /// Starts one with TLS; [`Self::authority`] has the certificate to trust.
    pub(crate) fn start_tls() -> Option<Self> {
        Self::with(Auth::Open, Some(Identity::new()))
    }

    fn with(auth: Auth<'_>, identity: Option<Identity>) -> Option<Self> {
        let program = parts::registry()?;
        let folder = tempfile::tempdir().unwrap();
        let address = port::hold().local_addr().unwrap().to_string();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let mut config = format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n  \
             delete: {{enabled: true}}\nhttp:\n  addr: {address}\n",
            at("data")
        );
        if let Some(identity) = &identity {
            std::fs::write(at("tls.crt"), &identity.certificate).unwrap();
            std::fs::write(at("tls.key"), &identity.key).unwrap();
            config +=
                &format!("  tls: {{certificate: {}, key: {}}}\n", at("tls.crt"), at("tls.key"));
        }
        match auth {
            Auth::Open => {}
            Auth::Password(user, password) => {
                let hash = bcrypt::hash(password, 4).unwrap();
                std::fs::write(at("htpasswd"), format!("{user}:{hash}\n")).unwrap();
                config +=
                    &format!("auth:\n  htpasswd: {{realm: tests, path: {}}}\n", at("htpasswd"));
            }
            Auth::Token(realm, certificate) => {
                config += &format!(
                    "auth:\n  token:\n    realm: {realm}\n    service: tests\n    issuer: tests\n    \
                     rootcertbundle: {}\n",
                    certificate.display()
                );
            }
        }
        std::fs::write(at("config.yml"), config).unwrap();
        let mut command = Command::new(program);
        command.args(["serve", &at("config.yml")]);
        let log = folder.path().join("log");
        let process = Kept::spawn(command, &log);
        let deadline = Instant::now() + START;
        while TcpStream::connect(&address).is_err() {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            assert!(process.ended().is_none(), "the registry ended: {said}");
            assert!(Instant::now() < deadline, "the registry does not start: {said}");
            std::thread::sleep(Duration::from_millis(20));
        }
        let authority = identity.map(|identity| identity.authority);
        Some(Self { _process: process, address, authority, _folder: folder })
    }

    /// Returns its host and port.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Returns the address of a repository, such as `oci://127.0.0.1:4711/charts`.
    pub(crate) fn oci(&self, path: &str) -> String {
        format!("oci://{}/{path}", self.address)
    }

    /// Returns the certificate of the authority in PEM, with TLS.
    pub(crate) fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }
}
