//! Single requests: to a registry, and to the token service that it names.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::{Method, Response, header};
use url::Url;

use super::credential::Credential;
use super::error::Error;
use crate::base::secret::Secret;
use crate::source::http::header_text;

/// How a token is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grant {
    /// As Docker's registries want it.
    Plain,
    /// As OAuth 2 wants it, with the password.
    Password,
}

/// One request.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    /// The registry, as the user wrote it; empty for a token service.
    pub(super) host: &'a str,
    pub(super) url: Url,
    pub(super) scope: &'a str,
    pub(super) accept: &'a str,
    /// Media type and bytes.
    pub(super) body: Option<(&'a str, Bytes)>,
    pub(super) grant: Grant,
}

impl Ask<'_> {
    pub(super) fn get<'a>(host: &'a str, url: Url, scope: &'a str) -> Ask<'a> {
        let (method, grant) = (Method::GET, Grant::Plain);
        Ask { method, host, url, scope, accept: "", body: None, grant }
    }

    pub(super) fn shown(&self) -> (String, String) {
        (self.method.to_string(), self.url.to_string())
    }

    pub(super) fn login(&self, reason: impl Into<String>) -> Error {
        let (method, url) = self.shown();
        Error::Login { method, url, reason: reason.into() }
    }

    pub(super) fn answer(&self, reason: impl Into<String>) -> Error {
        let (method, url) = self.shown();
        Error::Answer { method, url, reason: reason.into() }
    }
}

/// Name and password as a header, if both are there.
pub(super) fn basic(credential: &Credential) -> Option<Secret<String>> {
    let (user, password) = (&credential.user, credential.password.expose());
    let both = !user.is_empty() && !password.is_empty();
    both.then(|| Secret::new(format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))))
}

/// The same for a token service, which takes one alone, too.
pub(super) fn basic_or_none(credential: &Credential) -> Option<Secret<String>> {
    let (user, password) = (&credential.user, credential.password.expose());
    let any = !user.is_empty() || !password.is_empty();
    any.then(|| Secret::new(format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))))
}

/// Makes the request for a token.
///
/// Source: oras-go v2.6.2 registry/remote/auth/client.go (`fetchBearerToken`).
pub(super) fn token_ask(
    mut realm: Url,
    service: &str,
    scopes: &[String],
    credential: &Credential,
    grant: Grant,
) -> Result<Ask<'static>, String> {
    let refresh = credential.identity_token.expose();
    if credential.is_empty() || (refresh.is_empty() && grant == Grant::Plain) {
        let given: Vec<(String, String)> = realm
            .query_pairs()
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .filter(|(key, _)| key != "service")
            .collect();
        let mut pairs = given;
        pairs.extend(scopes.iter().map(|scope| ("scope".to_owned(), scope.clone())));
        if !service.is_empty() {
            pairs.push(("service".to_owned(), service.to_owned()));
        }
        // As Go writes them: by key.
        pairs.sort_by(|one, other| one.0.cmp(&other.0));
        realm.set_query(None);
        if !pairs.is_empty() {
            realm.query_pairs_mut().extend_pairs(pairs);
        }
        return Ok(Ask::get("", realm, ""));
    }
    let (user, password) = (&credential.user, credential.password.expose());
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    if !refresh.is_empty() {
        form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", refresh);
    } else if !user.is_empty() && !password.is_empty() {
        form.append_pair("grant_type", "password").append_pair("username", user);
        form.append_pair("password", password);
    } else {
        return Err("missing username or password for bearer auth".to_owned());
    }
    form.append_pair("service", service).append_pair("client_id", "leadsman");
    if !scopes.is_empty() {
        form.append_pair("scope", &scopes.join(" "));
    }
    let body = Some(("application/x-www-form-urlencoded", Bytes::from(form.finish())));
    Ok(Ask { method: Method::POST, body, ..Ask::get("", realm, "") })
}

/// Returns the next page that an answer names.
pub(super) fn next_page(ask: &Ask<'_>, answer: &Response) -> Result<Option<Url>, Error> {
    let link = header_text(answer, header::LINK);
    if link.is_empty() {
        return Ok(None);
    }
    let bad = |why: &str| ask.answer(format!("invalid next link {link:?}: {why}"));
    let inner = link.strip_prefix('<').ok_or_else(|| bad("missing '<'"))?;
    let (inner, _) = inner.split_once('>').ok_or_else(|| bad("missing '>'"))?;
    let url = answer.url().join(inner).map_err(|_| bad("it is no address"))?;
    // A registry must not make us ask somebody else.
    if same_origin(&url, answer.url()) {
        return Ok(Some(url));
    }
    Err(bad(&format!("not the same origin as {:?}", answer.url().as_str())))
}

pub(super) fn same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}
