//! What every row of the table is checked with: the condition, the event, the printed line, the
//! release beside it, and that nothing is half applied.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::api::{Api, condition};
use crate::support::chart::{web, yaml};
use crate::support::control_plane::ControlPlane;
use crate::support::leadsman::{Leadsman, Running};
use crate::support::repository::Repository;
use crate::support::wait::{SOON, until};

/// A cluster that a table runs on.
pub(super) struct Ground {
    pub(super) kubeconfig: PathBuf,
    // Ends with the value.
    _server: Option<(Leadsman, Option<Running>)>,
}

impl Ground {
    /// A simulated cluster of its own.
    pub(super) async fn simulated() -> Self {
        let server = Leadsman::new();
        let running = server.spawn(&["sim", "--kubeconfig-out", "kubeconfig"]);
        running.line(SOON, |line| line.contains("the simulated cluster listens")).await;
        let kubeconfig = server.folder().join("kubeconfig");
        Self { kubeconfig, _server: Some((server, Some(running))) }
    }

    /// A simulated cluster of this process, whose faults a test sets.
    pub(super) async fn served(simulated: &leadsman::sim::Sim) -> Self {
        let served = simulated.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let folder = Leadsman::new();
        let kubeconfig = folder.file("kubeconfig", &served.kubeconfig);
        tokio::spawn(served.run());
        Self { kubeconfig, _server: Some((folder, None)) }
    }

    /// The real API server that all tests share.
    pub(super) fn real() -> Option<Self> {
        let kubeconfig = ControlPlane::shared()?.kubeconfig();
        Some(Self { kubeconfig, _server: None })
    }

    /// Any API server.
    pub(super) fn of(kubeconfig: &Path) -> Self {
        Self { kubeconfig: kubeconfig.to_owned(), _server: None }
    }
}

/// A namespace with a repository `charts` and a release `good` of the chart `web` in it.
pub(super) struct Site {
    pub(super) api: Api,
    pub(super) namespace: String,
    pub(super) repository: Repository,
    pub(super) leadsman: Leadsman,
}

/// One mistake, and what is said of it.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// `HelmRelease` or `HelmRepository`.
    pub(super) kind: &'static str,
    /// The object.
    pub(super) name: &'static str,
    /// The condition.
    pub(super) condition: (&'static str, &'static str, &'static str),
    /// Parts of its message, of the event's and of the line.
    pub(super) parts: &'static [&'static str],
    /// Type of the event; its reason is the condition's.
    pub(super) event: &'static str,
    /// What the line says that is to be done.
    pub(super) todo: &'static str,
}

/// A row about a release that is not ready.
pub(super) const fn release(
    name: &'static str,
    reason: &'static str,
    parts: &'static [&'static str],
    todo: &'static str,
) -> Row {
    row("HelmRelease", name, ("Ready", "False", reason), parts, todo)
}

/// A row about a repository whose index cannot be fetched.
pub(super) const fn repository(
    name: &'static str,
    reason: &'static str,
    parts: &'static [&'static str],
    todo: &'static str,
) -> Row {
    row("HelmRepository", name, ("FetchFailed", "True", reason), parts, todo)
}

const fn row(
    kind: &'static str,
    name: &'static str,
    condition: (&'static str, &'static str, &'static str),
    parts: &'static [&'static str],
    todo: &'static str,
) -> Row {
    Row { kind, name, condition, parts, event: "Warning", todo }
}

impl Site {
    /// Makes one; nothing runs yet.
    pub(super) async fn new(ground: &Ground, stem: &str) -> Self {
        let api = Api::connect(&ground.kubeconfig).await;
        let namespace = api.create_namespace(stem).await;
        let repository = Repository::start();
        repository.publish_package(web("1.0.0", ""));
        let leadsman = Leadsman::new().kubeconfig(&ground.kubeconfig);
        leadsman.file("source/good.yaml", &yaml(&namespace, "good", &repository.url(), ""));
        Self { api, namespace, repository, leadsman }
    }

    /// Adds a release to SOURCE.
    pub(super) fn release(&self, name: &str, chart: &str, version: &str, more: &str) {
        self.release_of(name, "charts", chart, version, more);
    }

