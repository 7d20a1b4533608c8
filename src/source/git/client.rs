//! Requests to Git servers: over HTTP(S), and over SSH by [`super::ssh`].

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::{RequestBuilder, Response, header};
use url::Url;

use super::error::Error;
use super::object::Id;
use super::receive::{self, Depth, Receiver, Refusal};
use super::refs::{self, Manner, Ref};
use super::ssh::{Conversation, Key};
use super::wanted::{Found, Wanted};
use crate::base::limit::{self, Limit};
use crate::base::secret::{SafeUrl, Secret};
use crate::source::body;
use crate::source::http::{Fetcher, Proxy, Tls, connection, header_text, same_host};

/// Largest answer that lists branches and tags.
const REFS_BYTES: u64 = 64 << 20;
/// Packs are this much larger than the files that are taken of them, at most.
pub(super) const PACK_TIMES: u64 = 4;

/// How a repository is asked.
#[derive(Debug, Clone)]
pub struct Access {
    /// Its address.
    pub url: SafeUrl,
    /// Who asks.
    pub login: Login,
    /// Certificates.
    pub tls: Option<Tls>,
    /// Through which server it is asked.
    pub proxy: Option<Proxy>,
    /// Limit of one operation.
    pub timeout: Duration,
}

/// Who asks.
#[derive(Debug, Clone, Default)]
pub enum Login {
    /// Nobody in particular.
    #[default]
    Anonymous,
    /// A user with a password.
    Password(String, Secret<String>),
    /// Who has this token.
    Bearer(Secret<String>),
    /// Who has this key, over SSH.
    Key(Key),
}

/// Where packs go.
pub(super) struct Room<'a> {
    /// Makes a file.
    pub(super) file: &'a (dyn Fn() -> std::io::Result<File> + Sync),
    /// How much may still come.
    pub(super) left_bytes: u64,
}

impl Login {
    /// Returns user and password that stand in an address.
    #[must_use]
    pub fn of_url(url: &SafeUrl) -> Self {
        let url = url.expose();
        let plain = |text: &str| {
            let pairs = format!("={}", text.replace('+', "%2B"));
            let mut decoded = url::form_urlencoded::parse(pairs.as_bytes());
            decoded.next().map(|(_, value)| value.into_owned()).unwrap_or_default()
        };
        match (url.username(), url.password()) {
            ("", None) => Self::Anonymous,
            (user, password) => {
                Self::Password(plain(user), Secret::new(plain(password.unwrap_or_default())))
            }
        }
    }
}

/// What is known of servers: the second question needs no introduction.
#[derive(Debug, Default)]
pub struct Servers(Mutex<HashMap<SafeUrl, Server>>);

#[derive(Debug, Clone)]
struct Server {
    /// Where it answers, after redirects.
    base: Url,
    manner: Manner,
}

/// A repository that is asked.
#[derive(Debug)]
pub struct Remote<'a> {
    /// Asks.
    pub fetcher: &'a Fetcher,
    /// What is known of servers.
    pub servers: &'a Servers,
    /// How it is asked.
    pub access: &'a Access,
}

