//! What Flux's source-controller makes of repositories with submodules, and with the files of
//! others, and Leadsman has to make, too: conditions, status, and what is in the artifact. The
//! repositories are Git's own; `tests/golden/flux-git-tree.json` is what Flux said, row by row.
//!
//! `tests/parts/build flux`, then `LEADSMAN_RECORD=all cargo test --test it flux::git_tree -- --ignored`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::record::controllers;
use super::rows;
use crate::support::api::{Api, condition};
use crate::support::control_plane::ControlPlane;
use crate::support::git::Git;
use crate::support::pack::entries;
use crate::support::wait::{SOON, until};
use crate::support::{parts, root};

const SOURCES: &str = "source.toolkit.fluxcd.io/v1/gitrepositories";

/// What is wanted of `web.git` beside its address: a name, and fields of the spec.
fn rows() -> Vec<(&'static str, Value)> {
    let include = |from: &str, to: &str| {
        let mut one = json!({"repository": {"name": "lib"}});
        for (key, path) in [("fromPath", from), ("toPath", to)] {
            if !path.is_empty() {
                one[key] = json!(path);
            }
        }
        one
    };
    let of = |name: &str| json!({"repository": {"name": name}});
    vec![
        ("plain", json!({})),
        ("submodules", json!({"recurseSubmodules": true})),
        ("submodules-ignored", json!({"recurseSubmodules": true, "ignore": "lib.txt\n"})),
        ("submodule-of-a-tag", json!({"recurseSubmodules": true, "ref": {"tag": "v1"}})),
        ("included", json!({"include": [include("", "")]})),
        ("included-folder", json!({"include": [include("deploy/", "./base/app")]})),
        ("included-file", json!({"include": [include("lib.txt", "a.txt")]})),
        ("included-inside", json!({"include": [include("", "x"), include("deploy", "x/y")]})),
        ("included-and-ignored", json!({"include": [include("", "")], "ignore": "/lib/deploy\n"})),
        ("included-outside", json!({"include": [include("../../deploy", "../../up")]})),
        ("included-onto-a-folder", json!({"include": [include("deploy", "folder")]})),
        ("included-below-a-file", json!({"include": [include("deploy", "a.txt/x")]})),
        ("included-twice", json!({"include": [include("", "x"), include("", "x")]})),
        ("included-onto-all", json!({"include": [include("", ".")]})),
        ("included-nothing", json!({"include": [include("none", "x")]})),
        ("included-nobody", json!({"include": [of("nobody")]})),
        ("included-of-nothing", json!({"include": [of("broken")]})),
    ]
}

fn recording() -> PathBuf {
    root().join("tests/golden/flux-git-tree.json")
}

/// Commits `web.git` with submodules in submodules, and `lib.git`.
fn commit(git: &Git) {
    let deep = git.commit_beside("deep", &[("deep.txt", "deep"), ("logo.png", "png")]);
    git.commit_beside("sub", &[("sub.txt", "old"), ("lib.txt", "sub")]);
    git.submodules("sub", &[("inner", "../deep.git", &deep)]);
    let old = git.git_beside("sub", &["rev-parse", "HEAD"]);
    git.commit("first", &[("a.txt", "a"), ("folder/b.txt", "b")]);
    git.submodules("web", &[("libs/sub", "../sub.git", &old)]);
    git.git(&["tag", "v1"]);
    git.commit_beside("sub", &[("sub.txt", "new"), ("more.txt", "more")]);
    let new = git.git_beside("sub", &["rev-parse", "HEAD"]);
    git.submodules("web", &[("libs/sub", "../sub.git", &new)]);
    let lib = [("lib.txt", "lib"), ("deploy/app.yaml", "app"), ("deploy/more/c.txt", "c")];
    git.commit_beside("lib", &lib);
}

fn object(name: &str, url: &str, more: &Value) -> Value {
    let mut spec = json!({"interval": "1h", "url": url, "ref": {"branch": "main"}});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
        "metadata": {"name": name}, "spec": spec})
}

