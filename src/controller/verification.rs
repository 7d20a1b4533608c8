//! Whether somebody who may signed a chart or an artifact: reads whom `spec.verify` means from
//! Secrets, and asks the registry.
//!
//! Source: fluxcd/source-controller internal/controller/ocirepository_controller.go
//! (`verifySignature`), helmchart_controller.go (`makeVerifiers`).

use std::collections::BTreeMap;

use super::access;
use super::context::Context;
use crate::api::condition::{Conditions, SOURCE_VERIFIED, Truth};
use crate::api::{ChartSpec, HelmRepository, LocalRef, Verification};
use crate::base::class::{Class, chain};
use crate::base::digest::Digest;
use crate::repo::oci::CHART;
use crate::repo::{
    ArtifactError, ArtifactPart, Entry, Error as RepoError, LayerFiles, Pulled, Repositories,
    RepositorySpec, Verifier,
};
use crate::signature::{
    Document, Identity, Keyless, Notation, Outcome, PublicKey, Trust, TrustedRoot,
};
use crate::source::oci::{Access, Reference};

/// Reason of the condition where nobody did.
pub(super) const UNVERIFIED: &str = "VerificationError";
/// Keys of Secrets.
const TRUSTED_ROOT: &str = "trusted_root.json";
const POLICY: &str = "trustpolicy.json";

/// Why something does not count as signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unverified {
    /// For people.
    pub(super) text: String,
    /// What to do about it.
    pub(super) class: Class,
}

/// What an object asks for, and where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) namespace: &'a str,
    pub(super) verify: &'a Verification,
}

impl Asked<'_> {
    /// Verifies a manifest, which is named by its digest.
    ///
    /// # Errors
    /// Nobody who may signed it, or nobody can tell.
    pub(super) async fn check(
        self,
        context: &Context,
        access: &Access,
        at: &Reference,
    ) -> Result<Outcome, Unverified> {
        let (verifier, trust) = self.verifier(context).await?;
        let asked = context.repositories.verify_signature(access, at, (&verifier, trust)).await;
        let outcome =
            asked.map_err(|error| Unverified { class: error.class(), text: chain(&error) })?;
        if let Outcome::Ignored(why) = &outcome {
            tracing::debug!(artifact = %at, why, "its signature is not verified");
        }
        Ok(outcome)
    }

    /// Returns who may sign, and what tells this from others.
    async fn verifier(self, context: &Context) -> Result<(Verifier, Digest), Unverified> {
        let verify = self.verify;
        let data = self.secret(context, verify.secret_ref.as_ref()).await?;
        let root = self.secret(context, verify.trusted_root_secret_ref.as_ref()).await?;
        let given = context.options.trusted_root.as_deref();
        let verifier = verifier(verify, (data.as_ref(), root.as_ref()), given);
        let verifier = verifier.map_err(|text| Unverified { text, class: Class::Retry })?;
        let trust = Digest::of(format!("{verify:?} {data:?} {root:?} {given:?}"));
        Ok((verifier, trust))
    }

    async fn secret(
        self,
        context: &Context,
        named: Option<&LocalRef>,
    ) -> Result<Option<BTreeMap<String, String>>, Unverified> {
        let Some(named) = named else { return Ok(None) };
        let found = access::secret(&context.cluster, self.namespace, &named.name).await;
        found.map(Some).map_err(|(_, text, class)| Unverified { text, class })
    }
}

type Data = BTreeMap<String, String>;

/// Returns who may sign, of what Secrets have: that of `secretRef` and that of
/// `trustedRootSecretRef`; `given` is the trusted root of the process.
fn verifier(
    verify: &Verification,
    (data, root): (Option<&Data>, Option<&Data>),
    given: Option<&TrustedRoot>,
) -> Result<Verifier, String> {
    let name = verify.secret_ref.as_ref().map_or("", |secret| &secret.name);
    match (verify.provider.as_str(), data) {
        ("" | "cosign", Some(data)) => keys(data, name).map(Verifier::Cosign),
        ("" | "cosign", None) => keyless(verify, root, given).map(Verifier::Cosign),
        ("notation", Some(data)) => notation(data, name).map(Verifier::Notation),
        ("notation", None) => Err("verification secret cannot be empty: notation needs a Secret with a trust policy in secretRef".to_owned()),
        (other, _) => Err(format!("unsupported verification provider: {other}")),
    }
}

