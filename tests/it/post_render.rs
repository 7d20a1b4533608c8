//! `leadsman template --post-renderer`, beside the real Helm.

use std::path::Path;

use crate::support::chart::web;
use crate::support::corpus::corpus;
use crate::support::pair::Pair;

/// Writes a plugin whose program is a shell script.
fn plugin(pair: &Pair, name: &str, kind: &str, script: &str) {
    let definition = format!(
        "apiVersion: v1\ntype: {kind}\nname: {name}\nversion: 0.1.0\nruntime: subprocess\nconfig: {{}}\n\
         runtimeConfig:\n  platformCommand:\n  - command: sh\n    args: [\"${{HELM_PLUGIN_DIR}}/run.sh\"]\n"
    );
    pair.file(&format!("helm-data/plugins/{name}/plugin.yaml"), definition);
    pair.file(&format!("helm-data/plugins/{name}/run.sh"), script);
}

fn pair() -> Option<Pair> {
    let pair = Pair::find()?;
    plugin(&pair, "keep", "postrenderer/v1", "tee in.txt\n");
    plugin(
        &pair,
        "sed",
        "postrenderer/v1",
        "sed -e 's/replicas: 1/replicas: 7/' -e 's/name: /name:   /'\n",
    );
    plugin(
        &pair,
        "arguments",
        "postrenderer/v1",
        "cat\necho ---\necho \"kind: Said\"\necho \"words: '$*'\"\necho \"name: $HELM_PLUGIN_NAME\"\n",
    );
    plugin(&pair, "fail", "postrenderer/v1", "echo why >&2\nexit 3\n");
    plugin(&pair, "empty", "postrenderer/v1", "cat >/dev/null\necho\n");
    plugin(&pair, "other", "cli/v1", "cat\n");
    plugin(&pair, "text", "postrenderer/v1", "cat >/dev/null\necho 'a: b: c'\n");
    plugin(
        &pair,
        "list",
        "postrenderer/v1",
        "cat >/dev/null\nprintf 'kind: List\\nitems:\\n- kind: A # a\\n- kind: B\\n'\n",
    );
    Some(pair)
}

