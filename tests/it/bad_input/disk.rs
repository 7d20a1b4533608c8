//! A cache folder that cannot be written, and one on a full disk: releases go on from memory.

use rand::RngCore as _;
use serde_json::Value;

use super::site::{Ground, Row, Site};
use crate::support::api::condition;
use crate::support::chart::web;
use crate::support::leadsman::Leadsman;
use crate::support::pack::Package;
use crate::support::wait::{SOON, until};

/// Blocks of 512 or 1024 bytes that a file may have; what is fetched is larger than both.
const BLOCKS: u32 = 256;
const LARGE: usize = 512 << 10;

fn row(parts: &'static [&'static str]) -> Row {
    Row {
        kind: "HelmRepository",
        name: "charts",
        condition: ("StorageOperationFailed", "True", "CacheFailed"),
        parts,
        event: "Warning",
        todo: "make room or choose another folder with --cache",
    }
}

/// A folder cannot be made below a file, whoever asks.
async fn not_writable(ground: &Ground) {
    let mut site = Site::new(ground, "cache").await;
    let occupied = site.leadsman.file("occupied", "");
    let leadsman = std::mem::replace(&mut site.leadsman, Leadsman::new());
    site.leadsman = leadsman.env("LEADSMAN_CACHE", occupied.join("cache"));
    let running = site.run();
    let parts = &["the index is kept in memory only", "/occupied/cache", "Not a directory"];
    site.check(&running, &[row(parts)]).await;
    let archive = "web 1.0.0 is kept in memory only";
    running.line(SOON, |line| line.contains("HelmRepository/") && line.contains(archive)).await;
    site.repository.publish_package(web("1.1.0", ""));
    site.runs("good", "1.1.0").await;
    for version in ["1.0.0", "1.1.0"] {
        assert_eq!(site.repository.count(&format!("/web-{version}.tgz"), 200), 1, "{version}");
    }
    // Once it can be written, it is.
    std::fs::remove_file(&occupied).unwrap();
    site.repository.publish_package(web("1.2.0", ""));
    site.runs("good", "1.2.0").await;
    until("the condition is gone", SOON, async || {
        let repository = site.object("HelmRepository", "charts").await;
        condition(&repository, "StorageOperationFailed").is_none()
    })
    .await;
    assert!(occupied.join("cache/CACHEDIR.TAG").is_file());
}

/// Files cannot grow: what is fetched does not fit.
async fn full(ground: &Ground) {
    let site = Site::new(ground, "full").await;
    let mut noise = vec![0; LARGE];
    rand::rng().fill_bytes(&mut noise);
    let metadata = format!(
        "apiVersion: v2\nname: large\nversion: 1.0.0\ndescription: {}\n",
        "long ".repeat(LARGE / 5)
    );
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n";
    site.repository.publish_package(Package::files([
        ("Chart.yaml", metadata.as_bytes()),
        ("files/noise", &noise),
        ("templates/t.yaml", template.as_bytes()),
    ]));
    site.release("large", "large", "1.x", "");
    let arguments = ["run", "source", "-n", &site.namespace, "--interval", "1s"];
    let running = site.leadsman.spawn_limited(BLOCKS, &arguments);
    let parts = &["the index is kept in memory only", "/cache/index-v3/", "File too large"];
    site.check(&running, &[row(parts)]).await;
    site.runs("large", "1.0.0").await;
    let said = |line: &str| line.contains("large 1.0.0 is kept in memory only");
    running.line(SOON, said).await;
    // Nothing is left of the attempts: a part of a file would fill the disk for good.
    let files = leadsman::base::file::list_tree(&site.leadsman.cache()).unwrap();
    assert!(files.iter().all(|name| !name.ends_with(".tmp")), "{files:?}");
    let ready = site.object("HelmRepository", "charts").await;
    let ready = condition(&ready, "Ready").map(|ready| ready["status"].clone());
    assert_eq!(ready, Some(Value::from("True")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_is_not_writable_stops_nothing_in_the_simulated_cluster() {
    not_writable(&Ground::simulated().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_is_not_writable_stops_nothing_on_a_real_api_server() {
    let Some(ground) = Ground::real() else { return };
    not_writable(&ground).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_nothing_in_the_simulated_cluster() {
    full(&Ground::simulated().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_nothing_on_a_real_api_server() {
    let Some(ground) = Ground::real() else { return };
    full(&ground).await;
}
