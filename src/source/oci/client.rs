//! Requests to a registry.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Method, Response, StatusCode, header};
use serde::Deserialize;
use url::Url;

use super::ask::{Ask, Grant, basic, basic_or_none, next_page, same_origin, token_ask};
use super::challenge::{Challenge, check_realm, merged};
use super::content::{ACCEPTED, Descriptor, Fetched, MANIFEST};
use super::credential::{Credential, Keys};
use super::error::{Error, refusal};
use super::reference::{Reference, check_registry, host};
use crate::base::class::chain;
use crate::base::digest::Digest;
use crate::base::secret::{SafeUrl, Secret};
use crate::source;
use crate::source::body;
use crate::source::http::{Fetcher, PAUSE, Proxy, Tls, connection, header_text};

/// Largest manifest, and largest page of tags.
pub(super) const METADATA_BYTES: u64 = 4 << 20;
/// Largest answer of a token service.
const TOKEN_BYTES: u64 = 128 << 10;
/// As much of a refusal is read.
const REFUSAL_BYTES: u64 = 8 << 10;
/// Most pages of tags.
const PAGES: usize = 1000;
/// Most tags.
const TAGS: usize = 100_000;
/// Pauses between tries.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(3));

/// How registries are asked.
#[derive(Debug, Clone)]
pub struct Access {
    /// Whether without TLS.
    pub plain_http: bool,
    /// Who asks.
    pub keys: Keys,
    /// Certificates.
    pub tls: Option<Tls>,
    /// The server through which they are asked.
    pub proxy: Option<Proxy>,
    /// Limit of one request.
    pub timeout: Duration,
    /// How often a request is tried again that the registry was not able to answer.
    pub retries: u32,
}

/// Asks registries; what they gave to be known by is kept for the next request.
#[derive(Debug)]
pub struct Session {
    fetcher: Fetcher,
    access: Access,
    /// Headers, by host and scope.
    known: Mutex<HashMap<(String, String), Secret<String>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Page {
    tags: Option<Vec<String>>,
}

pub(super) fn pull_scope(repository: &str) -> String {
    format!("repository:{repository}:pull")
}

fn push_scope(repository: &str) -> String {
    format!("repository:{repository}:pull,push")
}

/// Whether the same might be had by another method: not what passes by itself.
fn refuses_head(status: StatusCode) -> bool {
    let passes = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    status == StatusCode::NOT_IMPLEMENTED || status.is_client_error() && !passes
}

impl Access {
    /// Returns what tells one way of asking from another.
    #[must_use]
    pub fn manner(&self) -> Digest {
        let tls = self.tls.as_ref().map(Tls::manner);
        let proxy = self.proxy.as_ref().map(Proxy::manner);
        let parts = [self.keys.manner(), tls.unwrap_or_default(), proxy.unwrap_or_default()];
        Digest::of(parts.map(|part| Digest::of(part).to_hex()).concat())
    }
}

impl Session {
    /// Returns a session; nothing is asked yet.
    pub fn new(fetcher: &Fetcher, access: Access) -> Self {
        Self { fetcher: fetcher.clone(), access, known: Mutex::default() }
    }

    /// Finds out whether a registry takes the credentials.
    ///
    /// # Errors
    /// It does not, or cannot be asked.
    pub async fn ping(&self, registry: &str) -> Result<(), Error> {
        check_registry(registry)?;
        let url = self.url(host(registry), "")?;
        let mut ask = Ask::get(host(registry), url, "");
        ask.grant = Grant::Password;
        let first = self.pinged(&ask).await;
        if first.is_ok() {
            return first;
        }
        ask.grant = Grant::Plain;
        self.pinged(&ask).await
    }

    async fn pinged(&self, ask: &Ask<'_>) -> Result<(), Error> {
        let answer = self.send(ask).await?;
        match answer.status() {
            StatusCode::OK => Ok(()),
            StatusCode::NOT_FOUND => Err(Error::NotFound(ask.url.to_string())),
            _ => Err(self.refused(ask, answer).await),
        }
    }

