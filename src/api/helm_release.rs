//! `HelmRelease`: which chart, which versions, which values, and what to do when it fails.

use serde::{Deserialize, Serialize};

use super::verification::Verification;
use super::{CommonMetadata, HelmReleaseStatus, Meta, PostRenderStrategy, PostRenderer};
use crate::base::duration::GoDuration;
use crate::yaml::{Map, Value};

/// A `helm.toolkit.fluxcd.io/v2` `HelmRelease`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct HelmRelease {
    /// Name and bookkeeping.
    pub metadata: Meta,
    /// What the user wants.
    pub spec: HelmReleaseSpec,
    /// What was seen.
    pub status: HelmReleaseStatus,
}

/// What the user wants of a release. Defaults of absent fields are given by methods, so that
/// "absent" and "written out" can be told apart.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HelmReleaseSpec {
    /// The chart.
    pub chart: Option<ChartTemplate>,
    /// An existing source object instead.
    pub chart_ref: Option<SourceRef>,
    /// How often the release is looked at.
    pub interval: Option<GoDuration>,
    /// Access to another cluster.
    pub kube_config: Option<KubeConfigReference>,
    /// Nothing is done while set.
    pub suspend: bool,
    /// Helm release name.
    pub release_name: String,
    /// Namespace of the objects.
    pub target_namespace: String,
    /// Namespace of the records.
    pub storage_namespace: String,
    /// Releases that must be ready first.
    pub depends_on: Vec<Dependency>,
    /// Limit of each action.
    pub timeout: Option<GoDuration>,
    /// Revisions kept (5 when absent; 0 keeps all).
    pub max_history: Option<u32>,
    /// Account to act as.
    pub service_account_name: String,
    /// Drift detection.
    pub drift_detection: DriftDetection,
    /// Install options.
    pub install: Install,
    /// Upgrade options.
    pub upgrade: Upgrade,
    /// Chart tests.
    pub test: Test,
    /// Rollback options.
    pub rollback: Rollback,
    /// Uninstall options.
    pub uninstall: Uninstall,
    /// Values from ConfigMaps and Secrets.
    pub values_from: Vec<ValuesReference>,
    /// Inline values.
    pub values: Option<Map>,
    /// Labels and annotations for every object.
    pub common_metadata: Option<CommonMetadata>,
    /// Post-renderers.
    pub post_renderers: Option<Vec<PostRenderer>>,
    /// Whether hooks are post-rendered.
    pub post_render_strategy: PostRenderStrategy,
    /// How readiness is awaited.
    pub wait_strategy: Option<Map>,
    /// Readiness of custom resources.
    pub health_check_exprs: Vec<HealthCheckExpr>,
}

/// `spec.chart`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ChartTemplate {
    /// The chart.
    pub spec: ChartSpec,
}

/// `spec.chart.spec`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ChartSpec {
    /// Name of the chart in its repository.
    pub chart: String,
    /// Constraint (`*` when absent).
    pub version: Option<String>,
    /// Where it comes from.
    pub source_ref: SourceRef,
    /// How often the version is resolved.
    pub interval: Option<GoDuration>,
    /// Of a chart in Git: whether each commit counts (`Revision`), or each version of the chart.
    pub reconcile_strategy: String,
    /// Values files whose merged values become the chart's own; of a chart in Git by their paths
    /// in the repository.
    pub values_files: Vec<String>,
    /// Whether those that are not there are passed over.
    pub ignore_missing_values_files: bool,
    /// Whose signature is needed.
    pub verify: Option<Verification>,
}

/// A reference to a source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SourceRef {
    /// `HelmRepository`, `GitRepository` or `Bucket`; in `chartRef` `OCIRepository`, `HelmChart` or
    /// `ExternalArtifact`.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Namespace (the release's when absent).
    pub namespace: String,
}

impl SourceRef {
    /// Whether it names a source of files, which somebody keeps: a `GitRepository` or a `Bucket`.
    pub fn is_files(&self) -> bool {
        matches!(self.kind.as_str(), "GitRepository" | "Bucket")
    }
}

