//! What Flux's source-controller makes of signed commits and tags, and Leadsman has to make, too:
//! conditions and status. The repository is Git's own; `tests/golden/flux-git.json` is what Flux
//! said, row by row.
//!
//! `tests/parts/build flux`, then `LEADSMAN_RECORD=all cargo test --test it flux::git -- --ignored`.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::record::controllers;
use super::rows;
use crate::support::api::{Api, condition};
use crate::support::control_plane::ControlPlane;
use crate::support::git::Git;
use crate::support::sign::Signers;
use crate::support::wait::{SOON, until};
use crate::support::{parts, root};

const SOURCES: &str = "source.toolkit.fluxcd.io/v1/gitrepositories";

/// Names of commits and tags: who signed the commit, who its tag; `-` is nobody, none no tag object.
const HISTORY: [(&str, &str, Option<&str>); 6] = [
    ("plain", "-", Some("-")),
    ("light", "ann", None),
    ("ann", "ann", Some("ann")),
    ("bob", "bob", Some("bob")),
    ("eve", "eve", Some("eve")),
    ("tag-of-ann", "-", Some("ann")),
];

/// How messages end whose rest is of a library.
const UNREADABLE: [&str; 2] = ["unable to read armored key ring", "ssh: no key found"];

/// What is wanted of it: a name, the reference, the mode, and the Secret.
fn rows() -> Vec<(&'static str, Value, &'static str, &'static str)> {
    let tag = |name: &str| json!({"tag": name});
    vec![
        ("unsigned", tag("plain"), "HEAD", "ann"),
        ("signed", tag("ann"), "HEAD", "ann"),
        ("signed-head", json!({"branch": "ann"}), "HEAD", "ann"),
        ("signed-by-hash", json!({"branch": "ann", "commit": "COMMIT"}), "HEAD", "ann"),
        ("signed-by-name", json!({"name": "refs/tags/ann"}), "TagAndHEAD", "ann"),
        ("signed-tag", tag("ann"), "Tag", "ann"),
        ("signed-both", tag("ann"), "TagAndHEAD", "ann"),
        ("signed-tag-of-unsigned", tag("tag-of-ann"), "Tag", "ann"),
        ("unsigned-of-signed-tag", tag("tag-of-ann"), "TagAndHEAD", "ann"),
        ("unsigned-tag", tag("plain"), "Tag", "ann"),
        ("light-tag", tag("light"), "Tag", "ann"),
        ("light-tag-of-signed", tag("light"), "HEAD", "ann"),
        ("branch-has-no-tag", json!({"branch": "ann"}), "Tag", "ann"),
        ("somebody-else", tag("bob"), "HEAD", "ann"),
        ("somebody-else-tagged", tag("bob"), "Tag", "ann"),
        ("one-of-two", tag("bob"), "HEAD", "both"),
        ("ssh", tag("eve"), "HEAD", "ssh"),
        ("ssh-both", tag("eve"), "TagAndHEAD", "ssh"),
        ("ssh-somebody-else", tag("eve"), "HEAD", "joe"),
        ("ssh-without-keys", tag("eve"), "HEAD", "ann"),
        ("pgp-without-keys", tag("ann"), "HEAD", "ssh"),
        ("any-name-is-pgp", tag("ann"), "HEAD", "named"),
        ("broken-key", tag("ann"), "HEAD", "broken-pgp"),
        ("broken-key-beside", tag("ann"), "HEAD", "mixed"),
        ("broken-ssh-key", tag("eve"), "HEAD", "broken-ssh"),
        ("no-secret", tag("ann"), "HEAD", "none"),
    ]
}

fn recording() -> PathBuf {
    root().join("tests/golden/flux-git.json")
}

/// Commits and tags what [`HISTORY`] says.
fn commit(git: &Git, signers: &Signers) {
    for (name, commit, tag) in HISTORY {
        signers.sign(git, Some(commit).filter(|who| *who != "-"));
        git.commit(name, &[("file.txt", name)]);
        signers.sign(git, tag.filter(|who| *who != "-"));
        match tag {
            None => git.git(&["tag", name]),
            Some("-") => git.git(&["tag", "-a", "-m", name, name]),
            Some(_) => git.git(&["tag", "-s", "-m", name, name]),
        };
        git.git(&["update-ref", &format!("refs/heads/{name}"), "HEAD"]);
    }
}

