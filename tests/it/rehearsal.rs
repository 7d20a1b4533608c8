//! `plan --simulate`: what would fail half way is known before, and nothing is written.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::control_plane::ControlPlane;
use crate::support::leadsman::Leadsman;
use crate::support::process::Output;
use crate::support::wait::{SOON, until};

const OBJECTS: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: {{ .Values.app }}}}
  template:
    metadata: {labels: {app: {{ .Values.app }}}}
    spec: {containers: [{name: main, image: example/shop}]}
";
/// It is there already when it is to run the second time, and cannot change.
const HOOK: &str = "\
apiVersion: batch/v1
kind: Job
metadata:
  name: hook
  annotations: {helm.sh/hook: 'pre-install,pre-upgrade', helm.sh/hook-delete-policy: hook-failed}
spec:
  template:
    spec: {restartPolicy: Never, containers: [{name: a, image: \"example/hook:{{ .Values.replicas }}\"}]}
";
/// Once it is there, it can be no other.
const RETURNS: &str = "\
apiVersion: batch/v1
kind: Job
metadata:
  name: returns
  annotations: {helm.sh/hook: 'pre-install,pre-rollback,pre-delete', helm.sh/hook-delete-policy: hook-failed}
spec:
  template:
    spec: {restartPolicy: Never, containers: [{name: a, image: \"example/hook:{{ .Values.replicas }}\"}]}
";
const CLASSY: &str = "\
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: classy}
spec:
  serviceName: classy
  selector: {matchLabels: {app: classy}}
  template:
    metadata: {labels: {app: classy}}
    spec: {priorityClassName: nowhere, containers: [{name: main, image: example/classy}]}
";
const CART: &str = "apiVersion: example.com/v1\nkind: Cart\nmetadata: {name: cart}\n";
const OLD: &str = "apiVersion: batch/v1beta1\nkind: CronJob\nmetadata: {name: old}\n";
const ELSEWHERE: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: '{{ .Release.Namespace }}-more'}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: there, namespace: '{{ .Release.Namespace }}-more'}
";
const DEFINITION: &str = "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: carts.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Cart, plural: carts, singular: cart, listKind: CartList}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
";

/// A cluster, and who plans there.
struct Shop {
    api: Api,
    leadsman: Leadsman,
    namespace: String,
}

impl Shop {
    async fn new(kubeconfig: &Path, namespace: &str) -> Self {
        let leadsman = Leadsman::new().kubeconfig(kubeconfig);
        let shop =
            Self { api: Api::connect(kubeconfig).await, leadsman, namespace: namespace.to_owned() };
        shop.chart("good", &[]);
        shop.chart("hooked", &[("templates/hook.yaml", HOOK)]);
        shop.chart("cart", &[("templates/cart.yaml", CART)]);
        shop.chart("whole", &[("templates/cart.yaml", CART), ("crds/cart.yaml", DEFINITION)]);
        shop.chart("old", &[("templates/old.yaml", OLD)]);
        shop.chart("wide", &[("templates/wide.yaml", ELSEWHERE)]);
        shop.chart("returns", &[("templates/returns.yaml", RETURNS)]);
        shop.chart("classy", &[("templates/classy.yaml", CLASSY)]);
        shop
    }

    fn chart(&self, name: &str, more: &[(&str, &str)]) {
        let files = [
            ("Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\n"),
            ("values.yaml", "replicas: 1\napp: shop\n"),
            ("templates/objects.yaml", OBJECTS),
        ];
        for (file, text) in files.iter().chain(more) {
            self.leadsman.file(&format!("{name}/{file}"), text);
        }
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        self.leadsman.run(&[arguments, &["-n", &self.namespace]].concat()).await
    }

    /// Plays a plan; returns the exit code and how it went. Nothing changes in the cluster.
    async fn plays(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        let before = self.everything().await;
        let plan = [&["plan"], arguments, &["--simulate", "-o", "json"]].concat();
        let said = self.run(&plan).await;
        assert_eq!(self.everything().await, before, "{arguments:?} changed something");
        let report: Value = serde_json::from_str(&said.stdout)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", said.stderr));
        (said.code, report["simulation"].clone())
    }

    async fn passes(&self, arguments: &[&str]) {
        self.plays_well(&[&["shop"], arguments].concat()).await;
    }

    async fn fails(&self, arguments: &[&str], reason: &str, hint: &str) {
        self.plays_badly(&[&["shop"], arguments].concat(), reason, hint).await;
    }

    async fn plays_well(&self, arguments: &[&str]) {
        let seen = self.plays(arguments).await;
        assert_eq!(seen, (Some(3), json!({"passes": true})), "{arguments:?}");
    }

    async fn plays_badly(&self, arguments: &[&str], reason: &str, hint: &str) {
        let (code, seen) = self.plays(arguments).await;
        assert_eq!(code, Some(1), "{arguments:?}: {seen}");
        let text = |key: &str| seen[key].as_str().unwrap_or_default().to_owned();
        assert!(text("reason").contains(reason), "{arguments:?}: {reason}\nis not in\n{seen}");
        assert!(text("hint").contains(hint), "{arguments:?}: {seen}");
    }

    /// Names and versions of what is there.
    async fn everything(&self) -> Vec<Value> {
        let mut found = Vec::new();
        for path in ["api/v1", "apis/apps/v1"] {
            let kinds = ["configmaps", "secrets", "deployments"];
            for kind in kinds.iter().filter(|kind| (**kind == "deployments") == (path != "api/v1"))
            {
                let path = format!("/{path}/namespaces/{}/{kind}", self.namespace);
                for object in self.api.list(&path).await {
                    let metadata = &object["metadata"];
                    // A controller of the real cluster makes it some time.
                    if metadata["name"] == "kube-root-ca.crt" {
                        continue;
                    }
                    found.push(json!([
                        kind,
                        metadata["name"],
                        metadata["generation"],
                        object["data"]
                    ]));
                }
            }
        }
        let namespaces = self.api.list("/api/v1/namespaces").await.into_iter();
        let own = |one: &Value| one.as_str().is_some_and(|name| name.starts_with(&self.namespace));
        found.extend(namespaces.map(|one| one["metadata"]["name"].clone()).filter(own));
        found
    }
}

async fn tells_what_fails(kubeconfig: &Path, namespace: &str) {
    let shop = Shop::new(kubeconfig, namespace).await;
    shop.passes(&["./good"]).await;
    shop.passes(&["./wide"]).await;
    shop.fails(&["./cart"], "no matches for kind \"Cart\"", "put its definition into").await;
    shop.passes(&["./whole"]).await;
    shop.fails(&["./old"], "no matches for kind \"CronJob\"", "is not served").await;
    let installed = shop.run(&["install", "shop", "./hooked"]).await;
    assert_eq!(installed.code, Some(0), "{}", installed.stderr);
    let upgrade = ["./hooked", "--set", "replicas=2"];
    shop.fails(&upgrade, "Job.batch \"hook\" is invalid", "delete the object first").await;
    // It is what happens.
    let real = shop.run(&[&["upgrade", "shop"], &upgrade[..]].concat()).await;
    assert!(real.stderr.contains("Job.batch \"hook\" is invalid"), "{}", real.stderr);
    shop.passes(&["./good", "--set", "replicas=2"]).await;
    shop.fails(&["./good", "--set", "app=other"], "immutable", "delete the object first").await;
    // Who owns which field is known there, too.
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/shop");
    shop.api.merge(&path, &json!({"spec": {"replicas": 5}})).await;
    let upgrade = ["./good", "--set", "replicas=2"];
    shop.fails(&upgrade, "conflict occurred while applying object", "--force-conflicts").await;
    shop.passes(&[&upgrade[..], &["--force-conflicts"]].concat()).await;
    let said = shop.run(&["plan", "shop", "./cart", "--simulate"]).await;
    let wanted = "\nIn the simulated cluster it fails: unable to build kubernetes objects";
    assert!(said.stdout.contains(wanted), "{}", said.stdout);
    assert!(said.stdout.contains("\n  hint: its kind is not served"), "{}", said.stdout);
}

/// Rollbacks and uninstalls: what stands in their way is known, and is what happens.
async fn tells_what_does_not_return(kubeconfig: &Path, namespace: &str) {
    let shop = Shop::new(kubeconfig, namespace).await;
    for (verb, replicas) in
        [("install", "replicas=1"), ("upgrade", "replicas=2"), ("upgrade", "replicas=3")]
    {
        let done = shop.run(&[verb, "shop", "./returns", "--set", replicas]).await;
        assert_eq!(done.code, Some(0), "{}", done.stderr);
    }
    // The hook's Job is still that of the first revision.
    shop.plays_well(&["rollback", "shop", "1"]).await;
    let why = "Job.batch \"returns\" is invalid";
    shop.plays_badly(&["rollback", "shop", "2"], why, "delete the object first").await;
    shop.plays_badly(&["uninstall", "shop"], why, "delete the object first").await;
    shop.plays_well(&["rollback", "shop", "2", "--no-hooks"]).await;
    shop.plays_well(&["uninstall", "shop", "--no-hooks"]).await;
    let kept = ["plan", "rollback", "shop", "2", "--simulate", "--save", "kept.json"];
    let kept = shop.run(&kept).await;
    assert_eq!(kept.code, Some(1), "{}", kept.stderr);
    assert!(kept.stderr.contains("fails in the simulated cluster"), "{}", kept.stderr);
    let real = shop.run(&["rollback", "shop", "2"]).await;
    assert!(real.stderr.contains(why), "{}", real.stderr);
    let job = format!("/apis/batch/v1/namespaces/{namespace}/jobs/returns");
    shop.api.delete(&job).await;
    until("the Job is gone", SOON, async || {
        if shop.api.get(&job).await.is_none() { Ok(()) } else { Err("it is there".to_owned()) }
    })
    .await;
    shop.plays_well(&["uninstall", "shop", "--wait"]).await;
    let real = shop.run(&["uninstall", "shop", "--wait"]).await;
    assert_eq!(real.code, Some(0), "{}", real.stderr);
}

/// What keeps Pods from being made is known before anybody waits for them.
async fn tells_what_does_not_start(kubeconfig: &Path, namespace: &str) {
    let shop = Shop::new(kubeconfig, namespace).await;
    let path = format!("/api/v1/namespaces/{namespace}");
    let other = json!({"metadata": {"name": "other"}, "spec": {"containers": [{"name": "a", "image": "a"}]}});
    shop.api.create(&format!("{path}/pods"), &other).await.unwrap();
    let installed = shop.run(&["install", "shop", "./good", "--wait"]).await;
    assert_eq!(installed.code, Some(0), "{}", installed.stderr);
    let quota =
        json!({"metadata": {"name": "few"}, "spec": {"hard": {"pods": "3", "configmaps": "1"}}});
    shop.api.create(&format!("{path}/resourcequotas"), &quota).await.unwrap();
    let quota = format!("{path}/resourcequotas/few");
    until("the quota is counted", SOON, async || {
        let status = shop.api.get(&quota).await.unwrap_or_default()["status"].clone();
        if status["used"]["pods"] == "2" { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    // One of three is somebody else's.
    shop.passes(&["./good", "--set", "replicas=2", "--wait"]).await;
    let why = "exceeded quota: few, requested: pods=1, used: pods=3, limited: pods=3";
    shop.fails(&["./good", "--set", "replicas=3", "--wait"], why, "raise the quota").await;
    // Who does not wait is done by then.
    shop.passes(&["./good", "--set", "replicas=3"]).await;
    let why = "StatefulSet/";
    shop.fails(&["./classy", "--wait"], why, "make the class first").await;
    let range = json!({"metadata": {"name": "small"},
        "spec": {"limits": [{"type": "Pod", "max": {"cpu": "1"}}]}});
    shop.api.create(&format!("{path}/limitranges"), &range).await.unwrap();
    let why = "maximum cpu usage per Pod is 1.  No limit is specified";
    let more = ["./good", "--set", "replicas=2", "--wait"];
    shop.fails(&more, why, "what the limit range allows").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_not_return_or_start_on_a_real_api_server_is_known_before() {
    let Some(cluster) = ControlPlane::shared() else { return };
    let api = cluster.api().await;
    let namespace = api.create_namespace("returning").await;
    tells_what_does_not_return(&cluster.kubeconfig(), &namespace).await;
    let namespace = api.create_namespace("starting").await;
    tells_what_does_not_start(&cluster.kubeconfig(), &namespace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_not_return_or_start_in_the_simulated_cluster_is_known_before() {
    let server = Leadsman::new();
    let simulated = server.spawn(&["sim", "--kubeconfig-out", "kubeconfig"]);
    simulated.line(SOON, |line| line.contains("the simulated cluster listens")).await;
    let kubeconfig = server.folder().join("kubeconfig");
    let api = Api::connect(&kubeconfig).await;
    let namespace = api.create_namespace("returning").await;
    tells_what_does_not_return(&kubeconfig, &namespace).await;
    let namespace = api.create_namespace("starting").await;
    tells_what_does_not_start(&kubeconfig, &namespace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_fail_on_a_real_api_server_is_known_before() {
    let Some(cluster) = ControlPlane::shared() else { return };
    let namespace = cluster.api().await.create_namespace("rehearsal").await;
    tells_what_fails(&cluster.kubeconfig(), &namespace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_fail_in_the_simulated_cluster_is_known_before() {
    let server = Leadsman::new();
    let simulated = server.spawn(&["sim", "--kubeconfig-out", "kubeconfig"]);
    simulated.line(SOON, |line| line.contains("the simulated cluster listens")).await;
    tells_what_fails(&server.folder().join("kubeconfig"), "default").await;
}
