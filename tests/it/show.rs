//! `leadsman show`, beside the real Helm.

use crate::support::chart::web;
use crate::support::corpus::corpus;
use crate::support::helm::Helm;
use crate::support::leadsman::Leadsman;
use crate::support::repository::Repository;

const PARTS: [&str; 5] = ["chart", "values", "readme", "crds", "all"];

/// Compares every part of a chart; returns where the two differ.
async fn differences(ours: &Leadsman, helm: &Helm, chart: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in PARTS {
        let wanted = helm.run(&["show", part, chart]).await;
        let seen = ours.run(&["show", part, chart]).await;
        if (seen.code, &seen.stdout) != (wanted.code, &wanted.stdout) {
            found.push(format!("show {part} {chart}\nours:\n{seen:?}\nhelm:\n{wanted:?}"));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_real_charts_are_shown_as_by_helm() {
    let (Some(corpus), Some(helm)) = (corpus(), Helm::find()) else { return };
    let ours = Leadsman::new();
    let mut failures = Vec::new();
    for (repository, start) in [
        ("podinfo", "podinfo-6.9.0"),
        ("bitnami", "postgresql-17"),
        ("bitnami", "harbor-"),
        ("bitnami", "metallb-"),
        ("prometheus-community", "kube-prometheus-stack-"),
        ("grafana", "loki-"),
        ("mixed", ""),
    ] {
        for package in corpus.packages(repository, start).iter().take(6) {
            let path = package.to_string_lossy();
            failures.extend(differences(&ours, &helm, &path).await);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_folders_are_shown_as_by_helm() {
    let Some(helm) = Helm::find() else { return };
    let ours = Leadsman::new();
    let start = "apiVersion: v2\nname: c\nversion: 1.0.0\n";
    let rows: &[(&str, &[(&str, &str)])] = &[
        ("nothing but a name", &[]),
        ("empty values", &[("values.yaml", "")]),
        ("values without a last newline", &[("values.yaml", "a: 1")]),
        ("two readmes", &[("README.txt", "text"), ("readme.MD", "mark"), ("docs/README.md", "x")]),
        ("a plain readme", &[("ReadMe", "")]),
        (
            "definitions of children",
            &[
                ("crds/b.yaml", "---\nkind: B\n"),
                ("crds/a.yaml", "kind: A"),
                ("crds/deep/c.json", "{}"),
                ("crds/no.txt", "no"),
                ("charts/d/Chart.yaml", "apiVersion: v2\nname: d\nversion: 0.1.0\n"),
                ("charts/d/crds/d.yml", "kind: D\n"),
                ("charts/d/README.md", "not this"),
            ],
        ),
        (
            "every field",
            &[(
                "Chart.yaml",
                "apiVersion: v2\nname: c\nversion: 1.0.0\nappVersion: 1.10\nhome: h\ndeprecated: true\n\
                 type: library\nicon: i\nkubeVersion: '>=1'\nkeywords: [b, a]\nsources: ['http://x']\n\
                 condition: x.y\ntags: t\ndescription: |\n  long\n  text\nannotations: {z: '1', a: yes}\n\
                 maintainers: [{name: n, email: e, url: u}, {name: m}]\n\
                 dependencies:\n- {name: d, version: 1.x, repository: '', condition: d.on, tags: [q],\n  \
                 enabled: true, import-values: [a, {child: b, parent: c}], alias: e}\n- {name: f}\n",
            )],
        ),
        ("a broken name", &[("Chart.yaml", "apiVersion: v2\nname: ../c\nversion: 1.0.0\n")]),
    ];
    let mut failures = Vec::new();
    for (at, (name, files)) in rows.iter().enumerate() {
        ours.file(&format!("c{at}/Chart.yaml"), start);
        for (file, text) in *files {
            ours.file(&format!("c{at}/{file}"), text);
        }
        let path = ours.folder().join(format!("c{at}"));
        let found = differences(&ours, &helm, &path.to_string_lossy()).await;
        failures.extend(found.into_iter().map(|text| format!("{name}: {text}")));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_of_a_repository_is_shown() {
    let repository = Repository::start();
    repository.publish_package(web("1.0.0", ""));
    let ours = Leadsman::new();
    let text = ours.run(&["show", "values", "web", "--repo", &repository.url()]).await.success();
    assert_eq!(text, "replicas: 1\nmessage: hello\n\n");
    let missing = ours.run(&["show", "chart", "nowhere.tgz"]).await;
    assert_eq!(missing.code, Some(1));
    assert!(missing.stderr.contains("nowhere.tgz"), "{}", missing.stderr);
}