    /// Returns the tags of a repository, in the order of the registry.
    ///
    /// # Errors
    /// They cannot be had, or have no end.
    pub async fn tags(&self, of: &Reference) -> Result<Vec<String>, Error> {
        let scope = pull_scope(&of.repository);
        let endless =
            |reason: String| Error::Endless { repository: of.with("").to_string(), reason };
        let mut url = self.url(of.host(), &format!("{}/tags/list", of.repository))?;
        let mut tags = Vec::new();
        for _ in 0..PAGES {
            let ask = Ask::get(of.host(), url.clone(), &scope);
            let answer = self.good(&ask, StatusCode::OK).await?;
            let next = next_page(&ask, &answer)?;
            let bytes = self.body(&ask, answer, METADATA_BYTES).await?;
            let page: Page = serde_json::from_slice(&bytes)
                .map_err(|error| ask.answer(format!("failed to decode response: {error}")))?;
            let page = page.tags.unwrap_or_default();
            let is_empty = page.is_empty();
            tags.extend(page);
            if tags.len() > TAGS {
                return Err(endless(format!("more than {TAGS} tags")));
            }
            match next {
                None => return Ok(tags),
                Some(next) if next == url || is_empty => {
                    return Err(endless("a page that leads nowhere".to_owned()));
                }
                Some(next) => url = next,
            }
        }
        Err(endless(format!("more than {PAGES} pages")))
    }

    /// Returns the digest of a manifest. A registry that does not answer `HEAD` as it should is asked
    /// for the manifest itself, as Flux does; one that is not able to answer now is not asked twice.
    ///
    /// Source: fluxcd/source-controller internal/controller/ocirepository_controller.go
    /// (`getRevision`).
    ///
    /// # Errors
    /// It is not there, or cannot be had.
    pub async fn resolve(&self, at: &Reference) -> Result<Digest, Error> {
        let scope = pull_scope(&at.repository);
        let url = self.url(at.host(), &format!("{}/manifests/{}", at.repository, at.target))?;
        let head =
            Ask { method: Method::HEAD, accept: ACCEPTED, ..Ask::get(at.host(), url, &scope) };
        let answer = self.send(&head).await?;
        let status = answer.status();
        if !status.is_success() && !refuses_head(status) {
            return Err(self.refused(&head, answer).await);
        }
        // Some registries tell it only with the bytes.
        let named = (status == StatusCode::OK).then(|| header_text(&answer, DIGEST).parse().ok());
        match named.flatten() {
            Some(digest) => Ok(digest),
            None => self.manifest(at).await.map(|fetched| fetched.digest),
        }
    }

    /// Fetches a manifest or an index.
    ///
    /// # Errors
    /// It is not there, cannot be had, or is not what it is said to be.
    pub async fn manifest(&self, at: &Reference) -> Result<Fetched, Error> {
        let scope = pull_scope(&at.repository);
        let url = self.url(at.host(), &format!("{}/manifests/{}", at.repository, at.target))?;
        let ask = Ask { accept: ACCEPTED, ..Ask::get(at.host(), url, &scope) };
        let answer = self.send(&ask).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Err(Error::NotFound(at.to_string())),
            _ => return Err(self.refused(&ask, answer).await),
        }
        let media_type = header_text(&answer, header::CONTENT_TYPE);
        let media_type = media_type.split(';').next().unwrap_or_default().trim().to_owned();
        let promised = header_text(&answer, DIGEST).parse().ok();
        let bytes = self.body(&ask, answer, METADATA_BYTES).await?;
        let digest = Digest::of(&bytes);
        // A registry may name another algorithm than the one that was asked for.
        if let Some(wanted) = at.digest().or(promised)
            && wanted != digest
        {
            let (url, have) = (ask.url.to_string(), digest.to_string());
            return Err(Error::Digest { url, have, wanted });
        }
        Ok(Fetched { digest, media_type, bytes })
    }

