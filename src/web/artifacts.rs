//! The artifacts of sources, as others read them at `status.artifact.url`.
//!
//! `GET` and `HEAD`, parts by `Range`, `If-None-Match`; no lists of folders. A file is read while it
//! is sent, and is the same file until its end, though another one takes its place meanwhile.

use std::io::SeekFrom;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, Response, StatusCode, header};
use bytes::Bytes;
use futures::Stream;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::serve::{Bound, Served, is_fresh, plain};
use crate::base::digest::Digest;
use crate::repo::Storage;

/// As much of a file is read at once.
const PART_BYTES: u64 = 1 << 16;

/// Serves the artifacts of a storage.
pub fn serve_artifacts(storage: Arc<Storage>, at: Bound) -> Served {
    at.serve(Router::new().fallback(answer).with_state(storage))
}

async fn answer(State(storage): State<Arc<Storage>>, request: Request) -> Response<Body> {
    let method = request.method();
    if !matches!(*method, Method::GET | Method::HEAD) {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
    }
    let path = decoded(request.uri().path().trim_start_matches('/'));
    let Some(place) = path.and_then(|path| storage.find(&path)) else {
        return plain(StatusCode::NOT_FOUND, "no such artifact");
    };
    let sent = send(&place, request.headers()).await;
    sent.unwrap_or_else(|error| match error.kind() {
        // It was removed meanwhile.
        std::io::ErrorKind::NotFound => plain(StatusCode::NOT_FOUND, "no such artifact"),
        _ => plain(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    })
}

/// Answers with a file, or a part of it. The body of an answer to `HEAD` is left out by the server.
async fn send(place: &Path, headers: &HeaderMap) -> std::io::Result<Response<Body>> {
    let mut file = File::open(place).await?;
    let meta = file.metadata().await?;
    let size = meta.len();
    let changed = meta.modified().ok();
    let tag = format!("\"{}\"", &Digest::of(format!("{size} {changed:?}")).to_hex()[..16]);
    let builder = Response::builder()
        .header(header::ETAG, &tag)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::CONTENT_TYPE, kind(place));
    let failed = |error: axum::http::Error| std::io::Error::other(error.to_string());
    if is_fresh(headers.get(header::IF_NONE_MATCH), &tag) {
        return builder.status(StatusCode::NOT_MODIFIED).body(Body::empty()).map_err(failed);
    }
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    // A part is of use only to who has the rest of the same file.
    let is_same = text(header::IF_RANGE).is_none_or(|of| of == tag);
    let asked = text(header::RANGE).filter(|_| is_same).map(|text| part(text, size));
    let (builder, range) = match asked {
        None | Some(Part::All) => (builder, 0..size),
        Some(Part::Of(range)) => {
            let shown = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            let builder = builder.status(StatusCode::PARTIAL_CONTENT);
            (builder.header(header::CONTENT_RANGE, shown), range)
        }
        Some(Part::None) => {
            let builder = builder.status(StatusCode::RANGE_NOT_SATISFIABLE);
            let builder = builder.header(header::CONTENT_RANGE, format!("bytes */{size}"));
            return builder.body(Body::empty()).map_err(failed);
        }
    };
    file.seek(SeekFrom::Start(range.start)).await?;
    let left = range.end - range.start;
    let builder = builder.header(header::CONTENT_LENGTH, left);
    builder.body(Body::from_stream(parts(file, left))).map_err(failed)
}

/// Reads so many bytes of a file, one part after another.
fn parts(file: File, left: u64) -> impl Stream<Item = std::io::Result<Bytes>> {
    futures::stream::try_unfold((file, left), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let mut part = Vec::new();
        (&mut file).take(left.min(PART_BYTES)).read_to_end(&mut part).await?;
        if part.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let left = left - part.len() as u64;
        Ok(Some((Bytes::from(part), (file, left))))
    })
}

/// What a `Range` asks for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// Nothing that is understood: the whole file.
    All,
    Of(Range<u64>),
    /// What is not in the file.
    None,
}

