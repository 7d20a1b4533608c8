//! What a `HelmRelease` has done to its objects: patches, images, labels and annotations.

use serde_json::{Value, json};

use crate::support::api::{Api, condition};
use crate::support::chart::web_with;
use crate::support::control_plane::ControlPlane;
use crate::support::leadsman::{Leadsman, Running};
use crate::support::repository::Repository;
use crate::support::wait::{SOON, until};

const HOOK: &str = "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: hook
  annotations: {helm.sh/hook: 'post-install,post-upgrade'}
data: {a: b}
";

struct World {
    api: Api,
    namespace: String,
    leadsman: Leadsman,
    _repository: Repository,
    _running: Running,
}

impl World {
    async fn start(cluster: &'static ControlPlane, spec: Value) -> Self {
        let api = cluster.api().await;
        let namespace = api.create_namespace("patched").await;
        let repository = Repository::start();
        repository.publish_package(web_with("1.0.0", "", &[("templates/hook.yaml", HOOK)]));
        let leadsman = Leadsman::new().kubeconfig(&cluster.kubeconfig());
        let running = leadsman.spawn(&["run", "-n", &namespace]);
        api.name_charts(&namespace, &repository.url()).await;
        let world = Self { api, namespace, leadsman, _repository: repository, _running: running };
        world.ask(spec).await;
        world
    }

    fn release_path(&self) -> String {
        let namespace = &self.namespace;
        format!("/apis/helm.toolkit.fluxcd.io/v2/namespaces/{namespace}/helmreleases/web")
    }

    /// Asks for the release with these fields besides.
    async fn ask(&self, more: Value) {
        let mut spec = json!({
            "interval": "1h", "timeout": "10s",
            "chart": {"spec": {"chart": "web", "version": "1.x", "sourceRef": {
                "kind": "HelmRepository", "name": "charts",
            }}},
        });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.api
            .apply(&json!({
                "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
                "metadata": {"name": "web", "namespace": self.namespace}, "spec": spec,
            }))
            .await;
    }

    /// Waits until `Ready` says this of the present generation.
    async fn ready(&self, status: &str, revision: u64) -> Value {
        until(&format!("Ready is {status} at revision {revision}"), SOON, async || {
            let release = self.api.get(&self.release_path()).await.unwrap_or_default();
            let ready = condition(&release, "Ready").cloned().unwrap_or_default();
            let newest = &release["status"]["history"][0]["version"];
            let seen = ready["observedGeneration"] == release["metadata"]["generation"];
            let good = ready["status"] == status && seen && *newest == revision;
            if good { Ok(release) } else { Err(release["status"].to_string()) }
        })
        .await
    }

    async fn live(&self, path: &str) -> Value {
        let (root, rest) = path.split_once(' ').unwrap();
        let path = format!("/{root}/namespaces/{}/{rest}", self.namespace);
        self.api.get(&path).await.unwrap_or_default()
    }
}

