//! `leadsman template` as people type it.

use crate::support::chart::web;
use crate::support::leadsman::Leadsman;
use crate::support::repository::Repository;

fn chart(leadsman: &Leadsman) -> String {
    let package = web("1.0.0", "");
    let path = leadsman.folder().join(&package.file);
    std::fs::write(&path, package.bytes).unwrap();
    package.file
}

#[tokio::test(flavor = "multi_thread")]
async fn values_and_flags_reach_the_templates() {
    let leadsman = Leadsman::new();
    let chart = chart(&leadsman);
    leadsman.file("v.yaml", "message: from file\nreplicas: 2\n");
    let text = leadsman
        .run(&["template", "rel", &chart, "-n", "prod", "-f", "v.yaml", "--set", "replicas=3"])
        .await
        .success();
    assert!(
        text.starts_with("---\n# Source: web/templates/config.yaml\napiVersion: v1\n"),
        "{text}"
    );
    assert!(text.contains("message: \"from file\"") && text.contains("replicas: 3\n"), "{text}");
    let one =
        leadsman.run(&["template", "rel", &chart, "-s", "templates/config.yaml"]).await.success();
    assert!(one.contains("kind: ConfigMap") && !one.contains("kind: Deployment"), "{one}");
    let bad = leadsman.run(&["template", "rel", &chart, "--set-string", "message="]).await;
    assert_eq!(bad.code, Some(1));
    assert!(
        bad.stderr.contains("Error: execution error at (web/templates/config.yaml:"),
        "{}",
        bad.stderr
    );
    let missing = leadsman.run(&["template", "rel", "nowhere.tgz"]).await;
    assert!(missing.stderr.contains("nowhere.tgz"), "{}", missing.stderr);
    let usage = leadsman.run(&["template"]).await;
    assert_eq!(usage.code, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_is_taken_from_a_repository() {
    let repository = Repository::start();
    repository.publish_package(web("1.0.0", ""));
    repository.publish_package(web("1.1.0", ""));
    let leadsman = Leadsman::new();
    let arguments = ["template", "rel", "web", "--repo", &repository.url(), "--version", "1.0.x"];
    let text = leadsman.run(&arguments).await.success();
    assert!(text.contains("version: \"1.0.0\""), "{text}");
    leadsman.run(&arguments).await.success();
    assert_eq!(repository.count("/web-1.0.0.tgz", 200), 1, "the second run finds it in the cache");
}
