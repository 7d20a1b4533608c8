//! Keeps one `GitRepository` fresh: which commit its branch, tag, range or name means, and the
//! files of it. A server where nothing moved is asked one question, and nothing is written.
//!
//! Source: fluxcd/source-controller internal/controller/gitrepository_controller.go.

use std::collections::BTreeMap;

use super::artifact::{self, UNSTORED};
use super::context::Context;
use super::files::Files;
use super::git_access;
use super::git_include;
use super::git_signature::{self, NO_TAG, Signers};
use super::settled::{Failure, NEW, Success};
use super::source::Looked;
use crate::api::condition::{
    ARTIFACT_IN_STORAGE, Conditions, SOURCE_VERIFIED, STORAGE_FAILED, Truth, is_true,
};
use crate::api::{Artifact, GitRepository, GitRepositoryStatus};
use crate::base::class::{Class, chain};
use crate::base::clock::rfc3339_seconds;
use crate::base::duration::GoDuration;
use crate::base::secret::SafeUrl;
use crate::repo::{
    Commit, Content, FilesError, GitAsked, GitFilesError, Included, Judge, TreeFiles, Unsigned,
};
use crate::source::git::{Access, Error as GitError, Found, Selection};

/// Kind of the objects.
pub(super) const KIND: &str = "GitRepository";
/// As much of a commit's message is said.
const SUBJECT: usize = 50;

/// What was found.
pub(super) struct Seen {
    found: Found,
    /// What was verified of it, and in which mode.
    verified: Option<(String, &'static str)>,
    /// Artifacts of others that are in it.
    included: Vec<Artifact>,
    /// Its artifact, with the first line of the commit's message; none: what is stored is still
    /// right.
    new: Option<(Artifact, Option<String>)>,
}

/// What is being done, as messages say it.
const DOING: &str = "failed to checkout and determine revision";

/// Says that a server could not be asked.
fn failed(step: &str, access: &Access, error: &GitError) -> Failure {
    if error.is_of_storage() {
        return unkept(UNSTORED, error);
    }
    Failure::fetch(match error {
        GitError::Empty => ("EmptyGitRepository", error.to_string(), error.class()),
        _ => {
            let text = format!("{DOING}: {step} '{}': {}", access.url, chain(error));
            ("GitOperationFailed", text, error.class())
        }
    })
}

impl Looked for GitRepository {
    type Seen = Seen;

    fn interval(&self) -> Option<GoDuration> {
        self.spec.interval
    }

    async fn look(&self, context: &Context) -> Result<Seen, Failure> {
        let access = git_access::of(&context.cluster, self).await.map_err(Failure::fetch)?;
        let included = git_include::artifacts(context, self).await?;
        let wanted = git_access::wanted(self.spec.reference.as_ref());
        let wanted = wanted.map_err(|why| {
            Failure::fetch(("GitOperationFailed", format!("{DOING}: {why}"), Class::Stalled))
        })?;
        let found = context.repositories.git_find(&access, &wanted).await;
        let found = found.map_err(|error| match &error {
            GitError::NoRef(_) | GitError::NoTag(_) => failed("unable to clone", &access, &error),
            _ => failed("unable to list remote for", &access, &error),
        })?;
        let own = address(self, &found);
        let signers = git_signature::of(context, self).await?;
        let is_known = is_known(self, &found, &included);
        if is_known && signers.is_none() && artifact::is_served(context, self, &own).await {
            return Ok(Seen { found, verified: None, included, new: None });
        }
        let others = git_include::files(context, self, &included).await?;
        let selection = git_access::selection(self);
        let asked = asked(self, (&found, &selection, &others), signers.as_ref());
        let mode = signers.as_ref().map(|signers| signers.mode.as_str());
        let verified = |commit: Commit| commit.verified.zip(mode);
        // What is in use was verified, by those who may sign now.
        let known = context.repositories.git_known(&asked).and_then(verified);
        if is_known && known.is_some() && artifact::is_served(context, self, &own).await {
            return Ok(Seen { found, verified: known, included, new: None });
        }
        let commit = context.repositories.git_files(&access, &wanted, &asked).await;
        let commit = commit.map_err(|error| unfetched(&access, &error))?;
        let content = Content::File(commit.files.path().to_owned());
        let made = made(self, &found, &commit.files, rfc3339_seconds(context.clock.now()));
        let (artifact, _) = artifact::store::<Self>(context, made, content).await?;
        let subject = commit.subject.clone();
        let verified = verified(commit);
        Ok(Seen { found, verified, included, new: Some((artifact, subject)) })
    }

