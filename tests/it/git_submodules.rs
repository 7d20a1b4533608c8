//! Repositories in repositories, over real HTTP and SSH, as Git itself serves them.

use std::time::Duration;

use leadsman::base::secret::Secret;
use leadsman::source::git::{Access, Error, Key, Login, Remote, Selection, Servers, Wanted};
use leadsman::source::{Fetcher, Mirrors};

use crate::support::git::Git;
use crate::support::sshd::Sshd;

fn access(url: &str) -> Access {
    let timeout = Duration::from_secs(20);
    let url = url.parse().unwrap();
    Access { url, login: Login::Anonymous, tls: None, proxy: None, timeout }
}

/// Fetches the branch `main`, and returns the files with what is in them.
async fn files(access: &Access, selection: &Selection) -> Result<Vec<(String, String)>, Error> {
    let fetcher = Fetcher::new(Mirrors::default()).unwrap();
    let servers = Servers::default();
    let remote = Remote { fetcher: &fetcher, servers: &servers, access };
    let wanted = Wanted::Branch("main".to_owned());
    let found = remote.find(&wanted).await?;
    let mut checkout = remote.fetch(&wanted, &found, selection, tempfile::tempfile).await?;
    let files = checkout.files.clone().into_iter();
    let pairs = files.map(|file| {
        let text = String::from_utf8(checkout.read(&file).unwrap().to_vec()).unwrap();
        (file.path, text)
    });
    Ok(pairs.collect())
}

fn all() -> Selection {
    Selection { submodules: true, ..Selection::default() }
}

fn pairs(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

/// `web` has `lib` at `libs/a`, which has `deep` at `d`; both have moved on since.
fn nested(git: &Git) {
    let deep = git.commit_beside("deep", &[("deep.txt", "deep 1")]);
    git.commit_beside("deep", &[("deep.txt", "deep 2")]);
    git.commit_beside("lib", &[("lib.txt", "lib 1"), ("logo.png", "png")]);
    git.submodules("lib", &[("d", "../deep.git", &deep)]);
    let lib = git.git_beside("lib", &["rev-parse", "HEAD"]);
    git.commit_beside("lib", &[("lib.txt", "lib 2")]);
    git.commit("first", &[("a.txt", "1"), ("z.txt", "2")]);
    git.submodules("web", &[("libs/a", "../lib.git", &lib)]);
}

#[tokio::test]
async fn submodules_come_with_a_commit_where_they_are_wanted() {
    let Some(git) = Git::start() else { return };
    nested(&git);
    let access = access(&git.url());
    let (first, last) = (("a.txt", "1"), ("z.txt", "2"));
    let none = files(&access, &Selection::default()).await.unwrap();
    assert_eq!(none, pairs(&[first, last]));
    let lib = [("libs/a/d/deep.txt", "deep 1"), ("libs/a/lib.txt", "lib 1")];
    let got = files(&access, &all()).await.unwrap();
    assert_eq!(got, pairs(&[first, lib[0], lib[1], last]));
    // Only those that are wanted are asked for.
    let before = git.asked().len();
    let other = Selection { folders: vec!["libs/b".to_owned()], ..all() };
    assert!(matches!(files(&access, &other).await, Err(Error::NoFolder(_))));
    assert!(git.asked()[before..].iter().all(|one| one.contains("/web.git/")));
    let deep = Selection { folders: vec!["libs/a/d".to_owned()], ..all() };
    assert_eq!(files(&access, &deep).await.unwrap(), pairs(&[lib[0]]));
    // Rules are of where they stand.
    let ignore = Some("lib.txt\n".to_owned());
    let rules = Selection { ignore, ..all() };
    let logo = ("libs/a/logo.png", "png");
    assert_eq!(files(&access, &rules).await.unwrap(), pairs(&[first, lib[0], logo, last]));
    // A server of old gives no commit by its hash, but the history that it is in.
    git.be_old();
    assert_eq!(files(&access, &all()).await.unwrap(), got);
}

#[tokio::test]
async fn another_server_hears_nothing_of_the_login() {
    let (Some(git), Some(other)) = (Git::start(), Git::start()) else { return };
    let lib = git.commit_beside("lib", &[("lib.txt", "lib")]);
    let far = other.commit("far", &[("far.txt", "far")]);
    git.commit("first", &[("a.txt", "1")]);
    git.submodules("web", &[("lib", "../lib.git", &lib), ("far", &other.url(), &far)]);
    git.require("me", "s3cret");
    let mut access = access(&git.url());
    access.login = Login::Password("me".to_owned(), Secret::new("s3cret".to_owned()));
    let want = pairs(&[("a.txt", "1"), ("far/far.txt", "far"), ("lib/lib.txt", "lib")]);
    assert_eq!(files(&access, &all()).await.unwrap(), want);
    assert!(!other.asked().is_empty() && other.logins().is_empty(), "{:?}", other.logins());
    // One that asks for a login is told apart from one that is not there.
    other.require("me", "s3cret");
    let error = files(&access, &all()).await.unwrap_err().to_string();
    assert!(error.contains(&other.url()) && error.contains("401 Unauthorized"), "{error}");
    assert!(other.logins().is_empty(), "{:?}", other.logins());
    // What stands in its address is for it.
    let url = other.url().replace("http://", "http://me:s3cret@");
    git.submodules("web", &[("lib", "../lib.git", &lib), ("far", &url, &far)]);
    assert_eq!(files(&access, &all()).await.unwrap(), want);
}

#[tokio::test]
async fn submodules_come_over_ssh() {
    let Some(git) = Git::start() else { return };
    let Some(sshd) = Sshd::start() else { return };
    nested(&git);
    let mut access = access(&sshd.url(&git.folder().join("web.git")));
    access.login = Login::Key(Key {
        identity: Secret::new(sshd.key("user")),
        known_hosts: sshd.known_hosts(),
        ..Key::default()
    });
    let got = files(&access, &all()).await.unwrap();
    let paths: Vec<&str> = got.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["a.txt", "libs/a/d/deep.txt", "libs/a/lib.txt", "z.txt"]);
}

