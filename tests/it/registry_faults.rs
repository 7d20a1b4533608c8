//! Registries that misbehave: the right error, the right retry, no bad bytes, and no login for
//! somebody else.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Method, Response, header};
use leadsman::base::class::{Class, chain};
use leadsman::base::digest::Digest;
use leadsman::base::secret::Secret;
use leadsman::source::oci::{
    Access, Credential, Descriptor, Error, Keys, Manifest, Reference, Session,
};
use leadsman::source::{Fetcher, Mirrors};
use serde_json::json;

use crate::support::serve::Server;

const BLOB: &[u8] = b"the bytes of a chart";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// This status everywhere, with this `Retry-After`.
    Status(u16, &'static str),
    /// This status the first so many times.
    Passing(u16, usize),
    Hang,
    /// Connections end in the middle of a blob.
    Cut,
    /// A blob has these bytes instead.
    Blob(&'static [u8]),
    /// A manifest has another digest than the header says.
    OtherManifest,
    Html,
    /// A manifest without an end.
    EndlessManifest,
    /// Pages of tags without an end.
    EndlessPages,
    /// A page that names itself as the next.
    SamePage,
    /// The next page is somebody else's.
    ForeignPage,
    /// Blobs are elsewhere.
    Moved,
    /// The same, and elsewhere asks for a login.
    MovedAndLocked,
    Loop,
    /// Uploads go elsewhere.
    ForeignUpload,
    /// `HEAD` is answered with this status.
    Head(u16),
    /// `HEAD` is answered without a digest.
    NoDigest,
    /// The token service is at this address.
    Realm(&'static str),
    /// The token service refuses.
    NoToken,
    /// The token service gives an empty token.
    EmptyToken,
}

#[derive(Debug, Clone)]
struct Seen {
    place: &'static str,
    method: String,
    path: String,
    authorization: Option<String>,
}

#[derive(Debug, Clone)]
struct Site {
    name: &'static str,
    wrong: Wrong,
    /// Where the other server is.
    other: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A registry that misbehaves, and another server that it leads to.
struct Pair {
    registry: Server,
    _other: Server,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Pair {
    fn start(wrong: Wrong) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let site = |name, other: &str, wrong| Site {
            name,
            wrong,
            other: other.to_owned(),
            seen: Arc::clone(&seen),
        };
        let serve = |site| Server::http(Router::new().fallback(answer).with_state(site));
        let other = match wrong {
            Wrong::MovedAndLocked => Wrong::Status(401, ""),
            Wrong::NoToken | Wrong::EmptyToken => wrong,
            _ => Wrong::Nothing,
        };
        let other = serve(site("other", "", other));
        let registry = serve(site("registry", &other.url(), wrong));
        Self { registry, _other: other, seen }
    }

    fn reference(&self, target: &str) -> Reference {
        let host = self.registry.url().replace("http://", "");
        let joint = if target.is_empty() { "" } else { ":" };
        format!("{host}/charts/web{joint}{target}").parse().unwrap()
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn manifest() -> Bytes {
    let layer = Descriptor::of("layer", BLOB);
    serde_json::to_vec(&Manifest { layers: vec![layer], ..Manifest::default() }).unwrap().into()
}

async fn answer(State(site): State<Site>, request: Request) -> Response<Body> {
    if site.wrong == Wrong::Hang {
        site.seen.lock().unwrap().push(Seen {
            place: site.name,
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            authorization: None,
        });
        return std::future::pending().await;
    }
    respond(&site, &request)
}

#[expect(clippy::too_many_lines, reason = "one arm a fault")]
fn respond(site: &Site, request: &Request) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let text = |name| Some(request.headers().get(name)?.to_str().ok()?.to_owned());
    let authorization = text(header::AUTHORIZATION);
    let number = {
        let mut seen = site.seen.lock().unwrap();
        let (method, path) = (request.method().to_string(), path.clone());
        seen.push(Seen { place: site.name, method, path, authorization: authorization.clone() });
        seen.len()
    };
    let build = Response::builder();
    let to = |place: &str| {
        Response::builder().status(307).header(header::LOCATION, place).body(Body::empty()).unwrap()
    };
    if path == "/token" {
        return match site.wrong {
            Wrong::NoToken => build.status(403).body(Body::empty()).unwrap(),
            Wrong::EmptyToken => build.body(Body::from("{\"token\":\"\"}")).unwrap(),
            _ => build.body(Body::from("{\"token\":\"t0ken\"}")).unwrap(),
        };
    }
    let challenge = match site.wrong {
        Wrong::Realm(realm) => Some(realm.to_owned()),
        Wrong::NoToken | Wrong::EmptyToken => Some(format!("{}/token", site.other)),
        _ => None,
    };
    let challenge = challenge.map(|realm| {
        let realm = realm.replace("OTHER", &site.other);
        format!("Bearer realm=\"{realm}\",service=\"tests\",scope=\"repository:charts/web:pull\"")
    });
    if let (Some(challenge), None) = (&challenge, &authorization) {
        let build = build.status(401).header(header::WWW_AUTHENTICATE, challenge);
        return build.body(Body::empty()).unwrap();
    }
    match site.wrong {
        Wrong::Status(401, _) => {
            let build = build.status(401).header(header::WWW_AUTHENTICATE, "Basic realm=\"x\"");
            return build.body(Body::empty()).unwrap();
        }
        Wrong::Status(status, after) => {
            let build = build.status(status);
            let build = if after.is_empty() { build } else { build.header("retry-after", after) };
            return build.body(Body::empty()).unwrap();
        }
        Wrong::Passing(status, times) if number <= times => {
            return build.status(status).body(Body::empty()).unwrap();
        }
        Wrong::Head(status) if request.method() == Method::HEAD => {
            return build.status(status).body(Body::empty()).unwrap();
        }
        Wrong::NoDigest if request.method() == Method::HEAD => {
            return build.body(Body::empty()).unwrap();
        }
        Wrong::Html => return build.body(Body::from("<!DOCTYPE html><html></html>")).unwrap(),
        _ => {}
    }
    let bytes = manifest();
    if path.contains("/manifests/") {
        let build = build.header(header::CONTENT_TYPE, MANIFEST);
        let build = build.header("docker-content-digest", Digest::of(&bytes).to_string());
        return match site.wrong {
            Wrong::OtherManifest => build.body(Body::from("{}")).unwrap(),
            Wrong::EndlessManifest => build.body(endless()).unwrap(),
            Wrong::Loop => to(&path),
            _ => build.body(Body::from(bytes)).unwrap(),
        };
    }
    if path.ends_with("/tags/list") {
        let next = match site.wrong {
            Wrong::EndlessPages => format!("<{path}?last={number}>; rel=\"next\""),
            Wrong::SamePage => format!("<{path}>; rel=\"next\""),
            Wrong::ForeignPage => format!("<{}{path}>; rel=\"next\"", site.other),
            _ => String::new(),
        };
        let build = if next.is_empty() { build } else { build.header(header::LINK, next) };
        let tags = json!({"name": "charts/web", "tags": [format!("1.0.{number}")]});
        return build.body(Body::from(tags.to_string())).unwrap();
    }
    if path.contains("/uploads/") {
        let place = match site.wrong {
            Wrong::ForeignUpload => format!("{}{path}", site.other),
            _ => path.clone() + "1",
        };
        return build.status(202).header(header::LOCATION, place).body(Body::empty()).unwrap();
    }
    match site.wrong {
        Wrong::Cut => {
            let parts = [Ok(Bytes::from_static(&BLOB[..5])), Err(std::io::Error::other("cut"))];
            let body = Body::from_stream(futures::stream::iter(parts));
            build.header(header::CONTENT_LENGTH, BLOB.len()).body(body).unwrap()
        }
        Wrong::Blob(other) => build.body(Body::from(other)).unwrap(),
        Wrong::Moved | Wrong::MovedAndLocked => to(&format!("{}{path}", site.other)),
        Wrong::ForeignUpload => build.status(404).body(Body::empty()).unwrap(),
        _ => build.body(Body::from(BLOB)).unwrap(),
    }
}

fn endless() -> Body {
    let block = Bytes::from(vec![b' '; 64 << 10]);
    Body::from_stream(futures::stream::repeat_with(move || Ok::<_, std::io::Error>(block.clone())))
}

/// What is asked of the registry.
#[derive(Debug, Clone, Copy)]
enum Question {
    Tags,
    Manifest,
    /// The digest of a tag.
    Digest,
    Blob,
    Upload,
}

async fn ask(pair: &Pair, question: Question, retries: u32) -> Result<String, Error> {
    let credential = Credential {
        user: "me".to_owned(),
        password: Secret::new("s3cret".to_owned()),
        ..Credential::default()
    };
    let access = Access {
        plain_http: true,
        keys: Keys::Fixed(credential),
        tls: None,
        proxy: None,
        timeout: Duration::from_secs(2),
        retries,
    };
    let session = Session::new(&Fetcher::new(Mirrors::default()).unwrap(), access);
    let blob = Descriptor::of("layer", BLOB);
    match question {
        Question::Tags => session.tags(&pair.reference("")).await.map(|tags| tags.join(" ")),
        Question::Manifest => {
            let found = session.manifest(&pair.reference("1.0.0")).await;
            found.map(|found| String::from_utf8_lossy(&found.bytes).into_owned())
        }
        Question::Digest => {
            let found = session.resolve(&pair.reference("1.0.0")).await;
            found.map(|digest| {
                if digest == Digest::of(manifest()) { "right" } else { "wrong" }.to_owned()
            })
        }
        Question::Blob => {
            let found = session.blob(&pair.reference(""), &blob, 1 << 20).await;
            found.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        }
        Question::Upload => {
            let bytes = Bytes::from_static(BLOB);
            session.push_blob(&pair.reference(""), &bytes).await.map(|()| "pushed".to_owned())
        }
    }
}

/// What is wrong, what is asked, what comes of it (a part of the text), most requests.
type Row = (Wrong, Question, Result<&'static str, (&'static str, Class)>, usize);

fn rows() -> Vec<Row> {
    use Question::{Blob, Digest, Manifest, Tags, Upload};
    let retry = |text| Err((text, Class::Retry));
    let wait = |text, seconds| Err((text, Class::Wait(Duration::from_secs(seconds))));
    vec![
        (Wrong::Nothing, Tags, Ok("1.0.1"), 1),
        (Wrong::Nothing, Blob, Ok("the bytes of a chart"), 1),
        (Wrong::Status(401, ""), Blob, retry("response status code 401: Unauthorized"), 2),
        (Wrong::Status(403, ""), Tags, retry("response status code 403: Forbidden"), 1),
        (Wrong::Status(404, ""), Manifest, retry("charts/web:1.0.0: not found"), 1),
        (Wrong::Status(404, ""), Tags, retry("response status code 404: Not Found"), 1),
        (Wrong::Status(410, ""), Blob, retry("response status code 410: Gone"), 1),
        (Wrong::Status(429, "17"), Tags, wait("status code 429: Too Many Requests", 17), 1),
        (Wrong::Status(429, ""), Tags, wait("status code 429", 60), 1),
        (Wrong::Status(503, "5"), Blob, wait("status code 503: Service Unavailable", 5), 1),
        (Wrong::Status(500, ""), Blob, retry("status code 500: Internal Server Error"), 1),
        (Wrong::Nothing, Digest, Ok("right"), 1),
        (Wrong::NoDigest, Digest, Ok("right"), 2),
        (Wrong::Head(404), Digest, Ok("right"), 2),
        (Wrong::Head(405), Digest, Ok("right"), 2),
        (Wrong::Head(403), Digest, Ok("right"), 2),
        (Wrong::Head(501), Digest, Ok("right"), 2),
        (Wrong::Head(500), Digest, retry("status code 500: Internal Server Error"), 1),
        (Wrong::Head(429), Digest, wait("status code 429: Too Many Requests", 60), 1),
        (Wrong::Status(404, ""), Digest, retry("charts/web:1.0.0: not found"), 2),
        (Wrong::Status(403, ""), Digest, retry("GET"), 2),
        (Wrong::Hang, Manifest, retry("not answered in full within 2 s"), 1),
        (Wrong::Cut, Blob, retry("the connection broke"), 1),
        (Wrong::Blob(b"the bytes of a chord"), Blob, retry("the registry is inconsistent"), 1),
        (Wrong::Blob(b"short"), Blob, retry("5 bytes, not 20"), 1),
        (Wrong::Blob(b"the bytes of a chart and more"), Blob, retry("29 bytes, not 20"), 1),
        (Wrong::OtherManifest, Manifest, retry("the registry is inconsistent"), 1),
        (Wrong::Html, Tags, retry("failed to decode response"), 1),
        (Wrong::EndlessManifest, Manifest, retry("larger than 4194304 bytes"), 1),
        (Wrong::EndlessPages, Tags, retry("more than 1000 pages"), 1000),
        (Wrong::SamePage, Tags, retry("a page that leads nowhere"), 1),
        (Wrong::ForeignPage, Tags, retry("not the same origin as"), 1),
        (Wrong::Moved, Blob, Ok("the bytes of a chart"), 2),
        (Wrong::MovedAndLocked, Blob, retry("response status code 401"), 2),
        (Wrong::Loop, Manifest, retry("more than 10 redirects"), 11),
        (Wrong::ForeignUpload, Upload, retry("is on a different host than the registry"), 2),
        (Wrong::Realm("OTHER/token"), Blob, Ok("the bytes of a chart"), 3),
        (Wrong::Realm("http://10.0.0.1/token"), Blob, retry("loopback, link-local, private"), 1),
        (Wrong::Realm("file:///token"), Blob, retry("unsupported scheme \"file\""), 1),
        (Wrong::NoToken, Blob, retry("response status code 403: Forbidden"), 2),
        (Wrong::EmptyToken, Blob, retry("empty token returned"), 2),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_has_its_error_and_no_storm() {
    let mut failures = Vec::new();
    for (wrong, question, want, most) in rows() {
        let pair = Pair::start(wrong);
        let got = ask(&pair, question, 0).await;
        let got = got.map_err(|error| (chain(&error), error.class()));
        let same = match (&got, &want) {
            (Ok(got), Ok(want)) => got == want,
            (Err((got, class)), Err((want, wanted))) => got.contains(want) && class == wanted,
            _ => false,
        };
        let seen = pair.seen();
        if !same || seen.len() > most {
            let last = seen.last();
            failures.push(format!(
                "{wrong:?} {question:?}: {got:?}, {} requests: {last:?}",
                seen.len()
            ));
        }
        // The login is for the registry, and for the token service that it names.
        for one in seen.iter().filter(|one| one.place == "other" && one.path != "/token") {
            if one.authorization.is_some() {
                failures.push(format!("{wrong:?} {question:?}: a login for another host: {one:?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_asked_again_a_few_times() {
    for status in [408, 429, 500, 502, 503] {
        let pair = Pair::start(Wrong::Passing(status, 2));
        let got = ask(&pair, Question::Blob, 2).await.unwrap();
        assert_eq!((got.as_bytes(), pair.seen().len()), (BLOB, 3), "{status}");
    }
    let pair = Pair::start(Wrong::Status(500, ""));
    assert!(ask(&pair, Question::Blob, 1).await.is_err());
    assert_eq!(pair.seen().len(), 2);
    let pair = Pair::start(Wrong::Status(404, ""));
    assert!(ask(&pair, Question::Blob, 5).await.is_err());
    assert_eq!(pair.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_serves_for_all_requests_of_a_session() {
    let pair = Pair::start(Wrong::Realm("OTHER/token"));
    let keys = Keys::Fixed(Credential::default());
    let timeout = Duration::from_secs(2);
    let access = Access { plain_http: true, keys, tls: None, proxy: None, timeout, retries: 0 };
    let session = Session::new(&Fetcher::new(Mirrors::default()).unwrap(), access);
    session.tags(&pair.reference("")).await.unwrap();
    session.manifest(&pair.reference("1.0.0")).await.unwrap();
    session.blob(&pair.reference(""), &Descriptor::of("", BLOB), 100).await.unwrap();
    let seen = pair.seen();
    let tokens: Vec<_> = seen.iter().filter(|one| one.path == "/token").collect();
    assert_eq!((tokens.len(), seen.len()), (1, 5), "{seen:?}");
    assert_eq!(tokens[0].authorization, None, "nobody in particular asks");
    let sent = seen.iter().filter(|one| one.authorization.as_deref() == Some("Bearer t0ken"));
    assert_eq!(sent.count(), 3);
    assert!(seen.iter().all(|one| one.method == "GET"));
}
