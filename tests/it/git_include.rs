//! `GitRepository` objects with the files of others in them, and with submodules, on the simulated
//! API server.

use serde_json::{Value, json};

use crate::support::api::condition;
use crate::support::chart::web_files;
use crate::support::git::Git;
use crate::support::stage::Stage;
use crate::support::wait::{SOON, until};

const SOURCES: &str = "source.toolkit.fluxcd.io/v1/gitrepositories";

const SOURCE: &str = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: web, namespace: NAMESPACE}\n\
    spec:\n  interval: 1s\n  timeout: 20s\n  url: \"URL\"\n  ref: {branch: main}\n---\n";

const LIB: &str = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: lib, namespace: NAMESPACE}\n\
    spec:\n  interval: 1s\n  timeout: 20s\n  url: \"LIB\"\n  ref: {branch: main}\n---\n";

const RELEASE: &str = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: web, namespace: NAMESPACE}\n\
    spec:\n  interval: 1s\n  timeout: 6s\n  chart:\n    spec:\n      chart: charts/web\n      \
    sourceRef: {kind: GitRepository, name: web}\n";

fn run(stage: &mut Stage, git: &Git, yaml: &str) {
    stage.run(&yaml.replace("URL", &git.url()).replace("LIB", &git.url_beside("lib")));
}

/// Commits the chart `web` to `lib.git`, at `charts/web`.
fn publish(git: &Git, version: &str) -> String {
    publish_saying(git, version, "hello")
}

