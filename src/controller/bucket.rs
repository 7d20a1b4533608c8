//! Keeps one `Bucket` fresh: which objects it has, and the files that they are. A bucket in which
//! nothing moved is listed, and nothing is fetched or written.
//!
//! Source: fluxcd/source-controller internal/controller/bucket_controller.go.

use std::collections::BTreeMap;

use super::artifact::{self, UNSTORED};
use super::bucket_access;
use super::context::Context;
use super::files::Files;
use super::settled::{Failure, Success};
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
        look(context, self).await
    }

    fn said(
        &self,
        _: &Context,
        result: Result<Seen, Failure>,
    ) -> (BucketStatus, Result<Success, Failure>) {
        said(self, result)
    }
}

async fn look(context: &Context, bucket: &Bucket) -> Result<Seen, Failure> {
    let access = bucket_access::of(&context.cluster, bucket).await.map_err(Failure::fetch)?;
    let remote = context.repositories.bucket(&access);
    let spec = &bucket.spec;
    let mut listing =
        remote.find(&spec.prefix, spec.ignore.as_deref()).await.map_err(|it| failed(&it))?;
    let own = address(bucket, listing.index.revision());
    if is_known(bucket, &listing.index) && artifact::is_served(context, bucket, &own).await {
        return Ok(Seen { index: listing.index, new: None });
    }
    let place = bucket.place();
    let asked = asked(bucket, &place);
    let files = context.repositories.bucket_files(&remote, &asked, &mut listing).await;
    let files = files.map_err(unstored)?;
    let content = Content::File(files.path().to_owned());
    let revision = listing.index.revision();
    let time = rfc3339_seconds(context.clock.now());
    let made = made(bucket, revision, &files, time);
    let new = artifact::store::<Bucket>(context, made, content).await?;
    Ok(Seen { index: listing.index, new: Some(new) })
}

fn failed(error: &BucketError) -> Failure {
    Failure::fetch(("BucketOperationFailed", chain(error), error.class()))
}

fn unstored(error: FilesError<BucketError>) -> Failure {
    match &error {
        FilesError::Fetch(inner) => failed(inner),
        FilesError::Store(_) => Failure {
            kind: STORAGE_FAILED,
            reason: UNSTORED,
            message: chain(&error),
            class: Class::Retry,
        },
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

fn said(
    bucket: &Bucket,
    result: Result<Seen, Failure>,
) -> (BucketStatus, Result<Success, Failure>) {
    let mut status = bucket.status.clone();
    let result = result.map(|Seen { index, new }| {
        let (revision, count) = (index.revision(), index.len());
        let name = &bucket.spec.bucket_name;
        let said = format!("stored artifact with {count} fetched files from '{name}' bucket");
        let reason = if let Some((artifact, latest)) = new {
            (status.artifact, status.url) = (Some(artifact), latest);
            status.observed_ignore.clone_from(&bucket.spec.ignore);
            "NewArtifact"
        } else {
            "Succeeded"
        };
        let message = format!("stored artifact: revision '{revision}'");
        Success { reason: "Succeeded", message, news: Some((reason, said)) }
    });
    (status, result)
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
