//! Health of objects by expressions of the user.
//!
//! Source: fluxcd/pkg runtime/cel (status_evaluator.go, status_reader.go).

use super::status::{ObjectStatus, kind_of};
use crate::expression::Expression;
use crate::yaml::Value;

/// What a user says about the health of a kind.
#[derive(Debug, Clone, Copy, Default)]
pub struct HealthCheck<'a> {
    /// API group and version; the version does not matter.
    pub api_version: &'a str,
    /// Kind; empty: every one of the group.
    pub kind: &'a str,
    /// True of an object that works.
    pub current: &'a str,
    /// True of one that failed; may be empty.
    pub failed: &'a str,
    /// True of one that is on its way; may be empty.
    pub in_progress: &'a str,
}

/// Parsed health checks of a release.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Health {
    checks: Vec<Check>,
}

#[derive(Debug, PartialEq, Eq)]
struct Check {
    group: String,
    kind: String,
    current: Expression,
    failed: Option<Expression>,
    in_progress: Option<Expression>,
}

impl Health {
    /// Parses health checks.
    ///
    /// # Errors
    /// The first one that is wrong, in Flux's words.
    pub fn parse(checks: &[HealthCheck<'_>]) -> Result<Self, String> {
        let mut health = Self::default();
        for (index, given) in checks.iter().enumerate() {
            let check = Check::parse(given).map_err(|why| {
                format!("failed to create custom status evaluator for healthchecks[{index}]: {why}")
            })?;
            if health.checks.iter().any(|o| (&o.group, &o.kind) == (&check.group, &check.kind)) {
                let dot = if check.group.is_empty() { "" } else { "." };
                return Err(format!(
                    "duplicate custom health check for GroupKind {}{dot}{} at healthchecks[{index}]",
                    check.kind, check.group
                ));
            }
            health.checks.push(check);
        }
        Ok(health)
    }

    /// Returns the verdict about an object, if the user says anything about its kind.
    pub(super) fn verdict(&self, object: &Value) -> Option<ObjectStatus> {
        let (group, kind) = kind_of(object);
        let of = |wanted: &str| self.checks.iter().find(|c| c.group == group && c.kind == wanted);
        let check = of(kind).or_else(|| of(""))?;
        Some(check.verdict(object).unwrap_or_else(ObjectStatus::unknown))
    }
}

impl Check {
    fn parse(given: &HealthCheck<'_>) -> Result<Self, String> {
        let parse = |name: &str, text: &str| match text {
            "" => Ok(None),
            text => Expression::parse(text)
                .map(Some)
                .map_err(|why| format!("failed to parse the expression {name}: {why}")),
        };
        let group = given.api_version.rsplit_once('/').map_or("", |(group, _)| group);
        Ok(Self {
            group: group.to_owned(),
            kind: given.kind.to_owned(),
            current: parse("Current", given.current)?
                .ok_or_else(|| "expression Current not specified".to_owned())?,
            failed: parse("Failed", given.failed)?,
            in_progress: parse("InProgress", given.in_progress)?,
        })
    }

    fn verdict(&self, object: &Value) -> Result<ObjectStatus, String> {
        let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64);
        let generation = number("/metadata/generation");
        if let Some(observed) = number("/status/observedGeneration")
            && generation.is_some_and(|generation| generation != observed)
        {
            return Ok(ObjectStatus::in_progress(
                "LatestGenerationNotObserved",
                "its latest generation was not observed yet",
            ));
        }
        let fields = object.as_object().into_iter().flatten();
        let variables: Vec<_> = fields.map(|(name, value)| (name.as_str(), value)).collect();
        let holds = |expression: &Option<Expression>| match expression {
            Some(expression) => expression.is_true(&variables),
            None => Ok(false),
        };
        if holds(&self.in_progress)? {
            return Ok(ObjectStatus::in_progress("InProgress", "`inProgress` is true of it"));
        }
        if holds(&self.failed)? {
            return Ok(ObjectStatus::failed("Failed", "`failed` is true of it"));
        }
        if self.current.is_true(&variables)? {
            return Ok(ObjectStatus::current("`current` is true of it"));
        }
        Ok(ObjectStatus::in_progress("InProgress", "`current` is not true of it"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::status::Status;

    fn check(kind: &'static str) -> HealthCheck<'static> {
        HealthCheck {
            api_version: "ex.dev/v1",
            kind,
            current: "status.phase == 'Up'",
            failed: "status.phase == 'Down'",
            in_progress: "has(status.busy)",
        }
    }

    #[test]
    fn what_the_user_says_decides() {
        use Status::{Current, Failed, InProgress, Unknown};
        let health = Health::parse(&[check("Widget")]).unwrap();
        let rows = [
            (json!({"phase": "Up"}), Current),
            (json!({"phase": "Down"}), Failed),
            (json!({"phase": "Down", "busy": 1}), InProgress),
            (json!({"phase": "Other"}), InProgress),
            (json!({"phase": "Up", "observedGeneration": 1}), InProgress),
            (json!({"phase": "Up", "observedGeneration": 2}), Current),
            (json!({}), Unknown),
            (json!(null), Unknown),
        ];
        for (status, want) in rows {
            let object = json!({
                "apiVersion": "ex.dev/v7", "kind": "Widget",
                "metadata": {"generation": 2}, "status": status,
            });
            let verdict = health.verdict(&object).unwrap();
            assert_eq!(verdict.status, want, "{status}: {}", verdict.message);
        }
    }

    #[test]
    fn a_kind_is_meant_before_its_group() {
        let whole = HealthCheck { current: "false", ..check("") };
        let health = Health::parse(&[whole, check("Widget")]).unwrap();
        let said = |api: &str, kind: &str| {
            let object = json!({"apiVersion": api, "kind": kind, "status": {"phase": "Up"}});
            health.verdict(&object).map(|verdict| verdict.status)
        };
        assert_eq!(said("ex.dev/v1", "Widget"), Some(Status::Current));
        assert_eq!(said("ex.dev/v1", "Gadget"), Some(Status::InProgress));
        assert_eq!(said("other.dev/v1", "Widget"), None);
        assert_eq!(said("v1", "Widget"), None);
    }

    #[test]
    fn what_is_wrong_is_told_in_the_words_of_flux() {
        let wrong = |checks: &[HealthCheck<'_>]| Health::parse(checks).unwrap_err();
        let at = "failed to create custom status evaluator for healthchecks[0]";
        let none = HealthCheck { current: "", ..check("W") };
        assert_eq!(wrong(&[none]), format!("{at}: expression Current not specified"));
        let bad = HealthCheck { failed: "(", ..check("W") };
        let begins =
            format!("{at}: failed to parse the expression Failed: failed to parse the CEL");
        assert!(wrong(&[bad]).starts_with(&begins));
        assert_eq!(
            wrong(&[check("W"), check("W")]),
            "duplicate custom health check for GroupKind W.ex.dev at healthchecks[1]"
        );
    }
}
