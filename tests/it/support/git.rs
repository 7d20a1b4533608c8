//! A Git server on loopback: Git's own `http-backend` behind a small bridge from HTTP to CGI, over
//! repositories that tests commit to.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode, header};
use base64::Engine as _;

use super::fault::Fault;
use super::parts;
use super::serve::{Flaw, Server};

/// A running server over one repository, `web.git`; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Git {
    server: Server,
    shelf: Arc<Shelf>,
}

#[derive(Debug)]
struct Shelf {
    folder: tempfile::TempDir,
    state: Mutex<Manner>,
}

#[derive(Debug, Default)]
struct Manner {
    /// The header that is asked for.
    login: Option<String>,
    /// Whether version 2 of the protocol is not spoken.
    old: bool,
    /// What is wrong with the answers to a question (to all, where it is empty).
    fault: Option<(&'static str, Fault)>,
    asked: Vec<String>,
    /// Who asked, each time.
    logins: Vec<String>,
    /// Who asked last of a proxy.
    proxy_login: Option<String>,
    commits: i64,
}

impl Git {
    /// Starts one over HTTP with an empty repository, or says that the test is skipped.
    pub(crate) fn start() -> Option<Self> {
        Self::with(Server::http)
    }

    /// Starts one over HTTPS.
    pub(crate) fn start_tls() -> Option<Self> {
        Self::with(Server::https)
    }

    fn with(serve: impl FnOnce(Router) -> Server) -> Option<Self> {
        let found = Command::new("git").arg("version").output();
        if !found.is_ok_and(|output| output.status.success()) {
            return parts::skip("git", "no git");
        }
        let folder = tempfile::tempdir().unwrap();
        let shelf = Arc::new(Shelf { folder, state: Mutex::default() });
        std::fs::create_dir_all(shelf.folder.path().join("work")).unwrap();
        let app = Router::new().fallback(answer).with_state(Arc::clone(&shelf));
        let git = Self { server: serve(app), shelf };
        let place = git.folder().join("web.git");
        git.git(&["init", "-q", "-b", "main", "--separate-git-dir", place.to_str().unwrap()]);
        git.git(&["config", "http.uploadpack", "true"]);
        Some(git)
    }

    /// Returns the address of the repository.
    pub(crate) fn url(&self) -> String {
        format!("{}/web.git", self.server.url())
    }

    /// Returns the authority's certificate in PEM, over HTTPS.
    pub(crate) fn authority(&self) -> Option<&str> {
        self.server.authority()
    }

    /// Shows a certificate with a flaw to who comes from now on, or one without; over HTTPS.
    pub(crate) fn show(&self, flaw: Option<Flaw>) {
        self.server.show(flaw);
    }

    /// Returns the folder with the repository and its working tree.
    pub(crate) fn folder(&self) -> &Path {
        self.shelf.folder.path()
    }

    /// Runs Git in the working tree and returns what it prints.
    #[track_caller]
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        self.git_in("work", arguments)
    }

    #[track_caller]
    fn git_in(&self, work: &str, arguments: &[&str]) -> String {
        let commits = self.shelf.state.lock().unwrap().commits;
        let output = git(&self.folder().join(work), commits).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap().trim_end_matches('\n').to_owned()
    }

