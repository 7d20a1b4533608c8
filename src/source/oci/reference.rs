//! Names of things in registries: `registry/repository[:tag][@digest]`.

use std::fmt;
use std::str::FromStr;

use url::Url;

use super::error::Error;
use crate::base::digest::Digest;

/// A repository of a registry, or something in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Host, with its port if it has one.
    pub registry: String,
    /// Path of the repository.
    pub repository: String,
    /// Tag or digest; empty for the repository itself.
    pub target: String,
}

impl FromStr for Reference {
    type Err = Error;

    /// Source: oras-go v2.6.2 registry/reference.go (`ParseReference`).
    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = |why: String| Error::Reference(why);
        let (registry, path) = text
            .split_once('/')
            .ok_or_else(|| invalid("missing registry or repository".to_owned()))?;
        let (repository, target, is_tag) = match path.split_once('@') {
            // A tag before a digest says nothing.
            Some((named, digest)) => (named.split(':').next().unwrap_or_default(), digest, false),
            None => match path.split_once(':') {
                Some((repository, tag)) => (repository, tag, true),
                None => (path, "", true),
            },
        };
        check_registry(registry)?;
        if !is_repository(repository) {
            return Err(invalid(format!("invalid repository {repository:?}")));
        }
        if is_tag && !target.is_empty() && !is_tag_name(target) {
            return Err(invalid(format!("invalid tag {target:?}")));
        }
        if !is_tag && !is_digest(target) {
            return Err(invalid(format!("invalid digest {target:?}")));
        }
        let [registry, repository, target] = [registry, repository, target].map(str::to_owned);
        Ok(Self { registry, repository, target })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { registry, repository, target } = self;
        match target.as_str() {
            "" => write!(f, "{registry}/{repository}"),
            digest if is_digest(digest) => write!(f, "{registry}/{repository}@{digest}"),
            tag => write!(f, "{registry}/{repository}:{tag}"),
        }
    }
}

impl Reference {
    /// Returns something else of the same repository, by its tag or digest.
    #[must_use]
    pub fn with(&self, target: impl Into<String>) -> Self {
        Self { target: target.into(), ..self.clone() }
    }

    /// Returns the host that is really asked.
    pub fn host(&self) -> &str {
        host(&self.registry)
    }

    /// Returns the digest, if this names one.
    pub fn digest(&self) -> Option<Digest> {
        self.target.starts_with("sha256:").then(|| self.target.parse().ok()).flatten()
    }
}

/// Docker's registry answers at another name than it is known by.
pub(super) fn host(registry: &str) -> &str {
    if registry == "docker.io" { "registry-1.docker.io" } else { registry }
}

/// Checks that a text is a host, with or without a port, and nothing else.
pub(super) fn check_registry(registry: &str) -> Result<(), Error> {
    let known = |url: Url| {
        let plain = url.username().is_empty() && url.password().is_none() && url.path() == "/";
        plain && url.query().is_none() && url.fragment().is_none() && url.host_str().is_some()
    };
    let good = !registry.is_empty() && !registry.contains(['/', '\\', '@', '?', '#', ' ']);
    let good = good && format!("http://{registry}/").parse().is_ok_and(known);
    let fail = || Error::Reference(format!("invalid registry {registry:?}"));
    if good { Ok(()) } else { Err(fail()) }
}

/// Components of lower-case letters and digits, joined inside by `.`, `_`, `__` or dashes.
fn is_repository(text: &str) -> bool {
    let is_part = |part: &str| {
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let mut rest = part;
        loop {
            let after = rest.trim_start_matches(word);
            if after.len() == rest.len() {
                return false;
            }
            if after.is_empty() {
                return true;
            }
            let joint = &after[..after.find(word).unwrap_or(after.len())];
            if !(matches!(joint, "." | "_" | "__") || joint.bytes().all(|byte| byte == b'-')) {
                return false;
            }
            rest = &after[joint.len()..];
        }
    };
    text.split('/').all(is_part)
}

fn is_tag_name(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}

/// Other digests than SHA-256 are no use here: none is ever made of charts.
fn is_digest(text: &str) -> bool {
    text.starts_with("sha256:") && text.parse::<Digest>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_and_written() {
        let digest = Digest::of("");
        let by_digest = format!("r.example/a@{digest}");
        let both = format!("r.example/a:1@{digest}");
        let rows: &[(&str, Result<&str, &str>)] = &[
            ("r.example/a", Ok("r.example/a")),
            ("127.0.0.1:5000/charts/web:1.0.0", Ok("127.0.0.1:5000/charts/web:1.0.0")),
            ("[::1]:5000/a__b/c--d/e.f:v1_2", Ok("[::1]:5000/a__b/c--d/e.f:v1_2")),
            (&by_digest, Ok(&by_digest)),
            (&both, Ok(&by_digest)),
            ("web", Err("missing registry or repository")),
            ("/web", Err("invalid registry \"\"")),
            ("a b/web", Err("invalid registry \"a b\"")),
            ("user@host/web", Err("invalid registry \"user@host\"")),
            ("host:port/web", Err("invalid registry \"host:port\"")),
            ("r.example/Web", Err("invalid repository \"Web\"")),
            ("r.example/a//b", Err("invalid repository \"a//b\"")),
            ("r.example/-a", Err("invalid repository \"-a\"")),
            ("r.example/a___b", Err("invalid repository \"a___b\"")),
            ("r.example/../v1", Err("invalid repository \"../v1\"")),
            ("r.example/a:1.0.0+b", Err("invalid tag \"1.0.0+b\"")),
            ("r.example/a:-x", Err("invalid tag \"-x\"")),
            ("r.example/a@sha256:00", Err("invalid digest \"sha256:00\"")),
        ];
        for (text, want) in rows {
            let got = text.parse::<Reference>().map(|found| found.to_string());
            let want = want.map(str::to_owned).map_err(|why| format!("invalid reference: {why}"));
            assert_eq!(got.map_err(|error| error.to_string()), want, "{text}");
        }
        assert_eq!("docker.io/a".parse::<Reference>().unwrap().host(), "registry-1.docker.io");
    }
}
