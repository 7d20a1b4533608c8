//! Requests.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::io::{Read as _, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header;

use super::body;
use super::error::Error;
use super::mirror::{Mirrors, Place};
use super::roots;
use crate::base::clock::{Clock, SystemClock};
use crate::base::digest::Digest;
use crate::base::secret::{SafeUrl, Secret};
use crate::base::{file, limit};

/// Longest pause that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// Pause when a server asks for one without saying how long.
pub(super) const PAUSE: Duration = Duration::from_secs(60);

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

/// Whom to trust and how to show who we are, as PEM; empty parts are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Authorities that are trusted beside the system's.
    pub authorities: String,
    /// Our certificate.
    pub certificate: String,
    /// The key of our certificate.
    pub key: Secret<String>,
}

/// A server through which others are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Its address, `http://…`, `https://…` or `socks5://…`.
    pub address: SafeUrl,
    /// User; may be empty.
    pub user: String,
    /// Password.
    pub password: Secret<String>,
}

impl Tls {
    /// Returns all of it as one text: for a digest.
    pub(crate) fn manner(&self) -> String {
        let Self { authorities, certificate, key } = self;
        [authorities, certificate, key.expose()].map(|part| Digest::of(part).to_hex()).concat()
    }
}

impl Proxy {
    /// Returns all of it as one text: for a digest.
    pub(crate) fn manner(&self) -> String {
        let address = self.address.expose();
        format!("{address}\0{}\0{}", self.user, self.password.expose())
    }

    /// Returns the address as the library takes it: names are resolved by the proxy, as Go's client
    /// has it done.
    fn place(&self) -> String {
        let address = self.address.expose().as_str();
        match address.strip_prefix("socks5://") {
            Some(rest) => format!("socks5h://{rest}"),
            None => address.to_owned(),
        }
    }
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
    /// Longest time, for the whole answer.
    pub timeout: Duration,
    /// User and password.
    pub credentials: Option<Credentials>,
    /// Certificates.
    pub tls: Option<Tls>,
    /// What the bytes are.
    pub kind: Kind,
}

/// What the bytes of an answer are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text, which may travel compressed.
    Text,
    /// A file whose bytes must arrive as they are.
    Archive,
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

/// An answer whose bytes went elsewhere while they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Poured {
    /// What is known is still right; there were no bytes.
    NotModified,
    /// New content.
    Body {
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
    /// Clients with other certificates, by the digest of those.
    others: Arc<Mutex<HashMap<Digest, reqwest::Client>>>,
    mirrors: Mirrors,
    clock: Arc<dyn Clock>,
}

impl Fetcher {
    /// Returns a fetcher.
    ///
    /// # Errors
    /// The system's ways to connect cannot be used.
    pub fn new(mirrors: Mirrors) -> Result<Self, reqwest::Error> {
        // A second installation is refused, and the first one stays: both are what we want.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = builder();
        if let Ok(tls) = roots::of_system(rustls::crypto::ring::default_provider()) {
            builder = builder.tls_backend_preconfigured(tls);
        }
        let client = builder.build()?;
        let clock = Arc::new(SystemClock);
        Ok(Self { client, others: Arc::default(), mirrors, clock })
    }

