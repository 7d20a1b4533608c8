//! Certificates that are for others, over, or still to come: of each kind of source.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use leadsman::base::class::{Class, chain};
use leadsman::base::secret::Secret;
use leadsman::repo::{Repositories, RepositorySpec};
use leadsman::source::git::{self, Servers, Wanted};
use leadsman::source::oci::{self, Credential, Keys, Reference, Session};
use leadsman::source::{Credentials, Fetcher, Mirrors, Tls, s3};

use crate::support::chart::web;
use crate::support::git::Git;
use crate::support::repository::Repository;
use crate::support::serve::{Flaw, Server};

const TIMEOUT: Duration = Duration::from_secs(20);

/// What each flaw is called.
const FLAWS: [(Flaw, &str); 3] = [
    (Flaw::OtherName, "not valid for name"),
    (Flaw::Over, "expired"),
    (Flaw::NotYet, "not valid yet"),
];

/// A fetcher without connections of before.
fn fetcher() -> Fetcher {
    Fetcher::new(Mirrors::default()).unwrap()
}

fn tls(authority: Option<&str>) -> Option<Tls> {
    Some(Tls { authorities: authority.unwrap().to_owned(), ..Tls::default() })
}

fn secret() -> Secret<String> {
    Secret::new("s3cret".to_owned())
}

/// What is said with a certificate of each flaw, then without.
type Said = Vec<Result<(), (String, Class)>>;

#[track_caller]
fn check(kind: &str, said: &Said) {
    for ((flaw, words), said) in FLAWS.iter().zip(said) {
        let (text, class) = said.as_ref().unwrap_err();
        assert!(text.contains(words) && text.contains("TLS: "), "{kind} {flaw:?}: {text}");
        assert!(text.contains("check the server's certificate"), "{kind} {flaw:?}: {text}");
        assert!(!text.contains("s3cret"), "{text}");
        assert_eq!(*class, Class::Retry, "{kind} {flaw:?}");
    }
    assert_eq!(said.last().unwrap(), &Ok(()), "{kind} does not heal");
}

/// The flaws, and none.
fn all() -> impl Iterator<Item = Option<Flaw>> {
    FLAWS.iter().map(|(flaw, _)| Some(*flaw)).chain([None])
}

#[tokio::test]
async fn an_index_and_an_archive_come_from_who_it_is() {
    let server = Repository::start_tls();
    server.publish_package(web("1.0.0", ""));
    let url: leadsman::base::secret::SafeUrl = server.url().parse().unwrap();
    let user = "me".to_owned();
    let login =
        Credentials { user, password: secret(), repository: url.clone(), everywhere: false };
    let spec = RepositorySpec {
        url,
        timeout: TIMEOUT,
        credentials: Some(login),
        tls: tls(server.authority()),
        registry: None,
    };
    let (mut indexes, mut archives) = (Vec::new(), Vec::new());
    let known = tempfile::tempdir().unwrap();
    let first = Repositories::new(fetcher(), known.path());
    first.refresh(&spec).await.unwrap();
    let entry = first.resolve(&spec.url, "web", "1.x").unwrap().remove(0);
    let asked = server.asked().len();
    for flaw in all() {
        server.show(flaw);
        let cache = tempfile::tempdir().unwrap();
        let repositories = Repositories::new(fetcher(), cache.path());
        let refreshed = repositories.refresh(&spec).await;
        indexes.push(refreshed.map(drop).map_err(|error| (chain(&error), error.class())));
        let pulled = repositories.pull(&spec, &entry).await;
        archives.push(pulled.map(drop).map_err(|error| (chain(&error), error.class())));
        if flaw.is_some() {
            assert_eq!(server.asked().len(), asked, "{flaw:?}: it was told something");
            let kept = leadsman::base::file::list_tree(cache.path()).unwrap();
            assert!(kept.iter().all(|name| !name.ends_with(".tgz")), "{flaw:?}: {kept:?}");
        }
    }
    check("index", &indexes);
    check("archive", &archives);
}

#[tokio::test]
async fn a_registry_is_who_it_is() {
    let tags = async |_: Request| {
        Response::new(Body::from("{\"name\":\"charts/web\",\"tags\":[\"1.0.0\"]}"))
    };
    let server = Server::https(Router::new().fallback(tags));
    let host = server.url().replace("https://", "");
    let reference: Reference = format!("{host}/charts/web").parse().unwrap();
    let mut said = Vec::new();
    for flaw in all() {
        server.show(flaw);
        let keys =
            Credential { user: "me".to_owned(), password: secret(), ..Credential::default() };
        let access = oci::Access {
            plain_http: false,
            keys: Keys::Fixed(keys),
            tls: tls(server.authority()),
            proxy: None,
            timeout: TIMEOUT,
            retries: 0,
        };
        let tags = Session::new(&fetcher(), access).tags(&reference).await;
        said.push(tags.map(drop).map_err(|error| (chain(&error), error.class())));
    }
    check("registry", &said);
}

#[tokio::test]
async fn a_git_server_is_who_it_is() {
    let Some(server) = Git::start_tls() else { return };
    server.commit("first", &[("a.txt", "1")]);
    let mut said = Vec::new();
    for flaw in all() {
        server.show(flaw);
        let access = git::Access {
            url: server.url().parse().unwrap(),
            login: git::Login::Password("me".to_owned(), secret()),
            tls: tls(server.authority()),
            proxy: None,
            timeout: TIMEOUT,
        };
        let (fetcher, servers) = (fetcher(), Servers::default());
        let remote = git::Remote { fetcher: &fetcher, servers: &servers, access: &access };
        let found = remote.find(&Wanted::Branch("main".to_owned())).await;
        said.push(found.map(drop).map_err(|error| (chain(&error), error.class())));
        assert_eq!(server.logins().is_empty(), flaw.is_some(), "{flaw:?}");
    }
    check("Git", &said);
}

#[tokio::test]
async fn an_object_store_is_who_it_is() {
    let list = async |_: Request| {
        let object = "<Contents><Key>a</Key><ETag>1</ETag><Size>1</Size></Contents>";
        Response::new(Body::from(format!("<ListBucketResult>{object}</ListBucketResult>")))
    };
    let server = Server::https(Router::new().fallback(list));
    let mut said = Vec::new();
    for flaw in all() {
        server.show(flaw);
        let access = s3::Access {
            endpoint: server.url().parse().unwrap(),
            bucket: "shop".to_owned(),
            region: "us-east-1".to_owned(),
            keys: Some(s3::Keys { access: "me".to_owned(), secret: secret() }),
            tls: tls(server.authority()),
            proxy: None,
            timeout: TIMEOUT,
        };
        let fetcher = fetcher();
        let found = s3::Remote::new(&fetcher, &access).find("", None).await;
        said.push(found.map(drop).map_err(|error| (chain(&error), error.class())));
    }
    check("bucket", &said);
}