    /// Fetches a blob; nothing comes of one that is not what the descriptor says.
    ///
    /// # Errors
    /// It is not there, cannot be had, is too large, or not what it is said to be.
    pub async fn blob(
        &self,
        of: &Reference,
        blob: &Descriptor,
        limit_bytes: u64,
    ) -> Result<Bytes, Error> {
        let scope = pull_scope(&of.repository);
        let url = self.url(of.host(), &format!("{}/blobs/{}", of.repository, blob.digest))?;
        let ask = Ask::get(of.host(), url, &scope);
        let unknown = || ask.answer(format!("invalid digest {:?}", blob.digest));
        let prefixed = blob.digest.starts_with("sha256:");
        let wanted: Digest =
            prefixed.then(|| blob.digest.parse().ok()).flatten().ok_or_else(unknown)?;
        if blob.size > limit_bytes {
            let url = SafeUrl::from(ask.url.clone());
            return Err(source::Error::TooLarge { url, limit_bytes }.into());
        }
        let answer = self.send(&ask).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Err(Error::NotFound(blob.digest.clone())),
            _ => return Err(self.refused(&ask, answer).await),
        }
        let size = |have| Error::Size { url: ask.url.to_string(), have, wanted: blob.size };
        if let Some(have) = answer.content_length().filter(|have| *have != blob.size) {
            return Err(size(have));
        }
        let bytes = match self.body(&ask, answer, blob.size).await {
            Err(Error::Transport(source::Error::TooLarge { .. })) => {
                return Err(size(blob.size + 1));
            }
            other => other?,
        };
        if bytes.len() as u64 != blob.size {
            return Err(size(bytes.len() as u64));
        }
        let have = Digest::of(&bytes);
        if have != wanted {
            let (url, have) = (ask.url.to_string(), have.to_string());
            return Err(Error::Digest { url, have, wanted });
        }
        Ok(bytes)
    }

    /// Returns whether a registry has a manifest, asked as somebody who is about to push.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn has_manifest(&self, of: &Reference, digest: &str) -> Result<bool, Error> {
        self.has(of, &format!("manifests/{digest}"), ACCEPTED).await
    }

    async fn has(&self, of: &Reference, path: &str, accept: &str) -> Result<bool, Error> {
        let scope = push_scope(&of.repository);
        let url = self.url(of.host(), &format!("{}/{path}", of.repository))?;
        let head = Ask { method: Method::HEAD, accept, ..Ask::get(of.host(), url, &scope) };
        let answer = self.send(&head).await?;
        match answer.status() {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(self.refused(&head, answer).await),
        }
    }

    /// Uploads a blob, unless the registry has it.
    ///
    /// # Errors
    /// It is refused.
    pub async fn push_blob(&self, to: &Reference, bytes: &Bytes) -> Result<(), Error> {
        let digest = Digest::of(bytes).to_string();
        let there = self.has(to, &format!("blobs/{digest}"), "").await;
        if there.map_err(|error| error.at("Exists", "destination"))? {
            return Ok(());
        }
        let pushed = self.upload(to, bytes, &digest).await;
        pushed.map_err(|error| error.at("Push", "destination"))
    }

    async fn upload(&self, to: &Reference, bytes: &Bytes, digest: &str) -> Result<(), Error> {
        let scope = push_scope(&to.repository);
        let url = self.url(to.host(), &format!("{}/blobs/uploads/", to.repository))?;
        let empty = Some(("", Bytes::new()));
        let begin = Ask { method: Method::POST, body: empty, ..Ask::get(to.host(), url, &scope) };
        let answer = self.good(&begin, StatusCode::ACCEPTED).await?;
        let place = header_text(&answer, header::LOCATION);
        let no_place = || begin.answer(format!("invalid Location {place:?}"));
        let mut url = answer.url().join(place).map_err(|_| no_place())?;
        // The bytes, and the login, go nowhere else.
        if place.is_empty() || !same_origin(&url, &begin.url) {
            let there = url.authority();
            return Err(begin.answer(format!(
                "blob upload Location {there:?} is on a different host than the registry {:?}",
                begin.url.authority()
            )));
        }
        url.query_pairs_mut().append_pair("digest", digest);
        let body = Some(("application/octet-stream", bytes.clone()));
        let end = Ask { method: Method::PUT, body, ..Ask::get(to.host(), url, &scope) };
        self.good(&end, StatusCode::CREATED).await.map(|_| ())
    }

    /// Uploads a manifest, under a tag or its digest.
    ///
    /// # Errors
    /// It is refused.
    pub async fn push_manifest(&self, to: &Reference, bytes: &Bytes) -> Result<(), Error> {
        let scope = push_scope(&to.repository);
        let url = self.url(to.host(), &format!("{}/manifests/{}", to.repository, to.target))?;
        let body = Some((MANIFEST, bytes.clone()));
        let put = Ask { method: Method::PUT, body, ..Ask::get(to.host(), url, &scope) };
        self.good(&put, StatusCode::CREATED).await.map(|_| ())
    }

    pub(super) fn url(&self, host: &str, path: &str) -> Result<Url, Error> {
        let scheme = if self.access.plain_http { "http" } else { "https" };
        let text = format!("{scheme}://{host}/v2/{path}");
        text.parse().map_err(|_| Error::Reference(format!("invalid registry {host:?}")))
    }

    async fn good(&self, ask: &Ask<'_>, wanted: StatusCode) -> Result<Response, Error> {
        let answer = self.send(ask).await?;
        if answer.status() == wanted { Ok(answer) } else { Err(self.refused(ask, answer).await) }
    }

    /// Sends a request, again and again as long as the registry is not able to answer.
    pub(super) async fn send(&self, ask: &Ask<'_>) -> Result<Response, Error> {
        let mut tries = 0;
        loop {
            let answer = self.authorized(ask).await?;
            let status = answer.status();
            let passes = status.is_server_error() || matches!(status.as_u16(), 408 | 429);
            if !passes || tries >= self.access.retries {
                return Ok(answer);
            }
            let (first, longest) = PAUSES;
            let asked = self.fetcher.pause(header_text(&answer, header::RETRY_AFTER));
            let pause = asked.unwrap_or(first * 2_u32.saturating_pow(tries));
            tokio::time::sleep(pause.min(longest)).await;
            tries += 1;
        }
    }

    /// Sends a request, and once more with credentials if they are asked for.
    async fn authorized(&self, ask: &Ask<'_>) -> Result<Response, Error> {
        let key = (ask.host.to_owned(), ask.scope.to_owned());
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let answer = self.once(ask, known.as_ref()).await?;
        // What another host asks for after a redirect is none of the registry's business.
        if answer.status() != StatusCode::UNAUTHORIZED || !same_origin(answer.url(), &ask.url) {
            return Ok(answer);
        }
        let Some(challenge) = Challenge::parse(header_text(&answer, header::WWW_AUTHENTICATE))
        else {
            return Ok(answer);
        };
        let authorization = self.authorization(&challenge, ask).await?;
        let answer = self.once(ask, Some(&authorization)).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(key, authorization);
        }
        Ok(answer)
    }

    async fn once(
        &self,
        ask: &Ask<'_>,
        authorization: Option<&Secret<String>>,
    ) -> Result<Response, Error> {
        let url = SafeUrl::from(ask.url.clone());
        let Access { proxy, tls, .. } = &self.access;
        let client = self.fetcher.client_through(proxy.as_ref(), tls.as_ref(), &url)?;
        let mut call = client.request(ask.method.clone(), ask.url.clone());
        if !ask.accept.is_empty() {
            call = call.header(header::ACCEPT, ask.accept);
        }
        if let Some((media_type, bytes)) = &ask.body {
            if !media_type.is_empty() {
                call = call.header(header::CONTENT_TYPE, *media_type);
            }
            call = call.header(header::CONTENT_LENGTH, bytes.len()).body(bytes.clone());
        }
        if let Some(authorization) = authorization {
            call = call.header(header::AUTHORIZATION, authorization.expose());
        }
        let after = self.access.timeout;
        match tokio::time::timeout(after, call.send()).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(connection(&url, &error).into()),
            Err(_) => Err(source::Error::Timeout { url, after }.into()),
        }
    }

    pub(super) async fn body(
        &self,
        ask: &Ask<'_>,
        answer: Response,
        limit: u64,
    ) -> Result<Bytes, Error> {
        let url = SafeUrl::from(ask.url.clone());
        let after = self.access.timeout;
        let read = body::read(&url, answer, limit, false);
        match tokio::time::timeout(after, read).await {
            Ok(read) => Ok(read?),
            Err(_) => Err(source::Error::Timeout { url, after }.into()),
        }
    }

    async fn authorization(
        &self,
        challenge: &Challenge,
        ask: &Ask<'_>,
    ) -> Result<Secret<String>, Error> {
        let credential = self.access.keys.of(ask.host).await.map_err(|error| {
            let doing = match challenge {
                Challenge::Basic => "failed to resolve credential: ",
                Challenge::Bearer { .. } => "",
            };
            ask.login(format!("{doing}{}", chain(&error)))
        })?;
        match challenge {
            Challenge::Basic if credential.is_empty() => {
                Err(ask.login("basic credential not found"))
            }
            Challenge::Basic => basic(&credential)
                .ok_or_else(|| ask.login("missing username or password for basic auth")),
            Challenge::Bearer { .. } if !credential.registry_token.expose().is_empty() => {
                Ok(Secret::new(format!("Bearer {}", credential.registry_token.expose())))
            }
            Challenge::Bearer { realm, service, scope } => {
                let realm = check_realm(realm, &ask.url).map_err(|why| ask.login(why))?;
                let scopes = merged(ask.scope, scope);
                let asked = token_ask(realm, service, &scopes, &credential, ask.grant)
                    .map_err(|why| ask.login(why))?;
                let token = self.token(&asked, &credential).await.map_err(|error| {
                    let (method, url) = ask.shown();
                    Error::Token { method, url, source: Box::new(error) }
                })?;
                Ok(Secret::new(format!("Bearer {}", token.expose())))
            }
        }
    }

    async fn token(&self, ask: &Ask<'_>, credential: &Credential) -> Result<Secret<String>, Error> {
        let known = if ask.method == Method::GET { basic_or_none(credential) } else { None };
        let answer = self.once(ask, known.as_ref()).await?;
        if answer.status() != StatusCode::OK {
            return Err(self.refused(ask, answer).await);
        }
        let bytes = self.body(ask, answer, TOKEN_BYTES).await?;
        let token: Token = serde_json::from_slice(&bytes)
            .map_err(|_| ask.answer("failed to decode response: it is no token"))?;
        let filled = |token: Option<String>| token.filter(|token| !token.is_empty());
        let token = filled(token.access_token).or_else(|| filled(token.token));
        token.map(Secret::new).ok_or_else(|| ask.answer("empty token returned"))
    }

    /// Reads what a registry says about a refusal.
    pub(super) async fn refused(&self, ask: &Ask<'_>, answer: Response) -> Error {
        let status = answer.status();
        let after = self.fetcher.pause(header_text(&answer, header::RETRY_AFTER));
        let after = match status.as_u16() {
            429 => Some(after.unwrap_or(PAUSE)),
            503 => after,
            _ => None,
        };
        let url = answer.url().to_string();
        let body = self.body(ask, answer, REFUSAL_BYTES).await.unwrap_or_default();
        let plain = || status.canonical_reason().unwrap_or_default().to_owned();
        let reason = refusal(&body).unwrap_or_else(plain);
        Error::Status {
            method: ask.method.to_string(),
            url,
            status: status.as_u16(),
            reason,
            after,
        }
    }
}

/// Header with the digest of what was answered.
const DIGEST: header::HeaderName = header::HeaderName::from_static("docker-content-digest");
