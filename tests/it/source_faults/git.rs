//! Git servers that misbehave: the right error, the right retry, and no login for somebody else.

use std::time::Duration;

use leadsman::base::class::{Class, chain};
use leadsman::base::secret::Secret;
use leadsman::source::git::{Access, Error, Login, Remote, Selection, Servers, Wanted};
use leadsman::source::{Fetcher, Mirrors};

use crate::support::fault::Fault;
use crate::support::git::Git;
use crate::support::repository::Repository;

/// Reads the branch `main`, and returns its files.
async fn read(git: &Git, timeout: Duration) -> Result<Vec<String>, Error> {
    let access = Access {
        url: git.url().parse().unwrap(),
        login: Login::Password("me".to_owned(), Secret::new("s3cret".to_owned())),
        tls: None,
        proxy: None,
        timeout,
    };
    let (fetcher, servers) = (Fetcher::new(Mirrors::default()).unwrap(), Servers::default());
    let remote = Remote { fetcher: &fetcher, servers: &servers, access: &access };
    let wanted = Wanted::Branch("main".to_owned());
    let found = remote.find(&wanted).await?;
    let all = Selection::default();
    let checkout = remote.fetch(&wanted, &found, &all, tempfile::tempfile).await?;
    Ok(checkout.files.iter().map(|file| file.path.clone()).collect())
}

/// The question whose answer is wrong, what is wrong, what is said, what is done about it.
type Row = (&'static str, Fault, &'static str, Class);

fn rows(other: &Repository) -> Vec<Row> {
    let wait = |seconds| Class::Wait(Duration::from_secs(seconds));
    let retry = Class::Retry;
    vec![
        ("", Fault::Unauthorized, "401 Unauthorized: check user and password", retry),
        ("", Fault::Status(403), "403 Forbidden: check user and password", retry),
        ("", Fault::Status(404), "404 Not Found: check the address", retry),
        ("", Fault::Status(410), "410 Gone: check the address", retry),
        ("", Fault::TooManyRequests("17"), "429 Too Many Requests: trying again in 17 s", wait(17)),
        ("", Fault::Status(500), "500 Internal Server Error: the server is at fault", retry),
        ("", Fault::Status(502), "502 Bad Gateway: the server is at fault", retry),
        ("", Fault::RedirectLoop, "more than 10 redirects", retry),
        ("", Fault::Redirect(other.url()), "404 Not Found: check the address", retry),
        ("", Fault::Hang, "not answered in full within 1 s", retry),
        ("ls-refs", Fault::Stall, "not answered in full within 1 s", retry),
        ("ls-refs", Fault::CutOff, "the connection broke", retry),
        ("ls-refs", Fault::Html, "is no length of a packet", retry),
        ("fetch", Fault::Stall, "not answered in full within 1 s", retry),
        ("fetch", Fault::CutOff, "the connection broke", retry),
        ("fetch", Fault::Half, "the answer broke off", retry),
        ("fetch", Fault::Empty, "the answer broke off", retry),
        ("fetch", Fault::Bent, "what came of `", retry),
        ("fetch", Fault::Html, "is no length of a packet", retry),
        ("fetch", Fault::Status(503), "503 Service Unavailable", retry),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_is_said_and_heals() {
    let Some(git) = Git::start() else { return };
    let other = Repository::start();
    // What does not fit into half of an answer.
    let noise: String = (0..4000).map(|_| rand::random_range('a'..='z')).collect();
    git.commit("first", &[("a.txt", "1"), ("noise.txt", &noise)]);
    let mut wrong = Vec::new();
    for (question, fault, words, class) in rows(&other) {
        let name = format!("{question} {fault:?}");
        // On a busy machine a second is not long.
        let is_slow = matches!(fault, Fault::Hang | Fault::Stall);
        let timeout = Duration::from_secs(if is_slow { 1 } else { 60 });
        git.misbehave_at(question, Some(fault));
        match read(&git, timeout).await {
            Ok(files) => wrong.push(format!("{name}: it passed: {files:?}")),
            Err(error) => {
                let text = chain(&error);
                if !text.contains(words) || error.class() != class || text.contains("s3cret") {
                    wrong.push(format!("{name}: {text} ({:?})", error.class()));
                }
            }
        }
        git.misbehave_at("", None);
        match read(&git, Duration::from_secs(60)).await {
            Ok(files) if files == ["a.txt", "noise.txt"] => {}
            other => wrong.push(format!("{name}: does not heal: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Who was led to was asked, without the login.
    let asked = other.asked();
    assert!(!asked.is_empty() && asked.iter().all(|asked| !asked.has_login), "{asked:?}");
    assert!(!git.logins().is_empty());
}
