//! Mistakes in a release, its values or its chart's templates.

use serde_json::json;

use super::site::{Ground, Row, Site, release};
use crate::support::pack::Package;

/// Release, chart, version, more of the spec.
const RELEASES: &[(&str, &str, &str, &str)] = &[
    ("no-chart", "weeb", "1.x", ""),
    ("no-version", "web", "9.x", ""),
    ("no-range", "web", "not a range", ""),
    ("nil", "nil", "1.x", ""),
    ("index", "index", "1.x", ""),
    ("wrong-yaml", "wrong-yaml", "1.x", ""),
    ("no-template", "no-template", "1.x", ""),
    ("include-loop", "include-loop", "1.x", ""),
    ("template-loop", "template-loop", "1.x", ""),
    ("unserved", "unserved", "1.x", ""),
    ("old-version", "old-version", "1.x", ""),
    ("schema", "web", "1.x", "  values: {replicas: many}\n"),
    ("required", "web", "1.x", "  values: {message: \"\"}\n"),
    ("no-values", "web", "1.x", "  valuesFrom: [{kind: ConfigMap, name: none}]\n"),
    ("no-key", "web", "1.x", "  valuesFrom: [{kind: ConfigMap, name: some, valuesKey: else}]\n"),
    ("bad-values", "web", "1.x", "  valuesFrom: [{kind: ConfigMap, name: some}]\n"),
    ("no-namespace", "web", "1.x", "  targetNamespace: not-there\n"),
    ("taken", "taken", "1.x", "  install: {disableTakeOwnership: true}\n"),
    ("no-friend", "web", "1.x", "  dependsOn: [{name: ghost}]\n"),
    ("patched", "web", "1.x", PATCHED),
    (LONG, "web", "1.x", ""),
];

/// Charts from where none is taken yet.
const UNSUPPORTED: &[(&str, &str)] = &[(
    "verified",
    "chart: {spec: {chart: ./web, verify: {provider: cosign}, \
         sourceRef: {kind: GitRepository, name: charts}}}",
)];

/// A name, which the objects carry as a label, of 64 characters.
const LONG: &str = "a-name-that-is-one-character-longer-than-the-value-of-a-label-is";

/// A patch of nothing in particular.
const PATCHED: &str = "  postRenderers: [{kustomize: {patches: [{patch: '[{\"op\": \"remove\", \"path\": \"/x\"}]'}]}}]\n";

/// Chart and its only template.
const CHARTS: &[(&str, &str)] = &[
    ("nil", "kind: ConfigMap\napiVersion: v1\nmetadata: {{ .Values.nope.x }}\n"),
    ("index", "kind: ConfigMap\napiVersion: v1\n\nx: {{ index (list 1 2) 5 }}\n"),
    ("wrong-yaml", "kind: ConfigMap\napiVersion: v1\nmetadata: {name: x\n"),
    ("no-template", "a: {{ include \"nope\" . }}\n"),
    (
        "include-loop",
        "{{ define \"again\" }}{{ include \"again\" . }}{{ end }}a: {{ include \"again\" . }}\n",
    ),
    (
        "template-loop",
        "{{ define \"on\" }}{{ template \"on\" . }}{{ end }}a: {{ template \"on\" . }}\n",
    ),
    (
        "unserved",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: beside}\n---\n\
         apiVersion: x.example/v1\nkind: Gone\nmetadata: {name: x}\n",
    ),
    (
        "old-version",
        "apiVersion: apps/v1beta1\nkind: Deployment\nmetadata: {name: {{ .Release.Name }}}\n",
    ),
    (
        "taken",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: first}\n---\n\
         apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shared}\ndata: {owner: us}\n",
    ),
];

#[expect(clippy::too_many_lines, reason = "a table")]
fn rows() -> Vec<Row> {
    let values = "correct spec.values";
    let mut rows = vec![
        release(
            "no-chart",
            "SourceNotReady",
            &["no chart `weeb`", "it has web"],
            "spec.chart.spec.chart",
        ),
        release(
            "no-version",
            "SourceNotReady",
            &["version matching `9.x`", "the nearest are 1.0.0"],
            "correct spec.chart.spec.version",
        ),
        release(
            "no-range",
            "SourceNotReady",
            &["improper constraint"],
            "correct spec.chart.spec.version",
        ),
        release(
            "no-repository",
            "SourceNotReady",
            &["/nowhere'", "it does not exist"],
            "create it or correct sourceRef",
        ),
        release(
            "nil",
            "InstallFailed",
            &["nil/templates/t.yaml:3:", ".Values.nope.x", "nil pointer"],
            values,
        ),
        release(
            "index",
            "InstallFailed",
            &["index/templates/t.yaml:4:", "error calling index", "out of range: 5"],
            values,
        ),
        release(
            "wrong-yaml",
            "InstallFailed",
            &["error merging manifests: parsing wrong-yaml/templates/t.yaml: ", "yaml: line "],
            values,
        ),
        release(
            "no-template",
            "InstallFailed",
            &["no-template/templates/t.yaml:1:", "no template \"nope\""],
            values,
        ),
        release(
            "include-loop",
            "InstallFailed",
            &["include-loop/templates/t.yaml:1:", "nested reference name: again"],
            "its templates never end",
        ),
        release(
            "template-loop",
            "InstallFailed",
            &["template-loop/templates/t.yaml:1:", "maximum template depth"],
            "its templates never end",
        ),
        release(
            "unserved",
            "InstallFailed",
            &["no matches for kind \"Gone\""],
            "ensure CRDs are installed first",
        ),
        release(
            "old-version",
            "InstallFailed",
            &["no matches for kind \"Deployment\" in version \"apps/v1beta1\""],
            "choose a chart version for this cluster",
        ),
        release(
            "verified",
            "Unsupported",
            &[
                "not supported by this version of Leadsman: spec.chart.spec.verify of a chart in files",
            ],
            "remove it or leave this release to Flux",
        ),
        release("schema", "InstallFailed", &["at '/replicas'", "want integer"], values),
        release(
            "required",
            "InstallFailed",
            &["web/templates/config.yaml", "message is required"],
            values,
        ),
        release("no-values", "ValuesError", &["configmaps \"none\" not found"], "optional: true"),
        release(
            "no-key",
            "ValuesError",
            &["/some' with key 'else'", "key not found"],
            "spec.valuesFrom",
        ),
        release(
            "bad-values",
            "ValuesError",
            &["/some' with key 'values.yaml'", "yaml: "],
            "spec.valuesFrom",
        ),
        release(
            "no-namespace",
            "InstallFailed",
            &["namespaces \"not-there\" not found"],
            "createNamespace: true",
        ),
        release(
            "taken",
            "InstallFailed",
            &["ConfigMap \"shared\"", "invalid ownership metadata", "current value is \"other\""],
            "remove or rename one of the two objects",
        ),
        release(
            "patched",
            "InstallFailed",
            &["post render on files: must specify a target for JSON patch"],
            "correct spec.postRenderers",
        ),
        release(
            LONG,
            "InstallFailed",
            &["metadata.labels: Invalid value", "must be no more than 63"],
            "shorten it",
        ),
    ];
    // It may come any moment: no warning.
    let friend =
        release("no-friend", "DependencyNotReady", &["/ghost'", "not found"], "spec.dependsOn");
    rows.push(Row { event: "Normal", ..friend });
    rows
}

