//! Whether what is done to rendered objects is still what it was: digests in the status.
//!
//! Source: fluxcd/helm-controller internal/postrender/digest.go, internal/reconcile/release.go
//! (summarize).

use serde::Serialize;

use crate::api::{HelmRelease, HelmReleaseSpec, HelmReleaseStatus};
use crate::base::digest::Digest;
use crate::release::go_json;

/// Returns the digest of what a field says; an absent one has none.
fn digest<T: Serialize>(field: Option<&T>) -> String {
    field.map(|field| Digest::of(go_json(field) + "\n").to_string()).unwrap_or_default()
}

/// Returns the digests of `spec.postRenderers` and of `spec.commonMetadata`.
fn digests(spec: &HelmReleaseSpec) -> (String, String) {
    (digest(spec.post_renderers.as_ref()), digest(spec.common_metadata.as_ref()))
}

/// Returns what changed since it was last acted upon. A generation that was finished is not looked
/// at again.
pub(super) fn changed(release: &HelmRelease, status: &HelmReleaseStatus) -> Option<&'static str> {
    if status.observed_generation == release.metadata.generation {
        return None;
    }
    let (post, common) = digests(&release.spec);
    if post != status.observed_post_renderers_digest {
        return Some("postrenderers digest has changed");
    }
    (common != status.observed_common_metadata_digest)
        .then_some("common metadata digest has changed")
}

/// Writes down what was acted upon, whatever came of it.
pub(super) fn note(spec: &HelmReleaseSpec, status: &mut HelmReleaseStatus) {
    (status.observed_post_renderers_digest, status.observed_common_metadata_digest) = digests(spec);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spec(spec: Value) -> HelmReleaseSpec {
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn digests_are_flux_s() {
        let golden = include_str!("../../tests/golden/flux-digests.json");
        let golden: Value = serde_json::from_str(golden).unwrap();
        for (rows, field) in
            [("postRenderersDigest", "postRenderers"), ("commonMetadataDigest", "commonMetadata")]
        {
            let rows = golden[rows].as_array().unwrap();
            assert!(!rows.is_empty());
            for row in rows {
                let value: Value = serde_json::from_str(row["encoded"].as_str().unwrap()).unwrap();
                let (post, common) = digests(&spec(json!({field: value})));
                let got = if field == "postRenderers" { post } else { common };
                assert_eq!(row["digest"], got, "{}", row["encoded"]);
            }
        }
    }

    #[test]
    fn a_change_is_noticed_until_the_generation_is_finished() {
        let asked = json!([{"kustomize": {"images": [{"name": "a", "newTag": "2"}]}}]);
        let with = spec(json!({"postRenderers": asked}));
        let labeled = spec(json!({"commonMetadata": {"labels": {"a": "b"}}}));
        let none = HelmReleaseSpec::default();
        let seen = |spec: &HelmReleaseSpec, observed_generation| {
            let (post, common) = digests(spec);
            HelmReleaseStatus {
                observed_generation,
                observed_post_renderers_digest: post,
                observed_common_metadata_digest: common,
                ..HelmReleaseStatus::default()
            }
        };
        let post = Some("postrenderers digest has changed");
        let common = Some("common metadata digest has changed");
        for (name, wanted, status, want) in [
            ("nothing asked", &none, seen(&none, 0), None),
            ("the same", &with, seen(&with, 0), None),
            ("S19 added", &with, seen(&none, 0), post),
            ("removed", &none, seen(&with, 0), post),
            ("S20 finished", &with, seen(&none, 2), None),
            ("S21 labels", &labeled, seen(&none, 0), common),
            ("S22 labels, finished", &labeled, seen(&none, 2), None),
        ] {
            let mut release = HelmRelease { spec: wanted.clone(), ..HelmRelease::default() };
            release.metadata.generation = 2;
            assert_eq!(changed(&release, &status), want, "{name}");
        }
    }
}
