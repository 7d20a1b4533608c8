//! Fields that somebody else manages: left, taken, or in the way, as the rules say. Here by commands.

mod release;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::control_plane::ControlPlane;
use crate::support::leadsman::{self, Leadsman, Running};
use crate::support::process::Output;
use crate::support::proxy::{Moment, Proxy};
use crate::support::wait::{SOON, until};

const OBJECTS: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
  annotations: {example.com/team: {{ .Values.team | quote }}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:
      - {name: side, image: example/side}
      - {name: main, image: \"example/shop:{{ .Values.tag }}\"}
---
apiVersion: v1
kind: Secret
metadata: {name: shop}
data: {password: {{ .Values.password | b64enc }}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: shop}
data: {message: {{ .Values.message | quote }}}
";
const VALUES: &str = "replicas: 2\ntag: one\nteam: a\npassword: first\nmessage: hello\n";
const LEAVE: [&str; 2] = ["--conflicts", "spec.replicas=leave"];

/// A cluster, and a release there of which others change fields.
struct Shop {
    api: Api,
    leadsman: Leadsman,
    namespace: String,
}

impl Shop {
    async fn new(kubeconfig: &Path, stem: &str) -> Self {
        let leadsman = Leadsman::new().kubeconfig(kubeconfig);
        leadsman.file("shop/Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\n");
        leadsman.file("shop/values.yaml", VALUES);
        leadsman.file("shop/templates/objects.yaml", OBJECTS);
        let api = Api::connect(kubeconfig).await;
        let namespace = api.create_namespace(stem).await;
        let shop = Self { api, leadsman, namespace };
        shop.does(&["install", "shop", "./shop"]).await;
        shop
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        self.leadsman.run(&[arguments, &["-n", &self.namespace]].concat()).await
    }

    /// Does it, and returns what it said beside.
    async fn does(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments).await;
        assert_eq!(said.code, Some(0), "{arguments:?}: {}", said.stderr);
        said.stderr
    }

    async fn upgrades(&self, values: &str, more: &[&str]) -> String {
        self.does(&[&["upgrade", "shop", "./shop", "--set", values], more].concat()).await
    }

    async fn fails(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments).await;
        assert_eq!(said.code, Some(1), "{arguments:?}: {}", said.stderr);
        said.stderr
    }

    fn path(&self, kind: &str) -> String {
        let root = if kind == "deployments" { "/apis/apps/v1" } else { "/api/v1" };
        format!("{root}/namespaces/{}/{kind}/shop", self.namespace)
    }

    async fn get(&self, kind: &str) -> Value {
        self.api.get(&self.path(kind)).await.unwrap()
    }

    /// Changes an object as another manager.
    async fn edits(&self, manager: &str, kind: &str, patch: Value) {
        self.api.merge(&format!("{}?fieldManager={manager}", self.path(kind)), &patch).await;
    }

    /// Scales as an autoscaler does.
    async fn scales(&self, replicas: u32) {
        let path = format!("{}/scale?fieldManager=scaler", self.path("deployments"));
        self.api.merge(&path, &json!({"spec": {"replicas": replicas}})).await;
    }

    /// Scales as an autoscaler does, and waits until the rollout is over: the Deployment's status
    /// changes until then, and with it its version.
    async fn scales_and_rests(&self, replicas: u32) {
        self.scales(replicas).await;
        until("the rollout is over", SOON, async || {
            let object = self.get("deployments").await;
            let status = &object["status"];
            let all = ["replicas", "updatedReplicas", "availableReplicas"];
            status["observedGeneration"] == object["metadata"]["generation"]
                && all.iter().all(|count| status[*count] == replicas)
        })
        .await;
    }

    async fn has_replicas(&self, wanted: u32) {
        assert_eq!(self.get("deployments").await["spec"]["replicas"], wanted);
    }

    /// Returns who manages a field of the Deployment, such as `/f:spec/f:replicas`.
    async fn managers(&self, field: &str) -> Vec<String> {
        let object = self.get("deployments").await;
        managers(&object, field)
    }
}

