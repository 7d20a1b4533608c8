//! The life of a release, statement by statement: the same step by Helm and by Leadsman, each in a
//! namespace of its own, with the same words, the same records and the same objects after it.
//!
//! A row says where it comes from: a section of what Helm's commands promise, or a test of Helm's
//! own (`pkg/action/*_test.go`).

use leadsman::base::clock::SystemClock;
use leadsman::cluster::Cluster;
use leadsman::release::Storage;
use serde_json::{Value, json};

use crate::commands::World;
use crate::support::api::Api;
use crate::support::leadsman::Leadsman;

/// Where each player is at work.
const SPACES: [&str; 2] = ["theirs", "ourown"];

/// A chart of which values say what is in it.
fn chart(leadsman: &Leadsman) {
    let file = |name: &str, text: &str| leadsman.file(&format!("life/{name}"), text);
    file("Chart.yaml", "apiVersion: v2\nname: life\nversion: 0.1.0\nappVersion: \"1\"\n");
    file("values.yaml", "n: 1\nold: {a: 1, b: 2}\n");
    let map = |name: &str, more: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}{more}}}\n")
    };
    let own = map("\"{{ .Release.Name }}-map\"", "");
    file("templates/own.yaml", &format!("{own}data: {{n: \"{{{{ .Values.n }}}}\"}}\n"));
    let when =
        |value: &str, text: &str| format!("{{{{ with .Values.{value} }}}}{text}{{{{ end }}}}\n");
    let extra = map("\"{{ . }}\"", "");
    file("templates/extra.yaml", &when("extra", &extra));
    let kept = map(
        "\"{{ $.Release.Name }}-kept\"",
        ", annotations: {helm.sh/resource-policy: \"{{ . }}\"}",
    );
    file("templates/kept.yaml", &when("policy", &kept));
    // The server refuses it.
    let bad = "apiVersion: v1\nkind: Service\nmetadata: {name: \"{{ $.Release.Name }}-bad\"}\n\
               spec: {ports: [{port: 80000}]}\n";
    file("templates/bad.yaml", &when("bad", bad));
    let hook = |event: &str, name: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: \"{{{{ $.Release.Name }}}}-{name}\"\n  \
             annotations: {{helm.sh/hook: {event}}}\nspec: {{ports: [{{port: 80000}}]}}\n"
        )
    };
    file("templates/before.yaml", &when("before", &hook("pre-install,pre-upgrade", "before")));
    file("templates/back.yaml", &when("back", &hook("pre-rollback", "back")));
    file("templates/leave.yaml", &when("leave", &hook("pre-delete", "leave")));
    file("templates/gone.yaml", &when("gone", &hook("post-delete", "gone")));
    file("templates/deep.yaml", &when("deep", "a: {{ .b.c }}\n"));
    file("templates/NOTES.txt", "n is {{ .Values.n }}\n");
}