/// A release that must be ready first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Dependency {
    /// Name.
    pub name: String,
    /// Namespace (the release's when absent).
    pub namespace: String,
    /// CEL expression instead of `Ready`.
    pub ready_expr: String,
}

/// `spec.driftDetection`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct DriftDetection {
    /// What to do about drift.
    pub mode: DriftMode,
    /// What is not looked at.
    pub ignore: Vec<DriftIgnore>,
}

/// What to do about drift.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DriftMode {
    /// Correct it.
    Enabled,
    /// Say so.
    Warn,
    /// Do not look.
    #[default]
    #[serde(other)]
    Disabled,
}

/// A rule of what drift detection leaves out.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct DriftIgnore {
    /// JSON pointers; an empty one means the whole object.
    pub paths: Vec<String>,
    /// Which objects (all when absent).
    pub target: Option<Selector>,
}

/// Which objects a rule means. Texts are anchored regular expressions; empty matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Selector {
    /// API group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// API version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Kind.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Annotation selector.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub annotation_selector: String,
    /// Label selector.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub label_selector: String,
}

/// `spec.kubeConfig`: access to another cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KubeConfigReference {
    /// The Secret that holds a kubeconfig.
    pub secret_ref: Option<KubeConfigSecret>,
    /// The ConfigMap that says where the cluster is and whose tokens it takes.
    pub config_map_ref: Option<KubeConfigMap>,
}

/// A ConfigMap that says where a cluster is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct KubeConfigMap {
    /// Name of the ConfigMap, in the namespace of the release.
    pub name: String,
}

/// A key of a Secret that holds a kubeconfig.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct KubeConfigSecret {
    /// Name of the Secret, in the namespace of the release.
    pub name: String,
    /// Key in it; empty: `value`, or else `value.yaml`.
    pub key: String,
}

/// `spec.install`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "the CRD's fields, as they are")]
pub struct Install {
    /// Limit of the action.
    pub timeout: Option<GoDuration>,
    /// What to do after a failure.
    pub strategy: Option<Strategy>,
    /// Remediation.
    pub remediation: Option<Remediation>,
    /// Refuse objects that exist already.
    pub disable_take_ownership: bool,
    /// Do not wait for readiness.
    pub disable_wait: bool,
    /// Do not wait for Jobs.
    pub disable_wait_for_jobs: bool,
    /// Run no hooks.
    pub disable_hooks: bool,
    /// Do not check values against the schema.
    pub disable_schema_validation: bool,
    /// Install over an uninstalled record.
    pub replace: bool,
    /// Create the target namespace.
    #[serde(rename = "createNamespace")]
    pub create_namespace: bool,
    /// What to do with `crds/`.
    pub crds: Option<CrdPolicy>,
    /// Apply on the server (true when absent).
    pub server_side_apply: Option<bool>,
}

/// `spec.upgrade`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "the CRD's fields, as they are")]
pub struct Upgrade {
    /// Limit of the action.
    pub timeout: Option<GoDuration>,
    /// What to do after a failure.
    pub strategy: Option<Strategy>,
    /// Remediation.
    pub remediation: Option<Remediation>,
    /// Refuse new objects that exist already.
    pub disable_take_ownership: bool,
    /// Do not wait for readiness.
    pub disable_wait: bool,
    /// Do not wait for Jobs.
    pub disable_wait_for_jobs: bool,
    /// Run no hooks.
    pub disable_hooks: bool,
    /// Do not check values against the schema.
    pub disable_schema_validation: bool,
    /// Replace objects instead of patching them.
    pub force: bool,
    /// Merge over the values of the last revision.
    pub preserve_values: bool,
    /// Delete new objects when it fails.
    pub cleanup_on_fail: bool,
    /// What to do with `crds/`.
    pub crds: Option<CrdPolicy>,
    /// Apply on the server (as before when absent).
    pub server_side_apply: ServerSideApply,
    /// What a new chart name means: `Reinstall` (when absent) or `InPlaceUpdate`.
    pub chart_name_change_strategy: Option<String>,
}

