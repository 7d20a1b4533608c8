//! Downloads of archives and files, as they are.

use std::time::Duration;

use bytes::Bytes;

use super::error::Error;
use super::helm_file::{HelmFiles, Registered};
use super::repositories::{RepositorySpec, fetch};
use crate::base::class::chain;
use crate::base::digest::Digest;
use crate::base::limit;
use crate::base::secret::SafeUrl;
use crate::source::{self, Fetched, Fetcher, Kind};

/// Downloads an archive; `promised` is the digest that the index tells, if it tells one.
///
/// # Errors
/// It cannot be fetched, or is another one.
pub async fn download_archive(
    fetcher: &Fetcher,
    spec: &RepositorySpec,
    url: &SafeUrl,
    promised: &str,
) -> Result<Bytes, Error> {
    let bytes = body(fetcher, spec, url, limit::ARCHIVE_BYTES, Kind::Archive).await?;
    let have = Digest::of(&bytes);
    if promised.parse::<Digest>().is_ok_and(|promised| promised != have) {
        let (url, wanted) = (url.clone(), promised.to_owned());
        return Err(Error::Digest { url, have, wanted });
    }
    Ok(bytes)
}

/// Downloads a text file that belongs to no repository.
///
/// # Errors
/// It cannot be fetched.
pub async fn download_file(
    fetcher: &Fetcher,
    url: &str,
    timeout: Duration,
) -> Result<Bytes, Error> {
    let spec = Registered { url: url.to_owned(), ..Registered::default() }.spec(timeout)?;
    body(fetcher, &spec, &spec.url, limit::SOURCE_FILE_BYTES, Kind::Text).await
}

pub(super) async fn body(
    fetcher: &Fetcher,
    spec: &RepositorySpec,
    url: &SafeUrl,
    limit_bytes: u64,
    kind: Kind,
) -> Result<Bytes, Error> {
    match fetcher.fetch(&fetch(spec, url.clone(), limit_bytes, kind)).await? {
        Fetched::Body { bytes, .. } => Ok(bytes),
        Fetched::NotModified => {
            let reason = "the server has nothing new of it".to_owned();
            Err(Error::Index { url: url.clone(), reason })
        }
    }
}

/// Fetches indexes anew, side by side; the results are in the order of the repositories.
pub async fn refresh(
    fetcher: &Fetcher,
    entries: &[&Registered],
    files: &HelmFiles,
    timeout: Duration,
) -> Vec<Result<(), Error>> {
    let one = async |entry: &Registered| {
        let spec = entry.spec(timeout)?;
        files.fetch_index(fetcher, &spec, &entry.name).await
    };
    futures::future::join_all(entries.iter().map(|entry| one(entry))).await
}

/// Says what became of the index of a repository.
pub fn outcome(name: &str, url: &str, result: &Result<(), Error>) -> String {
    match result {
        Ok(()) => format!("...Successfully got an update from the {name:?} chart repository\n"),
        Err(error) => format!(
            "...Unable to get an update from the {name:?} chart repository ({url}):\n\t{}\n",
            helm_text(error)
        ),
    }
}

/// Returns an error of a download in Helm's words, as far as it has such.
///
/// Source: helm v4.3.1 pkg/getter/httpgetter.go (`get`).
pub fn helm_text(error: &Error) -> String {
    let failed = |url: &SafeUrl, status: &str| format!("failed to fetch {url} : {status}");
    match error {
        Error::Fetch(source::Error::NotFound { url }) => failed(url, "404 Not Found"),
        Error::Fetch(
            source::Error::Unauthorized { url, status } | source::Error::Status { url, status, .. },
        ) => failed(url, status),
        error => chain(error),
    }
}