/// Where it comes from, and the step. `@create`, `@merge` and `@delete` are by somebody else.
const ROWS: &[(&str, &str)] = &[
    // Adoption (§6.7; TestInstallReleaseWithTakeOwnership_*, TestCheckOwnership).
    ("§6.7", r#"@create configmaps {"metadata":{"name":"a-map"}}"#),
    ("§6.7 all marks are missing", "install a LIFE"),
    ("§6.7 nothing is stored", "history a"),
    (
        "§6.7",
        r#"@merge configmaps/a-map {"metadata":{"labels":{"app.kubernetes.io/managed-by":"Helm"},"annotations":{"meta.helm.sh/release-name":"other","meta.helm.sh/release-namespace":"x"}}}"#,
    ),
    ("§6.7 marks are another's", "install a LIFE"),
    ("§6.7 every existing object is taken", "install a LIFE --take-ownership"),
    ("§6.15", "status a"),
    ("§6.7 what is the release's own is no obstacle", "uninstall a --keep-history"),
    ("§6.1 a name that was uninstalled is in use", "install a LIFE"),
    ("§6.1 --replace continues the numbers", "install a LIFE --replace"),
    ("§6.1", "history a"),
    ("§6.1 what is deployed is not replaced", "install a LIFE --replace"),
    // Failures of an install (§6 failure; TestInstallRelease_FailedHooks, _RollbackOnFailure).
    ("§6 failure", "install c LIFE --set bad=yes"),
    ("§6 failure is recorded", "history c"),
    ("§6 failure in a hook", "install d LIFE --set before=yes"),
    ("§6 failure in a hook is recorded", "history d"),
    ("§6 rollback on failure", "install e LIFE --set bad=yes --rollback-on-failure"),
    ("§6 nothing of it is left", "history e"),
    ("§6.1 a failed one is replaced", "install c LIFE --replace"),
    ("§6.1", "history c"),
    // Upgrades (§7; TestUpgradeRelease_*).
    ("§7.1", "upgrade none LIFE"),
    ("§7.4", r#"@create configmaps {"metadata":{"name":"taken"}}"#),
    ("§7.4 new objects are checked", "upgrade c LIFE --set extra=taken"),
    ("§7.4 nothing is stored", "history c"),
    ("§7.10", "upgrade c LIFE --set extra=c-extra"),
    ("§7 an identical one is a revision, too", "upgrade c LIFE --set extra=c-extra"),
    ("§7 failure", "upgrade c LIFE --set bad=yes"),
    ("§7 failure leaves the old one deployed", "history c"),
    ("§7 failure in a hook", "upgrade c LIFE --set before=yes"),
    ("§7 failure in a hook leaves the old one deployed", "history c"),
    ("§7 cleanup", "upgrade c LIFE --set bad=yes --set extra=c-more --cleanup-on-fail"),
    ("§7 rollback on failure", "upgrade c LIFE --set bad=yes --rollback-on-failure"),
    ("§7 rollback on failure", "history c"),
    ("§7.2 from a failed install", "install g LIFE --set bad=yes"),
    ("§7 nothing to return to", "upgrade g LIFE --set bad=yes --rollback-on-failure"),
    ("§7 nothing to return to", "history g"),
    ("§7.2 a failed one is upgraded", "upgrade g LIFE"),
    ("§7.2", "history g"),
    ("§7.8 what asks for it is kept", "upgrade g LIFE --set policy=keep"),
    ("§7.8", "upgrade g LIFE --set policy="),
    ("§7.8 the exact word counts", "upgrade g LIFE --set policy=Keep --take-ownership"),
    ("§7.8", "upgrade g LIFE --set policy="),
    // Values (§8).
    ("§8 none given", "upgrade c LIFE --set n=2"),
    ("§8 none given", "upgrade c LIFE"),
    ("§8 none given", "get values c"),
    ("§8 only the new", "upgrade c LIFE --set extra=c-extra"),
    ("§8 only the new", "get values c"),
    ("§8 reuse, null deletes", "upgrade c LIFE --reuse-values --set n=3,old.a=null"),
    ("§8 reuse, null deletes", "get values c -a"),
    ("§8 reset wins over reuse", "upgrade c LIFE --reuse-values --reset-values --set n=4"),
    ("§8 reset wins over reuse", "get values c"),
    ("§8 reuse of what is deployed, not of what failed", "upgrade c LIFE --set bad=yes,n=5"),
    ("§8 reuse of what is deployed, not of what failed", "upgrade c LIFE --reuse-values"),
    ("§8 reuse of what is deployed, not of what failed", "get values c"),
    ("§8 numbers were JSON", "upgrade c LIFE --set n=1000000"),
    ("§8 numbers were JSON", "upgrade c LIFE --reuse-values"),
    ("§8 numbers were JSON", "get manifest c"),
    ("§3.3", "upgrade c LIFE --set deep=text"),
    // Rollbacks (§10; TestRollback*).
    ("§10 to the one before, whatever became of it", "upgrade c LIFE --set before=yes"),
    ("§10", "rollback c"),
    ("§10", "history c --show-rollback-revision"),
    ("§10 what is not there", "rollback c 99"),
    ("§10 a description", "rollback c 2 --description back"),
    ("§10 a description that is too long", "rollback c 2 --description LONG"),
    ("§10 no hooks", "rollback c --no-hooks"),
    ("§10 cleanup", "rollback c 3 --cleanup-on-fail"),
    ("§10", "history c"),
    ("§10 hooks of the target", "install h LIFE --set back=yes"),
    ("§10 hooks of the target", "upgrade h LIFE"),
    // Removal (§11; TestUninstallRelease_*).
    ("§11.1", "uninstall none"),
    ("§11.1", "uninstall none --ignore-not-found"),
    ("§11.3", "install i LIFE --set policy=keep"),
    ("§11.3 what is kept is told", "uninstall i"),
    ("§11.3", "install j LIFE --set policy=else"),
    ("§11.3 any other word keeps and tells nothing", "uninstall j"),
    ("§11.3", "install k LIFE"),
    (
        "§11.3",
        r#"@merge configmaps/k-map {"metadata":{"annotations":{"meta.helm.sh/release-name":"other"}}}"#,
    ),
    ("§11.3 what is another's stays and is told", "uninstall k"),
    ("§11.3", "install l LIFE"),
    ("§11.3", "@delete configmaps/l-map"),
    ("§11.3 what is gone is gone", "uninstall l --keep-history"),
    ("§11.1 twice", "uninstall l --keep-history"),
    ("§11.1 purged", "uninstall l"),
    ("§11.1", "history l"),
    ("§11.2 a hook before fails", "install m LIFE --set leave=yes"),
    ("§11.2 a hook before fails", "uninstall m"),
    ("§11.2 nothing has happened", "status m"),
    ("§11.2 no hooks", "uninstall m --no-hooks"),
    ("§11.5 a hook after fails", "install n LIFE --set gone=yes"),
    ("§11.5 a hook after fails", "uninstall n"),
    ("§11.5 it is gone all the same", "history n"),
    ("§11.5 a hook after fails, and history is kept", "install o LIFE --set gone=yes"),
    ("§11.5 a hook after fails, and history is kept", "uninstall o --keep-history"),
    ("§11.5 a hook after fails, and history is kept", "history o"),
    ("§11.4", "install p LIFE"),
    ("§11.4", "uninstall p --wait --timeout 20s --cascade foreground"),
];

/// Names and data of what both made, which must be the same.
async fn objects(api: &Api, namespace: &str) -> Value {
    let mut found = Vec::new();
    for kind in ["configmaps", "services"] {
        for object in api.list(&format!("/api/v1/namespaces/{namespace}/{kind}")).await {
            let name = &object["metadata"]["name"];
            if name != "kube-root-ca.crt" && name != "kubernetes" {
                let marks = &object["metadata"]["annotations"]["meta.helm.sh/release-name"];
                found.push(json!([kind, name, object["data"], marks]));
            }
        }
    }
    json!(found)
}

/// Does what somebody else does, in both namespaces.
async fn meddle(api: &Api, line: &str) {
    let (verb, rest) = line.split_once(' ').unwrap();
    let (path, body) = rest.split_once(' ').unwrap_or((rest, "null"));
    let body: Value = serde_json::from_str(body).unwrap();
    for namespace in SPACES {
        let path = format!("/api/v1/namespaces/{namespace}/{path}");
        match verb {
            "@create" => drop(api.create(&path, &body).await.unwrap()),
            "@merge" => drop(api.merge(&path, &body).await),
            "@delete" => api.delete(&path).await,
            other => panic!("{other} is nothing to do"),
        }
    }
}

async fn check(world: &World, rows: &[(&str, &str)]) {
    let api = world.api().await;
    let folder = world.leadsman.folder().join("life").to_string_lossy().into_owned();
    let mut wrong = Vec::new();
    for (source, line) in rows {
        if line.starts_with('@') {
            meddle(&api, line).await;
            continue;
        }
        let line = line.replace("LIFE", &folder).replace("LONG", &"x".repeat(257));
        if let Some(difference) = world.differs(&line).await {
            wrong.push(format!("{source}: {difference}"));
        }
        let [theirs, ours] = SPACES.map(|namespace| objects(&api, namespace));
        let (theirs, ours) = (theirs.await, ours.await);
        if theirs != ours {
            wrong.push(format!("{source}: {line}\n--- Helm's\n{theirs}\n--- ours\n{ours}\n"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_lives_as_with_helm() {
    let Some(world) = World::start().await else { return };
    chart(&world.leadsman);
    let api = world.api().await;
    for name in SPACES {
        let namespace = json!({"metadata": {"name": name}});
        api.create("/api/v1/namespaces", &namespace).await.unwrap();
    }
    check(&world, ROWS).await;
}

/// After a record of each pending status, as a killed process leaves it.
const PENDING: &[(&str, &str)] = &[
    ("§7.1", "upgrade x LIFE"),
    ("§7.1", "upgrade x LIFE --install"),
    ("§6.1", "install x LIFE"),
    ("§6.1", "install x LIFE --replace"),
    ("§15", "list"),
    ("§15", "status x"),
    ("§10 the way out", "rollback x"),
    ("§10 the record keeps its status", "history x"),
    ("§15", "upgrade x LIFE"),
    ("§11 the other way out", "uninstall x"),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_left_locks_a_release_as_with_helm() {
    for status in ["pending-install", "pending-upgrade", "pending-rollback"] {
        let Some(world) = World::start().await else { return };
        chart(&world.leadsman);
        let api = world.api().await;
        let cluster = Cluster::new(api.client(), "Helm");
        let folder = world.leadsman.folder().join("life").to_string_lossy().into_owned();
        for name in SPACES {
            let namespace = json!({"metadata": {"name": name}});
            api.create("/api/v1/namespaces", &namespace).await.unwrap();
            world.helm.ok(&["install", "x", &folder, "-n", name]).await;
            let storage = Storage::new(&cluster, name);
            let (_, mut record) = storage.last("x").await.unwrap().unwrap();
            record.version = 2;
            status.clone_into(&mut record.info.status);
            storage.create(&record, "", &SystemClock).await.unwrap();
        }
        check(&world, PENDING).await;
    }
}