/// Creates a source for each row, and returns what becomes of each.
async fn play(api: &Api, namespace: &str, git: &Git) -> Map<String, Value> {
    let path = format!("/apis/source.toolkit.fluxcd.io/v1/namespaces/{namespace}/gitrepositories");
    let ended = async |name: &str| {
        until(&format!("{name} is looked at"), SOON, async || {
            let object = api.get(&format!("{path}/{name}")).await.unwrap_or_default();
            let ready = condition(&object, "Ready").cloned().unwrap_or_default();
            let is_stored = object["status"]["artifact"].is_object();
            let ended = ready["status"] == "False" || ready["status"] == "True" && is_stored;
            if ended { Ok(object) } else { Err(object["status"].to_string()) }
        })
        .await
    };
    for (name, url) in [("lib", git.url_beside("lib")), ("broken", git.url_beside("none"))] {
        api.create(&path, &object(name, &url, &json!({}))).await.unwrap();
        ended(name).await;
    }
    for (name, more) in rows() {
        api.create(&path, &object(name, &git.url(), &more)).await.unwrap();
    }
    let mut seen = Map::new();
    for (name, _) in rows() {
        let text = outcome(&ended(name).await).await.to_string().replace(namespace, "NAMESPACE");
        seen.insert(name.to_owned(), serde_json::from_str(&text).unwrap());
    }
    seen
}

/// What counts of a source. Why files cannot be put where they are to be is told by the system in
/// Flux, and hashes are the same each time.
async fn outcome(object: &Value) -> Value {
    let status = &object["status"];
    let lasting = [
        "Ready",
        "ArtifactInStorage",
        "FetchFailed",
        "IncludeUnavailable",
        "StorageOperationFailed",
        "Stalled",
    ];
    let conditions = rows::conditions(status, &lasting, |message| {
        rows::without_causes(message, "failed to copy")
    });
    let artifact = &status["artifact"];
    let mut files = json!(null);
    if let Some(url) = artifact["url"].as_str() {
        let packed = reqwest::get(url).await.unwrap().bytes().await.unwrap();
        let all = entries(&packed);
        let rows = all.iter().filter(|(name, _)| counts(&all, name));
        files = rows.map(|(name, (mode, _))| json!(format!("{mode:o} {name}"))).collect();
    }
    let included = status["includedArtifacts"]
        .as_array()
        .map(|all| all.iter().map(|one| json!([one["path"], one["revision"]])).collect::<Vec<_>>());
    json!({
        "conditions": conditions, "revision": artifact["revision"], "path": artifact["path"],
        "files": files, "includedArtifacts": included,
        "observedInclude": status["observedInclude"], "observedIgnore": status["observedIgnore"],
        "observedRecurseSubmodules": status["observedRecurseSubmodules"],
    })
}

/// Mode of folders.
const FOLDER: u32 = 0o750;

/// Whether an entry is a part of the source: Flux's client leaves a file `.git` in each submodule, and
/// folders with nothing in them where one would be (`docs/compat.md`).
fn counts(all: &BTreeMap<String, (u32, String)>, name: &str) -> bool {
    let is_file = |name: &str, mode: u32| mode != FOLDER && !name.ends_with("/.git");
    let below = format!("{name}/");
    let is_full =
        || all.iter().any(|(other, (mode, _))| other.starts_with(&below) && is_file(other, *mode));
    let mode = all[name].0;
    name == "." || is_file(name, mode) || mode == FOLDER && is_full()
}

#[tokio::test(flavor = "multi_thread")]
async fn trees_of_several_repositories_end_as_with_flux() {
    let Some(git) = Git::start() else { return };
    commit(&git);
    let stage = rows::stage("git", SOURCES).await;
    let seen = play(&stage.api, &stage.namespace, &git).await;
    rows::compare(&recording(), &seen);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes the recording that is compared with"]
async fn record() {
    let programs = parts::flux().expect("Flux's controllers");
    let cluster = ControlPlane::shared().expect("a control plane");
    let git = Git::start().expect("Git");
    commit(&git);
    let api = cluster.api().await;
    super::record::install_definitions(&api, &programs).await;
    let folder = tempfile::tempdir().unwrap();
    let _controllers = controllers(&programs, &cluster.kubeconfig(), folder.path());
    let namespace = api.create_namespace("git").await;
    let seen = play(&api, &namespace, &git).await;
    rows::write(&recording(), &seen);
}
