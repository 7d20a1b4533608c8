//! Keeps one `OCIRepository` fresh: which digest its tag, range or digest means, and the layer that
//! it selects.
//!
//! Source: fluxcd/source-controller internal/controller/ocirepository_controller.go.

use regex::Regex;

use super::access::{self, Problem};
use super::artifact;
use super::context::Context;
use super::settled::{Failure, NEW, Success};
use super::source::Looked;
use super::verification::{self, Asked, UNVERIFIED};
use crate::api::condition::{Conditions, SOURCE_VERIFIED};
use crate::api::{Artifact, OciReference, OciRepository, OciRepositorySpec, OciRepositoryStatus};
use crate::base::class::{Class, chain};
use crate::base::clock::rfc3339_seconds;
use crate::base::constraint::Constraint;
use crate::base::digest::Digest;
use crate::base::duration::GoDuration;
use crate::base::version::Version;
use crate::repo::oci::CHART;
use crate::repo::{ArtifactError, ArtifactPart, Content, LayerFiles, OciArtifact};
use crate::signature::Outcome;
use crate::source::oci::{Access, Reference};

/// Kind of the objects.
pub(super) const KIND: &str = "OCIRepository";

/// Reason where nobody knows which tag is meant.
const TAG_FAILED: &str = "ReadOperationFailed";
/// Reason where an artifact cannot be had.
const PULL_FAILED: &str = "OCIArtifactPullFailed";

/// What was found: its revision, and what is stored of it.
pub(super) struct Seen {
    revision: String,
    /// What came of the look at its signature; none: that was not asked for.
    outcome: Option<Outcome>,
    /// Its artifact, and the address of the newest one; none: what is stored is still right.
    new: Option<(Artifact, String)>,
}

/// Returns the repository that is meant and how it is asked.
pub(super) async fn place(
    context: &Context,
    repository: &OciRepository,
) -> Result<(Reference, Access), Problem> {
    access::supported(&repository.spec.unsupported())?;
    let url = &repository.spec.url;
    let invalid = |why: String| {
        let text = format!("URL validation failed for '{url}': {why}");
        ("URLInvalid", text, Class::Stalled)
    };
    let text = url
        .strip_prefix("oci://")
        .ok_or_else(|| invalid("URL must be in format 'oci://<domain>/<org>/<repo>'".to_owned()))?;
    let reference: Reference =
        text.parse().map_err(|error: crate::source::oci::Error| invalid(error.to_string()))?;
    if !reference.target.is_empty() {
        let tag = &reference.target;
        return Err(invalid(format!("URL must not contain a tag; remove ':{tag}'")));
    }
    let access = access::oci(&context.cluster, repository).await?;
    Ok((reference, access))
}

impl Looked for OciRepository {
    type Seen = Seen;

    fn interval(&self) -> Option<GoDuration> {
        self.spec.interval
    }

    async fn look(&self, context: &Context) -> Result<Seen, Failure> {
        let (at, access) = place(context, self).await.map_err(Failure::fetch)?;
        let url = &self.spec.url;
        let (revision, digest) = meant(context, self, (&at, &access)).await?;
        let outcome = verified(context, self, (&access, &at.with(digest.to_string()))).await?;
        let status = &self.status;
        let known = status.artifact.as_ref().is_some_and(|artifact| artifact.revision == revision);
        if known
            && status.observed_layer_selector == self.spec.layer_selector
            && status.observed_ignore == self.spec.ignore
            && artifact::is_served(context, self, &format!("{url}@{digest}")).await
        {
            return Ok(Seen { revision, outcome, new: None });
        }
        let at = at.with(digest.to_string());
        let layer = context.repositories.oci_artifact(&access, &at, part(&self.spec)).await;
        let (layer, bytes) = layer.map_err(|error| match error {
            ArtifactError::Layer(text) => {
                Failure::fetch(("OCIArtifactLayerOperationFailed", text, Class::Retry))
            }
            ArtifactError::Pull(error) => {
                unasked(PULL_FAILED, &format!("failed to pull artifact from '{url}'"), &error)
            }
        })?;
        let made = made(self, &revision, layer, rfc3339_seconds(context.clock.now()));
        let new = artifact::store::<Self>(context, made, Content::Bytes(bytes)).await?;
        Ok(Seen { revision, outcome, new: Some(new) })
    }

