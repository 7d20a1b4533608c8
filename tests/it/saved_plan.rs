//! `plan --save` and `apply`: what was shown is what is done, or nothing is.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::chart::{web, yaml};
use crate::support::control_plane::ControlPlane;
use crate::support::leadsman::{Leadsman, simulated};
use crate::support::process::Output;
use crate::support::repository::Repository;
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
    spec:
      containers: [{name: main, image: \"example/shop:{{ .Chart.Version }}\"}]
---
apiVersion: v1
kind: Secret
metadata: {name: shop}
stringData: {password: {{ randAlphaNum 20 }}, mode: {{ .Values.mode }}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: shop}
data:
  found: {{ dig \"data\" \"k\" \"none\" (lookup \"v1\" \"ConfigMap\" .Release.Namespace \"other\") }}
";
const HOOK: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: hook, annotations: {helm.sh/hook: 'pre-install,pre-upgrade'}}
data: {at: {{ .Chart.Version | quote }}}
";
const VALUES: &str = "replicas: 1\napp: shop\nmode: plain\n";

/// A cluster, and who plans and applies there.
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
        for version in ["1.0.0", "2.0.0"] {
            let metadata = format!("apiVersion: v2\nname: shop\nversion: {version}\n");
            for (name, text) in [
                ("Chart.yaml", metadata.as_str()),
                ("values.yaml", VALUES),
                ("templates/objects.yaml", OBJECTS),
                ("templates/hook.yaml", HOOK),
            ] {
                shop.leadsman.file(&format!("{version}/{name}"), text);
            }
        }
        shop
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        self.leadsman.run(&[arguments, &["-n", &self.namespace]].concat()).await
    }

    /// Keeps a plan in `file`, and returns what was kept.
    async fn saves(&self, file: &str, arguments: &[&str]) -> Value {
        let said = self.run(&[&["plan", "shop", "--save", file], arguments].concat()).await;
        assert_eq!(said.code, Some(3), "{} {}", said.stdout, said.stderr);
        assert!(said.stderr.contains(&format!("leadsman apply {file}\n")), "{}", said.stderr);
        let path = self.leadsman.folder().join(file);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{mode:o}");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    async fn does_not_save(&self, arguments: &[&str], why: &str) {
        let said = self.run(&[&["plan", "shop", "--save", "none"], arguments].concat()).await;
        assert_eq!(said.code, Some(1), "{} {}", said.stdout, said.stderr);
        assert!(said.stderr.contains("Error: the plan is not kept: "), "{}", said.stderr);
        assert!(said.stderr.contains(why), "{}", said.stderr);
        assert!(!self.leadsman.folder().join("none").exists());
    }

    async fn applies(&self, file: &str) -> Value {
        let said = self.run(&["apply", file, "-o", "json"]).await;
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        serde_json::from_str(&said.stdout).unwrap()
    }

    /// A plan is refused for this reason, and nothing changes.
    async fn refuses(&self, file: &str, why: &str) {
        let before = self.everything().await;
        let said = self.run(&["apply", file]).await;
        assert_eq!(said.code, Some(1), "{} {}", said.stdout, said.stderr);
        assert!(said.stderr.contains("Error: nothing was changed: plan "), "{}", said.stderr);
        assert!(said.stderr.contains(why), "{why}\nis not in\n{}", said.stderr);
        assert!(said.stderr.contains("\nhint: plan again"), "{}", said.stderr);
        assert!(self.everything().await == before, "{file}: something changed");
    }

    async fn everything(&self) -> Vec<Value> {
        let mut found = Vec::new();
        for kind in ["apis/apps/v1/deployments", "api/v1/configmaps", "api/v1/secrets"] {
            let (version, plural) = kind.rsplit_once('/').unwrap();
            let path = format!("/{version}/namespaces/{}/{plural}", self.namespace);
            for mut object in self.api.list(&path).await {
                object.as_object_mut().unwrap().remove("status");
                let metadata = object["metadata"].as_object_mut().unwrap();
                metadata.remove("resourceVersion");
                metadata.remove("managedFields");
                // A controller counts.
                let annotations = metadata.get_mut("annotations").and_then(Value::as_object_mut);
                annotations.map(|all| all.remove("deployment.kubernetes.io/revision"));
                found.push(object);
            }
        }
        found
    }

    fn path(&self, kind: &str, name: &str) -> String {
        let (version, plural) = kind.rsplit_once('/').unwrap();
        format!("/{version}/namespaces/{}/{plural}/{name}", self.namespace)
    }

    async fn get(&self, kind: &str, name: &str) -> Value {
        self.api.get(&self.path(kind, name)).await.unwrap()
    }
}

const DEPLOYMENTS: &str = "apis/apps/v1/deployments";
const CONFIGS: &str = "api/v1/configmaps";

async fn keeps_its_word(kubeconfig: &Path, namespace: &str) {
    let shop = Shop::new(kubeconfig, namespace).await;
    installs(&shop).await;
    upgrades_unless_something_changed(&shop).await;
    refuses_what_cannot_work(&shop).await;
    is_refused_when_damaged(&shop).await;
}

async fn installs(shop: &Shop) {
    let kept = shop.saves("first", &["./1.0.0", "--set", "mode=loud", "--history-max", "3"]).await;
    assert_eq!(kept["leadsmanPlan"], 3);
    let unsteady = &kept["plan"]["task"]["deploy"]["rendered"]["unsteady"];
    assert_eq!(unsteady[0]["path"], "stringData.password", "{unsteady}");
    assert_eq!(unsteady.as_array().unwrap().len(), 1);
    // All that it takes is in the file.
    let chart = shop.leadsman.folder().join("1.0.0");
    std::fs::rename(&chart, shop.leadsman.folder().join("away")).unwrap();
    let record = shop.applies("first").await;
    std::fs::rename(shop.leadsman.folder().join("away"), &chart).unwrap();
    assert_eq!(record["version"], 1);
    assert_eq!(record["info"]["status"], "deployed");
    assert_eq!(record["config"], json!({"mode": "loud"}));
    // To the last random character.
    assert_eq!(record["manifest"], kept["plan"]["task"]["deploy"]["rendered"]["manifest"]);
    assert_eq!(shop.get(CONFIGS, "hook").await["data"]["at"], "1.0.0");
    // Once is enough.
    shop.refuses("first", ": there was no newest revision, and now there is revision 1 (deployed)")
        .await;
}

async fn upgrades_unless_something_changed(shop: &Shop) {
    let arguments = ["./2.0.0", "--set", "replicas=2,mode=loud", "--description", "as planned"];
    let namespace = &shop.namespace;
    shop.saves("second", &arguments).await;
    // A field that it changes is another one now.
    let deployment = shop.path(DEPLOYMENTS, "shop");
    shop.api.merge(&deployment, &json!({"spec": {"replicas": 5}})).await;
    shop.refuses("second", &format!("Deployment {namespace}/shop: spec.replicas was 1, and is 5"))
        .await;
    shop.api.merge(&deployment, &json!({"spec": {"replicas": 1}})).await;
    let forced = [&arguments[..], &["--force-conflicts"]].concat();
    shop.saves("second", &forced).await;
    // What templates look up is another one now.
    let other = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "new"},
        "metadata": {"name": "other", "namespace": namespace}});
    shop.api.apply(&other).await;
    shop.refuses(
        "second",
        "ConfigMap shop: data.found was rendered as \"none\", and is now as \"new\"",
    )
    .await;
    shop.api.delete(&shop.path(CONFIGS, "other")).await;
    // It was made anew.
    let path = shop.path(CONFIGS, "shop");
    let mut config = shop.get(CONFIGS, "shop").await;
    shop.api.delete(&path).await;
    shop.refuses("second", &format!("ConfigMap {namespace}/shop: nothing of it was to change"))
        .await;
    for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields"] {
        config["metadata"].as_object_mut().unwrap().remove(field);
    }
    shop.api.create(path.rsplit_once('/').unwrap().0, &config).await.unwrap();
    shop.saves("second", &forced).await;
    let record = shop.applies("second").await;
    assert_eq!(record["version"], 2);
    assert_eq!(record["info"]["description"], "as planned");
    assert_eq!(shop.get(DEPLOYMENTS, "shop").await["spec"]["replicas"], 2);
    assert_eq!(shop.get(CONFIGS, "hook").await["data"]["at"], "2.0.0");
    shop.refuses(
        "second",
        &format!(
            "release {namespace}/shop: revision 1 (deployed) was the newest, and now revision 2 \
             (deployed) is"
        ),
    )
    .await;
}

