//! The harness itself: the real parts start, Pods fare as told, the loopback servers behave and
//! misbehave as told, the proxy strikes at the call it was told.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::api::{Api, condition};
use crate::support::control_plane::ControlPlane;
use crate::support::corpus::corpus;
use crate::support::fault::Fault;
use crate::support::fixtures;
use crate::support::helm::Helm;
use crate::support::pack::Package;
use crate::support::process::Kept;
use crate::support::proxy::{Moment, Proxy};
use crate::support::repository::Repository;
use crate::support::wait::{SOON, until, until_blocking};

fn pod(name: &str, namespace: &str, annotations: &Value, policy: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
        "spec": {"restartPolicy": policy, "containers": [{"name": "c", "image": "example/c:1"}]},
    })
}

#[tokio::test]
async fn pods_fare_as_annotated() {
    let Some(cluster) = ControlPlane::shared() else { return };
    let api = cluster.api().await;
    let namespace = api.create_namespace("fates").await;
    let rows: &[(&str, Value, &str, &str, &str)] = &[
        ("ready", json!({}), "Always", "Running", "True running"),
        ("job", json!({}), "Never", "Succeeded", "True terminated"),
        ("image", json!({"test/fail": "image"}), "Always", "Pending", "False ImagePullBackOff"),
        ("crash", json!({"test/fail": "crash"}), "Always", "Running", "False CrashLoopBackOff"),
        ("unready", json!({"test/fail": "unready"}), "Always", "Running", "False running"),
        ("fail", json!({"test/fail": "fail"}), "Never", "Failed", "False terminated"),
        ("slow", json!({"test/delay": "1s"}), "Always", "Running", "True running"),
    ];
    for (name, annotations, policy, _, _) in rows {
        api.apply(&pod(name, &namespace, annotations, policy)).await;
    }
    for (name, _, _, phase, wanted) in rows {
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
        until(name, SOON, async || {
            let pod = api.get(&path).await.unwrap_or_default();
            let state = &pod["status"]["containerStatuses"][0]["state"];
            let reason = state["waiting"]["reason"].as_str();
            let key = || state.as_object().and_then(|s| s.keys().next()).map(String::as_str);
            let ready = condition(&pod, "Ready").and_then(|c| c["status"].as_str());
            let seen = format!("{} {}", ready.unwrap_or("-"), reason.or_else(key).unwrap_or("-"));
            let is_it = pod["status"]["phase"] == *phase && seen == *wanted;
            if is_it { Ok(()) } else { Err(format!("{seen}; {}", pod["status"])) }
        })
        .await;
    }
}

#[tokio::test]
async fn helm_installs_podinfo_and_its_deployment_becomes_available() {
    let (Some(cluster), Some(helm), Some(corpus)) =
        (ControlPlane::shared(), Helm::find(), corpus())
    else {
        return;
    };
    let api = cluster.api().await;
    let namespace = api.create_namespace("podinfo").await;
    let helm = helm.kubeconfig(&cluster.kubeconfig());
    let chart = corpus.package("podinfo", "podinfo-6.9.0");
    let chart = chart.to_str().unwrap();
    let arguments = ["install", "web", chart, "-n", &namespace, "--wait", "--timeout", "60s"];
    let installed = helm.json(&arguments).await;
    assert_eq!(installed["info"]["status"], "deployed");
    let listed = helm.json(&["list", "-n", &namespace]).await;
    assert_eq!(listed[0]["chart"], "podinfo-6.9.0");
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/web-podinfo");
    let deployment = api.get(&path).await.unwrap();
    assert_eq!(condition(&deployment, "Available").unwrap()["status"], "True");
    helm.ok(&["uninstall", "web", "-n", &namespace, "--wait"]).await;
    assert_eq!(api.get(&path).await, None);
}

