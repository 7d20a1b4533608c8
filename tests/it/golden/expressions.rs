//! Templates, one at a time: `tests/golden/expressions/*.txt`, whose README says what the lines are.

use std::path::PathBuf;

use leadsman::yaml::Value;
use serde_json::json;

use super::{is_blessing, lines, report, stem, texts};
use crate::judge::ask::{self, Said};
use crate::support::single::Single;
use crate::support::{parts, root};

const CHART: &str = include_str!("../../golden/expressions/Chart.yaml");
const VALUES: &str = include_str!("../../golden/expressions/values.yaml");
/// The file of the rows that differ, each for a reason of `docs/compat.md`.
const KNOWN: &str = "known-differences";
const KUBE: &str = "v1.34.2";
/// What `.Files` holds.
const FILES: &[(&str, &str)] = &[
    ("README.md", "# vec\n"),
    ("conf/a.yaml", "a: 1\n"),
    ("conf/b.json", "{\"b\": 2}"),
    ("conf/deep/c.txt", "c1\nc2"),
    ("empty.txt", ""),
    ("files/a.txt", "alpha\n"),
    ("files/b.txt", "l1\nl2"),
];

fn folder() -> PathBuf {
    root().join("tests/golden/expressions")
}

/// A line, or some that belong together.
enum Part {
    /// Kept as it is.
    Other(String),
    Template(String),
    Answer(Said),
}

/// Adds a line to the text before it, which ends in the middle of one.
fn read(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    for line in text.lines() {
        let content = |rest: &str| match rest.strip_prefix('"') {
            Some(_) => serde_json::from_str(rest).unwrap_or_else(|e| panic!("{line}: {e}")),
            None => rest.strip_prefix(' ').unwrap_or(rest).to_owned(),
        };
        let part = match line.split_at_checked(1) {
            Some((">", rest)) => Part::Template(content(rest)),
            Some(("=", rest)) => Part::Answer(Ok(content(rest))),
            Some(("!", rest)) => Part::Answer(Err(content(rest))),
            Some(("|", rest)) => {
                let Some(Part::Template(before) | Part::Answer(Ok(before) | Err(before))) =
                    parts.last_mut()
                else {
                    panic!("nothing goes on: {line}")
                };
                before.push('\n');
                before.push_str(rest.strip_prefix(' ').unwrap_or(rest));
                continue;
            }
            _ => Part::Other(line.to_owned()),
        };
        parts.push(part);
    }
    parts
}

fn templates(parts: &[Part]) -> Vec<&str> {
    let mut found = Vec::new();
    for part in parts {
        if let Part::Template(text) = part {
            found.push(text.as_str());
        }
    }
    found
}

/// Each template with its answer.
fn rows(parts: &[Part]) -> Vec<(&str, &Said)> {
    let mut rows = Vec::new();
    for pair in parts.windows(2) {
        if let [Part::Template(text), Part::Answer(said)] = pair {
            rows.push((text.as_str(), said));
        }
    }
    rows
}

fn asked(template: &str) -> Value {
    let mut files = json!({"Chart.yaml": CHART, "templates/out.yaml": template});
    for (name, text) in FILES {
        files[name] = json!(text);
    }
    json!({"files": files, "valuesText": VALUES, "kube": KUBE})
}

fn rendered(template: &str) -> Said {
    let file = |name: &str, text: &str| leadsman::chart::File {
        name: name.to_owned(),
        data: bytes::Bytes::from(text.to_owned()).into(),
    };
    let loaded = leadsman::chart::load_files(vec![file("Chart.yaml", CHART)]).unwrap();
    let user = leadsman::chart::parse_values(VALUES.as_bytes()).unwrap();
    let (values, _) = leadsman::chart::coalesce(&loaded, &user).unwrap();
    let chart = json!({
        "APIVersion": "v2", "Annotations": {"x": "true"}, "AppVersion": "4.5", "Condition": "",
        "Dependencies": [], "Deprecated": false, "Description": "", "Home": "", "Icon": "",
        "IsRoot": true, "Keywords": ["a", "b"], "KubeVersion": "",
        "Maintainers": [{"Email": "m@example.com", "Name": "m", "URL": ""}], "Name": "vec",
        "Sources": [], "Tags": "", "Type": "application", "Version": "1.2.3",
    });
    Single { chart, files: FILES, values: &Value::Object(values), kube: KUBE }.render(template)
}

#[test]
fn expressions_give_what_the_golden_files_say() {
    let (mut total, mut wrong) = (0, Vec::new());
    for path in texts(&folder()) {
        let parts = read(&std::fs::read_to_string(&path).unwrap());
        let rows = rows(&parts);
        let unanswered = templates(&parts).len() - rows.len();
        if unanswered > 0 && !is_blessing() {
            wrong.push(format!("{}: {unanswered} rows have no answer", path.display()));
        }
        total += rows.len();
        for (template, want) in rows {
            let got = rendered(template);
            let name = stem(&path);
            if (got == *want) == (name == KNOWN) {
                wrong.push(format!("{name}: {template}\n  want {want:?}\n  got  {got:?}"));
            }
        }
    }
    assert!(total > 500, "only {total} rows");
    report(total, &wrong);
}

#[test]
fn helm_still_says_what_the_golden_expressions_say() {
    let Some(judge) = parts::judge() else { return };
    let (mut total, mut wrong) = (0, Vec::new());
    for path in texts(&folder()) {
        let text = std::fs::read_to_string(&path).unwrap();
        let parts = read(&text);
        let requests: Vec<Value> = templates(&parts).into_iter().map(asked).collect();
        let answers = ask::all(&judge, &requests);
        total += answers.len();
        let mut answers = answers.into_iter();
        let mut new = String::new();
        for part in &parts {
            match part {
                Part::Other(line) => new += &format!("{line}\n"),
                Part::Answer(_) => {}
                Part::Template(template) => {
                    let said = answers.next().flatten().expect("the judge lives");
                    new += &lines('>', template);
                    new += &match &said {
                        Ok(output) => lines('=', output),
                        Err(error) => lines('!', error),
                    };
                }
            }
        }
        if new != text && is_blessing() {
            std::fs::write(&path, new).unwrap();
        } else if new != text {
            let differs = text.lines().zip(new.lines()).find(|(old, new)| old != new);
            wrong.push(format!("{}: {differs:?}", stem(&path)));
        }
    }
    report(total, &wrong);
}