    fn said(
        &self,
        context: &Context,
        result: Result<Seen, Failure>,
    ) -> (OciRepositoryStatus, Result<Success, Failure>) {
        let mut status = self.status.clone();
        let (generation, now) = (self.metadata.generation, context.clock.now());
        let asked = self.spec.verify.is_some();
        let looked = result.as_ref().ok().filter(|_| asked);
        if looked.is_some() || !asked {
            let mut conditions = Conditions::new(&mut status.conditions, generation, now);
            let outcome = looked.and_then(|found| found.outcome.as_ref());
            let what =
                looked.map(|found| format!("revision {}", found.revision)).unwrap_or_default();
            verification::say(&mut conditions, outcome, &what);
        }
        let result = result.map(|Seen { revision, new, .. }| {
            if let Some((artifact, latest)) = new {
                (status.artifact, status.url) = (Some(artifact), latest);
                status.observed_layer_selector.clone_from(&self.spec.layer_selector);
                status.observed_ignore.clone_from(&self.spec.ignore);
            }
            let (url, origin) = (&self.spec.url, status.artifact.as_ref().map(origin));
            let origin = origin.unwrap_or_default();
            let told = format!("stored artifact with revision '{revision}' from '{url}'{origin}");
            let message = format!("stored artifact for digest '{revision}'");
            Success { reason: "Succeeded", message, news: NEW, told }
        });
        (status, result)
    }
}

/// Returns the revision that a tag, a range or a digest means now, and its digest.
async fn meant(
    context: &Context,
    repository: &OciRepository,
    (at, access): (&Reference, &Access),
) -> Result<(String, Digest), Failure> {
    let wanted = repository.spec.reference.clone().unwrap_or_default();
    let doing = format!("failed to determine the artifact tag for '{}'", repository.spec.url);
    if !wanted.digest.is_empty() {
        let digest: Digest = wanted.digest.parse().map_err(|error| {
            Failure::fetch((TAG_FAILED, format!("{doing}: {error}"), Class::Stalled))
        })?;
        return Ok((digest.to_string(), digest));
    }
    let tag = if wanted.semver.is_empty() {
        Ok(if wanted.tag.is_empty() { "latest".to_owned() } else { wanted.tag })
    } else {
        let tags = context.repositories.oci_tags(access, at).await;
        let tags = tags.map_err(|error| unasked(TAG_FAILED, &doing, &error))?;
        choose(&tags, &wanted, is_chart(repository))
    };
    let tag =
        tag.map_err(|why| Failure::fetch((TAG_FAILED, format!("{doing}: {why}"), Class::Retry)))?;
    let digest = context.repositories.oci_digest(access, &at.with(tag.as_str())).await;
    let doing = "failed to determine artifact digest";
    let digest = digest.map_err(|error| unasked(PULL_FAILED, doing, &error))?;
    Ok((format!("{tag}@{digest}"), digest))
}

/// Says that the registry could not be asked.
fn unasked(reason: &'static str, doing: &str, error: &crate::repo::Error) -> Failure {
    Failure::fetch((reason, format!("{doing}: {}", chain(error)), error.class()))
}

/// Returns what of an artifact is taken.
pub(super) fn part(spec: &OciRepositorySpec) -> ArtifactPart<'_> {
    let media_type = spec.layer_selector.as_ref().map_or("", |selector| &selector.media_type);
    let files = match spec.is_copied() {
        true => LayerFiles::All,
        false => LayerFiles::Kept(spec.ignore.as_deref()),
    };
    ArtifactPart { media_type, files }
}

/// Verifies a manifest, which is named by its digest, if that is asked for.
///
/// # Errors
/// What a condition would say.
pub(super) async fn verified(
    context: &Context,
    repository: &OciRepository,
    (access, at): (&Access, &Reference),
) -> Result<Option<Outcome>, Failure> {
    let Some(verify) = &repository.spec.verify else { return Ok(None) };
    let asked = Asked { namespace: &repository.metadata.namespace, verify };
    asked.check(context, access, at).await.map(Some).map_err(|error| Failure {
        kind: SOURCE_VERIFIED,
        reason: UNVERIFIED,
        message: format!(
            "failed to verify the signature using provider '{}': {}",
            verify.kind(),
            error.text
        ),
        class: error.class,
    })
}

/// Whether the artifact is a chart as Helm pushes it, in whose tags `_` stands for `+`.
fn is_chart(repository: &OciRepository) -> bool {
    let selector = repository.spec.layer_selector.as_ref();
    selector.is_some_and(|selector| selector.media_type == CHART)
}

