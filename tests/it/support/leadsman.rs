//! Our own binary, as users run it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process::{Kept, Killer, Output, run};
use super::wait::{SOON, until};

/// How to run it. Each has a folder of its own for its cache and its working directory.
#[derive(Debug)]
pub(crate) struct Leadsman {
    folder: tempfile::TempDir,
    environment: Vec<(String, PathBuf)>,
}

/// A running one; killed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    process: Kept,
    output: PathBuf,
}

impl Leadsman {
    /// Prepares one that knows no cluster.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let environment = vec![
            ("LEADSMAN_CACHE".to_owned(), folder.path().join("cache")),
            ("KUBECONFIG".to_owned(), folder.path().join("no-kubeconfig")),
            ("HOME".to_owned(), folder.path().to_owned()),
        ];
        Self { folder, environment }
    }

    /// Points it at a cluster.
    pub(crate) fn kubeconfig(self, file: &Path) -> Self {
        self.env("KUBECONFIG", file)
    }

    /// Sets a variable of its environment.
    pub(crate) fn env(mut self, name: &str, value: impl Into<PathBuf>) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Returns its working directory.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns its cache.
    pub(crate) fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// Writes a file of its working directory and returns the path.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Runs it to its end.
    pub(crate) async fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Output {
        run(self.command(arguments), Duration::from_secs(180)).await
    }

    /// Starts it and keeps it running.
    pub(crate) fn spawn<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Running {
        let output = self.folder.path().join("output.log");
        Running { process: Kept::spawn(self.command(arguments), &output), output }
    }

    /// Starts it where no file may grow beyond so many blocks: writing more fails as it does on a
    /// full disk.
    pub(crate) fn spawn_limited<S: AsRef<OsStr>>(&self, blocks: u32, arguments: &[S]) -> Running {
        let inner = self.command(arguments);
        let mut command = Command::new("sh");
        // An ignored signal stays ignored: writing then fails instead of ending the process.
        let script = "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"";
        command.args(["-c", script, "sh", &blocks.to_string()]).arg(inner.get_program());
        command.args(inner.get_args()).current_dir(self.folder.path());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let output = self.folder.path().join("output.log");
        Running { process: Kept::spawn(command, &output), output }
    }

    /// Returns the command, not yet started.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leadsman"));
        command.args(arguments).current_dir(self.folder.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"] {
            command.env_remove(name);
        }
        command
    }
}

/// Serves a simulated cluster; its kubeconfig is `kubeconfig` in the folder of the first.
pub(crate) async fn simulated() -> (Leadsman, Running) {
    let server = Leadsman::new();
    let running = server.spawn(&["sim", "--kubeconfig-out", "kubeconfig"]);
    running.line(SOON, |line| line.contains("the simulated cluster listens")).await;
    (server, running)
}

impl Running {
    /// Returns what it has printed so far (of all runs in the same folder), both streams.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// Waits until a printed line satisfies the predicate, and returns it.
    pub(crate) async fn line(&self, within: Duration, is_it: impl Fn(&str) -> bool) -> String {
        until("a line of leadsman's output", within, async || {
            let output = self.output();
            let found = output.lines().find(|line| is_it(line)).map(str::to_owned);
            match (found, self.process.ended()) {
                (Some(line), _) => Ok(line),
                (None, Some(code)) => panic!("leadsman ended with {code:?}:\n{output}"),
                (None, None) => Err(format!("no such line in:\n{output}")),
            }
        })
        .await
    }

    /// Waits for its end and returns the exit code.
    pub(crate) async fn end(&self, within: Duration) -> Option<i32> {
        until("the end of leadsman", within, async || {
            self.process.ended().ok_or_else(|| format!("still running:\n{}", self.output()))
        })
        .await
    }

    /// Returns a handle that kills it (SIGKILL), for [`super::proxy::Proxy::at`].
    pub(crate) fn killer(&self) -> Killer {
        self.process.killer()
    }

    /// Asks it to stop, as Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        self.process.signal("INT");
    }

    /// Returns the resident memory now, in bytes (Linux).
    pub(crate) fn memory_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let text = status.unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
            * 1024
    }
}