#[tokio::test]
async fn the_proxy_strikes_at_the_call_it_was_told() {
    let Some(cluster) = ControlPlane::shared() else { return };
    let direct = cluster.api().await;
    let namespace = direct.create_namespace("proxy").await;
    let proxy = Proxy::start(&cluster.kubeconfig());
    let api = Api::connect(&proxy.kubeconfig()).await;
    let maps = format!("/api/v1/namespaces/{namespace}/configmaps");
    let map = |name: &str| json!({"metadata": {"name": name}});
    let exists = async |name: &str| direct.get(&format!("{maps}/{name}")).await.is_some();

    api.create(&maps, &map("one")).await.unwrap();
    let (struck, strike) = std::sync::mpsc::channel();
    proxy.at(2, Moment::Before, move || struck.send(()).unwrap());
    api.create(&maps, &map("two")).await.unwrap();
    api.create(&format!("{maps}?dryRun=All"), &map("dry")).await.unwrap();
    assert!(strike.try_recv().is_err(), "a dry run is no change");
    assert_eq!(api.create(&maps, &map("three")).await.unwrap_err().code, 503);
    strike.try_recv().expect("the callback has run");
    assert!(exists("two").await && !exists("three").await);

    proxy.at(1, Moment::After, || ());
    assert_eq!(api.create(&maps, &map("four")).await.unwrap_err().code, 503);
    assert!(exists("four").await && !proxy.is_armed());
    assert_eq!(proxy.changes(), 4);
}

#[tokio::test]
async fn the_proxy_streams_watches() {
    let Some(cluster) = ControlPlane::shared() else { return };
    let direct = cluster.api().await;
    let namespace = direct.create_namespace("watch").await;
    let proxy = Proxy::start(&cluster.kubeconfig());
    let through = Api::connect(&proxy.kubeconfig()).await.client();
    let maps = format!("/api/v1/namespaces/{namespace}/configmaps");
    let watch = http::Request::get(format!("{maps}?watch=1&timeoutSeconds=50")).body(Vec::new());
    let events = through.request_events::<Value>(watch.unwrap()).await.unwrap();
    let mut events = std::pin::pin!(events);
    for name in ["first", "second"] {
        direct.create(&maps, &json!({"metadata": {"name": name}})).await.unwrap();
        let next = async {
            while let Some(event) = futures::StreamExt::next(&mut events).await {
                if let kube::api::WatchEvent::Added(object) = event.unwrap()
                    && object["metadata"]["name"] == name
                {
                    return true;
                }
            }
            false
        };
        // The watch itself would only end after 50 seconds: an event on time was streamed.
        assert!(tokio::time::timeout(Duration::from_secs(20), next).await.unwrap(), "{name}");
    }
}

#[test]
fn nothing_outlives_the_test_process() {
    let folder = tempfile::tempdir().unwrap();
    let command = || {
        let mut command = std::process::Command::new("sleep");
        command.arg("600");
        command
    };
    let is_alive = |id: u32| {
        let state = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        !(state.is_empty() || state.contains(") Z "))
    };
    let kept = Kept::spawn(command(), &folder.path().join("log"));
    let id = kept.id();
    assert!(is_alive(id));
    drop(kept);
    until_blocking("the kept child is gone", SOON, || !is_alive(id));

    // The supervisor of the control plane, whose pipe closes as if this process had died.
    let state = folder.path().join("state");
    std::fs::create_dir(&state).unwrap();
    std::fs::write(state.join("part.cmd"), "exec sleep 600\n").unwrap();
    let script = crate::support::root().join("tests/it/support/supervisor.sh");
    let mut shell = std::process::Command::new("sh");
    shell.arg(script).arg(&state).stdin(std::process::Stdio::piped());
    let mut shell = shell.spawn().unwrap();
    let mut orders = shell.stdin.take().unwrap();
    std::io::Write::write_all(&mut orders, b"start part\n").unwrap();
    let id = until_blocking("the part runs", SOON, || {
        let id: u32 = std::fs::read_to_string(state.join("part.pid")).ok()?.trim().parse().ok()?;
        is_alive(id).then_some(id)
    });
    drop(orders);
    shell.wait().unwrap();
    assert!(!is_alive(id), "the part was killed");
    assert!(!state.exists(), "its folder was removed");
}

