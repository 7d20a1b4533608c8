//! Files of buckets in the cache.

use std::fs::File;
use std::io::BufReader;

use super::repositories::Repositories;
use super::tree::archive::{Data, Entry};
use super::tree::{FilesError, TreeFiles};
use crate::base::digest::Digest;
use crate::base::file::failed;
use crate::source::s3::{Access, Error as BucketError, Fetched, Listing, Remote};

/// Which files are asked for.
#[derive(Debug, Clone, Copy)]
pub struct BucketAsked<'a> {
    /// Namespace of who asks: what was got with logins of one is not told to others.
    pub owner: &'a str,
    /// Server and bucket.
    pub place: &'a str,
    /// How the keys begin of the objects that are taken.
    pub prefix: &'a str,
}

impl BucketAsked<'_> {
    fn key(&self, revision: &str) -> Digest {
        let parts = [self.owner, self.place, self.prefix, revision];
        Digest::of(parts.map(|part| Digest::of(part).to_hex()).join(" "))
    }
}

impl Repositories {
    /// Returns a bucket; nothing is asked yet.
    pub fn bucket<'a>(&'a self, access: &'a Access) -> Remote<'a> {
        Remote::new(self.fetcher(), access)
    }

    /// Returns the files of a revision that are in the cache.
    pub fn bucket_known(&self, asked: &BucketAsked<'_>, revision: &str) -> Option<TreeFiles> {
        self.known_files(&self.cache().tree_folder(&asked.key(revision)))
    }

    /// Makes sure that the files that were found are in the cache. Objects that changed since are
    /// noted: the revision is another one then.
    ///
    /// # Errors
    /// They cannot be had, or not be stored.
    pub async fn bucket_files(
        &self,
        remote: &Remote<'_>,
        asked: &BucketAsked<'_>,
        listing: &mut Listing,
    ) -> Result<TreeFiles, FilesError<BucketError>> {
        // What several releases want is fetched once.
        let gate = self.gate(&remote.place());
        let passed = gate.lock().await;
        let known = self.bucket_known(asked, &listing.index.revision().to_string());
        let files = match known {
            Some(known) => Ok(known),
            None => self.bucket_fetch(remote, asked, listing).await,
        };
        drop(passed);
        files
    }

    async fn bucket_fetch(
        &self,
        remote: &Remote<'_>,
        asked: &BucketAsked<'_>,
        listing: &mut Listing,
    ) -> Result<TreeFiles, FilesError<BucketError>> {
        let folder = |revision: Digest| {
            let folder = self.cache().tree_folder(&asked.key(&revision.to_string()));
            let made = std::fs::create_dir_all(&folder);
            made.map_err(|error| FilesError::Store(failed("create folder", &folder)(error)))?;
            Ok::<_, FilesError<BucketError>>(folder)
        };
        let expected = folder(listing.index.revision())?;
        let spool = tempfile::tempdir_in(&expected);
        let spool =
            spool.map_err(|error| FilesError::Store(failed("create folder", &expected)(error)))?;
        let fetched = remote.fetch(listing, spool.path()).await?;
        let target = folder(listing.index.revision())?;
        let entry = |file: Fetched| Entry { path: file.path.clone(), is_program: false, at: file };
        let entries = fetched.into_iter().map(entry).collect();
        let read = |file: &Fetched| {
            let from = File::open(&file.at).map_err(failed("read", &file.at));
            let from = BufReader::new(from.map_err(FilesError::Store)?);
            Ok(Data { size: file.size, from: Box::new(from) })
        };
        let packed = self.pack_files(&target, entries, read).await;
        drop(spool);
        if target != expected {
            // Nothing of that revision came; another task may be filling it.
            let _ = std::fs::remove_dir(&expected);
        }
        packed
    }
}
