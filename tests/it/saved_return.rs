//! `plan rollback`, `plan uninstall`, and `apply` of such plans: what was shown is what is done, or
//! nothing is; and how a kept upgrade is done.

use std::path::Path;

use serde_json::{Value, json};

use crate::plan::lines;
use crate::support::api::Api;
use crate::support::chart::{web, yaml};
use crate::support::control_plane::ControlPlane;
use crate::support::helm::Helm;
use crate::support::leadsman::{Leadsman, simulated};
use crate::support::process::Output;
use crate::support::repository::Repository;

const OBJECTS: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: shop}
data: {version: {{ .Chart.Version | quote }}, team: {{ .Values.team }}}
---
apiVersion: v1
kind: Secret
metadata: {name: shop}
stringData: {password: pass-{{ .Chart.Version }}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kept, annotations: {helm.sh/resource-policy: keep}}
";
const HOOKS: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: turn, annotations: {helm.sh/hook: 'pre-rollback,post-rollback'}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: end, annotations: {helm.sh/hook: 'pre-delete,post-delete', helm.sh/hook-delete-policy: hook-succeeded}}
";
const EXTRA: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\n";
const LATE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: late}\n";

/// A cluster with a release of two revisions, and who plans and applies there.
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
        for (version, more) in [("1.0.0", LATE), ("2.0.0", EXTRA)] {
            let metadata = format!("apiVersion: v2\nname: shop\nversion: {version}\n");
            for (name, text) in [
                ("Chart.yaml", metadata.as_str()),
                ("values.yaml", "team: a\n"),
                ("templates/objects.yaml", OBJECTS),
                ("templates/hooks.yaml", HOOKS),
                ("templates/more.yaml", more),
            ] {
                shop.leadsman.file(&format!("{version}/{name}"), text);
            }
        }
        shop
    }

    async fn with_two_revisions(kubeconfig: &Path, namespace: &str) -> Self {
        let shop = Self::new(kubeconfig, namespace).await;
        shop.ok(&["install", "shop", "./1.0.0"]).await;
        shop.ok(&["upgrade", "shop", "./2.0.0"]).await;
        shop
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        self.leadsman.run(&[arguments, &["-n", &self.namespace]].concat()).await
    }

    async fn ok(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments).await;
        assert_eq!(said.code, Some(0), "{arguments:?}: {} {}", said.stdout, said.stderr);
        said.stdout
    }

    /// The report of a plan that changes something, which changes nothing.
    async fn report(&self, arguments: &[&str]) -> Value {
        let before = self.everything().await;
        let said = self.run(&[arguments, &["-o", "json"]].concat()).await;
        assert_eq!(said.code, Some(3), "{arguments:?}: {} {}", said.stdout, said.stderr);
        assert_eq!(self.everything().await, before, "a plan changes nothing");
        serde_json::from_str(&said.stdout).unwrap()
    }

    /// A plan is refused for this reason, and nothing changes.
    async fn refuses(&self, file: &str, why: &str) {
        let before = self.everything().await;
        let said = self.run(&["apply", file]).await;
        assert_eq!(said.code, Some(1), "{} {}", said.stdout, said.stderr);
        assert!(said.stderr.contains("Error: nothing was changed: plan "), "{}", said.stderr);
        assert!(said.stderr.contains(why), "{why}\nis not in\n{}", said.stderr);
        assert_eq!(self.everything().await, before, "{file}: something changed");
    }

    async fn everything(&self) -> Vec<Value> {
        let mut found = Vec::new();
        for kind in ["configmaps", "secrets"] {
            for mut object in self.api.list(&self.path(kind, "")).await {
                object["metadata"].as_object_mut().unwrap().remove("managedFields");
                found.push(object);
            }
        }
        found
    }

    fn path(&self, kind: &str, name: &str) -> String {
        let path = format!("/api/v1/namespaces/{}/{kind}/{name}", self.namespace);
        path.trim_end_matches('/').to_owned()
    }

    /// The names of what is there, hooks and what the cluster makes itself aside.
    async fn names(&self) -> Vec<String> {
        let found = self.api.list(&self.path("configmaps", "")).await;
        let names = found.iter().map(|one| one["metadata"]["name"].as_str().unwrap().to_owned());
        names.filter(|name| !["kube-root-ca.crt", "turn"].contains(&name.as_str())).collect()
    }
}

