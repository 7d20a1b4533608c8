//! The simulated cluster: the same manager, without any cluster.

use crate::support::chart::{web, yaml};
use crate::support::fixtures;
use crate::support::helm::Helm;
use crate::support::leadsman::Leadsman;
use crate::support::port;
use crate::support::repository::Repository;
use crate::support::wait::SOON;

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_installed_and_upgraded_without_a_cluster() {
    let repository = Repository::start();
    repository.publish_package(web("1.0.0", ""));
    let leadsman = Leadsman::new();
    leadsman.file("source/web.yaml", &yaml("apps", "web", &repository.url(), ""));
    let once = leadsman.run(&["run", "source", "--simulate", "--once", "--interval", "1s"]).await;
    assert_eq!(once.code, Some(0), "{}", once.stderr);
    let running = leadsman.spawn(&["run", "source", "--simulate", "--interval", "1s"]);
    let done = |word: &'static str, version: &'static str| {
        move |line: &str| line.contains(word) && line.contains(&format!("web@{version}"))
    };
    running.line(SOON, done("InstallSucceeded", "1.0.0")).await;
    repository.publish_package(web("1.1.0", "unready"));
    running.line(SOON, |line| line.contains("VersionQuarantined: 1.1.0")).await;
    running.line(SOON, done("RollbackSucceeded", "1.0.0")).await;
    repository.publish_package(web("1.2.0", ""));
    running.line(SOON, done("UpgradeSucceeded", "1.2.0")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_shows_where_a_template_failed() {
    let repository = Repository::start();
    repository.publish_package(web("1.0.0", ""));
    let leadsman = Leadsman::new();
    let release = yaml("apps", "web", &repository.url(), "  values: {message: null}\n");
    leadsman.file("source/web.yaml", &release);
    let run = ["run", "source", "--simulate", "--once"];
    let said = leadsman.run(&[&run[..], &["-v"]].concat()).await;
    assert_eq!(said.code, Some(1), "{}", said.stderr);
    let place = "web/templates/config.yaml:7:14\n  |\n7 |   message: {{ required";
    assert!(said.stderr.contains(place), "{}", said.stderr);
    let brief = leadsman.run(&run).await;
    assert!(brief.stderr.contains("message is required"), "{}", brief.stderr);
    assert!(!brief.stderr.contains("7 |"), "{}", brief.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_over_https_is_trusted_by_a_secret() {
    let repository = Repository::start_tls();
    repository.publish_package(web("1.0.0", ""));
    let leadsman = Leadsman::new();
    let release = yaml("apps", "web", &repository.url(), "");
    let release =
        release.replace("interval: 1s, url", "interval: 1s, certSecretRef: {name: ca}, url");
    leadsman.file("source/web.yaml", &release);
    let running = leadsman.spawn(&["run", "source", "--simulate", "--interval", "1s"]);
    running
        .line(SOON, |line| {
            line.contains("HelmRepository/apps/charts") && line.contains("\"ca\" not found")
        })
        .await;
    let indented = repository.authority().unwrap().replace('\n', "\n    ");
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: ca, namespace: apps}}\nstringData:\n  ca.crt: |\n    {indented}\n"
    );
    leadsman.file("source/ca.yaml", &secret);
    running.line(SOON, |line| line.contains("InstallSucceeded")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_helm_works_in_the_simulated_cluster_and_leadsman_reads_it() {
    let Some(helm) = Helm::find() else { return };
    let server = Leadsman::new();
    let simulated = server.spawn(&["sim", "--kubeconfig-out", "kubeconfig"]);
    simulated.line(SOON, |line| line.contains("the simulated cluster listens")).await;
    let kubeconfig = server.folder().join("kubeconfig");
    let helm = helm.kubeconfig(&kubeconfig);
    let chart =
        |version: &str| fixtures().join("charts/web").join(version).to_string_lossy().into_owned();
    helm.ok(&["install", "web", &chart("1.0.0"), "--wait", "--timeout", "60s"]).await;
    helm.ok(&["upgrade", "web", &chart("1.1.0"), "--wait", "--timeout", "60s"]).await;
    let failed = ["upgrade", "web", &chart("1.2.0"), "--wait", "--timeout", "2s"];
    assert_ne!(helm.run(&failed).await.code, Some(0), "its Pods never become ready");
    helm.ok(&["rollback", "web", "2", "--wait", "--timeout", "60s"]).await;
    let history = helm.json(&["history", "web"]).await;
    let statuses: Vec<_> = history.as_array().unwrap().iter().map(|row| &row["status"]).collect();
    assert_eq!(statuses, ["superseded", "superseded", "failed", "deployed"]);
    let leadsman = Leadsman::new().kubeconfig(&kubeconfig);
    let ours = leadsman.run(&["get", "manifest", "web", "-n", "default"]).await.success();
    assert_eq!(ours, helm.ok(&["get", "manifest", "web"]).await);
    let told = leadsman.run(&["history", "web", "-n", "default"]).await.success();
    assert!(told.contains("Rollback to 2"), "{told}");
    helm.ok(&["uninstall", "web", "--wait"]).await;
    assert_eq!(helm.json(&["list", "-A"]).await, serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_packages_is_served_and_what_vanishes_is_pruned() {
    let address = port::hold().local_addr().unwrap();
    let leadsman = Leadsman::new();
    let charts = leadsman.folder().join("charts");
    std::fs::create_dir(&charts).unwrap();
    let publish = |version: &str| {
        let package = web(version, "");
        std::fs::write(charts.join(&package.file), package.bytes).unwrap();
    };
    publish("1.0.0");
    leadsman.file("source/web.yaml", &yaml("apps", "web", "https://charts.example.com", ""));
    let serve = format!("charts={address}");
    let mirror = format!("https://charts.example.com=http://{address}");
    let run = ["run", "source", "--simulate", "--interval", "1s", "--prune"];
    let how = ["--serve-charts", &serve, "--mirror", &mirror];
    let running = leadsman.spawn(&[&run[..], &how].concat());
    running.line(SOON, |line| line.contains("served at http://127.0.0.1:")).await;
    running.line(SOON, |line| line.contains("InstallSucceeded")).await;
    publish("1.1.0");
    running
        .line(SOON, |line| line.contains("UpgradeSucceeded") && line.contains("web@1.1.0"))
        .await;
    std::fs::remove_file(leadsman.folder().join("source/web.yaml")).unwrap();
    leadsman.file(
        "source/other.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other, namespace: apps}\n",
    );
    running.line(SOON, |line| line.contains("UninstallSucceeded")).await;
    let busy = leadsman.run(&["run", "source", "--simulate", "--serve-charts", &serve]).await;
    assert_eq!(busy.code, Some(1), "the address is taken");
    assert!(busy.stderr.contains(&address.to_string()), "{}", busy.stderr);
}