    fn said(
        &self,
        context: &Context,
        result: Result<Seen, Failure>,
    ) -> (GitRepositoryStatus, Result<Success, Failure>) {
        let mut status = self.status.clone();
        let generation = self.metadata.generation;
        let mut conditions =
            Conditions::new(&mut status.conditions, generation, context.clock.now());
        let verified = result.as_ref().ok().and_then(|seen| seen.verified.as_ref());
        if let Some((text, mode)) = verified {
            conditions.set(SOURCE_VERIFIED, Truth::True, "Succeeded", text);
            status.source_verification_mode = Some((*mode).to_owned());
        } else if self.spec.verify.is_none() {
            conditions.delete(SOURCE_VERIFIED);
            status.source_verification_mode = None;
        }
        let result = result.map(|Seen { found, included, new, .. }| {
            let revision = &found.revision;
            let mut told = revision.clone();
            if let Some((artifact, subject)) = new {
                status.artifact = Some(artifact);
                let spec = &self.spec;
                status.observed_ignore.clone_from(&spec.ignore);
                status.observed_sparse_checkout.clone_from(&spec.sparse_checkout);
                status.observed_recurse_submodules = spec.recurse_submodules;
                status.observed_include.clone_from(&spec.include);
                status.included_artifacts = included;
                told = subject.map_or(told, |subject| shortened(&subject));
            }
            let told = format!("stored artifact for commit '{told}'");
            let message = format!("stored artifact for revision '{revision}'");
            Success { reason: "Succeeded", message, news: NEW, told }
        });
        (status, result)
    }
}

/// Says why there are no files.
fn unfetched(access: &Access, error: &FilesError<GitFilesError>) -> Failure {
    match error {
        FilesError::Fetch(GitFilesError::Fetch(inner)) => failed("unable to clone", access, inner),
        FilesError::Fetch(GitFilesError::Unsigned(inner)) => unsigned(inner),
        FilesError::Fetch(GitFilesError::Include { .. }) => unkept("CopyFailure", error),
        FilesError::Store(_) => unkept(UNSTORED, error),
    }
}

/// Says that files cannot be kept here.
fn unkept(reason: &'static str, error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure { kind: STORAGE_FAILED, reason, message: chain(error), class: Class::Retry }
}

fn asked<'a>(
    repository: &'a GitRepository,
    (found, selection, included): (&'a Found, &'a Selection, &'a [Included]),
    signers: Option<&'a Signers>,
) -> GitAsked<'a> {
    GitAsked {
        owner: &repository.metadata.namespace,
        url: &repository.spec.url,
        found,
        selection,
        included,
        judge: signers.map(|signers| signers as &dyn Judge),
        meant: format!("{:?}", repository.spec.reference),
    }
}

/// Nobody who may signed it: there is no tag unless the spec names one, all else may be signed anew.
fn unsigned(Unsigned { reason, message }: &Unsigned) -> Failure {
    let class = if *reason == NO_TAG { Class::Stalled } else { Class::Retry };
    Failure { kind: SOURCE_VERIFIED, reason, message: message.clone(), class }
}

impl Files for GitRepository {
    fn place(&self) -> String {
        self.spec.url.clone()
    }

    fn wish(&self) -> String {
        let reference = self.spec.reference.clone().unwrap_or_default();
        let wanted = serde_json::to_string(&reference).unwrap_or_default();
        let url = self.spec.url.parse().map(|url: SafeUrl| url.to_string());
        format!("{} {wanted}", url.unwrap_or_default())
    }

