//! What a record holds: the same as Helm's, whoever wrote it, also once it is superseded.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::support::api::Api;
use crate::support::helm::Helm;
use crate::support::leadsman::{Leadsman, simulated};
use crate::support::process::run;
use crate::support::wait::LATER;

const TEMPLATE: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Chart.Name }}-{{ .Release.Revision }}}
data: {a: \"<b> & {{ .Values.a }}\"}
";
const SUB: &str = "dependencies:\n- {name: sub, version: 1.0.0, condition: sub.enabled}\n";

/// Charts, whether they have values, and what else is in `Chart.yaml`.
const CHARTS: &[(&str, Option<&str>, &str)] = &[
    ("none", None, ""),
    ("empty", Some(""), ""),
    ("comment", Some("# nothing\n"), ""),
    ("some", Some("a: <1>\nn: 1.50\nlist: [1, x]\n"), ""),
    ("above", None, SUB),
];

fn write(folder: &Leadsman, (name, values, more): (&str, Option<&str>, &str)) {
    let metadata = format!("apiVersion: v2\nname: {name}\nversion: 1.0.0\n{more}");
    folder.file(&format!("{name}/Chart.yaml"), &metadata);
    folder.file(&format!("{name}/templates/a.yaml"), TEMPLATE);
    if let Some(values) = values {
        folder.file(&format!("{name}/values.yaml"), values);
    }
    if !more.is_empty() {
        folder.file(
            &format!("{name}/charts/sub/Chart.yaml"),
            "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
        );
        folder.file(&format!("{name}/charts/sub/templates/a.yaml"), TEMPLATE);
    }
}

/// Returns what the records of a namespace hold, without what is never the same.
async fn records(api: &Api, namespace: &str) -> Vec<Value> {
    let mut found = Vec::new();
    for secret in api.list(&format!("/api/v1/namespaces/{namespace}/secrets")).await {
        let Some(data) = secret["data"]["release"].as_str() else { continue };
        let packed = STANDARD.decode(STANDARD.decode(data).unwrap()).unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
        let mut record: Value =
            serde_json::from_str(&text.replace(namespace, "NAMESPACE")).unwrap();
        forget(&mut record);
        found.push(record);
    }
    found.sort_by_key(|record| (record["name"].to_string(), record["version"].as_u64()));
    found
}

fn forget(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| {
                !["modtime", "first_deployed", "last_deployed"].contains(&key.as_str())
            });
            map.values_mut().for_each(forget);
        }
        Value::Array(items) => items.iter_mut().for_each(forget),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_hold_what_helm_s_hold() {
    let Some(helm) = Helm::find() else { return };
    let (here, _running) = simulated().await;
    let kubeconfig = here.folder().join("kubeconfig");
    let helm = helm.kubeconfig(&kubeconfig);
    let api = Api::connect(&kubeconfig).await;
    let leadsman = Leadsman::new().kubeconfig(&kubeconfig);
    CHARTS.iter().for_each(|chart| write(&leadsman, *chart));
    let (theirs, ours) = (api.create_namespace("theirs").await, api.create_namespace("ours").await);
    for (name, _, _) in CHARTS {
        let chart = leadsman.folder().join(name).to_string_lossy().into_owned();
        for words in [
            &["install", name, &chart][..],
            &["upgrade", name, &chart, "--set", "sub.enabled=false"],
            &["upgrade", name, &chart, "--reuse-values"],
            &["upgrade", name, &chart, "--reset-values", "--set", "a=1"],
            &["rollback", name, "1"],
        ] {
            let within = |namespace: &str| {
                let words = words.iter().copied().chain(["-n", namespace]);
                words.map(str::to_owned).collect::<Vec<_>>()
            };
            run(helm.command(&within(&theirs)), LATER).await.success();
            leadsman.run(&within(&ours)).await.success();
        }
    }
    let (wanted, got) = (records(&api, &theirs).await, records(&api, &ours).await);
    assert_eq!(wanted.len(), CHARTS.len() * 5);
    for (wanted, got) in wanted.iter().zip(&got) {
        assert_eq!(got, wanted);
    }
    assert_eq!(got.len(), wanted.len());
    // Of all charts, these have none.
    let bare = |record: &&Value| record["chart"]["values"].is_null();
    let bare = got.iter().filter(bare).map(|record| (record["name"].as_str(), &record["version"]));
    let bare: Vec<_> = bare.map(|(name, version)| format!("{}.{version}", name.unwrap())).collect();
    assert_eq!(bare, ["above.2", "none.1", "none.2", "none.4", "none.5"]);
}
