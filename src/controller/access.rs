//! How a repository is asked: its address, limits, credentials and certificates.
//!
//! Source: fluxcd/pkg runtime/secrets; fluxcd/source-controller helmrepository_controller.go.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::api::HelmRepository;
use crate::base::class::Class;
use crate::base::secret::{SafeUrl, Secret};
use crate::cluster::{Cluster, ObjectId};
use crate::repo::RepositorySpec;
use crate::source::{Credentials, Tls};

/// Reason and text of the condition, and what to do about it.
type Problem = (&'static str, String, Class);

/// Returns how a repository is asked.
///
/// # Errors
/// Its address cannot be used, or its Secrets are missing or lack what they need.
pub(super) async fn spec(
    cluster: &Cluster,
    repository: &HelmRepository,
) -> Result<RepositorySpec, Problem> {
    if repository.spec.kind == "oci" || repository.spec.url.starts_with("oci://") {
        let text = "OCI repositories are not supported by this version of Leadsman; use an https:// repository";
        return Err(("URLInvalid", text.to_owned(), Class::Stalled));
    }
    let url: SafeUrl =
        repository.spec.url.parse().map_err(|error: crate::base::secret::UrlError| {
            ("URLInvalid", error.to_string(), Class::Stalled)
        })?;
    let timeout = repository.spec.timeout.map_or(Duration::from_secs(60), |timeout| timeout.0);
    let mut spec = RepositorySpec { url, timeout, credentials: None, tls: None };
    if let Some(reference) = &repository.spec.secret_ref {
        let data = secret(cluster, repository, &reference.name).await?;
        let login = login(&data).map_err(|text| lacks(repository, &reference.name, text))?;
        spec.credentials = login.map(|(user, password)| Credentials {
            user,
            password,
            repository: spec.url.clone(),
            everywhere: repository.spec.pass_credentials,
        });
        // Flux reads certificates here, too, as long as no Secret of their own is named.
        if repository.spec.cert_secret_ref.is_none() {
            spec.tls = tls(&data).map_err(|text| lacks(repository, &reference.name, text))?;
        }
        if spec.credentials.is_none() && spec.tls.is_none() {
            let text = "it has neither `username` and `password` nor certificates";
            return Err(lacks(repository, &reference.name, text));
        }
    }
    if let Some(reference) = &repository.spec.cert_secret_ref {
        let data = secret(cluster, repository, &reference.name).await?;
        let found = tls(&data).map_err(|text| lacks(repository, &reference.name, text))?;
        let text = "it has neither `ca.crt` nor `tls.crt` and `tls.key`";
        spec.tls = Some(found.ok_or_else(|| lacks(repository, &reference.name, text))?);
    }
    Ok(spec)
}

fn lacks(repository: &HelmRepository, name: &str, text: &str) -> Problem {
    let namespace = &repository.metadata.namespace;
    ("AuthenticationFailed", format!("secret '{namespace}/{name}': {text}"), Class::Retry)
}

async fn secret(
    cluster: &Cluster,
    repository: &HelmRepository,
    name: &str,
) -> Result<BTreeMap<String, String>, Problem> {
    let fail = |text: String| ("AuthenticationFailed", text, Class::Retry);
    let id = ObjectId::new("v1", "Secret", &repository.metadata.namespace, name);
    let found = cluster.get(&id).await.map_err(|error| fail(error.to_string()))?;
    let found = found.ok_or_else(|| fail(format!("secrets \"{name}\" not found")))?;
    Ok(super::prerequisite::decoded(&found))
}

/// Both or neither of user and password.
fn login(
    data: &BTreeMap<String, String>,
) -> Result<Option<(String, Secret<String>)>, &'static str> {
    match (data.get("username"), data.get("password")) {
        (Some(user), Some(password)) => Ok(Some((user.clone(), Secret::new(password.clone())))),
        (None, None) => Ok(None),
        _ => Err("the Secret needs both `username` and `password`"),
    }
}

/// An authority, a certificate with its key, or all of them; keys of before Flux 2.0 count, too.
fn tls(data: &BTreeMap<String, String>) -> Result<Option<Tls>, &'static str> {
    let text = |new: &str, old: &str| {
        let found = data.get(new).or_else(|| data.get(old));
        found.filter(|text| !text.is_empty()).cloned()
    };
    let authorities = text("ca.crt", "caFile").unwrap_or_default();
    let (certificate, key) = match (text("tls.crt", "certFile"), text("tls.key", "keyFile")) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) if authorities.is_empty() => return Ok(None),
        (None, None) => Default::default(),
        _ => return Err("the Secret needs both `tls.crt` and `tls.key`"),
    };
    Ok(Some(Tls { authorities, certificate, key: Secret::new(key) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(keys: &[&str]) -> BTreeMap<String, String> {
        keys.iter().map(|key| ((*key).to_owned(), format!("<{key}>"))).collect()
    }

    #[test]
    fn a_secret_has_a_login_or_certificates_or_both() {
        assert!(login(&data(&["username", "password"])).unwrap().is_some());
        assert!(login(&data(&["ca.crt"])).unwrap().is_none());
        assert!(login(&data(&["username"])).is_err());
        type Want = Result<(&'static str, &'static str), bool>;
        let rows: &[(&[&str], Want)] = &[
            (&["ca.crt"], Ok(("<ca.crt>", ""))),
            (&["caFile"], Ok(("<caFile>", ""))),
            (&["tls.crt", "tls.key"], Ok(("", "<tls.crt>"))),
            (&["ca.crt", "tls.crt", "tls.key", "caFile"], Ok(("<ca.crt>", "<tls.crt>"))),
            (&["username"], Err(false)),
            (&["tls.crt"], Err(true)),
            (&["ca.crt", "keyFile"], Err(true)),
        ];
        for (keys, want) in rows {
            match (tls(&data(keys)), want) {
                (Ok(Some(found)), Ok((authorities, certificate))) => {
                    assert_eq!(
                        (found.authorities.as_str(), found.certificate.as_str()),
                        (*authorities, *certificate)
                    );
                }
                (Ok(None), Err(false)) | (Err(_), Err(true)) => {}
                (got, _) => panic!("{keys:?}: {got:?}"),
            }
        }
    }
}
