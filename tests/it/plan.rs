//! `plan` and `diff`: what they foretell is what Helm then does, and they change nothing.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::chart::{web, yaml};
use crate::support::control_plane::ControlPlane;
use crate::support::helm::Helm;
use crate::support::leadsman::Leadsman;
use crate::support::process::Output;
use crate::support::repository::Repository;
use crate::support::wait::SOON;

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels: {app: {{ .Values.app }}}
  template:
    metadata:
      labels: {app: {{ .Values.app }}}
    spec:
      containers:
      - name: main
        image: example/shop:{{ .Chart.Version }}
      {{- if .Values.sidecar }}
      - name: sidecar
        image: example/sidecar
      {{- end }}
";
const CONFIG: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: shop}
data:
  app.conf: |
    listen {{ .Values.port }}
    quiet
---
apiVersion: v1
kind: Secret
metadata: {name: shop}
stringData:
  password: {{ .Values.password }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: same}
";
const OLD: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: old}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kept, annotations: {helm.sh/resource-policy: keep}}
";
const NEW: &str = "\
apiVersion: v1
kind: Service
metadata: {name: shop}
spec:
  selector: {app: shop}
  ports: [{port: 80}]
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: migrate
  annotations: {helm.sh/hook: 'pre-upgrade,post-upgrade', helm.sh/hook-weight: '2'}
";

/// Writes a chart into a folder of this name; returns its path.
fn chart(leadsman: &Leadsman, version: &str, values: &str, more: &str) -> String {
    let metadata = format!("apiVersion: v2\nname: shop\nversion: {version}\nappVersion: \"7\"\n");
    let files = [
        ("Chart.yaml", metadata.as_str()),
        ("values.yaml", values),
        ("templates/deployment.yaml", DEPLOYMENT),
        ("templates/config.yaml", CONFIG),
        ("templates/more.yaml", more),
    ];
    for (name, text) in files {
        leadsman.file(&format!("{version}/{name}"), text);
    }
    leadsman.folder().join(version).to_string_lossy().into_owned()
}

/// Each change as a line, with the paths of its fields.
pub(crate) fn lines(report: &Value) -> Vec<String> {
    let line = |change: &Value| {
        let object = &change["object"];
        let mut text = format!("{} {} {}", change["change"], object["kind"], object["name"]);
        for field in change["fields"].as_array().into_iter().flatten() {
            text.push_str(&format!(" {}", field["path"]));
        }
        text.replace('"', "")
    };
    report["changes"].as_array().unwrap().iter().map(line).collect()
}

/// All that is in the namespace, as it is now.
async fn everything(api: &Api, namespace: &str) -> Vec<Value> {
    let mut found = Vec::new();
    for part in ["apis/apps/v1", "api/v1"] {
        for kind in ["deployments", "configmaps", "secrets", "services"] {
            if (kind == "deployments") == (part == "apis/apps/v1") {
                found.extend(api.list(&format!("/{part}/namespaces/{namespace}/{kind}")).await);
            }
        }
    }
    // Controllers write what is going on.
    for object in &mut found {
        object.as_object_mut().unwrap().remove("status");
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.remove("resourceVersion");
        metadata.remove("managedFields");
    }
    found
}

/// A cluster, a chart in two versions, and who works with them.
struct Shop {
    api: Api,
    leadsman: Leadsman,
    helm: Helm,
    namespace: String,
    first: String,
    second: String,
}

impl Shop {
    async fn new(kubeconfig: &Path, namespace: &str, helm: Helm) -> Self {
        let leadsman = Leadsman::new().kubeconfig(kubeconfig);
        let values = "replicas: 1\napp: shop\nsidecar: false\nport: 80\npassword: before\n";
        let first = chart(&leadsman, "1.0.0", values, OLD);
        let values = "replicas: 2\napp: shop\nsidecar: true\nport: 8080\npassword: afterward\n";
        let second = chart(&leadsman, "2.0.0", values, NEW);
        let api = Api::connect(kubeconfig).await;
        let (helm, namespace) = (helm.kubeconfig(kubeconfig), namespace.to_owned());
        Self { api, leadsman, helm, namespace, first, second }
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        self.leadsman.run(&[arguments, &["-n", &self.namespace]].concat()).await
    }

    /// The report of a command that finds differences.
    async fn report(&self, arguments: &[&str]) -> Value {
        let said = self.run(&[arguments, &["-o", "json"]].concat()).await;
        assert_eq!(said.code, Some(3), "{} {}", said.stdout, said.stderr);
        serde_json::from_str(&said.stdout).unwrap()
    }

