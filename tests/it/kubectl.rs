//! Plain kubectl, with no flag but its kubeconfig, against `leadsman sim`.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::leadsman::{Leadsman, Running};
use crate::support::parts;
use crate::support::process::{Output, run};
use crate::support::wait::{SOON, until};

const WEB: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}, annotations: {sim.leadsman.dev/log: \"hello from web\\n\"}}
    spec:
      containers:
      - {name: main, image: 'example/web:1', env: [{name: A, value: a}, {name: B, value: b}]}
";

/// A simulated cluster and a kubectl that knows nothing but its kubeconfig.
struct Session {
    server: Leadsman,
    _running: Running,
    program: PathBuf,
}

/// Finds kubectl, or says that the test is skipped.
fn kubectl() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("kubectl"));
    let found = found.into_iter().find(|program| program.is_file());
    found.or_else(|| parts::skip("kubectl", "no kubectl in PATH"))
}

impl Session {
    async fn start() -> Option<Self> {
        let program = kubectl()?;
        let server = Leadsman::new();
        let running = server.spawn(&["sim", "--kubeconfig-out", "kubeconfig"]);
        running.line(SOON, |line| line.contains("the simulated cluster listens")).await;
        Some(Self { server, _running: running, program })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let folder = self.server.folder();
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(folder);
        command.env("KUBECONFIG", folder.join("kubeconfig")).env("HOME", folder);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        run(self.command(arguments), SOON).await
    }

    /// Runs kubectl, which must succeed without a warning, and returns what it printed.
    async fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        let said = format!("kubectl {arguments:?}\n{}{}", output.stdout, output.stderr);
        assert_eq!(output.code, Some(0), "{said}");
        assert!(!output.stderr.contains("arning"), "{said}");
        output.stdout
    }

    /// Runs kubectl, which must fail, and returns what it said.
    async fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        assert_eq!(output.code, Some(1), "kubectl {arguments:?}\n{}", output.stdout);
        output.stderr
    }

    /// Runs kubectl with a file, of which it must say exactly this.
    async fn apply(&self, text: &str, flags: &[&str], said: &str) {
        self.server.file("object.yaml", text);
        let arguments = [&["apply", "-f", "object.yaml"], flags].concat();
        assert_eq!(self.ok(&arguments).await.trim_end(), said);
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        let text = self.ok(&[&["get", "-o", "json"], arguments].concat()).await;
        serde_json::from_str(&text).unwrap()
    }
}

