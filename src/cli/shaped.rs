//! `get all --template`: a release in a template of the user's own.
//!
//! Source: helm v4.3.2 pkg/cmd/{get_all,helpers}.go (`tpl`), pkg/release/v1/release.go.

use std::collections::BTreeMap;

use anyhow::anyhow;
use serde_json::json;

use super::name::plain;
use crate::base::limit;
use crate::release::{Record, offline};
use crate::template::{Context, Frozen, Program, ReleaseInfo, Scope, TemplateFile};
use crate::yaml::{Map, Value};

/// How Helm calls the user's template.
const TEMPLATE: &str = "_";
/// Go's zero time.
const NEVER: &str = "0001-01-01T00:00:00Z";
/// Makes times of texts, as in Go's structures, and gives all to the user's template.
const OUTER: &str = r#"{{- $info := .Values.Release.Info }}
{{- range list "FirstDeployed" "LastDeployed" "Deleted" }}
  {{- $_ := set $info . (toDate "2006-01-02T15:04:05.999999999Z07:00" (get $info .)) }}
{{- end }}
{{- range .Values.Release.Hooks }}
  {{- $run := .LastRun }}
  {{- range list "StartedAt" "CompletedAt" }}
    {{- $_ := set $run . (toDate "2006-01-02T15:04:05.999999999Z07:00" (get $run .)) }}
  {{- end }}
{{- end }}
{{- template "_" .Values }}"#;

/// Returns what a template makes of a release, as `.Release`; its labels are all that the record has.
///
/// # Errors
/// The template is none, or fails.
pub(super) fn render(
    record: &Record,
    labels: &BTreeMap<String, String>,
    text: &str,
) -> anyhow::Result<String> {
    let scope = Scope {
        path: String::new(),
        name: String::new(),
        parent: None,
        chart: Value::Object(Map::new()),
        files: [].into(),
        library: false,
    };
    let scopes = [scope];
    let file = |name: &str, text: &str| TemplateFile {
        name: name.to_owned(),
        text: text.to_owned().into(),
        scope: 0,
    };
    let files = vec![file(TEMPLATE, text), file("outer", OUTER)];
    let program = Program::compile(files, &scopes).map_err(|error| plain(&error.to_string()))?;
    let release = ReleaseInfo {
        name: record.name.clone(),
        namespace: record.namespace.clone(),
        revision: record.version,
        is_upgrade: false,
    };
    let values = Frozen::new(&json!({"Release": of(record, labels)}));
    let context = Context {
        scopes: &scopes,
        values: &values,
        release: &release,
        capabilities: &offline("", &[])?,
        lookup: None,
        lenient: false,
        limits: limit::current(),
        hosts: None,
    };
    let rendered = program.render(&context).map_err(|error| plain(&error.to_string()))?;
    let found = rendered.into_iter().next().map(|file| file.text);
    found.ok_or_else(|| anyhow!("the template gave nothing"))
}

/// Returns a record with the names of Go's fields.
fn of(record: &Record, labels: &BTreeMap<String, String>) -> Value {
    let time = |text: &str| if text.is_empty() { NEVER } else { text }.to_owned();
    let info = &record.info;
    let hooks: Vec<Value> = record
        .hooks
        .iter()
        .map(|hook| {
            let run = &hook.last_run;
            json!({
                "Name": hook.name,
                "Kind": hook.kind,
                "Path": hook.path,
                "Manifest": hook.manifest,
                "Events": hook.events,
                "LastRun": {
                    "StartedAt": time(&run.started_at),
                    "CompletedAt": time(&run.completed_at),
                    "Phase": run.phase,
                },
                "Weight": hook.weight,
                "DeletePolicies": hook.delete_policies,
                "OutputLogPolicies": hook.output_log_policies,
            })
        })
        .collect();
    json!({
        "Name": record.name,
        "Info": {
            "FirstDeployed": time(&info.first_deployed),
            "LastDeployed": time(&info.last_deployed),
            "Deleted": time(&info.deleted),
            "Description": info.description,
            "Status": info.status,
            "RollbackRevision": info.rollback_revision,
            "Notes": info.notes,
            "Resources": {},
        },
        "Chart": chart(record),
        "Config": record.values(),
        "Manifest": record.manifest,
        "Hooks": hooks,
        "Version": record.version,
        "Namespace": record.namespace,
        "Labels": labels,
        "ApplyMethod": record.apply_method,
    })
}

/// Returns the chart; what Go has methods for is a field.
fn chart(record: &Record) -> Value {
    let metadata = record.metadata();
    let stored = serde_json::to_value(&record.chart).unwrap_or_default();
    let files = |key: &str| {
        let list = stored.get(key).and_then(Value::as_array);
        let named = list.into_iter().flatten().filter_map(|file| file.get("name"));
        named.map(|name| json!({"Name": name})).collect::<Vec<_>>()
    };
    json!({
        "Name": metadata.name,
        "AppVersion": metadata.app_version,
        "ChartPath": metadata.name,
        "ChartFullPath": metadata.name,
        "IsRoot": true,
        "Metadata": metadata.to_template_map(true),
        "Values": record.chart().values,
        "Templates": files("templates"),
        "Files": files("files"),
        "Dependencies": [],
    })
}
