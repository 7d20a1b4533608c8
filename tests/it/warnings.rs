//! What is odd about values and dependencies: Leadsman's log with `-v` says what Helm's says.

use std::collections::BTreeSet;

use regex::Regex;

use crate::support::pair::Pair;

/// A chart with dependencies, whose values fit nowhere.
const FILES: &[(&str, &str)] = &[
    (
        "n1/Chart.yaml",
        "apiVersion: v2\nname: n1\nversion: 1.0.0\ndependencies:\n\
         - {name: a1, version: '*', condition: a1.on, tags: [front]}\n\
         - {name: b1, version: '*', import-values: [e, {child: none, parent: x}, {child: s, parent: y}, 5]}\n",
    ),
    (
        "n1/values.yaml",
        "a: 5\nt: {deep: {x: 1}, x: 1}\nlist: [1]\ntags: {front: 'yes'}\na1: {on: 'true'}\nglobal: {g: {h: 1}, s: 1}\n",
    ),
    ("n1/templates/a.yaml", "a: {{ toJson .Values | quote }}\n"),
    ("n1/charts/a1/Chart.yaml", "apiVersion: v2\nname: a1\nversion: 1.0.0\n"),
    ("n1/charts/a1/values.yaml", "st: {k: 1}\nglobal: {g: 5, s: {k: 1}}\n"),
    ("n1/charts/b1/Chart.yaml", "apiVersion: v2\nname: b1\nversion: 1.0.0\n"),
    ("n1/charts/b1/values.yaml", "s: 5\nq: {r: 1}\n"),
];

const RUNS: &[&[&str]] = &[
    &[],
    &["--set", "a.b=1"],
    &["--set", "t=5"],
    &["--set", "t.deep=5"],
    &["--set", "t.x.q=1"],
    &["--set", "a1.st=3"],
    &["--set", "b1.q=3", "--set", "list.x=1"],
    &["--set", "global=5"],
    &["--set", "global=null"],
    &["--set", "a1.global=5"],
    &["--set", "a1.global.g=7", "--set", "global.s.k=1"],
    &["--set", "a1.on=null"],
    &["--set", "tags.front=true", "--set", "a1.on=false"],
    &["--set-string", "a1.on=true", "--set-string", "tags.front=true"],
];

/// What Helm's log says: words, and then fields.
fn theirs(stderr: &str) -> BTreeSet<String> {
    let text = r#""(?:[^"\\]|\\.)*"|\S+"#;
    let line = Regex::new(&format!(r"(?m)^level=\w+ msg=({text})((?: \w+=(?:{text}))*)$")).unwrap();
    let field = Regex::new(&format!(r" (\w+)=({text})")).unwrap();
    let plain = |text: &str| match text.starts_with('"') {
        true => serde_json::from_str(text).unwrap(),
        false => text.to_owned(),
    };
    let said = |line: regex::Captures<'_>| {
        let fields = field.captures_iter(&line[2]);
        let fields: String =
            fields.map(|field| format!(" {}={}", &field[1], plain(&field[2]))).collect();
        plain(&line[1]) + &fields
    };
    line.captures_iter(stderr).map(said).collect()
}

/// What ours says.
fn ours(stderr: &str) -> BTreeSet<String> {
    let colors = Regex::new("\x1b\\[[0-9;]*m").unwrap();
    let stderr = colors.replace_all(stderr, "");
    let said = |line: &str| Some(line.split_once(" warning=")?.1.to_owned());
    stderr.lines().filter_map(said).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_odd_about_values_is_said_as_by_helm() {
    let Some(pair) = Pair::find() else { return };
    for (name, text) in FILES {
        pair.file(name, text);
    }
    let (mut wrong, mut total) = (Vec::new(), 0);
    for run in RUNS {
        let arguments = [&["template", "r", "n1"][..], run].concat();
        let helm = pair.helm_in(pair.folders()[0], &arguments).await;
        let leadsman =
            pair.leadsman_in(pair.folders()[1], &[&arguments[..], &["-v"]].concat()).await;
        // Of what is global, Helm also tells what its first look at the dependencies comes upon.
        let is_told = |line: &String| !line.contains(".global.");
        let [want, got] = [theirs(&helm.stderr), ours(&leadsman.stderr)]
            .map(|lines| lines.into_iter().filter(is_told).collect::<BTreeSet<_>>());
        total += want.len();
        if want != got || helm.stdout != leadsman.stdout {
            wrong.push(format!(
                "{run:?}\n  want {want:#?}\n  got {got:#?}\n  {}\n  {}",
                helm.stdout, leadsman.stdout
            ));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(total > 20, "only {total} lines");
}
