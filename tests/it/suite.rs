//! Tests of charts and logs of hooks: Leadsman and the real Helm run, print and record the same.

use leadsman::cluster::Cluster;
use leadsman::release::Storage;
use leadsman::sim::{EXIT_CODE_ANNOTATION, LOG_ANNOTATION, OUTCOME_ANNOTATION};
use serde_json::{Value, json};

use crate::commands::{World, normal};

/// A chart with tests that pass, fail or hang as its values say, and hooks that speak.
fn chart(world: &World) {
    let object = |name: &str, kind: &str, hook: Value, says: &str, rest: Value| {
        let mut annotations = hook;
        annotations[LOG_ANNOTATION] = says.into();
        let mut object = json!({
            "apiVersion": if kind == "Job" { "batch/v1" } else { "v1" }, "kind": kind,
            "metadata": {"name": format!("{{{{ .Release.Name }}}}-{name}"), "annotations": annotations},
        });
        object.as_object_mut().unwrap().extend(rest.as_object().cloned().unwrap());
        let text = serde_yaml::to_string(&object).unwrap();
        world.leadsman.file(&format!("tested/templates/{name}.yaml"), &text);
    };
    let pod = |names: &[&str]| {
        let containers: Vec<_> = names.iter().map(|n| json!({"name": n, "image": "x"})).collect();
        json!({"restartPolicy": "Never", "containers": containers})
    };
    world.leadsman.file("tested/Chart.yaml", "apiVersion: v2\nname: tested\nversion: 0.1.0\n");
    world.leadsman.file("tested/values.yaml", "b: succeed\njob: succeed\n");
    let test = |weight: &str| json!({"helm.sh/hook": "test", "helm.sh/hook-weight": weight});
    let mut first = pod(&["main", "side"]);
    first["initContainers"] = json!([{"name": "prepare", "image": "x"}]);
    object("a", "Pod", test("-1"), "first\nsecond", json!({"spec": first}));
    let mut fate = test("2");
    fate[OUTCOME_ANNOTATION] = "{{ .Values.b }}".into();
    fate["helm.sh/hook-output-log-policy"] = "hook-failed,hook-succeeded".into();
    fate["helm.sh/hook-delete-policy"] = "hook-failed".into();
    object("b", "Pod", fate, "b speaks\n", json!({"spec": pod(&["main"])}));
    object("c", "ConfigMap", test("3"), "", json!({"data": {"a": "b"}}));
    for (name, events) in [("before", "pre-install,pre-upgrade"), ("after", "post-upgrade")] {
        let hook = json!({
            "helm.sh/hook": events,
            "helm.sh/hook-output-log-policy": "hook-succeeded, hook-failed",
            "helm.sh/hook-delete-policy": "hook-succeeded,before-hook-creation",
        });
        let says = format!("{name} speaks\n");
        let outcome = if name == "before" { "{{ .Values.job }}" } else { "succeed" };
        let template = json!({
            "metadata": {"annotations": {
                LOG_ANNOTATION: says, OUTCOME_ANNOTATION: outcome, EXIT_CODE_ANNOTATION: "3",
            }},
            "spec": pod(&["main"]),
        });
        let spec = json!({"backoffLimit": 0, "template": template});
        object(name, "Job", hook, "", json!({"spec": spec}));
    }
}

const LINES: &str = "test none
install web TESTED --create-namespace
status web
test web
test web --logs
test web --logs --filter name=web-a
test web --logs --filter !name=web-b,!name=web-c
test web --filter name=web-c --filter name=web-b,!name=web-b
test web --filter name=none
test web --filter web-a --debug
upgrade web TESTED --set b=fail
test web
test web --logs
test web --logs --filter !name=web-b
upgrade web TESTED --set b=never-ready
test web --timeout 1s
upgrade web TESTED --set b=fail
get hooks web";

#[tokio::test(flavor = "multi_thread")]
async fn tests_and_logs_of_hooks_are_those_of_helm() {
    let Some(world) = World::start().await else { return };
    chart(&world);
    let mut failures = Vec::new();
    for line in LINES.lines() {
        failures.extend(world.differs(line).await);
        let [theirs, ours] = hooks(&world).await;
        if theirs != ours {
            failures.push(format!("{line}: hooks\n--- Helm\n{theirs}\n--- Leadsman\n{ours}\n"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Returns the hooks of both records, times aside.
async fn hooks(world: &World) -> [String; 2] {
    let cluster = Cluster::new(world.api().await.client(), "Helm");
    let mut told = Vec::new();
    for namespace in ["theirs", "ourown"] {
        let last = Storage::new(&cluster, namespace).last("web").await.unwrap();
        let hooks = last.map(|(_, record)| serde_json::to_string_pretty(&record.hooks).unwrap());
        told.push(normal(&hooks.unwrap_or_default()));
    }
    told.try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_fails_is_heard_before_it_is_deleted() {
    let Some(world) = World::start().await else { return };
    chart(&world);
    let folder = world.leadsman.folder().join("tested").to_string_lossy().into_owned();
    let words = ["install", "web", &folder, "--set", "job=fail", "-n", "default"];
    let theirs = world.helm.run(&words).await;
    assert_eq!(theirs.code, Some(1), "{}", theirs.stdout);
    world.helm.ok(&["uninstall", "web", "-n", "default"]).await;
    let ours = world.leadsman.run(&words).await;
    assert_eq!(ours.code, Some(1), "{}", ours.stdout);
    let heard = |text: &str| {
        let lines = text.lines().filter(|line| line.contains("speaks"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(heard(&ours.stderr), ["level=INFO msg=\"before speaks\""]);
    assert_eq!(heard(&ours.stderr), heard(&theirs.stderr));
}
