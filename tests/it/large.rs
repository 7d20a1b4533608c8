//! Releases whose records no object can hold: Leadsman works with them as with any other, and Helm
//! shows them and changes nothing.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::control_plane::ControlPlane;
use crate::support::helm::{Helm, error_of};
use crate::support::leadsman::{Leadsman, simulated};
use crate::support::process::{Output, run};
use crate::support::wait::LATER;

/// Text that does not shrink by more than a quarter.
fn noise(bytes: usize, mut state: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.";
    let mut letter = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(LETTERS[usize::try_from(state >> 58).unwrap()])
    };
    (0..bytes).map(|_| letter()).collect()
}

/// A cluster, and both that work with it.
struct World {
    api: Api,
    leadsman: Leadsman,
    helm: Helm,
    driver: &'static str,
    namespace: String,
}

impl World {
    async fn new(kubeconfig: &Path, helm: Helm, driver: &'static str) -> Self {
        let api = Api::connect(kubeconfig).await;
        let namespace = api.create_namespace("large").await;
        let leadsman = Leadsman::new().kubeconfig(kubeconfig).env("HELM_DRIVER", driver);
        let world = Self { api, leadsman, helm: helm.kubeconfig(kubeconfig), driver, namespace };
        let configs: Vec<String> = (0..4)
            .map(|n| {
                format!(
                    "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: big-{n}}}\ndata: {{k: {}}}\n",
                    noise(450_000, n)
                )
            })
            .collect();
        let hook = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: end, annotations: {helm.sh/hook: pre-delete}}\n";
        let small = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: small}\ndata: {version: {{ .Chart.Version | quote }}}\n";
        for (folder, version, big) in
            [("large", "1.0.0", &configs[..]), ("small", "2.0.0", &configs[..1])]
        {
            let metadata = format!("apiVersion: v2\nname: shop\nversion: {version}\n");
            for (name, text) in [
                ("Chart.yaml", metadata.as_str()),
                ("values.yaml", "a: 1\n"),
                ("templates/big.yaml", &big.concat()),
                ("templates/small.yaml", small),
                ("templates/end.yaml", hook),
            ] {
                world.leadsman.file(&format!("{folder}/{name}"), text);
            }
        }
        world
    }

    fn plural(&self) -> &'static str {
        if self.driver == "configmap" { "configmaps" } else { "secrets" }
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        self.leadsman.run(&[arguments, &["-n", &self.namespace]].concat()).await
    }

    async fn ok(&self, arguments: &[&str]) -> Output {
        let said = self.run(arguments).await;
        assert_eq!(said.code, Some(0), "{arguments:?}: {} {}", said.stdout, said.stderr);
        said
    }

    async fn helm(&self, arguments: &[&str]) -> Output {
        let mut command = self.helm.command(&[arguments, &["-n", &self.namespace]].concat());
        command.env("HELM_DRIVER", self.driver);
        run(command, LATER).await
    }

    async fn list(&self, plural: &str) -> Vec<Value> {
        self.api.list(&format!("/api/v1/namespaces/{}/{plural}", self.namespace)).await
    }

    /// The names of objects that are kept for the release by this owner.
    async fn kept(&self, owner: &str) -> Vec<String> {
        let found = self.list(self.plural()).await;
        let own = found.iter().filter(|one| one["metadata"]["labels"]["owner"] == owner);
        own.map(|one| one["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    }

    /// The names of the release's objects.
    async fn objects(&self) -> Vec<String> {
        let found = self.list("configmaps").await;
        let is_own =
            |one: &&Value| one["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm";
        let names = found.iter().filter(is_own).map(|one| &one["metadata"]["name"]);
        names.map(|name| name.as_str().unwrap().to_owned()).collect()
    }
}

const ALL: [&str; 5] = ["big-0", "big-1", "big-2", "big-3", "small"];

async fn lives(kubeconfig: &Path, helm: Helm, driver: &'static str) {
    let world = World::new(kubeconfig, helm, driver).await;
    let said = world.ok(&["install", "shop", "./large", "--labels", "team=a"]).await;
    let told = "sh.helm.release.v1.shop.v1 is kept in 2 parts, because no object could hold it";
    assert!(said.stderr.contains(told), "{}", said.stderr);
    assert_eq!(world.objects().await, ALL);
    assert_eq!(world.kept("helm").await, ["sh.helm.release.v1.shop.v1"]);
    let parts = world.kept("leadsman").await;
    assert_eq!(parts.len(), 2, "{parts:?}");
    let manifest = world.ok(&["get", "manifest", "shop"]).await.stdout;
    assert!(manifest.contains(&noise(450_000, 3)), "{}", manifest.len());
    assert!(world.ok(&["get", "hooks", "shop"]).await.stdout.contains("name: end"));
    let same = world.run(&["plan", "shop", "./large"]).await;
    assert_eq!(same.code, Some(0), "{} {}", same.stdout, same.stderr);
    is_shown_by_helm(&world).await;
    moves(&world, &parts).await;
    ends(&world).await;
}

/// What Helm says of it is what Leadsman says; what it would change stays.
async fn is_shown_by_helm(world: &World) {
    for arguments in [
        &["list"][..],
        &["list", "-o", "json", "-l", "team=a"],
        &["history", "shop"],
        &["get", "values", "shop", "--all"],
        &["get", "metadata", "shop"],
    ] {
        let helm = world.helm(arguments).await.success();
        assert_eq!(world.ok(arguments).await.stdout, helm, "{arguments:?}");
    }
    let manifest = world.helm(&["get", "manifest", "shop"]).await.success();
    assert!(manifest.contains("kept in parts") && manifest.contains("use leadsman"), "{manifest}");
    assert_eq!(world.helm(&["get", "hooks", "shop"]).await.success(), "");
    let records = [world.kept("helm").await, world.kept("leadsman").await];
    let chart = world.leadsman.folder().join("small").to_string_lossy().into_owned();
    let said = world.helm(&["upgrade", "shop", &chart]).await;
    assert_eq!(said.code, Some(1), "{}", said.stdout);
    let why = "no matches for kind \"ReleaseInParts\" in version \"leadsman.dev/v1\"";
    assert!(error_of(&said.stderr).contains(why), "{}", said.stderr);
    assert_eq!([world.kept("helm").await, world.kept("leadsman").await], records);
    assert_eq!(world.objects().await, ALL);
}

async fn moves(world: &World, parts: &[String]) {
    let plan = world.run(&["plan", "shop", "./small", "--simulate", "-o", "json"]).await;
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!(plan["simulation"]["passes"], json!(true), "{plan}");
    let said = world.ok(&["upgrade", "shop", "./small"]).await;
    assert!(!said.stderr.contains("is kept"), "{}", said.stderr);
    assert_eq!(world.objects().await, ["big-0", "small"]);
    // The old record has another status, and the same parts.
    assert_eq!(world.kept("leadsman").await, parts);
    world.ok(&["rollback", "shop", "1"]).await;
    assert_eq!(world.objects().await, ALL);
    let history = world.helm(&["history", "shop", "-o", "json"]).await.success();
    let history: Value = serde_json::from_str(&history).unwrap();
    let statuses: Vec<_> = history.as_array().unwrap().iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, ["superseded", "superseded", "deployed"]);
    assert_eq!(world.kept("leadsman").await.len(), 4);
    let labels = world.ok(&["get", "metadata", "shop", "-o", "json"]).await.stdout;
    assert!(labels.contains(r#""team":"a""#), "{labels}");
    // With the oldest record its parts go.
    world.ok(&["upgrade", "shop", "./large", "--history-max", "2"]).await;
    assert_eq!(
        world.kept("helm").await,
        ["sh.helm.release.v1.shop.v3", "sh.helm.release.v1.shop.v4"]
    );
    let kept = world.kept("leadsman").await;
    assert!(kept.len() == 4 && kept.iter().all(|name| !parts.contains(name)), "{kept:?}");
}

async fn ends(world: &World) {
    // Helm begins, finds no objects that it knows, and leaves all that there is.
    let said = world.helm(&["uninstall", "shop"]).await;
    assert_eq!(said.code, Some(1), "{}", said.stdout);
    assert!(error_of(&said.stderr).contains("failed to delete release: shop"), "{}", said.stderr);
    assert_eq!(world.objects().await, ALL);
    let status: Value =
        serde_json::from_str(&world.ok(&["status", "shop", "-o", "json"]).await.stdout).unwrap();
    assert_eq!(status["info"]["status"], "uninstalling");
    // A part that somebody deleted is told.
    let part = &world.kept("leadsman").await[2];
    let path = format!("/api/v1/namespaces/{}/{}/{part}", world.namespace, world.plural());
    let mut kept = world.api.get(&path).await.unwrap();
    world.api.delete(&path).await;
    let said = world.run(&["get", "manifest", "shop"]).await;
    assert_eq!(said.code, Some(1));
    let why = format!("{part}, one of its 2 parts, is missing: restore it");
    assert!(said.stderr.contains(&why), "{}", said.stderr);
    for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields"] {
        kept["metadata"].as_object_mut().unwrap().remove(field);
    }
    world.api.create(path.rsplit_once('/').unwrap().0, &kept).await.unwrap();
    // Helm wrote the record, and Leadsman finds all of it.
    world.ok(&["uninstall", "shop"]).await;
    assert!(world.objects().await.is_empty());
    assert!(world.kept("helm").await.is_empty() && world.kept("leadsman").await.is_empty());
    stays_helms_without_its_files(world).await;
}

/// A chart whose files alone are too large: the record is whole for all that Helm does.
async fn stays_helms_without_its_files(world: &World) {
    world.leadsman.file("small/files/noise", &noise(2_000_000, 9));
    let said = world.ok(&["install", "shop", "./small"]).await;
    let told = "is kept without templates, files and schema of the chart";
    assert!(said.stderr.contains(told), "{}", said.stderr);
    assert!(world.kept("leadsman").await.is_empty());
    let manifest = world.helm(&["get", "manifest", "shop"]).await.success();
    assert_eq!(world.ok(&["get", "manifest", "shop"]).await.stdout, manifest);
    std::fs::remove_file(world.leadsman.folder().join("small/files/noise")).unwrap();
    let chart = world.leadsman.folder().join("small").to_string_lossy().into_owned();
    world.helm(&["upgrade", "shop", &chart, "--reuse-values"]).await.success();
    world.helm(&["rollback", "shop", "1"]).await.success();
    world.helm(&["uninstall", "shop"]).await.success();
    assert!(world.objects().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_in_parts_lives_on_a_real_api_server() {
    let (Some(cluster), Some(helm)) = (ControlPlane::shared(), Helm::find()) else { return };
    lives(&cluster.kubeconfig(), helm, "secret").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_in_parts_lives_in_the_simulated_cluster() {
    let Some(helm) = Helm::find() else { return };
    let (server, _running) = simulated().await;
    lives(&server.folder().join("kubeconfig"), helm, "secret").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_in_parts_may_be_of_configmaps() {
    let Some(helm) = Helm::find() else { return };
    let (server, _running) = simulated().await;
    lives(&server.folder().join("kubeconfig"), helm, "configmap").await;
}
