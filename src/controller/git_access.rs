//! How a Git repository is asked, and what is asked of it.
//!
//! Source: fluxcd/source-controller internal/controller/gitrepository_controller.go,
//! fluxcd/pkg git/options.go.

use std::collections::BTreeMap;
use std::time::Duration;

use super::access::{self, Problem};
use crate::api::{GitReference, GitRepository};
use crate::base::class::Class;
use crate::base::secret::{SafeUrl, Secret};
use crate::cluster::Cluster;
use crate::source::git::{Access, Key, Login, Selection, Wanted};

/// The branch that is meant where nothing is said.
const BRANCH: &str = "master";

/// Returns how a repository is asked.
///
/// # Errors
/// Its address cannot be used, or its Secret is missing or lacks what it needs.
pub(super) async fn of(cluster: &Cluster, repository: &GitRepository) -> Result<Access, Problem> {
    let spec = &repository.spec;
    access::supported(&spec.unsupported())?;
    let invalid = |text: String| ("URLInvalid", text, Class::Stalled);
    let url: SafeUrl = spec.url.parse().map_err(|error: crate::base::secret::UrlError| {
        invalid(format!("failed to parse url '{error}'"))
    })?;
    let by_ssh = match url.expose().scheme() {
        "http" | "https" => false,
        "ssh" => true,
        scheme => return Err(invalid(format!("URL scheme '{scheme}' is not supported"))),
    };
    let timeout = spec.timeout.map_or(Duration::from_secs(60), |timeout| timeout.0);
    let given = if by_ssh { Login::Anonymous } else { Login::of_url(&url) };
    if by_ssh && spec.proxy_secret_ref.is_some() {
        access::supported(&["spec.proxySecretRef of ssh://"])?;
    }
    let namespace = &repository.metadata.namespace;
    let proxy = access::proxy(cluster, namespace, spec.proxy_secret_ref.as_ref()).await?;
    let mut found = Access { login: given, url, tls: None, proxy, timeout };
    if let Some(reference) = &spec.secret_ref {
        let lacks = |text: &str| {
            let text = format!("secret '{namespace}/{}': {text}", reference.name);
            ("AuthenticationFailed", text, Class::Retry)
        };
        let data = access::secret(cluster, namespace, &reference.name).await?;
        if by_ssh {
            found.login = Login::Key(key(&data).map_err(lacks)?);
            return Ok(found);
        }
        found.login = login(&data, &found.login).map_err(lacks)?;
        found.tls = access::tls(&data).map_err(lacks)?;
    } else if by_ssh {
        let text = "invalid 'ssh' auth option: 'identity' is required; name a Secret in secretRef";
        return Err(("AuthenticationFailed", text.to_owned(), Class::Stalled));
    }
    Ok(found)
}

/// A token counts before user and password; what of these a Secret lacks is that of the address.
fn login(data: &BTreeMap<String, String>, known: &Login) -> Result<Login, &'static str> {
    let text = |key: &str| data.get(key).filter(|text| !text.is_empty()).cloned();
    if let Some(token) = text("bearerToken") {
        return Ok(Login::Bearer(Secret::new(token)));
    }
    let (user, password) = match known {
        Login::Password(user, password) => (user.clone(), password.clone()),
        Login::Anonymous | Login::Bearer(_) | Login::Key(_) => (String::new(), Secret::default()),
    };
    let user = text("username").unwrap_or(user);
    let password = text("password").map_or(password, Secret::new);
    match (user.is_empty(), password.expose().is_empty()) {
        (true, true) => Ok(Login::Anonymous),
        (true, false) => Err("`password` requires `username`"),
        (false, _) => Ok(Login::Password(user, password)),
    }
}

/// A key, and the keys of servers: nobody is trusted at first sight.
fn key(data: &BTreeMap<String, String>) -> Result<Key, &'static str> {
    let text = |name: &str| data.get(name).filter(|text| !text.trim().is_empty()).cloned();
    let identity = text("identity").ok_or("invalid 'ssh' auth option: 'identity' is required")?;
    let hosts =
        text("known_hosts").ok_or("invalid 'ssh' auth option: 'known_hosts' is required")?;
    let password = Secret::new(text("password").unwrap_or_default());
    Ok(Key { identity: Secret::new(identity), password, known_hosts: hosts })
}

