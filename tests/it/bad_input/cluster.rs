//! What the cluster refuses once a release runs: a field that cannot change, a kind that is gone,
//! objects that cannot be deleted.

use serde_json::{Value, json};

use super::site::{Ground, Row, Site, records, release};
use crate::support::api::condition;
use crate::support::pack::Package;
use crate::support::wait::{SOON, until};

/// A chart whose next version changes what cannot be changed; the ConfigMap comes first.
fn fixed(version: &str, app: &str) -> Package {
    let metadata = format!("apiVersion: v2\nname: fixed\nversion: {version}\n");
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n\
                  data: {version: {{ .Chart.Version | quote }}}\n";
    let deployment = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {{{{ .Release.Name }}}}}}\n\
         spec:\n  selector: {{matchLabels: {{app: {app}}}}}\n  template:\n    \
         metadata: {{labels: {{app: {app}}}}}\n    spec: {{containers: [{{name: main, image: example/x}}]}}\n"
    );
    let added = "{{ if ne .Chart.Version \"1.0.0\" }}\napiVersion: v1\nkind: ConfigMap\n\
                 metadata: {name: {{ .Release.Name }}-added}\n{{ end }}\n";
    Package::files([
        ("Chart.yaml", metadata.as_str()),
        ("templates/config.yaml", config),
        ("templates/deployment.yaml", deployment.as_str()),
        ("templates/added.yaml", added),
    ])
}

/// An upgrade to a field that cannot change changes nothing, whoever asked for it.
async fn immutable(ground: &Ground) {
    let site = Site::new(ground, "fixed").await;
    site.repository.publish_package(fixed("1.0.0", "one"));
    let undo = "  upgrade: {remediation: {remediateLastFailure: true}}\n";
    site.release("by-itself", "fixed", "1.x", "");
    site.release("by-user", "fixed", "1.0.x", undo);
    site.release("left", "fixed", "1.0.x", "");
    let running = site.run();
    let mut before = Vec::new();
    for name in ["by-itself", "by-user", "left"] {
        site.runs(name, "1.0.0").await;
        before.push((name, deployment(&site, name).await));
    }
    site.repository.publish_package(fixed("1.1.0", "two"));
    until("the version is held back", SOON, async || {
        let release = site.object("HelmRelease", "by-itself").await;
        let held = condition(&release, "VersionHeld").cloned().unwrap_or_default();
        let text = held["message"].as_str().unwrap_or_default();
        let good = held["reason"] == "Quarantine" && text.contains("immutable");
        if good { Ok(()) } else { Err(release["status"].to_string()) }
    })
    .await;
    // Now the index is known, and the user asks for the same.
    site.release("by-user", "fixed", "1.x", undo);
    let parts: &[&str] = &["/by-user with chart fixed@1.1.0", "Deployment", "field is immutable"];
    let row = Row {
        condition: ("Released", "False", "UpgradeFailed"),
        ..release("by-user", "", parts, "delete the object so that it is made anew")
    };
    site.said(&running, &row).await;
    site.runs("by-itself", "1.0.0").await;
    // Nobody asked for this one to be undone, as in Flux; nothing was changed all the same.
    site.release("left", "fixed", "1.x", "");
    let parts: &[&str] = &["/left with chart fixed@1.1.0", "Deployment", "field is immutable"];
    site.said(&running, &release("left", "UpgradeFailed", parts, "delete the object")).await;
    for (name, before) in before {
        until(&format!("{name} is as it was"), SOON, async || {
            let records = records(&site.api, &site.namespace, name).await;
            let last = records.last().cloned().unwrap_or_default();
            let same = deployment(&site, name).await == before
                && site.data(name).await == json!({"version": "1.0.0"})
                && !site.exists(&format!("{name}-added")).await;
            let settled = match name {
                "left" => last == (2, "failed".to_owned()),
                _ => last.1 == "deployed" && last.0 >= 3,
            };
            if same && settled { Ok(()) } else { Err(format!("{records:?}\n{}", running.output())) }
        })
        .await;
    }
    site.runs("good", "1.0.0").await;
}

async fn deployment(site: &Site, name: &str) -> Value {
    let path = format!("/apis/apps/v1/namespaces/{}/deployments/{name}", site.namespace);
    site.api.get(&path).await.unwrap_or_default()["spec"].take()
}

