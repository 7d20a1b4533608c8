//! A small chart, made on the spot: a Deployment whose fate its values tell, and a ConfigMap.

use super::pack::Package;

/// Returns the chart `web` in a version; `fate` is the annotation that the test cluster obeys
/// (`unready`, `crash`, `image`; empty: all is well).
pub(crate) fn web(version: &str, fate: &str) -> Package {
    web_with(version, fate, &[])
}

/// The same with further files.
pub(crate) fn web_with(version: &str, fate: &str, more: &[(&str, &str)]) -> Package {
    let more = more.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    Package::files(web_files(version, fate).into_iter().chain(more))
}

/// The files of the chart.
pub(crate) fn web_files(version: &str, fate: &str) -> Vec<(String, String)> {
    let chart = format!(
        "apiVersion: v2\nname: web\nversion: {version}\nappVersion: \"{version}\"\ntype: application\n"
    );
    let annotations = if fate.is_empty() {
        String::new()
    } else {
        format!("      annotations: {{test/fail: {fate}}}\n")
    };
    let deployment = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {{{{ .Release.Name }}}}\nspec:\n  \
         replicas: {{{{ .Values.replicas | int }}}}\n  selector:\n    matchLabels: {{app: {{{{ .Release.Name }}}}}}\n  \
         template:\n    metadata:\n      labels: {{app: {{{{ .Release.Name }}}}}}\n{annotations}    \
         spec:\n      containers:\n      - name: main\n        image: example/web:{version}\n"
    );
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  \
                  version: {{ .Chart.Version | quote }}\n  message: {{ required \"message is required\" .Values.message | quote }}\n";
    let schema = r#"{"type": "object", "properties": {"replicas": {"type": "integer"}}}"#;
    let files = [
        ("Chart.yaml", chart.as_str()),
        ("values.yaml", "replicas: 1\nmessage: hello\n"),
        ("values.schema.json", schema),
        ("templates/deployment.yaml", deployment.as_str()),
        ("templates/config.yaml", config),
    ];
    files.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec()
}

/// Returns the YAML of a repository and of a release `name` of the chart `web`.
pub(crate) fn yaml(namespace: &str, name: &str, url: &str, spec: &str) -> String {
    format!(
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: {{name: charts, namespace: {namespace}}}\n\
         spec: {{interval: 1s, url: \"{url}\"}}\n---\n\
         apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec:\n  interval: 1s\n  timeout: 10s\n  chart:\n    spec:\n      chart: web\n      version: \"1.x\"\n      \
         sourceRef: {{kind: HelmRepository, name: charts}}\n{spec}"
    )
}