fn image(tag: &str) -> Value {
    json!([{"kustomize": {
        "images": [{"name": "example/web", "newTag": tag}],
        "patches": [{
            "target": {"kind": "ConfigMap"},
            "patch": "- {op: add, path: /metadata/labels, value: {patched: 'yes'}}",
        }],
    }}])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_patches_or_labels_alone_is_an_upgrade() {
    let Some(cluster) = ControlPlane::shared() else { return };
    let world = World::start(cluster, json!({"postRenderers": image("one")})).await;
    let first = world.ready("True", 1).await;
    let digest = |release: &Value, of: &str| release["status"][of].clone();
    assert!(digest(&first, "observedPostRenderersDigest").is_string());
    let deployment = "apis/apps/v1 deployments/web";
    let live = world.live(deployment).await;
    let image_at = "/spec/template/spec/containers/0/image";
    assert_eq!(live.pointer(image_at), Some(&json!("example/web:one")));
    let labels = &world.live("api/v1 configmaps/web").await["metadata"]["labels"];
    assert_eq!(labels["patched"], "yes");
    assert_eq!(labels["helm.toolkit.fluxcd.io/name"], "web");
    let hook = world.live("api/v1 configmaps/hook").await;
    assert_eq!(hook["metadata"]["labels"]["patched"], "yes");

    world.ask(json!({"postRenderers": image("two"), "suspend": true})).await;
    let plan = world.leadsman.run(&["plan", "web", "-n", &world.namespace]).await;
    assert!(plan.stdout.contains("example/web:two"), "{}\n{}", plan.stdout, plan.stderr);
    world.ask(json!({"postRenderers": image("two")})).await;
    let second = world.ready("True", 2).await;
    let of = "observedPostRenderersDigest";
    assert_ne!(digest(&first, of), digest(&second, of));
    let live = world.live(deployment).await;
    assert_eq!(live.pointer(image_at), Some(&json!("example/web:two")));

    let common = json!({"labels": {"team": "x"}, "annotations": {"owner": "y"}});
    world.ask(json!({"postRenderers": image("two"), "commonMetadata": common})).await;
    let third = world.ready("True", 3).await;
    assert!(digest(&third, "observedCommonMetadataDigest").is_string());
    let live = world.live(deployment).await;
    assert_eq!(live["metadata"]["labels"]["team"], "x");
    assert_eq!(live["metadata"]["annotations"]["owner"], "y");

    // Nothing is left once nothing is asked for; hooks are spared where that is asked for.
    world.ask(json!({"postRenderStrategy": "nohooks"})).await;
    let fourth = world.ready("True", 4).await;
    assert_eq!(digest(&fourth, of), Value::Null);
    let live = world.live(deployment).await;
    assert_eq!(live.pointer(image_at), Some(&json!("example/web:1.0.0")));
    assert_eq!(live["metadata"]["labels"]["team"], Value::Null);
    let hook = world.live("api/v1 configmaps/hook").await;
    assert_eq!(hook["metadata"]["labels"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_that_does_not_apply_is_told_and_tried_again_once_corrected() {
    let Some(cluster) = ControlPlane::shared() else { return };
    let world = World::start(cluster, json!({})).await;
    world.ready("True", 1).await;
    let patch = "apiVersion: v1\nkind: Service\nmetadata: {name: none}\nspec: {type: NodePort}\n";
    let patches = |patch: &str| json!([{"kustomize": {"patches": [{"patch": patch}]}}]);
    world.ask(json!({"postRenderers": patches(patch)})).await;
    let release = world.ready("False", 1).await;
    let ready = condition(&release, "Ready").unwrap();
    assert_eq!(ready["reason"], "UpgradeFailed");
    assert_eq!(
        ready["message"],
        format!(
            "Helm upgrade failed for release {}/web with chart web@1.0.0: error while running post \
             render on files: no resource matches strategic merge patch \
             \"Service.v1.[noGrp]/none.[noNs]\": no matches for Id Service.v1.[noGrp]/none.[noNs]; \
             failed to find unique target for patch Service.v1.[noGrp]/none.[noNs]",
            world.namespace
        )
    );
    assert_eq!(release["status"]["observedPostRenderersDigest"], Value::Null);
    let good = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {more: here}\n";
    world.ask(json!({"postRenderers": patches(good)})).await;
    world.ready("True", 2).await;
    assert_eq!(world.live("api/v1 configmaps/web").await["data"]["more"], "here");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_preserved_where_that_is_asked_for() {
    let Some(cluster) = ControlPlane::shared() else { return };
    let first = json!({"replicas": 2, "message": "first"});
    let world = World::start(cluster, json!({"values": first})).await;
    world.ready("True", 1).await;
    let preserved = |values: Value| json!({"upgrade": {"preserveValues": true}, "values": values});
    // Nothing is given that is not there.
    world.ask(preserved(json!({"replicas": 2}))).await;
    let release = world.ready("True", 1).await;
    assert_eq!(release["status"]["observedGeneration"], release["metadata"]["generation"]);
    world.ask(preserved(json!({"message": "second"}))).await;
    world.ready("True", 2).await;
    let live = world.live("apis/apps/v1 deployments/web").await;
    assert_eq!(live["spec"]["replicas"], 2);
    let values = world.leadsman.run(&["get", "values", "web", "-n", &world.namespace]).await;
    assert!(values.success().ends_with("message: second\nreplicas: 2\n"));
    let arguments = ["explain", "values", "web", "-n", &world.namespace];
    let explained = world.leadsman.run(&arguments).await.success();
    let row = explained.lines().find(|line| line.starts_with("replicas"));
    assert!(row.is_some_and(|row| row.contains("record")), "{explained}");
    // Without it only what is given counts.
    world.ask(json!({"values": {"message": "second"}})).await;
    world.ready("True", 3).await;
    let live = world.live("apis/apps/v1 deployments/web").await;
    assert_eq!(live["spec"]["replicas"], 1);
}
