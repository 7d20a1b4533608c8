//! `leadsman template` against a cluster, beside the real Helm.

use serde_json::json;

use crate::support::api::Api;
use crate::support::control_plane::ControlPlane;
use crate::support::leadsman::Leadsman;
use crate::support::pair::Pair;

const CHART: &str = "apiVersion: v2\nname: c\nversion: 1.0.0\nkubeVersion: '>=1.30.0-0'\n";

/// Manifests that no cluster takes.
const REFUSED: &[(&str, &str)] = &[
    ("no such group", "apiVersion: none/v1\nkind: Nothing\nmetadata: {name: nn}\n"),
    (
        "two of them",
        "apiVersion: none/v1\nkind: A\nmetadata: {name: nn}\n---\napiVersion: none/v2\nkind: B\nmetadata: {name: mm, namespace: z}\n---\napiVersion: none/v1\nkind: A\nmetadata: {name: nn}\n",
    ),
    ("no such kind", "apiVersion: apps/v1\nkind: Nothing\nmetadata: {name: nn}\n"),
    ("no kind", "apiVersion: v1\nmetadata: {name: nn}\n"),
    ("no version", "kind: ConfigMap\nmetadata: {name: nn}\n"),
    ("neither", "metadata: {name: nn}\n"),
    ("both names", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: nn, generateName: n-}\n"),
    ("no name", "apiVersion: v1\nkind: ConfigMap\n"),
    (
        "inside a list",
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: none/v1\n  kind: A\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: there}\n",
    ),
    ("not even YAML", "a: b: c\n"),
];

/// Both tools, pointed at the real API server, and a namespace of their own.
async fn real(name: &str) -> Option<(Pair, Api, String)> {
    let (Some(pair), Some(cluster)) = (Pair::find(), ControlPlane::shared()) else { return None };
    let api = cluster.api().await;
    let namespace = api.create_namespace(name).await;
    let kubeconfig = cluster.kubeconfig();
    let pair = pair.env("KUBECONFIG", &kubeconfig.display().to_string());
    pair.file("c/Chart.yaml", CHART);
    Some((pair, api, namespace))
}

