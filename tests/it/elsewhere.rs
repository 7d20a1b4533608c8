//! Releases that are installed as a service account, or in another cluster.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::api::{Api, condition};
use crate::support::chart::web_with;
use crate::support::control_plane::ControlPlane;
use crate::support::leadsman::{Leadsman, Running, simulated};
use crate::support::repository::Repository;
use crate::support::wait::{SOON, until};

/// A cluster with a Leadsman at work in one namespace.
struct World {
    api: Api,
    namespace: String,
    leadsman: Leadsman,
    repository: Repository,
    running: Running,
}

impl World {
    async fn start(kubeconfig: &Path, more: &[&str]) -> Self {
        let api = Api::connect(kubeconfig).await;
        let namespace = api.create_namespace("elsewhere").await;
        let repository = Repository::start();
        repository.publish_package(web_with("1.0.0", "", &[]));
        let leadsman = Leadsman::new().kubeconfig(kubeconfig);
        let arguments: Vec<_> =
            ["run", "-n", &namespace].into_iter().chain(more.iter().copied()).collect();
        let running = leadsman.spawn(&arguments);
        api.name_charts(&namespace, &repository.url()).await;
        Self { api, namespace, leadsman, repository, running }
    }

    fn path(&self, name: &str) -> String {
        let namespace = &self.namespace;
        format!("/apis/helm.toolkit.fluxcd.io/v2/namespaces/{namespace}/helmreleases/{name}")
    }

    async fn ask(&self, name: &str, more: Value) {
        let mut spec = json!({
            "interval": "1h", "timeout": "20s",
            "chart": {"spec": {"chart": "web", "version": "1.x", "sourceRef": {
                "kind": "HelmRepository", "name": "charts",
            }}},
        });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.api
            .apply(&json!({
                "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
                "metadata": {"name": name, "namespace": self.namespace}, "spec": spec,
            }))
            .await;
    }

    /// Waits until a release is ready or not for a reason, and returns what it says.
    async fn ready(&self, name: &str, reason: &str) -> String {
        until(&format!("{name} is {reason}"), SOON, async || {
            let release = self.api.get(&self.path(name)).await.unwrap_or_default();
            let ready = condition(&release, "Ready").cloned().unwrap_or_default();
            if ready["reason"] == reason {
                return Ok(ready["message"].as_str().unwrap().to_owned());
            }
            Err(format!("{}\n{}", release["status"], self.running.output()))
        })
        .await
    }

    async fn remove(&self, name: &str) {
        self.api.delete(&self.path(name)).await;
        until("the release is gone", SOON, async || self.api.get(&self.path(name)).await.is_none())
            .await;
    }

    /// Makes the namespace in a cluster, and a Secret `remote` with the way to it under this key.
    async fn reaches(&self, there: &Leadsman, key: &str) -> Api {
        let kubeconfig = there.folder().join("kubeconfig");
        let remote = Api::connect(&kubeconfig).await;
        let name = &self.namespace;
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        remote.create("/api/v1/namespaces", &object).await.unwrap();
        let text = std::fs::read_to_string(kubeconfig).unwrap();
        self.secret("remote", json!({key: text})).await;
        remote
    }

    async fn secret(&self, name: &str, data: Value) {
        self.api
            .apply(&json!({
                "apiVersion": "v1", "kind": "Secret", "stringData": data,
                "metadata": {"name": name, "namespace": self.namespace},
            }))
            .await;
    }
}

