//! Keeps one `Bucket` fresh: which objects it has, and the files that they are. A bucket in which
//! nothing moved is listed, and nothing is fetched or written.
//!
//! Source: fluxcd/source-controller internal/controller/bucket_controller.go.

use std::collections::BTreeMap;

use super::artifact::{self, UNSTORED};
use super::bucket_access;
use super::context::Context;
use super::files::Files;
use super::settled::{Failure, NEW, Success};
use super::source::Looked;
use crate::api::condition::{ARTIFACT_IN_STORAGE, STORAGE_FAILED, is_true};
use crate::api::{Artifact, Bucket, BucketStatus};
use crate::base::class::{Class, chain};
use crate::base::clock::rfc3339_seconds;
use crate::base::digest::Digest;
use crate::base::duration::GoDuration;
use crate::repo::{BucketAsked, Content, FilesError, TreeFiles};
use crate::source::s3::{Error as BucketError, Index};

/// Kind of the objects.
pub(super) const KIND: &str = "Bucket";

/// What was found.
pub(super) struct Seen {
    index: Index,
    /// Its artifact, and the address of the newest one; none: what is stored is still right.
    new: Option<(Artifact, String)>,
}

impl Looked for Bucket {
    type Seen = Seen;

    fn interval(&self) -> Option<GoDuration> {
        self.spec.interval
    }

    async fn look(&self, context: &Context) -> Result<Seen, Failure> {
        let access = bucket_access::of(&context.cluster, self).await.map_err(Failure::fetch)?;
        let remote = context.repositories.bucket(&access);
        let spec = &self.spec;
        let mut listing =
            remote.find(&spec.prefix, spec.ignore.as_deref()).await.map_err(|it| failed(&it))?;
        let own = address(self, listing.index.revision());
        if is_known(self, &listing.index) && artifact::is_served(context, self, &own).await {
            return Ok(Seen { index: listing.index, new: None });
        }
        let place = self.place();
        let asked = asked(self, &place);
        let files = context.repositories.bucket_files(&remote, &asked, &mut listing).await;
        let files = files.map_err(unstored)?;
        let content = Content::File(files.path().to_owned());
        let revision = listing.index.revision();
        let time = rfc3339_seconds(context.clock.now());
        let made = made(self, revision, &files, time);
        let new = artifact::store::<Self>(context, made, content).await?;
        Ok(Seen { index: listing.index, new: Some(new) })
    }

    fn said(
        &self,
        _: &Context,
        result: Result<Seen, Failure>,
    ) -> (BucketStatus, Result<Success, Failure>) {
        let mut status = self.status.clone();
        let result = result.map(|Seen { index, new }| {
            let (revision, count) = (index.revision(), index.len());
            let name = &self.spec.bucket_name;
            let told = format!("stored artifact with {count} fetched files from '{name}' bucket");
            if let Some((artifact, latest)) = new {
                (status.artifact, status.url) = (Some(artifact), latest);
                status.observed_ignore.clone_from(&self.spec.ignore);
            }
            let message = format!("stored artifact: revision '{revision}'");
            Success { reason: "Succeeded", message, news: NEW, told }
        });
        (status, result)
    }
}

fn failed(error: &BucketError) -> Failure {
    match error.is_of_storage() {
        true => unkept(error),
        false => Failure::fetch(("BucketOperationFailed", chain(error), error.class())),
    }
}

/// Says that files cannot be kept here.
fn unkept(error: &(dyn std::error::Error + 'static)) -> Failure {
    let (kind, reason, class) = (STORAGE_FAILED, UNSTORED, Class::Retry);
    Failure { kind, reason, message: chain(error), class }
}

fn unstored(error: FilesError<BucketError>) -> Failure {
    match &error {
        FilesError::Fetch(inner) => failed(inner),
        FilesError::Store(_) => unkept(&error),
    }
}

/// Whether the artifact in the status is of the objects that there are.
fn is_known(bucket: &Bucket, index: &Index) -> bool {
    let status = &bucket.status;
    let revision = index.revision().to_string();
    status.artifact.as_ref().is_some_and(|known| known.revision == revision)
        && is_true(&status.conditions, ARTIFACT_IN_STORAGE)
}

/// Where the files are from.
fn address(bucket: &Bucket, revision: Digest) -> String {
    format!("{}@{revision}", bucket.place())
}

fn asked<'a>(bucket: &'a Bucket, place: &'a str) -> BucketAsked<'a> {
    BucketAsked { owner: &bucket.metadata.namespace, place, prefix: &bucket.spec.prefix }
}

impl Files for Bucket {
    fn place(&self) -> String {
        let endpoint = bucket_access::endpoint(&self.spec).map(|url| url.to_string());
        format!("{}{}", endpoint.unwrap_or_default(), self.spec.bucket_name)
    }

    fn wish(&self) -> String {
        format!("{} {}", self.place(), self.spec.prefix)
    }

    async fn files(&self, context: &Context, revision: &str) -> Result<TreeFiles, Failure> {
        let place = self.place();
        let (asked, repositories) = (asked(self, &place), &context.repositories);
        if let Some(known) = repositories.bucket_known(&asked, revision) {
            return Ok(known);
        }
        let access = bucket_access::of(&context.cluster, self).await.map_err(Failure::fetch)?;
        let remote = repositories.bucket(&access);
        let ignore = self.spec.ignore.as_deref();
        let listing = remote.find(&self.spec.prefix, ignore).await;
        let mut listing = listing.map_err(|error| failed(&error))?;
        let check = |have: &Index| {
            let have = have.revision().to_string();
            let (bucket, wanted) = (access.bucket.clone(), revision.to_owned());
            let is_it = have == wanted;
            if is_it { Ok(()) } else { Err(failed(&BucketError::Moved { bucket, wanted, have })) }
        };
        check(&listing.index)?;
        let files = repositories.bucket_files(&remote, &asked, &mut listing).await;
        let files = files.map_err(unstored)?;
        // It may have moved meanwhile.
        check(&listing.index)?;
        Ok(files)
    }
}

fn made(bucket: &Bucket, revision: Digest, files: &TreeFiles, time: String) -> Artifact {
    let file = format!("{}.tar.gz", revision.to_hex());
    Artifact {
        path: artifact::path::<Bucket>(&bucket.metadata, &file),
        url: address(bucket, revision),
        revision: revision.to_string(),
        digest: files.digest.to_string(),
        last_update_time: time,
        size: files.size,
        metadata: BTreeMap::new(),
    }
}
