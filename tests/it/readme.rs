//! Every command of the README and of `docs/` is run, in order, as a reader would.

use std::path::{Path, PathBuf};

use crate::support::leadsman::{Leadsman, Running};
use crate::support::pack::Package;
use crate::support::process::run;
use crate::support::repository::Repository;
use crate::support::root;
use crate::support::wait::{SOON, until};

/// Commands that build or test the whole package: `.ci/run` runs them, line by line the same.
const OF_CI: &[&str] = &["cargo test", "cargo run --release -- demo", "tests/parts/build"];

/// Returns the lines of a text's `console` blocks.
fn commands(text: &str) -> Vec<&str> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            line if inside && !line.is_empty() => found.push(line),
            _ => {}
        }
    }
    found
}

/// Splits a command at blanks outside of double quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            letter => words.last_mut().unwrap().push(letter),
        }
    }
    words
}

fn stack(version: &str) -> Package {
    let metadata = format!("apiVersion: v2\nname: kube-prometheus-stack\nversion: {version}\n");
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: stack}\ndata: {version: {{ .Chart.Version | quote }}}\n";
    Package::files([
        ("Chart.yaml", metadata.as_str()),
        ("values.yaml", "grafana: {enabled: true}\n"),
        ("templates/config.yaml", template),
    ])
}

/// A reader with terminals, a folder, and a network that has the chart repository.
struct Reader {
    leadsman: Leadsman,
    running: Vec<Running>,
    // Lives as long as the reader does.
    _repository: Repository,
}

impl Reader {
    fn new() -> Self {
        let repository = Repository::start();
        repository.publish_package(stack("61.3.2"));
        repository.publish_package(stack("61.9.0"));
        let mirror =
            format!("https://prometheus-community.github.io/helm-charts={}", repository.url());
        let leadsman = Leadsman::new().env("LEADSMAN_MIRROR", mirror);
        std::os::unix::fs::symlink(root().join("fixtures"), leadsman.folder().join("fixtures"))
            .unwrap();
        Self { leadsman, running: Vec::new(), _repository: repository }
    }

    async fn perform(&mut self, line: &str) {
        if OF_CI.contains(&line) || line.starts_with("cargo install") {
            let ci = std::fs::read_to_string(root().join(".ci/run")).unwrap();
            assert!(ci.contains(line), "{line}: neither run here nor by .ci/run");
            return;
        }
        let words = words(line);
        let arguments = &words[1..];
        match words[0].as_str() {
            "export" => {
                let (name, value) = words[1].split_once('=').unwrap();
                let value = value.replace("$PWD", &self.leadsman.folder().to_string_lossy());
                let old = std::mem::replace(&mut self.leadsman, Leadsman::new());
                self.leadsman = old.env(name, value);
            }
            "leadsman" if arguments[0] == "sim" => {
                self.start(arguments);
                let file = self.leadsman.folder().join(&arguments[2]);
                until(line, SOON, async || file.is_file()).await;
            }
            "leadsman" if arguments[0] == "run" && !words.contains(&"--once".to_owned()) => {
                let running = self.start(arguments);
                running.line(SOON, |line| line.contains("InstallSucceeded")).await;
            }
            "leadsman" => {
                let output = self.leadsman.run(arguments).await;
                // Those say by their code that something differs.
                let differs = ["plan", "diff"].contains(&arguments[0].as_str());
                let good = output.code == Some(0) || differs && output.code == Some(3);
                assert!(good, "{line}\n{}\n{}", output.stdout, output.stderr);
                assert!(!(output.stdout + &output.stderr).is_empty(), "{line}: says nothing");
            }
            "kubectl" => {
                let Some(program) = on_path("kubectl") else {
                    let _: Option<()> = crate::support::parts::skip("kubectl", line);
                    return;
                };
                let mut command = self.leadsman.command(arguments);
                let mut kubectl = std::process::Command::new(program);
                kubectl.args(arguments).current_dir(self.leadsman.folder());
                for (name, value) in command.get_envs() {
                    if let Some(value) = value {
                        kubectl.env(name, value);
                    }
                }
                command = kubectl;
                run(command, SOON).await.success();
            }
            _ => panic!("{line}: nobody here knows how to run it"),
        }
    }

    fn start(&mut self, arguments: &[String]) -> &Running {
        self.running.push(self.leadsman.spawn(arguments));
        self.running.last().unwrap()
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_works_as_written() {
    let mut files = vec![root().join("README.md")];
    let docs = std::fs::read_dir(root().join("docs")).unwrap();
    files.extend(docs.map(|entry| entry.unwrap().path()));
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let commands = commands(&text);
        if name(&file) == "README.md" {
            assert!(commands.len() > 15, "{commands:?}");
        }
        let mut reader = Reader::new();
        for line in commands {
            reader.perform(line).await;
        }
    }
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
