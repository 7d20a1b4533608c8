//! A chart of many charts, with `tpl` wherever templates of real ones have it.

use std::fmt::Write as _;
use std::path::Path;

/// What each of the charts has, its name apart.
const FILES: &[(&str, &str)] = &[
    (
        "values.yaml",
        r#"enabled: true
image: {repository: "example/{{ .Chart.Name }}", tag: "{{ .Chart.Version }}"}
replicas: 2
nameOverride: ""
annotations:
  team: "{{ .Values.global.team }}"
  host: "{{ include \"svc.name\" . }}.{{ .Values.global.domain }}"
labels: {tier: "{{ .Values.tier }}"}
tier: backend
config:
  url: "https://{{ include \"svc.name\" . }}.{{ .Values.global.domain }}/api"
  level: "{{ .Values.global.level | upper }}"
  text: |
    name = {{ include "svc.name" . }}
    {{- range $key, $value := .Values.image }}
    {{ $key }} = {{ tpl $value $ }}
    {{- end }}
env:
- {name: HOST, value: "{{ include \"svc.name\" . }}"}
- {name: DOMAIN, value: "{{ .Values.global.domain }}"}
- {name: LEVEL, value: "{{ .Values.global.level }}"}
resources: {limits: {cpu: 100m, memory: 128Mi}, requests: {cpu: 50m, memory: 64Mi}}
ports: [{name: http, port: 80}, {name: metrics, port: 9090}]
"#,
    ),
    (
        "templates/_helpers.tpl",
        r#"{{- define "svc.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- define "svc.fullname" -}}
{{- printf "%s-%s" .Release.Name (include "svc.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- define "svc.render" -}}
{{- $value := typeIs "string" .value | ternary .value (.value | toYaml) -}}
{{- if contains "{{" (toJson .value) -}}
{{- tpl $value .context -}}
{{- else -}}
{{- $value -}}
{{- end -}}
{{- end -}}
{{- define "svc.labels" -}}
app.kubernetes.io/name: {{ include "svc.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{ include "svc.render" (dict "value" .Values.labels "context" .) }}
{{- end -}}
"#,
    ),
    (
        "templates/config.yaml",
        r#"apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "svc.fullname" . }}
  labels: {{- include "svc.labels" . | nindent 4 }}
  annotations: {{- include "svc.render" (dict "value" .Values.annotations "context" .) | nindent 4 }}
data:
  {{- range $key, $value := .Values.config }}
  {{ $key }}: {{ include "svc.render" (dict "value" $value "context" $) | quote }}
  {{- end }}
"#,
    ),
    (
        "templates/deployment.yaml",
        r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "svc.fullname" . }}
  labels: {{- include "svc.labels" . | nindent 4 }}
  annotations: {{- include "svc.render" (dict "value" .Values.annotations "context" .) | nindent 4 }}
spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels: {app: {{ include "svc.name" . | quote }}}
  template:
    metadata:
      labels: {app: {{ include "svc.name" . | quote }}}
      annotations:
        checksum/config: {{ include (print $.Template.BasePath "/config.yaml") . | sha256sum }}
    spec:
      containers:
      - name: main
        image: {{ printf "%s:%s" (tpl .Values.image.repository .) (tpl .Values.image.tag .) | quote }}
        env: {{- include "svc.render" (dict "value" .Values.env "context" .) | nindent 8 }}
        {{- with .Values.resources }}
        resources: {{- toYaml . | nindent 10 }}
        {{- end }}
        ports:
        {{- range .Values.ports }}
        - name: {{ .name }}
          containerPort: {{ .port }}
        {{- end }}
"#,
    ),
    (
        "templates/service.yaml",
        r#"apiVersion: v1
kind: Service
metadata:
  name: {{ include "svc.fullname" . }}
  labels: {{- include "svc.labels" . | nindent 4 }}
spec:
  selector: {app: {{ include "svc.name" . | quote }}}
  ports: {{- include "svc.render" (dict "value" .Values.ports "context" .) | nindent 2 }}
"#,
    ),
];

/// Writes an umbrella over so many charts.
pub(crate) fn write(folder: &Path, charts: usize) {
    let mut chart = "apiVersion: v2\nname: umbrella\nversion: 1.0.0\ndependencies:\n".to_owned();
    let mut values = "global: {team: platform, domain: example.com, level: info}\n".to_owned();
    for index in 0..charts {
        let name = format!("svc-{index:04}");
        writeln!(
            chart,
            "- {{name: {name}, version: 1.x, condition: {name}.enabled, tags: [services]}}"
        )
        .unwrap();
        writeln!(
            values,
            "{name}: {{replicas: {}, tier: \"t{{{{ .Values.replicas }}}}\"}}",
            index % 5
        )
        .unwrap();
        let own = format!("apiVersion: v2\nname: {name}\nversion: 1.{index}.0\n");
        let below = folder.join("charts").join(&name);
        put(&below, "Chart.yaml", &own);
        for (file, text) in FILES {
            put(&below, file, text);
        }
    }
    put(folder, "Chart.yaml", &chart);
    put(folder, "values.yaml", &values);
}

fn put(folder: &Path, file: &str, text: &str) {
    let path = folder.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}