fn managers(object: &Value, field: &str) -> Vec<String> {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    let owning = entries.iter().filter(|entry| entry["fieldsV1"].pointer(field).is_some());
    let mut found: Vec<_> =
        owning.map(|entry| entry["manager"].as_str().unwrap().to_owned()).collect();
    found.sort();
    found
}

const REPLICAS: &str = "/f:spec/f:replicas";
const IMAGE: &str = "/f:spec/f:template/f:spec/f:containers/k:{\"name\":\"main\"}/f:image";

fn image(tag: &str) -> Value {
    let containers = json!([
        {"name": "side", "image": "example/side"},
        {"name": "main", "image": format!("example/shop:{tag}")},
    ]);
    json!({"spec": {"template": {"spec": {"containers": containers}}}})
}

async fn rules_are_kept(kubeconfig: &Path) {
    let shop = Shop::new(kubeconfig, "conflicts").await;
    fails_and_says_whose_it_is(&shop).await;
    leaves_one_field(&shop).await;
    rolls_back_and_leaves_it(&shop).await;
    takes_it(&shop).await;
    rules_each_path(&shop).await;
    hides_what_a_secret_holds(&shop).await;
    refuses_what_cannot_be_kept(&shop).await;
}

async fn fails_and_says_whose_it_is(shop: &Shop) {
    let namespace = &shop.namespace;
    shop.scales(7).await;
    let upgrade = ["upgrade", "shop", "./shop", "--set", "replicas=3"];
    let wanted = format!(
        "Error: UPGRADE FAILED: conflict occurred while applying object {namespace}/shop apps/v1, \
         Kind=Deployment: Apply failed with 1 conflict: conflict with \"scaler\" with subresource \
         \"scale\" using apps/v1: .spec.replicas\n\
         Deployment/{namespace}/shop: spec.replicas belongs to scaler: it is 7 there, and 3 in the \
         release\n\
         hint: --conflicts 'spec.replicas=leave' leaves it to scaler, 'spec.replicas=force' takes it \
         over (of a HelmRelease: annotation leadsman.dev/conflicts)\n"
    );
    assert_eq!(shop.fails(&upgrade).await, wanted);
    assert_eq!(shop.fails(&[&upgrade[..], &["--conflicts", "fail"]].concat()).await, wanted);
    shop.has_replicas(7).await;
}

async fn leaves_one_field(shop: &Shop) {
    let said = shop.upgrades("replicas=3,tag=two", &LEAVE).await;
    let wanted = format!(
        "Deployment/{}/shop: spec.replicas is left to scaler: it is 7 there, and 3 in the release\n",
        shop.namespace
    );
    assert_eq!(said, wanted);
    shop.has_replicas(7).await;
    assert_eq!(shop.managers(REPLICAS).await, ["scaler"]);
    assert_eq!(shop.managers(IMAGE).await, ["helm"]);
    let containers =
        shop.get("deployments").await["spec"]["template"]["spec"]["containers"].clone();
    assert_eq!(containers[1]["image"], "example/shop:two");
    // Where all agree, nothing is to be said.
    assert_eq!(shop.upgrades("replicas=7,tag=two", &LEAVE).await, "");
    assert_eq!(shop.managers(REPLICAS).await, ["helm", "scaler"]);
    // Then it is changed again by both.
    shop.scales(8).await;
    assert_eq!(shop.managers(REPLICAS).await, ["scaler"]);
    let said = shop.upgrades("replicas=6,tag=two", &["--conflicts", "leave"]).await;
    assert!(said.contains("spec.replicas is left to scaler: it is 8 there, and 6 in"), "{said}");
    shop.has_replicas(8).await;
}

async fn rolls_back_and_leaves_it(shop: &Shop) {
    let said = shop.fails(&["rollback", "shop", "1"]).await;
    assert!(said.contains("spec.replicas belongs to scaler: it is 8 there, and 2 in"), "{said}");
    let said = shop.does(&[&["rollback", "shop", "1"], &LEAVE[..]].concat()).await;
    assert!(said.contains("spec.replicas is left to scaler: it is 8 there, and 2 in"), "{said}");
    shop.has_replicas(8).await;
    let containers =
        shop.get("deployments").await["spec"]["template"]["spec"]["containers"].clone();
    assert_eq!(containers[1]["image"], "example/shop:one");
}

