//! `plan --simulate`: what would fail half way is known before, and nothing is written.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::control_plane::ControlPlane;
use crate::support::leadsman::Leadsman;
use crate::support::process::Output;
use crate::support::wait::SOON;

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
    async fn simulates(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        let before = self.everything().await;
        let plan = ["plan", "shop", "--simulate", "-o", "json"];
        let said = self.run(&[&plan, arguments].concat()).await;
        assert_eq!(self.everything().await, before, "{arguments:?} changed something");
        let report: Value = serde_json::from_str(&said.stdout)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", said.stderr));
        (said.code, report["simulation"].clone())
    }

    async fn passes(&self, arguments: &[&str]) {
        let seen = self.simulates(arguments).await;
        assert_eq!(seen, (Some(3), json!({"passes": true})), "{arguments:?}");
    }

    async fn fails(&self, arguments: &[&str], reason: &str, hint: &str) {
        let (code, seen) = self.simulates(arguments).await;
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
