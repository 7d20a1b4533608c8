//! Releases whose charts are in Git, on the simulated API server and on a real one.

use serde_json::{Value, json};

use crate::support::api::condition;
use crate::support::chart::web_files;
use crate::support::git::Git;
use crate::support::pack::Package;
use crate::support::repository::Repository;
use crate::support::stage::{RELEASES, Served, Stage};
use crate::support::wait::{SOON, until};

/// A Git server, and releases under `leadsman run`.
type World = Served<Git>;

const SOURCES: &str = "source.toolkit.fluxcd.io/v1/gitrepositories";

impl World {
    /// On the simulated API server.
    async fn start() -> Option<Self> {
        let server = Git::start()?;
        Some(Self { stage: Stage::simulated("git", SOURCES).await, server })
    }

    /// On a real one.
    async fn real() -> Option<Self> {
        let stage = Stage::real("git", SOURCES).await?;
        Some(Self { stage, server: Git::start()? })
    }

    /// Commits the chart `web` at `charts/web`, with further files.
    fn web(&self, version: &str, fate: &str, more: &[(&str, &str)]) -> String {
        let files = web_files(version, fate);
        let files = files.iter().map(|(name, text)| (format!("charts/web/{name}"), text.as_str()));
        let files: Vec<(String, &str)> = files.collect();
        let files = files.iter().map(|(name, text)| (name.as_str(), *text));
        let files: Vec<(&str, &str)> = files.chain(more.iter().copied()).collect();
        self.server.commit(&format!("web {version}"), &files)
    }

    /// Runs `leadsman` with these objects.
    fn run(&mut self, yaml: &str) {
        let yaml = yaml.replace("URL", &self.server.url());
        self.stage.run(&yaml);
    }
}

const SOURCE: &str = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: web, namespace: NAMESPACE}\n\
    spec: {interval: 1s, timeout: 20s, url: \"URL\", ref: {branch: main}}\n---\n";

const RELEASE: &str = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: web, namespace: NAMESPACE}\n\
    spec:\n  interval: 1s\n  timeout: 6s\n  chart:\n    spec:\n      chart: charts/web\n      \
    sourceRef: {kind: GitRepository, name: web}\n";

fn strategy(release: &str, strategy: &str) -> String {
    release.replace(
        "chart: charts/web\n",
        &format!("chart: charts/web\n      reconcileStrategy: {strategy}\n"),
    )
}