async fn takes_it(shop: &Shop) {
    assert_eq!(shop.upgrades("replicas=3", &["--conflicts", "force"]).await, "");
    shop.has_replicas(3).await;
    assert_eq!(shop.managers(REPLICAS).await, ["helm"]);
}

/// Three others, a rule for each, and what no rule speaks of is in the way.
async fn rules_each_path(shop: &Shop) {
    shop.scales(9).await;
    shop.edits("kubectl-edit", "deployments", image("edited")).await;
    let team = json!({"metadata": {"annotations": {"example.com/team": "theirs"}}});
    shop.edits("kubectl-annotate", "deployments", team).await;
    let values = "replicas=4,tag=four,team=b,message=four";
    let rules = "spec.replicas=leave,metadata.annotations[\"example.com/team\"]=force";
    let upgrade = ["upgrade", "shop", "./shop", "--set", values, "--conflicts", rules];
    let said = shop.fails(&upgrade).await;
    let path = "spec.template.spec.containers[name=\"main\"].image";
    let told = format!("shop: {path} belongs to kubectl-edit: it is \"example/shop:edited\" there");
    assert!(said.contains(&told), "{said}");
    assert_eq!(said.matches(" belongs to ").count(), 1, "the others are ruled: {said}");
    shop.has_replicas(9).await;
    let team = |object: &Value| object["metadata"]["annotations"]["example.com/team"].clone();
    assert_eq!(team(&shop.get("deployments").await), "theirs");
    // As the hint says it, but for this Deployment only.
    let more = ["--conflicts", &format!("Deployment/shop:{path}=leave")];
    let said = shop.does(&[&upgrade[..], &more].concat()).await;
    assert_eq!(said.matches(" is left to ").count(), 2, "{said}");
    let object = shop.get("deployments").await;
    assert_eq!(team(&object), "b");
    let containers = &object["spec"]["template"]["spec"]["containers"];
    assert_eq!(containers[1], {
        let mut own = containers[1].clone();
        own["name"] = json!("main");
        own["image"] = json!("example/shop:edited");
        own
    });
    assert_eq!(containers.as_array().unwrap().len(), 2);
    shop.has_replicas(9).await;
    assert_eq!(shop.managers(IMAGE).await, ["kubectl-edit"]);
    let annotation = "/f:metadata/f:annotations/f:example.com~1team";
    assert_eq!(shop.managers(annotation).await, ["helm"]);
    assert_eq!(shop.get("configmaps").await["data"]["message"], "four");
}

async fn hides_what_a_secret_holds(shop: &Shop) {
    let edited = json!({"data": {"password": "ZWRpdGVk"}});
    shop.edits("kubectl-edit", "secrets", edited.clone()).await;
    let rules = ["--conflicts", "Deployment:*=leave"];
    let upgrade = ["upgrade", "shop", "./shop", "--set", "password=longer"];
    let said = shop.fails(&[&upgrade[..], &rules].concat()).await;
    let told = "data.password belongs to kubectl-edit: it is \"*** (6 bytes)\" there, and \"*** (6 \
                bytes)\" in the release";
    assert!(said.contains(told), "{said}");
    assert!(!said.contains("ZWRpdGVk") && !said.contains("bG9uZ2Vy"), "{said}");
    let both = [&upgrade[..], &rules, &["--conflicts", "Secret:data=leave"]].concat();
    let said = shop.does(&both).await;
    assert!(said.contains("data.password is left to kubectl-edit: it is \"*** (6"), "{said}");
    assert_eq!(shop.get("secrets").await["data"], edited["data"]);
}

