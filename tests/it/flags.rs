//! Every flag that Helm offers is accepted, or is a known difference.

use std::collections::BTreeSet;

use crate::support::helm::Helm;
use crate::support::leadsman::Leadsman;
use crate::support::root;

const COMMANDS: &[&str] = &[
    "template",
    "lint",
    "show all",
    "show chart",
    "show crds",
    "show readme",
    "show values",
    "package",
    "dependency list",
    "dependency update",
    "dependency build",
    "pull",
    "search repo",
    "repo add",
    "repo list",
    "repo update",
    "repo remove",
    "repo index",
    "verify",
    "get all",
    "get hooks",
    "get manifest",
    "get metadata",
    "get notes",
    "get values",
    "history",
    "install",
    "list",
    "rollback",
    "status",
    "test",
    "uninstall",
    "upgrade",
];

/// Returns the flags of a help text, and whether each takes a value.
fn flags(help: &str) -> BTreeSet<(String, bool)> {
    let line = |line: &str| {
        // Text may begin with a flag, too.
        let line = line.strip_prefix("  ")?.trim_start();
        let long = line.split_whitespace().find(|word| word.starts_with("--"))?;
        let name = long.trim_end_matches(',').split('[').next()?.to_owned();
        let behind = line.split_once(long)?.1;
        // A word close behind a flag is the kind of its value; the text stands farther away.
        let has_value = behind.starts_with(' ') && !behind.starts_with("  ");
        (line.starts_with('-')).then_some((name, has_value))
    };
    help.lines().filter_map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_flag_of_helm_is_accepted_or_a_known_difference() {
    let Some(helm) = Helm::find() else { return };
    let ours = Leadsman::new();
    let known = std::fs::read_to_string(root().join("docs/compat.md")).unwrap();
    let (mut failures, mut seen) = (Vec::new(), 0);
    for command in COMMANDS {
        let words: Vec<&str> = command.split(' ').collect();
        let help = helm.ok(&[&words[..], &["--help"]].concat()).await;
        for (flag, has_value) in flags(&help) {
            // `--help` ends the command.
            if flag == "--help" {
                continue;
            }
            seen += 1;
            let value = match flag.as_str() {
                "--output" => "json",
                "--timeout" => "1m",
                "--burst-limit" | "--qps" | "--max-col-width" | "--revision" | "--max"
                | "--offset" | "--history-max" => "1",
                "--color" | "--colour" => "never",
                "--labels" => "a=b",
                "--wait" => "watcher",
                _ => "x",
            };
            let typed = if has_value { format!("{flag}={value}") } else { flag.clone() };
            let said = ours.run(&[&words[..], &[&typed, "--no-such-flag"]].concat()).await.stderr;
            // The first flag that is not known is the one that is told.
            let accepted = said.contains("--no-such-flag");
            let is_told =
                known.contains(&format!("`{flag}`")) || known.contains(&format!(" {flag}`"));
            if !accepted && !is_told {
                failures.push(format!("{command} {typed}: {}", said.lines().next().unwrap_or("")));
            }
        }
    }
    assert!(seen > 300, "only {seen} flags were found");
    assert!(failures.is_empty(), "{} are unknown:\n{}", failures.len(), failures.join("\n"));
}