impl Remote<'_> {
    /// Returns the commit that is meant; one that is named by its hash costs no request.
    ///
    /// # Errors
    /// The server cannot be asked, or has no such commit.
    pub async fn find(&self, wanted: &Wanted) -> Result<Found, Error> {
        if let Some(known) = wanted.known() {
            return Ok(known);
        }
        self.in_time(async {
            let refs = self.refs(&wanted.prefixes()).await?;
            match wanted.choose(&refs) {
                // An empty repository is told apart from a name that is wrong.
                Err(error) if refs.is_empty() => {
                    let all = self.refs(&[]).await?;
                    Err(if all.is_empty() { Error::Empty } else { error })
                }
                result => result,
            }
        })
        .await
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::time::timeout(self.access.timeout, work).await.map_err(|_| self.late())?
    }

    /// Says that the time is over.
    pub(super) fn late(&self) -> Error {
        let (url, after) = (self.access.url.clone(), self.access.timeout);
        crate::source::Error::Timeout { url, after }.into()
    }

    /// Gets the commit alone; where the server gives nothing by hash, the history in which it is.
    pub(super) async fn pack(
        &self,
        wanted: &Wanted,
        found: &Found,
        room: &mut Room<'_>,
    ) -> Result<File, Error> {
        let alone = self.receive(found.object(), Depth::One, room).await;
        let Err(Error::Protocol { .. }) = &alone else { return alone };
        let history = match (found.history, wanted.place()) {
            (Some(history), _) => history,
            (None, place) => self.tip(&place).await?,
        };
        match self.receive(history, Depth::All, room).await {
            Err(Error::Protocol { .. }) => alone,
            other => other,
        }
    }

    async fn tip(&self, name: &str) -> Result<Id, Error> {
        let refs = self.refs(&[name.to_owned()]).await?;
        let tip = refs.iter().find(|one| one.name == name);
        tip.map(Ref::commit).ok_or_else(|| Error::NoRef(name.to_owned()))
    }

    fn unkept(&self, reason: String) -> Error {
        Error::Unkept { url: self.access.url.clone(), reason }
    }

    fn protocol(&self, reason: String) -> Error {
        Error::Protocol { url: self.access.url.clone(), reason }
    }

    /// Returns refs whose names begin so (others may come as well).
    async fn refs(&self, prefixes: &[String]) -> Result<Vec<Ref>, Error> {
        if let Some(key) = self.key()? {
            return self.refs_by_ssh(key, prefixes).await.map_err(|why| self.protocol(why));
        }
        let known = self.known();
        let server = match known.filter(|server| server.manner.second) {
            Some(server) => server,
            None => {
                let (server, refs) = self.greet().await?;
                if !server.manner.second {
                    return Ok(refs);
                }
                server
            }
        };
        let answer = self.post(&server, refs::question(prefixes)).await;
        // Whatever became of the server is found out the next time.
        let answer = answer.inspect_err(|_| self.forget())?;
        let bytes = body::read(&self.access.url, answer, REFS_BYTES, false).await?;
        refs::answer(&bytes).map_err(|reason| {
            self.forget();
            self.protocol(reason)
        })
    }

    fn known(&self) -> Option<Server> {
        let servers = self.servers.0.lock().unwrap_or_else(PoisonError::into_inner);
        servers.get(&self.access.url).cloned()
    }

    fn forget(&self) {
        let mut servers = self.servers.0.lock().unwrap_or_else(PoisonError::into_inner);
        servers.remove(&self.access.url);
    }

    /// Asks what the server can do; in the first version, also for its refs.
    async fn greet(&self) -> Result<(Server, Vec<Ref>), Error> {
        let mut url = below(self.access.url.expose(), "info/refs");
        url.query_pairs_mut().append_pair("service", "git-upload-pack");
        let answer = self.send(self.client()?.get(url.clone()), &url).await?;
        let kind = header_text(&answer, header::CONTENT_TYPE);
        if kind != "application/x-git-upload-pack-advertisement" {
            return Err(self.protocol(format!(
                "it answers with {kind:?}, not as a Git server does: check the address"
            )));
        }
        let base = base(answer.url()).ok_or_else(|| {
            self.protocol(format!("it leads to {}, which is no repository", answer.url().path()))
        })?;
        let bytes = body::read(&self.access.url, answer, REFS_BYTES, false).await?;
        let (manner, refs) = refs::greeting(&bytes).map_err(|reason| self.protocol(reason))?;
        let server = Server { base, manner };
        let mut servers = self.servers.0.lock().unwrap_or_else(PoisonError::into_inner);
        servers.insert(self.access.url.clone(), server.clone());
        Ok((server, refs))
    }

    /// Returns the key, where it is asked over SSH.
    fn key(&self) -> Result<Option<&Key>, Error> {
        match (&self.access.login, self.access.url.expose().scheme()) {
            (Login::Key(key), "ssh") => Ok(Some(key)),
            (_, "ssh") => Err(self.protocol("a key is needed".to_owned())),
            _ => Ok(None),
        }
    }

    async fn refs_by_ssh(&self, key: &Key, prefixes: &[String]) -> Result<Vec<Ref>, String> {
        let opened = Conversation::open(&self.access.url, key, REFS_BYTES).await?;
        let (mut conversation, manner, mut refs) = opened;
        if manner.second {
            conversation.say(&refs::question(prefixes)).await?;
            refs = refs::answer(&conversation.message().await?)?;
        }
        conversation.end().await;
        Ok(refs)
    }

    async fn pour_by_ssh(
        &self,
        key: &Key,
        (want, depth): (Id, Depth),
        into: &mut Receiver,
    ) -> Result<(), String> {
        let opened = Conversation::open(&self.access.url, key, REFS_BYTES).await?;
        let (mut conversation, manner, _) = opened;
        conversation.say(&receive::question(&manner, want, depth)).await?;
        conversation.hear(into).await
    }

    async fn receive(&self, want: Id, depth: Depth, room: &mut Room<'_>) -> Result<File, Error> {
        let created = (room.file)();
        let file = created.map_err(|error| self.unkept(error.to_string()))?;
        let mut receiver = Receiver::new(file, room.left_bytes);
        let poured = match self.key()? {
            Some(key) => {
                let poured = self.pour_by_ssh(key, (want, depth), &mut receiver).await;
                poured.map_err(|why| self.protocol(why))
            }
            None => self.pour(want, depth, &mut receiver).await,
        };
        match (receiver.finish(), poured) {
            (Ok(file), Ok(())) => {
                let size = file.metadata().map_or(0, |meta| meta.len());
                room.left_bytes = room.left_bytes.saturating_sub(size);
                Ok(file)
            }
            (Err(Refusal::TooLarge), _) => {
                let (url, limits) = (self.access.url.clone(), limit::current());
                let limit_bytes = limits.of(Limit::Unpacked).saturating_mul(PACK_TIMES);
                let reason = format!(
                    "more than {limit_bytes} bytes come, {PACK_TIMES} times the largest tree: {}",
                    limits.hint(Limit::Unpacked)
                );
                Err(Error::TooLarge { url, reason })
            }
            (Err(Refusal::Unkept(reason)), _) => Err(self.unkept(reason)),
            (Err(Refusal::Said(reason)), Ok(())) => Err(self.protocol(reason)),
            (_, Err(error)) => Err(error),
        }
    }

    async fn pour(&self, want: Id, depth: Depth, into: &mut Receiver) -> Result<(), Error> {
        let server = match self.known() {
            Some(server) => server,
            None => self.greet().await?.0,
        };
        let answer = self.post(&server, receive::question(&server.manner, want, depth)).await?;
        match body::pour(&self.access.url, answer, (u64::MAX, false), into).await {
            // An answer that the receiver refuses ends the connection as well: it knows why.
            Ok(()) | Err(crate::source::Error::Untaken { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn post(&self, server: &Server, question: Vec<u8>) -> Result<Response, Error> {
        let url = below(&server.base, "git-upload-pack");
        let request = self
            .client()?
            .post(url.clone())
            .header(header::CONTENT_TYPE, "application/x-git-upload-pack-request")
            .header(header::ACCEPT, "application/x-git-upload-pack-result")
            .body(question);
        self.send(request, &url).await
    }

    fn client(&self) -> Result<reqwest::Client, Error> {
        let Access { proxy, tls, url, .. } = self.access;
        Ok(self.fetcher.client_through(proxy.as_ref(), tls.as_ref(), url)?)
    }

    async fn send(&self, request: RequestBuilder, url: &Url) -> Result<Response, Error> {
        let url = SafeUrl::from(url.clone());
        let mut request = request.header("Git-Protocol", "version=2");
        // A server that a redirect led to is another one.
        if same_host(&self.access.url, &url) {
            request = match &self.access.login {
                Login::Anonymous | Login::Key(_) => request,
                Login::Password(user, password) => {
                    request.basic_auth(user, Some(password.expose()))
                }
                Login::Bearer(token) => request.bearer_auth(token.expose()),
            };
        }
        let answer = request.send().await.map_err(|error| connection(&url, &error))?;
        self.fetcher.refuse(&url, &answer)?;
        Ok(answer)
    }
}

/// Returns an address below a repository.
fn below(repository: &Url, path: &str) -> Url {
    let mut url = repository.clone();
    let path = format!("{}/{path}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    // They go with the request where they are meant to.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// Returns the repository whose `info/refs` an address is.
fn base(url: &Url) -> Option<Url> {
    let mut base = url.clone();
    let path = url.path().strip_suffix("/info/refs")?.to_owned();
    base.set_path(&path);
    base.set_query(None);
    Some(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lead_to_a_repository_and_back() {
        let url: Url = "https://me:pw@git.example/a/b.git/?x=1".parse().unwrap();
        let mut refs = below(&url, "info/refs");
        assert_eq!(refs.as_str(), "https://git.example/a/b.git/info/refs?x=1");
        refs.set_query(Some("service=git-upload-pack"));
        assert_eq!(base(&refs).unwrap().as_str(), "https://git.example/a/b.git");
        assert_eq!(base(&url), None);
    }
}
