//! A chart repository on loopback: a real HTTP server over packages that tests publish and remove,
//! with the index made afresh, conditional GET, a log of requests, and faults on demand.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode, header};
use base64::Engine as _;
use serde_json::{Value, json};
use sha2::Digest as _;

use super::fault::Fault;
use super::pack::{Package, hex};
use super::serve::{Beside, Flaw, Server};

const INDEX: &str = "/index.yaml";

/// A running repository; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Repository {
    server: Serving,
    shelf: Arc<Mutex<Shelf>>,
}

/// Where a repository is served.
#[derive(Debug)]
enum Serving {
    Apart(Box<Server>),
    Beside(Beside),
}

/// One request that was answered (or is being left to hang).
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The path, such as `/index.yaml`.
    pub(crate) path: String,
    /// The status of the answer; 0 when there was none.
    pub(crate) status: u16,
    /// Whether it carried `If-None-Match` or `If-Modified-Since`.
    pub(crate) conditional: bool,
    /// The `User-Agent`.
    pub(crate) agent: String,
    /// What stood behind the path, such as `token=t`.
    pub(crate) query: String,
    /// Whether it carried `Authorization`.
    pub(crate) has_login: bool,
}

/// A file, and the tag that tells its content from another: made once, for large files are asked for
/// again and again.
#[derive(Debug, Clone)]
struct Stocked {
    bytes: Bytes,
    tag: String,
}

impl From<Bytes> for Stocked {
    fn from(bytes: Bytes) -> Self {
        let tag = format!("\"{}\"", &hex(&sha2::Sha256::digest(&bytes))[..16]);
        Self { bytes, tag }
    }
}

#[derive(Debug, Default)]
struct Shelf {
    files: BTreeMap<String, Stocked>,
    entries: BTreeMap<String, Vec<Value>>,
    fixed_index: bool,
    published: u32,
    faults: Vec<(String, Fault, Option<usize>)>,
    user: Option<String>,
    asked: Vec<Asked>,
}

impl Repository {
    /// Starts an empty one over HTTP.
    pub(crate) fn start() -> Self {
        let (app, shelf) = app();
        Self { server: Serving::Apart(Box::new(Server::http(app))), shelf }
    }

    /// Starts an empty one over HTTP, in the runtime of the test.
    pub(crate) async fn beside() -> Self {
        let (app, shelf) = app();
        Self { server: Serving::Beside(Beside::http(app).await), shelf }
    }

    /// Starts an empty one over HTTPS; [`Self::authority`] has the certificate to trust.
    pub(crate) fn start_tls() -> Self {
        let (app, shelf) = app();
        Self { server: Serving::Apart(Box::new(Server::https(app))), shelf }
    }

    /// Starts an empty one over HTTPS for those who show a certificate; returns one with its key.
    pub(crate) fn start_mutual() -> (Self, [String; 2]) {
        let (app, shelf) = app();
        let (server, shown) = Server::mutual(app);
        (Self { server: Serving::Apart(Box::new(server)), shelf }, shown)
    }

    /// Returns the URL for `HelmRepository.spec.url`.
    pub(crate) fn url(&self) -> String {
        match &self.server {
            Serving::Apart(server) => server.url(),
            Serving::Beside(server) => server.url(),
        }
    }

    /// Returns the authority's certificate in PEM, over HTTPS.
    pub(crate) fn authority(&self) -> Option<&str> {
        match &self.server {
            Serving::Apart(server) => server.authority(),
            Serving::Beside(_) => None,
        }
    }

    /// Shows a certificate with a flaw to who comes from now on, or one without; over HTTPS.
    pub(crate) fn show(&self, flaw: Option<Flaw>) {
        match &self.server {
            Serving::Apart(server) => server.show(flaw),
            Serving::Beside(_) => panic!("it does not speak TLS"),
        }
    }

    /// Goes away, or comes back; only one that is beside the test can.
    pub(crate) async fn be_there(&mut self, there: bool) {
        match &mut self.server {
            Serving::Apart(_) => panic!("it is not beside"),
            Serving::Beside(server) if there => server.come_back().await,
            Serving::Beside(server) => server.leave().await,
        }
    }

    /// Adds a finished archive and indexes it.
    pub(crate) fn publish(&self, archive: &Path) {
        self.publish_package(Package::read(archive));
    }

    /// Packs a chart's folder, adds it and indexes it.
    pub(crate) fn publish_folder(&self, folder: &Path) {
        self.publish_package(Package::folder(folder));
    }

    /// Adds a package and indexes it; one with the same file name is replaced.
    pub(crate) fn publish_package(&self, package: Package) {
        let mut shelf = self.shelf();
        shelf.take_away(&package.file);
        let mut entry = package.metadata.clone();
        let created = 1_700_000_000 + i64::from(shelf.published) * 60;
        shelf.published += 1;
        entry["created"] = json!(jiff::Timestamp::from_second(created).unwrap().to_string());
        entry["digest"] = json!(package.digest());
        entry["urls"] = json!([package.file]);
        let name = entry["name"].as_str().unwrap_or_default().to_owned();
        shelf.entries.entry(name).or_default().push(entry);
        shelf.put(&package.file, Bytes::from(package.bytes));
        shelf.index();
    }

    /// Adds a file without touching the index, such as a broken archive in place of a good one.
    pub(crate) fn put(&self, file: &str, bytes: impl Into<Bytes>) {
        self.shelf().put(file, bytes.into());
    }

    /// Serves this index instead of the one that is made from the packages.
    pub(crate) fn put_index(&self, bytes: impl Into<Bytes>) {
        let mut shelf = self.shelf();
        shelf.fixed_index = true;
        shelf.put(INDEX.trim_start_matches('/'), bytes.into());
    }

