//! `spec.chartRef`: a release whose chart is the artifact of an `OCIRepository`.
//!
//! Source: fluxcd/helm-controller internal/controller/helmrelease_controller.go (`getSource`,
//! `mutateChartWithSourceRevision`), api/v2.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::context::Context;
use super::memory::Memory;
use super::prerequisite::Problem;
use super::source::{Said as _, Source};
use super::{history, oci_repository};
use crate::api::annotation::{HOLD, PIN};
use crate::api::condition::{self, READY, STALLED, Truth};
use crate::api::crd::HELM_REPOSITORY_API;
use crate::api::{HelmRelease, OciRepository, SourceRef};
use crate::base::class::{Class, chain};
use crate::base::name::NamespacedName;
use crate::base::version::Version;
use crate::cluster::ObjectId;
use crate::policy::{Candidate, Decision, Quarantine, Rules, Seen, Verdict, decide};
use crate::repo::Pulled;
use crate::source::oci::{Access, Reference};

/// The field that names an existing source.
pub(super) const FIELD: &str = "chartRef";
/// Reason where a version and the revision of its source do not fit.
pub(super) const UNNUMBERED: &str = "ChartMutateError";
/// As many digits of the digest are a part of the version.
const DIGITS: usize = 12;

/// The chart of a release, and why this one.
pub(super) struct Chosen {
    pub(super) pulled: Pulled,
    pub(super) decision: Decision,
    pub(super) constraint: String,
    pub(super) oci_digest: String,
}

/// A version, and the digest that is recorded with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Numbered {
    pub(super) version: String,
    pub(super) digest: String,
}

/// Says that a source, given by kind and name, cannot be used now.
pub(super) fn not_ready((kind, name): (&str, &str), text: &str) -> Problem {
    let text = format!("{kind} '{name}' is not ready: {text}");
    Problem::new("SourceNotReady", text, Class::Retry).waiting()
}

/// Says that a source cannot be used now.
fn away<T: Source>(source: &T, text: &str) -> Problem {
    not_ready((T::KIND, &source.meta().key().to_string()), text)
}

/// Checks that a source is ready.
fn check_ready<T: Source>(source: &T) -> Result<(), Problem> {
    let mut status = source.status().clone();
    let said = status.parts();
    let find = |kind| condition::find(said.conditions, kind);
    if *said.observed_generation != source.meta().generation {
        let failed = find(READY).filter(|ready| ready.status == Truth::False);
        let text = "latest generation of object has not been reconciled";
        return Err(away(source, failed.map_or(text, |ready| &ready.message)));
    }
    if let Some(stalled) = find(STALLED).filter(|stalled| stalled.status == Truth::True) {
        return Err(away(source, &stalled.message));
    }
    if said.artifact.is_none() {
        return Err(away(source, "does not have an artifact"));
    }
    Ok(())
}

/// Decides among candidates by the rules of a release: whether a step back was asked for, and what
/// is quarantined.
pub(super) fn decided(
    release: &HelmRelease,
    candidates: &[Candidate],
    (constraint_changed, quarantine): (bool, &Quarantine),
) -> Result<Decision, Problem> {
    let rules = Rules {
        pin: release.metadata.annotation(PIN).filter(|pin| !pin.is_empty()),
        hold: release.metadata.annotation(HOLD),
    };
    let newest = history::newest_good(&release.status.history);
    let deployed = newest.map(|entry| entry.chart_version.as_str());
    let decision = decide(candidates, rules, &Seen { deployed, constraint_changed, quarantine });
    if decision.verdict == Verdict::Nothing {
        let held: Vec<_> =
            decision.held.iter().map(|h| format!("{} ({})", h.version, h.reason)).collect();
        let text = format!("no version may be installed: {}", held.join("; "));
        return Err(Problem::new("VersionHeld", text, Class::Stalled).stalled());
    }
    Ok(decision)
}

