//! A folder of packages, served as a chart repository.
//!
//! `/index.yaml` is made from the packages at each request (only changed files are read), so that
//! a package that is copied into the folder is published at once. Both index and packages carry an
//! `ETag`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, Response, StatusCode, header};
use bytes::Bytes;

use super::error::Error;
use super::serve::{Served, bind, is_fresh, plain};
use crate::base::class::chain;
use crate::base::digest::Digest;
use crate::base::{file, limit};
use crate::repo::Packages;

type Shelf = Arc<Mutex<Packages>>;

/// Serves the packages of a folder on a loopback address; port 0 takes a free one.
///
/// # Errors
/// The folder cannot be read, or the address cannot be listened on.
pub async fn serve_charts(folder: &Path, address: SocketAddr) -> Result<Served, Error> {
    if !address.ip().is_loopback() {
        return Err(Error::NotLoopback(address));
    }
    let mut packages = Packages::new(folder);
    for warning in packages.index()?.1 {
        tracing::warn!(folder = %folder.display(), warning = warning.0, "serving charts");
    }
    let app = Router::new().fallback(answer).with_state(Arc::new(Mutex::new(packages)));
    Ok(bind(address).await?.serve(app))
}

async fn answer(State(shelf): State<Shelf>, request: Request) -> Response<Body> {
    let method = request.method().clone();
    if !matches!(method, Method::GET | Method::HEAD) {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
    }
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    // Packing and reading wait for the disk.
    let found = tokio::task::spawn_blocking(move || find(&shelf, &path)).await;
    let content = match found {
        Ok(Ok(Some(content))) => content,
        Ok(Ok(None)) => return plain(StatusCode::NOT_FOUND, "no such package"),
        Ok(Err(reason)) => return plain(StatusCode::INTERNAL_SERVER_ERROR, &reason),
        Err(error) => return plain(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    };
    let tag = format!("\"{}\"", content.digest.to_hex());
    let fresh = is_fresh(known.as_ref(), &tag);
    let answer = Response::builder().header(header::ETAG, &tag);
    let answer = if fresh {
        answer.status(StatusCode::NOT_MODIFIED).body(Body::empty())
    } else {
        answer.header(header::CONTENT_TYPE, content.kind).body(Body::from(content.bytes))
    };
    answer.unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR, "no answer"))
}

struct Content {
    bytes: Bytes,
    digest: Digest,
    kind: &'static str,
}

/// Finds what a path means. Only names of the folder's own list are served.
fn find(shelf: &Shelf, path: &str) -> Result<Option<Content>, String> {
    let mut packages = shelf.lock().unwrap_or_else(PoisonError::into_inner);
    let say = |error: &(dyn std::error::Error + 'static)| chain(error);
    let (index, _) = packages.index().map_err(|error| say(&error))?;
    if path == "index.yaml" {
        let digest = Digest::of(&index);
        return Ok(Some(Content { bytes: index, digest, kind: "application/yaml" }));
    }
    let name = path.replace("%2B", "+").replace("%2b", "+");
    let Some((file, _)) = packages.package(&name) else { return Ok(None) };
    drop(packages);
    let bytes = file::read_bytes(&file, limit::ARCHIVE_BYTES).map_err(|error| say(&error))?;
    // Of the bytes themselves: the file may have changed since it was indexed.
    let digest = Digest::of(&bytes);
    Ok(Some(Content { bytes: bytes.into(), digest, kind: "application/gzip" }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::repo::{Repositories, RepositorySpec};
    use crate::source::{Fetcher, Mirrors};

    fn anywhere() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    #[tokio::test]
    async fn what_is_published_can_be_pulled() {
        let Some(corpus) = crate::base::testing::corpus() else { return };
        let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let publish = |name: &str| {
            let from = corpus.join("charts/podinfo").join(name);
            std::fs::copy(from, folder.path().join(name)).unwrap();
        };
        publish("podinfo-6.7.0.tgz");
        let served = serve_charts(folder.path(), anywhere()).await.unwrap();
        let fetcher = Fetcher::new(Mirrors::default()).unwrap();
        let repositories = Repositories::new(fetcher, cache.path());
        let spec = RepositorySpec {
            url: served.url().parse().unwrap(),
            timeout: Duration::from_secs(5),
            credentials: None,
            tls: None,
            registry: None,
        };
        assert!(repositories.refresh(&spec).await.unwrap().changed);
        assert!(!repositories.refresh(&spec).await.unwrap().changed);
        let newest = |repositories: &Repositories| {
            repositories.resolve(&spec.url, "podinfo", "6.x").unwrap().remove(0)
        };
        assert_eq!(newest(&repositories).text, "6.7.0");
        publish("podinfo-6.7.1.tgz");
        assert!(repositories.refresh(&spec).await.unwrap().changed);
        let entry = newest(&repositories);
        assert_eq!(entry.text, "6.7.1");
        assert!(entry.first_seen.is_some(), "it came after the first look");
        let pulled = repositories.pull(&spec, &entry).await.unwrap();
        assert_eq!(pulled.chart.metadata.version, "6.7.1");
        served.shutdown().await;
        let error = repositories.refresh(&spec).await.unwrap_err().to_string();
        assert!(error.contains("refused"), "{error}");
    }

    #[tokio::test]
    async fn only_the_packages_are_served_and_only_here() {
        let folder = tempfile::tempdir().unwrap();
        file::write_atomic(&folder.path().join("secret.txt"), b"x").unwrap();
        let shelf = Arc::new(Mutex::new(Packages::new(folder.path())));
        for path in ["secret.txt", "../secret.txt", "/etc/passwd", "", "a.tgz"] {
            assert!(find(&shelf, path).unwrap().is_none(), "{path}");
        }
        let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let error = serve_charts(folder.path(), everywhere).await.unwrap_err();
        assert!(matches!(error, Error::NotLoopback(_)), "{error}");
        let missing = serve_charts(&folder.path().join("none"), anywhere()).await.unwrap_err();
        assert!(matches!(missing, Error::Charts(_)), "{missing}");
    }
}