    /// Changes what the index says of a package, such as its digest or URL.
    pub(crate) fn edit_entry(&self, file: &str, edit: impl FnOnce(&mut Value)) {
        let mut shelf = self.shelf();
        let entry = shelf.entries.values_mut().flatten().find(|entry| entry["urls"][0] == file);
        edit(entry.unwrap_or_else(|| panic!("{file} is not published")));
        shelf.index();
    }

    /// Takes a package out of the shelf and the index.
    pub(crate) fn remove(&self, file: &str) {
        let mut shelf = self.shelf();
        shelf.take_away(file);
        shelf.files.remove(&format!("/{file}"));
        shelf.index();
    }

    /// Misbehaves for a path (`/index.yaml`; `*` is every path) until [`Self::behave`].
    pub(crate) fn misbehave(&self, path: &str, fault: Fault) {
        self.shelf().faults.push((path.to_owned(), fault, None));
    }

    /// Misbehaves for the next `times` requests of a path.
    pub(crate) fn misbehave_times(&self, path: &str, fault: Fault, times: usize) {
        self.shelf().faults.push((path.to_owned(), fault, Some(times)));
    }

    /// Ends all misbehaviour.
    pub(crate) fn behave(&self) {
        self.shelf().faults.clear();
    }

    /// Asks for a name and password from now on.
    pub(crate) fn require(&self, user: &str, password: &str) {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        self.shelf().user = Some(format!("Basic {pair}"));
    }

    /// Returns the requests so far, in order of arrival.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shelf().asked.clone()
    }

    /// Returns how many requests for a path were answered with a status.
    pub(crate) fn count(&self, path: &str, status: u16) -> usize {
        self.shelf().asked.iter().filter(|a| a.path == path && a.status == status).count()
    }

    fn shelf(&self) -> std::sync::MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap()
    }
}

impl Shelf {
    fn put(&mut self, file: &str, bytes: Bytes) {
        self.files.insert(format!("/{file}"), bytes.into());
    }

    fn take_away(&mut self, file: &str) {
        for entries in self.entries.values_mut() {
            entries.retain(|entry| entry["urls"][0] != file);
        }
        self.entries.retain(|_, entries| !entries.is_empty());
    }

    fn index(&mut self) {
        if self.fixed_index {
            return;
        }
        // JSON is YAML. The newest stands first, as `helm repo index` sorts them in most cases.
        let entries: BTreeMap<_, Vec<_>> = self
            .entries
            .iter()
            .map(|(name, entries)| (name, entries.iter().rev().collect()))
            .collect();
        let index = json!({
            "apiVersion": "v1",
            "generated": "2024-01-01T00:00:00Z",
            "entries": entries,
        });
        self.put(INDEX.trim_start_matches('/'), serde_json::to_vec(&index).unwrap().into());
    }

    fn fault(&mut self, path: &str) -> Option<Fault> {
        let at = self.faults.iter().position(|(known, _, _)| known == path || known == "*")?;
        let (_, fault, left) = &mut self.faults[at];
        let fault = fault.clone();
        if let Some(left) = left {
            *left -= 1;
            if *left == 0 {
                self.faults.remove(at);
            }
        }
        Some(fault)
    }
}

fn app() -> (Router, Arc<Mutex<Shelf>>) {
    let shelf = Arc::new(Mutex::new(Shelf::default()));
    shelf.lock().unwrap().index();
    (Router::new().fallback(answer).with_state(Arc::clone(&shelf)), shelf)
}

/// What a request asks for, and what stands ready for it.
struct Asking {
    path: String,
    known: Option<String>,
    file: Option<Stocked>,
    fault: Option<Fault>,
    refused: bool,
    at: usize,
}

fn ask(shelf: &Mutex<Shelf>, request: &Request) -> Asking {
    let path = request.uri().path().to_owned();
    let text = |name| {
        let value = request.headers().get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let conditional = [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE]
        .iter()
        .any(|name| request.headers().contains_key(name));
    let agent = text(header::USER_AGENT).unwrap_or_default();
    let mut shelf = shelf.lock().unwrap();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let has_login = request.headers().contains_key(header::AUTHORIZATION);
    shelf.asked.push(Asked { path: path.clone(), status: 0, conditional, agent, query, has_login });
    let refused = shelf.user.is_some() && shelf.user != text(header::AUTHORIZATION);
    let at = shelf.asked.len() - 1;
    let file = shelf.files.get(&path).cloned();
    let fault = shelf.fault(&path);
    Asking { known: text(header::IF_NONE_MATCH), path, file, fault, refused, at }
}

async fn answer(State(shelf): State<Arc<Mutex<Shelf>>>, request: Request) -> Response<Body> {
    let asking = ask(&shelf, &request);
    drop(request);
    let Asking { path, known, file, fault, refused, at } = asking;
    let answer = match (fault, file) {
        (Some(fault), file) => {
            let wanted = file.map(|file| file.bytes).unwrap_or_default();
            fault.answer(&path, wanted).await
        }
        (None, _) if refused => Fault::Unauthorized.answer(&path, Bytes::new()).await,
        (None, None) => Fault::Status(404).answer(&path, Bytes::new()).await,
        (None, Some(file)) => honest(file, known),
    };
    shelf.lock().unwrap().asked[at].status = answer.status().as_u16();
    answer
}

fn honest(file: Stocked, known: Option<String>) -> Response<Body> {
    let answer = Response::builder().header(header::ETAG, &file.tag);
    let answer = if known.as_ref() == Some(&file.tag) {
        answer.status(StatusCode::NOT_MODIFIED).body(Body::empty())
    } else {
        answer.body(Body::from(file.bytes))
    };
    answer.unwrap()
}