impl Upgrade {
    /// Whether a chart of another name is taken for a newer version of the old one.
    pub fn takes_another_chart(&self) -> bool {
        self.chart_name_change_strategy.as_deref() == Some("InPlaceUpdate")
    }
}

/// Who computes what changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ServerSideApply {
    /// The server.
    Enabled,
    /// The client.
    Disabled,
    /// Who did before.
    #[default]
    #[serde(other)]
    Auto,
}

/// What to do after a failure.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Strategy {
    /// Which.
    pub name: StrategyName,
    /// Pause before the next try (5m when absent).
    #[serde(default)]
    pub retry_interval: Option<GoDuration>,
}

/// Name of a [`Strategy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum StrategyName {
    /// Roll back or uninstall, then perhaps try again.
    RemediateOnFailure,
    /// Try again after an interval, never remediate.
    RetryOnFailure,
}

/// Remediation after failures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Remediation {
    /// Further tries; negative: without end.
    pub retries: i64,
    /// Whether failed tests count.
    pub ignore_test_failures: Option<bool>,
    /// Whether the last failure is remediated too.
    pub remediate_last_failure: Option<bool>,
    /// How (upgrades only; rollback when absent).
    pub strategy: Option<RemediationStrategy>,
}

/// How a failed upgrade is remediated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RemediationStrategy {
    /// Back to the previous revision.
    Rollback,
    /// Remove, then install again.
    Uninstall,
}

/// What to do with the objects of `crds/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CrdPolicy {
    /// Nothing.
    Skip,
    /// Create what is missing.
    Create,
    /// Create what is missing, replace what is there.
    CreateReplace,
}

/// What the user says about the health of a kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HealthCheckExpr {
    /// API group and version.
    pub api_version: String,
    /// Kind (every one of the group when absent).
    pub kind: String,
    /// CEL expression: true of an object that works.
    pub current: String,
    /// True of one that is on its way.
    pub in_progress: String,
    /// True of one that failed.
    pub failed: String,
}

/// `spec.test`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Test {
    /// Whether tests run after an install or upgrade.
    pub enable: bool,
    /// Limit of the action.
    pub timeout: Option<GoDuration>,
    /// Whether a failed test is no failure of the release.
    pub ignore_failures: bool,
    /// Which tests run (all without any).
    pub filters: Vec<TestFilter>,
}

/// A test that runs, or does not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TestFilter {
    /// Name of the test.
    pub name: String,
    /// Whether it is left out.
    pub exclude: bool,
}

/// `spec.rollback`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "the CRD's fields, as they are")]
pub struct Rollback {
    /// Limit of the action.
    pub timeout: Option<GoDuration>,
    /// Do not wait for readiness.
    pub disable_wait: bool,
    /// Do not wait for Jobs.
    pub disable_wait_for_jobs: bool,
    /// Run no hooks.
    pub disable_hooks: bool,
    /// Replace objects instead of patching them.
    pub force: bool,
    /// Delete new objects when it fails.
    pub cleanup_on_fail: bool,
    /// Apply on the server (as before when absent).
    pub server_side_apply: ServerSideApply,
}

/// `spec.uninstall`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "the CRD's fields, as they are")]
pub struct Uninstall {
    /// Limit of the action.
    pub timeout: Option<GoDuration>,
    /// Run no hooks.
    pub disable_hooks: bool,
    /// Keep the records.
    pub keep_history: bool,
    /// Do not wait until objects are gone.
    pub disable_wait: bool,
    /// `background` (when absent), `foreground` or `orphan`.
    pub deletion_propagation: Option<String>,
}

/// Where values come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ValuesReference {
    /// `ConfigMap` or `Secret`.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Key (`values.yaml` when absent).
    pub values_key: Option<String>,
    /// Where the value goes; absent: the data is merged at the root.
    pub target_path: Option<String>,
    /// Whether it may be missing.
    pub optional: bool,
    /// Whether the value is taken verbatim.
    pub literal: bool,
}

