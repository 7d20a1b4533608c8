//! Bad input: each ends as a condition on the right object and a line that names the cause, and
//! hurts nobody else.

use crate::support::api::{Api, condition};
use crate::support::chart::{web, yaml};
use crate::support::control_plane::ControlPlane;
use crate::support::fault::Fault;
use crate::support::leadsman::Leadsman;
use crate::support::pack::Package;
use crate::support::repository::Repository;
use crate::support::wait::{SOON, until};

fn release(name: &str, spec: &str) -> String {
    let chart = |chart: &str, version: &str, source: &str| {
        format!(
            "  chart: {{spec: {{chart: {chart}, version: \"{version}\", sourceRef: {{kind: HelmRepository, name: {source}}}}}}}\n"
        )
    };
    let spec = match spec {
        "no chart" => chart("nope", "1.x", "charts"),
        "no version" => chart("web", "9.x", "charts"),
        "no range" => chart("web", "not a range", "charts"),
        "no repository" => chart("web", "1.x", "nowhere"),
        "broken template" => chart("broken", "1.x", "charts"),
        "corrupt archive" => chart("corrupt", "1.x", "charts"),
        "wrong digest" => chart("lied", "1.x", "charts"),
        "unserved kind" => chart("unserved", "1.x", "charts"),
        more => format!("{}{more}", chart("web", "1.x", "charts")),
    };
    format!(
        "---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: {name}}}\nspec:\n  interval: 1s\n  timeout: 5s\n{spec}"
    )
}

fn chart(name: &str, template: &str) -> Package {
    let metadata = format!("apiVersion: v2\nname: {name}\nversion: 1.0.0\n");
    Package::files([("Chart.yaml", metadata.as_str()), ("templates/t.yaml", template)])
}