fn template<'a>(namespace: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["template", "r", "c", "-n", namespace][..], more].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_and_lookups_come_from_the_cluster() {
    let Some((pair, api, namespace)) = real("dry-run").await else { return };
    let maps = format!("/api/v1/namespaces/{namespace}/configmaps");
    api.create(&maps, &json!({"metadata": {"name": "there"}, "data": {"k": "v", "n": "1"}}))
        .await
        .unwrap();
    pair.file(
        "c/templates/a.yaml",
        "kind: ConfigMap\napiVersion: v1\nmetadata: {name: made}\ndata:\n\
         {{- with .Capabilities }}\n  kube: {{ .KubeVersion }} {{ .KubeVersion.Major }} {{ .KubeVersion.Minor }} {{ .KubeVersion.Version }}\n\
         \x20 has: {{ .APIVersions.Has \"apps/v1/Deployment\" }} {{ .APIVersions.Has \"apps/v1\" }} {{ .APIVersions.Has \"x/v1\" }} {{ .APIVersions.Has \"v1/Pod\" }} {{ .APIVersions.Has \"apps/v1/Scale\" }} {{ .APIVersions.Has \"autoscaling/v1/Scale\" }}\n{{- end }}\n\
         \x20 one: {{ get (lookup \"v1\" \"ConfigMap\" .Release.Namespace \"there\") \"data\" | toJson | quote }}\n\
         \x20 kind: {{ get (lookup \"v1\" \"ConfigMap\" .Release.Namespace \"there\") \"kind\" }}\n\
         \x20 none: {{ lookup \"v1\" \"ConfigMap\" .Release.Namespace \"nowhere\" | toJson | quote }}\n\
         {{- $list := lookup \"v1\" \"ConfigMap\" .Release.Namespace \"\" }}\n\
         \x20 list: {{ get $list \"kind\" }} {{ get $list \"apiVersion\" }} {{ keys $list | sortAlpha | join \",\" }} {{ keys (get $list \"metadata\" | default dict) | join \",\" }}\n\
         \x20 items: {{ range (get $list \"items\" | default list) }}{{ .apiVersion }}/{{ .kind }}/{{ .metadata.name }} {{ end }}\n\
         \x20 empty: {{ lookup \"v1\" \"Secret\" .Release.Namespace \"\" | toJson | len | lt 20 }}\n\
         \x20 all: {{ get (lookup \"v1\" \"Namespace\" \"\" \"\") \"items\" | default list | len | lt 3 }}\n\
         \x20 scoped: {{ get (get (lookup \"v1\" \"Namespace\" \"ignored\" \"default\") \"metadata\" | default dict) \"name\" }}\n\
         \x20 kindless: {{ lookup \"apps/v1\" \"Nothing\" \"\" \"x\" | toJson | quote }}\n\
         \x20 up: {{ .Release.IsUpgrade }}\n",
    );
    pair.same(&template(&namespace, &[]));
    let served = pair.same(&template(&namespace, &["--dry-run=server"]));
    assert!(served.contains("one: \"{\\\"k\\\":\\\"v\\\""), "{served}");
    for more in [
        &["--dry-run=client"][..],
        &["--dry-run"],
        &["--dry-run=true"],
        &["--dry-run=server", "--kube-version", "1.20", "-a", "x/v1"],
        &["--dry-run=server", "--is-upgrade"],
        &["--dry-run=server", "--disable-openapi-validation"],
        &["--dry-run=server", "-s", "templates/a.yaml"],
    ] {
        pair.same(&template(&namespace, more));
    }
    let [helm, ours] = pair.both(&template(&namespace, &["--validate"])).await;
    assert_eq!((&ours.1, &ours.2), (&helm.1, &helm.2));
    for more in [
        &["--dry-run=none"][..],
        &["--dry-run=false"],
        &["--dry-run=x"],
        &["--dry-run=server", "--validate"],
        &["--validate", "--dry-run"],
    ] {
        pair.same_error(&template(&namespace, more));
    }
    pair.file("c/templates/a.yaml", "a: {{ lookup \"none/v1\" \"Nothing\" \"\" \"x\" }}\n");
    pair.same_error(&template(&namespace, &["--dry-run=server"]));
    pair.file("c/Chart.yaml", CHART.replace("1.30.0-0", "1.35"));
    pair.same_error(&template(&namespace, &["--dry-run=server"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_installed_is_refused() {
    let Some((pair, api, namespace)) = real("dry-run-refused").await else { return };
    let maps = format!("/api/v1/namespaces/{namespace}/configmaps");
    let own = json!({"metadata": {
        "name": "own",
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
        "annotations": {
            "meta.helm.sh/release-name": "r", "meta.helm.sh/release-namespace": namespace}}});
    api.create(&maps, &json!({"metadata": {"name": "there"}})).await.unwrap();
    api.create(&maps, &own).await.unwrap();
    let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    let there = map("there");
    let own_and_there = format!("{}---\n{there}", map("own"));
    let live = [("exists", there.as_str()), ("own and foreign", &own_and_there)];
    for (name, text) in live.iter().chain(REFUSED) {
        pair.file("c/templates/a.yaml", text);
        for more in
            [&["--dry-run=server"][..], &["--dry-run=server", "--disable-openapi-validation"]]
        {
            if *name == "no version" && more.len() > 1 {
                // Go takes any version then.
                continue;
            }
            pair.same_error(&template(&namespace, more));
        }
    }
    for (text, more) in [
        (there.as_str(), "--take-ownership"),
        (&there, "--is-upgrade"),
        (&map("own"), "--no-hooks"),
        (&map("new"), "--no-hooks"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: n-}\n", "--no-hooks"),
        ("# nothing\n", "--no-hooks"),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: h, annotations: {helm.sh/hook: pre-install}}\nx: y\n",
            "--skip-tests",
        ),
        (
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {replicas: many}\nunknown: 1\n",
            "--no-hooks",
        ),
    ] {
        pair.file("c/templates/a.yaml", text);
        pair.same(&template(&namespace, &["--dry-run=server", more]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_away_is_named() {
    let leadsman = Leadsman::new();
    leadsman.file("c/Chart.yaml", CHART);
    let seen = leadsman.run(&["template", "r", "c", "--dry-run=server"]).await;
    assert_eq!(seen.code, Some(1));
    let start = "Error: cluster reachability check failed: kubernetes cluster unreachable: ";
    assert!(seen.stderr.starts_with(start), "{}", seen.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_namespace_is_that_of_the_context() {
    let Some(pair) = Pair::find() else { return };
    let pair = pair.env("KUBECONFIG", "one:two");
    pair.file("c/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n");
    pair.file("c/templates/a.yaml", "namespace: {{ .Release.Namespace }}\n");
    pair.file("one", "contexts:\n- {name: a, context: {namespace: first, cluster: k}}\n");
    pair.file(
        "two",
        "current-context: a\ncontexts:\n- {name: b, context: {namespace: second, cluster: k}}\n\
         - {name: bare, context: {cluster: k}}\nclusters: [{name: k, cluster: {server: 'http://localhost:1'}}]\n",
    );
    for more in [
        &[][..],
        &["-n", "given"],
        &["--kube-context", "b"],
        &["--kube-context", "bare"],
        &["--kubeconfig", "two", "--kube-context", "b"],
        &["--kubeconfig", "nowhere"],
    ] {
        pair.same(&[&["template", "r", "c"], more].concat());
    }
    let pair = pair.env("HELM_NAMESPACE", "spoken");
    pair.same(&["template", "r", "c"]);
    pair.same(&["template", "r", "c", "-n", "given"]);
}
