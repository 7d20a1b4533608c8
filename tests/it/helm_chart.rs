//! `HelmChart` objects and the releases that name them, on the simulated API server and on a real one.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::api::condition;
use crate::support::chart::{web, web_files, web_with};
use crate::support::git::Git;
use crate::support::repository::Repository;
use crate::support::stage::{RELEASES, Served, Stage};
use crate::support::wait::{SOON, throughout, until};

/// A chart repository, and releases under `leadsman run`.
type World = Served<Repository>;

const CHARTS: &str = "source.toolkit.fluxcd.io/v1/helmcharts";

const REPOSITORY: &str = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: {name: all, namespace: NAMESPACE}\n\
    spec: {interval: 1s, url: \"URL\"}\n---\n";

const RELEASE: &str = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: web, namespace: NAMESPACE}\n\
    spec:\n  interval: 1s\n  timeout: 6s\n  chartRef: {kind: HelmChart, name: web}\n---\n";

/// A `HelmChart`; `spec` are further fields.
fn chart(kind: &str, chart: &str, spec: &str) -> String {
    format!(
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmChart\nmetadata: {{name: web, namespace: NAMESPACE}}\n\
         spec:\n  interval: 1s\n  chart: {chart}\n  sourceRef: {{kind: {kind}, name: all}}\n{spec}---\n"
    )
}

/// All three objects, with the chart `web` of the repository.
fn all(spec: &str) -> String {
    REPOSITORY.to_owned() + &chart("HelmRepository", "web", spec) + RELEASE
}

impl World {
    /// On the simulated API server.
    async fn start() -> Self {
        Self { stage: Stage::simulated("charts", CHARTS).await, server: Repository::start() }
    }

    /// On a real one.
    async fn real() -> Option<Self> {
        Some(Self { stage: Stage::real("charts", CHARTS).await?, server: Repository::start() })
    }

    /// Runs `leadsman` with these objects.
    fn run(&mut self, yaml: &str) {
        let yaml = yaml.replace("URL", &self.server.url());
        self.stage.run(&yaml);
    }

    /// The same, where intervals are as they are written.
    fn run_as_written(&mut self, yaml: &str) {
        let yaml = yaml.replace("URL", &self.server.url());
        self.stage.write(&yaml);
        self.stage.restart_as_written();
    }

    /// Changes an object.
    async fn edit(&self, group: &str, patch: &Value) {
        self.change(group, "web", patch).await;
    }

    /// Waits until this very version runs.
    async fn runs(&self, version: &str) -> Value {
        until(&format!("{version} runs"), SOON, async || {
            let release = self.object(RELEASES, "web").await;
            let newest = &release["status"]["history"][0];
            let ready = condition(&release, "Ready").is_some_and(|c| c["status"] == "True");
            let is_it = newest["chartVersion"] == version && newest["status"] == "deployed";
            if is_it && ready { Ok(release) } else { Err(release["status"].to_string()) }
        })
        .await
    }

    /// Waits until a version was tried and is held back.
    async fn holds(&self, version: &str) {
        until(&format!("{version} is rolled back"), SOON, async || {
            let release = self.object(RELEASES, "web").await;
            let held = condition(&release, "VersionHeld").cloned().unwrap_or_default();
            let said = held["message"].as_str().is_some_and(|text| text.starts_with(version));
            let newest = &release["status"]["history"][0];
            let back = held["reason"] == "Quarantine" && said && newest["action"] == "rollback";
            if back { Ok(()) } else { Err(release["status"].to_string()) }
        })
        .await;
    }
}

