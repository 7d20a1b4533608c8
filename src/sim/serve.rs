//! The API server as a `tower::Service`, and the same service on a loopback port.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt as _;

use super::Sim;
use super::core::Core;
use super::error::Error;
use super::fault::{Call, Fault};
use super::handle::{self, Reply};
use super::request::Request;
use super::status::ApiError;
use crate::base::digest::Digest;

/// The simulated API server as a service.
#[derive(Debug, Clone)]
pub struct SimService {
    sim: Sim,
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Error>> + Send>>;

impl SimService {
    pub(crate) fn new(sim: Sim) -> Self {
        Self { sim }
    }
}

impl<B> tower::Service<http::Request<B>> for SimService
where
    B: HttpBody + Send + 'static,
    B::Data: Send,
{
    type Response = Response<Body>;
    type Error = Error;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Answer {
        // The sim goes along: its controllers live as long as a request does.
        let sim = self.sim.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let collected = body.collect().await;
            let body = collected.map_err(|_| Error::Connection("the request body broke off"))?;
            answer(&sim, &Request::new(&parts, body.to_bytes())).await
        })
    }
}

/// What becomes of an answer.
enum Fate {
    Sent,
    Lost,
    Cut,
    Held,
    /// Another is sent.
    Instead(ApiError),
}

async fn answer(sim: &Sim, request: &Request) -> Result<Response<Body>, Error> {
    let core = &sim.core;
    let mut fate = Fate::Sent;
    if let Some(call) = Call::of(request) {
        core.calls.count(&call);
        let fault = core.faults.strike(&call);
        if let Some(delay) = fault.as_ref().and_then(Fault::delay) {
            tokio::time::sleep(delay).await;
        }
        match fault {
            Some(Fault::Refuse) => return Err(Error::Connection("connection refused")),
            Some(Fault::Hold) => {
                core.faults.hold().await;
                return Err(Error::Connection("connection closed while held"));
            }
            Some(Fault::Status { code, message, retry_after, carried_out }) => {
                let message = if message.is_empty() { "simulated fault" } else { &message };
                let error = ApiError::fault(code, message, retry_after);
                if !carried_out {
                    return Ok(respond(core, request, Reply::refusal(&error)));
                }
                fate = Fate::Instead(error);
            }
            Some(Fault::LoseAnswer) => fate = Fate::Lost,
            Some(Fault::CutAnswer) => fate = Fate::Cut,
            Some(Fault::HoldAnswer) => fate = Fate::Held,
            Some(Fault::Expire) => core.expire(),
            Some(Fault::CutWatches) => core.cut_watches(),
            Some(Fault::Latency { .. }) | None => {}
        }
    }
    let reply = handle::answer(core, request);
    match fate {
        Fate::Sent => Ok(respond(core, request, reply)),
        Fate::Cut => Ok(cut(respond(core, request, reply))),
        Fate::Instead(error) => Ok(respond(core, request, Reply::refusal(&error))),
        Fate::Lost => Err(Error::Connection("connection closed before the answer")),
        Fate::Held => {
            core.faults.hold().await;
            Err(Error::Connection("connection closed before the answer"))
        }
    }
}

/// How long the first half of an answer that breaks off is under way.
const HALF: Duration = Duration::from_millis(50);

