//! The real Helm: the judge of what Leadsman leaves in a cluster.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::parts;
use super::process::{Output, run};

/// Helm with its own home, so that no repositories or plugins of the user's are seen.
#[derive(Debug)]
pub(crate) struct Helm {
    program: PathBuf,
    home: tempfile::TempDir,
    kubeconfig: Option<PathBuf>,
}

impl Helm {
    /// Finds it, or says that the test is skipped.
    pub(crate) fn find() -> Option<Self> {
        let program = parts::helm()?;
        Some(Self { program, home: tempfile::tempdir().unwrap(), kubeconfig: None })
    }

    /// Finds Helm 3, or says that the test is skipped.
    pub(crate) fn find_three() -> Option<Self> {
        let program = parts::helm_three()?;
        Some(Self { program, home: tempfile::tempdir().unwrap(), kubeconfig: None })
    }

    /// Points it at a cluster.
    pub(crate) fn kubeconfig(mut self, file: &Path) -> Self {
        self.kubeconfig = Some(file.to_owned());
        self
    }

    /// Runs it to its end.
    pub(crate) async fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Output {
        run(self.command(arguments), Duration::from_secs(300)).await
    }

    /// Runs it and returns its standard output; panics when it fails.
    pub(crate) async fn ok<S: AsRef<OsStr>>(&self, arguments: &[S]) -> String {
        let output = self.run(arguments).await;
        let shown: Vec<_> = arguments.iter().map(|a| a.as_ref().to_string_lossy()).collect();
        assert_eq!(output.code, Some(0), "helm {}: {}", shown.join(" "), output.stderr);
        output.stdout
    }

    /// Runs it with `-o json` and returns what it printed; panics when it fails.
    pub(crate) async fn json<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Value {
        let mut all: Vec<&OsStr> = arguments.iter().map(AsRef::as_ref).collect();
        all.extend([OsStr::new("-o"), OsStr::new("json")]);
        let text = self.ok(&all).await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in:\n{text}"))
    }

    /// Returns the command, not yet started.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(&self.program);
        let home = self.home.path();
        command.args(arguments).current_dir(home);
        for (name, folder) in [
            ("HOME", "."),
            ("HELM_CACHE_HOME", "cache"),
            ("HELM_CONFIG_HOME", "config"),
            ("HELM_DATA_HOME", "data"),
        ] {
            command.env(name, home.join(folder));
        }
        let none = home.join("no-kubeconfig");
        command.env("KUBECONFIG", self.kubeconfig.as_ref().unwrap_or(&none));
        command
    }
}

/// Returns the error of a standard error stream, without the warnings before it.
pub(crate) fn error_of(stderr: &str) -> String {
    stderr.find("Error: ").map_or_else(String::new, |at| stderr[at..].trim_end().to_owned())
}
