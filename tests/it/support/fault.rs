//! What a loopback server does wrong when a test asks for it.

use axum::body::{Body, Bytes};
use axum::http::{Response, StatusCode, header};
use futures::StreamExt as _;

/// One way to misbehave.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Answers with this status and a short text.
    Status(u16),
    /// 401 with a challenge.
    Unauthorized,
    /// 429 with this `Retry-After`.
    TooManyRequests(&'static str),
    /// Takes the request and never answers.
    Hang,
    /// Redirects to itself for ever.
    RedirectLoop,
    /// Redirects to the same path of another server.
    Redirect(String),
    /// A web page with status 200.
    Html,
    /// Status 200 and nothing.
    Empty,
    /// Announces the whole body and closes the connection half way.
    CutOff,
    /// Serves the first half of the body as if it were the whole.
    Half,
    /// Serves the whole with one bit changed in the middle.
    Bent,
    /// Serves the first half, and then nothing more for ever.
    Stall,
    /// Serves these bytes instead.
    Body(Bytes),
    /// Serves these bytes as if they were compressed by gzip.
    Packed(Bytes),
    /// Serves this many bytes that look like the start of an index, without announcing how many.
    Oversized(u64),
}

impl Fault {
    /// Makes the answer; `wanted` is what the honest one would carry, `path` what was asked for.
    pub(crate) async fn answer(&self, path: &str, wanted: Bytes) -> Response<Body> {
        let answer = Response::builder();
        let built = match self {
            Self::Status(code) => {
                answer.status(StatusCode::from_u16(*code).unwrap()).body(Body::from("misbehaving"))
            }
            Self::Unauthorized => answer
                .status(401)
                .header(header::WWW_AUTHENTICATE, "Basic realm=\"charts\"")
                .body(Body::from("unauthorized")),
            Self::TooManyRequests(after) => {
                answer.status(429).header(header::RETRY_AFTER, *after).body(Body::from("slow down"))
            }
            Self::Hang => std::future::pending().await,
            Self::RedirectLoop => {
                answer.status(302).header(header::LOCATION, path).body(Body::empty())
            }
            Self::Redirect(to) => {
                let place = format!("{to}{path}");
                answer.status(302).header(header::LOCATION, place).body(Body::empty())
            }
            Self::Html => answer.header(header::CONTENT_TYPE, "text/html").body(Body::from(
                "<!DOCTYPE html><html><head><title>Sign in</title></head></html>",
            )),
            Self::Empty => answer.body(Body::empty()),
            Self::CutOff => {
                let half = wanted.slice(..wanted.len() / 2);
                let parts = [Ok(half), Err(std::io::Error::other("cut off"))];
                answer
                    .header(header::CONTENT_LENGTH, wanted.len())
                    .body(Body::from_stream(futures::stream::iter(parts)))
            }
            Self::Half => answer.body(Body::from(wanted.slice(..wanted.len() / 2))),
            Self::Bent => {
                let mut bytes = wanted.to_vec();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                answer.body(Body::from(bytes))
            }
            Self::Stall => {
                let half = Ok::<_, std::io::Error>(wanted.slice(..wanted.len() / 2));
                let parts = futures::stream::iter([half]).chain(futures::stream::pending());
                answer.body(Body::from_stream(parts))
            }
            Self::Body(bytes) => answer.body(Body::from(bytes.clone())),
            Self::Packed(bytes) => {
                answer.header(header::CONTENT_ENCODING, "gzip").body(Body::from(bytes.clone()))
            }
            Self::Oversized(bytes) => answer.body(oversized(*bytes)),
        };
        built.unwrap()
    }
}

fn oversized(bytes: u64) -> Body {
    const START: &[u8] = b"apiVersion: v1\nentries:\n  web:\n";
    let block = Bytes::from(b"  # padding that a reader must not keep\n".repeat(1600));
    let count = bytes / block.len() as u64 + 1;
    let blocks = (0..count).map(move |number| {
        Ok::<_, std::io::Error>(if number == 0 { Bytes::from_static(START) } else { block.clone() })
    });
    Body::from_stream(futures::stream::iter(blocks))
}