/// An answer that breaks off in the middle of its body.
fn cut(response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    // The length that was promised would be the whole one.
    parts.headers.remove(header::CONTENT_LENGTH);
    let mut chunks = body.into_data_stream();
    let half = async move {
        // A watch may have nothing to say.
        let first = tokio::time::timeout(HALF, chunks.next()).await;
        let first = first.ok().flatten().and_then(Result::ok).unwrap_or_default();
        Ok(first.slice(..first.len() / 2))
    };
    let end = async {
        // What was sent so far leaves first.
        tokio::time::sleep(HALF).await;
        Err(Error::Connection("cut off"))
    };
    let body = futures::stream::once(half).chain(futures::stream::once(end));
    Response::from_parts(parts, Body::from_stream(body))
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

fn respond(core: &Arc<Core>, request: &Request, reply: Reply) -> Response<Body> {
    let (code, media, body) = match reply {
        Reply::Json { code, body, warnings } => {
            let retry = retry_after(code, &body);
            let mut response = plain(code, JSON, body.into());
            for warning in warnings {
                let text =
                    format!("299 - \"{}\"", warning.replace('\\', "\\\\").replace('"', "\\\""));
                if let Ok(value) = HeaderValue::from_str(&text) {
                    response.headers_mut().append(header::WARNING, value);
                }
            }
            if let Some(seconds) = retry {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            return response;
        }
        Reply::Document { media, body } => return document(request, media, body),
        Reply::Text { code, body } => {
            (code, HeaderValue::from_static("text/plain; charset=utf-8"), body.into())
        }
        Reply::Watch(watch) => {
            let lines = handle::stream(core.clone(), *watch).map(Ok::<Bytes, Error>);
            (200, JSON, Body::from_stream(lines))
        }
    };
    plain(code, media, body)
}

/// Returns the seconds of a refusal that says when to come back.
fn retry_after(code: u16, body: &Bytes) -> Option<u64> {
    if ![429, 503, 504].contains(&code) {
        return None;
    }
    let status: crate::yaml::Value = serde_json::from_slice(body).ok()?;
    status.pointer("/details/retryAfterSeconds")?.as_u64()
}

fn plain(code: u16, media: HeaderValue, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    response
}

/// Answers with a document, or with 304 when the client has it.
fn document(request: &Request, media: &'static str, body: Bytes) -> Response<Body> {
    let tag = format!("\"{}\"", Digest::of(&body).to_hex().to_uppercase());
    let mut response = if request.if_none_match == tag {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        plain(200, HeaderValue::from_static(media), body.into())
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}

/// A simulated cluster on a loopback port.
#[derive(Debug)]
pub struct Served {
    /// The address that is listened on.
    pub addr: SocketAddr,
    /// The text of a kubeconfig for it.
    pub kubeconfig: String,
    sim: Sim,
    stop: tokio::sync::oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Served {
    /// Stops listening and ends the running watches; returns when the open requests are answered.
    pub async fn shutdown(self) {
        // An error means that the server has ended already.
        let _ = self.stop.send(());
        self.sim.cut_watches();
        let _ = tokio::time::timeout(Duration::from_secs(2), self.task).await;
    }

    /// Serves until the process ends.
    pub async fn run(self) {
        let Self { task, stop, .. } = self;
        // A join error means that the server panicked: it has been reported by then.
        let _ = task.await;
        drop(stop);
    }
}

fn kubeconfig(addr: SocketAddr) -> String {
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: sim\n  cluster:\n    server: http://{addr}\n\
         users:\n- name: sim\n  user: {{}}\ncontexts:\n- name: sim\n  context:\n    cluster: sim\n    \
         user: sim\ncurrent-context: sim\n"
    )
}

/// A broken connection on the wire: headers that promise a body, and none.
fn broken() -> Response<Body> {
    let body =
        Body::from_stream(futures::stream::iter([Err::<Bytes, _>(Error::Connection("cut off"))]));
    let mut response = plain(200, JSON, body);
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("1024"));
    response
}

impl Sim {
    /// Serves the cluster over plain HTTP; port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn serve(&self, address: SocketAddr) -> Result<Served, Error> {
        let failed = |source| Error::Listen { address, source };
        let listener = tokio::net::TcpListener::bind(address).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let listener = listener.tap_io(|stream| {
            // Without it small answers wait for acknowledgements; failing is harmless.
            let _ = stream.set_nodelay(true);
        });
        let sim = self.clone();
        let app =
            axum::Router::new().fallback(move |request: http::Request<Body>| {
                let mut service = sim.service();
                async move {
                    tower::Service::call(&mut service, request).await.unwrap_or_else(|_| broken())
                }
            });
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let served = axum::serve(listener, app).with_graceful_shutdown(async {
                // Dropping the handle does not stop the server: only the signal does.
                if stopped.await.is_err() {
                    std::future::pending::<()>().await;
                }
            });
            if let Err(error) = served.await {
                tracing::error!(%error, "the simulated API server ended");
            }
        });
        Ok(Served { addr, kubeconfig: kubeconfig(addr), sim: self.clone(), stop, task })
    }
}
