//! The simulated cluster fails on request, and Leadsman goes through it to the right end.

use serde_json::{Value, json};

use crate::support::api::{Api, condition};
use crate::support::chart::{web, yaml};
use crate::support::leadsman::{Leadsman, Running};
use crate::support::repository::Repository;
use crate::support::wait::{SOON, until};

pub(crate) const FAULTS: &str = "/sim/faults";

/// A simulated cluster and a Leadsman that manages one release in it.
struct World {
    api: Api,
    namespace: String,
    repository: Repository,
    leadsman: Leadsman,
    // Kept running.
    server: (Leadsman, Running),
}

impl World {
    async fn start(stem: &str, flags: &[&str]) -> Self {
        let server = Leadsman::new();
        let running = server.spawn(&[&["sim", "--kubeconfig-out", "kubeconfig"], flags].concat());
        running.line(SOON, |line| line.contains("the simulated cluster listens")).await;
        let kubeconfig = server.folder().join("kubeconfig");
        let api = Api::connect(&kubeconfig).await;
        let namespace = api.create_namespace(stem).await;
        let repository = Repository::start();
        let leadsman = Leadsman::new().kubeconfig(&kubeconfig);
        leadsman.file("source/web.yaml", &yaml(&namespace, "web", &repository.url(), ""));
        Self { api, namespace, repository, leadsman, server: (server, running) }
    }

    fn run(&self) -> Running {
        self.leadsman.spawn(&["run", "source", "-n", &self.namespace, "--interval", "1s"])
    }

    async fn add(&self, rule: &Value) {
        self.api.create(FAULTS, rule).await.unwrap();
    }

    async fn release(&self) -> Value {
        let group = "/apis/helm.toolkit.fluxcd.io/v2";
        let path = format!("{group}/namespaces/{}/helmreleases/web", self.namespace);
        self.api.get(&path).await.unwrap_or_default()
    }

    async fn clear(&self) {
        self.api.send("DELETE", FAULTS, "", Vec::new()).await.unwrap();
    }

    /// Returns how many requests a rule has struck, the rules being in the order of their making.
    async fn struck(&self) -> Vec<u64> {
        let answer = self.api.get(FAULTS).await.unwrap();
        answer["struck"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).collect()
    }

    /// Waits until the rule has struck all its times: until then every request of the test itself
    /// could be its victim.
    async fn used_up(&self, rule: &Value, running: &Running) {
        until(&format!("{rule} has struck"), SOON, async || {
            let struck = self.struck().await;
            if rule["times"] == struck[0] {
                Ok(())
            } else {
                Err(format!("{struck:?}\n{}", running.output()))
            }
        })
        .await;
    }

    /// Waits until a version runs, as the release and the cluster say, with one clean record.
    async fn runs(&self, version: &str, running: &Running) {
        let namespace = &self.namespace;
        until(&format!("{version} runs"), SOON * 2, async || {
            let release = self.release().await;
            let newest = &release["status"]["history"][0];
            let ready = condition(&release, "Ready").is_some_and(|c| c["status"] == "True");
            let good = newest["chartVersion"] == version && newest["status"] == "deployed" && ready;
            let config = format!("/api/v1/namespaces/{namespace}/configmaps/web");
            let config = self.api.get(&config).await.unwrap_or_default();
            let deployment = format!("/apis/apps/v1/namespaces/{namespace}/deployments/web");
            let deployment = self.api.get(&deployment).await.unwrap_or_default();
            let secrets = self.api.list(&format!("/api/v1/namespaces/{namespace}/secrets")).await;
            let status = |secret: &Value| secret["metadata"]["labels"]["status"].clone();
            let deployed = secrets.iter().filter(|one| status(one) == "deployed").count();
            let pending = secrets.iter().any(|one| status(one).to_string().contains("pending"));
            let right = config["data"]["version"] == version
                && deployment["status"]["availableReplicas"] == 1
                && deployed == 1
                && !pending;
            if good && right {
                Ok(())
            } else {
                Err(format!("{}\n{}", release["status"], running.output()))
            }
        })
        .await;
    }
}

