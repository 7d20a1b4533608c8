//! Values whose printed form is harmless.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

/// A value that never prints itself.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// Returns the value, for the one place that must send it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A URL that prints without user, password and query.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SafeUrl(Url);

/// A text that is not a URL.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not a URL: {source}")]
pub struct UrlError {
    text: String,
    source: url::ParseError,
}

impl SafeUrl {
    /// Returns the whole URL, credentials and query included, for the client that requests it.
    pub fn expose(&self) -> &Url {
        &self.0
    }
}

impl From<Url> for SafeUrl {
    fn from(url: Url) -> Self {
        Self(url)
    }
}

impl FromStr for SafeUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        // A text that does not parse may still hold a password: print only what precedes an `@`-part.
        let shown = || match text.rsplit_once('@') {
            Some((_, rest)) => format!("***@{rest}"),
            None => text.to_owned(),
        };
        Url::parse(text).map(Self).map_err(|source| UrlError { text: shown(), source })
    }
}

impl TryFrom<String> for SafeUrl {
    type Error = UrlError;

    fn try_from(text: String) -> Result<Self, UrlError> {
        text.parse()
    }
}

impl From<SafeUrl> for String {
    fn from(url: SafeUrl) -> Self {
        url.0.into()
    }
}

impl fmt::Display for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.clone();
        let hidden = !shown.username().is_empty() || shown.password().is_some();
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        shown.set_query(None);
        let text = shown.as_str();
        match text.split_once("://") {
            Some((scheme, rest)) if hidden => write!(f, "{scheme}://***@{rest}"),
            _ => f.write_str(text),
        }
    }
}

impl fmt::Debug for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Words of keys whose values nobody wants to see on a screen.
const SECRET_WORDS: &[&str] = &["pass", "pwd", "secret", "token", "credential", "private", "auth"];

/// Whether a key sounds as if its value were secret: it holds `pass`, `pwd`, `secret`, `token`,
/// `credential`, `private` or `auth`, or ends in `key` or `keys`. Better one too many.
pub fn is_secret_key(key: &str) -> bool {
    let key: String = key.chars().filter(|c| c.is_alphanumeric()).collect();
    let key = key.to_lowercase();
    SECRET_WORDS.iter().any(|word| key.contains(word))
        || key.ends_with("key")
        || key.ends_with("keys")
}

/// Whether a text looks secret whatever it is called: a PEM block, or an address with a password.
pub fn is_secret_text(text: &str) -> bool {
    let with_password = text.split_once("://").is_some_and(|(_, rest)| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        host.split_once('@').is_some_and(|(user, _)| user.contains(':'))
    });
    with_password || text.contains("-----BEGIN ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_printed() {
        assert_eq!(format!("{:?}", Secret::new("s3cr3t")), "***");
        let url: SafeUrl = "https://me:pw@charts.example/x?token=t".parse().unwrap();
        assert_eq!(url.to_string(), "https://***@charts.example/x");
        assert_eq!(format!("{url:?}"), "https://***@charts.example/x");
        let error = "https//me:pw@charts.example".parse::<SafeUrl>().unwrap_err();
        assert!(!error.to_string().contains("pw"), "{error}");
    }

    #[test]
    fn keys_that_sound_secret_are_told_apart() {
        let secret = [
            "password",
            "adminPassword",
            "DB_PASS",
            "api-key",
            "tls.key",
            "token",
            "oAuth",
            "accessKeys",
        ];
        let open = ["name", "keyboard", "replicas", "image", "monkeys2", "host"];
        let wrong: Vec<_> = secret.iter().filter(|key| !is_secret_key(key)).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        let wrong: Vec<_> = open.iter().filter(|key| is_secret_key(key)).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        assert!(
            is_secret_text("postgres://me:pw@db/x")
                && is_secret_text("-----BEGIN RSA PRIVATE KEY-----")
        );
        assert!(!is_secret_text("https://example.com/a@b:c") && !is_secret_text("registry/x:1"));
    }
}
