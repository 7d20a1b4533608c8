//! `spec.chartRef`: a release whose chart is the artifact of an `ExternalArtifact`, which another
//! controller makes and serves.
//!
//! Source: fluxcd/helm-controller internal/controller/helmrelease_controller.go (`getSource`,
//! `mutateChartWithSourceRevision`), internal/loader.

use std::sync::Arc;

use super::chart_ref::{self, Chosen, Numbered, UNNUMBERED, decided, not_ready, numbered};
use super::context::Context;
use super::memory::Memory;
use super::named_chart;
use super::prerequisite::Problem;
use super::tree_chart::Origin;
use crate::api::{Artifact, ExternalArtifact, HelmRelease, SourceRef};
use crate::base::class::{Class, chain};
use crate::base::secret::SafeUrl;
use crate::base::version::Version;
use crate::policy::{Candidate, Verdict};
use crate::repo::Pulled;

/// Kind of the objects.
pub(super) const KIND: &str = "ExternalArtifact";

/// Returns the one that a release names, if it has an artifact: no more is asked of it.
pub(super) async fn source(
    context: &Context,
    release: &HelmRelease,
    named: (&str, &SourceRef),
) -> Result<ExternalArtifact, Problem> {
    let source: ExternalArtifact = chart_ref::named(context, release, named, KIND).await?;
    match source.status.artifact {
        Some(_) => Ok(source),
        None => Err(away(&source, "does not have an artifact")),
    }
}

fn away(source: &ExternalArtifact, text: &str) -> Problem {
    not_ready((KIND, &source.metadata.key().to_string()), text)
}

/// Chooses the artifact, or a version that ran before where a rule says so.
pub(super) async fn choose(
    context: &Context,
    (release, source): (&HelmRelease, &ExternalArtifact),
    config_digest: &str,
    memory: &mut Memory,
) -> Result<Chosen, Problem> {
    let artifact = source.status.artifact.clone().unwrap_or_default();
    let pulled = pull(context, &artifact).await?;
    let failed = |why: String| Problem::new(UNNUMBERED, why, Class::Retry);
    let newest = called(&pulled.chart.metadata.version, &artifact.revision).map_err(failed)?;
    let version: Version =
        newest.version.parse().map_err(|error| failed(format!("{}: {error}", newest.version)))?;
    let constraint = source.metadata.key().to_string();
    memory.forgive(&constraint, config_digest);
    let candidates = [Candidate { text: newest.version.clone(), version }];
    // What its keeper puts there is somebody's wish, also where it leads back.
    let decision = decided(release, &candidates, (true, &memory.quarantine))?;
    let chosen = match &decision.verdict {
        Verdict::Run(wanted) => wanted.clone(),
        Verdict::Nothing => newest.version.clone(),
    };
    let (pulled, oci_digest) = if chosen == newest.version {
        (pulled, newest.digest)
    } else {
        let before = named_chart::before(context, memory, &chosen);
        let (pulled, _) = before.map_err(|text| away(source, &text))?;
        let ran = release.status.history.iter().find(|entry| entry.chart_version == chosen);
        (pulled, ran.map(|entry| entry.oci_digest.clone()).unwrap_or_default())
    };
    let digest = pulled.digest.to_string();
    let origin = Origin { digest, wish: constraint.clone(), ..Origin::default() };
    memory.comes_from(&release.status.history, Some((chosen.clone(), origin)));
    let mut chart = (*pulled.chart).clone();
    chart.metadata.version = chosen;
    let pulled = Pulled { digest: pulled.digest, chart: Arc::new(chart) };
    Ok(Chosen { pulled, decision, constraint, oci_digest })
}

async fn pull(context: &Context, artifact: &Artifact) -> Result<Pulled, Problem> {
    let failed = |text: String, class| {
        Problem::new("ArtifactFailed", format!("Could not load chart: {text}"), class)
    };
    let url: SafeUrl =
        artifact.url.parse().map_err(|error| failed(format!("{error}"), Class::Stalled))?;
    let pulled = context.repositories.pull_served(&url, &artifact.digest).await;
    pulled.map_err(|error| failed(chain(&error), error.class()))
}

/// Returns how a chart is called, and the digest that is recorded with it: where its revision has one,
/// that is a part of the version.
fn called(chart_version: &str, revision: &str) -> Result<Numbered, String> {
    if revision.contains(':') {
        return numbered(chart_version, revision);
    }
    Ok(Numbered { version: chart_version.to_owned(), digest: String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows are those of Flux's test of this kind (`R36` of its table).
    #[test]
    fn a_revision_with_a_digest_is_a_part_of_the_version() {
        let hex = "0cc9a8446c95009ef382f5eade883a67c257f77d50f84e78ecef2aac9428d1e5";
        let rows = [
            ("1.0.0", "1.0.0", Ok(("1.0.0", ""))),
            ("1.0.0", "2.0.0", Ok(("1.0.0", ""))),
            ("1.0.0", "latest@sha256:H", Ok(("1.0.0+0cc9a8446c95", "latest@sha256:H"))),
            ("1.0.0", "sha256:H", Ok(("1.0.0+0cc9a8446c95", "sha256:H"))),
            ("1.0.0", "1.0.0@sha256:H", Ok(("1.0.0+0cc9a8446c95", "sha256:H"))),
            (
                "1.0.0",
                "2.0.0@sha256:H",
                Err("artifact revision 2.0.0 does not match chart version 1.0.0"),
            ),
            ("1.0.0", "sha256:12", Err("invalid artifact revision sha256:12")),
        ];
        for (version, revision, want) in rows {
            let got = called(version, &revision.replace('H', hex));
            let want = want.map(|(version, digest)| Numbered {
                version: version.to_owned(),
                digest: digest.replace('H', hex),
            });
            assert_eq!(got, want.map_err(str::to_owned), "{version} {revision}");
        }
    }
}
