//! A commit is fetched, and the repositories in it that are wanted.
//!
//! Each of them is asked as the outermost one where it is on the same server; another server gets
//! neither its login nor its certificate. An SSH key is shown to those servers that the Secret
//! lists, which `ssh` makes sure of before it is used.
//!
//! Source: go-git v5 submodule.go.

use std::collections::VecDeque;
use std::fs::File;

use tokio::time::Instant;

use super::client::{Access, Login, PACK_TIMES, Remote, Room};
use super::error::Error;
use super::forest::{Forest, Spot};
use super::tree::{Checkout, Selection};
use super::wanted::{Found, Wanted};
use crate::base::limit::{self, Limit};
use crate::base::secret::SafeUrl;
use crate::source::http::{Tls, same_host};

/// Most repositories in repositories.
const DEEPEST: usize = 10;
/// Most repositories in one.
const MOST: usize = 256;

impl Remote<'_> {
    /// Fetches a commit, and selects its files. Packs are kept in files as long as they are used.
    ///
    /// # Errors
    /// A server cannot be asked, or what comes cannot be used.
    pub async fn fetch(
        &self,
        wanted: &Wanted,
        found: &Found,
        selection: &Selection,
        file: impl Fn() -> std::io::Result<File> + Sync,
    ) -> Result<Checkout, Error> {
        let until = Instant::now() + self.access.timeout;
        let limits = limit::current();
        let left_bytes = limits.of(Limit::Unpacked).saturating_mul(PACK_TIMES);
        let mut room = Room { file: &file, left_bytes };
        let url = self.access.url.clone();
        let forest = Forest::new(&url, selection);
        let spot = Spot { url, commit: found.commit, path: String::new(), depth: 0 };
        let pack = self.pack_until(until, (wanted, found), &mut room).await?;
        let (mut forest, root, inner) = grown(forest, pack, spot, selection.submodules).await?;
        let mut queue = VecDeque::from(inner);
        let mut count = queue.len();
        while let Some(spot) = queue.pop_front() {
            self.bounded(&spot, count)?;
            let access = self.inner_access(&spot.url)?;
            let remote = Remote { fetcher: self.fetcher, servers: self.servers, access: &access };
            let wanted = Wanted::Commit(spot.commit, None);
            let found = wanted.known().ok_or(Error::Empty)?;
            let pack = remote.pack_until(until, (&wanted, &found), &mut room).await?;
            let (larger, _, inner) = grown(forest, pack, spot, true).await?;
            forest = larger;
            count += inner.len();
            queue.extend(inner);
        }
        let (url, found, selection) = (self.access.url.clone(), found.clone(), selection.clone());
        apart(&url, move || Checkout::new(forest, root, found, &selection)).await
    }

    fn bounded(&self, spot: &Spot, count: usize) -> Result<(), Error> {
        let url = self.access.url.clone();
        if spot.depth > DEEPEST {
            let reason = format!("submodules are nested more than {DEEPEST} deep: `{}`", spot.path);
            return Err(Error::Content { url, reason });
        }
        if count > MOST {
            return Err(Error::Content {
                url,
                reason: format!("it has more than {MOST} submodules"),
            });
        }
        Ok(())
    }

    async fn pack_until(
        &self,
        until: Instant,
        (wanted, found): (&Wanted, &Found),
        room: &mut Room<'_>,
    ) -> Result<File, Error> {
        let pack = tokio::time::timeout_at(until, self.pack(wanted, found, room)).await;
        pack.map_err(|_| self.late())?
    }

    /// Returns how a repository is asked that is in this one.
    fn inner_access(&self, url: &SafeUrl) -> Result<Access, Error> {
        let access = inner_access(self.access, url);
        access.map_err(|reason| Error::Protocol { url: url.clone(), reason })
    }
}

/// Another server gets nothing of what is for this one.
fn inner_access(outer: &Access, url: &SafeUrl) -> Result<Access, String> {
    let is_own = same_host(&outer.url, url);
    let by_ssh = url.expose().scheme() == "ssh";
    let given = Login::of_url(url);
    let login = match &outer.login {
        Login::Key(key) if by_ssh => Login::Key(key.clone()),
        Login::Password(..) | Login::Bearer(_) if is_own => outer.login.clone(),
        Login::Anonymous | Login::Key(_) | Login::Password(..) | Login::Bearer(_) => given,
    };
    if by_ssh && !matches!(login, Login::Key(_)) {
        return Err("it is asked over ssh://, and the Secret has no key for that".to_owned());
    }
    if by_ssh && outer.proxy.is_some() {
        return Err("ssh:// does not go through a proxy, and one is named".to_owned());
    }
    let tls = outer.tls.clone().map(|tls| match is_own {
        true => tls,
        false => Tls { authorities: tls.authorities, ..Tls::default() },
    });
    let (proxy, timeout) = (outer.proxy.clone(), outer.timeout);
    Ok(Access { url: url.clone(), login, tls, proxy, timeout })
}