async fn returns(kubeconfig: &Path, namespace: &str) {
    let shop = Shop::with_two_revisions(kubeconfig, namespace).await;
    let report = shop.report(&["plan", "rollback", "shop"]).await;
    assert_eq!(report["action"], "rollback");
    assert_eq!(report["from"]["revision"], 2);
    assert_eq!(report["to"]["revision"], 1);
    let wanted = [
        "update Secret shop data.password",
        "create ConfigMap late",
        "update ConfigMap shop data.version",
        "delete ConfigMap extra",
    ];
    let mut seen = lines(&report);
    seen[..3].sort_by_key(|line| wanted.iter().position(|one| one == line));
    assert_eq!(seen, wanted, "{report}");
    assert!(!report.to_string().contains("cGFzcy0xLjAuMA=="), "the Secret is shown: {report}");
    let hook =
        |event: &str| json!({"event": event, "weight": 0, "kind": "ConfigMap", "name": "turn"});
    assert_eq!(report["hooks"], json!([hook("pre-rollback"), hook("post-rollback")]));
    let wanted = json!([
        {"step": "record", "revision": 3, "status": "pending-rollback"},
        {"step": "hooks", "event": "pre-rollback", "hooks": ["ConfigMap/turn"]},
        {"step": "apply", "objects": 4},
        {"step": "delete", "objects": 1},
        {"step": "hooks", "event": "post-rollback", "hooks": ["ConfigMap/turn"]},
        {"step": "record", "revision": 2, "status": "superseded"},
        {"step": "record", "revision": 3, "status": "deployed"},
    ]);
    assert_eq!(report["steps"], wanted);
    let said = shop.run(&["plan", "rollback", "shop", "1"]).await.stdout;
    let head = format!("shop in {namespace}: revision 2 (shop-2.0.0) → revision 1 (shop-1.0.0)\n");
    assert!(said.starts_with(&head), "{said}");
    let order = "\nIn this order:\n  1. write down that revision 3 is pending-rollback\n";
    assert!(said.contains(order), "{said}");
    for (arguments, why) in [
        (&["plan", "rollback", "shop", "7"][..], "release has no 7 version"),
        (&["plan", "rollback", "none"], "release: not found"),
        (&["plan", "rollback", "shop", "x"], "could not convert revision to a number"),
    ] {
        let said = shop.run(arguments).await;
        assert_eq!(said.code, Some(1), "{arguments:?}");
        assert!(said.stderr.contains(why), "{}", said.stderr);
    }
    keeps_a_rollback(&shop).await;
}