/// Looks at what the API server makes of the definition: columns, defaults, rules.
async fn is_defined_as_by_flux(world: &World, chart: &Value) {
    let definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/helmcharts.source.toolkit.fluxcd.io";
    let definition = world.api.get(definition).await.unwrap();
    let columns = definition["spec"]["versions"][0]["additionalPrinterColumns"].as_array().unwrap();
    let columns: Vec<&str> = columns.iter().filter_map(|one| one["name"].as_str()).collect();
    let want = ["Chart", "Version", "Source Kind", "Source Name", "Age", "Ready", "Status"];
    assert_eq!(columns, want);
    assert_eq!(chart["spec"]["reconcileStrategy"], "ChartVersion");
    let object = json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmChart",
        "metadata": {"name": "signed"}, "spec": {"chart": "web", "interval": "1m",
        "sourceRef": {"kind": "GitRepository", "name": "all"}, "verify": {"provider": "cosign"}}});
    let path = world.path(CHARTS, "");
    let refused = world.api.create(path.trim_end_matches('/'), &object).await.unwrap_err();
    let rule = "spec.verify is only supported when spec.sourceRef.kind is 'HelmRepository'";
    assert!(refused.status.to_string().contains(rule), "{}", refused.status);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_followed_on_a_real_server() {
    let Some(mut world) = World::real().await else { return };
    let first = web("1.0.0", "");
    let digest = format!("sha256:{}", first.digest());
    let size = first.bytes.len();
    world.server.publish_package(first);
    world.run(&all("  version: \"1.x\"\n"));
    let release = world.runs("1.0.0").await;
    assert_eq!(release["status"]["lastAttemptedRevision"], "1.0.0");
    assert!(release["status"].get("lastAttemptedRevisionDigest").is_none(), "{release}");
    assert!(release["status"]["history"][0].get("ociDigest").is_none(), "{release}");
    let chart = world.stored("1.0.0").await;
    let status = &chart["status"];
    let name = &world.namespace;
    // Published archives are taken byte for byte.
    assert_eq!(status["artifact"]["digest"], json!(digest));
    assert_eq!(status["artifact"]["size"], json!(size));
    assert_eq!(status["artifact"]["path"], json!(format!("helmchart/{name}/web/web-1.0.0.tgz")));
    assert_eq!(status["observedChartName"], "web");
    assert_eq!(status["observedGeneration"], 1);
    let source = world.object("source.toolkit.fluxcd.io/v1/helmrepositories", "all").await;
    let revision = &source["status"]["artifact"]["revision"];
    assert_eq!(&status["observedSourceArtifactRevision"], revision);
    let message = "pulled 'web' chart with version '1.0.0'";
    for kind in ["Ready", "ArtifactInStorage"] {
        let found = condition(&chart, kind).unwrap();
        let said = (&found["status"], &found["reason"], &found["message"]);
        assert_eq!(said, (&json!("True"), &json!("ChartPullSucceeded"), &json!(message)));
    }
    world.has_event("ChartPullSucceeded", message).await;
    is_defined_as_by_flux(&world, &chart).await;
    // By itself to the next, and back from the one after it, which never becomes ready.
    world.server.publish_package(web("1.1.0", ""));
    world.runs("1.1.0").await;
    world.server.publish_package(web("1.2.0", "unready"));
    world.holds("1.2.0").await;
    let back = world.runs("1.1.0").await;
    let revision = back["status"]["history"][0]["version"].clone();
    throughout("1.1.0 stays", Duration::from_secs(3), async || {
        let release = world.object(RELEASES, "web").await;
        let stays = release["status"]["history"][0]["version"] == revision;
        if stays { Ok(()) } else { Err(release["status"].to_string()) }
    })
    .await;
    world.server.publish_package(web("1.2.1", ""));
    world.runs("1.2.1").await;
    // A repository that loses a version takes nobody back; a person does.
    world.server.remove("web-1.2.1.tgz");
    world.server.remove("web-1.2.0.tgz");
    world.stored("1.1.0").await;
    throughout("1.2.1 stays", Duration::from_secs(2), async || {
        let release = world.object(RELEASES, "web").await;
        let stays = release["status"]["history"][0]["chartVersion"] == "1.2.1";
        if stays { Ok(()) } else { Err(release["status"].to_string()) }
    })
    .await;
    world.edit(CHARTS, &json!({"spec": {"version": "1.0.0"}})).await;
    world.runs("1.0.0").await;
}