    /// Returns the fetcher with another clock (which reads a `Retry-After` that is a date).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Returns the clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Fetches one address.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn fetch(&self, request: &Fetch) -> Result<Fetched, Error> {
        let mut bytes = Vec::new();
        Ok(match self.fetch_into(request, &mut bytes).await? {
            Poured::NotModified => Fetched::NotModified,
            Poured::Body { etag, last_modified } => {
                Fetched::Body { bytes: bytes.into(), etag, last_modified }
            }
        })
    }

    /// Fetches one address and passes the bytes on while they come. When it fails, some may have
    /// been passed on already.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn fetch_into(
        &self,
        request: &Fetch,
        into: &mut (dyn Write + Send),
    ) -> Result<Poured, Error> {
        match self.mirrors.place(&request.url) {
            Place::Folder(path) => from_folder(request, &path, into),
            Place::Unusable(reason) => Err(Error::Unusable { url: request.url.clone(), reason }),
            Place::Url(url) => {
                let answer = self.over_http(request, url, into);
                match tokio::time::timeout(request.timeout, answer).await {
                    Ok(answer) => answer,
                    Err(_) => {
                        Err(Error::Timeout { url: request.url.clone(), after: request.timeout })
                    }
                }
            }
        }
    }

    async fn over_http(
        &self,
        request: &Fetch,
        url: SafeUrl,
        into: &mut (dyn Write + Send),
    ) -> Result<Poured, Error> {
        if !matches!(url.expose().scheme(), "http" | "https") {
            let reason = "only http:// and https:// are fetched";
            return Err(Error::Unusable { url, reason });
        }
        let mut call = self.client(request.tls.as_ref(), &url)?.get(url.expose().clone());
        if !request.etag.is_empty() {
            call = call.header(header::IF_NONE_MATCH, &request.etag);
        }
        if !request.last_modified.is_empty() {
            call = call.header(header::IF_MODIFIED_SINCE, &request.last_modified);
        }
        if request.kind == Kind::Text {
            call = call.header(header::ACCEPT_ENCODING, "gzip");
        }
        // The host that is really asked counts: a mirror is another one.
        if let Some(credentials) = &request.credentials
            && (credentials.everywhere || same_host(&credentials.repository, &url))
        {
            call = call.basic_auth(&credentials.user, Some(credentials.password.expose()));
        }
        let answer = call.send().await.map_err(|error| connection(&url, &error))?;
        let conditional = !request.etag.is_empty() || !request.last_modified.is_empty();
        if answer.status() == reqwest::StatusCode::NOT_MODIFIED && conditional {
            return Ok(Poured::NotModified);
        }
        self.refuse(&url, &answer)?;
        let text = |name| header_text(&answer, name).to_owned();
        let (etag, last_modified) = (text(header::ETAG), text(header::LAST_MODIFIED));
        let packed = header_text(&answer, header::CONTENT_ENCODING).eq_ignore_ascii_case("gzip");
        let packed = packed && request.kind == Kind::Text;
        body::pour(&url, answer, (request.limit_bytes, packed), into).await?;
        Ok(Poured::Body { etag, last_modified })
    }

    pub(super) fn client(
        &self,
        tls: Option<&Tls>,
        url: &SafeUrl,
    ) -> Result<reqwest::Client, Error> {
        self.client_through(None, tls, url)
    }

    /// Returns a client for an address, with certificates and a proxy, if there are any.
    pub(super) fn client_through(
        &self,
        proxy: Option<&Proxy>,
        tls: Option<&Tls>,
        url: &SafeUrl,
    ) -> Result<reqwest::Client, Error> {
        if tls.is_none() && proxy.is_none() {
            return Ok(self.client.clone());
        }
        let none = Tls::default();
        let tls = tls.unwrap_or(&none);
        let key = tls.key.expose();
        let through = proxy.map_or(String::new(), Proxy::manner);
        let known = Digest::of(tls.manner() + &through);
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = others.get(&known) {
            return Ok(client.clone());
        }
        let refuse =
            |error: reqwest::Error| Error::Tls { url: url.clone(), reason: deepest(&error) };
        let mut builder = builder();
        if let Some(proxy) = proxy {
            let mut by = reqwest::Proxy::all(proxy.place()).map_err(refuse)?;
            if !proxy.user.is_empty() {
                by = by.basic_auth(&proxy.user, proxy.password.expose());
            }
            builder = builder.proxy(by);
        }
        for authority in
            reqwest::Certificate::from_pem_bundle(tls.authorities.as_bytes()).map_err(refuse)?
        {
            builder = builder.add_root_certificate(authority);
        }
        if !tls.certificate.is_empty() {
            let pem = format!("{}\n{key}", tls.certificate);
            let identity = reqwest::Identity::from_pem(pem.as_bytes()).map_err(refuse)?;
            builder = builder.identity(identity);
        }
        let client = builder.build().map_err(refuse)?;
        // Certificates are renewed: clients of old ones are let go.
        if others.len() >= 64 {
            others.clear();
        }
        others.insert(known, client.clone());
        Ok(client)
    }

    pub(super) fn refuse(&self, url: &SafeUrl, answer: &reqwest::Response) -> Result<(), Error> {
        let (url, status) = (url.clone(), answer.status());
        let pause = self.pause(header_text(answer, header::RETRY_AFTER));
        let text = status.to_string();
        match (status.as_u16(), pause) {
            (200, _) => Ok(()),
            (401 | 403, _) => Err(Error::Unauthorized { url, status: text }),
            (404, _) => Err(Error::NotFound { url }),
            (429, pause) => {
                Err(Error::TooMany { url, status: text, after: pause.unwrap_or(PAUSE) })
            }
            (503, Some(after)) => Err(Error::TooMany { url, status: text, after }),
            _ => Err(Error::Status { url, status: text, server: status.is_server_error() }),
        }
    }

    /// Reads a `Retry-After`: seconds, or a date.
    pub(super) fn pause(&self, text: &str) -> Option<Duration> {
        let pause = match text.trim().parse() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => {
                let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
                date.duration_since(self.clock.now()).try_into().unwrap_or(Duration::ZERO)
            }
        };
        Some(pause.min(LONGEST_PAUSE))
    }
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("leadsman/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::limited(limit::REDIRECTS))
        // An address may hold what nobody else is to know: a token, a signature.
        .referer(false)
        .connect_timeout(Duration::from_secs(30))
        .pool_idle_timeout(Duration::from_secs(60))
}