async fn put_secrets(api: &Api, namespace: &str, signers: &Signers) {
    let secrets = format!("/api/v1/namespaces/{namespace}/secrets");
    let key = |who: &str| signers.key(who);
    for (name, data) in [
        ("ann", json!({"ann.asc": key("ann")})),
        ("both", json!({"a.asc": key("ann"), "b.asc": key("bob")})),
        ("ssh", json!({"a.sshpub": format!("# people\n{}{}", key("joe"), key("eve"))})),
        ("joe", json!({"a.sshpub": key("joe")})),
        ("named", json!({"key": key("ann")})),
        ("broken-pgp", json!({"a.asc": "no key"})),
        ("mixed", json!({"a.asc": "no key", "b.asc": key("ann")})),
        ("broken-ssh", json!({"a.sshpub": "no key"})),
    ] {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "stringData": data});
        api.create(&secrets, &secret).await.unwrap();
    }
}

/// Creates a source for each row, and returns what becomes of each.
async fn play(api: &Api, namespace: &str, (git, signers): (&Git, &Signers)) -> Map<String, Value> {
    put_secrets(api, namespace, signers).await;
    let path = format!("/apis/source.toolkit.fluxcd.io/v1/namespaces/{namespace}/gitrepositories");
    let hash = git.git(&["rev-parse", "ann^{commit}"]);
    for (name, reference, mode, secret) in rows() {
        let reference = reference.to_string().replace("COMMIT", &hash);
        let reference: Value = serde_json::from_str(&reference).unwrap();
        let object = json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"name": name}, "spec": {"interval": "1h", "url": git.url(),
            "ref": reference, "verify": {"mode": mode, "secretRef": {"name": secret}}}});
        api.create(&path, &object).await.unwrap();
    }
    let mut seen = Map::new();
    for (name, ..) in rows() {
        let object = until(&format!("{name} is looked at"), SOON, async || {
            let object = api.get(&format!("{path}/{name}")).await.unwrap_or_default();
            let ready = condition(&object, "Ready").cloned().unwrap_or_default();
            let is_stored = object["status"]["artifact"].is_object();
            let ended = ready["status"] == "False" || ready["status"] == "True" && is_stored;
            if ended { Ok(object) } else { Err(object["status"].to_string()) }
        })
        .await;
        seen.insert(name.to_owned(), outcome(&object, (git, signers)));
    }
    seen
}

/// What counts of a source; hashes and keys are another time others.
fn outcome(object: &Value, (git, signers): (&Git, &Signers)) -> Value {
    let status = &object["status"];
    let lasting = ["Ready", "ArtifactInStorage", "FetchFailed", "Stalled", "SourceVerified"];
    // Why a key cannot be read is told in the words of a library.
    let conditions = rows::conditions(status, &lasting, |message| {
        let mut ends = UNREADABLE.iter();
        let own = ends.find_map(|end| message.find(end).map(|at| &message[..at + end.len()]));
        own.unwrap_or(message)
    });
    let mut text = json!({"conditions": conditions, "revision": status["artifact"]["revision"],
        "mode": status["sourceVerificationMode"]})
    .to_string();
    for (name, ..) in HISTORY {
        for (what, kind) in [("commit", "^{commit}"), ("tag", "")] {
            let hash = git.git(&["rev-parse", &format!("refs/tags/{name}{kind}")]);
            text = text.replace(&hash, &format!("<{what} {name}>"));
        }
    }
    for who in ["ann", "bob", "eve", "joe"] {
        text = text.replace(&signers.print(who), &format!("<key of {who}>"));
    }
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_commits_end_as_with_flux() {
    let (Some(git), Some(signers)) = (Git::start(), Signers::new()) else { return };
    commit(&git, &signers);
    let stage = rows::stage("git", SOURCES).await;
    let seen = play(&stage.api, &stage.namespace, (&git, &signers)).await;
    rows::compare(&recording(), &seen);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes the recording that is compared with"]
async fn record() {
    let programs = parts::flux().expect("Flux's controllers");
    let cluster = ControlPlane::shared().expect("a control plane");
    let git = Git::start().expect("Git");
    let signers = Signers::new().expect("GnuPG and OpenSSH");
    commit(&git, &signers);
    let api = cluster.api().await;
    super::record::install_definitions(&api, &programs).await;
    let folder = tempfile::tempdir().unwrap();
    let _controllers = controllers(&programs, &cluster.kubeconfig(), folder.path());
    let namespace = api.create_namespace("git").await;
    let seen = play(&api, &namespace, (&git, &signers)).await;
    rows::write(&recording(), &seen);
}
