//! Several at work on one release: nobody breaks what another one is doing, and what a dead one
//! left is taken over.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::faults::FAULTS;
use crate::support::api::{Api, condition};
use crate::support::chart::{web, web_with, yaml};
use crate::support::control_plane::ControlPlane;
use crate::support::helm::Helm;
use crate::support::leadsman::{self, Leadsman, Running};
use crate::support::process::Kept;
use crate::support::repository::Repository;
use crate::support::wait::{SOON, throughout, until};

/// A namespace with a repository, and whoever works there.
struct Site {
    api: Api,
    kubeconfig: PathBuf,
    namespace: String,
    repository: Repository,
}

/// A Deployment that never gets ready.
const SLOW: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: slow}\nspec:\n  \
                    selector: {matchLabels: {app: slow}}\n  template:\n    metadata:\n      \
                    labels: {app: slow}\n      annotations: {test/fail: unready}\n    spec:\n      \
                    containers: [{name: main, image: a/b}]\n";

impl Site {
    async fn new(kubeconfig: &Path, stem: &str) -> Self {
        let api = Api::connect(kubeconfig).await;
        let namespace = api.create_namespace(stem).await;
        let repository = Repository::start();
        Self { api, kubeconfig: kubeconfig.to_owned(), namespace, repository }
    }

    /// Applies the release; steps may take so long.
    async fn ask(&self, timeout: &str) {
        let text = yaml(&self.namespace, "web", &self.repository.url(), "");
        self.api.apply_yaml(&text.replace("timeout: 10s", &format!("timeout: {timeout}"))).await;
    }

    fn run(&self, leadsman: &Leadsman) -> Running {
        leadsman.spawn(&["run", "-n", &self.namespace, "--interval", "1s"])
    }

    /// Leadsman installs the kinds first.
    async fn is_served(&self) {
        for path in ["/apis/helm.toolkit.fluxcd.io/v2", "/apis/source.toolkit.fluxcd.io/v1"] {
            until("the kinds are served", SOON, async || self.api.get(path).await).await;
        }
    }

    fn leadsman(&self) -> Leadsman {
        Leadsman::new().kubeconfig(&self.kubeconfig)
    }

    fn path(&self, resource: &str) -> String {
        format!("/apis/{resource}/namespaces/{}", self.namespace).replace("/apis/v1", "/api/v1")
    }

    async fn release(&self) -> Value {
        let path = self.path("helm.toolkit.fluxcd.io/v2") + "/helmreleases/web";
        self.api.get(&path).await.unwrap_or_default()
    }

    async fn has(&self, wanted: &[(u64, &str)]) {
        until(&format!("the revisions are {wanted:?}"), SOON * 2, async || {
            let seen = self.api.revisions(&self.namespace).await;
            let same = seen.iter().map(|(number, status)| (*number, status.as_str()));
            if same.eq(wanted.iter().copied()) {
                Ok(())
            } else {
                Err(format!("{seen:?} {}", self.release().await["status"]))
            }
        })
        .await;
    }

    async fn leases(&self) -> Vec<Value> {
        self.api.list(&(self.path("coordination.k8s.io/v1") + "/leases")).await
    }

    /// Waits until the release says that it waits, and for whom.
    async fn waits_for(&self, who: &str) {
        until(&format!("it waits for {who}"), SOON, async || {
            let release = self.release().await;
            let found = condition(&release, "Reconciling").cloned().unwrap_or_default();
            let text = found["message"].as_str().unwrap_or_default();
            if text.contains("waiting for another operation") && text.contains(who) {
                Ok(())
            } else {
                Err(release["status"].to_string())
            }
        })
        .await;
        let events = self.api.list(&(self.path("v1") + "/events")).await;
        assert!(
            events.iter().any(|event| event["reason"] == "Waiting"
                && event["message"].as_str().unwrap_or_default().contains(who)),
            "{events:?}"
        );
    }
}

/// Serves a simulated cluster, and returns its kubeconfig, too.
async fn simulated() -> (Leadsman, Running, PathBuf) {
    let (server, running) = leadsman::simulated().await;
    let kubeconfig = server.folder().join("kubeconfig");
    (server, running, kubeconfig)
}