    /// Writes files and commits them (with all else that changed); returns the commit.
    #[track_caller]
    pub(crate) fn commit(&self, message: &str, files: &[(&str, &str)]) -> String {
        for (name, text) in files {
            let path = self.folder().join("work").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        self.shelf.state.lock().unwrap().commits += 1;
        self.git(&["add", "--all", "--force"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Commits to another repository of the same server, `NAME.git`, which has these files alone;
    /// returns the commit.
    #[track_caller]
    pub(crate) fn commit_beside(&self, name: &str, files: &[(&str, &str)]) -> String {
        let (work, place) = (format!("{name}.work"), self.folder().join(format!("{name}.git")));
        let folder = self.folder().join(&work);
        if !place.exists() {
            std::fs::create_dir(&folder).unwrap();
            let place = place.to_str().unwrap();
            self.git_in(&work, &["init", "-q", "-b", "main", "--separate-git-dir", place]);
        }
        self.git_in(&work, &["rm", "-q", "-r", "--ignore-unmatch", "."]);
        for (name, text) in files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        self.shelf.state.lock().unwrap().commits += 1;
        self.git_in(&work, &["add", "--all", "--force"]);
        self.git_in(&work, &["commit", "-q", "--allow-empty", "-m", name]);
        self.git_in(&work, &["rev-parse", "HEAD"])
    }

    /// Runs Git in the working tree of another repository.
    #[track_caller]
    pub(crate) fn git_beside(&self, name: &str, arguments: &[&str]) -> String {
        self.git_in(&format!("{name}.work"), arguments)
    }

    /// Puts commits of other repositories into the next commit of `NAME.git`: path, address and
    /// commit of each.
    #[track_caller]
    pub(crate) fn submodules(&self, name: &str, modules: &[(&str, &str, &str)]) {
        let work = if name == "web" { "work".to_owned() } else { format!("{name}.work") };
        let folder = self.folder().join(&work);
        let mut text = String::new();
        for (path, url, commit) in modules {
            text += &format!("[submodule \"{path}\"]\n\tpath = {path}\n\turl = {url}\n");
            std::fs::create_dir_all(folder.join(path)).unwrap();
            let entry = format!("160000,{commit},{path}");
            self.git_in(&work, &["update-index", "--add", "--cacheinfo", &entry]);
        }
        std::fs::write(folder.join(".gitmodules"), text).unwrap();
        self.git_in(&work, &["add", ".gitmodules"]);
        self.git_in(&work, &["commit", "-q", "-m", "submodules"]);
    }

    /// Returns the address of another repository of the server.
    pub(crate) fn url_beside(&self, name: &str) -> String {
        format!("{}/{name}.git", self.server.url())
    }

    /// Returns who asked, for each request that said so.
    pub(crate) fn logins(&self) -> Vec<String> {
        self.shelf.state.lock().unwrap().logins.clone()
    }

    /// Asks for a name and password from now on.
    pub(crate) fn require(&self, user: &str, password: &str) {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        self.shelf.state.lock().unwrap().login = Some(format!("Basic {pair}"));
    }

    /// Asks for this header from now on.
    pub(crate) fn require_header(&self, authorization: &str) {
        self.shelf.state.lock().unwrap().login = Some(authorization.to_owned());
    }

    /// Speaks only the first version of the protocol from now on.
    pub(crate) fn be_old(&self) {
        self.shelf.state.lock().unwrap().old = true;
    }

    /// Answers everything with this status, or as it should.
    pub(crate) fn misbehave(&self, status: Option<u16>) {
        self.misbehave_at("", status.map(Fault::Status));
    }

    /// Answers a question (`ls-refs`, `fetch`; empty: each request) wrongly from now on, or as it
    /// should.
    pub(crate) fn misbehave_at(&self, question: &'static str, fault: Option<Fault>) {
        self.shelf.state.lock().unwrap().fault = fault.map(|fault| (question, fault));
    }

    /// Returns what was said last to a proxy of who asks it.
    pub(crate) fn proxy_login(&self) -> Option<String> {
        self.shelf.state.lock().unwrap().proxy_login.clone()
    }

    /// Returns the requests so far, such as `POST /web.git/git-upload-pack ls-refs`.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.shelf.state.lock().unwrap().asked.clone()
    }
}

/// Git without anybody's configuration, at a fixed time.
fn git(folder: &Path, commits: i64) -> Command {
    let mut command = Command::new("git");
    let date = format!("{} +0000", 1_700_000_000 + commits * 60);
    command.current_dir(folder).stdin(Stdio::null());
    command.envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")]);
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "tests");
        command.env(format!("GIT_{who}_EMAIL"), "tests@example.com");
        command.env(format!("GIT_{who}_DATE"), &date);
    }
    command
}

/// Which question of the protocol a body is.
fn question(body: &[u8]) -> &'static str {
    let has = |word: &str| body.windows(word.len()).any(|part| part == word.as_bytes());
    if has("command=ls-refs") {
        " ls-refs"
    } else if has("want ") {
        " fetch"
    } else {
        ""
    }
}