/// Says that a source is not there: as Flux, whose releases read what `chartRef` names themselves.
fn missing(kind: &str, key: &NamespacedName, field: &str) -> Problem {
    let problem = if field == FIELD {
        let text = format!(
            "could not get Source object: {kind}.source.toolkit.fluxcd.io \"{}\" not found",
            key.name
        );
        Problem::new("ArtifactFailed", text, Class::Stalled).waiting()
    } else {
        not_ready(
            (kind, &key.to_string()),
            &format!("it does not exist; create it or correct {field}"),
        )
    };
    Problem { class: Class::Stalled, ..problem }
}

/// Returns the object that a release names in this field.
pub(super) async fn named<T: DeserializeOwned>(
    context: &Context,
    release: &HelmRelease,
    (field, reference): (&str, &SourceRef),
    kind: &'static str,
) -> Result<T, Problem> {
    let own = &release.metadata.namespace;
    let namespace = if reference.namespace.is_empty() { own } else { &reference.namespace };
    let key = NamespacedName::new(namespace, &reference.name);
    let id = ObjectId::new(HELM_REPOSITORY_API, kind, &key.namespace, &key.name);
    let found = context.cluster.get(&id).await.map_err(|error| {
        let text = format!("could not get Source object: {error}");
        Problem::new("ArtifactFailed", text, error.class())
    })?;
    let Some(found) = found else {
        return Err(missing(kind, &key, field));
    };
    serde_json::from_value(found.0)
        .map_err(|error| not_ready((kind, &key.to_string()), &error.to_string()))
}

/// Returns the source that a release names in this field, if it is ready.
pub(super) async fn source<T: Source>(
    context: &Context,
    release: &HelmRelease,
    named: (&str, &SourceRef),
) -> Result<T, Problem> {
    let source: T = self::named(context, release, named, T::KIND).await?;
    check_ready(&source)?;
    Ok(source)
}

/// Chooses the artifact, or a version that ran before where a rule says so.
pub(super) async fn choose(
    context: &Context,
    (release, source): (&HelmRelease, &OciRepository),
    config_digest: &str,
    memory: &mut Memory,
) -> Result<Chosen, Problem> {
    let revision = source.status.artifact.as_ref().map_or("", |artifact| &artifact.revision);
    let place = oci_repository::place(context, source).await;
    let (at, access) = place.map_err(|(_, text, _)| away(source, &text))?;
    let pulled = pull(context, source, (&at, &access), revision).await?;
    let numbered = numbered(&pulled.chart.metadata.version, revision)
        .map_err(|why| Problem::new(UNNUMBERED, why, Class::Retry))?;
    let constraint = constraint(source);
    memory.forgive(&constraint, config_digest);
    let version: Version = numbered.version.parse().map_err(|error| {
        Problem::new("ArtifactFailed", format!("{}: {error}", numbered.version), Class::Retry)
    })?;
    let candidates = [Candidate { text: numbered.version.clone(), version }];
    let changed = memory.constraint != constraint;
    let decision = decided(release, &candidates, (changed, &memory.quarantine))?;
    let wanted = match &decision.verdict {
        Verdict::Run(wanted) => wanted,
        Verdict::Nothing => &numbered.version,
    };
    let (pulled, numbered) = if *wanted == numbered.version {
        (pulled, numbered)
    } else {
        before(context, (release, source), (&at, &access), wanted).await?
    };
    let mut chart = (*pulled.chart).clone();
    chart.metadata.version = numbered.version;
    let pulled = Pulled { digest: pulled.digest, chart: Arc::new(chart) };
    Ok(Chosen { pulled, decision, constraint, oci_digest: numbered.digest })
}

/// Returns a version that ran before, by the digest that was recorded then.
async fn before(
    context: &Context,
    (release, source): (&HelmRelease, &OciRepository),
    place: (&Reference, &Access),
    wanted: &str,
) -> Result<(Pulled, Numbered), Problem> {
    let history = &release.status.history;
    let known = |entry: &&crate::api::Snapshot| {
        entry.chart_version == wanted && !entry.oci_digest.is_empty()
    };
    let Some(entry) = history.iter().find(known) else {
        let text = format!("version {wanted} is not the artifact's, and no digest of it is known");
        return Err(away(source, &text));
    };
    let at = place.0.with(entry.oci_digest.rsplit('@').next().unwrap_or_default());
    let verified = oci_repository::verified(context, source, (place.1, &at)).await;
    verified.map_err(|failure| away(source, &failure.message))?;
    let pulled = pull(context, source, place, &entry.oci_digest).await?;
    let (version, digest) = (wanted.to_owned(), entry.oci_digest.clone());
    Ok((pulled, Numbered { version, digest }))
}

