//! `OCIRepository` objects: how the registry is asked, and which files of a layer are taken.

use std::time::Duration;

use bytes::Bytes;
use leadsman::base::digest::Digest;
use leadsman::repo::{ArtifactPart, LayerFiles, Repositories};
use leadsman::source::oci::{Access, Credential, Descriptor, Keys, Manifest, Reference, Session};
use leadsman::source::{Fetcher, Mirrors};
use serde_json::{Value, json};

use crate::support::api::condition;
use crate::support::chart::{web, web_with};
use crate::support::git::Git;
use crate::support::pack::entries;
use crate::support::registry::{Auth, Registry};
use crate::support::socks::Socks;
use crate::support::stage::{RELEASES, Stage};
use crate::support::wait::{SOON, until};

const SOURCES: &str = "source.toolkit.fluxcd.io/v1/ocirepositories";

const SOURCE: &str = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {name: web, namespace: NAMESPACE}\n\
    spec:\n  interval: 1s\n  timeout: 20s\n  url: \"oci://ADDRESS/charts/web\"\n  ref: {tag: \"1.0.0\"}\n";

const RELEASE: &str = "---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: web, namespace: NAMESPACE}\n\
    spec:\n  interval: 1s\n  timeout: 6s\n  chartRef: {kind: OCIRepository, name: web}\n";

/// Runs `leadsman` with the source, whose spec has further lines, and a release of it.
fn run(stage: &mut Stage, registry: &Registry, more: &str) {
    stage.run(&(SOURCE.replace("ADDRESS", registry.address()) + more + RELEASE));
}