/// Reads a `Range` of one part (RFC 9110, 14.1.2); several parts are answered with all.
fn part(text: &str, size: u64) -> Part {
    let range = text.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let Some((first, last)) = range.filter(|(_, last)| !last.contains(',')) else {
        return Part::All;
    };
    let (first, last) = (first.trim(), last.trim());
    let number = |text: &str| text.parse::<u64>().ok();
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Some(first), None) if last.is_empty() => first..size,
        (None, Some(count)) if first.is_empty() => size.saturating_sub(count)..size,
        _ => return Part::All,
    };
    if range.is_empty() { Part::None } else { Part::Of(range) }
}

fn kind(place: &Path) -> &'static str {
    match place.extension().and_then(|end| end.to_str()) {
        Some("yaml") => "application/yaml",
        _ => "application/gzip",
    }
}

/// Undoes percent-encoding; none if what comes out is no text.
fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;
    use crate::repo::{Content, Retention};

    #[test]
    fn parts_are_of_the_file() {
        let rows = [
            ("bytes=0-3", Part::Of(0..4)),
            ("bytes=2-", Part::Of(2..10)),
            ("bytes=-3", Part::Of(7..10)),
            ("bytes=-30", Part::Of(0..10)),
            ("bytes=8-99", Part::Of(8..10)),
            ("bytes=10-", Part::None),
            ("bytes=-0", Part::None),
            ("bytes=3-2", Part::All),
            ("bytes=0-1,4-5", Part::All),
            ("bytes=a-b", Part::All),
            ("lines=0-1", Part::All),
        ];
        for (text, want) in rows {
            assert_eq!(part(text, 10), want, "{text}");
        }
    }

    /// Asks for a path; returns status, headers and body.
    async fn ask(
        app: &Router,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
    ) -> (u16, HeaderMap, String) {
        let mut request = axum::http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status.as_u16(), head.headers, String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn artifacts_are_read_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Arc::new(Storage::new(folder.path(), "http://a", Retention::default()));
        let content = Content::Bytes(Bytes::from_static(b"0123456789"));
        let now = crate::base::clock::Timestamp::UNIX_EPOCH;
        let path = "helmchart/shop/web/web-1.0.0+1.tgz";
        storage.put(path, Some("latest.tar.gz"), &content, now).unwrap();
        crate::base::file::write_atomic(&folder.path().join("secret"), b"x").unwrap();
        let app = Router::new().fallback(answer).with_state(storage);
        let good = format!("/{path}");
        let (status, headers, body) = ask(&app, ("GET", &good), &[]).await;
        assert_eq!((status, body.as_str()), (200, "0123456789"));
        assert_eq!(headers["content-length"], "10");
        assert_eq!(headers["content-type"], "application/gzip");
        let tag = headers["etag"].to_str().unwrap().to_owned();
        let (status, headers, body) = ask(&app, ("GET", &good), &[("range", "bytes=2-4")]).await;
        assert_eq!((status, body.as_str()), (206, "234"));
        assert_eq!(headers["content-range"], "bytes 2-4/10");
        let beyond = ask(&app, ("GET", &good), &[("range", "bytes=10-")]).await;
        assert_eq!((beyond.0, &beyond.1["content-range"]), (416, &"bytes */10".parse().unwrap()));
        let other = [("range", "bytes=2-4"), ("if-range", "\"other\"")];
        assert_eq!(ask(&app, ("GET", &good), &other).await.0, 200);
        assert_eq!(ask(&app, ("GET", &good), &[("if-none-match", &tag)]).await.0, 304);
        let encoded = good.replace('+', "%2B");
        assert_eq!(ask(&app, ("HEAD", &encoded), &[]).await.0, 200);
        assert_eq!(ask(&app, ("GET", "/helmchart/shop/web/latest.tar.gz"), &[]).await.0, 200);
        assert_eq!(ask(&app, ("POST", &good), &[]).await.0, 405);
        for path in [
            "/",
            "/helmchart",
            "/helmchart/shop/web/",
            "/helmchart/shop/web",
            "/secret",
            "/helmchart/shop/web/%2e%2e",
            "/helmchart/..%2F..%2Fsecret/a/b",
            "/helmchart/a/b/%",
            "/helmchart/shop/web/none.tgz",
            "/helmchart/%FF/b/c",
        ] {
            assert_eq!(ask(&app, ("GET", path), &[]).await.0, 404, "{path}");
        }
    }
}