async fn refuses_what_cannot_be_kept(shop: &Shop) {
    let upgrade = ["upgrade", "shop", "./shop"];
    let before = shop.api.revisions(&shop.namespace).await;
    let rows: [(&[&str], i32, &str); 4] = [
        (
            &["--server-side=false", "--conflicts", "spec.replicas=leave"],
            1,
            "the rules of conflicts `fail,spec.replicas=leave` need server-side apply",
        ),
        (
            &["--force-conflicts", "--conflicts", "leave"],
            1,
            "--force-conflicts and --conflicts leave say different things",
        ),
        (
            &["--conflicts", "spec.replicas=live"],
            2,
            "rule of conflicts `spec.replicas=live`: `live` is not force, fail or leave",
        ),
        (&["--conflicts", "leave", "--force-replace"], 2, "cannot be used with"),
    ];
    for (flags, code, why) in rows {
        let said = shop.run(&[&upgrade[..], flags].concat()).await;
        assert_eq!(said.code, Some(code), "{flags:?}: {}", said.stderr);
        assert!(said.stderr.contains(why), "{flags:?}: {why}\nis not in\n{}", said.stderr);
    }
    assert_eq!(shop.api.revisions(&shop.namespace).await, before, "nothing was written");
}

async fn plans_tell_each(kubeconfig: &Path) {
    let shop = Shop::new(kubeconfig, "planned").await;
    shop.scales(7).await;
    let plan = ["plan", "shop", "./shop", "--set", "replicas=3,message=new"];
    let planned = async |more: &[&str], code: i32| {
        let said = shop.run(&[&plan[..], more].concat()).await;
        assert_eq!(said.code, Some(code), "{more:?}: {} {}", said.stdout, said.stderr);
        said.stdout + &said.stderr
    };
    let text = planned(&[], 3).await;
    let needs = "    spec.replicas: 7 → 3\n    spec.replicas belongs to scaler (7 → 3): needs \
                 --conflicts 'spec.replicas=leave' or 'spec.replicas=force'\n";
    assert!(text.contains(needs), "{text}");
    let text = planned(&["--conflicts", "force"], 3).await;
    assert!(text.contains("    spec.replicas is taken from scaler (7 → 3)\n"), "{text}");
    let text = planned(&LEAVE, 3).await;
    let stays = format!(
        ". Deployment {}/shop stays as it is\n    spec.replicas is left to scaler (7, and not 3)\n",
        shop.namespace
    );
    assert!(text.contains(&stays), "{text}");
    assert!(text.contains("\n1 changed, 1 left to others, 1 as they are\n"), "{text}");
    let only = [&["plan", "shop", "./shop", "--set", "replicas=3", "-o", "json"], &LEAVE[..]];
    let said = shop.run(&only.concat()).await;
    assert_eq!(said.code, Some(0), "nothing changes: {}", said.stderr);
    let report: Value = serde_json::from_str(&said.stdout).unwrap();
    let conflict = json!({
        "field": "spec.replicas", "manager": "scaler", "policy": "leave", "live": 7, "ours": 3,
    });
    assert_eq!(report["changes"][0]["change"], "stay", "{report}");
    assert_eq!(report["changes"][0]["conflicts"], json!([conflict]), "{report}");
    // What fails is not kept.
    let text = planned(&["--save", "none"], 1).await;
    assert!(text.contains("belongs to scaler: --conflicts 'spec.replicas=force' takes"), "{text}");
    // The value of what is left may move, its owner may not.
    planned(&[&["--save", "kept"], &LEAVE[..]].concat(), 3).await;
    let kept = std::fs::read(shop.leadsman.folder().join("kept")).unwrap();
    let kept: Value = serde_json::from_slice(&kept).unwrap();
    assert_eq!(kept["plan"]["manner"]["conflicts"], "fail,spec.replicas=leave");
    shop.edits("kubectl-edit", "deployments", json!({"spec": {"replicas": 8}})).await;
    let said = shop.fails(&["apply", "kept"]).await;
    assert!(said.contains("/shop: spec.replicas belongs to kubectl-edit now"), "{said}");
    planned(&[&["--save", "kept"], &LEAVE[..]].concat(), 3).await;
    shop.edits("kubectl-edit", "deployments", json!({"spec": {"replicas": 9}})).await;
    let said = shop.does(&["apply", "kept"]).await;
    assert!(said.contains("spec.replicas is left to kubectl-edit: it is 9 there"), "{said}");
    shop.has_replicas(9).await;
    assert_eq!(shop.get("configmaps").await["data"]["message"], "new");
}

