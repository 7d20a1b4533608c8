//! kube-prometheus-stack, declared as people declare it, kept up to date on a real API server.

use crate::support::control_plane::ControlPlane;
use crate::support::corpus::{Corpus, corpus};
use crate::support::helm::Helm;
use crate::support::leadsman::{Leadsman, Running};
use crate::support::repository::Repository;
use crate::support::wait::LATER;

const YAML: &str = "\
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata:
  name: prometheus-community-charts
  namespace: observability
spec:
  interval: 24h
  url: https://prometheus-community.github.io/helm-charts
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata:
  name: kube-prometheus-stack
  namespace: observability
spec:
  interval: 30m
  chart:
    spec:
      chart: kube-prometheus-stack
      version: \"61.x\"
      sourceRef:
        kind: HelmRepository
        name: prometheus-community-charts
        namespace: observability
      interval: 12h
";

/// Serves the versions up to 61.3.2, starts Leadsman, and publishes the rest when 61.3.2 runs.
async fn upgraded_by_itself(corpus: &Corpus, leadsman: &Leadsman, how: &[&str]) -> Running {
    let repository = Repository::start();
    let mut later = Vec::new();
    for package in corpus.packages("prometheus-community", "kube-prometheus-stack-61.") {
        let name = package.file_name().unwrap().to_string_lossy().into_owned();
        let version = name.trim_start_matches("kube-prometheus-stack-").trim_end_matches(".tgz");
        let early = ["61.0.0", "61.1.0", "61.1.1", "61.2.0", "61.3.0", "61.3.1", "61.3.2"];
        if early.contains(&version) { repository.publish(&package) } else { later.push(package) }
    }
    leadsman.file("source/stack.yaml", YAML);
    let mirror = format!("https://prometheus-community.github.io/helm-charts={}", repository.url());
    let run = ["run", "source", "-n", "observability", "--interval", "2s", "--mirror", &mirror];
    let running = leadsman.spawn(&[&run, how].concat());
    let done = |word: &'static str, version: &'static str| {
        move |line: &str| line.contains(word) && line.contains(&format!("@{version}"))
    };
    running.line(LATER, done("InstallSucceeded", "61.3.2")).await;
    for package in &later {
        repository.publish(package);
    }
    running.line(LATER, done("UpgradeSucceeded", "61.9.0")).await;
    running
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stack_upgrades_by_itself_in_the_simulated_cluster() {
    let Some(corpus) = corpus() else { return };
    upgraded_by_itself(&corpus, &Leadsman::new(), &["--simulate"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stack_upgrades_by_itself_on_a_real_api_server() {
    let Some(cluster) = ControlPlane::shared() else { return };
    let (Some(helm), Some(corpus)) = (Helm::find(), corpus()) else { return };
    let leadsman = Leadsman::new().kubeconfig(&cluster.kubeconfig());
    let _running = upgraded_by_itself(&corpus, &leadsman, &[]).await;
    let helm = helm.kubeconfig(&cluster.kubeconfig());
    let release = ["kube-prometheus-stack", "-n", "observability"];
    let list = helm.json(&["list", "-n", "observability", "-o", "json"]).await;
    assert_eq!(list[0]["chart"], "kube-prometheus-stack-61.9.0");
    assert_eq!(list[0]["status"], "deployed");
    let history = helm.json(&[&["history"], &release[..], &["-o", "json"]].concat()).await;
    let newest = history.as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&newest["status"], &newest["description"]),
        (&"deployed".into(), &"Upgrade complete".into())
    );
    let theirs = helm.ok(&[&["get", "manifest"], &release[..]].concat()).await;
    let ours = leadsman.run(&[&["get", "manifest"], &release[..]].concat()).await.success();
    assert_eq!(ours, theirs);
    assert!(theirs.contains("kind: Prometheus\n"));
}