impl HelmReleaseSpec {
    /// Returns how many revisions are kept; 0: all.
    #[must_use]
    pub fn kept_revisions(&self) -> usize {
        self.max_history.unwrap_or(5) as usize
    }

    /// Returns the limit of an action: its own, else `spec.timeout`, else five minutes.
    pub fn action_timeout(&self, own: Option<GoDuration>) -> GoDuration {
        own.or(self.timeout).unwrap_or(GoDuration(std::time::Duration::from_secs(300)))
    }

    /// Whether a failed test is no failure of an action.
    pub fn ignores_failed_tests(&self, action: &str) -> bool {
        let remediation = match action {
            "install" => self.install.remediation.as_ref(),
            "upgrade" => self.upgrade.remediation.as_ref(),
            _ => None,
        };
        let own = remediation.and_then(|remediation| remediation.ignore_test_failures);
        own.unwrap_or(self.test.ignore_failures)
    }

    /// Whether readiness is awaited by Helm 3's rules.
    pub fn waits_as_helm_3(&self) -> bool {
        let name = self.wait_strategy.as_ref().and_then(|strategy| strategy.get("name"));
        name.and_then(Value::as_str) == Some("legacy")
    }

    /// Whether versions that run carry more than those of their source: a digest, or how often
    /// values files were described.
    pub fn numbers_versions(&self) -> bool {
        let merges = |chart: &ChartTemplate| !chart.spec.values_files.is_empty();
        self.chart_ref.is_some() || self.chart.as_ref().is_some_and(merges)
    }

    /// Returns the fields that are set but that this version of Leadsman does not act on.
    pub fn unsupported(&self) -> Vec<&'static str> {
        let chart = self.chart.as_ref().map(|chart| &chart.spec);
        let is_unverifiable = chart.is_some_and(|c| c.verify.is_some() && c.source_ref.is_files());
        let field = "spec.chart.spec.verify of a chart in files";
        is_unverifiable.then_some(field).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_read_and_supported() {
        let release: HelmRelease = serde_json::from_value(serde_json::json!({
            "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": {"name": "kube-prometheus-stack", "namespace": "observability"},
            "spec": {"interval": "30m", "chart": {"spec": {
                "chart": "kube-prometheus-stack", "version": "61.x", "interval": "12h",
                "sourceRef": {"kind": "HelmRepository", "name": "charts", "namespace": "observability"},
            }}},
        }))
        .unwrap();
        let chart = &release.spec.chart.as_ref().unwrap().spec;
        assert_eq!(chart.version.as_deref(), Some("61.x"));
        assert_eq!(release.spec.interval.unwrap().to_string(), "30m0s");
        assert_eq!(release.spec.action_timeout(None).to_string(), "5m0s");
        assert!(release.spec.unsupported().is_empty());
    }

    #[test]
    fn what_is_not_acted_on_is_named() {
        let verified = |kind: &str| serde_json::json!({"chart": {"spec": {"verify": {}, "sourceRef": {"kind": kind}}}});
        let named = |kind: &str| serde_json::json!({"chartRef": {"kind": kind, "name": "a"}});
        let field: &[&str] = &["spec.chart.spec.verify of a chart in files"];
        let rows = [
            (serde_json::json!({"postRenderers": []}), &[][..]),
            (serde_json::json!({"kubeConfig": {"configMapRef": {"name": "a"}}}), &[]),
            (named("OCIRepository"), &[]),
            (named("HelmChart"), &[]),
            (named("ExternalArtifact"), &[]),
            (verified("HelmRepository"), &[]),
            (verified("GitRepository"), field),
            (verified("Bucket"), field),
        ];
        for (spec, want) in rows {
            let read: HelmReleaseSpec = serde_json::from_value(spec.clone()).unwrap();
            assert_eq!(read.unsupported(), want, "{spec}");
        }
    }
}
