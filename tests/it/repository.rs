//! Repositories over real HTTP: what is asked for, what is not asked for again, and how each kind
//! of misbehaviour is said.

use std::sync::Arc;
use std::time::Duration;

use leadsman::base::class::{Class, chain};
use leadsman::base::clock::ManualClock;
use leadsman::base::secret::{SafeUrl, Secret};
use leadsman::repo::{Error, Repositories, RepositorySpec};
use leadsman::source::{self, Credentials, Fetcher, Mirrors, Tls};

use crate::support::fault::Fault;
use crate::support::pack::Package;
use crate::support::repository::Repository;

const INDEX: &str = "/index.yaml";

struct Setup {
    server: Repository,
    ours: Repositories,
    spec: RepositorySpec,
    cache: tempfile::TempDir,
}

fn package(version: &str) -> Package {
    let chart = format!("apiVersion: v2\nname: web\nversion: {version}\n");
    Package::files([("Chart.yaml", chart), ("templates/a.yaml", "a: b\n".to_owned())])
}

fn repositories(cache: &std::path::Path, mirrors: &[String]) -> Repositories {
    let mirrors = mirrors.iter().map(|mirror| mirror.parse().unwrap()).collect();
    Repositories::new(Fetcher::new(Mirrors(mirrors)).unwrap(), cache)
}

fn spec(url: &str) -> RepositorySpec {
    let timeout = Duration::from_secs(10);
    RepositorySpec {
        url: url.parse().unwrap(),
        timeout,
        credentials: None,
        tls: None,
        registry: None,
    }
}

fn setup() -> Setup {
    let (server, cache) = (Repository::start(), tempfile::tempdir().unwrap());
    for version in ["1.0.0", "1.1.0"] {
        server.publish_package(package(version));
    }
    let ours = repositories(cache.path(), &[]);
    Setup { spec: spec(&server.url()), server, ours, cache }
}

impl Setup {
    async fn refresh(&self) -> Result<bool, Error> {
        self.ours.refresh(&self.spec).await.map(|refreshed| refreshed.changed)
    }

    fn newest(&self) -> leadsman::repo::Entry {
        self.ours.resolve(&self.spec.url, "web", "1.x").unwrap().remove(0)
    }

    fn credentials(&self, everywhere: bool) -> Credentials {
        Credentials {
            user: "me".to_owned(),
            password: Secret::new("s3cr3t".to_owned()),
            repository: self.spec.url.clone(),
            everywhere,
        }
    }
}

#[tokio::test]
async fn what_did_not_change_costs_one_304_and_nothing() {
    let setup = setup();
    assert!(setup.refresh().await.unwrap());
    for _ in 0..3 {
        assert!(!setup.refresh().await.unwrap());
    }
    assert_eq!((setup.server.count(INDEX, 200), setup.server.count(INDEX, 304)), (1, 3));
    let entry = setup.newest();
    for _ in 0..3 {
        setup.ours.pull(&setup.spec, &entry).await.unwrap();
    }
    assert_eq!(setup.server.count("/web-1.1.0.tgz", 200), 1);
    // Another process over the same cache asks for nothing more.
    let other = repositories(setup.cache.path(), &[]);
    assert!(!other.refresh(&setup.spec).await.unwrap().changed);
    assert_eq!(other.resolve(&setup.spec.url, "web", "1.x").unwrap()[0], entry);
    other.pull(&setup.spec, &entry).await.unwrap();
    assert_eq!(setup.server.count("/web-1.1.0.tgz", 200), 1);
    assert!(setup.server.asked().iter().all(|asked| asked.agent.starts_with("leadsman/")));
}

#[tokio::test]
async fn many_who_want_one_archive_ask_once() {
    let setup = setup();
    setup.refresh().await.unwrap();
    let entry = setup.newest();
    let pulls = (0..1000).map(|_| setup.ours.pull(&setup.spec, &entry));
    for pulled in futures::future::join_all(pulls).await {
        pulled.unwrap();
    }
    assert_eq!(setup.server.count("/web-1.1.0.tgz", 200), 1);
}

#[tokio::test]
async fn many_who_want_one_index_download_it_once() {
    let setup = setup();
    let refreshes = (0..1000).map(|_| setup.ours.refresh(&setup.spec));
    let refreshed = futures::future::join_all(refreshes).await;
    assert_eq!(refreshed.iter().filter(|r| r.as_ref().unwrap().changed).count(), 1);
    assert_eq!((setup.server.count(INDEX, 200), setup.server.count(INDEX, 304)), (1, 999));
}

