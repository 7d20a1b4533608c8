//! `spec.verify` of charts and artifacts: whose signature is needed.

use serde::Deserialize;

use super::helm_repository::LocalRef;

/// Whose signature is needed.
///
/// Source: fluxcd/source-controller api/v1 ociverification_types.go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Verification {
    /// `cosign` (also when empty) or `notation`.
    pub provider: String,
    /// Secret with keys (`*.pub`), or with a trust policy and certificates.
    pub secret_ref: Option<LocalRef>,
    /// Who may sign without a key that lasts.
    #[serde(rename = "matchOIDCIdentity")]
    pub match_oidc_identity: Vec<OidcIdentity>,
    /// Secret with a trusted root of Sigstore (`trusted_root.json`).
    pub trusted_root_secret_ref: Option<LocalRef>,
}

/// Who may sign: regular expressions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct OidcIdentity {
    /// Whose word is taken.
    pub issuer: String,
    /// For whom.
    pub subject: String,
}

impl Verification {
    /// Returns who makes such signatures, in the words of Flux's messages.
    pub fn kind(&self) -> String {
        match (self.provider.as_str(), &self.secret_ref) {
            ("" | "cosign", Some(_)) => "cosign".to_owned(),
            ("" | "cosign", None) => "cosign keyless".to_owned(),
            (other, _) => other.to_owned(),
        }
    }
}