fn both() -> String {
    SOURCE.to_owned() + RELEASE
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_is_followed_on_a_real_server() {
    let Some(mut world) = World::real().await else { return };
    let first = world.web("1.0.0", "", &[]);
    world.run(&both());
    let release = world.runs("1.0.0").await;
    assert_eq!(release["status"]["lastAttemptedRevision"], "1.0.0");
    let source = world.stored(&format!("main@sha1:{first}")).await;
    let status = &source["status"];
    let (name, url) = (&world.namespace, world.server.url());
    assert_eq!(
        status["artifact"]["path"],
        json!(format!("gitrepository/{name}/web/{first}.tar.gz"))
    );
    assert_eq!(status["artifact"]["url"], json!(format!("{url}@{first}")));
    assert!(status["artifact"]["digest"].as_str().unwrap().starts_with("sha256:"), "{status}");
    let message = format!("stored artifact for revision 'main@sha1:{first}'");
    for kind in ["Ready", "ArtifactInStorage"] {
        let found = condition(&source, kind).unwrap();
        assert_eq!((&found["reason"], &found["message"]), (&json!("Succeeded"), &json!(message)));
    }
    let event = world.event("NewArtifact", "stored artifact for commit 'web 1.0.0'").await;
    let annotations = &event["metadata"]["annotations"];
    let revision = format!("main@sha1:{first}");
    assert_eq!(annotations["source.toolkit.fluxcd.io/revision"], json!(revision));
    assert_eq!(annotations["source.toolkit.fluxcd.io/digest"], status["artifact"]["digest"]);
    world.web("1.1.0", "", &[]);
    world.runs("1.1.0").await;
    // One that never becomes ready is rolled back, and not tried again.
    world.web("1.2.0", "unready", &[]);
    until("1.2.0 is rolled back", SOON, async || {
        let release = world.release().await;
        let held = condition(&release, "VersionHeld").is_some_and(|c| c["reason"] == "Quarantine");
        let newest = &release["status"]["history"][0];
        let back = held && newest["action"] == "rollback";
        if back { Ok(()) } else { Err(release["status"].to_string()) }
    })
    .await;
    let back = world.runs("1.1.0").await;
    let revision = back["status"]["history"][0]["version"].clone();
    world
        .stays("1.1.0 stays", |release| release["status"]["history"][0]["version"] == revision)
        .await;
    // A commit that mends it is taken, one that leads back as well.
    world.web("1.2.1", "", &[]);
    world.runs("1.2.1").await;
    world.web("1.0.0", "", &[]);
    world.runs("1.0.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_but_what_a_branch_means() {
    let Some(mut world) = World::start().await else { return };
    world.web("1.0.0", "", &[]);
    world.run(&both());
    world.runs("1.0.0").await;
    let asked = world.server.asked();
    let fetches = |asked: &[String]| asked.iter().filter(|one| one.ends_with("fetch")).count();
    assert_eq!(fetches(&asked), 1, "{asked:?}");
    let more = async |count: usize| {
        let before = world.server.asked().len();
        until("more questions", SOON, async || {
            let asked = world.server.asked();
            if asked.len() >= before + count { Ok(()) } else { Err(format!("{asked:?}")) }
        })
        .await;
    };
    let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
    // What was installed is still written down.
    until("nothing is written any more", SOON, async || {
        let release = world.release().await;
        more(1).await;
        version(&release) == version(&world.release().await)
    })
    .await;
    let (source, release) = (world.object(SOURCES, "web").await, world.release().await);
    let before = world.server.asked().len();
    more(3).await;
    let more = world.server.asked()[before..].to_vec();
    assert!(more.iter().all(|one| one == "POST /web.git/git-upload-pack ls-refs"), "{more:?}");
    // And nothing was written.
    assert_eq!(version(&world.object(SOURCES, "web").await), version(&source));
    assert_eq!(version(&world.release().await), version(&release));
    // A process that starts anew finds all in the cache.
    world.restart();
    let before = world.server.asked().len();
    until("a question", SOON, async || {
        let asked = world.server.asked();
        if asked.len() > before + 2 { Ok(()) } else { Err(format!("{asked:?}")) }
    })
    .await;
    assert_eq!(fetches(&world.server.asked()), 1);
    assert_eq!(world.release().await["status"]["history"][0]["version"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_stops_nothing_that_runs() {
    let Some(mut world) = World::start().await else { return };
    let first = world.web("1.0.0", "", &[]);
    world.run(&both());
    world.runs("1.0.0").await;
    world.server.misbehave(Some(500));
    world.refuses(SOURCES, "GitOperationFailed", "the server is at fault").await;
    world.outlasts("the server is at fault").await;
    world.server.misbehave(None);
    world.runs("1.0.0").await;
    // No commit is read for it: the revision stands for its message.
    let told = format!("stored artifact for commit 'main@sha1:{first}'");
    world.has_event("Succeeded", &told).await;
    world.web("1.1.0", "", &[]);
    world.runs("1.1.0").await;
}

/// A small answer may hold much.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_taken_within_limits() {
    let Some(mut world) = World::start().await else { return };
    let first = world.web("1.0.0", "", &[]);
    world.run(&both());
    world.stored(&format!("main@sha1:{first}")).await;
    world.server.commit("large", &[("zeros", &"\0".repeat(1 << 20))]);
    world.restart_with(&["--limit", "unpacked=100000"]);
    let words = "(--limit unpacked=VALUE raises it)";
    let source = world.refuses(SOURCES, "GitOperationFailed", words).await;
    assert_eq!(source["status"]["artifact"]["revision"], json!(format!("main@sha1:{first}")));
    let next = world.server.commit("small", &[("zeros", "0")]);
    world.stored(&format!("main@sha1:{next}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_or_each_commit_counts() {
    let Some(mut world) = World::start().await else { return };
    world.web("1.0.0", "", &[]);
    world.run(&both());
    world.runs("1.0.0").await;
    // Another text under the same version is not rolled out, not even with other values.
    let values = |text: &str| format!("replicas: 1\nmessage: {text}\n");
    let second = world.web("1.0.0", "", &[("charts/web/values.yaml", &values("later"))]);
    world.stored(&format!("main@sha1:{second}")).await;
    world.stays("one revision", |release| release["status"]["history"][0]["version"] == 1).await;
    world.change(RELEASES, "web", &json!({"spec": {"values": {"replicas": 2}}})).await;
    until("a second revision", SOON, async || {
        let release = world.release().await;
        let newest = &release["status"]["history"][0];
        let done = newest["version"] == 2 && newest["status"] == "deployed";
        if done { Ok(()) } else { Err(release["status"].to_string()) }
    })
    .await;
    world.says("hello").await;
    // Where each commit counts, it is.
    let each = json!({"spec": {"chart": {"spec": {"reconcileStrategy": "Revision"}}}});
    world.change(RELEASES, "web", &each).await;
    let version = |commit: &str| format!("1.0.0+{}", &commit[..12]);
    world.runs(&version(&second)).await;
    world.says("later").await;
    let third = world.web("1.0.0", "unready", &[]);
    until("the third is rolled back", SOON, async || {
        let release = world.release().await;
        let held = condition(&release, "VersionHeld").cloned().unwrap_or_default();
        let said = held["message"].as_str().is_some_and(|text| text.starts_with(&version(&third)));
        if said { Ok(()) } else { Err(release["status"].to_string()) }
    })
    .await;
    world.runs(&version(&second)).await;
    let fourth = world.web("1.0.0", "", &[("charts/web/values.yaml", &values("fourth"))]);
    world.runs(&version(&fourth)).await;
    // A person may pin what ran before.
    let pin = json!({"metadata": {"annotations": {"leadsman.dev/pin": version(&second)}}});
    world.change(RELEASES, "web", &pin).await;
    world.runs(&version(&second)).await;
    world.says("later").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_ranges_names_and_hashes_are_followed() {
    let Some(mut world) = World::start().await else { return };
    let first = world.web("1.0.0", "", &[]);
    world.server.git(&["tag", "-a", "-m", "x", "v1.0.0"]);
    let second = world.web("1.1.0", "", &[]);
    world.server.git(&["tag", "v1.1.0"]);
    world.server.git(&["update-ref", "refs/pull/7/head", &first]);
    world.run(&both().replace("{branch: main}", "{semver: 1.0.x}"));
    world.runs("1.0.0").await;
    world.stored(&format!("v1.0.0@sha1:{first}")).await;
    let none = json!({"branch": null, "tag": null, "semver": null, "name": null, "commit": null});
    let rows = [
        (json!({"semver": ">=1.0.0"}), format!("v1.1.0@sha1:{second}"), "1.1.0"),
        (json!({"tag": "v1.0.0"}), format!("v1.0.0@sha1:{first}"), "1.0.0"),
        (json!({"commit": second, "branch": "main"}), format!("main@sha1:{second}"), "1.1.0"),
        (json!({"name": "refs/pull/7/head"}), format!("refs/pull/7/head@sha1:{first}"), "1.0.0"),
        (json!({"commit": second}), format!("sha1:{second}"), "1.1.0"),
    ];
    for (reference, revision, version) in rows {
        let mut wanted = none.clone();
        wanted.as_object_mut().unwrap().extend(reference.as_object().unwrap().clone());
        world.change(SOURCES, "web", &json!({"spec": {"ref": wanted}})).await;
        world.stored(&revision).await;
        world.runs(version).await;
    }
    // A commit costs nothing once it is known.
    let before = world.server.asked().len();
    world
        .stays("it runs", |release| release["status"]["history"][0]["chartVersion"] == "1.1.0")
        .await;
    assert_eq!(world.server.asked().len(), before);
    // A branch that is moved back by force is followed.
    let branch = json!({"spec": {"ref": {"branch": "main", "commit": null}}});
    world.change(SOURCES, "web", &branch).await;
    world.stored(&format!("main@sha1:{second}")).await;
    world.server.git(&["reset", "-q", "--hard", &first]);
    world.stored(&format!("main@sha1:{first}")).await;
    world.runs("1.0.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_source_is_said() {
    let Some(mut world) = World::start().await else { return };
    world.run(&both());
    world.refuses(SOURCES, "EmptyGitRepository", "git repository is empty").await;
    world.refuses(RELEASES, "SourceNotReady", "GitRepository '").await;
    let first = world.web("1.0.0", "", &[("README.md", "x")]);
    world.runs("1.0.0").await;
    let url = world.server.url();
    let rows = [
        (
            json!({"ref": {"branch": "none"}}),
            "GitOperationFailed",
            format!(
                "failed to checkout and determine revision: unable to clone '{url}': couldn't find remote ref \"refs/heads/none\""
            ),
        ),
        (
            json!({"ref": {"branch": null, "semver": "9.x"}}),
            "GitOperationFailed",
            format!("unable to clone '{url}': no match found for semver: 9.x"),
        ),
        (
            json!({"ref": {"semver": null, "commit": "abc"}}),
            "GitOperationFailed",
            "`abc` is not the hash of a commit".to_owned(),
        ),
        (
            json!({"ref": {"branch": "main", "commit": null}, "sparseCheckout": ["none"]}),
            "GitOperationFailed",
            "failed to sparse checkout directories".to_owned(),
        ),
        (
            json!({"sparseCheckout": null, "verify": {"secretRef": {"name": "x"}}}),
            "VerificationError",
            "public keys secret error: secrets \"x\" not found".to_owned(),
        ),
        (
            json!({"verify": null, "secretRef": {"name": "nobody"}}),
            "AuthenticationFailed",
            "secrets \"nobody\" not found".to_owned(),
        ),
    ];
    for (change, reason, words) in rows {
        world.change(SOURCES, "web", &json!({"spec": change})).await;
        let source = world.refuses(SOURCES, reason, &words).await;
        // What was fetched stays.
        assert_eq!(source["status"]["artifact"]["revision"], json!(format!("main@sha1:{first}")));
    }
    world.server.require("me", "s3cret");
    let secrets = format!("/api/v1/namespaces/{}/secrets", world.namespace);
    world.secret("login", &json!({"username": "me", "password": "wrong"})).await;
    world.change(SOURCES, "web", &json!({"spec": {"secretRef": {"name": "login"}}})).await;
    world.refuses(SOURCES, "GitOperationFailed", "401 Unauthorized").await;
    let right = json!({"stringData": {"password": "s3cret"}});
    world.api.merge(&format!("{secrets}/login"), &right).await;
    world.stored(&format!("main@sha1:{first}")).await;
    let source = world.object(SOURCES, "web").await;
    assert!(condition(&source, "FetchFailed").is_none(), "{source}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_no_chart_waits_for_another_commit() {
    let Some(mut world) = World::start().await else { return };
    world.server.commit("first", &[("README.md", "x")]);
    world.run(&both());
    let words = "invalid chart reference: there is nothing at 'charts/web'";
    let release = world.refuses(RELEASES, "SourceNotReady", words).await;
    assert!(condition(&release, "Stalled").is_some_and(|c| c["status"] == "True"), "{release}");
    world.server.commit("second", &[("charts/web/values.yaml", "a: 1\n")]);
    world
        .refuses(RELEASES, "SourceNotReady", "chart at 'charts/web': there is no Chart.yaml")
        .await;
    world.web("1.0.0", "", &[]);
    let release = world.runs("1.0.0").await;
    assert!(condition(&release, "Stalled").is_none(), "{release}");
    let away = json!({"spec": {"chart": {"spec": {"chart": "../web"}}}});
    world.change(RELEASES, "web", &away).await;
    world.refuses(RELEASES, "SourceNotReady", "path '../web' leads out of the source").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dependencies_of_a_folder_are_gotten() {
    let Some(mut world) = World::start().await else { return };
    let repository = Repository::start();
    repository.require("you", "pw");
    let map = |name: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: {{{{ .Values.a }}}}}}\n"
        )
    };
    let far = [
        ("Chart.yaml", "apiVersion: v2\nname: far\nversion: 3.0.0\n".to_owned()),
        ("values.yaml", "a: far\n".to_owned()),
        ("templates/a.yaml", map("far")),
    ];
    repository.publish_package(Package::files(far));
    let remote = repository.url();
    let chart = format!(
        "apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies:\n\
         - {{name: common, version: 1.x, repository: \"file://../common\"}}\n\
         - {{name: common, alias: again, version: 1.x, repository: \"file://../common\"}}\n\
         - {{name: far, version: 3.x, repository: \"{remote}/\"}}\n"
    );
    // A chart is called by its alias.
    let (common, left_out) = (map("{{ .Chart.Name }}"), map("left-out"));
    let more = [
        ("charts/web/Chart.yaml", chart.as_str()),
        ("charts/common/Chart.yaml", "apiVersion: v2\nname: common\nversion: 1.2.0\n"),
        ("charts/common/values.yaml", "a: b\n"),
        ("charts/common/templates/a.yaml", common.as_str()),
        ("charts/web/.helmignore", "left-out.yaml\n"),
        ("charts/web/templates/left-out.yaml", left_out.as_str()),
    ];
    world.web("1.0.0", "", &more);
    let lender = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: login, namespace: NAMESPACE}}\n\
         stringData: {{username: you, password: pw}}\n---\n\
         apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: {{name: far, namespace: NAMESPACE}}\n\
         spec: {{url: \"{remote}\", secretRef: {{name: login}}}}\n---\n"
    );
    world.run(&both());
    world.refuses(RELEASES, "SourceNotReady", "dependency build error: ").await;
    world.run(&(lender + &both()));
    world.runs("1.0.0").await;
    let path = |name: &str| format!("/api/v1/namespaces/{}/configmaps/{name}", world.namespace);
    for (name, text) in [("common", "b"), ("again", "b"), ("far", "far")] {
        let found = world.api.get(&path(name)).await.unwrap_or_default();
        assert_eq!(found["data"]["a"], text, "{name}");
    }
    assert_eq!(world.api.get(&path("left-out")).await, None);
    // A folder outside of the repository is none.
    let outside = chart.replace("../common", "../../../../etc").replace("1.0.0", "1.1.0");
    world.web("1.1.0", "", &[("charts/web/Chart.yaml", &outside)]);
    world.refuses(RELEASES, "SourceNotReady", "leads out of the source").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packed_chart_is_taken_as_it_is() {
    let Some(mut world) = World::start().await else { return };
    let package = crate::support::chart::web("1.0.0", "");
    std::fs::create_dir_all(world.server.folder().join("work/packed")).unwrap();
    std::fs::write(world.server.folder().join("work/packed/web.tgz"), package.bytes).unwrap();
    let commit = world.server.commit("packed", &[]);
    world.run(&strategy(&both(), "Revision").replace("charts/web", "./packed/web.tgz"));
    world.runs(&format!("1.0.0+{}", &commit[..12])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_files_become_those_of_the_chart() {
    let Some(mut world) = World::start().await else { return };
    let more = [("prod/values.yaml", "message: prod\n"), ("prod/more.yaml", "replicas: 2\n")];
    world.web("1.0.0", "", &more);
    let files = "reconcileStrategy: ChartVersion\n      valuesFiles: [charts/web/values.yaml, prod/values.yaml]";
    let release =
        RELEASE.replace("chart: charts/web\n", &format!("chart: charts/web\n      {files}\n"));
    world.run(&(SOURCE.to_owned() + &release));
    world.runs("1.0.0+1").await;
    let config = format!("/api/v1/namespaces/{}/configmaps/web", world.namespace);
    let found = world.api.get(&config).await.unwrap_or_default();
    assert_eq!(
        (&found["data"]["message"], &found["data"]["version"]),
        (&json!("prod"), &json!("1.0.0+1"))
    );
    let files = json!(["charts/web/values.yaml", "prod/more.yaml", "none.yaml"]);
    world
        .change(RELEASES, "web", &json!({"spec": {"chart": {"spec": {"valuesFiles": files}}}}))
        .await;
    let words = "values files merge error: no values file found at path 'none.yaml'";
    world.refuses(RELEASES, "SourceNotReady", words).await;
    let ignore = json!({"spec": {"chart": {"spec": {"ignoreMissingValuesFiles": true}}}});
    world.change(RELEASES, "web", &ignore).await;
    let release = world.runs("1.0.0+").await;
    until("the other values", SOON, async || {
        let found = world.api.get(&config).await.unwrap_or_default();
        let good = found["data"]["message"] == "hello";
        if good { Ok(()) } else { Err(json!([found, release["status"]]).to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_know_a_chart_in_git() {
    let Some(mut world) = World::start().await else { return };
    world.web("1.0.0", "", &[]);
    world.run(&both());
    world.runs("1.0.0").await;
    let namespace = world.namespace.clone();
    let say = async |words: &[&str]| {
        let output = world.leadsman.run(&[words, &["web", "-n", &namespace]].concat()).await;
        assert!(
            matches!(output.code, Some(0 | 3)),
            "{words:?}: {}{}",
            output.stdout,
            output.stderr
        );
        output.stdout
    };
    say(&["hold", "--reason", "release freeze"]).await;
    let commit = world.web("1.1.0", "", &[]);
    world.stored(&format!("main@sha1:{commit}")).await;
    until("1.1.0 is held", SOON, async || {
        let why = say(&["why"]).await;
        if why.contains("1.1.0") && why.contains("release freeze") { Ok(()) } else { Err(why) }
    })
    .await;
    let plan = say(&["plan"]).await;
    assert!(!plan.contains("1.1.0"), "{plan}");
    // Nothing is at work while it is asked what would be done.
    world.stop();
    let unhold = world.leadsman.run(&["unhold", "web", "-n", &namespace]).await;
    assert_eq!(unhold.code, Some(0), "{}", unhold.stderr);
    let output = world.leadsman.run(&["plan", "web", "-n", &namespace]).await;
    assert!(output.stdout.contains("example/web:1.1.0"), "{}{}", output.stdout, output.stderr);
    let explained = world.leadsman.run(&["explain", "values", "web", "-n", &namespace]).await;
    assert!(explained.stdout.contains("message"), "{}{}", explained.stdout, explained.stderr);
    let once = world.leadsman.run(&["run", "source", "-n", &namespace, "--once"]).await;
    assert_eq!(once.code, Some(0), "{}{}", once.stdout, once.stderr);
    world.runs("1.1.0").await;
}