    async fn files(&self, context: &Context, revision: &str) -> Result<TreeFiles, Failure> {
        let failed = |text: String, class| Failure::fetch(("GitOperationFailed", text, class));
        let mut found = Found::of_revision(revision).ok_or_else(|| {
            failed(format!("revision '{revision}' names no commit"), Class::Retry)
        })?;
        let selection = git_access::selection(self);
        let signers = git_signature::of(context, self).await?;
        let others = self.included(context).await?;
        let known = asked(self, (&found, &selection, &others), signers.as_ref());
        if let Some(known) = context.repositories.git_known(&known) {
            return Ok(known.files);
        }
        let access = git_access::of(&context.cluster, self).await.map_err(Failure::fetch)?;
        let wanted = git_access::wanted(self.spec.reference.as_ref());
        let wanted = wanted.map_err(|why| failed(why, Class::Stalled))?;
        if signers.as_ref().is_some_and(|signers| signers.mode.is_of_tag()) {
            let now = context.repositories.git_find(&access, &wanted).await;
            let now = now.map_err(|error| failed(chain(&error), Class::Retry))?;
            if now.revision != revision {
                let text = format!("tag of revision '{revision}' is gone: it cannot be verified");
                return Err(failed(text, Class::Retry));
            }
            found = now;
        }
        let asked = asked(self, (&found, &selection, &others), signers.as_ref());
        let commit = context.repositories.git_files(&access, &wanted, &asked).await;
        Ok(commit.map_err(|error| unfetched(&access, &error))?.files)
    }
}

impl GitRepository {
    /// Returns the files of others that are in its artifact.
    async fn included(&self, context: &Context) -> Result<Vec<Included>, Failure> {
        let artifacts = &self.status.included_artifacts;
        let others = git_include::files(context, self, artifacts).await?;
        if others.len() == self.spec.include.len()
            && self.spec.include == self.status.observed_include
        {
            return Ok(others);
        }
        let text = "spec.include changed: its files come with the next artifact".to_owned();
        Err(Failure::fetch(("GitOperationFailed", text, Class::Retry)))
    }
}

/// Whether the artifact in the status is of the commit and the files that are wanted.
fn is_known(repository: &GitRepository, found: &Found, included: &[Artifact]) -> bool {
    let (spec, status) = (&repository.spec, &repository.status);
    let same = status.artifact.as_ref().is_some_and(|known| known.revision == found.revision);
    same && is_true(&status.conditions, ARTIFACT_IN_STORAGE)
        && status.observed_ignore == spec.ignore
        && status.observed_sparse_checkout == spec.sparse_checkout
        && status.observed_recurse_submodules == spec.recurse_submodules
        && status.observed_include == spec.include
        && git_include::are_same(&status.included_artifacts, included)
}

/// Where the files are from; without a login that may stand in the address.
fn address(repository: &GitRepository, found: &Found) -> String {
    let url = repository.spec.url.parse().map(|url: SafeUrl| url.to_string());
    format!("{}@{}", url.unwrap_or_default(), found.commit)
}

/// The first line of a message, not longer than others say it.
fn shortened(subject: &str) -> String {
    match subject.char_indices().nth(SUBJECT) {
        Some((at, _)) => format!("{}...", &subject[..at]),
        None => subject.to_owned(),
    }
}

fn made(repository: &GitRepository, found: &Found, files: &TreeFiles, time: String) -> Artifact {
    let meta = &repository.metadata;
    let commit = found.commit;
    Artifact {
        path: artifact::path::<GitRepository>(meta, &format!("{commit}.tar.gz")),
        url: address(repository, found),
        revision: found.revision.clone(),
        digest: files.digest.to_string(),
        last_update_time: time,
        size: files.size,
        metadata: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_messages_are_cut() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened(&"é".repeat(50)), "é".repeat(50));
        assert_eq!(shortened(&"é".repeat(51)), format!("{}...", "é".repeat(50)));
    }
}