/// A kind that is gone keeps no release from being removed.
async fn vanished_kind(ground: &Ground) {
    let site = Site::new(ground, "vanished").await;
    let group = format!("g{:08x}.example", rand::random::<u32>());
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("gadgets.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"kind": "Gadget", "plural": "gadgets", "singular": "gadget", "listKind": "GadgetList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema":
                {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}],
        },
    });
    site.api.install_crds(std::slice::from_ref(&definition)).await;
    let object = |name: &str, more: &str| {
        format!("apiVersion: {group}/v1\nkind: Gadget\nmetadata: {{name: {name}{more}}}\n")
    };
    let hook = object("hook", ", annotations: {helm.sh/hook: pre-delete}");
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n";
    site.repository.publish_package(Package::files([
        ("Chart.yaml", "apiVersion: v2\nname: gadget\nversion: 1.0.0\n"),
        ("templates/config.yaml", config),
        ("templates/gadget.yaml", &object("gadget", "")),
        ("templates/hook.yaml", &hook),
    ]));
    site.release("gone", "gadget", "1.x", "");
    let running = site.run();
    site.runs("gone", "1.0.0").await;
    assert!(site.exists("gone").await);
    let path = site.api.path_of(&definition).await;
    site.api.delete(&path).await;
    until("the kind is gone", SOON, async || {
        site.api.get(&format!("/apis/{group}/v1")).await.is_none()
    })
    .await;
    std::fs::remove_file(site.leadsman.folder().join("source/gone.yaml")).unwrap();
    let path =
        format!("/apis/helm.toolkit.fluxcd.io/v2/namespaces/{}/helmreleases/gone", site.namespace);
    // SOURCE may be applied once more while the file goes.
    until("the release is removed", SOON, async || {
        site.api.delete(&path).await;
        let left = site.object("HelmRelease", "gone").await;
        let clean = records(&site.api, &site.namespace, "gone").await.is_empty();
        let gone = left.is_null() && clean && !site.exists("gone").await;
        if gone { Ok(()) } else { Err(format!("{left}\n{}", running.output())) }
    })
    .await;
    site.runs("good", "1.0.0").await;
}

impl Site {
    /// Returns whether there is such a ConfigMap.
    async fn exists(&self, name: &str) -> bool {
        let path = format!("/api/v1/namespaces/{}/configmaps/{name}", self.namespace);
        self.api.get(&path).await.is_some()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_cannot_change_is_undone_in_the_simulated_cluster() {
    immutable(&Ground::simulated().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_cannot_change_is_undone_on_a_real_api_server() {
    let Some(ground) = Ground::real() else { return };
    immutable(&ground).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_is_gone_blocks_no_uninstall_in_the_simulated_cluster() {
    vanished_kind(&Ground::simulated().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_is_gone_blocks_no_uninstall_on_a_real_api_server() {
    let Some(ground) = Ground::real() else { return };
    vanished_kind(&ground).await;
}

/// Objects that cannot be deleted do not keep the others, and all of them are told.
#[tokio::test(flavor = "multi_thread")]
async fn an_uninstall_goes_on_and_reports_every_object_that_stays() {
    use leadsman::sim::{Fault, Rule, Sim, SimOptions};
    let simulated = Sim::new(SimOptions::default());
    let ground = Ground::served(&simulated).await;
    let site = Site::new(&ground, "stays").await;
    let template = "{{ range list \"a\" \"b\" \"c\" \"d\" }}\n---\napiVersion: v1\nkind: ConfigMap\n\
                    metadata: {name: {{ $.Release.Name }}-{{ . }}}\n{{ end }}\n";
    site.repository.publish_package(Package::files([
        ("Chart.yaml", "apiVersion: v2\nname: four\nversion: 1.0.0\n"),
        ("templates/t.yaml", template),
    ]));
    site.release("four", "four", "1.x", "");
    let running = site.run();
    site.runs("four", "1.0.0").await;
    for name in ["four-a", "four-c"] {
        simulated.faults().add(Rule {
            verbs: vec!["delete".to_owned()],
            resources: vec!["configmaps".to_owned()],
            name: name.to_owned(),
            fault: Some(Fault::Status {
                code: 403,
                message: format!("{name} is kept"),
                retry_after: None,
                carried_out: false,
            }),
            ..Rule::default()
        });
    }
    std::fs::remove_file(site.leadsman.folder().join("source/four.yaml")).unwrap();
    let path =
        format!("/apis/helm.toolkit.fluxcd.io/v2/namespaces/{}/helmreleases/four", site.namespace);
    until("the release is being deleted", SOON, async || {
        site.api.delete(&path).await;
        let release = site.object("HelmRelease", "four").await;
        !release["metadata"]["deletionTimestamp"].is_null()
    })
    .await;
    let a = format!("failed to delete ConfigMap/{}/four-a: four-a is kept", site.namespace);
    let c = format!("failed to delete ConfigMap/{}/four-c: four-c is kept", site.namespace);
    let todo = "remove what is in the way; the uninstall is tried again by itself";
    let line = running
        .line(SOON, |line| line.contains("HelmRelease/") && line.contains("UninstallFailed"))
        .await;
    assert!(line.contains(&a) && line.contains(&c) && line.contains(todo), "{line}");
    let events = site.events("HelmRelease", "four").await;
    let told = |event: &Value| {
        let text = event["message"].as_str().unwrap_or_default();
        event["reason"] == "UninstallFailed" && text.contains(&a) && text.contains(&c)
    };
    assert!(events.iter().any(told), "{events:?}");
    let left = [site.exists("four-b").await, site.exists("four-d").await];
    assert_eq!(left, [false, false], "one that stays kept the others");
    simulated.faults().clear();
    until("the rest goes, too", SOON, async || {
        site.object("HelmRelease", "four").await.is_null() && !site.exists("four-a").await
    })
    .await;
}
