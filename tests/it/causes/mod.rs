//! Why objects do not work, row by row: objects as clusters show them, written through a simulated
//! API whose workloads nobody brings up, are awaited in vain; what is told is the object that is at
//! fault, and why.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use leadsman::base::clock::SystemClock;
use leadsman::cluster::status::Reader;
use leadsman::cluster::wait::{WaitOptions, wait_ready};
use leadsman::cluster::{Cluster, Health, HealthCheck, Object, ObjectId, Propagation};
use leadsman::sim::{LOG_ANNOTATION, Sim, SimOptions};
use serde::Deserialize;
use serde_json::{Value, json};

const NAMESPACE: &str = "default";

/// What was said about an object.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    /// `claim`: about the claim; else about the Pod, or the object where there is none.
    #[serde(default)]
    of: String,
    #[serde(default)]
    r#type: String,
    reason: String,
    message: String,
    #[serde(default)]
    container: String,
}

/// A cause that a Pod shows.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct OfPod {
    cause: String,
    /// The kind of the cause.
    kind: String,
    /// The status of the Pod.
    status: Value,
    #[serde(default)]
    events: Vec<Event>,
    /// The log of its container.
    #[serde(default)]
    log: String,
    /// The phase of the claim that it uses; empty: it uses none.
    #[serde(default)]
    claim: String,
    /// What is told; `{pod}` and `{claim}` stand for those.
    told: String,
}

/// A cause that an object shows itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    cause: String,
    /// `apiVersion`, `kind`, `spec`; `name` and `finalizers` where they matter.
    object: Value,
    #[serde(default)]
    status: Value,
    /// The status of a ReplicaSet below it.
    #[serde(default)]
    set: Value,
    #[serde(default)]
    events: Vec<Event>,
    /// Whether it is being deleted.
    #[serde(default)]
    delete: bool,
    /// When it works, in the user's words.
    #[serde(default)]
    current: String,
    #[serde(default)]
    failed: String,
    /// The verdict; `InProgress` where nothing is said.
    #[serde(default)]
    verdict: String,
    kind: String,
    /// What is told; `{own}` and `{set}` stand for those.
    told: String,
}

/// A simulated cluster in which nothing comes alive.
struct World {
    cluster: Cluster,
}

/// What a wait in vain told: the verdict, the kind of the cause, and its text.
type Told = (String, String, String);

impl World {
    async fn new() -> Self {
        let sim = Sim::new(SimOptions { workloads: false, ..SimOptions::default() });
        let world = Self { cluster: Cluster::new(sim.client(NAMESPACE), "helm-controller") };
        let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        world
            .make(
                &json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": "databases.example.com"},
                "spec": {"group": "example.com", "scope": "Namespaced",
                    "names": {"kind": "Database", "plural": "databases"},
                    "versions": [{"name": "v1", "served": true, "storage": true,
                        "subresources": {"status": {}}, "schema": {"openAPIV3Schema": schema}}]}}),
            )
            .await;
        let database = ObjectId::new("example.com/v1", "Database", NAMESPACE, "none");
        while world
            .cluster
            .resource(&database.api_version(), &database.kind)
            .await
            .unwrap()
            .is_none()
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
            world.cluster.forget_discovery();
        }
        world
    }

    async fn make(&self, object: &Value) -> Object {
        let made = self.cluster.create(&Object(object.clone())).await;
        made.unwrap_or_else(|error| panic!("{error:?}: {object}"))
    }

    /// Writes a status as controllers do, through its own door; returns the object.
    async fn show(&self, made: &Object, status: &Value) -> Object {
        if status.is_null() {
            return made.clone();
        }
        let mut shown = made.clone();
        shown.0["status"] = status.clone();
        self.cluster.replace_part(&shown, "status").await.unwrap()
    }

    async fn say(&self, about: &ObjectId, event: &Event, number: usize) {
        let kind = if event.r#type.is_empty() { "Warning" } else { &event.r#type };
        let namespace = if about.namespace.is_empty() { NAMESPACE } else { &about.namespace };
        let place = match event.container.as_str() {
            "" => String::new(),
            container => format!("spec.containers{{{container}}}"),
        };
        self.make(&json!({"apiVersion": "v1", "kind": "Event",
            "metadata": {"name": format!("{}.{}.{number}", about.name, about.kind.to_lowercase()), "namespace": namespace},
            "involvedObject": {"kind": about.kind, "name": about.name, "namespace": about.namespace, "fieldPath": place},
            "type": kind, "reason": event.reason, "message": event.message,
            "lastTimestamp": "2026-01-01T00:00:01Z"}))
            .await;
    }

    /// Waits in vain.
    async fn waits(&self, object: &Object, options: &WaitOptions) -> Told {
        let ended = wait_ready(&self.cluster, vec![object.clone()], options, &SystemClock, &|_| {});
        let Err(error) = ended.await else {
            return ("Current".to_owned(), String::new(), String::new());
        };
        let [unready] = error.unready() else {
            return (error.to_string(), String::new(), String::new());
        };
        assert_eq!(unready.id, object.id(), "{error}");
        let cause = unready.cause.as_ref();
        let kind = cause.map(|cause| format!("{:?}", cause.kind)).unwrap_or_default();
        let text = cause.map(ToString::to_string).unwrap_or_default();
        (unready.status.status.to_string(), kind, text)
    }
}