pub(super) fn header_text(answer: &reqwest::Response, name: header::HeaderName) -> &str {
    answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

pub(super) fn same_host(a: &SafeUrl, b: &SafeUrl) -> bool {
    let (a, b) = (a.expose(), b.expose());
    a.scheme() == b.scheme()
        && a.host_str() == b.host_str()
        && a.port_or_known_default() == b.port_or_known_default()
}

/// Returns the innermost cause: it says what happened; the outer ones repeat the address.
fn deepest(error: &dyn StdError) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

pub(super) fn connection(url: &SafeUrl, error: &reqwest::Error) -> Error {
    let url = url.clone();
    if error.is_redirect() {
        return Error::Redirects { url, limit: limit::REDIRECTS };
    }
    let reason = deepest(error);
    if reason.contains("certificate") || reason.contains("handshake") {
        return Error::Tls { url, reason };
    }
    let reason = if error.is_connect() {
        format!("{reason}: check that the server runs and can be reached from here")
    } else {
        format!("{reason}: the connection broke; trying again")
    };
    Error::Connection { url, reason }
}

/// A folder answers as a server would: its tag is size and time of the file.
fn from_folder(
    request: &Fetch,
    path: &Path,
    into: &mut (dyn Write + Send),
) -> Result<Poured, Error> {
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::NotFound { url: request.url.clone() });
        }
        Err(error) => return Err(file::failed("read", path)(error).into()),
    };
    let too_large = || {
        let limit_bytes = request.limit_bytes;
        Error::TooLarge { url: request.url.clone(), limit_bytes }
    };
    if meta.len() > request.limit_bytes {
        return Err(too_large());
    }
    let changed =
        meta.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let etag = format!("\"{}-{}\"", meta.len(), changed.map_or(0, |time| time.as_nanos()));
    if etag == request.etag {
        return Ok(Poured::NotModified);
    }
    let mut pour = || {
        let file = std::fs::File::open(path)?;
        std::io::copy(&mut file.take(request.limit_bytes + 1), into)
    };
    if pour().map_err(file::failed("read", path))? > request.limit_bytes {
        return Err(too_large());
    }
    Ok(Poured::Body { etag, last_modified: String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::ManualClock;

    #[test]
    fn a_pause_is_seconds_or_a_date_and_bounded() {
        let clock = ManualClock::new("2026-01-02T03:04:05Z".parse().unwrap());
        let fetcher = Fetcher::new(Mirrors::default()).unwrap().with_clock(Arc::new(clock));
        let rows = [
            ("17", Some(17)),
            ("Fri, 02 Jan 2026 03:05:05 GMT", Some(60)),
            ("Fri, 02 Jan 2026 03:00:00 GMT", Some(0)),
            ("99999999", Some(3600)),
            ("", None),
            ("soon", None),
        ];
        for (text, seconds) in rows {
            assert_eq!(fetcher.pause(text), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn credentials_stay_with_scheme_host_and_port() {
        let same = |a: &str, b: &str| same_host(&a.parse().unwrap(), &b.parse().unwrap());
        assert!(same("https://a.example/x", "https://a.example:443/y"));
        assert!(!same("https://a.example", "http://a.example"));
        assert!(!same("https://a.example", "https://a.example:8443"));
        assert!(!same("https://a.example", "https://b.example"));
    }
}