/// Adds a repository, and returns which are in it.
async fn grown(
    mut forest: Forest,
    pack: File,
    spot: Spot,
    submodules: bool,
) -> Result<(Forest, super::forest::Root, Vec<Spot>), Error> {
    let url = spot.url.clone();
    apart(&url, move || {
        let root = forest.add(pack, &spot)?;
        let inner = if submodules { forest.inner(&spot, &root)? } else { Vec::new() };
        Ok((forest, root, inner))
    })
    .await
}

/// Works on what takes long where nobody waits for the thread.
async fn apart<T: Send + 'static>(
    url: &SafeUrl,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(|error| Error::Content { url: url.clone(), reason: error.to_string() })?
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::ssh::Key;
    use super::*;
    use crate::base::secret::Secret;
    use crate::source::http::Proxy;

    #[test]
    fn another_server_gets_no_login() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let login = Login::Password("me".to_owned(), secret("pw"));
        let key = Login::Key(Key { identity: secret("k"), ..Key::default() });
        let none = Login::Anonymous;
        let (https, ssh) = ("https://g.example/web", "ssh://git@g.example/web");
        let rows = [
            (https, &login, "https://g.example/a", Ok("me:pw own")),
            (https, &login, "https://g.example:443/a", Ok("me:pw own")),
            (https, &login, "http://g.example/a", Ok("-")),
            (https, &login, "https://g.example:8443/a", Ok("-")),
            (https, &login, "https://h.example/a", Ok("-")),
            (https, &login, "https://you:o@h.example/a", Ok("you:o")),
            (https, &none, "https://you:o@g.example/a", Ok("you:o own")),
            (https, &login, "https://you:o@g.example/a", Ok("me:pw own")),
            (https, &Login::Bearer(secret("t")), "https://g.example/a", Ok("token own")),
            (https, &Login::Bearer(secret("t")), "https://h.example/a", Ok("-")),
            (https, &login, "ssh://git@g.example/a", Err("the Secret has no key")),
            (ssh, &key, "ssh://git@g.example/a", Ok("key own")),
            (ssh, &key, "ssh://git@h.example/a", Ok("key")),
            (ssh, &key, "https://g.example/a", Ok("-")),
        ];
        for (outer, login, url, want) in rows {
            let tls = Tls {
                authorities: "ca".to_owned(),
                certificate: "own".to_owned(),
                key: secret("own"),
            };
            let access = Access {
                url: outer.parse().unwrap(),
                login: login.clone(),
                tls: Some(tls),
                proxy: None,
                timeout: Duration::from_secs(1),
            };
            let got = inner_access(&access, &url.parse().unwrap()).map(|access| {
                let tls = access.tls.unwrap();
                assert_eq!(tls.authorities, "ca", "{url}");
                assert_eq!(tls.certificate, *tls.key.expose(), "{url}");
                let who = match access.login {
                    Login::Anonymous => "-".to_owned(),
                    Login::Password(user, password) => format!("{user}:{}", password.expose()),
                    Login::Bearer(_) => "token".to_owned(),
                    Login::Key(_) => "key".to_owned(),
                };
                format!("{who} {}", tls.certificate).trim().to_owned()
            });
            match (got, want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want, "{outer} {url}"),
                (Err(got), Err(want)) => assert!(got.contains(want), "{outer} {url}: {got}"),
                (got, _) => panic!("{outer} {url}: {got:?}"),
            }
        }
    }

    #[test]
    fn a_proxy_is_not_gone_around() {
        let address = "http://p.example:3128".parse().unwrap();
        let proxy = Proxy { address, user: String::new(), password: Secret::default() };
        let access = Access {
            url: "https://g.example/web".parse().unwrap(),
            login: Login::Key(Key::default()),
            tls: None,
            proxy: Some(proxy.clone()),
            timeout: Duration::from_secs(1),
        };
        let same = inner_access(&access, &"https://h.example/a".parse().unwrap()).unwrap();
        assert_eq!(same.proxy, Some(proxy));
        let error = inner_access(&access, &"ssh://h.example/a".parse().unwrap()).unwrap_err();
        assert!(error.contains("proxy"), "{error}");
    }
}