#[tokio::test]
async fn a_version_that_appears_is_found_and_dated() {
    let setup = setup();
    setup.refresh().await.unwrap();
    assert_eq!(setup.newest().first_seen, None);
    setup.server.publish_package(package("1.2.0"));
    assert_eq!(setup.newest().text, "1.1.0");
    assert!(setup.refresh().await.unwrap());
    let newest = setup.newest();
    assert_eq!(newest.text, "1.2.0");
    assert!(newest.first_seen.is_some());
    let all = setup.ours.versions(&setup.spec.url, "web").unwrap();
    assert!(all.iter().skip(1).all(|entry| entry.first_seen.is_none()));
}

#[tokio::test]
async fn a_chart_without_versions_is_told_from_one_that_is_not_there() {
    let setup = setup();
    setup
        .server
        .put_index("apiVersion: v1\nentries:\n  web: []\n  bad:\n  - {name: bad, version: none}\n");
    setup.refresh().await.unwrap();
    let refused = |chart: &str| setup.ours.resolve(&setup.spec.url, chart, "*").unwrap_err();
    for chart in ["web", "bad"] {
        let error = refused(chart);
        assert!(matches!(error, Error::NoVersions { .. }), "{error}");
        assert_eq!(error.class(), Class::Stalled);
    }
    let error = refused("none");
    assert!(matches!(error, Error::NoChart { .. }), "{error}");
}

/// Faults of an index: name, fault, what the error says, what is done about it.
fn index_faults() -> Vec<(&'static str, Fault, &'static str, Class)> {
    let wait = |seconds| Class::Wait(Duration::from_secs(seconds));
    let broken_gzip = "index of";
    vec![
        ("401", Fault::Unauthorized, "401 Unauthorized: check user and password", Class::Retry),
        ("403", Fault::Status(403), "403 Forbidden: check user and password", Class::Retry),
        ("404", Fault::Status(404), "404 Not Found: check the address", Class::Retry),
        ("410", Fault::Status(410), "410 Gone: check the address", Class::Retry),
        // Of all that is no failure only 200 is an answer.
        ("206", Fault::Status(206), "206 Partial Content: check the address", Class::Retry),
        (
            "429",
            Fault::TooManyRequests("17"),
            "429 Too Many Requests: trying again in 17 s",
            wait(17),
        ),
        ("429 without a time", Fault::TooManyRequests("soon"), "trying again in 60 s", wait(60)),
        ("500", Fault::Status(500), "500 Internal Server Error", Class::Retry),
        ("304 unasked", Fault::Status(304), "304 Not Modified", Class::Retry),
        (
            "503",
            Fault::Status(503),
            "503 Service Unavailable: the server is at fault",
            Class::Retry,
        ),
        ("hang", Fault::Hang, "not answered in full within 0.3 s", Class::Retry),
        ("slow", Fault::Stall, "not answered in full within 0.3 s", Class::Retry),
        ("redirect loop", Fault::RedirectLoop, "more than 10 redirects", Class::Retry),
        (
            "web page",
            Fault::Html,
            "it is a web page, not an index: check the address",
            Class::Retry,
        ),
        ("empty", Fault::Empty, "it is empty", Class::Retry),
        ("cut off", Fault::CutOff, "the connection broke", Class::Retry),
        ("half", Fault::Half, broken_gzip, Class::Retry),
        ("too large", Fault::Oversized(51 << 20), "larger than 52428800 bytes", Class::Retry),
        (
            "not packed",
            Fault::Packed((&b"apiVersion: v1"[..]).into()),
            "the compressed answer is broken",
            Class::Retry,
        ),
        ("not text", Fault::Body((&b"\xff\xfe\n"[..]).into()), "it is not text", Class::Retry),
        (
            "no version",
            Fault::Body("entries: {}\n".into()),
            "no API version specified",
            Class::Retry,
        ),
    ]
}

