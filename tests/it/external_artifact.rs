//! Releases whose chart is the artifact of an `ExternalArtifact`, which the test keeps as another
//! controller would.

use serde_json::{Value, json};
use sha2::Digest as _;

use crate::support::api::condition;
use crate::support::chart::web;
use crate::support::fault::Fault;
use crate::support::pack::hex;
use crate::support::repository::Repository;
use crate::support::stage::{RELEASES, Stage};
use crate::support::wait::{SOON, until};

const SOURCES: &str = "source.toolkit.fluxcd.io/v1/externalartifacts";

const RELEASE: &str = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: web, namespace: NAMESPACE}\n\
    spec:\n  interval: 1h\n  timeout: 6s\n  chartRef: {kind: ExternalArtifact, name: web}\n";

/// A controller that keeps an artifact, and releases under `leadsman run`.
struct Keeper {
    stage: Stage,
    server: Repository,
}

impl Keeper {
    fn path(&self) -> String {
        format!(
            "/apis/source.toolkit.fluxcd.io/v1/namespaces/{}/externalartifacts",
            self.stage.namespace
        )
    }

    /// Runs `leadsman` with a release of the artifact, which is not there yet.
    fn start(stage: Stage) -> Self {
        let mut keeper = Self { stage, server: Repository::start() };
        keeper.stage.run(RELEASE);
        keeper
    }

    async fn create(&self) {
        let object = json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "ExternalArtifact",
            "metadata": {"name": "web"},
            "spec": {"sourceRef": {"kind": "ArtifactGenerator", "name": "all"}}});
        // `leadsman` makes the kind known.
        until("it is created", SOON, async || {
            let created = self.stage.api.create(&self.path(), &object).await;
            created.map(drop).map_err(|refused| refused.status.to_string())
        })
        .await;
    }

    /// Stores a version of the chart `web`, and says so with what its digest is told to be.
    async fn keep(
        &self,
        (version, fate): (&str, &str),
        revision: &str,
        digest: impl FnOnce(&[u8]) -> String,
    ) -> String {
        let package = web(version, fate);
        let (path, size) = (format!("external/{}", package.file), package.bytes.len());
        let (sum, digest) = (sha256(&package.bytes), digest(&package.bytes));
        let revision = revision.replace("DIGEST", &sum);
        let url = format!("{}/{path}", self.server.url());
        self.server.put(&path, package.bytes);
        let artifact = json!({"path": path, "url": url, "revision": revision, "digest": digest,
            "size": size, "lastUpdateTime": "2026-01-01T00:00:00Z"});
        let place = format!("{}/web/status", self.path());
        self.stage.api.merge(&place, &json!({"status": {"artifact": artifact}})).await;
        revision
    }
}

fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&sha2::Sha256::digest(bytes)))
}