async fn refuses_what_cannot_work(shop: &Shop) {
    shop.does_not_save(&["./1.0.0", "--set", "app=other"], "the cluster refuses Deployment ").await;
    let deployment = shop.path(DEPLOYMENTS, "shop");
    shop.api.merge(&deployment, &json!({"spec": {"replicas": 7}})).await;
    shop.does_not_save(
        &["./1.0.0"],
        ": --conflicts 'spec.replicas=force' takes it over, 'spec.replicas=leave' leaves it\n",
    )
    .await;
    let other = Leadsman::new();
    let simulated = other.spawn(&["sim", "--kubeconfig-out", "kubeconfig"]);
    simulated.line(SOON, |line| line.contains("the simulated cluster listens")).await;
    let there = other.folder().join("kubeconfig").to_string_lossy().into_owned();
    let said = shop.leadsman.run(&["apply", "second", "--kubeconfig", &there]).await;
    assert_eq!(said.code, Some(1));
    let why = "\n  Namespace kube-system: its uid was ";
    assert!(said.stderr.contains(why), "{}", said.stderr);
    let said = shop.leadsman.run(&["apply", "second", "-n", "elsewhere"]).await;
    assert!(said.stderr.contains("and not in elsewhere: leave -n out"), "{}", said.stderr);
}