/// Chooses the highest of the tags that are versions, pass the filter and satisfy the range.
fn choose(tags: &[String], wanted: &OciReference, is_chart: bool) -> Result<String, String> {
    let constraint: Constraint = wanted
        .semver
        .parse()
        .map_err(|error| format!("semver '{}' parse error: {error}", wanted.semver))?;
    let filter = match wanted.semver_filter.as_str() {
        "" => None,
        text => Some(Regex::new(text).map_err(|error| format!("semverFilter '{text}': {error}"))?),
    };
    let passes = |tag: &&String| filter.as_ref().is_none_or(|filter| filter.is_match(tag));
    // Three parts are needed, a leading `v` is fine.
    let version = |tag: &String| {
        let text = if is_chart { tag.replace('_', "+") } else { tag.clone() };
        let whole = text.matches('.').count() >= 2;
        whole.then(|| text.parse::<Version>().ok()).flatten()
    };
    let fits = |tag: &String| {
        let version = version(tag).filter(|version| constraint.matches(version))?;
        Some((version, tag.clone()))
    };
    let versions = tags.iter().filter(passes).filter_map(fits);
    let highest = versions.reduce(|best, next| if next.0 > best.0 { next } else { best });
    let none = || format!("no match found for semver: {}", wanted.semver);
    highest.map(|(_, tag)| tag).ok_or_else(none)
}

/// Says where an artifact was made, if it says so in full.
fn origin(artifact: &Artifact) -> String {
    let of = |name: &str| artifact.metadata.get(&format!("org.opencontainers.image.{name}"));
    match (of("source"), of("revision")) {
        (Some(source), Some(revision)) if !source.is_empty() && !revision.is_empty() => {
            format!(", origin source '{source}', origin revision '{revision}'")
        }
        _ => String::new(),
    }
}

fn made(repository: &OciRepository, revision: &str, layer: OciArtifact, time: String) -> Artifact {
    let digest = layer.digest.to_string();
    Artifact {
        path: artifact::path::<OciRepository>(&repository.metadata, &format!("{digest}.tar.gz")),
        url: format!("{}@{}", repository.spec.url, layer.manifest),
        revision: revision.to_owned(),
        digest,
        last_update_time: time,
        size: layer.size,
        metadata: layer.annotations,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_an_artifact_was_made_is_said_in_full_or_not() {
        let rows: &[(&[(&str, &str)], &str)] = &[
            (&[], ""),
            (&[("source", "https://g.example/a")], ""),
            (&[("revision", "main@sha1:1")], ""),
            (&[("source", "https://g.example/a"), ("revision", "")], ""),
            (
                &[("source", "https://g.example/a"), ("revision", "main@sha1:1")],
                ", origin source 'https://g.example/a', origin revision 'main@sha1:1'",
            ),
        ];
        for (annotations, want) in rows {
            let named = |(name, value): &(&str, &str)| {
                (format!("org.opencontainers.image.{name}"), (*value).to_owned())
            };
            let metadata = annotations.iter().map(named).collect();
            assert_eq!(origin(&Artifact { metadata, ..Artifact::default() }), *want);
        }
    }

    #[test]
    fn the_highest_fitting_tag_is_chosen() {
        let tags =
            ["1.0.0", "v1.2.0", "1.10.0", "2.0.0-rc.1", "latest", "3", "1.11.0-arm", "1.2.1_b"];
        let tags = tags.map(str::to_owned);
        let rows = [
            ("*", "", Ok("1.10.0")),
            ("1.2.x", "", Ok("1.2.1_b")),
            ("1.2.0", "", Ok("v1.2.0")),
            (">=1.0.0-0", "", Ok("2.0.0-rc.1")),
            (">=1.0.0-0", "-arm$", Ok("1.11.0-arm")),
            ("3.x", "", Err("no match found for semver: 3.x")),
            ("nonsense", "", Err("semver 'nonsense' parse error: ")),
            ("*", "(", Err("semverFilter '('")),
        ];
        for (semver, filter, want) in rows {
            let wanted = OciReference {
                semver: semver.to_owned(),
                semver_filter: filter.to_owned(),
                ..OciReference::default()
            };
            match (choose(&tags, &wanted, true), want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want, "{semver}"),
                (Err(got), Err(want)) => assert!(got.starts_with(want), "{got}"),
                (got, _) => panic!("{semver}: {got:?}"),
            }
        }
    }
}
