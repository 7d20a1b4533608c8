//! `WWW-Authenticate`: how a registry wants to be asked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use url::Url;

/// How a registry wants to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// With name and password.
    Basic,
    /// With a token of a service.
    Bearer {
        /// Address of the service.
        realm: String,
        /// What it calls the registry.
        service: String,
        /// What the token must allow.
        scope: String,
    },
}

impl Challenge {
    /// Reads the header; none if it asks for something else.
    ///
    /// Source: oras-go v2.6.2 registry/remote/auth/challenge.go (`parseChallenge`).
    pub(super) fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = token(header);
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut found = parameters(rest);
        let mut take = |key: &str| found.remove(key).unwrap_or_default();
        Some(Self::Bearer { realm: take("realm"), service: take("service"), scope: take("scope") })
    }
}

fn parameters(mut rest: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    loop {
        let (key, after) = token(rest.trim_start_matches([' ', '\t', ',']));
        let Some(after) = after.trim_start().strip_prefix('=') else { return found };
        let Some((value, after)) = value(after.trim_start()) else { return found };
        found.insert(key.to_owned(), value);
        rest = after.trim_start();
        if !rest.starts_with(',') {
            return found;
        }
    }
}

/// Reads a word, or a text between quotes; returns what follows, too.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (word, rest) = token(text);
        return (!word.is_empty()).then(|| (word.to_owned(), rest));
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(letters.next()?.1),
            letter => value.push(letter),
        }
    }
    None
}

fn token(text: &str) -> (&str, &str) {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    text.split_at(text.find(|c: char| !is_token(c)).unwrap_or(text.len()))
}

/// Checks the address of a token service, which name and password are sent to.
///
/// Source: oras-go v2.6.2 registry/remote/auth/client.go (`validateRealm`).
pub(super) fn check_realm(realm: &str, registry: &Url) -> Result<Url, String> {
    let url: Url = realm
        .parse()
        .map_err(|error| format!("failed to parse bearer realm {realm:?}: {error}"))?;
    match url.scheme() {
        "http" if registry.scheme() == "https" => {
            Err(format!("bearer realm {realm:?} uses http but registry was contacted over https"))
        }
        "http" | "https" => Ok(()),
        scheme => Err(format!("bearer realm {realm:?} uses unsupported scheme {scheme:?}")),
    }?;
    let host = url.host_str().unwrap_or_default();
    if is_near(host) && Some(host) != registry.host_str() {
        return Err(format!(
            "bearer realm host {host:?} is a loopback, link-local, private, or unspecified address"
        ));
    }
    Ok(url)
}

/// Whether a host is an address of this machine, or of a network that only it sees.
fn is_near(host: &str) -> bool {
    match host.trim_matches(['[', ']']).parse() {
        Ok(IpAddr::V4(ip)) => {
            ip.is_loopback()
                || ip.is_link_local()
                || ip.is_private()
                || ip.is_unspecified()
                || ip.octets()[..3] == [224, 0, 0]
        }
        Ok(IpAddr::V6(ip)) => {
            let mapped = ip.to_ipv4_mapped().is_some_and(|ip| is_near(&ip.to_string()));
            mapped
                || ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_unicast_link_local()
                || ip.is_unique_local()
        }
        Err(_) => false,
    }
}

/// Returns the scopes of two lists as one, each thing once with all that is to be done with it.
///
/// Source: oras-go v2.6.2 registry/remote/auth/scope.go (`CleanScopes`).
pub(super) fn merged(one: &str, other: &str) -> Vec<String> {
    let mut things: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for scope in one.split(' ').chain(other.split(' ')).filter(|scope| !scope.is_empty()) {
        let (thing, actions) = scope.rsplit_once(':').unwrap_or((scope, ""));
        things.entry(thing).or_default().extend(actions.split(',').filter(|a| !a.is_empty()));
    }
    let whole = |(thing, actions): (&str, BTreeSet<&str>)| {
        if actions.contains("*") {
            return format!("{thing}:*");
        }
        format!("{thing}:{}", actions.into_iter().collect::<Vec<_>>().join(","))
    };
    things.into_iter().map(whole).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let bearer = |realm: &str, service: &str, scope: &str| {
            let [realm, service, scope] = [realm, service, scope].map(str::to_owned);
            Some(Challenge::Bearer { realm, service, scope })
        };
        let rows = [
            ("Basic realm=\"x\"", Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            ("", None),
            ("Negotiate", None),
            (
                r#"Bearer realm="https://a/token",service="r",scope="repository:a/b:pull,push""#,
                bearer("https://a/token", "r", "repository:a/b:pull,push"),
            ),
            (
                r#"bearer  service=r , realm = "https://a/\"t\"",error="x""#,
                bearer("https://a/\"t\"", "r", ""),
            ),
            (r#"Bearer realm="open"#, bearer("", "", "")),
        ];
        for (header, want) in rows {
            assert_eq!(Challenge::parse(header), want, "{header}");
        }
    }

    #[test]
    fn passwords_go_only_to_services_that_may_have_them() {
        let rows = [
            ("https://auth.example/token", "https://r.example", Ok(())),
            ("http://auth.example/token", "http://r.example", Ok(())),
            ("http://127.0.0.1:1/token", "http://127.0.0.1:5000", Ok(())),
            ("http://auth.example/token", "https://r.example", Err("uses http but registry")),
            ("ftp://auth.example", "https://r.example", Err("unsupported scheme \"ftp\"")),
            ("https://169.254.169.254/x", "https://r.example", Err("is a loopback, link-local")),
            ("https://[::1]/x", "https://r.example", Err("is a loopback, link-local")),
            ("https://[::ffff:10.0.0.1]/x", "https://r.example", Err("is a loopback")),
            ("https://10.0.0.1/x", "https://10.0.0.2", Err("is a loopback, link-local")),
            ("token", "https://r.example", Err("failed to parse bearer realm")),
        ];
        for (realm, registry, want) in rows {
            let got = check_realm(realm, &registry.parse().unwrap()).map(|_| ());
            match (&got, want) {
                (Ok(()), Ok(())) => {}
                (Err(why), Err(want)) if why.contains(want) => {}
                _ => panic!("{realm}: {got:?}"),
            }
        }
    }

    #[test]
    fn scopes_are_merged() {
        let rows = [
            ("repository:a/b:pull", "", "repository:a/b:pull"),
            ("repository:a:pull", "repository:a:push,pull", "repository:a:pull,push"),
            (
                "repository:b:pull",
                "repository:a:*  repository:a:pull",
                "repository:a:* repository:b:pull",
            ),
        ];
        for (one, other, want) in rows {
            assert_eq!(merged(one, other).join(" "), want, "{one} and {other}");
        }
    }
}
