//! `leadsman template` as people type it.

use std::path::Path;

use crate::support::chart::web;
use crate::support::helm::{Helm, error_of};
use crate::support::leadsman::Leadsman;
use crate::support::repository::Repository;

fn chart(leadsman: &Leadsman) -> String {
    let package = web("1.0.0", "");
    let path = leadsman.folder().join(&package.file);
    std::fs::write(&path, package.bytes).unwrap();
    package.file
}

#[tokio::test(flavor = "multi_thread")]
async fn values_and_flags_reach_the_templates() {
    let leadsman = Leadsman::new();
    let chart = chart(&leadsman);
    leadsman.file("v.yaml", "message: from file\nreplicas: 2\n");
    let text = leadsman
        .run(&["template", "rel", &chart, "-n", "prod", "-f", "v.yaml", "--set", "replicas=3"])
        .await
        .success();
    assert!(
        text.starts_with("---\n# Source: web/templates/config.yaml\napiVersion: v1\n"),
        "{text}"
    );
    assert!(text.contains("message: \"from file\"") && text.contains("replicas: 3\n"), "{text}");
    let one =
        leadsman.run(&["template", "rel", &chart, "-s", "templates/config.yaml"]).await.success();
    assert!(one.contains("kind: ConfigMap") && !one.contains("kind: Deployment"), "{one}");
    let bad = leadsman.run(&["template", "rel", &chart, "--set-string", "message="]).await;
    assert_eq!(bad.code, Some(1));
    assert!(
        bad.stderr.contains("Error: execution error at (web/templates/config.yaml:"),
        "{}",
        bad.stderr
    );
    let missing = leadsman.run(&["template", "rel", "nowhere.tgz"]).await;
    assert!(missing.stderr.contains("nowhere.tgz"), "{}", missing.stderr);
    let usage = leadsman.run(&["template"]).await;
    assert_eq!(usage.code, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_is_taken_from_a_repository() {
    let repository = Repository::start();
    repository.publish_package(web("1.0.0", ""));
    repository.publish_package(web("1.1.0", ""));
    let leadsman = Leadsman::new();
    let arguments = ["template", "rel", "web", "--repo", &repository.url(), "--version", "1.0.x"];
    let text = leadsman.run(&arguments).await.success();
    assert!(text.contains("version: \"1.0.0\""), "{text}");
    leadsman.run(&arguments).await.success();
    assert_eq!(repository.count("/web-1.0.0.tgz", 200), 1, "the second run finds it in the cache");
}

/// Arguments, separated by blanks (`␣` is a blank inside one); both write into the same place.
#[rustfmt::skip]
const ROWS: &[&str] = &[
    "c", "r c", "a b c", "Abad c", "a..b c", "a.b c", "-g c", "-g x c", "--generate-name c",
    "--name-template x-{{1}} y c", "--name-template x-{{1}} c", "--name-template= c", "--name-template {{ c",
    "--name-template x-{{.Foo|default␣1}}-{{upper␣\"a\"|lower}} c",
    "--name-template {{nope}} c", "--name-template {{end}} c",
    "--kube-version 1.30 c", "--kube-version v1.30.2+k3s1 c", "--kube-version x c", "--kube-version 1 c",
    "--kube-version 1.30.0-rc.1 c", "--kube-version 1.030.1 c", "--kube-version 01.30 c", "--kube-version= c",
    "--kube-version 1.20 c", "--kube-version 1.2.3.4 c", "--kube-version v1.30.2-gke.5 c", "--kube-version ␣1.30 c",
    "--kube-version 1.99999999999999999999 c", "--kube-version 1. c",
    "--is-upgrade c", "--no-hooks c", "--skip-tests c", "--skip-tests --no-hooks c", "--skip-crds c --include-crds",
    "r c -s templates/a.yaml", "r c -s templates/*.yaml --no-hooks", "r c -s templates/h.yaml --skip-tests",
    "r c -s templates/h.yaml --no-hooks", "r c -s charts/d/templates/d.yaml",
    "--output-dir o r c", "--output-dir o r c", "--output-dir o/./p --release-name r c --include-crds",
    "--output-dir q --include-crds -s templates/a.yaml r c", "--output-dir o/ c --skip-tests", "--output-dir s c --no-hooks",
    "--release-name r c", "--output-dir t/../u --release-name c", "--output-dir= c", "--output-dir o --set fail=x c",
    "--set fail=true c", "--set number=x c", "--set number=x c --skip-schema-validation", "--set d=5 c", "--set d.x=1 c",
    "r ./nope", "missing", "library", "broken", "r c -f nope.yaml",
];

#[tokio::test(flavor = "multi_thread")]
async fn flags_do_what_they_do_in_helm() {
    let Some(helm) = Helm::find() else { return };
    let (ours, theirs) = (Leadsman::new(), tempfile::tempdir().unwrap());
    let files = [
        ("c/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\nkubeVersion: '>=1.25.0'\n"),
        ("c/values.schema.json", r#"{"properties": {"number": {"type": "integer"}}}"#),
        ("c/crds/x.yaml", "kind: CC\n"),
        (
            "c/templates/a.yaml",
            "{{ if .Values.fail }}{{ fail \"no\" }}{{ end }}kind: A\nname: {{ .Release.Name }}\n\
             up: {{ .Release.IsUpgrade }} {{ .Release.IsInstall }}\nkube: {{ .Capabilities.KubeVersion }} \
             {{ with .Capabilities.KubeVersion }}{{ .Major }} {{ .Minor }} {{ .Version }} {{ .GitVersion }} {{ .String }}{{ end }}\n\
             ---\nkind: B\n",
        ),
        (
            "c/templates/h.yaml",
            "kind: Pod\nmetadata:\n  name: t\n  annotations: {helm.sh/hook: test}\n---\n\
             kind: Job\nmetadata:\n  name: j\n  annotations: {helm.sh/hook: pre-install}\n",
        ),
        ("c/charts/d/Chart.yaml", "apiVersion: v2\nname: d\nversion: 1.0.0\n"),
        ("c/charts/d/crds/x.yaml", "---\nkind: CD\n---\nkind: CD2\n"),
        ("c/charts/d/templates/d.yaml", "kind: D\n"),
        (
            "missing/Chart.yaml",
            "apiVersion: v2\nname: missing\nversion: 1.0.0\ndependencies: [{name: e, version: 1.x}]\n",
        ),
        ("library/Chart.yaml", "apiVersion: v2\nname: library\nversion: 1.0.0\ntype: library\n"),
        ("broken/Chart.yaml", "apiVersion: v2\nname: broken\nversion: 1.0.0\n"),
        ("broken/templates/x.yaml", "a: b: c\n"),
    ];
    for (name, text) in files {
        ours.file(name, text);
        let path = theirs.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let mut failures = Vec::new();
    for row in ROWS {
        let words = row.split(' ').map(|word| word.replace('␣', " "));
        let arguments: Vec<String> = std::iter::once("template".to_owned()).chain(words).collect();
        let mut command = helm.command(&arguments);
        let wanted = command.current_dir(theirs.path()).output().unwrap();
        let wanted_out = String::from_utf8_lossy(&wanted.stdout);
        let wanted_error = error_of(&String::from_utf8_lossy(&wanted.stderr));
        let seen = ours.run(&arguments).await;
        let seen_error = error_of(&seen.stderr);
        if (seen.code, &*seen.stdout, &seen_error)
            != (wanted.status.code(), &*wanted_out, &wanted_error)
        {
            let (code, out) = (seen.code, seen.stdout);
            let wanted_code = wanted.status.code();
            failures.push(format!(
                "{row}\n  ours: {code:?} {out:?} {seen_error}\n  helm: {wanted_code:?} {wanted_out:?} {wanted_error}"
            ));
        }
    }
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(tree(ours.folder()), tree(theirs.path()));
}

/// The files below a folder with their contents.
fn tree(folder: &Path) -> Vec<(String, String)> {
    let names = leadsman::base::file::list_tree(folder).unwrap();
    let read = |name: String| {
        let text = std::fs::read(folder.join(&name)).unwrap();
        (name, String::from_utf8_lossy(&text).into_owned())
    };
    names.into_iter().map(read).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_that_was_rendered_twice_is_not_unpacked_again() {
    let leadsman = Leadsman::new();
    let chart = chart(&leadsman);
    let kept = leadsman.cache().join("compiled-v1");
    let rendered = async |leadsman: &Leadsman| {
        leadsman.run(&["template", "rel", &chart, "--set", "replicas=3"]).await.success()
    };
    let leadsman = leadsman.env("LEADSMAN_COMPILED", "off");
    let first = rendered(&leadsman).await;
    assert!(!kept.exists(), "it was asked to keep nothing");
    let leadsman = leadsman.env("LEADSMAN_COMPILED", "on");
    // What says that an archive was seen, and what was made of it.
    let files = || {
        let entries = std::fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap());
        let files = entries.map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            let metadata = entry.metadata().unwrap();
            (name, metadata.len(), metadata.modified().unwrap())
        });
        files.partition::<Vec<_>, _>(|(name, ..)| name.starts_with("seen-"))
    };
    assert_eq!(rendered(&leadsman).await, first);
    let (seen, made) = files();
    assert!(matches!(&seen[..], [(_, 0, _)]) && made.is_empty(), "{seen:?} {made:?}");
    assert_eq!(rendered(&leadsman).await, first);
    let written = files();
    let (_, made) = &written;
    let [(name, 100.., _)] = &made[..] else { panic!("{written:?}") };
    let length = || std::fs::metadata(kept.join(name)).unwrap().len();
    assert_eq!(rendered(&leadsman).await, first);
    assert_eq!(files(), written, "it was read, and not written again");
    std::fs::write(kept.join(name), "damaged").unwrap();
    assert_eq!(rendered(&leadsman).await, first);
    assert!(length() > 100, "made again");
}