fn sha512(bytes: &[u8]) -> String {
    format!("sha512:{}", hex(&sha2::Sha512::digest(bytes)))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_of_another_controller_is_followed_on_a_real_server() {
    let Some(stage) = Stage::real("external", SOURCES).await else { return };
    let keeper = Keeper::start(stage);
    let stage = &keeper.stage;
    let words =
        "could not get Source object: ExternalArtifact.source.toolkit.fluxcd.io \"web\" not found";
    stage.refuses(RELEASES, "ArtifactFailed", words).await;
    keeper.create().await;
    let name = &stage.namespace;
    let words = format!("ExternalArtifact '{name}/web' is not ready: does not have an artifact");
    stage.refuses(RELEASES, "SourceNotReady", &words).await;
    // A revision without a digest adds nothing to the version.
    keeper.keep(("1.0.0", ""), "1.0.0", sha256).await;
    let release = stage.runs("1.0.0").await;
    assert_eq!(release["status"]["lastAttemptedRevision"], "1.0.0");
    assert!(release["status"].get("lastAttemptedRevisionDigest").is_none(), "{release}");
    keeper.keep(("2.0.0", ""), "2.0.0", sha512).await;
    stage.runs("2.0.0").await;
    // One with a digest does, and is recorded whole where its tag is no version.
    let revision = keeper.keep(("2.1.0", ""), "latest@DIGEST", sha256).await;
    let digits = &revision["latest@sha256:".len()..][..12];
    let release = stage.runs(&format!("2.1.0+{digits}")).await;
    assert_eq!(release["status"]["lastAttemptedRevisionDigest"], json!(revision));
    assert_eq!(release["status"]["history"][0]["ociDigest"], json!(revision));
    // One that never becomes ready is rolled back to what ran before.
    keeper.keep(("2.2.0", "unready"), "latest@DIGEST", sha256).await;
    until("2.2.0 is rolled back", SOON, async || {
        let release = stage.release().await;
        let held = condition(&release, "VersionHeld").is_some_and(|c| c["reason"] == "Quarantine");
        let back = held && release["status"]["history"][0]["action"] == "rollback";
        if back { Ok(()) } else { Err(release["status"].to_string()) }
    })
    .await;
    stage.runs(&format!("2.1.0+{digits}")).await;
    // What its keeper puts there is taken, also where it leads back.
    keeper.keep(("1.0.0", ""), "1.0.0", sha256).await;
    stage.runs("1.0.0").await;
    // Each was asked for once.
    let asked = keeper.server.asked();
    assert_eq!(asked.iter().filter(|asked| asked.path.ends_with("web-2.1.0.tgz")).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_artifact_is_refused_and_heals() {
    let keeper = Keeper::start(Stage::simulated("external", SOURCES).await);
    let stage = &keeper.stage;
    keeper.create().await;
    keeper.keep(("1.0.0", ""), "1.0.0", sha256).await;
    stage.runs("1.0.0").await;
    let rows = [
        (Fault::Status(404), "Could not load chart: fetch `"),
        (Fault::Status(500), "500 Internal Server Error"),
        (Fault::Half, "integrity failure of `"),
        (Fault::Body("else".into()), "computed digest doesn't match 'sha256:"),
        (Fault::CutOff, "the connection broke"),
        (Fault::Oversized(11 << 20), "larger than 10485760 bytes"),
    ];
    for (number, (fault, words)) in rows.into_iter().enumerate() {
        let version = format!("1.{}.0", number + 1);
        keeper.server.misbehave(&format!("/external/web-{version}.tgz"), fault);
        keeper.keep((&version, ""), &version, sha256).await;
        stage.refuses(RELEASES, "ArtifactFailed", words).await;
        keeper.server.behave();
        stage.runs(&version).await;
    }
    type Digested = fn(&[u8]) -> String;
    let wrong: [(Digested, &str); 2] = [
        (|_| format!("sha256:{}", "0".repeat(64)), "computed digest doesn't match 'sha256:0000"),
        (|_| "blake3:00".to_owned(), "is none of sha256, sha384 or sha512"),
    ];
    for (digest, words) in wrong {
        keeper.keep(("3.0.0", ""), "3.0.0", digest).await;
        let release = stage.refuses(RELEASES, "ArtifactFailed", words).await;
        assert_eq!(release["status"]["history"][0]["status"], "deployed", "{release}");
    }
    let revision = keeper.keep(("3.0.0", ""), "4.0.0@DIGEST", sha256).await;
    assert!(revision.starts_with("4.0.0@sha256:"));
    let words = "artifact revision 4.0.0 does not match chart version 3.0.0";
    stage.refuses(RELEASES, "ChartMutateError", words).await;
    keeper.keep(("3.0.0", ""), "3.0.0@DIGEST", sha256).await;
    let release: Value = stage.runs("3.0.0+").await;
    let digest = release["status"]["lastAttemptedRevisionDigest"].as_str().unwrap().to_owned();
    assert!(digest.starts_with("sha256:"), "{digest}");
}