/// Lets an account do what releases need, or only read.
async fn account(world: &World, name: &str, role: &str) {
    let namespace = &world.namespace;
    let metadata = json!({"name": name, "namespace": namespace});
    world
        .api
        .apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}))
        .await;
    let group = "rbac.authorization.k8s.io";
    world
        .api
        .apply(&json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        }))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_has_the_rights_of_its_account() {
    let Some(cluster) = ControlPlane::shared() else { return };
    has_the_rights_of_its_account(&cluster.kubeconfig()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_has_the_rights_of_its_account_in_a_simulated_cluster() {
    let server = Leadsman::new();
    let running = server.spawn(&["sim", "--rbac", "--kubeconfig-out", "kubeconfig"]);
    running.line(SOON, |line| line.contains("the simulated cluster listens")).await;
    has_the_rights_of_its_account(&server.folder().join("kubeconfig")).await;
}

async fn has_the_rights_of_its_account(kubeconfig: &Path) {
    let world = World::start(kubeconfig, &["--default-service-account", "reader"]).await;
    let namespace = &world.namespace;
    account(&world, "reader", "view").await;
    account(&world, "writer", "admin").await;
    // The default account may not even read records.
    world.ask("plain", json!({})).await;
    let refused = world.ready("plain", "StateError").await;
    let user = format!("User \"system:serviceaccount:{namespace}:reader\" cannot list resource");
    assert!(refused.contains(&user), "{refused}");
    world.running.line(SOON, |line| line.contains(&user)).await;
    assert!(world.api.revisions(namespace).await.is_empty());
    world.ask("web", json!({"serviceAccountName": "writer"})).await;
    world.ready("web", "InstallSucceeded").await;
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/web");
    let managers = world.api.get(&path).await.unwrap()["metadata"]["managedFields"].clone();
    assert!(managers.as_array().unwrap().iter().any(|one| one["manager"] == "helm-controller"));
    assert_eq!(world.api.revisions(namespace).await.len(), 1);
    // With the account goes who could remove the objects; the HelmRelease must not stay for ever.
    world.api.delete(&format!("/api/v1/namespaces/{namespace}/serviceaccounts/writer")).await;
    world.remove("web").await;
    assert!(world.api.get(&path).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_installed_in_another_cluster() {
    let (here, _here) = simulated().await;
    let (there, _there) = simulated().await;
    let world = World::start(&here.folder().join("kubeconfig"), &[]).await;
    let namespace = &world.namespace;
    let remote = Api::connect(&there.folder().join("kubeconfig")).await;
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    remote.create("/api/v1/namespaces", &object).await.unwrap();
    let asked = json!({"kubeConfig": {"secretRef": {"name": "remote"}}});
    world.ask("web", asked).await;
    let said = world.ready("web", "RESTClientError").await;
    let wanted = format!(
        "could not get KubeConfig secret '{namespace}/remote': secrets \"remote\" not found"
    );
    assert_eq!(said, wanted);
    world.secret("remote", json!({"other": "x"})).await;
    until("the empty Secret is told", SOON, async || {
        world
            .ready("web", "RESTClientError")
            .await
            .contains("'value' or 'value.yaml' key with data")
    })
    .await;
    let kubeconfig = std::fs::read_to_string(there.folder().join("kubeconfig")).unwrap();
    world.secret("remote", json!({"value.yaml": kubeconfig})).await;
    world.ready("web", "InstallSucceeded").await;

    let deployment = format!("/apis/apps/v1/namespaces/{namespace}/deployments/web");
    assert!(remote.get(&deployment).await.is_some());
    assert!(world.api.get(&deployment).await.is_none());
    assert_eq!(remote.revisions(namespace).await.len(), 1);
    assert!(world.api.revisions(namespace).await.is_empty());
    let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases");
    for api in [&remote, &world.api] {
        assert!(api.list(&leases).await.is_empty(), "a Lease is left over");
    }
    // The command line finds it there, too.
    for words in [&["history", "web"][..], &["get", "manifest", "web"], &["status", "web"]] {
        let words: Vec<_> = words.iter().copied().chain(["-n", namespace]).collect();
        world.leadsman.run(&words).await.success();
    }

    world.repository.publish_package(web_with("1.1.0", "", &[]));
    world.ready("web", "UpgradeSucceeded").await;
    assert_eq!(remote.revisions(namespace).await.len(), 2);
    world.remove("web").await;
    assert!(remote.get(&deployment).await.is_none());
    assert!(remote.revisions(namespace).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_installed_with_the_tokens_of_an_account() {
    let Some(cluster) = ControlPlane::shared() else { return };
    let world = World::start(&cluster.kubeconfig(), &[]).await;
    let namespace = &world.namespace;
    account(&world, "reader", "view").await;
    account(&world, "writer", "admin").await;
    let told = async |what: &str| {
        until(what, SOON, async || {
            let said = world.ready("web", "RESTClientError").await;
            if said.contains(what) { Ok(()) } else { Err(said) }
        })
        .await;
    };
    world.ask("web", json!({"kubeConfig": {"configMapRef": {"name": "far"}}})).await;
    told(&format!("ConfigMap '{namespace}/far': configmaps \"far\" not found")).await;

    let authority = cluster.kubeconfig().with_file_name("authority.crt");
    let authority = std::fs::read_to_string(authority).unwrap();
    // The same API server, which takes the tokens that it gives for itself.
    let far = async |provider: &str, account: &str| {
        let data = json!({
            "provider": provider, "address": cluster.url(), "ca.crt": authority,
            "audiences": "https://kubernetes.default.svc\n", "serviceAccountName": account,
        });
        let metadata = json!({"name": "far", "namespace": namespace});
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata});
        let mut map = map.as_object().unwrap().clone();
        map.insert("data".to_owned(), data);
        world.api.apply(&Value::Object(map)).await;
        let now = json!({"reconcile.fluxcd.io/requestedAt": format!("{provider} {account}")});
        let patch = json!({"metadata": {"annotations": now}});
        if world.api.get(&world.path("web")).await.is_some() {
            world.api.merge(&world.path("web"), &patch).await;
        }
    };
    far("aws", "writer").await;
    told("provider 'aws' is not supported").await;
    far("generic", "").await;
    told("'serviceAccountName' is required").await;
    far("generic", "nobody").await;
    told("serviceaccounts \"nobody\" not found").await;
    far("generic", "reader").await;
    let refused = world.ready("web", "StateError").await;
    let user = format!("User \"system:serviceaccount:{namespace}:reader\" cannot list resource");
    assert!(refused.contains(&user), "{refused}");
    far("generic", "writer").await;
    world.ready("web", "InstallSucceeded").await;
    world.leadsman.run(&["history", "web", "-n", namespace]).await.success();
    world.remove("web").await;
    assert!(world.api.revisions(namespace).await.is_empty());

    // Who deletes it without the way to it leaves what was installed.
    let asked = json!({"kubeConfig": {"configMapRef": {"name": "far"}}});
    world.ask("mapless", asked).await;
    world.ready("mapless", "InstallSucceeded").await;
    world.api.delete(&format!("/api/v1/namespaces/{namespace}/configmaps/far")).await;
    world.remove("mapless").await;
    let deployment = format!("/apis/apps/v1/namespaces/{namespace}/deployments/mapless");
    assert!(world.api.get(&deployment).await.is_some());
    let printed = world.running.output();
    let line = |line: &str| line.contains("not uninstalled") && line.contains("mapless");
    assert!(printed.lines().any(line), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_goes_though_its_kubeconfig_is_gone() {
    let (here, _here) = simulated().await;
    let (there, _there) = simulated().await;
    let world = World::start(&here.folder().join("kubeconfig"), &[]).await;
    let namespace = &world.namespace;
    let remote = world.reaches(&there, "mine").await;
    let asked = json!({"kubeConfig": {"secretRef": {"name": "remote", "key": "mine"}}});
    world.ask("web", asked).await;
    world.ready("web", "InstallSucceeded").await;
    world.api.delete(&format!("/api/v1/namespaces/{namespace}/secrets/remote")).await;
    world.remove("web").await;
    assert_eq!(remote.revisions(namespace).await.len(), 1, "what nobody can reach stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_plan_of_a_release_in_another_cluster_is_carried_out() {
    let (here, _here) = simulated().await;
    let (there, _there) = simulated().await;
    let world = World::start(&here.folder().join("kubeconfig"), &[]).await;
    let namespace = &world.namespace;
    let remote = world.reaches(&there, "value").await;
    world.secret("given", json!({"values.yaml": "a: 1"})).await;
    // The records are in another namespace than the HelmRelease is.
    let records = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "records"}});
    remote.create("/api/v1/namespaces", &records).await.unwrap();
    let asked = |suspend: bool| {
        json!({
            "suspend": suspend, "storageNamespace": "records",
            "kubeConfig": {"secretRef": {"name": "remote"}},
            "valuesFrom": [{"kind": "Secret", "name": "given"}],
        })
    };
    world.ask("web", asked(false)).await;
    world.ready("web", "InstallSucceeded").await;
    world.ask("web", asked(true)).await;
    world.repository.publish_package(web_with("1.1.0", "", &[]));
    let run = async |words: &[&str]| {
        world.leadsman.run(&[words, &["-n", namespace.as_str()]].concat()).await
    };
    let said = run(&["plan", "web", "--save", "moved"]).await;
    assert_eq!(said.code, Some(3), "{} {}", said.stdout, said.stderr);
    run(&["plan", "web", "--save", "kept"]).await;
    // The HelmRelease and the values are where they are, and not where the release is.
    world.secret("given", json!({"values.yaml": "a: 2"})).await;
    let moved = world.leadsman.run(&["apply", "moved"]).await;
    assert_eq!(moved.code, Some(1), "{}", moved.stdout);
    assert!(moved.stderr.contains("nothing was changed: plan moved"), "{}", moved.stderr);
    assert_eq!(remote.revisions("records").await.len(), 1);
    world.secret("given", json!({"values.yaml": "a: 1"})).await;
    let kept = world.leadsman.run(&["apply", "kept"]).await;
    assert_eq!(kept.code, Some(0), "{}", kept.stderr);
    let whose = format!("HelmRelease {namespace}/web keeps this release");
    assert!(kept.stderr.contains(&whose), "{}", kept.stderr);
    assert_eq!(remote.revisions("records").await.len(), 2);
    assert!(world.api.revisions("records").await.is_empty());

    run(&["plan", "rollback", "web", "--save", "back"]).await;
    world.leadsman.run(&["apply", "back"]).await.success();
    assert_eq!(remote.revisions("records").await.len(), 3);
}