    async fn nothing_changes(&self, chart: &str, count: usize) {
        let said = self.run(&["plan", "shop", chart]).await;
        assert_eq!(said.code, Some(0), "{} {}", said.stdout, said.stderr);
        let end = format!("\nnothing changes, {count} as they are\n");
        assert!(said.stdout.ends_with(&end), "{}", said.stdout);
    }
}

async fn foretells(kubeconfig: &Path, namespace: &str, helm: Helm) {
    let shop = Shop::new(kubeconfig, namespace, helm).await;
    let plan = shop.report(&["plan", "shop", &shop.first]).await;
    assert!(plan.get("from").is_none());
    assert_eq!(plan["to"], json!({"chart": "shop-1.0.0", "appVersion": "7"}));
    assert_eq!(plan["changes"].as_array().unwrap().len(), 6);
    assert!(lines(&plan).iter().all(|line| line.starts_with("create ")), "{plan}");
    shop.helm.ok(&["install", "shop", &shop.first, "-n", namespace]).await;
    shop.nothing_changes(&shop.first, 6).await;
    foretells_an_upgrade(&shop).await;
    tells_it_in_words(&shop).await;
    tells_conflicts_and_refusals(&shop).await;
    let upgrade = ["upgrade", "shop", &shop.second, "-n", namespace, "--force-conflicts"];
    shop.helm.ok(&upgrade).await;
    shop.nothing_changes(&shop.second, 5).await;
    compares_revisions(&shop).await;
}

async fn foretells_an_upgrade(shop: &Shop) {
    let before = everything(&shop.api, &shop.namespace).await;
    let plan = shop.report(&["plan", "shop", &shop.second]).await;
    assert_eq!(everything(&shop.api, &shop.namespace).await, before, "a plan changes nothing");
    let wanted = [
        "update Secret shop data.password",
        "update ConfigMap shop data[\\app.conf\\]",
        "create Service shop",
        "update Deployment shop spec.replicas spec.template.spec.containers[main].image \
         spec.template.spec.containers[sidecar]",
        "delete ConfigMap old",
        "keep ConfigMap kept",
    ];
    assert_eq!(lines(&plan), wanted, "{plan}");
    assert_eq!(plan["unchanged"], 1);
    let run_of =
        |event: &str| json!({"event": event, "weight": 2, "kind": "ConfigMap", "name": "migrate"});
    assert_eq!(plan["hooks"], json!([run_of("pre-upgrade"), run_of("post-upgrade")]));
    let text = plan.to_string();
    assert!(text.contains("*** (6 bytes)") && text.contains("*** (9 bytes)"), "{text}");
    assert!(!text.contains("YWZ0ZXJ3YXJk"), "the Secret is shown: {text}");
}

async fn tells_it_in_words(shop: &Shop) {
    let namespace = &shop.namespace;
    let said = shop.run(&["plan", "shop", &shop.second]).await.stdout;
    for part in [
        format!("shop in {namespace}: revision 1 (shop-1.0.0) → shop-2.0.0\n"),
        format!("~ Deployment {namespace}/shop\n    spec.replicas: 1 → 2\n"),
        format!("- ConfigMap {namespace}/old\n"),
        format!("= ConfigMap {namespace}/kept stays, and is the release's no longer\n"),
        "    data[\"app.conf\"]:\n    - listen 80\n    + listen 8080\n      quiet\n".to_owned(),
        "Hooks that run:\n  pre-upgrade ConfigMap/migrate\n".to_owned(),
        "\n1 new, 3 changed, 1 deleted, 1 left alone, 1 as they are\n".to_owned(),
    ] {
        assert!(said.contains(&part), "{part}\nis not in\n{said}");
    }
}

/// What somebody else set is taken from them, and what the server would refuse is known before.
async fn tells_conflicts_and_refusals(shop: &Shop) {
    let deployment = |plan: &Value| {
        let changes = plan["changes"].as_array().unwrap();
        let found = changes.iter().find(|change| change["object"]["kind"] == "Deployment");
        found.unwrap().clone()
    };
    let path = format!("/apis/apps/v1/namespaces/{}/deployments/shop", shop.namespace);
    shop.api.merge(&path, &json!({"spec": {"replicas": 5}})).await;
    let taken = deployment(&shop.report(&["plan", "shop", &shop.second]).await);
    assert_eq!(taken["fields"][0], json!({"path": "spec.replicas", "before": 5, "after": 2}));
    assert_eq!(taken["conflicts"][0]["field"], "spec.replicas", "{taken}");
    let refused =
        deployment(&shop.report(&["plan", "shop", &shop.second, "--set", "app=other"]).await);
    assert_eq!(refused["change"], "refuse");
    assert!(refused["reason"].as_str().unwrap().contains("immutable"), "{refused}");
}