async fn keeps_a_rollback(shop: &Shop) {
    let plan = ["plan", "rollback", "shop", "1", "--description", "as planned", "--save", "back"];
    assert_eq!(shop.run(&plan).await.code, Some(3));
    // What goes was changed.
    let extra = shop.path("configmaps", "extra");
    shop.api.merge(&extra, &json!({"data": {"k": "v"}})).await;
    shop.refuses("back", "extra: it is to be deleted, and was changed meanwhile").await;
    shop.api.merge(&extra, &json!({"data": null})).await;
    // A revision came between.
    shop.ok(&["upgrade", "shop", "./2.0.0", "--set", "team=b"]).await;
    shop.refuses("back", "revision 2 (deployed) was the newest, and now revision 3 (deployed) is")
        .await;
    let plan = [&plan[..], &["--force-conflicts"]].concat();
    assert_eq!(shop.run(&plan).await.code, Some(3));
    // The revision to return to is gone.
    let record = shop.path("secrets", "sh.helm.release.v1.shop.v1");
    let mut kept = shop.api.get(&record).await.unwrap();
    shop.api.delete(&record).await;
    shop.refuses("back", "revision 1, to which it was to return, is gone").await;
    for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields"] {
        kept["metadata"].as_object_mut().unwrap().remove(field);
    }
    shop.api.create(&shop.path("secrets", ""), &kept).await.unwrap();
    assert_eq!(shop.ok(&["apply", "back"]).await, "Rollback was a success! Happy Helming!\n");
    assert_eq!(shop.names().await, ["kept", "late", "shop"]);
    let status: Value =
        serde_json::from_str(&shop.ok(&["status", "shop", "-o", "json"]).await).unwrap();
    assert_eq!(status["version"], 4);
    assert_eq!(status["info"]["description"], "as planned");
    assert_eq!(status["info"]["rollback_revision"], 1);
    assert!(shop.api.get(&shop.path("configmaps", "turn")).await.is_some());
    shop.refuses("back", "and now revision 4 (deployed) is").await;
    // Nothing is left to be done.
    let same = shop.run(&["plan", "rollback", "shop", "4"]).await;
    assert_eq!(same.code, Some(0), "{} {}", same.stdout, same.stderr);
}

fn owned_by(release: &str) -> Value {
    json!({"metadata": {"annotations": {"meta.helm.sh/release-name": release}}})
}

async fn ends(kubeconfig: &Path, namespace: &str, helm: Helm) {
    let shop = Shop::with_two_revisions(kubeconfig, namespace).await;
    // Somebody made one of its objects their own.
    shop.api.merge(&shop.path("configmaps", "extra"), &owned_by("other")).await;
    let report = shop.report(&["plan", "uninstall", "shop", "--wait"]).await;
    assert_eq!(report["action"], "uninstall");
    assert!(report.get("to").is_none());
    let mut seen = lines(&report);
    seen.sort();
    let wanted = [
        "delete ConfigMap shop",
        "delete Secret shop",
        "foreign ConfigMap extra",
        "keep ConfigMap kept",
    ];
    assert_eq!(seen, wanted, "{report}");
    let wanted = json!([
        {"step": "hooks", "event": "pre-delete", "hooks": ["ConfigMap/end"]},
        {"step": "record", "revision": 2, "status": "uninstalling"},
        {"step": "delete", "objects": 2},
        {"step": "wait", "until": "gone", "timeout": "5m0s"},
        {"step": "hooks", "event": "post-delete", "hooks": ["ConfigMap/end"]},
        {"step": "forget", "revisions": [2, 1]},
    ]);
    assert_eq!(report["steps"], wanted);
    ends_for_good(&shop, helm.kubeconfig(kubeconfig)).await;
    ends_with_its_history(&shop).await;
}

async fn ends_for_good(shop: &Shop, helm: Helm) {
    let (namespace, foreign) = (&shop.namespace, owned_by("other"));
    // Helm says the same of what is kept.
    let said = helm.ok(&["uninstall", "shop", "--dry-run", "-n", namespace]).await;
    assert!(said.contains("kept due to the resource policy:\n[ConfigMap] kept\n"), "{said}");
    assert!(shop.run(&["plan", "uninstall", "shop"]).await.stdout.contains(
        "/extra stays, because it is not the release's: annotation validation error: key \
         \"meta.helm.sh/release-name\" must equal \"shop\": current value is \"other\"\n"
    ));
    assert_eq!(shop.run(&["plan", "uninstall", "shop", "--save", "end"]).await.code, Some(3));
    shop.api.merge(&shop.path("configmaps", "extra"), &owned_by("shop")).await;
    shop.refuses("end", "extra: it is to be left to its owner, and was changed meanwhile").await;
    shop.api.merge(&shop.path("configmaps", "extra"), &foreign).await;
    let said = shop.ok(&["apply", "end"]).await;
    let wanted = "These resources were kept due to the resource policy:\n[ConfigMap] kept\n\n1 \
                  resource(s) were not deleted because they are not owned by this \
                  release:\n[ConfigMap] extra\n\nrelease \"shop\" uninstalled\n";
    assert_eq!(said, wanted);
    assert_eq!(shop.names().await, ["extra", "kept"]);
    assert!(shop.api.revisions(namespace).await.is_empty());
    shop.refuses("end", "and now there is none").await;
}

