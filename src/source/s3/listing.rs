//! What a bucket has now, and its objects as files.

use std::collections::BTreeMap;
use std::fs::File;
use std::future::Future;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{StreamExt as _, TryStreamExt as _};

use super::client::Remote;
use super::error::{Cause, Error};
use super::index::Index;
use crate::base::file::failed;
use crate::base::limit::{self, Limit};
use crate::source;
use crate::source::ignore::{FILE, Ignore};

/// As many objects are fetched at once.
const AT_ONCE: usize = 16;
/// Largest file with rules.
const RULES_BYTES: u64 = 1 << 20;

/// What a bucket has now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The objects that are taken.
    pub index: Index,
    /// `.sourceignore`, if there is one: Flux's artifacts have it, too.
    rules: Option<Vec<u8>>,
    /// How many bytes the objects have that are taken, as they are listed.
    sizes: BTreeMap<String, u64>,
}

impl Listing {
    /// Checks what came of an object; returns what tells its content from another. Where that is what
    /// the list said, so is its size.
    fn checked(&self, key: &str, etag: String, size: u64) -> Result<String, Cause> {
        let known = self.index.etag(key);
        // An answer that does not say what it is, is what was asked for.
        let etag = if etag.is_empty() { known.to_owned() } else { etag };
        match self.sizes.get(key) {
            // A list need not tell sizes.
            Some(&wanted) if etag == known && wanted > 0 && wanted != size => {
                Err(Cause::Size { have: size, wanted })
            }
            _ => Ok(etag),
        }
    }
}

/// An object that was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its path, with `/` between the parts.
    pub path: String,
    /// How many bytes it has.
    pub size: u64,
    /// The file that it was written to.
    pub at: PathBuf,
}