/// Edits an object from wherever a proxy calls.
fn edit(kubeconfig: &Path, path: &str, patch: &Value) {
    let edit = async {
        let path = format!("{path}?fieldManager=kubectl-edit");
        Api::connect(kubeconfig).await.merge(&path, patch).await;
    };
    // The caller stands in a runtime already.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_all().build().unwrap().block_on(edit);
        });
    });
}

/// Force spares nobody: it is sent only for what was looked at.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_edited_at_the_last_moment_is_not_taken_with_the_rest() {
    let (_server, _running, kubeconfig) = simulated().await;
    let shop = Shop::new(&kubeconfig, "moment").await;
    let proxy = Proxy::start(&kubeconfig);
    let through = Leadsman::new().kubeconfig(&proxy.kubeconfig());
    let chart = shop.leadsman.folder().join("shop").display().to_string();
    let upgrade = async |values: &str| {
        let arguments = ["upgrade", "shop", &chart, "-n", &shop.namespace, "--set", values];
        through.run(&[&arguments[..], &["--conflicts", "spec.replicas=force"]].concat()).await
    };
    shop.scales_and_rests(7).await;
    let said = upgrade("replicas=3,tag=two").await;
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let calls = proxy.calls();
    let changes: Vec<_> = calls.iter().filter(|call| call.is_change()).collect();
    let forced: Vec<usize> = (1..)
        .zip(&changes)
        .filter(|(_, call)| call.query.contains("force=true"))
        .map(|one| one.0)
        .collect();
    assert_eq!(forced.len(), 1, "only what has a conflict is forced: {changes:?}");
    // Once the field in the way is to be taken, somebody edits another one, or a note of theirs.
    let noted = json!({"metadata": {"annotations": {"note": "theirs"}}});
    for (number, patch, wanted) in [
        (
            8,
            image("edited"),
            Err("image belongs to kubectl-edit: it is \"example/shop:edited\" there"),
        ),
        (9, noted, Ok(())),
    ] {
        shop.upgrades("replicas=3,tag=two", &["--force-conflicts"]).await;
        shop.scales_and_rests(number).await;
        proxy.forget();
        let (kubeconfig, path, edited) =
            (kubeconfig.clone(), shop.path("deployments"), patch.clone());
        proxy.at(forced[0], Moment::Before, move || edit(&kubeconfig, &path, &edited));
        let said = upgrade("replicas=4,tag=three").await;
        assert!(!proxy.is_armed(), "nothing was forced: {}", said.stderr);
        let object = shop.get("deployments").await;
        let tag = &object["spec"]["template"]["spec"]["containers"][1]["image"];
        match wanted {
            Err(why) => {
                assert_eq!(said.code, Some(1), "{patch}");
                assert!(said.stderr.contains(why), "{}", said.stderr);
                assert_eq!(*tag, "example/shop:edited");
                shop.has_replicas(number).await;
            }
            Ok(()) => {
                assert_eq!(said.code, Some(0), "{patch}: {}", said.stderr);
                assert_eq!(*tag, "example/shop:three");
                assert_eq!(object["metadata"]["annotations"]["note"], "theirs");
                shop.has_replicas(4).await;
            }
        }
    }
}

/// Serves a simulated cluster, and returns its kubeconfig, too.
async fn simulated() -> (Leadsman, Running, PathBuf) {
    let (server, running) = leadsman::simulated().await;
    let kubeconfig = server.folder().join("kubeconfig");
    (server, running, kubeconfig)
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_kept_on_a_real_api_server() {
    let Some(cluster) = ControlPlane::shared() else { return };
    rules_are_kept(&cluster.kubeconfig()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_kept_in_the_simulated_cluster() {
    let (_server, _running, kubeconfig) = simulated().await;
    rules_are_kept(&kubeconfig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_tell_each_field_on_a_real_api_server() {
    let Some(cluster) = ControlPlane::shared() else { return };
    plans_tell_each(&cluster.kubeconfig()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_tell_each_field_in_the_simulated_cluster() {
    let (_server, _running, kubeconfig) = simulated().await;
    plans_tell_each(&kubeconfig).await;
}
