//! `leadsman lint`, beside the real Helm.

use crate::support::corpus::corpus;
use crate::support::helm::{Helm, error_of};
use crate::support::leadsman::Leadsman;

const GOOD: &str = "apiVersion: v2\nname: c\nversion: 1.0.0\nicon: https://example.com/i.png\n";
const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n";

/// A name, arguments behind `lint c`, and the files of the chart `c` beside a good `Chart.yaml`.
type Row<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

#[rustfmt::skip]
const ROWS: &[Row<'_>] = &[
    ("good", "", &[("values.yaml", "a: 1\n"), ("templates/a.yaml", MAP)]),
    ("good, quiet", "--quiet", &[("values.yaml", "a: 1\n"), ("templates/a.yaml", MAP)]),
    ("good, strict", "--strict", &[("values.yaml", "a: 1\n"), ("templates/a.yaml", MAP)]),
    ("bare", "", &[]),
    ("bare, quiet", "--quiet", &[]),
    ("bare, strict", "--strict", &[]),
    ("definition: old and wrong", "", &[("Chart.yaml",
        "apiVersion: v1\nname: c\nversion: 0.0.0-0\nappVersion: 1.0\nfoo: x\ntype: application\nicon: nope\n\
         sources: [x]\nmaintainers: [{name: a, email: bad}]\ndependencies: [{name: q}]\n")]),
    ("definition: nothing", "", &[("Chart.yaml", "")]),
    ("definition: null", "", &[("Chart.yaml", "~\n")]),
    ("definition: a list", "", &[("Chart.yaml", "- a\n")]),
    ("definition: no YAML", "", &[("Chart.yaml", "a: @x\n")]),
    ("definition: a wrong kind", "", &[("Chart.yaml", "apiVersion: v2\nname: [c]\nversion: 1.0.0\n")]),
    ("definition: unknown version of charts", "", &[("Chart.yaml", "apiVersion: v9\nname: c\nversion: 1.0.0\n")]),
    ("definition: v3", "", &[("Chart.yaml", "apiVersion: v3\nname: c\nversion: 1.0.0\n")]),
    ("definition: no version", "", &[("Chart.yaml", "apiVersion: v2\nname: c\n")]),
    ("definition: a loose version", "", &[("Chart.yaml", "apiVersion: v2\nname: c\nversion: v1.2\n")]),
    ("definition: no version at all", "", &[("Chart.yaml", "apiVersion: v2\nname: c\nversion: x\n")]),
    ("definition: a number as version", "", &[("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0\nappVersion: true\n")]),
    ("definition: a path as name", "", &[("Chart.yaml", "apiVersion: v2\nname: a/b\nversion: 1.0.0\n")]),
    ("definition: no name", "", &[("Chart.yaml", "apiVersion: v2\nversion: 1.0.0\n")]),
    ("definition: twice", "", &[("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\nname: c\n")]),
    ("definition: unknown inside", "", &[("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\nmaintainers: [{name: a, nick: b}]\n")]),
    ("definition: unknown dependency field", "", &[("Chart.yaml",
        "apiVersion: v2\nname: c\nversion: 1.0.0\ndependencies: [{name: d, version: 1.x, zone: x}]\nBar: 1\n")]),
    ("definition: maintainers", "", &[("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\nmaintainers: [{email: a@example.com}]\n")]),
    ("definition: an empty maintainer", "", &[("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\nmaintainers: [~]\n")]),
    ("definition: a wrong page", "", &[("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\nmaintainers: [{name: a, url: 'x y'}]\n")]),
    ("definition: pages and mails", "", &[("Chart.yaml",
        "apiVersion: v2\nname: c\nversion: 1.0.0\nmaintainers: [{name: a, url: example.com, email: a+b@c.example.org}, \
         {name: b, url: 'https://github.com/x'}, {name: c, email: 'a@b'}]\n")]),
    ("definition: a page without a dot", "", &[("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\nmaintainers: [{name: a, url: someone}]\n")]),
    ("definition: an icon without scheme", "", &[("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\nicon: example.com/i.png\nsources: ['']\n")]),
    ("definition: an icon inside", "", &[("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\nicon: 'data:image/png;base64,xx'\nsources: ['git@example.com:x/y']\n")]),
    ("definition: type", "", &[("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\ntype: Thing\n")]),
    ("definition: library", "", &[("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\ntype: library\n"), ("templates/a.yaml", MAP)]),
    ("definition: deprecated", "", &[("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\ndeprecated: true\n")]),
    ("definition: kube version", "", &[("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\nkubeVersion: '<1.0'\n"), ("templates/a.yaml", MAP)]),
    ("values: no YAML", "", &[("values.yaml", "a: @x\n"), ("templates/a.yaml", MAP)]),
    ("values: a list", "", &[("values.yaml", "- a\n"), ("templates/a.yaml", MAP)]),
    ("values: against the schema", "", &[("values.yaml", "a: 1\n"), ("templates/a.yaml", MAP),
        ("values.schema.json", r#"{"properties": {"a": {"type": "string"}}}"#)]),
    ("values: against the schema, skipped", "--skip-schema-validation", &[("values.yaml", "a: 1\n"), ("templates/a.yaml", MAP),
        ("values.schema.json", r#"{"properties": {"a": {"type": "string"}}}"#)]),
    ("values: of the user against the schema", "--set a=1", &[("values.yaml", "a: x\n"), ("templates/a.yaml", MAP),
        ("values.schema.json", r#"{"properties": {"a": {"type": "string"}}}"#)]),
    ("values: of the user repair", "--set-string a=1", &[("values.yaml", "a: 1\n"), ("templates/a.yaml", MAP),
        ("values.schema.json", r#"{"properties": {"a": {"type": "string"}}}"#)]),
    ("values: none, with a schema", "", &[("templates/a.yaml", MAP), ("values.schema.json", r#"{"required": ["z"]}"#)]),
    ("values: given wrongly", "--set a", &[]),
    ("templates: a file", "", &[("templates", "x")]),
    ("templates: endings", "", &[("templates/a.foo", ""), ("templates/b", ""), ("templates/c.YAML", "a: b: c"), ("templates/NOTES.txt", "x"), ("templates/_x.tpl", "")]),
    ("templates: not one", "", &[("templates/a.yaml", "{{ if }}")]),
    ("templates: failing", "", &[("templates/a.yaml", "a: {{ .Values.x.y }}\n"), ("values.yaml", "a: 1\n")]),
    ("templates: refusing", "", &[("templates/a.yaml", "kind: A\nmetadata: {name: x{{ fail \"no\" }}{{ required \"q\" .Values.q }}}\n")]),
    ("templates: no YAML", "", &[("templates/a.yaml", "a: b: c\n"), ("templates/b.foo", ""), ("templates/0.yaml", "")]),
    ("templates: no YAML after one that is", "", &[("templates/a.yaml", "kind: A\nmetadata: {name: A}\n---\na: [\n---\nkind: B\n")]),
    ("templates: lists and texts", "", &[("templates/a.yaml", "- a\n")]),
    ("templates: a text", "", &[("templates/a.yaml", "text\n")]),
    ("templates: wrong metadata", "", &[("templates/a.yaml", "metadata: []\n")]),
    ("templates: wrong name", "", &[("templates/a.yaml", "metadata: {name: []}\n")]),
    ("templates: wrong kind", "", &[("templates/a.yaml", "kind: {}\n")]),
    ("templates: wrong version", "", &[("templates/a.yaml", "apiVersion: []\nkind: {}\n")]),
    ("templates: comments", "", &[("templates/a.yaml", "# a\n---\n# b\n---\n")]),
    ("templates: separators", "", &[("templates/a.yaml", "--- # c\nkind: A\nmetadata: {name: a}\n--- x\nkind: B\n")]),
    ("templates: indent", "", &[("templates/a.yaml", "\n  kind: A\n  metadata: {name: a}\n"), ("templates/b.yaml", "{{- if true }}\n\tx: 1\n{{ end }}")]),
    ("templates: names", "", &[("templates/a.yaml",
        "kind: Service\nmetadata: {name: Bad.x}\n---\nkind: Namespace\nmetadata: {name: a.b}\n---\nkind: Role\nmetadata: {name: 'a/b%'}\n---\n\
         kind: Namespace\nmetadata: {name: A}\n---\nkind: ClusterRole\nmetadata: {name: ..}\n---\nkind: Foo\nmetadata: {name: A_}\n---\n\
         kind: CertificateSigningRequest\nmetadata: {name: A_}\n---\nkind: ServiceAccount\n---\nkind: Role\n---\nkind: Pod\nmetadata: {name: 5}\n---\n\
         kind: Service\nmetadata: {name: 5a}\n---\nkind: deployment\nmetadata: {name: -a}\n---\nkind: Pod\nmetadata: {name: true}\n---\n\
         kind: Service\nmetadata: {name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaA}\n---\n\
         kind: Namespace\nmetadata: {name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}\n---\n\
         kind: Pod\nmetadata: {name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}\n")]),
    ("templates: deprecated", "", &[("templates/a.yaml",
        "apiVersion: apps/v1beta1\nkind: Deployment\nmetadata: {name: a}\nspec: {selector: {matchLabels: {}}}\n---\n\
         apiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata: {name: a}\n---\napiVersion: storage.k8s.io/v1beta1\nkind: CSINodeList\nmetadata: {name: a}\n---\n\
         apiVersion: batch/v1beta1\nkind: CronJob\nmetadata: {name: a}\n---\napiVersion: node.k8s.io/v1beta1\nkind: RuntimeClass\nmetadata: {name: a}\n---\n\
         apiVersion: apidiscovery.k8s.io/v2beta1\nkind: APIGroupDiscovery\nmetadata: {name: a}\n---\napiVersion: apps/v1beta2\nkind: Scale\nmetadata: {name: a}\n---\n\
         apiVersion: networking.k8s.io/v1beta1\nkind: IngressClass\nmetadata: {name: a}\n---\napiVersion: v1\nkind: ComponentStatus\nmetadata: {name: a}\n---\n\
         apiVersion: v1\nkind: Endpoints\nmetadata: {name: a}\n")]),
    ("templates: deprecated later", "--kube-version 1.20", &[("templates/a.yaml",
        "apiVersion: batch/v1beta1\nkind: CronJob\nmetadata: {name: a{{ .Capabilities.KubeVersion.Minor }}}\n---\n\
         apiVersion: networking.k8s.io/v1beta1\nkind: Ingress\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Endpoints\nmetadata: {name: a}\n")]),
    ("templates: a wrong version of Kubernetes", "--kube-version x", &[]),
    ("templates: selectors", "", &[("templates/a.yaml", "kind: Deployment\nmetadata: {name: a}\n---\nkind: DaemonSet\nmetadata: {name: b}\n"),
        ("templates/b.yaml", "kind: StatefulSet\nmetadata: {name: a}\n# matchLabels\n")]),
    ("templates: lists", "", &[("templates/a.yaml",
        "kind: List\nmetadata: {name: l}\nitems: [{metadata: {annotations: {helm.sh/resource-policy: keep}}}]\n")]),
    ("templates: release", "-n there", &[("templates/a.yaml",
        "kind: A\nmetadata: {name: {{ .Release.Name }}-{{ .Release.Namespace }}-{{ .Release.IsInstall }}-{{ .Release.IsUpgrade }}-{{ .Release.Revision }}_}\n")]),
    ("dependencies: missing", "", &[("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\ndependencies: [{name: d, version: 1.x}, {name: e, version: 1.x}]\n"),
        ("templates/a.yaml", MAP)]),
    ("dependencies: not declared", "", &[("charts/d/Chart.yaml", "apiVersion: v2\nname: d\nversion: 1.0.0\n"), ("templates/a.yaml", MAP)]),
    ("dependencies: twice", "", &[("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\ndependencies: [{name: d}, {name: d}]\n"), ("templates/a.yaml", MAP)]),
    ("dependencies: broken", "", &[("charts/d/Chart.yaml", "name: d\n"), ("templates/a.yaml", MAP), ("crds/x.yaml", "kind: X\n")]),
    ("dependencies: too", "--with-subcharts", &[("charts/d/Chart.yaml", "apiVersion: v2\nname: d\nversion: 1\n"),
        ("charts/d/charts/e/Chart.yaml", "apiVersion: v2\nname: e\nversion: 1.2\n"), ("charts/b.tgz", "no package at all")]),
    ("dependencies: too, quiet", "--with-subcharts --quiet", &[("values.yaml", ""), ("templates/a.yaml", MAP), ("charts/d/Chart.yaml", "apiVersion: v2\nname: d\nversion: x\n")]),
    ("dependencies: values that fit not", "--set d=5", &[("charts/d/Chart.yaml", "apiVersion: v2\nname: d\nversion: 1.0.0\n"), ("templates/a.yaml", "a: b: c\n")]),
    ("definitions: wrong", "", &[("crds/a.yaml", "kind: X\n---\n---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"),
        ("crds/b.json", "{}"), ("crds/c.txt", "a: b: c"), ("crds/d.yaml", "a: b: c"), ("crds/e.yaml", "kind: X\n")]),
    ("definitions: a file", "", &[("crds", "x")]),
    ("ignored", "", &[(".helmignore", "templates/bad*\n"), ("templates/bad.yaml", "a: b: c"), ("templates/a.yaml", MAP)]),
];

async fn compare(ours: &Leadsman, helm: &Helm, arguments: &[String]) -> Option<String> {
    let mut command = helm.command(arguments);
    let wanted = command.current_dir(ours.folder()).output().unwrap();
    let wanted_out = placeless(&String::from_utf8_lossy(&wanted.stdout));
    let wanted_error = error_of(&String::from_utf8_lossy(&wanted.stderr));
    let seen = ours.run(arguments).await;
    let (seen_out, seen_error) = (placeless(&seen.stdout), error_of(&seen.stderr));
    let same =
        (seen.code, &seen_out, &seen_error) == (wanted.status.code(), &wanted_out, &wanted_error);
    (!same).then(|| {
        let code = wanted.status.code();
        format!(
            "ours: {:?} {seen_error}\n{seen_out}\nhelm: {code:?} {wanted_error}\n{wanted_out}",
            seen.code
        )
    })
}

/// Helm unpacks an archive into a folder of a random name.
fn placeless(text: &str) -> String {
    let line = |line: &str| match line.split_once("] ") {
        Some((severity, rest)) if rest.starts_with('/') || rest.contains(".tgz: ") => {
            let text = rest.split_once(": ").map_or(rest, |(_, text)| text);
            format!("{severity}] PLACE: {text}\n")
        }
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn charts_are_judged_as_by_helm() {
    let Some(helm) = Helm::find() else { return };
    let mut failures = Vec::new();
    for (name, flags, files) in ROWS {
        let ours = Leadsman::new();
        ours.file("c/Chart.yaml", GOOD);
        for (file, text) in *files {
            ours.file(&format!("c/{file}"), text);
        }
        let flags = flags.split_whitespace().map(str::to_owned);
        let arguments: Vec<_> =
            ["lint".to_owned(), "c".to_owned()].into_iter().chain(flags).collect();
        let found = compare(&ours, &helm, &arguments).await;
        failures.extend(found.map(|text| format!("== {name}\n{text}")));
    }
    let ours = Leadsman::new();
    let nowhere = ["lint", "nope", "nope.tgz", "./deep/nope/"].map(str::to_owned);
    failures.extend(compare(&ours, &helm, &nowhere).await);
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn real_charts_are_judged_as_by_helm() {
    let (Some(corpus), Some(helm)) = (corpus(), Helm::find()) else { return };
    let ours = Leadsman::new();
    let mut failures = Vec::new();
    for (repository, start) in [
        ("podinfo", "podinfo-6.9.0"),
        ("bitnami", "m"),
        ("prometheus-community", "kube-prometheus-stack-"),
        ("mixed", ""),
    ] {
        for package in corpus.packages(repository, start).iter().take(8) {
            let arguments = ["lint".to_owned(), package.to_string_lossy().into_owned()];
            let found = compare(&ours, &helm, &arguments).await;
            failures.extend(found.map(|text| format!("== {}\n{text}", package.display())));
        }
    }
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}
