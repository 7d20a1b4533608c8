//! Keeps one `GitRepository` fresh: which commit its branch, tag, range or name means, and the
//! files of it. A server where nothing moved is asked one question, and nothing is written.
//!
//! Source: fluxcd/source-controller internal/controller/gitrepository_controller.go.

use std::collections::BTreeMap;

use super::access::Problem;
use super::context::Context;
use super::git_access;
use super::queue::Report;
use super::source::{self, Failure, Success};
use crate::api::condition::{ARTIFACT_IN_STORAGE, FETCH_FAILED, STORAGE_FAILED, is_true};
use crate::api::{Artifact, GitRepository};
use crate::base::class::{Class, chain};
use crate::base::clock::rfc3339_seconds;
use crate::base::name::NamespacedName;
use crate::base::secret::SafeUrl;
use crate::cluster;
use crate::repo::{FilesError, GitAsked, GitFiles};
use crate::source::git::{Error as GitError, Found};

/// Kind of the objects.
pub(super) const KIND: &str = "GitRepository";
/// As much of a commit's message is said.
const SUBJECT: usize = 50;
/// Reason where files cannot be stored.
const UNSTORED: &str = "ArchiveOperationFailed";

/// What was found.
struct Seen {
    found: Found,
    /// None: what is stored is still right.
    files: Option<GitFiles>,
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
    let failed = result.as_ref().err().map(|(_, _, class)| *class);
    let report = Report::of_artifact(failed, given);
    note(context, &repository, result).await?;
    Ok(report)
}

async fn look(context: &Context, repository: &GitRepository) -> Result<Seen, Problem> {
    let access = git_access::of(&context.cluster, repository).await?;
    let url = &access.url;
    let doing = "failed to checkout and determine revision";
    let wanted = git_access::wanted(repository.spec.reference.as_ref());
    let wanted =
        wanted.map_err(|why| ("GitOperationFailed", format!("{doing}: {why}"), Class::Stalled))?;
    let failed = |step: &str, error: &GitError| match error {
        GitError::Empty => ("EmptyGitRepository", error.to_string(), error.class()),
        _ => {
            let text = format!("{doing}: {step} '{url}': {}", chain(error));
            ("GitOperationFailed", text, error.class())
        }
    };
    let found = context.repositories.git_find(&access, &wanted).await;
    let found = found.map_err(|error| match &error {
        GitError::NoRef(_) | GitError::NoTag(_) => failed("unable to clone", &error),
        _ => failed("unable to list remote for", &error),
    })?;
    if is_known(repository, &found) {
        return Ok(Seen { found, files: None });
    }
    let selection = git_access::selection(repository);
    let asked = GitAsked {
        owner: &repository.metadata.namespace,
        url: &repository.spec.url,
        found: &found,
        selection: &selection,
    };
    let files = context.repositories.git_files(&access, &wanted, &asked).await;
    let files = files.map_err(|error| match &error {
        FilesError::Fetch(inner) => failed("unable to clone", inner),
        FilesError::Store(_) => (UNSTORED, chain(&error), Class::Retry),
    })?;
    Ok(Seen { found, files: Some(files) })
}

/// Whether the artifact in the status is what is wanted.
fn is_known(repository: &GitRepository, found: &Found) -> bool {
    let (spec, status) = (&repository.spec, &repository.status);
    let same = status.artifact.as_ref().is_some_and(|artifact| {
        artifact.revision == found.revision && artifact.url == address(repository, found)
    });
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
    result: Result<Seen, Problem>,
) -> Result<(), cluster::Error> {
    let mut new = repository.status.clone();
    let result = match result {
        Ok(Seen { found, files }) => {
            let revision = &found.revision;
            let message = format!("stored artifact for revision '{revision}'");
            let news = files.map(|files| {
                let said = said(files.subject.as_deref().unwrap_or(revision));
                let now = rfc3339_seconds(context.clock.now());
                new.artifact = Some(stored(repository, &found, &files, now));
                new.observed_ignore.clone_from(&repository.spec.ignore);
                new.observed_sparse_checkout.clone_from(&repository.spec.sparse_checkout);
                ("NewArtifact", format!("stored artifact for commit '{said}'"))
            });
            Ok(Success { reason: "Succeeded", message, news })
        }
        Err((reason, message, class)) => {
            let kind = if reason == UNSTORED { STORAGE_FAILED } else { FETCH_FAILED };
            Err(Failure { kind, reason, message, class })
        }
    };
    source::note(context, repository, new, result).await
}

/// The first line of a message, not longer than others say it.
fn said(subject: &str) -> String {
    match subject.char_indices().nth(SUBJECT) {
        Some((at, _)) => format!("{}...", &subject[..at]),
        None => subject.to_owned(),
    }
}

fn stored(repository: &GitRepository, found: &Found, files: &GitFiles, time: String) -> Artifact {
    let meta = &repository.metadata;
    let commit = found.commit;
    Artifact {
        path: format!("gitrepository/{}/{}/{commit}.tar.gz", meta.namespace, meta.name),
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