async fn is_refused_when_damaged(shop: &Shop) {
    let whole = std::fs::read_to_string(shop.leadsman.folder().join("second")).unwrap();
    let rows = [
        (whole[..whole.len() / 2].to_owned(), "it is damaged (EOF while parsing"),
        (whole.replace("\"replicas\":2", "\"replicas\":3"), "it is damaged (its digest is sha256:"),
        (whole.replace("\"leadsmanPlan\":3", "\"leadsmanPlan\":7"), "it has format 7 of leadsman "),
        (String::new(), "it is no plan (EOF"),
        ("{}".to_owned(), "it is no plan (it does not say `leadsmanPlan`)"),
    ];
    for (text, why) in rows {
        assert_ne!(text, whole, "{why}");
        shop.leadsman.file("bad", &text);
        let said = shop.run(&["apply", "bad"]).await;
        assert_eq!(said.code, Some(1), "{why}");
        let start = format!("Error: plan bad: {why}");
        assert!(said.stderr.starts_with(&start), "{start}\n{}", said.stderr);
    }
    let said = shop.run(&["apply", "missing"]).await;
    assert!(said.stderr.starts_with("Error: plan missing: read "), "{}", said.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_plan_keeps_its_word_on_a_real_api_server() {
    let Some(cluster) = ControlPlane::shared() else { return };
    let namespace = cluster.api().await.create_namespace("saved").await;
    keeps_its_word(&cluster.kubeconfig(), &namespace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_plan_keeps_its_word_in_the_simulated_cluster() {
    let (server, _running) = simulated().await;
    keeps_its_word(&server.folder().join("kubeconfig"), "default").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_plan_may_make_the_namespace_and_definitions() {
    let (server, _running) = simulated().await;
    let shop = Shop::new(&server.folder().join("kubeconfig"), "fresh").await;
    let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n\
        metadata: {name: carts.example.com}\nspec:\n  group: example.com\n  scope: Namespaced\n  \
        names: {kind: Cart, plural: carts, singular: cart, listKind: CartList}\n  versions:\n  \
        - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, \
        x-kubernetes-preserve-unknown-fields: true}}}\n";
    shop.leadsman.file("1.0.0/crds/cart.yaml", definition);
    let cart = "apiVersion: example.com/v1\nkind: Cart\nmetadata: {name: cart}\nspec: {a: 1}\n";
    shop.leadsman.file("1.0.0/templates/cart.yaml", cart);
    shop.does_not_save(&["./1.0.0"], "namespaces \"fresh\" not found").await;
    shop.saves("fresh", &["./1.0.0", "--create-namespace"]).await;
    assert_eq!(shop.applies("fresh").await["version"], 1);
    assert_eq!(shop.get("apis/example.com/v1/carts", "cart").await["spec"]["a"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_plan_of_a_helmrelease_does_what_the_helmrelease_asks_for() {
    let (server, _running) = simulated().await;
    let kubeconfig = server.folder().join("kubeconfig");
    let api = Api::connect(&kubeconfig).await;
    let repository = Repository::start();
    repository.publish_package(web("1.0.0", ""));
    let leadsman = Leadsman::new().kubeconfig(&kubeconfig);
    let spec = "  values: {message: hi}\n  commonMetadata: {labels: {team: a}}\n";
    let release = yaml("default", "web", &repository.url(), spec);
    leadsman.file("source/web.yaml", &release);
    let once = leadsman.run(&["run", "source", "--once"]).await;
    assert_eq!(once.code, Some(0), "{}", once.stderr);
    repository.publish_package(web("1.1.0", ""));
    let plan = ["plan", "web", "-n", "default", "--save", "web.plan"];
    let flag = leadsman.run(&[&plan[..], &["--wait"]].concat()).await;
    let why = "HelmRelease default/web says itself how the release is changed: leave --wait out";
    assert!(flag.stderr.contains(why), "{}", flag.stderr);
    let said = leadsman.run(&plan).await;
    assert_eq!(said.code, Some(3), "{} {}", said.stdout, said.stderr);
    let path = "/apis/helm.toolkit.fluxcd.io/v2/namespaces/default/helmreleases/web";
    api.merge(path, &json!({"spec": {"values": {"message": "other"}}})).await;
    let refused = leadsman.run(&["apply", "web.plan"]).await;
    let why = "\n  HelmRelease default/web: spec.values.message changed\n";
    assert!(refused.stderr.contains(why), "{}", refused.stderr);
    // To suspend it is no change.
    api.merge(path, &json!({"spec": {"values": {"message": "hi"}, "suspend": true}})).await;
    drop(repository);
    let said = leadsman.run(&["apply", "web.plan"]).await;
    assert_eq!(said.code, Some(0), "{} {}", said.stdout, said.stderr);
    assert!(said.stderr.contains("keeps this release: at its next"), "{}", said.stderr);
    let wanted = [(1, "superseded".to_owned()), (2, "deployed".to_owned())];
    assert_eq!(api.revisions("default").await, wanted);
    let config = api.get("/api/v1/namespaces/default/configmaps/web").await.unwrap();
    assert_eq!(config["data"]["version"], "1.1.0");
    assert_eq!(config["metadata"]["labels"]["team"], "a");
    let managers: Vec<_> = config["metadata"]["managedFields"].as_array().unwrap().iter().collect();
    assert!(managers.iter().all(|one| one["manager"] == "helm-controller"), "{managers:?}");
}