/// Two start at the same moment and live side by side: every version is deployed once.
async fn two_at_a_time(kubeconfig: &Path) {
    let site = Site::new(kubeconfig, "two").await;
    site.repository.publish_package(web("1.0.0", ""));
    let one = site.leadsman();
    // With an index of its own, the other may not know yet what the one has deployed already.
    let other = site.leadsman().env("LEADSMAN_CACHE", one.cache());
    let (first, second) = (site.run(&one), site.run(&other));
    site.is_served().await;
    site.ask("20s").await;
    site.has(&[(1, "deployed")]).await;
    site.repository.publish_package(web("1.1.0", ""));
    site.has(&[(1, "superseded"), (2, "deployed")]).await;
    site.repository.publish_package(web("1.2.0", ""));
    site.has(&[(1, "superseded"), (2, "superseded"), (3, "deployed")]).await;
    throughout("nothing is done twice", Duration::from_secs(3), async || {
        let seen = site.api.revisions(&site.namespace).await;
        if seen.len() == 3 { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
    until("no Lease is left while all is in sync", SOON, async || site.leases().await.is_empty())
        .await;
    let status = site.release().await["status"].clone();
    assert_eq!(status["history"][0]["version"], 3, "{status}");
    drop((first, second));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_a_time_deploy_every_version_once() {
    let Some(cluster) = ControlPlane::shared() else { return };
    two_at_a_time(&cluster.kubeconfig()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_a_time_deploy_every_version_once_in_the_simulated_cluster() {
    let (_server, _running, kubeconfig) = simulated().await;
    two_at_a_time(&kubeconfig).await;
}

/// The one ends, with its status written and its Lease gone, while the other is about to begin.
#[tokio::test(flavor = "multi_thread")]
async fn who_ends_while_another_begins_is_not_repeated() {
    let (_server, _running, kubeconfig) = simulated().await;
    let site = Site::new(&kubeconfig, "ends").await;
    site.repository.publish_package(web("1.0.0", ""));
    let one = site.leadsman();
    let other = site.leadsman().env("LEADSMAN_CACHE", one.cache());
    let _first = site.run(&one);
    site.is_served().await;
    site.ask("60s").await;
    site.has(&[(1, "deployed")]).await;
    let slow = async |verb: &str, resource: &str, millis: u64| {
        let fault = json!({"kind": "latency", "millis": millis});
        let rule = json!({"verbs": [verb], "resources": [resource], "fault": fault});
        site.api.create(FAULTS, &rule).await.unwrap();
    };
    slow("patch", "helmreleases/status", 5000).await;
    site.repository.publish_package(web("1.1.0", ""));
    site.has(&[(1, "superseded"), (2, "deployed")]).await;
    // The status does not tell of it yet. The other looks, and asks who else is at work until the
    // one has ended.
    slow("list", "leases", 7000).await;
    let _second = site.run(&other);
    throughout("nothing is done twice", Duration::from_secs(15), async || {
        let seen = site.api.revisions(&site.namespace).await;
        if seen.len() == 2 { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
}

/// While one waits for readiness the other waits for it; killed, it is followed once its Lease ran
/// out: nobody can see its process, as if it were on another machine.
async fn one_dies(kubeconfig: &Path) {
    let site = Site::new(kubeconfig, "dies").await;
    site.repository.publish_package(web("1.0.0", "unready"));
    let (one, other) = (site.leadsman(), site.leadsman());
    let first = site.run(&one);
    site.is_served().await;
    site.ask("300s").await;
    site.has(&[(1, "pending-install")]).await;
    let leases = site.leases().await;
    assert_eq!(leases.len(), 1, "{leases:?}");
    let lease = leases[0]["metadata"]["name"].as_str().unwrap().to_owned();
    let _second = site.run(&other);
    site.waits_for(&lease).await;
    // Longer than a Lease lasts: it is renewed.
    site.repository.publish_package(web("1.0.1", ""));
    throughout("the living one is left in peace", Duration::from_secs(35), async || {
        let seen = site.api.revisions(&site.namespace).await;
        if seen == [(1, "pending-install".to_owned())] { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
    first.killer().kill();
    let _ = first.end(SOON).await;
    let path = site.path("coordination.k8s.io/v1") + "/leases/" + &lease;
    let elsewhere = json!({"metadata": {"annotations": {"leadsman.dev/process": "elsewhere"}}});
    site.api.merge(&path, &elsewhere).await;
    let killed = Instant::now();
    until("its record is taken over", SOON, async || {
        let seen = site.api.revisions(&site.namespace).await;
        if seen[0].1 == "failed" { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
    // It may have renewed ten seconds before it was killed.
    assert!(killed.elapsed() > Duration::from_secs(15), "{:?}", killed.elapsed());
    site.has(&[(1, "superseded"), (2, "deployed")]).await;
    until("no Lease is left", SOON, async || site.leases().await.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_dies_is_followed_when_its_lease_ran_out() {
    let Some(cluster) = ControlPlane::shared() else { return };
    one_dies(&cluster.kubeconfig()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_dies_is_followed_when_its_lease_ran_out_in_the_simulated_cluster() {
    let (_server, _running, kubeconfig) = simulated().await;
    one_dies(&kubeconfig).await;
}

/// Helm upgrades what Leadsman runs: it is waited for; killed, its record has to grow old.
async fn helm_at_work(kubeconfig: &Path) {
    let Some(helm) = Helm::find() else { return };
    let helm = helm.kubeconfig(kubeconfig);
    let site = Site::new(kubeconfig, "helm").await;
    site.repository.publish_package(web("1.0.0", ""));
    let leadsman = site.leadsman();
    let _running = site.run(&leadsman);
    site.is_served().await;
    site.ask("12s").await;
    site.has(&[(1, "deployed")]).await;
    let chart = leadsman.file("web-1.0.5.tgz", "");
    std::fs::write(&chart, web_with("1.0.5", "", &[("templates/slow.yaml", SLOW)]).bytes).unwrap();
    let chart = chart.display().to_string();
    let upgrade = |timeout: &str| {
        let arguments = ["upgrade", "web", &chart, "-n", &site.namespace, "--wait", "--timeout"];
        let mut all: Vec<&str> = arguments.to_vec();
        all.extend([timeout, "--force-conflicts"]);
        Kept::spawn(helm.command(&all), &leadsman.folder().join("helm.log"))
    };
    let living = upgrade("6s");
    site.has(&[(1, "deployed"), (2, "pending-upgrade")]).await;
    site.repository.publish_package(web("1.1.0", ""));
    site.waits_for("helm").await;
    until("helm ends by itself", SOON, async || living.ended().is_some()).await;
    site.has(&[(1, "superseded"), (2, "failed"), (3, "deployed")]).await;
    // Nobody unlocked it: Helm wrote itself why it failed.
    let text = helm.ok(&["history", "web", "-n", &site.namespace]).await;
    assert!(!text.contains("unlocked"), "{text}");
    let dying = upgrade("300s");
    let four = [(1, "superseded"), (2, "failed"), (3, "deployed"), (4, "pending-upgrade")];
    site.has(&four).await;
    let began = Instant::now();
    dying.killer().kill();
    site.repository.publish_package(web("1.2.0", ""));
    let mut after = four;
    (after[2].1, after[3].1) = ("superseded", "failed");
    let five: Vec<_> = after.into_iter().chain([(5, "deployed")]).collect();
    site.has(&five).await;
    assert!(began.elapsed() > Duration::from_secs(10), "{:?}", began.elapsed());
    let text = helm.ok(&["history", "web", "-n", &site.namespace]).await;
    assert!(text.contains("unlocked from stale 'pending-upgrade'"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_at_work_is_waited_for() {
    let Some(cluster) = ControlPlane::shared() else { return };
    helm_at_work(&cluster.kubeconfig()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_at_work_is_waited_for_in_the_simulated_cluster() {
    let (_server, _running, kubeconfig) = simulated().await;
    helm_at_work(&kubeconfig).await;
}