async fn ends_with_its_history(shop: &Shop) {
    for name in ["extra", "kept"] {
        shop.api.delete(&shop.path("configmaps", name)).await;
    }
    shop.ok(&["install", "shop", "./1.0.0"]).await;
    let keep = ["plan", "uninstall", "shop", "--keep-history", "--cascade", "orphan", "--no-hooks"];
    let report = shop.report(&[&keep[..], &["--save", "end"]].concat()).await;
    assert!(report.get("hooks").is_none(), "{report}");
    let done: Value =
        serde_json::from_str(&shop.ok(&["apply", "end", "-o", "json"]).await).unwrap();
    assert_eq!(done, json!({"release": "shop", "kept": ["[ConfigMap] kept"], "foreign": []}));
    assert_eq!(shop.api.revisions(&shop.namespace).await, [(1, "uninstalled".to_owned())]);
    let said = shop.run(&keep).await;
    let why = "Error: the release named \"shop\" is already deleted\n";
    assert!(said.stderr.contains(why), "{}", said.stderr);
    // What is left is a record.
    let report = shop.report(&["plan", "uninstall", "shop"]).await;
    assert_eq!(report["steps"], json!([{"step": "forget", "revisions": [1]}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_rollback_keeps_its_word_on_a_real_api_server() {
    let Some(cluster) = ControlPlane::shared() else { return };
    let namespace = cluster.api().await.create_namespace("return").await;
    returns(&cluster.kubeconfig(), &namespace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_rollback_keeps_its_word_in_the_simulated_cluster() {
    let (server, _running) = simulated().await;
    returns(&server.folder().join("kubeconfig"), "default").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_uninstall_keeps_its_word_on_a_real_api_server() {
    let (Some(cluster), Some(helm)) = (ControlPlane::shared(), Helm::find()) else { return };
    let namespace = cluster.api().await.create_namespace("end").await;
    ends(&cluster.kubeconfig(), &namespace, helm).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_uninstall_keeps_its_word_in_the_simulated_cluster() {
    let Some(helm) = Helm::find() else { return };
    let (server, _running) = simulated().await;
    ends(&server.folder().join("kubeconfig"), "default", helm).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_keeps_how_it_is_done() {
    let (server, _running) = simulated().await;
    let shop = Shop::with_two_revisions(&server.folder().join("kubeconfig"), "default").await;
    // A hook that no cluster can run ends the upgrade half way.
    let hook = "apiVersion: none.example.com/v1\nkind: None\nmetadata: {name: none, annotations: {helm.sh/hook: post-upgrade}}\n";
    shop.leadsman.file("1.0.0/templates/none.yaml", hook);
    let plan = ["plan", "shop", "./1.0.0", "--rollback-on-failure", "--save", "bad"];
    assert_eq!(shop.run(&plan).await.code, Some(3));
    let said = shop.run(&["apply", "bad"]).await;
    let why = "Error: UPGRADE FAILED: release shop failed, and has been rolled back due to \
               rollback-on-failure being set: ";
    assert!(said.stderr.contains(why), "{}", said.stderr);
    assert_eq!(shop.names().await, ["extra", "kept", "shop"]);
    let status = |text: &str| text.to_owned();
    let wanted = [
        (1, status("superseded")),
        (2, status("superseded")),
        (3, status("failed")),
        (4, status("deployed")),
    ];
    assert_eq!(shop.api.revisions("default").await, wanted);
    let plan = [
        "plan",
        "shop",
        "./2.0.0",
        "--labels",
        "team=a,old=x",
        "--reuse-values",
        "--set",
        "team=b",
        "--history-max",
        "2",
        "--save",
        "labels",
    ];
    assert_eq!(shop.run(&plan).await.code, Some(3));
    shop.ok(&["apply", "labels"]).await;
    let labels = async |revision: u32| {
        let path = shop.path("secrets", &format!("sh.helm.release.v1.shop.v{revision}"));
        let record = shop.api.get(&path).await.unwrap();
        ["team", "old"].map(|key| record["metadata"]["labels"][key].clone())
    };
    assert_eq!(labels(5).await, [json!("a"), json!("x")]);
    assert_eq!(shop.api.revisions("default").await.len(), 2);
    // Those of the revision before go on, but for what is taken away.
    let plan = ["plan", "shop", "./2.0.0", "--reset-values", "-l", "old=null", "--save", "labels"];
    assert_eq!(shop.run(&plan).await.code, Some(3));
    shop.ok(&["apply", "labels"]).await;
    assert_eq!(labels(6).await, [json!("a"), Value::Null]);
    let config = shop.api.get(&shop.path("configmaps", "shop")).await.unwrap();
    assert_eq!(config["data"]["team"], "a");
    let said = shop.run(&["plan", "shop", "./1.0.0", "--labels", "owner=me"]).await;
    assert!(said.stderr.contains("system reserved label name"), "{}", said.stderr);
    a_first_revision_that_fails_goes_again(&shop, hook).await;
}

async fn a_first_revision_that_fails_goes_again(shop: &Shop, hook: &str) {
    shop.ok(&["uninstall", "shop"]).await;
    let failing = hook.replace("post-upgrade", "post-install");
    shop.leadsman.file("1.0.0/templates/none.yaml", &failing);
    shop.api.delete(&shop.path("configmaps", "kept")).await;
    let plan = ["plan", "shop", "./1.0.0", "--rollback-on-failure", "--save", "bad"];
    assert_eq!(shop.run(&plan).await.code, Some(3));
    let said = shop.run(&["apply", "bad"]).await;
    let why = "Error: INSTALL FAILED: release shop failed, and has been uninstalled due to \
               rollback-on-failure being set: ";
    assert!(said.stderr.contains(why), "{}", said.stderr);
    assert_eq!(shop.names().await, ["kept"]);
    assert!(shop.api.revisions("default").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_others_keep_are_read_again() {
    let (server, _running) = simulated().await;
    let kubeconfig = server.folder().join("kubeconfig");
    let api = Api::connect(&kubeconfig).await;
    let repository = Repository::start();
    repository.publish_package(web("1.0.0", ""));
    let leadsman = Leadsman::new().kubeconfig(&kubeconfig);
    let object = |kind: &str, key: &str, value: &str| {
        json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "values", "namespace": "default"},
            key: {"values.yaml": value, "other": "x"}})
    };
    api.apply(&object("Secret", "stringData", "message: hi\n")).await;
    let spec = "  valuesFrom:\n  - {kind: Secret, name: values}\n  - {kind: ConfigMap, name: values, optional: true}\n";
    leadsman.file("source/web.yaml", &yaml("default", "web", &repository.url(), spec));
    let once = leadsman.run(&["run", "source", "--once"]).await;
    assert_eq!(once.code, Some(0), "{}", once.stderr);
    repository.publish_package(web("1.1.0", ""));
    let said = leadsman.run(&["plan", "web", "-n", "default", "--save", "web.plan"]).await;
    assert_eq!(said.code, Some(3), "{} {}", said.stdout, said.stderr);
    let refuses = async |why: &str| {
        let said = leadsman.run(&["apply", "web.plan"]).await;
        assert_eq!(said.code, Some(1), "{}", said.stdout);
        assert!(said.stderr.contains(why), "{why}\nis not in\n{}", said.stderr);
        // What they hold is nobody's business.
        assert!(!said.stderr.contains("message"), "{}", said.stderr);
    };
    // The same text is in the cluster, and so the release would be the same: but it is not asked for.
    api.apply(&object("Secret", "stringData", "message: bye\n")).await;
    refuses("\n  Secret default/values: key values.yaml of it, which valuesFrom names, holds other values now\n").await;
    api.apply(&object("Secret", "stringData", "message: hi\n")).await;
    api.apply(&object("ConfigMap", "data", "message: hi\n")).await;
    refuses("\n  ConfigMap default/values: key values.yaml of it, which valuesFrom names, is there now, and was not\n").await;
    api.delete("/api/v1/namespaces/default/configmaps/values").await;
    // Another key of it does not matter.
    api.merge("/api/v1/namespaces/default/secrets/values", &json!({"stringData": {"other": "y"}}))
        .await;
    let said = leadsman.run(&["apply", "web.plan"]).await;
    assert_eq!(said.code, Some(0), "{} {}", said.stdout, said.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_helmrelease_keeps_is_returned_and_ended_as_planned() {
    let (server, _running) = simulated().await;
    let kubeconfig = server.folder().join("kubeconfig");
    let api = Api::connect(&kubeconfig).await;
    let repository = Repository::start();
    let leadsman = Leadsman::new().kubeconfig(&kubeconfig);
    leadsman.file("source/web.yaml", &yaml("default", "web", &repository.url(), ""));
    for (revision, version) in (1..).zip(["1.0.0", "1.1.0"]) {
        repository.publish_package(web(version, ""));
        // An index that is younger than its interval is not fetched again.
        while api.revisions("default").await.len() < revision {
            let once = leadsman.run(&["run", "source", "--once"]).await;
            assert_eq!(once.code, Some(0), "{}", once.stderr);
        }
    }
    let plan = ["plan", "rollback", "web", "1", "-n", "default", "--save", "back"];
    assert_eq!(leadsman.run(&plan).await.code, Some(3));
    let path = "/apis/helm.toolkit.fluxcd.io/v2/namespaces/default/helmreleases/web";
    let more =
        |replicas: Value| json!({"spec": {"suspend": true, "values": {"replicas": replicas}}});
    api.merge(path, &more(json!(2))).await;
    let refused = leadsman.run(&["apply", "back"]).await;
    assert_eq!(refused.code, Some(1), "{}", refused.stdout);
    let why = "\n  HelmRelease default/web: spec.values changed\n";
    assert!(refused.stderr.contains(why), "{}", refused.stderr);
    api.merge(path, &json!({"spec": {"suspend": true, "values": null}})).await;
    let said = leadsman.run(&["apply", "back"]).await;
    assert_eq!(said.code, Some(0), "{} {}", said.stdout, said.stderr);
    assert!(said.stderr.contains("To stay: leadsman pin web 1.0.0"), "{}", said.stderr);
    let config = api.get("/api/v1/namespaces/default/configmaps/web").await.unwrap();
    assert_eq!(config["data"]["version"], "1.0.0");
    let managers = config["metadata"]["managedFields"].as_array().unwrap();
    assert!(managers.iter().all(|one| one["manager"] == "helm-controller"), "{managers:?}");
    let plan = ["plan", "uninstall", "web", "-n", "default", "--save", "end"];
    assert_eq!(leadsman.run(&plan).await.code, Some(3));
    let said = leadsman.run(&["apply", "end"]).await;
    assert_eq!(said.code, Some(0), "{} {}", said.stdout, said.stderr);
    assert!(said.stderr.contains("it installs it again; delete it"), "{}", said.stderr);
    assert!(api.revisions("default").await.is_empty());
}
