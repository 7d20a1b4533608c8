//! Trust policies of the Notary Project: who may sign what, and what is only told.
//!
//! Source: notaryproject/specifications specs/trust-store-trust-policy.md; notation-go v1.3
//! verifier/trustpolicy/{trustpolicy,oci}.go.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::error::{Error, refused, untrusted};
use super::name::{self, Attributes};

/// A document with statements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Document {
    statements: Vec<Statement>,
}

/// What holds for some repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) name: String,
    scopes: Vec<String>,
    /// None: nothing is verified.
    pub(super) actions: Option<Actions>,
    /// Kinds of trust stores: `ca`, `signingAuthority`, `tsa`.
    pub(super) stores: BTreeSet<String>,
    /// Who may sign; none: everybody whom a store trusts.
    pub(super) identities: Option<Vec<Attributes>>,
    /// Whether timestamps count only once a certificate has expired.
    pub(super) stamps_after_expiry: bool,
}

/// What is done about something that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Action {
    /// The signature is refused.
    Enforce,
    /// It is told.
    Log,
    /// It is not looked at.
    Skip,
}

/// What is checked beside that the signature is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Actions {
    pub(super) authenticity: Action,
    pub(super) timestamp: Action,
    pub(super) expiry: Action,
    pub(super) revocation: Action,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Raw {
    version: String,
    trust_policies: Vec<RawStatement>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawStatement {
    name: String,
    registry_scopes: Vec<String>,
    signature_verification: RawVerification,
    trust_stores: Vec<String>,
    trusted_identities: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawVerification {
    level: String,
    #[serde(rename = "override")]
    changed: BTreeMap<String, Action>,
    verify_timestamp: String,
}

impl Document {
    /// Reads a `trustpolicy.json`.
    ///
    /// # Errors
    /// It is none, or says something that the specification does not allow.
    pub fn read(text: &str) -> Result<Self, Error> {
        let raw: Raw = serde_json::from_str(text).map_err(|error| untrusted(error.to_string()))?;
        if raw.version != "1.0" {
            return Err(untrusted(format!(
                "trust policy document uses unsupported version {:?}",
                raw.version
            )));
        }
        if raw.trust_policies.is_empty() {
            return Err(untrusted(
                "trust policy document can not have zero trust policy statements",
            ));
        }
        let mut names = BTreeSet::new();
        let mut scopes = BTreeSet::new();
        let mut statements = Vec::new();
        for raw in raw.trust_policies {
            if !names.insert(raw.name.clone()) {
                return Err(untrusted(format!(
                    "multiple trust policy statements use the same name {:?}",
                    raw.name
                )));
            }
            let twice = raw.registry_scopes.iter().find(|scope| !scopes.insert((*scope).clone()));
            if let Some(scope) = twice {
                return Err(untrusted(format!(
                    "registry scope {scope:?} is present in multiple trust policy statements"
                )));
            }
            let name = raw.name.clone();
            statements.push(
                statement(raw).map_err(|error| {
                    untrusted(format!("trust policy statement {name:?} {error}"))
                })?,
            );
        }
        Ok(Self { statements })
    }

    /// Returns what holds for a repository, such as `registry.example/charts/web`.
    pub(super) fn of(&self, repository: &str) -> Result<&Statement, Error> {
        let with = |scope: &str| {
            self.statements.iter().find(|one| one.scopes.iter().any(|its| its == scope))
        };
        with(repository).or_else(|| with("*")).ok_or_else(|| {
            refused(format!(
                "artifact {repository:?} has no applicable trust policy statement: no registryScopes name it"
            ))
        })
    }
}

fn statement(raw: RawStatement) -> Result<Statement, Error> {
    if raw.name.is_empty() {
        return Err(untrusted("is missing a name"));
    }
    if raw.registry_scopes.is_empty() {
        return Err(untrusted("has zero registry scopes"));
    }
    let any = raw.registry_scopes.iter().any(|scope| scope == "*");
    if any && raw.registry_scopes.len() > 1 {
        return Err(untrusted("uses wildcard registry scope '*' in conjunction with other scopes"));
    }
    if let Some(bad) = raw.registry_scopes.iter().find(|scope| !any && scope.contains('*')) {
        return Err(untrusted(format!("has registry scope {bad:?} with wild card(s)")));
    }
    let stamps_after_expiry = match raw.signature_verification.verify_timestamp.as_str() {
        "" | "always" => false,
        "afterCertExpiry" => true,
        other => return Err(untrusted(format!("has verifyTimestamp {other:?}"))),
    };
    let actions = actions(&raw.signature_verification)?;
    let mut statement = Statement {
        name: raw.name,
        scopes: raw.registry_scopes,
        actions,
        stores: BTreeSet::new(),
        identities: None,
        stamps_after_expiry,
    };
    // Flux takes stores and identities of a statement that skips as if they were not there.
    if actions.is_none() {
        return Ok(statement);
    }
    if raw.trust_stores.is_empty() || raw.trusted_identities.is_empty() {
        return Err(untrusted(
            "is either missing trust stores or trusted identities, both must be specified",
        ));
    }
    statement.stores =
        raw.trust_stores.iter().map(|store| kind(store)).collect::<Result<_, _>>()?;
    statement.identities = identities(&raw.trusted_identities)?;
    Ok(statement)
}

/// Returns the kind of a trust store.
fn kind(store: &str) -> Result<String, Error> {
    match store.split_once(':') {
        Some((kind @ ("ca" | "signingAuthority" | "tsa"), name)) if !name.is_empty() => {
            Ok(kind.to_owned())
        }
        _ => Err(untrusted(format!("has unsupported trust store {store:?}"))),
    }
}

fn identities(raw: &[String]) -> Result<Option<Vec<Attributes>>, Error> {
    if raw.iter().any(|identity| identity == "*") {
        return match raw {
            [_] => Ok(None),
            _ => Err(untrusted("uses a wildcard trusted identity '*' in conjunction with others")),
        };
    }
    let read = |identity: &String| match identity.split_once(':') {
        Some(("x509.subject", name)) => name::parse(name.trim()),
        _ => Err(untrusted(format!("has unsupported trusted identity {identity:?}"))),
    };
    raw.iter().map(read).collect::<Result<Vec<_>, _>>().map(Some)
}

fn actions(raw: &RawVerification) -> Result<Option<Actions>, Error> {
    use Action::{Enforce, Log, Skip};
    let level = |authenticity, others| Actions {
        authenticity,
        timestamp: others,
        expiry: others,
        revocation: others,
    };
    let mut actions = match raw.level.as_str() {
        "strict" => level(Enforce, Enforce),
        "permissive" => level(Enforce, Log),
        "audit" => level(Log, Log),
        "skip" if raw.changed.is_empty() => return Ok(None),
        other => {
            return Err(untrusted(format!("has invalid signature verification level {other:?}")));
        }
    };
    for (what, action) in &raw.changed {
        if *action == Skip && what != "revocation" {
            return Err(untrusted(format!("skips {what:?}, which can not be skipped")));
        }
        match what.as_str() {
            "authenticity" => actions.authenticity = *action,
            "authenticTimestamp" => actions.timestamp = *action,
            "expiry" => actions.expiry = *action,
            "revocation" => actions.revocation = *action,
            other => {
                return Err(untrusted(format!("overrides {other:?}, which can not be overridden")));
            }
        }
    }
    Ok(Some(actions))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(change: impl FnOnce(&mut serde_json::Value)) -> Result<Document, Error> {
        let mut one = json!({
            "name": "charts", "registryScopes": ["r.example/web"],
            "signatureVerification": {"level": "strict"},
            "trustStores": ["ca:acme"], "trustedIdentities": ["*"],
        });
        change(&mut one);
        Document::read(&json!({"version": "1.0", "trustPolicies": [one]}).to_string())
    }

    #[test]
    fn the_scope_that_names_a_repository_counts_before_the_one_for_all() {
        let mut text = json!({"version": "1.0", "trustPolicies": []});
        for (name, scope) in [("all", "*"), ("one", "r.example/web")] {
            text["trustPolicies"].as_array_mut().unwrap().push(json!({
                "name": name, "registryScopes": [scope], "signatureVerification": {"level": "skip"},
            }));
        }
        let document = Document::read(&text.to_string()).unwrap();
        assert_eq!(document.of("r.example/web").unwrap().name, "one");
        assert_eq!(document.of("r.example/other").unwrap().name, "all");
        let one = read(|_| ()).unwrap();
        let none = one.of("r.example/web/more").unwrap_err();
        assert!(none.to_string().contains("no applicable trust policy statement"), "{none}");
    }

    #[test]
    fn a_level_says_what_is_only_told() {
        let of = |level: &str, changed: serde_json::Value| {
            let document = read(|one| {
                one["signatureVerification"] = json!({"level": level, "override": changed});
            })?;
            Ok::<_, Error>(document.statements[0].actions)
        };
        let strict = of("strict", json!({})).unwrap().unwrap();
        assert_eq!((strict.authenticity, strict.revocation), (Action::Enforce, Action::Enforce));
        let audit = of("audit", json!({"authenticity": "enforce"})).unwrap().unwrap();
        assert_eq!((audit.authenticity, audit.expiry), (Action::Enforce, Action::Log));
        let custom = of("strict", json!({"revocation": "skip"})).unwrap().unwrap();
        assert_eq!(custom.revocation, Action::Skip);
        assert_eq!(of("skip", json!({})), Ok(None));
        for (level, changed) in [
            ("strict", json!({"integrity": "log"})),
            ("strict", json!({"expiry": "skip"})),
            ("skip", json!({"expiry": "log"})),
            ("", json!({})),
            ("Strict", json!({})),
        ] {
            assert!(of(level, changed.clone()).is_err(), "{level} {changed}");
        }
    }

    #[test]
    fn what_the_specification_does_not_allow_is_refused() {
        let rows: [(&str, serde_json::Value, &str); 8] = [
            ("registryScopes", json!([]), "zero registry scopes"),
            ("registryScopes", json!(["*", "r.example/a"]), "in conjunction"),
            ("registryScopes", json!(["r.example/*"]), "wild card"),
            ("name", json!(""), "missing a name"),
            ("trustStores", json!([]), "missing trust stores"),
            ("trustStores", json!(["acme"]), "unsupported trust store"),
            ("trustedIdentities", json!(["*", "x509.subject: C=US, ST=WA, O=A"]), "in conjunction"),
            ("trustedIdentities", json!(["did:x"]), "unsupported trusted identity"),
        ];
        for (field, value, want) in rows {
            let got = read(|one| one[field] = value.clone()).unwrap_err().to_string();
            assert!(got.contains(want), "{field} {value}: {got}");
        }
        let other = Document::read(r#"{"version": "2.0"}"#).unwrap_err();
        assert!(other.to_string().contains("unsupported version"), "{other}");
    }
}