async fn pull(
    context: &Context,
    source: &OciRepository,
    (at, access): (&Reference, &Access),
    revision: &str,
) -> Result<Pulled, Problem> {
    let digest = revision.rsplit('@').next().unwrap_or_default();
    let (repositories, part) = (&context.repositories, oci_repository::part(&source.spec));
    let pulled = repositories.pull_artifact(access, &at.with(digest), part).await;
    pulled.map_err(|error| {
        let text = format!("Could not load chart: {}", chain(&error));
        Problem::new("ArtifactFailed", text, error.class())
    })
}

/// What a person wants of the source: a step back that comes from a change of it is a wish.
fn constraint(source: &OciRepository) -> String {
    let reference = source.spec.reference.clone().unwrap_or_default();
    let wanted = serde_json::to_string(&reference).unwrap_or_default();
    format!("{} {wanted}", source.spec.url)
}

/// Returns the version of a chart with the digest of its artifact as build metadata, and the digest
/// that is recorded.
pub(super) fn numbered(chart_version: &str, revision: &str) -> Result<Numbered, String> {
    let invalid = |_| format!("invalid chart version {chart_version}");
    let version: Version = chart_version.parse().map_err(invalid)?;
    let by_tag = revision.split_once('@');
    let tagged = by_tag.and_then(|(tag, digest)| {
        let tagged: Version = tag.replace('_', "+").parse().ok()?;
        Some((tag, tagged, digest))
    });
    let digest = match tagged {
        Some((tag, tagged, _)) if tagged.cmp(&version).is_ne() => {
            return Err(format!(
                "artifact revision {tag} does not match chart version {chart_version}"
            ));
        }
        Some((_, _, digest)) => digest,
        None => revision,
    };
    let wrong = || format!("invalid artifact revision {revision}");
    let (_, hex) =
        revision.split_once(':').filter(|(_, hex)| !hex.contains(':')).ok_or_else(wrong)?;
    let build = hex.get(..DIGITS).ok_or_else(wrong)?;
    let version = version.with_build(build).map_err(|_| wrong())?;
    let version = version.original().trim_start_matches('v').to_owned();
    Ok(Numbered { version, digest: digest.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_carry_the_digest() {
        let hex = "0cc9a8446c95009ef382f5eade883a67c257f77d50f84e78ecef2aac9428d1e5";
        let rows = [
            ("6.6.1", "6.6.1@sha256:H", Ok(("6.6.1+0cc9a8446c95", "sha256:H"))),
            (
                "v6.6.1+a",
                "6.6@sha256:H",
                Err("artifact revision 6.6 does not match chart version v6.6.1+a"),
            ),
            ("6.6.1+a", "v6.6.1_b@sha256:H", Ok(("6.6.1+0cc9a8446c95", "sha256:H"))),
            ("v1.0.0-rc.1", "latest@sha256:H", Ok(("1.0.0-rc.1+0cc9a8446c95", "latest@sha256:H"))),
            ("1.0.0", "sha256:H", Ok(("1.0.0+0cc9a8446c95", "sha256:H"))),
            ("1.0.0", "sha256:0123", Err("invalid artifact revision sha256:0123")),
            ("1.0.0", "latest", Err("invalid artifact revision latest")),
            ("one", "latest@sha256:H", Err("invalid chart version one")),
            (
                "2.0.0",
                "1.0.0@sha256:H",
                Err("artifact revision 1.0.0 does not match chart version 2.0.0"),
            ),
        ];
        for (version, revision, want) in rows {
            let got = numbered(version, &revision.replace('H', hex));
            let want = want.map(|(version, digest)| Numbered {
                version: version.to_owned(),
                digest: digest.replace('H', hex),
            });
            assert_eq!(got, want.map_err(str::to_owned), "{version} {revision}");
        }
    }
}