async fn table(ground: &Ground) {
    let site = Site::new(ground, "bad").await;
    for (name, template) in CHARTS {
        let metadata = format!("apiVersion: v2\nname: {name}\nversion: 1.0.0\n");
        site.repository.publish_package(Package::files([
            ("Chart.yaml", metadata.as_str()),
            ("templates/t.yaml", template),
        ]));
    }
    for (name, chart, version, more) in RELEASES {
        site.release(name, chart, version, more);
    }
    site.release_of("no-repository", "nowhere", "web", "1.x", "");
    for (name, chart) in UNSUPPORTED {
        let text = format!(
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\n\
             metadata: {{name: {name}, namespace: {}}}\nspec:\n  interval: 1s\n  {chart}\n",
            site.namespace
        );
        site.leadsman.file(&format!("source/{name}.yaml"), &text);
    }
    let map = |name: &str, annotations: serde_json::Value, data: serde_json::Value| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": data, "metadata": {
            "name": name, "namespace": site.namespace, "annotations": annotations,
            "labels": {"app.kubernetes.io/managed-by": "Helm"}}})
    };
    let other =
        json!({"meta.helm.sh/release-name": "other", "meta.helm.sh/release-namespace": "x"});
    site.api.apply(&map("shared", other, json!({"owner": "them"}))).await;
    site.api.apply(&map("some", json!({}), json!({"values.yaml": "a: [1\n"}))).await;
    let running = site.run();
    site.check(&running, &rows()).await;
    // What is the other release's stays as it was.
    assert_eq!(site.data("shared").await, json!({"owner": "them"}));
    for name in ["first", "beside"] {
        assert!(site.data(name).await.is_null(), "{name} was applied");
    }
    corrected(&site, &site.repository.url()).await;
}

/// What is put right is taken up without anybody's doing.
async fn corrected(site: &Site, url: &str) {
    let repository = format!(
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\n\
         metadata: {{name: nowhere, namespace: {}}}\nspec: {{interval: 1s, url: \"{url}\"}}\n",
        site.namespace
    );
    site.leadsman.file("source/nowhere.yaml", &repository);
    site.release("ghost", "web", "1.x", "");
    site.release("no-version", "web", "1.x", "");
    site.release("schema", "web", "1.x", "  values: {replicas: 1}\n");
    let good = ["no-repository", "ghost", "no-friend", "no-version", "schema"];
    for name in good {
        site.runs(name, "1.0.0").await;
    }
}

/// Waiting for what does not exist is no work: a run that is to end ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_with_once_ends_although_something_does_not_exist() {
    let leadsman = crate::support::leadsman::Leadsman::new();
    let text = |name: &str, more: &str| {
        format!(
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\n\
             metadata: {{name: {name}, namespace: apps}}\nspec:\n  interval: 1s\n  \
             chart: {{spec: {{chart: web, sourceRef: {{kind: HelmRepository, name: nowhere}}}}}}\n{more}"
        )
    };
    leadsman.file("one/web.yaml", &text("web", ""));
    leadsman.file("two/web.yaml", &text("web", "  dependsOn: [{name: ghost}]\n"));
    for (folder, cause) in [("one", "it does not exist"), ("two", "\"ghost\" not found")] {
        let ended = leadsman.run(&["run", folder, "--simulate", "--once"]).await;
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        let line = |line: &str| line.contains("HelmRelease/apps/web") && line.contains(cause);
        assert!(ended.stderr.lines().any(line), "{}", ended.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_is_said_where_it_was_made_in_the_simulated_cluster() {
    table(&Ground::simulated().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_is_said_where_it_was_made_on_a_real_api_server() {
    let Some(ground) = Ground::real() else { return };
    table(&ground).await;
}
