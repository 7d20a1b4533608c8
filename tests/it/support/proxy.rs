//! A loopback proxy in front of an API server (real or simulated) that notes every call, streams
//! watches, and does something at the n-th change, such as killing the client with SIGKILL.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::Response;
use http_body_util::BodyExt as _;

use super::serve::Server;

/// A running proxy; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    server: Server,
    folder: tempfile::TempDir,
    log: Arc<Mutex<Log>>,
}

/// One call that went through.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// `GET`, `PATCH`, …
    pub(crate) method: String,
    /// The path.
    pub(crate) path: String,
    /// What follows the question mark.
    pub(crate) query: String,
    /// When it came.
    pub(crate) at: Instant,
}

/// Whether the server had seen the change when the callback ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The change never reaches the server.
    Before,
    /// The server has done it; the client never hears the answer.
    After,
}

type Callback = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Log {
    calls: Vec<Call>,
    changes: usize,
    /// Bytes of the bodies of calls and answers, as they were sent.
    body_bytes: u64,
    trap: Option<(usize, Moment, Callback)>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let armed = self.trap.as_ref().map(|(number, moment, _)| (number, moment));
        f.debug_struct("Log").field("changes", &self.changes).field("armed", &armed).finish()
    }
}

struct Upstream {
    kubeconfig: PathBuf,
    // Made by the first call: the connection belongs to the runtime of the server's thread.
    client: tokio::sync::OnceCell<kube::Client>,
    log: Arc<Mutex<Log>>,
}

impl Call {
    /// Whether it changes something that the API keeps: reviews and dry runs do not.
    pub(crate) fn is_change(&self) -> bool {
        let reads = ["GET", "HEAD", "OPTIONS"].contains(&self.method.as_str());
        let review = self.path.contains(".authorization.k8s.io/")
            || self.path.contains("/authorization.k8s.io/")
            || self.path.contains("/authentication.k8s.io/");
        !(reads || review || self.query.contains("dryRun=All"))
    }
}

impl Proxy {
    /// Starts one in front of the API server that the kubeconfig names.
    pub(crate) fn start(kubeconfig: &Path) -> Self {
        let log = Arc::new(Mutex::new(Log::default()));
        let upstream = Arc::new(Upstream {
            kubeconfig: kubeconfig.to_owned(),
            client: tokio::sync::OnceCell::new(),
            log: Arc::clone(&log),
        });
        let server = Server::http(Router::new().fallback(forward).with_state(upstream));
        let folder = tempfile::tempdir().unwrap();
        let text = super::control_plane::kubeconfig(&server.url(), None, "through-the-proxy");
        std::fs::write(folder.path().join("kubeconfig"), text).unwrap();
        Self { server, folder, log }
    }

    /// Returns the kubeconfig of clients that are to go through the proxy.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Returns the address.
    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// Runs the callback once, at the `number`-th change from now on (the next one is the first).
    /// The client gets no honest answer to that call.
    pub(crate) fn at(
        &self,
        number: usize,
        moment: Moment,
        callback: impl FnOnce() + Send + 'static,
    ) {
        let mut log = self.log.lock().unwrap();
        let number = log.changes + number;
        log.trap = Some((number, moment, Box::new(callback)));
    }

    /// Whether a callback still waits for its call.
    pub(crate) fn is_armed(&self) -> bool {
        self.log.lock().unwrap().trap.is_some()
    }

    /// Returns how many changes were asked for so far.
    pub(crate) fn changes(&self) -> usize {
        self.log.lock().unwrap().changes
    }

    /// Returns every call so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.log.lock().unwrap().calls.clone()
    }

    /// Forgets the calls so far.
    pub(crate) fn forget(&self) {
        let mut log = self.log.lock().unwrap();
        log.calls.clear();
        log.changes = 0;
        log.body_bytes = 0;
    }

    /// Returns how many bytes the bodies of calls and answers had so far.
    pub(crate) fn body_bytes(&self) -> u64 {
        self.log.lock().unwrap().body_bytes
    }
}

async fn forward(State(upstream): State<Arc<Upstream>>, request: Request) -> Response<Body> {
    let call = Call {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        at: Instant::now(),
    };
    let trap = {
        let mut log = upstream.log.lock().unwrap();
        log.changes += usize::from(call.is_change());
        let number = log.changes;
        let due = call.is_change() && log.trap.as_ref().is_some_and(|trap| trap.0 == number);
        log.calls.push(call);
        if due { log.trap.take() } else { None }
    };
    match trap {
        None => upstream.send(request).await,
        Some((_, Moment::Before, callback)) => {
            callback();
            plain(503, "the proxy held this call back")
        }
        Some((_, Moment::After, callback)) => {
            // The whole answer is read first, so that the server has certainly finished.
            let answer = upstream.send(request).await;
            let _ = to_bytes(answer.into_body(), usize::MAX).await;
            callback();
            plain(503, "the proxy held this answer back")
        }
    }
}

impl Upstream {
    async fn send(&self, request: Request) -> Response<Body> {
        let client = self.client.get_or_init(|| super::api::client(&self.kubeconfig)).await;
        let (head, body) = request.into_parts();
        let Ok(body) = to_bytes(body, 64 << 20).await else {
            return plain(400, "the body could not be read");
        };
        self.log.lock().unwrap().body_bytes += body.len() as u64;
        let path = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let mut forwarded = http::Request::builder().method(head.method).uri(path);
        for (name, value) in &head.headers {
            // These belong to one connection, or are set for the other one.
            if !["host", "connection", "authorization", "transfer-encoding", "content-length"]
                .contains(&name.as_str())
            {
                forwarded = forwarded.header(name, value);
            }
        }
        let forwarded = forwarded.body(kube::client::Body::from(body)).unwrap();
        match client.send(forwarded).await {
            Ok(answer) => {
                let log = Arc::clone(&self.log);
                let mut answer = answer.map(|body| {
                    Body::new(body.map_frame(move |frame| {
                        let bytes = frame.data_ref().map_or(0, bytes::Bytes::len);
                        log.lock().unwrap().body_bytes += bytes as u64;
                        frame
                    }))
                });
                answer.headers_mut().remove("connection");
                answer.headers_mut().remove("transfer-encoding");
                answer
            }
            Err(error) => plain(502, &format!("upstream: {error}")),
        }
    }
}

fn plain(code: u16, text: &str) -> Response<Body> {
    Response::builder().status(code).body(Body::from(text.to_owned())).unwrap()
}