async fn answer(State(shelf): State<Arc<Shelf>>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let plain = |status: u16| {
        let challenge = (header::WWW_AUTHENTICATE, "Basic realm=\"tests\"");
        let builder = Response::builder().status(status).header(challenge.0, challenge.1);
        builder.body(Body::from("no")).unwrap()
    };
    let question = question(&body);
    let (old, fault) = {
        let mut state = shelf.state.lock().unwrap();
        state.asked.push(format!("{} {}{question}", head.method, head.uri.path()));
        let given = head.headers.get(header::PROXY_AUTHORIZATION);
        state.proxy_login = given.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let fault = state.fault.as_ref().filter(|(about, _)| question.ends_with(about));
        let fault = fault.map(|(_, fault)| fault.clone());
        let given = head.headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
        state.logins.extend(given.map(str::to_owned));
        if state.login.is_some() && state.login.as_deref() != given {
            return plain(401);
        }
        (state.old, fault)
    };
    let path = head.uri.path_and_query().unwrap().to_string();
    let variables = variables(&shelf, (&head.uri, head.method.as_str()), &head.headers, old);
    let folder = shelf.folder.path().to_owned();
    let ran = tokio::task::spawn_blocking(move || run(&folder, &variables, &body)).await.unwrap();
    let Some(at) = ran.windows(4).position(|part| part == b"\r\n\r\n") else { return plain(500) };
    let body = Bytes::copy_from_slice(&ran[at + 4..]);
    let mut builder = Response::builder().status(StatusCode::OK);
    for line in String::from_utf8_lossy(&ran[..at]).lines() {
        let Some((name, value)) = line.split_once(": ") else { continue };
        builder = match name {
            "Status" => builder.status(value[..3].parse::<u16>().unwrap()),
            name => builder.header(name, value),
        };
    }
    let Some(fault) = fault else { return builder.body(Body::from(body)).unwrap() };
    let honest = builder.body(Body::empty()).unwrap();
    let mut answer = fault.answer(&path, body).await;
    // It says that it is what was asked for.
    if answer.status() == StatusCode::OK
        && let Some(kind) = honest.headers().get(header::CONTENT_TYPE)
    {
        answer.headers_mut().entry(header::CONTENT_TYPE).or_insert(kind.clone());
    }
    answer
}

fn variables(
    shelf: &Shelf,
    (uri, method): (&axum::http::Uri, &str),
    headers: &HeaderMap,
    old: bool,
) -> BTreeMap<&'static str, String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let protocol = if old { "" } else { text("git-protocol") };
    BTreeMap::from([
        ("GIT_PROJECT_ROOT", shelf.folder.path().display().to_string()),
        ("GIT_HTTP_EXPORT_ALL", "1".to_owned()),
        ("PATH_INFO", uri.path().to_owned()),
        ("QUERY_STRING", uri.query().unwrap_or("").to_owned()),
        ("REQUEST_METHOD", method.to_owned()),
        ("CONTENT_TYPE", text("content-type").to_owned()),
        ("GIT_PROTOCOL", protocol.to_owned()),
    ])
}

fn run(folder: &Path, variables: &BTreeMap<&'static str, String>, body: &[u8]) -> Vec<u8> {
    let mut command = git(folder, 0);
    command.args(["-c", "safe.directory=*", "http-backend"]).envs(variables);
    command.env("CONTENT_LENGTH", body.len().to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let _ = std::io::Write::write_all(&mut stdin, body);
    drop(stdin);
    child.wait_with_output().unwrap().stdout
}
