//! Child processes: run to the end within a time, or kept and killed with the test.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What a finished process left.
#[derive(Debug)]
pub(crate) struct Output {
    /// The exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
    /// From start to end.
    pub(crate) took: Duration,
}

impl Output {
    /// Returns standard output of a process that must have succeeded.
    #[track_caller]
    pub(crate) fn success(self) -> String {
        assert_eq!(self.code, Some(0), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self.stdout
    }
}

/// Runs a command to its end; panics when it takes longer than `within`.
pub(crate) async fn run(command: Command, within: Duration) -> Output {
    let name = format!("{command:?}");
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let start = Instant::now();
    let child = command.spawn().unwrap_or_else(|error| panic!("start {name}: {error}"));
    let output = tokio::time::timeout(within, child.wait_with_output())
        .await
        .unwrap_or_else(|_| panic!("not finished within {within:?}: {name}"))
        .unwrap();
    Output {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        took: start.elapsed(),
    }
}

/// A child that is killed when this is dropped, and also when the test process dies in any other
/// way: a guard process waits for the end of a pipe that only the test process holds.
#[derive(Debug)]
pub(crate) struct Kept {
    child: Arc<Mutex<Child>>,
    guard: Child,
}

/// Kills a [`Kept`] process from anywhere, such as a proxy's callback.
#[derive(Debug, Clone)]
pub(crate) struct Killer(Arc<Mutex<Child>>);

impl Killer {
    /// Kills with SIGKILL and waits until the process is gone.
    pub(crate) fn kill(&self) {
        let mut child = self.0.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Kept {
    /// Starts the command with both outputs in a file.
    pub(crate) fn spawn(mut command: Command, output: &Path) -> Self {
        let file = std::fs::File::options().create(true).append(true).open(output).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let child = command.spawn().unwrap_or_else(|error| panic!("start {command:?}: {error}"));
        let guard = Command::new("sh")
            .args([
                "-c",
                "trap '' INT TERM HUP; cat >/dev/null; kill -9 \"$1\" 2>/dev/null",
                "guard",
            ])
            .arg(child.id().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child: Arc::new(Mutex::new(child)), guard }
    }

    /// Returns a handle that kills it.
    pub(crate) fn killer(&self) -> Killer {
        Killer(Arc::clone(&self.child))
    }

    /// Returns the process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.lock().unwrap().id()
    }

    /// Sends a signal by name, such as `INT`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.id().to_string()]).status();
        assert!(sent.unwrap().success(), "kill -s {name}");
    }

    /// Returns the exit code once it has ended by itself (`Some(None)`: by a signal).
    pub(crate) fn ended(&self) -> Option<Option<i32>> {
        self.child.lock().unwrap().try_wait().unwrap().map(|status| status.code())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.killer().kill();
        // The guard goes first: the id it knows may soon be someone else's.
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }
}
