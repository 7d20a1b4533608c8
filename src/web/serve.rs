//! A server of its own task, and what answers have in common.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::error::Error;

/// A running server; it ends when dropped.
#[derive(Debug)]
pub struct Served {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Served {
    /// Returns the URL of what is served.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops listening and waits until the answers that were begun are given.
    pub async fn shutdown(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = (&mut self.task).await;
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An address that is listened on, and not yet answered at.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    /// Returns the address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests.
    pub(super) fn serve(self, app: Router) -> Served {
        let Self { listener, address } = self;
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let stopped = async {
                // A sender that was dropped aborts the task anyway.
                let _ = stopped.await;
            };
            if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(stopped).await {
                tracing::warn!(%address, %error, "serving ended");
            }
        });
        Served { address, stop: Some(stop), task }
    }
}

/// Listens on an address; port 0 takes a free one.
///
/// # Errors
/// It cannot be listened on.
pub async fn bind(address: SocketAddr) -> Result<Bound, Error> {
    let fail = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(fail)?;
    let address = listener.local_addr().map_err(fail)?;
    Ok(Bound { listener, address })
}

/// Whether who asks has what this tag is of (`If-None-Match`).
pub(super) fn is_fresh(known: Option<&HeaderValue>, tag: &str) -> bool {
    known.is_some_and(|known| {
        let known = known.to_str().unwrap_or_default();
        known.split(',').any(|one| matches!(one.trim(), "*") || one.trim() == tag)
    })
}

/// Returns an answer of one line.
pub(super) fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let mut answer = Response::new(Body::from(format!("{text}\n")));
    *answer.status_mut() = status;
    answer
}
