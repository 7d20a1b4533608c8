//! Leadsman and Helm side by side: the same command, each in a folder of its own, must say the
//! same and leave the same files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::parts;
use super::process::{Output, run};

const LONG: Duration = Duration::from_secs(120);

/// The two, with a folder each: working directory, Helm's configuration and cache.
#[derive(Debug)]
pub(crate) struct Pair {
    helm: PathBuf,
    theirs: tempfile::TempDir,
    ours: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

/// What both left: the code, and the two streams.
type Said = (Option<i32>, String, String);

impl Pair {
    /// Finds Helm, or says that the test is skipped.
    pub(crate) fn find() -> Option<Self> {
        let helm = parts::helm()?;
        Some(Self {
            helm,
            theirs: tempfile::tempdir().unwrap(),
            ours: tempfile::tempdir().unwrap(),
            environment: Vec::new(),
        })
    }

    /// Sets a variable for both.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes a file in both folders.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        for folder in self.folders() {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content.as_ref()).unwrap();
        }
    }

    /// Returns Helm's folder and ours.
    pub(crate) fn folders(&self) -> [&Path; 2] {
        [self.theirs.path(), self.ours.path()]
    }

    /// Runs Helm in one of the folders.
    pub(crate) async fn helm_in(&self, folder: &Path, arguments: &[&str]) -> Output {
        run(self.command(&self.helm, folder, arguments), LONG).await
    }

    /// Runs Leadsman in one of the folders.
    pub(crate) async fn leadsman_in(&self, folder: &Path, arguments: &[&str]) -> Output {
        let program = Path::new(env!("CARGO_BIN_EXE_leadsman"));
        run(self.command(program, folder, arguments), LONG).await
    }

    /// Returns both commands, Helm's first, not yet started.
    pub(crate) fn commands(&self, arguments: &[&str]) -> [Command; 2] {
        let [theirs, ours] = self.folders();
        let program = Path::new(env!("CARGO_BIN_EXE_leadsman"));
        [self.command(&self.helm, theirs, arguments), self.command(program, ours, arguments)]
    }

    /// Runs both and returns what they said, Helm first; the folders' names are replaced.
    pub(crate) async fn both(&self, arguments: &[&str]) -> [Said; 2] {
        let [theirs, ours] = self.folders();
        let helm = self.helm_in(theirs, arguments).await;
        let leadsman = self.leadsman_in(ours, arguments).await;
        [said(theirs, helm), said(ours, leadsman)]
    }

    /// Runs both, which must say the same and end alike; returns what they said on stdout.
    #[track_caller]
    pub(crate) fn same(&self, arguments: &[&str]) -> String {
        let (code, stdout, stderr) = self.same_end(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {stderr}");
        stdout
    }

    /// Runs both, which must fail with the same words; returns them.
    #[track_caller]
    pub(crate) fn same_error(&self, arguments: &[&str]) -> String {
        let (code, _, stderr) = self.same_end(arguments);
        assert_eq!(code, Some(1), "{arguments:?}");
        stderr
    }

    #[track_caller]
    fn same_end(&self, arguments: &[&str]) -> Said {
        let handle = tokio::runtime::Handle::current();
        let [helm, ours] = tokio::task::block_in_place(|| handle.block_on(self.both(arguments)));
        assert_eq!(ours, helm, "ours (left) and Helm's (right) of {arguments:?}");
        ours
    }

    fn command(&self, program: &Path, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder);
        for (name, below) in [
            ("HOME", "home"),
            ("HELM_CACHE_HOME", "helm-cache"),
            ("HELM_CONFIG_HOME", "helm-config"),
            ("HELM_DATA_HOME", "helm-data"),
            ("LEADSMAN_CACHE", "leadsman-cache"),
        ] {
            command.env(name, folder.join(below));
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Asserts that both folders hold the same files below a path, byte for byte; our own cache
    /// aside.
    #[track_caller]
    pub(crate) fn same_files(&self, below: &str) {
        let [helm, ours] = self.folders().map(|folder| tree(&folder.join(below)));
        let names = |tree: &BTreeMap<String, Vec<u8>>| tree.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&ours), names(&helm), "files below {below}: ours (left), Helm's (right)");
        for (name, content) in ours {
            let theirs = &helm[&name];
            let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            assert!(
                content == *theirs,
                "{below}/{name}: ours\n{}\nHelm's\n{}",
                shown(&content),
                shown(theirs)
            );
        }
    }
}

fn said(folder: &Path, output: Output) -> Said {
    let folder = folder.display().to_string();
    let plain = |text: String| text.replace(&folder, "FOLDER");
    // What Helm logs (slog lines with a time) is not part of what it says.
    let errors: String = plain(output.stderr)
        .lines()
        .filter(|line| !line.contains("level=") && !line.contains(" WARN "))
        .fold(String::new(), |all, line| all + line + "\n");
    (output.code, plain(output.stdout), errors)
}

fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let names = leadsman::base::file::list_tree(folder).unwrap_or_default();
    names
        .into_iter()
        .filter(|name| !name.starts_with("leadsman-cache/"))
        .map(|name| (name.clone(), std::fs::read(folder.join(name)).unwrap()))
        .collect()
}
