//! What drift detection leaves out.
//!
//! Source: fluxcd/helm-controller api/v2 (IgnoreRule), kustomize's selector: anchored expressions.

use regex::Regex;

use crate::api::DriftIgnore;
use crate::cluster::Object;
use crate::release::Ignore;

/// Compiled rules.
#[derive(Debug)]
pub(super) struct Rules(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    paths: Vec<String>,
    /// Group, version, kind, namespace, name; none: all objects.
    target: Option<[Option<Regex>; 5]>,
    labels: String,
    annotations: String,
}

impl Rules {
    /// Compiles rules; an expression that cannot be compiled matches nothing, and is said.
    pub(super) fn new(rules: &[DriftIgnore]) -> Self {
        let anchored = |text: &str| {
            (!text.is_empty()).then(|| {
                Regex::new(&format!("^(?:{text})$")).unwrap_or_else(|error| {
                    tracing::warn!(%error, "a drift rule cannot be read; it matches nothing");
                    Regex::new("$.").expect("it is a valid expression")
                })
            })
        };
        let compiled = rules.iter().map(|rule| {
            let target = rule.target.as_ref();
            Rule {
                paths: rule.paths.clone(),
                target: target.map(|target| {
                    [&target.group, &target.version, &target.kind, &target.namespace, &target.name]
                        .map(|text| anchored(text))
                }),
                labels: target.map(|t| t.label_selector.clone()).unwrap_or_default(),
                annotations: target.map(|t| t.annotation_selector.clone()).unwrap_or_default(),
            }
        });
        Self(compiled.collect())
    }
}

impl Ignore for Rules {
    fn paths(&self, object: &Object) -> Vec<String> {
        let id = object.id();
        let parts = [&id.group, &id.version, &id.kind, &id.namespace, &id.name];
        let fits = |rule: &&Rule| {
            let by_name = rule.target.as_ref().is_none_or(|target| {
                target
                    .iter()
                    .zip(parts)
                    .all(|(regex, part)| regex.as_ref().is_none_or(|r| r.is_match(part)))
            });
            by_name
                && selected(&rule.labels, |key| object.label(key))
                && selected(&rule.annotations, |key| object.annotation(key))
        };
        self.0.iter().filter(fits).flat_map(|rule| rule.paths.clone()).collect()
    }
}

/// `a=b,c!=d,e,!f`
fn selected<'a>(selector: &str, value: impl Fn(&str) -> Option<&'a str>) -> bool {
    selector.split(',').map(str::trim).filter(|part| !part.is_empty()).all(|part| {
        if let Some((key, want)) = part.split_once("!=") {
            value(key.trim()) != Some(want.trim())
        } else if let Some((key, want)) = part.split_once('=') {
            value(key.trim()) == Some(want.trim_start_matches('=').trim())
        } else if let Some(key) = part.strip_prefix('!') {
            value(key).is_none()
        } else {
            value(part).is_some()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_mean_the_objects_that_they_name() {
        let rules: Vec<DriftIgnore> = serde_json::from_value(serde_json::json!([
            {"paths": ["/spec/replicas"], "target": {"kind": "Deploy.*", "labelSelector": "app=web"}},
            {"paths": ["/x"]},
        ]))
        .unwrap();
        let rules = Rules::new(&rules);
        let object = |kind: &str, app: &str| {
            Object(
                serde_json::json!({"kind": kind, "metadata": {"name": "a", "labels": {"app": app}}}),
            )
        };
        assert_eq!(rules.paths(&object("Deployment", "web")), ["/spec/replicas", "/x"]);
        assert_eq!(rules.paths(&object("Deployment", "other")), ["/x"]);
        assert_eq!(rules.paths(&object("MyDeployment", "web")), ["/x"]);
    }
}