/// The same with what its ConfigMap says.
fn publish_saying(git: &Git, version: &str, message: &str) -> String {
    let mut files = web_files(version, "");
    let values = files.iter_mut().find(|(name, _)| name == "values.yaml").unwrap();
    values.1 = format!("replicas: 1\nmessage: {message}\n");
    let files = files.iter().map(|(name, text)| (format!("charts/web/{name}"), text.as_str()));
    let files: Vec<(String, &str)> = files.collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (&**name, *text)).collect();
    git.commit_beside("lib", &files)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_another_repository_are_put_among_its_own() {
    let Some(git) = Git::start() else { return };
    let mut stage = Stage::simulated("include", SOURCES).await;
    let first = git.commit("first", &[("README.md", "x"), ("other/a.txt", "a")]);
    let include =
        "  include:\n  - {repository: {name: lib}, fromPath: charts/web, toPath: charts/web}\n---";
    let including = SOURCE.replace("---", include);
    run(&mut stage, &git, &(including.clone() + RELEASE));
    let words = "could not get resource for include 'lib': GitRepository.source.toolkit.fluxcd.io \"lib\" not found";
    let source = stage.refuses(SOURCES, "NotFound", words).await;
    let missing = condition(&source, "IncludeUnavailable").unwrap();
    assert_eq!((&missing["status"], &missing["message"]), (&json!("True"), &json!(words)));
    // Nobody waits for half a minute when it comes.
    publish(&git, "1.0.0");
    run(&mut stage, &git, &(LIB.to_owned() + &including + RELEASE));
    let release = stage.runs("1.0.0").await;
    assert_eq!(release["status"]["history"][0]["version"], 1);
    let source = stage.stored(&format!("main@sha1:{first}")).await;
    let status = &source["status"];
    assert!(condition(&source, "IncludeUnavailable").is_none(), "{status}");
    let lib = stage.object(SOURCES, "lib").await;
    assert_eq!(status["includedArtifacts"], json!([lib["status"]["artifact"]]));
    let observed =
        json!([{"repository": {"name": "lib"}, "fromPath": "charts/web", "toPath": "charts/web"}]);
    assert_eq!(status["observedInclude"], observed);
    // What changes there changes here, though nothing moved here.
    publish(&git, "1.1.0");
    stage.runs("1.1.0").await;
    let source = stage.stored(&format!("main@sha1:{first}")).await;
    assert_ne!(source["status"]["artifact"]["digest"], status["artifact"]["digest"]);
    // Nor is anything fetched while neither moves.
    let fetches = || git.asked().iter().filter(|one| one.ends_with("fetch")).count();
    let before = fetches();
    stage.stays("it runs", |release| release["status"]["history"][0]["version"] == 2).await;
    assert_eq!(fetches(), before);
    // A process that starts anew finds the chart in its cache.
    stage.restart();
    stage.stays("it runs", |release| release["status"]["history"][0]["version"] == 2).await;
    assert_eq!(fetches(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_ran_before_has_the_files_of_then() {
    let Some(git) = Git::start() else { return };
    let mut stage = Stage::simulated("include", SOURCES).await;
    let first = git.commit("first", &[("README.md", "x")]);
    publish_saying(&git, "1.0.0", "early");
    let include =
        "  include:\n  - {repository: {name: lib}, fromPath: charts/web, toPath: charts/web}\n---";
    let each = RELEASE
        .replace("chart: charts/web\n", "chart: charts/web\n      reconcileStrategy: Revision\n");
    run(&mut stage, &git, &(LIB.to_owned() + &SOURCE.replace("---", include) + &each));
    let version = |commit: &str| format!("1.0.0+{}", &commit[..12]);
    stage.runs(&version(&first)).await;
    stage.says("early").await;
    // The version tells of its own commit: it stays what it was while others change.
    let before = stage.source().await["status"]["artifact"]["digest"].clone();
    publish_saying(&git, "1.0.0", "late");
    until("it is another artifact", SOON, async || {
        let status = stage.source().await["status"].clone();
        if status["artifact"]["digest"] == before { Err(status.to_string()) } else { Ok(()) }
    })
    .await;
    stage.stays("one revision", |release| release["status"]["history"][0]["version"] == 1).await;
    stage.says("early").await;
    let second = git.commit("second", &[("README.md", "y")]);
    stage.runs(&version(&second)).await;
    stage.says("late").await;
    // Who goes back gets what ran then, also from a process that starts anew.
    stage.restart();
    let pin = json!({"metadata": {"annotations": {"leadsman.dev/pin": version(&first)}}});
    stage.change("helm.toolkit.fluxcd.io/v2/helmreleases", "web", &pin).await;
    stage.runs(&version(&first)).await;
    stage.says("early").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_included_is_said() {
    let Some(git) = Git::start() else { return };
    let mut stage = Stage::simulated("include", SOURCES).await;
    git.commit("first", &[("README.md", "x"), ("other/a.txt", "a")]);
    git.commit_beside("lib", &[("lib.txt", "lib")]);
    run(&mut stage, &git, &(LIB.to_owned() + SOURCE));
    until("both are stored", SOON, async || {
        let (web, lib) = (stage.source().await, stage.object(SOURCES, "lib").await);
        let are = [&web, &lib].iter().all(|one| one["status"]["artifact"].is_object());
        if are { Ok(()) } else { Err(json!([web["status"], lib["status"]]).to_string()) }
    })
    .await;
    let include = |from: &str, to: &str| json!({"spec": {"include": [{"repository": {"name": "lib"}, "fromPath": from, "toPath": to}]}});
    let rows = [
        (
            include("", "other"),
            "CopyFailure",
            "failed to copy 'lib' include from  to other: `other` stands there already",
        ),
        (include("", "README.md/x"), "CopyFailure", "`README.md` stands there already"),
        (include("", "../.."), "CopyFailure", "`/` stands there already"),
        (
            include("none", "x"),
            "CopyFailure",
            "failed to copy 'lib' include from none to x: there is nothing at `none`",
        ),
    ];
    for (change, reason, words) in rows {
        stage.change(SOURCES, "web", &change).await;
        let source = stage.refuses(SOURCES, reason, words).await;
        let failed = condition(&source, "StorageOperationFailed").unwrap();
        assert_eq!(failed["reason"], reason);
        assert!(source["status"]["artifact"].is_object(), "what was made before stays");
    }
    // A file takes the place of a file.
    stage.change(SOURCES, "web", &include("lib.txt", "other/a.txt")).await;
    until("it is included", SOON, async || {
        let source = stage.source().await;
        let ready = condition(&source, "Ready").is_some_and(|c| c["status"] == "True");
        let is_in = source["status"]["includedArtifacts"].is_array();
        if ready && is_in { Ok(()) } else { Err(source["status"].to_string()) }
    })
    .await;
    // Two that include each other would change each other for ever.
    let back = json!({"spec": {"include": [{"repository": {"name": "web"}, "toPath": "x"}]}});
    stage.change(SOURCES, "lib", &back).await;
    let words = "repositories include each other: ";
    until("the circle is refused", SOON, async || {
        let lib = stage.object(SOURCES, "lib").await;
        let ready = condition(&lib, "Ready").cloned().unwrap_or_default();
        let said = ready["message"].as_str().is_some_and(|text| text.starts_with(words));
        let good = ready["reason"] == "IncludeCycle" && said;
        if good { Ok(()) } else { Err(lib["status"].to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn submodules_are_files_of_the_source_and_count_as_such() {
    let Some(git) = Git::start() else { return };
    let mut stage = Stage::simulated("submodules", SOURCES).await;
    git.commit("first", &[("README.md", "x")]);
    let lib = publish(&git, "1.0.0");
    git.submodules("web", &[("all", "../lib.git", &lib)]);
    let with = SOURCE.replace("---", "  recurseSubmodules: true\n---");
    let release = RELEASE.replace("charts/web", "all/charts/web");
    run(&mut stage, &git, &(SOURCE.to_owned() + &release));
    stage.refuses("helm.toolkit.fluxcd.io/v2/helmreleases", "SourceNotReady", "nothing at").await;
    let without = stage.source().await["status"].clone();
    assert_eq!(without["observedRecurseSubmodules"], Value::Null);
    run(&mut stage, &git, &(with.clone() + &release));
    stage.runs("1.0.0").await;
    let source = stage.source().await;
    assert_eq!(source["status"]["observedRecurseSubmodules"], true);
    let both = [&source["status"]["artifact"], &without["artifact"]];
    assert_eq!(both[0]["revision"], both[1]["revision"]);
    assert_ne!(both[0]["digest"], both[1]["digest"]);
    // Bounds are of all of them together.
    let count = web_files("1.0.0", "").len() + 1;
    let limit = format!("entries={}", count - 1);
    stage.stop();
    let next = publish(&git, "1.1.0");
    git.submodules("web", &[("all", "../lib.git", &next)]);
    stage.restart_with(&["--limit", &limit]);
    stage.refuses(SOURCES, "GitOperationFailed", "(--limit entries=VALUE raises it)").await;
    stage.restart_with(&["--limit", &format!("entries={count}")]);
    stage.runs("1.1.0").await;
}
