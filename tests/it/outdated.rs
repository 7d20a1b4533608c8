//! What is newer than what runs: told by `leadsman outdated`, in the status, and by events.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::api::{Api, condition};
use crate::support::chart::{web, yaml};
use crate::support::control_plane::ControlPlane;
use crate::support::leadsman::{Leadsman, Running};
use crate::support::process::Output;
use crate::support::proxy::{Call, Proxy};
use crate::support::repository::Repository;
use crate::support::wait::{SOON, throughout, until};

/// A cluster with a release of the range `1.0.x`, and a repository that has more.
struct World {
    api: Api,
    namespace: String,
    repository: Repository,
    leadsman: Leadsman,
    running: Option<Running>,
}

impl World {
    /// Starts in a cluster; a proxy may stand before it.
    async fn start(api: Api, leadsman: Leadsman) -> Self {
        let namespace = api.create_namespace("outdated").await;
        let repository = Repository::start();
        for version in ["1.0.0", "1.0.1", "1.1.0", "2.0.0", "3.0.0-rc.1"] {
            repository.publish_package(web(version, ""));
        }
        let yaml = yaml(&namespace, "web", &repository.url(), "").replace("1.x", "1.0.x");
        leadsman.file("source/web.yaml", &yaml);
        let mut world = Self { api, namespace, repository, leadsman, running: None };
        world.run();
        world.runs("1.0.1").await;
        world
    }

    async fn simulated() -> (Self, Running) {
        let leadsman = Leadsman::new();
        let simulated = leadsman.spawn(&["sim", "--kubeconfig-out", "kubeconfig"]);
        simulated.line(SOON, |line| line.contains("the simulated cluster listens")).await;
        let file = leadsman.folder().join("kubeconfig");
        let api = Api::connect(&file).await;
        (Self::start(api, leadsman.kubeconfig(&file)).await, simulated)
    }

    fn run(&mut self) {
        drop(self.running.take());
        let arguments = ["run", "source", "-n", &self.namespace, "--interval", "1s"];
        self.running = Some(self.leadsman.spawn(&arguments));
    }

    async fn release(&self) -> Value {
        let namespace = &self.namespace;
        let path =
            format!("/apis/helm.toolkit.fluxcd.io/v2/namespaces/{namespace}/helmreleases/web");
        self.api.get(&path).await.unwrap_or_default()
    }

    async fn runs(&self, version: &str) -> Value {
        until(&format!("{version} runs"), SOON, async || {
            let release = self.release().await;
            let newest = &release["status"]["history"][0];
            let ready = condition(&release, "Ready").is_some_and(|c| c["status"] == "True");
            let good = newest["chartVersion"] == version && newest["status"] == "deployed" && ready;
            if good { Ok(release) } else { Err(release["status"].to_string()) }
        })
        .await
    }

