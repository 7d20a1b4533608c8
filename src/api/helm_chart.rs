//! `HelmChart`: one chart of a source, in one version, as an archive that others can use.

use serde::{Deserialize, Serialize};

use super::helm_release::ChartSpec;
use super::helm_repository::Artifact;
use super::{Condition, Meta};

/// A `source.toolkit.fluxcd.io/v1` `HelmChart`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct HelmChart {
    /// Name and bookkeeping.
    pub metadata: Meta,
    /// What the user wants.
    pub spec: HelmChartSpec,
    /// What was seen.
    pub status: HelmChartStatus,
}

/// What the user wants of a chart.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct HelmChartSpec {
    /// Which chart: the fields that a `HelmRelease` describes one by, too. Its source is in the
    /// namespace of the object, whatever it says.
    #[serde(flatten)]
    pub chart: ChartSpec,
    /// Whether nothing is done.
    pub suspend: bool,
}

impl HelmChartSpec {
    /// Returns the fields that are set and not supported.
    pub fn unsupported(&self) -> Vec<&'static str> {
        let of_files = self.chart.source_ref.kind != "HelmRepository";
        let verify = self.chart.verify.iter().filter(|_| of_files);
        verify.map(|_| "spec.verify").collect()
    }
}

/// What was seen of a chart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HelmChartStatus {
    /// Generation that was finished last; -1 at first.
    pub observed_generation: i64,
    /// Revision of the source that was looked at last.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub observed_source_artifact_revision: String,
    /// Name of the chart in the artifact.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub observed_chart_name: String,
    /// Values files that were there, where others may be missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub observed_values_files: Vec<String>,
    /// Conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Where the newest artifact is served.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// The artifact that is in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// Last request that was answered.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_handled_reconcile_at: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(spec: serde_json::Value) -> Result<HelmChart, serde_json::Error> {
        serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "shop", "generation": 3}, "spec": spec,
        }))
    }

    #[test]
    fn all_fields_are_read() {
        let chart = read(json!({
            "chart": "web", "version": "1.x", "interval": "5m", "reconcileStrategy": "Revision",
            "sourceRef": {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "name": "shop"},
            "valuesFiles": ["a.yaml"], "ignoreMissingValuesFiles": true, "suspend": true,
        }))
        .unwrap();
        let spec = &chart.spec.chart;
        assert_eq!((spec.chart.as_str(), spec.version.as_deref()), ("web", Some("1.x")));
        assert_eq!(spec.interval.unwrap().to_string(), "5m0s");
        assert_eq!(spec.reconcile_strategy, "Revision");
        assert_eq!((spec.source_ref.name.as_str(), spec.source_ref.is_files()), ("shop", true));
        assert!(spec.ignore_missing_values_files && chart.spec.suspend);
        assert_eq!(spec.values_files, ["a.yaml"]);
        assert!(chart.spec.unsupported().is_empty());
    }

    #[test]
    fn what_is_not_acted_on_is_named() {
        let chart = read(json!({"verify": {"provider": "cosign"}}));
        assert_eq!(chart.unwrap().spec.unsupported(), ["spec.verify"]);
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for spec in [json!({"interval": "often"}), json!({"valuesFiles": "a.yaml"})] {
            assert!(read(spec.clone()).is_err(), "{spec}");
        }
    }
}