/// Returns which commit is wanted.
///
/// # Errors
/// The range or the hash is none.
pub(super) fn wanted(reference: Option<&GitReference>) -> Result<Wanted, String> {
    let reference = reference.cloned().unwrap_or_default();
    let GitReference { branch, tag, semver, name, commit } = reference;
    if !commit.is_empty() {
        let branch = (!branch.is_empty()).then_some(branch);
        let commit = commit.parse().map_err(|error| format!("ref.commit: {error}"))?;
        return Ok(Wanted::Commit(commit, branch));
    }
    if !name.is_empty() {
        return Ok(Wanted::Name(name));
    }
    if !tag.is_empty() {
        return Ok(Wanted::Tag(tag));
    }
    if !semver.is_empty() {
        let range = semver.parse().map_err(|error| format!("semver parse error: {error}"))?;
        return Ok(Wanted::Semver(range, semver));
    }
    Ok(Wanted::Branch(if branch.is_empty() { BRANCH.to_owned() } else { branch }))
}

/// Returns which files are wanted.
pub(super) fn selection(repository: &GitRepository) -> Selection {
    let spec = &repository.spec;
    Selection {
        ignore: spec.ignore.clone(),
        folders: spec.sparse_checkout.clone(),
        submodules: spec.recurse_submodules,
        added: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_certain_reference_counts() {
        let hash = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
        let rows: &[(&[(&str, &str)], &str)] = &[
            (&[], "Branch(\"master\")"),
            (&[("branch", "main")], "Branch(\"main\")"),
            (&[("branch", "main"), ("tag", "v1")], "Tag(\"v1\")"),
            (&[("tag", "v1"), ("semver", "1.x")], "Tag(\"v1\")"),
            (&[("semver", "1.x"), ("branch", "main")], "Semver(1.x, "),
            (&[("semver", "1.x"), ("name", "refs/heads/a")], "Name(\"refs/heads/a\")"),
            (&[("name", "refs/heads/a"), ("commit", hash)], "Commit(4b82"),
            (&[("branch", "main"), ("commit", hash)], "Commit(4b82"),
            (&[("commit", "4b82")], "ref.commit: `4b82` is not the hash of a commit"),
            (&[("semver", "latest")], "semver parse error: improper constraint"),
        ];
        for (fields, want) in rows {
            let mut reference = GitReference::default();
            for (field, value) in *fields {
                let place = match *field {
                    "branch" => &mut reference.branch,
                    "tag" => &mut reference.tag,
                    "semver" => &mut reference.semver,
                    "name" => &mut reference.name,
                    _ => &mut reference.commit,
                };
                (*value).clone_into(place);
            }
            let got = wanted(Some(&reference)).map_or_else(|why| why, |got| format!("{got:?}"));
            assert!(got.starts_with(want), "{fields:?}: {got}");
        }
    }

    #[test]
    fn a_key_comes_with_known_hosts() {
        let of = |names: &[&str]| {
            key(&names.iter().map(|name| ((*name).to_owned(), format!("<{name}>"))).collect())
        };
        let key = of(&["identity", "known_hosts", "password"]).unwrap();
        assert_eq!(
            (key.identity.expose().as_str(), key.known_hosts.as_str()),
            ("<identity>", "<known_hosts>")
        );
        assert_eq!(key.password.expose(), "<password>");
        assert_eq!(
            of(&["identity"]).unwrap_err(),
            "invalid 'ssh' auth option: 'known_hosts' is required"
        );
        assert_eq!(
            of(&["known_hosts"]).unwrap_err(),
            "invalid 'ssh' auth option: 'identity' is required"
        );
    }

    #[test]
    fn a_login_is_of_the_secret_or_of_the_address() {
        type Row = (&'static str, &'static [(&'static str, &'static str)], &'static str);
        let rows: &[Row] = &[
            ("https://g.example/a", &[], "-"),
            ("https://g.example/a", &[("username", "me"), ("password", "pw")], "me:pw"),
            ("https://g.example/a", &[("username", "me")], "me:"),
            ("https://g.example/a", &[("password", "pw")], "`password` requires `username`"),
            ("https://you:o%2Bx@g.example/a", &[], "you:o+x"),
            ("https://you:old@g.example/a", &[("password", "pw")], "you:pw"),
            ("https://you@g.example/a", &[("bearerToken", "t"), ("username", "me")], "token t"),
        ];
        for (url, data, want) in rows {
            let data = data.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            let got = login(&data.collect(), &Login::of_url(&url.parse().unwrap()));
            let got = match got {
                Ok(Login::Anonymous) => "-".to_owned(),
                Ok(Login::Password(user, password)) => format!("{user}:{}", password.expose()),
                Ok(Login::Bearer(token)) => format!("token {}", token.expose()),
                Ok(Login::Key(_)) => "key".to_owned(),
                Err(why) => why.to_owned(),
            };
            assert_eq!(got, *want, "{url}");
        }
    }
}