    /// Waits until the status says so.
    async fn offers(&self, want: &Value) {
        until(&format!("the status says {want}"), SOON, async || {
            let status = self.release().await["status"].clone();
            if status["availableUpdates"] == *want { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
    }

    /// Waits until what is remembered of the release has this text.
    async fn remembers(&self, text: &str) {
        let path = format!("/api/v1/namespaces/{}/configmaps/leadsman-web", self.namespace);
        until(&format!("{text} is remembered"), SOON, async || {
            let map = self.api.get(&path).await.unwrap_or_default().to_string();
            if map.replace('\\', "").contains(text) { Ok(()) } else { Err(map) }
        })
        .await;
    }

    /// Returns the texts of the events about newer versions, sorted, with their counts.
    async fn told(&self) -> Vec<(String, u64)> {
        let events = self.api.list(&format!("/api/v1/namespaces/{}/events", self.namespace)).await;
        let mut told: Vec<_> = events
            .iter()
            .filter(|event| event["reason"] == "NewVersionAvailable")
            .map(|event| {
                assert_eq!(event["type"], "Normal", "{event}");
                let text = event["message"].as_str().unwrap_or_default().to_owned();
                (text, event["count"].as_u64().unwrap_or_default())
            })
            .collect();
        told.sort();
        told
    }

    /// Waits until these were told, each once.
    async fn has_told(&self, want: &[&str]) {
        let want: Vec<_> = want.iter().map(|text| ((*text).to_owned(), 1)).collect();
        until("the events are there", SOON, async || {
            let told = self.told().await;
            if told == want { Ok(()) } else { Err(format!("{told:?}")) }
        })
        .await;
    }

    /// Waits until a few more reconciliations are over.
    async fn intervals(&self) {
        let asked = || self.repository.count("/index.yaml", 304);
        let before = asked();
        until("three intervals are over", SOON, async || asked() >= before + 3).await;
    }

    async fn outdated(&self, more: &[&str]) -> Output {
        self.leadsman.run(&[&["outdated", "-n", &self.namespace][..], more].concat()).await
    }

    async fn json(&self, more: &[&str]) -> Vec<Value> {
        let text = self.outdated(&[more, &["-o", "json"]].concat()).await.success();
        serde_json::from_str(&text).unwrap()
    }
}

const MINOR: &str = "web 1.1.0 is available (minor); constraint: 1.0.x does not allow it";
const MAJOR: &str = "web 2.0.0 is available (major); constraint: 1.0.x does not allow it";

#[tokio::test(flavor = "multi_thread")]
async fn the_command_tells_what_is_newer_and_what_holds_it() {
    let (world, _simulated) = World::simulated().await;
    let table = world.outdated(&[]).await.success();
    let words: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        words[0],
        ["NAMESPACE", "NAME", "CHART", "CURRENT", "PATCH", "MINOR", "MAJOR", "NOTE"]
    );
    assert_eq!(words[1][..7], [&world.namespace, "web", "web", "1.0.1", "-", "1.1.0", "2.0.0"]);
    assert!(table.contains("constraint: 1.0.x does not allow it"), "{table}");
    let held = json!({"rule": "constraint", "reason": "1.0.x does not allow it"});
    let newer = |version: &str| json!({"version": version, "inRange": false, "deprecated": false, "held": held});
    let want = json!([{
        "namespace": world.namespace, "name": "web", "kind": "HelmRelease", "chart": "web",
        "current": "1.0.1", "range": "1.0.x", "outdated": true, "deprecated": false,
        "minor": newer("1.1.0"), "major": newer("2.0.0"),
    }]);
    assert_eq!(Value::from(world.json(&[]).await), want);
    let yaml: Value =
        serde_yaml::from_str(&world.outdated(&["-o", "yaml"]).await.success()).unwrap();
    assert_eq!(yaml, want);
    assert_eq!(world.outdated(&["--exit-code"]).await.code, Some(3));
    assert_eq!(world.outdated(&["web", "--exit-code"]).await.code, Some(3));
    let other = world.outdated(&["none"]).await;
    assert_eq!(other.code, Some(1), "{}", other.stderr);
    assert!(other.stderr.contains("`none` not found"), "{}", other.stderr);

    // What people rule holds it, too.
    world
        .leadsman
        .run(&["hold", "web", "--reason", "audit", "-n", &world.namespace])
        .await
        .success();
    let rows = world.json(&[]).await;
    assert_eq!(rows[0]["minor"]["held"], json!({"rule": "hold", "reason": "audit"}));
    world.leadsman.run(&["suspend", "web", "-n", &world.namespace]).await.success();
    let rows = world.json(&[]).await;
    assert_eq!(rows[0]["major"]["held"]["rule"], "suspend");

    // A version that its publisher withdraws, and a repository that is away.
    world.repository.edit_entry("web-1.0.1.tgz", |entry| entry["deprecated"] = json!(true));
    world.repository.edit_entry("web-2.0.0.tgz", |entry| entry["deprecated"] = json!(true));
    let table = world.outdated(&[]).await.success();
    assert!(table.contains("deprecated: 1.0.1, 2.0.0"), "{table}");
    world.repository.misbehave("*", crate::support::fault::Fault::Status(500));
    let away = world.outdated(&["--exit-code"]).await;
    assert_eq!(away.code, Some(1), "{}", away.stdout);
    assert!(away.stdout.contains("500"), "{}", away.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn releases_that_nobody_keeps_are_looked_up_where_their_chart_is_known() {
    let (world, _simulated) = World::simulated().await;
    let namespace = world.api.create_namespace("plain").await;
    let chart = world.leadsman.folder().join("web-1.0.0.tgz");
    std::fs::write(chart, web("1.0.0", "").bytes).unwrap();
    let install = ["install", "site", "./web-1.0.0.tgz", "-n", &namespace];
    world.leadsman.run(&install).await.success();
    let rows = async |more: &[&str]| -> Vec<Value> {
        let arguments = [&["outdated", "-n", &namespace, "-o", "json"][..], more].concat();
        serde_json::from_str(&world.leadsman.run(&arguments).await.success()).unwrap()
    };
    // The HelmRepository of the other namespace has the chart, in this version.
    let want = json!([{
        "namespace": namespace, "name": "site", "kind": "Release", "chart": "web",
        "current": "1.0.0", "outdated": true, "deprecated": false,
        "patch": {"version": "1.0.1", "deprecated": false},
        "minor": {"version": "1.1.0", "deprecated": false},
        "major": {"version": "2.0.0", "deprecated": false},
    }]);
    assert_eq!(Value::from(rows(&[]).await), want);
    let url = world.repository.url();
    assert_eq!(Value::from(rows(&["--repo", &url]).await), want);
    // Both, in the order of their namespaces; the one that is kept is there once.
    let all = world.json(&["-A"]).await;
    let mut names: Vec<_> = all.iter().map(|row| row["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["site", "web"]);
    // Nobody knows where it comes from: no verdict, and no failure.
    world.repository.remove("web-1.0.0.tgz");
    let unknown = rows(&["--exit-code"]).await;
    let text = "no known repository has web 1.0.0; name one with --repo";
    assert_eq!((&unknown[0]["unknown"], &unknown[0]["outdated"]), (&json!(text), &json!(false)));
    // A registered repository.
    let add = ["repo", "add", "shop", &url];
    world.repository.publish_package(web("1.0.0", ""));
    world.leadsman.run(&add).await.success();
    assert_eq!(rows(&[]).await[0]["major"]["version"], "2.0.0");
}

/// Looks at a folder below the working directory; no cluster is known.
async fn of_folder(leadsman: &Leadsman, more: &[&str]) -> (Value, Output) {
    let output = leadsman.run(&[&["outdated", "-o", "json", "-f"][..], more].concat()).await;
    (serde_json::from_str(&output.stdout).unwrap_or_default(), output)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_looked_at_without_a_cluster() {
    let leadsman = Leadsman::new();
    let repository = Repository::start();
    for version in ["1.0.0", "1.0.1", "1.1.0", "2.0.0"] {
        repository.publish_package(web(version, ""));
    }
    let release = |namespace: &str, range: &str| {
        let yaml = yaml(namespace, "web", &repository.url(), "");
        yaml.replace("\"1.x\"", &format!("\"{range}\""))
    };
    leadsman.file("git/apps/web.yaml", &release("apps", "1.0.x"));
    let held = json!({"rule": "constraint", "reason": "1.0.x does not allow it"});
    let newer = |version: &str| json!({"version": version, "inRange": false, "deprecated": false, "held": held});
    let first = json!({
        "namespace": "apps", "name": "web", "kind": "HelmRelease", "chart": "web",
        "current": "1.0.1", "range": "1.0.x", "outdated": true, "deprecated": false,
        "minor": newer("1.1.0"), "major": newer("2.0.0"),
    });
    let (rows, output) = of_folder(&leadsman, &["git"]).await;
    assert_eq!((rows, output.code), (json!([first]), Some(0)), "{}", output.stderr);
    assert_eq!(of_folder(&leadsman, &["git", "--exit-code"]).await.1.code, Some(3));
    let (rows, _) = of_folder(&leadsman, &["git/apps/web.yaml"]).await;
    assert_eq!(rows, json!([first]));
    let table = leadsman.run(&["outdated", "-f", "git"]).await.success();
    let words: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(words[..7], ["apps", "web", "web", "1.0.1", "-", "1.1.0", "2.0.0"]);

    // Older versions of the API, objects that are none of its business, and pins.
    let old = release("old", "1.0.0").replace("toolkit.fluxcd.io/v2", "toolkit.fluxcd.io/v2beta2");
    let pin = "metadata: {name: web, namespace: old, annotations: {leadsman.dev/pin: 1.1.0}}";
    let old = old.replace("metadata: {name: web, namespace: old}", pin);
    leadsman.file(
        "git/old.yml",
        &format!("kind: Kustomization\napiVersion: x/v1\nmetadata: {{name: a}}\n---\n{old}"),
    );
    leadsman.file("git/none.yaml", &release("none", "9.x"));
    let (rows, output) = of_folder(&leadsman, &["git"]).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert_eq!(rows[1]["unknown"], "its source has no version that 9.x allows");
    assert_eq!((&rows[2]["current"], &rows[2]["patch"]), (&json!("1.1.0"), &Value::Null));
    assert_eq!(rows[2]["major"]["held"]["rule"], "pin");
    let (rows, _) = of_folder(&leadsman, &["git", "-n", "old"]).await;
    assert_eq!(rows.as_array().unwrap().len(), 1);

    // What cannot be used is named, and the rest is looked at.
    leadsman.file("git/broken.yaml", "a: [\n");
    leadsman
        .file("git/wrong.yaml", &release("wrong", "1.x").replace("interval: 1s", "interval: [1]"));
    let (rows, output) = of_folder(&leadsman, &["git"]).await;
    assert_eq!((rows.as_array().unwrap().len(), output.code), (3, Some(1)), "{rows}");
    for words in
        ["broken.yaml:", "wrong.yaml:1: HelmRepository/wrong/charts: ", "correct the object"]
    {
        assert!(output.stderr.contains(words), "{words}: {}", output.stderr);
    }
    let (_, output) = of_folder(&leadsman, &["nowhere"]).await;
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("nowhere"), "{}", output.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_tells_what_is_newer_and_an_event_once() {
    let (mut world, _simulated) = World::simulated().await;
    world.offers(&json!({"minor": "1.1.0", "major": "2.0.0"})).await;
    world.has_told(&[MINOR, MAJOR]).await;
    world.repository.publish_package(web("2.1.0", ""));
    world.offers(&json!({"minor": "1.1.0", "major": "2.1.0"})).await;
    let newer = MAJOR.replace("2.0.0", "2.1.0");
    world.has_told(&[MINOR, MAJOR, &newer]).await;
    // A patch is taken: that is told as any upgrade.
    world.repository.publish_package(web("1.0.2", ""));
    world.runs("1.0.2").await;
    world.run();
    world.intervals().await;
    world.has_told(&[MINOR, MAJOR, &newer]).await;
    // The newest one vanishes: the one before was told.
    world.repository.remove("web-2.1.0.tgz");
    world.offers(&json!({"minor": "1.1.0", "major": "2.0.0"})).await;
    world.intervals().await;
    world.has_told(&[MINOR, MAJOR, &newer]).await;
}

/// Flux's own CRD knows no such field: the server drops it.
fn of_flux() -> Value {
    let mut definition: Value =
        serde_yaml::from_str(include_str!("../../src/api/crds/helmrelease.yaml")).unwrap();
    let schema = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let status = schema["properties"]["status"]["properties"].as_object_mut().unwrap();
    assert!(status.remove("availableUpdates").is_some());
    definition
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_is_dropped_costs_no_write_on_a_real_api_server() {
    let Some(cluster) = ControlPlane::start() else { return };
    let api = cluster.api().await;
    for definition in [None, Some(of_flux())] {
        let is_dropped = definition.is_some();
        if let Some(definition) = definition {
            api.install_crds(&[definition]).await;
        }
        let proxy = Proxy::start(&cluster.kubeconfig());
        let leadsman = Leadsman::new().kubeconfig(&proxy.kubeconfig());
        let mut world = World::start(api.clone(), leadsman).await;
        world.has_told(&[MINOR, MAJOR]).await;
        if is_dropped {
            world.remembers("\"dropped\":true").await;
        } else {
            world.offers(&json!({"minor": "1.1.0", "major": "2.0.0"})).await;
        }
        world.intervals().await;
        proxy.forget();
        throughout("nothing is written", Duration::from_secs(4), async || quiet(&proxy)).await;
        // After a restart, too.
        world.run();
        world.intervals().await;
        quiet(&proxy).unwrap();
        world.has_told(&[MINOR, MAJOR]).await;
        let shown = world.release().await["status"]["availableUpdates"].clone();
        assert_eq!(shown.is_null(), is_dropped, "{shown}");
        // The command asks the repository, not the status.
        assert_eq!(world.json(&[]).await[0]["major"]["version"], "2.0.0");
    }
}

/// Whether nobody changed anything; the SOURCE is applied again now and then.
fn quiet(proxy: &Proxy) -> Result<(), String> {
    let calls = proxy.calls();
    let is_ours = |call: &&Call| call.is_change() && !call.query.contains("leadsman-source");
    let changes: Vec<_> = calls.iter().filter(is_ours).collect();
    if changes.is_empty() { Ok(()) } else { Err(format!("{changes:?}")) }
}