/// Nobody waits for an interval where a source of its own moved.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_revision_of_a_source_is_looked_at_at_once() {
    let Some(git) = Git::start() else { return };
    let mut world = World::start().await;
    let hour = |text: &str| text.replace("interval: 1s\n", "interval: 1h\n");
    world.server.publish_package(web("1.0.0", ""));
    let of_index =
        REPOSITORY.to_owned() + &hour(&chart("HelmRepository", "web", "")) + &hour(RELEASE);
    world.run_as_written(&of_index);
    world.runs("1.0.0").await;
    world.server.publish_package(web("1.1.0", ""));
    world.runs("1.1.0").await;
    commit(&git, "2.0.0", "", &[]);
    world.run_as_written(&hour(&in_git(&git, "")));
    world.runs("2.0.0").await;
    commit(&git, "2.1.0", "", &[]);
    world.runs("2.1.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_files_become_those_of_the_chart() {
    let mut world = World::start().await;
    let more = [("prod.yaml", "message: prod\n"), ("env/more.yaml", "message: more\n")];
    world.server.publish_package(web_with("1.0.0", "", &more));
    world.run(&all("  valuesFiles: [values.yaml, prod.yaml]\n"));
    world.runs("1.0.0+1").await;
    world.says("prod").await;
    let chart = world.stored("1.0.0+1").await;
    let message = "packaged 'web' chart with version '1.0.0+1' and merged values files [values.yaml prod.yaml]";
    let ready = condition(&chart, "Ready").unwrap();
    assert_eq!(
        (&ready["reason"], &ready["message"]),
        (&json!("ChartPackageSucceeded"), &json!(message))
    );
    world.has_event("ChartPackageSucceeded", message).await;
    // That its repository was fetched a moment later is no event.
    let events = format!("/api/v1/namespaces/{}/events", world.namespace);
    let events = world.api.list(&events).await;
    assert!(events.iter().all(|event| event["reason"] != "NoSourceArtifact"), "{events:?}");
    // The chart's own values alone are no values files.
    world.edit(CHARTS, &json!({"spec": {"valuesFiles": ["values.yaml"]}})).await;
    world.stored("1.0.0").await;
    world.runs("1.0.0").await;
    world.says("hello").await;
    let files = json!({"spec": {"valuesFiles": ["values.yaml", "none.yaml", "env/more.yaml"]}});
    world.edit(CHARTS, &files).await;
    let words = "values files merge error: failed to merge chart values: no values file found at \
                 path 'none.yaml'";
    let chart = world.refuses(CHARTS, "ValuesFilesError", words).await;
    for kind in ["Stalled", "BuildFailed"] {
        assert_eq!(condition(&chart, kind).unwrap()["status"], "True", "{chart}");
    }
    assert_eq!(chart["status"]["observedGeneration"], 3);
    world.refuses(RELEASES, "SourceNotReady", words).await;
    world.edit(CHARTS, &json!({"spec": {"ignoreMissingValuesFiles": true}})).await;
    let chart = world.stored("1.0.0+4").await;
    assert_eq!(chart["status"]["observedValuesFiles"], json!(["values.yaml", "env/more.yaml"]));
    for kind in ["Stalled", "BuildFailed"] {
        assert!(condition(&chart, kind).is_none(), "{chart}");
    }
    world.runs("1.0.0+4").await;
    world.says("more").await;
    // What is right is left alone.
    let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
    let before = world.server.asked().len();
    until("the repository is asked again", SOON, async || world.server.asked().len() > before + 2)
        .await;
    assert_eq!(version(&world.object(CHARTS, "web").await), version(&chart));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_describes_values_files_itself() {
    let mut world = World::start().await;
    let more = [("prod.yaml", "message: prod\n"), ("more.yaml", "replicas: 2\n")];
    world.server.publish_package(web_with("1.0.0", "", &more));
    let release = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: web, namespace: NAMESPACE}\n\
        spec:\n  interval: 1s\n  timeout: 6s\n  chart:\n    spec:\n      chart: web\n      version: \"1.x\"\n      \
        sourceRef: {kind: HelmRepository, name: all}\n      valuesFiles: [values.yaml, prod.yaml]\n";
    world.run(&(REPOSITORY.to_owned() + release));
    world.runs("1.0.0+1").await;
    world.says("prod").await;
    world.server.publish_package(web_with("1.1.0", "", &more));
    world.runs("1.1.0+1").await;
    // One that fails is held by the name that it has here, and another takes its place.
    world.server.publish_package(web_with("1.2.0", "unready", &more));
    world.holds("1.2.0+1").await;
    world.runs("1.1.0+1").await;
    world.server.publish_package(web_with("1.2.1", "", &more));
    world.runs("1.2.1+1").await;
    // Other files are another version.
    let files = |names: Value| json!({"spec": {"chart": {"spec": {"valuesFiles": names}}}});
    world.edit(RELEASES, &files(json!(["values.yaml", "more.yaml"]))).await;
    world.runs("1.2.1+2").await;
    world.says("hello").await;
    // A person pins by the text of the index, or by what ran.
    let pin = |version: &str| json!({"metadata": {"annotations": {"leadsman.dev/pin": version}}});
    world.edit(RELEASES, &pin("1.0.0")).await;
    world.runs("1.0.0+2").await;
    world.edit(RELEASES, &pin("1.2.1+1")).await;
    world.runs("1.2.1+1").await;
    world.says("prod").await;
    world.edit(RELEASES, &files(json!(["none.yaml"]))).await;
    let unpin = json!({"metadata": {"annotations": {"leadsman.dev/pin": null}}});
    world.edit(RELEASES, &unpin).await;
    let words = "values files merge error: no values file found at path 'none.yaml'";
    let release = world.refuses(RELEASES, "SourceNotReady", words).await;
    assert!(condition(&release, "Stalled").is_none(), "{release}");
}