fn keys(data: &Data, name: &str) -> Result<Trust, String> {
    let found = data.iter().filter(|(key, _)| key.ends_with(".pub"));
    let read = |(key, text): (&String, &String)| {
        let read = PublicKey::of_pem(text);
        read.map(|read| (key.clone(), read))
            .map_err(|error| format!("key '{key}' of secret '{name}': {error}"))
    };
    let keys = found.map(read).collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() {
        return Err(format!("no public keys found in secret '{name}': their names end with .pub"));
    }
    Ok(Trust::Keys(keys))
}

fn keyless(
    verify: &Verification,
    root: Option<&Data>,
    given: Option<&TrustedRoot>,
) -> Result<Trust, String> {
    if verify.match_oidc_identity.is_empty() {
        return Err("without secretRef, matchOIDCIdentity must say who may sign: anybody can get a certificate of Sigstore".to_owned());
    }
    let identities = verify
        .match_oidc_identity
        .iter()
        .map(|one| Identity::new(&one.issuer, &one.subject).map_err(|error| error.to_string()));
    let identities = identities.collect::<Result<Vec<_>, _>>()?;
    let root = match (root, given) {
        (Some(data), _) => {
            let name = verify.trusted_root_secret_ref.as_ref().map_or("", |secret| &secret.name);
            let text = data
                .get(TRUSTED_ROOT)
                .ok_or_else(|| format!("'{TRUSTED_ROOT}' not found in secret '{name}'"))?;
            TrustedRoot::read(text).map_err(|error| format!("secret '{name}': {error}"))?
        }
        (None, Some(given)) => given.clone(),
        (None, None) => {
            return Err("no trusted root of Sigstore is known, and none is fetched: name one with --sigstore-trusted-root, or in trustedRootSecretRef of an OCIRepository".to_owned());
        }
    };
    Ok(Trust::Keyless(Box::new(Keyless { root, identities })))
}

fn notation(data: &Data, name: &str) -> Result<Notation, String> {
    let policy =
        data.get(POLICY).ok_or_else(|| format!("'{POLICY}' not found in secret '{name}'"))?;
    let policy = Document::read(policy)
        .map_err(|error| format!("error occurred while parsing {POLICY}: {error}"))?;
    let is_certificate = |key: &str| key.ends_with(".crt") || key.ends_with(".pem");
    let found = data.iter().filter(|(key, _)| is_certificate(key));
    let certificates: Vec<String> = found.map(|(_, text)| text.clone()).collect();
    if certificates.is_empty() {
        return Err(format!(
            "no certificates found in secret '{name}': their names end with .crt or .pem"
        ));
    }
    Notation::new(policy, &certificates).map_err(|error| format!("secret '{name}': {error}"))
}

/// A chart whose signature was looked at: by the digest that its version had then.
#[derive(Debug)]
pub(super) struct SignedChart {
    at: Reference,
    access: Access,
    pub(super) outcome: Outcome,
}

impl SignedChart {
    /// Finds the manifest that a version of a chart is now, and verifies it; none: that is not asked
    /// for.
    ///
    /// # Errors
    /// Nobody who may signed it, or nobody can tell.
    pub(super) async fn find(
        context: &Context,
        (source, spec): (&HelmRepository, &RepositorySpec),
        (chart, entry): (&ChartSpec, &Entry),
    ) -> Result<Option<Self>, Unverified> {
        let Some(verify) = &chart.verify else { return Ok(None) };
        let Some(access) = &spec.registry else {
            let text = format!(
                "chart verification error: HelmRepository '{}' is not of type oci, and signatures are verified in registries alone",
                source.metadata.key()
            );
            return Err(Unverified { text, class: Class::Stalled });
        };
        let repositories = &context.repositories;
        let unasked = |error: RepoError| Unverified {
            text: format!("chart pull error: {}", chain(&error)),
            class: error.class(),
        };
        let tag = Repositories::reference(spec, entry).map_err(unasked)?;
        let digest = repositories.oci_digest(access, &tag).await.map_err(unasked)?;
        let at = tag.with(digest.to_string());
        let asked = Asked { namespace: &source.metadata.namespace, verify };
        let outcome = asked.check(context, access, &at).await.map_err(|error| Unverified {
            text: format!("chart verification error: failed to verify oci://{tag}: {}", error.text),
            class: error.class,
        })?;
        Ok(Some(Self { at, access: access.clone(), outcome }))
    }

    /// Gets it: by the same digest, whatever its version is meanwhile.
    pub(super) async fn pull(&self, context: &Context) -> Result<Pulled, ArtifactError> {
        let part = ArtifactPart { media_type: CHART, files: LayerFiles::All };
        context.repositories.pull_artifact(&self.access, &self.at, part).await
    }
}

