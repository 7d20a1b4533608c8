//! One request to the API: bounded in time, repeated where that helps, errors classified.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::BodyExt as _;
use kube::client::Body;
use url::form_urlencoded::byte_serialize;

use super::error::Error;
use super::retry::{self, Repeatable};
use crate::base::limit;
use crate::yaml::Value;

/// Longest time one request may take, watches aside.
pub(crate) const REQUEST: Duration = Duration::from_secs(32);
/// Who asks, as the API server's audit log tells it.
const AGENT: &str = concat!("leadsman/", env!("CARGO_PKG_VERSION"));

/// A request before it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) accept: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
    pub(crate) repeatable: Repeatable,
}

impl Call {
    /// Returns a call that reads.
    pub(crate) fn read(path: String) -> Self {
        Self {
            method: Method::GET,
            path,
            accept: "application/json",
            content_type: "",
            body: Bytes::new(),
            repeatable: Repeatable::Yes,
        }
    }

    /// Returns a call that writes a JSON body.
    pub(crate) fn write(method: Method, path: String, body: &Value) -> Self {
        Self {
            method,
            path,
            accept: "application/json",
            content_type: "application/json",
            body: Bytes::from(body.to_string()),
            repeatable: Repeatable::Yes,
        }
    }
}

/// Sends a call, repeated as [`retry`] says, and returns the whole body of the answer. For the time
/// of `patience` what heals by itself is waited for.
pub(crate) async fn send(
    client: &kube::Client,
    call: &Call,
    patience: Duration,
) -> Result<Bytes, Error> {
    let begun = tokio::time::Instant::now();
    let mut attempt = 1;
    loop {
        let sent = tokio::time::timeout(REQUEST, send_once(client, call)).await;
        let error = match sent {
            Ok(Ok(body)) => return Ok(body),
            Ok(Err(error)) => error,
            Err(_) => Error::Timeout {
                method: call.method.to_string(),
                path: path_of(&call.path).to_owned(),
                seconds: REQUEST.as_secs(),
            },
        };
        let wait = if begun.elapsed() < patience { retry::patient_pause } else { retry::pause };
        let Some(pause) = wait(&error, call.repeatable, attempt, rand::random()) else {
            return Err(error);
        };
        tracing::debug!(method = %call.method, path = path_of(&call.path), attempt, %error, "request is repeated");
        tokio::time::sleep(pause).await;
        attempt += 1;
    }
}

/// Sends a call and reads its answer as JSON.
pub(crate) async fn send_json(
    client: &kube::Client,
    call: &Call,
    patience: Duration,
) -> Result<Value, Error> {
    let body = send(client, call, patience).await?;
    serde_json::from_slice(&body).map_err(|error| Error::Answer {
        path: path_of(&call.path).to_owned(),
        detail: error.to_string(),
    })
}

async fn send_once(client: &kube::Client, call: &Call) -> Result<Bytes, Error> {
    let response = open(client, call).await?;
    let body = http_body_util::Limited::new(
        response.into_body(),
        usize::try_from(limit::ANSWER_BYTES).unwrap_or(usize::MAX),
    );
    let collected =
        body.collect().await.map_err(|error| Error::Broken { detail: flat(&*error) })?;
    Ok(collected.to_bytes())
}

/// Sends a call and returns the answer with its body unread; an error code becomes an [`Error`].
pub(crate) async fn open(client: &kube::Client, call: &Call) -> Result<Response<Body>, Error> {
    let mut request = Request::builder()
        .method(call.method.clone())
        .uri(&call.path)
        .header(header::USER_AGENT, AGENT)
        .header(header::ACCEPT, call.accept);
    if !call.content_type.is_empty() {
        request = request.header(header::CONTENT_TYPE, call.content_type);
    }
    let request = request
        .body(Body::from(call.body.clone()))
        .map_err(|error| Error::Request(format!("build request to {}: {error}", call.path)))?;
    let response = client.send(request).await.map_err(|error| classify(&error))?;
    let code = response.status().as_u16();
    if code < 400 {
        return Ok(response);
    }
    let after = response.headers().get(header::RETRY_AFTER);
    let after = after.and_then(|value| value.to_str().ok()?.parse().ok()).map(Duration::from_secs);
    let body = http_body_util::Limited::new(response.into_body(), 1 << 20).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Err(Error::from_body(code, &body, after))
}

/// Tells a connection that never was from one that broke.
fn classify(error: &kube::Error) -> Error {
    if let kube::Error::Api(status) = error {
        let body = serde_json::to_vec(status).unwrap_or_default();
        return Error::from_body(status.code, &body, None);
    }
    let detail = flat(error);
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        // What came before the request, such as asking for a token.
        if let Some(before) = inner.downcast_ref::<Error>() {
            return before.clone();
        }
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            use std::io::ErrorKind;
            return match io.kind() {
                ErrorKind::ConnectionReset
                | ErrorKind::BrokenPipe
                | ErrorKind::ConnectionAborted
                | ErrorKind::UnexpectedEof => Error::Broken { detail },
                _ => Error::Unreachable { detail },
            };
        }
        cause = inner.source();
    }
    let never_sent = ["connect", "dns", "resolve", "certificate"];
    if never_sent.iter().any(|word| detail.to_lowercase().contains(word)) {
        Error::Unreachable { detail }
    } else {
        Error::Broken { detail }
    }
}

/// Writes the innermost causes of a transport error, without kube's own prefixes.
fn flat(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        last = inner.to_string();
        cause = inner.source();
    }
    last
}

/// Returns a path without its query.
pub(crate) fn path_of(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}

/// Appends query parameters; empty values are left out.
pub(crate) fn with_query(mut path: String, parameters: &[(&str, &str)]) -> String {
    let mut separator = if path.contains('?') { '&' } else { '?' };
    for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
        path.push(separator);
        path.push_str(name);
        path.push('=');
        path.extend(byte_serialize(value.as_bytes()));
        separator = '&';
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_encoded_and_empty_ones_left_out() {
        let path = with_query("/a".into(), &[("x", ""), ("l", "a=b,c in (d)"), ("f", "1")]);
        assert_eq!(path, "/a?l=a%3Db%2Cc+in+%28d%29&f=1");
        assert_eq!(path_of(&path), "/a");
    }
}