#[tokio::test]
async fn a_submodule_that_cannot_be_had_is_told_by_its_path() {
    let Some(git) = Git::start() else { return };
    let lib = git.commit_beside("lib", &[("lib.txt", "lib")]);
    git.commit("first", &[("a.txt", "1")]);
    let none = "1".repeat(40);
    let rows = [
        ("file:///etc", lib.as_str(), "submodule `lib`: `file://` is not fetched"),
        ("/etc", &lib, "submodule `lib`: a path of a machine's own is not fetched"),
        ("git@127.0.0.1:lib.git", &lib, "the Secret has no key for that"),
        ("../none.git", &lib, "/none.git"),
        ("../lib.git", &none, "/lib.git"),
    ];
    for (url, commit, words) in rows {
        git.submodules("web", &[("lib", url, commit)]);
        let error = files(&access(&git.url()), &all()).await.unwrap_err().to_string();
        assert!(error.contains(words), "{url}: {error}");
    }
    // One that nobody describes stays an empty folder, as for Git.
    git.submodules("web", &[("lib", "../lib.git", &lib)]);
    std::fs::write(git.folder().join("work/.gitmodules"), "").unwrap();
    git.commit("undescribed", &[]);
    let got = files(&access(&git.url()), &all()).await.unwrap();
    assert_eq!(got, pairs(&[("a.txt", "1")]));
    // Others are not pointed to by a link.
    let link = git.folder().join("work/.gitmodules");
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("a.txt", link).unwrap();
    git.commit("linked", &[]);
    let error = files(&access(&git.url()), &all()).await.unwrap_err().to_string();
    assert!(error.contains("`.gitmodules` is no file"), "{error}");
}