/// Kinds that own Pods, and what they say of it; `Pod` stands for a Pod alone.
const OWNERS: [(&str, &str); 7] = [
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "ReplicaSet"),
    ("batch/v1", "Job"),
    ("example.com/v1", "Database"),
    ("v1", "Pod"),
];

fn object((api_version, kind): (&str, &str), name: &str, spec: &Value) -> Value {
    json!({"apiVersion": api_version, "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec})
}

/// Returns the spec of an owner whose Pods have a label.
fn spec(kind: &str, name: &str) -> Value {
    let labels = json!({"app": name});
    let mut spec = json!({"selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}}});
    match kind {
        "Job" => {
            spec["manualSelector"] = true.into();
            spec["template"]["spec"]["restartPolicy"] = "Never".into();
        }
        "StatefulSet" => spec["serviceName"] = "x".into(),
        _ => {}
    }
    spec
}

/// Returns what an owner shows while its Pods do not work.
fn unready(kind: &str) -> Value {
    match kind {
        "Deployment" => {
            json!({"replicas": 1, "updatedReplicas": 1, "unavailableReplicas": 1, "conditions": [
            {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"},
            {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable"}]})
        }
        "DaemonSet" => {
            json!({"observedGeneration": 1, "desiredNumberScheduled": 1, "currentNumberScheduled": 1,
            "updatedNumberScheduled": 1, "numberReady": 0, "numberMisscheduled": 0})
        }
        "Job" => json!({"active": 1, "startTime": "2026-01-01T00:00:00Z"}),
        "Database" => json!({"conditions": [
            {"type": "Ready", "status": "False", "reason": "Waiting", "message": "for Pods"}]}),
        _ => json!({"replicas": 1, "readyReplicas": 0}),
    }
}

async fn of_pod(world: &World, owner: (&str, &str), row: &OfPod, name: &str) -> Told {
    let is_alone = owner.1 == "Pod";
    let (pod, claim) = (format!("{name}-p"), format!("{name}-data"));
    let claim_id = ObjectId::new("v1", "PersistentVolumeClaim", NAMESPACE, &claim);
    let mut body =
        object(("v1", "Pod"), &pod, &json!({"containers": [{"name": "c", "image": "x:1"}]}));
    body["metadata"]["labels"] = json!({"app": name});
    body["metadata"]["annotations"] = json!({LOG_ANNOTATION: row.log});
    if !row.claim.is_empty() {
        body["spec"]["volumes"] =
            json!([{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]);
        let size = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
        let made = world.make(&object(("v1", "PersistentVolumeClaim"), &claim, &size)).await;
        world.show(&made, &json!({"phase": row.claim})).await;
    }
    let made = if is_alone {
        None
    } else {
        let made = world.make(&object(owner, name, &spec(owner.1, name))).await;
        Some(world.show(&made, &unready(owner.1)).await)
    };
    let pod = world.make(&body).await;
    let pod = world.show(&pod, &row.status).await;
    for (number, event) in row.events.iter().enumerate() {
        let about = if event.of == "claim" { &claim_id } else { &pod.id() };
        world.say(about, event, number).await;
    }
    // Pods of a release that are alone are its hooks.
    match made {
        Some(owner) => {
            let options = WaitOptions::resources(Duration::from_secs(2), Reader::Jobs);
            world.waits(&owner, &options).await
        }
        None => world.waits(&pod, &WaitOptions::hook(Duration::from_secs(2))).await,
    }
}

async fn own(world: &World, row: &Own, name: &str) -> Told {
    let field = |key: &str| row.object[key].as_str().unwrap_or_default().to_owned();
    let (version, kind) = (field("apiVersion"), field("kind"));
    let own_spec = &row.object["spec"];
    let body_spec = if own_spec.is_null() { &spec(&kind, name) } else { own_spec };
    let mut body = object((&version, &kind), name, body_spec);
    if !field("name").is_empty() {
        body["metadata"] = json!({"name": field("name")});
    }
    body["metadata"]["finalizers"] = row.object["finalizers"].clone();
    let made = world.make(&body).await;
    let mut shown = world.show(&made, &row.status).await;
    if !row.set.is_null() {
        let mut set = object(("apps/v1", "ReplicaSet"), &set_of(name), &spec("ReplicaSet", name));
        set["metadata"]["labels"] = json!({"app": name});
        let set = world.make(&set).await;
        world.show(&set, &row.set).await;
    }
    for (number, event) in row.events.iter().enumerate() {
        world.say(&made.id(), event, number).await;
    }
    if row.delete {
        world.cluster.delete(&made.id(), Propagation::Background).await.unwrap();
        shown = world.cluster.get(&made.id()).await.unwrap().unwrap();
    }
    let mut options = WaitOptions::resources(Duration::from_secs(2), Reader::Jobs);
    if !row.current.is_empty() {
        let check = HealthCheck {
            api_version: &version,
            kind: &kind,
            current: &row.current,
            failed: &row.failed,
            in_progress: "",
        };
        options.rules.health = Arc::new(Health::parse(&[check]).unwrap());
    }
    world.waits(&shown, &options).await
}

fn set_of(name: &str) -> String {
    format!("{name}-6d4cf56db6")
}

/// Plays both tables; all rows that tell something else are reported at once.
#[tokio::test(start_paused = true)]
async fn two_hundred_objects_that_do_not_work_say_which_is_at_fault_and_why() {
    let of_pods: Vec<OfPod> = serde_yaml::from_str(include_str!("pods.yaml")).unwrap();
    let owns: Vec<Own> = serde_yaml::from_str(include_str!("own.yaml")).unwrap();
    let world = World::new().await;
    let (mut wrong, mut kinds, mut causes, mut count) =
        (Vec::new(), BTreeSet::new(), BTreeSet::new(), 0);
    let mut compare = |what: String, got: &Told, kind: &str, told: &str, verdict: Option<&str>| {
        count += 1;
        let (said, found, text) = got;
        let fits = verdict.is_none_or(|verdict| verdict == said);
        if !fits || said == "Current" || found != kind || text != told {
            wrong.push(format!("{what}:\n    got {said} {found} {text}\n    want {kind} {told}"));
        }
    };
    for (number, row) in of_pods.iter().enumerate() {
        for owner in OWNERS {
            let name = format!("{}-{number}", owner.1.to_lowercase());
            let got = of_pod(&world, owner, row, &name).await;
            let told = row.told.replace("{pod}", &format!("Pod/{NAMESPACE}/{name}-p"));
            let claim = format!("PersistentVolumeClaim/{NAMESPACE}/{name}-data");
            let told = told.replace("{claim}", &claim);
            compare(format!("{} of a {}", row.cause, owner.1), &got, &row.kind, &told, None);
            kinds.insert(owner.1.to_owned());
            causes.insert(row.kind.clone());
        }
    }
    for (number, row) in owns.iter().enumerate() {
        let name = format!("own-{number}");
        let got = own(&world, row, &name).await;
        let kind = row.object["kind"].as_str().unwrap();
        let id = match row.object["name"].as_str() {
            Some(name) => format!("{kind}/{name}"),
            None => format!("{kind}/{NAMESPACE}/{name}"),
        };
        let set = format!("ReplicaSet/{NAMESPACE}/{}", set_of(&name));
        let told = row.told.replace("{own}", &id).replace("{set}", &set);
        let verdict = if row.verdict.is_empty() { "InProgress" } else { &row.verdict };
        compare(row.cause.clone(), &got, &row.kind, &told, Some(verdict));
        kinds.insert(kind.to_owned());
        causes.insert(row.kind.clone());
    }
    assert!(wrong.is_empty(), "{} of {count} rows:\n  {}", wrong.len(), wrong.join("\n  "));
    assert!(count >= 200, "{count} rows");
    assert!(kinds.len() >= 14, "{kinds:?}");
    assert_eq!(causes.len(), 12, "every kind of cause: {causes:?}");
}
