//! Requests.

use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use reqwest::header;

use super::error::Error;
use super::mirror::{Mirrors, Place};
use crate::base::secret::{SafeUrl, Secret};
use crate::base::{file, limit};

/// User and password of a repository.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// User.
    pub user: String,
    /// Password.
    pub password: Secret<String>,
    /// The repository: its host gets the credentials.
    pub repository: SafeUrl,
    /// Whether every host gets them.
    pub everywhere: bool,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// What is asked for.
    pub url: SafeUrl,
    /// `ETag` of what is known already.
    pub etag: String,
    /// `Last-Modified` of what is known already.
    pub last_modified: String,
    /// Largest answer.
    pub limit_bytes: u64,
    /// Longest time.
    pub timeout: Duration,
    /// User and password.
    pub credentials: Option<Credentials>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// What is known is still right.
    NotModified,
    /// New content.
    Body {
        /// The bytes.
        bytes: Bytes,
        /// Its `ETag`; may be empty.
        etag: String,
        /// Its `Last-Modified`; may be empty.
        last_modified: String,
    },
}

/// Fetches over HTTP(S), or from the folders of mirrors.
#[derive(Debug, Clone)]
pub struct Fetcher {
    client: reqwest::Client,
    mirrors: Mirrors,
}

impl Fetcher {
    /// Returns a fetcher.
    ///
    /// # Errors
    /// The system's certificates cannot be used.
    pub fn new(mirrors: Mirrors) -> Result<Self, reqwest::Error> {
        // A second installation is refused, and the first one stays: both are what we want.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .user_agent(concat!("leadsman/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::limited(limit::REDIRECTS))
            .connect_timeout(Duration::from_secs(30))
            .pool_idle_timeout(Duration::from_secs(60))
            .build()?;
        Ok(Self { client, mirrors })
    }

    /// Fetches one address.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn fetch(&self, request: &Fetch) -> Result<Fetched, Error> {
        match self.mirrors.place(&request.url) {
            Place::Folder(path) => from_folder(request, path),
            Place::Url(url) => {
                let answer = self.over_http(request, url);
                match tokio::time::timeout(request.timeout, answer).await {
                    Ok(answer) => answer,
                    Err(_) => {
                        Err(Error::Timeout { url: request.url.clone(), after: request.timeout })
                    }
                }
            }
        }
    }

    async fn over_http(&self, request: &Fetch, url: SafeUrl) -> Result<Fetched, Error> {
        if !matches!(url.expose().scheme(), "http" | "https") {
            let reason = "only http:// and https:// are fetched";
            return Err(Error::Unusable { url, reason });
        }
        let mut call = self.client.get(url.expose().clone());
        if !request.etag.is_empty() {
            call = call.header(header::IF_NONE_MATCH, &request.etag);
        }
        if !request.last_modified.is_empty() {
            call = call.header(header::IF_MODIFIED_SINCE, &request.last_modified);
        }
        // The host that is really asked counts: a mirror is another one.
        if let Some(credentials) = &request.credentials
            && (credentials.everywhere || same_host(&credentials.repository, &url))
        {
            call = call.basic_auth(&credentials.user, Some(credentials.password.expose()));
        }
        let answer = call.send().await.map_err(|error| connection(&url, &error))?;
        if answer.status() == reqwest::StatusCode::NOT_MODIFIED {
            return Ok(Fetched::NotModified);
        }
        refuse(&url, &answer)?;
        let text = |name| {
            let value = answer
                .headers()
                .get(name)
                .and_then(|value: &header::HeaderValue| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let (etag, last_modified) = (text(header::ETAG), text(header::LAST_MODIFIED));
        let bytes = body(&url, answer, request.limit_bytes).await?;
        Ok(Fetched::Body { bytes, etag, last_modified })
    }
}

fn same_host(a: &SafeUrl, b: &SafeUrl) -> bool {
    let (a, b) = (a.expose(), b.expose());
    a.scheme() == b.scheme()
        && a.host_str() == b.host_str()
        && a.port_or_known_default() == b.port_or_known_default()
}

fn refuse(url: &SafeUrl, answer: &reqwest::Response) -> Result<(), Error> {
    let (url, status) = (url.clone(), answer.status());
    match status.as_u16() {
        200 => Ok(()),
        401 | 403 => Err(Error::Unauthorized { url, status: status.to_string() }),
        404 => Err(Error::NotFound { url }),
        429 => {
            let after = answer.headers().get(header::RETRY_AFTER);
            let after = after.and_then(|value| value.to_str().ok()?.parse().ok());
            Err(Error::TooMany { url, after: Duration::from_secs(after.unwrap_or(60)) })
        }
        _ => {
            Err(Error::Status { url, status: status.to_string(), server: status.is_server_error() })
        }
    }
}

async fn body(url: &SafeUrl, answer: reqwest::Response, limit_bytes: u64) -> Result<Bytes, Error> {
    let too_large = || Error::TooLarge { url: url.clone(), limit_bytes };
    let announced = answer.content_length().unwrap_or(0);
    if announced > limit_bytes {
        return Err(too_large());
    }
    let mut bytes = BytesMut::with_capacity(usize::try_from(announced).unwrap_or(0));
    let mut stream = answer.bytes_stream();
    while let Some(part) = stream.next().await {
        let part = part.map_err(|error| connection(url, &error))?;
        if (bytes.len() + part.len()) as u64 > limit_bytes {
            return Err(too_large());
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes.freeze())
}

fn connection(url: &SafeUrl, error: &reqwest::Error) -> Error {
    let url = url.clone();
    if error.is_redirect() {
        return Error::Redirects { url, limit: limit::REDIRECTS };
    }
    // The innermost cause says it; the outer ones repeat the address.
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Error::Connection { url, reason: cause.to_string() }
}

/// A folder answers as a server would: its tag is size and time of the file.
fn from_folder(request: &Fetch, path: PathBuf) -> Result<Fetched, Error> {
    let meta = match std::fs::metadata(&path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::NotFound { url: request.url.clone() });
        }
        Err(error) => return Err(file::failed("read", &path)(error).into()),
    };
    let changed =
        meta.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let etag = format!("\"{}-{}\"", meta.len(), changed.map_or(0, |time| time.as_nanos()));
    if etag == request.etag {
        return Ok(Fetched::NotModified);
    }
    let bytes = file::read_bytes(&path, request.limit_bytes)?.into();
    Ok(Fetched::Body { bytes, etag, last_modified: String::new() })
}
