//! Git repositories over real HTTP and SSH, as Git itself serves them.

use std::time::Duration;

use leadsman::base::secret::Secret;
use leadsman::source::git::{
    Access, Checkout, Error, Found, Key, Login, Remote, Selection, Servers, Wanted,
};
use leadsman::source::{Fetcher, Ignore, Mirrors, Proxy, Tls};

use crate::support::git::Git;
use crate::support::sshd::Sshd;

struct Setup {
    git: Git,
    fetcher: Fetcher,
    servers: Servers,
    access: Access,
}

impl Setup {
    fn new(git: Git) -> Self {
        let access = Access {
            url: git.url().parse().unwrap(),
            login: Login::Anonymous,
            tls: None,
            proxy: None,
            timeout: Duration::from_secs(20),
        };
        let fetcher = Fetcher::new(Mirrors::default()).unwrap();
        Self { git, fetcher, servers: Servers::default(), access }
    }

    fn remote(&self) -> Remote<'_> {
        Remote { fetcher: &self.fetcher, servers: &self.servers, access: &self.access }
    }

    async fn find(&self, wanted: &Wanted) -> Result<Found, Error> {
        self.remote().find(wanted).await
    }

    async fn fetch(&self, wanted: &Wanted, selection: &Selection) -> Result<Checkout, Error> {
        let remote = self.remote();
        let found = remote.find(wanted).await?;
        remote.fetch(wanted, &found, selection, tempfile::tempfile).await
    }

    /// Fetches, and returns the files with what is in them.
    async fn files(&self, wanted: &Wanted, selection: &Selection) -> Vec<(String, String)> {
        let mut checkout = self.fetch(wanted, selection).await.unwrap();
        read(&mut checkout)
    }
}

fn read(checkout: &mut Checkout) -> Vec<(String, String)> {
    let files = checkout.files.clone();
    let text = |checkout: &mut Checkout, file| {
        String::from_utf8(checkout.read(file).unwrap().to_vec()).unwrap()
    };
    files.iter().map(|file| (file.path.clone(), text(checkout, file))).collect()
}

fn branch(name: &str) -> Wanted {
    Wanted::Branch(name.to_owned())
}