#[tokio::test]
async fn the_repository_serves_what_is_published() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let repository = Repository::start();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    repository.publish_folder(&fixtures().join("charts/web/1.0.0"));
    repository.publish_folder(&fixtures().join("charts/web/1.1.0"));
    let index_url = format!("{}/index.yaml", repository.url());
    let answer = client.get(&index_url).send().await.unwrap();
    let tag = answer.headers()["etag"].clone();
    let index: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(index["entries"]["web"][0]["version"], "1.1.0");
    let package = Package::folder(&fixtures().join("charts/web/1.1.0"));
    assert_eq!(index["entries"]["web"][0]["digest"], package.digest());

    let again = client.get(&index_url).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(again.status(), 304);
    repository.remove("web-1.1.0.tgz");
    let again = client.get(&index_url).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(again.status(), 200);
    assert_eq!(
        (repository.count("/index.yaml", 304), repository.count("/index.yaml", 200)),
        (1, 2)
    );

    repository.require("user", "word");
    assert_eq!(client.get(&index_url).send().await.unwrap().status(), 401);
    let known = client.get(&index_url).basic_auth("user", Some("word")).send().await.unwrap();
    assert_eq!(known.status(), 200);
}

#[tokio::test]
async fn the_repository_misbehaves_on_demand() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let repository = Repository::start_tls();
    repository.publish_folder(&fixtures().join("charts/web/1.0.0"));
    let authority = reqwest::Certificate::from_pem(repository.authority().unwrap().as_bytes());
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([authority.unwrap()])
        .timeout(Duration::from_secs(1))
        .build()
        .unwrap();
    let fetch = async || {
        let answer = client.get(format!("{}/index.yaml", repository.url())).send().await;
        let answer = answer.map_err(|error| kind(&error))?;
        let status = answer.status().as_u16();
        let body = answer.bytes().await.map_err(|error| kind(&error))?;
        Ok::<_, &str>((status, body.len()))
    };
    let (_, whole) = fetch().await.unwrap();
    let rows = [
        (Fault::Status(500), Ok((500, 11))),
        (Fault::Unauthorized, Ok((401, 12))),
        (Fault::TooManyRequests("7"), Ok((429, 9))),
        (Fault::Hang, Err("timeout")),
        (Fault::RedirectLoop, Err("redirect")),
        (Fault::Empty, Ok((200, 0))),
        (Fault::CutOff, Err("body")),
        (Fault::Half, Ok((200, whole / 2))),
        (Fault::Body("x".into()), Ok((200, 1))),
    ];
    for (fault, wanted) in rows {
        let name = format!("{fault:?}");
        repository.misbehave("/index.yaml", fault);
        assert_eq!(fetch().await, wanted, "{name}");
        repository.behave();
    }
    repository.misbehave_times("*", Fault::Html, 1);
    assert_ne!(fetch().await.unwrap().1, whole);
    assert_eq!(fetch().await, Ok((200, whole)));
}

fn kind(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "timeout"
    } else if error.is_redirect() {
        "redirect"
    } else if error.is_body() || error.is_decode() || error.is_request() {
        "body"
    } else {
        "other"
    }
}

#[test]
fn packing_is_deterministic_and_reads_back() {
    let folder = fixtures().join("charts/web/1.0.0");
    let (one, two) = (Package::folder(&folder), Package::folder(&folder));
    assert_eq!(one.digest(), two.digest());
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join(&one.file);
    std::fs::write(&path, &one.bytes).unwrap();
    let read = Package::read(&path);
    assert_eq!((read.metadata, read.file), (one.metadata, "web-1.0.0.tgz".to_owned()));
}
