//! Releases whose charts are in Git and must be signed.

use serde_json::{Value, json};

use crate::support::api::condition;
use crate::support::chart::web_files;
use crate::support::git::Git;
use crate::support::sign::Signers;
use crate::support::stage::{RELEASES, Stage};
use crate::support::wait::{SOON, until};

const SOURCES: &str = "source.toolkit.fluxcd.io/v1/gitrepositories";

const OBJECTS: &str = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: web, namespace: NAMESPACE}\n\
    spec:\n  interval: 1s\n  url: \"URL\"\n  ref: {branch: main}\n  verify: {mode: HEAD, secretRef: {name: people}}\n---\n\
    apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: web, namespace: NAMESPACE}\n\
    spec:\n  interval: 1s\n  timeout: 6s\n  chart:\n    spec:\n      chart: charts/web\n      \
    sourceRef: {kind: GitRepository, name: web}\n";

fn web(git: &Git, version: &str) -> String {
    let files = web_files(version, "");
    let files: Vec<(String, &str)> =
        files.iter().map(|(name, text)| (format!("charts/web/{name}"), text.as_str())).collect();
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    git.commit(&format!("web {version}"), &files)
}

async fn verified(stage: &Stage, revision: &str, words: &str) -> Value {
    until(&format!("{revision} is verified"), SOON, async || {
        let source = stage.object(SOURCES, "web").await;
        let said = condition(&source, "SourceVerified").cloned().unwrap_or_default();
        let good = said["status"] == "True"
            && said["message"].as_str().is_some_and(|text| text.contains(words))
            && source["status"]["artifact"]["revision"] == revision
            && condition(&source, "Ready").is_some_and(|ready| ready["status"] == "True");
        if good { Ok(source) } else { Err(source["status"].to_string()) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_signed_runs() {
    let (Some(git), Some(signers)) = (Git::start(), Signers::new()) else { return };
    let mut stage = Stage::simulated("signed", SOURCES).await;
    signers.sign(&git, None);
    web(&git, "0.9.0");
    let secrets = format!("/api/v1/namespaces/{}/secrets", stage.namespace);
    stage.secret("people", &json!({"ann.asc": signers.key("ann")})).await;
    stage.run(&OBJECTS.replace("URL", &git.url()));
    // Of what nobody signed nothing is stored or used.
    let refused = "unsupported signature type: empty";
    let source = stage.refuses(SOURCES, "InvalidCommitSignature", refused).await;
    assert!(source["status"]["artifact"].is_null(), "{source}");
    let none = stage.refuses(RELEASES, "SourceNotReady", "").await;
    assert!(none["status"]["history"].is_null(), "{none}");
    let cache = stage.leadsman.cache();
    assert!(!holds_files(&cache), "{}", cache.display());
    signers.sign(&git, Some("ann"));
    let first = web(&git, "1.0.0");
    stage.runs("1.0.0").await;
    let words = format!("verified signature of\n\t- commit '{first}' with key '");
    let source = verified(&stage, &format!("main@sha1:{first}"), &words).await;
    assert_eq!(source["status"]["sourceVerificationMode"], "HEAD");
    // Somebody else's commit is not taken, what runs goes on.
    signers.sign(&git, Some("bob"));
    let second = web(&git, "1.1.0");
    let words = format!("signature verification of commit '{second}' failed");
    let source = stage.refuses(SOURCES, "InvalidCommitSignature", &words).await;
    assert_eq!(source["status"]["artifact"]["revision"], format!("main@sha1:{first}"));
    stage
        .stays("1.0.0 runs", |release| release["status"]["history"][0]["chartVersion"] == "1.0.0")
        .await;
    // The same Secret, with one key more in the same entry.
    let keys = signers.key("ann") + &signers.key("bob");
    let both = json!({"stringData": {"ann.asc": keys}});
    stage.api.merge(&format!("{secrets}/people"), &both).await;
    verified(&stage, &format!("main@sha1:{second}"), &second).await;
    stage.runs("1.1.0").await;
    // Who is trusted no more is not trusted for what there is either.
    let ann = json!({"stringData": {"ann.asc": signers.key("ann")}});
    stage.api.merge(&format!("{secrets}/people"), &ann).await;
    stage.refuses(SOURCES, "InvalidCommitSignature", &words).await;
    stage.refuses(RELEASES, "SourceNotReady", &words).await;
    // Where nothing is to be signed any more, nothing is said of it.
    stage.change(SOURCES, "web", &json!({"spec": {"verify": null}})).await;
    let source = stage.stored(&format!("main@sha1:{second}")).await;
    assert!(condition(&source, "SourceVerified").is_none(), "{source}");
    assert!(source["status"]["sourceVerificationMode"].is_null(), "{source}");
    stage.runs("1.1.0").await;
}

/// A tag that was signed for one commit does not vouch for another name of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_signed_tag_vouches_for_its_own_name() {
    let (Some(git), Some(signers)) = (Git::start(), Signers::new()) else { return };
    let mut stage = Stage::simulated("signed", SOURCES).await;
    signers.sign(&git, Some("eve"));
    let first = web(&git, "1.0.0");
    git.git(&["tag", "-s", "-m", "x", "v1.0.0"]);
    git.git(&["update-ref", "refs/tags/v2.0.0", "refs/tags/v1.0.0"]);
    stage.secret("people", &json!({"eve.sshpub": signers.key("eve")})).await;
    let objects = OBJECTS.replace("URL", &git.url()).replace("mode: HEAD", "mode: Tag");
    stage.run(&objects.replace("{branch: main}", "{semver: 1.x}"));
    let source = verified(&stage, &format!("v1.0.0@sha1:{first}"), "- tag 'v1.0.0@").await;
    assert_eq!(source["status"]["sourceVerificationMode"], "Tag");
    stage.runs("1.0.0").await;
    // Nor for a branch that is called as it is.
    git.git(&["branch", "v1.0.0", &first]);
    let branch = json!({"spec": {"ref": {"branch": "v1.0.0", "semver": null}}});
    stage.change(SOURCES, "web", &branch).await;
    let words = "cannot verify tag object's signature if a tag reference is not specified";
    stage.refuses(SOURCES, "InvalidVerificationMode", words).await;
    let later = json!({"spec": {"ref": {"branch": null, "semver": "2.x"}}});
    stage.change(SOURCES, "web", &later).await;
    let words = "the tag 'v2.0.0' was made as 'v1.0.0'";
    stage.refuses(SOURCES, "InvalidTagSignature", words).await;
    // What is not there yet is refused by name.
    stage.change(SOURCES, "web", &json!({"spec": {"provider": "github"}})).await;
    stage.refuses(SOURCES, "Unsupported", "spec.provider").await;
}

fn holds_files(folder: &std::path::Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        let path = entry.path();
        path.extension().is_some_and(|extension| extension == "tgz") || holds_files(&path)
    })
}
