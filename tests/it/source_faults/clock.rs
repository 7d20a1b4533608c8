//! Clocks that are wrong: this machine's is behind, ahead, or put back.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Response;
use leadsman::base::class::{Class, chain};
use leadsman::base::clock::{Clock, Timestamp};
use leadsman::base::secret::Secret;
use leadsman::repo::{Repositories, RepositorySpec};
use leadsman::source::oci::{self, Credential, Keys};
use leadsman::source::{Fetcher, Mirrors, s3};

use crate::support::bucket::{BUCKET, Bucket, KEYS};
use crate::support::serve::Server;

const HOUR: Duration = Duration::from_secs(3600);
const TIMEOUT: Duration = Duration::from_secs(20);

/// A clock that a test sets.
#[derive(Debug)]
struct Hands(Mutex<Timestamp>);

impl Hands {
    fn at(time: Timestamp) -> Arc<Self> {
        Arc::new(Self(Mutex::new(time)))
    }

    fn set(&self, time: Timestamp) {
        *self.0.lock().unwrap() = time;
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

fn fetcher(clock: &Arc<Hands>) -> Fetcher {
    Fetcher::new(Mirrors::default()).unwrap().with_clock(Arc::clone(clock) as _)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_store_that_has_another_time_is_told_as_such() {
    let Some(bucket) = Bucket::start() else { return };
    bucket.put("a.txt", "1").await;
    let now = Timestamp::now();
    let clock = Hands::at(now);
    let fetcher = fetcher(&clock);
    let access = s3::Access {
        endpoint: bucket.url().parse().unwrap(),
        bucket: BUCKET.to_owned(),
        region: "us-east-1".to_owned(),
        keys: Some(s3::Keys { access: KEYS.0.to_owned(), secret: Secret::new(KEYS.1.to_owned()) }),
        tls: None,
        proxy: None,
        timeout: TIMEOUT,
    };
    let remote = s3::Remote::new(&fetcher, &access);
    // What is signed is too old when it comes.
    clock.set(now - HOUR);
    let error = remote.find("", None).await.unwrap_err();
    let text = chain(&error);
    assert!(text.contains("check the clocks of this machine and of the server"), "{text}");
    assert_eq!(error.class(), Class::Retry);
    clock.set(Timestamp::now());
    assert_eq!(remote.find("", None).await.unwrap().index.len(), 1);
}

#[tokio::test]
async fn tags_of_a_time_to_come_are_asked_for_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let tags = move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Response::new(Body::from("{\"name\":\"charts/web\",\"tags\":[\"1.0.0\"]}")) }
    };
    let server = Server::http(Router::new().fallback(tags));
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let clock = Hands::at(now);
    let cache = tempfile::tempdir().unwrap();
    let repositories = Repositories::new(fetcher(&clock), cache.path());
    let registry = oci::Access {
        plain_http: true,
        keys: Keys::Fixed(Credential::default()),
        tls: None,
        proxy: None,
        timeout: TIMEOUT,
        retries: 0,
    };
    let spec = RepositorySpec {
        url: format!("{}/charts", server.url().replace("http://", "oci://")).parse().unwrap(),
        timeout: TIMEOUT,
        credentials: None,
        tls: None,
        registry: Some(registry),
    };
    // When it is asked, and how often it was asked by then.
    let rows = [(now, 1), (now + HOUR / 2, 1), (now + 2 * HOUR, 2), (now - HOUR, 3), (now, 4)];
    for (time, want) in rows {
        clock.set(time);
        repositories.list(&spec, "web", ("1.x", HOUR)).await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), want, "{time}");
    }
}