async fn compares_revisions(shop: &Shop) {
    let wanted = [
        "update Secret shop stringData.password",
        "update ConfigMap shop data[\\app.conf\\]",
        "create Service shop",
        "update Deployment shop spec.replicas spec.template.spec.containers[main].image \
         spec.template.spec.containers[sidecar]",
        "create ConfigMap migrate",
        "delete ConfigMap old",
        "keep ConfigMap kept",
    ];
    let revisions = shop.report(&["diff", "shop"]).await;
    assert_eq!(lines(&revisions), wanted);
    assert_eq!(revisions["from"]["revision"], 1);
    assert_eq!(revisions["to"]["revision"], 2);
    let named = shop.report(&["diff", "shop", "--revision", "1", "--to", "2"]).await;
    assert_eq!(lines(&named), wanted);
    let without = shop.report(&["diff", "shop", "--no-hooks"]).await;
    assert_eq!(lines(&without).len(), wanted.len() - 1);
    let shown = shop.report(&["diff", "shop", "--show-secrets"]).await.to_string();
    assert!(shown.contains("\"before\":\"before\"") && shown.contains("afterward"), "{shown}");
    // A chart against the release, the other way around.
    let back = shop.report(&["diff", "shop", &shop.first]).await;
    assert_eq!(back["to"]["chart"], "shop-1.0.0");
    assert!(lines(&back).contains(&"delete Service shop".to_owned()), "{back}");
    for (arguments, wanted) in [
        (&["diff", "shop", "--revision", "9"][..], "shop has no revision 9; there are 2, 1\n"),
        (&["diff", "shop", "--to", "1"], "shop has no revision before 1"),
        (&["diff", "none"], "release: not found"),
        (&["plan", "shop"], "name one, as in `leadsman plan shop CHART`"),
    ] {
        let said = shop.run(arguments).await;
        assert_eq!(said.code, Some(1), "{arguments:?}");
        assert!(said.stderr.contains(wanted), "{arguments:?}: {}", said.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_on_a_real_api_server_comes_true() {
    let (Some(cluster), Some(helm)) = (ControlPlane::shared(), Helm::find()) else { return };
    let namespace = cluster.api().await.create_namespace("plan").await;
    foretells(&cluster.kubeconfig(), &namespace, helm).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_in_the_simulated_cluster_comes_true() {
    let Some(helm) = Helm::find() else { return };
    let server = Leadsman::new();
    let simulated = server.spawn(&["sim", "--kubeconfig-out", "kubeconfig"]);
    simulated.line(SOON, |line| line.contains("the simulated cluster listens")).await;
    foretells(&server.folder().join("kubeconfig"), "default", helm).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_a_helmrelease_takes_the_chart_that_it_asks_for() {
    let server = Leadsman::new();
    let simulated = server.spawn(&["sim", "--kubeconfig-out", "kubeconfig"]);
    simulated.line(SOON, |line| line.contains("the simulated cluster listens")).await;
    let repository = Repository::start();
    repository.publish_package(web("1.0.0", ""));
    let leadsman = Leadsman::new().kubeconfig(&server.folder().join("kubeconfig"));
    let release = yaml("default", "web", &repository.url(), "  values: {message: hi}\n");
    leadsman.file("source/web.yaml", &release);
    let once = leadsman.run(&["run", "source", "--once"]).await;
    assert_eq!(once.code, Some(0), "{}", once.stderr);
    let plan = ["plan", "web", "-n", "default", "-o", "json"];
    let same = leadsman.run(&plan).await;
    assert_eq!(same.code, Some(0), "{} {}", same.stdout, same.stderr);
    repository.publish_package(web("1.1.0", ""));
    let said = leadsman.run(&plan).await;
    assert_eq!(said.code, Some(3), "{} {}", said.stdout, said.stderr);
    let report: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(report["from"]["chart"], "web-1.0.0");
    assert_eq!(report["to"]["chart"], "web-1.1.0");
    let wanted = [
        "update ConfigMap web data.version",
        "update Deployment web spec.template.spec.containers[main].image",
    ];
    assert_eq!(lines(&report), wanted);
    // Other values, without touching the object.
    let more = [&plan[..], &["--set", "replicas=3"]].concat();
    let said = leadsman.run(&more).await.stdout;
    assert!(said.contains("\"spec.replicas\""), "{said}");
}
