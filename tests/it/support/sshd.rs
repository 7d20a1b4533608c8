//! An SSH server on loopback: OpenSSH's own, for one key.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::process::Kept;
use super::{parts, port};

const START: Duration = Duration::from_secs(20);

/// A running server; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Sshd {
    _process: Kept,
    port: u16,
    folder: tempfile::TempDir,
}

/// Makes a key; its password may be empty.
fn make_key(path: &Path, password: &str) -> Option<()> {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", password, "-C", "tests", "-f"]).arg(path);
    command.output().ok().filter(|output| output.status.success()).map(|_| ())
}

impl Sshd {
    /// Starts one, or says that the test is skipped.
    pub(crate) fn start() -> Option<Self> {
        Self::with("AcceptEnv GIT_PROTOCOL\n")
    }

    /// Starts one behind which Git speaks only the first version of its protocol.
    pub(crate) fn start_old() -> Option<Self> {
        Self::with("")
    }

    fn with(more: &str) -> Option<Self> {
        let program = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].map(PathBuf::from);
        let Some(program) = program.into_iter().find(|path| path.is_file()) else {
            return parts::skip("ssh", "no sshd");
        };
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let made = ["host", "user"].iter().all(|name| make_key(&at(name), "").is_some());
        if !made || make_key(&at("locked"), "open sesame").is_none() {
            return parts::skip("ssh", "no ssh-keygen");
        }
        let keys =
            ["user.pub", "locked.pub"].map(|name| std::fs::read_to_string(at(name)).unwrap());
        std::fs::write(at("authorized"), keys.concat()).unwrap();
        let port = port::hold().local_addr().unwrap().port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\n\
             UsePAM no\nPidFile none\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n\
             {more}",
            at("host").display(),
            at("authorized").display()
        );
        std::fs::write(at("config"), config).unwrap();
        // A server that root starts wants a folder of the system's, which a package makes at boot.
        let _ = std::fs::create_dir("/run/sshd");
        let mut command = Command::new(program);
        command.args(["-D", "-e", "-f"]).arg(at("config"));
        let log = at("log");
        let process = Kept::spawn(command, &log);
        let deadline = Instant::now() + START;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            if process.ended().is_some() || Instant::now() > deadline {
                return parts::skip("ssh", &format!("sshd does not start: {said}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self { _process: process, port, folder })
    }

    /// Returns the address of a repository that is at this path.
    pub(crate) fn url(&self, path: &Path) -> String {
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        let user = String::from_utf8(user).unwrap();
        format!("ssh://{}@127.0.0.1:{}{}", user.trim(), self.port, path.display())
    }

    /// Returns a private key: `user`, or `locked` whose password is `open sesame`.
    pub(crate) fn key(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// Returns the line of the server for `known_hosts`.
    pub(crate) fn known_hosts(&self) -> String {
        let key = std::fs::read_to_string(self.folder.path().join("host.pub")).unwrap();
        format!("[127.0.0.1]:{} {key}", self.port)
    }
}