/// Charts, and what is asked of them.
const CHANGED: &[(&str, &[&str])] = &[
    ("c", &["--post-renderer", "keep"]),
    ("c", &["--post-renderer", "keep", "--include-crds", "--skip-tests"]),
    ("c", &["--post-renderer", "keep", "-s", "templates/h.yaml"]),
    ("c", &["--post-renderer", "keep", "--output-dir", "out"]),
    ("c", &["--post-renderer", "sed"]),
    ("c", &["--post-renderer", "list"]),
    ("c", &["--post-renderer", ""]),
    ("c", &["--post-renderer-args", "x"]),
    ("listed", &["--post-renderer", "keep"]),
    ("web.tgz", &["--post-renderer", "keep"]),
    ("web.tgz", &["--post-renderer", "sed"]),
    (
        "web.tgz",
        &[
            "--post-renderer",
            "arguments",
            "--post-renderer-args",
            "a",
            "--post-renderer-args",
            "-b,c",
        ],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_changes_what_is_printed() {
    let Some(pair) = pair() else { return };
    pair.file("web.tgz", web("1.0.0", "").bytes);
    pair.file("c/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n");
    pair.file("c/templates/NOTES.txt", "notes");
    pair.file("c/templates/_p.tpl", "{{ define \"x\" }}{{ end }}");
    pair.file(
        "c/templates/a.yaml",
        "# of the file\n\n# of the first\nkind: A # behind\nmetadata:\n  # before name\n  name: x\n  # after name\n\n  labels: {a: b}\nlist:\n    - a   # one\n    # between\n    - b\n\n---\n# nothing\n---\nkind: B\nmetadata:\n  annotations: {}\ntext: |\n    block\n      more\nfold: >-\n  a\n  b\nquoted: 'it''s'\ndouble: \"a\\tb\"\n# at the end\n",
    );
    pair.file(
        "c/templates/h.yaml",
        "kind: Job\nmetadata:\n  annotations:\n    \"helm.sh/hook\": test\n  name: h\n",
    );
    pair.file("c/crds/c.yaml", "kind: C\n");
    pair.file("bad/Chart.yaml", "apiVersion: v2\nname: bad\nversion: 1.0.0\n");
    pair.file("bad/templates/a.yaml", "a: b: c\n");
    pair.file("listed/Chart.yaml", "apiVersion: v2\nname: listed\nversion: 1.0.0\n");
    pair.file(
        "listed/templates/a.yaml",
        "apiVersion: v1\nkind: List\nitems:\n- kind: A\n- kind: B # b\n",
    );
    for (chart, more) in CHANGED {
        pair.same(&[&["template", "r", chart][..], more].concat());
        pair.same_files("in.txt");
        let [theirs, ours] = pair.folders().map(|folder| std::fs::read(folder.join("in.txt")).ok());
        assert_eq!(ours, theirs, "what the plugin is given: {chart} {more:?}");
    }
    pair.same_files("out");
    for (chart, more) in [
        ("c", &["--post-renderer", "fail"][..]),
        ("c", &["--post-renderer", "empty"]),
        ("c", &["--post-renderer", "other"]),
        ("c", &["--post-renderer", "nowhere"]),
        ("c", &["--post-renderer", "text"]),
        ("c", &["--post-renderer", "keep", "--post-renderer", "sed"]),
    ] {
        pair.same_error(&[&["template", "r", chart], more].concat());
    }
    let [helm, ours] = pair.both(&["template", "r", "bad", "--post-renderer", "keep"]).await;
    assert_eq!((ours.0, &ours.1), (helm.0, &helm.1));
    let program = pair.leadsman_in(
        pair.folders()[1],
        &["template", "r", "c", "--post-renderer", "helm-data/plugins/keep/run.sh"],
    );
    let refused = program.await.stderr;
    assert!(refused.contains("not found\nhint: since Helm 4"), "{refused}");
    other_runtimes_are_refused(&pair).await;
}

/// A plugin that is no program is told by its folder and runtime.
async fn other_runtimes_are_refused(pair: &Pair) {
    for runtime in ["extism/v1", "nope"] {
        pair.file(
            "helm-data/plugins/wasm/plugin.yaml",
            format!(
                "apiVersion: v1\ntype: postrenderer/v1\nname: wasm\nversion: 0.1.0\nruntime: {runtime}\nconfig: {{}}\n"
            ),
        );
        let asked = pair
            .leadsman_in(pair.folders()[1], &["template", "r", "c", "--post-renderer", "wasm"])
            .await;
        let wanted = "{Name:wasm Type:postrenderer/v1} not found\nhint: the plugin in ";
        assert!(asked.stderr.contains(wanted), "{}", asked.stderr);
        let wanted = format!("plugins/wasm is of runtime `{runtime}`, which is not run here");
        assert!(asked.stderr.contains(&wanted), "{}", asked.stderr);
        assert!(asked.stdout.is_empty(), "{}", asked.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_charts_come_back_as_from_helm() {
    let (Some(pair), Some(corpus)) = (pair(), corpus()) else { return };
    let mut failures = Vec::new();
    for (repository, start) in [
        ("podinfo", "podinfo-6.9"),
        ("bitnami", "nginx-"),
        ("bitnami", "postgresql-17"),
        ("bitnami", "redis-"),
        ("prometheus-community", "kube-prometheus-stack-"),
        ("grafana", "loki-"),
        ("mixed", ""),
    ] {
        for package in corpus.packages(repository, start).iter().take(3) {
            failures.extend(difference(&pair, package).await);
        }
    }
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}

/// Renders a chart with Helm, and gives the text to both as the answer of a plugin: random values
/// are the same then.
async fn difference(pair: &Pair, package: &Path) -> Option<String> {
    let path = package.to_str().unwrap();
    let [theirs, _] = pair.folders();
    let plain = pair.helm_in(theirs, &["template", "r", path]).await;
    if plain.code != Some(0) {
        return None;
    }
    pair.file("given.yaml", &plain.stdout);
    let [helm, ours] = pair.both(&["template", "r", path, "--post-renderer", "given"]).await;
    let mut lines = helm.1.lines().zip(ours.1.lines()).enumerate();
    match lines.find(|(_, (theirs, mine))| theirs != mine) {
        _ if (helm.0, &helm.1) == (ours.0, &ours.1) => None,
        Some((line, (theirs, mine))) => Some(format!("{path}:{line}\n  {theirs:?}\n  {mine:?}")),
        None => Some(format!("{path}: {} and {} bytes {}", helm.1.len(), ours.1.len(), ours.2)),
    }
}