fn pairs(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

/// Whichever way a server speaks.
async fn commits_are_found_and_fetched(old: bool) {
    let Some(git) = Git::start() else { return };
    let setup = Setup::new(git);
    let git = &setup.git;
    if old {
        git.be_old();
    }
    let empty = setup.find(&branch("main")).await.unwrap_err();
    assert_eq!(empty.to_string(), "git repository is empty");
    let large = "line\n".repeat(20_000);
    let first = git.commit("first\n\nmore", &[("a/one.txt", "1"), ("b.txt", &large)]);
    git.git(&["tag", "-a", "-m", "annotated", "v1.0.0"]);
    // What differs little travels as a difference.
    let changed = format!("{large}end\n");
    let second =
        git.commit("second", &[("a/one.txt", "2"), ("b.txt", &changed), ("b2.txt", &large)]);
    git.git(&["tag", "1.1.0"]);
    git.git(&["update-ref", "refs/pull/7/head", &first]);
    let all = Selection::default();
    let old_files = pairs(&[("a/one.txt", "1"), ("b.txt", &large)]);
    let new_files = pairs(&[("a/one.txt", "2"), ("b.txt", &changed), ("b2.txt", &large)]);
    let semver = |text: &str| Wanted::Semver(text.parse().unwrap(), text.to_owned());
    let rows = [
        (branch("main"), format!("main@sha1:{second}"), &new_files),
        (Wanted::Tag("v1.0.0".to_owned()), format!("v1.0.0@sha1:{first}"), &old_files),
        (semver("1.x"), format!("1.1.0@sha1:{second}"), &new_files),
        (semver("1.0.x"), format!("v1.0.0@sha1:{first}"), &old_files),
        (
            Wanted::Name("refs/pull/7/head".to_owned()),
            format!("refs/pull/7/head@sha1:{first}"),
            &old_files,
        ),
        (Wanted::Commit(first.parse().unwrap(), None), format!("sha1:{first}"), &old_files),
        (
            Wanted::Commit(first.parse().unwrap(), Some("main".to_owned())),
            format!("main@sha1:{first}"),
            &old_files,
        ),
    ];
    for (wanted, revision, files) in rows {
        assert_eq!(setup.find(&wanted).await.unwrap().revision, revision);
        assert_eq!(&setup.files(&wanted, &all).await, files, "{wanted:?}");
    }
    let checkout = setup.fetch(&branch("main"), &all).await.unwrap();
    assert_eq!(checkout.commit.subject, "second");
    let none = setup.find(&branch("none")).await.unwrap_err();
    assert_eq!(none.to_string(), "couldn't find remote ref \"refs/heads/none\"");
    let none = setup.find(&semver("2.x")).await.unwrap_err();
    assert_eq!(none.to_string(), "no match found for semver: 2.x");
    let nowhere = Wanted::Commit("1".repeat(40).parse().unwrap(), None);
    let error = setup.fetch(&nowhere, &all).await.unwrap_err().to_string();
    assert!(error.contains("not our ref") || error.contains("is missing"), "{error}");
}

#[tokio::test]
async fn commits_are_found_and_fetched_by_the_second_version() {
    commits_are_found_and_fetched(false).await;
}

#[tokio::test]
async fn commits_are_found_and_fetched_by_the_first_version() {
    commits_are_found_and_fetched(true).await;
}

#[tokio::test]
async fn a_second_question_is_one_request() {
    let Some(git) = Git::start() else { return };
    let setup = Setup::new(git);
    let git = &setup.git;
    let commit = git.commit("first", &[("a.txt", "1")]);
    setup.find(&branch("main")).await.unwrap();
    let before = git.asked().len();
    setup.find(&branch("main")).await.unwrap();
    assert_eq!(git.asked()[before..], ["POST /web.git/git-upload-pack ls-refs"]);
    // What is named by its hash is not asked for at all.
    setup.find(&Wanted::Commit(commit.parse().unwrap(), None)).await.unwrap();
    assert_eq!(git.asked().len(), before + 1);
    // A server that changes its mind is found out.
    git.misbehave(Some(500));
    assert!(setup.find(&branch("main")).await.is_err());
    git.misbehave(None);
    git.be_old();
    setup.find(&branch("main")).await.unwrap();
}

#[tokio::test]
async fn only_what_is_selected_comes_out() {
    let Some(git) = Git::start() else { return };
    let setup = Setup::new(git);
    let git = &setup.git;
    let work = git.folder().join("work");
    std::os::unix::fs::symlink("/etc/passwd", work.join("link")).unwrap();
    let files = [
        ("charts/web/Chart.yaml", "chart"),
        ("charts/web/logo.png", "png"),
        ("charts/web2/Chart.yaml", "other"),
        (".gitignore", "x"),
        ("docs/a.md", "a"),
    ];
    git.commit("first", &files);
    let main = branch("main");
    let paths = async |selection: Selection| -> Vec<String> {
        setup.files(&main, &selection).await.into_iter().map(|(path, _)| path).collect()
    };
    let folders = |folders: &[&str]| folders.iter().map(|folder| (*folder).to_owned()).collect();
    let all = Selection::default();
    let want = ["charts/web/Chart.yaml", "charts/web2/Chart.yaml", "docs/a.md"];
    assert_eq!(paths(all.clone()).await, want);
    let ignore = Some("/docs\n".to_owned());
    let want = ["charts/web/Chart.yaml", "charts/web/logo.png", "charts/web2/Chart.yaml"];
    assert_eq!(paths(Selection { ignore: ignore.clone(), ..all.clone() }).await, want);
    let sparse = Selection { folders: folders(&["./charts/web"]), ..all.clone() };
    assert_eq!(paths(sparse).await, ["charts/web/Chart.yaml"]);
    let missing = Selection { folders: folders(&["charts/none"]), ..all.clone() };
    let error = setup.fetch(&main, &missing).await.unwrap_err().to_string();
    assert_eq!(
        error,
        "failed to sparse checkout directories : \"charts/none\" is not in the repository"
    );
    git.commit(
        "second",
        &[(".sourceignore", "/*\n!/charts\n"), ("charts/.sourceignore", "web2/\n")],
    );
    let want = ["charts/.sourceignore", "charts/web/Chart.yaml", "charts/web/logo.png"];
    assert_eq!(paths(all).await, want);
}

#[tokio::test]
async fn who_asks_is_told_only_to_the_host_and_as_it_wants() {
    let Some(git) = Git::start_tls() else { return };
    let mut setup = Setup::new(git);
    setup.git.commit("first", &[("a.txt", "1")]);
    setup.git.require("me", "s3cret");
    let main = branch("main");
    let error = setup.find(&main).await.unwrap_err().to_string();
    assert!(error.contains("TLS: ") && error.contains("certificate"), "{error}");
    let authorities = setup.git.authority().unwrap().to_owned();
    setup.access.tls = Some(Tls { authorities, ..Tls::default() });
    let error = setup.find(&main).await.unwrap_err().to_string();
    assert!(error.contains("401 Unauthorized: check user and password"), "{error}");
    let password = |text: &str| Login::Password("me".to_owned(), Secret::new(text.to_owned()));
    setup.access.login = password("wrong");
    assert!(setup.find(&main).await.is_err());
    setup.access.login = password("s3cret");
    assert_eq!(setup.files(&main, &Selection::default()).await, pairs(&[("a.txt", "1")]));
    setup.git.require_header("Bearer t0ken");
    assert!(setup.find(&main).await.is_err());
    setup.access.login = Login::Bearer(Secret::new("t0ken".to_owned()));
    setup.find(&main).await.unwrap();
}

#[tokio::test]
async fn a_proxy_is_asked_in_place_of_the_server() {
    let Some(git) = Git::start() else { return };
    let mut setup = Setup::new(git);
    setup.git.commit("first", &[("a.txt", "1")]);
    // The server plays the proxy: it is asked for a host that nobody could reach.
    let address = setup.access.url.clone();
    setup.access.url = "http://git.invalid/web.git".parse().unwrap();
    assert!(setup.find(&branch("main")).await.is_err());
    let (user, password) = ("me".to_owned(), Secret::new("pw".to_owned()));
    setup.access.proxy = Some(Proxy { address, user, password });
    assert_eq!(setup.files(&branch("main"), &Selection::default()).await, pairs(&[("a.txt", "1")]));
    let login = setup.git.proxy_login();
    assert_eq!(login.as_deref(), Some("Basic bWU6cHc="));
}

#[tokio::test]
async fn servers_are_asked_over_ssh() {
    let Some(git) = Git::start() else { return };
    let Some(sshd) = Sshd::start() else { return };
    let mut setup = Setup::new(git);
    let first = setup.git.commit("first", &[("a.txt", "1")]);
    setup.git.commit("second", &[("a.txt", "2")]);
    setup.access.url = sshd.url(&setup.git.folder().join("web.git")).parse().unwrap();
    let key = |name: &str, password: &str, known_hosts: &str| {
        Login::Key(Key {
            identity: Secret::new(sshd.key(name)),
            password: Secret::new(password.to_owned()),
            known_hosts: known_hosts.to_owned(),
        })
    };
    let (main, all) = (branch("main"), Selection::default());
    let known = sshd.known_hosts();
    let old = Wanted::Commit(first.parse().unwrap(), None);
    for login in [key("user", "", &known), key("locked", "open sesame", &known)] {
        setup.access.login = login;
        assert_eq!(setup.files(&main, &all).await, pairs(&[("a.txt", "2")]));
        assert_eq!(setup.files(&old, &all).await, pairs(&[("a.txt", "1")]));
    }
    let Some(old_sshd) = Sshd::start_old() else { return };
    let new_url = setup.access.url.clone();
    let new_login = setup.access.login.clone();
    setup.access.url = old_sshd.url(&setup.git.folder().join("web.git")).parse().unwrap();
    setup.access.login = Login::Key(Key {
        identity: Secret::new(old_sshd.key("user")),
        known_hosts: old_sshd.known_hosts(),
        ..Key::default()
    });
    assert_eq!(setup.files(&main, &all).await, pairs(&[("a.txt", "2")]));
    assert_eq!(setup.files(&old, &all).await, pairs(&[("a.txt", "1")]));
    (setup.access.url, setup.access.login) = (new_url, new_login);
    let none = setup.find(&branch("none")).await.unwrap_err();
    assert_eq!(none.to_string(), "couldn't find remote ref \"refs/heads/none\"");
    let other = known.replace("AAAAC3", "AAAAC4");
    let unlisted = known.replace("127.0.0.1", "127.0.0.2");
    let rows = [
        (key("user", "", &other), "put its key into `known_hosts`"),
        (key("user", "", &unlisted), "put its key into `known_hosts`"),
        (key("host", "", &known), "check `identity`"),
        (key("locked", "wrong", &known), "check `identity`"),
    ];
    for (login, words) in rows {
        setup.access.login = login;
        let said = setup.find(&main).await.unwrap_err().to_string();
        assert!(said.contains(words), "{said}");
    }
}

#[tokio::test]
async fn what_is_no_git_server_is_told_apart() {
    let Some(git) = Git::start() else { return };
    let mut setup = Setup::new(git);
    let error = |result: Result<Found, Error>| result.unwrap_err().to_string();
    let other = setup.git.url().replace("web.git", "none.git");
    setup.access.url = other.parse().unwrap();
    let said = error(setup.find(&branch("main")).await);
    assert!(said.ends_with("404 Not Found: check the address"), "{said}");
    let site = crate::support::repository::Repository::start();
    site.put("web.git/info/refs", "<html>");
    setup.access.url = format!("{}/web.git", site.url()).parse().unwrap();
    let said = error(setup.find(&branch("main")).await);
    assert!(said.contains("not as a Git server does: check the address"), "{said}");
}

const RULES: &[&str] = &[
    "*.bak",
    "/x.txt",
    "a/x.txt",
    "docs/",
    "a/*.txt",
    "a/**/c",
    "**/c",
    "a/**",
    "a**c",
    "**",
    "*\n!a.yaml",
    "/*\n!/charts",
    "d/\n!d/a",
    "#x\n\\#x\n\\!x",
    "x  \n",
    "x\\ ",
    "[a-c].txt",
    "[!a-c].txt",
    "[^a-c].txt",
    "[]].txt",
    "[a",
    "[a-",
    "x\\",
    "?.txt",
    "a?b",
    "/",
    "!",
    "a/",
    "*/c",
    "**/b/**",
    "/**/x.txt",
    "a*b*c",
    "\\*.txt",
    "[a\\]].txt",
    "*.txt\n!docs/*.txt",
    "docs/*\n!docs/b",
    "**/docs/**/c",
    "***/x",
];

const PATHS: &[&str] = &[
    "a/b/c.bak",
    "x.txt",
    "a/x.txt",
    "b/a/x.txt",
    "docs/a",
    "docs/b",
    "x/docs/a",
    "docs2/a",
    "a/b/c.txt",
    "a/c",
    "a/b/b/c",
    "c",
    "a/b/c",
    "ac",
    "abbc",
    "a.yaml",
    "b.yaml",
    "charts/web/a",
    "d/a",
    "#x",
    "!x",
    "x",
    "x ",
    "b.txt",
    "d.txt",
    "].txt",
    "[a",
    "a/b",
    "axb",
    "d/b/e",
    "axxbyyc",
    "*.txt",
    "docs/x.txt",
    "docs/e/c",
    "x/docs/e/f/c",
    "y/x",
];

/// Git itself says which files its rules leave out.
#[tokio::test]
async fn rules_leave_out_what_git_leaves_out() {
    let Some(git) = Git::start() else { return };
    std::fs::write(git.folder().join("paths"), PATHS.join("\n") + "\n").unwrap();
    let mut wrong = Vec::new();
    for rule in RULES {
        std::fs::write(git.folder().join("work/.gitignore"), rule).unwrap();
        let script = "git check-ignore --no-index --stdin < ../paths";
        // Nothing at all is left out: Git then ends with a code of its own.
        let said = git.git(&["-c", &format!("alias.ask=!{script} || true"), "ask"]);
        let theirs: Vec<&str> = said.lines().map(|line| line.trim_matches('"')).collect();
        let ours = Ignore::new(&[("", *rule)], None);
        let ours: Vec<&str> =
            PATHS.iter().copied().filter(|path| ours.drops(path, false)).collect();
        // That nothing is given leaves Flux's own rules in force.
        let theirs: Vec<&str> = theirs.into_iter().filter(|path| !path.is_empty()).collect();
        if ours != theirs {
            wrong.push(format!("{rule:?}: {ours:?}, Git {theirs:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