/// Commits the chart `web` at `charts/web`, with further files.
fn commit(git: &Git, version: &str, fate: &str, more: &[(&str, &str)]) -> String {
    let files = web_files(version, fate);
    let files = files.iter().map(|(name, text)| (format!("charts/web/{name}"), text.as_str()));
    let files: Vec<(String, &str)> = files.collect();
    let files = files.iter().map(|(name, text)| (name.as_str(), *text));
    let files: Vec<(&str, &str)> = files.chain(more.iter().copied()).collect();
    git.commit(&format!("web {version}"), &files)
}

/// The objects of a chart in Git.
fn in_git(git: &Git, spec: &str) -> String {
    let source = format!(
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {{name: all, namespace: NAMESPACE}}\n\
         spec: {{interval: 1s, timeout: 20s, url: \"{}\", ref: {{branch: main}}}}\n---\n",
        git.url()
    );
    source + &chart("GitRepository", "./charts/web", spec) + RELEASE
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_in_git_is_packed() {
    let Some(git) = Git::start() else { return };
    let mut world = World::start().await;
    let first = commit(&git, "1.0.0", "", &[("prod/values.yaml", "message: prod\n")]);
    world.run(&in_git(&git, ""));
    world.runs("1.0.0").await;
    let chart = world.stored("1.0.0").await;
    let message = "packaged 'web' chart with version '1.0.0'";
    assert_eq!(condition(&chart, "Ready").unwrap()["message"], message);
    let observed = &chart["status"]["observedSourceArtifactRevision"];
    assert_eq!(observed, &json!(format!("main@sha1:{first}")));
    // Another text under the same version is no other chart.
    let digest = chart["status"]["artifact"]["digest"].clone();
    let second =
        commit(&git, "1.0.0", "", &[("charts/web/values.yaml", "message: later\nreplicas: 1\n")]);
    let seen = json!(format!("main@sha1:{second}"));
    let chart = until("the second commit is seen", SOON, async || {
        let chart = world.object(CHARTS, "web").await;
        let is_seen = chart["status"]["observedSourceArtifactRevision"] == seen;
        if is_seen { Ok(chart) } else { Err(chart["status"].to_string()) }
    })
    .await;
    assert_eq!(chart["status"]["artifact"]["digest"], digest);
    // Where each commit counts, it is.
    world.edit(CHARTS, &json!({"spec": {"reconcileStrategy": "Revision"}})).await;
    let by = |commit: &str| format!("1.0.0+{}", &commit[..12]);
    world.runs(&by(&second)).await;
    world.says("later").await;
    let third = commit(&git, "1.0.0", "unready", &[]);
    world.holds(&by(&third)).await;
    world.runs(&by(&second)).await;
    // Values files are found from the root; what was described anew is a part of the version.
    let files = json!(["charts/web/values.yaml", "none.yaml", "prod/values.yaml"]);
    let files = json!({"spec": {"valuesFiles": files, "ignoreMissingValuesFiles": true}});
    world.edit(CHARTS, &files).await;
    let fourth = commit(&git, "1.0.0", "", &[]);
    let version = format!("{}.3", by(&fourth));
    world.runs(&version).await;
    world.says("prod").await;
    let chart = world.stored(&version).await;
    let merged = json!(["charts/web/values.yaml", "prod/values.yaml"]);
    assert_eq!(chart["status"]["observedValuesFiles"], merged);
    // A person may pin what ran before, though its commit is not the newest any more.
    world
        .edit(RELEASES, &json!({"metadata": {"annotations": {"leadsman.dev/pin": by(&second)}}}))
        .await;
    world.runs(&by(&second)).await;
    world.says("later").await;
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn what_is_wrong_is_said() {
    let mut world = World::start().await;
    world.run(RELEASE);
    let words = "could not get Source object: HelmChart.source.toolkit.fluxcd.io \"";
    world.refuses(RELEASES, "ArtifactFailed", words).await;
    let lonely = chart("HelmRepository", "web", "");
    world.run(&(lonely.clone() + RELEASE));
    let words = "failed to get source: HelmRepository.source.toolkit.fluxcd.io \"";
    world.refuses(CHARTS, "SourceUnavailable", words).await;
    world.refuses(RELEASES, "SourceNotReady", words).await;
    // It is there, and has nothing yet.
    let refused = REPOSITORY.replace("URL", "http://127.0.0.1:1");
    world.run(&(refused + &lonely + RELEASE));
    let words = "no artifact available for HelmRepository source 'all'";
    let chart = world.refuses(CHARTS, "NoSourceArtifact", words).await;
    let failed = condition(&chart, "FetchFailed").unwrap();
    assert_eq!(
        (&failed["reason"], &failed["message"]),
        (&json!("NoSourceArtifact"), &json!(words))
    );
    assert!(condition(&chart, "Stalled").is_none(), "{chart}");
    world.server.publish_package(web("1.0.0", ""));
    world.run(&all(""));
    world.runs("1.0.0").await;
    let kind = |kind: &str| json!({"kind": kind, "name": "all"});
    let rows = [
        (
            json!({"version": "9.x"}),
            "InvalidChartReference",
            "no 'web' chart with version matching '9.x' found; the nearest are 1.0.0",
            true,
        ),
        (json!({"version": "one"}), "InvalidChartReference", "improper constraint", true),
        (
            json!({"version": "*", "chart": "weeb"}),
            "InvalidChartReference",
            "no chart name found; it has web",
            true,
        ),
        (
            json!({"chart": "web", "sourceRef": kind("Bucket")}),
            "SourceUnavailable",
            "failed to get source: Bucket.source.toolkit.fluxcd.io \"all\" not found",
            false,
        ),
        (
            json!({"sourceRef": kind("HelmRepository"), "verify": {"provider": "cosign"}}),
            "VerificationError",
            "is not of type oci, and signatures are verified in registries alone",
            true,
        ),
        (
            json!({"verify": null, "sourceRef": kind("GitRepository")}),
            "SourceUnavailable",
            "GitRepository.source.toolkit.fluxcd.io \"",
            false,
        ),
    ];
    for (change, reason, words, is_stalled) in rows {
        world.edit(CHARTS, &json!({"spec": change})).await;
        let chart = world.refuses(CHARTS, reason, words).await;
        let failed = if reason == "VerificationError" { "BuildFailed" } else { "FetchFailed" };
        assert_eq!(condition(&chart, failed).unwrap()["status"], "True", "{chart}");
        assert_eq!(condition(&chart, "Stalled").is_some(), is_stalled, "{chart}");
        // What was made stays.
        assert_eq!(chart["status"]["artifact"]["revision"], "1.0.0", "{chart}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_no_chart_waits_for_another_commit() {
    let Some(git) = Git::start() else { return };
    let mut world = World::start().await;
    commit(&git, "1.0.0", "", &[]);
    world.run(&in_git(&git, "").replace("./charts/web", "./charts/none"));
    let words = "invalid chart reference: there is nothing at './charts/none'";
    let chart = world.refuses(CHARTS, "InvalidChartReference", words).await;
    assert!(condition(&chart, "Stalled").is_some(), "{chart}");
    world.refuses(RELEASES, "SourceNotReady", words).await;
    let files = web_files("2.0.0", "");
    let files = files.iter().map(|(name, text)| (format!("charts/none/{name}"), text));
    let files: Vec<(String, &String)> = files.collect();
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    git.commit("a chart", &files);
    world.runs("2.0.0").await;
    let chart = world.object(CHARTS, "web").await;
    for kind in ["Stalled", "FetchFailed"] {
        assert!(condition(&chart, kind).is_none(), "{chart}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_chart_waits_and_a_request_is_answered() {
    let mut world = World::start().await;
    world.server.publish_package(web("1.0.0", ""));
    world.run(&all(""));
    world.runs("1.0.0").await;
    world.edit(CHARTS, &json!({"spec": {"suspend": true}})).await;
    let chart = world.object(CHARTS, "web").await;
    world.server.publish_package(web("1.1.0", ""));
    throughout("it waits", Duration::from_secs(3), async || {
        let now = world.object(CHARTS, "web").await;
        if now["status"] == chart["status"] { Ok(()) } else { Err(now["status"].to_string()) }
    })
    .await;
    let ask = json!({"spec": {"suspend": false}, "metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}});
    world.edit(CHARTS, &ask).await;
    let chart = world.stored("1.1.0").await;
    assert_eq!(chart["status"]["lastHandledReconcileAt"], "now");
    world.runs("1.1.0").await;
    // A finalizer that Flux left does not keep the object.
    world.edit(CHARTS, &json!({"metadata": {"finalizers": ["finalizers.fluxcd.io"]}})).await;
    let path = world.path(CHARTS, "web");
    world.api.delete(&path).await;
    until("it is gone", SOON, async || world.api.get(&path).await.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_archive_is_made_again() {
    let mut world = World::start().await;
    let more = [("prod.yaml", "message: prod\n")];
    world.server.publish_package(web_with("1.0.0", "", &more));
    world.run(&all("  valuesFiles: [values.yaml, prod.yaml]\n"));
    world.runs("1.0.0+1").await;
    let chart = world.stored("1.0.0+1").await;
    world.stop();
    std::fs::remove_dir_all(world.leadsman.cache()).unwrap();
    // A command that finds nothing makes it for itself.
    let namespace = world.namespace.clone();
    let explain = ["explain", "values", "web", "-n", &namespace];
    let explained = world.leadsman.run(&explain).await;
    assert!(explained.stdout.contains("prod"), "{}{}", explained.stdout, explained.stderr);
    std::fs::remove_dir_all(world.leadsman.cache()).unwrap();
    world.restart();
    let archive = world.leadsman.cache().join("chart-v1/sha256").join(format!(
        "{}.tgz",
        chart["status"]["artifact"]["digest"].as_str().unwrap().trim_start_matches("sha256:")
    ));
    until("the archive is there again", SOON, async || archive.is_file()).await;
    world.server.publish_package(web_with("1.1.0", "", &more));
    let after = world.runs("1.1.0+1").await;
    // Nothing was done for the archive's sake.
    assert_eq!(after["status"]["history"][0]["version"], 2, "{after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_know_a_named_chart() {
    let mut world = World::start().await;
    world.server.publish_package(web("1.0.0", ""));
    world.run(&all("  version: \"1.x\"\n"));
    world.runs("1.0.0").await;
    let namespace = world.namespace.clone();
    let hold = ["hold", "web", "-n", &namespace, "--reason", "release freeze"];
    world.leadsman.run(&hold).await.success();
    world.server.publish_package(web("1.1.0", ""));
    world.server.publish_package(web("2.0.0", ""));
    world.stored("1.1.0").await;
    until("1.1.0 is held", SOON, async || {
        let why = world.leadsman.run(&["why", "web", "-n", &namespace]).await.stdout;
        if why.contains("1.1.0") && why.contains("release freeze") { Ok(()) } else { Err(why) }
    })
    .await;
    until("the status tells of both", SOON, async || {
        let status = world.object(RELEASES, "web").await["status"].clone();
        let tells = status["availableUpdates"] == json!({"minor": "1.1.0", "major": "2.0.0"});
        if tells { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    // Nothing is at work while it is asked what would be done.
    world.stop();
    world.leadsman.run(&["unhold", "web", "-n", &namespace]).await.success();
    let rows = world.leadsman.run(&["outdated", "-n", &namespace, "-o", "json"]).await.success();
    let rows: Vec<Value> = serde_json::from_str(&rows).unwrap();
    assert_eq!(rows[0]["minor"]["inRange"], true, "{rows:?}");
    assert_eq!(rows[0]["major"]["held"]["reason"], "1.x does not allow it", "{rows:?}");
    let plan = world.leadsman.run(&["plan", "web", "-n", &namespace]).await;
    assert!(plan.stdout.contains("example/web:1.1.0"), "{}{}", plan.stdout, plan.stderr);
    let once = world.leadsman.run(&["run", "source", "-n", &namespace, "--once"]).await;
    assert_eq!(once.code, Some(0), "{}{}", once.stdout, once.stderr);
    world.runs("1.1.0").await;
}