async fn push(stage: &Stage, registry: &Registry, bytes: &[u8], login: &[&str]) {
    std::fs::write(stage.leadsman.folder().join("web-1.0.0.tgz"), bytes).unwrap();
    let to = registry.oci("charts");
    let arguments = [&["push", "web-1.0.0.tgz", &to][..], login].concat();
    stage.leadsman.run(&arguments).await.success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_shows_a_certificate_of_an_authority_that_a_secret_names() {
    let Some(registry) = Registry::start_tls() else { return };
    let Some(mut stage) = Stage::real("oci-tls", SOURCES).await else { return };
    let authority = registry.authority().unwrap().to_owned();
    let file = stage.leadsman.file("ca.pem", &authority);
    let login = ["--ca-file", file.to_str().unwrap()];
    push(&stage, &registry, &web("1.0.0", "").bytes, &login).await;
    run(&mut stage, &registry, "");
    let source = stage.refuses(SOURCES, "OCIArtifactPullFailed", "certificate").await;
    assert!(condition(&source, "FetchFailed").is_some(), "{source}");
    stage.secret("authority", &json!({"ca.crt": authority})).await;
    stage.secret("nothing", &json!({"x": "y"})).await;
    let named = |name: &str| json!({"spec": {"certSecretRef": {"name": name}}});
    stage.change(SOURCES, "web", &named("nothing")).await;
    let words = "it has neither `ca.crt` nor `tls.crt` and `tls.key`";
    stage.refuses(SOURCES, "AuthenticationFailed", words).await;
    stage.change(SOURCES, "web", &named("authority")).await;
    stage.runs("1.0.0+").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_lends_its_pull_secrets() {
    let Some(registry) = Registry::guarded(Auth::Password("me", "s3cret")) else { return };
    let mut stage = Stage::simulated("oci-account", SOURCES).await;
    let login = ["--plain-http", "--username", "me", "--password", "s3cret"];
    push(&stage, &registry, &web("1.0.0", "").bytes, &login).await;
    run(&mut stage, &registry, "  insecure: true\n  serviceAccountName: puller\n");
    let namespace = stage.namespace.clone();
    let words = format!("failed to get credential: serviceaccount '{namespace}/puller' not found");
    stage.refuses(SOURCES, "AuthenticationFailed", &words).await;
    let accounts = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "puller"}, "imagePullSecrets": [{"name": "pull"}]});
    stage.api.create(&accounts, &account).await.unwrap();
    let words = format!(
        "failed to get credential: failed to get image pull secret for serviceaccount '{namespace}/puller': secrets \"pull\" not found"
    );
    stage.refuses(SOURCES, "AuthenticationFailed", &words).await;
    let file = |password: &str| {
        let who = json!({"username": "me", "password": password});
        json!({".dockerconfigjson": json!({"auths": {registry.address(): who}}).to_string()})
    };
    stage.secret("pull", &file("wrong")).await;
    stage.refuses(SOURCES, "OCIArtifactPullFailed", "401").await;
    let secret = format!("/api/v1/namespaces/{namespace}/secrets/pull");
    stage.api.merge(&secret, &json!({"stringData": file("s3cret")})).await;
    stage.runs("1.0.0+").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_layer_are_left_out() {
    let Some(registry) = Registry::start() else { return };
    let mut stage = Stage::simulated("oci-ignore", SOURCES).await;
    let more = [("docs/a.md", "a"), ("ci/.sourceignore", "*.tmp\n"), ("ci/a.tmp", "a")];
    let package = web_with("1.0.0", "", &more);
    push(&stage, &registry, &package.bytes, &["--plain-http"]).await;
    run(&mut stage, &registry, "  insecure: true\n");
    stage.runs("1.0.0+").await;
    stage.restart_with(&["--storage-addr", "127.0.0.1:0"]);
    let files = async |is_it: &dyn Fn(&Value) -> bool| {
        let source = until("the artifact is stored", SOON, async || {
            let source = stage.source().await;
            let status = &source["status"];
            let served =
                status["artifact"]["url"].as_str().is_some_and(|url| url.starts_with("http"));
            let ready = condition(&source, "Ready").is_some_and(|c| c["status"] == "True");
            if served && ready && is_it(status) { Ok(source) } else { Err(status.to_string()) }
        })
        .await;
        let url = source["status"]["artifact"]["url"].as_str().unwrap();
        let packed = reqwest::get(url).await.unwrap().bytes().await.unwrap();
        (packed.to_vec(), entries(&packed).into_keys().collect::<Vec<_>>())
    };
    let has = |names: &[String], name: &str| names.iter().any(|one| one == name);
    let (_, names) = files(&|status| status["observedIgnore"].is_null()).await;
    assert!(has(&names, "web/docs/a.md") && !has(&names, "web/ci/a.tmp"), "{names:?}");
    let ignore = json!({"spec": {"ignore": "docs/\n"}});
    stage.change(SOURCES, "web", &ignore).await;
    let (_, names) = files(&|status| status["observedIgnore"] == "docs/\n").await;
    let needed = ["web/Chart.yaml", "web/templates/deployment.yaml"];
    assert!(needed.iter().all(|name| has(&names, name)), "{names:?}");
    assert!(!has(&names, "web/docs/a.md") && !has(&names, "web/ci/a.tmp"), "{names:?}");
    // The release is of the same version, and runs on.
    stage.runs("1.0.0+").await;
    // Of a layer that is taken as it is no file is left out, as for Flux.
    stage.change(SOURCES, "web", &json!({"spec": {"layerSelector": {"operation": "copy"}}})).await;
    let (bytes, _) = files(&|status| status["observedLayerSelector"]["operation"] == "copy").await;
    assert_eq!(bytes, package.bytes);
    // Nor does a chart work without what it needs.
    let none = json!({"spec": {"ignore": "Chart.yaml\n", "layerSelector": null}});
    stage.change(SOURCES, "web", &none).await;
    stage.refuses(RELEASES, "ArtifactFailed", "Could not load chart").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_asked_through_a_socks_proxy() {
    let (Some(registry), Some(git)) = (Registry::start(), Git::start()) else { return };
    let mut stage = Stage::simulated("oci-proxy", SOURCES).await;
    let socks = Socks::start();
    push(&stage, &registry, &web("1.0.0", "").bytes, &["--plain-http"]).await;
    git.commit("first", &[("a.txt", "a")]);
    let proxy = json!({"address": socks.url(), "username": "me", "password": "s3cret"});
    stage.secret("proxy", &proxy).await;
    let repository = format!(
        "  insecure: true\n  proxySecretRef: {{name: proxy}}\n---\n\
         apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {{name: git, namespace: NAMESPACE}}\n\
         spec: {{interval: 1s, url: \"{}\", ref: {{branch: main}}, proxySecretRef: {{name: proxy}}}}\n",
        git.url()
    );
    run(&mut stage, &registry, &repository);
    stage.runs("1.0.0+").await;
    until("the commit is stored", SOON, async || {
        let source = stage.object("source.toolkit.fluxcd.io/v1/gitrepositories", "git").await;
        let stored = source["status"]["artifact"].is_object();
        if stored { Ok(()) } else { Err(source["status"].to_string()) }
    })
    .await;
    let asked = socks.asked();
    let place = git.url();
    let place = place.trim_start_matches("http://").trim_end_matches("/web.git");
    for address in [registry.address(), place] {
        assert!(asked.contains(&format!("me:s3cret {address}")), "{address}: {asked:?}");
    }
    let other = json!({"spec": {"proxySecretRef": {"name": "none"}}});
    stage.change(SOURCES, "web", &other).await;
    let words = "failed to get proxy address: secrets \"none\" not found";
    stage.refuses(SOURCES, "AuthenticationFailed", words).await;
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Puts an image of one layer, and returns how an index names it.
async fn put_image(session: &Session, to: &Reference, architecture: &str) -> Value {
    let (config, layer) = (Bytes::from_static(b"{}"), Bytes::from(architecture.to_owned()));
    for blob in [&config, &layer] {
        session.push_blob(to, blob).await.unwrap();
    }
    let manifest = Manifest {
        schema_version: 2,
        config: Descriptor::of("application/vnd.oci.image.config.v1+json", &config),
        layers: vec![Descriptor::of("application/octet-stream", &layer)],
        annotations: [("for".to_owned(), architecture.to_owned())].into(),
    };
    let bytes = Bytes::from(serde_json::to_vec(&manifest).unwrap());
    let digest = Digest::of(&bytes).to_string();
    session.push_manifest(&to.with(digest.as_str()), &bytes).await.unwrap();
    json!({"mediaType": MANIFEST, "digest": digest, "size": bytes.len(),
        "platform": {"os": "linux", "architecture": architecture}})
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_platforms_that_of_amd64_is_taken() {
    let Some(registry) = Registry::start() else { return };
    let keys = Keys::Fixed(Credential::default());
    let timeout = Duration::from_secs(20);
    let access = Access { plain_http: true, keys, tls: None, proxy: None, timeout, retries: 0 };
    let fetcher = Fetcher::new(Mirrors::default()).unwrap();
    let session = Session::new(&fetcher, access.clone());
    let place: Reference = format!("{}/charts/web", registry.address()).parse().unwrap();
    let mut images = Vec::new();
    for architecture in ["arm64", "amd64"] {
        images.push(put_image(&session, &place, architecture).await);
    }
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let cache = tempfile::tempdir().unwrap();
    let repositories = Repositories::new(fetcher, cache.path());
    let part = ArtifactPart { media_type: "", files: LayerFiles::All };
    for (tag, images) in [("all", &images[..]), ("one", &images[..1])] {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": images});
        let index = index.to_string();
        let url = format!("http://{}/v2/charts/web/manifests/{tag}", registry.address());
        let put = client.put(url).header("content-type", INDEX).body(index.clone());
        let answer = put.send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        let got = repositories.oci_artifact(&access, &place.with(tag), part).await;
        match (tag, got) {
            ("all", Ok((artifact, bytes))) => {
                assert_eq!(&bytes[..], b"amd64");
                // Its revision is that of all of them.
                assert_eq!(artifact.manifest, Digest::of(&index));
                assert_eq!(artifact.annotations["for"], "amd64");
            }
            ("one", Err(error)) => {
                let text = error.to_string();
                assert!(text.starts_with("no child with platform linux/amd64 in index "), "{text}");
            }
            (_, got) => panic!("{tag}: {got:?}"),
        }
    }
}