#[tokio::test]
async fn each_fault_of_an_index_is_said_and_heals() {
    let mut failed = Vec::new();
    for (name, fault, wanted, class) in index_faults() {
        let mut setup = setup();
        if ["hang", "slow"].contains(&name) {
            setup.spec.timeout = Duration::from_millis(300);
        } else {
            setup.spec.timeout = Duration::from_secs(60);
        }
        setup.server.misbehave_times(
            INDEX,
            fault.clone(),
            if name == "redirect loop" { 11 } else { 1 },
        );
        let error = setup.refresh().await.unwrap_err();
        let text = chain(&error);
        if !text.contains(wanted) || !text.contains(&setup.server.url()) || error.class() != class {
            failed.push(format!("{name}: {text} ({:?})", error.class()));
        }
        setup.server.behave();
        if !setup.refresh().await.unwrap_or(false) {
            failed.push(format!("{name}: does not heal"));
        }
        // What was known stays usable while the repository misbehaves.
        setup.server.publish_package(package("1.5.0"));
        setup.server.misbehave(INDEX, fault);
        if name != "304 unasked" && setup.refresh().await.is_ok() {
            failed.push(format!("{name}: not refused the second time"));
        }
        if setup.newest().text != "1.1.0" {
            failed.push(format!("{name}: the last good index is lost"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[tokio::test]
async fn each_fault_of_an_archive_is_said_and_heals() {
    let mut setup = setup();
    let clock = Arc::new(ManualClock::new("2026-01-01T00:00:00Z".parse().unwrap()));
    let fetcher = Fetcher::new(Mirrors::default()).unwrap().with_clock(Arc::clone(&clock) as _);
    setup.ours = Repositories::new(fetcher, setup.cache.path());
    setup.refresh().await.unwrap();
    let entry = setup.newest();
    let rows = [
        ("404", Fault::Status(404), "404 Not Found"),
        ("500", Fault::Status(500), "500 Internal Server Error"),
        ("410", Fault::Status(410), "410 Gone: check the address"),
        ("403", Fault::Status(403), "403 Forbidden: check user and password"),
        ("429", Fault::TooManyRequests("30"), "429 Too Many Requests: trying again in 30 s"),
        ("bent", Fault::Bent, "the index says"),
        ("other bytes", Fault::Body("else".into()), "the index says"),
        ("half", Fault::Half, "the index says"),
        ("cut off", Fault::CutOff, "the connection broke"),
        ("too large", Fault::Oversized(11 << 20), "larger than 10485760 bytes"),
    ];
    let mut failed = Vec::new();
    for (name, fault, wanted) in rows {
        setup.server.misbehave("/web-1.1.0.tgz", fault);
        let text = chain(&setup.ours.pull(&setup.spec, &entry).await.unwrap_err());
        if !text.contains(wanted) || !text.contains("/web-1.1.0.tgz") {
            failed.push(format!("{name}: {text}"));
        }
        setup.server.behave();
        // Soon after, nothing is asked, and the same is said.
        let asked = setup.server.asked().len();
        let again = chain(&setup.ours.pull(&setup.spec, &entry).await.unwrap_err());
        if again != text || setup.server.asked().len() != asked {
            failed.push(format!("{name}, again: {again}"));
        }
        clock.advance(Duration::from_secs(61));
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert_eq!(setup.ours.pull(&setup.spec, &entry).await.unwrap().chart.metadata.version, "1.1.0");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said() {
    let setup = setup();
    let gone = spec("http://127.0.0.1:1");
    let error = setup.ours.refresh(&gone).await.unwrap_err();
    assert!(chain(&error).contains("refused"), "{}", chain(&error));
    let odd = spec("ftp://charts.example");
    let error = setup.ours.refresh(&odd).await.unwrap_err();
    assert_eq!(error.class(), Class::Stalled);
    assert!(chain(&error).contains("only http:// and https://"), "{}", chain(&error));
}

#[tokio::test]
async fn credentials_go_to_the_repository_alone() {
    let mut setup = setup();
    setup.server.require("me", "s3cr3t");
    assert!(setup.refresh().await.is_err());
    setup.spec.credentials = Some(setup.credentials(false));
    assert!(setup.refresh().await.unwrap());
    assert!(setup.ours.pull(&setup.spec, &setup.newest()).await.is_ok());
    // The same server by another name is another host.
    let other = setup.server.url().replace("127.0.0.1", "localhost");
    let elsewhere = format!("{other}/web-1.0.0.tgz");
    let mut entry = setup.ours.resolve(&setup.spec.url, "web", "1.0.0").unwrap().remove(0);
    entry.urls = vec![elsewhere];
    let error = setup.ours.pull(&setup.spec, &entry).await.unwrap_err();
    let refused = matches!(error, Error::Fetch(source::Error::Unauthorized { .. }));
    assert!(refused, "{error}");
    assert!(!error.to_string().contains("s3cr3t"));
    setup.spec.credentials = Some(setup.credentials(true));
    assert!(setup.ours.pull(&setup.spec, &entry).await.is_ok());
}

#[tokio::test]
async fn a_redirect_is_followed_without_the_login() {
    let mut setup = setup();
    setup.server.require("me", "s3cr3t");
    setup.spec.credentials = Some(setup.credentials(false));
    let other = Repository::start();
    for version in ["1.0.0", "1.1.0"] {
        other.publish_package(package(version));
    }
    setup.server.misbehave("*", Fault::Redirect(other.url()));
    assert!(setup.refresh().await.unwrap());
    setup.ours.pull(&setup.spec, &setup.newest()).await.unwrap();
    let paths = |asked: &[crate::support::repository::Asked]| -> Vec<String> {
        asked.iter().map(|asked| asked.path.clone()).collect()
    };
    assert_eq!(paths(&other.asked()), [INDEX, "/web-1.1.0.tgz"]);
    assert!(other.asked().iter().all(|asked| !asked.has_login), "{:?}", other.asked());
    assert_eq!(paths(&setup.server.asked()), [INDEX, "/web-1.1.0.tgz"]);
    assert!(setup.server.asked().iter().all(|asked| asked.has_login));
}

#[tokio::test]
async fn a_mirror_answers_for_a_repository_but_gets_no_credentials() {
    let setup = setup();
    let cache = tempfile::tempdir().unwrap();
    let mirror = format!("https://charts.example/stable={}", setup.server.url());
    let ours = repositories(cache.path(), &[mirror]);
    let mut spec = spec("https://charts.example/stable");
    assert!(ours.refresh(&spec).await.unwrap().changed);
    let entry = ours.resolve(&spec.url, "web", "").unwrap().remove(0);
    assert!(ours.pull(&spec, &entry).await.is_ok());
    setup.server.require("me", "s3cr3t");
    let credentials = setup.credentials(false);
    spec.credentials = Some(Credentials { repository: spec.url.clone(), ..credentials });
    assert!(ours.refresh(&spec).await.is_err());
}

#[tokio::test]
async fn https_needs_an_authority_that_is_trusted() {
    let server = Repository::start_tls();
    server.publish_package(package("1.0.0"));
    let cache = tempfile::tempdir().unwrap();
    let ours = repositories(cache.path(), &[]);
    let mut spec = spec(&server.url());
    let error = ours.refresh(&spec).await.unwrap_err();
    assert!(matches!(error, Error::Fetch(source::Error::Tls { .. })), "{error}");
    let authorities = server.authority().unwrap().to_owned();
    spec.tls = Some(Tls { authorities, ..Tls::default() });
    assert!(ours.refresh(&spec).await.unwrap().changed);
    spec.tls = Some(Tls {
        authorities: "no PEM".to_owned(),
        certificate: "x".to_owned(),
        key: Secret::default(),
    });
    let error = ours.refresh(&spec).await.unwrap_err();
    assert!(matches!(error, Error::Fetch(source::Error::Tls { .. })), "{error}");
}

#[tokio::test]
async fn a_server_may_want_a_certificate() {
    let (server, [certificate, key]) = Repository::start_mutual();
    server.publish_package(package("1.0.0"));
    let cache = tempfile::tempdir().unwrap();
    let ours = repositories(cache.path(), &[]);
    let mut spec = spec(&server.url());
    let authorities = server.authority().unwrap().to_owned();
    spec.tls = Some(Tls { authorities: authorities.clone(), ..Tls::default() });
    assert!(ours.refresh(&spec).await.is_err());
    assert!(server.asked().is_empty());
    spec.tls = Some(Tls { authorities, certificate, key: Secret::new(key) });
    assert!(ours.refresh(&spec).await.unwrap().changed);
    let entry = ours.resolve(&spec.url, "web", "1.0.0").unwrap().remove(0);
    ours.pull(&spec, &entry).await.unwrap();
}

#[tokio::test]
async fn an_index_is_asked_for_below_the_address() {
    let server = Repository::start();
    server.put("team/a%20b/index.yaml", index_of(&["1.0.0"], "2026-01-01T00:00:00Z"));
    let cache = tempfile::tempdir().unwrap();
    let ours = repositories(cache.path(), &[]);
    for address in ["/team/a%20b", "/team/a%20b/", "/team/a%20b?token=t"] {
        let spec = spec(&format!("{}{address}", server.url()));
        assert!(ours.refresh(&spec).await.unwrap().changed, "{address}");
    }
    assert!(server.asked().iter().all(|asked| asked.path == "/team/a%20b/index.yaml"));
    let queries: Vec<String> = server.asked().into_iter().map(|asked| asked.query).collect();
    assert_eq!(queries, ["", "", "token=t"]);
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_stops_nothing() {
    let setup = setup();
    // A file where the folder should be: no user may write below it, not even root.
    let folder = setup.cache.path().join("occupied");
    std::fs::write(&folder, "").unwrap();
    let ours = repositories(&folder, &[]);
    assert!(ours.refresh(&setup.spec).await.unwrap().changed);
    assert!(!ours.refresh(&setup.spec).await.unwrap().changed);
    assert_eq!(setup.server.count(INDEX, 304), 1);
    let entry = ours.resolve(&setup.spec.url, "web", "1.x").unwrap().remove(0);
    assert_eq!(entry.text, "1.1.0");
    assert!(ours.pull(&setup.spec, &entry).await.is_ok());
    assert!(ours.pull(&setup.spec, &entry).await.is_ok());
    assert_eq!(setup.server.count("/web-1.1.0.tgz", 200), 1);
}

#[tokio::test]
async fn a_cache_that_is_damaged_or_deleted_is_filled_again() {
    let setup = setup();
    setup.refresh().await.unwrap();
    let url: &SafeUrl = &setup.spec.url;
    let files = leadsman::base::file::list_tree(setup.cache.path()).unwrap();
    let packed = files.iter().find(|name| name.ends_with(".packed")).unwrap();
    std::fs::write(setup.cache.path().join(packed), "x".repeat(4096)).unwrap();
    let error = setup.ours.versions(url, "web").unwrap_err();
    assert!(matches!(error, Error::Damaged(_)), "{error}");
    assert!(setup.refresh().await.unwrap());
    assert_eq!(setup.newest().text, "1.1.0");
    std::fs::remove_dir_all(setup.cache.path()).unwrap();
    assert!(setup.refresh().await.unwrap());
    assert_eq!(setup.newest().text, "1.1.0");
}

fn index_of(versions: &[&str], generated: &str) -> String {
    let mut text = "apiVersion: v1\nentries:\n  web:\n".to_owned();
    for version in versions {
        text += &format!("  - name: web\n    urls: [web.tgz]\n    version: {version}\n");
    }
    text + &format!("generated: {generated}\n")
}

#[tokio::test]
async fn what_says_the_same_is_no_change() {
    let setup = setup();
    setup.server.put_index(index_of(&["1.0.0"], "1"));
    let first = setup.ours.refresh(&setup.spec).await.unwrap();
    setup.server.put_index(index_of(&["1.0.0"], "2"));
    let second = setup.ours.refresh(&setup.spec).await.unwrap();
    assert!(first.changed && !second.changed);
    assert_eq!(second.revision, first.revision);
    // The new `ETag` counts from now on, in other processes too.
    let other = repositories(setup.cache.path(), &[]);
    assert!(!other.refresh(&setup.spec).await.unwrap().changed);
    assert_eq!((setup.server.count(INDEX, 200), setup.server.count(INDEX, 304)), (2, 1));
    setup.server.put_index(index_of(&["1.0.0", "1.0.1"], "2"));
    assert!(setup.refresh().await.unwrap());
    assert_eq!(setup.newest().text, "1.0.1");
    assert_eq!(other.resolve(&setup.spec.url, "web", "1.x").unwrap()[0].text, "1.0.1");
}

/// Several processes that fetch and read the same index all the time, while it changes.
#[tokio::test(flavor = "multi_thread")]
async fn several_share_a_cache() {
    let setup = setup();
    let (server, cache) = (&setup.server, setup.cache.path());
    server.put_index(index_of(&["1.0.0"], "0"));
    let reader = async |number: usize| {
        let ours = repositories(cache, &[]);
        for round in 0..40 {
            if number == 0 {
                let versions: Vec<String> = (0..=round).map(|n| format!("1.0.{n}")).collect();
                let versions: Vec<&str> = versions.iter().map(String::as_str).collect();
                server.put_index(index_of(&versions, "0"));
            }
            ours.refresh(&setup.spec).await.unwrap();
            let found = ours.resolve(&setup.spec.url, "web", "1.x").unwrap();
            assert_eq!(found.last().unwrap().text, "1.0.0");
            assert_eq!(found[0].text, format!("1.0.{}", found.len() - 1), "all of one index");
        }
    };
    futures::future::join_all((0..4).map(reader)).await;
    let last = repositories(cache, &[]);
    last.refresh(&setup.spec).await.unwrap();
    assert_eq!(last.resolve(&setup.spec.url, "web", "1.x").unwrap().len(), 40);
    let files = leadsman::base::file::list_tree(cache).unwrap();
    let packed = files.iter().filter(|name| name.ends_with(".packed")).count();
    assert!(packed == 1 && !files.iter().any(|name| name.ends_with(".tmp")), "{files:?}");
}
