//! What a bucket, its server or what is said of them may have wrong.

use serde_json::{Value, json};

use super::{SOURCES, World, both};
use crate::support::api::condition;
use crate::support::bucket::{BUCKET, Bucket, KEYS};
use crate::support::fault::Fault;
use crate::support::repository::Repository;

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_stops_nothing_that_runs() {
    let Some(mut world) = World::start().await else { return };
    let first = world.web("1.0.0", "", &[]).await;
    world.run(&both());
    world.runs("1.0.0").await;
    world.server.bucket.misbehave("", Some(Fault::Status(500)));
    let words = "failed to confirm existence of 'shop' bucket: ";
    let source = world.refuses(SOURCES, "BucketOperationFailed", words).await;
    let said = condition(&source, "FetchFailed").unwrap()["message"].as_str().unwrap().to_owned();
    assert!(said.contains("the server is at fault"), "{said}");
    assert!(!said.contains("X-Amz") && !said.contains('?'), "{said}");
    // What was fetched stays.
    assert_eq!(source["status"]["artifact"]["revision"], json!(first));
    world.outlasts("the server is at fault").await;
    world.server.bucket.misbehave("", None);
    world.runs("1.0.0").await;
    let event = format!(
        "stored artifact with {} fetched files from '{BUCKET}' bucket",
        world.server.etags.len()
    );
    world.has_event("Succeeded", &event).await;
    world.web("1.1.0", "", &[]).await;
    world.runs("1.1.0").await;
}

