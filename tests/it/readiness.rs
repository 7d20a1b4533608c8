//! What keeps objects from working is found and told, on the simulated cluster.

use std::sync::Mutex;
use std::time::Duration;

use futures::future::join_all;
use leadsman::cluster::status::Reader;
use leadsman::cluster::wait::{WaitOptions, wait_ready};
use leadsman::cluster::{ApplyOptions, Cluster, Object};
use leadsman::sim::{LOG_ANNOTATION, OUTCOME_ANNOTATION, Sim, SimOptions};
use serde_json::{Value, json};

/// Kinds that own Pods.
const OWNERS: [(&str, &str); 5] = [
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "ReplicaSet"),
    ("batch/v1", "Job"),
];

/// What becomes of Pods, and what is to be told of it behind the Pod's name.
const OUTCOMES: [(&str, &str); 6] = [
    (
        "image-pull",
        ", container `main`, condition Ready: ImagePullBackOff: Back-off pulling image \"a/b\"",
    ),
    (
        "crash",
        ", container `main`, condition Ready: CrashLoopBackOff: last ended with exit code 1 (Error) (its log ends: two | three | four | five | six)",
    ),
    (
        "never-ready",
        ", container `main`, condition Ready: Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 503",
    ),
    (
        "pending",
        ", condition PodScheduled: Unschedulable: 0/1 nodes are available: 1 Insufficient cpu.",
    ),
    (
        "mount",
        ", container `main`, condition Ready: FailedMount: MountVolume.SetUp failed for volume \"files\" : secret \"files\" not found",
    ),
    (
        "fail",
        ", container `main`, condition Ready: Error: last ended with exit code 1 (Error) (its log ends: two | three | four | five | six)",
    ),
];

/// Returns an object whose Pods have a fate.
fn owner((api_version, kind): (&str, &str), outcome: &str, volumes: &Value) -> Value {
    let name = format!("{}-{outcome}", kind.to_lowercase());
    let labels = json!({"app": name});
    let annotations = json!({OUTCOME_ANNOTATION: outcome, LOG_ANNOTATION: "one\ntwo\nthree\nfour\n\nfive\nsix\n"});
    let mut spec = json!({"template": {"metadata": {"labels": labels, "annotations": annotations},
        "spec": {"containers": [{"name": "main", "image": "a/b"}], "volumes": volumes}}});
    match kind {
        "Job" => {
            spec["backoffLimit"] = 0.into();
            spec["template"]["spec"]["restartPolicy"] = "Never".into();
        }
        "StatefulSet" => {
            spec["serviceName"] = "x".into();
            spec["selector"] = json!({"matchLabels": labels});
        }
        _ => spec["selector"] = json!({"matchLabels": labels}),
    }
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec})
}

/// Applies objects and waits in vain for each of them; returns what is told of each.
async fn told(cluster: &Cluster, objects: &[Value]) -> Vec<(String, String)> {
    let each = objects.iter().map(async |object| {
        let object = Object(object.clone());
        let live = cluster.apply(&object, &ApplyOptions::forced()).await.unwrap();
        let options = WaitOptions::resources(Duration::from_secs(5), Reader::Jobs);
        let clock = leadsman::base::clock::SystemClock;
        let ended = wait_ready(cluster, vec![live], &options, &clock, &|_| {}).await;
        let told = match ended {
            Ok(()) => "ready".to_owned(),
            Err(error) => {
                let cause = error.unready()[0].cause.as_ref();
                cause.map_or_else(|| error.to_string(), ToString::to_string)
            }
        };
        (object.name().to_owned(), told)
    });
    join_all(each).await
}