/// Goes through an install and an upgrade while a rule strikes as often as it says.
async fn goes_through(stem: &str, rule: Value) {
    let world = World::start(stem, &[]).await;
    let running = world.run();
    // What `run` cannot find out at its start ends it; this is about what comes later.
    until("the manager has begun", SOON, async || {
        let release = world.release().await;
        if release["status"]["conditions"].is_array() { Ok(()) } else { Err(running.output()) }
    })
    .await;
    world.add(&rule).await;
    world.repository.publish_package(web("1.0.0", ""));
    world.used_up(&rule, &running).await;
    world.runs("1.0.0", &running).await;
    world.clear().await;
    world.add(&rule).await;
    world.repository.publish_package(web("1.1.0", ""));
    world.used_up(&rule, &running).await;
    world.runs("1.1.0", &running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_are_gone_through() {
    let fault = json!({"kind": "status", "code": 409});
    goes_through("conflict", json!({"mutating": true, "times": 4, "fault": fault})).await;
}

/// What controllers write again and again is applied in the end, within one action; what the server
/// never takes fails it.
#[tokio::test(flavor = "multi_thread")]
async fn a_race_that_the_server_lost_is_run_again() {
    let world = World::start("race", &[]).await;
    let metadata = "apiVersion: v2\nname: race\nversion: 0.1.0\n";
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {of: {{ .Release.Revision | quote }}}\n";
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "laps.race.leadsman.dev"},
        "spec": {
            "group": "race.leadsman.dev", "scope": "Namespaced",
            "names": {"kind": "Lap", "plural": "laps", "singular": "lap", "listKind": "LapList"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object"}}}],
        },
    });
    world.leadsman.file("chart/Chart.yaml", metadata);
    world.leadsman.file("chart/templates/config.yaml", config);
    world.leadsman.file("chart/crds/lap.yaml", &definition.to_string());
    let command = async |verb: &str| {
        world.leadsman.run(&[verb, "web", "chart", "-n", &world.namespace]).await
    };
    let fault = json!({"kind": "status", "code": 409});
    for resource in ["customresourcedefinitions", "configmaps"] {
        world
            .add(&json!({"verbs": ["patch"], "resources": [resource], "times": 4, "fault": fault}))
            .await;
    }
    let installed = command("install").await;
    assert_eq!(installed.code, Some(0), "{}", installed.stderr);
    assert_eq!(world.struck().await, [4, 4]);
    world.clear().await;
    let rule = json!({"verbs": ["patch"], "resources": ["configmaps"], "fault": fault});
    world.add(&rule).await;
    let upgraded = command("upgrade").await;
    assert_eq!(upgraded.code, Some(1), "{}", upgraded.stdout);
    assert!(
        upgraded.stderr.contains("conflict occurred while applying object"),
        "{}",
        upgraded.stderr
    );
    // Once, and five times again.
    assert_eq!(world.struck().await, [6]);
    let revisions = world.api.revisions(&world.namespace).await;
    assert_eq!(revisions, [(1, "deployed".to_owned()), (2, "failed".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_are_gone_through() {
    let fault = json!({"kind": "status", "code": 429, "retryAfter": 1});
    goes_through("busy", json!({"times": 6, "fault": fault})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_server_are_gone_through() {
    let fault = json!({"kind": "status", "code": 500, "message": "etcdserver: leader changed"});
    goes_through("error", json!({"times": 6, "fault": fault})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_connections_are_gone_through() {
    goes_through("refused", json!({"times": 6, "fault": {"kind": "refuse"}})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_server_is_gone_through() {
    let fault = json!({"kind": "latency", "millis": 150});
    goes_through("slow", json!({"times": 40, "fault": fault})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_are_gone_through() {
    let fault = json!({"kind": "lose-answer"});
    goes_through("lost", json!({"mutating": true, "times": 4, "fault": fault})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_watches_are_gone_through() {
    let fault = json!({"kind": "cut-watches"});
    goes_through("cut", json!({"mutating": true, "times": 5, "fault": fault})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_history_is_gone_through() {
    let fault = json!({"kind": "expire"});
    goes_through("expired", json!({"mutating": true, "times": 5, "fault": fault})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_can_be_asked_for_from_the_start() {
    let rule = r#"{"resources": ["secrets"], "verbs": ["create"], "times": 1,
        "fault": {"kind": "status", "code": 500, "message": "not now"}}"#;
    let world = World::start("flag", &["--fault", rule]).await;
    let secret = json!({"metadata": {"name": "s"}});
    let path = format!("/api/v1/namespaces/{}/secrets", world.namespace);
    let refused = world.api.create(&path, &secret).await.unwrap_err();
    assert_eq!((refused.code, &refused.status["message"]), (500, &json!("not now")));
    world.api.create(&path, &secret).await.unwrap();
    assert_eq!(world.struck().await, [1]);
    let calls = world.api.get("/sim/calls").await.unwrap();
    assert_eq!(calls["calls"]["create secrets"], 2);
    let wrong = world.server.0.run(&["sim", "--kubeconfig-out", "x", "--fault", "{}x"]).await;
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
    let no_rule = world.api.create(FAULTS, &json!({"verb": ["get"]})).await.unwrap_err();
    assert_eq!(no_rule.code, 400);
}

/// Source: helm-controller internal/reconcile/uninstall.go ("was already uninstalled").
#[tokio::test(flavor = "multi_thread")]
async fn a_release_whose_history_is_kept_goes_though_its_object_stays_a_while() {
    let world = World::start("kept", &[]).await;
    let (namespace, url) = (&world.namespace, world.repository.url());
    let kept = yaml(namespace, "web", &url, "  uninstall: {keepHistory: true}\n");
    world.leadsman.file("source/web.yaml", &kept);
    world.repository.publish_package(web("1.0.0", ""));
    let running = world.run();
    world.runs("1.0.0", &running).await;
    // The finalizer is taken off last.
    let fault = json!({"kind": "status", "code": 409});
    let rule = json!({"verbs": ["patch"], "resources": ["helmreleases"], "name": "web",
        "namespace": namespace, "agent": "leadsman", "times": 2, "fault": fault});
    world.add(&rule).await;
    // An empty folder deletes nothing.
    std::fs::remove_file(world.leadsman.folder().join("source/web.yaml")).unwrap();
    world
        .api
        .delete(&format!("/apis/helm.toolkit.fluxcd.io/v2/namespaces/{namespace}/helmreleases/web"))
        .await;
    until("the release is gone", SOON, async || {
        let release = world.release().await;
        if release.is_null() { Ok(()) } else { Err(format!("{release}\n{}", running.output())) }
    })
    .await;
    assert_eq!(world.struck().await, [2]);
    let revisions = world.api.revisions(namespace).await;
    assert_eq!(revisions, [(1, "uninstalled".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_request_waits_until_the_rules_are_cleared() {
    let world = World::start("hold", &[]).await;
    world.repository.publish_package(web("1.0.0", ""));
    world
        .add(&json!({"mutating": true, "resources": ["secrets"], "fault": {"kind": "hold"}}))
        .await;
    let running = world.run();
    until("the request is held", SOON, async || {
        world.api.get(FAULTS).await.unwrap()["held"].as_u64() > Some(0)
    })
    .await;
    let secrets = world.api.list(&format!("/api/v1/namespaces/{}/secrets", world.namespace)).await;
    assert!(secrets.is_empty(), "{secrets:?}");
    world.clear().await;
    world.runs("1.0.0", &running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_start_waits_for_what_heals_by_itself() {
    let rule = |verbs: Value, times: u64, fault: Value| {
        json!({"resources": ["customresourcedefinitions"], "verbs": verbs, "times": times, "fault": fault})
            .to_string()
    };
    let rules = [
        rule(json!(["get"]), 2, json!({"kind": "status", "code": 500})),
        rule(json!(["get"]), 1, json!({"kind": "status", "code": 429, "retryAfter": 1})),
        rule(json!(["get"]), 1, json!({"kind": "refuse"})),
        rule(json!(["patch"]), 2, json!({"kind": "status", "code": 409})),
    ];
    let flags: Vec<&str> = rules.iter().flat_map(|rule| ["--fault", rule.as_str()]).collect();
    let world = World::start("start", &flags).await;
    world.repository.publish_package(web("1.0.0", ""));
    let running = world.run();
    world.runs("1.0.0", &running).await;
    assert_eq!(world.struck().await, [2, 1, 1, 2]);
}
