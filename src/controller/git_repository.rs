//! Keeps one `GitRepository` fresh: which commit its branch, tag, range or name means, and the
//! files of it. A server where nothing moved is asked one question, and nothing is written.
//!
//! Source: fluxcd/source-controller internal/controller/gitrepository_controller.go.

use std::collections::BTreeMap;

use super::artifact::{self, UNSTORED};
use super::context::Context;
use super::files::Files;
use super::git_access;
use super::queue::Report;
use super::source::{self, Failure, Success};
use crate::api::condition::{ARTIFACT_IN_STORAGE, STORAGE_FAILED, is_true};
use crate::api::{Artifact, GitRepository};
use crate::base::class::{Class, chain};
use crate::base::clock::rfc3339_seconds;
use crate::base::name::NamespacedName;
use crate::base::secret::SafeUrl;
use crate::cluster;
use crate::repo::{Content, FilesError, GitAsked, TreeFiles};
use crate::source::git::{Error as GitError, Found};

/// Kind of the objects.
pub(super) const KIND: &str = "GitRepository";
/// As much of a commit's message is said.
const SUBJECT: usize = 50;

/// What was found.
struct Seen {
    found: Found,
    /// Its artifact, with the first line of the commit's message; none: what is stored is still
    /// right.
    new: Option<(Artifact, Option<String>)>,
}

/// Asks the server if it is time, and says how it went.
pub(super) async fn reconcile(context: &Context, key: &NamespacedName) -> Report {
    source::ended(KIND, key, reconcile_inner(context, key).await)
}

async fn reconcile_inner(
    context: &Context,
    key: &NamespacedName,
) -> Result<Report, cluster::Error> {
    let repository: GitRepository = match source::begin(context, key).await? {
        Ok(repository) => repository,
        Err(report) => return Ok(report),
    };
    let result = look(context, &repository).await;
    let given = context.options.interval.or(repository.spec.interval.map(|given| given.0));
    let failed = result.as_ref().err().map(|failure| failure.class);
    let report = Report::of_artifact(failed, given);
    note(context, &repository, result).await?;
    Ok(report)
}

async fn look(context: &Context, repository: &GitRepository) -> Result<Seen, Failure> {
    let access = git_access::of(&context.cluster, repository).await.map_err(Failure::fetch)?;
    let url = &access.url;
    let doing = "failed to checkout and determine revision";
    let wanted = git_access::wanted(repository.spec.reference.as_ref());
    let wanted = wanted.map_err(|why| {
        Failure::fetch(("GitOperationFailed", format!("{doing}: {why}"), Class::Stalled))
    })?;
    let failed = |step: &str, error: &GitError| {
        Failure::fetch(match error {
            GitError::Empty => ("EmptyGitRepository", error.to_string(), error.class()),
            _ => {
                let text = format!("{doing}: {step} '{url}': {}", chain(error));
                ("GitOperationFailed", text, error.class())
            }
        })
    };
    let found = context.repositories.git_find(&access, &wanted).await;
    let found = found.map_err(|error| match &error {
        GitError::NoRef(_) | GitError::NoTag(_) => failed("unable to clone", &error),
        _ => failed("unable to list remote for", &error),
    })?;
    let own = address(repository, &found);
    if is_known(repository, &found) && artifact::is_served(context, repository, &own).await {
        return Ok(Seen { found, new: None });
    }
    let selection = git_access::selection(repository);
    let asked = GitAsked {
        owner: &repository.metadata.namespace,
        url: &repository.spec.url,
        found: &found,
        selection: &selection,
    };
    let files = context.repositories.git_files(&access, &wanted, &asked).await;
    let (files, subject) = files.map_err(|error| match &error {
        FilesError::Fetch(inner) => failed("unable to clone", inner),
        FilesError::Store(_) => Failure {
            kind: STORAGE_FAILED,
            reason: UNSTORED,
            message: chain(&error),
            class: Class::Retry,
        },
    })?;
    let content = Content::File(files.path().to_owned());
    let made = made(repository, &found, &files, rfc3339_seconds(context.clock.now()));
    let (artifact, _) = artifact::store::<GitRepository>(context, made, content).await?;
    Ok(Seen { found, new: Some((artifact, subject)) })
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
        let found = Found::of_revision(revision).ok_or_else(|| {
            failed(format!("revision '{revision}' names no commit"), Class::Retry)
        })?;
        let selection = git_access::selection(self);
        let asked = GitAsked {
            owner: &self.metadata.namespace,
            url: &self.spec.url,
            found: &found,
            selection: &selection,
        };
        if let Some(known) = context.repositories.git_known(&asked) {
            return Ok(known);
        }
        let access = git_access::of(&context.cluster, self).await.map_err(Failure::fetch)?;
        let wanted = git_access::wanted(self.spec.reference.as_ref());
        let wanted = wanted.map_err(|why| failed(why, Class::Stalled))?;
        let files = context.repositories.git_files(&access, &wanted, &asked).await;
        let (files, _) = files.map_err(|error| failed(chain(&error), Class::Retry))?;
        Ok(files)
    }
}

/// Whether the artifact in the status is of the commit and the files that are wanted.
fn is_known(repository: &GitRepository, found: &Found) -> bool {
    let (spec, status) = (&repository.spec, &repository.status);
    let same = status.artifact.as_ref().is_some_and(|known| known.revision == found.revision);
    same && is_true(&status.conditions, ARTIFACT_IN_STORAGE)
        && status.observed_ignore == spec.ignore
        && status.observed_sparse_checkout == spec.sparse_checkout
}

/// Where the files are from; without a login that may stand in the address.
fn address(repository: &GitRepository, found: &Found) -> String {
    let url = repository.spec.url.parse().map(|url: SafeUrl| url.to_string());
    format!("{}@{}", url.unwrap_or_default(), found.commit)
}

async fn note(
    context: &Context,
    repository: &GitRepository,
    result: Result<Seen, Failure>,
) -> Result<(), cluster::Error> {
    let mut status = repository.status.clone();
    let result = result.map(|Seen { found, new }| {
        let revision = &found.revision;
        let news = new.map(|(artifact, subject)| {
            status.artifact = Some(artifact);
            status.observed_ignore.clone_from(&repository.spec.ignore);
            status.observed_sparse_checkout.clone_from(&repository.spec.sparse_checkout);
            let said = said(subject.as_deref().unwrap_or(revision));
            ("NewArtifact", format!("stored artifact for commit '{said}'"))
        });
        let message = format!("stored artifact for revision '{revision}'");
        Success { reason: "Succeeded", message, news }
    });
    source::note(context, repository, status, result).await
}

/// The first line of a message, not longer than others say it.
fn said(subject: &str) -> String {
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
        assert_eq!(said("short"), "short");
        assert_eq!(said(&"é".repeat(50)), "é".repeat(50));
        assert_eq!(said(&"é".repeat(51)), format!("{}...", "é".repeat(50)));
    }
}
