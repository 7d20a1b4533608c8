//! A bucket in an object store of other people's making: Versity's S3 gateway over a folder, behind
//! a small bridge that notes what is asked and misbehaves when a test wants it to.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Response, header};
use rusty_s3::{Credentials, S3Action as _, UrlStyle};

use super::fault::Fault;
use super::process::Kept;
use super::serve::Server;
use super::{parts, port};

/// The bucket.
pub(crate) const BUCKET: &str = "shop";
/// Who may read it.
pub(crate) const KEYS: (&str, &str) = ("reader", "s3cret-key");

const START: Duration = Duration::from_secs(60);
/// How long an address is good.
const GOOD_FOR: Duration = Duration::from_secs(60);

/// A running store with one bucket; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Bucket {
    server: Server,
    shelf: Arc<Shelf>,
}

#[derive(Debug)]
struct Shelf {
    _process: Kept,
    folder: tempfile::TempDir,
    /// Where the store itself is.
    address: String,
    region: String,
    client: reqwest::Client,
    manner: Mutex<Manner>,
}

#[derive(Debug, Default)]
struct Manner {
    asked: Vec<String>,
    /// What is wrong with the answers about a key; of the list by an empty one.
    faults: BTreeMap<String, Fault>,
    /// What is put (or removed) once the next list was made.
    behind_the_list: Vec<(String, Option<String>)>,
    proxy_login: Option<String>,
}

impl Bucket {
    /// Starts one over HTTP, or says that the test is skipped.
    pub(crate) fn start() -> Option<Self> {
        Self::with("us-east-1", Server::http)
    }

    /// Starts one over HTTPS.
    pub(crate) fn start_tls() -> Option<Self> {
        Self::with("us-east-1", Server::https)
    }

    /// Starts one of another region than the usual one.
    pub(crate) fn start_in(region: &str) -> Option<Self> {
        Self::with(region, Server::http)
    }

    fn with(region: &str, serve: impl FnOnce(Router) -> Server) -> Option<Self> {
        let program = parts::store()?;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        for name in [&format!("data/{BUCKET}")[..], "notes"] {
            std::fs::create_dir_all(at(name)).unwrap();
        }
        let address = port::hold().local_addr().unwrap().to_string();
        let mut command = Command::new(program);
        command.args(["--port", &address, "--access", KEYS.0, "--secret", KEYS.1, "--quiet"]);
        command.args(["--region", region, "posix", "--sidecar", &at("notes"), &at("data")]);
        let log = folder.path().join("log");
        let process = Kept::spawn(command, &log);
        let deadline = Instant::now() + START;
        while TcpStream::connect(&address).is_err() {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            assert!(process.ended().is_none(), "the store ended: {said}");
            assert!(Instant::now() < deadline, "the store does not start: {said}");
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Each request has a connection of its own: it belongs to the runtime that asks.
        let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0);
        let client = client.redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let shelf = Arc::new(Shelf {
            _process: process,
            folder,
            address,
            region: region.to_owned(),
            client,
            manner: Mutex::default(),
        });
        let app = Router::new().fallback(answer).with_state(Arc::clone(&shelf));
        Some(Self { server: serve(app), shelf })
    }

    /// Returns host and port, as `spec.endpoint` names them.
    pub(crate) fn endpoint(&self) -> String {
        self.server.url().rsplit('/').next().unwrap().to_owned()
    }