/// Changes the source, row by row, and checks what it says; the artifact stays.
async fn mistakes(world: &World, revision: &str, rows: &[(Value, &str, &str)]) {
    let (name, endpoint) = (&world.namespace, world.server.bucket.endpoint());
    for (change, reason, words) in rows {
        let words = words.replace("NAMESPACE", name).replace("ENDPOINT", &endpoint);
        world.change(SOURCES, "web", &json!({"spec": change})).await;
        let source = world.refuses(SOURCES, reason, &words).await;
        assert_eq!(source["status"]["artifact"]["revision"], json!(revision));
        assert!(!source["status"].to_string().contains(KEYS.1), "{source}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_read_a_bucket_is_told() {
    let Some(mut world) = World::start().await else { return };
    let first = world.web("1.0.0", "", &[]).await;
    world.run(&both());
    world.runs("1.0.0").await;
    world.secret("wrong", &json!({"accesskey": KEYS.0, "secretkey": "wrong"})).await;
    world.secret("nobody", &json!({"accesskey": "nobody", "secretkey": "wrong"})).await;
    world.secret("half", &json!({"accesskey": KEYS.0})).await;
    let secret = |name: &str| json!({"secretRef": {"name": name}});
    let (failed, denied) = ("BucketOperationFailed", "AuthenticationFailed");
    let rows = [
        (
            secret("wrong"),
            failed,
            "failed to confirm existence of 'shop' bucket: `http://ENDPOINT/shop/`: ",
        ),
        (secret("wrong"), failed, "(SignatureDoesNotMatch, 403 Forbidden): check `accesskey`"),
        (secret("nobody"), failed, "No user exists with the provided access key ID"),
        (
            secret("half"),
            denied,
            "invalid 'half' secret data: required fields 'accesskey' and 'secretkey'",
        ),
        (
            secret("none"),
            denied,
            "failed to get secret 'NAMESPACE/none': secrets \"none\" not found",
        ),
        (json!({"secretRef": null}), failed, "Access Denied. (AccessDenied, 403 Forbidden)"),
    ];
    mistakes(&world, &first, &rows).await;
    // A bucket may be open to everybody.
    world.server.bucket.open().await;
    world.stored(&first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_bucket_is_said() {
    let Some(mut world) = World::start().await else { return };
    let first = world.web("1.0.0", "", &[]).await;
    world.run(&both());
    world.runs("1.0.0").await;
    world.secret("other", &json!({"username": "me"})).await;
    let (failed, denied) = ("BucketOperationFailed", "AuthenticationFailed");
    let rows = [
        (
            json!({"proxySecretRef": {"name": "other"}}),
            denied,
            "failed to get proxy URL: secret 'NAMESPACE/other': `address` of the proxy is missing",
        ),
        (
            json!({"proxySecretRef": null, "certSecretRef": {"name": "other"}}),
            denied,
            "failed to get TLS config: secret 'NAMESPACE/other' must contain either 'ca.crt' or both",
        ),
        (json!({"certSecretRef": null, "bucketName": "none"}), failed, "bucket 'none' not found"),
        (
            json!({"bucketName": "shop", "endpoint": "http://x"}),
            "URLInvalid",
            "endpoint 'http://x' has a scheme",
        ),
        (
            // Nobody listens there.
            json!({"endpoint": "127.0.0.1:1"}),
            failed,
            "failed to confirm existence of 'shop' bucket: fetch `http://127.0.0.1:1/shop/`: ",
        ),
        (
            json!({"endpoint": world.server.bucket.endpoint(), "provider": "gcp"}),
            "Unsupported",
            "spec.provider gcp",
        ),
        (
            json!({"provider": "aws", "secretRef": null}),
            "Unsupported",
            "spec.provider aws without spec.secretRef",
        ),
        (
            json!({"provider": "generic", "sts": {"provider": "ldap", "endpoint": "https://x"}}),
            "Unsupported",
            "spec.sts",
        ),
        (
            json!({"sts": null, "secretRef": {"name": "login"}, "region": "eu-west-9"}),
            failed,
            "check spec.endpoint, spec.region",
        ),
    ];
    mistakes(&world, &first, &rows).await;
    world.change(SOURCES, "web", &json!({"spec": {"region": null}})).await;
    world.stored(&first).await;
    let source = world.source().await;
    assert!(condition(&source, "FetchFailed").is_none(), "{source}");
    assert!(condition(&source, "Stalled").is_none(), "{source}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_store_does_wrong_leaves_the_artifact_that_there_is() {
    let Some(mut world) = World::start().await else { return };
    let first = world.web("1.0.0", "", &[]).await;
    world.run(&both());
    world.runs("1.0.0").await;
    let other = Repository::start();
    let key = "charts/web/values.yaml";
    let get = format!("fetch from bucket 'shop' failed: failed to get '{key}' object: ");
    let list = |keys: &[&str]| {
        let keys = keys.iter().map(|key| format!("<Contents><Key>{key}</Key></Contents>"));
        let list = format!("<ListBucketResult>{}</ListBucketResult>", keys.collect::<String>());
        Fault::Body(list.into())
    };
    let rows = [
        ("", list(&["../../a"]), "failed to get '../../a' object: its key is no path of a file"),
        ("", list(&["a/b", "a"]), "objects 'a' and 'a/b' cannot both be files of one folder"),
        ("", Fault::Html, "the answer is no list of objects"),
        ("", Fault::Empty, "the answer is no list of objects"),
        ("", Fault::CutOff, "the connection broke"),
        ("", Fault::Half, "the answer is no list of objects"),
        ("", Fault::Status(401), "401 Unauthorized: check `accesskey` and `secretkey`"),
        ("", Fault::Status(404), "404 Not Found: check spec.endpoint"),
        ("", Fault::Status(410), "410 Gone: check spec.endpoint"),
        ("", Fault::TooManyRequests("1"), "429 Too Many Requests: the server is at fault"),
        ("", Fault::RedirectLoop, "more than 10 redirects"),
        ("", Fault::Redirect(other.url()), "404 Not Found: check spec.endpoint"),
        (key, Fault::CutOff, &get),
        (key, Fault::Status(401), &get),
        (key, Fault::Status(403), &get),
        (key, Fault::Status(410), &get),
        (key, Fault::Status(503), &get),
        (key, Fault::Oversized(101 << 20), &get),
        (key, Fault::Half, "bytes came, not "),
        (key, Fault::Empty, "0 bytes came, not "),
    ];
    for (number, (key, fault, words)) in rows.into_iter().enumerate() {
        world.server.bucket.misbehave(key, Some(fault.clone()));
        let more = format!("replicas: 1\nmessage: m{number}\n");
        let revision = world.web("1.0.0", "", &[("charts/web/values.yaml", &more)]).await;
        let source = world.refuses(SOURCES, "BucketOperationFailed", words).await;
        assert_ne!(source["status"]["artifact"]["revision"], json!(revision), "{fault:?}");
        world.server.bucket.misbehave(key, None);
        world.stored(&revision).await;
    }
    assert_ne!(world.source().await["status"]["artifact"]["revision"], json!(first));
    // Who was led to is not told the signature.
    let asked = other.asked();
    assert!(!asked.is_empty() && asked.iter().all(|asked| asked.query.is_empty()), "{asked:?}");
    // A store that does not answer is waited for no longer than was said.
    world.change(SOURCES, "web", &json!({"spec": {"timeout": "1s"}})).await;
    world.server.bucket.misbehave("", Some(Fault::Hang));
    world.refuses(SOURCES, "BucketOperationFailed", "not answered in full within 1 s").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_taken_within_limits() {
    let Some(mut world) = World::start().await else { return };
    let first = world.web("1.0.0", "", &[]).await;
    world.run(&both());
    world.stored(&first).await;
    let rows = [
        ("entries=3", "fetch from bucket 'shop' failed: too many objects: the limit entries is 3 "),
        ("unpacked=100", "fetch from bucket 'shop' failed: the objects are too large: the limit "),
    ];
    for (number, (limit, words)) in rows.into_iter().enumerate() {
        world.restart_with(&["--limit", limit]);
        world.web("1.0.0", "", &[("more.txt", &number.to_string())]).await;
        let source = world.refuses(SOURCES, "BucketOperationFailed", words).await;
        assert_eq!(source["status"]["artifact"]["revision"], json!(first));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_trusted_by_its_authority() {
    let Some(bucket) = Bucket::start_tls() else { return };
    let Some(mut world) = World::over(bucket).await else { return };
    let revision = world.web("1.0.0", "", &[]).await;
    let authority = world.server.bucket.authority().unwrap().to_owned();
    world.run(&both().replace("insecure: true", "insecure: false"));
    world.refuses(SOURCES, "BucketOperationFailed", "TLS: ").await;
    world.secret("ca", &json!({"ca.crt": authority})).await;
    world.change(SOURCES, "web", &json!({"spec": {"certSecretRef": {"name": "ca"}}})).await;
    world.stored(&revision).await;
    world.runs("1.0.0").await;
    // Without TLS nobody answers there.
    world.change(SOURCES, "web", &json!({"spec": {"insecure": true}})).await;
    world.refuses(SOURCES, "BucketOperationFailed", "failed to confirm existence").await;
}
