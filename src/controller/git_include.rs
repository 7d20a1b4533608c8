//! Other `GitRepository` objects whose files are put into one: which of their artifacts they have
//! now, and the files of those.
//!
//! Source: fluxcd/source-controller internal/controller/gitrepository_controller.go
//! (`fetchIncludes`, `reconcileInclude`).

use futures::future::{BoxFuture, FutureExt as _};

use super::context::Context;
use super::files::Files as _;
use super::settled::Failure;
use super::source::Source as _;
use crate::api::condition::INCLUDE_UNAVAILABLE;
use crate::api::{Artifact, GitRepository};
use crate::base::class::{Class, chain};
use crate::base::name::NamespacedName;
use crate::repo::Included;

/// Longest chain of repositories that include one another.
const LONGEST: usize = 32;

/// Returns the artifacts that the others have now, in the order in which they are included.
///
/// # Errors
/// One is missing, has none yet, or includes this one.
pub(super) async fn artifacts(
    context: &Context,
    repository: &GitRepository,
) -> Result<Vec<Artifact>, Failure> {
    let mut artifacts = Vec::new();
    for include in &repository.spec.include {
        let name = &include.repository.name;
        let other = other(context, repository, name).await?;
        circle(context, repository, &other).await?;
        let none = || {
            let text = format!("no artifact available for include '{name}'");
            unavailable(context, "NoArtifact", text)
        };
        artifacts.push(other.status.artifact.clone().ok_or_else(none)?);
    }
    Ok(artifacts)
}

/// Returns the files of the others as they were when they had these artifacts.
///
/// # Errors
/// They cannot be had any more.
pub(super) fn files<'a>(
    context: &'a Context,
    repository: &'a GitRepository,
    artifacts: &'a [Artifact],
) -> BoxFuture<'a, Result<Vec<Included>, Failure>> {
    async move {
        let mut included = Vec::new();
        for (include, artifact) in repository.spec.include.iter().zip(artifacts) {
            let name = include.repository.name.clone();
            let other = other(context, repository, &name).await?;
            let files = other.files(context, &artifact.revision).await?;
            if files.digest.to_string() != artifact.digest {
                let revision = &artifact.revision;
                let text = format!(
                    "files of include '{name}' are not those of its artifact '{revision}' any more: it changes"
                );
                return Err(unavailable(context, "NoArtifact", text));
            }
            let (from, to) = (include.from_path.clone(), include.place().to_owned());
            included.push(Included { name, from, to, files });
        }
        Ok(included)
    }
    .boxed()
}

/// Whether two lists are of the same artifacts.
pub(super) fn are_same(a: &[Artifact], b: &[Artifact]) -> bool {
    let same = |(a, b): (&Artifact, &Artifact)| a.revision == b.revision && a.digest == b.digest;
    a.len() == b.len() && a.iter().zip(b).all(same)
}

async fn other(
    context: &Context,
    repository: &GitRepository,
    name: &str,
) -> Result<GitRepository, Failure> {
    let id = GitRepository::id(&NamespacedName::new(&repository.metadata.namespace, name));
    let fail = |text: String| {
        let text = format!("could not get resource for include '{name}': {text}");
        unavailable(context, "NotFound", text)
    };
    let found = context.cluster.get(&id).await.map_err(|error| fail(chain(&error)))?;
    let missing = || fail(format!("GitRepository.source.toolkit.fluxcd.io \"{name}\" not found"));
    let found = found.ok_or_else(missing)?;
    serde_json::from_value(found.0).map_err(|error| fail(error.to_string()))
}

/// Refuses repositories that include each other: each change of one would be one of the other, for
/// ever.
async fn circle(
    context: &Context,
    repository: &GitRepository,
    other: &GitRepository,
) -> Result<(), Failure> {
    let own = &repository.metadata.name;
    let mut ahead = vec![(other.clone(), vec![own.clone(), other.metadata.name.clone()])];
    let mut seen = vec![other.metadata.name.clone()];
    while let Some((at, way)) = ahead.pop() {
        if at.metadata.name == *own || way.len() > LONGEST {
            let text = format!(
                "repositories include each other: {}; remove one of them from spec.include",
                way.join(" -> ")
            );
            return Err(unavailable(context, "IncludeCycle", text));
        }
        for include in &at.spec.include {
            let name = &include.repository.name;
            if seen.contains(name) {
                continue;
            }
            seen.push(name.clone());
            let way = [&way[..], std::slice::from_ref(name)].concat();
            if name == own {
                ahead.push((repository.clone(), way));
            } else if let Ok(next) = self::other(context, repository, name).await {
                ahead.push((next, way));
            }
        }
    }
    Ok(())
}

/// Others come without a look of ours: it waits.
fn unavailable(context: &Context, reason: &'static str, message: String) -> Failure {
    let class = Class::Wait(context.options.requeue_dependency);
    Failure { kind: INCLUDE_UNAVAILABLE, reason, message, class }
}