    /// The same, of another repository.
    pub(super) fn release_of(
        &self,
        name: &str,
        source: &str,
        chart: &str,
        version: &str,
        more: &str,
    ) {
        let text = format!(
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\n\
             metadata: {{name: {name}, namespace: {}}}\nspec:\n  interval: 1s\n  timeout: 5s\n  \
             chart: {{spec: {{chart: {chart}, version: \"{version}\", \
             sourceRef: {{kind: HelmRepository, name: {source}}}}}}}\n{more}",
            self.namespace
        );
        self.leadsman.file(&format!("source/{name}.yaml"), &text);
    }

    /// Starts Leadsman over SOURCE.
    pub(super) fn run(&self) -> Running {
        self.leadsman.spawn(&["run", "source", "-n", &self.namespace, "--interval", "1s"])
    }

    /// Returns an object of Flux's kinds.
    pub(super) async fn object(&self, kind: &str, name: &str) -> Value {
        let group = match kind {
            "HelmRelease" => "helm.toolkit.fluxcd.io/v2",
            _ => "source.toolkit.fluxcd.io/v1",
        };
        let plural = if kind == "HelmRelease" { "helmreleases" } else { "helmrepositories" };
        let path = format!("/apis/{group}/namespaces/{}/{plural}/{name}", self.namespace);
        self.api.get(&path).await.unwrap_or_default()
    }

    /// Waits until a release runs a version and says that it is ready.
    pub(super) async fn runs(&self, name: &str, version: &str) {
        until(&format!("{name} runs {version}"), SOON, async || {
            let release = self.object("HelmRelease", name).await;
            let newest = &release["status"]["history"][0];
            let ready = condition(&release, "Ready").is_some_and(|c| c["status"] == "True");
            let good = newest["chartVersion"] == version && newest["status"] == "deployed";
            if good && ready { Ok(()) } else { Err(release["status"].to_string()) }
        })
        .await;
    }

    /// Checks all rows; all that is wrong is told at once.
    pub(super) async fn check(&self, running: &Running, rows: &[Row]) {
        self.runs("good", "1.0.0").await;
        let checks = rows.iter().map(|row| self.check_row(running, row));
        let wrong: Vec<String> =
            futures::future::join_all(checks).await.into_iter().flatten().collect();
        assert!(wrong.is_empty(), "{}\n\n{}", wrong.join("\n"), running.output());
        // The good one was installed once, and nothing was done to it since.
        let good = self.object("HelmRelease", "good").await;
        assert_eq!(good["status"]["history"].as_array().map(Vec::len), Some(1), "{good}");
        assert!(condition(&good, "Ready").is_some_and(|c| c["status"] == "True"), "{good}");
    }

    /// Waits until one row holds, apart from what is applied: for what happens to a release that
    /// ran before.
    pub(super) async fn said(&self, running: &Running, row: &Row) {
        let wrong = self.heard(running, row).await;
        assert!(wrong.is_empty(), "{row:?}\n{}\n\n{}", wrong.join("\n"), running.output());
    }

    async fn check_row(&self, running: &Running, row: &Row) -> Vec<String> {
        let mut wrong = self.heard(running, row).await;
        if row.kind == "HelmRelease" {
            wrong.extend(self.traces(row.name).await);
        }
        wrong.into_iter().map(|text| format!("{} {row:?}\n  {text}", row.name)).collect()
    }

    /// Waits for condition, event and line; returns what is missing in the end.
    async fn heard(&self, running: &Running, row: &Row) -> Vec<String> {
        let mut wrong = Vec::new();
        let (kind, status, reason) = row.condition;
        let fits = |text: &str| row.parts.iter().all(|part| text.contains(part));
        let deadline = tokio::time::Instant::now() + SOON;
        // The three come one after the other.
        loop {
            wrong.clear();
            let object = self.object(row.kind, row.name).await;
            let found = condition(&object, kind).cloned().unwrap_or_default();
            let said = fits(found["message"].as_str().unwrap_or_default());
            if found["status"] != status || found["reason"] != reason || !said {
                wrong.push(format!("condition: {found}"));
            }
            if !self.events(row.kind, row.name).await.iter().any(|event| {
                event["type"] == row.event
                    && event["reason"] == reason
                    && fits(event["message"].as_str().unwrap_or_default())
            }) {
                wrong.push("no such event".to_owned());
            }
            let output = running.output();
            let about = format!("{}/{}/{} {reason}: ", row.kind, self.namespace, row.name);
            let mut lines = output.lines().filter(|line| line.contains(&about));
            if !lines.any(|line| fits(line) && line.contains(row.todo)) {
                wrong.push(format!("no line with `{about}` and `{}`", row.todo));
            }
            if wrong.is_empty() || tokio::time::Instant::now() > deadline {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        wrong
    }

    /// Returns the events of an object.
    pub(super) async fn events(&self, kind: &str, name: &str) -> Vec<Value> {
        let events = self.api.list(&format!("/api/v1/namespaces/{}/events", self.namespace)).await;
        let about = |event: &Value| {
            event["involvedObject"]["kind"] == kind && event["involvedObject"]["name"] == name
        };
        events.into_iter().filter(about).collect()
    }

    /// Returns what stands in the cluster of a release that could not be installed: objects, and
    /// records that are pending.
    pub(super) async fn traces(&self, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        for path in ["api/v1", "apis/apps/v1"] {
            for kind in ["configmaps", "services", "serviceaccounts", "deployments"] {
                let path = format!("/{path}/namespaces/{}/{kind}", self.namespace);
                for object in self.api.list(&path).await {
                    let meta = &object["metadata"];
                    if meta["annotations"]["meta.helm.sh/release-name"] == name {
                        found.push(format!("half applied: {kind} {}", meta["name"]));
                    }
                }
            }
        }
        let pending = records(&self.api, &self.namespace, name).await.into_iter();
        found.extend(
            pending
                .filter(|(_, status)| status.starts_with("pending"))
                .map(|(version, status)| format!("record {version} is left {status}")),
        );
        found
    }

    /// Returns a ConfigMap's data.
    pub(super) async fn data(&self, name: &str) -> Value {
        let path = format!("/api/v1/namespaces/{}/configmaps/{name}", self.namespace);
        self.api.get(&path).await.unwrap_or_default()["data"].take()
    }
}

/// Returns revision and status of a release's records, the oldest first.
pub(super) async fn records(api: &Api, namespace: &str, name: &str) -> Vec<(u64, String)> {
    let secrets = api.list(&format!("/api/v1/namespaces/{namespace}/secrets")).await;
    let label = |secret: &Value, key: &str| {
        secret["metadata"]["labels"][key].as_str().unwrap_or_default().to_owned()
    };
    let mut found: Vec<_> = secrets
        .iter()
        .filter(|secret| label(secret, "owner") == "helm" && label(secret, "name") == name)
        .map(|secret| (label(secret, "version").parse().unwrap(), label(secret, "status")))
        .collect();
    found.sort();
    found
}