/// Name, spec, reason of `Ready`, parts of its message.
const ROWS: &[(&str, &str, &str, &[&str])] = &[
    ("no-chart", "no chart", "SourceNotReady", &["no chart `nope`"]),
    ("no-version", "no version", "SourceNotReady", &["matching `9.x`", "nearest are 1.0.0"]),
    ("no-range", "no range", "SourceNotReady", &["improper constraint"]),
    ("no-repository", "no repository", "SourceNotReady", &["nowhere", "create it or correct"]),
    ("broken", "broken template", "InstallFailed", &["broken/templates/t.yaml:1", "nil pointer"]),
    ("corrupt", "corrupt archive", "ArtifactFailed", &["corrupt-1.0.0.tgz"]),
    ("digest", "wrong digest", "ArtifactFailed", &["the index says", "inconsistent"]),
    (
        "unserved",
        "unserved kind",
        "InstallFailed",
        &["no matches for kind \"Gone\"", "ensure CRDs"],
    ),
    (
        "schema",
        "  values: {replicas: many}\n",
        "InstallFailed",
        &["at '/replicas'", "want integer"],
    ),
    ("required", "  values: {message: \"\"}\n", "InstallFailed", &["message is required"]),
    (
        "values-missing",
        "  valuesFrom: [{kind: ConfigMap, name: none}]\n",
        "ValuesError",
        &["configmaps \"none\" not found"],
    ),
    ("namespace", "  targetNamespace: not-there\n", "InstallFailed", &["not-there", "not found"]),
    ("dependency", "  dependsOn: [{name: ghost}]\n", "DependencyNotReady", &["ghost"]),
    ("circle-a", "  dependsOn: [{name: circle-b}]\n", "DependencyCycle", &["circle-a", "circle-b"]),
    ("circle-b", "  dependsOn: [{name: circle-a}]\n", "DependencyCycle", &["dependsOn"]),
    ("unsupported", "  postRenderers: []\n", "Unsupported", &["spec.postRenderers"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_mistake_is_said_where_it_was_made() {
    let Some(cluster) = ControlPlane::shared() else { return };
    let api = cluster.api().await;
    let namespace = api.create_namespace("bad").await;
    let repository = Repository::start();
    repository.publish_package(web("1.0.0", ""));
    repository.publish_package(chart("broken", "a: {{ .Values.nope.x }}"));
    repository.publish_package(chart("corrupt", "a: 1"));
    repository.publish_package(chart("lied", "a: 1"));
    repository.publish_package(chart(
        "unserved",
        "apiVersion: x.example/v1\nkind: Gone\nmetadata: {name: x}",
    ));
    repository.edit_entry("corrupt-1.0.0.tgz", |entry| entry["digest"] = "".into());
    repository.put("corrupt-1.0.0.tgz", &b"this is no archive"[..]);
    repository.edit_entry("lied-1.0.0.tgz", |entry| entry["digest"] = "00".repeat(32).into());
    let leadsman = Leadsman::new().kubeconfig(&cluster.kubeconfig());
    leadsman.file("source/good.yaml", &yaml(&namespace, "good", &repository.url(), ""));
    for (name, spec, _, _) in ROWS {
        let text = release(name, spec)
            .replace("metadata: {name:", &format!("metadata: {{namespace: {namespace}, name:"));
        leadsman.file(&format!("source/{name}.yaml"), &text);
    }
    leadsman.file("source/broken.yaml.yml", "a: [1\nb: 2\n");
    let running = leadsman.spawn(&["run", "source", "-n", &namespace, "--interval", "1s"]);
    running.line(SOON, |line| line.starts_with("SOURCE broken.yaml.yml:2: ")).await;
    until("the good release is ready all the same", SOON, async || {
        let release = get(&api, &namespace, "good").await;
        condition(&release, "Ready").is_some_and(|c| c["status"] == "True")
    })
    .await;
    let mut wrong = Vec::new();
    for (name, _, reason, parts) in ROWS {
        let path = until_reason(&api, &namespace, name, reason).await;
        match path {
            Ok(message) => {
                wrong.extend(
                    parts
                        .iter()
                        .filter(|part| !message.contains(**part))
                        .map(|part| format!("{name}: `{message}` lacks `{part}`")),
                );
            }
            Err(seen) => wrong.push(format!("{name}: want {reason}, got {seen}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn get(api: &Api, namespace: &str, name: &str) -> serde_json::Value {
    let path =
        format!("/apis/helm.toolkit.fluxcd.io/v2/namespaces/{namespace}/helmreleases/{name}");
    api.get(&path).await.unwrap_or_default()
}

async fn until_reason(
    api: &Api,
    namespace: &str,
    name: &str,
    reason: &str,
) -> Result<String, String> {
    let mut seen = String::new();
    for _ in 0..100 {
        let release = get(api, namespace, name).await;
        if let Some(ready) = condition(&release, "Ready") {
            if ready["status"] == "False" && ready["reason"] == reason {
                return Ok(ready["message"].as_str().unwrap_or_default().to_owned());
            }
            seen = ready.to_string();
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    Err(seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_misbehaves_says_so_and_recovers() {
    let Some(cluster) = ControlPlane::shared() else { return };
    let api = cluster.api().await;
    let namespace = api.create_namespace("badrepo").await;
    let rows: &[(Fault, &str)] = &[
        (Fault::Unauthorized, "check user and password"),
        (Fault::Status(404), "404 Not Found"),
        (Fault::Status(500), "500"),
        (Fault::Html, "web page"),
    ];
    let repository = Repository::start();
    repository.publish_package(web("1.0.0", ""));
    let leadsman = Leadsman::new().kubeconfig(&cluster.kubeconfig());
    repository.misbehave("/index.yaml", rows[0].0.clone());
    leadsman.file("source/good.yaml", &yaml(&namespace, "web", &repository.url(), ""));
    let _running = leadsman.spawn(&["run", "source", "-n", &namespace, "--interval", "1s"]);
    let path =
        format!("/apis/source.toolkit.fluxcd.io/v1/namespaces/{namespace}/helmrepositories/charts");
    for (fault, text) in rows {
        repository.behave();
        repository.misbehave("/index.yaml", fault.clone());
        until(text, SOON, async || {
            let found = api.get(&path).await.unwrap_or_default();
            let ready = condition(&found, "Ready").cloned().unwrap_or_default();
            let said = ready["message"].as_str().is_some_and(|message| message.contains(text));
            if said && ready["status"] == "False" { Ok(()) } else { Err(ready.to_string()) }
        })
        .await;
    }
    repository.behave();
    until("it recovers, and the release is installed", SOON, async || {
        let release = get(&api, &namespace, "web").await;
        condition(&release, "Ready").is_some_and(|c| c["status"] == "True")
    })
    .await;
}