impl Remote<'_> {
    /// Returns the objects whose keys begin so, without those that `.sourceignore` of the bucket and
    /// the rules of the object leave out.
    ///
    /// # Errors
    /// The bucket cannot be read.
    pub async fn find(&self, prefix: &str, ignore: Option<&str>) -> Result<Listing, Error> {
        let bucket = self.access.bucket.clone();
        let late = |source| Error::Confirm { bucket, source };
        self.in_time(self.find_all(prefix, ignore), late).await
    }

    async fn find_all(&self, prefix: &str, ignore: Option<&str>) -> Result<Listing, Error> {
        let objects = self.list(prefix).await?;
        // It is asked for where it stands in the list, or where the list cannot tell.
        let may_be = !prefix.is_empty() || objects.iter().any(|object| object.key == FILE);
        let mut rules = Vec::new();
        let found = match may_be {
            true => self.object(FILE, RULES_BYTES, &mut rules).await.map_err(Error::Rules)?,
            false => None,
        };
        let rules = found.map(|_| rules);
        let text = rules.as_deref().map(String::from_utf8_lossy);
        let index = Index::of(&objects, &Ignore::bare(text.as_deref(), ignore));
        let taken = objects.iter().filter(|object| index.has(&object.key));
        let sizes = taken.map(|object| (object.key.clone(), object.size)).collect();
        Ok(Listing { index, rules, sizes })
    }

    /// Fetches all objects into an empty folder, and notes what they were then: one that changed
    /// since it was listed, and one that is not there any more.
    ///
    /// # Errors
    /// One cannot be had, has no place in a folder, or all are too large.
    pub async fn fetch(&self, listing: &mut Listing, folder: &Path) -> Result<Vec<Fetched>, Error> {
        let bucket = self.access.bucket.clone();
        let late = |source| Error::Files { bucket, source };
        self.in_time(self.fetch_all(listing, folder), late).await
    }

    async fn fetch_all(&self, listing: &mut Listing, folder: &Path) -> Result<Vec<Fetched>, Error> {
        let bucket = &self.access.bucket;
        let files = |source| Error::Files { bucket: bucket.clone(), source };
        let limits = limit::current();
        let too_much = |what, text| Err(files(Cause::TooLarge(limits.refusal(what, text))));
        if listing.index.len() > limits.size(Limit::Entries) {
            return too_much(Limit::Entries, "too many objects");
        }
        let size = listing.sizes.values().copied().fold(0, u64::saturating_add);
        if size > limits.of(Limit::Unpacked) {
            return too_much(Limit::Unpacked, "the objects are too large");
        }
        let paths = listing.index.paths().map_err(|(key, source)| match source {
            source @ Cause::Same { .. } => files(source),
            source => Error::Object { bucket: bucket.clone(), key, source },
        })?;
        // They may have grown since.
        let left = AtomicU64::new(limits.of(Limit::Unpacked));
        let listed = &*listing;
        let jobs = paths.into_iter().enumerate().map(|(number, (path, key))| {
            let (at, left) = (folder.join(number.to_string()), &left);
            async move {
                let got = self.object_into(&key, &at, left).await;
                let checked = got.and_then(|(etag, size)| {
                    let etag = etag.map(|etag| listed.checked(&key, etag, size));
                    Ok((etag.transpose()?, size))
                });
                match checked {
                    Ok((etag, size)) => Ok((key, etag, Fetched { path, size, at })),
                    Err(source) => Err(Error::Object { bucket: bucket.clone(), key, source }),
                }
            }
        });
        let fetched: Vec<_> =
            futures::stream::iter(jobs).buffer_unordered(AT_ONCE).try_collect().await?;
        let mut found = Vec::with_capacity(fetched.len() + 1);
        for (key, etag, file) in fetched {
            match &etag {
                Some(_) => found.push(file),
                None => {
                    tracing::info!(key, bucket, "indexed object disappeared from the bucket");
                }
            }
            listing.index.note(&key, etag);
        }
        if let Some(rules) = &listing.rules {
            let at = folder.join("rules");
            let written = File::create(&at).and_then(|mut file| file.write_all(rules));
            written.map_err(|error| files(failed("write", &at)(error).into()))?;
            let size = rules.len() as u64;
            found.push(Fetched { path: FILE.to_owned(), size, at });
        }
        Ok(found)
    }

    /// Writes an object to a file; returns what tells its content from another, and its size.
    async fn object_into(
        &self,
        key: &str,
        at: &Path,
        left: &AtomicU64,
    ) -> Result<(Option<String>, u64), Cause> {
        let file = File::create(at).map_err(failed("create", at))?;
        let mut file = BufWriter::new(file);
        let etag = self.object(key, left.load(Ordering::Relaxed), &mut file).await?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error);
        let meta = file.and_then(|file| file.metadata()).map_err(failed("write", at))?;
        let size = meta.len();
        let taken =
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(size));
        if taken.is_err() {
            let text = "the objects are too large";
            return Err(Cause::TooLarge(limit::current().refusal(Limit::Unpacked, text)));
        }
        Ok((etag, size))
    }

    /// Does what must end in time.
    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
        late: impl FnOnce(Cause) -> Error,
    ) -> Result<T, Error> {
        let after = self.access.timeout;
        match tokio::time::timeout(after, work).await {
            Ok(done) => done,
            Err(_) => {
                let url = self.access.endpoint.clone();
                Err(late(source::Error::Timeout { url, after }.into()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::index::Object;
    use super::*;

    #[test]
    fn what_is_as_it_was_listed_has_the_size_that_was_listed() {
        let object = |key: &str, etag: &str, size| Object {
            key: key.to_owned(),
            etag: etag.to_owned(),
            size,
        };
        let objects = [object("a", "1", 5), object("b", "2", 0), object("c", "", 5)];
        let listing = Listing {
            index: Index::of(&objects, &Ignore::bare(None, None)),
            rules: None,
            sizes: objects.iter().map(|object| (object.key.clone(), object.size)).collect(),
        };
        let rows = [
            ("a", "1", 5, Ok("1")),
            ("a", "1", 4, Err("4 bytes came, not 5 as the list says")),
            ("a", "2", 4, Ok("2")),
            ("a", "", 5, Ok("1")),
            ("a", "", 4, Err("4 bytes came, not 5 as the list says")),
            ("b", "2", 4, Ok("2")),
            ("c", "", 5, Ok("")),
            ("d", "1", 5, Ok("1")),
        ];
        for (key, etag, size, want) in rows {
            let got = listing.checked(key, etag.to_owned(), size);
            match (got, want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want, "{key} {etag} {size}"),
                (Err(got), Err(want)) => assert!(got.to_string().starts_with(want), "{got}"),
                (got, _) => panic!("{key} {etag} {size}: {got:?}"),
            }
        }
    }
}