fn simulated(options: SimOptions) -> Cluster {
    Cluster::new(Sim::new(options).client("default"), "helm-controller")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cause_is_found_for_every_kind() {
    let cluster = simulated(SimOptions::default());
    let pairs: Vec<_> = OWNERS
        .iter()
        .flat_map(|owner| OUTCOMES.iter().map(move |outcome| (*owner, *outcome)))
        // Pods of the other kinds are started again; they do not fail.
        .filter(|(owner, outcome)| outcome.0 != "fail" || owner.1 == "Job")
        .collect();
    assert!(pairs.len() >= 20);
    let objects: Vec<Value> =
        pairs.iter().map(|(of, outcome)| owner(*of, outcome.0, &json!([]))).collect();
    let told = told(&cluster, &objects).await;
    let mut wrong = Vec::new();
    for ((name, told), (_, (_, wanted))) in told.iter().zip(&pairs) {
        if !told.starts_with(&format!("Pod/default/{name}-")) || !told.ends_with(wanted) {
            wrong.push(format!("{name}: {told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_without_a_volume_is_named() {
    let cluster = simulated(SimOptions { bind_volumes: false, ..SimOptions::default() });
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "default"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    let volumes = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]);
    let mut objects = vec![claim];
    objects.extend(OWNERS.iter().map(|of| owner(*of, "ready", &volumes)));
    for (name, told) in told(&cluster, &objects).await {
        let wanted = "PersistentVolumeClaim/default/data: Pending: the claim is not bound";
        assert!(told.starts_with(wanted), "{name}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn causes_are_told_while_waiting() {
    let cluster = simulated(SimOptions::default());
    let object = Object(owner(OWNERS[0], "never-ready", &json!([])));
    let live = cluster.apply(&object, &ApplyOptions::forced()).await.unwrap();
    let options = WaitOptions::resources(Duration::from_secs(12), Reader::Plain);
    let clock = leadsman::base::clock::SystemClock;
    let heard = Mutex::new(Vec::new());
    let progress = |progress: &leadsman::cluster::wait::Progress| {
        let cause = progress.unready.first().and_then(|unready| unready.cause.clone());
        heard.lock().unwrap().push(cause.map(|cause| cause.reason));
    };
    wait_ready(&cluster, vec![live], &options, &clock, &progress).await.unwrap_err();
    assert_eq!(*heard.lock().unwrap(), [None, Some("Unhealthy".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_in_which_nothing_happens_ends_before_its_timeout() {
    let cluster = simulated(SimOptions::default());
    let clock = leadsman::base::clock::SystemClock;
    let begun = std::time::Instant::now();
    let object = Object(owner(OWNERS[0], "never-ready", &json!([])));
    let live = cluster.apply(&object, &ApplyOptions::forced()).await.unwrap();
    let mut options = WaitOptions::resources(Duration::from_secs(60), Reader::Plain);
    options.rules.stall = Some(Duration::from_secs(3));
    let awaited = vec![live];
    let waited = wait_ready(&cluster, awaited, &options, &clock, &|_| {});
    // Events about its Pods count as life; those about others do not.
    let events = async {
        for (second, name) in
            [(1, "deployment-never-ready-a"), (2, "deployment-never-ready-a"), (4, "another")]
        {
            tokio::time::sleep(Duration::from_millis(1200)).await;
            let now =
                leadsman::base::clock::rfc3339_seconds(leadsman::base::clock::Clock::now(&clock));
            let event = json!({"apiVersion": "v1", "kind": "Event",
                "metadata": {"name": format!("e{second}"), "namespace": "default"}, "reason": "Pulling",
                "involvedObject": {"kind": "Pod", "name": name, "namespace": "default"}, "lastTimestamp": now});
            cluster.create(&Object(event)).await.unwrap();
        }
    };
    let (ended, ()) = tokio::join!(waited, events);
    let error = ended.unwrap_err();
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(4300) && took < Duration::from_secs(12), "{took:?}");
    let text = "stalled: nothing has changed and no event came for 3s: [Deployment/default/deployment-never-ready status: 'InProgress']";
    assert_eq!(error.to_string(), text);
    assert_eq!(error.unready()[0].cause.as_ref().unwrap().reason, "Unhealthy");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_may_be_left_out_of_a_wait() {
    let cluster = simulated(SimOptions::default());
    let clock = leadsman::base::clock::SystemClock;
    for (value, waits) in [("false", false), ("true", true)] {
        let mut object = Object(owner(OWNERS[1], "never-ready", &json!([])));
        object.0["metadata"]["annotations"] = json!({"leadsman.dev/wait": value});
        let live = cluster.apply(&object, &ApplyOptions::forced()).await.unwrap();
        let options = WaitOptions::resources(Duration::from_secs(1), Reader::Plain);
        let ended = wait_ready(&cluster, vec![live], &options, &clock, &|_| {}).await;
        assert_eq!(ended.is_err(), waits, "{value}: {ended:?}");
    }
}
