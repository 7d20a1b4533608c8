//! `spec.chartRef`: a release whose chart is the artifact of a `HelmChart`.
//!
//! Source: fluxcd/helm-controller internal/controller/helmrelease_controller.go (`getSource`).

use super::chart_ref::{Chosen, decided, not_ready};
use super::context::Context;
use super::helm_chart::{self, KIND};
use super::memory::Memory;
use super::prerequisite::Problem;
use super::tree_chart::Origin;
use crate::api::{ChartSpec, HelmChart, HelmRelease};
use crate::base::class::Class;
use crate::base::digest::Digest;
use crate::policy::{Candidate, Verdict};
use crate::repo::Pulled;

/// Chooses the artifact, or a version that ran before where a rule says so.
pub(super) async fn choose(
    context: &Context,
    (release, source): (&HelmRelease, &HelmChart),
    config_digest: &str,
    memory: &mut Memory,
) -> Result<Chosen, Problem> {
    let away = |text: &str, class| {
        let name = source.metadata.key().to_string();
        Problem { class, ..not_ready((KIND, &name), text) }
    };
    let artifact = source.status.artifact.clone().unwrap_or_default();
    let version = artifact.revision.parse().map_err(|_| {
        let text = format!("invalid chart version {}", artifact.revision);
        Problem::new("ArtifactFailed", text, Class::Retry)
    })?;
    let candidates = [Candidate { text: artifact.revision.clone(), version }];
    let constraint = constraint(source);
    memory.forgive(&constraint, config_digest);
    // A commit is somebody's wish, also where it leads back; an index is not.
    let changed = source.spec.chart.source_ref.is_files() || memory.constraint != constraint;
    let decision = decided(release, &candidates, (changed, &memory.quarantine))?;
    let chosen = match &decision.verdict {
        Verdict::Run(wanted) => wanted.clone(),
        Verdict::Nothing => artifact.revision.clone(),
    };
    let (pulled, digest) = if chosen == artifact.revision {
        let pulled = helm_chart::pull(context, source).await;
        (pulled.map_err(|failure| away(&failure.message, failure.class))?, artifact.digest)
    } else {
        before(context, memory, &chosen).map_err(|text| away(&text, Class::Retry))?
    };
    let origin = Origin { digest, wish: constraint.clone(), ..Origin::default() };
    memory.comes_from(&release.status.history, Some((chosen, origin)));
    Ok(Chosen { pulled, decision, constraint, oci_digest: String::new() })
}

/// Returns a version that ran before, by the digest of its archive.
pub(super) fn before(
    context: &Context,
    memory: &Memory,
    version: &str,
) -> Result<(Pulled, String), String> {
    let unknown =
        || format!("version {version} is not its artifact, and no archive is known that had it");
    let text = &memory.origins.get(version).ok_or_else(unknown)?.digest;
    let digest: Digest = text.parse().map_err(|_| unknown())?;
    let pulled = context.repositories.by_digest(&digest);
    let lost = || {
        format!(
            "version {version} is not its artifact, and its archive is not in the cache any more"
        )
    };
    Ok((pulled.ok_or_else(lost)?, text.clone()))
}

/// What a person wants of the chart: a step back that comes from a change of it is a wish.
fn constraint(source: &HelmChart) -> String {
    let ChartSpec { chart, version, source_ref, .. } = &source.spec.chart;
    let version = version.as_deref().unwrap_or("*");
    format!("{} {chart} {version} {} {}", source.metadata.key(), source_ref.kind, source_ref.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_of_what_decides_the_version() {
        let chart = |version: Option<&str>| {
            let mut chart = HelmChart::default();
            chart.metadata.name = "web".to_owned();
            chart.metadata.namespace = "shop".to_owned();
            chart.spec.chart.chart = "web".to_owned();
            chart.spec.chart.version = version.map(str::to_owned);
            chart.spec.chart.source_ref.kind = "HelmRepository".to_owned();
            chart.spec.chart.source_ref.name = "all".to_owned();
            chart
        };
        assert_eq!(constraint(&chart(None)), "shop/web web * HelmRepository all");
        assert_ne!(constraint(&chart(Some("1.x"))), constraint(&chart(None)));
        let mut other = chart(None);
        other.spec.chart.interval = "5m".parse().ok();
        other.metadata.generation = 7;
        assert_eq!(constraint(&other), constraint(&chart(None)));
    }
}