/// Says in a condition what was verified; what was not asked for, or is ignored, leaves none.
pub(super) fn say(conditions: &mut Conditions<'_>, outcome: Option<&Outcome>, what: &str) {
    match outcome {
        Some(Outcome::Verified(who)) => {
            tracing::debug!(what, who, "its signature is verified");
            let text = format!("verified signature of {what}");
            conditions.set(SOURCE_VERIFIED, Truth::True, "Succeeded", text);
        }
        Some(Outcome::Ignored(_)) | None => conditions.delete(SOURCE_VERIFIED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::OidcIdentity;

    const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    const SKIP: &str = r#"{"version": "1.0", "trustPolicies": [{"name": "x", "registryScopes": ["*"], "signatureVerification": {"level": "skip"}}]}"#;

    fn data(rows: &[(&str, &str)]) -> Data {
        rows.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect()
    }

    fn ask(provider: &str, secret: bool, identities: usize) -> Verification {
        let identity = OidcIdentity { issuer: "^i$".to_owned(), subject: "^s$".to_owned() };
        Verification {
            provider: provider.to_owned(),
            secret_ref: secret.then(|| LocalRef { name: "trust".to_owned() }),
            match_oidc_identity: vec![identity; identities],
            trusted_root_secret_ref: None,
        }
    }

    #[test]
    fn who_may_sign_is_told_by_secrets() {
        type Row<'a> = (&'a str, bool, &'a [(&'a str, &'a str)], Result<&'a str, &'a str>);
        let rows: [Row<'_>; 12] = [
            ("cosign", true, &[("a.pub", KEY), ("password", "x")], Ok("by the key a.pub")),
            ("", true, &[("a.pub", KEY), ("b.pub", KEY)], Ok("by the key a.pub or b.pub")),
            ("cosign", true, &[("a.key", KEY)], Err("no public keys found in secret 'trust'")),
            (
                "cosign",
                true,
                &[("a.pub", KEY), ("b.pub", "x")],
                Err("key 'b.pub' of secret 'trust': it is no public key"),
            ),
            ("cosign", false, &[], Err("matchOIDCIdentity must say who may sign")),
            ("notation", false, &[], Err("verification secret cannot be empty")),
            ("notation", true, &[], Err("'trustpolicy.json' not found in secret 'trust'")),
            (
                "notation",
                true,
                &[("trustpolicy.json", "{")],
                Err("error occurred while parsing trustpolicy.json: EOF"),
            ),
            (
                "notation",
                true,
                &[("trustpolicy.json", SKIP)],
                Err("no certificates found in secret 'trust'"),
            ),
            (
                "notation",
                true,
                &[("trustpolicy.json", SKIP), ("a.crt", KEY)],
                Err("it is a PUBLIC KEY in PEM"),
            ),
            (
                "notation",
                true,
                &[("trustpolicy.json", SKIP), ("a.crt", "x")],
                Err("it is no certificate in PEM"),
            ),
            ("gpg", true, &[], Err("unsupported verification provider: gpg")),
        ];
        for (provider, has_secret, given, want) in rows {
            let given = data(given);
            let given = has_secret.then_some(&given);
            let got = verifier(&ask(provider, has_secret, 0), (given, None), None);
            match (got, want) {
                (Ok(Verifier::Cosign(trust)), Ok(want)) => assert_eq!(trust.expected(), want),
                (Err(got), Err(want)) => assert!(got.contains(want), "{got}"),
                (got, _) => panic!("{provider} {given:?}: {got:?}"),
            }
        }
    }

    #[test]
    fn who_has_no_key_needs_a_root() {
        let asked = ask("cosign", false, 1);
        let none = verifier(&asked, (None, None), None).unwrap_err();
        assert!(none.contains("--sigstore-trusted-root"), "{none}");
        let empty = verifier(&asked, (None, Some(&data(&[]))), None).unwrap_err();
        assert!(empty.contains("'trusted_root.json' not found"), "{empty}");
        let broken = data(&[("trusted_root.json", "{}")]);
        let broken = verifier(&asked, (None, Some(&broken)), None).unwrap_err();
        assert!(broken.contains("unable to parse trusted root"), "{broken}");
    }

    #[test]
    fn messages_name_the_provider() {
        assert_eq!(ask("", true, 0).kind(), "cosign");
        assert_eq!(ask("cosign", false, 1).kind(), "cosign keyless");
        assert_eq!(ask("notation", false, 0).kind(), "notation");
    }
}