    /// Lets everybody read it from now on.
    pub(crate) async fn open(&self) {
        let everything = [format!("arn:aws:s3:::{BUCKET}"), format!("arn:aws:s3:::{BUCKET}/*")];
        let policy = serde_json::json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject", "s3:ListBucket"],
            "Resource": everything,
        }]});
        let shelf = &self.shelf;
        let url = rusty_s3::signing::sign(
            &jiff::Timestamp::now(),
            rusty_s3::Method::Put,
            format!("http://{}/{BUCKET}", shelf.address).parse().unwrap(),
            KEYS.0,
            KEYS.1,
            None,
            &shelf.region,
            GOOD_FOR.as_secs(),
            [("policy", "")].into_iter(),
            std::iter::empty(),
        );
        let answer = shelf.client.put(url).body(policy.to_string()).send().await.unwrap();
        let status = answer.status();
        assert!(status.is_success(), "{status} {}", answer.text().await.unwrap());
    }

    /// Returns host and port of the store itself, without the bridge.
    pub(crate) fn store(&self) -> String {
        self.shelf.address.clone()
    }

    /// Returns the address of the bridge.
    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// Returns the authority's certificate in PEM, over HTTPS.
    pub(crate) fn authority(&self) -> Option<&str> {
        self.server.authority()
    }

    /// Stores an object; returns its `ETag`.
    pub(crate) async fn put(&self, key: &str, text: &str) -> String {
        self.shelf.change(key, Some(text)).await
    }

    /// Removes an object.
    pub(crate) async fn remove(&self, key: &str) {
        self.shelf.change(key, None).await;
    }

    /// Stores many small objects with one letter each, named `<folder>/0000.yaml` and so on, without
    /// asking the store.
    pub(crate) fn fill(&self, folder: &str, count: usize) {
        let place = self.shelf.folder.path().join(format!("data/{BUCKET}/{folder}"));
        std::fs::create_dir_all(&place).unwrap();
        for number in 0..count {
            std::fs::write(place.join(format!("{number:04}.yaml")), "x").unwrap();
        }
    }

    /// Puts or removes objects once the next list was made, before it is told.
    pub(crate) fn behind_the_list(&self, changes: &[(&str, Option<&str>)]) {
        let changes = changes.iter();
        let changes = changes.map(|(key, text)| ((*key).to_owned(), text.map(str::to_owned)));
        self.shelf.manner.lock().unwrap().behind_the_list = changes.collect();
    }

    /// Answers wrongly about a key from now on (about the list: the key is empty), or as it should.
    pub(crate) fn misbehave(&self, key: &str, fault: Option<Fault>) {
        let faults = &mut self.shelf.manner.lock().unwrap().faults;
        match fault {
            Some(fault) => faults.insert(key.to_owned(), fault),
            None => faults.remove(key),
        };
    }

    /// Returns the keys that were asked for so far; an empty one is a list.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.shelf.manner.lock().unwrap().asked.clone()
    }

    /// Returns what was said last to a proxy of who asks it.
    pub(crate) fn proxy_login(&self) -> Option<String> {
        self.shelf.manner.lock().unwrap().proxy_login.clone()
    }
}

impl Shelf {
    async fn change(&self, key: &str, text: Option<&str>) -> String {
        let endpoint = format!("http://{}", self.address).parse().unwrap();
        let bucket =
            rusty_s3::Bucket::new(endpoint, UrlStyle::Path, BUCKET, self.region.clone()).unwrap();
        let keys = Credentials::new(KEYS.0, KEYS.1);
        let call = match text {
            Some(text) => {
                let url = bucket.put_object(Some(&keys), key).sign(GOOD_FOR);
                self.client.put(url).body(text.to_owned())
            }
            None => self.client.delete(bucket.delete_object(Some(&keys), key).sign(GOOD_FOR)),
        };
        let answer = call.send().await.unwrap();
        let status = answer.status();
        let etag = answer.headers().get(header::ETAG);
        let etag = etag.map(|etag| etag.to_str().unwrap().trim_matches('"').to_owned());
        assert!(status.is_success(), "{key}: {status} {}", answer.text().await.unwrap());
        etag.unwrap_or_default()
    }

    /// Asks the store what the bridge is asked, by the same name: it is a part of what was signed.
    async fn honest(&self, asked: &str, host: &str) -> (u16, Vec<(String, String)>, Bytes) {
        let url = format!("http://{}{asked}", self.address);
        let answer = self.client.get(url).header(header::HOST, host).send().await.unwrap();
        let status = answer.status().as_u16();
        let kept = ["etag", "content-type", "x-amz-bucket-region"];
        let text = |name: &str| answer.headers().get(name)?.to_str().ok().map(str::to_owned);
        let headers = kept.iter().filter_map(|name| Some(((*name).to_owned(), text(name)?)));
        let headers = headers.collect();
        (status, headers, answer.bytes().await.unwrap())
    }
}

async fn answer(State(shelf): State<Arc<Shelf>>, request: Request) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let key = path.trim_start_matches(&format!("/{BUCKET}")).trim_start_matches('/').to_owned();
    let proxy = request.headers().get(header::PROXY_AUTHORIZATION);
    let proxy = proxy.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (fault, changes) = {
        let mut manner = shelf.manner.lock().unwrap();
        manner.asked.push(key.clone());
        manner.proxy_login = proxy.or(manner.proxy_login.take());
        let is_list = key.is_empty();
        let changes =
            if is_list { std::mem::take(&mut manner.behind_the_list) } else { Vec::new() };
        (manner.faults.get(&key).cloned(), changes)
    };
    let asked = request.uri().path_and_query().unwrap().to_string();
    let host = request.headers().get(header::HOST).map(|host| host.to_str().unwrap().to_owned());
    let (status, headers, body) = shelf.honest(&asked, &host.unwrap()).await;
    for (key, text) in changes {
        shelf.change(&key, text.as_deref()).await;
    }
    if let Some(fault) = fault {
        return fault.answer(&path, body).await;
    }
    let mut answer = Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(name, value);
    }
    answer.body(Body::from(body)).unwrap()
}