/// Returns the words of each line.
fn words(table: &str) -> Vec<Vec<&str>> {
    table.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[track_caller]
fn contains(text: &str, parts: &[&str]) {
    // Columns are padded by what stands in them.
    let plain: Vec<_> = text.lines().map(|line| words(line).concat().join(" ")).collect();
    for part in parts {
        assert!(plain.iter().any(|line| line.contains(part)), "no `{part}` in:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_shown_in_every_form() {
    let Some(session) = Session::start().await else { return };
    assert_eq!(words(&session.ok(&["get", "nodes"]).await)[1][..2], ["node-1", "Ready"]);
    session.apply(WEB, &[], "deployment.apps/web created").await;
    session.ok(&["wait", "--for=condition=Available", "deployment/web"]).await;
    let table = session.ok(&["get", "deployments"]).await;
    let rows = words(&table);
    assert_eq!(rows[0], ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]);
    assert_eq!(rows[1][..4], ["web", "2/2", "2", "2"]);
    let wide = session.ok(&["get", "deploy", "-o", "wide"]).await;
    contains(&wide, &["AGE CONTAINERS IMAGES SELECTOR", "main example/web:1 app=web"]);
    let pods = session.ok(&["get", "po", "-A", "-o", "wide"]).await;
    contains(&pods, &["NAMESPACE NAME READY STATUS RESTARTS AGE IP NODE NOMINATED NODE"]);
    contains(&pods, &["1/1 Running 0", "node-1 <none> <none>"]);
    assert_eq!(session.ok(&["get", "deploy", "-o", "name"]).await, "deployment.apps/web\n");
    let none = session.run(&["get", "pods", "-l", "app=other"]).await;
    assert_eq!(none.stderr, "No resources found in default namespace.\n");
    let of_app = session.json(&["pods", "-l", "app in (web), !missing"]).await;
    assert_eq!(of_app["items"].as_array().unwrap().len(), 2);
    let running = session.json(&["pods", "--field-selector", "status.phase=Running"]).await;
    assert_eq!(running["items"].as_array().unwrap().len(), 2);
    let yaml = session.ok(&["get", "deploy/web", "-o", "yaml"]).await;
    let yaml: Value = serde_yaml::from_str(&yaml).unwrap();
    assert_eq!(yaml["spec"]["strategy"]["rollingUpdate"]["maxSurge"], "25%");
    assert_eq!(yaml["kind"], "Deployment");
    let all = session.ok(&["get", "all"]).await;
    contains(&all, &["deployment.apps/web 2/2", "replicaset.apps/web-", "service/kubernetes"]);
    contains(&all, &["pod/web-"]);
    let column = ["get", "deploy", "-o", "custom-columns=N:.metadata.name,R:.spec.replicas"];
    assert_eq!(words(&session.ok(&column).await)[1], ["web", "2"]);
    let missing = session.refused(&["get", "cm", "nope"]).await;
    assert_eq!(missing, "Error from server (NotFound): configmaps \"nope\" not found\n");
    let unknown = session.refused(&["get", "nosuch"]).await;
    assert_eq!(unknown, "error: the server doesn't have a resource type \"nosuch\"\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_creates_leaves_and_merges() {
    let Some(session) = Session::start().await else { return };
    session.apply(WEB, &[], "deployment.apps/web created").await;
    session.apply(WEB, &[], "deployment.apps/web unchanged").await;
    // Another's change stays, one's own removed entry goes: that is the strategic merge.
    let other = r#"{"spec":{"template":{"spec":{"containers":[{"name":"main","env":[{"name":"C","value":"c"}]}]}}}}"#;
    session.ok(&["patch", "deploy", "web", "-p", other]).await;
    let less = WEB.replace("{name: A, value: a}, ", "").replace("replicas: 2", "replicas: 3");
    session.apply(&less, &[], "deployment.apps/web configured").await;
    let live = session.json(&["deploy/web"]).await;
    let env = &live["spec"]["template"]["spec"]["containers"][0]["env"];
    assert_eq!(*env, json!([{"name": "C", "value": "c"}, {"name": "B", "value": "b"}]));
    assert_eq!(live["spec"]["replicas"], 3);
    let last = &live["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"];
    let last: Value = serde_json::from_str(last.as_str().unwrap()).unwrap();
    assert_eq!(last["spec"]["replicas"], 3);
    let shown = session.run(&["diff", "-f", "object.yaml"]).await;
    assert_eq!((shown.code, shown.stdout.as_str()), (Some(0), ""), "{}", shown.stderr);
    session.server.file("object.yaml", WEB);
    let shown = session.run(&["diff", "-f", "object.yaml"]).await;
    assert_eq!(shown.code, Some(1), "{}", shown.stderr);
    contains(&shown.stdout, &["- replicas: 3", "+ replicas: 2"]);
    // A mistake is found by the server.
    session
        .server
        .file("wrong.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndatax: {}\n");
    let said = session.refused(&["apply", "-f", "wrong.yaml"]).await;
    contains(&said, &["strict decoding error: unknown field \"datax\""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_on_the_server_knows_owners() {
    let Some(session) = Session::start().await else { return };
    let map = |value: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m}}\ndata: {{a: '{value}'}}\n")
    };
    let flags = ["--server-side"];
    session.apply(&map("1"), &flags, "configmap/m serverside-applied").await;
    session.ok(&["patch", "cm", "m", "--type=merge", "-p", r#"{"data":{"a":"2"}}"#]).await;
    session.server.file("object.yaml", &map("3"));
    let said = session.refused(&["apply", "-f", "object.yaml", "--server-side"]).await;
    let conflict =
        "Apply failed with 1 conflict: conflict with \"kubectl-patch\" using v1: .data.a";
    contains(&said, &[conflict]);
    let flags = ["--server-side", "--force-conflicts"];
    session.apply(&map("3"), &flags, "configmap/m serverside-applied").await;
    let managed = session.json(&["cm/m", "--show-managed-fields"]).await;
    let managers = &managed["metadata"]["managedFields"];
    assert_eq!(managers.as_array().unwrap().len(), 1, "{managers}");
    assert_eq!(managers[0]["fieldsV1"], json!({"f:data": {"f:a": {}}}));
    assert_eq!(managers[0]["operation"], "Apply");
}

#[tokio::test(flavor = "multi_thread")]
async fn create_sends_protobuf_and_is_understood() {
    let Some(session) = Session::start().await else { return };
    assert_eq!(session.ok(&["create", "namespace", "blue"]).await, "namespace/blue created\n");
    let rows: &[(&[&str], &str)] = &[
        (&["configmap", "c", "--from-literal=a=b"], "configmap/c"),
        (&["secret", "generic", "s", "--from-literal=a=b"], "secret/s"),
        (
            &["deployment", "d", "--image=example/web:1", "--replicas=2", "--port=80"],
            "deployment.apps/d",
        ),
        (&["job", "j", "--image=example/job:1"], "job.batch/j"),
        (&["cronjob", "cj", "--image=example/job:1", "--schedule=0 0 * * *"], "cronjob.batch/cj"),
        (&["serviceaccount", "sa"], "serviceaccount/sa"),
        (&["role", "r", "--verb=get", "--resource=pods"], "role.rbac.authorization.k8s.io/r"),
        (
            &["rolebinding", "rb", "--role=r", "--serviceaccount=blue:sa"],
            "rolebinding.rbac.authorization.k8s.io/rb",
        ),
        (&["service", "clusterip", "svc", "--tcp=80:8080"], "service/svc"),
        (&["ingress", "i", "--rule=example.org/*=svc:80"], "ingress.networking.k8s.io/i"),
        (
            &["poddisruptionbudget", "p", "--selector=app=d", "--min-available=1"],
            "poddisruptionbudget.policy/p",
        ),
        (&["priorityclass", "pc", "--value=5"], "priorityclass.scheduling.k8s.io/pc"),
        (&["quota", "q", "--hard=pods=10"], "resourcequota/q"),
    ];
    for (arguments, name) in rows {
        let all = [&["create", "-n", "blue"], *arguments].concat();
        assert_eq!(session.ok(&all).await, format!("{name} created\n"));
    }
    let secret = session.json(&["secret/s", "-n", "blue"]).await;
    assert_eq!((&secret["data"], &secret["type"]), (&json!({"a": "Yg=="}), &json!("Opaque")));
    let deployment = session.json(&["deploy/d", "-n", "blue"]).await;
    assert_eq!(deployment["spec"]["replicas"], 2);
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["ports"], json!([{"containerPort": 80, "protocol": "TCP"}]));
    assert_eq!(container["resources"], json!({}));
    let service = session.json(&["svc/svc", "-n", "blue"]).await;
    let port = json!([{"name": "80-8080", "port": 80, "protocol": "TCP", "targetPort": 8080}]);
    assert_eq!(service["spec"]["ports"], port);
    let budget = session.json(&["pdb/p", "-n", "blue"]).await;
    assert_eq!(budget["spec"]["minAvailable"], 1);
    session.ok(&["wait", "--for=condition=Complete", "job/j", "-n", "blue"]).await;
    session.ok(&["rollout", "status", "deploy/d", "-n", "blue"]).await;
    assert!(!session.ok(&["create", "token", "sa", "-n", "blue"]).await.trim().is_empty());
    assert_eq!(session.ok(&["auth", "can-i", "create", "pods"]).await, "yes\n");
    contains(&session.ok(&["auth", "whoami"]).await, &["Username"]);
    let again = session.refused(&["create", "namespace", "blue"]).await;
    let text = "Error from server (AlreadyExists): namespaces \"blue\" already exists\n";
    assert_eq!(again, text);
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_waits_until_all_is_gone() {
    let Some(session) = Session::start().await else { return };
    session.ok(&["create", "namespace", "red"]).await;
    session.server.file("object.yaml", WEB);
    session.ok(&["apply", "-n", "red", "-f", "object.yaml"]).await;
    session.ok(&["rollout", "status", "deploy/web", "-n", "red"]).await;
    let said = session.ok(&["delete", "-n", "red", "-f", "object.yaml"]).await;
    assert!(said.starts_with("deployment.apps \"web\" deleted"), "{said}");
    session.ok(&["wait", "--for=delete", "pods", "-l", "app=web", "-n", "red"]).await;
    // A finalizer holds the deletion up, and kubectl with it.
    session.ok(&["create", "configmap", "held", "-n", "red"]).await;
    let held = r#"{"metadata":{"finalizers":["example.org/hold"]}}"#;
    session.ok(&["patch", "cm/held", "-n", "red", "-p", held]).await;
    let waiting = run(session.command(&["delete", "cm/held", "-n", "red"]), SOON);
    let released = async {
        until("the deletion has begun", SOON, async || {
            let object = session.json(&["cm/held", "-n", "red"]).await;
            object["metadata"]["deletionTimestamp"].is_string()
        })
        .await;
        let free = r#"{"metadata":{"finalizers":null}}"#;
        session.ok(&["patch", "cm/held", "-n", "red", "--type=merge", "-p", free]).await;
    };
    let (deleted, ()) = tokio::join!(waiting, released);
    deleted.success();
    // A namespace goes with all that is in it.
    session.ok(&["create", "deployment", "d", "--image=example/web:1", "-n", "red"]).await;
    session.ok(&["delete", "namespace", "red"]).await;
    let gone = session.refused(&["get", "ns", "red"]).await;
    assert_eq!(gone, "Error from server (NotFound): namespaces \"red\" not found\n");
    let left = session.run(&["get", "all,cm", "-n", "red"]).await;
    assert_eq!(left.stderr, "No resources found in red namespace.\n");
    let protected = session.refused(&["delete", "ns", "kube-system"]).await;
    contains(&protected, &["namespaces \"kube-system\" is forbidden"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn workloads_are_scaled_and_rolled() {
    let Some(session) = Session::start().await else { return };
    session.apply(WEB, &[], "deployment.apps/web created").await;
    let said = session.ok(&["rollout", "status", "deployment/web"]).await;
    assert!(said.ends_with("deployment \"web\" successfully rolled out\n"), "{said}");
    assert_eq!(
        session.ok(&["scale", "deploy/web", "--replicas=4"]).await,
        "deployment.apps/web scaled\n"
    );
    session.ok(&["wait", "--for=jsonpath={.status.readyReplicas}=4", "deploy/web"]).await;
    let said =
        session.refused(&["scale", "deploy/web", "--current-replicas=9", "--replicas=1"]).await;
    contains(&said, &["Expected replicas to be 9, was 4"]);
    session.ok(&["set", "image", "deploy/web", "main=example/web:2"]).await;
    session.ok(&["rollout", "status", "deployment/web"]).await;
    let history = session.ok(&["rollout", "history", "deploy/web"]).await;
    let revisions: Vec<_> =
        words(&history).into_iter().skip(2).flat_map(|row| row.into_iter().next()).collect();
    assert_eq!(revisions, ["1", "2"], "{history}");
    session.ok(&["rollout", "undo", "deploy/web"]).await;
    session.ok(&["rollout", "status", "deployment/web"]).await;
    let live = session.json(&["deploy/web"]).await;
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["image"], "example/web:1");
    session.ok(&["rollout", "restart", "deploy/web"]).await;
    session.ok(&["rollout", "status", "deployment/web"]).await;
    let logs = session.ok(&["logs", "-l", "app=web", "--tail=-1", "--max-log-requests=9"]).await;
    assert_eq!(logs.lines().count(), 4, "{logs}");
    assert!(logs.lines().all(|line| line == "hello from web"), "{logs}");
    // A version that never comes up is told as such.
    let bad = WEB.replace("sim.leadsman.dev/log:", "test/fail: unready, sim.leadsman.dev/log:");
    session.apply(&bad, &[], "deployment.apps/web configured").await;
    let said = session.refused(&["rollout", "status", "deploy/web", "--timeout=1s"]).await;
    contains(&said, &["timed out waiting for the condition"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn describe_tells_what_is_and_what_happened() {
    let Some(session) = Session::start().await else { return };
    session.apply(WEB, &[], "deployment.apps/web created").await;
    session.ok(&["rollout", "status", "deployment/web"]).await;
    let deployment = session.ok(&["describe", "deployment", "web"]).await;
    contains(
        &deployment,
        &[
            "Selector: app=web",
            "Replicas: 2 desired | 2 updated | 2 total | 2 available | 0 unavailable",
            "Available True MinimumReplicasAvailable",
            "(2/2 replicas created)",
            "Normal ScalingReplicaSet",
            "Scaled up replica set web-",
        ],
    );
    let pod = session.ok(&["describe", "pod", "-l", "app=web"]).await;
    contains(
        &pod,
        &[
            "Status: Running",
            "Controlled By: ReplicaSet/web-",
            "Image: example/web:1",
            "Ready True",
        ],
    );
    contains(
        &pod,
        &["QoS Class: BestEffort", "default-scheduler Successfully assigned default/web-"],
    );
    let node = session.ok(&["describe", "node", "node-1"]).await;
    contains(&node, &["Roles: <none>", "KubeletReady kubelet is posting ready status"]);
    contains(&node, &["Non-terminated Pods: (2 in total)", "default web-"]);
    let namespace = session.ok(&["describe", "namespace", "default"]).await;
    contains(&namespace, &["Status: Active", "No resource quota."]);
    contains(&session.ok(&["get", "events"]).await, &["ScalingReplicaSet deployment/web"]);
    contains(
        &session.ok(&["events", "--for", "deploy/web"]).await,
        &["ScalingReplicaSet Deployment/web"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_patched_labelled_and_annotated() {
    let Some(session) = Session::start().await else { return };
    session.ok(&["create", "configmap", "c", "--from-literal=a=b"]).await;
    assert_eq!(session.ok(&["label", "cm/c", "tier=front"]).await, "configmap/c labeled\n");
    let said = session.refused(&["label", "cm/c", "tier=back"]).await;
    contains(&said, &["'tier' already has a value (front), and --overwrite is false"]);
    session.ok(&["annotate", "cm/c", "note=x", "other=y"]).await;
    session.ok(&["annotate", "cm/c", "other-"]).await;
    session.ok(&["patch", "cm/c", "-p", r#"{"data":{"b":"c"}}"#]).await;
    session.ok(&["patch", "cm/c", "--type=merge", "-p", r#"{"data":{"a":null}}"#]).await;
    let operations =
        r#"[{"op":"test","path":"/data/b","value":"c"},{"op":"add","path":"/data/d","value":"e"}]"#;
    session.ok(&["patch", "cm/c", "--type=json", "-p", operations]).await;
    let said = session.ok(&["patch", "cm/c", "-p", r#"{"data":{"b":"c"}}"#]).await;
    assert_eq!(said, "configmap/c patched (no change)\n");
    let live = session.json(&["cm/c"]).await;
    assert_eq!(live["data"], json!({"b": "c", "d": "e"}));
    assert_eq!(live["metadata"]["labels"], json!({"tier": "front"}));
    assert_eq!(live["metadata"]["annotations"], json!({"note": "x"}));
    // A stale copy is refused.
    let stale = session.ok(&["get", "cm/c", "-o", "yaml"]).await;
    session.server.file("stale.yaml", &stale);
    session.ok(&["label", "cm/c", "more=x"]).await;
    let said = session.refused(&["replace", "-f", "stale.yaml"]).await;
    contains(
        &said,
        &["the object has been modified; please apply your changes to the latest version"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn custom_resources_are_served() {
    let Some(session) = Session::start().await else { return };
    session.server.file("crd.yaml", include_str!("../../src/api/crds/helmrelease.yaml"));
    session.ok(&["apply", "-f", "crd.yaml"]).await;
    let crd = "crd/helmreleases.helm.toolkit.fluxcd.io";
    session.ok(&["wait", "--for=condition=Established", crd]).await;
    let release = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: web}\n\
                   spec: {interval: 1m, chart: {spec: {chart: web, sourceRef: {kind: HelmRepository, name: x}}}}\n";
    let name = "helmrelease.helm.toolkit.fluxcd.io/web";
    session.apply(release, &[], &format!("{name} created")).await;
    session.apply(release, &[], &format!("{name} unchanged")).await;
    session.apply(&release.replace("1m", "2m"), &[], &format!("{name} configured")).await;
    let table = session.ok(&["get", "helmreleases"]).await;
    assert_eq!(words(&table)[0], ["NAME", "AGE", "READY", "STATUS"]);
    assert_eq!(words(&table)[1][0], "web");
    assert_eq!(words(&session.ok(&["get", "hr", "-A"]).await)[1][..2], ["default", "web"]);
    let live = session.json(&["hr/web"]).await;
    assert_eq!(
        (&live["metadata"]["generation"], &live["spec"]["interval"]),
        (&json!(2), &json!("2m"))
    );
    contains(&session.ok(&["describe", "hr", "web"]).await, &["Kind: HelmRelease", "Interval: 2m"]);
    session.server.file("wrong.yaml", &release.replace("1m", "soon"));
    let said = session.refused(&["apply", "-f", "wrong.yaml"]).await;
    contains(
        &said,
        &["The HelmRelease \"web\" is invalid: spec.interval: Invalid value: \"soon\""],
    );
    contains(
        &session.ok(&["explain", "hr.spec.interval"]).await,
        &["KIND: HelmRelease", "FIELD: interval <string>"],
    );
    assert_eq!(
        session.ok(&["delete", "hr", "--all"]).await.trim_end(),
        "helmrelease.helm.toolkit.fluxcd.io \"web\" deleted"
    );
    session.ok(&["delete", crd]).await;
    // kubectl remembers that there is such a kind, the server does not.
    let unknown = session.refused(&["get", "hr"]).await;
    contains(&unknown, &["the server could not find the requested resource"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_explains_itself() {
    let Some(session) = Session::start().await else { return };
    let resources = session.ok(&["api-resources"]).await;
    contains(
        &resources,
        &["deployments deploy apps/v1 true Deployment", "namespaces ns v1 false Namespace"],
    );
    contains(&session.ok(&["api-versions"]).await, &["apps/v1", "batch/v1"]);
    let explained =
        session.ok(&["explain", "deployment.spec.template.spec.containers.ports"]).await;
    contains(
        &explained,
        &[
            "KIND: Deployment",
            "containerPort <integer> -required-",
            "FIELD: ports <[]ContainerPort>",
        ],
    );
    let version = session.run(&["version", "-o", "json"]).await;
    let version: Value = serde_json::from_str(&version.stdout).unwrap();
    assert_eq!(version["serverVersion"]["minor"], "34");
    contains(&session.ok(&["cluster-info"]).await, &["control plane"]);
    assert_eq!(session.ok(&["get", "--raw", "/readyz"]).await, "ok");
    // Watching ends with its time, after what is there.
    let watch = session.command(&["get", "ns", "-w", "-o", "name", "--request-timeout=1s"]);
    let watched = run(watch, Duration::from_secs(20)).await;
    contains(&watched.stdout, &["namespace/default", "namespace/kube-system"]);
}
